"""What every train of photons can do, whatever grain it is simulated at.

A polarisation state in the X-Z plane of the Bloch sphere is written as an *angle*: a whole number of eighths of
the sphere's great circle (45° on the sphere, 22.5° of polariser). 0 is |0⟩, 2 is |+⟩, 4 is |1⟩, 6 is |−⟩, 1 and 5 are the
Breidbart states. A measurement *setting* is an angle too; outcome 0 of setting s is the state s, outcome 1 is s + 4.
Born's rule: P(0) = cos²((angle − s)·22.5°).

The state inside a train is the world's: nobody reads it, one measures.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EIGHTH = np.pi / 4
"""One step of angle on the Bloch sphere, in radians."""

NO_PHOTON = -1
"""What a measurement finds where nothing arrived."""


class Train(abc.ABC):
    """A train of pulses in flight, each with one photon or none.

    Attributes:
        block: number of the block the train belongs to.
        start_s: when pulse 0 leaves the source.
        rate_hz: pulses per second.
    """

    def __init__(self, block: int, start_s: float, rate_hz: float) -> None:
        self.block = block
        self.start_s = start_s
        self.rate_hz = rate_hz

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many pulses."""

    @property
    def duration_s(self) -> float:
        """From the first pulse to the end of the last one's slot."""
        return len(self) / self.rate_hz

    @abc.abstractmethod
    def parcels(self) -> Sequence[slice]:
        """The pieces in which a network carries the train, in order."""

    @abc.abstractmethod
    def lose(self, where: slice, transmittance: float, rng: np.random.Generator) -> None:
        """Each photon of `where` survives with probability `transmittance`."""

    @abc.abstractmethod
    def flip(self, where: slice, probability: float, rng: np.random.Generator) -> None:
        """Each photon of `where` is turned to the orthogonal state (Pauli Y) with this probability."""

    @abc.abstractmethod
    def measure(
        self,
        where: slice,
        settings: NDArray[np.uint8],
        rng: np.random.Generator,
        only: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int8]:
        """Measure projectively; each photon goes on in the state that was found.

        Args:
            where: the pulses.
            settings: uint8[len(where)], angle of the measurement at each.
            rng: decides the outcomes.
            only: bool[len(where)], measure just these; None means all.

        Returns:
            int8[len(where)]: 0, 1, or NO_PHOTON where nothing was there or nothing was measured.
        """

    @abc.abstractmethod
    def replace(self, where: slice, other: Train) -> None:
        """The photons of `where` are blocked, and those of `other` at the same positions, which it loses, go on in their place."""
