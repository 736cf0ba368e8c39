"""A table that was read, described in plain values: what a hospital's own people look at, and what is kept of it.

It holds values (levels, the smallest and largest, cells that do not fit), so it is shown in this hospital only and
goes nowhere else. Reading is in formats; what a column is was decided in columns.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks.dictionary import level_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from friendlyfl.tasks.columns import ColumnDescription, Survey
    from friendlyfl.tasks.dictionary import Dictionary
    from friendlyfl.tasks.mapping import Mapping

LONGEST_VALUE = 80


def describe(survey: Survey) -> dict[str, Any]:
    """The description that is kept with a dataset."""
    return {
        "guessed": list(survey.notes),
        "file": [survey.guessed, *survey.file_notes],
        "columns": [_column(column) for column in survey.columns],
    }


def _column(column: ColumnDescription) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "n": column.n,
        "missing": column.n_missing,
    }
    if column.header != column.name:
        found["header"] = column.header[:LONGEST_VALUE]
    if column.low is not None:
        found["low"], found["high"] = _plain(column.low), _plain(column.high)
    if column.decimals:
        found["decimals"] = column.decimals
    if column.notes:
        found["notes"] = list(column.notes)
    if column.odd:
        found["odd"] = [[odd.row, odd.line, odd.value[:LONGEST_VALUE]] for odd in column.odd]
        found["odd_count"] = column.odd_count
    names = [level_text(value) for value, _ in column.values]
    if names and max(map(len, names)) <= LONGEST_VALUE:  # cut short they could not be told apart
        found["values"] = [[name, count] for name, (_, count) in zip(names, column.values, strict=True)]
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()[:10]
    return value if isinstance(value, (int, float)) else str(value)[:10]


class Fit:
    """How a table fits a dictionary, column by column: filled some rows at a time, with a sentence for what first
    does not."""

    def __init__(self, dictionary: Dictionary, names: Iterable[str]) -> None:
        self.dictionary = dictionary
        self.found: dict[str, dict[str, Any]] = {
            name: {"n": 0, "missing": 0, "problem": ""} for name in names
        }

    def add(self, frame: pd.DataFrame, mapping: Mapping) -> None:
        from friendlyfl.tasks.mapping import values_of

        for name, one in self.found.items():
            if one["problem"]:
                continue
            try:
                values = values_of(mapping, frame, self.dictionary.spec(name))
            except FriendlyError as error:
                one["problem"] = error.message
                continue
            gaps = _gaps(values, self.dictionary.spec(name).type)
            one["missing"] += gaps
            one["n"] += len(frame) - gaps


def _gaps(values: Any, kind: str) -> int:
    import numpy as np

    if kind == "factor":
        return int((values < 0).sum())
    if kind == "text":
        return sum(value is None for value in values)
    return int(np.isnan(values).sum())
