"""ROC curves against published areas, scikit-learn and DeLong's placements written out pair by pair."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm
from sklearn.metrics import roc_auc_score, roc_curve

from friendlyfl import datasets
from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Dictionary, engine
from friendlyfl.tasks.stats.roc import BINS, Roc
from friendlyfl.testing import check_task, simulate
from tests.tasks.stats.published import cut, spread

# Hanley and McNeil, Radiology 1982;143:29: CT images of 58 normal and 51 abnormal patients, read on a scale of five.
# The area, DeLong's standard error and interval are those Stata prints for them (manual of roctab).
HANLEY = {0: [33, 6, 6, 11, 2], 1: [3, 2, 2, 11, 33]}
HANLEY_AREA, HANLEY_SE, HANLEY_LIMITS = 0.8932, 0.0307, (0.83295, 0.95339)


def hanley():
    rows = [
        (sick, rating)
        for sick, counts in HANLEY.items()
        for rating, count in enumerate(counts, start=1)
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["sick", "rating"])


def patients(n=230, seed=5):
    rng = np.random.default_rng(seed)
    sick = (rng.random(n) < 0.35).astype(int)
    return pd.DataFrame(
        {
            "sick": sick,
            "a": np.round(np.clip(rng.normal(2 + sick, 1.2), 0, 9.9), 1),
            "b": rng.integers(0, 6, n) + sick,
            "c": np.round(rng.normal(50 - 4 * sick, 8), 3),
        }
    )


DICTIONARY = {
    "sick": {"type": "integer", "range": [0, 1]},
    "rating": {"type": "integer", "range": [1, 5]},
    "a": {"type": "number", "range": [0, 10], "step": 0.1},
    "b": {"type": "integer", "range": [0, 10]},
    "c": {"type": "number", "range": [0, 100], "step": 0.001},
}
TABLE = patients()


def roc(frames, markers=("a", "b", "c"), direction="higher", dictionary=DICTIONARY):
    return simulate(
        Roc, frames, dictionary, rules="off", outcome="sick", markers=list(markers), direction=direction
    )


def placements(table, markers, sign=1.0):
    """Areas and DeLong's covariance, pair by pair."""
    cases, controls = table[table.sick == 1], table[table.sick == 0]
    over, under = [], []
    for marker in markers:
        difference = sign * (cases[marker].to_numpy()[:, None] - controls[marker].to_numpy()[None, :])
        wins = (difference > 0) + 0.5 * (difference == 0)
        over.append(wins.mean(axis=1))
        under.append(wins.mean(axis=0))
    areas = np.array([one.mean() for one in over])
    return areas, np.atleast_2d(np.cov(over)) / len(cases) + np.atleast_2d(np.cov(under)) / len(controls)


def areas_of(result):
    return np.array([[row["auc"], row["se"]] for row in result.tables["auc"]])


def test_the_published_area_of_ct_images():
    row = roc(spread(hanley(), 3), ["rating"]).tables["auc"][0]
    assert row["auc"] == pytest.approx(HANLEY_AREA, abs=5.1e-5)
    assert row["se"] == pytest.approx(HANLEY_SE, abs=5.1e-5)
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(HANLEY_LIMITS, abs=5.1e-6)


def test_areas_and_errors_of_one_table():
    result = roc(spread(TABLE, 4))
    areas, variance = placements(TABLE, ["a", "b", "c"])
    assert areas_of(result)[:, 0] == pytest.approx(areas, abs=1e-14)
    assert areas_of(result)[:, 1] == pytest.approx(np.sqrt(np.diag(variance)), rel=1e-12)
    assert areas == pytest.approx([roc_auc_score(TABLE.sick, TABLE[name]) for name in "abc"], abs=1e-12)
    assert result.exact is True and result.n.events == TABLE.sick.sum() and result.rounds == 2
    assert [figure.word for figure in result.figures] == ["Roc"]


def test_one_score_needs_one_round_and_has_the_same_error():
    assert roc(spread(TABLE, 4), ["b"]).rounds == 1
    assert areas_of(roc(spread(TABLE, 4), ["b"]))[0] == pytest.approx(areas_of(roc([TABLE]))[1], rel=1e-12)


def test_the_paired_test():
    result = roc(spread(TABLE, 3), ["a", "b"])
    areas, variance = placements(TABLE, ["a", "b"])
    se = np.sqrt(variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])
    test = result.tests["delong"]
    assert test["estimate"] == pytest.approx(areas[0] - areas[1], abs=1e-13)
    assert test["statistic"] == pytest.approx((areas[0] - areas[1]) / se, rel=1e-10)
    assert test["p"] == pytest.approx(2 * norm.sf(abs(areas[0] - areas[1]) / se), rel=1e-9)
    assert test["ci_upper"] == pytest.approx(areas[0] - areas[1] + norm.ppf(0.975) * se, rel=1e-10)
    assert test["groups"] == ["a", "b"]


