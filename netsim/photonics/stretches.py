"""How a train is cut where its channel changes with time: into stretches of whole steps, in each of which it counts as constant."""

from __future__ import annotations

import math
from collections.abc import Iterator

from netsim.photonics.train import Train

MOST = 100
"""A train is cut into about so many stretches at most; then each has several steps."""


def stretches(train: Train, where: slice, step_s: float) -> Iterator[tuple[slice, slice]]:
    """Cut `where` at multiples of a time, which are the same for every part of a train.

    Args:
        train: whose pulses leave at start_s + i/rate_hz.
        where: the part.
        step_s: step k lasts from k·step_s to (k + 1)·step_s.

    Yields:
        The pulses of a stretch, and the steps that it averages over: a whole number of them, not all of which the train need fill.
    """
    stride = max(1, math.ceil(train.duration_s / (MOST * step_s)))
    length_s = stride * step_s
    at = where.start
    while at < where.stop:
        stretch = math.floor(round((train.start_s + at / train.rate_hz) / length_s, 6))
        stop = math.ceil(round(((stretch + 1) * length_s - train.start_s) * train.rate_hz, 6))
        stop = min(max(stop, at + 1), where.stop)
        yield slice(at, stop), slice(stretch * stride, (stretch + 1) * stride)
        at = stop
