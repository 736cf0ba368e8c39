"""Rank tests over hospitals: what R prints, scipy, ranks written down, and the exact p of small groups."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.rank_test import RankTest
from friendlyfl.tasks.stats.ranks import Ranked, mid_ranks, orders, ties
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import simulate
from tests.tasks.stats.published import cut, spread

# ?wilcox.test, Hollander & Wolfe (1973) p. 69: W = 35, exact p-value = 0.1272 one-sided for "greater".
PERMEABILITY = {
    "x": [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46],
    "y": [1.15, 0.88, 0.90, 0.74, 1.21],
}
# ?kruskal.test, Hollander & Wolfe (1973) p. 116: Kruskal-Wallis chi-squared = 0.77143, df = 2, p-value = 0.68
DUST = {"x": [2.9, 3.0, 2.5, 2.6, 3.2], "y": [3.8, 2.7, 4.0, 2.4], "z": [2.8, 3.4, 3.7, 2.2, 2.0]}
# airquality: kruskal.test(Ozone ~ Month) prints Kruskal-Wallis chi-squared = 29.267, df = 4, p-value = 6.901e-06
GROUPS = ["x", "y", "z"]


def people(groups):
    return pd.DataFrame(
        [(value, name) for name, values in groups.items() for value in values], columns=["v", "g"]
    )


DICTIONARY = {"v": {"type": "number"}, "g": {"type": "factor", "levels": GROUPS}}


def run(table, parts=3, dictionary=DICTIONARY, **more):
    frames = spread(table, parts) if isinstance(table, pd.DataFrame) else table
    return simulate("rank_test", frames, dictionary, rules="off", outcome="v", group="g", **more)


def drawn(n=200, groups=2, values=12, seed=3):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"v": rng.integers(0, values, n) / 10, "g": rng.choice(GROUPS[:groups], n)})


def parts(table):
    return [values.to_numpy() for _, values in table.groupby("g")["v"]]


def test_wilcoxon_as_r_prints_it():
    result = run(people(PERMEABILITY))
    assert result.tests["wilcoxon"]["statistic"] == 35
    assert result.tests["wilcoxon_exact"]["p"] == pytest.approx(2 * 0.1272, abs=1e-4)
    assert any("exact" in note for note in result.notes)
    assert result.statistics["share_larger_in_first"] == 35 / 50


def test_kruskal_as_r_prints_it():
    row = run(people(DUST)).tests["kruskal"]
    assert (row["statistic"], row["df"]) == (pytest.approx(0.77143, abs=5e-6), 2)
    assert row["p"] == pytest.approx(0.68, abs=5e-3)


def test_against_scipy_with_ties():
    for seed in range(5):
        table = drawn(seed=seed)
        result = run(table, 4)
        wanted = stats.mannwhitneyu(*parts(table), method="asymptotic", use_continuity=True)
        assert result.tests["wilcoxon"]["statistic"] == wanted.statistic
        assert result.tests["wilcoxon"]["p"] == pytest.approx(wanted.pvalue, rel=1e-10)
        assert set(result.tests) == {"wilcoxon"}
        table = drawn(groups=3, seed=seed)
        wanted = stats.kruskal(*parts(table))
        row = run(table, 4).tests["kruskal"]
        assert row["statistic"] == pytest.approx(wanted.statistic, rel=1e-11)
        assert row["p"] == pytest.approx(wanted.pvalue, rel=1e-10)


def test_the_exact_p_as_scipy_has_it_and_as_all_orders_have_it():
    rng = np.random.default_rng(1)
    for first, second in ((3, 4), (12, 9), (49, 49), (1, 30)):
        table = pd.DataFrame(
            {"v": rng.permutation(first + second) * 1.0, "g": ["x"] * first + ["y"] * second}
        )
        wanted = stats.mannwhitneyu(*parts(table), method="exact")
        found = run(table).tests["wilcoxon_exact"]
        assert (found["statistic"], found["p"]) == (wanted.statistic, pytest.approx(wanted.pvalue, rel=1e-10))
    counts = np.bincount([sum(ranks) - 6 for ranks in itertools.combinations(range(1, 8), 3)])
    assert orders(3, 4) == counts.tolist()
    table = pd.DataFrame({"v": np.arange(60.0), "g": ["x"] * 50 + ["y"] * 10})
    assert "wilcoxon_exact" not in run(table).tests


def test_groups_in_the_table():
    table = drawn(groups=3)
    rows = run(table, 5).tables["groups"]
    ranks = stats.rankdata(table.v)
    for row in rows:
        mine = (table.g == row["group"].removeprefix("g=")).to_numpy()
        assert (row["n"], row["rank_sum"]) == (mine.sum(), ranks[mine].sum())
        assert row["mean_rank"] == pytest.approx(ranks[mine].mean(), rel=1e-14)
        assert row["median"] == pytest.approx(np.median(table.v[mine]), rel=1e-14)


def test_ranks_of_counts():
    counts = np.array([3.0, 0.0, 1.0, 2.0])
    assert mid_ranks(counts)[[0, 2, 3]].tolist() == [2.0, 4.0, 5.5] and ties(counts) == 24 + 6


def test_levels_in_order_are_ranked_and_others_refused():
    table = drawn().assign(v=lambda d: np.where(d.v > 0.8, "IV", np.where(d.v > 0.4, "II", "I")))
    stage = {"type": "factor", "levels": ["I", "II", "III", "IV"], "ordered": True}
    dictionary = {**DICTIONARY, "v": stage}
    result = run(table, dictionary=dictionary)
    codes = table.assign(v=table.v.map(stage["levels"].index))
    wanted = stats.mannwhitneyu(*parts(codes), method="asymptotic")
    assert result.tests["wilcoxon"]["p"] == pytest.approx(wanted.pvalue, rel=1e-10)
    assert result.tables["groups"][0]["median"] is None
    with pytest.raises(UsageError, match="must have an order"):
        run(table, dictionary={**DICTIONARY, "v": {**stage, "ordered": False}})
    with pytest.raises(UsageError, match="different columns"):
        simulate("rank_test", [table], dictionary, rules="off", outcome="g", group="g")


def test_nothing_to_compare():
    result = run(drawn(groups=1))
    assert result.tests == {} and any("nothing to compare" in note for note in result.notes)
    for groups in (2, 3):
        result = run(drawn(groups=groups).assign(v=1.0))
        (row,) = result.tests.values()
        assert row["p"] is None and any("nothing to rank" in note for note in result.notes)
    result = run(pd.DataFrame({"v": [1.0, 2.0], "g": ["x", "y"]}), 2)
    assert result.tests["wilcoxon_exact"]["p"] == 1.0
    fine = {**DICTIONARY, "v": {"type": "number", "range": [0, 1e6], "step": 1e-3}}
    with pytest.raises(UsageError, match="larger step"):
        run(drawn(), dictionary=fine)


def test_whole_numbers_and_sites_as_groups():
    table = drawn(groups=3).assign(g=lambda d: d.g.map({"x": 2, "y": 0, "z": 7}))
    wanted = stats.kruskal(*parts(table))
    found = run(table, dictionary={**DICTIONARY, "g": {"type": "integer", "range": [0, 9]}})
    assert found.tests["kruskal"]["statistic"] == pytest.approx(wanted.statistic, rel=1e-11)
    assert [row["group"] for row in found.tables["groups"]] == ["g=0", "g=2", "g=7"]
    frames = spread(table, 3)
    wanted = stats.kruskal(*[frame.v for frame in frames])
    found = simulate("rank_test", frames, {"v": {"type": "number"}}, rules="off", outcome="v", group=".site")
    assert found.tests["kruskal"]["p"] == pytest.approx(wanted.pvalue, rel=1e-10)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(2, 3), st.integers(0, 2**32 - 1))
def test_the_answer_does_not_depend_on_the_cut(sites, groups, seed):
    rng = np.random.default_rng(seed)
    table = drawn(60, groups, seed=seed)
    table.loc[rng.random(60) < 0.1, "v"] = np.nan
    frames = cut(table, rng.integers(0, sites, len(table)))
    answers = [run(frames) for frames in ([table], frames, frames[::-1])]
    assert answers[0].tests == answers[1].tests == answers[2].tests
    assert answers[0].tables == answers[1].tables and answers[0].n.dropped == table.v.isna().sum()


def test_all_ranks_are_given_out():
    ranked = Ranked(np.random.default_rng(0).integers(0, 9, (4, 30)).astype(float))
    assert ranked.sums.sum() == ranked.n * (ranked.n + 1) / 2


def test_it_keeps_the_rules_for_tasks():
    table = drawn(800, values=4)
    wanted = stats.mannwhitneyu(*parts(table), method="asymptotic")
    pooled = {"tests.wilcoxon.statistic": wanted.statistic, "tests.wilcoxon.p": wanted.pvalue}
    dictionary = {"v": {"type": "number", "range": [0, 5], "step": 0.1}, "g": DICTIONARY["g"]}
    check_task(RankTest, spread(table, 3), dictionary, pooled=pooled, outcome="v", group="g")
