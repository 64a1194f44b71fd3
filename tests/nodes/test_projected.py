"""The projected kernel against Qiskit's partial traces, and alignment against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import Statevector, partial_trace
from sklearn.svm import SVC

from nodes.qml.alignment import align, alignment
from nodes.qml.feature_maps import PauliMap
from nodes.qml.kernel import StatevectorKernel
from nodes.qml.projected import ProjectedKernel


def test_entries_are_distances_of_single_qubits():
    """Entries follow Huang et al.'s formula with Qiskit's reduced density matrices, to 1e-10."""
    rows, others = np.random.default_rng(1).uniform(0, 3, (2, 5, 3))
    feature_map = PauliMap(3, reps=2)
    reduced = [
        [
            [
                partial_trace(
                    Statevector(feature_map.circuit().assign_parameters(row)), [k for k in range(3) if k != q]
                )
                for q in range(3)
            ]
            for row in points
        ]
        for points in (rows, others)
    ]
    expected = [
        [
            np.exp(-0.7 * sum(np.linalg.norm(a.data - b.data) ** 2 for a, b in zip(x, y, strict=True)))
            for y in reduced[1]
        ]
        for x in reduced[0]
    ]
    kernel = ProjectedKernel(feature_map, gamma=0.7)
    assert np.abs(kernel.evaluate(rows, others) - expected).max() <= 1e-10
    gram = kernel.evaluate(rows)
    assert np.array_equal(gram, gram.T)
    assert np.array_equal(np.diag(gram), np.ones(5))
    assert np.linalg.eigvalsh(gram).min() > -1e-12


@pytest.mark.parametrize("gamma", [0.0, -1.0, np.nan])
def test_impossible_gammas_are_refused(gamma):
    """A gamma that is not positive raises a ValueError."""
    with pytest.raises(ValueError, match=f"gamma is {gamma}; expected a positive number"):
        ProjectedKernel(PauliMap(2), gamma)


def test_rows_that_are_no_numbers_are_refused():
    """NaN raises a ValueError."""
    with pytest.raises(ValueError, match="not a number"):
        ProjectedKernel(PauliMap(2)).evaluate(np.full((2, 2), np.nan))


def test_alignment_of_ideal_kernels():
    """A kernel that is 1 within a label and 0 between is aligned as far as balance allows; a constant one not at all."""
    labels = np.array([0, 1, 0, 1])
    same = (labels[:, None] == labels).astype(float)
    assert alignment(2 * same - 1, labels) == pytest.approx(1.0)
    assert alignment(same, labels) == pytest.approx(np.sqrt(0.5))
    assert alignment(np.ones((4, 4)), labels) == pytest.approx(0.0)
    rare = np.array([0, 0, 0, 1])
    assert alignment(np.ones((4, 4)), rare) == pytest.approx(0.0)  # the rarer label counts as much


@pytest.mark.parametrize(
    ("kernel", "labels", "words"),
    [(np.eye(3), np.zeros(3, int), "1 different labels"), (np.eye(2), np.array([0, 1, 1]), "shape")],
)
def test_alignment_of_what_does_not_fit_is_refused(kernel, labels, words):
    """One label only and a kernel of another size raise a ValueError."""
    with pytest.raises(ValueError, match=words):
        alignment(kernel, labels)


def trainable():
    """One feature whose scale is trained."""
    x, w = Parameter("x"), ParameterVector("w", 2)
    circuit = QuantumCircuit(1)
    circuit.ry(w[0] * x + w[1], 0)
    return circuit, list(w)


def test_training_raises_the_alignment():
    """The alignment after training is at least that before, is that of the bound circuit's kernel, and repeats."""
    rng = np.random.default_rng(3)
    rows = rng.uniform(-1, 1, (40, 1))
    labels = (np.abs(rows[:, 0]) > 0.5).astype(np.int64)
    circuit, weights = trainable()
    trained, again = (align(circuit, weights, rows, labels, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(trained.weights, again.weights)
    assert trained.after > trained.before
    kernel = StatevectorKernel(feature_map=trained.circuit)
    assert alignment(kernel.evaluate(rows), labels) == pytest.approx(trained.after, abs=1e-9)
    machine = SVC(kernel="precomputed", C=10.0).fit(kernel.evaluate(rows), labels)
    assert machine.score(kernel.evaluate(rows), labels) > 0.8


def test_weights_of_another_circuit_are_refused():
    """Weights that the circuit does not have, and none at all, raise a ValueError."""
    circuit, _ = trainable()
    for weights in ([Parameter("v")], []):
        with pytest.raises(ValueError, match="expected one or more of its parameters"):
            align(circuit, weights, np.zeros((2, 1)), np.array([0, 1]), np.random.default_rng(1))
