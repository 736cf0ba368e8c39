"""Fine-Gray regression: what R's crr printed, and both conventions written out row by row on one table."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import CoxPHFitter
from lifelines.exceptions import StatisticalWarning

from friendlyfl import datasets
from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.fine_gray import FineGray
from friendlyfl.testing.check_task import check_task, flat
from friendlyfl.testing.simulate import run
from tests.tasks.stats.published import cut, spread
from tests.tasks.stats.published_cmprsk import CRR, CRR_ONE, DATA


def outcome(frames, dictionary=None, time="time", event="cause", predictors="x1,x2", **more):
    given = {"time": time, "event": event, "predictors": predictors, **more}
    return run(FineGray, frames, dictionary, rules="off", parameters=given)


def fit(frames, dictionary=None, **more):
    return outcome(frames, dictionary, **more).result


def terms(result, key="estimate"):
    return {row["term"]: row[key] for row in result.coefficients}


def tied(rows=70, seed=1):
    """Many ties between all kinds of ends of follow-up, and covariates that matter."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(2, 1, rows).round(2), rng.integers(0, 2, rows)
    time = np.ceil(rng.exponential(7 * np.exp(-0.3 * x2), rows)).astype(int)
    cause = np.where(rng.random(rows) < 0.3, 0, 1 + (rng.random(rows) < 0.45 - 0.1 * x1 + 0.2 * x2))
    return pd.DataFrame({"time": time, "cause": cause, "x1": x1, "x2": x2})


@pytest.mark.parametrize(("predictors", "wanted"), [("x1,x2,x3", CRR), ("x1", CRR_ONE)])
def test_what_r_printed(predictors, wanted):
    result = fit(spread(DATA.dropna(), 4), predictors=predictors)
    for term, (estimate, se) in wanted.items():
        assert f"{terms(result)[term]:.4g}" == f"{estimate:.4g}"
        assert f"{terms(result, 'se')[term]:.4g}" == f"{se:.4g}"
    assert (result.n.used, result.n.events) == (97, int((DATA.dropna().cause == 1).sum()))
    assert fit(spread(DATA, 4), predictors="x1,x2,x3").n.dropped == 3


def censoring(table, u, events_first):
    """G(u-): the chance of not being censored before u, a product over earlier times."""
    kept = 1.0
    for s in np.unique(table.time[table.cause == 0]):
        if s < u:
            exposed = (table.time >= s).sum()
            if events_first:
                exposed -= ((table.time == s) & (table.cause != 0)).sum()
            kept *= 1 - ((table.time == s) & (table.cause == 0)).sum() / exposed
    return kept


def crr_by_hand(table, names):
    """Fine and Gray's (1999) estimator and variance, by their section 3, a row at a time."""
    t, c, x, n = table.time.to_numpy(), table.cause.to_numpy(), table[names].to_numpy(float), len(table)
    g = np.array([censoring(table, u, False) for u in t])
    events = np.flatnonzero(c == 1)
    w = np.zeros((n, n))  # of row i at the event of row j
    for j in events:
        for i in range(n):
            w[i, j] = 1.0 if t[i] >= t[j] else (g[j] / g[i] if c[i] > 1 else 0.0)
    beta = np.zeros(len(names))
    for _ in range(12):
        score, info, means, s0 = np.zeros(len(names)), np.zeros((len(names),) * 2), {}, {}
        for j in events:
            risk = w[:, j] * np.exp(x @ beta)
            s0[j], means[j] = risk.sum(), risk @ x / risk.sum()
            score += x[j] - means[j]
            info += (risk[:, None] * (x - means[j])).T @ (x - means[j]) / s0[j]
        beta = beta + np.linalg.solve(info, score)
    parts = np.zeros((n, len(names)))
    for i in range(n):
        if c[i] == 1:
            parts[i] += x[i] - means[i]
        for j in events:
            parts[i] -= w[i, j] * np.exp(x[i] @ beta) * (x[i] - means[j]) / s0[j]
    for u in np.unique(t[c == 0]):
        q = np.zeros(len(names))
        early = (c > 1) & (t < u)
        for j in events[t[events] >= u]:
            q += (w[early, j] * np.exp(x[early] @ beta)) @ (x[early] - means[j]) / s0[j]
        at_risk, gone = (t >= u).sum(), ((t == u) & (c == 0)).sum()
        for i in range(n):
            if t[i] == u and c[i] == 0:
                parts[i] += q / at_risk
            if t[i] >= u:
                parts[i] -= q * gone / at_risk**2
    bread = np.linalg.inv(info)
    loglik = sum(x[j] @ beta - np.log(s0[j]) for j in events)
    return beta, bread @ (parts.T @ parts) @ bread, loglik


