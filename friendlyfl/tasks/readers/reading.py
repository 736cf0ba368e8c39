"""What every reader of typed tables gives, and the two things all need: an optional library, a file's digest.

What does not live here: which reader reads what (formats), and what a piece of a column means (pieces).
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.readers.pieces import Piece

INSTALL = "pip install 'friendlyfl[data]'"


class Reading(Protocol):
    """An opened table. `names` are those a person sees; `refused` says why a column cannot be used."""

    names: tuple[str, ...]
    headers: tuple[str, ...]  # as the file has them
    refused: dict[str, str]
    words: str  # what was read, as a sentence
    notes: tuple[str, ...]

    def pieces(self, columns: Sequence[str], rows: int) -> Iterator[tuple[int, dict[str, Piece]]]:
        """These columns, so many rows at a time (the last time fewer), and how many it were."""

    def digest(self) -> str:
        """SHA-256 over what the table holds; once the rows are read, where it has no file."""

    def close(self) -> None:
        """Let go of files and connections."""


def library(module: str, what: str, extra: str = INSTALL) -> Any:
    """An optional library; one sentence says how to have it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise UsageError(
            "file_library", f"Reading {what} needs the package {name}, which is not installed: {extra}"
        ) from None


def opened(path: Path) -> None:
    """Refuse what is no readable file, before a library says it in its own words."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except FileNotFoundError:
        raise UsageError("dataset_missing", f"There is no file {path}: check its name and folder.") from None
    except IsADirectoryError:
        raise UsageError("dataset_missing", f"{path} is a folder: choose a file in it.") from None
    except OSError:
        raise UsageError(
            "dataset_missing",
            f"The file {path} cannot be opened: ask IT for the right to read it, or close it elsewhere.",
        ) from None


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
