"""The formulas for a link's counts and rates: both papers' models, what each parameter does, and the optimiser."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.key_length.asymptotic import (
    CHSH_QUANTUM,
    bbm92_spdc,
    device_independent,
    gllp,
    six_state,
    vacuum_weak,
)
from netsim.rates.link_model import LinkModel, PairSource, SinglePhotons, WeakPulses
from netsim.rates.optimise import along, optimised
from netsim.rates.protocols import PROTOCOLS, Conditions, Rate

GYS = LinkModel(
    WeakPulses((0.48, 0.05, 0.0), (0.9998, 1e-4, 1e-4)),
    pulse_rate_hz=2e6,
    attenuation_db_per_km=0.21,
    misalignment=0.033,
    detector_efficiency=0.045,
    dark_counts=0.85e-6,
    formulas="ma-2005",
)
LIM = LinkModel(
    WeakPulses((0.5, 0.15, 2e-4), (0.6, 0.3, 0.1)),
    misalignment=5e-3,
    detector_efficiency=0.1,
    dark_counts=6e-7,
    afterpulse=0.04,
    key_basis=0.9,
    formulas="lim-2014",
)
PLAIN = LinkModel(WeakPulses((0.5, 0.15), (0.7, 0.3)), length_km=50.0, key_basis=0.9)


def at(model: LinkModel, length_km: float, **changes) -> LinkModel:
    """The link at another length, with other changes."""
    return dataclasses.replace(model, length_km=length_km, **changes)


def test_ma_2005_comes_out():
    """The gain and error rate of Ma et al. 2005 at 50 km of GYS fibre are the published formulas' to every digit."""
    signal = at(GYS, 50.0).signals[0]
    eta = 0.045 * 10 ** (-0.21 * 50 / 10)
    assert signal.gain == pytest.approx(1.7e-6 - math.expm1(-eta * 0.48), rel=1e-14)
    assert signal.gain == pytest.approx(1.924950e-3, rel=1e-6)
    assert signal.qber == pytest.approx(0.033412, abs=5e-7)


@pytest.mark.parametrize("length_km", [0.0, 50.0, 100.0, 140.0])
def test_the_asymptotic_rates_are_the_published_functions(length_km):
    """With their paper's formulas, the endless protocols give what `gllp` and `vacuum_weak` give."""
    model, conditions = at(GYS, length_km), Conditions(f=1.22)
    infinite = PROTOCOLS["decoy-asymptotic"].rate(model, conditions).surplus
    finite = PROTOCOLS["vacuum-weak"].rate(model, conditions).surplus
    eta = model.transmittance
    assert infinite == pytest.approx(gllp(0.48, eta, 1.7e-6, 0.033, 1.22), rel=1e-9)
    assert finite == pytest.approx(vacuum_weak(0.48, 0.05, eta, 1.7e-6, 0.033, 1.22), rel=1e-9)


def test_lim_2014_comes_out():
    """The counts of Lim et al. 2014's model are D(1 + p_ap) and p_dc + e_mis(1 − e^(−ηk)) + ½p_ap·D for each intensity."""
    model = at(LIM, 100.0)
    for mean, signal in zip((0.5, 0.15, 2e-4), model.signals, strict=True):
        a = math.exp(-0.1 * 10**-2 * mean)
        detected = 1 - (1 - 2 * 6e-7) * a
        assert signal.gain == pytest.approx(detected * 1.04, rel=1e-9)
        assert signal.errors == pytest.approx(6e-7 + 5e-3 * (1 - a) + 0.04 * detected / 2, rel=1e-9)


def test_a_block_has_the_size_asked_for():
    """Counts scale with the pulses, and `pulses_for` gives just the pulses that fill a block."""
    counts = LIM.counts(LIM.pulses_for(1e9))
    assert sum(counts.key_detections) == pytest.approx(1e9, rel=1e-12)
    assert sum(counts.test_detections) == pytest.approx(1e9 / 81, rel=1e-12)
    assert all(e < n for e, n in zip(counts.key_errors, counts.key_detections, strict=True))


