"""The inference server at Bob's site: opens queries, classifies, seals answers."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import KeyExhausted, KeyUnavailable, MalformedMessage, SealBroken
from netsim.keys.one_time_pad import seal, unseal
from netsim.messages import Answer, Envelope, Query, decode
from netsim.window import Window
from nodes.kme import KeyManager, key_named
from nodes.observer import Observer
from nodes.qml import fixed_point
from nodes.queries import QueryFormat


class Classifier(Protocol):
    """A trained model."""

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """The class of each row. float64[n, d] in [0, 1] → int64[n]."""


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
        train: makes the model; called when the simulation begins.
        observer: told of rejections.
    """

    name = "server"

    def __init__(
        self,
        env: simpy.Environment,
        send: Callable[[Envelope], None],
        keys: KeyManager,
        capacity: Capacity,
        layout: QueryFormat,
        train: Callable[[], Classifier],
        observer: Observer,
    ) -> None:
        self._env = env
        self._send = send
        self._keys = keys
        self._capacity = capacity
        self._layout = layout
        self._train = train
        self._model: Classifier | None = None
        self._observer = observer
        self._workers = simpy.Resource(env, capacity.workers)
        self._seen: set[tuple[int, int]] = set()
        self.rejections: collections.Counter[str] = collections.Counter()
        self.rejected_queries: dict[tuple[int, int], str] = {}

    def run(self) -> Generator[simpy.Event, Any, None]:
        """Train the model: the server's first act."""
        yield self._env.timeout(0)
        self._model = self._train()

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
            plaintext = yield from self._open(query)
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
        with self._workers.request() as worker:
            yield worker
            yield self._env.timeout(self._capacity.service_now_s(self._env.now))
            features = np.array([fixed_point.decode(plaintext)])
            assert self._model is not None  # noqa: S101  trained at 0 s, before any query can arrive
            label = int(self._model.classify(features)[0])
        try:
            (key,) = yield from self._keys.enc_keys(
                size=self._layout.answer_key_bits, patience_s=self._capacity.patience_s
            )
        except KeyExhausted:
            self._reject("no key for the answer", query)
            return
        blank = Answer(query.client, query.sequence, key.key_id.bytes, b"")
        answer = dataclasses.replace(
            blank, sealed=seal(bytes([label]), blank.header(), key.bits, self._layout.mac)
        )
        self._send(
            Envelope(self.name, f"client-{query.client}", Envelope.QUERIES, query.sequence, answer.encode())
        )

    def _open(self, query: Query) -> Generator[simpy.Event, Any, bytes]:
        key_id = key_named(query.key_id, self._layout.query_key_bits)
        (key,) = yield from self._keys.dec_keys([key_id])
        return unseal(query.sealed, query.header(), key.bits, self._layout.mac)

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
