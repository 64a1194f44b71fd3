"""The exact distribution of what happens to a pulse, from Alice's choice to the click, as weighted rows.

A row says: prepared as this symbol, in this state now, so many photons, these marks, these notes of an attacker's; and how likely.
Losses and errors act on rows as they act on pulses. Nothing is drawn here.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import (
    AFTER_GATE,
    BORN,
    BRIGHT,
    EARLY,
    LATE,
    NOTHING,
    OPPOSITE,
    PHOTONS,
    SHIELDED,
    STATES,
    STEERED,
    Kernel,
    thinning,
)
from netsim.photonics.train import (
    ATTENUATED,
    CAME_AFTER_GATE,
    CAME_EARLY,
    CAME_LATE,
    Choice,
    Response,
)

_FAKED = BRIGHT | AFTER_GATE
_NEGLIGIBLE = 1e-25  # a row that no 10^20 pulses will show
_MOST_KINDS = 1 << 62  # of keys that an int64 tells apart


@dataclasses.dataclass(frozen=True)
class Source:
    """What a sender draws from for each pulse.

    Attributes:
        probability: float64[symbols], sums to 1; a symbol is a setting, a bit and an intensity.
        setting: uint8[symbols].
        bit: uint8[symbols].
        intensity: uint8[symbols].
        state: uint8[symbols], the state prepared.
        numbers: float64[intensities, PHOTONS], how many photons each intensity has.
    """

    probability: NDArray[np.float64]
    setting: NDArray[np.uint8]
    bit: NDArray[np.uint8]
    intensity: NDArray[np.uint8]
    state: NDArray[np.uint8]
    numbers: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Law:
    """What may be registered at a gate, and what goes with it: rows of equal columns, and how likely each is.

    Attributes:
        probability: float64[m], sums to 1.
        symbol: uint16[m], index into the source's.
        setting: uint8[m], the receiver's.
        pattern: uint8[m], of the click; 0 is none.
        bright: bool[m].
        notes: uint8[acts, m].
    """

    probability: NDArray[np.float64]
    symbol: NDArray[np.uint16]
    setting: NDArray[np.uint8]
    pattern: NDArray[np.uint8]
    bright: NDArray[np.bool_]
    notes: NDArray[np.uint8]


class Ensemble:
    """All that a pulse may be.

    Args:
        source: where it comes from.
    """

    def __init__(self, source: Source) -> None:
        symbols = np.repeat(np.arange(len(source.probability), dtype=np.uint16), PHOTONS)
        self._sent = source.intensity
        self._symbol = symbols
        self._photons = np.tile(np.arange(PHOTONS, dtype=np.uint8), len(source.probability))
        self._state = source.state[symbols]
        self._flags = np.zeros(len(symbols), dtype=np.uint8)
        self._notes = np.zeros((0, len(symbols)), dtype=np.uint8)
        self._weight = (source.probability[:, None] * source.numbers[source.intensity]).ravel()
        self._gather()

    def lose(self, transmittance: float) -> None:
        """Each photon survives with probability `transmittance`, but for what is shielded or faked."""
        if transmittance >= 1.0:
            return
        exempt = ((self._flags & (SHIELDED | _FAKED)) > 0) & (
            transmittance > 0.0
        )  # what is cut is cut for all
        survive = np.where(
            exempt[:, None], np.eye(PHOTONS)[self._photons], thinning(transmittance)[self._photons]
        )
        rows, left = np.nonzero(survive)
        self._take(rows, survive[rows, left])
        self._photons = left.astype(np.uint8)
        self._gather()

    def flip(self, probability: float) -> None:
        """Each pulse is turned to the orthogonal state with this probability, but for what is shielded or faked."""
        if not probability:
            return
        exempt = (self._flags & (SHIELDED | _FAKED)) > 0
        chance = np.where(exempt, 0.0, probability)
        count = len(chance)
        self._take(np.tile(np.arange(count), 2), np.concatenate([1.0 - chance, chance]))
        self._state[count:] = OPPOSITE[self._state[count:]]
        self._gather()

    def act(self, kernel: Kernel) -> None:
        """Go all the ways of an attack; what it notes becomes the last of the notes."""
        sent = self._sent[self._symbol] if kernel.probability.shape[0] > 1 else np.zeros(1, dtype=np.uint8)
        came = (sent, self._state, self._photons)
        rows, way = np.nonzero(kernel.probability[came])
        sent = np.broadcast_to(sent, self._symbol.shape)[rows]
        branch = (sent, self._state[rows], self._photons[rows], way)
        self._take(rows, kernel.probability[branch])
        self._state, self._photons = kernel.state[branch], kernel.photons[branch]
        self._flags = self._flags | kernel.flags[branch]
        self._notes = np.concatenate([self._notes, kernel.note[branch][None]])
        self._gather()

    def untouched(self) -> None:
        """An attack that was elsewhere: nothing is noted."""
        none = np.full((1, len(self._weight)), NOTHING, dtype=np.uint8)
        self._notes = np.concatenate([self._notes, none])

    def law(self, response: Response, choice: Choice) -> Law:
        """Let it fall on detectors."""
        settings = len(choice.settings)
        share = response.attenuated_share
        scales = [(1.0 - share, 1.0, 0)] + ([(share, response.attenuation, ATTENUATED)] if share else [])
        parts = [
            self._fallen(response, choice, setting, scale, mark, chance)
            for setting in range(settings)
            for chance, scale, mark in scales
        ]
        weight, symbol, setting, pattern, bright = (
            np.concatenate(columns) for columns in zip(*(p[:5] for p in parts), strict=True)
        )
        notes = np.concatenate([p[5] for p in parts], axis=1)
        keys = [symbol, setting, pattern, bright, *notes]
        order, starts = groups(keys)
        first = order[starts]
        total = np.add.reduceat(weight[order], starts)
        kept = total > _NEGLIGIBLE
        first, total = first[kept], total[kept]
        return Law(
            total / total.sum(),
            symbol[first],
            setting[first],
            pattern[first],
            bright[first],
            np.ascontiguousarray(notes[:, first]),
        )

    def _fallen(
        self, response: Response, choice: Choice, setting: int, scale: float, mark: int, chance: float
    ) -> tuple[
        NDArray[np.float64],
        NDArray[np.uint16],
        NDArray[np.uint8],
        NDArray[np.uint8],
        NDArray[np.bool_],
        NDArray[np.uint8],
    ]:
        """Rows for one setting: weight, symbol, setting, pattern, bright, notes; four patterns for each row."""
        flags, photons = self._flags, self._photons.astype(np.float64)
        zero = BORN[self._state, choice.settings[setting]]
        weight = self._weight * (chance * self._share(response, choice, setting))
        # q is the probability that one photon fires a detector; (1 − q)^n that n of them leave it silent.
        q0 = zero * response.efficiency[flags, 0] * scale
        q1 = (1.0 - zero) * response.efficiency[flags, 1] * scale
        none = np.maximum(1.0 - q0 - q1, 0.0) ** photons
        only0, only1 = (1.0 - q1) ** photons - none, (1.0 - q0) ** photons - none
        faked = ((flags & _FAKED) > 0) & (self._photons > 0)
        if faked.any():
            clicks = float(scale == 1.0)
            only0[faked], only1[faked] = clicks * (zero[faked] == 1.0), clicks * (zero[faked] == 0.0)
            none[faked] = 1.0 - only0[faked] - only1[faked]
        both = np.where(photons > 1, np.maximum(1.0 - none - only0 - only1, 0.0), 0.0)
        # Light and noise are put together by sums of products, which keep the smallest of them exact.
        noise0, noise1 = (np.where((flags & BRIGHT) > 0, 0.0, noise) for noise in response.noise)
        both = both + only0 * noise1 + only1 * noise0 + none * (noise0 * noise1)
        only0, only1 = (
            (only0 + none * noise0) * (1.0 - noise1),
            (only1 + none * noise1) * (1.0 - noise0),
        )
        none = none * ((1.0 - noise0) * (1.0 - noise1))
        probability = np.stack([none, only0, only1, both])
        arrived = np.zeros(len(flags), dtype=np.uint8)
        for flag, bit in ((EARLY, CAME_EARLY), (LATE, CAME_LATE), (AFTER_GATE, CAME_AFTER_GATE)):
            arrived |= ((flags & flag) > 0) * np.uint8(bit)
        patterns = [np.zeros_like(arrived)] + [arrived | np.uint8(mark | fired) for fired in (1, 2, 3)]
        return (
            np.maximum(weight * probability, 0.0).ravel(),
            np.tile(self._symbol, 4),
            np.full(4 * len(flags), setting, dtype=np.uint8),
            np.concatenate(patterns),
            np.tile((flags & BRIGHT) > 0, 4),
            np.tile(self._notes, (1, 4)),
        )

    def _share(self, response: Response, choice: Choice, setting: int) -> NDArray[np.float64] | float:
        """How much of each row meets this setting; of light whose wavelength makes a passive splitter's choice, all or none."""
        share = float(choice.probabilities[setting])
        steered = (self._flags & STEERED) > 0
        if not response.passive or not steered.any():
            return share
        along = np.isin(BORN[np.arange(STATES)][:, choice.settings], (0.0, 1.0))
        target = np.argmax(along, axis=1)[self._state]
        return np.where(steered, target == setting, share)

    def _take(self, rows: NDArray[np.intp], probability: NDArray[np.float64]) -> None:
        """Go on with these rows, some of them several times, each with a probability."""
        self._weight = self._weight[rows] * probability
        self._symbol, self._state = self._symbol[rows], self._state[rows]
        self._photons, self._flags = self._photons[rows], self._flags[rows]
        self._notes = self._notes[:, rows]

    def _gather(self) -> None:
        """Add up rows that do not differ; of no photons the state does not matter, nor do marks on nothing."""
        empty = self._photons == 0
        self._state = np.where(empty, np.uint8(0), self._state)
        self._flags = np.where(empty, np.uint8(0), self._flags)
        order, starts = groups([self._symbol, self._state, self._photons, self._flags, *self._notes])
        weight = np.add.reduceat(self._weight[order], starts)
        kept = weight > _NEGLIGIBLE
        first = order[starts][kept]
        self._take(first, np.ones(len(first)))
        self._weight = weight[kept]


def groups(keys: list[NDArray[Any]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """An order in which rows of equal keys stand together, and where each group starts; no key is negative."""
    code, kinds = np.zeros(len(keys[0]), dtype=np.int64), 1
    for key in keys:
        radix = int(key.max(initial=0)) + 1
        if kinds * radix > _MOST_KINDS:
            distinct, code = np.unique(code, return_inverse=True)
            kinds = len(distinct)
        code = code * radix + key
        kinds *= radix
    order = np.argsort(code, kind="stable")
    ordered = code[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return order, starts
