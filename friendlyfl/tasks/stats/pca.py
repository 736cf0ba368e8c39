"""Principal components, as `prcomp` of R: of the pooled covariance, or of the correlations.

What does not live here: pooled means and centred numbers (measurements).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy import linalg

from friendlyfl.tasks import Cross, Done, Flag, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.report import Figure
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.measurements import FLAT, Measurements
from friendlyfl.tasks.stats.moments import Floats

ONE_ROW = "There is one complete row over all hospitals; a covariance needs two."
CONSTANT = (
    "{} cannot be scaled: it is the same for every patient in this analysis. Leave it out, or do not scale."
)
UNIT = (
    "The variables keep their units, so one with a large variance rules the first components; scale them if "
    "units differ."
)
AS_LARGE = 1e-8  # two loadings that differ by less are of one size, and the first of them decides the sign


class Pca(Measurements):
    """Which few combinations of measurements hold most of their variance? As if all were in one table."""

    title: ClassVar[str] = "Principal components"
    version: ClassVar[str] = "1.0"
    max_rounds: ClassVar[int] = 2
    question: ClassVar[str] = "Which few combinations of measurements hold most of their variance?"
    topic: ClassVar[str] = "patterns"
    asks: ClassVar[tuple[str, ...]] = ("Which few patterns are behind {variables}?",)
    example: ClassVar[Mapping[str, Any]] = {"variables": "age,bmi,sbp,lvef,bnp", "scale": True}
    references: ClassVar[tuple[str, ...]] = (
        "Jolliffe IT. Principal Component Analysis. 2nd ed. Springer; 2002.",
    )
    stages: ClassVar[tuple[str, ...]] = ("means", "products")
    sends: ClassVar[Mapping[str, type[Kind]]] = {**Measurements.sends, "products": Cross}

    scale = Flag("Scale to variance 1", help="Yes: of the correlations, so that units do not matter")

    def most_numbers(self) -> dict[str, int]:
        size = len(self.variables)
        return {"means": 1 + 2 * size, "products": size * size}

    def combine_means(self, state: State, total: Update) -> State | Done:
        if float(total["rows"]) < 2:
            return Done(answer=ONE_ROW, notes=[ONE_ROW])
        return {"stage": "products", **self.moments(total)}

    def local_products(self, data: Table, state: State) -> Update:
        centred = self.centred(data, state)
        return {"products": centred.T @ centred}

    def combine_products(self, state: State, total: Update) -> Done:
        rows, unit = float(state["rows"]), np.asarray(state["unit"])
        products = np.asarray(total["products"])
        flat = np.diag(products) <= FLAT * rows
        if self.scale and flat.any():
            names = [name for name, is_flat in zip(self.variables, flat, strict=True) if is_flat]
            sentence = CONSTANT.format(wording.listed(names))
            return Done(answer=sentence, notes=[sentence])
        size = np.sqrt(np.where(flat, 1.0, np.diag(products)))
        correlation = np.where(np.outer(~flat, ~flat), products / np.outer(size, size), np.eye(len(flat)))
        sd = np.where(flat, 0.0, size * unit / np.sqrt(rows - 1.0))
        variance, loadings = components(correlation, np.ones(len(sd)) if self.scale else sd)
        return self._result(variance, loadings, int(rows), state["middle"], sd)

    def _result(self, variance: Floats, loadings: Floats, rows: int, middle: Floats, sd: Floats) -> Done:
        names = [
            f"PC{place}" for place in range(1, min(rows, len(variance)) + 1)
        ]  # R gives no more than rows
        total = float(variance.sum())
        return Done(
            conventions={
                "covariance": "with n - 1, over complete rows",
                "scale": "variables scaled to variance 1" if self.scale else "variables in their own units",
                "sign": "the largest loading of a component is positive",
                "missing": "complete cases over the columns named",
            },
            statistics={"total_variance": total},
            tables={
                "variance": [
                    {"component": name, "variance": value, "proportion": value / total if total > 0 else None}
                    for name, value in zip(names, variance.tolist(), strict=False)
                ],
                "loadings": [
                    {"variable": variable, **dict(zip(names, row, strict=False))}
                    for variable, row in zip(self.variables, loadings.tolist(), strict=True)
                ],
                "means": [
                    {"variable": variable, "mean": mean, "sd": spread}
                    for variable, mean, spread in zip(
                        self.variables, middle.tolist(), sd.tolist(), strict=True
                    )
                ],
            },
            figures=[
                Figure(
                    "Bars",
                    "Variance of the components",
                    "Share of the variance of all variables that each principal component holds.",
                    table="variance",
                    axis="Share of variance",
                )
            ],
            notes=[] if self.scale or len(variance) < 2 else [UNIT],
            reproduce=self._calls(),
        )

    def _calls(self) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        names = ", ".join(wording.quoted(name) for name in self.variables)
        table = f"d[{list(self.variables)!r}]"
        scaled = f"({table} - {table}.mean()) / {table}.std()" if self.scale else table
        return {
            "r": f"fit <- prcomp(d[c({names})], scale. = {'TRUE' if self.scale else 'FALSE'}); "
            "largest <- apply(fit$rotation, 2, function(x) sign(x[which.max(abs(x))])); "
            'fit$sdev^2; sweep(fit$rotation, 2, largest, "*")',
            "python": "import numpy as np; from sklearn.decomposition import PCA; "
            f"fit = PCA().fit({scaled}); c = fit.components_.T; "
            "fit.explained_variance_; c * np.sign(c[np.abs(c).argmax(axis=0), range(c.shape[1])])",
        }


def components(correlation: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Variances in falling order, and the loadings as columns, the largest of each positive.

    Of the covariance with these correlations and spreads, through a root of it whose rows fall in size: so that the
    small variances keep their digits beside one of 1e16, as they would not in the covariance itself.
    """
    values, vectors = linalg.eigh(correlation)
    root = spread[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))
    order = np.argsort(-spread, kind="stable")
    sorted_loadings, sizes, _ = linalg.svd(root[order])
    loadings = np.empty_like(sorted_loadings)
    loadings[order] = sorted_loadings
    for column in loadings.T:
        size = np.abs(column)
        if column[np.flatnonzero(size >= (1.0 - AS_LARGE) * size.max())[0]] < 0:
            column *= -1.0
    return sizes**2, loadings
