"""Attacks on the classical messages, and on both channels at once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from netsim.errors import MalformedMessage
from netsim.messages import Envelope, Message, decode, kind_of
from nodes.attacks.action import Action, parameter

if TYPE_CHECKING:
    from netsim.fabric.base import Frame
    from netsim.photonics.train import Train
    from nodes.eve import Eve


@dataclasses.dataclass(frozen=True)
class Cut(Action):
    """Denial of service: nothing passes on the channel that is cut."""

    id: ClassVar[str] = "eve.cut"
    family: ClassVar[str] = "classical"
    sign: ClassVar[str] = "blocks abort, the key pool runs dry, queries wait or are lost"
    gets: ClassVar[str] = "nothing"
    source: ClassVar[str] = "any textbook; no QKD link withstands it"
    defences: ClassVar[tuple[str, ...]] = ("patience",)

    channel: Literal["quantum", "classical"] = parameter(
        "quantum", "choice", "which channel is cut", choices=("quantum", "classical")
    )

    def on_photons(self, eve: Eve, train: Train, where: slice, receiver: str) -> None:  # noqa: ARG002  the hook's
        """Let no photon pass."""
        if self.channel == "quantum":
            train.lose(where, 0.0, eve.random("cut"))

    def on_frame(self, eve: Eve, frame: Frame, envelope: Envelope) -> None:  # noqa: ARG002  the hook's
        """Let no message pass."""
        if self.channel == "classical":
            frame.fate = "dropped"


@dataclasses.dataclass(frozen=True)
class Tamper(Action):
    """Flip bits of the messages of the named kinds."""

    id: ClassVar[str] = "eve.tamper"
    family: ClassVar[str] = "classical"
    sign: ClassVar[str] = (
        "link messages: blocks abort (authentication or verification); "
        "queries and answers: rejected with a MAC, silently wrong without"
    )
    gets: ClassVar[str] = "nothing, but the power to change answers where no MAC is used"
    source: ClassVar[str] = "Wegman, Carter 1981 is the defence"
    defences: ClassVar[tuple[str, ...]] = ("authentication", "query_mac")

    messages: tuple[str, ...] = parameter(
        ("query",),
        "names",
        "the message kinds she changes",
        choices=(
            "detections",
            "sifting",
            "sample",
            "parities",
            "verification",
            "amplification",
            "tag",
            "query",
            "answer",
        ),
    )
    bits: int = parameter(1, "number", "how many bits she flips in each", minimum=1, maximum=64)
    fraction: float = parameter(
        1.0, "fraction", "share of those messages that she changes", minimum=0.0, maximum=1.0
    )

    def on_frame(self, eve: Eve, frame: Frame, envelope: Envelope) -> None:
        """Flip bits in the field that matters, and leave the rest well-formed."""
        kind = kind_of(envelope.body)
        if kind not in self.messages or eve.random("tamper").random() >= self.fraction:
            return
        try:
            message = decode(envelope.body)
        except MalformedMessage:
            return
        changed = _with_flips(message, _TARGETS[kind], self.bits, eve.random("tamper"))
        frame.data = dataclasses.replace(envelope, body=changed.encode()).encode()


_TARGETS = {
    "detections": "settings",
    "sifting": "settings",
    "sample": "outcomes",
    "parities": "parities",
    "verification": "tag",
    "amplification": "seed",
    "tag": "tag",
    "query": "sealed",
    "answer": "sealed",
}


def _with_flips(message: Message, field: str, bits: int, rng: np.random.Generator) -> Message:
    """The message with up to `bits` bits of one field flipped; an empty field stays as it is."""
    value: Any = getattr(message, field)
    if isinstance(value, bytes):
        flipped = np.unpackbits(np.frombuffer(value, dtype=np.uint8))
    else:
        flipped = value.copy()
    where = rng.choice(len(flipped), min(bits, len(flipped)), replace=False)
    flipped[where] ^= 1
    return dataclasses.replace(
        message, **{field: np.packbits(flipped).tobytes() if isinstance(value, bytes) else flipped}
    )


@dataclasses.dataclass(frozen=True)
class Replay(Action):
    """Record queries and send them again later."""

    id: ClassVar[str] = "eve.replay"
    family: ClassVar[str] = "classical"
    sign: ClassVar[str] = "the server meets key IDs that are spent, and rejects"
    gets: ClassVar[str] = "nothing"
    source: ClassVar[str] = "Syverson 1994, a taxonomy of replay attacks"
    defences: ClassVar[tuple[str, ...]] = ("one-time keys",)

    fraction: float = parameter(
        1.0, "fraction", "share of the queries that are sent again", minimum=0.0, maximum=1.0
    )
    after: float = parameter(0.1, "s", "how long after the original the copy is sent", minimum=0.0)

    def on_frame(self, eve: Eve, frame: Frame, envelope: Envelope) -> None:  # noqa: ARG002  the hook's
        """Let the query pass, and send it once more later."""
        if kind_of(envelope.body) == "query" and eve.random("replay").random() < self.fraction:
            eve.inject(envelope, self.after)


@dataclasses.dataclass(frozen=True)
class Impersonate(Action):
    """Man in the middle: be Bob to Alice and Alice to Bob, on both channels."""

    id: ClassVar[str] = "eve.impersonate"
    family: ClassVar[str] = "classical"
    sign: ClassVar[str] = "none without authentication: two clean links; with it, every block aborts"
    gets: ClassVar[str] = "all the key and all the queries without authentication; nothing with it"
    source: ClassVar[str] = "Wegman, Carter 1981 is the defence: forgery at most ε a message"
    defences: ClassVar[tuple[str, ...]] = ("authentication",)

    def on_photons(self, eve: Eve, train: Train, where: slice, receiver: str) -> None:
        """Keep the light, and send her own."""
        eve.double.on_photons(train, where, receiver)

    def on_frame(self, eve: Eve, frame: Frame, envelope: Envelope) -> None:
        """Answer in the other's place; open and seal again what clients and server say."""
        eve.double.on_frame(frame, envelope)
