"""Columns in files are the columns they were, for every task and however they were cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from friendlyfl.tasks import Dictionary, Table, engine, table
from friendlyfl.tasks.column_files import ColumnFiles
from friendlyfl.tasks.outcome import Exchange
from friendlyfl.tasks.values import DataError, column_values
from friendlyfl.wire.update import Update

DICTIONARY = Dictionary.parse(
    {
        "age": {"type": "integer", "range": [0, 120]},
        "crp": {"type": "number", "range": [0, 600], "step": 0.1},
        "race": {"type": "factor", "levels": ["white", "black", "other"]},
        "died": {"type": "integer", "range": [0, 1]},
        "ward": {"type": "text"},
        "seen": {"type": "date", "range": ["2015-01-01", "2025-12-31"]},
    }
)


def patients(rows: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 90, rows),
            "crp": rng.integers(0, 3000, rows) / 10,
            "race": rng.choice(["white", "black", "other"], rows),
            "died": rng.integers(0, 2, rows),
            "ward": rng.choice(["A", "B", "Ä 1"], rows),
            "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.05)


def files(folder: Path, frame: pd.DataFrame, size: int) -> ColumnFiles:
    cuts = [frame.iloc[start : start + size] for start in range(0, len(frame), size)]
    parts = (
        (len(cut), {name: column_values(cut[name], DICTIONARY.spec(name)) for name in DICTIONARY})
        for cut in cuts
    )
    return ColumnFiles.write(folder, parts, DICTIONARY, tuple(DICTIONARY))


@pytest.mark.parametrize("size", [1, 7, 500])
def test_a_column_comes_back_as_it_went(tmp_path: Path, size: int) -> None:
    frame = patients(100)
    stored = files(tmp_path, frame, size)
    assert len(stored) == 100
    for name in DICTIONARY:
        np.testing.assert_array_equal(stored.read(name), column_values(frame[name], DICTIONARY.spec(name)))
    with pytest.raises(DataError, match="no column “agee”"):
        stored.read("agee")


def test_an_empty_table(tmp_path: Path) -> None:
    stored = files(tmp_path, patients(0), 10)
    assert len(stored) == 0 and len(Table.build(stored, DICTIONARY, ["age", "ward"])) == 0


def test_rows_without_columns_are_counted_too(tmp_path: Path) -> None:
    assert len(ColumnFiles.write(tmp_path, [(60, {}), (5, {})], DICTIONARY, ())) == 65


TASKS: list[tuple[str, dict[str, Any]]] = [
    ("logistic_regression", {"outcome": "died", "predictors": "age,crp,race", "robust": "HC3"}),
    ("table_one", {"variables": "age,crp,race,seen", "group": "race"}),
    ("kaplan_meier", {"time": "age", "event": "died", "group": "race"}),
]


@pytest.mark.parametrize(("name", "parameters"), TASKS, ids=[name for name, _ in TASKS])
@pytest.mark.parametrize("kept", [0, table.KEPT_CELLS], ids=["one chunk at a time", "all kept"])
def test_every_round_has_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, parameters: dict[str, Any], kept: int
) -> None:
    """From memory or from files, with chunks that stay or are made anew, with gaps and inclusion criteria."""
    monkeypatch.setattr(table, "CHUNK", 100)
    frame = patients(1050)
    task = engine.make_task(
        name, None, parameters, DICTIONARY, 1, site=1, where="age >= 30 and seen > 2020-02-01"
    )
    in_memory = engine.open_table(task, frame)
    monkeypatch.setattr(table, "KEPT_CELLS", kept)
    in_files = engine.open_table(task, files(tmp_path, frame, 64))
    assert (len(in_files), in_files.dropped) == (len(in_memory), in_memory.dropped)
    state = engine.begin(task)
    while True:
        updates = [Update.of(engine.local(task, rows, state, None)) for rows in (in_memory, in_files)]
        assert updates[0].to_bytes() == updates[1].to_bytes()
        word, answer = engine.combine(task, state, updates[0].decoded(), Exchange(name, per_site=()))
        if word == "done":
            break
        state = answer


def test_chunks_of_a_large_table_do_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK", 100)
    monkeypatch.setattr(table, "KEPT_CELLS", 0)
    data = Table.build(files(tmp_path, patients(1000), 64), DICTIONARY, ["age", "crp"])
    chunks = data.chunks()
    assert len(chunks) == 10 and next(iter(chunks)) is not next(iter(chunks))
    assert sum(len(part) for part in chunks) == len(data) == data.used
    assert data.record is next(iter(chunks)).record
