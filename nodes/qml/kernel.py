"""The quantum kernel of the inference server: overlaps of feature-map states, exact, sampled or noisy."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit_machine_learning.kernels import BaseKernel

from nodes.qml.circuits import compile_circuit
from nodes.qml.density import Noise, NoisyKernel
from nodes.qml.feature_maps import PauliMap, zz_map
from nodes.qml.overlaps import MEMORY_BYTES, gram, gram_in_blocks, overlaps, overlaps_in_blocks
from nodes.qml.statevector import Program, checked


def program_of(feature_map: PauliMap | QuantumCircuit) -> Program:
    """The steps of a feature map in closed form or of a circuit."""
    return feature_map.program if isinstance(feature_map, PauliMap) else compile_circuit(feature_map)


class StatevectorKernel(BaseKernel):  # type: ignore[misc]  # qiskit-machine-learning ships no types
    """K(x, y) = |⟨φ(x)|φ(y)⟩|², for any estimator of qiskit-machine-learning or a precomputed one of scikit-learn.

    The same values as `FidelityStatevectorKernel` gives, which evaluates one circuit per row and one product
    per entry; here all rows are one array and all entries one matrix product. `feature_map` is the circuit.

    With shots or noise an entry is what a device finds that runs U(x), then the inverse of U(y), and counts zeros: of
    a list of points with itself it runs one circuit for each pair, so the matrix is symmetric, and the diagonal
    too, which falls below 1 with noise.

    Args:
        num_features: d, from 2 to 16, for the ZZ feature map.
        reps: repetitions of the ZZ feature map's layer, at least 1.
        feature_map: instead of these, a `PauliMap` or any circuit that `compile_circuit` takes.
        shots: runs of a circuit for each entry; exact if left out.
        rng: where shots come from; needed with them.
        noise: of the device; exact density matrices of at most 6 qubits, unless `backend` is `aer`.
        backend: `exact`, or `aer` for one circuit per entry on Qiskit Aer.
        memory_bytes: states held at a time; beyond it they are computed in blocks, some of them several times.

    Raises:
        ValueError: neither or both of `num_features` and `feature_map`, a value out of range, or a circuit that
            cannot be compiled.
    """

    def __init__(
        self,
        num_features: int | None = None,
        reps: int = 2,
        *,
        feature_map: PauliMap | QuantumCircuit | None = None,
        shots: int | None = None,
        rng: np.random.Generator | None = None,
        noise: Noise | None = None,
        backend: Literal["exact", "aer"] = "exact",
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        if (num_features is None) == (feature_map is None):
            raise ValueError("expected either num_features or feature_map, not both or neither")
        if shots is not None and shots < 1:
            raise ValueError(f"shots is {shots}; expected at least 1")
        if shots is not None and rng is None:
            raise ValueError("shots need an rng; expected a numpy Generator")
        if backend not in {"exact", "aer"}:
            raise ValueError(f"backend is {backend!r}; expected 'exact' or 'aer'")
        chosen: Any = feature_map
        if num_features is not None:
            chosen = zz_map(num_features, reps)
        self.program = program_of(chosen)
        circuit = chosen.circuit() if isinstance(chosen, PauliMap) else chosen
        if circuit.num_parameters == 0:
            raise ValueError("the circuit has no parameters; expected one for each feature")
        super().__init__(feature_map=circuit)
        self.reps = reps
        self._shots, self._rng, self._noise = shots, rng, noise
        self._memory = memory_bytes
        self._noisy = NoisyKernel(circuit, noise) if noise is not None and backend == "exact" else None
        self._aer: Any = None
        if backend == "aer":
            from nodes.qml.aer import AerKernel  # noqa: PLC0415  Aer takes seconds to import

            self._aer = AerKernel(circuit, noise, shots, rng)

    def evaluate(
        self, x_vec: NDArray[np.float64], y_vec: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The kernel matrix of two lists of points, or of one with itself.

        Args:
            x_vec: float64[n, d], or float64[d] for a single point.
            y_vec: float64[m, d], or float64[d]; `x_vec` if left out.

        Returns:
            float64[n, m], entries in [0, 1] up to rounding; exactly symmetric when `y_vec` is left out or equal to
            `x_vec`, and then with a diagonal of exactly 1 unless there is noise.

        Raises:
            ValueError: points of another dimension than the feature map's, or not finite.
        """
        x_points, y_points = self._validate_input(x_vec, y_vec)
        width = self.program.features
        x_points = checked(x_points, width)
        if y_points is not None:
            y_points = checked(y_points, width)
            if np.array_equal(x_points, y_points):
                y_points = None
        if self._aer is not None:
            return self._on_aer(x_points, y_points)
        exact = (
            self._noiseless(x_points, y_points)
            if self._noisy is None
            else self._with_noise(x_points, y_points)
        )
        if self._shots is None:
            return exact
        assert self._rng is not None  # noqa: S101  the constructor has checked
        if y_points is not None:
            return self._rng.binomial(self._shots, np.clip(exact, 0.0, 1.0)) / self._shots
        upper = np.triu_indices(len(exact))
        return _symmetric(
            self._rng.binomial(self._shots, np.clip(exact[upper], 0.0, 1.0)) / self._shots, upper
        )

    def _noiseless(
        self, x_points: NDArray[np.float64], y_points: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        each = 16 << self.program.qubits
        program = self.program
        if y_points is None:
            if len(x_points) * each <= self._memory:
                return gram(program.columns(x_points))
            return gram_in_blocks(
                lambda rows: program.columns(x_points[rows]), len(x_points), each, self._memory
            )
        if (len(x_points) + len(y_points)) * each <= self._memory:
            return overlaps(program.columns(x_points), program.columns(y_points))
        return overlaps_in_blocks(
            lambda rows: program.columns(x_points[rows]),
            lambda rows: program.columns(y_points[rows]),
            (len(x_points), len(y_points)),
            each,
            self._memory,
        )

    def _with_noise(
        self, x_points: NDArray[np.float64], y_points: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        assert self._noisy is not None  # noqa: S101  the caller has checked
        if y_points is not None:
            return self._noisy.evaluate(x_points, y_points)
        upper = np.triu_indices(len(x_points))
        return _symmetric(self._noisy.evaluate(x_points, x_points)[upper], upper)

    def _on_aer(
        self, x_points: NDArray[np.float64], y_points: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        if y_points is None:
            upper = np.triu_indices(len(x_points))
            return _symmetric(self._aer.evaluate(x_points[upper[0]], x_points[upper[1]]), upper)
        shape = (len(x_points), len(y_points))
        left, right = (index.reshape(-1) for index in np.indices(shape))
        entries: NDArray[np.float64] = self._aer.evaluate(x_points[left], y_points[right]).reshape(shape)
        return entries


def _symmetric(
    entries: NDArray[np.float64], upper: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> NDArray[np.float64]:
    """A matrix from its upper triangle."""
    size = int(upper[0][-1]) + 1 if len(upper[0]) else 0
    matrix = np.empty((size, size))
    matrix[upper] = entries
    matrix[upper[::-1]] = entries
    return matrix
