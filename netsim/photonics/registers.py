"""Registers of a few qubits that travel: each qubit is a photon in its own slot, and the state is of all of them together.

A question that is a quantum state goes as copies of it, one register after the other. What a fibre or an attacker does to one photon
is done to one qubit of the state; a photon that is lost takes its qubit out of reach, and the others keep their statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import OPPOSITE, Kernel
from netsim.photonics.train import (
    ATTENUATED,
    FIRED_0,
    NO_PHOTON,
    Choice,
    Exposure,
    Notes,
    Response,
    Train,
)
from netsim.random_streams import rare_events

MAX_QUBITS = 12
"""Largest register: a thousand copies of it take 64 megabytes."""


def _kets() -> NDArray[np.complex128]:
    half = np.arange(8) * np.pi / 8
    circle = np.stack([np.cos(half), np.sin(half)], axis=1).astype(np.complex128)
    circular = np.array([[1.0, 1.0j], [1.0, -1.0j]]) / np.sqrt(2.0)
    return np.concatenate([circle, circular])


_KETS = _kets()
"""complex128[state, 2], the states of netsim.photonics.light as vectors."""


def pauli(
    states: NDArray[np.complex128], x: NDArray[np.uint8], z: NDArray[np.uint8], *, undo: bool = False
) -> NDArray[np.complex128]:
    """X^x Z^z on every register, or its inverse Z^z X^x.

    Args:
        states: complex128[2**n, count], qubit 0 the lowest bit of the row's number.
        x: uint8[count, n] of 0/1.
        z: uint8[count, n] of 0/1.
        undo: whether it is the inverse.
    """
    size, count = states.shape
    weights = 1 << np.arange(x.shape[1])
    flips, signs = x @ weights, z @ weights
    rows = np.arange(size)[:, None]
    turned: NDArray[np.complex128] = states[rows ^ flips, np.arange(count)]
    odd = np.bitwise_count((rows if undo else rows ^ flips) & signs) & 1
    return np.where(odd, -turned, turned)


@dataclass(frozen=True, eq=False)
class Treatment:
    """What a processor does to each register before it reads all its qubits in the Z basis: undo a Pauli, then a unitary.

    Attributes:
        x: uint8[count, n] of 0/1, and
        z: uint8[count, n] of 0/1: X^x Z^z is undone.
        unitaries: complex128[kinds, 2**n, 2**n].
        kind: intp[count], which of them each register gets.
    """

    x: NDArray[np.uint8]
    z: NDArray[np.uint8]
    unitaries: NDArray[np.complex128]
    kind: NDArray[np.intp]

    def __post_init__(self) -> None:
        """Check the shapes."""
        count, qubits = self.x.shape
        size = 2**qubits
        if (
            self.z.shape != self.x.shape
            or self.unitaries.shape[1:] != (size, size)
            or self.kind.shape != (count,)
        ):
            raise ValueError(
                f"a treatment of {count} registers of {qubits} qubits has z {self.z.shape}, unitaries "
                f"{self.unitaries.shape} and kinds {self.kind.shape}; expected {self.x.shape}, (kinds, {size}, {size}) and ({count},)"
            )


class Processor(Protocol):
    """What runs gates. It is a part of the world as the light is: it is handed states, and those who own it get outcomes only."""

    def run(
        self, states: NDArray[np.complex128], treatment: Treatment, rng: np.random.Generator
    ) -> NDArray[np.intp]:
        """Treat the registers complex128[2**n, count] and read them: intp[count], the numbers of the basis states found."""


class ExactProcessor:
    """Perfect gates, as matrices."""

    def run(
        self, states: NDArray[np.complex128], treatment: Treatment, rng: np.random.Generator
    ) -> NDArray[np.intp]:
        """Undo, turn, and draw one outcome for each register by Born's rule."""
        undone = pauli(states, treatment.x, treatment.z, undo=True)
        probabilities = np.empty(states.shape)
        for kind in np.unique(treatment.kind):
            here = np.flatnonzero(treatment.kind == kind)
            turned = treatment.unitaries[kind] @ undone[:, here]
            probabilities[:, here] = turned.real**2 + turned.imag**2
        below = np.cumsum(probabilities, axis=0)
        thresholds = rng.random(states.shape[1]) * below[-1]
        found: NDArray[np.intp] = np.sum(below <= thresholds, axis=0)
        return np.minimum(found, len(states) - 1)


