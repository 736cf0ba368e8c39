"""Every test of this room starts on the first day of the site under test; see site.py."""

from collections.abc import Iterator

import pytest

from friendlyfl.controller.home import Home
from tests.controller import site as under_test

under_test.process_home()  # before any module of this room imports the records


@pytest.fixture(autouse=True)
def home() -> Iterator[Home]:
    with under_test.first_day() as home:
        yield home


@pytest.fixture
def world():
    from tests.controller.world import World

    return World()


@pytest.fixture
def study(world):
    """Northfield coordinates; the site under test and Southgate take part."""
    return world.study("Northfield", "Southgate")


@pytest.fixture
def consortium(world):
    """The site under test coordinates; Northfield and Southgate take part."""
    return world.consortium("Northfield", "Southgate")
