"""Sampled pairs: of both halves only what is detected is drawn, from the exact joint distribution of the two sides.

The half that falls on detectors first is drawn from its own law, which knows nothing of the other side; the second is drawn given what
the first showed: where that clicked, the one way, elsewhere given that it did not. What lies behind a click or its absence (settings,
notes of an attacker) is drawn with the click, or when somebody asks, given all that has been drawn of either half at that slot.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import NOTHING
from netsim.photonics.pair_law import Arm, Effects
from netsim.photonics.pairs import Half, PairState, check_settings
from netsim.photonics.sampled import Alias, successes
from netsim.photonics.train import Choice, Exposure, Notes, Response, Train, Written


class _Intercept:
    """An interception in the list of what was done."""

    def __init__(self, choice: Choice, fraction: float) -> None:
        self._choice, self._fraction = choice, fraction

    def __call__(self, arm: Arm) -> None:
        arm.intercept(self._choice, self._fraction)


@dataclasses.dataclass(frozen=True)
class _Piece:
    """Consecutive slots of one law on either side.

    Attributes:
        start: the first slot.
        stop: one past the last.
        rows: int32[m], numbers of this half's rows.
        likely: float64[m], how likely they are, in proportion, where nothing is known of the other half but that it has not clicked
            if it has fallen.
        joint: float64[m, m of the other], how likely with each row of the other half; nothing as long as that is in flight.
        first: number of the other half's first row.
    """

    start: int
    stop: int
    rows: NDArray[np.int32]
    likely: NDArray[np.float64]
    joint: NDArray[np.float64]
    first: int

    def only(self, some: NDArray[np.bool_]) -> _Piece:
        """With some of the rows."""
        return dataclasses.replace(
            self, rows=self.rows[some], likely=self.likely[some], joint=self.joint[some]
        )

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """A row for each of `count` slots of which nothing is known."""
        return _drawn(self.rows, self.likely, count, rng)

    def draw_given(self, theirs: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int32]:
        """A row for each slot at which the other half's is known."""
        drawn = np.empty(len(theirs), dtype=np.int32)
        kind = (theirs - self.first).astype(np.uint16)  # narrow, so that they are sorted by counting
        order = np.argsort(kind, kind="stable")
        ends = np.cumsum(np.bincount(kind))
        for i, (start, stop) in enumerate(itertools.pairwise([0, *ends.tolist()])):
            if start < stop:
                drawn[order[start:stop]] = _drawn(self.rows, self.joint[:, i], stop - start, rng)
        return drawn


