"""Gamma regression over hospitals: R's definitions, statsmodels, other cuts of the rows, and odd data."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.gamma_regression import GammaRegression
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import simulate
from tests.tasks.stats.published import cut, spread

RNG = np.random.default_rng(3)
N = 200
TABLE = pd.DataFrame(
    {
        "age": RNG.integers(20, 90, N),
        "sex": RNG.choice(["f", "m"], N),
        "weight": RNG.integers(0, 4, N) / 2.0,
        "base": np.round(RNG.normal(size=N), 2),
    }
)
TABLE["cost"] = np.round(RNG.gamma(0.8, np.exp(6 + 0.02 * TABLE.age + TABLE.base)), 2) + 0.01
DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "weight": {"type": "number", "range": [0, 10]},
    "base": {"type": "number"},
    "cost": {"type": "number"},
}


def fit(frames, predictors="age,sex", dictionary=DICTIONARY, **more):
    given_ = {"outcome": "cost", "predictors": predictors, **more}
    return simulate("gamma_regression", frames, dictionary, rules="off", **given_)


def design(table=TABLE):
    return np.column_stack([np.ones(len(table)), table.age, table.sex == "m"]).astype(float)


def reference(table=TABLE, x=None, **more):
    x = design(table) if x is None else x
    family = sm.families.Gamma(sm.families.links.Log())
    return sm.GLM(table.cost, x, family=family, **more).fit(tol=1e-15, maxiter=500)


def column(result, key):
    return np.array([row[key] for row in result.coefficients], dtype=float)


def assert_close(result, other, factor=1e-9):
    se = column(other, "se")
    assert np.abs((column(result, "estimate") - column(other, "estimate")) / se).max() <= factor
    assert np.abs(column(result, "se") / se - 1).max() <= factor


@pytest.mark.parametrize("weights", [None, "weight"])
def test_everything_r_reports(weights):
    """R: dispersion by Pearson and t tests; logLik, AIC and BIC at deviance / sum of weights, one parameter more."""
    more = {} if weights is None else {"weights": weights}
    used = TABLE if weights is None else TABLE[TABLE.weight > 0]
    weight = np.ones(N) if weights is None else used.weight.to_numpy()
    result = fit(spread(TABLE, 3), offset="base", **more)
    wanted = reference(used, freq_weights=weight, offset=used.base.to_numpy())
    mean, df = np.exp(design(used) @ wanted.params.to_numpy() + used.base), len(used) - 3
    pearson = (weight * (used.cost / mean - 1) ** 2).sum()
    got = result.statistics
    assert got["dispersion"] == pytest.approx(pearson / df, rel=1e-9)
    assert got["pearson_chi2"] == pytest.approx(pearson, rel=1e-9)
    se = np.sqrt(np.diag(np.linalg.inv((design(used).T * weight) @ design(used))) * pearson / df)
    assert column(result, "estimate") == pytest.approx(wanted.params.to_numpy(), rel=1e-9)
    assert column(result, "se") == pytest.approx(se, rel=1e-9)
    p = 2 * stats.t.sf(np.abs(wanted.params.to_numpy() / se), df)
    assert column(result, "p") == pytest.approx(p, rel=1e-7)
    assert got["deviance"] == pytest.approx(wanted.deviance, rel=1e-10)

    def loglik(mean, deviance):
        scale = deviance / weight.sum()
        return (stats.gamma.logpdf(used.cost, 1 / scale, scale=mean * scale) * weight).sum()

    null = reference(used, np.ones((len(used), 1)), freq_weights=weight, offset=used.base.to_numpy())
    null_mean = np.exp(null.params.iloc[0] + used.base)
    assert got["null_deviance"] == pytest.approx(null.deviance, rel=1e-10)
    assert got["loglik"] == pytest.approx(loglik(mean, wanted.deviance), rel=1e-10)
    assert got["loglik_null"] == pytest.approx(loglik(null_mean, null.deviance), rel=1e-10)
    assert got["aic"] == pytest.approx(8 - 2 * got["loglik"], rel=1e-12)
    assert got["bic"] == pytest.approx(4 * np.log(N) - 2 * got["loglik"], rel=1e-12)
    assert (got["df_residual"], got["df_null"]) == (df, len(used) - 1)
    fall = (null.deviance - wanted.deviance) / got["dispersion"]
    assert result.tests["lrt"]["statistic"] == pytest.approx(fall, rel=1e-9)
    score = design(used).T @ (weight * (used.cost / null_mean - 1))
    rao = score @ np.linalg.solve((design(used).T * weight) @ design(used), score) / got["dispersion"]
    assert result.tests["score_test"]["statistic"] == pytest.approx(rao, rel=1e-9)
    assert result.conventions["link"] == "log" and result.conventions["ci"] == "t"


def test_the_likelihood_of_statsmodels():
    result, wanted = fit(spread(TABLE, 3)), reference()
    assert result.statistics["loglik"] == pytest.approx(
        wanted.family.loglike(TABLE.cost, wanted.fittedvalues, scale=wanted.deviance / N), rel=1e-10
    )
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy(), rel=1e-9)


def test_a_dispersion_fixed_at_1_is_an_exponential_law():
    result, wanted = fit(spread(TABLE, 3), dispersion="fixed"), reference()
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy() / np.sqrt(wanted.scale), rel=1e-9)
    assert result.conventions["ci"] == "wald" and result.statistics["dispersion"] == 1.0


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC3"])
def test_robust_errors(kind):
    result, wanted = fit(spread(TABLE, 3), robust=kind), reference()
    x, bread = design(), np.linalg.inv(design().T @ design())
    residual = (TABLE.cost / wanted.fittedvalues - 1).to_numpy()
    leverage = np.einsum("ij,jk,ik->i", x, bread, x)
    square = {"HC0": residual**2, "HC1": residual**2 * N / (N - 3)}.get(
        kind, (residual / (1 - leverage)) ** 2
    )
    vcov = bread @ (x.T * square) @ x @ bread
    assert np.array(result.vcov.values) == pytest.approx(vcov, rel=1e-8, abs=1e-14)
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy(), rel=1e-9)
    z = column(result, "estimate") / np.sqrt(np.diag(vcov))
    assert column(result, "p") == pytest.approx(2 * stats.norm.sf(np.abs(z)), rel=1e-7)


@pytest.fixture(scope="module")
def whole():
    """The fit of one table."""
    return fit([TABLE])


@settings(max_examples=8, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    assert_close(fit(spread(TABLE, sites, seed)), whole)


def test_the_order_of_sites_does_not_change_a_bit():
    frames = spread(TABLE, 5)
    one, two = fit(frames), fit(frames[::-1])
    assert one.coefficients == two.coefficients and one.statistics == two.statistics


def test_a_site_without_a_level_and_one_with_a_single_row_are_ordinary():
    labels = np.where(TABLE.sex == "f", 1, 2)
    labels[5] = 3
    assert_close(fit(cut(TABLE, labels)), fit([TABLE]))


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_currency_does_not_matter(whole, factor):
    result = fit(spread(TABLE.assign(cost=TABLE.cost * factor), 3))
    assert column(result, "se") == pytest.approx(column(whole, "se"), rel=1e-9)
    shift = np.array([np.log(factor), 0.0, 0.0])
    assert column(result, "estimate") - shift == pytest.approx(column(whole, "estimate"), rel=1e-8)
    assert result.statistics["loglik"] == pytest.approx(
        whole.statistics["loglik"] - N * np.log(factor), rel=1e-10
    )


def test_amounts_that_differ_by_many_orders_of_size():
    table = TABLE.assign(cost=np.where(np.arange(N) % 50 == 0, TABLE.cost * 1e6, TABLE.cost / 1e3))
    result, wanted = fit(spread(table, 3)), reference(table)
    assert column(result, "estimate") == pytest.approx(wanted.params.to_numpy(), rel=1e-7)
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy(), rel=1e-7)


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_an_amount_that_is_not_above_0_is_a_sentence_with_its_row(value):
    table = TABLE.copy()
    table.loc[4, "cost"] = value
    with pytest.raises(UsageError, match="must be above 0 for gamma regression, and is not in row 5"):
        fit([table])


def test_small_errors_get_a_closer_answer():
    """A distance is measured in errors, and these are a thousandth of those of a unit dispersion."""
    cost = np.exp(0.5 * np.log(TABLE.age) + RNG.normal(size=N) * 1e-3)
    result, wanted = fit(spread(TABLE.assign(cost=cost), 3)), reference(TABLE.assign(cost=cost))
    distance = (column(result, "estimate") - wanted.params.to_numpy()) / wanted.bse.to_numpy()
    assert np.abs(distance).max() < 1e-8
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy(), rel=1e-8)


def test_a_perfect_fit_is_a_sentence():
    table = TABLE.assign(cost=np.where(TABLE.sex == "m", 20.0, 10.0))
    result = fit(spread(table, 2), "sex")
    assert column(result, "estimate") == pytest.approx([np.log(10), np.log(2)], rel=1e-9)
    assert result.statistics["loglik"] is None
    assert any("fits every patient exactly" in note for note in result.notes)


def test_as_many_terms_as_patients():
    result = fit(spread(TABLE.head(3).assign(sex=["f", "m", "f"]), 2))
    assert any("the dispersion cannot be estimated" in note for note in result.notes)


def test_dependent_columns_are_named(whole):
    table = TABLE.assign(twice=2.0 * TABLE.age + 1)
    result = fit(spread(table, 3), "age,twice,sex", {**DICTIONARY, "twice": {"type": "number"}})
    assert result.aliased == ["twice"]
    assert_close(result, whole)


def test_the_intercept_alone():
    result = fit(spread(TABLE, 2), [])
    assert column(result, "estimate")[0] == pytest.approx(np.log(TABLE.cost.mean()), rel=1e-12)


def test_what_every_task_must_keep():
    given_ = {"outcome": "cost", "predictors": "age,sex"}
    check_task(GammaRegression, spread(TABLE, 2), DICTIONARY, **given_)
    check_task(
        GammaRegression, spread(TABLE, 3), DICTIONARY, rules="off", offset="base", robust="HC3", **given_
    )
