"""The batched engine against Qiskit's `Statevector`, for circuits of every gate it takes, and what it refuses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import GlobalPhaseGate, get_standard_gate_name_mapping, pauli_feature_map
from qiskit.quantum_info import Operator, Statevector

from nodes.qml.circuits import SUPPORTED, compile_circuit

GATES = {name: gate for name, gate in get_standard_gate_name_mapping().items() if name in SUPPORTED}
FEATURES = ParameterVector("x", 3)


def expected(circuit, rows):
    """Qiskit's states."""
    return np.array([Statevector(circuit.assign_parameters(row)).data for row in rows])


numbers = st.floats(-7.0, 7.0)
one = st.sampled_from(list(FEATURES))
angles = st.one_of(
    numbers,
    one,
    st.builds(lambda a, x, b: a * x + b, numbers, one, numbers),
    st.builds(lambda a, x, y: a * (np.pi - x) * (np.pi - y), numbers, one, one),
    st.builds(lambda x, y, a: (x - y) / 2 + a * x.sin(), one, one, numbers),
)


@st.composite
def circuits(draw):
    """A circuit of 1 to 4 qubits and up to 25 gates that uses all three features."""
    qubits = draw(st.integers(1, 4))
    circuit = QuantumCircuit(qubits, global_phase=draw(angles))
    for feature in FEATURES:
        circuit.p(feature, 0)
    usable = sorted(name for name, gate in GATES.items() if gate.num_qubits <= qubits)
    for name in draw(st.lists(st.sampled_from([*usable, "h", "cx", "barrier"]), max_size=25)):
        if name == "barrier":
            circuit.barrier()
        elif name in usable:
            gate = GATES[name]
            order = draw(st.permutations(range(qubits)))[: gate.num_qubits]
            circuit.append(gate.base_class(*(draw(angles) for _ in gate.params)), order)
    return circuit


@given(circuit=circuits(), count=st.sampled_from([1, 3, 20]), seed=st.integers(0, 2**32))
@settings(max_examples=150)
def test_random_circuits_give_qiskits_states(circuit, count, seed):
    """Every amplitude of every row, global phase included, equals Qiskit's to 1e-10."""
    rows = np.random.default_rng(seed).uniform(-7.0, 7.0, (count, 3))
    assert np.abs(compile_circuit(circuit).states(rows) - expected(circuit, rows)).max() <= 1e-10


@pytest.mark.parametrize("name", SUPPORTED)
def test_each_gate_alone_is_qiskits(name):
    """The matrix of each supported gate, at every order of its qubits, is Qiskit's."""
    gate = GATES[name]
    values = [0.3, -1.2, 2.5][: len(gate.params)]
    for order in itertools.permutations(range(3), gate.num_qubits):
        circuit = QuantumCircuit(3)
        circuit.append(gate.base_class(*values), order)
        unitary = compile_circuit(circuit, begun=False).unitaries(np.zeros((1, 0)))[:, :, 0]
        assert np.abs(unitary - Operator(circuit).data).max() <= 1e-12


def test_ladders_and_phases_become_one_diagonal():
    """The ZZ feature map, 8 qubits and 3 repetitions, is 3 diagonals, twice the same one again, and 2 layers."""
    program = compile_circuit(pauli_feature_map(8, reps=3, paulis=["Z", "ZZ"]))
    assert [type(step).__name__ for step in program.steps] == ["Phases", "Layer", "Phases", "Layer", "Phases"]
    assert len({id(step) for step in program.steps if type(step).__name__ == "Phases"}) == 1


def test_gates_that_wrap_others_are_opened():
    """A circuit within a circuit within a circuit gives Qiskit's state, and so does a global-phase gate."""
    x = Parameter("a")
    inner = QuantumCircuit(2, global_phase=0.3)
    inner.ry(x, 0)
    inner.cx(0, 1)
    middle = QuantumCircuit(2)
    middle.append(inner.to_gate(), [1, 0])
    outer = QuantumCircuit(3)
    outer.append(GlobalPhaseGate(2 * x), [])
    outer.append(middle.to_instruction(), [2, 0])
    rows = np.array([[0.4], [1.9]])
    assert np.abs(compile_circuit(outer).states(rows) - expected(outer, rows)).max() <= 1e-12


