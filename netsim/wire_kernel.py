"""Slots as gaps, compiled: one pass over the row each way. What `wire` does with short rows, for long ones."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

_LIMIT = 1 << 56


@numba.njit(cache=True, nogil=True)
def gaps_size(slots: NDArray[np.int64]) -> int:
    """Bytes that the gaps take.

    Args:
        slots: int64[n], ascending.
    """
    size = 0
    before = np.int64(-1)
    for slot in slots:
        gap = slot - before - 1
        before = slot
        while gap >= 1 << 14:
            gap >>= 7
            size += 1
        size += 1 + int(gap >= 128)
    return size


@numba.njit(cache=True, nogil=True)
def write_gaps(slots: NDArray[np.int64], written: NDArray[np.uint8]) -> None:
    """Write the gaps.

    Gaps of one byte and of two are written alike, as which comes next cannot be guessed: the second byte is written over.

    Args:
        slots: int64[n], ascending.
        written: uint8[`gaps_size` + 1]; the last is written over and over, and means nothing.
    """
    at = np.int64(0)
    before = np.int64(-1)
    for slot in slots:
        gap = slot - before - 1
        before = slot
        while gap >= 1 << 14:
            written[at] = np.uint8(gap & 127 | 128)
            gap >>= 7
            at += 1
        two = np.int64(gap >= 128)
        written[at] = np.uint8(gap & 127 | two << 7)
        written[at + 1] = np.uint8(gap >> 7)
        at += 1 + two


@numba.njit(cache=True, nogil=True)
def read_gaps(raw: NDArray[np.uint8], slots: NDArray[np.int64]) -> bool:
    """Read the gaps; whether they were written in their one way, and are as many as there are slots.

    Numbers of one byte and of two are read alike, as which comes next cannot be guessed.

    Args:
        raw: uint8[m], any bytes, the last one below 128.
        slots: int64[n], written.
    """
    at, end = np.int64(0), np.int64(len(raw))
    slot = np.int64(-1)
    for number in range(len(slots)):
        if at >= end:
            return False
        first = np.int64(raw[at])
        more = first >> 7
        second = np.int64(raw[at + more])  # there is one, as the last byte ends a number
        gap = (first & 127) | (second & 127) << 7 & -more
        at += 1 + more
        if second & 128:
            shift = 14
            while True:
                byte = np.int64(raw[at])
                gap |= (byte & 127) << shift
                at += 1
                shift += 7
                if byte < 128:
                    break
                if shift >= 56:
                    return False
            second = byte
        if second == 0 and more:
            return False
        slot += gap + 1
        if slot >= _LIMIT:
            return False
        slots[number] = slot
    return bool(at == end)
