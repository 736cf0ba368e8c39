"""From a column as a site holds it to numbers, checked against the dictionary.

A value that does not fit is an error that names the rows, counted as a person counts them: the first row under the
header is row 1. Such a sentence is for the site's own people.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.dictionary import EPOCH, ColumnSpec, close_names, days, level_text

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]
SHOWN_ROWS = 5
_first_row: ContextVar[int] = ContextVar(
    "_first_row", default=0
)  # of the rows in hand, in the site's whole table


class DataError(UsageError):
    """A site's table does not fit the dictionary. The message may hold values and stays at this site.

    The code is one of `core.troubles`, whose fixed sentence is what others may read.
    """


def missing_column(name: str, names: list[str]) -> DataError:
    return DataError("column_missing", f"The table has no column “{name}”.{close_names(name, names)}")


@contextmanager
def counting_from(row: int) -> Iterator[None]:
    """A table is read some rows at a time, and sentences about rows count from its beginning."""
    token = _first_row.set(row)
    try:
        yield
    finally:
        _first_row.reset(token)


def rows_text(rows: Array) -> str:
    """“row 3” or “rows 3, 17 and 4 more”, from positions counted from 0."""
    numbers = [str(int(row) + 1 + _first_row.get()) for row in rows[:SHOWN_ROWS]]
    if len(rows) == 1:
        return f"row {numbers[0]}"
    more = len(rows) - len(numbers)
    return (
        f"rows {', '.join(numbers)} and {more} more"
        if more
        else f"rows {', '.join(numbers[:-1])} and {numbers[-1]}"
    )


def _bad(code: str, spec: ColumnSpec, rows: Array, value: Any, what: str) -> DataError:
    return DataError(code, f"“{spec.name}” holds “{value}” in {rows_text(rows)}: {what}.")


def distinct(series: pd.Series[Any]) -> tuple[Array, Array]:
    """Codes into the distinct values, -1 where missing or blank, and those values."""
    import pandas as pd

    codes, values = pd.factorize(series)
    kept = np.asarray(values, dtype=object)
    blank = np.array([isinstance(value, str) and not value.strip() for value in kept], dtype=bool)
    return np.where((codes >= 0) & ~np.append(blank, False)[codes], codes, -1).astype(np.int64), kept


def number_of(value: Any) -> float | None:
    """The double nearest to what is written, or None for what is no finite number."""
    if isinstance(value, str) and "_" in value:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def day_of(value: Any) -> float | None:
    """Days since 1970-01-01 of an ISO date, a date or a timestamp, or None."""
    if isinstance(value, str):
        try:
            return days(value)
        except ValueError:
            return None
    if isinstance(value, dt.datetime):
        value = value.date()
    return float((value - EPOCH).days) if isinstance(value, dt.date) else None


def column_values(series: pd.Series[Any], spec: ColumnSpec) -> Array:
    """The column as numbers: doubles with NaN where missing, codes of levels with -1, text with None."""
    if spec.type == "factor":
        return _codes(series, spec)
    if spec.type == "text":
        codes, values = distinct(series)
        texts = np.array([level_text(value) for value in values] + [None], dtype=object)
        return np.asarray(texts[codes])
    return _numbers(series, spec)


def _codes(series: pd.Series[Any], spec: ColumnSpec) -> Array:
    places = {level: code for code, level in enumerate(spec.levels)}
    codes, values = distinct(series)
    found = np.array([places.get(level_text(value), -2) for value in values] + [-1], dtype=np.int64)
    result = found[codes]
    if len(rows := np.flatnonzero(result == -2)):
        value = values[codes[rows[0]]]
        raise _bad(
            "level_unknown", spec, rows, value, f"that is none of its levels ({', '.join(spec.levels)})"
        )
    return result


def _numbers(series: pd.Series[Any], spec: ColumnSpec) -> Array:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(series.dtype):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        unread = np.flatnonzero(np.isinf(numbers))
    else:
        codes, values = distinct(series)
        read = [day_of(value) if spec.type == "date" else number_of(value) for value in values]
        table = np.array([np.inf if value is None else value for value in read] + [np.nan], dtype=np.float64)
        numbers = table[codes]
        unread = np.flatnonzero(np.isinf(numbers))
    if len(unread):
        wanted = {"date": "it should be a date such as 2024-12-31"}.get(spec.type, "it should be a number")
        raise _bad("column_type", spec, unread, series.iloc[unread[0]], wanted)
    _check_bounds(numbers, series, spec)
    return np.asarray(numbers)


def _check_bounds(numbers: Array, series: pd.Series[Any], spec: ColumnSpec) -> None:
    if spec.type == "integer" and len(rows := np.flatnonzero(numbers != np.floor(numbers))):
        rows = rows[~np.isnan(numbers[rows])]
        if len(rows):
            raise _bad("column_type", spec, rows, series.iloc[rows[0]], "it should be a whole number")
    low = -np.inf if spec.low is None else spec.low
    high = np.inf if spec.high is None else spec.high
    if len(rows := np.flatnonzero((numbers < low) | (numbers > high))):
        allowed = " to ".join(str(bound) for bound in spec.to_json()["range"])
        raise _bad(
            "out_of_range", spec, rows, series.iloc[rows[0]], f"that is outside the allowed range {allowed}"
        )
