"""Charlie: stands in the middle of the fibre, owns all the detectors, and belongs to nobody Alice and Bob trust."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import simpy

from netsim.messages import BellStates, Envelope
from netsim.photonics.bell import BellAnalyser, Heralds
from netsim.photonics.detector import Receiver
from netsim.photonics.train import Train


@dataclasses.dataclass(frozen=True)
class Bench:
    """What stands at Charlie's, whoever uses it.

    Attributes:
        analyser: the beam splitters and the four detectors.
        receiver: two of the detectors, for one pulse by itself.
        rng: what they do by chance.
    """

    analyser: BellAnalyser
    receiver: Receiver
    rng: np.random.Generator

    def bell(self, one: Train, other: Train) -> Heralds:
        """The measurement that he is asked for."""
        return self.analyser.measure(one, other, self.rng)


class Owner(Protocol):
    """Whose Charlie is."""

    def on_relay(self, bench: Bench, one: Train, other: Train) -> Heralds | None:
        """What he is told to announce of Alice's train and Bob's; None where he is to do his work."""


class Charlie:
    """The relay.

    Args:
        env: the simulation.
        name: what he calls himself.
        bench: his instruments.
        announce: (whom he tells, and how), for each.
        owner: whose he is; None is nobody's.
    """

    def __init__(
        self,
        env: simpy.Environment,
        name: str,
        bench: Bench,
        announce: Sequence[tuple[str, Callable[[Envelope], None]]],
        owner: Owner | None = None,
    ) -> None:
        self._env = env
        self._name = name
        self._bench = bench
        self._announce = tuple(announce)
        self._owner = owner
        self._alices: dict[int, Train] = {}
        self._bobs: dict[int, Train] = {}

    def on_alices_train(self, train: Train) -> None:
        """The last pulse of a train of Alice's has arrived."""
        self._alices[train.block] = train
        self._measure(train.block)

    def on_bobs_train(self, train: Train) -> None:
        """The last pulse of a train of Bob's has arrived."""
        self._bobs[train.block] = train
        self._measure(train.block)

    def _measure(self, block: int) -> None:
        """Once both are there: measure, and say where it succeeded."""
        if block not in self._alices or block not in self._bobs:
            return
        one, other = self._alices.pop(block), self._bobs.pop(block)
        heralds = self._owner.on_relay(self._bench, one, other) if self._owner is not None else None
        if heralds is None:
            heralds = self._bench.bell(one, other)
        body = BellStates(heralds.slots, heralds.states).encode()
        for whom, send in self._announce:
            send(Envelope(self._name, whom, block, 0, body))
