"""Pieces of log-likelihoods made of logarithms of the gamma function, written so that large parts never cancel.

Plain functions of arrays. What does not live here: the families that use them (poisson, gamma, negative binomial).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from friendlyfl.tasks.stats.newton import Floats

SERIES = 100.0  # from here on three terms of Stirling's series leave an error below 1e-17
LISTED = 20_000  # counts up to this are summed term by term
NODES = 64  # of the integral that stands for the terms beyond
SMALL = 0.02  # below this log(1 + x) less its first terms is taken from its series
TERMS = 10


def stirling_rest(x: Floats | float) -> Floats:
    """What Stirling's formula leaves over: log Γ(x) - (x - ½) log x + x - ½ log 2π, for x > 0."""
    x = np.asarray(x, dtype=np.float64)
    large, small = np.maximum(x, SERIES), np.clip(x, np.finfo(float).tiny, SERIES)
    series = (1 / 12 - (1 / 360 - 1 / 1260 / large**2) / large**2) / large
    direct = special.gammaln(small) - (small - 0.5) * np.log(small) + small - 0.5 * np.log(2 * np.pi)
    return np.asarray(np.where(x >= SERIES, series, direct))


def log_poisson_peak(count: Floats) -> Floats:
    """The log-probability of a count under a Poisson law whose mean it is."""
    return log_peak(count, 0.0)


def log_peak(count: Floats, alpha: float) -> Floats:
    """The log-probability of a count under a negative binomial law whose mean it is, Poisson's if alpha is 0."""
    positive, theta = np.maximum(count, 1.0), 1.0 / alpha if alpha > 0 else np.inf
    peak = -0.5 * np.log(2 * np.pi * positive * (1.0 + alpha * positive)) - stirling_rest(positive)
    peak += stirling_rest(positive + theta) - stirling_rest(theta)
    return np.asarray(np.where(count > 0, peak, 0.0))


def log_bend(x: Floats) -> tuple[Floats, Floats]:
    """[log(1 + x) - x / (1 + x)] / x² and its slope, for x >= 0."""
    near = np.where(x < SMALL, x, 0.0)
    far = np.where(x < SMALL, 1.0, x)
    direct = (np.log1p(far) - far / (1.0 + far)) / far**2
    steep = (1.0 / (1.0 + far) ** 2 - 2.0 * direct) / far
    powers = np.arange(TERMS)
    signs = (-1.0) ** powers
    series = (
        np.polynomial.polynomial.polyval(near, signs * (powers + 1) / (powers + 2)),
        np.polynomial.polynomial.polyval(near, -signs * (powers + 1) * (powers + 2) / (powers + 3)),
    )
    return np.where(x < SMALL, series[0], direct), np.where(x < SMALL, series[1], steep)


def rising(count: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Sums over j below each count of j / (1 + jα) and of j² / (1 + jα)², for α >= 0."""

    def terms(j: Floats) -> Floats:
        above = 1.0 + j * alpha
        return np.stack([j / above, (j / above) ** 2])

    top = min(int(count.max(initial=0.0)), LISTED)
    listed = np.zeros((2, top + 1))  # added in more digits than kept, since there are many terms
    listed[:, 1:] = np.cumsum(terms(np.arange(top, dtype=np.float64)), axis=1, dtype=np.longdouble)
    sums = listed[:, np.minimum(count, top).astype(np.int64)]
    large = count > LISTED
    if large.any():  # beyond, a sum is its integral, in log j, and the ends' correction
        low, high = float(LISTED), count[large]
        half = np.log(high / low) / 2.0
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        j = low * np.exp(half * (1.0 + nodes[:, None]))
        sums[:, large] += (terms(j) * j * weights[:, None]).sum(axis=1) * half
        ends = terms(np.array([low])), terms(high)
        sums[:, large] += (ends[0] - ends[1]) / 2.0 + (
            _slopes(high, alpha) - _slopes(np.array([low]), alpha)
        ) / 12.0
    return sums[0], sums[1]


def _slopes(j: Floats, alpha: float) -> Floats:
    above = 1.0 + j * alpha
    return np.stack([1.0 / above**2, 2.0 * j / above**3])
