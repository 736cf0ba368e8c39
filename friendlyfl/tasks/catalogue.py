"""What a task says about itself, as rows for people: its parameters, what leaves a hospital, how it is called.

Everything comes from the class's declaration, so that no page can say something else than the program does. Numbers of
an example are in `testing.worked_example`; printing is elsewhere.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from friendlyfl.core.texts import translatable
from friendlyfl.tasks import registry
from friendlyfl.tasks.base import Count, EachTask, Task
from friendlyfl.tasks.dictionary import SITE, Dictionary
from friendlyfl.tasks.params import (
    KINDS,
    Choice,
    Column,
    Columns,
    Flag,
    Number,
    Numbers,
    Parameter,
    Text,
)
from friendlyfl.tasks.terms import factors_of

Words = dict[str, str]

PLATFORM = "patients used, and left out for missing values"

# The parts of the catalogue in their order, by the word that a task declares as its `topic`.
TOPICS = {
    "describe": translatable("Describe the patients"),
    "compare": translatable("Compare groups and measurements"),
    "survival": translatable("Time until an event"),
    "regression": translatable("What goes with an outcome"),
    "prediction": translatable("Check a prediction"),
    "learning": translatable("Learn a model (machine learning)"),
    "patterns": translatable("Find patterns"),
    "hospitals": translatable("Look at the hospitals themselves"),
    "": translatable("Other analyses"),
}
NAMED = 4  # columns that a question names one by one; of more it says how many


def question(task: type[Task]) -> str:
    """The task's question; it may stand in the docstring's first line only."""
    if task.question:
        return task.question
    lines = (task.__doc__ or "").strip().splitlines()
    return lines[0].strip() if lines else task.title


def topics() -> list[tuple[str, list[tuple[str, type[Task]]]]]:
    """All tasks that are installed here, by the parts of the catalogue: the part's words, and its tasks by name."""
    found: dict[str, list[tuple[str, type[Task]]]] = {topic: [] for topic in TOPICS}
    for name, task in registry.every():
        found[task.topic if task.topic in TOPICS else ""].append((name, task))
    return [(TOPICS[topic], tasks) for topic, tasks in found.items() if tasks]


def asks(task: type[Task], values: Mapping[str, Any]) -> str:
    """The sentence whose {names} `filled` replaces: the question of a step, or the general one."""
    for sentence in task.asks[:1]:
        names = re.findall(r"{(\w+)}", sentence)
        if all(values.get(name) for name in names):
            return task.asks[-1] if names and len(_listed(values[names[0]])) > 1 else sentence
    return question(task)


def filled(sentence: str, values: Mapping[str, Any], dictionary: Dictionary) -> str:
    """The sentence with the labels of the columns in place of {names}."""
    return re.sub(r"{(\w+)}", lambda found: _in_words(values.get(found[1]), dictionary), sentence)


def _listed(value: Any) -> list[str]:
    """The columns of a value; of terms the main effects, if there are any."""
    texts = [value] if isinstance(value, str) else list(value)
    return [text for text in texts if ":" not in text] or texts


