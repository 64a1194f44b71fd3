"""Timing: an early stop tells the size of the decision value, constant time does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qml.datasets import split, two_clusters
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.strategy import Knowledge, Replies, Truth, carried_out
from nodes.qml.timing import Effort, timed
from tests.statistics import assert_binomial

EFFORT = Effort(64, 3.0, 0.5)


@pytest.fixture(scope="module")
def scene():
    """The paper's experiment, once."""
    rng = np.random.default_rng(0)
    train, test = split(two_clusters(200, 3.2, rng), 0.7, rng)
    model = QuantumSVM().fit(train)
    return Truth(model, train, test), Knowledge(2, test, False, model.decision_.program)


def answering(model, effort, *, jitter=0.5, limit=None):
    """A server in memory."""
    rng, asked = np.random.default_rng(1), 0

    def oracle(questions):
        nonlocal asked
        found, taken = effort.measured(model.decide(questions), rng)
        values = (found > 0.0).astype(np.float64)
        seconds = 1e-3 * (5.0 + taken + jitter * rng.standard_normal(len(taken)))
        if limit is not None:
            values[max(0, limit - asked) :] = np.nan
            asked += len(values)
        return Replies(values, np.where(np.isnan(values), np.nan, seconds))

    return oracle


@given(st.lists(st.floats(-1e6, 1e6), max_size=20), st.integers(1, 100), st.floats(0.1, 5.0))
def test_batches_are_the_least_that_make_the_sign_clear(values, most, z):
    """|f| exceeds z·spread/√k at the answer, or all batches were needed; and it does not one batch before."""
    sizes = np.abs(np.array(values))
    taken = Effort(most, z).batches(np.array(values))
    assert taken.dtype == np.int64
    assert np.all((taken >= 1) & (taken <= most))
    assert np.all((sizes > z / np.sqrt(taken) * (1.0 - 1e-9)) | (taken == most))
    before = np.maximum(taken - 1, 1)
    assert np.all((sizes <= z / np.sqrt(before) * (1.0 + 1e-9)) | (taken == 1))


def test_constant_time_is_constant():
    """With the defence every question takes all batches."""
    steady = Effort(64, 3.0, constant=True)
    values = np.array([-5.0, 0.0, 1e-9, 5.0])
    assert steady.batches(values).tolist() == [64] * 4
    assert steady.measured(values, np.random.default_rng(0))[1].tolist() == [64] * 4


def test_a_measurement_without_errors_takes_the_batches_that_are_said():
    """With a tiny spread the two ways of counting agree."""
    effort = Effort(50, 1.0, 1e-6)
    values = np.array([-1.0, 3.0, 2.0])
    means, taken = effort.measured(values, np.random.default_rng(1))
    assert np.abs(means - values).max() < 1e-4
    assert taken.tolist() == effort.batches(values).tolist() == [1, 1, 1]


def test_measurements_scatter_as_they_should():
    """Without an early stop the mean of 16 batches is within a standard error, spread/4, in 68.27 %."""
    steady = Effort(16, 3.0, 2.0, constant=True)
    means, _ = steady.measured(np.full(20_000, 0.7), np.random.default_rng(2))
    assert_binomial(int((np.abs(means - 0.7) < 0.5).sum()), 20_000, 0.682689, fault=0.63)


def test_latency_gives_scores_where_only_classes_are_told(scene):
    """Sizes of decision values are recovered through jitter, and the copy explains what it could not from classes."""
    truth, knowledge = scene
    early = carried_out(timed(knowledge, EFFORT, np.random.default_rng(3)), answering(truth.model, EFFORT))
    steady = Effort(64, 3.0, 0.5, constant=True)
    late = carried_out(timed(knowledge, EFFORT, np.random.default_rng(3)), answering(truth.model, steady))
    open_, closed = early.figures(truth), late.figures(truth)
    assert open_["leaked"] > 0.7
    assert open_["explained"] > 0.95
    assert closed["leaked"] == 0.0
    assert closed["explained"] < open_["explained"]
    assert open_["asked"] == 64 * 9


@pytest.mark.parametrize("seed", range(20))
def test_jitter_alone_is_not_taken_for_scores(scene, seed):
    """Against constant time the attacker sees that times tell nothing."""
    truth, knowledge = scene
    steady = Effort(64, 3.0, 0.5, constant=True)
    loot = carried_out(
        timed(knowledge, EFFORT, np.random.default_rng(seed)), answering(truth.model, steady, jitter=5.0)
    )
    assert loot.figures(truth)["leaked"] == 0.0


@pytest.mark.parametrize("limit", [0, 30, 64 * 8 + 10])
def test_missing_answers_end_it(scene, limit):
    """Questions without all their answers are left out."""
    truth, knowledge = scene
    loot = carried_out(
        timed(knowledge, EFFORT, np.random.default_rng(4)), answering(truth.model, EFFORT, limit=limit)
    )
    figures = loot.figures(truth)
    assert all(np.isfinite(value) for value in figures.values())
    assert len(loot.questions) == max(0, limit - 64 * 8)


@pytest.mark.parametrize(
    "named", [{"most": 0, "z": 1.0}, {"most": 1, "z": 0.0}, {"most": 1, "z": 1.0, "spread": np.nan}]
)
def test_efforts_out_of_range_are_refused(named):
    """At least one batch, and positive numbers."""
    with pytest.raises(ValueError, match="expected"):
        Effort(**named)


@pytest.mark.parametrize("named", [{"queries": 7}, {"repeats": 1}])
def test_too_little_asking_is_refused(scene, named):
    """Jitter cannot be told from a single answer."""
    with pytest.raises(ValueError, match="expected"):
        next(timed(scene[1], EFFORT, np.random.default_rng(0), **named))
