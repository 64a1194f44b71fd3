"""Sealing: what is opened is what was sealed; with a MAC nothing can be changed, without one anything can."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.poly1305 import Poly1305
from hypothesis import given
from hypothesis import strategies as st

from netsim.errors import SealBroken
from netsim.keys.one_time_pad import MAC_KEY_BITS, TAG_BYTES, key_bits, seal, unseal

TEXTS = st.binary(max_size=40)
SEEDS = st.integers(0, 2**32)


def fresh_key(size: int, mac: bool, seed: int) -> np.ndarray:
    """Key for a text of so many bytes."""
    return np.random.default_rng(seed).integers(0, 2, key_bits(size, mac), dtype=np.uint8)


def flipped(data: bytes, bit: int) -> bytes:
    """The bytes with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


@given(TEXTS, TEXTS, st.booleans(), SEEDS)
def test_what_is_opened_is_what_was_sealed(text, header, mac, seed):
    """open(seal(m)) == m, the empty message too, and sealing adds a tag's length or nothing."""
    key = fresh_key(len(text), mac, seed)
    sealed = seal(text, header, key, mac)
    assert len(sealed) == len(text) + (TAG_BYTES if mac else 0)
    assert unseal(sealed, header, key, mac) == text


def test_every_flipped_bit_shows_with_a_mac():
    """Each bit of header, ciphertext and tag is covered."""
    text, header = b"two coordinates", b"header"
    key = fresh_key(len(text), True, 1)
    sealed = seal(text, header, key, True)
    for bit in range(8 * len(sealed)):
        with pytest.raises(SealBroken):
            unseal(flipped(sealed, bit), header, key, True)
    for bit in range(8 * len(header)):
        with pytest.raises(SealBroken):
            unseal(sealed, flipped(header, bit), key, True)


@given(st.binary(min_size=1, max_size=40), st.data(), SEEDS)
def test_without_a_mac_a_flip_flips_that_bit_and_no_other(text, data, seed):
    """The one-time pad alone is malleable: that is the attack, and it is exact."""
    key = fresh_key(len(text), False, seed)
    bit = data.draw(st.integers(0, 8 * len(text) - 1))
    sealed = flipped(seal(text, b"header", key, False), bit)
    assert unseal(sealed, b"another header", key, False) == flipped(text, bit)


@given(st.binary(min_size=1, max_size=20), TEXTS, SEEDS)
def test_header_and_text_cannot_trade_bytes(text, header, seed):
    """A byte moved from the front of the ciphertext to the end of the header is a forgery."""
    key = fresh_key(len(text), True, seed)
    sealed = seal(text, header, key, True)
    with pytest.raises(SealBroken):
        unseal(sealed[1:], header + sealed[:1], key[8:], True)


def test_the_ciphertext_is_the_text_plus_the_pad():
    """Bit for bit, most significant first; the MAC's key does not touch it."""
    key = np.concatenate([np.tile(np.array([1, 0, 0, 0, 0, 0, 0, 1], np.uint8), 2), np.zeros(256, np.uint8)])
    assert seal(b"\x00\xff", b"", key, True)[:2] == b"\x81\x7e"


def test_the_tag_is_poly1305_over_length_header_and_ciphertext():
    """Poly1305 with the last 256 bits of the key (RFC 8439), the header's length in front."""
    key = fresh_key(4, True, 3)
    sealed = seal(b"text", b"head", key, True)
    mac_key = np.packbits(key[-MAC_KEY_BITS:]).tobytes()
    assert sealed[4:] == Poly1305.generate_tag(mac_key, b"\x00\x00\x00\x04head" + sealed[:4])


@pytest.mark.parametrize("mac", [True, False])
@pytest.mark.parametrize("difference", [-8, -1, 1, 8])
def test_key_of_the_wrong_length_is_refused(mac, difference):
    """Sealing with it is a fault of the caller; opening with it is a broken seal."""
    key = fresh_key(4, mac, 4)
    wrong = np.resize(key, len(key) + difference)
    with pytest.raises(ValueError, match=f"takes {len(key)} bits of key, got {len(wrong)}"):
        seal(b"text", b"", wrong, mac)
    with pytest.raises(SealBroken, match="does not fit a key"):
        unseal(seal(b"text", b"", key, mac), b"", wrong, mac)


@given(st.binary(max_size=60), st.booleans())
def test_noise_does_not_open(noise, mac):
    """Bytes of another length than the key's never open; of the right length, not past a MAC."""
    key = fresh_key(20, mac, 5)
    if mac or len(noise) != 20:
        with pytest.raises(SealBroken):
            unseal(noise, b"", key, mac)


def test_another_key_does_not_open_it():
    """Nor does a key of which one bit of the MAC's part is wrong, unless Poly1305 ignores that bit."""
    key = fresh_key(4, True, 6)
    sealed = seal(b"text", b"", key, True)
    clamped = 0
    for bit in range(32, 32 + MAC_KEY_BITS):
        other = key.copy()
        other[bit] ^= 1
        try:
            assert unseal(sealed, b"", other, True) == b"text"
            clamped += 1
        except SealBroken:
            pass
    assert clamped == 22  # bits of r that Poly1305 sets to zero (RFC 8439, 2.5)
