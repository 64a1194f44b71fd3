"""The exact law of a pulse: gains, error rates and double clicks to rounding, against the formulas of the papers."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.ensemble import Ensemble, Law, Source
from netsim.photonics.light import (
    AFTER_GATE,
    BRIGHT,
    EARLY,
    LATE,
    NUMBER,
    OPPOSITE,
    SHIELDED,
    STATE,
    STEERED,
    Branch,
    kernel,
)
from netsim.photonics.train import (
    CAME_AFTER_GATE,
    CAME_EARLY,
    CAME_LATE,
    FIRED_0,
    FIRED_1,
    FIRED_BOTH,
    Choice,
)

STATES_ZX = np.array([[0, 4], [2, 6]], dtype=np.uint8)
ZX = np.array([0, 2], dtype=np.uint8)


def source(
    intensities: tuple[float, ...] = (), probabilities: tuple[float, ...] = (), fluctuation: float = 0.0
) -> Source:
    """BB84 with both bases alike."""
    emitter = Emitter(1e9, intensities=intensities, probabilities=probabilities, fluctuation=fluctuation)
    return emitter.source(STATES_ZX, Choice.uniform(ZX))


def law_of(
    sent: Source,
    receiver: Receiver,
    transmittance: float = 1.0,
    flip: float = 0.0,
    choice: Choice | None = None,
) -> Law:
    """Behind a channel."""
    ensemble = Ensemble(sent)
    ensemble.lose(transmittance)
    ensemble.flip(flip)
    return ensemble.law(receiver.response(), choice or Choice.uniform(ZX))


def statistics(
    law: Law, sent: Source, intensity: int, basis: int, measured: int
) -> tuple[float, float, float]:
    """Gain, share of errors and of double clicks per pulse of an intensity, prepared and measured in given bases."""
    cell = (sent.intensity == intensity) & (sent.setting == basis)
    rows = cell[law.symbol] & (law.setting == measured)
    fired = law.pattern[rows] & FIRED_BOTH
    p, bit = law.probability[rows], sent.bit[law.symbol[rows]]
    total = p.sum()
    wrong = (fired == FIRED_0) * (bit == 1) + (fired == FIRED_1) * (bit == 0) + 0.5 * (fired == FIRED_BOTH)
    return (
        float(p[fired > 0].sum() / total),
        float((p * wrong).sum() / total),
        float(p[fired == 3].sum() / total),
    )


@pytest.mark.parametrize("mu", [0.5, 0.1, 2e-4])
@pytest.mark.parametrize("transmittance", [1.0, 0.1, 1e-6])
@pytest.mark.parametrize("dark_counts", [0.0, 1e-9, 1e-3])
def test_gain_errors_and_double_clicks_of_coherent_pulses(mu, transmittance, dark_counts):
    """Threshold detectors on Poissonian pulses have the closed forms of gain, errors and double clicks, to 1e-9 of each.

    With c = 1 − (1 − p)e^(−ηµ): Q = 1 − (1 − p)²e^(−ηµ), c·p double clicks, EQ = (1 − e_d)·p(1 − c/2) + e_d·c(1 − p/2) in both
    bases; of what is measured in the other basis half are wrong.
    """
    eta, flip, p = 0.2 * transmittance, 0.02, dark_counts
    sent = source((mu,), (1.0,))
    law = law_of(sent, Receiver(0.2, p), transmittance, flip)
    c = p - (1 - p) * np.expm1(-eta * mu)
    gain = 2 * p - p * p - (1 - p) ** 2 * np.expm1(-eta * mu)
    errors = (1 - flip) * p * (1 - c / 2) + flip * c * (1 - p / 2)
    for basis in (0, 1):
        assert statistics(law, sent, 0, basis, basis) == pytest.approx(
            (gain, errors, c * p), rel=1e-9, abs=1e-24
        )
        crossed_gain, crossed_errors, _ = statistics(law, sent, 0, basis, 1 - basis)
        assert crossed_gain == pytest.approx(gain, rel=1e-9, abs=1e-24)
        assert crossed_errors == pytest.approx(gain / 2, rel=1e-9, abs=1e-24)


def test_the_gys_set_of_ma_2005():
    """At 50 km Q_µ = 1.924950e-3 and E_µ = 0.033412 (Ma, Qi, Zhao, Lo 2005, with Y0 = 2p); their sum of small terms holds to 1e-5."""
    y0, eta, mu, e_d = 1.7e-6, 0.045 * 10 ** (-0.21 * 50 / 10), 0.48, 0.033
    sent = source((mu,), (1.0,))
    gain, errors, _ = statistics(law_of(sent, Receiver(0.045, y0 / 2), 10**-1.05, e_d), sent, 0, 0, 0)
    assert gain == pytest.approx(y0 + 1 - np.exp(-eta * mu), rel=1e-5)
    assert gain == pytest.approx(1.924950e-3, rel=1e-5)
    assert errors == pytest.approx(y0 / 2 + e_d * (1 - np.exp(-eta * mu)), rel=1e-4)
    assert errors / gain == pytest.approx(0.033412, rel=1e-4)


@pytest.mark.parametrize("length_km", [0, 50, 100, 150])
def test_the_model_of_lim_2014(length_km):
    """D_k = 1 − (1 − 2p)e^(−ηk) and e_k = p + e_mis(1 − e^(−ηk)) without afterpulses, for all three intensities, to a share of p."""
    p, e_mis, intensities = 6e-7, 5e-3, (0.5, 0.15, 2e-4)
    transmittance = 10 ** (-0.02 * length_km)
    eta = 0.1 * transmittance
    sent = source(intensities, (0.6, 0.3, 0.1))
    law = law_of(sent, Receiver(0.1, p), transmittance, e_mis)
    for k, mu in enumerate(intensities):
        gain, errors, _ = statistics(law, sent, k, 0, 0)
        assert gain == pytest.approx(1 - (1 - 2 * p) * np.exp(-eta * mu), rel=1e-5)
        assert errors == pytest.approx(
            p + e_mis * (1 - np.exp(-eta * mu)), rel=0.02, abs=2 * p * e_mis + p * eta * mu
        )


def test_one_photon_through_mismatched_detectors():
    """η/2 and rη/2 per basis: the ones are rarer, and the errors from flips are weighted likewise."""
    eta, r, flip = 0.3, 0.6, 0.1
    sent = source()
    law = law_of(sent, Receiver(eta, mismatch=r), flip=flip)
    gain, errors, double = statistics(law, sent, 0, 0, 0)
    assert gain == pytest.approx(eta * (1 + r) / 2, rel=1e-12)
    assert errors == pytest.approx(flip * eta * (1 + r) / 2, rel=1e-12)
    assert double == 0.0
    ones = law.probability[law.pattern == FIRED_1].sum()
    assert ones / (law.probability[law.pattern > 0].sum()) == pytest.approx(r / (1 + r), rel=1e-12)


@pytest.mark.parametrize("photons", [2, 3])
def test_several_photons_on_two_detectors(photons):
    """In the other basis, n photons leave no click with (1 − η)^n, one detector alone with (1 − η/2)^n less that."""
    eta, dark = 0.4, 1e-3
    sent = source()
    ensemble = Ensemble(sent)
    ensemble.act(kernel(Branch(1.0, photons=photons)))
    law = ensemble.law(Receiver(eta, dark).response(), Choice.uniform(ZX))
    gain, _, double = statistics(law, sent, 0, 0, 1)
    none = (1 - eta) ** photons * (1 - dark) ** 2
    silent = (1 - eta / 2) ** photons * (1 - dark)
    assert gain == pytest.approx(1 - none, rel=1e-12)
    assert double == pytest.approx(1 - 2 * silent + none, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_a_law_is_a_distribution(seed):
    """Whatever is done to it, the probabilities sum to 1, both parties' marginals are their choices, and no row stands twice."""
    rng = np.random.default_rng(seed)
    sent = source((0.5, 0.1), (0.7, 0.3), 0.1)
    ensemble = Ensemble(sent)
    for step in rng.permutation(6):
        match step:
            case 0 | 1:
                ensemble.lose(rng.random())
            case 2 | 3:
                ensemble.flip(rng.random() / 2)
            case _:
                share = rng.random((2, 1, 1))
                ensemble.act(
                    kernel(
                        Branch(
                            share / 2,
                            state=int(rng.integers(10)),
                            photons=2,
                            flags=int(rng.integers(16)),
                            note=STATE,
                        ),
                        Branch(share / 2, state=OPPOSITE[STATE], note=NUMBER),
                        Branch(1 - share),
                    )
                )
    choice = Choice(ZX, np.array([0.8, 0.2]))
    law = ensemble.law(
        Receiver(
            0.6, 1e-3, mismatch=0.9, timing_mismatch=0.7, attenuated_share=0.2, attenuation=0.5
        ).response(),
        choice,
    )
    assert law.probability.sum() == pytest.approx(1.0, abs=1e-12)
    assert law.probability.min() >= 0
    assert np.bincount(law.symbol, law.probability) == pytest.approx(sent.probability, rel=1e-9)
    assert np.bincount(law.setting, law.probability) == pytest.approx(choice.probabilities, rel=1e-9)
    rows = np.stack([law.symbol, law.setting, law.pattern, law.bright, *law.notes])
    assert np.unique(rows, axis=1).shape == rows.shape
    assert law.notes.shape[0] == 2


