"""Trains of light, dense and qubit by qubit: both are held to the same quantum mechanics."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from netsim.fabric.direct import DirectFabric
from netsim.photonics.emitter import Emitter
from netsim.photonics.train import NO_PHOTON, Train
from netsim.protocols.e91 import E91
from netsim.topology import Site, Topology
from tests.statistics import assert_binomial

ANGLES = range(8)
BORN = np.cos(np.arange(8) * np.pi / 8) ** 2
E91_PAIRS = [(int(a), int(b)) for a in E91.alice_angles for b in E91.bob_angles]
ORTHOGONAL = np.uint8(4)


class Grain:
    """A way to simulate light, and sources of it, all in one world."""

    def __init__(self, name: str) -> None:
        topology = Topology([Site("alice", 0), Site("bob", 0)], 0.2, 0.0)
        self._qubits = DirectFabric(topology, rng(0)).qubits("alice") if name == "qubit" else None

    def emitter(self, visibility: float = 1.0) -> Emitter:
        """A source at 1 MHz."""
        return Emitter(1e6, visibility, self._qubits)

    def photons(self, angles) -> Train:
        """Single photons in these states."""
        return self.emitter().photons(np.asarray(angles, dtype=np.uint8), 0, 0.0)

    def pairs(self, count: int, visibility: float = 1.0, seed: int = 0) -> tuple[Train, Train]:
        """The halves of a train of pairs."""
        return self.emitter(visibility).pairs(count, 0, 0.0, np.random.default_rng(seed))


@pytest.fixture(params=["dense", "qubit"])
def grain(request) -> Grain:
    """Each grain in turn."""
    return Grain(request.param)


def rng(seed: int = 1) -> np.random.Generator:
    """A stream of its own for each test."""
    return np.random.default_rng(seed)


def whole(train: Train) -> slice:
    """All pulses."""
    return slice(0, len(train))


def measured(train: Train, settings, seed: int = 1) -> np.ndarray:
    """Outcomes of measuring all of a train; one setting may stand for all."""
    return train.measure(whole(train), np.resize(np.asarray(settings, np.uint8), len(train)), rng(seed))


def equal_share(a: int, b: int, visibility: float = 1.0) -> float:
    """(1 + V cos 2(a - b))/2, angles in eighths of the Bloch circle, 22.5° of polariser."""
    return (1 + visibility * np.cos((a - b) * np.pi / 4)) / 2


def test_borns_rule(grain):
    """P(0) = cos²((angle − setting)·22.5°) for all 64 pairs of state and setting; exact where it is 0 or 1.

    300 photons a pair tell cos²(22.5°) from its neighbours 1 and ½; all 64 together fail a right one in 1e-7 of all runs.
    """
    each = 300
    states, settings = np.repeat(np.array(list(itertools.product(ANGLES, ANGLES)), np.uint8), each, axis=0).T
    outcomes = measured(grain.photons(states), settings).reshape(-1, each)
    for (state, setting), found in zip(itertools.product(ANGLES, ANGLES), outcomes, strict=True):
        step = (state - setting) % 8
        zeros, probability = int(np.sum(found == 0)), float(BORN[step])
        assert set(found.tolist()) <= {0, 1}
        if step in (0, 4):
            assert zeros == (each if step == 0 else 0)
        else:
            fault = (1.0 if probability > 0.6 else 0.0) if step % 2 else probability - 0.354
            assert_binomial(zeros, each, probability, fault=fault)


def test_a_measured_photon_goes_on_in_the_state_found(grain):
    """Measured again alike it gives the same; measured otherwise, what Born's rule says of the state found."""
    n = 1600
    settings = np.resize(np.arange(8, dtype=np.uint8), n)
    train = grain.photons(rng(2).integers(0, 8, n))
    first = measured(train, settings, 3)
    assert np.array_equal(measured(train, settings, 4), first)
    assert np.array_equal(measured(train, (settings + 4) % 8, 5), 1 - first)
    turned = measured(train, (settings + 1) % 8, 6)
    assert_binomial(int(np.sum(turned == first)), n, BORN[1], fault=0.7)
    assert_binomial(int(np.sum(measured(train, (settings + 3) % 8, 7) == turned)), n, 0.5, fault=0.7)