class RegisterTrain(Train):
    """Registers in flight, one after the other, a slot for each qubit: qubit j of register i is pulse i·n + j.

    Args:
        states: complex128[2**n, count], each column of length 1; qubit 0 is the lowest bit of the row's number.
        block: number that tells this train from all others; negative, as blocks of key count from 0.
        start_s: when the first qubit leaves.
        rate_hz: qubits per second.

    Raises:
        ValueError: no power of two, or too many qubits.
    """

    def __init__(self, states: NDArray[np.complex128], block: int, start_s: float, rate_hz: float) -> None:
        super().__init__(block, start_s, rate_hz)
        size = len(states)
        qubits = size.bit_length() - 1
        if size != 1 << qubits or not 1 <= qubits <= MAX_QUBITS:
            raise ValueError(
                f"a register has {size} amplitudes; expected 2 to 2**{MAX_QUBITS}, a power of two"
            )
        self.qubits = qubits
        self._states = np.array(states, dtype=np.complex128, order="C")
        self._photons = np.ones(states.shape[1] * qubits, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._photons)

    @property
    def registers(self) -> int:
        """How many registers set out."""
        return len(self) // self.qubits

    def parcels(self) -> Sequence[slice]:
        """All at once."""
        return [slice(0, len(self))]

    def lose(self, where: slice, transmittance: float, rng: np.random.Generator) -> None:
        """Each photon survives with probability `transmittance`; a register that lost one is not sent again."""
        if transmittance < 1.0:
            self._photons[where] &= rng.random(where.stop - where.start) < transmittance

    def flip(self, where: slice, probability: float, rng: np.random.Generator) -> None:
        """A Pauli Y with this probability: what turns every linear polarisation to the orthogonal one."""
        hit = where.start + rare_events(where.stop - where.start, probability, rng)
        for qubit, registers in self._by_qubit(hit):
            here = self._cells(qubit)
            turned = np.empty_like(here[registers])
            turned[:, :, 0], turned[:, :, 1] = -1j * here[registers, :, 1], 1j * here[registers, :, 0]
            here[registers] = turned

    def act(self, where: slice, kernel: Kernel, rng: np.random.Generator) -> Notes:  # noqa: ARG002  the interface's
        """Not to entangled qubits: a kernel knows each pulse's own state."""
        raise TypeError(
            "this attack is written for pulses that each have a state; qubits of a register share one"
        )

    def measure(
        self,
        where: slice,
        settings: NDArray[np.uint8],
        rng: np.random.Generator,
        only: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int8]:
        """Measure qubit by qubit; each goes on in the state that was found, and the rest of its register with it."""
        outcomes = np.full(where.stop - where.start, NO_PHOTON, dtype=np.int8)
        uniform = rng.random(len(outcomes))
        asked = self._photons[where] if only is None else self._photons[where] & only
        for qubit, registers in self._by_qubit(where.start + np.flatnonzero(asked)):
            local = registers * self.qubits + qubit - where.start
            outcomes[local] = self._measured(qubit, registers, settings[local], uniform[local])
        return outcomes

    def _measured(
        self,
        qubit: int,
        registers: NDArray[np.intp],
        settings: NDArray[np.uint8],
        uniform: NDArray[np.float64],
    ) -> NDArray[np.int8]:
        """One qubit of each of some registers."""
        cells = self._cells(qubit)
        here = cells[registers]
        zero, one = (
            np.einsum("rq,raqb->rab", _KETS[state].conj(), here) for state in (settings, OPPOSITE[settings])
        )
        weights = [np.sum(np.abs(part) ** 2, axis=(1, 2)) for part in (zero, one)]
        share = weights[0] / (weights[0] + weights[1])
        found = (uniform >= share) & (share < 1.0 - 1e-12) | (share < 1e-12)
        kept = np.where(found[:, None, None], one, zero)
        kept /= np.sqrt(np.sum(np.abs(kept) ** 2, axis=(1, 2)))[:, None, None]
        ket = _KETS[np.where(found, OPPOSITE[settings], settings)]
        cells[registers] = np.einsum("rq,rab->raqb", ket, kept)
        outcomes: NDArray[np.int8] = found.astype(np.int8)
        return outcomes

    def process(self, treatment: Treatment, processor: Processor, rng: np.random.Generator) -> None:
        """Let a processor treat and read all registers: each is left in the basis state that was read, for detectors to see.

        A register with a photon missing is treated as the others: nobody knows before the detectors stay silent.

        Raises:
            ValueError: a treatment of another number of registers, or of other ones.
        """
        if treatment.x.shape != (self.registers, self.qubits):
            raise ValueError(
                f"a treatment of registers {treatment.x.shape}; this train has {(self.registers, self.qubits)}"
            )
        found = processor.run(self._states, treatment, rng)
        self._states = np.zeros_like(self._states)
        self._states[found, np.arange(len(found))] = 1.0

    def expose(self, where: slice, response: Response, choice: Choice, rng: np.random.Generator) -> Exposure:
        """Measure qubit by qubit; what was measured is gone."""
        gates = where.stop - where.start
        chosen = choice.draw(gates, rng)
        found = self.measure(where, choice.settings[chosen], rng)
        self._photons[where] = False
        reduced = rng.random(gates) < response.attenuated_share
        odds = response.efficiency[0][np.maximum(found, 0)] * np.where(reduced, response.attenuation, 1.0)
        seen = (found != NO_PHOTON) & (rng.random(gates) < odds)
        patterns = np.where(seen, np.uint8(FIRED_0) << np.maximum(found, 0).astype(np.uint8), np.uint8(0))
        for detector, noise in enumerate(response.noise):
            patterns[rare_events(gates, float(noise), rng)] |= np.uint8(FIRED_0 << detector)
        slots = np.flatnonzero(patterns)
        marks = patterns[slots] | reduced[slots] * np.uint8(ATTENUATED)
        return Exposure(slots, chosen[slots], marks, 0, lambda at: chosen[at])

    def replace(self, where: slice, other: Train) -> None:
        """Registers are absorbed, and those of `other` go on in their place."""
        if not isinstance(other, RegisterTrain) or other.qubits != self.qubits or len(other) != len(self):
            raise TypeError(
                f"a train of registers takes in another of its size, got a {type(other).__name__}"
            )
        if where.start % self.qubits or where.stop % self.qubits:
            raise TypeError(
                f"a register is replaced as a whole, got qubits {where.start} to {where.stop} of registers of {self.qubits}"
            )
        columns = slice(where.start // self.qubits, where.stop // self.qubits)
        self._states[:, columns] = other._states[:, columns]
        self._photons[where] = other._photons[where]
        other._photons[where] = False

    def _by_qubit(self, positions: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Each qubit's number, and the registers in which it is among these positions."""
        for qubit in range(self.qubits):
            registers = positions[positions % self.qubits == qubit] // self.qubits
            if len(registers):
                yield qubit, registers

    def _cells(self, qubit: int) -> NDArray[np.complex128]:
        """The states as [register, above, 2, below], a view."""
        size, count = self._states.shape
        return np.moveaxis(self._states.reshape(size >> (qubit + 1), 2, 1 << qubit, count), 3, 0)
