"""The record of a run: events, metrics and alarms, stamped with simulated time; and how long the machine worked at what."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator

import simpy

from nodes.observer import Step


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened."""

    t_s: float
    node: str
    what: str
    details: dict[str, object]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A value at a time."""

    t_s: float
    node: str
    metric: str
    value: float
    unit: str


@dataclasses.dataclass(frozen=True)
class Alarm:
    """A node noticed that something is wrong."""

    t_s: float
    node: str
    reason: str


class Recorder:
    """Keeps what nodes tell it."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self.events: list[Event] = []
        self.metrics: list[Metric] = []
        self.alarms: list[Alarm] = []
        self.work_s: dict[Step, float] = {}
        """Wall-clock seconds by step, of both parties; what is nested counts once, for the inner step."""
        self._inner_s = 0.0

    def event(self, node: str, what: str, **details: object) -> None:
        """Something happened, now."""
        self.events.append(Event(self._env.now, node, what, details))

    def metric(self, node: str, metric: str, value: float, unit: str) -> None:
        """A quantity has this value, now."""
        self.metrics.append(Metric(self._env.now, node, metric, value, unit))

    def alarm(self, node: str, reason: str) -> None:
        """A node has noticed that something is wrong, now."""
        self.alarms.append(Alarm(self._env.now, node, reason))
        self.event(node, "alarm", reason=reason)

    @contextlib.contextmanager
    def work(self, step: Step) -> Iterator[None]:
        """Charge what happens within to a step."""
        outside_s, self._inner_s = self._inner_s, 0.0
        began = time.perf_counter()
        try:
            yield
        finally:
            took_s = time.perf_counter() - began
            self.work_s[step] = self.work_s.get(step, 0.0) + took_s - self._inner_s
            self._inner_s = outside_s + took_s


class Deaf:
    """Keeps nothing: what Eve's two faces notice is nobody's record."""

    def event(self, node: str, what: str, **details: object) -> None:
        """Not kept."""

    def metric(self, node: str, metric: str, value: float, unit: str) -> None:
        """Not kept."""

    def alarm(self, node: str, reason: str) -> None:
        """Not kept."""

    def work(self, step: Step) -> contextlib.AbstractContextManager[None]:  # noqa: ARG002  the interface's
        """Not timed."""
        return contextlib.nullcontext()
