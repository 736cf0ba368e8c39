"""`friendlyfl new-task`: the beginning of a package with a task of one's own, which installs and passes its test.

The files are written as they stand here; what the pieces mean is told in docs/task-author-guide.md.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path

import click

from friendlyfl.cli.opening import example, tell
from friendlyfl.core.errors import UsageError

PYPROJECT = """\
[project]
name = "{project}"
version = "0.1.0"
description = "A task for FriendlyFL: {words}."
requires-python = ">=3.11"
dependencies = ["friendlyfl"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points."friendlyfl.tasks"]
{name} = "{package}.task:{title_case}"

[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"

[tool.poetry]
packages = [{{ include = "{package}" }}]
"""

TASK = '''\
"""{sentence}: the task itself.

Each hospital computes `local_...` on its own table; only the sums of all hospitals come to `combine_...`.
"""

import numpy as np
from friendlyfl.tasks import Column, Count, Done, Sum, Task


class {title_case}(Task):
    """What is the mean of a measurement, and how sure is it?"""

    name, title, version = "{name}", "{sentence}", "1.0"
    row_additive = True
    stages = ("mean", "spread")
    sends = {{"people": Count, "sum": Sum, "squares": Sum}}
    example = {{"outcome": "bmi"}}  # on the made-up patients that FriendlyFL ships

    outcome = Column("Outcome", kinds=["number"], help="The measurement")

    def start(self):
        return {{"stage": "mean"}}

    # Exchange 1: how many people there are, and what their values add up to.

    def local_mean(self, data, state):
        return {{"people": len(data), "sum": data[self.outcome].sum()}}

    def combine_mean(self, state, total):
        return {{"stage": "spread", "people": total["people"], "mean": total["sum"] / total["people"]}}

    # Exchange 2: how far the values are from the mean of all hospitals.

    def local_spread(self, data, state):
        distance = data[self.outcome] - state["mean"]
        return {{"squares": distance @ distance}}

    def combine_spread(self, state, total):
        people, mean = state["people"], state["mean"]
        if people < 2:
            return Done(answer="One patient alone has no spread, so nothing can be said about the mean.")
        sd = np.sqrt(total["squares"] / (people - 1))
        width = 1.959963984540054 * sd / np.sqrt(people)
        return Done(
            statistics={{"mean": mean, "sd": sd, "ci_lower": mean - width, "ci_upper": mean + width}},
            conventions={{"ci": "wald", "level": 0.95, "missing": "complete cases over the columns named"}},
        )
'''

TEST = '''\
"""The task keeps what every task must keep, and its numbers are those of one table of all patients."""

import pandas as pd
from friendlyfl import datasets
from friendlyfl.tasks import registry
from friendlyfl.testing import check_task

from {package}.task import {title_case}


def test_it_keeps_the_rules_and_equals_one_table():
    frames = list(datasets.load("clinic").values())
    everyone = pd.concat(frames)["bmi"].dropna()
    check_task(
        {title_case},
        frames,
        datasets.dictionary("clinic"),
        pooled={{"statistics.mean": everyone.mean(), "statistics.sd": everyone.std()}},
        **{title_case}.example,
    )


def test_it_is_found_by_its_name():
    assert registry.find("{name}") is {title_case}
'''

WORDS = ("task", "done", "sum", "count", "column")  # a class of this name would hide the one it needs

README = """\
# {sentence}

A task for FriendlyFL. It is in `{package}/task.py`; `tests/` proves that it keeps the rules for tasks.

    pip install -e .[test]
    pytest
    friendlyfl tasks {name}
    friendlyfl simulate {name} --site A.csv --site B.csv --set outcome=COLUMN

Install it at each hospital of a study; a hospital allows it by adding `{name}` to the tasks of its rules.
"""


@click.command(
    "new-task",
    epilog=example("friendlyfl new-task risk_difference", "friendlyfl new-task my_score --folder ~/tasks"),
)
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(file_okay=False),
    default=".",
    metavar="DIR",
    help="Where the package's folder is made.",
)
def new_task(name: str, folder: str) -> None:
    """Begin a package with a task of your own, NAME.

    It holds one task that works, its entry point, and a test that passes. Then change the task: see
    docs/task-author-guide.md.
    """
    check_name(name)
    here = Path(folder).expanduser() / f"friendlyfl-{name.replace('_', '-')}"
    if here.exists():
        raise UsageError(
            "folder_there", f"{here} is there already: choose another name, or another --folder."
        )
    for path, text in files(name).items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_text(text, encoding="utf-8")
    tell(f"The task {name} is in {here}. It works as it is; now make it yours:")
    for line in (
        f"cd {here}",
        "pip install -e .[test]",
        "pytest",
        f"friendlyfl tasks {name}",
    ):
        tell(f"  {line}")


def check_name(name: str) -> None:
    """A name as tasks have it, which is not taken; or a sentence."""
    from friendlyfl.tasks import registry

    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name) or len(name) > 60:
        raise UsageError(
            "task_name",
            f"“{name}” cannot be a task's name: use small letters, digits and underscores, such as risk_difference.",
        )
    if name in WORDS:
        raise UsageError("task_name", f"“{name}” is a word of tasks themselves: choose a longer name.")
    if name in registry.names():
        raise UsageError("task_taken", f"There is a task “{name}” here already: choose another name.")


def files(name: str) -> dict[str, str]:
    """Every file of the package by its path."""
    words = name.replace("_", " ")
    package = f"friendlyfl_{name}"
    filled = {
        "name": name,
        "words": words,
        "sentence": words.capitalize(),
        "title_case": "".join(part.capitalize() for part in name.split("_")),
        "project": f"friendlyfl-{name.replace('_', '-')}",
        "package": package,
    }
    return {
        "pyproject.toml": PYPROJECT.format(**filled),
        "README.md": README.format(**filled),
        f"{package}/__init__.py": "",
        f"{package}/task.py": TASK.format(**filled),
        f"tests/test_{name}.py": TEST.format(**filled),
    }
