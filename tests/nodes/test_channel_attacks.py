"""Attacks on the light: exact laws against formulas, what is invisible invisible, and every grain of light alike."""

from __future__ import annotations

import dataclasses
import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import brentq

from netsim.fabric.direct import DirectFabric
from netsim.key_length.asymptotic import binary_entropy, vacuum_weak_bounds
from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.ensemble import Ensemble, Source
from netsim.photonics.light import NOTHING, OPPOSITE, PHOTONS, Kernel
from netsim.photonics.train import FIRED_0, FIRED_1, FIRED_BOTH, Choice
from netsim.random_streams import RandomStreams
from netsim.topology import Site, Topology
from nodes.attacks.action import Action
from nodes.attacks.channel import InterceptResend, NoiseMasked
from nodes.attacks.gain import arriving, clicks_of_singles, seen, usual_gains
from nodes.attacks.photon_number import (
    BeamSplitting,
    DecoyMimicking,
    PhotonNumberSplitting,
    UnambiguousDiscrimination,
    unambiguous,
)
from nodes.attacks.probes import Collective, EntanglingProbe, OptimalIndividual, pauli_weights
from nodes.attacks.surroundings import Surroundings
from nodes.eve import Notebook
from tests.statistics import assert_binomial

EXACT = 1e-12
BB84 = np.array([[0, 4], [2, 6]], dtype=np.uint8)
SIX_STATE = np.array([[0, 4], [2, 6], [8, 9]], dtype=np.uint8)
DECOYS = (0.48, 0.1, 2e-4)
ATTACKS = (
    InterceptResend,
    NoiseMasked,
    PhotonNumberSplitting,
    BeamSplitting,
    UnambiguousDiscrimination,
    DecoyMimicking,
    OptimalIndividual,
    Collective,
    EntanglingProbe,
)


@dataclasses.dataclass(frozen=True)
class Line:
    """A link with Eve on it; single photons where there are no intensities."""

    intensities: tuple[float, ...] = ()
    before: float = 1.0
    behind: float = 0.1
    efficiency: float = 0.2
    dark_counts: float = 1e-4
    misalignment: float = 0.02
    states: np.ndarray = dataclasses.field(default_factory=lambda: BB84)
    bias: float = 0.6
    attenuated_share: float = 0.0
    attenuation: float = 1.0

    @property
    def emitter(self) -> Emitter:
        """Alice's source."""
        kinds = len(self.intensities)
        shares = {0: (), 1: (1.0,), 2: (0.7, 0.3), 3: (0.6, 0.3, 0.1)}[kinds]
        return Emitter(1e6, intensities=self.intensities, probabilities=shares)

    @property
    def source(self) -> Source:
        """What Alice draws from."""
        return self.emitter.source(self.states, self.choice)

    @property
    def choice(self) -> Choice:
        """Of the settings, of either party: the first is favoured."""
        others = len(self.states) - 1
        return Choice(self.states[:, 0], np.array([self.bias] + [(1.0 - self.bias) / others] * others))

    @property
    def knows(self) -> Surroundings:
        """What Eve knows."""
        known = {field.name for field in dataclasses.fields(self)} - {"bias", "intensities"}
        return Surroundings(
            choice=self.choice,
            receiver_choice=self.choice,
            numbers=self.emitter.numbers(),
            intensities=self.intensities,
            **{name: getattr(self, name) for name in known},
        )

    @property
    def receiver(self) -> Receiver:
        """Bob's."""
        return Receiver(
            self.efficiency,
            self.dark_counts,
            attenuated_share=self.attenuated_share,
            attenuation=self.attenuation,
        )

    def under(self, attack: Action | None) -> Seen:
        """Exactly what happens at a gate."""
        source = self.source
        ensemble = Ensemble(source)
        ensemble.lose(self.before)
        if attack is None:
            ensemble.untouched()
        else:
            ensemble.act(attack.kernel(self.knows))
        ensemble.lose(self.behind)
        ensemble.flip(self.misalignment)
        law = ensemble.law(self.receiver.response(), self.choice)
        fired = law.pattern & FIRED_BOTH
        return Seen(
            source,
            law.probability,
            law.symbol,
            law.setting,
            fired,
            law.notes[-1],
        )

    @property
    def eta(self) -> float:
        """Share of the photons behind Eve that Bob sees."""
        return self.behind * self.efficiency

    def clicks(self, silent: float) -> float:
        """How often something clicks, where light is silent with this probability."""
        return 1.0 - (1.0 - self.dark_counts) ** 2 * silent

    def errors(self, turned: float, silent: float) -> float:
        """How often the outcome is wrong where the pulse is turned with this probability (LinkModel's formula)."""
        d = self.dark_counts
        noise = 0.5 * d * (1.0 + (1.0 - d) * silent)
        return (1.0 - turned) * noise + turned * (self.clicks(silent) - noise)

    def both(self, error: float) -> float:
        """An error of hers and the fibre's together."""
        return error * (1.0 - self.misalignment) + self.misalignment * (1.0 - error)


@dataclasses.dataclass(frozen=True)
class Seen:
    """Rows of an exact law, and what the parties make of them."""

    source: Source
    probability: np.ndarray
    symbol: np.ndarray
    setting: np.ndarray
    fired: np.ndarray
    notes: np.ndarray

    def table(self) -> np.ndarray:
        """float64[symbols, settings, patterns]: everything that Alice and Bob can count."""
        table = np.zeros((len(self.source.probability), int(self.setting.max()) + 1, 4))
        np.add.at(table, (self.symbol, self.setting, self.fired), self.probability)
        return table

    def rows(self, kind: int, basis: int) -> np.ndarray:
        """The gates of one intensity in which both use one basis."""
        source = self.source
        mine = (source.intensity[self.symbol] == kind) & (source.setting[self.symbol] == basis)
        return mine & (self.setting == basis)

    def gain(self, kind: int = 0, basis: int = 0) -> float:
        """Clicks per pulse."""
        rows = self.rows(kind, basis)
        return float(self.probability[rows & (self.fired > 0)].sum() / self.probability[rows].sum())

    def qber(self, kind: int = 0, basis: int = 0) -> float:
        """Wrong bits per click; a double click is wrong half of the time."""
        rows = self.rows(kind, basis) & (self.fired > 0)
        weight = self.probability[rows]
        wrong = np.where(self.fired[rows] == FIRED_BOTH, 0.5, self.fired[rows] != self._right()[rows])
        return float(weight @ wrong / weight.sum())

    def _right(self) -> np.ndarray:
        return np.where(self.source.bit[self.symbol] == 0, FIRED_0, FIRED_1)

    def joint(self, kind: int = 0, basis: int = 0, *, without_error: bool = False) -> np.ndarray:
        """float64[2, 256]: bit and note, given a click in the same basis, perhaps a right one."""
        rows = self.rows(kind, basis) & (self.fired > 0)
        if without_error:
            rows &= self.fired == self._right()
        table = np.zeros((2, 256))
        np.add.at(table, (self.source.bit[self.symbol[rows]], self.notes[rows]), self.probability[rows])
        return table / table.sum()

    def information(self, kind: int = 0, basis: int = 0) -> float:
        """Shannon information of the note on the bit, in bits per sifted bit."""
        joint = self.joint(kind, basis)
        product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
        some = joint > 0
        return float(joint[some] @ np.log2(joint[some] / product[some]))