def test_losses_commute_and_multiply():
    """Two losses around a flip are one loss and the flip, to rounding."""
    sent = source((0.5,), (1.0,))
    one, other = Ensemble(sent), Ensemble(sent)
    for step in (lambda e: e.lose(0.1), lambda e: e.flip(0.2), lambda e: e.lose(0.3)):
        step(one)
    other.flip(0.2)
    other.lose(0.03)
    laws = [e.law(Receiver(0.5, 1e-6).response(), Choice.uniform(ZX)) for e in (one, other)]
    assert laws[0].probability == pytest.approx(laws[1].probability, rel=1e-10, abs=1e-24)
    assert np.array_equal(laws[0].pattern, laws[1].pattern)


def faked(
    flags: int, state: int, receiver: Receiver, *, choice: Choice | None = None, lossy: bool = False
) -> Law:
    """The law for pulses of |0⟩, |1⟩, |+⟩ or |−⟩ that all carry some marks."""
    ensemble = Ensemble(source())
    ensemble.act(kernel(Branch(1.0, state=state, photons=1, flags=flags)))
    if lossy:
        ensemble.lose(0.1)
        ensemble.flip(0.4)
    return ensemble.law(receiver.response(), choice or Choice.uniform(ZX))


def share(law: Law, fired: int, setting: int | None = None) -> float:
    """How likely this pattern is, perhaps given the receiver's setting."""
    rows = np.ones(len(law.pattern), bool) if setting is None else law.setting == setting
    return float(law.probability[rows & ((law.pattern & 3) == fired)].sum() / law.probability[rows].sum())


