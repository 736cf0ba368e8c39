"""Linear regression over hospitals: NIST's certified answers, R's printed ones, statsmodels, and odd data."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.anova import anova_lm

from friendlyfl.tasks.stats.linear_regression import LinearRegression
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.published import cut, spread

# NIST Statistical Reference Datasets (StRD), linear regression: certified estimates and standard deviations.
LONGLEY = {
    "(Intercept)": (-3482258.63459582, 890420.383607373),
    "GNPDEFL": (15.0618722713733, 84.9149257747669),
    "GNP": (-0.0358191792925910, 0.0334910077722432),
    "UNEMP": (-2.02022980381683, 0.488399681651699),
    "ARMED": (-1.03322686717359, 0.214274163161675),
    "POP": (-0.0511041056535807, 0.226073200069370),
    "YEAR": (1829.15146461355, 455.478499142212),
}
NORRIS = (
    "0.1 0.2 338.8 337.4 118.1 118.2 888.0 884.6 9.2 10.1 228.1 226.5 668.5 666.3 998.5 996.3 449.1 448.6 778.9 777.0 "
    "559.2 558.2 0.3 0.4 0.1 0.6 778.1 775.5 668.8 666.9 339.3 338.0 448.9 447.5 10.8 11.6 557.7 556.0 228.3 228.1 "
    "998.0 995.8 888.8 887.6 119.6 120.2 0.3 0.3 0.6 0.3 557.6 556.8 339.3 339.1 888.0 887.2 998.5 999.0 778.9 779.0 "
    "10.2 11.1 117.6 118.3 228.9 229.2 668.4 669.1 449.2 448.9 0.2 0.5"
)
CTRL = [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14]
TRT = [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69]

# Hand et al. (1993), set 285, `anorexia` in R's MASS: weights in lb before and after each therapy, and what R prints
# for its example(anorexia), glm(Postwt ~ Prewt + Treat + offset(Prewt)).
ANOREXIA = {
    "CBT": "80.5 82.2 84.9 85.6 81.5 81.4 82.6 81.9 79.9 76.4 88.7 103.6 94.9 98.4 76.3 93.4 81.0 73.4 80.5 82.1 85.0 "
    "96.7 89.2 95.3 81.3 82.4 76.5 72.5 70.0 90.9 80.4 71.3 83.3 85.4 83.0 81.6 87.7 89.1 84.2 83.9 86.4 82.7 76.5 "
    "75.7 80.2 82.6 87.8 100.4 83.3 85.2 79.7 83.6 84.5 84.6 80.8 96.2 87.4 86.7",
    "Cont": "80.7 80.2 89.4 80.1 91.8 86.4 74.0 86.3 78.1 76.1 88.3 78.1 87.3 75.1 75.1 86.7 80.6 73.5 78.4 84.6 77.6 "
    "77.4 88.7 79.5 81.3 89.6 78.1 81.4 70.5 81.8 77.3 77.3 85.2 84.2 86.0 75.4 84.1 79.5 79.7 73.0 85.5 88.3 84.4 "
    "84.7 79.6 81.4 77.5 81.2 72.3 88.2 89.0 78.8",
    "FT": "83.8 95.2 83.3 94.3 86.0 91.5 82.5 91.9 86.7 100.3 79.6 76.7 76.9 76.8 94.2 101.6 73.4 94.9 80.5 75.2 81.6 "
    "77.8 82.1 95.5 77.6 90.7 83.5 92.5 89.9 93.8 86.0 91.7 87.3 98.0",
}
ANOREXIA_COEFFICIENTS = {
    "(Intercept)": (49.7711, 13.3910, 3.717, 0.000410),
    "Prewt": (-0.5655, 0.1612, -3.509, 0.000803),
    "TreatCont": (-4.0971, 1.8935, -2.164, 0.033999),
    "TreatFT": (4.5631, 2.1333, 2.139, 0.036035),
}

DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "crp": {"type": "number", "range": [0, 600], "step": 0.1},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "stage": {"type": "factor", "levels": ["I", "II", "III"]},
    "w": {"type": "number", "range": [0, 10]},
    "base": {"type": "number", "range": [-10, 10]},
    "y": {"type": "number"},
    "other": {"type": "number"},
}
TERMS = ["age", "crp", "sex", "stage"]


def patients(n=180, seed=3):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.integers(20, 90, n),
            "crp": np.round(rng.gamma(1.5, 10.0, n), 1),
            "sex": rng.choice(["f", "m"], n),
            "stage": rng.choice(["I", "II", "III"], n, p=[0.5, 0.3, 0.2]),
            "w": rng.integers(0, 4, n).astype(float),
            "base": np.round(rng.normal(size=n), 2),
        }
    )
    table["y"] = 120 + 0.3 * table.age + 4 * (table.sex == "m") - 0.1 * table.crp + rng.normal(0, 9, n)
    return table


TABLE = patients()
FORMULA = "y ~ age + crp + sex + stage"


def fit(frames, predictors=TERMS, outcome="y", dictionary=DICTIONARY, **more):
    given_ = {**more, "outcome": outcome, "predictors": predictors}
    return simulate(LinearRegression, frames, dictionary, rules="off", **given_)


def numbers(table):
    return {name: {"type": "number"} for name in table}


def column(result, key):
    return np.array([row[key] for row in result.coefficients], dtype=float)


def by_term(rows):
    return {row["term"]: row for row in rows}


def assert_close(result, other, factor=1e-9):
    """The distance in standard errors, and the standard errors' own."""
    se = column(other, "se")
    assert np.abs((column(result, "estimate") - column(other, "estimate")) / se).max() <= factor
    assert np.abs(column(result, "se") / se - 1).max() <= factor


