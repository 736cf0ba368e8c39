"""Exact quantiles on a grid by asking how many values lie below probe points, round by round.

R's type 7 needs two order statistics; each is found by cutting its stretch of the grid. What does not live here:
who counts (table_one) and when a hospital's rules allow it (disclosure).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

WAYS = 32  # parts into which a stretch is cut in a round


@dataclass(frozen=True)
class Hunt:
    """For each target the grid places between which its order statistic lies; any shape, one entry a target."""

    low: Integers
    high: Integers

    @classmethod
    def over(cls, sizes: Integers, targets: int) -> Hunt:
        """One row for each grid size: the whole grid to begin with."""
        high = np.repeat((sizes - 1)[:, None], targets, axis=1)
        return cls(np.zeros_like(high), high)

    def to_state(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high}

    @property
    def found(self) -> bool:
        return bool((self.low == self.high).all())

    def points(self) -> Integers:
        """Places to ask about, in a last axis: how many values lie below each?"""
        cut = np.arange(1, WAYS, dtype=np.int64)
        width = (self.high - self.low)[..., None]
        return self.low[..., None] + -(-width * cut // WAYS)

    def answered(self, below: Floats, ranks: Floats) -> Hunt:
        """Narrower stretches; `ranks` counts from 0: the value sought has that many values before it."""
        points = self.points()
        reached = below <= ranks[..., None]
        low = np.where(reached, points, self.low[..., None]).max(axis=-1)
        high = np.where(reached, self.high[..., None], points - 1).min(axis=-1)
        return replace(self, low=np.maximum(low, self.low), high=np.maximum(high, low))


def ranks_of(counts: Floats, probabilities: tuple[float, ...]) -> Floats:
    """Ranks (from 0) of the two order statistics of each probability, in a last axis of length 2."""
    place = _place(counts, probabilities)
    return np.stack([np.floor(place), np.ceil(place)], axis=-1) - 1.0


def type_7(counts: Floats, probabilities: tuple[float, ...], pairs: Floats) -> Floats:
    """Quantiles from the pairs of order statistics, as R computes them; NaN where nothing was counted."""
    place = _place(counts, probabilities)
    part = place - np.floor(place)
    low, high = pairs[..., 0], pairs[..., 1]
    value = np.where((part > 0) & (low != high), (1.0 - part) * low + part * high, low)
    return np.where(counts[..., None] > 0, value, np.nan)


def _place(counts: Floats, probabilities: tuple[float, ...]) -> Floats:
    return np.asarray(1.0 + np.maximum(counts - 1, 0)[..., None] * np.array(probabilities))
