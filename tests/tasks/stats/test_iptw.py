"""Inverse probability weighting against statsmodels, all estimating equations written out, and standardisation."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from friendlyfl import datasets
from friendlyfl.tasks.outcome import is_answer
from friendlyfl.tasks.stats.iptw import Iptw
from friendlyfl.testing import check_task, simulate
from tests.tasks.stats.published import cut, spread


def patients(n=360, seed=4):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"age": rng.integers(30, 90, n), "sex": rng.choice(["f", "m"], n)})
    table["stage"] = rng.choice(["I", "II", "III"], n, p=[0.5, 0.3, 0.2])
    eta = -2.2 + 0.03 * table.age + 0.6 * (table.stage == "III")
    table["trt"] = (rng.random(n) < expit(eta)).astype(int)
    table["cost"] = np.round(2000 + 30 * table.age - 400 * table.trt + rng.normal(size=n) * 300, 1)
    table["dead"] = (rng.random(n) < expit(-4 + 0.05 * table.age - 0.5 * table.trt)).astype(int)
    return table


DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "stage": {"type": "factor", "levels": ["I", "II", "III"]},
    "trt": {"type": "integer", "range": [0, 1]},
    "cost": {"type": "number", "range": [-100000, 100000], "step": 0.1},
    "dead": {"type": "integer", "range": [0, 1]},
    "other": {"type": "number"},
}
TABLE = patients()
TERMS = ["age", "sex", "stage"]
OUTCOMES = ["cost", "dead"]


def weigh(
    frames, predictors=TERMS, outcomes=OUTCOMES, dictionary=DICTIONARY, rules="off", treatment="trt", **more
):
    return simulate(
        Iptw,
        frames,
        dictionary,
        rules=rules,
        treatment=treatment,
        predictors=predictors,
        outcomes=outcomes,
        **more,
    )


def design(table=TABLE):
    columns = [np.ones(len(table)), table.age, table.sex == "m", table.stage == "II", table.stage == "III"]
    return np.column_stack(columns).astype(float)


def equations(theta, x, t, y, estimand, truncate):
    """Every row's estimating equations: scores of the propensity model, and weighted residuals of the two means."""
    eta = x @ theta[:-2]
    chance = 1 / (1 + np.exp(-eta))
    kept = np.where(
        (chance.real < truncate) | (chance.real > 1 - truncate),
        np.clip(chance.real, truncate, 1 - truncate),
        chance,
    )
    treated = np.ones_like(kept) if estimand == "ATT" else 1 / kept
    control = kept / (1 - kept) if estimand == "ATT" else 1 / (1 - kept)
    return np.column_stack(
        [x * (t - chance)[:, None], t * treated * (y - theta[-2]), (1 - t) * control * (y - theta[-1])]
    )


def reference(table=TABLE, x=None, outcome="cost", estimand="ATE", truncate=0.0):
    """Means, both standard errors and weights of one table; derivatives by complex steps."""
    x = design(table) if x is None else x
    t, y = table.trt.to_numpy(float), table[outcome].to_numpy(float)
    model = sm.GLM(t, x, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100)
    chance = np.clip(model.fittedvalues, truncate, 1 - truncate)
    odds = np.where(t == 1, 1.0, chance / (1 - chance))
    w = odds if estimand == "ATT" else np.where(t == 1, 1 / chance, 1 / (1 - chance))
    means = [(w * y)[t == arm].sum() / w[t == arm].sum() for arm in (1, 0)]
    theta = np.concatenate([model.params, means])
    bread = np.array(
        [
            equations(theta + 1e-30j * step, x, t, y, estimand, truncate).sum(axis=0).imag / 1e-30
            for step in np.eye(len(theta), dtype=complex)
        ]
    ).T
    scores = equations(theta, x, t, y, estimand, truncate).real
    inverse = np.linalg.inv(bread)
    vcov = inverse @ (scores.T @ scores) @ inverse.T
    contrast = np.concatenate([np.zeros(x.shape[1]), [1, -1]])
    fixed = sm.WLS(y, sm.add_constant(t), weights=w).fit(cov_type="HC0")
    sizes = [w[t == arm].sum() ** 2 / (w[t == arm] ** 2).sum() for arm in (1, 0)]
    return means, fixed.bse[1], np.sqrt(contrast @ vcov @ contrast), sizes, w, model


