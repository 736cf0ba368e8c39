"""Tiny tasks and made-up patients, so that the engine is tested without any statistics of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from friendlyfl.tasks import Column, Columns, Count, Cross, Dictionary, Done, EachTask, Sum, Task

DICTIONARY = Dictionary.parse(
    {
        "age": {"type": "integer", "range": [0, 120]},
        "crp": {"type": "number", "range": [0, 600], "step": 0.1},
        "sex": {"type": "factor", "levels": ["female", "male"]},
        "race": {"type": "factor", "levels": ["white", "black", "other"]},
        "died": {"type": "integer", "range": [0, 1]},
        "name": {"type": "text"},
    }
)


def patients(n: int = 60, seed: int = 1) -> pd.DataFrame:
    """Rows that every rule allows."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(20, 90, n),
            "crp": rng.integers(0, 600, n) / 10,
            "sex": np.where(np.arange(n) % 2, "male", "female"),
            "race": np.array(["white", "black", "other"])[np.arange(n) % 3],
            "died": (np.arange(n) % 4 == 0).astype(int),
            "name": [f"patient {number}" for number in range(n)],
        }
    )


class Mean(Task):
    """What is the average?"""

    title, version, row_additive = "Mean", "1.0", True
    outcome = Column("Outcome", kinds=["number"])
    group = Column("Group", kinds=["group", ".site"], optional=True)
    sends = {"n": Count, "sum": Sum}

    def local(self, data: Any, state: Any) -> Any:
        return {"n": len(data), "sum": data[self.outcome].sum()}

    def combine(self, state: Any, total: Any) -> Any:
        return Done(statistics={"mean": total["sum"] / total["n"]})


class Spread(Task):
    """Two stages: the mean, then the spread around it."""

    title, version, stages, row_additive = "Spread", "1.0", ("moments", "fit"), True
    outcome = Column("Outcome", kinds=["number"])
    sends = {"n": Count, "sum": Sum}

    def local_moments(self, data: Any, state: Any) -> Any:
        return {"n": len(data), "sum": data[self.outcome].sum()}

    def combine_moments(self, state: Any, total: Any) -> Any:
        return {"stage": "fit", "mean": total["sum"] / total["n"]}

    def local_fit(self, data: Any, state: Any) -> Any:
        return {"n": len(data), "sum": ((data[self.outcome] - state["mean"]) ** 2).sum()}

    def combine_fit(self, state: Any, total: Any) -> Any:
        return Done(statistics={"mean": state["mean"], "variance": total["sum"] / (total["n"] - 1)})


class Levels(Task):
    """How many patients in each level?"""

    title, version, row_additive = "Levels", "1.0", True
    variable = Columns("Variable", kinds=["factor"])
    sends = {"levels": Count}
    complete_cases = False

    def local(self, data: Any, state: Any) -> Any:
        codes = data.levels(self.variable[0])
        return {"levels": np.bincount(codes[codes >= 0], minlength=len(self.group_names(self.variable[0])))}

    def combine(self, state: Any, total: Any) -> Any:
        names = self.group_names(self.variable[0])
        rows = [{"level": name, "n": count} for name, count in zip(names, total["levels"], strict=True)]
        return Done(tables={"categorical": rows})


class HidingLevels(Levels):
    """The same as a table that may hide small cells."""

    suppressible = ("levels",)


class Products(Task):
    """Cross-products of a design."""

    title, version, row_additive = "Products", "1.0", True
    outcome = Column("Outcome", kinds=["yes/no"])
    predictors = Columns("Predictors", terms=True)
    weights = Column("Weights", kinds=["number"], optional=True)
    sends = {"xx": Cross, "xy": Cross}

    def local(self, data: Any, state: Any) -> Any:
        design = data.design(self.predictors)
        weight = data[self.weights] if self.weights else np.ones(len(data))
        return {"xx": (design.T * weight) @ design, "xy": design.T @ (weight * data.yes(self.outcome))}

    def combine(self, state: Any, total: Any) -> Any:
        beta = np.linalg.solve(total["xx"], total["xy"])
        rows = [
            {"term": t, "estimate": b, "se": 1.0}
            for t, b in zip(self.terms(self.predictors), beta, strict=True)
        ]
        return Done(coefficients=rows)


class Forest(EachTask):
    """One mean a site."""

    title, version = "Forest", "1.0"
    outcome = Column("Outcome", kinds=["number"])
    sends = {"n": Count, "sum": Sum}

    def local(self, data: Any, state: Any) -> Any:
        return {"n": len(data), "sum": data[self.outcome].sum()}

    def combine(self, state: Any, updates: Any) -> Any:
        means = [u["sum"] / u["n"] if u["n"] else None for u in updates]
        return Done(
            tables={"effects": [{"site": site, "mean": mean} for site, mean in enumerate(means, start=1)]}
        )


class Endless(Mean):
    """Never comes to an end."""

    max_rounds = 3

    def combine(self, state: Any, total: Any) -> Any:
        return {"n": total["n"]}


class Fragile(Mean):
    """Has a fault of its own."""

    def combine(self, state: Any, total: Any) -> Any:
        return Done(statistics={"mean": 1 / 0})
