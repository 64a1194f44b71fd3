"""Loss over time: tables of it, the geometry of a satellite's pass, its link budget, and light that meets it."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.fibre import Fibre
from netsim.photonics.free_space import EARTH_RADIUS_M, LossProfile, SatellitePass
from netsim.photonics.train import Choice
from netsim.random_streams import RandomStreams
from netsim.topology import Site, Topology
from tests.statistics import assert_binomial

STATES = np.array([[0, 4], [2, 6]], dtype=np.uint8)
BASES = Choice.uniform(np.array([0, 2], dtype=np.uint8))
NOW = np.array([0.0])


def at(value: float) -> np.ndarray:
    """As an array."""
    return np.array([value])


def test_a_profile_is_linear_in_decibels():
    """Between two rows the loss in dB is interpolated; before the first and after the last it stays."""
    profile = LossProfile((10.0, 20.0), (30.0, 40.0))
    found = [profile.transmittance_at(t) for t in (0.0, 10.0, 15.0, 20.0, 99.0)]
    assert found == pytest.approx([1e-3, 1e-3, 10**-3.5, 1e-4, 1e-4])
    assert profile.transmittance(slice(150, 151)) == pytest.approx(10 ** -((30 + 5.05) / 10))


def test_steps_are_averaged_as_shares():
    """Over many steps the mean is that of the transmittance: (T₁ − T₂)/ln(T₁/T₂) over a slope."""
    profile = LossProfile((0.0, 10.0), (0.0, 20.0), step_s=0.01)
    assert profile.transmittance(slice(0, 1000)) == pytest.approx(0.99 / np.log(100), rel=1e-5)


@pytest.mark.parametrize("sampled", [False, True], ids=["dense", "sampled"])
def test_light_meets_the_profile_of_its_time(sampled):
    """In each half second as many arrive as the profile lets through on the average, on top of the fibre's loss."""
    profile = LossProfile((0.0, 1.0, 3.0), (2.0, 8.0, 0.0), step_s=0.01)
    fibre = Fibre(5.0, 0.2, profile=profile)
    count, streams = 500_000, RandomStreams(3)
    train, _ = Emitter(count / 2, sampled=sampled).prepare(STATES, BASES, count, 0, 0.5, streams)
    fibre.transmit(train, slice(0, count), streams("fibre"))
    slots = Receiver().detect(train, BASES, streams("bob")).slots
    assert fibre.transmittance_at(1.0) == pytest.approx(10**-0.9)
    for part in range(4):
        times = 0.5 + 0.5 * (part + (np.arange(1000) + 0.5) / 1000)
        share = float(np.mean([fibre.transmittance_at(t) for t in times]))
        arrived = int(np.sum((slots >= part * count // 4) & (slots < (part + 1) * count // 4)))
        assert_binomial(arrived, count // 4, share, fault=0.9 * share)


def test_the_profile_acts_in_the_last_stretch():
    """Where misalignment acts too; the transmittance from end to end has it, at the time that is asked for."""
    profile = LossProfile((0.0, 100.0), (30.0, 40.0))
    sites = [Site("alice", 0.0), Site("eve", 0.0), Site("bob", 500.0)]
    topology = Topology(sites, 0.0, 0.0, profile=profile)
    assert topology.fibre("alice", "eve").profile is None
    assert topology.transmittance("alice", "bob") == pytest.approx(1e-3)
    assert topology.transmittance("eve", "bob", 100.0) == pytest.approx(1e-4)


@pytest.mark.parametrize("max_elevation_deg", [90.0, 60.0, 25.0])
def test_the_geometry_of_a_pass(max_elevation_deg):
    """At culmination the elevation is what it is said to be, and the distance that of the triangle; a zenith pass is at altitude."""
    passing = SatellitePass(max_elevation_deg=max_elevation_deg)
    elevation = np.radians(max_elevation_deg)
    assert np.degrees(passing.elevation_rad(NOW)) == pytest.approx([max_elevation_deg], abs=1e-4)
    r, orbit = EARTH_RADIUS_M, EARTH_RADIUS_M + 500e3
    expected = np.sqrt(orbit**2 - (r * np.cos(elevation)) ** 2) - r * np.sin(elevation)
    assert passing.range_m(NOW) == pytest.approx([expected], rel=1e-9)
    times = np.linspace(-300, 300, 61)
    assert np.allclose(passing.range_m(times), passing.range_m(-times))
    assert np.all(np.diff(passing.range_m(times[30:])) > 0)
    assert np.all(np.diff(passing.elevation_rad(times[30:])) < 0)


def test_the_orbit_is_keplers():
    """500 km up a circular orbit takes 94.5 minutes, at 7.6 km/s."""
    passing = SatellitePass()
    assert 2 * np.pi / passing.angular_rate_rad_per_s / 60 == pytest.approx(94.47, abs=0.1)
    assert passing.angular_rate_rad_per_s * (EARTH_RADIUS_M + 500e3) == pytest.approx(7616, abs=5)


def test_the_visible_part_ends_at_its_elevation():
    """Half of it after culmination the satellite stands at the least elevation; a pass that never rises so high has none."""
    passing = SatellitePass(max_elevation_deg=70.0)
    for least in (10.0, 30.0):
        half_s = passing.visible_s(least) / 2
        assert np.degrees(passing.elevation_rad(at(half_s))) == pytest.approx([least], abs=1e-6)
    assert passing.visible_s(10.0) > passing.visible_s(30.0) > 0
    assert passing.visible_s(70.0) == 0.0
    with pytest.raises(ValueError, match="does not begin at"):
        passing.profile(75.0)


def test_the_link_budget_is_the_product_of_its_factors():
    """Diffraction 1 − e^(−2a²/w²), pointing 1/(1 + 4σ²R²/w²), atmosphere T^(1/sin ε), optics; the beam from its divergence."""
    passing = SatellitePass(
        divergence_rad=12e-6, zenith_transmittance=0.7, pointing_rad=2e-6, optics_db=3.0, receiver_m=1.2
    )
    distance, elevation = 800e3, np.radians(35.0)
    w = 6e-6 * distance
    share = (
        (1 - np.exp(-2 * 0.6**2 / w**2))
        / (1 + 4 * (2e-6 * distance) ** 2 / w**2)
        * 0.7 ** (1 / np.sin(elevation))
    )
    assert passing.loss_db(at(distance), at(elevation)) == pytest.approx(
        [3.0 - 10 * np.log10(share)], rel=1e-12
    )


def test_pointing_is_the_mean_over_its_errors():
    """Drawn at random, the intensity at the telescope averages to the factor of the budget, to 1 %."""
    rng = np.random.default_rng(1)
    passing = SatellitePass(zenith_transmittance=1.0, receiver_m=0.01, pointing_rad=2e-6)
    w = 5e-6 * 1000e3
    offset = rng.normal(0, 2e-6 * 1000e3, (200_000, 2))
    mean = float(np.mean(np.exp(-2 * np.sum(offset**2, axis=1) / w**2)))
    steady = SatellitePass(zenith_transmittance=1.0, receiver_m=0.01, pointing_rad=0.0)
    loss = [p.loss_db(at(1000e3), at(np.pi / 2))[0] for p in (passing, steady)]
    # Values within 0..1: Hoeffding's 0.0074 at 1e-9.
    assert 10 ** (-(loss[0] - loss[1]) / 10) == pytest.approx(mean, abs=0.0074)


def test_a_pass_like_that_of_micius():
    """The beam of 10 µrad is 12 m wide at 1200 km (Liao et al. 2017), and its diffraction loss lies between 18 and 22 dB there.

    22 dB is the ratio of areas, (1 m/12 m)²; a Gaussian beam has twice that intensity on its axis.
    """
    vacuum = SatellitePass(zenith_transmittance=1.0, pointing_rad=0.0)
    assert vacuum.divergence_rad is not None
    assert vacuum.divergence_rad * 1200e3 == pytest.approx(12.0)
    loss = float(vacuum.loss_db(at(1200e3), at(np.pi / 2))[0])
    assert -10 * np.log10(2 / 144) - 0.1 < loss < -10 * np.log10(1 / 144)
    assert SatellitePass(divergence_rad=None).diffraction_rad == pytest.approx(3.6e-6, rel=0.01)


def test_a_profile_of_a_pass():
    """It begins where it is told to, is symmetric, least at culmination, and ends as high as it began."""
    profile = SatellitePass(max_elevation_deg=60.0).profile(10.0, begin_s=100.0)
    times, loss = np.array(profile.times_s), np.array(profile.loss_db)
    assert times[0] == pytest.approx(100.0)
    assert times[-1] - times[0] == pytest.approx(SatellitePass(max_elevation_deg=60.0).visible_s(10.0))
    assert np.allclose(loss, loss[::-1])
    assert abs(np.argmin(loss) - len(loss) / 2) <= 1
    assert np.all(np.diff(times) <= 1.0 + 1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"altitude_m": 0.0},
        {"receiver_m": -1.0},
        {"max_elevation_deg": 0.0},
        {"max_elevation_deg": 91.0},
        {"zenith_transmittance": 0.0},
        {"zenith_transmittance": 1.1},
        {"pointing_rad": -1e-6},
        {"divergence_rad": 1e-6},
    ],
)
def test_a_pass_that_cannot_be_is_refused(change):
    """A beam narrower than diffraction allows, too."""
    with pytest.raises(ValueError, match=r"got|at least"):
        SatellitePass(**change)


@pytest.mark.parametrize(
    ("times", "losses", "step_s"),
    [
        ((), (), 0.1),
        ((0.0,), (1.0, 2.0), 0.1),
        ((1.0, 1.0), (1.0, 2.0), 0.1),
        ((0.0,), (-1.0,), 0.1),
        ((0.0,), (1.0,), 0.0),
    ],
)
def test_a_table_that_cannot_be_is_refused(times, losses, step_s):
    """As many losses as times, which ascend; none negative; steps that last."""
    with pytest.raises(ValueError, match=r"loss|times|step"):
        LossProfile(times, losses, step_s)
