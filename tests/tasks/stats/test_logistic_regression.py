"""Logistic regression over hospitals: R's printed answers, statsmodels, other cuts of the rows, and odd data."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from friendlyfl.tasks.stats.logistic_regression import LogisticRegression, bernoulli
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.published import OC_COEFFICIENTS, OC_DICTIONARY, cut, oc_and_mi, spread


def patients(n=240, seed=7):
    """Made-up patients with an outcome that depends on them."""
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
    eta = -2 + 0.03 * table.age + 0.5 * (table.sex == "m") - 0.02 * table.crp
    table["died"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    return table


DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "crp": {"type": "number", "range": [0, 600], "step": 0.1},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "stage": {"type": "factor", "levels": ["I", "II", "III"]},
    "w": {"type": "number", "range": [0, 10]},
    "base": {"type": "number", "range": [-10, 10]},
    "died": {"type": "integer", "range": [0, 1]},
    "marker": {"type": "integer", "range": [0, 1]},
    "other": {"type": "number"},
}
TABLE = patients()
TERMS = ["age", "crp", "sex", "stage"]


def fit(frames, predictors=TERMS, outcome="died", dictionary=DICTIONARY, **more):
    given_ = {**more, "outcome": outcome, "predictors": predictors}
    return simulate("logistic_regression", frames, dictionary, rules="off", **given_)


def design(table=TABLE):
    columns = [np.ones(len(table)), table.age, table.crp, table.sex == "m", table.stage == "II"]
    return np.column_stack([*columns, table.stage == "III"]).astype(float)


def reference(table=TABLE, x=None, **more):
    x = design(table) if x is None else x
    return sm.GLM(table.died, x, family=sm.families.Binomial(), **more).fit(tol=1e-14, maxiter=100)


def column(result, key):
    return np.array([row[key] for row in result.coefficients], dtype=float)


def assert_close(result, other, factor=1e-9):
    """The distance in standard errors, and the standard errors' own."""
    se = column(other, "se")
    assert np.abs((column(result, "estimate") - column(other, "estimate")) / se).max() <= factor
    assert np.abs(column(result, "se") / se - 1).max() <= factor


def test_the_answer_r_printed_for_oral_contraceptives():
    result = fit(spread(oc_and_mi(), 4), ["age", "oc"], "mi", OC_DICTIONARY)
    assert [row["term"] for row in result.coefficients] == list(OC_COEFFICIENTS)
    for row in result.coefficients:
        estimate, se, z, p = OC_COEFFICIENTS[row["term"]]
        assert row["estimate"] == pytest.approx(estimate, abs=5.1e-5)
        # R prints the errors of the last step but one, here of the second.
        assert row["se"] == pytest.approx(se, rel=5e-4)
        assert row["statistic"] == pytest.approx(z, rel=8e-4)
        assert p is None or row["p"] == pytest.approx(p, rel=2e-2)
    assert result.n.used == 1976 and result.n.events == 234
    # The counts in the source are a binomial's; the fall in deviance does not depend on how rows are grouped.
    assert result.tests["lrt"]["statistic"] == pytest.approx(158.0085 - 6.5355, abs=1.1e-4)


def test_the_answer_of_greene_and_of_statsmodels():
    """Spector and Mazzeo (1980), in Greene's Econometric Analysis: the logit estimates of table 21.1."""
    table = sm.datasets.spector.load_pandas().data
    dictionary = {name: {"type": "number", "range": [0, 40]} for name in table}
    dictionary["GRADE"] = {"type": "integer", "range": [0, 1]}
    result = fit(spread(table, 3), ["GPA", "TUCE", "PSI"], "GRADE", dictionary)
    assert column(result, "estimate") == pytest.approx([-13.021, 2.826, 0.095, 2.379], abs=5.1e-4)
    assert column(result, "se") == pytest.approx([4.931, 1.263, 0.142, 1.065], abs=6e-4)
    assert result.statistics["loglik"] == pytest.approx(-12.88963, abs=6e-6)


