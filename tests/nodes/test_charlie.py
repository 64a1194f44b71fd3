"""A link with a relay in the middle: honest, lying, garbled or lost, it decides what is talked about and nothing else."""

from __future__ import annotations

import types
from collections.abc import Callable

import numpy as np
import pytest
import simpy

from netsim.channel import ChannelParameters, ClassicalChannel, QuantumChannel
from netsim.fabric.base import Fabric, Frame
from netsim.fabric.direct import DirectFabric
from netsim.fabric.qunetsim import QuNetSimFabric
from netsim.messages import Abort, BellStates, Detections, Envelope, Message, Sifting, decode
from netsim.photonics.bell import BellAnalyser
from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.protocols.mdi import MDI
from netsim.protocols.protocol import AbortThresholds, Security
from netsim.random_streams import RandomStreams, random_bits
from netsim.topology import Site, Topology
from netsim.window import Window
from nodes.attacks.relay import OwnRelay
from nodes.charlie import Bench, Charlie
from nodes.eve import Eve, Notebook
from nodes.gateway import Gateway
from nodes.kme import KeyManager
from nodes.link import LinkParameters, Post
from nodes.relayed import RELAY, RelayedAlice, RelayedBob, announced
from nodes.session import AuthenticationPool
from tests.nodes.harness import Tape, Wire
from tests.statistics import assert_binomial

PULSES = 40_000
RATE_HZ = 1e6


class Owned:
    """Eve as far as Charlie knows her: attacks on him, and a notebook."""

    def __init__(self, streams: RandomStreams, *attacks: tuple[Window, OwnRelay]) -> None:
        self._streams = streams
        self._attacks = attacks
        self.notebook = Notebook()

    def random(self, purpose: str) -> np.random.Generator:
        """Her randomness."""
        return self._streams(f"eve/{purpose}")

    on_relay = Eve.on_relay


class Relayed:
    """Alice and Bob at the ends of a fibre, Charlie in the middle, a tap on Alice's half."""

    def __init__(
        self,
        protocol: MDI | None = None,
        *,
        emitter: Emitter | None = None,
        how: str | None = None,
        attacked: Window | None = None,
        fabric: Callable[[Topology, np.random.Generator], Fabric] = DirectFabric,
        misalignment: float = 0.0,
        attempts: int = 6,
    ) -> None:
        self.env = env = simpy.Environment()
        self.streams = streams = RandomStreams(1)
        self.tape, self.wire = Tape(env), Wire(env)
        sites = [Site("alice", 0.0), Site("eve", 2.0), Site(RELAY, 5.0), Site("bob", 10.0)]
        self.fabric = fabric(Topology(sites, 0.2, misalignment), streams("fibre"))
        self.fabric.attach({"eve": self.wire})
        self._attempts = attempts
        self.gates = {host: Gateway(host, self.tape) for host in ("alice", "bob")}
        protocol = MDI(key_basis=0.6) if protocol is None else protocol
        self.parameters = link = LinkParameters(
            protocol=protocol,
            block_pulses=PULSES,
            emitter=Emitter(RATE_HZ, sampled=True) if emitter is None else emitter,
            receiver=Receiver(0.9, 1e-6),
            test_fraction=0.3,
            thresholds=AbortThresholds(),
            security=Security(0.1, 1e-10),
            timeout_s=0.05,
            forward_share=0.5,
        )
        attacks = [(attacked or Window(), OwnRelay(how))] if how is not None else []
        self.eve = Owned(streams, *attacks)
        bench = Bench(BellAnalyser.of(link.receiver, 0.98), link.receiver, streams("charlie"))
        self.to = {whom: self._channel(RELAY, whom) for whom in ("alice", "bob")}
        self.charlie = Charlie(
            env, RELAY, bench, [(whom, way.send) for whom, way in self.to.items()], self.eve
        )
        secret = random_bits(4096, streams("preshared"))
        fibre = [
            QuantumChannel(env, self.fabric, *ends).send
            for ends in (
                ("alice", RELAY, self.charlie.on_alices_train),
                ("bob", RELAY, self.charlie.on_bobs_train),
            )
        ]
        posts = [
            Post(
                env,
                one,
                other,
                self._channel(one, other).send,
                KeyManager(env, f"kme-{one}", f"kme-{other}", way, 0.001, self.tape),
                AuthenticationPool(secret, alice=one == "alice"),
                streams,
                one,
                self.tape,
            )
            for one, other, way in (("alice", "bob", "forward"), ("bob", "alice", "reverse"))
        ]
        self.alice = RelayedAlice(posts[0], link, fibre[0])
        self.bob = RelayedBob(posts[1], link, fibre[1], protocol.flips)
        for party, gate in ((self.alice, "alice"), (self.bob, "bob")):
            self.gates[gate].route({gate: party.on_envelope})

    def _channel(self, one: str, other: str) -> ClassicalChannel:
        return ClassicalChannel(
            self.env,
            self.fabric,
            one,
            other,
            self.gates[other],
            ChannelParameters(1e9, attempts=self._attempts),
            self.streams(f"channel/{one}-{other}"),
        )

    def run(self, blocks: int = 1) -> Relayed:
        """Send so many blocks, and let everything come to an end."""
        until_s = blocks * PULSES / RATE_HZ
        with self.fabric:
            self.env.process(self.alice.run(until_s))
            self.env.process(self.bob.run(until_s))
            self.env.run(until_s + 2.0)
        assert not self.alice.sessions
        assert not self.alice._records
        for result in (*self.alice.results.values(), *self.bob.results.values()):
            assert result.end_s is not None
        return self

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """(Alice's, Bob's) reason to abort each block that both began."""
        common = sorted(self.alice.results.keys() & self.bob.results.keys())
        return [(self.alice.results[b].reason, self.bob.results[b].reason) for b in common]


