"""Attacks on devices: what they do to every counter, and what Eve gets, against formulas, with and without defences."""

from __future__ import annotations

import dataclasses
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.ensemble import Ensemble, Law, Source
from netsim.photonics.light import GUESS_0, GUESS_1, NOTHING, PHOTONS, poisson_numbers
from netsim.photonics.train import FIRED_1, FIRED_BOTH, Choice, Written
from nodes.attacks.action import NEEDS, Action
from nodes.attacks.devices import (
    AfterGate,
    Blinding,
    IntensityLeak,
    TimeShift,
    TrojanHorse,
    Wavelength,
    WeakRandom,
)
from nodes.attacks.surroundings import Surroundings
from nodes.monitors import counters, rates
from tests.statistics import assert_binomial

ATTACKS = (Blinding, AfterGate, TimeShift, Wavelength, TrojanHorse, IntensityLeak, WeakRandom)
BB84 = np.array([[0, 4], [2, 6]], dtype=np.uint8)
SIX_STATE = np.array([[0, 4], [2, 6], [8, 9]], dtype=np.uint8)


@dataclasses.dataclass(frozen=True)
class Place:
    """A link, and where Eve sits on it; single photons without `intensities`."""

    intensities: tuple[float, ...] = ()
    before: float = 1.0
    behind: float = 0.1
    efficiency: float = 0.2
    dark_counts: float = 0.0
    misalignment: float = 0.0
    timing_mismatch: float = 1.0
    isolation_db: float = 0.0
    states: np.ndarray = dataclasses.field(default_factory=lambda: BB84)
    alice: tuple[float, ...] = (0.7, 0.3)
    bob: tuple[float, ...] = (0.6, 0.4)

    @property
    def probabilities(self) -> np.ndarray:
        """How often each intensity is sent."""
        return {0: np.ones(1), 1: np.ones(1), 2: np.array([0.8, 0.2]), 3: np.array([0.6, 0.3, 0.1])}[
            len(self.intensities)
        ]

    @property
    def numbers(self) -> np.ndarray:
        """Photon numbers of each intensity."""
        if not self.intensities:
            return np.eye(PHOTONS)[None, 1]
        return np.array([poisson_numbers(mean) for mean in self.intensities])

    @property
    def choice(self) -> Choice:
        """Alice's."""
        return Choice(self.states[:, 0], np.array(self.alice))

    @property
    def receiver_choice(self) -> Choice:
        """Bob's."""
        return Choice(self.states[:, 0], np.array(self.bob))

    @property
    def source(self) -> Source:
        """What Alice draws from."""
        setting, bit, kind = (
            axis.ravel().astype(np.uint8)
            for axis in np.meshgrid(
                range(len(self.states)), range(2), range(len(self.numbers)), indexing="ij"
            )
        )
        probability = self.choice.probabilities[setting] * 0.5 * self.probabilities[kind]
        return Source(probability, setting, bit, kind, self.states[setting, bit], self.numbers)

    @property
    def knows(self) -> Surroundings:
        """What Eve knows."""
        shared = {field.name for field in dataclasses.fields(Surroundings)}
        return Surroundings(**{name: getattr(self, name) for name in shared if hasattr(self, name)})

    def receiver(self, **more: object) -> Receiver:
        """Bob's detectors."""
        return Receiver(self.efficiency, self.dark_counts, timing_mismatch=self.timing_mismatch, **more)

    def law(self, attack: Action | None = None, **receiver: object) -> Law:
        """What happens at a gate, exactly; with nobody's notes where nobody attacks."""
        ensemble = Ensemble(self.source)
        ensemble.lose(self.before)
        if attack is None:
            ensemble.untouched()
        else:
            ensemble.act(attack.kernel(self.knows))
        ensemble.lose(self.behind)
        ensemble.flip(self.misalignment)
        return ensemble.law(self.receiver(**receiver).response(), self.receiver_choice)

    def gains(self, law: Law) -> np.ndarray:
        """float64[Alice's setting, Bob's, intensity], probability of a click."""
        source, seen = self.source, law.pattern > 0
        gains = np.zeros((len(self.states), len(self.states), len(self.numbers)))
        where = source.setting[law.symbol], law.setting, source.intensity[law.symbol]
        np.add.at(gains, where, law.probability * seen)
        sent = self.choice.probabilities[:, None, None] * self.receiver_choice.probabilities[:, None]
        return gains / (sent * self.probabilities)

    def qber(self, law: Law) -> np.ndarray:
        """float64[basis, intensity]; a double click is an error half of the time."""
        source, sifted = self.source, self.sifted(law)
        fired = law.pattern & FIRED_BOTH
        bit = source.bit[law.symbol]
        wrong = np.where(fired == FIRED_BOTH, 0.5, (fired == FIRED_1) != (bit == 1)) * sifted
        where = source.setting[law.symbol], source.intensity[law.symbol]
        errors, clicks = np.zeros((2, len(self.states), len(self.numbers)))
        np.add.at(errors, where, law.probability * wrong)
        np.add.at(clicks, where, law.probability * sifted)
        return errors / clicks

    def sifted(self, law: Law) -> np.ndarray:
        """bool[rows], clicks in Alice's basis."""
        return (law.pattern > 0) & (self.source.setting[law.symbol] == law.setting)

    def information(self, law: Law, intensity: int | None = None) -> float:
        """Bits that Eve's note, with the basis, says about Alice's bit, for each sifted bit."""
        source = self.source
        rows = self.sifted(law)
        if intensity is not None:
            rows &= source.intensity[law.symbol] == intensity
        joint: dict[tuple[int, int], list[float]] = {}
        for i in np.flatnonzero(rows):
            seen = int(source.setting[law.symbol[i]]), int(law.notes[0, i])
            joint.setdefault(seen, [0.0, 0.0])[source.bit[law.symbol[i]]] += law.probability[i]
        by_basis: dict[int, list[float]] = {}
        for (basis, _), (zero, one) in joint.items():
            both = by_basis.setdefault(basis, [0.0, 0.0])
            both[0] += zero
            both[1] += one
        before = sum(sum(both) * entropy(both[0] / sum(both)) for both in by_basis.values())
        after = sum(sum(both) * entropy(both[0] / sum(both)) for both in joint.values())
        return (before - after) / float(law.probability[rows].sum())

    def known(self, law: Law) -> float:
        """Share of the sifted bits for which Eve's note is the state that Alice sent."""
        rows = self.sifted(law)
        right = law.notes[0] == self.source.state[law.symbol]
        return float(law.probability[rows & right].sum() / law.probability[rows].sum())


