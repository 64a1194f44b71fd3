"""A stretch of optical fibre: loss, delay, and a polarisation that is not quite aligned."""

from __future__ import annotations

import dataclasses

import numpy as np

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
    """

    length_km: float
    attenuation_db_per_km: float = 0.2
    misalignment: float = 0.0
    disturbances: tuple[Disturbance, ...] = ()

    @property
    def transmittance(self) -> float:
        """10^(−αL/10)."""
        return float(10.0 ** (-self.attenuation_db_per_km * self.length_km / 10.0))

    @property
    def delay_s(self) -> float:
        """Time of flight."""
        return self.length_km * DELAY_S_PER_KM

    def transmit(self, train: Train, where: slice, rng: np.random.Generator) -> None:
        """Let the pulses `where` of a train pass, in place."""
        train.lose(where, self.transmittance, rng)
        if self.misalignment:
            train.flip(where, self.misalignment, rng)
        for disturbance in self.disturbances:
            disturbed = disturbance.window.pulses(train.start_s, train.rate_hz, where)
            if disturbed.start < disturbed.stop:
                train.flip(disturbed, disturbance.error, rng)
