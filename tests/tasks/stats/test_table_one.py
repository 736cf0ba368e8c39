"""Table 1 over hospitals: pandas, scipy and published differences; quantiles on the grid; small cells."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.moments import Moments, smd, smd_levels, unit_near
from friendlyfl.tasks.stats.quantiles import Hunt, ranks_of, type_7
from friendlyfl.tasks.stats.table_one import CHANCES, PROBABILITIES, TableOne
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.published import spread


def patients(n=300, seed=11):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.integers(18, 95, n),
            "crp": np.round(rng.gamma(1.2, 15.0, n), 1),
            "year": rng.integers(2015, 2025, n),
            "platelets": rng.integers(50_000, 450_000, n) * 1_000,
            "race": rng.choice(["white", "black", "other"], n, p=[0.6, 0.25, 0.15]),
            "trt": rng.choice(["placebo", "drug"], n),
            "seen": (pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D")).strftime(
                "%Y-%m-%d"
            ),
        }
    )
    table.loc[rng.random(n) < 0.1, "crp"] = np.nan
    table.loc[rng.random(n) < 0.07, "race"] = None
    table.loc[rng.random(n) < 0.07, "trt"] = None
    return table


TABLE = patients()
NUMBERS = ["age", "crp", "year", "platelets"]
DICTIONARY = {
    "age": {"type": "integer", "range": [0, 120]},
    "crp": {"type": "number", "range": [0, 600], "step": 0.1},
    "year": {"type": "integer", "range": [1900, 2100]},
    "platelets": {"type": "integer", "range": [0, 1_000_000_000]},
    "race": {"type": "factor", "levels": ["white", "black", "other"]},
    "trt": {"type": "factor", "levels": ["placebo", "drug"]},
    "seen": {"type": "date", "range": ["2015-01-01", "2025-12-31"]},
    "ward": {"type": "text"},
}


def describe(frames, variables=(*NUMBERS, "race"), rules="off", dictionary=DICTIONARY, **more):
    return simulate("table_one", frames, dictionary, rules=rules, variables=list(variables), **more)


def rows(result, table="numeric"):
    return {(row["variable"], row["group"]): row for row in result.tables[table]}


def part(group):
    if group == "all":
        return TABLE
    return TABLE[TABLE.trt.isna()] if group == "(missing)" else TABLE[TABLE.trt == group.removeprefix("trt=")]


def test_means_spreads_and_counts():
    result = describe(spread(TABLE, 4), group="trt", variables=NUMBERS)
    for (variable, group), row in rows(result).items():
        column = part(group)[variable]
        values = column.dropna().to_numpy(float)
        assert (row["n"], row["missing"]) == (len(values), column.isna().sum())
        assert row["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert row["sd"] == pytest.approx(values.std(ddof=1), rel=1e-10)
        assert row["skewness"] == pytest.approx(stats.skew(values), abs=1e-10)
    names = ["all", "trt=placebo", "trt=drug", "(missing)"]
    assert result.tables["groups"] == [{"group": name, "n": len(part(name))} for name in names]
    assert result.n.used == 300 and result.n.dropped == 0


def test_quantiles_are_those_of_one_table():
    result = describe(spread(TABLE, 4), ["age", "crp", "year"], group="trt")
    for (variable, group), row in rows(result).items():
        values = part(group)[variable].dropna().to_numpy(float)
        for key, chance in PROBABILITIES.items():
            assert row[key] == pytest.approx(np.quantile(values, chance), rel=1e-14)
    assert result.conventions["quantile_type"] == 7 and result.rounds <= 7


def test_levels_by_group_with_the_missing_ones():
    result = describe(spread(TABLE, 3), ["race"], group="trt")
    wanted = pd.crosstab(TABLE.race.fillna("(missing)"), TABLE.trt.fillna("(missing)"))
    found = {(row["level"], row["group"]): row["n"] for row in result.tables["categorical"]}
    for level in wanted.index:
        for group in wanted.columns:
            name = group if group == "(missing)" else f"trt={group}"
            assert found.get((level, name), 0) == wanted.loc[level, group]
        assert found[level, "all"] == wanted.loc[level].sum()
    assert result.rounds == 1 and result.figures[0].word == "Bars"


def test_differences_between_two_groups():
    result = describe(spread(TABLE, 3), ["age", "race"], group="trt")
    found = {row["variable"]: row["smd"] for row in result.tables["smd"]}
    one, two = part("trt=placebo").age, part("trt=drug").age
    assert found["age"] == pytest.approx(
        (one.mean() - two.mean()) / np.sqrt((one.var() + two.var()) / 2), rel=1e-10
    )
    assert found["race"] > 0
    assert describe([TABLE], ["age"], group="race").tables["smd"] == []  # three groups: no one difference
    assert describe([TABLE], ["age"]).tables["smd"] == []


def test_the_difference_over_levels_that_tableone_prints():
    """The vignette "smd" of R's tableone: race of 3,551 and 2,184 right heart catheterisation patients, 0.036."""
    one, two = np.array([585.0, 213.0, 2753.0]), np.array([335.0, 142.0, 1707.0])
    assert smd_levels(one, two) == pytest.approx(0.036, abs=5e-4)
    assert smd_levels(one, two) == pytest.approx(np.sqrt(0.001267793), rel=1e-6)
    assert smd_levels(one, two) == pytest.approx(smd_levels(one[::-1], two[::-1]), rel=1e-12)


