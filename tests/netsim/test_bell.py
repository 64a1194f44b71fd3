"""The Bell measurement: held to closed forms of the literature, to coherent states phase by phase, and to photons counted one by one."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from scipy.special import i0

from netsim.photonics.bell import MEANS, PATTERNS, PSI_MINUS, PSI_PLUS, VECTORS, BellAnalyser
from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.ensemble import Ensemble, Law, Source
from netsim.photonics.light import (
    BORN,
    BRIGHT,
    NOTHING,
    NUMBER,
    OPPOSITE,
    PHOTONS,
    SHIELDED,
    STATE,
    STATES,
    Branch,
    kernel,
    poisson_numbers,
)
from netsim.photonics.train import Choice
from netsim.protocols.mdi import MDI
from tests.statistics import assert_binomial

PERFECT = BellAnalyser((1.0, 1.0), (0.0, 0.0))
REAL = BellAnalyser((0.62, 0.47), (2e-3, 7e-3), 0.83)
BOTH_BASES = Choice.uniform(np.array([0, 2], dtype=np.uint8))
SAME_POLARISATION = 0b0101  # both detectors of |0⟩, one at each port
WEAK = {"intensities": (0.5, 0.1, 0.0), "probabilities": (0.5, 0.3, 0.2)}


def emitter(**light) -> Emitter:
    """A sampled source."""
    return Emitter(1e9, sampled=True, **light)


def source(**light) -> Source:
    """All that an honest sender may send."""
    return emitter(**light).source(MDI().states, BOTH_BASES)


def arriving(of: Source, transmittance: float = 1.0, flipped: float = 0.0) -> Ensemble:
    """What arrives of it."""
    ensemble = Ensemble(of)
    ensemble.lose(transmittance)
    ensemble.flip(flipped)
    return ensemble


def sides(law: Law, of: Source) -> tuple[np.ndarray, np.ndarray]:
    """The symbols of the two sides in each row."""
    return law.symbol // len(of.probability), law.symbol % len(of.probability)


def wrong(law: Law, of: Source) -> np.ndarray:
    """In which rows the two bits differ after Bob's flip."""
    one, other = sides(law, of)
    flips = MDI.flips(of.setting[other], np.maximum(law.pattern, 1) - 1)
    return (of.bit[one] ^ of.bit[other] ^ flips).astype(np.bool_)


def gains(law: Law, of: Source) -> list[tuple[float, float]]:
    """Per basis, if both chose it: the probability of an announcement, and of one with an error."""
    one, other = sides(law, of)
    found = []
    for basis in (0, 1):
        chosen = (of.setting[one] == basis) & (of.setting[other] == basis)
        both, announced = law.probability[chosen].sum(), chosen & (law.pattern > 0)
        error = announced & wrong(law, of)
        found.append(
            (float(law.probability[announced].sum() / both), float(law.probability[error].sum() / both))
        )
    return found


def counted(n: int, m: int, one: int, other: int, analyser: BellAnalyser) -> np.ndarray:
    """Patterns of n and m photons from creation operators: eight modes (port, polarisation, in common or not), photon by photon."""
    together, apart = math.sqrt(analyser.visibility), math.sqrt(1.0 - analyser.visibility)
    created = [[((port, p, 0), VECTORS[one][p] / math.sqrt(2)) for port in (0, 1) for p in (0, 1)]] * n
    created += [
        [
            ((port, p, mode), (-1) ** port * VECTORS[other][p] * share / math.sqrt(2))
            for port in (0, 1)
            for p in (0, 1)
            for mode, share in ((0, together), (1, apart))
        ]
    ] * m
    amplitudes: dict[tuple, complex] = {(): 1.0}
    for operator in created:
        more: dict[tuple, complex] = defaultdict(complex)
        for occupied, amplitude in amplitudes.items():
            for mode, factor in operator:
                more[tuple(sorted((*occupied, mode)))] += amplitude * factor
        amplitudes = more
    patterns = np.zeros(PATTERNS)
    for occupied, amplitude in amplitudes.items():
        multiplicity = math.prod(math.factorial(occupied.count(mode)) for mode in set(occupied))
        weight = abs(amplitude) ** 2 * multiplicity / (math.factorial(n) * math.factorial(m))
        silent = [
            (1.0 - analyser.noise[p])
            * (1.0 - analyser.efficiency[p]) ** sum(mode[:2] == (port, p) for mode in occupied)
            for port in (0, 1)
            for p in (0, 1)
        ]
        for pattern in range(PATTERNS):
            patterns[pattern] += weight * math.prod(
                1.0 - s if pattern >> k & 1 else s for k, s in enumerate(silent)
            )
    return patterns


