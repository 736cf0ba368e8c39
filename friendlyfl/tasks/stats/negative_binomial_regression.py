"""Negative binomial regression (NB2) of counts that vary more than a Poisson law says, as `glm.nb` of R's MASS.

Coefficients and alpha = 1 / theta are searched together. What does not live here: the search (likelihood), sums of
logarithms of the gamma function (gamma_function), which values are counts (counts).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy import linalg

from friendlyfl.tasks import Choice, Count, Cross, Done, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.report import Vcov
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import Basis, View
from friendlyfl.tasks.stats.counts import NO_EVENT, OFFSET, OUTCOME, counts_of
from friendlyfl.tasks.stats.gamma_function import log_bend, log_peak, rising
from friendlyfl.tasks.stats.glm import BEYOND, pearson_of
from friendlyfl.tasks.stats.likelihood import Fit, Likelihood, Rows
from friendlyfl.tasks.stats.newton import Floats, Search, Seen, inverse_at_limit, inverse_of, judge

NO_MORE_THAN_POISSON = (
    "The counts vary no more than a Poisson law says, so theta grows without bound and the negative binomial model has "
    "no finite answer: use Poisson regression."
)
SHRINK = 8.0  # how much smaller alpha times mean may become in a step, unless it is near 0
NEARLY = 0.1
NEAR = 1.0  # squared distance in standard errors
FIRST = 0.01  # the lowest alpha times mean to start from
NOTHING = 1e-9  # alpha times mean below which nothing tells the law from a Poisson one


class NegativeBinomialRegression(Likelihood):
    """Which factors go with a count that varies much? Rate ratios as if all patients were in one table."""

    title: ClassVar[str] = "Negative binomial regression"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which factors go with a count that varies more than by chance alone?"
    topic: ClassVar[str] = "regression"
    asks: ClassVar[tuple[str, ...]] = (
        "Does {predictors} change how many {outcome} there are?",
        "Do {predictors} change how many {outcome} there are?",
    )
    example: ClassVar[Mapping[str, Any]] = {
        "outcome": "visits",
        "predictors": "age,sex,nyha,treatment",
        "offset": "log_years",
    }
    ratio: ClassVar[str] = "Rate ratio"
    alike: ClassVar[str] = "all have a count of 0"
    second: ClassVar[str] = "se_joint"
    stages: ClassVar[tuple[str, ...]] = ("moments", "fit", "null")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **Likelihood.sends,
        "any_event": Count,
        "events": Sum,
        "offsets": Sum,
        "squares": Sum,
        "expected": Cross,
        "deviance": Sum,
        "pearson": Sum,
    }

    outcome = OUTCOME
    offset = OFFSET
    se = Choice(
        "Standard errors",
        {
            "model": "with theta held at its estimate, as in R (model)",
            "joint": "allowing for the estimation of theta (joint)",
        },
        help="Theta says how much more counts vary than by a Poisson law",
    )

    mean_count: float = 1.0  # over all hospitals; from the State, in every round of the fit

    def accept(self, data: Table) -> None:
        counts_of(data, self.outcome)

    def extra(self) -> list[str]:
        return ["alpha"]

    # Where the search starts: the mean, and the theta that the variance asks for.

    def sums(self, data: Table) -> Update:
        count, offset = counts_of(data, self.outcome), self._offset(data)
        return {
            "any_event": float((count > 0).sum()),
            "events": count.sum(),
            "squares": ((count / self._scale) ** 2).sum(),
            "offsets": offset.sum() / self._offset_scale,
        }

    @property
    def _scale(self) -> float:
        """Counts up to 65,536 are squared as they are; larger ones would not fit into what can be added."""
        return max(1.0, self.spec(self.outcome).scale / 2.0**16)

    @property
    def _offset_scale(self) -> float:
        return self.spec(self.offset).scale if self.offset else 1.0

    def _offset(self, data: Table | View) -> Floats:
        return np.asarray(data[self.offset]) if self.offset else np.zeros(len(data))

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        rows, events = float(total["rows"]), float(total["events"])
        if events <= 0.0:
            return self.no_answer(NO_EVENT, events=0)
        mean = events / rows
        surplus = self._scale**2 * float(total["squares"]) / rows - mean**2 - mean
        if surplus <= 0.0 and not self.offset:  # the log-likelihood falls as soon as alpha is above 0
            return self.no_answer(NO_MORE_THAN_POISSON, events=events)
        middle = self._offset_scale * float(total["offsets"]) / rows
        return np.array([np.log(mean) - middle, max(surplus / mean, FIRST)])

    # The search: what is searched beside coefficients is alpha times the mean count, 0 for a Poisson law. It is held
    # at 0 where the log-likelihood falls from there.

    def local_fit(self, data: Table, state: State) -> Update:
        self.mean_count = self._mean_of(state)
        return super().local_fit(data, state)

    def combine_fit(self, state: State, total: Update) -> State | Done:
        held = state["search"]["theta"][-1] <= 0.0 and total["score"][-1] <= 0.0
        if held:
            total = {**total, "score": total["score"].copy(), "info": total["info"].copy()}
            total["score"][-1] = total["info"][-1, :] = total["info"][:, -1] = 0.0
            total["info"][-1, -1] = 1.0
            total["expected"] = linalg.block_diag(total["expected"][:-1, :-1], 1.0)
        answer = super().combine_fit(state, total)
        if isinstance(answer, Done) or "search" not in answer or answer["stage"] != "fit":
            return answer
        search = Search.from_state(answer["search"])
        before = search.theta[-1] - search.step[-1]
        lowest = before / SHRINK if before > NEARLY else 0.0
        if search.theta[-1] < lowest:
            theta, step = search.theta.copy(), search.step.copy()
            step[-1] += lowest - theta[-1]
            theta[-1] = lowest
            answer = {**answer, "search": replace(search, theta=theta, step=step).to_state()}
        return answer

    def way(self, inverse: Floats | None, seen: Seen, sums: Mapping[str, Any], state: State) -> Floats | None:
        """Far out coefficients and alpha go their own ways: what they share is noise there, and none on average."""
        expected = sums["expected"]
        held, flat = inverse_of(expected[:-1, :-1]), abs(float(expected[-1, -1]))
        if held is None or flat == 0.0:
            return super().way(inverse, seen, sums, state)
        apart = np.asarray(linalg.block_diag(held, 1.0 / flat))
        near = float(seen.score @ apart @ seen.score) <= NEAR
        return super().way(inverse, seen, sums, state) if near else apart

    @staticmethod
    def _mean_of(state: State) -> float:
        return float(state["moments"]["events"]) / float(state["moments"]["rows"])

    def alpha_of(self, fit: Fit, state: State) -> float:
        return float(fit.theta[-1]) / self._mean_of(state)

    # The sums over rows.

    def rows(self, data: View, theta: Floats) -> Rows:
        design = data.design(self.predictors)
        eta = design @ theta[:-1] + self._offset(data)
        return self._sums(design, np.asarray(data[self.outcome]), eta, float(theta[-1]) / self.mean_count)

    def _sums(self, design: Floats, count: Floats, eta: Floats, alpha: float) -> Rows:
        """A row's log-likelihood is that of a perfect fit less half its deviance: so large parts never cancel."""
        fall, turn = rising(count, alpha)
        mean = np.exp(eta)
        off, more, unit = count - mean, alpha * mean, self.mean_count
        below = 1.0 + more
        bend, twist = log_bend(more)
        slope = off / below
        pull = fall + mean * mean * bend - count * mean / below
        curve = mean * (1.0 + alpha * count) / below**2
        flat = turn - mean**3 * twist - count * (mean / below) ** 2
        across = design.T @ (slope * mean / below) / unit
        info = np.block(
            [
                [design.T @ (design * curve[:, None]), across[:, None]],
                [across[None, :], flat.sum() / unit**2],
            ]
        )
        rest = alpha * slope
        log = np.where(np.abs(rest) < 0.5, np.log1p(rest), np.log1p(alpha * count) - np.log1p(more))
        half = count * (np.log(np.maximum(count, 1.0)) - eta - log)
        half -= slope * np.divide(log, rest, out=np.ones_like(rest), where=rest != 0)
        squares = np.divide(off * off, mean * below, out=np.zeros_like(mean), where=mean > 0)
        held = design.T @ (design * (mean / below)[:, None])
        sums = {
            "expected": linalg.block_diag(held, flat.sum() / unit**2),
            "deviance": 2.0 * half.sum(),
            "pearson": min(float(squares.sum()), BEYOND),
        }
        loglik = float((log_peak(count, alpha) - half).sum())
        return loglik, np.append(design.T @ slope, pull.sum() / unit), info, sums

    # Stage null: R's null deviance is that of the intercept alone, at the theta of the whole model.

    def fitted(self, fit: Fit, state: State) -> State | Done:
        if fit.theta[-1] < NOTHING:
            return self.no_answer(NO_MORE_THAN_POISSON, events=float(state["moments"]["events"]))
        start = np.asarray(state["theta_null"])[:1]
        return {**state, "stage": "null", "fit": dict(vars(fit)), "search": Search.at(start).to_state()}

    def local_null(self, data: Table, state: State) -> Update:
        self.mean_count = self._mean_of(state)
        fit, alone = Fit(**state["fit"]), np.ones((len(data), 1))
        eta = state["search"]["theta"][0] + self._offset(data)
        with np.errstate(all="ignore"):
            loglik, score, info, *more = self._sums(
                alone, np.asarray(data[self.outcome]), eta, self.alpha_of(fit, state)
            )
        update: Update = {"loglik": loglik, "score": score[:1], "info": info[:1, :1]}
        update["deviance"] = dict(more[0])["deviance"] if more else 0.0
        if all(np.isfinite(value).all() for value in update.values()):
            return {**update, "overflow": 0.0}
        return {**{key: np.zeros_like(value) for key, value in update.items()}, "overflow": 1.0}

    def combine_null(self, state: State, total: Update) -> State | Done:
        seen = Seen(float(total["loglik"]), total["score"], total["info"], not float(total["overflow"]))
        verdict, search = judge(Search.from_state(state["search"]), seen, inverse_of(seen.info))
        if verdict == "again":
            return {**state, "search": search.to_state()}
        null = float(total["deviance"]) if verdict == "done" else None
        return self.result(Fit(**state["fit"]), {**state, "null_deviance": null})

    # The Result: R's errors hold theta; the joint ones stand beside them, or take over.

    def result(self, fit: Fit, state: State, robust: Floats | None = None) -> Done:
        held, metric = fit.sums["expected"][:-1, :-1], np.asarray(state["metric"])[:-1]
        inverse = inverse_at_limit(held, metric)[0] if fit.lost.shape[1] else inverse_of(held)
        if inverse is None:
            return self.no_answer(wording.no_convergence(None, None))
        model = replace(fit, inverse=linalg.block_diag(inverse, 1.0 / float(fit.sums["expected"][-1, -1])))
        joint = super().result(model, state, robust=fit.inverse)
        done = joint if self.se == "joint" else super().result(model, state)
        last = len(done.pieces["coefficients"]) - 1
        done.pieces["coefficients"] = [
            {**row, "se_joint": both["se_joint"]}
            for row, both in zip(
                done.pieces["coefficients"][:last], joint.pieces["coefficients"], strict=False
            )
        ]
        vcov = done.pieces["vcov"]
        done.pieces["vcov"] = Vcov(vcov.names[:last], [row[:last] for row in vcov.values[:last]])
        return done

    def own_statistics(self, fit: Fit, state: State) -> dict[str, float | None]:
        moments = state["moments"]
        rows, parameters = float(moments["rows"]), len(fit.theta)
        loglik, alpha = fit.loglik, self.alpha_of(fit, state)
        return {
            "loglik": loglik,
            "loglik_null": state["loglik_null"],
            "two_loglik": 2.0 * loglik,
            "aic": 2.0 * parameters - 2.0 * loglik,
            "bic": np.log(rows) * parameters - 2.0 * loglik,
            "deviance": float(fit.sums["deviance"]),
            "null_deviance": state["null_deviance"],
            "df_residual": int(rows) - parameters + 1,
            "df_null": int(rows) - 1,
            "dispersion": 1.0,
            "pearson_chi2": pearson_of(fit),
            "theta": 1.0 / alpha,
            "se_theta": 1.0 / (alpha * float(fit.theta[-1]) * float(np.sqrt(fit.sums["expected"][-1, -1]))),
            "alpha": alpha,
        }

    def said(self, robust: bool) -> dict[str, Any]:
        words = wording.conventions()
        words["se"] = "model (theta held at its estimate; se_joint allows for its estimation)"
        if robust:
            words["se"] = (
                "joint (inverse observed information of coefficients and theta, in se_joint, statistic, p, limits, "
                "vcov and the Wald test; se holds theta at its estimate)"
            )
        return {
            **words,
            "link": "log",
            "variance": "NB2: mean + mean squared / theta; alpha = 1 / theta",
            "null_deviance": "intercept alone at the theta of the whole model",
        }

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        aliased = bool(Basis.from_state(state["basis"]).left_out(self.terms(self.predictors)))
        return {"events": float(state["moments"]["events"]), "reproduce": self.calls(aliased)}

    def calls(self, aliased: bool) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        formula, options = wording.r_formula(self.outcome, self.predictors), []
        if self.offset:
            formula += f" + offset({wording.r_name(self.offset)})"
            options.append(f"offset=d[{self.offset!r}]")
        design = wording.python_formula(self.outcome, self.predictors)
        joint = wording.python_fit(
            "NegativeBinomial", design, options, aliased, "method='newton', maxiter=200"
        )
        held = wording.python_fit(
            "GLM",
            design,
            [*options, "family=sm.families.NegativeBinomial(alpha=alpha)"],
            aliased,
            "tol=1e-12, maxiter=200",
        )
        python = f"{joint}; fit.summary()"
        if self.se == "model":
            python = (
                f"import statsmodels.api as sm; {joint}; alpha = fit.params['alpha']; {held}; fit.summary()"
            )
        return {
            "r": f"fit <- MASS::glm.nb({formula}, data = d, {wording.R_CONTROL}); summary(fit)"
            + ("  # R's errors hold theta, as se does" if self.se == "joint" else ""),
            "python": python,
        }
