"""RealAmplitudes on a noisy device, in the Pauli basis, where gates and noise are real matrices of few entries.

A density matrix is the vector of its means, r_P = Tr(Pρ), and what is measured another vector e, so that the mean is
e·r. e travels backwards through the circuit once (the Heisenberg picture) with all its derivatives.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.qml.density import Noise, channel
from nodes.qml.real_amplitudes import RealAmplitudes

_PAULIS: tuple[NDArray[np.complex128], ...] = (
    np.eye(2, dtype=np.complex128),
    np.array([[0, 1], [1, 0]], dtype=np.complex128),
    np.array([[0, -1j], [1j, 0]], dtype=np.complex128),
    np.array([[1, 0], [0, -1]], dtype=np.complex128),
)
# mean of each Pauli operator from a 2 x 2 density matrix, row by row: Tr(Pρ) = Σ P_ba ρ_ab
_MEANS = np.array([pauli.T.reshape(-1) for pauli in _PAULIS])
_CX = np.array(
    [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]], dtype=np.complex128
)  # control: lower


def pauli_means(states: NDArray[np.complex128], qubits: int) -> NDArray[np.float64]:
    """float64[4**q, n] of density matrices complex128[4**q, n]; base-4 digits I, X, Y, Z, qubit 0 the lowest."""
    rows = states.shape[1]
    cells = states.reshape([2] * (2 * qubits) + [rows])
    pairs = [axis for qubit in range(qubits) for axis in (qubit, qubits + qubit)]
    flat = cells.transpose([*pairs, 2 * qubits]).reshape(4**qubits, rows)
    for qubit in range(qubits):
        flat = np.matmul(_MEANS, flat.reshape(-1, 4, rows << (2 * qubit)))
    return np.ascontiguousarray(flat.reshape(4**qubits, rows).real)


def transfer_matrix(unitary: NDArray[np.complex128], noise: Noise) -> NDArray[np.float64]:
    """What a gate complex128[2**k, 2**k] and its noise do to means: float64[4**k, 4**k], R_PQ = Tr(P Λ(Q)) / 2**k."""
    size = len(unitary)
    qubits = size.bit_length() - 1
    paulis = np.array(_PAULIS)
    for _ in range(qubits - 1):
        paulis = np.array([np.kron(high, low) for high, low in product(paulis, _PAULIS)])
    turned = (unitary @ paulis @ unitary.conj().T).reshape(len(paulis), -1)
    after = turned @ channel(noise, qubits).T
    matrix: NDArray[np.float64] = (paulis.transpose(0, 2, 1).reshape(len(paulis), -1) @ after.T).real / size
    return matrix


class NoisyParity:
    """The parity that is read after a noisy RealAmplitudes circuit.

    Args:
        ansatz: the circuit.
        noise: after each of its gates, and of the readout.
    """

    def __init__(self, ansatz: RealAmplitudes, noise: Noise) -> None:
        self._ansatz = ansatz
        self._noise = noise
        self._idle = transfer_matrix(_PAULIS[0], noise).T
        self._pair = np.ascontiguousarray(transfer_matrix(_CX, noise).T)

    def effect(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is measured, and how that changes with each angle: float64[4**q, 1 + w] at the angles float64[w]."""
        qubits, layers = self._ansatz.qubits, self._ansatz.layers
        angles = weights.reshape(layers + 1, qubits)
        columns = np.zeros((4**qubits, 1 + self._ansatz.weights))
        columns[-1, 0] = -(
            (1.0 - 2.0 * self._noise.readout) ** qubits
        )  # Z on every qubit, odd parity being +1
        for layer in reversed(range(layers + 1)):
            for qubit in range(qubits):
                rotation, change = _rotation(angles[layer, qubit])
                begun = self._act(change @ self._idle, columns[:, :1], qubit)
                columns = self._act(rotation @ self._idle, columns, qubit)
                columns[:, 1 + layer * qubits + qubit] = begun[:, 0]
            if layer:
                for control in range(qubits - 1):
                    columns = self._act(self._pair, columns, control)
        return columns

    @staticmethod
    def _act(matrix: NDArray[np.float64], columns: NDArray[np.float64], lowest: int) -> NDArray[np.float64]:
        """A matrix on the digits from the lowest of its qubits up."""
        cells = columns.reshape(-1, len(matrix), columns.shape[1] << (2 * lowest))
        found: NDArray[Any] = np.matmul(matrix, cells)
        return found.reshape(columns.shape)


def _rotation(angle: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a rotation about y does to what is measured after it, and how that changes with the angle."""
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix, change = np.eye(4), np.zeros((4, 4))
    matrix[1, 1], matrix[1, 3], matrix[3, 1], matrix[3, 3] = cosine, -sine, sine, cosine
    change[1, 1], change[1, 3], change[3, 1], change[3, 3] = -sine, -cosine, cosine, -sine
    return matrix, change
