"""Light sources: single photons in chosen states, and entangled pairs, at either grain."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.pulses import PulseTrain, entangled_trains
from netsim.photonics.qubits import Qubits, entangled_qubits, prepared_qubits
from netsim.photonics.train import Train


@dataclasses.dataclass(frozen=True)
class Emitter:
    """A pulsed source.

    Attributes:
        rate_hz: pulses, or pairs, per second.
        visibility: of the pairs.
        qubits: where single qubits come from; None makes dense trains.
    """

    rate_hz: float
    visibility: float = 1.0
    qubits: Qubits | None = None

    def photons(self, angles: NDArray[np.uint8], block: int, start_s: float) -> Train:
        """A train of single photons, one in each of the given states. uint8[n], 0..7."""
        if self.qubits is None:
            return PulseTrain(angles, block, start_s, self.rate_hz)
        return prepared_qubits(angles, self.qubits, block, start_s, self.rate_hz)

    def pairs(self, count: int, block: int, start_s: float, rng: np.random.Generator) -> tuple[Train, Train]:
        """The two halves of a train of entangled pairs."""
        if self.qubits is None:
            return entangled_trains(count, self.visibility, block, start_s, self.rate_hz, rng)
        return entangled_qubits(count, self.visibility, self.qubits, block, start_s, self.rate_hz, rng)
