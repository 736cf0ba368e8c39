"""Inverse probability weights, weighted means and their standard errors, from the sums of all hospitals.

Pure arithmetic. What does not live here: the propensity model (likelihood) and who sums what (iptw).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.stats.inference import Row, critical, two_sided

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

RARE = 0.01  # a chance below which a treatment counts as unlikely
TREATED, CONTROL = 0, 1  # places of the two arms in all sums


@dataclass(frozen=True)
class Weights:
    """The weight of every row, its slope in the log odds of treatment, and whose treatment was nearly certain."""

    weight: Floats
    slope: Floats
    certain: Bools  # the chance of treatment was cut; where nothing is cut, the own treatment was unlikely

    @classmethod
    def of(
        cls, treated: Bools, log_odds: Floats, estimand: str, truncate: float, unit: float = 1.0
    ) -> Weights:
        """1 over the chance of the treatment one had (ATE); 1 for the treated and the odds for the others (ATT).

        `unit` divides the odds of an ATT: a common factor of an arm changes no normalised mean.
        """
        if truncate > 0:
            furthest = math.log((1.0 - truncate) / truncate)
            cut = np.abs(log_odds) > furthest
            log_odds = np.clip(log_odds, -furthest, furthest)
        odds = np.exp(np.where(treated, -log_odds, log_odds))  # of the other treatment
        certain = cut if truncate > 0 else odds > (1.0 - RARE) / RARE
        if estimand == "ATT":
            certain = certain & (~treated | (truncate > 0))
            weight, slope = np.where(treated, 1.0, odds / unit), np.where(treated, 0.0, odds / unit)
        else:
            weight, slope = 1.0 + odds, np.where(treated, -odds, odds)
        return cls(weight, np.where(cut, 0.0, slope) if truncate > 0 else slope, certain)


@dataclass(frozen=True)
class Effect:
    """One outcome: means of the arms, and sums over the rows of each arm about them.

    `own` holds sums of squared weighted residuals, `cross` their sums with the rows' scores of the propensity model,
    `slope` sums of residuals times the slope of the weight times the design. All about one outcome, arms first.
    """

    means: Floats
    total: Floats  # of the weights
    own: Floats
    cross: Floats
    slope: Floats
    unit: float

    @property
    def se_fixed(self) -> float:
        """HC0 of the weighted regression on treatment: the weights are taken as known."""
        return self.unit * math.sqrt(float((self.own / self.total**2).sum()))

    def se_stacked(self, inverse: Floats, meat: Floats) -> float:
        """The sandwich of all estimating equations together: the weights are estimated, too.

        A row moves the difference by its own weighted residual and by how it moves the propensity model.
        """
        sign = np.array([1.0, -1.0]) / self.total
        through = inverse @ (sign @ self.slope)
        variance = (
            (self.own / self.total**2).sum() + through @ meat @ through + 2.0 * (sign @ self.cross) @ through
        )
        return self.unit * math.sqrt(max(float(variance), 0.0))


def effect_row(outcome: str, effect: Effect, stacked: float, sizes: Floats) -> Row:
    """A row of the table of effects; statistic, p and limits rest on the stacked standard error."""
    difference = float(effect.means[TREATED] - effect.means[CONTROL])
    known = stacked > 0
    return {
        "outcome": outcome,
        "mean_treated": float(effect.means[TREATED]),
        "mean_control": float(effect.means[CONTROL]),
        "difference": difference,
        "se_hc0_weights_fixed": effect.se_fixed,
        "se_stacked": stacked,
        "statistic": difference / stacked if known else None,
        "p": two_sided(difference / stacked) if known else None,
        "ci_lower": difference - critical() * stacked,
        "ci_upper": difference + critical() * stacked,
        "ess_treated": float(sizes[TREATED]),
        "ess_control": float(sizes[CONTROL]),
    }


def effective_sizes(weights: Floats, squares: Floats) -> Floats:
    """Kish's effective number of patients of each arm."""
    return np.asarray(weights**2 / squares)


def balance(
    people: Floats, sums: Floats, squares: Floats, weights: Floats, weighted: Floats
) -> tuple[Floats, Floats]:
    """Standardised differences of columns before and after weighting, both over the same spread.

    That is the root of the mean of the two arms' unweighted variances, with n - 1. Arms first, columns last.
    """
    means = sums / people[:, None]
    spread = (squares - people[:, None] * means**2) / np.maximum(people[:, None] - 1.0, 1.0)
    noise = 1e-14 * squares / people[:, None]
    root = np.sqrt(np.where(spread > noise, spread, 0.0).mean(axis=0))
    root = np.where((root > 0) & (people > 1).all(), root, np.nan)
    after = weighted / weights[:, None]
    return (means[TREATED] - means[CONTROL]) / root, (after[TREATED] - after[CONTROL]) / root
