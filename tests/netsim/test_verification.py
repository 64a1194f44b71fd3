"""Verification: equal keys have equal tags, unequal ones as good as never."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.postprocessing import verification
from netsim.postprocessing.verification import (
    KEY_BYTES,
    collision_probability,
    frame_tags,
    tag,
    tag_length,
)

bit_lists = st.lists(st.integers(0, 1), max_size=400).map(lambda bits: np.array(bits, dtype=np.uint8))
keys = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)


def tag_by_powers(bits, key: bytes, tag_bits: int) -> int:
    """The tag as its definition has it: explicit powers of r, and the top bits of a·x + b."""
    prime = 2**127 - 1
    r, a, b = (int.from_bytes(part, "big") for part in (key[:16], key[16:48], key[48:]))
    r //= 2
    octets = np.packbits(bits).tobytes()
    coefficients = [len(bits)] + [
        int.from_bytes(octets[i : i + 15], "big") for i in range(0, len(octets), 15)
    ]
    value = sum(c * pow(r, i, prime) for i, c in enumerate(reversed(coefficients))) % prime
    return (a * value + b) % 2**256 // 2 ** (256 - tag_bits)


@given(bit_lists, keys, st.sampled_from([8, 40, 64, 128]))
def test_the_tag_is_the_polynomial(bits, key, tag_bits):
    """Horner's scheme gives what explicit powers give, in as many bytes as were asked for."""
    got = tag(bits, key, tag_bits)
    assert len(got) == tag_bits // 8
    assert int.from_bytes(got, "big") == tag_by_powers(bits, key, tag_bits)


octets = st.integers(0, 70).flatmap(
    lambda size: st.lists(st.binary(min_size=size, max_size=size) | st.just(b"\xff" * size), max_size=4)
)
points = st.integers(0, 2**127 - 2) | st.sampled_from([0, 1, 2, 2**64 - 1, 2**64, 2**127 - 2])


@given(octets, points, st.integers(0, 7))
def test_the_compiled_polynomial_is_the_clear_one(messages, point, spare):
    """Two 64-bit words give what Python's integers give, also where carries run through and at the ends of the field."""
    size = len(messages[0]) if messages else 0
    packed = np.frombuffer(b"".join(messages), dtype=np.uint8).reshape(len(messages), size)
    n_bits = max(8 * size - spare, 0)
    expected = verification._clear(packed, n_bits, point)
    assert verification._compiled(packed, n_bits, point) == expected


def test_a_result_of_zero_is_zero():
    """2^127 − 1, which the compiled numbers may hold for 0, comes out as 0, as in the clear."""
    # At the point p − 1, which is −1, the polynomial of one chunk is c − n.
    packed = np.array([[0] * 14 + [120]], dtype=np.uint8)
    for polynomials in (verification._clear, verification._compiled):
        assert polynomials(packed, 120, 2**127 - 2) == [0]


@pytest.mark.parametrize("n_bits", [verification._LONG_BITS - 1, verification._LONG_BITS, 1_000_003])
def test_long_keys_have_the_same_tag(n_bits):
    """A tag does not show which way it was made."""
    rng = np.random.default_rng(5)
    bits, key = rng.integers(0, 2, n_bits, dtype=np.uint8), rng.bytes(KEY_BYTES)
    assert int.from_bytes(tag(bits, key), "big") == tag_by_powers(bits, key, 64)


