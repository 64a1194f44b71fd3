"""A client, a server and the network between them in a given query mode, on either fabric, with a tap in the middle."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import simpy

from netsim.channel import ChannelParameters, ClassicalChannel, QuantumChannel
from netsim.fabric.base import Fabric, Frame
from netsim.fabric.direct import DirectFabric
from netsim.photonics.detector import Receiver
from netsim.photonics.registers import Processor
from netsim.photonics.train import Train
from netsim.random_streams import RandomStreams, random_bits
from netsim.topology import Site, Topology
from nodes.client import Client, Workload
from nodes.gateway import Gateway
from nodes.kme import KeyManager
from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.expansion import Expansion
from nodes.qml.query_modes import Estimator, QueryModeName
from nodes.quantum_modes import NoModel, RegisterBench
from nodes.queries import AnswerForm, QueryRecord
from nodes.question_modes import QuestionMode
from nodes.questions import Pool
from nodes.server import Capacity, Server
from tests.nodes.harness import Tape

KEY_BITS = 2_000_000


@functools.cache
def machine(seed: int = 1) -> tuple[Expansion, DataSet]:
    """The paper's classifier and its test rows."""
    rng = np.random.default_rng(seed)
    train, test = split(two_clusters(200, 3.2, rng), 0.7, rng)
    return Expansion.trained(train), test


class Listener:
    """A tap that writes everything down and lets `meddle` at the light and `tamper` at the frames."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.light: list[Train] = []
        self.meddle: Callable[[Train, slice], None] = lambda *_: None
        self.tamper: Callable[[Frame], None] = lambda _: None

    def on_photons(self, train: Train, where: slice, receiver: str) -> None:  # noqa: ARG002  the interface's
        """Light passes."""
        self.light.append(train)
        self.meddle(train, where)

    def on_frame(self, frame: Frame) -> None:
        """A frame passes."""
        self.frames.append(frame.data)
        self.tamper(frame)


def network(kind: type[Fabric], streams: RandomStreams, length_km: float, misalignment: float) -> Fabric:
    """Alice, Eve halfway, Bob; the server behind him. Not started."""
    sites = [Site("alice", 0.0), Site("eve", length_km / 2), Site("bob", length_km)]
    return kind(Topology(sites, 0.2, misalignment, behind=[("bob", "server")]), streams("fibre"))


class Desk:
    """One client's questions in a query mode.

    Args:
        mode: of the questions.
        fabric: started already; None makes a direct one.
        registers: copies or pairs of a question.
        others: of the mode, the network and the workload.
    """

    def __init__(
        self,
        mode: QueryModeName,
        *,
        fabric: Fabric | None = None,
        seed: int = 1,
        length_km: float = 0.0,
        misalignment: float = 0.0,
        registers: int = 400,
        estimator: Estimator = "observable",
        per_pad: int = 1,
        pads_from_kme: bool = True,
        mac: bool = True,
        receiver: Receiver | None = None,
        processor: Processor | None = None,
        budget: int = 20,
        key_bits: int = KEY_BITS,
        answers: AnswerForm = "label",
    ) -> None:
        self.env = env = simpy.Environment()
        self.streams = streams = RandomStreams(seed)
        self.tape = tape = Tape(env)
        self.fabric = fabric or network(DirectFabric, streams, length_km, misalignment)
        self.eve = Listener()
        self.fabric.attach({"eve": self.eve})
        self.model, self.test = machine()
        gates = {host: Gateway(host, tape) for host in ("alice", "bob", "server")}

        def wired(sender: str, receiver: str) -> ClassicalChannel:
            rng = streams(f"channel/{sender}-{receiver}")
            return ClassicalChannel(
                env, self.fabric, sender, receiver, gates[receiver], ChannelParameters(), rng
            )

        self.keys = (
            KeyManager(env, "kme-alice", "kme-bob", "forward", 0.001, tape),
            KeyManager(env, "kme-bob", "kme-alice", "reverse", 0.001, tape),
        )
        how = QuestionMode(mode, registers, estimator, per_pad, pads_from_kme)
        self.layout = how.layout(2, mac, answers, self.model)
        serves = how.serving(
            env,
            self.keys[1],
            self.layout,
            receiver=receiver or Receiver(),
            rng=streams("server/registers"),
            processor=processor,
        )
        self.bench: Any = serves if isinstance(serves, RegisterBench) else None
        light = None
        if self.bench is not None:
            light = QuantumChannel(env, self.fabric, "alice", "bob", self.bench.on_train).send
        asks = how.asking(
            env,
            self.keys[0],
            self.layout,
            light=light,
            model=self.model,
            patience_s=1.0,
            own=streams("client-1/pads"),
        )
        to_bob, to_alice = wired("alice", "bob"), wired("bob", "alice")
        to_server, back = wired("bob", "server"), wired("server", "bob")
        self.server = Server(
            env,
            back.send,
            self.keys[1],
            Capacity(1, 0.002, 100, 1.0),
            self.layout,
            NoModel if mode == "same-pad" else lambda: self.model,
            tape,
            mode=serves,
        )
        load = Workload("periodic", 10.0, 0.0, budget, 1.0, 2.0)
        self.client = Client(
            env,
            1,
            to_bob.send,
            self.keys[0],
            load,
            self.layout,
            Pool(self.test),
            streams("client-1"),
            tape,
            mode=asks,
        )
        self.to_bob = to_bob
        gates["server"].route({"server": self.server.on_envelope})
        gates["bob"].route({"server": to_server.send, "client-1": to_alice.send})
        gates["alice"].route({"client-1": self.client.on_envelope})
        if key_bits:
            for issuing, fetching in (self.keys, self.keys[::-1]):
                bits = random_bits(key_bits, streams("key"))
                fetching.deposit_incoming(0, bits)
                issuing.deposit_outgoing(0, bits)
        env.process(self.server.run())
        env.process(self.client.run())

    def run(self, until_s: float = 30.0) -> Desk:
        """Let time pass."""
        self.env.run(until=until_s)
        return self

    @property
    def queries(self) -> list[QueryRecord]:
        """The client's queries."""
        return self.client.queries

    @property
    def statuses(self) -> list[str]:
        """What became of each."""
        return [query.status for query in self.queries]

    @property
    def right(self) -> float:
        """Share of right answers among those that came."""
        answered = [query for query in self.queries if query.status == "answered"]
        return float(np.mean([query.answer == query.truth for query in answered]))