def same(one: Seen, other: Seen) -> None:
    """Nothing that Alice and Bob can count differs."""
    assert np.abs(one.table() - other.table()).max() < EXACT


def close(found: float, expected: float) -> None:
    """Equal to nine digits."""
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def phi(z: float) -> float:
    """φ(z) = (1+z)log2(1+z) + (1−z)log2(1−z)."""
    return sum((1 + s * z) * math.log2(1 + s * z) for s in (1, -1) if 1 + s * z > 0)


def without_eve(line: Line, kind: int) -> tuple[float, float]:
    """Gain and QBER of a weak pulse on a lossy line."""
    silent = math.exp(-line.before * line.eta * line.intensities[kind])
    gain = line.clicks(silent)
    return gain, line.errors(line.misalignment, silent) / gain


# ---- the link without Eve: the yardstick ----


@pytest.mark.parametrize("kind", range(3))
def test_a_link_without_eve_is_what_the_formulas_say(kind):
    """The exact law and the test's own formulas agree before anybody attacks."""
    line = Line(DECOYS, before=0.8)
    law = line.under(None)
    for basis in range(2):
        gain, qber = without_eve(line, kind)
        close(law.gain(kind, basis), gain)
        close(law.qber(kind, basis), qber)
        assert law.information(kind, basis) == pytest.approx(0.0, abs=EXACT)


def test_eve_works_out_the_gains_as_they_are():
    """Arriving photons, clicks and shares of single photons follow Poisson's law."""
    line = Line(DECOYS, before=0.7)
    for kind, mean in enumerate(DECOYS):
        close(usual_gains(line.knows)[kind], -math.expm1(-0.7 * line.eta * mean))
        close(arriving(line.knows)[kind, 2], math.exp(-0.7 * mean) * (0.7 * mean) ** 2 / 2)
    assert list(seen(1.0)[:3]) == [0.0, 1.0, 1.0]
    close(seen(0.3)[5], 1 - 0.7**5)
    single = 0.7 * DECOYS[0] * math.exp(-0.7 * DECOYS[0]) * line.clicks(1 - line.eta)
    close(clicks_of_singles(line.knows), single / without_eve(line, 0)[0])
    assert clicks_of_singles(Line(DECOYS, behind=0.0, dark_counts=0.0).knows) == 0.0


# ---- intercept-resend ----

ERRORS = {
    "random": (1 / 4, 1 / 4, 1 / 2),
    "three": (1 / 3, 1 / 3, 1 / 3),
    "z": (0.0, 1 / 2, 1 / 2),
    "x": (1 / 2, 0.0, 1 / 2),
    "y": (1 / 2, 1 / 2, 0.0),
    "breidbart": (1 / 4, 1 / 4, 1 / 2),
}
"""Of a measured single photon, in Z, X and Y."""

SURE = {
    "random": (1 / 2, 1 / 2, 0.0),
    "three": (1 / 3, 1 / 3, 1 / 3),
    "z": (1.0, 0.0, 0.0),
    "x": (0.0, 1.0, 0.0),
    "y": (0.0, 0.0, 1.0),
    "breidbart": (1 - binary_entropy(math.cos(math.pi / 8) ** 2),) * 2 + (0.0,),
}
"""Bits of information on the bit of a measured photon, in Z, X and Y."""


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.6, 1.0])
@pytest.mark.parametrize("basis", ERRORS)
def test_intercept_resend_of_single_photons(basis, fraction):
    """Error p/4, p/3, p/2 or none by the basis, gain untouched, and p times what the measurement tells."""
    line = Line(states=SIX_STATE)
    law = line.under(InterceptResend(fraction, basis))
    for number in range(3):
        error = line.both(fraction * ERRORS[basis][number])
        gain = line.clicks(1 - line.eta)
        close(law.gain(0, number), gain)
        close(law.qber(0, number), line.errors(error, 1 - line.eta) / gain)
        close(law.information(0, number), fraction * SURE[basis][number])


@pytest.mark.parametrize("fraction", [0.1, 0.6, 1.0])
def test_the_qber_of_random_bases_is_the_textbooks(fraction):
    """Without dark counts QBER = [1 − (1 − 2Q0)(1 − p/2)]/2."""
    line = Line(dark_counts=0.0, misalignment=0.03)
    for basis in range(2):
        close(line.under(InterceptResend(fraction)).qber(0, basis), (1 - (1 - 0.06) * (1 - fraction / 2)) / 2)


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("fraction", [0.2, 0.7, 1.0])
def test_intercept_resend_of_weak_pulses(fraction, kind):
    """One photon for each pulse that is not empty: gain 1-(1-p)e^(-ηµ)-p[1-η(1-e^(-µ))], and p/2 of the clicks' bits."""
    line = Line(DECOYS, before=0.9)
    law = line.under(InterceptResend(fraction))
    mean, eta = 0.9 * DECOYS[kind], line.eta
    met = fraction * -math.expm1(-mean)
    light = (1 - fraction) * -math.expm1(-eta * mean) + met * eta
    gain = line.clicks(1 - light)
    errors = (
        met * line.errors(line.both(1 / 4), 1 - eta)
        + fraction * math.exp(-mean) * line.errors(0.0, 1.0)
        + (1 - fraction) * line.errors(line.misalignment, math.exp(-eta * mean))
    )
    for basis in range(2):
        close(law.gain(kind, basis), gain)
        close(law.qber(kind, basis), errors / gain)
        close(law.information(kind, basis), met * line.clicks(1 - eta) / 2 / gain)


