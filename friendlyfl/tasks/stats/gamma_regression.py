"""Gamma regression of positive amounts with a log link. Search, offset, weights, errors: likelihood and glm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.tasks import Choice, Column, Done, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.stats.basis import View
from friendlyfl.tasks.stats.gamma_function import stirling_rest
from friendlyfl.tasks.stats.glm import GeneralisedLinear
from friendlyfl.tasks.stats.likelihood import Fit
from friendlyfl.tasks.stats.newton import Floats
from friendlyfl.tasks.values import DataError

EXACT = 1e-20  # mean squared relative distance from the fit that is only rounding
PERFECT = (
    "The model fits every patient exactly, so there is nothing to estimate a dispersion or a likelihood from."
)


class GammaRegression(GeneralisedLinear):
    """Which factors go with a higher amount, such as a cost? Ratios of means as if all patients were in one table."""

    title: ClassVar[str] = "Gamma regression"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which factors go with a higher amount, such as a cost?"
    topic: ClassVar[str] = "regression"
    asks: ClassVar[tuple[str, ...]] = (
        "Does {predictors} change the mean of {outcome}?",
        "Do {predictors} change the mean of {outcome}?",
    )
    example: ClassVar[Mapping[str, Any]] = {"outcome": "cost", "predictors": "age,sex,nyha,treatment"}
    ratio: ClassVar[str] = "Ratio of means"
    link: ClassVar[str] = "log"
    scale_parameters: ClassVar[int] = 1

    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **GeneralisedLinear.sends,
        "logs": Sum,
        "expected": GeneralisedLinear.sends["info"],
    }
    own_numbers: ClassVar[tuple[int, int] | None] = (1, 0)

    outcome = Column(
        "Outcome", kinds=["number"], help="An amount above 0, such as a cost or a length of stay"
    )
    offset = Column(
        "Offset", kinds=["number"], optional=True, help="Added to the logarithm of the mean as it is"
    )
    dispersion = Choice(
        "Dispersion",
        {"estimated": "estimated, by Pearson's chi-square", "fixed": "fixed at 1, an exponential law"},
        help="How much more the values vary than by an exponential law",
    )

    def accept(self, data: Table) -> None:
        super().accept(data)
        wrong = self.outcome_of(data) <= 0
        if wrong.any():
            raise DataError(
                "column_type",
                f"“{self.outcome}” must be above 0 for gamma regression, and is not in {data.rows_in_words(wrong)}. "
                "Describe patients without any amount apart: whether there is one, by logistic regression.",
            )

    def outcome_of(self, data: Table | View) -> Floats:
        return np.asarray(data[self.outcome])

    def families(self) -> tuple[str, str]:
        return 'Gamma(link = "log")', "Gamma(sm.families.links.Log())"

    def sums(self, data: Table) -> Update:
        weight, logs = self.weight_of(data), np.log(self.outcome_of(data))
        sums = {**super().sums(data), "logs": logs.sum() if weight is None else weight @ logs}
        return {**sums, "outcome": sums["outcome"] / self.spec(self.outcome).scale}

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        """At the mean, or where amounts are too small to be added, at their geometric mean."""
        weight, scale = float(total["weight"]), self.spec(self.outcome).scale
        mean = scale * float(total["outcome"]) / weight
        start = np.log(mean) if mean > 0 else float(total["logs"]) / weight
        return np.array([start - self.middle_of_offset(total)])

    def units(self, outcome: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """The log-likelihood is minus half the deviance; log of the outcome over its mean, so that units cancel."""
        above = np.log(outcome) - eta
        slope = np.expm1(above)
        return above - slope, slope, np.ones_like(eta)

    def observed(self, outcome: Floats, eta: Floats) -> Floats | None:
        return np.exp(np.log(outcome) - eta)

    def whole(self, loglik: float, moments: Mapping[str, Any], sums: Mapping[str, Any]) -> float | None:
        """R takes the deviance over the sum of weights for the dispersion here, whatever the errors use."""
        weight, half = float(moments["weight"]), -loglik
        if half <= EXACT * weight:
            return None
        shape = weight / (2.0 * half)
        peak = 0.5 * np.log(shape / (2.0 * np.pi)) - float(stirling_rest(shape))
        return float(weight * (peak - 0.5) - float(moments["logs"]))

    def said(self, robust: bool) -> dict[str, Any]:
        words = super().said(robust)
        words["likelihood"] = (
            "at the dispersion deviance / sum of weights, which counts as a parameter in AIC and BIC"
        )
        return words

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        exact = float(fit.sums["pearson"]) <= EXACT * float(state["moments"]["weight"])
        return [*super().own_notes(fit, state), *([PERFECT] if exact else [])]
