"""Drift of questions and of the device."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.datasets import two_clusters
from nodes.qml.decision import Decision, SupportVectors
from nodes.qml.drift import WornDecision, drifted, ramp
from nodes.qml.qsvm import QuantumSVM

ROWS = np.array([[0.2, 0.5], [0.6, 0.9]])


def test_all_rows_move_the_same_way():
    """By the amount, along the direction whatever its length, and not beyond [0, 1]."""
    assert drifted(ROWS, 0.2, np.array([0.0, 7.0])) == pytest.approx(np.array([[0.2, 0.7], [0.6, 1.0]]))


def test_each_row_by_its_own_amount():
    """Drift over time is an amount for each question."""
    assert drifted(ROWS, np.array([0.0, 0.1]), np.array([-1.0, 0.0])) == pytest.approx(
        np.array([[0.2, 0.5], [0.5, 0.9]])
    )
    assert drifted(np.empty((0, 2)), np.empty(0), np.array([1.0, 0.0])).shape == (0, 2)


def test_a_drawn_direction_has_length_one():
    """A Generator gives a direction; the same one gives the same."""
    middle = np.full((1, 3), 0.5)
    moved = drifted(middle, 0.25, np.random.default_rng(1))
    assert np.linalg.norm(moved - middle) == pytest.approx(0.25)
    assert np.array_equal(moved, drifted(middle, 0.25, np.random.default_rng(1)))


def test_a_ramp_rises_once():
    """Nothing up to the beginning, all from the end, a straight line between."""
    assert ramp(6, 1, 3, 0.4).tolist() == pytest.approx([0.0, 0.0, 0.2, 0.4, 0.4, 0.4])


@pytest.mark.parametrize(
    ("amount", "direction"),
    [(np.nan, np.ones(2)), (np.zeros(3), np.ones(2)), (0.1, np.zeros(2)), (0.1, np.ones(3))],
)
def test_drift_out_of_range_is_refused(amount, direction):
    """An amount is finite, a direction points somewhere."""
    with pytest.raises(ValueError, match="expected"):
        drifted(ROWS, amount, direction)


def test_a_ramp_that_falls_is_refused():
    """The end comes after the beginning."""
    with pytest.raises(ValueError, match="begin 3, full 3"):
        ramp(10, 3, 3, 1.0)


@pytest.fixture(scope="module")
def machine():
    """A trained one."""
    return QuantumSVM().fit(two_clusters(60, 3.2, np.random.default_rng(2)))


def test_a_worn_device_mixes_states(machine):
    """At p the decision value is that of the density matrix (1 - p)|φ⟩⟨φ| + p·1/2^q."""
    points = np.random.default_rng(3).random((5, 2))
    states = machine.decision_.program.states(points)
    A, b = machine.decision_.form.matrix, machine.decision_.bias
    for p in (0.0, 0.3, 1.0):
        expected = [
            np.trace(A @ ((1 - p) * np.outer(state, state.conj()) + p * np.eye(4) / 4)).real + b
            for state in states
        ]
        worn = WornDecision(machine.decision_, p)
        assert worn.decide(points) == pytest.approx(np.array(expected), abs=1e-12)
        assert worn.classify(points).tolist() == [int(value > 0.0) for value in expected]


def test_a_worn_device_that_cannot_be_is_refused(machine):
    """A share is from 0 to 1, and the observable is needed for its trace."""
    with pytest.raises(ValueError, match=r"p is 1\.5"):
        WornDecision(machine.decision_, 1.5)
    program = machine.decision_.program
    with pytest.raises(TypeError, match="SupportVectors"):
        WornDecision(Decision(program, SupportVectors(program, ROWS, np.ones(2)), 0.0), 0.5)
