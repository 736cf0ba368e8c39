"""The studentized range, behind Tukey's comparisons of all pairs: its upper tail and its critical values.

The tail is integrated as it is and in logarithms, so that a small p keeps its digits. What does not live here: which
groups are compared (anova).
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt
from scipy import special

from friendlyfl.tasks.stats.inference import LEVEL, critical

Floats = npt.NDArray[np.float64]

_INNER, _OUTER = 160, 256  # points of the two integrals
_FAR = 9.0  # standard deviations beyond which nothing counts
_NOTHING = 42.0  # e^-42 is nothing


def upper_tail(q: float, groups: int, df: float) -> float:
    """The chance of a range of `groups` normal means over their estimated standard error that is larger than q."""
    if q <= 0.0:
        return 1.0
    from scipy import optimize  # slow to load, and pages that list tasks do without

    low, high = -0.5 * math.log1p(q * q / (2.0 * df)) - 1.0 / math.sqrt(df), 1.0 / math.sqrt(df)
    top = optimize.minimize_scalar(
        lambda u: -float(_log_integrand(np.array([u]), q, groups, df)[0]),
        bounds=(low, high),
        method="bounded",
    ).x
    reach = _FAR / math.sqrt(2.0 * df)
    start, end = top - reach - _NOTHING / df, top + reach
    points, weights = _quadrature(_OUTER)
    u = start + (end - start) * (points + 1.0) / 2.0
    inside = _log_integrand(u, q, groups, df) + np.log(weights * (end - start) / 2.0)
    return min(math.exp(float(special.logsumexp(inside))), 1.0)


def critical_range(groups: int, df: float, level: float = LEVEL) -> float:
    """The value a range exceeds with chance 1 - level: between those for one pair and for all pairs by Bonferroni."""
    alpha, pairs = 1.0 - level, groups * (groups - 1) / 2.0
    low, high = (math.sqrt(2.0) * critical(1.0 - share, df) for share in (alpha, alpha / pairs))
    if groups == 2:
        return low
    from scipy import optimize

    found = optimize.brentq(
        lambda q: math.log(upper_tail(q, groups, df) / alpha), low, high, xtol=1e-12, rtol=1e-12
    )
    return float(found)


@functools.cache
def _quadrature(count: int) -> tuple[Floats, Floats]:
    """Points and weights of Gauss and Legendre: worked out when they are asked for, since it takes half a second."""
    points, weights = np.polynomial.legendre.leggauss(count)
    return points, weights


def _log_integrand(u: Floats, q: float, groups: int, df: float) -> Floats:
    """Log of the density of the logarithm of s (s² is chi-square over df) times the chance of a range above q s."""
    half = df / 2.0
    # Against s = 1, so that large numbers do not cancel where df is large.
    at_one = math.log(2.0) + half * math.log(half) - half - float(special.gammaln(half))
    if half > 100.0:
        series = 1.0 / (12.0 * half) - 1.0 / (360.0 * half**3)
        at_one = math.log(2.0) + 0.5 * math.log(half / (2.0 * math.pi)) - series
    return at_one + df * (u - np.expm1(2.0 * u) / 2.0) + _log_range(q * np.exp(u), groups)


def _log_range(width: Floats, groups: int) -> Floats:
    """Log of the chance that a range of standard normals is larger than each width: over where the largest one is."""
    points, weights = _quadrature(_INNER)
    z = width[:, None] / 2.0 + _FAR * points
    below = special.log_ndtr(z)
    ratio = special.log_ndtr(z - width[:, None]) - below  # of those below z, the share that is `width` away
    share = np.exp(ratio)
    others = groups - 1.0
    with np.errstate(divide="ignore"):
        none = np.log(-np.expm1(others * np.log1p(-share)))
    none = np.where(ratio < -30.0, ratio + math.log(others), none)
    density = -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)
    inside = density + others * below + none + np.log(_FAR * weights)
    return np.asarray(special.logsumexp(inside, axis=1) + math.log(groups))
