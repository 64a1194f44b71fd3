"""The quantum kernel of the inference server: overlaps of feature-map states, exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit.library import zz_feature_map
from qiskit_machine_learning.kernels import BaseKernel

from nodes.qml.feature_maps import zz_states


class StatevectorKernel(BaseKernel):  # type: ignore[misc]  # qiskit-machine-learning ships no types
    """K(x, y) = |⟨φ(x)|φ(y)⟩|² of the ZZ feature map, for any estimator of qiskit-machine-learning.

    The same values as `FidelityStatevectorKernel` gives, which evaluates one circuit per row and one product
    per entry; here all rows are one array and all entries one matrix product. `feature_map` is the circuit.

    Args:
        num_features: d, from 2 to 12.
        reps: repetitions of the feature map's layer, at least 1.
    """

    def __init__(self, num_features: int, reps: int = 2) -> None:
        super().__init__(feature_map=zz_feature_map(num_features, reps=reps))
        self.reps = reps

    def evaluate(
        self, x_vec: NDArray[np.float64], y_vec: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The kernel matrix of two lists of points, or of one with itself.

        Args:
            x_vec: float64[n, d], or float64[d] for a single point.
            y_vec: float64[m, d], or float64[d]; `x_vec` if left out.

        Returns:
            float64[n, m], entries in [0, 1] up to rounding; exactly symmetric with a diagonal of exactly 1
            when `y_vec` is left out or equal to `x_vec`.

        Raises:
            ValueError: points of another dimension than the feature map's, or not finite.
        """
        x_points, y_points = self._validate_input(x_vec, y_vec)
        x_states = zz_states(x_points, self.reps)
        if y_points is None or np.array_equal(x_points, y_points):
            entries = _overlaps(x_states, x_states)
            entries = (entries + entries.T) / 2.0  # the matrix product rounds its two triangles differently
            np.fill_diagonal(entries, 1.0)
            return entries
        return _overlaps(x_states, zz_states(y_points, self.reps))


def _overlaps(left: NDArray[np.complex128], right: NDArray[np.complex128]) -> NDArray[np.float64]:
    """|⟨left_i|right_j⟩|² as float64[n, m], of states complex128[n, 2**d] and complex128[m, 2**d]."""
    products = left.conj() @ right.T
    return products.real**2 + products.imag**2
