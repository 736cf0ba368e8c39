"""Correlations over hospitals: what R prints, scipy, and columns that would trouble other sums."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.correlation import Correlation
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import simulate
from tests.tasks.stats.published import cut, spread

# ?cor.test, Hollander & Wolfe (1973) p. 187: lightness of tuna and a panel's score. R prints for Pearson
# t = 1.8411, df = 7, p-value = 0.1082, interval -0.1497426 0.8955795, cor 0.5711816; for Spearman S = 48, rho = 0.6
TUNA = pd.DataFrame(
    {
        "x": [44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1],
        "y": [2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8],
    }
)
NAMES = ["age", "crp", "year", "cells"]


def patients(n=250, seed=5):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 95, n)
    return pd.DataFrame(
        {
            "age": age,
            "crp": np.round(rng.gamma(1.2, 15.0, n) + age / 5, 1),
            "year": rng.integers(2015, 2018, n) - (age > 60),
            "cells": 10**9 + rng.integers(0, 50, n) * 2 - age,
        }
    )


def numbers(*names):
    return {name: {"type": "number"} for name in names}


def run(table, variables, parts=3, dictionary=None, **more):
    frames = spread(table, parts) if isinstance(table, pd.DataFrame) else table
    dictionary = dictionary or numbers(*variables)
    return simulate("correlation", frames, dictionary, rules="off", variables=list(variables), **more)


def test_pearson_as_r_prints_it():
    result = run(TUNA, ["x", "y"])
    row = result.tests["pearson"]
    assert (row["statistic"], row["df"]) == (pytest.approx(1.8411, abs=5e-5), 7)
    assert row["p"] == pytest.approx(0.1082, abs=5e-5)
    assert row["estimate"] == pytest.approx(0.5711816, abs=5e-8)
    assert (row["ci_lower"], row["ci_upper"]) == (
        pytest.approx(-0.1497426, abs=5e-8),
        pytest.approx(0.8955795, abs=5e-8),
    )
    assert result.tables["correlation"][0] == {"variable": "x", "x": 1.0, "y": row["estimate"]}


def test_spearman_as_r_prints_it():
    row = run(TUNA, ["x", "y"], method="spearman").tests["spearman"]
    assert (row["statistic"], row["estimate"]) == (
        pytest.approx(48, rel=1e-12),
        pytest.approx(0.6, rel=1e-12),
    )
    assert row["p"] == pytest.approx(stats.spearmanr(TUNA.x, TUNA.y).pvalue, rel=1e-9)


def test_against_scipy():
    table = patients()
    result = run(table, NAMES, 4)
    ranks = run(table, NAMES, 4, method="spearman")
    for a, b in itertools.combinations(NAMES, 2):
        wanted, row = stats.pearsonr(table[a], table[b]), result.tests[f"pearson_{a}_{b}"]
        assert row["estimate"] == pytest.approx(
            np.corrcoef(table[a] - table[a][0], table[b] - table[b][0])[0, 1], abs=1e-12
        )
        limits = wanted.confidence_interval()
        assert (row["ci_lower"], row["ci_upper"]) == (
            pytest.approx(limits.low, rel=1e-7),
            pytest.approx(limits.high, rel=1e-7),
        )
        row = ranks.tests[f"spearman_{a}_{b}"]
        assert row["estimate"] == pytest.approx(stats.spearmanr(table[a], table[b]).statistic, rel=1e-11)
        assert row["variables"] == [a, b]
    wide = {row["variable"]: row for row in ranks.tables["correlation"]}
    assert wide["age"]["crp"] == wide["crp"]["age"] == ranks.tests["spearman_age_crp"]["estimate"]


def test_a_falling_relation_has_rs_p():
    """R 4.2.2: with(mtcars[1:12, ], cor.test(mpg, wt, method = "spearman", exact = FALSE))"""
    cars = pd.DataFrame(
        {
            "mpg": [21, 21, 22.8, 21.4, 18.7, 18.1, 14.3, 24.4, 22.8, 19.2, 17.8, 16.4],
            "wt": [2.62, 2.875, 2.32, 3.215, 3.44, 3.46, 3.57, 3.19, 3.15, 3.44, 3.44, 4.07],
        }
    )
    row = run(cars, ["mpg", "wt"], method="spearman").tests["spearman"]
    assert (row["statistic"], row["estimate"], row["p"]) == (
        pytest.approx(520.460827713915819, rel=1e-12),
        pytest.approx(-0.81979310389481019, rel=1e-12),
        pytest.approx(0.00109649934636214, rel=1e-9),
    )


def test_levels_in_order_have_ranks():
    table = patients().assign(stage=lambda d: np.where(d.age > 70, "III", np.where(d.age > 40, "II", "I")))
    stage = {"type": "factor", "levels": ["I", "II", "III"], "ordered": True}
    found = run(table, ["age", "stage"], dictionary={**numbers("age"), "stage": stage}, method="spearman")
    wanted = stats.spearmanr(table.age, table.stage.map(stage["levels"].index)).statistic
    assert found.tests["spearman"]["estimate"] == pytest.approx(wanted, rel=1e-11)
    with pytest.raises(UsageError, match="must be numbers"):
        run(table, ["age", "stage"], dictionary={**numbers("age"), "stage": stage})
    with pytest.raises(UsageError, match="have none"):
        unordered = {**stage, "ordered": False}
        run(table, ["age", "stage"], dictionary={**numbers("age"), "stage": unordered}, method="spearman")
    with pytest.raises(UsageError, match="at least 2"):
        run(table, ["age"])


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_columns_that_say_nothing_or_the_same(method):
    table = patients(40).assign(same=7.3, double=lambda d: 2 * d.age - 5, less=lambda d: 900 - d.age)
    result = run(table, ["age", "same", "double", "less"], method=method)
    wide = {row["variable"]: row for row in result.tables["correlation"]}
    assert wide["age"]["same"] is None and wide["same"]["same"] is None
    assert (wide["age"]["double"], wide["age"]["less"]) == (1.0, -1.0)
    assert result.tests[f"{method}_age_double"]["p"] == 0.0
    assert result.tests[f"{method}_age_same"]["p"] is None
    assert any("same value" in note for note in result.notes) and any(
        "1 or -1" in note for note in result.notes
    )


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_few_patients(method):
    for n in (1, 2, 3):
        result = run(TUNA.head(n), ["x", "y"], 1, method=method)
        assert any("no test" in note for note in result.notes) == (n < 3)
        assert (result.tests[method]["p"] is None) == (n < 3)
    nobody = run(
        [TUNA.assign(x=np.nan)],
        ["x", "y"],
        dictionary={
            "x": {"type": "number", "range": [0, 99], "step": 1},
            "y": {"type": "number", "range": [0, 99]},
        },
    )
    assert nobody.tests == {} and nobody.notes


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 20), st.sampled_from(["pearson", "spearman"]), st.integers(0, 2**32 - 1))
def test_the_answer_does_not_depend_on_the_cut(sites, method, seed):
    rng = np.random.default_rng(seed)
    table = patients(60, seed)
    table.loc[rng.random(60) < 0.1, "crp"] = np.nan
    frames = cut(table, rng.integers(0, sites, len(table)))
    one, many, back = (run(parts, NAMES, method=method) for parts in ([table], frames, frames[::-1]))
    assert many.tests == back.tests and many.tables == back.tables
    for name, row in one.tests.items():
        assert many.tests[name]["estimate"] == pytest.approx(row["estimate"], abs=1e-12)
        assert many.tests[name]["p"] == pytest.approx(row["p"], rel=1e-7)
    complete = table.dropna()
    assert one.n.used == len(complete)
    assert one.tables["correlation"][0]["crp"] == pytest.approx(
        complete[NAMES].corr(method=method).loc["age", "crp"], rel=1e-9, abs=1e-12
    )


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_it_keeps_the_rules_for_tasks(method):
    rng = np.random.default_rng(2)
    a = rng.integers(0, 4, 600)
    table = pd.DataFrame({"a": a, "b": (a + rng.integers(0, 3, 600)) // 2})
    wanted = table.corr(method=method).loc["a", "b"]
    dictionary = {"a": {"type": "integer", "range": [0, 9]}, "b": {"type": "integer", "range": [0, 9]}}
    pooled = {f"tests.{method}.estimate": wanted}
    check_task(Correlation, spread(table, 3), dictionary, pooled=pooled, variables="a,b", method=method)
