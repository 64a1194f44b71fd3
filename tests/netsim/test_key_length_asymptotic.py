"""Rates of endless blocks of weak pulses and pairs: the papers' numbers, and independent sums and programmes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from netsim.key_length import asymptotic
from netsim.key_length.asymptotic import (
    bbm92_spdc,
    gllp,
    optimal_signal_intensity,
    plob,
    vacuum_weak,
    vacuum_weak_bounds,
    weak_pulse,
)

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "weak_pulse_rates.json").read_text(encoding="utf-8")
)
GYS = {"y0": 1.7e-6, "e_d": 0.033}


def gys(length_km: float) -> float:
    """Transmittance of the Gobby-Yuan-Shields link, Bob's receiver included."""
    return 0.045 * 10 ** (-0.21 * length_km / 10)


def reach(rate) -> float:
    """The length at which a rate falls to zero."""
    low, high = 50.0, 250.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if rate(middle) > 0 else (low, middle)
    return low


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['function']}-{v['value']:g}")
def test_published_rates_are_met(vector):
    """Every number in the vector file is met to its last printed digit."""
    got = getattr(asymptotic, vector["function"])(**vector["arguments"])
    assert got == pytest.approx(vector["value"], abs=vector["tolerance"]), vector["source"]


def test_gains_of_the_gys_link():
    """At 50 km and µ = 0.48 the GYS link clicks 1.924950e-3 times a pulse, wrong in 3.3412 % of them."""
    gain, qber = weak_pulse(0.48, gys(50), **GYS)
    assert gain == pytest.approx(1.924950e-3, abs=1e-9)
    assert qber == pytest.approx(0.033412, abs=1e-6)


def test_reach_of_the_gys_link():
    """Infinite decoys reach 142.0 km, vacuum and a weak decoy of 0.05 reach 140.6 km."""
    assert reach(lambda km: gllp(0.48, gys(km), **GYS, f=1.22)) == pytest.approx(142.0, abs=0.05)
    assert reach(lambda km: vacuum_weak(0.48, 0.05, gys(km), **GYS, f=1.22)) == pytest.approx(140.6, abs=0.05)


def test_the_optimal_intensity_is_a_maximum():
    """Without dark counts and at great loss, no µ beside the optimal one gives a higher rate."""
    best = optimal_signal_intensity(0.033, 1.22)
    rates = [gllp(best + shift, 1e-6, 0.0, 0.033, 1.22) for shift in (-0.01, 0.0, 0.01)]
    assert max(rates) == rates[1]
    assert optimal_signal_intensity(0.0, 1.0) == pytest.approx(1.0)
    assert optimal_signal_intensity(0.2, 1.0) == 0.0


def test_the_decoy_bounds_enclose_what_a_linear_programme_allows():
    """For random yields, Y1 stays below and e1·Y1 above the optima over all yields with the same gains."""
    rng = np.random.default_rng(3)
    photons = np.arange(25)
    weights = {mu: np.exp(-mu) * np.array([mu**n / math.factorial(n) for n in photons]) for mu in (0.5, 0.08)}
    met = 0
    for _ in range(30):
        yields = rng.beta(0.5, 2.0, size=25)
        errors = yields * rng.uniform(0, 0.5, size=25)
        errors[0] = yields[0] / 2
        gain_mu, gain_nu = weights[0.5] @ yields, weights[0.08] @ yields
        wrong = weights[0.08] @ errors
        y1, e1 = vacuum_weak_bounds(0.5, 0.08, gain_mu, gain_nu, wrong / gain_nu, yields[0])
        assert y1 <= yields[1] + 1e-12
        least = linprog(
            np.eye(25)[1],
            A_eq=[weights[0.5], weights[0.08], np.eye(25)[0]],
            b_eq=[gain_mu, gain_nu, yields[0]],
            bounds=(0, 1),
        )
        assert y1 <= least.fun + 1e-7
        most = linprog(
            -np.eye(25)[1], A_eq=[weights[0.08], np.eye(25)[0]], b_eq=[wrong, errors[0]], bounds=(0, 1)
        )
        if y1 > 0 and e1 < 1:
            assert e1 * y1 >= min(1.0, -most.fun) - 1e-7
            met += 1
    assert met > 10


