"""Poisson regression of counts and rates. The search, offset, weights and robust errors live in likelihood and glm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.special import xlogy

from friendlyfl.tasks import Choice, Count, Done, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import View
from friendlyfl.tasks.stats.counts import NO_EVENT, OFFSET, OUTCOME, counts_of
from friendlyfl.tasks.stats.gamma_function import log_poisson_peak
from friendlyfl.tasks.stats.glm import GeneralisedLinear, pearson_of
from friendlyfl.tasks.stats.likelihood import Fit
from friendlyfl.tasks.stats.newton import Floats

QUASI = (
    "With an estimated dispersion there is no likelihood, as in R's quasipoisson: no log-likelihood, AIC and BIC, and "
    "the likelihood ratio test is the fall in deviance over the dispersion."
)


class PoissonRegression(GeneralisedLinear):
    """Which factors go with how often something happens? Rate ratios as if all patients were in one table."""

    title: ClassVar[str] = "Poisson regression"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which factors go with how often something happens?"
    topic: ClassVar[str] = "regression"
    asks: ClassVar[tuple[str, ...]] = (
        "Does {predictors} change how many {outcome} there are?",
        "Do {predictors} change how many {outcome} there are?",
    )
    example: ClassVar[Mapping[str, Any]] = {
        "outcome": "visits",
        "predictors": "age,sex,nyha,treatment",
        "offset": "log_years",
        "dispersion": "estimated",
    }
    ratio: ClassVar[str] = "Rate ratio"
    alike: ClassVar[str] = "all have a count of 0"
    link: ClassVar[str] = "log"

    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **GeneralisedLinear.sends,
        "any_event": Count,
        "events": Sum,
        "peak": Sum,
    }
    own_numbers: ClassVar[tuple[int, int] | None] = (3, 0)

    outcome = OUTCOME
    offset = OFFSET
    dispersion = Choice(
        "Dispersion",
        {"fixed": "fixed at 1", "estimated": "estimated (quasi-Poisson)"},
        help="Estimated for counts that vary more than a Poisson law says",
    )

    def families(self) -> tuple[str, str]:
        return "quasipoisson" if self.estimated else "poisson", "Poisson()"

    def accept(self, data: Table) -> None:
        super().accept(data)
        counts_of(data, self.outcome)

    def outcome_of(self, data: Table | View) -> Floats:
        return np.asarray(data[self.outcome])

    def sums(self, data: Table) -> Update:
        outcome, weight = counts_of(data, self.outcome), self.weight_of(data)
        weight = np.ones(len(data)) if weight is None else weight
        return {
            **super().sums(data),
            "any_event": float(((outcome > 0) & (weight > 0)).sum()),
            "events": outcome[weight > 0].sum(),
            "peak": weight @ log_poisson_peak(outcome),
        }

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        if float(total["outcome"]) <= 0.0:
            return self.no_answer(NO_EVENT, events=0)
        return np.array(
            [np.log(float(total["outcome"]) / float(total["weight"])) - self.middle_of_offset(total)]
        )

    def units(self, outcome: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """The log-likelihood is counted from that of a perfect fit: it is minus half the deviance."""
        rate = np.exp(eta)
        return outcome * eta - xlogy(outcome, outcome) - (rate - outcome), outcome - rate, rate

    def whole(self, loglik: float, moments: Mapping[str, Any], sums: Mapping[str, Any]) -> float | None:
        return None if self.estimated else loglik + float(moments["peak"])

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        df = self.df_residual(fit, state)
        notes = super().own_notes(fit, state)
        if self.estimated:
            return [*notes, QUASI]
        ratio = (pearson_of(fit) or 0.0) / df if df > 0 else 0.0
        if self.robust == "none" and ratio > wording.MUCH_DISPERSION:
            notes.append(wording.overdispersed(ratio))
        return notes

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        return {**super().own_pieces(fit, state), "events": float(state["moments"]["events"])}
