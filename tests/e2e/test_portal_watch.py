"""A run is watched and stopped on the coordinator's own portal, while hospitals fall silent and programs are killed."""

import re
from collections.abc import Callable
from typing import Any

from tests.e2e.house import STUDY, TWO, House

SECONDS = 1000.0  # of Playwright's milliseconds


def pk_of(house: House, name: str, number: int) -> int:
    found = house.marys.ask(
        "SELECT r.id FROM controller_run r JOIN controller_project p ON p.id = r.project_id"
        " WHERE p.name = ? AND r.number = ?",
        name,
        number,
    )
    return int(found[0][0])


def story_of(page: Any) -> str:
    return " ".join(page.locator("#run-story").inner_text().split())


def awaits(page: Any, words: str, seconds: float = 20.0) -> None:
    """The words come by themselves: the page is not loaded anew and the focus stays where it was."""
    page.locator("main").get_by_text(re.compile(words)).first.wait_for(timeout=seconds * SECONDS)
    assert page.evaluate("window.opened") == "once", "the page was loaded anew"
    assert page.evaluate("document.activeElement.id") == "run-log-link", "the focus was moved"


def watch(page: Any, pk: int) -> None:
    """Open the run, and put the focus on something that stands still."""
    page.goto(f"/runs/{pk}/")
    page.evaluate("window.opened = 'once'")
    page.locator("#run-log-link").focus()


def test_a_hospital_falls_silent_and_the_run_goes_on_as_the_plan_says(
    house: House, desk: Callable[..., Any]
) -> None:
    house.two_are_enough()
    page = desk(house.marys, role="researcher")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    number = house.start_run(TWO)
    house.in_round(number, name=TWO)
    house.lake.process.kill()
    try:
        watch(page, pk_of(house, TWO, number))
        awaits(page, "Waiting for Lakeside: it has not answered for [2-9] seconds")
        assert "Who has not answered by" in story_of(page)
        awaits(page, "Lakeside has not answered before the deadline and is out of this run.")
        assert "The plan asks for two hospitals: with the two that are left the run goes on." in story_of(
            page
        )
        awaits(page, "Finished: the results are there.", 60.0)
    finally:
        house.lake.start()
    awaits(page, "The run is finished")
    told = story_of(page)
    assert "Lakeside" in told and "Out of this run" in told and told.count("Finished") == 2, told
    assert page.locator("#run-status[hx-get], #run-story[hx-get]").count() == 0  # nothing asks on
    assert page.get_by_role("link", name="Read the results").is_visible() and said == []


def test_stop_asks_once_and_then_every_hospital_says_stopped(house: House, desk: Callable[..., Any]) -> None:
    """Through a restart of the coordinator's own program, too."""
    number = house.start_run()
    house.in_round(number)
    house.lake.process.kill()  # so that the round lasts
    page, north = desk(house.marys, role="researcher"), desk(house.north, role="viewer")
    pk = pk_of(house, STUDY, number)
    watch(page, pk)
    awaits(page, "have answered round|has answered round|No hospital has answered")
    [[place]] = house.north.ask("SELECT id FROM controller_run ORDER BY id DESC LIMIT 1")
    watch(north, place)
    for other in ("Lakeside", "St Mary's has", "hospitals have answered", house.lake.uid):
        assert other not in north.content()

    port = page.url.split(":")[2].split("/")[0]
    house.marys.process.kill()
    place_of_port = house.marys.process.arguments.index("--port") + 1
    house.marys.process.arguments[place_of_port] = (
        port  # as a hospital has it, whose portal keeps its address
    )
    try:
        house.marys.start()
    finally:
        house.marys.process.arguments[place_of_port] = "0"
    awaits(page, "Waiting for Lakeside: it has not answered for", 40.0)  # the same page goes on

    page.get_by_role("link", name="Stop this run").click()
    assert house.show(number)["state"] not in ("stopped", "succeeded")  # it asks first
    page.get_by_role("button", name="Stop the run").click()
    page.get_by_text("Stopped by researcher.").first.wait_for()
    page.evaluate("window.opened = 'once'")
    page.locator("#run-log-link").focus()
    assert "Told to stop" in story_of(page)  # one that is away has not stopped yet
    house.lake.start()
    page.locator(".sites .tag.bad").nth(2).wait_for(timeout=40 * SECONDS)
    assert page.locator(".sites .tag").all_inner_texts() == ["Stopped"] * 3
    assert page.evaluate("window.opened") == "once"
    awaits(north, "Stopped by the coordinator.")
    lake = desk(house.lake, role="viewer")
    [[place]] = house.lake.ask("SELECT id FROM controller_run ORDER BY id DESC LIMIT 1")
    lake.goto(f"/runs/{place}/")
    assert "Stopped by the coordinator." in lake.locator("#run-status").inner_text()
