"""Meta-analysis of hospitals: metafor's printed answers, statsmodels, each fit by itself, and hospitals without one."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from statsmodels.stats.meta_analysis import combine_effects

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import engine
from friendlyfl.tasks.disclosure import Policy
from friendlyfl.tasks.stats.heterogeneity import Heterogeneity
from friendlyfl.tasks.stats.meta_analysis import MetaAnalysis
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate

BCG = np.array(  # Colditz et al. (1994), as dat.bcg of R's metadat: vaccinated ill and well, others ill and well
    [
        (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619), (33, 5036, 47, 5761),
        (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892), (29, 7470, 45, 7232),
        (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825),
    ],
    dtype=float,
)  # fmt: skip


def log_ratios():
    a, b, c, d = BCG.T
    return np.log(a / (a + b)) - np.log(c / (c + d)), np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))


def hospitals(sizes=(150, 90, 220), seed=5):
    rng = np.random.default_rng(seed)
    frames = []
    for size, shift in zip(sizes, (0.0, 0.8, -0.5), strict=False):
        table = pd.DataFrame(
            {
                "age": rng.integers(20, 90, size),
                "sex": rng.choice(["f", "m"], size),
                "stage": rng.choice(["I", "II", "III"], size),
            }
        )
        eta = -1.5 + 0.02 * table.age + shift * (table.sex == "m")
        table["died"] = (rng.random(size) < 1 / (1 + np.exp(-eta))).astype(int)
        table["los"] = np.round(
            3 + 0.1 * table.age + shift * (table.sex == "m") + rng.normal(size=size) * 2, 1
        )
        table["weeks"] = np.ceil(rng.exponential(30, size))
        frames.append(table)
    return frames


DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "stage": {"type": "factor", "levels": ["I", "II", "III"]},
    "died": {"type": "integer", "range": [0, 1]},
    "los": {"type": "number", "range": [-50, 100]},
    "weeks": {"type": "number", "range": [0, 1000]},
    "cells": {"type": "number", "range": [0, 1e12]},
}
FRAMES = hospitals()
MODEL = {"model": "logistic_regression", "outcome": "died", "predictors": ["age", "sex"]}


def pool(frames=FRAMES, dictionary=DICTIONARY, rules="off", **more):
    return simulate(MetaAnalysis, frames, dictionary, rules=rules, **{**MODEL, **more})


def rows(result, table, key="term"):
    return {row[key]: row for row in result.tables[table]}


def test_what_metafor_prints_for_bcg():
    """rma(yi, vi, data = dat) of log relative risks, by REML and DL, and rma(..., method = "EE")."""
    y, se = log_ratios()
    reml = Heterogeneity.of(y.tolist(), se.tolist(), "REML")
    assert reml.tau2 == pytest.approx(0.3132, abs=6e-5) and reml.q == pytest.approx(152.2330, abs=6e-5)
    assert reml.i2 == pytest.approx(92.22, abs=6e-3) and reml.h2 == pytest.approx(12.86, abs=6e-3)
    assert (reml.random.estimate, reml.random.se) == pytest.approx((-0.7145, 0.1798), abs=6e-5)
    assert (reml.fixed.estimate, reml.fixed.se) == pytest.approx((-0.4303, 0.0405), abs=6e-5)
    dl = Heterogeneity.of(y.tolist(), se.tolist(), "DL")
    assert dl.tau2 == pytest.approx(0.3088, abs=6e-5)
    assert (dl.random.estimate, dl.random.se) == pytest.approx((-0.7141, 0.1787), abs=6e-5)
    assert dl.i2 == pytest.approx(100 * (dl.q - 12) / dl.q, rel=1e-12)


def test_statsmodels_pools_alike():
    y, se = log_ratios()
    ours = Heterogeneity.of(y.tolist(), se.tolist(), "DL")
    other = combine_effects(y, se**2, method_re="dl")
    assert ours.tau2 == pytest.approx(other.tau2, rel=1e-12) and ours.q == pytest.approx(other.q, rel=1e-12)
    assert ours.random.estimate == pytest.approx(other.mean_effect_re, rel=1e-12)
    assert ours.random.se == pytest.approx(other.sd_eff_w_re, rel=1e-12)
    assert ours.fixed.estimate == pytest.approx(other.mean_effect_fe, rel=1e-12)


studies = st.lists(st.tuples(st.floats(-3, 3), st.floats(0.05, 2)), min_size=2, max_size=12)


@settings(max_examples=60, deadline=None)
@given(studies)
@example(
    [(0.0, 0.25), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0)]
)  # plain Fisher scoring goes round in circles
def test_restricted_likelihood_is_at_its_top(given_):
    y, se = (np.array(part) for part in zip(*given_, strict=True))

    def minus(tau2):
        w = 1 / (se**2 + tau2)
        mean = (w @ y) / w.sum()
        return 0.5 * (np.log(se**2 + tau2).sum() + np.log(w.sum()) + w @ (y - mean) ** 2)

    found = Heterogeneity.of(y.tolist(), se.tolist(), "REML")
    near = minimize_scalar(
        minus, bounds=(0, 4 * found.tau2 + 1e-3), method="bounded", options={"xatol": 1e-12}
    )
    assert minus(found.tau2) <= minus(near.x) + 1e-9 or found.tau2 == 0.0 and minus(0.0) <= minus(1e-6)


@settings(max_examples=30, deadline=None)
@given(studies, st.randoms(use_true_random=False), st.sampled_from(["DL", "REML"]))
def test_the_order_of_studies_does_not_change_a_bit(given_, random, method):
    one = Heterogeneity.of(*(list(part) for part in zip(*given_, strict=True)), method)
    random.shuffle(given_)
    two = Heterogeneity.of(*(list(part) for part in zip(*given_, strict=True)), method)
    assert (one.q, one.tau2, one.i2, one.random.estimate, one.random.se) == (
        two.q,
        two.tau2,
        two.i2,
        two.random.estimate,
        two.random.se,
    )


def test_units_of_very_small_and_large_errors():
    y, se = log_ratios()
    for unit in (1e-120, 1e120):
        ours = Heterogeneity.of((y * unit).tolist(), (se * unit).tolist(), "DL")
        assert ours.i2 == pytest.approx(92.12, abs=0.01) and ours.random.estimate / unit == pytest.approx(
            -0.7141, abs=6e-5
        )


def test_each_hospitals_own_fit_is_in_the_forest():
    result = pool()
    estimates, errors = [], []
    for site, frame in enumerate(FRAMES, start=1):
        x = np.column_stack([np.ones(len(frame)), frame.age, frame.sex == "m"]).astype(float)
        fit = sm.GLM(frame.died, x, family=sm.families.Binomial()).fit(tol=1e-14)
        row = rows(result, "forest:sexm", "site")[site]
        assert (row["estimate"], row["se"], row["n"]) == pytest.approx(
            (fit.params.iloc[2], fit.bse.iloc[2], len(frame))
        )
        estimates.append(fit.params.iloc[2])
        errors.append(fit.bse.iloc[2])
    other = combine_effects(np.array(estimates), np.array(errors) ** 2, method_re="dl")
    row = rows(result, "heterogeneity")["sexm"]
    assert (row["q"], row["tau2"], row["df"]) == pytest.approx((other.q, other.tau2, 2), rel=1e-8)
    pooled = next(row for row in result.coefficients if row["term"] == "sexm")
    assert (pooled["estimate"], pooled["se"]) == pytest.approx(
        (other.mean_effect_re, other.sd_eff_w_re), rel=1e-8
    )
    fixed = next(r for r in result.tables["pooled"] if (r["term"], r["model"]) == ("sexm", "fixed"))
    assert fixed["estimate"] == pytest.approx(other.mean_effect_fe, rel=1e-8)
    assert rows(result, "forest:sexm", "site")["random"]["estimate"] == pooled["estimate"]
    assert (
        result.rounds == 1 and result.exact is False and "not the analysis of all patients" in result.notes[0]
    )
    assert [figure.table for figure in result.figures] == ["forest:age", "forest:sexm"]
    assert all(figure.ratio for figure in result.figures) and result.n.used == 460


def test_reml_and_other_regressions():
    assert pool(method="REML").conventions["tau2"].startswith("restricted")
    linear = pool(model="linear_regression", outcome="los")
    x = np.column_stack([np.ones(150), FRAMES[0].age, FRAMES[0].sex == "m"]).astype(float)
    fit = sm.OLS(FRAMES[0].los, x).fit()
    assert rows(linear, "forest:age", "site")[1]["se"] == pytest.approx(fit.bse.iloc[1], rel=1e-8)
    assert not linear.figures[0].ratio
    robust = pool(robust="HC0")
    assert rows(robust, "forest:age", "site")[1]["se"] != rows(pool(), "forest:age", "site")[1]["se"]
    values = {"model": "weibull_regression", "time": "weeks", "event": "died", "predictors": "age,sex"}
    weibull = simulate(MetaAnalysis, FRAMES, DICTIONARY, rules="off", **values)
    assert [row["term"] for row in weibull.coefficients] == ["(Intercept)", "age", "sexm"]


def test_values_in_small_and_large_units():
    frames = [frame.assign(cells=frame.age * 1e9) for frame in FRAMES]
    large, plain = pool(frames, predictors=["cells", "sex"]), pool()
    for key in ("estimate", "se"):
        assert large.coefficients[1][key] * 1e9 == pytest.approx(plain.coefficients[1][key], rel=1e-9)


def test_the_order_of_hospitals_does_not_change_the_pooled_answer():
    one, two = pool(), pool(FRAMES[::-1])
    assert one.coefficients == two.coefficients
    assert one.tables["heterogeneity"] == two.tables["heterogeneity"]


def test_a_hospital_without_an_answer_is_named_and_left_out():
    frames = [*FRAMES, FRAMES[0].assign(died=0)]
    result = pool(frames)
    assert "Site 4 is left out: its own fit has no finite answer." in result.notes
    assert result.coefficients == pool().coefficients
    one_row = pool([*FRAMES, FRAMES[0].head(1)])
    assert any("Site 4" in note for note in one_row.notes) and one_row.coefficients == pool().coefficients


def test_a_separated_or_absent_term_takes_that_hospital_out_for_this_term_only():
    separated = FRAMES[0].copy()
    separated.loc[separated.sex == "m", "died"] = 1
    result = pool([separated, *FRAMES[1:]])
    assert rows(result, "heterogeneity")["sexm"]["k"] == 2 and rows(result, "heterogeneity")["age"]["k"] == 3
    assert any("Site 1 takes no part for “sexm”" in note for note in result.notes)
    absent = FRAMES[0][FRAMES[0].stage != "III"]
    result = pool([absent, *FRAMES[1:]], predictors=["age", "stage"])
    kept = {name: row["k"] for name, row in rows(result, "heterogeneity").items()}
    assert kept == {"(Intercept)": 3, "age": 3, "stageII": 3, "stageIII": 2}


def test_a_hospital_without_the_reference_level_says_nothing_about_the_others():
    """There the other levels would be compared with each other, which is another question under the same name."""
    without = FRAMES[0][FRAMES[0].stage != "I"]
    result = pool([without, *FRAMES[1:]], predictors=["age", "stage"])
    kept = {name: row["k"] for name, row in rows(result, "heterogeneity").items()}
    assert kept == {"(Intercept)": 2, "age": 3, "stageII": 2, "stageIII": 2}
    assert any("Site 1 takes no part for “stageII” and “stageIII”" in note for note in result.notes)
    all_male = FRAMES[0][FRAMES[0].sex == "m"]
    kept = {name: row["k"] for name, row in rows(pool([all_male, *FRAMES[1:]]), "heterogeneity").items()}
    assert kept == {"(Intercept)": 2, "age": 3, "sexm": 2}


def test_no_hospital_has_an_answer_or_only_one_has():
    nobody = pool([frame.assign(died=0) for frame in FRAMES])
    assert nobody.notes[0].startswith("No hospital") and nobody.coefficients == []
    one = pool(FRAMES[:1])
    assert rows(one, "heterogeneity")["age"] | {"i2": 0.0, "tau2": 0.0} == rows(one, "heterogeneity")["age"]
    assert any("only one hospital" in note for note in one.notes)
    empty = [FRAMES[0].assign(age=np.nan), *FRAMES[1:]]
    assert any("Site 1 is left out" in note for note in pool(empty).notes)


def test_wrong_arguments_are_sentences():
    for more, says in [
        ({"model": "kmeans"}, "must be one of"),
        ({"outcome": "age"}, "Outcome"),
        ({"predictors": ""}, "predictors"),
        ({"predictors": "age,.site"}, "cannot be .site"),
        ({"colour": "red"}, "no parameter “colour”"),
    ]:
        with pytest.raises(UsageError, match=says):
            pool(**more)


def test_rules_refuse_what_they_would_refuse_of_the_regression():
    rare = FRAMES[0].assign(sex=np.where(FRAMES[0].index < 3, "m", "f"))
    few = FRAMES[0].head(15)
    events = FRAMES[0].assign(died=(FRAMES[0].index < 3).astype(int))
    for frame, rule in [(rare, "cell"), (few, "rows"), (events, "cell")]:
        outcome = run(MetaAnalysis, [frame, *FRAMES[1:]], DICTIONARY, parameters=MODEL)
        assert outcome.result.privacy.refused[0]["rule"] == rule
        assert outcome.result.coefficients == [] and not outcome.sent  # refused before the first number
    for allowed, rules in [
        (("meta_analysis",), ["tasks"]),
        (("meta_analysis", "logistic_regression 1.0"), []),
    ]:
        policy = Policy(tasks=allowed)
        outcome = run("meta_analysis", FRAMES[:1], DICTIONARY, policy=policy, parameters=MODEL)
        assert [row["rule"] for row in outcome.result.privacy.refused] == rules
    with pytest.raises(UsageError, match="cannot use secure sums"):
        engine.make_task(MetaAnalysis, None, MODEL, DICTIONARY, 3, secure_sum=True)


def test_what_every_task_must_keep():
    check_task(MetaAnalysis, FRAMES, DICTIONARY, **MODEL)
