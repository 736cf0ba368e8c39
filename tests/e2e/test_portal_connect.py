"""Interaction 1, connect: from the address and the code that one command prints to a connected site, in the browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from friendlyfl.testing.consortium import free_port
from tests.e2e.conftest import PASSWORD
from tests.e2e.house import Hospital, House


@pytest.fixture
def hilltop(house: House, tmp_path: Path) -> Iterator[Hospital]:
    """A hospital that has typed nothing but `friendlyfl controller start`."""
    site = Hospital(house, f"hilltop-{tmp_path.name}", "Hilltop")
    site.start()
    yield site
    site.process.stop()
    site.terminal.close()


def test_from_one_command_to_connected_in_the_browser_alone(
    browser: Any, house: House, hilltop: Hospital
) -> None:
    said = hilltop.process.log.read_text()
    [code] = re.findall(r"One-time code for the first account: (\S+)", said)
    context = browser.new_context(base_url=hilltop.portal)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("link", name="Make the first account").click()
    page.get_by_label("One-time code").fill(code)
    page.get_by_label("User name").fill("adam")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()

    page.get_by_role("heading", name="Set up this hospital").wait_for()
    assert "1 of 5 done." in page.inner_text("main")
    page.get_by_role("link", name="Name this hospital").click()
    page.get_by_label("Name of this hospital").fill("Hilltop")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("2 of 5 done.").wait_for()
    page.get_by_role("link", name="Connect to the Routing Server").click()

    # the wrong port: said at the address, and what was typed stays
    address, enrolment = (
        page.get_by_label("Address of the Routing Server"),
        page.get_by_label("Enrolment code"),
    )
    wrong = f"http://127.0.0.1:{free_port()}"
    address.fill(wrong)
    enrolment.fill("WRONG-CODE")
    assert "nothing answers on port" in trouble(page, "address")
    assert (address.input_value(), enrolment.input_value()) == (wrong, "WRONG-CODE")
    # the right address with a code that nobody made
    address.fill(house.address)
    assert "This enrolment code is not known here" in trouble(page, "code")
    # the router down, and up again: nothing is typed anew
    enrolment.fill(house.enrolment())
    with house.router_stopped():
        assert "nothing answers on port" in trouble(page, "address")
    check(page)
    green = page.get_by_role("status")
    green.wait_for()
    assert f"The Routing Server at {house.address} answers and knows your code." in green.inner_text()
    assert not hilltop.ask("SELECT router FROM controller_identity")[0][0]

    page.get_by_role("button", name="Connect", exact=True).click()
    page.get_by_text(f"Hilltop is connected to {house.address}.").wait_for()
    assert "3 of 5 done." in page.inner_text("main") and "Connected" in page.inner_text("header")
    house.wait("a lease", lambda: hilltop.lease)
    with house.records() as records:
        assert records.execute("SELECT name FROM ffl_site WHERE uid = ?", (hilltop.uid,)).fetchall() == [
            ("Hilltop",)
        ]
    context.close()


def check(page: Any) -> None:
    """Press the button, and wait for the page that answers."""
    with page.expect_navigation():
        page.get_by_role("button", name="Check connection").click()


def trouble(page: Any, field: str) -> str:
    """What is said after a check, at the field that it is about."""
    check(page)
    link = page.locator(".errors a")
    assert link.get_attribute("href") == f"#id_{field}", link.inner_text()
    return str(link.inner_text())
