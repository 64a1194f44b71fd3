"""Privacy amplification: the fast product is the matrix product, and says so when it cannot be sure."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.errors import EveLabError
from netsim.postprocessing import privacy_amplification, toeplitz_segments
from netsim.postprocessing.privacy_amplification import seed_length, toeplitz, toeplitz_direct


@st.composite
def inputs(draw):
    """Two keys and a seed that fits them."""
    n, l = draw(st.integers(0, 200)), draw(st.integers(0, 200))  # noqa: E741  # the field's letter for the final length
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return (
        *rng.integers(0, 2, (2, n), dtype=np.uint8),
        rng.integers(0, 2, seed_length(n, l), dtype=np.uint8),
        l,
    )


def test_the_convention_stands():
    """T[i, j] = seed[i − j + n − 1]: the first row is the seed's first n bits backwards."""
    seed = np.array([1, 0, 0, 1, 1], dtype=np.uint8)
    matrix = np.array([[0, 0, 1], [1, 0, 0], [1, 1, 0]])
    for bits in np.eye(3, dtype=np.uint8):
        assert toeplitz(bits, seed, 3).tolist() == (matrix @ bits).tolist()


@given(inputs())
@settings(deadline=None)
def test_fast_equals_direct(case):
    """The Fourier transform gives the matrix product, for any lengths, none included."""
    bits, _, seed, l = case  # noqa: E741  # as above
    got = toeplitz(bits, seed, l)
    assert got.dtype == np.uint8
    assert got.tolist() == toeplitz_direct(bits, seed, l).tolist()


@given(inputs())
@settings(deadline=None)
def test_amplification_is_linear(case):
    """T(x ⊕ y) = Tx ⊕ Ty."""
    x, y, seed, l = case  # noqa: E741  # as above
    assert toeplitz(x ^ y, seed, l).tolist() == (toeplitz(x, seed, l) ^ toeplitz(y, seed, l)).tolist()


@given(
    inputs(),
    st.sampled_from([8, 32, 128]),
    st.sampled_from([0, 2**15, 2**29]),
    st.integers(1, 3),
    st.sampled_from([np.float32, np.float64]),
)
@settings(deadline=None)
def test_segments_equal_direct(case, segment, spectra_bytes, workers, precision):
    """Whatever the segments, how many rows fit in memory, and how many threads there are, it is the matrix product."""
    bits, _, seed, l = case  # noqa: E741  # as above
    if len(bits) == 0 or l == 0:
        return
    got, deviation = toeplitz_segments.product(
        bits, seed, l, segment=segment, precision=precision, spectra_bytes=spectra_bytes, workers=workers
    )
    assert got.dtype == np.uint8
    assert got.tolist() == toeplitz_direct(bits, seed, l).tolist()
    assert deviation < 1e-4


@pytest.mark.parametrize(("n", "l"), [(1_000_000, 500_000), (1_000_000, 1), (300_001, 700_000), (1, 300_000)])
def test_segments_equal_one_transform(n, l):  # noqa: E741  # as above
    """A million bits in single precision and in segments give the key that one transform in double precision does."""
    rng = np.random.default_rng(4)
    bits, seed = rng.integers(0, 2, n, dtype=np.uint8), rng.integers(0, 2, seed_length(n, l), dtype=np.uint8)
    expected, _ = privacy_amplification._at_once(bits, seed, l)
    got, deviation = toeplitz_segments.product(bits, seed, l)
    assert np.array_equal(got, expected)
    assert np.array_equal(toeplitz(bits, seed, l), expected)
    assert deviation < privacy_amplification.LARGEST_DEVIATION / 50


def test_patterns_are_exact():
    """Half a million ones under a seed of ones, where every sum is as large as can be, give the parity of n."""
    for n in (500_000, 500_001):
        key = toeplitz(np.ones(n, dtype=np.uint8), np.ones(n + 999, dtype=np.uint8), 1000)
        assert np.all(key == n % 2)


def test_large_blocks_are_exact():
    """In a block of 300000 bits, a thousand of the new bits are what the definition says."""
    rng = np.random.default_rng(2)
    n, l = 300_000, 120_000  # noqa: E741  # as above
    bits, seed = rng.integers(0, 2, n, dtype=np.uint8), rng.integers(0, 2, seed_length(n, l), dtype=np.uint8)
    key = toeplitz(bits, seed, l)
    for i in rng.integers(0, l, 1000):
        assert key[i] == np.bitwise_xor.reduce(seed[i : i + n][::-1] & bits)


