"""Do groups' survival curves differ? The log-rank test, weighted and stratified too, from counts in time.

Hypergeometric variance; with rho the weight is S(t-)^rho of the stratum's pooled curve (rho 1: Peto-Peto), as in
R's survdiff. What does not live here: the curves themselves (survival_curve).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.stats.inference import Row, chi_square, quadratic

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LogRank:
    """Weighted observed and expected events of each group, and the covariance of their differences."""

    observed: Floats
    expected: Floats
    variance: Floats

    def row(self, groups: list[str]) -> Row:
        """The test; a group in which no event was ever possible takes no part."""
        part = np.flatnonzero(self.expected > 0)
        named = {
            "groups": groups,
            "observed": self.observed.tolist(),
            "expected": self.expected.tolist(),
        }
        rest = part[1:]
        if len(rest) == 0:
            return chi_square(float("nan"), 0, **named)
        statistic = quadratic((self.observed - self.expected)[rest], self.variance[np.ix_(rest, rest)])
        return chi_square(statistic, len(rest), **named)


def log_rank(event: Floats, risk: Floats, rho: float = 0.0) -> LogRank:
    """`event` and `risk` are counts by stratum, group and time."""
    groups = event.shape[1]
    observed, expected, variance = np.zeros(groups), np.zeros(groups), np.zeros((groups, groups))
    for events, risks in zip(event, risk, strict=True):
        dead = events.sum(axis=0)
        there = np.flatnonzero(dead > 0)
        d, d_group, n_group = dead[there], events[:, there], risks[:, there]
        n = n_group.sum(axis=0)
        weight = np.ones(len(there))
        if rho != 0.0:
            before = np.append(1.0, np.cumprod(1.0 - d / n))[: len(there)]
            weight = before**rho
        share = n_group / n
        observed += d_group @ weight
        expected += share @ (weight * d)
        spread = np.divide(weight**2 * d * (n - d), n - 1.0, out=np.zeros_like(n), where=n > 1.0)
        variance += np.diag(share @ spread) - (share * spread) @ share.T
    return LogRank(observed, expected, variance)
