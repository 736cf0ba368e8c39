"""A column that says how follow-up ended: censored, or which of several events came first.

Of a factor the first level is censoring and the others are the types of event, in order; of a whole number 0 is
censoring. What does not live here: what is counted or estimated for each type (competing_risks, fine_gray).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Column, Text
from friendlyfl.tasks.dictionary import ColumnSpec, Dictionary, Integers, close_names, level_text
from friendlyfl.tasks.stats import wording

HELP = "A factor whose first level is censoring, or a whole number with 0 for censoring; all others are types of event"
CENSORED = "0"
TYPES = 50  # more are no types of event but a measurement


class EventColumn(Column[str]):
    """The column of event types: a factor with at least two levels, or whole numbers of which 0 means censored."""

    def __init__(self, label: str) -> None:
        super().__init__(label, kinds=["group", "number"], help=HELP)

    def wants(self) -> str:
        return "choose a column: a factor whose first level is censoring, or 0, 1, 2 with 0 for censoring"

    def check(self, name: str, dictionary: Dictionary) -> str:
        name = super().check(name, dictionary)
        names = type_names(dictionary.spec(name), self)
        if not 2 <= len(names) <= TYPES + 1:
            raise self.wrong(
                f"needs censoring and from 1 to {TYPES} types of event; “{name}” has {len(names)} values"
            )
        return name


class EventCode(Text):
    """One type of event, by its level or its number; empty for the first."""

    def read(self, value: Any, dictionary: Dictionary, sites: int) -> str:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return super().read(level_text(value) if number else value, dictionary, sites)


def type_names(spec: ColumnSpec, asked: Column[str]) -> tuple[str, ...]:
    """Names of what ends follow-up, censoring first."""
    if spec.type == "factor":
        return spec.levels
    if spec.has_grid and spec.grid_size <= TYPES + 1:
        values = spec.grid_values
        if (values == np.floor(values)).all() and values[0] >= 0.0:
            return (CENSORED, *types_of(spec))
    raise asked.wrong(
        f"needs 0 for censoring and whole numbers for the types of event; the dictionary's range of “{spec.name}” "
        "does not say so"
    )


def types_of(spec: ColumnSpec) -> tuple[str, ...]:
    """Names of the types of event, in the dictionary's order, without censoring."""
    if spec.type == "factor":
        return spec.levels[1:]
    return tuple(f"{value:.0f}" for value in spec.grid_values if value > 0.0)


def censored_name(spec: ColumnSpec) -> str:
    return spec.levels[0] if spec.type == "factor" else CENSORED


def ended(codes: Integers, spec: ColumnSpec) -> Integers:
    """How follow-up ended, from the column's codes row by row: 0 for censored, then the place of the type of event."""
    nobody_censored = spec.type != "factor" and spec.grid_values[0] > 0.0
    return codes + int(nobody_censored)


def place_of(code: str, spec: ColumnSpec, title: str) -> int:
    """The place of a type of event among them (the first is 1), or a sentence that names those there are."""
    names = types_of(spec)
    if not code:
        return 1
    if code not in names:
        near = close_names(code, names) or f" It must be {wording.listed(names)}."
        raise UsageError("parameter", f"{title}: “{spec.name}” has no type of event “{code}”.{near}")
    return names.index(code) + 1


def r_code(spec: ColumnSpec, name: str) -> str:
    """A level or code as R writes it."""
    return wording.quoted(name) if spec.type == "factor" else name
