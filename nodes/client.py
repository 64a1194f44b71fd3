"""A client at Alice's site: seals queries with key from its KME, sends them, opens the answers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator
from typing import Any, Literal

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import KeyExhausted, KeyUnavailable, MalformedMessage, SealBroken
from netsim.keys.one_time_pad import unseal
from netsim.messages import Answer, Envelope, Query, decode
from nodes.kme import KeyManager, key_named
from nodes.modes import AskingMode, OneTimePad
from nodes.observer import Observer
from nodes.qml import fixed_point
from nodes.queries import QueryFormat, QueryRecord
from nodes.questions import Questions


@dataclasses.dataclass(frozen=True)
class Workload:
    """When a client asks, and how long it waits.

    Attributes:
        arrivals: "poisson" (independent) or "periodic".
        rate_hz: queries per second.
        start_s: of the first interval.
        budget: queries in all; None for any number.
        patience_s: how long a query waits for key.
        timeout_s: an answer later than this after sending is lost.
        until_s: it asks no more from then on.
    """

    arrivals: Literal["poisson", "periodic"]
    rate_hz: float
    start_s: float
    budget: int | None
    patience_s: float
    timeout_s: float
    until_s: float = math.inf


class Client:
    """One client.

    Args:
        env: the simulation.
        number: of the client, from 1; its name is `client-NUMBER`.
        send: puts an envelope on its way.
        keys: the KME of its site.
        workload: when it asks.
        layout: sizes of query and answer.
        questions: what it asks, and the right answers.
        rng: arrivals and choice of question.
        observer: told of what the client rejects.
        settled: told of each query when it is over, whatever became of it.
        mode: how its questions travel; `otp` if left out.

    Attributes:
        isolated: asks nothing while this is set.
    """

    def __init__(
        self,
        env: simpy.Environment,
        number: int,
        send: Callable[[Envelope], None],
        keys: KeyManager,
        workload: Workload,
        layout: QueryFormat,
        questions: Questions,
        rng: np.random.Generator,
        observer: Observer,
        settled: Callable[[QueryRecord], None] | None = None,
        mode: AskingMode | None = None,
    ) -> None:
        self._env = env
        self.number = number
        self.name = f"client-{number}"
        self._send = send
        self._keys = keys
        self._workload = workload
        self._layout = layout
        self._questions = questions
        self._rng = rng
        self._settled = settled
        self._mode: AskingMode = OneTimePad(keys, layout) if mode is None else mode
        self.isolated = False
        self._observer = observer
        self._pending: dict[int, tuple[QueryRecord, simpy.Event]] = {}
        self.queries: list[QueryRecord] = []

    def run(self) -> Generator[simpy.Event, Any, None]:
        """Ask, at the workload's times, until the budget is spent."""
        yield self._env.timeout(self._workload.start_s)
        while self._workload.budget is None or len(self.queries) < self._workload.budget:
            mean_s = 1.0 / self._workload.rate_hz
            yield self._env.timeout(
                self._rng.exponential(mean_s) if self._workload.arrivals == "poisson" else mean_s
            )
            if self._env.now >= self._workload.until_s:
                return
            if not self.isolated:
                self.ask(*self._questions.draw(self._env.now, self._rng))

    def ask(self, features: NDArray[np.float64], truth: int) -> tuple[QueryRecord, simpy.Event]:
        """Ask one question, now: its record, and an event for when it is over."""
        plaintext = fixed_point.encode(features)
        query = QueryRecord(self.number, len(self.queries), self._env.now, plaintext, truth)
        self.queries.append(query)
        return query, self._env.process(self._ask(query))

    def _ask(self, query: QueryRecord) -> Generator[simpy.Event, Any, None]:
        yield from self._asked(query)
        if self._settled is not None:
            self._settled(query)

    def _asked(self, query: QueryRecord) -> Generator[simpy.Event, Any, None]:
        try:
            (key,) = yield from self._keys.enc_keys(
                size=self._layout.query_key_bits, patience_s=self._workload.patience_s
            )
            blank = Query(self.number, query.sequence, key.key_id.bytes, b"")
            sealed = yield from self._mode.seal(query, blank, key)
        except KeyExhausted:
            query.status = "gave up"
            return
        message = dataclasses.replace(blank, sealed=sealed)
        query.sent_s = self._env.now
        done = self._env.event()
        self._pending[query.sequence] = (query, done)
        self._send(Envelope(self.name, "server", Envelope.QUERIES, query.sequence, message.encode()))
        yield done | self._env.timeout(self._workload.timeout_s)
        del self._pending[query.sequence]
        if not done.triggered:
            query.status = "lost"

    def on_envelope(self, envelope: Envelope) -> None:
        """What may be an answer has arrived."""
        self._env.process(self._open(envelope))

    def _open(self, envelope: Envelope) -> Generator[simpy.Event, Any, None]:
        try:
            answer = decode(envelope.body)
        except MalformedMessage:
            answer = None
        # Envelopes are nobody's word: an answer to another client's query, sent here, has a MAC that fits.
        if (
            not isinstance(answer, Answer)
            or answer.client != self.number
            or answer.sequence not in self._pending
        ):
            self._observer.event(self.name, "answer_ignored")
            return
        query, done = self._pending[answer.sequence]
        try:
            key_id = key_named(answer.key_id, self._layout.answer_key_bits)
            (key,) = yield from self._keys.dec_keys([key_id])
            plaintext = unseal(answer.sealed, answer.header(), key.bits, self._layout.mac)
        except (KeyUnavailable, SealBroken) as error:
            if query.status == "pending" and not done.triggered:
                query.status = "rejected"
                query.reason = "answer: mac" if isinstance(error, SealBroken) else "answer: unknown key"
                self._observer.alarm(self.name, query.reason)
                done.succeed()
            return
        if query.status == "pending" and not done.triggered:
            query.say(self._mode.read(plaintext), self._layout.answers, self._env.now)
            done.succeed()
