"""Every parameter of a source, a fibre and a receiver acts: change one, and a statistic moves by what the formula says.

Each check is binomial: it fails a right implementation in 1e-9 of all runs, and the sample is shown to tell the value with the
parameter from the one without.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from netsim.fabric.direct import DirectFabric
from netsim.photonics.detector import Receiver
from netsim.photonics.drift import Drift, Walk
from netsim.photonics.emitter import Emitter
from netsim.photonics.fibre import Disturbance, Fibre
from netsim.photonics.free_space import LossProfile
from netsim.photonics.light import EARLY, STEERED, Branch, kernel
from netsim.photonics.qubits import QubitTrain
from netsim.photonics.record import Clicks, Rounds
from netsim.photonics.sampled import SampledTrain
from netsim.photonics.train import Choice, Train
from netsim.random_streams import RandomStreams
from netsim.topology import Site, Topology
from netsim.window import Window
from tests.statistics import assert_binomial

PULSES = 200_000
STATES = np.array([[0, 4], [2, 6]], dtype=np.uint8)
BASES = np.array([0, 2], dtype=np.uint8)
Z = Choice(BASES, np.array([1.0, 0.0]))
GRAIN = pytest.mark.parametrize("sampled", [False, True], ids=["dense", "sampled"])

Count = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Block:
    """What came of a block of photons, all prepared in Z."""

    clicks: Clicks
    sent: Rounds

    def registered(self) -> Count:
        """Clicks out of pulses."""
        return len(self.clicks.slots), PULSES

    def ones(self) -> Count:
        """Of the clicks, those of detector 1 alone."""
        return self.clicks.monitors.ones, len(self.clicks.slots)

    def errors(self) -> Count:
        """Of the clicks, those that are not what was sent."""
        return int(np.sum(self.clicks.outcomes != self.sent.outcomes)), len(self.clicks.slots)

    def doubles(self) -> Count:
        """Double clicks out of pulses."""
        return self.clicks.monitors.double_clicks, PULSES

    def attenuated(self) -> Count:
        """Of the clicks, those in gates that were turned down."""
        return self.clicks.monitors.attenuated, len(self.clicks.slots)

    def in_x(self) -> Count:
        """Of the clicks, those that were measured in X."""
        return int(self.clicks.settings.sum()), len(self.clicks.slots)

    def short_gaps(self) -> Count:
        """Of the gaps between clicks, those of up to 20 slots."""
        gaps = np.diff(self.clicks.slots)
        return int(np.sum(gaps <= 20)), len(gaps)

    def first(self, kind: int = 0) -> Count:
        """Of the pulses, those of one intensity, whether or not they clicked."""
        return int(np.sum(self.sent.intensities == kind)), len(self.sent.intensities)


def block(
    emitter: Emitter,
    receiver: Receiver,
    *,
    fibre: Fibre | None = None,
    flags: int = 0,
    state: int | None = None,
    walk: Walk | None = None,
    pulses: int = PULSES,
) -> Block:
    """Send, perhaps mark, and detect one block at 1 GHz."""
    streams = RandomStreams(3)
    whole = slice(0, pulses)
    train, record = emitter.prepare(STATES, Z, pulses, 0, 0.0, streams)
    if flags:
        train.act(whole, kernel(Branch(1.0, state=state, flags=flags)), streams("eve"))
    if fibre is not None:
        fibre.transmit(train, whole, streams("fibre"), walk)
    clicks = receiver.detect(train, Z, streams("bob"))
    return Block(clicks, record.rounds(clicks.slots))


def single(sampled: bool) -> Emitter:
    """One photon a pulse."""
    return Emitter(1e9, sampled=sampled)


RARE = 0.01
NOISE = -math.expm1(-0.8 * 0.5 / 2)  # half of the background goes to each detector
DEAD = Receiver(0.1, dead_time_s=2e-8)

# field: (receiver with it, receiver without it, statistic, what it is with it, marks on the light, the light's state)
RECEIVER: dict[str, tuple[Receiver, Receiver, Callable[[Block], Count], float, int, int | None]] = {
    "efficiency": (Receiver(0.6), Receiver(), Block.registered, 0.6, 0, None),
    "dark_counts": (Receiver(0.0, 0.1), Receiver(0.0), Block.registered, 1 - 0.9**2, 0, None),
    "mismatch": (Receiver(mismatch=0.5), Receiver(), Block.ones, 1 / 3, 0, None),
    "timing_mismatch": (Receiver(timing_mismatch=0.5), Receiver(), Block.ones, 1 / 3, EARLY, None),
    "dead_time_s": (DEAD, Receiver(0.1), Block.registered, 0.1 / (1 + 0.1 * 20), 0, None),
    "afterpulse": (
        Receiver(RARE, afterpulse=0.2, afterpulse_lifetime_s=1e-7),
        Receiver(RARE),
        Block.errors,
        0.0,
        0,
        None,
    ),
    "jitter_s": (
        Receiver(jitter_s=1e-10, gate_s=2e-10),
        Receiver(gate_s=2e-10),
        Block.registered,
        math.erf(1 / math.sqrt(2)),
        0,
        None,
    ),
    "gate_s": (
        Receiver(jitter_s=1e-10, gate_s=2e-10),
        Receiver(jitter_s=1e-10),
        Block.registered,
        math.erf(1 / math.sqrt(2)),
        0,
        None,
    ),
    "background": (
        Receiver(0.5, background=0.8),
        Receiver(0.5),
        Block.doubles,
        NOISE * (1 - 0.5 * (1 - NOISE)),
        0,
        None,
    ),
    "attenuated_share": (
        Receiver(attenuated_share=0.4, attenuation=0.5),
        Receiver(attenuation=0.5),
        Block.attenuated,
        0.2 / 0.8,
        0,
        None,
    ),
    "attenuation": (
        Receiver(attenuated_share=0.4, attenuation=0.5),
        Receiver(attenuated_share=0.4),
        Block.registered,
        0.8,
        0,
        None,
    ),
    "passive": (Receiver(passive=True), Receiver(), Block.in_x, 1.0, STEERED, 2),
}


@GRAIN
@pytest.mark.parametrize("field", sorted(set(RECEIVER) - {"afterpulse"}))
def test_a_receivers_parameter_acts(field, sampled):
    """With it the statistic is what its formula says; without it, something else that the same sample excludes."""
    receiver, without, statistic, expected, flags, state = RECEIVER[field]
    count, trials = statistic(block(single(sampled), receiver, flags=flags, state=state))
    other, others = statistic(block(single(sampled), without, flags=flags, state=state))
    slack = 0.02 if field == "dead_time_s" else 0.0  # a dead time makes counts less random than binomial ones
    assert_binomial(count, trials, expected, fault=expected * 0.9 + slack)
    with pytest.raises(AssertionError):
        assert_binomial(other, others, expected)


@GRAIN
def test_afterpulses_act_with_their_lifetime(sampled):
    """Of all clicks p more, half of them wrong as Alice's bits there are fair; within 20 slots of the last one with 1 − e^(−20/τ) of them."""
    base, p, pulses = Receiver(RARE), 0.2, 10 * PULSES
    plain = block(single(sampled), base)
    assert plain.errors()[0] == 0
    background = 1 - (1 - RARE) ** 20
    gaps = {}
    for lifetime_s in (1e-8, 1e-5):
        receiver = dataclasses.replace(base, afterpulse=p, afterpulse_lifetime_s=lifetime_s)
        found = block(single(sampled), receiver, pulses=pulses)
        alone, clicks = found.errors()
        assert_binomial(alone, clicks, p / 2, fault=p / 3)
        gaps[lifetime_s] = found.short_gaps()
    # A short trap fires soon after its click, or after the next one; a long one at random times.
    soon = p * (1 - math.exp(-2))
    older = math.exp(-RARE / (1 - p) * 10 * soon)
    soon = 1 - (1 - background) * (1 - soon) * older
    at_random = 1 - (1 - RARE / (1 - p)) ** 20
    assert_binomial(*gaps[1e-8], soon, fault=at_random)
    assert_binomial(*gaps[1e-5], at_random, fault=soon)


