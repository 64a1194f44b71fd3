"""A link without a scenario file: Alice, Bob, the fibre between them, a tap that records and meddles, and who asks."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.channel import ChannelParameters, ClassicalChannel, QuantumChannel
from netsim.errors import MalformedMessage
from netsim.fabric.base import Frame, Tap
from netsim.fabric.direct import DirectFabric
from netsim.messages import Envelope, Message, decode
from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.train import Train
from netsim.postprocessing.reconciliation import Reconciliation
from netsim.protocols.bb84 import BB84
from netsim.protocols.decoy import DecoyBB84
from netsim.protocols.protocol import AbortThresholds, Protocol, Security
from netsim.protocols.weak import WeakBB84
from netsim.random_streams import RandomStreams, random_bits
from netsim.topology import Site, Topology
from netsim.window import Window
from nodes.alarm import AlarmParameters, SequentialAlarm
from nodes.alice import Alice
from nodes.attacks.action import Action
from nodes.attacks.surroundings import Surroundings
from nodes.bob import Bob
from nodes.client import Client, Workload
from nodes.double import FIRST_ADDRESS, Double
from nodes.eve import Eve
from nodes.gateway import Gateway
from nodes.kme import KeyManager
from nodes.link import LinkParameters, Post
from nodes.qml.datasets import DataSet
from nodes.queries import QueryFormat, QueryRecord
from nodes.questions import Pool
from nodes.server import Capacity, Server
from nodes.session import AuthenticationPool, ForgedTagKeys, NoTagKeys
from nodes.source import PairSource


@dataclasses.dataclass(frozen=True)
class Happening:
    """What a node told its observer."""

    t_s: float
    node: str
    what: str
    details: dict[str, Any]


class Tape:
    """An observer that keeps everything in one list, in order."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self.happenings: list[Happening] = []

    def event(self, node: str, what: str, **details: object) -> None:
        """Something happened, now."""
        self.happenings.append(Happening(self._env.now, node, what, details))

    def metric(self, node: str, metric: str, value: float, unit: str) -> None:
        """A quantity has this value, now."""
        self.event(node, f"metric:{metric}", value=value, unit=unit)

    def work(self, step: str):  # noqa: ARG002  the interface's
        """Not timed."""
        return contextlib.nullcontext()

    def alarm(self, node: str, reason: str) -> None:
        """A node has noticed something."""
        self.event(node, "alarm", reason=reason)

    @property
    def alarms(self) -> list[tuple[str, str]]:
        """(node, reason) of each alarm, in order."""
        return [(h.node, h.details["reason"]) for h in self.happenings if h.what == "alarm"]

    def of(self, what: str) -> list[Happening]:
        """Everything of one kind."""
        return [h for h in self.happenings if h.what == what]


@dataclasses.dataclass(frozen=True)
class Seen:
    """A frame as it passed the tap, before anybody meddled with it."""

    t_s: float
    data: bytes
    envelope: Envelope

    @property
    def message(self) -> Message:
        """What it said."""
        return decode(self.envelope.body)


