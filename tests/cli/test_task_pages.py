"""`friendlyfl tasks`, and the pages in docs/tasks: both say what the tasks themselves declare."""

import shlex
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner

from friendlyfl.cli import task_pages
from friendlyfl.cli.main import friendlyfl
from friendlyfl.tasks import (
    Choice,
    Column,
    Columns,
    Count,
    Flag,
    Number,
    Numbers,
    Sum,
    Task,
    Text,
    catalogue,
    registry,
)
from friendlyfl.testing.worked_example import ranges
from tests.cli.keyboard import one_sentence, type_here

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tasks"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return task_pages.pages()


def test_every_task_has_the_page_that_it_would_get_today(pages):
    there = {path.name: path.read_text("utf-8") for path in DOCS.glob("*.md")}
    assert set(there) == set(pages), "run: make docs"
    old = [name for name, text in pages.items() if there[name] != text]
    assert old == [], "these pages are older than their tasks; run: make docs"


def test_the_pages_are_the_same_each_time(pages):
    assert task_pages.pages() == pages


def test_the_command_on_a_page_prints_what_the_page_shows(pages, monkeypatch):
    monkeypatch.chdir(DOCS.parents[1])
    page = pages["linear_regression.md"]
    command = page.split("```shell\n")[1].split("\n```")[0].replace("\\\n", "")
    program, *words = shlex.split(command)
    done = CliRunner().invoke(friendlyfl, words, env={"COLUMNS": "100"})
    assert program == "friendlyfl" and done.exit_code == 0, done.output
    printed = {line.rstrip() for line in done.stdout.splitlines()}
    shown = [
        line
        for line in page.split("```text\n")[1].split("\n```")[0].splitlines()
        if not line.startswith("… ")
    ]
    assert shown and set(shown) <= printed


def test_what_leaves_is_what_left(pages):
    page = pages["table_one.md"]
    assert "| `rows` | numbers of people | 3 | 1 | refused if 1 to 4 |" in page
    assert "1 to 4 are hidden" in page and "patients used, and left out for missing values" in page
    assert "each hospital’s own numbers, one by one" in pages["meta_analysis.md"]
    assert "this is refused: “" in pages["kaplan_meier.md"] and "--rules off" in pages["kaplan_meier.md"]
    assert "--rules off" not in pages["logistic_regression.md"]


def test_long_tables_are_cut_on_a_page(pages):
    block = pages["kaplan_meier.md"].split("```text\n")[1].split("\n```")[0]
    assert " more lines" in block and max(map(len, block.splitlines())) <= task_pages.WIDTH


def test_pages_of_tasks_that_are_gone_are_taken_away(tmp_path, pages):
    (tmp_path / "gone.md").write_text("old")
    task_pages.main(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == set(pages)


class Anything(Task):
    """What is it?

    It takes everything
    that can be given.
    """

    title, version = "Anything", "1.0"
    sends: ClassVar = {"people": Count, "hidden": Count, "sums": Sum}
    suppressible: ClassVar = ("hidden",)
    outcome = Column("Outcome", kinds=["yes/no", ".site"], help="Yes or no")
    free = Column("Free", optional=True)
    terms_ = Columns("Terms", terms=True, min=0)
    several = Columns("Several", kinds=["factor"])
    many = Numbers("Many", low=0)
    exact = Number("Exact", default=2.5, low=0, high=10, unit="days")
    whole = Number("Whole", whole=True, high=1000)
    way = Choice("Way", ["a", "b"])
    on = Flag("On", default=True)
    words = Text("Words", max=1000)


def test_each_kind_of_parameter_is_told_in_words():
    rows = {row["name"]: (row["takes"], row["default"]) for row in catalogue.parameters(Anything)}
    assert rows == {
        "outcome": ("a column: 0 and 1, or a factor with two levels, or the built-in .site", "must be given"),
        "free": ("a column: any but text", "none"),
        "terms_": ("terms: columns, interactions such as a:b, .site", "none"),
        "several": ("columns, each a factor", "must be given"),
        "many": ("numbers, at least 0", "none"),
        "exact": ("a number from 0 to 10 (days)", "2.5"),
        "whole": ("a whole number, at most 1,000", "none"),
        "way": ("one of a, b", "a"),
        "on": ("yes or no", "yes"),
        "words": ("a text of at most 1,000 characters", "none"),
    }
    assert catalogue.question(Anything) == "What is it?"
    assert catalogue.description(Anything) == "It takes everything that can be given."
    small = {row["numbers"]: row["small"] for row in catalogue.sends(Anything)}
    assert (small["people"], small["hidden"], small["sums"]) == ("refused if 1 to 4", "1 to 4 are hidden", "")


def test_a_task_without_an_example_has_a_page_too():
    page = task_pages.page(Anything, "anything", None)
    assert (
        "## Example" not in page
        and "in at most 50 exchanges" in page
        and "| `people` | numbers of people |" in page
    )


def test_rounds_in_words():
    assert [ranges(rounds) for rounds in ([], [1], [1, 2, 3], [1, 3, 4, 9])] == [
        "–",
        "1",
        "1 to 3",
        "1, 3 to 4, 9",
    ]


def test_the_catalogue_on_the_command_line():
    listed = type_here("tasks", "--json")
    assert {row["task"] for row in listed.json} >= set(registry.BUILT_IN) and all(
        row["question"] for row in listed.json
    )
    said = type_here("tasks", "logistic_regression")
    assert (said.code, said.trace) == (0, "")
    for words in (
        "Which factors go with",
        "predictors",
        "What leaves a hospital",
        "the example takes 7",
        "--set outcome=",
    ):
        assert words in said.out, words
    seen = type_here("tasks", "table_one", "--json").json
    assert seen["conventions"]["quantile_type"] == 7 and seen["sends"][0]["what"] == "numbers of people"
    one_sentence(type_here("tasks", "table_on"), 2)
