"""The noisy kernel against Aer's density matrices, and the sampled one against the probabilities it samples."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from nodes.qml.density import Noise
from nodes.qml.feature_maps import PauliMap
from nodes.qml.kernel import StatevectorKernel
from tests.statistics import assert_binomial

ROWS = np.random.default_rng(1).uniform(0.0, 3.0, (3, 3))
OTHERS = np.random.default_rng(2).uniform(0.0, 3.0, (2, 3))
NOISY = Noise(p1=0.01, p2=0.05, damping=0.03, readout=0.02)


def several_gates():
    """A circuit of gates that a feature map has not, some of them inside another, wires crossed."""
    x = ParameterVector("x", 3)
    inner = QuantumCircuit(2)
    inner.cry(x[0], 1, 0)
    inner.rxx(x[1] * x[2], 0, 1)
    circuit = QuantumCircuit(3)
    circuit.sx(0)
    circuit.u(x[0], 0.3, x[1], 2)
    circuit.append(inner.to_gate(), [2, 0])
    circuit.barrier()
    circuit.cz(1, 2)
    circuit.swap(0, 1)
    circuit.ry(x[2], 1)
    circuit.tdg(1)
    circuit.crx(0.4, 0, 2)
    return circuit


@pytest.mark.parametrize(
    "noise",
    [Noise(), Noise(p1=0.2), Noise(p2=0.3), Noise(damping=0.2), Noise(readout=0.1), NOISY],
    ids=["none", "p1", "p2", "damping", "readout", "all"],
)
@pytest.mark.parametrize(
    "feature_map", [PauliMap(3), PauliMap(3, ("XY", "Z"), 1), several_gates()], ids=["zz", "xy", "gates"]
)
def test_entries_are_those_of_aers_density_matrix(feature_map, noise):
    """Every kind of noise, alone and together, gives the entries of Aer's density-matrix simulator to 1e-10."""
    ours = StatevectorKernel(feature_map=feature_map, noise=noise)
    aer = StatevectorKernel(feature_map=feature_map, noise=noise, backend="aer")
    assert np.abs(ours.evaluate(ROWS, OTHERS) - aer.evaluate(ROWS, OTHERS)).max() <= 1e-10
    gram = ours.evaluate(ROWS)
    assert np.abs(gram - aer.evaluate(ROWS)).max() <= 1e-10
    assert np.array_equal(gram, gram.T)


def test_without_noise_it_is_the_exact_kernel():
    """Noise of no strength, and Aer without noise, give the exact kernel to 1e-10."""
    exact = StatevectorKernel(3)
    for kernel in (StatevectorKernel(3, noise=Noise()), StatevectorKernel(3, backend="aer")):
        assert np.abs(kernel.evaluate(ROWS, OTHERS) - exact.evaluate(ROWS, OTHERS)).max() <= 1e-10


def test_noise_lowers_the_diagonal():
    """A device that depolarises does not find all zeros of a point with itself every time."""
    diagonal = np.diag(StatevectorKernel(3, noise=NOISY).evaluate(ROWS))
    assert np.all(diagonal < 0.9)


def test_full_depolarising_leaves_chance():
    """Gates that replace their qubits by random ones leave 2^-n, whatever the points."""
    entries = StatevectorKernel(3, noise=Noise(p1=1.0, p2=1.0)).evaluate(ROWS, OTHERS)
    assert np.abs(entries - 1 / 8).max() <= 1e-12


@pytest.mark.parametrize("backend", ["exact", "aer"])
@pytest.mark.parametrize("noise", [None, NOISY])
def test_shots_count_zeros(backend, noise):
    """Sampled entries are binomial around the exact ones; a Gram matrix is symmetric, as each pair is run once."""
    shots = 4000
    exact = StatevectorKernel(3, noise=noise)
    sampled = StatevectorKernel(
        3, noise=noise, shots=shots, rng=np.random.default_rng(5), backend=backend
    ).evaluate(ROWS)
    assert np.array_equal(sampled, sampled.T)
    for probability, share in zip(exact.evaluate(ROWS).flat, sampled.flat, strict=True):
        if probability < 1.0:
            assert_binomial(round(share * shots), shots, probability, fault=min(probability + 0.12, 1.0))
        else:
            assert share == 1.0


def test_shots_are_drawn_from_the_generator():
    """The same seed gives the same matrix, another one a different one."""
    first, again, other = (
        StatevectorKernel(3, shots=50, rng=np.random.default_rng(seed)).evaluate(ROWS, OTHERS)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def three_qubit_gate():
    """A circuit whose noise is not defined."""
    circuit = QuantumCircuit(3)
    circuit.rx(ParameterVector("x", 1)[0], 0)
    circuit.ccx(0, 1, 2)
    return circuit


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_features": 7, "noise": NOISY}, "7 qubits; expected at most 6"),
        ({"feature_map": three_qubit_gate(), "noise": NOISY}, "the gate 'ccx' is not defined; transpile"),
        (
            {"feature_map": three_qubit_gate(), "noise": NOISY, "backend": "aer"},
            "the gate 'ccx' is not defined",
        ),
        ({"num_features": 2, "shots": 10}, "shots need an rng"),
        ({"num_features": 2, "shots": 0, "rng": np.random.default_rng(1)}, "shots is 0"),
        ({"num_features": 2, "backend": "gpu"}, "backend is 'gpu'; expected 'exact' or 'aer'"),
        ({}, "either num_features or feature_map"),
        ({"num_features": 2, "feature_map": PauliMap(2)}, "either num_features or feature_map"),
        ({"feature_map": QuantumCircuit(2)}, "no parameters"),
    ],
)
def test_impossible_devices_are_refused(arguments, words):
    """What cannot be simulated raises a ValueError that says what was expected."""
    with pytest.raises(ValueError, match=words):
        StatevectorKernel(**arguments)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_no_probability_is_refused(value):
    """Noise outside [0, 1] raises a ValueError that names it."""
    with pytest.raises(ValueError, match=f"damping is {value}"):
        Noise(damping=value)
