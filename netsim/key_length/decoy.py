"""Secret bits in a finite block of weak coherent pulses: BB84 with two decoys or with one.

Of a weak pulse only the single photons, and what Bob registers without a photon, are secret: of the rest Eve
keeps a photon. Nobody sees photon numbers, but a pulse of n photons forgets which intensity it came from: it
had intensity k with probability p_k e^(−k) kⁿ/(n! τ_n), τ_n = Σ_k p_k e^(−k) kⁿ/n!, whatever happened to it
since. So the counts by intensity bound the counts by photon number. All of these are counts of events.

All intensities make key, and the errors of all are corrected: `leak_ec_bits` covers them all. (A leakage
estimated without the weakest intensity overstates the key by as much as a quarter.)

Counts may be expected values instead of whole numbers, for a rate that is to be plotted or optimised; the
length is then the published "expected" one, to which no ε belongs.

What these hold against: coherent attacks. They assume phase-randomised pulses of known intensities, and that
a detection does not depend on Bob's basis. On fixed and variable length, see `netsim.key_length.finite_key`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from netsim.key_length.finite_key import (
    KeyLength,
    check_block,
    entropy_bound,
    secret_bits,
    serfling_deviation,
    verification_bits,
)

_LIM_TERMS = 21
_WIESEMANN_TERMS = 15


@dataclass(frozen=True, kw_only=True)
class DecoyKeyLength(KeyLength):
    """A key length from weak pulses, and how many photons stand behind it.

    `n` counts the detections of all intensities in the key basis, and `phase_error_bound` is that of the
    single photons among them.

    Attributes:
        vacuum_events: lower bound on the key detections that no photon caused.
        single_photon_events: lower bound on the key detections of single photons (in MDI, of pairs of them).
        test_single_photon_events: the same in the test basis.
        test_single_photon_errors: upper bound on the errors among the test basis's single photons.
    """

    vacuum_events: float
    single_photon_events: float
    test_single_photon_events: float
    test_single_photon_errors: float


@dataclass(frozen=True)
class PhotonBounds:
    """What the counts of a block say about its photons.

    Attributes:
        vacuum: key detections without a photon that are credited to the key, at least.
        single: key detections of single photons, at least.
        test_single: test detections of single photons, at least.
        test_errors: errors among those, at most.
        phase_error: error rate that the key's single photons would have had in the test basis, at most.
    """

    vacuum: float
    single: float
    test_single: float
    test_errors: float
    phase_error: float

    @property
    def secret(self) -> float:
        """Key bits that Eve does not know, before anything is disclosed."""
        return self.vacuum + self.single * (1.0 - entropy_bound(self.phase_error))


def lim_2014(
    *,
    key_detections: Sequence[float],
    test_detections: Sequence[float],
    test_errors: Sequence[float],
    intensities: Sequence[float],
    probabilities: Sequence[float],
    leak_ec_bits: float,
    eps_sec: float,
    eps_cor: float,
    tag_bits: int | None = None,
) -> DecoyKeyLength:
    """BB84 with two decoys: ⌊s0 + s1[1 − h(φ)] − leak − 6·log2(21/ε_sec) − log2(2/ε_cor)⌋.

    With n±_k = (e^k/p_k)(n_k ± √(n/2·ln(21/ε_sec))), n over all intensities, and m± likewise for errors:

        s0 ≥ τ0(µ2 n−_3 − µ3 n+_2)/(µ2 − µ3), not below 0
        s1 ≥ τ1 µ1[n−_2 − n+_3 − (µ2² − µ3²)/µ1²·(n+_1 − s0/τ0)]/(µ1(µ2 − µ3) − µ2² + µ3²)
        v1 ≤ τ1(m+_2 − m−_3)/(µ2 − µ3), test basis
        φ ≤ v1/t1 + γ(ε_sec, v1/t1, t1, s1), t1 as s1 in the test basis
        γ(a, b, c, d) = √((c + d)(1 − b)b/(cd ln 2)·log2((c + d)/(cd(1 − b)b)·21²/a²))

    ε_sec is 21 equal parts: 2(2α1 + α2 + α3) + ν for smoothing, chain rules and hashing, ten tails of
    detections and two of errors.

    Two remarks on γ. It approximates the hypergeometric tail by a Gaussian, and is no bound for few errors:
    without any it vanishes. So φ is raised, where needed, until the exact tail of a sample without
    replacement is at most ε_sec/21, the probability that the paper states; from fifty errors on this changes
    nothing (from some hundreds, where the test is a hundred times the key). And the paper smooths by that probability, where Tomamichel et al. 2012 smooth
    by the root of one; `wiesemann_2024` does as they do.

    Where the paper's print and its figure differ. Its model prints the error probability of a pulse with the
    transmittance of the channel alone; the quoted ratio of about 1.75 between the rates of n = 1e9 and 1e7 at
    100 km is 1.79 with that of the system, detectors included, and 2.7 as printed. Blocks of 1e4 are said to
    reach 135 km; optimised over all free parameters, these formulas end between 125 and 130 km.

    Args:
        key_detections: n_k in the key basis, by intensity.
        test_detections: the same in the test basis.
        test_errors: m_k, errors in the test basis, by intensity.
        intensities: µ1 > µ2 > µ3 ≥ 0, mean photon numbers, with µ1 > µ2 + µ3.
        probabilities: p_k of the intensities, chosen independently of the basis; they add up to 1.
        leak_ec_bits: reconciliation's parities over all intensities, the verification tag not among them.
        eps_sec: secrecy failure allowed.
        eps_cor: correctness failure allowed.
        tag_bits: length of the verification tag; None for ⌈log2(1/ε_cor)⌉.

    Returns:
        The length, 0 where a bound cannot be made.

    Raises:
        ValueError: for intensities, probabilities, counts or ε outside their range.

    Source: Lim, Curty, Walenta, Xu & Zbinden, Phys. Rev. A 89, 022307 (2014), equations 1 to 5.
    """
    check_pulses(3, intensities, probabilities)
    if not intensities[0] > intensities[1] + intensities[2]:
        raise ValueError(f"µ1 > µ2 + µ3 is needed; got {list(intensities)}")
    for counts in (key_detections, test_detections, test_errors):
        _check_counts(counts, intensities)
    _check_errors(test_errors, test_detections)
    check_block(0, leak_ec_bits, eps_sec, eps_cor)
    bounds, frequencies = (
        _lim_bounds(key_detections, test_detections, test_errors, intensities, probabilities, eps)
        for eps in (eps_sec, None)
    )
    epsilon = 6.0 * math.log2(_LIM_TERMS / eps_sec) + verification_bits(eps_cor, tag_bits)
    return decoy_key_length(key_detections, bounds, frequencies, leak_ec_bits, epsilon)


def wiesemann_2024(
    *,
    key_detections: Sequence[float],
    key_errors: Sequence[float],
    test_detections: Sequence[float],
    test_errors: Sequence[float],
    intensities: Sequence[float],
    probabilities: Sequence[float],
    leak_ec_bits: float,
    eps_sec: float,
    eps_cor: float,
    tag_bits: int | None = None,
) -> DecoyKeyLength:
    """BB84 with one decoy: ⌊s1[1 − h(φ)] − leak − 4·log2(15/(2^¼·ε_sec)) − log2(2/ε_cor)⌋.

    With δ(n) = √(n/2·ln(15/ε_sec)), n±_k = (e^k/p_k)(n_k ± δ(n)), clipped to what was counted, and m± alike:

        s0 ≤ 2[τ0·m+_k + δ(n)], the smaller over k, in either basis
        s1 ≥ µ1 τ1/(µ2(µ1 − µ2))·[n−_2 − µ2²/µ1²·n+_1 − (µ1² − µ2²)/µ1²·s0/τ0]
        v1 ≤ τ1(m+_1 − m−_2)/(µ1 − µ2), test basis
        φ ≤ v1/t1 + √((s1 + t1)/(s1 t1)·(t1 + 1)/t1·ln(15/ε_sec)), t1 as s1 in the test basis

    Detections without a photon carry errors at random, so half of them are errors: with no vacuum among the
    intensities that is what bounds them, in the key basis too. Hence `key_errors`, known by intensity once
    the key has been reconciled. Whoever publishes them beyond the length that results adds what they tell to
    `leak_ec_bits`. `vacuum_events` is reported (Lim's s0 with µ1, µ2) and not credited to the key.

    Why not Rusca, Boaron, Grünenfelder, Martin & Zbinden, Appl. Phys. Lett. 112, 171104 (2018). It carries
    Lim's proof over to one decoy. Wiesemann et al. find that such proofs treat a protocol whose length
    follows the counts as one of fixed length, are careless about conditioning on acceptance, and do not say
    what it means that one decoy needs errors that are known only after error correction; they mend this.
    As printed, Rusca's n± lack the factor e^k/p_k, too, and his phase error uses the Gaussian γ of
    `lim_2014` where Wiesemann et al. use Serfling's inequality.

    What is taken from where. The bounds, the number 15 and the exponent 4 are those of the authors' own
    published simulation, which cites the theorem; the theorem's text was not at hand. We checked that they
    follow: for two intensities n+_1 and n−_2 are one event, so there are eight tails (two of detections, two
    of vacuum errors, two of errors in each basis); one chain rule smooths by 2(2α1 + α2) and costs
    2·log2(1/α2) + 1; hashing costs ν̄ and 2·log2(1/2ν̄). All equal, ε_sec = (8 + 6 + 1)ε and 4·log2(1/ε) − 1
    bits. Serfling's tail is ε², as smoothing by ε asks.

    Args:
        key_detections: n_k in the key basis, by intensity.
        key_errors: m_k in the key basis, by intensity, counted by reconciliation.
        test_detections: n_k in the test basis.
        test_errors: m_k in the test basis.
        intensities: µ1 > µ2 > 0, mean photon numbers.
        probabilities: p_k of the intensities, chosen independently of the basis; they add up to 1.
        leak_ec_bits: reconciliation's parities over both intensities, the verification tag not among them.
        eps_sec: secrecy failure allowed.
        eps_cor: correctness failure allowed.
        tag_bits: length of the verification tag; None for ⌈log2(1/ε_cor)⌉.

    Returns:
        The length, 0 where a bound cannot be made.

    Raises:
        ValueError: for intensities, probabilities, counts or ε outside their range.

    Source: Wiesemann, Krause, Tupkary, Lütkenhaus, Rusca & Walenta, arXiv:2405.16578 (2024), later Quantum 10,
        2037 (2026).
    """
    check_pulses(2, intensities, probabilities)
    if not intensities[1] > 0.0:
        raise ValueError(
            f"a decoy that is the vacuum says nothing of single photons; got {list(intensities)}"
        )
    for counts in (key_detections, key_errors, test_detections, test_errors):
        _check_counts(counts, intensities)
    _check_errors(key_errors, key_detections)
    _check_errors(test_errors, test_detections)
    check_block(0, leak_ec_bits, eps_sec, eps_cor)
    bounds, frequencies = (
        _wiesemann_bounds(
            key_detections, key_errors, test_detections, test_errors, intensities, probabilities, eps
        )
        for eps in (eps_sec, None)
    )
    epsilon = 4.0 * math.log2(_WIESEMANN_TERMS / eps_sec) - 1.0 + verification_bits(eps_cor, tag_bits)
    reported = _least_vacuum(key_detections, intensities, probabilities, eps_sec / _WIESEMANN_TERMS)
    return decoy_key_length(
        key_detections, bounds, frequencies, leak_ec_bits, epsilon, vacuum_events=reported
    )


def photon_probability(n: int, intensities: Sequence[float], probabilities: Sequence[float]) -> float:
    """τ_n = Σ_k p_k e^(−k) kⁿ/n!, the share of n-photon pulses among all that are sent."""
    return sum(
        p * math.exp(-k) * k**n / math.factorial(n) for k, p in zip(intensities, probabilities, strict=True)
    )


def decoy_key_length(
    key_detections: Sequence[float],
    bounds: PhotonBounds,
    frequencies: PhotonBounds,
    leak_ec_bits: float,
    epsilon_bits: float,
    *,
    vacuum_events: float | None = None,
) -> DecoyKeyLength:
    """The balance of a block of weak pulses.

    Args:
        key_detections: detections that make the key, by intensity.
        bounds: what is known of its photons but for the allowed failure.
        frequencies: the same if the observed frequencies were certain.
        leak_ec_bits: what reconciliation disclosed.
        epsilon_bits: the price of ε, verification tag included.
        vacuum_events: what to report, where it is not what the key is credited with.
    """
    n = math.floor(math.fsum(key_detections))
    amplification = n - min(bounds.secret, float(n))
    return DecoyKeyLength(
        n=n,
        phase_error_bound=bounds.phase_error,
        amplification_bits=amplification,
        statistics_bits=max(0.0, min(frequencies.secret, float(n)) - min(bounds.secret, float(n))),
        leak_ec_bits=leak_ec_bits,
        epsilon_bits=epsilon_bits,
        length=secret_bits(n, amplification, leak_ec_bits, epsilon_bits),
        vacuum_events=bounds.vacuum if vacuum_events is None else vacuum_events,
        single_photon_events=bounds.single,
        test_single_photon_events=bounds.test_single,
        test_single_photon_errors=bounds.test_errors,
    )


def _lim_bounds(
    key_detections: Sequence[float],
    test_detections: Sequence[float],
    test_errors: Sequence[float],
    intensities: Sequence[float],
    probabilities: Sequence[float],
    eps_sec: float | None,
) -> PhotonBounds:
    """Equations 2 to 5; without ε, at the observed frequencies."""
    eps = None if eps_sec is None else eps_sec / _LIM_TERMS
    vacuum, single = _lim_detections(key_detections, intensities, probabilities, eps)
    _, test_single = _lim_detections(test_detections, intensities, probabilities, eps)
    _, _, least = _scaled(test_errors, intensities, probabilities, -1, eps)
    _, most, _ = _scaled(test_errors, intensities, probabilities, +1, eps)
    _, mu2, mu3 = intensities
    errors = photon_probability(1, intensities, probabilities) * (most - least) / (mu2 - mu3)
    errors = min(max(errors, 0.0), math.fsum(test_detections))
    phase_error = 0.5
    if single > 0.0 and test_single > 0.0 and errors < 0.5 * test_single:
        rate = errors / test_single
        phase_error = rate
        if eps is not None:
            phase_error = rate + _gaussian_sampling(eps, rate, test_single, single)
            phase_error = _raised_to_exact_tail(phase_error, errors, test_single, single, eps)
    return PhotonBounds(vacuum, single, test_single, errors, min(phase_error, 0.5))


def _lim_detections(
    detections: Sequence[float],
    intensities: Sequence[float],
    probabilities: Sequence[float],
    eps: float | None,
) -> tuple[float, float]:
    """Lower bounds on vacuum and single-photon detections, Lim et al. equations 2 and 3."""
    mu1, mu2, mu3 = intensities
    tau0, tau1 = (photon_probability(n, intensities, probabilities) for n in (0, 1))
    _, least2, least3 = _scaled(detections, intensities, probabilities, -1, eps)
    most1, most2, most3 = _scaled(detections, intensities, probabilities, +1, eps)
    total = math.fsum(detections)
    vacuum = min(max(tau0 * (mu2 * least3 - mu3 * most2) / (mu2 - mu3), 0.0), total)
    multi = (mu2**2 - mu3**2) / mu1**2 * (most1 - vacuum / tau0)
    single = tau1 * mu1 * (least2 - most3 - multi) / (mu1 * (mu2 - mu3) - mu2**2 + mu3**2)
    return vacuum, min(max(single, 0.0), total - vacuum)


def _wiesemann_bounds(
    key_detections: Sequence[float],
    key_errors: Sequence[float],
    test_detections: Sequence[float],
    test_errors: Sequence[float],
    intensities: Sequence[float],
    probabilities: Sequence[float],
    eps_sec: float | None,
) -> PhotonBounds:
    """One decoy's bounds; without ε, at the observed frequencies."""
    eps = None if eps_sec is None else eps_sec / _WIESEMANN_TERMS
    mu1, mu2 = intensities
    tau0, tau1 = (photon_probability(n, intensities, probabilities) for n in (0, 1))

    def single_photons(detections: Sequence[float], errors: Sequence[float]) -> float:
        total = math.fsum(detections)
        most_errors = _scaled(errors, intensities, probabilities, +1, eps, clip=True)
        vacuum = min(2.0 * (tau0 * min(most_errors) + _hoeffding(total, eps)), total)
        _, least2 = _scaled(detections, intensities, probabilities, -1, eps, clip=True)
        most1, _ = _scaled(detections, intensities, probabilities, +1, eps, clip=True)
        single = least2 - mu2**2 / mu1**2 * most1 - (mu1**2 - mu2**2) / mu1**2 * vacuum / tau0
        return min(max(mu1 * tau1 / (mu2 * (mu1 - mu2)) * single, 0.0), total)

    single, test_single = (
        single_photons(key_detections, key_errors),
        single_photons(test_detections, test_errors),
    )
    _, least = _scaled(test_errors, intensities, probabilities, -1, eps, clip=True)
    most, _ = _scaled(test_errors, intensities, probabilities, +1, eps, clip=True)
    errors = min(max(tau1 * (most - least) / (mu1 - mu2), 0.0), math.fsum(test_detections))
    phase_error = 0.5
    if single > 0.0 and test_single > 0.0 and errors < 0.5 * test_single:
        phase_error = errors / test_single
        if eps is not None:
            # The published deviation has ln(1/ε), ours ln(2/ε).
            phase_error += sampling_deviation(single, test_single, 2.0 * eps)
    return PhotonBounds(0.0, single, test_single, errors, min(phase_error, 0.5))


def _least_vacuum(
    detections: Sequence[float], intensities: Sequence[float], probabilities: Sequence[float], eps: float
) -> float:
    """Least detections without a photon by two intensities: Lim et al. equation 2 for µ1 and µ2."""
    mu1, mu2 = intensities
    total = math.fsum(detections)
    most1, _ = _scaled(detections, intensities, probabilities, +1, eps, clip=True)
    _, least2 = _scaled(detections, intensities, probabilities, -1, eps, clip=True)
    vacuum = photon_probability(0, intensities, probabilities) * (mu1 * least2 - mu2 * most1) / (mu1 - mu2)
    return min(max(vacuum, 0.0), total)


def sampling_deviation(unseen: float, seen: float, eps: float) -> float:
    """`serfling_deviation` for events that are bounded instead of counted; more than ½ where it says nothing."""
    whole = math.floor(seen)
    return serfling_deviation(max(1, math.floor(unseen)), whole, eps) if whole else 1.0


def _hoeffding(total: float, eps: float | None) -> float:
    """δ = √(n/2·ln(1/ε)); 0 where nothing is left to chance."""
    return 0.0 if eps is None else math.sqrt(0.5 * total * math.log(1.0 / eps))


def _scaled(
    counts: Sequence[float],
    intensities: Sequence[float],
    probabilities: Sequence[float],
    sign: int,
    eps: float | None,
    *,
    clip: bool = False,
) -> list[float]:
    """(e^k/p_k)(n_k ± δ) for every intensity k, clipped to [0, n] on request."""
    total = math.fsum(counts)
    shift = sign * _hoeffding(total, eps)
    moved = [min(max(count + shift, 0.0), total) if clip else count + shift for count in counts]
    return [math.exp(k) / p * count for k, p, count in zip(intensities, probabilities, moved, strict=True)]


def _gaussian_sampling(eps: float, rate: float, seen: float, unseen: float) -> float:
    """γ of Lim et al. 2014, equation 5, with the 21 already in ε."""
    spread = (seen + unseen) / (seen * unseen) * (1.0 - rate) * rate
    if not spread > 0.0:
        return 0.0
    inner = (seen + unseen) / (seen * unseen * (1.0 - rate) * rate) / eps**2
    return math.sqrt(spread / math.log(2.0) * max(0.0, math.log2(inner)))


def _raised_to_exact_tail(phase_error: float, errors: float, seen: float, unseen: float, eps: float) -> float:
    """The phase error rate, raised until seeing so few errors would have had probability ε at most."""
    few, sample, rest = math.ceil(errors), math.floor(seen), math.floor(unseen)

    def excluded(rate: float) -> bool:
        return _log_tail(few, sample, few + rate * rest, sample + rest) <= math.log(eps)

    if sample == 0 or rest == 0:
        return 0.5
    if phase_error >= 0.5 or excluded(phase_error):
        return phase_error
    if not excluded(0.5):
        return 0.5
    low, high = phase_error, 0.5
    while high - low > 1e-9 * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if excluded(middle) else (middle, high)
    return high


def _log_tail(few: int, sample: int, marked: float, population: int) -> float:
    """Logarithm of an upper bound on P[at most `few` marked in a sample without replacement].

    The probabilities of few, few − 1, … fall at least as fast as a geometric series.
    """
    if few >= min(marked, sample):
        return 0.0
    unmarked = population - marked
    if unmarked <= sample - few:
        return -math.inf if unmarked < sample - few - 1 else 0.0
    ratio = few * (unmarked - sample + few) / ((marked - few + 1.0) * (sample - few + 1.0))
    if ratio >= 1.0:
        return 0.0
    return (
        _log_choose(marked, few)
        + _log_choose(unmarked, sample - few)
        - _log_choose(population, sample)
        - math.log1p(-ratio)
    )


def _log_choose(n: float, k: float) -> float:
    """Natural logarithm of the binomial coefficient, for real n."""
    return math.lgamma(n + 1.0) - math.lgamma(k + 1.0) - math.lgamma(n - k + 1.0)


def check_pulses(levels: int, intensities: Sequence[float], probabilities: Sequence[float]) -> None:
    """Refuse intensities that are not so many, falling, and chosen with probabilities that make sense.

    Raises:
        ValueError: saying what was got.
    """
    if len(intensities) != levels or len(probabilities) != levels:
        raise ValueError(
            f"{levels} intensities and as many probabilities are needed; "
            f"got {list(intensities)} and {list(probabilities)}"
        )
    falling = all(a > b for a, b in itertools.pairwise(intensities))
    if not (falling and intensities[-1] >= 0.0 and math.isfinite(intensities[0])):
        raise ValueError(f"intensities must fall, and end at 0 or above; got {list(intensities)}")
    if not all(p > 0.0 for p in probabilities) or abs(math.fsum(probabilities) - 1.0) > 1e-9:
        raise ValueError(f"probabilities must be positive and add up to 1; got {list(probabilities)}")


def _check_counts(counts: Sequence[float], intensities: Sequence[float]) -> None:
    """Refuse counts that are negative, or not one for each intensity."""
    if len(counts) != len(intensities) or not all(0.0 <= count < math.inf for count in counts):
        raise ValueError(
            f"counts must not be negative, one for each of {len(intensities)} intensities; got {list(counts)}"
        )


def _check_errors(errors: Sequence[float], detections: Sequence[float]) -> None:
    """Refuse more errors than detections."""
    # Expected counts are products of rounded numbers.
    if any(e > n * (1.0 + 1e-9) for e, n in zip(errors, detections, strict=True)):
        raise ValueError(f"errors are among the detections; got {list(errors)} of {list(detections)}")
