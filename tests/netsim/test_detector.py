"""The receiver: efficiency, dark counts, double clicks that are kept, and what is absorbed."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.fabric.direct import DirectFabric
from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.record import Clicks
from netsim.photonics.train import NO_PHOTON, Choice, Train
from netsim.random_streams import RandomStreams
from netsim.topology import Site, Topology
from tests.statistics import assert_binomial

PULSES = 400_000


def photons(count: int = PULSES, state: int = 0) -> Train:
    """A train of equal photons."""
    return Emitter(1e6).photons(np.full(count, state, np.uint8), 0, 0.0)


def darkness(count: int = PULSES) -> Train:
    """A train of empty pulses."""
    train = photons(count)
    train.lose(slice(0, count), 0.0, np.random.default_rng(0))
    return train


def detect(receiver: Receiver, train: Train, setting: int = 0) -> Clicks:
    """All of a train at one setting."""
    return receiver.detect(train, Choice.always(setting), np.random.default_rng(1))


def test_a_perfect_receiver_sees_everything_right():
    """Every slot clicks with the right outcome, and none twice."""
    clicks = detect(Receiver(), photons(100, 4))
    assert clicks.slots.tolist() == list(range(100))
    assert clicks.outcomes.tolist() == [1] * 100
    assert (clicks.slots.dtype, clicks.outcomes.dtype, clicks.double_clicks) == (np.int64, np.uint8, 0)


@pytest.mark.parametrize("efficiency", [0.0, 0.1, 0.9])
def test_a_photon_is_seen_with_the_efficiency(efficiency):
    """Clicks are binomial; what is seen is right."""
    clicks = detect(Receiver(efficiency), photons())
    assert_binomial(len(clicks.slots), PULSES, efficiency, fault=efficiency * 0.9 + 0.02)
    assert not np.any(clicks.outcomes)
    assert np.all(np.diff(clicks.slots) > 0)


def test_dark_counts_click_without_light():
    """With p per gate and detector, 1 − (1 − p)² of the gates click, p² of them twice, with fair outcomes."""
    p = 0.05
    clicks = detect(Receiver(1.0, p), darkness())
    assert_binomial(len(clicks.slots), PULSES, 1 - (1 - p) ** 2, fault=p)
    assert_binomial(clicks.double_clicks, PULSES, p * p, fault=2 * p * p)
    assert_binomial(int(clicks.outcomes.sum()), len(clicks.slots), 0.5, fault=0.6)


@pytest.mark.parametrize("state", [0, 4])
def test_a_double_click_is_random_and_kept(state):
    """A dark count beside a photon makes a double click: all slots stay, and half of the doubles are wrong."""
    p = 0.2
    clicks = detect(Receiver(1.0, p), photons(PULSES, state))
    assert len(clicks.slots) == PULSES
    assert_binomial(clicks.double_clicks, PULSES, p, fault=p / 2)
    wrong = int(np.sum(clicks.outcomes != state // 4))
    assert_binomial(wrong, clicks.double_clicks, 0.5, fault=0.6)


def test_no_dark_counts_means_none():
    """A receiver in darkness without dark counts registers nothing at all."""
    clicks = detect(Receiver(0.8), darkness())
    assert (len(clicks.slots), len(clicks.outcomes), clicks.double_clicks) == (0, 0, 0)


def test_settings_turn_the_analyser():
    """At the conjugate setting outcomes are fair, at the opposite one they are reversed."""
    assert_binomial(int(detect(Receiver(), photons(), 2).outcomes.sum()), PULSES, 0.5, fault=0.52)
    assert np.all(detect(Receiver(), photons(100), 4).outcomes == 1)


@pytest.mark.parametrize("dark_counts", [0.0, 0.3])
def test_a_part_is_measured_alone(dark_counts):
    """Slots are counted from the part's start, and the rest of the train flies on."""
    train = photons(100)
    where = slice(30, 50)
    rng = np.random.default_rng(1)
    clicks = Receiver(1.0, dark_counts).detect(train, Choice.always(0), rng, where)
    assert clicks.slots.tolist() == list(range(20))
    left = train.measure(slice(0, 100), np.zeros(100, np.uint8), rng)
    assert np.flatnonzero(left == NO_PHOTON).tolist() == list(range(30, 50))


def test_what_is_detected_is_absorbed():
    """A second receiver behind the first sees nothing, also of what the first missed."""
    train = photons(1000)
    detect(Receiver(0.5), train)
    assert len(detect(Receiver(), train).slots) == 0


def test_blind_detectors_of_every_grain_hear_their_own_noise_only():
    """With an efficiency of 0 there are dark counts, and what is attenuated by a factor of 1 is marked and nothing else."""
    fabric = DirectFabric(Topology([Site("alice", 0), Site("bob", 0)], 0.2, 0.0), np.random.default_rng(1))
    states, choice = np.array([[0, 4]], np.uint8), Choice.always(0)
    for emitter in (Emitter(1e6), Emitter(1e6, sampled=True), Emitter(1e6, qubits=fabric.qubits("alice"))):
        train, _ = emitter.prepare(states, choice, 4000, 0, 0.0, RandomStreams(1))
        receiver = Receiver(0.0, 0.25, attenuated_share=0.5)
        monitors = receiver.detect(train, choice, np.random.default_rng(2)).monitors
        assert_binomial(monitors.clicks, 4000, 1 - 0.75**2, fault=0.3)
        assert_binomial(monitors.attenuated, monitors.clicks, 0.5, fault=0.7)
