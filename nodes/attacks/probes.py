"""Attacks that let a probe of Eve's meet each single photon, and read it when the basis is known.

What a probe does is written as it is seen in the basis in which the bit was sent: how often Bob's bit is turned, and how often her own guess is
right. What Bob finds in another basis is thrown away in sifting. A pulse with several photons passes untouched: taking a photon of it is
another attack.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import BORN, NUMBER, OPPOSITE, STATE, STATES, Branch, Kernel, kernel
from nodes.attacks.action import Action, parameter
from nodes.attacks.channel import PulseByPulse
from nodes.attacks.gain import clicks_of_singles
from nodes.attacks.surroundings import Surroundings

_Y = 8


@dataclasses.dataclass(frozen=True)
class Probe:
    """What meeting a probe does to a photon, by its state.

    Attributes:
        error: float64[STATES], how often the photon goes on in the orthogonal state.
        right: float64[STATES], how often she reads the bit where it did not.
        right_in_error: float64[STATES], how often where it did.
    """

    error: NDArray[np.float64]
    right: NDArray[np.float64]
    right_in_error: NDArray[np.float64]

    def kernel(self) -> Kernel:
        """Done to single photons."""
        single = (NUMBER == 1).astype(np.float64)
        ways = []
        for turned, chance, right in (
            (None, 1.0 - self.error, self.right),
            (OPPOSITE[STATE], self.error, self.right_in_error),
        ):
            for note, share in ((STATE, right), (OPPOSITE[STATE], 1.0 - right)):
                ways.append(Branch(single * (chance * share)[None, :, None], turned, note=note))
        return kernel(Branch(1.0 - single), *ways)


def _helstrom(overlap: float) -> float:
    """How often two equally likely states of this overlap are told apart rightly (Helstrom 1976)."""
    return (1.0 + math.sqrt(max(0.0, 1.0 - overlap * overlap))) / 2


def pauli_weights(knows: Surroundings, disturbance: float) -> tuple[float, float, float, float]:
    """The best symmetric probe of a given disturbance, as what it makes of the channel: weights of 1, σx, σy, σz.

    Four states (Z and X): bit and phase are turned independently, (1−D)², D(1−D), D², D(1−D). Six states: all errors alike, 1 − 3D/2 and D/2
    each (Bruß 1998).
    """
    d = disturbance
    if _Y in knows.states:
        return 1.0 - 1.5 * d, d / 2, d / 2, d / 2
    return (1.0 - d) ** 2, d * (1.0 - d), d * d, d * (1.0 - d)


def pauli_probe(weights: tuple[float, float, float, float]) -> Probe:
    """The probe that holds all that a Pauli channel lets out, measured at its best once the basis is known.

    In basis Z, and in X and between them if σx and σz weigh the same, she tells 1 from σx apart without measuring the bit: whether Bob errs. Of
    the two states of her probe for bits 0 and 1 the overlap is then (p_1 − p_z)/(p_1 + p_z) without an error, (p_x − p_y)/(p_x + p_y) with one.
    """
    one, x, y, z = weights
    error, right, in_error = np.empty(STATES), np.empty(STATES), np.empty(STATES)
    for states, silent, loud in ((slice(0, 8), (one, z), (x, y)), (slice(8, 10), (one, y), (x, z))):
        error[states] = sum(loud)
        right[states] = _told_apart(silent)
        in_error[states] = _told_apart(loud)
    return Probe(error, right, in_error)


def _told_apart(weights: tuple[float, float]) -> float:
    total = sum(weights)
    return _helstrom((weights[0] - weights[1]) / total) if total else 0.5


@dataclasses.dataclass(frozen=True)
class OptimalIndividual(PulseByPulse, Action):
    """The best that can be done to photons one by one for a given error rate."""

    id: ClassVar[str] = "eve.optimal_individual"
    sign: ClassVar[str] = "QBER = D(1-Q0)+Q0(1-D) in each basis, from pulses of one photon"
    gets: ClassVar[str] = (
        "four states: ½φ(2√(D(1-D))) per sifted bit, φ(z)=(1+z)log2(1+z)+(1-z)log2(1-z), a guess right at ½+√(D(1-D)); six states: a "
        "guess right at D+(1-D)[1+√(D(2-3D))/(1-D)]/2"
    )
    source: ClassVar[str] = "Fuchs, Gisin, Griffiths, Niu, Peres 1997; six states: Bruß 1998"
    defences: ClassVar[tuple[str, ...]] = ("abort_above_qber", "privacy amplification")

    disturbance: float = parameter(
        0.05, "fraction", "error rate she causes in each basis", minimum=0.0, maximum=0.5
    )

    def kernel(self, knows: Surroundings) -> Kernel:
        """The symmetric probe, read one by one."""
        return pauli_probe(pauli_weights(knows, self.disturbance)).kernel()


@dataclasses.dataclass(frozen=True)
class Collective(PulseByPulse, Action):
    """The symmetric probes kept until reconciliation is over, and measured all together: as a bound."""

    id: ClassVar[str] = "eve.collective"
    sign: ClassVar[str] = "QBER = Q(1-Q0)+Q0(1-Q) in each basis, from pulses of one photon"
    gets: ClassVar[str] = (
        "at most the Holevo bound: four states h(Q) per sifted bit of a single photon, six states h(3Q/2)+(3Q/2)log2 3-h(Q); one by one, what "
        "the optimal individual attack gets"
    )
    source: ClassVar[str] = "Devetak, Winter 2005; Kraus, Gisin, Renner 2005"
    defences: ClassVar[tuple[str, ...]] = ("abort_above_qber", "privacy amplification")

    error: float = parameter(
        0.05, "fraction", "error rate she causes in each basis", minimum=0.0, maximum=0.5
    )

    def kernel(self, knows: Surroundings) -> Kernel:
        """As the individual attack: what Bob sees is the same, and the notes are what she would read one by one."""
        return pauli_probe(pauli_weights(knows, self.error)).kernel()

    def holevo_bits_per_bit(self, knows: Surroundings) -> float:
        """χ = H(weights) − h(Q) for the share of the signal's clicks that comes from single photons."""
        weights = np.array(pauli_weights(knows, self.error))
        holevo = _entropy(weights) - _entropy(np.array([self.error, 1.0 - self.error]))
        return clicks_of_singles(knows) * holevo


