"""The table a task sees: complete cases over the columns its step names, as numbers in the dictionary's terms.

It also keeps the record of what a task used (designs, groups, grids, probes), on which the disclosure check rests.
Reading of cells lives in `values`, the coding of designs in `terms`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.cohort import Cohort
from friendlyfl.tasks.column_files import ColumnFiles
from friendlyfl.tasks.criteria import Values
from friendlyfl.tasks.dictionary import SITE, ColumnSpec, Dictionary, Floats, Integers
from friendlyfl.tasks.terms import INTERCEPT, DesignColumn, design_columns, site_spec, term_columns
from friendlyfl.tasks.values import DataError, column_values, missing_column, rows_text

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 65_536  # rows of the site's table in one chunk; part of every plan, so that all sites cut alike
KEPT_CELLS = 10_000_000  # of a table whose chunks and designs stay from round to round: 240 MB at most


@dataclass
class Record:
    """What a task looked at, shared by all chunks of a table."""

    designs: set[tuple[str, ...]] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    grids: set[str] = field(default_factory=set)
    probed: set[str] = field(default_factory=set)  # in this round
    probes: dict[str, int] = field(default_factory=dict)  # rounds in which a column was probed
    described: set[int] = field(default_factory=set)  # sizes of parts of the rows that sums describe

    def count_probes(self) -> None:
        """A round is over: its probes join the count."""
        for column in self.probed:
            self.probes[column] = self.probes.get(column, 0) + 1
        self.probed.clear()


class Table:
    """Rows of one site, never seen by anyone but a task.

    `len(data)`, `data[col]` (doubles; codes of a factor; text), `data.yes(col)`, `data.levels(col)`, `data.grid(col)`,
    `data.design(terms)`, `data.below(col, points)`, `data.used`, `data.dropped`. Arrays are shared: read, do not write.
    Where a task does not ask for complete cases, a missing number is NaN and a missing code -1.
    """

    def __init__(
        self,
        values: dict[str, npt.NDArray[Any]],
        rows: Integers,
        dictionary: Dictionary,
        *,
        site: int,
        sites: int,
        dropped: int,
        record: Record | None = None,
        first: int = 0,
        lasts: bool = True,
    ) -> None:
        """`values` are all values of the columns from the site's row `first` on, `rows` the rows that take part; a
        chunk that is made anew each round does not last."""
        self._values, self._rows, self._dictionary = values, rows, dictionary
        self.site, self.sites, self.dropped = site, sites, dropped
        for array in values.values():
            array.setflags(write=False)  # a task that writes would change the next round
        self.record = record if record is not None else Record()
        self._first = first
        self._stays = len(rows) * len(values) <= KEPT_CELLS
        self.lasts = lasts and self._stays
        self._kept: tuple[Hashable, dict[Hashable, Any]] = (None, {})
        self._room = np.empty(0)
        self._taken: dict[str, npt.NDArray[Any]] = {}
        self._designs: dict[tuple[str, ...], Floats] = {}
        self._chunks: Collection[Table] | None = None
        self._classes: dict[str, Integers | None] = {}
        self._cells: dict[str, Integers] = {}
        self._present: dict[str, int] = {}

    @classmethod
    def build(
        cls,
        frame: pd.DataFrame | ColumnFiles,
        dictionary: Dictionary,
        columns: Iterable[str],
        *,
        site: int = 1,
        sites: int = 1,
        complete: bool = True,
        cohort: Cohort | None = None,
    ) -> Table:
        """Read the named columns; DataError names the rows that do not fit the dictionary.

        Rows outside the cohort are not there at all: neither used nor dropped.
        """
        names = list(dict.fromkeys(name for name in columns if name != SITE))
        wanted = dict.fromkeys([*names, *(cohort.columns if cohort else ())])
        values = {name: read_column(frame, name, dictionary) for name in wanted}
        inside = cohort_rows(frame, cohort, values.__getitem__)
        keep = inside.copy()
        for name in names if complete else ():
            keep &= ~missing(values[name])
        rows = np.flatnonzero(keep).astype(np.int64)
        dropped = int(inside.sum()) - len(rows)
        named = {name: values[name] for name in names}
        return cls(named, rows, dictionary, site=site, sites=sites, dropped=dropped)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def used(self) -> int:
        return len(self._rows)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        self.record.columns.add(column)
        return self._column(column)

    def _column(self, column: str) -> npt.NDArray[Any]:
        if column == SITE:
            return np.full(len(self), self.site - 1, dtype=np.int64)
        if column not in self._values:
            raise UsageError("column_unnamed", f"The step does not name the column “{column}”.")
        if column in self._taken:
            return self._taken[column]
        values = self._values[column]
        if len(self._rows) < len(values):
            values = values[self._rows - self._first]
            values.setflags(write=False)
        if self._stays:
            self._taken[column] = values
        return values

    def spec(self, column: str) -> ColumnSpec:
        return site_spec(self.sites) if column == SITE else self._dictionary.spec(column)

    def rows_in_words(self, marked: npt.NDArray[np.bool_]) -> str:
        """“rows 3, 17 and 4 more” of the site's own table, for a sentence to its people."""
        return rows_text(self._rows[marked])

    def described(self, rows: int) -> None:
        """Say that sums in the Update describe so many of the rows only: the rule for rows holds for these, too."""
        self.record.described.add(rows)

    def yes(self, column: str) -> Floats:
        """1.0 for yes, 0.0 for no: of 0 and 1, or of a factor whose second level is yes."""
        values = self[column]
        if self.spec(column).type == "factor":
            return np.where(values < 0, np.nan, values.astype(np.float64))
        odd = np.flatnonzero((values != 0) & (values != 1) & ~np.isnan(values))
        if len(odd):
            raise DataError(
                "column_type", f"“{column}” must be 0 or 1 and is not in {rows_text(self._rows[odd])}."
            )
        return np.asarray(values, dtype=np.float64)

    def levels(self, column: str) -> Integers:
        """Codes of groups in the dictionary's order: levels of a factor, or places on an integer's grid."""
        self.record.groups.add(column)
        return self._group_codes(column)

    def _group_codes(self, column: str) -> Integers:
        values = self._column(column)
        if self.spec(column).type == "factor":
            return np.asarray(values, dtype=np.int64)
        return self._on_grid(column, values)

    def grid(self, column: str) -> Integers:
        """The place of every value on the column's declared grid (`spec(column).grid_values`)."""
        self.record.grids.add(column)
        return self._on_grid(column, self._column(column))

    def _on_grid(self, column: str, values: npt.NDArray[Any]) -> Integers:
        there = ~missing(values)
        index, on = self.spec(column).grid_index(np.where(there, values, 0.0))
        odd = np.flatnonzero(there & ~on)
        if len(odd):
            raise DataError(
                "out_of_range",
                f"“{column}” holds “{values[odd[0]]:g}” in {rows_text(self._rows[odd])}: "
                "that is not a step of the grid its dictionary declares.",
            )
        return np.where(there, index, -1)

    def below(
        self, column: str, points: Sequence[float] | Floats, rows: npt.NDArray[np.bool_] | None = None
    ) -> Floats:
        """How many values (of these rows) are smaller than each point: a probe for quantiles, limited by the rules."""
        self.record.probed.add(column)
        values = self._column(column) if rows is None else self._column(column)[rows]
        ordered = np.sort(values[~missing(values)])
        return np.searchsorted(ordered, points, side="left").astype(np.float64)

    def design(self, terms: Sequence[str]) -> Floats:
        """The design matrix of the terms, the intercept first, columns as `task.terms(terms)` names them."""
        key = tuple(terms)
        self.record.designs.add(key)
        if key not in self._designs:
            columns = design_columns(key, self._dictionary, self.sites)
            matrix = np.ones((len(self), len(columns)), order="F")
            for place, column in enumerate(columns):
                if column.name != INTERCEPT:
                    matrix[:, place] = self._product(column)
            matrix.setflags(write=False)
            self._designs[key] = matrix
        return self._designs[key]

    def _product(self, column: DesignColumn) -> Floats:
        result = np.ones(len(self))
        for name, code in column.parts:
            values = self._column(name)
            result *= values if code is None else values == code
        return result

    def chunks(self) -> Collection[Table]:
        """This table cut at every 65,536th row of the site's own table: the same cut for one process and for many.

        Chunks of a large table are made anew each time, so that one at a time is in memory.
        """
        if self._chunks is None:
            cut = _Cut(self)
            self._chunks = [self] if len(cut) <= 1 and self._stays else list(cut) if self._stays else cut
        return self._chunks

    def rows_from(self, start: int, end: int) -> Table:
        """The rows from one place to another, `end` not included, as a table that shares this one's record."""
        rows = self._rows[start:end]
        first, last = int(rows[0]), int(rows[-1]) + 1
        values = {
            name: array[first - self._first : last - self._first] for name, array in self._values.items()
        }
        return Table(
            values,
            rows,
            self._dictionary,
            site=self.site,
            sites=self.sites,
            dropped=0,
            record=self.record,
            first=first,
            lasts=self.lasts,
        )

    def kept(self, key: Hashable) -> dict[Hashable, Any]:
        """A place for what is made of these rows for a key, empty at first. It lasts until there is another key; of a
        large table, where each round makes it anew, no longer than the caller holds it."""
        if not self.lasts:
            return {}
        if self._kept[0] != key:
            self._kept = (key, {})
        return self._kept[1]

    def room(self, columns: int) -> Floats:
        """An array of so many doubles a row, to be filled: one for whatever is made of these rows, as the system takes
        its time to hand out fresh memory. Its values are gone with the next `room`."""
        size = len(self) * columns
        if len(self._room) < size:
            self._room = np.empty(size)
            self._room.fill(0.0)  # handed out when it is written, not when it is asked for
        return self._room[:size].reshape(len(self), columns)

    # What the disclosure check reads; it looks without leaving a trace in the record.

    def look(self, column: str) -> npt.NDArray[Any]:
        """The values of a column."""
        return self._column(column)

    def present(self, column: str) -> int:
        """How many values of a column are there."""
        if column not in self._present:
            self._present[column] = int(np.count_nonzero(~missing(self._column(column))))
        return self._present[column]

    def term_cells(self, term: str) -> Integers:
        """People in each cell that the levels and two-valued columns of a term make."""
        if term not in self._cells:
            classes = [self.classes(name) for name in term_columns(term, self._dictionary)]
            self._cells[term] = self._crossed([found for found in classes if found is not None])
        return self._cells[term]

    def _crossed(self, classes: Sequence[Integers]) -> Integers:
        if not classes:
            return np.array([len(self)])
        codes = np.zeros(len(self), dtype=np.int64)
        known = np.ones(len(self), dtype=bool)
        for found in classes:
            codes = codes * (int(found.max(initial=0)) + 1) + found
            known &= found >= 0
        return np.bincount(codes[known])

    def classes(self, column: str) -> Integers | None:
        """Codes of a factor's levels or of the values of a column that holds one or two; None for a measurement."""
        if column not in self._classes:
            values = self._column(column)
            if self.spec(column).type == "factor":
                self._classes[column] = np.asarray(values, dtype=np.int64)
            elif self.spec(column).type == "text":
                self._classes[column] = None
            else:
                few = _two_values(values)
                self._classes[column] = (
                    None if few is None else np.where(missing(values), -1, np.searchsorted(few, values))
                )
        return self._classes[column]

    def group_counts(self, column: str) -> Integers:
        """People in each group of a grouping column."""
        codes = self._group_codes(column)
        return np.bincount(codes[codes >= 0])


