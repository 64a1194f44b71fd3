"""Every classical message as a frozen dataclass with canonical bytes, and the envelope it travels in.

The bytes are what is authenticated and what is counted. They are canonical: one message has one encoding, and
`decode` refuses anything else. All numbers are big-endian. Field types and their encodings:

    int                 8 bytes, signed
    str, bytes          4 bytes of length, then the UTF-8 text or the bytes
    Bits                8 bytes of count, then the bits packed big-endian, padded with zeros
    Symbols             8 bytes of count, 1 byte of width, then 1, 2, 4 or 8 bits each, the least that hold the greatest, padded with zeros
    Positions           8 bytes of count, then 4 bytes each, unsigned
    Slots               8 bytes of count, 1 byte of form, 8 bytes of length, then the shorter of two forms, the first if they are equal:
                        0, a bit for each slot up to the last one, padded with zeros; 1, the first slot and the gaps (slots left
                        out) between them, 7 bits a byte, the lowest first, the top bit set on all bytes but a number's last
"""

from __future__ import annotations

import dataclasses
import struct
import typing
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from netsim.errors import MalformedMessage

Bits = Annotated[NDArray[np.uint8], "bits"]
"""uint8[n] of 0 and 1."""
Symbols = Annotated[NDArray[np.uint8], "symbols"]
"""uint8[n], any value."""
Positions = Annotated[NDArray[np.int64], "positions"]
"""int64[n], 0 <= value < 2**32."""
Slots = Annotated[NDArray[np.int64], "slots"]
"""int64[n], ascending, no two equal, 0 <= value < 2**56."""

_COUNT = struct.Struct(">Q")
_LENGTH = struct.Struct(">I")
_INT = struct.Struct(">q")

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
            parts.append(_pack(how, getattr(self, name)))
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
            values[name], rest = _unpack(how, rest)
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


def _pack(how: str, value: Any) -> bytes:
    match how:
        case "int":
            return _INT.pack(value)
        case "str":
            text = value.encode()
            return _LENGTH.pack(len(text)) + bytes(text)
        case "bytes":
            return _LENGTH.pack(len(value)) + bytes(value)
        case "bits":
            return _COUNT.pack(len(value)) + np.packbits(value).tobytes()
        case "symbols":
            return _pack_symbols(np.asarray(value, dtype=np.uint8))
        case "positions":
            return _COUNT.pack(len(value)) + np.asarray(value).astype(">u4").tobytes()
        case "slots":
            return _pack_slots(np.asarray(value, dtype=np.int64))
    raise TypeError(f"no encoding for a field of type {how}")


def _unpack(how: str, data: memoryview) -> tuple[Any, memoryview]:
    match how:
        case "int":
            return _INT.unpack(data[:8])[0], data[8:]
        case "str":
            text, rest = _take(data[4:], _LENGTH.unpack(data[:4])[0])
            return bytes(text).decode(), rest
        case "bytes":
            raw, rest = _take(data[4:], _LENGTH.unpack(data[:4])[0])
            return bytes(raw), rest
        case "bits":
            count = _COUNT.unpack(data[:8])[0]
            packed, rest = _take(data[8:], -(-count // 8))
            bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8))
            if bits[count:].any():
                raise MalformedMessage("the padding of a bit string is not zero")
            return bits[:count], rest
        case "symbols":
            return _unpack_symbols(data)
        case "positions":
            raw, rest = _take(data[8:], 4 * _COUNT.unpack(data[:8])[0])
            return np.frombuffer(raw, dtype=">u4").astype(np.int64), rest
        case "slots":
            return _unpack_slots(data)
    raise TypeError(f"no encoding for a field of type {how}")


def _pack_symbols(values: NDArray[np.uint8]) -> bytes:
    width = _width(int(values.max(initial=0)))
    head = _COUNT.pack(len(values)) + bytes([width])
    if width == 8:
        return head + values.tobytes()
    bits = values if width == 1 else np.unpackbits(values[:, None], axis=1)[:, 8 - width :].ravel()
    return head + np.packbits(bits).tobytes()


def _width(greatest: int) -> int:
    """Bits for a symbol: 1, 2, 4 or 8."""
    return next(width for width in (1, 2, 4, 8) if greatest < 1 << width)


