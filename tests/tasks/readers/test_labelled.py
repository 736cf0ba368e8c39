"""SPSS and Stata files: labels, declared missing values, dates and words."""

import datetime as dt

import pandas as pd
import pyreadstat
import pytest

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import formats
from friendlyfl.tasks.readers import labelled


@pytest.fixture
def sav(tmp_path):
    def make(columns, name="t.sav", **options):
        write = pyreadstat.write_dta if name.endswith("dta") else pyreadstat.write_sav
        write(pd.DataFrame(columns), str(tmp_path / name), **options)
        return tmp_path / name

    return make


def test_labels_become_levels_in_the_order_of_their_codes(sav):
    path = sav(
        {"nyha": [3.0, 1.0, None, 2.0], "sex": ["m", "f", "f", "m"]},
        variable_value_labels={
            "nyha": {2.0: "mild", 1.0: "none", 3.0: "marked", 4.0: "severe"},
            "sex": {"f": "female", "m": "male"},
        },
        column_labels=["Class of the  New York Heart Association", "Sex"],
    )
    source = formats.read(path)
    nyha = source.column("nyha")
    assert nyha.type == "factor" and nyha.levels == ("none", "mild", "marked", "severe")
    assert source.frame["nyha"].tolist()[:2] == ["marked", "none"] and nyha.n_missing == 1
    assert nyha.notes[0] == "Label: Class of the New York Heart Association"
    assert source.frame["sex"].tolist() == ["male", "female", "female", "male"]


def test_where_a_number_is_asked_for_the_codes_are_read(sav):
    path = sav({"dead": [0.0, 1.0, None]}, variable_value_labels={"dead": {0.0: "no", 1.0: "yes"}})
    types = formats.types_for(path, {"dead": "integer"})
    assert formats.read(path).frame["dead"].tolist()[:2] == ["no", "yes"]
    assert formats.read(path, types=types).frame["dead"].tolist()[:2] == [0, 1]
    (frame,) = formats.batches(path, types={"dead": "integer"})
    assert frame["dead"].tolist()[:2] == [0, 1]
    assert formats.types_for("t.csv", {"dead": "integer", "sex": "factor"}) == {"sex": "factor"}


def test_codes_stay_where_labels_do_not_decide(sav):
    path = sav(
        {"some": [1.0, 2.0, 50.0], "same": [1.0, 2.0, 1.0]},
        variable_value_labels={"some": {1.0: "low"}, "same": {1.0: "yes", 2.0: "yes"}},
    )
    source = formats.read(path)
    assert (
        source.frame["some"].tolist() == [1, 2, 50] and "1 of its 3 values" in source.column("some").notes[0]
    )
    assert source.frame["same"].tolist() == [1, 2, 1] and "same label" in source.column("same").notes[0]


def test_values_declared_as_missing_are_missing(sav):
    path = sav(
        {
            "bmi": [22.5, 999.0, 30.0],
            "sex": [1.0, 2.0, 9.0],
            "word": ["a", "refused", "c"],
            "range": [1.0, 98.0, 99.0],
        },
        missing_ranges={
            "bmi": [999.0],
            "sex": [9.0],
            "word": ["refused"],
            "range": [{"lo": 97.0, "hi": 99.0}],
        },
        variable_value_labels={"sex": {1.0: "female", 2.0: "male", 9.0: "unknown"}},
    )
    source = formats.read(path)
    assert source.frame.isna().to_numpy().tolist() == [
        [False, False, False, False],
        [True, False, True, True],
        [False, True, False, True],
    ]
    assert source.column("sex").levels == ("female", "male")
    assert all(any("missing" in note for note in column.notes) for column in source.columns)