def assert_anova(rows, wanted):
    """Against statsmodels' table."""
    found = by_term(rows)
    for term, row in wanted.iterrows():
        term = "Residuals" if term == "Residual" else term
        assert found[term]["df"] == row["df"]
        assert found[term]["sum_sq"] == pytest.approx(row["sum_sq"], rel=1e-9)
        if term != "Residuals":
            assert found[term]["statistic"] == pytest.approx(row["F"], rel=1e-9)
            assert found[term]["p"] == pytest.approx(row["PR(>F)"], rel=1e-7)
            assert found[term]["mean_sq"] == pytest.approx(row["sum_sq"] / row["df"], rel=1e-9)
        else:
            assert found[term]["statistic"] is None and found[term]["p"] is None


@pytest.mark.parametrize("sites", [1, 3, 16])
def test_longley_as_nist_certified_it(sites):
    table = sm.datasets.longley.load_pandas().data
    result = fit(spread(table, sites), list(LONGLEY)[1:], "TOTEMP", numbers(table))
    for row in result.coefficients:
        estimate, se = LONGLEY[row["term"]]
        assert abs(row["estimate"] - estimate) / se < 1e-9
        assert row["se"] == pytest.approx(se, rel=1e-10)
    assert result.statistics["sigma"] == pytest.approx(304.854073561965, rel=1e-11)
    assert result.statistics["r2"] == pytest.approx(0.995479004577296, rel=1e-13)
    assert result.statistics["rss"] == pytest.approx(836424.055505915, rel=1e-10)
    assert result.tests["f"]["statistic"] == pytest.approx(330.285339234588, rel=1e-10)
    assert result.tests["f"]["df"] == [6, 9]


def test_norris_as_nist_certified_it():
    values = np.array(NORRIS.split(), dtype=float).reshape(-1, 2)
    table = pd.DataFrame(values, columns=["y", "x"])
    result = fit(spread(table, 4), ["x"], "y", numbers(table))
    one, two = result.coefficients
    assert one["estimate"] == pytest.approx(-0.262323073774029, rel=1e-10)
    assert two["estimate"] == pytest.approx(1.00211681802045, rel=1e-13)
    assert one["se"] == pytest.approx(0.232818234301152, rel=1e-10)
    assert two["se"] == pytest.approx(0.429796848199937e-3, rel=1e-10)
    assert result.statistics["sigma"] == pytest.approx(0.884796396144373, rel=1e-10)
    assert result.statistics["r2"] == pytest.approx(0.999993745883712, rel=1e-14)


