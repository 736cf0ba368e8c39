"""The rehearsal, by its two buttons, on real processes."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.house import House

pytestmark = pytest.mark.slow


def test_one_button_starts_three_hospitals_and_one_removes_them(
    house: House, desk: Callable[..., Any]
) -> None:
    site = house.charlie
    before = (
        site.ask("SELECT COUNT(*) FROM controller_departure"),
        site.ask("SELECT * FROM controller_project"),
    )
    page = desk(site, role="researcher")
    page.goto("/rehearsal/")
    page.get_by_role("button", name="Start a rehearsal").click()
    page.get_by_role("heading", name="The rehearsal is ready").wait_for(timeout=120_000)
    words = page.locator("main").inner_text()
    password = page.locator("dd code").nth(1).inner_text()
    assert all(name in words for name in ("Hilltop", "Meadow", "Harbour"))
    portal = page.get_by_role("link", name="http://127.0.0.1").first.get_attribute("href")
    page.goto(f"{portal}login/")
    page.get_by_label("User name").fill("rehearsal")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="How things stand").wait_for()
    assert "Rehearsal: pretend hospitals" in page.content()
    page.goto(f"{site.portal}rehearsal/")
    page.get_by_role("link", name="Remove the rehearsal").click()
    page.get_by_role("button", name="Remove the rehearsal").click()
    page.get_by_text("The rehearsal is removed").wait_for(timeout=60_000)
    assert not (site.home / "rehearsal").exists()
    after = (
        site.ask("SELECT COUNT(*) FROM controller_departure"),
        site.ask("SELECT * FROM controller_project"),
    )
    assert after == before
