"""Dictionaries inferred from all files together, and completed where one leaves something open."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.tasks import Dictionary, Table
from friendlyfl.tasks.infer import complete, infer, r_order


def test_types_levels_ranges_and_steps_come_from_all_files() -> None:
    first = pd.DataFrame(
        {
            "age": [30, 40],
            "crp": [0.5, 1.25],
            "ftv": [0, 1],
            "sex": ["m", None],
            "seen": ["2020-01-02", "2020-03-04"],
            "note": [None, None],
            "flag": [True, False],
        }
    )
    second = pd.DataFrame(
        {"age": [29], "crp": [3], "ftv": ["2+"], "sex": ["f"], "seen": [dt.date(2019, 5, 6)], "more": [7]}
    )
    assert infer([first, second]).to_json() == {
        "age": {"type": "integer", "range": [29, 40]},
        "crp": {"type": "number", "range": [0.5, 3.0], "step": 0.01},
        "ftv": {"type": "factor", "levels": ["0", "1", "2+"]},
        "sex": {"type": "factor", "levels": ["f", "m"]},
        "seen": {"type": "date", "range": ["2019-05-06", "2020-03-04"]},
        "note": {"type": "number"},
        "flag": {"type": "factor", "levels": ["FALSE", "TRUE"]},
        "more": {"type": "integer", "range": [7, 7]},
    }


def test_many_different_words_are_text() -> None:
    assert infer([pd.DataFrame({"id": [f"p{k}" for k in range(60)]})])["id"].type == "text"


def test_levels_are_sorted_as_r_does_in_an_english_locale() -> None:
    words = ["banana", "Apple", "apple", "Éclair", "eclair", "Zebra", "10", "9", "B"]
    assert sorted(words, key=r_order) == [
        "10",
        "9",
        "apple",
        "Apple",
        "B",
        "banana",
        "eclair",
        "Éclair",
        "Zebra",
    ]


def test_only_what_is_open_is_completed() -> None:
    given_one = Dictionary.parse(
        {
            "age": {"type": "integer", "range": [0, 120], "n_missing": 0},
            "crp": {"type": "number", "range": [0, 10]},
            "time": {"type": "number", "step": 0.5},
            "sex": {"type": "factor", "levels": ["m", "f"]},
            "race": {"type": "factor"},
            "away": {"type": "number"},
        }
    )
    frame = pd.DataFrame({"age": [5], "crp": [2.5], "time": [3.5], "sex": ["f"], "race": ["b"]})
    found = complete(given_one, [frame])
    assert found["age"] == given_one["age"] and found["sex"] == given_one["sex"]
    assert (found["crp"].low, found["crp"].high, found["crp"].step) == (0, 10, 0.1)
    assert (found["time"].low, found["time"].step) == (3.5, 0.5)
    assert found["race"].levels == ("b",) and found["away"].low is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_every_value_is_on_the_grid_that_is_inferred(values: list[float]) -> None:
    """Whatever was recorded can be counted exactly: on a decimal grid, or point by point."""
    frame = pd.DataFrame({"x": values})
    dictionary = infer([frame, frame])
    data = Table.build(frame, dictionary, ["x"])
    assert dictionary["x"].grid_values[data.grid("x")].tolist() == [value + 0.0 for value in values]


def test_large_numbers_are_inferred_quickly() -> None:
    values = np.random.default_rng(3).normal(size=200_000)
    spec = infer([pd.DataFrame({"x": values})])["x"]
    assert spec.grid_size == len(np.unique(values))


@pytest.mark.parametrize("column", [["3", "x"], ["2020-01-01", "soon"]])
def test_columns_that_are_nearly_something_are_factors(column: list[str]) -> None:
    assert infer([pd.DataFrame({"x": column})])["x"].type == "factor"
