"""The range: every node of a scenario, built and wired. The composition root."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
import simpy

from netsim.channel import ChannelParameters, ClassicalChannel, Conditions, QuantumChannel
from netsim.fabric.base import Fabric
from netsim.fabric.direct import DirectFabric
from netsim.messages import Envelope
from netsim.photonics.bell import BellAnalyser
from netsim.photonics.detector import Receiver
from netsim.photonics.drift import Drift
from netsim.photonics.emitter import Emitter
from netsim.photonics.fibre import DELAY_S_PER_KM, Disturbance
from netsim.photonics.free_space import LossProfile, SatellitePass
from netsim.photonics.raman import RamanNoise
from netsim.photonics.train import Train
from netsim.postprocessing.reconciliation import CASCADE_ROUNDS, Reconciliation
from netsim.protocols.bb84 import BB84
from netsim.protocols.bbm92 import BBM92
from netsim.protocols.decoy import DecoyBB84
from netsim.protocols.e91 import E91
from netsim.protocols.mdi import MDI
from netsim.protocols.protocol import AbortThresholds, Protocol, Security
from netsim.protocols.six_state import SixState
from netsim.protocols.weak import WeakBB84
from netsim.random_streams import Streams, random_bits
from netsim.topology import Site, Topology
from netsim.window import Window
from nodes.alarm import AlarmParameters, SequentialAlarm
from nodes.alice import Alice
from nodes.attacks.classical import Impersonate
from nodes.attacks.devices import TrojanHorse
from nodes.attacks.environment import AddedDelay, AddedLoss, Misalign
from nodes.attacks.surroundings import Surroundings
from nodes.bob import Bob
from nodes.charlie import Bench, Charlie
from nodes.client import Client
from nodes.double import FIRST_ADDRESS, Double
from nodes.eve import Eve
from nodes.gateway import Gateway
from nodes.kme import KeyManager
from nodes.link import LinkParameters, Post
from nodes.monitors import INCOMING, SILENT, Entrance, PowerMonitor, honest, references
from nodes.observer import Observer
from nodes.queries import QueryFormat
from nodes.relayed import RELAY, RelayedAlice, RelayedBob
from nodes.server import Server
from nodes.session import AuthenticationPool, ForgedTagKeys, NoTagKeys, TagKeys
from nodes.source import PairSource
from scenarios.inference import lesson
from scenarios.inference_range import Inference, inference_side, layout_of
from scenarios.inference_range import Surroundings as Around
from scenarios.recorder import Deaf, Recorder
from scenarios.schema import Scenario
from scenarios.sections import AUTO, Link

TRAIN_FRACTION = 0.7
POWER_MONITOR = PowerMonitor(sensitivity=1e-5, noise=1e-6)
"""At the entrance of Alice's source: a tap of 1 % and a detector of 0.1 %."""
DECOY_KEY_BASIS = 0.8
"""Probability of the key basis with decoys, where the scenario says nothing."""
DRIFT_STEP_S = 0.01
"""For how long a drifting polarisation counts as constant."""
_SILENCE = 1e-9  # rate of what a healthy instrument never shows
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
    inference: Inference | None
    layout: QueryFormat
    channels: tuple[ClassicalChannel, ...]
    streams: Streams

    @property
    def clients(self) -> tuple[Client, ...]:
        """The honest clients; none where nobody asks."""
        return self.inference.clients if self.inference is not None else ()

    @property
    def server(self) -> Server | None:
        """The inference server; None where nobody asks."""
        return self.inference.server if self.inference is not None else None


def topology_of(scenario: Scenario) -> Topology:
    """The network as a graph: Alice, Eve, Bob, perhaps a source or a relay in the middle, along the fibre; the server behind Bob."""
    link = scenario.link
    middle = link.pairs and link.source.position == "middle"
    between = [Site("eve", scenario.eve.position)]
    between += [Site("source", link.length / 2)] if middle else []
    between += [Site(RELAY, link.length / 2)] if link.relayed else []
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
    return Topology(
        sites,
        link.attenuation,
        link.misalignment,
        disturbances,
        behind=[("bob", "server")],
        drift=_drift(link),
        profile=_profile(link),
    )


