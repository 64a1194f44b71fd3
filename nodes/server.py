"""The inference server at Bob's site: opens queries, classifies, seals answers."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import KeyExhausted, KeyUnavailable, MalformedMessage, SealBroken
from netsim.keys.one_time_pad import seal
from netsim.messages import Answer, Envelope, Query, decode
from netsim.window import Window
from nodes.kme import KeyManager
from nodes.modes import OneTimePad, ServingMode
from nodes.observer import Observer
from nodes.qml.strategy import Classifier
from nodes.queries import QueryFormat


@dataclasses.dataclass(frozen=True)
class Answering:
    """How a decision value becomes an answer.

    Attributes:
        answers: decision values float64[n] → what is told, float64[n]: classes 0 and 1, or values.
        measured: decision values float64[n] → what is found of them, float64[n], and the share of the service time that
            each takes, float64[n]; None for the values themselves and all of the time.
        doubted: features float64[n, d] → bool[n], whether a question looks odd; None where nobody looks.
    """

    answers: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    measured: Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]] | None = None
    doubted: Callable[[NDArray[np.float64]], NDArray[np.bool_]] | None = None


def labels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The class of each decision value, as float64[n]: 1 where it is positive."""
    return (values > 0.0).astype(np.float64)


@dataclasses.dataclass(frozen=True)
class Capacity:
    """How much the server can do.

    Attributes:
        workers: queries served at a time.
        service_s: time for one.
        queue: how many may wait.
        patience_s: how long an answer waits for key.
        slowdowns: factors on the service time, each in its window.
    """

    workers: int
    service_s: float
    queue: int
    patience_s: float
    slowdowns: tuple[tuple[Window, float], ...] = ()

    def service_now_s(self, t_s: float) -> float:
        """Service time of a query begun at `t_s`."""
        factors = [factor for window, factor in self.slowdowns if window.covers(t_s)]
        return self.service_s * float(np.prod(factors))


class Server:
    """The server.

    Args:
        env: the simulation.
        send: puts an envelope on its way back.
        keys: the KME of Bob's site.
        capacity: how much it can do.
        layout: sizes of query and answer.
        train: makes the model; called when the simulation begins. None where it is delivered later.
        observer: told of rejections.
        answering: how decision values become answers; if left out as the layout says, exactly.
        mode: how questions travel; `otp` if left out.

    Attributes:
        model: what classifies; None until it is trained or delivered.
        model_since_s: since when.
        told: answers, by client.
        doubts: questions that looked odd.
    """

    name = "server"

    def __init__(
        self,
        env: simpy.Environment,
        send: Callable[[Envelope], None],
        keys: KeyManager,
        capacity: Capacity,
        layout: QueryFormat,
        train: Callable[[], Classifier] | None,
        observer: Observer,
        answering: Answering | None = None,
        mode: ServingMode | None = None,
    ) -> None:
        self._env = env
        self._send = send
        self._keys = keys
        self._capacity = capacity
        self._layout = layout
        self._train = train
        self._answering = answering or Answering(labels if layout.answers == "label" else np.asarray)
        self._mode: ServingMode = OneTimePad(keys, layout) if mode is None else mode
        self.model: Classifier | None = None
        self.model_since_s: float | None = None
        self._observer = observer
        self._workers = simpy.Resource(env, capacity.workers)
        self._seen: set[tuple[int, int]] = set()
        self.rejections: collections.Counter[str] = collections.Counter()
        self.rejected_queries: dict[tuple[int, int], str] = {}
        self.told: collections.Counter[int] = collections.Counter()
        self.doubts: collections.Counter[int] = collections.Counter()

    def run(self) -> Generator[simpy.Event, Any, None]:
        """Train the model: the server's first act."""
        yield self._env.timeout(0)
        if self._train is not None:
            self.install(self._train())

    def install(self, model: Classifier) -> None:
        """Answer with this model from now on."""
        self.model, self.model_since_s = model, self._env.now

    def on_envelope(self, envelope: Envelope) -> None:
        """What may be a query has arrived."""
        self._env.process(self._serve(envelope))

    def _serve(self, envelope: Envelope) -> Generator[simpy.Event, Any, None]:
        try:
            query = decode(envelope.body)
        except MalformedMessage:
            self._reject("malformed_message")
            return
        if not isinstance(query, Query):
            self._reject("malformed_message")
            return
        try:
            question = yield from self._mode.open(query)
        except KeyUnavailable:
            self._reject_unopened("unknown or spent key", query)
            return
        except SealBroken:
            self._reject_unopened("mac", query)
            return
        if (query.client, query.sequence) in self._seen:
            self._reject_unopened("replay", query)
            return
        self._seen.add((query.client, query.sequence))
        if len(self._workers.queue) >= self._capacity.queue and self._workers.count >= self._capacity.workers:
            self._reject("queue full", query)
            return
        if self.model is None:
            self._reject("no model", query)
            return
        if not self._mode.fits(question):
            self._reject("malformed query", query)
            return
        with self._workers.request() as worker:
            yield worker
            told = yield from self._classify(self.model, question, query.client)
        if told is None:
            self._reject("registers lost", query)
        else:
            yield from self._tell(query, told)

    def _tell(self, query: Query, told: bytes) -> Generator[simpy.Event, Any, None]:
        """Seal an answer and send it."""
        try:
            (key,) = yield from self._keys.enc_keys(
                size=self._layout.answer_key_bits, patience_s=self._capacity.patience_s
            )
        except KeyExhausted:
            self._reject("no key for the answer", query)
            return
        blank = Answer(query.client, query.sequence, key.key_id.bytes, b"")
        answer = dataclasses.replace(blank, sealed=seal(told, blank.header(), key.bits, self._layout.mac))
        self.told[query.client] += 1
        self._send(
            Envelope(self.name, f"client-{query.client}", Envelope.QUERIES, query.sequence, answer.encode())
        )

    def _classify(
        self, model: Classifier, question: Any, client: int
    ) -> Generator[simpy.Event, Any, bytes | None]:
        """The answer, after the time that it takes; None if too little of the question arrived."""
        found = self._mode.find(model, question)
        values, features = found.values, found.features
        service_s = self._capacity.service_now_s(self._env.now)
        if self._answering.measured is not None:
            values, shares = self._answering.measured(values)
            service_s *= float(shares[0])
        yield self._env.timeout(service_s)
        if np.isnan(found.values).any():
            return None
        doubted = self._answering.doubted
        if doubted is not None and features is not None and doubted(features)[0]:
            self.doubts[client] += 1
            self._observer.event(self.name, "query_doubted", client=client)
        return self._mode.pack(values, self._answering.answers)

    def _reject_unopened(self, reason: str, query: Query) -> None:
        """Reject what only claims to be a client's query; a copy of one that was opened says nothing about that one."""
        self._reject(reason, None if (query.client, query.sequence) in self._seen else query)

    def _reject(self, reason: str, query: Query | None = None) -> None:
        self.rejections[reason] += 1
        if query is not None:
            self.rejected_queries.setdefault((query.client, query.sequence), reason)
        self._observer.event(self.name, "query_rejected", reason=reason)
        if reason in _ALARMING:
            self._observer.alarm(self.name, reason)


_ALARMING: Sequence[str] = ("mac", "unknown or spent key", "replay", "malformed_message")
