"""Tasks by name and version: built in, or announced by an installed package."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import registry


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> None:
    points = tuple(
        EntryPoint(name, value, registry.GROUP)
        for name, value in [
            ("mean", "tests.tasks.mean:Mean"),
            ("broken", "tests.tasks.nowhere:Nothing"),
            ("other", "tests.tasks.mean:DICTIONARY"),
        ]
    )
    monkeypatch.setattr(registry, "_announced", lambda: points)


def test_other_packages_add_tasks(announced: None) -> None:
    assert registry.find("mean").title == "Mean"
    assert registry.find("mean", "1.0").version == "1.0"
    assert registry.names()[-3:] == ["mean", "broken", "other"]


def test_a_missing_version_says_what_is_here(announced: None) -> None:
    with pytest.raises(UsageError, match="This hospital has mean 1.0; the plan asks for 1.1"):
        registry.find("mean", "1.1")


@pytest.mark.parametrize("name", ["broken", "other"])
def test_a_broken_package_is_named(name: str, announced: None) -> None:
    with pytest.raises(UsageError, match=f"“{name}”") as caught:
        registry.find(name)
    assert caught.value.code == "task_broken"


@pytest.mark.parametrize("name", ["kaplan_meyer", "os:system", "friendlyfl.tasks.base:Task", "", "../x"])
def test_a_name_never_imports_anything(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        registry.find(name)
    assert caught.value.code == "task_missing"
    assert name != "kaplan_meyer" or "Did you mean “kaplan_meier”" in caught.value.message


def test_built_in_tasks_are_there() -> None:
    for name in registry.BUILT_IN:
        assert registry.find(name).name == name


LISTED = """
import sys
from friendlyfl.tasks import registry
registry.every()
slow = [name for name in ("pandas", "scipy.optimize", "scipy.sparse", "scipy.stats", "sklearn") if name in sys.modules]
sys.exit(f"loaded for a list: {slow}" if slow else 0)
"""


def test_a_list_of_tasks_loads_nothing_that_takes_long() -> None:
    done = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
