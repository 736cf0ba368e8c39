"""The rows of one CSV file, read in chunks: their width, their lines, and each column's cells in parts.

A part is a chunk of one column, already turned into numbers where its cells are plain ones, so that a file of
a million rows never stands in memory as text. What a whole column is (source) and what a cell may mean (cells)
do not live here.
"""

from __future__ import annotations

import csv
import gc
import io
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import cells
from friendlyfl.tasks.sniff import Progress, Sniffed

CHUNK = 10_000  # rows
FIRST = 10  # rows that are named to a person
Fits = Callable[[str], bool]
Found = tuple[int, int, str]  # the row from 1, its line in the file, its word
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Part:
    """Some rows of one column. `kind`: empty, int, point, comma (numbers), date, or words (None where missing)."""

    kind: str
    values: NDArray[Any]
    missing: NDArray[np.bool_]
    proven: bool = False
    decimals: int = 0


class Rows:
    """The rows of one file: reads them in chunks, keeps count of rows and lines."""

    def __init__(self, path: Path, look: Sniffed) -> None:
        self.path, self.look = path, look
        self.count = 0
        self.notes: tuple[str, ...] = ()
        self._shifts: list[tuple[int, int]] = []  # from this row on, line = row + shift

    def read(
        self,
        names: Sequence[str],
        codes: Mapping[str, frozenset[str]],
        words: Collection[str],
        progress: Progress,
    ) -> Iterator[tuple[int, dict[str, Part]]]:
        """Some rows at a time: how many, and the parts of these columns; those in `words` as they are written."""
        wanted = [(name, self.look.names.index(name)) for name in names]
        self.count = 0
        chunks = self._chunks()
        while True:
            with _no_collection():
                columns, fraction = next(chunks, ((), 1.0))
                parts = {
                    name: part(columns[index], codes[name], name in words)
                    for name, index in wanted
                    if columns
                }
            if not columns:
                break
            self.count += len(columns[0])
            yield len(columns[0]), parts
            progress(fraction)
        if not self.count:
            raise UsageError(
                "dataset_empty", f"The file {self.path.name} has a header line but no rows below it."
            )

    def find(self, name: str, codes: frozenset[str], fits: Fits) -> list[Found]:
        """As `first_found`, of one column of the file."""
        index = self.look.names.index(name)
        parts = (part(columns[index], codes, True) for columns, _ in self._chunks())
        return first_found(parts, fits, self._line)

    def _line(self, row: int) -> int:
        """The line of the file on which a row (from 1) of the chunk at hand starts."""
        return row + next(shift for start, shift in reversed(self._shifts) if row >= start)

    def _chunks(self) -> Iterator[tuple[Sequence[Sequence[str]], float]]:
        """Columns of a chunk of rows, and the fraction of the file read so far."""
        self._shifts = []
        skipped = held = 0  # blank lines; rows so far, `empty` included
        empty: list[list[str]] = []  # rows of separators only: dropped if nothing follows them
        with self.path.open("rb") as raw, io.TextIOWrapper(raw, self.look.encoding, newline="") as text:
            reader, above = self.look.reader(text)
            end = above + reader.line_num
            while True:
                start = end
                del self._shifts[:-1]
                lines = [] if self.look.quotes else list(itertools.islice(text, CHUNK))
                if not empty and (columns := self._cut(lines)):
                    self._shift(held + 1, start - held)
                    held, end = held + len(lines), start + len(lines)
                    yield columns, raw.tell() / self.look.size
                    continue
                rows = self._rows(reader if self.look.quotes else self.look.split(lines), above)
                if not rows:
                    break
                end = above + reader.line_num if self.look.quotes else start + len(lines)
                blank = self._count_lines(rows, start, held, end)
                skipped += blank
                rows = empty + [row for row in rows if row] if blank else empty + rows
                held += len(rows) - len(empty)
                last = _last_filled(rows)
                rows, empty = rows[:last], rows[last:]
                if rows:
                    yield list(zip(*rows, strict=True)), raw.tell() / self.look.size
        skipped += len(empty)
        if skipped:
            lines_were = "1 blank line was" if skipped == 1 else f"{skipped:,} blank lines were"
            self.notes = (f"{lines_were} left out.",)

    def _cut(self, lines: list[str]) -> Sequence[Sequence[str]] | None:
        """The quick way for lines that need no thought: no quote marks, none too short, long or blank."""
        separator, width = self.look.separator, len(self.look.names)
        if not lines or width < 2 or {line.count(separator) for line in lines} != {width - 1}:
            return None
        if not lines[-1].replace(separator, "").strip():
            return None
        table = pd.read_csv(
            io.StringIO("".join(lines)),
            sep=separator,
            header=None,
            dtype=object,
            na_filter=False,
            quoting=csv.QUOTE_NONE,
            skip_blank_lines=False,
            low_memory=False,
        )
        columns: list[Any] = [table[index].to_numpy() for index in range(width)]
        return columns if len(table) == len(lines) else None

    def _rows(self, reader: Any, above: int) -> list[list[str]]:
        try:
            return list(itertools.islice(reader, CHUNK))
        except csv.Error as error:
            line = above + reader.line_num
            what = (
                "a cell of more than 131,072 letters"
                if "limit" in str(error)
                else "a quote mark out of place"
            )
            raise UsageError(
                "csv_quotes",
                f"Line {line} of {self.path.name} has {what}: a quote mark around a cell was probably not "
                "closed there or above. Repair the line, or export the table again.",
            ) from None

    def _count_lines(self, rows: list[list[str]], start: int, held: int, end: int) -> int:
        """Check every row's width, remember on which line it starts; returns the number of blank lines."""
        width = len(self.look.names)
        plain = set(map(len, rows)) == {width} and end - start == len(rows)
        if plain:
            self._shift(held + 1, start - held)
            return 0
        row, line, blank = held, start, 0
        for found in rows:
            if not found:
                line, blank = line + 1, blank + 1
                continue
            row += 1
            self._shift(row, line + 1 - row)
            if len(found) != width:
                cells_ = "1 cell" if len(found) == 1 else f"{len(found)} cells"
                raise UsageError(
                    "csv_ragged",
                    f"Row {row} (line {line + 1}) of {self.path.name} has {cells_}, but the header "
                    f"names {width} columns: repair that row, or export the table again.",
                )
            line += 1 + sum(len(_LINE_END.findall(cell)) for cell in found if "\n" in cell or "\r" in cell)
        return blank

    def _shift(self, row: int, shift: int) -> None:
        if not self._shifts or self._shifts[-1][1] != shift:
            self._shifts.append((row, shift))


