"""Linear regression: what a least-squares fit says, with analysis of variance, adjusted means and robust errors.

What does not live here: the rounds (linear_model) and the arithmetic of sums of squares (least_squares).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy import linalg

from friendlyfl.tasks import Done
from friendlyfl.tasks.base import State
from friendlyfl.tasks.dictionary import SITE
from friendlyfl.tasks.report import Figure, Vcov
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import Basis
from friendlyfl.tasks.stats.inference import Row, critical, f_test, wald, wald_test
from friendlyfl.tasks.stats.least_squares import (
    Frame,
    anova_type1,
    anova_type2,
    estimable,
    frame_of,
    reference_row,
    term_parts,
)
from friendlyfl.tasks.stats.linear_model import LinearModel
from friendlyfl.tasks.stats.newton import Floats
from friendlyfl.tasks.terms import design_columns

NO_DF = "There are as many terms as patients, so nothing is left to tell how sure the estimates are: use fewer terms."
EXACT_FIT = (
    "The terms give the outcome exactly, as if it had been computed from them: there is no residual variance, and "
    "standard errors, tests and limits mean nothing. Leave such a term out."
)
ALONE_NOTE = (
    "HC3 errors do not exist here: at least one patient alone determines a term, so that nothing is known about that "
    "patient's residual. Join rare levels, or use HC0 or HC1."
)


class LinearRegression(LinearModel):
    """Which factors go with a measurement, and by how much? Least squares as if all patients were in one table."""

    title: ClassVar[str] = "Linear regression"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which factors go with a measurement, and by how much?"
    topic: ClassVar[str] = "regression"
    asks: ClassVar[tuple[str, ...]] = (
        "Does {predictors} change {outcome}?",
        "Do {predictors} change {outcome}?",
    )
    example: ClassVar[Mapping[str, Any]] = {
        "outcome": "sbp",
        "predictors": "treatment,age,sex,nyha,age:treatment",
        "robust": "HC3",
    }
    references: ClassVar[tuple[str, ...]] = (
        "Searle SR, Speed FM, Milliken GA. Population marginal means in the linear model. Am Stat 1980;34:216-221.",
        "Long JS, Ervin LH. Using heteroscedasticity consistent standard errors. Am Stat 2000;54:217-224.",
    )

    def result(self, state: State, robust: Floats | None = None) -> Done:
        basis, names = Basis.from_state(state["basis"]), self.terms(self.predictors)
        kept = [names[place] for place in basis.kept]
        df = int(state["rows"]) - len(kept)
        known = df > 0 and not self.perfect(state)
        # In the basis of the fit weights count in their unit, so sigma squared does too.
        variance = state["rss"] / df * state["unit"] ** 2 if known else math.nan
        rss = variance * df * state["weight_unit"] if known else 0.0
        spread = state["inverse"] * variance if robust is None else robust
        estimates = basis.raw @ state["theta"] * state["unit"]
        estimates[0] += state["centre"]
        model = basis.raw @ state["inverse"] @ basis.raw.T * variance
        own = basis.raw @ spread @ basis.raw.T
        both = {"se": np.sqrt(np.diag(model)), "se_robust": np.sqrt(np.diag(own))}
        frame, terms = self._frame(state, basis), list(self.predictors)
        parts = term_parts(terms, self.dictionary)
        tests = {"f": self._f(frame, rss, df)}
        if robust is not None:
            tests["wald"] = _wald_f(estimates[1:], own[1:, 1:], df)
        tables = {
            "anova_type1": anova_type1(frame, terms, rss, df),
            "anova_type2": anova_type2(frame, terms, parts, rss, df),
        }
        if means := self._adjusted_means(state, basis, spread, df):
            tables["adjusted_means"] = means
        notes = [] if known else [NO_DF if df == 0 else EXACT_FIT]
        if robust is not None and not np.isfinite(robust).all():
            notes.append(ALONE_NOTE)
        return Done(
            coefficients=wald(kept, estimates, own, df=max(df, 1), more=None if robust is None else both),
            aliased=basis.left_out(names),
            vcov=Vcov(kept, own.tolist()),
            statistics=self._statistics(state, frame, rss, df),
            tests=tests,
            tables=tables,
            conventions=self._conventions(bool(means)),
            figures=self._figures(len(kept) > 1),
            notes=[*notes, *basis.notes(names)],
            reproduce=self._calls(means, bool(basis.left_out(names))),
        )

    def _frame(self, state: State, basis: Basis) -> Frame:
        columns = design_columns(self.predictors, self.dictionary, self.sites)
        change = (basis.unit[:, None] * basis.matrix)[basis.kept]
        theta = state["theta"] * state["unit"] * math.sqrt(state["weight_unit"])
        assert basis.gram is not None
        lower = linalg.cholesky(state["gram"], lower=True)
        return frame_of(lower, change, basis.kept, basis.gram, theta, [column.term for column in columns])

    def _f(self, frame: Frame, rss: float, df: int) -> Row:
        """Do the terms together explain anything?"""
        own = len(frame.outcome) - 1
        ratio = frame.explained / own / (rss / df) if own and rss > 0 else math.nan
        return f_test(ratio, own, df)

    def _statistics(self, state: State, frame: Frame, rss: float, df: int) -> dict[str, float | None]:
        rows, fitted = state["rows"], len(frame.outcome)
        total = frame.explained + rss
        loglik, null = (_loglik(rows, squares, state["log_weight"]) for squares in (rss, total))
        r2 = frame.explained / total if fitted > 1 else 0.0
        return {
            "sigma": math.sqrt(rss / df) if rss > 0 else None,
            "r2": r2,
            "adj_r2": 1.0 - (1.0 - r2) * (rows - 1.0) / df if df > 0 else None,
            "rss": rss,
            "loglik": loglik,
            "loglik_null": null,
            "aic": 2.0 * (fitted + 1) - 2.0 * loglik,  # sigma is a parameter too, as in R
            "bic": math.log(rows) * (fitted + 1) - 2.0 * loglik,
            "deviance": rss,
            "null_deviance": total,
            "df_residual": df,
            "df_null": int(rows) - 1,
            "dispersion": rss / df if rss > 0 else None,
        }

    def _adjusted_means(self, state: State, basis: Basis, spread: Floats, df: int) -> list[Row]:
        """For each factor its levels' means at one and the same reference: that of everyone together."""
        columns = design_columns(self.predictors, self.dictionary, self.sites)
        means = dict(zip(self.numbers, (float(mean) for mean in state["means"]), strict=True))
        present = {
            name: (counts > 0).astype(np.float64)
            for name, counts in zip(self.factors, state["levels"], strict=True)
        }
        rows: list[Row] = []
        for name in (name for name in self.factors if name != SITE):
            for code, level in enumerate(self.spec(name).levels):
                if not present[name][code]:
                    continue
                at = reference_row(columns, name, code, means, present) - basis.centre
                point = at @ basis.matrix
                row: Row = {"term": name, "level": level, "mean": None, "se": None}
                row |= {"ci_lower": None, "ci_upper": None}
                if estimable(at / basis.unit, basis):
                    mean = (
                        float(point @ state["theta"]) * state["unit"] + state["centre"] + state["mean_offset"]
                    )
                    se = math.sqrt(float(point @ spread @ point))
                    width = critical(df=max(df, 1)) * se
                    row |= {"mean": mean, "se": se, "ci_lower": mean - width, "ci_upper": mean + width}
                rows.append(row)
        return rows

    # Words.

    def _figures(self, any_terms: bool) -> list[Figure]:
        return wording.forest_of_differences(self.title, "Difference") if any_terms else []

    def _conventions(self, adjusted: bool) -> dict[str, Any]:
        said = wording.conventions(self.robust, t=True)
        said["anova"] = (
            "type I: each term beyond those before it, in the order given; type II: each term beyond all others that "
            "do not contain it; the model's own residual variance"
        )
        said["loglik"] = "AIC and BIC count sigma as a parameter"
        if self.robust != "none":
            said["wald"] = "F form, with the robust covariance; the test f is the model's own"
        if adjusted:
            said["adjusted_means"] = (
                "numbers at their mean over all patients, other factors averaged with equal weight for each level"
                + (", the offset at its mean" if self.offset else "")
            )
        return said

    def _calls(self, means: list[Row], aliased: bool) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        factors = [wording.r_name(name) for name in dict.fromkeys(row["term"] for row in means)]
        return {"r": self._call_in_r(factors), "python": self._call_in_python(aliased)}

    def _call_in_r(self, factors: list[str]) -> str:
        r = [wording.r_formula(self.outcome, self.predictors), "data = d"]
        calls, sandwich = [], ""
        if self.offset:
            r.append(f"offset = {wording.r_name(self.offset)}")
        if self.weights:
            r.append(f"weights = {wording.r_name(self.weights)}")
            if self.robust != "none" or factors:  # sandwich and emmeans would count rows of weight 0
                calls.append(f"d <- d[d[[{wording.quoted(self.weights)}]] > 0, ]")
        calls += [f"fit <- lm({', '.join(r)})", "summary(fit)", "anova(fit)"]
        if self.predictors:
            calls.append("car::Anova(fit, type = 2)")
        if self.robust != "none":
            sandwich = f"sandwich::vcovHC(fit, type = {wording.quoted(self.robust)})"
            calls.append(f"lmtest::coeftest(fit, vcov = {sandwich})")
        more = f", vcov. = {sandwich}" if sandwich else ""
        calls += [
            f"print(summary(emmeans::emmeans(fit, ~ {name}, cov.keep = NULL{more})), digits = 7)"
            for name in factors
        ]
        return "; ".join(calls)

    def _call_in_python(self, aliased: bool) -> str:
        calls, options, how = [], [], ""
        if self.weights:
            calls.append(f"d = d[d[{self.weights!r}] > 0].reset_index(drop=True)")
            options.append(f"weights=d[{self.weights!r}]")
        if self.offset:
            calls.append(f"d[{self.outcome!r}] = d[{self.outcome!r}] - d[{self.offset!r}]")
        if self.robust != "none":
            how = f"cov_type={self.robust!r}, use_t=True"
        formula = wording.python_formula(self.outcome, self.predictors)
        calls.append(wording.python_fit("WLS" if self.weights else "OLS", formula, options, aliased, how))
        return "; ".join([*calls, "fit.summary()"])


def _loglik(rows: float, squares: float, log_weight: float) -> float:
    """As R's logLik.lm, at the maximum likelihood estimate of sigma."""
    if not squares > 0:
        return math.nan
    return 0.5 * (log_weight - rows * (math.log(2.0 * math.pi) + 1.0 - math.log(rows) + math.log(squares)))


def _wald_f(estimates: Floats, vcov: Floats, df: int) -> Row:
    """Are all these coefficients zero? With residual degrees of freedom, as lmtest's waldtest."""
    own = len(estimates)
    statistic = wald_test(estimates, vcov)["statistic"]
    return f_test(math.nan if statistic is None else statistic / own, own, df)
