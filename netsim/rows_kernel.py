"""Counting, picking and looking up in long rows, compiled, without a branch that a processor would have to guess."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, nogil=True)
def pick(values: NDArray[np.uint8], mask: NDArray[np.bool_], picked: NDArray[np.uint8]) -> None:
    """Write the values where the mask is true.

    Args:
        values: uint8[m].
        mask: bool[m].
        picked: uint8[k + 1], k the ones of the mask; the last is written over and over, and means nothing.
    """
    at = 0
    for i in range(len(values)):
        picked[at] = values[i]
        at += int(mask[i])


@numba.njit(cache=True, nogil=True)
def tally(values: NDArray[np.uint8], counts: NDArray[np.int64]) -> None:
    """Count each value.

    Args:
        values: uint8[m].
        counts: int64[4, 256], zeros; neighbours are counted apart, so that equal ones need not wait for each other.
    """
    for i in range(len(values)):
        counts[i & 3, values[i]] += 1


@numba.njit(cache=True, nogil=True)
def positions(mask: NDArray[np.bool_], found: NDArray[np.int64]) -> None:
    """Write where the mask is true.

    Args:
        mask: bool[m].
        found: int64[k + 1], k the ones of the mask; the last is written over and over, and means nothing.
    """
    at = 0
    for i in range(len(mask)):
        found[at] = i
        at += int(mask[i])


@numba.njit(cache=True, nogil=True)
def look_up(table: NDArray[np.uint8], places: NDArray[np.int32], found: NDArray[np.uint8]) -> None:
    """Write the table's entries at the places.

    Args:
        table: uint8[t].
        places: int32[m], within the table.
        found: uint8[m].
    """
    for i in range(len(places)):
        found[i] = table[places[i]]