def enumerated(model: LinkModel, a: float) -> tuple[float, float, float]:
    """Gain, errors and double clicks of a pulse, by going through all that two detectors can do."""
    d, e_d = model.dark_counts, model.misalignment
    gain = errors = doubles = 0.0
    for flipped, lit, dark_right, dark_wrong in itertools.product((False, True), repeat=4):
        p = (e_d if flipped else 1 - e_d) * ((1 - a) if lit else a)
        p *= (d if dark_right else 1 - d) * (d if dark_wrong else 1 - d)
        right = dark_right or (lit and not flipped)
        wrong = dark_wrong or (lit and flipped)
        gain += p * (right or wrong)
        doubles += p * (right and wrong)
        errors += p * (0.5 if right and wrong else float(wrong))
    return gain, errors, doubles


@given(
    intensity=st.floats(0.0, 2.0),
    dark=st.floats(0.0, 0.3),
    e_d=st.floats(0.0, 0.5),
    efficiency=st.floats(1e-3, 1.0),
    photons=st.integers(0, 4),
)
def test_threshold_detectors_are_counted_exactly(intensity, dark, e_d, efficiency, photons):
    """Gain, errors and double clicks are those of all sixteen cases, for coherent pulses and for photon numbers."""
    model = LinkModel(
        WeakPulses((2.0,), (1.0,)), detector_efficiency=efficiency, dark_counts=dark, misalignment=e_d
    )
    for signal, a in (
        (model.signal(intensity), math.exp(-efficiency * intensity)),
        (model.photons(photons), (1 - efficiency) ** photons),
    ):
        gain, errors, doubles = enumerated(model, a)
        assert signal.gain == pytest.approx(gain, abs=1e-12)
        assert signal.errors == pytest.approx(errors, abs=1e-12)
        assert signal.doubles == pytest.approx(doubles, abs=1e-12)


def test_a_coherent_pulse_is_its_photon_numbers():
    """The signal of a coherent pulse is the Poisson mean of the signals of photon numbers."""
    signal = PLAIN.signal(0.7)
    weights = [math.exp(-0.7) * 0.7**n / math.factorial(n) for n in range(25)]
    assert signal.gain == pytest.approx(
        sum(w * PLAIN.photons(n).gain for n, w in enumerate(weights)), rel=1e-9
    )
    assert signal.errors == pytest.approx(
        sum(w * PLAIN.photons(n).errors for n, w in enumerate(weights)), rel=1e-9
    )


def test_tiny_dark_counts_keep_their_digits():
    """A vacuum pulse's gain is 2d − d² also where d is 1e-13, far below the rounding of 1 − (1 − d)²."""
    model = dataclasses.replace(PLAIN, dark_counts=1e-13)
    assert model.photons(0).gain == pytest.approx(2e-13, rel=1e-9)


def test_background_light_is_noise():
    """Unpolarised background reaches each detector with half its photons."""
    model = dataclasses.replace(PLAIN, dark_counts=0.0, background=2e-3)
    quiet = math.exp(-2e-3 * 0.2 / 2)
    assert model.noise() == pytest.approx(1 - quiet, rel=1e-9)
    assert model.photons(0).gain == pytest.approx(1 - quiet**2, rel=1e-9)


def test_afterpulses_are_consistent_with_the_clicks_that_cause_them():
    """Noise by afterpulses is the afterpulse probability times the clicks per detector, its own included."""
    model = dataclasses.replace(PLAIN, length_km=0.0, afterpulse=0.1, dead_time_s=0.0, key_basis=0.5)
    extra = model.noise() - model.dark_counts
    clicks = 0.0
    for mean, probability in zip(model.source.intensities, model.source.probabilities, strict=True):
        a, u = math.exp(-model.transmittance * mean), 1 - model.noise()
        same_basis = (1 - u * a + 1 - u) / 2
        other_basis = 1 - u * math.sqrt(a)
        clicks += probability * (same_basis + other_basis) / 2
    assert extra == pytest.approx(0.1 * clicks, rel=1e-4)


