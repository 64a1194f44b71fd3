"""Loss that changes with time: any table of it, and the pass of a satellite from its geometry."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_M = 6.371e6
EARTH_GM_M3_PER_S2 = 3.986004418e14


@dataclasses.dataclass(frozen=True)
class LossProfile:
    """Loss of a channel over time, on top of its fibre's.

    Attributes:
        times_s: ascending.
        loss_db: at these times; linear in decibels between them, constant before the first and after the last.
        step_s: for how long the loss counts as constant.
    """

    times_s: tuple[float, ...]
    loss_db: tuple[float, ...]
    step_s: float = 0.1

    def __post_init__(self) -> None:
        """Check the table."""
        if not self.times_s or len(self.times_s) != len(self.loss_db):
            raise ValueError(
                f"a loss profile has as many losses as times, got {len(self.loss_db)} and {len(self.times_s)}"
            )
        if any(b <= a for a, b in zip(self.times_s, self.times_s[1:], strict=False)):
            raise ValueError("the times of a loss profile ascend")
        if min(self.loss_db) < 0:
            raise ValueError(f"a loss is not negative, got {min(self.loss_db)} dB")
        if self.step_s <= 0:
            raise ValueError(f"a step lasts longer than 0 s, got {self.step_s}")

    def transmittance_at(self, t_s: float) -> float:
        """Share of the light that passes at a time."""
        return float(10.0 ** (-np.interp(t_s, self.times_s, self.loss_db) / 10.0))

    def transmittance(self, steps: slice) -> float:
        """Mean share over some steps, each taken at its middle; step k begins at k·step_s."""
        middles = (np.arange(steps.start, steps.stop) + 0.5) * self.step_s
        loss_db = np.interp(middles, self.times_s, self.loss_db)
        return float(np.mean(10.0 ** (-loss_db / 10.0)))


@dataclasses.dataclass(frozen=True)
class SatellitePass:
    """A downlink from a satellite on a circular orbit that passes a ground station, the Earth's rotation left out.

    The link budget follows Bourgoin et al. 2013 (New J. Phys. 15, 023006): diffraction, pointing, atmosphere, optics, as independent factors.
    The beam is Gaussian and far from its waist. The defaults are near those of Micius (Liao et al. 2017, Nature 549, 43): a
    transmitter of 300 mm, about 10 µrad, a telescope of 1 m, an orbit of 500 km.

    Attributes:
        altitude_m: of the orbit.
        max_elevation_deg: elevation at culmination, up to 90.
        transmitter_m: aperture of the satellite's telescope, which bounds the divergence from below.
        receiver_m: aperture of the station's telescope.
        wavelength_nm: of the light.
        divergence_rad: full angle at which the intensity is 1/e² of that on the axis; None is the limit of diffraction, 4λ/(πD) for a
            waist that fills the aperture.
        zenith_transmittance: of the atmosphere, straight up; at elevation ε it is that to the power 1/sin ε.
        pointing_rad: standard deviation of the pointing error along each of two axes.
        optics_db: fixed losses of telescopes and receiver, detectors left out.
    """

    altitude_m: float = 500e3
    max_elevation_deg: float = 90.0
    transmitter_m: float = 0.3
    receiver_m: float = 1.0
    wavelength_nm: float = 850.0
    divergence_rad: float | None = 10e-6
    zenith_transmittance: float = 0.8
    pointing_rad: float = 1.2e-6
    optics_db: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        positive = (self.altitude_m, self.transmitter_m, self.receiver_m, self.wavelength_nm)
        if min(positive) <= 0 or self.pointing_rad < 0 or self.optics_db < 0:
            raise ValueError(f"altitude, apertures and wavelength are above 0, errors not below, got {self}")
        if not 0 < self.max_elevation_deg <= 90:
            raise ValueError(f"a culmination is above 0 and up to 90 degrees, got {self.max_elevation_deg}")
        if not 0 < self.zenith_transmittance <= 1:
            raise ValueError(
                f"a zenith transmittance is above 0 and up to 1, got {self.zenith_transmittance}"
            )
        if self.divergence_rad is not None and self.divergence_rad < self.diffraction_rad:
            raise ValueError(
                f"an aperture of {self.transmitter_m} m gives {self.diffraction_rad:.3g} rad at least, "
                f"got {self.divergence_rad}"
            )

    @property
    def diffraction_rad(self) -> float:
        """Full divergence of a Gaussian beam whose waist's diameter is the aperture's: 4λ/(πD)."""
        return 4.0 * self.wavelength_nm * 1e-9 / (math.pi * self.transmitter_m)

    @property
    def angular_rate_rad_per_s(self) -> float:
        """Of the satellite about the Earth's centre: √(GM/r³)."""
        return math.sqrt(EARTH_GM_M3_PER_S2 / (EARTH_RADIUS_M + self.altitude_m) ** 3)

    def central_angle_rad(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Angle at the Earth's centre between station and satellite, so long after culmination: cos γ = cos γ₀ · cos ωt."""
        elevation = math.radians(self.max_elevation_deg)
        ratio = EARTH_RADIUS_M / (EARTH_RADIUS_M + self.altitude_m)
        least = math.acos(ratio * math.cos(elevation)) - elevation
        angle: NDArray[np.float64] = np.arccos(
            np.clip(math.cos(least) * np.cos(self.angular_rate_rad_per_s * t_s), -1.0, 1.0)
        )
        return angle

    def range_m(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance from the station to the satellite, by the law of cosines. float64[n] → float64[n]."""
        r, orbit = EARTH_RADIUS_M, EARTH_RADIUS_M + self.altitude_m
        cosine = np.cos(self.central_angle_rad(t_s))
        distance: NDArray[np.float64] = np.sqrt(r**2 + orbit**2 - 2.0 * r * orbit * cosine)
        return distance

    def elevation_rad(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Above the station's horizon: sin ε = (r·cos γ − R)/distance. float64[n] → float64[n]."""
        orbit = EARTH_RADIUS_M + self.altitude_m
        sine = (orbit * np.cos(self.central_angle_rad(t_s)) - EARTH_RADIUS_M) / self.range_m(t_s)
        elevation: NDArray[np.float64] = np.arcsin(np.clip(sine, -1.0, 1.0))
        return elevation

    def loss_db(
        self, range_m: NDArray[np.float64], elevation_rad: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The link budget.

        With w = θ·distance/2 the beam's radius at the station and a the telescope's, 1 − e^(−2a²/w²) is collected on the axis; a
        Gaussian pointing error of σ along each axis multiplies the mean by w²/(w² + 4(σ·distance)²), for a telescope that is
        small against the beam.

        Args:
            range_m: float64[n].
            elevation_rad: float64[n], above 0.

        Returns:
            float64[n].
        """
        divergence = self.diffraction_rad if self.divergence_rad is None else self.divergence_rad
        width = divergence * range_m / 2.0
        collected = -np.expm1(-2.0 * (self.receiver_m / 2.0) ** 2 / width**2)
        pointing = width**2 / (width**2 + 4.0 * (self.pointing_rad * range_m) ** 2)
        atmosphere = self.zenith_transmittance ** (1.0 / np.sin(elevation_rad))
        loss: NDArray[np.float64] = self.optics_db - 10.0 * np.log10(collected * pointing * atmosphere)
        return loss

    def visible_s(self, min_elevation_deg: float = 10.0) -> float:
        """For how long the satellite stands above an elevation, by bisection of half a pass; 0 if it never does."""
        if min_elevation_deg >= self.max_elevation_deg:
            return 0.0
        low, high = 0.0, math.pi / self.angular_rate_rad_per_s
        for _ in range(60):
            middle = (low + high) / 2.0
            up = self.elevation_rad(np.array([middle]))[0] > math.radians(min_elevation_deg)
            low, high = (middle, high) if up else (low, middle)
        return 2.0 * low

    def profile(
        self, min_elevation_deg: float = 10.0, *, begin_s: float = 0.0, step_s: float = 0.1
    ) -> LossProfile:
        """The loss from rising above an elevation to setting below it.

        Args:
            min_elevation_deg: where the pass begins and ends, above 0.
            begin_s: simulated time at which it begins.
            step_s: of the profile; the table itself has a row for each second or less.

        Raises:
            ValueError: the satellite does not rise so high.
        """
        duration_s = self.visible_s(min_elevation_deg)
        if min_elevation_deg <= 0 or not duration_s:
            raise ValueError(
                f"a pass that culminates at {self.max_elevation_deg} degrees does not begin at {min_elevation_deg}"
            )
        times = np.linspace(-duration_s / 2, duration_s / 2, math.ceil(duration_s) + 1)
        loss = self.loss_db(self.range_m(times), self.elevation_rad(times))
        since = begin_s + times + duration_s / 2
        return LossProfile(tuple(since.tolist()), tuple(loss.tolist()), step_s)
