"""The closed form of the feature map against Qiskit's circuit."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.circuit.library import zz_feature_map
from qiskit.quantum_info import Statevector

from nodes.qml.feature_maps import MAX_FEATURES, zz_states


@pytest.mark.parametrize("features", [2, 3, 5])
@pytest.mark.parametrize("reps", [1, 2, 3])
def test_states_are_those_of_qiskits_circuit(features, reps):
    """Every amplitude, global phase included, equals Qiskit's to 1e-10, in Qiskit's qubit order."""
    rows = np.random.default_rng(features).uniform(-np.pi, 2 * np.pi, (4, features))
    circuit = zz_feature_map(features, reps=reps)
    expected = np.array([Statevector(circuit.assign_parameters(row)).data for row in rows])
    assert np.abs(zz_states(rows, reps) - expected).max() <= 1e-10


@pytest.mark.parametrize("features", [2, 7, MAX_FEATURES])
def test_states_have_unit_length(features):
    """The map is unitary at every size it takes."""
    rows = np.random.default_rng(1).random((3, features))
    assert np.linalg.norm(zz_states(rows, 3), axis=1) == pytest.approx(1.0, abs=1e-12)


def test_each_row_has_its_own_state():
    """A row's state does not depend on the rows beside it, and no rows give no states."""
    rows = np.random.default_rng(2).random((6, 4))
    together = zz_states(rows)
    for row, state in zip(rows, together, strict=True):
        assert np.abs(zz_states(row[None, :])[0] - state).max() <= 1e-12
    assert zz_states(rows[:0]).shape == (0, 16)


@pytest.mark.parametrize(
    ("features", "reps", "words"),
    [
        (np.zeros(2), 2, "shape"),
        (np.zeros((3, 1)), 2, "d from 2 to 12"),
        (np.zeros((3, 13)), 2, "d from 2 to 12"),
        (np.full((1, 2), np.nan), 2, "not a number"),
        (np.full((1, 2), np.inf), 2, "infinite"),
        (np.zeros((1, 2)), 0, "reps is 0"),
    ],
)
def test_impossible_features_are_refused(features, reps, words):
    """Wrong shapes, non-finite features and no repetition raise a ValueError that says what was expected."""
    with pytest.raises(ValueError, match=words):
        zz_states(features, reps)