def test_plant_growth_as_r_prints_it():
    """example(lm): the output of summary(lm.D9) and anova(lm.D9)."""
    table = pd.DataFrame({"weight": CTRL + TRT, "group": ["Ctl"] * 10 + ["Trt"] * 10})
    dictionary = {"weight": {"type": "number"}, "group": {"type": "factor", "levels": ["Ctl", "Trt"]}}
    result = fit(spread(table, 3), ["group"], "weight", dictionary)
    rows = by_term(result.coefficients)
    assert list(rows) == ["(Intercept)", "groupTrt"]
    assert rows["(Intercept)"]["estimate"] == pytest.approx(5.0320, abs=5e-5)
    assert rows["(Intercept)"]["se"] == pytest.approx(0.2202, abs=5e-5)
    assert rows["groupTrt"]["estimate"] == pytest.approx(-0.3710, abs=5e-5)
    assert rows["groupTrt"]["se"] == pytest.approx(0.3114, abs=5e-5)
    assert rows["groupTrt"]["statistic"] == pytest.approx(-1.191, abs=5e-4)
    assert rows["groupTrt"]["p"] == pytest.approx(0.249, abs=5e-4)
    assert result.statistics["sigma"] == pytest.approx(0.6964, abs=5e-5)
    assert result.statistics["r2"] == pytest.approx(0.07308, abs=5e-6)
    assert result.statistics["adj_r2"] == pytest.approx(0.02158, abs=5e-6)
    table_ = by_term(result.tables["anova_type1"])
    assert table_["group"]["sum_sq"] == pytest.approx(0.6882, abs=5e-5)
    assert table_["group"]["statistic"] == pytest.approx(1.4191, abs=5e-5)
    assert table_["Residuals"]["sum_sq"] == pytest.approx(8.7292, abs=1e-4)
    assert table_["Residuals"]["df"] == 18


@pytest.mark.parametrize("sites", [2, 9])
def test_the_anorexia_trial_as_r_prints_it(sites):
    rows = [
        (treat, *pair)
        for treat, text in ANOREXIA.items()
        for pair in np.array(text.split(), dtype=float).reshape(-1, 2)
    ]
    table = pd.DataFrame(rows, columns=["Treat", "Prewt", "Postwt"])
    dictionary = {**numbers(["Prewt", "Postwt"]), "Treat": {"type": "factor", "levels": list(ANOREXIA)}}
    result = fit(spread(table, sites), ["Prewt", "Treat"], "Postwt", dictionary, offset="Prewt")
    assert [row["term"] for row in result.coefficients] == list(ANOREXIA_COEFFICIENTS)
    for row in result.coefficients:
        estimate, se, statistic, p = ANOREXIA_COEFFICIENTS[row["term"]]
        assert row["estimate"] == pytest.approx(estimate, abs=5.1e-5) and row["se"] == pytest.approx(
            se, abs=5.1e-5
        )
        assert row["statistic"] == pytest.approx(statistic, abs=5.1e-4) and row["p"] == pytest.approx(
            p, abs=5.1e-7
        )
    got = result.statistics
    assert got["dispersion"] == pytest.approx(48.69504, abs=5.1e-6)
    assert got["null_deviance"] == pytest.approx(4525.4, abs=0.051) and got["df_null"] == 71
    assert got["deviance"] == pytest.approx(3311.3, abs=0.051) and got["df_residual"] == 68
    assert got["aic"] == pytest.approx(489.97, abs=5.1e-3)
    # The same with Postwt - Prewt as outcome, by summary(lm).
    assert got["sigma"] == pytest.approx(6.978, abs=5.1e-4)
    assert got["r2"] == pytest.approx(0.2683, abs=5.1e-5) and got["adj_r2"] == pytest.approx(
        0.236, abs=5.1e-4
    )
    assert result.tests["f"]["statistic"] == pytest.approx(8.311, abs=5.1e-4)
    assert result.tests["f"]["p"] == pytest.approx(8.725e-05, rel=1e-4)
    means = {row["level"]: row["mean"] for row in result.tables["adjusted_means"]}
    assert means["FT"] - means["CBT"] == pytest.approx(4.5631, abs=5.1e-5)