def test_no_parameter_of_a_receiver_is_forgotten():
    """Every field has its row in the table above."""
    assert {f.name for f in dataclasses.fields(Receiver)} == set(RECEIVER) | {"afterpulse_lifetime_s"}


def qubit_source() -> Emitter:
    """Single qubits, gate by gate."""
    fabric = DirectFabric(Topology([Site("a", 0), Site("b", 0)], 0.2, 0.0), np.random.default_rng(1))
    return Emitter(1e9, qubits=fabric.qubits("a"))


def pair_errors(visibility: float) -> Count:
    """How many halves of pairs differ in Z."""
    near, far = Emitter(1e9, visibility=visibility).pairs(PULSES, 0, 0.0, np.random.default_rng(1))
    whole, settings = slice(0, PULSES), np.zeros(PULSES, np.uint8)
    one = near.measure(whole, settings, np.random.default_rng(2))
    return int(np.sum(one != far.measure(whole, settings, np.random.default_rng(3)))), PULSES


def empty_pairs(pair_mean: float) -> Count:
    """How many slots hold no pair."""
    near, _ = Emitter(1e9, pair_mean=pair_mean).pairs(PULSES, 0, 0.0, np.random.default_rng(1))
    found = near.measure(slice(0, PULSES), np.zeros(PULSES, np.uint8), np.random.default_rng(2))
    return int(np.sum(found == -1)), PULSES


