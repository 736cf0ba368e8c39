"""The survival curve of one group from its counts in time, and what is read off it, as R's survival does.

Kaplan-Meier with Greenwood's variance, confidence limits, median, restricted mean. Events come before
censorings at the same time, and a person is at risk when entry < time. What does not live here: comparing
groups (log_rank), and where the counts come from (kaplan_meier).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.stats.inference import LEVEL, critical

Floats = npt.NDArray[np.float64]
Row = dict[str, Any]

TOLERANCE = float(np.finfo(float).eps) ** 0.5  # as R's all.equal: 0.5 with rounding is 0.5


@dataclass(frozen=True)
class SurvivalCurve:
    """Counts and estimates at every time at which someone of the group had the event or was censored."""

    time: Floats
    risk: Floats
    event: Floats
    censored: Floats
    survival: Floats
    log_variance: Floats  # of log S: Greenwood's sum; infinite once S is 0

    @classmethod
    def of(cls, time: Floats, event: Floats, censored: Floats, risk: Floats) -> SurvivalCurve:
        """From counts on a grid; times at which nothing happened are left out."""
        here = (event + censored) > 0
        time, event, censored, risk = time[here], event[here], censored[here], risk[here]
        with np.errstate(divide="ignore", invalid="ignore"):
            survival: Floats = np.cumprod(1.0 - event / risk, dtype=np.float64)
            terms = np.where(event > 0, event / (risk * (risk - event)), 0.0)
        return cls(time, risk, event, censored, survival, np.cumsum(terms))

    def errors(self) -> Floats:
        """Standard error of S by Greenwood; NaN where S is 0, since nothing is known of its error there."""
        with np.errstate(invalid="ignore"):
            return self.survival * np.sqrt(self.log_variance)

    def limits(self, kind: str, level: float = LEVEL) -> tuple[Floats, Floats]:
        """Confidence limits on the scale log, log-log or plain; NaN where that scale has none."""
        z, s, se = critical(level), self.survival, np.sqrt(self.log_variance)
        with np.errstate(divide="ignore", invalid="ignore"):
            if kind == "plain":
                return np.maximum(s - z * se * s, 0.0), np.minimum(s + z * se * s, 1.0)
            if kind == "log":
                inside = np.where(s > 0, s, np.nan)
                return inside * np.exp(-z * se), np.minimum(inside * np.exp(z * se), 1.0)
            inside = np.log(np.where((s > 0) & (s < 1), s, np.nan))
            width = z * se / inside
            return np.exp(inside * np.exp(-width)), np.exp(inside * np.exp(width))

    def median(self) -> float | None:
        """The first time with S ≤ 0.5; the middle of the flat stretch when S equals 0.5 there."""
        return crossing(self.time, self.survival)

    def median_limits(self, kind: str, level: float = LEVEL) -> tuple[float | None, float | None]:
        """Where the limits of S cross 0.5."""
        lower, upper = self.limits(kind, level)
        return crossing(self.time, lower), crossing(self.time, upper)

    def restricted_mean(self, tau: float) -> tuple[float, float]:
        """Area under S up to tau, and its standard error; after the last time S keeps its last value."""
        seen = self.time <= tau
        start = min(0.0, float(self.time[0])) if len(self.time) else 0.0
        edges = np.concatenate([[start], self.time[seen], [tau]])
        areas = np.diff(edges) * np.concatenate([[1.0], self.survival[seen]])
        beyond = np.flip(np.cumsum(np.flip(areas[1:])))  # area from each time on
        event, risk = self.event[seen], self.risk[seen]
        left = risk - event
        terms = np.divide(event, risk * left, out=np.zeros_like(event), where=left > 0)
        return float(areas.sum()) + start, float(np.sqrt((beyond**2 * terms).sum()))

    def points(self, kind: str) -> list[Row]:
        """The curve as rows."""
        counts = (self.risk, self.event, self.censored)
        return step_rows("survival", self.time, counts, (self.survival, self.errors(), *self.limits(kind)))

    def at(self, times: tuple[float, ...], kind: str) -> list[Row]:
        """The curve at chosen times; None after the last observation, unless everyone had the event."""
        lower, upper = self.limits(kind)
        se, counted = self.errors(), 0.0
        rows: list[Row] = []
        for time in times:
            place = int(np.searchsorted(self.time, time, side="right")) - 1
            following = int(np.searchsorted(self.time, time, side="left"))
            so_far = float(self.event[: place + 1].sum())
            row: Row = {
                "time": time,
                "n_risk": round(float(self.risk[following])) if following < len(self.time) else 0,
                "n_event_since_last": round(so_far - counted),
            }
            known: tuple[float | None, ...] = (None, None, None, None)
            if place < 0:
                known = (1.0, 0.0, 1.0, 1.0)
            elif following < len(self.time) or self.survival[place] == 0.0:
                known = tuple(float(column[place]) for column in (self.survival, se, lower, upper))
            rows.append(row | dict(zip(("survival", "se", "ci_lower", "ci_upper"), known, strict=True)))
            counted = so_far
        return rows


def step_rows(
    measure: str,
    time: Floats,
    counts: tuple[Floats, Floats, Floats],
    numbers: tuple[Floats, Floats, Floats, Floats],
) -> list[Row]:
    """A step function as rows of a Result's curve, one for each time.

    `counts` are at risk, with the event, censored; `numbers` the measure, its standard error and limits.
    """
    whole = [np.rint(column).astype(np.int64).tolist() for column in counts]
    keys = ("time", "n_risk", "n_event", "n_censor", measure, "se", "ci_lower", "ci_upper")
    rows = zip(time.tolist(), *whole, *(column.tolist() for column in numbers), strict=True)
    return [dict(zip(keys, row, strict=True)) for row in rows]


def crossing(time: Floats, curve: Floats, level: float = 0.5) -> float | None:
    """The first time at which the curve is at the level or below, the middle of the stretch if it is just there."""
    low = np.flatnonzero(np.nan_to_num(curve, nan=np.inf) < level + TOLERANCE)
    if len(low) == 0:
        return None
    below = low[curve[low] < level - TOLERANCE]
    if curve[low[0]] > level - TOLERANCE and len(below):
        return float(time[low[0]] + time[below[0]]) / 2.0
    return float(time[low[0]])
