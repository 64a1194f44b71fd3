"""A client that is an attacker's: its questions are a strategy's, and the replies go back to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.messages import Envelope
from nodes.client import Client, Workload
from nodes.kme import KeyManager
from nodes.modes import AskingMode
from nodes.observer import Observer
from nodes.qml.strategy import Loot, Replies
from nodes.queries import QueryFormat, QueryRecord
from nodes.questions import Questions

UNKNOWN = 0
"""What its query records have as the right answer: an attacker has no use for one."""


_LARGEST_SCORE = 1e6  # far above any machine's decision value

_PATIENCE = 1000
"""Batches that a strategy may ask in vain after the end before it is taken to have nothing."""


class Intruder(Client):
    """An attacker with a client's keys and a client's manners: one question after the other, at its rate.

    A question that is not answered, or not asked for lack of budget or time, comes back to the strategy as NaN; so does an
    answer that no server gives, which may come where messages have no MAC.

    Args:
        env: the simulation.
        number: of the client.
        send: puts an envelope on its way.
        keys: the KME of its site.
        workload: when it begins and ends, its rate and its budget; it asks at even intervals.
        layout: sizes of query and answer.
        questions: not asked; a strategy has its own.
        rng: unused, as arrivals are even.
        observer: told of what it rejects.
        begin: makes the strategy; called when it begins.
        mode: how its questions travel.

    Attributes:
        loot: what the strategy came to; None until it is done.
        asked: questions that were sent off.
        replied: of those, how many brought an answer.
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
        begin: Callable[[], Generator[NDArray[np.float64], Replies, Loot]],
        mode: AskingMode | None = None,
    ) -> None:
        super().__init__(env, number, send, keys, workload, layout, questions, rng, observer, mode=mode)
        self._begin = begin
        self._strategy: Generator[NDArray[np.float64], Replies, Loot] | None = None
        self._batch = 0
        self._records: list[QueryRecord | None] = []
        self.loot: Loot | None = None

    @property
    def asked(self) -> int:
        """Questions that were sent off."""
        return sum(query.sent_s is not None for query in self.queries)

    @property
    def replied(self) -> int:
        """Questions that were answered."""
        return sum(query.status == "answered" for query in self.queries)

    def run(self) -> Generator[simpy.Event, Any, None]:
        """Carry the strategy out."""
        yield self._env.timeout(self._workload.start_s)
        self._strategy = self._begin()
        try:
            batch = next(self._strategy)
            while True:
                replies = yield from self._replies(batch)
                batch = self._strategy.send(replies)
        except StopIteration as done:
            self.loot = done.value

    def give_up(self) -> None:
        """The run is over: let the strategy make what it can of what it has."""
        if self._strategy is None or self.loot is not None:
            return
        replies = self._heard()
        try:
            for _ in range(_PATIENCE):
                nothing = np.full(len(self._strategy.send(replies)), np.nan)
                replies = Replies(nothing, nothing)
        except StopIteration as done:
            self.loot = done.value
        else:
            self._strategy.close()

    def _replies(self, batch: NDArray[np.float64]) -> Generator[simpy.Event, Any, Replies]:
        self._batch, self._records = len(batch), []
        pending = []
        for row in batch:
            if self._may_ask():
                yield self._env.timeout(1.0 / self._workload.rate_hz)
            if self._may_ask():
                query, over = self.ask(row, UNKNOWN)
                self._records.append(query)
                pending.append(over)
            else:
                self._records.append(None)
        yield self._env.all_of(pending)
        return self._heard()

    def _heard(self) -> Replies:
        """What has been answered of the batch that is being asked."""
        values, seconds = np.full((2, self._batch), np.nan)
        for place, query in enumerate(self._records):
            if query is not None and query.status == "answered":
                values[place], seconds[place] = _value(query), _wait_s(query)
        return Replies(values, seconds)

    def _may_ask(self) -> bool:
        load = self._workload
        return (
            not self.isolated
            and self._env.now < load.until_s
            and (load.budget is None or len(self.queries) < load.budget)
        )


def _value(query: QueryRecord) -> float:
    """What an answer said; NaN where that is neither a class nor a likely score."""
    assert query.answer is not None  # noqa: S101  it has been answered
    if query.score is None:
        return float(query.answer) if query.answer in (0, 1) else math.nan
    return query.score if abs(query.score) < _LARGEST_SCORE else math.nan


def _wait_s(query: QueryRecord) -> float:
    """From sending to the opened answer: waiting for key is not the server's doing."""
    assert query.answered_s is not None  # noqa: S101  likewise
    assert query.sent_s is not None  # noqa: S101  likewise
    return query.answered_s - query.sent_s
