"""Attacks on the devices: light that a real receiver or source answers otherwise than its model.

Each attack is a pure map of what may come to what goes on and what is noted (`kernel`), made for a link as its enemy
knows it. Eve counts photons without disturbing them and stores them as long as she likes, as the proofs grant her.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import (
    AFTER_GATE,
    BRIGHT,
    EARLY,
    GUESS_0,
    GUESS_1,
    LATE,
    NUMBER,
    OPPOSITE,
    PHOTONS,
    SHIELDED,
    STATE,
    STEERED,
    Branch,
    Kernel,
    kernel,
)
from nodes.attacks.action import Action, parameter
from nodes.attacks.channel import PulseByPulse, found_zero, imitating
from nodes.attacks.gain import seen
from nodes.attacks.photon_number import PhotonNumberSplitting
from nodes.attacks.surroundings import Surroundings

_LIGHT: NDArray[np.float64] = (NUMBER > 0).astype(np.float64)
_SINGLE: NDArray[np.float64] = (NUMBER == 1).astype(np.float64)
_SEVERAL: NDArray[np.float64] = (NUMBER > 1).astype(np.float64)
_ONE_LESS: NDArray[np.uint8] = np.maximum(NUMBER, 1) - np.uint8(1)


def _measured(setting: int) -> tuple[tuple[NDArray[np.float64], int], tuple[NDArray[np.float64], int]]:
    """Either outcome of a measurement with detectors that miss nothing: (probability, state found)."""
    zero = found_zero(setting)
    return (zero, setting), (1.0 - zero, int(OPPOSITE[setting]))


@dataclasses.dataclass(frozen=True)
class _Faked:
    """How often a pulse of n photons is replaced by a faked state.

    Attributes:
        sent: float64[PHOTONS], in each of the receiver's bases.
        wrong: float64[PHOTONS], those of them that carry the wrong bit on purpose.
    """

    sent: NDArray[np.float64]
    wrong: NDArray[np.float64]

    @classmethod
    def as_usual(cls, knows: Surroundings, *, blinded: bool) -> _Faked:
        """So that for each photon number, and so for each intensity, clicks and errors are as frequent as without her.

        A faked state clicks only where Bob's basis, one of k, is hers. With d = 1 − (1 − p)² for a dark count in
        either detector, clicks in a basis are s + (1 − ks)·d where faked states blind (no dark counts in any of those
        gates), and s + (1 − s)·d where they do not. Solved for s, and likewise for the errors; s is at most 1/k. Where that
        is too little, clicks are lost, at the usual ratio of errors. In gates of reduced efficiency no faked state clicks: those of
        full efficiency make up for them.

        Args:
            knows: the link.
            blinded: whether there are no dark counts in the gate of a faked state.
        """
        bases = len(knows.receiver_choice.settings)
        p, e = knows.dark_counts, knows.misalignment
        full, reduced = 1.0 - knows.attenuated_share, knows.attenuated_share
        arrives = knows.behind * knows.efficiency
        light = full * seen(arrives) + reduced * seen(arrives * knows.attenuation)
        dark = 1.0 - (1.0 - p) ** 2
        clicks = 1.0 - (1.0 - light) * (1.0 - p) ** 2
        # A double click is an error half of the time.
        fires = 1.0 - (1.0 - light) * (1.0 - p)
        errors = (1.0 - e) * p * (1.0 - fires / 2.0) + e * fires * (1.0 - p / 2.0)

        per_sent, errors_per_sent, errors_per_wrong = (
            (1.0 - bases * dark, -bases * dark / 2.0, 1.0)
            if blinded
            else (1.0 - dark, (p - dark) / 2.0, 1.0 - p)
        )
        most = np.where(np.arange(PHOTONS) > 0, 1.0 / bases, 0.0)
        wanted = light * (1.0 - p) ** 2
        per_sent, errors_per_sent, errors_per_wrong = (
            full * per_sent,
            full * errors_per_sent,
            full * errors_per_wrong,
        )
        sent = np.where(wanted < most * per_sent, wanted / (per_sent or 1.0), most)
        reached = dark + sent * per_sent
        ratio = np.divide(errors, clicks, out=np.zeros(PHOTONS), where=clicks > 0)
        wrong = (ratio * reached - dark / 2.0 - sent * errors_per_sent) / errors_per_wrong
        return cls(sent, np.clip(wrong, 0.0, sent))


def _resend(knows: Surroundings, fraction: float, flag: int) -> Kernel:
    """Measure in one of Bob's bases, each as often as the others; send on a faked state, or nothing."""
    settings = [int(setting) for setting in knows.receiver_choice.settings]
    faked = _Faked.as_usual(knows, blinded=flag == BRIGHT)
    dropped = 1.0 / len(settings) - faked.sent
    met = fraction * _LIGHT
    branches = [Branch(1.0 - met)]
    for setting in settings:
        for chance, found in _measured(setting):
            here = met * chance
            branches += [
                Branch(here * (faked.sent - faked.wrong), found, 1, flag, found),
                Branch(here * faked.wrong, int(OPPOSITE[found]), 1, flag, found),
                Branch(here * dropped, found, 0, 0, found),
            ]
    return kernel(*branches)