def entropy(p: float) -> float:
    """Binary, in bits."""
    return sum(-x * math.log2(x) for x in (p, 1 - p) if x > 0)


def assert_unseen(place: Place, attack: Action, **receiver: object) -> None:
    """Gain per intensity and pair of bases, and QBER per intensity and basis, are as without the attack."""
    usual, attacked = place.law(**receiver), place.law(attack, **receiver)
    np.testing.assert_allclose(place.gains(attacked), place.gains(usual), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(place.qber(attacked), place.qber(usual), rtol=0, atol=1e-12)


LOSSY = Place()
DECOYS = Place((0.5, 0.15, 2e-4), behind=0.05, efficiency=0.3)
GYS = Place((0.48, 0.05), before=0.3, behind=0.1, efficiency=0.045, dark_counts=8.5e-7, misalignment=0.033)
NOISY = Place((0.6, 0.1), before=0.5, behind=0.05, efficiency=0.5, dark_counts=2e-3, misalignment=0.02)
SIX = Place(
    states=SIX_STATE, alice=(0.5, 0.25, 0.25), bob=(0.4, 0.3, 0.3), dark_counts=1e-3, misalignment=0.01
)
PLACES = (LOSSY, DECOYS, GYS, NOISY, SIX)


# Faked states: blinding, and after the gate.


@pytest.mark.parametrize("attack", [Blinding(), AfterGate(), Blinding(0.3), AfterGate(0.6)])
@pytest.mark.parametrize("place", PLACES)
def test_faked_states_leave_gains_and_errors_as_they_were(place, attack):
    """No intensity's gain and no basis's error rate tells faked states from the usual light."""
    assert_unseen(place, attack)


@pytest.mark.parametrize("attack", [Blinding, AfterGate])
@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("place", [LOSSY, DECOYS])
def test_faked_states_give_every_bit_away(place, attack, fraction):
    """Without dark counts Eve knows the attacked share of the sifted bits, all of them if she attacks always."""
    law = place.law(attack(fraction))
    assert place.information(law) == pytest.approx(fraction, abs=1e-9)
    assert place.known(law) == pytest.approx(fraction, abs=1e-9)


@pytest.mark.parametrize("attack", [Blinding(), AfterGate()])
@pytest.mark.parametrize("place", [GYS, NOISY, SIX])
def test_of_dark_counts_she_knows_those_she_measured_rightly(place, attack):
    """Eve knows what faked states made click, and dark counts of the pulses with light that she measured in the right basis."""
    bases, t, p = len(place.states), place.behind * place.efficiency, place.dark_counts
    dark = 1 - (1 - p) ** 2
    seen = known = 0.0
    for share, mean in zip(place.probabilities, place.intensities or (None,), strict=True):
        numbers = np.eye(PHOTONS)[1] if mean is None else poisson_numbers(mean * place.before)
        for n, chance in enumerate(numbers):
            light = 1 - (1 - t) ** n
            sent = light if isinstance(attack, AfterGate) else (1 - dark) * light / (1 - bases * dark)
            seen += share * chance * (1 - (1 - light) * (1 - dark))
            known += share * chance * (n > 0) * (sent + (1 / bases - sent) * dark)
    assert place.known(place.law(attack)) == pytest.approx(known / seen, abs=1e-9)


@pytest.mark.parametrize("attack", [Blinding(), AfterGate()])
@pytest.mark.parametrize(("states", "bob"), [(BB84, (0.6, 0.4)), (SIX_STATE, (0.4, 0.3, 0.3))])
@pytest.mark.parametrize("misalignment", [0.0, 0.04])
def test_where_there_is_hardly_any_loss_faked_states_cost_clicks(attack, states, bob, misalignment):
    """A faked state clicks in one of k bases: what would click more often than 1/k clicks with 1/k, at the usual QBER."""
    place = Place(behind=0.9, efficiency=1.0, states=states, alice=bob, bob=bob, misalignment=misalignment)
    law = place.law(attack)
    np.testing.assert_allclose(place.gains(law), 1 / len(states), atol=1e-12)
    np.testing.assert_allclose(place.qber(law), misalignment, atol=1e-12)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(
    ("behind", "dark_counts"), [(0.0, 0.0), (0.0, 1e-3), (1e-9, 1e-3), (1.0, 0.4), (1.0, 0.0)]
)
def test_every_attack_is_a_map_at_the_limits(attack, behind, dark_counts):
    """Whatever the loss and the noise, probabilities are probabilities, and what happens at a gate adds up to 1."""
    for means in ((), (0.5, 0.0)):
        place = Place(
            means, before=0.5, behind=behind, efficiency=1.0, dark_counts=dark_counts, misalignment=0.5
        )
        law = place.law(attack())
        assert law.probability.sum() == pytest.approx(1.0, abs=1e-12)
        assert law.probability.min() >= 0.0


@pytest.mark.parametrize("fraction", [0.2, 0.7, 1.0])
@pytest.mark.parametrize("place", [LOSSY, DECOYS])
def test_each_faked_state_shows_in_the_photocurrent(place, fraction):
    """Blinding needs two bright pulses for each click, and the monitor sees them all; without the attack it sees nothing."""
    usual, attacked = rates(place.law()), rates(place.law(Blinding(fraction)))
    assert usual["photocurrent"] == 0.0
    assert attacked["photocurrent"] == pytest.approx(2 * fraction * usual["clicks"], abs=1e-12)
    assert attacked["after gate"] == 0.0


@pytest.mark.parametrize("fraction", [0.2, 0.7, 1.0])
@pytest.mark.parametrize("place", [LOSSY, DECOYS])
def test_clicks_after_the_gate_show_in_arrival_times_only(place, fraction):
    """After-gate clicks are late by their own mark, and draw no photocurrent."""
    usual, attacked = rates(place.law()), rates(place.law(AfterGate(fraction)))
    assert usual["after gate"] == 0.0
    assert attacked["after gate"] == pytest.approx(fraction, abs=1e-12)
    assert attacked["photocurrent"] == attacked["early"] == attacked["late"] == 0.0


@pytest.mark.parametrize("attack", [Blinding, AfterGate])
@pytest.mark.parametrize(("share", "attenuation"), [(0.1, 0.5), (0.3, 0.1), (0.5, 0.0)])
def test_random_attenuation_sees_faked_states(attack, share, attenuation):
    """Gates of reduced efficiency click with f·a/(1−f+f·a) of the clicks, and not at all under faked states."""
    defence = {"attenuated_share": share, "attenuation": attenuation}
    usual, attacked = LOSSY.law(**defence), LOSSY.law(attack(), **defence)
    expected = share * attenuation / (1 - share + share * attenuation)
    assert rates(usual)["attenuated"] == pytest.approx(expected, abs=1e-9)
    assert rates(attacked)["attenuated"] == 0.0
    np.testing.assert_allclose(LOSSY.gains(attacked), (1 - share) * LOSSY.gains(LOSSY.law()), rtol=1e-9)


@pytest.mark.parametrize("place", [DECOYS, NOISY, GYS])
def test_faked_states_make_no_double_clicks(place):
    """What double clicks light makes without her vanish: under blinding but those of two dark counts where nothing was sent."""
    usual, attacked = (rates(place.law(attack)) for attack in (None, Blinding()))
    without_faked = 1 - attacked["photocurrent"]
    expected = without_faked * place.dark_counts**2 / attacked["clicks"]
    assert attacked["double clicks"] == pytest.approx(expected, abs=1e-12)
    assert attacked["double clicks"] < 0.2 * usual["double clicks"]


# Time shift.


@pytest.mark.parametrize("ratio", [1.0, 0.8, 0.3, 0.05, 0.0])
@pytest.mark.parametrize("early", [0.5, 0.2, 1.0])
@pytest.mark.parametrize("fraction", [1.0, 0.4])
def test_time_shift_follows_its_formulas(ratio, early, fraction):
    """Single photons: Eve gets 1−h(r/(1+r)), the count rate falls to (1+r)/2, the arrivals and the share of ones move."""
    place = dataclasses.replace(LOSSY, timing_mismatch=ratio)
    usual, law = place.law(), place.law(TimeShift(fraction, early))
    before, after = rates(usual), rates(law)
    clicks = 1 - fraction + fraction * (1 + ratio) / 2
    shifted = fraction * (1 + ratio) / 2 / clicks
    assert after["clicks"] == pytest.approx(before["clicks"] * clicks, abs=1e-12)
    assert after["early"] == pytest.approx(early * shifted, abs=1e-12)
    assert after["late"] == pytest.approx((1 - early) * shifted, abs=1e-12)
    assert before["early"] == before["late"] == 0.0
    ones = (1 - fraction) / 2 + fraction * (early * ratio + 1 - early) / 2
    assert after["ones"] == pytest.approx(ones / clicks, abs=1e-12)
    if fraction == 1.0:
        zero = (ratio + early * (1 - ratio)) / (1 + ratio)
        gained = entropy(zero) - entropy(ratio / (1 + ratio))
        assert place.information(law) == pytest.approx(gained, abs=1e-9)
    if early == 0.5:
        gained = shifted * (1 - entropy(ratio / (1 + ratio)))
        assert place.information(law) == pytest.approx(gained, abs=1e-9)


@pytest.mark.parametrize("early", [0.5, 0.2, 1.0])
@pytest.mark.parametrize("misalignment", [0.0, 0.03, 0.1])
def test_time_shift_leaves_the_error_rate(early, misalignment):
    """The QBER of each basis is the channel's, however unequal the detectors are."""
    place = dataclasses.replace(LOSSY, timing_mismatch=0.3, misalignment=misalignment)
    np.testing.assert_allclose(place.qber(place.law(TimeShift(1.0, early))), misalignment, atol=1e-12)


@pytest.mark.parametrize("ratio", [0.8, 0.3, 0.05])
@pytest.mark.parametrize("mean", [0.1, 0.5, 2.0])
def test_time_shift_of_weak_pulses(ratio, mean):
    """Of a weak pulse she gets 1−h with the ratio of the two detectors' click probabilities, in the place of r."""
    place = Place((mean,), behind=0.3, efficiency=0.4, timing_mismatch=ratio)
    better, worse = (-math.expm1(-mean * 0.3 * 0.4 * share) for share in (1.0, ratio))
    law = place.law(TimeShift())
    assert place.information(law) == pytest.approx(1 - entropy(worse / (better + worse)), abs=1e-9)
    np.testing.assert_allclose(np.diagonal(place.gains(law)), (better + worse) / 2, atol=1e-9)


@pytest.mark.parametrize("ratio", [0.8, 0.3, 0.05])
def test_time_shift_takes_double_clicks(ratio):
    """With one detector the weaker, double clicks of weak light fall to 2r/(1+r) of their share of the clicks."""
    place = Place((0.01,), behind=0.01, efficiency=0.1, timing_mismatch=ratio)
    usual, shifted = (rates(place.law(attack))["double clicks"] for attack in (None, TimeShift()))
    assert shifted / usual == pytest.approx(2 * ratio / (1 + ratio), rel=1e-4)


@pytest.mark.parametrize("place", [LOSSY, DECOYS, GYS])
def test_matched_detectors_withstand_the_time_shift(place):
    """With equal detectors at the edges of the gate nothing moves but the arrivals, and she gets nothing."""
    assert_unseen(place, TimeShift(1.0, 0.2))
    law = place.law(TimeShift(1.0, 0.2))
    assert place.information(law) == pytest.approx(0.0, abs=1e-9)
    assert rates(law)["late"] > 0


def test_a_guess_of_the_time_shift_is_of_the_bit_whatever_the_basis():
    """Early notes a guess of 0 and late one of 1; a pulse that is left alone notes nothing."""
    assert set(LOSSY.law(TimeShift()).notes[0]) == {GUESS_0, GUESS_1}
    assert set(LOSSY.law(TimeShift(0.5)).notes[0]) == {GUESS_0, GUESS_1, NOTHING}


# The wavelength-dependent splitter.


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fraction", [1.0, 0.4])
def test_a_passive_splitter_does_not_see_the_wavelength(place, fraction):
    """Where a splitter chooses Bob's basis, no gain and no error rate tells."""
    assert_unseen(place, Wavelength(fraction), passive=True)


@pytest.mark.parametrize("place", [LOSSY, DECOYS])
@pytest.mark.parametrize("fraction", [0.0, 0.4, 1.0])
def test_the_wavelength_gives_every_bit_away(place, fraction):
    """Behind a passive splitter Eve knows the attacked share of the sifted bits."""
    law = place.law(Wavelength(fraction), passive=True)
    assert place.information(law) == pytest.approx(fraction, abs=1e-9)


@pytest.mark.parametrize("misalignment", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("fraction", [0.3, 0.7, 1.0])
def test_an_active_choice_makes_it_intercept_resend(misalignment, fraction):
    """Where Bob chooses himself, or filters, a basis that she takes with probability q has errors of [1−(1−2Q0)(1−p(1−q))]/2."""
    place = dataclasses.replace(LOSSY, misalignment=misalignment)
    law = place.law(Wavelength(fraction), passive=False)
    expected = (1 - (1 - 2 * misalignment) * (1 - fraction * (1 - np.array(place.bob)))) / 2
    np.testing.assert_allclose(place.qber(law)[:, 0], expected, atol=1e-9)
    even = dataclasses.replace(place, alice=(0.5, 0.5), bob=(0.5, 0.5))
    law = even.law(Wavelength(fraction), passive=False)
    np.testing.assert_allclose(
        even.qber(law), (1 - (1 - 2 * misalignment) * (1 - fraction / 2)) / 2, atol=1e-9
    )
    if not misalignment:
        assert even.information(law) == pytest.approx(fraction / 2, abs=1e-9)


def test_steered_pulses_make_no_double_clicks():
    """Photons of one pulse never part, as Bob measures them in the basis in which she sent them."""
    assert rates(DECOYS.law(passive=True))["double clicks"] > 1e-4
    assert rates(DECOYS.law(Wavelength(), passive=True))["double clicks"] == pytest.approx(0.0, abs=1e-12)


# Attacks on the source.


@pytest.mark.parametrize("attack", [TrojanHorse(1e3), WeakRandom(0.4)])
@pytest.mark.parametrize("place", PLACES)
def test_what_reads_the_source_shows_nowhere_at_bob(place, attack):
    """Every counter of Bob's, every gain and every error rate is as it was."""
    assert_unseen(place, attack)
    assert rates(place.law(attack)) == pytest.approx(rates(place.law()), abs=1e-12)


@pytest.mark.parametrize("isolation_db", [0.0, 60.0, 65.0, 90.0, 200.0])
@pytest.mark.parametrize("injected", [0.0, 1e5, 1e7])
def test_isolators_bound_what_the_trojan_horse_brings_back(isolation_db, injected):
    """She gets 1−e^(−µ) of the bits, µ = injected photons · 10^(−isolation/10)."""
    place = dataclasses.replace(DECOYS, isolation_db=isolation_db)
    back = injected * 10 ** (-isolation_db / 10)
    law = place.law(TrojanHorse(injected))
    assert place.information(law) == pytest.approx(1 - math.exp(-back), abs=1e-9)
    assert TrojanHorse(injected).incoming_photons == injected


@pytest.mark.parametrize("predictability", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize(
    "place", [LOSSY, DECOYS, dataclasses.replace(SIX, dark_counts=0.0, misalignment=0.0)]
)
def test_weak_random_numbers_give_their_share(place, predictability):
    """She gets the bits whose basis she foresaw, and no others."""
    assert place.information(place.law(WeakRandom(predictability))) == pytest.approx(predictability, abs=1e-9)


@pytest.mark.parametrize("attack", [TrojanHorse(1e9), WeakRandom(1.0), IntensityLeak()])
@pytest.mark.parametrize("behind", [0.005, 1e-3, 1e-4])
def test_of_dark_counts_on_empty_pulses_nothing_is_told(attack, behind):
    """What was empty when it passed her adds to the sifted bits, and not to what she knows; of all else she knows the bit."""
    place = dataclasses.replace(NOISY, behind=behind)
    dark = 1 - (1 - place.dark_counts) ** 2
    means = np.array(place.intensities) * place.before
    seen = place.probabilities @ (1 - np.exp(-means * behind * place.efficiency) * (1 - dark))
    empty = place.probabilities @ np.exp(-means) * dark
    assert place.known(place.law(attack)) == pytest.approx(1 - empty / seen, abs=1e-9)


# Distinguishable intensities.


@pytest.mark.parametrize("distinguishability", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("behind", [1.0, 0.8, 0.3, 0.01, 1e-4])
@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_decoys_that_can_be_told_apart_show_nothing(distinguishability, behind, noise):
    """At any loss each intensity's gain and QBER, in each basis, are as they were; so is every bound made of them."""
    place = Place((0.5, 0.15, 2e-4), behind=behind, efficiency=0.3, dark_counts=noise, misalignment=0.02)
    assert_unseen(place, IntensityLeak(distinguishability))


@pytest.mark.parametrize("place", [GYS, NOISY, dataclasses.replace(NOISY, intensities=(2.0, 0.7, 0.0))])
def test_nor_do_they_behind_a_stretch_of_fibre(place):
    """The photon numbers that count are those where she sits."""
    assert_unseen(place, IntensityLeak())


@pytest.mark.parametrize("distinguishability", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("behind", [0.8, 0.3, 0.1, 0.01])
@pytest.mark.parametrize("efficiency", [0.1, 0.3, 0.9])
def test_she_gets_the_bits_of_the_pulses_that_she_split(distinguishability, behind, efficiency):
    """Of intensity µ she gets min(1, M/T): T = 1−e^(−µtη), M = Σ_{n≥2} P(n)·(1−(1−η)^(n−1)), in the share that she tells apart."""
    place = Place((0.5, 0.15), behind=behind, efficiency=efficiency)
    law = place.law(IntensityLeak(distinguishability))
    for kind, mean in enumerate(place.intensities):
        # Σ_{n≥1} P(n)·(1−(1−η)^(n−1)) in closed form; its term of n = 1 is 0.
        split = 1 - math.exp(-mean) - (math.exp(-mean * efficiency) - math.exp(-mean)) / (1 - efficiency)
        usual = -math.expm1(-mean * behind * efficiency)
        expected = distinguishability * min(1.0, split / usual)
        assert place.information(law, kind) == pytest.approx(expected, abs=1e-9)


def test_without_loss_she_must_let_pulses_go_whole():
    """On a lossless channel no photon can be kept without a trace, and she keeps none."""
    place = Place((0.5, 0.15), behind=1.0, efficiency=0.3)
    assert place.information(place.law(IntensityLeak())) == pytest.approx(0.0, abs=1e-9)


# Dense and sampled trains.

TRAINED = (
    (Blinding(0.8), NOISY, {"attenuated_share": 0.2, "attenuation": 0.5}),
    (AfterGate(0.8), NOISY, {"attenuated_share": 0.2, "attenuation": 0.5}),
    (TimeShift(0.8, 0.3), dataclasses.replace(NOISY, timing_mismatch=0.3), {}),
    (Wavelength(0.8), NOISY, {"passive": True}),
    (Wavelength(0.8), NOISY, {"passive": False}),
    (TrojanHorse(1e6), dataclasses.replace(NOISY, isolation_db=60.0), {}),
    (IntensityLeak(0.8), NOISY, {}),
    (WeakRandom(0.4), NOISY, {}),
)


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize(("attack", "place", "defence"), TRAINED)
def test_trains_do_what_the_law_says(attack, place, defence, sampled):
    """Dense and sampled trains agree with the exact law: every monitor, gains per intensity and basis, errors, Eve's notes."""
    count = 4_000_000
    rng = np.random.default_rng(20)
    emitter = Emitter(
        1e9, intensities=place.intensities, probabilities=tuple(place.probabilities), sampled=sampled
    )
    train, record = emitter.prepare(place.states, place.choice, count, 0, 0.0, lambda _: rng)
    everything = slice(0, count)
    train.lose(everything, place.before, rng)
    written: list[tuple[int, Written]] = []
    eve = SimpleNamespace(
        knows=place.knows,
        random=lambda _: rng,
        notebook=SimpleNamespace(note=lambda block, notes: written.append((block, notes))),
    )
    attack.on_photons(eve, train, everything, "bob")
    train.lose(everything, place.behind, rng)
    train.flip(everything, place.misalignment, rng)
    clicks = place.receiver(**defence).detect(train, place.receiver_choice, rng)

    law = place.law(attack, **defence)
    for name, rate in rates(law).items():
        events, trials = counters(clicks.monitors)[name]
        assert_binomial(events, trials, rate)
    sent = record.rounds(clicks.slots)
    matched = sent.settings == clicks.settings
    gains, qber = place.gains(law), place.qber(law)
    source_of = place.choice.probabilities, place.receiver_choice.probabilities, place.probabilities
    for a, b, k in np.ndindex(gains.shape):
        here = (sent.settings == a) & (clicks.settings == b) & (sent.intensities == k)
        chance = source_of[0][a] * source_of[1][b] * source_of[2][k]
        assert_binomial(int(here.sum()), count, gains[a, b, k] * chance)
        if a == b:
            wrong = int((sent.outcomes != clicks.outcomes)[here].sum())
            assert_binomial(wrong, int(here.sum()), qber[a, k])
    ((block, notes),) = written
    assert block == 0
    found = notes.at(clicks.slots)
    right = matched & (found == place.states[sent.settings, sent.outcomes])
    guessed = matched & (found == np.where(sent.outcomes == 1, GUESS_1, GUESS_0))
    rows, source = place.sifted(law), place.source
    guesses = rows & (law.notes[0] == np.where(source.bit[law.symbol] == 1, GUESS_1, GUESS_0))
    sifted = float(law.probability[rows].sum())
    # Every attack gives something away, in one way or the other; the sample would show a fifth less of it.
    for count_right, chance in (
        (guessed, float(law.probability[guesses].sum()) / sifted),
        (right, place.known(law)),
    ):
        assert_binomial(
            int(count_right.sum()), int(matched.sum()), chance, fault=0.8 * chance if chance else None
        )
    assert guessed.any() or right.any()


@pytest.mark.parametrize("sampled", [False, True])
def test_an_attack_does_nothing_outside_its_pulses(sampled):
    """Pulses before and after the attack are neither changed nor noted."""
    place = dataclasses.replace(LOSSY, behind=1.0, efficiency=0.4)
    rng = np.random.default_rng(3)
    count = 40_000
    emitter = Emitter(1e9, sampled=sampled)
    train, _ = emitter.prepare(place.states, place.choice, count, 7, 0.0, lambda _: rng)
    notes = train.act(slice(10_000, 20_000), Blinding().kernel(place.knows), rng)
    clicks = place.receiver().detect(train, place.receiver_choice, rng)
    inside = (clicks.slots >= 10_000) & (clicks.slots < 20_000)
    found = notes.at(clicks.slots)
    assert np.all(found[inside] != NOTHING)
    assert np.all(found[~inside] == NOTHING)
    assert_binomial(clicks.monitors.photocurrent, 10_000, 0.8)
    assert_binomial(int(inside.sum()), 10_000, 0.4, fault=0.5)


# What the catalogue will print.


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_device_attack_says_what_it_is(attack):
    """Id, family, sign, gain, source, defences, what it needs, and units and limits of its parameters."""
    assert re.fullmatch(r"eve\.[a-z_]+", attack.id)
    assert attack.family == "device"
    assert attack.adversarial
    for text in (attack.sign, attack.gets, attack.source):
        assert text == text.strip() != ""
    assert re.search(r"\b(19|20)\d\d\b", attack.source)
    assert attack.defences
    allowed = set(NEEDS)
    assert {"pulses", "prepared"} <= set(attack.needs) <= allowed
    assert {f.name for f in dataclasses.fields(attack)} == {f.name for f, _ in attack.parameters()}
    for field, unit in attack.parameters():
        assert unit.minimum is not None
        assert unit.minimum <= field.default
    assert attack in Action.__subclasses__()
