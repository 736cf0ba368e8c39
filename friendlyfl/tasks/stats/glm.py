"""Generalised linear models: a family says what one row gives for its linear predictor, the rest is here.

Offset, prior weights, robust (sandwich) errors, dispersion, deviance and Pearson's chi-square. What does not live here:
the search and the usual statistics (likelihood), the families themselves (logistic_regression and its sisters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from friendlyfl.tasks import Choice, Column, Count, Cross, Done, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import Basis, View, prior_weights
from friendlyfl.tasks.stats.inference import chi_square
from friendlyfl.tasks.stats.likelihood import Fit, Likelihood, Rows
from friendlyfl.tasks.stats.newton import CONVERGED, Bools, Floats, Seen, inverse_of

BEYOND = 2.0**48  # where a sum that the search does not need is cut off, so that it can still be added
SMALLEST_SPREAD = 1e-8  # of the dispersion; below it rounding decides how close a fit can come
LONGEST = 2.0  # mean change of a row's linear predictor in one step
OWN_FIT = 1e-9  # 1 - leverage below which a row alone decides its fitted value


class GeneralisedLinear(Likelihood):
    """A likelihood in which every row speaks through one linear predictor."""

    stages: ClassVar[tuple[str, ...]] = ("moments", "fit", "robust")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **Likelihood.sends,
        "patients": Count,
        "weight": Sum,
        "outcome": Sum,
        "offsets": Sum,
        "parts": Sum,
        "pearson": Sum,
        "meat": Cross,
        "own_fit": Sum,
    }
    link: ClassVar[str] = ""
    # Numbers that a family adds in the moments and in the fit; None where it does not say how many.
    own_numbers: ClassVar[tuple[int, int] | None] = None
    scale_parameters: ClassVar[int] = 0  # counted in AIC and BIC beside the coefficients

    outcome: Column[str]
    offset = Column("Offset", kinds=["number"], optional=True, help="Added to the linear predictor as it is")
    weights = Column("Weights", kinds=["number"], optional=True, help="Prior weights, 0 or more")
    robust = Choice(
        "Standard errors",
        {
            "none": "from the model",
            "HC0": "robust (HC0)",
            "HC1": "robust, for smaller samples (HC1)",
            "HC3": "robust, the most cautious (HC3)",
        },
        help="Robust (sandwich) errors hold even if the variance is not as the model says",
    )

    # What a family writes.

    def units(self, outcome: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """Per row: log-likelihood, its slope in eta, and its expected curvature.

        The log-likelihood may leave out what no coefficient changes; `whole` then puts it back.
        """
        raise NotImplementedError

    def observed(self, outcome: Floats, eta: Floats) -> Floats | None:
        """Per row: the observed curvature, on which the search runs; None where it is the expected one."""
        return None

    def whole(self, loglik: float, moments: Mapping[str, Any], sums: Mapping[str, Any]) -> float | None:
        """The log-likelihood as R gives it, from what the search saw."""
        return loglik

    def outcome_of(self, data: Table | View) -> Floats:
        raise NotImplementedError

    def families(self) -> tuple[str, str]:
        """The family as R and as statsmodels call it; empty where it is in neither."""
        return "", ""

    def most_numbers(self) -> dict[str, int] | None:
        if self.own_numbers is None:
            return None
        columns = len(self.terms(self.predictors))
        size = columns + len(self.extra())
        observed = type(self).observed is not GeneralisedLinear.observed
        return {
            "moments": 6 + 2 * columns + self.own_numbers[0],
            "fit": 3 + self.own_numbers[1] + size + (2 if observed else 1) * size * size,
            "robust": 1 + size * size,
        }

    # Weights and offset.

    def accept(self, data: Table) -> None:
        self.weight_of(data)

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
        weight = np.ones(len(data)) if weight is None else weight
        scaled = data[self.offset] / self.spec(self.offset).scale if self.offset else np.zeros(len(data))
        return {
            "patients": len(data),
            "weight": weight.sum(),
            "outcome": weight @ outcome,
            "offsets": weight @ scaled,
            "parts": float((weight != np.floor(weight)).any()),
        }

    def middle_of_offset(self, total: Mapping[str, Any]) -> float:
        """The mean of the offset: an intercept that starts this much lower is in the right place."""
        scale = self.spec(self.offset).scale if self.offset else 1.0
        return scale * float(total["offsets"]) / float(total["weight"])

    # The sums.

    def rows(self, data: View, theta: Floats) -> Rows:
        design, weight = data.design(self.predictors), self.weight_of(data)
        outcome, eta = self.outcome_of(data), self.eta(data, theta)
        loglik, slope, curve = self.units(outcome, eta)
        observed = self.observed(outcome, eta)
        pearson = np.where(curve > 0, slope * slope / curve, 0.0)
        if weight is not None:
            loglik, slope, curve, pearson = loglik * weight, slope * weight, curve * weight, pearson * weight
            observed = None if observed is None else observed * weight
        rooted = design * np.sqrt(curve)[:, None]
        info = rooted.T @ rooted  # half the work of a product of two different matrices
        sums: dict[str, Any] = {"pearson": min(float(pearson.sum()), BEYOND)}
        if observed is not None:
            sums["expected"], info = info, design.T @ (design * observed[:, None])
        return float(loglik.sum()), design.T @ slope, info, sums

    # Stage robust: how much the rows disagree with the model's own variance.

    def fitted(self, fit: Fit, state: State) -> State | Done:
        if "expected" in fit.sums:
            inverse = inverse_of(fit.sums["expected"])
            if inverse is None:
                return self.no_answer(wording.no_convergence(None, None))
            fit = replace(fit, inverse=inverse)
        if self.robust == "none" or fit.lost.shape[1]:
            return self.result(fit, state)
        return {**state, "stage": "robust", "fit": dict(vars(fit))}

    def local_robust(self, data: Table, state: State) -> Update:
        parts = [
            self._meat(view, state["fit"])
            for view in View.blocks(data, self.predictors, Basis.from_state(state["basis"]))
        ]
        return {"meat": sum(meat for meat, _own in parts), "own_fit": float(any(own for _meat, own in parts))}

    def _meat(self, data: View, fit: Mapping[str, Any]) -> tuple[Floats, bool]:
        """Products of the rows' scores, each as far from the fit as it would be without itself if HC3."""
        design, weight = data.design(self.predictors), self.weight_of(data)
        _, slope, curve = self.units(self.outcome_of(data), self.eta(data, fit["theta"]))
        if weight is not None:
            slope, curve = slope * weight, curve * weight
        own = np.zeros(len(data), dtype=np.bool_)
        if self.robust == "HC3":
            others = 1.0 - curve * np.einsum("ij,ij->i", design @ fit["inverse"], design)
            own = others < OWN_FIT
            slope = np.divide(slope, others, out=np.zeros_like(slope), where=~own)
        return design.T @ (design * (slope * slope)[:, None]), bool(own.any())

    def combine_robust(self, state: State, total: Update) -> State | Done:
        fit = Fit(**state["fit"])
        rows, df = float(state["moments"]["rows"]), self.df_residual(fit, state)
        factor = 1.0
        if self.robust == "HC1":
            factor = rows / df if df > 0 else np.nan
        elif float(total["own_fit"]):
            factor = np.nan
        robust = factor * fit.inverse @ total["meat"] @ fit.inverse
        return self.result(fit, {**state, "no_robust": bool(np.isnan(factor))}, robust=robust)

    # What every generalised linear model reports.

    @property
    def estimated(self) -> bool:
        """Whether the dispersion is estimated, and not 1."""
        return self.values.get("dispersion") == "estimated"

    def df_residual(self, fit: Fit, state: State) -> int:
        return int(state["moments"]["rows"]) - len(fit.theta)

    def dispersion_at(self, fit: Fit, state: State) -> float:
        """1, or Pearson's chi-square over the residual degrees of freedom."""
        df, pearson = self.df_residual(fit, state), pearson_of(fit)
        if not self.estimated:
            return 1.0
        return float("nan") if pearson is None or df < 1 else pearson / df

    def way(self, inverse: Floats | None, seen: Seen, sums: Mapping[str, Any], state: State) -> Floats | None:
        """Observed information may be next to nothing far out: linear predictors change by no more than `LONGEST`."""
        if inverse is None or "expected" not in sums:
            return super().way(inverse, seen, sums, state)
        step = inverse @ seen.score
        length = np.sqrt(step @ sums["expected"] @ step / float(state["moments"]["weight"]))
        return inverse * float(LONGEST / max(length, LONGEST))

    def precision(self, sums: Mapping[str, Any], state: State) -> float:
        """Where the dispersion is below 1, so are the errors that a distance is measured in."""
        if not self.estimated:
            return CONVERGED
        spread = float(sums["pearson"]) / float(state["moments"]["rows"])
        return CONVERGED * min(1.0, max(spread, SMALLEST_SPREAD))

    def result(self, fit: Fit, state: State, robust: Floats | None = None) -> Done:
        scaled = replace(fit, inverse=self.dispersion_at(fit, state) * fit.inverse)
        return super().result(scaled, state, robust)

    def t_df(self, fit: Fit, state: State) -> float | None:
        return self.df_residual(fit, state) if self.estimated and "no_robust" not in state else None

    def said(self, robust: bool) -> dict[str, Any]:
        words = wording.conventions(self.robust if robust else "none")
        words["link"] = self.link
        if self.estimated:
            words |= {"dispersion": "Pearson's chi-square over the residual degrees of freedom"}
            if not robust:
                words |= {"ci": "t", "se": "model (inverse expected information times the dispersion)"}
        return words

    def own_statistics(self, fit: Fit, state: State) -> dict[str, float | None]:
        moments = state["moments"]
        loglik = self.whole(fit.loglik, moments, fit.sums)
        parameters = len(fit.theta) + self.scale_parameters
        dispersion = self.dispersion_at(fit, state)
        return {
            "loglik": loglik,
            "loglik_null": self.whole(state["loglik_null"], moments, state["sums_null"]),
            "aic": None if loglik is None else 2.0 * parameters - 2.0 * loglik,
            "bic": None if loglik is None else np.log(float(moments["patients"])) * parameters - 2.0 * loglik,
            "deviance": self.deviance(fit.loglik, moments),
            "null_deviance": self.deviance(state["loglik_null"], moments),
            "dispersion": dispersion if np.isfinite(dispersion) else None,
            "pearson_chi2": pearson_of(fit),
        }

    def deviance(self, loglik: float, moments: Mapping[str, Any]) -> float:
        return -2.0 * loglik

    def _tests(self, fit: Fit, state: State, estimates: Floats, vcov: Floats) -> dict[str, Any]:
        tests = super()._tests(fit, state, estimates, vcov)
        if self.estimated:
            dispersion = self.dispersion_at(fit, state)
            for name in ("lrt", "score_test"):
                row = tests[name]
                statistic = float("nan") if row["statistic"] is None else row["statistic"]
                tests[name] = chi_square(float(np.divide(statistic, dispersion)), row["df"])
        return tests

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        notes = []
        if self.estimated and self.df_residual(fit, state) < 1:
            notes.append(wording.NO_DISPERSION)
        if pearson_of(fit) is None:
            notes.append(wording.FAR_FROM_FIT)
        if state.get("no_robust"):
            notes.append(wording.no_robust(self.robust))
        if self.robust != "none" and fit.lost.shape[1]:
            notes.append(wording.NO_ROBUST_SEPARATED)
        return notes

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        basis = Basis.from_state(state["basis"])
        return {"reproduce": self.calls(bool(basis.left_out(self.terms(self.predictors))))}

    def calls(self, aliased: bool) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        in_r, in_python = self.families()
        return (
            {"r": self._call_in_r(in_r), "python": self._call_in_python(in_python, aliased)} if in_r else {}
        )

    def _call_in_r(self, family: str) -> str:
        r = [wording.r_formula(self.outcome, self.predictors), f"family = {family}", "data = d"]
        calls = []
        if self.offset:
            r.append(f"offset = {wording.r_name(self.offset)}")
        if self.weights:
            r.append(f"weights = {wording.r_name(self.weights)}")
            if self.robust != "none":  # sandwich counts rows of weight 0 in one place and not in another
                calls.append(f"d <- d[d[[{wording.quoted(self.weights)}]] > 0, ]")
        fixed = self.scale_parameters and not self.estimated
        calls += [
            f"fit <- glm({', '.join([*r, wording.R_CONTROL])})",
            "summary(fit, dispersion = 1)" if fixed else "summary(fit)",
        ]
        if self.robust != "none":
            sandwich = f"sandwich::vcovHC(fit, type = {wording.quoted(self.robust)})"
            calls.append(f"lmtest::coeftest(fit, vcov = {sandwich})")
        return "; ".join(calls)

    def _call_in_python(self, family: str, aliased: bool) -> str:
        calls, options = ["import statsmodels.api as sm"], [f"family=sm.families.{family}"]
        if self.weights:  # not as frequencies, which would count for degrees of freedom
            calls.append(f"d = d[d[{self.weights!r}] > 0].reset_index(drop=True)")
            options.append(f"var_weights=d[{self.weights!r}]")
        if self.offset:
            options.append(f"offset=d[{self.offset!r}]")
        levels = self.spec(self.outcome).levels
        if levels:  # statsmodels would take the first level for yes
            calls.append(f"d[{self.outcome!r}] = (d[{self.outcome!r}] == {levels[1]!r}).astype(int)")
        how = ["tol=1e-12", "maxiter=200"]
        if self.estimated:
            how += ["scale='X2'", "use_t=True"]
        elif self.scale_parameters:
            how.append("scale=1.0")
        formula = wording.python_formula(self.outcome, self.predictors)
        calls += [wording.python_fit("GLM", formula, options, aliased, ", ".join(how)), "fit.summary()"]
        if self.robust != "none":
            calls.append(wording.python_sandwich(self.robust))
        return "; ".join(calls)


def pearson_of(fit: Fit) -> float | None:
    """Pearson's chi-square; None where some hospital's part was cut off."""
    pearson = float(fit.sums["pearson"])
    return pearson if pearson < BEYOND else None
