"""Do groups' cumulative incidences of one type of event differ? Gray's test, from counts in time.

Gray (1988), Annals of Statistics 16:1141, with the variance of R's cmprsk, ties at one time together. With rho early
or late events weigh more: (1 - F(t-))^rho, F the pooled incidence. What does not live here: the curves
(incidence_curve).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.stats.inference import Row, chi_square, quadratic

Floats = npt.NDArray[np.float64]


def gray(event: Floats, other: Floats, risk: Floats, rho: float = 0.0) -> tuple[Floats, Floats]:
    """Scores of the groups and their covariance; counts are by group and time, in time's order.

    The last group's score is minus the sum of the others, so that only the others are tested.
    """
    groups = len(event)
    score, covariance = np.zeros(groups), np.zeros((groups, groups))
    survival, incidence = np.ones(groups), np.zeros(groups)  # just before the time
    pooled = 0.0
    drift = np.zeros((groups, groups))
    own, crossed = np.zeros(groups), np.zeros((groups, groups))
    for k in np.flatnonzero((event + other).sum(axis=0) > 0):
        d, rival, n = event[:, k], other[:, k], risk[:, k]
        there = n > 0
        dead = float(d.sum())
        size = np.where(there, n, 1.0)
        after = np.where(there, survival * (n - d - rival) / size, survival)
        moved = np.where(there, incidence + survival * d / size, incidence)
        share = np.divide(n, survival, out=np.zeros(groups), where=there)
        free = share * (1.0 - incidence)
        total = share.sum()
        then = pooled + dead / total
        weight = (1.0 - pooled) ** rho
        spread = weight * (np.diag(share) - np.outer(share, share) / total)
        if dead > 0:
            drift = drift + spread * (dead / (total * (1.0 - pooled)))
            score += weight * (d - dead * free / free.sum())
            left = np.where(after > 0, 1.0 - (1.0 - then) / np.where(after > 0, after, 1.0), 1.0)
            tied = 1.0 if dead <= 1 else 1.0 - (dead - 1.0) / np.where(there, total * survival - 1.0, np.inf)
            jump = np.where(there, tied * survival * dead / (total * size), 0.0)
            part = spread - left * drift
            own += left**2 * jump
            crossed += part * (left * jump)
            covariance += (part * jump) @ part.T
        alive = (after > 0) & (rival > 0)
        if alive.any():
            left = np.where(alive, (1.0 - then) / np.where(alive, after, 1.0), 0.0)
            tied = 1.0 - np.divide(rival - 1.0, n - 1.0, out=np.zeros(groups), where=rival > 1)
            jump = np.where(alive, tied * survival**2 * rival / size**2, 0.0)
            part = left * drift
            own += left**2 * jump
            crossed -= part * (left * jump)
            covariance += (part * jump) @ part.T
        survival, incidence, pooled = after, moved, then
    covariance += (drift * own) @ drift.T + drift @ crossed.T + crossed @ drift.T
    return score, covariance


def gray_test(score: Floats, covariance: Floats, event: str, groups: list[str]) -> Row:
    """The test's row; without a number where the scores' covariance is singular (a group without people at risk)."""
    statistic = quadratic(score[:-1], covariance[:-1, :-1])
    return chi_square(statistic, len(score) - 1, event=event, groups=groups)
