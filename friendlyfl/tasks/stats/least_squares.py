"""Least squares from sums: the solution, sums of squares of terms in R's two ways, and adjusted means. Pure.

Columns are given by their coordinates in an orthonormal frame, so that nothing cancels; whatever depends on earlier
columns takes no part. What does not live here: how hospitals' rows become sums (linear_regression, anova).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.stats.basis import Basis
from friendlyfl.tasks.stats.inference import Row, f_test
from friendlyfl.tasks.terms import DesignColumn, factors_of

Floats = npt.NDArray[np.float64]

DEPENDENT = 1e-7  # R's tolerance: a column whose rest is shorter than this share of it depends on the others
ESTIMABLE = 1e-7  # a design row nearer than this to what the columns can say lies within it
RESIDUALS = "Residuals"


@dataclass(frozen=True)
class Frame:
    """Columns of a design and the outcome, by their coordinates in one orthonormal frame.

    `columns` has one column for each of the design, the intercept first; `owner` is the term of each, and `outcome`
    the part of the outcome that lies in the frame.
    """

    columns: Floats
    owner: Sequence[str]
    outcome: Floats

    @property
    def explained(self) -> float:
        """The sum of squares of all columns beyond the intercept."""
        beyond = self.outcome - (first := orthonormal(self.columns[:, :1])) @ (first.T @ self.outcome)
        return float(beyond @ beyond)

    def basis_of(self, terms: Iterable[str], before: Floats | None = None) -> Floats:
        """Columns of these terms made orthonormal, in order, beside those of `before`."""
        wanted = set(terms)
        chosen = self.columns[:, [place for place, term in enumerate(self.owner) if term in wanted]]
        return orthonormal(chosen, before)

    def sum_of_squares(self, term: str, before: Floats) -> tuple[float, int]:
        """What a term explains beyond the directions `before`, and its degrees of freedom."""
        added = self.basis_of([term], before)
        return float(np.sum((added.T @ self.outcome) ** 2)), added.shape[1]


def orthonormal(columns: Floats, before: Floats | None = None) -> Floats:
    """Orthonormal columns in order, next to those of `before`; a dependent column adds none."""
    size = len(columns)
    found = np.zeros((size, 0)) if before is None else before
    old = found.shape[1]
    for column in columns.T:
        length = np.linalg.norm(column)
        if length == 0.0:
            continue
        rest = column / length
        for _ in range(2):  # once is not enough where little is left
            rest = rest - found @ (found.T @ rest)
        left = np.linalg.norm(rest)
        if left > DEPENDENT:
            found = np.column_stack([found, rest / left])
    return found[:, old:]


def frame_of(
    lower: Floats, change: Floats, kept: Sequence[int], gram: Floats, theta: Floats, owner: Sequence[str]
) -> Frame:
    """The frame of a fit.

    `lower` is the Cholesky factor of the fit's own cross-products, `change` leads from its kept columns to those of
    the design, and `gram` holds the cross-products of the design's columns without the intercept, from which come
    the dependent ones.
    """
    coordinates = lower.T @ linalg.inv(change)
    columns = np.zeros((len(lower), len(owner)))
    columns[:, list(kept)] = coordinates
    places = np.array(kept[1:], dtype=np.int64)
    for place in range(1, len(owner)):
        if place not in kept and len(places):
            columns[:, place] = coordinates[:, 1:] @ combination(gram, places, place)
    return Frame(columns, owner, lower.T @ theta)


def combination(gram: Floats, places: npt.NDArray[np.int64], place: int) -> Floats:
    """How a dependent column is made of the kept ones, 0 for a constant one; `gram` lacks the intercept."""
    inside, across = gram[np.ix_(places - 1, places - 1)], gram[places - 1, place - 1]
    scale = 1.0 / np.sqrt(np.diag(inside))
    solved: Floats = scale * np.linalg.lstsq(inside * np.outer(scale, scale), scale * across, rcond=None)[0]
    return solved


def estimable(point: Floats, basis: Basis) -> bool:
    """Whether the kept columns determine what the fit says of a centred, scaled design row."""
    assert basis.gram is not None
    kept = np.array(basis.kept[1:], dtype=np.int64)
    for place in set(range(1, len(point))) - set(basis.kept):
        made = combination(basis.gram, kept, place) * point[kept]
        if abs(point[place] - made.sum()) > ESTIMABLE * (1.0 + abs(point[place]) + np.abs(made).sum()):
            return False
    return True


def anova_type1(frame: Frame, terms: Sequence[str], rss: float, df: int) -> list[Row]:
    """Each term beyond those before it, as R's anova prints it: a term that adds nothing has no row."""
    before, parts = orthonormal(frame.columns[:, :1]), []
    for term in terms:
        squares, own = frame.sum_of_squares(term, before)
        before = np.column_stack([before, frame.basis_of([term], before)])
        if own:
            parts.append((term, own, squares))
    return _table(parts, rss, df)


def anova_type2(
    frame: Frame, terms: Sequence[str], parts_of: Mapping[str, frozenset[str]], rss: float, df: int
) -> list[Row]:
    """Each term beyond all others but those that contain it, as R's drop1 and car's Anova."""
    parts = []
    for term in terms:
        others = [other for other in terms if not parts_of[term] <= parts_of[other]]
        before = orthonormal(frame.columns[:, :1])
        before = np.column_stack([before, frame.basis_of(others, before)])
        squares, own = frame.sum_of_squares(term, before)
        parts.append((term, own, squares))
    return _table(parts, rss, df)


def _table(parts: Sequence[tuple[str, int, float]], rss: float, df: int) -> list[Row]:
    mean = rss / df if df > 0 else math.nan
    rows: list[Row] = []
    for term, own, squares in parts:
        test = f_test(squares / own / mean if own and mean > 0 else math.nan, own, df)
        rows.append(
            {
                "term": term,
                "df": own,
                "sum_sq": squares,
                "mean_sq": squares / own if own else None,
                "statistic": test["statistic"],
                "p": test["p"],
            }
        )
    last = {"term": RESIDUALS, "df": df, "sum_sq": rss, "mean_sq": mean if df > 0 else None}
    return [*rows, {**last, "statistic": None, "p": None}]


def term_parts(terms: Sequence[str], dictionary: Dictionary) -> dict[str, frozenset[str]]:
    """The columns each term is made of."""
    return {term: frozenset(factors_of(term, dictionary)) for term in terms}


def reference_row(
    columns: Sequence[DesignColumn],
    factor: str,
    level: int,
    means: Mapping[str, float],
    present: Mapping[str, Floats],
) -> Floats:
    """A design row for one level of a factor: numbers at their means, other factors averaged over their levels.

    `present` marks the levels that occur; each of those counts alike, as in a reference grid.
    """
    row = np.ones(len(columns))
    for place, column in enumerate(columns):
        for name, code in column.parts:
            if code is None:
                row[place] *= means[name]
            elif name == factor:
                row[place] *= float(code == level)
            else:
                row[place] *= present[name][code] / present[name].sum()
    return row
