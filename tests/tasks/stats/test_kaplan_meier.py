"""Survival over hospitals: R's printed answers, lifelines, other cuts of the rows, and odd data.

lifelines differs by its own choice in two things: its limits are log-log by default, and its variance of the
restricted mean is that of min(T, tau), one person's, where R's is the squared standard error of the estimate.
"""

import lifelines
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.datasets import load_lung
from lifelines.statistics import multivariate_logrank_test

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.kaplan_meier import KaplanMeier
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import simulate
from tests.tasks.stats.published import AML, AML_LOG_RANK, AML_MEDIANS, AML_SUMMARY, cut, spread

LUNG = load_lung()[["time", "status", "sex", "ph.ecog"]].astype({"status": int})


def curves(frames, dictionary=None, time="time", event="status", **more):
    return simulate("kaplan_meier", frames, dictionary, rules="off", time=time, event=event, **more)


def points(result, group):
    return {p["time"]: p for curve in result.curves if curve.group == group for p in curve.points}


def groups(result):
    return {row["group"]: row for row in result.tables["groups"]}


def test_what_r_printed_for_aml():
    result = curves(spread(AML, 3), group="x")
    for group, wanted in AML_SUMMARY.items():
        found = points(result, group)
        for time, (risk, event, survival, se, lower, upper) in wanted.items():
            point = found[time]
            assert (point["n_risk"], point["n_event"]) == (risk, event)
            assert point["survival"] == pytest.approx(survival, abs=5.1e-4)
            for key, value in (("se", se), ("ci_lower", lower), ("ci_upper", upper)):
                assert (
                    (point[key] is None) if value is None else point[key] == pytest.approx(value, abs=5.1e-4)
                )
    medians = {
        g: (r["median"], r["median_ci_lower"], r["median_ci_upper"]) for g, r in groups(result).items()
    }
    assert medians == AML_MEDIANS
    test = result.tests["logrank"]
    assert test["statistic"] == pytest.approx(AML_LOG_RANK["statistic"], abs=0.05)
    assert test["p"] == pytest.approx(AML_LOG_RANK["p"], abs=5.1e-5)
    assert test["expected"] == pytest.approx(AML_LOG_RANK["expected"], abs=5.1e-3)
    assert test["observed"] == [7.0, 11.0] and test["df"] == 1 and test["groups"] == list(AML_SUMMARY)


def test_what_r_printed_for_lung():
    """survdiff(Surv(time, status) ~ sex, lung): Machine Learning with R Cookbook, 2nd ed., chapter 6."""
    result = curves(spread(LUNG, 4), group="sex")
    test = result.tests["logrank"]
    assert test["statistic"] == pytest.approx(10.3267, abs=5.1e-5) and test["p"] == pytest.approx(
        0.00131116, rel=1e-5
    )
    assert test["expected"] == pytest.approx([91.5817, 73.4183], abs=5.1e-5)
    assert {name: row["median"] for name, row in groups(result).items()} == {"sex=1": 270.0, "sex=2": 426.0}


def test_medians_and_their_limits_as_r_prints_them():
    """print(survfit(Surv(time, status) ~ sex, lung)): 270 (212, 310) and 426 (348, 550); of all 310 (285, 363)."""
    limits = {"sex=1": (270, 212, 310), "sex=2": (426, 348, 550)}
    keys = ("median", "median_ci_lower", "median_ci_upper")
    rows = groups(curves(spread(LUNG, 4), group="sex"))
    assert {name: tuple(row[key] for key in keys) for name, row in rows.items()} == limits
    assert tuple(groups(curves([LUNG]))["all"][key] for key in keys) == (310, 285, 363)


def test_the_curve_of_lifelines():
    result = curves(spread(LUNG, 3), ci="log-log")
    fitter = lifelines.KaplanMeierFitter().fit(LUNG["time"], LUNG["status"])
    wanted = pd.concat([fitter.survival_function_, fitter.confidence_interval_], axis=1)
    found = points(result, "all")
    for time, (survival, lower, upper) in wanted.iloc[1:].iterrows():
        assert found[time]["survival"] == pytest.approx(survival, abs=1e-12)
        assert (found[time]["ci_lower"], found[time]["ci_upper"]) == pytest.approx((lower, upper), abs=1e-9)
    row = groups(result)["all"]
    assert (row["n"], row["events"], row["median"]) == (228, 165, fitter.median_survival_time_)
    assert result.n.events == 165


