"""The t test of two groups, Student's and Welch's. The sums it rests on live in group_means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.tasks import Column, Done, Flag
from friendlyfl.tasks.report import Figure
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.group_means import ComparesGroups, GroupMeans
from friendlyfl.tasks.stats.inference import LEVEL, Row, critical, two_sided

SAME = 10.0 * float(np.finfo(float).eps)  # R's: a standard error this small beside the means is none


class TTest(ComparesGroups):
    """Do two groups differ in a measurement? The t test as if all patients were in one table."""

    name: ClassVar[str] = "t_test"
    title: ClassVar[str] = "t test"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Do two groups differ in a measurement?"
    topic: ClassVar[str] = "compare"
    asks: ClassVar[tuple[str, ...]] = ("Does {outcome} differ between the groups of {group}?",)
    example: ClassVar[Mapping[str, Any]] = {"outcome": "sbp", "group": "treatment"}
    references: ClassVar[tuple[str, ...]] = (
        "Student. The probable error of a mean. Biometrika 1908;6:1-25.",
        "Welch BL. The generalization of Student's problem when several different population variances are involved. "
        "Biometrika 1947;34:28-35.",
    )

    group = Column("Group", kinds=["group", ".site"], help="Exactly two of its groups must have patients")
    equal_variance = Flag(
        "Equal variances", help="Student's test if yes, Welch's if no: which of the two to report"
    )

    def grouping(self) -> list[str]:
        return [self.group]

    def compared(self, means: GroupMeans) -> Done:
        names = self.names(means.places)
        if len(names) != 2:
            return Done(answer=self._not_two(names))
        difference = float(means.above[0] - means.above[1])
        size = float(np.abs(means.mean).max())
        both = {"student_t": _row(difference, *_student(means), size)}
        both["welch_t"] = _row(difference, *_welch(means), size)
        chosen = "student_t" if self.equal_variance else "welch_t"
        return Done(
            tests={name: both[name] for name in sorted(both, key=lambda name: name != chosen)},
            tables={"groups": means.rows(names)},
            conventions=self._conventions(chosen, names),
            figures=self._figures(),
            notes=self._notes(means, names, both[chosen]["statistic"] is not None),
            reproduce=self._calls(),
        )

    def _not_two(self, names: list[str]) -> str:
        if len(names) == 1:
            return f"All patients in this analysis are in one group ({names[0]}), so there is nothing to compare."
        return f"“{self.group}” has {len(names)} groups here, a t test compares two: use anova, or narrow the cohort."

    def _notes(self, means: GroupMeans, names: list[str], found: bool) -> list[str]:
        alone = [name for name, n in zip(names, means.n, strict=True) if n < 2]
        if alone:
            return [f"{wording.listed(alone)} has one patient only, so its spread is not known."]
        if not found:
            return ["The outcome does not vary within the groups, so there is no test."]
        return []

    # Words.

    def _conventions(self, chosen: str, names: list[str]) -> dict[str, Any]:
        words = {
            "student_t": "student_t: Student's, variances taken as equal",
            "welch_t": "welch_t: Welch's, variances not taken as equal",
        }
        return {
            "test": words[chosen],
            "estimate": f"mean of {names[0]} minus mean of {names[1]}",
            "alternative": "two-sided",
            "ci": "t",
            "level": LEVEL,
            "sd": "with n - 1",
            "missing": "complete cases over the columns named",
        }

    def _figures(self) -> list[Figure]:
        outcome = self.spec(self.outcome).words
        text = f"Mean of {self.outcome} in each group of {self.group}, with its 95% confidence interval."
        return [Figure("Forest", f"{self.outcome} by {self.group}", text, table="groups", axis=outcome)]

    def _calls(self) -> dict[str, str]:
        formula = f"{wording.r_name(self.outcome)} ~ {wording.r_name(self.group)}"
        equal = "TRUE" if self.equal_variance else "FALSE"
        return {
            "r": f"t.test({formula}, data = d, var.equal = {equal})",
            "python": f"groups = [g for _, g in d.groupby({self.group!r}, observed=True)[{self.outcome!r}]]; "
            f"test = scipy.stats.ttest_ind(*groups, equal_var={self.equal_variance!r}); "
            "[g.mean() for g in groups], test, test.confidence_interval()",
        }


def _student(means: GroupMeans) -> tuple[float, float]:
    """Standard error of the difference and degrees of freedom."""
    df = means.df_within
    if df < 1:
        return math.nan, math.nan
    return math.sqrt(means.within / df * float((1.0 / means.n).sum())), df


def _welch(means: GroupMeans) -> tuple[float, float]:
    if (means.n < 2).any():
        return math.nan, math.nan
    parts = means.variance / means.n
    total = float(parts.sum())
    if total <= 0.0:
        return 0.0, math.nan
    shares = parts / total  # so that no square overflows or vanishes
    return math.sqrt(total), float(1.0 / (shares**2 / (means.n - 1.0)).sum())


def _row(difference: float, se: float, df: float, size: float) -> Row:
    known = se > SAME * size and math.isfinite(df)
    row: Row = {"statistic": None, "df": df if math.isfinite(df) else None, "p": None}
    row |= {"estimate": difference, "ci_lower": None, "ci_upper": None}
    if known:
        width = critical(LEVEL, df) * se
        row["statistic"] = difference / se
        row["p"] = two_sided(difference / se, df)
        row |= {"ci_lower": difference - width, "ci_upper": difference + width}
    return row
