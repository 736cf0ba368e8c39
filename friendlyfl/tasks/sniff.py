"""What kind of text file is this: bytes to encoding, separator and column names. Every guess is said.

The whole file is passed over once, in blocks, for its digest and to be sure that every byte is readable; the
separator is decided on the first lines. What the cells mean (cells) and reading them (source) live elsewhere.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from friendlyfl.core.errors import UsageError

BLOCK = 1 << 20
SAMPLE_ROWS = 200
LINE = 1 << 20  # characters looked at in one line of the sample
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars", ",": "commas"}  # in order of trust

Progress = Callable[[float], None]

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig", "UTF-8 with a byte order mark"),
    (b"\xff\xfe", "utf-16", "UTF-16"),
    (b"\xfe\xff", "utf-16", "UTF-16"),
)
_WORDS = {"utf-8": "UTF-8", "cp1252": "Windows-1252", **{name: words for _, name, words in _BOMS}}
_OTHER_KINDS = (
    (b"PK\x03\x04", "an Excel workbook or a zip file"),
    (b"PK\x05\x06", "an empty zip file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a compressed file (gzip)"),
    (b"7z\xbc\xaf", "a compressed file (7z)"),
    (b"%PDF", "a PDF"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"$FL2", "an SPSS file"),
    (b"$FL3", "an SPSS file"),
    (b"<stata_dta>", "a Stata file"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
)


@dataclass(frozen=True)
class Sniffed:
    """What a CSV file looks like before its rows are read."""

    encoding: str  # as Python names it: utf-8, utf-8-sig, utf-16, cp1252
    separator: str
    names: tuple[str, ...]  # made unique and never empty
    headers: tuple[str, ...]  # as the file has them
    skipped: int  # lines above the header: blank ones and Excel's `sep=;`
    quotes: bool  # is there a quote mark anywhere?
    size: int
    digest: str
    notes: tuple[str, ...]

    @property
    def words(self) -> str:
        """The guesses as a sentence for a person."""
        letters = _WORDS.get(self.encoding, self.encoding)
        if len(self.names) == 1:
            return f"Text in {letters}, one column without a separator."
        kind = SEPARATORS.get(self.separator, f"“{self.separator}”")
        return f"Text in {letters}, {len(self.names)} columns separated by {kind}; blanks around cells are ignored."

    def reader(self, text: io.TextIOBase) -> tuple[Any, int]:
        """The csv reader of the open file, standing at the first row, and the number of lines above it."""
        for _ in range(self.skipped):
            text.readline()
        reader = self.split(text)
        next(reader)
        return reader, self.skipped

    def split(self, lines: Iterable[str]) -> Any:
        """A csv reader of these lines."""
        return csv.reader(lines, delimiter=self.separator, strict=True, skipinitialspace=True)


def sniff(
    path: str | Path,
    *,
    encoding: str | None = None,
    separator: str | None = None,
    progress: Progress | None = None,
) -> Sniffed:
    """Look at a file. `encoding` and `separator` are a person's corrections of what would be guessed."""
    path = Path(path)
    try:
        guess, quotes, size, digest = _scan(path, encoding, progress)
        with path.open("r", encoding=guess, newline="") as text:
            sample = list(itertools.islice(_lines(text), SAMPLE_ROWS * 4))
    except UnicodeError:
        raise _unreadable(path, encoding) from None
    except LookupError:
        raise UsageError(
            "csv_encoding", f"The encoding “{encoding}” is not known: use utf-8 or cp1252."
        ) from None
    except OSError as error:
        raise _cannot_open(path, error) from None
    skipped = 0
    if sample and (marker := re.fullmatch(r"sep=(.)[\r\n]*", sample[0], re.IGNORECASE)):
        separator, skipped = separator or marker[1], 1
    while skipped < len(sample) and not sample[skipped].strip():
        skipped += 1
    lines = sample[skipped:]
    if not lines:
        raise UsageError(
            "dataset_empty", f"The file {path.name} is empty: choose a file with a header line and rows."
        )
    _refuse_other_text(path, lines[0])
    chosen = separator or _separator(lines)
    header = _first_record(path, lines, chosen)
    names, notes = unique_names(header)
    return Sniffed(guess, chosen, names, tuple(header), skipped, quotes, size, digest, notes)


def _lines(text: io.TextIOBase) -> Iterator[str]:
    """Lines of a bounded length, so that a file without line ends does not fill the memory."""
    while line := text.readline(LINE):
        yield line


def _scan(path: Path, encoding: str | None, progress: Progress | None) -> tuple[str, bool, int, str]:
    """Encoding, quote marks, size and SHA-256. Windows-1252 is tried when the bytes are not UTF-8 throughout."""
    with path.open("rb") as file:
        start = file.read(64)
        _refuse_other_files(path, start)
        guess = encoding or next((name for bom, name, _ in _BOMS if start.startswith(bom)), "utf-8")
        try:
            return guess, *_pass_over(path, file, guess, progress)
        except UnicodeDecodeError:
            if encoding or guess != "utf-8":
                raise
            return "cp1252", *_pass_over(path, file, "cp1252", progress)


