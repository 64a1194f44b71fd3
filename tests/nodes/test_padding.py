"""Pauli pads, and a kernel under them: right after the map, wrong before it."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.datasets import split, two_clusters
from nodes.qml.feature_maps import zz_map
from nodes.qml.padding import Pads, pad_trial, padded, unitaries


def rows(count, seed=1, features=2):
    """Test rows of the paper's clusters."""
    rng = np.random.default_rng(seed)
    return split(two_clusters(200, 3.2, rng, features), 0.7, rng)[1].features[:count]


def test_pads_are_cut_from_key_bit_by_bit():
    """Each pad takes 2n bits, x then z, and no bit serves two pads."""
    bits = np.arange(12) % 5 % 2
    pads = Pads.of(bits.astype(np.uint8), 3)
    assert len(pads) == 2
    assert np.concatenate([pads.x[0], pads.z[0], pads.x[1], pads.z[1]]).tolist() == bits.tolist()
    with pytest.raises(ValueError, match="take 6 bits each, got 13"):
        Pads.of(np.zeros(13, np.uint8), 3)


def test_every_pad_is_there_once():
    """All 4^n keys, none twice."""
    every = Pads.every(3)
    assert len({(tuple(x), tuple(z)) for x, z in zip(every.x, every.z, strict=True)}) == len(every) == 64


def test_pads_repeated_and_doubled():
    """A pad may serve several registers in a row, and two halves of one."""
    pads = Pads.of(np.array([1, 0, 0, 1], np.uint8), 1)
    assert pads.repeated(3, 5).x[:, 0].tolist() == [1, 1, 1, 0, 0]
    assert pads.doubled().z.tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("qubits", [1, 2, 3])
def test_the_average_over_pads_is_the_maximally_mixed_state(qubits):
    """Whatever the state: to 1e-14, which is why nobody without the key learns anything."""
    rng = np.random.default_rng(qubits)
    states = rng.normal(size=(2**qubits, 5)) + 1j * rng.normal(size=(2**qubits, 5))
    states /= np.linalg.norm(states, axis=0)
    under = padded(states, Pads.every(qubits))
    mixed = np.einsum("imp,jmp->mij", under, under.conj()) / 4**qubits
    assert np.abs(mixed - np.eye(2**qubits) / 2**qubits).max() < 1e-14


@pytest.mark.parametrize("features", [2, 3])
def test_unitaries_begin_with_the_feature_maps_states(features):
    """U(x) is unitary and takes |0…0⟩ to |φ(x)⟩."""
    points = rows(7, features=features)
    matrices = np.moveaxis(unitaries(points), 2, 0)
    assert np.abs(matrices @ np.conj(np.swapaxes(matrices, 1, 2)) - np.eye(2**features)).max() < 1e-14
    assert np.abs(matrices[:, :, 0] - zz_map(features).states(points)).max() < 1e-14


def test_unitaries_are_qiskits():
    """The same matrices as Qiskit's operator of the circuit."""
    from qiskit.quantum_info import Operator  # noqa: PLC0415  a second that only this test needs

    points = rows(3)
    circuit = zz_map(2).circuit()
    for point, matrix in zip(points, np.moveaxis(unitaries(points), 2, 0), strict=True):
        assert np.abs(Operator(circuit.assign_parameters(point)).data - matrix).max() < 1e-12


def test_algorithm_3_as_printed_breaks_the_kernel():
    """Padded before the map, the same key on both: entries are far off whenever an x bit is set, and right when none is."""
    trial = pad_trial(rows(60), "pad then map")
    assert trial.same_key_error > 0.9
    assert trial.same_key_error_without_x < 1e-12
    assert trial.changed > 0.8


def test_the_same_pad_after_the_map_keeps_the_kernel():
    """⟨φ(y)|P†P|φ(x)⟩ = ⟨φ(y)|φ(x)⟩, for every key."""
    trial = pad_trial(rows(20), "map then pad")
    assert max(trial.same_key_error, trial.same_key_error_without_x) < 1e-12
    assert trial.changed == 0.0


@pytest.mark.parametrize("order", ["pad then map", "map then pad"])
@pytest.mark.parametrize(("features", "mean"), [(2, 0.25), (3, 0.125)])
def test_independent_keys_leave_nothing(order, features, mean):
    """Averaged over independent keys every entry is 1/2^n, whatever the rows and whatever comes first."""
    trial = pad_trial(rows(5, features=features), order)
    assert trial.independent_mean == pytest.approx(mean, abs=1e-13)
    assert trial.independent_spread < 1e-13
