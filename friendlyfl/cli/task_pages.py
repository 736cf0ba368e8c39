"""The pages in docs/tasks, one for each task, written from what the task declares and from its example worked through.

    python -m friendlyfl.cli.task_pages docs/tasks

Nothing is written by hand in that folder: a task that is registered has a page, and a test holds the pages to this.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from friendlyfl.cli.show import show
from friendlyfl.core.errors import UsageError
from friendlyfl.core.texts import EXCHANGES
from friendlyfl.tasks import Task, catalogue, registry
from friendlyfl.tasks.methods import CONVENTIONS
from friendlyfl.tasks.report import Exact, Result
from friendlyfl.testing.worked_example import DATASET, SITES, WorkedExample, worked

FOLDER = f"friendlyfl/datasets/{DATASET}"
FILES = [f"{FOLDER}/site_{site}.csv" for site in SITES]
DICTIONARY = f"{FOLDER}/dictionary.json"
WIDTH = 100  # letters of the output on a page
LONG, KEPT = 22, 12  # lines of one table: longer ones are cut to so many
UNPINNED = {"torch"}  # packages whose version is not fixed here, so that an example would print other numbers
GENERATED = "<!-- Written by `make docs` from the task itself; changes belong there. -->"


def pages() -> dict[str, str]:
    """Every page by the name of its file."""
    found: dict[str, str] = {}
    index: list[dict[str, str]] = []
    for name in registry.BUILT_IN:
        task = registry.find(name)
        example = _worked(task, name)
        found[f"{name}.md"] = page(task, name, example)
        index.append(
            {
                "task": f"[`{name}`]({name}.md)",
                "question": catalogue.question(task),
                "equal to one table": _exact(example.outcome.result) if example else "–",
                "exchanges": str(len(example.outcome.sent)) if example else "–",
            }
        )
    found["README.md"] = "\n".join(
        [
            GENERATED,
            "# Tasks",
            "",
            "Each task is a kind of analysis. Its page says what it takes, what leaves a hospital and how often,",
            f"and shows an example on the [shipped data set](../../{FOLDER}/README.md) of made-up patients.",
            "`friendlyfl tasks NAME` says the same on a terminal, also for tasks of other packages;",
            "[how to write one](../task-author-guide.md).",
            "",
            *_table(index),
            "",
            "Exchanges are those of the example: how often each hospital sent numbers.",
            "",
        ]
    )
    return found


def _worked(task: type[Task], name: str) -> WorkedExample | None:
    """None for a task that cannot be shown: it gives no parameters, or needs a package of no fixed version."""
    if UNPINNED.intersection(task.needs):
        return None
    try:
        return worked(task, name)
    except UsageError:
        if task.example:
            raise
        return None


def page(task: type[Task], name: str, example: WorkedExample | None) -> str:
    """One task's page."""
    said = catalogue.description(task)
    lines = [GENERATED, f"# {task.title}", "", f"**{catalogue.question(task)}**", ""]
    lines += [said, ""] if said else []
    lines += [f"Task `{name}`, version {task.version}.", "", "## Parameters", ""]
    if rows := catalogue.parameters(task):
        lines += [*_table([_parameter(row) for row in rows]), ""]
    else:
        lines += ["None.", ""]
    lines += ["## What leaves a hospital, and how often", "", *_leaves(task, example), ""]
    if example:
        lines += ["## Example", "", *_example(task, name, example), ""]
        if conventions := example.outcome.result.conventions:
            lines += [
                "## Conventions",
                "",
                "As the example’s Result says them:",
                "",
                *_conventions(conventions),
                "",
            ]
        if figures := example.outcome.result.figures:
            lines += [
                "## Figures",
                "",
                *(f"- {figure.title}: {figure.description}" for figure in figures),
                "",
            ]
    if task.references:
        lines += ["## References", "", *(f"- {reference}" for reference in task.references), ""]
    return "\n".join(lines)


def _parameter(row: Mapping[str, str]) -> dict[str, str]:
    what = f"{row['label']}. {row['help']}".strip() if row["help"] else row["label"]
    return {"name": f"`{row['name']}`", "what it is": what, "takes": row["takes"], "default": row["default"]}


def _leaves(task: type[Task], example: WorkedExample | None) -> list[str]:
    small = {row["numbers"]: row["small"] for row in catalogue.sends(task)}
    if example:
        rows = [
            {
                "numbers": f"`{row['name']}`",
                "what they are": row["what"],
                "how many": row["count"],
                "in exchange": row["rounds"],
                "small numbers of people": small[row["name"]] or "–",
            }
            for row in example.sent
        ]
        took, most = EXCHANGES(len(example.outcome.sent)), task.max_rounds
        first = (
            f"In the example each hospital sends these numbers, in {took}; there can be no more than {most}."
        )
        first += " A dash marks what its parameters do not need."
    else:
        rows = [
            {
                "numbers": f"`{name}`",
                "what they are": kind.words,
                "small numbers of people": small[name] or "–",
            }
            for name, kind in task.sends.items()
        ]
        first = f"Each hospital sends these numbers, in at most {EXCHANGES(task.max_rounds)}."
    return [
        first,
        "",
        *_table(rows),
        "",
        f"With each message go two more numbers: {catalogue.PLATFORM} (hidden if 1 to 4). {catalogue.reader(task)}",
    ]


def _example(task: type[Task], name: str, example: WorkedExample) -> list[str]:
    lines = []
    if example.refusal:
        lines += [
            f"Under the hospitals’ rules and without a secure sum this is refused: “{example.refusal}”. "
            "The example shows it with the rules off.",
            "",
        ]
    command = catalogue.example_command(task, name, FILES, DICTIONARY, example.rules)
    return [*lines, "```shell", command, "```", "", "```text", *shown(example.outcome.result), "```"]


def shown(result: Result) -> list[str]:
    """What `friendlyfl simulate` prints, long tables cut in their middle."""
    out = io.StringIO()
    show(
        result, Console(file=out, width=WIDTH, color_system=None, highlight=False, markup=False, emoji=False)
    )
    kept: list[str] = []
    block: list[str] = []
    for line in [*(text.rstrip() for text in out.getvalue().splitlines()), ""]:
        if line:
            block.append(line)
            continue
        if len(block) > LONG:
            block = [*block[:KEPT], f"… {len(block) - KEPT} more lines"]
        kept += [*block, ""]
        block = []
    return kept[:-1]


def _conventions(conventions: Mapping[str, Any]) -> list[str]:
    return _table(
        [
            {
                "convention": CONVENTIONS.get(name, name.replace("_", " ").capitalize()),
                "in this task": str(value),
            }
            for name, value in conventions.items()
        ]
    )


def _exact(result: Result) -> str:
    if isinstance(result.exact, Exact):
        return f"to {result.exact.bound:g} of {result.exact.of}"
    return "yes" if result.exact else "no"


def _table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """A table of Markdown."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return ["| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines]


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main(folder: str) -> None:
    """Write the pages, and take away those of tasks that are gone."""
    here = Path(folder)
    here.mkdir(parents=True, exist_ok=True)
    made = pages()
    for old in here.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for file, text in made.items():
        (here / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/tasks")
