"""One sheet of an Excel workbook (.xlsx): its first row with anything in it names the columns.

Cells have no agreed type in a sheet, so that a column is judged as one of a CSV file is: numbers stored as text become
numbers when all cells allow it. Formulas give the values stored with them. Nothing is computed, no macro and no link
followed, and what a small file may unfold to is bounded.
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.chunks import Part, first_found, part
from friendlyfl.tasks.columns import Column, Source
from friendlyfl.tasks.dictionary import close_names, level_text
from friendlyfl.tasks.places import Place
from friendlyfl.tasks.readers import pieces
from friendlyfl.tasks.readers.reading import file_digest, library, opened
from friendlyfl.tasks.sniff import unique_names
from friendlyfl.tasks.tally import Tally

UNFOLDED_BYTES = 1 << 30  # of all parts of a workbook together
PARTS = 10_000
CELLS = 50_000_000
LONGEST_INTEGER = 10**18
Codes = Collection[str] | Mapping[str, Collection[str]]


def sheet_names(place: Place) -> tuple[str, ...]:
    """The columns of the sheet."""
    return _Sheet(place).names


def read_excel(
    place: Place, *, columns: Sequence[str] | None, missing: Codes, types: Mapping[str, str]
) -> Source:
    """The sheet as a table, and what was guessed of it."""
    sheet = _Sheet(place)
    chosen = sheet.names if columns is None else tuple(dict.fromkeys(columns))
    for name in [*chosen, *types]:
        if name not in sheet.names:
            raise UsageError(
                "column_missing", f"The sheet has no column “{name}”.{close_names(name, sheet.names)}"
            )
    if not sheet.rows:
        raise UsageError("dataset_empty", f"The sheet {sheet.title} has a header row but no rows below it.")
    frame, described = {}, []
    for name in chosen:
        place_ = sheet.names.index(name)
        codes = frozenset(missing.get(name, ()) if isinstance(missing, Mapping) else missing)
        wish = types.get(name, "")
        one, notes = _part([row[place_] for row in sheet.rows], codes, wish)
        column = Column(name, sheet.headers[place_], wish, partial(first_found, [one], line=sheet.line))
        tally = Tally(whole=wish == "integer")
        tally.add(one)
        decided = column.finish(tally, notes)
        frame[name] = decided.array(one)
        described.append(decided.description)
    table = pd.DataFrame(frame, index=pd.RangeIndex(len(sheet.rows)))
    words = f"The sheet “{sheet.title}” of an Excel workbook, {len(sheet.names)} columns."
    told = (tuple(described), words, file_digest(place.file), len(sheet.rows), tuple(sheet.notes))
    return Source(*told, frame=table)


class _Sheet:
    """Header and rows of a sheet, empty rows left out; `lines` are the rows' numbers in the sheet."""

    def __init__(self, place: Place) -> None:
        self.path = place.file
        self.library = library("openpyxl", "Excel files")
        opened(self.path)
        marks = _looked_over(self.path)
        self.notes: list[str] = []
        self.rows: list[tuple[Any, ...]] = []
        self.lines: list[int] = []
        with self._workbook(True) as book:
            sheet = self._chosen(book, place.part)
            self.title = str(sheet.title)
            self._read(sheet)
        if marks.formulas:
            self._check_formulas()
        if marks.merged:
            self.notes.append("Of merged cells only the first holds the value: the others are empty.")

    @contextmanager
    def _workbook(self, values: bool) -> Iterator[Any]:
        try:
            book = self.library.load_workbook(
                self.path, read_only=True, data_only=values, keep_links=False, keep_vba=False
            )
        except Exception:  # of the library, whose kinds of errors it does not promise
            raise self._broken() from None
        try:
            yield book
        except (UsageError, MemoryError):
            raise
        except Exception:
            raise self._broken() from None
        finally:
            book.close()

    def _broken(self) -> UsageError:
        return UsageError(
            "file_form", f"The file {self.path.name} cannot be read as a workbook: save it again as .xlsx."
        )

    def _chosen(self, book: Any, wanted: str) -> Any:
        titles = [str(sheet.title) for sheet in book.worksheets]
        if wanted:
            if wanted not in titles:
                raise UsageError(
                    "file_sheet",
                    f"The workbook {self.path.name} has no sheet “{wanted}”.{close_names(wanted, titles)} "
                    f"It has: {', '.join(titles)}.",
                )
            return book.worksheets[titles.index(wanted)]
        shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        if not shown:
            raise UsageError("file_sheet", f"The workbook {self.path.name} has no sheet with cells.")
        if len(titles) > 1:
            self.notes.append(
                f"The workbook has {len(titles)} sheets, and “{shown[0].title}” was read. Another one is chosen by "
                f"its name: {self.path.name}#{next(t for t in titles if t != shown[0].title)}"
            )
        return shown[0]

    def _read(self, sheet: Any) -> None:
        sheet.reset_dimensions()  # what the file says of its size is not believed
        header: tuple[Any, ...] | None = None
        cells = empty = waiting = 0
        rows: list[tuple[Any, ...]] = []
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            cells += len(row) + 1
            if cells > CELLS:
                raise UsageError(
                    "file_size", f"The sheet “{self.title}” is too large: write the table as Parquet or CSV."
                )
            filled = _width(row)
            if not filled:
                waiting += header is not None
                continue
            if header is None:
                header, self.header_line = row[:filled], number
                continue
            if filled > len(header):
                raise UsageError(
                    "file_header",
                    f"Row {number} of the sheet “{self.title}” has a value to the right of the last column name: the "
                    "first row that is not empty must name all columns. Take out titles and notes around the table.",
                )
            empty, waiting = empty + waiting, 0
            rows.append((*row, *(None,) * (len(header) - len(row)))[: len(header)])
            self.lines.append(number)
        if header is None:
            raise UsageError("dataset_empty", f"The sheet “{self.title}” is empty.")
        if empty:
            self.notes.append(
                "1 empty row was left out." if empty == 1 else f"{empty:,} empty rows were left out."
            )
        self._name(header, rows)

    def _name(self, header: tuple[Any, ...], rows: list[tuple[Any, ...]]) -> None:
        """Names of columns; a column without a name and without a value is no column."""
        if all(isinstance(cell, (int, float)) for cell in header if not _blank(cell)):
            raise UsageError(
                "file_header", f"The first row of the sheet “{self.title}” holds numbers, not column names."
            )
        kept = [
            place
            for place, cell in enumerate(header)
            if not _blank(cell) or any(not _blank(row[place]) for row in rows)
        ]
        self.kept = kept
        self.headers = tuple("" if _blank(header[place]) else _word(header[place]) for place in kept)
        self.names, notes = unique_names(list(self.headers))
        self.notes += notes
        self.rows = (
            rows if len(kept) == len(header) else [tuple(row[place] for place in kept) for row in rows]
        )

    def line(self, row: int) -> int:
        return self.lines[row - 1]

    def _check_formulas(self) -> None:
        """A formula that was never computed has no value: that is no gap."""
        with self._workbook(False) as book:
            sheet = next(sheet for sheet in book.worksheets if sheet.title == self.title)
            sheet.reset_dimensions()
            wanted = dict(zip(self.lines, self.rows, strict=True))
            nothing = (None,) * len(self.kept)
            for number, row in enumerate(sheet.iter_rows(), start=1):
                if number <= self.header_line:
                    continue
                for value, at in zip(wanted.get(number, nothing), self.kept, strict=True):
                    if value is None and at < len(row) and row[at].data_type == "f":
                        raise UsageError(
                            "file_formula",
                            f"Cell {row[at].coordinate} of the sheet “{self.title}” is a formula whose value was "
                            "never computed: open the workbook in Excel, and save it.",
                        )


