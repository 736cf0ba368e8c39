"""A whole step in one process: the answer, its invariance, and refusals that send nothing."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendlyfl.core.errors import NoAnswerError, UsageError
from friendlyfl.tasks import table
from friendlyfl.tasks.report import Result
from friendlyfl.testing import simulate
from friendlyfl.testing.simulate import run
from tests.tasks.mean import DICTIONARY, Endless, Mean, Products, Spread, patients

FRAMES = [patients(40, 1), patients(30, 2), patients(25, 3)]


def test_a_result() -> None:
    result = simulate(Mean, FRAMES, DICTIONARY, outcome="age")
    assert isinstance(result, Result)
    assert result.statistics["mean"] == pytest.approx(
        np.concatenate([f["age"] for f in FRAMES]).mean(), rel=1e-15
    )
    assert result.privacy.rules == "on" and result.reproduce.python.startswith(
        "friendlyfl.testing.simulate('mean'"
    )


def test_the_dictionary_may_be_left_out_or_be_json() -> None:
    whole = simulate(Mean, FRAMES, DICTIONARY, outcome="age").statistics
    assert simulate(Mean, FRAMES, outcome="age").statistics == whole
    assert simulate(Mean, FRAMES, DICTIONARY.to_json(), outcome="age").statistics == whole


@given(st.integers(1, 8), st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_other_hospitals_give_the_same_answer(sites: int, seed: int) -> None:
    """Rows cut anew over any number of sites, some with a single row."""
    frame = patients(80, 7)
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(sites), rng.integers(0, sites, len(frame) - sites)])
    frames = [frame[owner == site].reset_index(drop=True) for site in range(sites)]
    parameters = {"outcome": "died", "predictors": "age*sex,crp,race"}
    whole = simulate(Products, [frame], DICTIONARY, rules="off", **parameters)
    cut = simulate(Products, frames, DICTIONARY, rules="off", **parameters)
    for a, b in zip(whole.coefficients, cut.coefficients, strict=True):
        assert a["estimate"] == pytest.approx(b["estimate"], rel=1e-9, abs=1e-12)


def test_the_order_of_sites_changes_no_bit() -> None:
    results = [
        simulate(Spread, [FRAMES[k] for k in order], DICTIONARY, outcome="crp").statistics
        for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2])
    ]
    assert results[0] == results[1] == results[2]


def test_chunks_change_nothing_but_the_last_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate(Spread, FRAMES, DICTIONARY, outcome="crp").statistics
    monkeypatch.setattr(table, "CHUNK", 8)
    assert simulate(Spread, FRAMES, DICTIONARY, outcome="crp").statistics == pytest.approx(whole, rel=1e-13)


def test_rules_give_the_same_numbers_or_a_refusal() -> None:
    on, off = (simulate(Spread, FRAMES, DICTIONARY, rules=rules, outcome="crp") for rules in ("on", "off"))
    assert on.statistics == off.statistics
    refused = simulate(Spread, [*FRAMES, patients(5)], DICTIONARY, outcome="crp")
    assert refused.statistics == {} and refused.n.used is None
    assert [row["site"] for row in refused.privacy.refused] == [4]


def test_all_sites_that_refuse_are_named() -> None:
    outcome = run(Mean, [patients(5), FRAMES[0], patients(6)], DICTIONARY, parameters={"outcome": "age"})
    assert [row["site"] for row in outcome.result.privacy.refused] == [1, 3]
    assert "Site 1:" in str(outcome.error) and "Site 3:" in str(outcome.error)
    assert outcome.sent == []  # refused before the first number


def test_no_answer_is_a_result_with_the_reason() -> None:
    outcome = run(Endless, FRAMES, DICTIONARY, parameters={"outcome": "age"})
    assert isinstance(outcome.error, NoAnswerError) and outcome.result.notes == ["No answer after 3 rounds."]
    assert outcome.result.rounds == 3 and len(outcome.sent) == 3


@pytest.mark.parametrize(
    ("frames", "how", "says"),
    [
        ([], {}, "one site"),
        ([FRAMES[0], FRAMES[0].head(0)], {}, "Site 2 has no rows"),
        (FRAMES, {"secure_sum": True}, "later version"),
        (FRAMES, {"rules": "maybe"}, "on or off"),
        (FRAMES, {"outcome": "agee"}, "Did you mean “age”"),
        (FRAMES, {"outcome": None}, "is missing"),
        (FRAMES, {"outcom": "age"}, "no parameter"),
        ([FRAMES[0], FRAMES[1].drop(columns="age")], {}, "Site 2: The table has no column “age”"),
        ([FRAMES[0], FRAMES[1].assign(age=500)], {}, "Site 2: “age” holds “500” in rows 1, 2"),
        ([FRAMES[0], pd.DataFrame({"age": ["x"] * 30})], {}, "Site 2: “age” holds “x”"),
    ],
)
def test_wrong_arguments_and_data_are_sentences(frames: Any, how: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        simulate(Mean, frames, DICTIONARY, **{"outcome": "age", **how})


def test_a_task_by_name_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="Did you mean “table_one”"):
        simulate("tableone", FRAMES)


def test_progress_is_told() -> None:
    seen: list[tuple[int, int, int]] = []
    run(
        Spread,
        FRAMES[:2],
        DICTIONARY,
        parameters={"outcome": "age"},
        progress=lambda *told: seen.append(told),
    )
    assert seen == [(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2)]