def test_the_difference_over_two_levels_is_that_of_a_share():
    p, q = 0.3, 0.45
    wanted = abs(p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    assert smd_levels(np.array([70.0, 30.0]), np.array([110.0, 90.0])) == pytest.approx(wanted, rel=1e-12)


def test_differences_that_do_not_exist():
    assert smd_levels(np.array([5.0, 0.0]), np.array([0.0, 5.0])) is None  # no spread to measure by
    assert smd_levels(np.array([5.0, 0.0]), np.array([7.0, 0.0])) is None
    assert smd_levels(np.array([0.0, 0.0]), np.array([7.0, 1.0])) is None
    assert smd_levels(np.array([np.nan, 2.0]), np.array([7.0, 1.0])) is None
    alike = Moments(3.0, 0.0, 0.0, 0.0, 5.0, 8.0)
    assert smd(alike, alike) is None and alike.sd == 0.0 and alike.skewness is None
    assert Moments(0.0, 0.0, 0.0, 0.0, 0.0, 1.0).mean is None
    assert Moments(1.0, 0.0, 0.0, 0.0, 3.0, 1.0).sd is None


def test_dates_are_dates():
    row = rows(describe(spread(TABLE, 3), ["seen"]))["seen", "all"]
    days = pd.to_datetime(TABLE.seen)
    assert row["mean"] == days.mean().round("D").strftime("%Y-%m-%d")
    assert row["median"] == days.median().round("D").strftime("%Y-%m-%d")
    assert row["sd"] == pytest.approx(days.std() / pd.Timedelta("1D"), rel=1e-10)


def test_text_is_refused_in_a_sentence():
    with pytest.raises(UsageError, match="ward"):
        describe([TABLE.assign(ward="A3")], ["age", "ward"])


def test_under_rules_there_are_no_quantiles_and_no_small_cells():
    frames = [patients(120, 1), patients(120, 2)]
    result = describe(frames, ["age", "race"], rules="on")
    row = rows(result)["age", "all"]
    assert row["median"] is None and row["mean"] > 0
    assert any("need a secure sum" in note for note in result.notes)
    frames[1].loc[frames[1].index[:117], "race"] = "white"
    frames[1].loc[frames[1].index[117:], "race"] = "other"
    hidden = describe(frames, ["race"], rules="on")
    assert any(row["n"] is None for row in hidden.tables["categorical"])
    assert hidden.privacy.suppressed and any("not shown" in note for note in hidden.notes)


def sent(frames, variables, **more):
    """All bytes of every round, and the Result, under rules."""
    given_ = {"variables": list(variables), **more}
    outcome = run("table_one", frames, DICTIONARY, parameters=given_)
    assert outcome.error is None
    return outcome.sent, outcome.result


def hospital(gone):
    """A hospital whose first `gone` patients on placebo lack a CRP."""
    frame = patients(120, 3).assign(trt=["placebo", "drug"] * 60, crp=7.5)
    frame.loc[frame.index[::2][:gone], "crp"] = np.nan
    return frame


@pytest.mark.parametrize("group", [None, "trt"])
def test_nothing_that_is_sent_tells_how_few_values_are_missing(group):
    """Whatever is subtracted from whatever: with 1 to 4 missing the bytes of every round are the same."""
    more = {"group": group} if group else {}
    other = patients(150, 4).fillna({"crp": 3.0, "trt": "drug"})
    told = [sent([hospital(gone), other], ["age", "crp"], **more) for gone in (1, 2, 4)]
    assert told[0] == told[1] == told[2]
    result = told[0][1]
    hidden, whole = rows(result)["crp", "all"], rows(result)["age", "all"]
    assert (hidden["n"], hidden["missing"], hidden["mean"], hidden["sd"], hidden["skewness"]) == (None,) * 5
    assert whole["n"] == 270 and whole["mean"] is not None
    if group:
        assert rows(result)["crp", "trt=placebo"]["mean"] is None
        assert rows(result)["crp", "trt=drug"]["n"] == 60 + (other.trt == "drug").sum()
        assert {row["variable"]: row["smd"] for row in result.tables["smd"]}["crp"] is None
    assert "small counts of “crp”" in result.privacy.suppressed
    assert any("where n is not shown, no mean is" in note for note in result.notes)


def test_nothing_that_is_sent_tells_how_few_have_no_level():
    told = []
    for gone in (1, 3):
        frame = patients(120, 3).assign(race=["white"] * 90 + ["black"] * 20 + ["other"] * 10)
        frame.loc[frame.index[-gone:], "race"] = None
        told.append(sent([frame], ["race"]))
    assert told[0] == told[1]
    levels = {row["level"]: row["n"] for row in told[0][1].tables["categorical"]}
    assert levels == {"white": 90, "black": 20, "other": None, "(missing)": None}


def test_five_or_none_missing_are_shown_and_the_mean_with_them():
    row = rows(sent([hospital(5), hospital(0)], ["crp"])[1])["crp", "all"]
    assert (row["n"], row["missing"], row["mean"]) == (235, 5, 7.5)


def test_a_mean_of_noughts_and_ones_does_not_count_a_few():
    frames = []
    for ones in (2, 3):
        frame = patients(120, 3)
        frames.append(frame.assign(smoker=(frame.index < ones).astype(int)))
    dictionary = {**DICTIONARY, "smoker": {"type": "integer", "range": [0, 1]}}
    outcomes = [
        run("table_one", [frame, frame], dictionary, parameters={"variables": ["age", "smoker"]})
        for frame in frames
    ]
    assert outcomes[0].sent == outcomes[1].sent and outcomes[0].result == outcomes[1].result
    found = rows(outcomes[0].result)
    assert found["smoker", "all"]["mean"] is None and found["age", "all"]["mean"] is not None
    off = simulate("table_one", frames[:1], dictionary, rules="off", variables=["smoker"])
    assert rows(off)["smoker", "all"]["mean"] == pytest.approx(2 / 120, rel=1e-14)
    assert rows(off)["smoker", "all"]["n"] == 120


def test_small_counts_of_two_groups_that_make_a_large_one_leave_everyones_mean():
    frame = patients(160, 5).assign(trt=["placebo", "drug"] * 80, crp=np.arange(160.0) % 50)
    frame.loc[frame.index[:6], "crp"] = np.nan  # three of each group
    found = rows(sent([frame], ["crp"], group="trt")[1])
    assert found["crp", "all"]["missing"] == 6 and found["crp", "all"]["mean"] == pytest.approx(
        frame.crp.mean()
    )
    assert found["crp", "all"]["sd"] == pytest.approx(frame.crp.std(), rel=1e-12)
    assert found["crp", "trt=placebo"]["n"] is None and found["crp", "trt=drug"]["n"] is None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=3, max_size=3), st.lists(st.integers(0, 12), min_size=3, max_size=3)
)
def test_no_subtraction_finds_a_small_count(gone, ones):
    """From all that one hospital's table by group, and its table without groups, say together."""
    frame = patients(240, 6).assign(race=["white", "black", "other"] * 80, smoker=0.0, crp=1.5)
    for label, count, yes in zip(("white", "black", "other"), gone, ones, strict=True):
        index = frame.index[frame.race == label]
        frame.loc[index[:yes], "smoker"] = 1.0
        frame.loc[index[-count:] if count else [], ["smoker", "crp"]] = np.nan
    dictionary = {**DICTIONARY, "smoker": {"type": "integer", "range": [0, 1]}}
    by_group, alone = (
        simulate("table_one", [frame], dictionary, variables=["crp", "smoker"], **more)
        for more in ({"group": "race"}, {})
    )
    people = {row["group"]: row["n"] for row in by_group.tables["groups"]}
    for name, share in (("crp", 1.0), ("smoker", None)):
        known = {group: row for (variable, group), row in rows(by_group).items() if variable == name}
        everyone = rows(alone)[name, "all"]
        assert everyone == known["all"]  # two tables say no more than one
        hidden = [group for group, row in known.items() if row["n"] is None and group != "all"]
        for row in known.values():
            assert (
                (row["n"] is None) == (row["missing"] is None) == (row["mean"] is None) == (row["sd"] is None)
            )
        counted = [row for row in known.values() if row["n"] is not None]
        if everyone["n"] is not None and hidden:  # what is left of everyone is of two groups or more
            left = {key: everyone[key] - sum(r[key] for r in counted[1:]) for key in ("n", "missing")}
            left["ones"] = everyone["mean"] * everyone["n"] - sum(r["mean"] * r["n"] for r in counted[1:])
            assert len(hidden) >= 2 and left["n"] + left["missing"] == sum(people[group] for group in hidden)
            counted.append({"n": left["n"], "missing": left["missing"], "mean": left["ones"] / left["n"]})
        for row in counted:
            told = (
                [row["missing"]]
                if share
                else [row["missing"], row["mean"] * row["n"], row["n"] * (1 - row["mean"])]
            )
            assert not any(0.5 < value < 4.5 for value in told)


