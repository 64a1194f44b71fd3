"""The closed form of the feature map against Qiskit's circuit."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.circuit.library import pauli_feature_map, z_feature_map, zz_feature_map
from qiskit.quantum_info import Statevector

from nodes.qml.feature_maps import MAX_FEATURES, PauliMap, z_map, zz_map, zz_states


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
        (np.zeros((3, 1)), 2, "d from 2 to 16"),
        (np.zeros((3, 17)), 2, "d from 2 to 16"),
        (np.full((1, 2), np.nan), 2, "not a number"),
        (np.full((1, 2), np.inf), 2, "infinite"),
        (np.zeros((1, 2)), 0, "reps is 0"),
    ],
)
def test_impossible_features_are_refused(features, reps, words):
    """Wrong shapes, non-finite features and no repetition raise a ValueError that says what was expected."""
    with pytest.raises(ValueError, match=words):
        zz_states(features, reps)


def difference(feature_map, circuit, count):
    """The largest difference of an amplitude from Qiskit's, for so many rows."""
    rows = np.random.default_rng(count).uniform(-np.pi, 2 * np.pi, (count, feature_map.features))
    expected = np.array([Statevector(circuit.assign_parameters(row)).data for row in rows])
    return np.abs(feature_map.states(rows) - expected).max()


@pytest.mark.parametrize("count", [1, 5, 40])
@pytest.mark.parametrize("features", [1, 2, 5])
def test_z_maps_are_qiskits(features, count):
    """The map without entanglement equals Qiskit's circuit to 1e-10, by tables for few rows and products for many."""
    assert difference(z_map(features, 3), z_feature_map(features, reps=3), count) <= 1e-10


@pytest.mark.parametrize("entanglement", ["full", "linear", "circular"])
@pytest.mark.parametrize("features", [2, 3, 4, 6])
@pytest.mark.parametrize("count", [2, 20])
def test_zz_maps_are_qiskits(features, entanglement, count):
    """Each entanglement, from two features on where circular is linear, equals Qiskit's circuit to 1e-10."""
    circuit = zz_feature_map(features, reps=2, entanglement=entanglement)
    assert difference(zz_map(features, 2, entanglement), circuit, count) <= 1e-10


@pytest.mark.parametrize("entanglement", ["full", "linear", "circular"])
@pytest.mark.parametrize(
    "paulis", [("X",), ("Y", "ZZ"), ("XY", "Z"), ("ZYX", "IZ"), ("ZIX",), ("Z", "XX", "YY"), ("YZXZ", "X")]
)
def test_pauli_maps_are_qiskits(paulis, entanglement):
    """Any strings, with another alpha, equal Qiskit's circuit to 1e-10."""
    feature_map = PauliMap(4, paulis, 2, entanglement, 1.7)
    circuit = pauli_feature_map(4, reps=2, paulis=list(paulis), entanglement=entanglement, alpha=1.7)
    assert difference(feature_map, circuit, 3) <= 1e-10
    assert difference(feature_map, feature_map.circuit(), 20) <= 1e-10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"features": 17}, "17 features; expected 1 to 16"),
        ({"features": 0}, "0 features"),
        ({"features": 3, "reps": 0}, "reps is 0"),
        (
            {"features": 3, "entanglement": "ring"},
            "entanglement is 'ring'; expected one of full, linear, circular",
        ),
        ({"features": 3, "paulis": ("ZQ",)}, "'ZQ'; expected 1 to 3 letters"),
        ({"features": 1, "paulis": ("ZZ",)}, "'ZZ'; expected 1 to 1 letters"),
        ({"features": 2, "paulis": ("II",)}, "not all I"),
        ({"features": 2, "alpha": np.nan}, "alpha is nan"),
    ],
)
def test_impossible_maps_are_refused(arguments, words):
    """A value out of range raises a ValueError that says what was expected."""
    with pytest.raises(ValueError, match=words):
        PauliMap(**arguments)
