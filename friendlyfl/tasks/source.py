"""Reading a CSV file as hospitals write it into a typed table, and saying everything that was guessed in words.

`CsvTable` looks through the file once or twice, in memory of some rows, and decides what each column is; then it gives
the table some rows at a time. `read_csv` gives the whole: the same rows. Only what every cell of a column allows is
converted; a column that is nearly numeric stays text and lists its odd rows, by the number a person counts and by the
line of the file. These lists hold values: they are for the hospital's own people.

What does not live here: encodings and separators (sniff), what a column is (columns), the agreed
dictionary and a site's own names and codes (mapping), other kinds of source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.chunks import Part, Rows
from friendlyfl.tasks.columns import (
    TYPES,
    Column,
    ColumnDescription,
    Decided,
    Find,
    OddRow,
    Source,
    Survey,
    joined,
)
from friendlyfl.tasks.dictionary import close_names
from friendlyfl.tasks.sniff import Progress, Sniffed, sniff
from friendlyfl.tasks.tally import Tally

__all__ = ["ColumnDescription", "CsvTable", "OddRow", "Source", "read_csv", "sniff"]

# Bytes of a file whose rows are kept from the first look; those of a larger one are read again.
HELD = 32 << 20
Codes = Collection[str] | Mapping[str, Collection[str]]


def read_csv(path: str | Path, **asked: Any) -> Source:
    """The whole table of a CSV file, asked for as a `CsvTable`."""
    return CsvTable(path, keep=True, **asked).whole()


class CsvTable:
    """A CSV file that was looked through.

    An empty cell is missing; other words and numbers are missing only where `missing` says so, exactly as they
    are written: for all columns, or by column. `types`, `encoding`, `separator` and `decimal` are a person's
    corrections of what would be guessed. `progress` is told the fraction done. Small files are read once
    and kept, and all files if `keep` says so.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        columns: Sequence[str] | None = None,
        missing: Codes = (),
        types: Mapping[str, str] | None = None,
        encoding: str | None = None,
        separator: str | None = None,
        decimal: str | None = None,
        progress: Progress | None = None,
        keep: bool = False,
    ) -> None:
        self.path = Path(path)
        self._stamp = _stamp(self.path)
        tell = progress or (lambda fraction: None)
        look = sniff(self.path, encoding=encoding, separator=separator, progress=lambda f: tell(0.1 * f))
        chosen = _chosen(look, columns)
        self._wishes = _wishes(look, types or {}, decimal)
        self._codes = {
            name: frozenset(missing.get(name, ()) if isinstance(missing, Mapping) else missing)
            for name in chosen
        }
        self._words = {
            name for name in chosen if self._wishes.get(name, "").startswith(("text", "factor", "date"))
        }
        self._rows = Rows(self.path, look)
        self._parts: list[tuple[int, dict[str, Part]]] | None = [] if keep or look.size <= HELD else None
        self._decided = self._decide(look, chosen, decimal, tell)
        tell(1.0)
        self.survey = Survey(
            tuple(one.description for one in self._decided.values()),
            look.words,
            look.digest,
            self._rows.count,
            (*look.notes, *self._rows.notes),
        )

    def _decide(
        self, look: Sniffed, chosen: tuple[str, ...], decimal: str | None, tell: Progress
    ) -> dict[str, Decided]:
        tallies = self._counted(chosen, lambda f: tell(0.1 + 0.8 * f))
        sign = decimal or _decimal_sign(look, tallies)
        again = tuple(name for name in chosen if _needs_words(tallies[name], sign))
        if again:
            self._words.update(again)
            tallies |= self._counted(again, lambda f: tell(0.9))
        self._check_same()
        decided = {}
        for name in chosen:
            header, wish = look.headers[look.names.index(name)], self._wishes.get(name, "")
            column = Column(name, header, wish, self._finder(name), sign, bool(decimal))
            decided[name] = column.finish(tallies.pop(name))
        return decided

    def _counted(self, names: tuple[str, ...], progress: Progress) -> dict[str, Tally]:
        tallies = {name: Tally(whole=self._wishes.get(name) == "integer") for name in names}
        for place, (count, parts) in enumerate(self._rows.read(names, self._codes, self._words, progress)):
            for name, one in parts.items():
                tallies[name].add(one)
            if self._parts is not None:
                if place == len(self._parts):
                    self._parts.append((count, {}))
                self._parts[place][1].update(parts)
        return tallies

    def _finder(self, name: str) -> Find:
        return lambda fits: self._rows.find(name, self._codes[name], fits)

    def frames(self) -> Iterator[pd.DataFrame]:
        """The table, some rows at a time, each frame's index going on where the last ended."""
        start = 0
        parts: Iterable[tuple[int, dict[str, Part]]] = (
            self._rows.read(tuple(self._decided), self._codes, self._words, lambda fraction: None)
            if self._parts is None
            else self._parts
        )
        for count, found in parts:
            self._check_same()  # a word that was not there before has no reading
            columns = {name: self._decided[name].array(one) for name, one in found.items()}
            yield pd.DataFrame(columns, index=pd.RangeIndex(start, start + count))
            start += count

    def whole(self) -> Source:
        """The table in one; what was kept of the file is given up."""
        assert self._parts is not None
        parts, self._parts = [found for _, found in self._parts], None
        frame = {
            name: one.array(joined([found.pop(name) for found in parts]))
            for name, one in self._decided.items()
        }
        return Source(**vars(self.survey), frame=pd.DataFrame(frame))

    def _check_same(self) -> None:
        if _stamp(self.path) != self._stamp:
            raise UsageError(
                "dataset_changed", f"The file {self.path.name} changed while it was read: read it again."
            )


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


def _decimal_sign(look: Sniffed, tallies: Mapping[str, Tally]) -> str:
    """The decimal sign that the file shows by cells with one reading only; "" when it shows none or both."""
    shown = {
        "." if kinds == {"point"} else ","
        for tally in tallies.values()
        if (kinds := tally.kinds - {"int"}) in ({"point"}, {"comma"}) and tally.proven
    }
    if not shown:
        shown = set().union(*(tally.signs for tally in tallies.values() if len(tally.signs) == 1))
    if not shown and look.separator == ",":
        return "."  # commas are taken
    return shown.pop() if len(shown) == 1 else ""


def _needs_words(tally: Tally, sign: str) -> bool:
    """Were numbers read chunk by chunk that cannot stand? Then the whole column is judged from its words."""
    kinds = tally.kinds - {"int"}
    if not kinds or kinds == tally.kinds == {"words"}:
        return False
    if kinds == {"point"}:
        return sign != "." and not tally.proven
    if kinds == {"comma"}:
        return sign != "," and not tally.proven
    return True
