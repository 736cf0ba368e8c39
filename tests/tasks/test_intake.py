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
