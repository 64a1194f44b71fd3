"""Weak pulses without decoys: every pulse of several photons counts as Eve's."""

from __future__ import annotations

import math

from netsim.key_length.finite_key import (
    KeyLength,
    check_block,
    entropy_bound,
    secret_bits,
    serfling_deviation,
    verification_bits,
)


def tagged(
    *,
    n: int,
    k: int,
    test_errors: int,
    key_chances: float,
    test_chances: float,
    leak_ec_bits: float,
    eps_sec: float,
    eps_cor: float,
    tag_bits: int | None = None,
) -> KeyLength:
    """BB84 with weak pulses of one intensity: ⌊(n − T)[1 − h(φ)] − leak − log2(2/(ε²ε_cor)) ⌋ with ε = ε_sec/2.

    T and T' are the most bits of the key and of the test that pulses of two photons and more may have made: all of them, as Eve may
    see to it that each is detected. φ = e/(k − T') + µ(n − T, k − T'), e all errors of the test, since she may have made none on those she
    holds; µ is Serfling's, as in `finite_key.tomamichel_2012`. The two counts are binomial of known means and exceed their bounds
    m + √(2m·ln(4/ε_sec)) + ln(4/ε_sec) with probability ε_sec/4 each (Bernstein); the rest of ε_sec is the proof's.

    Args:
        n: raw key bits.
        k: bits compared in the open.
        test_errors: of those.
        key_chances: expected number of pulses of several photons whose basis was chosen for the key by both.
        test_chances: the same for the test.
        leak_ec_bits: reconciliation's parities, the verification tag not among them.
        eps_sec: secrecy failure allowed.
        eps_cor: correctness failure allowed.
        tag_bits: length of the verification tag; None for ⌈log2(1/ε_cor)⌉.

    Raises:
        ValueError: for counts or ε outside their range.

    Source: Gottesman, Lo, Lütkenhaus & Preskill, Quantum Inf. Comput. 4, 325 (2004), for tagging; Inamori, Lütkenhaus & Mayers, Eur.
        Phys. J. D 41, 599 (2007), for its finite statistics; put together here.
    """
    check_block(n, leak_ec_bits, eps_sec, eps_cor)
    if k < 0 or not 0 <= test_errors <= k or min(key_chances, test_chances) < 0:
        raise ValueError(
            f"expected 0 <= test_errors <= k and no negative chances; got {test_errors}, {k}, {key_chances}, {test_chances}"
        )
    rounds = max(0, math.floor(n - _most(key_chances, eps_sec)))
    sample = max(0, math.floor(k - _most(test_chances, eps_sec)))
    rate = test_errors / sample if sample else 1.0
    phase_error = rate + serfling_deviation(rounds, sample, eps_sec / 2.0)
    amplification = n - rounds + rounds * entropy_bound(phase_error)
    epsilon = 2.0 * math.log2(2.0 / eps_sec) + verification_bits(eps_cor, tag_bits)
    return KeyLength(
        n,
        min(phase_error, 0.5),
        amplification,
        leak_ec_bits,
        epsilon,
        secret_bits(n, amplification, leak_ec_bits, epsilon),
        amplification - (n - rounds) - rounds * entropy_bound(rate),
    )


def _most(mean: float, eps_sec: float) -> float:
    log = math.log(4.0 / eps_sec)
    return mean + math.sqrt(2.0 * mean * log) + log
