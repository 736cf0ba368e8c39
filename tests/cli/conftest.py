"""One site that every test of this folder may look at, and fresh copies for those that break it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.keyboard import type_at


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of St Mary's, connected to nothing. Look, do not change."""
    home = tmp_path_factory.mktemp("site") / "st-marys"
    [made] = type_at(home, ["controller", "init", "--name", "St Mary's"])
    assert made.code == 0, made
    return home


@pytest.fixture
def copy_of(site: Path, tmp_path: Path) -> Callable[[], Path]:
    """Make a home like St Mary's that may be broken."""

    def copy() -> Path:
        home = tmp_path / f"home-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(site, home)
        return home

    return copy
