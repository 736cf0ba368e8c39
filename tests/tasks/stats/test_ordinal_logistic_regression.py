"""Proportional odds regression against R's printed answer, statsmodels and a plain fit of one table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from friendlyfl import datasets
from friendlyfl.tasks.stats.ordinal_logistic_regression import OrdinalLogisticRegression
from friendlyfl.testing import check_task, simulate
from tests.tasks.stats.published import cut, spread

# The copenhagen housing conditions survey (Madsen 1976), `housing` in R's MASS; what `example(polr)` prints.
HOUSING = {
    ("Low", "Tower"): "21 21 28 34 22 36 10 11 36",
    ("Low", "Apartment"): "61 23 17 43 35 40 26 18 54",
    ("Low", "Atrium"): "13 9 10 8 8 12 6 7 9",
    ("Low", "Terrace"): "18 6 7 15 13 13 7 5 11",
    ("High", "Tower"): "14 19 37 17 23 40 3 5 23",
    ("High", "Apartment"): "78 46 43 48 45 86 15 25 62",
    ("High", "Atrium"): "20 23 20 10 22 24 7 10 21",
    ("High", "Terrace"): "57 23 13 31 21 13 5 6 13",
}
HOUSING_COEFFICIENTS = {
    "InflMedium": (0.566, 0.1047),
    "InflHigh": (1.289, 0.1272),
    "TypeApartment": (-0.572, 0.1192),
    "TypeAtrium": (-0.366, 0.1552),
    "TypeTerrace": (-1.091, 0.1515),
    "ContHigh": (0.360, 0.0955),
    "Low|Medium": (-0.496, 0.125),
    "Medium|High": (0.691, 0.125),
}
GRADES = ["Low", "Medium", "High"]


def housing():
    rows = []
    for (cont, kind), counts in HOUSING.items():
        for place, count in enumerate(counts.split()):
            rows += [(GRADES[place % 3], GRADES[place // 3], kind, cont)] * int(count)
    return pd.DataFrame(rows, columns=["Sat", "Infl", "Type", "Cont"])


HOUSING_DICTIONARY = {
    "Sat": {"type": "ordered", "levels": GRADES},
    "Infl": {"type": "factor", "levels": GRADES},
    "Type": {"type": "factor", "levels": ["Tower", "Apartment", "Atrium", "Terrace"]},
    "Cont": {"type": "factor", "levels": ["Low", "High"]},
}


def patients(n=300, seed=3):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.integers(20, 90, n),
            "crp": np.round(rng.gamma(1.5, 10.0, n), 1),
            "sex": rng.choice(["f", "m"], n),
        }
    )
    latent = 0.04 * table.age + 0.02 * table.crp - 0.5 * (table.sex == "m") + rng.logistic(size=n)
    table["grade"] = pd.cut(latent, [-np.inf, 1.2, 2.4, 3.4, np.inf], labels=["I", "II", "III", "IV"]).astype(
        str
    )
    return table


DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "crp": {"type": "number", "range": [0, 600], "step": 0.1},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "grade": {"type": "ordered", "levels": ["I", "II", "III", "IV"]},
    "other": {"type": "number"},
}
TABLE = patients()
TERMS = ["age", "crp", "sex"]


def fit(frames, predictors=TERMS, outcome="grade", dictionary=DICTIONARY):
    return simulate(
        OrdinalLogisticRegression, frames, dictionary, rules="off", outcome=outcome, predictors=predictors
    )


def column(result, key):
    return np.array([row[key] for row in result.coefficients], dtype=float)


def assert_close(result, other, factor=1e-9):
    se = column(other, "se")
    assert np.abs((column(result, "estimate") - column(other, "estimate")) / se).max() <= factor
    assert np.abs(column(result, "se") / se - 1).max() <= factor


def top_near(theta, table, x, levels):
    """The top of the log-likelihood of one table: chances as differences, derivatives by complex steps."""
    y = np.array([levels.index(level) for level in table])

    def logliks(theta):
        zeta = np.concatenate([[-500.0], theta[x.shape[1] :], [500.0]])
        eta = x @ theta[: x.shape[1]]
        chance = 1 / (1 + np.exp(-(zeta[y + 1] - eta))) - 1 / (1 + np.exp(-(zeta[y] - eta)))
        return np.log(chance).sum()

    def slope(theta):
        return np.array([logliks(theta + 1e-30j * e).imag / 1e-30 for e in np.eye(len(theta), dtype=complex)])

    def curvature(theta):
        step = 1e-5
        return np.array(
            [(slope(theta + step * e) - slope(theta - step * e)) / (2 * step) for e in np.eye(len(theta))]
        )

    for _ in range(4):
        theta = theta - np.linalg.solve(curvature(theta), slope(theta))
    return theta, np.sqrt(np.diag(np.linalg.inv(-curvature(theta)))), logliks(theta)


def test_the_answer_r_prints_for_the_housing_survey():
    table = housing()
    assert len(table) == 1681
    result = fit(spread(table, 4), ["Infl", "Type", "Cont"], "Sat", HOUSING_DICTIONARY)
    assert [row["term"] for row in result.coefficients] == list(HOUSING_COEFFICIENTS)
    for row in result.coefficients:
        estimate, se = HOUSING_COEFFICIENTS[row["term"]]
        assert row["estimate"] == pytest.approx(estimate, abs=5.1e-4)
        assert row["se"] == pytest.approx(se, abs=5.1e-4 if "|" in row["term"] else 5.1e-5)
    assert result.statistics["deviance"] == pytest.approx(3479.149, abs=5.1e-4)
    assert result.statistics["aic"] == pytest.approx(3495.149, abs=5.1e-4)
    assert result.statistics["df"] == 8 and result.statistics["df_residual"] == 1673
    assert result.vcov.names == list(HOUSING_COEFFICIENTS) and not result.notes


def test_against_a_plain_fit_of_one_table():
    x = np.column_stack([TABLE.age - 50, TABLE.crp, TABLE.sex == "m"]).astype(float)
    result = fit(spread(TABLE, 3))
    start = column(result, "estimate") * 0.98
    start[3:] -= 50 * start[0]
    theta, se, loglik = top_near(start, TABLE.grade, x, ["I", "II", "III", "IV"])
    theta[3:] += 50 * theta[0]
    assert column(result, "estimate") == pytest.approx(theta, rel=1e-8)
    assert column(result, "se")[:3] == pytest.approx(se[:3], rel=1e-7)
    assert result.statistics["loglik"] == pytest.approx(loglik, abs=1e-9)
    variance = np.array(result.vcov.values)
    assert np.sqrt(np.diag(variance)) == pytest.approx(column(result, "se"), rel=1e-12)
    share = TABLE.grade.value_counts(normalize=True)
    null = len(TABLE) * (share * np.log(share)).sum()
    assert result.statistics["loglik_null"] == pytest.approx(null, abs=1e-9)
    assert result.tests["lrt"]["statistic"] == pytest.approx(2 * (loglik - null), abs=1e-8)
    assert result.tests["lrt"]["df"] == 3


def test_against_statsmodels():
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    x = np.column_stack([(TABLE.age - 50) / 10, TABLE.sex == "m"]).astype(float)
    y = TABLE.grade.astype(pd.CategoricalDtype(["I", "II", "III", "IV"], ordered=True))
    model = OrderedModel(y, x, distr="logit").fit(method="bfgs", disp=0, gtol=1e-6)
    result = fit(spread(TABLE, 3), ["age", "sex"])
    wanted = [model.params.iloc[0] / 10, model.params.iloc[1]]
    assert column(result, "estimate")[:2] == pytest.approx(wanted, rel=1e-5)
    cuts = model.model.transform_threshold_params(model.params)[1:-1]
    assert column(result, "estimate")[2:] == pytest.approx(cuts + 50 * wanted[0], rel=1e-5)
    assert column(result, "se")[:2] == pytest.approx([model.bse.iloc[0] / 10, model.bse.iloc[1]], rel=1e-4)


@pytest.fixture(scope="module")
def whole():
    return fit([TABLE])


@settings(max_examples=8, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    assert_close(fit(spread(TABLE, sites, seed)), whole)


def test_the_order_of_sites_does_not_change_a_bit():
    frames = spread(TABLE, 5)
    one, two = fit(frames), fit(frames[::-1])
    assert one.coefficients == two.coefficients and one.statistics == two.statistics


def test_a_site_with_one_row_and_sites_with_one_level_are_ordinary(whole):
    labels = TABLE.grade.map({"I": 1, "II": 2, "III": 3, "IV": 4}).to_numpy()
    labels[0] = 9
    assert_close(fit(cut(TABLE, labels)), whole)


def test_two_levels_are_logistic_regression():
    table = TABLE.assign(grade=np.where(TABLE.grade == "I", "I", "III"))
    result = fit(spread(table, 3))
    assert [row["term"] for row in result.coefficients] == [*["age", "crp", "sexm"], "I|III"]
    died = table.assign(died=(table.grade == "III").astype(int))
    dictionary = {**DICTIONARY, "died": {"type": "integer", "range": [0, 1]}}
    other = simulate("logistic_regression", [died], dictionary, rules="off", outcome="died", predictors=TERMS)
    assert column(result, "estimate") == pytest.approx(
        np.roll(column(other, "estimate") * [-1, 1, 1, 1], -1), rel=1e-9
    )
    assert column(result, "se") == pytest.approx(np.roll(column(other, "se"), -1), rel=1e-9)
    assert "logistic regression" in " ".join(result.notes) and "“II” and “IV”" in " ".join(result.notes)


def test_a_level_that_nobody_has_is_left_out(whole):
    dictionary = {
        **DICTIONARY,
        "grade": {"type": "factor", "levels": ["O", "I", "II", "x", "y", "III", "IV"]},
    }
    result = fit(spread(TABLE, 3), dictionary=dictionary)
    assert_close(result, whole)
    assert [row["term"] for row in result.coefficients][3:] == ["I|II", "II|III", "III|IV"]
    assert "“O”, “x” and “y”" in " ".join(result.notes) and "is ordered" in " ".join(result.notes)


def test_everyone_alike_is_a_sentence():
    result = fit(spread(TABLE.assign(grade="II"), 3))
    assert result.coefficients == [] and "same outcome (II)" in result.notes[0]


def test_separation_of_one_term_leaves_the_others_exact():
    """Where other is 1 everyone has the highest level."""
    table = TABLE.assign(other=((TABLE.grade == "IV") & (TABLE.index % 3 == 0)).astype(float))
    result = fit(spread(table, 3), ["age", "other"])
    rows = {row["term"]: row for row in result.coefficients}
    wanted = fit([table[table.other == 0]], ["age"])
    assert rows["other"]["se"] is None and "“other”" in result.notes[0]
    others = [rows[term] for term in ("age", "I|II", "II|III", "III|IV")]
    assert [row["estimate"] for row in others] == pytest.approx(column(wanted, "estimate"), rel=1e-8)
    assert [row["se"] for row in others] == pytest.approx(column(wanted, "se"), rel=1e-8)


def test_complete_separation_is_a_sentence():
    place = TABLE.grade.map({"I": 0, "II": 1, "III": 2, "IV": 3})
    result = fit(spread(TABLE.assign(other=place + 0.1), 3), ["other"])
    assert "Separation" in " ".join(result.notes) or not result.coefficients


def test_a_level_of_one_patient_and_steep_effects():
    """Steps of Newton that would swap thresholds are halved."""
    rng = np.random.default_rng(1)
    other = rng.normal(size=400) * 3
    latent = 4 * other + rng.logistic(size=400)
    grade = np.array(["I", "II", "III", "IV"])[np.searchsorted([-15.0, -14.5, 20.0], latent)]
    table = pd.DataFrame({"other": other, "grade": grade})
    result = fit(spread(table, 3), ["other"])
    start = column(result, "estimate") * 0.999
    theta, se, _ = top_near(start, table.grade, other[:, None], ["I", "II", "III", "IV"])
    assert column(result, "estimate") == pytest.approx(theta, rel=1e-7)
    assert column(result, "se") == pytest.approx(se, rel=1e-6)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_units_do_not_matter(factor):
    result = fit(spread(TABLE.assign(other=TABLE.crp * factor), 3), ["age", "other"])
    plain = fit(spread(TABLE, 3), ["age", "crp"])
    scale = np.array([1.0, factor, 1, 1, 1])
    assert column(result, "estimate") * scale == pytest.approx(column(plain, "estimate"), rel=1e-9)
    assert column(result, "se") * scale == pytest.approx(column(plain, "se"), rel=1e-9)


def test_dependent_columns_interactions_and_hospitals():
    table = TABLE.assign(other=2.0 * TABLE.age - TABLE.crp)
    result = fit(spread(table, 3), ["age", "crp", "other", "age*sex", ".site"])
    assert result.aliased == ["other"]
    terms = ["age", "crp", "sexm", ".site2", ".site3", "age:sexm", "I|II", "II|III", "III|IV"]
    assert [row["term"] for row in result.coefficients] == terms


def test_thresholds_alone():
    result = fit(spread(TABLE, 2), [])
    share = np.cumsum(TABLE.grade.value_counts().sort_index())[:-1] / len(TABLE)
    assert column(result, "estimate") == pytest.approx(np.log(share / (1 - share)), rel=1e-12)
    assert column(result, "se") == pytest.approx(1 / np.sqrt(len(TABLE) * share * (1 - share)), rel=1e-9)


def test_predicted_shares_add_up():
    """At the answer the model expects as many of each level as there are, to first order: the score is zero."""
    result = fit(spread(TABLE, 2), [])
    cuts = expit(column(result, "estimate"))
    assert np.diff(np.concatenate([[0], cuts, [1]])) == pytest.approx(
        TABLE.grade.value_counts(normalize=True).sort_index().to_numpy(), rel=1e-9
    )


def test_what_every_task_must_keep():
    frames = list(datasets.load("clinic").values())[:2]
    check_task(
        OrdinalLogisticRegression, frames, datasets.dictionary("clinic"), **OrdinalLogisticRegression.example
    )
