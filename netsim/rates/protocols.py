"""Secret key rates of protocols on a modelled link: expected counts, fed to the published bound."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from netsim.key_length.asymptotic import (
    CHSH_QUANTUM,
    bbm92_spdc,
    binary_entropy,
    device_independent,
    six_state,
    vacuum_weak_bounds,
)
from netsim.key_length.decoy import lim_2014, wiesemann_2024
from netsim.key_length.finite_key import KeyLength, tomamichel_2012
from netsim.rates.link_model import Counts, LinkModel, PairSource, SinglePhotons, Source, WeakPulses

Shares: TypeAlias = tuple[float, ...]
"""Where a protocol's free settings lie, each between 0 and 1 of what is sensible."""


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What a rate is computed for.

    Attributes:
        f: reconciliation efficiency: disclosed bits over n·h(Q).
        eps_sec: secrecy failure allowed, per block.
        eps_cor: correctness failure allowed, per block.
        block_bits: sifted bits in a block: the key basis's detections, and with `bb84` those of both; unused where `block_pulses` is given.
        block_pulses: pulses in a block; None for as many as `block_bits` takes.
    """

    f: float = 1.05
    eps_sec: float = 1e-10
    eps_cor: float = 1e-10
    block_bits: float = 1e7
    block_pulses: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no block can have.

        Raises:
            ValueError: every value that is out of its range, with the range.
        """
        blocks = (
            self.block_bits >= 1 and math.isfinite(self.block_bits),
            self.block_pulses is None or (self.block_pulses >= 1 and math.isfinite(self.block_pulses)),
        )
        wrong = [
            f"{name}, expected {words}"
            for name, words, right in (
                (f"f = {self.f}", "at least 1", self.f >= 1 and math.isfinite(self.f)),
                (f"eps_sec = {self.eps_sec}", "between 0 and 1", 0 < self.eps_sec < 1),
                (f"eps_cor = {self.eps_cor}", "between 0 and 1", 0 < self.eps_cor < 1),
                (f"block_bits = {self.block_bits}", "at least 1, finite", blocks[0]),
                (f"block_pulses = {self.block_pulses}", "at least 1, finite", blocks[1]),
            )
            if not right
        ]
        if wrong:
            raise ValueError("; ".join(wrong))

    def pulses(self, model: LinkModel) -> float:
        """Pulses in a block; infinite where the link never registers anything."""
        return model.pulses_for(self.block_bits) if self.block_pulses is None else self.block_pulses


