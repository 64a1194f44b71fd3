"""What the parties may know of a block without touching a key bit: counts, as a monitor on the link sees them."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Telemetry:
    """One block's counters.

    Every counter is a binomial observation (events, trials): of `trials` chances, `events` came true. Counters that
    a block has nothing to say about are left out, or have no trials.

    Attributes:
        block: number of the block.
        t_s: simulated time at which the counts were complete.
        counts: counter's name → (events, trials). For example "gain signal": detections of pulses sent at the
            signal intensity; "qber Z signal": errors of revealed bits; "double clicks" and "ones": of detections.

    Raises:
        ValueError: a time that is not finite, or counts that cannot be (all of them are named).
    """

    block: int
    t_s: float
    counts: Mapping[str, tuple[int, int]]

    def __post_init__(self) -> None:
        if not math.isfinite(self.t_s):
            raise ValueError(f"time of block {self.block} is {self.t_s} s; expected a finite time")
        wrong = [
            f"{name!r}: {events} of {trials}"
            for name, (events, trials) in self.counts.items()
            if not _is_count(events) or not _is_count(trials) or not 0 <= events <= trials
        ]
        if wrong:
            raise ValueError(f"got {'; '.join(wrong)}; expected whole numbers with 0 ≤ events ≤ trials")


def _is_count(value: object) -> bool:
    """Whether this is a whole number, Python's or NumPy's."""
    try:
        operator.index(value)  # type: ignore[arg-type]  # whether it has an index is the question
    except TypeError:
        return False
    return True