def test_everything_a_glm_reports():
    result, wanted = fit(spread(TABLE, 3)), reference()
    assert column(result, "estimate") == pytest.approx(wanted.params.to_numpy(), rel=1e-9)
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy(), rel=1e-9)
    assert column(result, "p") == pytest.approx(wanted.pvalues.to_numpy(), rel=1e-7)
    assert np.array([[row["ci_lower"], row["ci_upper"]] for row in result.coefficients]) == pytest.approx(
        wanted.conf_int().to_numpy(), rel=1e-7
    )
    assert np.array(result.vcov.values) == pytest.approx(wanted.cov_params().to_numpy(), rel=1e-8, abs=1e-12)
    got = result.statistics
    assert got["loglik"] == pytest.approx(wanted.llf, abs=1e-10)
    assert got["loglik_null"] == pytest.approx(wanted.llnull, abs=1e-9)
    assert got["aic"] == pytest.approx(wanted.aic, abs=1e-9)
    assert got["bic"] == pytest.approx(wanted.bic_llf, abs=1e-9)
    assert got["deviance"] == pytest.approx(wanted.deviance, abs=1e-9)
    assert got["null_deviance"] == pytest.approx(wanted.null_deviance, abs=1e-9)
    assert got["pearson_chi2"] == pytest.approx(wanted.pearson_chi2, rel=1e-9)
    assert (got["df_residual"], got["df_null"], got["dispersion"]) == (234, 239, 1.0)
    assert result.n.events == TABLE.died.sum() and result.exact is True and not result.aliased
    assert {figure.word for figure in result.figures} == {"Forest"}


def test_the_three_tests_against_the_null_model():
    result, wanted = fit(spread(TABLE, 2)), reference()
    assert result.tests["lrt"]["statistic"] == pytest.approx(2 * (wanted.llf - wanted.llnull), rel=1e-10)
    joint = wanted.wald_test(np.eye(6)[1:], scalar=True)
    assert result.tests["wald"]["statistic"] == pytest.approx(float(joint.statistic), rel=1e-9)
    x, p0 = design(), TABLE.died.mean()
    score, info = x.T @ (TABLE.died - p0), p0 * (1 - p0) * x.T @ x
    assert result.tests["score_test"]["statistic"] == pytest.approx(
        score @ np.linalg.solve(info, score), rel=1e-9
    )
    assert all(row["df"] == 5 and 0 < row["p"] < 1 for row in result.tests.values())


def test_interactions_and_a_factor_as_outcome():
    table = TABLE.assign(state=np.where(TABLE.died == 1, "dead", "alive"))
    dictionary = {**DICTIONARY, "state": {"type": "factor", "levels": ["alive", "dead"]}}
    result = fit(spread(table, 3), ["age*sex"], "state", dictionary)
    assert [row["term"] for row in result.coefficients] == ["(Intercept)", "age", "sexm", "age:sexm"]
    male = (TABLE.sex == "m").to_numpy(float)
    wanted = reference(x=np.column_stack([np.ones(len(TABLE)), TABLE.age, male, TABLE.age * male]))
    assert column(result, "estimate") == pytest.approx(wanted.params.to_numpy(), rel=1e-8)
    assert "age:sex" in result.reproduce.r and "`" not in result.reproduce.r


def test_hospitals_as_a_factor():
    labels = np.random.default_rng(2).integers(0, 3, len(TABLE))
    result = fit(cut(TABLE, labels), ["age", ".site"])
    assert [row["term"] for row in result.coefficients][2:] == [".site2", ".site3"]
    x = np.column_stack([np.ones(len(TABLE)), TABLE.age, labels == 1, labels == 2]).astype(float)
    assert column(result, "estimate") == pytest.approx(reference(x=x).params.to_numpy(), rel=1e-8)


