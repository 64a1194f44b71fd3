"""A span of simulated time, and the pulses of a train that fall in it."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Window:
    """The half-open span from `at_s` to `until_s`."""

    at_s: float = 0.0
    until_s: float = math.inf

    def covers(self, t_s: float) -> bool:
        """Whether time `t_s` lies in the span."""
        return self.at_s <= t_s < self.until_s

    def pulses(self, start_s: float, rate_hz: float, where: slice) -> slice:
        """The part of the pulses `where` of a train that leave while the window is open.

        Args:
            start_s: when the train's pulse 0 leaves.
            rate_hz: pulses per second.
            where: a slice with start and stop.
        """

        def first_at(t_s: float) -> int:
            position = (t_s - start_s) * rate_hz
            if position >= where.stop:
                return int(where.stop)
            return max(int(where.start), math.ceil(round(position, 6)))

        start = first_at(self.at_s)
        return slice(start, max(start, first_at(self.until_s)))
