"""Numbers that add up to the same bits in any order: 128-bit words with 64 bits behind the point.

An array of n doubles becomes an array (n, 2) of uint64, low limb first. Adding many sites' words, masked or
not, is integer addition modulo 2^128; only `decode` rounds, once, to the nearest double. Values from 2^-11 up
lose nothing, smaller ones at most 2^-64.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friendlyfl.core import limits
from friendlyfl.core.errors import UsageError, WireError

Words = NDArray[np.uint64]
Doubles = NDArray[np.float64]

_LARGEST_EXACT = 2**53


def encode(values: Any, name: str = "") -> Words:
    """The words of `values`, flattened in C order.

    What cannot be added safely is refused here, where it can still be seen.
    """
    x = _doubles(values, name)
    magnitude = np.abs(x)
    whole = np.floor(magnitude)
    words: Words = np.empty((x.size, 2), dtype=np.uint64)
    words[:, 0] = np.ldexp(magnitude - whole, 64).astype(np.uint64)
    words[:, 1] = whole.astype(np.uint64)
    # |x| is encoded and the word negated: encoding x itself would turn -1e-20 into -1.
    below = x < 0
    words[below] = negate(words[below])
    return words


def _doubles(values: Any, name: str) -> Doubles:
    given = np.asarray(values)
    called = f"The numbers called '{name}'" if name else "The numbers to be added"
    if given.dtype.kind not in "fiub":
        raise UsageError(
            "ring_type",
            f"{called} are not numbers. Nothing was sent; the task must return arrays of numbers.",
        )
    x = given.astype(np.float64).ravel()
    if not np.isfinite(x).all():
        raise UsageError(
            "ring_not_finite",
            f"{called} hold a value that is missing or infinite. Nothing was sent; look for empty or "
            "constant columns.",
        )
    if given.dtype.kind in "iu" and ((given > _LARGEST_EXACT) | (given < -_LARGEST_EXACT)).any():
        raise UsageError(
            "ring_range", f"{called} hold a whole number above 2^53. Nothing was sent; use a smaller unit."
        )
    if (np.abs(x) >= limits.RING_MAGNITUDE).any():
        raise UsageError(
            "ring_range",
            f"{called} reach 2^54, too large to be added exactly. Nothing was sent; use a larger unit.",
        )
    return x


def add(a: Words, b: Words) -> Words:
    """a + b modulo 2^128, word by word."""
    _check(a)
    _check(b)
    if a.shape != b.shape:
        raise WireError(
            "ring_shape",
            "Two hospitals sent different numbers of values for the same sum. Nothing was added.",
        )
    total: Words = np.empty_like(a)
    np.add(a[:, 0], b[:, 0], out=total[:, 0])
    carry = total[:, 0] < a[:, 0]
    np.add(a[:, 1], b[:, 1], out=total[:, 1])
    total[:, 1] += carry
    return total


def add_all(parts: Iterable[Words]) -> Words:
    """The sum over sites. More than `limits.RING_SITES` could overflow and are refused."""
    total: Words | None = None
    for count, part in enumerate(parts, start=1):
        if count > limits.RING_SITES:
            raise UsageError("ring_sites", f"At most {limits.RING_SITES} hospitals fit in one sum.")
        total = part.copy() if total is None else add(total, part)
    if total is None:
        raise UsageError("ring_empty", "There is nothing to add: no hospital has sent its numbers.")
    _check(total)
    return total


def negate(a: Words) -> Words:
    """-a modulo 2^128."""
    _check(a)
    negative: Words = np.empty_like(a)
    negative[:, 0] = ~a[:, 0] + np.uint64(1)
    negative[:, 1] = ~a[:, 1] + (a[:, 0] == 0)
    return negative


def decode(words: Words, shape: Sequence[int]) -> Doubles:
    """The nearest double (ties to even) of each word, in `shape`."""
    _check(words)
    if any(size < 0 for size in shape) or math.prod(shape) != len(words):
        raise WireError(
            "ring_count", "A hospital sent another number of values than the task asks for. Nothing was used."
        )
    below = words[:, 1] >> np.uint64(63) == 1
    magnitude = words.copy()
    magnitude[below] = negate(words[below])
    low, high = magnitude[:, 0], magnitude[:, 1]
    # All bits are brought to the top of one limb; what falls off below it is kept as one sticky bit, so that
    # the only rounding is the one from 64 bits to a double.
    small = high == 0
    top, rest = np.where(small, low, high), np.where(small, np.uint64(0), low)
    shift = _leading_zeros(top)
    top = top << shift | rest >> (np.uint64(64) - shift)
    top |= (rest << shift != 0).astype(np.uint64)
    exponent = -shift.astype(np.int64) - np.where(small, 64, 0)
    values = np.ldexp(top.astype(np.float64), exponent)
    result: Doubles = np.where(below, -values, values).reshape(tuple(shape))
    return result


def _leading_zeros(limb: Words) -> Words:
    count, x = np.zeros_like(limb), limb.copy()
    for step in (32, 16, 8, 4, 2, 1):
        empty = x < np.uint64(1 << (64 - step))
        x[empty] <<= np.uint64(step)
        count[empty] += np.uint64(step)
    return count


def _check(words: Words) -> None:
    if (
        not isinstance(words, np.ndarray)
        or words.dtype != np.uint64
        or words.ndim != 2
        or words.shape[1] != 2
    ):
        raise WireError(
            "ring_form",
            "These are not words of the number ring. Nothing was added; ask the sender to update FriendlyFL.",
        )