class Wire:
    """A tap that records all frames, lets `meddle` at them, and hands them to the next tap."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self.seen: list[Seen] = []
        self.meddle: Callable[[Frame, Envelope], None] = lambda *_: None
        self.then: Tap | None = None

    def on_photons(self, train: Train, where: slice, receiver: str) -> None:
        """Light goes on to the next tap."""
        if self.then is not None:
            self.then.on_photons(train, where, receiver)

    def on_frame(self, frame: Frame) -> None:
        """Record it, meddle with it, hand it on."""
        envelope = Envelope.decode(frame.data)
        self.seen.append(Seen(self._env.now, frame.data, envelope))
        self.meddle(frame, envelope)
        if self.then is not None and frame.fate == "passed":
            self.then.on_frame(frame)

    def about(self, block: int, kind: str | None = None) -> list[Message]:
        """The messages about a block, in the order in which they passed."""
        messages = [seen.message for seen in self.seen if seen.envelope.session == block]
        return [message for message in messages if kind is None or message.kind == kind]


class Link:
    """Alice and Bob at the ends of a fibre, Eve's tap between them."""

    def __init__(
        self,
        protocol: Protocol | None = None,
        *,
        pulses: int = 2000,
        seed: int = 1,
        rate_hz: float = 1e6,
        authentication: bool = True,
        preshared: int = 4096,
        misalignment: float = 0.0,
        length_km: float = 0.0,
        attenuation: float = 0.2,
        eve_km: float = 0.0,
        middle: bool = False,
        visibility: float = 1.0,
        efficiency: float = 1.0,
        dark_counts: float = 0.0,
        test_fraction: float = 0.5,
        thresholds: AbortThresholds | None = None,
        security: Security | None = None,
        timeout_s: float = 0.05,
        bandwidth_bps: float = 1e9,
        attempts: int = 6,
        attacks: Sequence[tuple[Window, Action]] = (),
        query_mac: bool = True,
        grain: Literal["pulse", "qubit", "sampled"] = "pulse",
        pair_mean: float | None = None,
        alarm: AlarmParameters | None = None,
        code: str = "cascade",
        reserve: int = 0,
    ) -> None:
        self.layout = QueryFormat(2, query_mac)
        self.env = env = simpy.Environment()
        self.streams = streams = RandomStreams(seed)
        self.tape = Tape(env)
        between = [Site("eve", eve_km)] + ([Site("source", length_km / 2)] if middle else [])
        between.sort(key=lambda site: site.position_km)
        sites = [Site("alice", 0.0), *between, Site("bob", length_km)]
        topology = Topology(sites, attenuation, misalignment, behind=[("bob", "server")])
        self.fabric = DirectFabric(topology, streams("fibre"))
        self.gates = {host: Gateway(host, self.tape) for host in ("alice", "bob")}
        self._channel_parameters = ChannelParameters(bandwidth_bps, attempts=attempts)
        self.to_bob, self.to_alice = self._channel("alice", "bob"), self._channel("bob", "alice")
        protocol = BB84() if protocol is None else protocol
        emitter = Emitter(
            rate_hz,
            visibility,
            self.fabric.qubits("alice") if grain == "qubit" else None,
            **_weak(protocol),
            sampled=grain == "sampled",
            pair_mean=pair_mean,
        )
        self.parameters = parameters = LinkParameters(
            protocol=protocol,
            block_pulses=pulses,
            emitter=emitter,
            receiver=Receiver(efficiency, dark_counts),
            test_fraction=test_fraction,
            thresholds=AbortThresholds() if thresholds is None else thresholds,
            security=Security(0.5, 1e-10) if security is None else security,
            timeout_s=timeout_s,
            forward_share=0.6,
            reconciliation=Reconciliation(code),
        )
        secret = random_bits(preshared, streams("preshared"))
        self.pools: list[Any] = [
            AuthenticationPool(secret, alice=alice, reserve_bits=reserve) if authentication else NoTagKeys()
            for alice in (True, False)
        ]
        self.keys = _managers(env, self.tape, "kme-alice", "kme-bob")
        self.alarms = [SequentialAlarm(alarm) if alarm is not None else None for _ in range(2)]
        post = Post(
            env,
            "bob",
            "alice",
            self.to_alice.send,
            self.keys[1],
            self.pools[1],
            streams,
            "bob",
            self.tape,
            self.alarms[1],
        )
        self.bob = Bob(post, parameters)
        light = None if middle else QuantumChannel(env, self.fabric, "alice", "bob", self.bob.on_train).send
        post = Post(
            env,
            "alice",
            "bob",
            self.to_bob.send,
            self.keys[0],
            self.pools[0],
            streams,
            "alice",
            self.tape,
            self.alarms[0],
        )
        self.alice = Alice(post, parameters, light)
        self.gates["alice"].route({"alice": self.alice.on_envelope})
        self.gates["bob"].route({"bob": self.bob.on_envelope})
        self.wire = Wire(env)
        self.eve = self._eve(attacks)
        if attacks:
            self.wire.then = self.eve
        self.fabric.attach({"eve": self.wire})
        self._middle = middle

    def _channel(self, sender: str, receiver: str) -> ClassicalChannel:
        rng = self.streams(f"channel/{sender}-{receiver}")
        return ClassicalChannel(
            self.env, self.fabric, sender, receiver, self.gates[receiver], self._channel_parameters, rng
        )

    def _eve(self, attacks: Sequence[tuple[Window, Action]]) -> Eve:
        env, tape, streams = self.env, Tape(self.env), self.streams
        to_alice, to_bob = self._channel("eve", "alice"), self._channel("eve", "bob")
        guesses = ForgedTagKeys(streams("eve/tags"))
        site_of_alice, _ = _managers(env, tape, "kme-eve", "kme-bob")
        _, site_of_bob = _managers(env, tape, "kme-alice", "kme-eve")
        as_alice = Alice(
            Post(env, "alice", "bob", to_bob.send, site_of_alice, guesses, streams, "eve/alice", tape),
            self.parameters,
            None,
            FIRST_ADDRESS,
        )
        as_bob = Bob(
            Post(env, "bob", "alice", to_alice.send, site_of_bob, guesses, streams, "eve/bob", tape),
            self.parameters,
        )
        double = Double(env, as_alice, as_bob, self.layout)
        link = self.parameters
        knows = Surroundings(
            link.protocol.states,
            link.protocol.alice_choice,
            link.protocol.bob_choice,
            link.emitter.numbers(),
            link.emitter.intensities,
            self.fabric.topology.transmittance("alice", "eve"),
            self.fabric.topology.transmittance("eve", "bob"),
            link.receiver.efficiency,
            link.receiver.dark_counts,
        )
        return Eve(env, attacks, streams, to_bob.send, double, knows)

    def run(self, blocks: int, *, settle_s: float = 5.0) -> Link:
        """Send so many blocks, and wait until nothing can be under way any more."""
        env, until_s = self.env, blocks * self.parameters.block_s
        if self._middle:
            ways = (("alice", self.alice.on_train), ("bob", self.bob.on_train))
            one, other = (QuantumChannel(env, self.fabric, "source", end, on_train) for end, on_train in ways)
            source = PairSource(env, self.parameters.emitter, one, other, self.streams("source"))
            env.process(source.run(self.parameters.block_pulses, until_s))
        env.process(self.alice.run(until_s))
        env.run(until=until_s + settle_s)
        return self

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """(Alice's, Bob's) reason to abort each block, "" if it was accepted."""
        mine, theirs = self.alice.results, self.bob.results
        return [(mine[block].reason, theirs[block].reason) for block in sorted(mine)]

    def assert_settled(self) -> None:
        """Every block has ended on both sides, and nothing of it is left behind."""
        assert not self.alice.sessions
        assert self.alice.results.keys() == self.bob.results.keys()
        # A forged envelope may speak of a block that never begins: it waits at Bob's door, and binds nobody.
        assert all(block > max(self.bob.results) for block in self.bob.sessions)
        assert not self.alice._records
        for result in (*self.alice.results.values(), *self.bob.results.values()):
            assert result.end_s is not None
            assert result.accepted == (result.reason == "")

    def assert_no_unequal_keys(self) -> None:
        """What both sites could issue and fetch under the same address is the same."""
        for issuing, fetching in (self.keys, self.keys[::-1]):
            mine, theirs = contents(issuing.outgoing), contents(fetching.incoming)
            common = mine.keys() & theirs.keys()
            assert all(mine[address] == theirs[address] for address in common)
            # What may be issued can be fetched: the order of the deposits sees to it.
            assert mine.keys() <= theirs.keys()
        if isinstance(self.pools[0], AuthenticationPool):
            mine, theirs = (contents(pool.pads) for pool in self.pools)
            assert all(mine[address] == theirs[address] for address in mine.keys() & theirs.keys())