def test_everything_a_linear_model_reports():
    result, wanted = fit(spread(TABLE, 3)), smf.ols(FORMULA, TABLE).fit()
    assert result.rounds == 2 and not result.aliased and not result.notes
    order = ["Intercept", "age", "crp", "sex[T.m]", "stage[T.II]", "stage[T.III]"]
    for key, values in (
        ("estimate", wanted.params), ("se", wanted.bse), ("statistic", wanted.tvalues), ("p", wanted.pvalues)
    ):  # fmt: skip
        assert column(result, key) == pytest.approx(values[order].to_numpy(), rel=1e-9)
    limits = wanted.conf_int().loc[order].to_numpy()
    assert np.column_stack([column(result, "ci_lower"), column(result, "ci_upper")]) == pytest.approx(
        limits, rel=1e-9
    )
    cov = wanted.cov_params().loc[order, order].to_numpy()
    assert np.array(result.vcov.values) == pytest.approx(cov, rel=1e-9, abs=1e-14)
    got = result.statistics
    assert got["sigma"] == pytest.approx(np.sqrt(wanted.scale), rel=1e-11)
    assert got["r2"] == pytest.approx(wanted.rsquared, rel=1e-11)
    assert got["adj_r2"] == pytest.approx(wanted.rsquared_adj, rel=1e-11)
    assert got["rss"] == got["deviance"] == pytest.approx(wanted.ssr, rel=1e-11)
    assert got["null_deviance"] == pytest.approx(wanted.centered_tss, rel=1e-11)
    assert got["loglik"] == pytest.approx(wanted.llf, rel=1e-11)
    # R counts sigma as a parameter, statsmodels does not.
    assert got["aic"] == pytest.approx(wanted.aic + 2, rel=1e-11)
    assert got["bic"] == pytest.approx(wanted.bic + np.log(180), rel=1e-11)
    assert got["loglik_null"] == pytest.approx(smf.ols("y ~ 1", TABLE).fit().llf, rel=1e-11)
    assert (got["df_residual"], got["df_null"]) == (174, 179)
    assert result.tests["f"]["statistic"] == pytest.approx(wanted.fvalue, rel=1e-10)
    assert result.tests["f"]["p"] == pytest.approx(wanted.f_pvalue, rel=1e-7)
    assert [figure.word for figure in result.figures] == ["Forest"]


def nested(terms, table=TABLE, **more):
    """Sums of squares beyond the terms before, from fits of one model inside the other."""
    rss = [
        smf.wls(f"y ~ {' + '.join(['1', *terms[:k]])}", table, **more).fit() for k in range(len(terms) + 1)
    ]
    return [(a.ssr - b.ssr, a.df_resid - b.df_resid) for a, b in itertools.pairwise(rss)]


@pytest.mark.parametrize(
    "terms",
    [
        ["stage", "age", "sex", "crp"],
        ["sex", "stage", "age", "sex:stage"],
        ["age", "stage", "sex", "age:stage", "stage:sex"],
    ],
)
def test_analysis_of_variance_of_unbalanced_data(terms):
    result, wanted = fit(spread(TABLE, 4), terms), smf.ols(f"y ~ {' + '.join(terms)}", TABLE).fit()
    rows = result.tables["anova_type1"]
    assert [row["term"] for row in rows] == [*terms, "Residuals"]
    for row, (squares, df) in zip(rows[:-1], nested(terms), strict=True):
        assert row["df"] == df and row["sum_sq"] == pytest.approx(squares, rel=1e-8)
        f = squares / df / wanted.scale
        assert row["statistic"] == pytest.approx(f, rel=1e-8)
        assert row["p"] == pytest.approx(stats.f.sf(f, df, wanted.df_resid), rel=1e-7)
    assert rows[-1]["df"] == wanted.df_resid and rows[-1]["sum_sq"] == pytest.approx(wanted.ssr, rel=1e-10)
    assert_anova(result.tables["anova_type2"], anova_lm(wanted, typ=2))


def test_type_1_follows_the_order_given_and_type_2_does_not():
    one, two = fit(spread(TABLE, 3), ["age", "crp", "sex"]), fit(spread(TABLE, 3), ["sex", "crp", "age"])
    first, second = by_term(one.tables["anova_type1"]), by_term(two.tables["anova_type1"])
    assert first["age"]["sum_sq"] != pytest.approx(second["age"]["sum_sq"], rel=1e-3)
    a, b = by_term(one.tables["anova_type2"]), by_term(two.tables["anova_type2"])
    assert all(a[term]["sum_sq"] == pytest.approx(b[term]["sum_sq"], rel=1e-10) for term in a)


def test_adjusted_means_are_predictions_at_the_pooled_means():
    result, wanted = fit(spread(TABLE, 4), ["stage", "age", "crp"]), smf.ols("y ~ stage + age + crp", TABLE)
    at = pd.DataFrame({"stage": ["I", "II", "III"], "age": TABLE.age.mean(), "crp": TABLE.crp.mean()})
    said = wanted.fit().get_prediction(at).summary_frame()
    rows = result.tables["adjusted_means"]
    assert [row["level"] for row in rows] == ["I", "II", "III"]
    assert [row["mean"] for row in rows] == pytest.approx(said["mean"].to_list(), rel=1e-10)
    assert [row["se"] for row in rows] == pytest.approx(said["mean_se"].to_list(), rel=1e-9)
    assert [row["ci_upper"] for row in rows] == pytest.approx(said["mean_ci_upper"].to_list(), rel=1e-9)


