"""Canary queries: the false-alarm rate is as promised, and a change is found soon."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from nodes.qml.canaries import CanaryTest
from tests.statistics import FALSE_FAILURE

TEST = CanaryTest(good=0.05, bad=0.2, false_alarm=0.05, horizon=200)


def test_false_alarms_stay_below_the_promise():
    """Of 2000 services at the permitted error rate no more raise an alarm than 5 %, and their scatter, allow."""
    rng = np.random.default_rng(0)
    alarms = sum(TEST.alarmed_at(rng.random(200) < 0.05) is not None for _ in range(2000))
    assert alarms <= binom.isf(FALSE_FAILURE, 2000, 0.05)


def test_a_bad_service_is_found():
    """At an error rate of 40 % of 200 canaries every one of 500 services is found, at 61 on average at most.

    A right test misses one only with 27 errors or fewer among its 200 canaries, which has a probability below 1e-13.
    """
    rng = np.random.default_rng(1)
    at = [TEST.alarmed_at(rng.random(200) < 0.4) for _ in range(500)]
    assert None not in at
    # h / E[step] = 8.3 / (0.4·1.386 - 0.6·0.172) = 18.4 answers, and the overshoot
    assert 10 < np.mean(at) < 61


def test_steps_are_log_likelihood_ratios():
    """Up with a wrong answer, down with a right one, never below 0."""
    assert TEST.after(0.0, wrong=True) == pytest.approx(math.log(4.0))
    assert TEST.after(2.0, wrong=False) == pytest.approx(2.0 + math.log(0.8 / 0.95))
    assert TEST.after(0.0, wrong=False) == 0.0
    assert TEST.threshold == pytest.approx(math.log(4000.0))


def test_the_alarm_goes_at_the_answer_that_passes_the_threshold():
    """H = 8.29 is passed by the sixth wrong answer in a row; right ones alone never raise it."""
    assert TEST.alarmed_at(np.ones(10, dtype=np.bool_)) == 5
    assert TEST.alarmed_at(np.zeros(10_000, dtype=np.bool_)) is None
    assert TEST.alarmed_at(np.empty(0, dtype=np.bool_)) is None


@pytest.mark.parametrize(
    "named",
    [{"good": 0.0}, {"good": 0.2}, {"bad": 1.0}, {"false_alarm": 0.0}, {"false_alarm": 1.0}, {"horizon": 0}],
)
def test_tests_out_of_range_are_refused(named):
    """Rates are probabilities, the bad one greater than the good one."""
    with pytest.raises(ValueError, match="expected"):
        CanaryTest(**{"good": 0.05, "bad": 0.2, "false_alarm": 0.05, "horizon": 200} | named)
