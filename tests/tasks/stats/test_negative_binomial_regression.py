"""Negative binomial regression over hospitals: R's definitions, statsmodels, other cuts of the rows, and odd data."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import polygamma
from statsmodels.discrete.discrete_model import NegativeBinomial

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.gamma_function import LISTED, log_bend, log_peak, rising, stirling_rest
from friendlyfl.tasks.stats.negative_binomial_regression import NegativeBinomialRegression
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.published import cut, spread

N = 260
DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "ward": {"type": "factor", "levels": ["a", "b", "c"]},
    "log_years": {"type": "number", "range": [-1000, 1000]},
    "falls": {"type": "number"},
}
NO_THETA = "The counts vary no more than a Poisson law says"


def patients(theta=1.2, size=1.0, seed=4):
    """Made-up counts of the given theta, or of a Poisson law if it is None."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.integers(20, 90, N),
            "sex": rng.choice(["f", "m"], N),
            "ward": rng.choice(["a", "b", "c"], N),
            "log_years": np.round(rng.normal(size=N) / 2, 2),
        }
    )
    mean = size * np.exp(-0.5 + 0.02 * table.age + 0.4 * (table.sex == "m") + table.log_years)
    table["falls"] = (
        rng.poisson(mean) if theta is None else rng.negative_binomial(theta, theta / (theta + mean))
    )
    return table


TABLE = patients()


def fit(frames, predictors="age,sex", dictionary=DICTIONARY, **more):
    given_ = {"outcome": "falls", "predictors": predictors, **more}
    return simulate("negative_binomial_regression", frames, dictionary, rules="off", **given_)


def design(table=TABLE):
    return np.column_stack([np.ones(len(table)), table.age, table.sex == "m"]).astype(float)


def joint(table, x, start, offset=None):
    """The joint maximum of statsmodels, searched from where we say it is."""
    model = NegativeBinomial(table.falls, x, offset=offset)
    return model.fit(start_params=start, method="newton", tol=1e-13, maxiter=300, disp=0)


def held(table, x, alpha, offset=None):
    """R's last step: a glm whose theta is known."""
    family = sm.families.NegativeBinomial(alpha=alpha)
    return sm.GLM(table.falls, x, family=family, offset=offset).fit(tol=1e-15, maxiter=300)


def column(result, key):
    return np.array([row[key] for row in result.coefficients], dtype=float)


def assert_close(result, other, factor=1e-9):
    se = column(other, "se")
    assert np.abs((column(result, "estimate") - column(other, "estimate")) / se).max() <= factor
    assert np.abs(column(result, "se") / se - 1).max() <= factor
    theta = (result.statistics["theta"] - other.statistics["theta"]) / other.statistics["se_theta"]
    assert abs(theta) <= factor


@pytest.mark.parametrize(("theta", "size"), [(1.2, 1.0), (0.05, 1.0), (0.3, 1e4), (20.0, 10.0), (800.0, 1e4)])
def test_everything_glm_nb_reports(theta, size):
    table = patients(theta, size)
    offset = table.log_years.to_numpy()
    result = fit(spread(table, 3), offset="log_years")
    got, x = result.statistics, design(table)
    both = joint(table, x, [*column(result, "estimate"), got["alpha"]], offset)
    assert np.abs((column(result, "estimate") - both.params[:3]) / column(result, "se")).max() < 1e-7
    assert got["alpha"] == pytest.approx(both.params.iloc[-1], rel=1e-7)
    assert got["theta"] == pytest.approx(1 / both.params.iloc[-1], rel=1e-7)
    assert column(result, "se_joint") == pytest.approx(both.bse[:3].to_numpy(), rel=1e-6)
    wanted, null = (held(table, columns, got["alpha"], offset) for columns in (x, np.ones((N, 1))))
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy(), rel=1e-7)
    assert column(result, "p") == pytest.approx(wanted.pvalues.to_numpy(), rel=1e-5)
    assert np.array(result.vcov.values) == pytest.approx(wanted.cov_params().to_numpy(), rel=1e-6, abs=1e-12)
    assert got["loglik"] == pytest.approx(both.llf, rel=1e-9)
    assert got["two_loglik"] == 2 * got["loglik"]
    assert got["aic"] == pytest.approx(8 - 2 * both.llf, rel=1e-9)
    assert got["bic"] == pytest.approx(4 * np.log(N) - 2 * both.llf, rel=1e-9)
    assert (got["deviance"], got["null_deviance"]) == pytest.approx(
        (wanted.deviance, null.deviance), rel=1e-8
    )
    assert got["pearson_chi2"] == pytest.approx(wanted.pearson_chi2, rel=1e-8)
    assert (got["df_residual"], got["df_null"], got["dispersion"]) == (N - 3, N - 1, 1.0)
    y, mean, size_ = table.falls, wanted.fittedvalues, got["theta"]
    bend = -polygamma(1, size_ + y) + polygamma(1, size_) - 1 / size_ + 2 / (mean + size_)
    assert got["se_theta"] == pytest.approx(
        (bend - (y + size_) / (mean + size_) ** 2).sum() ** -0.5, rel=1e-5
    )
    assert result.n.events == y.sum()


