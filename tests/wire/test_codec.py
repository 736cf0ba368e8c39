"""Values as bytes: exact, of one spelling, bounded, and harmless whatever the bytes."""

import contextlib
import math
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from friendlyfl.core.errors import UsageError, WireError
from friendlyfl.wire import canonical, codec

LIMIT = 1_000_000
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["$array", "$", "$$array"]
)
ARRAYS = st.sampled_from(["<f8", ">f8", "<f4", "<f2", "<i8", ">i4", "<i4", "<u8", "u1", "?"]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.dictionaries(
    TEXT,
    st.recursive(
        SCALARS | ARRAYS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and a.astype(b.dtype).tobytes() == b.tobytes()
    if isinstance(a, dict):
        return type(b) is dict and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return type(b) is list and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return type(b) is float and math.copysign(1, a) == math.copysign(1, b) and a == b
    return type(a) is type(b) and a == b


@settings(deadline=None)
@given(VALUES)
def test_round_trip_is_exact_and_of_one_spelling(value):
    raw = codec.encode(value)
    read = codec.decode(raw, limit=LIMIT)
    assert same(value, read)
    assert codec.encode(read) == raw


def test_bits_of_arrays_survive():
    odd = np.array([-0.0, np.nan, np.inf, 5e-324, 0.1]).view("<u8")
    odd[1] += 5  # a NaN with a payload
    read = codec.decode(codec.encode({"a": odd.view("<f8")}), limit=LIMIT)["a"]
    assert read.tobytes() == odd.tobytes()
    read[0] = 1.0  # belongs to the reader


def test_layout_in_memory_and_order_of_names_do_not_show():
    a = np.arange(6.0).reshape(2, 3)
    assert codec.encode({"x": a, "y": 1}) == codec.encode({"y": 1, "x": np.asfortranarray(a).astype(">f8")})


def test_single_numbers_of_numpy_become_pythons():
    value = {"a": np.float64(0.5), "b": np.int64(3), "c": np.bool_(True), "d": (1, 2), "e": np.float32(0.5)}
    assert codec.decode(codec.encode(value), limit=LIMIT) == {
        "a": 0.5,
        "b": 3,
        "c": True,
        "d": [1, 2],
        "e": 0.5,
    }


def nested(levels):
    return [] if levels == 0 else [nested(levels - 1)]


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"a": object()},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": 1j},
        {"a": math.nan},
        {"a": -math.inf},
        {"a": 2**63},
        {"a": "\ud800"},
        {1: 2},
        {"a": {None: 1}},
        {"a": np.array(["x"])},
        {"a": np.array([object()])},
        {"a": np.array([1j])},
        {"a": np.array([1], dtype="i2")},
        {"a": np.zeros((1,) * 9)},
        {"a": np.zeros((0, 2**50))},
        {"a": np.array([1], dtype="datetime64[s]")},
        {"a": nested(20)},
        {"a": "x" * (codec.HEADER + 1)},
    ],
)
def test_what_cannot_be_sent(value):
    with pytest.raises(UsageError):
        codec.encode(value)


def test_the_deepest_value_that_is_written_is_read():
    value = {"a": nested(14) + [np.zeros(1)]}
    deepest = nested(15)
    assert same(codec.decode(codec.encode({"a": deepest}), limit=LIMIT), {"a": deepest})
    assert same(codec.decode(codec.encode(value), limit=LIMIT), value)


def built(header, tail=b"", magic=codec.MAGIC):
    raw = (
        header if isinstance(header, bytes) else canonical.dumps(header, floats=True, depth=18, largest=2**63)
    )
    return magic + len(raw).to_bytes(4, "little") + raw + tail


