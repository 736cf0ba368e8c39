"""The table a task sees: complete cases, rows named in errors, chunks, and what it records."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.tasks import Dictionary, Table, table
from friendlyfl.tasks.infer import infer
from friendlyfl.tasks.values import DataError
from tests.tasks.mean import DICTIONARY, patients

D = Dictionary.parse(
    {
        **DICTIONARY.to_json(),
        "seen": {"type": "date", "range": ["2020-01-01", "2020-12-31"]},
        "ftv": {"type": "factor", "levels": ["0", "1", "2+"]},
    }
)


def build(complete: bool = True, **columns: Any) -> Table:
    return Table.build(pd.DataFrame(columns), D, list(columns), complete=complete)


def test_complete_cases_are_counted() -> None:
    data = build(age=[30, None, 50, 60], sex=["male", "male", " ", "female"], crp=[0.1, 0.2, 0.3, None])
    assert (len(data), data.used, data.dropped) == (1, 1, 3)
    assert data["age"].tolist() == [30.0] and data["sex"].tolist() == [1]


def test_missing_values_stay_where_a_task_counts_them_itself() -> None:
    data = build(complete=False, age=[30, None], sex=[None, "male"])
    assert len(data) == 2 and data.dropped == 0
    assert np.isnan(data["age"][1]) and data["sex"].tolist() == [-1, 1]
    assert data.levels("sex").tolist() == [-1, 1] and data.grid("age").tolist() == [30, -1]


@pytest.mark.parametrize(
    "column",
    [
        [0, 1, 1],
        [0.0, 1.0, 1.0],
        ["0", "1", "1"],
        pd.array([0, 1, 1], dtype="Int64"),
        [False, True, True],
        pd.array(["0", "1", "1"], dtype="string"),
    ],
)
def test_yes_and_no_in_every_form(column: Any) -> None:
    assert build(died=column).yes("died").tolist() == [0.0, 1.0, 1.0]


def test_the_second_level_of_a_factor_is_yes() -> None:
    assert build(sex=["male", "female"]).yes("sex").tolist() == [1.0, 0.0]


def test_levels_that_look_like_numbers() -> None:
    assert build(ftv=[0, 1]).levels("ftv").tolist() == [0, 1]
    assert build(ftv=[0.0, np.nan, 1.0]).levels("ftv").tolist() == [0, 1]
    assert build(ftv=["2+", "0"]).levels("ftv").tolist() == [2, 0]


@pytest.mark.parametrize(
    "seen",
    [["2020-01-02"], [dt.date(2020, 1, 2)], [pd.Timestamp("2020-01-02")], pd.to_datetime(["2020-01-02"])],
)
def test_dates_are_days(seen: Any) -> None:
    assert build(seen=seen)["seen"].tolist() == [18263.0]


def test_numbers_are_read_to_the_last_bit() -> None:
    texts = [repr(float(x)) for x in np.random.default_rng(2).random(500)]
    assert build(crp=texts)["crp"].tolist() == [float(text) for text in texts]


@pytest.mark.parametrize(
    ("column", "values", "code", "says"),
    [
        ("sex", ["male", "m", "m"], "level_unknown", "rows 2 and 3"),
        ("age", [30, 130], "out_of_range", "row 2"),
        ("age", [30, -1], "out_of_range", "outside the allowed range 0 to 120"),
        ("age", [30.5], "column_type", "whole number"),
        ("age", ["thirty"], "column_type", "“thirty” in row 1"),
        ("crp", ["1,5"], "column_type", "should be a number"),
        ("crp", ["1_5"], "column_type", "should be a number"),
        ("crp", ["inf"], "column_type", "should be a number"),
        ("crp", [np.inf], "column_type", "row 1"),
        ("seen", ["2.1.2020"], "column_type", "2024-12-31"),
        ("seen", ["2021-01-01"], "out_of_range", "2020-01-01 to 2020-12-31"),
        ("age", [200] * 9, "out_of_range", "rows 1, 2, 3, 4, 5 and 4 more"),
    ],
)
def test_what_does_not_fit_names_the_rows(column: str, values: Any, code: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        build(**{column: values})
    assert (
        caught.value.code == code and says in caught.value.message and f"“{column}”" in caught.value.message
    )


def test_a_missing_column_and_close_names() -> None:
    with pytest.raises(DataError, match="no column “age”. Did you mean “Age”"):
        Table.build(pd.DataFrame({"Age": [1]}), D, ["age"])


def test_rows_are_those_of_the_file_after_incomplete_ones_left() -> None:
    data = build(age=[None, 30, 40], died=[0, 1, 0], crp=[0.1, 0.15, 0.2])
    with pytest.raises(DataError, match="row 2"):
        data.grid("crp")


def test_an_outcome_that_is_neither_0_nor_1() -> None:
    with pytest.raises(DataError, match="must be 0 or 1 and is not in row 2"):
        build(age=[1, 2]).yes("age")


def test_two_columns_of_one_name() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["age", "age"])
    with pytest.raises(DataError, match="more than one column"):
        Table.build(frame, D, ["age"])


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.datetimes(),
    st.binary(),
)


@given(st.lists(ANYTHING, min_size=1, max_size=6), st.sampled_from(["age", "crp", "sex", "seen", "name"]))
def test_whatever_a_column_holds_it_is_read_or_refused(values: list[Any], name: str) -> None:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object)})
    for dictionary in (D, infer([frame])):
        try:
            data = Table.build(frame, dictionary, [name])
        except DataError as error:
            assert "row" in error.message
        else:
            assert data.used + data.dropped == len(values)


def test_site_is_built_in() -> None:
    data = Table.build(patients(5), D, ["age"], site=2, sites=3)
    assert data.levels(".site").tolist() == [1] * 5
    assert data.design((".site",)).tolist() == [[1.0, 1.0, 0.0]] * 5


def test_what_is_used_is_recorded() -> None:
    data = Table.build(patients(), D, ["age", "sex", "died", "crp"])
    data.design(("age", "sex"))
    data.yes("died")
    data.levels("sex")
    data.grid("age")
    assert data.below("crp", [0.0, 1000.0]).tolist() == [0.0, 60.0]
    record = data.record
    assert record.designs == {("age", "sex")} and record.columns == {"died"}
    assert record.groups == {"sex"} and record.grids == {"age"} and record.probed == {"crp"}


def test_a_task_cannot_write_into_the_table() -> None:
    data = Table.build(patients(), D, ["age"])
    for array in (data["age"], data.design(("age",))):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_chunks_are_cut_at_rows_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK", 10)
    frame = patients(35)
    frame.loc[[3, 12, 13, 30], "crp"] = np.nan
    frame.loc[20:29, "crp"] = np.nan  # a chunk without a complete row
    data = Table.build(frame, D, ["age", "crp", "sex"])
    parts = data.chunks()
    assert [len(part) for part in parts] == [9, 8, 4]
    assert np.array_equal(np.concatenate([part["age"] for part in parts]), data["age"])
    assert all(part.record is data.record for part in parts)
    assert data.chunks() is parts


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11, 20])
def test_chunks_hold_every_row_once(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK", 10)
    data = Table.build(patients(rows), D, ["age"])
    assert sum(len(part) for part in data.chunks()) == rows and len(data.chunks()) >= 1


@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.5, np.nan]), max_size=12))
def test_a_column_of_one_or_two_values_has_classes(values: list[float]) -> None:
    column = np.array(values, dtype=np.float64)
    data = Table({"crp": column}, np.arange(len(column)), D, site=1, sites=1, dropped=0)
    present = np.unique(column[~np.isnan(column)])
    found = data.classes("crp")
    if len(present) > 2:
        assert found is None and data.term_cells("crp").tolist() == [len(column)]
    else:
        places = [-1 if np.isnan(value) else present.tolist().index(value) for value in values]
        assert found is not None and found.tolist() == places
        assert data.term_cells("crp").sum() == np.count_nonzero(~np.isnan(column))


def test_a_second_value_may_come_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK", 3)
    late = {"two": [1.0, 1, 1, 0], "three": [1.0, 1, 1, 0, 2]}
    for name, values in late.items():
        column = np.array(values)
        data = Table({"crp": column}, np.arange(len(column)), D, site=1, sites=1, dropped=0)
        assert (data.classes("crp") is None) == (name == "three")


def test_what_is_kept_lasts_until_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK", 10)
    small = Table.build(patients(25), D, ["age"])
    for data in (small, next(iter(small.chunks()))):
        data.kept("a")["made"] = 1
        assert data.kept("a") == {"made": 1}
        assert data.kept("b") == {} and data.kept("a") == {}
    monkeypatch.setattr(table, "KEPT_CELLS", 0)
    large = Table.build(patients(25), D, ["age"])
    for data in (large, next(iter(large.chunks()))):
        data.kept("a")["made"] = 1
        assert data.kept("a") == {}
