"""Trains of single qubits, made and measured gate by gate: for teaching, and as the oracle of the dense trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import Kernel
from netsim.photonics.train import (
    ATTENUATED,
    EIGHTH,
    FIRED_0,
    NO_PHOTON,
    Choice,
    Exposure,
    Notes,
    Response,
    Train,
)
from netsim.random_streams import rare_events


class Qubit(Protocol):
    """A qubit of the network simulator: QuNetSim's own, or one of the same gates on the same state vectors."""

    def X(self) -> None:  # noqa: N802  the names are QuNetSim's
        """Pauli X."""

    def Y(self) -> None:  # noqa: N802  likewise
        """Pauli Y."""

    def H(self) -> None:  # noqa: N802  likewise
        """Hadamard."""

    def ry(self, phi: float) -> None:
        """Rotation about Y."""

    def cnot(self, target: Qubit) -> None:
        """Controlled NOT."""

    def release(self) -> None:
        """Give the qubit up."""


class Qubits(Protocol):
    """Where qubits come from and how they are measured with a given random number."""

    def create(self) -> Qubit:
        """A new qubit in |0⟩."""

    def measure(self, qubit: Qubit, uniform: float) -> int:
        """Measure in the Z basis, non-destructively; `uniform` from [0, 1) decides."""


class QubitTrain(Train):
    """A train of qubits, one by one.

    Args:
        qubits: one for each pulse, None where there is none.
        factory: the network's qubits.
        block: number of the block.
        start_s: when qubit 0 leaves.
        rate_hz: qubits per second.
    """

    def __init__(
        self, qubits: Sequence[Qubit | None], factory: Qubits, block: int, start_s: float, rate_hz: float
    ) -> None:
        super().__init__(block, start_s, rate_hz)
        self._qubits = list(qubits)
        self._factory = factory

    def __len__(self) -> int:
        return len(self._qubits)

    def parcels(self) -> Sequence[slice]:
        """Each qubit travels alone."""
        return [slice(i, i + 1) for i in range(len(self))]

    def qubit(self, position: int) -> Qubit | None:
        """The qubit at a position, for the network that carries it."""
        return self._qubits[position]

    def lose(self, where: slice, transmittance: float, rng: np.random.Generator) -> None:
        """Each qubit survives with probability `transmittance`."""
        for i in range(where.start, where.stop):
            if transmittance < 1.0 and rng.random() >= transmittance:
                self._drop(i)

    def _drop(self, position: int) -> None:
        qubit = self._qubits[position]
        if qubit is not None:
            qubit.release()
            self._qubits[position] = None

    def flip(self, where: slice, probability: float, rng: np.random.Generator) -> None:
        """A Pauli Y with this probability."""
        for i in range(where.start, where.stop):
            qubit = self._qubits[i]
            if probability > 0.0 and rng.random() < probability and qubit is not None:
                qubit.Y()

    def measure(
        self,
        where: slice,
        settings: NDArray[np.uint8],
        rng: np.random.Generator,
        only: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int8]:
        """Turn the setting to the Z axis, measure there, turn back: the qubit goes on in the state found."""
        outcomes = np.full(where.stop - where.start, NO_PHOTON, dtype=np.int8)
        for local in range(len(outcomes)):
            qubit = self._qubits[where.start + local]
            uniform = rng.random()
            if qubit is None or (only is not None and not only[local]):
                continue
            setting = int(settings[local])
            to_z_axis(qubit, setting)
            outcomes[local] = self._factory.measure(qubit, uniform)
            from_z_axis(qubit, setting)
        return outcomes

    def act(self, where: slice, kernel: Kernel, rng: np.random.Generator) -> Notes:  # noqa: ARG002  the interface's
        """Not gate by gate."""
        raise TypeError("this attack is not written in gates: it acts on trains of pulses")

    def expose(self, where: slice, response: Response, choice: Choice, rng: np.random.Generator) -> Exposure:
        """Measure qubit by qubit; what was measured is gone."""
        gates = where.stop - where.start
        chosen = choice.draw(gates, rng)
        best = float(response.efficiency[0].max())
        self.lose(where, best, rng)
        found = self.measure(where, choice.settings[chosen], rng)
        self.lose(where, 0.0, rng)
        reduced = rng.random(gates) < response.attenuated_share
        share = response.efficiency[0] / best if best else np.zeros(2)
        odds = share[np.maximum(found, 0)] * np.where(reduced, response.attenuation, 1.0)
        seen = (found != NO_PHOTON) & (rng.random(gates) < odds)
        patterns = np.where(seen, np.uint8(FIRED_0) << np.maximum(found, 0).astype(np.uint8), np.uint8(0))
        for detector, noise in enumerate(response.noise):
            patterns[rare_events(gates, float(noise), rng)] |= np.uint8(FIRED_0 << detector)
        slots = np.flatnonzero(patterns)
        marks = patterns[slots] | reduced[slots] * np.uint8(ATTENUATED)
        return Exposure(slots, chosen[slots], marks, 0, lambda at: chosen[at])

    def replace(self, where: slice, other: Train) -> None:
        """The qubits of `where` are absorbed, and those of `other` go on in their place."""
        if not isinstance(other, QubitTrain) or len(other) != len(self):
            raise TypeError(f"a train of qubits takes in another of its length, got a {type(other).__name__}")
        for i in range(where.start, where.stop):
            self._drop(i)
            self._qubits[i], other._qubits[i] = other._qubits[i], None


def to_z_axis(qubit: Qubit, setting: int) -> None:
    """Turn the states of a setting to |0⟩ and |1⟩."""
    if setting == 2:
        qubit.H()
    elif setting:
        qubit.ry(-setting * EIGHTH)


def from_z_axis(qubit: Qubit, setting: int) -> None:
    """Turn |0⟩ and |1⟩ to the states of a setting."""
    if setting == 2:
        qubit.H()
    elif setting:
        qubit.ry(setting * EIGHTH)


def prepared_qubits(
    angles: NDArray[np.uint8], factory: Qubits, block: int, start_s: float, rate_hz: float
) -> QubitTrain:
    """A train of qubits in given states: X for the bit, then the gate of the basis.

    Args:
        angles: uint8[n], states 0..7.
        factory: the network's qubits.
        block: number of the block.
        start_s: when qubit 0 leaves.
        rate_hz: qubits per second.
    """
    qubits = []
    for angle in angles.tolist():
        qubit = factory.create()
        if angle >= 4:
            qubit.X()
        from_z_axis(qubit, angle % 4)
        qubits.append(qubit)
    return QubitTrain(qubits, factory, block, start_s, rate_hz)


def entangled_qubits(
    count: int,
    visibility: float,
    factory: Qubits,
    block: int,
    start_s: float,
    rate_hz: float,
    rng: np.random.Generator,
) -> tuple[QubitTrain, QubitTrain]:
    """The halves of a train of Φ+ pairs: Hadamard and CNOT for each, a Pauli Y on one half with probability (1 − V)/2.

    Args:
        count: number of pairs.
        visibility: V, 0..1.
        factory: the network's qubits.
        block: number of the block.
        start_s: when pair 0 leaves.
        rate_hz: pairs per second.
        rng: decides which pairs are flipped.
    """
    halves: tuple[list[Qubit], list[Qubit]] = ([], [])
    for _ in range(count):
        one, other = factory.create(), factory.create()
        one.H()
        one.cnot(other)
        if rng.random() < (1.0 - visibility) / 2:
            one.Y()
        halves[0].append(one)
        halves[1].append(other)
    trains = tuple(QubitTrain(half, factory, block, start_s, rate_hz) for half in halves)
    return trains[0], trains[1]
