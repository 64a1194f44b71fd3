"""Windows: spans of time, and the pulses that leave in them."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from netsim.window import Window

TIMES = st.floats(0, 100, allow_nan=False)
PULSES = st.integers(0, 10_000)


def test_a_window_holds_its_first_instant_and_not_its_last():
    """The span is half open."""
    window = Window(1.0, 2.0)
    assert [window.covers(t) for t in (0.999, 1.0, 1.999, 2.0)] == [False, True, True, False]
    assert Window().covers(0.0)
    assert Window().covers(1e300)


def test_pulses_at_the_edges_fall_where_their_time_says():
    """Pulse 100 of a train of 1 kHz from 1 s on leaves at 1.1 s: it is in the window that begins then."""
    everything = slice(0, 1000)
    assert Window(1.1, 1.2).pulses(1.0, 1000.0, everything) == slice(100, 200)
    assert Window(1.1005, 1.2005).pulses(1.0, 1000.0, everything) == slice(101, 201)
    assert Window(0.0, 1.2).pulses(1.0, 1000.0, everything) == slice(0, 200)
    assert Window(1.1, math.inf).pulses(1.0, 1000.0, slice(50, 60)) == slice(60, 60)
    assert Window(1.1).pulses(1.0, 1000.0, slice(150, 160)) == slice(150, 160)


@given(st.lists(TIMES, min_size=2, max_size=6), TIMES, st.floats(1.0, 1e9), PULSES, PULSES)
def test_adjacent_windows_share_out_every_pulse_once(times, start_s, rate_hz, first, count):
    """Windows that follow each other without a gap cut a train without a gap and without an overlap."""
    edges = [0.0, *sorted(times), math.inf]
    where = slice(first, first + count)
    parts = [Window(a, b).pulses(start_s, rate_hz, where) for a, b in itertools.pairwise(edges)]
    assert parts[0].start == where.start
    assert parts[-1].stop == where.stop
    assert all(one.stop == other.start for one, other in itertools.pairwise(parts))
    assert sum(part.stop - part.start for part in parts) == count


@given(TIMES, TIMES, TIMES, st.floats(1.0, 1e6), PULSES, st.integers(1, 100))
def test_the_pulses_of_a_window_are_those_it_covers(one, other, start_s, rate_hz, first, count):
    """A pulse is in the part exactly if the window covers the time it leaves, rounding at the very edge aside."""
    window = Window(min(one, other), max(one, other))
    part = window.pulses(start_s, rate_hz, slice(first, first + count))
    for pulse in range(first, first + count):
        t_s = start_s + pulse / rate_hz
        margin = min(abs(t_s - window.at_s), abs(t_s - window.until_s)) * rate_hz
        if margin > 1e-3:
            assert (part.start <= pulse < part.stop) == window.covers(t_s)
