"""Verification: a short universal hash tells Alice and Bob whether reconciliation left them equal keys.

Bob draws a key for the hash once his bits are corrected, and sends it with his tag, in the clear: an
eavesdropper who knows it cannot change the bits any more. So the key is public randomness and costs nothing;
only the `tag_bits` bits of the tag count as leaked.

The hash is a composition of two universal families (Carter & Wegman, JCSS 18, 143 (1979)):

1. The bits, in chunks of 120 behind their number n, are the coefficients of a polynomial, evaluated at a
   random point r of GF(p), p = 2^127 − 1. Two different messages give different polynomials of degree at
   most L = ⌈n/120⌉ (n, the leading coefficient, tells lengths apart), which agree on at most L points. r is
   127 random bits modulo p; only the value 0 comes up twice among 2^127. So two messages collide with
   probability at most (L + 1)/2^127.
2. Multiply-shift (Dietzfelbinger, STACS 1996) cuts the 127-bit value x to t bits: the top t of a·x + b mod
   2^256. Let x ≠ y and 2^s the largest power of two in x − y, s ≤ 126. Then δ = a·(x − y) mod 2^256 is
   uniform over the multiples of 2^s, and independent of b. With M = 2^(256−t), the top bits agree with
   probability max(0, 1 − |δ|/M) over b (δ taken around 0). For t ≤ 128, 2^s divides M, and averaging the
   triangle over the multiples of 2^s gives (M/2^s)/(2^256/2^s) = 2^−t, exactly.

Together: at most (L + 1)/2^127 + 2^−t.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

KEY_BYTES = 80
DEFAULT_TAG_BITS = 64
FRAME_TAG_BITS = 32
LARGEST_TAG_BITS = 128

_PRIME = 2**127 - 1
_CHUNK_BYTES = 15
_LONG_BITS = 2**18  # from here on the compiled polynomial is worth the import of numba
_WORD_BITS = 256
_WORD = 2**_WORD_BITS


def tag(bits: NDArray[np.uint8], key: bytes, tag_bits: int = DEFAULT_TAG_BITS) -> bytes:
    """The tag of a key block.

    Args:
        bits: uint8[n] of 0 and 1.
        key: `KEY_BYTES` uniformly random bytes, drawn after `bits` were fixed on both sides: 16 for r, 32 for
            a and 32 for b, each big-endian.
        tag_bits: length of the tag, a multiple of 8 from 8 to 128.

    Returns:
        tag_bits/8 bytes.

    Raises:
        ValueError: for a key or a tag length that does not fit.
    """
    return _tags([bits], key, tag_bits)[0]


def frame_tags(
    bits: NDArray[np.uint8], frame_bits: int, key: bytes, tag_bits: int = FRAME_TAG_BITS
) -> NDArray[np.uint8]:
    """A tag of each frame of a key block, all under one key, to find out which frames differ.

    By the union bound, at most `frames · collision_probability(frame_bits, tag_bits)` is the chance that any of
    the frames differs without its tag doing so; one key for all makes the frames depend on each other, to which the
    union bound is indifferent. That is for finding frames: what is left of the key is verified by a `tag` of
    its own, under a new key, as short frame tags do not reach a small ε_cor. All of their bits are leaked.

    Args:
        bits: uint8[n] of 0 and 1.
        frame_bits: bits of a frame, at least 1; the last may be shorter.
        key: as for `tag`.
        tag_bits: as for `tag`, of each frame.

    Returns:
        uint8[⌈n/frame_bits⌉, tag_bits/8]: each row what `tag` gives for the frame.

    Raises:
        ValueError: for a key, a frame or a tag length that does not fit.
    """
    if frame_bits < 1:
        raise ValueError(f"a frame has at least 1 bit; got {frame_bits}")
    whole = len(bits) // frame_bits
    tags = _tags(bits[: whole * frame_bits].reshape(whole, frame_bits), key, tag_bits)
    if len(bits) % frame_bits:
        tags += _tags([bits[whole * frame_bits :]], key, tag_bits)
    return np.frombuffer(b"".join(tags), dtype=np.uint8).reshape(len(tags), tag_bits // 8)


def _tags(
    messages: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], key: bytes, tag_bits: int
) -> list[bytes]:
    """The tags of messages of equal length."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a verification key has {KEY_BYTES} bytes; got {len(key)}")
    if tag_bits not in range(8, LARGEST_TAG_BITS + 1, 8):
        raise ValueError(f"a tag has a multiple of 8 bits, 8 to {LARGEST_TAG_BITS}; got {tag_bits}")
    if not len(messages):
        return []
    point = (int.from_bytes(key[:16], "big") >> 1) % _PRIME
    factor = int.from_bytes(key[16:48], "big")
    offset = int.from_bytes(key[48:], "big")
    n_bits = len(messages[0])
    packed = np.packbits(np.asarray(messages), axis=1)
    polynomials = _compiled if len(messages) * n_bits >= _LONG_BITS else _clear
    tops = (
        (factor * value + offset) % _WORD >> (_WORD_BITS - tag_bits)
        for value in polynomials(packed, n_bits, point)
    )
    return [top.to_bytes(tag_bits // 8, "big") for top in tops]


def _clear(packed: NDArray[np.uint8], n_bits: int, point: int) -> list[int]:
    """The polynomial of each row at the point: what `_compiled` must equal, with the same arguments."""
    values = []
    for octets in map(bytes, packed):
        value = n_bits
        for start in range(0, len(octets), _CHUNK_BYTES):
            chunk = int.from_bytes(octets[start : start + _CHUNK_BYTES], "big")
            value = (value * point + chunk) % _PRIME
        values.append(value % _PRIME)
    return values


def _compiled(packed: NDArray[np.uint8], n_bits: int, point: int) -> list[int]:
    """The polynomial of each row, uint8[messages, ⌈n_bits/8⌉], at the point."""
    from netsim.postprocessing import verification_kernel  # noqa: PLC0415  numba takes half a second to import

    values = np.empty((len(packed), 2), dtype=np.uint64)
    words = np.array([point >> 64, point & (2**64 - 1)], dtype=np.uint64)
    verification_kernel.polynomials(packed, n_bits, words, values)
    return [((high << 64) | low) % _PRIME for high, low in values.tolist()]


def collision_probability(n_bits: int, tag_bits: int) -> float:
    """The bound on the chance that two different blocks of up to `n_bits` bits get the same tag."""
    chunks = -(-n_bits // (8 * _CHUNK_BYTES))
    return float((chunks + 1) * 2.0**-127 + 2.0**-tag_bits)


def tag_length(n_bits: int, eps_cor: float) -> int:
    """The bits of the shortest tag under which unequal keys of `n_bits` bits pass with at most `eps_cor`.

    Returns:
        A multiple of 8.

    Raises:
        ValueError: if no tag of up to 128 bits reaches `eps_cor`.
    """
    for tag_bits in range(8, LARGEST_TAG_BITS + 1, 8):
        if collision_probability(n_bits, tag_bits) <= eps_cor:
            return tag_bits
    raise ValueError(
        f"eps_cor must be at least {collision_probability(n_bits, LARGEST_TAG_BITS):.1e} "
        f"for {n_bits} bits; got {eps_cor}"
    )