@pytest.mark.filterwarnings("ignore")  # lifelines integrates its steps by quadrature
def test_the_restricted_mean_and_its_error():
    result = curves(spread(LUNG, 3), tau=365)
    fitter = lifelines.KaplanMeierFitter().fit(LUNG["time"], LUNG["status"])
    mean, variance = lifelines.utils.restricted_mean_survival_time(fitter, 365, return_variance=True)
    row = groups(result)["all"]
    assert row["rmst"] == pytest.approx(mean, rel=1e-10) and row["rmst_tau"] == 365
    one_person = np.sqrt(variance)
    assert one_person / np.sqrt(228) == pytest.approx(row["rmst_se"], rel=0.02)  # the same but for censoring
    assert row["rmst_se"] == pytest.approx(7.79885908631446, rel=1e-12)  # R 4.2.2, print(fit, rmean = 365)


@pytest.mark.parametrize(("group", "df"), [("sex", 1), ("ph.ecog", 3)])
def test_the_log_rank_test_of_lifelines(group, df):
    table = LUNG.dropna(subset=["ph.ecog"])
    result = curves(spread(LUNG, 3), group=group)
    wanted = multivariate_logrank_test(LUNG["time"], LUNG[group], LUNG["status"]) if group == "sex" else None
    if wanted is None:
        wanted = multivariate_logrank_test(table["time"], table[group], table["status"])
        assert result.n.dropped == 1
    test = result.tests["logrank"]
    assert test["statistic"] == pytest.approx(wanted.test_statistic, rel=1e-9) and test["df"] == df
    assert test["p"] == pytest.approx(wanted.p_value, rel=1e-8)


def test_early_events_may_weigh_more():
    """rho 1: weights S(t-) of the pooled curve, here by a loop over event times as in Harrington and Fleming."""
    t, d, g = AML.time.to_numpy(), AML.status.to_numpy(), (AML.x == "Maintained").to_numpy()
    s, u, v = 1.0, 0.0, 0.0
    for time in np.unique(t[d == 1]):
        n, n1 = (t >= time).sum(), ((t >= time) & g).sum()
        dead, dead1 = ((t == time) & (d == 1)).sum(), ((t == time) & (d == 1) & g).sum()
        u += s * (dead1 - dead * n1 / n)
        if n > 1:
            v += s**2 * dead * (n - dead) / (n - 1) * n1 / n * (1 - n1 / n)
        s *= 1 - dead / n
    test = curves(spread(AML, 2), group="x", rho=1).tests["logrank"]
    assert test["statistic"] == pytest.approx(u**2 / v, rel=1e-12)
    assert "S(t-)^1" in curves(spread(AML, 2), group="x", rho=1).conventions["test"]


def test_strata_are_compared_within():
    labels = np.arange(len(LUNG)) % 3
    frames = cut(LUNG, labels)
    test = curves(frames, group="sex", strata=".site").tests["logrank"]
    u = v = 0.0
    for frame in frames:
        one = curves([frame], group="sex").tests["logrank"]
        difference = one["observed"][0] - one["expected"][0]
        u += difference
        v += difference**2 / one["statistic"]
    assert test["statistic"] == pytest.approx(u**2 / v, rel=1e-10) and test["df"] == 1


def test_a_stratum_without_event_says_nothing():
    quiet = pd.DataFrame(
        {"time": [3, 9, 4], "status": 0, "x": ["Maintained", "Maintained", "Nonmaintained"], "s": 1}
    )
    both = pd.concat([AML.assign(s=0), quiet])
    for rho in (0, 1):
        with_it = curves([both], group="x", strata="s", rho=rho).tests["logrank"]
        assert with_it == curves([AML], group="x", rho=rho).tests["logrank"]


def test_groups_that_are_never_at_risk_together():
    apart = pd.DataFrame(
        {"time": [1, 1, 2, 9, 9, 8], "status": [0, 0, 0, 1, 1, 1], "x": ["a", "a", "b", "b", "c", "c"]}
    )
    alone = curves([apart.assign(x=np.where(apart.x == "c", "b", apart.x))], group="x")
    assert alone.tests["logrank"]["statistic"] is None and "The log-rank test has no answer" in alone.notes[0]
    assert curves([apart], group="x").notes == []  # a has no expected events and takes no part, as in R


def test_entry_times():
    """Late entry against the definition: at risk when entry < t ≤ time."""
    rng = np.random.default_rng(3)
    entry = rng.integers(0, 50, 80)
    table = pd.DataFrame(
        {"entry": entry, "time": entry + rng.integers(1, 60, 80), "status": rng.integers(0, 2, 80)}
    )
    result = curves(spread(table, 3), entry="entry")
    s = 1.0
    found = points(result, "all")
    for time in sorted(table.time.unique()):
        n = int(((table.entry < time) & (table.time >= time)).sum())
        d = int(((table.time == time) & (table.status == 1)).sum())
        s *= 1 - d / n
        assert found[time]["n_risk"] == n and found[time]["survival"] == pytest.approx(s, abs=1e-12)
    with pytest.raises(UsageError, match="is not before"):
        curves([table.assign(entry=table.time)], entry="entry")