def test_many_groups_and_too_many_for_one_table():
    result = describe(spread(TABLE, 3), ["age"], group="year")
    groups = [row["group"] for row in result.tables["groups"]]
    assert groups == ["all", *(f"year={year}" for year in sorted(TABLE.year.unique()))]
    for year, part_ in TABLE.groupby("year"):
        assert rows(result)["age", f"year={year}"]["median"] == part_.age.median()
    wide = {**DICTIONARY, "year": {"type": "integer", "range": [0, 1_000_000]}}
    with pytest.raises(UsageError, match="fewer values"):
        describe([TABLE], ["age"], group="year", dictionary=wide)


def test_a_grid_that_is_too_fine_or_not_there_gives_no_quantiles_and_says_so():
    result = describe(spread(TABLE, 2), ["age", "platelets"])
    assert rows(result)["age", "all"]["median"] == TABLE.age.median()
    assert rows(result)["platelets", "all"]["median"] is None
    assert "no quantiles of “platelets”" in result.notes[0]


def test_a_column_of_equal_values_and_an_empty_one():
    table = TABLE.assign(age=50, crp=np.nan)
    result = describe(spread(table, 3), ["age", "crp"])
    assert (rows(result)["age", "all"]["sd"], rows(result)["age", "all"]["skewness"]) == (0.0, None)
    assert rows(result)["age", "all"]["median"] == 50.0
    empty = rows(result)["crp", "all"]
    assert empty["n"] == 0 and empty["missing"] == 300 and empty["mean"] is None and empty["median"] is None


