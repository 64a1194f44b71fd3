"""Sampled trains: only the pulses that click are drawn, from the exact joint distribution, so that 10^9 cost no more than their clicks.

Pulses that are treated alike are independent of each other until they reach a detector with a memory. So the train keeps what was done to it as
a list, works out at the detector what one pulse may lead to (netsim.photonics.ensemble), draws where something fires from the gaps between,
and what it was from an alias table. Everybody who asks later (Alice what she had sent, Eve what she noted) is told the same draw.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.ensemble import Ensemble, Law, Source
from netsim.photonics.light import FLAGS, NOTHING, PHOTONS, Kernel
from netsim.photonics.record import Rounds
from netsim.photonics.train import Choice, Exposure, Notes, Response, Train
from netsim.rows import look_up

_CHUNK = 1 << 15  # numbers that are drawn and worked on at a time, while they are near


@dataclasses.dataclass(frozen=True)
class Alias:
    """Draws rows with given probabilities in constant time (Walker 1977).

    Attributes:
        threshold: float64[m], of each column of the table.
        either: int32[2m], for each column the row below its threshold and the row above.
    """

    threshold: NDArray[np.float64]
    either: NDArray[np.int32]

    @classmethod
    def of(cls, rows: NDArray[np.int32], weights: NDArray[np.float64]) -> Alias:
        """The table for some rows and their weights."""
        order = np.argsort(-weights)
        rows, scaled = rows[order], (weights[order] * (len(rows) / weights.sum())).tolist()
        threshold, other = [1.0] * len(rows), list(range(len(rows)))
        large = [i for i, weight in enumerate(scaled) if weight >= 1.0]
        small = list(range(len(large), len(rows)))
        while small and large:
            low, high = small.pop(), large[-1]
            threshold[low], other[low] = scaled[low], high
            scaled[high] -= 1.0 - scaled[low]
            if scaled[high] < 1.0:
                small.append(large.pop())
        return cls(np.array(threshold), np.stack([rows, rows[other]], axis=1).ravel())

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """int32[count] of rows."""
        drawn = np.empty(count, dtype=np.int32)
        uniform = np.empty(min(count, _CHUNK))
        for start in range(0, count, _CHUNK):
            part = drawn[start : start + _CHUNK]
            place = uniform[: len(part)]
            rng.random(out=place)
            place *= len(self.threshold)
            column = place.astype(np.int32)
            place -= column
            # The row of the column, or the other one: both stand in one table.
            column *= 2
            column += place >= self.threshold[column >> 1]
            np.take(self.either, column, out=part)
        return drawn


class _Stretch:
    """Some consecutive pulses of one law.

    Args:
        start: the first pulse.
        stop: one past the last.
        law: of each.
        offset: number of the law's first row among all rows of the train.
    """

    def __init__(self, start: int, stop: int, law: Law, offset: int) -> None:
        self.start, self.stop = start, stop
        self._law, self._offset = law, offset
        self._fires = law.pattern > 0
        self.fires = float(law.probability[self._fires].sum())
        self._clicks = self._table(self._fires) if self.fires else None
        self._silence: Alias | None = None
        bright = float(law.probability[~self._fires & law.bright].sum())
        silent = float(law.probability[~self._fires].sum())
        self.bright_in_silence = min(1.0, bright / silent) if bright else 0.0  # a sum may round above another

    def _table(self, which: NDArray[np.bool_]) -> Alias:
        rows = np.flatnonzero(which)
        return Alias.of((rows + self._offset).astype(np.int32), self._law.probability[rows])

    def clicks(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Where something fires, ascending, and which row it is."""
        slots = successes(self.stop - self.start, self.fires, rng)
        rows = np.empty(0, np.int32) if self._clicks is None else self._clicks.draw(len(slots), rng)
        slots += self.start
        return slots, rows

    def silent(self, count: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Rows for pulses at which nothing fired."""
        if self._silence is None:
            self._silence = self._table(~self._fires)
        return self._silence.draw(count, rng)


def successes(count: int, probability: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of independent events among `count`, ascending, from the gaps between them: int64[k]."""
    if not count or probability <= 0.0:
        return np.empty(0, dtype=np.int64)
    if probability >= 1.0:
        return np.arange(count, dtype=np.int64)
    mean = -1.0 / math.log1p(-probability)
    expected = count * probability
    slots = np.empty(int(expected + 6.0 * math.sqrt(expected) + 16.0), dtype=np.int64)
    buffer = np.empty(min(len(slots), _CHUNK))
    filled, reached = 0, -1
    while reached < count:
        if filled == len(slots):
            slots = np.concatenate([slots, np.empty(len(slots), dtype=np.int64)])
        steps = slots[filled : filled + len(buffer)]
        gaps = buffer[: len(steps)]
        rng.standard_exponential(out=gaps)
        gaps *= mean
        np.minimum(gaps, float(2 * count), out=gaps)  # what lies beyond the end need not be told apart
        steps[:] = gaps  # rounds towards zero
        steps += 1
        np.cumsum(steps, out=steps)
        steps += reached
        filled += len(steps)
        reached = int(steps[-1])
    return slots[: int(np.searchsorted(slots[:filled], count))]


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """Slots for which it was drawn what happened there.

    Attributes:
        slots: int64[m], of what was asked as it was asked, otherwise ascending.
        rows: int32[m].
    """

    slots: NDArray[np.int64]
    rows: NDArray[np.int32]

    @classmethod
    def none(cls) -> _Drawn:
        """Nothing yet."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32))

    def at(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """The rows of some slots, and the places in them of those that are not among ours, whose rows mean nothing."""
        if not len(self.slots):
            return np.zeros(len(slots), dtype=np.int32), np.arange(len(slots))
        place = np.searchsorted(self.slots, slots)
        np.minimum(place, len(self.slots) - 1, out=place)
        return self.rows[place], np.flatnonzero(self.slots[place] != slots)

    def with_more(self, slots: NDArray[np.int64], rows: NDArray[np.int32]) -> _Drawn:
        """These and others."""
        slots, rows = np.concatenate([self.slots, slots]), np.concatenate([self.rows, rows])
        order = np.argsort(slots, kind="stable")
        return _Drawn(slots[order], rows[order])


class _Pulses:
    """The light of a sampled train, whoever holds it: its source, what has been done to it, and what was drawn of it."""

    def __init__(self, count: int, source: Source, rng: np.random.Generator) -> None:
        self.count = count
        self.source = source
        self.done: list[tuple[slice, Callable[[Ensemble], None]]] = []
        self.acts = 0
        self._told: dict[int, int] = {}
        self.rng = rng
        self._stretches: list[_Stretch] = []
        self._fired = _Drawn.none()
        self._silent = _Drawn.none()
        self._asked = _Drawn.none()
        self.fallen = False
        self._together: _Pulses | None = None  # with what it fell, and where its rows are drawn

    def fall(self, response: Response, choice: Choice, rng: np.random.Generator) -> Exposure:
        """Draw what fires; once, as it is absorbed."""
        law = functools.cache(lambda applied: self.arriving(applied).law(response, choice))
        exposure = self.draw(self.edges(), lambda start, stop: law(self.applied(start, stop)), rng)
        self.settle(self.symbol, self.notes)
        return exposure

    def draw(self, edges: set[int], law: Callable[[int, int], Law], rng: np.random.Generator) -> Exposure:
        """Draw what fires, by the law of each stretch between two edges."""
        offset, laws = 0, []
        for start, stop in itertools.pairwise(sorted(edges) if self.count else (0, 0)):
            laws.append(law(start, stop))
            self._stretches.append(_Stretch(start, stop, laws[-1], offset))
            offset += len(laws[-1].probability)
        self.symbol = np.concatenate([law.symbol for law in laws])
        self.notes = np.concatenate([law.notes for law in laws], axis=1)
        self._setting = np.concatenate([law.setting for law in laws])
        self._pattern = np.concatenate([law.pattern for law in laws])
        self._bright = np.concatenate([law.bright for law in laws])
        pieces = [stretch.clicks(rng) for stretch in self._stretches]
        self._fired = _Drawn(_joined([slots for slots, _ in pieces]), _joined([rows for _, rows in pieces]))
        slots, rows = self._fired.slots, self._fired.rows
        bright = int(np.count_nonzero(self._bright[rows])) if self._bright.any() else 0
        for stretch, (fired, _) in zip(self._stretches, pieces, strict=True):
            if stretch.bright_in_silence:
                silent = stretch.stop - stretch.start - len(fired)
                bright += int(rng.binomial(silent, stretch.bright_in_silence))
        return Exposure(
            slots,
            self._setting[rows],
            self._pattern[rows],
            bright,
            lambda at: self._setting[self.rows(at)],
            self._registered,
        )

    def _registered(self, slots: NDArray[np.int64], which: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The receiver's settings at what it registered, some of which had fired; the sender will be asked for the same."""
        rows, alone = self._fired.rows[which], np.flatnonzero(which < 0)
        if len(alone):
            rows[alone] = self.rows(slots[alone])
        self._asked = _Drawn(slots, rows)
        return self._setting[rows]

    def settle(
        self, symbol: NDArray[np.uint16], notes: NDArray[np.uint8], together: _Pulses | None = None
    ) -> None:
        """It has fallen: what was sent and noted in each row that was drawn, here or, with other light, there."""
        source = self.source
        self._sent = source.setting[symbol], source.bit[symbol], source.intensity[symbol]
        self.notes = notes
        self._together = together
        self.fallen = True

    def edges(self) -> set[int]:
        """Where something changes, the two ends of the train among them."""
        return {0, self.count, *(edge for where, _ in self.done for edge in (where.start, where.stop))}

    def applied(self, start: int, stop: int) -> tuple[int, ...]:
        """Numbers of the things that were done to the pulses between two edges, all those left out that were done to the whole train first."""
        return tuple(
            i
            for i, (where, _) in enumerate(self.done[self._shared[0] :], self._shared[0])
            if where.start <= start and stop <= where.stop
        )

    @functools.cached_property
    def _shared(self) -> tuple[int, Ensemble]:
        """How many things were done to the whole train first, and what they made of it."""
        whole, ensemble = slice(0, self.count), Ensemble(self.source)
        first = [step for _, step in itertools.takewhile(lambda done: done[0] == whole, self.done)]
        for step in first:
            step(ensemble)
        return len(first), ensemble

    def arriving(self, applied: tuple[int, ...]) -> Ensemble:
        """What was done, in order, makes this of a pulse."""
        shared, common = self._shared
        ensemble = copy.copy(common)
        for i, (_, step) in enumerate(self.done[shared:], shared):
            if i in applied:
                step(ensemble)
            elif isinstance(step, _Act):
                step.elsewhere(ensemble)
        return ensemble

    def rows(self, slots: NDArray[np.int64]) -> NDArray[np.int32]:
        """What was drawn for some slots; for those at which nothing fired it is drawn now, and kept."""
        if self._together is not None:
            return self._together.rows(slots)
        for known in (self._asked, self._fired):
            if slots is known.slots or np.array_equal(slots, known.slots):
                return known.rows
        rows, missing = self._fired.at(slots)
        if len(missing):
            quiet = slots[missing]
            rows[missing], new = self._silent.at(quiet)
            if len(new):
                self._draw_silence(np.unique(quiet[new]))
                rows[missing], _ = self._silent.at(quiet)
        self._asked = _Drawn(slots.copy(), rows)
        return rows

    def _draw_silence(self, slots: NDArray[np.int64]) -> None:
        """Draw what was sent where nothing fired, and keep it."""
        self._check(slots)
        rows = np.empty(len(slots), dtype=np.int32)
        for stretch in self._stretches:
            inside = slice(*np.searchsorted(slots, [stretch.start, stretch.stop]))
            if inside.start < inside.stop:
                rows[inside] = stretch.silent(inside.stop - inside.start, self.rng)
        self._silent = self._silent.with_more(slots, rows)

    def prepared(self, slots: NDArray[np.int64]) -> Rounds:
        """What the sender sent."""
        source = self.source
        sides = (source.setting, source.bit, source.intensity)
        if not self.fallen:
            symbol = self._foretold(slots)
            columns = [side[symbol] for side in sides]
        else:
            rows = self.rows(slots)
            columns = [look_up(sent, rows) for sent in self._sent]
            for place in np.flatnonzero(np.isin(slots, list(self._told))) if self._told else ():
                told = self._told[int(slots[place])]
                for column, side in zip(columns, sides, strict=True):
                    column[place] = side[told]
        return Rounds(np.ones(len(slots), dtype=np.bool_), *columns)

    def _foretold(self, slots: NDArray[np.int64]) -> NDArray[np.intp]:
        """Symbols for who asks before anything is detected, because somebody forged an announcement.

        They are drawn then, and stay so: what is detected there afterwards has nothing to do with them.
        """
        self._check(slots)
        drawn = self.rng.choice(len(self.source.probability), len(slots), p=self.source.probability)
        return np.array(
            [self._told.setdefault(int(s), int(d)) for s, d in zip(slots, drawn, strict=True)], np.intp
        )

    def _check(self, slots: NDArray[np.int64]) -> None:
        if len(slots) and not (slots.min() >= 0 and slots.max() < self.count):
            raise IndexError(f"slots of a train of {self.count} are within 0..{self.count - 1}")

    def noted(self, act: int, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        """What an attack wrote down."""
        if not self.fallen:
            return np.full(len(slots), NOTHING, dtype=np.uint8)
        found: NDArray[np.uint8] = self.notes[act][self.rows(slots)]
        return found


class _Act:
    """An attack in the list of what was done."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def __call__(self, ensemble: Ensemble) -> None:
        ensemble.act(self._kernel)

    @staticmethod
    def elsewhere(ensemble: Ensemble) -> None:
        """Where the attack was not: no notes of it."""
        ensemble.untouched()


_Whole = TypeVar("_Whole", bound=np.integer[Any])


def _joined(pieces: Sequence[NDArray[_Whole]]) -> NDArray[_Whole]:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


@dataclasses.dataclass(frozen=True)
class SampledRecord:
    """What the sender of a sampled train knows of it."""

    _pulses: _Pulses

    def rounds(self, slots: NDArray[np.int64]) -> Rounds:
        """All are held."""
        return self._pulses.prepared(slots)


@dataclasses.dataclass(frozen=True)
class SampledNotes:
    """What one attack wrote down about a sampled train."""

    _pulses: _Pulses
    act: int

    def at(self, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The notes at some slots."""
        return self._pulses.noted(self.act, slots)


class SampledTrain(Train):
    """A train of which only what is detected is drawn.

    Args:
        count: number of pulses.
        source: what each is drawn from.
        block: number of the block.
        start_s: when pulse 0 leaves.
        rate_hz: pulses per second.
        rng: draws what is asked for after the detection.
    """

    def __init__(
        self, count: int, source: Source, block: int, start_s: float, rate_hz: float, rng: np.random.Generator
    ) -> None:
        super().__init__(block, start_s, rate_hz)
        self._count = count
        self._pulses = _Pulses(count, source, rng)

    def __len__(self) -> int:
        return self._count

    @property
    def record(self) -> SampledRecord:
        """What its sender knows."""
        return SampledRecord(self._pulses)

    def parcels(self) -> Sequence[slice]:
        """One: the whole train."""
        return (slice(0, len(self)),)

    def _do(self, where: slice, step: Callable[[Ensemble], None]) -> None:
        if where.start < where.stop:
            self._pulses.done.append((where, step))

    def lose(self, where: slice, transmittance: float, rng: np.random.Generator) -> None:  # noqa: ARG002  nothing is drawn yet
        """Each photon survives with probability `transmittance`."""
        self._do(where, lambda ensemble: ensemble.lose(transmittance))

    def flip(self, where: slice, probability: float, rng: np.random.Generator) -> None:  # noqa: ARG002  nothing is drawn yet
        """Each pulse is turned to the orthogonal state with this probability."""
        self._do(where, lambda ensemble: ensemble.flip(probability))

    def act(self, where: slice, kernel: Kernel, rng: np.random.Generator) -> Notes:  # noqa: ARG002  nothing is drawn yet
        """Do something to each pulse of `where` by itself."""
        self._pulses.done.append((where, _Act(kernel)))
        self._pulses.acts += 1
        return SampledNotes(self._pulses, self._pulses.acts - 1)

    def measure(
        self,
        where: slice,  # noqa: ARG002  the interface's, as are the others
        settings: NDArray[np.uint8],  # noqa: ARG002
        rng: np.random.Generator,  # noqa: ARG002
        only: NDArray[np.bool_] | None = None,  # noqa: ARG002
    ) -> NDArray[np.int8]:
        """Not pulse by pulse."""
        raise TypeError("a sampled train is not measured pulse by pulse: use act or expose")

    def expose(self, where: slice, response: Response, choice: Choice, rng: np.random.Generator) -> Exposure:
        """Draw the pulses that fire a detector, and what each was."""
        if where != slice(0, len(self)):
            raise TypeError("a sampled train falls on detectors as a whole")
        return self._absorbed(rng).fall(response, choice, rng)

    def _absorbed(self, rng: np.random.Generator) -> _Pulses:
        """The light, which goes no further."""
        absorbed, self._pulses = self._pulses, self._darkness(rng)
        return absorbed

    def _darkness(self, rng: np.random.Generator) -> _Pulses:
        """Pulses without photons, which leave only noise to detect."""
        none = np.zeros((1, PHOTONS))
        none[0, 0] = 1.0
        zero = np.zeros(1, dtype=np.uint8)
        return _Pulses(self._count, Source(np.ones(1), zero, zero, zero, zero, none), rng)

    def replace(self, where: slice, other: Train) -> None:
        """The whole train is blocked, and another goes on in its place."""
        if not isinstance(other, SampledTrain) or where != slice(0, len(self)) or len(other) != len(self):
            raise TypeError("a sampled train is replaced by another of the same length, as a whole")
        blocked = self._pulses
        self._pulses, other._pulses = other._pulses, self._darkness(rng=blocked.rng)
        # What was blocked falls on nothing that sees: its sender remembers it all the same.
        blocked.fall(Response(np.zeros((FLAGS, 2)), np.zeros(2)), Choice.always(0), blocked.rng)


def meet(
    one: SampledTrain,
    other: SampledTrain,
    law: Callable[[Ensemble, Ensemble], Law],
    rng: np.random.Generator,
) -> Exposure:
    """Let two trains fall on the same detectors, pulse by pulse together, and draw where these say something and what the pulses were.

    Args:
        one: it and the other have as many pulses, and go no further.
        other: see `one`.
        law: of two pulses that arrive together; its symbol is that of `one` times the number of the other's, plus the other's, and the
            notes about `one` come first.
        rng: the detectors' randomness.
    """
    mine, theirs = one._absorbed(rng), other._absorbed(rng)
    both = _Pulses(mine.count, mine.source, mine.rng)
    known = functools.cache(lambda first, second: law(mine.arriving(first), theirs.arriving(second)))
    exposure = both.draw(
        mine.edges() | theirs.edges(),
        lambda start, stop: known(mine.applied(start, stop), theirs.applied(start, stop)),
        rng,
    )
    symbols = len(theirs.source.probability)
    mine.settle(both.symbol // symbols, both.notes[: mine.acts], both)
    theirs.settle(both.symbol % symbols, both.notes[mine.acts :], both)
    return exposure