def test_dates_words_and_numbers(sav):
    path = sav(
        {
            "born": [dt.date(1920, 2, 29), None, dt.date(2000, 1, 1)],
            "seen": [dt.datetime(2020, 1, 2, 3, 4), dt.datetime(1999, 12, 31), None],
            "place": ["Ulm ", "", "Köln"],
            "dose": [0.1, 2.0, None],
            "count": [1.0, 2.0, None],
            "none": [None, None, None],
        },
        variable_format={"dose": "F8.2"},
    )
    source = formats.read(path)
    kinds = {column.name: column.type for column in source.columns}
    assert kinds == {
        "born": "date", "seen": "date", "place": "factor", "dose": "number", "count": "integer", "none": "empty",
    }  # fmt: skip
    assert source.frame["born"][0] == pd.Timestamp("1920-02-29") and source.column("born").low == dt.date(
        1920, 2, 29
    )
    assert source.frame["seen"][0] == pd.Timestamp("2020-01-02")
    assert "The time of day was left out." in source.column("seen").notes
    assert source.frame["place"].tolist()[::2] == ["Ulm", "Köln"] and source.column("place").n == 2
    assert source.frame["dose"].tolist()[:2] == [0.1, 2.0]


def test_times_of_day_are_left_out_or_named(sav):
    path = sav({"a": [1.0, 2.0], "at": [dt.time(1, 2), dt.time(3, 4)]})
    assert formats.names(path) == ("a",)
    assert any("“at” was left out" in note for note in formats.read(path).notes)
    with pytest.raises(UsageError, match="“at” holds times of day"):
        formats.read(path, columns=["at"])


def test_stata_labels(sav):
    path = sav({"g": [2, 1, 2]}, name="t.dta", variable_value_labels={"g": {1: "control", 2: "treated"}})
    source = formats.read(path)
    assert source.frame["g"].tolist() == ["treated", "control", "treated"]
    assert source.column("g").levels == ("control", "treated") and "Stata" in source.guessed


def test_a_table_too_large_to_be_read_whole_is_refused(sav, monkeypatch):
    monkeypatch.setattr(labelled, "CELLS", 3)
    with pytest.raises(UsageError, match="write it as Parquet"):
        formats.read(sav({"a": [1.0, 2.0], "b": [1.0, 2.0]}))


@pytest.mark.parametrize("kind", ["t.sav", "t.zsav", "t.dta"])
@pytest.mark.parametrize(("rows", "cells"), [(2, 1), (3, 12), (7, 7)])
def test_in_pieces_it_is_the_same_table(sav, monkeypatch, kind, rows, cells):
    """The last row decides that codes of one column stay, and that the numbers of another have decimals."""
    count = 11
    columns = {
        "group": [float(row % 2) for row in range(count)],
        "late": [float(row % 2) for row in range(count - 1)] + [9.0],
        "dose": [1.0] * (count - 1) + [2.5],
        "gone": [None] * 5 + [1.0] * (count - 5),
        "born": [None] * 4 + [dt.date(1950, 1, row + 1) for row in range(count - 4)],
        "place": ["Ulm" if row % 3 else "Köln" for row in range(count)],
    }
    labels = {0: "control", 1: "treated"} if kind == "t.dta" else {0.0: "control", 1.0: "treated"}
    compressed = {} if kind == "t.dta" else {"compress": kind == "t.zsav"}
    path = sav(columns, kind, variable_value_labels={"group": labels, "late": labels}, **compressed)
    whole = formats.read(path)
    assert whole.frame["group"].tolist()[:2] == ["control", "treated"]
    assert whole.frame["late"].tolist() == columns["late"] and whole.column("late").type == "integer"
    reads = []
    monkeypatch.setattr(labelled, "READ_CELLS", cells)
    kept = labelled.LabelledReading._read

    def read(self, **options):
        reads.append(options)
        return kept(self, **options)

    monkeypatch.setattr(labelled.LabelledReading, "_read", read)
    found = list(formats.batches(path, rows=rows))
    assert [len(frame) for frame in found] == [rows] * (count // rows) + [count % rows] * (count % rows > 0)
    assert sum("row_limit" in options for options in reads) > 2
    one = pd.concat(found)
    assert one["group"].tolist() == whole.frame["group"].tolist()
    assert one["late"].tolist() == columns["late"] and one["place"].tolist() == columns["place"]
    assert one["dose"].astype("float64").tolist() == columns["dose"]
    assert one["gone"].isna().tolist() == [True] * 5 + [False] * 6
    assert [day.date() for day in one["born"].tolist()[4:]] == columns["born"][4:]
    monkeypatch.setattr(formats, "ROWS", rows)
    told = formats.survey(path)
    assert told.columns == whole.columns and told.digest == whole.digest and told.rows == count
