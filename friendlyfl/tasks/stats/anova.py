"""Analysis of variance, one and two way, with Welch's test and Tukey's comparisons.

Everything follows from each group's number, mean and spread (group_means); sums of squares of unbalanced groups are
those of least_squares, the chances of Tukey's comparisons those of studentized_range.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Columns, Done, Flag
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.report import Figure
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.group_means import ComparesGroups, Floats, GroupMeans, Integers
from friendlyfl.tasks.stats.inference import LEVEL, Row, f_test
from friendlyfl.tasks.stats.least_squares import Frame, anova_type1, anova_type2
from friendlyfl.tasks.stats.studentized_range import critical_range, upper_tail

MOST_PAIRS = 435  # of 30 groups
MOST_CELLS = 400  # of two groupings together

TOO_MANY_PAIRS = "Tukey's comparisons are not given for more than 30 groups."
NO_SPREAD = "The outcome does not vary within the groups, so there is no test."
NO_DF = "Every group has one patient only, so nothing is left to tell how much patients of a group differ."


class Anova(ComparesGroups):
    """Do groups differ in a measurement? Analysis of variance as if all patients were in one table."""

    title: ClassVar[str] = "Analysis of variance"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Do several groups differ in a measurement?"
    topic: ClassVar[str] = "compare"
    asks: ClassVar[tuple[str, ...]] = ("Does {outcome} differ between the groups of {groups}?",)
    example: ClassVar[Mapping[str, Any]] = {"outcome": "sbp", "groups": "sex,treatment"}
    references: ClassVar[tuple[str, ...]] = (
        "Fisher RA. Statistical Methods for Research Workers. Edinburgh: Oliver and Boyd, 1925.",
        "Welch BL. On the comparison of several mean values: an alternative approach. Biometrika 1951;38:330-336.",
        "Kramer CY. Extension of multiple range tests to group means with unequal numbers of replications. "
        "Biometrics 1956;12:307-310.",
    )

    groups = Columns(
        "Groups",
        kinds=["group", ".site"],
        help="One column for one-way, two for two-way analysis with their interaction. Type I tables keep this order",
    )
    equal_variance = Flag(
        "Equal variances",
        default=True,
        help="No: Welch's test, for one column of groups, is the one to report",
    )

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Dictionary, sites: int = 1) -> dict[str, Any]:
        values = super().validate(given, dictionary, sites)
        if len(values["groups"]) > 2:
            raise UsageError(
                "parameter",
                "Groups (groups) takes one or two columns; linear_regression takes more.",
            )
        if len(values["groups"]) == 2 and not values["equal_variance"]:
            raise UsageError(
                "parameter",
                "Equal variances (equal_variance) must be yes with two columns of groups: Welch's test knows one.",
            )
        return values

    def grouping(self) -> list[str]:
        return list(self.groups)

    def compared(self, means: GroupMeans) -> Done:
        names = self.names(means.places)
        if len(names) < 2:
            return Done(
                answer=f"All patients in this analysis are in one group ({names[0]}), so there is nothing to compare."
            )
        if len(self.groups) == 2 and len(names) > MOST_CELLS:
            return Done(
                answer=f"The two columns make {len(names)} groups, more than {MOST_CELLS}: join levels."
            )
        frame, terms = self._frame(means), self._terms()
        rss, df = means.within, means.df_within
        parts = {term: frozenset(self.groups if term == terms[-1] else [term]) for term in terms}
        notes = [NO_DF if df < 1 else NO_SPREAD] if rss <= 0 else []
        tables = {
            "anova_type1": anova_type1(frame, terms, rss, df),
            "anova_type2": anova_type2(frame, terms, parts, rss, df),
            "groups": means.rows(names),
        }
        tests: dict[str, Row] = {}
        if len(self.groups) == 1:
            tests = {"anova": _one_way(frame, rss, df), "welch_anova": _welch(means)}
            if not self.equal_variance:
                tests = dict(reversed(tests.items()))
            if rss > 0 and len(names) * (len(names) - 1) // 2 <= MOST_PAIRS:
                tables["tukey"] = self._tukey(means)
            elif rss > 0:
                notes.append(TOO_MANY_PAIRS)
            if df > 0 and (means.n < 2).any():
                alone = [name for name, n in zip(names, means.n, strict=True) if n < 2]
                notes.append(f"{wording.listed(alone)} has one patient only, so there is no Welch's test.")
        else:
            notes += self._absent(tables["anova_type2"])
        total = frame.explained + rss
        return Done(
            statistics={
                "rss": rss,
                "sigma": math.sqrt(rss / df) if rss > 0 else None,
                "r2": frame.explained / total if total > 0 else None,
                "df_residual": df,
            },
            tests=tests,
            tables=tables,
            conventions=self._conventions(),
            figures=self._figures("tukey" in tables),
            notes=notes,
            reproduce=self._calls(),
        )

    def _terms(self) -> list[str]:
        return list(self.groups) if len(self.groups) == 1 else [*self.groups, ":".join(self.groups)]

    def _frame(self, means: GroupMeans) -> Frame:
        """Groups as rows, each counting as often as it has patients: the same sums of squares as patients give."""
        root = np.sqrt(means.n)
        columns, owner = [np.ones((len(root), 1))], ["(Intercept)"]
        if len(self.groups) == 1:
            blocks = [_contrasts(means.places)]
        else:
            one, two = (_contrasts(codes) for codes in np.unravel_index(means.places, self.shape))
            across = [one[:, i] * two[:, j] for j in range(two.shape[1]) for i in range(one.shape[1])]
            blocks = [one, two, np.column_stack([*across, np.zeros((len(root), 0))])]
        for term, block in zip(self._terms(), blocks, strict=True):
            columns.append(block)
            owner += [term] * block.shape[1]
        middle = float(means.n @ means.above) / float(means.n.sum())
        return Frame(root[:, None] * np.column_stack(columns), owner, root * (means.above - middle))

    def _tukey(self, means: GroupMeans) -> list[Row]:
        """Every pair of groups, later minus earlier, with Tukey's (for unequal numbers Kramer's) p and limits."""
        levels = [self.group_names(self.groups[0])[place] for place in means.places]
        groups, df = len(levels), means.df_within
        width = critical_range(groups, df)
        rows: list[Row] = []
        for i, j in itertools.combinations(range(groups), 2):
            difference = float(means.above[j] - means.above[i])
            se = math.sqrt(means.within / df / 2.0 * float(1.0 / means.n[i] + 1.0 / means.n[j]))
            rows.append(
                {
                    "pair": f"{levels[j]}-{levels[i]}",
                    "diff": difference,
                    "ci_lower": difference - width * se,
                    "ci_upper": difference + width * se,
                    "p": upper_tail(abs(difference) / se, groups, df),
                }
            )
        return rows

    # Words.

    def _absent(self, rows: list[Row]) -> list[str]:
        none = [row["term"] for row in rows if row["df"] == 0 and row["term"] in self._terms()]
        return (
            [f"{wording.listed(none)} cannot be told from the rest: too many groups are empty."]
            if none
            else []
        )

    def _conventions(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "test": "anova: variances taken as equal",
            "anova": "type I: each term beyond those before it, in the order given; type II: each term beyond all "
            "others that do not contain it",
            "ci": "t",
            "level": LEVEL,
            "sd": "with n - 1",
            "missing": "complete cases over the columns named",
        }
        if len(self.groups) == 1:
            said["tukey"] = (
                "honest significant differences, Tukey-Kramer for unequal numbers, one common variance; p and limits "
                "allow for all pairs"
            )
            if not self.equal_variance:
                said["test"] = "welch_anova: Welch's, variances not taken as equal"
        return said

    def _figures(self, pairs: bool) -> list[Figure]:
        outcome, by = self.spec(self.outcome).words, " and ".join(self.groups)
        text = f"Mean of {self.outcome} in each group of {by}, with its 95% confidence interval."
        figures = [Figure("Forest", f"{self.outcome} by {by}", text, table="groups", axis=outcome)]
        if pairs:
            text = (
                f"Differences in {self.outcome} between each two groups of {by}, with 95% confidence intervals that "
                "allow for all pairs; the line at 0 means no difference."
            )
            figures.append(
                Figure("Forest", f"Differences by {by}", text, table="tukey", axis="Difference of means")
            )
        return figures

    def _calls(self) -> dict[str, str]:
        r_groups = [f"factor({wording.r_name(name)})" for name in self.groups]
        outcome = wording.r_name(self.outcome)
        fit = f"fit <- aov({outcome} ~ {' * '.join(r_groups)}, data = d)"
        if len(self.groups) == 1:
            r = f"{fit}; summary(fit); TukeyHSD(fit); oneway.test({outcome} ~ {r_groups[0]}, data = d)"
        else:
            r = f"{fit}; summary(fit); car::Anova(fit, type = 2)"
        names = [f'C(Q("{name}"))' for name in self.groups]
        models, steps = ["1", names[0]], {self.groups[0]: (0, 1)}
        if len(names) == 2:
            models += [names[1], " + ".join(names), " * ".join(names)]
            steps |= {
                self.groups[1]: (1, 3),
                ":".join(self.groups): (3, 4),
                f"{self.groups[0]}, type II": (2, 3),
            }
        formulas = [f'Q("{self.outcome}") ~ {model}' for model in models]
        # Of nested models: statsmodels' own tables are wrong where a cell is empty.
        return {
            "r": r,
            "python": "import scipy.stats, statsmodels.formula.api as smf; "
            f"fits = [smf.ols(formula, d).fit() for formula in {formulas!r}]; full = fits[-1]; "
            "row = lambda a, b: (a.ssr - b.ssr, a.df_resid - b.df_resid); "
            f"rows = {{term: row(fits[i], fits[j]) for term, (i, j) in {steps!r}.items()}}; "
            "rows = {term: (ss, df, ss / df / full.scale) for term, (ss, df) in rows.items() if df > 0}; "
            "{term: (*row, scipy.stats.f.sf(row[2], row[1], full.df_resid)) for term, row in rows.items()}; "
            "full.ssr, full.df_resid",
        }


def _contrasts(codes: Integers) -> Floats:
    """A column for each level that occurs but the first."""
    return np.asarray(codes[:, None] == np.unique(codes)[1:], dtype=np.float64)


def _one_way(frame: Frame, rss: float, df: int) -> Row:
    own = len(frame.outcome) - 1
    return f_test(frame.explained / own / (rss / df) if rss > 0 else math.nan, own, df)


def _welch(means: GroupMeans) -> Row:
    """Do the means differ, where each group has a variance of its own? As R's oneway.test."""
    groups = len(means.n)
    if (means.n < 2).any() or not (means.squares > 0).all():
        return {"statistic": None, "df": [groups - 1, None], "p": None}
    weight = means.n / means.variance
    share = weight / weight.sum()
    middle = float(share @ means.above)
    between = float(weight @ (means.above - middle) ** 2) / (groups - 1)
    loss = float(((1.0 - share) ** 2 / (means.n - 1.0)).sum()) / (groups**2 - 1)
    return f_test(between / (1.0 + 2.0 * (groups - 2) * loss), groups - 1, 1.0 / (3.0 * loss))
