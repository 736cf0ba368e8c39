"""One value, one spelling: what is written reads back, everything else is refused, nothing crashes."""

import json
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.core.errors import WireError
from friendlyfl.wire import canonical

LIMIT = 10_000
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def depth(value):
    if isinstance(value, (list, dict)):
        return 1 + max(
            (depth(item) for item in (value.values() if isinstance(value, dict) else value)), default=0
        )
    return 0


@given(VALUES.filter(lambda value: depth(value) <= 8))
def test_round_trip(value):
    raw = canonical.dumps(value)
    assert canonical.loads(raw, limit=10**6) == value
    assert raw.isascii() and b" " not in re.sub(rb'"(\\.|[^"\\])*"', b"", raw)


REFUSED = {
    "space": (b'{"a": 1}', "json_spelling"),
    "order": (b'{"b":1,"a":2}', "json_spelling"),
    "a letter written as an escape": (b'"\\u0061"', "json_spelling"),
    "an escape in capitals": (b'"\\u00E4"', "json_spelling"),
    "minus zero": (b"-0", "json_spelling"),
    "line end": (b"1\n", "json_spelling"),
    "twice": (b'{"a":1,"a":1}', "json_repeat"),
    "float": (b"1.5", "json_number"),
    "whole float": (b"1.0", "json_number"),
    "exponent": (b"1e2", "json_number"),
    "NaN": (b"NaN", "json_number"),
    "infinity": (b"-Infinity", "json_number"),
    "2^53": (b"9007199254740992", "json_number"),
    "many digits": (b"9" * 5000, "json_number"),
    "nine deep": (b"[" * 9 + b"]" * 9, "json_deep"),
    "very deep": (b"[" * 5000, "json_deep"),
    "very deep, closed": (b"[" * 4000 + b"]" * 4000, "json_deep"),
    "leading zero": (b"01", "json_form"),
    "not ASCII": ('"ä"'.encode(), "json_form"),
    "UTF-16": ("[1]".encode("utf-16"), "json_form"),
    "byte order mark": (b"\xef\xbb\xbf1", "json_form"),
    "nothing": (b"", "json_form"),
    "half a pair": (b'"\\ud800"', "json_text"),
    "half a pair as a name": (b'{"\\ud800":1}', "json_text"),
    "too long": (b'"' + b"a" * LIMIT + b'"', "json_size"),
    "text": ("{}", "json_bytes"),
    "None": (None, "json_bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    raw, code = REFUSED[name]
    with pytest.raises(WireError) as caught:
        canonical.loads(raw, limit=LIMIT)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "value", [1.0, {1: 2}, {"a": object()}, b"x", {1, 2}, 2**53, [[[[[[[[[1]]]]]]]]], "\ud800"]
)
def test_what_has_no_spelling_is_not_written(value):
    with pytest.raises(WireError):
        canonical.dumps(value)


@given(
    st.binary(max_size=200) | st.text('[]{}",:0123456789.eE+-truefalsn\\ud8 ', max_size=60).map(str.encode)
)
def test_any_bytes_read_or_are_refused(raw):
    try:
        value = canonical.loads(raw, limit=LIMIT)
    except WireError:
        return
    assert canonical.dumps(value) == raw
    assert json.loads(raw) == value


def test_a_record_within_its_limit_cannot_fill_the_memory():
    raw = b"[" + b"[]," * 60_000 + b"[]]"
    tracemalloc.start()
    try:
        canonical.loads(raw, limit=len(raw))
        assert tracemalloc.get_traced_memory()[1] < 40 * len(raw)
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=50))
def test_base64_round_trip(raw):
    assert canonical.unb64(canonical.b64(raw)) == raw


@pytest.mark.parametrize(
    "text", ["A", "AB==\n", "AB=", "AB==", "AA==AA==", "A-__", " AA==", "ä", b"AA==", None, 3, "AAA"]
)
def test_base64_has_one_spelling_too(text):
    with pytest.raises(WireError):
        canonical.unb64(text)


def test_labels_keep_purposes_apart():
    assert canonical.label("env") == b"FFL1 env\0"
    assert canonical.digest("a", b"x") != canonical.digest("b", b"x")