def phase_by_phase(
    mean: float, other_mean: float, one: int, other: int, analyser: BellAnalyser
) -> np.ndarray:
    """Patterns of two coherent states, averaged over their relative phase."""
    phase = (np.arange(256) + 0.5) * 2 * np.pi / 256
    u, v = np.tile(VECTORS[one], 2), np.tile(VECTORS[other], 2)
    sign = np.array([1, 1, -1, -1])
    noise, efficiency = np.tile(analyser.noise, 2), np.tile(analyser.efficiency, 2)
    light = (mean * np.abs(u) ** 2 + other_mean * np.abs(v) ** 2)[:, None] / 2
    across = math.sqrt(analyser.visibility * mean * other_mean) * sign * u.conj() * v
    light = efficiency[:, None] * (light + np.real(across[:, None] * np.exp(1j * phase)))
    dark = (1.0 - noise)[:, None] * np.exp(-light)
    fires = -np.expm1(np.log1p(-noise)[:, None] - light)
    bits = np.arange(PATTERNS)[:, None] >> np.arange(4) & 1
    return np.where(bits[..., None] > 0, fires, dark).prod(axis=1).mean(axis=1)


@pytest.mark.parametrize("analyser", [PERFECT, REAL], ids=["perfect", "real"])
def test_patterns_are_those_of_photons_counted_one_by_one(analyser):
    """Up to four photons in any states give, pattern by pattern, what creation operators give."""
    for one, other in [(0, 0), (0, 4), (2, 2), (2, 6), (0, 2), (1, 7), (8, 9), (8, 2), (3, 8)]:
        patterns = analyser.patterns(one, other)
        for n, m in itertools.product(range(4), range(4)):
            if n + m <= 4:
                expected = counted(n, m, one, other, analyser)
                assert patterns[n, m] == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(
    ("mean", "other_mean"), [(0.5, 0.3), (2.0, 1.4), (1e-3, 0.4), (0.0, 0.2), (1e-5, 1e-5)]
)
def test_laser_pulses_are_coherent_states_of_random_phase(mean, other_mean):
    """Poissonian photon numbers give each of the patterns that the average over the phase gives, to 12 digits."""
    for one, other in [(0, 0), (0, 4), (2, 2), (2, 6), (0, 2), (1, 8)]:
        found = np.einsum(
            "n,m,nmk->k", poisson_numbers(mean), poisson_numbers(other_mean), REAL.patterns(one, other)
        )
        assert found == pytest.approx(phase_by_phase(mean, other_mean, one, other, REAL), rel=1e-12, abs=0)


def test_every_pattern_is_somewhere():
    """The probabilities of a pulse pair's patterns add up to 1, for any photon numbers."""
    for one, other in itertools.product(range(STATES), repeat=2):
        assert REAL.patterns(one, other).sum(axis=2) == pytest.approx(np.ones((PHOTONS, PHOTONS)), abs=1e-13)


@pytest.mark.parametrize("visibility", [1.0, 0.9, 0.0])
def test_hong_ou_mandel_dip(visibility):
    """Like photons never leave by different ports; as their modes part, half of them do."""
    analyser = dataclasses.replace(PERFECT, visibility=visibility)
    for state in range(STATES):
        patterns = analyser.patterns(state, state)[1, 1]
        apart = sum(patterns[p] for p in range(PATTERNS) if p & 0b0011 and p & 0b1100)
        assert apart == pytest.approx((1.0 - visibility) / 2, abs=1e-15)


def test_coherent_dip_is_one_half():
    """Of weak pulses without a phase interference takes half of the coincidences away, and no more."""
    weak = poisson_numbers(1e-4)

    def coincidences(visibility: float) -> float:
        patterns = dataclasses.replace(PERFECT, visibility=visibility).patterns(0, 0)
        return float(np.einsum("n,m,nm->", weak, weak, patterns[..., SAME_POLARISATION]))

    assert coincidences(1.0) / coincidences(0.0) == pytest.approx(0.5, rel=1e-4)


