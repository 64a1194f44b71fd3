"""Raman light of classical channels: the closed forms of Eraerds et al. 2010 against the integrals they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from netsim.photonics.detector import Receiver
from netsim.photonics.raman import RamanNoise, dbm_to_mw

RHO = 2e-9


def along(z_km: float, total_km: float, alpha: float) -> float:
    """Light launched at 0, scattered at z, and attenuated for the rest."""
    return float(np.exp(-alpha * z_km) * np.exp(-alpha * (total_km - z_km)))


def against(z_km: float, alpha: float) -> float:
    """Light launched at the receiver, scattered back at z."""
    return float(np.exp(-2 * alpha * z_km))


@pytest.mark.parametrize("length_km", [0.1, 10.0, 50.0, 150.0])
@pytest.mark.parametrize("attenuation_db_per_km", [0.2, 0.35])
def test_the_closed_forms_are_the_integrals(length_km, attenuation_db_per_km):
    """P_in·ρ·Δλ times the integral over where light is scattered, to 1e-9."""
    alpha = attenuation_db_per_km * np.log(10) / 10
    noise = RamanNoise(2.0, 3.0, length_km, RHO, attenuation_db_per_km, filter_nm=0.5)
    forward, _ = quad(along, 0, length_km, args=(length_km, alpha))
    backward, _ = quad(against, 0, length_km, args=(alpha,))
    assert noise.forward_w == pytest.approx(2e-3 * RHO * 0.5 * forward, rel=1e-9)
    assert noise.backward_w == pytest.approx(3e-3 * RHO * 0.5 * backward, rel=1e-9)


def test_forward_light_peaks_at_one_over_alpha_and_backward_light_saturates():
    """L·e^(−αL) is largest at L = 1/α (21.7 km at 0.2 dB/km); backward tends to 1/2α, and is the larger one everywhere."""
    alpha = 0.2 * np.log(10) / 10
    lengths = np.linspace(0.5, 200, 400)
    forward = np.array([RamanNoise(1.0, 0.0, float(km), RHO).forward_w for km in lengths])
    backward = np.array([RamanNoise(0.0, 1.0, float(km), RHO).backward_w for km in lengths])
    assert lengths[np.argmax(forward)] == pytest.approx(1 / alpha, abs=0.5)
    assert np.all(np.diff(backward) > 0)
    assert backward[-1] == pytest.approx(1e-3 * RHO * 0.8 / (2 * alpha), rel=1e-3)
    assert np.all(backward > forward)


def test_photons_per_gate():
    """1 pW at 1550 nm is 7.80e6 photons a second: hc/λ = 1.2816e-19 J."""
    noise = RamanNoise(1.0, 1.0, 25.0, RHO)
    per_gate = noise.photons_per_gate(1e-9)
    assert per_gate == pytest.approx((noise.forward_w + noise.backward_w) / 1.2816e-19 * 1e-9, rel=1e-4)
    assert noise.photons_per_gate(2e-9) == pytest.approx(2 * per_gate)
    assert pytest.approx(7.803e6, rel=1e-3) == 1e-12 / 1.2816e-19


@pytest.mark.parametrize(
    ("change", "factor"),
    [
        ({"cross_section_per_km_nm": 2 * RHO}, 2.0),
        ({"filter_nm": 0.08}, 0.1),
        ({"wavelength_nm": 1310.0}, 1310 / 1550),
        ({"insertion_loss_db": 3.0}, 10**-0.3),
        ({"forward_mw": 0.0, "backward_mw": 0.0}, 0.0),
        ({"length_km": 0.0}, 0.0),
    ],
)
def test_every_parameter_acts(change, factor):
    """By its power in the formula."""
    base = {"forward_mw": 1.0, "backward_mw": 0.5, "length_km": 20.0, "cross_section_per_km_nm": RHO}
    expected = factor * RamanNoise(**base).photons_per_gate(1e-9)
    assert RamanNoise(**{**base, **change}).photons_per_gate(1e-9) == pytest.approx(expected)


def test_a_lossless_fibre_scatters_alike_both_ways():
    """With α = 0 both are P·L·ρ·Δλ."""
    noise = RamanNoise(1.0, 1.0, 10.0, RHO, attenuation_db_per_km=0.0)
    assert noise.forward_w == pytest.approx(noise.backward_w) == pytest.approx(1e-3 * 10 * RHO * 0.8)


def test_dbm():
    """0 dBm is 1 mW, 3 dBm about two, −30 dBm a µW."""
    assert [dbm_to_mw(x) for x in (0.0, 3.0103, -30.0)] == pytest.approx([1.0, 2.0, 1e-3], rel=1e-5)


def test_a_receiver_hears_it_as_background():
    """Half of the photons go to each detector: noise 1 − e^(−ηn/2)."""
    photons = RamanNoise(10.0, 10.0, 25.0, RHO).photons_per_gate(1e-9)
    assert Receiver(0.2, background=photons).response().noise == pytest.approx(-np.expm1(-0.2 * photons / 2))


@pytest.mark.parametrize("field", ["forward_mw", "length_km", "filter_nm"])
def test_what_is_negative_is_refused(field):
    """With the field's name."""
    base = {"forward_mw": 1.0, "backward_mw": 0.5, "length_km": 20.0, "cross_section_per_km_nm": RHO}
    with pytest.raises(ValueError, match=field):
        RamanNoise(**{**base, field: -1.0})


def test_no_wavelength_is_refused():
    """A photon has an energy."""
    with pytest.raises(ValueError, match="wavelength"):
        RamanNoise(1.0, 0.5, 20.0, RHO, wavelength_nm=0.0)
