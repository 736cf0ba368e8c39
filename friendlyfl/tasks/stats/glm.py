"""Generalised linear models: a family says what one row gives for its linear predictor, the rest is here.

Offset, prior weights, robust (sandwich) errors, deviance and Pearson's chi-square. What does not live here: the
search and the usual statistics (likelihood), the families themselves (logistic_regression and its sisters).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.tasks import Choice, Column, Cross, Done, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.stats.basis import Basis, View, prior_weights
from friendlyfl.tasks.stats.likelihood import Fit, Likelihood, Rows
from friendlyfl.tasks.stats.newton import Bools, Floats

WEIGHTS_NOT_WHOLE = (
    "The weights are not all whole numbers: the log-likelihood, AIC and BIC use them as they are "
    "(R's glm rounds them there)."
)


class GeneralisedLinear(Likelihood):
    """A likelihood in which every row speaks through one linear predictor."""

    stages: ClassVar[tuple[str, ...]] = ("moments", "fit", "robust")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **Likelihood.sends,
        "weight": Sum,
        "outcome": Sum,
        "parts": Sum,
        "pearson": Sum,
        "meat": Cross,
    }

    offset = Column("Offset", kinds=["number"], optional=True, help="Added to the linear predictor as it is")
    weights = Column("Weights", kinds=["number"], optional=True, help="Prior weights, 0 or more")
    robust = Choice("Standard errors", ["none", "HC0", "HC1", "HC3"], help="Sandwich errors if not none")

    # What a family writes.

    def units(self, outcome: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """Per row: log-likelihood, its slope in eta, and its expected curvature."""
        raise NotImplementedError

    def outcome_of(self, data: Table | View) -> Floats:
        raise NotImplementedError

    # Weights and offset.

    def weight_of(self, data: Table | View) -> Floats | None:
        return prior_weights(data, self.weights)

    def counted(self, data: Table) -> Bools | None:
        weight = self.weight_of(data)
        return None if weight is None else weight > 0

    def eta(self, data: View, theta: Floats) -> Floats:
        eta = data.design(self.predictors) @ theta
        return eta + data[self.offset] if self.offset else eta

    def sums(self, data: Table) -> Update:
        outcome, weight = self.outcome_of(data), self.weight_of(data)
        if weight is None:
            return {"weight": len(data), "outcome": outcome.sum(), "parts": 0.0}
        return {
            "weight": weight.sum(),
            "outcome": weight @ outcome,
            "parts": float((weight != np.floor(weight)).sum()),
        }

    # The sums.

    def rows(self, data: View, theta: Floats) -> Rows:
        design, weight = data.design(self.predictors), self.weight_of(data)
        loglik, slope, curve = self.units(self.outcome_of(data), self.eta(data, theta))
        pearson = np.divide(slope * slope, curve, out=np.zeros_like(curve), where=curve > 0)
        if weight is not None:
            loglik, slope, curve, pearson = loglik * weight, slope * weight, curve * weight, pearson * weight
        info = design.T @ (design * curve[:, None])
        return float(loglik.sum()), design.T @ slope, info, {"pearson": pearson.sum()}

    # Stage robust: how much the rows disagree with the model's own variance.

    def fitted(self, fit: Fit, state: State) -> State | Done:
        if self.robust == "none" or fit.lost.shape[1]:
            return self.result(fit, state)
        return {**state, "stage": "robust", "fit": dict(vars(fit))}

    def local_robust(self, data: Table, state: State) -> Update:
        blocks = View.blocks(data, self.predictors, Basis.from_state(state["basis"]))
        return {"meat": sum(self._meat(view, state["fit"]) for view in blocks)}

    def _meat(self, data: View, fit: Mapping[str, Any]) -> Floats:
        """Products of the rows' scores, each as far from the fit as it would be without itself if HC3."""
        design, weight = data.design(self.predictors), self.weight_of(data)
        _, slope, curve = self.units(self.outcome_of(data), self.eta(data, fit["theta"]))
        if weight is not None:
            slope, curve = slope * weight, curve * weight
        if self.robust == "HC3":
            slope = slope / (1.0 - curve * np.einsum("ij,ij->i", design @ fit["inverse"], design))
        return design.T @ (design * (slope * slope)[:, None])

    def combine_robust(self, state: State, total: Update) -> State | Done:
        fit = Fit(**state["fit"])
        rows, fitted = float(state["moments"]["rows"]), len(fit.theta)
        factor = rows / (rows - fitted) if self.robust == "HC1" else 1.0
        return self.result(fit, state, robust=factor * fit.inverse @ total["meat"] @ fit.inverse)

    # What every generalised linear model reports.

    def own_statistics(self, fit: Fit, state: State) -> dict[str, float | None]:
        return {
            "deviance": self.deviance(fit.loglik, state["moments"]),
            "null_deviance": self.deviance(state["loglik_null"], state["moments"]),
            "dispersion": 1.0,
            "pearson_chi2": float(fit.sums["pearson"]),
        }

    def deviance(self, loglik: float, moments: Mapping[str, Any]) -> float:
        raise NotImplementedError

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        return [WEIGHTS_NOT_WHOLE] if float(state["moments"]["parts"]) else []
