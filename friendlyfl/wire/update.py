"""An Update as it travels: named arrays of ring words, so that a sum is the same bits in any order.

A site's Update may be given in parts (chunks of its rows); they are added in the ring before anything is sent. What an
Update means, and whether it may leave, is decided elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import WireError
from friendlyfl.core.limits import STATE_BYTES
from friendlyfl.wire import codec, ring

Array = npt.NDArray[Any]
Layout = tuple[tuple[str, tuple[int, ...]], ...]  # (name, shape), by name


class Update:
    """Ring words under names: what one site sends, or a sum of such."""

    def __init__(self, layout: Layout, words: Array) -> None:
        self.layout = layout
        self.words = words

    @classmethod
    def of(cls, parts: Sequence[Mapping[str, Any]]) -> "Update":
        """The sum of the parts; a name may be missing in some of them.

        Raises UsageError when a value is not finite or too large, with the array's name.
        """
        sums: dict[str, tuple[tuple[int, ...], Array]] = {}
        for part in parts:
            for name, value in part.items():
                shape, words = np.shape(value), ring.encode(value, name)
                if name in sums:
                    if sums[name][0] != shape:
                        raise WireError("bad_update", f"The numbers “{name}” change their shape.")
                    words = ring.add(sums[name][1], words)
                sums[name] = (shape, words)
        names = sorted(sums)
        flat = [sums[name][1].reshape(-1, 2) for name in names]
        return cls(
            tuple((name, sums[name][0]) for name in names),
            np.concatenate(flat) if flat else np.zeros((0, 2), dtype=np.uint64),
        )

    @property
    def numbers(self) -> int:
        return len(self.words)

    def to_bytes(self) -> bytes:
        return codec.encode(
            {
                "v": 1,
                "names": [name for name, _ in self.layout],
                "shapes": [list(shape) for _, shape in self.layout],
                "words": self.words,
            }
        )

    @classmethod
    def from_bytes(cls, raw: bytes, *, limit: int = STATE_BYTES) -> "Update":
        """Read what another site wrote.

        Raises WireError `bad_update`.
        """
        found = codec.decode(raw, limit=limit)
        if set(found) != {"v", "names", "shapes", "words"} or found["v"] != 1:
            raise _bad()
        names, shapes, words = found["names"], found["shapes"], found["words"]
        if not isinstance(names, list) or not isinstance(shapes, list) or len(names) != len(shapes):
            raise _bad()
        if not all(isinstance(name, str) for name in names) or names != sorted(set(names)):
            raise _bad()
        if not isinstance(words, np.ndarray) or words.dtype != np.uint64 or words.shape[1:] != (2,):
            raise _bad()
        layout = tuple((name, _shape(shape)) for name, shape in zip(names, shapes, strict=True))
        if sum(_size(shape) for _, shape in layout) != len(words):
            raise _bad()
        return cls(layout, words)

    def decoded(self) -> dict[str, Array]:
        """The numbers, as doubles."""
        values, at = {}, 0
        for name, shape in self.layout:
            size = _size(shape)
            values[name] = ring.decode(self.words[at : at + size], shape)
            at += size
        return values


def total(updates: Iterable[Update]) -> Update:
    """The exact sum. All must have the same layout: WireError `bad_update` otherwise.

    Raises UsageError `ring_sites` for more Updates than fit in one sum.
    """
    given = list(updates)
    if any(update.layout != given[0].layout for update in given):
        raise _bad()
    return Update(given[0].layout if given else (), ring.add_all(update.words for update in given))


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > 8 or any(type(n) is not int or n < 0 for n in value):
        raise _bad()
    return tuple(value)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _bad() -> WireError:
    return WireError("bad_update", "An Update does not have the agreed shape, so it was not used.")
