"""Another task's analysis within one hospital: all its rounds on this table alone, nothing sent.

For tasks that combine each hospital's own answer. The rules see what the inner task reads, for it reads through the
same table. What does not live here: what is made of the answers (meta_analysis).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from friendlyfl.core.errors import NoAnswerError, UsageError
from friendlyfl.tasks import Dictionary, Table, Task, engine, registry
from friendlyfl.tasks.base import EachTask
from friendlyfl.tasks.dictionary import SITE
from friendlyfl.tasks.outcome import Exchange, is_answer
from friendlyfl.tasks.report import Result
from friendlyfl.tasks.terms import factors_of


def regression(name: str) -> type[Task]:
    """The class of a task that fits coefficients of predictors, or a sentence."""
    found = registry.find(name)
    if issubclass(found, EachTask) or "predictors" not in found.parameters:
        raise UsageError("task_unfit", f"{found.title} ({name}) does not fit coefficients of predictors.")
    return found


def values_of(inner: type[Task], given: Mapping[str, Any], dictionary: Dictionary) -> dict[str, Any]:
    """The inner task's validated parameters; `.site` says nothing within one hospital."""
    values = inner.validate(given, dictionary, 1)
    for name, value in values.items():
        if any(SITE in factors_of(one, dictionary) for one in _texts(value)):
            raise UsageError(
                "site_within",
                f"{inner.parameters[name].title} cannot be .site: each hospital is fitted by itself.",
            )
    return values


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, (list, tuple)) else [value]
    return [one for one in listed if isinstance(one, str)]


def answer(inner: Task, data: Table) -> Result | None:
    """The inner task's Result on these rows alone; None if it has no finite answer there."""
    try:
        state = engine.begin(inner)
        while True:
            parts = engine.local(inner, data, state, None)
            total = {key: sum(part[key] for part in parts if key in part) for key in parts[0]}
            word, found = engine.combine(inner, state, total, Exchange(inner.name))
            if isinstance(found, Result):
                return found if any_estimate(found) else None
            assert word == "state"
            state = found
    except NoAnswerError:
        return None


def any_estimate(result: Result) -> bool:
    """Whether at least one coefficient has a standard error (a separated term has none)."""
    return is_answer(result) or any(row.get("se") is not None for row in result.coefficients)
