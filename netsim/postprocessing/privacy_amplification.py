"""Privacy amplification: a random Toeplitz matrix squeezes a partly known key into a shorter, secret one.

The matrix has T[i, j] = seed[i − j + n − 1], so it is constant along its diagonals, and the new key is
T·bits over GF(2). Over the choice of the seed two different keys collide with probability 2^−l, which is
what the leftover hash lemma asks for (Krawczyk, CRYPTO '94; Tomamichel, Schaffner, Smith & Renner, IEEE
Trans. Inf. Theory 57, 5524 (2011)). The seed is public, drawn after the quantum transmission.

T·bits is a stretch of the convolution of seed and bits, done by fast Fourier transform: real numbers that
ought to be integers. How far they are from integers is measured on every call, as a rounding error would
give two parties on different machines different keys without a sign of it. A short product is one transform in
double precision; a long one is cut into segments (`toeplitz_segments`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from netsim.errors import EveLabError

LARGEST_DEVIATION = 0.1

_LONG_SEED = 2**18  # bits; from here on segments are the faster way, and worth the import of numba


def seed_length(n: int, l: int) -> int:  # noqa: E741  # l is the field's letter for the final length
    """Random bits that make an l × n Toeplitz matrix: n + l − 1, and none for no bits at all."""
    return max(n + l - 1, 0)


def toeplitz(
    bits: NDArray[np.uint8],
    seed: NDArray[np.uint8],
    l: int,  # noqa: E741  # as above
    *,
    workers: int | None = None,
) -> NDArray[np.uint8]:
    """The new key, in O(n log n).

    The deviation from integers grows with √n: of random bits and l = n/2 it was 0.0003 at n = 10⁶, 0.0012 at 10⁷
    and 0.005 at 10⁸. Should seed and key both have a pattern, single precision may not do; the segments are
    then done again in double precision.

    Args:
        bits: uint8[n] of 0 and 1, the reconciled key.
        seed: uint8[n + l − 1] of 0 and 1, public.
        l: bits of the new key, at least 0.
        workers: threads for long keys; by default one a processor. The key does not depend on it.

    Returns:
        uint8[l] of 0 and 1: Σ_j seed[i − j + n − 1]·bits[j] mod 2.

    Raises:
        ValueError: for a negative l, a seed of another length, or anything but bits.
        EveLabError: if the transform was further from integers than `LARGEST_DEVIATION`.
    """
    n = len(bits)
    _check(bits, seed, l)
    if n == 0 or l == 0:
        return np.zeros(l, dtype=np.uint8)
    if len(seed) < _LONG_SEED:
        key, deviation = _at_once(bits, seed, l)
    else:
        from netsim.postprocessing import toeplitz_segments  # noqa: PLC0415  numba takes half a second to import

        for precision in (np.float32, np.float64):
            key, deviation = toeplitz_segments.product(bits, seed, l, precision=precision, workers=workers)
            if deviation <= LARGEST_DEVIATION:
                break
    # The negation also refuses NaN, which compares false with everything.
    if not deviation <= LARGEST_DEVIATION:
        raise EveLabError(
            f"the Toeplitz product is {deviation:.3g} away from integers; "
            f"at most {LARGEST_DEVIATION} is safe, amplify in smaller blocks"
        )
    return key


def _at_once(
    bits: NDArray[np.uint8],
    seed: NDArray[np.uint8],
    l: int,  # noqa: E741  # as above
) -> tuple[NDArray[np.uint8], float]:
    """The new key by one transform in double precision, and how far its sums were from integers."""
    n = len(bits)
    # A cyclic convolution as long as the seed will do: what wraps around falls below index n − 1.
    length = fft.next_fast_len(len(seed), real=True)
    spectrum = fft.rfft(seed.astype(np.float64), length)
    spectrum *= fft.rfft(bits.astype(np.float64), length)
    sums = fft.irfft(spectrum, length)[n - 1 : n - 1 + l]
    integers = np.rint(sums)
    # What is no number makes the deviation none either, and the caller refuse it.
    with np.errstate(invalid="ignore"):
        deviation = float(np.max(np.abs(sums - integers)))
        key = (integers.astype(np.int64) & 1).astype(np.uint8)
    return key, deviation


def toeplitz_direct(bits: NDArray[np.uint8], seed: NDArray[np.uint8], l: int) -> NDArray[np.uint8]:  # noqa: E741  # as above
    """The new key by the matrix itself, in O(n·l): what `toeplitz` must equal, with the same arguments."""
    n = len(bits)
    _check(bits, seed, l)
    rows, columns = np.arange(l)[:, np.newaxis], np.arange(n)
    matrix = seed[rows - columns + n - 1].astype(np.int64)
    key: NDArray[np.uint8] = (matrix @ bits.astype(np.int64) % 2).astype(np.uint8)
    return key


def _check(bits: NDArray[np.uint8], seed: NDArray[np.uint8], l: int) -> None:  # noqa: E741  # as above
    """Refuse lengths that do not fit, and what is no bits."""
    n = len(bits)
    if l < 0:
        raise ValueError(f"a key cannot have {l} bits")
    if len(seed) != seed_length(n, l):
        raise ValueError(f"{n} bits to {l} need a seed of {seed_length(n, l)} bits; got {len(seed)}")
    for name, values in (("key", bits), ("seed", seed)):
        if values.dtype != np.uint8 or values.ndim != 1:
            raise ValueError(f"the {name} must be a row of bits as uint8; got {values.dtype}{values.shape}")
        if values.max(initial=0) > 1:
            raise ValueError(f"the {name} must be bits of 0 and 1; got a {values.max()}")