class _Marks:
    formulas = merged = False


def _looked_over(path: Path) -> _Marks:
    """Refuse what unfolds to too much, before a library unfolds it."""
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise UsageError(
            "file_form",
            f"The file {path.name} is protected by a password, or an old Excel workbook: save it as .xlsx without one.",
        )
    marks = _Marks()
    try:
        with zipfile.ZipFile(path) as packed:
            parts = packed.infolist()
            if len(parts) > PARTS or sum(one.file_size for one in parts) > UNFOLDED_BYTES:
                raise UsageError(
                    "file_size",
                    f"The workbook {path.name} unfolds to too much: write the table as Parquet or CSV.",
                )
            for one in parts:
                if not one.filename.endswith((".xml", ".rels")):
                    continue
                with packed.open(one) as content:  # never gives more than the size it declares
                    _look(content, path, marks, one.filename.startswith("xl/worksheets/"))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError):
        raise UsageError(
            "file_form", f"The file {path.name} is no Excel workbook, or it is damaged: save it again."
        ) from None
    return marks


def _look(content: Any, path: Path, marks: _Marks, sheet: bool) -> None:
    block = content.read(4096)
    if b"<!DOCTYPE" in block or b"<!ENTITY" in block:
        raise UsageError(
            "file_form", f"The workbook {path.name} holds a document type, which workbooks have not."
        )
    while sheet and block:
        marks.formulas = marks.formulas or re.search(rb"<f[ >/]", block) is not None
        marks.merged = marks.merged or b"<mergeCell " in block
        block = block[-16:] + more if (more := content.read(1 << 20)) else b""


def _blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _width(row: Sequence[Any]) -> int:
    """How many cells up to the last one that holds something."""
    width = len(row)
    while width and _blank(row[width - 1]):
        width -= 1
    return width


def _part(values: list[Any], codes: frozenset[str], wish: str) -> tuple[Part, tuple[str, ...]]:
    """The cells of a column: plain numbers as they are stored, everything else as words to be judged."""
    gone = np.array([_blank(value) for value in values], dtype=np.bool_)
    kinds = {type(value) for value in values if not _blank(value)}
    if (
        kinds
        and kinds <= {int, float, bool}
        and wish not in ("factor", "text")
        and (bool not in kinds or kinds == {bool})
    ):
        plain = [0 if absent else value for value, absent in zip(values, gone, strict=True)]
        whole = float not in kinds and all(abs(value) < LONGEST_INTEGER for value in plain)
        if whole or float in kinds:
            one = pieces.without(pieces.piece("integer" if whole else "number", plain, gone), codes)
            if one.missing.all():
                return Part("empty", pieces.empty(len(gone)).values, one.missing), ()
            decimals = 0 if whole else _decimals(one.values[~one.missing])
            part_ = Part("int" if whole else "point", one.values, one.missing, not whole, decimals)
            return part_, (pieces.TRUTH,) if kinds == {bool} else ()
    return part(["" if _blank(value) else _word(value) for value in values], codes, True), ()


def _decimals(values: Any) -> int:
    """The most decimals with which these numbers are written."""
    return max(len(repr(value).partition(".")[2].removesuffix("0")) for value in np.unique(values).tolist())


def _word(value: Any) -> str:
    """A cell as a CSV file would hold it."""
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    return level_text(value) if not isinstance(value, dt.date) else value.isoformat()
