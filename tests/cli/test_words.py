"""What every command says of itself, and what it answers to slips of the keyboard. No site is needed for these."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from friendlyfl.cli.main import friendlyfl
from tests.cli.keyboard import one_sentence, type_here


def commands(group: click.Command = friendlyfl, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, by what is typed."""
    yield path
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


EVERY = list(commands())


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_help_says_what_it_does(path: tuple[str, ...]) -> None:
    said = type_here(*path, "--help")
    assert said.code == 0 and said.err == ""
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines[1:] if line.rstrip().endswith("...")]  # a sentence that was cut off
    text = said.out.split("\n\n")[1].strip()
    assert len(text.split()) >= 3 and re.search(r"[.:]", text)
    for line in lines:  # an option alone on its line without a word of help
        if match := re.match(r"  (-\S.*)$", line):
            below = lines[lines.index(line) + 1 : lines.index(line) + 2]
            assert re.search(r"\S  +\S", match[1]) or (below and below[0].startswith(" " * 8)), line


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_examples_name_commands_and_options_that_exist(path: tuple[str, ...]) -> None:
    for line in type_here(*path, "--help").out.splitlines():
        if not line.startswith("    friendlyfl "):
            continue
        words = line.split()[1:]
        known = max((one for one in EVERY if tuple(words[: len(one)]) == one), key=len)
        assert known == path, line
        options = re.findall(r" (--?[a-z-]+)", line)
        help_ = type_here(*known, "--help").out
        assert all(f"{option}" in help_.split("Examples:")[0].split("Example:")[0] for option in options), (
            line
        )


def test_the_group_says_the_exit_codes() -> None:
    said = type_here("--help").out
    assert [code for code in "01234" if f"\n    {code}  " in said] == list("01234")


def test_version() -> None:
    assert re.fullmatch(r"FriendlyFL \d+\.\d+\.\d+\n", type_here("--version").out)


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        (["contrller"], "friendlyfl controller"),
        (["runs"], "friendlyfl run"),
        (["run", "strat"], "friendlyfl run start"),
        (["plan", "aprove"], "friendlyfl plan approve"),
        (["router", "user", "ad"], "friendlyfl router user add"),
    ],
)
def test_an_unknown_command_suggests_the_nearest(typed: list[str], near: str) -> None:
    said = type_here(*typed)
    one_sentence(said, 2)
    assert said.err.rstrip().endswith(f"Did you mean: {near}")


def test_an_unknown_command_that_is_like_no_other_lists_what_there_is() -> None:
    said = type_here("site", "xyzzy")
    one_sentence(said, 2)
    assert "held-post" in said.err


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        (["--bogus"], "--bogus"),
        (["run", "start", "--wach"], "--watch"),
        (["controller", "init"], "--name"),
        (["controller", "start", "--port", "abc"], "abc"),
        (["controller", "start", "--port", "70000"], "70000"),
        (["simulate"], "TASK"),
        (["simulate", "table_one"], "--site"),
        (["dataset", "add", "only-a-name"], "PATH"),
        (["dataset", "map", "--file", "/"], "directory"),
        (["site", "add-person", "x", "--role", "king"], "viewer"),
        (["site", "connect", "fl.example.org", "--ca-file", "/nowhere/ca.pem"], "/nowhere/ca.pem"),
        (["run", "show", "-p", "x", "-r", "first"], "first"),
        (["plan", "move", "1"], "--by"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_exit_2(typed: list[str], word: str) -> None:
    said = type_here(*typed)
    one_sentence(said, 2)
    assert word in said.err
    assert said.err.rstrip().endswith("--help")


NEEDS_A_SITE = [
    ["controller", "reset-code"],
    ["controller", "reset-password", "x"],
    ["site", "show"],
    ["site", "rules"],
    ["site", "outbox"],
    ["dataset", "list"],
    ["dataset", "add", "x", "y.csv"],
    ["project", "list"],
    ["project", "join", "CODE"],
    ["plan", "show"],
    ["run", "start"],
    ["run", "results", "--json", "-"],
    ["ledger", "--check"],
]


@pytest.mark.parametrize("typed", NEEDS_A_SITE, ids=" ".join)
def test_without_a_site_the_command_says_how_to_make_one(typed: list[str], tmp_path: Path) -> None:
    said = type_here(*typed, "--home", str(tmp_path / "nowhere"))
    one_sentence(said, 1)
    assert f"friendlyfl controller init --home {tmp_path / 'nowhere'}" in said.err
    assert not (tmp_path / "nowhere").exists()


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = type_here("controller", "init", "--name", "X", "--home", str(tmp_path / "file" / "home"))
    one_sentence(said, 1)


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "two\nlines"])
def test_a_hospital_needs_a_name_that_can_be_shown(name: str, tmp_path: Path) -> None:
    one_sentence(type_here("controller", "init", "--name", name, "--home", str(tmp_path / "home")), 2)
    assert not (tmp_path / "home").exists()


def test_tasks_as_words_and_as_json() -> None:
    said = type_here("tasks")
    assert "logistic_regression" in said.out and max(map(len, said.out.splitlines())) <= 80
    assert {"task", "version", "question"} == set(type_here("tasks", "--json").json[0])
