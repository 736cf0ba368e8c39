"""Some rows of one column that its source gives with a type: joined, freed of codes for "no value", made an array.

What does not live here: where pieces come from (the readers), and what a whole column is in words (described).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from friendlyfl.tasks.dictionary import level_text
from friendlyfl.tasks.values import day_of, number_of

TRUTH = "1 stands for true and 0 for false."
TIME_OF_DAY = "The time of day was left out."  # as of a CSV file
TOO_LONG = "Whole numbers longer than 18 digits would lose digits: kept as text."
SINGLE = "Stored with single precision, about 7 digits."
INFINITE = "Holds infinite numbers: they are refused where the column is used."
_EMPTY = {"integer": 0, "number": np.nan, "date": np.datetime64("NaT"), "text": None}
_TYPES: dict[str, Any] = {
    "integer": np.int64,
    "number": np.float64,
    "date": "datetime64[s]",
    "text": object,
}


@dataclass(frozen=True)
class Piece:
    """`kind`: integer (int64), number (float64), date (datetime64[s]), text (str or None), or empty."""

    kind: str
    values: NDArray[Any]
    missing: NDArray[np.bool_]
    notes: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()  # of a text column whose source declares them, in its order

    def __len__(self) -> int:
        return len(self.missing)


def piece(
    kind: str, values: Any, missing: Any, notes: Iterable[str] = (), levels: Sequence[str] = ()
) -> Piece:
    """A piece whose missing places hold what stands for nothing."""
    gone = np.asarray(missing, dtype=np.bool_)
    kept = np.asarray(values).astype(_TYPES[kind], copy=True)
    kept[gone] = _EMPTY[kind]
    return Piece(kind, kept, gone, tuple(notes), tuple(levels))


def empty(count: int) -> Piece:
    """Rows without a value, of a column whose type is not known."""
    return Piece("empty", np.full(count, None, dtype=object), np.full(count, True, dtype=np.bool_))


def of_numbers(values: NDArray[np.float64], notes: Iterable[str] = ()) -> Piece:
    """Doubles; NaN is missing."""
    said = (*notes, INFINITE) if np.isinf(values).any() else tuple(notes)
    return piece("number", values, np.isnan(values), said)


def of_texts(index: NDArray[np.int64], different: Sequence[str], notes: Iterable[str] = ()) -> Piece:
    """Text by its different values and which of them each row holds, -1 for none. Blanks around are ignored."""
    texts = np.array([text.strip() or None for text in different] + [None], dtype=object)
    words = texts[index]
    gone = np.array([text is None for text in texts], dtype=np.bool_)[index]
    return piece("text", words, gone, notes)


def of_moments(moments: NDArray[np.datetime64], notes: Iterable[str] = ()) -> Piece:
    """Days of dates or of moments; NaT is missing."""
    days = moments.astype("datetime64[D]")
    gone = np.isnat(moments)
    timed = bool((moments[~gone] != days[~gone].astype(moments.dtype)).any())
    said = (*notes, TIME_OF_DAY) if timed else tuple(notes)
    return piece("date", days.astype("datetime64[s]"), gone, said)


def as_words(one: Piece) -> Piece:
    """The piece as text, written as levels are: 1 and 1.0 are “1”, a date is 2024-12-31."""
    if one.kind in ("text", "empty"):
        return one
    index, different = pd.factorize(one.values)
    texts = [
        np.datetime_as_string(value, unit="D").item() if one.kind == "date" else level_text(value)
        for value in np.asarray(different)
    ]
    words = np.array([*texts, None], dtype=object)[np.where(one.missing, -1, index)]
    return piece("text", words, one.missing, [note for note in one.notes if note != TRUTH])


def without(one: Piece, codes: Collection[str]) -> Piece:
    """The piece with these values taken out: texts as written, numbers by value, dates as 2024-12-31."""
    if not codes or one.kind == "empty":
        return one
    if one.kind == "text":
        hit = pd.Series(one.values).isin(list(codes)).to_numpy()
    elif one.kind == "date":
        days = {day for code in codes if (day := day_of(code) if _iso(code) else None) is not None}
        hit = np.isin(one.values.astype("datetime64[D]").astype(np.int64), list(days))
    else:
        numbers = {number for code in codes if (number := number_of(code)) is not None}
        hit = np.isin(one.values, list(numbers))
    if not hit.any():
        return one
    return piece(one.kind, one.values, one.missing | hit, one.notes, one.levels)


def _iso(code: str) -> bool:
    return len(code) == 10


def merged(parts: Sequence[Piece]) -> Piece:
    """One piece of several: whole numbers join numbers, and everything else that differs becomes text."""
    kinds = {part.kind for part in parts} - {"empty"}
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    levels = next((part.levels for part in parts if part.levels), ())
    if any(part.levels and part.levels != levels for part in parts):
        levels = ()
    missing = np.concatenate([part.missing for part in parts]) if parts else np.zeros(0, dtype=np.bool_)
    if not kinds:
        return Piece("empty", np.full(len(missing), None, dtype=object), missing, tuple(notes), levels)
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if len(kinds) > 1:
        parts, kinds = [as_words(part) for part in parts], {"text"}
    kind = kinds.pop()
    values = [
        np.full(len(part), _EMPTY[kind], dtype=_TYPES[kind])
        if part.kind == "empty"
        else part.values.astype(_TYPES[kind])
        for part in parts
    ]
    return piece(kind, np.concatenate(values), missing, notes, levels)


def cut(one: Piece, start: int, end: int | None = None) -> Piece:
    """Some rows of the piece."""
    part = slice(start, end)
    return Piece(one.kind, one.values[part], one.missing[part], one.notes, one.levels)


def array(one: Piece) -> Any:
    """What a table holds: Int64, float64, datetime64[s] or string, as of a CSV file."""
    if one.kind == "integer":
        return pd.arrays.IntegerArray(one.values, one.missing)
    if one.kind in ("number", "date"):
        return one.values
    return pd.array(one.values, dtype=pd.StringDtype("python"))


def whole(values: NDArray[np.float64]) -> bool:
    """Are all of these doubles whole numbers that a double holds exactly?"""
    present = values[~np.isnan(values)]
    return bool(((np.abs(present) <= 2.0**53) & (present == np.floor(present))).all())


def of_decimals(index: NDArray[np.int64], different: Sequence[Any], only_whole: bool) -> Piece:
    """Decimal numbers, by their different values: whole ones of at most 18 digits, else the nearest doubles."""
    if only_whole and all(abs(value) < 10**18 for value in different):
        numbers = np.array([*map(int, different), 0], dtype=np.int64)
        return piece("integer", numbers[index], index < 0)
    if only_whole:
        return of_texts(index, [f"{value:f}" for value in different], [TOO_LONG])
    return of_numbers(np.array([*map(float, different), np.nan], dtype=np.float64)[index])


def with_levels(one: Piece, levels: Iterable[str]) -> Piece:
    """A text piece with the levels its source declares; other kinds have none."""
    if one.kind not in ("text", "empty"):
        return one
    return Piece(one.kind, one.values, one.missing, one.notes, tuple(dict.fromkeys(filter(None, levels))))