class _Cut:
    """The chunks of a table, made one by one as they are asked for."""

    def __init__(self, table: Table) -> None:
        self._table = table
        rows = table._rows
        borders = np.searchsorted(rows, np.arange(0, (rows[-1] if len(rows) else 0) + 1, CHUNK)).tolist()
        ends = [*borders[1:], len(rows)]
        self._places = [(start, end) for start, end in zip(borders, ends, strict=True) if end > start]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Table]:
        return (self._table.rows_from(*place) for place in self._places)

    def __contains__(self, table: object) -> bool:
        return False


def cohort_rows(
    frame: pd.DataFrame | ColumnFiles, cohort: Cohort | None, values: Values
) -> npt.NDArray[np.bool_]:
    """Which rows of a site's table are in the cohort; without one, all."""
    return cohort.rows(values) if cohort else np.ones(len(frame), dtype=bool)


def read_column(frame: pd.DataFrame | ColumnFiles, name: str, dictionary: Dictionary) -> npt.NDArray[Any]:
    """One column of a site's table, in the dictionary's terms."""
    if isinstance(frame, ColumnFiles):
        return frame.read(name)
    spec = dictionary.spec(name)
    if name not in frame.columns:
        raise missing_column(name, [str(column) for column in frame.columns])
    if frame.columns.tolist().count(name) > 1:
        raise DataError("column_missing", f"The table has more than one column “{name}”; keep one of them.")
    return column_values(frame[name], spec)


def missing(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a value is missing, in any of the three forms."""
    if values.dtype == np.int64:
        return np.asarray(values < 0)
    if values.dtype == object:
        return np.array([value is None for value in values], dtype=bool)
    return np.asarray(np.isnan(values))


def _two_values(values: Floats) -> Floats | None:
    """The one or two values that a column holds, in order; None where it holds more, as a measurement's first rows
    show without a look at all of them."""
    few = np.zeros(0)
    for part in (values[:CHUNK], values):
        there = part[~missing(part)]
        if len(there):
            few = np.unique([there.min(), there.max()])
            if not ((there == few[0]) | (there == few[-1])).all():
                return None
    return few
