"""Faultpoints: a quiet no-op with a name, listed here by reading the source, so that a test can kill at each."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import friendlyfl.core
from friendlyfl.core import faults

PACKAGE = Path(friendlyfl.core.__file__).resolve().parent.parent
NAME = re.compile(r"[a-z]+\.[a-z]+([_-][a-z]+)*")  # room.place


@cache
def calls() -> list[tuple[str, ast.Call]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
                name = called.id if isinstance(called, ast.Name) else called
                if name == "faultpoint":
                    found.append((path.relative_to(PACKAGE).as_posix(), node))
    return found


def names() -> list[str]:
    return [call.args[0].value for _, call in calls() if isinstance(call.args[0], ast.Constant)]


def test_every_name_is_written_out_where_it_stands() -> None:
    for path, call in calls():
        argument = call.args[0] if len(call.args) == 1 and not call.keywords else None
        assert isinstance(argument, ast.Constant), f"{path}:{call.lineno}"
        assert isinstance(argument.value, str), f"{path}:{call.lineno}"


def test_a_name_means_one_place() -> None:
    twice = [name for name, count in Counter(names()).items() if count > 1]
    assert twice == []


def test_every_name_is_a_room_and_a_place() -> None:
    assert [name for name in names() if not NAME.fullmatch(name)] == []


def test_the_rooms_that_make_things_durable_have_some() -> None:
    """If this fails, kills at every faultpoint no longer test that room."""
    rooms = {name.split(".")[0] for name in names()}
    assert rooms >= {"feed", "journal", "job", "inbox", "work", "deliver", "relay", "store"}


def test_a_faultpoint_does_nothing_until_a_hook_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_hook", None)
    faults.faultpoint("room.place")
    passed: list[str] = []
    faults.install(passed.append)
    faults.faultpoint("room.place")
    assert passed == ["room.place"]
