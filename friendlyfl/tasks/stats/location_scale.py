"""Regressions of a number with a scale: outcome = x'b + scale * error, where some outcomes are known only as limits.

The fit runs in Olsen's (1978) parameters, b / scale and 1 / scale, in which these log-likelihoods are concave, so that
the search has one answer and no bad start. The Result is in b and Log(scale). What does not live here: the error's
distribution and which rows are limits (censored_regression, weibull_regression), the search (likelihood).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from friendlyfl.tasks import Done, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.stats.basis import View
from friendlyfl.tasks.stats.likelihood import Fit, Likelihood, Rows
from friendlyfl.tasks.stats.moments import unit_near
from friendlyfl.tasks.stats.newton import Bools, Floats

PERFECT = (
    "The predictors tell the outcome without any error, so its scale has no finite estimate and no coefficients are "
    "given. Look for a predictor that is the outcome itself, or for too few outcomes that are not censored."
)
NO_SPREAD = (
    "The outcome is the same for every patient in this analysis, or differs too little to be told from that, so there "
    "is nothing to explain. If it should vary, choose another unit for it and give its range in the dictionary."
)
ENDLESS = 3e5  # how small the scale may become, against the outcome's spread, before it counts as none
ALIKE = 1e-14  # variance over mean square: all values alike


@dataclass(frozen=True)
class Measure:
    """The outcome's pooled middle and a power of two near its spread: the fit sees (outcome - middle) / unit."""

    middle: float = 0.0
    unit: float = 1.0
    spread: float = 1.0

    @classmethod
    def of(cls, total: Mapping[str, Any], scale: float) -> Measure:
        """From the sums of values and squares, both of the outcome over `scale`."""
        rows = float(total["rows"])
        mean, square = float(total["values"]) / rows, float(total["squares"]) / rows
        variance = square - mean**2
        spread = math.sqrt(variance) if variance > ALIKE * square else 0.0
        return cls(mean * scale, unit_near(spread) * scale if spread else scale, spread * scale)


class LocationScale(Likelihood):
    """A model with a linear predictor and one scale for all."""

    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **Likelihood.sends,
        "values": Sum,
        "squares": Sum,
        "logarithms": Sum,
    }
    middle_of_error: ClassVar[float] = 0.0  # mean and standard deviation of the error's distribution
    spread_of_error: ClassVar[float] = 1.0
    measure: Measure = Measure()  # from the State, in every round of the fit

    # What a distribution writes.

    def outcome_of(self, data: Table | View) -> Floats:
        """The outcome, or the limit that is known of it, on the scale of the linear predictor."""
        raise NotImplementedError

    def outcome_scale(self) -> float:
        """A power of two no smaller than an outcome."""
        raise NotImplementedError

    def seen(self, data: Table | View) -> Bools:
        """Rows whose outcome is known and no limit."""
        raise NotImplementedError

    def units(self, data: View, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Per row at the standardised residual z: log-likelihood without the scale, its slope and minus its curve."""
        raise NotImplementedError

    def jacobian(self, data: Table) -> float:
        """Sum of the logarithms that take the density back to the outcome as recorded."""
        return 0.0

    # The sums.

    def extra(self) -> list[str]:
        return ["Log(scale)"]

    def sums(self, data: Table) -> Update:
        outcome = self.outcome_of(data) / self.outcome_scale()
        return {"values": outcome.sum(), "squares": outcome @ outcome, "logarithms": self.jacobian(data)}

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        measure = Measure.of(total, self.outcome_scale())
        if not measure.spread:
            return self.no_answer(NO_SPREAD)
        inverse_scale = self.spread_of_error * measure.unit / measure.spread
        return np.array([-self.middle_of_error, inverse_scale])

    def local_fit(self, data: Table, state: State) -> Update:
        self.measure = Measure.of(state["moments"], self.outcome_scale())
        return super().local_fit(data, state)

    def rows(self, data: View, theta: Floats) -> Rows:
        """z = outcome / scale - x'b / scale, linear in Olsen's parameters."""
        design, inverse_scale = data.design(self.predictors), theta[-1]
        outcome = (self.outcome_of(data) - self.measure.middle) / self.measure.unit
        seen = float(np.count_nonzero(self.seen(data)))
        loglik, slope, curve = self.units(data, inverse_scale * outcome - design @ theta[:-1])
        # Below 0 the scale has no logarithm: NaN, which halves the step.
        total = float(loglik.sum()) + seen * float(np.log(inverse_scale if inverse_scale > 0 else np.nan))
        columns = np.column_stack([-design, outcome])
        score, info = columns.T @ slope, columns.T @ (columns * curve[:, None])
        score[-1] += seen / inverse_scale
        info[-1, -1] += seen / inverse_scale**2
        return total, score, info

    def combine_fit(self, state: State, total: Update) -> State | Done:
        answer = super().combine_fit(state, total)
        if not isinstance(answer, Done) and "search" in answer and answer["search"]["theta"][-1] > ENDLESS:
            return self.no_answer(PERFECT)
        return answer

    # Back to b and Log(scale): linear in steps near the estimate, so that the rest is the likelihood's own.

    def fitted(self, fit: Fit, state: State) -> State | Done:
        measure = Measure.of(state["moments"], self.outcome_scale())
        scale = 1.0 / fit.theta[-1]
        theta = np.append(measure.unit * scale * fit.theta[:-1], math.log(measure.unit * scale))
        theta[0] += measure.middle
        change = measure.unit * scale * np.eye(len(theta))
        change[:-1, -1] = -measure.unit * scale**2 * fit.theta[:-1]
        change[-1, -1] = -scale
        constant = self._constant(state["moments"], measure)
        fit = replace(
            fit,
            theta=theta,
            loglik=fit.loglik + constant,
            inverse=change @ fit.inverse @ change.T,
            lost=change @ fit.lost,
        )
        metric = np.asarray(state["metric"]) / np.abs(np.diag(change))
        return self.result(fit, {**state, "metric": metric, "loglik_null": state["loglik_null"] + constant})

    def _constant(self, moments: Mapping[str, Any], measure: Measure) -> float:
        """What the log-likelihood of the outcome as recorded has beside that of the fit."""
        return -self.seen_of(moments) * math.log(measure.unit) - float(moments["logarithms"])

    def seen_of(self, moments: Mapping[str, Any]) -> float:
        """How many outcomes are known, from the totals."""
        raise NotImplementedError

    def own_statistics(self, fit: Fit, state: State) -> dict[str, float | None]:
        return {"scale": math.exp(fit.theta[-1])}

    def _tests(self, fit: Fit, state: State, estimates: Floats, vcov: Floats) -> dict[str, Any]:
        """Without a score test, which would depend on the parameters in which the model is written."""
        tests = super()._tests(fit, state, estimates, vcov)
        return {name: tests[name] for name in ("lrt", "wald")}