def test_a_shielded_pulse_meets_no_loss_and_no_error():
    """It arrives whole, and is measured like any other."""
    law = faked(SHIELDED, 4, Receiver(0.5), lossy=True)
    assert (share(law, FIRED_1, 0), share(law, FIRED_0, 0)) == pytest.approx((0.5, 0.0))
    assert (share(law, FIRED_1, 1), share(law, FIRED_0, 1)) == pytest.approx((0.25, 0.25))
    cut = Ensemble(source())
    cut.act(kernel(Branch(1.0, flags=SHIELDED)))
    cut.lose(0.0)
    assert share(cut.law(Receiver(0.5).response(), Choice.uniform(ZX)), 0) == pytest.approx(1.0)


@pytest.mark.parametrize("flags", [BRIGHT, AFTER_GATE])
def test_a_faked_state_clicks_in_one_basis_only(flags):
    """For sure in the matching setting, whatever the efficiency, never in the other; blinded detectors have no dark counts."""
    dark = 0.1
    law = faked(flags, 4, Receiver(0.01, dark), lossy=True)
    if flags == BRIGHT:
        assert (share(law, FIRED_1, 0), share(law, 0, 1)) == pytest.approx((1.0, 1.0))
        assert law.bright.all()
    else:
        assert (share(law, FIRED_1, 0), share(law, FIRED_BOTH, 0)) == pytest.approx((1 - dark, dark))
        assert share(law, 0, 1) == pytest.approx((1 - dark) ** 2)
        assert not law.bright.any()
        assert np.all(law.pattern[law.pattern > 0] & CAME_AFTER_GATE)


