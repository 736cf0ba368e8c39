"""From what a task says at its end to the Result that people get: counts, privacy, notes, how to repeat it.

Numbers are the task's; here they are put in their places and nothing is computed. Drawing and printing are elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from friendlyfl import __version__
from friendlyfl.core.texts import HIDDEN
from friendlyfl.tasks.base import Done, EachTask, Task
from friendlyfl.tasks.dictionary import SITE
from friendlyfl.tasks.disclosure import DROPPED, DROPPED_HIDDEN, USED
from friendlyfl.tasks.report import Counts, Privacy, Reproduce, Result

DROPPED_NOTE = (
    "How many rows lack a value is not shown: at one hospital or more it is a number too small to show."
)
DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # installed under another name than it is imported


@dataclass(frozen=True)
class Exchange:
    """What the platform knows about the rounds and a task does not.

    `per_site` rows are {site, used, dropped}, None under a secure sum; `refused` rows {site, rule, sentence}; `notes`
    are sentences about sites that left. `name` is the task's name in the plan.
    """

    name: str
    per_site: Sequence[Mapping[str, Any]] | None = None
    refused: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    rules: str = "on"
    smallest_sum_of_sites: int | None = None


def site_counts(site: int | str, update: Mapping[str, Any]) -> dict[str, Any]:
    """The row of `n.per_site` from a site's open Update."""
    hidden = float(update[DROPPED_HIDDEN]) > 0
    return {"site": site, "used": int(update[USED]), "dropped": None if hidden else int(update[DROPPED])}


def finished(
    task: Task, done: Done, own: Mapping[str, float], rounds: int, hidden: int, exchange: Exchange
) -> Result:
    """The Result of a step that came to its end."""
    pieces = dict(done.pieces)
    dropped_hidden = own[DROPPED_HIDDEN] > 0
    counts = Counts(
        used=int(own[USED]),
        dropped=None if dropped_hidden else int(own[DROPPED]),
        events=_whole(pieces.pop("events", None)),
        clusters=_whole(pieces.pop("clusters", None)),
        per_site=None if exchange.per_site is None else [dict(row) for row in exchange.per_site],
    )
    notes = [*([done.answer] if done.answer else []), *pieces.pop("notes", ()), *exchange.notes]
    suppressed = list(pieces.pop("suppressed", ()))
    if hidden:
        suppressed.append(HIDDEN(hidden))
    if dropped_hidden:
        suppressed.append("the number of rows left out")
        notes.append(DROPPED_NOTE)
    if task.cohort is not None:
        pieces["conventions"] = {**pieces.get("conventions", {}), "cohort": task.cohort.words}
    result = Result(
        task=exchange.name,
        version=task.version,
        rounds=rounds,
        n=counts,
        notes=list(dict.fromkeys(notes)),
        privacy=_privacy(task, exchange, suppressed),
        reproduce=_reproduce(task, exchange, pieces.pop("reproduce", {})),
        **pieces,
    )
    return Result.from_json(
        result.to_json()
    )  # numpy and tuples become plain values, as every reader sees them


def without_numbers(task: Task, exchange: Exchange, notes: Sequence[str], rounds: int = 0) -> Result:
    """The Result of a step that was refused or has no answer: no numbers, only why."""
    result = Result(
        task=exchange.name,
        version=task.version,
        rounds=rounds,
        notes=list(dict.fromkeys([*notes, *exchange.notes])),
        privacy=_privacy(task, exchange, []),
        reproduce=_reproduce(task, exchange, {}),
    )
    return Result.from_json(result.to_json())


def is_answer(result: Result) -> bool:
    """Whether there are numbers and each coefficient is finite. A separated model shows numbers but is no answer."""
    if any(row.get("estimate") is None or row.get("se") is None for row in result.coefficients):
        return False
    return bool(result.coefficients or result.statistics or result.tests or result.tables or result.curves)


def _whole(value: Any) -> int | None:
    return None if value is None or value != value else round(float(value))


def _privacy(task: Task, exchange: Exchange, suppressed: Sequence[str]) -> Privacy:
    return Privacy(
        rules=exchange.rules,
        secure_sum=task.secure_sum,
        smallest_sum_of_sites=exchange.smallest_sum_of_sites,
        suppressed=suppressed,
        refused=[dict(row) for row in exchange.refused],
    )


def _reproduce(task: Task, exchange: Exchange, given: Mapping[str, str]) -> Reproduce:
    chosen = {name: value for name, value in task.values.items() if value not in (None, (), "")}
    r, in_python = given.get("r", ""), given.get("python", "")
    named = [name for name in task.columns if name != SITE]
    if task.complete_cases and named and not isinstance(task, EachTask):
        r = r and f"d <- d[complete.cases(d[c({', '.join(map(json.dumps, named))})]), ]; {r}"
        in_python = in_python and f"d = d.dropna(subset={named!r}).reset_index(drop=True); {in_python}"
    if task.cohort is not None:
        chosen["where"] = task.cohort.text
        r = r and f"d <- subset(d, {task.cohort.r}); {r}"
        in_python = in_python and f"d = d[{task.cohort.python}].reset_index(drop=True); {in_python}"
    if exchange.rules == "off":
        chosen["rules"] = "off"
    python = ", ".join(
        ["frames", "dictionary", *(f"{name}={_literal(value)}" for name, value in chosen.items())]
    )
    return Reproduce(
        plan=task.seed or None,
        dictionary=hashlib.sha256(json.dumps(task.dictionary.to_json(), sort_keys=True).encode()).hexdigest(),
        software=software(task.needs),
        seed=task.root_seed,
        r=r,
        python=in_python or f"friendlyfl.testing.simulate({exchange.name!r}, {python})",
    )


def _literal(value: Any) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)


def software(needs: Sequence[str] = ()) -> dict[str, str]:
    """Versions of what computed, for the methods section; `needs` are packages as they are imported."""
    found = {"friendlyfl": __version__, "python": platform.python_version()}
    used = [package for package in ("numpy", "scipy", "pandas") if package in sys.modules]
    for package in [*used, *(DISTRIBUTIONS.get(name, name) for name in needs)]:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
