"""What the timeline did: when, by whom, and which light or messages it could touch."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from nodes.attacks.action import Action
from nodes.attacks.catalogue import CATALOGUE
from scenarios.report.charts import Span
from scenarios.units import Seconds

_ALICES = (
    *("start", "sifting", "parities", "syndromes", "frame-tags", "frame-bits"),
    *("amplification", "tag", "accepted"),
)
"""What Alice says to Bob about a block."""


class Entry(BaseModel):
    """An entry of the timeline as the manifest has it; what is besides these are the action's parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")

    at: Seconds
    until: Seconds | None = None
    action: str


@dataclasses.dataclass(frozen=True)
class Act(Span):
    """An interval in which an action was on.

    Attributes:
        parameters: of the action, as the scenario writes them.
    """

    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, entry: Entry, duration_s: float, attacks: Collection[str]) -> Act:
        """What an entry did; what poisons a model happens at once, before the run.

        Args:
            entry: of the timeline.
            duration_s: of the run.
            attacks: the actions that are Eve's.
        """
        end_s = duration_s if entry.until is None else entry.until
        return cls(
            start=entry.at,
            end=None if entry.action.startswith("model.") else end_s,
            label=entry.action,
            kind="eve" if entry.action in attacks else "environment",
            parameters=entry.model_extra or {},
        )

    def overlaps(self, start_s: float, end_s: float) -> bool:
        """Whether it was on at some moment in between."""
        return self.end is not None and self.start < end_s and self.end > start_s

    def touches(self, what: str) -> bool:
        """Whether it is Eve's and touches "light", or messages of a kind."""
        action = CATALOGUE.get(self.label)
        if action is None or not action.adversarial:
            return False
        messages, channel = self.parameters.get("messages"), self.parameters.get("channel")
        if isinstance(messages, list):
            return what in messages
        if isinstance(channel, str):
            return (channel == "quantum") == (what == "light")
        if self.label == "eve.replay":
            return what in (_ALICES if messages == "link" else ("query",))
        if self.label == "eve.traffic_analysis":
            return what in ("query", "answer")
        hooks = ("on_photons", "on_relay") if what == "light" else ("on_frame",)
        return any(getattr(action, hook) is not getattr(Action, hook) for hook in hooks)