def test_afterpulses_in_the_dead_time_are_not_seen():
    """A dead time of three trap lifetimes leaves e^(−3) of the afterpulses."""
    model = dataclasses.replace(PLAIN, afterpulse=0.1, afterpulse_lifetime_s=1e-7, dead_time_s=3e-7)
    assert model.seen_afterpulse == pytest.approx(0.1 * math.exp(-3))


def test_dead_time_saturates():
    """The registered rate is n/(1 + nτ), and never above 1/τ; the error rate stays."""
    model = dataclasses.replace(PLAIN, length_km=0.0, key_basis=0.999)
    slow = dataclasses.replace(model, dead_time_s=1e-7)
    mean = [sum(p * s.gain for p, s in zip((0.7, 0.3), m.signals, strict=True)) for m in (model, slow)]
    assert mean[1] == pytest.approx(mean[0] / (1 + 100 * mean[0]), rel=1e-12)
    assert mean[1] * 1e9 < 1 / 1e-7
    assert slow.signals[0].qber == pytest.approx(model.signals[0].qber, rel=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {"pulse_rate_hz": 5e8},
        {"length_km": 51.0},
        {"attenuation_db_per_km": 0.21},
        {"misalignment": 0.011},
        {"detector_efficiency": 0.21},
        {"dark_counts": 2e-6},
        {"background": 1e-4},
        {"afterpulse": 0.05},
        {"dead_time_s": 1e-7},
        {"key_basis": 0.8},
        {"source": WeakPulses((0.51, 0.15), (0.7, 0.3))},
        {"source": WeakPulses((0.5, 0.15), (0.71, 0.29))},
        {"formulas": "ma-2005"},
        {"formulas": "lim-2014"},
    ],
)
def test_every_parameter_acts(change):
    """No parameter of a link is ignored: each moves the rate per second of a decoy protocol."""
    conditions = Conditions(block_bits=1e7)
    before = PROTOCOLS["bb84-decoy1"].rate(PLAIN, conditions).per_second_bps
    after = PROTOCOLS["bb84-decoy1"].rate(dataclasses.replace(PLAIN, **change), conditions).per_second_bps
    assert before > 0
    assert after != before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"misalignment": 0.6}, "misalignment = 0.6, expected 0 to 0.5"),
        ({"dead_time_s": -1.0}, "dead_time_s"),
        ({"length_km": math.nan}, "length_km"),
        ({"formulas": "ma-2005", "afterpulse": 0.1}, "afterpulse = 0.1, expected 0 with ma-2005"),
        ({"key_basis": 0.0, "detector_efficiency": 2.0}, "detector_efficiency.*key_basis"),
    ],
)
def test_a_link_that_cannot_be_is_refused(change, words):
    """What is out of range is named with its range, all of it at once."""
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(PLAIN, **change)


@pytest.mark.parametrize(
    ("intensities", "probabilities"),
    [
        ((0.1, 0.5), (0.5, 0.5)),
        ((0.5, 0.1), (0.5, 0.4)),
        ((0.5,), (0.5, 0.5)),
        ((0.5, -0.1), (0.5, 0.5)),
        ((), ()),
    ],
)
def test_a_source_that_cannot_be_is_refused(intensities, probabilities):
    """Intensities that do not decrease and probabilities that do not sum to one are refused."""
    with pytest.raises(ValueError, match=r"intensit|probabilit"):
        WeakPulses(intensities, probabilities)


# Rates.


def test_lim_rate_at_no_distance():
    """The two-decoy rate of Lim et al.'s model, 1e9 bits a block, is near the 8.44e-3 of the paper's formulas."""
    rate = PROTOCOLS["bb84-decoy2"].rate(LIM, Conditions(f=1.16, eps_sec=1e-9, eps_cor=1e-15, block_bits=1e9))
    assert rate.per_pulse == pytest.approx(8.44e-3, rel=0.02)


