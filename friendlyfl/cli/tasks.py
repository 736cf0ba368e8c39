"""`friendlyfl tasks`: the catalogue as installed here, and one task with all that it says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from friendlyfl.cli.opening import example, json_option, show_json, table, tell
from friendlyfl.core.texts import EXCHANGES

if TYPE_CHECKING:
    from friendlyfl.tasks import Task
    from friendlyfl.testing.worked_example import WorkedExample


@click.command(epilog=example("friendlyfl tasks", "friendlyfl tasks cox"))
@click.argument("name", required=False)
@json_option
def tasks(name: str | None, as_json: bool) -> None:
    """List the kinds of analysis that are installed here, or show one.

    Each stands with the question it answers. With NAME: its parameters, what leaves a hospital and how often, its
    conventions, and an example. Try one on files of your own: friendlyfl simulate TASK --help
    """
    if name is None:
        _list(as_json)
    else:
        _show(name, as_json)


def _list(as_json: bool) -> None:
    from friendlyfl.tasks import catalogue, registry

    rows = [
        {"task": name, "version": task.version, "question": catalogue.question(task)}
        for name, task in registry.every()
    ]
    if as_json:
        show_json(rows)
    else:
        table(
            "Tasks",
            ["task", "version", "question"],
            [list(row.values()) for row in rows],
            "No kind of analysis is installed here.",
        )


def _show(name: str, as_json: bool) -> None:
    from friendlyfl.tasks import catalogue, registry

    task = registry.find(name)
    done = _worked(task, name)
    seen: dict[str, Any] = {
        "task": name,
        "version": task.version,
        "title": task.title,
        "question": catalogue.question(task),
        "description": catalogue.description(task),
        "parameters": catalogue.parameters(task),
        "sends": catalogue.sends(task),
        "reader": catalogue.reader(task),
        "most_exchanges": task.max_rounds,
        "exchanges_of_example": len(done.outcome.sent) if done else None,
        "conventions": dict(done.outcome.result.conventions) if done else {},
        "example": _command(task, name, done) if done else "",
        "references": list(task.references),
        "refusal": done.refusal if done else "",
        "sent": done.sent if done else [],
        "numbers_sent": done.numbers if done else [],
        "result": done.outcome.result.to_json() if done else None,
    }
    if as_json:
        show_json(seen)
    else:
        _tell(seen)


def _worked(task: type[Task], name: str) -> WorkedExample | None:
    """The example on the shipped data set, for what is known from a Result only; a task may have none that works."""
    from friendlyfl.core.errors import FriendlyError
    from friendlyfl.testing.worked_example import worked

    try:
        return worked(task, name)
    except FriendlyError:
        return None


def _command(task: type[Task], name: str, done: WorkedExample) -> str:
    from friendlyfl import datasets
    from friendlyfl.tasks import catalogue
    from friendlyfl.testing.worked_example import DATASET, SITES

    files = [str(datasets.path(DATASET, site)) for site in SITES]
    dictionary = str(datasets.path(DATASET, SITES[0]).with_name("dictionary.json"))
    return catalogue.example_command(task, name, files, dictionary, done.rules)


def _tell(seen: dict[str, Any]) -> None:
    tell(f"{seen['title']} ({seen['task']} {seen['version']})")
    tell(seen["question"])
    if seen["description"]:
        tell(seen["description"])
    rows = [[row["name"], _what(row), row["takes"], row["default"]] for row in seen["parameters"]]
    tell("")
    table("Parameters", ["name", "what it is", "takes", "default"], rows, "It has no parameters.")
    tell("")
    rows = [[row["numbers"], row["what"], row["small"]] for row in seen["sends"]]
    table("What leaves a hospital", ["numbers", "what they are", "small numbers of people"], rows, "Nothing.")
    tell(seen["reader"])
    took = seen["exchanges_of_example"]
    tell(f"At most {EXCHANGES(seen['most_exchanges'])}{f'; the example takes {took}' if took else ''}.")
    if seen["conventions"]:
        tell("")
        rows = [[name, value] for name, value in seen["conventions"].items()]
        table("Conventions", ["convention", "in this task"], rows, "")
    if seen["example"]:
        tell(f"\nExample\n{seen['example']}")
    if seen["references"]:
        tell("\nReferences\n" + "\n".join(seen["references"]))


def _what(row: dict[str, str]) -> str:
    return f"{row['label']}. {row['help']}" if row["help"] else row["label"]
