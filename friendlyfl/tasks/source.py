"""Reading a CSV file as hospitals write it into a typed table, and saying everything that was guessed in words.

`read_csv` gives a `Source`: the table, a description of each column, the digest of the file. Only what every
cell of a column allows is converted; a column that is nearly numeric stays text and lists its odd rows, by the
number a person counts and by the line of the file. These lists hold values: they are for the hospital's own
people.

What does not live here: encodings and separators (sniff), the meaning of single cells (cells), the agreed
dictionary and a site's own names and codes (mapping), other kinds of source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import cells
from friendlyfl.tasks.chunks import Part, Rows
from friendlyfl.tasks.dictionary import close_names
from friendlyfl.tasks.infer import r_order
from friendlyfl.tasks.sniff import Progress, Sniffed, sniff

__all__ = ["ColumnDescription", "OddRow", "Source", "read_csv", "sniff"]

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


def read_csv(
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    missing: Collection[str] | Mapping[str, Collection[str]] = (),
    types: Mapping[str, str] | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    progress: Progress | None = None,
) -> Source:
    """Read a CSV file.

    An empty cell is missing; other words and numbers are missing only where `missing` says so, exactly as they
    are written: for all columns, or by column. `types`, `encoding`, `separator` and `decimal` are a person's
    corrections of what would be guessed. `progress` is told the fraction done.
    """
    path = Path(path)
    before = _stamp(path)
    tell = progress or (lambda fraction: None)
    look = sniff(path, encoding=encoding, separator=separator, progress=lambda f: tell(0.1 * f))
    chosen = _chosen(look, columns)
    wishes = _wishes(look, types or {}, decimal)
    codes = {
        name: frozenset(missing.get(name, ()) if isinstance(missing, Mapping) else missing) for name in chosen
    }
    words = {name for name in chosen if wishes.get(name, "").startswith(("text", "factor", "date"))}
    rows = Rows(path, look)
    parts = rows.read(chosen, codes, words, lambda f: tell(0.1 + 0.8 * f))
    sign = decimal or _decimal_sign(look, parts)
    again = tuple(name for name in chosen if _needs_words(parts[name], sign))
    if again:
        parts |= rows.read(again, codes, again, lambda f: tell(0.9))
    if _stamp(path) != before:
        raise UsageError("dataset_changed", f"The file {path.name} changed while it was read: read it again.")
    described = []
    frame: dict[str, Any] = {}
    for name in chosen:
        column = _Column(
            name, look.headers[look.names.index(name)], rows, sign, bool(decimal), wishes.get(name, "")
        )
        frame[name], description = column.finish(parts.pop(name))
        described.append(description)
    tell(1.0)
    notes = (*look.notes, *rows.notes)
    return Source(pd.DataFrame(frame), tuple(described), look.words, look.digest, rows.count, notes)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0)  # sniff says it in words
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _chosen(look: Sniffed, columns: Sequence[str] | None) -> tuple[str, ...]:
    if columns is None:
        return look.names
    for name in columns:
        _known(look, name)
    return tuple(dict.fromkeys(columns))


def _known(look: Sniffed, name: str) -> None:
    if name not in look.names:
        raise UsageError("column_missing", f"The file has no column “{name}”.{close_names(name, look.names)}")


def _wishes(look: Sniffed, types: Mapping[str, str], decimal: str | None) -> Mapping[str, str]:
    for name, kind in types.items():
        _known(look, name)
        if kind not in TYPES:
            raise UsageError(
                "column_type", f"Column “{name}” cannot be “{kind}”: choose one of {', '.join(TYPES)}."
            )
    if decimal not in (None, ".", ","):
        raise UsageError("csv_decimal", "The decimal sign is a point or a comma.")
    return types


def _decimal_sign(look: Sniffed, parts: Mapping[str, list[Part]]) -> str:
    """The decimal sign that the file shows by cells with one reading only; "" when it shows none or both."""
    shown = {
        "." if part.kind == "point" else ","
        for column in parts.values()
        if len({part.kind for part in column} - {"empty", "int"}) == 1
        for part in column
        if part.kind in ("point", "comma") and part.proven
    }
    if not shown:
        words = (part.values for column in parts.values() for part in column if part.kind == "words")
        shown = {sign for values in words if (sign := cells.proves(set(values) - {None}))}
    if not shown and look.separator == ",":
        return "."  # commas are taken
    return shown.pop() if len(shown) == 1 else ""


def _needs_words(column: list[Part], sign: str) -> bool:
    """Were numbers read chunk by chunk that cannot stand? Then the whole column is judged from its words."""
    kinds = {part.kind for part in column} - {"empty", "int"}
    if not kinds or kinds == {"words"} == {part.kind for part in column} - {"empty"}:
        return False
    if kinds == {"point"}:
        return sign != "." and not any(part.proven for part in column)
    if kinds == {"comma"}:
        return sign != "," and not any(part.proven for part in column)
    return True


@dataclass(frozen=True)
class _Column:
    """Makes one column and its description from its parts."""

    name: str
    header: str
    rows: Rows
    sign: str
    forced: bool
    wish: str

    def finish(self, parts: list[Part]) -> tuple[Any, ColumnDescription]:
        missing = np.concatenate([part.missing for part in parts])
        kinds = {part.kind for part in parts} - {"empty"}
        self_ = ColumnDescription(self.name, self.header, "empty", int((~missing).sum()), int(missing.sum()))
        if not kinds:
            return _strings(np.full(len(missing), None, dtype=object)), self_
        if kinds == {"words"}:
            return self._words(_joined(parts, object), self_)
        if kinds == {"int"} and self.wish != "number":
            return self._integers(_joined(parts, np.int64), missing, self_)
        notes = ("Read with decimal commas.",) if "comma" in kinds else ()
        described = dataclasses.replace(self_, notes=notes, decimals=max(part.decimals for part in parts))
        return self._numbers(_joined(parts, np.float64), missing, described)

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
        described = dataclasses.replace(described, notes=verdict.notes, date_format=verdict.date_format)
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
            odd=tuple(OddRow(r + 1, self.rows.line(r + 1), tokens[index[r]]) for r in rows[:ODD_ROWS]),
            odd_count=len(rows),
            notes=(note,),
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
