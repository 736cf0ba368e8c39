"""Least squares over hospitals: the rounds of linear regression, from rows to cross-products that hold every digit.

Two rounds: the pooled middle and size of every column, then cross-products about it; one more where rounding could
show (nearly dependent columns, a nearly perfect fit), and one for robust errors. What does not live here: the Result
(linear_regression) and the arithmetic of sums of squares (least_squares).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np

from friendlyfl.tasks import Choice, Column, Columns, Count, Cross, Done, Sum, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import Basis, View, prior_weights
from friendlyfl.tasks.stats.moments import unit_near
from friendlyfl.tasks.stats.newton import Floats, inverse_of
from friendlyfl.tasks.terms import factors_of

LOOKS = 8  # rounds of cross-products at most; one is enough for ordinary columns
SMALL = 1e-6  # sums below this are too near the ring's last bit, or what is left after most cancelled
ROUNDING = 1e-10  # in standard errors: more than this of rounding asks for one more round
BLURRED = 1e-9  # a sum of squares of which the ring's last bit would be seen
FINER = 2.0**-25  # so that such a sum has digits enough, and no square overflows
CANCELLED = 1e-14  # a share of a sum of squares that is no more than rounding
PERFECT = 1e-14  # residuals over outcome: what is left are the last digits of the numbers themselves
FAR_OUT = (1e-140, 1e140)  # squares of what lies beyond are no numbers any more
ALONE = 1e-10  # of 1 - leverage: a row that nothing else speaks about

ALL_ALIKE = "The outcome is the same for every patient in this analysis, so there is nothing to explain."


class LinearModel(Task):
    """A linear model of a measurement, found by least squares."""

    row_additive: ClassVar[bool] = True
    stages: ClassVar[tuple[str, ...]] = ("moments", "fit", "robust")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        "rows": Count,
        "levels": Count,
        "weight": Sum,
        "log_weight": Sum,
        "columns": Sum,
        "sizes": Sum,
        "outcome": Sum,
        "outcome_size": Sum,
        "numbers": Sum,
        "offset": Sum,
        "gram": Cross,
        "score": Cross,
        "rss": Sum,
        "meat": Cross,
        "alone": Sum,
    }

    outcome = Column("Outcome", kinds=["number"], help="A measurement, such as a blood pressure")
    predictors = Columns(
        "Predictors",
        min=0,
        terms=True,
        help="Columns of the dictionary; a:b is an interaction, .site the hospital. Type I tables keep this order",
    )
    offset = Column("Offset", kinds=["number"], optional=True, help="Taken off the outcome as it is")
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

    @cached_property
    def parts(self) -> list[str]:
        """The columns the terms are made of."""
        names = [name for term in self.predictors for name in factors_of(term, self.dictionary)]
        return list(dict.fromkeys(names))

    @cached_property
    def numbers(self) -> list[str]:
        return [name for name in self.parts if self.spec(name).type != "factor"]

    @cached_property
    def factors(self) -> list[str]:
        return [name for name in self.parts if self.spec(name).type == "factor"]

    @property
    def outcome_scale(self) -> float:
        return max(self.spec(name).scale for name in (self.outcome, self.offset) if name)

    def measured(self, data: Table | View) -> Floats:
        outcome = np.asarray(data[self.outcome], dtype=np.float64)
        return outcome - data[self.offset] if self.offset else outcome

    def most_numbers(self) -> dict[str, int]:
        columns = len(self.terms(self.predictors))
        levels = len(self.factors) * max((len(self.spec(name).levels) for name in self.factors), default=0)
        return {
            "moments": 6 + 2 * columns + levels + len(self.numbers),
            "fit": 1 + columns + columns * columns,
            "robust": 1 + columns * columns,
        }

    # Stage moments: the pooled middle and size of every column.

    def start(self) -> State:
        return {"stage": "moments"}

    def local_moments(self, data: Table, state: State) -> Update:
        design, outcome = data.design(self.predictors), self.measured(data)
        weight = prior_weights(data, self.weights)
        counted = slice(None) if weight is None else weight > 0
        weight = np.ones(len(data)) if weight is None else weight[counted]
        design, outcome = design[counted], outcome[counted]
        share = weight / self.spec(self.weights).scale if self.weights else weight
        scales = self.scales(self.predictors)  # so that sums of large values stay within what can be added
        levels = np.zeros(
            (len(self.factors), max((len(self.spec(f).levels) for f in self.factors), default=0))
        )
        for place, name in enumerate(self.factors):
            levels[place] = np.bincount(data[name][counted], minlength=levels.shape[1])
        numbers = [(data[name][counted] / self.spec(name).scale).sum() for name in self.numbers]
        offset = float((data[self.offset][counted] / self.outcome_scale).sum()) if self.offset else 0.0
        return {
            "rows": len(outcome),
            "levels": levels,
            "weight": share.sum(),
            "log_weight": np.log(weight).sum(),
            "columns": share @ design / scales,
            "sizes": share @ np.abs(design) / scales,
            "outcome": share @ outcome / self.outcome_scale,
            "outcome_size": share @ np.abs(outcome) / self.outcome_scale,
            "numbers": np.array(numbers),
            "offset": offset,
        }

    def combine_moments(self, state: State, total: Update) -> State | Done:
        rows, weight = float(total["rows"]), float(total["weight"])
        if rows == 0 or weight <= 0:
            return Done(answer=wording.NO_ROWS)
        scales = self.scales(self.predictors)
        centre = total["columns"] * scales / weight
        centre[0] = 0.0
        basis = Basis.begin(centre, total["sizes"] * scales / weight)
        size = float(total["outcome_size"]) * self.outcome_scale / weight
        middles = np.array([self.spec(name).scale for name in self.numbers]) / rows * total["numbers"]
        one = unit_near(weight / rows * self.spec(self.weights).scale) if self.weights else 1.0
        return {
            "stage": "fit",
            "rows": rows,
            "levels": total["levels"],
            "log_weight": float(total["log_weight"]),
            "weight_unit": one,
            "means": middles,
            "mean_offset": float(total["offset"]) * self.outcome_scale / rows,
            "centre": float(total["outcome"]) * self.outcome_scale / weight,
            "size": size,
            "unit": unit_near(size),
            "basis": basis.to_state(),
            "theta": np.zeros(len(centre)),
            "looks": 0,
        }

    # Stage fit: cross-products of columns and of what the estimates so far leave over.

    def pieces(self, data: Table, state: State) -> list[tuple[Floats, Floats, Floats]]:
        """Columns of the fit, what is left of the outcome in its unit, and weights, for blocks of rows."""
        found = []
        for view in View.blocks(data, self.predictors, Basis.from_state(state["basis"])):
            design, weight = view.design(self.predictors), prior_weights(view, self.weights)
            left = (self.measured(view) - state["centre"]) / state["unit"] - design @ state["theta"]
            share = np.ones(len(view)) if weight is None else weight / state["weight_unit"]
            found.append((design, left, share))
        return found

    def local_fit(self, data: Table, state: State) -> Update:
        update: Update = {}
        for design, left, weight in self.pieces(data, state):
            weighted = design * weight[:, None]
            sums = {"gram": weighted.T @ design, "score": weighted.T @ left, "rss": weight @ (left * left)}
            update = {key: update.get(key, 0.0) + value for key, value in sums.items()}
        return update

    def combine_fit(self, state: State, total: Update) -> State | Done:
        gram, score, before = total["gram"], total["score"], float(total["rss"])
        basis, free = Basis.from_state(state["basis"]), np.arange(len(total["gram"])) == 0
        state = {**state, "looks": state["looks"] + 1}
        again = state["looks"] < LOOKS
        if basis.share is None:
            if before < BLURRED and again and state["unit"] > PERFECT * state["size"]:
                return {**state, "unit": state["unit"] * FINER}
            spread = math.sqrt(before / gram[0, 0]) * state["unit"]
            if spread <= PERFECT * state["size"]:
                return Done(answer=ALL_ALIKE if state["size"] > 0 else wording.ALL_ZERO)
            if not FAR_OUT[0] < spread < FAR_OUT[1]:
                return Done(answer=wording.UNIT_TOO_FAR)
            state["size"] = max(state["size"], spread)
            finer = basis.finer(gram, free)
            if finer is not None and again:
                return {**state, "basis": finer.to_state()}
            basis = basis.sorted_out(gram, free)
            change = basis.from_first(0)
            gram, score = change.T @ gram @ change, change.T @ score
            state["theta"] = np.zeros(len(gram))
            smallest = 1.0 if basis.share is None else float(basis.share.min(initial=1.0))
        else:
            found, basis, smallest = basis, basis.looked_at(gram, free), 1.0
            if len(basis.kept) < len(found.kept):
                theta = np.zeros(len(basis.kept))
                return {**state, "basis": basis.to_state(), "theta": theta, "unit": unit_near(state["size"])}
        inverse = inverse_of(gram)
        if (
            inverse is None
        ):  # nearly dependent columns: in the new basis rounding no longer hides what is left
            if again and smallest < 1.0:
                return {**state, "basis": basis.to_state(), "theta": np.zeros(len(gram))}
            return Done(answer=wording.no_convergence(None, None))
        step = inverse @ score
        rss = max(before - float(step @ score), 0.0)
        state |= {"basis": basis.to_state(), "theta": state["theta"] + step}
        if again and _rough(smallest, before, rss, state["rows"], len(gram)):
            # What is left after cancelling may be rounding: the unit does not follow it all the way.
            spread = math.sqrt(max(rss, CANCELLED * before) / gram[0, 0]) * state["unit"]
            unit = unit_near(max(spread, PERFECT / 100.0 * state["size"]))
            return {**state, "theta": state["theta"] * (state["unit"] / unit), "unit": unit}
        state |= {"gram": gram, "inverse": inverse, "rss": rss}
        if self.robust == "none" or state["rows"] <= len(gram) or self.perfect(state):
            return self.result(state)
        return {**state, "stage": "robust"}

    def perfect(self, state: State) -> bool:
        return bool(math.sqrt(state["rss"] / state["gram"][0, 0]) * state["unit"] <= PERFECT * state["size"])

    def stuck(self, state: State) -> str:
        return wording.no_convergence(self.max_rounds, None)

    # Stage robust: how much residuals differ from one common variance.

    def local_robust(self, data: Table, state: State) -> Update:
        meat, alone = np.zeros((len(state["theta"]),) * 2), 0.0
        for design, left, weight in self.pieces(data, state):
            slope = weight * left
            if self.robust == "HC3":
                rest = 1.0 - weight * np.einsum("ij,ij->i", design @ state["inverse"], design)
                alone = max(alone, float((rest < ALONE).any()))
                slope = np.divide(slope, rest, out=np.zeros_like(slope), where=rest >= ALONE)
            meat += design.T @ (design * (slope * slope)[:, None])
        return {"meat": meat, "alone": alone}

    def combine_robust(self, state: State, total: Update) -> State | Done:
        rows, fitted = state["rows"], len(state["theta"])
        factor = rows / (rows - fitted) if self.robust == "HC1" else 1.0
        robust = factor * state["inverse"] @ total["meat"] @ state["inverse"] * state["unit"] ** 2
        if float(total["alone"]):
            robust = np.full_like(robust, np.nan)
        return self.result(state, robust)

    def result(self, state: State, robust: Floats | None = None) -> Done:
        """The Result; `robust` is a covariance in the basis of the fit that takes over tests and limits."""
        raise NotImplementedError


def _rough(smallest: float, before: float, after: float, rows: float, fitted: int) -> bool:
    """Whether rounding could show in the answer, so that one more round about it is worth while.

    `smallest` is the share of a column that the columns before it leave, `before` and `after` are sums of squares.
    """
    if rows <= fitted:
        return smallest < 1.0
    if after < SMALL * max(before, 1.0):
        return True
    return float(np.finfo(float).eps) * 4.0 / smallest * math.sqrt(rows * before / after) > ROUNDING
