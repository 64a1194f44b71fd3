"""What happens without an adversary: latency, loss, drift, a slow server."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from nodes.attacks.action import Action, parameter

_HOPS = ("alice-bob", "bob-server")


@dataclasses.dataclass(frozen=True)
class AddedDelay(Action):
    """Add latency, and jitter, to a classical channel."""

    id: ClassVar[str] = "network.delay"
    family: ClassVar[str] = "environment"
    adversarial: ClassVar[bool] = False
    sign: ClassVar[str] = "latency of queries and of key up by the delay for every message"
    gets: ClassVar[str] = "nothing"
    source: ClassVar[str] = "-"

    delay: float = parameter(dataclasses.MISSING, "s", "added to every message, one way", minimum=0.0)
    jitter: float = parameter(0.0, "s", "a random part more, uniform between 0 and this", minimum=0.0)
    hop: Literal["alice-bob", "bob-server"] = parameter("alice-bob", "choice", "which channel", choices=_HOPS)


@dataclasses.dataclass(frozen=True)
class AddedLoss(Action):
    """Lose a share of the classical messages; the channel sends them again, later."""

    id: ClassVar[str] = "network.loss"
    family: ClassVar[str] = "environment"
    adversarial: ClassVar[bool] = False
    sign: ClassVar[str] = "latency up by the retransmissions; a message is lost when all attempts are"
    gets: ClassVar[str] = "nothing"
    source: ClassVar[str] = "-"

    fraction: float = parameter(
        dataclasses.MISSING,
        "fraction",
        "share of the messages lost at each attempt",
        minimum=0.0,
        maximum=1.0,
    )
    hop: Literal["alice-bob", "bob-server"] = parameter("alice-bob", "choice", "which channel", choices=_HOPS)


@dataclasses.dataclass(frozen=True)
class Misalign(Action):
    """Turn the polarisation: add errors that nobody made on purpose."""

    id: ClassVar[str] = "link.misalign"
    family: ClassVar[str] = "environment"
    adversarial: ClassVar[bool] = False
    sign: ClassVar[str] = "QBER = e(1-e')+e'(1-e) for misalignments e and e'; S falls by 1-2e'"
    gets: ClassVar[str] = "nothing (but Alice and Bob cannot tell it from Eve)"
    source: ClassVar[str] = "-"

    error: float = parameter(
        dataclasses.MISSING, "fraction", "probability that a photon is flipped", minimum=0.0, maximum=0.5
    )


@dataclasses.dataclass(frozen=True)
class SlowServer(Action):
    """Make the server slower."""

    id: ClassVar[str] = "server.slow"
    family: ClassVar[str] = "environment"
    adversarial: ClassVar[bool] = False
    sign: ClassVar[str] = "service time times the factor; the queue grows when arrivals outrun it"
    gets: ClassVar[str] = "nothing"
    source: ClassVar[str] = "-"

    factor: float = parameter(
        dataclasses.MISSING, "number", "service time is multiplied by this", minimum=1e-3
    )


@dataclasses.dataclass(frozen=True)
class DriftData(Action):
    """Let what clients ask about wander away from what the model learnt."""

    id: ClassVar[str] = "data.drift"
    family: ClassVar[str] = "environment"
    adversarial: ClassVar[bool] = False
    sign: ClassVar[str] = "accuracy falls, slowly, and no message looks odd"
    gets: ClassVar[str] = "nothing"
    source: ClassVar[str] = "Gama et al. 2014, a survey on concept drift adaptation"
    defences: ClassVar[tuple[str, ...]] = ("defences.model.canaries",)

    amount: float = parameter(
        0.3,
        "number",
        "how far they have moved at the end, of the features' range, from class 1 towards class 0",
        minimum=0.0,
        maximum=1.0,
    )