@pytest.mark.parametrize(("seed", "sites"), [(1, 1), (2, 4), (3, 7)])
def test_crr_with_ties_by_hand(seed, sites):
    table = tied(seed=seed)
    result = fit(spread(table, sites, seed))
    beta, vcov, loglik = crr_by_hand(table, ["x1", "x2"])
    se = np.sqrt(np.diag(vcov))
    assert np.abs((np.array(list(terms(result).values())) - beta) / se).max() < 1e-9
    assert list(terms(result, "se").values()) == pytest.approx(list(se), rel=1e-9)
    assert np.array(result.vcov.values) == pytest.approx(vcov, rel=1e-8)
    assert result.statistics["loglik"] == pytest.approx(loglik, rel=1e-12)
    assert all("se_robust" not in row for row in result.coefficients)
    t, c, x = table.time.to_numpy(), table.cause.to_numpy(), table[["x1", "x2"]].to_numpy(float)
    g = np.array([censoring(table, u, False) for u in t])
    total, steps = 0.0, [(row["time"], row["cumhaz"]) for row in result.tables["baseline_cumhaz"]]
    for u in np.unique(t[c == 1]):  # Breslow's, at x = 0
        weight = np.where(t >= u, 1.0, np.where(c > 1, g[t == u][0] / g, 0.0))
        total += ((t == u) & (c == 1)).sum() / (weight @ np.exp(x @ beta))
        assert steps.pop(0) == (u, pytest.approx(total, rel=1e-8))
    assert not steps


def expanded(table):
    """The table that survival::finegray makes: who had another event stays, cut at times of censoring, with weights."""
    rows, last = [], table.time.max()
    cuts = [int(u) for u in np.unique(table.time[table.cause == 0])]
    for i, row in enumerate(table.itertuples()):
        if row.cause <= 1:
            rows.append((i, 0, row.time, int(row.cause == 1), 1.0))
            continue
        start, first = 0, censoring(table, row.time, True)
        for stop in [*[u for u in cuts if u >= row.time and u < last], last]:
            rows.append((i, start, stop, 0, censoring(table, stop, True) / first))
            start = stop
    frame = pd.DataFrame(rows, columns=["id", "start", "stop", "status", "weight"])
    return frame.join(table.drop(columns=["time", "cause"]), on="id")


def cox_by_hand(long, names, efron):
    """Weighted Cox regression of (start, stop] rows, and the sandwich summed by person."""
    x, w = long[names].to_numpy(float), long.weight.to_numpy()
    start, stop, dead = long.start.to_numpy(), long.stop.to_numpy(), long.status.to_numpy() == 1
    beta = np.zeros(len(names))
    for _ in range(12):
        score, info, residual = np.zeros(len(names)), np.zeros((len(names),) * 2), np.zeros_like(x)
        loglik = 0.0
        for u in np.unique(stop[dead]):
            at, dying = (start < u) & (stop >= u), dead & (stop == u)
            for step in range(dying.sum()):
                share = np.where(dying, 1 - step / dying.sum(), 1.0) if efron else 1.0
                risk = at * share * w * np.exp(x @ beta)
                mean = risk @ x / risk.sum()
                loglik -= np.log(risk.sum())
                score -= mean
                info += (risk[:, None] * (x - mean)).T @ (x - mean) / risk.sum()
                residual -= (risk / risk.sum())[:, None] * (x - mean)
                residual[dying] += (x[dying] - mean) / dying.sum()
        score += x[dead].sum(axis=0)
        loglik += (x[dead] @ beta).sum()
        beta = beta + np.linalg.solve(info, score)
    people = np.array([residual[long.id == i].sum(axis=0) for i in long.id.unique()])
    bread = np.linalg.inv(info)
    return beta, bread, bread @ (people.T @ people) @ bread, loglik


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_finegray_on_the_expanded_table(ties):
    table = tied(seed=5)
    result = fit(spread(table, 4), convention="finegray", ties=ties)
    beta, model, robust, loglik = cox_by_hand(expanded(table), ["x1", "x2"], ties == "efron")
    se = np.sqrt(np.diag(robust))
    assert np.abs((np.array(list(terms(result).values())) - beta) / se).max() < 1e-9
    assert list(terms(result, "se_robust").values()) == pytest.approx(list(se), rel=1e-9)
    assert list(terms(result, "se").values()) == pytest.approx(list(np.sqrt(np.diag(model))), rel=1e-9)
    assert np.array(result.vcov.values) == pytest.approx(robust, rel=1e-8)
    assert result.statistics["loglik"] == pytest.approx(loglik, rel=1e-12)
    assert result.coefficients[0]["statistic"] == pytest.approx(beta[0] / se[0], rel=1e-8)
    assert result.tests["wald"]["statistic"] == pytest.approx(beta @ np.linalg.solve(robust, beta), rel=1e-8)


