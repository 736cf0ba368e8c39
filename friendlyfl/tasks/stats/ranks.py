"""Ranks from counts of how many have each value: mid-ranks, tie corrections, and the rank tests of groups.

Ranks are over all hospitals, since the counts are sums. What does not live here: who counts (rank_test, correlation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.stats.inference import Row, chi_square, two_sided

Floats = npt.NDArray[np.float64]

EXACT_BELOW = 50  # R goes through all orders when both groups are smaller and no value is tied


def mid_ranks(counts: Floats) -> Floats:
    """The mean rank of those who share each value; `counts` is by value, in order."""
    before = np.cumsum(counts, axis=-1) - counts
    return np.asarray(before + (counts + 1.0) / 2.0)


def ties(counts: Floats) -> float:
    """The sum of t³ - t over values that t people share."""
    shared = counts[counts > 1]
    return math.fsum((shared * (shared - 1.0) * (shared + 1.0)).tolist())


@dataclass(frozen=True)
class Ranked:
    """Groups whose values are ranked together; `counts` is by group and value, no group empty."""

    counts: Floats

    @property
    def sizes(self) -> Floats:
        return np.asarray(self.counts.sum(axis=1))

    @property
    def n(self) -> float:
        return float(self.counts.sum())

    @property
    def sums(self) -> Floats:
        """Sum of ranks by group: halves, so exact."""
        return np.asarray(self.counts @ mid_ranks(self.counts.sum(axis=0)))

    @property
    def tied(self) -> float:
        return ties(self.counts.sum(axis=0))

    @property
    def w(self) -> float:
        """R's W: pairs in which the first group's value is the larger one, halves for ties."""
        return float(self.sums[0] - self.sizes[0] * (self.sizes[0] + 1.0) / 2.0)

    def wilcoxon(self) -> Row:
        """Two groups: the normal approximation with corrections for ties and for continuity."""
        (first, second), n = self.sizes, self.n
        off = self.w - first * second / 2.0
        variance = first * second / 12.0 * ((n + 1.0) - self.tied / (n * (n - 1.0)))
        if not variance > 0:
            return {"statistic": self.w, "df": None, "p": None}
        z = abs(off) - 0.5 if off else 0.0  # half a pair towards the middle
        return {"statistic": self.w, "df": None, "p": two_sided(z / math.sqrt(variance))}

    def wilcoxon_exact(self) -> Row | None:
        """What R gives for small groups without ties: the p over all orders of the values. Else None."""
        if self.tied or max(self.sizes) >= EXACT_BELOW:
            return None
        first, second = (int(size) for size in self.sizes)
        tail = int(min(self.w, first * second - self.w))
        ways = orders(first, second)
        p = min(2.0 * (sum(ways[: tail + 1]) / math.comb(first + second, first)), 1.0)
        return {"statistic": self.w, "df": None, "p": p}

    def kruskal(self) -> Row:
        """Any number of groups: the Kruskal-Wallis test, corrected for ties."""
        n, df = self.n, len(self.sizes) - 1
        spread = (1.0 - self.tied / (n**3 - n)) if n > 1 else 0.0
        if not spread > 0:
            return chi_square(math.nan, df)
        off = self.sums / self.sizes - (n + 1.0) / 2.0
        return chi_square(float(12.0 / (n * (n + 1.0)) * (self.sizes @ off**2) / spread), df)


def orders(first: int, second: int) -> list[int]:
    """By each value of W from 0: in how many orders of two groups without ties it comes out."""
    ways = [1] + [0] * (first * second)
    for k in range(1, first + 1):  # the Gaussian binomial: times (1 - q^(second + k)), over (1 - q^k)
        for place in range(len(ways) - 1, second + k - 1, -1):
            ways[place] -= ways[place - second - k]
        for place in range(k, len(ways)):
            ways[place] += ways[place - k]
    return ways
