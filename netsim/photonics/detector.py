"""Bob's receiver (and Alice's, for pairs): two threshold detectors behind a polarisation analyser."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.train import NO_PHOTON, Train
from netsim.random_streams import random_bits, rare_events


@dataclasses.dataclass(frozen=True)
class Clicks:
    """What a receiver registered of a train.

    Attributes:
        slots: int64[m], the pulses that gave a click, ascending.
        outcomes: uint8[m], 0 or 1.
        double_clicks: in how many of them both detectors fired.
    """

    slots: NDArray[np.int64]
    outcomes: NDArray[np.uint8]
    double_clicks: int


@dataclasses.dataclass(frozen=True)
class Receiver:
    """Two gated detectors, one for each outcome.

    A double click is given a random outcome and kept: discarding it would let Eve choose what is discarded
    (Lütkenhaus 1999).

    Attributes:
        efficiency: probability that a photon is seen.
        dark_counts: probability of a click without a photon, per gate and detector.
    """

    efficiency: float = 1.0
    dark_counts: float = 0.0

    def detect(
        self, train: Train, settings: NDArray[np.uint8], rng: np.random.Generator, where: slice | None = None
    ) -> Clicks:
        """Measure a train, and absorb it.

        Args:
            train: what arrives.
            settings: uint8[m], angle of the analyser for each pulse measured.
            rng: the receiver's own randomness.
            where: the pulses to measure; None means all. Slots are counted from its start.
        """
        where = slice(0, len(train)) if where is None else where
        train.lose(where, self.efficiency, rng)
        found = train.measure(where, settings, rng)
        train.lose(where, 0.0, rng)
        if not self.dark_counts:
            slots = np.flatnonzero(found != NO_PHOTON)
            return Clicks(slots, found[slots].astype(np.uint8), 0)
        fired = np.stack([found == 0, found == 1])
        for detector in fired:
            detector[rare_events(len(found), self.dark_counts, rng)] = True
        slots = np.flatnonzero(fired[0] | fired[1])
        outcomes = fired[1, slots].astype(np.uint8)
        both = np.flatnonzero(fired[0, slots] & fired[1, slots])
        outcomes[both] = random_bits(len(both), rng)
        return Clicks(slots, outcomes, len(both))