def test_weights_follow_the_features():
    """Parameters that are named weights are the last columns, in their order."""
    x, w = Parameter("x"), ParameterVector("w", 2)
    circuit = QuantumCircuit(1)
    circuit.ry(w[1], 0)
    circuit.rz(x * w[0], 0)
    found = compile_circuit(circuit, weights=[w[1], w[0]]).states(np.array([[0.7, 1.1, 0.2]]))
    bound = circuit.assign_parameters({x: 0.7, w[1]: 1.1, w[0]: 0.2})
    assert np.abs(found[0] - Statevector(bound).data).max() <= 1e-12


def test_a_circuit_without_parameters_repeats_its_state():
    """Every row of no columns has the same state."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    assert (
        np.abs(compile_circuit(circuit).states(np.zeros((3, 0))) - Statevector(circuit).data).max() <= 1e-12
    )
    assert compile_circuit(circuit).states(np.zeros((40, 0))).shape == (40, 4)


def measured():
    """A circuit with a measurement."""
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    return circuit


def reset():
    """A circuit with a reset."""
    circuit = QuantumCircuit(1)
    circuit.reset(0)
    return circuit


def controlled_flow():
    """A circuit with a branch."""
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((0, 1)):
        circuit.x(0)
    return circuit


def unsupported():
    """A circuit with a gate that is not compiled."""
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cswap(0, 1, 2)
    return circuit


def hidden():
    """The same inside another."""
    circuit = QuantumCircuit(3)
    circuit.append(unsupported().to_gate(), [0, 1, 2])
    return circuit


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (measured, "measure"),
        (reset, "reset"),
        (controlled_flow, "if_else"),
        (unsupported, "cswap"),
        (hidden, "cswap"),
    ],
)
def test_what_is_no_pure_state_is_refused(make, name):
    """Measurements, resets, control flow and unknown gates raise at compile time, named beside what is supported."""
    with pytest.raises(
        ValueError, match=rf"the instruction '{name}'.*expected only barriers and the gates ccx"
    ):
        compile_circuit(make())


def test_a_parameter_nobody_gives_is_refused():
    """A parameter that is neither feature nor weight raises a ValueError that names it."""
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("stray"), 0)
    with pytest.raises(ValueError, match="stray is among neither features nor weights"):
        compile_circuit(circuit, features=[])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros(3), "shape"),
        (np.zeros((2, 2)), r"shape \(2, 2\); expected \(n, 3\)"),
        (np.array([[0.0, np.nan, 0.0]]), "not a number"),
        (np.array([[0.0, -np.inf, np.inf]]), "infinite"),
        (np.zeros((1, 3), complex), "complex"),
    ],
)
def test_bad_rows_are_refused(rows, words):
    """Wrong shapes and features that are not finite real numbers raise a ValueError."""
    circuit = QuantumCircuit(1)
    for feature in FEATURES:
        circuit.rx(feature, 0)
    with pytest.raises(ValueError, match=words):
        compile_circuit(circuit).states(rows)


def test_huge_finite_features_are_taken():
    """Features whose sum is infinite though each is finite are no error."""
    circuit = QuantumCircuit(2)
    circuit.rx(FEATURES[0], 0)
    circuit.rx(FEATURES[1], 1)
    states = compile_circuit(circuit).states(np.full((1, 2), 1.7e308))
    assert np.linalg.norm(states) == pytest.approx(1.0)


def test_angles_without_a_value_are_refused():
    """An angle that is complex or infinite at some row raises a ValueError instead of a state."""
    circuit = QuantumCircuit(1)
    circuit.rx(1 / FEATURES[0], 0)
    with np.errstate(divide="ignore"), pytest.raises(ValueError, match="angle is infinite"):
        compile_circuit(circuit).states(np.zeros((1, 1)))


def test_too_many_qubits_are_refused():
    """21 qubits raise a ValueError before any array is made."""
    with pytest.raises(ValueError, match="21 qubits; expected 1 to 20"):
        compile_circuit(QuantumCircuit(21))
