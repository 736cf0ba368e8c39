"""Cumulative incidence and Gray's test: what R printed, lifelines, and the formulas written out row by row."""

import lifelines
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.competing_risks import CompetingRisks
from friendlyfl.tasks.stats.gray import gray, gray_test
from friendlyfl.tasks.stats.time_counts import at_risk
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import simulate
from tests.tasks.stats.published import cut, spread
from tests.tasks.stats.published_cmprsk import CUMINC, CUMINC_BY_GROUP, DATA, GRAY_STRATIFIED


def risks(frames, dictionary=None, time="time", event="cause", **more):
    return simulate(CompetingRisks, frames, dictionary, rules="off", time=time, event=event, **more)


def at_times(result, key):
    return {(row["group"], row["event"], row["time"]): row[key] for row in result.tables["at_times"]}


def tied(rows=150, seed=4, groups=3):
    """Times with many ties, three types of event, the last group smaller and with later events."""
    rng = np.random.default_rng(seed)
    group = np.minimum(rng.integers(0, groups + 1, rows), groups - 1)
    time = np.ceil(rng.exponential(6 + 3 * group, rows)).astype(int)
    cause = rng.choice([0, 1, 2, 3], rows, p=[0.3, 0.35, 0.25, 0.1])
    return pd.DataFrame({"time": time, "cause": cause, "arm": group})


def test_what_r_printed_for_one_group():
    result = risks(spread(DATA, 4), times=[1, 2, 3, 4, 5])
    cif, se = at_times(result, "cif"), at_times(result, "se")
    for event, (estimates, variances) in CUMINC.items():
        for time, estimate, variance in zip((1, 2, 3, 4, 5), estimates, variances, strict=True):
            assert cif["all", event, time] == pytest.approx(estimate, abs=5.1e-8)
            assert se["all", event, time] ** 2 == pytest.approx(variance, abs=5.1e-10)
    assert result.tests == {} and result.n.events == int((DATA.cause > 0).sum())


def test_what_r_printed_by_group():
    result = risks(spread(DATA, 3), group="group", times=[1, 2, 3, 4, 5])
    cif, se = at_times(result, "cif"), at_times(result, "se")
    for (group, event), (estimates, variances) in CUMINC_BY_GROUP.items():
        for time, estimate, variance in zip((1, 2, 3, 4, 5), estimates, variances, strict=True):
            if estimate is None:
                assert cif[group, event, time] is None and se[group, event, time] is None
            else:
                assert cif[group, event, time] == pytest.approx(estimate, abs=5.1e-8)
                assert se[group, event, time] ** 2 == pytest.approx(variance, abs=5.1e-9)
    assert list(result.tests) == ["gray_1", "gray_2"] and result.tests["gray_1"]["df"] == 2


def test_the_test_r_printed():
    """cuminc adds scores and covariances over strata; the task has one stratum."""
    times, place = np.unique(DATA.time, return_inverse=True)
    for event, (statistic, p) in GRAY_STRATIFIED.items():
        score, covariance = 0.0, 0.0
        for stratum in (1, 2):

            def counts(these, stratum=stratum):
                chosen = [these & (DATA.stratum == stratum) & (DATA.group == group) for group in "abc"]
                return np.array(
                    [np.bincount(place[rows], minlength=len(times)) for rows in chosen], dtype=float
                )

            own = counts(DATA.cause == int(event))
            other = counts((DATA.cause > 0) & (DATA.cause != int(event)))
            one = gray(own, other, at_risk(own + other + counts(DATA.cause == 0)))
            score, covariance = score + one[0], covariance + one[1]
        row = gray_test(score, covariance, event, ["a", "b", "c"])
        assert (row["statistic"], row["p"]) == (
            pytest.approx(statistic, abs=5.1e-7),
            pytest.approx(p, abs=5.1e-8),
        )


