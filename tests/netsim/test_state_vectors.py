"""State vectors: EQSN's engine, called in process, against the matrices of a textbook."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.photonics.state_vectors import StateVectors
from tests.statistics import assert_binomial

QUBITS = 3
GATES = {
    "x": np.array([[0, 1], [1, 0]]),
    "y": np.array([[0, -1j], [1j, 0]]),
    "h": np.array([[1, 1], [1, -1]]) / np.sqrt(2),
}
STEPS = st.one_of(
    st.tuples(st.sampled_from(sorted(GATES)), st.integers(0, QUBITS - 1)),
    st.tuples(st.just("ry"), st.integers(0, QUBITS - 1), st.floats(-7, 7)),
    st.tuples(st.just("cnot"), st.permutations(range(QUBITS)).map(lambda order: tuple(order[:2]))),
    st.tuples(st.just("measure"), st.integers(0, QUBITS - 1), st.floats(0, 1, exclude_max=True)),
)


class Textbook:
    """All amplitudes in one array with an axis for each qubit."""

    def __init__(self) -> None:
        self.state = np.zeros((2,) * QUBITS, dtype=complex)
        self.state[(0,) * QUBITS] = 1

    def gate(self, matrix: np.ndarray, qubit: int) -> None:
        """Apply a 2 by 2 matrix."""
        self.state = np.moveaxis(np.tensordot(matrix, self.state, (1, qubit)), 0, qubit)

    def cnot(self, control: int, target: int) -> None:
        """Exchange the target's amplitudes where the control is 1."""
        state = np.moveaxis(self.state, (control, target), (0, 1)).copy()
        state[1] = state[1, ::-1]
        self.state = np.moveaxis(state, (0, 1), (control, target))

    def probability_of_zero(self, qubit: int) -> float:
        """Of a measurement in Z."""
        return float(np.sum(np.abs(np.moveaxis(self.state, qubit, 0)[0]) ** 2))

    def project(self, qubit: int, outcome: int) -> None:
        """Keep what agrees with an outcome."""
        state = np.moveaxis(self.state, qubit, 0).copy()
        state[1 - outcome] = 0
        self.state = np.moveaxis(state / np.linalg.norm(state), 0, qubit)


@given(st.lists(STEPS, max_size=25))
def test_any_circuit_gives_the_textbook_s_outcomes(steps):
    """Random gates and measurements on three qubits: the same outcome for the same random number, all along."""
    world, book = StateVectors(), Textbook()
    numbers = [world.create() for _ in range(QUBITS)]
    for step in [*steps, *(("measure", qubit, 0.5) for qubit in range(QUBITS))]:
        match step:
            case ("cnot", (control, target)):
                world.cnot(numbers[control], numbers[target])
                book.cnot(control, target)
            case ("ry", qubit, angle):
                world.ry(numbers[qubit], angle)
                c, s = np.cos(angle / 2), np.sin(angle / 2)
                book.gate(np.array([[c, -s], [s, c]]), qubit)
            case ("measure", qubit, uniform):
                zero = book.probability_of_zero(qubit)
                outcome = world.measure(numbers[qubit], uniform)
                if abs(uniform - zero) > 1e-9:
                    assert outcome == int(uniform >= zero)
                book.project(qubit, outcome)
            case (name, qubit):
                getattr(world, name)(numbers[qubit])
                book.gate(GATES[name], qubit)


def test_a_sure_outcome_is_sure_whatever_the_random_number():
    """Rounding in a state vector never turns a certainty into a chance."""
    world = StateVectors()
    for uniform in (0.0, 1e-17, 1 - 1e-16):
        qubit = world.create()
        for _ in range(8):
            world.h(qubit)
        assert world.measure(qubit, uniform) == 0
        world.x(qubit)
        assert world.measure(qubit, uniform) == 1


def test_a_released_half_leaves_the_other_its_statistics():
    """Half of a Bell pair whose partner is out of reach is fair: 2000 would show a share of 0.65."""
    world, uniform = StateVectors(), np.random.default_rng(1)
    ones = 0
    for _ in range(2000):
        one, other = world.create(), world.create()
        world.h(one)
        world.cnot(one, other)
        world.release(one)
        ones += world.measure(other, uniform.random())
        world.release(other)
    assert_binomial(ones, 2000, 0.5, fault=0.65)
    assert len(world) == 0


def test_what_is_released_is_out_of_reach():
    """No gate reaches a released qubit, and its number is not given out again."""
    world = StateVectors()
    gone = world.create()
    world.release(gone)
    assert world.create() != gone
    with pytest.raises(KeyError):
        world.x(gone)


def test_numpy_s_global_generator_is_left_alone():
    """EQSN reseeds it in its constructor; this adapter must not."""
    np.random.seed(5)  # noqa: NPY002  the global generator is what is watched
    expected = np.random.random()  # noqa: NPY002  likewise
    np.random.seed(5)  # noqa: NPY002  likewise
    world = StateVectors()
    qubit = world.create()
    world.h(qubit)
    world.measure(qubit, 0.3)
    assert np.random.random() == expected  # noqa: NPY002  likewise
