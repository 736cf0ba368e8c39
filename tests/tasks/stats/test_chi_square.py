"""Tables of counts over hospitals: what R prints for its own examples, scipy, and every table written down."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import gammaln

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats import contingency, fisher
from friendlyfl.tasks.stats.chi_square import ChiSquare
from friendlyfl.testing.check_task import check_task, flat
from friendlyfl.testing.simulate import simulate
from tests.tasks.stats.published import cut, spread

TEA = [[3, 1], [1, 3]]  # ?fisher.test: p-value = 0.4857, odds ratio 6.408309, lower limit 0.2117329
TWINS = [[2, 10], [15, 3]]  # ?fisher.test: odds ratio 0.04693661, two-sided p-value 0.0005367
JOBS = [[1, 2, 1, 0], [3, 3, 6, 1], [10, 10, 14, 9], [6, 7, 12, 11]]  # ?fisher.test: p-value = 0.7827
PARTIES = [[762, 327, 468], [484, 239, 477]]  # ?chisq.test: X-squared = 30.07, df = 2, p-value = 2.954e-07
ADMISSIONS = [  # UCBAdmissions by department: admitted, rejected; men, women
    [[512, 89], [313, 19]], [[353, 17], [207, 8]], [[120, 202], [205, 391]],
    [[138, 131], [279, 244]], [[53, 94], [138, 299]], [[22, 24], [351, 317]],
]  # fmt: skip
SATISFACTION = np.array(  # ?mantelhaen.test, Agresti (2002) p. 297: M^2 = 10.2, df = 9, p-value = 0.3345
    [1, 2, 0, 0, 3, 3, 1, 2, 11, 17, 8, 4, 2, 3, 5, 2, 1, 0, 0, 0, 1, 3, 0, 1, 2, 5, 7, 9, 1, 1, 3, 6]
).reshape(2, 4, 4).transpose(0, 2, 1)  # fmt: skip


def people(cells):
    """One row a person, of counts by stratum, row and column."""
    counts = np.asarray(cells).reshape((-1, *np.shape(cells)[-2:]))
    places = np.argwhere(counts > 0)
    rows = np.repeat(places, counts[tuple(places.T)], axis=0)
    return pd.DataFrame({"s": rows[:, 0], "a": rows[:, 1], "b": rows[:, 2]}).astype(str)


def dictionary(cells):
    sizes = np.asarray(cells).reshape((-1, *np.shape(cells)[-2:])).shape
    names = [[str(i) for i in range(size)] for size in sizes]
    return {name: {"type": "factor", "levels": levels} for name, levels in zip("sab", names, strict=True)}


def run(cells, parts=3, **more):
    frames = spread(people(cells), parts)
    return simulate("chi_square", frames, dictionary(cells), rules="off", row="a", column="b", **more)


def test_fisher_as_r_prints_it():
    row = run(TEA).tests["fisher"]
    assert row["p"] == pytest.approx(0.4857, abs=5e-5)
    assert row["estimate"] == pytest.approx(6.408309, rel=1e-5)
    assert row["ci_lower"] == pytest.approx(0.2117329, rel=1e-4)
    wanted = stats.contingency.odds_ratio(TEA).confidence_interval(0.95)  # R stops at 621.93, 0.7% short
    assert row["ci_upper"] == pytest.approx(wanted.high, rel=1e-7)
    row = run(TWINS).tests["fisher"]
    assert row["p"] == pytest.approx(0.0005367, rel=1e-4)
    assert row["estimate"] == pytest.approx(0.04693661, rel=1e-3)
    assert (row["ci_lower"], row["ci_upper"]) == (
        pytest.approx(0.003325764, rel=2e-2),
        pytest.approx(0.363182271, rel=1e-3),
    )
    assert run(JOBS).tests["fisher"]["p"] == pytest.approx(0.7827, abs=5e-5)


def test_chi_square_as_r_prints_it():
    result = run(PARTIES)
    row = result.tests["chi_square"]
    assert (row["statistic"], row["df"]) == (pytest.approx(30.07, abs=5e-3), 2)
    assert row["p"] == pytest.approx(2.954e-07, rel=2e-4)
    assert result.tables["cells"][0]["expected"] == pytest.approx(703.6714, rel=1e-6)
    assert result.statistics["cramers_v"] == pytest.approx(math.sqrt(row["statistic"] / 2757), rel=1e-12)


def test_mantel_haenszel_as_r_prints_it():
    row = run(ADMISSIONS, strata="s").tests["mantel_haenszel"]
    assert (row["statistic"], row["p"]) == (pytest.approx(1.4269, abs=5e-5), pytest.approx(0.2323, abs=5e-5))
    assert row["estimate"] == pytest.approx(0.9046968, rel=1e-6)
    assert row["ci_lower"] == pytest.approx(0.7719074, rel=1e-6)
    assert row["ci_upper"] == pytest.approx(1.0603298, rel=1e-6)
    row = run(SATISFACTION, strata="s").tests["mantel_haenszel"]
    assert (row["statistic"], row["df"]) == (pytest.approx(10.2, abs=5e-3), 9)
    assert row["p"] == pytest.approx(0.3345, abs=5e-5)


def test_against_other_programs():
    from statsmodels.stats.contingency_tables import StratifiedTable

    for yates in (True, False):
        result = run(ADMISSIONS, strata="s", yates=yates)
        wanted = stats.chi2_contingency(np.sum(ADMISSIONS, axis=0), correction=yates)
        assert result.tests["chi_square"]["statistic"] == pytest.approx(wanted.statistic, rel=1e-12)
        assert result.tests["chi_square"]["p"] == pytest.approx(wanted.pvalue, rel=1e-9)
        exact = stats.contingency.odds_ratio(np.sum(ADMISSIONS, axis=0))
        limits = exact.confidence_interval(0.95)
        row = result.tests["fisher"]
        found = [row["estimate"], row["ci_lower"], row["ci_upper"]]
        assert found == pytest.approx([exact.statistic, limits.low, limits.high], rel=1e-7)
        assert row["p"] == pytest.approx(stats.fisher_exact(np.sum(ADMISSIONS, axis=0)).pvalue, rel=1e-7)
        strata = StratifiedTable([np.array(table, dtype=float) for table in ADMISSIONS])
        row = result.tests["mantel_haenszel"]
        test = strata.test_null_odds(correction=yates)
        assert row["statistic"] == pytest.approx(test.statistic, rel=1e-10)
        assert row["estimate"] == pytest.approx(strata.oddsratio_pooled, rel=1e-12)
        limits = strata.oddsratio_pooled_confint()
        assert [row["ci_lower"], row["ci_upper"]] == pytest.approx(limits, rel=1e-9)


def every_table(rows, columns):
    """All tables with these margins."""
    if len(columns) == 1:
        yield tuple((value,) for value in rows)
        return
    for first in itertools.product(*(range(min(row, columns[0]) + 1) for row in rows)):
        if sum(first) == columns[0]:
            left = [row - value for row, value in zip(rows, first, strict=True)]
            for rest in every_table(left, columns[1:]):
                yield tuple((value, *more) for value, more in zip(first, rest, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=2, max_size=4))
def test_larger_tables_as_every_table_written_down(table):
    counts = np.array(table, dtype=float)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(counts.shape) < 2:
        return
    rows, columns = (counts.sum(axis=axis).astype(int).tolist() for axis in (1, 0))
    logs = np.array([-gammaln(np.array(one) + 1.0).sum() for one in every_table(rows, columns)])
    chances = np.exp(logs - logs.max())
    observed = math.exp(-gammaln(counts + 1).sum() - logs.max())
    wanted = chances[chances <= observed * (1 + 1e-7)].sum() / chances.sum()
    assert fisher.larger_table_p(counts) == pytest.approx(wanted, rel=1e-9)


def test_large_tables_are_exact_or_left_out():
    wide = np.array([[30.0, 41, 22, 60, 35], [28, 39, 45, 31, 52]])
    assert fisher.larger_table_p(wide) == pytest.approx(stats.chi2_contingency(wide).pvalue, rel=0.1)
    assert fisher.larger_table_p(wide.T) == fisher.larger_table_p(wide)
    as_two = fisher.larger_table_p(np.array([[512.0, 89], [313, 19]]))
    assert as_two == pytest.approx(stats.fisher_exact([[512, 89], [313, 19]]).pvalue, rel=1e-9)
    huge = np.arange(25.0).reshape(5, 5) * 20 + 100
    assert fisher.larger_table_p(huge) is None
    result = run((huge / 10).astype(int).tolist())
    assert result.tests["fisher"]["p"] is None and any("Fisher" in note for note in result.notes)
    assert result.tests["chi_square"]["p"] is not None


def test_small_p_does_not_become_zero():
    result = run([[300, 2], [3, 310]])
    assert 0 < result.tests["fisher"]["p"] < 1e-150 and 0 < result.tests["chi_square"]["p"] < 1e-120
    assert 0 < fisher.larger_table_p(np.array([[200.0, 1, 0], [2, 150, 3]])) < 1e-60


def test_empty_cells_and_levels():
    result = run([[5, 0], [7, 9]])
    row = result.tests["fisher"]
    assert (row["estimate"], row["ci_upper"]) == (None, None) and row["ci_lower"] > 0
    assert any("infinite" in note for note in result.notes)
    row = run([[0, 5], [7, 9]]).tests["fisher"]
    assert (row["estimate"], row["ci_lower"]) == (0.0, 0.0) and row["ci_upper"] > 0
    result = run([[5, 0, 4], [0, 0, 0], [7, 0, 9]])
    assert result.tests["chi_square"]["df"] == 1 and len(result.tables["cells"]) == 4
    assert len([note for note in result.notes if "Nobody" in note]) == 2
    result = run([[5, 0], [7, 0]])
    assert result.tests["chi_square"]["p"] is None and any(
        "one level of “b”" in note for note in result.notes
    )


def test_strata_that_say_nothing():
    lonely = [[[20, 5], [9, 14]], [[1, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [4, 0]]]
    result = run(lonely, strata="s")
    wanted = contingency.mantel_haenszel(np.array([lonely[0], lonely[3]], dtype=float), True)
    assert result.tests["mantel_haenszel"] == wanted
    assert any("one patient" in note for note in result.notes)
    result = run([[[5, 0], [0, 0]], [[0, 0], [0, 7]]], strata="s")
    assert result.tests["mantel_haenszel"]["p"] is None and any(
        "has no answer" in note for note in result.notes
    )
    result = run([[[1, 0], [0, 0]], [[0, 0], [0, 1]]], 2, strata="s")
    assert result.tests["mantel_haenszel"]["p"] is None
    result = run([[[9, 0], [8, 7]], [[5, 0], [4, 9]]], strata="s")
    assert result.tests["mantel_haenszel"]["ci_lower"] is None


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_the_answer_does_not_depend_on_the_cut(sites, seed):
    rng = np.random.default_rng(seed)
    table = people(rng.integers(0, 6, (2, 3, 2)))
    frames = cut(table, rng.integers(0, sites, len(table)))
    frames = [frame for frame in frames if len(frame)]
    answers = [
        simulate(
            "chi_square", parts, dictionary(np.zeros((2, 3, 2))), rules="off", row="a", column="b", strata="s"
        )
        for parts in ([table], frames, frames[::-1])
    ]
    assert answers[0].tests == answers[1].tests == answers[2].tests
    assert answers[0].tables == answers[1].tables


def test_sites_and_whole_numbers_as_groups():
    frames = [
        pd.DataFrame({"n": [0, 1, 1, 5] * 6, "b": [0, 1, 0, 1] * 6}),
        pd.DataFrame({"n": [5, 1, 0, 0] * 5, "b": [1, 1, 0, 1] * 5}),
    ]
    columns = {"n": {"type": "integer", "range": [0, 9]}, "b": {"type": "integer", "range": [0, 1]}}
    result = simulate("chi_square", frames, columns, rules="off", row="n", column="b", strata=".site")
    everyone = pd.concat(frames)
    wanted = stats.chi2_contingency(pd.crosstab(everyone.n, everyone.b), correction=False)
    assert result.tests["chi_square"]["statistic"] == pytest.approx(wanted.statistic, rel=1e-12)
    assert result.tests["mantel_haenszel"]["df"] == 2 and not any("Nobody" in note for note in result.notes)
    with pytest.raises(UsageError, match="different columns"):
        simulate("chi_square", frames, columns, rules="off", row="n", column="n")
    with pytest.raises(UsageError, match="different columns"):
        simulate("chi_square", frames, columns, rules="off", row="n", column="b", strata="n")


def test_missing_values_are_left_out_and_counted():
    table = people(ADMISSIONS)
    table.loc[::7, "a"] = None
    frames = spread(table, 4)
    result = simulate("chi_square", frames, dictionary(ADMISSIONS), rules="off", row="a", column="b")
    assert (result.n.used, result.n.dropped) == (table.a.notna().sum(), table.a.isna().sum())


def test_it_keeps_the_rules_for_tasks():
    reference = stats.chi2_contingency(np.sum(ADMISSIONS, axis=0))
    pooled = {"tests.chi_square.statistic": reference.statistic, "tests.chi_square.p": reference.pvalue}
    check_task(
        ChiSquare, spread(people(ADMISSIONS), 3), dictionary(ADMISSIONS), pooled=pooled, row="a", column="b"
    )
    assert "tests.chi_square.p" in flat(run(TEA))