def effects(result):
    return {row["outcome"]: row for row in result.tables["effects"]}


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize("truncate", [0.0, 0.3])
def test_effects_and_both_errors_of_one_table(estimand, truncate):
    result = weigh(spread(TABLE, 3), estimand=estimand, truncate=truncate)
    for name in OUTCOMES:
        means, fixed, stacked, sizes, _, _ = reference(outcome=name, estimand=estimand, truncate=truncate)
        row = effects(result)[name]
        assert row["mean_treated"] == pytest.approx(means[0], rel=1e-10)
        assert row["mean_control"] == pytest.approx(means[1], rel=1e-10)
        assert abs(row["difference"] - (means[0] - means[1])) / stacked < 1e-9
        assert row["se_hc0_weights_fixed"] == pytest.approx(fixed, rel=1e-9)
        assert row["se_stacked"] == pytest.approx(stacked, rel=1e-9)
        assert [row["ess_treated"], row["ess_control"]] == pytest.approx(sizes, rel=1e-9)
        assert row["ci_upper"] == pytest.approx(row["difference"] + 1.959963984540054 * stacked, rel=1e-9)
        assert row["statistic"] == pytest.approx(row["difference"] / stacked, rel=1e-9)
    assert result.conventions["estimand"] == estimand
    assert bool(truncate) == any("set to that bound" in note for note in result.notes)


def test_coefficients_are_those_of_the_propensity_model():
    result, model = weigh(spread(TABLE, 3)), reference()[5]
    assert [row["estimate"] for row in result.coefficients] == pytest.approx(model.params, rel=1e-9)
    assert [row["se"] for row in result.coefficients] == pytest.approx(model.bse, rel=1e-9)
    assert result.statistics["loglik"] == pytest.approx(model.llf, abs=1e-9)
    assert result.statistics["deviance"] == pytest.approx(model.deviance, abs=1e-9)


def test_a_saturated_model_is_standardisation():
    """With one factor, weighting is the mean over strata of their differences; its error is the known one."""
    result = weigh(spread(TABLE, 4), ["stage"], ["cost"])
    groups = TABLE.groupby("stage")
    share = groups.size() / len(TABLE)
    means = TABLE.groupby(["trt", "stage"]).cost.mean().unstack()
    wanted = means @ share
    assert effects(result)["cost"]["difference"] == pytest.approx(wanted[1] - wanted[0], rel=1e-10)
    chance = TABLE.stage.map(groups.trt.mean()).to_numpy()
    own = np.where(TABLE.trt == 1, TABLE.stage.map(means.loc[1]), TABLE.stage.map(means.loc[0]))
    sign = np.where(TABLE.trt == 1, 1 / chance, -1 / (1 - chance))
    influence = (
        sign * (TABLE.cost - own) + TABLE.stage.map(means.loc[1] - means.loc[0]) - (wanted[1] - wanted[0])
    )
    assert effects(result)["cost"]["se_stacked"] == pytest.approx(
        np.sqrt((influence**2).sum()) / len(TABLE), rel=1e-9
    )
    assert abs(np.array([row["after"] for row in result.tables["smd"]])).max() < 1e-9


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_balance(estimand):
    result = weigh(spread(TABLE, 3), estimand=estimand)
    w, t, x = reference(estimand=estimand)[4], TABLE.trt.to_numpy() == 1, design()[:, 1:]
    spread_ = np.sqrt((x[t].var(axis=0, ddof=1) + x[~t].var(axis=0, ddof=1)) / 2)
    before = (x[t].mean(axis=0) - x[~t].mean(axis=0)) / spread_
    after = (np.average(x[t], axis=0, weights=w[t]) - np.average(x[~t], axis=0, weights=w[~t])) / spread_
    rows = result.tables["smd"]
    assert [row["variable"] for row in rows] == ["age", "sexm", "stageII", "stageIII"]
    assert [row["before"] for row in rows] == pytest.approx(before, rel=1e-9)
    assert [row["after"] for row in rows] == pytest.approx(after, abs=1e-10)