def by_hand(table, cause, arms, rho=0.0):
    """Gray's (1988) statistic with the variance of cmprsk, in the paper's own words, a number at a time."""
    groups = range(len(arms))
    t, c, g = table.time.to_numpy(), table.cause.to_numpy(), table.arm.to_numpy()
    km, cif, pooled = [1.0 for _ in groups], [0.0 for _ in groups], 0.0
    z, v = np.zeros(len(arms)), np.zeros((len(arms), len(arms)))
    b, terms = np.zeros((len(arms), len(arms))), []
    for u in np.unique(t[c > 0]):
        y = [int(((t >= u) & (g == arm)).sum()) for arm in arms]
        d1 = [int(((t == u) & (g == arm) & (c == cause)).sum()) for arm in arms]
        d2 = [int(((t == u) & (g == arm) & (c > 0) & (c != cause)).sum()) for arm in arms]
        h = [y[i] / km[i] if y[i] else 0.0 for i in groups]
        r = [h[i] * (1 - cif[i]) for i in groups]
        n1, hh, weight = sum(d1), sum(h), (1 - pooled) ** rho
        new = pooled + n1 / hh
        a = np.zeros_like(b)
        for i in groups:
            z[i] += weight * (d1[i] - n1 * r[i] / sum(r))
            for j in groups:
                a[i, j] = weight * h[i] * ((i == j) - h[j] / hh)
                b[i, j] += a[i, j] * n1 / (hh * (1 - pooled))
        km_before = list(km)
        for i in groups:
            if y[i]:
                cif[i] += km[i] * d1[i] / y[i]
                km[i] *= (y[i] - d1[i] - d2[i]) / y[i]
        for k in groups:
            if y[k] and n1:
                factor = 1 - (n1 - 1) / (hh * km_before[k] - 1) if n1 > 1 else 1.0
                loss = 1 - (1 - new) / km[k] if km[k] > 0 else 1.0
                terms.append((k, a[:, k] - loss * b[:, k], loss, factor * km_before[k] * n1 / (hh * y[k])))
            if y[k] and d2[k] and km[k] > 0:
                factor = 1 - (d2[k] - 1) / (y[k] - 1) if d2[k] > 1 else 1.0
                loss = -(1 - new) / km[k]
                terms.append((k, -loss * b[:, k], loss, factor * km_before[k] ** 2 * d2[k] / y[k] ** 2))
        pooled = new
    for k, part, loss, jump in terms:  # what a jump in group k does to the score, in the end
        whole = part + loss * b[:, k]
        v += jump * np.outer(whole, whole)
    rest = z[:-1]
    return float(rest @ np.linalg.solve(v[:-1, :-1], rest))


@pytest.mark.parametrize("rho", [0, 1])
@pytest.mark.parametrize("cause", [1, 2, 3])
def test_gray_with_ties_by_hand(cause, rho):
    table = tied()
    result = risks(spread(table, 5), group="arm", rho=rho)
    wanted = by_hand(table, cause, [0, 1, 2], rho)
    assert result.tests[f"gray_{cause}"]["statistic"] == pytest.approx(wanted, rel=1e-10)


def test_incidence_and_its_error_with_ties_by_hand():
    """Aalen-Johansen by its definition, and Aalen's variance as a sum over all earlier times."""
    table = tied(80, 9)
    found = {c.event: {p["time"]: p for p in c.points} for c in risks(spread(table, 3)).curves}
    t, c = table.time.to_numpy(), table.cause.to_numpy()
    assert list(found) == ["1", "2", "3"]
    for cause in (1, 2, 3):
        s, f, steps = 1.0, 0.0, []
        for u in np.unique(t):
            n, d1 = (t >= u).sum(), ((t == u) & (c == cause)).sum()
            d2 = ((t == u) & (c > 0) & (c != cause)).sum()
            before, f, s = s, f + s * d1 / n, s * (n - d1 - d2) / n
            steps.append((n, d1, d2, before, s, f))
            variance = 0.0
            for m, e1, e2, kept, after, so_far in steps:
                gone = (f - so_far) / after if after > 0 else 0.0
                jump1 = kept**2 * e1 / m**2 * ((m - e1) / (m - 1) if e1 > 1 else 1)
                jump2 = kept**2 * e2 / m**2 * ((m - e2) / (m - 1) if e2 > 1 else 1)
                variance += (1 - gone) ** 2 * jump1 + gone**2 * jump2
            point = found[str(cause)][u]
            assert point["cif"] == pytest.approx(f, abs=1e-12)
            assert point["se"] == pytest.approx(np.sqrt(variance), rel=1e-9, abs=1e-12)
            assert (point["n_risk"], point["n_event"]) == (n, d1)
            if f > 0:
                width = 1.959963984540054 * point["se"] / f
                assert point["ci_lower"] == pytest.approx(f * np.exp(-width), rel=1e-9)
                assert point["ci_upper"] == pytest.approx(min(f * np.exp(width), 1.0), rel=1e-9)
            else:
                assert point["ci_lower"] is None and point["ci_upper"] is None


def test_the_incidence_of_lifelines():
    result = risks(spread(DATA, 3))
    for curve in result.curves:
        fitter = lifelines.AalenJohansenFitter(calculate_variance=False)
        wanted = fitter.fit(DATA.time, DATA.cause, event_of_interest=int(curve.event)).cumulative_density_
        for point in curve.points:
            assert point["cif"] == pytest.approx(float(wanted.loc[point["time"]].iloc[0]), abs=1e-12)


def test_incidences_and_survival_fill_one():
    table = tied()
    curves = {c.event: c.points for c in risks(spread(table, 2)).curves}
    alive = simulate("kaplan_meier", [table.assign(dead=(table.cause > 0).astype(int))], rules="off",
                     time="time", event="dead").curves[0].points  # fmt: skip
    for one, two, three, none in zip(curves["1"], curves["2"], curves["3"], alive, strict=True):
        assert one["cif"] + two["cif"] + three["cif"] + none["survival"] == pytest.approx(1.0, abs=1e-12)


