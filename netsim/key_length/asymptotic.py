"""Secret bits per sifted bit when blocks are endless: the published rates, one function each.

Rates are as the formulas give them: below zero there is no key.
"""

from __future__ import annotations

import math

CHSH_CLASSICAL = 2.0
CHSH_QUANTUM = 2.0 * math.sqrt(2.0)


def binary_entropy(probability: float) -> float:
    """h(p) = −p log2 p − (1−p) log2(1−p), in bits; h(0) = h(1) = 0.

    Raises:
        ValueError: unless 0 ≤ p ≤ 1.
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"a probability lies between 0 and 1; got {probability}")
    if probability in (0.0, 1.0):
        return 0.0
    return -probability * math.log2(probability) - (1.0 - probability) * math.log2(1.0 - probability)


def chsh_from_qber(qber: float) -> float:
    """The CHSH value of a Werner state with error rate Q in every basis: S = 2√2·(1 − 2Q)."""
    return CHSH_QUANTUM * (1.0 - 2.0 * qber)


def qber_from_chsh(s: float) -> float:
    """The error rate of a Werner state with CHSH value S: Q = (1 − S/2√2)/2."""
    return (1.0 - s / CHSH_QUANTUM) / 2.0


def shor_preskill(qber: float, f: float = 1.0) -> float:
    """BB84, and E91 or BBM92 with trusted, mutually unbiased measurements: r = 1 − (1 + f)·h(Q).

    Args:
        qber: Q, the same in both bases.
        f: reconciliation efficiency, disclosed bits over n·h(Q); 1 is the Shannon limit.

    Source: Shor & Preskill, Phys. Rev. Lett. 85, 441 (2000).
    """
    return 1.0 - (1.0 + f) * binary_entropy(qber)


def six_state(qber: float) -> float:
    """The six-state protocol: r = 1 − h(3Q/2) − (3Q/2)·log2 3.

    Args:
        qber: Q, the same in all three bases; at most 2/3.

    Source: Lo, Quantum Inf. Comput. 1, 81 (2001); Bruß, Phys. Rev. Lett. 81, 3018 (1998), for the protocol.
    """
    return 1.0 - binary_entropy(1.5 * qber) - 1.5 * qber * math.log2(3.0)


def holevo_information(s: float) -> float:
    """The most Eve knows of an outcome, in bits, whatever the devices are: h((1 + √((S/2)² − 1))/2).

    Args:
        s: CHSH value. No violation (S ≤ 2) lets her know everything: 1. A value beyond 2√2, which only
            statistics can produce, counts as 2√2: 0.

    Source: Acín, Brunner, Gisin, Massar, Pironio & Scarani, Phys. Rev. Lett. 98, 230501 (2007), equation 4.
    """
    if s <= CHSH_CLASSICAL:
        return 1.0
    half = min(s, CHSH_QUANTUM) / 2.0
    return binary_entropy(min(1.0, (1.0 + math.sqrt(half * half - 1.0)) / 2.0))


def device_independent(qber: float, s: float) -> float:
    """E91 with devices nobody trusts, against collective attacks: r = 1 − h(Q) − h((1 + √((S/2)² − 1))/2).

    Args:
        qber: Q of the key settings.
        s: CHSH value, with every emitted pair counted, detected or not.

    Source: Acín et al. 2007, as `holevo_information`.
    """
    return 1.0 - binary_entropy(qber) - holevo_information(s)
