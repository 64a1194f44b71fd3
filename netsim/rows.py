"""Long rows, one entry a detection: what NumPy does with them, and faster where they are long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COMPILED_FROM = 500_000
"""Entries; NumPy is done with shorter rows before numba would be imported."""


def tally(values: NDArray[np.uint8], kinds: int) -> NDArray[np.int64]:
    """Counts of 0, 1, ... kinds − 1; larger values are not counted.

    `np.bincount` turns the whole row into machine words first.

    Args:
        values: uint8[m].
        kinds: how many are told apart.

    Returns:
        int64[kinds].
    """
    if len(values) < COMPILED_FROM:
        return np.array([np.count_nonzero(values == kind) for kind in range(kinds)], dtype=np.int64)
    from netsim import rows_kernel  # noqa: PLC0415  numba takes half a second to import

    counts = np.zeros((4, 256), dtype=np.int64)
    rows_kernel.tally(values, counts)
    total: NDArray[np.int64] = counts.sum(axis=0)[:kinds]
    return total


def pick(values: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """`values[mask]`, without a copy where the mask is true everywhere.

    Args:
        values: uint8[m].
        mask: bool[m].
    """
    chosen = int(np.count_nonzero(mask))
    if chosen == len(mask) == len(values):
        return values
    if len(values) < COMPILED_FROM or len(mask) != len(values):
        return values[mask]
    from netsim import rows_kernel  # noqa: PLC0415  numba takes half a second to import

    picked = np.empty(chosen + 1, dtype=np.uint8)
    rows_kernel.pick(values, mask, picked)
    return picked[:chosen]


def positions(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where a mask is true, as `np.flatnonzero`: int64[k].

    Args:
        mask: bool[m].
    """
    if len(mask) < COMPILED_FROM:
        return np.flatnonzero(mask)
    from netsim import rows_kernel  # noqa: PLC0415  numba takes half a second to import

    found = np.empty(int(np.count_nonzero(mask)) + 1, dtype=np.int64)
    rows_kernel.positions(mask, found)
    return found[:-1]


def look_up(table: NDArray[np.uint8], places: NDArray[np.int32]) -> NDArray[np.uint8]:
    """`table[places]`.

    Args:
        table: uint8[t].
        places: int32[m], 0 <= places < t.
    """
    if len(places) < COMPILED_FROM:
        return table[places]
    from netsim import rows_kernel  # noqa: PLC0415  numba takes half a second to import

    found = np.empty(len(places), dtype=np.uint8)
    rows_kernel.look_up(table, places, found)
    return found
