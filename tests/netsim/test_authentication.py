"""Authentication: one tag over everything said, which no forger without the shared secret can make."""

from __future__ import annotations

import math

import pytest
from cryptography.exceptions import AlreadyFinalized
from hypothesis import given
from hypothesis import strategies as st

from netsim.postprocessing.authentication import (
    HASH_KEY_BITS,
    TAG_BITS,
    TranscriptTag,
    forgery_probability,
    verify,
)

half_keys = st.binary(min_size=16, max_size=16)
transcripts = st.lists(st.binary(max_size=50), max_size=6)


def poly1305(r: bytes, s: bytes, message: bytes) -> bytes:
    """Poly1305 as RFC 8439 section 2.5 defines it."""
    point = int.from_bytes(r, "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    value = 0
    for start in range(0, len(message), 16):
        piece = message[start : start + 16] + b"\x01"
        value = (value + int.from_bytes(piece, "little")) * point % (2**130 - 5)
    return ((value + int.from_bytes(s, "little")) % 2**128).to_bytes(16, "little")


def tag_of(pieces: list[bytes], r: bytes = bytes(range(16)), s: bytes = bytes(16)) -> bytes:
    """The tag over a transcript."""
    transcript = TranscriptTag(r, s)
    for piece in pieces:
        transcript.update(piece)
    return transcript.finish()


def test_the_reference_meets_its_published_vector():
    """The test's own Poly1305 gives the tag of RFC 8439 section 2.5.2."""
    r = bytes.fromhex("85d6be7857556d337f4452fe42d506a8")
    s = bytes.fromhex("0103808afb0db2fd4abff6af4149f51b")
    expected = bytes.fromhex("a8061dc1305136c6c22b8baf0c0127a9")
    assert poly1305(r, s, b"Cryptographic Forum Research Group") == expected


@given(transcripts, half_keys, half_keys)
def test_the_tag_is_poly1305_over_framed_pieces(pieces, r, s):
    """Each piece goes in behind its length as eight bytes big-endian, and both roles get the same tag."""
    framed = b"".join(len(piece).to_bytes(8, "big") + piece for piece in pieces)
    assert tag_of(pieces, r, s) == poly1305(r, s, framed)


@given(transcripts, transcripts)
def test_different_transcripts_have_different_tags(pieces, others):
    """A changed, moved, split or missing piece shows."""
    assert (tag_of(pieces) == tag_of(others)) == (pieces == others)


def test_boundaries_are_part_of_the_transcript():
    """The same bytes cut differently, or an empty piece more, give other tags."""
    cuts = [[b"abcd"], [b"ab", b"cd"], [b"abcd", b""], [b"", b"abcd"], []]
    assert len({tag_of(pieces) for pieces in cuts}) == len(cuts)


def test_verify_compares_whole_tags():
    """Equal tags pass; one wrong bit or a missing byte does not."""
    tag = tag_of([b"sifting", b"cascade"])
    assert len(tag) * 8 == TAG_BITS
    assert verify(tag, bytes(tag))
    assert not verify(tag, bytes([tag[0] ^ 1]) + tag[1:])
    assert not verify(tag, tag[:-1])


def test_a_tag_is_given_once():
    """After the tag, neither another piece nor another tag: the pad is spent."""
    transcript = TranscriptTag(bytes(16), bytes(16))
    transcript.update(b"done")
    assert transcript.transcript_bytes == 12
    transcript.finish()
    with pytest.raises(AlreadyFinalized):
        transcript.update(b"more")
    with pytest.raises(AlreadyFinalized):
        transcript.finish()


@pytest.mark.parametrize(("hash_key", "pad"), [(bytes(15), bytes(16)), (bytes(16), bytes(32))])
def test_key_lengths_are_checked(hash_key, pad):
    """Both halves of the key have 16 bytes."""
    assert HASH_KEY_BITS == TAG_BITS == 128
    with pytest.raises(ValueError, match="16 bytes each"):
        TranscriptTag(hash_key, pad)


@pytest.mark.parametrize(("transcript_bytes", "exponent"), [(0, -103), (16, -103), (17, -102), (2**20, -87)])
def test_the_forgery_bound_is_bernsteins(transcript_bytes, exponent):
    """8⌈L/16⌉/2^106 (Bernstein 2005, Theorem 3.3): 2^-87 for a transcript of a mebibyte."""
    assert math.isclose(forgery_probability(transcript_bytes), 2.0**exponent)