def test_offset_and_weights():
    used = TABLE[TABLE.w > 0]
    result = fit(spread(TABLE, 3), offset="base", weights="w")
    wanted = reference(used, freq_weights=used.w.to_numpy(), offset=used.base.to_numpy())
    assert column(result, "estimate") == pytest.approx(wanted.params.to_numpy(), rel=1e-9)
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy(), rel=1e-9)
    assert result.statistics["loglik"] == pytest.approx(wanted.llf, abs=1e-9)
    null = reference(
        used, np.ones((len(used), 1)), freq_weights=used.w.to_numpy(), offset=used.base.to_numpy()
    )
    assert result.statistics["loglik_null"] == pytest.approx(null.llf, abs=1e-9)
    assert result.statistics["df_null"] == len(used) - 1  # as R: rows whose weight is not 0


def test_weights_that_are_not_whole_are_rounded_where_r_rounds_them():
    """R's binomial takes a weight for a number of trials in logLik, AIC and BIC (half to even), and nowhere else."""
    table = TABLE.assign(w=TABLE.w + np.where(TABLE.index % 3 == 0, 0.5, 0.3))
    result, weight = fit(spread(table, 3), weights="w"), table.w.to_numpy()
    wanted, null = (reference(table, x, freq_weights=weight) for x in (None, np.ones((len(table), 1))))
    assert column(result, "estimate") == pytest.approx(wanted.params.to_numpy(), rel=1e-9)
    got = result.statistics

    def rounded(mu):
        return np.rint(weight) @ np.where(table.died == 1, np.log(mu), np.log1p(-mu))

    assert got["loglik"] == pytest.approx(rounded(wanted.fittedvalues), rel=1e-11)
    assert got["loglik_null"] == pytest.approx(rounded(null.fittedvalues), rel=1e-11)
    assert got["aic"] == pytest.approx(12 - 2 * got["loglik"], rel=1e-12)
    assert (got["deviance"], got["null_deviance"]) == pytest.approx(
        (wanted.deviance, null.deviance), rel=1e-11
    )
    fall = null.deviance - wanted.deviance
    assert result.tests["lrt"]["statistic"] == pytest.approx(fall, rel=1e-9)
    assert "rounds them" in " ".join(result.notes)


def test_rows_of_weight_zero_count_in_bic_only():
    """R's logLik counts every row that is no missing value, its degrees of freedom those whose weight is not 0."""
    result, used = fit(spread(TABLE, 3), weights="w"), TABLE[TABLE.w > 0]
    wanted = reference(used, freq_weights=used.w.to_numpy())
    assert result.statistics["bic"] == pytest.approx(6 * np.log(len(TABLE)) - 2 * wanted.llf, rel=1e-11)
    assert result.statistics["df_residual"] == len(used) - 6
    assert result.n.events == used.died.sum()


@pytest.mark.parametrize("shift", [-300.0, 1e4])
def test_an_offset_may_be_far_from_zero(shift):
    dictionary = {**DICTIONARY, "base": {"type": "number"}}
    result = fit(spread(TABLE.assign(base=TABLE.base + shift), 2), offset="base", dictionary=dictionary)
    wanted = reference(offset=TABLE.base.to_numpy())
    assert column(result, "estimate")[1:] == pytest.approx(wanted.params.to_numpy()[1:], rel=1e-7)
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy(), rel=1e-8)


def test_patients_against_all_odds():
    """A wild offset: squared residuals are larger than what can be added, and the answer is there all the same."""
    table = TABLE.assign(base=TABLE.base * 40)
    result = fit(
        spread(table, 3), ["age"], offset="base", dictionary={**DICTIONARY, "base": {"type": "number"}}
    )
    x = np.column_stack([np.ones(len(table)), table.age]).astype(float)
    p = 1 / (1 + np.exp(-(x @ column(result, "estimate") + table.base.to_numpy())))
    assert np.abs(x.T @ (table.died - p)).max() < 1e-6
    se = np.sqrt(np.diag(np.linalg.inv((x.T * (p * (1 - p))) @ x)))
    assert column(result, "se") == pytest.approx(se, rel=1e-6)
    assert result.statistics["pearson_chi2"] is None