def test_finegray_with_efron_is_the_weighted_cox_model_of_lifelines():
    table = tied(seed=6)
    result = fit(spread(table, 3), convention="finegray", ties="efron")
    with pytest.warns(
        StatisticalWarning
    ):  # it says that weights are no whole numbers, and so the errors are off
        fitter = CoxPHFitter().fit(expanded(table).drop(columns="id"), "stop", "status", entry_col="start",
                                   weights_col="weight")  # fmt: skip
    for term, estimate in fitter.params_.items():
        assert terms(result)[term] == pytest.approx(estimate, abs=1e-5)
        assert terms(result, "se")[term] == pytest.approx(fitter.standard_errors_[term], rel=1e-4)


def test_without_competing_events_it_is_cox():
    table = tied(seed=7).assign(cause=lambda d: (d.cause == 1).astype(int))
    fitter = CoxPHFitter().fit(table, "time", "cause")
    result = fit(spread(table, 3), convention="finegray", ties="efron")
    assert list(terms(result).values()) == pytest.approx(list(fitter.params_), abs=1e-6)
    assert list(terms(result, "se").values()) == pytest.approx(list(fitter.standard_errors_), rel=1e-6)
    assert "nothing competes" in result.notes[0]


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 20), st.integers(0, 10**6), st.sampled_from(["crr", "finegray"]))
def test_any_cut_of_the_rows_gives_the_same(sites, seed, convention):
    table = tied(120, 8)
    one = fit(spread(table, sites, seed), predictors="x1,x2,x1:x2", convention=convention)
    two = fit([table], predictors="x1,x2,x1:x2", convention=convention)
    for a, b in zip(one.coefficients, two.coefficients, strict=True):
        assert abs(a["estimate"] - b["estimate"]) <= 1e-9 * b["se"]
        assert a["se"] == pytest.approx(b["se"], rel=1e-9)


def test_the_order_of_sites_changes_no_bit():
    frames = spread(tied(), 5)
    one = json.dumps(fit(frames).to_json()["coefficients"])
    for order in itertools.islice(itertools.permutations(range(5)), 1, 120, 40):
        assert json.dumps(fit([frames[i] for i in order]).to_json()["coefficients"]) == one


def test_units_and_far_middles_do_not_matter():
    table = tied()
    plain = fit([table])
    far = fit(spread(table.assign(x1=1e6 + 1e-3 * table.x1), 3))
    assert terms(far)["x1"] * 1e-3 == pytest.approx(terms(plain)["x1"], rel=1e-6)
    assert terms(far, "se")["x1"] * 1e-3 == pytest.approx(terms(plain, "se")["x1"], rel=1e-6)


FACTOR = {
    "time": {"type": "integer"},
    "cause": {"type": "factor", "levels": ["alive", "relapse", "death"]},
    "x1": {"type": "number"},
    "x2": {"type": "integer"},
}
WORDS = {0: "alive", 1: "relapse", 2: "death"}


def test_the_event_of_interest_by_level_and_by_number():
    table = tied()
    words = spread(table.assign(cause=table.cause.map(WORDS)), 2)
    for convention in ("crr", "finegray"):
        by_word = fit(words, FACTOR, failcode="death", convention=convention)
        by_number = fit(spread(table, 2), failcode=2, convention=convention)
        swapped = fit(
            spread(table.assign(cause=table.cause.map({0: 0, 1: 2, 2: 1})), 2), convention=convention
        )
        assert terms(by_word) == terms(by_number) == terms(swapped)
        assert by_word.n.events == int((table.cause == 2).sum()) == by_word.statistics["n_events"]
    assert 'etype = "death"' in by_word.reproduce.r and "etype" in by_number.reproduce.r
    assert 'failcode = "relapse", cencode = "alive"' in fit(words, FACTOR).reproduce.r
    with pytest.raises(UsageError, match="has no type of event “deth”. Did you mean “death”"):
        fit(words, FACTOR, failcode="deth")
    with pytest.raises(UsageError, match="It must be “1” and “2”"):
        fit(spread(table, 2), failcode=7)
    with pytest.raises(UsageError, match="efron goes with"):
        fit(words, FACTOR, ties="efron")


