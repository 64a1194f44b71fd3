"""Bob's receiver (and Alice's, for pairs): two gated threshold detectors behind a polarisation analyser."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import EARLY, FLAGS, LATE
from netsim.photonics.record import Clicks, Monitors
from netsim.photonics.train import (
    ATTENUATED,
    CAME_AFTER_GATE,
    CAME_EARLY,
    CAME_LATE,
    FIRED_1,
    FIRED_BOTH,
    Choice,
    Response,
    Train,
)
from netsim.random_streams import random_bits


@dataclasses.dataclass(frozen=True)
class Receiver:
    """Two gated detectors, one for each outcome.

    A double click is given a random outcome and kept: discarding it would let Eve choose what is discarded
    (Lütkenhaus 1999). Each block begins with detectors that remember nothing.

    Attributes:
        efficiency: probability that a photon within the gate is seen, by detector 0.
        dark_counts: probability of a click without a photon, per gate and detector.
        mismatch: efficiency of detector 1 over that of detector 0.
        timing_mismatch: efficiency of the weaker detector over the other's at the edges of the gate: of 1 early, of 0 late.
        dead_time_s: both detectors are blind for so long after a click of either.
        afterpulse: probability that a click fills a trap that fires the same detector again.
        afterpulse_lifetime_s: mean time until the trap empties; what falls into the dead time is not seen.
        jitter_s: standard deviation of a photon's arrival against the gate's middle.
        gate_s: width of the gate; None takes in all of the slot.
        background: unpolarised photons per gate from other light in the fibre, before the detectors.
        attenuated_share: share of the gates in which the receiver turns its own efficiency down, at random: a defence.
        attenuation: by what factor.
        passive: whether a beam splitter chooses the basis.
    """

    efficiency: float = 1.0
    dark_counts: float = 0.0
    mismatch: float = 1.0
    timing_mismatch: float = 1.0
    dead_time_s: float = 0.0
    afterpulse: float = 0.0
    afterpulse_lifetime_s: float = 1e-6
    jitter_s: float = 0.0
    gate_s: float | None = None
    background: float = 0.0
    attenuated_share: float = 0.0
    attenuation: float = 1.0
    passive: bool = False

    @property
    def gated_share(self) -> float:
        """Share of the photons that arrive while the gate is open: erf(w/(2√2·σ))."""
        if self.gate_s is None or not self.jitter_s:
            return 1.0
        return math.erf(self.gate_s / (2.0 * math.sqrt(2.0) * self.jitter_s))

    def response(self) -> Response:
        """What the detectors make of light, as long as they remember nothing."""
        seen = self.efficiency * self.gated_share
        efficiency = np.empty((FLAGS, 2))
        efficiency[:] = seen, seen * self.mismatch
        for flags in range(FLAGS):
            if flags & EARLY:
                efficiency[flags, 1] *= self.timing_mismatch
            if flags & LATE:
                efficiency[flags, 0] *= self.timing_mismatch
        background = self.background * self.efficiency * np.array([1.0, self.mismatch]) / 2.0
        noise = self.dark_counts - (1.0 - self.dark_counts) * np.expm1(-background)
        return Response(efficiency, noise, self.attenuated_share, self.attenuation, self.passive)

    def detect(
        self,
        train: Train,
        choice: Choice,
        rng: np.random.Generator,
        where: slice | None = None,
        *,
        keep_lost: bool = False,
    ) -> Clicks:
        """Measure a train, and absorb it.

        Args:
            train: what arrives.
            choice: of the settings.
            rng: the receiver's own randomness.
            where: the pulses to measure; None means all. Slots are counted from its start.
            keep_lost: whether a gate without a click counts too, as outcome 0.
        """
        where = slice(0, len(train)) if where is None else where
        gates = where.stop - where.start
        exposure = train.expose(where, self.response(), choice, rng)
        slots, settings, patterns = exposure.slots, exposure.settings, exposure.patterns
        dead_slots = math.ceil(round(self.dead_time_s * train.rate_hz, 6))
        if dead_slots or self.afterpulse:
            from netsim.photonics.memory import through  # noqa: PLC0415  compiles, which detectors without memory do without

            lifetime_slots = self.afterpulse_lifetime_s * train.rate_hz
            slots, patterns, which = through(
                slots, patterns, gates, dead_slots, self.afterpulse, lifetime_slots, rng
            )
            if exposure.registered is None:
                settings = exposure.settings_at(slots)
            else:
                settings = exposure.registered(slots, which)
        fired = patterns & FIRED_BOTH
        outcomes = (fired == FIRED_1).astype(np.uint8)
        both = np.flatnonzero(fired == FIRED_BOTH)
        monitors = Monitors(
            gates=gates,
            clicks=len(slots),
            double_clicks=len(both),
            ones=int(np.count_nonzero(outcomes)),
            early=_count(patterns, CAME_EARLY),
            late=_count(patterns, CAME_LATE),
            after_gate=_count(patterns, CAME_AFTER_GATE),
            attenuated=_count(patterns, ATTENUATED),
            photocurrent=exposure.bright,
        )
        outcomes[both] = random_bits(len(both), rng)
        if keep_lost:
            every = np.arange(gates, dtype=np.int64)
            found = np.zeros(gates, dtype=np.uint8)
            found[slots] = outcomes
            slots, settings, outcomes = every, exposure.settings_at(every), found
        return Clicks(slots, settings, outcomes, monitors)


def _count(patterns: NDArray[np.uint8], bit: int) -> int:
    return int(np.count_nonzero(patterns & np.uint8(bit)))
