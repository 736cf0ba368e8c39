"""Which reader reads a dataset: a file by its ending, a database by its address.

`read` gives the whole table with every guess in words, `batches` the same table some rows at a time, `names` its
columns. A text column stays text here unless the file is CSV or Excel, where nothing else says what it is.

What does not live here: the reading itself (source for CSV, readers for everything else).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.dictionary import close_names
from friendlyfl.tasks.readers import pieces
from friendlyfl.tasks.readers.reading import Reading
from friendlyfl.tasks.source import read_csv

ROWS = 65_536
Codes = Collection[str] | Mapping[str, Collection[str]]


def batches(
    where: str | Path,
    *,
    columns: Sequence[str] | None = None,
    missing: Codes = (),
    types: Mapping[str, str] | None = None,
    rows: int = ROWS,
) -> Iterator[pd.DataFrame]:
    """The table, `rows` rows at a time (the last time fewer), each frame's index going on where the last ended.

    Parquet is read in memory of one batch; a CSV file is one batch of the whole.
    """
    if (reading := _reading(where)) is None:
        yield read_csv(where, columns=columns, missing=missing, types=types).frame
        return
    try:
        chosen = _chosen(reading, columns)
        codes = _codes(missing, chosen)
        start = 0
        for found in reading.pieces(chosen, rows):
            frame = {}
            for name, one in found.items():
                kept = pieces.without(one, codes[name])
                words = (types or {}).get(name, "") in ("factor", "text")
                frame[name] = pieces.array(pieces.as_words(kept) if words else kept)
            count = len(next(iter(found.values()), np.zeros(0)))
            yield pd.DataFrame(frame, index=pd.RangeIndex(start, start + count))
            start += count
    finally:
        reading.close()


def _reading(where: str | Path) -> Reading | None:
    if Path(where).suffix.lower() in (".parquet", ".pq"):
        from friendlyfl.tasks.readers.parquet import ParquetReading

        return ParquetReading(Path(where))
    return None


def _codes(missing: Codes, names: Sequence[str]) -> dict[str, frozenset[str]]:
    return {
        name: frozenset(missing.get(name, ()) if isinstance(missing, Mapping) else missing) for name in names
    }


def _chosen(reading: Reading, columns: Sequence[str] | None) -> tuple[str, ...]:
    """The columns asked for, or all that can be used."""
    if columns is None:
        return tuple(name for name in reading.names if name not in reading.refused)
    for name in columns:
        if name not in reading.names:
            raise UsageError(
                "column_missing", f"The table has no column “{name}”.{close_names(name, reading.names)}"
            )
        if name in reading.refused:
            raise UsageError("column_type", f"Column “{name}” {reading.refused[name]}")
    return tuple(dict.fromkeys(columns))
