"""The projected quantum kernel: distances between what single qubits show of the states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit_machine_learning.kernels import BaseKernel

from nodes.qml.feature_maps import PauliMap
from nodes.qml.kernel import program_of
from nodes.qml.statevector import checked


def bloch_vectors(states: NDArray[np.complex128]) -> NDArray[np.float64]:
    """⟨X⟩, ⟨Y⟩, ⟨Z⟩ of every qubit, float64[3q, n], of columns complex128[2**q, n]."""
    size, rows = states.shape
    qubits = size.bit_length() - 1
    out = np.empty((qubits, 3, rows))
    for qubit in range(qubits):
        halves = states.reshape(-1, 2, 2**qubit, rows)
        zero, one = halves[:, 0], halves[:, 1]
        coherence = np.einsum("abn,abn->n", zero.conj(), one)
        out[qubit, 0] = 2.0 * coherence.real
        out[qubit, 1] = 2.0 * coherence.imag
        out[qubit, 2] = np.einsum("abn,abn->n", zero.conj(), zero).real
        out[qubit, 2] -= np.einsum("abn,abn->n", one.conj(), one).real
    return out.reshape(3 * qubits, rows)


class ProjectedKernel(BaseKernel):  # type: ignore[misc]  # qiskit-machine-learning ships no types
    """K(x, y) = exp(-γ Σ_k ‖ρ_k(x) - ρ_k(y)‖²), ρ_k the state of qubit k alone, in the Frobenius norm.

    Huang et al., Nature Communications 12, 2631 (2021). Unlike overlaps, which vanish for all pairs as qubits
    are added, it stays away from 0 and 1.

    Args:
        feature_map: a `PauliMap` or any circuit that `compile_circuit` takes.
        gamma: γ, positive.

    Raises:
        ValueError: `gamma` out of range, or a circuit that cannot be compiled.
    """

    def __init__(self, feature_map: PauliMap | QuantumCircuit, gamma: float = 1.0) -> None:
        if not (np.isfinite(gamma) and gamma > 0.0):
            raise ValueError(f"gamma is {gamma}; expected a positive number")
        self.program = program_of(feature_map)
        super().__init__(
            feature_map=feature_map.circuit() if isinstance(feature_map, PauliMap) else feature_map
        )
        self.gamma = gamma

    def evaluate(
        self, x_vec: NDArray[np.float64], y_vec: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The kernel matrix float64[n, m]; arguments, symmetry and errors as `StatevectorKernel.evaluate`."""
        x_points, y_points = self._validate_input(x_vec, y_vec)
        left = self._vectors(x_points)
        itself = y_points is None or np.array_equal(x_points, y_points)
        right = left if itself else self._vectors(y_points)
        products = left.T @ right
        lengths = np.einsum("in,in->n", left, left)[:, None] + np.einsum("in,in->n", right, right)[None, :]
        # ‖ρ - ρ'‖² is half of the Bloch vectors' squared distance; rounding may leave it below 0
        distances = np.maximum(lengths - 2.0 * products, 0.0) / 2.0
        if itself:
            distances = (distances + distances.T) / 2.0
            np.fill_diagonal(distances, 0.0)
        entries: NDArray[np.float64] = np.exp(-self.gamma * distances)
        return entries

    def _vectors(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        points = checked(points, self.program.features)
        out = np.empty((3 * self.program.qubits, len(points)))
        height = self.program.block_rows
        for begin in range(0, len(points), height):
            rows = slice(begin, begin + height)
            out[:, rows] = bloch_vectors(self.program.columns(points[rows]))
        return out
