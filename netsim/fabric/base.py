"""The fabric's interface: photons and frames go hop by hop through every tap on the route, at once."""

from __future__ import annotations

import abc
import dataclasses
import itertools
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np

from netsim.photonics.drift import Drift, Walk
from netsim.photonics.qubits import Qubits
from netsim.photonics.train import Train
from netsim.topology import Topology


@dataclasses.dataclass
class Frame:
    """Bytes on their way; a tap may change them, drop them, or take them for itself.

    Attributes:
        data: the bytes of an envelope.
        fate: "passed", "dropped" (lost; the sender will try again) or "taken" (the sender thinks it arrived).
    """

    data: bytes
    fate: Literal["passed", "dropped", "taken"] = "passed"

    def __str__(self) -> str:  # QuNetSim formats every payload for its log, also when the log is off
        return f"frame of {len(self.data)} bytes"


class Tap(Protocol):
    """What sits at a host and sees all that passes through it."""

    def on_photons(self, train: Train, where: slice, receiver: str) -> None:
        """Pulses pass on their way to `receiver`; change them in place."""

    def on_frame(self, frame: Frame) -> None:
        """A frame passes; change it in place."""


class Fabric(abc.ABC):
    """A network that carries payloads; use it as a context manager.

    Args:
        topology: the hosts and the routes between them.
        rng: the fibres' randomness.
    """

    def __init__(self, topology: Topology, rng: np.random.Generator) -> None:
        self.topology = topology
        self._rng = rng
        self._taps: dict[str, Tap] = {}
        self._walks: dict[tuple[str, str], Walk] = {}

    def attach(self, taps: Mapping[str, Tap]) -> None:
        """Put taps at hosts."""
        self._taps.update(taps)

    @abc.abstractmethod
    def start(self) -> None:
        """Bring the network up."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Take the network down and leave nothing behind."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @abc.abstractmethod
    def qubits(self, host: str) -> Qubits:
        """Where `host` gets single qubits from."""

    @abc.abstractmethod
    def carry_photons(self, sender: str, receiver: str, train: Train) -> None:
        """Carry a train along the fibre, parcel by parcel; it is changed in place.

        Raises:
            KeyError: there is no fibre all the way.
        """

    @abc.abstractmethod
    def carry_frame(self, sender: str, receiver: str, data: bytes) -> Frame:
        """Carry bytes; what arrives, or what became of them."""

    def _light_route(self, sender: str, receiver: str) -> tuple[str, ...]:
        """The hosts that photons visit, both ends included; KeyError if there is no fibre all the way."""
        route = self.topology.route(sender, receiver)
        for near, far in itertools.pairwise(route):
            self.topology.fibre(near, far)
        return route

    def _through_fibre(self, near: str, far: str, train: Train, where: slice) -> None:
        fibre = self.topology.fibre(near, far)
        fibre.transmit(train, where, self._rng, self._walk(near, far, fibre.drift))

    def _walk(self, near: str, far: str, drift: Drift | None) -> Walk | None:
        """The one path of a fibre's drift: from a stream of its own, so that it is the same however light is drawn."""
        if drift is None:
            return None
        ends = (min(near, far), max(near, far))
        if ends not in self._walks:
            self._walks[ends] = Walk(drift, self._rng.spawn(1)[0])
        return self._walks[ends]
