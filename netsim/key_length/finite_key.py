"""Secret bits in a finite block: every bound with its terms, so that a report can say what ate the key.

How leakage is counted. `leak_ec_bits` are the bits that reconciliation disclosed (Cascade's parities),
*without* the verification tag. The tag is paid for by the last term of Tomamichel et al. 2012,
log2(2/(ε_sec²·ε_cor)) = log2(1/ε_sec²) + log2(2/ε_cor): theirs has ⌈log2(1/ε_cor)⌉ ≤ log2(2/ε_cor) bits. A
tag longer than that is handed over as `tag_bits`, and what exceeds log2(2/ε_cor) is charged on top. So no
bit of it is forgotten, and none is paid twice. Errors of every kind of round that went into the key, of all
intensities among them, were corrected, and so are in `leak_ec_bits`.

Fixed and variable length. The published theorems fix the length beforehand, and abort a block whose counts
are worse than foreseen. Here a bound is evaluated at the counts that a block showed, which is what a theorem
gives for a protocol that had foreseen just these. A run that chooses each block's length afterwards relies on
a variable-length proof (Tupkary, Tan & Lütkenhaus, Phys. Rev. Res. 6, 023002 (2024)), which this is not.

A correlator is counted as (same, different): rounds in which the two outcomes were equal, and in which they
were not, under the pair of polariser angles (Alice's, Bob's) in degrees. E(a, b) is
(same − different)/(same + different), and an ideal Φ+ gives cos 2(a − b).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from netsim.key_length.asymptotic import CHSH_CLASSICAL, binary_entropy, holevo_information

Settings = tuple[float, float]
Counts = tuple[int, int]
Term = Literal["detections", "amplification", "statistics", "reconciliation", "epsilon"]

CHSH_SIGNS: Mapping[Settings, int] = {(0.0, 22.5): 1, (0.0, 67.5): -1, (45.0, 22.5): 1, (45.0, 67.5): 1}


@dataclass(frozen=True)
class KeyLength:
    """A key length and what it came from.

    `length` = ⌊n − amplification_bits − leak_ec_bits − epsilon_bits⌋, or 0 where that is negative.

    Attributes:
        n: raw key bits that went in.
        phase_error_bound: upper bound on the phase error rate that holds but for the allowed failure; from
            several key settings, the mean over their bits.
        amplification_bits: what privacy amplification must take out for Eve's attack on the quantum channel.
        leak_ec_bits: what reconciliation disclosed.
        epsilon_bits: the price of ε_sec and ε_cor, verification tag included.
        length: secret bits.
        statistics_bits: how much of `amplification_bits` is the allowance for statistical fluctuation: what
            the same formula would have left in, had the observed frequencies been certain.
    """

    n: int
    phase_error_bound: float
    amplification_bits: float
    leak_ec_bits: float
    epsilon_bits: float
    length: int
    statistics_bits: float = 0.0

    @property
    def terms(self) -> dict[Term, float]:
        """What is taken from the n bits, term by term: they add up to all that is taken."""
        return {
            "amplification": self.amplification_bits - self.statistics_bits,
            "statistics": self.statistics_bits,
            "reconciliation": self.leak_ec_bits,
            "epsilon": self.epsilon_bits,
        }

    @property
    def eaten_by(self) -> Term | None:
        """The term that ate the key where there is none; None where there is a key.

        "detections" where there was nothing to take from. If the frequencies alone would have left a key, the
        block is too small: the larger of "statistics" and "epsilon". Otherwise, at these frequencies, no larger block would help:
        the larger of "amplification" and "reconciliation".
        """
        if self.length > 0:
            return None
        if self.n == 0:
            return "detections"
        too_small = self.n > self.terms["amplification"] + self.leak_ec_bits
        suspects: tuple[Term, Term] = (
            ("statistics", "epsilon") if too_small else ("amplification", "reconciliation")
        )
        return max(suspects, key=lambda term: self.terms[term])

    @property
    def account(self) -> str:
        """The balance in a sentence, with the term that ate the key where there is none."""
        terms = self.terms
        taken = ", ".join(f"{name} {bits:.0f}" for name, bits in terms.items())
        if self.length > 0:
            return f"{self.length} secret bits of {self.n}; taken away: {taken}"
        if self.n == 0:
            return f"no key: there were no detections, and epsilon alone takes {self.epsilon_bits:.0f} bits"
        remedy = (
            "a larger block would leave some"
            if self.eaten_by in {"statistics", "epsilon"}
            else "at these rates no larger block would help"
        )
        return (
            f"no key: {self.eaten_by} ate it ({remedy}); of {self.n} raw bits the terms take "
            f"{sum(terms.values()):.0f}: {taken}"
        )


def serfling_deviation(n: int, k: int, eps: float) -> float:
    """How much worse n unseen bits may be than k sampled at random from n + k, but for failure (ε/2)².

    Returns:
        µ = √((n+k)/(nk) · (k+1)/k · ln(2/ε)); infinite without a sample, 0 where nothing is left unseen.

    Source: Tomamichel, Lim, Gisin & Renner, Nat. Commun. 3, 634 (2012), after Serfling, Ann. Stat. 2, 39
        (1974). The 2 in the logarithm puts the tail at (ε/2)², a smoothing by ε/2; where the bound is quoted
        with a 4, it is ε/4.
    """
    if k == 0:
        return math.inf
    if n == 0:
        return 0.0
    return math.sqrt((n + k) / (n * k) * (k + 1) / k * math.log(2.0 / eps))


def tomamichel_2012(  # the bound's own six quantities, in its own order
    n: int,
    k: int,
    qber: float,
    leak_ec_bits: float,
    eps_sec: float,
    eps_cor: float,
    *,
    tag_bits: int | None = None,
) -> KeyLength:
    """BB84 or BBM92 with single photons, against any attack: ⌊n[1 − h(Q+µ)] − leak − log2(2/(ε_sec²ε_cor))⌋.

    Args:
        n: raw key bits, all from one basis.
        k: bits of the other basis, compared in the open.
        qber: Q, the error rate among those k (the protocol's tolerated rate, if it fixes one beforehand).
        leak_ec_bits: reconciliation's parities, the verification tag not among them.
        eps_sec: secrecy failure allowed.
        eps_cor: correctness failure allowed.
        tag_bits: length of the verification tag; None for the paper's ⌈log2(1/ε_cor)⌉.

    Raises:
        ValueError: for counts, rates or ε outside their range.

    Source: Tomamichel, Lim, Gisin & Renner, Nat. Commun. 3, 634 (2012), equation 2.
    """
    check_block(n, leak_ec_bits, eps_sec, eps_cor)
    if k < 0 or not 0.0 <= qber <= 1.0:
        raise ValueError(f"k must not be negative and 0 <= qber <= 1; got {k} and {qber}")
    phase_error = qber + serfling_deviation(n, k, eps_sec)
    return _key_length(
        n,
        phase_error_bound=min(phase_error, 0.5),
        amplification_bits=n * entropy_bound(phase_error),
        statistics_bits=n * (entropy_bound(phase_error) - entropy_bound(qber)),
        leak_ec_bits=leak_ec_bits,
        epsilon_bits=_epsilon_bits(eps_sec, eps_cor, tag_bits),
    )


def e91_trusted(
    key_counts: tuple[int, int],
    correlators: Mapping[Settings, Counts],
    leak_ec_bits: float,
    eps_sec: float,
    eps_cor: float,
    *,
    tag_bits: int | None = None,
) -> KeyLength:
    """E91 with trusted polarisers, from phase errors: ⌊Σ_s n_s[1 − h(e_s)] − leak − log2(2/(ε_sec²ε_cor))⌋.

    The key settings 22.5°/22.5° and 45°/45° are not mutually unbiased, so their error rate bounds nothing:
    measuring halfway between, at 33.75°, tells Eve nearly all at a QBER of 7.3 %. The test settings do bound
    it. At polariser angle a, the observable is A(a) = cos 2a·Z + sin 2a·X. The key setting 45° is X; its
    phase errors are disagreements in Z = A(0°) = [A(22.5°) − A(67.5°)]/√2. The key setting 22.5° is
    (Z+X)/√2; its phase errors are disagreements in the unbiased (Z−X)/√2 = [A(0°) − A(45°)]/√2 = −A(67.5°).
    Alice has 0°, 22.5° and 45° to write them with, Bob 22.5°, 45° and 67.5°. So the phase-error correlators
    C = 1 − 2e are

        45°:    [E(0°, 22.5°) − E(0°, 67.5°)]/√2
        22.5°:  [E(45°, 67.5°) − E(0°, 67.5°)]/√2

    in any state of two qubits. H(X_A|E) ≥ 1 − H(Z_A|Z_B) ≥ 1 − h(e) (Berta et al., Nat. Phys. 6, 659 (2010)).

    What this holds against: collective attacks, every pair alike and independent, on qubits measured as
    described; detection that favours no outcome (fair sampling). It is not a theorem for coherent attacks.
    Statistics are Hoeffding's: four tails (for both settings one for the correlator, whose two counts add up
    to one sum of independent terms, and one for the phase errors of the key rounds themselves) share a
    failure of (ε_sec/4)², a smoothing by ε_sec/4.

    Args:
        key_counts: raw key bits from 22.5°/22.5° and from 45°/45°.
        correlators: counts at (0, 22.5), (0, 67.5) and (45, 67.5); others are not used.
        leak_ec_bits: reconciliation's parities, the verification tag not among them.
        eps_sec: secrecy failure allowed.
        eps_cor: correctness failure allowed.
        tag_bits: length of the verification tag; None for ⌈log2(1/ε_cor)⌉.

    Raises:
        ValueError: for counts or ε outside their range, or settings that are missing.
    """
    n = sum(key_counts)
    check_block(min(key_counts), leak_ec_bits, eps_sec, eps_cor)
    tail = (eps_sec / 8.0) ** 2
    references = (((45.0, 67.5), (0.0, 67.5)), ((0.0, 22.5), (0.0, 67.5)))
    amplification = statistics = phase_errors = 0.0
    for rounds, (plus, minus) in zip(key_counts, references, strict=True):
        if rounds == 0:
            continue
        (e_plus, n_plus), (e_minus, n_minus) = _correlator(correlators, plus), _correlator(correlators, minus)
        observed = (e_plus - e_minus) / math.sqrt(2.0)
        # Each of a setting's N rounds moves the correlator by ±1/(√2·N): Hoeffding's Σ range² is Σ 2/N.
        correlator = observed - math.sqrt((_inverse(n_plus) + _inverse(n_minus)) * math.log(1.0 / tail))
        phase_error = max(0.0, (1.0 - correlator) / 2.0) + math.sqrt(math.log(1.0 / tail) / (2.0 * rounds))
        amplification += rounds * entropy_bound(phase_error)
        # What was never measured is not known for want of statistics, and not because Eve was seen.
        seen = entropy_bound((1.0 - observed) / 2.0) if n_plus and n_minus else 0.0
        statistics += rounds * (entropy_bound(phase_error) - seen)
        phase_errors += rounds * min(phase_error, 0.5)
    return _key_length(
        n,
        phase_error_bound=phase_errors / n if n else 0.5,
        amplification_bits=amplification,
        statistics_bits=statistics,
        leak_ec_bits=leak_ec_bits,
        epsilon_bits=_epsilon_bits(eps_sec, eps_cor, tag_bits),
    )


def chsh(correlators: Mapping[Settings, Counts]) -> tuple[float, float]:
    """S = E(0°, 22.5°) − E(0°, 67.5°) + E(45°, 22.5°) + E(45°, 67.5°), and its standard error.

    A setting without rounds counts as E = 0, and makes the standard error infinite.

    Raises:
        ValueError: if one of the four settings is missing.

    Source: Clauser, Horne, Shimony & Holt, Phys. Rev. Lett. 23, 880 (1969).
    """
    s = variance = 0.0
    for settings, sign in CHSH_SIGNS.items():
        correlation, rounds = _correlator(correlators, settings)
        s += sign * correlation
        variance += (1.0 - correlation * correlation) * _inverse(rounds)
    return s, math.sqrt(variance)


def chsh_confidence(correlators: Mapping[Settings, Counts], eps: float) -> tuple[float, float]:
    """An interval that holds the true S but for a failure of ε, half on either side, by Hoeffding.

    Half its width is √(2·ln(2/ε)·Σ 1/N): each of the N rounds of a setting moves S by ±1/N. The interval
    ends at ±4 at the latest, the most four correlators can make.
    """
    s, _ = chsh(correlators)
    weight = sum(_inverse(sum(correlators[settings])) for settings in CHSH_SIGNS)
    half = math.sqrt(2.0 * math.log(2.0 / eps) * weight)
    return max(s - half, -4.0), min(s + half, 4.0)


def device_independent(
    n: int,
    correlators: Mapping[Settings, Counts],
    leak_ec_bits: float,
    eps_sec: float,
    eps_cor: float,
    *,
    tag_bits: int | None = None,
) -> KeyLength:
    """E91 with devices nobody trusts: ⌊n[1 − χ] − 5√(n·log2(16/ε_sec)) − leak − log2(2/(ε_sec²ε_cor))⌋.

    χ is `asymptotic.holevo_information` (Acín et al. 2007), at S_low, a one-sided Hoeffding bound that fails
    with ε_sec/4. The square root is by how much n independent rounds may miss n times the entropy of one,
    smoothed by ε_sec/8 (Renner, PhD thesis, 2005, corollary 3.3.7; Cai & Scarani, New J. Phys. 11, 045024
    (2009)); it counts among the epsilon bits.

    What this holds against: collective attacks, on devices without memory. It assumes nothing about
    detection, so the caller must count every emitted pair: a photon that did not click is an outcome too,
    decided by a fixed rule.

    Args:
        n: raw key bits.
        correlators: counts at the four CHSH settings.
        leak_ec_bits: reconciliation's parities, the verification tag not among them.
        eps_sec: secrecy failure allowed.
        eps_cor: correctness failure allowed.
        tag_bits: length of the verification tag; None for ⌈log2(1/ε_cor)⌉.

    Returns:
        No bits at all where S_low ≤ 2. The phase error bound is (1 − √((S_low/2)² − 1))/2.

    Raises:
        ValueError: for counts or ε outside their range, or settings that are missing.
    """
    check_block(n, leak_ec_bits, eps_sec, eps_cor)
    # One side of an interval that fails with ε_sec/2 fails with half of that.
    low, _ = chsh_confidence(correlators, eps_sec / 2.0)
    repetition = 5.0 * math.sqrt(n * math.log2(16.0 / eps_sec))
    violation = math.sqrt(min(low / 2.0, math.sqrt(2.0)) ** 2 - 1.0) if low > CHSH_CLASSICAL else 0.0
    return _key_length(
        n,
        phase_error_bound=max(0.0, (1.0 - violation) / 2.0),
        amplification_bits=n * holevo_information(low),
        statistics_bits=n * (holevo_information(low) - holevo_information(chsh(correlators)[0])),
        leak_ec_bits=leak_ec_bits,
        epsilon_bits=_epsilon_bits(eps_sec, eps_cor, tag_bits) + repetition,
    )


def check_block(n: int, leak_ec_bits: float, eps_sec: float, eps_cor: float) -> None:
    """Refuse what no block can have.

    Raises:
        ValueError: for a negative n or leakage, or an ε that does not lie between 0 and 1.
    """
    if n < 0 or not leak_ec_bits >= 0:
        raise ValueError(f"bits and leakage must not be negative; got {n} and {leak_ec_bits}")
    if not (0.0 < eps_sec < 1.0 and 0.0 < eps_cor < 1.0):
        raise ValueError(f"eps_sec and eps_cor lie between 0 and 1; got {eps_sec} and {eps_cor}")


def _correlator(correlators: Mapping[Settings, Counts], settings: Settings) -> tuple[float, int]:
    """E at a pair of settings, and the rounds it was measured in; E = 0 without rounds."""
    if settings not in correlators:
        raise ValueError(f"counts at the settings {settings} are needed; got {sorted(correlators)}")
    same, different = correlators[settings]
    rounds = same + different
    return ((same - different) / rounds if rounds else 0.0), rounds


def _inverse(rounds: int) -> float:
    """1/N, infinite for none: what was not measured is not known."""
    return 1.0 / rounds if rounds else math.inf


def entropy_bound(error_rate: float) -> float:
    """The largest h(e) for e up to `error_rate`: h below ½, 1 from there on."""
    return 1.0 if error_rate >= 0.5 else binary_entropy(max(error_rate, 0.0))


def _epsilon_bits(eps_sec: float, eps_cor: float, tag_bits: int | None) -> float:
    """log2(2/(ε_sec²ε_cor)), and what of a tag exceeds the log2(2/ε_cor) bits in it."""
    return verification_bits(eps_cor, tag_bits) - 2.0 * math.log2(eps_sec)


def verification_bits(eps_cor: float, tag_bits: int | None) -> float:
    """What verification costs: log2(2/ε_cor) bits, or those of a tag that is longer."""
    allowance = 1.0 - math.log2(eps_cor)
    return allowance if tag_bits is None else max(allowance, float(tag_bits))


def secret_bits(n: int, amplification_bits: float, leak_ec_bits: float, epsilon_bits: float) -> int:
    """⌊n − amplification_bits − leak_ec_bits − epsilon_bits⌋, or 0 where that is negative."""
    left = n - amplification_bits - leak_ec_bits - epsilon_bits
    return max(0, math.floor(left)) if math.isfinite(left) else 0


def _key_length(
    n: int,
    *,
    phase_error_bound: float,
    amplification_bits: float,
    statistics_bits: float,
    leak_ec_bits: float,
    epsilon_bits: float,
) -> KeyLength:
    """The balance."""
    return KeyLength(
        n,
        phase_error_bound,
        amplification_bits,
        leak_ec_bits,
        epsilon_bits,
        secret_bits(n, amplification_bits, leak_ec_bits, epsilon_bits),
        # A formula that is already at its worst has nothing left to allow for.
        max(0.0, statistics_bits),
    )