@pytest.mark.parametrize("unit", [1e-60, 1e-12, 1e200])
def test_very_small_and_very_large_values(unit):
    """Moles in a litre are 1e-12, and still have all their digits."""
    values = (TABLE.age / 7.0) * unit
    dictionary = {**DICTIONARY, "crp": {"type": "number", "range": [0, 20 * unit]}}
    frames = spread(TABLE.assign(crp=values), 7)
    row = rows(describe(frames, ["crp"], dictionary=dictionary, group="trt"))["crp", "all"]
    assert row["mean"] / unit == pytest.approx((TABLE.age / 7).mean(), rel=1e-12)
    assert row["sd"] / unit == pytest.approx((TABLE.age / 7).std(), rel=1e-10)
    assert row["skewness"] == pytest.approx(stats.skew(TABLE.age), rel=1e-9)


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 20), st.integers(0, 10**6))
def test_any_cut_of_the_rows(sites, seed):
    one = describe(spread(TABLE, sites, seed), ["age", "crp", "race"], group="trt")
    two = describe([TABLE], ["age", "crp", "race"], group="trt")
    assert one.tables["categorical"] == two.tables["categorical"]
    for key, row in rows(two).items():
        for name, value in row.items():
            other = rows(one)[key][name]
            assert other == (
                pytest.approx(value, rel=1e-11, abs=1e-11) if isinstance(value, float) else value
            )


@given(st.lists(st.integers(0, 99), min_size=1, max_size=60))
def test_the_hunt_finds_every_order_statistic(values):
    ordered = np.sort(values)
    counts = np.array([[float(len(values))]])
    ranks = ranks_of(counts, CHANCES).reshape(1, -1)
    hunt = Hunt.over(np.array([100]), ranks.shape[1])
    for _ in range(8):
        if hunt.found:
            break
        hunt = hunt.answered(np.searchsorted(ordered, hunt.points(), side="left").astype(float), ranks)
    assert hunt.found and np.array_equal(hunt.low[0], ordered[ranks[0].astype(int)])
    pairs = hunt.low.astype(float).reshape(1, 1, len(CHANCES), 2)
    assert type_7(counts, CHANCES, pairs)[0, 0] == pytest.approx(
        np.quantile(values, CHANCES), rel=1e-13, abs=1e-13
    )


def test_units_are_powers_of_two():
    assert unit_near(0.0) == 1.0 and unit_near(5.0) == 8.0 and unit_near(0.3) == 0.5


def test_what_every_task_must_keep():
    table = TABLE.dropna(subset=["trt", "race"])
    check_task(
        TableOne, spread(table, 2), DICTIONARY, rules="off", variables=["age", "crp", "race"], group="trt"
    )
