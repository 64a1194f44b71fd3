"""The wire form of a query: features in [0, 1] as 16-bit fixed point, of a length that betrays nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 65535
"""The code of 1.0; a step is 1/65535."""

BYTES_PER_FEATURE = 2


def encode(features: NDArray[np.float64]) -> bytes:
    """The features as unsigned 16-bit integers, big-endian: round(x * 65535), two bytes each, in order.

    Args:
        features: float64[d], d at least 1, each in [0, 1].

    Returns:
        2·d bytes, whatever the values. `decode` gives the features back to within half a step, 7.63e-6.

    Raises:
        ValueError: not one-dimensional, empty, not a number, infinite, or outside [0, 1].
    """
    if features.ndim != 1 or len(features) == 0:
        raise ValueError(f"features have shape {features.shape}; expected (d,) with at least one feature")
    # written so that NaN, which compares false with everything, is refused too
    wrong = np.flatnonzero(~((features >= 0.0) & (features <= 1.0)))
    if len(wrong):
        raise ValueError(f"feature {wrong[0]} is {features[wrong[0]]}; expected a number from 0 to 1")
    return np.rint(features * FULL_SCALE).astype(">u2").tobytes()


def decode(code: bytes) -> NDArray[np.float64]:
    """The features that `encode` wrote, as float64[d] in [0, 1]; exact multiples of 1/65535 up to rounding.

    Args:
        code: 2·d bytes, d at least 1. Every such string is a valid code.

    Raises:
        ValueError: no bytes, or an odd number of them.
    """
    if len(code) == 0 or len(code) % BYTES_PER_FEATURE:
        raise ValueError(
            f"a code of {len(code)} bytes; expected {BYTES_PER_FEATURE} for each of one or more features"
        )
    return np.frombuffer(code, dtype=">u2") / FULL_SCALE
