"""Scaling to [0, 1]: fitted on training rows, kept for everything that comes later."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.scaling import Scaler, Unscaled

ROWS = np.array([[0.0, 5.0, 7.0], [10.0, 5.0, 3.0], [4.0, 5.0, 5.0]])


def test_training_rows_fill_the_interval():
    """Smallest and largest value of each column become 0 and 1; a column that says nothing becomes 0."""
    assert np.allclose(Scaler.fit(ROWS)(ROWS), [[0, 0, 1], [1, 0, 0], [0.4, 0, 0.5]])


def test_later_rows_are_clipped():
    """What lies beyond the training rows is moved to the nearer end, so that it stays a feature."""
    assert Scaler.fit(ROWS)(np.array([[-3.0, 9.0, 100.0]])).tolist() == [[0.0, 0.0, 1.0]]


def test_a_tail_resists_outliers():
    """With a tail of 1 % a single huge value does not squeeze the others into a corner."""
    rows = np.append(np.linspace(0.0, 1.0, 999), 1e9)[:, None]
    assert Scaler.fit(rows, 0.01)(rows)[500, 0] == pytest.approx(0.5, abs=0.01)
    assert Scaler.fit(rows)(rows)[500, 0] < 1e-8


def test_a_state_gives_the_same_scaler():
    """Of its arrays the scaler comes back bit for bit."""
    scaler = Scaler.fit(ROWS)
    assert np.array_equal(Scaler.of_state(*scaler.state())(ROWS), scaler(ROWS))


def test_a_split_fits_the_scaler_on_training_rows_only():
    """Training rows span [0, 1] exactly, and the scaler is the one of those rows, whatever the test rows are."""
    rng = np.random.default_rng(1)
    whole = Unscaled(("a",), rng.standard_normal((40, 1)), np.arange(40) % 2)
    train, test, scaler = whole.split(0.5, np.random.default_rng(2))
    assert (train.features.min(), train.features.max()) == (0.0, 1.0)
    assert np.bincount(train.labels).tolist() == np.bincount(test.labels).tolist() == [10, 10]
    span = scaler.high - scaler.low
    back = np.sort(np.concatenate([train.features * span + scaler.low]), axis=0)
    assert all(np.isclose(whole.rows, value).any() for value in back)
    assert span[0] < np.ptp(whole.rows) + 1e-12


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Scaler.fit(np.zeros((0, 2))), "at least one row"),
        (lambda: Scaler.fit(ROWS, 0.5), "tail is 0.5"),
        (lambda: Scaler.fit(np.array([[np.nan]])), "not a number"),
        (lambda: Scaler(np.ones(1), np.zeros(1)), "above its high"),
        (lambda: Scaler(np.ones(1), np.ones(2)), r"expected both \(d,\)"),
        (lambda: Scaler(np.array([-np.inf]), np.ones(1)), "infinite"),
        (lambda: Scaler.fit(ROWS)(np.zeros((1, 2))), r"expected \(n, 3\)"),
    ],
)
def test_what_cannot_be_scaled_is_refused(make, words):
    """No rows, impossible tails and ends, another width: a ValueError that says what was got."""
    with pytest.raises(ValueError, match=words):
        make()
