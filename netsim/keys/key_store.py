"""Secret bits by address, each handed out once.

A stream of key has addresses, bit by bit, that both ends agree on. Each end holds the bits of the stretches it was given and
forgets a bit when it hands it out. Both ends of a link hold a store for each stream: one end draws from the front (`take`), the other
fetches what was drawn by its address (`take_at`).
"""

from __future__ import annotations

import bisect

import numpy as np
from numpy.typing import NDArray

from netsim.errors import KeyExhausted, KeyUnavailable


class KeyStore:
    """One end of one stream of key."""

    def __init__(self) -> None:
        self._starts: list[int] = []  # ascending; stretches never overlap
        self._stretches: list[NDArray[np.uint8]] = []
        self.deposited_bits = 0
        self.handed_out_bits = 0

    @property
    def available_bits(self) -> int:
        """Bits in store."""
        return self.deposited_bits - self.handed_out_bits

    def deposit(self, address: int, bits: NDArray[np.uint8]) -> None:
        """Put bits in, from `address` on.

        Args:
            address: of the first bit, >= 0.
            bits: uint8[n] of 0/1.

        Raises:
            ValueError: some of these addresses hold bits already.
        """
        if not len(bits):
            return
        at = bisect.bisect_left(self._starts, address)
        before = at > 0 and self._starts[at - 1] + len(self._stretches[at - 1]) > address
        after = at < len(self._starts) and address + len(bits) > self._starts[at]
        if address < 0 or before or after:
            raise ValueError(f"addresses {address} to {address + len(bits)} are not free in this store")
        self._starts.insert(at, address)
        self._stretches.insert(at, np.array(bits, dtype=np.uint8))
        self.deposited_bits += len(bits)

    def locate(self, count: int) -> int:
        """The lowest address from which `count` bits are in store in one piece.

        Args:
            count: at least 1.

        Raises:
            KeyExhausted: there is none.
        """
        _check(count)
        longest = run_start = run_stop = 0
        for start, stretch in zip(self._starts, self._stretches, strict=True):
            if start != run_stop:
                run_start = start
            run_stop = start + len(stretch)
            if run_stop - run_start >= count:
                return run_start
            longest = max(longest, run_stop - run_start)
        raise KeyExhausted(requested=count, available=longest)

    def take(self, count: int) -> tuple[int, NDArray[np.uint8]]:
        """Hand out the next `count` bits in one piece.

        Returns:
            The address of the first, and uint8[count].

        Raises:
            KeyExhausted: there are not so many in one piece.
        """
        address = self.locate(count)
        return address, self.take_at(address, count)

    def take_at(self, address: int, count: int) -> NDArray[np.uint8]:
        """Hand out the bits at given addresses.

        Args:
            address: of the first.
            count: at least 1.

        Returns:
            uint8[count].

        Raises:
            KeyUnavailable: some of them were never deposited, or were handed out before. None is handed out then.
        """
        _check(count)
        pieces = self._pieces(address, count)
        if not pieces:
            raise KeyUnavailable(
                f"key bits {address} to {address + count} are not in this store (never deposited, or spent)"
            )
        bits = np.concatenate([self._stretches[i][first:last] for i, first, last in pieces])
        for i, first, last in reversed(pieces):
            start, stretch = self._starts[i], self._stretches[i]
            rest = [(start, stretch[:first]), (start + last, stretch[last:])]
            kept = [(s, piece.copy()) for s, piece in rest if len(piece)]
            self._starts[i : i + 1] = [s for s, _ in kept]
            self._stretches[i : i + 1] = [piece for _, piece in kept]
        self.handed_out_bits += count
        return bits

    def holds(self, address: int, count: int) -> bool:
        """Whether `take_at` would succeed."""
        return bool(self._pieces(address, count))

    def _pieces(self, address: int, count: int) -> list[tuple[int, int, int]]:
        """Where bits lie, as (index of stretch, first, last) in order; empty if some are missing."""
        pieces: list[tuple[int, int, int]] = []
        position, stop = address, address + count
        index = max(0, bisect.bisect_right(self._starts, address) - 1)
        while position < stop and index < len(self._starts):
            start, stretch = self._starts[index], self._stretches[index]
            if not start <= position < start + len(stretch):
                break
            last = min(stop - start, len(stretch))
            pieces.append((index, position - start, last))
            position, index = start + last, index + 1
        return pieces if position >= stop else []


def _check(count: int) -> None:
    if count < 1:
        raise ValueError(f"{count} bits of key were asked for; ask for one at least")
