"""From a hospital's dataset to columns in the dictionary's terms, some rows at a time.

What a run reads goes through here once, when the hospital prepares: read, mapped, checked, put into files. Nothing is
guessed anew in a round. Reading is `formats`' business, the hospital's own names and codes are `mapping`'s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import formats
from friendlyfl.tasks.column_files import Array, ColumnFiles
from friendlyfl.tasks.corrections import Corrections
from friendlyfl.tasks.description import Fit
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.mapping import COMPARISONS, ColumnMap, Mapping, identity_mapping, values_of
from friendlyfl.tasks.places import DATABASES, Place
from friendlyfl.tasks.row_marks import MarkFiles
from friendlyfl.tasks.values import counting_from, missing_column

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Intake:
    """A dataset and how its columns become the dictionary's; without a mapping, columns are matched by name.

    What a person corrected of a column's type counts where the dictionary does not ask for the words as written.
    """

    where: str
    missing: Collection[str]
    mapping: Mapping | None
    dictionary: Dictionary
    corrections: Corrections = field(default_factory=Corrections)

    def columns(
        self, names: Collection[str], folder: Path, row_marks: MarkFiles | None = None
    ) -> ColumnFiles:
        """Those of the named columns that the hospital has, as files in a folder, which is made; `row_marks` takes the
        marks of the hospital's own columns that are read for them.

        Raises DataError with rows and values, for the hospital's own people.
        """
        wanted, own = self._wanted
        chosen = tuple(name for name in self.dictionary if name in names and name in wanted.columns)
        read = self._read(wanted, own, chosen)
        folder.mkdir(mode=0o700, parents=True)
        made = ColumnFiles.write(folder, self._parts(read, chosen, row_marks), self.dictionary, chosen)
        _same_as_before(folder, len(made))
        return made

    def sources(self, names: Iterable[str]) -> tuple[str, ...]:
        """The hospital's own columns from which those of the dictionary are made."""
        wanted, _ = self._wanted
        chosen = (wanted.columns[name] for name in names if name in wanted.columns)
        return tuple(dict.fromkeys(source for entry in chosen for source in entry.sources))

    def table(self, folder: Path) -> str:
        """The same as long as the same rows are read in the same order; `columns` has filled the folder."""
        place = Place.of(self.where)
        if place.kind in DATABASES:
            return f"columns:{_mark_of(folder).read_text('ascii')}"
        with place.file.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        said = [digest, place.part, self.corrections.to_json()]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def fit(self, progress: Callable[[float], None]) -> dict[str, Any]:
        """How each column of the dictionary that is mapped here fits, and how many rows there are: with sentences for
        the hospital's own people."""
        wanted, own = self._wanted
        there = tuple(
            name
            for name in self.dictionary
            if name in wanted.columns and not set(wanted.columns[name].sources) - set(own)
        )
        fit, rows = Fit(self.dictionary, there), 0
        for frame in self._read(wanted, own, there):
            with counting_from(rows):
                fit.add(frame, self._mapping_of(frame))
            rows += len(frame)
            progress(0.9)
        for name in wanted.columns:
            if name in self.dictionary and name not in there:
                away = next(source for source in wanted.columns[name].sources if source not in own)
                fit.found[name] = {
                    "n": 0,
                    "missing": rows,
                    "problem": missing_column(away, list(own)).message,
                }
        return {"columns": fit.found, "rows": rows}

    @cached_property
    def _wanted(self) -> tuple[Mapping, tuple[str, ...]]:
        import pandas as pd

        own = formats.names(self.where, csv=self.corrections.csv)
        return self._mapping_of(pd.DataFrame(columns=list(own))), own

    def _read(self, wanted: Mapping, own: tuple[str, ...], chosen: tuple[str, ...]) -> Iterator[pd.DataFrame]:
        sources = {source for name in chosen for source in wanted.columns[name].sources}
        said = {
            name: kind for name, kind in self.corrections.types.items() if name in sources and name in own
        }
        declared = {
            wanted.columns[name].column: kind
            for name in chosen
            if (kind := _read_as(wanted.columns[name], self.dictionary.spec(name).type))
        }
        asked = formats.types_for(self.where, {name: kind for name, kind in declared.items() if name in own})
        return formats.batches(
            self.where,
            columns=[name for name in own if name in sources],
            missing=self.corrections.codes(self.missing, own),
            types={**said, **asked},
            csv=self.corrections.csv,
        )

    def _mapping_of(self, frame: pd.DataFrame) -> Mapping:
        return self.mapping or identity_mapping(self.dictionary, frame)

    def _parts(
        self, read: Iterator[pd.DataFrame], names: tuple[str, ...], row_marks: MarkFiles | None
    ) -> Iterator[tuple[int, dict[str, Array]]]:
        start: Any = 0
        for frame in read:
            mapping = self._mapping_of(frame)
            with counting_from(start):
                values = {name: values_of(mapping, frame, self.dictionary.spec(name)) for name in names}
            if row_marks is not None:
                row_marks.add(frame)
            yield len(frame), values
            start += len(frame)


def _same_as_before(folder: Path, rows: int) -> None:
    """A run whose reader was started anew goes on with the rows it began with, or not at all."""
    found = hashlib.sha256(str(rows).encode())
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    mark = _mark_of(folder)
    if mark.exists() and mark.read_text("ascii") != found.hexdigest():
        raise UsageError("dataset_changed", "The dataset changed since the run began.")
    mark.write_text(found.hexdigest(), "ascii")


def _mark_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.sha256")  # beside the folder, which is made anew


def _read_as(entry: ColumnMap, kind: str) -> str:
    """How the site's column is read for a column of the dictionary of this type; "" leaves it open.

    A recoding speaks of what a person saw, which of a file with labels are the labels, and not the codes under them.
    """
    if entry.derive:
        return "number" if entry.derive in COMPARISONS else ""
    return "" if entry.recode and kind not in ("factor", "text") else kind
