"""Counted resources: closed forms against Qiskit's transpiler, constructions against what they are to compute."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.quantum_info import Operator, Statevector
from qiskit.transpiler import CouplingMap

from nodes.qml.resources import (
    BASIS,
    EAGLE,
    brick,
    brickwork,
    counted,
    coupling_map,
    feature_map,
    feature_map_rows,
    inversion_test,
    inversion_test_resources,
    least_squares_svm,
    non_clifford_rotations,
    swap_network,
    swap_test,
    t_gates,
    table_3_rows,
    zz_map_resources,
)


def numbers(found):
    """All but the source."""
    return found.qubits, found.depth, found.two_qubit_gates, found.two_qubit_depth


@pytest.mark.parametrize(("features", "reps"), list(itertools.product((2, 3, 4, 7, 16), (1, 2, 3))))
def test_the_closed_form_is_what_the_transpiler_makes(features, reps):
    """All to all, qubits, depth, CX gates and their layers of map and inversion test are Qiskit's own count."""
    assert numbers(zz_map_resources(features, reps)) == numbers(counted(feature_map(features, reps)))
    assert numbers(inversion_test_resources(features, reps)) == numbers(
        counted(inversion_test(features, reps))
    )


def on_line(circuit, level):
    """Transpiled to a line with its qubits where they are."""
    return transpile(
        circuit,
        basis_gates=list(BASIS),
        coupling_map=CouplingMap.from_line(circuit.num_qubits),
        initial_layout=list(range(circuit.num_qubits)),
        optimization_level=level,
        seed_transpiler=0,
    )


def is_of(circuit, closed):
    """Whether depth, CX and their layers are the closed form's."""
    return (
        circuit.depth() == closed.depth
        and circuit.count_ops()["cx"] == closed.two_qubit_gates
        and circuit.depth(lambda gate: gate.operation.num_qubits == 2) == closed.two_qubit_depth
    )


@pytest.mark.parametrize(("features", "reps"), list(itertools.product((3, 4, 7, 16), (1, 2))))
def test_the_line_s_closed_form_is_its_circuit_s(features, reps):
    """The network of swaps runs on a line without further routing, and takes what the closed form says."""
    assert is_of(on_line(swap_network(features, reps), 0), zz_map_resources(features, reps, "line"))


@pytest.mark.parametrize(("features", "reps"), [(3, 1), (3, 2), (4, 1), (5, 1)])
def test_a_network_and_its_inverse_cancel_where_they_meet(features, reps):
    """The inversion test on a line takes what its closed form says; Qiskit finds what cancels."""
    twice = swap_network(features, reps).compose(swap_network(features, reps, "y").inverse())
    assert is_of(on_line(twice, 1), inversion_test_resources(features, reps, "heavy-hex"))


@pytest.mark.parametrize(("features", "reps"), [(3, 1), (3, 2), (4, 2), (5, 1)])
def test_the_network_of_swaps_makes_the_feature_map_s_state(features, reps):
    """Its state is the ZZ feature map's, with the qubits reversed after an odd number of repetitions."""
    x = np.linspace(0.1, 0.9, features)
    got = Statevector(swap_network(features, reps).assign_parameters(x))
    if reps % 2:
        got = got.reverse_qargs()
    assert abs(got.inner(Statevector(feature_map(features, reps).assign_parameters(x)))) == pytest.approx(1.0)


def test_the_paper_s_experiment_is_small():
    """Two features take two qubits, depth 14 and four CX; a kernel entry depth 26 and six."""
    assert numbers(counted(feature_map(2))) == (2, 14, 4, 4)
    assert numbers(counted(inversion_test(2))) == (2, 26, 6, 6)


def test_where_the_paper_s_numbers_come_from():
    """40 to 60 qubits and depth 400 to 600 are that many features all to all, or kernel entries of 9 or 10 features on a line."""
    assert [n for n in range(2, 99) if 400 <= zz_map_resources(n).depth <= 600] == list(range(45, 67))
    assert 400 <= zz_map_resources(60).depth <= 600
    assert 400 <= counted(inversion_test(10), "line").depth <= 600
    assert 400 <= counted(inversion_test(9), "heavy-hex").depth <= 600


def test_the_swap_test_tells_the_kernel():
    """The control qubit is 0 with probability (1 + kernel)/2."""
    x, y = [0.2, 0.7], [0.5, 0.4]
    circuit = swap_test(2)
    values = {
        p: (x if p.name.startswith("x") else y)[int(re.findall(r"\d+", p.name)[0])]
        for p in circuit.parameters
    }
    zero = Statevector(circuit.assign_parameters(values)).probabilities([0])[0]
    states = [Statevector(feature_map(2).assign_parameters(row)) for row in (x, y)]
    assert zero == pytest.approx((1 + abs(states[0].inner(states[1])) ** 2) / 2)


