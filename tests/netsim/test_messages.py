"""Messages: what is decoded is what was encoded, one message has one encoding, and no bytes do harm."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netsim import messages
from netsim.errors import MalformedMessage
from netsim.messages import Envelope, Message, decode, kind_of

KINDS = tuple(messages._KINDS.values())
INT64 = st.integers(-(2**63), 2**63 - 1)
LENGTHS = st.integers(0, 40)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SLOTS = st.sampled_from([50, 500, 2**20, 2**56]).flatmap(
    lambda stop: st.sets(st.integers(0, stop - 1), max_size=40).map(
        lambda slots: np.array(sorted(slots), dtype=np.int64)
    )
)
FIELDS = {
    "int": INT64,
    "str": TEXTS,
    "bytes": st.binary(max_size=40),
    "bits": arrays.arrays(np.uint8, LENGTHS, elements=st.integers(0, 1)),
    "symbols": st.sampled_from([1, 3, 15, 255]).flatmap(
        lambda greatest: arrays.arrays(np.uint8, LENGTHS, elements=st.integers(0, greatest))
    ),
    "positions": arrays.arrays(np.int64, LENGTHS, elements=st.integers(0, 2**32 - 1)),
    "slots": SLOTS,
}
BOMBS = (2**32, 2**60, 2**61 - 1, 2**62, 2**63, 2**64 - 1)


def of_kind(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Any message of a kind."""
    return st.builds(kind, **{name: FIELDS[how] for name, how in messages._layout(kind)})


ANY = st.sampled_from(KINDS).flatmap(of_kind)
ENVELOPES = st.builds(Envelope, TEXTS, TEXTS, INT64, INT64, st.binary(max_size=40))


def bytes_of(count: int) -> bytes:
    """A count as it stands on the wire."""
    return count.to_bytes(8, "big")


