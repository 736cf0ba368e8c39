"""A site's columns in the dictionary's terms, in files: a table of any length takes the memory of what is looked at.

Each column is one file of doubles, or of codes for a factor or text, mapped into memory and never written again. What
its values mean is `values`' business, how a site's own table becomes them `mapping`'s, which rows take part `table`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.values import missing_column

Array = npt.NDArray[Any]


class ColumnFiles:
    """Columns of one length, by the dictionary's names."""

    def __init__(self, arrays: Mapping[str, Array], texts: Mapping[str, Array], rows: int) -> None:
        self._arrays, self._texts, self._rows = dict(arrays), dict(texts), rows

    @classmethod
    def write(
        cls,
        folder: Path,
        parts: Iterable[tuple[int, Mapping[str, Array]]],
        dictionary: Dictionary,
        names: Sequence[str],
    ) -> ColumnFiles:
        """Put the parts, one after another, into files of an empty folder. A part is a number of rows and their values
        under every name, as `values.column_values` gives them."""
        kinds = {name: dictionary.spec(name).type for name in names}
        words: dict[str, dict[str, int]] = {name: {} for name, kind in kinds.items() if kind == "text"}
        paths = {name: folder / f"{place}.column" for place, name in enumerate(names)}
        files = {name: path.open("wb") for name, path in paths.items()}
        rows = 0
        try:
            for count, part in parts:
                for name, file in files.items():
                    values = part[name]
                    file.write((_coded(values, words[name]) if name in words else values).tobytes())
                rows += count
        finally:
            for file in files.values():
                file.close()
        coded = {name: kind in ("factor", "text") for name, kind in kinds.items()}
        arrays = {name: _mapped(path, coded[name], rows) for name, path in paths.items()}
        texts = {name: np.array([*found, None], dtype=object) for name, found in words.items()}
        return cls(arrays, texts, rows)

    def __len__(self) -> int:
        return self._rows

    def read(self, name: str) -> Array:
        """A whole column; of text, its words."""
        if name not in self._arrays:
            raise missing_column(name, list(self._arrays))
        values = self._arrays[name]
        return np.asarray(self._texts[name][values]) if name in self._texts else values


def _coded(values: Array, words: dict[str, int]) -> Array:
    """Texts as codes, new ones put behind those known; -1 where missing."""
    return np.array([-1 if text is None else words.setdefault(text, len(words)) for text in values], np.int64)


def _mapped(path: Path, coded: bool, rows: int) -> Array:
    kind = np.int64 if coded else np.float64
    if not rows:  # nothing can be mapped of an empty file
        return np.zeros(0, dtype=kind)
    return np.asarray(np.memmap(path, dtype=kind, mode="r", shape=(rows,)))