def empty(mean: float, fluctuation: float) -> float:
    """Share of empty pulses: E[e^(−µ)] for a Gaussian µ."""
    return math.exp(-mean + (fluctuation * mean) ** 2 / 2)


EMITTER: dict[str, Callable[[bool], tuple[Count, float, float]]] = {
    "visibility": lambda _: (pair_errors(0.8), 0.1, 0.08),
    "pair_mean": lambda _: (empty_pairs(0.2), 1.2**-2, 0.72),
    "intensities": lambda sampled: (
        block(
            Emitter(1e9, intensities=(0.5,), probabilities=(1.0,), sampled=sampled), Receiver()
        ).registered(),
        1 - math.exp(-0.5),
        0.42,
    ),
    "probabilities": lambda sampled: (
        block(
            Emitter(1e9, intensities=(9.0, 9.0), probabilities=(0.8, 0.2), sampled=sampled), Receiver()
        ).first(),
        0.8,
        0.7,
    ),
    "fluctuation": lambda sampled: (
        block(
            Emitter(1e9, intensities=(3.0,), probabilities=(1.0,), fluctuation=0.3, sampled=sampled),
            Receiver(),
        ).registered(),
        1 - empty(3.0, 0.3),
        1 - empty(3.0, 0.0),
    ),
}


@GRAIN
@pytest.mark.parametrize("field", EMITTER)
def test_a_sources_parameter_acts(field, sampled):
    """Error rate, vacuum and shares are what the source's parameters say."""
    (count, trials), expected, fault = EMITTER[field](sampled)
    assert_binomial(count, trials, expected, fault=fault)


def test_a_sources_grain_and_rate_act():
    """The rate sets how long a block lasts; qubits and sampling are other kinds of train."""
    streams = RandomStreams(1)
    made: list[Train] = [
        emitter.prepare(STATES, Z, 1000, 0, 0.0, streams)[0]
        for emitter in (Emitter(1e6), Emitter(2e6, sampled=True), qubit_source())
    ]
    assert [train.duration_s for train in made] == pytest.approx([1e-3, 5e-4, 1e-6])
    assert isinstance(made[1], SampledTrain)
    assert isinstance(made[2], QubitTrain)
    tested = {"rate_hz", "qubits", "sampled", *EMITTER}
    assert {f.name for f in dataclasses.fields(Emitter)} == tested


DRIFT = Drift(0.0, residual_rad=0.4, step_s=1.0)
WALK = Walk(DRIFT, np.random.default_rng(6))
FLIP = float(np.sin(WALK.angles(slice(0, 1))[0]) ** 2)

FIBRE: dict[str, tuple[Fibre, Callable[[Block], Count], float, float]] = {
    "length_km": (Fibre(10.0), Block.registered, 10**-0.2, 1.0),
    "attenuation_db_per_km": (Fibre(10.0, 0.3), Block.registered, 10**-0.3, 10**-0.2),
    "misalignment": (Fibre(0.0, misalignment=0.1), Block.errors, 0.1, 0.0),
    "disturbances": (Fibre(0.0, disturbances=(Disturbance(Window(1e-4), 0.4),)), Block.errors, 0.2, 0.4),
    "drift": (Fibre(0.0, drift=DRIFT), Block.errors, FLIP, 0.0),
    "profile": (Fibre(0.0, profile=LossProfile((0.0,), (5.0,))), Block.registered, 10**-0.5, 1.0),
}


@GRAIN
@pytest.mark.parametrize("field", FIBRE)
def test_a_fibres_parameter_acts(field, sampled):
    """Loss and errors are what the fibre's parameters say."""
    fibre, statistic, expected, fault = FIBRE[field]
    count, trials = statistic(block(single(sampled), Receiver(), fibre=fibre, walk=WALK))
    assert_binomial(count, trials, expected, fault=fault)


def test_no_parameter_of_a_fibre_is_forgotten():
    """Every field has its row; the length sets the delay as well."""
    assert {f.name for f in dataclasses.fields(Fibre)} == set(FIBRE)
    assert Fibre(10.0).delay_s == pytest.approx(5e-5)
    assert FLIP > 0.01
