"""The inference side of the range: clients, attackers among them, canaries, the server and what its model goes through."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.channel import ChannelParameters, ClassicalChannel, Conditions
from netsim.errors import ScenarioError
from netsim.photonics.detector import Receiver
from netsim.photonics.train import Train
from netsim.random_streams import Streams
from netsim.window import Window
from nodes.attacks.asking import Asking, HostileHost, early_stopping
from nodes.attacks.classical import ExhaustKeys
from nodes.attacks.environment import DriftData, SlowServer
from nodes.attacks.model import Poisoning
from nodes.client import Client, Workload
from nodes.gateway import Gateway
from nodes.intruder import Intruder
from nodes.kme import KeyManager
from nodes.modes import AskingMode
from nodes.qml.answers import AnswerPolicy
from nodes.qml.canaries import CanaryTest
from nodes.qml.datasets import DataSet
from nodes.qml.drift import drifted
from nodes.qml.ensemble import Ensemble
from nodes.qml.expansion import Expansion
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.query_modes import Deployed
from nodes.qml.strategy import Classifier
from nodes.quantum_modes import NoModel, RegisterBench
from nodes.queries import QueryFormat, QueryRecord
from nodes.question_modes import QuestionMode
from nodes.questions import Changing, Drifting, Pool, Questions
from nodes.server import Answering, Capacity, Server
from scenarios.courier import Courier
from scenarios.inference import Lesson
from scenarios.recorder import Recorder
from scenarios.responder import Responder
from scenarios.schema import Scenario, TimelineEntry

_LAN_BANDWIDTH_BPS = 1e9
_REGISTER_RATE_HZ = 1e6  # qubits a second of a question that travels as light


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What the link's side of the range lends to this one.

    Attributes:
        env: the simulation.
        streams: named randomness.
        scenario: what is asked for.
        recorder: of the run.
        layout: of queries and answers.
        receiver: the detectors at Bob's site.
        keys: the two key managers, Alice's site first.
        to_bob: from Alice's site to Bob's, and
        to_alice: back.
        gateways: of the two sites.
        wired: makes a classical channel.
        conditions: what the timeline does to a hop.
        registers: a fibre for questions that are light, to whoever takes them.
    """

    env: simpy.Environment
    streams: Streams
    scenario: Scenario
    recorder: Recorder
    layout: QueryFormat
    receiver: Receiver
    keys: tuple[KeyManager, KeyManager]
    to_bob: ClassicalChannel
    to_alice: ClassicalChannel
    gateways: Mapping[str, Gateway]
    wired: Callable[[str, str, Gateway, ChannelParameters], ClassicalChannel]
    conditions: Callable[[str], tuple[Conditions, ...]]
    registers: Callable[[Callable[[Train], None]], Callable[[Train], None]]


CANARY_TEST = CanaryTest(good=0.12, bad=0.3, false_alarm=1e-3, horizon=10_000)
"""A model that errs in 12 % of the canaries is all right, one that errs in 30 % is to be found soon: at most one false alarm in a
thousand runs of ten thousand canaries."""

DISAGREEMENT = 0.3
"""Share of an ensemble's members against its answer from which on a question is doubted."""

CANARY_ALARM = "canary: known answers come out wrong"


def mode_of(scenario: Scenario) -> QuestionMode:
    """How questions travel; as they usually do where nobody asks."""
    queries, dead_time_s = scenario.queries, scenario.link.detector.dead_time
    if queries is None:
        return QuestionMode()
    return QuestionMode(
        queries.mode,
        queries.copies,
        queries.estimator,
        queries.per_pad,
        queries.pads == "key",
        min(_REGISTER_RATE_HZ, 1.0 / dead_time_s if dead_time_s else math.inf),
    )


def layout_of(scenario: Scenario, learnt: Lesson | None) -> QueryFormat:
    """Sizes of query and answer; the number of support vectors may decide."""
    server, mode = scenario.server, mode_of(scenario)
    known = deployed(learnt) if learnt is not None and mode.quantum else None
    if known is not None:
        _require_registers(mode, known, server.training.features)
    layout = mode.layout(server.training.features, scenario.defences.query_mac, server.answers, known)
    if layout.answer_key_bits > KeyManager.MAX_KEY_SIZE:
        fault = (
            f"queries.estimator: got kernel, whose answers take {layout.answer_key_bits} bits of key in one piece, an estimate for each "
            f"support vector; expected at most {KeyManager.MAX_KEY_SIZE}, what a KME hands out at once: fewer samples, or observable"
        )
        raise ScenarioError([fault])
    return layout


