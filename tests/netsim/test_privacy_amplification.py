"""Privacy amplification: the fast product is the matrix product, and says so when it cannot be sure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.errors import EveLabError
from netsim.postprocessing import privacy_amplification
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


def test_large_blocks_are_exact():
    """In a block of 300000 bits, a thousand of the new bits are what the definition says."""
    rng = np.random.default_rng(2)
    n, l = 300_000, 120_000  # noqa: E741  # as above
    bits, seed = rng.integers(0, 2, n, dtype=np.uint8), rng.integers(0, 2, seed_length(n, l), dtype=np.uint8)
    key = toeplitz(bits, seed, l)
    for i in rng.integers(0, l, 1000):
        assert key[i] == np.bitwise_xor.reduce(seed[i : i + n][::-1] & bits)


@pytest.mark.parametrize("error", [0.2, np.nan])
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


@pytest.mark.parametrize(("seed_bits", "l"), [(148, 50), (150, 50), (98, -1)])
def test_lengths_are_checked(seed_bits, l):  # noqa: E741  # as above
    """A seed that does not fit, or a negative length, is refused by both."""
    for product in (toeplitz, toeplitz_direct):
        with pytest.raises(ValueError, match="bits"):
            product(np.ones(100, dtype=np.uint8), np.ones(seed_bits, dtype=np.uint8), l)