def test_several_photons_in_the_breidbart_basis_are_told_apart_better():
    """Of n photons detector 0 alone fires with p^n: right at ½(1 + p^n − (1−p)^n), so the error is below ¼."""
    p = math.cos(math.pi / 8) ** 2
    kernel = InterceptResend(1.0, "breidbart").kernel(Line(DECOYS).knows)
    right = kernel.probability[0, 0, 3, kernel.note[0, 0, 3] == 1].sum()
    close(right, (1 + p**3 - (1 - p) ** 3) / 2)


@pytest.mark.parametrize("fraction", [0.2, 0.7, 1.0])
def test_a_coherent_pulse_resent_keeps_the_signals_gain(fraction):
    """(1 − P0)(1 − e^(−νη)) = 1 − e^(−ηµ): the signal's gain stays to twelve digits, and a decoy's rises."""
    line = Line(DECOYS, before=0.9)
    attack = InterceptResend(fraction, "random", "coherent")
    law, untouched = line.under(attack), line.under(None)
    means = [0.9 * mean for mean in DECOYS]
    brightness = -math.log(1 - math.expm1(-line.eta * means[0]) / math.expm1(-means[0])) / line.eta
    close(attack.brightness(line.knows), brightness)
    for kind, mean in enumerate(means):
        met = -math.expm1(-mean)
        light = (1 - fraction) * -math.expm1(-line.eta * mean) - met * fraction * math.expm1(
            -brightness * line.eta
        )
        gain = line.clicks(1 - light)
        silent = math.exp(-line.eta * brightness)
        errors = (
            fraction * met * (line.errors(line.misalignment, silent) + line.clicks(silent) / 2) / 2
            + fraction * (1 - met) * line.errors(0.0, 1.0)
            + (1 - fraction) * line.errors(line.misalignment, math.exp(-line.eta * mean))
        )
        for basis in range(2):
            close(law.gain(kind, basis), gain)
            close(law.qber(kind, basis), errors / gain)
            close(law.information(kind, basis), fraction * met * line.clicks(silent) / 2 / gain)
    assert law.gain() == pytest.approx(untouched.gain(), rel=EXACT)
    assert law.gain(1) > untouched.gain(1) * (1 + 0.1 * fraction)


def test_a_coherent_pulse_is_never_brighter_than_four_photons():
    """Where no photon is lost no brightness is enough, where none arrives none is needed."""
    attack = InterceptResend(1.0, "random", "coherent")
    assert attack.brightness(Line(behind=1.0, efficiency=1.0).knows) == 4.0
    assert attack.brightness(Line(behind=0.0).knows) == 0.0
    assert attack.brightness(Line(before=0.0).knows) == 0.0


def test_what_intercept_resend_asks_of_a_link():
    """Plain, it works on qubits and pairs; weak pulses and the Y basis are for prepared pulses."""
    assert InterceptResend(0.3, "breidbart").requires() == ()
    for attack in (
        InterceptResend(resend="coherent"),
        InterceptResend(basis="y"),
        InterceptResend(basis="three"),
    ):
        assert attack.requires() == ("pulses", "prepared")


# ---- noise-masked ----


@pytest.mark.parametrize("states", [BB84, SIX_STATE], ids=["four", "six"])
@pytest.mark.parametrize("intensities", [(), DECOYS], ids=["single", "weak"])
@pytest.mark.parametrize("masking", [0.3, 1.0])
@pytest.mark.parametrize("misalignment", [0.01, 0.05, 0.11])
def test_noise_masked_is_invisible(misalignment, masking, intensities, states):
    """No count of any symbol, setting or click pattern changes, double clicks included."""
    line = Line(intensities, before=0.9, misalignment=misalignment, states=states)
    same(line.under(NoiseMasked(masking)), line.under(None))