def test_bb84_is_the_scenarios_protocol():
    """Half of the clicks are sifted, a share of those is tested, and a block of pulses has the bits that follow."""
    model = LinkModel(SinglePhotons(), length_km=10.0, test_fraction=0.25)
    rate = PROTOCOLS["bb84"].rate(model, Conditions(block_pulses=1e8))
    sifted = 1e8 * 0.5 * model.photons(1).gain
    assert f"of {round(sifted) - round(0.25 * round(sifted))};" in rate.account
    assert rate.block_pulses == 1e8
    assert rate.per_second_bps == pytest.approx(rate.per_pulse * 1e9)


def test_six_states_and_f():
    """The six-state rate is sifting × gain × [r(Q) − (f − 1)h(Q)], and less than the Shannon limit's."""
    model = LinkModel(SinglePhotons(), length_km=20.0, key_basis=1 / 3)
    signal = model.photons(1)
    ideal = PROTOCOLS["six-state"].rate(model, Conditions(f=1.0))
    assert ideal.per_pulse == pytest.approx(signal.gain / 3 * six_state(signal.qber))
    assert PROTOCOLS["six-state"].rate(model, Conditions(f=1.2)).per_pulse < ideal.per_pulse


def test_bbm92_is_ma_2007():
    """The pair source's rate is the published function's at the link's transmittances and noise."""
    model = LinkModel(PairSource(0.05, "alice"), length_km=100.0)
    y0 = 1 - (1 - 1e-6) ** 2
    expected = bbm92_spdc(0.05, 0.2, 0.2 * 10**-2, y0_a=y0, y0_b=y0, e_d=0.01, f=1.1)
    rate = PROTOCOLS["bbm92"].rate(model, Conditions(f=1.1))
    assert rate.per_pulse == pytest.approx(expected.rate, rel=1e-6)
    assert rate.qber == pytest.approx(expected.qber, rel=1e-6)


def test_device_independence_needs_nearly_every_photon():
    """With loss counted, a perfect source needs an efficiency where 1 = h(η(1−η)) + χ(2√2η² + 2(1−η)²): 92.3 %."""
    conditions = Conditions(f=1.0)

    def surplus(efficiency: float) -> float:
        model = LinkModel(PairSource(0.05), misalignment=0.0, dark_counts=0.0, detector_efficiency=efficiency)
        return PROTOCOLS["e91-di"].rate(model, conditions).surplus

    low, high = 0.9, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if surplus(middle) > 0 else (middle, high)
    assert low == pytest.approx(0.9231, abs=1e-4)
    s = CHSH_QUANTUM * low**2 + 2 * (1 - low) ** 2
    assert device_independent(low * (1 - low), s) == pytest.approx(0, abs=1e-6)
    assert surplus(1.0) == pytest.approx(device_independent(0.0, CHSH_QUANTUM))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_rate_beats_the_repeaterless_bound(name):
    """No protocol's rate exceeds −log2(1 − η) of its fibre, and a block too small for key says why."""
    protocol = PROTOCOLS[name]
    for length_km in (5.0, 50.0, 150.0, 400.0):
        model = dataclasses.replace(protocol.fitted(PLAIN), length_km=length_km)
        rate = protocol.rate(model, Conditions())
        assert 0 <= rate.per_pulse < -math.log2(1 - model.fibre_transmittance)
    assert rate.account.startswith("no key")


