"""Interaction 4 of the portal: compare the safety number, and what a key swapped at the Routing Server stops."""

import re
from collections.abc import Callable
from typing import Any

from friendlyfl.wire.keys import Identity
from tests.e2e import evil
from tests.e2e.house import STUDY, Hospital, House


def open_verify(page: Any, other: str) -> str:
    page.goto("/projects/")
    page.get_by_role("link", name=STUDY, exact=True).click()
    # The link says whether keys were compared before, in any project.
    link = re.compile(f"(Compare keys with|Keys of) {other}|^Compare keys$|safety number")
    page.get_by_role("link", name=link).first.click()
    page.get_by_role("heading", name=f"Compare keys with {other}").wait_for()
    return str(page.url)


def groups(page: Any) -> list[str]:
    return [str(text) for text in page.locator(".groups span").all_inner_texts()]


def peer(site: Hospital, other: Hospital) -> tuple[Any, ...]:
    [found] = site.ask("SELECT doubted, shown FROM controller_peer WHERE site = ?", other.uid)
    return found


def test_both_see_the_same_groups_and_say_so(house: House, desk: Callable[..., Any]) -> None:
    marys, north = desk(house.marys), desk(house.north)
    open_verify(marys, "Northfield")
    open_verify(north, "St Mary's")
    assert groups(marys) == groups(north) and len(groups(marys)) == 12
    assert all(len(group) == 5 and group.isdigit() for group in groups(marys))
    assert marys.locator(".groups p").count() == 2
    for page, other in ((marys, "Northfield"), (north, "St Mary's")):
        page.get_by_role("button", name="They are the same").click()
        page.get_by_text(f"{other} is verified.").wait_for()
    assert "Compared by site-admin" in marys.inner_text("main")
    assert "Lakeside" not in north.content()


def test_a_key_swapped_at_the_router_blocks_all_post(house: House, desk: Callable[..., Any]) -> None:
    page, north = desk(house.marys), house.north
    page.goto("/projects/")
    page.get_by_role("link", name=STUDY, exact=True).click()
    project = page.url
    house.quiet()
    with evil.swapped_card(house, north, *evil.false_card(Identity.generate(), north.uid)):
        house.wait("the alarm", lambda: peer(house.marys, north)[0], 40)
        for path in ("/", project):
            page.goto(path)
            panel = page.locator(".alarm")
            assert "The key of Northfield is in question" in panel.inner_text()
            assert panel.evaluate("e => getComputedStyle(e).borderTopColor") == "rgb(179, 32, 27)"
        panel.get_by_role("link", name="What to do about Northfield").click()
        page.get_by_text("shows another key for Northfield than the one known here").wait_for()

        # Nobody can talk it away while it lasts, and nothing goes out.
        page.get_by_role("button", name="They are the same").click()
        page.get_by_text("still shows another key for Northfield").wait_for()
        position, number = house.last_position(north), house.start_run()
        held = "SELECT COUNT(*) FROM controller_outbox WHERE state = 'held'"
        house.wait("post that is held back", lambda: house.marys.ask(held) == [(1,)])
        assert not house.marys.ask("SELECT 1 FROM controller_outbox WHERE state = 'waiting' AND NOT here")
        assert house.last_position(north) == position

    # The right key alone settles nothing: a person looks, and then all goes on.
    house.wait("the right key", lambda: peer(house.marys, north) == (1, ""), 40)
    assert house.marys.ask(held) == [(1,)] and house.last_position(north) == position
    page.goto(project)
    page.get_by_role("link", name="What to do about Northfield").click()
    page.get_by_text("It shows the one known here again.").wait_for()
    page.get_by_role("button", name="They are the same").click()
    page.get_by_text("Northfield is verified.").wait_for()
    assert page.locator(".alarm").count() == 0
    assert house.marys.ask(held) == [(0,)]
    house.succeed(number)