@pytest.mark.parametrize("error", [0.2, np.nan, np.inf])
def test_an_inexact_transform_is_refused(monkeypatch, error):
    """A transform that comes out 0.2 from an integer, or as no number, ends in an error and not in a key."""
    exact = privacy_amplification.fft.irfft

    def perturbed(*arguments):
        sums = exact(*arguments)
        sums[120] += error
        return sums

    monkeypatch.setattr(privacy_amplification.fft, "irfft", perturbed)
    with pytest.raises(EveLabError, match="away from integers"):
        toeplitz(np.ones(100, dtype=np.uint8), np.ones(149, dtype=np.uint8), 50)


@pytest.mark.parametrize("error", [0.2, np.nan, np.inf])
def test_inexact_segments_are_refused(monkeypatch, error):
    """An error in one of the transforms back, in either precision, ends in an error as well."""
    exact = toeplitz_segments.fft.irfft

    def perturbed(*arguments):
        sums = exact(*arguments)
        sums[-1, -1] += error
        return sums

    monkeypatch.setattr(toeplitz_segments.fft, "irfft", perturbed)
    with pytest.raises(EveLabError, match="away from integers"):
        toeplitz(np.ones(200_000, dtype=np.uint8), np.ones(300_000 - 1, dtype=np.uint8), 100_000)


def test_double_precision_helps_out(monkeypatch):
    """Where single precision is too far from integers, double precision gives the key."""
    exact = toeplitz_segments.fft.irfft

    def imprecise(*arguments):
        sums = exact(*arguments)
        return sums + np.float32(0.3) if sums.dtype == np.float32 else sums

    rng = np.random.default_rng(6)
    bits, seed = rng.integers(0, 2, 200_000, dtype=np.uint8), rng.integers(0, 2, 299_999, dtype=np.uint8)
    expected = toeplitz(bits, seed, 100_000)
    monkeypatch.setattr(toeplitz_segments.fft, "irfft", imprecise)
    assert np.array_equal(toeplitz(bits, seed, 100_000), expected)


def test_memory_does_not_grow_with_the_key():
    """Three million bits within spectra of 4 MB take less than 8 MB beyond the new key; all at once they take 24 MB."""
    rng = np.random.default_rng(7)
    n, l, segment = 3_000_000, 1_500_000, 2**14  # noqa: E741  # as above
    bits, seed = rng.integers(0, 2, n, dtype=np.uint8), rng.integers(0, 2, seed_length(n, l), dtype=np.uint8)
    # Compiled, or read from the cache, before memory is looked at.
    toeplitz_segments.product(bits[:1], seed[:1], 1)
    peaks = []
    for spectra_bytes in (2**22, 2**29):
        tracemalloc.start()
        key, _ = toeplitz_segments.product(bits, seed, l, segment=segment, spectra_bytes=spectra_bytes)
        peaks.append(tracemalloc.get_traced_memory()[1] - key.nbytes)
        tracemalloc.stop()
    assert peaks[0] < 2**23
    assert peaks[1] > 24e6


@pytest.mark.parametrize(
    "wrong", [np.ones(100), np.full(100, 2, dtype=np.uint8), np.ones((100, 1), dtype=np.uint8)]
)
def test_only_bits_are_amplified(wrong):
    """Numbers of another type, shape or value are refused, in the key and in the seed."""
    right = np.ones(100, dtype=np.uint8)
    for product in (toeplitz, toeplitz_direct):
        for bits, seed in ((wrong, right), (right, wrong)):
            with pytest.raises(ValueError, match="must be"):
                product(bits, seed, 1)


@pytest.mark.parametrize(("seed_bits", "l"), [(148, 50), (150, 50), (98, -1)])
def test_lengths_are_checked(seed_bits, l):  # noqa: E741  # as above
    """A seed that does not fit, or a negative length, is refused by both."""
    for product in (toeplitz, toeplitz_direct):
        with pytest.raises(ValueError, match="bits"):
            product(np.ones(100, dtype=np.uint8), np.ones(seed_bits, dtype=np.uint8), l)
