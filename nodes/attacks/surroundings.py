"""What an attacker knows of the link before she begins: everything public (Kerckhoffs)."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.train import Choice


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """The link as its enemy knows it.

    Attributes:
        states: uint8[settings, 2], what Alice prepares for each setting and bit.
        choice: of Alice's settings.
        receiver_choice: of Bob's.
        numbers: float64[intensities, PHOTONS], photon-number distribution of each kind of pulse, signal first.
        intensities: mean photon number of each kind; empty for single photons.
        before: transmittance from Alice to Eve.
        behind: transmittance from Eve to Bob.
        efficiency: of Bob's detectors.
        dark_counts: per gate and detector.
        misalignment: error rate of the channel alone.
        timing_mismatch: of Bob's detectors.
        attenuated_share: share of the gates in which Bob turns his efficiency down.
        attenuation: by what factor.
        isolation_db: of Alice's source against light that comes in from the fibre, there and back.
    """

    states: NDArray[np.uint8]
    choice: Choice
    receiver_choice: Choice
    numbers: NDArray[np.float64]
    intensities: tuple[float, ...] = ()
    before: float = 1.0
    behind: float = 1.0
    efficiency: float = 1.0
    dark_counts: float = 0.0
    misalignment: float = 0.0
    timing_mismatch: float = 1.0
    attenuated_share: float = 0.0
    attenuation: float = 1.0
    isolation_db: float = 0.0
