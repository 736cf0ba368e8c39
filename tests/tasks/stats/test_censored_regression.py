"""Tobit over hospitals: the normal density itself, other cuts of the rows, both limits, detection limits, odd data."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.censored_regression import CensoredRegression
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.location_scale import assert_close, assert_maximum, column
from tests.tasks.stats.published import cut, spread


def patients(n=240, seed=3):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.integers(20, 90, n),
            "sex": rng.choice(["f", "m"], n),
            "stage": rng.choice(["I", "II", "III"], n, p=[0.5, 0.3, 0.2]),
        }
    )
    table["y"] = np.round(-2 + 0.1 * table.age - (table.sex == "m") + rng.normal(size=n) * 3, 2)
    return table


DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "stage": {"type": "factor", "levels": ["I", "II", "III"]},
    "y": {"type": "number", "range": [-50, 50]},
    "low": {"type": "integer", "range": [0, 1]},
    "other": {"type": "number"},
}
TABLE = patients()
TERMS = ["age", "sex", "stage"]


def fit(frames, predictors=TERMS, dictionary=DICTIONARY, **more):
    given_ = {"outcome": "y", **(more or {"lower": 0}), "predictors": predictors}
    return simulate(CensoredRegression, frames, dictionary, rules="off", **given_)


def design(table=TABLE):
    columns = [np.ones(len(table)), table.age, table.sex == "m", table.stage == "II", table.stage == "III"]
    return np.column_stack(columns).astype(float)


def parts(theta, x, y, low, high):
    """Per row: log-likelihood, its slopes in the mean and in Log(scale)."""
    scale = np.exp(theta[-1])
    z = (y - x @ theta[:-1]) / scale
    loglik = np.where(low, norm.logcdf(z), np.where(high, norm.logsf(z), norm.logpdf(z) - theta[-1]))
    below, above = np.exp(norm.logpdf(z) - norm.logcdf(z)), np.exp(norm.logpdf(z) - norm.logsf(z))
    slope = np.where(low, below, np.where(high, -above, -z))
    return loglik, -slope / scale, -z * slope - ~(low | high)


def held(table, lower=-np.inf, upper=np.inf):
    y = table.y.to_numpy(float)
    return np.clip(y, lower, upper), y <= lower, y >= upper


def score(theta, x, y, low, high):
    _, mean, scale = parts(theta, x, y, low, high)
    return np.append(x.T @ mean, scale.sum())


@pytest.mark.parametrize("limits", [{"lower": 0}, {"upper": 6.5}, {"lower": 0, "upper": 6}, {"lower": -1e9}])
def test_the_density_itself(limits):
    result, x = fit(spread(TABLE, 4), **limits), design()
    known = held(TABLE, **limits)
    theta = column(result, "estimate")
    assert_maximum(result, lambda t: score(t, x, *known))
    got = result.statistics
    assert got["loglik"] == pytest.approx(parts(theta, x, *known)[0].sum(), rel=1e-12)
    assert got["scale"] == pytest.approx(np.exp(theta[-1]), rel=1e-14)
    counts = known[1].sum(), 240 - known[1].sum() - known[2].sum(), known[2].sum()
    assert (got["n_left_censored"], got["n_uncensored"], got["n_right_censored"]) == counts
    assert got["loglik_null"] == pytest.approx(fit([TABLE], [], **limits).statistics["loglik"], rel=1e-12)
    assert got["df_residual"] == 234 and result.tests["lrt"]["df"] == 4
    assert result.figures[0].axis == "Difference in y"
    assert ("linear regression" in " ".join(result.notes)) == (limits == {"lower": -1e9})


def test_without_a_limited_outcome_it_is_linear_regression():
    result = fit(spread(TABLE, 3), lower=-40)
    ols = sm.OLS(TABLE.y, design()).fit()
    assert column(result, "estimate")[:-1] == pytest.approx(ols.params.to_numpy(), rel=1e-9)
    assert result.statistics["loglik"] == pytest.approx(ols.llf, rel=1e-12)
    assert result.statistics["scale"] == pytest.approx(np.sqrt(ols.ssr / 240), rel=1e-10)


def test_a_column_of_detection_limits():
    """Each patient has an own limit; with one limit for all it is the lower limit."""
    limit = np.where(TABLE.age % 2 == 0, 1.0, 2.5)
    table = TABLE.assign(low=(TABLE.y <= limit).astype(int), y=np.maximum(TABLE.y, limit))
    result, x = fit(spread(table, 3), censored="low"), design()
    assert_maximum(result, lambda t: score(t, x, table.y.to_numpy(float), table.low == 1, table.low > 1))
    same = TABLE.assign(low=(TABLE.y <= 0).astype(int), y=np.maximum(TABLE.y, 0.0))
    assert_close(fit(spread(same, 3), censored="low"), fit([TABLE], lower=0))
    both = fit(spread(same, 3), censored="low", upper=6)
    assert_close(both, fit([TABLE], lower=0, upper=6))
    assert "interval2" in both.reproduce.r and "interval2" in fit([TABLE]).reproduce.r


@pytest.fixture(scope="module")
def whole():
    return fit([TABLE], lower=0, upper=9)


@settings(max_examples=6, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    assert_close(fit(spread(TABLE, sites, seed), lower=0, upper=9), whole)


def test_sites_where_all_is_limited_or_a_level_is_absent_or_with_one_row_are_ordinary():
    labels = np.where(TABLE.y <= 0, 1, 2)
    labels[TABLE.stage == "III"] = 3
    labels[0] = 4
    assert_close(fit(cut(TABLE, labels)), fit([TABLE]))


def test_the_order_of_sites_does_not_change_a_bit():
    frames = spread(TABLE, 5)
    one, two = fit(frames), fit(frames[::-1])
    assert one.coefficients == two.coefficients and one.statistics == two.statistics


@pytest.mark.parametrize(("factor", "shift"), [(1e-12, 0.0), (1e12, 0.0), (1.0, 1e6)])
def test_units_and_a_far_nought_do_not_matter(factor, shift):
    table = TABLE.assign(y=TABLE.y * factor + shift, other=TABLE.age * factor)
    ends = [-50 * factor + shift, 50 * factor + shift]
    dictionary = {**DICTIONARY, "y": {"type": "number", "range": ends}}
    result = fit(spread(table, 3), ["other", "sex"], dictionary, lower=0.0 * factor + shift)
    plain = fit([TABLE], ["age", "sex"])
    size, moved = np.array([factor, 1, factor, 1]), np.array([shift, 0, 0, np.log(factor)])
    assert (column(result, "estimate") - moved) / size == pytest.approx(column(plain, "estimate"), rel=1e-7)
    assert column(result, "se") / size == pytest.approx(column(plain, "se"), rel=1e-7)


def test_dependent_columns_hospitals_and_interactions():
    labels = np.random.default_rng(2).integers(0, 3, len(TABLE))
    result = fit(cut(TABLE.assign(other=2.0 * TABLE.age), labels), ["age*sex", "other", ".site"])
    names = [row["term"] for row in result.coefficients]
    assert names == ["(Intercept)", "age", "sexm", ".site2", ".site3", "age:sexm", "Log(scale)"]
    assert result.aliased == ["other"]


def test_a_level_always_below_the_limit_is_separation_and_the_others_stay_exact():
    table = TABLE.copy()
    table.loc[table.stage == "III", "y"] = -1.0
    result = fit(spread(table, 3))
    rows = {row["term"]: row for row in result.coefficients}
    assert rows["stageIII"]["se"] is None and any("stageIII" in note for note in result.notes)
    for row in fit([table[table.stage != "III"]]).coefficients:
        assert rows[row["term"]]["estimate"] == pytest.approx(row["estimate"], rel=1e-7)
        assert rows[row["term"]]["se"] == pytest.approx(row["se"], rel=1e-7)


def test_nothing_known_no_spread_and_no_error_are_sentences():
    assert "only known as a limit" in fit(spread(TABLE, 2), lower=49).notes[0]
    assert "the same for every patient" in fit(spread(TABLE.assign(y=7.0), 2), ["age"]).notes[0]
    perfect = fit(spread(TABLE.assign(y=TABLE.age / 4.0 - 10), 2), ["age"])
    assert "without any error" in perfect.notes[0] and perfect.coefficients == []
    one = TABLE.assign(y=np.where(TABLE.index == 5, 3.0, -1.0))
    assert fit(spread(one, 2), ["age", "sex"]).notes


def test_limits_must_be_given_and_make_sense():
    with pytest.raises(UsageError, match="Give a lower limit"):
        simulate(CensoredRegression, [TABLE], DICTIONARY, rules="off", outcome="y", predictors="age")
    with pytest.raises(UsageError, match="must be below"):
        fit([TABLE], lower=2, upper=2)


def test_few_limited_outcomes_at_a_hospital_are_refused_under_rules():
    table = TABLE.assign(y=np.abs(TABLE.y) + 1)
    table.loc[:2, "y"] = 0.0
    outcome = run(
        CensoredRegression,
        [table, TABLE],
        DICTIONARY,
        parameters={"outcome": "y", "lower": 0, "predictors": "age"},
    )
    assert outcome.result.privacy.refused[0]["rule"] == "cell" and outcome.result.coefficients == []


def test_what_every_task_must_keep():
    check_task(
        CensoredRegression, spread(TABLE, 2), DICTIONARY, outcome="y", lower=0, predictors=["age", "sex"]
    )