def test_an_honest_relay_gives_equal_keys():
    """Single photons through a perfect fibre: two blocks accepted, the keys equal, few errors, half of the Bell states told."""
    link = Relayed().run(2)
    assert link.reasons == [("", ""), ("", "")]
    for block in (0, 1):
        mine, theirs = link.alice.results[block], link.bob.results[block]
        assert len(mine.key) > 500
        assert np.array_equal(mine.key, theirs.key)
        assert mine.ledger == theirs.ledger
        assert mine.monitors is theirs.monitors is None
        # Both photons arrive and are seen, and the state is one of two out of four.
        chance = 0.5 * (0.9 * 10**-0.1) ** 2
        assert_binomial(mine.ledger.detections, PULSES, chance, fault=0.85 * chance)


def test_weak_pulses_tell_their_intensities():
    """With decoys both hear which pair of intensities was sent, count alike, and X shows its quarter of errors."""
    means, shares = (0.8, 0.3, 0.0), (0.6, 0.3, 0.1)
    weak = Emitter(RATE_HZ, intensities=means, probabilities=shares, sampled=True)
    link = Relayed(MDI(means, shares, 0.5), emitter=weak).run()
    assert link.reasons == [("too_short", "too_short")]
    mine, theirs = link.alice.results[0], link.bob.results[0]
    assert mine.estimate == theirs.estimate
    assert (mine.detected, mine.sifted) == (theirs.detected, theirs.sifted)
    assert sum(mine.detected) == mine.ledger.detections
    assert mine.detected[0] > 5 * mine.detected[4] > 0
    assert mine.detected[8] == 0  # nothing from either
    cells = {(cell.basis, cell.intensity): cell for cell in mine.estimate.intensities}
    x = cells["X", "signal signal"]
    assert 0.15 < x.errors / x.tested < 0.35
    told = link.wire.about(0, "detections")
    assert isinstance(told[0], Detections)
    assert len(told[0].intensities) == len(told[0].slots)


