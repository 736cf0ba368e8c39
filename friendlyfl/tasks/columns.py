"""What one column of a read table is: its values with a type, and every guess that made them so, in words.

Here live the decision over a whole column and its description. What single cells may mean is in cells; reading a CSV
file is in source, other kinds of files in readers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import cells
from friendlyfl.tasks.chunks import Part
from friendlyfl.tasks.infer import r_order
from friendlyfl.tasks.readers.pieces import Piece, array, as_words

ODD_ROWS = 10
FACTOR_LEVELS = 50
TYPES = ("integer", "number", "factor", "date", "date d.m.Y", "date m.d.Y", "text")
_SENTINELS = (-9, -8, -99, -999, -9999)


@dataclass(frozen=True)
class OddRow:
    """A cell that keeps a column from being numbers or dates. Shown at this hospital only."""

    row: int  # as a person counts rows of data, from 1
    line: int  # of the file
    value: str


@dataclass(frozen=True)
class ColumnDescription:
    """What a column is, and every guess that made it so."""

    name: str
    header: str  # as written in the file
    type: str  # integer, number, factor (few different words), date, text, or empty
    n: int  # values present
    n_missing: int
    levels: tuple[str, ...] = ()  # of a factor
    low: Any = None  # of an integer, number or date
    high: Any = None
    decimals: int = 0
    date_format: str = ""
    odd: tuple[OddRow, ...] = ()  # the first ten
    odd_count: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A file that was read: the typed table and what was guessed."""

    frame: pd.DataFrame  # Int64, float64, datetime64[s] and string columns
    columns: tuple[ColumnDescription, ...]
    guessed: str
    digest: str
    rows: int
    file_notes: tuple[str, ...] = ()

    def column(self, name: str) -> ColumnDescription:
        return next(column for column in self.columns if column.name == name)

    @property
    def notes(self) -> tuple[str, ...]:
        """Every guess as a sentence, the file's first, then column by column."""
        lines = [self.guessed, *self.file_notes]
        for column in self.columns:
            lines += [f"Column “{column.name}”: {note}" for note in column.notes]
        return tuple(lines)


