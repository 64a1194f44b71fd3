"""Inversion: what portraits of classes show, and what they do not."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.datasets import split, two_clusters
from nodes.qml.inversion import Portraits, portraits
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.strategy import Knowledge, Replies, Truth, carried_out


@pytest.fixture(scope="module")
def scene():
    """The paper's experiment, once."""
    rng = np.random.default_rng(0)
    train, test = split(two_clusters(200, 3.2, rng), 0.7, rng)
    model = QuantumSVM().fit(train)
    return model, Truth(model, train, test), Knowledge(2, test, True), Knowledge(2, test, False)


def answering(model, *, scores):
    """A server in memory."""

    def oracle(questions):
        values = model.decide(questions)
        return Replies(values if scores else (values > 0.0).astype(np.float64), np.zeros(len(values)))

    return oracle


def test_a_peak_is_the_surest_point(scene):
    """Where the climb ends the model is surer than on 99.9 % of a fine grid, for either class."""
    model, _, scores, _ = scene
    loot = carried_out(
        portraits(scores, np.random.default_rng(1), queries=400), answering(model, scores=True)
    )
    axis = np.linspace(0.0, 1.0, 101)
    grid = model.decide(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2))
    low, high = model.decide(loot.points)
    assert np.mean(grid < low) < 1e-3
    assert np.mean(grid > high) < 1e-3


def test_the_mean_of_a_class_is_nearer_to_it_than_its_peak(scene):
    """Classes alone give the better portraits: to be sure of a point is not to have seen many like it."""
    model, truth, scores, labels = scene
    peak = carried_out(portraits(scores, np.random.default_rng(2)), answering(model, scores=True)).figures(
        truth
    )
    mean = carried_out(portraits(labels, np.random.default_rng(2)), answering(model, scores=False)).figures(
        truth
    )
    assert mean["closeness"] > peak["closeness"] + 0.1
    unused = carried_out(
        portraits(scores, np.random.default_rng(2), peak=False), answering(model, scores=True)
    )
    assert unused.figures(truth)["closeness"] == mean["closeness"]


def test_the_classes_means_are_as_close_as_can_be(scene):
    """Closeness is 1 at the means themselves."""
    _, truth, _, _ = scene
    means = np.array([truth.train.features[truth.train.labels == label].mean(axis=0) for label in (0, 1)])
    assert Portraits(means, 0).figures(truth)["closeness"] == pytest.approx(1.0)


@pytest.mark.parametrize("peak", [True, False])
@pytest.mark.parametrize("answered", [0, 3, 150])
def test_missing_answers_end_it(scene, peak, answered):
    """However early the budget ends there are figures; without any answer they are those of a guess."""
    model, truth, scores, _ = scene
    left = answered

    def oracle(questions):
        nonlocal left
        values = model.decide(questions)
        values[left:] = np.nan
        left = max(0, left - len(values))
        return Replies(values, np.zeros(len(values)))

    loot = carried_out(portraits(scores, np.random.default_rng(3), peak=peak), oracle)
    closeness = loot.figures(truth)["closeness"]
    assert np.isfinite(closeness)
    if answered == 0:
        assert closeness == 0.0


def test_too_few_questions_are_refused(scene):
    """A climb needs something to start from."""
    with pytest.raises(ValueError, match="queries is 19"):
        next(portraits(scene[2], np.random.default_rng(0), queries=19))