def _drift(link: Link) -> Drift | None:
    drift = link.drift
    if drift is None:
        return None
    step_s = DRIFT_STEP_S if drift.tracking is None else min(DRIFT_STEP_S, drift.tracking)
    return Drift(drift.rate, drift.tracking, drift.residual, step_s)


def _profile(link: Link) -> LossProfile | None:
    """The further loss over time, from a table or from a satellite's pass."""
    if link.satellite is None:
        table = tuple(zip(*link.loss_profile, strict=True))
        return LossProfile(table[0], table[1]) if table else None
    satellite = link.satellite
    return SatellitePass(
        altitude_m=satellite.altitude * 1e3,
        max_elevation_deg=satellite.elevation,
        transmitter_m=satellite.transmitter * 1e3,
        receiver_m=satellite.receiver * 1e3,
        divergence_rad=None,
        optics_db=satellite.optics,
    ).profile(begin_s=satellite.begin)


def fabric_of(scenario: Scenario, streams: Streams) -> Fabric:
    """The fabric that the scenario asks for, not yet started."""
    topology, rng = topology_of(scenario), streams("fibre")
    if scenario.fabric == "direct":
        return DirectFabric(topology, rng)
    from netsim.fabric.qunetsim import QuNetSimFabric  # noqa: PLC0415  a second of imports that `direct` does without

    return QuNetSimFabric(topology, rng)


def build(scenario: Scenario, fabric: Fabric, streams: Streams) -> Range:
    """Build every node on a started fabric and wire the channels; the first event is Alice's first train."""
    return _Builder(scenario, fabric, streams).build()


def protocol_of(link: Link) -> Protocol:
    """The protocol that a link's section asks for."""
    source = link.source
    if link.protocol == "e91":
        return E91(link.security.proof)
    if link.protocol == "bbm92":
        return BBM92(link.key_basis)
    if link.protocol == "six-state":
        return SixState()
    if link.protocol == "mdi":
        means, shares = (source.intensities, source.probabilities) if link.decoys else ((), ())
        return MDI(means, shares, link.key_basis or DECOY_KEY_BASIS)
    if link.decoys:
        return DecoyBB84(
            source.intensities,
            source.probabilities,
            link.key_basis or DECOY_KEY_BASIS,
            source.fluctuation,
        )
    if source.kind == "weak-coherent":
        return WeakBB84(
            link.key_basis,
            source.intensities[0],
            source.fluctuation,
            link.block_pulses,
            link.test_fraction,
            counted=link.security.multiphoton == "counted",
        )
    return BB84(link.key_basis)


def reconciliation_of(scenario: Scenario) -> Reconciliation:
    """The code that a scenario asks for, or that its latency suggests."""
    link, classical = scenario.link, scenario.classical
    if link.reconciliation != AUTO:
        return Reconciliation(link.reconciliation)
    round_trip_s = 2 * (DELAY_S_PER_KM * link.length + classical.latency) + classical.jitter
    slow = CASCADE_ROUNDS * round_trip_s > link.block_pulses / link.pulse_rate
    return Reconciliation("ldpc" if slow else "cascade")


def receiver_of(scenario: Scenario) -> Receiver:
    """The detectors, at both ends if there are two."""
    detector, defences = scenario.link.detector, scenario.defences
    return Receiver(
        efficiency=detector.efficiency,
        dark_counts=detector.dark_counts,
        mismatch=detector.mismatch,
        timing_mismatch=detector.timing_mismatch,
        dead_time_s=detector.dead_time,
        afterpulse=detector.afterpulse,
        afterpulse_lifetime_s=detector.afterpulse_lifetime,
        jitter_s=detector.jitter,
        gate_s=detector.gate,
        background=scenario.link.background + _raman(scenario.link),
        attenuated_share=defences.attenuated_share,
        attenuation=defences.attenuation if defences.attenuated_share else 1.0,
        passive=detector.basis_choice == "passive",
    )


