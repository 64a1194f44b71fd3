"""How nodes tell what happens: to a referee outside the network, never to each other."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Protocol

Step = Literal["light", "sifting", "reconciliation", "amplification", "messages"]
"""What a machine computes for a block."""


class Observer(Protocol):
    """Who keeps the record of a run."""

    def event(self, node: str, what: str, **details: object) -> None:
        """Something happened, now."""

    def metric(self, node: str, metric: str, value: float, unit: str) -> None:
        """A quantity has this value, now."""

    def alarm(self, node: str, reason: str) -> None:
        """A node has noticed that something is wrong, now."""

    def work(self, step: Step) -> AbstractContextManager[None]:
        """What is computed within is done for this step; the observer may look how long it takes, the node never knows."""
