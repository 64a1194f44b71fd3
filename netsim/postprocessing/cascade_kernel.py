"""Cascade's two parties compiled: the same messages as `cascade_clear`, tens of millions of bits a second.

The layout. A block pass of a frame is one row of 64-bit words. First its bits in the order of the pass and, in turn
with these, its edges: a one where a segment starts, and one after the last. Then its odd segments, and a summary: a one
for each word of odd segments that is not zero. A segment of more than 2^(c − 1) and up to 2^c bits is of class c. Each
class has its own place among the odd segments, as in a heap: the segment that starts at p is bit 2^(height − c) + p/2^c.
So those of one class are found in ascending order by skipping zeros. Positions are within the frame; only in messages
do they run through the whole key.

Nothing here trusts memory to a peer: `answer` looks at every range before it reads; all else is checked by `cascade`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # it ships no type information
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from netsim.postprocessing.cascade_plan import BLOCK_PASSES, SUBSET_STAGES, SUBSETS_PER_STAGE, CascadePlan

COUNTS, CLASSES = 8, 17  # a state ends with how many odd segments of each class each block pass has
STATE_SIZE = COUNTS + BLOCK_PASSES * CLASSES
DONE, OPEN_BLOCKS, HALVE_BLOCKS, OPEN_SUBSETS, HALVE_SUBSET = range(5)

Words = NDArray[np.uint64]
Places = NDArray[np.uint16]

_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


Integer = Any
"""Any integer of Python's or NumPy's: compiled, they are all one."""


def _instruction(name: str, *flags: ir.Constant) -> Any:
    """A function of one word that is one instruction of the processor."""

    def build(typing_context: Any, word: Any) -> Any:  # noqa: ARG001  numba's protocol
        return types.uint64(types.uint64), lambda _, builder, __, args: getattr(builder, name)(
            args[0], *flags
        )

    return intrinsic(build)


_NOT_ZERO = ir.Constant(ir.IntType(1), 1)
_ones = _instruction("ctpop")
_lowest = _instruction("cttz", _NOT_ZERO)  # the place of the lowest one; there must be one
_leading = _instruction("ctlz", _NOT_ZERO)  # zeros above the highest one; there must be one


@numba.njit(cache=True, nogil=True)
def _gather(
    bits: NDArray[np.uint8], order: Places, length: Integer, words: Words, base: Integer, stride: Integer
) -> None:
    """Write bits[order[:length]] into every stride-th word from base on, the first bit lowest; marks are left out."""
    full = length >> 6
    for w in range(full):
        word = np.uint64(0)
        for i in range(63, -1, -1):
            word = (word << _ONE) | np.uint64(bits[order[(w << 6) + i]] & 1)
        words[base + stride * w] = word
    if length & 63:
        word = np.uint64(0)
        for i in range((length & 63) - 1, -1, -1):
            word = (word << _ONE) | np.uint64(bits[order[(full << 6) + i]] & 1)
        words[base + stride * full] = word


@numba.njit(cache=True, nogil=True)
def _parity(rows: Words, base: Integer, start: Integer, stop: Integer) -> Integer:
    """Parity of a row's bits from start to stop, at least one."""
    first, last = base + 2 * (start >> 6), base + 2 * ((stop - 1) >> 6)
    low = _ALL << np.uint64(start & 63)
    high = _ALL >> np.uint64(63 - ((stop - 1) & 63))
    if first == last:
        return _ones(rows[first] & low & high) & _ONE
    word = (rows[first] & low) ^ (rows[last] & high)
    for w in range(first + 2, last, 2):
        word ^= rows[w]
    return _ones(word) & _ONE


@numba.njit(cache=True, nogil=True)
def _masked_parity(
    words: Words, base: Integer, stride: Integer, mask: Words, start: Integer, stop: Integer
) -> Integer:
    """Parity of the bits from start to stop, at least one, where the mask is one."""
    first, last = start >> 6, (stop - 1) >> 6
    low = _ALL << np.uint64(start & 63)
    high = _ALL >> np.uint64(63 - ((stop - 1) & 63))
    if first == last:
        return _ones(words[base + stride * first] & mask[first] & low & high) & _ONE
    word = (words[base + stride * first] & mask[first] & low) ^ (
        words[base + stride * last] & mask[last] & high
    )
    for w in range(first + 1, last):
        word ^= words[base + stride * w] & mask[w]
    return _ones(word) & _ONE


