"""Logistic regression. The search, offset, weights and robust errors live in likelihood and glm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, logit

from friendlyfl.tasks import Column, Count, Done, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import View
from friendlyfl.tasks.stats.glm import GeneralisedLinear
from friendlyfl.tasks.stats.likelihood import Fit
from friendlyfl.tasks.stats.newton import Floats

ALL_ALIKE = "Every patient in this analysis has the same outcome ({}), so there is nothing to explain."


def bernoulli(outcome: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
    """Of yes/no outcomes with log odds eta: log-likelihood, its slope in eta, and its curvature."""
    sign = 2.0 * outcome - 1.0  # towards the outcome that happened: then nothing cancels far out
    wrong = expit(-sign * eta)
    return -np.logaddexp(0.0, -sign * eta), sign * wrong, wrong * expit(sign * eta)


class LogisticRegression(GeneralisedLinear):
    """Which factors go with a yes/no outcome? Odds ratios as if all patients were in one table."""

    title: ClassVar[str] = "Logistic regression"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which factors go with a yes/no outcome?"
    example: ClassVar[Mapping[str, Any]] = {
        "outcome": "readmitted",
        "predictors": "age,sex,nyha,treatment,age:treatment",
    }
    ratio: ClassVar[str] = "Odds ratio"

    sends: ClassVar[Mapping[str, type[Kind]]] = {**GeneralisedLinear.sends, "events": Count}

    outcome = Column("Outcome", kinds=["yes/no"], help="0 and 1, or a factor whose second level means yes")

    def outcome_of(self, data: Table | View) -> Floats:
        return data.yes(self.outcome)

    def sums(self, data: Table) -> Update:
        outcome, counted = self.outcome_of(data), self.counted(data)
        return {**super().sums(data), "events": (outcome if counted is None else outcome[counted]).sum()}

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        share = float(total["outcome"]) / float(total["weight"])
        if share <= 0.0 or share >= 1.0:
            return self.no_answer(ALL_ALIKE.format("yes" if share > 0 else "no"), events=int(total["events"]))
        return np.array([logit(share)])

    def units(self, outcome: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
        return bernoulli(outcome, eta)

    def deviance(self, loglik: float, moments: Mapping[str, Any]) -> float:
        return -2.0 * loglik

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        moments = state["moments"]
        events = float(moments["events"])
        rarer = min(events, float(moments["rows"]) - events)
        return [
            *wording.few_events(rarer, len(fit.theta) - 1),
            *super().own_notes(fit, state),
        ]

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        return {"events": int(state["moments"]["events"]), "reproduce": self.calls()}

    def calls(self) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        r = [wording.r_formula(self.outcome, self.predictors), "family = binomial", "data = d"]
        formula = wording.python_formula(self.outcome, self.predictors)
        python = [repr(formula), "d", "family=sm.families.Binomial()"]
        if self.offset:
            r.append(f"offset = {wording.r_name(self.offset)}")
            python.append(f"offset=d[{self.offset!r}]")
        if self.weights:
            r.append(f"weights = {wording.r_name(self.weights)}")
            python.append(f"freq_weights=d[{self.weights!r}]")
        fit = f"fit <- glm({', '.join(r)}, control = glm.control(epsilon = 1e-14, maxit = 200))"
        errors, kind = "", ""
        if self.robust != "none":
            errors = (
                f"; lmtest::coeftest(fit, vcov = sandwich::vcovHC(fit, type = {wording.quoted(self.robust)}))"
            )
            kind = f"cov_type={self.robust!r}"
        return {
            "r": f"{fit}; summary(fit){errors}",
            "python": "import statsmodels.api as sm; import statsmodels.formula.api as smf; "
            f"smf.glm({', '.join(python)}).fit({kind}).summary()",
        }
