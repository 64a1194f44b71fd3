"""What a party holds of the slots of a block: the settings it chose, and the outcomes it prepared or found."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Rounds:
    """One party's side of some slots.

    Attributes:
        held: bool[m], where it has an outcome; elsewhere the others mean nothing.
        settings: uint8[m], index of the setting.
        outcomes: uint8[m], 0 or 1.
        intensities: uint8[m], index of the intensity that was sent; 0 without decoys, and for a receiver.
    """

    held: NDArray[np.bool_]
    settings: NDArray[np.uint8]
    outcomes: NDArray[np.uint8]
    intensities: NDArray[np.uint8]


class Record(Protocol):
    """One party's side of a block."""

    def rounds(self, slots: NDArray[np.int64]) -> Rounds:
        """Its side of these slots. int64[m], ascending."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The record of who prepares light pulse by pulse.

    Attributes:
        settings: uint8[n].
        bits: uint8[n].
        intensities: uint8[n], or None where there is one only.
    """

    settings: NDArray[np.uint8]
    bits: NDArray[np.uint8]
    intensities: NDArray[np.uint8] | None = None

    def rounds(self, slots: NDArray[np.int64]) -> Rounds:
        """All of them are held."""
        none = np.zeros(len(slots), dtype=np.uint8)
        return Rounds(
            np.ones(len(slots), dtype=np.bool_),
            self.settings[slots],
            self.bits[slots],
            none if self.intensities is None else self.intensities[slots],
        )


@dataclasses.dataclass(frozen=True)
class Monitors:
    """What a receiver's instruments say of a block, apart from outcomes.

    Attributes:
        gates: how many gates were opened.
        clicks: of either detector.
        double_clicks: gates in which both fired.
        ones: clicks of detector 1 alone.
        early: clicks before the gate's middle by more than its jitter.
        late: clicks after it.
        after_gate: clicks when the gate was over.
        attenuated: clicks in gates whose efficiency was turned down, without those of afterpulses alone.
        photocurrent: gates with a bias current beyond what single photons draw.
    """

    gates: int = 0
    clicks: int = 0
    double_clicks: int = 0
    ones: int = 0
    early: int = 0
    late: int = 0
    after_gate: int = 0
    attenuated: int = 0
    photocurrent: int = 0


@dataclasses.dataclass(frozen=True)
class Clicks:
    """What a receiver registered of a train: its record of the block.

    Attributes:
        slots: int64[m], the pulses that gave a click, ascending.
        settings: uint8[m], index of the setting.
        outcomes: uint8[m], 0 or 1.
        monitors: the instruments; None where the detectors are somebody else's.
        intensities: uint8[m], what it sent, where it sends as well; empty otherwise, or where there is one intensity only.
    """

    slots: NDArray[np.int64]
    settings: NDArray[np.uint8]
    outcomes: NDArray[np.uint8]
    monitors: Monitors | None = dataclasses.field(default_factory=Monitors)
    intensities: NDArray[np.uint8] = dataclasses.field(default_factory=lambda: np.empty(0, dtype=np.uint8))

    @property
    def double_clicks(self) -> int:
        """In how many gates both detectors fired."""
        return self.monitors.double_clicks if self.monitors is not None else 0

    def rounds(self, slots: NDArray[np.int64]) -> Rounds:
        """Those that clicked are held."""
        sent = self.intensities if len(self.intensities) else np.zeros_like(self.settings)
        if len(self.slots) == len(slots) and np.array_equal(self.slots, slots):
            held = np.ones(len(slots), dtype=np.bool_)
            settings, outcomes = self.settings, self.outcomes
        elif len(self.slots):
            place = np.minimum(np.searchsorted(self.slots, slots), len(self.slots) - 1)
            held = self.slots[place] == slots
            settings, outcomes, sent = self.settings[place], self.outcomes[place], sent[place]
        else:
            held = np.zeros(len(slots), dtype=np.bool_)
            settings = outcomes = sent = np.zeros(len(slots), dtype=np.uint8)
        return Rounds(held, settings, outcomes, sent)


@dataclasses.dataclass(frozen=True)
class Heralded:
    """The record of who sends to a relay: there is an outcome where the relay announced one.

    Attributes:
        sent: what was sent.
        slots: int64[m], ascending, what was announced.
    """

    sent: Record
    slots: NDArray[np.int64]

    def rounds(self, slots: NDArray[np.int64]) -> Rounds:
        """Those that were announced are held."""
        rounds = self.sent.rounds(slots)
        if np.array_equal(slots, self.slots):
            return rounds
        return dataclasses.replace(rounds, held=rounds.held & np.isin(slots, self.slots))
