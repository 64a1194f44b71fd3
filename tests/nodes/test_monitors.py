"""Instruments: what they count, what a healthy link lets them count, and that attacks on devices do not keep to it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import pytest
from scipy.stats import binom

from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.ensemble import Ensemble, Law, Source
from netsim.photonics.light import PHOTONS, poisson_numbers
from netsim.photonics.record import Monitors
from netsim.photonics.train import Choice
from nodes.alarm import AlarmParameters, SequentialAlarm
from nodes.attacks.action import Action
from nodes.attacks.devices import AfterGate, Blinding, TimeShift, TrojanHorse, Wavelength, WeakRandom
from nodes.attacks.surroundings import Surroundings
from nodes.monitors import SILENT, PowerMonitor, counters, honest, rates, references
from nodes.telemetry import Telemetry
from tests.statistics import FALSE_FAILURE, assert_binomial

STATES = np.array([[0, 4], [2, 6]], dtype=np.uint8)
CHOICE = Choice(STATES[:, 0], np.array([0.7, 0.3]))
MEANS, SHARES = (0.5, 0.1), (0.8, 0.2)
TRANSMITTANCE, MISALIGNMENT = 0.1, 0.01


def source(means: tuple[float, ...] = MEANS) -> Source:
    """Weak pulses, or single photons."""
    numbers = np.array([poisson_numbers(mean) for mean in means]) if means else np.eye(PHOTONS)[None, 1]
    setting, bit, kind = (
        axis.ravel().astype(np.uint8)
        for axis in np.meshgrid(range(2), range(2), range(len(numbers)), indexing="ij")
    )
    shares = np.array(SHARES) if means else np.ones(1)
    return Source(
        CHOICE.probabilities[setting] / 2 * shares[kind], setting, bit, kind, STATES[setting, bit], numbers
    )


def knows(receiver: Receiver) -> Surroundings:
    """Eve sits at Alice's."""
    return Surroundings(
        states=STATES,
        choice=CHOICE,
        receiver_choice=CHOICE,
        numbers=source().numbers,
        intensities=MEANS,
        behind=TRANSMITTANCE,
        efficiency=receiver.efficiency,
        dark_counts=receiver.dark_counts,
        misalignment=MISALIGNMENT,
        timing_mismatch=receiver.timing_mismatch,
    )


def law_of(receiver: Receiver, attack: Action | None = None) -> Law:
    """Of a gate, with Eve or without."""
    if attack is None:
        return honest(source(), TRANSMITTANCE, MISALIGNMENT, receiver, CHOICE)
    ensemble = Ensemble(source())
    ensemble.act(attack.kernel(knows(receiver)))
    ensemble.lose(TRANSMITTANCE)
    ensemble.flip(MISALIGNMENT)
    return ensemble.law(receiver.response(), CHOICE)


def block(
    receiver: Receiver, rng: np.random.Generator, attack: Action | None = None, count: int = 400_000
) -> Monitors:
    """The instruments of one block."""
    train, _ = Emitter(1e8, intensities=MEANS, probabilities=SHARES, sampled=True).prepare(
        STATES, CHOICE, count, 0, 0.0, lambda _: rng
    )
    if attack is not None:
        train.act(slice(0, count), attack.kernel(knows(receiver)), rng)
    train.lose(slice(0, count), TRANSMITTANCE, rng)
    train.flip(slice(0, count), MISALIGNMENT, rng)
    return receiver.detect(train, CHOICE, rng).monitors


def telemetry(number: int, monitors: Monitors, names: Iterable[str]) -> Telemetry:
    """A block's counters of these names."""
    counts = counters(monitors)
    return Telemetry(number, float(number), {name: counts[name] for name in names})


PLAIN = Receiver(0.3, 1e-5)
GUARDED = Receiver(0.3, 1e-4, attenuated_share=0.2, attenuation=0.5, timing_mismatch=0.3)


def test_counters_are_events_among_trials():
    """Each instrument is counted among what it watches: gates, clicks, or clicks of one detector alone."""
    monitors = Monitors(
        gates=1000,
        clicks=100,
        double_clicks=10,
        ones=40,
        early=7,
        late=8,
        after_gate=9,
        attenuated=11,
        photocurrent=200,
    )
    counts = counters(monitors)
    assert counts == {
        "clicks": (100, 1000),
        "photocurrent": (200, 1000),
        "double clicks": (10, 100),
        "ones": (40, 90),
        "early": (7, 100),
        "late": (8, 100),
        "after gate": (9, 100),
        "attenuated": (11, 100),
    }
    assert Telemetry(0, 0.0, counts).counts == counts
    assert all(counts == (0, 0) for counts in counters(Monitors()).values())


