"""Cascade's two parties in plain NumPy, frame by frame: the oracle of the compiled ones, and their stand-in for short keys.

What the parties do, and in which order, is said in `cascade`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.postprocessing.cascade_plan import SUBSETS_PER_STAGE, CascadePlan

Asked = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]
"""Pass numbers, starts and stops of ranges."""


class ClearAnswers:
    """Alice: parities of ranges, all of them valid, from the parities of the first 0, 1, 2, ... bits.

    Args:
        plan: agreed with Bob.
        bits: uint8[n] of 0 and 1.
    """

    def __init__(self, plan: CascadePlan, bits: NDArray[np.uint8]) -> None:
        self._plan = plan
        self._bits = bits
        self._prefix_parities: dict[int, NDArray[np.uint8]] = {}

    def parities(
        self, passes: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> NDArray[np.uint8] | None:
        """uint8[m], the parities of the ranges."""
        parities = np.empty(len(passes), dtype=np.uint8)
        for number in np.flatnonzero(np.bincount(passes)).tolist():
            if number not in self._prefix_parities:
                ordered = self._bits[self._plan.order(number)]
                self._prefix_parities[number] = np.bitwise_xor.accumulate(np.append(np.uint8(0), ordered))
            prefix, here = self._prefix_parities[number], passes == number
            parities[here] = prefix[stops[here]] ^ prefix[starts[here]]
        return parities


class ClearSearch:
    """Bob: all his frames.

    Args:
        plan: agreed with Alice.
        bits: uint8[n] of 0 and 1; copied.

    Attributes:
        asked: the questions to be answered next.
        corrected_bits: bits flipped so far.
        contradicted: an answer called a bit wrong that could not be.
    """

    def __init__(self, plan: CascadePlan, bits: NDArray[np.uint8]) -> None:
        self._plan = plan
        self._bits = bits.copy()
        size = plan.frame_bits
        self._orders: dict[int, NDArray[np.int64]] = {}
        self._frames = [
            _Frame(plan, self._orders, self._bits[start : start + size]) for start in range(0, plan.n, size)
        ]
        self._counts = [0] * plan.frames
        self.corrected_bits = 0
        self.contradicted = False
        self.asked = self._ask()

    @property
    def bits(self) -> NDArray[np.uint8]:
        """uint8[n], corrected as far as the answers went."""
        return self._bits

    def _ask(self) -> Asked:
        """The next round's questions of all frames, one frame after the other."""
        asked = [frame.ask() for frame in self._frames]
        self._counts = [len(starts) for _, starts, _ in asked]
        strides = np.zeros(self._plan.passes, dtype=np.int64)
        for number, order in self._orders.items():
            strides[number] = len(order)
        passes, starts, stops = (
            np.concatenate([np.empty(0, np.int64), *column])
            for column in (zip(*asked, strict=True) if asked else ((), (), ()))
        )
        offsets = strides[passes] * np.repeat(np.arange(len(asked)), self._counts)
        return passes.astype(np.uint8), starts + offsets, stops + offsets

    def learn(self, answers: NDArray[np.uint8]) -> None:
        """Take the answers to the questions asked."""
        done = 0
        for frame, count in zip(self._frames, self._counts, strict=True):
            if count:
                frame.learn(answers[done : done + count])
                done += count
        self.asked = self._ask()
        self.corrected_bits = sum(frame.corrected for frame in self._frames)
        self.contradicted = any(frame.contradicted for frame in self._frames)


