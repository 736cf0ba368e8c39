"""Fine and Gray's weighted partial likelihood as arithmetic: who stays at risk, with what weight, and what follows.

Who had a competing event stays at risk of the event of interest with weight G(t-) / G(T-), where G is the chance of not
being censored yet, T their own time and t a later event time. What does not live here: the likelihood made of the
sums (cox_risk), who computes which part (fine_gray).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.stats.cox_risk import (
    Followed,
    RiskSums,
    Steps,
    by_cell,
    pairs_of,
    products_of,
    running,
)
from friendlyfl.tasks.stats.time_counts import at_risk

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CENSORED, EVENT, COMPETING = 0, 1, 2  # how follow-up ended


@dataclass(frozen=True)
class Course:
    """What all hospitals together saw on the time grid, as places on it and counts.

    `cells` are the event times, with `deaths` events of interest and G(t-) in `before`; `places` are all times at
    which follow-up of someone ended, with G(u-) in `kept`; `censorings` those times of censoring that come no later
    than an event, with people `censored` and `risk`, people at risk.
    """

    cells: Integers
    deaths: Integers
    before: Floats
    places: Integers
    kept: Floats
    censorings: Integers
    censored: Floats
    risk: Floats

    @classmethod
    def of(cls, counts: Floats, events_first: bool) -> Course:
        """From people by how follow-up ended and place on the grid.

        `events_first`: events come before censorings at the same time, so that they are not at risk of being censored.
        """
        places = np.flatnonzero(counts.sum(axis=0) > 0).astype(np.int64)
        censored, events, others = counts[:, places]
        risk = at_risk(censored + events + others)
        exposed = risk - events - others if events_first else risk
        share = np.divide(censored, exposed, out=np.zeros_like(risk), where=censored > 0)
        kept = np.concatenate([[1.0], np.cumprod(1.0 - share)[:-1]])
        had, gone = events > 0, censored > 0
        if had.any():
            gone &= places <= places[had][-1]
        return cls(
            places[had],
            np.rint(events[had]).astype(np.int64),
            kept[had],
            places,
            kept,
            places[gone],
            censored[gone],
            risk[gone],
        )

    def to_state(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Course:
        return cls(**{field.name: state[field.name] for field in fields(cls)})

    def next_cell(self) -> Integers:
        """For each time of censoring the first event time that is no earlier."""
        return np.searchsorted(self.cells, self.censorings, side="left").astype(np.int64)


@dataclass(frozen=True)
class Rows:
    """Rows of one hospital: how follow-up ended, their place on the grid, the design without its intercept."""

    ended: Integers
    place: Integers
    design: Floats

    def followed(self, course: Course) -> Followed:
        """At risk from the start up to the own time, as in Cox's model."""
        stop = np.searchsorted(course.cells, self.place, side="right").astype(np.int64)
        nothing = np.zeros(len(stop), dtype=np.int64)
        return Followed(nothing, nothing, stop, self.ended == EVENT)

    def weight(self, course: Course) -> Floats:
        """1 / G(T-) of those with a competing event, 0 of the others."""
        kept = course.kept[np.searchsorted(course.places, self.place)]
        return np.where(self.ended == COMPETING, 1.0 / kept, 0.0)