def test_stabilised_weights_change_no_mean():
    plain = weigh(spread(TABLE, 3))
    for estimand in ("ATE", "ATT"):
        one = weigh(spread(TABLE, 3), estimand=estimand, stabilised="yes")
        assert one.tables == weigh(spread(TABLE, 3), estimand=estimand).tables
        assert one.statistics["mean_weight_control"] == pytest.approx(1, abs=0.1)
    assert plain.statistics["mean_weight_treated"] == pytest.approx(
        reference()[4][TABLE.trt == 1].mean(), rel=1e-10
    )
    att = weigh(spread(TABLE, 3), estimand="ATT").statistics["mean_weight_control"]
    assert att == pytest.approx(reference(estimand="ATT")[4][TABLE.trt == 0].mean(), rel=1e-10)


@pytest.fixture(scope="module")
def whole():
    return weigh([TABLE])


def assert_close(result, other, factor=1e-9):
    for name, row in effects(other).items():
        mine = effects(result)[name]
        assert abs(mine["difference"] - row["difference"]) / row["se_stacked"] <= factor
        for key in ("se_stacked", "se_hc0_weights_fixed", "ess_treated", "ess_control"):
            assert mine[key] == pytest.approx(row[key], rel=factor)


@settings(max_examples=6, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    assert_close(weigh(spread(TABLE, sites, seed)), whole)


def test_sites_of_one_arm_or_one_row_and_their_order(whole):
    labels = TABLE.trt.to_numpy() + 1
    labels[TABLE.stage == "III"] = 3
    labels[0] = 4
    frames = cut(TABLE, labels)
    one, two = weigh(frames), weigh(frames[::-1])
    assert one.tables == two.tables and one.coefficients == two.coefficients
    assert_close(one, whole)


@pytest.mark.parametrize(("factor", "shift"), [(1e-9, 0.0), (1e9, 0.0), (1e-3, 1e4)])
def test_units_of_outcomes_do_not_matter(whole, factor, shift):
    table = TABLE.assign(other=TABLE.dead * factor + shift)
    result = weigh(spread(table, 3), outcomes=["other"])
    wanted, row = effects(whole)["dead"], effects(result)["other"]
    rel = 1e-9 if not shift else 1e-7
    for key in ("difference", "se_stacked", "se_hc0_weights_fixed"):
        assert row[key] == pytest.approx(wanted[key] * factor, rel=rel)


def test_factors_as_treatment_and_outcome(whole):
    table = TABLE.assign(
        trt=np.where(TABLE.trt == 1, "yes", "no"), dead=np.where(TABLE.dead == 1, "dead", "alive")
    )
    dictionary = {
        **DICTIONARY,
        "trt": {"type": "factor", "levels": ["no", "yes"]},
        "dead": {"type": "factor", "levels": ["alive", "dead"]},
    }
    assert_close(weigh(spread(table, 3), dictionary=dictionary), whole)


def test_dependent_terms_and_hospitals():
    table = TABLE.assign(other=2.0 * TABLE.age)
    result = weigh(spread(table, 2), [*TERMS, "other", ".site", "age:sex"], ["cost"])
    assert result.aliased == ["other"] and len(result.tables["smd"]) == 7
    assert effects(result)["cost"]["se_stacked"] > 0


def test_nothing_to_weigh_by_is_the_plain_difference():
    row = effects(weigh(spread(TABLE, 3), [], ["cost"]))["cost"]
    one, two = TABLE.cost[TABLE.trt == 1], TABLE.cost[TABLE.trt == 0]
    assert row["difference"] == pytest.approx(one.mean() - two.mean(), rel=1e-12)
    wanted = np.sqrt(one.var(ddof=0) / len(one) + two.var(ddof=0) / len(two))
    assert row["se_stacked"] == pytest.approx(wanted, rel=1e-10)
    assert row["se_hc0_weights_fixed"] == pytest.approx(wanted, rel=1e-10)


def test_one_arm_is_a_sentence():
    result = weigh(spread(TABLE.assign(trt=0), 2))
    assert not result.tables and "same treatment (not treated)" in result.notes[0]


def test_no_positivity_is_a_sentence():
    table = TABLE.assign(other=((TABLE.trt == 1) & (TABLE.index % 3 == 0)).astype(float))
    result = weigh(spread(table, 3), ["age", "other"])
    assert result.tables["effects"] == [] and "no positivity" in result.notes[0]
    apart = weigh(spread(TABLE.assign(other=TABLE.trt + TABLE.age / 1000), 3), ["other"])
    assert apart.tables["effects"] == [] and "no positivity" in " ".join(apart.notes)


def test_weights_too_large_to_be_added_are_no_answer():
    """One untreated patient whose chance of treatment is 1 - 1e-18: exit code 4, and no number that looks like one."""
    rng = np.random.default_rng(3)
    other = np.append(rng.normal(size=2000), 50.0)
    trt = np.append((rng.random(2000) < expit(other[:-1])).astype(int), 0)
    result = weigh(spread(pd.DataFrame({"other": other, "trt": trt, "cost": other}), 3), ["other"], ["cost"])
    assert "too large" in result.notes[0] and not is_answer(result)


def test_weak_positivity_gets_notes():
    rng = np.random.default_rng(1)
    other = rng.normal(size=600) * 3
    table = pd.DataFrame(
        {"other": other, "trt": (rng.random(600) < expit(2 * other)).astype(int), "cost": other}
    )
    frames, rounded = spread(table, 3), " ".join
    notes = rounded(weigh(frames, ["other"], ["cost"]).notes)
    assert "below 0.01" in notes and "uneven" in notes and "“other”" in notes
    assert "who were not treated" in rounded(weigh(frames, ["other"], ["cost"], estimand="ATT").notes)
    assert "outside 0.05 to 0.95" in rounded(weigh(frames, ["other"], ["cost"], truncate=0.05).notes)


def test_a_rare_treatment_keeps_its_digits():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"age": rng.integers(30, 90, 4000), "trt": 0})
    table.loc[rng.choice(4000, 12, replace=False), "trt"] = 1
    table["cost"] = table.age + rng.normal(size=4000)
    x = np.column_stack([np.ones(4000), table.age]).astype(float)
    row = effects(weigh(spread(table, 3), ["age"], ["cost"], estimand="ATT"))["cost"]
    means, fixed, stacked, _, _, _ = reference(table, x, "cost", "ATT")
    assert row["difference"] == pytest.approx(means[0] - means[1], rel=1e-9)
    assert [row["se_hc0_weights_fixed"], row["se_stacked"]] == pytest.approx([fixed, stacked], rel=1e-9)


def test_an_outcome_that_never_varies():
    row = effects(weigh(spread(TABLE.assign(cost=5.1), 3), outcomes=["cost"]))["cost"]
    assert (
        row["difference"] == pytest.approx(0, abs=1e-12)
        and row["se_stacked"] < 1e-12
        and row["statistic"] is None
    )


def test_missing_values_drop_rows_of_every_outcome():
    table = TABLE.copy()
    table.loc[:9, "cost"] = np.nan
    result = weigh(spread(table, 3))
    assert (result.n.used, result.n.dropped) == (350, 10)
    assert_close(result, weigh([TABLE.iloc[10:]]))


def test_few_events_in_an_arm_are_refused_under_rules():
    frames = [TABLE.iloc[:180].copy(), TABLE.iloc[180:]]
    treated = frames[0].index[frames[0].trt == 1]
    frames[0].loc[treated, "dead"] = 0
    frames[0].loc[treated[:2], "dead"] = 1
    result = weigh(frames, rules="on")
    assert result.privacy.refused[0]["rule"] == "cell" and not result.tables


def test_what_every_task_must_keep():
    frames = list(datasets.load("clinic").values())[:2]
    check_task(Iptw, frames, datasets.dictionary("clinic"), **Iptw.example)
