"""Statistical assertions with a stated false-failure rate, and a check that the sample can see the fault."""

from __future__ import annotations

import math

from scipy.stats import binom

FALSE_FAILURE = 1e-9
"""How often a right implementation fails an assertion of this module."""


def assert_binomial(successes: int, trials: int, probability: float, *, fault: float | None = None) -> None:
    """A count is what independent trials of this probability give.

    Fails for a right implementation at most once in 1/FALSE_FAILURE (exact two-sided binomial tails).

    Args:
        successes: the count.
        trials: out of how many.
        probability: of each.
        fault: a probability that a wrong implementation would have; the test asserts as well that the sample is
            large enough to reject it with all but FALSE_FAILURE.
    """
    low = int(binom.ppf(FALSE_FAILURE / 2, trials, probability))
    high = int(binom.isf(FALSE_FAILURE / 2, trials, probability))
    if fault is not None:
        missed = float(binom.cdf(high, trials, fault) - binom.cdf(low - 1, trials, fault))
        assert missed < FALSE_FAILURE, (
            f"{trials} trials would miss a fault of {fault} with probability {missed:.1e}"
        )
    assert low <= successes <= high, (
        f"{successes} of {trials}: outside {low}..{high} for probability {probability}"
    )


def assert_mean(total: float, trials: int, mean: float, spread: float) -> None:
    """The mean of independent values, each within an interval of width `spread`, is as expected (Hoeffding)."""
    deviation = spread * math.sqrt(math.log(2 / FALSE_FAILURE) / (2 * trials))
    assert abs(total / trials - mean) <= deviation, f"{total / trials} is not {mean} ± {deviation}"