def test_counts_that_bound_nothing_give_no_key():
    """A decoy that hardly clicks, as under photon-number splitting, leaves Y1 = 0 and a rate below zero."""
    assert vacuum_weak_bounds(0.48, 0.05, 2e-3, 1e-6, 0.03, 1e-6) == (0.0, 0.5)
    assert vacuum_weak(0.48, 0.05, 1e-9, **GYS, f=1.22) < 0
    assert weak_pulse(0.0, 0.1, 0.0, 0.01) == (0.0, 0.5)
    assert gllp(0.0, 0.0, 0.0, 0.0, 1.0) == 0.0


@given(eta=st.floats(0, 1), mu=st.floats(0, 2), e_d=st.floats(0, 0.5))
def test_no_rate_beats_the_repeaterless_bound(eta, mu, e_d):
    """Whatever the parameters, decoy BB84 stays below PLOB."""
    assert gllp(mu, eta, 0.0, e_d, 1.0, 1.0) <= plob(eta) + 1e-12


def test_plob_at_its_ends():
    """No light no key, no loss no limit."""
    assert plob(0.0) == 0.0
    assert plob(1.0) == math.inf


def test_pairs_meet_the_checkpoint():
    """Transmittances 0.3 and 0.1, λ = 0.05, no dark counts: Q = 3.26574469e-3, E = 3.57999416 %."""
    got = bbm92_spdc(0.05, 0.3, 0.1)
    assert got.gain == pytest.approx(3.26574469e-3, abs=5e-12)
    assert got.qber == pytest.approx(0.0357999416, abs=5e-11)


@pytest.mark.parametrize(
    ("pairs", "a", "b", "y0a", "y0b", "e_d"),
    [
        (0.05, 0.3, 0.1, 0.0, 0.0, 0.0),
        (0.4, 0.9, 0.5, 1e-3, 2e-3, 0.02),
        (1e-3, 1e-5, 1e-6, 1e-7, 0.0, 0.015),
    ],
)
def test_pairs_meet_a_sum_over_photon_numbers(pairs, a, b, y0a, y0b, e_d):
    """Gain and errors equal those summed over n pairs in all n + 1 splittings between two polarisations."""
    gain = correlation = 0.0
    for n in range(400):
        weight = (n + 1) * pairs**n / (1 + pairs) ** (n + 2)
        gain += weight * (1 - (1 - y0a) * (1 - a) ** n) * (1 - (1 - y0b) * (1 - b) ** n)
        for i in range(n + 1):
            # One polarisation only, against the other only; double clicks and dark counts are random bits.
            alice = (1 - a) ** (n - i) - (1 - a) ** i
            bob = (1 - b) ** (n - i) - (1 - b) ** i
            correlation += weight / (n + 1) * alice * bob
    got = bbm92_spdc(pairs, a, b, y0_a=y0a, y0_b=y0b, e_d=e_d)
    assert got.gain == pytest.approx(gain, rel=1e-9)
    # The paper neglects that a dark count beside a photon turns it into a double click.
    assert 0.5 * gain * (1 - 2 * got.qber) == pytest.approx((0.5 - e_d) * correlation, rel=1e-9)


def test_pairs_that_never_click_give_nothing():
    """No pairs and no dark counts: no coincidences, and no division by them."""
    assert bbm92_spdc(0.0, 0.1, 0.1) == (0.0, 0.5, 0.0)
    assert bbm92_spdc(0.1, 0.0, 0.1).rate == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: gllp(-0.1, 0.1, 0.0, 0.0, 1.0),
        lambda: gllp(0.1, 1.1, 0.0, 0.0, 1.0),
        lambda: vacuum_weak_bounds(0.1, 0.1, 1e-3, 1e-3, 0.01, 0.0),
        lambda: vacuum_weak_bounds(0.1, 0.0, 1e-3, 1e-3, 0.01, 0.0),
        lambda: optimal_signal_intensity(0.1, 0.0),
        lambda: plob(math.nan),
        lambda: bbm92_spdc(-1.0, 0.1, 0.1),
        lambda: bbm92_spdc(0.1, 0.1, 2.0),
    ],
)
def test_impossible_links_are_refused(call):
    """What no link can have raises instead of giving a rate."""
    with pytest.raises(ValueError, match=r"must|lies|positive"):
        call()