def _error_counters(protocol: Protocol) -> Iterator[str]:
    """Names of the telemetry's error rates."""
    for basis in protocol.bases:
        yield f"qber {basis}"
        for intensity in protocol.intensities:
            yield f"qber {basis} {intensity}"


def _longest_message_s(scenario: Scenario) -> float:
    """What a block's longest message may take on the wire: a bit for each pulse, and one more for what is said of those that clicked."""
    return 2.0 * scenario.link.block_pulses / scenario.classical.bandwidth


def _raman(link: Link) -> float:
    """Photons per gate that other channels in the fibre scatter into Bob's receiver."""
    others = link.coexistence
    if others is None:
        return 0.0
    noise = RamanNoise(
        others.forward, others.backward, link.length, others.cross_section, link.attenuation, others.filter_nm
    )
    return noise.photons_per_gate(link.detector.gate or 1.0 / link.pulse_rate)


class _Builder:
    def __init__(self, scenario: Scenario, fabric: Fabric, streams: Streams) -> None:
        self.scenario = scenario
        self.env = simpy.Environment()
        self.streams = streams
        self.recorder = Recorder(self.env)
        self.fabric = fabric
        self.preshared = random_bits(scenario.keys.preshared, streams("preshared"))
        self.lesson = lesson(scenario, streams) if scenario.queries is not None else None
        self.layout = layout_of(scenario, self.lesson)
        self.gateways = {host: Gateway(host, self.recorder) for host in ("alice", "bob")}
        self.channels: list[ClassicalChannel] = []

    def build(self) -> Range:
        scenario, env, streams = self.scenario, self.env, self.streams
        to_bob, to_alice = self._channel("alice", "bob"), self._channel("bob", "alice")
        keys = self._key_managers("kme-alice", "kme-bob", self.recorder)
        pools = self._pools()
        link = self._link("alice")

        eve = self._eve()
        at_bobs = self._post("bob", "alice", to_alice.send, keys[1], pools[1], "bob", self.recorder)
        at_alices = self._post("alice", "bob", to_bob.send, keys[0], pools[0], "alice", self.recorder)
        middle = link.protocol.entangled and scenario.link.source.position == "middle"
        alice: Alice
        bob: Bob
        if isinstance(link.protocol, MDI):
            alices_fibre, bobs_fibre = self._relay(link, eve)
            alice = RelayedAlice(at_alices, link, alices_fibre.send)
            bob = RelayedBob(at_bobs, link, bobs_fibre.send, link.protocol.flips)
        else:
            bob = Bob(at_bobs, link)
            light = None if middle else QuantumChannel(env, self.fabric, "alice", "bob", bob.on_train).send
            alice = Alice(at_alices, link, light)
        self.gateways["alice"].route({"alice": alice.on_envelope})
        self.gateways["bob"].route({"bob": bob.on_envelope})
        self.fabric.attach({"eve": eve})
        inference = (
            None
            if self.lesson is None
            else inference_side(
                Around(
                    env,
                    streams,
                    scenario,
                    self.recorder,
                    self.layout,
                    link.receiver,
                    keys,
                    to_bob,
                    to_alice,
                    self.gateways,
                    self._wired,
                    self._conditions,
                    self._registers,
                ),
                self.lesson,
            )
        )

        def begin() -> None:
            if middle:
                ways = (("alice", alice.on_train), ("bob", bob.on_train))
                fibres = [QuantumChannel(env, self.fabric, "source", end, on_train) for end, on_train in ways]
                source = PairSource(
                    env, self._link("source").emitter, fibres[0], fibres[1], streams("source")
                )
                env.process(source.run(link.block_pulses, scenario.duration))
            env.process(alice.run(scenario.duration))
            if isinstance(bob, RelayedBob):
                env.process(bob.run(scenario.duration))
            if inference is not None:
                inference.begin(env)

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
            inference,
            self.layout,
            tuple(self.channels),
            streams,
        )

    def _relay(self, link: LinkParameters, eve: Eve) -> tuple[QuantumChannel, QuantumChannel]:
        """Charlie in the middle, who may be Eve's; the fibres to him from Alice and from Bob."""
        env, visibility = self.env, self.scenario.link.source.visibility
        bench = Bench(
            BellAnalyser.of(link.receiver, visibility), link.receiver, self.streams(f"{RELAY}/detectors")
        )
        tell = [(whom, self._channel(RELAY, whom).send) for whom in ("alice", "bob")]
        charlie = Charlie(env, RELAY, bench, tell, eve)
        return (
            QuantumChannel(env, self.fabric, "alice", RELAY, charlie.on_alices_train),
            QuantumChannel(env, self.fabric, "bob", RELAY, charlie.on_bobs_train),
        )

    def _link(self, host: str) -> LinkParameters:
        """The link's parameters, with the source that stands at `host`."""
        link, defences = self.scenario.link, self.scenario.defences
        return LinkParameters(
            protocol=protocol_of(link),
            block_pulses=link.block_pulses,
            emitter=self._emitter(host),
            receiver=receiver_of(self.scenario),
            test_fraction=link.test_fraction,
            thresholds=AbortThresholds(
                defences.abort_above_qber,
                defences.abort_below_chsh,
                alarm=defences.alarm is not None and defences.alarm.abort,
            ),
            security=Security(link.security.epsilon_sec, link.security.epsilon_cor),
            timeout_s=self.scenario.classical.timeout + _longest_message_s(self.scenario),
            forward_share=self.layout.forward_share,
            reconciliation=reconciliation_of(self.scenario),
        )

    def _emitter(self, host: str) -> Emitter:
        """The source that stands at `host`."""
        link = self.scenario.link
        weak, source = link.source.kind == "weak-coherent", link.source
        single = weak and len(source.intensities) == 1
        return Emitter(
            link.pulse_rate,
            source.visibility,
            self.fabric.qubits(host) if link.grain == "qubit" else None,
            intensities=source.intensities if weak else (),
            probabilities=(1.0,) if single else source.probabilities if weak else (),
            fluctuation=source.fluctuation if weak else 0.0,
            sampled=link.grain == "sampled",
            pair_mean=source.pair_mean if source.kind == "spdc" else None,
        )

    def _alarm(self, name: str) -> SequentialAlarm | None:
        """Watches one side's telemetry; None where nobody does."""
        alarm = self.scenario.defences.alarm
        if alarm is None:
            return None
        parameters = AlarmParameters(
            alarm.false_alarm_rate / 2,  # the two sides share the rate
            alarm.calibration_blocks,
            alarm.tolerance,
            tolerances=dict.fromkeys(_error_counters(protocol_of(self.scenario.link)), 4 * alarm.tolerance),
            references=self._references(name, alarm.tolerance),
        )
        return SequentialAlarm(parameters)

    def _references(self, name: str, tolerance: float) -> dict[str, tuple[float, float]]:
        """What is known of a side's instruments before the first block."""
        known = dict.fromkeys(SILENT, (0.0, _SILENCE))
        if name == "alice":
            return {**known, INCOMING: POWER_MONITOR.reference(tolerance=tolerance, spurious=_SILENCE)}
        link, route = self._link(name), ("alice", "bob")
        if link.protocol.entangled or self.scenario.link.relayed:
            return known
        source = link.emitter.source(link.protocol.states, link.protocol.alice_choice)
        law = honest(
            source,
            self.fabric.topology.transmittance(*route),
            self.scenario.link.misalignment,
            link.receiver,
            link.protocol.bob_choice,
        )
        return references(law, link.receiver, tolerance=tolerance, spurious=_SILENCE)

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
        watched = observer is self.recorder
        alarm = self._alarm(name) if watched else None
        entrance = self._entrance() if watched and name == "alice" else None
        return Post(self.env, name, peer, send, keys, pool, self.streams, role, observer, alarm, entrance)

    def _entrance(self) -> Entrance | None:
        """Where light may come into Alice's source; None where nothing watches it."""
        if not self.scenario.defences.power_monitor:
            return None
        incoming = [
            (_window(entry.at, entry.until), entry.action.incoming_photons)
            for entry in self.scenario.timeline
            if isinstance(entry.action, TrojanHorse)
        ]
        return Entrance(
            POWER_MONITOR, incoming, self.scenario.link.pulse_rate, self.streams("alice/power monitor")
        )

    def _key_managers(self, one: str, other: str, observer: Observer) -> tuple[KeyManager, KeyManager]:
        latency_s = self.scenario.keys.request_latency
        return (
            KeyManager(self.env, one, other, "forward", latency_s, observer),
            KeyManager(self.env, other, one, "reverse", latency_s, observer),
        )

    def _pools(self) -> tuple[TagKeys, TagKeys]:
        if not self.scenario.defences.authentication:
            return NoTagKeys(), NoTagKeys()
        return (
            AuthenticationPool(self.preshared, alice=True, reserve_bits=self.scenario.keys.reserve),
            AuthenticationPool(self.preshared, alice=False),
        )

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

    def _registers(self, on_train: Callable[[Train], None]) -> Callable[[Train], None]:
        """The fibre from Alice's site to the server's, for questions that are light."""
        return QuantumChannel(self.env, self.fabric, "alice", "bob", on_train).send

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
        alices, bobs = self._forged_pools()
        site_of_alice, _ = self._key_managers("kme-eve", "kme-bob", deaf)
        _, site_of_bob = self._key_managers("kme-alice", "kme-eve", deaf)
        as_alice = Alice(
            self._post("alice", "bob", to_bob.send, site_of_alice, alices, "eve/alice", deaf),
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
            self._post("bob", "alice", to_alice.send, site_of_bob, bobs, "eve/bob", deaf),
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
            self._surroundings(link),
        )

    def _forged_pools(self) -> tuple[TagKeys, TagKeys]:
        """What her two faces make tags from: the pre-shared key as far as she knows it, and guesses."""
        rng, defences = self.streams("eve/tags"), self.scenario.defences
        actions = [entry.action for entry in self.scenario.timeline]
        known = max((a.known_preshared for a in actions if isinstance(a, Impersonate)), default=0.0)
        if not known or not defences.authentication:
            return ForgedTagKeys(rng), ForgedTagKeys(rng)
        hers = self.preshared.copy()
        unknown = rng.random(len(hers)) >= known
        hers[unknown] = random_bits(int(np.sum(unknown)), rng)
        return AuthenticationPool(hers, alice=True), AuthenticationPool(hers, alice=False)

    def _surroundings(self, link: LinkParameters) -> Surroundings:
        """What is public of the link."""
        topology, detector = self.fabric.topology, self.scenario.link.detector
        ends = "alice", "bob"
        if self.scenario.link.relayed:  # she is on one of two ways to the detectors
            near = self.scenario.eve.position <= self.scenario.link.length / 2
            ends = ("alice" if near else "bob"), RELAY
        return Surroundings(
            states=link.protocol.states,
            choice=link.protocol.alice_choice,
            receiver_choice=link.protocol.bob_choice,
            numbers=link.emitter.numbers(),
            intensities=link.emitter.intensities,
            before=topology.transmittance(ends[0], "eve"),
            behind=topology.transmittance("eve", ends[1]),
            efficiency=link.receiver.efficiency * link.receiver.gated_share,
            dark_counts=float(link.receiver.response().noise.mean()),
            misalignment=self.scenario.link.misalignment,
            timing_mismatch=detector.timing_mismatch,
            attenuated_share=link.receiver.attenuated_share,
            attenuation=link.receiver.attenuation,
            isolation_db=self.scenario.link.source.isolation,
        )


def _window(at_s: float, until_s: float | None) -> Window:
    return Window(at_s, math.inf if until_s is None else until_s)
