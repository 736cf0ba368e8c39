"""Which rows of a hospital's table a step describes, and by how many they differ from rows described before.

Rows of one file are told apart by their place. Where a newer file stands in its place, or a database was read again,
they are told apart by what they hold in the columns that both steps read. What is refused then is `disclosure`'s
business; where earlier rows are kept is the controller's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.base import Task
from friendlyfl.tasks.column_files import ColumnFiles
from friendlyfl.tasks.dictionary import SITE
from friendlyfl.tasks.row_marks import Marks, mixed
from friendlyfl.tasks.table import CHUNK, cohort_rows, missing, read_column

if TYPE_CHECKING:
    import pandas as pd

Bools = npt.NDArray[np.bool_]
TELLING = 10  # a column of more different values than this tells people apart by itself


def row_sets(task: Task, frame: pd.DataFrame | ColumnFiles) -> list[Bools]:
    """The rows a step describes; of a task that sees gaps, for each column also the rows that have a value."""
    read = partial(read_column, frame, dictionary=task.dictionary)
    inside = cohort_rows(frame, task.cohort, read)
    there = [inside & ~missing(read(name)) for name in task.columns if name != SITE]
    if task.complete_cases:
        return [np.logical_and.reduce([inside, *there])]
    different = {packed(rows): rows for rows in [inside, *there] if rows.any()}
    return [*different.values()]


def packed(rows: Bools) -> bytes:
    """A bitmap, small enough to be kept for ever."""
    return zlib.compress(np.packbits(rows).tobytes(), 6)


def unpacked(raw: bytes, count: int) -> Bools:
    return np.unpackbits(np.frombuffer(zlib.decompress(raw), np.uint8), count=count).astype(bool)


@dataclass(frozen=True)
class Rows:
    """Rows that one step described. `table` is the same for the same file read in the same way; `marks` are those of
    the columns that the step computed with."""

    table: str
    chosen: Bools
    marks: Mapping[str, Marks]

    @cached_property
    def size(self) -> int:
        return int(np.count_nonzero(self.chosen))

    def is_same_as(self, other: Rows) -> bool:
        """Surely these rows: no difference, and nothing was left out of the comparison."""
        compared = self.table == other.table or set(self.marks) == set(other.marks)
        return compared and self.size == other.size and self.difference(other) == {0}

    def differ_by_few(self, other: Rows, fewest: int) -> bool:
        """Whether subtracting two answers would leave one about fewer people than this, but some."""
        return any(0 < found < fewest for found in self.difference(other, fewest))

    def difference(self, other: Rows, enough: int | None = None) -> set[int]:
        """By how many rows these differ, and where that hangs on what one looks at, each of the numbers; with `enough`
        it is not counted beyond that."""
        if self.table == other.table:
            return {int(np.count_nonzero(self.chosen != other.chosen))}
        apart = abs(self.size - other.size)
        common = sorted(set(self.marks) & set(other.marks))
        if (enough is not None and apart >= enough) or not common:
            return {apart}
        found = {self._apart(other, common)}
        for name in common:
            if _tells_apart(self.marks[name][self.chosen]):
                found.add(self._apart(other, [name]))
        return found

    def _apart(self, other: Rows, names: list[str]) -> int:
        """Rows of one that have no match in the other, counted on both sides, by what stands in these columns."""
        values = np.concatenate(
            [mixed([each.marks[name][each.chosen] for name in names], each.size) for each in (self, other)]
        )
        if not len(values):
            return 0
        sides = np.concatenate([np.ones(self.size, np.int64), -np.ones(other.size, np.int64)])
        order = np.argsort(values)
        ordered = values[order]
        first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        return int(np.abs(np.add.reduceat(sides[order], first)).sum())


def _tells_apart(column: Marks) -> bool:
    """More than a few different values, as the first rows most often show."""
    return any(len(np.unique(part)) > TELLING for part in (column[:CHUNK], column))


def too_close(now: Iterable[Rows], plans: Iterable[list[Rows]], fewest: int) -> bool:
    """Whether rows differ by a few from some that another plan described; each item of `plans` is what one described.

    What a plan has described itself may be asked again: who approved it had both answers before them.
    """
    kept = [list(rows) for rows in plans]
    return any(
        not any(rows.is_same_as(other) for other in described)
        and any(rows.differ_by_few(other, fewest) for other in described)
        for rows in now
        for described in kept
    )
