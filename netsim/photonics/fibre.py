"""A stretch of optical fibre, or of free space: loss, delay, and a polarisation that is not quite aligned."""

from __future__ import annotations

import dataclasses

import numpy as np

from netsim.photonics.drift import Drift, Walk
from netsim.photonics.free_space import LossProfile
from netsim.photonics.stretches import stretches
from netsim.photonics.train import Train
from netsim.window import Window

DELAY_S_PER_KM = 5e-6
"""Light in fibre, group index 1.5."""


@dataclasses.dataclass(frozen=True)
class Disturbance:
    """A misalignment for a while, on top of the fibre's own."""

    window: Window
    error: float


@dataclasses.dataclass(frozen=True)
class Fibre:
    """A stretch of fibre.

    Attributes:
        length_km: its length.
        attenuation_db_per_km: 0.2 is usual at 1550 nm.
        misalignment: probability that a photon comes out in the orthogonal state.
        disturbances: further misalignments, each in its window.
        drift: a misalignment that wanders; its path is handed in when light passes.
        profile: further loss, that changes with time.
    """

    length_km: float
    attenuation_db_per_km: float = 0.2
    misalignment: float = 0.0
    disturbances: tuple[Disturbance, ...] = ()
    drift: Drift | None = None
    profile: LossProfile | None = None

    @property
    def transmittance(self) -> float:
        """10^(−αL/10), of the fibre alone."""
        return float(10.0 ** (-self.attenuation_db_per_km * self.length_km / 10.0))

    @property
    def delay_s(self) -> float:
        """Time of flight."""
        return self.length_km * DELAY_S_PER_KM

    def transmittance_at(self, t_s: float) -> float:
        """Of the fibre and its profile, at a time."""
        return self.transmittance * (1.0 if self.profile is None else self.profile.transmittance_at(t_s))

    def transmit(
        self, train: Train, where: slice, rng: np.random.Generator, walk: Walk | None = None
    ) -> None:
        """Let the pulses `where` of a train pass, in place.

        Args:
            train: the light.
            where: the part of it that passes; a pulse meets the channel as it was when the pulse left its source.
            rng: the fibre's randomness.
            walk: the path of its drift; without one the polarisation does not wander.
        """
        if self.profile is None:
            train.lose(where, self.transmittance, rng)
        else:
            for part, steps in stretches(train, where, self.profile.step_s):
                train.lose(part, self.transmittance * self.profile.transmittance(steps), rng)
        if self.misalignment:
            train.flip(where, self.misalignment, rng)
        if self.drift is not None and walk is not None:
            for part, steps in stretches(train, where, self.drift.step_s):
                train.flip(part, walk.error(steps), rng)
        for disturbance in self.disturbances:
            disturbed = disturbance.window.pulses(train.start_s, train.rate_hz, where)
            if disturbed.start < disturbed.stop:
                train.flip(disturbed, disturbance.error, rng)
