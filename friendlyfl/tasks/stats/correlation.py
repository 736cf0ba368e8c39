"""Which measurements go together? Correlations of Pearson and of Spearman, of each pair.

Pearson: sums about pooled means, in pooled units. Spearman: counts on each grid give mid-ranks over all hospitals,
and then sums of products of ranks. What does not live here: the ranks themselves (ranks).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Choice, Columns, Count, Cross, Done, Sum, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.dictionary import GRID_POINTS, Dictionary
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.inference import LEVEL, Row, critical, two_sided
from friendlyfl.tasks.stats.moments import unit_near
from friendlyfl.tasks.stats.rank_test import check_ordered, places
from friendlyfl.tasks.stats.ranks import mid_ranks

Floats = npt.NDArray[np.float64]

LEAST = 1e-15  # below this share of the mean square a variance is rounding
CONSTANT = 1e-13  # spread over size: what is left of a column with one value is rounding
PERFECT = 1e-13  # 1 - |r| below this is rounding


class Correlation(Task):
    """Which measurements go together? Correlations as if all patients were in one table."""

    title: ClassVar[str] = "Correlation"
    version: ClassVar[str] = "1.0"
    max_rounds: ClassVar[int] = 2
    question: ClassVar[str] = "Which measurements go together?"
    topic: ClassVar[str] = "compare"
    asks: ClassVar[tuple[str, ...]] = ("How closely do {variables} go together?",)
    example: ClassVar[Mapping[str, Any]] = {"variables": "age,bmi,sbp,lvef"}
    row_additive: ClassVar[bool] = True
    stages: ClassVar[tuple[str, ...]] = ("first", "products")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        "n": Count,
        "values": Sum,
        "squares": Sum,
        "counts": Count,
        "products": Cross,
    }

    variables = Columns(
        "Variables",
        min=2,
        kinds=["number", "factor"],
        help="Numbers; for Spearman also factors whose levels are in order",
    )
    method = Choice(
        "Method",
        {"pearson": "Pearson's, of the values", "spearman": "Spearman's, of the ranks"},
        help="Ranks serve for values that are skewed or have outliers",
    )

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Dictionary, sites: int = 1) -> dict[str, Any]:
        values = super().validate(given, dictionary, sites)
        title = cls.parameters["variables"].title
        for name in values["variables"]:
            if values["method"] == "pearson" and dictionary.spec(name).type == "factor":
                raise UsageError(
                    "parameter",
                    f"{title} must be numbers for Pearson's correlation, and “{name}” is a factor.",
                )
            check_ordered(title, name, dictionary)
        return values

    @property
    def ranked(self) -> bool:
        return self.method == "spearman"

    @property
    def points(self) -> list[int]:
        """Values that each variable may have."""
        specs = [self.spec(name) for name in self.variables]
        return [len(spec.levels) if spec.type == "factor" else spec.grid_size for spec in specs]

    def start(self) -> State:
        if self.ranked and sum(self.points) > GRID_POINTS:
            raise UsageError(
                "grid_too_fine",
                f"The variables of this step may have {sum(self.points):,} values, more than {GRID_POINTS:,}: give "
                "them larger steps in the dictionary.",
            )
        return {}

    # Stage first: where the pooled middle of each variable is, or how many have each value.

    def local_first(self, data: Table, state: State) -> Update:
        if not self.ranked:
            values = data.design(self.variables)[:, 1:] / self.scales(self.variables)[1:]
            return {"n": len(data), "values": values.sum(axis=0), "squares": (values**2).sum(axis=0)}
        parts = zip(self.variables, self.points, strict=True)
        counts = [np.bincount(places(data, name), minlength=size) for name, size in parts]
        return {"n": len(data), "counts": np.concatenate(counts)}

    def combine_first(self, state: State, total: Update) -> State:
        n = total["n"]
        if not self.ranked:
            scales = self.scales(self.variables)[1:]
            mean, square = total["values"] / n, total["squares"] / n
            spread = np.sqrt(np.maximum(square - mean**2, LEAST * square))  # rough: only a unit
            units = np.array([unit_near(float(size)) for size in spread * scales])
            return {"stage": "products", "n": n, "centre": mean * scales, "unit": units}
        parts = np.split(total["counts"], np.cumsum(self.points)[:-1])
        return {
            "stage": "products",
            "n": n,
            "ranks": np.concatenate([mid_ranks(counts) for counts in parts]),
            "centre": np.full(len(self.variables), (n + 1.0) / 2.0),
            "unit": np.full(len(self.variables), unit_near(n)),
        }

    # Stage products: sums and products about that middle.

    def local_products(self, data: Table, state: State) -> Update:
        values = self._ranks(data, state) if self.ranked else data.design(self.variables)[:, 1:]
        off = (values - state["centre"]) / state["unit"]
        off = np.column_stack([np.ones(len(data)), off])
        return {"products": off.T @ off}

    def _ranks(self, data: Table, state: State) -> Floats:
        starts = np.cumsum([0, *self.points[:-1]])
        columns = [
            state["ranks"][start + places(data, name)]
            for name, start in zip(self.variables, starts, strict=True)
        ]
        return np.column_stack(columns)

    def combine_products(self, state: State, total: Update) -> Done:
        products, n = total["products"], float(state["n"])
        left = products[0, 1:]
        spread = products[1:, 1:] - np.outer(left, left) / n
        # Of equal values only rounding is left, and that of the values themselves.
        size = np.abs(state["centre"] / state["unit"])
        lengths = np.sqrt(np.maximum(np.diag(spread), 0.0))
        constant = lengths <= CONSTANT * math.sqrt(n) * size
        r = spread / np.outer(np.where(constant, np.nan, lengths), lengths)
        r = np.where(1.0 - np.abs(r) < PERFECT, np.sign(r), (r + r.T) / 2.0)
        np.fill_diagonal(r, np.where(constant, np.nan, 1.0))
        pairs = list(itertools.combinations(range(len(self.variables)), 2))
        name = self._test_name
        return Done(
            conventions=self._conventions(),
            tests={name(i, j): self._test(float(r[i, j]), n, i, j) for i, j in pairs},
            tables={"correlation": self._table(r)},
            notes=self._notes(r, constant, n),
            reproduce=self._calls(),
        )

    def _table(self, r: Floats) -> list[Row]:
        return [
            {"variable": name, **{other: float(r[i, j]) for j, other in enumerate(self.variables)}}
            for i, name in enumerate(self.variables)
        ]

    def _test_name(self, i: int, j: int) -> str:
        """`pearson`, and with more than one pair which: `pearson_age_bmi`."""
        pair = f"_{self.variables[i]}_{self.variables[j]}" if len(self.variables) > 2 else ""
        return f"{self.method}{pair}"

    def _test(self, r: float, n: float, i: int, j: int) -> Row:
        names = [self.variables[i], self.variables[j]]
        test = _spearman if self.ranked else _pearson
        return {**test(r, n), "estimate": r, "variables": names}

    def _notes(self, r: Floats, constant: npt.NDArray[np.bool_], n: float) -> list[str]:
        notes = []
        alike = [name for name, flag in zip(self.variables, constant, strict=True) if flag]
        if alike:
            notes.append(
                f"{wording.listed(alike)} has the same value for every patient: it goes with nothing."
            )
        if n < 3:
            notes.append("Fewer than 3 patients have all these values: there is no test.")
        off = np.triu(np.abs(r) == 1.0, 1)
        if off.any():
            notes.append(
                "Variables with a correlation of 1 or -1 say the same: their test has no finite statistic."
            )
        return notes

    # Words.

    def _conventions(self) -> dict[str, Any]:
        said: dict[str, Any] = {"missing": "complete cases over all variables named"}
        if self.ranked:
            said["spearman"] = (
                "mid-ranks over all hospitals; the statistic is S, the sum of squared differences of ranks as far as "
                "there are no ties; p from t with n - 2 degrees of freedom, as R's cor.test with exact = FALSE"
            )
            return said
        return said | {
            "pearson": "t with n - 2 degrees of freedom",
            "ci": "Fisher's z, 1 / sqrt(n - 3)",
            "level": LEVEL,
        }

    def _calls(self) -> dict[str, str]:
        """The same correlations of one table in R and in Python."""
        names = ", ".join(wording.quoted(name) for name in self.variables)
        exact = ", exact = FALSE" if self.ranked else ""
        test = "spearmanr" if self.ranked else "pearsonr"
        limits = "" if self.ranked else ".confidence_interval()"
        pairs = "for a, b in itertools.combinations(d, 2)"
        columns = f"d[{list(self.variables)!r}]"
        levels = [name for name in self.variables if self.spec(name).type == "factor"]
        as_codes = f".apply(lambda x: x.cat.codes if x.name in {levels!r} else x)" if levels else ""
        python = f"import itertools, scipy.stats; d = {columns}{as_codes}; d.corr(method={self.method!r}); "
        python += f"{{(a, b): scipy.stats.{test}(d[a], d[b]) {pairs}}}"
        if limits:
            python += f"; {{(a, b): scipy.stats.{test}(d[a], d[b]){limits} {pairs}}}"
        return {
            "r": f'd <- na.omit(as.data.frame(data.matrix(d[c({names})]))); cor(d, method = "{self.method}"); '
            f'combn(d, 2, function(x) cor.test(x[[1]], x[[2]], method = "{self.method}"{exact}), simplify = FALSE)',
            "python": python,
        }


def _student(r: float, df: float) -> tuple[float | None, float | None]:
    """Student's t of a correlation and its p."""
    if df < 1 or math.isnan(r):
        return None, None
    if abs(r) == 1.0:
        return None, 0.0
    t = r * math.sqrt(df / ((1.0 - r) * (1.0 + r)))
    return t, two_sided(t, df)


def _pearson(r: float, n: float) -> Row:
    t, p = _student(r, n - 2)
    row: Row = {"statistic": t, "df": max(int(n - 2), 0), "p": p, "ci_lower": None, "ci_upper": None}
    if n > 3 and abs(r) < 1.0:
        z, width = math.atanh(r), critical(LEVEL) / math.sqrt(n - 3.0)
        row |= {"ci_lower": math.tanh(z - width), "ci_upper": math.tanh(z + width)}
    elif n > 3 and abs(r) == 1.0:
        row |= {"ci_lower": r, "ci_upper": r}
    return row


def _spearman(r: float, n: float) -> Row:
    """R's S, and the p of cor.test(exact = FALSE), which is Student's."""
    _t, p = _student(r, n - 2)
    return {"statistic": (n**3 - n) / 6.0 * (1.0 - r), "df": None, "p": p}