def test_three_scores_give_every_pair_and_all_together():
    result = roc(spread(TABLE, 3))
    areas, variance = placements(TABLE, ["a", "b", "c"])
    assert set(result.tests) == {"delong", "delong_a_b", "delong_a_c", "delong_b_c"}
    contrast = np.array([[1, -1, 0], [1, 0, -1]])
    difference = contrast @ areas
    wanted = difference @ np.linalg.solve(contrast @ variance @ contrast.T, difference)
    assert result.tests["delong"]["statistic"] == pytest.approx(wanted, rel=1e-9)
    assert result.tests["delong"]["p"] == pytest.approx(chi2.sf(wanted, 2), rel=1e-7)
    alone = roc(spread(TABLE, 3), ["b", "c"]).tests["delong"]
    assert result.tests["delong_b_c"]["statistic"] == pytest.approx(alone["statistic"], rel=1e-10)


def test_lower_values_mean_a_case():
    result = roc(spread(TABLE, 3), ["c", "a"], "lower")
    areas, variance = placements(TABLE, ["c", "a"], -1.0)
    assert areas_of(result)[:, 0] == pytest.approx(areas, abs=1e-14)
    assert areas_of(result)[:, 1] == pytest.approx(np.sqrt(np.diag(variance)), rel=1e-12)
    assert any("“a”" in note and "below one half" in note for note in result.notes)
    for point in result.curves[0].points[1:]:
        called = TABLE.c <= point["threshold"]
        assert point["sensitivity"] == pytest.approx(called[TABLE.sick == 1].mean(), abs=1e-12)
        assert point["specificity"] == pytest.approx(1 - called[TABLE.sick == 0].mean(), abs=1e-12)


def test_the_points_of_a_curve():
    curve = roc(spread(TABLE, 3), ["a"]).curves[0]
    assert (curve.name, curve.group) == ("roc", "a")
    false, true, thresholds = roc_curve(TABLE.sick, TABLE.a, drop_intermediate=False)
    assert [point["threshold"] for point in curve.points] == [None, *thresholds[1:]]
    assert [point["sensitivity"] for point in curve.points] == pytest.approx(true)
    assert [1 - point["specificity"] for point in curve.points] == pytest.approx(false)


def test_a_factor_as_outcome():
    table = TABLE.assign(sick=np.where(TABLE.sick == 1, "yes", "no"))
    dictionary = {**DICTIONARY, "sick": {"type": "factor", "levels": ["no", "yes"]}}
    assert areas_of(roc(spread(table, 2), dictionary=dictionary)) == pytest.approx(areas_of(roc([TABLE])))


def test_an_ordered_factor_as_score():
    names = np.array(["none", "some", "a lot", "all", "more", "most", "full"])
    table = TABLE.assign(d=names[TABLE.b])
    dictionary = {**DICTIONARY, "d": {"type": "ordered", "levels": names.tolist()}}
    result = roc(spread(table, 3), ["d", "b"], dictionary=dictionary)
    assert areas_of(result)[0].tolist() == areas_of(result)[1].tolist()
    assert (
        result.curves[0].points[1]["threshold"] == "full"
        and result.curves[0].points[-1]["threshold"] == "none"
    )
    with pytest.raises(UsageError, match="ordered factor"):
        roc([table], ["d"], dictionary={**DICTIONARY, "d": {"type": "factor", "levels": names.tolist()}})


@pytest.fixture(scope="module")
def whole():
    return roc([TABLE])