def test_hospitals_as_predictor_and_terms_that_depend():
    table = tied().assign(x3=lambda d: 2 * d.x1 - d.x2, x4=1)
    frames = cut(table, np.arange(len(table)) % 3)
    result = fit(frames, predictors="x1,x2,x3,x4,.site")
    assert result.aliased == ["x3", "x4"] and list(terms(result)) == ["x1", "x2", ".site2", ".site3"]
    pooled = pd.concat([f.assign(s2=int(k == 1), s3=int(k == 2)) for k, f in enumerate(frames)])
    wanted = fit([pooled], predictors="x1,x2,s2,s3")
    assert list(terms(result).values()) == pytest.approx(list(terms(wanted).values()), rel=1e-8)


def test_nobody_had_the_event():
    table = tied()
    found = outcome(spread(table.assign(cause=np.where(table.cause == 1, 2, table.cause)), 2), {**FACTOR,
                    "cause": {"type": "integer", "range": [0, 2]}})  # fmt: skip
    assert found.error is not None and "Nobody had the event “1”" in found.result.notes[0]
    assert found.result.coefficients == []


def test_nobody_was_censored():
    """Without censoring all weights are 1 and both conventions have the same sandwich."""
    table = tied().assign(cause=lambda d: np.maximum(d.cause, 1))
    one, two = fit(spread(table, 3)), fit(spread(table, 3), convention="finegray")
    assert list(terms(one, "se").values()) == pytest.approx(list(terms(two, "se_robust").values()), rel=1e-10)


@pytest.mark.parametrize("convention", ["crr", "finegray"])
def test_separation_is_named_and_the_others_stay(convention):
    """A group that never has the event: its coefficient goes to minus infinity, the others are those without it."""
    table = tied(120, 9)
    table = table.assign(x3=((table.cause != 1) & (np.arange(120) % 3 == 0)).astype(int))
    found = outcome(spread(table, 3), predictors="x1,x2,x3", convention=convention)
    rows = {row["term"]: row for row in found.result.coefficients}
    assert rows["x3"]["se"] is None and rows["x1"]["se"] is not None
    assert "Separation" in found.result.notes[0] and "“x3”" in found.result.notes[0]
    assert rows["x3"]["estimate"] < -15
    if convention == "finegray":  # then nobody of that group is at risk of what is counted
        long = expanded(table)
        beta, _, robust, _ = cox_by_hand(long[long.x3 == 0], ["x1", "x2"], False)
        assert [rows[name]["estimate"] for name in ("x1", "x2")] == pytest.approx(list(beta), rel=1e-7)
        assert rows["x2"]["se_robust"] == pytest.approx(np.sqrt(robust[1, 1]), rel=1e-6)

    assert found.error is not None


def test_one_row_and_one_event():
    lone = outcome([tied().head(1).assign(cause=1)])
    assert lone.error is not None or lone.result.aliased == ["x1", "x2"]
    table = tied().assign(cause=lambda d: np.where(d.cause == 1, 2, d.cause))
    table.loc[table.index[table.cause == 2][3], "cause"] = 1
    found = outcome(spread(table, 4), predictors="x2")
    assert found.result.n.events == 1 and found.result.notes


def test_what_every_task_must_keep():
    table = tied(120)
    beta, vcov, _ = crr_by_hand(table, ["x1", "x2"])
    pooled = {"coefficients.x1.estimate": beta[0], "coefficients.x2.se": float(np.sqrt(vcov[1, 1]))}
    check_task(
        FineGray, spread(table, 2), rules="off", pooled=pooled, time="time", event="cause", predictors="x1,x2"
    )


def test_over_the_three_clinics():
    result = run(FineGray, list(datasets.load("clinic").values()), datasets.dictionary("clinic"), rules="off",
                 parameters=FineGray.example).result  # fmt: skip
    assert result.rounds <= 8 and result.tests["lrt"]["p"] < 1e-6
    assert all(value is not None for path, value in flat(result.coefficients).items() if "se" in path)
