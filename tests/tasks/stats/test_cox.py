"""Cox regression over hospitals: R's printed answers, lifelines, statsmodels, slow loops over one table, odd data."""

import json

import lifelines
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.datasets import load_lung
from lifelines.utils import concordance_index

from friendlyfl import datasets
from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Dictionary, engine
from friendlyfl.tasks.stats import partial_likelihood
from friendlyfl.tasks.stats.cox import Cox
from friendlyfl.testing.check_task import check_task, flat
from friendlyfl.testing.simulate import run, simulate
from friendlyfl.wire.update import Update
from tests.tasks.stats.cox_reference import OneTable
from tests.tasks.stats.published import cut, spread

LUNG = load_lung()[["time", "status", "age", "sex", "ph.ecog"]].astype({"status": int})

# The examples of R's ?coxph, and data set 1 of Therneau and Grambsch (2000), appendix E, solved there by hand.
TEST1 = pd.DataFrame(
    {
        "time": [4, 3, 1, 1, 2, 2, 3],
        "status": [1, 1, 1, 0, 1, 1, 0],
        "x": [0, 2, 1, 1, 1, 0, 0],
        "sex": [0, 0, 0, 0, 1, 1, 1],
    }
)
TEST2 = pd.DataFrame(
    {
        "start": [1, 2, 5, 2, 1, 7, 3, 4, 8, 8],
        "time": [2, 3, 6, 7, 8, 9, 9, 9, 14, 17],
        "status": [1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
        "x": [1, 0, 0, 1, 0, 1, 1, 1, 0, 0],
    }
)
BY_HAND = pd.DataFrame({"time": [1, 1, 6, 6, 8, 9], "status": [1, 0, 1, 1, 0, 1], "x": [1, 1, 1, 0, 0, 0]})


def patients(n=130, seed=3):
    """Made-up patients with many ties, in three hospitals; `who` never crosses them."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.integers(30, 80, n),
            "sex": rng.choice(["f", "m"], n),
            "stage": rng.choice(["I", "II", "III"], n),
            "g": rng.integers(1, 4, n),
            "who": rng.integers(0, 40, n),
        }
    )
    hazard = np.exp(0.03 * (table.age - 50) + 0.5 * (table.sex == "m") + 0.4 * (table.stage == "III"))
    table["entry"] = rng.integers(0, 15, n)
    table["time"] = table.entry + 1 + np.floor(rng.exponential(20 / hazard)).astype(int)
    table["status"] = (rng.random(n) < 0.7).astype(int)
    return table


TABLE = patients()
SITE = TABLE.who.to_numpy() % 3
FRAMES = cut(TABLE, SITE)
DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "stage": {"type": "factor", "levels": ["I", "II", "III"]},
    "g": {"type": "integer", "range": [1, 3]},
    "who": {"type": "integer", "range": [0, 50]},
    "entry": {"type": "integer", "range": [0, 100]},
    "time": {"type": "integer", "range": [0, 400]},
    "status": {"type": "integer", "range": [0, 1]},
}
TERMS = ["age", "sex", "stage"]
PLACES = {"age": [0], "sex": [1], "stage": [2, 3]}


def design(table=TABLE):
    columns = [table.age, table.sex == "m", table.stage == "II", table.stage == "III"]
    return np.column_stack(columns).astype(float)


def fit(frames=FRAMES, predictors=TERMS, dictionary=DICTIONARY, rules="off", **more):
    given_ = {"time": "time", "event": "status", "predictors": predictors, **more}
    return simulate("cox", frames, dictionary, rules=rules, **given_)


def column(result, key):
    return np.array([row[key] for row in result.coefficients], dtype=float)


def assert_close(result, other, factor=1e-9):
    """Every number but those that a cut of the rows changes; estimates by their standard errors."""
    se = column(other, "se")
    assert np.abs((column(result, "estimate") - column(other, "estimate")) / se).max() <= factor
    assert np.abs(column(result, "se") / se - 1).max() <= factor
    found, wanted = flat(result), flat(other)
    for path, value in wanted.items():
        if path.startswith(("statistics", "tests", "tables")):
            assert found[path] == pytest.approx(value, rel=1e-7, abs=1e-9), path


# What R printed.


def test_what_r_printed_for_lung():
    """coxph(Surv(time, status) ~ age + sex + ph.ecog, lung), its summary and cox.zph."""
    result = fit(spread(LUNG, 4), ["age", "sex", "ph.ecog"], None)
    assert column(result, "estimate") == pytest.approx([0.011067, -0.552612, 0.463728], abs=5.1e-7)
    assert column(result, "se") == pytest.approx([0.009267, 0.167739, 0.113577], abs=5.1e-7)
    assert (result.n.used, result.n.dropped, result.n.events) == (227, 1, 164)
    assert result.statistics["concordance"] == pytest.approx(0.637, abs=5.1e-4)
    assert result.statistics["concordance_se"] == pytest.approx(0.025, abs=5.1e-4)
    tests = [result.tests[name]["statistic"] for name in ("lrt", "wald", "score_test")]
    assert tests == pytest.approx([30.5, 29.93, 30.5], abs=5.1e-3)
    rows = {row["term"]: (row["statistic"], row["df"], row["p"]) for row in result.tables["ph_test"]}
    wanted = {
        "age": (0.188, 1, 0.66),
        "sex": (2.305, 1, 0.13),
        "ph.ecog": (2.054, 1, 0.15),
        "GLOBAL": (4.464, 3, 0.22),
    }
    for term, (statistic, df, p) in wanted.items():
        assert rows[term][0] == pytest.approx(statistic, abs=5.1e-4) and rows[term][1] == df
        assert rows[term][2] == pytest.approx(p, abs=5.1e-3)


def test_what_r_prints_for_strata():
    """?coxph: coxph(Surv(time, status) ~ x + strata(sex), test1)."""
    result = fit(spread(TEST1, 2), ["x"], None, strata="sex")
    row = result.coefficients[0]
    found = [row["estimate"], row["se"], row["statistic"], row["p"]]
    assert found == pytest.approx([0.8023, 0.8224, 0.976, 0.329], abs=5.1e-4)
    assert result.tests["lrt"]["statistic"] == pytest.approx(1.09, abs=5.1e-3)
    assert result.tests["lrt"]["p"] == pytest.approx(0.2971, abs=5.1e-5)
    assert (result.n.used, result.n.events) == (7, 5)


def test_what_r_prints_for_entry_times():
    """?coxph: coxph(Surv(start, stop, event) ~ x, test2)."""
    result = fit(spread(TEST2, 3), ["x"], None, entry="start")
    row = result.coefficients[0]
    assert [row["estimate"], row["se"]] == pytest.approx([-0.0211, 0.7952], abs=5.1e-5)
    assert result.tests["lrt"]["p"] == pytest.approx(0.979, abs=5.1e-4)
    assert (result.n.used, result.n.events) == (10, 7)


def test_what_was_solved_by_hand():
    """Breslow: exp(beta) = (3 + sqrt(33)) / 2. Efron: 1.676857 (cut, not rounded, in print)."""
    row = fit(spread(BY_HAND, 2), ["x"], None, ties="breslow").coefficients[0]
    assert row["estimate"] == pytest.approx(np.log((3 + np.sqrt(33)) / 2), abs=1e-12)
    result = fit(spread(BY_HAND, 2), ["x"], None)
    assert result.coefficients[0]["estimate"] == pytest.approx(1.676857, abs=1e-6)
    r = np.exp(result.coefficients[0]["estimate"])
    loglik = 2 * np.log(r) - np.log(3 * r + 3) - np.log(r + 3) - np.log(r / 2 + 2.5)
    assert result.statistics["loglik"] == pytest.approx(loglik, abs=1e-12)


# One table.


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ties": "breslow", "robust": "yes", "entry": "entry"},
        {"strata": "g", "entry": "entry", "cluster": "who"},
        {"strata": ".site"},
        {"strata": ".site", "entry": "entry", "cluster": "who"},
        {"strata": ".site", "ties": "breslow", "robust": "yes"},
    ],
    ids=str,
)
def test_every_number_against_slow_loops(more):
    stratum = {"g": TABLE.g, ".site": SITE}.get(more.get("strata"))
    late = TABLE.entry if "entry" in more else None
    cluster = TABLE.who if "cluster" in more else None
    one = OneTable(design(), TABLE.time, TABLE.status, late, stratum, cluster, more.get("ties", "efron"))
    result = fit(**more)
    assert np.abs((column(result, "estimate") - one.beta) / one.se).max() < 1e-12
    assert column(result, "se") == pytest.approx(one.se, rel=1e-12)
    found = result.statistics
    assert (found["loglik"], found["loglik_null"]) == pytest.approx((one.loglik, one.loglik_null), abs=1e-11)
    assert found["aic"] == pytest.approx(8 - 2 * one.loglik) and result.n.events == TABLE.status.sum()
    assert found["bic"] == pytest.approx(4 * np.log(TABLE.status.sum()) - 2 * one.loglik)
    tests = {name: row["statistic"] for name, row in result.tests.items()}
    assert tests["lrt"] == pytest.approx(2 * (one.loglik - one.loglik_null), rel=1e-12)
    assert tests["score_test"] == pytest.approx(one.score_test, rel=1e-12)
    vcov = one.vcov
    if "cluster" in more or "robust" in more:
        vcov = one.robust()
        assert column(result, "se_robust") == pytest.approx(np.sqrt(np.diag(vcov)), rel=1e-11)
        assert result.n.clusters == (TABLE.who.nunique() if "cluster" in more else None)
        assert "robust" in result.conventions["se"] and any("independent" in note for note in result.notes)
    assert np.array(result.vcov.values) == pytest.approx(vcov, rel=1e-10, abs=1e-16)
    assert tests["wald"] == pytest.approx(one.beta @ np.linalg.solve(vcov, one.beta), rel=1e-10)
    assert column(result, "statistic") == pytest.approx(one.beta / np.sqrt(np.diag(vcov)), rel=1e-10)
    share, error, _ = one.concordance()
    assert (found["concordance"], found["concordance_se"]) == pytest.approx((share, error), rel=1e-12)
    assert result.exact is True
    for table, transform in (("ph_test", "km"), ("ph_test_identity", "identity")):
        wanted = one.ph_test(PLACES, transform)
        assert [row["term"] for row in result.tables[table]] == list(wanted)
        for row in result.tables[table]:
            assert (row["statistic"], row["df"]) == pytest.approx(wanted[row["term"]], rel=1e-9)
    names = {None: ["all"], "g": ["1", "2", "3"], ".site": ["1", "2", "3"]}[more.get("strata")]
    rows = [
        (name, time, value)
        for name, (_, steps) in zip(names, sorted(one.baseline().items()), strict=True)
        for time, value in steps
    ]
    base = result.tables["baseline_cumhaz"]
    assert [(row["stratum"], row["time"]) for row in base] == [row[:2] for row in rows]
    assert [row["cumhaz"] for row in base] == pytest.approx([row[2] for row in rows], rel=1e-11)


def test_lifelines():
    """Efron, strata, entry times: it takes entry = time as at risk, so entries are moved by half a day."""
    result = fit(strata="g", entry="entry")
    table = pd.DataFrame(design(), columns=list("abcd"))
    late = table.assign(time=TABLE.time, status=TABLE.status, entry=TABLE.entry + 0.5, g=TABLE.g)
    fitter = lifelines.CoxPHFitter()
    fitter.fit(late, "time", "status", entry_col="entry", strata=["g"], fit_options={"precision": 1e-12})
    assert column(result, "estimate") == pytest.approx(fitter.params_.to_numpy(), rel=1e-7)
    assert result.statistics["loglik"] == pytest.approx(fitter.log_likelihood_, abs=1e-8)


def test_robust_errors_of_lifelines():
    """Of times without ties: its residuals do not know Efron's rule."""
    table = TABLE.assign(time=TABLE.time * 200 + TABLE.index)
    dictionary = {**DICTIONARY, "time": {"type": "integer"}}
    plain = pd.DataFrame(design(), columns=list("abcd")).assign(
        time=table.time, status=table.status, who=table.who
    )
    for more, given_ in (({"robust": "yes"}, {"robust": True}), ({"cluster": "who"}, {"cluster_col": "who"})):
        result = fit(cut(table, SITE), dictionary=dictionary, **more)
        data = plain if "cluster" in more else plain.drop(columns="who")
        fitter = lifelines.CoxPHFitter()
        fitter.fit(data, "time", "status", fit_options={"precision": 1e-12}, **given_)
        assert column(result, "se_robust") == pytest.approx(fitter.standard_errors_.to_numpy(), rel=1e-6)
        # Its own figure takes scores as they were rounded: on some processors those of equal patients differ then.
        scores = fitter.predict_log_partial_hazard(data).round(9)
        index = concordance_index(table.time, -scores, table.status)
        assert result.statistics["concordance"] == pytest.approx(index, abs=1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_statsmodels(ties):
    result = fit(strata="g", entry="entry", ties=ties)
    model = sm.PHReg(TABLE.time, design(), TABLE.status, entry=TABLE.entry + 0.5, strata=TABLE.g, ties=ties)
    wanted = model.fit(method="newton", tol=1e-14)
    assert column(result, "estimate") == pytest.approx(wanted.params, rel=1e-7)
    assert column(result, "se") == pytest.approx(wanted.bse, rel=1e-7)
    assert result.statistics["loglik"] == pytest.approx(wanted.llf, abs=1e-9)


# Any hospitals.


@pytest.fixture(scope="module")
def whole():
    return fit([TABLE], entry="entry", strata="g", robust="yes")


@settings(max_examples=5, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    assert_close(fit(spread(TABLE, sites, seed), entry="entry", strata="g", robust="yes"), whole)


def test_odd_hospitals_are_ordinary():
    """One without event, one without a level, one with a single row."""
    labels = np.where(TABLE.status == 0, 1, 2)
    labels[TABLE.stage == "III"] = 3
    labels[0] = 4
    assert_close(fit(cut(TABLE, labels)), fit([TABLE]))


@pytest.mark.parametrize("strata", [None, ".site"])
def test_the_order_of_sites_does_not_change_a_bit(strata):
    one, two = fit(FRAMES, strata=strata), fit(FRAMES[::-1], strata=strata)
    assert one.coefficients == two.coefficients and one.vcov == two.vcov
    assert (one.statistics, one.tests) == (two.statistics, two.tests)
    assert one.tables["ph_test"] == two.tables["ph_test"]


def test_missing_values_drop_rows():
    table = TABLE.assign(age=TABLE.age.astype(float))
    table.loc[:9, "age"] = np.nan
    result = fit(spread(table, 3))
    assert (result.n.used, result.n.dropped) == (len(TABLE) - 10, 10)
    assert_close(result, fit([TABLE.iloc[10:]]))


def test_hospitals_as_a_predictor():
    result = fit(predictors=["age", ".site"])
    x = np.column_stack([TABLE.age, SITE == 1, SITE == 2]).astype(float)
    assert column(result, "estimate") == pytest.approx(OneTable(x, TABLE.time, TABLE.status).beta, rel=1e-10)
    assert [row["term"] for row in result.tables["ph_test"]] == ["age", ".site", "GLOBAL"]


def test_interactions_and_a_factor_as_event():
    table = TABLE.assign(state=np.where(TABLE.status == 1, "dead", "alive"))
    dictionary = {**DICTIONARY, "state": {"type": "factor", "levels": ["alive", "dead"]}}
    result = fit(spread(table, 3), ["age*sex"], dictionary, event="state")
    male = (TABLE.sex == "m").to_numpy(float)
    x = np.column_stack([TABLE.age, male, TABLE.age * male])
    assert column(result, "estimate") == pytest.approx(OneTable(x, TABLE.time, TABLE.status).beta, rel=1e-9)
    assert [row["term"] for row in result.coefficients] == ["age", "sexm", "age:sexm"]
    assert 'Surv(time, state == "dead") ~ age + sex + age:sex' in result.reproduce.r


@pytest.mark.parametrize("strata", [None, ".site"])
@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_units_do_not_matter(factor, strata):
    dictionary = {**DICTIONARY, "age": {"type": "number"}}
    result = fit(cut(TABLE.assign(age=TABLE.age * factor), SITE), dictionary=dictionary, strata=strata)
    plain = fit(strata=strata)
    scale = np.array([factor, 1, 1, 1])
    assert column(result, "estimate") * scale == pytest.approx(column(plain, "estimate"), rel=1e-8)
    assert column(result, "se") * scale == pytest.approx(column(plain, "se"), rel=1e-9)
    tests = [[row["statistic"] for row in each.tables["ph_test"]] for each in (result, plain)]
    assert tests[0] == pytest.approx(tests[1], rel=1e-8)


def test_years_far_from_zero():
    """A column that differs far more between hospitals than among those who are compared."""
    table = TABLE.assign(age=TABLE.age + 10_000_000 * SITE)
    dictionary = {**DICTIONARY, "age": {"type": "integer"}}
    one, two = fit(cut(table, SITE), strata=".site", dictionary=dictionary), fit(strata=".site")
    assert column(one, "estimate") == pytest.approx(column(two, "estimate"), rel=1e-9)
    assert column(one, "se") == pytest.approx(column(two, "se"), rel=1e-9)


def test_times_that_differ_by_rounding_are_ties():
    table = TABLE.assign(time=TABLE.time * 0.1, entry=TABLE.entry * 0.1)
    noisy = table.assign(time=table.time * (1 + 1e-15 * (TABLE.index % 3)))
    dictionary = {**DICTIONARY, "time": {"type": "number"}, "entry": {"type": "number"}}
    one, two = (
        fit(cut(each, SITE), dictionary=dictionary, strata=".site", entry="entry") for each in (table, noisy)
    )
    assert column(one, "estimate") == pytest.approx(column(two, "estimate"), rel=1e-12)
    assert column(one, "estimate") == pytest.approx(
        column(fit(strata=".site", entry="entry"), "estimate"), rel=1e-9
    )


# Odd data.


@pytest.mark.parametrize("strata", [None, ".site"])
def test_separation_of_one_term_leaves_the_others_exact(strata):
    """Nobody with the marker had the event: as its hazard goes to 0, these rows vanish."""
    table = TABLE.assign(marker=(TABLE.index % 9 == 0).astype(int))
    table.loc[table.marker == 1, "status"] = 0
    result = fit(cut(table, SITE), ["age", "marker", "sex"], None, strata=strata)
    rest = table.marker == 0
    wanted = fit(cut(table[rest], SITE[rest]), ["age", "sex"], None, strata=strata)
    rows = {row["term"]: row for row in result.coefficients}
    assert rows["marker"]["se"] is None and rows["marker"]["estimate"] < -20
    for row in wanted.coefficients:
        assert rows[row["term"]]["estimate"] == pytest.approx(row["estimate"], rel=1e-9)
        assert rows[row["term"]]["se"] == pytest.approx(row["se"], rel=1e-9)
    assert result.statistics["loglik"] == pytest.approx(wanted.statistics["loglik"], abs=1e-9)
    assert "“marker” grows without bound" in result.notes[0] and "“age”" not in result.notes[0]


@pytest.mark.parametrize("strata", [None, ".site"])
def test_a_score_that_is_the_order_of_events(strata):
    table = TABLE.assign(order=-TABLE.time)
    outcome = run(
        "cox",
        cut(table, SITE),
        None,
        rules="off",
        parameters={"time": "time", "event": "status", "predictors": "order,age", "strata": strata},
    )
    assert outcome.error is not None and outcome.error.exit_code == 4
    assert (
        "Separation: the estimate of “order”" in outcome.result.notes[0] and not outcome.result.coefficients
    )


@pytest.mark.parametrize("strata", [None, ".site"])
def test_dependent_and_constant_columns_are_named(strata):
    table = TABLE.assign(double=2 * TABLE.age + 1, same=3)
    result = fit(cut(table, SITE), ["age", "double", "same", "sex"], None, strata=strata)
    assert result.aliased == ["double", "same"]
    assert any("“same” was left out: it is the same for all patients" in note for note in result.notes)
    assert any("“double” was left out: the terms before" in note for note in result.notes)
    assert_close(result, fit(predictors=["age", "sex"], strata=strata))


def test_hospitals_within_hospitals_say_nothing():
    result = fit(predictors=["age", ".site"], strata=".site")
    assert result.aliased == [".site2", ".site3"] and len(result.coefficients) == 1


def test_a_level_that_nobody_has():
    dictionary = {**DICTIONARY, "stage": {"type": "factor", "levels": ["I", "II", "III", "IV"]}}
    assert fit(dictionary=dictionary).aliased == ["stageIV"]


@pytest.mark.parametrize("strata", [None, ".site"])
def test_nobody_with_the_event_is_a_sentence(strata):
    result = fit(cut(TABLE.assign(status=0), SITE), strata=strata)
    assert result.notes == ["Nobody had the event, so there is nothing to explain."]
    assert result.coefficients == [] and result.n.events == 0


@pytest.mark.parametrize("strata", [None, ".site"])
def test_one_event(strata):
    table = TABLE.assign(status=0)
    middle = int(np.argsort(TABLE.age.to_numpy())[100])
    table.loc[middle, ["status", "time"]] = 1, 5
    result = fit(cut(table, SITE), ["age"], strata=strata)
    assert result.n.events == 1 and result.tables["ph_test"][0]["statistic"] is None
    assert result.coefficients[0]["se"] > 0


def test_strata_without_events_are_noted():
    table = TABLE.assign(status=np.where(TABLE.g == 2, 0, TABLE.status))
    result = fit(cut(table, SITE), strata="g")
    assert "1 stratum has no event and says nothing about the coefficients." in result.notes
    assert {row["stratum"] for row in result.tables["baseline_cumhaz"]} == {"1", "3"}


@pytest.mark.parametrize("strata", [None, ".site"])
def test_all_at_the_same_time(strata):
    result = fit(cut(TABLE.assign(time=20), SITE), ["age", "sex"], strata=strata)
    stratum = SITE if strata else None
    x = design()[:, :2]
    one = OneTable(x, np.full(len(TABLE), 20), TABLE.status, None, stratum)
    assert column(result, "estimate") == pytest.approx(one.beta, rel=1e-9)
    assert result.statistics["concordance"] == pytest.approx(one.concordance()[0], rel=1e-12)


@pytest.mark.parametrize("strata", [None, ".site"])
def test_a_row_of_no_length_is_a_sentence(strata):
    with pytest.raises(UsageError, match="“entry” is not before “time”"):
        fit(cut(TABLE.assign(entry=TABLE.time), SITE), entry="entry", strata=strata)


def test_almost_no_length_is_a_sentence():
    table = TABLE.assign(entry=TABLE.time * (1 - 1e-12))
    dictionary = {**DICTIONARY, "entry": {"type": "number"}}
    with pytest.raises(UsageError, match="the same but for rounding"):
        fit(cut(table, SITE), entry="entry", strata=".site", dictionary=dictionary)


def test_nobody_complete_is_a_sentence():
    result = fit(cut(TABLE.assign(age=np.nan), SITE))
    assert "No row" in result.notes[0]


def test_a_grid_too_fine_is_needed_for_sums_by_time_only():
    dictionary = {**DICTIONARY, "time": {"type": "number", "range": [0, 1000], "step": 1e-5}}
    with pytest.raises(UsageError, match="larger step"):
        fit(dictionary=dictionary)
    result = fit(strata=".site", dictionary=dictionary)
    assert any("need a range and a step" in note for note in result.notes)
    assert result.coefficients == fit(strata=".site").coefficients and set(result.tables) == {
        "ph_test_identity"
    }


def test_values_whose_squares_are_out_of_reach_get_a_sentence():
    dictionary = {**DICTIONARY, "age": {"type": "number"}}
    result = fit(cut(TABLE.assign(age=TABLE.age * 1e300), SITE), ["age"], dictionary, strata=".site")
    assert "The standard error of “age” is out of reach" in result.notes[0]


def test_more_numbers_than_can_be_sent_is_a_sentence(monkeypatch):
    monkeypatch.setattr(partial_likelihood, "GRID_POINTS", 500)
    result = fit()
    assert "choose strata=.site" in result.notes[0] and result.n.events == TABLE.status.sum()


# Rules.


def test_sums_by_time_are_refused_under_rules():
    outcome = run(
        "cox", FRAMES, DICTIONARY, parameters={"time": "time", "event": "status", "predictors": "age"}
    )
    assert {row["rule"] for row in outcome.result.privacy.refused} == {"time"} and not outcome.sent


def test_a_secure_sum_does_not_make_them_safe():
    given_ = {"time": "time", "event": "status", "predictors": "age"}
    task = engine.make_task(Cox, None, given_, DICTIONARY, 3, secure_sum=True)
    with pytest.raises(UsageError, match="needs strata=.site"):
        engine.begin(task)


def test_under_rules_no_number_belongs_to_a_time():
    frames = list(datasets.load("clinic").values())
    dictionary = Dictionary.parse(datasets.dictionary("clinic"))
    outcome = run(Cox, frames, dictionary, parameters={**Cox.example, "cluster": "physician"})
    sizes = {}
    for sent in outcome.sent:
        sizes |= dict(Update.from_bytes(sent[0]).layout)
    assert max(int(np.prod(shape)) for shape in sizes.values()) <= 2 * 6 * 6
    assert set(sizes) >= {"score", "info", "ph_score", "meat"} and not {
        "deaths_at",
        "hazard",
        "columns",
    } & set(sizes)
    result = outcome.result
    assert "ph_test" not in result.tables and "baseline_cumhaz" not in result.tables
    assert sum("do not leave" in note for note in result.notes) == 2
    without = run(
        Cox, frames, dictionary, rules="off", parameters={**Cox.example, "cluster": "physician"}
    ).result
    assert result.coefficients == without.coefficients and result.statistics == without.statistics
    assert result.tables["ph_test_identity"] == without.tables["ph_test_identity"]


def test_what_every_task_must_keep():
    frames = list(datasets.load("clinic").values())[:2]
    dictionary = Dictionary.parse(datasets.dictionary("clinic"))
    check_task(
        Cox,
        frames,
        dictionary,
        rules="off",
        time="weeks",
        event="dead",
        entry="entry_week",
        predictors="age,sex,treatment",
        strata="nyha",
        robust="yes",
    )


def test_a_result_is_plain_and_repeatable():
    result = fit(entry="entry", cluster="who", strata=".site")
    text = json.dumps(result.to_json(), allow_nan=False)
    assert "cluster = who" in text and "strata(`.site`)" not in text
    assert "cox.zph(fit)" in result.reproduce.r and result.figures[0].axis == "Hazard ratio"