@dataclasses.dataclass(frozen=True)
class Rate:
    """The key rate of a protocol on a link.

    Attributes:
        protocol: its id.
        model: the link, with the settings used.
        per_pulse: secret bits per pulse sent; 0 where there is no key.
        surplus: the same, not rounded, and below zero where there is no key: what an optimiser looks at.
        qber: error rate of the key.
        phase_error: the bound on the phase error rate that the key rests on; None where the proof has none.
        block_pulses: pulses in a block; infinite for an endless one.
        account: where the bits went, or why there are none.
    """

    protocol: str
    model: LinkModel
    per_pulse: float
    surplus: float
    qber: float
    phase_error: float | None
    block_pulses: float
    account: str

    @property
    def per_second_bps(self) -> float:
        """Secret bits a second."""
        return self.per_pulse * self.model.pulse_rate_hz

    @property
    def block_s(self) -> float:
        """How long the pulses of a block take."""
        return self.block_pulses / self.model.pulse_rate_hz


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A protocol, the bound that its key rests on, and which of its settings are free.

    Attributes:
        id: its name on the command line.
        title: its name in a legend.
        bound: whose formula, with the year.
        finite: whether blocks are finite; the rate of an endless one keeps no bit for statistics.
        rate: of a link under some conditions. The link's source must be of the protocol's kind, see `fitted`.
        source: what the protocol needs, used where a link has another kind.
        free: names of the free settings.
        place: a link with its free settings at these shares.
        shares: where a link's free settings lie.
    """

    id: str
    title: str
    bound: str
    finite: bool
    rate: Callable[[LinkModel, Conditions], Rate]
    source: Source
    free: tuple[str, ...] = ()
    place: Callable[[LinkModel, Shares], LinkModel] = lambda model, _: model
    shares: Callable[[LinkModel], Shares] = lambda _: ()

    def fitted(self, model: LinkModel) -> LinkModel:
        """The link with a source that the protocol can use.

        That is the link's own if it is of the kind, without the weakest intensities where it has too many, else the protocol's.
        """
        mine, wanted = model.source, self.source
        match mine, wanted:
            case WeakPulses(), WeakPulses():
                count = len(wanted.intensities)
                if len(mine.intensities) == count:
                    return model
                if len(mine.intensities) > count:
                    kept = mine.probabilities[:count]
                    shares = tuple(p / math.fsum(kept) for p in kept)
                    return dataclasses.replace(model, source=WeakPulses(mine.intensities[:count], shares))
            case _ if type(mine) is type(wanted):
                return model
        return dataclasses.replace(model, source=wanted)

    def begun(self, model: LinkModel) -> LinkModel:
        """The link as an optimiser takes it: endless blocks need next to none of the other basis (Lo, Chau & Ardehali 2005)."""
        return model if self.finite else dataclasses.replace(model, key_basis=1.0)


def bb84(model: LinkModel, conditions: Conditions) -> Rate:
    """BB84 with single photons, finite: unbiased bases, both make key, a random sample of both is tested (`tomamichel_2012`).

    A block of `block_bits` is so many sifted bits, the sample among them.
    """
    signal = model.signals[0]
    sifted_per_pulse = 0.5 * signal.gain
    pulses = conditions.block_pulses or (
        conditions.block_bits / sifted_per_pulse if sifted_per_pulse > 0 else math.inf
    )
    if not math.isfinite(pulses):
        return _nothing("bb84", model, pulses)
    sifted = round(pulses * sifted_per_pulse)
    k = round(model.test_fraction * sifted)
    n = sifted - k
    leak_ec_bits = conditions.f * n * binary_entropy(signal.qber)
    length = tomamichel_2012(n, k, signal.qber, leak_ec_bits, conditions.eps_sec, conditions.eps_cor)
    return _finite("bb84", model, pulses, signal.qber, length)


def bb84_decoy2(model: LinkModel, conditions: Conditions) -> Rate:
    """BB84 with a signal and two decoys, finite (`lim_2014`)."""

    def length(counts: Counts, source: WeakPulses, leak_ec_bits: float) -> KeyLength:
        return lim_2014(
            key_detections=counts.key_detections,
            test_detections=counts.test_detections,
            test_errors=counts.test_errors,
            intensities=source.intensities,
            probabilities=source.probabilities,
            leak_ec_bits=leak_ec_bits,
            eps_sec=conditions.eps_sec,
            eps_cor=conditions.eps_cor,
        )

    return _decoy("bb84-decoy2", length, model, conditions)


def bb84_decoy1(model: LinkModel, conditions: Conditions) -> Rate:
    """BB84 with a signal and one decoy, finite (`wiesemann_2024`)."""

    def length(counts: Counts, source: WeakPulses, leak_ec_bits: float) -> KeyLength:
        return wiesemann_2024(
            key_detections=counts.key_detections,
            key_errors=counts.key_errors,
            test_detections=counts.test_detections,
            test_errors=counts.test_errors,
            intensities=source.intensities,
            probabilities=source.probabilities,
            leak_ec_bits=leak_ec_bits,
            eps_sec=conditions.eps_sec,
            eps_cor=conditions.eps_cor,
        )

    return _decoy("bb84-decoy1", length, model, conditions)


def _decoy(
    protocol: str,
    length: Callable[[Counts, WeakPulses, float], KeyLength],
    model: LinkModel,
    conditions: Conditions,
) -> Rate:
    pulses = conditions.pulses(model)
    if not math.isfinite(pulses):
        return _nothing(protocol, model, pulses)
    counts = model.counts(pulses)
    # All intensities make key, so the errors of all are corrected.
    n = math.fsum(counts.key_detections)
    qber = math.fsum(counts.key_errors) / n if n else 0.5
    leak_ec_bits = conditions.f * n * binary_entropy(min(qber, 0.5))
    return _finite(protocol, model, pulses, qber, length(counts, _weak(model), leak_ec_bits))


def decoy_asymptotic(model: LinkModel, conditions: Conditions) -> Rate:
    """Decoy BB84 with endless blocks and infinitely many decoys (Gottesman et al. 2004; Ma et al. 2005, equation 1).

    The yield and the error rate of single photons are then known exactly.
    """
    single = model.photons(1)
    return _gllp("decoy-asymptotic", model, conditions, single.gain, single.qber)


def vacuum_weak(model: LinkModel, conditions: Conditions) -> Rate:
    """Decoy BB84 with endless blocks, a vacuum and one weak decoy (Ma et al. 2005, equations 1, 35 and 37).

    The third intensity counts as vacuum, whatever it is; the second stays as it is, as less is always more with endless blocks.
    """
    mu, nu, *_ = _weak(model).intensities
    signal, weak, *_ = model.signals
    y1, e1 = vacuum_weak_bounds(mu, nu, signal.gain, weak.gain, weak.qber, model.photons(0).gain)
    return _gllp("vacuum-weak", model, conditions, y1, e1)


def _gllp(protocol: str, model: LinkModel, conditions: Conditions, y1: float, e1: float) -> Rate:
    mu, signal = _weak(model).intensities[0], model.signals[0]
    single = y1 * mu * math.exp(-mu) * (1.0 - binary_entropy(min(e1, 0.5)))
    rate = model.sifting * (single - signal.gain * conditions.f * binary_entropy(signal.qber))
    return _endless(protocol, model, rate, signal.qber, min(e1, 0.5))


def six_states(model: LinkModel, conditions: Conditions) -> Rate:
    """The six-state protocol with single photons and endless blocks (`six_state`)."""
    signal = model.signals[0]
    p = model.key_basis
    sifting = p * p + (1.0 - p) ** 2 / 2.0
    extra = (conditions.f - 1.0) * binary_entropy(signal.qber)
    rate = sifting * signal.gain * (six_state(min(signal.qber, 2.0 / 3.0)) - extra)
    return _endless("six-state", model, rate, signal.qber, None)


def bbm92(model: LinkModel, conditions: Conditions) -> Rate:
    """BBM92 with pairs from down-conversion and endless blocks (`bbm92_spdc`).

    The bound counts a pulse's pairs itself; the model gives it the noise of a gate, and takes the dead time off.
    """
    alice, bob = model.sides
    noise = model.noise()
    y0 = noise * (2.0 - noise)
    pairs = bbm92_spdc(
        _pairs(model).half_mean_pairs,
        alice,
        bob,
        y0_a=y0,
        y0_b=y0,
        e_d=model.misalignment,
        f=conditions.f,
        q=model.sifting,
    )
    return _endless("bbm92", model, model.live * pairs.rate, pairs.qber, pairs.qber)


def e91_di(model: LinkModel, conditions: Conditions) -> Rate:
    """E91 with devices nobody trusts and endless blocks, loss counted (`device_independent`, Acín et al. 2007).

    One pair a pulse, of visibility 1 − 2e_d; every pair counts. A side that sees nothing says 0, one that sees both detectors
    fire says a random bit. With g the probability that a side's outcome is the photon's, z that it sees nothing:

        S = g_A·g_B·2√2·V + 2·z_A·z_B,    1 − 2Q = g_A·g_B·V + z_A·z_B

    For g = η, z = 1 − η this is how Pironio et al., New J. Phys. 11, 045021 (2009), count loss; at V = 1 there is key above η = 92.3 %.
    The rate is per pulse of the key settings, which endless blocks can use nearly always.
    """
    d = model.noise()
    (g_a, z_a), (g_b, z_b) = ((eta * (1.0 - d), (1.0 - eta) * (1.0 - d) ** 2) for eta in model.sides)
    visibility = 1.0 - 2.0 * model.misalignment
    s = g_a * g_b * visibility * CHSH_QUANTUM + 2.0 * z_a * z_b
    qber = (1.0 - g_a * g_b * visibility - z_a * z_b) / 2.0
    rate = device_independent(qber, s) - (conditions.f - 1.0) * binary_entropy(qber)
    made = _endless("e91-di", model, rate, qber, None)
    if rate > 0:
        return made
    return dataclasses.replace(
        made, account=f"no key: S = {s:.3f} with the lost pairs counted, at a QBER of {qber:.1%}"
    )


def _weak(model: LinkModel) -> WeakPulses:
    if not isinstance(model.source, WeakPulses):
        raise TypeError(f"decoy states need weak coherent pulses; the link has {model.source}")
    return model.source


def _pairs(model: LinkModel) -> PairSource:
    if not isinstance(model.source, PairSource):
        raise TypeError(f"bbm92 needs a source of pairs; the link has {model.source}")
    return model.source


def _finite(protocol: str, model: LinkModel, pulses: float, qber: float, length: KeyLength) -> Rate:
    surplus = length.n - length.amplification_bits - length.leak_ec_bits - length.epsilon_bits
    return Rate(
        protocol,
        model,
        per_pulse=length.length / pulses,
        surplus=surplus / pulses,
        qber=qber,
        phase_error=length.phase_error_bound,
        block_pulses=pulses,
        account=length.account,
    )


def _endless(protocol: str, model: LinkModel, rate: float, qber: float, phase_error: float | None) -> Rate:
    account = "endless blocks" if rate > 0 else f"no key: the QBER is {qber:.2%}"
    return Rate(protocol, model, max(0.0, rate), rate, qber, phase_error, math.inf, account)


def _nothing(protocol: str, model: LinkModel, pulses: float) -> Rate:
    return Rate(protocol, model, 0.0, -math.inf, 0.5, 0.5, pulses, "no key: nothing is ever registered")


# Where the free settings lie. A share of 0 or 1 is never reached: the optimiser walks in logits.

_BRIGHTEST = 1.5
_LEAST, _MOST = 0.002, 0.998


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def _share(low: float, high: float, value: float) -> float:
    return min(_MOST, max(_LEAST, (value - low) / (high - low)))


def _place_bias(model: LinkModel, shares: Shares) -> LinkModel:
    return dataclasses.replace(model, key_basis=_between(0.5, 1.0, shares[-1]))


def _shares_bias(model: LinkModel) -> Shares:
    return (_share(0.5, 1.0, model.key_basis),)


def _place_decoys(model: LinkModel, shares: Shares) -> LinkModel:
    """Signal, decoys between the next weaker one and what leaves the signal above the sum of the two; the last stays."""
    source = _weak(model)
    count = len(source.intensities)
    last = source.intensities[-1] if count == 3 else 0.0
    signal = _between(3.0 * last, _BRIGHTEST, shares[0])
    decoy = _between(last, signal - last, shares[1])
    first = shares[2]
    if count == 3:
        second = (1.0 - first) * shares[3]
        source = WeakPulses((signal, decoy, last), (first, second, 1.0 - first - second))
    else:
        source = WeakPulses((signal, decoy), (first, 1.0 - first))
    return dataclasses.replace(_place_bias(model, shares), source=source)


def _shares_decoys(model: LinkModel) -> Shares:
    source = _weak(model)
    signal, decoy, *rest = source.intensities
    last = rest[0] if rest else 0.0
    first, second, *_ = source.probabilities
    places = (
        _share(3.0 * last, _BRIGHTEST, signal),
        _share(last, signal - last, decoy),
        _share(0.0, 1.0, first),
    )
    split = (_share(0.0, 1.0, second / (1.0 - first)),) if rest else ()
    return places + split + _shares_bias(model)


def _place_signal(model: LinkModel, shares: Shares) -> LinkModel:
    source = _weak(model)
    weaker = source.intensities[1:]
    signal = _between(max(weaker, default=0.0), _BRIGHTEST, shares[0])
    return dataclasses.replace(model, source=WeakPulses((signal, *weaker), source.probabilities))


def _shares_signal(model: LinkModel) -> Shares:
    signal, *weaker = _weak(model).intensities
    return (_share(max(weaker, default=0.0), _BRIGHTEST, signal),)


_DECADES = 5.0


def _place_pairs(model: LinkModel, shares: Shares) -> LinkModel:
    source = dataclasses.replace(_pairs(model), half_mean_pairs=10.0 ** (_DECADES * (shares[0] - 1.0)))
    return dataclasses.replace(model, source=source)


def _shares_pairs(model: LinkModel) -> Shares:
    return (_share(-_DECADES, 0.0, math.log10(_pairs(model).half_mean_pairs)),)


_PROTOCOLS = (
    Protocol(
        "bb84",
        "BB84, single photons",
        "Tomamichel 2012",
        finite=True,
        rate=bb84,
        source=SinglePhotons(),
        free=("test_fraction",),
        place=lambda model, shares: dataclasses.replace(model, test_fraction=shares[0]),
        shares=lambda model: (_share(0.0, 1.0, model.test_fraction),),
    ),
    Protocol(
        "bb84-decoy2",
        "BB84, two decoys",
        "Lim 2014",
        finite=True,
        rate=bb84_decoy2,
        source=WeakPulses((0.5, 0.15, 2e-4), (0.6, 0.3, 0.1)),
        free=("signal", "decoy", "signal probability", "decoy probability", "key_basis"),
        place=_place_decoys,
        shares=_shares_decoys,
    ),
    Protocol(
        "bb84-decoy1",
        "BB84, one decoy",
        "Wiesemann 2024",
        finite=True,
        rate=bb84_decoy1,
        source=WeakPulses((0.5, 0.15), (0.7, 0.3)),
        free=("signal", "decoy", "signal probability", "key_basis"),
        place=_place_decoys,
        shares=_shares_decoys,
    ),
    Protocol(
        "decoy-asymptotic",
        "BB84, infinite decoys",
        "Ma 2005",
        finite=False,
        rate=decoy_asymptotic,
        source=WeakPulses((0.5,), (1.0,)),
        free=("signal",),
        place=_place_signal,
        shares=_shares_signal,
    ),
    Protocol(
        "vacuum-weak",
        "BB84, vacuum + weak",
        "Ma 2005",
        finite=False,
        rate=vacuum_weak,
        source=WeakPulses((0.5, 0.05, 0.0), (0.9998, 1e-4, 1e-4)),
        free=("signal",),
        place=_place_signal,
        shares=_shares_signal,
    ),
    Protocol(
        "six-state",
        "Six states, single photons",
        "Lo 2001",
        finite=False,
        rate=six_states,
        source=SinglePhotons(),
    ),
    Protocol(
        "bbm92",
        "BBM92, pairs",
        "Ma 2007",
        finite=False,
        rate=bbm92,
        source=PairSource(0.05),
        free=("pairs",),
        place=_place_pairs,
        shares=_shares_pairs,
    ),
    Protocol(
        "e91-di",
        "E91, device-independent",
        "Acín 2007",
        finite=False,
        rate=e91_di,
        source=PairSource(0.05),
    ),
)

PROTOCOLS: Mapping[str, Protocol] = {protocol.id: protocol for protocol in _PROTOCOLS}
"""Every protocol by its id."""
