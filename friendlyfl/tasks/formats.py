"""Which reader reads a dataset: a file by its ending, a database by its address.

`survey` looks through a table and says every guess in words, `read` gives the whole table with it, `batches` the same
table some rows at a time, `names` its columns, `stamp` what shows that a file was changed. A text column stays text
unless the file is CSV or Excel, where nothing else says what it is.

What does not live here: the reading itself (source for CSV, readers for everything else), and how addresses are
written and shown (places).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.chunks import Fits, Found, Part, first_found
from friendlyfl.tasks.columns import TYPES, Column, Find, Source, Survey
from friendlyfl.tasks.dictionary import close_names
from friendlyfl.tasks.places import DATABASES, Place, file_stamp
from friendlyfl.tasks.readers import pieces
from friendlyfl.tasks.readers.pieces import Piece
from friendlyfl.tasks.readers.reading import Reading, opened
from friendlyfl.tasks.sniff import sniff
from friendlyfl.tasks.source import CsvTable
from friendlyfl.tasks.tally import TypedTally

ROWS = 65_536
KINDS = "a CSV, Parquet (.parquet), Excel (.xlsx), SPSS (.sav) or Stata (.dta) file, or a database's address"
Codes = Collection[str] | Mapping[str, Collection[str]]
Progress = Callable[[float], None]
NOTHING_SAID: Mapping[str, str] = {}


def names(where: str | Path, *, csv: Mapping[str, str] = NOTHING_SAID) -> tuple[str, ...]:
    """The columns of a dataset that can be used. `csv` is as of `read`."""
    place = Place.of(where)
    if place.kind == "csv":
        return sniff(place.file, encoding=csv.get("encoding"), separator=csv.get("separator")).names
    if place.kind == "excel":
        from friendlyfl.tasks.readers.excel import sheet_names

        return sheet_names(place)
    with closing(_reading(place)) as reading:
        return _chosen(reading, None)


def survey(
    where: str | Path,
    *,
    columns: Sequence[str] | None = None,
    missing: Codes = (),
    types: Mapping[str, str] | None = None,
    csv: Mapping[str, str] = NOTHING_SAID,
    progress: Progress | None = None,
) -> Survey:
    """What the table is, as of `read`, looked through some rows at a time."""
    place = Place.of(where)
    if place.kind == "csv":
        return _csv_table(place, columns, missing, types, csv, progress).survey
    return _checked(where, columns, missing, types or {}, progress, whole=False)


def read(
    where: str | Path,
    *,
    columns: Sequence[str] | None = None,
    missing: Codes = (),
    types: Mapping[str, str] | None = None,
    csv: Mapping[str, str] = NOTHING_SAID,
    progress: Progress | None = None,
) -> Source:
    """The whole table. `missing` and `types` are as of `read_csv`, and so is what `csv` says of a text file: encoding,
    separator, decimal. `progress` is told the fraction done."""
    place = Place.of(where)
    if place.kind == "csv":
        return _csv_table(place, columns, missing, types, csv, progress, keep=True).whole()
    source = _checked(where, columns, missing, types or {}, progress, whole=True)
    assert isinstance(source, Source)
    return source


def _checked(
    where: str | Path,
    columns: Sequence[str] | None,
    missing: Codes,
    types: Mapping[str, str],
    progress: Progress | None,
    whole: bool,
) -> Survey:
    place = Place.of(where)
    if place.path:
        opened(place.path)
    before = stamp(where)
    found: Survey | None
    if place.kind == "excel":
        from friendlyfl.tasks.readers.excel import read_excel

        found = read_excel(place, columns=columns, missing=missing, types=types)
    else:
        found = _typed(place, columns, missing, types, whole) or _typed(place, columns, missing, types, True)
    assert found is not None
    if stamp(where) != before:
        raise UsageError(
            "dataset_changed", f"The file {place.file.name} changed while it was read: read it again."
        )
    if progress:
        progress(1.0)
    return found


def batches(
    where: str | Path,
    *,
    columns: Sequence[str] | None = None,
    missing: Codes = (),
    types: Mapping[str, str] | None = None,
    csv: Mapping[str, str] = NOTHING_SAID,
    rows: int = ROWS,
) -> Iterator[pd.DataFrame]:
    """The table, `rows` rows at a time (the last time fewer), each frame's index going on where the last ended.

    A table is read in memory of one batch, a sheet of Excel apart, which is one batch of the whole; a CSV file has
    batches of its own length. Of `types`, factor and text give words as they are written, integer and number the codes
    under an SPSS column's labels, and in a CSV or Excel file everything counts as a person said it.
    """
    place = Place.of(where)
    if place.kind == "csv":
        yield from _csv_table(place, columns, missing, types, csv).frames()
        return
    if place.kind == "excel":
        source = read(where, columns=columns, missing=missing, types=types)
        yield (
            source.frame.set_index(pd.RangeIndex(source.rows))
            if len(source.columns)
            else _no_columns(0, source.rows)
        )
        return
    with closing(_reading(place, types=types or {}, hashing=False)) as reading:
        chosen = _chosen(reading, columns)
        codes = codes_of(missing, chosen)
        start = 0
        for count, found in reading.pieces(chosen, rows):
            frame = _no_columns(start, count)
            for name, one in found.items():
                kept = pieces.without(one, codes[name])
                words_ = (types or {}).get(name) in ("factor", "text")
                frame[name] = pieces.array(pieces.as_words(kept) if words_ else kept)
            yield frame
            start += count


def _csv_table(
    place: Place,
    columns: Sequence[str] | None,
    missing: Codes,
    types: Mapping[str, str] | None,
    csv: Mapping[str, str],
    progress: Progress | None = None,
    keep: bool = False,
) -> CsvTable:
    return CsvTable(
        place.file,
        columns=columns,
        missing=missing,
        types=types,
        encoding=csv.get("encoding"),
        separator=csv.get("separator"),
        decimal=csv.get("decimal"),
        progress=progress,
        keep=keep,
    )


def _no_columns(start: int, count: int) -> pd.DataFrame:
    return pd.DataFrame(index=pd.RangeIndex(start, start + count))


def stamp(where: str | Path) -> tuple[int, int, int] | None:
    """Changes when the file of a dataset does; None for a database, which may change at any time.

    Raises FileNotFoundError and other OSErrors.
    """
    place = Place.of(where)
    return None if place.kind in DATABASES else file_stamp(place.file)


def _typed(
    place: Place, columns: Sequence[str] | None, missing: Codes, types: Mapping[str, str], whole: bool
) -> Survey | None:
    """A table from a source that says each column's type. None where a column turns out to mix types, which only the
    whole of it decides."""
    with closing(_reading(place, types=types)) as reading:
        chosen = _chosen(reading, columns)
        for name, kind in types.items():
            if kind not in TYPES:
                raise UsageError(
                    "column_type", f"Column “{name}” cannot be “{kind}”: choose one of {', '.join(TYPES)}."
                )
        codes = codes_of(missing, chosen)
        seen = {name: TypedTally(types.get(name, ""), codes[name]) for name in chosen}
        kept: dict[str, list[Piece]] = {name: [] for name in chosen}
        rows = 0
        for count, found in reading.pieces(chosen, ROWS):
            rows += count
            for name, one in found.items():
                if whole:
                    kept[name].append(one)
                else:
                    seen[name].add(one)
        if not rows:
            raise UsageError("dataset_empty", f"{place.shown} has columns but no rows.")
        if any(tallied.mixed for tallied in seen.values()):
            return None
        frame, described = {}, []
        for name, tallied in seen.items():
            part = tallied.add(pieces.merged(kept.pop(name))) if whole else None
            header = reading.headers[reading.names.index(name)]
            find = _finder(place, types, name, codes[name], part)
            column = Column(name, header, types.get(name, ""), find)
            decided = column.typed(tallied.tally, tuple(tallied.notes), tallied.levels)
            described.append(decided.description)
            if part:
                frame[name] = decided.array(part)
        left_out = (
            ()
            if columns is not None
            else tuple(f"Column “{name}” was left out: it {words}" for name, words in reading.refused.items())
        )
        notes = (*reading.notes, *left_out)
        told = Survey(tuple(described), reading.words, reading.digest(), rows, notes)
        if not whole:
            return told
        return Source(**vars(told), frame=pd.DataFrame(frame, index=pd.RangeIndex(rows)))


def _finder(
    place: Place, types: Mapping[str, str], name: str, codes: frozenset[str], part: Part | None
) -> Find:
    """Looks for words of a column: in the whole of it, or reading it again."""

    def find(fits: Fits) -> list[Found]:
        if part:
            return first_found([part], fits)
        with closing(_reading(place, types=types, hashing=False)) as reading:
            again = TypedTally(types.get(name, ""), codes)
            return first_found((again.add(found[name]) for _, found in reading.pieces([name], ROWS)), fits)

    return find


def _reading(place: Place, types: Mapping[str, str] | None = None, hashing: bool = True) -> Reading:
    if place.kind == "parquet":
        from friendlyfl.tasks.readers.parquet import ParquetReading

        return ParquetReading(place.file)
    if place.kind in ("spss", "stata"):
        from friendlyfl.tasks.readers.labelled import LabelledReading

        return LabelledReading(place, types or {})
    from friendlyfl.tasks.readers.sql import SqlReading

    return SqlReading(place, hashing)


def types_for(where: str | Path, declared: Mapping[str, str]) -> dict[str, str]:
    """What to ask of each column when a dictionary declares its type.

    Levels and text are read as they are written: 1.0 must not become 1. Of a file with labels a number is its code.
    Everything else is left to the check against the dictionary, which names the rows.
    """
    asked = {"factor", "text"}
    if Place.of(where).kind in ("spss", "stata"):
        asked |= {"integer", "number"}
    return {name: kind for name, kind in declared.items() if kind in asked}


def codes_of(missing: Codes, columns: Sequence[str]) -> dict[str, frozenset[str]]:
    """What means "no value", by column."""
    return {
        name: frozenset(missing.get(name, ()) if isinstance(missing, Mapping) else missing)
        for name in columns
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