class _Frame:
    """Bob's knowledge of one frame; its bits are corrected in place.

    Attributes:
        corrected: how many bits were flipped.
        contradicted: whether a bit was called wrong that could not be.
    """

    def __init__(
        self, plan: CascadePlan, orders: dict[int, NDArray[np.int64]], bits: NDArray[np.uint8]
    ) -> None:
        self._plan = plan
        self._orders = orders
        self._bits = bits
        self._settled = np.zeros(len(bits), dtype=np.bool_)
        self.corrected = 0
        self.contradicted = False
        self._stage = 0
        self._blocks: list[_Pass] = []
        self._opening: _Pass | None = None
        self._halving: list[tuple[_Pass, int]] = []  # a segment's pass and start
        self._waiting: list[int] = []  # bits known to be wrong without an answer
        self._subsets: dict[int, NDArray[np.int64]] = {}  # of the present stage, by number
        self._odd_subsets: set[int] = set()
        self._stage_was_odd = True
        self._opening_subsets: list[int] = []
        self._narrowing: tuple[int, int, int] | None = None  # an odd range of a subset

    def _order(self, number: int) -> NDArray[np.int64]:
        """The pass's bits in this frame."""
        if number not in self._orders:
            self._orders[number] = self._plan.frame_order(number)
        order = self._orders[number]
        return order[order < len(self._bits)]

    def ask(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The next questions, none if nothing is left to ask; positions are in the frame."""
        ranges = self._next()
        while self._waiting and not ranges and not self.contradicted:
            self._correct([])
            ranges = self._next()
        columns = np.array([] if self.contradicted else ranges, dtype=np.int64).reshape(-1, 3).T
        return columns[0], columns[1], columns[2]

    def _next(self) -> list[tuple[int, int, int]]:
        """The ranges to ask for next: pass, start, stop."""
        self._opening, self._halving, self._opening_subsets = None, [], []
        if self.contradicted:
            return []
        if smallest := self._smallest_odd():
            self._halving = [
                (each, inner) for each, start in smallest for inner in self._narrowed(each, start)
            ]
            return [(each.number, start, each.middle(start)) for each, start in self._halving]
        if self._odd_subsets:
            if self._narrowing is None:
                number = min(self._odd_subsets)
                self._narrowing = number, 0, len(self._subsets[number])
            number, start, stop = self._narrowing
            if stop - start > 1:
                return [(number, start, _middle(start, stop))]
            self.contradicted = True  # a subset of one bit becomes odd by the flip of that bit
            return []
        blocks = self._plan.block_passes
        if self._stage < blocks:
            number = self._stage
            self._stage += 1
            size = self._plan.block_sizes[number]
            self._opening = _Pass(number, self._order(number), self._bits, self._settled, size)
            return [(number, start, stop) for start, stop in self._opening.segments()]
        if self._stage < blocks + self._plan.subset_stages and self._stage_was_odd:
            first = blocks + SUBSETS_PER_STAGE * (self._stage - blocks)
            self._stage += 1
            self._subsets = {
                number: self._order(number) for number in range(first, first + SUBSETS_PER_STAGE)
            }
            self._opening_subsets = [number for number, order in self._subsets.items() if len(order)]
            self._stage_was_odd = False
            return [(number, 0, len(self._subsets[number])) for number in self._opening_subsets]
        return []

    def _narrowed(self, each: _Pass, start: int) -> list[int]:
        """Cut an odd segment down to where its open bits are: where it starts then, or nothing if that is one bit."""
        inner, stop = each.narrow(start)
        if stop == inner:
            self.contradicted = True
        elif stop - inner == 1:
            self._waiting.append(each.bit(inner))
        else:
            return [inner]
        return []

    def learn(self, answers: NDArray[np.uint8]) -> None:
        """Take the answers to the last questions and correct what they pin down."""
        self._correct(self._found(answers.tolist()))

    def _correct(self, found: list[int]) -> None:
        """Flip the bits that waited and the ones found."""
        errors = dict.fromkeys(self._waiting + found)
        self._waiting = []
        if any(self._settled[error] for error in errors):
            self.contradicted = True
            return
        for error in errors:
            self._settled[error] = True
            self._bits[error] ^= 1
            self.corrected += 1
            for each in self._blocks:
                each.flip(error)
            self._odd_subsets ^= {number for number, order in self._subsets.items() if error in order}

    def _found(self, answers: list[int]) -> list[int]:
        """The bits that the answers to the last questions call wrong."""
        if self._opening is not None:
            self._blocks.append(self._opening)
            return self._opening.open(answers)
        if self._halving:
            halved = zip(self._halving, answers, strict=True)
            return [error for (each, start), answer in halved for error in each.halve(start, answer)]
        if self._opening_subsets:
            for number, answer in zip(self._opening_subsets, answers, strict=True):
                if _parity(self._bits[self._subsets[number]]) != answer:
                    self._odd_subsets.add(number)
            self._stage_was_odd = bool(self._odd_subsets)
            odd = [self._subsets[number] for number in sorted(self._odd_subsets)]
            return [int(order[0]) for order in odd if len(order) == 1]
        return self._narrow(answers[0])

    def _narrow(self, answer: int) -> list[int]:
        """Keep the odd half of a subset's range; the bit, if it is one."""
        assert self._narrowing is not None  # noqa: S101  nothing else was asked
        number, start, stop = self._narrowing
        order, middle = self._subsets[number], _middle(start, stop)
        if _parity(self._bits[order[start:middle]]) != answer:
            stop = middle
        else:
            start = middle
        self._narrowing = (number, start, stop) if stop - start > 1 else None
        return [] if self._narrowing else [int(order[start])]

    def _smallest_odd(self) -> list[tuple[_Pass, int]]:
        """The odd segments of the smallest classes, by class, pass and start, until the round is wide enough."""
        odd = sorted(
            (_class(stop - start), each.number, start)
            for each in self._blocks
            for start, stop in each.odd_segments()
        )
        if len(odd) > self._plan.round_width:
            largest = odd[self._plan.round_width - 1][0]
            odd = [each for each in odd if each[0] <= largest]
        return [(self._blocks[number], start) for _, number, start in odd]


class _Pass:
    """A block pass of a frame: its bits in its order, cut into segments of known parity.

    Args:
        number: of the pass.
        order: the bits of the frame in its order.
        bits: of the frame in the given order.
        settled: bool[frame_bits], which bits cannot be wrong; those that an answer settles are marked.
        size: of the blocks.
    """

    def __init__(
        self,
        number: int,
        order: NDArray[np.int64],
        bits: NDArray[np.uint8],
        settled: NDArray[np.bool_],
        size: int,
    ) -> None:
        self.number = number
        self._order = order
        self._bits = bits[order]
        self._settled = settled
        self._position = np.empty(len(order), dtype=np.int64)
        self._position[order] = np.arange(len(order))
        starts = range(0, len(order), size)
        self._stops = {start: min(start + size, len(order)) for start in starts}
        self._edge = np.zeros(len(order), dtype=np.bool_)
        self._edge[::size] = True
        self._odd: set[int] = set()

    def segments(self) -> list[tuple[int, int]]:
        """Starts and stops, ascending."""
        return sorted(self._stops.items())

    def odd_segments(self) -> list[tuple[int, int]]:
        """Starts and stops of those whose parity is not Alice's."""
        return [(start, self._stops[start]) for start in self._odd]

    def middle(self, start: int) -> int:
        """Where the left half of a segment stops."""
        return _middle(start, self._stops[start])

    def bit(self, position: int) -> int:
        """Which bit of the frame stands there."""
        return int(self._order[position])

    def open(self, answers: list[int]) -> list[int]:
        """Learn the parities of all blocks; the bits known to be wrong by that."""
        starts = np.array(sorted(self._stops))
        odd = np.bitwise_xor.reduceat(self._bits, starts) != np.array(answers)
        for start in starts[~odd].tolist():
            self._call_even(start)
        return [error for start in starts[odd].tolist() for error in self._call_odd(start)]

    def narrow(self, start: int) -> tuple[int, int]:
        """Cut an odd segment down to the smallest node of its tree with all open bits: where that starts and stops.

        Where a single bit is open it is no longer called odd. The node is empty if no bit is open.
        """
        stop = self._stops[start]
        is_open = ~self._settled[self._order[start:stop]]
        inner, end = start, stop
        if not is_open.any():
            return start, start
        while end - inner > 1:
            middle = _middle(inner, end)
            if not is_open[inner - start : middle - start].any():
                inner = middle
            elif not is_open[middle - start : end - start].any():
                end = middle
            else:
                break
        if (inner, end) != (start, stop):
            self._odd.remove(start)
            for left, right in ((start, inner), (inner, end), (end, stop)):
                if left < right:
                    self._stops[left] = right
                    self._edge[left] = True
            self._call_odd(inner)
        return inner, end

    def halve(self, start: int, answer: int) -> list[int]:
        """Split an odd segment: exactly one half is odd, and the answer says which; the bit, if it is one."""
        stop = self._stops[start]
        middle = _middle(start, stop)
        self._stops[start], self._stops[middle] = middle, stop
        self._edge[middle] = True
        self._odd.remove(start)
        odd, even = (start, middle) if _parity(self._bits[start:middle]) != answer else (middle, start)
        self._call_even(even)
        return self._call_odd(odd)

    def flip(self, error: int) -> None:
        """Take over a correction; a bit that stands alone is right from then on, and forgotten."""
        position = int(self._position[error])
        self._bits[position] ^= 1
        start = position
        while not self._edge[start]:
            start -= 1
        if self._stops[start] - start > 1:
            self._odd ^= {start}

    def _call_odd(self, start: int) -> list[int]:
        """Remember an odd segment, or say which bit it is."""
        if self._stops[start] - start == 1:
            return [self.bit(start)]
        self._odd.add(start)
        return []

    def _call_even(self, start: int) -> None:
        """A bit that stands alone in an even segment is right."""
        if self._stops[start] - start == 1:
            self._settled[self._order[start]] = True


def _middle(start: int, stop: int) -> int:
    """After the largest power of two below the length, at least 2, of a range: its left half."""
    return start + (1 << (_class(stop - start) - 1))


def _class(length: int) -> int:
    """The least c with 2^c >= length."""
    return (length - 1).bit_length()


def _parity(bits: NDArray[np.uint8]) -> int:
    """Parity of some bits."""
    return int(np.bitwise_xor.reduce(bits))
