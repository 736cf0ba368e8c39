"""Every kind of dataset gives the table that the same rows give as CSV, some rows at a time or whole."""

import datetime as dt
import decimal
import hashlib
import json
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
from click.testing import CliRunner

from friendlyfl import datasets
from friendlyfl.cli.simulate import simulate
from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import formats, places
from friendlyfl.tasks.source import read_csv

KINDS = ("parquet", "xlsx", "sav", "zsav", "dta", "sqlite")


def written(frame, kind, folder, name="clinic"):
    """The table as a file of this kind, as another program would write it; where it lies."""
    path = folder / f"{name}.{kind}"
    if kind == "parquet":
        frame.to_parquet(path, row_group_size=50)
    elif kind == "xlsx":
        frame.to_excel(path, index=False)
    elif kind == "sqlite":
        connection = sqlite3.connect(path)
        frame.to_sql("patients", connection, index=False)
        connection.close()
        return f"sqlite:///{path}#patients"
    else:
        plain = frame.copy()
        for column in plain:
            if plain[column].dtype == "Int64":
                plain[column] = plain[column].astype("float64")
            elif plain[column].dtype.name == "string":
                plain[column] = plain[column].astype(object)
        if kind == "dta":
            pyreadstat.write_dta(plain, str(path))
        else:
            pyreadstat.write_sav(plain, str(path), compress=kind == "zsav")
    return str(path)


def parquet(folder, table, **options):
    pq.write_table(table, folder / "t.parquet", **options)
    return folder / "t.parquet"


def trouble(where, **options):
    with pytest.raises(UsageError) as caught:
        formats.read(where, **options)
    return caught.value


# All kinds alike


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_table_of_the_csv_file(kind, tmp_path):
    csv = read_csv(datasets.path("clinic", 1))
    where = written(csv.frame, kind, tmp_path)
    source = formats.read(where)
    pd.testing.assert_frame_equal(source.frame, csv.frame, check_exact=True)
    assert formats.names(where) == formats.names(datasets.path("clinic", 1)) == tuple(csv.frame.columns)
    assert source.rows == len(csv.frame) and len(source.digest) == 64
    for found, expected in zip(source.columns, csv.columns, strict=True):
        assert (found.name, found.type, found.n, found.n_missing, found.levels, found.low, found.high) == (
            (expected.name, expected.type, expected.n, expected.n_missing)
            + (expected.levels, expected.low, expected.high)
        )
    assert formats.read(where).digest == source.digest


