"""Marks by which rows of a hospital's table are known again when a newer file stands in its place.

Each cell becomes 32 bits under the hospital's own key, one file of them a column, in the order of the rows: equal
values have equal marks, whatever the type they were read as. They lie where the table lies and never leave; the key
keeps two hospitals' marks from being laid side by side. What is concluded from them is `described`'s business.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.dictionary import level_text
from friendlyfl.tasks.values import day_of, distinct, number_of

if TYPE_CHECKING:
    import pandas as pd

Marks = npt.NDArray[np.uint32]
NOTHING = np.uint32(0)  # of a missing value


class MarkFiles:
    """The marks of the columns that were read, as files of an empty folder."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder, self.key = folder, key
        self.paths: dict[str, Path] = {}
        folder.mkdir(mode=0o700, parents=True)

    def add(self, frame: pd.DataFrame) -> None:
        """The next rows."""
        for name in map(str, frame.columns):
            path = self.paths.setdefault(name, self.folder / f"{len(self.paths)}.marks")
            with path.open("ab") as file:
                file.write(marks(frame[name], self.key).tobytes())

    def read(self, name: str) -> Marks:
        """A column's marks, one a row."""
        return from_bytes(self.paths[name].read_bytes())


def from_bytes(raw: bytes) -> Marks:
    return np.frombuffer(raw, dtype=np.uint32)


def marks(series: pd.Series[Any], key: bytes) -> Marks:
    """One mark a row."""
    kind = series.dtype.kind
    if kind in "iufb":
        return _of_numbers(series.to_numpy(dtype=np.float64, na_value=np.nan), _salt(key, "number"))
    if kind == "M":
        days = series.to_numpy().astype("datetime64[D]")
        numbers = np.where(np.isnat(days), np.nan, days.astype(np.float64))
        return _of_numbers(numbers, _salt(key, "day"))
    codes, values = distinct(series)
    known = np.array([*(_of_value(value, key) for value in values), NOTHING], dtype=np.uint32)
    return np.asarray(known[codes])


def mixed(columns: list[Marks], rows: int) -> npt.NDArray[np.uint64]:
    """One number a row of all its marks: equal where all are equal."""
    together = np.zeros(rows, dtype=np.uint64)
    for found in columns:
        together = _stirred(together ^ (found.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)))
    return together


def _of_value(value: Any, key: bytes) -> np.uint32:
    """As the type it is written in would have it: 1, 1.0 and "1" are one value."""
    if (number := number_of(value)) is not None:
        return np.uint32(_of_numbers(np.array([number]), _salt(key, "number"))[0])
    if (day := day_of(value)) is not None:
        return np.uint32(_of_numbers(np.array([day]), _salt(key, "day"))[0])
    raw = hashlib.blake2b(level_text(value).encode(), key=key, digest_size=4, person=b"word").digest()
    return np.uint32(max(int.from_bytes(raw, "big"), 1))


def _of_numbers(numbers: npt.NDArray[np.float64], salt: int) -> Marks:
    bits = (numbers + 0.0).view(np.uint64)  # one zero, not two
    found = (_stirred(bits ^ np.uint64(salt)) >> np.uint64(32)).astype(np.uint32)
    return np.where(np.isnan(numbers), NOTHING, np.maximum(found, 1)).astype(np.uint32)


def _salt(key: bytes, what: str) -> int:
    return int.from_bytes(hashlib.blake2b(what.encode(), key=key, digest_size=8).digest(), "big")


def _stirred(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finisher of SplitMix64 (Steele, Lea and Flood 2014): every bit of the answer hangs on every bit given."""
    with np.errstate(over="ignore"):
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(bits ^ (bits >> np.uint64(31)))
