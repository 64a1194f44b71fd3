"""What Bob's detectors count of the light that reaches Eve, as she can work it out beforehand."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import PHOTONS, thinning
from nodes.attacks.surroundings import Surroundings


def arriving(knows: Surroundings) -> NDArray[np.float64]:
    """float64[intensities, PHOTONS], how many photons of each kind of pulse reach Eve."""
    numbers: NDArray[np.float64] = knows.numbers @ thinning(knows.before)
    return numbers


def seen(efficiency: float) -> NDArray[np.float64]:
    """float64[PHOTONS], probability 1 − (1 − η)^n that n photons, each seen with η, make a click."""
    if efficiency >= 1.0:
        return (np.arange(PHOTONS) > 0).astype(np.float64)
    clicks: NDArray[np.float64] = -np.expm1(np.arange(PHOTONS) * math.log1p(-efficiency))
    return clicks


def gates(knows: Surroundings) -> tuple[tuple[float, float], ...]:
    """(Share, efficiency) of Bob's gates, of which he may turn some down at random."""
    turned = knows.attenuated_share
    return (1.0 - turned, knows.efficiency), (turned, knows.efficiency * knows.attenuation)


def clicking(knows: Surroundings, transmittance: float = 1.0) -> NDArray[np.float64]:
    """float64[PHOTONS], how often light makes a click, over all gates, when n photons have `transmittance` before them."""
    (share, full), (turned, reduced) = gates(knows)
    clicks: NDArray[np.float64] = share * seen(transmittance * full) + turned * seen(transmittance * reduced)
    return clicks


def usual_gains(knows: Surroundings) -> NDArray[np.float64]:
    """float64[intensities], how often light makes a click when Eve does nothing; dark counts come on top, whatever she does."""
    gains: NDArray[np.float64] = arriving(knows) @ clicking(knows, knows.behind)
    return gains


def clicks_of_singles(knows: Surroundings) -> float:
    """Share of the signal's clicks whose pulse had exactly one photon at Eve's place; dark counts are clicks too."""
    quiet = (1.0 - knows.dark_counts) ** 2
    clicks = 1.0 - quiet * (1.0 - clicking(knows, knows.behind))
    numbers = arriving(knows)[0]
    total = float(numbers @ clicks)
    return float(numbers[1] * clicks[1]) / total if total else 0.0