def test_an_interaction_with_an_empty_cell():
    table = TABLE[~((TABLE.sex == "m") & (TABLE.stage == "III"))]
    result = fit(spread(table, 4), ["sex*stage"])
    assert result.aliased == ["sexm:stageIII"]
    male, two, three = (
        np.asarray(c, float) for c in (table.sex == "m", table.stage == "II", table.stage == "III")
    )
    wanted = reference(table, np.column_stack([np.ones(len(table)), male, two, three, male * two]))
    assert column(result, "estimate") == pytest.approx(wanted.params.to_numpy(), rel=1e-8)
    assert column(result, "se") == pytest.approx(wanted.bse.to_numpy(), rel=1e-9)


def test_an_interaction_alone_has_a_column_for_each_cell_and_the_last_is_aliased_as_in_r():
    result = fit(spread(TABLE, 4), ["sex:stage"])
    names = [f"sex{sex}:stage{stage}" for stage in ("I", "II", "III") for sex in "fm"]
    assert [row["term"] for row in result.coefficients] == ["(Intercept)", *names[:-1]]
    assert result.aliased == names[-1:]
    cells = TABLE.groupby(["stage", "sex"]).died.mean().to_numpy()
    odds = np.log(cells / (1 - cells))
    assert column(result, "estimate") == pytest.approx([odds[5], *(odds[:5] - odds[5])], rel=1e-9)


def test_hospitals_in_an_interaction():
    labels = np.random.default_rng(2).integers(0, 3, len(TABLE))
    result = fit(cut(TABLE, labels), [".site*sex"])
    assert [row["term"] for row in result.coefficients] == [
        "(Intercept)", ".site2", ".site3", "sexm", ".site2:sexm", ".site3:sexm",
    ]  # fmt: skip
    cells = TABLE.groupby([labels, "sex"]).died.mean().unstack()
    odds = np.log(cells / (1 - cells)).to_numpy()
    ratio = odds[:, 1] - odds[:, 0]
    wanted = [odds[0, 0], *(odds[1:, 0] - odds[0, 0]), ratio[0], *(ratio[1:] - ratio[0])]
    assert column(result, "estimate") == pytest.approx(wanted, rel=1e-9)


def test_many_hospitals_of_three_patients():
    table = TABLE.head(60)
    frames = [table.iloc[start : start + 3].reset_index(drop=True) for start in range(0, 60, 3)]
    assert_close(fit(frames, ["age", "sex"]), fit([table], ["age", "sex"]))


def test_a_hospital_where_everyone_has_the_outcome_as_a_factor():
    labels = np.random.default_rng(2).integers(0, 3, len(TABLE))
    frames = cut(TABLE, labels)
    frames[1] = frames[1].assign(died=1)
    result, rest = fit(frames, ["age", ".site"], robust="HC1"), fit([frames[0], frames[2]], ["age", ".site"])
    rows = {row["term"]: row for row in result.coefficients}
    assert rows[".site2"]["se"] is None and "“.site2” grows without bound" in result.notes[0]
    for term, other in (("(Intercept)", 0), ("age", 1), (".site3", 2)):
        assert rows[term]["estimate"] == pytest.approx(rest.coefficients[other]["estimate"], rel=1e-8)
        assert rows[term]["se"] == pytest.approx(rest.coefficients[other]["se"], rel=1e-8)
    assert any("Robust errors are not given" in note for note in result.notes)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC3"])