def same(one: object, other: object) -> bool:
    """Equal values of a field, arrays with equal types."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and one == other


def assert_refused_or_canonical(data: bytes) -> None:
    """Bytes are no message, or the one encoding of one."""
    try:
        message = decode(data)
    except MalformedMessage:
        return
    assert message.encode() == data


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@given(data=st.data())
def test_decoding_gives_back_every_field(kind, data):
    """Each kind of message survives the wire, field by field and type by type."""
    message = data.draw(of_kind(kind))
    decoded = decode(message.encode())
    assert type(decoded) is kind
    for field in dataclasses.fields(kind):
        assert same(getattr(message, field.name), getattr(decoded, field.name)), field.name


@given(ANY, st.data())
def test_a_changed_byte_is_refused_or_another_message(message, data):
    """Any single changed byte gives MalformedMessage or the canonical bytes of another message, never a crash."""
    body = bytearray(message.encode())
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    assert_refused_or_canonical(bytes(body))


@given(ANY, st.data())
def test_a_truncated_message_is_refused(message, data):
    """No proper prefix of a message is a message."""
    body = message.encode()
    with pytest.raises(MalformedMessage):
        decode(body[: data.draw(st.integers(0, len(body) - 1))])


@given(ANY, st.binary(min_size=1, max_size=9))
def test_trailing_bytes_are_refused(message, more):
    """A message with something behind it is no message."""
    with pytest.raises(MalformedMessage, match=f"{len(more)} bytes too many"):
        decode(message.encode() + more)


@given(st.binary(max_size=80))
def test_noise_is_refused_or_canonical(data):
    """Arbitrary bytes never raise anything but MalformedMessage."""
    assert_refused_or_canonical(data)
    kind_of(data)


def test_padding_must_be_zero():
    """A bit string has one encoding: set bits behind its end are refused."""
    body = messages.Sample(np.array([1, 0, 1], dtype=np.uint8)).encode()
    with pytest.raises(MalformedMessage, match="padding"):
        decode(body[:-1] + bytes([body[-1] | 1]))


def test_the_wire_format_is_fixed():
    """Codes, byte order and packing are these, for ever."""
    assert [(kind.code, kind.kind) for kind in KINDS] == [
        (1, "start"),
        (2, "detections"),
        (3, "sifting"),
        (4, "sample"),
        (5, "questions"),
        (6, "parities"),
        (7, "verification"),
        (8, "amplification"),
        (9, "tag"),
        (10, "accepted"),
        (11, "abort"),
        (12, "query"),
        (13, "answer"),
        (14, "bell"),
        (15, "syndromes"),
        (16, "syndromes-wanted"),
        (17, "frame-tags"),
        (18, "frames-wanted"),
        (19, "frame-bits"),
        (20, "parcel"),
    ]
    bits = np.array([1, 0, 1], dtype=np.uint8)
    assert messages.BlockStart(1000, -2).encode().hex() == "01" + "00000000000003e8" + "fffffffffffffffe"
    assert messages.Sample(bits).encode().hex() == "04" + "0000000000000003" + "a0"
    assert messages.Abort("qber").encode().hex() == "0b" + "00000004" + b"qber".hex()
    questions = messages.ParityQuestions(np.array([2], np.uint8), np.array([5]), np.array([2**32 - 1]))
    one = "0000000000000001"
    assert questions.encode().hex() == "05" + one + "0280" + one + "00000005" + one + "ffffffff"
    two, three = "0000000000000002", "0000000000000003"
    symbols = np.array([1, 0, 1], dtype=np.uint8)
    dense = messages.Detections(np.array([0, 9]), symbols[1:], symbols[:0])
    assert dense.encode().hex() == "02" + two + "00" + two + "8040" + two + "0140" + bytes(8).hex() + "01"
    sparse = messages.Detections(np.array([3, 203, 204]), 5 * symbols, 9 * symbols + 16)
    gaps = "00" + "03" + "c701" + "00"  # 3, 199 = 71 + 128 * 1, 0
    expected = "02" + three + "01" + "0000000000000004" + gaps[2:] + three + "045050" + three + "08191019"
    assert sparse.encode().hex() == expected
    envelope = Envelope("alice", "bob", -1, 3, b"\x04")
    numbers = "ffffffffffffffff" + "0000000000000003"
    assert envelope.encode().hex() == "00000005" + b"alice".hex() + "00000003" + b"bob".hex() + numbers + "04"


@pytest.mark.parametrize("count", BOMBS)
@pytest.mark.parametrize(
    "head",
    [
        b"\x02",
        b"\x02" + bytes(9),
        b"\x02" + bytes(8) + b"\x01",
        b"\x02" + bytes(17),
        b"\x03",
        b"\x04",
        b"\x05",
        b"\x05" + bytes(8) + b"\x01",
        b"\x05" + bytes(8) + b"\x01" + bytes(8),
        b"\x06",
    ],
    ids=[
        "slots",
        "bitmap",
        "gaps",
        "symbols behind slots",
        "bits",
        "sample",
        "symbols",
        "positions",
        "more positions",
        "parities",
    ],
)
def test_a_memory_bomb_is_refused_without_allocating(head, count):
    """A field that claims an absurd number of elements costs nothing."""
    bomb = head + bytes_of(count) + bytes(64)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage):
            decode(bomb)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 100_000


@pytest.mark.parametrize("code", [9, 11])
def test_an_absurd_length_of_text_or_bytes_is_refused(code):
    """A text or byte string that claims four gigabytes is refused."""
    with pytest.raises(MalformedMessage):
        decode(bytes([code]) + b"\xff\xff\xff\xff" + bytes(10))


def test_text_that_is_not_utf8_is_refused():
    """Overlong and broken UTF-8 are no text."""
    for text in (b"\xc0\x80", b"\xff", b"\xed\xa0\x80"):
        with pytest.raises(MalformedMessage):
            decode(b"\x0b" + len(text).to_bytes(4, "big") + text)


@given(ENVELOPES)
def test_an_envelope_survives_the_wire(envelope):
    """What is decoded is what was encoded."""
    assert Envelope.decode(envelope.encode()) == envelope


@given(ENVELOPES, st.data())
def test_a_damaged_envelope_is_refused_or_canonical(envelope, data):
    """A changed or missing byte gives MalformedMessage or the canonical bytes of another envelope."""
    body = bytearray(envelope.encode())
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(0, 255))
    damaged = bytes(body[: data.draw(st.integers(0, len(body)))])
    try:
        other = Envelope.decode(damaged)
    except MalformedMessage:
        return
    assert other.encode() == damaged


def test_a_header_is_a_query_without_its_secret():
    """What the tag covers besides the ciphertext is all the rest of the message."""
    query = messages.Query(3, 4, bytes(16), b"sealed")
    header = decode(query.header())
    assert isinstance(header, messages.Query)
    assert (header.client, header.sequence, header.key_id, header.sealed) == (3, 4, bytes(16), b"")
    assert messages.Answer(3, 4, bytes(16), b"sealed").header() != query.header()


def test_a_parcel_signs_all_and_seals_all_but_the_model():
    """The signature covers every field but itself; the header leaves out the model too, and nothing else."""
    names = ("suite", "cipher", "scheme", "publisher", "recipient")
    parcel = messages.Parcel(1, *names, bytes(32), 7, bytes(32), b"sent", bytes(16), b"sealed", b"signature")
    changes = {
        field.name: {"int": 8, "str": "other", "bytes": b"other"}[field.type]
        for field in dataclasses.fields(parcel)
    }
    for name, value in changes.items():
        other = dataclasses.replace(parcel, **{name: value})
        assert (other.signed() == parcel.signed()) == (name == "signature")
        assert (other.header() == parcel.header()) == (name in {"sealed", "signature"})


def test_the_kind_is_read_from_the_first_byte():
    """`kind_of` names a message without decoding it, and noise `?`."""
    assert kind_of(messages.Abort("qber").encode()) == "abort"
    assert kind_of(b"\x00") == kind_of(b"\xff") == kind_of(b"") == "?"
