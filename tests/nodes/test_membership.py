"""Membership inference: nearly nothing on the paper's machine, nearly everything on one that learnt by heart."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.answers import AnswerPolicy
from nodes.qml.datasets import DataSet, two_clusters
from nodes.qml.membership import Memberships, inferred
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.strategy import Knowledge, Replies, Truth, carried_out


class ByHeart:
    """Sure of what it was trained on, and of nothing else."""

    def __init__(self, rows):
        self.rows = rows

    def decide(self, features):
        """The label of the nearest row, as sure as it is near."""
        nearest = np.linalg.norm(features[:, None] - self.rows.features[None], axis=2)
        return (2.0 * self.rows.labels[nearest.argmin(axis=1)] - 1.0) * np.exp(-1e4 * nearest.min(axis=1))

    def classify(self, features):
        """The label of the nearest row."""
        return (self.decide(features) > 0.0).astype(np.int64)


def drawn(count, rng, *, noise=False):
    """Rows of the paper's clusters, or of them with labels at random."""
    data = two_clusters(count, 3.2, rng)
    return DataSet(data.features, rng.integers(0, 2, count)) if noise else data


def answering(model, policy=None):
    """A server of decision values, or of what a policy makes of them."""
    policy = AnswerPolicy("score") if policy is None else policy
    rng = np.random.default_rng(9)

    def oracle(questions):
        return Replies(policy.answer(model.decide(questions), rng), np.zeros(len(questions)))

    return oracle


@pytest.fixture(scope="module")
def scene():
    """Members, others, rows of the attacker's own, and members and others together."""
    rng = np.random.default_rng(0)
    train, other, own = (drawn(140, rng) for _ in range(3))
    candidates = DataSet(
        np.concatenate([train.features, other.features]), np.concatenate([train.labels, other.labels])
    )
    return train, other, own, candidates


@pytest.mark.parametrize("rule", ["threshold", "ratio"])
def test_a_model_that_learnt_by_heart_gives_its_rows_away(scene, rule):
    """Shadow models show what members look like: nine of ten guesses are right."""
    train, other, own, candidates = scene
    strategy = inferred(Knowledge(2, own, True), candidates, rule, np.random.default_rng(1), trainer=ByHeart)
    loot = carried_out(strategy, answering(ByHeart(train)))
    assert loot.figures(Truth(ByHeart(train), train, other))["advantage"] > 0.8


def test_random_labels_learnt_by_heart_show_in_classes_alone():
    """If labels are coin tosses, right classes are those of members: about half the others are wrong."""
    rng = np.random.default_rng(2)
    train, other = drawn(200, rng, noise=True), drawn(200, rng, noise=True)
    candidates = DataSet(
        np.concatenate([train.features, other.features]), np.concatenate([train.labels, other.labels])
    )
    strategy = inferred(Knowledge(2, other, False), candidates, "gap", rng)
    figures = carried_out(strategy, answering(ByHeart(train), AnswerPolicy("label"))).figures(
        Truth(ByHeart(train), train, other)
    )
    assert figures["true positives"] == 1.0
    # 200 fair coins: outside 0.28..0.72 with probability below 1e-9
    assert 0.28 < figures["false positives"] < 0.72


def test_support_vectors_stand_on_the_margin(scene):
    """Exact scores give free support vectors away, all of them members; one decimal hides which rows they are."""
    train, other, own, candidates = scene
    model = QuantumSVM().fit(train)
    truth = Truth(model, train, other)
    exact = carried_out(
        inferred(Knowledge(2, own, True), candidates, "support", np.random.default_rng(3)), answering(model)
    ).figures(truth)
    rounded = carried_out(
        inferred(Knowledge(2, own, True), candidates, "support", np.random.default_rng(3)),
        answering(model, AnswerPolicy("score", decimals=1)),
    ).figures(truth)
    assert exact["true positives"] > 0.02
    assert exact["false positives"] <= 0.02
    assert rounded["false positives"] > exact["false positives"]


@pytest.mark.parametrize("rule", ["gap", "threshold", "ratio", "support"])
@pytest.mark.parametrize("scores", [True, False])
def test_the_papers_machine_hardly_tells(scene, rule, scores):
    """On 140 members and 140 others no rule gains more than 0.36: a smooth machine treats both alike.

    A rule without any advantage passes this bound by chance with probability below 1e-9.
    """
    train, other, own, candidates = scene
    model = QuantumSVM().fit(train)
    policy = AnswerPolicy("score" if scores else "label")
    strategy = inferred(
        Knowledge(2, own, scores),
        candidates,
        rule,
        np.random.default_rng(4),
        trainer=QuantumSVM().fit,
        size=140,
    )
    figures = carried_out(strategy, answering(model, policy)).figures(Truth(model, train, other))
    assert figures["advantage"] == pytest.approx(figures["true positives"] - figures["false positives"])
    assert figures["advantage"] < 0.36


@pytest.mark.parametrize("rule", ["gap", "threshold", "ratio", "support"])
def test_without_answers_nobody_is_a_member(scene, rule):
    """A row about which nothing was answered is guessed to be none."""
    train, other, own, candidates = scene

    def silent(questions):
        return Replies(np.full(len(questions), np.nan), np.full(len(questions), np.nan))

    strategy = inferred(Knowledge(2, own, True), candidates, rule, np.random.default_rng(5), trainer=ByHeart)
    figures = carried_out(strategy, silent).figures(Truth(ByHeart(train), train, other))
    assert figures["true positives"] == figures["false positives"] == 0.0


def test_without_members_there_is_no_advantage(scene):
    """Where all or none are members the figure is NaN, which tells a table that it cannot be told."""
    train, other, _, _ = scene
    loot = Memberships(other, np.ones(len(other.labels)), 0)
    assert np.isnan(loot.figures(Truth(ByHeart(train), train, other))["advantage"])


@pytest.mark.parametrize(
    ("rule", "named"),
    [("guess", {}), ("ratio", {}), ("threshold", {}), ("gap", {"shadows": 3}), ("gap", {"repeats": 0})],
)
def test_parameters_out_of_range_are_refused(scene, rule, named):
    """An unknown rule, no trainer where one is needed, or too few shadow models."""
    with pytest.raises(ValueError, match=r"expected|needs"):
        next(inferred(Knowledge(2, scene[2], True), scene[3], rule, np.random.default_rng(0), **named))
