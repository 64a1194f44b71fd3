"""The closed form of RealAmplitudes against Qiskit's circuit and against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import Operator

from nodes.qml.feature_maps import zz_states
from nodes.qml.real_amplitudes import RealAmplitudes

SIZES = [(1, 1), (2, 0), (2, 3), (3, 2), (5, 1), (6, 2)]


@pytest.mark.parametrize(("qubits", "layers"), SIZES)
def test_it_is_qiskits_circuit(qubits, layers):
    """The matrix is that of Qiskit's `real_amplitudes` to 1e-12, also where rotations go in two groups."""
    ansatz = RealAmplitudes(qubits, layers)
    weights = np.random.default_rng(qubits).uniform(-3.0, 3.0, ansatz.weights)
    expected = Operator(ansatz.circuit().assign_parameters(weights)).data
    assert np.abs(ansatz.matrix(weights) - expected).max() <= 1e-12


@pytest.mark.parametrize(("qubits", "layers"), [(2, 0), (2, 3), (5, 1)])
def test_gradients_are_those_of_central_differences(qubits, layers):
    """Each angle's derivative agrees with a central difference, whose own error at a step of 1e-4 is below 1e-7."""
    ansatz = RealAmplitudes(qubits, layers)
    rng = np.random.default_rng(7)
    weights = rng.uniform(-3.0, 3.0, ansatz.weights)
    states = np.ascontiguousarray(zz_states(rng.random((6, qubits))).T)
    found = ansatz.gradients(states, weights)
    step = 1e-4 * np.eye(ansatz.weights)
    for angle, each in enumerate(step):
        change = ansatz.values(states, weights + each) - ansatz.values(states, weights - each)
        assert np.abs(found[:, angle] - change / 2e-4).max() <= 1e-7


def test_odd_parity_is_plus_one():
    """Basis states with an odd number of ones are read as +1, those with an even number as -1."""
    assert RealAmplitudes(3, 0).parity.tolist() == [-1, 1, 1, -1, 1, -1, -1, 1]


@pytest.mark.parametrize(("qubits", "layers", "words"), [(0, 1, "of 0 qubits"), (2, -1, "layers is -1")])
def test_impossible_sizes_are_refused(qubits, layers, words):
    """No qubits, or fewer than no layers, raise a ValueError."""
    with pytest.raises(ValueError, match=words):
        RealAmplitudes(qubits, layers)
