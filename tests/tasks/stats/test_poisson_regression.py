"""Poisson regression over hospitals: R's printed answers, statsmodels, other cuts of the rows, and odd data."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.poisson_regression import PoissonRegression
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.published import cut, spread

RNG = np.random.default_rng(11)
N = 240
TABLE = pd.DataFrame(
    {
        "age": RNG.integers(20, 90, N),
        "sex": RNG.choice(["f", "m"], N),
        "ward": RNG.choice(["a", "b", "c"], N),
        "weight": RNG.integers(0, 4, N) / 2.0,
        "log_years": np.round(RNG.normal(size=N), 2),
    }
)
TABLE["falls"] = RNG.poisson(np.exp(-2 + 0.02 * TABLE.age + 0.4 * (TABLE.sex == "m") + TABLE.log_years))
DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "ward": {"type": "factor", "levels": ["a", "b", "c"]},
    "weight": {"type": "number", "range": [0, 10]},
    "log_years": {"type": "number", "range": [-1000, 1000]},
    "falls": {"type": "number"},
}


def fit(frames, predictors="age,sex,ward", dictionary=DICTIONARY, **more):
    given_ = {"outcome": "falls", "predictors": predictors, **more}
    return simulate("poisson_regression", frames, dictionary, rules="off", **given_)


def design(table=TABLE):
    columns = [np.ones(len(table)), table.age, table.sex == "m", table.ward == "b", table.ward == "c"]
    return np.column_stack(columns).astype(float)


def reference(table=TABLE, x=None, **more):
    x = design(table) if x is None else x
    return sm.GLM(table.falls, x, family=sm.families.Poisson(), **more).fit(tol=1e-15, maxiter=200)


def column(result, key):
    return np.array([row[key] for row in result.coefficients], dtype=float)


def assert_close(result, other, factor=1e-9):
    se = column(other, "se")
    assert np.abs((column(result, "estimate") - column(other, "estimate")) / se).max() <= factor
    assert np.abs(column(result, "se") / se - 1).max() <= factor


def test_the_answer_r_prints_for_dobsons_trial():
    """Dobson (1990), page 93: the example of R's `?glm`, here with one row a patient group."""
    table = pd.DataFrame(
        {
            "counts": [18, 17, 15, 20, 10, 20, 25, 13, 12],
            "outcome": list("123123123"),
            "treatment": list("111222333"),
        }
    )
    levels = {"type": "factor", "levels": ["1", "2", "3"]}
    dictionary = {"counts": {"type": "integer", "range": [0, 99]}, "outcome": levels, "treatment": levels}
    result = simulate(
        "poisson_regression", spread(table, 4), dictionary, rules="off", outcome="counts",
        predictors="outcome,treatment",
    )  # fmt: skip
    assert [row["term"] for row in result.coefficients] == [
        "(Intercept)", "outcome2", "outcome3", "treatment2", "treatment3",
    ]  # fmt: skip
    assert column(result, "estimate") == pytest.approx([3.045, -0.4543, -0.2930, 0, 0], abs=5.1e-4)
    assert column(result, "se") == pytest.approx([0.1709, 0.2022, 0.1927, 0.2, 0.2], abs=5.1e-5)
    got = result.statistics
    assert (got["null_deviance"], got["deviance"]) == pytest.approx((10.5814, 5.1291), abs=5.1e-5)
    assert (got["df_null"], got["df_residual"]) == (8, 4)
    assert got["aic"] == pytest.approx(56.76, abs=5.1e-3)


