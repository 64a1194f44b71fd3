"""What a receiver's instruments count, and what a healthy link lets them: references for an alarm.

Every counter is (events, trials). What a link should show is worked out from its public parameters, exactly, not learned
from a link that may be under attack already.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.detector import Receiver
from netsim.photonics.ensemble import Ensemble, Law, Source
from netsim.photonics.record import Monitors
from netsim.photonics.train import (
    ATTENUATED,
    CAME_AFTER_GATE,
    CAME_EARLY,
    CAME_LATE,
    FIRED_1,
    FIRED_BOTH,
    Choice,
)
from netsim.window import Window

SILENT = ("photocurrent", "after gate", "early", "late")
"""Counters at which a healthy link shows nothing: its light comes in the middle of the gate, a few photons at a time."""


def counters(monitors: Monitors) -> dict[str, tuple[int, int]]:
    """A block's instruments as counters, for telemetry.

    Returns:
        Name → (events, trials): "clicks" and "photocurrent" of gates; "ones" of clicks of one detector alone;
        "double clicks", "early", "late", "after gate" and "attenuated" of clicks.
    """
    m = monitors
    return {
        "clicks": (m.clicks, m.gates),
        "photocurrent": (m.photocurrent, m.gates),
        "double clicks": (m.double_clicks, m.clicks),
        "ones": (m.ones, m.clicks - m.double_clicks),
        "early": (m.early, m.clicks),
        "late": (m.late, m.clicks),
        "after gate": (m.after_gate, m.clicks),
        "attenuated": (m.attenuated, m.clicks),
    }


def rates(law: Law) -> dict[str, float]:
    """The same counters' rates under a law of what is registered at a gate, by detectors without memory; exact.

    What has no clicks to count among is left out.
    """

    def chance(rows: NDArray[np.bool_]) -> float:
        return float(law.probability[rows].sum())

    fired = law.pattern & FIRED_BOTH
    clicks, doubles = chance(fired > 0), chance(fired == FIRED_BOTH)
    found = {"clicks": clicks, "photocurrent": chance(law.bright)}
    if clicks:
        found["double clicks"] = doubles / clicks
        marks = {
            "early": CAME_EARLY,
            "late": CAME_LATE,
            "after gate": CAME_AFTER_GATE,
            "attenuated": ATTENUATED,
        }
        for name, bit in marks.items():
            found[name] = chance((law.pattern & bit) > 0) / clicks
    if clicks > doubles:
        found["ones"] = chance(fired == FIRED_1) / (clicks - doubles)
    return found


def honest(
    source: Source, transmittance: float, misalignment: float, receiver: Receiver, choice: Choice
) -> Law:
    """What is registered at a gate while nobody meddles.

    Args:
        source: what is sent.
        transmittance: of all the fibre.
        misalignment: of all the fibre.
        receiver: Bob's, without its memory.
        choice: of his settings.
    """
    ensemble = Ensemble(source)
    ensemble.lose(transmittance)
    ensemble.flip(misalignment)
    return ensemble.law(receiver.response(), choice)


def references(
    law: Law, receiver: Receiver, *, tolerance: float = 0.05, spurious: float = 1e-9
) -> dict[str, tuple[float, float]]:
    """The honest rates that are known beforehand, as (low, high) for an alarm.

    Dead time takes clicks away whatever they are and changes no rate among them. Afterpulses do: a click leaves at most
    two, so that at most twice their probability `a` of the clicks are afterpulses. They are not counted as
    attenuated, and they may coincide with another click; so that "attenuated" may fall by the share 2a, "double clicks" may fall by
    the share 2a and rise by 2a. The gain itself ("clicks") is the channel's and not known beforehand.

    Args:
        law: of the link while nobody meddles, from `honest`.
        receiver: Bob's.
        tolerance: relative, on either side, of what depends on light.
        spurious: how often an instrument that ought to be silent may speak.

    Raises:
        ValueError: a tolerance below 0, or a spurious rate outside 0..1, both excluded.
    """
    if tolerance < 0 or not 0 < spurious < 1:
        raise ValueError(
            f"got a tolerance of {tolerance} and a spurious rate of {spurious}; expected at least 0, and between 0 and 1"
        )
    found = dict.fromkeys(SILENT, (0.0, spurious))
    expected = rates(law)
    after = min(1.0, 2.0 * receiver.afterpulse)

    def around(low: float, high: float) -> tuple[float, float]:
        # An alarm refuses a reference that nothing can violate from above or from below.
        return min(low * (1 - tolerance), 1 - spurious), min(max(high * (1 + tolerance), spurious), 1.0)

    if "ones" in expected:
        found["ones"] = around(expected["ones"], expected["ones"])
    if "double clicks" in expected:
        share = expected["double clicks"]
        found["double clicks"] = around(share * (1 - after), share + after)
        if receiver.attenuated_share:
            share = expected["attenuated"]
            found["attenuated"] = around(share * (1 - after), share)
    return found


@dataclasses.dataclass(frozen=True)
class PowerMonitor:
    """A counter at the entrance of Alice's source, for light that has no business there.

    Attributes:
        sensitivity: share of the photons that come in that it detects: the tap times the detector's efficiency.
        noise: probability of a count without light, per pulse.
    """

    sensitivity: float
    noise: float = 0.0

    def probability(self, incoming_photons: float) -> float:
        """Of a count at a pulse with which so many photons come in, in the mean: 1 − (1 − noise)·e^(−sensitivity·photons)."""
        return 1.0 - (1.0 - self.noise) * math.exp(-self.sensitivity * incoming_photons)

    def read(
        self, pulses: int, lit: int, incoming_photons: float, rng: np.random.Generator
    ) -> tuple[int, int]:
        """Its counter of a block, (events, trials).

        Args:
            pulses: of the block.
            lit: with how many of them light came in.
            incoming_photons: how much with each of those, in the mean.
            rng: the monitor's randomness.
        """
        dark = rng.binomial(pulses - lit, self.probability(0.0))
        return int(dark + rng.binomial(lit, self.probability(incoming_photons))), pulses

    def reference(self, *, tolerance: float = 0.05, spurious: float = 1e-9) -> tuple[float, float]:
        """Its honest rate, (low, high): at most its noise."""
        return 0.0, min(max(self.noise * (1 + tolerance), spurious), 1.0)


INCOMING = "incoming light"
"""Counter of the power monitor."""


@dataclasses.dataclass(frozen=True)
class Entrance:
    """The fibre's end at Alice's source, as her power monitor sees it.

    Attributes:
        monitor: the instrument.
        incoming: windows in which light comes in, and its photons per pulse.
        rate_hz: pulses per second.
        rng: the instrument's randomness.
    """

    monitor: PowerMonitor
    incoming: Sequence[tuple[Window, float]]
    rate_hz: float
    rng: np.random.Generator

    def counters(self, start_s: float, pulses: int) -> dict[str, tuple[int, int]]:
        """A block's counter, for telemetry.

        Args:
            start_s: when the block's first pulse leaves.
            pulses: how many it has.
        """
        seen, dark = 0, pulses
        for window, photons in self.incoming:
            during = window.pulses(start_s, self.rate_hz, slice(0, pulses))
            lit = min(during.stop - during.start, dark)
            seen += self.monitor.read(lit, lit, photons, self.rng)[0]
            dark -= lit
        return {INCOMING: (seen + self.monitor.read(dark, 0, 0.0, self.rng)[0], pulses)}
