"""What is answered: rounding, noise as stated, its composition, and budgets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qml.answers import AnswerPolicy, Budget
from tests.statistics import assert_binomial

VALUES = np.array([-2.34, -0.04, 0.0, 0.06, 1.75])


def test_plain_forms():
    """A score is the decision value, a class its sign, 0 for a value of 0."""
    rng = np.random.default_rng(0)
    assert np.array_equal(AnswerPolicy("score").answer(VALUES, rng), VALUES)
    assert AnswerPolicy("label").answer(VALUES, rng).tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_rounding():
    """A score has as many decimals as the policy says."""
    answers = AnswerPolicy("score", decimals=1).answer(VALUES, np.random.default_rng(0))
    assert answers.tolist() == [-2.3, -0.0, 0.0, 0.1, 1.8]


@pytest.mark.parametrize(
    "policy", [AnswerPolicy("label"), AnswerPolicy("label", epsilon=1.0), AnswerPolicy("score", epsilon=1.0)]
)
def test_a_declined_question_stays_declined(policy):
    """NaN is not made into an answer."""
    answers = policy.answer(np.array([np.nan, 1.0]), np.random.default_rng(0))
    assert np.isnan(answers[0])
    assert not np.isnan(answers[1])


def test_randomised_response_lies_as_often_as_it_says():
    """The class is told truly with probability e^ε / (1 + e^ε)."""
    policy = AnswerPolicy("label", epsilon=2.0)
    wrong = int((policy.answer(np.ones(20_000), np.random.default_rng(1)) == 0.0).sum())
    assert_binomial(wrong, 20_000, 1.0 / (1.0 + math.e**2), fault=1.0 / (1.0 + math.e))
    assert policy.flip_probability == pytest.approx(1.0 / (1.0 + math.e**2))


def test_noise_on_a_grid_keeps_its_epsilon():
    """For the two farthest values no answer is more than e^ε times as likely: the probabilities are checked exactly.

    They are those of a difference of geometric numbers, whose parameter is read off the samples: P(noise = 0) is
    p / (2 - p).
    """
    policy = AnswerPolicy("score", decimals=0, epsilon=1.5, sensitivity=6.0)
    draws = policy.answer(np.zeros(50_000), np.random.default_rng(2))
    p = -math.expm1(-1.5 / 6.0)
    assert_binomial(int((draws == 0.0).sum()), 50_000, p / (2.0 - p), fault=1.3 * p / (2.0 - p))
    # log-likelihoods at distance 6, which is the whole interval, differ by 6·log(1/(1-p)) at most
    assert 6.0 * -math.log1p(-p) == pytest.approx(1.5)


def test_values_beyond_the_interval_are_hidden():
    """Clipping makes an extreme value look like the edge of the interval: the answers are the same, draw by draw."""
    for decimals in (2, None):
        policy = AnswerPolicy("score", decimals=decimals, epsilon=1.0, sensitivity=2.0)
        far = policy.answer(np.array([1e9, -1e9]), np.random.default_rng(3))
        near = policy.answer(np.array([1.0, -1.0]), np.random.default_rng(3))
        assert np.array_equal(far, near)


@pytest.mark.parametrize("decimals", [None, 2])
def test_deviation_is_that_of_the_noise(decimals):
    """Half of Laplace draws lie within ln 2 scales; the stated deviation is √2 scales."""
    policy = AnswerPolicy("score", decimals=decimals, epsilon=3.0, sensitivity=6.0)
    noise = policy.answer(np.zeros(20_000), np.random.default_rng(4))
    scale = policy.deviation / math.sqrt(2.0)
    assert scale == pytest.approx(2.0)
    inside = int((np.abs(noise) < scale * math.log(2.0)).sum())
    assert_binomial(inside, 20_000, 0.5, fault=0.45)


@given(st.integers(1, 10**6), st.floats(1e-4, 5.0), st.floats(1e-12, 0.1))
def test_composition_never_promises_less_than_one_answer_or_more_than_the_sum(answers, epsilon, delta):
    """Advanced composition is used only where it is the smaller."""
    policy = AnswerPolicy("label", epsilon=epsilon)
    assert policy.spent(answers) == answers * epsilon
    assert policy.spent(answers, delta) <= answers * epsilon


def test_composition_of_many_small_epsilons():
    """Ten thousand answers of ε = 0.01 spend 5.8 at δ = 1e-6, by hand, and 100 at δ = 0; without noise, infinity."""
    policy = AnswerPolicy("label", epsilon=0.01)
    by_hand = 0.01 * math.sqrt(2 * 10_000 * math.log(1e6)) + 10_000 * 0.01 * math.expm1(0.01)
    assert policy.spent(10_000, 1e-6) == pytest.approx(by_hand)
    assert policy.spent(10_000) == pytest.approx(100.0)
    assert AnswerPolicy("label").spent(1) == math.inf
    assert AnswerPolicy("label").spent(0) == 0.0


@pytest.mark.parametrize(
    "named",
    [
        {"form": "class"},
        {"decimals": -1},
        {"decimals": 16},
        {"epsilon": 0.0},
        {"epsilon": math.inf},
        {"sensitivity": 0.0},
        {"epsilon": 1.0, "decimals": 15},
    ],
)
def test_policies_out_of_range_are_refused(named):
    """A value out of range is refused with what was expected."""
    with pytest.raises(ValueError, match="expected"):
        AnswerPolicy(**named)


def test_composition_out_of_range_is_refused():
    """There is no negative number of answers, and δ is a probability."""
    with pytest.raises(ValueError, match="answers is -1"):
        AnswerPolicy().spent(-1)
    with pytest.raises(ValueError, match="delta is 1"):
        AnswerPolicy().spent(1, 1.0)


def test_budgets_are_each_clients_own():
    """A client gets what it has left, others are not touched, and a new model gives all of it back."""
    budget = Budget(10)
    assert [budget.granted("eve", 7), budget.granted("eve", 7), budget.granted("eve")] == [7, 3, 0]
    assert budget.granted("bob", 4) == 4
    assert budget.left("bob") == 6
    budget.renew()
    assert budget.left("eve") == 10


def test_budgets_out_of_range_are_refused():
    """Neither a limit nor a number of questions is negative."""
    with pytest.raises(ValueError, match="limit is -1"):
        Budget(-1)
    with pytest.raises(ValueError, match="asked is -1"):
        Budget(1).granted("eve", -1)
