"""A dataset becomes columns some rows at a time, and sentences count rows from its beginning."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from friendlyfl import datasets
from friendlyfl.tasks import Dictionary, formats
from friendlyfl.tasks.intake import Intake
from friendlyfl.tasks.mapping import ColumnMap, Mapping
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