@dataclass
class Sums:
    """Sums over rows that go on being added to, before they are run up along time."""

    leaving: Floats  # by event times passed at the own time
    staying: Floats  # the same of those with a competing event, with weight 1 / G(T-)
    tied: Floats
    events: Floats
    gone: Floats  # of `staying`, by times of censoring passed; no products

    @classmethod
    def none(cls, course: Course, ties: Bools, columns: int) -> Sums:
        cells, width = len(course.cells), 1 + columns + len(pairs_of(columns)[0])
        return cls(
            np.zeros((cells + 1, width)),
            np.zeros((cells + 1, width)),
            np.zeros((int(ties.sum()), width)),
            np.zeros((cells, columns)),
            np.zeros((len(course.censorings) + 1, 1 + columns)),
        )

    def add(self, rows: Rows, theta: Floats, course: Course, ties: Bools) -> None:
        followed, weight = rows.followed(course), rows.weight(course)
        risk = np.exp(rows.design @ theta)
        products = products_of(rows.design, risk)
        self.leaving += by_cell(followed.stop, len(self.leaving)) @ products
        rivals = np.flatnonzero(weight > 0)
        staying = products[rivals] * weight[rivals, None]
        self.staying += by_cell(followed.stop[rivals], len(self.staying)) @ staying
        passed = np.searchsorted(course.censorings, rows.place[rivals], side="right").astype(np.int64)
        self.gone += by_cell(passed, len(self.gone)) @ staying[:, : 1 + len(theta)]
        dying = np.flatnonzero(followed.dead)
        self.events += by_cell(followed.cell, len(self.events)) @ rows.design[dying]
        tied = ties[followed.cell]
        cell = (np.cumsum(ties) - 1)[followed.cell[tied]]
        self.tied += by_cell(cell, len(self.tied)) @ products[dying[tied]]

    def update(self, course: Course, ties: Bools, shift: Integers) -> dict[str, Floats]:
        """What is sent: sums at each event time, divided by 2^shift, and at each time of censoring."""
        later = np.flip(np.cumsum(np.flip(self.leaving[1:], 0), axis=0), 0)
        passed = np.cumsum(self.staying, axis=0)[:-1]
        scale = np.ldexp(1.0, -shift)[:, None]
        return {
            "at": (later + course.before[:, None] * passed) * scale,
            "tied": self.tied * scale[ties],
            "events": self.events,
            "gone": np.cumsum(self.gone, axis=0)[:-1] * scale[course.next_cell()],
        }


def risk_sums(total: Mapping[str, Any]) -> RiskSums:
    return RiskSums(total["at"], total["tied"], total["events"])


@dataclass(frozen=True)
class Influence:
    """What a hospital needs for its rows' parts of the score, beside Cox's own steps.

    `hazard` and `weighted` are running sums of the hazard's steps, and of these times the mean of the columns, each
    times G(t-); `jump` and `drift`, by time of censoring, say what estimating G adds.
    """

    steps: Steps
    hazard: Floats
    weighted: Floats
    jump: Floats
    drift: Floats

    @classmethod
    def of(cls, steps: Steps, course: Course, gone: Floats, shift: Integers, estimated: bool) -> Influence:
        """`gone` is the total at the answer; with `estimated` the weights' own uncertainty is allowed for."""
        hazard = running(steps.hazard * course.before)
        weighted = running(steps.weighted * course.before[:, None])
        first = course.next_cell()
        raw = np.ldexp(gone, shift[first][:, None])
        ahead = (hazard[-1] - hazard[first])[:, None]
        lost = raw[:, 1:] * ahead - raw[:, :1] * (weighted[-1] - weighted[first])
        if not estimated:
            lost = np.zeros_like(lost)
        jump = lost / course.risk[:, None]
        drift = running(jump * (course.censored / course.risk)[:, None])
        return cls(steps, hazard, weighted, jump, drift)

    def to_state(self) -> dict[str, Any]:
        return {**vars(self), "steps": self.steps.to_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Influence:
        return cls(**{**state, "steps": Steps(**state["steps"])})

    def scores(self, rows: Rows, theta: Floats, course: Course) -> Floats:
        """Each row's part of the score, by which it would move the answer."""
        followed, weight = rows.followed(course), rows.weight(course)
        scores = self.steps.residuals(followed, rows.design, theta)
        size = (np.exp(rows.design @ theta) * weight)[:, None]
        ahead = (self.hazard[-1] - self.hazard[followed.stop])[:, None]
        scores -= size * (rows.design * ahead - (self.weighted[-1] - self.weighted[followed.stop]))
        passed = np.searchsorted(course.censorings, rows.place, side="right")
        scores -= self.drift[passed]
        counted = (rows.ended == CENSORED) & (passed > 0)
        counted[counted] &= course.censorings[passed[counted] - 1] == rows.place[counted]
        scores[counted] += self.jump[passed[counted] - 1]
        return scores
