"""Reading a CSV file as hospitals write it into a typed table, and saying everything that was guessed in words.

`read_csv` gives a `Source`: the table, a description of each column, the digest of the file. Only what every
cell of a column allows is converted; a column that is nearly numeric stays text and lists its odd rows, by the
number a person counts and by the line of the file. These lists hold values: they are for the hospital's own
people.

What does not live here: encodings and separators (sniff), what a column is (columns), the agreed
dictionary and a site's own names and codes (mapping), other kinds of source.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import cells
from friendlyfl.tasks.chunks import Part, Rows
from friendlyfl.tasks.columns import TYPES, Column, ColumnDescription, OddRow, Source
from friendlyfl.tasks.dictionary import close_names
from friendlyfl.tasks.sniff import Progress, Sniffed, sniff

__all__ = ["ColumnDescription", "OddRow", "Source", "read_csv", "sniff"]


def read_csv(
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    missing: Collection[str] | Mapping[str, Collection[str]] = (),
    types: Mapping[str, str] | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    progress: Progress | None = None,
) -> Source:
    """Read a CSV file.

    An empty cell is missing; other words and numbers are missing only where `missing` says so, exactly as they
    are written: for all columns, or by column. `types`, `encoding`, `separator` and `decimal` are a person's
    corrections of what would be guessed. `progress` is told the fraction done.
    """
    path = Path(path)
    before = _stamp(path)
    tell = progress or (lambda fraction: None)
    look = sniff(path, encoding=encoding, separator=separator, progress=lambda f: tell(0.1 * f))
    chosen = _chosen(look, columns)
    wishes = _wishes(look, types or {}, decimal)
    codes = {
        name: frozenset(missing.get(name, ()) if isinstance(missing, Mapping) else missing) for name in chosen
    }
    words = {name for name in chosen if wishes.get(name, "").startswith(("text", "factor", "date"))}
    rows = Rows(path, look)
    parts = rows.read(chosen, codes, words, lambda f: tell(0.1 + 0.8 * f))
    sign = decimal or _decimal_sign(look, parts)
    again = tuple(name for name in chosen if _needs_words(parts[name], sign))
    if again:
        parts |= rows.read(again, codes, again, lambda f: tell(0.9))
    if _stamp(path) != before:
        raise UsageError("dataset_changed", f"The file {path.name} changed while it was read: read it again.")
    described = []
    frame: dict[str, Any] = {}
    for name in chosen:
        header = look.headers[look.names.index(name)]
        column = Column(name, header, wishes.get(name, ""), rows.line, sign, bool(decimal))
        frame[name], description = column.finish(parts.pop(name))
        described.append(description)
    tell(1.0)
    notes = (*look.notes, *rows.notes)
    return Source(pd.DataFrame(frame), tuple(described), look.words, look.digest, rows.count, notes)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0)  # sniff says it in words
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _chosen(look: Sniffed, columns: Sequence[str] | None) -> tuple[str, ...]:
    if columns is None:
        return look.names
    for name in columns:
        _known(look, name)
    return tuple(dict.fromkeys(columns))


def _known(look: Sniffed, name: str) -> None:
    if name not in look.names:
        raise UsageError("column_missing", f"The file has no column “{name}”.{close_names(name, look.names)}")


def _wishes(look: Sniffed, types: Mapping[str, str], decimal: str | None) -> Mapping[str, str]:
    for name, kind in types.items():
        _known(look, name)
        if kind not in TYPES:
            raise UsageError(
                "column_type", f"Column “{name}” cannot be “{kind}”: choose one of {', '.join(TYPES)}."
            )
    if decimal not in (None, ".", ","):
        raise UsageError("csv_decimal", "The decimal sign is a point or a comma.")
    return types


def _decimal_sign(look: Sniffed, parts: Mapping[str, list[Part]]) -> str:
    """The decimal sign that the file shows by cells with one reading only; "" when it shows none or both."""
    shown = {
        "." if part.kind == "point" else ","
        for column in parts.values()
        if len({part.kind for part in column} - {"empty", "int"}) == 1
        for part in column
        if part.kind in ("point", "comma") and part.proven
    }
    if not shown:
        words = (part.values for column in parts.values() for part in column if part.kind == "words")
        shown = {sign for values in words if (sign := cells.proves(set(values) - {None}))}
    if not shown and look.separator == ",":
        return "."  # commas are taken
    return shown.pop() if len(shown) == 1 else ""


def _needs_words(column: list[Part], sign: str) -> bool:
    """Were numbers read chunk by chunk that cannot stand? Then the whole column is judged from its words."""
    kinds = {part.kind for part in column} - {"empty", "int"}
    if not kinds or kinds == {"words"} == {part.kind for part in column} - {"empty"}:
        return False
    if kinds == {"point"}:
        return sign != "." and not any(part.proven for part in column)
    if kinds == {"comma"}:
        return sign != "," and not any(part.proven for part in column)
    return True
