"""What an author gets from the base: families with a few lines each, against closed forms and statsmodels."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import gammaln

from friendlyfl.tasks import Column, Sum
from friendlyfl.tasks.stats.glm import GeneralisedLinear
from friendlyfl.tasks.stats.likelihood import Likelihood
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.published import spread

RNG = np.random.default_rng(5)
TABLE = pd.DataFrame({"age": RNG.integers(20, 90, 200), "dose": np.round(RNG.gamma(2.0, 4.0, 200), 2)})
TABLE["visits"] = RNG.poisson(np.exp(-1 + 0.02 * TABLE.age))
TABLE["weight"] = np.round(60 + 0.2 * TABLE.age - 0.5 * TABLE.dose + RNG.normal(size=200) * 4, 1)


class Poisson(GeneralisedLinear):
    """How often? Rate ratios for a count."""

    title, version, ratio = "Poisson regression", "1.0", "Rate ratio"
    outcome = Column("Outcome", kinds=["number"])

    def outcome_of(self, data):
        return data[self.outcome]

    def begin(self, total):
        return np.array([np.log(total["outcome"] / total["weight"])])

    def units(self, outcome, eta):
        rate = np.exp(eta)
        return outcome * eta - rate - gammaln(outcome + 1), outcome - rate, rate

    def deviance(self, loglik, moments):
        return -2.0 * loglik


class Normal(Likelihood):
    """How much? A mean and a spread, by maximum likelihood: a family with a parameter beside its coefficients."""

    title, version = "Normal regression", "1.0"
    sends: ClassVar = {**Likelihood.sends, "outcome": Sum, "squares": Sum}
    outcome = Column("Outcome", kinds=["number"])

    def extra(self):
        return ["Log(scale)"]

    def sums(self, data):
        y = data[self.outcome]
        return {"outcome": y.sum(), "squares": y @ y}

    def begin(self, total):
        mean = total["outcome"] / total["rows"]
        return np.array([mean, np.log(total["squares"] / total["rows"] - mean**2) / 2])

    def rows(self, data, theta):
        x, y = data.design(self.predictors), data[self.outcome]
        scale = np.exp(theta[-1])
        z = (y - x @ theta[:-1]) / scale
        loglik = -0.5 * (z @ z) - len(z) * (theta[-1] + 0.5 * np.log(2 * np.pi))
        score = np.append(x.T @ z / scale, z @ z - len(z))
        info = np.zeros((len(theta), len(theta)))
        info[:-1, :-1] = x.T @ x / scale**2
        info[-1, :-1] = info[:-1, -1] = 2 * x.T @ z / scale
        info[-1, -1] = 2 * (z @ z)
        return float(loglik), score, info


def column(result, key):
    return np.array([row[key] for row in result.coefficients], dtype=float)


@pytest.mark.parametrize("sites", [1, 4])
def test_poisson_in_a_few_lines(sites):
    result = simulate(
        Poisson,
        spread(TABLE, sites),
        rules="off",
        outcome="visits",
        predictors=["age", "dose"],
        offset="dose",
    )
    x = sm.add_constant(TABLE[["age", "dose"]].to_numpy(float))
    wanted = sm.GLM(TABLE.visits, x, family=sm.families.Poisson(), offset=TABLE.dose.to_numpy()).fit(
        tol=1e-14, maxiter=200
    )
    se = wanted.bse.to_numpy()
    assert np.abs((column(result, "estimate") - wanted.params.to_numpy()) / se).max() < 1e-8
    assert column(result, "se") == pytest.approx(se, rel=1e-8)
    assert result.statistics["loglik"] == pytest.approx(wanted.llf, rel=1e-10)
    assert result.statistics["loglik_null"] == pytest.approx(wanted.llnull, rel=1e-10)
    assert result.figures[0].title == "Poisson regression: rate ratios"


@pytest.mark.parametrize("sites", [1, 3])
def test_a_parameter_beside_the_coefficients(sites):
    result = simulate(Normal, spread(TABLE, sites), rules="off", outcome="weight", predictors=["age", "dose"])
    assert [row["term"] for row in result.coefficients] == ["(Intercept)", "age", "dose", "Log(scale)"]
    ols = sm.OLS(TABLE.weight, sm.add_constant(TABLE[["age", "dose"]].to_numpy(float))).fit()
    assert column(result, "estimate")[:3] == pytest.approx(ols.params.to_numpy(), rel=1e-9)
    scale = np.sqrt(ols.ssr / 200)
    assert column(result, "estimate")[3] == pytest.approx(np.log(scale), abs=1e-10)
    assert column(result, "se")[:3] == pytest.approx(
        ols.bse.to_numpy() * scale / np.sqrt(ols.scale), rel=1e-8
    )
    assert column(result, "se")[3] == pytest.approx(np.sqrt(0.5 / 200), rel=1e-8)
    assert result.statistics["loglik"] == pytest.approx(ols.llf, rel=1e-11)
    assert result.tests["lrt"]["statistic"] == pytest.approx(
        2 * (ols.llf - sm.OLS(TABLE.weight, np.ones(200)).fit().llf)
    )
    assert result.tests["lrt"]["df"] == 2 and result.statistics["df_null"] == 198


class Wild(Poisson):
    """A count whose first step leaps so far that the link overflows."""

    def begin(self, total):
        return np.array([-9.0])


def test_an_overflow_halves_the_step():
    result = simulate(Wild, spread(TABLE, 2), rules="off", outcome="visits", predictors=["age"])
    plain = simulate(Poisson, spread(TABLE, 2), rules="off", outcome="visits", predictors=["age"])
    assert column(result, "estimate") == pytest.approx(column(plain, "estimate"), rel=1e-9)
    assert result.rounds > plain.rounds


class Lost(Wild):
    """A start from which twenty halvings do not lead back."""

    def begin(self, total):
        return np.array([-30.0])


def test_a_search_that_cannot_begin_is_a_sentence():
    result = simulate(Lost, spread(TABLE, 2), rules="off", outcome="visits", predictors=["age"])
    assert "The search stopped" in result.notes[0] and result.coefficients == []


class Short(Poisson):
    """A search that gets too few rounds."""

    max_rounds = 4


def test_no_answer_in_time_is_a_sentence_with_the_last_decrement():
    outcome = run(
        Short, spread(TABLE, 2), rules="off", parameters={"outcome": "visits", "predictors": ["age"]}
    )
    assert outcome.error is not None and outcome.error.exit_code == 4
    assert "did not reach an answer in 4 rounds (the last decrement was" in outcome.result.notes[0]
    assert outcome.result.coefficients == []


def test_large_values_stay_within_what_can_be_added():
    table = TABLE.assign(cells=TABLE.dose * 1e15)
    dictionary = {
        "age": {"type": "integer", "range": [0, 120]},
        "visits": {"type": "integer", "range": [0, 100]},
        "cells": {"type": "number", "range": [0, 1e18]},
    }
    result = simulate(
        Poisson, spread(table, 2), dictionary, rules="off", outcome="visits", predictors=["cells"]
    )
    plain = simulate(Poisson, spread(TABLE, 2), rules="off", outcome="visits", predictors=["dose"])
    assert column(result, "statistic") == pytest.approx(column(plain, "statistic"), rel=1e-9)


def test_more_rows_than_a_block_are_summed_in_blocks():
    many = pd.concat([TABLE] * 25, ignore_index=True)  # 5,000 rows
    result = simulate(
        Poisson, [many], rules="off", outcome="visits", predictors=["age", "dose"], robust="HC0"
    )
    once = simulate(Poisson, [TABLE], rules="off", outcome="visits", predictors=["age", "dose"], robust="HC0")
    assert column(result, "estimate") == pytest.approx(column(once, "estimate"), rel=1e-9)
    for key in ("se", "se_robust"):
        assert column(result, key) * 5 == pytest.approx(column(once, key), rel=1e-9)
    assert result.statistics["loglik"] == pytest.approx(25 * once.statistics["loglik"], rel=1e-12)
