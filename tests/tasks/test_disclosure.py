"""Hospitals' rules. For each one a small group is planted, and data sets that differ only in the forbidden number send
the same bytes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Count, Done, Sum, Task, disclosure, engine
from friendlyfl.tasks.disclosure import Policy, Refused, refusal
from friendlyfl.testing.simulate import Outcome, run
from friendlyfl.wire import codec
from tests.tasks.mean import DICTIONARY, HidingLevels, Levels, Mean, Products, patients


def simulate(
    task: type[Task], frame: pd.DataFrame, policy: Policy | None = None, **parameters: Any
) -> Outcome:
    return run(task, [patients(60, 9), frame], DICTIONARY, policy=policy, parameters=parameters)


def refused_by(outcome: Outcome) -> list[str]:
    return [row["rule"] for row in outcome.result.privacy.refused]


def planted(column: str, value: Any, count: int, rows: int = 60) -> pd.DataFrame:
    """Ordinary patients, of whom exactly `count` have this value."""
    frame = patients(rows).astype({column: object})
    others = {"sex": "female", "race": "white", "died": 0, "age": 50, "crp": 3.0}
    frame[column] = others[column]
    frame.loc[: count - 1, column] = value
    return frame


CASES: list[tuple[str, type[Task], dict[str, Any], str, Any]] = [
    ("a level in a design", Products, {"outcome": "died", "predictors": "race"}, "race", "black"),
    ("a yes/no column in a design", Products, {"outcome": "sex", "predictors": "died"}, "died", 1),
    ("a class of the outcome", Products, {"outcome": "died", "predictors": "age"}, "died", 1),
    ("a class of a factor outcome", Products, {"outcome": "sex", "predictors": "age"}, "sex", "male"),
    (
        "a class of the weight",
        Products,
        {"outcome": "sex", "predictors": "age", "weights": "crp"},
        "crp",
        9.0,
    ),
    ("a group", Mean, {"outcome": "age", "group": "race"}, "race", "other"),
    ("a group of numbers", Mean, {"outcome": "crp", "group": "died"}, "died", 1),
    ("a cell of a count", Levels, {"variable": "race"}, "race", "black"),
]


@pytest.mark.parametrize(
    ("what", "task", "parameters", "column", "value"), CASES, ids=[case[0] for case in CASES]
)
@pytest.mark.parametrize("count", [1, 4])
def test_a_cell_of_1_to_4_is_refused_and_does_not_show(
    what: str, task: type[Task], parameters: dict[str, Any], column: str, value: Any, count: int
) -> None:
    outcome = simulate(task, planted(column, value, count), **parameters)
    other = simulate(task, planted(column, value, 3), **parameters)
    assert refused_by(outcome) == ["cell"]
    assert outcome.sent == other.sent and outcome.result == other.result
    assert outcome.error is not None and outcome.error.exit_code == 3
    for sent in outcome.sent:
        assert sent[1] == codec.encode(refusal("cell"))


@pytest.mark.parametrize(
    ("what", "task", "parameters", "column", "value"), CASES, ids=[case[0] for case in CASES]
)
@pytest.mark.parametrize("count", [0, 5])
def test_a_cell_of_none_or_5_is_allowed(
    what: str, task: type[Task], parameters: dict[str, Any], column: str, value: Any, count: int
) -> None:
    assert refused_by(simulate(task, planted(column, value, count), **parameters)) == []


def test_cells_of_an_interaction() -> None:
    frame = patients(60)
    frame["died"] = 0
    frame.loc[frame.index[frame["sex"] == "male"][:10], "died"] = 1
    frame.loc[frame.index[frame["sex"] == "female"][:3], "died"] = 1
    alone = {"outcome": "sex", "predictors": "died,race"}
    assert refused_by(simulate(Products, frame, **alone)) == []
    assert refused_by(simulate(Products, frame, outcome="sex", predictors="died*race")) == ["cell"]


@pytest.mark.parametrize("rows", [1, 12, 19])
def test_few_rows(rows: int) -> None:
    outcome = simulate(Mean, patients(60).head(rows), outcome="age")
    other = simulate(Mean, patients(60, 4).head(7), outcome="age")
    assert refused_by(outcome) == ["rows"] and outcome.sent == other.sent and outcome.result == other.result
    assert refused_by(simulate(Mean, patients(20), outcome="age")) == []


def test_rows_are_those_that_are_complete() -> None:
    frame = patients(60)
    frame.loc[15:, "age"] = np.nan
    assert refused_by(simulate(Mean, frame, outcome="age")) == ["rows"]


def test_count_only_tasks_need_rows_too() -> None:
    assert refused_by(simulate(Levels, patients(15), variable="race")) == ["rows"]


def test_too_many_coefficients() -> None:
    terms = {"outcome": "died", "predictors": "age*crp*sex"}
    few = Policy(tasks=("products",), cell=1)
    assert refused_by(simulate(Products, patients(24), few, **terms)) == ["ratio"]
    assert refused_by(simulate(Products, patients(25), few, **terms)) == []


def test_a_task_that_is_not_on_the_list() -> None:
    for tasks, rules in [
        (("cox",), ["tasks", "tasks"]),
        (("mean 1.0",), []),
        (("mean 2.0",), ["tasks", "tasks"]),
    ]:
        assert refused_by(simulate(Mean, patients(60), Policy(tasks=tasks), outcome="age")) == rules


def test_too_many_rounds() -> None:
    task = engine.make_task(Mean, None, {"outcome": "age"}, DICTIONARY, 2, site=1)
    data = engine.open_table(task, patients(60))
    policy = Policy(tasks=("mean",), rounds=4)
    assert engine.local(task, data, {".round": 4}, policy)
    with pytest.raises(Refused) as caught:
        engine.local(task, data, {".round": 5}, policy)
    assert caught.value.rule == "rounds"


class ByTime(Levels):
    """Counts for each point in time."""

    by_time = True  # type: ignore[assignment]


class Probe(Mean):
    """Looks for a quantile."""

    sends = {"n": Count}

    def local(self, data: Any, state: Any) -> Any:
        return {"n": data.below(self.outcome, [50.0])}


def test_times_need_a_secure_sum() -> None:
    outcome = simulate(ByTime, patients(60), variable="race")
    assert refused_by(outcome) == ["time", "time"] and outcome.sent == []
    assert "secure sum" in str(outcome.error)


def test_probes_need_a_secure_sum_and_are_counted() -> None:
    assert refused_by(simulate(Probe, patients(60), outcome="age")) == ["extremes", "extremes"]
    task = engine.make_task(Probe, None, {"outcome": "age"}, DICTIONARY, 3, site=1, secure_sum=True)
    data = engine.open_table(task, patients(60))
    policy = Policy(tasks=("probe",), probes=2)
    for _ in range(2):
        engine.local(task, data, {".round": 1}, policy)
    with pytest.raises(Refused) as caught:
        engine.local(task, data, {".round": 1}, policy)
    assert caught.value.rule == "probes"


def test_a_secure_sum_of_few_sites() -> None:
    for sites, rules in [(2, ["sum_of_sites"]), (3, [])]:
        task = engine.make_task(Mean, None, {"outcome": "age"}, DICTIONARY, sites, site=1, secure_sum=True)
        problems, _ = engine.plan_check(task, "mean", patients(60), Policy(tasks=("mean",)))
        assert [getattr(problem, "rule", problem.code) for problem in problems] == rules


@pytest.mark.parametrize("gone", [1, 4])
def test_a_few_dropped_rows_do_not_show(gone: int) -> None:
    frames = []
    for count in (gone, 2):
        frame = patients(60)
        frame.loc[60 : 60 + count - 1] = pd.NA  # as many rows more, all incomplete
        for place in range(count):
            frame.loc[60 + place] = {
                "age": None,
                "sex": "male",
                "race": "white",
                "died": 0,
                "crp": 1.0,
                "name": "x",
            }
        frames.append(frame)
    outcome, other = (simulate(Mean, frame, outcome="age") for frame in frames)
    assert outcome.sent == other.sent and outcome.result == other.result
    assert outcome.result.n.dropped is None and outcome.result.n.used == 120
    assert outcome.result.n.per_site is not None
    assert [row["dropped"] for row in outcome.result.n.per_site] == [0, None]
    assert (
        any("too small to show" in note for note in outcome.result.notes)
        and outcome.result.privacy.suppressed
    )


def test_rules_off_show_all() -> None:
    frame = patients(60)
    frame.loc[3, "age"] = np.nan
    outcome = run(Mean, [frame, patients(3)], DICTIONARY, rules="off", parameters={"outcome": "age"})
    assert (
        outcome.result.n.dropped == 1
        and outcome.result.n.used == 62
        and outcome.result.privacy.rules == "off"
    )


def test_small_cells_of_a_table_are_hidden_with_a_second_one() -> None:
    frame = patients(60)
    frame["race"] = ["black"] * 3 + ["other"] * 10 + ["white"] * 47
    outcome = simulate(HidingLevels, frame, variable="race")
    rows = {row["level"]: row["n"] for row in outcome.result.tables["categorical"]}
    assert rows == {"white": 67, "black": None, "other": None}
    assert outcome.result.privacy.suppressed and refused_by(outcome) == []
    frame["race"] = ["black"] * 2 + ["other"] * 11 + ["white"] * 47
    assert simulate(HidingLevels, frame, variable="race").sent == outcome.sent


@given(st.lists(st.lists(st.integers(0, 30), min_size=4, max_size=4), min_size=1, max_size=5))
def test_hidden_cells_cannot_be_found_from_their_row_s_total(rows: list[list[int]]) -> None:
    cells = np.array(rows, dtype=float)
    for row, hides in zip(cells, disclosure._hidden(cells, 5), strict=True):
        small = (row > 0) & (row < 5)
        assert not (small & ~hides).any() and not (hides & (row == 0)).any()
        assert hides.any() == small.any()
        if hides.any() and (hides != (row > 0)).any():  # there was another cell to hide
            assert hides.sum() >= 2 and row[hides].sum() >= 5


def test_two_cells_of_one_need_a_third() -> None:
    assert disclosure._hidden(np.array([[1.0, 1.0, 50.0, 0.0]]), 5).tolist() == [[True, True, True, False]]


def test_refusals_have_one_length_and_no_digit() -> None:
    sizes = {len(codec.encode(refusal(rule))) for rule in disclosure.RULES}
    assert len(sizes) == 1
    for rule in disclosure.RULES:
        sentence = refusal(rule)["sentence"]
        assert not any(letter.isdigit() for letter in sentence) and sentence.endswith(".")


def test_policies_are_stored_and_read() -> None:
    assert Policy.from_json({}) == Policy() == Policy.from_json(Policy().to_json())
    assert Policy.from_json({"rows": 10, "tasks": ["cox 1.0"]}).tasks == ("cox 1.0",)
    for wrong in ({"row": 1}, {"rows": 0}, {"rows": 2.5}, {"rows": "many"}, {"tasks": "cox"}, {"cell": True}):
        with pytest.raises(UsageError):
            Policy.from_json(wrong)


class Sums(HidingLevels):
    """Sums over those who have a value, hidden where the number of those who have none is small."""

    sends = {"had": Count, "lacked": Count, "sums": Sum}
    suppressible = ("had", "lacked")
    hidden_with = {"had": ("lacked",), "lacked": ("had",), "sums": ("had", "lacked")}

    def local(self, data: Any, state: Any) -> Any:
        ages, black = data["age"], data["race"] == 1
        there, groups = ~np.isnan(ages), (black, ~black)
        return {
            "had": [(there & rows).sum() for rows in groups],
            "lacked": [(~there & rows).sum() for rows in groups],
            "sums": [ages[there & rows].sum() for rows in groups],
        }

    def extra_columns(self) -> Any:
        return ("age",)

    def combine(self, state: Any, total: Any) -> Any:
        return Done(tables={"sums": [{"level": i, "sum": one} for i, one in enumerate(total["sums"])]})


class Forgets(Sums):
    """Sends the sums alone."""

    def local(self, data: Any, state: Any) -> Any:
        return {"sums": super().local(data, state)["sums"]}


class Narrow(Sums):
    """Sends one number for all."""

    def local(self, data: Any, state: Any) -> Any:
        return super().local(data, state) | {"sums": 1.0}


def test_what_would_give_a_hidden_cell_away_is_hidden_along() -> None:
    outcomes = []
    for gone in (2, 3):
        frame = patients(60).assign(race=["black"] * 20 + ["white"] * 40, age=50)
        frame["age"] = frame["age"].where(frame.index >= gone)
        outcomes.append(run(Sums, [frame], DICTIONARY, parameters={"variable": "race"}))
    assert outcomes[0].sent == outcomes[1].sent and outcomes[0].result == outcomes[1].result
    assert [row["sum"] for row in outcomes[0].result.tables["sums"]] == [None, 2000.0]
    assert outcomes[0].result.privacy.suppressed[0].startswith("2 numbers of people")
    off = run(Sums, [frame], DICTIONARY, rules="off", parameters={"variable": "race"})
    assert [row["sum"] for row in off.result.tables["sums"]] == [850.0, 2000.0]
    for wrong in (Forgets, Narrow):
        with pytest.raises(UsageError, match="must send “had, lacked” wherever it sends “sums”"):
            run(wrong, [frame], DICTIONARY, parameters={"variable": "race"})