def test_adjusted_means_with_interactions_weigh_the_other_levels_alike():
    result = fit(spread(TABLE, 2), ["sex*stage", "age*sex"])
    model = smf.ols("y ~ sex*stage + age*sex", TABLE).fit()
    grid = pd.DataFrame([(s, g) for s in "fm" for g in ("I", "II", "III")], columns=["sex", "stage"])
    said = model.predict(grid.assign(age=TABLE.age.mean()))
    rows = {(row["term"], row["level"]): row["mean"] for row in result.tables["adjusted_means"]}
    for term in ("sex", "stage"):
        for level, mean in said.groupby(grid[term]).mean().items():
            assert rows[term, level] == pytest.approx(mean, rel=1e-10)


def test_a_level_nobody_has_and_one_that_has_no_mean():
    dictionary = {**DICTIONARY, "stage": {"type": "factor", "levels": ["0", "I", "II", "III"]}}
    result = fit(spread(TABLE, 2), ["stage", "age"], dictionary=dictionary)
    assert result.aliased == ["stageIII"]
    plain = fit([TABLE], ["stage", "age"])
    one, two = result.tables["adjusted_means"], plain.tables["adjusted_means"]
    assert [row["level"] for row in one] == ["I", "II", "III"]
    assert [row["mean"] for row in one] == pytest.approx([row["mean"] for row in two], rel=1e-10)
    assert [row["se"] for row in one] == pytest.approx([row["se"] for row in two], rel=1e-9)
    some = TABLE[~((TABLE.sex == "m") & (TABLE.stage == "III"))]
    rows = fit(spread(some, 2), ["sex*stage"]).tables["adjusted_means"]
    empty = {row["level"] for row in rows if row["mean"] is None}
    assert empty == {"m", "III"}  # each would need the cell that is empty


def test_weights_and_offset():
    """Rows of weight 0 are no rows; the likelihood is that of R's logLik.lm."""
    result, used = fit(spread(TABLE, 3), offset="base", weights="w"), TABLE[TABLE.w > 0]
    wanted = smf.wls(FORMULA, used.assign(y=used.y - used.base), weights=used.w).fit()
    order = ["Intercept", "age", "crp", "sex[T.m]", "stage[T.II]", "stage[T.III]"]
    assert column(result, "estimate") == pytest.approx(wanted.params[order].to_numpy(), rel=1e-9)
    assert column(result, "se") == pytest.approx(wanted.bse[order].to_numpy(), rel=1e-9)
    got, rss, n = result.statistics, float(wanted.ssr), len(used)
    loglik = 0.5 * (np.log(used.w).sum() - n * (np.log(2 * np.pi) + 1 - np.log(n) + np.log(rss)))
    assert got["loglik"] == pytest.approx(loglik, rel=1e-11) and got["loglik"] == pytest.approx(wanted.llf)
    assert got["rss"] == pytest.approx(rss, rel=1e-10) and got["df_residual"] == n - 6
    assert got["r2"] == pytest.approx(wanted.rsquared, rel=1e-10)
    assert result.tests["f"]["statistic"] == pytest.approx(wanted.fvalue, rel=1e-9)
    table = used.assign(y=used.y - used.base)
    sums = nested(TERMS, table, weights=used.w.to_numpy())
    assert [row["sum_sq"] for row in result.tables["anova_type1"][:-1]] == pytest.approx([s for s, _ in sums])
    means = {row["level"]: row["mean"] for row in result.tables["adjusted_means"] if row["term"] == "stage"}
    at = [[wanted.params[name] for name in order[:4]] @ np.array([1, used.age.mean(), used.crp.mean(), 0.5])]
    assert means["I"] == pytest.approx(at[0] + used.base.mean(), rel=1e-9)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC3"])
@pytest.mark.parametrize("weights", ["", "w"])
def test_robust_errors(kind, weights):
    used = TABLE[TABLE.w > 0] if weights else TABLE
    more = {"weights": weights} if weights else {}
    result = fit(spread(used, 4), robust=kind, **more)
    model = smf.wls(FORMULA, used, weights=used.w) if weights else smf.ols(FORMULA, used)
    plain, wanted = model.fit(), model.fit(cov_type=kind, use_t=True)
    order = ["Intercept", "age", "crp", "sex[T.m]", "stage[T.II]", "stage[T.III]"]
    assert result.rounds == 3
    assert column(result, "se") == pytest.approx(plain.bse[order].to_numpy(), rel=1e-9)
    assert column(result, "se_robust") == pytest.approx(wanted.bse[order].to_numpy(), rel=1e-9)
    assert column(result, "statistic") == pytest.approx(wanted.tvalues[order].to_numpy(), rel=1e-9)
    assert column(result, "p") == pytest.approx(wanted.pvalues[order].to_numpy(), rel=1e-7)
    assert result.tests["wald"]["statistic"] == pytest.approx(wanted.fvalue, rel=1e-8)
    assert result.tests["wald"]["df"] == [5, len(used) - 6]
    assert result.tests["f"]["statistic"] == pytest.approx(plain.fvalue, rel=1e-9)


