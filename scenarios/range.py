"""The range: every node of a scenario, built and wired. The composition root."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.channel import ChannelParameters, ClassicalChannel, Conditions, QuantumChannel
from netsim.fabric.base import Fabric
from netsim.fabric.direct import DirectFabric
from netsim.messages import Envelope
from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.fibre import Disturbance
from netsim.protocols.bb84 import BB84
from netsim.protocols.e91 import E91
from netsim.protocols.protocol import AbortThresholds, Protocol, Security
from netsim.random_streams import RandomStreams, random_bits
from netsim.topology import Site, Topology
from netsim.window import Window
from nodes.alice import Alice
from nodes.attacks.environment import AddedDelay, AddedLoss, Misalign, SlowServer
from nodes.attacks.model import FlipLabels
from nodes.bob import Bob
from nodes.client import Client, Workload
from nodes.double import FIRST_ADDRESS, Double
from nodes.eve import Eve
from nodes.gateway import Gateway
from nodes.kme import KeyManager
from nodes.link import LinkParameters, Post
from nodes.observer import Observer
from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.poisoning import flip_labels
from nodes.qml.qsvm import QuantumSVM
from nodes.queries import QueryFormat
from nodes.server import Capacity, Classifier, Server
from nodes.session import AuthenticationPool, ForgedTagKeys, NoTagKeys, TagKeys
from nodes.source import PairSource
from scenarios.recorder import Deaf, Recorder
from scenarios.schema import Queries, Scenario

TRAIN_FRACTION = 0.7
_LAN_BANDWIDTH_BPS = 1e9


@dataclasses.dataclass(frozen=True)
class Range:
    """A scenario ready to run, and everything the referee may look at afterwards."""

    scenario: Scenario
    env: simpy.Environment
    fabric: Fabric
    recorder: Recorder
    alice: Alice
    bob: Bob
    eve: Eve
    keys: tuple[KeyManager, KeyManager]
    clients: tuple[Client, ...]
    server: Server | None
    channels: tuple[ClassicalChannel, ...]
    streams: RandomStreams


def topology_of(scenario: Scenario) -> Topology:
    """The network as a graph: Alice, Eve, Bob, perhaps a source in the middle, along the fibre; the server behind Bob."""
    link = scenario.link
    middle = link.protocol == "e91" and link.source.position == "middle"
    between = [Site("eve", scenario.eve.position)] + ([Site("source", link.length / 2)] if middle else [])
    sites = [
        Site("alice", 0.0),
        *sorted(between, key=lambda site: site.position_km),
        Site("bob", link.length),
    ]
    disturbances = [
        Disturbance(_window(entry.at, entry.until), entry.action.error)
        for entry in scenario.timeline
        if isinstance(entry.action, Misalign)
    ]
    return Topology(sites, link.attenuation, link.misalignment, disturbances, behind=[("bob", "server")])


def fabric_of(scenario: Scenario, streams: RandomStreams) -> Fabric:
    """The fabric that the scenario asks for, not yet started."""
    topology, rng = topology_of(scenario), streams("fibre")
    if scenario.fabric == "direct":
        return DirectFabric(topology, rng)
    from netsim.fabric.qunetsim import QuNetSimFabric  # noqa: PLC0415  a second of imports that `direct` does without

    return QuNetSimFabric(topology, rng)


def build(scenario: Scenario, fabric: Fabric, streams: RandomStreams) -> Range:
    """Build every node on a started fabric and wire the channels; the first event is Alice's first train."""
    return _Builder(scenario, fabric, streams).build()


