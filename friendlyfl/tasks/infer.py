"""A dictionary guessed from all files together: for simulation only, because only there can all files be seen.

Levels are sorted as R's `factor()` sorts them in an English locale: accents and capitals decide last, small letters
before capitals. Steps are the finest decimal place that occurs; values on no decimal grid get a grid point by point.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from friendlyfl.tasks.dictionary import GRID_POINTS, ColumnSpec, Dictionary, Floats, level_text
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
    return Dictionary({name: _inferred(name, _Values.of(frames, name)) for name in names})


def complete(dictionary: Dictionary, frames: Sequence[pd.DataFrame]) -> Dictionary:
    """The dictionary with the levels, ranges and steps it leaves open, taken from all frames."""
    return dictionary.with_columns(
        {
            name: _completed(spec, _Values.of(frames, name))
            for name, spec in dictionary.items()
            if _is_open(spec)
        }
    )


@dataclass(frozen=True)
class _Values:
    """The distinct values of a column over all frames that have it: those held as numbers, and all others."""

    numbers: Floats
    others: list[Any]

    @classmethod
    def of(cls, frames: Sequence[pd.DataFrame], name: str) -> _Values:
        import pandas as pd

        numbers: list[Floats] = []
        others: dict[Any, None] = {}
        for frame in frames:
            if name not in frame.columns:
                continue
            series = frame[name]
            kind = series.dtype
            if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
                found = np.unique(series.to_numpy(dtype=np.float64, na_value=np.nan))
                numbers.append(found[np.isfinite(found)])
            else:
                _codes, values = distinct(series)
                others.update(
                    (value, None) for value in values if not (isinstance(value, str) and not value.strip())
                )
        return cls(np.unique(np.concatenate([*numbers, np.zeros(0)])), list(others))

    def texts(self) -> set[str]:
        return {level_text(value) for value in [*self.numbers.tolist(), *self.others]}

    def read(self, parse: Callable[[Any], float | None]) -> Floats:
        """All values as numbers; those that are none are left to the table, which names their rows."""
        parsed = [number for number in map(parse, self.others) if number is not None]
        return np.unique(np.concatenate([self.numbers, np.array(parsed, dtype=np.float64)]))


def _inferred(name: str, values: _Values) -> ColumnSpec:
    numbers = [number_of(value) for value in values.others if not isinstance(value, (bool, np.bool_))]
    if len(numbers) == len(values.others) and None not in numbers:
        read = values.read(number_of)
        whole = len(read) > 0 and bool((read == np.floor(read)).all())
        return _completed(ColumnSpec(name, "integer" if whole else "number"), values)
    if not len(values.numbers) and all(day_of(value) is not None for value in values.others):
        return _completed(ColumnSpec(name, "date"), values)
    few = len(values.texts()) <= FACTOR_LEVELS
    return _completed(ColumnSpec(name, "factor" if few else "text"), values)


def _is_open(spec: ColumnSpec) -> bool:
    if spec.type == "factor":
        return not spec.levels
    return spec.type != "text" and not spec.has_grid


def _completed(spec: ColumnSpec, values: _Values) -> ColumnSpec:
    if spec.type == "factor":
        return dataclasses.replace(spec, levels=tuple(sorted(values.texts(), key=r_order)))
    if spec.type == "text":
        return spec
    numbers = values.read(day_of if spec.type == "date" else number_of)
    if not len(numbers):
        return spec
    low = float(numbers[0]) if spec.low is None else spec.low
    high = float(numbers[-1]) if spec.high is None else spec.high
    step = 1.0 if spec.type in ("integer", "date") else spec.step or _decimal_step(numbers, low, high)
    if step is None or (high - low) / step > GRID_POINTS:
        return dataclasses.replace(spec, low=low, high=high, listed=tuple(numbers.tolist()))
    return dataclasses.replace(spec, low=low, high=high, step=step)


def _decimal_step(numbers: Floats, low: float, high: float) -> float | None:
    """The finest decimal place that occurs, or None when a grid of it would be too large to be worth it."""
    shown = np.concatenate([numbers, [low, high]])
    places = 0
    while (high - low) * 10.0**places <= REGULAR_GRID and places <= 15:
        if bool((np.rint(shown * 10.0**places) / 10.0**places == shown).all()):
            return float(f"1e-{places}")
        places += 1
    return None