@pytest.mark.parametrize("masking", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("misalignment", [0.0, 0.01, 0.05])
def test_noise_masked_gets_two_bits_an_error(misalignment, masking):
    """2Q0 of the sifted bits for four states and Q0 for six, where one photon arrives at Bob."""
    for states, share in ((BB84, 2.0), (SIX_STATE, 1.0)):
        known = share * misalignment * masking
        line = Line(misalignment=misalignment, behind=1.0, states=states)
        close(line.under(NoiseMasked(masking)).information(), known)
        line = Line(DECOYS, misalignment=misalignment, states=states)
        law, mean = line.under(NoiseMasked(masking)), line.behind * DECOYS[0]
        one = mean * math.exp(-mean) * line.clicks(1 - line.efficiency)
        close(law.information(), known * one / law.gain())


def test_noise_masked_measures_four_times_the_errors():
    """4Q0 of four states, 3Q0 of six, and never more than all."""
    line = Line(misalignment=0.03)
    close(NoiseMasked().fraction(line.knows), 0.12)
    close(NoiseMasked(0.5).fraction(line.knows), 0.06)
    close(NoiseMasked().fraction(dataclasses.replace(line, states=SIX_STATE).knows), 0.09)
    line = Line(misalignment=0.4)
    assert NoiseMasked().fraction(line.knows) == 1.0
    same(line.under(NoiseMasked()), line.under(None))


# ---- photon-number splitting ----


def several(mean: float, efficiency: float, fewer: int) -> float:
    """How often a Poisson pulse of two photons and more clicks, each photon seen with η, when none or one was taken."""
    left = math.exp(-mean) * (math.exp(mean * (1 - efficiency)) - 1 - mean * (1 - efficiency))
    shrunk = left / (1 - efficiency) ** fewer if efficiency < 1 else 0.0
    return 1 - math.exp(-mean) * (1 + mean) - shrunk


@pytest.mark.parametrize("efficiency", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("loss_db", [0.5, 3.0, 6.0, 7.3, 8.0, 15.0, 25.0])
def test_splitting_keeps_the_signal_and_betrays_itself_by_the_decoys(loss_db, efficiency):
    """Signal's gain and QBER to twelve digits as before; each decoy's gain and each intensity's information as computed by hand."""
    line = Line(DECOYS, behind=10 ** (-loss_db / 10), efficiency=efficiency)
    law, untouched = line.under(PhotonNumberSplitting()), line.under(None)
    wanted = -math.expm1(-line.eta * DECOYS[0])
    one, rest = DECOYS[0] * math.exp(-DECOYS[0]) * efficiency, several(DECOYS[0], efficiency, 1)
    whole = several(DECOYS[0], efficiency, 0)
    taken, passed, kept = 1.0, 1.0, 1.0
    if one + rest < wanted:
        taken = (one + whole - wanted) / (whole - rest)
    elif rest <= wanted:
        passed = (wanted - rest) / one
    else:
        passed, kept = 0.0, wanted / rest
    for kind, mean in enumerate(DECOYS):
        split = several(mean, efficiency, 1) * taken * kept
        light = passed * mean * math.exp(-mean) * efficiency + split
        light += several(mean, efficiency, 0) * (1 - taken)
        gain = line.clicks(1 - light)
        # Of all pulses of several photons she holds one, those that she blocked and noise made click as well.
        d = 1 - (1 - line.dark_counts) ** 2
        several_sent = 1 - math.exp(-mean) * (1 + mean)
        known = taken * several_sent * d + (1 - d) * split
        for basis in range(2):
            close(law.gain(kind, basis), gain)
            close(law.qber(kind, basis), line.errors(line.misalignment, 1 - light) / gain)
            close(law.information(kind, basis), known / gain)
    for basis in range(2):
        assert law.gain(0, basis) == pytest.approx(untouched.gain(0, basis), rel=EXACT)
        assert law.qber(0, basis) == pytest.approx(untouched.qber(0, basis), rel=EXACT)
    if loss_db >= 15.0:
        dark = line.clicks(1.0)
        fall = (law.gain(1) - dark) / (untouched.gain(1) - dark)
        assert fall < 0.3  # about ν/µ


def test_without_decoys_splitting_shows_in_no_gain_and_no_error():
    """One intensity only: gains and error rates of both bases as ever, and beyond 7.4 dB nearly every bit is hers."""
    line = Line(DECOYS[:1], behind=0.1, dark_counts=1e-7)
    law, untouched = line.under(PhotonNumberSplitting()), line.under(None)
    for basis in range(2):
        assert law.gain(0, basis) == pytest.approx(untouched.gain(0, basis), rel=EXACT)
        assert law.qber(0, basis) == pytest.approx(untouched.qber(0, basis), rel=EXACT)
        assert law.information(0, basis) > 0.9999


def test_the_loss_from_which_every_single_photon_is_blocked():
    """7.37 dB at µ = 0.48 with perfect detectors: 1 − (1+µ)e^(−µ) = 1 − e^(−ηµ)."""

    def left(loss_db: float) -> float:
        knows = Line((0.48,), behind=10 ** (-loss_db / 10), efficiency=1.0).knows
        split = PhotonNumberSplitting().split(knows)
        return (1.0 - split.singles_blocked) - split.several_blocked

    loss_db = brentq(left, 1.0, 20.0, xtol=1e-10)
    assert round(loss_db, 2) == 7.37
    close(loss_db, -10 * math.log10(1 - math.log(1.48) / 0.48))


@pytest.mark.parametrize("mean", [0.1, 0.48, 0.5, 0.9])
def test_before_perfect_detectors_she_takes_a_photon_of_every_pulse_of_several(mean):
    """With no loss at all and every photon seen, one photon less changes no gain: she blocks nothing, and takes what she can."""
    split = PhotonNumberSplitting().split(Line((mean,), behind=1.0, efficiency=1.0).knows)
    assert split.taken == 1.0
    assert split.singles_blocked == pytest.approx(0.0, abs=1e-12)
    assert split.several_blocked == 0.0


@pytest.mark.parametrize("behind", [1.0, 0.4, 0.01])
def test_splitting_over_the_usual_fibre_lowers_the_gain(behind):
    """Gain 1-e^(-µ)[1+µ(1-η)+(e^(µ(1-η))-1-µ(1-η))/(1-η)], QBER by the same light, and the bits of several photons."""
    line = Line(DECOYS, behind=behind)
    law = line.under(PhotonNumberSplitting(preserve_gain=False))
    for kind, mean in enumerate(DECOYS):
        q = 1 - line.eta
        light = 1 - math.exp(-mean) * (1 + mean * q + (math.exp(mean * q) - 1 - mean * q) / q)
        gain = line.clicks(1 - light)
        several_sent, d = 1 - math.exp(-mean) * (1 + mean), 1 - (1 - line.dark_counts) ** 2
        close(law.gain(kind), gain)
        close(law.qber(kind), line.errors(line.misalignment, 1 - light) / gain)
        known = several_sent * d + (1 - d) * several(mean, line.eta, 1)
        close(law.information(kind), known / gain)


@pytest.mark.parametrize("attack", [PhotonNumberSplitting(), DecoyMimicking()])
@pytest.mark.parametrize(("behind", "low", "high"), [(0.5, 0.0, 0.7), (0.1, 2.0, 10.0), (0.01, 20.0, 100.0)])
def test_splitting_moves_the_double_clicks(attack, behind, low, high):
    """A photon less at little loss, and a channel without loss at great: the monitor of double clicks sees both."""
    line = Line(DECOYS, behind=behind, dark_counts=1e-8)
    before, after = (float(line.under(what).table()[:, :, 3].sum()) for what in (None, attack))
    assert low < after / before < high


# ---- beam splitting ----


@pytest.mark.parametrize("behind", [0.9, 0.3, 0.01])
@pytest.mark.parametrize("intensities", [DECOYS[:1], DECOYS], ids=["one", "decoys"])
def test_beam_splitting_is_invisible(intensities, behind):
    """Every count of every intensity is what it was, with decoys and without; she gets 1 − e^(−µ(1−η)) of the bits."""
    line = Line(intensities, before=0.8, behind=behind)
    law = line.under(BeamSplitting())
    same(law, line.under(None))
    for kind, mean in enumerate(intensities):
        for basis in range(2):
            close(law.information(kind, basis), -math.expm1(-0.8 * mean * (1 - behind)))


def test_against_single_photons_a_beam_splitter_gets_nothing():
    """A photon that clicks at Bob's did not go to her."""
    line = Line(dark_counts=0.0)
    law = line.under(BeamSplitting())
    same(law, line.under(None))
    assert law.information() == pytest.approx(0.0, abs=EXACT)


# ---- unambiguous discrimination ----


@pytest.mark.parametrize("photons", range(1, 16))
def test_states_are_told_apart_as_often_as_published(photons):
    """1 − 2^(1−⌊(n+1)/2⌋) of Dušek, Jahma, Lütkenhaus 2000, which is 4·min|c_r|² of Chefles and Barnett 1998."""
    success, taken = unambiguous(np.array([0, 2, 4, 6], dtype=np.uint8), photons)
    assert success == pytest.approx(1 - 2.0 ** (1 - (photons + 1) // 2), abs=1e-12)
    weights = [sum(math.comb(photons, j) for j in range(r, photons + 1, 4)) for r in range(4)]
    assert success == pytest.approx(4 * min(weights) / 2**photons, abs=1e-12)
    assert np.allclose(taken[:, [0, 2, 4, 6]], np.eye(4) * success, atol=1e-12)
    assert np.all(taken.sum(axis=0) <= 1 + 1e-12)


def test_six_states_take_five_photons():
    """Six states span n + 1 dimensions only: nothing below five photons."""
    states = np.array([0, 2, 4, 6, 8, 9], dtype=np.uint8)
    assert [unambiguous(states, n)[0] for n in range(1, 5)] == [0.0] * 4
    close(unambiguous(states, 5)[0], 0.5)


def recognised(mean: float) -> float:
    """How often she knows the state of a Poisson pulse."""
    return sum(
        math.exp(-mean) * mean**n / math.factorial(n) * (1 - 2.0 ** (1 - (n + 1) // 2)) for n in range(3, 32)
    )


@pytest.mark.parametrize("efficiency", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("loss_db", [3.0, 10.0, 20.0, 30.0])
def test_discrimination_keeps_the_signal_and_betrays_itself_by_the_decoys(loss_db, efficiency):
    """Signal's gain and QBER to twelve digits as before; a decoy's gain falls in the ratio of recognised pulses."""
    line = Line(DECOYS, behind=10 ** (-loss_db / 10), efficiency=efficiency)
    law, untouched = line.under(UnambiguousDiscrimination()), line.under(None)
    for basis in range(2):
        assert law.gain(0, basis) == pytest.approx(untouched.gain(0, basis), rel=EXACT)
        assert law.qber(0, basis) == pytest.approx(untouched.qber(0, basis), rel=EXACT)
    wanted, known = -math.expm1(-line.eta * DECOYS[0]), recognised(DECOYS[0])
    most = 1 - (1 - efficiency) ** 31
    share, each = 1.0, wanted / known
    if known * most < wanted:
        usual = -math.expm1(-efficiency * DECOYS[0])
        share, each = (usual - wanted) / (usual - known * most), most
    d = 1 - (1 - line.dark_counts) ** 2
    for kind, mean in enumerate(DECOYS):
        hers = share * recognised(mean) * each
        light = hers + (1 - share) * -math.expm1(-efficiency * mean)
        gain = line.clicks(1 - light)
        close(law.gain(kind), gain)
        close(law.qber(kind), line.errors(line.misalignment, 1 - light) / gain)
        close(law.information(kind), (share * recognised(mean) * d + (1 - d) * hers) / gain)
    if share == 1.0:
        dark = line.clicks(1.0)
        assert (law.gain(1) - dark) / (untouched.gain(1) - dark) < 0.1  # about (ν/µ)²


@pytest.mark.parametrize("behind", [0.5, 0.1, 0.001])
def test_discrimination_that_does_not_care_about_the_gain(behind):
    """As many photons sent on as came, all over a perfect channel: gain ΣP(n)P_n[1 − (1−η)^n], whatever the fibre."""
    line = Line(DECOYS, behind=behind)
    law = line.under(UnambiguousDiscrimination(preserve_gain=False))
    for kind, mean in enumerate(DECOYS):
        light = recognised(mean) - math.exp(-mean * line.efficiency) * recognised(
            mean * (1 - line.efficiency)
        )
        gain = line.clicks(1 - light)
        close(law.gain(kind), gain)
        d = 1 - (1 - line.dark_counts) ** 2
        close(law.information(kind), (recognised(mean) * d + (1 - d) * light) / gain)


def test_bright_pulses_double_click_where_bases_differ():
    """What keeps the gain at poor detectors shows in the other basis: more double clicks than before."""
    line = Line(DECOYS[:1], behind=0.05, efficiency=0.1, dark_counts=1e-7)
    before, after = (
        line.under(attack).table()[:, :, 3].sum() for attack in (None, UnambiguousDiscrimination())
    )
    assert line.under(UnambiguousDiscrimination()).gain() == pytest.approx(line.under(None).gain(), rel=EXACT)
    assert after > 5 * before


# ---- mimicking decoys ----


@pytest.mark.parametrize("efficiency", [0.2, 1.0])
@pytest.mark.parametrize("behind", [1.0, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("intensities", [(0.48,), (0.48, 0.1), (0.48, 0.05, 0.0), DECOYS])
def test_a_decoy_mimic_keeps_every_gain_and_the_bound_stands(intensities, behind, efficiency):
    """All gains and error rates as before; the single photons' clicks are above what vacuum and weak decoy promise."""
    line = Line(intensities, before=0.9, behind=behind, efficiency=efficiency)
    law, untouched = line.under(DecoyMimicking()), line.under(None)
    for kind in range(len(intensities)):
        for basis in range(2):
            assert law.gain(kind, basis) == pytest.approx(untouched.gain(kind, basis), rel=EXACT)
            assert law.qber(kind, basis) == pytest.approx(untouched.qber(kind, basis), rel=EXACT)
    split, whole = DecoyMimicking().shares(line.knows)
    assert np.all(split + whole <= 1 + 1e-9)
    numbers, d = arriving(line.knows)[0], 1 - (1 - line.dark_counts) ** 2
    light = (1 - d) * float((numbers * split)[2:] @ seen(line.efficiency)[1:-1])
    known = light + d * float(numbers[2:] @ (1 - whole[2:]))
    close(law.information(), known / law.gain())
    if len(intensities) == 3:
        mu, nu = (0.9 * mean for mean in intensities[:2])
        bound, _ = vacuum_weak_bounds(mu, nu, law.gain(0), law.gain(1), law.qber(1), d)
        yielded = d + (1 - d) * whole[1] * line.efficiency
        assert bound <= yielded <= (d + (1 - d) * line.eta) * (1 + 1e-9)


def test_each_decoy_leaves_a_mimic_less():
    """With one, two and three intensities she can hide ever fewer single photons."""
    lines = [Line(DECOYS[:k], behind=0.05, dark_counts=1e-6) for k in (1, 2, 3)]
    hers = [line.under(DecoyMimicking()).information() for line in lines]
    assert hers[0] > 0.98
    assert hers[0] > hers[1] + 0.1 > hers[2] + 0.1


def test_one_intensity_mimicked_is_splitting():
    """Where only the signal's gain must stay, the best choice is photon-number splitting's, to the solver's tolerance."""
    for behind in (0.4, 0.2, 0.05):
        line = Line(DECOYS[:1], behind=behind, efficiency=1.0)
        splitting = line.under(PhotonNumberSplitting()).information()
        assert line.under(DecoyMimicking()).information() == pytest.approx(splitting, rel=1e-7)


@pytest.mark.parametrize("loss_db", [15.0, 20.0, 30.0])
def test_a_mimic_reaches_the_decoy_bound(loss_db):
    """With a true vacuum and one weak decoy the bound of Ma et al. 2005 cannot be better: she leaves just that many single photons."""
    line = Line((0.48, 0.05, 0.0), behind=10 ** (-loss_db / 10), dark_counts=1e-9)
    law = line.under(DecoyMimicking())
    _, whole = DecoyMimicking().shares(line.knows)
    bound, _ = vacuum_weak_bounds(0.48, 0.05, law.gain(0), law.gain(1), law.qber(1), 2e-9)
    dark = 1 - (1 - line.dark_counts) ** 2
    yielded = dark + (1 - dark) * whole[1] * line.efficiency
    assert yielded == pytest.approx(bound, rel=1e-5)


# ---- probes ----


@pytest.mark.parametrize("disturbance", [0.0, 0.01, 0.05, 0.11, 0.146, 0.5])
def test_the_optimal_individual_attack_on_four_states(disturbance):
    """QBER = D in both bases and ½φ(2√(D(1−D))) bits per sifted bit, which is 1 − h(½ + √(D(1−D)))."""
    line = Line()
    law, gain = line.under(OptimalIndividual(disturbance)), line.clicks(1 - line.eta)
    root = math.sqrt(disturbance * (1 - disturbance))
    for basis in range(2):
        close(law.gain(0, basis), gain)
        close(law.qber(0, basis), line.errors(line.both(disturbance), 1 - line.eta) / gain)
        close(law.information(0, basis), phi(2 * root) / 2)
        close(law.information(0, basis), 1 - binary_entropy(0.5 + root))


@pytest.mark.parametrize("disturbance", [0.01, 0.1, 0.3])
def test_the_optimal_individual_attack_on_six_states(disturbance):
    """QBER = D in all three, and her guess right at D + (1−D)f with f = [1 + √(D(2−3D))/(1−D)]/2 (Bruß 1998)."""
    line = Line(states=SIX_STATE, dark_counts=0.0)
    law = line.under(OptimalIndividual(disturbance))
    f = (1 + math.sqrt(disturbance * (2 - 3 * disturbance)) / (1 - disturbance)) / 2
    for basis in range(3):
        close(law.qber(0, basis), line.both(disturbance))
        close(right_share(law, line.states, basis), disturbance + (1 - disturbance) * f)


def right_share(law: Seen, states: np.ndarray, basis: int, **keywords) -> float:
    """How often her note is the state that was sent."""
    joint = law.joint(0, basis, **keywords)
    return float(joint[0, states[basis, 0]] + joint[1, states[basis, 1]])


@pytest.mark.parametrize("error", [0.0, 0.02, 0.11, 0.25, 1 / 3])
def test_the_entangling_probe(error):
    """QBER = E in Z and X; Rényi information log2(1+4E(1−2E)/(1−E)²) on sifted bits without error, none on the others."""
    line = Line(states=SIX_STATE, misalignment=0.0, dark_counts=0.0)
    law = line.under(EntanglingProbe(error))
    renyi = math.log2(1 + 4 * error * (1 - 2 * error) / (1 - error) ** 2)
    for basis in range(2):
        assert law.qber(0, basis) == pytest.approx(error, abs=EXACT)
        right = right_share(law, line.states, basis, without_error=True)
        close(1 + math.log2(right**2 + (1 - right) ** 2), renyi)
        close(right, 0.5 + math.sqrt(error * (1 - 2 * error)) / (1 - error))
        close(right_share(law, line.states, basis), (1 - error) * right + error / 2)
    assert law.qber(0, 2) == pytest.approx(2 * error, abs=EXACT)
    assert law.information(0, 2) == pytest.approx(0.0, abs=EXACT)


def test_the_probe_is_a_controlled_not():
    """Gates on vectors give the same errors and the same overlaps as the formulas: control along Breidbart's axis."""
    error = 0.07
    axis = np.array([math.cos(math.pi / 8), math.sin(math.pi / 8)])
    turn = 2 * np.outer(axis, axis) - np.eye(2)
    target = np.array([math.sqrt(1 - 2 * error), math.sqrt(2 * error)])  # in the basis |+⟩, |−⟩
    kernel = EntanglingProbe(error).kernel(Line().knows)
    for state in range(8):
        zero, one = (
            np.array([math.cos(angle), math.sin(angle)])
            for angle in (state * math.pi / 8, state * math.pi / 8 + math.pi / 2)
        )
        probes = [np.array([v @ v, v @ turn @ v]) * target for v in (zero, one)]
        wrong = np.array([one @ zero, one @ turn @ zero]) * target
        right = (1 + math.sqrt(1 - (probes[0] @ probes[1] / (probes[0] @ probes[0])) ** 2)) / 2
        ways = (kernel.state[0, state, 1], kernel.note[0, state, 1], kernel.probability[0, state, 1])
        close(float(ways[2][ways[0] != state].sum()), float(wrong @ wrong))
        still = ways[0] == state
        close(float(ways[2][still & (ways[1] == state)].sum() / ways[2][still].sum()), right)


@pytest.mark.parametrize("error", [0.01, 0.05, 0.11])
def test_the_collective_attack_is_the_individual_one_with_a_bound_on_top(error):
    """Alice and Bob see the same; all probes together hold at most h(Q) per bit of four states, and the key rate's share of six."""
    line = Line(dark_counts=0.0)
    same(line.under(Collective(error)), line.under(OptimalIndividual(error)))
    close(Collective(error).holevo_bits_per_bit(line.knows), binary_entropy(error))
    assert binary_entropy(error) > line.under(Collective(error)).information()
    six = dataclasses.replace(line, states=SIX_STATE)
    bound = binary_entropy(1.5 * error) + 1.5 * error * math.log2(3) - binary_entropy(error)
    close(Collective(error).holevo_bits_per_bit(six.knows), bound)
    assert OptimalIndividual(error).holevo_bits_per_bit(line.knows) == 0.0


@pytest.mark.parametrize("error", [0.01, 0.05, 0.11])
def test_the_holevo_bound_is_that_of_her_states(error):
    """From the density matrices of her probe themselves: S(average) − average S, for each basis of either protocol."""
    for states in (BB84, SIX_STATE):
        weights = np.sqrt(pauli_weights(Line(states=states).knows, error))
        paulis = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
        for pair in states:
            found = [holevo_state(weights, paulis, VECTORS[int(state)]) for state in pair]
            chi = entropy(sum(found) / 2) - sum(entropy(rho) for rho in found) / 2
            line = Line(states=states, dark_counts=0.0)
            assert Collective(error).holevo_bits_per_bit(line.knows) == pytest.approx(chi, abs=1e-9)


VECTORS = {
    0: np.array([1, 0]),
    4: np.array([0, 1]),
    2: np.array([1, 1]) / math.sqrt(2),
    6: np.array([1, -1]) / math.sqrt(2),
    8: np.array([1, 1j]) / math.sqrt(2),
    9: np.array([1, -1j]) / math.sqrt(2),
}


def holevo_state(weights: np.ndarray, paulis: np.ndarray, photon: np.ndarray) -> np.ndarray:
    """Her probe, four levels, after it met a photon that is then Bob's."""
    joint = weights[:, None] * (paulis @ photon)
    return joint @ joint.conj().T


def entropy(rho: np.ndarray) -> float:
    """Von Neumann's, in bits."""
    values = np.linalg.eigvalsh(rho)
    some = values[values > 1e-14]
    return float(-(some @ np.log2(some)))


@pytest.mark.parametrize("attack", [OptimalIndividual(0.1), Collective(0.1), EntanglingProbe(0.1)])
def test_probes_meet_single_photons_only(attack):
    """Gains of weak pulses stay; errors come from pulses of one photon, and so does what she gets and the bound on it."""
    line = Line(DECOYS, before=0.9)
    law, untouched = line.under(attack), line.under(None)
    for kind, mean in enumerate(0.9 * mean for mean in DECOYS):
        assert law.gain(kind) == pytest.approx(untouched.gain(kind), rel=EXACT)
        single = mean * math.exp(-mean)
        silent = 1 - line.eta
        more = line.errors(line.both(0.1), silent) - line.errors(line.misalignment, silent)
        close(law.qber(kind), untouched.qber(kind) + single * more / law.gain(kind))
    noted = 1 - law.joint()[:, NOTHING].sum()
    close(noted, clicks_of_singles(line.knows))
    if isinstance(attack, Collective):
        close(attack.holevo_bits_per_bit(line.knows), noted * binary_entropy(0.1))


# ---- a receiver that turns its efficiency down at random ----


@pytest.mark.parametrize("attenuation", [0.0, 0.4])
@pytest.mark.parametrize(
    "attack",
    [
        InterceptResend(0.6, "random", "coherent"),
        NoiseMasked(),
        PhotonNumberSplitting(),
        BeamSplitting(),
        UnambiguousDiscrimination(),
        DecoyMimicking(),
    ],
)
def test_she_reckons_with_a_receiver_that_attenuates(attack, attenuation):
    """Over all gates, full and turned down, the signal's gain is what it was; what is invisible stays so."""
    for behind in (0.9, 0.1):
        line = Line(DECOYS, behind=behind, attenuated_share=0.3, attenuation=attenuation)
        law, untouched = line.under(attack), line.under(None)
        assert law.gain() == pytest.approx(untouched.gain(), rel=EXACT)
        if isinstance(attack, BeamSplitting | NoiseMasked):
            same(law, untouched)
        if not isinstance(attack, InterceptResend):
            assert law.qber() == pytest.approx(untouched.qber(), rel=EXACT)


# ---- every grain of light, every attack ----

VARIANTS = (
    InterceptResend(0.6),
    InterceptResend(0.7, "breidbart"),
    InterceptResend(0.5, "x", "coherent"),
    NoiseMasked(0.8),
    PhotonNumberSplitting(),
    PhotonNumberSplitting(preserve_gain=False),
    BeamSplitting(),
    UnambiguousDiscrimination(),
    UnambiguousDiscrimination(preserve_gain=False),
    DecoyMimicking(),
    OptimalIndividual(0.1),
    Collective(0.1),
    EntanglingProbe(0.2),
)
NAMES = [f"{v.id}-{i}" for i, v in enumerate(VARIANTS)]
BRISK = Line((0.9, 0.4), before=0.9, behind=0.3, efficiency=0.6, dark_counts=1e-3, misalignment=0.05)
PULSES = 300_000


def eve_of(line: Line, seed: int = 5) -> SimpleNamespace:
    """As much of Eve as an attack on light asks for."""
    return SimpleNamespace(knows=line.knows, random=RandomStreams(seed), notebook=Notebook())


@functools.cache
def exact(number: int) -> Seen:
    """The law of a variant on the brisk line."""
    return BRISK.under(VARIANTS[number])


@pytest.mark.parametrize("sampled", [False, True], ids=["dense", "sampled"])
@pytest.mark.parametrize("number", range(len(VARIANTS)), ids=NAMES)
def test_trains_follow_the_exact_law(number, sampled):
    """Clicks, errors, double clicks and her notes, per intensity and basis, are the exact law's (1e-9 for each count)."""
    line, attack, law = BRISK, VARIANTS[number], exact(number)
    emitter = dataclasses.replace(line.emitter, sampled=sampled)
    streams, eve = RandomStreams(number), eve_of(line)
    train, record = emitter.prepare(line.states, line.choice, PULSES, 0, 0.0, streams)
    everything = slice(0, PULSES)
    train.lose(everything, line.before, streams("before"))
    attack.on_photons(eve, train, everything, "bob")
    train.lose(everything, line.behind, streams("behind"))
    train.flip(everything, line.misalignment, streams("flip"))
    clicks = line.receiver.detect(train, line.choice, streams("detector"))
    sent = record.rounds(clicks.slots)
    (notes,) = eve.notebook._notes[0]
    noted = notes.at(clicks.slots)
    state = line.states[sent.settings, sent.outcomes]
    table = law.table()
    assert_binomial(clicks.double_clicks, PULSES, float(table[..., 3].sum()))
    for kind in range(2):
        for basis in range(2):
            here = (sent.intensities == kind) & (sent.settings == basis) & (clicks.settings == basis)
            rows = law.rows(kind, basis)
            chance = float(law.probability[rows & (law.fired > 0)].sum())
            assert_binomial(int(here.sum()), PULSES, chance)
            wrong = int((sent.outcomes != clicks.outcomes)[here].sum())
            assert_binomial(wrong, PULSES, chance * law.qber(kind, basis))
            joint = law.joint(kind, basis)
            right = joint[0, line.states[basis, 0]] + joint[1, line.states[basis, 1]]
            misread = joint[0, line.states[basis, 1]] + joint[1, line.states[basis, 0]]
            assert_binomial(int((noted == state)[here].sum()), PULSES, chance * right)
            assert_binomial(int((noted == OPPOSITE[state])[here].sum()), PULSES, chance * misread)
            assert_binomial(int((noted == NOTHING)[here].sum()), PULSES, chance * joint[:, NOTHING].sum())


def test_a_wrong_attack_would_have_shown():
    """The samples above tell splitting from beam splitting, and each fraction from half of it, with all but 1e-9."""
    split, beam = (
        exact(NAMES.index("eve.photon_number_splitting-4")),
        exact(NAMES.index("eve.beam_splitting-6")),
    )
    half = BRISK.under(InterceptResend(0.3))
    for one, other in ((split, beam), (exact(0), half)):
        noted = [
            float(law.probability[(law.fired > 0) & (law.notes != NOTHING)].sum()) for law in (one, other)
        ]
        assert_binomial(round(noted[0] * PULSES), PULSES, noted[0], fault=noted[1])


@pytest.mark.parametrize("attack", [InterceptResend(), InterceptResend(0.5, "breidbart")])
def test_intercept_resend_works_on_qubits_and_pairs(attack):
    """Trains without photon numbers are measured one by one, and her notebook has what she found."""
    fabric = DirectFabric(Topology([Site("alice", 0), Site("bob", 0)], 0.2, 0.0), np.random.default_rng(0))
    qubits = Emitter(1e6, 1.0, fabric.qubits("alice")).photons(np.zeros(200, dtype=np.uint8), 0, 0.0)
    half, _ = Emitter(1e6).pairs(200, 0, 0.0, np.random.default_rng(1))
    sampled, _ = Emitter(1e6, sampled=True).pairs(200, 0, 0.0, np.random.default_rng(1))
    for train in (qubits, half, sampled):
        eve = eve_of(Line())
        attack.on_photons(eve, train, slice(50, 150), "bob")
        Receiver().detect(train, Line().choice, np.random.default_rng(2))
        (notes,) = eve.notebook._notes[0]
        found = notes.at(np.arange(200))
        assert np.all(found[:50] == NOTHING)
        assert np.all(found[150:] == NOTHING)
        measured = int(np.sum(found[50:150] != NOTHING))
        assert_binomial(measured, 100, attack.fraction)
        axes = (1, 5) if attack.basis == "breidbart" else (0, 2, 4, 6)
        assert np.all(np.isin(found[found != NOTHING], axes))


@pytest.mark.parametrize("attack", [InterceptResend(basis="three"), InterceptResend(basis="y")])
def test_the_y_basis_is_measured_too(attack):
    """Pulses of six states, measured one by one: her notes are of Y as often as she chooses it."""
    train = Emitter(1e6).photons(np.zeros(30_000, dtype=np.uint8), 0, 0.0)
    eve = eve_of(Line(states=SIX_STATE))
    attack.on_photons(eve, train, slice(0, 30_000), "bob")
    (notes,) = eve.notebook._notes[0]
    assert_binomial(
        int(np.sum(notes.at(np.arange(30_000)) >= 8)), 30_000, 1.0 if attack.basis == "y" else 1 / 3
    )


def test_an_attack_on_photon_numbers_is_refused_by_a_train_without():
    """Splitting a qubit written in gates is not possible, and says so."""
    fabric = DirectFabric(Topology([Site("alice", 0), Site("bob", 0)], 0.2, 0.0), np.random.default_rng(0))
    train = Emitter(1e6, 1.0, fabric.qubits("alice")).photons(np.zeros(5, dtype=np.uint8), 0, 0.0)
    with pytest.raises(TypeError, match="trains of pulses"):
        BeamSplitting().on_photons(eve_of(Line()), train, slice(0, 5), "bob")


EDGES = (
    Line(DECOYS),
    Line(),
    Line((0.3,), behind=0.0),
    Line(DECOYS, efficiency=0.0),
    Line(DECOYS, behind=1.0),
    Line(DECOYS, behind=1.0, efficiency=1.0, dark_counts=0.0, misalignment=0.0),
    Line(DECOYS, before=0.0),
)


@pytest.mark.parametrize("line", EDGES)
@pytest.mark.parametrize("number", range(len(VARIANTS)), ids=NAMES)
def test_every_kernel_is_one_on_every_link(number, line):
    """Whatever the link, with no light left or none seen, the branches are a stochastic map that makes no light of nothing."""
    kernel = VARIANTS[number].kernel(line.knows)
    assert isinstance(kernel, Kernel)
    assert np.all(kernel.photons[:, :, 0][kernel.probability[:, :, 0] > 0] == 0)
    assert kernel.photons[kernel.probability > 0].max() < PHOTONS


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_says_what_it_is(attack):
    """Id, family, sign, gain, source and defences are there, parameters have units, and needs are known names."""
    assert attack.id.startswith("eve.")
    assert attack.family == "channel"
    assert attack.sign
    assert attack.gets
    assert attack.source
    assert attack.defences
    assert set(attack.needs) <= {"weak pulses", "pulses", "prepared"}
    assert attack().requires() == attack.needs
    assert len(attack.parameters()) == len(dataclasses.fields(attack))
    assert attack in Action.__subclasses__()