def test_four_bell_states_and_the_two_that_are_told():
    """|01⟩ and |10⟩ hold ψ− and ψ+ alike; |00⟩ and |11⟩ hold neither; |++⟩ never shows ψ−, |+−⟩ never ψ+."""

    def told(one: int, other: int) -> list[float]:
        return [
            float(PERFECT.patterns(one, other)[1, 1][list(MEANS[state])].sum())
            for state in (PSI_MINUS, PSI_PLUS)
        ]

    for pair, expected in (
        ((0, 4), [0.5, 0.5]),
        ((4, 0), [0.5, 0.5]),
        ((0, 0), [0.0, 0.0]),
        ((4, 4), [0.0, 0.0]),
        ((2, 2), [0.0, 0.5]),
        ((6, 6), [0.0, 0.5]),
        ((2, 6), [0.5, 0.0]),
        ((6, 2), [0.5, 0.0]),
    ):
        assert told(*pair) == pytest.approx(expected, abs=1e-15), pair


CHANNELS = [(0.4, 0.3, 0.2, 0.5, 0.015), (0.5, 0.01, 0.9, 0.9, 0.0), (0.05, 0.05, 0.05, 0.1, 0.1)]
"""Mean photon numbers, transmittances, misalignment."""


@pytest.mark.parametrize(("mean_a", "mean_b", "through_a", "through_b", "flipped"), CHANNELS)
def test_weak_pulses_follow_the_closed_forms(mean_a, mean_b, through_a, through_b, flipped):
    """Gains and error rates in both bases are those of Ma, Razavi, Phys. Rev. A 86, 062319 (2012)."""
    p, eta = 3e-6, 0.3
    analyser = BellAnalyser((eta, eta), (p, p))
    one, other = (source(intensities=(mean,), probabilities=(1.0,)) for mean in (mean_a, mean_b))
    law = analyser.law(arriving(one, through_a), arriving(other, through_b, flipped))
    seen_a, seen_b = eta * through_a * mean_a, eta * through_b * mean_b
    both = seen_a + seen_b
    x, y = math.sqrt(seen_a * seen_b) / 2, (1 - p) * math.exp(-both / 4)
    right = (1 - (1 - p) * math.exp(-seen_a / 2)) * (1 - (1 - p) * math.exp(-seen_b / 2))
    right *= 2 * (1 - p) ** 2 * math.exp(-both / 2)
    false = 2 * p * (1 - p) ** 2 * math.exp(-both / 2) * (i0(2 * x) - (1 - p) * math.exp(-both / 2))
    diagonal = 2 * y**2 * (1 + 2 * y**2 - 4 * y * i0(x) + i0(2 * x))
    error = diagonal / 2 - 2 * (0.5 - flipped) * y**2 * (i0(2 * x) - 1)
    z, xx = gains(law, one)
    assert z == pytest.approx((right + false, flipped * right + (1 - flipped) * false), rel=1e-10)
    assert xx == pytest.approx((diagonal, error), rel=1e-8)  # theirs cancels


@pytest.mark.parametrize(("through_a", "through_b", "flipped"), [channel[2:] for channel in CHANNELS])
def test_single_photons_follow_the_closed_forms(through_a, through_b, flipped):
    """Y11 in both bases and e11 in X are those of Ma, Razavi 2012; in Z equal photons leave by one port, so that noise makes the error."""
    p, eta = 3e-6, 0.3
    a, b = eta * through_a, eta * through_b
    of = source()
    law = BellAnalyser((eta, eta), (p, p)).law(arriving(of, through_a), arriving(of, through_b, flipped))
    both = (1 - p) ** 2 * (a * b / 2 + (2 * a + 2 * b - 3 * a * b) * p + 4 * (1 - a) * (1 - b) * p**2)
    in_x = both / 2 - (0.5 - flipped) * (1 - p) ** 2 * a * b / 2
    seen = 1 - (1 - a) * (1 - b)
    alike = (seen + 2 * p * (1 - seen)) * (1 - p) * p * (1 - p)  # half of the pulses, one of two detectors
    in_z = flipped * (both - alike) + (1 - flipped) * alike
    assert gains(law, of) == [
        pytest.approx((both, in_z), rel=1e-10),
        pytest.approx((both, in_x), rel=1e-10),
    ]


