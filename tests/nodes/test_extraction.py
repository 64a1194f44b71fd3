"""Extraction: exact answers give the model itself, rounded ones nearly, and classes its boundary."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.answers import AnswerPolicy
from nodes.qml.classical import RadialSVM
from nodes.qml.datasets import split, two_clusters
from nodes.qml.extraction import (
    COUNTED_QUBITS,
    by_labels,
    by_scores,
    correlation,
    filling,
    queries_needed,
    spread_out,
)
from nodes.qml.feature_maps import z_map, zz_map
from nodes.qml.overlaps import gram
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.strategy import Knowledge, Replies, Truth, carried_out


@pytest.fixture(scope="module")
def scene():
    """The paper's experiment, once."""
    rng = np.random.default_rng(0)
    train, test = split(two_clusters(200, 3.2, rng), 0.7, rng)
    own = two_clusters(200, 3.2, rng)
    return QuantumSVM().fit(train), train, test, own


def answering(model, policy, *, limit=None):
    """A server in memory."""
    rng, asked = np.random.default_rng(1), 0

    def oracle(questions):
        nonlocal asked
        values = policy.answer(model.decide(questions), rng)
        if limit is not None:
            values[max(0, limit - asked) :] = np.nan
        asked += len(questions)
        return Replies(values, np.zeros(len(values)))

    return oracle


