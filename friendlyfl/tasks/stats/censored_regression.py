"""Tobit: linear regression of an outcome that is known only to lie below or above a limit for some patients.

The numbers are those of `tobit` of R's AER and of censReg. What does not live here: the scale and its parameters
(location_scale), the search (likelihood).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.special import erfcx, log_ndtr

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Column, Count, Dictionary, Done, Number, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.report import Figure
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import View
from friendlyfl.tasks.stats.likelihood import Fit
from friendlyfl.tasks.stats.location_scale import LocationScale
from friendlyfl.tasks.stats.newton import Bools, Floats

LOG_ROOT_TAU = 0.5 * math.log(2.0 * math.pi)
ALL_CENSORED = (
    "Every outcome in this analysis is only known as a limit, so nothing can be said about its mean."
)
NONE_CENSORED = (
    "No outcome in this analysis is at or beyond a limit: this is linear regression by maximum likelihood."
)


class CensoredRegression(LocationScale):
    """Which factors go with a measurement that has a detection limit? Differences as if all were in one table."""

    title: ClassVar[str] = "Censored regression (tobit)"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which factors go with a measurement that has a detection limit?"
    topic: ClassVar[str] = "regression"
    asks: ClassVar[tuple[str, ...]] = (
        "Does {predictors} change {outcome}?",
        "Do {predictors} change {outcome}?",
    )
    example: ClassVar[Mapping[str, Any]] = {
        "outcome": "troponin",
        "censored": "troponin_low",
        "predictors": "age,sex,nyha",
    }
    references: ClassVar[tuple[str, ...]] = (
        "Tobin J. Estimation of relationships for limited dependent variables. Econometrica 1958;26:24-36.",
        "Olsen RJ. Note on the uniqueness of the maximum likelihood estimator for the Tobit model. "
        "Econometrica 1978;46:1211-1215.",
    )
    ratio: ClassVar[str] = "Difference"

    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **LocationScale.sends,
        "below": Count,
        "above": Count,
        "between": Count,
    }

    outcome = Column("Outcome", kinds=["number"], help="A measurement; beyond a limit only the limit counts")
    lower = Number("Lower limit", help="Outcomes at or below it are known only to be that low")
    upper = Number("Upper limit", help="Outcomes at or above it are known only to be that high")
    censored = Column(
        "Below its limit",
        kinds=["yes/no"],
        optional=True,
        help="1 where the outcome is a detection limit and the patient's value lies below it",
    )

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Dictionary, sites: int = 1) -> dict[str, Any]:
        values = super().validate(given, dictionary, sites)
        lower, upper = values["lower"], values["upper"]
        if lower is None and upper is None and not values["censored"]:
            raise UsageError(
                "limits_missing",
                "Give a lower limit, an upper limit, or the column that says which outcomes are limits (censored).",
            )
        if lower is not None and upper is not None and not lower < upper:
            raise UsageError("limits_order", "The lower limit (lower) must be below the upper limit (upper).")
        return values

    # Which outcomes are limits.

    def below(self, data: Table | View) -> Bools:
        """Rows known only to lie below their outcome."""
        outcome = data[self.outcome]
        low = np.zeros(len(outcome), dtype=np.bool_)
        if self.lower is not None:
            low |= outcome <= self.lower
        if self.censored:
            low |= data.yes(self.censored) > 0
        return low

    def above(self, data: Table | View) -> Bools:
        """Rows known only to lie above their outcome."""
        outcome = data[self.outcome]
        if self.upper is None:
            return np.zeros(len(outcome), dtype=np.bool_)
        return np.asarray((outcome >= self.upper) & ~self.below(data))

    def seen(self, data: Table | View) -> Bools:
        return ~(self.below(data) | self.above(data))

    def outcome_of(self, data: Table | View) -> Floats:
        outcome = np.asarray(data[self.outcome], dtype=np.float64)
        lower = -np.inf if self.lower is None else self.lower
        return np.clip(outcome, lower, np.inf if self.upper is None else self.upper)

    def outcome_scale(self) -> float:
        limits = [abs(limit) for limit in (self.lower, self.upper) if limit]
        return max([self.spec(self.outcome).scale, *(2.0 ** math.ceil(math.log2(limit)) for limit in limits)])

    # The sums.

    def sums(self, data: Table) -> Update:
        counts = {"below": self.below(data), "above": self.above(data), "between": self.seen(data)}
        return {**super().sums(data), **{name: np.count_nonzero(rows) for name, rows in counts.items()}}

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        if not self.seen_of(total):
            return self.no_answer(ALL_CENSORED)
        return super().begin(total)

    def seen_of(self, moments: Mapping[str, Any]) -> float:
        return float(moments["between"])

    def units(self, data: View, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Normal: the log density, or of a limit the log probability beyond it."""
        loglik, slope, curve = -0.5 * z * z - LOG_ROOT_TAU, -z, np.ones(len(z))
        for rows, sign in ((self.below(data), 1.0), (self.above(data), -1.0)):
            towards = sign * z[rows]
            hazard = math.sqrt(2.0 / math.pi) / erfcx(-towards / math.sqrt(2.0))  # density over probability
            loglik[rows], slope[rows] = log_ndtr(towards), sign * hazard
            curve[rows] = hazard * (hazard + towards)
        return loglik, slope, curve

    # The Result.

    def own_statistics(self, fit: Fit, state: State) -> dict[str, float | None]:
        moments = state["moments"]
        return {
            **super().own_statistics(fit, state),
            "n_left_censored": int(moments["below"]),
            "n_uncensored": int(moments["between"]),
            "n_right_censored": int(moments["above"]),
        }

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        moments = state["moments"]
        return [] if moments["below"] or moments["above"] else [NONE_CENSORED]

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        return {"reproduce": self.calls()}

    def result(self, fit: Fit, state: State, robust: Floats | None = None) -> Done:
        done = super().result(fit, state, robust)
        done.pieces["conventions"]["limits"] = "; ".join(self._limits())
        if done.pieces["figures"]:
            done.pieces["figures"] = self._figures()
        return done

    def _limits(self) -> list[str]:
        said = []
        if self.censored:
            said.append(f"where {self.censored} is 1, the outcome lies at or below the value recorded")
        if self.lower is not None:
            said.append(f"outcomes of {self.lower:g} or less count as at most {self.lower:g}")
        if self.upper is not None:
            said.append(f"outcomes of {self.upper:g} or more count as at least {self.upper:g}")
        return said

    def _figures(self) -> list[Figure]:
        return wording.forest_of_differences(self.title, f"Difference in {self.spec(self.outcome).words}")

    def calls(self) -> dict[str, str]:
        """The same analysis of one table in R; no common Python library has this model."""
        left = "-Inf" if self.lower is None else f"{self.lower:.17g}"
        right = "Inf" if self.upper is None else f"{self.upper:.17g}"
        y = wording.r_name(self.outcome)
        low = f"{y} <= {left}"
        if self.censored:
            levels = self.spec(self.censored).levels
            low += f" | {wording.r_name(self.censored)} == {wording.quoted(levels[1]) if levels else '1'}"
        # As intervals: a limit below has no lower end, a limit above no upper end.
        steps = [
            f"low <- with(d, {low})",
            f"high <- with(d, !low & {y} >= {right})",
            f"y <- with(d, pmin(pmax({y}, {left}), {right}))",
        ]
        outcome = "survival::Surv(ifelse(low, NA, y), ifelse(high, NA, y), type = 'interval2')"
        formula = wording.r_formula("outcome", self.predictors).replace("outcome", outcome, 1)
        control = "control = survival::survreg.control(rel.tolerance = 1e-12, maxiter = 200)"
        fit = (
            f"summary(survival::survreg({formula}, data = d, dist = {wording.quoted('gaussian')}, {control}))"
        )
        return {"r": "; ".join([*steps, fit])}