def test_the_null_model_has_its_own_theta():
    result = fit(spread(TABLE, 3))
    null = fit(spread(TABLE, 3), [])
    assert result.statistics["loglik_null"] == pytest.approx(null.statistics["loglik"], rel=1e-12)
    alone = joint(TABLE, np.ones((N, 1)), [column(null, "estimate")[0], null.statistics["alpha"]])
    assert null.statistics["loglik"] == pytest.approx(alone.llf, rel=1e-11)
    assert null.statistics["deviance"] == pytest.approx(null.statistics["null_deviance"], rel=1e-12)
    lrt = 2 * (result.statistics["loglik"] - alone.llf)
    assert result.tests["lrt"]["statistic"] == pytest.approx(lrt, rel=1e-9) and result.tests["lrt"]["df"] == 2


def test_joint_errors_take_over_if_asked():
    model, both = fit(spread(TABLE, 3)), fit(spread(TABLE, 3), se="joint")
    for key in ("estimate", "se", "se_joint"):
        assert column(model, key) == pytest.approx(column(both, key), rel=1e-12)
    assert column(both, "statistic") == pytest.approx(column(both, "estimate") / column(both, "se_joint"))
    assert column(model, "statistic") == pytest.approx(column(model, "estimate") / column(model, "se"))
    assert np.sqrt(np.diag(np.array(both.vcov.values))) == pytest.approx(column(both, "se_joint"))
    assert both.vcov.names == ["(Intercept)", "age", "sexm"] and "joint" in both.conventions["se"]


@pytest.fixture(scope="module")
def whole():
    """The fit of one table."""
    return fit([TABLE], offset="log_years")


