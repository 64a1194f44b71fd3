"""A link's counts as formulas: gains and error rates from its physical parameters, without sampling anything."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Literal, TypeAlias

Formulas: TypeAlias = Literal["threshold", "ma-2005", "lim-2014"]
"""Whose formulas count clicks; see `LinkModel`."""


@dataclasses.dataclass(frozen=True)
class SinglePhotons:
    """One photon in each pulse."""


@dataclasses.dataclass(frozen=True)
class WeakPulses:
    """Phase-randomised coherent pulses of a few intensities.

    Attributes:
        intensities: mean photon numbers, strongest first.
        probabilities: how often each is sent.
    """

    intensities: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what no source can be set to.

        Raises:
            ValueError: intensities that do not decrease, or probabilities that do not sum to one.
        """
        if len(self.intensities) != len(self.probabilities) or not self.intensities:
            raise ValueError(
                f"each intensity needs a probability; got {self.intensities} and {self.probabilities}"
            )
        pairs = zip(self.intensities, self.intensities[1:], strict=False)
        if min(self.intensities) < 0 or any(weaker >= stronger for stronger, weaker in pairs):
            raise ValueError(f"intensities decrease and are not negative; got {self.intensities}")
        if min(self.probabilities) <= 0 or abs(sum(self.probabilities) - 1.0) > 1e-9:
            raise ValueError(f"probabilities are above 0 and sum to 1; got {self.probabilities}")


@dataclasses.dataclass(frozen=True)
class PairSource:
    """Entangled pairs from parametric down-conversion, some of them several at once.

    Attributes:
        half_mean_pairs: λ of Ma, Fung & Lo 2007: half the mean number of pairs per pulse.
        position: where on the fibre it stands.
    """

    half_mean_pairs: float
    position: Literal["alice", "middle"] = "middle"

    def __post_init__(self) -> None:
        """Refuse a source that emits nothing.

        Raises:
            ValueError: λ is not above 0.
        """
        if not self.half_mean_pairs > 0:
            raise ValueError(f"half_mean_pairs is above 0; got {self.half_mean_pairs}")


Source: TypeAlias = SinglePhotons | WeakPulses | PairSource


@dataclasses.dataclass(frozen=True)
class Signal:
    """What becomes of a pulse, on average, where both sides use the same basis.

    Attributes:
        gain: probability that it is registered.
        errors: probability that it is registered with the wrong bit.
        doubles: probability that both detectors fire; the bit is then random.
    """

    gain: float
    errors: float
    doubles: float

    @property
    def qber(self) -> float:
        """The error rate; ½ where nothing is registered."""
        return self.errors / self.gain if self.gain > 0 else 0.5


