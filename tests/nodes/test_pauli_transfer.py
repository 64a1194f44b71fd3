"""Noise in the Pauli basis against Qiskit's own channels."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import DensityMatrix, Pauli, SuperOp, random_density_matrix, random_unitary
from qiskit_aer.noise import depolarizing_error, kraus_error

from nodes.qml.density import Noise, damping_operators
from nodes.qml.pauli_transfer import NoisyParity, pauli_means, transfer_matrix
from nodes.qml.real_amplitudes import RealAmplitudes

NOISY = Noise(p1=0.02, p2=0.05, damping=0.03, readout=0.02)


def test_means_are_those_of_pauli_operators():
    """Each entry is Tr(Pρ), the letters of qubit 0 fastest."""
    states = [random_density_matrix(8, seed=seed) for seed in (1, 2)]
    columns = np.stack([np.asarray(state.data).reshape(-1) for state in states], axis=1)
    found = pauli_means(columns, 3)
    for number in range(64):
        label = "IXYZ"[number // 16] + "IXYZ"[number // 4 % 4] + "IXYZ"[number % 4]
        expected = [state.expectation_value(Pauli(label)).real for state in states]
        assert found[number] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("qubits", [1, 2])
def test_a_transfer_matrix_is_gate_then_noise(qubits):
    """Means after the gate and its noise are those of Qiskit's channel to 1e-12."""
    gate = random_unitary(2**qubits, seed=3)
    damping = kraus_error(damping_operators(NOISY.damping))
    error = depolarizing_error(NOISY.p1 if qubits == 1 else NOISY.p2, qubits)
    error = error.compose(damping if qubits == 1 else damping.tensor(damping))
    state = random_density_matrix(2**qubits, seed=4)
    after = state.evolve(gate).evolve(SuperOp(error))
    before, expected = (
        pauli_means(np.asarray(each.data).reshape(-1, 1), qubits)[:, 0] for each in (state, after)
    )
    found = transfer_matrix(np.asarray(gate.data), NOISY) @ before
    assert np.abs(found - expected).max() <= 1e-12


def test_without_noise_the_parity_is_the_pure_one():
    """Noise of no strength leaves mean parity and gradient of the state vector to 1e-12."""
    ansatz = RealAmplitudes(3, 2)
    rng = np.random.default_rng(5)
    weights = rng.uniform(-3.0, 3.0, ansatz.weights)
    states = rng.standard_normal((8, 4)) + 1j * rng.standard_normal((8, 4))
    states /= np.linalg.norm(states, axis=0)
    matrices = np.stack([np.asarray(DensityMatrix(state).data).reshape(-1) for state in states.T], axis=1)
    found = NoisyParity(ansatz, Noise()).effect(weights).T @ pauli_means(matrices, 3)
    assert np.abs(found[0] - ansatz.values(states, weights)).max() <= 1e-12
    assert np.abs(found[1:].T - ansatz.gradients(states, weights)).max() <= 1e-12


def test_gradients_with_noise_are_those_of_parameter_shift():
    """Each derivative is half the difference at angles shifted by ±π/2, which noise leaves exact (Mitarai et al. 2018)."""
    parity = NoisyParity(RealAmplitudes(2, 3), NOISY)
    weights = np.random.default_rng(6).uniform(-3.0, 3.0, 8)
    found = parity.effect(weights)
    for angle, shift in enumerate(np.pi / 2 * np.eye(8)):
        change = (parity.effect(weights + shift)[:, 0] - parity.effect(weights - shift)[:, 0]) / 2
        assert np.abs(found[:, 1 + angle] - change).max() <= 1e-12
