"""What is counted of one column while its rows pass by: all that deciding what the column is needs, but not the rows.

Memory grows with the different words of a column only, and no further than `MOST_WORDS` allows: of more, numbers and
dates are counted by their form. What a column is in the end is decided in columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from friendlyfl.tasks import cells
from friendlyfl.tasks.chunks import FIRST, Part
from friendlyfl.tasks.readers import pieces
from friendlyfl.tasks.readers.pieces import Piece

FEW = 50  # different values of a column that are kept with their counts
LARGEST_WHOLE = 2.0**53
MOST_WORDS = 100_000  # different ones of a column
_KINDS = {"integer": "int", "number": "point", "date": "date", "text": "words", "empty": "empty"}


@dataclass
class Spots:
    """Rows with something to say: how many there are, and the first of them, from 1."""

    count: int = 0
    rows: list[int] = field(default_factory=list)

    def add(self, start: int, hit: NDArray[np.bool_]) -> None:
        self.count += int(hit.sum())
        if len(self.rows) < FIRST and self.count:
            found = np.flatnonzero(hit)[: FIRST - len(self.rows)]
            self.rows += [start + row + 1 for row in found.tolist()]


class Tally:
    """One column's counts. `whole` asks for the rows whose numbers are no whole ones."""

    def __init__(self, whole: bool = False) -> None:
        self.rows = 0
        self.kinds: set[str] = set()  # of parts that hold a value
        self.proven = False  # does a cell show which sign is the decimal one?
        self.signs: set[str] = set()  # decimal signs that words show
        self.decimals = 0
        self.words: dict[str, int] = {}
        self.folded = False  # then some of the words stand for others of the same form
        self.present = Spots()
        self.broken = Spots()  # with decimals
        self.large = Spots()  # beyond what a double tells from its neighbours
        self.low: Any = None
        self.high: Any = None
        self.lowest = self.below = 0  # rows that hold the lowest number; rows below 0
        self.numbers: dict[int, int] | None = {}  # whole numbers with their counts, while they are few
        self._whole = whole

    @property
    def n(self) -> int:
        return self.present.count

    @property
    def missing(self) -> int:
        return self.rows - self.n

    def add(self, part: Part) -> None:
        start, self.rows = self.rows, self.rows + len(part.missing)
        if part.kind == "empty":
            return
        self.kinds.add(part.kind)
        self.present.add(start, ~part.missing)
        if part.kind == "words":
            self._add_words(part.values)
            return
        values = part.values[~part.missing]
        if part.kind == "date":
            self._widen(values.min(), values.max())
            return
        self.proven = self.proven or part.proven
        self.decimals = max(self.decimals, part.decimals)
        if part.kind == "int" and self.numbers is not None:
            self.count(*np.unique(values, return_counts=True))
        else:
            self.count(values, np.ones(len(values), dtype=np.int64))
        if self._whole and part.kind != "int":
            self.broken.add(start, ~part.missing & (part.values != np.floor(part.values)))
            self.large.add(start, ~part.missing & (np.abs(part.values) > LARGEST_WHOLE))

    def count(self, values: NDArray[Any], counts: NDArray[np.int64]) -> None:
        """Numbers, and how many rows hold each."""
        low = values.min().item()
        if self.low is None or low < self.low:
            self.lowest = 0
        self._widen(low, values.max().item())
        self.lowest += int(counts[values == self.low].sum())
        self.below += int(counts[values < 0].sum())
        if values.dtype.kind != "i" or len(values) > FEW:
            self.numbers = None
        if self.numbers is not None:
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                self.numbers[value] = self.numbers.get(value, 0) + count
            if len(self.numbers) > FEW:
                self.numbers = None

    def _widen(self, low: Any, high: Any) -> None:
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def _add_words(self, values: NDArray[Any]) -> None:
        index, different = pd.factorize(values)
        self.signs |= cells.signs(word for word in different if word not in self.words)
        counts = np.bincount(index[index >= 0], minlength=len(different)).tolist()
        for word, count in zip(different, counts, strict=True):
            self.words[word] = self.words.get(word, 0) + count
        if len(self.words) > MOST_WORDS:
            self.folded = True
            self.words = cells.folded(self.words)


def few(values: dict[Any, int], first: Sequence[Any] = ()) -> tuple[tuple[Any, int], ...]:
    """Different values with their counts, in the order of `first` if it names all, else sorted; none of many."""
    if len(values) > FEW:
        return ()
    order = first if set(first) == set(values) else sorted(values)
    return tuple((value, values[value]) for value in order)


class TypedTally:
    """One column's counts where the source says its type: values that mean nothing are taken out first."""

    def __init__(self, wish: str, codes: frozenset[str]) -> None:
        self.tally = Tally(whole=wish == "integer")
        self.notes: dict[str, None] = {}
        self.levels: tuple[str, ...] = ()
        self._as_words, self._codes, self._clash = wish in ("text", "factor"), codes, False

    @property
    def mixed(self) -> bool:
        """Are there words beside numbers, or dates beside either?"""
        return len(self.tally.kinds) > 1 and self.tally.kinds != {"int", "point"}

    def add(self, one: Piece) -> Part:
        """Count the piece; returns what was counted."""
        one = pieces.without(one, self._codes)
        self.notes |= dict.fromkeys(one.notes)
        if one.levels and not self._clash:
            self._clash = self.levels not in ((), one.levels)
            self.levels = () if self._clash else one.levels
        if self._as_words:
            one = pieces.as_words(one)
        part = Part("empty" if one.missing.all() else _KINDS[one.kind], one.values, one.missing)
        self.tally.add(part)
        return part