GOOD = built({"arrays": [["<f8", [1]]], "value": {"a": {"$array": 0}}}, bytes(8))
ONE = [["<f8", [1]]]
REFUSED = {
    "nothing": (b"", "codec_magic"),
    "another magic": (GOOD.replace(codec.MAGIC, b"FFLCODE2"), "codec_magic"),
    "a pickle": (b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00N.", "codec_magic"),
    "header longer than the rest": (codec.MAGIC + b"\xff\0\0\0{}", "codec_header"),
    "header of four gigabytes": (codec.MAGIC + b"\xff\xff\xff\xff{}", "codec_header"),
    "header with a space": (built(b'{"arrays":[], "value":{}}'), "json_spelling"),
    "a number that is not finite": (built(b'{"arrays":[],"value":{"a":1e999}}'), "json_number"),
    "NaN": (built(b'{"arrays":[],"value":{"a":NaN}}'), "json_number"),
    "one float in another spelling": (built(b'{"arrays":[],"value":{"a":1.50}}'), "json_spelling"),
    "a field more": (built({"arrays": [], "value": {}, "x": 1}), "unknown_field"),
    "a list as value": (built({"arrays": [], "value": []}), "codec_description"),
    "no arrays": (built({"arrays": {}, "value": {}}), "codec_description"),
    "cut": (GOOD[:-1], "codec_short"),
    "appended": (GOOD + b"\0", "codec_long"),
    "an object array": (
        built({"arrays": [["|O", [1]]], "value": {"a": {"$array": 0}}}, bytes(8)),
        "codec_dtype",
    ),
    "a dtype as a list": (built({"arrays": [[["<f8"], [1]]], "value": {}}), "codec_dtype"),
    "big-endian": (built({"arrays": [[">f8", [1]]], "value": {"a": {"$array": 0}}}, bytes(8)), "codec_dtype"),
    "a name for a dtype": (built({"arrays": [["float64", [1]]], "value": {}}, bytes(8)), "codec_dtype"),
    "no shape": (built({"arrays": [["<f8"]], "value": {}}), "codec_dtype"),
    "a shape of text": (built({"arrays": [["<f8", "11"]], "value": {}}), "codec_shape"),
    "a negative shape": (built({"arrays": [["<f8", [-1]]], "value": {}}), "codec_shape"),
    "a yes as a shape": (built({"arrays": [["<f8", [True]]], "value": {}}), "codec_shape"),
    "an enormous shape": (built({"arrays": [["<f8", [2**40, 2**40]]], "value": {}}), "codec_dimensions"),
    "an enormous empty shape": (built({"arrays": [["<f8", [0, 2**62]]], "value": {}}), "codec_dimensions"),
    "more than is there": (built({"arrays": [["<f8", [2**40]]], "value": {}}, bytes(8)), "codec_short"),
    "many dimensions": (built({"arrays": [["<f8", [1] * 9]], "value": {}}, bytes(8)), "codec_dimensions"),
    "unused": (built({"arrays": ONE, "value": {}}, bytes(8)), "codec_unused"),
    "used twice": (
        built({"arrays": ONE, "value": {"a": {"$array": 0}, "b": {"$array": 0}}}, bytes(8)),
        "codec_order",
    ),
    "out of order": (
        built({"arrays": ONE * 2, "value": {"a": {"$array": 1}, "b": {"$array": 0}}}, bytes(16)),
        "codec_order",
    ),
    "not there": (built({"arrays": [], "value": {"a": {"$array": 0}}}), "codec_order"),
    "index that is true": (
        built({"arrays": ONE * 2, "value": {"a": {"$array": False}}}, bytes(16)),
        "codec_order",
    ),
    "index and more": (
        built({"arrays": ONE, "value": {"a": {"$array": 0, "b": 1}}}, bytes(8)),
        "codec_order",
    ),
    "an array for everything": (built({"arrays": ONE, "value": {"$array": 0}}, bytes(8)), "codec_unused"),
    "another dollar name": (built({"arrays": [], "value": {"$code": "x"}}), "codec_name"),
    "a byte that is neither": (
        built({"arrays": [["|b1", [1]]], "value": {"a": {"$array": 0}}}, b"\2"),
        "codec_bool",
    ),
    "no bytes": (bytearray(GOOD), "codec_size"),
    "over the limit": (
        built({"arrays": [["|u1", [LIMIT]]], "value": {"a": {"$array": 0}}}, bytes(LIMIT)),
        "codec_size",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    raw, code = REFUSED[name]
    with pytest.raises(WireError) as caught:
        codec.decode(raw, limit=LIMIT)
    assert caught.value.code == code


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_our_error(raw):
    for candidate in (raw, codec.MAGIC + raw, built(raw)):
        with pytest.raises(WireError):
            codec.decode(candidate, limit=LIMIT)


def test_changed_bytes_are_read_or_refused_and_nothing_else():
    rng = random.Random(7)
    raw = codec.encode({"a": np.arange(4.0), "b": [1, 0.5, "text", None], "c": {"d": np.array([True])}})
    for _ in range(3000):
        changed = bytearray(raw)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        cut = rng.randrange(len(raw)) if rng.random() < 0.3 else len(raw)
        with contextlib.suppress(WireError):
            codec.decode(bytes(changed[:cut]), limit=LIMIT)


def test_memory_is_bounded_by_the_bytes_that_came():
    many = built({"arrays": [["|u1", [0]]] * 5_000, "value": {"a": [{"$array": i} for i in range(5_000)]}})
    lists = built({"arrays": [], "value": {"a": [[]] * 50_000}})
    large = codec.encode({"a": np.zeros(1_000_000)})
    for raw, times in ((many, 60), (lists, 60), (large, 2)):
        tracemalloc.start()
        try:
            codec.decode(raw, limit=len(raw))
            assert tracemalloc.get_traced_memory()[1] < times * len(raw)
        finally:
            tracemalloc.stop()