def test_relay_says_where_and_which_and_no_more():
    """Charlie tells either the same: slots in order and which Bell state, before Bob says anything."""
    link = Relayed().run()
    first = next(seen for seen in link.wire.seen if seen.envelope.sender == RELAY)
    assert (first.envelope.receiver, first.envelope.session) == ("alice", 0)
    said, detections = first.message, link.wire.about(0, "detections")[0]
    assert isinstance(said, BellStates)
    assert isinstance(detections, Detections)
    assert np.array_equal(said.slots, detections.slots)
    assert_binomial(int(said.plus.sum()), len(said.plus), 0.5, fault=0.4)
    assert first.t_s < min(seen.t_s for seen in link.wire.seen if seen.envelope.sender == "bob")


def test_both_fabrics_give_the_same():
    """Over QuNetSim's hosts the two come to the very keys that they come to without."""

    def keys(fabric):
        link = Relayed(fabric=fabric, misalignment=0.01, how="intercept", attacked=Window(0.03, 0.05)).run(3)
        return [(r.reason, r.key.tolist(), r.ledger) for r in link.alice.results.values()]

    here = keys(DirectFabric)
    assert [reason for reason, _, _ in here] == ["", "qber", ""]
    assert keys(QuNetSimFabric) == here


def test_a_relay_that_invents_makes_errors_everywhere():
    """Slots announced at random: half of the bits differ in both bases, and their number is as usual."""
    link = Relayed(how="random").run()
    assert link.reasons == [("qber", "qber")]
    result = link.alice.results[0]
    for basis in result.estimate.bases:
        assert_binomial(basis.errors, basis.tested, 0.5, fault=0.3)
    assert result.ledger.detections == Relayed().run().alice.results[0].ledger.detections
    assert link.eve.notebook.blocks == ()


def test_a_relay_that_measures_shows_in_x():
    """Charlie who measures both in Z knows every bit of the key and makes no error in it; half of X is wrong, and there is no key."""
    link = Relayed(how="intercept").run()
    assert link.reasons == [("qber", "qber")]
    result = link.alice.results[0]
    z, x = result.estimate.bases
    assert z.errors <= 2  # dark counts
    assert_binomial(x.errors, x.tested, 0.5, fault=0.3)
    detections, sifting = (link.wire.about(0, kind)[0] for kind in ("detections", "sifting"))
    assert isinstance(detections, Detections)
    assert isinstance(sifting, Sifting)
    notebook = link.eve.notebook
    for message, sender in ((detections, "bob"), (sifting, "alice")):
        notebook.heard(Envelope(sender, "", 0, 0, message.encode()))
    guess = notebook.guess_sifted(0, link.parameters.protocol, np.random.default_rng(1))
    wrong = int(np.sum(guess.bits != result.sifted_key))
    assert len(guess.bits) == len(result.sifted_key) > 1000
    assert wrong <= 2


def test_only_blocks_that_begin_while_he_is_hers_are_hers():
    """An owner's window takes whole blocks, by when they begin."""
    link = Relayed(how="random", attacked=Window(0.03, 0.05)).run(3)
    assert link.reasons == [("", ""), ("qber", "qber"), ("", "")]


def meddled(link: Relayed, change: Callable[[BellStates], Message | bytes | None]) -> Relayed:
    """Charlie's words to Alice pass a tap; None is a message that she never gets."""

    def meddle(frame: Frame, envelope: Envelope) -> None:
        if envelope.sender != RELAY:
            return
        message = decode(envelope.body)
        assert isinstance(message, BellStates)
        changed = change(message)
        if changed is None:
            frame.fate = "taken"
        else:
            body = changed if isinstance(changed, bytes) else changed.encode()
            frame.data = Envelope(RELAY, envelope.receiver, envelope.session, 0, body).encode()

    link.wire.meddle = meddle
    return link


def test_what_he_tells_one_alone_does_not_count():
    """Slots that only one of them was told of are left out, and the keys are equal all the same."""
    link = meddled(Relayed(), lambda said: BellStates(said.slots[::2], said.plus[::2])).run()
    assert link.reasons == [("", "")]
    sifting = link.wire.about(0, "sifting")[0]
    assert isinstance(sifting, Sifting)
    assert np.array_equal(sifting.clicked, np.arange(len(sifting.clicked)) % 2 == 0)
    assert np.array_equal(link.alice.results[0].key, link.bob.results[0].key)


