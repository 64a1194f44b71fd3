"""The compiled inner loops of `toeplitz_segments`: spectra in tiles, their products summed, sums rounded to bits.

A spectrum is kept in tiles of `TILE` frequencies: float[tiles, rows, 2·TILE], first the real parts of a tile, then the
imaginary ones. What is summed at one time so lies together in the cache, and the loop over frequencies becomes vector
instructions without shuffles. The last tile is filled up with zeros.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

TILE = 128

_TO_INTEGER = 6755399441055744.0  # 1.5·2^52: adding it and taking it away again rounds a double to an integer

Floats = NDArray[Any]
"""float32 or float64, the same for all arguments of a call."""


@numba.njit(cache=True, nogil=True)
def to_tiles(spectrum: Floats, tiles: Floats, row: int) -> None:
    """Write a spectrum, float[2·frequencies] of real and imaginary parts in turn, into a row of the tiles."""
    whole = len(spectrum) // (2 * TILE)
    for tile in range(whole):
        place, pairs = tiles[tile, row], spectrum[2 * tile * TILE : 2 * (tile + 1) * TILE]
        for f in range(TILE):
            place[f] = pairs[2 * f]
            place[TILE + f] = pairs[2 * f + 1]
    if whole < len(tiles):
        place, pairs = tiles[whole, row], spectrum[2 * whole * TILE :]
        place[:] = 0.0
        for f in range(len(pairs) // 2):
            place[f] = pairs[2 * f]
            place[TILE + f] = pairs[2 * f + 1]


@numba.njit(cache=True, nogil=True)
def from_tiles(tiles: Floats, row: int, spectrum: Floats) -> None:
    """Read a spectrum back: the inverse of `to_tiles`."""
    frequencies = len(spectrum) // 2
    for tile in range(tiles.shape[0]):
        place = tiles[tile, row]
        start = tile * TILE
        for f in range(min(TILE, frequencies - start)):
            spectrum[2 * (start + f)] = place[f]
            spectrum[2 * (start + f) + 1] = place[TILE + f]


# Contraction lets a multiplication and an addition be one instruction; nothing here depends on the last digit.
@numba.njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def accumulate(sums: Floats, windows: Floats, parts: Floats, newest: int, first: int, last: int) -> None:
    """sums[i] += Σ_j windows[(newest + i − j) mod rows]·parts[j], at the frequencies of the tiles first to last − 1.

    Args:
        sums: float[tiles, g, 2·TILE].
        windows: float[tiles, rows, 2·TILE], a ring: rows is at least g + b − 1.
        parts: float[tiles, b, 2·TILE], b even.
        newest: the row of i = j, before mod rows.
        first: the first tile.
        last: after the last tile.
    """
    rows = windows.shape[1]
    for tile in range(first, last):
        for i in range(sums.shape[1]):
            place = sums[tile, i]
            # Two products at a time: half the loads and stores of the sum, and few enough arrays for the compiler to
            # find that none overlaps the sum.
            for j in range(0, parts.shape[1], 2):
                s, t = windows[tile, (newest + i - j) % rows], windows[tile, (newest + i - j - 1) % rows]
                x, y = parts[tile, j], parts[tile, j + 1]
                for f in range(TILE):
                    place[f] += (
                        s[f] * x[f] - s[f + TILE] * x[f + TILE] + t[f] * y[f] - t[f + TILE] * y[f + TILE]
                    )
                    place[f + TILE] += (
                        s[f] * x[f + TILE] + s[f + TILE] * x[f] + t[f] * y[f + TILE] + t[f + TILE] * y[f]
                    )


@numba.njit(cache=True, nogil=True)
def to_bits(
    centred: Floats,
    ones: int,
    offset: int,
    n: int,
    seed: NDArray[np.uint8],
    start: int,
    key: NDArray[np.uint8],
) -> float:
    """Turn centred sums into key bits.

    Σ_j s·x = Σ_j (s − ½)(x − ½) + (2·ones of s + 2·ones of x − n)/4, the ones of s in the window of n bits that begins
    at the row's number.

    Args:
        centred: float[B], Σ_j (s − ½)(x − ½) for the rows start to start + B − 1. Also those behind the last row
            have a window, in which the bits after the seed's end are 0.
        ones: how many of seed[start : start + n] are 1.
        offset: 2·ones of x − n.
        n: bits of the old key.
        seed: uint8[n + l − 1].
        start: the first row.
        key: uint8[l], written from `start` on as far as both go.

    Returns:
        The largest distance from an integer, over all B; NaN if any is no number.
    """
    worst = 0.0
    for r in range(len(centred)):
        i = start + r
        value = centred[r] + 0.25 * ((2 * ones + offset) & 7)
        integer = (value + _TO_INTEGER) - _TO_INTEGER
        distance = abs(value - integer)
        if not distance <= worst:
            if np.isnan(distance):
                return np.nan
            worst = distance
        if i < len(key):
            key[i] = np.int64(integer) & 1
        if i < len(seed):
            ones -= seed[i]
        if i + n < len(seed):
            ones += seed[i + n]
    return worst