def test_everything_a_glm_reports():
    result, offset = fit(spread(TABLE, 3), offset="log_years"), TABLE.log_years.to_numpy()
    wanted, null = reference(offset=offset), reference(x=np.ones((N, 1)), offset=offset)
    assert column(result, "estimate") == pytest.approx(wanted.params.to_numpy(), rel=1e-10)
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy(), rel=1e-10)
    assert column(result, "p") == pytest.approx(wanted.pvalues.to_numpy(), rel=1e-8)
    got = result.statistics
    assert got["loglik"] == pytest.approx(wanted.llf, abs=1e-10)
    assert got["loglik_null"] == pytest.approx(null.llf, abs=1e-10)
    assert got["aic"] == pytest.approx(wanted.aic, abs=1e-9)
    assert got["bic"] == pytest.approx(wanted.bic_llf, abs=1e-9)
    assert got["deviance"] == pytest.approx(wanted.deviance, abs=1e-9)
    assert got["null_deviance"] == pytest.approx(null.deviance, abs=1e-9)
    assert got["pearson_chi2"] == pytest.approx(wanted.pearson_chi2, rel=1e-10)
    assert (got["df_residual"], got["df_null"], got["dispersion"]) == (N - 5, N - 1, 1.0)
    assert result.tests["lrt"]["statistic"] == pytest.approx(null.deviance - wanted.deviance, rel=1e-10)
    assert result.n.events == TABLE.falls.sum() and result.conventions["link"] == "log"


@pytest.mark.parametrize("weights", [None, "weight"])
def test_an_estimated_dispersion_is_quasi_poisson(weights):
    """As R's `summary(glm(family = quasipoisson))`: t tests, and neither log-likelihood nor AIC."""
    more = {} if weights is None else {"weights": weights}
    used = TABLE if weights is None else TABLE[TABLE.weight > 0]
    weight = np.ones(N) if weights is None else used.weight.to_numpy()
    result = fit(spread(TABLE, 3), dispersion="estimated", **more)
    plain = reference(used, freq_weights=weight)
    mean, df = plain.fittedvalues.to_numpy(), len(used) - 5
    pearson = (weight * (used.falls - mean) ** 2 / mean).sum()
    se = np.sqrt(np.diag(np.linalg.inv((design(used).T * (weight * mean)) @ design(used))) * pearson / df)
    assert result.statistics["dispersion"] == pytest.approx(pearson / df, rel=1e-10)
    assert column(result, "se") == pytest.approx(se, rel=1e-9)
    t = plain.params.to_numpy() / se
    assert column(result, "p") == pytest.approx(2 * stats.t.sf(np.abs(t), df), rel=1e-8)
    width = stats.t.ppf(0.975, df)
    assert column(result, "ci_upper") == pytest.approx(plain.params.to_numpy() + width * se, rel=1e-8)
    got = result.statistics
    assert got["loglik"] is got["loglik_null"] is got["aic"] is got["bic"] is None
    fall = got["null_deviance"] - got["deviance"]
    assert result.tests["lrt"]["statistic"] == pytest.approx(fall / got["dispersion"], rel=1e-10)
    assert result.conventions["ci"] == "t" and "quasipoisson" in result.reproduce.r


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC3"])
def test_robust_errors_do_not_depend_on_the_dispersion(kind):
    """As sandwich::vcovHC with lmtest::coeftest, which uses the normal law for every glm."""
    fixed, free = (fit(spread(TABLE, 3), robust=kind, dispersion=d) for d in ("fixed", "estimated"))
    wanted = reference()
    x, mean = design(), wanted.fittedvalues.to_numpy()
    bread = np.linalg.inv((x.T * mean) @ x)
    residual = (TABLE.falls - mean).to_numpy()
    leverage = mean * np.einsum("ij,jk,ik->i", x, bread, x)
    square = {"HC0": residual**2, "HC1": residual**2 * N / (N - 5)}.get(
        kind, (residual / (1 - leverage)) ** 2
    )
    vcov = bread @ (x.T * square) @ x @ bread
    for result in (fixed, free):
        assert np.array(result.vcov.values) == pytest.approx(vcov, rel=1e-9, abs=1e-14)
        assert column(result, "p") == pytest.approx(column(fixed, "p"), rel=1e-12)
        assert result.conventions["ci"] == "wald"
    dispersion = free.statistics["dispersion"]
    assert column(free, "se") == pytest.approx(column(fixed, "se") * np.sqrt(dispersion), rel=1e-10)