def test_errors_of_perfect_relays():
    """Single photons make none; weak pulses none in Z, and a quarter in X, where two of one side pass for one of each."""
    for _, error in gains(PERFECT.law(arriving(source()), arriving(source())), source()):
        assert error == pytest.approx(0.0, abs=1e-16)
    of = source(intensities=(1e-4,), probabilities=(1.0,))
    z, x = gains(PERFECT.law(arriving(of), arriving(of)), of)
    assert z[1] == 0.0
    assert x[1] / x[0] == pytest.approx(0.25, rel=1e-3)


def test_partial_interference_costs_errors_in_x_alone():
    """Of single photons (1 − V)/2 of what is announced in X is wrong, and nothing in Z."""
    law = dataclasses.replace(PERFECT, visibility=0.9).law(arriving(source()), arriving(source()))
    z, x = gains(law, source())
    assert z == pytest.approx((0.5, 0.0), abs=1e-15)
    assert x == pytest.approx((0.5, 0.025), abs=1e-15)


def test_detectors_of_a_receiver():
    """Efficiency, mismatch, gate and noise of a receiver act; memory and random attenuation are refused."""
    receiver = Receiver(0.5, 1e-6, mismatch=0.8, jitter_s=1e-10, gate_s=2e-10, background=1e-4)
    analyser = BellAnalyser.of(receiver, 0.95)
    response = receiver.response()
    assert analyser.efficiency == tuple(response.efficiency[0])
    assert analyser.noise == tuple(response.noise)
    assert analyser.visibility == 0.95
    for fault in ({"dead_time_s": 1e-6}, {"afterpulse": 0.01}, {"attenuated_share": 0.1}):
        with pytest.raises(ValueError, match="no memory"):
            BellAnalyser.of(Receiver(**fault))
    with pytest.raises(ValueError, match="expected probabilities"):
        BellAnalyser((1.0, 1.0), (0.0, 0.0), 1.5)


def sent(count: int, seed: int = 1, **light):
    """A train of one sender, and the record of it."""
    rng = np.random.default_rng(seed)
    return emitter(**light).prepare(MDI().states, BOTH_BASES, count, 0, 0.0, lambda _: rng)


def test_sampled_trains_follow_the_law():
    """Of 10^7 pulses each combination of what was sent and announced is as frequent as the law says, silent slots included.

    433 counts are compared, each at 1e-9: a right implementation fails in 5e-7 of all seeds.
    """
    count, rng = 10**7, np.random.default_rng(5)
    (one, hers), (other, his) = sent(count, 2, **WEAK), sent(count, 3, **WEAK)
    everything = slice(0, count)
    one.lose(everything, 0.7, rng)
    other.lose(everything, 0.5, rng)
    other.flip(everything, 0.03, rng)
    heralds = REAL.measure(one, other, rng)
    of = source(**WEAK)
    law = REAL.law(arriving(of, 0.7), arriving(of, 0.5, 0.03))
    quiet = np.setdiff1d(np.arange(0, count, 11), heralds.slots)
    sample = len(quiet)
    announced = float(law.probability[law.pattern > 0].sum())
    assert_binomial(len(heralds.slots), count, announced, fault=1.06 * announced)
    for slots, pattern, trials, chance in (
        (heralds.slots[heralds.states == PSI_MINUS], 1, count, 1.0),
        (heralds.slots[heralds.states == PSI_PLUS], 2, count, 1.0),
        (quiet, 0, sample, 1.0 - announced),
    ):
        mine, theirs = hers.rounds(slots), his.rounds(slots)
        assert mine.held.all()
        assert theirs.held.all()
        symbol = [(r.settings * 2 + r.outcomes) * 3 + r.intensities for r in (mine, theirs)]
        found = np.bincount(symbol[0].astype(int) * 12 + symbol[1], minlength=144)
        expected = np.zeros(144)
        np.add.at(expected, law.symbol[law.pattern == pattern], law.probability[law.pattern == pattern])
        for cell in range(144):
            assert_binomial(int(found[cell]), trials, expected[cell] / chance)


def test_whoever_asks_is_told_the_same():
    """Both sides' records stay as they are, whatever is asked first, and in whichever order."""
    rng = np.random.default_rng(6)
    (one, hers), (other, his) = sent(10**5, 2, **WEAK), sent(10**5, 3, **WEAK)
    heralds = REAL.measure(one, other, rng)
    some = np.arange(0, 10**5, 7)
    first, second = hers.rounds(some), his.rounds(heralds.slots)
    again = hers.rounds(np.arange(10**5))
    assert np.array_equal(first.outcomes, again.outcomes[some])
    assert np.array_equal(first.settings, again.settings[some])
    assert np.array_equal(second.outcomes, his.rounds(np.arange(10**5)).outcomes[heralds.slots])
    with pytest.raises(IndexError):
        his.rounds(np.array([10**5]))


