"""How the table of degrees in `netsim.postprocessing.ldpc_code` was found: density evolution inside differential evolution.

    python benchmarks/ldpc_design.py                 # all rates: two or three minutes each
    python benchmarks/ldpc_design.py 0.02 0.045      # the codes for these error rates

For an error rate it takes the ratio of checks to bits that is 1.15 times the entropy, and looks for the shares of
columns with 2, 3, 5, 9 and 16 edges that let a min-sum decoder with the integers of `ldpc_kernel` work at the highest
error rate. Density evolution (Richardson & Urbanke, IEEE Trans. Inf. Theory 47, 599 (2001)) follows the
distribution of the messages of an endless code, flooding in place of layers, over 100 iterations; the gain falls
linearly with the share of failing checks, and the line is searched for along with the degrees (for layers, a lower
one was then fitted by measurement: `ldpc.GAINS`). Differential evolution: Storn & Price, J. Glob. Optim. 11, 341
(1997). Everything follows from SEED, up to the last bits of floating-point sums.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from netsim.postprocessing.ldpc_code import CHANNEL, DEGREES, LARGEST_MESSAGE, LARGEST_SCALED

SEED = 1
QBERS = (0.005, 0.01, 0.02, 0.03, 0.045, 0.08, 0.12)
CHECKS_OVER_ENTROPY = 1.15
ITERATIONS = 100
TARGET = 1e-4  # of wrong bits, where the rest is taken for granted
MOST_OF_DEGREE_2 = 0.95  # of the rows: these columns must not close a cycle
LARGEST_MEAN_DEGREE = 5.7  # what the time to decode is proportional to
POPULATION, GENERATIONS = 20, 30
SIZES = 2048  # a sum of 16 messages fits
Shares = NDArray[np.float64]


def entropy(qber: float) -> float:
    """Of a bit's error."""
    return float(-qber * np.log2(qber) - (1 - qber) * np.log2(1 - qber))


def qber_of(information: float) -> float:
    """The error rate below one half that has this entropy."""
    low, high = 1e-6, 0.5
    for _ in range(45):
        middle = (low + high) / 2
        low, high = (middle, high) if entropy(middle) < information else (low, middle)
    return low