def test_a_patient_who_decides_his_own_fit_has_no_hc3():
    labels = np.zeros(N, dtype=int)
    labels[TABLE.falls.argmax()] = 1
    frames = cut(TABLE, labels)
    result = fit(frames, "age,.site", robust="HC3")
    assert any("HC3 errors cannot be computed" in note for note in result.notes)
    assert all(row["se"] > 0 and row["se_robust"] is None and row["p"] is None for row in result.coefficients)
    assert all(row["se_robust"] is not None for row in fit(frames, "age,.site", robust="HC0").coefficients)


def test_weights_of_zero_count_in_bic_only():
    """R's logLik counts every row, its degrees of freedom those whose weight is not 0."""
    result, used = fit(spread(TABLE, 3), weights="weight"), TABLE[TABLE.weight > 0]
    wanted = reference(used, freq_weights=used.weight.to_numpy())
    got = result.statistics
    assert got["loglik"] == pytest.approx(wanted.llf, abs=1e-9)
    assert got["bic"] == pytest.approx(5 * np.log(N) - 2 * wanted.llf, abs=1e-9)
    assert got["df_residual"] == len(used) - 5 and result.n.events == used.falls.sum()


@pytest.fixture(scope="module")
def whole():
    """The fit of one table."""
    return fit([TABLE], offset="log_years", dispersion="estimated")


