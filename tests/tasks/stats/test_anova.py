"""Analysis of variance over hospitals: R's printed answers for its own data, statsmodels, scipy, and odd data."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multicomp import pairwise_tukeyhsd
from statsmodels.stats.oneway import anova_oneway

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.anova import Anova
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.published import cut, spread

# Dobson (1983), `PlantGrowth` in R; answers as R prints them for aov, TukeyHSD and oneway.test.
PLANTS = pd.DataFrame(
    {
        "weight": [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14]
        + [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69]
        + [6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26],
        "group": ["ctrl"] * 10 + ["trt1"] * 10 + ["trt2"] * 10,
    }
)
PLANTS_TUKEY = {  # pair: diff, lwr, upr, p adj
    "trt1-ctrl": (-0.371, -1.0622161, 0.3202161, 0.3908711),
    "trt2-ctrl": (0.494, -0.1972161, 1.1852161, 0.1979960),
    "trt2-trt1": (0.865, 0.1737839, 1.5562161, 0.0120064),
}
# Tippett (1950), `warpbreaks` in R; the answer is that of summary(aov(breaks ~ wool * tension)).
BREAKS = [
    [26, 30, 54, 25, 70, 52, 51, 26, 67], [18, 21, 29, 17, 12, 18, 35, 30, 36], [36, 21, 24, 18, 10, 43, 28, 15, 26],
    [27, 14, 29, 19, 29, 31, 41, 20, 44], [42, 26, 19, 16, 39, 28, 21, 39, 29], [20, 21, 24, 17, 13, 15, 15, 16, 28],
]  # fmt: skip
WARPBREAKS = pd.DataFrame(
    [(b, "AB"[c // 3], "LMH"[c % 3]) for c, cell in enumerate(BREAKS) for b in cell],
    columns=["breaks", "wool", "tension"],
)
DICTIONARY = {
    "weight": {"type": "number"},
    "group": {"type": "factor", "levels": ["ctrl", "trt1", "trt2"]},
    "breaks": {"type": "integer", "range": [0, 100]},
    "wool": {"type": "factor", "levels": ["A", "B"]},
    "tension": {"type": "factor", "levels": ["L", "M", "H"]},
    "y": {"type": "number"},
    "a": {"type": "factor", "levels": ["p", "q"]},
    "b": {"type": "factor", "levels": ["1", "2", "3", "4"]},
    "c": {"type": "integer", "range": [0, 9]},
}


def patients(n=200, seed=8):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "a": rng.choice(["p", "q"], n, p=[0.7, 0.3]),
            "b": rng.choice(["1", "2", "3", "4"], n, p=[0.4, 0.3, 0.2, 0.1]),
        }
    )
    table["c"] = rng.choice([1, 4, 7], n)
    middle = 10 + 2 * (table.a == "q") + 1.5 * (table.b == "3") * (table.a == "p")
    return table.assign(y=middle + rng.normal(0, 1 + (table.b == "4"), n))


TABLE = patients()


def played(frames, groups, outcome="y", dictionary=DICTIONARY, **more):
    return run(
        Anova, frames, dictionary, rules="off", parameters={"outcome": outcome, "groups": groups, **more}
    )


def fit(frames, *given_, **more):
    return played(frames, *given_, **more).result


def by_term(rows):
    return {row["term"]: row for row in rows}


@pytest.mark.parametrize("sites", [1, 4, 15])
def test_plant_growth_as_r_prints_it(sites):
    result = fit(spread(PLANTS, sites), "group", "weight")
    one, welch = result.tests["anova"], result.tests["welch_anova"]
    assert one["statistic"] == pytest.approx(4.846, abs=5e-4) and one["df"] == [2, 27]
    assert one["p"] == pytest.approx(0.0159, abs=5e-5)
    assert welch["statistic"] == pytest.approx(5.181, abs=5e-4) and welch["df"][0] == 2
    assert welch["df"][1] == pytest.approx(17.128, abs=5e-4) and welch["p"] == pytest.approx(
        0.01739, abs=5e-6
    )
    rows = by_term(result.tables["anova_type1"])
    assert rows["group"]["sum_sq"] == pytest.approx(3.766, abs=5e-4)
    assert rows["group"]["mean_sq"] == pytest.approx(1.8832, abs=5e-5)
    assert rows["Residuals"]["sum_sq"] == pytest.approx(10.492, abs=5e-4)
    assert rows["Residuals"]["mean_sq"] == pytest.approx(0.3886, abs=5e-5)
    assert [row["pair"] for row in result.tables["tukey"]] == list(PLANTS_TUKEY)
    for row in result.tables["tukey"]:
        found = [row[key] for key in ("diff", "ci_lower", "ci_upper", "p")]
        assert found == pytest.approx(PLANTS_TUKEY[row["pair"]], abs=6e-7)
    assert [row["mean"] for row in result.tables["groups"]] == pytest.approx([5.032, 4.661, 5.526], abs=1e-12)
    assert result.rounds == 2


def test_warpbreaks_as_r_prints_it():
    result = fit(spread(WARPBREAKS, 5), "wool,tension", "breaks")
    wanted = {  # Df, Sum Sq, Mean Sq, F, p
        "wool": (1, 451, 450.7, 3.765, 0.058213),
        "tension": (2, 2034, 1017.1, 8.498, 0.000693),
        "wool:tension": (2, 1003, 501.4, 4.189, 0.021044),
    }
    rows = by_term(result.tables["anova_type1"])
    assert list(rows) == [*wanted, "Residuals"]
    for term, (df, squares, mean, f, p) in wanted.items():
        assert rows[term]["df"] == df and rows[term]["sum_sq"] == pytest.approx(squares, abs=0.5)
        assert rows[term]["mean_sq"] == pytest.approx(mean, abs=0.051)
        assert rows[term]["statistic"] == pytest.approx(f, abs=5e-4)
        assert rows[term]["p"] == pytest.approx(p, abs=5.1e-7)
    assert rows["Residuals"]["df"] == 48 and rows["Residuals"]["mean_sq"] == pytest.approx(119.7, abs=0.05)
    assert [row["group"] for row in result.tables["groups"]][:2] == ["wool=A, tension=L", "wool=A, tension=M"]


def test_one_way_against_scipy_and_statsmodels():
    result = fit(spread(TABLE, 6), "b")
    parts = [part.y.to_numpy() for _, part in TABLE.groupby("b")]
    wanted = stats.f_oneway(*parts)
    assert result.tests["anova"]["statistic"] == pytest.approx(wanted.statistic, rel=1e-10)
    assert result.tests["anova"]["p"] == pytest.approx(wanted.pvalue, rel=1e-8)
    welch = anova_oneway(parts, use_var="unequal", welch_correction=True)
    assert result.tests["welch_anova"]["statistic"] == pytest.approx(welch.statistic, rel=1e-10)
    assert result.tests["welch_anova"]["df"] == pytest.approx([welch.df_num, welch.df_denom], rel=1e-10)
    assert result.tests["welch_anova"]["p"] == pytest.approx(welch.pvalue, rel=1e-8)
    assert result.tables["anova_type1"] == result.tables["anova_type2"]


def test_tukey_of_unequal_groups_against_statsmodels():
    result, wanted = fit(spread(TABLE, 3), "b"), pairwise_tukeyhsd(TABLE.y, TABLE.b)
    rows = result.tables["tukey"]
    assert [row["pair"] for row in rows] == ["2-1", "3-1", "4-1", "3-2", "4-2", "4-3"]
    assert [row["diff"] for row in rows] == pytest.approx(wanted.meandiffs.tolist(), rel=1e-10)
    assert [row["p"] for row in rows] == pytest.approx(wanted.pvalues.tolist(), rel=1e-7, abs=1e-13)
    limits = np.array([[row["ci_lower"], row["ci_upper"]] for row in rows])
    assert limits == pytest.approx(wanted.confint, rel=1e-7)


@pytest.mark.parametrize(
    ("groups", "formula"), [("a,b", "C(a)*C(b)"), ("b,c", "C(b)*C(c)"), ("c,a", "C(c)*C(a)")]
)
def test_two_way_of_unequal_cells_against_statsmodels(groups, formula):
    result, model = fit(spread(TABLE, 5), groups), smf.ols(f"y ~ {formula}", TABLE).fit()
    for typ in (1, 2):
        rows, wanted = by_term(result.tables[f"anova_type{typ}"]), anova_lm(model, typ=typ)
        for term, row in wanted.iterrows():
            got = rows[term.replace("C(", "").replace(")", "").replace("Residual", "Residuals")]
            assert got["df"] == row["df"] and got["sum_sq"] == pytest.approx(row["sum_sq"], rel=1e-9)
            if term != "Residual":
                assert got["statistic"] == pytest.approx(row["F"], rel=1e-9)
                assert got["p"] == pytest.approx(row["PR(>F)"], rel=1e-7)
    assert result.statistics["r2"] == pytest.approx(model.rsquared, rel=1e-10)
    assert result.statistics["sigma"] == pytest.approx(np.sqrt(model.scale), rel=1e-11)
    assert not result.tests and not result.notes


def test_hospitals_as_groups():
    frames = spread(TABLE, 3)
    result = fit(frames, ".site,a")
    whole = pd.concat([frame.assign(s=k) for k, frame in enumerate(frames)])
    wanted = anova_lm(smf.ols("y ~ C(s)*a", whole).fit(), typ=2)
    got = by_term(result.tables["anova_type2"])
    assert got[".site"]["sum_sq"] == pytest.approx(wanted.loc["C(s)", "sum_sq"], rel=1e-9)
    assert got[".site:a"]["sum_sq"] == pytest.approx(wanted.loc["C(s):a", "sum_sq"], rel=1e-9)


def test_empty_cells():
    table = TABLE[~((TABLE.a == "q") & TABLE.b.isin(["3", "4"]))]
    rows = by_term(fit(spread(table, 3), "a,b").tables["anova_type1"])
    nested = [smf.ols(f"y ~ {right}", table).fit().ssr for right in ("1", "a", "a + b")]
    cells = table.groupby(["a", "b"]).y.agg(lambda y: ((y - y.mean()) ** 2).sum()).sum()
    squares = [nested[0] - nested[1], nested[1] - nested[2], nested[2] - cells]
    assert [rows[term]["sum_sq"] for term in ("a", "b", "a:b")] == pytest.approx(squares, rel=1e-8)
    assert [row["df"] for row in rows.values()] == [1, 3, 1, len(table) - 6]
    table = TABLE[(TABLE.a == "p") | (TABLE.b == "1")]
    result = fit(spread(table, 3), "a,b")
    assert [row["term"] for row in result.tables["anova_type1"]] == ["a", "b", "Residuals"]
    assert by_term(result.tables["anova_type2"])["a:b"]["df"] == 0 and "“a:b”" in result.notes[0]


@settings(max_examples=10, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(sites, seed):
    result, whole = fit(spread(TABLE, sites, seed), "a,b"), fit([TABLE], "a,b")
    for one, two in zip(result.tables["anova_type2"], whole.tables["anova_type2"], strict=True):
        assert one["sum_sq"] == pytest.approx(two["sum_sq"], rel=1e-10)
    for one, two in zip(result.tables["groups"], whole.tables["groups"], strict=True):
        assert one["n"] == two["n"] and one["mean"] == pytest.approx(two["mean"], rel=1e-13)


def test_the_order_of_sites_does_not_change_a_bit():
    frames = [*cut(TABLE, TABLE.c), TABLE.head(1)]
    one, two = fit(frames, "b"), fit(frames[::-1], "b")
    assert one.tests == two.tests and one.tables == two.tables


@pytest.mark.parametrize(("middle", "size"), [(1e6, 1.0), (1e10, 1e-2), (1e-9, 1e-14), (0, 1e12)])
def test_far_away_and_tiny_outcomes_lose_nothing(middle, size):
    table = TABLE.assign(y=middle + size * TABLE.y)
    exact = table.assign(y=(table.y - middle) / size)  # exact, or a last digit of what is left
    got, wanted = fit(spread(table, 6), "a,b"), fit([exact], "a,b")
    for one, two in zip(got.tables["anova_type2"][:-1], wanted.tables["anova_type2"], strict=False):
        assert one["statistic"] == pytest.approx(two["statistic"], rel=1e-9)
    assert fit(spread(table, 6), "b").tests["welch_anova"]["p"] == pytest.approx(
        fit([exact], "b").tests["welch_anova"]["p"], rel=1e-8
    )


def test_groups_that_are_too_few_too_small_or_too_many():
    outcome = played(spread(TABLE.assign(b="2"), 2), "b")
    assert outcome.error is not None and "one group (b=2)" in str(outcome.error)
    assert played(spread(TABLE.assign(y=np.nan), 2), "b").error is not None
    alone = TABLE.assign(b=np.where(TABLE.index == 0, "4", TABLE.b.replace("4", "1")))
    result = fit(spread(alone, 3), "b")
    assert result.tests["welch_anova"]["p"] is None and "one patient only" in result.notes[0]
    assert result.tests["anova"]["p"] == pytest.approx(
        stats.f_oneway(*[part.y for _, part in alone.groupby("b")]).pvalue, rel=1e-8
    )
    every = pd.DataFrame({"y": np.arange(4.0), "b": ["1", "2", "3", "4"]})
    result = fit(spread(every, 2), "b")
    assert (
        result.tests["anova"]["p"] is None
        and "one patient only" in result.notes[0]
        and "tukey" not in result.tables
    )
    many = pd.DataFrame({"y": np.random.default_rng(0).normal(size=99), "c": np.arange(99) % 33})
    result = fit(spread(many, 2), "c", dictionary={"y": {"type": "number"}, "c": {"type": "integer"}})
    assert "30 groups" in result.notes[0] and result.tests["anova"]["df"] == [32, 66]


def test_an_outcome_that_does_not_vary_within_groups_is_a_sentence():
    assert "same for every patient" in str(played(spread(TABLE.assign(y=0.0), 4), "b").error)
    for y in (5.1, TABLE.b.astype(float) / 3):
        for groups in ("b", "a,b"):
            result = fit(spread(TABLE.assign(y=y), 3), groups)
            assert "does not vary within" in result.notes[0]
            assert all(row["p"] is None for row in result.tables["anova_type1"])


def test_parameters_that_do_not_go_together():
    with pytest.raises(UsageError, match="one or two columns"):
        played([TABLE], "a,b,c")
    with pytest.raises(UsageError, match=r"Welch.s test knows one"):
        played([TABLE], "a,b", equal_variance="no")
    result = fit([TABLE], "b", equal_variance="no")
    assert "welch" in result.conventions["test"]


def test_small_cells_are_refused():
    table = TABLE.assign(a=np.where(TABLE.index < 3, "q", "p"))
    result = simulate(Anova, [table, TABLE], DICTIONARY, outcome="y", groups="a,c")
    assert {row["rule"] for row in result.privacy.refused} == {"cell"} and not result.tables


def test_an_outcome_in_a_unit_out_of_reach_is_a_sentence():
    for factor in (1e200, 1e-200):
        outcome = played(spread(TABLE.assign(y=TABLE.y * factor), 3), "b")
        assert outcome.error is not None and "unit" in str(outcome.error)
    whole = fit([TABLE], "b").tests["anova"]["statistic"]
    for factor in (1e-30, 1e100):
        result = fit(spread(TABLE.assign(y=TABLE.y * factor), 3), "b")
        assert result.tests["anova"]["statistic"] == pytest.approx(whole, rel=1e-9)


def test_what_every_task_must_keep():
    check_task(Anova, spread(TABLE, 2), DICTIONARY, outcome="y", groups="a")
    check_task(Anova, spread(TABLE, 3), DICTIONARY, rules="off", outcome="y", groups="a,c")
