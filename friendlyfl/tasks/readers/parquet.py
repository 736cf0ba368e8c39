"""Parquet files: types are those the file declares, and rows are read in batches of a fixed number.

Nothing that a file may carry besides plain values is run or followed: an extension type is read as what it is
stored as.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.readers import pieces
from friendlyfl.tasks.readers.pieces import Piece
from friendlyfl.tasks.readers.reading import file_digest, library, opened
from friendlyfl.tasks.sniff import unique_names

PANDAS_INDEX = "__index_level_"
BIGGEST = np.iinfo(np.int64).max
BUFFER = 1 << 20  # bytes of one column's chunk that are fetched at a time


class ParquetReading:
    """An opened Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.arrow = library("pyarrow", "Parquet files")
        parquet = library("pyarrow.parquet", "Parquet files")
        opened(path)
        try:
            # Read as it is asked for: pyarrow alone would fetch the whole file before the first batch.
            self.file = parquet.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=BUFFER)
            fields = list(self.file.schema_arrow)
        except (self.arrow.ArrowException, OSError):
            raise self._broken() from None
        kept = [field for field in fields if not field.name.startswith(PANDAS_INDEX)]
        self.headers = tuple(field.name for field in kept)
        if len(set(self.headers)) < len(self.headers):
            twice = next(name for name in self.headers if self.headers.count(name) > 1)
            raise UsageError(
                "file_form", f"The file {path.name} has two columns called “{twice}”: rename one of them."
            )
        self.names, notes = unique_names(list(self.headers))
        if len(kept) < len(fields):
            notes = (*notes, "The row labels that pandas stored were left out.")
        self.notes = notes
        self.refused = {
            name: words
            for name, field in zip(self.names, kept, strict=True)
            if (words := self._unusable(field.type))
        }
        self.words = f"A Parquet file, {len(self.names)} columns with the types it declares."

    def pieces(self, columns: Sequence[str], rows: int) -> Iterator[tuple[int, dict[str, Piece]]]:
        heads = [self.headers[self.names.index(name)] for name in columns]
        held: dict[str, list[Piece]] = {name: [] for name in columns}
        waiting = 0
        try:
            for batch in self.file.iter_batches(batch_size=rows, columns=heads, use_threads=False):
                found = {
                    name: self._piece(batch.column(batch.schema.get_field_index(head)))
                    for name, head in zip(columns, heads, strict=True)
                }
                for name, one in found.items():
                    held[name].append(one)
                waiting += batch.num_rows
                while waiting >= rows:  # a batch may end where a row group does
                    joined = {name: pieces.merged(parts) for name, parts in held.items()}
                    yield rows, {name: pieces.cut(one, 0, rows) for name, one in joined.items()}
                    waiting -= rows
                    held = {name: [pieces.cut(one, rows)] if waiting else [] for name, one in joined.items()}
        except (self.arrow.ArrowException, OSError):
            raise self._broken() from None
        if waiting:
            yield waiting, {name: pieces.merged(parts) for name, parts in held.items()}

    def digest(self) -> str:
        return file_digest(self.path)

    def close(self) -> None:
        self.file.close()
        self.arrow.default_memory_pool().release_unused()  # a run's process lives long after it has read

    def _broken(self) -> UsageError:
        return UsageError(
            "file_form",
            f"The file {self.path.name} cannot be read as Parquet: it is cut off, encrypted or another kind "
            "of file. Write it again.",
        )

    def _unusable(self, kind: Any) -> str:
        """Why a column of this type cannot be used; "" when it can."""
        types = self.arrow.types
        kind = self._stored(kind)
        if types.is_nested(kind):
            return "holds lists or tables within its cells: write one value in each cell."
        if types.is_time(kind) or types.is_duration(kind) or types.is_interval(kind):
            return "holds times of day or durations: write them as numbers."
        known = (
            types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal,
            types.is_date, types.is_timestamp, types.is_string, types.is_large_string, types.is_string_view,
        )  # fmt: skip
        if any(test(kind) for test in known):
            return ""
        return "holds bytes, not values: write it as text or numbers."

    def _stored(self, kind: Any) -> Any:
        if isinstance(kind, self.arrow.BaseExtensionType):
            return self._stored(kind.storage_type)
        return self._stored(kind.value_type) if self.arrow.types.is_dictionary(kind) else kind

    def _piece(self, column: Any) -> Piece:
        arrow, types = self.arrow, self.arrow.types
        if isinstance(column.type, arrow.BaseExtensionType):
            return self._piece(column.storage)
        if types.is_dictionary(column.type):
            one = self._piece(column.dictionary_decode())
            levels = [str(value).strip() for value in column.dictionary.to_pylist() if value is not None]
            return pieces.with_levels(one, levels)
        gone = column.is_null().to_numpy(zero_copy_only=False)
        if types.is_null(column.type):
            return pieces.empty(len(gone))
        if types.is_boolean(column.type):
            return pieces.piece("integer", _filled(column, False), gone, [pieces.TRUTH])
        if types.is_integer(column.type):
            return self._integers(column, gone)
        if types.is_floating(column.type):
            single = [pieces.SINGLE] if column.type != arrow.float64() else []
            doubles = column.cast(arrow.float64()).to_numpy(zero_copy_only=False)
            return pieces.of_numbers(doubles.astype(np.float64), single)
        if types.is_decimal(column.type):
            return self._decimals(column)
        if types.is_date(column.type) or types.is_timestamp(column.type):
            return self._dates(column)
        coded = column.cast(arrow.large_string()).dictionary_encode()
        return pieces.of_texts(_codes(coded), coded.dictionary.to_pylist())

    def _integers(self, column: Any, gone: Any) -> Piece:
        numbers = _filled(column, 0)
        if len(numbers) and numbers.max() > BIGGEST:  # of an unsigned column
            texts = np.array([str(number) for number in numbers.tolist()], dtype=object)
            return pieces.piece("text", texts, gone, [pieces.TOO_LONG])
        return pieces.piece("integer", numbers, gone)

    def _decimals(self, column: Any) -> Piece:
        """The double nearest to each decimal number, whole ones as whole numbers."""
        coded = column.dictionary_encode()
        return pieces.of_decimals(_codes(coded), coded.dictionary.to_pylist(), column.type.scale <= 0)

    def _dates(self, column: Any) -> Piece:
        arrow = self.arrow
        notes = []
        if arrow.types.is_timestamp(column.type) and column.type.tz:
            notes = [f"Days are those of the time zone {column.type.tz}."]
            try:
                column = library("pyarrow.compute", "Parquet files").local_timestamp(column)
            except arrow.ArrowException:
                raise UsageError(
                    "file_form", f"The time zone {column.type.tz} of a column is not known on this machine."
                ) from None
        return pieces.of_moments(column.to_numpy(zero_copy_only=False), notes)


def _filled(column: Any, value: Any) -> Any:
    return column.fill_null(value).to_numpy(zero_copy_only=False)


def _codes(coded: Any) -> Any:
    return coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
