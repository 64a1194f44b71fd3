"""The kernel on a noisy device, exactly: density matrices of few qubits, for all rows at once.

Noise acts after every gate of the compute-uncompute circuit, U(x) and then the inverse of U(y), and the entry is the
probability of reading all zeros. Instead of one simulation for each pair, U(x) carries the state forwards and the
inverse of U(y) carries the measured effect backwards (the Heisenberg picture): one simulation for each row, and each
entry is a trace.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.qml.circuits import compile_circuit, flattened
from nodes.qml.statevector import Program

MAX_QUBITS = 6
"""Largest number of qubits: a density matrix has 4**6 entries for each row."""

_BLOCK = 2**20  # entries of density matrices that are worked on at a time


@dataclass(frozen=True)
class Noise:
    """What a device does wrong.

    Attributes:
        p1: depolarising after every one-qubit gate: with this probability its qubit is replaced by a random one.
        p2: likewise for both qubits of a two-qubit gate.
        damping: amplitude damping after that, on each qubit of the gate: |1⟩ decays with this probability.
        readout: a bit is read wrong with this probability.

    Raises:
        ValueError: a value that is not a probability.
    """

    p1: float = 0.0
    p2: float = 0.0
    damping: float = 0.0
    readout: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{field.name} is {value}; expected a probability from 0 to 1")


def damping_operators(probability: float) -> list[NDArray[np.complex128]]:
    """Kraus operators of amplitude damping (Nielsen and Chuang 2000, section 8.3.5)."""
    kept = np.array([[1.0, 0.0], [0.0, np.sqrt(1.0 - probability)]], dtype=np.complex128)
    return [kept, np.array([[0.0, np.sqrt(probability)], [0.0, 0.0]], dtype=np.complex128)]


def channel(noise: Noise, qubits: int) -> NDArray[np.complex128]:
    """What follows a gate on one or two qubits, complex128[4**k, 4**k] on density matrices row by row: depolarising, then damping."""
    size = 2**qubits
    p = noise.p1 if qubits == 1 else noise.p2
    trace = np.eye(size).reshape(-1)
    depolarised = (1.0 - p) * np.eye(size * size) + p / size * np.outer(trace, trace)
    operators: list[NDArray[Any]] = [np.eye(1, dtype=np.complex128)]
    for _ in range(qubits):
        operators = [np.kron(a, b) for a in operators for b in damping_operators(noise.damping)]
    damped = sum((np.kron(a, a.conj()) for a in operators), np.zeros((size * size,) * 2, np.complex128))
    whole: NDArray[np.complex128] = damped @ depolarised
    return whole


class NoisyCircuit:
    """A circuit U(x) on a noisy device, for all rows at once.

    Args:
        circuit: a qiskit `QuantumCircuit` of one- and two-qubit gates, at most 6 qubits.
        noise: of every gate and of the readout.

    Raises:
        ValueError: a gate on three qubits, an unsupported one, or too many qubits.
    """

    def __init__(self, circuit: Any, noise: Noise) -> None:
        from qiskit import QuantumCircuit  # noqa: PLC0415  whoever has a circuit has Qiskit already

        if circuit.num_qubits > MAX_QUBITS:
            raise ValueError(
                f"a noisy circuit of {circuit.num_qubits} qubits; expected at most {MAX_QUBITS}, or backend='aer'"
            )
        self._qubits: int = circuit.num_qubits
        self._noise = noise
        self._gates: list[tuple[Program, tuple[int, ...]]] = []
        parameters = list(circuit.parameters)
        flat = flattened(circuit)
        for entry in flat.data:
            name, qubits = entry.operation.name, tuple(flat.find_bit(bit).index for bit in entry.qubits)
            if name == "id":
                continue
            if len(qubits) > 2:
                raise ValueError(
                    f"noise of the gate {name!r} is not defined; transpile it to two-qubit gates first"
                )
            alone = QuantumCircuit(len(qubits))
            alone.append(entry.operation, range(len(qubits)))
            self._gates.append((compile_circuit(alone, parameters, begun=False), qubits))

    @property
    def block_rows(self) -> int:
        """Rows that are best worked on at a time."""
        return max(1, _BLOCK >> (2 * self._qubits))

    def states(self, rows: NDArray[np.float64]) -> NDArray[np.complex128]:
        """What U(x) makes of all zeros, for rows float64[n, d]: density matrices complex128[4**q, n]."""
        matrix = np.zeros((4**self._qubits, len(rows)), dtype=np.complex128)
        matrix[0] = 1.0
        for gate, qubits in self._gates:
            matrix = self._conjugated(matrix, gate, qubits, rows)
            matrix = self._superoperator(matrix, channel(self._noise, len(qubits)), qubits)
        return matrix

    def effects(self, rows: NDArray[np.float64]) -> NDArray[np.complex128]:
        """What is measured after the inverse of U(y), seen from before it, for rows float64[m, d]: complex128[4**q, m].

        The trace of its product with a density matrix is the probability of reading all zeros.
        """
        read = np.array([1.0 - self._noise.readout, self._noise.readout], dtype=np.complex128)
        diagonal: NDArray[Any] = np.ones(1, dtype=np.complex128)
        for _ in range(self._qubits):
            diagonal = np.kron(read, diagonal)
        matrix = np.repeat(np.diag(diagonal).reshape(-1, 1), len(rows), axis=1)
        for gate, qubits in self._gates:
            matrix = self._superoperator(matrix, channel(self._noise, len(qubits)).conj().T, qubits)
            matrix = self._conjugated(matrix, gate, qubits, rows)
        return matrix

    def _axes(self, qubits: tuple[int, ...]) -> list[int]:
        """Axes of a density matrix as [2] * 2q + [n]: highest qubit first, rows, then columns."""
        ket = [self._qubits - 1 - qubit for qubit in reversed(qubits)]
        return ket + [self._qubits + axis for axis in ket]

    def _split(self, matrix: NDArray[np.complex128], qubits: tuple[int, ...]) -> NDArray[np.complex128]:
        """complex128[4**k, rest, n], the qubits' axes in front."""
        cells = matrix.reshape([2] * (2 * self._qubits) + [matrix.shape[1]])
        front = np.moveaxis(cells, self._axes(qubits), range(2 * len(qubits)))
        return front.reshape(4 ** len(qubits), -1, matrix.shape[1])

    def _join(self, cells: NDArray[np.complex128], qubits: tuple[int, ...]) -> NDArray[np.complex128]:
        rows = cells.shape[-1]
        whole = cells.reshape([2] * (2 * self._qubits) + [rows])
        return np.moveaxis(whole, range(2 * len(qubits)), self._axes(qubits)).reshape(-1, rows)

    def _conjugated(
        self,
        matrix: NDArray[np.complex128],
        gate: Program,
        qubits: tuple[int, ...],
        rows: NDArray[np.float64],
    ) -> NDArray[np.complex128]:
        size = 2 ** len(qubits)
        unitary = gate.unitaries(rows)
        cells = self._split(matrix, qubits)
        square = cells.reshape(size, size, -1, cells.shape[-1])
        turned = np.einsum("abn,bcrn,dcn->adrn", unitary, square, unitary.conj(), optimize=True)
        return self._join(turned, qubits)

    def _superoperator(
        self, matrix: NDArray[np.complex128], channel: NDArray[np.complex128], qubits: tuple[int, ...]
    ) -> NDArray[np.complex128]:
        cells = self._split(matrix, qubits)
        turned = channel @ cells.reshape(len(channel), -1)
        return self._join(turned.reshape(cells.shape), qubits)


class NoisyKernel(NoisyCircuit):
    """Probabilities of all zeros after U(x) and the inverse of U(y) on a noisy device; arguments as `NoisyCircuit`."""

    def evaluate(self, left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n, m] of rows float64[n, d] and float64[m, d]."""
        height = self.block_rows
        out = np.empty((len(left), len(right)))
        for begin in range(0, len(left), height):
            states = self.states(left[begin : begin + height])
            for first in range(0, len(right), height):
                effects = self.effects(right[first : first + height])
                # the trace of a product of Hermitian matrices: all their entries side by side
                entries = (states.T.conj() @ effects).real
                out[begin : begin + height, first : first + height] = entries
        return np.clip(out, 0.0, 1.0)
