"""Light sources: single photons, weak coherent pulses and entangled pairs, at every grain."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.ensemble import Source
from netsim.photonics.light import PHOTONS, poisson_numbers
from netsim.photonics.pairs import PairState, entangled_trains
from netsim.photonics.pulses import PulseTrain
from netsim.photonics.qubits import Qubits, entangled_qubits, prepared_qubits
from netsim.photonics.record import Prepared, Record
from netsim.photonics.sampled import SampledTrain
from netsim.photonics.sampled_pairs import sampled_halves
from netsim.photonics.train import Choice, Train, draw
from netsim.random_streams import random_bits


@dataclasses.dataclass(frozen=True)
class Emitter:
    """A pulsed source.

    Attributes:
        rate_hz: pulses, or pairs, per second.
        visibility: of the pairs.
        qubits: where single qubits come from; None makes trains of pulses.
        intensities: mean photon number of each kind of pulse, signal first; empty for exactly one photon.
        probabilities: how often each kind is sent.
        fluctuation: relative standard deviation of the mean photon number from pulse to pulse.
        sampled: whether to draw only what is detected.
        pair_mean: half the mean number of pairs in a pulse of an SPDC source; None is exactly one pair.
    """

    rate_hz: float
    visibility: float = 1.0
    qubits: Qubits | None = None
    intensities: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    fluctuation: float = 0.0
    sampled: bool = False
    pair_mean: float | None = None

    def photons(self, states: NDArray[np.uint8], block: int, start_s: float) -> Train:
        """A train of single photons, one in each of the given states. uint8[n]."""
        if self.qubits is None:
            return PulseTrain(states, block, start_s, self.rate_hz)
        return prepared_qubits(states, self.qubits, block, start_s, self.rate_hz)

    def numbers(self) -> NDArray[np.float64]:
        """float64[intensities, PHOTONS], the photon-number distribution of each kind of pulse."""
        if not self.intensities:
            return np.eye(PHOTONS)[None, 1]
        return np.array([poisson_numbers(mean, self.fluctuation) for mean in self.intensities])

    def prepare(
        self,
        states: NDArray[np.uint8],
        choice: Choice,
        count: int,
        block: int,
        start_s: float,
        random: Callable[[str], np.random.Generator],
    ) -> tuple[Train, Record]:
        """A train of pulses prepared at random, and the sender's record of it.

        Args:
            states: uint8[settings, 2], the state of each setting and bit.
            choice: of the setting.
            count: number of pulses.
            block: number of the block.
            start_s: when pulse 0 leaves.
            random: the sender's randomness by purpose.
        """
        if self.sampled:
            source = self.source(states, choice)
            sampled = SampledTrain(count, source, block, start_s, self.rate_hz, random("symbols"))
            return sampled, sampled.record
        bits = random_bits(count, random("bits"))
        settings = choice.draw(count, random("bases"))
        prepared = states[settings, bits]
        if not self.intensities:
            return self.photons(prepared, block, start_s), Prepared(settings, bits)
        kinds = draw(np.array(self.probabilities), count, random("intensities"))
        photons = _photon_numbers(self.numbers(), kinds, random("photons"))
        train = PulseTrain(prepared, block, start_s, self.rate_hz, photons, kinds)
        return train, Prepared(settings, bits, kinds)

    def source(self, states: NDArray[np.uint8], choice: Choice) -> Source:
        """Every combination of setting, bit and intensity."""
        kinds = np.array(self.probabilities) if self.intensities else np.ones(1)
        setting, bit, kind = (
            axis.ravel().astype(np.uint8)
            for axis in np.meshgrid(range(len(states)), range(2), range(len(kinds)), indexing="ij")
        )
        probability = choice.probabilities[setting] * 0.5 * kinds[kind]
        return Source(probability, setting, bit, kind, states[setting, bit], self.numbers())

    def pairs(self, count: int, block: int, start_s: float, rng: np.random.Generator) -> tuple[Train, Train]:
        """The two halves of a train of entangled pairs.

        Raises:
            ValueError: a mean pair number or a visibility out of range, or several pairs a slot gate by gate.
        """
        state = PairState(self.pair_mean, self.visibility)
        if self.sampled:
            return sampled_halves(count, state, block, start_s, self.rate_hz, rng)
        if self.qubits is None:
            return entangled_trains(count, state, block, start_s, self.rate_hz, rng)
        if self.pair_mean is not None:
            raise ValueError(f"qubits come in exactly one pair a slot, got a pair_mean of {self.pair_mean}")
        return entangled_qubits(count, self.visibility, self.qubits, block, start_s, self.rate_hz, rng)


def _photon_numbers(
    numbers: NDArray[np.float64], kinds: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw a photon number for each pulse of a given kind: by inversion, the rarer numbers for ever fewer pulses."""
    edges = np.cumsum(numbers, axis=1)
    uniform = rng.random(len(kinds))
    photons = (uniform >= edges[:, 0][kinds]).astype(np.uint8)
    more = np.flatnonzero(photons)
    for n in range(1, PHOTONS - 1):
        more = more[uniform[more] >= edges[:, n][kinds[more]]]
        if not len(more):
            break
        photons[more] = n + 1
    return photons
