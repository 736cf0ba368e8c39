"""Weibull regression over hospitals: R's printed answers, the densities themselves, other cuts, and odd data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import WeibullAFTFitter
from lifelines.datasets import load_lung
from scipy.stats import weibull_min

from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks.stats.weibull_regression import WeibullRegression
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import simulate
from tests.tasks.stats.location_scale import assert_close, assert_maximum, column
from tests.tasks.stats.published import AML, cut, spread


def patients(n=240, seed=3):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.integers(20, 90, n),
            "sex": rng.choice(["f", "m"], n),
            "stage": rng.choice(["I", "II", "III"], n, p=[0.5, 0.3, 0.2]),
        }
    )
    time = np.exp(5 - 0.02 * table.age + 0.4 * (table.sex == "m") + 0.7 * np.log(rng.exponential(size=n)))
    end = rng.uniform(10, 120, n)
    table["time"] = np.ceil(np.minimum(time, end))
    table["died"] = (time <= end).astype(int)
    return table


DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "stage": {"type": "factor", "levels": ["I", "II", "III"]},
    "time": {"type": "number", "range": [0, 1000]},
    "died": {"type": "integer", "range": [0, 1]},
    "other": {"type": "number"},
}
TABLE = patients()
TERMS = ["age", "sex", "stage"]


def fit(frames, predictors=TERMS, dictionary=DICTIONARY, **more):
    given_ = {"time": "time", "event": "died", **more, "predictors": predictors}
    return simulate(WeibullRegression, frames, dictionary, rules="off", **given_)


def design(table=TABLE):
    columns = [np.ones(len(table)), table.age, table.sex == "m", table.stage == "II", table.stage == "III"]
    return np.column_stack(columns).astype(float)


def loglik(theta, table, x):
    """From scipy's Weibull: shape 1 / scale, and exp(x'b) its scale."""
    shape, size = np.exp(-theta[-1]), np.exp(x @ theta[:-1])
    dead = table.died == 1
    return np.where(
        dead,
        weibull_min.logpdf(table.time, shape, scale=size),
        weibull_min.logsf(table.time, shape, scale=size),
    ).sum()


def score(theta, table, x):
    scale = np.exp(theta[-1])
    z = (np.log(table.time.to_numpy(float)) - x @ theta[:-1]) / scale
    slope = table.died.to_numpy(float) - np.exp(z)  # of z
    return np.append(-x.T @ slope / scale, -(z * slope).sum() - table.died.sum())


def test_the_answer_r_printed_for_aml():
    """Tableman and Kim, Survival Analysis Using S, section 4.4: survreg(Surv(weeks, status) ~ group, data = aml)."""
    dictionary = {
        "time": {"type": "integer", "range": [0, 200]},
        "status": {"type": "integer", "range": [0, 1]},
        "x": {"type": "factor", "levels": ["Maintained", "Nonmaintained"]},
    }
    result = fit(spread(AML, 3), ["x"], dictionary, event="status")
    assert [row["term"] for row in result.coefficients] == ["(Intercept)", "xNonmaintained", "Log(scale)"]
    assert column(result, "estimate") == pytest.approx([4.109, -0.929, -0.235], abs=6e-4)
    assert column(result, "se") == pytest.approx([0.300, 0.383, 0.178], abs=6e-4)
    assert column(result, "p")[1] == pytest.approx(0.0153, abs=3e-4)
    assert result.statistics["scale"] == pytest.approx(0.791, abs=5e-4)
    assert result.statistics["loglik"] == pytest.approx(-80.5, abs=0.05)
    assert result.statistics["loglik_null"] == pytest.approx(-83.2, abs=0.05)
    assert (
        result.tests["lrt"]["statistic"] == pytest.approx(5.31, abs=5e-3) and result.tests["lrt"]["df"] == 1
    )


def test_the_answer_r_printed_for_lung():
    """summary(survreg(Surv(time, status) ~ ph.ecog + age + sex, lung)), as in the help of survreg."""
    lung = load_lung()[["time", "status", "ph.ecog", "age", "sex"]]
    dictionary = {name: {"type": "integer"} for name in lung}
    dictionary["status"] = {"type": "integer", "range": [0, 1]}
    result = fit(spread(lung, 5), ["ph.ecog", "age", "sex"], dictionary, event="status")
    assert column(result, "estimate") == pytest.approx(
        [6.27344, -0.33964, -0.00748, 0.40109, -0.31319], abs=6e-6
    )
    assert column(result, "se") == pytest.approx([0.45358, 0.08348, 0.00676, 0.12373, 0.06135], abs=6e-6)
    assert result.statistics["loglik"] == pytest.approx(-1132.4, abs=0.05)
    assert result.tests["lrt"]["statistic"] == pytest.approx(29.98, abs=5e-3)
    assert (result.n.used, result.n.dropped) == (227, 1)


def test_the_densities_themselves():
    result, x = fit(spread(TABLE, 4)), design()
    theta = column(result, "estimate")
    assert_maximum(result, lambda t: score(t, TABLE, x))
    assert result.statistics["loglik"] == pytest.approx(loglik(theta, TABLE, x), rel=1e-12)
    one = fit([TABLE], [])
    assert result.statistics["loglik_null"] == pytest.approx(one.statistics["loglik"], rel=1e-12)
    assert result.statistics["aic"] == pytest.approx(2 * 6 - 2 * result.statistics["loglik"], rel=1e-14)
    assert (result.statistics["df_residual"], result.n.events) == (234, TABLE.died.sum())
    assert set(result.tests) == {"lrt", "wald"} and result.tests["lrt"]["df"] == 4


def test_lifelines_says_the_same():
    result = fit(spread(TABLE, 2), ["age"])
    other = WeibullAFTFitter().fit(TABLE[["age", "time", "died"]], "time", "died")
    assert column(result, "estimate")[1] == pytest.approx(other.params_["lambda_", "age"], rel=1e-4)
    assert -column(result, "estimate")[2] == pytest.approx(other.params_["rho_", "Intercept"], rel=1e-4)
    assert column(result, "se")[1] == pytest.approx(other.standard_errors_["lambda_", "age"], rel=1e-3)
    assert result.statistics["loglik"] == pytest.approx(other.log_likelihood_, rel=1e-8)


@pytest.fixture(scope="module")
def whole():
    return fit([TABLE])


@settings(max_examples=6, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    assert_close(fit(spread(TABLE, sites, seed)), whole)


def test_sites_without_an_event_or_a_level_or_with_one_row_are_ordinary(whole):
    labels = np.where(TABLE.died == 0, 1, 2)
    labels[TABLE.stage == "III"] = 3
    labels[0] = 4
    result = fit(cut(TABLE, labels))
    assert_close(result, whole)
    assert not result.aliased


def test_the_order_of_sites_does_not_change_a_bit():
    frames = spread(TABLE, 5)
    one, two = fit(frames), fit(frames[::-1])
    assert one.coefficients == two.coefficients and one.statistics == two.statistics


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_units_do_not_matter(whole, factor):
    table = TABLE.assign(time=TABLE.time * factor, other=TABLE.age * factor)
    dictionary = {**DICTIONARY, "time": {"type": "number"}}
    result = fit(spread(table, 3), ["other", "sex", "stage"], dictionary)
    shift = np.array([np.log(factor), 0, 0, 0, 0, 0])
    size = np.array([1, factor, 1, 1, 1, 1])
    assert column(result, "estimate") * size - shift == pytest.approx(column(whole, "estimate"), rel=1e-8)
    assert column(result, "se") * size == pytest.approx(column(whole, "se"), rel=1e-8)


def test_hospitals_interactions_and_dependent_columns():
    labels = np.random.default_rng(2).integers(0, 3, len(TABLE))
    table = TABLE.assign(other=2.0 * TABLE.age)
    result = fit(cut(table, labels), ["age*sex", "other", ".site"])
    names = [row["term"] for row in result.coefficients]
    assert names == ["(Intercept)", "age", "sexm", ".site2", ".site3", "age:sexm", "Log(scale)"]
    assert result.aliased == ["other"]
    male = (TABLE.sex == "m").to_numpy(float)
    x = np.column_stack([np.ones(len(TABLE)), TABLE.age, male, labels == 1, labels == 2, TABLE.age * male])
    assert_maximum(result, lambda t: score(t, TABLE, x.astype(float)))


def test_a_group_without_events_is_separation_and_the_others_stay_exact():
    table = TABLE.copy()
    table.loc[table.stage == "III", "died"] = 0
    result = fit(spread(table, 3))
    rows = {row["term"]: row for row in result.coefficients}
    assert rows["stageIII"]["se"] is None
    assert any("Separation" in note and "stageIII" in note for note in result.notes)
    rest = fit([table[table.stage != "III"]])
    for row in rest.coefficients:
        assert rows[row["term"]]["estimate"] == pytest.approx(row["estimate"], rel=1e-7)
        assert rows[row["term"]]["se"] == pytest.approx(row["se"], rel=1e-7)


def test_no_event_one_time_and_perfect_prediction_are_sentences():
    assert "had the event" in fit(spread(TABLE.assign(died=0), 2)).notes[0]
    assert "the same for every patient" in fit(spread(TABLE.assign(time=7.0), 2), ["age"]).notes[0]
    perfect = TABLE.assign(time=np.exp(TABLE.age / 40), died=1)
    result = fit(spread(perfect, 2), ["age"])
    assert "without any error" in result.notes[0] and result.coefficients == []


def test_a_time_of_nought_is_a_sentence():
    frames = spread(TABLE, 2)
    frames[1].loc[0, "time"] = 0.0
    with pytest.raises(FriendlyError, match=r"Site 2: “time” is 0 or less in 1 rows"):
        fit(frames)


def test_missing_values_drop_rows():
    table = TABLE.copy()
    table.loc[:9, "age"] = np.nan
    result = fit(spread(table, 3))
    assert (result.n.used, result.n.dropped) == (230, 10)
    assert_close(result, fit([TABLE.iloc[10:]]))


def test_the_intercept_alone_and_few_events():
    result = fit(spread(TABLE, 2), [])
    assert [row["term"] for row in result.coefficients] == ["(Intercept)", "Log(scale)"]
    assert result.tests["lrt"]["statistic"] is None
    assert any("events for each term" in note for note in fit(spread(TABLE.head(40), 2)).notes)


def test_what_every_task_must_keep():
    check_task(
        WeibullRegression, spread(TABLE, 2), DICTIONARY, time="time", event="died", predictors=["age", "sex"]
    )
