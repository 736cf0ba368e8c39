"""Do groups differ in their ranks? Wilcoxon of two groups, Kruskal-Wallis of more, from counts on the value's grid.

A site sends how many in each group have each value; their sums hold all ranks. The arithmetic lives in ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Column, Count, Done, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.dictionary import GRID_POINTS, Dictionary
from friendlyfl.tasks.report import Figure
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.inference import Row
from friendlyfl.tasks.stats.ranks import EXACT_BELOW, Ranked

Floats = npt.NDArray[np.float64]

ALL_ALIKE = "All patients have the same value: there is nothing to rank."


class RankTest(Task):
    """Are values larger in one group than in another? Wilcoxon and Kruskal-Wallis tests, as if in one table."""

    title: ClassVar[str] = "Rank tests"
    version: ClassVar[str] = "1.0"
    max_rounds: ClassVar[int] = 1
    question: ClassVar[str] = "Are values larger in one group than in another?"
    topic: ClassVar[str] = "compare"
    asks: ClassVar[tuple[str, ...]] = ("Is {outcome} higher in some groups of {group} than in others?",)
    example: ClassVar[Mapping[str, Any]] = {"outcome": "nyha", "group": "treatment"}
    row_additive: ClassVar[bool] = True
    sends: ClassVar[Mapping[str, type[Kind]]] = {"counts": Count}

    outcome = Column(
        "Outcome", kinds=["number", "factor"], help="A number, or a factor whose levels are in order"
    )
    group = Column(
        "Group",
        kinds=["group", ".site"],
        help="Two groups: Wilcoxon's test; more: that of Kruskal and Wallis",
    )

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Dictionary, sites: int = 1) -> dict[str, Any]:
        values = super().validate(given, dictionary, sites)
        if values["outcome"] == values["group"]:
            raise UsageError("parameter", "Outcome and group must be different columns.")
        check_ordered(cls.parameters["outcome"].title, values["outcome"], dictionary)
        return values

    @property
    def points(self) -> int:
        """Values that the outcome may have."""
        spec = self.spec(self.outcome)
        return len(spec.levels) if spec.type == "factor" else spec.grid_size

    def start(self) -> State:
        cells = len(self.group_names(self.group)) * self.points
        if cells > GRID_POINTS:
            raise UsageError(
                "grid_too_fine",
                f"Groups and values of this step make {cells:,} counts, more than {GRID_POINTS:,}: give "
                f"“{self.outcome}” a larger step in the dictionary, or group by a column with fewer values.",
            )
        return {}

    def local(self, data: Table, state: State) -> Update:
        shape = len(self.group_names(self.group)), self.points
        cell = data.levels(self.group) * shape[1] + places(data, self.outcome)
        return {"counts": np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)}

    def combine(self, state: State, total: Update) -> Done:
        there = np.flatnonzero(total["counts"].sum(axis=1) > 0)
        ranked = Ranked(total["counts"][there])
        names = [f"{self.group}={self.group_names(self.group)[place]}" for place in there]
        notes: list[str] = []
        tests, statistics = self._tests(ranked, notes)
        return Done(
            conventions=self._conventions(len(names), "wilcoxon_exact" in tests),
            statistics=statistics,
            tests=tests,
            tables={"groups": self._groups(ranked, names)},
            figures=self._figures(),
            notes=notes,
            reproduce=self._calls(len(names)),
        )

    def _tests(self, ranked: Ranked, notes: list[str]) -> tuple[dict[str, Row], dict[str, float]]:
        groups = len(ranked.sizes)
        if groups < 2:
            notes.append(f"All patients are in one group of “{self.group}”: there is nothing to compare.")
            return {}, {}
        if np.count_nonzero(ranked.counts.sum(axis=0)) < 2:
            notes.append(ALL_ALIKE)
        if groups > 2:
            return {"kruskal": ranked.kruskal()}, {}
        tests = {"wilcoxon": ranked.wilcoxon()}
        exact = ranked.wilcoxon_exact()
        if exact is not None:
            tests["wilcoxon_exact"] = exact
            notes.append(
                f"No two values are the same and both groups have fewer than {EXACT_BELOW} patients: the exact p is "
                "given too, which R's wilcox.test prints here unless told otherwise."
            )
        return tests, {"share_larger_in_first": ranked.w / float(np.prod(ranked.sizes))}

    def _groups(self, ranked: Ranked, names: list[str]) -> list[Row]:
        return [
            {
                "group": name,
                "n": int(n),
                "median": self._median(counts),
                "rank_sum": float(total),
                "mean_rank": float(total / n),
            }
            for name, n, total, counts in zip(names, ranked.sizes, ranked.sums, ranked.counts, strict=True)
        ]

    def _median(self, counts: Floats) -> float | None:
        """Of a number; the middle of two levels would be no level."""
        if self.spec(self.outcome).type == "factor":
            return None
        grid, reached, n = self.spec(self.outcome).grid_values, np.cumsum(counts), int(counts.sum())
        low, high = (grid[np.searchsorted(reached, rank)] for rank in ((n + 1) // 2, n // 2 + 1))
        return float((low + high) / 2.0)

    # Words.

    def _conventions(self, groups: int, exact: bool) -> dict[str, Any]:
        said: dict[str, Any] = {
            "ranks": "mid-ranks over all hospitals",
            "missing": "complete cases over the columns named",
        }
        if groups > 2:
            return said | {"kruskal": "chi-square approximation, corrected for ties"}
        said["wilcoxon"] = (
            "W is the rank sum of the first group minus its smallest possible value; normal approximation with "
            "corrections for ties and for continuity"
        )
        said["share_larger_in_first"] = (
            "W over the number of pairs: pairs whose larger value is in the first group"
        )
        if exact:
            said["wilcoxon_exact"] = "two-sided p over all orders of the values"
        return said

    def _figures(self) -> list[Figure]:
        text = f"Mean rank of “{self.outcome}” in each group of “{self.group}”: higher means larger values."
        title = f"{self.outcome} by {self.group}"
        return [Figure("Bars", title, text, table="groups", axis="Mean rank", column="mean_rank")]

    def _calls(self, groups: int) -> dict[str, str]:
        """The same test of one table in R and in Python."""
        outcome = wording.r_name(self.outcome)
        value = f"d[{self.outcome!r}]"
        if self.spec(self.outcome).type == "factor":
            outcome = f"as.integer({outcome})"
            value = f"pandas.Categorical({value}, {list(self.spec(self.outcome).levels)!r}).codes"
        formula = f"{outcome} ~ {wording.r_name(self.group)}, d"
        parts = f"*[v for _, v in pandas.Series({value}).groupby(d[{self.group!r}])]"
        if groups > 2:
            return {"r": f"kruskal.test({formula})", "python": f"scipy.stats.kruskal({parts})"}
        return {
            "r": f"wilcox.test({formula}, exact = FALSE)",
            "python": f"scipy.stats.mannwhitneyu({parts}, method='asymptotic')",
        }


def check_ordered(title: str, column: str, dictionary: Dictionary) -> None:
    """Only what has an order can be ranked."""
    spec = dictionary.spec(column)
    if spec.type == "factor" and not spec.ordered:
        raise UsageError(
            "parameter",
            f"{title} must have an order: the levels of “{column}” have none. If they do, say so in the dictionary "
            'with "ordered": true.',
        )


def places(data: Table, column: str) -> npt.NDArray[np.int64]:
    """Where each value stands among those that the dictionary allows, in order."""
    return data.levels(column) if data.spec(column).type == "factor" else data.grid(column)
