"""Light that classical channels in the same fibre scatter into the quantum channel: spontaneous Raman scattering."""

from __future__ import annotations

import dataclasses
import math

PLANCK_J_S = 6.62607015e-34
LIGHT_M_PER_S = 299_792_458.0


def dbm_to_mw(power_dbm: float) -> float:
    """Milliwatts: 10^(P/10)."""
    return float(10.0 ** (power_dbm / 10.0))


@dataclasses.dataclass(frozen=True)
class RamanNoise:
    """Raman light of classical channels that reaches the quantum receiver.

    Eraerds, Walenta, Legré, Gisin, Zbinden 2010 (New J. Phys. 12, 063027), with the power that leaves the fibre P_out = P_in·e^(−αL):
    P_forward = P_out·L·ρ·Δλ, P_backward = P_out·(sinh αL/α)·ρ·Δλ, for equal attenuation α at both wavelengths.

    Attributes:
        forward_mw: launch power of the channels that go the way of the quantum light, summed.
        backward_mw: launch power of those that go against it.
        length_km: of the shared fibre.
        cross_section_per_km_nm: ρ, the share of power that is scattered into the fibre's mode per km of fibre and nm of receiver bandwidth; it
            depends on both wavelengths and is of the order of 1e-9 around 1550 nm: take a measured one.
        attenuation_db_per_km: of the fibre.
        filter_nm: Δλ, width of the filter before the quantum receiver.
        wavelength_nm: of the quantum channel.
        insertion_loss_db: of that filter and what else stands before the detectors.
    """

    forward_mw: float
    backward_mw: float
    length_km: float
    cross_section_per_km_nm: float
    attenuation_db_per_km: float = 0.2
    filter_nm: float = 0.8
    wavelength_nm: float = 1550.0
    insertion_loss_db: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 0:
                raise ValueError(f"{field.name} is not negative, got {getattr(self, field.name)}")
        if not self.wavelength_nm:
            raise ValueError("a wavelength is above 0 nm")

    @property
    def forward_w(self) -> float:
        """Raman power at the receiver from the channels that go along."""
        return self._watt(self.forward_mw, self.length_km)

    @property
    def backward_w(self) -> float:
        """Raman power at the receiver from the channels that come towards it, whose launch is there."""
        alpha = self._alpha
        x = alpha * self.length_km
        return self._watt(self.backward_mw, math.sinh(x) / alpha if x else self.length_km)

    def photons_per_gate(self, gate_s: float) -> float:
        """Mean number of photons before the detectors in a gate, for Receiver.background. E = hc/λ each."""
        energy_j = PLANCK_J_S * LIGHT_M_PER_S / (self.wavelength_nm * 1e-9)
        return (self.forward_w + self.backward_w) * gate_s / energy_j

    @property
    def _alpha(self) -> float:
        """Attenuation as a natural exponent per km."""
        return self.attenuation_db_per_km * math.log(10.0) / 10.0

    def _watt(self, launch_mw: float, effective_km: float) -> float:
        out_w = 1e-3 * launch_mw * math.exp(-self._alpha * self.length_km)
        scattered = out_w * effective_km * self.cross_section_per_km_nm * self.filter_nm
        return float(scattered * 10.0 ** (-self.insertion_loss_db / 10.0))
