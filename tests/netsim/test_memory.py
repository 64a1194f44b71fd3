"""Dead time and afterpulses: renewal theory for the one, a branching process for the other, and the compiled loop is the plain one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.photonics.memory import through
from tests.statistics import assert_binomial

GATES = 4_000_000


def clicks(probability: float, gates: int = GATES, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Would-be clicks at random gates, of either detector and at times of both."""
    rng = np.random.default_rng(seed)
    slots = np.flatnonzero(rng.random(gates) < probability).astype(np.int64)
    return slots, rng.choice(np.array([1, 2, 3], np.uint8), len(slots), p=[0.5, 0.4, 0.1])


def rng(seed: int = 2) -> np.random.Generator:
    """The traps' randomness."""
    return np.random.default_rng(seed)


def test_without_memory_everything_passes():
    """No dead time and no traps: what comes is what is registered."""
    slots, patterns = clicks(0.1, 10_000)
    registered, what, which = through(slots, patterns, 10_000, 0, 0.0, 1.0, rng())
    assert np.array_equal(registered, slots)
    assert np.array_equal(what, patterns)
    assert np.array_equal(which, np.arange(len(slots)))
    assert (registered.dtype, what.dtype, which.dtype) == (np.int64, np.uint8, np.int64)


@pytest.mark.parametrize("probability", [0.9, 0.1, 1e-3])
@pytest.mark.parametrize("dead", [1, 10, 1000])
def test_the_rate_saturates_under_a_dead_time(probability, dead):
    """A click takes d gates and the wait for the next: the rate is r/(1 + r·d) per gate, whichever the load.

    With the cycle's mean m and standard deviation s, the number in N gates has mean N/m and deviation √(N·s²/m³); seven of them.
    """
    slots, patterns = clicks(probability)
    registered, _, which = through(slots, patterns, GATES, dead, 0.0, 1.0, rng())
    cycle, spread = dead + 1 / probability, np.sqrt(1 - probability) / probability
    assert abs(len(registered) - GATES / cycle) <= 7 * np.sqrt(GATES * spread**2 / cycle**3) + 2
    assert np.diff(registered).min() > dead
    assert np.array_equal(registered, slots[which])


def test_nothing_that_could_be_registered_is_left_out():
    """After a click exactly `dead` gates are blind, and the first click afterwards counts."""
    slots = np.array([0, 1, 5, 6, 11, 12, 17], dtype=np.int64)
    patterns = np.array([1, 2, 2, 1, 1, 3, 2], dtype=np.uint8)
    registered, what, _ = through(slots, patterns, 100, 5, 0.0, 1.0, rng())
    assert registered.tolist() == [0, 6, 12]
    assert what.tolist() == [1, 1, 3]


