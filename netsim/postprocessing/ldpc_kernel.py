"""The decoder and the syndromes of `ldpc`, compiled: what `ldpc_clear` says, sixteen checks at a time."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from netsim.postprocessing.ldpc_code import CHANNEL, KNOWN, LARGEST_MESSAGE, LARGEST_SCALED, PATIENCE, Code

# Inner loops run over the lanes of a circulant. They touch little and hold no branch, so that LLVM makes vector
# instructions of them on any processor; a cyclic shift becomes one run because every column is kept with a
# second copy behind it.


@numba.njit(cache=True, nogil=True)
def syndromes(
    lanes: int,
    starts: NDArray[np.int64],
    columns: NDArray[np.int64],
    shifts: NDArray[np.int64],
    bits: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Parities of all checks.

    Args:
        lanes: checks in a row of the base graph, Z.
        starts: int64[rows + 1], first edge of every row, and their number.
        columns: int64[edges].
        shifts: int64[edges].
        bits: uint8[columns·Z].

    Returns:
        uint8[rows·Z].
    """
    doubled = np.empty(2 * len(bits), np.uint8)
    for column in range(len(bits) // lanes):
        one = bits[column * lanes : (column + 1) * lanes]
        doubled[2 * column * lanes : (2 * column + 1) * lanes] = one
        doubled[(2 * column + 1) * lanes : (2 * column + 2) * lanes] = one
    parities = np.zeros((len(starts) - 1) * lanes, np.uint8)
    for row in range(len(starts) - 1):
        out = parities[row * lanes : (row + 1) * lanes]
        for edge in range(starts[row], starts[row + 1]):
            first = 2 * columns[edge] * lanes + shifts[edge]
            run = doubled[first : first + lanes]
            for i in range(lanes):
                out[i] ^= run[i]
    return parities


@numba.njit(cache=True, nogil=True)
def _tell(
    lanes: int,
    first: int,
    last: int,
    reads: NDArray[np.int64],
    writes: NDArray[np.int64],
    wanted: NDArray[np.int16],
    gain: np.int16,
    sums: NDArray[np.int16],
    messages: NDArray[np.int8],
    rest: NDArray[np.int16],
    work: NDArray[np.int16],
) -> None:
    """Let one row of the base graph hear its bits and tell them what follows; arguments as in `layered`."""
    signs, least = work[:lanes], work[lanes : 2 * lanes]
    second, scaled = work[2 * lanes : 3 * lanes], work[3 * lanes : 4 * lanes]
    for i in range(lanes):
        signs[i] = wanted[i]
        least[i] = 32767
        second[i] = 32767
    for edge in range(first, last):
        total = sums[reads[edge] : reads[edge] + lanes]
        old = messages[edge * lanes : (edge + 1) * lanes]
        out = rest[(edge - first) * lanes : (edge - first + 1) * lanes]
        for i in range(lanes):
            value = np.int16(total[i] - old[i])
            out[i] = value
            signs[i] ^= value
            size = np.int16(abs(value))
            smallest = least[i]
            least[i] = min(smallest, size)
            second[i] = min(second[i], max(smallest, size))
    cut, most, places = np.int16(LARGEST_SCALED), np.int16(LARGEST_MESSAGE), np.int16(7)
    for i in range(lanes):
        scaled[i] = min(np.int16(np.int16(min(least[i], cut) * gain) >> places), most)
        second[i] = min(np.int16(np.int16(min(second[i], cut) * gain) >> places), most)
    for edge in range(first, last):
        new = messages[edge * lanes : (edge + 1) * lanes]
        values = rest[(edge - first) * lanes : (edge - first + 1) * lanes]
        one = sums[writes[edge] : writes[edge] + lanes]
        other = sums[writes[edge] + lanes : writes[edge] + 2 * lanes]
        for i in range(lanes):
            value = values[i]
            to_others, to_least = scaled[i], second[i]
            size = to_least if np.int16(abs(value)) == least[i] else to_others
            sign = np.int16((value ^ signs[i]) >> np.int16(15))
            message = np.int16((size ^ sign) - sign)
            total_now = np.int16(value + message)
            new[i] = np.int8(message)
            one[i] = total_now
            other[i] = total_now


@numba.njit(cache=True, nogil=True)
def _failing(
    lanes: int,
    starts: NDArray[np.int64],
    checks: NDArray[np.int64],
    syndrome: NDArray[np.int16],
    sums: NDArray[np.int16],
    parity: NDArray[np.int16],
) -> int:
    """How many checks do not hold for the bits as they are believed to be; arguments as in `layered`."""
    bad = np.int64(0)
    for row in range(len(starts) - 1):
        wanted = syndrome[row * lanes : (row + 1) * lanes]
        for i in range(lanes):
            parity[i] = wanted[i]
        for edge in range(starts[row], starts[row + 1]):
            total = sums[checks[edge] : checks[edge] + lanes]
            for i in range(lanes):
                parity[i] ^= total[i]
        count = np.int16(0)
        for i in range(lanes):
            count -= parity[i] >> np.int16(15)
        bad += count
    return int(bad)


@numba.njit(cache=True, nogil=True)
def layered(
    lanes: int,
    starts: NDArray[np.int64],
    reads: NDArray[np.int64],
    writes: NDArray[np.int64],
    checks: NDArray[np.int64],
    syndrome: NDArray[np.int16],
    gains: NDArray[np.int16],
    sums: NDArray[np.int16],
    messages: NDArray[np.int8],
    iterations: int,
) -> int:
    """Layered min-sum with a gain that follows the share of checks that fail.

    Args:
        lanes: checks in a row of the base graph, Z.
        starts: int64[rows + 1], first edge of every row, and their number.
        reads: int64[edges], where in `sums` the run of an edge stands when its row has its turn.
        writes: int64[edges], where it is put back, and Z further on again.
        checks: int64[edges], where it stands when the last row is done.
        syndrome: int16[rows·Z], 0 or -1: parities that the errors have to have.
        gains: int16[G], in 1/128; entry ⌊2(G - 1)·share⌋ while that share of the checks fails.
        sums: int16[columns·3Z], what is believed of every bit: columns as they come in, three copies each;
            the middle one is right at the end. Negative says: wrong.
        messages: int8[edges·Z], zeros, from checks to bits.
        iterations: at most so many.

    Returns:
        Iterations done; negative if some check still fails.
    """
    rows = len(starts) - 1
    widest = np.int64(0)
    for row in range(rows):
        widest = max(widest, starts[row + 1] - starts[row])
    rest = np.empty(widest * lanes, np.int16)
    work = np.empty(4 * lanes, np.int16)
    lowest, since = rows * lanes + 1, 0
    for iteration in range(iterations + 1):
        bad = _failing(lanes, starts, checks, syndrome, sums, work[:lanes])
        if bad == 0:
            return iteration
        if bad < lowest:
            lowest, since = bad, iteration
        if iteration in (iterations, since + PATIENCE):
            break
        gain = gains[min(2 * (len(gains) - 1) * bad // (rows * lanes), len(gains) - 1)]
        for row in range(rows):
            wanted = syndrome[row * lanes : (row + 1) * lanes]
            _tell(
                lanes,
                starts[row],
                starts[row + 1],
                reads,
                writes,
                wanted,
                gain,
                sums,
                messages,
                rest,
                work,
            )
    return -iteration


class Matrix:
    """A code as the kernels want it.

    Every column is kept in 3Z places, and written twice, at s and s + Z for the shift s it is written with. Those 2Z
    places are valid until it is written again, and the run of any other shift lies somewhere among them.

    Args:
        code: of the frames.
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        final: dict[int, int] = {}
        before = np.zeros_like(code.shifts)
        for _ in range(2):  # the second time, `final` is what the round before has left
            for edge, column in enumerate(code.columns.tolist()):
                before[edge] = final.get(column, 0)
                final[column] = int(code.shifts[edge])
        after = np.array([final[column] for column in code.columns.tolist()], np.int64)
        self._writes = 3 * code.lanes * code.columns + code.shifts
        self._reads = self._writes + code.lanes * (code.shifts < before)
        self._checks = self._writes + code.lanes * (code.shifts < after)

    def parities(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """As `ldpc_clear.parities`."""
        code = self._code
        result: NDArray[np.uint8] = syndromes(code.lanes, code.starts, code.columns, code.shifts, bits)
        return result

    def decode(
        self, syndrome: NDArray[np.uint8], length: int, gains: NDArray[np.int16], iterations: int
    ) -> tuple[NDArray[np.uint8], int]:
        """As `ldpc_clear.decode`."""
        lanes = self._code.lanes
        start = np.full((self._code.width // lanes, lanes), CHANNEL, np.int16)
        start.reshape(-1)[length:] = KNOWN
        sums = np.tile(start, 3)
        done = layered(
            lanes,
            self._code.starts,
            self._reads,
            self._writes,
            self._checks,
            -syndrome.astype(np.int16),
            gains,
            sums.reshape(-1),
            np.zeros(len(self._reads) * lanes, np.int8),
            iterations,
        )
        return (sums[:, lanes : 2 * lanes] < 0).astype(np.uint8).reshape(-1), done
