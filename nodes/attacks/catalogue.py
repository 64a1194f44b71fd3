"""The catalogue: every action a timeline may name."""

from __future__ import annotations

from nodes.attacks.action import Action
from nodes.attacks.channel import InterceptResend
from nodes.attacks.classical import Cut, Impersonate, Replay, Tamper
from nodes.attacks.environment import AddedDelay, AddedLoss, Misalign, SlowServer
from nodes.attacks.model import FlipLabels

CATALOGUE: dict[str, type[Action]] = {
    action.id: action
    for action in (
        InterceptResend,
        Cut,
        Tamper,
        Replay,
        Impersonate,
        FlipLabels,
        AddedDelay,
        AddedLoss,
        Misalign,
        SlowServer,
    )
}