@pytest.mark.parametrize("name", [name for name, protocol in PROTOCOLS.items() if protocol.finite])
def test_a_link_that_registers_nothing_gives_no_key(name):
    """Without any clicks there is no block, and no division by nothing."""
    protocol = PROTOCOLS[name]
    model = at(protocol.fitted(PLAIN), 1e5, dark_counts=0.0)
    rate = protocol.rate(model, Conditions())
    assert rate.per_pulse == 0
    assert rate.account.startswith("no key")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"f": 0.9}, "f = 0.9"),
        ({"eps_sec": 0.0}, "eps_sec"),
        ({"block_bits": math.inf}, "block_bits"),
        ({"block_pulses": 0.0}, "block_pulses"),
    ],
)
def test_conditions_that_cannot_be_are_refused(change, words):
    """A reconciliation better than Shannon's limit, an ε of 0 and an endless finite block are refused by name."""
    with pytest.raises(ValueError, match=words):
        Conditions(**change)


# The optimiser.


@pytest.mark.parametrize("name", [name for name, protocol in PROTOCOLS.items() if protocol.free])
def test_shares_and_places_agree(name):
    """A link put at its own shares is itself."""
    protocol = PROTOCOLS[name]
    model = dataclasses.replace(protocol.fitted(PLAIN), key_basis=0.9)
    again = protocol.place(model, protocol.shares(model))
    assert protocol.shares(again) == pytest.approx(protocol.shares(model))
    assert protocol.rate(again, Conditions()).surplus == pytest.approx(
        protocol.rate(model, Conditions()).surplus, rel=1e-6
    )
    assert len(protocol.shares(model)) == len(protocol.free)


def best_of_grid(name: str, model: LinkModel, conditions: Conditions, steps: int) -> float:
    """The best surplus among all combinations of a few shares."""
    protocol = PROTOCOLS[name]
    model = protocol.begun(protocol.fitted(model))
    shares = [(n + 0.5) / steps for n in range(steps)]
    return max(
        protocol.rate(protocol.place(model, point), conditions).surplus
        for point in itertools.product(shares, repeat=len(protocol.free))
    )


@pytest.mark.parametrize(
    ("name", "length_km", "steps"),
    [
        ("bb84", 50.0, 400),
        ("bb84", 150.0, 400),
        ("decoy-asymptotic", 100.0, 400),
        ("vacuum-weak", 100.0, 400),
        ("bbm92", 100.0, 400),
        ("bb84-decoy1", 50.0, 9),
        ("bb84-decoy1", 150.0, 9),
        pytest.param("bb84-decoy2", 50.0, 7, marks=pytest.mark.slow),
        pytest.param("bb84-decoy2", 150.0, 7, marks=pytest.mark.slow),
    ],
)
def test_the_optimiser_is_no_worse_than_a_grid(name, length_km, steps):
    """Nothing on a brute-force grid beats what the optimiser found, and the grid's best comes near it."""
    conditions = Conditions()
    found = optimised(PROTOCOLS[name], at(PLAIN, length_km), conditions).surplus
    grid = best_of_grid(name, at(PLAIN, length_km), conditions, steps)
    assert grid <= found * (1 + 1e-4)
    assert grid > found * 0.8


def test_a_warm_start_changes_nothing():
    """Rates along growing distances are those of each distance alone, within a thousandth."""
    protocol, conditions = PROTOCOLS["bb84-decoy1"], Conditions()
    models = [at(PLAIN, length) for length in (0.0, 60.0, 120.0, 170.0)]
    for walked, model in zip(along(protocol, models, conditions), models, strict=True):
        alone = optimised(protocol, model, conditions)
        assert walked.surplus == pytest.approx(alone.surplus, rel=1e-3)


def test_the_same_call_gives_the_same_answer():
    """The optimiser uses no randomness: two calls agree to the last bit."""
    first, second = (optimised(PROTOCOLS["bb84-decoy1"], at(PLAIN, 80.0), Conditions()) for _ in range(2))
    assert first == second
    assert isinstance(first, Rate)


def test_what_is_held_stays():
    """Settings that are held are the link's own; the others move."""
    rate = optimised(PROTOCOLS["bb84-decoy1"], at(PLAIN, 80.0), Conditions(), held=("signal", "decoy"))
    assert rate.model.source.intensities == pytest.approx((0.5, 0.15))
    assert rate.model.source.probabilities != (0.7, 0.3)