class Threshold:
    """A model that needs no training: class 1 where the first feature is above one half."""

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far above."""
        return features[:, 0] - 0.5

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """The class of each row."""
        return (self.decide(features) > 0.0).astype(np.int64)


class Asking:
    """Clients at Alice's site and a server at Bob's, on a link.

    Args:
        link: whose key they use.
        clients: how many.
        workload: fields of Workload that differ from ten patient queries, one a second.
        capacity: fields of Capacity that differ from one fast worker.
        key_bits: put into the stores at once, each way.
    """

    LAN_S = 0.0001
    REQUEST_S = 0.001

    def __init__(
        self,
        link: Link,
        *,
        clients: int = 1,
        key_bits: int = 0,
        workload: dict[str, Any] | None = None,
        capacity: dict[str, Any] | None = None,
    ) -> None:
        self.link = link
        env, tape, streams = link.env, link.tape, link.streams
        lan = ChannelParameters(1e9, self.LAN_S)
        door = Gateway("server", tape)
        to_server = ClassicalChannel(env, link.fabric, "bob", "server", door, lan, streams("lan"))
        back = ClassicalChannel(env, link.fabric, "server", "bob", link.gates["bob"], lan, streams("lan"))
        able = Capacity(
            **{"workers": 1, "service_s": 0.002, "queue": 100, "patience_s": 2.0} | (capacity or {})
        )
        self.server = Server(env, back.send, link.keys[1], able, link.layout, Threshold, tape)
        door.route({"server": self.server.on_envelope})
        link.gates["bob"].route({"server": to_server.send})
        usual: dict[str, Any] = {
            "arrivals": "periodic",
            "rate_hz": 1.0,
            "start_s": 0.0,
            "budget": 10,
            "patience_s": 2.0,
            "timeout_s": 2.0,
        }
        load = Workload(**usual | (workload or {}))
        questions = streams("questions").random((50, 2))
        truths = Threshold().classify(questions)
        self.clients = [
            Client(
                env,
                number,
                link.to_bob.send,
                link.keys[0],
                load,
                link.layout,
                Pool(DataSet(questions, truths)),
                streams(f"client-{number}"),
                tape,
            )
            for number in range(1, clients + 1)
        ]
        for client in self.clients:
            link.gates["alice"].route({client.name: client.on_envelope})
            link.gates["bob"].route({client.name: link.to_alice.send})
        if key_bits:
            self.deposit(key_bits)
        env.process(self.server.run())
        for client in self.clients:
            env.process(client.run())

    def deposit(self, key_bits: int, address: int = 0) -> None:
        """Key for both directions, at both sites."""
        for issuing, fetching in (self.link.keys, self.link.keys[::-1]):
            bits = random_bits(key_bits, self.link.streams("key"))
            fetching.deposit_incoming(address, bits)
            issuing.deposit_outgoing(address, bits)

    def run(self, until_s: float) -> Asking:
        """Let time pass."""
        self.link.env.run(until=until_s)
        return self

    @property
    def queries(self) -> list[QueryRecord]:
        """All clients' queries."""
        return [query for client in self.clients for query in client.queries]

    @property
    def statuses(self) -> list[str]:
        """What became of each query."""
        return [query.status for query in self.queries]


