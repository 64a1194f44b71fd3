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

    def takes_registers(self) -> bool:
        """It is light."""
        return self.channel == "quantum"

    def on_photons(self, eve: Eve, train: Train, where: slice, receiver: str) -> None:  # noqa: ARG002  the hook's
        """Let no photon pass."""
        if self.channel == "quantum":
            train.lose(where, 0.0, eve.random("cut"))

    def on_frame(self, eve: Eve, frame: Frame, envelope: Envelope) -> None:  # noqa: ARG002  the hook's
        """Let no message pass."""
        if self.channel == "classical":
            frame.fate = "dropped"


_TARGETS = {
    "detections": "settings",
    "sifting": "settings",
    "sample": "outcomes",
    "parities": "parities",
    "syndromes": "bits",
    "verification": "tag",
    "frame-tags": "tags",
    "frame-bits": "bits",
    "amplification": "seed",
    "tag": "tag",
    "parcel": "sealed",
    "query": "sealed",
    "answer": "sealed",
}
"""The field of each kind of message that she flips bits of."""


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
        choices=tuple(_TARGETS),
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
    """Record messages to Bob's site and send them again later."""

    id: ClassVar[str] = "eve.replay"
    family: ClassVar[str] = "classical"
    sign: ClassVar[str] = (
        "queries: the server meets key IDs that are spent, and rejects; the link's messages: none, old numbers are passed over"
    )
    gets: ClassVar[str] = "nothing"
    source: ClassVar[str] = "Syverson 1994, a taxonomy of replay attacks"
    defences: ClassVar[tuple[str, ...]] = ("one-time keys", "sequence numbers")

    fraction: float = parameter(
        1.0, "fraction", "share of the messages that are sent again", minimum=0.0, maximum=1.0
    )
    messages: Literal["queries", "link", "parcels"] = parameter(
        "queries", "choice", "which messages", choices=("queries", "link", "parcels")
    )
    after: float = parameter(0.1, "s", "how long after the original the copy is sent", minimum=0.0)

    def on_frame(self, eve: Eve, frame: Frame, envelope: Envelope) -> None:  # noqa: ARG002  the hook's
        """Let the message pass, and send it once more later."""
        if self.messages != "link":
            meant = kind_of(envelope.body) == {"queries": "query", "parcels": "parcel"}[self.messages]
        else:
            meant = envelope.session >= 0 and envelope.receiver == "bob"
        if meant and eve.random("replay").random() < self.fraction:
            eve.inject(envelope, self.after)


@dataclasses.dataclass(frozen=True)
class Impersonate(Action):
    """Man in the middle: be Bob to Alice and Alice to Bob, on both channels."""

    id: ClassVar[str] = "eve.impersonate"
    family: ClassVar[str] = "classical"
    sign: ClassVar[str] = (
        "none without authentication: two clean links; with it, every block aborts, unless she knows all of the pre-shared key"
    )
    gets: ClassVar[str] = (
        "all the key and all the queries without authentication, or with all of the pre-shared key; "
        "nothing with it, but for 2^-u at each tag, u the bits of hash key and pad that she must guess"
    )
    source: ClassVar[str] = "Wegman, Carter 1981 is the defence: forgery at most ε a message"
    defences: ClassVar[tuple[str, ...]] = ("authentication",)
    needs: ClassVar[tuple[str, ...]] = ("receiver",)

    known_preshared: float = parameter(
        0.0,
        "fraction",
        "share of the pre-shared key's bits that she knows; the others she guesses",
        minimum=0.0,
        maximum=1.0,
    )

    def on_photons(self, eve: Eve, train: Train, where: slice, receiver: str) -> None:
        """Keep the light, and send her own."""
        eve.double.on_photons(train, where, receiver)

    def on_frame(self, eve: Eve, frame: Frame, envelope: Envelope) -> None:
        """Answer in the other's place; open and seal again what clients and server say."""
        eve.double.on_frame(frame, envelope)


@dataclasses.dataclass(frozen=True)
class ExhaustKeys(Action):
    """Use up the key: a client at Alice's site that is Eve's asks, and asks."""

    id: ClassVar[str] = "eve.exhaust_keys"
    family: ClassVar[str] = "classical"
    sign: ClassVar[str] = (
        "the pool runs dry when rate x key bits of a query and its answer exceeds the net key rate; others' queries wait, or give up"
    )
    gets: ClassVar[str] = "nothing, but others get no answers"
    source: ClassVar[str] = (
        "denial of service against key management; ETSI GS QKD 014 leaves quotas to the KME"
    )
    defences: ClassVar[tuple[str, ...]] = ("query_budget", "patience")

    rate: float = parameter(200.0, "/s", "queries of hers, a second", minimum=1e-3)


@dataclasses.dataclass(frozen=True)
class AnalyseTraffic(Action):
    """Listen to the queries' envelopes: who asks, when, and how long the messages are."""

    id: ClassVar[str] = "eve.traffic_analysis"
    family: ClassVar[str] = "classical"
    sign: ClassVar[str] = "none: she listens"
    gets: ClassVar[str] = (
        "how many queries each client asks, and when; nothing of their content, as all have one length; periodic arrivals "
        "tell her no more than that a client is there"
    )
    source: ClassVar[str] = "Raymond 2001, traffic analysis: protocols, attacks, design issues"
    defences: ClassVar[tuple[str, ...]] = ("fixed length", "arrivals: periodic")

    def on_frame(self, eve: Eve, frame: Frame, envelope: Envelope) -> None:
        """Note the envelope, not what is in it."""
        kind = kind_of(envelope.body)
        if kind in ("query", "answer"):
            client = envelope.sender if kind == "query" else envelope.receiver
            eve.notebook.overheard(kind, client, len(frame.data))
