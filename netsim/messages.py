"""Every classical message as a frozen dataclass with canonical bytes, and the envelope it travels in.

The bytes are what is authenticated and what is counted. They are canonical: one message has one encoding, and
`decode` refuses anything else. How each type of field is written stands in `wire`.
"""

from __future__ import annotations

import dataclasses
import struct
import typing
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from netsim.errors import MalformedMessage
from netsim.wire import pack, unpack

Bits = Annotated[NDArray[np.uint8], "bits"]
"""uint8[n] of 0 and 1."""
Symbols = Annotated[NDArray[np.uint8], "symbols"]
"""uint8[n], any value."""
Positions = Annotated[NDArray[np.int64], "positions"]
"""int64[n], 0 <= value < 2**32."""
Slots = Annotated[NDArray[np.int64], "slots"]
"""int64[n], ascending, no two equal, 0 <= value < 2**56."""

_KINDS: dict[str, type[Message]] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class Message:
    """Base of all messages; `kind` is the name a scenario knows them by, `code` the first byte on the wire."""

    kind: ClassVar[str]
    code: ClassVar[int]

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Register the kind of message."""
        super().__init_subclass__(**keywords)
        cls.code = len(_KINDS) + 1
        _KINDS[cls.kind] = cls

    def encode(self) -> bytes:
        """The canonical bytes."""
        parts = [bytes([self.code])]
        for name, how in _layout(type(self)):
            parts.append(pack(how, getattr(self, name)))
        return b"".join(parts)


@dataclasses.dataclass(frozen=True, eq=False)
class BlockStart(Message):
    """Alice announces a block: how many pulses, and where in the authentication key its pads lie."""

    kind: ClassVar[str] = "start"
    pulses: int
    authentication_address: int


@dataclasses.dataclass(frozen=True, eq=False)
class Detections(Message):
    """Bob announces which pulses gave a click and how each was measured, not what came out.

    Attributes:
        slots: Slots[clicks].
        settings: Symbols[clicks], Bob's setting for each click, in order.
        intensities: Symbols[clicks], what he sent, where he sends as well; empty otherwise.
    """

    kind: ClassVar[str] = "detections"
    slots: Slots
    settings: Symbols
    intensities: Symbols


@dataclasses.dataclass(frozen=True, eq=False)
class Sifting(Message):
    """Alice announces her settings for Bob's clicks and reveals outcomes for parameter estimation.

    Attributes:
        clicked: Bits[clicks], where Alice has an outcome as well (all, when she prepares).
        settings: Symbols[both], her settings where both clicked.
        intensities: Symbols[both], the intensities she sent there; empty without decoys.
        revealed: Bits[both], the positions whose outcomes are given away.
        outcomes: Bits[revealed], her outcomes there.
        reconciliation_seed: public seed of Cascade's shuffles.
    """

    kind: ClassVar[str] = "sifting"
    clicked: Bits
    settings: Symbols
    intensities: Symbols
    revealed: Bits
    outcomes: Bits
    reconciliation_seed: int


@dataclasses.dataclass(frozen=True, eq=False)
class Sample(Message):
    """Bob's outcomes at the revealed positions. Bits[revealed]."""

    kind: ClassVar[str] = "sample"
    outcomes: Bits


@dataclasses.dataclass(frozen=True, eq=False)
class ParityQuestions(Message):
    """Bob asks for parities of ranges, all open blocks of a round at once.

    Attributes:
        passes: Symbols[m].
        starts: Positions[m], first position in the pass's order.
        stops: Positions[m], one past the last.
    """

    kind: ClassVar[str] = "questions"
    passes: Symbols
    starts: Positions
    stops: Positions


@dataclasses.dataclass(frozen=True, eq=False)
class Parities(Message):
    """Alice's answers. Bits[m]."""

    kind: ClassVar[str] = "parities"
    parities: Bits


