"""The number ring against Python's integers and fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError, WireError
from friendlyfl.wire import ring

TOP = math.nextafter(2.0**54, 0)
NUMBERS = st.floats(-TOP, TOP) | st.sampled_from(
    [0.0, -0.0, 1e-20, -1e-20, 5e-324, -5e-324, TOP, -TOP, 2.0**-64, -(2.0**-65)]
)
LISTS = st.lists(NUMBERS, min_size=1, max_size=6)


def integers(words):
    """The words as Python's integers, two's complement."""
    values = [int(low) + (int(high) << 64) for low, high in words]
    return [value - (1 << 128) if value >> 127 else value for value in values]


def words_of(values):
    return np.array([[v % 2**64, (v >> 64) % 2**64] for v in values], dtype=np.uint64).reshape(-1, 2)


def scaled(x):
    """What protocol.md says: floor(|x| * 2^64), with x's sign."""
    a = math.floor(Fraction(abs(x)) * 2**64)
    return -a if x < 0 else a


@given(LISTS)
def test_encode_is_the_definition(values):
    assert integers(ring.encode(np.array(values))) == [scaled(x) for x in values]


@given(LISTS)
def test_from_2_to_the_minus_11_nothing_is_lost(values):
    back = ring.decode(ring.encode(np.array(values)), (len(values),))
    for x, y in zip(values, back, strict=True):
        if abs(x) >= 2.0**-11 or x == 0:
            assert x == y
        else:
            assert abs(Fraction(x) - Fraction(float(y))) < Fraction(1, 2**64)


@given(st.lists(st.integers(-(2**127), 2**127 - 1), min_size=1, max_size=6))
def test_decode_is_the_nearest_double(values):
    decoded = ring.decode(words_of(values), (len(values),))
    assert decoded.tolist() == [
        float(Fraction(v, 2**64)) for v in values
    ]  # Fraction rounds once, ties to even


@given(st.integers(0, 52), st.integers(0, 63), st.integers(-2, 2), st.booleans())
def test_decode_of_ties(bit, shift, off, negative):
    value = (((1 << 53) + (1 << bit)) << shift) + (1 << max(shift - 1, 0)) + off
    value = -value if negative else value
    assert ring.decode(words_of([value]), (1,))[0] == float(Fraction(value, 2**64))


@settings(deadline=None)
@given(st.lists(LISTS.map(lambda v: (v * 3)[:3]), min_size=2, max_size=8), st.randoms())
def test_a_sum_has_the_same_bits_in_every_order(rows, rng):
    parts = [ring.encode(np.array(row)) for row in rows]
    total = ring.add_all(parts)
    rng.shuffle(parts)
    assert ring.add_all(parts).tobytes() == total.tobytes()
    assert integers(total) == [sum(scaled(row[i]) for row in rows) for i in range(3)]


@given(st.lists(st.integers(-(2**127), 2**127 - 1), min_size=1, max_size=5))
def test_negation_and_zero(values):
    words, zero = words_of(values), np.zeros((len(values), 2), dtype=np.uint64)
    before = words.tobytes()
    assert ring.add(words, ring.negate(words)).tobytes() == zero.tobytes()
    assert ring.negate(ring.negate(words)).tobytes() == words.tobytes()
    assert ring.add(words, zero).tobytes() == words.tobytes() == before
    other = words_of(values[::-1])
    expected = [(a + b + 2**127) % 2**128 - 2**127 for a, b in zip(values, values[::-1], strict=True)]
    assert integers(ring.add(words, other)) == expected


def test_tiny_negatives_and_zeros():
    back = ring.decode(ring.encode(np.array([-1e-20, -0.0, 0.0, 5e-324, -5e-324, -(2.0**-64)])), (6,))
    assert back.tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, -(2.0**-64)]
    assert not np.signbit(back[:5]).any()


def test_511_of_the_largest_fit_and_512_are_refused():
    word = ring.encode(np.array([TOP, -TOP]))
    total = ring.add_all([word] * 511)
    assert integers(total) == [511 * scaled(TOP), -511 * scaled(TOP)]
    assert ring.decode(total, (2,)).tolist() == [511 * TOP, -511 * TOP]
    with pytest.raises(UsageError) as caught:
        ring.add_all([word] * 512)
    assert caught.value.code == "ring_sites"
    with pytest.raises(UsageError):
        ring.add_all([])


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([1.0, math.nan], "ring_not_finite"),
        ([math.inf], "ring_not_finite"),
        ([[1.0], [-math.inf]], "ring_not_finite"),
        ([2.0**54], "ring_range"),
        ([-(2.0**54)], "ring_range"),
        ([1e300], "ring_range"),
        (np.array([2**53 + 1]), "ring_range"),
        (np.array([2**63], dtype=np.uint64), "ring_range"),
        (["1"], "ring_type"),
        ([1j], "ring_type"),
        ([None], "ring_type"),
    ],
)
def test_what_cannot_be_added_is_refused_by_name(values, code):
    with pytest.raises(UsageError) as caught:
        ring.encode(values, "gradient")
    assert caught.value.code == code and "'gradient'" in caught.value.message


def test_shapes_and_kinds():
    assert ring.encode(np.float64(2.5)).shape == (1, 2)
    assert ring.encode(np.zeros((0, 3))).shape == (0, 2)
    assert ring.decode(ring.encode(np.arange(6.0).reshape(2, 3)), (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert ring.decode(ring.encode(np.array([[1, 2], [3, 4]]).T), (2, 2)).tolist() == [[1, 3], [2, 4]]
    assert ring.decode(ring.encode(np.array([True, False])), (2,)).tolist() == [1, 0]
    assert ring.decode(ring.encode(np.zeros(0)), (0,)).shape == (0,)
    assert float(ring.decode(ring.encode(2.5), ())) == 2.5


@pytest.mark.parametrize(
    "words", [np.zeros((2, 3), np.uint64), np.zeros((2, 2)), np.zeros(4, np.uint64), [[0, 0]]]
)
def test_what_are_no_words(words):
    for use in (
        ring.negate,
        lambda w: ring.add(w, w),
        lambda w: ring.decode(w, (2,)),
        lambda w: ring.add_all([w]),
    ):
        with pytest.raises(WireError) as caught:
            use(words)
        assert caught.value.code == "ring_form"


def test_sums_of_different_sizes_are_refused():
    a, b = ring.encode(np.zeros(2)), ring.encode(np.zeros(3))
    with pytest.raises(WireError):
        ring.add(a, b)
    with pytest.raises(WireError):
        ring.decode(a, (3,))
    with pytest.raises(WireError):
        ring.decode(a, (-1, -2))