def _last_filled(rows: list[list[str]]) -> int:
    """How many rows remain when those at the end that hold separators only are left out."""
    last = len(rows)
    while last and len(rows[last - 1]) > 1 and not any(cell.strip() for cell in rows[last - 1]):
        last -= 1
    return last


@contextmanager
def _no_collection() -> Iterator[None]:
    """Rows hold no cycles, and the collector would walk over them again and again: half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def part(written: Sequence[str], codes: frozenset[str], as_words: bool) -> Part:
    index, different = pd.factorize(np.asarray(written, dtype=object))
    tokens = [token.strip() for token in different]
    gone = np.array([not token or token in codes for token in tokens], dtype=np.bool_)
    missing = gone[index]
    present = [token for token, absent in zip(tokens, gone, strict=True) if not absent]
    if not present:
        return Part("empty", np.full(len(index), None, dtype=object), missing)
    numbers = None if as_words else cells.read_plain(present)
    if numbers is None:
        texts = np.array(tokens, dtype=object)
        texts[gone] = None
        return Part("words", texts[index], missing)
    lookup = np.zeros(len(tokens), dtype=numbers.values.dtype)
    lookup[~gone] = numbers.values
    return Part(numbers.kind, lookup[index], missing, numbers.proven, numbers.decimals)


def first_found(parts: Iterable[Part], fits: Fits, line: Callable[[int], int] = int) -> list[Found]:
    """The first rows of a column whose words fit. The line is asked for while the part with the row is at hand."""
    found: list[Found] = []
    before = 0
    for one in parts:
        if one.kind == "words":
            index, different = pd.factorize(one.values)  # None is -1, and takes the last
            hit = np.array([*map(fits, different), False], dtype=np.bool_)[index]
            for place in np.flatnonzero(hit)[: FIRST - len(found)].tolist():
                row = before + place + 1
                found.append((row, line(row), one.values[place]))
        if len(found) == FIRST:
            break
        before += len(one.missing)
    return found
