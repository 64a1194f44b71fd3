"""Verdicts follow from measurements by one rule."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nodes.qml.duel import Estimate
from scenarios.reproduction.verdicts import Claim, Trial, about, exactly, mean, share, spelled

YES = Trial("a", Estimate(0.92, 0.91, 0.93), *about(0.92))
NO = Trial("b", Estimate(0.50, 0.48, 0.52), *about(0.92))
OPEN = Trial("c", Estimate(0.90, 0.88, 0.92), *about(0.92))
UNTOLD = Trial("d", Estimate(math.nan, math.nan, math.nan), low=0.0)


def claim(*trials: Trial) -> Claim:
    """A claim with these trials."""
    return Claim("id", "§1", "It is so.", "about 92 %", trials, "Because.")


@pytest.mark.parametrize(
    ("trials", "verdict"),
    [
        ((YES,), "holds"),
        ((YES, YES), "holds"),
        ((YES, NO), "holds under stated conditions"),
        ((YES, OPEN), "holds under stated conditions"),
        ((NO, YES, OPEN), "holds under stated conditions"),
        ((NO,), "does not hold"),
        ((NO, OPEN), "does not hold"),
        ((OPEN, NO), "cannot be tested"),
        ((OPEN,), "cannot be tested"),
        ((UNTOLD, OPEN), "cannot be tested"),
        ((), "cannot be tested"),
    ],
)
def test_the_verdict_follows_from_the_trials(trials, verdict):
    """Every combination of outcomes has the verdict that the stated rule gives it."""
    assert claim(*trials).verdict == verdict


def test_a_trial_agrees_only_with_its_whole_interval():
    """An interval that touches the range's end agrees, one that crosses it decides nothing, one beyond it disagrees."""
    assert Trial("x", Estimate(0.5, 0.4, 0.6), low=0.4, high=0.6).outcome == "yes"
    assert Trial("x", Estimate(0.5, 0.4, 0.6), low=0.41).outcome == "open"
    assert Trial("x", Estimate(0.5, 0.4, 0.6), high=0.39).outcome == "no"
    assert Trial("x", Estimate(0.5, 0.4, 0.6), low=0.61).outcome == "no"
    assert UNTOLD.outcome == "open"


def test_conditions_are_those_that_were_seen_to_hold():
    """What a verdict is conditional on is named, and nothing that is open or failed."""
    assert claim(NO, YES, OPEN).conditions == ("a",)


def test_more_seeds_can_change_a_verdict():
    """A verdict is computed: the same mean with a narrower interval decides what a wide one left open."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.80, 0.05, 400)
    few, many = (Trial("x", mean(values[:n]), *about(0.92)).outcome for n in (2, 400))
    assert (few, many) != ("no", "open")
    assert many == "no"


def test_estimates_cover_what_they_should():
    """Counts have Wilson's interval, means Student's, and what is computed has none."""
    assert share(0, 10).low == 0.0
    assert share(0, 10).high == pytest.approx(0.2775, abs=1e-3)
    assert math.isnan(share(0, 0).mean)
    assert mean([1.0, 1.0, 1.0]) == exactly(1.0)
    assert mean([0.0, 1.0]).low < 0.0 < mean([0.0, 1.0]).high


def test_numbers_are_spelled_for_a_reader():
    """Shares become per cent, an interval that rounds to nothing is left out, large numbers have no exponent."""
    assert spelled(Estimate(0.925, 0.916, 0.933), "%") == "92.5 [91.6, 93.3] %"
    assert spelled(exactly(1.0), "%") == "100.0 %"
    assert spelled(exactly(313068.0), "bit/s") == "313,068 bit/s"
    assert spelled(exactly(2e-9), "") == "2.0e-09"
    assert spelled(Estimate(1.0, 1.0, 1.0 + 1e-12), "") == "1"
    assert spelled(UNTOLD.estimate, "%") == "not told"
