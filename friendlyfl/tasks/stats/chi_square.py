"""Do two groupings go together? Counts of each pair of levels, and the tests of that table.

A site sends one count a cell. The arithmetic lives in contingency (chi-square, Mantel-Haenszel) and fisher.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Column, Count, Done, Flag, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.dictionary import GRID_POINTS
from friendlyfl.tasks.report import Figure
from friendlyfl.tasks.stats import contingency, wording
from friendlyfl.tasks.stats.fisher import TwoByTwo, larger_table_p
from friendlyfl.tasks.stats.inference import LEVEL, Row

Floats = npt.NDArray[np.float64]

SMALL = 5  # people expected in a cell: with fewer, a chi-square is no good approximation
NO_FISHER = (
    "Fisher's exact test is not given: there are too many tables with the same totals to go through them all. Join "
    "levels, or use the chi-square test."
)


class ChiSquare(Task):
    """Do two groupings go together? Chi-square, Fisher and Mantel-Haenszel tests, as if in one table."""

    title: ClassVar[str] = "Chi-square and Fisher tests"
    version: ClassVar[str] = "1.0"
    max_rounds: ClassVar[int] = 1
    question: ClassVar[str] = "Do two groupings go together?"
    topic: ClassVar[str] = "compare"
    asks: ClassVar[tuple[str, ...]] = ("Does {column} go with {row}?",)
    example: ClassVar[Mapping[str, Any]] = {"row": "treatment", "column": "readmitted", "strata": "sex"}
    row_additive: ClassVar[bool] = True
    sends: ClassVar[Mapping[str, type[Kind]]] = {"cells": Count}

    row = Column("Rows", kinds=["group", ".site"], help="A grouping, such as the treatment")
    column = Column("Columns", kinds=["group", ".site"], help="Another grouping, such as an outcome")
    strata = Column(
        "Strata",
        kinds=["group", ".site"],
        optional=True,
        help="Mantel-Haenszel compares within these and gives one common odds ratio",
    )
    yates = Flag(
        "Continuity correction",
        default=True,
        help="Of chi-square and Mantel-Haenszel with two rows and two columns",
    )

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Any, sites: int = 1) -> dict[str, Any]:
        values = super().validate(given, dictionary, sites)
        named = [values[name] for name in ("row", "column", "strata") if values[name]]
        if len(set(named)) < len(named):
            raise UsageError("parameter", "Rows, columns and strata must be different columns.")
        return values

    @property
    def shape(self) -> tuple[int, int, int]:
        """Strata, rows, columns: the same at every site, whatever its patients."""
        strata = len(self.group_names(self.strata)) if self.strata else 1
        return strata, len(self.group_names(self.row)), len(self.group_names(self.column))

    def start(self) -> State:
        if math.prod(self.shape) > GRID_POINTS:
            raise UsageError(
                "grid_too_fine",
                f"Rows, columns and strata of this step make {math.prod(self.shape):,} cells, more than "
                f"{GRID_POINTS:,}: choose columns with fewer values.",
            )
        return {}

    def local(self, data: Table, state: State) -> Update:
        cell = data.levels(self.strata) if self.strata else np.zeros(len(data), dtype=np.int64)
        for column, size in zip((self.row, self.column), self.shape[1:], strict=True):
            cell = cell * size + data.levels(column)
        return {"cells": np.bincount(cell, minlength=math.prod(self.shape)).reshape(self.shape)}

    def combine(self, state: State, total: Update) -> Done:
        cells, notes = total["cells"], []
        names = {}
        for axis, column in ((1, self.row), (2, self.column)):
            there = cells.sum(axis=tuple({0, 1, 2} - {axis})) > 0
            cells = np.compress(there, cells, axis=axis)
            names[axis] = [name for name, kept in zip(self.group_names(column), there, strict=True) if kept]
            if self.spec(column).type == "factor" and not there.all():
                absent = [
                    name for name, kept in zip(self.group_names(column), there, strict=True) if not kept
                ]
                notes.append(f"Nobody is in {wording.listed(absent)} of “{column}”: left out of the tests.")
        table = cells.sum(axis=0)
        tests = self._tests(cells, table, notes)
        return Done(
            conventions=self._conventions(table),
            statistics={"cramers_v": contingency.cramers_v(table)},
            tests=tests,
            tables={
                "cells": self._cells(
                    table,
                    [f"{self.row}={name}" for name in names[1]],
                    [f"{self.column}={name}" for name in names[2]],
                )
            },
            figures=self._figures(),
            notes=notes,
            reproduce=self._calls(table, tests["fisher"]["p"] is not None),
        )

    def _tests(self, cells: Floats, table: Floats, notes: list[str]) -> dict[str, Row]:
        if min(table.shape) < 2:
            single = [
                name for name, size in zip((self.row, self.column), table.shape, strict=True) if size < 2
            ]
            notes.append(
                f"All patients are in one level of {wording.listed(single)}: there is nothing to compare."
            )
            nothing: Row = {"statistic": None, "df": 0, "p": None}
            return {"chi_square": nothing, "fisher": nothing}
        tests = {"chi_square": contingency.pearson(table, self.yates), "fisher": self._fisher(table, notes)}
        if contingency.expected(table).min() < SMALL:
            exact = "; Fisher's test is exact" if tests["fisher"]["p"] is not None else ""
            notes.append(
                f"Fewer than {SMALL} people are expected in some cells: the chi-square test is only a rough "
                f"approximation there{exact}."
            )
        if self.strata:
            tests["mantel_haenszel"] = self._mantel_haenszel(cells, notes)
        return tests

    def _fisher(self, table: Floats, notes: list[str]) -> Row:
        if table.shape != (2, 2):
            p = larger_table_p(table)
            if p is None:
                notes.append(NO_FISHER)
            return {"statistic": None, "df": None, "p": p}
        exact = TwoByTwo.of(table)
        lower, upper = exact.limits(LEVEL)
        estimate = exact.odds_ratio()
        if math.isinf(upper):
            what = (
                "odds ratio and its upper limit are"
                if math.isinf(estimate)
                else "upper limit of the odds ratio is"
            )
            notes.append(f"Fisher's {what} infinite, because a cell of the table is empty.")
        return {
            "statistic": None,
            "df": None,
            "p": exact.p,
            "estimate": estimate,
            "ci_lower": lower,
            "ci_upper": upper,
        }

    def _mantel_haenszel(self, cells: Floats, notes: list[str]) -> Row:
        sizes = cells.sum(axis=(1, 2))
        if (single := int((sizes == 1).sum())) > 0:
            strata = "1 stratum holds" if single == 1 else f"{single} strata hold"
            notes.append(
                f"{strata} one patient only and cannot compare anything: left out of Mantel-Haenszel."
            )
        if not (sizes > 1).any():
            return {"statistic": None, "df": None, "p": None}
        row = contingency.mantel_haenszel(cells[sizes > 1], self.yates)
        if row["statistic"] is None:
            notes.append(
                "Within the strata rows and columns do not both vary: Mantel-Haenszel has no answer."
            )
        elif "estimate" in row and row["ci_lower"] is None:
            notes.append(
                "The common odds ratio has no interval, because in every stratum a cell of the table is empty."
            )
        return row

    @staticmethod
    def _cells(table: Floats, rows: list[str], columns: list[str]) -> list[Row]:
        expected, across, down = contingency.expected(table), table.sum(axis=1), table.sum(axis=0)
        return [
            {
                "row": row,
                "column": column,
                "observed": int(table[i, j]),
                "expected": float(expected[i, j]),
                "row_share": float(table[i, j] / across[i]),
                "column_share": float(table[i, j] / down[j]),
            }
            for i, row in enumerate(rows)
            for j, column in enumerate(columns)
        ]

    # Words.

    def _conventions(self, table: Floats) -> dict[str, Any]:
        two = table.shape == (2, 2)
        corrected = (
            "with Yates' continuity correction" if two and self.yates else "without continuity correction"
        )
        said: dict[str, Any] = {
            "chi_square": f"Pearson, {corrected}",
            "fisher": "two-sided: the summed chances of all tables with the same totals that are no likelier than this",
            "missing": "complete cases over the columns named",
        }
        if two:
            said["odds_ratio"] = (
                "of Fisher: conditional maximum likelihood with exact limits, found to all digits (R's fisher.test "
                "stops at about four)"
            )
            said["level"] = LEVEL
        if self.strata and two:
            said["mantel_haenszel"] = (
                f"{'with' if self.yates else 'without'} continuity correction; common odds ratio with limits by "
                "Robins, Breslow and Greenland"
            )
        elif self.strata:
            said["mantel_haenszel"] = (
                "generalised Cochran-Mantel-Haenszel test, without continuity correction"
            )
        return said

    def _figures(self) -> list[Figure]:
        text = f"Numbers of patients in each level of “{self.column}”, for each level of “{self.row}”."
        return [Figure("Bars", f"{self.column} by {self.row}", text, table="cells")]

    def _calls(self, table: Floats, exact: bool) -> dict[str, str]:
        """The same tests of one table in R and in Python; Fisher's only where it has an answer here."""
        if min(table.shape) < 2:
            return {}
        row, column = (f"d${wording.r_name(name)}" for name in (self.row, self.column))
        correct = f", correct = {'TRUE' if self.yates else 'FALSE'}"
        two = table.shape == (2, 2)
        r = [f"chisq.test({row}, {column}{correct})"]
        python = [
            f"counts = pandas.crosstab(d[{self.row!r}], d[{self.column!r}])",
            f"scipy.stats.chi2_contingency(counts, correction={self.yates})",
        ]
        if exact:
            r.append(f"fisher.test({row}, {column}{'' if two else ', workspace = 2e7'})")
        if two:
            python += [
                "scipy.stats.fisher_exact(counts).pvalue",
                "odds = scipy.stats.contingency.odds_ratio(counts)",
                "odds.statistic, odds.confidence_interval()",
            ]
        if self.strata:
            several = f"ave(seq_len(nrow(d)), d${wording.r_name(self.strata)}, FUN = length) > 1"
            strata = f"d${wording.r_name(self.strata)}"
            r += [f"d <- droplevels(d[{several}, ])", f"mantelhaen.test({row}, {column}, {strata}{correct})"]
        if self.strata and two:
            python += [
                "from statsmodels.stats.contingency_tables import StratifiedTable",
                f"parts = [g for _, g in d.groupby({self.strata!r}, observed=True) if len(g) > 1]",
                f"both = [pandas.crosstab(g[{self.row!r}], g[{self.column!r}]) for g in parts]",
                "s = StratifiedTable([t.reindex_like(counts).fillna(0.0) for t in both])",
                f"print(s.test_null_odds(correction={self.yates}))",
                "s.oddsratio_pooled, s.oddsratio_pooled_confint()",
            ]
        return {"r": "; ".join(r), "python": "import pandas, scipy.stats; " + "; ".join(python)}