@dataclass(frozen=True)
class Column:
    """Makes one column and its description from its parts."""

    name: str
    header: str
    wish: str = ""
    line: Callable[[int], int] = int  # of the file, for a row
    sign: str = ""
    forced: bool = False

    def finish(self, parts: list[Part], notes: tuple[str, ...] = ()) -> tuple[Any, ColumnDescription]:
        """The column and its description from cells as they are written, with what was said of it so far."""
        missing = np.concatenate([part.missing for part in parts])
        kinds = {part.kind for part in parts} - {"empty"}
        self_ = ColumnDescription(
            self.name, self.header, "empty", int((~missing).sum()), int(missing.sum()), notes=notes
        )
        if not kinds:
            return _strings(np.full(len(missing), None, dtype=object)), self_
        if kinds == {"words"}:
            return self._words(_joined(parts, object), self_)
        if kinds == {"int"} and self.wish != "number":
            return self._integers(_joined(parts, np.int64), missing, self_)
        if "comma" in kinds:
            notes = (*notes, "Read with decimal commas.")
        described = dataclasses.replace(self_, notes=notes, decimals=max(part.decimals for part in parts))
        return self._numbers(_joined(parts, np.float64), missing, described)

    def typed(self, one: Piece) -> tuple[Any, ColumnDescription]:
        """The column and its description from a source that says the type itself: text stays text."""
        n = int((~one.missing).sum())
        described = ColumnDescription(self.name, self.header, "empty", n, len(one) - n, notes=one.notes)
        if self.wish in ("text", "factor"):
            one = as_words(one)
        if not n:
            return _strings(np.full(len(one), None, dtype=object)), described
        if one.kind == "text":
            return self._declared_text(one, described)
        if one.kind == "date" or self.wish.startswith("date"):
            self._refuse([] if one.kind == "date" else [*np.flatnonzero(~one.missing)], "holds numbers")
            self._refuse([*np.flatnonzero(~one.missing)] if self._numeric else [], "holds dates")
            days = one.values[~one.missing].astype("datetime64[D]")
            low, high = days.min().item(), days.max().item()
            return array(one), dataclasses.replace(described, type="date", low=low, high=high)
        if one.kind == "integer" and self.wish != "number":
            return self._integers(one.values, one.missing, described)
        return self._numbers(one.values.astype(np.float64), one.missing, described)

    @property
    def _numeric(self) -> bool:
        return self.wish in ("integer", "number")

    def _declared_text(self, one: Piece, described: ColumnDescription) -> tuple[Any, ColumnDescription]:
        if self.wish not in ("", "text", "factor"):
            return self._words(one.values, described)
        if one.levels and self.wish != "text":
            return array(one), dataclasses.replace(described, type="factor", levels=one.levels)
        if self.wish:
            return self._words(one.values, described)
        index, different = pd.factorize(one.values)
        tokens = [str(token) for token in different]
        counts = np.bincount(index[index >= 0], minlength=len(tokens)).tolist()
        verdict = cells.judge(tokens, counts, decimal="")
        kind = {"integer": "a number", "number": "a number", "date": "a date"}.get(verdict.type)
        if kind:
            note = f"Stored as text, though every value is {kind}: the dictionary decides what it is."
            verdict = cells.Verdict("text", [None] * len(tokens))
            described = dataclasses.replace(described, notes=(*described.notes, note))
        return array(one), self._text(verdict, index, tokens, described)

    def _integers(
        self, values: NDArray[Any], missing: NDArray[np.bool_], described: ColumnDescription
    ) -> tuple[Any, ColumnDescription]:
        array = pd.arrays.IntegerArray(np.where(missing, 0, values).astype(np.int64), missing)
        present = values[~missing]
        return array, dataclasses.replace(
            described,
            type="integer",
            low=int(present.min()),
            high=int(present.max()),
            notes=(*described.notes, *_sentinel_note(present)),
        )

    def _numbers(
        self, values: NDArray[Any], missing: NDArray[np.bool_], described: ColumnDescription
    ) -> tuple[Any, ColumnDescription]:
        if self.wish == "integer":
            broken = ~missing & (values != np.floor(values))
            self._refuse(np.flatnonzero(broken).tolist(), "holds numbers with decimals")
            return self._integers(values, missing, described)
        present = values[~missing]
        return np.where(missing, np.nan, values), dataclasses.replace(
            described,
            type="number",
            low=float(present.min()),
            high=float(present.max()),
            notes=(*described.notes, *_sentinel_note(present)),
        )

    def _words(self, words: NDArray[Any], described: ColumnDescription) -> tuple[Any, ColumnDescription]:
        index, different = pd.factorize(words)  # None is -1
        tokens = [str(token) for token in different]
        counts = np.bincount(index[index >= 0], minlength=len(tokens)).tolist()
        if self.wish in ("text", "factor"):
            levels = _levels(tokens) if self.wish == "factor" else ()
            return _strings(words), dataclasses.replace(described, type=self.wish, levels=levels)
        order = self.wish.removeprefix("date").strip()
        verdict = cells.judge(tokens, counts, decimal=self.sign, forced=self.forced, order=order)
        described = dataclasses.replace(
            described, notes=(*described.notes, *verdict.notes), date_format=verdict.date_format
        )
        self._check_wish(verdict, index)
        if verdict.type == "date":
            lookup = np.array([*verdict.values, None], dtype="datetime64[s]")  # -1 takes the last: no date
            low, high = min(verdict.values), max(verdict.values)
            return lookup[index], dataclasses.replace(described, type="date", low=low, high=high)
        if verdict.type in ("integer", "number"):
            kind = np.int64 if verdict.type == "integer" and self.wish != "number" else np.float64
            values = np.array([*verdict.values, 0], dtype=kind)[index]
            described = dataclasses.replace(described, decimals=verdict.decimals)
            make = self._integers if kind is np.int64 else self._numbers
            return make(values, index < 0, described)
        return _strings(words), self._text(verdict, index, tokens, described)

    def _text(
        self, verdict: cells.Verdict, index: NDArray[Any], tokens: list[str], described: ColumnDescription
    ) -> ColumnDescription:
        few = len(tokens) <= 10 or (len(tokens) <= FACTOR_LEVELS and len(tokens) * 2 <= described.n)
        levels = _levels(tokens) if few else ()
        if verdict.notes and verdict.looks_like:  # numbers or dates that can be read in two ways
            return dataclasses.replace(described, type="text")
        if not verdict.looks_like:
            return dataclasses.replace(described, type="factor" if few else "text", levels=levels)
        odd = [value is None for value in verdict.values]
        rows = np.flatnonzero(np.array([*odd, False])[index]).tolist()
        strange = [token for token, is_odd in zip(tokens, odd, strict=True) if is_odd]
        note = f"Looks like {verdict.looks_like}, except in {_rows(rows)}: kept as text."
        if all(map(cells.looks_missing, strange)):  # then it is no factor with a level NA
            note += f" If {' and '.join(strange[:3])} means that there is no value, declare it as missing."
            few, levels = False, ()
        return dataclasses.replace(
            described,
            type="factor" if few else "text",
            levels=levels,
            odd=tuple(OddRow(r + 1, self.line(r + 1), tokens[index[r]]) for r in rows[:ODD_ROWS]),
            odd_count=len(rows),
            notes=(*described.notes, note),
        )

    def _check_wish(self, verdict: cells.Verdict, index: NDArray[Any]) -> None:
        wished = self.wish.partition(" ")[0]
        if wished in ("integer", "number") and verdict.type not in ("integer", "number"):
            bad = [value is None or verdict.looks_like != "numbers" for value in verdict.values]
            self._refuse(np.flatnonzero(np.array([*bad, False])[index]).tolist(), "holds text")
        if wished == "date" and verdict.type != "date":
            bad = [value is None or verdict.looks_like != "dates" for value in verdict.values]
            rows = np.flatnonzero(np.array([*bad, False])[index]).tolist()
            self._refuse(rows, "holds something other than dates")
            raise UsageError("column_type", f"Column “{self.name}”: {verdict.notes[0]}")

    def _refuse(self, rows: Sequence[int], what: str) -> None:
        if rows:
            raise UsageError("column_type", f"Column “{self.name}” {what} in {_rows(rows)}.")


