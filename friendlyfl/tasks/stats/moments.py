"""Mean, spread, skewness and standardised differences from sums, however the rows were cut.

Sums are taken about one pooled centre and in a unit near the spread, so that nothing cancels and no unit of
measurement matters. What does not live here: quantiles (quantiles) and who sums what (table_one).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sums of n values: of d, d² and d³ where d = (value - centre) / unit."""

    n: float
    first: float
    second: float
    third: float
    centre: float
    unit: float

    @property
    def mean(self) -> float | None:
        return self.centre + self.unit * self.first / self.n if self.n > 0 else None

    @property
    def sd(self) -> float | None:
        """With n - 1, as R's sd; None for fewer than two values."""
        return self.unit * math.sqrt(self._squares() / (self.n - 1)) if self.n >= 2 else None

    @property
    def skewness(self) -> float | None:
        """m3 / m2^1.5 with moments divided by n; None when all values are alike."""
        if not self.n >= 2 or self._squares() <= 0:
            return None
        shift = self.first / self.n
        cubes = self.third - 3.0 * shift * self.second + 2.0 * self.n * shift**3
        return float((cubes / self.n) / (self._squares() / self.n) ** 1.5)

    def _squares(self) -> float:
        squares = self.second - self.first**2 / self.n
        # Of equal values rounding is left over: of the values themselves, and of the difference above.
        noise = 1e-14 * self.second + 1e-28 * self.n * (self.centre / self.unit) ** 2
        return squares if squares > noise else 0.0


def unit_near(size: float) -> float:
    """A power of two near a size: dividing by it loses no bit."""
    return float(2.0 ** math.ceil(math.log2(size))) if size > 0 else 1.0


def smd(one: Moments, two: Moments) -> float | None:
    """First mean minus second, over the root of the mean of the two variances."""
    if one.mean is None or two.mean is None or one.sd is None or two.sd is None:
        return None
    spread = math.hypot(one.sd, two.sd) / math.sqrt(2.0)
    return (one.mean - two.mean) / spread if spread > 0 else None


def smd_levels(one: Floats, two: Floats) -> float | None:
    """Yang and Dalton's (2012) distance between two distributions over levels, from counts of people.

    The Mahalanobis distance of the two vectors of shares under the mean of their multinomial covariances.
    """
    present = (one + two) > 0
    one, two = one[present], two[present]
    if not (np.isfinite(one).all() and np.isfinite(two).all()) or not (one.sum() > 0 and two.sum() > 0):
        return None
    a, b = (one / one.sum())[1:], (two / two.sum())[1:]
    if len(a) == 0:
        return None
    spread = (np.diag(a) - np.outer(a, a) + np.diag(b) - np.outer(b, b)) / 2.0
    if np.linalg.matrix_rank(spread, hermitian=True) < len(a):
        return None
    return math.sqrt(max(float((a - b) @ np.linalg.solve(spread, a - b)), 0.0))
