"""Sealing a short message with key that is used once: one-time pad, and a one-time MAC over header and ciphertext.

The MAC is Poly1305 with a fresh 256-bit key for each message: a forgery passes with probability at most
8⌈L/16⌉/2^106 for L bytes (Bernstein 2005), whatever the forger can compute.
"""

from __future__ import annotations

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305
from numpy.typing import NDArray

from netsim.errors import SealBroken

MAC_KEY_BITS = 256
TAG_BYTES = 16


def key_bits(plaintext_bytes: int, mac: bool) -> int:
    """Bits of key one sealed message takes."""
    return 8 * plaintext_bytes + (MAC_KEY_BITS if mac else 0)


def seal(plaintext: bytes, header: bytes, key: NDArray[np.uint8], mac: bool) -> bytes:
    """Encrypt, and tag header and ciphertext.

    Args:
        plaintext: n bytes.
        header: what travels in the clear beside it and is covered by the tag.
        key: uint8[key_bits(n, mac)]; the pad first, then the MAC's key. Use it for nothing else.
        mac: whether to tag.

    Returns:
        n bytes of ciphertext, then 16 of tag if `mac`.
    """
    _check_length(key, len(plaintext), mac)
    ciphertext = _xor(plaintext, key)
    return ciphertext + (
        Poly1305.generate_tag(_mac_key(key), _authenticated(header, ciphertext)) if mac else b""
    )


def unseal(sealed: bytes, header: bytes, key: NDArray[np.uint8], mac: bool) -> bytes:
    """Check the tag, then decrypt.

    Raises:
        SealBroken: the tag does not fit, or the message has not the length that the key has.
    """
    size = len(sealed) - (TAG_BYTES if mac else 0)
    if size < 0 or len(key) != key_bits(size, mac):
        raise SealBroken(f"a sealed message of {len(sealed)} bytes does not fit a key of {len(key)} bits")
    ciphertext, tag = sealed[:size], sealed[size:]
    if mac:
        try:
            Poly1305.verify_tag(_mac_key(key), _authenticated(header, ciphertext), tag)
        except InvalidSignature:
            raise SealBroken("the tag of a sealed message does not fit it") from None
    return _xor(ciphertext, key)


def _check_length(key: NDArray[np.uint8], plaintext_bytes: int, mac: bool) -> None:
    expected = key_bits(plaintext_bytes, mac)
    if len(key) != expected:
        raise ValueError(f"sealing {plaintext_bytes} bytes takes {expected} bits of key, got {len(key)}")


def _xor(text: bytes, key: NDArray[np.uint8]) -> bytes:
    pad = np.packbits(key[: 8 * len(text)])
    return (np.frombuffer(text, dtype=np.uint8) ^ pad).tobytes()


def _mac_key(key: NDArray[np.uint8]) -> bytes:
    return np.packbits(key[-MAC_KEY_BITS:]).tobytes()


def _authenticated(header: bytes, ciphertext: bytes) -> bytes:
    return len(header).to_bytes(4, "big") + header + ciphertext
