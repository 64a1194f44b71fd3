"""Presets: every value has an origin and reads as a scenario's does, and what was published is met as stated."""

from __future__ import annotations

import dataclasses

import pytest

from netsim.errors import ScenarioError
from netsim.rates.link_model import PairSource, SinglePhotons, WeakPulses
from netsim.rates.protocols import PROTOCOLS, Conditions
from scenarios.presets import PRESETS, find, rate_at, reach_km, system

WITHIN = {
    # Ours over theirs, as docs/rates.md prints it; a change of a bound that moves one of these must move the page.
    ("gys-2004", "reach, infinite decoys"): (0.999, 1.001),
    ("gys-2004", "reach, vacuum + weak"): (0.999, 1.001),
    ("lim-2014", "rate at 1e9 bits a block over 1e7, 100 km"): (0.9, 1.1),
    ("boaron-2018", "key rate at 251.7 km, 42.7 dB"): (1.0, 2.0),
    ("boaron-2018", "key rate at 302.1 km, 51.3 dB"): (1.0, 2.0),
    ("boaron-2018", "key rate at 354.5 km, 60.6 dB"): (1.0, 2.0),
    ("boaron-2018", "key rate at 404.9 km, 69.3 dB"): (0.5, 1.5),
    ("boaron-2018", "key rate at 421.1 km, 71.9 dB"): (3.0, 10.0),
    ("li-2023", "key rate at 10 km"): (0.5, 1.2),
    ("toshiba", "key rate in Tokyo, 45 km, 14.5 dB"): (0.5, 1.5),
    ("toshiba", "key rate of the product at 10 dB"): (1.5, 4.0),
}


@pytest.mark.parametrize("name", PRESETS)
def test_every_value_has_an_origin_and_reads(name):
    """A preset's values are read without a fault, and each says where it is from."""
    preset = PRESETS[name]
    model, conditions = preset.system()
    assert model.pulse_rate_hz >= 2e6
    assert conditions.f >= 1
    assert all(parameter.origin.strip() for parameter in preset.parameters)
    assert len({parameter.path for parameter in preset.parameters}) == len(preset.parameters)
    assert set(preset.protocols) <= set(PROTOCOLS)


@pytest.mark.parametrize("name", PRESETS)
def test_overrides_are_a_scenarios_paths(name):
    """What a scenario has is spelled as its overrides; what only a rate has is not among them."""
    overrides = PRESETS[name].overrides()
    assert all(one.startswith("link.") and "=" in one for one in overrides)
    assert not any(one.startswith(("f=", "block_bits=", "formulas=")) for one in overrides)


@pytest.mark.parametrize(
    ("name", "published"), [(name, one) for name, preset in PRESETS.items() for one in preset.published]
)
def test_published_numbers_are_met_as_stated(name, published):
    """Ours over the printed number is within the factor that the page states."""
    low, high = WITHIN[name, published.what]
    assert published.value > 0
    assert published.origin
    assert low <= published.ours(PRESETS[name]) / published.value <= high


def test_gys_is_the_published_parameter_set():
    """The transmittance, dark counts and error of Ma et al. 2005's table come out of the text values."""
    model, conditions = PRESETS["gys-2004"].system()
    assert model.detector_efficiency == 0.045
    assert 2 * model.dark_counts == pytest.approx(1.7e-6)
    assert (model.attenuation_db_per_km, model.misalignment, conditions.f) == (0.21, 0.033, 1.22)
    assert model.source == WeakPulses((0.48, 0.05, 0.0), (0.9998, 1e-4, 1e-4))


def test_changes_win_over_the_preset():
    """A value changed in the call replaces the preset's, and moves the rate."""
    preset = PRESETS["ghz"]
    before = rate_at(preset, "decoy-asymptotic", 50.0)
    after = rate_at(preset, "decoy-asymptotic", 50.0, {"link.detector.efficiency": "40 %"})
    assert after.per_pulse == pytest.approx(2 * before.per_pulse, rel=0.05)


def test_the_source_follows_from_what_is_told():
    """Intensities make weak pulses, pairs are told by kind, and nothing told is single photons."""
    assert system({})[0].source == SinglePhotons()
    weak = system({"link.source.intensities": "[0.5, 0.1]", "link.source.probabilities": "0.9, 0.1"})[0]
    assert weak.source == WeakPulses((0.5, 0.1), (0.9, 0.1))
    pairs = {"link.source.kind": "spdc", "link.source.pair_mean": "0.1", "link.source.position": "alice"}
    assert system(pairs)[0].source == PairSource(0.1, "alice")


def test_all_faults_come_at_once():
    """Every unknown path and wrong value is named with what was expected."""
    with pytest.raises(ScenarioError) as caught:
        system(
            {
                "link.misaligment": "1 %",
                "link.pulse_rate": "1",
                "link.source.intensities": "[0.5, x]",
                "link.source.kind": "laser",
                "f": "0.5",
                "block_bits": "nan",
                "formulas": "lim2014",
            }
        )
    text = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 7
    assert "link.misaligment: a rate has no such parameter: did you mean link.misalignment?" in text
    assert "link.pulse_rate: got 1, expected a frequency with its unit" in text
    assert "f: got 0.5, expected a number, at least 1" in text


def test_a_source_that_cannot_be_is_a_fault_of_the_call():
    """Intensities that do not decrease are refused with the reason, not with a trace."""
    with pytest.raises(ScenarioError, match="intensities decrease"):
        system({"link.source.intensities": "[0.1, 0.5]", "link.source.probabilities": "[0.5, 0.5]"})


def test_an_unknown_preset_is_answered_with_a_guess():
    """A name that is nearly one of the presets is suggested."""
    with pytest.raises(ScenarioError, match="did you mean gys-2004"):
        find("gys-2014")


def test_reach_is_where_the_rate_ends():
    """Just before the reach there is key, just beyond there is none."""
    protocol = PROTOCOLS["decoy-asymptotic"]
    model, conditions = PRESETS["ghz"].system()
    model = protocol.fitted(model)
    end = reach_km(protocol, model, conditions)
    near, far = (
        protocol.rate(dataclasses.replace(model, length_km=end + step), conditions) for step in (-0.1, 0.1)
    )
    assert near.per_pulse > 0 == far.per_pulse


def test_reach_is_nothing_where_there_is_no_key():
    """A link that errs too much reaches nowhere."""
    model, _ = system({"link.misalignment": "20 %"})
    assert reach_km(PROTOCOLS["six-state"], model, Conditions()) == pytest.approx(0, abs=0.01)