def test_a_faked_state_fails_where_the_receiver_is_turned_down():
    """Random attenuation by half shows blinding: in those gates nothing clicks at all (da Silva et al. 2012; Lim et al. 2015)."""
    law = faked(BRIGHT, 0, Receiver(0.5, attenuated_share=0.25, attenuation=0.5))
    assert share(law, FIRED_0, 0) == pytest.approx(0.75)
    honest = law_of(source(), Receiver(0.5, attenuated_share=0.25, attenuation=0.5))
    assert share(honest, 0) == pytest.approx(1 - 0.5 * (0.75 + 0.25 * 0.5))


@pytest.mark.parametrize(("flags", "bit", "weaker"), [(EARLY, CAME_EARLY, 1), (LATE, CAME_LATE, 0)])
def test_shifted_light_meets_the_timing_mismatch(flags, bit, weaker):
    """Early light is seen worse by detector 1, late light by detector 0, and the click says when it came."""
    ratio = 0.4
    for state, detector in ((0, 0), (4, 1)):
        law = faked(flags, state, Receiver(0.5, timing_mismatch=ratio))
        expected = 0.5 * (ratio if detector == weaker else 1.0)
        assert share(law, FIRED_0 << detector, 0) == pytest.approx(expected)
        assert np.all(law.pattern[law.pattern > 0] & bit)


def test_a_steered_pulse_chooses_the_basis_of_a_passive_receiver():
    """All of it is measured in its own basis, if a splitter chooses; none is if a random number does."""
    choice = Choice(ZX, np.array([0.9, 0.1]))
    for passive, in_x in ((True, 1.0), (False, 0.1)):
        law = faked(STEERED, 6, Receiver(passive=passive), choice=choice)
        assert law.probability[law.setting == 1].sum() == pytest.approx(in_x)
        assert share(law, FIRED_1, 1) == pytest.approx(1.0)
    sure = faked(STEERED, 6, Receiver(passive=True), choice=Choice(ZX, np.array([1.0, 0.0])))
    assert sure.probability[sure.setting == 1].sum() == pytest.approx(1.0)


def test_marks_on_nothing_do_not_count():
    """Without a photon there is nothing bright, early or steered, and a later attack does not see them either."""
    marks = BRIGHT | EARLY | STEERED | SHIELDED
    ensemble = Ensemble(source())
    ensemble.act(kernel(Branch(1.0, photons=0, flags=marks)))
    ensemble.act(kernel(Branch(1.0, state=0, photons=1)))
    law = ensemble.law(Receiver(0.5, passive=True).response(), Choice.uniform(ZX))
    assert share(law, FIRED_0, 0) == pytest.approx(0.5)
    assert share(law, FIRED_0, 1) == pytest.approx(0.25)
    assert set(law.pattern.tolist()) == {0, FIRED_0, FIRED_1}


def test_notes_go_with_what_was_done():
    """A measurement in Z noted and sent on: the note is the bit in Z, nothing of the bit in X; elsewhere nothing is noted."""
    sent = source()
    ensemble = Ensemble(sent)
    zero = np.where(np.isin(STATE, (0, 2, 6)), np.where(STATE == 0, 1.0, 0.5), 0.0)
    ensemble.act(kernel(Branch(zero, state=0, note=0), Branch(1 - zero, state=4, note=4)))
    ensemble.untouched()
    law = ensemble.law(Receiver(0.5).response(), Choice.uniform(ZX))
    for basis, right in ((0, 1.0), (1, 0.5)):
        rows = (sent.setting[law.symbol] == basis) & (law.pattern > 0)
        guess = law.notes[0][rows] == 4
        p = law.probability[rows]
        assert float(p[guess == sent.bit[law.symbol[rows]]].sum() / p.sum()) == pytest.approx(right)
    assert np.all(law.notes[1] == 255)
