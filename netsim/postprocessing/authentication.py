"""Wegman–Carter authentication: one tag vouches for everything said in one direction about one block.

A polynomial hash maps the transcript to 128 bits, and a one-time pad masks the result (Wegman & Carter, JCSS
22, 265 (1981)). The hash is Poly1305 (Bernstein, FSE 2005): the transcript's 16-byte pieces are coefficients
of a polynomial, evaluated at a secret point r modulo 2^130 − 5, plus the pad s modulo 2^128. For two
different transcripts of at most L bytes and any difference d, H_r(m) − H_r(m') = d (mod 2^128) holds for at
most 8⌈L/16⌉ of the 2^106 values of r (Bernstein, Theorem 3.3): the hash is ε-almost-Δ-universal. A pad used
once makes the tag itself independent of r, so a forger learns nothing about r from the tags he sees and does
no better than guess d, whatever his computing power. That is why r may live as long as the link, while each
tag spends `TAG_BITS` of fresh key, and why no cipher appears here: Poly1305-AES would make the pad from a
short key, and security computational.

Each piece of the transcript is hashed behind its length, so that no two sequences of pieces give the same
bytes.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import constant_time
from cryptography.hazmat.primitives.poly1305 import Poly1305

TAG_BITS = 128
HASH_KEY_BITS = 128
LENGTH_BYTES = 8


class TranscriptTag:
    """A tag over pieces of transcript as they come; sender and receiver each run one.

    Args:
        hash_key: r, 16 secret bytes shared for the life of the link. 22 of its bits are cleared by Poly1305.
        pad: s, 16 secret bytes that never mask a second tag.

    Attributes:
        transcript_bytes: bytes hashed so far, lengths included; what `forgery_probability` wants.
    """

    def __init__(self, hash_key: bytes, pad: bytes) -> None:
        if len(hash_key) * 8 != HASH_KEY_BITS or len(pad) * 8 != TAG_BITS:
            raise ValueError(f"hash key and pad have 16 bytes each; got {len(hash_key)} and {len(pad)}")
        self._hash = Poly1305(hash_key + pad)
        self.transcript_bytes = 0

    def update(self, data: bytes) -> None:
        """Hash one more piece, behind its length as 8 bytes big-endian.

        Raises:
            cryptography.exceptions.AlreadyFinalized: after `finish`.
        """
        self._hash.update(len(data).to_bytes(LENGTH_BYTES, "big"))
        self._hash.update(data)
        self.transcript_bytes += LENGTH_BYTES + len(data)

    def finish(self) -> bytes:
        """The tag, 16 bytes; once only.

        Raises:
            cryptography.exceptions.AlreadyFinalized: the second time.
        """
        return self._hash.finalize()


def verify(expected: bytes, got: bytes) -> bool:
    """Whether two tags are equal, in a time that does not tell where they differ."""
    return constant_time.bytes_eq(expected, got)


def forgery_probability(transcript_bytes: int) -> float:
    """The most likely one attempt is to pass a changed transcript off as genuine: 8⌈L/16⌉/2^106.

    Args:
        transcript_bytes: L, the `TranscriptTag.transcript_bytes` of the longer of the two transcripts. Even
            an empty one counts as one piece, as what a forger puts in its place is not empty.

    Source: Bernstein 2005, Theorem 3.3.
    """
    pieces = max(1, -(-transcript_bytes // 16))
    return float(8 * pieces * 2.0**-106)