def test_robust_errors(kind):
    """The sandwich package's formulas, written out."""
    result = fit(spread(TABLE, 3), robust=kind)
    x, plain = design(), reference()
    mu = plain.fittedvalues.to_numpy()
    bread = plain.cov_params().to_numpy()
    residual = TABLE.died.to_numpy() - mu
    leverage = mu * (1 - mu) * np.einsum("ij,jk,ik->i", x, bread, x)
    weight = {"HC0": residual**2, "HC1": residual**2 * len(x) / (len(x) - 6)}.get(
        kind, (residual / (1 - leverage)) ** 2
    )
    wanted = bread @ (x.T * weight) @ x @ bread
    assert np.array(result.vcov.values) == pytest.approx(wanted, rel=1e-8, abs=1e-12)
    assert column(result, "se") == pytest.approx(plain.bse.to_numpy(), rel=1e-9)
    assert column(result, "se_robust") == pytest.approx(np.sqrt(np.diag(wanted)), rel=1e-9)
    assert column(result, "statistic") == pytest.approx(
        column(result, "estimate") / column(result, "se_robust"), rel=1e-12
    )
    assert kind in result.conventions["se"]


@pytest.fixture(scope="module")
def whole():
    """The fit of one table."""
    return fit([TABLE])


@settings(max_examples=8, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    assert_close(fit(spread(TABLE, sites, seed)), whole)


def test_a_site_with_one_row_without_event_or_without_a_level_is_ordinary():
    labels = np.where(TABLE.died == 0, 1, 2)
    labels[TABLE.stage == "III"] = 3
    labels[0] = 4
    frames = cut(TABLE, labels)
    assert frames[0].died.nunique() == 1 and len(frames[-1]) == 1
    result = fit(frames)
    assert_close(result, fit([TABLE]))
    assert not result.aliased and not any("Separation" in note or "left out" in note for note in result.notes)


def test_the_order_of_sites_does_not_change_a_bit():
    frames = spread(TABLE, 5)
    one, two = fit(frames), fit(frames[::-1])
    assert one.coefficients == two.coefficients and one.statistics == two.statistics


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_units_do_not_matter(factor):
    table = TABLE.assign(other=TABLE.crp * factor)
    result = fit(spread(table, 3), ["age", "other"])
    plain = fit(spread(TABLE, 3), ["age", "crp"])
    scale = np.array([1.0, 1.0, factor])
    assert column(result, "estimate") * scale == pytest.approx(column(plain, "estimate"), rel=1e-9)
    assert column(result, "se") * scale == pytest.approx(column(plain, "se"), rel=1e-9)


def test_dependent_and_constant_columns_are_named():
    table = TABLE.assign(other=2.0 * TABLE.age - TABLE.crp, w=3.0)
    result = fit(spread(table, 3), ["age", "crp", "other", "w", "sex"])
    assert result.aliased == ["other", "w"]
    assert [row["term"] for row in result.coefficients] == ["(Intercept)", "age", "crp", "sexm"]
    assert "“w” was left out: it is the same" in " ".join(result.notes)
    assert "“other” was left out: the terms before" in " ".join(result.notes)
    assert_close(result, fit([TABLE], ["age", "crp", "sex"]))


def test_a_level_that_nobody_has():
    dictionary = {**DICTIONARY, "stage": {"type": "factor", "levels": ["I", "II", "III", "IV"]}}
    result = fit(spread(TABLE, 2), dictionary=dictionary)
    assert result.aliased == ["stageIV"] and result.statistics["df_residual"] == 234


def test_separation_of_one_term_leaves_the_others_exact():
    """Where marker is 1 everyone died: its estimate is infinite, the others are those of the rows without it."""
    table = TABLE.assign(marker=((TABLE.died == 1) & (TABLE.index % 7 == 0)).astype(int))
    result = fit(spread(table, 3), ["age", "crp", "marker"])
    rows = {row["term"]: row for row in result.coefficients}
    assert rows["marker"]["se"] is None and rows["marker"]["p"] is None and rows["marker"]["estimate"] > 20
    rest = table[table.marker == 0]
    wanted = reference(rest, np.column_stack([np.ones(len(rest)), rest.age, rest.crp]))
    others = [rows[term] for term in ("(Intercept)", "age", "crp")]
    assert [row["estimate"] for row in others] == pytest.approx(wanted.params.to_list(), rel=1e-9)
    assert [row["se"] for row in others] == pytest.approx(wanted.bse.to_list(), rel=1e-9)
    assert result.statistics["loglik"] == pytest.approx(wanted.llf, abs=1e-9)
    note = next(note for note in result.notes if "Separation" in note)
    assert "“marker”" in note and "age" not in note and "other terms are not affected" in note


def test_complete_separation_has_no_finite_answer():
    table = TABLE.assign(other=TABLE.died * 3.0 + np.random.default_rng(0).normal(size=len(TABLE)) / 10)
    outcome = run(
        "logistic_regression",
        spread(table, 3),
        DICTIONARY,
        rules="off",
        parameters={"outcome": "died", "predictors": ["other", "age"]},
    )
    assert outcome.error is not None and outcome.error.exit_code == 4
    assert all(row["se"] is None for row in outcome.result.coefficients)
    assert "Separation" in outcome.result.notes[0]


def test_one_hospital_separated_is_ordinary():
    frames = spread(TABLE, 2)
    frames[0] = frames[0][(frames[0].sex == "f") | (frames[0].died == 1)].reset_index(drop=True)
    assert not any("Separation" in note for note in fit(frames).notes)


def test_nobody_with_the_outcome_is_a_sentence():
    result = fit(spread(TABLE.assign(died=0), 3))
    assert result.notes == [
        "Every patient in this analysis has the same outcome (no), so there is nothing to explain."
    ]
    assert result.coefficients == [] and result.n.events == 0


def test_all_weights_zero_is_a_sentence():
    result = fit(spread(TABLE.assign(w=0.0), 2), weights="w")
    assert result.coefficients == [] and "No row" in result.notes[0]


def test_the_intercept_alone():
    result = fit(spread(TABLE, 2), [])
    assert result.tests["lrt"] == {"statistic": None, "df": 0, "p": None} and not result.figures
    assert result.rounds == 2


def test_few_events_for_many_terms_get_a_note():
    assert any("events for each term" in note for note in fit(spread(TABLE.head(60), 2)).notes)


def test_missing_values_drop_rows():
    table = TABLE.copy()
    table.loc[:9, "crp"] = np.nan
    result = fit(spread(table, 3))
    assert (result.n.used, result.n.dropped) == (230, 10)
    assert_close(result, fit([TABLE.iloc[10:]]))


def test_a_negative_weight_is_refused():
    with pytest.raises(Exception, match="weights below 0"):
        fit(spread(TABLE.assign(w=-1.0), 2), weights="w", dictionary={**DICTIONARY, "w": {"type": "number"}})


def test_what_every_task_must_keep():
    check_task(LogisticRegression, spread(TABLE, 2), DICTIONARY, outcome="died", predictors=["age", "sex"])
    check_task(
        LogisticRegression,
        spread(TABLE, 3),
        DICTIONARY,
        rules="off",
        outcome="died",
        predictors=TERMS,
        robust="HC3",
    )


def test_the_likelihood_of_a_row_is_right_however_far_out():
    eta = np.array([-np.inf, -800.0, -740.0, -40.0, -1.5, -1e-20, 0.0, 1e-20, 0.3, 36.0, 700.0, np.inf])
    for outcome in (0.0, 1.0):
        towards = (2 * outcome - 1) * eta
        loglik, slope, curve = bernoulli(np.full(len(eta), outcome), eta)
        normal = np.abs(eta) < 700  # beyond it, numbers are too small to have all their digits
        assert np.allclose(loglik, -np.logaddexp(0.0, -towards), rtol=4e-15, atol=0)
        assert np.allclose(slope[normal], ((2 * outcome - 1) * expit(-towards))[normal], rtol=4e-15, atol=0)
        assert np.allclose(curve[normal], (expit(-eta) * expit(eta))[normal], rtol=4e-15, atol=0)
        assert np.isfinite(slope).all() and (curve >= 0).all() and (curve[~normal] < 1e-300).all()
    assert all(np.isnan(found).all() for found in bernoulli(np.ones(1), np.full(1, np.nan)))