@dataclasses.dataclass(frozen=True)
class Blinding(PulseByPulse, Action):
    """Blind Bob's detectors with bright light, and make them click at will with faked states."""

    id: ClassVar[str] = "eve.blinding"
    family: ClassVar[str] = "device"
    sign: ClassVar[str] = (
        "QBER and gain of every intensity as usual, as long as an n-photon pulse clicks at Bob with less than 1/k for k bases "
        "(a half in BB84); above, gain is capped there; the photocurrent monitor sees each faked state; gates of reduced "
        "efficiency give dark counts only; double clicks vanish"
    )
    gets: ClassVar[str] = "every sifted bit but dark counts"
    source: ClassVar[str] = "Lydersen, Wiechers, Wittmann, Elser, Skaar, Makarov 2010"
    defences: ClassVar[tuple[str, ...]] = (
        "photocurrent monitor",
        "random detector attenuation",
        "double-click monitor",
    )
    needs: ClassVar[tuple[str, ...]] = ("receiver", "pulses", "prepared")

    fraction: float = parameter(
        1.0, "fraction", "share of the pulses that are measured and faked", minimum=0.0, maximum=1.0
    )

    def kernel(self, knows: Surroundings) -> Kernel:
        """Intercept, and resend bright."""
        return _resend(knows, self.fraction, BRIGHT)


@dataclasses.dataclass(frozen=True)
class AfterGate(PulseByPulse, Action):
    """Send faked states when the gate is over and the detectors are classical ones, without blinding them."""

    id: ClassVar[str] = "eve.after_gate"
    family: ClassVar[str] = "device"
    sign: ClassVar[str] = (
        "QBER and gain of every intensity as usual, as long as an n-photon pulse clicks at Bob with less than 1/k for k bases "
        "(a half in BB84); above, gain is capped there; no photocurrent; clicks arrive after the gate; gates of reduced "
        "efficiency give dark counts only; double clicks but for dark counts vanish"
    )
    gets: ClassVar[str] = "every sifted bit but dark counts"
    source: ClassVar[str] = "Wiechers, Lydersen, Wittmann, Elser, Skaar, Marquardt, Makarov, Leuchs 2011"
    defences: ClassVar[tuple[str, ...]] = (
        "arrival-time monitor",
        "random detector attenuation",
        "double-click monitor",
    )
    needs: ClassVar[tuple[str, ...]] = ("receiver", "pulses", "prepared")

    fraction: float = parameter(
        1.0, "fraction", "share of the pulses that are measured and faked", minimum=0.0, maximum=1.0
    )

    def kernel(self, knows: Surroundings) -> Kernel:
        """Intercept, and resend late."""
        return _resend(knows, self.fraction, AFTER_GATE)


