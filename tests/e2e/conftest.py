"""One consortium a test process; see house.py. Every test of this room starts real processes and is marked e2e."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import aftermath
from tests.e2e.house import House

HERE = Path(__file__).parent
FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


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