@pytest.mark.parametrize("features", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_one_repetition_needs_fewer_questions(features):
    """The ZZ map spans 4^n dimensions with two repetitions, and 4^n - 2^n + 1 with one."""
    assert queries_needed(zz_map(features, 2).program) == 4**features
    assert queries_needed(zz_map(features, 1).program) == 4**features - 2**features + 1


def test_a_product_map_needs_a_power():
    """Without entanglement the dimensions of the qubits multiply: 3 each with one repetition."""
    assert queries_needed(z_map(2, 1).program) == 9


def test_beyond_the_count_it_is_the_bound():
    """On many qubits 4^n is given without solving 4^n equations."""
    width = COUNTED_QUBITS + 1
    assert queries_needed(zz_map(width).program) == 4**width


@pytest.mark.parametrize(("features", "reps"), [(2, 2), (2, 1), (3, 2)])
def test_exact_scores_give_the_model(features, reps):
    """As many exact answers as are needed leave no difference but rounding."""
    rng = np.random.default_rng(2)
    train = two_clusters(140, 3.2, rng, features=features)
    model = QuantumSVM(reps=reps).fit(train)
    program = model.decision_.program
    strategy = by_scores(Knowledge(features, train, True, program), rng)
    figures = carried_out(strategy, answering(model, AnswerPolicy("score"))).figures(
        Truth(model, train, train)
    )
    assert figures["asked"] == queries_needed(program)
    assert figures["score error"] < 1e-8
    assert figures["agreement"] == 1.0


def test_one_answer_less_is_not_enough(scene):
    """With 15 of 16 answers some decision value stays open."""
    model, train, test, own = scene
    strategy = by_scores(Knowledge(2, own, True, model.decision_.program), np.random.default_rng(3))
    oracle = answering(model, AnswerPolicy("score"), limit=15)
    figures = carried_out(strategy, oracle).figures(Truth(model, train, test))
    assert figures["score error"] > 1e-4


@pytest.mark.parametrize(("noise", "queries"), [(None, 64), (0.03, 16), (0.03, 64)])
def test_one_decimal_is_no_defence(scene, noise, queries):
    """Answers of one decimal leave 97 % agreement or more, whether the attacker knows of the rounding or not."""
    model, train, test, own = scene
    knowledge = Knowledge(2, own, True, model.decision_.program)
    strategy = by_scores(knowledge, np.random.default_rng(4), queries=queries, noise=noise)
    oracle = answering(model, AnswerPolicy("score", decimals=1))
    figures = carried_out(strategy, oracle).figures(Truth(model, train, test))
    assert figures["agreement"] >= 0.97
    assert figures["score error"] < 0.6


def test_repeating_beats_noise(scene):
    """Four hundred times the questions make noise of ε = 5 small."""
    model, train, test, own = scene
    policy = AnswerPolicy("score", decimals=2, epsilon=5.0)
    errors = []
    for repeats in (1, 400):
        strategy = by_scores(
            Knowledge(2, own, True, model.decision_.program),
            np.random.default_rng(5),
            queries=64,
            repeats=repeats,
            noise=policy.deviation,
        )
        loot = carried_out(strategy, answering(model, policy))
        errors.append(loot.figures(Truth(model, train, test))["explained"])
    assert errors[1] > 0.99 > errors[0]


def test_classes_give_the_boundary(scene):
    """A few hundred classes put nearly all rows on the right side."""
    model, train, test, own = scene
    strategy = by_labels(Knowledge(2, own, False, model.decision_.program), np.random.default_rng(6))
    figures = carried_out(strategy, answering(model, AnswerPolicy("label"))).figures(
        Truth(model, train, test)
    )
    assert figures["agreement"] >= 0.98
    assert figures["asked"] <= 340


def test_a_classical_model_can_be_copied_too(scene):
    """Without a feature map a Gaussian kernel is fitted, to scores or classes."""
    _, train, test, own = scene
    model = RadialSVM().fit(train)
    for attack, form in ((by_scores, "score"), (by_labels, "label")):
        strategy = attack(Knowledge(2, own, form == "score"), np.random.default_rng(7))
        figures = carried_out(strategy, answering(model, AnswerPolicy(form))).figures(
            Truth(model, train, test)
        )
        assert figures["agreement"] >= 0.95


@pytest.mark.parametrize("attack", [by_scores, by_labels])
def test_without_answers_the_copy_is_the_prior(scene, attack):
    """A silent server leaves the attacker with its own model, or with none."""
    model, train, test, own = scene
    prior = QuantumSVM().fit(own)
    oracle = answering(model, AnswerPolicy("score"), limit=0)
    knowledge = Knowledge(2, own, True, model.decision_.program)
    copy = carried_out(attack(knowledge, np.random.default_rng(8), prior=prior), oracle)
    assert np.array_equal(copy.decide(test.features), prior.decide(test.features))
    figures = copy.figures(Truth(model, train, test))
    assert figures["agreement"] == figures["agreement unasked"]
    oracle = answering(model, AnswerPolicy("score"), limit=0)
    assert not carried_out(attack(knowledge, np.random.default_rng(8)), oracle).decide(test.features).any()


def test_a_server_of_one_class_is_copied(scene):
    """If all answers are one class there is no boundary to find, and the copy says that class."""
    _, train, test, own = scene

    class Stubborn:
        def decide(self, rows):
            return np.ones(len(rows))

        def classify(self, rows):
            return np.ones(len(rows), dtype=np.int64)

    strategy = by_labels(Knowledge(2, own, False, zz_map(2).program), np.random.default_rng(9))
    figures = carried_out(strategy, answering(Stubborn(), AnswerPolicy("label"))).figures(
        Truth(Stubborn(), train, test)
    )
    assert figures["agreement"] == 1.0
    assert figures["explained"] == 0.0


def test_chosen_questions_are_better_than_random_ones():
    """The kernel matrix of 16 chosen questions is better conditioned than that of each of 20 random sets."""
    program, rng = zz_map(2).program, np.random.default_rng(10)
    chosen = spread_out(program, 16, rng)
    worst = np.linalg.eigvalsh(gram(program.columns(chosen)))[0]
    others = [np.linalg.eigvalsh(gram(program.columns(rng.random((16, 2)))))[0] for _ in range(20)]
    assert worst > max(others)


@pytest.mark.parametrize("count", [1, 16, 17, 100])
def test_any_number_of_questions(count):
    """More questions than dimensions begin a new round, and none is asked twice."""
    questions = spread_out(zz_map(2).program, count, np.random.default_rng(11))
    assert questions.shape == (count, 2)
    assert len(np.unique(questions, axis=0)) == count


def test_filling_points_fill():
    """The mean of a smooth function over the points is its integral."""
    points = filling(4096, 3)
    assert np.all((points >= 0.0) & (points < 1.0))
    assert np.mean(np.prod(points, axis=1)) == pytest.approx(1 / 8, abs=2e-3)


def test_correlation_of_constants_is_nothing():
    """What does not vary tells nothing."""
    assert correlation(np.ones(4), np.arange(4.0)) == 0.0
    assert correlation(np.arange(4.0), 3.0 - 2.0 * np.arange(4.0)) == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (by_scores, {"queries": 0}),
        (by_scores, {"noise": -1.0}),
        (by_labels, {"queries": 29}),
        (by_scores, {"repeats": 0}),
    ],
)
def test_parameters_out_of_range_are_refused(scene, attack, named):
    """Too few questions, or negative noise, are mistakes."""
    model, _, _, own = scene
    with pytest.raises(ValueError, match="expected"):
        next(attack(Knowledge(2, own, True, model.decision_.program), np.random.default_rng(0), **named))