def test_only_the_chosen_photons_are_measured(grain):
    """The others go on untouched, and nothing is said of them."""
    n = 400
    train = grain.photons(np.full(n, 2))
    only = np.arange(n) % 2 == 0
    found = train.measure(whole(train), np.zeros(n, np.uint8), rng(), only)
    assert np.all(found[~only] == NO_PHOTON)
    assert set(found[only].tolist()) == {0, 1}
    after = measured(train, 2)
    assert np.all(after[~only] == 0)
    assert set(after[only].tolist()) == {0, 1}


def test_a_part_of_a_train_is_measured_by_itself(grain):
    """Settings are counted from the part's start; the rest is as it was."""
    train = grain.photons([0, 4, 0, 4, 2, 2])
    assert train.measure(slice(1, 4), np.array([0, 0, 4], np.uint8), rng()).tolist() == [1, 0, 0]
    assert measured(train, [0, 0, 0, 0, 2, 2]).tolist() == [0, 1, 0, 1, 0, 0]


@pytest.mark.parametrize("transmittance", [0.5, 0.9, 0.01])
def test_each_photon_survives_with_the_transmittance(grain, transmittance):
    """Survivors are binomial, first half and second half alike, and in the state they were in."""
    n = 6000
    train = grain.photons(np.full(n, 6))
    train.lose(whole(train), transmittance, rng())
    found = measured(train, 6)
    assert set(found.tolist()) == {NO_PHOTON, 0}
    survived = found == 0
    assert_binomial(int(np.sum(survived[: n // 2])), n // 2, transmittance, fault=transmittance * 0.6 + 0.05)
    assert_binomial(int(np.sum(survived[n // 2 :])), n // 2, transmittance)


def test_loss_at_the_ends_of_its_range(grain):
    """Transmittance 1 loses nothing, 0 everything, twice in a row too, and only where it acts."""
    train = grain.photons(np.zeros(100))
    train.lose(whole(train), 1.0, rng())
    for _ in range(2):
        train.lose(slice(20, 60), 0.0, rng())
    assert np.flatnonzero(measured(train, 0) == NO_PHOTON).tolist() == list(range(20, 60))


def test_losses_multiply(grain):
    """A second loss acts on what the first has left, whichever way it is drawn, and brings nothing back."""
    for transmittance in (0.019, 0.3):
        train = grain.photons(np.zeros(8000))
        train.lose(slice(0, 4000), 0.0, rng(1))
        train.lose(whole(train), transmittance, rng(2))
        survived = measured(train, 0) == 0
        assert not np.any(survived[:4000])
        assert_binomial(int(np.sum(survived[4000:])), 4000, transmittance, fault=transmittance + 0.1)


def test_a_flip_turns_every_state_to_the_orthogonal_one(grain):
    """Pauli Y with certainty: each of the eight states gives the other outcome of its own setting; twice, its own."""
    states = np.resize(np.arange(8, dtype=np.uint8), 80)
    train = grain.photons(states)
    train.flip(whole(train), 1.0, rng())
    assert np.all(measured(train, states) == 1)
    train = grain.photons(states)
    for _ in range(2):
        train.flip(slice(8, 80), 1.0, rng())
    train.flip(slice(0, 8), 1.0, rng())
    assert np.array_equal(measured(train, states), np.repeat([1, 0], [8, 72]))


@pytest.mark.parametrize("probability", [0.0, 0.03, 0.5])
def test_flips_happen_with_their_probability(grain, probability):
    """A misalignment is an error rate, in every basis alike."""
    n = 4000
    states = np.resize(np.array([0, 2, 4, 6, 1], dtype=np.uint8), n)
    train = grain.photons(states)
    train.flip(whole(train), probability, rng())
    assert_binomial(int(np.sum(measured(train, states))), n, probability, fault=probability * 0.5 + 0.06)


@pytest.mark.parametrize("visibility", [1.0, 0.8])
@pytest.mark.parametrize("bob_first", [False, True])
def test_pairs_are_correlated_as_e91_needs(grain, visibility, bob_first):
    """E(a, b) = V cos 2(a − b) at all nine pairs of settings, whoever measures first, and each side alone is fair.

    400 pairs at each: a correlation of V/2 instead of V would show; all 27 checks fail a right one in 3e-8 of all runs.
    """
    each = 400
    a, b = np.repeat(np.array(E91_PAIRS, np.uint8), each, axis=0).T
    near, far = grain.pairs(len(a), visibility, seed=3)
    if bob_first:
        bob, alice = measured(far, b, 4), measured(near, a, 5)
    else:
        alice, bob = measured(near, a, 4), measured(far, b, 5)
    for i, (setting_a, setting_b) in enumerate(E91_PAIRS):
        mine, theirs = alice[i * each : (i + 1) * each], bob[i * each : (i + 1) * each]
        expected = equal_share(setting_a, setting_b, visibility)
        fault = 0.5 if abs(expected - 0.5) > 0.3 else None
        assert_binomial(int(np.sum(mine == theirs)), each, expected, fault=fault)
        assert_binomial(int(np.sum(mine)), each, 0.5, fault=0.8)
        assert_binomial(int(np.sum(theirs)), each, 0.5, fault=0.8)


def test_equal_settings_always_agree_at_full_visibility(grain):
    """Φ+ is the same in all directions of the X-Z plane: all eight settings, no error at all."""
    settings = np.resize(np.arange(8, dtype=np.uint8), 400)
    near, far = grain.pairs(400)
    assert np.array_equal(measured(near, settings, 1), measured(far, settings, 2))


def test_nobody_can_signal(grain):
    """Bob's outcomes have the same law whatever Alice measures before him, or whether she does at all."""
    n = 2400
    for alice_setting in (None, 0, 3):
        near, far = grain.pairs(n, seed=6)
        if alice_setting is not None:
            measured(near, alice_setting, 7)
        for setting in (0, 3):
            half = slice(0, n // 2) if setting == 0 else slice(n // 2, n)
            found = far.measure(half, np.full(n // 2, setting, np.uint8), rng(8))
            assert_binomial(int(np.sum(found)), n // 2, 0.5, fault=0.7)


def test_a_flipped_half_turns_the_correlation_round(grain):
    """Pauli Y on one half makes equal settings disagree; on both halves, agree again; before or after a measurement."""
    settings = np.resize(np.arange(8, dtype=np.uint8), 400)
    near, far = grain.pairs(400)
    far.flip(slice(0, 300), 1.0, rng())
    near.flip(slice(0, 100), 1.0, rng())
    alice = measured(near, settings, 1)
    far.flip(slice(200, 300), 1.0, rng())
    bob = measured(far, settings, 2)
    assert np.array_equal(alice == bob, np.repeat([True, False, True, True], 100))


def test_a_measurement_in_between_breaks_the_entanglement(grain):
    """Eve measures Bob's halves in Z: Z outcomes still agree, X outcomes no longer know of each other."""
    n = 2000
    near, far = grain.pairs(n)
    eve = measured(far, 0, 1)
    settings = np.resize(np.array([0, 2], np.uint8), n)
    alice, bob = measured(near, settings, 2), measured(far, settings, 3)
    z, x = settings == 0, settings == 2
    assert np.array_equal(alice[z], bob[z])
    assert np.array_equal(alice[z], eve[z])
    assert_binomial(int(np.sum(alice[x] == bob[x])), int(x.sum()), 0.5, fault=0.7)


def test_a_lost_half_leaves_the_other_fair(grain):
    """The partner of a lost photon gives fair outcomes in every setting; pairs that arrived whole are as entangled as ever."""
    n = 3000
    near, far = grain.pairs(n)
    near.lose(whole(near), 0.5, rng(1))
    settings = np.resize(np.arange(8, dtype=np.uint8), n)
    bob, alice = measured(far, settings, 2), measured(near, settings, 3)
    arrived = alice != NO_PHOTON
    assert not np.any(bob == NO_PHOTON)
    assert_binomial(int(arrived.sum()), n, 0.5, fault=0.65)
    assert np.array_equal(alice[arrived], bob[arrived])
    assert_binomial(int(np.sum(bob[~arrived])), int(np.sum(~arrived)), 0.5, fault=0.7)


def test_a_half_lost_after_it_was_measured_has_fixed_the_other(grain):
    """Absorbing a measured photon does not undo the measurement."""
    near, far = grain.pairs(200)
    alice = measured(near, 3, 1)
    near.lose(whole(near), 0.0, rng())
    assert np.array_equal(measured(far, 3, 2), alice)


def test_replaced_photons_are_gone_and_the_new_ones_moved(grain):
    """What Eve sends on arrives in place of what she blocked, with its own losses; she does not keep a copy."""
    train, other = grain.photons(np.zeros(10)), grain.photons(np.full(10, 4))
    other.lose(slice(5, 6), 0.0, rng())
    train.lose(slice(4, 5), 0.0, rng())
    train.replace(slice(3, 7), other)
    assert measured(train, 0).tolist() == [0, 0, 0, 1, 1, NO_PHOTON, 1, 0, 0, 0]
    left = measured(other, 0).tolist()
    assert left == [1, 1, 1, NO_PHOTON, NO_PHOTON, NO_PHOTON, NO_PHOTON, 1, 1, 1]
    other.lose(whole(other), 0.0, rng())


def test_a_half_that_is_replaced_brings_its_own_partner(grain):
    """Bob's halves are then entangled with Eve's and not with Alice's; Alice's stay fair, and Bob's train keeps its name."""
    n = 600
    alice, bob = grain.pairs(n, seed=1)
    kept, sent = grain.pairs(n, seed=2)
    bob.replace(whole(bob), sent)
    settings = np.resize(np.arange(8, dtype=np.uint8), n)
    bobs, eves, alices = measured(bob, settings, 3), measured(kept, settings, 4), measured(alice, settings, 5)
    assert np.array_equal(bobs, eves)
    assert np.array_equal(measured(bob, settings, 6), bobs)  # Alice's measurement did not reach it
    assert_binomial(int(np.sum(alices == bobs)), n, 0.5, fault=0.75)
    assert_binomial(int(np.sum(alices)), n, 0.5, fault=0.75)
    assert np.all(measured(sent, 0) == NO_PHOTON)


def test_replacing_half_measured_pairs(grain):
    """Eve may replace what was measured already, and measure her own halves first: nothing is confused."""
    n = 400
    alice, bob = grain.pairs(n, seed=1)
    kept, sent = grain.pairs(n, seed=2)
    alices = measured(alice, 2, 3)
    eves = measured(kept, 2, 4)
    bob.replace(whole(bob), sent)
    assert np.array_equal(measured(bob, 2, 5), eves)
    assert np.array_equal(measured(alice, 2, 6), alices)
    assert_binomial(int(np.sum(alices == eves)), n, 0.5, fault=0.8)


def test_trains_of_unlike_kind_or_length_do_not_mix():
    """A dense train takes no qubits, a train of qubits no dense pulses, single photons no halves of pairs, and none another length."""
    dense, qubit = Grain("dense"), Grain("qubit")
    single, half = dense.photons(np.zeros(4)), dense.pairs(4)[0]
    for train, other in (
        (single, qubit.photons(np.zeros(4))),
        (qubit.photons(np.zeros(4)), single),
        (single, half),
        (half, single),
        (single, dense.photons(np.zeros(5))),
        (half, dense.pairs(5)[0]),
        (qubit.photons(np.zeros(4)), qubit.photons(np.zeros(5))),
    ):
        with pytest.raises(TypeError, match=r"takes in another|replaced by another"):
            train.replace(slice(0, 4), other)
    with pytest.raises(TypeError, match="as a whole"):
        half.replace(slice(0, 2), dense.pairs(4)[0])


def test_light_keeps_nothing_of_its_sources_arrays(grain):
    """The array that said what to prepare is the sender's own: flips and measurements do not write into it."""
    states = np.zeros(50, dtype=np.uint8)
    train = grain.photons(states)
    states[:25] = 4
    train.flip(whole(train), 1.0, rng())
    assert np.all(measured(train, 0) == 1)
    assert np.array_equal(states, np.repeat([4, 0], 25))


def test_the_same_seed_gives_the_same_outcomes(grain):
    """Everything random about light is in the generators handed in."""

    def run() -> list[int]:
        near, far = grain.pairs(300, 0.9, seed=1)
        far.lose(whole(far), 0.7, rng(2))
        far.flip(whole(far), 0.1, rng(3))
        return [*measured(near, 1, 4).tolist(), *measured(far, 2, 5).tolist()]

    assert run() == run()


def test_a_train_knows_how_long_it_is(grain):
    """Block, start, rate, and a duration to the end of the last slot; parcels cut it without gap or overlap."""
    train = grain.emitter().photons(np.zeros(500, np.uint8), 7, 2.5)
    assert (train.block, train.start_s, train.rate_hz, len(train)) == (7, 2.5, 1e6, 500)
    assert train.duration_s == pytest.approx(5e-4)
    covered = [i for parcel in train.parcels() for i in range(parcel.start, parcel.stop)]
    assert covered == list(range(500))