@pytest.mark.parametrize("kind", ("csv", *KINDS))
def test_batches_are_the_table_cut(kind, tmp_path):
    csv = read_csv(datasets.path("clinic", 1))
    where = str(datasets.path("clinic", 1)) if kind == "csv" else written(csv.frame, kind, tmp_path)
    found = list(formats.batches(where, columns=["bmi", "sex"], rows=64))
    assert len(found) == (-(-len(csv.frame) // 64) if kind not in ("csv", "xlsx") else 1)
    pd.testing.assert_frame_equal(pd.concat(found), csv.frame[["bmi", "sex"]], check_exact=True)
    assert sum(len(frame) for frame in formats.batches(where, columns=[])) == len(csv.frame)


@pytest.mark.parametrize("kind", KINDS)
def test_simulate_gives_the_same_result_bit_for_bit(kind, tmp_path):
    files = [str(datasets.path("clinic", site)) for site in (1, 2)]
    others = [written(read_csv(file).frame, kind, tmp_path, f"site{n}") for n, file in enumerate(files)]
    dictionary = str(datasets.path("clinic", 1).with_name("dictionary.json"))
    results = []
    for sites in (files, others):
        given = [word for site in sites for word in ("--site", site)]
        settings = ["--set", "outcome=bmi", "--set", "predictors=age,sex,nyha"]
        ran = CliRunner().invoke(
            simulate, ["linear_regression", *given, "--dictionary", dictionary, *settings, "--json", "-"]
        )
        assert ran.exit_code == 0, ran.output
        results.append(json.loads(ran.stdout))
    assert results[0] == results[1]


@pytest.mark.parametrize("kind", KINDS)
def test_codes_for_no_value_are_taken_out(kind, tmp_path):
    frame = pd.DataFrame(
        {
            "n": pd.array([1, -9, 3], dtype="Int64"),
            "x": [-9.0, 2.5, 3.5],
            "w": pd.array(["a", "NA", "c"], dtype="string[python]"),
        }
    )
    where = written(frame, kind, tmp_path)
    whole = formats.read(where, missing=["NA", "-9"]).frame
    assert whole.isna().sum().tolist() == [1, 1, 1]
    one = formats.read(where, missing={"n": ["-9"]}).frame
    assert one.isna().sum().tolist() == [1, 0, 0]
    (part,) = formats.batches(where, missing=["NA", "-9"])
    pd.testing.assert_frame_equal(part, whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_that_is_not_there_is_named(kind, tmp_path):
    where = written(pd.DataFrame({"age": [1, 2]}), kind, tmp_path)
    error = trouble(where, columns=["agee"])
    assert error.code == "column_missing" and "Did you mean “age”?" in error.message
    with pytest.raises(UsageError, match="agee"):
        list(formats.batches(where, columns=["agee"]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_without_rows_is_said(kind, tmp_path):
    where = written(pd.DataFrame({"age": pd.Series([], dtype="float64")}), kind, tmp_path)
    assert trouble(where).code == "dataset_empty"


@pytest.mark.parametrize("kind", ["parquet", "xlsx", "sav", "dta"])
def test_what_is_no_such_file_is_a_sentence(kind, tmp_path):
    path = tmp_path / f"t.{kind}"
    assert trouble(path).code == "dataset_missing"
    path.mkdir()
    assert trouble(path).code == "dataset_missing"
    path.rmdir()
    for raw in (
        b"",
        b"age,sex\n1,2\n",
        b"PK\x03\x04" + bytes(50),
        b"PAR1" + bytes(50) + b"PAR1",
        b"$FL2" + bytes(99),
    ):
        path.write_bytes(raw)
        assert trouble(path).code == "file_form"
    good = written(read_csv(datasets.path("clinic", 1)).frame, kind, tmp_path, "good")
    raw = Path(good).read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    try:  # SPSS and Stata files say how many rows they have, or end where they end
        formats.read(path)
    except UsageError as error:
        assert error.code == "file_form"
    else:
        assert kind in ("sav", "dta")


@pytest.mark.parametrize(
    ("module", "kind"),
    [("pyarrow", "parquet"), ("openpyxl", "xlsx"), ("pyreadstat", "sav"), ("sqlalchemy", "sqlite")],
)
def test_a_package_that_is_not_installed_is_named(module, kind, tmp_path, monkeypatch):
    where = written(pd.DataFrame({"age": [1, 2]}), kind, tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    error = trouble(where)
    assert error.code == "file_library" and "pip install 'friendlyfl[data]'" in error.message


@pytest.mark.parametrize("ending", sorted(places.OTHERS))
def test_other_kinds_say_what_to_do(ending, tmp_path):
    path = tmp_path / f"t{ending}"
    path.write_bytes(b"anything")
    error = trouble(path)
    assert error.code == "file_kind" and ": " in error.message


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = parquet(tmp_path, pa.table({"a": [1]}))
    stamps = iter([(1, 1, 1), (2, 2, 2)])
    monkeypatch.setattr(formats, "stamp", lambda where: next(stamps))
    assert trouble(path).code == "dataset_changed"


# Parquet


@pytest.mark.parametrize(("groups", "rows"), [(3, 4), (4, 3), (5, 5), (100, 7), (1, 100)])
def test_parquet_batches_have_the_same_rows_whatever_the_row_groups(tmp_path, groups, rows):
    table = pa.table({"n": pa.array([*range(16), None]), "word": [f"w{i % 5}" for i in range(17)]})
    found = list(formats.batches(parquet(tmp_path, table, row_group_size=groups), rows=rows))
    assert [len(frame) for frame in found[:-1]] == [rows] * (len(found) - 1)
    whole = pd.concat(found)
    assert whole.index.tolist() == list(range(17))
    assert whole["n"].tolist()[:16] == list(range(16)) and whole["n"].isna().tolist()[16]
    assert whole["word"].tolist() == table["word"].to_pylist()


def test_parquet_types(tmp_path):
    day, moment = dt.date(1899, 12, 31), dt.datetime(2020, 1, 2, 23, 30)
    utc = dt.datetime(2020, 1, 2, 23, 30, tzinfo=dt.UTC)
    table = pa.table(
        {
            "small": pa.array([1, None, -3], pa.int8()),
            "big": pa.array([2**63, 1, None], pa.uint64()),
            "single": pa.array([0.1, None, float("nan")], pa.float32()),
            "endless": [1.0, float("inf"), None],
            "truth": [True, False, None],
            "cents": pa.array(
                [decimal.Decimal("0.10"), decimal.Decimal("123456789.01"), None], pa.decimal128(20, 2)
            ),
            "units": pa.array([decimal.Decimal(5), None, decimal.Decimal(7)], pa.decimal128(10, 0)),
            "long": pa.array([decimal.Decimal(10**30), None, None], pa.decimal128(38, 0)),
            "day": pa.array([day, None, day]),
            "moment": pa.array([moment, None, moment], pa.timestamp("ns")),
            "berlin": pa.array([utc, None, utc], pa.timestamp("us", tz="Europe/Berlin")),
            "order": pa.DictionaryArray.from_arrays(pa.array([1, 0, None]), ["low", "high"]),
            "words": pa.array([" a ", "", None], pa.large_string()),
            "nothing": pa.nulls(3),
        }
    )
    source = formats.read(parquet(tmp_path, table))
    frame = source.frame
    assert frame["small"].tolist()[::2] == [1, -3] and source.column("small").type == "integer"
    assert frame["big"].tolist()[:2] == [str(2**63), "1"]
    assert frame["single"].tolist()[0] == float(np.float32(0.1)) and source.column("single").n == 1
    assert any("infinite" in note for note in source.column("endless").notes)
    assert frame["truth"].tolist()[:2] == [1, 0] and source.column("truth").notes
    assert frame["cents"].tolist()[:2] == [0.1, 123456789.01]
    assert source.column("units").type == "integer" and source.column("long").type in ("text", "factor")
    assert frame["day"][0] == pd.Timestamp("1899-12-31") and source.column("day").low == day
    assert frame["moment"][0] == pd.Timestamp("2020-01-02") == frame["moment"][2]
    assert frame["berlin"][0] == pd.Timestamp("2020-01-03")
    assert source.column("moment").notes == ("The time of day was left out.",)
    assert source.column("order").levels == ("low", "high") and frame["order"].tolist()[:2] == ["high", "low"]
    assert frame["words"].tolist()[0] == "a" and source.column("words").n == 1
    assert source.column("nothing").type == "empty"
    assert source.digest == hashlib.sha256((tmp_path / "t.parquet").read_bytes()).hexdigest()
    kept = [str(frame[name].dtype) for name in ("small", "single", "day", "words")]
    assert kept == ["Int64", "float64", "datetime64[s]", "string"]


def test_parquet_text_stays_text_and_says_what_it_looks_like(tmp_path):
    table = pa.table({"n": ["1", "2", "3"], "d": ["2020-01-01", "2020-01-02", None], "odd": ["1", "2", "x"]})
    source = formats.read(parquet(tmp_path, table))
    assert source.frame["n"].tolist() == ["1", "2", "3"]
    assert "every value is a number" in source.column("n").notes[0]
    assert "every value is a date" in source.column("d").notes[0]
    assert source.column("odd").odd[0].row == 3
    typed = formats.read(parquet(tmp_path, table), types={"n": "number", "d": "date"})
    assert typed.frame["n"].tolist() == [1.0, 2.0, 3.0] and typed.column("d").type == "date"
    assert "1 row (3)" in trouble(parquet(tmp_path, table), types={"odd": "number"}).message
    assert trouble(parquet(tmp_path, table), types={"n": "colour"}).code == "column_type"


def test_parquet_numbers_as_levels_are_written_as_levels_are(tmp_path):
    path = parquet(tmp_path, pa.table({"g": [1.0, 2.0, None], "d": [dt.date(2020, 1, 2)] * 3}))
    types = {"g": "factor", "d": "text"}
    (frame,) = formats.batches(path, types=types)
    assert frame["g"].tolist()[:2] == ["1", "2"] and frame["d"][0] == "2020-01-02"
    source = formats.read(path, types=types)
    assert source.column("g").levels == ("1", "2")
    pd.testing.assert_frame_equal(source.frame, frame)
    assert (
        trouble(path, types={"d": "number"}).code == trouble(path, types={"g": "date"}).code == "column_type"
    )


def test_parquet_columns_that_hold_no_single_values(tmp_path):
    table = pa.table(
        {
            "a": [1],
            "list": [[1, 2]],
            "tree": [{"x": 1}],
            "raw": [b"\x00"],
            "time": [dt.time(1, 2)],
            "span": [dt.timedelta(1)],
        }
    )
    path = parquet(tmp_path, table)
    assert formats.names(path) == ("a",)
    source = formats.read(path)
    assert list(source.frame) == ["a"] and sum("was left out" in note for note in source.notes) == 5
    for name in ("list", "tree", "raw", "time", "span"):
        error = trouble(path, columns=[name])
        assert error.code == "column_type" and f"“{name}”" in error.message


def test_parquet_written_by_pandas_with_row_labels(tmp_path):
    pd.DataFrame({"a": [1, 2]}, index=["x", "y"]).to_parquet(tmp_path / "t.parquet")
    source = formats.read(tmp_path / "t.parquet")
    assert list(source.frame) == ["a"] and any("row labels" in note for note in source.notes)


def test_parquet_names_are_made_clean_and_twice_the_same_is_refused(tmp_path):
    assert formats.names(parquet(tmp_path, pa.table({" a  b ": [1], "": [2]}))) == ("a b", "column_2")
    assert list(formats.read(tmp_path / "t.parquet", columns=["a b"]).frame["a b"]) == [1]
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    assert trouble(parquet(tmp_path, twice)).code == "file_form"