@pytest.mark.parametrize(("rows", "clock"), [(1, 6), (3, 7)])
def test_the_least_squares_circuit_solves_its_equations(rows, clock):
    """With the last qubit in 1 and the clock in 0, the equations' qubits hold F⁻¹b."""
    circuit = least_squares_svm(rows, clock)
    size = 2 ** (circuit.num_qubits - clock - 1)
    prepared = QuantumCircuit(circuit.num_qubits)
    prepared.x(clock)
    found = Statevector(prepared.compose(circuit)).data.reshape(2, size, 2**clock)[1, :, 0]
    angle = 2 * np.pi * np.arange(rows) / rows
    matrix = np.eye(size)
    matrix[0, 0] = 0.0
    matrix[1 : rows + 1, 1 : rows + 1] += np.cos(angle[:, None] - angle)
    matrix[0, 1 : rows + 1] = matrix[1 : rows + 1, 0] = 1.0
    wanted = np.linalg.solve(matrix, np.eye(size)[1])
    overlap = abs(np.vdot(wanted, found)) / np.linalg.norm(wanted) / np.linalg.norm(found)
    assert overlap > 0.999


def test_a_brick_is_a_cnot_or_any_two_rotations():
    """The angles that the construction counts on do what it says."""
    half = math.pi / 2
    cnot = brick((0, 0, half, 0), (0, half, 0, -half))
    assert Operator(cnot / cnot[0, 0]).equiv(np.eye(4)[[0, 1, 3, 2]])
    a, b, c, d, e, f = 0.3, 1.1, -0.7, 2.0, -0.4, 0.9
    circuit = QuantumCircuit(2)
    for qubit, angles in ((1, (a, b, c)), (0, (d, e, f))):  # Qiskit's first factor is its last qubit
        circuit.rz(angles[0], qubit)
        circuit.rx(angles[1], qubit)
        circuit.rz(angles[2], qubit)
    assert Operator(brick((a, b, c, 0), (d, e, f, 0))).equiv(Operator(circuit))


def test_the_brickwork_has_whole_bricks():
    """Columns are 5 modulo 8; two features take nine layers of bricks."""
    two = brickwork(feature_map(2))
    assert (two.qubits, two.depth) == (2 * 37, 36)
    for features in (2, 3, 4):
        assert (brickwork(feature_map(features)).depth + 1) % 8 == 5


def test_rotations_and_their_t_gates_are_counted():
    """Each repetition turns by one angle a feature and one a pair."""
    assert feature_map(4, 3).count_ops()["p"] == non_clifford_rotations(4, 3) == 30
    assert t_gates(6, 6 * 2.0**-10) == 6 * 30


def test_devices_have_room():
    """A device is the smallest of its kind that has the qubits."""
    assert coupling_map("all-to-all", 5) is None
    assert coupling_map("line", 5).size() == 5
    assert coupling_map("heavy-hex", 19).size() == 19
    assert coupling_map("heavy-hex", 20).size() > 20
    assert EAGLE.qubits == 127


def test_every_approach_of_table_3_has_a_row_that_says_how():
    """Each row is counted, a closed form, cited with its source, or says why it cannot be tested."""
    rows = table_3_rows()
    assert len({row.approach for row in rows}) == 6
    for row in rows:
        assert row.printed
        assert row.how.startswith(("counted: ", "closed form: ", "cited: ", "cannot be tested: "))
        if row.how.startswith(("counted", "closed")):
            assert min(int(row.qubits), int(row.depth), int(row.two_qubit_gates)) > 0


def test_feature_map_rows_cover_circuits_and_devices():
    """Three circuits on three couplings for each number of features."""
    rows = feature_map_rows((2, 3))
    assert len(rows) == 2 * 3 * 3
    assert all(row.how.startswith("counted: ") for row in rows)


@pytest.mark.parametrize(("features", "reps", "coupling"), [(1, 2, "line"), (2, 0, "line"), (2, 2, "ring")])
def test_what_cannot_be_is_refused(features, reps, coupling):
    """A closed form outside its range is an error that says what was got."""
    with pytest.raises(ValueError, match=rf"got {features} features, {reps} repetitions and '{coupling}'"):
        zz_map_resources(features, reps, coupling)
