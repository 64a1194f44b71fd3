"""Qubits one by one, on EQSN's state vectors.

EQSN keeps its qubits in worker processes that cannot be seeded and that outlive the program if they are not stopped.
Its state-vector engine, `eqsn.qubit_thread.QubitThread`, needs neither: here it is called in this process, with the measurement's randomness
handed in, so that a qubit run repeats bit for bit and leaves nothing behind.
"""

from __future__ import annotations

import itertools

import numpy as np
from eqsn.qubit_thread import QubitThread
from numpy.typing import NDArray

_X = np.array([[0, 1], [1, 0]], dtype=np.complex128)
_Y = np.array([[0, -1j], [1j, 0]], dtype=np.complex128)
_H = np.array([[1, 1], [1, -1]], dtype=np.complex128) / np.sqrt(2)


class _Register(QubitThread):  # type: ignore[misc]  # EQSN ships no type information
    """One state vector and the qubits in it; without the global reseeding of EQSN's constructor."""

    def __init__(self, qubit: int) -> None:  # the parent's constructor reseeds NumPy's global generator
        self.qubits: list[int] = [qubit]
        self.qubit: NDArray[np.complexfloating] = np.array([1, 0], dtype=np.complex128)


class StateVectors:
    """All qubits of a run, by number, each in the state vector it shares with those it is entangled with."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._registers: dict[int, _Register] = {}

    def __len__(self) -> int:
        return len(self._registers)

    def create(self) -> int:
        """A new qubit in |0⟩; returns its number."""
        number = next(self._numbers)
        self._registers[number] = _Register(number)
        return number

    def x(self, qubit: int) -> None:
        """Pauli X."""
        self._registers[qubit].apply_single_gate(_X, qubit)

    def y(self, qubit: int) -> None:
        """Pauli Y."""
        self._registers[qubit].apply_single_gate(_Y, qubit)

    def h(self, qubit: int) -> None:
        """Hadamard."""
        self._registers[qubit].apply_single_gate(_H, qubit)

    def ry(self, qubit: int, angle: float) -> None:
        """Rotation by `angle` radians in the X-Z plane of the Bloch sphere."""
        c, s = np.cos(angle / 2), np.sin(angle / 2)
        self._registers[qubit].apply_single_gate(np.array([[c, -s], [s, c]], dtype=np.complex128), qubit)

    def cnot(self, control: int, target: int) -> None:
        """Controlled NOT; joins the two state vectors if they are two."""
        one, other = self._registers[target], self._registers[control]
        if one is not other:
            one.qubits = one.qubits + other.qubits
            one.qubit = np.kron(one.qubit, other.qubit)
            for qubit in other.qubits:
                self._registers[qubit] = one
        one.apply_controlled_gate(_X, target, control)

    def measure(self, qubit: int, uniform: float) -> int:
        """Measure in the Z basis; the qubit goes on, alone, in the state found.

        Args:
            qubit: its number.
            uniform: a draw from [0, 1) that decides the outcome: 1 if it is at or above P(0).
        """
        register = self._registers[qubit]
        where = register.qubits.index(qubit)
        amplitudes = register.qubit.reshape(1 << where, 2, -1)
        zero = float(np.sum(np.abs(amplitudes[:, 0]) ** 2))
        outcome = int(uniform >= zero) if 1e-12 < zero < 1 - 1e-12 else int(zero < 0.5)
        rest = amplitudes[:, outcome].reshape(-1)
        alone = _Register(qubit)
        alone.qubit = np.array([1 - outcome, outcome], dtype=np.complex128)
        self._registers[qubit] = alone
        register.qubits.remove(qubit)
        register.qubit = rest / np.linalg.norm(rest)
        return outcome

    def release(self, qubit: int) -> None:
        """Put an absorbed qubit out of reach; what it was entangled with keeps its statistics."""
        del self._registers[qubit]
