"""Dense trains: a whole train of pulses, or of entangled pairs, as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.train import EIGHTH, NO_PHOTON, Train
from netsim.random_streams import rare_events

_BORN = np.cos(np.arange(8) * EIGHTH / 2) ** 2
_BORN[[0, 2, 4, 6]] = [1.0, 0.5, 0.0, 0.5]  # exact where the sampled probability must be
_SPARSE = 0.02  # below this share, drawing positions is cheaper than drawing at every pulse


class PulseTrain(Train):
    """A train of single-photon pulses.

    Args:
        angles: uint8[n], the state prepared in each pulse, 0..7.
        block: number of the block.
        start_s: when pulse 0 leaves.
        rate_hz: pulses per second.
    """

    def __init__(self, angles: NDArray[np.uint8], block: int, start_s: float, rate_hz: float) -> None:
        super().__init__(block, start_s, rate_hz)
        self._angles = angles.copy()
        self._present = np.ones(len(angles), dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._angles)

    def parcels(self) -> Sequence[slice]:
        """One: the whole train."""
        return (slice(0, len(self)),)

    def lose(self, where: slice, transmittance: float, rng: np.random.Generator) -> None:
        """Each photon survives with probability `transmittance`."""
        present = self._present[where]
        if transmittance >= 1.0:
            return
        if transmittance > _SPARSE:
            present &= rng.random(len(present)) < transmittance
        else:
            survivors = rare_events(len(present), transmittance, rng)
            kept = present[survivors]
            present[:] = False
            present[survivors] = kept

    def flip(self, where: slice, probability: float, rng: np.random.Generator) -> None:
        """Each photon is turned to the orthogonal state with this probability."""
        flipped = rare_events(where.stop - where.start, probability, rng) + where.start
        self._turn(flipped)

    def _turn(self, positions: NDArray[np.int64]) -> None:
        self._angles[positions] = (self._angles[positions] + 4) & 7

    def measure(
        self,
        where: slice,
        settings: NDArray[np.uint8],
        rng: np.random.Generator,
        only: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int8]:
        """Measure by Born's rule; each photon goes on in the state found."""
        met = self._present[where] if only is None else self._present[where] & only
        local = np.flatnonzero(met)
        found = self._found(local + where.start, settings[local], rng)
        outcomes = np.full(where.stop - where.start, NO_PHOTON, dtype=np.int8)
        outcomes[local] = found
        return outcomes

    def _found(
        self, positions: NDArray[np.int64], settings: NDArray[np.uint8], rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        zero = _BORN[(self._angles[positions] - settings) & 7]
        found: NDArray[np.uint8] = (rng.random(len(positions)) >= zero).astype(np.uint8)
        self._angles[positions] = (settings + 4 * found) & 7
        return found

    def replace(self, where: slice, other: Train) -> None:
        """The photons of `where` are blocked and those of `other` go on in their place."""
        if not isinstance(other, PulseTrain) or isinstance(other, EntangledTrain) or len(other) != len(self):
            raise TypeError(f"a dense train takes in another of its length, got a {type(other).__name__}")
        self._angles[where] = other._angles[where]
        self._present[where] = other._present[where]
        other._present[where] = False


class _Pairs:
    """What two halves of a train of pairs share: which pairs are still entangled, and how the halves differ.

    An entangled pair is Φ+ up to a flip: once one half is found in a state, the other is in that state turned by
    `offset` (0 or 4).
    """

    def __init__(self, count: int) -> None:
        self.entangled = np.ones(count, dtype=np.bool_)
        self.offset = np.zeros(count, dtype=np.uint8)


class EntangledTrain(PulseTrain):
    """One half of a train of entangled pairs; made by `entangled_trains`."""

    def __init__(self, pairs: _Pairs, block: int, start_s: float, rate_hz: float) -> None:
        super().__init__(np.zeros(len(pairs.offset), dtype=np.uint8), block, start_s, rate_hz)
        self._pairs = pairs
        self._partner: EntangledTrain = self

    def _turn(self, positions: NDArray[np.int64]) -> None:
        super()._turn(positions)
        self._pairs.offset[positions] ^= 4

    def _found(
        self, positions: NDArray[np.int64], settings: NDArray[np.uint8], rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        fresh = self._pairs.entangled[positions]
        if fresh.any():
            first = positions[fresh]
            # One half of Φ+ alone is fully mixed: whatever the setting, both outcomes are equally likely. Giving
            # the half one of the two states of the setting at random says the same.
            self._angles[first] = (settings[fresh] + 4 * rng.integers(0, 2, len(first), dtype=np.uint8)) & 7
            self._pairs.entangled[first] = False
            self._partner._angles[first] = (self._angles[first] + self._pairs.offset[first]) & 7
        return super()._found(positions, settings, rng)

    def replace(self, where: slice, other: Train) -> None:
        """The whole half is blocked, and another half, with its own partner, goes on in its place."""
        if not isinstance(other, EntangledTrain) or where != slice(0, len(self)) or len(other) != len(self):
            raise TypeError(
                "half a train of pairs is replaced by another half of the same length, as a whole"
            )
        blocked = EntangledTrain(self._pairs, self.block, self.start_s, self.rate_hz)
        _join(blocked, self._partner)
        self._pairs, self._angles, self._present = other._pairs, other._angles, other._present
        other._present = np.zeros_like(self._present)
        _join(self, other._partner)


def _join(one: EntangledTrain, other: EntangledTrain) -> None:
    one._partner, other._partner = other, one


def entangled_trains(
    count: int, visibility: float, block: int, start_s: float, rate_hz: float, rng: np.random.Generator
) -> tuple[EntangledTrain, EntangledTrain]:
    """The two halves of a train of Φ+ pairs of a given visibility.

    A pair of visibility V is Φ+ with probability (1 + V)/2 and Φ+ with one half flipped otherwise, so that
    E(a, b) = V cos 2(a − b).

    Args:
        count: number of pairs.
        visibility: 0..1.
        block: number of the block.
        start_s: when pair 0 leaves the source.
        rate_hz: pairs per second.
        rng: decides which pairs are flipped.
    """
    pairs = _Pairs(count)
    pairs.offset[rare_events(count, (1.0 - visibility) / 2, rng)] = 4
    halves = tuple(EntangledTrain(pairs, block, start_s, rate_hz) for _ in range(2))
    _join(halves[0], halves[1])
    return halves[0], halves[1]