@dataclasses.dataclass(frozen=True)
class TimeShift(PulseByPulse, Action):
    """Shift each pulse to an edge of the gate, where one of the detectors is the more efficient one."""

    id: ClassVar[str] = "eve.time_shift"
    family: ClassVar[str] = "device"
    sign: ClassVar[str] = (
        "QBER as usual but for dark counts; efficiency ratio r: clicks of single photons fall to (1+r)/2; arrivals at the edges "
        "of the gate; share s early: of the bits (r+s(1-r))/(1+r) are 0; double clicks of light fall to 2r/(1+r) of their share"
    )
    gets: ClassVar[str] = "1-h(r/(1+r)) of a bit for each sifted bit, each guess right with 1/(1+r)"
    source: ClassVar[str] = "Qi, Fung, Lo, Ma 2007; Zhao, Fung, Qi, Chen, Lo 2008"
    defences: ClassVar[tuple[str, ...]] = (
        "arrival-time monitor",
        "matched detectors",
        "alarm on gain",
        "alarm on the share of ones",
    )
    needs: ClassVar[tuple[str, ...]] = ("receiver", "timing mismatch", "pulses", "prepared")

    fraction: float = parameter(
        1.0, "fraction", "share of the pulses that are shifted", minimum=0.0, maximum=1.0
    )
    early_share: float = parameter(
        0.5, "fraction", "share of those that are sent early, the others late", minimum=0.0, maximum=1.0
    )

    def kernel(self, knows: Surroundings) -> Kernel:  # noqa: ARG002  she need not know the link
        """Early, where detector 0 sees more; or late."""
        early, late = (np.where(NUMBER > 0, mark, 0).astype(np.uint8) for mark in (EARLY, LATE))
        return kernel(
            Branch(1.0 - self.fraction),
            Branch(self.fraction * self.early_share, flags=early, note=GUESS_0),
            Branch(self.fraction * (1.0 - self.early_share), flags=late, note=GUESS_1),
        )


@dataclasses.dataclass(frozen=True)
class Wavelength(PulseByPulse, Action):
    """Measure, and resend at a wavelength for which Bob's beam splitter is a mirror or a window: his basis is always hers."""

    id: ClassVar[str] = "eve.wavelength"
    family: ClassVar[str] = "device"
    sign: ClassVar[str] = (
        "none in QBER and gain of every intensity where a passive splitter chooses; double clicks between the bases vanish; "
        "where Bob chooses actively, or filters: plain intercept-resend, a quarter more errors for two bases used alike"
    )
    gets: ClassVar[str] = "every sifted bit but dark counts"
    source: ClassVar[str] = "Li, Wang, Huang, Chen, Yin, Li, Zhou, Liu, Zhang, Guo, Bao, Han 2011"
    defences: ClassVar[tuple[str, ...]] = ("active basis choice", "wavelength filter", "double-click monitor")
    needs: ClassVar[tuple[str, ...]] = ("receiver", "pulses", "prepared")

    fraction: float = parameter(
        1.0, "fraction", "share of the pulses that are measured", minimum=0.0, maximum=1.0
    )

    def kernel(self, knows: Surroundings) -> Kernel:
        """Measure as Bob would choose, and send on as many photons as came: fibre and detectors then do as usual."""
        met = self.fraction * _LIGHT
        branches = [Branch(1.0 - met)]
        choice = knows.receiver_choice
        for setting, share in zip(choice.settings, choice.probabilities, strict=True):
            for chance, found in _measured(int(setting)):
                branches.append(Branch(met * share * chance, found, None, STEERED, found))
        return kernel(*branches)


@dataclasses.dataclass(frozen=True)
class TrojanHorse(PulseByPulse, Action):
    """Shine light into Alice's source, and read her setting and bit from what is reflected."""

    id: ClassVar[str] = "eve.trojan_horse"
    family: ClassVar[str] = "device"
    sign: ClassVar[str] = "none at Bob; a power monitor at Alice's entrance sees the light that comes in"
    gets: ClassVar[str] = (
        "1-exp(-m) of the sifted bits that stem from light, m = injected photons times 10^(-isolation/10)"
    )
    source: ClassVar[str] = (
        "Vakhitov, Makarov, Hjelm 2001; Gisin, Fasel, Kraus, Zbinden, Ribordy 2006; Lucamarini, Choi, Ward, Dynes, Yuan, "
        "Shields 2015"
    )
    defences: ClassVar[tuple[str, ...]] = ("isolators", "power monitor")
    needs: ClassVar[tuple[str, ...]] = ("pulses", "prepared")

    injected_photons: float = parameter(
        1e6, "number", "mean number of photons sent into the source for each pulse", minimum=0.0
    )

    @property
    def incoming_photons(self) -> float:
        """Photons per pulse at the entrance of Alice's source, for her power monitor."""
        return self.injected_photons

    def kernel(self, knows: Surroundings) -> Kernel:
        """The pulse passes; one reflected photon, stored until the basis is known, tells the bit.

        Empty pulses are left out: a train does not keep their state, and no click of theirs was Alice's.
        """
        back = self.injected_photons * 10.0 ** (-knows.isolation_db / 10.0)
        return _told(-math.expm1(-back))