@given(bit_lists, st.integers(1, 500), keys, st.sampled_from([8, 32, 128]))
def test_a_frame_has_the_tag_of_its_bits(bits, frame_bits, key, tag_bits):
    """Frames are consecutive, the last perhaps shorter, and each has the tag it would have alone."""
    got = frame_tags(bits, frame_bits, key, tag_bits)
    frames = [bits[start : start + frame_bits] for start in range(0, len(bits), frame_bits)]
    assert got.dtype == np.uint8
    assert got.shape == (len(frames), tag_bits // 8)
    assert [row.tobytes() for row in got] == [tag(frame, key, tag_bits) for frame in frames]


def test_frame_tags_find_the_frames_that_differ():
    """Of twenty frames of 65536 bits and a rest, the three in which a bit is flipped have other tags, and only they."""
    rng = np.random.default_rng(6)
    bits, key = rng.integers(0, 2, 20 * 65_536 + 1001, dtype=np.uint8), rng.bytes(KEY_BYTES)
    other = bits.copy()
    other[[0, 7 * 65_536 + 65_535, len(bits) - 1]] ^= 1
    differ = np.any(frame_tags(bits, 65_536, key) != frame_tags(other, 65_536, key), axis=1)
    assert np.flatnonzero(differ).tolist() == [0, 7, 20]


def test_a_frame_without_bits_is_refused():
    """Frames have a length."""
    with pytest.raises(ValueError, match="at least 1 bit; got 0"):
        frame_tags(np.zeros(10, dtype=np.uint8), 0, bytes(KEY_BYTES))


@given(bit_lists.filter(len), st.data())
def test_one_flipped_bit_changes_the_tag(bits, data):
    """Under a key drawn for it, a 64-bit tag tells two keys apart that differ in one bit."""
    key = np.random.default_rng(data.draw(st.integers(0, 2**32))).bytes(KEY_BYTES)
    other = bits.copy()
    other[data.draw(st.integers(0, len(bits) - 1))] ^= 1
    assert tag(bits, key) != tag(other, key)


def test_trailing_zeros_are_not_lost():
    """Keys that differ only in the number of zeros at their end have different tags."""
    key = np.random.default_rng(1).bytes(KEY_BYTES)
    tags = {tag(np.zeros(n, dtype=np.uint8), key) for n in range(300)}
    assert len(tags) == 300


def test_short_tags_collide_as_often_as_promised():
    """Of 40000 pairs of different keys, 8-bit tags let about one in 256 pass.

    156 are expected, with a standard deviation of 12.5; outside 82–236 lies less than 1e-9. The sample
    suffices: of a family that collides twice as often, 312 would pass, and at most 236 with probability 1e-5.
    """
    rng = np.random.default_rng(3)
    pairs = rng.integers(0, 2, (40_000, 2, 120), dtype=np.uint8)
    pairs[:, 1, 17] = 1 - pairs[:, 0, 17]
    collisions = 0
    for bits, other in pairs:
        key = rng.bytes(KEY_BYTES)
        collisions += tag(bits, key, 8) == tag(other, key, 8)
    assert 82 <= collisions <= 236


@pytest.mark.parametrize(
    ("n_bits", "eps_cor", "expected"),
    [(300_000, 1e-15, 56), (65_536, 1e-10, 40), (10**7, 0.5, 8), (1, 1e-12, 40)],
)
def test_the_tag_is_as_long_as_correctness_needs(n_bits, eps_cor, expected):
    """The shortest whole number of bytes whose collision bound stays within ε_cor."""
    assert tag_length(n_bits, eps_cor) == expected
    assert collision_probability(n_bits, expected) <= eps_cor
    assert expected == 8 or collision_probability(n_bits, expected - 8) > eps_cor


def test_no_tag_is_long_enough_for_the_impossible():
    """An ε_cor below what 128 bits reach is refused rather than promised."""
    with pytest.raises(ValueError, match="eps_cor must be at least"):
        tag_length(1000, 1e-40)


@pytest.mark.parametrize(
    ("key", "tag_bits"), [(bytes(KEY_BYTES - 1), 64), (bytes(KEY_BYTES), 60), (bytes(KEY_BYTES), 136)]
)
def test_keys_and_lengths_are_checked(key, tag_bits):
    """A key of another length or a tag that is no whole number of bytes up to 16 is refused."""
    with pytest.raises(ValueError, match="has"):
        tag(np.zeros(10, dtype=np.uint8), key, tag_bits)
    with pytest.raises(ValueError, match="has"):
        frame_tags(np.zeros(0, dtype=np.uint8), 10, key, tag_bits)
