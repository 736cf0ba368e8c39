"""The cumulative incidence of one type of event when others compete, from counts in time (Aalen-Johansen).

Events of all types at one time are taken together and come before censorings; a person is at risk when entry < time.
The variance is Aalen's by the delta method with the hypergeometric factor at ties, as R's cmprsk has it. What does
not live here: comparing groups (gray), and where the counts come from (competing_risks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.stats.inference import LEVEL, critical
from friendlyfl.tasks.stats.survival_curve import step_rows

Floats = npt.NDArray[np.float64]
Row = dict[str, Any]


@dataclass(frozen=True)
class IncidenceCurve:
    """Counts and estimates at every time at which follow-up of someone of the group ended."""

    time: Floats
    risk: Floats
    event: Floats  # of the type that is followed
    censored: Floats
    incidence: Floats
    variance: Floats

    @classmethod
    def of(cls, time: Floats, event: Floats, other: Floats, censored: Floats, risk: Floats) -> IncidenceCurve:
        """From counts on a grid; times at which nothing happened are left out."""
        here = (event + other + censored) > 0
        time, event, other, censored, risk = (x[here] for x in (time, event, other, censored, risk))
        survival: Floats = np.cumprod(1.0 - (event + other) / risk, dtype=np.float64)
        before = np.concatenate([[1.0], survival[:-1]])
        incidence: Floats = np.cumsum(before * event / risk, dtype=np.float64)
        variance = _variance(event, other, risk, before, survival, incidence)
        return cls(time, risk, event, censored, incidence, variance)

    def errors(self) -> Floats:
        return np.sqrt(self.variance)

    def limits(self, level: float = LEVEL) -> tuple[Floats, Floats]:
        """Confidence limits on the scale of the logarithm; NaN while the incidence is 0."""
        known = np.where(self.incidence > 0, self.incidence, np.nan)
        width = critical(level) * self.errors() / known
        return known * np.exp(-width), np.minimum(known * np.exp(width), 1.0)

    def points(self) -> list[Row]:
        """The curve as rows."""
        counts = (self.risk, self.event, self.censored)
        return step_rows("cif", self.time, counts, (self.incidence, self.errors(), *self.limits()))

    def at(self, times: tuple[float, ...]) -> list[Row]:
        """The curve at chosen times; None after the last observation, as R's cmprsk::timepoints."""
        lower, upper = self.limits()
        se, counted = self.errors(), 0.0
        rows: list[Row] = []
        for time in times:
            place = int(np.searchsorted(self.time, time, side="right")) - 1
            following = int(np.searchsorted(self.time, time, side="left"))
            so_far = float(self.event[: place + 1].sum())
            known: tuple[float | None, ...] = (None, None, None, None)
            if place < 0:
                known = (0.0, 0.0, None, None)
            elif following < len(self.time):
                known = tuple(float(column[place]) for column in (self.incidence, se, lower, upper))
            row: Row = {
                "time": time,
                "n_risk": round(float(self.risk[following])) if following < len(self.time) else 0,
                "n_event_since_last": round(so_far - counted),
            }
            rows.append(row | dict(zip(("cif", "se", "ci_lower", "ci_upper"), known, strict=True)))
            counted = so_far
        return rows


def _variance(
    event: Floats, other: Floats, risk: Floats, before: Floats, after: Floats, incidence: Floats
) -> Floats:
    """Variance of the incidence after each time.

    The incidence F(t) moves with an event at u by what happens there and by the loss of those who could still have it,
    F(t) - F(u), so the sum over u is a polynomial in F(t) whose three coefficients are cumulative sums.
    """

    def jumps(count: Floats) -> Floats:
        together = np.divide(count - 1.0, risk - 1.0, out=np.zeros_like(risk), where=count > 1)
        return (before / risk) ** 2 * (1.0 - together) * count

    left = np.divide(1.0, after, out=np.zeros_like(after), where=after > 0)
    own, rival = jumps(event), np.where(after > 0, jumps(other), 0.0)
    with_own, with_rival = 1.0 + left * incidence, left * incidence
    squares = np.cumsum(with_own**2 * own + with_rival**2 * rival)
    mixed = np.cumsum(left * (with_own * own + with_rival * rival))
    lost = np.cumsum(left**2 * (own + rival))
    variance = squares + incidence**2 * lost - 2.0 * incidence * mixed
    # Between two events of this type the curve is level, and so is its variance.
    last = np.maximum.accumulate(np.where(event > 0, np.arange(len(event)), -1))
    level: Floats = np.where(last >= 0, np.maximum(variance[np.maximum(last, 0)], 0.0), 0.0)
    return level