@settings(max_examples=8, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    assert_close(fit(spread(TABLE, sites, seed), offset="log_years", dispersion="estimated"), whole)


def test_the_order_of_sites_does_not_change_a_bit():
    frames = spread(TABLE, 5)
    one, two = fit(frames), fit(frames[::-1])
    assert one.coefficients == two.coefficients and one.statistics == two.statistics


def test_a_site_without_events_and_one_with_a_single_row_are_ordinary():
    labels = np.where(TABLE.falls == 0, 1, 2)
    labels[5] = 3
    result = fit(cut(TABLE, labels))
    assert_close(result, fit([TABLE]))
    assert not any("Separation" in note for note in result.notes)


def test_a_level_without_any_event_leaves_the_other_terms_exact():
    table = TABLE.assign(falls=np.where(TABLE.ward == "c", 0, TABLE.falls))
    result = fit(spread(table, 3), robust="HC1")
    rows = {row["term"]: row for row in result.coefficients}
    assert rows["wardc"]["se"] is None and rows["wardc"]["estimate"] < -20
    rest = table[table.ward != "c"]
    wanted = reference(rest, design(rest)[:, :4])
    others = [rows[term] for term in ("(Intercept)", "age", "sexm", "wardb")]
    assert [row["estimate"] for row in others] == pytest.approx(wanted.params.to_list(), rel=1e-9)
    assert [row["se"] for row in others] == pytest.approx(wanted.bse.to_list(), rel=1e-9)
    assert result.statistics["deviance"] == pytest.approx(wanted.deviance, abs=1e-8)
    assert (
        "“wardc” grows without bound, because it marks patients who all have a count of 0" in result.notes[0]
    )
    assert any("Robust errors are not given" in note for note in result.notes)


def test_no_event_at_all_is_a_sentence():
    result = fit(spread(TABLE.assign(falls=0), 3))
    assert result.notes == ["Every count in this analysis is 0, so there is nothing to explain."]
    assert not result.coefficients


@pytest.mark.parametrize(("value", "words"), [(-1, "below 0"), (1.5, "not whole numbers")])
def test_what_is_no_count_is_a_sentence_with_its_rows(value, words):
    table = TABLE.assign(falls=TABLE.falls.astype(float))
    table.loc[6, "falls"] = value
    with pytest.raises(UsageError, match=f"row 7 are {words}"):
        fit([table])


@pytest.mark.parametrize("shift", [-700.0, 0.0, 900.0])
def test_the_units_of_the_time_observed_do_not_matter(shift):
    table = TABLE.assign(log_years=TABLE.log_years + shift)
    result, plain = fit(spread(table, 2), offset="log_years"), fit([TABLE], offset="log_years")
    assert column(result, "se") == pytest.approx(column(plain, "se"), rel=1e-9)
    assert column(result, "estimate")[0] + shift == pytest.approx(column(plain, "estimate")[0], abs=1e-9)


def test_an_offset_that_is_no_logarithm_is_an_answer_or_a_sentence():
    table = TABLE.assign(log_years=np.round(1000 * RNG.random(N)))
    outcome = run(
        "poisson_regression", spread(table, 2), DICTIONARY, rules="off",
        parameters={"outcome": "falls", "predictors": "age", "offset": "log_years"},
    )  # fmt: skip
    assert outcome.error is None or len(outcome.result.notes[0]) > 20


def test_large_counts_keep_their_digits():
    table = TABLE.assign(falls=1_000_000_000 + TABLE.falls * 100_000_000)
    result = fit(spread(table, 3), dispersion="estimated")
    wanted = reference(table)
    assert column(result, "estimate") == pytest.approx(wanted.params.to_numpy(), rel=1e-9)
    assert result.statistics["deviance"] == pytest.approx(wanted.deviance, rel=1e-9)


def test_a_model_with_as_many_terms_as_patients_has_no_dispersion():
    table = TABLE.head(3).assign(ward=["a", "b", "c"], falls=[3, 5, 2])
    result = fit(spread(table, 2), "ward", dispersion="estimated")
    assert any("the dispersion cannot be estimated" in note for note in result.notes)
    assert all(row["se"] is None for row in result.coefficients)
    assert result.statistics["dispersion"] is None and result.statistics["deviance"] < 1e-9
    assert "cannot be computed" in " ".join(fit(spread(table, 2), "ward", robust="HC1").notes)


def test_dependent_constant_and_absent_columns_are_named():
    dictionary = {**DICTIONARY, "ward": {"type": "factor", "levels": ["a", "b", "c", "d"]}}
    table = TABLE.assign(twice=2.0 * TABLE.age + 1, one=1.0)
    dictionary |= {"twice": {"type": "number"}, "one": {"type": "number"}}
    result = fit(spread(table, 3), "age,twice,one,sex,ward", dictionary)
    assert result.aliased == ["twice", "one", "wardd"]
    assert_close(result, fit([TABLE]))


def test_much_variation_gets_a_note():
    table = TABLE.assign(falls=TABLE.falls * 5)
    assert any("times as much as a Poisson law says" in note for note in fit(spread(table, 2)).notes)
    assert not any("times as much" in n for n in fit(spread(table, 2), dispersion="estimated").notes)


def test_the_intercept_alone():
    result = fit(spread(TABLE, 2), [])
    assert result.tests["lrt"] == {"statistic": None, "df": 0, "p": None}
    assert column(result, "estimate")[0] == pytest.approx(np.log(TABLE.falls.mean()), rel=1e-12)


def test_few_patients_with_an_event_are_refused():
    table = TABLE.assign(falls=np.where(np.arange(N) < 3, np.arange(N) + 2, 0))
    outcome = run(
        "poisson_regression", [table, TABLE], DICTIONARY, parameters={"outcome": "falls", "predictors": "age"}
    )
    assert [row["rule"] for row in outcome.result.privacy.refused] == ["cell"]


def test_what_every_task_must_keep():
    given_ = {"outcome": "falls", "predictors": "age,sex", "offset": "log_years"}
    check_task(PoissonRegression, spread(TABLE, 2), DICTIONARY, **given_)
    check_task(
        PoissonRegression, spread(TABLE, 3), DICTIONARY, rules="off", dispersion="estimated", robust="HC3",
        **given_,
    )  # fmt: skip
