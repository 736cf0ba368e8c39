"""Estimates of several studies in one: inverse-variance pooling, how much they differ, and random effects.

Sums are of exact partial sums (fsum), so that the order of studies changes no bit. Follows metafor's definitions.
What does not live here: where estimates come from (meta_analysis).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ITERATIONS = 1000
SETTLED = 1e-14  # relative change of tau squared that counts as none
METHODS = {"DL": "by DerSimonian and Laird (DL)", "REML": "by restricted maximum likelihood (REML)"}


@dataclass(frozen=True)
class Pooled:
    """One estimate from all, with its weights (they add to 1)."""

    estimate: float
    se: float
    weights: tuple[float, ...]

    @classmethod
    def of(cls, estimates: Sequence[float], variances: Sequence[float]) -> Pooled:
        weights = [1.0 / variance for variance in variances]
        total = math.fsum(weights)
        mean = math.fsum(w * y for w, y in zip(weights, estimates, strict=True)) / total
        return cls(mean, math.sqrt(1.0 / total), tuple(w / total for w in weights))


@dataclass(frozen=True)
class Heterogeneity:
    """How much studies differ: Cochran's Q, the variance between them, and its share of the whole (in percent)."""

    k: int
    q: float
    tau2: float
    i2: float
    h2: float
    fixed: Pooled
    random: Pooled

    @classmethod
    def of(cls, estimates: Sequence[float], errors: Sequence[float], method: str) -> Heterogeneity:
        unit = min(errors)  # so that squares of very small or large errors stay within what doubles hold
        y, v = [e / unit for e in estimates], [(s / unit) ** 2 for s in errors]
        fixed = Pooled.of(y, v)
        q = math.fsum((a - fixed.estimate) ** 2 / b for a, b in zip(y, v, strict=True))
        typical = _typical_variance(v)
        tau2 = 0.0
        if len(y) > 1:
            tau2 = max(0.0, (q - (len(y) - 1)) * typical / (len(y) - 1))
            if method == "REML":
                tau2 = restricted(y, v, tau2)
        random = Pooled.of(y, [b + tau2 for b in v])
        share = tau2 / (tau2 + typical) if typical > 0 else 0.0
        return cls(
            k=len(y),
            q=q if len(y) > 1 else 0.0,
            tau2=tau2 * unit**2,
            i2=100.0 * share,
            h2=1.0 / (1.0 - share),
            fixed=Pooled(fixed.estimate * unit, fixed.se * unit, fixed.weights),
            random=Pooled(random.estimate * unit, random.se * unit, random.weights),
        )


def _typical_variance(variances: Sequence[float]) -> float:
    """Higgins and Thompson's typical variance within a study; 0 for one study."""
    weights = [1.0 / variance for variance in variances]
    total = math.fsum(weights)
    left = total - math.fsum(w * w for w in weights) / total
    return (len(variances) - 1) / left if left > 0 and len(variances) > 1 else 0.0


def restricted(estimates: Sequence[float], variances: Sequence[float], start: float) -> float:
    """Tau squared by restricted maximum likelihood: Fisher scoring, never below 0.

    Where its steps go to and fro around the answer without coming nearer, the interval between them is halved instead.
    """
    tau2, low, high, last = start, 0.0, math.inf, math.inf
    for _ in range(ITERATIONS):
        weights = [1.0 / (variance + tau2) for variance in variances]
        mean = Pooled.of(estimates, [variance + tau2 for variance in variances]).estimate
        one, two, three = (math.fsum(w**power for w in weights) for power in (1, 2, 3))
        pull = math.fsum((w * (y - mean)) ** 2 for w, y in zip(weights, estimates, strict=True))
        change = (pull - (one - two / one)) / (two - 2.0 * three / one + (two / one) ** 2)
        if tau2 == 0.0 and change <= 0.0:
            return 0.0
        low, high = (tau2, high) if change > 0.0 else (low, tau2)
        following = max(0.0, tau2 + change)
        if high < math.inf and (not low <= following <= high or abs(following - tau2) > last / 2.0):
            following = (low + high) / 2.0
        last = abs(following - tau2)
        if last <= SETTLED * (tau2 + min(variances)):
            return following
        tau2 = following
    return tau2