def _weak(protocol: Protocol) -> dict[str, Any]:
    """What the source of a protocol with weak pulses has to emit."""
    if isinstance(protocol, DecoyBB84):
        return {"intensities": protocol.mean_photons, "probabilities": protocol.probabilities}
    if isinstance(protocol, WeakBB84):
        mean = {"intensities": (protocol.mean_photons,), "probabilities": (1.0,)}
        return mean | {"fluctuation": protocol.fluctuation}
    return {}


def contents(store: Any) -> dict[int, int]:
    """A key store as address → bit."""
    return {
        start + i: int(bit)
        for start, stretch in zip(store._starts, store._stretches, strict=True)
        for i, bit in enumerate(stretch)
    }


def flip_bit(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with one bit changed."""
    changed = bytearray(data)
    changed[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def readable(data: bytes) -> Envelope | None:
    """The envelope in these bytes, if there is one."""
    try:
        return Envelope.decode(data)
    except MalformedMessage:
        return None


def account(link: Link, block: int) -> dict[str, int]:
    """The block's ledger again, from nothing but what passed on the wire."""
    protocol = link.parameters.protocol
    messages: dict[str, Any] = {
        kind: link.wire.about(block, kind)
        for kind in (
            *("detections", "sifting", "parities", "syndromes"),
            *("verification", "frame-tags", "frame-bits", "amplification"),
        )
    }
    (detections,), (sifting,) = messages["detections"], messages["sifting"]
    (announced,) = messages["amplification"]
    both = sifting.clicked.astype(bool)
    key_rounds = protocol.key_rounds(sifting.settings, detections.settings[both])
    revealed = sifting.revealed.astype(bool)
    return {
        "pulses": cast("Any", link.wire.about(block, "start")[0]).pulses,
        "detections": int(both.sum()),
        "sifted_bits": int(key_rounds.sum()),
        "test_bits": int((key_rounds & revealed).sum()),
        "key_bits": int((key_rounds & ~revealed).sum()),
        "disclosed_parities": sum(len(message.parities) for message in messages["parities"])
        + sum(len(message.bits) for message in messages["syndromes"]),
        "given_away_bits": sum(len(message.bits) for message in messages["frame-bits"]),
        "disclosed_counts": sum(32 * len(message.corrected) for message in messages["verification"]),
        "verification_bits": sum(8 * len(message.tag) for message in messages["verification"])
        + sum(8 * len(message.tags) for message in messages["frame-tags"]),
        "secret_bits": announced.length,
        "authentication_replenished_bits": announced.authentication_bits,
        "delivered_bits": announced.length - announced.authentication_bits,
    }


def replacing(link: Link, kind: str, **changes: Any) -> Link:
    """Eve changes fields of every message of a kind."""

    def meddle(frame: Frame, envelope: Envelope) -> None:
        message = decode(envelope.body)
        if message.kind == kind:
            values = {
                name: change(getattr(message, name)) if callable(change) else change
                for name, change in changes.items()
            }
            body = dataclasses.replace(message, **values).encode()
            frame.data = dataclasses.replace(envelope, body=body).encode()

    link.wire.meddle = meddle
    return link


class Meddler:
    """Does something random to some frames of a link."""

    def __init__(self, link: Link, seed: int) -> None:
        self.link = link
        self.rng = np.random.default_rng([seed, 99])
        self.rate = float(self.rng.choice([0.01, 0.05, 0.3]))
        self.kept: list[bytes] = []

    def __call__(self, frame: Frame, envelope: Envelope) -> None:
        """Perhaps do one of eight things to a frame."""
        self.kept.append(frame.data)
        if self.rng.random() >= self.rate:
            return
        what = self.rng.integers(8)
        if what == 0:
            frame.data = flip_bit(frame.data, self.rng)
        elif what == 1:
            frame.data = frame.data[: int(self.rng.integers(len(frame.data)))]
        elif what == 2:
            frame.fate = "dropped"
        elif what == 3:
            frame.fate = "taken"
        elif what == 4:
            self.again(frame.data)
        elif what == 5:
            frame.data = self.kept[int(self.rng.integers(len(self.kept)))]
        elif what == 6:
            body = flip_bit(envelope.body, self.rng)
            frame.data = dataclasses.replace(envelope, body=body).encode()
        else:
            frame.data = dataclasses.replace(
                envelope,
                session=envelope.session + int(self.rng.integers(-1, 2)),
                sequence=envelope.sequence + int(self.rng.integers(-1, 2)),
            ).encode()

    def again(self, data: bytes) -> None:
        """Send a copy, to whom it was for."""
        envelope = readable(data)
        if envelope is not None:
            (self.link.to_bob if envelope.receiver == "bob" else self.link.to_alice).send(envelope)


def _managers(env: simpy.Environment, tape: Tape, one: str, other: str) -> tuple[KeyManager, KeyManager]:
    return (
        KeyManager(env, one, other, "forward", 0.001, tape),
        KeyManager(env, other, one, "reverse", 0.001, tape),
    )
