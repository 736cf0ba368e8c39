"""Numbers and words as bytes: a flat format that describes itself and can carry nothing that runs.

    magic (8) | length of the header (4, little-endian) | header | array 0 | array 1 | ...
    header = canonical JSON {"arrays": [[dtype, shape], ...], "value": {...}}

In `value` an array stands as {"$array": n}, counted in the order of reading; a name that starts with "$" gets
a second one. Arrays follow as raw little-endian bytes in C order. One value has one spelling: dictionaries
are read in the order of their names.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friendlyfl.core import limits
from friendlyfl.core.errors import UsageError, WireError
from friendlyfl.wire import canonical, fields

MAGIC = b"FFLCODE1"
HEADER = 1 * limits.MIB  # bounds what text can unfold to in memory; large things belong into arrays
_START = len(MAGIC) + 4
_DTYPES = {name: np.dtype(name) for name in ("<f8", "<f4", "<f2", "<i8", "<i4", "<u8", "|u1", "|b1")}
_DEPTH = 16
_INTEGER = 2**63 - 1
_DIMENSIONS = 8
_ELEMENTS = 2**48  # also for arrays without elements, whose other dimensions cost no bytes
_WHAT = "content of this post"

Array = NDArray[Any]


def encode(value: dict[str, Any]) -> bytes:
    """The bytes of a dictionary of None, bool, int, float, str, list, dict and numpy arrays.

    Numpy's single numbers become Python's.
    """
    if not isinstance(value, dict):
        raise UsageError("codec_value", "Only a dictionary can be sent.")
    arrays: list[Array] = []
    tree = _flatten(value, "", arrays, 0)
    described = [[array.dtype.str, list(array.shape)] for array in arrays]
    try:
        header = canonical.dumps(
            {"arrays": described, "value": tree}, floats=True, depth=_DEPTH + 2, largest=_INTEGER
        )
    except WireError:
        raise UsageError(
            "codec_value", "A text or a whole number in what is to be sent is out of range."
        ) from None
    if len(header) > HEADER:
        raise UsageError(
            "codec_text", "There is too much text to be sent; put long lists of numbers into arrays."
        )
    return b"".join(
        [MAGIC, len(header).to_bytes(4, "little"), header, *(array.tobytes() for array in arrays)]
    )


def _flatten(value: Any, path: str, arrays: list[Array], depth: int) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError(
                "codec_number", f"'{path}' is not a finite number. Use None for what is not known."
            )
        return float(value)
    if depth > _DEPTH:
        raise UsageError("codec_deep", f"What is to be sent is nested too deeply at '{path}'.")
    if isinstance(value, np.ndarray):
        arrays.append(_plain(value, path))
        return {"$array": len(arrays) - 1}
    if isinstance(value, (list, tuple)):
        return [_flatten(item, f"{path}[{i}]", arrays, depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return _flatten_dict(value, path, arrays, depth)
    raise UsageError("codec_value", f"'{path}' is of a kind that cannot be sent ({type(value).__name__}).")


def _flatten_dict(value: dict[Any, Any], path: str, arrays: list[Array], depth: int) -> dict[str, Any]:
    if not all(type(key) is str for key in value):
        raise UsageError("codec_value", f"'{path}' has a name that is not text.")
    named = sorted((f"${key}" if key.startswith("$") else key, key) for key in value)
    return {
        name: _flatten(value[key], f"{path}.{key}" if path else key, arrays, depth + 1) for name, key in named
    }


def _plain(array: Array, path: str) -> Array:
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in _DTYPES:
        raise UsageError(
            "codec_array", f"The array '{path}' has numbers of a kind that cannot be sent ({array.dtype})."
        )
    if not _shape_fits(list(array.shape)):
        raise UsageError("codec_array", f"The array '{path}' has too many dimensions or elements.")
    return array.astype(_DTYPES[dtype.str], order="C", copy=False)


def _shape_fits(shape: list[int]) -> bool:
    return len(shape) <= _DIMENSIONS and math.prod(max(size, 1) for size in shape) <= _ELEMENTS


def decode(raw: bytes, *, limit: int) -> dict[str, Any]:
    """The dictionary of `encode`'s bytes, or a WireError.

    Arrays are checked against the bytes that are there before memory is taken.
    """
    if not isinstance(raw, bytes) or len(raw) > limit:
        fields.refuse("codec_size", _WHAT, f"it is larger than {limit} bytes")
    if len(raw) < _START or not raw.startswith(MAGIC):
        fields.refuse("codec_magic", _WHAT, "it is not in FriendlyFL's format for numbers")
    size = int.from_bytes(raw[len(MAGIC) : _START], "little")
    if size > HEADER or _START + size > len(raw):
        fields.refuse("codec_header", _WHAT, "its description is longer than allowed")
    header = canonical.loads(
        raw[_START : _START + size], limit=HEADER, floats=True, depth=_DEPTH + 2, largest=_INTEGER
    )
    found = fields.record(header, ("arrays", "value"), _WHAT)
    if not isinstance(found["arrays"], list) or not isinstance(found["value"], dict):
        fields.refuse("codec_description", _WHAT, "its description is out of form")
    places = _places(found["arrays"], _START + size, len(raw))
    reader = _Reader(raw, places)
    value = reader.build(found["value"])
    if reader.used != len(places) or not isinstance(value, dict):
        fields.refuse("codec_unused", _WHAT, "it carries numbers that have no place in it")
    return value


def _places(described: list[Any], at: int, end: int) -> list[tuple[np.dtype[Any], tuple[int, ...], int]]:
    """Where each array lies; together they fill the bytes exactly."""
    places = []
    for item in described:
        name, shape = item if isinstance(item, list) and len(item) == 2 else (None, None)
        dtype = _DTYPES.get(name) if isinstance(name, str) else None
        if dtype is None:
            fields.refuse("codec_dtype", _WHAT, "it has numbers of a kind that this version does not know")
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            fields.refuse("codec_shape", _WHAT, "the shape of its numbers is out of form")
        if not _shape_fits(shape):
            fields.refuse("codec_dimensions", _WHAT, "its numbers have too many dimensions or elements")
        places.append((dtype, tuple(shape), at))
        at += math.prod(shape) * dtype.itemsize
        if at > end:
            fields.refuse("codec_short", _WHAT, "it holds fewer numbers than it says")
    if at != end:
        fields.refuse("codec_long", _WHAT, "it holds more bytes than it says")
    return places


class _Reader:
    """Puts arrays back into their places.

    Each is used once and in order, so that a value has one spelling.
    """

    def __init__(self, raw: bytes, places: list[tuple[np.dtype[Any], tuple[int, ...], int]]) -> None:
        self.raw, self.places, self.used = raw, places, 0

    def build(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self.build(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if "$array" in tree:
            return self._array(tree)
        return {self._name(key): self.build(tree[key]) for key in tree}

    @staticmethod
    def _name(key: str) -> str:
        if not key.startswith("$"):
            return key
        if not key.startswith("$$"):
            fields.refuse("codec_name", _WHAT, "a name in it is out of form")
        return key[1:]

    def _array(self, tree: dict[str, Any]) -> Array:
        index = tree["$array"]
        if len(tree) != 1 or type(index) is not int or index != self.used or index >= len(self.places):
            fields.refuse("codec_order", _WHAT, "its numbers are not in order")
        dtype, shape, at = self.places[index]
        self.used += 1
        array = np.frombuffer(self.raw, dtype=dtype, count=math.prod(shape), offset=at)
        if dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
            fields.refuse("codec_bool", _WHAT, "a yes or no in it is neither")
        return array.reshape(shape).copy()