def _pass_over(path: Path, file: BinaryIO, encoding: str, progress: Progress | None) -> tuple[bool, int, str]:
    """Quote marks, size and digest of a file of which every byte is text in this encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    digest, quotes, size, total = hashlib.sha256(), False, 0, max(path.stat().st_size, 1)
    file.seek(0)
    block = b"first"
    while block:
        block = file.read(BLOCK)
        digest.update(block)
        size += len(block)
        text = decoder.decode(block, final=not block)
        quotes = quotes or '"' in text
        if "\0" in text:
            raise _another_kind(path, "not a text file")
        if progress:
            progress(min(size / total, 1.0))
    return quotes, size, digest.hexdigest()


def _refuse_other_files(path: Path, start: bytes) -> None:
    for magic, kind in _OTHER_KINDS:
        if start.startswith(magic):
            raise _another_kind(path, kind)


def _refuse_other_text(path: Path, line: str) -> None:
    start = line.lstrip()[:1]
    if start in ("<", "{", "["):
        raise _another_kind(path, "a web page or XML" if start == "<" else "JSON")


def _another_kind(path: Path, kind: str) -> UsageError:
    return UsageError(
        "csv_other_file",
        f"The file {path.name} is {kind}, so not a CSV file: save the table as CSV and choose that.",
    )


def _unreadable(path: Path, encoding: str | None) -> UsageError:
    what = _WORDS.get(encoding, encoding) if encoding else "neither UTF-8 nor Windows-1252"
    return UsageError(
        "csv_encoding",
        f"The letters in {path.name} cannot be read{f' as {what}' if encoding else f': they are {what}'}. "
        "Save the file as “CSV UTF-8” and choose it again.",
    )


def _cannot_open(path: Path, error: OSError) -> UsageError:
    if isinstance(error, FileNotFoundError):
        return UsageError("dataset_missing", f"There is no file {path}: check its name and folder.")
    if isinstance(error, IsADirectoryError):
        return UsageError("dataset_missing", f"{path} is a folder: choose a CSV file in it.")
    return UsageError(
        "dataset_missing",
        f"The file {path} cannot be opened: ask IT for the right to read it, or close it elsewhere.",
    )


def _separator(lines: list[str]) -> str:
    """The separator that cuts the header and the first rows into the same number of cells."""
    best, best_share = ",", 0.0
    for candidate in SEPARATORS:
        widths = _widths(lines, candidate)
        if not widths or widths[0] < 2:
            continue
        share = sum(width == widths[0] for width in widths) / len(widths)
        if share > best_share:
            best, best_share = candidate, share
    return best


def _widths(lines: list[str], separator: str) -> list[int]:
    widths = []
    reader = csv.reader(iter(lines), delimiter=separator, skipinitialspace=True)
    try:
        for row in itertools.islice(reader, SAMPLE_ROWS):
            if row:
                widths.append(len(row))
    except csv.Error:
        pass  # a quote mark never closed under this separator: what came before still counts
    return widths


def _first_record(path: Path, lines: list[str], separator: str) -> list[str]:
    if len(separator) != 1:
        raise UsageError("csv_separator", "The separator must be one character, such as ; or a tab.")
    reader = csv.reader(iter(lines), delimiter=separator, strict=True, skipinitialspace=True)
    try:
        header = next(reader)
    except csv.Error:
        raise UsageError(
            "csv_quotes",
            f"The header line of {path.name} has a quote mark that is not closed: repair that line.",
        ) from None
    if all(re.fullmatch(r"\s*[+-]?[0-9][0-9.,]*\s*", cell) for cell in header):
        raise UsageError(
            "csv_header", f"The first line of {path.name} holds numbers, not column names: add a header line."
        )
    return header


def unique_names(header: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Every column gets a name of its own; each change is said."""
    notes: list[str] = []
    cleaned = [re.sub(r"\s+", " ", name.replace("\ufeff", "")).strip() for name in header]
    taken = set(cleaned)
    names: list[str] = []
    seen: set[str] = set()
    for position, name in enumerate(cleaned, start=1):
        if name and name not in seen:
            chosen = name
        else:
            stem, number = (name, 2) if name else ("column", position)
            while (chosen := f"{stem}_{number}") in taken:
                number += 1
            taken.add(chosen)
            what = f"The name “{name}” occurs more than once" if name else f"Column {position} has no name"
            notes.append(f"{what}: column {position} is called “{chosen}” here.")
        seen.add(chosen)
        names.append(chosen)
    return tuple(names), tuple(notes)
