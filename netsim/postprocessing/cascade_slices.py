"""Orders of the bits of many frames at once: a word holds one bit of 64 frames, so that moving it moves 64 bits."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Integer = Any
"""Any integer of Python's or NumPy's: compiled, they are all one."""

SLICED_FROM_FRAMES = 6
"""Fewer frames than this are ordered sooner bit by bit."""

_ONE = np.uint64(1)
_at = np.uint64  # of an index: numba looks at the sign of a signed one each time


@numba.njit(cache=True, nogil=True)
def invert(
    order: NDArray[np.int64], last_bits: Integer, orders: NDArray[np.uint16], places: NDArray[np.uint16]
) -> None:
    """Write an order and where in it each bit stands: int64[frame_bits] to row 0 for all, to row 1 for the first bits."""
    kept: Integer = 0
    for i in range(len(order)):
        x = order[i]
        orders[0, i] = x
        places[0, x] = i
        if x < last_bits:
            orders[1, kept] = x
            places[1, x] = kept
            kept += 1


@numba.njit(cache=True, nogil=True)
def _transpose(block: Words, base: Integer) -> None:
    """Swap bit j of word i with bit i of word j, of the 64 words from base on (Warren, Hacker's Delight, 7-3)."""
    mask = np.uint64(0x00000000FFFFFFFF)
    step = 32
    while step:
        shift = np.uint64(step)
        for first in range(base, base + 64, 2 * step):
            for k in range(first, first + step):
                swapped = ((block[_at(k)] >> shift) ^ block[_at(k + step)]) & mask
                block[_at(k + step)] ^= swapped
                block[_at(k)] ^= swapped << shift
        step >>= 1
        mask ^= mask << np.uint64(step)


@numba.njit(cache=True, nogil=True)
def _order_one(
    packed: Words, order: NDArray[np.uint16], length: Integer, out: Words, base: Integer, stride: Integer
) -> None:
    """Write one frame's bits in an order, bit by bit."""
    for w in range((length + 63) >> 6):
        word = np.uint64(0)
        for i in range(min(length - (w << 6), 64) - 1, -1, -1):
            x = np.int64(order[(w << 6) + i])
            word = (word << _ONE) | (packed[_at(x >> 6)] >> np.uint64(x & 63) & _ONE)
        out[_at(base + stride * w)] = word


@numba.njit(cache=True, nogil=True)
def _slice(packed: Words, done: Integer, count: Integer, words: Integer, slices: Words) -> None:
    """Turn `count` frames from number `done` on into words of one bit of each."""
    block = np.empty(8 << 6, np.uint64)
    for first in range(0, words, 8):  # a line of the cache of each frame at a time
        wide = min(8, words - first)
        block[:] = np.uint64(0)
        for i in range(count):
            for j in range(wide):
                block[_at((j << 6) + i)] = packed[_at(done + i), _at(first + j)]
        for j in range(wide):
            _transpose(block, j << 6)
        for i in range(wide << 6):
            slices[(first << 6) + i] = block[i]


@numba.njit(cache=True, nogil=True)
def in_orders(
    packed: Words,
    orders: NDArray[np.uint16],
    frame_bits: Integer,
    last_bits: Integer,
    out: Words,
    frame_step: Integer,
    pass_step: Integer,
    stride: Integer,
) -> None:
    """The bits of all frames in the orders of all block passes.

    Args:
        packed: uint64[frames, words], the bits in the given order, the first lowest.
        orders: uint16[passes, 2, frame_bits], row 0 for a whole frame, row 1 for the last.
        frame_bits: bits in a whole frame, a multiple of 64 where there are several.
        last_bits: bits in the last.
        out: word w of pass k of frame f is written to f * frame_step + k * pass_step + w * stride.
        frame_step: as said.
        pass_step: as said.
        stride: as said.
    """
    frames, passes = packed.shape[0], orders.shape[0]
    words = (frame_bits + 63) >> 6
    for f in range(frames):
        for w in range(words):
            out[f * frame_step + w * stride] = packed[f, w]
    whole = frames if last_bits == frame_bits else frames - 1
    slices = np.empty(words << 6 if whole >= SLICED_FROM_FRAMES else 0, np.uint64)
    block = np.empty(64, np.uint64)
    done: Integer = 0
    while whole - done >= SLICED_FROM_FRAMES:
        count = min(whole - done, 64)
        _slice(packed, done, count, words, slices)
        for number in range(1, passes):
            order = orders[number, 0]
            base = done * frame_step + number * pass_step
            for w in range(words):
                for i in range(64):
                    block[i] = slices[order[_at((w << 6) + i)]]
                _transpose(block, 0)
                for i in range(count):
                    out[_at(base + i * frame_step + w * stride)] = block[i]
        done += count
    for f in range(done, frames):
        short = np.int64(f == frames - 1)
        length = last_bits if short else frame_bits
        for number in range(1, passes):
            _order_one(
                packed[f], orders[number, short], length, out, f * frame_step + number * pass_step, stride
            )