def test_entry_times():
    """At risk when entry < t ≤ time; Gray's test is not defined and a note says so."""
    table = tied()
    table = table.assign(entry=np.minimum(np.arange(len(table)) % 4, table.time - 1))
    result = risks(spread(table, 3), entry="entry", group="arm")
    assert result.tests == {} and any("Gray" in note for note in result.notes)
    points = next(c.points for c in result.curves if c.group == "arm=1" and c.event == "2")
    arm = table[table.arm == 1]
    s = f = 0.0
    s = 1.0
    for point in points:
        u = point["time"]
        n = ((arm.entry < u) & (arm.time >= u)).sum()
        f += s * ((arm.time == u) & (arm.cause == 2)).sum() / n
        s *= 1 - ((arm.time == u) & (arm.cause > 0)).sum() / n
        assert (point["n_risk"], point["cif"]) == (n, pytest.approx(f, abs=1e-12))


NAMES = {0: "alive", 1: "relapse", 2: "death", 3: "other"}


def test_a_factor_gives_the_same_and_its_own_names():
    table = tied()
    dictionary = {
        "time": {"type": "integer"},
        "cause": {"type": "factor", "levels": [*NAMES.values(), "never"]},
        "arm": {"type": "factor", "levels": ["0", "1", "2", "3"]},
    }
    one = risks(spread(table, 2), group="arm", times=[5])
    two = risks(spread(table.assign(cause=table.cause.map(NAMES)), 2), dictionary, group="arm", times=[5])
    assert [t["statistic"] for t in one.tests.values()] == [t["statistic"] for t in two.tests.values()]
    assert [row["event"] for row in two.tables["at_times"]][::3] == ["relapse", "death", "other"]
    assert two.notes == ["Nobody had the event “never”, so it has no curve."]
    assert 'cencode = "alive"' in two.reproduce.r and two.tests["gray_2"]["event"] == "death"
    assert two.tests["gray_1"]["groups"] == ["arm=0", "arm=1", "arm=2"]


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 20), st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_bits(sites, seed):
    table, chosen = tied(), {"group": "arm", "times": [3, 12, 50]}
    one, two = risks(spread(table, sites, seed), **chosen), risks([table], **chosen)
    assert (one.curves, one.tables, one.tests) == (two.curves, two.tables, two.tests)


def test_hospitals_as_groups():
    frames = cut(tied(), np.arange(150) % 3)
    result = risks(frames, group=".site")
    pooled = risks([pd.concat([f.assign(arm=k) for k, f in enumerate(frames)])], group="arm")
    assert [t["statistic"] for t in result.tests.values()] == [t["statistic"] for t in pooled.tests.values()]
    assert result.curves[0].group == ".site=1"


def test_no_event_and_nobody_censored_and_one_row():
    table = tied()
    none = risks(spread(table.assign(cause=0), 2), {"time": {"type": "integer"}, "cause": {"type": "integer",
                 "range": [0, 2]}, "arm": {"type": "integer"}}, group="arm")  # fmt: skip
    assert "No event" in none.notes[0] and none.tests == {} and none.n.events == 0
    assert all(p["cif"] == 0.0 and p["se"] == 0.0 for c in none.curves for p in c.points)
    every = risks([table[table.cause > 0].head(1), table[table.cause > 0]])
    assert sum(curve.points[-1]["cif"] for curve in every.curves) == pytest.approx(1.0)
    assert len(every.tables["groups"]) == 3
    assert risks([table[table.cause == 1].head(1)]).curves[0].points[0]["cif"] == 1.0


def test_a_group_without_events_and_groups_that_never_meet():
    table = tied()
    quiet = risks([table.assign(cause=np.where(table.arm == 2, 0, table.cause))], group="arm")
    assert quiet.tests["gray_1"]["p"] is not None
    apart = pd.DataFrame({"time": [1, 1, 2, 9, 9, 8], "cause": [1, 2, 1, 1, 1, 2], "arm": [0, 0, 0, 1, 1, 1]})
    result = risks([apart], group="arm")
    assert result.tests["gray_1"]["df"] == 1 and len(result.curves) == 4
    alone = pd.DataFrame({"time": [5, 3, 4], "cause": [1, 0, 0], "arm": [0, 1, 1]})
    assert risks([alone], group="arm").tests["gray_1"]["df"] == 1


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"type": "integer", "range": [-1, 2]}, "0 for censoring"),
        ({"type": "integer", "range": [0, 900]}, "0 for censoring"),
        ({"type": "number", "range": [0, 2], "step": 0.5}, "0 for censoring"),
        ({"type": "factor", "levels": ["alive"]}, "types of event"),
        ({"type": "date", "range": ["2020-01-01", "2021-01-01"]}, "needs"),
    ],
)
def test_columns_that_say_no_types_of_event(spec, says):
    with pytest.raises(UsageError, match=says):
        risks([tied()], {"time": {"type": "integer"}, "cause": spec, "arm": {"type": "integer"}})


def test_what_every_task_must_keep():
    table = tied(120).assign(cause=lambda d: d.cause.map(NAMES))
    check_task(
        CompetingRisks, spread(table, 2), rules="off", time="time", event="cause", group="arm", times="5,20"
    )
