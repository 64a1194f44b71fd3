"""Secret bits per sifted bit, or per pulse, when blocks are endless: the published rates, one function each.

Rates are as the formulas give them: below zero there is no key. `shor_preskill`, `six_state` and
`device_independent` count per sifted bit; everything that has a source in it (`gllp`, `vacuum_weak`,
`bbm92_spdc`, `plob`) counts per pulse, or per use of the channel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

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


def weak_pulse(mu: float, transmittance: float, y0: float, e_d: float) -> tuple[float, float]:
    """Gain Q_µ and error rate E_µ of weak coherent pulses on a lossy channel without an eavesdropper.

    Q_µ = Y0 + 1 − e^(−ηµ), and E_µQ_µ = ½Y0 + e_d(1 − e^(−ηµ)). The first counts a pulse that makes both a
    photon click and a dark count twice, an excess of at most Y0·(1 − e^(−ηµ)), as the paper does.

    Args:
        mu: mean photon number µ of a pulse.
        transmittance: η, of channel and detectors together.
        y0: Y0, the probability of a click without a photon, both detectors together.
        e_d: probability that a photon clicks in the wrong detector.

    Returns:
        (Q_µ, E_µ); E_µ is ½ where nothing ever clicks.

    Raises:
        ValueError: for a negative µ, or a probability outside [0, 1].

    Source: Ma, Qi, Zhao & Lo, Phys. Rev. A 72, 012326 (2005), equations 10 and 11.
    """
    if not mu >= 0.0:
        raise ValueError(f"a mean photon number must not be negative; got {mu}")
    _check_probabilities(transmittance=transmittance, y0=y0, e_d=e_d)
    clicks = -math.expm1(-transmittance * mu)
    gain = y0 + clicks
    return gain, (0.5 * y0 + e_d * clicks) / gain if gain > 0.0 else 0.5


def gllp(mu: float, transmittance: float, y0: float, e_d: float, f: float, q: float = 0.5) -> float:
    """Decoy-state BB84 with infinitely many decoys: R = q{−Q_µ·f·h(E_µ) + Q1[1 − h(e1)]}, per pulse.

    With endless decoys Y1 = Y0 + η and e1 = (½Y0 + e_d·η)/Y1 are known exactly; Q1 = Y1·µ·e^(−µ).

    Args:
        mu: mean photon number of the signal.
        transmittance: η, of channel and detectors together.
        y0: probability of a click without a photon.
        e_d: probability that a photon clicks in the wrong detector.
        f: reconciliation efficiency, disclosed bits over n·h(E); 1 is the Shannon limit.
        q: share of the clicks that survive sifting; ½ for BB84 with unbiased bases.

    Raises:
        ValueError: as `weak_pulse`.

    Source: Ma, Qi, Zhao & Lo 2005, equation 1; Gottesman, Lo, Lütkenhaus & Preskill, Quantum Inf. Comput. 4,
        325 (2004).
    """
    gain, qber = weak_pulse(mu, transmittance, y0, e_d)
    y1 = y0 + transmittance
    e1 = (0.5 * y0 + e_d * transmittance) / y1 if y1 > 0.0 else 0.5
    return _decoy_rate(mu, gain, qber, min(y1, 1.0), e1, f, q)


def optimal_signal_intensity(e_d: float, f: float) -> float:
    """The µ that makes `gllp` largest on a channel of great loss: (1 − µ)·e^(−µ) = f·h(e_d)/(1 − h(e_d)).

    The condition neglects dark counts and η against 1, and so does not depend on the distance.

    Args:
        e_d: probability that a photon clicks in the wrong detector.
        f: reconciliation efficiency.

    Returns:
        µ between 0 and 1; 0 where the errors leave no key at any µ.

    Raises:
        ValueError: unless 0 ≤ e_d ≤ 1 and f > 0.

    Source: Ma, Qi, Zhao & Lo 2005, equation 12.
    """
    entropy = binary_entropy(e_d)
    if not f > 0.0:
        raise ValueError(f"the reconciliation efficiency is positive; got {f}")
    if f * entropy >= 1.0 - entropy:
        return 0.0
    target = f * entropy / (1.0 - entropy)
    low, high = 0.0, 1.0
    while high - low > 1e-15:
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        # (1 − µ)e^(−µ) falls from 1 to 0 over the interval.
        low, high = (middle, high) if (1.0 - middle) * math.exp(-middle) > target else (low, middle)
    return (low + high) / 2.0


def vacuum_weak_bounds(
    mu: float, nu: float, gain_mu: float, gain_nu: float, qber_nu: float, y0: float
) -> tuple[float, float]:
    """Single-photon yield from below and error rate from above, with a vacuum and one weak decoy ν.

    Y1 ≥ µ/(µν − ν²)·[Q_ν e^ν − Q_µ e^µ ν²/µ² − (µ² − ν²)/µ²·Y0] and e1 ≤ (E_νQ_ν e^ν − ½Y0)/(Y1·ν).

    Args:
        mu: mean photon number of the signal.
        nu: mean photon number of the weak decoy, less than µ.
        gain_mu: Q_µ, clicks per signal pulse.
        gain_nu: Q_ν, clicks per decoy pulse.
        qber_nu: E_ν, error rate among the decoy's clicks.
        y0: Y0, clicks per vacuum pulse.

    Returns:
        (Y1, e1), both in [0, 1]; (0, ½) where the counts bound nothing.

    Raises:
        ValueError: unless 0 < ν < µ.

    Source: Ma, Qi, Zhao & Lo 2005, equations 35 and 37.
    """
    if not 0.0 < nu < mu:
        raise ValueError(f"the weak decoy lies between vacuum and signal; got nu = {nu} and mu = {mu}")
    multi = gain_mu * math.exp(mu) * nu**2 / mu**2
    y1 = mu / (mu * nu - nu**2) * (gain_nu * math.exp(nu) - multi - (mu**2 - nu**2) / mu**2 * y0)
    if not y1 > 0.0:
        return 0.0, 0.5
    e1 = (qber_nu * gain_nu * math.exp(nu) - 0.5 * y0) / (y1 * nu)
    return min(y1, 1.0), min(max(e1, 0.0), 1.0)


def vacuum_weak(
    mu: float, nu: float, transmittance: float, y0: float, e_d: float, f: float, q: float = 0.5
) -> float:
    """Decoy-state BB84 with a vacuum and one weak decoy: the rate of `gllp` at `vacuum_weak_bounds`.

    Args:
        mu: mean photon number of the signal.
        nu: mean photon number of the weak decoy, less than µ.
        transmittance: η, of channel and detectors together.
        y0: probability of a click without a photon.
        e_d: probability that a photon clicks in the wrong detector.
        f: reconciliation efficiency.
        q: share of the clicks that survive sifting.

    Raises:
        ValueError: as `weak_pulse` and `vacuum_weak_bounds`.

    Source: Ma, Qi, Zhao & Lo 2005, equation 1 with 35 and 37.
    """
    gain_mu, qber_mu = weak_pulse(mu, transmittance, y0, e_d)
    gain_nu, qber_nu = weak_pulse(nu, transmittance, y0, e_d)
    y1, e1 = vacuum_weak_bounds(mu, nu, gain_mu, gain_nu, qber_nu, y0)
    return _decoy_rate(mu, gain_mu, qber_mu, y1, e1, f, q)


def plob(transmittance: float) -> float:
    """The most secret bits that any protocol without a repeater gets through a lossy channel: −log2(1 − η).

    Args:
        transmittance: η of the channel alone.

    Returns:
        Bits per use of the channel; infinite at η = 1.

    Raises:
        ValueError: unless 0 ≤ η ≤ 1.

    Source: Pirandola, Laurenza, Ottaviani & Banchi, Nat. Commun. 8, 15043 (2017).
    """
    _check_probabilities(transmittance=transmittance)
    return math.inf if transmittance == 1.0 else -math.log1p(-transmittance) / math.log(2.0)


class PairRate(NamedTuple):
    """What a pair source gives: coincidences per pulse, their error rate, and secret bits per pulse."""

    gain: float
    qber: float
    rate: float


def bbm92_spdc(
    pairs: float,
    eta_a: float,
    eta_b: float,
    *,
    y0_a: float = 0.0,
    y0_b: float = 0.0,
    e_d: float = 0.0,
    f: float = 1.0,
    q: float = 0.5,
) -> PairRate:
    """BBM92 with parametric down-conversion: R = q·Q[1 − (1 + f)·h(E)], multi-pair emission counted.

    A pulse makes n pairs with probability (n + 1)λⁿ/(1 + λ)^(n+2), two independent thermal modes of mean λ.
    Double clicks are assigned at random. The source needs no trust: whatever it emits, the errors tell.

    Args:
        pairs: λ, half the mean number of pairs per pulse.
        eta_a: transmittance from the source to Alice's clicks, detector included.
        eta_b: the same for Bob.
        y0_a: probability of a click at Alice without a photon.
        y0_b: the same for Bob.
        e_d: probability that a photon clicks in the wrong detector.
        f: reconciliation efficiency.
        q: share of the coincidences that survive sifting.

    Raises:
        ValueError: for a negative λ, or a probability outside [0, 1].

    Source: Ma, Fung & Lo, Phys. Rev. A 76, 012307 (2007).
    """
    if not pairs >= 0.0:
        raise ValueError(f"a mean number of pairs must not be negative; got {pairs}")
    _check_probabilities(eta_a=eta_a, eta_b=eta_b, y0_a=y0_a, y0_b=y0_b, e_d=e_d)
    alice, bob = 1.0 + eta_a * pairs, 1.0 + eta_b * pairs
    either = alice + eta_b * pairs * (1.0 - eta_a)
    # The published Q = 1 − (1−Y0A)/A² − (1−Y0B)/B² + (1−Y0A)(1−Y0B)/C², written as a sum of positive terms:
    # as printed, its digits cancel where the loss is great.
    joint = eta_a * eta_b * pairs * (1.0 + pairs)
    gain = eta_a * pairs * (1.0 + alice) / alice**2 * eta_b * pairs * (1.0 + bob) / bob**2
    gain += joint * (alice * bob + either) / (alice * bob * either) ** 2
    gain += y0_a * eta_b * pairs * (1.0 - eta_a) * (alice + either) / (alice * either) ** 2
    gain += y0_b * eta_a * pairs * (1.0 - eta_b) * (bob + either) / (bob * either) ** 2
    gain += y0_a * y0_b / either**2
    if not gain > 0.0:
        return PairRate(0.0, 0.5, 0.0)
    right = 2.0 * (0.5 - e_d) * joint / (alice * bob * either)
    qber = min(max(0.5 - right / gain, 0.0), 1.0)
    return PairRate(gain, qber, q * gain * shor_preskill(qber, f))


def _decoy_rate(mu: float, gain: float, qber: float, y1: float, e1: float, f: float, q: float) -> float:
    """R = q{−Q_µ·f·h(E_µ) + Y1·µ·e^(−µ)·[1 − h(e1)]}; single photons beyond e1 = ½ give nothing."""
    single = y1 * mu * math.exp(-mu) * (1.0 - binary_entropy(min(e1, 0.5)))
    return q * (single - gain * f * binary_entropy(qber))


def _check_probabilities(**probabilities: float) -> None:
    """Refuse what is no probability, by its name."""
    for name, probability in probabilities.items():
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"{name} lies between 0 and 1; got {probability}")
