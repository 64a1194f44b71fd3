"""The fibre: loss, delay, misalignment, and disturbances in their windows."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.photonics.emitter import Emitter
from netsim.photonics.fibre import Disturbance, Fibre
from netsim.photonics.train import NO_PHOTON
from netsim.window import Window
from tests.statistics import assert_binomial

PULSES = 200_000


def outcomes_behind(fibre: Fibre, state: int, start_s: float = 0.0) -> np.ndarray:
    """What a measurement along the prepared state finds of 200000 photons at 10 MHz: 0 right, 1 wrong."""
    train = Emitter(1e7).photons(np.full(PULSES, state, np.uint8), 0, start_s)
    fibre.transmit(train, slice(0, PULSES), np.random.default_rng(1))
    return train.measure(slice(0, PULSES), np.full(PULSES, state, np.uint8), np.random.default_rng(2))


@pytest.mark.parametrize(
    ("length_km", "attenuation_db_per_km", "transmittance"),
    [(0, 0.2, 1.0), (50, 0.2, 0.1), (100, 0.2, 0.01), (10, 0.2, 10**-0.2), (100, 0.21, 10**-2.1)],
)
def test_transmittance_and_delay(length_km, attenuation_db_per_km, transmittance):
    """10^(−αL/10) of the photons arrive, 5 µs a kilometre later."""
    fibre = Fibre(length_km, attenuation_db_per_km)
    assert fibre.transmittance == pytest.approx(transmittance)
    assert fibre.delay_s == pytest.approx(5e-6 * length_km)
    arrived = int(np.sum(outcomes_behind(fibre, 0) != NO_PHOTON))
    assert_binomial(arrived, PULSES, transmittance, fault=min(transmittance * 1.4, 0.9))


@pytest.mark.parametrize("state", [0, 1, 2, 5])
def test_misalignment_is_an_error_rate_in_every_basis(state):
    """The share of photons that come out orthogonal is the misalignment, whatever the state."""
    found = outcomes_behind(Fibre(0.0, misalignment=0.03), state)
    assert_binomial(int(np.sum(found == 1)), PULSES, 0.03, fault=0.04)


def test_a_disturbance_acts_in_its_window():
    """Between 1.005 s and 1.010 s the error is 20 %, outside it is nothing; pulses count by when they left."""
    fibre = Fibre(25.0, 0.0, disturbances=(Disturbance(Window(1.005, 1.010), 0.2),))
    wrong = outcomes_behind(fibre, 2, start_s=1.0) == 1
    assert not np.any(wrong[:50_000])
    assert not np.any(wrong[100_000:])
    assert_binomial(int(np.sum(wrong[50_000:100_000])), 50_000, 0.2, fault=0.25)


def test_misalignments_compound():
    """Two flips are none: a fibre of 10 % under a disturbance of 20 % has 0.1·0.8 + 0.9·0.2 = 26 % errors."""
    fibre = Fibre(0.0, misalignment=0.1, disturbances=(Disturbance(Window(), 0.2),))
    assert_binomial(int(np.sum(outcomes_behind(fibre, 4) == 1)), PULSES, 0.26, fault=0.3)


def test_only_the_part_that_passes_is_changed():
    """A fibre acts on the pulses it is given."""
    train = Emitter(1e6).photons(np.zeros(100, np.uint8), 0, 0.0)
    Fibre(1e9).transmit(train, slice(10, 20), np.random.default_rng(1))
    found = train.measure(slice(0, 100), np.zeros(100, np.uint8), np.random.default_rng(2))
    assert np.flatnonzero(found == NO_PHOTON).tolist() == list(range(10, 20))
