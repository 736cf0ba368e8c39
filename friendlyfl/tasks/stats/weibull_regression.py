"""Weibull regression of times to an event, as `survreg` of R's survival.

What does not live here: the scale and its parameters (location_scale), the search (likelihood).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.tasks import Column, Count, Done, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import View
from friendlyfl.tasks.stats.likelihood import Fit
from friendlyfl.tasks.stats.location_scale import LocationScale
from friendlyfl.tasks.stats.newton import Bools, Floats
from friendlyfl.tasks.values import DataError

NO_EVENT = "No patient in this analysis had the event, so nothing can be said about when it happens."


class WeibullRegression(LocationScale):
    """What makes the time to an event longer or shorter? Time ratios as if all patients were in one table."""

    title: ClassVar[str] = "Weibull regression"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "What makes the time to an event longer or shorter?"
    topic: ClassVar[str] = "survival"
    asks: ClassVar[tuple[str, ...]] = (
        "Does {predictors} change the time to {event}?",
        "Do {predictors} change the time to {event}?",
    )
    example: ClassVar[Mapping[str, Any]] = {
        "time": "weeks",
        "event": "dead",
        "predictors": "age,sex,nyha,treatment",
    }
    references: ClassVar[tuple[str, ...]] = (
        "Kalbfleisch JD, Prentice RL. The Statistical Analysis of Failure Time Data. 2nd ed. Wiley; 2002.",
        "Olsen RJ. Note on the uniqueness of the maximum likelihood estimator for the Tobit model. "
        "Econometrica 1978;46:1211-1215.",
    )
    ratio: ClassVar[str] = "Time ratio"
    middle_of_error: ClassVar[float] = -float(np.euler_gamma)  # of the smallest extreme value
    spread_of_error: ClassVar[float] = math.pi / math.sqrt(6.0)

    sends: ClassVar[Mapping[str, type[Kind]]] = {**LocationScale.sends, "events": Count}

    time = Column("Time", kinds=["number"], help="From the start of follow-up to the event or the end of it")
    event = Column("Event", kinds=["yes/no"], help="1 if the event happened at that time, 0 if censored")

    def outcome_of(self, data: Table | View) -> Floats:
        time = np.asarray(data[self.time], dtype=np.float64)
        if len(time) and not time.min() > 0:
            raise DataError(
                "time_not_positive",
                f"“{self.time}” is 0 or less in {np.count_nonzero(time <= 0)} rows of this table; a Weibull model "
                "needs times above 0. Leave these patients out, or give them half the smallest step.",
            )
        return np.log(time)

    def outcome_scale(self) -> float:
        return 64.0  # a logarithm of what can be recorded

    def seen(self, data: Table | View) -> Bools:
        return data.yes(self.event) > 0

    def jacobian(self, data: Table) -> float:
        return float(self.outcome_of(data)[self.seen(data)].sum())

    def sums(self, data: Table) -> Update:
        return {**super().sums(data), "events": np.count_nonzero(self.seen(data))}

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        if not float(total["events"]):
            return self.no_answer(NO_EVENT, events=0)
        begin = super().begin(total)
        if not isinstance(begin, Done):
            begin[0] += math.log(
                float(total["rows"]) / float(total["events"])
            )  # times go on after a censoring
        return begin

    def units(self, data: View, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Smallest extreme value: log density z - e^z, log survival -e^z."""
        event, hazard = data.yes(self.event), np.exp(z)
        return event * z - hazard, event - hazard, hazard

    def seen_of(self, moments: Mapping[str, Any]) -> float:
        return float(moments["events"])

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        return wording.few_events(self.seen_of(state["moments"]), len(fit.theta) - 2)

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        return {"events": int(self.seen_of(state["moments"])), "reproduce": self.calls()}

    def result(self, fit: Fit, state: State, robust: Floats | None = None) -> Done:
        done = super().result(fit, state, robust)
        done.pieces["conventions"]["parameters"] = (
            "accelerated failure time: a coefficient is the change of log time; the Weibull shape is 1 / scale"
        )
        return done

    def calls(self) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        event, happened = wording.happened(self.spec(self.event))
        times = f"survival::Surv({wording.r_name(self.time)}, {event})"
        formula = wording.r_formula("outcome", self.predictors).replace("outcome", times, 1)
        right = wording.python_formula("outcome", self.predictors).split(" ~ ", 1)[1]
        table = f"d.assign(**{{{self.event!r}: {happened}}})"
        return {
            "r": f"summary(survival::survreg({formula}, data = d, dist = {wording.quoted('weibull')}, "
            "control = survival::survreg.control(rel.tolerance = 1e-12, maxiter = 200)))",
            "python": f"fit = lifelines.WeibullAFTFitter().fit({table}, {self.time!r}, {self.event!r}, "
            f"formula={right!r}); fit.summary.to_string(); fit.log_likelihood_  # rho_ is minus Log(scale)",
        }
