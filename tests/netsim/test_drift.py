"""Polarisation that wanders: the walk's law, its tracking, and one path for everybody."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from netsim.fabric.base import Fabric
from netsim.fabric.direct import DirectFabric
from netsim.photonics.detector import Receiver
from netsim.photonics.drift import Drift, Walk
from netsim.photonics.emitter import Emitter
from netsim.photonics.fibre import Fibre
from netsim.photonics.stretches import MOST, stretches
from netsim.photonics.train import Choice, Train
from netsim.random_streams import RandomStreams
from netsim.topology import Site, Topology
from tests.statistics import assert_binomial

STATES = np.array([[0, 4], [2, 6]], dtype=np.uint8)
BASES = Choice.uniform(np.array([0, 2], dtype=np.uint8))


def walk(drift: Drift, seed: int = 1) -> Walk:
    """A path."""
    return Walk(drift, np.random.default_rng(seed))


def train_of(count: int, rate_hz: float, start_s: float = 0.0) -> Train:
    """Photons in |0⟩."""
    return Emitter(rate_hz).photons(np.zeros(count, np.uint8), 0, start_s)


def assert_variance(values: np.ndarray, variance: float) -> None:
    """Of Gaussian values of mean 0: their sum of squares is chi-squared, within 6.5 standard deviations."""
    assert abs(np.mean(values**2) - variance) <= 6.5 * variance * np.sqrt(2 / len(values))
    assert abs(np.mean(values)) <= 6.5 * np.sqrt(variance / len(values))


def test_without_tracking_the_variance_grows_with_time():
    """Steps are independent, of variance rate²·step; after t seconds δ has residual² + rate²·t."""
    drift = Drift(0.3, residual_rad=0.1, step_s=0.01)
    path = walk(drift).angles(slice(0, 100_000))
    assert_variance(np.diff(path), 0.3**2 * 0.01)
    ends = np.array([walk(drift, seed).angles(slice(0, 401))[[0, 400]] for seed in range(2000)])
    assert_variance(ends[:, 0], 0.1**2)
    assert_variance(ends[:, 1], 0.1**2 + 0.3**2 * 4.0)
    mean = float(np.mean(np.sin(ends[:, 1]) ** 2))
    assert mean == pytest.approx(drift.error(4.0), abs=6.5 * 0.36 / np.sqrt(2000))
    assert drift.error(4.0) == pytest.approx((1 - np.exp(-2 * (0.01 + 0.36))) / 2)


def test_tracking_sets_the_angle_back():
    """Every second δ starts anew from the residual; just before, it has residual² + rate²·(1 s − step)."""
    drift = Drift(0.2, tracking_s=1.0, residual_rad=0.05, step_s=0.125)
    path = walk(drift).angles(slice(0, 80_000)).reshape(-1, 8)
    for step in (0, 3, 7):
        assert_variance(path[:, step], 0.05**2 + 0.2**2 * 0.125 * step)
    # Before and after a reset there is no correlation: Gaussian products, 6.5 deviations.
    product = path[:-1, 7] * path[1:, 0]
    assert abs(product.mean()) <= 6.5 * np.sqrt(
        np.mean(path[:, 7] ** 2) * np.mean(path[:, 0] ** 2) / len(product)
    )


@pytest.mark.parametrize("tracking_s", [None, 0.3])
def test_a_path_does_not_depend_on_how_it_is_asked_for(tracking_s):
    """All at once, piece by piece, or the end first: the same angles; another stream, others."""
    drift = Drift(0.5, tracking_s, 0.02, 0.01)
    whole = walk(drift).angles(slice(0, 30_000))
    pieces, backwards = walk(drift), walk(drift)
    for start in range(0, 30_000, 1717):
        assert np.array_equal(
            pieces.angles(slice(start, min(start + 1717, 30_000))), whole[start : start + 1717]
        )
    assert np.array_equal(backwards.angles(slice(29_990, 30_000)), whole[29_990:])
    assert np.array_equal(backwards.angles(slice(0, 100)), whole[:100])
    assert not np.array_equal(walk(drift, 2).angles(slice(0, 100)), whole[:100])


def test_no_drift_stays_at_the_residual():
    """A rate of 0 is a constant angle between two resets."""
    path = walk(Drift(0.0, 1.0, 0.1, 0.25)).angles(slice(0, 40)).reshape(-1, 4)
    assert np.allclose(path, path[:, :1])
    assert len(np.unique(np.round(path[:, 0], 12))) == 10


@pytest.mark.parametrize(
    ("start_s", "rate_hz", "count", "step_s"),
    [
        (0.0, 1e6, 1_000_000, 0.05),
        (3.21, 1e6, 777_777, 0.05),
        (0.0, 1e9, 10**6, 0.05),
        (1.5, 1e3, 10**5, 1e-4),
    ],
)
def test_stretches_cut_a_train_at_whole_steps(start_s, rate_hz, count, step_s):
    """Without gap or overlap, about 100 at most, each pulse in the steps it leaves in; parts are cut where the whole is."""
    train = Emitter(rate_hz, sampled=True).prepare(STATES, BASES, count, 0, start_s, RandomStreams(1))[0]
    cut = list(stretches(train, slice(0, count), step_s))
    assert cut[0][0].start == 0
    assert cut[-1][0].stop == count
    assert all(a.stop == b.start for (a, _), (b, _) in itertools.pairwise(cut))
    assert len(cut) <= MOST + 2
    for part, steps in cut:
        for pulse in (part.start, part.stop - 1):
            left_s = start_s + pulse / rate_hz
            assert steps.start * step_s - 1e-5 / rate_hz <= left_s < steps.stop * step_s + 1e-5 / rate_hz
    middle = slice(count // 3, count // 2)
    inner = {(p.start, s.start) for p, s in stretches(train, middle, step_s)}
    assert {start for start, _ in inner} <= {p.start for p, _ in cut} | {middle.start}


def errors(sampled: bool, fabric: Fabric, count: int, rate_hz: float, start_s: float = 0.0) -> np.ndarray:
    """Where Bob's bit is wrong, of what he measured in Alice's basis: bool by slot, masked by sifting."""
    streams = RandomStreams(7)
    train, record = Emitter(rate_hz, sampled=sampled).prepare(STATES, BASES, count, 0, start_s, streams)
    fabric.carry_photons("alice", "bob", train)
    clicks = Receiver().detect(train, BASES, streams("bob"))
    sent = record.rounds(clicks.slots)
    wrong = np.ma.masked_array(sent.outcomes != clicks.outcomes, sent.settings != clicks.settings)
    assert len(wrong) == count
    return wrong


def fabric_with(drift: Drift) -> Fabric:
    """Alice and Bob on a fibre that wanders, of one seed."""
    sites = [Site("alice", 0.0), Site("eve", 0.0), Site("bob", 0.0)]
    return DirectFabric(Topology(sites, 0.2, 0.0, drift=drift), RandomStreams(9)("fibre"))


@pytest.mark.parametrize("sampled", [False, True], ids=["dense", "sampled"])
def test_both_grains_meet_the_same_path(sampled):
    """In each step, pulses are wrong with sin²δ of that step, in both bases; a block later the path has gone on."""
    drift = Drift(0.5, 0.7, 0.2, 0.1)
    fabric = fabric_with(drift)
    path = Walk(drift, RandomStreams(9)("fibre").spawn(1)[0]).angles(slice(0, 20))
    seen = 0
    for block in range(2):
        wrong = errors(sampled, fabric, 400_000, 4e5, float(block)).reshape(10, -1)
        for step in range(10):
            flip = float(np.sin(path[10 * block + step]) ** 2)
            trials, count = wrong[step].count(), int(wrong[step].sum())
            fault = 0.6 * flip if flip > 0.05 else None
            seen += fault is not None
            assert_binomial(count, trials, flip, fault=fault)
    assert seen >= 4


@pytest.mark.parametrize("sampled", [False, True], ids=["dense", "sampled"])
def test_many_steps_in_a_block_are_averaged(sampled):
    """A block of 10^4 steps is cut into 100 stretches, each with the mean of its sin²δ: errors over all are the mean over the path."""
    drift = Drift(3.0, 0.05, 0.1, 1e-4)
    wrong = errors(sampled, fabric_with(drift), 400_000, 4e5)
    path = Walk(drift, RandomStreams(9)("fibre").spawn(1)[0]).angles(slice(0, 10_000))
    assert_binomial(
        int(wrong.sum()), wrong.count(), float(np.mean(np.sin(path) ** 2)), fault=drift.error(0.0)
    )


def test_the_path_is_its_own_whatever_is_drawn_beside_it():
    """The fabric's losses take nothing from the path's stream, and a fibre without drift draws no path."""
    drift = Drift(0.5, None, 0.2, 0.1)
    quiet, busy = fabric_with(drift), fabric_with(drift)
    for _ in range(3):
        busy.carry_photons("alice", "bob", train_of(1000, 1e3))
    one, other = (f._walk("eve", "bob", drift) for f in (quiet, busy))
    assert one is not None
    assert other is not None
    assert np.array_equal(one.angles(slice(0, 50)), other.angles(slice(0, 50)))
    assert quiet._walk("eve", "bob", None) is None
    assert quiet._walk("bob", "eve", drift) is one


def test_without_a_path_a_fibre_does_not_wander():
    """The drift says how it would."""
    train = train_of(1000, 1e3)
    Fibre(0.0, drift=Drift(1.0, residual_rad=1.0)).transmit(train, slice(0, 1000), np.random.default_rng(1))
    assert not np.any(train.measure(slice(0, 1000), np.zeros(1000, np.uint8), np.random.default_rng(2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rad_per_sqrt_s": -0.1}, "not negative"),
        ({"rad_per_sqrt_s": 0.1, "residual_rad": -1.0}, "not negative"),
        ({"rad_per_sqrt_s": 0.1, "step_s": 0.0}, "longer than 0"),
        ({"rad_per_sqrt_s": 0.1, "tracking_s": 0.001}, "tracking every"),
    ],
)
def test_a_drift_that_cannot_be_is_refused(arguments, message):
    """With what was got and what was expected."""
    with pytest.raises(ValueError, match=message):
        Drift(**arguments)
