"""Channels: what a payload's journey takes in simulated time. The fabric carries it, the channel delivers it."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Generator
from typing import Any, Protocol

import numpy as np
import simpy

from netsim.fabric.base import Fabric
from netsim.messages import Envelope
from netsim.photonics.fibre import DELAY_S_PER_KM
from netsim.photonics.train import Train
from netsim.window import Window


class Inbox(Protocol):
    """Who receives classical messages."""

    def on_envelope(self, envelope: bytes) -> None:
        """The bytes of an envelope have arrived."""


@dataclasses.dataclass(frozen=True)
class Conditions:
    """A channel's latency, jitter and loss while a window is open, on top of its own."""

    window: Window
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0


@dataclasses.dataclass(frozen=True)
class ChannelParameters:
    """What a classical channel is like.

    Attributes:
        bandwidth_bps: bits per second each way.
        latency_s: one way, beyond the fibre's.
        jitter_s: a random part more, uniform between 0 and this.
        loss: share of the transmissions that are lost; each is tried again.
        attempts: how many times a message is sent before it is given up.
        first_retry_s: wait before the second attempt; doubles with each (as TCP's does).
        conditions: worse times.
    """

    bandwidth_bps: float = 1e9
    latency_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    attempts: int = 6
    first_retry_s: float = 0.01
    conditions: tuple[Conditions, ...] = ()


class ClassicalChannel:
    """One direction of a reliable, ordered channel between two hosts.

    A message waits its turn, is put on the wire at the channel's bandwidth, and arrives after propagation, latency and
    jitter, never before an earlier one. One that is lost, by the network or by Eve, is sent again, holding up those
    behind it; after the last attempt it is gone.

    Args:
        env: the simulation.
        fabric: carries the bytes through the taps.
        sender: host at the near end.
        receiver: host at the far end.
        inbox: who is there.
        parameters: what the channel is like.
        rng: jitter and loss.
    """

    def __init__(
        self,
        env: simpy.Environment,
        fabric: Fabric,
        sender: str,
        receiver: str,
        inbox: Inbox,
        parameters: ChannelParameters,
        rng: np.random.Generator,
    ) -> None:
        self._env = env
        self._fabric = fabric
        self._ends = (sender, receiver)
        self._inbox = inbox
        self._parameters = parameters
        self._rng = rng
        self._propagation_s = fabric.topology.length_km(sender, receiver) * DELAY_S_PER_KM
        self._waiting = simpy.Store(env)
        self._on_the_wire: collections.deque[bytes] = collections.deque()
        self._last_arrival_s = 0.0
        self.sent_bytes = 0
        self.sent_messages = 0
        self.lost_messages = 0
        self.retransmissions = 0
        env.process(self._transmit())

    def send(self, envelope: Envelope) -> None:
        """Put a message on its way; returns at once."""
        self._waiting.put(envelope.encode())

    def _transmit(self) -> Generator[simpy.Event, Any, None]:
        p = self._parameters
        while True:
            data: bytes = yield self._waiting.get()
            self.sent_messages += 1
            for attempt in range(p.attempts):
                self.retransmissions += attempt > 0
                yield self._env.timeout(8 * len(data) / p.bandwidth_bps)
                self.sent_bytes += len(data)
                frame = self._fabric.carry_frame(*self._ends, data)
                if frame.fate == "taken":
                    break
                latency_s, loss = self._now()
                if frame.fate == "passed" and not (loss and self._rng.random() < loss):
                    self._env.process(self._deliver(frame.data, latency_s))
                    break
                yield self._env.timeout(p.first_retry_s * 2**attempt + 2 * latency_s)
            else:
                self.lost_messages += 1

    def _now(self) -> tuple[float, float]:
        """One-way latency and probability of loss of a transmission now."""
        p = self._parameters
        now = [c for c in p.conditions if c.window.covers(self._env.now)]
        jitter_s = p.jitter_s + sum(c.jitter_s for c in now)
        latency_s = self._propagation_s + p.latency_s + sum(c.delay_s for c in now)
        if jitter_s:
            latency_s += jitter_s * self._rng.random()
        arrives = 1.0 - p.loss
        for c in now:
            arrives *= 1.0 - c.loss
        return latency_s, 1.0 - arrives

    def _deliver(self, data: bytes, latency_s: float) -> Generator[simpy.Event, Any, None]:
        arrival_s = max(self._env.now + latency_s, self._last_arrival_s)
        self._last_arrival_s = arrival_s
        self._on_the_wire.append(data)
        yield self._env.timeout(arrival_s - self._env.now)
        # Two that are due at the same instant may wake in either order, as a float's rounding has it; what
        # is handed over is the first that was sent.
        self._inbox.on_envelope(self._on_the_wire.popleft())


class QuantumChannel:
    """The way of the light from a source to a receiver.

    Args:
        env: the simulation.
        fabric: carries the train through the fibres and taps.
        sender: host at the near end.
        receiver: host at the far end.
        on_train: called with the train when its last pulse has arrived.
    """

    def __init__(
        self,
        env: simpy.Environment,
        fabric: Fabric,
        sender: str,
        receiver: str,
        on_train: Callable[[Train], None],
    ) -> None:
        self._env = env
        self._fabric = fabric
        self._ends = (sender, receiver)
        self._on_train = on_train
        self.delay_s = fabric.topology.length_km(sender, receiver) * DELAY_S_PER_KM

    def send(self, train: Train) -> None:
        """Put a train on its way, first pulse now; returns at once."""
        self._fabric.carry_photons(*self._ends, train)
        self._env.process(self._arrive(train))

    def _arrive(self, train: Train) -> Generator[simpy.Event, Any, None]:
        yield self._env.timeout(train.duration_s + self.delay_s)
        self._on_train(train)
