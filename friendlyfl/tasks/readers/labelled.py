"""SPSS and Stata files: numbers, dates and words, with labels for values and for columns.

A column whose every value has a label becomes those labels, in the order of their codes; user-missing values are
missing. Rows are read in batches, and columns with labels are looked through once before: the last row may hold a value
without one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.dictionary import level_text
from friendlyfl.tasks.places import Place
from friendlyfl.tasks.readers import pieces
from friendlyfl.tasks.readers.pieces import Piece
from friendlyfl.tasks.readers.reading import file_digest, library, opened
from friendlyfl.tasks.sniff import unique_names

CELLS = 200_000_000
READ_CELLS = 4_000_000  # that are held at once
WORDS = {"spss": "SPSS", "stata": "Stata"}


class LabelledReading:
    """An opened SPSS or Stata file. Where `types` says that a column is a number, its codes are read, not labels."""

    def __init__(self, place: Place, types: Mapping[str, str]) -> None:
        self.path, self.what, self.types = place.file, WORDS[place.kind], types
        self.library = library("pyreadstat", f"{self.what} files")
        opened(self.path)
        self.read = self.library.read_sav if place.kind == "spss" else self.library.read_dta
        # The library tells which values are declared as missing only to whom it would leave them in.
        declared = {"user_missing": True} if place.kind == "spss" else {}
        self.known = self._read(metadataonly=True, **declared)[1]
        rows = self.known.number_rows or 0
        if rows * max(len(self.known.column_names), 1) > CELLS:
            raise UsageError(
                "file_size", f"The file {self.path.name} is too large for its kind: write it as Parquet."
            )
        self.headers = tuple(self.known.column_names)
        self.names, self.notes = unique_names(list(self.headers))
        self.refused: dict[str, str] = {
            name: "holds times of day or durations: write them as numbers."
            for name, head in zip(self.names, self.headers, strict=True)
            if self._format(head).startswith(("TIME", "DTIME"))
        }
        self.words = (
            f"A file of {self.what}, {len(self.names)} columns with the types and labels it declares."
        )

    def _format(self, head: str) -> str:
        return str(self.known.original_variable_types.get(head, ""))

    def _read(self, **options: Any) -> tuple[pd.DataFrame, Any]:
        try:
            found: tuple[pd.DataFrame, Any] = self.read(str(self.path), **options)
        except MemoryError:
            raise
        except Exception:  # of the library, whose kinds of errors it does not promise
            raise UsageError(
                "file_form",
                f"The file {self.path.name} cannot be read as a file of {self.what}: it is cut off, protected or "
                "another kind of file. Save it again.",
            ) from None
        return found

    def pieces(self, columns: Sequence[str], rows: int) -> Iterator[tuple[int, dict[str, Piece]]]:
        heads = {name: self.headers[self.names.index(name)] for name in columns}
        labelled = self._labelled(heads, rows)
        for frame in self._frames(list(heads.values()), rows):
            yield (
                len(frame),
                {name: self._piece(frame[head], head, labelled.get(name)) for name, head in heads.items()},
            )

    def _frames(self, heads: list[str], rows: int) -> Iterator[pd.DataFrame]:
        """These columns, so many rows at a time. Each read passes over the file from its start, so it takes many."""
        total = self.known.number_rows or 0
        at_once = rows * max(READ_CELLS // (rows * max(len(heads), 1)), 1)
        for start in range(0, total, at_once):
            # With no column named, the library would read all.
            options: dict[str, Any] = {"usecols": heads or list(self.headers[:1])}
            if total > at_once:
                options |= {"row_offset": start, "row_limit": at_once}
            frame, _ = self._read(**options)
            for place in range(0, len(frame), rows):
                yield frame.iloc[place : place + rows]

    def _labelled(self, heads: Mapping[str, str], rows: int) -> dict[str, _Labels]:
        """What the labels of these columns do, by the values that the whole of each holds."""
        asked = {
            name: head
            for name, head in heads.items()
            if self.known.variable_value_labels.get(head)
            and self.types.get(name) not in ("integer", "number")
        }
        present: dict[str, set[Any]] = {name: set() for name in asked}
        for frame in self._frames(list(asked.values()), rows) if asked else ():
            for name, head in asked.items():
                one = self._plain(frame[head], [])
                if one.kind != "date":
                    present[name].update(map(_key, pd.unique(one.values[~one.missing])))
        return {name: self._labels(asked[name], found) for name, found in present.items() if found}

    def _labels(self, head: str, present: set[Any]) -> _Labels:
        """Codes are exchanged for their labels, where every value has one of its own."""
        labels, gone = self.known.variable_value_labels[head], self._declared(head)
        texts = {
            _key(code): str(labels[code]).strip()
            for code in sorted(code for code in labels if not _declared_missing(code, gone))
        }
        if not present <= texts.keys():
            few = len(present & texts.keys())
            words = f"{few} of its {len(present)} values have labels, the others have none: codes were kept."
            return _Labels(words if few else "")
        if len(set(texts.values())) < len(texts) or "" in texts.values():
            return _Labels("Two of its values have the same label: codes were kept.")
        return _Labels("Codes were exchanged for their labels.", texts)

    def _declared(self, head: str) -> Sequence[Any]:
        """The values or ranges that the file declares as missing."""
        return self.known.missing_ranges.get(head) or self.known.missing_user_values.get(head) or ()

    def digest(self) -> str:
        return file_digest(self.path)

    def close(self) -> None:
        """Nothing is held open."""

    def _piece(self, series: pd.Series[Any], head: str, labels: _Labels | None) -> Piece:
        label = self.known.column_names_to_labels.get(head)
        notes = [f"Label: {' '.join(str(label).split())}"] if label else []
        if self._declared(head):
            notes.append("The values that the file declares as missing were taken as missing.")
        if labels and labels.note:
            notes.append(labels.note)
        one = self._plain(series, notes)
        if labels is None or labels.texts is None:
            return one
        index, different = pd.factorize(one.values)
        words: NDArray[Any] = np.array([*(labels.texts.get(_key(v)) for v in different), None], dtype=object)
        index = np.where(one.missing, -1, index)
        return pieces.piece("text", words[index], one.missing, notes, tuple(labels.texts.values()))

    def _plain(self, series: pd.Series[Any], notes: list[str]) -> Piece:
        if pd.api.types.is_numeric_dtype(series.dtype):
            doubles = series.to_numpy(dtype=np.float64, na_value=np.nan)
            gone = np.isnan(doubles)
            if gone.all():
                return Piece("empty", pieces.empty(len(gone)).values, gone, tuple(notes))
            if pieces.whole(doubles):
                return pieces.piece("integer", np.where(gone, 0, doubles), gone, notes)
            return pieces.of_numbers(doubles, notes)
        if pd.api.types.is_datetime64_any_dtype(series.dtype):
            return pieces.of_moments(series.to_numpy(), notes)
        index, different = pd.factorize(series)
        values = list(different)
        if not values:
            return Piece("empty", pieces.empty(len(index)).values, index < 0, tuple(notes))
        if all(isinstance(value, dt.date) for value in values):
            moments = np.array([*values, None], dtype="datetime64[us]")
            return pieces.of_moments(moments[index], notes)
        return pieces.of_texts(index, [level_text(value) for value in values], notes)


@dataclass(frozen=True)
class _Labels:
    """What is said of a column's labels, and the labels by code where they take the place of codes."""

    note: str
    texts: dict[Any, str] | None = None


def _key(code: Any) -> Any:
    return float(code) if isinstance(code, (int, float, np.number)) else str(code).strip()


def _declared_missing(code: Any, gone: Sequence[Any]) -> bool:
    """Is the code among the ranges or values that the file declares as missing?"""
    for entry in gone:
        if not isinstance(entry, dict):
            if _key(entry) == _key(code):
                return True
        elif isinstance(code, str) == isinstance(entry["lo"], str) and entry["lo"] <= code <= entry["hi"]:
            return True
    return False
