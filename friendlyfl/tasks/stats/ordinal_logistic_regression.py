"""Proportional odds logistic regression of an outcome with ordered levels, as `polr` of R's MASS.

What does not live here: the search, dropped terms, separation and the usual statistics (likelihood).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, logit

from friendlyfl.tasks import Column, Count, Done, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.report import Vcov
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import Basis, View
from friendlyfl.tasks.stats.likelihood import Fit, Likelihood, Rows
from friendlyfl.tasks.stats.newton import Floats

ONE_LEVEL = "Every patient in this analysis has the same outcome ({}), so there is nothing to explain."
TWO_LEVELS = (
    "Only the levels {} of “{}” occur: with two levels this is logistic regression, whose intercept is minus the "
    "threshold. R's polr asks for three."
)
NOT_ORDERED = "The dictionary does not say that “{}” is ordered; its levels were taken in this order: {}."


class OrdinalLogisticRegression(Likelihood):
    """Which factors go with a higher level of an ordered outcome? Odds ratios as if all patients were in one table."""

    title: ClassVar[str] = "Ordinal logistic regression"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which factors go with a higher level of an ordered outcome?"
    topic: ClassVar[str] = "regression"
    asks: ClassVar[tuple[str, ...]] = (
        "Does {predictors} change the odds of a higher {outcome}?",
        "Do {predictors} change the odds of a higher {outcome}?",
    )
    example: ClassVar[Mapping[str, Any]] = {"outcome": "nyha", "predictors": "age,sex,diabetes,bmi"}
    ratio: ClassVar[str] = "Odds ratio of a higher level"
    sends: ClassVar[Mapping[str, type[Kind]]] = {**Likelihood.sends, "levels": Count}

    outcome = Column(
        "Outcome", kinds=["factor"], help="A factor; its levels in the dictionary go from low to high"
    )

    people: Floats | None = (
        None  # of each level over all hospitals; from the State, in every round of the fit
    )

    # Levels that nobody has are left out, and with them their thresholds.

    @property
    def there(self) -> list[int]:
        """Codes of the levels that occur."""
        levels = len(self.spec(self.outcome).levels)
        return (
            list(range(levels))
            if self.people is None
            else [int(code) for code in np.flatnonzero(self.people)]
        )

    @property
    def thresholds(self) -> list[str]:
        names = [self.spec(self.outcome).levels[code] for code in self.there]
        return [f"{low}|{high}" for low, high in pairwise(names)]

    def extra(self) -> list[str]:
        """The thresholds after the first, as distances from it: the first is minus the intercept."""
        return self.thresholds[1:]

    def local_fit(self, data: Table, state: State) -> Update:
        self.people = np.asarray(state["moments"]["levels"])
        return super().local_fit(data, state)

    def combine_fit(self, state: State, total: Update) -> State | Done:
        self.people = np.asarray(state["moments"]["levels"])
        return super().combine_fit(state, total)

    def sums(self, data: Table) -> Update:
        return {
            "levels": np.bincount(data.levels(self.outcome), minlength=len(self.spec(self.outcome).levels))
        }

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        self.people = np.asarray(total["levels"])
        if len(self.there) == 1:
            return self.no_answer(ONE_LEVEL.format(self.spec(self.outcome).levels[self.there[0]]))
        people = self.people[self.there]
        below = logit(np.cumsum(people)[:-1] / people.sum())
        return np.concatenate([-below[:1], below[1:] - below[0]])

    # One row: log(F(upper) - F(lower)) with F logistic and limits threshold - x'beta, written so that nothing cancels.

    def rows(self, data: View, theta: Floats) -> Rows:
        levels = len(self.there)
        place = np.searchsorted(self.there, data.levels(self.outcome))
        design, cuts = data.design(self.predictors), np.zeros(levels - 1)
        if levels > 2:
            theta, cuts[1:] = theta[: 2 - levels], theta[2 - levels :]
        eta = design @ theta
        upper = np.append(cuts, np.inf)[place] - eta
        lower = np.append(-np.inf, cuts)[place] - eta
        people = np.bincount(place, minlength=levels).astype(np.float64)
        gap = np.diff(cuts)  # of each level but the lowest and the highest; below 0 it has no logarithm
        ends = expit(-upper), expit(lower)
        curves = ends[0] * expit(upper), ends[1] * expit(-lower)
        loglik = -np.logaddexp(0.0, -upper).sum() - np.logaddexp(0.0, lower).sum()
        loglik += people[1:-1] @ np.log(-np.expm1(-gap))

        # About thresholds: each is the upper limit of its level and the lower limit of the next.
        def by_cut(above: Floats, below: Floats) -> Floats:
            sums = [np.bincount(place, weights=weights, minlength=levels) for weights in (above, below)]
            return np.asarray(sums[0][:-1] + sums[1][1:], dtype=np.float64)  # of no rows they are integers

        pull, bend = people[1:-1] / np.expm1(gap), people[1:-1] / (4.0 * np.sinh(gap / 2.0) ** 2)
        slope = by_cut(ends[0], -ends[1])
        slope[1:] += pull
        slope[:-1] -= pull
        curve = np.diag(by_cut(*curves))
        inner = np.arange(levels - 2)
        curve[inner + 1, inner + 1] += bend
        curve[inner, inner] += bend
        curve[inner, inner + 1] -= bend
        curve[inner + 1, inner] -= bend
        across = np.zeros((len(theta), levels - 1))
        for cut in range(levels - 1):
            weight = np.where(place == cut, curves[0], 0.0) + np.where(place == cut + 1, curves[1], 0.0)
            across[:, cut] = -(design.T @ weight)
        info = np.block(
            [
                [design.T @ (design * (curves[0] + curves[1])[:, None]), across[:, 1:]],
                [across[:, 1:].T, curve[1:, 1:]],
            ]
        )
        return float(loglik), np.concatenate([design.T @ (ends[1] - ends[0]), slope[1:]]), info

    # The Result: coefficients first, then thresholds, as R prints them.

    def raw(self, basis: Basis) -> tuple[list[str], Floats]:
        names, matrix = super().raw(basis)
        first = len(basis.kept)
        matrix[0] *= -1.0
        matrix[first:] += matrix[0]
        return [self.thresholds[0], *names[1:]], matrix

    def result(self, fit: Fit, state: State, robust: Floats | None = None) -> Done:
        done = super().result(fit, state, robust)
        rows, vcov = done.pieces["coefficients"], done.pieces["vcov"]
        last = len(rows) - len(self.extra())
        order = [*range(1, last), 0, *range(last, len(rows))]
        done.pieces["coefficients"] = [rows[place] for place in order]
        values = np.array(vcov.values)[np.ix_(order, order)]
        done.pieces["vcov"] = Vcov([vcov.names[place] for place in order], values.tolist())
        done.pieces["conventions"] |= {
            "model": "proportional odds: logit P(outcome <= level) = threshold - x'beta, so that a coefficient above "
            "0 goes with higher levels",
            "se": "model (inverse observed information at the reported estimate)",
        }
        return done

    def own_statistics(self, fit: Fit, state: State) -> dict[str, float | None]:
        return {
            "deviance": -2.0 * fit.loglik,
            "null_deviance": -2.0 * state["loglik_null"],
            "df": len(fit.theta),
        }

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        spec = self.spec(self.outcome)
        levels = [spec.levels[code] for code in self.there]
        absent = [level for level in spec.levels if level not in levels]
        notes = [] if spec.ordered else [NOT_ORDERED.format(self.outcome, ", ".join(levels))]
        if absent:
            what, its = (
                ("level", "its threshold is") if len(absent) == 1 else ("levels", "their thresholds are")
            )
            notes.append(
                f"Nobody has the {what} {wording.listed(absent)} of “{self.outcome}”: {its} left out."
            )
        if len(levels) == 2:
            notes.append(TWO_LEVELS.format(wording.listed(levels), self.outcome))
        return notes

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        levels = [self.spec(self.outcome).levels[code] for code in self.there]
        formula = wording.r_formula(self.outcome, self.predictors)
        design = wording.python_formula(self.outcome, self.predictors).split("~")[1]
        name, right = wording.r_name(self.outcome), formula.split("~", 1)[1]
        listed = ", ".join(wording.quoted(level) for level in levels)
        return {
            "reproduce": {
                "r": f"fit <- MASS::polr(factor({name}, levels = c({listed})) ~{right}, data = d, Hess = TRUE, "
                "control = list(reltol = 1e-14, maxit = 1000)); summary(fit)"
                "  # its errors come from differences, true to a few digits",
                "python": "import numpy as np; import pandas as pd; import patsy; "
                "from statsmodels.miscmodels.ordinal_model import OrderedModel; "
                f"y = d[{self.outcome!r}].astype(pd.CategoricalDtype({levels!r}, ordered=True)); "
                f"x = patsy.dmatrix({design.strip()!r}, d, "
                f"return_type='dataframe'); {wording.INDEPENDENT}; x = x.iloc[:, 1:]; "
                "fit = OrderedModel(y[x.index], x, distr='logit').fit(method='newton', maxiter=200); fit.summary(); "
                "fit.model.transform_threshold_params(fit.params)[1:-1]"
                "  # the summary has thresholds after the first as logarithms of distances",
            }
        }