@dataclasses.dataclass(frozen=True)
class Counts:
    """Expected counts of a block, not rounded; one entry per intensity.

    Attributes:
        pulses: sent.
        key_detections: both sides in the key basis.
        key_errors: of those, wrong.
        test_detections: both sides in the test basis.
        test_errors: of those, wrong.
    """

    pulses: float
    key_detections: tuple[float, ...]
    key_errors: tuple[float, ...]
    test_detections: tuple[float, ...]
    test_errors: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class LinkModel:
    """A link between Alice and Bob, and the formulas for what it counts.

    A pulse arrives whole or not at all in the wrong state: misalignment flips it with probability e_d, as in Ma et al. 2005.
    Bob has two gated threshold detectors; a double click gets a random bit. With u = 1 − d the probability that a detector is
    not fired by noise, and a = e^(−ηµ) (or (1−η)^n for n photons) that no photon is seen,

        gain    = 1 − u²a                                    doubles = d(1 − ua)
        errors  = (1−e_d)·½d(1 + ua) + e_d·[gain − ½d(1 + ua)]

    Noise d is dark counts, background light and afterpulses. The latter follow from the mean rate (an afterpulse falls into any
    later gate alike), those that fall into the dead time excepted. Dead time takes a share of all gates: both detectors are
    blind for ⌈τ·rate⌉ gates after a click of either, so 1/(1 + gates·gain) of the gates see. That is exact for independent gates.

    `formulas` chooses whose counting is used. "threshold" is the above. "ma-2005" leaves the overlap of noise and light out:
    Q = Y0 + 1 − a, EQ = ½Y0 + e_d(1 − a), with Y0 = 2d; it knows no afterpulses. "lim-2014" is D = 1 − (1−2d)a, gain D(1+p_ap),
    errors d + e_d(1 − a) + ½·p_ap·D, with an afterpulse counted at the intensity that caused it.

    Attributes:
        source: of the light.
        pulse_rate_hz: pulses a second.
        length_km: of the fibre.
        attenuation_db_per_km: of the fibre.
        misalignment: e_d, probability that a pulse is flipped.
        detector_efficiency: probability that a photon that leaves the fibre is seen: optics and detector together, η_Bob.
        dark_counts: probability of a click without light, per gate and detector.
        background: unpolarised photons per gate from other light in the fibre, before the detectors.
        afterpulse: probability that a click fills a trap that fires the same detector again.
        afterpulse_lifetime_s: mean time until the trap empties.
        dead_time_s: both detectors are blind for so long after a click.
        key_basis: probability that a side chooses the key basis; for six states, the rest is shared by the two other bases.
        test_fraction: share of the sifted bits revealed to estimate the error rate, where a random sample of them is.
        formulas: whose counting is used.

    Source: Ma, Qi, Zhao & Lo, Phys. Rev. A 72, 012326 (2005), equations 3 to 11; Lim, Curty, Walenta, Xu & Zbinden, Phys. Rev. A
        89, 022307 (2014), section IV.
    """

    source: Source
    pulse_rate_hz: float = 1e9
    length_km: float = 0.0
    attenuation_db_per_km: float = 0.2
    misalignment: float = 0.01
    detector_efficiency: float = 0.2
    dark_counts: float = 1e-6
    background: float = 0.0
    afterpulse: float = 0.0
    afterpulse_lifetime_s: float = 1e-6
    dead_time_s: float = 0.0
    key_basis: float = 0.5
    test_fraction: float = 0.2
    formulas: Formulas = "threshold"

    def __post_init__(self) -> None:
        """Refuse what no link can be.

        Raises:
            ValueError: every parameter that is out of its range, with the range.
        """
        wrong = [
            f"{name} = {getattr(self, name)}, expected {words}"
            for name, words, right in (
                ("pulse_rate_hz", "more than 0", self.pulse_rate_hz > 0),
                ("length_km", "at least 0", self.length_km >= 0),
                ("attenuation_db_per_km", "at least 0", self.attenuation_db_per_km >= 0),
                ("misalignment", "0 to 0.5", 0 <= self.misalignment <= 0.5),
                ("detector_efficiency", "more than 0, at most 1", 0 < self.detector_efficiency <= 1),
                ("dark_counts", "at least 0, less than 0.5", 0 <= self.dark_counts < 0.5),
                ("background", "at least 0", self.background >= 0),
                ("afterpulse", "at least 0, less than 1", 0 <= self.afterpulse < 1),
                ("afterpulse_lifetime_s", "more than 0", self.afterpulse_lifetime_s > 0),
                ("dead_time_s", "at least 0", self.dead_time_s >= 0),
                ("key_basis", "more than 0, at most 1", 0 < self.key_basis <= 1),
                ("test_fraction", "more than 0, less than 1", 0 < self.test_fraction < 1),
                ("formulas", "threshold, ma-2005 or lim-2014", self.formulas in _FORMULAS),
                ("afterpulse", "0 with ma-2005", self.formulas != "ma-2005" or not self.afterpulse),
            )
            if not right
        ]
        if wrong:
            raise ValueError("; ".join(wrong))

    @functools.cached_property
    def fibre_transmittance(self) -> float:
        """10^(−αL/10)."""
        return math.pow(10.0, -self.attenuation_db_per_km * self.length_km / 10.0)

    @functools.cached_property
    def transmittance(self) -> float:
        """Of fibre, optics and detector together: η."""
        return self.fibre_transmittance * self.detector_efficiency

    @functools.cached_property
    def sides(self) -> tuple[float, float]:
        """η of Alice's and of Bob's side of a source of pairs."""
        at_alice = isinstance(self.source, PairSource) and self.source.position == "alice"
        near, far = (0.0, 1.0) if at_alice else (0.5, 0.5)
        loss_db = self.attenuation_db_per_km * self.length_km
        return (
            self.detector_efficiency * 10.0 ** (-near * loss_db / 10.0),
            self.detector_efficiency * 10.0 ** (-far * loss_db / 10.0),
        )

    @functools.cached_property
    def dark_noise(self) -> float:
        """Probability that a detector fires in a gate by a dark count or by background light."""
        photons = self.background * self.detector_efficiency / 2.0
        return self.dark_counts - (1.0 - self.dark_counts) * math.expm1(-photons)

    @functools.cached_property
    def dead_gates(self) -> int:
        """Gates in which nothing is seen after a click."""
        return math.ceil(round(self.dead_time_s * self.pulse_rate_hz, 6))

    @functools.cached_property
    def seen_afterpulse(self) -> float:
        """Probability that a click has an afterpulse outside its dead time."""
        if not self.afterpulse:
            return 0.0
        return self.afterpulse * math.exp(
            -self.dead_gates / (self.afterpulse_lifetime_s * self.pulse_rate_hz)
        )

    def noise(self, dark: float | None = None) -> float:
        """Probability d that a detector which is not blind fires in a gate without a photon of this pulse.

        A detector stays silent with probability u·G, G from light alone. Its afterpulses are a share of its clicks c = 1 − u·G,
        and u = (1 − dark)(1 − share·c): a linear equation for c.

        Args:
            dark: noise without afterpulses; None for the link's.
        """
        dark = self.dark_noise if dark is None else dark
        share = self.seen_afterpulse
        if not share or self.formulas != "threshold":
            return dark
        silent = (1.0 - dark) * self._silence()
        clicks = (1.0 - silent) / (1.0 - share * silent)
        return dark + (1.0 - dark) * share * clicks

    def _silence(self) -> float:
        """Mean probability that the light alone leaves a detector silent, over intensities, detectors and bases."""
        eta = self.transmittance
        match self.source:
            case SinglePhotons():
                return 1.0 - eta / 2.0
            case PairSource(half_mean_pairs=pairs):
                a, b = self.sides
                return (1.0 / (1.0 + a * pairs) + 1.0 / (1.0 + b * pairs)) / 2.0
            case WeakPulses():
                matched = self.key_basis**2 + (1.0 - self.key_basis) ** 2
                total = 0.0
                for mean, probability in zip(self.source.intensities, self.source.probabilities, strict=True):
                    a = math.exp(-eta * mean)
                    total += probability * (matched * (1.0 + a) / 2.0 + (1.0 - matched) * math.sqrt(a))
                return total

    @functools.cached_property
    def _noise(self) -> float:
        return self.noise()

    @functools.cached_property
    def live(self) -> float:
        """Share of the gates in which the detectors are not blind: 1/(1 + dead gates · gain)."""
        if not self.dead_gates:
            return 1.0
        match self.source:
            case SinglePhotons():
                gain = self._signal(_log_unseen(1, self.transmittance)).gain
            case WeakPulses():
                gain = sum(
                    probability * self._signal(-self.transmittance * mean).gain
                    for mean, probability in zip(
                        self.source.intensities, self.source.probabilities, strict=True
                    )
                )
            case PairSource(half_mean_pairs=pairs):
                # Both sides must see: the product of the two shares.
                u = 1.0 - self._noise
                gains = [1.0 - (u / (1.0 + eta * pairs)) ** 2 for eta in self.sides]
                return math.prod(1.0 / (1.0 + self.dead_gates * gain) for gain in gains)
        return 1.0 / (1.0 + self.dead_gates * gain)

    def _signal(self, log_a: float) -> Signal:
        """What becomes of a pulse of which no photon is seen with probability a, by detectors that are not blind."""
        d, e_d = self._noise, self.misalignment
        seen = -math.expm1(log_a)
        if self.formulas == "ma-2005":
            return Signal(2.0 * d + seen, d + e_d * seen, 0.0)
        if self.formulas == "lim-2014":
            detected = seen + 2.0 * d * (1.0 - seen)
            errors = d + e_d * seen + self.afterpulse * detected / 2.0
            return Signal(detected * (1.0 + self.afterpulse), errors, 0.0)
        gain = -math.expm1(log_a + 2.0 * math.log1p(-d))
        quiet = (1.0 - d) * (1.0 - seen)
        aligned = 0.5 * d * (1.0 + quiet)
        return Signal(gain, (1.0 - e_d) * aligned + e_d * (gain - aligned), d * (1.0 - quiet))

    def _seen(self, signal: Signal) -> Signal:
        live = self.live
        if live == 1.0:
            return signal
        return Signal(live * signal.gain, live * signal.errors, live * signal.doubles)

    def signal(self, intensity: float) -> Signal:
        """What becomes of a coherent pulse of this mean photon number."""
        return self._seen(self._signal(-self.transmittance * intensity))

    def photons(self, number: int) -> Signal:
        """What becomes of a pulse of exactly so many photons: the yield Y_n, and e_n·Y_n."""
        return self._seen(self._signal(_log_unseen(number, self.transmittance)))

    @functools.cached_property
    def signals(self) -> tuple[Signal, ...]:
        """Of each intensity of the source; of the one photon of a single-photon source.

        Raises:
            ValueError: the source emits pairs, which two sides detect.
        """
        match self.source:
            case WeakPulses():
                return tuple(self.signal(mean) for mean in self.source.intensities)
            case SinglePhotons():
                return (self.photons(1),)
        raise ValueError("a source of pairs has no signal of one side")

    @property
    def sifting(self) -> float:
        """Probability that both sides choose the same of two bases."""
        return self.key_basis**2 + (1.0 - self.key_basis) ** 2

    def counts(self, pulses: float) -> Counts:
        """What a block of so many pulses is expected to count.

        Raises:
            ValueError: the source emits pairs.
        """
        probabilities = self.source.probabilities if isinstance(self.source, WeakPulses) else (1.0,)
        signals, p = self.signals, self.key_basis
        key, test = pulses * p * p, pulses * (1.0 - p) ** 2
        return Counts(
            pulses,
            tuple(key * q * s.gain for q, s in zip(probabilities, signals, strict=True)),
            tuple(key * q * s.errors for q, s in zip(probabilities, signals, strict=True)),
            tuple(test * q * s.gain for q, s in zip(probabilities, signals, strict=True)),
            tuple(test * q * s.errors for q, s in zip(probabilities, signals, strict=True)),
        )

    def pulses_for(self, key_bits: float) -> float:
        """Pulses until the key basis has so many detections; infinite where nothing is ever registered."""
        one = sum(self.counts(1.0).key_detections)
        return key_bits / one if one > 0 else math.inf


_FORMULAS = ("threshold", "ma-2005", "lim-2014")


def _log_unseen(number: int, transmittance: float) -> float:
    """The natural logarithm of (1 − η)^n."""
    if not number:
        return 0.0
    return number * math.log1p(-transmittance) if transmittance < 1.0 else -math.inf
