"""What every train of pulses can do, whatever grain it is simulated at.

States and settings are the numbers of netsim.photonics.light. The state inside a train is the world's: nobody reads it, one measures.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import FLAGS, Kernel

EIGHTH = np.pi / 4
"""One step of angle on the Bloch sphere, in radians."""

NO_PHOTON = -1
"""What a measurement finds where nothing arrived."""

FIRED_0, FIRED_1, FIRED_BOTH = 1, 2, 3
"""Bits of a click's pattern: which detectors fired."""
CAME_EARLY, CAME_LATE, CAME_AFTER_GATE, ATTENUATED = 4, 8, 16, 32
"""Bits of a click's pattern: when the light came, and whether the receiver had turned its efficiency down."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """How a party chooses among its settings, slot by slot.

    Attributes:
        settings: uint8[k], the state of outcome 0 of each.
        probabilities: float64[k], sums to 1.
    """

    settings: NDArray[np.uint8]
    probabilities: NDArray[np.float64]

    @classmethod
    def uniform(cls, settings: NDArray[np.uint8]) -> Choice:
        """Each setting as often as the others."""
        return cls(settings, np.full(len(settings), 1.0 / len(settings)))

    @classmethod
    def always(cls, setting: int) -> Choice:
        """One setting."""
        return cls(np.array([setting], dtype=np.uint8), np.ones(1))

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """uint8[count], indices into `settings`."""
        return draw(self.probabilities, count, rng)


def draw(probabilities: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Independent choices with given probabilities. float64[k] → uint8[count] of 0 .. k − 1."""
    kinds = len(probabilities)
    if kinds == 1:
        return np.zeros(count, dtype=np.uint8)
    if np.all(probabilities == 1.0 / kinds):
        return rng.integers(0, kinds, count, dtype=np.uint8)
    uniform = rng.random(count)
    chosen = np.zeros(count, dtype=np.uint8)
    for edge in np.cumsum(probabilities)[:-1]:
        chosen += uniform >= edge
    return chosen


@dataclasses.dataclass(frozen=True)
class Response:
    """What a pair of threshold detectors makes of light, without memory.

    Attributes:
        efficiency: float64[FLAGS, 2], of each detector, for light with these marks.
        noise: float64[2], probability of a click without light, per gate.
        attenuated_share: share of the gates in which efficiency is turned down, at random.
        attenuation: by what factor.
        passive: whether a splitter chooses the setting, so that a wavelength can.
    """

    efficiency: NDArray[np.float64]
    noise: NDArray[np.float64]
    attenuated_share: float = 0.0
    attenuation: float = 1.0
    passive: bool = False

    def __post_init__(self) -> None:
        """Check the shapes."""
        if self.efficiency.shape != (FLAGS, 2) or self.noise.shape != (2,):
            raise ValueError(
                f"expected [{FLAGS}, 2] and [2], got {self.efficiency.shape} and {self.noise.shape}"
            )


@dataclasses.dataclass(frozen=True)
class Exposure:
    """What a pair of detectors would register if it had no memory.

    Attributes:
        slots: int64[m], ascending, the pulses at which something fires.
        settings: uint8[m], index of the setting chosen at each.
        patterns: uint8[m], FIRED_* and the other bits.
        bright: how many of all pulses were bright.
        settings_at: int64[k] slots → uint8[k], the setting chosen at any slots, whether something fired or not.
        registered: the same for slots that are given with which of `slots` each is, or −1: int64[k] each. None if that is no help.
    """

    slots: NDArray[np.int64]
    settings: NDArray[np.uint8]
    patterns: NDArray[np.uint8]
    bright: int
    settings_at: Callable[[NDArray[np.int64]], NDArray[np.uint8]]
    registered: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.uint8]] | None = None


class Notes(Protocol):
    """What an attacker wrote down about the pulses of a block."""

    def at(self, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8[m]: the state she holds or found at each slot, or NOTHING."""


@dataclasses.dataclass(frozen=True)
class Written:
    """Notes as an array, one for each of some consecutive pulses."""

    start: int
    notes: NDArray[np.uint8]

    def at(self, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        """NOTHING outside."""
        local = slots - self.start
        inside = (local >= 0) & (local < len(self.notes))
        found = np.full(len(slots), 255, dtype=np.uint8)
        found[inside] = self.notes[local[inside]]
        return found


class Train(abc.ABC):
    """A train of pulses in flight.

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
        """Each pulse of `where` is turned to the orthogonal state with this probability."""

    @abc.abstractmethod
    def act(self, where: slice, kernel: Kernel, rng: np.random.Generator) -> Notes:
        """Do something to each pulse of `where` by itself.

        Raises:
            TypeError: this train is not one on which it can be done.
        """

    @abc.abstractmethod
    def measure(
        self,
        where: slice,
        settings: NDArray[np.uint8],
        rng: np.random.Generator,
        only: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int8]:
        """Measure single photons projectively; each goes on in the state that was found.

        Args:
            where: the pulses.
            settings: uint8[len(where)], setting of the measurement at each.
            rng: decides the outcomes.
            only: bool[len(where)], measure just these; None means all.

        Returns:
            int8[len(where)]: 0, 1, or NO_PHOTON where nothing was there or nothing was measured.

        Raises:
            TypeError: this train has no single photons to measure.
        """

    @abc.abstractmethod
    def expose(self, where: slice, response: Response, choice: Choice, rng: np.random.Generator) -> Exposure:
        """Let the pulses of `where` fall on detectors, which absorb them. Slots are counted from its start."""

    @abc.abstractmethod
    def replace(self, where: slice, other: Train) -> None:
        """The photons of `where` are blocked, and those of `other` at the same positions, which it loses, go on in their place."""
