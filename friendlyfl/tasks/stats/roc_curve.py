"""The area under a ROC curve, its points and DeLong's variance, from counts of cases and controls per score value.

Pure arithmetic over pooled counts. What does not live here: who counts, and what a score's grid is (roc).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.stats.inference import Row, chi_square, critical, two_sided
from friendlyfl.tasks.stats.newton import inverse_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RocCurve:
    """Cases and controls at each value of a score, values in rising order; `sign` is 1 if higher means a case."""

    cases: Floats
    controls: Floats
    sign: int = 1

    @property
    def auc(self) -> float:
        """The chance that a case scores higher than a control, ties counting one half."""
        return float(self.cases @ self.over_controls / self.cases.sum())

    @property
    def over_controls(self) -> Floats:
        """At each value, the share of controls that a case there has behind it; ties count one half."""
        return np.asarray(_behind(self.controls, self.sign) / self.controls.sum())

    @property
    def under_cases(self) -> Floats:
        """At each value, the share of cases that a control there has before it; ties count one half."""
        return np.asarray(_behind(self.cases, -self.sign) / self.cases.sum())

    @property
    def tied(self) -> float:
        """The share of pairs of a case and a control with the same value."""
        return float(self.cases @ self.controls / (self.cases.sum() * self.controls.sum()))

    def variance(self) -> tuple[float, float]:
        """The sums of squares of DeLong's placements about the area: over cases, over controls."""
        auc = self.auc
        return (
            float(self.cases @ (self.over_controls - auc) ** 2),
            float(self.controls @ (self.under_cases - auc) ** 2),
        )

    def points(self, values: Sequence[Any]) -> list[dict[str, Any]]:
        """Sensitivity and specificity of calling a case whoever reaches a value, from nobody to everybody."""
        there = np.flatnonzero(self.cases + self.controls)[:: -self.sign]
        sensitivity = np.cumsum(self.cases[there]) / self.cases.sum()
        specificity = 1.0 - np.cumsum(self.controls[there]) / self.controls.sum()
        ends: list[dict[str, Any]] = [{"threshold": None, "sensitivity": 0.0, "specificity": 1.0}]
        return ends + [
            {"threshold": values[place], "sensitivity": float(a), "specificity": float(b)}
            for place, a, b in zip(there, sensitivity, specificity, strict=True)
        ]


def _behind(counts: Floats, sign: int) -> Floats:
    """How many come before each value in the direction of `sign`, and half of those at it."""
    ordered = counts[::sign]
    return np.asarray((np.cumsum(ordered) - ordered / 2.0)[::sign])


def covariance(over_cases: Floats, over_controls: Floats, cases: float, controls: float) -> Floats:
    """DeLong's covariance of areas from sums of products of placements; NaN with a single case or control."""
    if cases < 2 or controls < 2:
        return np.full(np.shape(over_cases), np.nan)
    return np.asarray(over_cases / ((cases - 1.0) * cases) + over_controls / ((controls - 1.0) * controls))


def area_row(marker: str, auc: float, variance: float) -> Row:
    """A row of the table of areas; the limits are cut at 0 and 1."""
    if not variance >= 0:
        return {"marker": marker, "auc": auc, "se": None, "ci_lower": None, "ci_upper": None}
    se = math.sqrt(variance)
    lower, upper = max(auc - critical() * se, 0.0), min(auc + critical() * se, 1.0)
    return {"marker": marker, "auc": auc, "se": se, "ci_lower": lower, "ci_upper": upper}


def pair_test(markers: Sequence[str], areas: Floats, variance: Floats) -> Row:
    """DeLong's test of two areas in the same patients: a normal statistic."""
    difference = float(areas[0] - areas[1])
    square = float(variance[0, 0] + variance[1, 1] - 2.0 * variance[0, 1])
    row: Row = {"statistic": None, "df": None, "p": None, "estimate": difference}
    row |= {"ci_lower": None, "ci_upper": None, "groups": list(markers)}
    if square > 1e-14 * float(variance[0, 0] + variance[1, 1]):
        se, width = math.sqrt(square), critical() * math.sqrt(square)
        row |= {"statistic": difference / se, "p": two_sided(difference / se)}
        row |= {"ci_lower": difference - width, "ci_upper": difference + width}
    return row


def equal_areas(areas: Floats, variance: Floats) -> Row:
    """DeLong's test that all areas are equal: a chi-square statistic over differences from the first."""
    contrast = np.column_stack([np.ones(len(areas) - 1), -np.eye(len(areas) - 1)])
    inverse = inverse_of(contrast @ variance @ contrast.T)
    difference = contrast @ areas
    return chi_square(
        math.nan if inverse is None else float(difference @ inverse @ difference), len(difference)
    )
