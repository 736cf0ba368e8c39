"""Number, mean and spread of a measurement in each group, however the rows were cut: what t tests and ANOVA rest on.

Two rounds: counts and sums give each group's pooled mean, then distances from it, so that nothing cancels. What does
not live here: the tests themselves (t_test, anova).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Column, Count, Done, Sum, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.dictionary import GRID_POINTS
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.inference import LEVEL, Row, critical
from friendlyfl.tasks.stats.moments import unit_near

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ALIKE = 1e-14  # spread over size: what is left are the last digits of equal numbers
FAR_OUT = (1e-140, 1e140)  # squares of what lies beyond are no numbers any more
BLURRED = 1e-9  # a mean square of which a sum's last bit would be seen
FINER = 2.0**-25  # so that such a sum has digits enough, and no square overflows
LOOKS = 6


@dataclass(frozen=True)
class GroupMeans:
    """Of the groups that occur: their places among all, how many, the mean, and the sum of squares about it.

    Means are `base + above`: their differences keep digits that means far from 0 have no room for.
    """

    places: Integers
    n: Floats
    base: float
    above: Floats
    squares: Floats

    @property
    def mean(self) -> Floats:
        return self.base + self.above

    @property
    def within(self) -> float:
        return float(self.squares.sum())

    @property
    def df_within(self) -> int:
        return int(self.n.sum()) - len(self.n)

    @property
    def variance(self) -> Floats:
        """With n - 1; NaN for a group of one."""
        return np.where(self.n > 1, self.squares / np.maximum(self.n - 1.0, 1.0), np.nan)

    def rows(self, names: list[str]) -> list[Row]:
        """The table of groups, with limits from each group's own spread."""
        found: list[Row] = []
        for name, n, mean, variance in zip(names, self.n, self.mean, self.variance, strict=True):
            row: Row = {"group": name, "n": int(n), "mean": float(mean), "sd": None, "se": None}
            row |= {"ci_lower": None, "ci_upper": None}
            if n > 1:
                se = math.sqrt(variance / n)
                width = critical(LEVEL, n - 1.0) * se
                row |= {
                    "sd": math.sqrt(variance),
                    "se": se,
                    "ci_lower": mean - width,
                    "ci_upper": mean + width,
                }
            found.append(row)
        return found


class ComparesGroups(Task):
    """A comparison of means that needs of each group how many there are, their mean and their spread."""

    row_additive: ClassVar[bool] = True
    stages: ClassVar[tuple[str, ...]] = ("sums", "spread")
    max_rounds: ClassVar[int] = 2 + LOOKS
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        "counts": Count,
        "sums": Sum,
        "size": Sum,
        "first": Sum,
        "second": Sum,
    }

    outcome = Column("Outcome", kinds=["number"], help="A measurement, such as a blood pressure")

    # What an author writes.

    def grouping(self) -> list[str]:
        """The columns that make the groups."""
        raise NotImplementedError

    def compared(self, means: GroupMeans) -> Done:
        """The Result, from the groups that occur."""
        raise NotImplementedError

    # Groups are numbered over all columns, the last one running fastest.

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(self.group_names(column)) for column in self.grouping())

    def codes(self, data: Table) -> Integers:
        codes = np.zeros(len(data), dtype=np.int64)
        for column, size in zip(self.grouping(), self.shape, strict=True):
            codes = codes * size + data.levels(column)
        return codes

    def names(self, places: Integers) -> list[str]:
        """As R names groups: “sex=f”, or “wool=A, tension=L”."""
        levels = np.unravel_index(places, self.shape)
        named = [
            [f"{column}={self.group_names(column)[code]}" for code in codes]
            for column, codes in zip(self.grouping(), levels, strict=True)
        ]
        return [", ".join(parts) for parts in zip(*named, strict=True)]

    def most_numbers(self) -> dict[str, int]:
        groups = math.prod(self.shape)
        return {"sums": 2 * groups + 1, "spread": 2 * groups}

    # Stage sums.

    def start(self) -> State:
        if (groups := math.prod(self.shape)) > GRID_POINTS:
            raise UsageError(
                "grid_too_fine",
                f"{' and '.join(self.grouping())} make {groups:,} groups, more than {GRID_POINTS:,}: choose columns "
                "with fewer values.",
            )
        return {"stage": "sums"}

    def local_sums(self, data: Table, state: State) -> Update:
        codes, groups = self.codes(data), math.prod(self.shape)
        outcome = (
            data[self.outcome] / self.spec(self.outcome).scale
        )  # so that sums stay within what can be added
        return {
            "counts": np.bincount(codes, minlength=groups),
            "sums": np.bincount(codes, weights=outcome, minlength=groups),
            "size": np.abs(outcome).sum(),
        }

    def combine_sums(self, state: State, total: Update) -> State | Done:
        counts, scale = total["counts"], self.spec(self.outcome).scale
        size = float(total["size"]) * scale / float(counts.sum())
        return {
            "stage": "spread",
            "counts": counts,
            "centre": total["sums"] * scale / np.maximum(counts, 1.0),
            "size": size,
            "unit": np.full(len(counts), unit_near(size)),
            "looks": 0,
        }

    # Stage spread: distances from each group's own pooled mean, in a unit near its own spread.

    def local_spread(self, data: Table, state: State) -> Update:
        codes, groups = self.codes(data), math.prod(self.shape)
        distance = (data[self.outcome] - state["centre"][codes]) / state["unit"][codes]
        return {
            "first": np.bincount(codes, weights=distance, minlength=groups),
            "second": np.bincount(codes, weights=distance * distance, minlength=groups),
        }

    def combine_spread(self, state: State, total: Update) -> State | Done:
        counts, unit = state["counts"], state["unit"]
        n = np.maximum(counts, 1.0)
        mean_square = total["second"] / n
        blurred = (counts > 1) & (mean_square < BLURRED) & (unit > ALIKE / 100.0 * state["size"])
        if blurred.any() and state["looks"] < LOOKS:
            finer = np.where(blurred, unit * FINER, unit)
            return {**state, "unit": finer, "looks": state["looks"] + 1}
        root = unit * np.sqrt(mean_square)  # the distance that is typical of a group
        largest = float(root.max())
        if largest == 0.0 and state["size"] == 0.0:
            return Done(answer=wording.ALL_ZERO)
        if largest > 0.0 and not FAR_OUT[0] < largest < FAR_OUT[1]:
            return Done(answer=wording.UNIT_TOO_FAR)
        squares = unit**2 * np.maximum(total["second"] - total["first"] ** 2 / n, 0.0)
        alike = np.sqrt(squares / n) <= ALIKE * np.maximum(root, state["size"])
        squares[alike | (counts <= 1)] = 0.0
        places = np.flatnonzero(counts > 0)
        base = float(state["centre"][places[0]])
        above = ((state["centre"] - base) + unit * total["first"] / n)[places]
        return self.compared(GroupMeans(places, counts[places], base, above, squares[places]))