def test_what_happens_on_an_arm_for_a_while_happens_then():
    """Light cut on one arm for a third of the train, flipped on the other for another: gains and errors change there alone."""
    count, rng = 3 * 10**6, np.random.default_rng(7)
    (one, hers), (other, his) = sent(count, 2), sent(count, 3)
    third = count // 3
    one.lose(slice(0, third), 0.0, rng)
    other.flip(slice(third, 2 * third), 1.0, rng)
    heralds = PERFECT.measure(one, other, rng)
    mine, theirs = hers.rounds(heralds.slots), his.rounds(heralds.slots)
    alike = mine.settings == theirs.settings
    errors = alike & ((mine.outcomes ^ theirs.outcomes ^ MDI.flips(theirs.settings, heralds.states)) > 0)
    part = heralds.slots // third
    assert np.all(part > 0)
    for place in (1, 2):
        assert_binomial(int(np.sum(part == place)), third, 0.5, fault=0.49)
    assert np.array_equal(errors, alike & (part == 1))


def test_attacks_on_an_arm_keep_their_notes():
    """A measurement in Z on Alice's arm is noted, lets Z be and makes half of X wrong; where it was not, nothing is noted."""
    count, rng = 10**6, np.random.default_rng(8)
    (one, hers), (other, his) = sent(count, 2), sent(count, 3)
    outcomes = [(BORN[STATE, setting], setting) for setting in (0, int(OPPOSITE[0]))]
    in_z = kernel(*(Branch(np.where(NUMBER > 0, p, p), s, None, SHIELDED, s) for p, s in outcomes))
    half = slice(0, count // 2)
    notes = one.act(half, in_z, rng)
    one.lose(slice(0, count), 0.5, rng)
    heralds = PERFECT.measure(one, other, rng)
    mine, theirs = hers.rounds(heralds.slots), his.rounds(heralds.slots)
    noted, attacked = notes.at(heralds.slots), heralds.slots < half.stop
    assert np.array_equal(noted == NOTHING, ~attacked)
    in_key = attacked & (mine.settings == 0)
    assert np.array_equal(noted[in_key], np.where(mine.outcomes[in_key], 4, 0))
    errors = (mine.outcomes ^ theirs.outcomes ^ MDI.flips(theirs.settings, heralds.states)) > 0
    assert not errors[(mine.settings == 0) & (theirs.settings == 0)].any()
    tested = (mine.settings == 1) & (theirs.settings == 1)
    assert_binomial(int(np.sum(errors & tested & attacked)), int(np.sum(tested & attacked)), 0.5, fault=0.45)
    assert not errors[tested & ~attacked].any()
    # What she shields is not lost behind her.
    assert_binomial(int(np.sum(attacked)), count // 2, 0.5, fault=0.49)
    assert_binomial(int(np.sum(~attacked)), count // 2, 0.25, fault=0.26)


def test_light_for_another_kind_of_detector_is_refused():
    """Faked states mean nothing to a Bell measurement, nor do trains that are not sampled, or not of one length."""
    rng = np.random.default_rng(9)
    (one, _), (other, _) = sent(1000), sent(1000)
    one.act(slice(0, 1000), kernel(Branch(1.0, flags=BRIGHT)), rng)
    with pytest.raises(TypeError, match="receiver's detectors"):
        PERFECT.measure(one, other, rng)
    dense = Emitter(1e9).photons(np.zeros(1000, dtype=np.uint8), 0, 0.0)
    for unfit in (dense, sent(999)[0]):
        with pytest.raises(TypeError, match="two sampled trains of one length"):
            PERFECT.measure(sent(1000)[0], unfit, rng)


def test_nothing_is_announced_of_nothing():
    """Trains without pulses give no announcement; what was measured once leaves darkness behind."""
    rng = np.random.default_rng(10)
    assert not len(PERFECT.measure(sent(0)[0], sent(0)[0], rng).slots)
    (one, _), (other, _) = sent(1000), sent(1000)
    assert len(PERFECT.measure(one, other, rng).slots)
    assert not len(PERFECT.measure(one, other, rng).slots)
