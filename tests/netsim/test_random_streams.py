"""Random streams: named, independent, the same everywhere; rare events and fair bits drawn exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.random_streams import RandomStreams, random_bits, rare_events
from tests.statistics import assert_binomial

GOLDEN = {
    "1 alice/bits": [2163224406, 3864865298, 3925296886],
    "1 fibre": [2527455046, 546535556, 3604930922],
    "2 fibre": [382567813, 300638856, 1622043938],
}
NAMES = ("alice/bits", "bob/settings", "fibre", "")


def draw(streams: RandomStreams, name: str) -> list[int]:
    """Eight numbers of a stream."""
    return streams(name).integers(0, 2**63, 8).tolist()


def test_streams_are_the_same_in_every_process():
    """These numbers are part of every result ever written: seed 1, two names, and seed 2."""
    assert RandomStreams(1)("alice/bits").integers(0, 2**32, 3).tolist() == GOLDEN["1 alice/bits"]
    assert RandomStreams(1)("fibre").integers(0, 2**32, 3).tolist() == GOLDEN["1 fibre"]
    assert RandomStreams(2)("fibre").integers(0, 2**32, 3).tolist() == GOLDEN["2 fibre"]


@given(st.permutations(NAMES), st.integers(0, 2**70))
def test_a_stream_does_not_depend_on_the_others(order, seed):
    """Whatever other streams were asked for, and drawn from, before: a name gives the same numbers."""
    streams = RandomStreams(seed)
    drawn = {name: draw(streams, name) for name in order}
    assert drawn == {name: draw(RandomStreams(seed), name) for name in NAMES}


def test_names_and_seeds_give_different_streams():
    """No two of a thousand names, and no two of a thousand seeds, share a first number."""
    firsts = {draw(RandomStreams(0), f"name {i}")[0] for i in range(1000)}
    seconds = {draw(RandomStreams(seed), "name")[0] for seed in range(1000)}
    assert len(firsts | seconds) == 2000


def test_two_names_are_uncorrelated():
    """The bits of two streams agree half the time: 100000 would show a share of 0.52."""
    streams = RandomStreams(5)
    equal = random_bits(100_000, streams("one")) == random_bits(100_000, streams("other"))
    assert_binomial(int(equal.sum()), 100_000, 0.5, fault=0.52)


def test_asking_twice_goes_on():
    """A name asked for again is the same generator, further on."""
    streams = RandomStreams(3)
    assert streams("x") is streams("x")
    assert draw(streams, "x") != draw(streams, "x")


def test_seeded_streams_are_not_secret():
    """They say so, and cannot be made to say otherwise."""
    streams = RandomStreams(3)
    assert streams.secret is False
    with pytest.raises(AttributeError):
        streams.secret = True


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_random_bits_are_as_many_as_asked_for(count):
    """The count need not be a multiple of eight."""
    bits = random_bits(count, np.random.default_rng(1))
    assert bits.dtype == np.uint8
    assert bits.shape == (count,)
    assert set(bits.tolist()) <= {0, 1}


def test_random_bits_are_fair_at_every_place_of_a_byte():
    """Each of the eight places is 1 half the time, and equal neighbours are as frequent as different ones."""
    bits = random_bits(800_000, np.random.default_rng(2)).reshape(-1, 8)
    for place in range(8):
        assert_binomial(int(bits[:, place].sum()), len(bits), 0.5, fault=0.52)
    flat = bits.reshape(-1)
    assert_binomial(int(np.sum(flat[1:] == flat[:-1])), len(flat) - 1, 0.5, fault=0.51)


@given(st.integers(0, 300), st.floats(0, 1), st.integers(0, 2**32))
def test_rare_events_are_distinct_positions_in_order(count, probability, seed):
    """Positions are int64, ascending, without repetition, and within the trials."""
    events = rare_events(count, probability, np.random.default_rng(seed))
    assert events.dtype == np.int64
    assert np.all(np.diff(events) > 0)
    assert len(events) == 0 or (events[0] >= 0 and events[-1] < count)


def test_rare_events_at_the_ends_of_their_range():
    """Probability 1 gives every position, 0 none, and no trials no events."""
    rng = np.random.default_rng(3)
    assert rare_events(1000, 1.0, rng).tolist() == list(range(1000))
    for count, probability in ((1000, 0.0), (0, 0.5), (0, 0.0), (0, 1.0), (10**15, 1e-30), (10, 5e-324)):
        events = rare_events(count, probability, rng)
        assert events.dtype == np.int64
        assert events.shape == (0,)


@pytest.mark.parametrize("probability", [0.003, 0.3, 0.97])
def test_rare_events_fall_everywhere_alike(probability):
    """Each position is hit with the probability, in the first, the middle and the last as in all."""
    rng = np.random.default_rng(4)
    hits = np.zeros(20, dtype=np.int64)
    for _ in range(20_000):
        hits[rare_events(20, probability, rng)] += 1
    for position in range(20):
        assert_binomial(int(hits[position]), 20_000, probability)
    assert_binomial(int(hits.sum()), 400_000, probability, fault=probability / 2)


def test_rare_events_are_independent():
    """Two neighbouring positions are hit together as often as independence says."""
    rng = np.random.default_rng(5)
    both = sum(len(rare_events(2, 0.4, rng)) == 2 for _ in range(20_000))
    assert_binomial(both, 20_000, 0.16, fault=0.2)


def test_the_number_of_rare_events_is_binomial():
    """A train of 10^9 gates with a probability of 10^-6 has 1000 events, without a gigabyte of draws."""
    rng = np.random.default_rng(6)
    total = sum(len(rare_events(10**9, 1e-6, rng)) for _ in range(20))
    assert_binomial(total, 20 * 10**9, 1e-6, fault=1.1e-6)
