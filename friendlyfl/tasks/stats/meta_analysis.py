"""Meta-analysis of hospitals: each fits the same regression by itself, and the estimates are compared and pooled.

The fit within a hospital lives in within, the arithmetic of pooling in heterogeneity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Choice, Count, Dictionary, Done, EachTask, Table, Task
from friendlyfl.tasks.base import Estimate, Kind, State, Update
from friendlyfl.tasks.params import Parameter
from friendlyfl.tasks.report import Figure, Result
from friendlyfl.tasks.stats import within, wording
from friendlyfl.tasks.stats.heterogeneity import METHODS, Heterogeneity, Pooled
from friendlyfl.tasks.stats.inference import Row, chi_square, critical, two_sided, wald
from friendlyfl.tasks.terms import INTERCEPT

TASKS = (
    "logistic_regression",
    "cox",
    "linear_regression",
    "poisson_regression",
    "gamma_regression",
    "negative_binomial_regression",
    "ordinal_logistic_regression",
    "fine_gray",
    "weibull_regression",
    "censored_regression",
)
ERRORS = (
    "se_robust",
    "se_joint",
    "se",
)  # which of a coefficient's errors its test and limits use, first of those there
EXPLAINED = (
    1e-7  # share of a dropped column that a kept one carries, above which the kept one means something else
)

TWO_STAGE = (
    "Each hospital was fitted by itself and the estimates were pooled. That is not the analysis of all patients in one "
    "table: small hospitals and rare events weigh differently, and a hospital without an estimate takes no part."
)
NOBODY = "No hospital has a finite estimate of any term, so there is nothing to pool."
ONE = "{} only one hospital has an estimate, so nothing can be said about whether hospitals agree."


class MetaAnalysis(EachTask):
    """Do hospitals agree? The same regression within each, and how much their answers differ."""

    title: ClassVar[str] = "Meta-analysis of hospitals"
    version: ClassVar[str] = "1.0"
    max_rounds: ClassVar[int] = 1
    question: ClassVar[str] = "Do hospitals agree?"
    topic: ClassVar[str] = "hospitals"
    asks: ClassVar[tuple[str, ...]] = (
        "Do hospitals agree on how {predictors} goes with {outcome}?",
        "Do hospitals agree on how {predictors} go with {outcome}?",
    )
    example: ClassVar[Mapping[str, Any]] = {
        "model": "logistic_regression",
        "outcome": "readmitted",
        "predictors": "age,sex,treatment",
    }
    references: ClassVar[tuple[str, ...]] = (
        "DerSimonian R, Laird N. Meta-analysis in clinical trials. Controlled Clinical Trials 1986;7:177-188.",
        "Higgins JPT, Thompson SG. Quantifying heterogeneity in a meta-analysis. Statistics in Medicine "
        "2002;21:1539-1558.",
        "Viechtbauer W. Conducting meta-analyses in R with the metafor package. Journal of Statistical Software "
        "2010;36(3):1-48.",
    )
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        "rows": Count,
        "estimates": Estimate,
        "errors": Estimate,
        "known": Estimate,
    }

    model = Choice(
        "Regression",
        {name: name.replace("_", " ").capitalize() for name in TASKS},
        help="What each hospital fits; its own parameters follow, such as outcome and predictors",
    )
    method = Choice(
        "Variance between hospitals",
        METHODS,
        help="REML is the default of R's metafor",
    )

    @classmethod
    def asked(cls, given: Mapping[str, Any]) -> dict[str, Parameter[Any]]:
        model = given.get("model")
        inner = within.regression(model if model in TASKS else cls.parameters["model"].default)
        own = {name: p for name, p in cls.parameters.items() if name != "model"}
        return {"model": cls.parameters["model"], **inner.parameters, **own}

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Dictionary, sites: int = 1) -> dict[str, Any]:
        """Its own parameters, and those of the regression under their own names."""
        own = super().validate({k: v for k, v in given.items() if k in cls.parameters}, dictionary, sites)
        rest = {name: value for name, value in given.items() if name not in cls.parameters}
        values = within.values_of(within.regression(own["model"]), rest, dictionary)
        if not values["predictors"]:
            raise UsageError(
                "predictors_missing", "Choose the terms (predictors) on which hospitals are compared."
            )
        return {**own, **values}

    def __init__(self, values: Mapping[str, Any], dictionary: Dictionary, **how: Any) -> None:
        super().__init__(values, dictionary, **how)
        self.regression = within.regression(self.values["model"])
        self.parameters = {
            **self.parameters,
            **self.regression.parameters,
        }  # so that rules see the fit's columns

    @property
    def other_tasks(self) -> tuple[str, ...]:
        return (self.values["model"],)

    @property
    def inner(self) -> Task:
        """The regression of one hospital, which knows of no other."""
        own = type(self).parameters
        values = {name: value for name, value in self.values.items() if name not in own}
        return self.regression(values, self.dictionary, sites=1, site=1, rules=self.rules, seed=self.seed)

    @property
    def names(self) -> list[str]:
        return self.terms(self.values["predictors"])

    # One hospital.

    def local(self, data: Table, state: State) -> Update:
        """Estimates and errors in units of the dictionary's ranges, 0 where there is none."""
        found = within.answer(self.inner, data)
        estimates, errors, known = np.zeros((3, len(self.names)))
        if found is not None:
            moved = self._moved(found, data)
            for row in found.coefficients:
                error = next((row[key] for key in ERRORS if row.get(key) is not None), None)
                if row["term"] not in self.names or row["estimate"] is None or not error:
                    continue
                place = self.names.index(row["term"])
                if not moved[place]:
                    estimates[place], errors[place], known[place] = row["estimate"], error, 1.0
        scales = self.scales(self.values["predictors"])
        return {"rows": len(data), "estimates": estimates * scales, "errors": errors * scales, "known": known}

    def _moved(self, found: Result, data: Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Terms that mean something else at this hospital: they carry part of a column that had to be left out.

        A level that nobody has is no such column. Without the reference level, the others are compared with another.
        """
        aliased = np.array([name in found.aliased for name in self.names])
        moved = np.zeros(len(self.names), dtype=np.bool_)
        if not aliased.any() or not len(data):
            return moved
        design = data.design(self.values["predictors"])
        size = np.abs(design).max(axis=0)
        scaled = design / np.where(size > 0, size, 1.0)
        parts = np.linalg.lstsq(scaled[:, ~aliased], scaled[:, aliased], rcond=None)[0]
        moved[~aliased] = (np.abs(parts) > EXPLAINED).any(axis=1)
        return moved

    # All hospitals.

    def combine(self, state: State, updates: Sequence[Update]) -> Done:
        scales = self.scales(self.values["predictors"])
        known = np.array([update["known"] for update in updates]) > 0
        estimates = np.array([update["estimates"] for update in updates]) / scales
        errors = np.array([update["errors"] for update in updates]) / scales
        rows = [int(update["rows"]) for update in updates]
        pooled: dict[str, Heterogeneity] = {}
        forests: dict[str, list[Row]] = {}
        for place, name in enumerate(self.names):
            there = np.flatnonzero(known[:, place])
            if len(there) == 0:
                continue
            y, se = estimates[there, place].tolist(), errors[there, place].tolist()
            pooled[name] = Heterogeneity.of(y, se, self.method)
            forests[f"forest:{name}"] = self._forest(pooled[name], there.tolist(), y, se, rows)
        notes = self._notes(known, pooled)
        if not pooled:
            return Done(answer=NOBODY, notes=[NOBODY, *notes], exact=False)
        return Done(
            exact=False,
            conventions=self._conventions(),
            coefficients=[
                wald([name], np.array([one.random.estimate]), np.array([[one.random.se**2]]))[0]
                for name, one in pooled.items()
            ],
            tables={
                "pooled": [
                    {"term": name, "model": model, **_interval(estimate)}
                    for name, one in pooled.items()
                    for model, estimate in (("fixed", one.fixed), ("random", one.random))
                ],
                "heterogeneity": [_heterogeneity(name, one) for name, one in pooled.items()],
                **forests,
            },
            figures=self._figures(pooled),
            notes=[TWO_STAGE, *notes],
            reproduce=self._calls(forests),
        )

    def _forest(
        self, pooled: Heterogeneity, there: list[int], y: list[float], se: list[float], rows: list[int]
    ) -> list[Row]:
        sites = zip(there, y, se, pooled.fixed.weights, pooled.random.weights, strict=True)
        return [
            *(
                {
                    "site": place + 1,
                    "n": rows[place],
                    **_interval(Pooled(estimate, error, ())),
                    "weight_fixed": fixed,
                    "weight_random": random,
                }
                for place, estimate, error, fixed, random in sites
            ),
            {"site": "fixed", "n": sum(rows[place] for place in there), **_interval(pooled.fixed)},
            {"site": "random", "n": sum(rows[place] for place in there), **_interval(pooled.random)},
        ]

    # Words.

    def _notes(
        self, known: np.ndarray[Any, np.dtype[np.bool_]], pooled: Mapping[str, Heterogeneity]
    ) -> list[str]:
        notes = []
        lost = [place + 1 for place in np.flatnonzero(~known.any(axis=1))]
        for site in lost:
            notes.append(f"Site {site} is left out: its own fit has no finite answer.")
        for place in range(len(known)):
            names = [
                name
                for name, there in zip(self.names, known[place], strict=True)
                if not there and name in pooled and name != INTERCEPT
            ]
            if names and place + 1 not in lost:
                notes.append(
                    f"Site {place + 1} takes no part for {wording.listed(names)}: its own fit has no estimate that "
                    "means the same."
                )
        if gone := [name for name in self.names if name not in pooled and name != INTERCEPT]:
            notes.append(f"No site has an estimate of {wording.listed(gone)}.")
        if alone := [name for name, one in pooled.items() if one.k == 1]:
            notes.append(ONE.format(f"Of {wording.listed(alone)}"))
        return notes

    def _conventions(self) -> dict[str, Any]:
        between = "DerSimonian and Laird" if self.method == "DL" else "restricted maximum likelihood"
        return {
            "model": f"two stages: {self.regression.title.lower()} within each hospital, then inverse-variance pooling",
            "coefficients": "random effects; the table “pooled” has fixed effects too",
            "tau2": between,
            "i2": "percent, from tau2 and the typical variance within a hospital",
            "se": "of a hospital, as its own fit gives it; of the pooled estimate, with weights taken as known",
            "ci": "wald",
            "level": 0.95,
            "missing": "complete cases over the columns named",
        }

    def _figures(self, pooled: Mapping[str, Heterogeneity]) -> list[Figure]:
        measure = str(getattr(self.regression, "ratio", ""))
        ratio = "ratio" in measure.lower()
        text = "Each hospital's own estimate with its 95% confidence interval, and below the pooled ones"
        return [
            Figure(
                "Forest",
                f"{name} by hospital",
                f"{text}; hospitals differ with I² {one.i2:.0f}%.",
                table=f"forest:{name}",
                axis=measure or "Estimate",
                ratio=ratio,
            )
            for name, one in pooled.items()
            if name != INTERCEPT
        ]

    def _calls(self, forests: Mapping[str, list[Row]]) -> dict[str, str]:
        """The pooling of one term in R and in Python, from the hospitals' rows of its forest table."""
        name = next((name for name in forests if name != f"forest:{INTERCEPT}"), next(iter(forests)))
        rows = [row for row in forests[name] if row["site"] not in ("fixed", "random")]
        held = {key: ", ".join(repr(row[key]) for row in rows) for key in ("estimate", "se")}
        python = (
            "import pandas as pd; from statsmodels.stats.meta_analysis import combine_effects; "
            f"forest = pd.DataFrame({{'estimate': [{held['estimate']}], 'se': [{held['se']}]}}); "
            "combine_effects(forest['estimate'], forest['se'] ** 2, method_re='dl').summary_frame()"
        )
        return {
            "r": f"forest <- data.frame(estimate = c({held['estimate']}), se = c({held['se']})); "
            f"metafor::rma(yi = estimate, sei = se, data = forest, method = {wording.quoted(self.method)})",
            "python": python if self.method == "DL" else "",  # statsmodels has no REML
        }


def _interval(pooled: Pooled) -> Row:
    width = critical() * pooled.se
    statistic = pooled.estimate / pooled.se
    return {
        "estimate": pooled.estimate,
        "se": pooled.se,
        "statistic": statistic,
        "p": two_sided(statistic),
        "ci_lower": pooled.estimate - width,
        "ci_upper": pooled.estimate + width,
    }


def _heterogeneity(name: str, one: Heterogeneity) -> Row:
    test = chi_square(one.q, one.k - 1)
    return {
        "term": name,
        "k": one.k,
        "q": test["statistic"],
        "df": test["df"],
        "p": test["p"],
        "i2": one.i2,
        "h2": one.h2,
        "tau2": one.tau2,
    }
