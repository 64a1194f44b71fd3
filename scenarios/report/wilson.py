"""How sure a proportion is that was counted."""

from __future__ import annotations

import math


def wilson(right: float, count: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Interval of a proportion (Wilson 1927); (0, 1) without data.

    Args:
        right: successes, or their expected number.
        count: trials.
        z: half-width in standard deviations; 95 % unless said otherwise.
    """
    if not count:
        return 0.0, 1.0
    share, scale = right / count, 1 + z * z / count
    middle = (share + z * z / (2 * count)) / scale
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)
