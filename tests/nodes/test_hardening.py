"""Adversarial retraining: what it gains against moved rows, and that it is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.evasion import white_box
from nodes.qml.hardening import adversarially_retrained
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.training_duels import Scene


@pytest.fixture
def rows():
    """A training and a test set of the paper's."""
    rng = np.random.default_rng(5)
    return split(two_clusters(200, 3.2, rng), 0.7, rng)


def test_no_rounds_are_the_ordinary_model(rows):
    """Without rounds, or with an attacker who may move nothing, the decision is that of ordinary training."""
    train, test = rows
    rng = np.random.default_rng(0)
    plain = QuantumSVM().fit(train).decide(test.features)
    assert np.array_equal(adversarially_retrained(train, 0.1, 0, rng).decide(test.features), plain)
    unmoved = adversarially_retrained(train, 0.0, 2, rng, C=1.0 / 3.0).decide(test.features)
    # every row three times at a third of the penalty is every row once
    assert np.allclose(unmoved, plain, atol=5e-3)


def test_equal_generators_give_equal_models(rows):
    """All randomness comes from the generator."""
    train, test = rows
    first, again = (
        adversarially_retrained(train, 0.1, 1, np.random.default_rng(1)).decide(test.features)
        for _ in range(2)
    )
    assert np.array_equal(first, again)


@pytest.mark.slow
def test_retraining_helps_a_little_against_small_moves():
    """At ε = 0.1 the retrained model is right on more of the rows that are moved against itself.

    It gains 3.5±2.1 points (20 seeds, 300 rows); the mean of 20 has 0.47, and zero is 7 of them away: false failure
    below 1e-9.
    """
    gains = np.empty(20)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scene = Scene.drawn(rng)
        test = DataSet(scene.test.features[:300], scene.test.labels[:300])
        plain, hardened = (
            np.mean(model.classify(white_box(model, test, 0.1, rng).changed) == test.labels)
            for model in (adversarially_retrained(scene.train, 0.1, rounds, rng) for rounds in (0, 3))
        )
        gains[seed] = hardened - plain
    assert gains.mean() > 0.0


def test_impossible_parameters_are_refused(rows):
    """Rounds or an ε below zero raise a ValueError."""
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="rounds is -1"):
        adversarially_retrained(rows[0], 0.1, -1, rng)
    with pytest.raises(ValueError, match="epsilon is"):
        adversarially_retrained(rows[0], -0.1, 1, rng)
