"""How questions are put: on the wire's grid, repeated, and with answers missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qml.asking import averaged, mean_of_known, on_grid, signed
from nodes.qml.fixed_point import decode, encode
from nodes.qml.strategy import Replies, carried_out


@given(st.lists(st.floats(-1.0, 2.0), min_size=1, max_size=5))
def test_the_wire_carries_grid_questions_unchanged(features):
    """A question on the grid is the question that the server decodes."""
    question = on_grid(np.array(features))
    assert np.array_equal(decode(encode(question)), question)


def test_repeats_are_averaged_without_the_missing():
    """Each question is asked as often as told, and the mean is of what came back."""
    seen = []

    def oracle(questions):
        seen.append(questions)
        values = np.array([1.0, 2.0, 3.0, np.nan, 5.0, np.nan])
        return Replies(values, np.zeros(6))

    questions = np.array([[0.1], [0.2]])
    assert carried_out(averaged(questions, 3), oracle).tolist() == [3.0, 2.0]
    assert np.array_equal(seen[0], np.tile(questions, (3, 1)))


def test_nothing_known_is_nan():
    """A question that was never answered has no mean."""
    assert np.isnan(mean_of_known(np.full((2, 1), np.nan)))[0]


def test_nothing_to_ask_asks_nothing():
    """Without questions no batch is put."""

    def oracle(_questions):
        pytest.fail("asked")

    assert len(carried_out(averaged(np.empty((0, 2)), 1), oracle)) == 0


def test_no_repeat_is_refused():
    """To ask a question no times is a mistake."""
    with pytest.raises(ValueError, match="repeats is 0"):
        next(averaged(np.zeros((1, 1)), 0))


def test_a_share_of_ones_has_the_sign_of_the_majority():
    """Classes and scores alike end up positive for class 1."""
    assert signed(np.array([0.0, 0.4, 1.0]), scores=False).tolist() == pytest.approx([-1.0, -0.2, 1.0])
    assert signed(np.array([-3.0]), scores=True).tolist() == [-3.0]
