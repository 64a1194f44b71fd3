"""Polarisation that wanders in a fibre, and a loop that tracks it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

_AHEAD = 4096  # steps drawn at a time; the path does not depend on it


@dataclasses.dataclass(frozen=True)
class Drift:
    """A misalignment angle δ that goes as a random walk (a Wiener process), and is set back from time to time.

    A pulse comes out in the orthogonal state with probability sin²δ, in every basis alike: δ stands for the angle, on the polariser, between the
    analyser's axes and those of the light. With tracking, between settings its variance grows as residual² + rate²·t, and the error averaged
    over paths is (1 − e^(−2·variance))/2, the mean of sin² of a Gaussian.

    Attributes:
        rad_per_sqrt_s: standard deviation of δ after one second, in radians.
        tracking_s: how often a loop sets δ back; None is never.
        residual_rad: standard deviation of δ when it has just been set, at the beginning too.
        step_s: for how long δ counts as constant.
    """

    rad_per_sqrt_s: float
    tracking_s: float | None = None
    residual_rad: float = 0.0
    step_s: float = 0.01

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.rad_per_sqrt_s < 0 or self.residual_rad < 0:
            raise ValueError(
                f"a drift and its residual are not negative, got {self.rad_per_sqrt_s} and {self.residual_rad}"
            )
        if self.step_s <= 0:
            raise ValueError(f"a step lasts longer than 0 s, got {self.step_s}")
        if self.tracking_s is not None and self.tracking_s < self.step_s:
            raise ValueError(
                f"tracking every {self.tracking_s} s takes steps of that length at most, got {self.step_s} s"
            )

    def error(self, since_s: float) -> float:
        """Mean flip probability over all paths, so long after δ was last set."""
        variance = self.residual_rad**2 + self.rad_per_sqrt_s**2 * since_s
        return float(-np.expm1(-2.0 * variance)) / 2.0


class Walk:
    """One path of a drift, from time 0 on; whoever asks for a time is told the same.

    Args:
        drift: how it goes.
        rng: its own stream: one normal number is drawn for each step, in order.
    """

    def __init__(self, drift: Drift, rng: np.random.Generator) -> None:
        self._drift = drift
        self._rng = rng
        self._angles = np.empty(0)

    def angles(self, steps: slice) -> NDArray[np.float64]:
        """δ in some steps, in radians. Steps from 0 on → float64[len(steps)]."""
        while len(self._angles) < steps.stop:
            self._extend(max(_AHEAD, len(self._angles)))
        return self._angles[steps]

    def error(self, steps: slice) -> float:
        """Mean flip probability over some steps: of sin²δ."""
        return float(np.mean(np.sin(self.angles(steps)) ** 2))

    def _extend(self, more: int) -> None:
        drift, first = self._drift, len(self._angles)
        steps = np.arange(first, first + more)
        if drift.tracking_s is None:
            reset = steps == 0
        else:
            period = np.floor(np.round(steps * (drift.step_s / drift.tracking_s), 9))
            before = np.floor(np.round((steps - 1) * (drift.step_s / drift.tracking_s), 9))
            reset = period > before
        spread = np.where(reset, drift.residual_rad, drift.rad_per_sqrt_s * np.sqrt(drift.step_s))
        path = np.cumsum(spread * self._rng.standard_normal(more))
        last_reset = np.maximum.accumulate(np.where(reset, np.arange(more), -1))
        before_reset = np.concatenate([[0.0], path])[np.maximum(last_reset, 0)]
        carried = self._angles[-1] if first else 0.0
        path = np.where(last_reset >= 0, path - before_reset, path + carried)
        self._angles = np.concatenate([self._angles, path])