class _Light:
    """One half of the light, whoever holds it: what has been done to it, and what was drawn of it.

    Args:
        count: of slots.
        source: of the pairs.
        rng: draws what is asked for after the detection.
    """

    def __init__(self, count: int, source: PairState, rng: np.random.Generator) -> None:
        self.count, self._source = count, source
        self.partner = self
        self.fallen = False
        self.done: list[tuple[slice, Callable[[Arm], None]]] = []
        self.intercepts = 0
        self._rng = rng
        self._edges = [0, count]
        self._stretches = [0]  # which law holds between each two edges
        self._laws: list[Effects] = []
        self._starts = [0]  # of the laws among all rows
        self._joint: dict[tuple[int, int], NDArray[np.float64]] = {}
        self._setting = np.empty(0, dtype=np.uint8)
        self._pattern = np.empty(0, dtype=np.uint8)
        self._notes = np.empty((0, 0), dtype=np.uint8)
        self._slots = np.empty(0, dtype=np.int64)
        self._rows = np.empty(0, dtype=np.int32)
        self._asked = (self._slots, self._rows)

    def fall(self, response: Response, choice: Choice, rng: np.random.Generator) -> Exposure:
        """Draw what fires, given all that is known of the other half; once, as it is absorbed."""
        self._settle(response, choice)
        self.fallen = True
        fires = self._pattern > 0
        drawn = []
        for piece in self._pieces():
            known, theirs = self.partner._between(piece.start, piece.stop)
            firing = piece.only(fires[piece.rows])
            rate = float(firing.likely.sum() / piece.likely.sum()) if firing.likely.any() else 0.0
            slots = successes(piece.stop - piece.start, rate, rng) + piece.start
            slots = slots[~_within(slots, known)]
            drawn.append((slots, firing.draw(len(slots), rng)))
            given = piece.draw_given(theirs, rng)
            both = fires[given]
            drawn.append((known[both], given[both]))
        self._keep(drawn)
        slots, rows, setting = self._slots, self._rows, self._setting
        return Exposure(slots, setting[rows], self._pattern[rows], 0, lambda at: setting[self.rows(at)])

    def _settle(self, response: Response, choice: Choice) -> None:
        """Work out the law of each stretch between the times at which something changes."""
        self._edges = sorted(
            {0, self.count, *(edge for where, _ in self.done for edge in (where.start, where.stop))}
        )
        known: dict[tuple[int, ...], int] = {}
        self._stretches = []
        for start, stop in itertools.pairwise(self._edges):
            applied = tuple(
                i for i, (where, _) in enumerate(self.done) if where.start <= start and stop <= where.stop
            )
            if applied not in known:
                known[applied] = len(self._laws)
                self._laws.append(self._arm(applied).effects(response, choice))
            self._stretches.append(known[applied])
        self._starts = [0, *itertools.accumulate(len(law.setting) for law in self._laws)]
        self._setting = np.concatenate([law.setting for law in self._laws])
        self._pattern = np.concatenate([law.pattern for law in self._laws])
        self._notes = np.concatenate([law.notes for law in self._laws], axis=1)

    def _arm(self, applied: tuple[int, ...]) -> Arm:
        """What a stretch goes through."""
        arm = Arm(self._source)
        for i, (_, step) in enumerate(self.done):
            if i in applied:
                step(arm)
            elif isinstance(step, _Intercept):
                arm.elsewhere()
        return arm

    def _pieces(self) -> Iterator[_Piece]:
        """All slots, piece by piece."""
        other = self.partner if self.partner.fallen else None
        for start, stop in itertools.pairwise(sorted({*self._edges, *(other._edges if other else ())})):
            law = self._law_at(start)
            rows = np.arange(self._starts[law], self._starts[law + 1], dtype=np.int32)
            if other is None:
                alone = self._laws[law].alone(self._source)
                yield _Piece(start, stop, rows, alone, np.empty((len(rows), 0)), 0)
                continue
            its = other._law_at(start)
            joint = self._together(law, its)
            likely = joint[:, other._laws[its].pattern == 0].sum(axis=1)
            yield _Piece(start, stop, rows, likely, joint, other._starts[its])

    def _law_at(self, slot: int) -> int:
        """Which law holds for a slot."""
        return self._stretches[bisect.bisect_right(self._edges, slot) - 1]

    def _together(self, law: int, its: int) -> NDArray[np.float64]:
        """The joint law of this half's rows and the other's."""
        if (law, its) not in self._joint:
            joint = self._laws[law].joint(self.partner._laws[its], self._source)
            self._joint[law, its], self.partner._joint[its, law] = joint, joint.T
        return self._joint[law, its]

    def _between(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """What has been drawn of this half so far: slots from `start` on, and their rows."""
        part = slice(*np.searchsorted(self._slots, (start, stop)))
        return self._slots[part], self._rows[part]

    def rows(self, slots: NDArray[np.int64]) -> NDArray[np.int32]:
        """What was drawn for some slots; for those at which nothing fired it is drawn now, and kept."""
        for known, rows in ((self._slots, self._rows), self._asked):
            if slots is known or np.array_equal(slots, known):
                return rows
        missing = ~_within(slots, self._slots)
        if missing.any():
            self._silent(np.unique(slots[missing]))
        self._asked = slots, self._rows[np.searchsorted(self._slots, slots)]
        return self._asked[1]

    def _silent(self, slots: NDArray[np.int64]) -> None:
        """Draw what there was where nothing fired, given what is known of the other half, and keep it."""
        silent = self._pattern == 0
        drawn = [(self._slots, self._rows)]
        for every in self._pieces():
            inside = slots[slice(*np.searchsorted(slots, (every.start, every.stop)))]
            if len(inside):
                piece = every.only(silent[every.rows])
                known, theirs = self.partner._between(piece.start, piece.stop)
                told = _within(inside, known)
                drawn.append((inside[~told], piece.draw(len(inside) - int(told.sum()), self._rng)))
                given = theirs[np.searchsorted(known, inside[told])]
                drawn.append((inside[told], piece.draw_given(given, self._rng)))
        self._keep(drawn)

    def _keep(self, drawn: list[tuple[NDArray[np.int64], NDArray[np.int32]]]) -> None:
        slots = np.concatenate([slots for slots, _ in drawn])
        rows = np.concatenate([rows for _, rows in drawn])
        if np.any(slots[1:] < slots[:-1]):
            order = np.argsort(slots, kind="stable")
            slots, rows = slots[order], rows[order]
        self._slots, self._rows = slots, rows

    def noted(self, intercept: int, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        """What an interception wrote down."""
        if not self.fallen:
            return np.full(len(slots), NOTHING, dtype=np.uint8)
        found: NDArray[np.uint8] = self._notes[intercept][self.rows(slots)]
        return found


def _within(slots: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool: which of some slots are among others, which ascend."""
    if not len(known):
        return np.zeros(len(slots), dtype=np.bool_)
    place = np.minimum(np.searchsorted(known, slots), len(known) - 1)
    within: NDArray[np.bool_] = known[place] == slots
    return within


def _drawn(
    rows: NDArray[np.int32], weight: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """int32[count] of some rows, with probabilities in proportion to their weights."""
    if not count:
        return np.empty(0, dtype=np.int32)
    return Alias.of(rows, weight).draw(count, rng)


@dataclasses.dataclass(frozen=True)
class _Noted:
    """What one interception wrote down about half a sampled train."""

    light: _Light
    intercept: int

    def at(self, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The notes at some slots."""
        return self.light.noted(self.intercept, slots)


class SampledHalf(Half):
    """One half of a train of pairs of which only what is detected is drawn; made by `sampled_halves`.

    Args:
        light: what travels.
        block: number of the block.
        start_s: when pair 0 leaves.
        rate_hz: slots per second.
    """

    def __init__(self, light: _Light, block: int, start_s: float, rate_hz: float) -> None:
        super().__init__(block, start_s, rate_hz)
        self._light = light

    def __len__(self) -> int:
        return self._light.count

    def parcels(self) -> Sequence[slice]:
        """One: the whole train."""
        return (slice(0, len(self)),)

    def _do(self, where: slice, step: Callable[[Arm], None]) -> None:
        if where.start < where.stop:
            self._light.done.append((where, step))

    def lose(self, where: slice, transmittance: float, rng: np.random.Generator) -> None:  # noqa: ARG002  nothing is drawn yet
        """Each photon survives with probability `transmittance`."""
        if transmittance < 1.0:
            self._do(where, lambda arm: arm.lose(transmittance))

    def flip(self, where: slice, probability: float, rng: np.random.Generator) -> None:  # noqa: ARG002  nothing is drawn yet
        """Each half is turned to the orthogonal state with this probability."""
        if probability:
            self._do(where, lambda arm: arm.flip(probability))

    def measure(
        self,
        where: slice,  # noqa: ARG002  the interface's, as are the others
        settings: NDArray[np.uint8],  # noqa: ARG002
        rng: np.random.Generator,  # noqa: ARG002
        only: NDArray[np.bool_] | None = None,  # noqa: ARG002
    ) -> NDArray[np.int8]:
        """Not pulse by pulse."""
        raise TypeError("sampled pairs are not measured pulse by pulse: use intercept or expose")

    def intercept(self, where: slice, choice: Choice, fraction: float, rng: np.random.Generator) -> Notes:  # noqa: ARG002  nothing is drawn yet
        """Measure some pulses, when it comes to that; before the half has been absorbed nobody can say what was found."""
        check_settings(choice.settings)
        light = self._light
        if light.fallen or where.start >= where.stop:
            return Written(0, np.empty(0, dtype=np.uint8))
        light.done.append((where, _Intercept(choice, fraction)))
        light.intercepts += 1
        return _Noted(light, light.intercepts - 1)

    def expose(self, where: slice, response: Response, choice: Choice, rng: np.random.Generator) -> Exposure:
        """Draw the slots at which a detector fires, and what each was."""
        check_settings(choice.settings)
        if where != slice(0, len(self)):
            raise TypeError("half a train of sampled pairs falls on detectors as a whole")
        if self._light.fallen:
            none = np.empty(0, dtype=np.uint8)
            return Exposure(
                np.empty(0, dtype=np.int64), none, none, 0, lambda slots: choice.draw(len(slots), rng)
            )
        return self._light.fall(response, choice, rng)

    def replace(self, where: slice, other: Train) -> None:
        """The whole half is blocked, and another half, with its own partner, goes on in its place."""
        if not isinstance(other, SampledHalf) or where != slice(0, len(self)) or len(other) != len(self):
            raise TypeError(
                "half a train of sampled pairs is replaced by another of the same length, as a whole"
            )
        self._light, other._light = other._light, self._light
        other._do(where, lambda arm: arm.lose(0.0))


def sampled_halves(
    count: int,
    source: PairState,
    block: int,
    start_s: float,
    rate_hz: float,
    rng: np.random.Generator,
) -> tuple[SampledHalf, SampledHalf]:
    """The two halves of a train of Φ+ pairs of which only what is detected is drawn.

    Args:
        count: number of slots.
        source: what each is drawn from.
        block: number of the block.
        start_s: when pair 0 leaves the source.
        rate_hz: slots per second.
        rng: draws what is asked for after the detection.
    """
    one, other = (_Light(count, source, rng) for _ in range(2))
    one.partner, other.partner = other, one
    return SampledHalf(one, block, start_s, rate_hz), SampledHalf(other, block, start_s, rate_hz)