@dataclasses.dataclass(frozen=True)
class IntensityLeak(PulseByPulse, Action):
    """Tell signals from decoys by a side channel, and split photon numbers so that each kind's gain stays."""

    id: ClassVar[str] = "eve.intensity_leak"
    family: ClassVar[str] = "device"
    sign: ClassVar[str] = (
        "gain and QBER of every intensity as usual, so that the decoy analysis bounds a channel that is not there; double clicks rise"
    )
    gets: ClassVar[str] = (
        "with the distinguishability: the bits of the pulses from which she keeps a photon, all of them once "
        "multi-photon pulses alone can make up the gain"
    )
    source: ClassVar[str] = "Huang, Sun, Liu, Makarov 2018; Tamaki, Curty, Lucamarini 2016"
    defences: ClassVar[tuple[str, ...]] = ("indistinguishable decoys", "double-click monitor")
    needs: ClassVar[tuple[str, ...]] = ("weak pulses", "decoys", "pulses", "prepared")

    distinguishability: float = parameter(
        1.0,
        "fraction",
        "share of the pulses whose intensity she learns for sure; the others she leaves alone",
        minimum=0.0,
        maximum=1.0,
    )

    def kernel(self, knows: Surroundings) -> Kernel:
        """Photon-number splitting that keeps the gain, for each intensity by itself."""
        each = [
            PhotonNumberSplitting().split(dataclasses.replace(knows, numbers=row[None]))
            for row in knows.numbers
        ]
        taken, singles_blocked, blocked = (
            np.array([dataclasses.astuple(split)[i] for split in each])[:, None, None] for i in range(3)
        )
        single, several = self.distinguishability * _SINGLE, self.distinguishability * _SEVERAL
        return kernel(
            Branch(1.0 - single - several),
            # A photon that Bob never gets is as good as one kept of several, should a dark count take its place.
            Branch(single * singles_blocked + several * blocked, None, 0, note=STATE),
            *imitating(
                knows.misalignment,
                Branch(single * (1.0 - singles_blocked), flags=SHIELDED),
                Branch(several * (1.0 - blocked) * taken, None, _ONE_LESS, SHIELDED, STATE),
                Branch(several * (1.0 - blocked) * (1.0 - taken), flags=SHIELDED),
            ),
        )


@dataclasses.dataclass(frozen=True)
class WeakRandom(PulseByPulse, Action):
    """Foresee Alice's basis, because her random numbers are weak, and measure in it."""

    id: ClassVar[str] = "eve.weak_random"
    family: ClassVar[str] = "device"
    sign: ClassVar[str] = "none: what is measured in its own basis goes on as it came"
    gets: ClassVar[str] = "the predictable share of the sifted bits that stem from light"
    source: ClassVar[str] = "Bouda, Pivoluska, Plesch, Wilmott 2012; Li, Yin, Wang, Qian, Chen, Guo, Han 2015"
    defences: ClassVar[tuple[str, ...]] = ("tested random numbers",)
    needs: ClassVar[tuple[str, ...]] = ("pulses", "prepared")

    predictability: float = parameter(
        0.1,
        "fraction",
        "share of the pulses whose basis she knows beforehand",
        minimum=0.0,
        maximum=1.0,
    )

    def kernel(self, knows: Surroundings) -> Kernel:  # noqa: ARG002  of the link she need not know more
        """The outcome is the state that was sent, for sure, and as many photons go on in it."""
        return _told(self.predictability)


def _told(share: float) -> Kernel:
    """This share of the pulses with light in them tell their state, and all go on as they came."""
    told = share * _LIGHT
    return kernel(Branch(1.0 - told), Branch(told, note=STATE))
