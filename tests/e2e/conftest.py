"""One consortium a test process; see house.py. Every test of this room starts real processes and is marked e2e."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import aftermath
from tests.e2e.house import Hospital, House

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("FRIENDLYFL_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PASSWORD = "a calm and long sentence"
FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if "browser" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("consortium")) as house:
        house.build()
        yield house
        assert aftermath.faults(house) == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture
def house(built: House, request: pytest.FixtureRequest) -> Iterator[House]:
    """The consortium with everything running, whatever the test before has done."""
    yield built
    if request.node.stash.get(FAILED, True):
        built.mend()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        words = (
            "There is no Chromium here: install it (on Debian: apt-get install chromium) to test the pages."
        )
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def desk(browser: Any, house: House, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Sit down at a hospital's own portal, signed in: `desk(house.marys)` is a page of a browser of its own."""
    contexts = []

    def sit_down(site: Hospital, role: str = "site-admin", **options: Any) -> Any:
        if not site.ask("SELECT 1 FROM controller_person WHERE username = ?", role):
            path = tmp_path / "password"
            path.write_text(PASSWORD, encoding="utf-8")
            site.run("site", "add-person", role, "--role", role, "--password-file", str(path))
        context = browser.new_context(base_url=site.portal, **options)
        contexts.append(context)
        page = context.new_page()
        page.goto("/login/")
        page.get_by_label("User name").fill(role)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").wait_for()
        return page

    yield sit_down
    for context in contexts:
        context.close()
