"""Effects of a treatment by inverse probability weighting: a logistic model of the treatment, then weighted means.

After the propensity model is fitted one round sums weights, outcomes and covariates by arm, and one more what the
standard errors need. Weights and formulas live in weighting, the fit of the model in likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.special import logit

from friendlyfl.core.limits import RING_MAGNITUDE
from friendlyfl.tasks import Choice, Column, Columns, Count, Cross, Done, Flag, Number, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.report import Figure
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import Basis, View
from friendlyfl.tasks.stats.inference import Row
from friendlyfl.tasks.stats.likelihood import Fit, Likelihood, Rows
from friendlyfl.tasks.stats.logistic_regression import bernoulli
from friendlyfl.tasks.stats.moments import unit_near
from friendlyfl.tasks.stats.newton import Bools, Floats
from friendlyfl.tasks.stats.weighting import (
    CONTROL,
    RARE,
    TREATED,
    Effect,
    Weights,
    balance,
    effect_row,
    effective_sizes,
)

UNBALANCED = 0.1
ROUNDING = 1e-14

ONE_ARM = "Everyone in this analysis has the same treatment ({}), so there is nothing to compare."
NO_OVERLAP = (
    "There are no weights: some patients could only have had the treatment they had (no positivity). Leave such "
    "patients out by an inclusion criterion, or such terms out of the model."
)
TOO_LARGE = (
    "There are no weights: for some patients the treatment they had was so unlikely that their weights are too large "
    "to be added (no positivity). Give truncate a value such as 0.01, or leave such patients out."
)
CUT = "{} had a chance of treatment outside {:g} to {:g}, which was set to that bound: the estimand changes with it."
NEARLY_CERTAIN = "{} had a chance of treatment {}: few like them are in the other arm."
FEW_CARRY = "The weights of the {} are uneven: {:.0f} patients count as {:.1f}."
STILL_APART = "After weighting the arms still differ in {} by more than 0.1 standard deviations."
SCALE_ONLY = (
    "Stabilised weights change the size of weights only: normalised means and their errors stay the same."
)


class Iptw(Likelihood):
    """What if everyone had been treated? Weighted differences as if all patients were in one table."""

    title: ClassVar[str] = "Inverse probability of treatment weighting"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "What if everyone had been treated?"
    topic: ClassVar[str] = "regression"
    asks: ClassVar[tuple[str, ...]] = ("What does {treatment} do to {outcomes}?",)
    example: ClassVar[Mapping[str, Any]] = {
        "treatment": "treatment",
        "predictors": "age,sex,nyha,diabetes",
        "outcomes": "readmitted,cost",
    }
    references: ClassVar[tuple[str, ...]] = (
        "Lunceford JK, Davidian M. Stratification and weighting via the propensity score in estimation of causal "
        "treatment effects: a comparative study. Statistics in Medicine 2004;23:2937-2960.",
        "Austin PC, Stuart EA. Moving towards best practice when using inverse probability of treatment weighting. "
        "Statistics in Medicine 2015;34:3661-3679.",
    )
    ratio: ClassVar[str] = "Odds ratio of treatment"
    stages: ClassVar[tuple[str, ...]] = ("moments", "fit", "means", "errors")
    suppressible: ClassVar[tuple[str, ...]] = ("certain",)
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **Likelihood.sends,
        "treated": Count,
        "people": Count,
        "outcomes": Sum,
        "certain": Count,
        "weights": Sum,
        "weighted": Sum,
        "distances": Sum,
        "covariates": Cross,
        "shift": Sum,
        "own": Sum,
        "cross": Cross,
        "slope": Cross,
        "meat": Cross,
    }

    treatment = Column("Treatment", kinds=["yes/no"], help="1, or the second level of a factor, is treated")
    predictors = Columns(
        "Predictors of treatment",
        min=0,
        terms=True,
        help="What doctors knew before they chose, as terms of a logistic model; a:b is an interaction",
    )
    outcomes = Columns(
        "Outcomes", kinds=["yes/no", "number"], help="Numbers, or yes/no: then differences in risk"
    )
    estimand = Choice(
        "Estimand",
        {"ATE": "in all patients (ATE)", "ATT": "in those who were treated (ATT)"},
        help="Whose average effect is estimated",
    )
    stabilised = Flag("Stabilised weights", help="Multiply weights by the share of the arm")
    truncate = Number(
        "Bound of the propensity",
        0.0,
        low=0,
        high=0.49,
        help="0.01 sets chances of treatment below 0.01 and above 0.99 to these; 0 leaves them",
    )

    # The propensity model.

    def treated(self, data: Table | View) -> Floats:
        return data.yes(self.treatment)

    def sums(self, data: Table) -> Update:
        treated = self.treated(data) > 0
        people = np.zeros((2, len(self.outcomes), 2))  # without and with each yes/no outcome, by arm
        sums = np.zeros((2, len(self.outcomes)))
        for place, name in enumerate(self.outcomes):
            values = self.outcome(data, name) / self.spec(name).scale
            sums[:, place] = values.sum(), np.abs(values).sum()
            if self._is_yes_no(name):
                for arm, who in enumerate((treated, ~treated)):
                    people[arm, place] = (values[who] == 0).sum(), (values[who] > 0).sum()
        return {"treated": treated.sum(), "people": people, "outcomes": sums}

    def outcome(self, data: Table | View, name: str) -> Floats:
        values = data.yes(name) if self._is_yes_no(name) else data[name]
        return np.asarray(values, dtype=np.float64)

    def _is_yes_no(self, name: str) -> bool:
        """Whether people are counted; a share from 0 to 1 is a number."""
        spec = self.spec(name)
        return spec.is_yes_no and (spec.type == "factor" or spec.step == 1.0)

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        share = float(total["treated"]) / float(total["rows"])
        if share in (0.0, 1.0):
            return self.no_answer(ONE_ARM.format("treated" if share else "not treated"))
        return np.array([logit(share)])

    def rows(self, data: View, theta: Floats) -> Rows:
        design = data.design(self.predictors)
        loglik, slope, curve = bernoulli(self.treated(data), design @ theta)
        return float(loglik.sum()), design.T @ slope, design.T @ (design * curve[:, None])

    def fitted(self, fit: Fit, state: State) -> State | Done:
        if fit.lost.shape[1]:
            return self._done(fit, state, [], [], [NO_OVERLAP])
        rows, moments = float(state["moments"]["rows"]), state["moments"]
        scales = np.array([self.spec(name).scale for name in self.outcomes])
        sums = np.asarray(moments["outcomes"]) * scales / rows
        return {
            **state,
            "stage": "means",
            "fit": dict(vars(fit)),
            "centres": sums[0],
            "units": np.array([unit_near(float(size)) for size in sums[1]]),
            "odds": unit_near(float(moments["treated"]) / (rows - float(moments["treated"]))),
        }

    def _views(self, data: Table, state: State) -> list[tuple[View, Bools, Weights]]:
        """Blocks of rows with who was treated and the weights."""
        found = []
        for view in View.blocks(data, self.predictors, Basis.from_state(state["basis"])):
            treated = self.treated(view) > 0
            log_odds = view.design(self.predictors) @ np.asarray(state["fit"]["theta"])
            weights = Weights.of(treated, log_odds, self.estimand, self.truncate, state["odds"])
            found.append((view, treated, weights))
        return found

    # Stage means: by arm, weights, outcomes and covariates.

    def local_means(self, data: Table, state: State) -> Update:
        views = self._views(data, state)
        treated = np.concatenate([treated for _view, treated, _weights in views])
        weight = np.concatenate([weights.weight for _view, _treated, weights in views])
        basis = Basis.from_state(state["basis"])
        columns = (data.design(self.predictors)[:, 1:] - basis.centre[1:]) / basis.unit[1:]
        outcomes = np.column_stack([self.outcome(data, name) for name in self.outcomes])
        distance = (outcomes - state["centres"]) / state["units"]
        arms = np.array([treated, ~treated], dtype=np.float64)
        by_weight = arms * weight
        update: Update = {
            "certain": sum(int(weights.certain.sum()) for _view, _treated, weights in views),
            "weights": np.stack([by_weight.sum(axis=1), (by_weight * weight).sum(axis=1)]),
            "weighted": by_weight @ distance,
            "distances": np.abs(distance).sum(axis=0),
            "covariates": np.stack([arms @ columns, arms @ columns**2, by_weight @ columns]),
        }
        return self._bounded(update)

    def _bounded(self, update: Update) -> Update:
        """Zeros and a mark where weights are too large for a sum, as in the fit."""
        if all(
            (np.abs(value) < RING_MAGNITUDE).all() for value in update.values()
        ):  # neither NaN nor infinite
            return {**update, "overflow": 0.0}
        return {**{key: np.zeros_like(value) for key, value in update.items()}, "overflow": 1.0}

    def combine_means(self, state: State, total: Update) -> State | Done:
        if float(total["overflow"]) or not (np.asarray(total["weights"]) > 0).all():
            return self.no_answer(TOO_LARGE)
        rows = float(state["moments"]["rows"])
        weights, squares = np.asarray(total["weights"])
        distances = np.asarray(total["distances"]) / rows
        return {
            **state,
            "stage": "errors",
            "weights": weights,
            "squares": squares,
            "means": np.asarray(total["weighted"]) / weights[:, None],  # in units about the centres
            "spreads": np.array([unit_near(float(size)) if size > ROUNDING else 1.0 for size in distances]),
            "covariates": total["covariates"],
            "certain": total["certain"],
        }

    # Stage errors: how the rows scatter about the means, and what they do to the propensity model.

    def local_errors(self, data: Table, state: State) -> Update:
        update: Update = {}
        for view, treated, weights in self._views(data, state):
            sums = self._errors(view, treated, weights, state)
            update = {key: update.get(key, 0.0) + value for key, value in sums.items()}
        return self._bounded(update)

    def _errors(self, view: View, treated: Bools, weights: Weights, state: State) -> Update:
        design = view.design(self.predictors)
        _loglik, score, _curve = bernoulli(
            treated.astype(np.float64), design @ np.asarray(state["fit"]["theta"])
        )
        outcomes = np.column_stack([self.outcome(view, name) for name in self.outcomes])
        distance = (outcomes - state["centres"]) / state["units"]
        parts: dict[str, list[Any]] = {"shift": [], "own": [], "cross": [], "slope": []}
        for arm, who in enumerate((treated, ~treated)):
            residual = np.where(who[:, None], (distance - state["means"][arm]) / state["spreads"], 0.0)
            heavy = residual * weights.weight[:, None]
            parts["shift"].append(heavy.sum(axis=0))
            parts["own"].append((heavy**2).sum(axis=0))
            parts["cross"].append((heavy * score[:, None]).T @ design)
            parts["slope"].append((residual * weights.slope[:, None]).T @ design)
        meat = design.T @ (design * (score**2)[:, None])
        return {**{key: np.stack(arms) for key, arms in parts.items()}, "meat": meat}

    def combine_errors(self, state: State, total: Update) -> Done:
        fit = Fit(**state["fit"])
        if float(total["overflow"]):
            return self.no_answer(TOO_LARGE)
        weights = np.asarray(state["weights"])
        shift = np.asarray(total["shift"]) / weights[:, None] * state["spreads"]  # what rounding left of zero
        means = state["centres"] + state["units"] * (np.asarray(state["means"]) + shift)
        sizes = effective_sizes(weights, np.asarray(state["squares"]))
        effects = []
        for place, name in enumerate(self.outcomes):
            own, cross, slope = (np.asarray(total[key])[:, place] for key in ("own", "cross", "slope"))
            unit = float(state["units"][place] * state["spreads"][place])
            effect = Effect(means[:, place], weights, own, cross, slope, unit)
            effects.append(
                effect_row(name, effect, effect.se_stacked(fit.inverse, np.asarray(total["meat"])), sizes)
            )
        people = self._people(state)
        plain, squares, weighted = np.asarray(state["covariates"])
        before, after = balance(people, plain, squares, weights, weighted)
        names = self.terms(self.predictors)[1:]
        smd: list[Row] = [
            {"variable": name, "before": float(one), "after": float(two)}
            for name, one, two in zip(names, before, after, strict=True)
        ]
        return self._done(fit, state, effects, smd, self._weight_notes(state, people, sizes, smd))

    def _people(self, state: State) -> Floats:
        treated = float(state["moments"]["treated"])
        return np.array([treated, float(state["moments"]["rows"]) - treated])

    # The Result: that of the propensity model, with the effects.

    def _done(self, fit: Fit, state: State, effects: list[Row], smd: list[Row], notes: list[str]) -> Done:
        done = self.result(fit, state)
        done.pieces["tables"] = {"effects": effects, "smd": smd}
        done.pieces["conventions"] = self._conventions()
        done.pieces["notes"] = [*notes, *done.pieces["notes"]]
        done.pieces["figures"] = self._figures() if effects else []
        if effects:
            done.pieces["statistics"] |= self._weight_statistics(state)
        elif not done.answer:
            done.answer = notes[0]
        return done

    def _weight_statistics(self, state: State) -> dict[str, float | None]:
        weights, people = np.asarray(state["weights"]), self._people(state)
        if self.estimand == "ATT":
            weights = weights * [1.0, state["odds"]]
        if self.stabilised:
            share = people / people.sum()
            weights = weights * (share if self.estimand == "ATE" else [1.0, share[CONTROL] / share[TREATED]])
        means = weights / people
        return {"mean_weight_treated": float(means[TREATED]), "mean_weight_control": float(means[CONTROL])}

    def own_statistics(self, fit: Fit, state: State) -> dict[str, float | None]:
        return {"deviance": -2.0 * fit.loglik, "null_deviance": -2.0 * state["loglik_null"]}

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        return {"reproduce": self._calls()}

    def _weight_notes(self, state: State, people: Floats, sizes: Floats, smd: list[Row]) -> list[str]:
        notes, certain = [], float(state["certain"])
        if certain != 0:  # or hidden
            who = (
                "Some patients"
                if np.isnan(certain)
                else "1 patient"
                if certain == 1
                else f"{certain:.0f} patients"
            )
            if self.truncate:
                notes.append(CUT.format(who, self.truncate, 1.0 - self.truncate))
            elif self.estimand == "ATT":
                notes.append(NEARLY_CERTAIN.format(who + " who were not treated", f"above {1 - RARE:g}"))
            else:
                notes.append(NEARLY_CERTAIN.format(who, f"below {RARE:g} of the treatment they had"))
        for arm, word in ((TREATED, "treated"), (CONTROL, "others")):
            if sizes[arm] < people[arm] / 2.0:
                notes.append(FEW_CARRY.format(word, people[arm], sizes[arm]))
        apart = [row["variable"] for row in smd if abs(row["after"]) > UNBALANCED]
        if apart:
            notes.append(STILL_APART.format(wording.listed(apart)))
        return [*notes, *([SCALE_ONLY] if self.stabilised else [])]

    # Words.

    def _conventions(self) -> dict[str, Any]:
        if self.estimand == "ATE":
            weights = "1 over the chance of the treatment one had"
        else:
            weights = "1 for the treated, the odds of treatment for the others"
        if self.truncate:
            weights += f", chances cut at {self.truncate:g} and {1 - self.truncate:g}"
        return {
            **wording.conventions(),
            "estimand": self.estimand,
            "weights": f"{weights}; normalised, so that each arm's weights add to one"
            + (" (stabilised by the share of the arm)" if self.stabilised else ""),
            "se": "of effects: se_stacked is the sandwich of propensity model and means together (statistic, p, limits "
            "are its), se_hc0_weights_fixed takes the weights as known (HC0); of coefficients: model",
            "coefficients": "the logistic model of treatment (propensity model)",
            "smd": "treated minus others over the root of the mean of the arms' unweighted variances, before and after",
            "ess": "Kish: squared sum of weights over sum of squared weights",
        }

    def _figures(self) -> list[Figure]:
        words = "in all patients" if self.estimand == "ATE" else "in those who were treated"
        return [
            Figure(
                "Forest",
                f"Effect of {self.treatment}",
                f"Weighted difference between treated and others {words}, with its 95% confidence interval, for each "
                "outcome; the line at 0 means no difference.",
                table="effects",
                axis="Difference",
            )
        ]

    def _calls(self) -> dict[str, str]:
        """The same analysis of one table in R and in Python: of each outcome the difference and both errors."""
        bound, ate = f"{self.truncate:g}, {1 - self.truncate:g}", self.estimand == "ATE"
        return {"r": self._r(bound, ate), "python": self._python(bound, ate)}

    def _r(self, bound: str, ate: bool) -> str:
        formula = wording.r_formula(self.treatment, self.predictors).split("~")[1].strip()
        cut = f"; e <- pmin(pmax(p, {bound.replace(', ', '), ')})" if self.truncate else "; e <- p"
        weights = "ifelse(t == 1, 1 / e, 1 / (1 - e))" if ate else "ifelse(t == 1, 1, e / (1 - e))"
        slope = f"ifelse(e != p, 0, ifelse(t == 1, {'-(1 - e) / e' if ate else 0}, e / (1 - e)))"
        each = "; ".join(f"effect({self._as_number(name)[0]})" for name in self.outcomes)
        return (
            f"t <- {self._as_number(self.treatment)[0]}; "
            f"m <- glm(t ~ {formula}, binomial, d, epsilon = 1e-14, maxit = 100); "
            f"p <- fitted(m){cut}; w <- {weights}; "
            f"s <- {slope}; x <- model.matrix(m)[, !is.na(coef(m)), drop = FALSE]; "
            "u <- x * (t - p); b <- solve(crossprod(x * sqrt(p * (1 - p)))); "
            "effect <- function(y) { a <- weighted.mean(y, w * t); c <- weighted.mean(y, w * (1 - t)); "
            "r <- ifelse(t == 1, (y - a) / sum(w * t), (c - y) / sum(w * (1 - t))); "
            "c(mean_treated = a, mean_control = c, difference = a - c, se_hc0_weights_fixed = sqrt(sum((w * r)^2)), "
            f"se_stacked = sqrt(sum((w * r + u %*% b %*% colSums(x * s * r))^2))) }}; {each}"
        )

    def _python(self, bound: str, ate: bool) -> str:
        design = wording.python_formula(self.treatment, self.predictors).split("~")[1].strip()
        cut = f".clip({bound})" if self.truncate else ""
        weights = "np.where(t, 1 / e, 1 / (1 - e))" if ate else "np.where(t, 1, e / (1 - e))"
        slope = f"np.where(e != p, 0, np.where(t, {'-(1 - e) / e' if ate else 0}, e / (1 - e)))"
        outcomes = ", ".join(f"{name!r}: {self._as_number(name)[1]}" for name in self.outcomes)
        return (
            "import numpy as np, patsy, statsmodels.api as sm; "
            f"t = np.asarray({self._as_number(self.treatment)[1]}); x = np.asarray(patsy.dmatrix({design!r}, d)); "
            f"p = sm.GLM(t, x, sm.families.Binomial()).fit(tol=1e-14).fittedvalues; e = p{cut}; w = {weights}; "
            f"s = {slope}; u = x * (t - p)[:, None]; b = np.linalg.pinv((x.T * (p * (1 - p))) @ x); "
            "means = lambda y: (np.average(y, weights=w * t), np.average(y, weights=w * (1 - t))); "
            "away = lambda y: np.where(t, (y - means(y)[0]) / sum(w * t), (means(y)[1] - y) / sum(w * (1 - t))); "
            "errors = lambda r: (sum((w * r) ** 2) ** 0.5, sum((w * r + u @ b @ (x.T @ (s * r))) ** 2) ** 0.5); "
            "{name: (*means(y), means(y)[0] - means(y)[1], *errors(away(y))) "
            f"for name, y in {{{outcomes}}}.items()}}  # means, difference, se_hc0_weights_fixed, se_stacked"
        )

    def _as_number(self, name: str) -> tuple[str, str]:
        """A column as a number, 1 for the second level of a factor, in R and in Python."""
        spec, r, python = self.spec(name), f"d${wording.r_name(name)}", f"d[{name!r}]"
        if spec.type != "factor":
            return r, python
        return (
            f"as.integer({r} == {wording.quoted(spec.levels[1])})",
            f"({python} == {spec.levels[1]!r}).astype(int)",
        )