@dataclasses.dataclass(frozen=True, eq=False)
class Verification(Message):
    """Bob's universal hash of the reconciled bits, and the public key of the hash.

    Attributes:
        hash_key: of the hash.
        tag: the hash.
        corrected: Positions[intensities], how many errors he found at each, where the key length asks for it; empty otherwise.
    """

    kind: ClassVar[str] = "verification"
    hash_key: bytes
    tag: bytes
    corrected: Positions

    COUNT_BITS: ClassVar[int] = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Amplification(Message):
    """Alice announces the final length, the Toeplitz seed, and where the key goes.

    The final key is cut in this order: `authentication_bits` to the authentication pool, `forward_bits` to the
    keys that Alice's site issues, the rest to the keys that Bob's site issues.

    Attributes:
        length: bits of final key.
        seed: Bits[n + length - 1].
        authentication_bits: bits of the final key that replenish the authentication pool.
        authentication_address: where in the pool.
        forward_bits: bits issued by Alice's site.
        forward_address: where in that stream.
        reverse_address: where in the stream of Bob's site.
    """

    kind: ClassVar[str] = "amplification"
    length: int
    seed: Bits
    authentication_bits: int
    authentication_address: int
    forward_bits: int
    forward_address: int
    reverse_address: int


@dataclasses.dataclass(frozen=True, eq=False)
class TranscriptTagged(Message):
    """A side's tag over all it said in this block; empty where the link does not authenticate."""

    kind: ClassVar[str] = "tag"
    tag: bytes


@dataclasses.dataclass(frozen=True, eq=False)
class Accepted(Message):
    """Alice has stored the key: Bob may issue keys from it."""

    kind: ClassVar[str] = "accepted"
    tag: bytes


@dataclasses.dataclass(frozen=True, eq=False)
class Abort(Message):
    """A side gives the block up, and says why."""

    kind: ClassVar[str] = "abort"
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class Query(Message):
    """A client's sealed query; fixed length.

    Attributes:
        client: the client's number.
        sequence: counts the client's queries.
        key_id: 16 bytes, the UUID of the key it is sealed with.
        sealed: ciphertext, then tag if the link uses a MAC.
    """

    kind: ClassVar[str] = "query"
    client: int
    sequence: int
    key_id: bytes
    sealed: bytes

    def header(self) -> bytes:
        """What the tag covers besides the ciphertext."""
        return dataclasses.replace(self, sealed=b"").encode()


@dataclasses.dataclass(frozen=True, eq=False)
class Answer(Message):
    """The server's sealed answer; fixed length; attributes as in Query."""

    kind: ClassVar[str] = "answer"
    client: int
    sequence: int
    key_id: bytes
    sealed: bytes

    def header(self) -> bytes:
        """What the tag covers besides the ciphertext."""
        return dataclasses.replace(self, sealed=b"").encode()


@dataclasses.dataclass(frozen=True, eq=False)
class BellStates(Message):
    """A relay announces between which pulses its Bell measurement succeeded; nobody need believe it.

    Attributes:
        slots: Slots[successes].
        plus: Bits[successes], 1 where it was ψ+, 0 where it was ψ−.
    """

    kind: ClassVar[str] = "bell"
    slots: Slots
    plus: Bits


@dataclasses.dataclass(frozen=True, eq=False)
class Syndromes(Message):
    """Alice's syndromes of all frames, or further bits of those Bob asked for. Bits[m]."""

    kind: ClassVar[str] = "syndromes"
    bits: Bits


@dataclasses.dataclass(frozen=True, eq=False)
class SyndromesWanted(Message):
    """Bob could not decode these frames with what he has. Positions[frames], ascending."""

    kind: ClassVar[str] = "syndromes-wanted"
    frames: Positions


@dataclasses.dataclass(frozen=True, eq=False)
class FrameTags(Message):
    """Bob's hash is not of Alice's key: a short hash of each of her frames, one after the other, and the public key of the hash."""

    kind: ClassVar[str] = "frame-tags"
    hash_key: bytes
    tags: bytes


@dataclasses.dataclass(frozen=True, eq=False)
class FramesWanted(Message):
    """Bob gives these frames up, and asks Alice to give them away. Positions[frames], ascending."""

    kind: ClassVar[str] = "frames-wanted"
    frames: Positions


@dataclasses.dataclass(frozen=True, eq=False)
class FrameBits(Message):
    """Alice gives frames away, bit by bit, in the open. Bits[n]."""

    kind: ClassVar[str] = "frame-bits"
    bits: Bits