@numba.njit(cache=True, nogil=True)
def _class_of(length: Integer) -> Integer:
    """The least c with 2^c >= length, which is at least 1."""
    if length == 1:
        return 0
    return 64 - np.int64(_leading(np.uint64(length - 1)))


@numba.njit(cache=True, nogil=True)
def _set_odd(rows: Words, odd: Integer, summary: Integer, node: Integer) -> None:
    """Call a segment odd."""
    w = node >> 6
    rows[odd + w] |= _ONE << np.uint64(node & 63)
    rows[summary + (w >> 6)] |= _ONE << np.uint64(w & 63)


@numba.njit(cache=True, nogil=True)
def _clear_odd(rows: Words, odd: Integer, summary: Integer, node: Integer) -> None:
    """Call a segment odd no longer."""
    w = node >> 6
    word = rows[odd + w] & ~(_ONE << np.uint64(node & 63))
    rows[odd + w] = word
    rows[summary + (w >> 6)] &= ~(np.uint64(word == 0) << np.uint64(w & 63))


@numba.njit(cache=True, nogil=True)
def _next_odd(rows: Words, odd: Integer, summary: Integer, node: Integer, summaries: Integer) -> Integer:
    """The first odd node from `node` on, or one beyond all."""
    w = node >> 6
    word = rows[odd + w] >> np.uint64(node & 63)
    if word:
        return node + np.int64(_lowest(word))
    w += 1
    s = w >> 6
    if s >= summaries:
        return summaries << 12
    word = rows[summary + s] >> np.uint64(w & 63)
    if word:
        w += np.int64(_lowest(word))
        return (w << 6) + np.int64(_lowest(rows[odd + w]))
    s += 1
    while s < summaries:
        word = rows[summary + s]
        if word:
            w = (s << 6) + np.int64(_lowest(word))
            return (w << 6) + np.int64(_lowest(rows[odd + w]))
        s += 1
    return summaries << 12


