"""The kernel against two independent ones: qiskit-machine-learning's, and a circuit on Qiskit Aer."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.circuit.library import zz_feature_map
from qiskit_aer import AerSimulator
from qiskit_machine_learning.algorithms import QSVC, PegasosQSVC
from qiskit_machine_learning.kernels import FidelityStatevectorKernel
from sklearn.svm import SVC

from nodes.qml.datasets import split, two_clusters
from nodes.qml.feature_maps import PauliMap, zz_map
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


def test_any_feature_map_can_be_given():
    """A closed form and its circuit give the same kernel, which is qiskit-machine-learning's."""
    rows = np.random.default_rng(6).random((6, 3))
    feature_map = PauliMap(3, ("Y", "ZZ"), 1, "circular")
    reference = FidelityStatevectorKernel(feature_map=feature_map.circuit()).evaluate(rows)
    for given in (feature_map, feature_map.circuit()):
        assert np.abs(StatevectorKernel(feature_map=given).evaluate(rows) - reference).max() <= 1e-10


def test_three_machines_take_the_kernel():
    """QSVC and a precomputed SVC agree to the last label, and PegasosQSVC learns the same clusters."""
    rng = np.random.default_rng(7)
    train, test = split(two_clusters(120, 4.0, rng), 0.7, rng)
    kernel = StatevectorKernel(2)
    qsvc = QSVC(quantum_kernel=kernel).fit(train.features, train.labels)
    precomputed = SVC(kernel="precomputed").fit(kernel.evaluate(train.features), train.labels)
    labels = qsvc.predict(test.features)
    assert np.array_equal(labels, precomputed.predict(kernel.evaluate(test.features, train.features)))
    pegasos = PegasosQSVC(quantum_kernel=kernel, C=1000.0, num_steps=200, seed=1).fit(
        train.features, train.labels
    )
    assert np.mean(pegasos.predict(test.features) == test.labels) > 0.8
    assert np.mean(labels == test.labels) > 0.8


def test_little_memory_gives_the_same_matrix():
    """States that are made in blocks give the matrix of those that are held, to 1e-13."""
    rng = np.random.default_rng(8)
    rows, others = rng.random((40, 6)), rng.random((30, 6))
    small, large = StatevectorKernel(6, memory_bytes=16 * 64 * 10), StatevectorKernel(6)
    assert np.abs(small.evaluate(rows) - large.evaluate(rows)).max() <= 1e-13
    assert np.abs(small.evaluate(rows, others) - large.evaluate(rows, others)).max() <= 1e-13


def test_sixteen_features():
    """The largest feature map's kernel is |⟨φ(x)|φ(y)⟩|² of its states."""
    rows = np.random.default_rng(9).random((5, 16))
    states = zz_map(16).states(rows)
    kernel = StatevectorKernel(16, memory_bytes=4 * 2**20)
    assert np.abs(kernel.evaluate(rows) - np.abs(states.conj() @ states.T) ** 2).max() <= 1e-12


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_that_are_no_numbers_are_refused(bad):
    """NaN and infinity on either side raise a ValueError."""
    good, worse = np.zeros((2, 2)), np.array([[0.0, bad]])
    for pair in ((worse, good), (good, worse), (worse, None)):
        with pytest.raises(ValueError, match="infinite or not a number"):
            StatevectorKernel(2).evaluate(*pair)
