"""What one column of a read table is: its values with a type, and every guess that made them so, in words.

Here live the decision over a whole column and its description. What single cells may mean is in cells, what is counted
of them in tally; reading a CSV file is in source, other kinds of files in readers.
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
from friendlyfl.core.texts import ROWS
from friendlyfl.tasks import cells
from friendlyfl.tasks.chunks import FIRST, Fits, Found, Part
from friendlyfl.tasks.infer import r_order
from friendlyfl.tasks.tally import LARGEST_WHOLE, Spots, Tally, few

FACTOR_LEVELS = 50
TYPES = ("integer", "number", "factor", "date", "date d.m.Y", "date m.d.Y", "text")
UNCOUNTED = -1  # of rows whose words stand for others
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
    values: tuple[tuple[Any, int], ...] = ()  # different values and their counts, while they are few


@dataclass(frozen=True)
class Survey:
    """A table that was looked through: what it is and what was guessed."""

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


@dataclass(frozen=True, kw_only=True)
class Source(Survey):
    """A table that was looked through and is held whole: Int64, float64, datetime64[s] and string columns."""

    frame: pd.DataFrame


Find = Callable[[Fits], Sequence[Found]]


@dataclass(frozen=True)
class Decided:
    """What a column is. `array` makes some of its rows a part of a table."""

    description: ColumnDescription
    kind: str  # integer, number, date or text
    read: cells.Read | None = None  # of words that are numbers or dates

    def array(self, part: Part) -> Any:
        missing = part.missing
        if self.kind == "text":
            return _strings(
                part.values if part.kind == "words" else np.full(len(missing), None, dtype=object)
            )
        values = part.values
        if part.kind == "words":
            assert self.read is not None
            index, different = pd.factorize(values)  # None is -1, and takes the last: no value
            read = [self.read(token) for token in different]
            last = None if self.kind == "date" else 0
            values = np.array([*read, last], dtype=_HELD[self.kind])[index]
        elif part.kind == "empty":
            values = np.full(len(missing), None if self.kind == "date" else 0, dtype=_HELD[self.kind])
        if self.kind == "date":
            return values
        if self.kind == "integer":
            return pd.arrays.IntegerArray(np.where(missing, 0, values).astype(np.int64), missing)
        return np.where(missing, np.nan, values.astype(np.float64, copy=False))


_HELD: dict[str, Any] = {"integer": np.int64, "number": np.float64, "date": "datetime64[s]"}


def _not_looked(fits: Fits) -> Sequence[Found]:
    return ()


@dataclass(frozen=True)
class Column:
    """Decides what one column is from what was counted of it. `find` gives the first rows whose word makes its argument
    true: the row, the line of the file, the word."""

    name: str
    header: str
    wish: str = ""
    find: Find = _not_looked
    sign: str = ""
    forced: bool = False

    def finish(self, tally: Tally, notes: tuple[str, ...] = ()) -> Decided:
        """Of cells as they are written, with what was said of them so far."""
        self_ = self._described(tally, notes)
        if not tally.kinds:
            return Decided(self_, "text")
        if tally.kinds == {"words"}:
            return self._words(tally, self_)
        if "comma" in tally.kinds:
            self_ = dataclasses.replace(self_, notes=(*notes, "Read with decimal commas."))
        return self._numbers(tally, dataclasses.replace(self_, decimals=tally.decimals))

    def typed(self, tally: Tally, notes: tuple[str, ...] = (), levels: tuple[str, ...] = ()) -> Decided:
        """Of a source that says the type itself: text stays text."""
        described = self._described(tally, notes)
        if not tally.n:
            return Decided(described, "text")
        if tally.kinds == {"words"}:
            return self._declared_text(tally, levels, described)
        if tally.kinds == {"date"} or self.wish.startswith("date"):
            if tally.kinds != {"date"}:
                self._refuse(tally.present, "holds numbers")
            if self.wish in ("integer", "number"):
                self._refuse(tally.present, "holds dates")
            low, high = (day.astype("datetime64[D]").item() for day in (tally.low, tally.high))
            return Decided(dataclasses.replace(described, type="date", low=low, high=high), "date")
        return self._numbers(tally, described)

    def _described(self, tally: Tally, notes: tuple[str, ...]) -> ColumnDescription:
        return ColumnDescription(self.name, self.header, "empty", tally.n, tally.missing, notes=notes)

    def _declared_text(self, tally: Tally, levels: tuple[str, ...], described: ColumnDescription) -> Decided:
        if self.wish and not (levels and self.wish == "factor"):
            return self._words(tally, described)
        if levels:
            values = few(tally.words, levels)
            return Decided(
                dataclasses.replace(described, type="factor", levels=levels, values=values), "text"
            )
        tokens = list(tally.words)
        verdict = cells.judge(tokens, list(tally.words.values()), decimal="")
        kind = {"integer": "a number", "number": "a number", "date": "a date"}.get(verdict.type)
        if kind:
            note = f"Stored as text, though every value is {kind}: the dictionary decides what it is."
            verdict = cells.nothing(tokens)
            described = dataclasses.replace(described, notes=(*described.notes, note))
        return Decided(self._text(verdict, tally, described), "text")

    def _numbers(self, tally: Tally, described: ColumnDescription, read: cells.Read | None = None) -> Decided:
        """Of numbers that were counted as such, or of words that `read` makes numbers."""
        whole = tally.kinds == {"int"} and self.wish != "number"
        if self.wish == "integer":
            self._refuse(tally.broken, "holds numbers with decimals")
            self._refuse(tally.large, "holds numbers of more than 15 digits")
            whole = True
        make: Any = int if whole else float
        described = dataclasses.replace(
            described,
            type="integer" if whole else "number",
            low=None if tally.low is None else make(tally.low),
            high=None if tally.high is None else make(tally.high),
            notes=(*described.notes, *_sentinel_note(tally)),
            values=few(tally.numbers) if whole and tally.numbers is not None else (),
        )
        return Decided(described, described.type, read)

    def _words(self, tally: Tally, described: ColumnDescription) -> Decided:
        tokens, counts = list(tally.words), list(tally.words.values())
        if self.wish in ("text", "factor"):
            return Decided(_as_text(described, tally, self.wish == "factor"), "text")
        order = self.wish.removeprefix("date").strip()
        verdict = cells.judge(tokens, counts, decimal=self.sign, forced=self.forced, order=order)
        described = dataclasses.replace(
            described, notes=(*described.notes, *verdict.notes), date_format=verdict.date_format
        )
        self._check_wish(verdict, counts)
        read = verdict.read if tally.folded else dict(zip(tokens, verdict.values, strict=True)).__getitem__
        if verdict.type == "date":
            low, high = min(verdict.values), max(verdict.values)
            described = dataclasses.replace(described, type="date", low=low, high=high)
            return Decided(described, "date", read)
        if verdict.type in ("integer", "number"):
            described = dataclasses.replace(described, decimals=verdict.decimals)
            return self._numbers(self._counted(verdict, tally), described, read)
        return Decided(self._text(verdict, tally, described), "text")

    def _counted(self, verdict: cells.Verdict, tally: Tally) -> Tally:
        """The tally of the numbers that these words are; where some stand for others, without their size."""
        numbers, counts = Tally(), list(tally.words.values())
        numbers.kinds, numbers.present = {"int" if verdict.type == "integer" else "point"}, tally.present
        kind: Any = np.int64 if verdict.type == "integer" else np.float64
        if tally.folded:
            numbers.numbers = None
        else:
            numbers.count(np.array(verdict.values, dtype=kind), np.array(counts))
        if verdict.type == "number":
            numbers.broken = self._which(verdict, tally, lambda value: value % 1 != 0)
            numbers.large = self._which(verdict, tally, lambda value: abs(value) > LARGEST_WHOLE)
        return numbers

    def _which(self, verdict: cells.Verdict, tally: Tally, strange: Callable[[Any], bool]) -> Spots:
        """The rows with numbers of a kind; they are looked for only where somebody wants whole ones."""
        if self.wish != "integer":
            return Spots()
        hit = [strange(value) for value in verdict.values]
        count = UNCOUNTED if tally.folded else _rows_of(hit, list(tally.words.values()))
        spots = self._spots(lambda word: strange(verdict.read(word)), count)
        return spots if spots.rows else Spots()

    def _spots(self, fits: Fits, count: int) -> Spots:
        return Spots(count, [row for row, _, _ in self.find(fits)] if count else [])

    def _text(self, verdict: cells.Verdict, tally: Tally, described: ColumnDescription) -> ColumnDescription:
        tokens, counts = list(tally.words), list(tally.words.values())
        some = len(tokens) <= 10 or (len(tokens) <= FACTOR_LEVELS and len(tokens) * 2 <= described.n)
        some = some and not tally.folded
        if verdict.notes and verdict.looks_like:  # numbers or dates that can be read in two ways
            return _as_text(described, tally)
        if not verdict.looks_like:
            return _as_text(described, tally, some)
        odd = [value is None for value in verdict.values]
        spots = Spots(_rows_of(odd, counts))
        found = self.find(lambda word: verdict.read(word) is None)
        spots.rows = [row for row, _, _ in found]
        note = f"Looks like {verdict.looks_like}, except in {_rows(spots)}: kept as text."
        strange = [token for token, is_odd in zip(tokens, odd, strict=True) if is_odd]
        if all(map(cells.looks_missing, strange)):  # then it is no factor with a level NA
            note += f" If {' and '.join(strange[:3])} means that there is no value, declare it as missing."
            some = False
        return dataclasses.replace(
            _as_text(described, tally, some),
            odd=tuple(OddRow(row, line, word) for row, line, word in found),
            odd_count=spots.count,
            notes=(*described.notes, note),
        )

    def _check_wish(self, verdict: cells.Verdict, counts: list[int]) -> None:
        wished = self.wish.partition(" ")[0]
        wanted = {"integer": "numbers", "number": "numbers", "date": "dates"}.get(wished)
        if wanted is None or verdict.type in (("date",) if wished == "date" else ("integer", "number")):
            return
        other = verdict.looks_like != wanted
        bad = [other or value is None for value in verdict.values]
        spots = self._spots(lambda word: other or verdict.read(word) is None, _rows_of(bad, counts))
        self._refuse(spots, "holds something other than dates" if wished == "date" else "holds text")
        if wished == "date":
            raise UsageError("column_type", f"Column “{self.name}”: {verdict.notes[0]}")

    def _refuse(self, spots: Spots, what: str) -> None:
        if spots.count:
            raise UsageError("column_type", f"Column “{self.name}” {what} in {_rows(spots)}.")


def joined(parts: list[Part]) -> Part:
    """The parts of one column as one: words, or whole numbers, or numbers."""
    kinds = {part.kind for part in parts} - {"empty"}
    kind = "words" if "words" in kinds else "int" if kinds == {"int"} else "point" if kinds else "empty"
    held: Any = {"int": np.int64, "point": np.float64}.get(kind, object)
    values = [
        np.full(len(part.values), None if held is object else 0, dtype=held)
        if part.kind == "empty"
        else part.values.astype(held, copy=False)
        for part in parts
    ]
    return Part(kind, np.concatenate(values), np.concatenate([part.missing for part in parts]))


def _as_text(described: ColumnDescription, tally: Tally, factor: bool = False) -> ColumnDescription:
    levels = _levels(list(tally.words)) if factor else ()
    values = () if tally.folded else few(tally.words, levels)
    return dataclasses.replace(described, type="factor" if factor else "text", levels=levels, values=values)


def _strings(words: NDArray[Any]) -> Any:
    return pd.array(words, dtype=pd.StringDtype("python"))


def _levels(tokens: list[str]) -> tuple[str, ...]:
    return tuple(sorted(tokens, key=r_order))


def _rows_of(hit: list[bool], counts: list[int]) -> int:
    return sum(count for count, is_hit in zip(counts, hit, strict=True) if is_hit)


def _rows(spots: Spots) -> str:
    """`3 rows (12, 40, 77)`, as a person counts."""
    if spots.count == UNCOUNTED:
        return f"row {spots.rows[0]} and perhaps in others"
    numbers = ", ".join(map(str, spots.rows[:FIRST]))
    more = ", …" if spots.count > FIRST else ""
    return f"{ROWS(spots.count)} ({numbers}{more})"


def _sentinel_note(tally: Tally) -> tuple[str, ...]:
    """-9 among values that are otherwise never below 0 often means that there is none: asked, not assumed."""
    if tally.low not in _SENTINELS or tally.below != tally.lowest or tally.below == tally.n:
        return ()
    where = ROWS(tally.below)
    return (
        f"{tally.low:g} is the only value below 0, in {where}. If it means that there is no value, declare it.",
    )