@settings(max_examples=6, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    assert_close(fit(spread(TABLE, sites, seed), offset="log_years"), whole)


def test_the_order_of_sites_does_not_change_a_bit():
    frames = spread(TABLE, 5)
    one, two = fit(frames), fit(frames[::-1])
    assert one.coefficients == two.coefficients and one.statistics == two.statistics


def test_a_site_without_events_and_one_with_a_single_row_are_ordinary():
    labels = np.where(TABLE.falls == 0, 1, 2)
    labels[5] = 3
    assert_close(fit(cut(TABLE, labels)), fit([TABLE]))


@pytest.mark.parametrize("offset", [None, "log_years"])
def test_no_more_variation_than_by_chance_is_a_sentence(offset):
    table = patients(None, 5.0, seed=2)
    mean = np.exp(
        design(table) @ sm.GLM(table.falls, design(table), family=sm.families.Poisson()).fit().params
    )
    if offset is None:  # less than by chance
        table.falls = np.round(mean).astype(int)
    outcome = run(
        "negative_binomial_regression", spread(table, 3), DICTIONARY, rules="off",
        parameters={"outcome": "falls", "predictors": "age,sex", "offset": offset},
    )  # fmt: skip
    assert outcome.error is not None and outcome.error.exit_code == 4
    assert outcome.result.notes[0].startswith(NO_THETA) and not outcome.result.coefficients


@pytest.mark.parametrize("seed", range(6))
def test_counts_near_a_poisson_law_are_decided_as_the_likelihood_says(seed):
    """Theta is finite just when squared residuals of the Poisson fit exceed the counts."""
    table = patients(None, 2.0, seed=seed)
    x, offset = design(table), table.log_years.to_numpy()
    poisson = sm.GLM(table.falls, x, family=sm.families.Poisson(), offset=offset).fit(tol=1e-14)
    surplus = ((table.falls - poisson.fittedvalues) ** 2 - table.falls).sum()
    result = fit(spread(table, 2), offset="log_years")
    assert bool(result.coefficients) == (surplus > 0), surplus
    assert result.coefficients or result.notes[0].startswith(NO_THETA)


def test_one_count_that_varies_less_than_by_chance():
    table = TABLE.assign(falls=TABLE.index % 2 + 3)
    result = fit(spread(table, 3), [])
    assert result.notes[0].startswith(NO_THETA) and not result.coefficients


def test_no_event_at_all_is_a_sentence():
    result = fit(spread(TABLE.assign(falls=0), 3))
    assert result.notes == ["Every count in this analysis is 0, so there is nothing to explain."]


@pytest.mark.parametrize(("value", "words"), [(-1, "below 0"), (1.5, "not whole numbers")])
def test_what_is_no_count_is_a_sentence_with_its_rows(value, words):
    table = TABLE.assign(falls=TABLE.falls.astype(float))
    table.loc[6, "falls"] = value
    with pytest.raises(UsageError, match=f"row 7 are {words}"):
        fit([table])


def test_a_level_without_any_event_leaves_the_other_terms_exact():
    table = TABLE.assign(falls=np.where(TABLE.ward == "c", 0, TABLE.falls))
    result = fit(spread(table, 3), "age,sex,ward")
    rows = {row["term"]: row for row in result.coefficients}
    assert (
        rows["wardc"]["se"] is None and rows["wardc"]["se_joint"] is None and rows["wardc"]["estimate"] < -20
    )
    rest = fit([table[table.ward != "c"]], "age,sex,ward")
    others = [row for row in result.coefficients if row["term"] != "wardc"]
    for key in ("estimate", "se", "se_joint"):
        wanted = [row[key] for row in rest.coefficients]
        assert [row[key] for row in others] == pytest.approx(wanted, rel=1e-7)
    for name in ("loglik", "theta", "se_theta", "deviance"):
        assert result.statistics[name] == pytest.approx(rest.statistics[name], rel=1e-7)
    assert (
        "“wardc” grows without bound, because it marks patients who all have a count of 0" in result.notes[0]
    )


def test_dependent_and_absent_columns_are_named():
    dictionary = {**DICTIONARY, "ward": {"type": "factor", "levels": ["a", "b", "c", "d"]}}
    dictionary["twice"] = {"type": "number"}
    result = fit(spread(TABLE.assign(twice=2.0 * TABLE.age + 1), 3), "age,twice,sex,ward", dictionary)
    assert result.aliased == ["twice", "wardd"]
    assert_close(result, fit([TABLE], "age,sex,ward"))


@pytest.mark.parametrize("shift", [-600.0, 600.0])
def test_the_units_of_the_time_observed_do_not_matter(whole, shift):
    result = fit(spread(TABLE.assign(log_years=TABLE.log_years + shift), 2), offset="log_years")
    assert column(result, "se") == pytest.approx(column(whole, "se"), rel=1e-9)
    assert result.statistics["theta"] == pytest.approx(whole.statistics["theta"], rel=1e-9)


def test_very_large_counts():
    table = TABLE.assign(falls=TABLE.falls * 1_000_003)
    result = fit(spread(table, 2))
    both = joint(table, design(), [*column(result, "estimate"), result.statistics["alpha"]])
    assert np.abs((column(result, "estimate") - both.params[:3]) / column(result, "se")).max() < 1e-6
    assert result.statistics["loglik"] == pytest.approx(both.llf, rel=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 1e-9, 1e-3, 0.4, 50.0])
@pytest.mark.parametrize("count", [0, 1, 17, LISTED, LISTED + 1, 40 * LISTED])
def test_sums_of_logarithms_are_those_of_their_terms(count, alpha):
    j = np.arange(count, dtype=np.longdouble)
    wanted = [(j / (1 + j * alpha)).sum(), ((j / (1 + j * alpha)) ** 2).sum()]
    got = [float(one[0]) for one in rising(np.array([float(count)]), alpha)]
    assert got == pytest.approx([float(one) for one in wanted], rel=1e-13)


@pytest.mark.parametrize("alpha", [0.0, 1e-12, 1e-3, 0.4, 50.0])
def test_a_perfect_fit_has_the_probability_of_its_mean(alpha):
    counts = np.array([0.0, 1.0, 2.0, 30.0, 99.0, 101.0, 3000.0])
    law = stats.poisson(counts) if alpha < 1e-9 else stats.nbinom(1 / alpha, 1 / (1 + alpha * counts))
    assert log_peak(counts, alpha) == pytest.approx(law.logpmf(counts), rel=1e-9)


def test_pieces_of_logarithms_join_without_a_step():
    for edge in (0.02, 100.0):
        near, far = np.array([edge * (1 - 1e-9)]), np.array([edge * (1 + 1e-9)])
        for one, two in zip(log_bend(near), log_bend(far), strict=True):
            assert one == pytest.approx(two, rel=1e-8)
        assert stirling_rest(near) == pytest.approx(stirling_rest(far), rel=1e-8)


def test_what_every_task_must_keep():
    given_ = {"outcome": "falls", "predictors": "age,sex"}
    check_task(NegativeBinomialRegression, spread(TABLE, 2), DICTIONARY, **given_)
    check_task(
        NegativeBinomialRegression, spread(TABLE, 3), DICTIONARY, rules="off", offset="log_years", se="joint",
        **given_,
    )  # fmt: skip