class _Builder:
    def __init__(self, scenario: Scenario, fabric: Fabric, streams: RandomStreams) -> None:
        self.scenario = scenario
        self.env = simpy.Environment()
        self.streams = streams
        self.recorder = Recorder(self.env)
        self.fabric = fabric
        self.layout = QueryFormat(features=2, mac=scenario.defences.query_mac)
        self.gateways = {host: Gateway(host, self.recorder) for host in ("alice", "bob")}
        self.channels: list[ClassicalChannel] = []

    def build(self) -> Range:
        scenario, env, streams = self.scenario, self.env, self.streams
        to_bob, to_alice = self._channel("alice", "bob"), self._channel("bob", "alice")
        keys = self._key_managers("kme-alice", "kme-bob", self.recorder)
        pools = self._pools()
        link = self._link("alice")

        bob = Bob(self._post("bob", "alice", to_alice.send, keys[1], pools[1], "bob", self.recorder), link)
        middle = link.protocol.entangled and scenario.link.source.position == "middle"
        light = None if middle else QuantumChannel(env, self.fabric, "alice", "bob", bob.on_train).send
        alice = Alice(
            self._post("alice", "bob", to_bob.send, keys[0], pools[0], "alice", self.recorder), link, light
        )
        self.gateways["alice"].route({"alice": alice.on_envelope})
        self.gateways["bob"].route({"bob": bob.on_envelope})
        eve = self._eve()
        self.fabric.attach({"eve": eve})
        clients, server = self._queries(keys, to_bob, to_alice)

        def begin() -> None:
            if middle:
                ways = (("alice", alice.on_train), ("bob", bob.on_train))
                fibres = [QuantumChannel(env, self.fabric, "source", end, on_train) for end, on_train in ways]
                source = PairSource(
                    env, self._link("source").emitter, fibres[0], fibres[1], streams("source")
                )
                env.process(source.run(link.block_pulses, scenario.duration))
            env.process(alice.run(scenario.duration))
            if server is not None:
                env.process(server.run())
            for client in clients:
                env.process(client.run())

        begin()
        return Range(
            scenario,
            env,
            self.fabric,
            self.recorder,
            alice,
            bob,
            eve,
            keys,
            clients,
            server,
            tuple(self.channels),
            streams,
        )

    def _link(self, host: str) -> LinkParameters:
        """The link's parameters, with the source that stands at `host`."""
        link, defences = self.scenario.link, self.scenario.defences
        protocol: Protocol = BB84() if link.protocol == "bb84" else E91(link.security.proof)
        qubits = None if link.grain == "pulse" else self.fabric.qubits(host)
        return LinkParameters(
            protocol=protocol,
            block_pulses=link.block_pulses,
            emitter=Emitter(link.pulse_rate, link.source.visibility, qubits),
            receiver=Receiver(link.detector.efficiency, link.detector.dark_counts),
            test_fraction=link.test_fraction,
            thresholds=AbortThresholds(defences.abort_above_qber, defences.abort_below_chsh),
            security=Security(link.security.epsilon_sec, link.security.epsilon_cor),
            timeout_s=self.scenario.classical.timeout,
            forward_share=self.layout.forward_share,
        )

    def _post(
        self,
        name: str,
        peer: str,
        send: Callable[[Envelope], None],
        keys: KeyManager,
        pool: TagKeys,
        role: str,
        observer: Observer,
    ) -> Post:
        return Post(self.env, name, peer, send, keys, pool, self.streams, role, observer)

    def _key_managers(self, one: str, other: str, observer: Observer) -> tuple[KeyManager, KeyManager]:
        latency_s = self.scenario.keys.request_latency
        return (
            KeyManager(self.env, one, other, "forward", latency_s, observer),
            KeyManager(self.env, other, one, "reverse", latency_s, observer),
        )

    def _pools(self) -> tuple[TagKeys, TagKeys]:
        if not self.scenario.defences.authentication:
            return NoTagKeys(), NoTagKeys()
        preshared = random_bits(self.scenario.keys.preshared, self.streams("preshared"))
        return AuthenticationPool(preshared, alice=True), AuthenticationPool(preshared, alice=False)

    def _channel(self, sender: str, receiver: str) -> ClassicalChannel:
        """A channel between two hosts of the fibre; all suffer what the timeline does to alice-bob."""
        classical = self.scenario.classical
        parameters = ChannelParameters(
            classical.bandwidth,
            classical.latency,
            classical.jitter,
            classical.loss,
            conditions=self._conditions("alice-bob"),
        )
        return self._wired(sender, receiver, self.gateways[receiver], parameters)

    def _wired(
        self, sender: str, receiver: str, inbox: Gateway, parameters: ChannelParameters
    ) -> ClassicalChannel:
        rng = self.streams(f"channel/{sender}-{receiver}")
        channel = ClassicalChannel(self.env, self.fabric, sender, receiver, inbox, parameters, rng)
        self.channels.append(channel)
        return channel

    def _conditions(self, hop: str) -> tuple[Conditions, ...]:
        conditions = []
        for entry in self.scenario.timeline:
            action, window = entry.action, _window(entry.at, entry.until)
            if isinstance(action, AddedDelay) and action.hop == hop:
                conditions.append(Conditions(window, delay_s=action.delay, jitter_s=action.jitter))
            elif isinstance(action, AddedLoss) and action.hop == hop:
                conditions.append(Conditions(window, loss=action.fraction))
        return tuple(conditions)

    def _eve(self) -> Eve:
        """Eve, with the two faces she needs to impersonate: the same Alice and Bob, without their keys."""
        env, deaf = self.env, Deaf()
        to_alice, to_bob = self._channel("eve", "alice"), self._channel("eve", "bob")
        link = self._link("eve")
        guesses = ForgedTagKeys(self.streams("eve/tags"))
        site_of_alice, _ = self._key_managers("kme-eve", "kme-bob", deaf)
        _, site_of_bob = self._key_managers("kme-alice", "kme-eve", deaf)
        as_alice = Alice(
            self._post("alice", "bob", to_bob.send, site_of_alice, guesses, "eve/alice", deaf),
            link,
            None,
            FIRST_ADDRESS,
        )
        # Counts must look as usual: she loses on purpose what the fibre she is in the place of would have lost.
        receiver = dataclasses.replace(
            link.receiver,
            efficiency=link.receiver.efficiency * self.fabric.topology.transmittance("eve", "bob"),
        )
        as_bob = Bob(
            self._post("bob", "alice", to_alice.send, site_of_bob, guesses, "eve/bob", deaf),
            dataclasses.replace(link, receiver=receiver),
        )
        attacks = [
            (_window(entry.at, entry.until), entry.action)
            for entry in self.scenario.timeline
            if entry.action.adversarial
        ]
        return Eve(
            env,
            attacks,
            self.streams,
            to_bob.send,
            Double(env, as_alice, as_bob, self.layout, self.fabric.topology.transmittance("alice", "eve")),
        )

    def _queries(
        self, keys: tuple[KeyManager, KeyManager], to_bob: ClassicalChannel, to_alice: ClassicalChannel
    ) -> tuple[tuple[Client, ...], Server | None]:
        scenario, queries = self.scenario, self.scenario.queries
        if queries is None:
            return (), None
        training, test = self._data()
        lan = ChannelParameters(
            _LAN_BANDWIDTH_BPS, scenario.server.lan_latency, conditions=self._conditions("bob-server")
        )
        back = self._wired("server", "bob", self.gateways["bob"], lan)
        server = Server(
            self.env,
            back.send,
            keys[1],
            self._capacity(),
            self.layout,
            lambda: _model(training),
            self.recorder,
        )
        door = Gateway("server", self.recorder)
        door.route({"server": server.on_envelope})
        self.gateways["bob"].route({"server": self._wired("bob", "server", door, lan).send})
        clients = tuple(
            self._client(number + 1, queries, keys[0], to_bob, test) for number in range(queries.clients)
        )
        for client in clients:
            self.gateways["alice"].route({client.name: client.on_envelope})
            self.gateways["bob"].route({client.name: to_alice.send})
        return clients, server

    def _data(self) -> tuple[DataSet, DataSet]:
        """Training set, poisoned if the timeline says so, and clean test set."""
        training = self.scenario.server.training
        data = two_clusters(training.samples, training.distance, self.streams("server/data"))
        train, test = split(data, TRAIN_FRACTION, self.streams("server/split"))
        for entry in self.scenario.timeline:
            if isinstance(entry.action, FlipLabels):
                how = entry.action.how
                train, _ = flip_labels(train, entry.action.fraction, how, self.streams("eve/poison"))
        return train, test

    def _capacity(self) -> Capacity:
        server = self.scenario.server
        slowdowns = tuple(
            (_window(entry.at, entry.until), entry.action.factor)
            for entry in self.scenario.timeline
            if isinstance(entry.action, SlowServer)
        )
        return Capacity(
            server.workers, server.service_time, server.queue, self.scenario.defences.patience, slowdowns
        )

    def _client(
        self, number: int, queries: Queries, keys: KeyManager, to_bob: ClassicalChannel, test: DataSet
    ) -> Client:
        defences = self.scenario.defences
        workload = Workload(
            queries.arrivals,
            queries.rate,
            queries.start,
            defences.query_budget,
            defences.patience,
            queries.timeout,
        )
        return Client(
            self.env,
            number,
            to_bob.send,
            keys,
            workload,
            self.layout,
            test.features,
            test.labels,
            self.streams(f"client-{number}"),
            self.recorder,
        )


@dataclasses.dataclass(frozen=True)
class _OneAnswer:
    """What a machine learns from a training set in which an adversary has left one label only."""

    label: int

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """The same for each row."""
        return np.full(len(features), self.label, dtype=np.int64)


def _model(training: DataSet) -> Classifier:
    labels = np.unique(training.labels)
    return QuantumSVM().fit(training) if len(labels) > 1 else _OneAnswer(int(labels[0]))


def _window(at_s: float, until_s: float | None) -> Window:
    return Window(at_s, math.inf if until_s is None else until_s)