def _in_words(value: Any, dictionary: Dictionary) -> str:
    names = [label(text, dictionary) for text in _listed(value or ())]
    if len(names) > NAMED:
        names = [*names[: NAMED - 1], f"{len(names) - NAMED + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "…"


def label(term: str, dictionary: Dictionary) -> str:
    """A column or term as a person calls it: its label in quotes, without what the label says in brackets."""
    if term == SITE:
        return "the hospital"
    if term not in dictionary:
        parts = factors_of(term, dictionary)
        return " with ".join(label(part, dictionary) for part in parts) if len(parts) > 1 else f"“{term}”"
    words = re.sub(r"\s*\([^()]*\)$", "", dictionary[term].label)
    return f"“{words or term}”"


def description(task: type[Task]) -> str:
    """What the docstring says beyond its first line, as one paragraph."""
    _, _, rest = (task.__doc__ or "").strip().partition("\n")
    return " ".join(rest.split())


def parameters(task: type[Task]) -> list[Words]:
    """A row for each parameter: name, label, what it takes, its default and the help."""
    return [
        {
            "name": name,
            "label": parameter.label,
            "takes": takes(parameter),
            "default": default(parameter),
            "help": parameter.help,
        }
        for name, parameter in task.parameters.items()
    ]


def takes(parameter: Parameter[Any]) -> str:
    """What may be given, in words."""
    if isinstance(parameter, Column):
        return _column(parameter.kinds)
    if isinstance(parameter, Columns):
        if parameter.terms:
            return "terms: columns, interactions such as a:b, .site"
        return f"columns, each {_column(parameter.one.kinds).removeprefix('a column: ')}"
    if isinstance(parameter, Choice):
        return f"one of {', '.join(_option(*pair) for pair in parameter.words.items())}"
    if isinstance(parameter, Flag):
        return "yes or no"
    if isinstance(parameter, Numbers):
        return _bounds("numbers", parameter.one.low, parameter.one.high, parameter.unit)
    if isinstance(parameter, Number):
        what = "a whole number" if parameter.whole else "a number"
        return _bounds(what, parameter.low, parameter.high, parameter.unit)
    if isinstance(parameter, Text):
        return f"a text of at most {parameter.max:,} characters"
    return parameter.wants().removeprefix("give ")


def _option(value: str, words: str) -> str:
    """What is typed, and in brackets what a page says for it."""
    said = words.removesuffix(f" ({value})")
    return value if said == value else f"{value} ({said})"


def _column(kinds: Sequence[str]) -> str:
    if not kinds:
        return "a column: any but text"
    return f"a column: {', or '.join(KINDS[kind] for kind in kinds)}"


def _bounds(what: str, low: float | None, high: float | None, unit: str) -> str:
    if low is not None and high is not None:
        what = f"{what} from {low:,g} to {high:,g}"
    elif low is not None:
        what = f"{what}, at least {low:,g}"
    elif high is not None:
        what = f"{what}, at most {high:,g}"
    return f"{what} ({unit})" if unit else what


def default(parameter: Parameter[Any]) -> str:
    """What holds if nothing is given."""
    if parameter.required:
        return "must be given"
    value = parameter.default
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == () or value == "":
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def sends(task: type[Task]) -> list[Words]:
    """A row for each name under which numbers leave a hospital."""
    rows = [
        {"numbers": name, "what": kind.words, "small": _small(task, name)}
        for name, kind in task.sends.items()
    ]
    return [*rows, {"numbers": "(each time)", "what": PLATFORM, "small": "hidden if 1 to 4 are left out"}]


def _small(task: type[Task], name: str) -> str:
    """What happens to a number of people from 1 to 4."""
    if not issubclass(task.sends[name], Count):
        return ""
    return "1 to 4 are hidden" if name in task.suppressible else "refused if 1 to 4"


def reader(task: type[Task]) -> str:
    """Who can read what is sent."""
    if issubclass(task, EachTask):
        return "The coordinator reads each hospital’s own numbers, one by one; a secure sum cannot be used."
    return (
        "The numbers of all hospitals are added; with a secure sum nobody can read those of one hospital, "
        "without it the coordinating hospital receives them."
    )


def example_command(
    task: type[Task], name: str, sites: Sequence[str], dictionary: str, rules: str = "on"
) -> str:
    """The example as it may be typed, one option a line."""
    parts = [*(f"--site {shlex.quote(site)}" for site in sites), f"--dictionary {shlex.quote(dictionary)}"]
    parts += [f"--set {shlex.quote(f'{key}={typed(value)}')}" for key, value in task.example.items()]
    if rules == "off":
        parts.append("--rules off")
    return " \\\n    ".join([f"friendlyfl simulate {shlex.quote(name)}", *parts])


def typed(value: Any) -> str:
    """A parameter's value as the command line takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(map(typed, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def chosen(values: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that were given, each as the command line takes it."""
    return {name: typed(value) for name, value in values.items() if value not in (None, (), [], "")}
