"""How nodes tell what happens: to a referee outside the network, never to each other."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Who keeps the record of a run."""

    def event(self, node: str, what: str, **details: object) -> None:
        """Something happened, now."""

    def metric(self, node: str, metric: str, value: float, unit: str) -> None:
        """A quantity has this value, now."""

    def alarm(self, node: str, reason: str) -> None:
        """A node has noticed that something is wrong, now."""