def test_recorded_times_come_back_as_they_were_written():
    """0.1 times 3 is not 0.3 in a computer; what the file says is what the Result says."""
    table = pd.DataFrame({"time": [0.1, 0.3, 0.7, 1.1, 0.3], "status": [1, 1, 0, 1, 0]})
    result = curves([table.head(2), table.tail(3)], times=[0.3])
    assert list(points(result, "all")) == [0.1, 0.3, 0.7, 1.1]
    assert result.tables["at_times"][0]["survival"] == pytest.approx(4 / 5 * 3 / 4)


def test_chosen_times_and_beyond_follow_up():
    result = curves(spread(AML, 2), group="x", times=[10, 50], tau=100)
    rows = {(row["group"], row["time"]): row for row in result.tables["at_times"]}
    assert rows["x=Maintained", 10]["n_event_since_last"] == 1 and rows["x=Maintained", 10]["n_risk"] == 10
    assert rows["x=Nonmaintained", 50]["survival"] == 0.0 and rows["x=Nonmaintained", 50]["n_risk"] == 0
    assert not any("Follow-up" in note for note in result.notes)
    assert any("Follow-up of “x=Maintained”" in note for note in curves([AML], group="x", tau=200).notes)


def test_integers_as_groups_show_the_values_that_occur():
    frames = [
        LUNG[LUNG.sex == 1].assign(sex=3).reset_index(drop=True),
        LUNG[LUNG.sex == 2].reset_index(drop=True),
    ]
    dictionary = {
        "time": {"type": "integer", "range": [0, 1100]},
        "status": {"type": "integer", "range": [0, 1]},
        "sex": {"type": "integer", "range": [0, 9]},
    }
    result = curves(frames, dictionary, group="sex")
    assert list(groups(result)) == ["sex=2", "sex=3"] and result.tests["logrank"]["df"] == 1


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 20), st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_bits(sites, seed):
    chosen = {"group": "sex", "tau": 365, "times": [90, 365]}
    one, two = curves(spread(LUNG, sites, seed), **chosen), curves([LUNG], **chosen)
    assert (one.curves, one.tables, one.tests) == (two.curves, two.tables, two.tests)


def test_no_event_anywhere_is_a_sentence_and_a_flat_line():
    result = curves(spread(AML.assign(status=0), 2), group="x")
    assert "No event happened" in result.notes[0] and result.tests["logrank"]["p"] is None
    assert all(p["survival"] == 1.0 and p["ci_lower"] == 1.0 for curve in result.curves for p in curve.points)


def test_a_group_without_event_and_a_hospital_with_one_row():
    table = AML.assign(status=np.where(AML.x == "Maintained", 0, AML.status))
    result = curves([table.head(1), table.tail(22)], group="x")
    assert groups(result)["x=Maintained"]["median"] is None and result.tests["logrank"]["p"] < 0.05


def test_one_group_has_no_test():
    assert curves([AML[AML.x == "Maintained"]], group="x").tests == {}
    assert curves([AML]).tests == {} and list(groups(curves([AML]))) == ["all"]


def test_a_curve_of_thousands_of_times():
    long = pd.DataFrame({"time": np.arange(1, 9001), "status": np.arange(9000) % 2})
    assert len(curves([long]).curves[0].points) == 9000


def test_a_grid_too_fine_is_a_sentence():
    dictionary = {
        "time": {"type": "number", "range": [0, 4000], "step": 0.001},
        "status": {"type": "integer", "range": [0, 1]},
    }
    with pytest.raises(UsageError, match="larger step"):
        curves([AML], dictionary)


def test_words_for_the_paper():
    result = curves([AML.assign(status=np.where(AML.status == 1, "dead", "alive"))], {
        "time": {"type": "integer", "range": [0, 200]},
        "status": {"type": "factor", "levels": ["alive", "dead"]},
        "x": {"type": "factor", "levels": ["Maintained", "Nonmaintained"]},
    }, group="x", tau=24)  # fmt: skip
    assert 'Surv(time, status == "dead") ~ x' in result.reproduce.r and "rmean = 24" in result.reproduce.r
    assert result.figures[0].word == "Curve" and result.figures[0].curve == "survival"
    assert result.conventions["se"] == "Greenwood" and result.conventions["ci"] == "log"


def test_what_every_task_must_keep():
    check_task(
        KaplanMeier, spread(LUNG.dropna(), 2), rules="off", time="time", event="status", group="sex", tau=365
    )