def _joined(parts: list[Part], kind: Any) -> NDArray[Any]:
    """The parts as one array; rows of an empty part are None or 0 and marked as missing elsewhere."""
    return np.concatenate(
        [
            np.full(len(part.values), None if kind is object else 0, dtype=kind)
            if part.kind == "empty"
            else part.values.astype(kind, copy=False)
            for part in parts
        ]
    )


def _strings(words: NDArray[Any]) -> Any:
    return pd.array(words, dtype=pd.StringDtype("python"))


def _levels(tokens: list[str]) -> tuple[str, ...]:
    return tuple(sorted(tokens, key=r_order))


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def _rows(rows: Sequence[int]) -> str:
    """`3 rows (12, 40, 77)`, as a person counts."""
    numbers = ", ".join(str(row + 1) for row in rows[:ODD_ROWS])
    more = ", …" if len(rows) > ODD_ROWS else ""
    return f"{_counted(len(rows), 'row')} ({numbers}{more})"


def _sentinel_note(present: NDArray[Any]) -> tuple[str, ...]:
    """-9 among values that are otherwise never below 0 often means that there is none: asked, not assumed."""
    low, below = present.min(), int((present < 0).sum())
    if low not in _SENTINELS or below != (present == low).sum() or below == len(present):
        return ()
    where = _counted(below, "row")
    return (
        f"{low:g} is the only value below 0, in {where}. If it means that there is no value, declare it.",
    )
