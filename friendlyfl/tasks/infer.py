"""A dictionary guessed from all files together: for simulation only, because only there can all files be seen.

Levels are sorted as R's `factor()` sorts them in an English locale: accents and capitals decide last, small letters
before capitals. Steps are the finest decimal place that occurs; values on no decimal grid get a grid point by point.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from friendlyfl.tasks.dictionary import ColumnSpec, Dictionary, Floats, level_text
from friendlyfl.tasks.values import day_of, distinct, number_of

if TYPE_CHECKING:
    import pandas as pd

FACTOR_LEVELS = 50  # words with more distinct values are taken for text
REGULAR_GRID = 50_000  # a larger regular grid gives way to the list of values that occur


def r_order(text: str) -> tuple[str, str, str]:
    """A key that sorts texts as R does in an English locale."""
    folded = unicodedata.normalize("NFD", text.casefold())
    bare = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return bare, folded, text.swapcase()


def infer(frames: Sequence[pd.DataFrame]) -> Dictionary:
    """Types, levels, ranges and steps of every column that any of the frames has."""
    names = dict.fromkeys(
        str(name) for frame in frames for name in frame.columns if not str(name).startswith(".")
    )
    found = Dictionary({name: ColumnSpec(name, _type(_values(frames, name))) for name in names})
    return complete(found, frames)


def complete(dictionary: Dictionary, frames: Sequence[pd.DataFrame]) -> Dictionary:
    """The dictionary with the levels, ranges and steps it leaves open, taken from all frames."""
    return dictionary.with_columns(
        {name: _completed(spec, _values(frames, name)) for name, spec in dictionary.items()}
    )


def _values(frames: Sequence[pd.DataFrame], name: str) -> list[Any]:
    """The distinct values of a column over all frames that have it."""
    found: dict[Any, None] = {}
    for frame in frames:
        if name in frame.columns:
            codes, values = distinct(frame[name])
            found.update(dict.fromkeys(values[np.unique(codes[codes >= 0])].tolist()))
    return list(found)


def _type(values: Iterable[Any]) -> str:
    values = list(values)
    numbers = [number_of(value) for value in values]
    if all(number is not None for number in numbers) and not any(isinstance(value, bool) for value in values):
        whole = all(number is not None and number.is_integer() for number in numbers)
        return "integer" if whole and values else "number"
    if all(day_of(value) is not None for value in values):
        return "date"
    return "factor" if len({level_text(value) for value in values}) <= FACTOR_LEVELS else "text"


def _completed(spec: ColumnSpec, values: list[Any]) -> ColumnSpec:
    if spec.type == "factor":
        levels = spec.levels or tuple(sorted({level_text(value) for value in values}, key=r_order))
        return dataclasses.replace(spec, levels=levels)
    if spec.type == "text":
        return spec
    read = (day_of(value) if spec.type == "date" else number_of(value) for value in values)
    numbers = np.unique(np.array([number for number in read if number is not None], dtype=np.float64))
    if not len(numbers):
        return spec
    low = float(numbers[0]) if spec.low is None else spec.low
    high = float(numbers[-1]) if spec.high is None else spec.high
    spec = dataclasses.replace(spec, low=low, high=high)
    if spec.type in ("integer", "date"):
        return dataclasses.replace(spec, step=1.0)
    return spec if spec.step is not None or spec.listed else _with_grid(spec, numbers)


def _with_grid(spec: ColumnSpec, numbers: Floats) -> ColumnSpec:
    assert spec.low is not None and spec.high is not None
    bounds = np.array([spec.low, spec.high])
    places = max(_places(float(number)) for number in [*numbers, *bounds])
    if (spec.high - spec.low) * 10.0**places <= REGULAR_GRID:
        return dataclasses.replace(spec, step=float(Decimal(1).scaleb(-places)))
    return dataclasses.replace(spec, listed=tuple(float(number) for number in numbers))


def _places(number: float) -> int:
    exponent = Decimal(repr(number)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