@settings(max_examples=8, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    result = roc(spread(TABLE, sites, seed))
    assert areas_of(result) == pytest.approx(areas_of(whole), rel=1e-12)
    assert result.curves == whole.curves
    assert result.tests["delong_a_b"]["statistic"] == pytest.approx(
        whole.tests["delong_a_b"]["statistic"], rel=1e-9
    )


def test_sites_of_one_row_or_of_one_class_and_their_order():
    labels = TABLE.sick.to_numpy() + 1
    labels[0] = 3
    frames = cut(TABLE, labels)
    one, two = roc(frames), roc(frames[::-1])
    assert one.tables == two.tables and one.tests == two.tests
    assert areas_of(one) == pytest.approx(areas_of(roc([TABLE])), rel=1e-12)


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_a_score_without_a_grid_is_cut_into_bins(direction):
    """Past the simulation, which completes a dictionary with every value that occurs."""
    dictionary = {**DICTIONARY, "c": {"type": "number", "range": [0, 100]}}
    value = np.random.default_rng(1).normal(50 - 5 * TABLE.sick, 4)
    frames = spread(TABLE.assign(c=value), 3)
    sign = 1 if direction == "higher" else -1
    task = Roc(
        Roc.validate({"outcome": "sick", "markers": "c", "direction": direction}, _parsed(dictionary)),
        _parsed(dictionary),
    )
    table = engine.open_table(task, pd.concat(frames))
    state = engine.begin(task)
    update = task.local_counts(table, state)
    done = task.combine_counts(
        state, {name: np.asarray(array, dtype=float) for name, array in update.items()}
    )
    exact = done.pieces["exact"]
    area = done.pieces["tables"]["auc"][0]["auc"]
    assert abs(area - placements(pd.concat(frames), ["c"], sign)[0][0]) <= exact.bound + 1e-15
    assert 0 <= exact.bound < 1e-3 and f"{BINS:,}" in exact.why
    for point in done.pieces["curves"][0].points[1::20]:
        called = value >= point["threshold"] if sign > 0 else value <= point["threshold"]
        assert point["sensitivity"] == pytest.approx(called[TABLE.sick == 1].mean(), abs=1e-12)


def _parsed(dictionary):
    return Dictionary.parse(dictionary)


def test_a_score_without_a_range_is_a_sentence():
    dictionary = _parsed({**DICTIONARY, "c": {"type": "number"}})
    task = Roc(Roc.validate({"outcome": "sick", "markers": "c"}, dictionary), dictionary)
    with pytest.raises(UsageError, match="a range"):
        task.start()


def test_the_same_score_twice_has_nothing_to_compare():
    result = roc(
        spread(TABLE.assign(d=TABLE.a), 2), ["a", "d"], dictionary={**DICTIONARY, "d": DICTIONARY["a"]}
    )
    assert result.tests["delong"]["statistic"] is None and result.tests["delong"]["estimate"] == 0
    three = roc(
        spread(TABLE.assign(d=TABLE.a), 2), ["a", "d", "b"], dictionary={**DICTIONARY, "d": DICTIONARY["a"]}
    )
    assert three.tests["delong"]["statistic"] is None and three.tests["delong_a_b"]["statistic"] is not None


def test_nobody_or_one_and_perfect_scores_are_sentences():
    assert "Nobody in this analysis is a case" in roc(spread(TABLE.assign(sick=0), 2)).notes[0]
    assert "Nobody in this analysis is a control" in roc(spread(TABLE.assign(sick=1), 2), ["a"]).notes[0]
    single = roc(spread(TABLE.assign(sick=(TABLE.index == 3).astype(int)), 2))
    assert single.tables["auc"][0]["se"] is None and "only one case" in " ".join(single.notes)
    assert single.tests["delong_a_b"]["statistic"] is None
    perfect = roc(spread(TABLE.assign(b=TABLE.sick), 2), ["b"])
    assert perfect.tables["auc"][0]["auc"] == 1 and perfect.tables["auc"][0]["se"] == 0
    assert any("0 or 1" in note for note in perfect.notes)


def test_a_constant_score_has_an_area_of_one_half():
    row = roc(spread(TABLE.assign(b=2), 3), ["b"]).tables["auc"][0]
    assert row["auc"] == 0.5 and row["se"] == 0


def test_missing_values_leave_the_comparison():
    table = TABLE.copy()
    table.loc[:9, "c"] = np.nan
    result = roc(spread(table, 3), ["a", "c"])
    assert (result.n.used, result.n.dropped) == (220, 10)
    assert areas_of(result)[:, 0] == pytest.approx(placements(TABLE.iloc[10:], ["a", "c"])[0], abs=1e-13)


def test_scores_of_few_values_pass_the_rules_and_fine_ones_do_not():
    frames = [TABLE.iloc[:120], TABLE.iloc[120:]]
    coarse = [frame.assign(b=(frame.b > 2).astype(int)) for frame in frames]
    result = simulate(Roc, coarse, DICTIONARY, outcome="sick", markers="b")
    assert result.tables["auc"][0]["auc"] > 0.5
    fine = simulate(Roc, frames, DICTIONARY, outcome="sick", markers="a")
    assert fine.privacy.refused[0]["rule"] == "cell" and not fine.tables


def test_what_every_task_must_keep():
    frames = list(datasets.load("clinic").values())[:2]
    check_task(Roc, frames, datasets.dictionary("clinic"), rules="off", **Roc.example)
