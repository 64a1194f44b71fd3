"""Canary queries: questions with known answers, and a sequential test that tells when too many come back wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CanaryTest:
    """A CUSUM test of the error rate of known-answer queries (Page, Biometrika 41, 100 (1954)).

    The sum rises by log(bad/good) with every wrong answer, falls by log((1-good)/(1-bad)) with every right one, and
    never below 0. Within `horizon` answers a service whose error rate is at most `good` raises a false alarm with
    probability at most `false_alarm`. That is proved, not fitted: from each answer on, the likelihood ratio is a
    supermartingale that starts at 1, so that it ever exceeds e^h with probability at most e^-h (Ville 1939), and
    there are `horizon` beginnings; h = log(horizon/false_alarm).

    It sees what happens to the canaries and nothing else. Fixed ones reveal a model or a device that has changed.
    They do not reveal that other questions have drifted: for that they must be drawn from the traffic itself, and
    somebody must label them.

    Attributes:
        good: error rate that is all right, in (0, 1).
        bad: error rate to be found soon, greater.
        false_alarm: probability of a false alarm within the horizon, in (0, 1).
        horizon: answers within which that holds, at least 1.

    Raises:
        ValueError: a value out of range.
    """

    good: float
    bad: float
    false_alarm: float
    horizon: int

    def __post_init__(self) -> None:
        if not 0.0 < self.good < self.bad < 1.0:
            raise ValueError(f"good is {self.good} and bad {self.bad}; expected 0 < good < bad < 1")
        if not 0.0 < self.false_alarm < 1.0:
            raise ValueError(f"false_alarm is {self.false_alarm}; expected a number between 0 and 1")
        if self.horizon < 1:
            raise ValueError(f"horizon is {self.horizon}; expected at least 1 answer")

    @property
    def threshold(self) -> float:
        """h, where the alarm goes, in nats."""
        return math.log(self.horizon / self.false_alarm)

    def after(self, total: float, wrong: bool) -> float:
        """The sum after one more answer; an alarm if it is above `threshold`."""
        step = math.log(self.bad / self.good) if wrong else math.log((1.0 - self.bad) / (1.0 - self.good))
        return max(0.0, total + step)

    def alarmed_at(self, wrong: NDArray[np.bool_]) -> int | None:
        """The answer, from 0, at which the alarm goes; None if it does not.

        Args:
            wrong: bool[n], whether each answer was wrong; one that did not come counts as wrong, if the caller says so.
        """
        total = 0.0
        for number, missed in enumerate(wrong.tolist()):
            total = self.after(total, missed)
            if total > self.threshold:
                return number
        return None