def test_other_bell_states_for_alice_mean_nothing():
    """Only Bob turns bits over: what she is told of the Bell states changes nothing."""
    link = meddled(Relayed(), lambda said: BellStates(said.slots, 1 - said.plus)).run()
    assert np.array_equal(link.alice.results[0].key, Relayed().run().alice.results[0].key)


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda said: BellStates(said.slots + PULSES, said.plus),
        lambda said: BellStates(said.slots, said.plus[1:]),
        lambda _: Abort("qber"),
        lambda _: b"\xff",
        lambda said: BellStates(said.slots[:0], said.plus[:0]),
    ],
    ids=["beyond the block", "too few states", "another message", "no message", "nothing"],
)
def test_nonsense_from_the_relay_costs_the_block(nonsense):
    """Whatever Charlie says instead of an announcement, the block ends on both sides for want of detections, and the next one goes well."""
    link = Relayed()
    meddled(link, lambda said: nonsense(said) if link.env.now < 1.5 * PULSES / RATE_HZ else said)
    link.run(2)
    assert link.reasons == [("no_detections", "no_detections"), ("", "")]


def test_announcements_are_read_with_care():
    """What makes no sense is an announcement of nothing; what does is taken as it is."""
    slots, plus = np.array([3, 9]), np.array([1, 0], dtype=np.uint8)
    read = announced(Envelope(RELAY, "bob", 0, 0, BellStates(slots, plus).encode()), 10)
    assert (read.slots.tolist(), read.states.tolist()) == ([3, 9], [1, 0])
    for body, pulses in ((BellStates(slots, plus).encode(), 9), (Abort("qber").encode(), 10), (b"", 10)):
        assert not len(announced(Envelope(RELAY, "bob", 0, 0, body), pulses).slots)


def test_a_lost_announcement_ends_the_block():
    """Charlie's word never reaches Alice: she waits no longer than for any message, and both give the block up."""
    link = meddled(Relayed(), lambda _: None).run()
    assert link.reasons == [("timeout", "timeout")]


def test_a_second_announcement_is_ignored():
    """A copy of Charlie's message, or one about a block that nobody began, does nothing."""
    link = Relayed()
    again = []

    def repeat(_: Frame, envelope: Envelope) -> None:
        if envelope.sender == RELAY and not again:
            again.append(envelope)
            for block in (0, 7):
                body = envelope.body
                link.to["alice"].send(Envelope(RELAY, "alice", block, 1, body))
                link.to["bob"].send(Envelope(RELAY, "bob", block, 1, body))

    link.wire.meddle = repeat
    link.run(2)
    assert again
    assert link.reasons == [("", ""), ("", "")]
    assert sorted(link.bob.results) == [0, 1]


def test_he_measures_once_both_are_there():
    """The order of arrival does not matter, and blocks do not mix."""
    told: list[Envelope] = []
    rng = np.random.default_rng(1)
    bench = Bench(BellAnalyser((1.0, 1.0), (0.0, 0.0)), Receiver(), rng)
    charlie = Charlie(simpy.Environment(), RELAY, bench, [("alice", told.append), ("bob", told.append)])

    def train(block: int):
        protocol, emitter = MDI(), Emitter(1e6, sampled=True)
        return emitter.prepare(protocol.states, protocol.alice_choice, 100, block, 0.0, lambda _: rng)[0]

    charlie.on_alices_train(train(0))
    charlie.on_bobs_train(train(1))
    assert told == []
    charlie.on_alices_train(train(1))
    charlie.on_bobs_train(train(0))
    assert [(e.sender, e.receiver, e.session) for e in told] == [
        (RELAY, "alice", 1),
        (RELAY, "bob", 1),
        (RELAY, "alice", 0),
        (RELAY, "bob", 0),
    ]
    assert told[0].body == told[1].body != told[2].body


def test_an_owner_may_leave_him_alone():
    """Eve without an attack on the relay lets him do his work."""
    eve = Owned(RandomStreams(1))
    nobody = types.SimpleNamespace(start_s=0.0)
    assert eve.on_relay(None, nobody, nobody) is None
