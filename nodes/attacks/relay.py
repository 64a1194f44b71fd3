"""Attacks of who owns the relay of measurement-device-independent QKD: he may announce what he likes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.bell import Heralds
from netsim.photonics.light import NOTHING, OPPOSITE
from netsim.photonics.train import Choice
from netsim.random_streams import random_bits
from nodes.attacks.action import Action, parameter

if TYPE_CHECKING:
    from netsim.photonics.record import Clicks
    from netsim.photonics.train import Train
    from nodes.charlie import Bench
    from nodes.eve import Eve

_Z = 0  # the setting along whose axis the key is made


@dataclasses.dataclass(frozen=True)
class OwnRelay(Action):
    """Own Charlie: he announces Bell states that he has not found."""

    id: ClassVar[str] = "eve.charlie"
    family: ClassVar[str] = "device"
    sign: ClassVar[str] = (
        "random: half of the bits in either basis are errors, and every pair of intensities has the same gain; intercept: no error "
        "in Z but the channel's, half of the bits in X are errors; gains of pairs of photons as usual, of two photons from one "
        "side next to nothing"
    )
    gets: ClassVar[str] = (
        "random: nothing; intercept: every sifted bit but those of dark counts, of blocks that give no key, as the phase "
        "error is a half"
    )
    source: ClassVar[str] = "Lo, Curty, Qi 2012: the relay may be Eve's"
    defences: ClassVar[tuple[str, ...]] = (
        "per-basis error test",
        "decoys on both sides",
        "privacy amplification",
    )
    needs: ClassVar[tuple[str, ...]] = ("relay",)

    how: Literal["random", "intercept"] = parameter(
        "intercept",
        "choice",
        "what he announces: as many slots as he would have found, at random, or those at which he found both pulses, measured in Z, unlike",
        choices=("random", "intercept"),
    )

    def on_relay(self, eve: Eve, bench: Bench, one: Train, other: Train) -> Heralds:
        """Announce, and write down what was found."""
        if self.how == "random":
            return _at_random(len(one), bench.bell(one, other), eve.random("relay"))
        rng = eve.random("relay")
        mine, theirs = (bench.receiver.detect(train, Choice.always(_Z), rng) for train in (one, other))
        slots, bits = _unlike(mine, theirs)
        eve.notebook.note(one.block, _Found(slots, np.where(bits, OPPOSITE[_Z], np.uint8(_Z))))
        return Heralds(slots, random_bits(len(slots), rng))


def _at_random(pulses: int, true: Heralds, rng: np.random.Generator) -> Heralds:
    """As many slots and as many of either Bell state as were found, elsewhere and in another order."""
    slots = np.sort(rng.choice(pulses, len(true.slots), replace=False, shuffle=False))
    return Heralds(slots, rng.permutation(true.states))


def _unlike(mine: Clicks, theirs: Clicks) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The slots at which both pulses were seen, with unequal bits, and those of the one side."""
    slots, here, there = np.intersect1d(mine.slots, theirs.slots, assume_unique=True, return_indices=True)
    unlike = mine.outcomes[here] != theirs.outcomes[there]
    return slots[unlike], mine.outcomes[here][unlike]


@dataclasses.dataclass(frozen=True)
class _Found:
    """Notes about some slots, ascending."""

    slots: NDArray[np.int64]
    states: NDArray[np.uint8]

    def at(self, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        """NOTHING elsewhere."""
        found = np.full(len(slots), NOTHING, dtype=np.uint8)
        if len(self.slots):
            place = np.minimum(np.searchsorted(self.slots, slots), len(self.slots) - 1)
            known = self.slots[place] == slots
            found[known] = self.states[place[known]]
        return found
