"""Calibration of fixed predictions against statsmodels, scikit-learn and sums over one table."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import chi2
from sklearn.metrics import brier_score_loss, log_loss

from friendlyfl import datasets
from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Dictionary
from friendlyfl.tasks.stats.calibration import Calibration
from friendlyfl.tasks.stats.fixed_model import FixedModel
from friendlyfl.testing import check_task, simulate
from tests.tasks.stats.published import cut, spread


def patients(n=400, seed=11):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"age": rng.integers(30, 90, n), "race": rng.choice(["white", "black", "other"], n)})
    table["wfns"] = rng.integers(1, 6, n)
    eta = -4 + 0.03 * table.age + 0.4 * table.wfns - 0.3 * (table.race == "black")
    table["died"] = (rng.random(n) < expit(eta)).astype(int)
    table["risk"] = expit(0.8 * eta + 0.4 + 0.3 * rng.normal(size=n))
    return table


DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "wfns": {"type": "integer", "range": [1, 5]},
    "race": {"type": "factor", "levels": ["white", "black", "other"]},
    "died": {"type": "integer", "range": [0, 1]},
    "risk": {"type": "number", "range": [0, 1]},
}
TABLE = patients()
MODEL = "lp:-4+0.035*age+0.55*wfns - .2*raceblack"


def linear(table=TABLE):
    return (-4 + 0.035 * table.age + 0.55 * table.wfns - 0.2 * (table.race == "black")).to_numpy()


def calibrate(frames, predicted="risk", dictionary=DICTIONARY, rules="off", **more):
    return simulate(Calibration, frames, dictionary, rules=rules, outcome="died", predicted=predicted, **more)


def column(result, key):
    return np.array([row[key] for row in result.coefficients], dtype=float)


@pytest.mark.parametrize("predicted", ["risk", MODEL])
def test_against_two_fits_of_one_table(predicted):
    eta = logit(TABLE.risk.to_numpy()) if predicted == "risk" else linear()
    y, p = TABLE.died.to_numpy(), expit(eta)
    result = calibrate(spread(TABLE, 4), predicted)
    ones = np.ones(len(y))
    large = sm.GLM(y, ones, sm.families.Binomial(), offset=eta).fit(tol=1e-14)
    both = sm.GLM(y, np.column_stack([ones, eta]), sm.families.Binomial()).fit(tol=1e-14)
    assert [row["term"] for row in result.coefficients] == [
        "calibration_in_the_large",
        "calibration_intercept",
        "calibration_slope",
    ]
    assert column(result, "estimate") == pytest.approx([*large.params, *both.params], rel=1e-9)
    assert column(result, "se") == pytest.approx([*large.bse, *both.bse], rel=1e-9)
    assert column(result, "p") == pytest.approx([*large.pvalues, *both.pvalues], rel=1e-7)
    assert np.array(result.vcov.values, dtype=float)[1:, 1:] == pytest.approx(both.cov_params(), rel=1e-8)
    assert result.vcov.values[0][1] is None
    assert result.statistics["brier"] == pytest.approx(brier_score_loss(y, p), rel=1e-13)
    assert result.statistics["log_loss"] == pytest.approx(log_loss(y, p), rel=1e-13)
    assert result.statistics["oe_ratio"] == pytest.approx(y.sum() / p.sum(), rel=1e-13)
    perfect = -len(y) * log_loss(y, p)
    test = result.tests["perfect_calibration"]
    assert test["statistic"] == pytest.approx(2 * (both.llf - perfect), rel=1e-8)
    assert test["p"] == pytest.approx(chi2.sf(2 * (both.llf - perfect), 2), rel=1e-7)
    assert result.n.events == y.sum() and result.exact is True and not result.notes


@pytest.mark.parametrize("bins", [10, 4])
def test_groups_of_predictions(bins):
    rounded = TABLE.assign(risk=TABLE.risk.round(2))
    result = calibrate(spread(rounded, 3), bins=bins)
    groups = pd.cut(rounded.risk, np.arange(bins + 1) / bins, include_lowest=True)
    rows = result.tables["bins"]
    assert len(rows) == bins
    assert [row["n"] for row in rows] == groups.value_counts(sort=False).to_list()
    assert [row["events"] for row in rows] == rounded.groupby(groups, observed=False).died.sum().to_list()
    assert [row["sum_p"] for row in rows] == pytest.approx(
        rounded.groupby(groups, observed=False).risk.sum().to_list()
    )
    assert rows[0]["bin"].startswith("[0,") and rows[-1]["upper"] == 1


@pytest.fixture(scope="module")
def whole():
    return calibrate([TABLE], MODEL)


@settings(max_examples=8, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    result = calibrate(spread(TABLE, sites, seed), MODEL)
    se = column(whole, "se")
    assert np.abs((column(result, "estimate") - column(whole, "estimate")) / se).max() <= 1e-9
    assert column(result, "se") == pytest.approx(se, rel=1e-9)
    assert result.statistics == pytest.approx(whole.statistics, rel=1e-12)


def test_sites_without_an_event_or_of_one_row_and_their_order(whole):
    labels = TABLE.died.to_numpy() + 1
    labels[0] = 3
    frames = cut(TABLE, labels)
    one, two = calibrate(frames, MODEL), calibrate(frames[::-1], MODEL)
    assert one.coefficients == two.coefficients and one.tables == two.tables
    assert column(one, "estimate") == pytest.approx(column(whole, "estimate"), rel=1e-9)


@pytest.mark.parametrize("factor", [1e-7, 1e7])
def test_the_size_of_the_log_odds_does_not_matter(factor):
    table = TABLE.assign(risk=linear() * factor)
    dictionary = {**DICTIONARY, "risk": {"type": "number"}}
    result = calibrate(spread(table, 3), f"lp:{1 / factor!r}*risk", dictionary)
    assert column(result, "estimate") == pytest.approx(
        column(calibrate([TABLE], MODEL), "estimate"), rel=1e-8
    )
    slope = calibrate(spread(table, 3), "lp:risk", dictionary).coefficients[2]
    assert slope["estimate"] * factor == pytest.approx(
        column(calibrate([TABLE], MODEL), "estimate")[2], rel=1e-8
    )


def test_predictions_of_exactly_0_or_1():
    table = TABLE.copy()
    table.loc[table.index[table.died == 0][:6], "risk"] = 0.0
    result = calibrate(spread(table, 3))
    rest = calibrate([table[table.risk > 0]])
    assert column(result, "estimate") == pytest.approx(column(rest, "estimate"), rel=1e-9)
    assert result.statistics["brier"] == pytest.approx(brier_score_loss(table.died, table.risk), rel=1e-12)
    assert result.statistics["log_loss"] == pytest.approx(rest.statistics["log_loss"] * 394 / 400, rel=1e-12)
    assert result.n.used == 400 and any("6 predictions are exactly 0 or 1" in note for note in result.notes)
    table.loc[table.index[table.died == 1][:1], "risk"] = 0.0
    assert calibrate(spread(table, 3)).statistics["log_loss"] is None
    assert any("infinite" in note and "1 patient." in note for note in calibrate(spread(table, 3)).notes)


def test_only_certain_predictions():
    result = calibrate(spread(TABLE.assign(risk=TABLE.died.astype(float)), 2))
    assert result.statistics["brier"] == 0 and result.statistics["oe_ratio"] == 1
    assert all(row["estimate"] is None for row in result.coefficients)
    assert any("in the large, intercept and slope have no" in note for note in result.notes)


def test_what_is_no_probability_is_a_sentence():
    dictionary = {**DICTIONARY, "risk": {"type": "number", "range": [0, 100]}}
    with pytest.raises(UsageError, match="probabilities from 0 to 1"):
        calibrate(spread(TABLE.assign(risk=TABLE.risk * 100), 2), dictionary=dictionary)


def test_no_event_the_same_prediction_and_perfect_predictions_are_sentences():
    nobody = calibrate(spread(TABLE.assign(died=0), 3))
    assert nobody.coefficients[0]["estimate"] is None and "same outcome (no)" in nobody.notes[0]
    far = calibrate(spread(TABLE, 3), "lp:1e7*age-6e8")
    assert far.coefficients[2]["estimate"] is not None and far.coefficients[0]["estimate"] is None
    assert any("in the large has no finite answer" in note for note in far.notes)
    assert nobody.statistics["oe_ratio"] == 0 and nobody.rounds == 2
    same = calibrate(spread(TABLE.assign(risk=0.3), 3))
    share = TABLE.died.mean()
    assert same.coefficients[0]["estimate"] == pytest.approx(logit(share) - logit(0.3), rel=1e-9)
    assert same.coefficients[2]["estimate"] is None and "Every prediction is the same" in same.notes[0]
    apart = calibrate(spread(TABLE.assign(risk=np.where(TABLE.died == 1, 0.7, 0.2) + TABLE.age / 1000), 3))
    assert apart.coefficients[0]["estimate"] is not None and apart.coefficients[2]["estimate"] is None
    assert any("without a single exception" in note for note in apart.notes)


def test_groups_of_few_are_hidden_under_rules():
    frames = [TABLE.iloc[:200], TABLE.iloc[200:]]
    result, open_ = calibrate(frames, rules="on"), calibrate(frames)
    rows, wanted = result.tables["bins"], open_.tables["bins"]
    assert any(row["n"] is None for row in rows) and any(
        "at a hospital are not shown" in n for n in result.notes
    )
    for row, other in zip(rows, wanted, strict=True):
        assert row["n"] is None or row == other
        assert (row["n"] is None) == (row["events"] is None) == (row["sum_p"] is None)
    assert result.coefficients == open_.coefficients and result.statistics == open_.statistics


@pytest.mark.parametrize(
    ("text", "constant", "terms"),
    [
        ("lp:-4+0.035*age+0.55*wfns", -4, [(0.035, (("age", None),)), (0.55, (("wfns", None),))]),
        ("lp: age - 1.5e-1 * raceblack + 2", 2, [(1, (("age", None),)), (-0.15, (("race", 1),))]),
        ("lp:-age:racewhite*2-.5", -0.5, [(-2, (("age", None), ("race", 0)))]),
        ("lp:3*`odd-name`", 0, [(3, (("odd-name", None),))]),
        ("lp:0", 0, []),
    ],
)
def test_how_a_model_is_written(text, constant, terms):
    dictionary = Dictionary.parse({**DICTIONARY, "odd-name": {"type": "number"}})
    model = FixedModel.parse(text, dictionary)
    assert model.constant == constant and list(model.terms) == terms


def test_a_factor_of_numbers_means_its_numbers(whole):
    dictionary = {**DICTIONARY, "wfns": {"type": "ordered", "levels": ["1", "2", "3", "4", "5"]}}
    result = calibrate(spread(TABLE, 3), MODEL, dictionary)
    assert column(result, "estimate") == pytest.approx(column(whole, "estimate"), rel=1e-9)
    assert "as.numeric(as.character(wfns))" in result.reproduce.r


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lp:", "missing"),
        ("lp:2*agee", "Did you mean “age”"),
        ("lp:1+2*race", "raceblack"),
        ("lp:1 2", "cannot be read"),
        ("lp:1+(2*age)", "cannot be read|no term"),
        ("lp:1e999*age", "too large"),
        ("nothing", "no column"),
        ("race", "no numbers"),
        ("", "is missing"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(text, says):
    with pytest.raises(UsageError, match=says) as caught:
        calibrate([TABLE], text)
    assert str(caught.value).startswith("Prediction (predicted)") and str(caught.value).endswith((".", "?"))


def test_what_every_task_must_keep():
    frames = list(datasets.load("clinic").values())[:2]
    check_task(Calibration, frames, datasets.dictionary("clinic"), **Calibration.example)
    check_task(
        Calibration,
        frames,
        datasets.dictionary("clinic"),
        outcome="readmitted",
        predicted="lp:-4+0.03*age+0.5*nyhaIII+0.9*nyhaIV-0.3*treatmenttreated",
    )
