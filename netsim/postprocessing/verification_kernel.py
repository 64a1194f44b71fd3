"""The polynomial of `verification` compiled: arithmetic modulo 2^127 − 1 in two 64-bit words.

A number is (high, low), at most 2^127 − 1, which stands for 0 as well. Products of words are made of 32-bit halves, so no
wider multiplication is asked of the machine.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 15

_ONE = np.uint64(1)
_HALF = np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_TOP = np.uint64(63)
_BELOW_TOP = np.uint64(0x7FFFFFFFFFFFFFFF)
_BYTE = np.uint64(8)

Word = np.uint64


@numba.njit(cache=True, nogil=True, inline="always")
def _wide(x: Word, y: Word) -> tuple[Word, Word]:
    """The product of two words, as its high and its low word."""
    x0, x1, y0, y1 = x & _LOW_HALF, x >> _HALF, y & _LOW_HALF, y >> _HALF
    low, one, other = x0 * y0, x1 * y0, x0 * y1
    middle = (low >> _HALF) + (one & _LOW_HALF) + (other & _LOW_HALF)
    high = x1 * y1 + (one >> _HALF) + (other >> _HALF) + (middle >> _HALF)
    return high, (middle << _HALF) | (low & _LOW_HALF)


@numba.njit(cache=True, nogil=True, inline="always")
def _fold(high: Word, low: Word) -> tuple[Word, Word]:
    """A number below 2^128, modulo 2^127 − 1: bit 127 counts as 1."""
    folded = low + (high >> _TOP)
    return (high & _BELOW_TOP) + Word(folded < low), folded


@numba.njit(cache=True, nogil=True, inline="always")
def _plus(high: Word, low: Word, more_high: Word, more_low: Word) -> tuple[Word, Word]:
    """The sum of two numbers, if it is below 2^128."""
    total = low + more_low
    return high + more_high + Word(total < low), total


@numba.njit(cache=True, nogil=True, inline="always")
def _step(v1: Word, v0: Word, r1: Word, r0: Word, c1: Word, c0: Word) -> tuple[Word, Word]:
    """v·r + c modulo 2^127 − 1, for v and r at most 2^127 − 1 and c below 2^120; at most 2^127 − 1."""
    # The four words of v·r, each partial product below 2^128, their sum below 2^254.
    p1, p0 = _wide(v0, r0)
    a1, a0 = _wide(v1, r0)
    b1, b0 = _wide(v0, r1)
    p3, p2 = _wide(v1, r1)
    p1 += a0
    a1 += Word(p1 < a0)  # no overflow: the high word of a product is below 2^64 − 1
    p1 += b0
    b1 += Word(p1 < b0)
    p2 += a1
    p3 += Word(p2 < a1)
    p2 += b1
    p3 += Word(p2 < b1)
    # 2^127 is 1: the bits from 127 on are added to those below.
    v1, v0 = _plus(p1 & _BELOW_TOP, p0, (p3 << _ONE) | (p2 >> _TOP), (p2 << _ONE) | (p1 >> _TOP))
    v1, v0 = _fold(v1, v0)
    v1, v0 = _plus(v1, v0, c1, c0)
    return _fold(v1, v0)


@numba.njit(cache=True, nogil=True, inline="always")
def _number(octets: NDArray[np.uint8], start: int, count: int) -> Word:
    """Up to eight bytes as a number, big-endian."""
    number = Word(0)
    for place in range(count):
        number = (number << _BYTE) | Word(octets[start + place])
    return number


@numba.njit(cache=True, nogil=True)
def polynomials(
    packed: NDArray[np.uint8], n_bits: int, point: NDArray[np.uint64], values: NDArray[np.uint64]
) -> None:
    """The polynomials of messages of equal length at a point, by Horner's scheme.

    Args:
        packed: uint8[messages, ⌈n_bits/8⌉], contiguous.
        n_bits: the length of each, its leading coefficient.
        point: uint64[2], high and low word, at most 2^127 − 1.
        values: uint64[messages, 2], written: high and low words, at most 2^127 − 1.
    """
    r1, r0 = point[0], point[1]
    for message in range(packed.shape[0]):
        octets = packed[message]
        v1, v0 = Word(0), Word(n_bits)
        whole = len(octets) // CHUNK_BYTES * CHUNK_BYTES
        for start in range(0, whole, CHUNK_BYTES):
            v1, v0 = _step(v1, v0, r1, r0, _number(octets, start, 7), _number(octets, start + 7, 8))
        rest = len(octets) - whole
        if rest:
            above = max(rest - 8, 0)
            high, low = _number(octets, whole, above), _number(octets, whole + above, rest - above)
            v1, v0 = _step(v1, v0, r1, r0, high, low)
        values[message, 0], values[message, 1] = v1, v0