@numba.njit(cache=True, nogil=True)
def advance(  # noqa: C901, PLR0912, PLR0915  one round of all frames, compiled as one
    shape: NDArray[np.int64],
    bits: NDArray[np.uint8],
    answers: NDArray[np.uint8],
    numbers: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    rows: Words,
    states: NDArray[np.int64],
    tables: Places,
    subset_orders: Places,
    subset_lengths: NDArray[np.int64],
    masks: Words,
    members: Places,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], int, bool, int]:
    """Take the answers to a round's questions, correct what they pin down, and ask the next round's.

    A frame's state: what its last questions were for; how many they were; stages opened; whether some subset of
    the last stage was odd when it was opened; which are now, a bit each; start and stop of the subset's range
    being halved, and which subset; then the counts of odd segments.

    Args:
        shape: as in `_Tables`.
        bits: uint8[n]; 2 is added to those that were flipped.
        answers: uint8[m] of 0 and 1.
        numbers: uint8[m], passes of the questions.
        starts: int64[m].
        stops: int64[m].
        rows: a row for each block pass of each frame, laid out as said above.
        states: int64[frames, STATE_SIZE].
        tables: uint16[2, 3, 2, frame_bits], orders and places.
        subset_orders: as in `_Tables`, down to the first stage not opened yet.
        subset_lengths: likewise.
        masks: likewise.
        members: likewise.

    Returns:
        The next questions (numbers, starts, stops), bits corrected, whether the answers contradict each other,
        and the most stages that a frame still busy has opened.
    """
    n, frame_bits, frames, height, width = shape[0], shape[1], shape[2], shape[3], shape[4]
    words = (1 << height) >> 6
    if words == 0:
        words = 1
    summaries = (words + 63) >> 6
    row = 3 * words + 2 + summaries
    block_classes = shape[5:8]
    room: Integer = max(np.int64(64 * frames), len(starts) + len(starts) // 4)
    new_numbers, new_starts, new_stops = (
        np.empty(room, np.uint8),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )
    found = np.empty(64, np.int64)
    q: Integer = 0
    m: Integer = 0
    corrected, contradicted, deepest = 0, False, 0
    for f in range(frames):
        if states[f, 0] == DONE:
            continue
        state = states[f]
        offset = f * frame_bits
        short = np.int64(f == frames - 1)
        length = n - offset if short else frame_bits
        frame = bits[offset : offset + length]
        home = f * BLOCK_PASSES * row

        # What the answers say.
        finds = 0
        last = q + state[1]
        if last - q > len(found):
            found = np.empty(2 * (last - q), np.int64)
        if state[0] == OPEN_BLOCKS:
            number = state[2] - 1
            base = home + number * row
            edges, odd = base + 1, base + 2 * words + 2
            summary = odd + words
            while q < last:
                start = starts[q] - offset
                stop = stops[q] - offset
                rows[edges + 2 * (start >> 6)] |= _ONE << np.uint64(start & 63)
                if _parity(rows, base, start, stop) != answers[q]:
                    c = _class_of(stop - start)
                    if c == 0:
                        found[finds] = tables[0, number, short, start]
                        finds += 1
                    else:
                        _set_odd(rows, odd, summary, (1 << (height - c)) + (start >> c))
                        state[COUNTS + CLASSES * number + c] += 1
                q += 1
            rows[edges + 2 * (length >> 6)] |= _ONE << np.uint64(length & 63)
        elif state[0] == HALVE_BLOCKS:
            while q < last:
                number = np.int64(numbers[q])
                base = home + number * row
                odd = base + 2 * words + 2
                summary = odd + words
                start, middle = starts[q] - offset, stops[q] - offset
                c = _class_of(middle - start)
                _clear_odd(rows, odd, summary, (1 << (height - c - 1)) + (start >> (c + 1)))
                state[COUNTS + CLASSES * number + c + 1] -= 1
                rows[base + 1 + 2 * (middle >> 6)] |= _ONE << np.uint64(middle & 63)
                right = np.int64(_parity(rows, base, start, middle) == answers[q])
                start += right * (middle - start)
                # Only the last segment of a frame has halves of unequal length.
                if start + (1 << c) > length:
                    c = _class_of(length - start)
                if c == 0:
                    found[finds] = tables[0, number, short, start]
                    finds += 1
                else:
                    _set_odd(rows, odd, summary, (1 << (height - c)) + (start >> c))
                    state[COUNTS + CLASSES * number + c] += 1
                q += 1
        elif state[0] == OPEN_SUBSETS:
            state[4] = 0
            while q < last:
                subset = np.int64(numbers[q]) - BLOCK_PASSES
                size = subset_lengths[subset, short]
                order = subset_orders[subset]
                if (
                    _masked_parity(
                        rows, home, 2, masks[subset], np.int64(order[0]), np.int64(order[size - 1]) + 1
                    )
                    != answers[q]
                ):
                    state[4] |= 1 << (subset % SUBSETS_PER_STAGE)
                    if size == 1:
                        found[finds] = order[0]
                        finds += 1
                q += 1
            state[3] = np.int64(state[4] != 0)
        else:
            subset = np.int64(numbers[q]) - BLOCK_PASSES
            order = subset_orders[subset]
            start, middle = state[5], stops[q] - f * subset_lengths[subset, 0]
            parity = _masked_parity(
                rows, home, 2, masks[subset], np.int64(order[start]), np.int64(order[middle - 1]) + 1
            )
            if parity != answers[q]:
                state[6] = middle
            else:
                state[5] = middle
            if state[6] - state[5] == 1:
                found[finds] = order[state[5]]
                finds += 1
                state[6] = 0
            q += 1

        # Flip what stands alone.
        wrong = False
        for i in range(finds):
            x = found[i]
            if frame[x] & 2:
                wrong = True
        if wrong:
            contradicted = True
            state[0] = DONE
            continue
        opened = min(state[2], BLOCK_PASSES)
        for i in range(finds):
            x = found[i]
            if frame[x] & 2:
                continue
            frame[x] ^= 3
            corrected += 1
            for number in range(opened):
                base = home + number * row
                edges, odd = base + 1, base + 2 * words + 2
                p = np.int64(tables[1, number, short, x])
                rows[base + 2 * (p >> 6)] ^= _ONE << np.uint64(p & 63)
                size = np.int64(1) << block_classes[number]
                start = p & -size
                while size > 1:
                    size >>= 1
                    middle = start + size
                    if middle < length:
                        if not rows[edges + 2 * (middle >> 6)] >> np.uint64(middle & 63) & _ONE:
                            size <<= 1
                            break
                        if p >= middle:
                            start = middle
                stop = min(start + size, length)
                if stop - start > 1:
                    c = _class_of(stop - start)
                    node = (1 << (height - c)) + (start >> c)
                    if rows[odd + (node >> 6)] >> np.uint64(node & 63) & _ONE:
                        _clear_odd(rows, odd, odd + words, node)
                        state[COUNTS + CLASSES * number + c] -= 1
                    else:
                        _set_odd(rows, odd, odd + words, node)
                        state[COUNTS + CLASSES * number + c] += 1
            if state[2] > BLOCK_PASSES:
                state[4] ^= members[state[2] - BLOCK_PASSES - 1, x]

        # What to ask next.
        total, largest = 0, 0
        while largest < height and total < width:
            largest += 1
            for number in range(opened):
                total += state[COUNTS + CLASSES * number + largest]
        before = m
        stage = state[2]
        need = max(total, SUBSETS_PER_STAGE)
        if total == 0 and stage < BLOCK_PASSES and state[4] == 0:
            need = ((length - 1) >> block_classes[stage]) + 1
        if m + need > room:
            room = 2 * (m + need)
            more_numbers, more_starts, more_stops = (
                np.empty(room, np.uint8),
                np.empty(room, np.int64),
                np.empty(room, np.int64),
            )
            for i in range(m):  # a loop compiles sooner than the assignment of slices, which checks shapes
                more_numbers[i], more_starts[i], more_stops[i] = new_numbers[i], new_starts[i], new_stops[i]
            new_numbers, new_starts, new_stops = more_numbers, more_starts, more_stops
        if total:
            state[0] = HALVE_BLOCKS
            for c in range(1, largest + 1):
                for number in range(opened):
                    left = state[COUNTS + CLASSES * number + c]
                    odd = home + number * row + 2 * words + 2
                    node = first = 1 << (height - c)
                    while left:
                        node = _next_odd(rows, odd, odd + words, node, summaries)
                        start = offset + ((node - first) << c)
                        new_numbers[m], new_starts[m], new_stops[m] = number, start, start + (1 << (c - 1))
                        m += 1
                        node += 1
                        left -= 1
        elif state[4]:
            state[0] = HALVE_SUBSET
            if state[6] == 0:
                s = 0
                while not state[4] >> s & 1:
                    s += 1
                state[7] = (stage - BLOCK_PASSES - 1) * SUBSETS_PER_STAGE + s
                state[5], state[6] = 0, subset_lengths[state[7], short]
            if state[6] - state[5] == 1:
                contradicted = True  # a subset of one bit becomes odd by the flip of that bit
            else:
                start = f * subset_lengths[state[7], 0] + state[5]
                new_numbers[m], new_starts[m] = BLOCK_PASSES + state[7], start
                new_stops[m] = start + (1 << (_class_of(state[6] - state[5]) - 1))
                m += 1
        elif stage < BLOCK_PASSES:
            state[0] = OPEN_BLOCKS
            state[2] += 1
            if stage:
                _gather(frame, tables[0, stage, short], length, rows, home + stage * row, 2)
            size = 1 << block_classes[stage]
            for start in range(0, length, size):
                new_numbers[m], new_starts[m], new_stops[m] = (
                    stage,
                    offset + start,
                    offset + min(start + size, length),
                )
                m += 1
        elif stage < BLOCK_PASSES + SUBSET_STAGES and (stage == BLOCK_PASSES or state[3]):
            state[0] = OPEN_SUBSETS
            state[2] += 1
            for s in range(SUBSETS_PER_STAGE):
                subset = (stage - BLOCK_PASSES) * SUBSETS_PER_STAGE + s
                size = subset_lengths[subset, short]
                if size:
                    start = f * subset_lengths[subset, 0]
                    new_numbers[m], new_starts[m], new_stops[m] = BLOCK_PASSES + subset, start, start + size
                    m += 1
        if m == before:
            state[0] = DONE
        state[1] = m - before
        deepest = max(deepest, state[2])
    return new_numbers[:m], new_starts[:m], new_stops[:m], corrected, contradicted, deepest


@numba.njit(cache=True, nogil=True)
def _prefix_parities(words: Words, base: Integer, length: Integer, prefix: Words) -> None:
    """From bits in words, the parities of the first 0, 1, ... length of them."""
    carry = np.uint64(0)
    full = length >> 6
    for w in range((length + 63) >> 6):
        word = words[base + w]
        word ^= word << np.uint64(1)
        word ^= word << np.uint64(2)
        word ^= word << np.uint64(4)
        word ^= word << np.uint64(8)
        word ^= word << np.uint64(16)
        word ^= word << np.uint64(32)
        prefix[w] = (word << _ONE) ^ carry
        if word >> np.uint64(63):
            carry = ~carry
    if length & 63 == 0:
        prefix[full] = carry


@numba.njit(cache=True, nogil=True)
def answer(
    shape: NDArray[np.int64],
    bits: NDArray[np.uint8],
    numbers: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    packed: Words,
    prefixes: Words,
    built: NDArray[np.uint8],
    orders: Places,
    subset_orders: Places,
    subset_lengths: NDArray[np.int64],
    masks: Words,
) -> NDArray[np.uint8]:
    """Alice's parities; fewer than the questions if one of these is not a range within a frame of its pass.

    Args:
        shape: as in `_Tables`.
        bits: uint8[n].
        numbers: uint8[m], passes of the questions, all of them drawn.
        starts: int64[m], any numbers.
        stops: int64[m], any numbers.
        packed: the bits, a row of words for each frame.
        prefixes: uint64[frames, 3, words + 1], parities of the first 0, 1, 2, ... bits of the passes, where built.
        built: uint8[frames, 3].
        orders: as in `_Tables`.
        subset_orders: as in `_Tables`.
        subset_lengths: as in `_Tables`.
        masks: as in `_Tables`.
    """
    n, frame_bits, frames = shape[0], shape[1], shape[2]
    parities = np.empty(len(starts), np.uint8)
    scratch = np.empty(prefixes.shape[2], np.uint64)
    f = np.int64(0)
    number_before = np.int64(-1)
    low, high = np.int64(0), np.int64(-1)
    length = np.int64(0)
    for q in range(len(starts)):
        number, start, stop = np.int64(numbers[q]), starts[q], stops[q]
        if number != number_before or start < low or start >= high:
            stride = frame_bits
            if number >= BLOCK_PASSES:
                stride = subset_lengths[number - BLOCK_PASSES, 0]
            number_before = number
            if start < 0 or start >= stride * frames:
                return parities[:q]
            f = start // stride
            short = np.int64(f == frames - 1)
            low = f * stride
            length = n - f * frame_bits if short else frame_bits
            if number >= BLOCK_PASSES:
                length = subset_lengths[number - BLOCK_PASSES, short]
            high = low + length
            if number < BLOCK_PASSES and not built[f, number]:
                built[f, number] = 1
                if number:
                    _gather(
                        bits[f * frame_bits : f * frame_bits + length],
                        orders[number, short],
                        length,
                        scratch,
                        0,
                        1,
                    )
                    _prefix_parities(scratch, 0, length, prefixes[f, number])
                else:
                    _prefix_parities(packed, f * masks.shape[1], length, prefixes[f, 0])
        if start < low or stop <= start or stop > high:
            return parities[:q]
        a, b = start - low, stop - low
        if number < BLOCK_PASSES:
            parity = (prefixes[f, number, a >> 6] >> np.uint64(a & 63)) ^ (
                prefixes[f, number, b >> 6] >> np.uint64(b & 63)
            )
            parities[q] = parity & _ONE
        else:
            order, mask = subset_orders[number - BLOCK_PASSES], masks[number - BLOCK_PASSES]
            parities[q] = _masked_parity(
                packed, f * masks.shape[1], 1, mask, np.int64(order[a]), np.int64(order[b - 1]) + 1
            )
    return parities


class _Tables:
    """Orders and subsets of a plan as the kernels want them: row 0 for a whole frame, row 1 for the last.

    Attributes:
        shape: int64[8]: n, frame_bits, frames, height, round_width, and the classes of the three block sizes.
        words: 64-bit words for 2^height bits, which hold a frame.
        orders: uint16[3, 2, frame_bits], the block passes.
        subset_orders: uint16[subsets drawn, frame_bits].
        subset_lengths: int64[subsets drawn, 2].
        masks: uint64[subsets drawn, words].
        members: uint16[stages drawn, frame_bits], bit s of a position is whether it is in subset s of the stage.
    """

    def __init__(self, plan: CascadePlan) -> None:
        self._plan = plan
        size, last = plan.frame_bits, plan.last_frame_bits
        height = (size - 1).bit_length()
        classes = [block_size.bit_length() - 1 for block_size in plan.block_sizes]
        self.shape = np.array([plan.n, size, plan.frames, height, plan.round_width, *classes], np.int64)
        self.words = max(1, (1 << height) >> 6)
        self.orders = np.zeros((BLOCK_PASSES, 2, size), np.uint16)
        for number in range(BLOCK_PASSES):
            order = plan.frame_order(number)
            self.orders[number, 0] = order
            self.orders[number, 1, :last] = order[order < last]
        self.subset_orders = np.zeros((0, size), np.uint16)
        self.subset_lengths = np.zeros((0, 2), np.int64)
        self.masks = np.zeros((0, self.words), np.uint64)
        self.members = np.zeros((0, size), np.uint16)

    def places(self) -> NDArray[np.uint16]:
        """uint16[3, 2, frame_bits], where in the orders each bit stands."""
        places = np.zeros_like(self.orders)
        for number in range(BLOCK_PASSES):
            for row, length in enumerate((self._plan.frame_bits, self._plan.last_frame_bits)):
                order = self.orders[number, row, :length].astype(np.intp)
                places[number, row, order] = np.arange(length, dtype=np.uint16)
        return places

    def draw(self, stages: int) -> None:
        """See that the subsets of the first so many subset stages are there."""
        for stage in range(len(self.members), stages):
            first = BLOCK_PASSES + SUBSETS_PER_STAGE * stage
            orders = np.zeros((SUBSETS_PER_STAGE, self._plan.frame_bits), np.uint16)
            chosen = np.zeros((SUBSETS_PER_STAGE, 64 * self.words), np.uint8)
            lengths = np.zeros((SUBSETS_PER_STAGE, 2), np.int64)
            members = np.zeros(self._plan.frame_bits, np.uint16)
            for subset in range(SUBSETS_PER_STAGE):
                order = self._plan.frame_order(first + subset)
                orders[subset, : len(order)] = order
                chosen[subset, order] = 1
                lengths[subset] = len(order), np.searchsorted(order, self._plan.last_frame_bits)
                members |= chosen[subset, : len(members)].astype(np.uint16) << np.uint16(subset)
            self.subset_orders = np.concatenate((self.subset_orders, orders))
            self.subset_lengths = np.concatenate((self.subset_lengths, lengths))
            self.masks = np.concatenate((self.masks, _words(chosen)))
            self.members = np.concatenate((self.members, members[None]))

    def frames(self, bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """uint64[frames, words], the bits of a key."""
        per_frame = -(-self._plan.frame_bits // 64)
        packed = np.packbits(bits, bitorder="little")
        padded = np.zeros(8 * per_frame * self._plan.frames, np.uint8)
        padded[: len(packed)] = packed
        frames = np.zeros((self._plan.frames, self.words), np.uint64)
        frames[:, :per_frame] = padded.view("<u8").reshape(self._plan.frames, per_frame)
        return frames


def _words(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Rows of a multiple of 64 bits as rows of words, the first bit lowest."""
    return np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)


class CompiledAnswers:
    """Alice: parities of ranges.

    Args:
        plan: agreed with Bob; not empty.
        bits: uint8[n] of 0 and 1.
    """

    def __init__(self, plan: CascadePlan, bits: NDArray[np.uint8]) -> None:
        self._tables = _Tables(plan)
        self._bits = _plain(bits, np.uint8)
        self._packed = self._tables.frames(bits).reshape(-1)
        self._prefixes = np.empty((plan.frames, BLOCK_PASSES, self._tables.words + 1), np.uint64)
        self._built = np.zeros((plan.frames, BLOCK_PASSES), np.uint8)

    def parities(
        self, passes: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> NDArray[np.uint8] | None:
        """uint8[m], the parities of the ranges, or None if one is not within a frame of its pass.

        Args:
            passes: uint8[m], below PASSES.
            starts: int64[m], unchecked.
            stops: int64[m], unchecked.
        """
        tables = self._tables
        greatest = int(passes.max(initial=0))
        if greatest >= BLOCK_PASSES:
            tables.draw((greatest - BLOCK_PASSES) // SUBSETS_PER_STAGE + 1)
        parities: NDArray[np.uint8] = answer(
            tables.shape,
            self._bits,
            _plain(passes, np.uint8),
            _plain(starts, np.int64),
            _plain(stops, np.int64),
            self._packed,
            self._prefixes,
            self._built,
            tables.orders,
            tables.subset_orders,
            tables.subset_lengths,
            tables.masks,
        )
        return parities if len(parities) == len(passes) else None


class CompiledSearch:
    """Bob: all his frames.

    Args:
        plan: agreed with Alice; not empty.
        bits: uint8[n] of 0 and 1; copied.

    Attributes:
        asked: pass numbers, starts and stops of the questions to be answered next.
        corrected_bits: bits flipped so far.
        contradicted: an answer called a bit wrong that had been flipped before.
    """

    def __init__(self, plan: CascadePlan, bits: NDArray[np.uint8]) -> None:
        self._tables = tables = _Tables(plan)
        self._marked = np.array(bits, dtype=np.uint8, order="C")
        row = 3 * tables.words + 2 + (tables.words + 63) // 64
        rows = np.zeros((plan.frames, BLOCK_PASSES, row), np.uint64)
        rows[:, 0, : 2 * tables.words : 2] = tables.frames(bits)
        self._rows = rows.reshape(-1)
        self._states = np.zeros((plan.frames, STATE_SIZE), np.int64)
        self._states[:, 0] = HALVE_BLOCKS
        self._tables_both = np.stack((tables.orders, tables.places()))
        self._stage = 0
        self.asked = np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64)
        self.corrected_bits = 0
        self.contradicted = False
        self.learn(np.empty(0, np.uint8))

    @property
    def bits(self) -> NDArray[np.uint8]:
        """uint8[n], corrected as far as the answers went."""
        return self._marked & np.uint8(1)

    def learn(self, answers: NDArray[np.uint8]) -> None:
        """Take the answers to the questions asked."""
        tables = self._tables
        if self._stage >= BLOCK_PASSES:
            tables.draw(min(self._stage - BLOCK_PASSES + 1, SUBSET_STAGES))
        passes, starts, stops, corrected, contradicted, stage = advance(
            tables.shape,
            self._marked,
            _plain(answers, np.uint8),
            *self.asked,
            self._rows,
            self._states,
            self._tables_both,
            tables.subset_orders,
            tables.subset_lengths,
            tables.masks,
            tables.members,
        )
        self.asked = passes, starts, stops
        self.corrected_bits += corrected
        self.contradicted |= bool(contradicted)
        self._stage = max(self._stage, stage)


def _plain(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """The one kind of array the kernels are compiled for: `values`, or a copy of them."""
    flags = values.flags
    if values.dtype == dtype and flags.c_contiguous and flags.writeable and flags.aligned:
        return values
    return np.array(values, dtype=dtype, order="C")