@dataclasses.dataclass(frozen=True, eq=False)
class Parcel(Message):
    """A model on its way to who serves it: all of it is signed, and what is not secret is covered by the seal as well.

    Attributes:
        format: version of this layout.
        suite: name of where the sealing key comes from.
        cipher: name of what seals.
        scheme: name of the signature's.
        publisher: who says so.
        recipient: who it is for.
        recipient_keys: 32 bytes, the fingerprint of the recipient's public keys that were used.
        version: counts the publisher's models.
        salt: 32 random bytes.
        encapsulations: what the recipient makes the shared secrets from, in the suite's order, one after the other.
        key_ids: 16 bytes each, the UUIDs of the QKD keys used, in order.
        sealed: the model, encrypted, and a tag.
        signature: over all the rest.
    """

    kind: ClassVar[str] = "parcel"
    format: int
    suite: str
    cipher: str
    scheme: str
    publisher: str
    recipient: str
    recipient_keys: bytes
    version: int
    salt: bytes
    encapsulations: bytes
    key_ids: bytes
    sealed: bytes
    signature: bytes

    def header(self) -> bytes:
        """What the seal covers besides the model."""
        return dataclasses.replace(self, sealed=b"", signature=b"").encode()

    def signed(self) -> bytes:
        """What the signature covers."""
        return dataclasses.replace(self, signature=b"").encode()


_CODES = {kind.code: kind for kind in _KINDS.values()}
_LAYOUTS: dict[type[Message], tuple[tuple[str, str], ...]] = {}

M = TypeVar("M", bound=Message)


def decode(data: bytes) -> Message:
    """The message these bytes encode.

    Raises:
        MalformedMessage: unknown kind, truncated, trailing bytes, or not canonical.
    """
    kind = _CODES.get(data[0]) if data else None
    if kind is None:
        raise MalformedMessage(f"got a message of unknown kind {data[:1].hex() or '(empty)'}")
    values: dict[str, Any] = {}
    rest = memoryview(data)[1:]
    try:
        for name, how in _layout(kind):
            values[name], rest = unpack(how, rest)
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise MalformedMessage(f"a {kind.kind} message is cut short or garbled: {error}") from None
    if len(rest):
        raise MalformedMessage(f"a {kind.kind} message has {len(rest)} bytes too many")
    return kind(**values)


def kind_of(body: bytes) -> str:
    """The kind of an encoded message, `"?"` if it is none."""
    kind = _CODES.get(body[0]) if body else None
    return kind.kind if kind else "?"


def _layout(kind: type[Message]) -> tuple[tuple[str, str], ...]:
    """(field name, encoding) of each field, in order."""
    if kind not in _LAYOUTS:
        hints = typing.get_type_hints(kind, include_extras=True)
        layout = []
        for field in dataclasses.fields(kind):
            hint = hints[field.name]
            how = hint.__metadata__[0] if typing.get_origin(hint) is Annotated else hint.__name__
            layout.append((field.name, how))
        _LAYOUTS[kind] = tuple(layout)
    return _LAYOUTS[kind]


@dataclasses.dataclass(frozen=True)
class Envelope:
    """A message on its way.

    Attributes:
        sender: who says it is from.
        receiver: who it is for.
        session: the block it belongs to; -1 for queries and answers, -2 for parcels.
        sequence: counts the sender's messages in the session.
        body: the message's canonical bytes.
    """

    sender: str
    receiver: str
    session: int
    sequence: int
    body: bytes

    QUERIES: ClassVar[Literal[-1]] = -1
    PARCELS: ClassVar[Literal[-2]] = -2

    def encode(self) -> bytes:
        """The bytes on the wire."""
        parts = (("str", self.sender), ("str", self.receiver), ("int", self.session), ("int", self.sequence))
        return b"".join(pack(how, value) for how, value in parts) + self.body

    @classmethod
    def decode(cls, data: bytes) -> Envelope:
        """The envelope these bytes encode.

        Raises:
            MalformedMessage: they encode none.
        """
        rest = memoryview(data)
        values: list[Any] = []
        try:
            for how in ("str", "str", "int", "int"):
                value, rest = unpack(how, rest)
                values.append(value)
        except (struct.error, UnicodeDecodeError) as error:
            raise MalformedMessage(f"an envelope is cut short or garbled: {error}") from None
        sender, receiver, session, sequence = values
        return cls(sender, receiver, session, sequence, bytes(rest))
