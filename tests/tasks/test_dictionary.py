"""The data dictionary: read, refused with a sentence, given back, and its grids exact."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Dictionary

PAGE = {
    "age": {"type": "integer", "label": "Age at admission", "unit": "years", "range": [0, 120]},
    "crp": {"type": "number", "unit": "mg/L", "range": [0, 600], "step": 0.1},
    "race": {"type": "factor", "levels": ["white", "black", "other"]},
    "stage": {"type": "factor", "levels": ["I", "II", "III"], "ordered": True},
    "seen": {"type": "date", "range": ["2015-01-01", "2025-12-31"]},
    "ward": {"type": "text"},
}


def test_the_page_s_example_comes_back_as_it_was() -> None:
    assert Dictionary.parse(PAGE).to_json() == PAGE


def test_files_with_a_top_level_key_aliases_and_unknown_keys() -> None:
    read = Dictionary.parse(
        {
            "task": "cox",
            "dictionary": {
                "x": {"type": "numeric", "n_missing": 3},
                "s": {"type": "ordered", "levels": ["1", "2"], "reference": "1"},
            },
        }
    )
    assert read["x"].type == "number" and read["x"].extra == {"n_missing": 3}
    assert read["s"].type == "factor" and read["s"].ordered
    assert Dictionary.parse(read.to_json()) == read


def test_levels_written_as_numbers_are_texts() -> None:
    assert Dictionary.parse({"g": {"type": "factor", "levels": [0, 1.0, "2+"]}})["g"].levels == (
        "0",
        "1",
        "2+",
    )


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"type": "colour"},
        {"type": 3},
        "integer",
        {"type": "factor", "levels": "a"},
        {"type": "factor", "levels": ["a", "a"]},
        {"type": "factor", "levels": ["a", ""]},
        {"type": "factor", "levels": [None]},
        {"type": "integer", "range": [0]},
        {"type": "integer", "range": [5, 1]},
        {"type": "integer", "range": [0, 1.5]},
        {"type": "integer", "range": ["a", "b"]},
        {"type": "integer", "range": [True, 5]},
        {"type": "number", "range": [0, float("inf")]},
        {"type": "number", "step": 0},
        {"type": "number", "step": "fine"},
        {"type": "number", "grid": [2, 1]},
        {"type": "number", "grid": []},
        {"type": "date", "range": ["yesterday", "2020-01-01"]},
        {"type": "date", "range": [1, 2]},
    ],
)
def test_what_is_wrong_is_a_sentence_naming_the_column(entry: Any) -> None:
    with pytest.raises(UsageError, match="“x”"):
        Dictionary.parse({"x": entry})


@pytest.mark.parametrize("value", [None, [], {}, "x", 3, {"dictionary": []}])
def test_what_is_no_dictionary(value: Any) -> None:
    with pytest.raises(UsageError):
        Dictionary.parse(value)


def test_a_dot_is_kept_for_built_in_columns() -> None:
    with pytest.raises(UsageError, match="dot"):
        Dictionary.parse({".site": {"type": "integer"}})


@given(st.integers(-500, 500), st.integers(0, 300), st.integers(0, 6), st.sampled_from([1, 2, 5]))
def test_grid_values_are_the_doubles_a_person_writes(low: int, points: int, places: int, step: int) -> None:
    """Each point is the double nearest to its decimal number, so medians are exact."""
    unit = Decimal(1).scaleb(-places)
    first, each = low * unit, step * unit
    entry = {"type": "number", "range": [float(first), float(first + points * each)], "step": float(each)}
    spec = Dictionary.parse({"x": entry})["x"]
    expected = [float(first + k * each) for k in range(points + 1)]
    assert spec.grid_size == points + 1
    assert spec.grid_values.tolist() == expected
    index, on = spec.grid_index(np.array(expected))
    assert on.all() and index.tolist() == list(range(points + 1))


def test_values_off_the_grid_are_seen() -> None:
    spec = Dictionary.parse({"x": {"type": "number", "range": [0, 1], "step": 0.1}})["x"]
    assert spec.grid_index(np.array([0.1, 0.15, 0.30000000000000004]))[1].tolist() == [True, False, True]


def test_a_grid_may_be_listed() -> None:
    spec = Dictionary.parse({"x": {"type": "number", "range": [0, 9], "grid": [0.123, 4, 7.7]}})["x"]
    index, on = spec.grid_index(np.array([4.0, 7.7, 5.0, 99.0]))
    assert spec.grid_size == 3 and on.tolist() == [True, True, False, False] and index[:2].tolist() == [1, 2]


def test_too_fine_a_grid_and_none_at_all_are_sentences() -> None:
    fine = Dictionary.parse({"x": {"type": "number", "range": [0, 1e6], "step": 1e-6}})["x"]
    with pytest.raises(UsageError, match="larger step"):
        _ = fine.grid_values
    with pytest.raises(UsageError, match="range and a step"):
        _ = Dictionary.parse({"x": {"type": "number"}})["x"].grid_size


def test_scales_of_small_values_are_below_one() -> None:
    def scale(*bounds: float | None) -> float:
        return Dictionary.parse({"x": {"type": "number", "range": list(bounds)}})["x"].scale

    assert (
        scale(0, 0.3) == 0.5
        and scale(-1e-9, 0) == 2.0**-29
        and scale(0, 1e-300) == 2.0**-256
        and scale(0, 0) == 1.0
    )
    assert (
        scale(None, 0.3) == scale(-0.3, None) == 1.0
        and scale(None, 5) == 8.0
        and scale(0, 1e308) == 2.0**1023
    )


@given(st.floats(1e-6, 1e12))
def test_scales_are_powers_of_two_above_the_range(high: float) -> None:
    scale = Dictionary.parse({"x": {"type": "number", "range": [-1, high]}})["x"].scale
    assert np.frexp(scale)[0] == 0.5 and high <= max(scale, 1.0) and (scale == 1.0 or scale < 2 * high)
