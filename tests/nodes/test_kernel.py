"""The kernel against two independent ones: qiskit-machine-learning's, and a circuit on Qiskit Aer."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.circuit.library import zz_feature_map
from qiskit_aer import AerSimulator
from qiskit_machine_learning.kernels import FidelityStatevectorKernel

from nodes.qml.kernel import StatevectorKernel


@pytest.mark.parametrize(("features", "reps"), [(2, 1), (2, 2), (3, 2), (4, 3)])
def test_entries_equal_qiskit_machine_learnings(features, reps):
    """Both matrices, a list of points with itself and with another list, equal the reference to 1e-10."""
    rng = np.random.default_rng(features + reps)
    left, right = rng.random((7, features)), rng.random((5, features))
    reference = FidelityStatevectorKernel(feature_map=zz_feature_map(features, reps=reps))
    kernel = StatevectorKernel(features, reps=reps)
    assert np.abs(kernel.evaluate(left) - reference.evaluate(left)).max() <= 1e-10
    assert np.abs(kernel.evaluate(left, right) - reference.evaluate(left, right)).max() <= 1e-10


@pytest.mark.parametrize("features", [2, 3])
def test_entries_equal_the_overlap_circuit_on_aer(features):
    """The probability of all zeros after U(y) and the inverse of U(x) on Aer's state vector is the entry."""
    left, right = np.random.default_rng(features).random((2, 3, features))
    feature_map = zz_feature_map(features, reps=2)
    simulator = AerSimulator(method="statevector")
    entries = np.empty((3, 3))
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            circuit = feature_map.assign_parameters(y).compose(feature_map.assign_parameters(x).inverse())
            circuit.save_statevector()
            entries[i, j] = abs(simulator.run(circuit).result().get_statevector().data[0]) ** 2
    assert np.abs(StatevectorKernel(features).evaluate(left, right) - entries).max() <= 1e-10


def test_a_gram_matrix_is_one():
    """Exactly symmetric, exactly 1 on the diagonal, and positive semidefinite up to rounding."""
    rows = np.random.default_rng(4).random((60, 3))
    kernel = StatevectorKernel(3)
    gram = kernel.evaluate(rows)
    assert np.array_equal(gram, gram.T)
    assert np.array_equal(np.diag(gram), np.ones(60))
    assert np.linalg.eigvalsh(gram).min() > -1e-12
    assert np.array_equal(gram, kernel.evaluate(rows, rows.copy()))


def test_a_single_point_is_a_list_of_one():
    """One-dimensional arguments work as BaseKernel promises."""
    x, y = np.random.default_rng(5).random((2, 2))
    kernel = StatevectorKernel(2)
    assert kernel.evaluate(x).tolist() == [[1.0]]
    assert kernel.evaluate(x, y).shape == (1, 1)


def test_points_of_another_dimension_are_refused():
    """A kernel of two features refuses points of three with a ValueError."""
    with pytest.raises(ValueError, match="incompatible dimensions"):
        StatevectorKernel(2).evaluate(np.zeros((4, 3)))
