"""The Toeplitz product in segments: single precision, both cores, and memory that does not grow with the key.

Bits, seed and new key are cut into segments of B bits. New segment p is Σ_q W(p − q)·x(q), where W(k) is the Toeplitz
matrix of a window of 2B seed bits: a cyclic convolution of length 2B, of which half the result is kept (overlap-save;
Stockham, AFIPS Spring Joint Computer Conf. 28, 229 (1966)). The sum over q is taken between the transforms, so each segment and
each window is transformed once and each new segment transformed back once, as long as the spectra fit in the memory given.

Single precision will do as long as 0 and 1 are written as −½ and +½: then all that is summed has mean zero, and the sum over
n products is about √n/4 instead of n/4. What that leaves out is an integer known exactly (`toeplitz_kernel.to_bits`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from netsim.postprocessing import toeplitz_kernel
from netsim.postprocessing.toeplitz_kernel import TILE, Floats

LARGEST_SEGMENT = 2**18  # longer transforms no longer fit the cache
BATCH = 16  # segments whose products are summed at once
GROUP = 4  # transforms done together: so many single-precision numbers fit a vector register of any processor
SPECTRA_BYTES = 2**29
"""What the spectra held at a time may take; of a longer key some rows are made after the others."""

Group = Sequence[tuple[int, int]]
"""The numbers of segments or windows, each with its row among the spectra."""


def segment_length(n: int, l: int) -> int:  # noqa: E741  # the field's letter for the final length
    """The bits of a segment: the power of two next to 32·√n, or √l if that is more, up to `LARGEST_SEGMENT`.

    The transforms' work hardly depends on it, that of the products is n·l/B; what was fastest of the powers of two was
    2^15 for n = 10⁶, 2^17 for 10⁷ and 2^18 for 10⁸.
    """
    return min(1 << round(5 + math.log2(max(n, l)) / 2), LARGEST_SEGMENT)


def product(
    bits: NDArray[np.uint8],
    seed: NDArray[np.uint8],
    l: int,  # noqa: E741  # as above
    *,
    segment: int | None = None,
    precision: type[np.float32 | np.float64] = np.float32,
    spectra_bytes: int = SPECTRA_BYTES,
    workers: int | None = None,
) -> tuple[NDArray[np.uint8], float]:
    """The new key, and how far the sums behind it were from integers.

    Args:
        bits: uint8[n] of 0 and 1, n at least 1.
        seed: uint8[n + l − 1] of 0 and 1.
        l: bits of the new key, at least 1.
        segment: B, a power of two; `segment_length` by default.
        precision: of the transforms.
        spectra_bytes: bound on the spectra held at a time; at least one new segment's are.
        workers: threads; by default as many as Numba uses, which is one a processor.

    Returns:
        uint8[l] of 0 and 1, and the largest distance from an integer over at least B sums. It is to be looked at: sums that
        are wrong are anywhere between two integers, and each is within a tenth of one with probability 1/5.
    """
    if segment is None:
        segment = segment_length(len(bits), l)
    if workers is None:
        workers = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # set when it is imported
    with ThreadPoolExecutor(workers) as pool:
        return _Product(bits, seed, l, segment, precision, workers, pool).run(spectra_bytes)


class _Product:
    """One product underway."""

    def __init__(
        self,
        bits: NDArray[np.uint8],
        seed: NDArray[np.uint8],
        l: int,  # noqa: E741  # as above
        segment: int,
        precision: type[np.float32 | np.float64],
        workers: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.bits, self.seed, self.segment, self.precision = bits, seed, segment, precision
        self.workers, self.pool = workers, pool
        self.n, self.key = len(bits), np.empty(l, dtype=np.uint8)
        self.tiles = -(-(segment + 1) // TILE)
        self.offset = 2 * _ones(bits) - self.n
        # Of the n seed bits that meet the first row of each new segment: what leaves and what comes is a segment's length.
        self.ones = [_ones(seed[: self.n])]
        for start in range(0, l - segment, segment):
            come, go = (seed[begin : begin + segment] for begin in (start + self.n, start))
            self.ones.append(self.ones[-1] + _ones(come) - _ones(go))

    def run(self, spectra_bytes: int) -> tuple[NDArray[np.uint8], float]:
        """All rows, as many new segments at a time as fit."""
        rows = -(-len(self.key) // self.segment)
        row_bytes = self.tiles * 2 * TILE * np.dtype(self.precision).itemsize
        fitting = max(1, (spectra_bytes // row_bytes - 2 * BATCH) // 2)
        stripes = -(-rows // fitting)
        deviations = [self._stripe(rows * k // stripes, rows * (k + 1) // stripes) for k in range(stripes)]
        return self.key, float(np.max(deviations))  # NaN if any is

    def _stripe(self, first: int, last: int) -> float:
        """The new segments first to last − 1; returns the deviation."""
        count = last - first
        columns = -(-self.n // self.segment)
        batch = min(BATCH, columns + columns % 2)
        sums, windows, parts = (self._spectra(rows) for rows in (count, count + batch - 1, batch))
        sums.fill(0)
        ring = windows.shape[1]
        known = last  # windows from here on have been transformed
        for q in range(0, columns, batch):
            lowest = first - q - batch + 1
            new_windows = [(k, k % ring) for k in range(lowest, known)]
            known = lowest
            self._all(
                [partial(self._windows, group, windows) for group in _groups(new_windows)]
                + [
                    partial(self._parts, group, parts)
                    for group in _groups([(q + j, j) for j in range(batch)])
                ]
            )
            self._all(
                partial(toeplitz_kernel.accumulate, sums, windows, parts, first - q, start, stop)
                for start, stop in pairwise(self.tiles * k // self.workers for k in range(self.workers + 1))
            )
        finished = [(p, p - first) for p in range(first, last)]
        return float(np.max(self._all(partial(self._finish, group, sums) for group in _groups(finished))))

    def _spectra(self, rows: int) -> Floats:
        """Room for spectra."""
        return np.empty((self.tiles, rows, 2 * TILE), dtype=self.precision)

    def _windows(self, group: Group, windows: Floats) -> None:
        """Transform the 2B seed bits of W(k) into their rows; where there is no seed, as if it were 0."""
        values = np.full((len(group), 2 * self.segment), -0.5, dtype=self.precision)
        for target, (k, _) in zip(values, group, strict=True):
            start = (k - 1) * self.segment + self.n - 1
            have = self.seed[max(start, 0) : max(start + 2 * self.segment, 0)]
            here = max(-start, 0)
            np.subtract(have, self.precision(0.5), out=target[here : here + len(have)])
        self._transform(values, group, windows)

    def _parts(self, group: Group, parts: Floats) -> None:
        """Transform x(q) into its row; where there is no bit nothing is to be summed, so 0 and not −½."""
        values = np.zeros((len(group), 2 * self.segment), dtype=self.precision)
        for target, (q, _) in zip(values, group, strict=True):
            have = self.bits[q * self.segment : (q + 1) * self.segment]
            np.subtract(have, self.precision(0.5), out=target[: len(have)])
        self._transform(values, group, parts)

    def _transform(self, values: Floats, group: Group, tiles: Floats) -> None:
        """Transform each line of values, and write it to its row."""
        spectra = fft.rfft(values).view(self.precision)
        for spectrum, (_, row) in zip(spectra, group, strict=True):
            toeplitz_kernel.to_tiles(spectrum, tiles, row)

    def _finish(self, group: Group, sums: Floats) -> float:
        """Transform new segments p back, and write their bits; returns the deviation."""
        spectra = np.empty((len(group), 2 * self.segment + 2), dtype=self.precision)
        for spectrum, (_, row) in zip(spectra, group, strict=True):
            toeplitz_kernel.from_tiles(sums, row, spectrum)
        pairs = spectra.view(np.result_type(self.precision, np.complex64))
        centred = fft.irfft(pairs, 2 * self.segment)[:, self.segment :]
        deviations = []
        for values, (p, _) in zip(centred, group, strict=True):
            deviations.append(
                toeplitz_kernel.to_bits(
                    values, self.ones[p], self.offset, self.n, self.seed, p * self.segment, self.key
                )
            )
        return float(np.max(deviations))

    def _all(self, tasks: Iterable[Callable[[], Any]]) -> list[Any]:
        """Run tasks side by side; what they returned, in order."""
        return list(self.pool.map(lambda task: task(), tasks))


def _ones(bits: NDArray[np.uint8]) -> int:
    """How many bits are 1."""
    return int(np.count_nonzero(bits))


def _groups(pairs: Sequence[tuple[int, int]]) -> Iterator[Group]:
    """Four at a time."""
    return (pairs[start : start + GROUP] for start in range(0, len(pairs), GROUP))
