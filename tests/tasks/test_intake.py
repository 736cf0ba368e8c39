"""A dataset becomes columns some rows at a time, and sentences count rows from its beginning."""

import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from friendlyfl import datasets
from friendlyfl.tasks import Dictionary, formats
from friendlyfl.tasks.intake import Intake
from friendlyfl.tasks.mapping import ColumnMap, Mapping
from friendlyfl.tasks.row_marks import MarkFiles
from friendlyfl.tasks.values import DataError, column_values

CLINIC = Dictionary.parse(datasets.dictionary("clinic"))


def test_a_csv_file_gives_what_its_whole_table_gives(tmp_path: Path) -> None:
    frame = datasets.load("clinic")[1]
    intake = Intake(str(datasets.path("clinic", 1)), (), None, CLINIC)
    columns = intake.columns(tuple(CLINIC), tmp_path / "columns")
    for name in CLINIC:
        np.testing.assert_array_equal(columns.read(name), column_values(frame[name], CLINIC.spec(name)))


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    columns = Intake(str(datasets.path("clinic", 1)), (), None, CLINIC).columns(
        {"age", "sex"}, tmp_path / "columns"
    )
    assert len(list((tmp_path / "columns").iterdir())) == 2
    with pytest.raises(DataError, match="no column “bmi”"):
        columns.read("bmi")


def test_rows_are_counted_over_all_parts(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    dictionary = Dictionary.parse({"years": {"type": "integer", "range": [0, 120]}})
    frame = pd.DataFrame({"alter": np.arange(formats.ROWS + 10) % 90})
    path = tmp_path / "site.parquet"
    mapping = Mapping({"years": ColumnMap("alter")})
    frame.to_parquet(path)
    found = Intake(str(path), (), mapping, dictionary).columns({"years"}, tmp_path / "good").read("years")
    np.testing.assert_array_equal(found, frame["alter"])
    frame.loc[formats.ROWS + 6, "alter"] = 400
    frame.to_parquet(path)
    with pytest.raises(DataError, match=f"row {formats.ROWS + 7}:"):
        Intake(str(path), (), mapping, dictionary).columns({"years"}, tmp_path / "bad")


def test_codes_under_labels_are_read_where_the_dictionary_wants_numbers(tmp_path: Path) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    path = tmp_path / "site.sav"
    pyreadstat.write_sav(
        pd.DataFrame({"dead": [0.0, 1.0, 1.0], "ja": [1.0, 2.0, 2.0], "nyha": [1.0, 3.0, 2.0]}),
        str(path),
        variable_value_labels={
            "dead": {0.0: "no", 1.0: "yes"},
            "ja": {1.0: "nein", 2.0: "ja"},
            "nyha": {1.0: "I", 2.0: "II", 3.0: "III"},
        },
    )
    yes_no = {"type": "integer", "range": [0, 1]}
    dictionary = Dictionary.parse(
        {
            "dead": yes_no,
            "smokes": yes_no,
            "severe": yes_no,
            "nyha": {"type": "factor", "levels": ["I", "II", "III"]},
        }
    )
    mapping = Mapping(
        {
            "dead": ColumnMap("dead"),
            "smokes": ColumnMap("ja", recode={"nein": "0", "ja": "1"}),
            "nyha": ColumnMap("nyha"),
        }
    )
    columns = Intake(str(path), (), mapping, dictionary).columns(tuple(dictionary), tmp_path / "columns")
    found = {name: columns.read(name).tolist() for name in ("dead", "smokes", "nyha")}
    assert found == {"dead": [0, 1, 1], "smokes": [0, 1, 1], "nyha": [0, 2, 1]}
    graded = Mapping({"severe": ColumnMap("nyha", derive="at_least", bound=2.0)})
    columns = Intake(str(path), (), graded, dictionary).columns({"severe"}, tmp_path / "graded")
    assert columns.read("severe").tolist() == [0, 1, 1]


def test_a_file_is_the_same_as_long_as_its_bytes_are_and_rows_are_known_again(tmp_path: Path) -> None:
    path = tmp_path / "site.csv"
    dictionary = Dictionary.parse({"years": {"type": "integer"}})
    mapping = Mapping({"years": ColumnMap("alter")})

    def read(name: str) -> tuple[str, list[int]]:
        row_marks = MarkFiles(tmp_path / f"{name}-marks", bytes(32))
        intake = Intake(str(path), (), mapping, dictionary)
        intake.columns({"years"}, tmp_path / name, row_marks)
        assert intake.sources(["years"]) == ("alter",) == tuple(row_marks.paths)
        return intake.table(tmp_path / name), row_marks.read("alter").tolist()

    path.write_text("alter,seen\n3,a\n4,b\n5,c\n")
    table, found = read("one")
    assert read("two") == (table, found)
    path.write_text("alter,seen\n5,c\n3,a\n4,d\n")
    other, turned = read("three")
    assert other != table and turned == [found[2], found[0], found[1]]


def test_a_database_is_the_same_as_long_as_it_gives_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    dictionary = Dictionary.parse({"alter": {"type": "integer"}})
    with sqlite3.connect(tmp_path / "site.db") as base:
        base.execute("CREATE TABLE people (alter_ INTEGER)")
        base.executemany("INSERT INTO people VALUES (?)", [(3,), (4,), (5,)])
    mapping = Mapping({"alter": ColumnMap("alter_")})

    def read(name: str, query: str) -> tuple[str, list[int]]:
        row_marks = MarkFiles(tmp_path / f"{name}-marks", bytes(32))
        intake = Intake(f"sqlite:///{tmp_path / 'site.db'}#{query}", (), mapping, dictionary)
        intake.columns({"alter"}, tmp_path / name, row_marks)
        return intake.table(tmp_path / name), row_marks.read("alter_").tolist()

    table, found = read("one", "SELECT alter_ FROM people ORDER BY 1")
    assert (
        table.startswith("columns:") and read("two", "SELECT alter_ FROM people ORDER BY alter_")[0] == table
    )
    other, turned = read("three", "SELECT alter_ FROM people ORDER BY 1 DESC")
    assert other != table and turned == found[::-1]
