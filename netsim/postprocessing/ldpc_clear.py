"""The decoder and the syndromes of `ldpc` in plain NumPy: the clear version, and the quick one for short keys."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.postprocessing.ldpc_code import CHANNEL, KNOWN, LARGEST_MESSAGE, LARGEST_SCALED, PATIENCE, Code


class Matrix:
    """A parity-check matrix.

    Args:
        code: of the frames.
    """

    def __init__(self, code: Code) -> None:
        self._width = code.width
        self._lanes = code.lanes
        turned = (np.arange(code.lanes) + code.shifts[:, None]) % code.lanes
        seen = code.columns[:, None] * code.lanes + turned
        self._rows = np.split(
            seen, code.starts[1:-1]
        )  # of each row, the bits that its checks see: [edges, Z]

    def parities(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Parities of all checks.

        Args:
            bits: uint8[width].

        Returns:
            uint8[rows·Z], row after row.
        """
        return np.concatenate([np.bitwise_xor.reduce(bits[seen], axis=0) for seen in self._rows])

    def decode(
        self, syndrome: NDArray[np.uint8], length: int, gains: NDArray[np.int16], iterations: int
    ) -> tuple[NDArray[np.uint8], int]:
        """Find errors that have this syndrome, by layered min-sum.

        Every bit starts with the belief CHANNEL that it is right. A row of the base graph takes, for each of its
        Z checks, the beliefs of its bits without what it had told them itself; tells each of them the smallest
        size among the others, times the gain, with the sign that makes the check hold; and so on with the next.

        Args:
            syndrome: uint8[rows·Z], parities of the errors.
            length: bits in the frame; the rest of the width is known to be right.
            gains: int16[G], in 1/128; entry ⌊2(G - 1)·share⌋ is used while that share of the checks fails.
            iterations: at most so many rounds of all rows.

        Returns:
            uint8[width], the errors as far as found, and the iterations done, negative if some check still fails.
        """
        beliefs = np.full(self._width, CHANNEL)
        beliefs[length:] = KNOWN
        told = [np.zeros_like(seen) for seen in self._rows]
        wanted = syndrome.reshape(-1, self._lanes)
        lowest, since = len(syndrome) + 1, 0
        for iteration in range(iterations + 1):
            errors = (beliefs < 0).astype(np.uint8)
            bad = int(np.sum(self.parities(errors) != syndrome))
            if bad == 0:
                return errors, iteration
            if bad < lowest:
                lowest, since = bad, iteration
            if iteration in (iterations, since + PATIENCE):
                break
            gain = int(gains[min(2 * (len(gains) - 1) * bad // len(syndrome), len(gains) - 1)])
            for row, seen in enumerate(self._rows):
                rest = beliefs[seen] - told[row]
                sizes = np.abs(rest)
                least, second = np.sort(np.vstack((sizes, np.full_like(sizes[:1], LARGEST_SCALED))), axis=0)[
                    :2
                ]
                others = np.where(sizes == least, second, least)
                message = np.minimum(np.minimum(others, LARGEST_SCALED) * gain >> 7, LARGEST_MESSAGE)
                minus = rest < 0
                minus ^= (minus.sum(axis=0) & 1 ^ wanted[row]).astype(np.bool_)
                told[row] = np.where(minus, -message, message)
                beliefs[seen] = rest + told[row]
        return errors, -iteration
