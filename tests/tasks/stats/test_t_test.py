"""The t test over hospitals: R's printed answers for its own examples, scipy, and odd data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from friendlyfl.tasks.stats.t_test import TTest
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.published import cut, spread

# Student's (1908) sleep data, and what R prints for example(t.test).
EXTRA = [
    0.7,
    -1.6,
    -0.2,
    -1.2,
    -0.1,
    3.4,
    3.7,
    0.8,
    0.0,
    2.0,
    1.9,
    0.8,
    1.1,
    0.1,
    -0.1,
    4.4,
    5.5,
    1.6,
    4.6,
    3.4,
]
SLEEP = pd.DataFrame({"extra": EXTRA, "group": [1] * 10 + [2] * 10})
SLEEP_DICTIONARY = {
    "extra": {"type": "number", "range": [-5, 10], "step": 0.1},
    "group": {"type": "factor", "levels": ["1", "2"]},
}
DICTIONARY = {
    "y": {"type": "number"},
    "sex": {"type": "factor", "levels": ["f", "m"]},
    "stage": {"type": "factor", "levels": ["I", "II", "III"]},
    "arm": {"type": "integer", "range": [0, 4]},
}


def patients(n=150, seed=4):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"sex": rng.choice(["f", "m"], n, p=[0.7, 0.3]), "arm": rng.choice([1, 3], n)})
    table["stage"] = rng.choice(["I", "II", "III"], n)
    return table.assign(y=50 + 3 * (table.sex == "m") + rng.normal(0, np.where(table.sex == "m", 9, 4)))


TABLE = patients()


def played(frames, group="sex", dictionary=DICTIONARY, outcome="y", **more):
    return run(
        TTest, frames, dictionary, rules="off", parameters={"outcome": outcome, "group": group, **more}
    )


def fit(frames, *given_, **more):
    return played(frames, *given_, **more).result


def split(table=TABLE, column="sex", levels=("f", "m"), y="y"):
    return [table[y][table[column] == level].to_numpy() for level in levels]


@pytest.mark.parametrize("sites", [1, 2, 7])
def test_sleep_as_r_prints_it(sites):
    result = fit(spread(SLEEP, sites), "group", SLEEP_DICTIONARY, "extra")
    welch, student = result.tests["welch_t"], result.tests["student_t"]
    assert welch["statistic"] == pytest.approx(-1.8608, abs=5e-5)
    assert welch["df"] == pytest.approx(17.776, abs=5e-4)
    assert welch["p"] == pytest.approx(0.07939, abs=5e-6)
    assert [welch["ci_lower"], welch["ci_upper"]] == pytest.approx([-3.3654832, 0.2054832], abs=5e-8)
    assert student["df"] == 18 and student["p"] == pytest.approx(0.07919, abs=5e-6)
    assert [student["ci_lower"], student["ci_upper"]] == pytest.approx([-3.363874, 0.203874], abs=5e-7)
    assert welch["estimate"] == student["estimate"] == pytest.approx(-1.58, abs=1e-12)
    assert [row["mean"] for row in result.tables["groups"]] == pytest.approx([0.75, 2.33], abs=1e-13)
    assert [row["group"] for row in result.tables["groups"]] == ["group=1", "group=2"]
    assert result.rounds == 2 and "welch" in result.conventions["test"]


@pytest.mark.parametrize("equal", [True, False])
def test_against_scipy(equal):
    result = fit(spread(TABLE, 4), equal_variance=equal)
    one, two = split()
    wanted = stats.ttest_ind(one, two, equal_var=equal)
    got = result.tests["student_t" if equal else "welch_t"]
    assert got["statistic"] == pytest.approx(wanted.statistic, rel=1e-11)
    assert got["df"] == pytest.approx(wanted.df, rel=1e-11) and got["p"] == pytest.approx(
        wanted.pvalue, rel=1e-9
    )
    limits = wanted.confidence_interval()
    assert [got["ci_lower"], got["ci_upper"]] == pytest.approx([limits.low, limits.high], rel=1e-10)
    for row, values in zip(result.tables["groups"], (one, two), strict=True):
        assert row["n"] == len(values) and row["mean"] == pytest.approx(values.mean(), rel=1e-13)
        assert row["sd"] == pytest.approx(values.std(ddof=1), rel=1e-11)
        assert row["se"] == pytest.approx(stats.sem(values), rel=1e-11)
    assert result.conventions["estimate"] == "mean of sex=f minus mean of sex=m"


def test_groups_that_are_whole_numbers_and_hospitals():
    result = fit(spread(TABLE, 3), "arm")
    wanted = stats.ttest_ind(*split(TABLE, "arm", (1, 3)), equal_var=False)
    assert result.tests["welch_t"]["statistic"] == pytest.approx(wanted.statistic, rel=1e-11)
    assert [row["group"] for row in result.tables["groups"]] == ["arm=1", "arm=3"]
    frames = spread(TABLE, 2)
    wanted = stats.ttest_ind(frames[0].y, frames[1].y, equal_var=False)
    assert fit(frames, ".site").tests["welch_t"]["p"] == pytest.approx(wanted.pvalue, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(sites, seed):
    result, whole = fit(spread(TABLE, sites, seed)), fit([TABLE])
    for name in ("welch_t", "student_t"):
        assert result.tests[name] == pytest.approx(whole.tests[name], rel=1e-11)


def test_the_order_of_sites_does_not_change_a_bit():
    frames = [*cut(TABLE, np.where(TABLE.sex == "m", 1, 2)), TABLE.head(1)]
    one, two = fit(frames), fit(frames[::-1])
    assert one.tests == two.tests and one.tables == two.tables


@pytest.mark.parametrize(
    ("middle", "size"), [(1e6, 1.0), (1e9, 1e-2), (1e-9, 1e-14), (-1e14, 1e13), (0, 1e-12)]
)
def test_far_away_and_tiny_outcomes_lose_nothing(middle, size):
    from fractions import Fraction

    table = TABLE.assign(y=middle + size * (TABLE.y - 50))
    result = fit(spread(table, 6))
    parts = [[Fraction(float(v)) for v in values] for values in split(table)]
    means = [sum(part) / len(part) for part in parts]
    squares = [sum((v - m) ** 2 for v in part) for part, m in zip(parts, means, strict=True)]
    variances = [s / (len(part) - 1) / len(part) for part, s in zip(parts, squares, strict=True)]
    se = float(sum(variances)) ** 0.5
    got = result.tests["welch_t"]
    assert got["statistic"] == pytest.approx(float(means[0] - means[1]) / se, rel=1e-9)
    assert got["estimate"] == pytest.approx(float(means[0] - means[1]), rel=1e-9)


def test_spreads_that_differ_by_many_orders():
    table = TABLE.assign(y=np.where(TABLE.sex == "m", 1e5 + 1e-6 * TABLE.y, 1e5 + 1e4 * TABLE.y))
    result = fit(spread(table, 5))
    sds = [row["sd"] for row in result.tables["groups"]]
    assert sds[0] == pytest.approx(1e4 * split()[0].std(ddof=1), rel=1e-10)
    assert sds[1] == pytest.approx(split(table)[1].std(ddof=1), rel=1e-9)


def test_not_two_groups_is_a_sentence():
    outcome = played(spread(TABLE, 2), "stage")
    assert outcome.error is not None and "3 groups" in str(outcome.error)
    outcome = played(spread(TABLE.assign(sex="f"), 2))
    assert outcome.error is not None and "one group" in str(outcome.error)
    outcome = played(spread(TABLE.assign(y=np.nan), 2))
    assert outcome.error is not None and "No row" in str(outcome.error)


def test_a_group_of_one_has_students_test_only():
    table = TABLE.assign(sex=np.where(TABLE.index == 0, "m", "f"))
    result = fit(spread(table, 3))
    wanted = stats.ttest_ind(*split(table), equal_var=True)
    assert result.tests["student_t"]["p"] == pytest.approx(wanted.pvalue, rel=1e-9)
    assert result.tests["welch_t"]["p"] is None and "one patient only" in " ".join(result.notes)
    two = fit(spread(table.head(2), 2))
    assert two.tests["student_t"]["p"] is None and two.tests["student_t"]["estimate"] is not None


def test_an_outcome_that_does_not_vary_is_a_sentence():
    assert "same for every patient" in str(played(spread(TABLE.assign(y=0.0), 4)).error)
    for y in (5.1, np.where(TABLE.sex == "m", 1 / 3, 1e9 / 7)):
        result = fit(spread(TABLE.assign(y=y), 4))
        assert result.tests["welch_t"]["p"] is None and "does not vary" in " ".join(result.notes)
        assert [row["sd"] for row in result.tables["groups"]] == [0, 0]


def test_small_groups_are_refused():
    table = TABLE.assign(sex=np.where(TABLE.index < 3, "m", "f"))
    result = simulate(TTest, [table, TABLE], DICTIONARY, outcome="y", group="sex")
    assert [row["rule"] for row in result.privacy.refused] == ["cell"] and not result.tests


def test_an_outcome_in_a_unit_out_of_reach_is_a_sentence():
    for factor in (1e200, 1e-200):
        outcome = played(spread(TABLE.assign(y=TABLE.y * factor), 3))
        assert outcome.error is not None and "unit" in str(outcome.error)
    whole = fit([TABLE]).tests["student_t"]["statistic"]
    for factor in (1e-30, 1e100):
        result = fit(spread(TABLE.assign(y=TABLE.y * factor), 3))
        assert result.tests["student_t"]["statistic"] == pytest.approx(whole, rel=1e-9)


def test_what_every_task_must_keep():
    check_task(TTest, spread(TABLE, 2), DICTIONARY, outcome="y", group="sex", equal_variance=True)