@pytest.mark.parametrize(
    "receiver", [PLAIN, GUARDED, dataclasses.replace(GUARDED, mismatch=0.7, background=1e-3)]
)
def test_rates_are_those_that_instruments_show(receiver):
    """A block's counters are binomial with the exact rates, for every counter."""
    counts = counters(block(receiver, np.random.default_rng(1), count=4_000_000))
    expected = rates(law_of(receiver))
    assert expected.keys() == counts.keys()
    for name, (events, trials) in counts.items():
        assert_binomial(events, trials, expected[name])


@pytest.mark.parametrize(("share", "attenuation"), [(0.1, 0.5), (0.3, 0.1), (0.5, 0.0)])
@pytest.mark.parametrize("dark_counts", [0.0, 1e-4, 1e-2])
def test_attenuated_gates_have_their_share_of_the_clicks(share, attenuation, dark_counts):
    """f·D(aη) of f·D(aη) + (1−f)·D(η), D = 1−(1−p)²(1−tη); without dark counts f·a/(1−f+f·a)."""
    receiver = Receiver(0.3, dark_counts, attenuated_share=share, attenuation=attenuation)
    found = rates(honest(source(()), TRANSMITTANCE, 0.0, receiver, CHOICE))["attenuated"]
    full, low = (1 - (1 - dark_counts) ** 2 * (1 - TRANSMITTANCE * 0.3 * a) for a in (1.0, attenuation))
    assert found == pytest.approx(share * low / (share * low + (1 - share) * full), abs=1e-12)
    if not dark_counts:
        assert found == pytest.approx(share * attenuation / (1 - share + share * attenuation), abs=1e-12)


