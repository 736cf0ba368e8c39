"""Maximum likelihood over hospitals: the base of every regression whose log-likelihood is a sum over rows.

An author writes `rows(data, theta) -> loglik, score, info` and `begin`. Pooled centring, an orthogonal basis,
Newton with step halving, dropped terms, separation, the null model and the usual statistics come from here.
What does not live here: the steps of Newton (newton), the columns (basis), one family's formulas (glm and its
children), sentences (wording).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from friendlyfl.core.limits import RING_MAGNITUDE
from friendlyfl.tasks import Columns, Count, Cross, Done, Sum, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.report import Vcov
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import Basis, View
from friendlyfl.tasks.stats.inference import chi_square, wald, wald_test
from friendlyfl.tasks.stats.newton import (
    CONVERGED,
    Bools,
    Floats,
    Search,
    Seen,
    distance,
    inverse_at_limit,
    inverse_of,
    judge,
    uphill,
)

Rows = tuple[float, Floats, Floats] | tuple[float, Floats, Floats, Mapping[str, Any]]

NAMED = 1e-6  # a term with a smaller part in a direction to infinity is not in it
JUMP = 30.0  # steps, each about one on the scale of the link: e^-40 is nothing


@dataclass(frozen=True)
class Fit:
    """The end of the search, in the basis of the fit. `lost` holds directions to infinity, one a column."""

    theta: Floats
    loglik: float
    inverse: Floats
    lost: Floats
    sums: Mapping[str, Any]  # the further sums of `rows`, at the estimate


class Likelihood(Task):
    """A model whose log-likelihood is a sum over rows."""

    alike: ClassVar[str] = "all have the same outcome"  # patients whom a term without a finite estimate marks
    second: ClassVar[str] = "se_robust"  # where errors stand that take over from the model's
    row_additive: ClassVar[bool] = True
    stages: ClassVar[tuple[str, ...]] = ("moments", "fit")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        "rows": Count,
        "columns": Sum,
        "sizes": Sum,
        "loglik": Sum,
        "score": Sum,
        "info": Cross,
        "overflow": Sum,
    }
    ratio: ClassVar[str] = "Ratio"  # what exp(coefficient) is called
    intercept: ClassVar[bool] = (
        True  # False: the first parameter only holds its place, as in a partial likelihood
    )

    predictors = Columns(
        "Predictors",
        min=0,
        terms=True,
        help="Columns of the dictionary; a:b is an interaction, .site the hospital",
    )

    # What an author writes; only the first two are needed.

    def rows(self, data: View, theta: Floats) -> Rows:
        """Log-likelihood, score and information at theta; a fourth value, a dict, is summed along.

        Where the search runs on observed information, `expected` among the sums serves rank and score test.
        """
        raise NotImplementedError

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        """Where the null model starts: the intercept and each of `extra`; Done if it can have no answer."""
        raise NotImplementedError

    def sums(self, data: Table) -> Update:
        """What `begin` and the statistics need beyond the design's own sums; keys are declared in `sends`."""
        return {}

    def extra(self) -> list[str]:
        """Names of parameters that are no coefficient of the design, such as Log(scale)."""
        return []

    def shifts(self) -> list[float]:
        """How each of `extra` moves when columns are not centred: 0 for a scale, 1 for a threshold."""
        return [0.0] * len(self.extra())

    def counted(self, data: Table) -> Bools | None:
        """Rows that take part (one with weight 0 does not); None for all."""
        return None

    def way(self, inverse: Floats | None, seen: Seen, sums: Mapping[str, Any], state: State) -> Floats | None:
        """What makes a step of the score: the inverse information, or what is wiser far from the answer."""
        return uphill(seen.info) if inverse is None else inverse

    def precision(self, sums: Mapping[str, Any], state: State) -> float:
        """The decrement at which the answer is reached; smaller where errors are smaller than the model's."""
        return CONVERGED

    def t_df(self, fit: Fit, state: State) -> float | None:
        """Degrees of freedom of t tests and limits; None for normal ones."""
        return None

    def own_statistics(self, fit: Fit, state: State) -> dict[str, float | None]:
        """Statistics of the family, beside those every likelihood has."""
        return {}

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        return []

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        """Further pieces of the Result: events, reproduce."""
        return {}

    def said(self, robust: bool) -> dict[str, Any]:
        """How the numbers are to be read; `robust` if a sandwich took over."""
        return wording.conventions(str(self.values["robust"]) if robust else "none")

    def separated(self, lost: list[str], nothing_left: bool) -> str:
        """The sentence about estimates without bound."""
        return wording.separation(lost, nothing_left, self.alike)

    def left_out_notes(self, basis: Basis) -> list[str]:
        """Why columns have no coefficient."""
        return basis.notes(self.terms(self.predictors))

    def fitted(self, fit: Fit, state: State) -> State | Done:
        """What follows the fit: the Result, or a further stage."""
        return self.result(fit, state)

    # Stage moments: the pooled middle and size of every column, so that no unit of measurement matters.

    def make_ready(self, data: Table) -> None:
        data.room(data.design(self.predictors).shape[1])

    def start(self) -> State:
        return {"stage": "moments"}

    def local_moments(self, data: Table, state: State) -> Update:
        design, counted = data.design(self.predictors), self.counted(data)
        if counted is not None:
            design = design[counted]
        scales = self.scales(self.predictors)  # so that sums of large values stay within what can be added
        return {
            "rows": len(design),
            "columns": design.sum(axis=0) / scales,
            "sizes": np.array([np.abs(column).sum() for column in design.T]) / scales,
            **self.sums(data),
        }

    def combine_moments(self, state: State, total: Update) -> State | Done:
        rows = float(total["rows"])
        if rows == 0:
            return self.no_answer(wording.NO_ROWS)
        begin = self.begin(total)
        if isinstance(begin, Done):
            return begin
        scales = self.scales(self.predictors)
        centre = total["columns"] * scales / rows
        centre[0] = 0.0
        basis = Basis.begin(centre, total["sizes"] * scales / rows)
        theta = np.concatenate([begin[:1], np.zeros(len(centre) - 1), begin[1:]])
        kept = {key: value for key, value in total.items() if key not in ("columns", "sizes")}
        return {
            "stage": "fit",
            "phase": "null",
            "moments": kept,
            "basis": basis.to_state(),
            "search": Search.at(theta).to_state(),
        }

    # Stage fit: one evaluation a round, first of the null model, then of the whole one.

    def local_fit(self, data: Table, state: State) -> Update:
        update: Update = {}
        for view in View.blocks(data, self.predictors, Basis.from_state(state["basis"])):
            with np.errstate(all="ignore"):
                loglik, score, info, *more = self.rows(view, state["search"]["theta"])
                sums = {"loglik": loglik, "score": score, "info": info, **(more[0] if more else {})}
                update = {key: update.get(key, 0.0) + value for key, value in sums.items()}
        if all(
            (np.abs(value) < RING_MAGNITUDE).all() for value in update.values()
        ):  # and neither NaN nor inf
            return {**update, "overflow": 0.0}
        return {**{key: np.zeros_like(value) for key, value in update.items()}, "overflow": 1.0}

    def combine_fit(self, state: State, total: Update) -> State | Done:
        seen = Seen(float(total["loglik"]), total["score"], total["info"], not float(total["overflow"]))
        sums = {k: v for k, v in total.items() if k not in ("loglik", "score", "info", "overflow")}
        phases = {"null": self._null, "look": self._look, "full": self._full, "limit": self._limit}
        return phases[state["phase"]](state, seen, sums)

    @classmethod
    def distance(cls, state: State) -> float | None:
        return distance(state.get("search"))

    def stuck(self, state: State) -> str:
        decrement = state["search"]["decrement"] if "search" in state else None
        return wording.no_convergence(self.max_rounds, decrement)

    def no_answer(self, sentence: str, **pieces: Any) -> Done:
        return Done(answer=sentence, notes=[sentence], **pieces)

    def nulls(self, size: int) -> Bools:
        """Marks the parameters of the null model: the intercept and the extra ones."""
        free = np.zeros(size, dtype=np.bool_)
        free[0] = True
        free[size - len(self.extra()) :] = True
        return free

    def _null(self, state: State, seen: Seen, sums: Mapping[str, Any]) -> State | Done:
        search = Search.from_state(state["search"])
        free = self.nulls(len(search.theta))
        block = seen.info[np.ix_(free, free)]
        part = {"expected": sums["expected"][np.ix_(free, free)]} if "expected" in sums else {}
        way = self.way(inverse_of(block), Seen(seen.loglik, seen.score[free], block), part, state)
        verdict, search = judge(search, seen, _embedded(way, free))
        if verdict == "again":
            return {**state, "search": search.to_state()}
        if verdict == "stuck":
            return self.no_answer(wording.no_convergence(None, search.decrement))
        if verdict == "runaway":
            return self.no_answer(wording.NO_NULL)
        basis = Basis.from_state(state["basis"]).sorted_out(sums.get("expected", seen.info), free)
        null = search.theta[free]
        found = {"loglik_null": seen.loglik, "theta_null": null, "sums_null": dict(sums)}
        state = {**state, **self._in_basis(basis, null), **found}
        if basis.doubtful:
            return {**state, "phase": "look"}
        change = basis.from_first(len(self.extra()))
        if "expected" in sums:
            sums = {**sums, "expected": change.T @ sums["expected"] @ change}
        return self._open(
            state, Seen(seen.loglik, change.T @ seen.score, change.T @ seen.info @ change), sums
        )

    def _look(self, state: State, seen: Seen, sums: Mapping[str, Any]) -> State | Done:
        """A second look at columns that seem dependent: in the new basis rounding no longer hides it."""
        theta, old = state["search"]["theta"], Basis.from_state(state["basis"])
        free = self.nulls(len(theta))
        basis = old.looked_at(sums.get("expected", seen.info), free)
        state = {**state, **self._in_basis(basis, theta[free])}
        return state if len(basis.kept) < len(old.kept) else self._open(state, seen, sums)

    def _in_basis(self, basis: Basis, nulls: Floats) -> State:
        theta = np.concatenate([nulls[:1], np.zeros(len(basis.kept) - 1), nulls[1:]])
        return {"basis": basis.to_state(), "search": Search.at(theta).to_state()}

    def _open(self, state: State, seen: Seen, sums: Mapping[str, Any]) -> State | Done:
        """The first step of the whole model; `seen` is its evaluation at the null model's estimate."""
        inverse = inverse_of(sums.get("expected", seen.info))
        score_test = None if inverse is None else float(seen.score @ inverse @ seen.score)
        metric = np.sqrt(np.maximum(np.diag(seen.info), np.finfo(float).tiny))
        state = {**state, "phase": "full", "score_test": score_test, "metric": metric, "patient": False}
        return self._full(state, seen, sums)

    def _full(self, state: State, seen: Seen, sums: Mapping[str, Any]) -> State | Done:
        inverse = inverse_of(seen.info)
        way = self.way(inverse, seen, sums, state)
        precision = self.precision(sums, state)
        verdict, search = judge(Search.from_state(state["search"]), seen, way, state["metric"], precision)
        if verdict == "done" and inverse is not None:
            nothing = np.zeros((len(search.theta), 0))
            return self.fitted(Fit(search.theta, seen.loglik, inverse, nothing, sums), state)
        if verdict == "runaway" and not state["patient"]:
            return self._leap(state, search)
        if verdict == "runaway":
            search = Search(search.theta + search.step, search.step, seen.loglik, 0.0, search.decrement)
        if verdict in ("stuck", "done"):  # done without an inverse: the top of a ridge
            return self.no_answer(wording.no_convergence(None, search.decrement))
        return {**state, "search": search.to_state()}

    def _leap(self, state: State, at: Search) -> State:
        """Far along the direction to infinity, where the rows that pull there hold no information any more."""
        step = JUMP * at.step
        length = float(np.linalg.norm(state["metric"] * at.step))
        return {
            **state,
            "phase": "limit",
            "search": Search(at.theta + step, step, at.loglik, length).to_state(),
        }

    def _limit(self, state: State, seen: Seen, sums: Mapping[str, Any]) -> State | Done:
        """Newton over what still holds information: the other terms have a finite answer at the limit."""
        inverse, lost = inverse_at_limit(seen.info, state["metric"])
        if lost.shape[1] == 0:  # the leap lost nothing, so it was no separation
            return self._full({**state, "phase": "full", "patient": True}, seen, sums)
        verdict, search = judge(Search.from_state(state["search"]), seen, inverse, state["metric"])
        if verdict == "done":
            return self.fitted(Fit(search.theta, seen.loglik, inverse, lost, sums), state)
        if verdict == "runaway":
            return self._leap(state, search)
        if verdict == "stuck":
            return self.no_answer(wording.no_convergence(None, search.decrement))
        if search.halvings:  # the log-likelihood fell: back, and no more leaps
            return {**state, "phase": "full", "patient": True, "search": search.to_state()}
        return {**state, "search": search.to_state()}

    # The Result.

    def raw(self, basis: Basis) -> tuple[list[str], Floats]:
        """Names of the fitted parameters, and the matrix from theta to them in raw units."""
        names, extra = self.terms(self.predictors), self.extra()
        columns = len(basis.kept)
        matrix = np.zeros((columns + len(extra), columns + len(extra)))
        matrix[:columns, :columns] = basis.raw
        for place, shift in enumerate(self.shifts(), start=columns):
            matrix[place, place] = 1.0
            matrix[place, :columns] = shift * basis.middle
        shown = 0 if self.intercept else 1
        return ([names[place] for place in basis.kept] + extra)[shown:], matrix[shown:]

    def result(self, fit: Fit, state: State, robust: Floats | None = None) -> Done:
        """The Result; `robust` is a covariance in the basis of the fit that takes over tests and limits."""
        basis = Basis.from_state(state["basis"])
        names, raw = self.raw(basis)
        estimates, model = raw @ fit.theta, raw @ fit.inverse @ raw.T
        vcov = model.copy() if robust is None else raw @ robust @ raw.T
        infinite = _infinite(raw, fit.lost, state["metric"])
        for matrix in (model, vcov):
            matrix[infinite, :] = matrix[:, infinite] = np.nan
        both = {"se": np.sqrt(np.diag(model)), self.second: np.sqrt(np.diag(vcov))}
        tested = ~self.nulls(raw.shape[1])[raw.shape[1] - len(names) :]
        lost = [name for name, gone in zip(names, infinite & tested, strict=True) if gone] or names[:1]
        nothing_left = bool(infinite[tested].all()) if tested.any() else bool(infinite.all())
        sentence = self.separated(lost, nothing_left) if infinite.any() else ""
        return Done(
            answer=sentence if nothing_left else "",
            coefficients=wald(
                names, estimates, vcov, df=self.t_df(fit, state), more=None if robust is None else both
            ),
            aliased=basis.left_out(self.terms(self.predictors)),
            vcov=Vcov(names, vcov.tolist()),
            statistics=self._statistics(fit, state, len(names), int(tested.sum())),
            tests=self._tests(fit, state, estimates[tested], vcov[np.ix_(tested, tested)]),
            conventions=self.said(robust is not None),
            figures=wording.forest(self.title, self.ratio, bool(tested.any())),
            notes=[
                *([sentence] if sentence else []),
                *self.left_out_notes(basis),
                *self.own_notes(fit, state),
            ],
            **self.own_pieces(fit, state),
        )

    def _statistics(self, fit: Fit, state: State, fitted: int, tested: int) -> dict[str, float | None]:
        rows = float(state["moments"]["rows"])
        return {
            "loglik": fit.loglik,
            "loglik_null": state["loglik_null"],
            "aic": 2.0 * fitted - 2.0 * fit.loglik,
            "bic": np.log(rows) * fitted - 2.0 * fit.loglik,
            "df_residual": int(rows) - fitted,
            "df_null": int(rows) - (fitted - tested),
            **self.own_statistics(fit, state),
        }

    def _tests(self, fit: Fit, state: State, estimates: Floats, vcov: Floats) -> dict[str, Any]:
        df, score = len(estimates), state["score_test"]
        return {
            "lrt": chi_square(2.0 * (fit.loglik - state["loglik_null"]), df),
            "wald": wald_test(estimates, vcov),
            "score_test": chi_square(float("nan") if score is None else score, df),
        }


def _infinite(raw: Floats, lost: Floats, metric: Floats) -> Bools:
    """Raw parameters that a direction to infinity moves; each measured by its own standard error at the start."""
    if lost.shape[1] == 0:
        return np.zeros(len(raw), dtype=np.bool_)
    typical = np.sqrt((raw**2) @ (1.0 / metric**2))
    parts: Bools = (np.abs(raw @ lost).max(axis=1) / typical) > NAMED
    return parts


def _embedded(inverse: Floats | None, free: Bools) -> Floats | None:
    """An inverse over the free parameters as one over all, in which the others do not move."""
    if inverse is None:
        return None
    whole = np.zeros((len(free), len(free)))
    whole[np.ix_(free, free)] = inverse
    return whole
