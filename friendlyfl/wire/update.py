"""An Update as it crosses: the words of the number ring under their names and shapes.

A site gathers its parts (chunks of rows) and the coordinator the Updates of all sites by the same addition. Which numbers
may leave is decided before, in `tasks`; sealing comes after, in `seal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friendlyfl.core import limits
from friendlyfl.core.errors import WireError
from friendlyfl.wire import codec, ring

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sum:
    """Ring words by name, each with the shape of the array it stands for."""

    words: Mapping[str, ring.Words]
    shapes: Mapping[str, Shape]

    def numbers(self) -> dict[str, NDArray[np.float64]]:
        """The doubles nearest to the words."""
        return {name: ring.decode(words, self.shapes[name]) for name, words in self.words.items()}

    def encode(self) -> bytes:
        return codec.encode(
            {"shapes": {name: list(shape) for name, shape in self.shapes.items()}, "words": dict(self.words)}
        )

    @classmethod
    def decode(cls, raw: bytes, *, limit: int = limits.STATE_BYTES) -> Sum:
        """What `encode` wrote; anything else is a WireError."""
        value = codec.decode(raw, limit=limit)
        shapes, words = value.get("shapes"), value.get("words")
        if set(value) != {"shapes", "words"} or not isinstance(shapes, dict) or not isinstance(words, dict):
            raise _wrong()
        if shapes.keys() != words.keys():
            raise _wrong()
        for name, array in words.items():
            _check(shapes[name], array)
        return cls(words, {name: tuple(shape) for name, shape in shapes.items()})


def gather(parts: Iterable[Mapping[str, Any]]) -> Sum:
    """The words of arrays that add up; a name may be missing in some of the parts."""
    words: dict[str, ring.Words] = {}
    shapes: dict[str, Shape] = {}
    for part in parts:
        for name, array in part.items():
            new = ring.encode(array, name)
            shape = np.shape(array)
            if shapes.setdefault(name, shape) != shape:
                raise _differ(name)
            words[name] = ring.add(words[name], new) if name in words else new
    return Sum(words, shapes)


def add(sums: Iterable[Sum]) -> Sum:
    """The sum of all sites' Updates, which must hold the same names and shapes."""
    given = list(sums)
    if not given:
        raise WireError("update_none", "There is no Update to add.")
    for other in given[1:]:
        for name in given[0].shapes.keys() | other.shapes.keys():
            if given[0].shapes.get(name) != other.shapes.get(name):
                raise _differ(name)
    words = {name: ring.add_all(one.words[name] for one in given) for name in given[0].words}
    return Sum(words, given[0].shapes)


def _check(shape: Any, array: Any) -> None:
    whole = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not whole or not isinstance(array, np.ndarray) or array.dtype != np.uint64 or array.ndim != 2:
        raise _wrong()
    if array.shape != (int(np.prod(shape, dtype=object)), 2):
        raise _wrong()


def _wrong() -> WireError:
    return WireError("update_form", "This Update is not ring words with names and shapes.")


def _differ(name: str) -> WireError:
    return WireError(
        "update_shape", f"The hospitals' numbers “{name}” do not have the same shape and cannot be added."
    )
