"""The two grains of light tell the same story: sifting, error rates and CHSH, with Eve in between and without."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from netsim.fabric.base import Frame
from netsim.fabric.direct import DirectFabric
from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.train import Train
from netsim.protocols.bb84 import BB84
from netsim.protocols.e91 import E91
from netsim.protocols.estimate import Estimate
from netsim.protocols.protocol import Revealed
from netsim.random_streams import RandomStreams, random_bits
from netsim.topology import Site, Topology
from tests.statistics import assert_binomial

MISALIGNMENT = 0.02
PHOTONS = 4000
PAIRS = 5400


class InterceptResend:
    """Eve measures every photon in Z or X and sends on what she found."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def on_photons(self, train: Train, where: slice, receiver: str) -> None:  # noqa: ARG002  the tap's interface
        """Measure what passes."""
        count = where.stop - where.start
        train.measure(where, random_bits(count, self._rng) * np.uint8(2), self._rng)

    def on_frame(self, frame: Frame) -> None:
        """She does not care for words."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What Alice and Bob found of a train."""

    rounds: int
    key_rounds: int
    estimate: Estimate


def exchange(grain: str, protocol: BB84 | E91, count: int, *, eve: bool) -> Outcome:
    """Send a train past Eve's place, measure it, and compare everything."""
    streams = RandomStreams(11)
    topology = Topology([Site("alice", 0), Site("eve", 0), Site("bob", 0)], 0.2, MISALIGNMENT)
    fabric = DirectFabric(topology, streams("fibre"))
    if eve:
        fabric.attach({"eve": InterceptResend(streams("eve"))})
    emitter = Emitter(1e6, 1.0, fabric.qubits("alice") if grain == "qubit" else None)
    if isinstance(protocol, BB84):
        train, record = emitter.prepare(protocol.states, protocol.alice_choice, count, 0, 0.0, streams)
        fabric.carry_photons("alice", "bob", train)
    else:
        kept, train = emitter.pairs(count, 0, 0.0, streams("source"))
        fabric.carry_photons("alice", "bob", train)
        record = Receiver().detect(kept, protocol.alice_choice, streams("alice/detector"))
    every = np.arange(count, dtype=np.int64)
    theirs = Receiver().detect(train, protocol.bob_choice, streams("bob/detector")).rounds(every)
    mine = record.rounds(every)
    assert mine.held.all()
    assert theirs.held.all()
    key_rounds = protocol.key_rounds(mine.settings, theirs.settings)
    compared = key_rounds | protocol.witnesses
    columns = (mine.settings, theirs.settings, mine.outcomes, theirs.outcomes, mine.intensities)
    estimate = protocol.estimate(Revealed(*(column[compared] for column in columns)))
    return Outcome(count, int(key_rounds.sum()), estimate)


@pytest.mark.parametrize("grain", ["pulse", "qubit"])
@pytest.mark.parametrize("eve", [False, True])
def test_bb84_shows_eve_as_a_quarter(grain, eve):
    """Half the rounds are sifted; the error rate is Q0 without Eve, [1 − (1 − 2·Q0)/2]/2 = 26 % with her, in both bases.

    1000 bits in each basis tell 2 % from 14 %, and 26 % from 48 %.
    """
    outcome = exchange(grain, BB84(), PHOTONS, eve=eve)
    qber = (1 - (1 - 2 * MISALIGNMENT) / 2) / 2 if eve else MISALIGNMENT
    assert_binomial(outcome.key_rounds, PHOTONS, 0.5, fault=0.6)
    for basis in outcome.estimate.bases:
        assert_binomial(basis.tested, PHOTONS, 0.25, fault=0.34)
        assert_binomial(basis.errors, basis.tested, qber, fault=qber + (0.22 if eve else 0.12))


@pytest.mark.parametrize("grain", ["pulse", "qubit"])
@pytest.mark.parametrize("eve", [False, True])
def test_e91_shows_eve_as_a_missing_violation(grain, eve):
    """Two ninths are sifted; all nine correlators are V·cos 2(a − b), V = 1 − 2·Q0, and half of it with Eve: S = 2√2·V or √2·V.

    The five correlators of ±V/√2 together tell V from V/2 and V/2 from V.
    """
    outcome = exchange(grain, E91(), PAIRS, eve=eve)
    visibility = (1 - 2 * MISALIGNMENT) * (0.5 if eve else 1.0)
    assert_binomial(outcome.key_rounds, PAIRS, 2 / 9, fault=0.3)
    right, seen = 0, 0
    for (a, b), (equal, different) in outcome.estimate.correlators.items():
        cosine = np.cos(2 * np.radians(a - b))
        assert_binomial(equal, equal + different, (1 + visibility * cosine) / 2)
        if abs(abs(cosine) - np.sqrt(0.5)) < 0.01:
            right += equal if cosine > 0 else different
            seen += equal + different
    fault = (1 + visibility * (2.0 if eve else 0.5) * np.sqrt(0.5)) / 2
    assert_binomial(right, seen, (1 + visibility * np.sqrt(0.5)) / 2, fault=fault)
    assert outcome.estimate.chsh is not None
    s, _ = outcome.estimate.chsh
    # 600 pairs at each of the four settings make a standard error of less than 0.08: six of them are 1e-9.
    assert abs(s - 2 * np.sqrt(2) * visibility) < 0.5
    assert (s > 2.0) != eve


@pytest.mark.parametrize("protocol", [BB84(), E91()], ids=["bb84", "e91"])
def test_each_grain_repeats_itself(protocol):
    """The same seed gives the same counts, at either grain."""
    for grain in ("pulse", "qubit"):
        assert exchange(grain, protocol, 300, eve=True) == exchange(grain, protocol, 300, eve=True)
