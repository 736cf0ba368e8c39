"""Verbs about the data dictionary, one column at a time: agreed by the coordinator, read by every hospital.

It travels with the plan, so what is guessed from the coordinator's own table says nothing about single patients:
ranges are widened to round numbers, dates get none, and rare levels are left out.
"""

import math
from typing import Any

from django.db import transaction

from friendlyfl.controller import here, mappings
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.actions.project import only_coordinator
from friendlyfl.controller.models import Dataset, Project
from friendlyfl.core.errors import ConflictError, UsageError
from friendlyfl.tasks.dictionary import KNOWN_KEYS, parse_column
from friendlyfl.tasks.disclosure import Policy as Rules

LONGEST_NAME = 100


def set_column(
    actor: Actor, project: Project, name: str, entry: dict[str, Any], *, instead_of: str = ""
) -> None:
    """Add a column to the dictionary, or change the one called `instead_of`, which keeps its place.

    Raises UsageError with one sentence; the code `name` when it is the name that does not do.
    """
    with acting(actor, "set_column", f"{name} of {project.name}"), transaction.atomic():
        only_coordinator(project)
        draft = _draft(project)
        if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            raise UsageError("name", f"Give the column a name of 1 to {LONGEST_NAME} characters.")
        if instead_of and instead_of not in draft:
            raise ConflictError(
                "column_gone", f"The column {instead_of} is not in the dictionary any more. Look at it again."
            )
        if name != instead_of and name in draft:
            raise UsageError("name", f"There is a column called {name} already. Choose another name.")
        spec = parse_column(name, entry)
        _check_levels(name, spec.type, spec.levels)
        if instead_of:
            kept = {key: value for key, value in draft[instead_of].items() if key not in KNOWN_KEYS}
            changed = {**kept, **spec.to_json()}
            draft = {
                (name if old == instead_of else old): (changed if old == instead_of else one)
                for old, one in draft.items()
            }
        else:
            draft[name] = spec.to_json()
        _keep(project, draft)


def _check_levels(name: str, kind: str, levels: tuple[str, ...]) -> None:
    if kind == "factor" and not levels:
        raise UsageError("levels", f"Name the categories of {name}, one a line, the reference first.")


def remove_column(actor: Actor, project: Project, name: str) -> None:
    """Take a column out of the dictionary; a mapping that speaks of it stays."""
    with acting(actor, "remove_column", f"{name} of {project.name}"), transaction.atomic():
        only_coordinator(project)
        draft = _draft(project)
        if name not in draft:
            raise ConflictError("column_gone", f"The column {name} is not in the dictionary any more.")
        del draft[name]
        _keep(project, draft)


def take_columns(actor: Actor, project: Project, dataset: Dataset, names: list[str]) -> list[str]:
    """Add columns of one of this hospital's own datasets, as far as `guessed` goes; returns those that were added."""
    with acting(actor, "take_columns", f"{dataset.name} for {project.name}"), transaction.atomic():
        only_coordinator(project)
        draft, own = _draft(project), mappings.columns(dataset)
        if not names:
            raise UsageError("columns", "Choose at least one column.")
        added = [name for name in names if name in own and name not in draft]
        for name in added:
            draft[name] = parse_column(name, guessed(own[name])).to_json()
        _keep(project, draft)
        return added


def guessed(column: dict[str, Any]) -> dict[str, Any]:
    """A column of the dictionary from the description of this hospital's own, without what only a few patients have."""
    kind = {"empty": "text"}.get(column["type"], column["type"])
    found: dict[str, Any] = {"type": kind}
    least = Rules.from_json(here.policy().rules).cell
    if kind == "factor":
        levels = [value for value, count in column.get("values", ()) if count >= least]
        return {**found, "levels": levels} if levels else {"type": "text"}
    if kind in ("integer", "number") and "low" in column:
        counts = dict(column.get("values", ()))
        found["range"] = [
            _bound(column["low"], math.floor, counts, least),
            _bound(column["high"], math.ceil, counts, least),
        ]
        if kind == "number":
            found["step"] = float(f"1e-{min(column.get('decimals', 0), 15)}")
    return found


def _bound(value: float, towards: Any, counts: dict[str, int], least: int) -> float | int:
    """The value itself where enough patients have it, else the next number outwards that has one digit: 17 becomes 10,
    89 becomes 90, and 7 becomes 8."""
    if counts.get(f"{value:g}", 0) >= least or value == 0:
        return value
    unit = 10.0 ** math.floor(math.log10(abs(value)))
    digit = towards(value / unit)
    if digit == value / unit:
        digit += 1 if towards is math.ceil else -1
    bound = digit * unit
    return int(bound) if float(bound).is_integer() else float(f"{bound:.12g}")


def _draft(project: Project) -> dict[str, Any]:
    return dict(Project.objects.get(pk=project.pk).dictionary)


def _keep(project: Project, draft: dict[str, Any]) -> None:
    project.dictionary = draft
    project.save(update_fields=["dictionary"])