@pytest.mark.parametrize("mean", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("dark_counts", [0.0, 1e-3])
def test_double_clicks_follow_the_formula(mean, dark_counts):
    """In Alice's basis light fires one detector, in the other each sees half of a Poissonian pulse on its own."""
    receiver, pulse = (
        Receiver(0.3, dark_counts),
        dataclasses.replace(source(()), numbers=poisson_numbers(mean)[None]),
    )
    seen, p = mean * TRANSMITTANCE * 0.3, dark_counts
    fires = 1 - (1 - p) * math.exp(-seen)
    half = 1 - (1 - p) * math.exp(-seen / 2)
    same = 0.7**2 + 0.3**2
    clicks = 1 - (1 - p) ** 2 * math.exp(-seen)
    expected = (same * fires * p + (1 - same) * half**2) / clicks
    found = rates(honest(pulse, TRANSMITTANCE, 0.0, receiver, CHOICE))
    assert found["double clicks"] == pytest.approx(expected, abs=1e-12)
    assert found["clicks"] == pytest.approx(clicks, abs=1e-12)


@pytest.mark.parametrize("ratio", [1.0, 0.7, 0.2])
def test_the_share_of_ones_is_that_of_the_detectors(ratio):
    """Detector 1 of relative efficiency m has m/(1+m) of the clicks of single photons."""
    receiver = Receiver(0.3, mismatch=ratio)
    found = rates(honest(source(()), TRANSMITTANCE, MISALIGNMENT, receiver, CHOICE))["ones"]
    assert found == pytest.approx(ratio / (1 + ratio), abs=1e-12)


def test_what_never_clicks_has_no_rates_among_clicks():
    """A law without clicks says nothing of the share of anything among them."""
    dead = honest(source(), 0.0, 0.0, Receiver(0.3), CHOICE)
    assert rates(dead) == {"clicks": 0.0, "photocurrent": 0.0}
    assert set(references(dead, Receiver(0.3))) == set(SILENT)


@pytest.mark.parametrize("receiver", [PLAIN, GUARDED, dataclasses.replace(GUARDED, afterpulse=0.05)])
@pytest.mark.parametrize("tolerance", [0.0, 0.05, 0.5])
def test_references_take_in_the_honest_rates(receiver, tolerance):
    """Every reference contains its honest rate, an alarm takes them all, and silence is required of the silent ones."""
    law = law_of(receiver)
    expected, known = rates(law), references(law, receiver, tolerance=tolerance, spurious=1e-8)
    AlarmParameters(references=known)
    for name, (low, high) in known.items():
        assert low <= expected[name] <= high
    for name in SILENT:
        assert known[name] == (0.0, 1e-8)
    assert ("attenuated" in known) == (receiver.attenuated_share > 0)
    assert "clicks" not in known


@pytest.mark.parametrize("afterpulse", [0.02, 0.1, 0.3])
def test_references_hold_for_detectors_with_a_memory(afterpulse):
    """Dead time and afterpulses move no rate out of its reference, without any tolerance."""
    receiver = dataclasses.replace(
        GUARDED, dead_time_s=2e-8, afterpulse=afterpulse, afterpulse_lifetime_s=2e-7, efficiency=0.9
    )
    counts = counters(block(receiver, np.random.default_rng(5), count=20_000_000))
    for name, (low, high) in references(law_of(receiver), receiver, tolerance=0.0).items():
        events, trials = counts[name]
        assert (
            binom.ppf(FALSE_FAILURE / 2, trials, low) <= events <= binom.isf(FALSE_FAILURE / 2, trials, high)
        ), name


SIGNS = (
    (Blinding(), GUARDED, {"photocurrent", "attenuated", "double clicks"}),
    (AfterGate(), GUARDED, {"after gate", "attenuated", "double clicks"}),
    (TimeShift(1.0, 0.5), GUARDED, {"early", "late", "double clicks"}),
    (TimeShift(1.0, 0.2), GUARDED, {"early", "late", "ones", "double clicks"}),
    (Wavelength(), dataclasses.replace(GUARDED, passive=True), {"double clicks"}),
    (TrojanHorse(1e9), GUARDED, set()),
    (WeakRandom(1.0), GUARDED, set()),
)


@pytest.mark.parametrize(("attack", "receiver", "signs"), SIGNS)
def test_attacks_leave_the_references_by_their_signs_only(attack, receiver, signs):
    """The counters whose rate leaves the honest reference are exactly those that the attack is known by."""
    known, attacked = references(law_of(receiver), receiver), rates(law_of(receiver, attack))
    outside = {name for name, (low, high) in known.items() if not low <= attacked[name] <= high}
    assert outside == signs


@pytest.mark.parametrize(("attack", "receiver", "signs"), SIGNS)
def test_an_alarm_that_knows_the_references_names_the_attack(attack, receiver, signs):
    """From the first block on, an alarm on known references is raised by all of the signs, and by none before Eve comes."""
    rng = np.random.default_rng(8)
    known = references(law_of(receiver), receiver)
    alarm = SequentialAlarm(AlarmParameters(1e-10, references=known))
    for number in range(12):
        assert alarm.observe(telemetry(number, block(receiver, rng), known)) == ()
    raised = set()
    for number in range(12, 60):
        attacked = block(receiver, rng, attack)
        raised |= {found.counter for found in alarm.observe(telemetry(number, attacked, known))}
    assert raised == signs


def test_references_refuse_what_cannot_be():
    """A negative tolerance and a spurious rate that is no probability are refused with what was got."""
    law = law_of(PLAIN)
    for tolerance, spurious in ((-0.1, 1e-9), (0.1, 0.0), (0.1, 1.0)):
        with pytest.raises(ValueError, match=f"tolerance of {tolerance} and a spurious rate of {spurious}"):
            references(law, PLAIN, tolerance=tolerance, spurious=spurious)


# Alice's power monitor.


@pytest.mark.parametrize("photons", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("sensitivity", [1e-6, 1e-4])
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_the_power_monitor_counts_what_comes_in(photons, sensitivity, noise):
    """Its counts are binomial with 1−(1−noise)·e^(−sensitivity·photons) where light came in, and with its noise elsewhere."""
    monitor = PowerMonitor(sensitivity, noise)
    expected = 1 - (1 - noise) * math.exp(-sensitivity * photons)
    assert monitor.probability(photons) == pytest.approx(expected, abs=1e-15)
    rng = np.random.default_rng(4)
    events, trials = monitor.read(100_000, 100_000, photons, rng)
    assert trials == 100_000
    assert_binomial(events, trials, expected)
    assert_binomial(monitor.read(100_000, 0, photons, rng)[0], 100_000, noise)


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_a_power_monitor_sees_a_trojan_horse(noise):
    """Its reference holds without light, and is left at once when light comes in."""
    monitor, horse, rng = PowerMonitor(1e-5, noise), TrojanHorse(1e4), np.random.default_rng(6)
    alarm = SequentialAlarm(AlarmParameters(1e-10, references={"incoming power": monitor.reference()}))
    for number in range(12):
        quiet = {"incoming power": monitor.read(100_000, 0, 0.0, rng)}
        assert alarm.observe(Telemetry(number, float(number), quiet)) == ()
    lit = {"incoming power": monitor.read(100_000, 50_000, horse.incoming_photons, rng)}
    assert [found.counter for found in alarm.observe(Telemetry(12, 12.0, lit))] == ["incoming power"]