def _entropy(probabilities: NDArray[np.float64]) -> float:
    """Shannon entropy in bits."""
    some = probabilities[probabilities > 0]
    return float(-(some @ np.log2(some)))


@dataclasses.dataclass(frozen=True)
class EntanglingProbe(PulseByPulse, Action):
    """A controlled NOT on a probe, along the axis halfway between Z and X."""

    id: ClassVar[str] = "eve.entangling_probe"
    sign: ClassVar[str] = (
        "QBER = E(1-Q0)+Q0(1-E) in Z and X, from pulses of one photon; six states: 2E in place of E in Y"
    )
    gets: ClassVar[str] = (
        "Rényi (order 2) log2(1+4E(1-2E)/(1-E)²) per sifted bit without an error in Z and X, a guess right at "
        "½+√(E(1-2E))/(1-E): everything at E=1/3; of the bits in error, and in Y, nothing"
    )
    source: ClassVar[str] = (
        "Fuchs, Peres 1996; Slutsky, Rao, Sun, Fainman 1998; Brandt 2005; Shapiro, Wong 2006"
    )
    defences: ClassVar[tuple[str, ...]] = ("abort_above_qber", "privacy amplification")

    error: float = parameter(
        0.05, "fraction", "error rate she causes in Z and in X", minimum=0.0, maximum=1.0 / 3.0
    )

    def kernel(self, knows: Surroundings) -> Kernel:  # noqa: ARG002  it is the same for every link
        """The probe starts as √(1−2E)|+⟩ + √(2E)|−⟩; of the target, |+⟩ leaves the photon alone and |−⟩ turns it about the axis.

        A photon whose state has the component c along the axis goes on as it is with the probe in √(1−2E)|+⟩ ± c√(2E)|−⟩, by its bit, and
        turned to the orthogonal state, with 2E(1 − c²), with the probe in |−⟩, whatever the bit (Shapiro, Wong 2006).
        """
        still, turning = 1.0 - 2.0 * self.error, 2.0 * self.error
        along = turning * (2.0 * BORN[:, 1] - 1.0) ** 2
        overlap = (still - along) / (still + along)
        right = np.array([_helstrom(float(o)) for o in overlap])
        return Probe(turning - along, right, np.full(STATES, 0.5)).kernel()