def _require_registers(mode: QuestionMode, model: Deployed, features: int) -> None:
    """What only the trained model can tell: how many registers a question takes at least."""
    if isinstance(model, Expansion) and mode.estimator == "kernel":
        needed, what = len(model.weights), "support vector"
    else:
        needed, what = (2**features, "eigenstate") if mode.name == "same-pad" else (1, "question")
    if mode.copies < needed:
        raise ScenarioError(
            [f"queries.copies: got {mode.copies}, expected at least {needed}: one for each {what}"]
        )


def deployed(learnt: Lesson) -> Deployed:
    """The served model, which the quantum modes need to be a kernel machine."""
    model = learnt.served
    if not isinstance(model, QuantumSVM | Expansion):
        raise ScenarioError(
            [
                f"queries.mode: the training set was left with one label, and {model!r} has no states to compare"
            ]
        )
    return model


class Canary:
    """Questions with known answers: what their client's records say of the model.

    Args:
        test: the sequential test of their errors.
        recorder: alarmed.
        now_s: the time.

    Attributes:
        alarm_s: when the test alarmed; None if it did not.
    """

    def __init__(self, test: CanaryTest, recorder: Recorder, now_s: Callable[[], float]) -> None:
        self._test = test
        self._total = 0.0
        self._recorder = recorder
        self._now_s = now_s
        self.asked = self.answered = self.wrong = 0
        self.alarm_s: float | None = None

    def on_settled(self, query: QueryRecord) -> None:
        """A canary has come back, or not."""
        self.asked += 1
        if query.answer is None:
            return
        self.answered += 1
        self.wrong += query.answer != query.truth
        self._total = self._test.after(self._total, query.answer != query.truth)
        if self.alarm_s is None and self._total > self._test.threshold:
            self.alarm_s = self._now_s()
            self._recorder.alarm("canary", CANARY_ALARM)

    def figures(self) -> dict[str, float | None]:
        """For the summary."""
        return {
            "asked": self.asked,
            "answered": self.answered,
            "wrong": self.wrong,
            "alarm_s": self.alarm_s,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Inference:
    """The inference side, ready to run, and what the referee may look at.

    Attributes:
        lesson: what the model learns.
        server: who answers.
        clients: honest clients, the canaries' not among them.
        rogues: clients that only use up key.
        intruders: attackers that ask, each with its action.
        poisonings: what was done to the training set.
        canary: questions with known answers; None where nobody asks them.
        courier: the model's delivery; None where the server trains it itself.
        responder: the playbook; None without.
        policy: how answers are made.
        layout: of queries and answers.
        how: questions travel.
        others: processes that begin with the run.
    """

    lesson: Lesson
    server: Server
    clients: tuple[Client, ...]
    rogues: tuple[Client, ...]
    intruders: tuple[tuple[Asking, Intruder], ...]
    poisonings: tuple[Poisoning, ...]
    canary: Canary | None
    courier: Courier | None
    responder: Responder | None
    policy: AnswerPolicy
    layout: QueryFormat
    how: QuestionMode
    others: tuple[Client, ...]

    @property
    def everybody(self) -> tuple[Client, ...]:
        """All that ask: honest clients, rogues, attackers, canaries."""
        return (*self.clients, *self.rogues, *(intruder for _, intruder in self.intruders), *self.others)

    def begin(self, env: simpy.Environment) -> None:
        """Start every process."""
        env.process(self.server.run())
        for client in self.everybody:
            env.process(client.run())
        if self.courier is not None:
            self.courier.begin()

    def delivered(self) -> dict[str, Any] | None:
        """How the model came to the server, for the summary."""
        return self.courier.figures() if self.courier is not None else None

    def acted(self) -> dict[str, Any] | None:
        """What the playbook did, for the summary."""
        return self.responder.figures() if self.responder is not None else None

    def privacy_spent(self) -> float | None:
        """ε of all the answers of the client that got most, by basic composition; None without noise."""
        if self.policy.epsilon is None:
            return None
        return self.policy.spent(max(self.server.told.values(), default=0))


def inference_side(around: Surroundings, learnt: Lesson) -> Inference:
    """Everything that asks and answers, built and wired.

    Args:
        around: of a scenario with queries.
        learnt: what the model learns.
    """
    return _Builder(around, learnt).build()


class _Builder:
    def __init__(self, around: Surroundings, learnt: Lesson) -> None:
        assert around.scenario.queries is not None  # noqa: S101  the caller has looked
        self._around = around
        self._scenario = around.scenario
        self._queries = around.scenario.queries
        self._lesson = learnt
        self._how = mode_of(around.scenario)
        self._light: Callable[[Train], None] | None = None
        self._usual = self._questions()

    def build(self) -> Inference:
        around, scenario = self._around, self._scenario
        policy = AnswerPolicy(
            scenario.server.answers,
            scenario.defences.model.decimals,
            scenario.defences.model.noise,
        )
        server = self._server(policy)
        responder = self._responder()
        clients = tuple(
            self._client(number + 1, self._workload(), self._asked_by(number + 1), responder)
            for number in range(self._queries.clients)
        )
        numbers = itertools.count(self._queries.clients + 1)
        rogues = tuple(
            self._client(next(numbers), self._workload(entry, entry.action.rate), self._usual)
            for entry in scenario.timeline
            if isinstance(entry.action, ExhaustKeys)
        )
        intruders = tuple(
            (entry.action, self._intruder(next(numbers), entry, entry.action))
            for entry in scenario.timeline
            if isinstance(entry.action, Asking)
        )
        canary, asking = self._canary(next(numbers))
        everybody = (*clients, *rogues, *(intruder for _, intruder in intruders), *asking)
        for client in everybody:
            around.gateways["alice"].route({client.name: client.on_envelope})
            around.gateways["bob"].route({client.name: around.to_alice.send})
        return Inference(
            lesson=self._lesson,
            server=server,
            clients=clients,
            rogues=rogues,
            intruders=intruders,
            poisonings=tuple(e.action for e in scenario.timeline if isinstance(e.action, Poisoning)),
            canary=canary,
            courier=self._courier(server),
            responder=responder,
            policy=policy,
            layout=around.layout,
            how=self._how,
            others=asking,
        )

    def _server(self, policy: AnswerPolicy) -> Server:
        around, scenario = self._around, self._scenario
        lan = ChannelParameters(
            _LAN_BANDWIDTH_BPS, scenario.server.lan_latency, conditions=around.conditions("bob-server")
        )
        serves = self._how.serving(
            around.env,
            around.keys[1],
            around.layout,
            receiver=around.receiver,
            rng=around.streams("server/registers"),
        )
        if isinstance(serves, RegisterBench):
            self._light = around.registers(serves.on_train)
        back = around.wired("server", "bob", around.gateways["bob"], lan)
        server = Server(
            around.env,
            back.send,
            around.keys[1],
            self._capacity(),
            around.layout,
            self._train(),
            around.recorder,
            self._answering(policy),
            serves,
        )
        door = Gateway("server", around.recorder)
        door.route({"server": server.on_envelope})
        around.gateways["bob"].route({"server": around.wired("bob", "server", door, lan).send})
        return server

    def _train(self) -> Callable[[], Classifier] | None:
        """What the server does at 0 s; the client of `same-pad` has the model, and a server that is sent one waits for it."""
        if self._how.name == "same-pad":
            return NoModel
        return None if self._scenario.server.delivery is not None else lambda: self._lesson.served

    def _asking(self, number: int) -> AskingMode:
        """A client's side of the mode."""
        around = self._around
        return self._how.asking(
            around.env,
            around.keys[0],
            around.layout,
            light=self._light,
            model=deployed(self._lesson) if self._how.quantum else None,
            patience_s=self._scenario.defences.patience,
            own=around.streams(f"client-{number}/pads"),
        )

    def _answering(self, policy: AnswerPolicy) -> Answering:
        defences, rng = self._scenario.defences.model, self._around.streams("server/answers")
        measured = None
        if self._scenario.server.early_stopping:
            effort, shots = (
                early_stopping(constant=defences.constant_time),
                self._around.streams("server/shots"),
            )

            def measured(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
                found, batches = effort.measured(values, shots)
                return found, batches / effort.most

        return Answering(lambda values: policy.answer(values, rng), measured, self._doubted())

    def _doubted(self) -> Callable[[NDArray[np.float64]], NDArray[np.bool_]] | None:
        """An ensemble's members that disagree are a reason to look."""
        if self._scenario.defences.model.ensemble is None:
            return None

        def doubted(features: NDArray[np.float64]) -> NDArray[np.bool_]:
            model = self._lesson.served
            split = model.disagreement(features) if isinstance(model, Ensemble) else np.zeros(len(features))
            return np.asarray(split >= DISAGREEMENT)

        return doubted

    def _capacity(self) -> Capacity:
        server = self._scenario.server
        slowdowns = tuple(
            (_window(entry), entry.action.factor)
            for entry in self._scenario.timeline
            if isinstance(entry.action, SlowServer)
        )
        return Capacity(
            server.workers, server.service_time, server.queue, self._scenario.defences.patience, slowdowns
        )

    def _workload(self, entry: TimelineEntry | None = None, rate_hz: float | None = None) -> Workload:
        """A client's, or that of one who is there for an entry of the timeline and asks at even intervals."""
        queries, defences = self._queries, self._scenario.defences
        usual = Workload(
            queries.arrivals,
            queries.rate,
            queries.start,
            defences.query_budget,
            defences.patience,
            queries.timeout,
        )
        if entry is None or rate_hz is None:
            return usual
        until_s = math.inf if entry.until is None else entry.until
        return dataclasses.replace(
            usual, arrivals="periodic", rate_hz=rate_hz, start_s=entry.at, until_s=until_s
        )

    def _questions(self) -> Questions:
        """The test rows, drifting if the timeline says so."""
        return self._drifting(self._lesson.test)

    def _drifting(self, rows: DataSet) -> Questions:
        questions: Questions = Pool(rows)
        for entry in self._scenario.timeline:
            if isinstance(entry.action, DriftData):
                end_s = self._scenario.duration if entry.until is None else entry.until
                questions = Drifting(questions, entry.at, self._drift(entry.action, end_s - entry.at))
        return questions

    def _drift(
        self, action: DriftData, over_s: float
    ) -> Callable[[NDArray[np.float64], float], NDArray[np.float64]]:
        """Along the line from the mean of class 1 to that of class 0: where it hurts."""
        test = self._lesson.test
        zero, one = (test.features[test.labels == label].mean(axis=0) for label in (0, 1))
        direction = zero - one

        def moved(rows: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
            return drifted(rows, action.amount * min(1.0, seconds / over_s), direction)

        return moved

    def _asked_by(self, number: int) -> Questions:
        """What a client asks; where a host turns hostile, its traffic is all of class 1 then, and all else of class 0."""
        hostile = [
            (_window(entry), entry.action)
            for entry in self._scenario.timeline
            if isinstance(entry.action, HostileHost)
        ]
        if not hostile:
            return self._usual
        test = self._lesson.test
        benign, attack = (
            self._drifting(DataSet(test.features[test.labels == label], test.labels[test.labels == label]))
            for label in (0, 1)
        )
        return Changing(benign, [(window, attack) for window, action in hostile if action.client == number])

    def _client(
        self, number: int, workload: Workload, questions: Questions, responder: Responder | None = None
    ) -> Client:
        around = self._around
        client = Client(
            around.env,
            number,
            around.to_bob.send if responder is None else responder.send,
            around.keys[0],
            workload,
            around.layout,
            questions,
            around.streams(f"client-{number}"),
            around.recorder,
            None if responder is None else responder.on_settled,
            self._asking(number),
        )
        if responder is not None:
            responder.watch(client)
        return client

    def _intruder(self, number: int, entry: TimelineEntry, action: Asking) -> Intruder:
        around = self._around
        stream = f"eve/{action.verb}/{number}"
        return Intruder(
            around.env,
            number,
            around.to_bob.send,
            around.keys[0],
            self._workload(entry, action.rate),
            around.layout,
            self._usual,
            around.streams(f"client-{number}"),
            around.recorder,
            lambda: action.strategy(self._lesson.known(), self._lesson.candidates(), around.streams(stream)),
            self._asking(number),
        )

    def _responder(self) -> Responder | None:
        wanted, around = self._scenario.defences.playbook, self._around
        if wanted is None:
            return None

        classical = self._scenario.classical
        # The other way: of the same kind, longer, and without what the timeline does to the first; Eve sits on both.
        detour = around.wired(
            "alice",
            "bob",
            around.gateways["bob"],
            ChannelParameters(
                classical.bandwidth,
                classical.latency + wanted.detour_latency,
                classical.jitter,
                classical.loss,
            ),
        )
        return Responder(around.env, wanted, around.keys, around.to_bob.send, detour.send, around.recorder)

    def _courier(self, server: Server) -> Courier | None:
        wanted, around = self._scenario.server.delivery, self._around
        if wanted is None:
            return None
        return Courier(
            around.env,
            around.streams,
            wanted,
            self._lesson,
            around.keys,
            around.to_bob,
            around.gateways["bob"],
            server,
            around.recorder,
        )

    def _canary(self, number: int) -> tuple[Canary | None, tuple[Client, ...]]:
        """Rows that the operator has labels of, asked among the others, as the traffic is at the time."""
        rate_hz = self._scenario.defences.model.canaries
        if rate_hz is None:
            return None, ()
        canary = Canary(CANARY_TEST, self._around.recorder, lambda: self._around.env.now)
        workload = dataclasses.replace(self._workload(), rate_hz=rate_hz, budget=None)
        around = self._around
        client = Client(
            around.env,
            number,
            around.to_bob.send,
            around.keys[0],
            workload,
            around.layout,
            self._usual,
            around.streams("canary"),
            around.recorder,
            canary.on_settled,
            self._asking(number),
        )
        return canary, (client,)


def _window(entry: TimelineEntry) -> Window:
    return Window(entry.at, math.inf if entry.until is None else entry.until)