def decodes(shares: Shares, ratio: float, qber: float, top: float, slope: float) -> bool:
    """Whether the share of wrong bits falls below TARGET.

    Args:
        shares: of columns with each of the DEGREES.
        ratio: checks per bit.
        qber: error rate.
        top: gain when no check fails.
        slope: how much less the gain is if all checks fail.
    """
    edges = float(shares @ DEGREES)
    width = edges / ratio
    short = int(width)
    long = width - short  # the share of rows that have one edge more
    rows = ((1 - long, short), (long, short + 1))
    channel = np.zeros(2 * SIZES)
    channel[CHANNEL], channel[-CHANNEL] = 1 - qber, qber
    prior = np.fft.rfft(channel)
    message = np.zeros(2 * SIZES)
    message[0] = 1
    history = [1.0]
    for iteration in range(ITERATIONS):
        power = np.fft.rfft(message)
        to_checks, totals, product, done = 0 * prior, 0 * prior, prior, 1
        for degree, share in zip(DEGREES, shares, strict=True):
            product, done = product * power ** (degree - done), degree
            to_checks += share * degree / edges * product
            totals += share * product * power
        total, edge = np.fft.irfft(totals), np.maximum(np.fft.irfft(to_checks), 0)
        wrong = total[SIZES:].sum() + total[0] / 2
        if wrong < TARGET:
            return True
        if iteration > 20 and wrong > 0.995 * history[-10]:
            return False
        history.append(wrong)
        belief = np.fft.irfft(to_checks * power)
        guess = qber if iteration == 0 else belief[SIZES:].sum() + belief[0] / 2
        failing = sum(share * (1 - (1 - 2 * guess) ** degree) / 2 for share, degree in rows)
        gain = int(np.clip(np.rint(128 * (top - slope * failing)), 16, 128))
        right = edge[:SIZES].copy()
        left = np.concatenate((edge[:1] / 2, edge[:SIZES:-1]))
        right[0] /= 2
        above = np.cumsum((right + left)[::-1])[::-1]  # P(size >= x)
        leaning = np.cumsum((right - left)[::-1])[::-1]
        least, sign = np.zeros(SIZES + 1), np.zeros(SIZES + 1)
        for share, degree in rows:
            weight = share * degree / width
            least[:SIZES] += weight * above ** (degree - 1)
            sign[:SIZES] += weight * leaning ** (degree - 1)
        scaled = np.minimum(np.minimum(np.arange(SIZES), LARGEST_SCALED) * gain // 128, LARGEST_MESSAGE)
        plus = np.bincount(scaled, -np.diff(least + sign) / 2, LARGEST_MESSAGE + 1)
        minus = np.bincount(scaled, -np.diff(least - sign) / 2, LARGEST_MESSAGE + 1)
        message = np.zeros(2 * SIZES)
        message[: LARGEST_MESSAGE + 1] = plus
        message[0] += minus[0]
        message[: -LARGEST_MESSAGE - 1 : -1] = minus[1:]
        message /= message.sum()
    return False


def code_of(genes: Shares, ratio: float) -> tuple[Shares, float, float]:
    """Shares, top and slope: what a candidate stands for."""
    shares = np.abs(genes[:-2]) / np.abs(genes[:-2]).sum()
    most = MOST_OF_DEGREE_2 * ratio
    if shares[0] > most:
        shares *= (1 - most) / (1 - shares[0])
        shares[0] = most
    shares[shares < 0.004] = 0
    return shares / shares.sum(), min(genes[-2], 1.0), genes[-1]


def efficiency(genes: Shares, ratio: float, to_beat: float) -> float | None:
    """Checks over entropy at the highest error rate that decodes, or None if it is above `to_beat`."""
    shares, top, slope = code_of(genes, ratio)
    if shares @ DEGREES > LARGEST_MEAN_DEGREE or not decodes(
        shares, ratio, qber_of(ratio / to_beat), top, slope
    ):
        return None
    best, step = to_beat, 0.02
    while step > 0.001:
        if best - step > 1 and decodes(shares, ratio, qber_of(ratio / (best - step)), top, slope):
            best -= step
        else:
            step /= 2
    return best


def search(qber: float) -> tuple[float, float, Shares, float, float]:
    """Ratio, efficiency, shares, top and slope of the best code found."""
    rng = np.random.default_rng(SEED)
    ratio = CHECKS_OVER_ENTROPY * entropy(qber)
    count = len(DEGREES) + 2
    genes = rng.random((POPULATION, count))
    genes[:, 0] *= 1.2 * ratio
    genes[:, 2:-2] *= 0.25
    genes[:, -2] = 0.8 + 0.2 * genes[:, -2]
    genes[:, -1] *= 1.5
    results = np.array([efficiency(one, ratio, 1.45) or 1.6 for one in genes])
    for _ in range(GENERATIONS):
        for i in range(POPULATION):
            a, b, c = rng.choice(POPULATION, 3, replace=False)
            factor = rng.uniform(0.4, 0.9)
            towards_best = genes[i] + factor * (genes[results.argmin()] - genes[i])
            base = genes[a] if rng.random() < 0.5 else towards_best
            trial = np.abs(np.where(rng.random(count) < 0.8, base + factor * (genes[b] - genes[c]), genes[i]))
            result = efficiency(trial, ratio, results[i])
            if result is not None:
                genes[i], results[i] = trial, result
    best = int(results.argmin())
    return ratio, float(results[best]), *code_of(genes[best], ratio)


if __name__ == "__main__":
    for qber in map(float, sys.argv[1:] or QBERS):
        ratio, result, shares, top, slope = search(qber)
        print(
            f"qber {qber}: ratio {ratio:.4f}, shares {', '.join(f'{share:.3f}' for share in shares)}, "
            f"mean degree {shares @ DEGREES:.2f}, f {result:.4f}, gain {top:.3f} - {slope:.3f}·share",
            flush=True,
        )