@pytest.mark.parametrize("afterpulse", [0.02, 0.3])
def test_afterpulses_multiply(afterpulse):
    """A lone click has p + p² + … = p/(1 − p) afterpulses, all of its own detector, each a geometric number of gates after the last.

    Clicks are 1000 gates apart, traps live 20, so that families do not meet: the family's size is geometric.
    """
    families, apart, lifetime = 500_000, 1000, 20.0
    slots = np.arange(families, dtype=np.int64) * apart
    patterns = np.where(np.arange(families) % 2, 1, 2).astype(np.uint8)
    registered, what, which = through(slots, patterns, families * apart, 0, afterpulse, lifetime, rng())
    born = which < 0
    # Every click, old or young, has one with probability p: extra clicks out of all clicks.
    assert_binomial(
        int(born.sum()), len(registered), afterpulse, fault=2 * afterpulse if afterpulse < 0.1 else 0.33
    )
    assert np.array_equal(what, patterns[registered // apart])
    delay = np.diff(registered)[born[1:]]
    assert delay.min() == 1
    for gates in (1, 10, 20, 40):  # P(delay > k) = e^(−k/τ)
        share = np.exp(-gates / lifetime)
        assert_binomial(int(np.sum(delay > gates)), len(delay), share, fault=np.exp(-gates / (4 * lifetime)))


def test_both_detectors_of_a_double_click_fill_their_traps():
    """A double click has twice as many afterpulses, of either detector alike."""
    families, apart, p = 40_000, 1000, 0.1
    slots = np.arange(families, dtype=np.int64) * apart
    _, what, which = through(slots, np.full(families, 3, np.uint8), families * apart, 0, p, 5.0, rng())
    first = np.flatnonzero((which[1:] < 0) & (which[:-1] >= 0)) + 1
    either, both = 2 * p * (1 - p), p * p
    # At least one of two traps filled; both at once fire together only if they empty in the same gate.
    assert_binomial(len(first), families, either + both, fault=p)
    assert_binomial(int(np.sum(what[first] == 1)), int(np.sum(what[first] != 3)), 0.5, fault=0.6)


def test_afterpulses_fall_into_the_dead_time():
    """Of the traps, those that empty within d gates are not seen: e^(−d/τ) of p remain."""
    families, apart, p, dead, lifetime = 100_000, 10_000, 0.3, 50, 100.0
    slots = np.arange(families, dtype=np.int64) * apart
    _, _, which = through(slots, np.ones(families, np.uint8), families * apart, dead, p, lifetime, rng())
    share = p * np.exp(-dead / lifetime)
    assert_binomial(int(np.sum(which < 0)), len(which), share, fault=p * np.exp(-(dead - 10) / lifetime))


def test_the_end_of_the_block_is_the_end():
    """Nothing is registered at or after the last gate."""
    slots = np.full(1, 9, dtype=np.int64)
    for seed in range(50):
        registered, _, _ = through(slots, np.ones(1, np.uint8), 10, 0, 0.9, 3.0, rng(seed))
        assert registered.tolist() == [9]
    registered, _, _ = through(slots[:0], np.empty(0, np.uint8), 10, 5, 0.5, 3.0, rng())
    assert len(registered) == 0


def test_many_traps_at_once():
    """Thousands of clicks wait for their traps at the same time, more than there is room for at first, and none is lost."""
    count, p = 6000, 0.9
    slots = np.arange(count, dtype=np.int64)
    registered, _, which = through(slots, np.ones(count, np.uint8), 10**12, 0, p, 1e9, rng())
    assert_binomial(int(np.sum(which < 0)), len(registered), p, fault=0.88)
    assert np.all(np.diff(registered) > 0)


@given(
    st.integers(0, 2**32),
    st.floats(0.0, 0.9),
    st.integers(0, 8),
    st.floats(0.0, 0.9),
    st.floats(0.1, 30.0),
)
def test_the_compiled_loop_is_the_plain_one(seed, probability, dead, afterpulse, lifetime):
    """Given equal generators, numba and Python register the same, and leave the generators equal."""
    gates = 300
    slots, patterns = clicks(probability, gates, seed)
    one, other = rng(seed), rng(seed)
    compiled = through(slots, patterns, gates, dead, afterpulse, lifetime, one)
    plain = through.py_func(slots, patterns, gates, dead, afterpulse, lifetime, other)
    for a, b in zip(compiled, plain, strict=True):
        assert np.array_equal(a, b)
    assert one.random() == other.random()
    registered, what, which = compiled
    assert np.all(np.diff(registered) > dead)
    assert not np.any(what == 0)
    real = which >= 0
    assert np.array_equal(registered[real], slots[which[real]])
    assert np.all(what[real] & patterns[which[real]] == patterns[which[real]])


def test_afterpulses_under_load():
    """At a would-be rate r and a total rate Λ, gates without a would-be click have an afterpulse with 1 − e^(−pΛ): traps hit at random.

    Afterpulses of afterpulses make their number vary by 1/(1 − p)² of a Poissonian's; seven deviations and 0.3 % for what is no Poissonian.
    """
    r, p, lifetime = 0.2, 0.1, 50.0
    slots, _ = clicks(r)
    registered, _, which = through(slots, np.ones(len(slots), np.uint8), GATES, 0, p, lifetime, rng())
    alone = int(np.sum(which < 0))
    expected = (1 - r) * -np.expm1(-p * len(registered) / GATES) * GATES
    assert abs(alone - expected) <= 7 * np.sqrt(expected) / (1 - p) + 0.003 * expected