def test_a_patient_who_is_alone_has_no_hc3_error():
    lonely = TABLE.assign(stage=np.where(TABLE.index == 0, "III", TABLE.stage.replace("III", "II")))
    result = fit(spread(lonely, 3), robust="HC3")
    assert any("HC3 errors do not exist" in note for note in result.notes)
    assert all(row["se"] > 0 and row["se_robust"] is None and row["p"] is None for row in result.coefficients)
    assert column(fit(spread(lonely, 3), robust="HC0"), "se_robust")[:3] == pytest.approx(
        smf.ols(FORMULA, lonely).fit(cov_type="HC0").bse[["Intercept", "age", "crp"]].to_numpy(), rel=1e-8
    )


@pytest.fixture(scope="module")
def whole():
    return fit([TABLE])


@settings(max_examples=12, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    result = fit(spread(TABLE, sites, seed))
    assert_close(result, whole)
    for name in ("anova_type1", "anova_type2"):
        for one, two in zip(result.tables[name], whole.tables[name], strict=True):
            assert one["sum_sq"] == pytest.approx(two["sum_sq"], rel=1e-9)


def test_hospitals_without_a_level_with_one_row_or_with_one_value():
    labels = np.where(TABLE.stage == "III", 1, 2)
    labels[0] = 3
    frames = cut(TABLE, labels)
    result = fit(frames)
    assert_close(result, fit([TABLE]))
    assert not result.aliased and not result.notes


def test_the_order_of_sites_does_not_change_a_bit():
    frames = spread(TABLE, 5)
    one, two = fit(frames, robust="HC3"), fit(frames[::-1], robust="HC3")
    assert one.coefficients == two.coefficients and one.statistics == two.statistics
    assert one.tables == two.tables


def exact_reference(table, terms, outcome):
    """Least squares in exact fractions of the doubles that are there."""
    from fractions import Fraction

    x = [[Fraction(1), *(Fraction(float(v)) for v in row)] for row in table[terms].to_numpy(float)]
    y = [Fraction(float(v)) for v in table[outcome]]
    p = len(x[0])
    rows = [
        [sum(r[i] * r[j] for r in x) for j in range(p)] + [sum(r[i] * v for r, v in zip(x, y, strict=True))]
        + [Fraction(int(i == j)) for j in range(p)]
        for i in range(p)
    ]  # fmt: skip
    for i in range(p):
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for j in range(p):
            if j != i:
                rows[j] = [a - rows[j][i] * b for a, b in zip(rows[j], rows[i], strict=True)]
    beta = [row[p] for row in rows]
    rss = sum((v - sum(b * c for b, c in zip(beta, r, strict=True))) ** 2 for r, v in zip(x, y, strict=True))
    variance = rss / (len(y) - p)
    return [float(b) for b in beta], [float(variance * rows[i][p + 1 + i]) ** 0.5 for i in range(p)]


@pytest.mark.parametrize(
    ("middle", "size"), [(1e6, 1.0), (-1e9, 1e-2), (1e-7, 1e-12), (1e12, 1e12), (0.0, 1e-9)]
)
def test_a_far_away_or_tiny_outcome_loses_nothing(middle, size):
    rng = np.random.default_rng(5)
    table = TABLE[["age", "crp"]].head(60).astype(float)
    table = table.assign(y=middle + size * (0.02 * table.age + rng.normal(size=60)))
    result = fit(spread(table, 7), ["age", "crp"], dictionary=numbers(table))
    estimates, errors = exact_reference(table, ["age", "crp"], "y")
    assert np.abs((column(result, "estimate") - estimates) / np.array(errors)).max() < 1e-8
    assert column(result, "se") == pytest.approx(errors, rel=1e-8)


def test_far_away_and_nearly_dependent_columns_lose_nothing():
    rng = np.random.default_rng(6)
    x = 1e6 + rng.normal(size=50)
    table = pd.DataFrame({"a": x, "b": x + 1e-5 * rng.normal(size=50), "c": 2000 + rng.integers(0, 20, 50)})
    table["y"] = x - 1e6 + rng.normal(size=50)
    result = fit(spread(table, 6), ["a", "b", "c"], dictionary=numbers(table))
    estimates, errors = exact_reference(table, ["a", "b", "c"], "y")
    assert not result.aliased
    assert np.abs((column(result, "estimate") - estimates) / np.array(errors)).max() < 1e-8
    assert column(result, "se") == pytest.approx(errors, rel=1e-8)


def test_a_nearly_perfect_fit_keeps_its_digits():
    rng = np.random.default_rng(7)
    table = TABLE[["age", "crp"]].head(50).astype(float)
    table = table.assign(y=3 + 2 * table.age - table.crp + 1e-6 * rng.normal(size=50))
    result = fit(spread(table, 5), ["age", "crp"], dictionary=numbers(table))
    estimates, errors = exact_reference(table, ["age", "crp"], "y")
    assert np.abs((column(result, "estimate") - estimates) / np.array(errors)).max() < 1e-7
    assert column(result, "se") == pytest.approx(errors, rel=1e-7)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_units_do_not_matter(factor):
    result = fit(spread(TABLE.assign(other=TABLE.crp * factor), 3), ["age", "other"])
    plain = fit(spread(TABLE, 3), ["age", "crp"])
    scale = np.array([1.0, 1.0, factor])
    assert column(result, "estimate") * scale == pytest.approx(column(plain, "estimate"), rel=1e-9)
    assert column(result, "se") * scale == pytest.approx(column(plain, "se"), rel=1e-9)


def test_dependent_and_constant_columns_are_named():
    table = TABLE.assign(other=2.0 * TABLE.age - TABLE.crp, w=3.0)
    result = fit(spread(table, 3), ["age", "crp", "other", "w", "sex"])
    assert result.aliased == ["other", "w"]
    assert "“w” was left out: it is the same" in " ".join(result.notes)
    assert "“other” was left out: the terms before" in " ".join(result.notes)
    assert_close(result, fit([TABLE], ["age", "crp", "sex"]))
    # R's anova has no row for a term that adds nothing; its drop1 has one with 0 degrees of freedom.
    assert [row["term"] for row in result.tables["anova_type1"]] == ["age", "crp", "sex", "Residuals"]
    dropped = by_term(result.tables["anova_type2"])
    assert [dropped[term]["df"] for term in ("age", "crp", "other", "w", "sex")] == [0, 0, 0, 0, 1]
    assert dropped["age"]["sum_sq"] == 0 and dropped["age"]["statistic"] is None


@pytest.mark.parametrize("seed", [0, 34, 35])
def test_a_column_that_only_rounding_tells_from_another_is_left_out(seed):
    """With 34 the first look leaves a rest of rounding that is too small to divide by."""
    rng = np.random.default_rng(seed)
    a = 1e6 + rng.normal(size=32)
    table = pd.DataFrame({"a": a, "b": 2.5 * a, "c": rng.normal(size=32)})
    table["y"] = table.c + rng.normal(size=32)
    result = fit(spread(table, 4, seed), ["a", "b", "c"], dictionary=numbers(table))
    assert result.aliased == ["b"]
    estimates, errors = exact_reference(table, ["a", "c"], "y")
    assert np.abs((column(result, "estimate") - estimates) / np.array(errors)).max() < 1e-8


def test_hospitals_as_a_factor_have_no_adjusted_means():
    result = fit(spread(TABLE, 3), ["age", "sex", ".site"])
    assert [row["term"] for row in result.coefficients][3:] == [".site2", ".site3"]
    assert {row["term"] for row in result.tables["adjusted_means"]} == {"sex"}
    assert by_term(result.tables["anova_type2"])[".site"]["df"] == 2


def played(frames, predictors=TERMS, dictionary=DICTIONARY, **more):
    given_ = {"outcome": "y", "predictors": predictors, **more}
    return run(LinearRegression, frames, dictionary, rules="off", parameters=given_)


def test_a_perfect_fit_is_a_sentence():
    """NIST's Wampler 1: all coefficients are 1, and nothing is left over."""
    x = np.arange(21.0)
    table = pd.DataFrame({f"x{k}": x**k for k in range(1, 6)})
    table["y"] = 1 + table.sum(axis=1)
    outcome = played(spread(table, 3), [f"x{k}" for k in range(1, 6)], numbers(table))
    assert outcome.error is not None and "exactly" in outcome.result.notes[0]
    assert column(outcome.result, "estimate") == pytest.approx(np.ones(6), abs=1e-8)
    assert all(row["se"] is None for row in outcome.result.coefficients)
    assert outcome.result.statistics["sigma"] is None and outcome.result.tests["f"]["p"] is None


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_no_more_patients_than_terms_is_a_sentence(rows):
    outcome = played(spread(TABLE.head(rows), min(rows, 2)), robust="HC3")
    assert outcome.error is not None and outcome.result.notes
    assert all(row["se"] is None for row in outcome.result.coefficients)


def test_an_outcome_that_never_changes_is_a_sentence():
    for value in (0.0, 5.1, 1e9 / 3):
        outcome = played(spread(TABLE.assign(y=value), 3))
        assert outcome.error is not None and "same for every patient" in str(outcome.error)


def test_an_outcome_in_a_unit_out_of_reach_is_a_sentence():
    for factor in (1e200, 1e-200, 1e300):
        outcome = played(spread(TABLE.assign(y=TABLE.y * factor), 3), ["age"])
        assert outcome.error is not None and "unit" in str(outcome.error)
    for factor in (1e-30, 1e30, 1e100):
        assert_close(
            fit(spread(TABLE.assign(y=TABLE.y * factor), 3)), fit([TABLE.assign(y=TABLE.y * factor)]), 1e-8
        )


def test_an_outcome_among_the_predictors_or_taken_off_is_a_sentence():
    assert "exactly" in str(played(spread(TABLE, 2), ["y", "age"]).error)
    assert "same for every patient" in str(played(spread(TABLE, 2), ["age"], offset="y").error)


def test_a_factor_with_one_level_explains_nothing():
    one = {**DICTIONARY, "stage": {"type": "factor", "levels": ["I"]}}
    for frames, term in ((spread(TABLE.assign(stage="I"), 2), "stage"), ([TABLE], ".site")):
        result = fit(frames, ["age", term], dictionary=one if term == "stage" else DICTIONARY)
        assert [row["term"] for row in result.coefficients] == ["(Intercept)", "age"]
        assert [row["term"] for row in result.tables["anova_type1"]] == ["age", "Residuals"]


def test_weights_that_are_all_zero_are_a_sentence():
    outcome = played(spread(TABLE.assign(w=0.0), 2), weights="w")
    assert outcome.error is not None and "No row" in str(outcome.error)
    with pytest.raises(Exception, match="weights below 0"):
        played(
            spread(TABLE.assign(w=-1.0), 2), weights="w", dictionary={**DICTIONARY, "w": {"type": "number"}}
        )


def test_nobody_with_all_values_is_a_sentence():
    outcome = played(spread(TABLE.assign(crp=np.nan), 2))
    assert outcome.error is not None and "No row" in str(outcome.error)


def test_the_mean_alone():
    result = fit(spread(TABLE, 2), [])
    assert result.coefficients[0]["estimate"] == pytest.approx(TABLE.y.mean(), rel=1e-13)
    assert result.coefficients[0]["se"] == pytest.approx(TABLE.y.std() / np.sqrt(180), rel=1e-12)
    assert result.tests["f"] == {"statistic": None, "df": [0, 179], "p": None}
    assert result.statistics["r2"] == 0 and not result.figures
    assert [row["term"] for row in result.tables["anova_type1"]] == ["Residuals"]


def test_missing_values_drop_rows():
    table = TABLE.copy()
    table.loc[:9, "crp"] = np.nan
    result = fit(spread(table, 3))
    assert (result.n.used, result.n.dropped) == (170, 10)
    assert_close(result, fit([TABLE.iloc[10:]]))


def test_weights_far_apart_and_in_any_unit():
    table = TABLE.assign(other=10.0 ** np.random.default_rng(1).integers(-6, 6, len(TABLE)))
    one = fit(spread(table, 4), ["age", "sex"], weights="other")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = smf.wls("y ~ age + sex", table, weights=table.other).fit()
    assert column(one, "se") == pytest.approx(
        wanted.bse[["Intercept", "age", "sex[T.m]"]].to_numpy(), rel=1e-8
    )
    two = fit(spread(table.assign(other=table.other * 1e-7), 4), ["age", "sex"], weights="other")
    assert column(two, "se") == pytest.approx(column(one, "se"), rel=1e-9)


def test_what_every_task_must_keep():
    check_task(
        LinearRegression, spread(TABLE, 2), DICTIONARY, outcome="y", predictors=["age", "sex"], robust="HC1"
    )
    check_task(
        LinearRegression,
        spread(TABLE, 3),
        DICTIONARY,
        rules="off",
        outcome="y",
        predictors=["age", "sex*stage"],
        weights="w",
        offset="base",
    )
