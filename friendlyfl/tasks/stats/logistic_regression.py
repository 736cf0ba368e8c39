"""Logistic regression. The search, offset, weights and robust errors live in likelihood and glm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.special import logit

from friendlyfl.tasks import Column, Count, Done, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import View
from friendlyfl.tasks.stats.glm import GeneralisedLinear
from friendlyfl.tasks.stats.likelihood import Fit, Rows
from friendlyfl.tasks.stats.newton import Floats

WEIGHTS_NOT_WHOLE = (
    "The weights are not all whole numbers: in the log-likelihood, AIC and BIC each counts as the nearest whole "
    "number, as R's glm rounds them there; everything else uses them as they are."
)
ALL_ALIKE = "Every patient in this analysis has the same outcome ({}), so there is nothing to explain."


def bernoulli(outcome: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
    """Of yes/no outcomes with log odds eta: log-likelihood, its slope in eta, and its curvature."""
    sign = 2.0 * outcome - 1.0  # towards the outcome that happened: then nothing cancels far out
    towards = sign * eta
    odds = np.exp(
        -np.abs(towards)
    )  # of the less likely outcome; one exponential a row serves all that is asked
    likely = 1.0 / (1.0 + odds)
    unlikely = odds * likely
    wrong = np.where(towards > 0, unlikely, likely)
    return np.minimum(towards, 0.0) - np.log1p(odds), sign * wrong, likely * unlikely


class LogisticRegression(GeneralisedLinear):
    """Which factors go with a yes/no outcome? Odds ratios as if all patients were in one table."""

    title: ClassVar[str] = "Logistic regression"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which factors go with a yes/no outcome?"
    topic: ClassVar[str] = "regression"
    asks: ClassVar[tuple[str, ...]] = (
        "Does {predictors} change the odds of {outcome}?",
        "Do {predictors} change the odds of {outcome}?",
    )
    example: ClassVar[Mapping[str, Any]] = {
        "outcome": "readmitted",
        "predictors": "age,sex,nyha,treatment,age:treatment",
    }
    ratio: ClassVar[str] = "Odds ratio"
    link: ClassVar[str] = "logit"

    sends: ClassVar[Mapping[str, type[Kind]]] = {**GeneralisedLinear.sends, "events": Count, "rounded": Sum}
    own_numbers: ClassVar[tuple[int, int] | None] = (1, 1)

    outcome = Column("Outcome", kinds=["yes/no"], help="0 and 1, or a factor whose second level means yes")

    def outcome_of(self, data: Table | View) -> Floats:
        return data.yes(self.outcome)

    def sums(self, data: Table) -> Update:
        outcome, counted = self.outcome_of(data), self.counted(data)
        return {**super().sums(data), "events": (outcome if counted is None else outcome[counted]).sum()}

    def families(self) -> tuple[str, str]:
        return "binomial", "Binomial()"

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        share = float(total["outcome"]) / float(total["weight"])
        if share <= 0.0 or share >= 1.0:
            return self.no_answer(ALL_ALIKE.format("yes" if share > 0 else "no"), events=int(total["events"]))
        return np.array([logit(share) - self.middle_of_offset(total)])

    def units(self, outcome: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
        return bernoulli(outcome, eta)

    def rows(self, data: View, theta: Floats) -> Rows:
        loglik, score, info, *more = super().rows(data, theta)
        sums = dict(more[0]) if more else {}
        weight = self.weight_of(data)
        if weight is not None:
            units, *_ = self.units(self.outcome_of(data), self.eta(data, theta))
            sums["rounded"] = float(np.rint(weight) @ units)
        return loglik, score, info, sums

    def whole(self, loglik: float, moments: Mapping[str, Any], sums: Mapping[str, Any]) -> float | None:
        """R takes weights for numbers of patients here and rounds them; in the deviance it does not."""
        return float(sums.get("rounded", loglik))

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        moments = state["moments"]
        events = float(moments["events"])
        rarer = min(events, float(moments["rows"]) - events)
        return [
            *wording.few_events(rarer, len(fit.theta) - 1),
            *super().own_notes(fit, state),
            *([WEIGHTS_NOT_WHOLE] if float(moments["parts"]) else []),
        ]

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        return {**super().own_pieces(fit, state), "events": int(state["moments"]["events"])}