def _unpack_symbols(data: memoryview) -> tuple[NDArray[np.uint8], memoryview]:
    count, width = _COUNT.unpack(data[:8])[0], data[8]
    if width not in (1, 2, 4, 8):
        raise MalformedMessage(f"symbols have 1, 2, 4 or 8 bits, got {width}")
    packed, rest = _take(data[9:], -(-count * width // 8))
    raw = np.frombuffer(packed, dtype=np.uint8)
    if width == 8:
        values = raw.copy()
    else:
        bits = np.unpackbits(raw)
        if bits[count * width :].any():
            raise MalformedMessage("the padding of symbols is not zero")
        values = bits[: count * width]
        if width > 1:
            values = np.packbits(values.reshape(count, width), axis=1)[:, 0] >> np.uint8(8 - width)
    if _width(int(values.max(initial=0))) != width:
        raise MalformedMessage(f"symbols of {width} bits would fit into fewer")
    return values, rest


def _pack_slots(slots: NDArray[np.int64]) -> bytes:
    gaps = np.diff(slots, prepend=-1) - 1
    sizes = _varint_sizes(gaps)
    short, last = int(sizes.sum()), int(slots[-1]) if len(slots) else -1
    if (last + 8) // 8 <= short:
        clicked = np.zeros(last + 1, dtype=np.uint8)
        clicked[slots] = 1
        form, payload = 0, np.packbits(clicked).tobytes()
    else:
        form, payload = 1, _varints(gaps, sizes).tobytes()
    return _COUNT.pack(len(slots)) + bytes([form]) + _COUNT.pack(len(payload)) + payload


def _varint_sizes(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """How many bytes of 7 bits each value takes."""
    sizes = np.ones(len(values), dtype=np.uint8)
    limit = 1 << 7
    while len(values) and int(values.max()) >= limit:
        sizes += values >= limit
        limit <<= 7
    return sizes


def _varints(values: NDArray[np.int64], sizes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not len(values) or int(sizes.max()) == 1:
        return values.astype(np.uint8)
    ends = np.cumsum(sizes, dtype=np.int64)
    coded = np.empty(int(ends[-1]), dtype=np.uint8)
    starts = ends - sizes
    for place in range(int(sizes.max())):
        here = np.flatnonzero(sizes > place)
        more = (sizes[here] > place + 1).astype(np.uint8) << np.uint8(7)
        coded[starts[here] + place] = (values[here] >> (7 * place)).astype(np.uint8) & np.uint8(127) | more
    return coded


def _unpack_slots(data: memoryview) -> tuple[NDArray[np.int64], memoryview]:
    count, form, length = _COUNT.unpack(data[:8])[0], data[8], _COUNT.unpack(data[9:17])[0]
    payload, rest = _take(data[17:], length)
    raw = np.frombuffer(payload, dtype=np.uint8)
    if form == 0:
        slots = np.flatnonzero(np.unpackbits(raw))
        gaps = np.diff(slots, prepend=-1) - 1
        canonical = (length == 0 or raw[-1] > 0) and length <= int(_varint_sizes(gaps).sum())
    elif form == 1:
        gaps, canonical = _unpack_varints(raw)
        slots = np.cumsum(gaps + 1) - 1
        # A sum of gaps exceeds the limit before it can overflow, and is seen there.
        canonical = canonical and bool(np.all(slots < 1 << 56)) and length < (int(slots[-1]) + 8) // 8
    else:
        raise MalformedMessage(f"slots come in form 0 or 1, got {form}")
    if len(slots) != count or not canonical:
        raise MalformedMessage("slots are not written in their one way")
    return slots, rest


def _unpack_varints(raw: NDArray[np.uint8]) -> tuple[NDArray[np.int64], bool]:
    """The numbers, and whether each has as few bytes as it can."""
    last = raw < 128
    if not len(raw) or not last[-1]:
        raise MalformedMessage("the last number of a row is cut short")
    if last.all():
        return raw.astype(np.int64), True
    ends = np.flatnonzero(last)
    sizes = np.diff(ends, prepend=-1)
    starts = ends - sizes + 1
    if int(sizes.max()) > 8:
        raise MalformedMessage("a number of a row has more than 56 bits")
    values = (raw[starts] & np.uint8(127)).astype(np.int64)
    for place in range(1, int(sizes.max())):
        here = np.flatnonzero(sizes > place)
        values[here] |= (raw[starts[here] + place] & np.uint8(127)).astype(np.int64) << (7 * place)
    return values, not bool(np.any((sizes > 1) & (raw[ends] == 0)))


def _take(data: memoryview, count: int) -> tuple[memoryview, memoryview]:
    if count > len(data):
        raise MalformedMessage(f"a field says it has {count} bytes, {len(data)} are left")
    return data[:count], data[count:]


@dataclasses.dataclass(frozen=True)
class Envelope:
    """A message on its way.

    Attributes:
        sender: who says it is from.
        receiver: who it is for.
        session: the block it belongs to; -1 for queries and answers.
        sequence: counts the sender's messages in the session.
        body: the message's canonical bytes.
    """

    sender: str
    receiver: str
    session: int
    sequence: int
    body: bytes

    QUERIES: ClassVar[Literal[-1]] = -1

    def encode(self) -> bytes:
        """The bytes on the wire."""
        parts = (("str", self.sender), ("str", self.receiver), ("int", self.session), ("int", self.sequence))
        return b"".join(_pack(how, value) for how, value in parts) + self.body

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
                value, rest = _unpack(how, rest)
                values.append(value)
        except (struct.error, UnicodeDecodeError) as error:
            raise MalformedMessage(f"an envelope is cut short or garbled: {error}") from None
        sender, receiver, session, sequence = values
        return cls(sender, receiver, session, sequence, bytes(rest))
