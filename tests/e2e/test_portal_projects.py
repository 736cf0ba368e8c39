"""Interaction 3 of the portal: start a project and invite hospitals, in two browsers and on real processes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.house import Hospital, House

NAME = "Who comes back within a month"
ELSEWHERE = "The Charlton"  # the coordinator's own name for whom a code is


@pytest.fixture
def gone_after(house: House) -> Iterator[None]:
    """Charlton, whom other tests need as a stranger, is one again, and the project is closed."""
    yield
    on = ("-p", NAME)
    if any(row["name"] == NAME for row in house.charlie.json("project", "list")):
        house.charlie.run("project", "leave", "--yes", *on)
        house.marys.run("project", "remove-site", "Charlton", "--yes", *on)
    house.marys.run("project", "close", "--yes", *on)


def codes(page: Any) -> dict[str, str]:
    """The codes on a project's page, by whom they are for."""
    found = page.locator("section.code")
    return {one.locator("h3").inner_text(): one.locator("code").inner_text() for one in found.all()}


def try_code(page: Any, code: str) -> None:
    page.goto("/projects/join/")
    page.get_by_label("Invitation code").fill(code)
    page.get_by_role("button", name="Check the code").click()


def projects_of(site: Hospital) -> list[str]:
    return [row["name"] for row in site.json("project", "list")]


def test_create_invite_and_join(house: House, desk: Callable[..., Any], gone_after: None) -> None:
    marys, charlie, north = desk(house.marys), desk(house.charlie), desk(house.north)

    # The coordinator: name, purpose, hospitals; one code for each.
    marys.get_by_role("link", name="Projects").click()
    marys.get_by_role("link", name="Start a project").click()
    marys.get_by_label("Name of the project").fill(NAME)
    marys.get_by_label("What do you want to find out?").fill("Which patients are admitted again?")
    marys.get_by_label("Hospitals to invite").fill(f"{ELSEWHERE}\nOakham")
    marys.get_by_role("button", name="Start the project").click()
    marys.get_by_role("heading", name=NAME).wait_for()
    made = codes(marys)
    assert set(made) == {ELSEWHERE, "Oakham"} and len(set(made.values())) == 2
    code = made[ELSEWHERE]

    # A wrong code says so, without saying which part of it is wrong.
    sentences = set()
    for wrong in ("FFL1-ABCDE", code[:-1] + ("0" if code[-1] != "0" else "4"), code.replace(code[30], "U")):
        try_code(charlie, wrong)
        sentences.add(charlie.locator("#id_code-error").inner_text())
        assert charlie.get_by_label("Invitation code").input_value() == wrong
        assert charlie.title().startswith("Error: ")
    assert sentences == {
        "This is not an invitation code, or it was not copied right. Copy the whole code once more."
    }

    # The right one is read before it is used, and waits for the coordinator.
    try_code(charlie, f"  {code.lower().replace('-', ' ')} ")
    charlie.get_by_role("heading", name="Join this project?").wait_for()
    assert NAME in charlie.inner_text("main") and "St Mary's" in charlie.inner_text("main")
    assert projects_of(house.charlie) == []
    charlie.get_by_role("button", name="Join the project").click()
    charlie.get_by_text("Waiting for St Mary's to let this hospital in.").wait_for()

    # It works once.
    try_code(north, code)
    north.get_by_role("button", name="Join the project").click()
    north.get_by_text("This code cannot be used: it works once").first.wait_for()
    assert NAME not in projects_of(house.north)

    # The coordinator's page says that something is new, without reload and without moving focus.
    link = marys.get_by_role("link", name="Close this project")
    link.focus()
    marys.get_by_role("link", name="Something has changed: show it").wait_for(timeout=20_000)
    assert link.evaluate("e => e === document.activeElement")
    marys.get_by_role("link", name="Something has changed: show it").click()
    marys.get_by_role("link", name="Let Charlton in").first.click()
    assert ELSEWHERE in marys.inner_text("main")
    marys.get_by_role("button", name="Let Charlton in").click()
    marys.get_by_role("heading", name="Compare keys with Charlton").wait_for()

    # The joiner's page goes on by itself, and names no other hospital.
    charlie.get_by_text("St Mary's has let this hospital in.").wait_for(timeout=20_000)
    charlie.get_by_role("link", name="Go on to the project").click()
    charlie.get_by_text("This is one of 2 hospitals").wait_for()
    assert "Oakham" not in charlie.content() and "Northfield" not in charlie.content()
    assert charlie.locator("#news").count() == 0
