"""Cascade's two parties compiled: the same messages as `cascade_clear`, tens of millions of bits a second.

The layout. A block pass of a frame is one row of 64-bit words. First, in fours, so that all about a place is in one line
of the cache: its bits in the order of the pass; its edges, a one where a segment starts and one after the last; its
settled bits, which cannot be wrong any more; its odd segments, a one where such a segment starts. Then, for each class,
in which of the fours an odd segment of that class may start. So those of one class are found in ascending order by
skipping zeros. Positions are within the frame; only in messages do they run through the whole key.

Nothing here trusts memory to a peer: `answer` looks at every range before it reads; all else is checked by `cascade`.
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # it ships no type information
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from netsim.postprocessing.cascade_plan import SUBSETS_PER_STAGE, CascadePlan
from netsim.postprocessing.cascade_slices import in_orders, invert

DONE, OPEN_BLOCKS, HALVE_BLOCKS, OPEN_SUBSETS, HALVE_SUBSET = range(5)
COUNTS, CLASSES = 9, 17  # a state ends with how many odd segments of each class each block pass has
PER_WORD = 4  # words of a row for 64 bits: bits, edges, settled, odd
EDGES, SETTLED, ODD = 1, 2, 3
FETCHED = 512  # questions of a frame whose places are brought near while the frame before is dealt with

Words = NDArray[np.uint64]
Places = NDArray[np.uint16]

_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_at = (
    np.uint64
)  # of an index: numba looks at the sign of a signed one each time, which made all a fifth slower


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


def _prefetch(typing_context: Any, words: Any, index: Any) -> Any:  # noqa: ARG001  numba's protocol
    """Have a word brought near before it is needed: it is read and written a little later."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        octets = ir.PointerType(ir.IntType(8))
        place = builder.bitcast(builder.gep(array.data, [args[1]]), octets)
        kinds = [ir.Constant(ir.IntType(32), kind) for kind in (1, 3, 1)]  # to be written, kept, data
        function_type = ir.FunctionType(ir.VoidType(), [octets, *(kind.type for kind in kinds)])
        builder.call(
            builder.module.declare_intrinsic("llvm.prefetch", (octets,), function_type), [place, *kinds]
        )
        return context.get_dummy_value()

    return types.void(words, types.int64), build


_fetch: Any = intrinsic(_prefetch)


@numba.njit(cache=True, nogil=True)
def _parity(rows: Words, base: Integer, start: Integer, stop: Integer) -> Integer:
    """Parity of a row's bits from start to stop, at least one."""
    first, last = base + PER_WORD * (start >> 6), base + PER_WORD * ((stop - 1) >> 6)
    low = _ALL << np.uint64(start & 63)
    high = _ALL >> np.uint64(63 - ((stop - 1) & 63))
    if first == last:
        return _ones(rows[_at(first)] & low & high) & _ONE
    word = (rows[_at(first)] & low) ^ (rows[_at(last)] & high)
    for w in range(first + PER_WORD, last, PER_WORD):
        word ^= rows[_at(w)]
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
        return _ones(words[_at(base + stride * first)] & mask[_at(first)] & low & high) & _ONE
    word = (words[_at(base + stride * first)] & mask[_at(first)] & low) ^ (
        words[_at(base + stride * last)] & mask[_at(last)] & high
    )
    for w in range(first + 1, last):
        word ^= words[_at(base + stride * w)] & mask[_at(w)]
    return _ones(word) & _ONE


@numba.njit(cache=True, nogil=True)
def _class_of(length: Integer) -> Integer:
    """The least c with 2^c >= length, which is at least 2."""
    return 64 - np.int64(_leading(np.uint64(length - 1)))


@numba.njit(cache=True, nogil=True)
def _last_one(rows: Words, base: Integer, place: Integer) -> Integer:
    """The last one at or before a place; there must be one. `base` is of the word of place 0."""
    w = place >> 6
    word = rows[_at(base + PER_WORD * w)] & (_ALL >> np.uint64(63 - (place & 63)))
    while word == 0:
        w -= 1
        word = rows[_at(base + PER_WORD * w)]
    return (w << 6) + 63 - np.int64(_leading(word))


@numba.njit(cache=True, nogil=True)
def _first_one(rows: Words, base: Integer, place: Integer) -> Integer:
    """The first one at or after a place; there must be one. `base` is of the word of place 0."""
    w = place >> 6
    word = rows[_at(base + PER_WORD * w)] & (_ALL << np.uint64(place & 63))
    while word == 0:
        w += 1
        word = rows[_at(base + PER_WORD * w)]
    return (w << 6) + np.int64(_lowest(word))


@numba.njit(cache=True, nogil=True)
def _first_open(rows: Words, base: Integer, start: Integer, stop: Integer) -> Integer:
    """The first bit from start on that is not settled, or some number from stop on."""
    w = start >> 6
    word = ~rows[_at(base + SETTLED + PER_WORD * w)] & (_ALL << np.uint64(start & 63))
    while word == 0:
        w += 1
        if w << 6 >= stop:
            return stop
        word = ~rows[_at(base + SETTLED + PER_WORD * w)]
    return (w << 6) + np.int64(_lowest(word))


@numba.njit(cache=True, nogil=True)
def _last_open(rows: Words, base: Integer, stop: Integer) -> Integer:
    """The last bit before stop that is not settled; there must be one."""
    w = (stop - 1) >> 6
    word = ~rows[_at(base + SETTLED + PER_WORD * w)] & (_ALL >> np.uint64(63 - ((stop - 1) & 63)))
    while word == 0:
        w -= 1
        word = ~rows[_at(base + SETTLED + PER_WORD * w)]
    return (w << 6) + 63 - np.int64(_leading(word))


@numba.njit(cache=True, nogil=True)
def _toggle(
    rows: Words,
    base: Integer,
    summary: Integer,
    across: Integer,
    start: Integer,
    c: Integer,
    state: NDArray[np.int64],
    number: Integer,
) -> None:
    """Call an even segment of class c odd or an odd one even, and count it; `across` words say where a class is."""
    w = start >> 6
    bit = _ONE << np.uint64(start & 63)
    word = rows[_at(base + ODD + PER_WORD * w)] ^ bit
    rows[_at(base + ODD + PER_WORD * w)] = word
    now = np.uint64(word & bit != 0)
    rows[_at(base + summary + across * c + (w >> 6))] |= now << np.uint64(w & 63)
    state[_at(COUNTS + CLASSES * number + c)] += 2 * np.int64(now) - 1


@numba.njit(cache=True, nogil=True)
def _chosen(mask: Words, below: NDArray[np.int32], rank: Integer) -> Integer:
    """The place of a subset's member number `rank`."""
    low, high = 0, len(mask) - 1
    while low < high:  # the last word with at most `rank` members below it
        middle = (low + high + 1) >> 1
        if below[middle] <= rank:
            low = middle
        else:
            high = middle - 1
    word = mask[low]
    for _ in range(rank - below[low]):
        word &= word - _ONE
    return (low << 6) + np.int64(_lowest(word))


@numba.njit(cache=True, nogil=True)
def advance(  # noqa: C901, PLR0912, PLR0915  one round of all frames, compiled as one
    shape: NDArray[np.int64],
    block_sizes: NDArray[np.int64],
    answers: NDArray[np.uint8],
    numbers: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    waiting: NDArray[np.int64],
    rows: Words,
    states: NDArray[np.int64],
    orders: Places,
    places: Places,
    lengths: NDArray[np.int64],
    masks: Words,
    below: NDArray[np.int32],
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int, bool, int]:
    """Take the answers to a round's questions, correct what they pin down, and ask the next round's.

    A frame's state: what its last questions were for; how many they were; stages opened; whether some subset of
    the last stage was odd when it was opened; which are now, a bit each; start and stop of the subset's range
    being halved, and which subset; how many bits wait; then the counts of odd segments.

    Args:
        shape: as in `_Tables`.
        block_sizes: int64[passes].
        answers: uint8[m] of 0 and 1.
        numbers: uint8[m], passes of the questions.
        starts: int64[m].
        stops: int64[m].
        waiting: bits known to be wrong without an answer, to be corrected with those of this round; of all frames.
        rows: a row for each block pass of each frame, laid out as said above.
        states: int64[frames, COUNTS + passes * CLASSES].
        orders: uint16[passes, 2, frame_bits], as in `_Tables`.
        places: likewise, where in the orders each bit stands.
        lengths: int64[subsets, 2], as in `_Tables`, down to the first stage not opened yet.
        masks: likewise.
        below: likewise.

    Returns:
        The next questions (numbers, starts, stops), the bits waiting then, bits corrected, whether the answers
        contradict each other, and the most stages that a frame still busy has opened.
    """
    n, frame_bits, frames, height, width, stages = shape[0], shape[1], shape[2], shape[3], shape[4], shape[5]
    summary, row = shape[6], shape[7]
    across = (row - summary) // CLASSES
    passes = len(block_sizes)
    regular: bool = True  # blocks of powers of two: every segment, but for the end of a frame, is one too
    for k in range(passes):
        regular = regular and block_sizes[k] & (block_sizes[k] - 1) == 0
    room: Integer = max(np.int64(64 * frames), len(starts) + len(starts) // 4)
    new_numbers, new_starts, new_stops = (
        np.empty(room, np.uint8),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )
    new_waiting = np.empty(256, np.int64)
    found, calmed = np.empty(256, np.int64), np.empty(256, np.int64)
    q: Integer = 0
    m: Integer = 0
    taken: Integer = 0
    waits: Integer = 0
    corrected, contradicted, deepest = 0, False, 0
    for f in range(frames):
        if states[f, 0] == DONE:
            continue
        state = states[f]
        offset = f * frame_bits
        short = np.int64(f == frames - 1)
        length = n - offset if short else frame_bits
        home = f * passes * row

        # What the answers say.
        finds, calms = 0, 0
        wrong = False
        last = q + state[1]
        if last - q + state[8] > len(found):
            found = np.empty(2 * (last - q + state[8]), np.int64)
            calmed = np.empty(2 * (last - q + state[8]), np.int64)
        ahead = f + 1
        while ahead < frames and states[ahead, 0] == DONE:
            ahead += 1
        if ahead < frames and states[ahead, 0] == HALVE_BLOCKS:
            there = ahead * passes * row
            for i in range(last, last + min(states[ahead, 1], FETCHED)):
                _fetch(
                    rows,
                    there + numbers[_at(i)] * row + PER_WORD * ((starts[_at(i)] - ahead * frame_bits) >> 6),
                )
        for _ in range(state[8]):
            found[_at(finds)] = waiting[_at(taken)]
            finds += 1
            taken += 1
        if state[0] == OPEN_BLOCKS:
            number = state[2] - 1
            base = home + number * row
            while q < last:
                start = starts[_at(q)] - offset
                stop = stops[_at(q)] - offset
                rows[_at(base + EDGES + PER_WORD * (start >> 6))] |= _ONE << np.uint64(start & 63)
                differs = _parity(rows, base, start, stop) != answers[_at(q)]
                if stop - start == 1:
                    x = np.int64(orders[_at(number), _at(short), _at(start)])
                    if differs:
                        found[_at(finds)] = x
                        finds += 1
                    else:
                        calmed[_at(calms)] = x
                        calms += 1
                elif differs:
                    _toggle(rows, base, summary, across, start, _class_of(stop - start), state, number)
                q += 1
            rows[_at(base + EDGES + PER_WORD * (length >> 6))] |= _ONE << np.uint64(length & 63)
        elif state[0] == HALVE_BLOCKS:
            while q < last:
                number = np.int64(numbers[_at(q)])
                base = home + number * row
                start, middle = starts[_at(q)] - offset, stops[_at(q)] - offset
                half = middle - start
                rest: Integer = min(half, length - middle)
                if not regular:
                    rest = _first_one(rows, base + EDGES, middle + 1) - middle
                rows[_at(base + EDGES + PER_WORD * (middle >> 6))] |= _ONE << np.uint64(middle & 63)
                # Which half is odd is as good as a coin: nothing branches on it.
                right = np.int64(_parity(rows, base, start, middle) == answers[_at(q)])
                odd_start = start + right * half
                size = half + right * (rest - half)
                rows[_at(base + ODD + PER_WORD * (start >> 6))] ^= _ONE << np.uint64(start & 63)
                state[_at(COUNTS + CLASSES * number + np.int64(_lowest(np.uint64(half))) + 1)] -= 1
                if size > 1:
                    c = _class_of(size)
                    w = odd_start >> 6
                    rows[_at(base + ODD + PER_WORD * w)] ^= _ONE << np.uint64(odd_start & 63)
                    rows[_at(base + summary + across * c + (w >> 6))] |= _ONE << np.uint64(w & 63)
                    state[_at(COUNTS + CLASSES * number + c)] += 1
                else:
                    found[_at(finds)] = orders[_at(number), _at(short), _at(odd_start)]
                    finds += 1
                if half + rest - size == 1:
                    calmed[_at(calms)] = orders[_at(number), _at(short), _at(middle - right * half)]
                    calms += 1
                q += 1
        elif state[0] == OPEN_SUBSETS:
            state[4] = 0
            while q < last:
                subset = np.int64(numbers[_at(q)]) - passes
                size = lengths[subset, short]
                if _masked_parity(rows, home, PER_WORD, masks[subset], 0, length) != answers[_at(q)]:
                    state[4] |= 1 << (subset % SUBSETS_PER_STAGE)
                    if size == 1:
                        found[_at(finds)] = _chosen(masks[subset], below[subset], 0)
                        finds += 1
                q += 1
            state[3] = np.int64(state[4] != 0)
        elif q < last:
            subset = np.int64(numbers[_at(q)]) - passes
            mask, under = masks[subset], below[subset]
            start, middle = state[5], stops[_at(q)] - f * lengths[subset, 0]
            parity = _masked_parity(
                rows, home, PER_WORD, mask, _chosen(mask, under, start), _chosen(mask, under, middle - 1) + 1
            )
            if parity != answers[_at(q)]:
                state[6] = middle
            else:
                state[5] = middle
            if state[6] - state[5] == 1:
                found[_at(finds)] = _chosen(mask, under, state[5])
                finds += 1
                state[6] = 0
            q += 1

        before = m
        waits_before = waits
        while True:
            opened = min(state[2], passes)
            for i in range(finds):
                for k in range(opened):
                    _fetch(
                        rows,
                        home
                        + k * row
                        + PER_WORD * (np.int64(places[_at(k), _at(short), _at(found[_at(i)])]) >> 6),
                    )
            for i in range(calms):
                for k in range(opened):
                    _fetch(
                        rows,
                        home
                        + k * row
                        + PER_WORD * (np.int64(places[_at(k), _at(short), _at(calmed[_at(i)])]) >> 6),
                    )
            # A bit that stands alone in an even segment is right.
            for i in range(calms):
                for k in range(opened):
                    p = np.int64(places[_at(k), _at(short), _at(calmed[_at(i)])])
                    rows[_at(home + k * row + SETTLED + PER_WORD * (p >> 6))] |= _ONE << np.uint64(p & 63)
            calms = 0
            # Flip what is known to be wrong.
            for i in range(finds):
                x = found[_at(i)]
                if rows[_at(home + SETTLED + PER_WORD * (x >> 6))] >> np.uint64(x & 63) & _ONE:
                    wrong = True
            if wrong:
                break
            for i in range(finds):
                x = found[_at(i)]
                if rows[_at(home + SETTLED + PER_WORD * (x >> 6))] >> np.uint64(x & 63) & _ONE:
                    continue
                corrected += 1
                for number in range(opened):
                    base = home + number * row
                    p = np.int64(places[_at(number), _at(short), _at(x)])
                    w = base + PER_WORD * (p >> 6)
                    bit = _ONE << np.uint64(p & 63)
                    rows[_at(w)] ^= bit
                    rows[_at(w + SETTLED)] |= bit
                    start = _last_one(rows, base + EDGES, p)
                    stop = _first_one(rows, base + EDGES, p + 1)
                    if stop - start > 1:
                        c = _class_of(stop - start)
                        _toggle(rows, base, summary, across, start, c, state, number)
                if state[2] > passes:
                    first = (state[2] - passes - 1) * SUBSETS_PER_STAGE
                    for s in range(SUBSETS_PER_STAGE):
                        state[4] ^= np.int64(masks[first + s, x >> 6] >> np.uint64(x & 63) & _ONE) << s
            finds = 0

            # What to ask next.
            total, largest = 0, 0
            while largest < height and total < width:
                largest += 1
                for number in range(opened):
                    total += state[_at(COUNTS + CLASSES * number + largest)]
            stage = state[2]
            need = max(total, SUBSETS_PER_STAGE)
            if total == 0 and stage < passes and state[4] == 0:
                need = (length - 1) // block_sizes[stage] + 1
            if m + need > room:
                room = 2 * (m + need)
                more_numbers, more_starts, more_stops = (
                    np.empty(room, np.uint8),
                    np.empty(room, np.int64),
                    np.empty(room, np.int64),
                )
                for i in range(
                    m
                ):  # a loop compiles sooner than the assignment of slices, which checks shapes
                    more_numbers[i], more_starts[i], more_stops[i] = (
                        new_numbers[_at(i)],
                        new_starts[_at(i)],
                        new_stops[_at(i)],
                    )
                new_numbers, new_starts, new_stops = more_numbers, more_starts, more_stops
            if waits + total > len(new_waiting):
                more_waiting = np.empty(2 * (waits + total), np.int64)
                for i in range(waits):
                    more_waiting[i] = new_waiting[_at(i)]
                new_waiting = more_waiting
            if total:
                state[0] = HALVE_BLOCKS
                for c in range(1, largest + 1):
                    for number in range(opened):
                        base = home + number * row
                        left = state[_at(COUNTS + CLASSES * number + c)]
                        first = base + summary + across * c
                        s = 0
                        while left and s < across and not wrong:
                            spots = rows[_at(first + s)]
                            rows[_at(first + s)] = 0  # all of the class are halved this round
                            while spots and not wrong:
                                u = (s << 6) + np.int64(_lowest(spots))
                                spots &= spots - _ONE
                                word = rows[_at(base + ODD + PER_WORD * u)]
                                while word:
                                    start = (u << 6) + np.int64(_lowest(word))
                                    word &= word - _ONE
                                    stop = _first_one(rows, base + EDGES, start + 1)
                                    if _class_of(stop - start) != c:
                                        continue
                                    left -= 1
                                    # Narrow it to where its open bits are.
                                    narrow: Integer = c
                                    inner = start
                                    ends = rows[_at(base + SETTLED + PER_WORD * u)] >> np.uint64(
                                        start & 63
                                    ) | rows[_at(base + SETTLED + PER_WORD * ((stop - 1) >> 6))] >> np.uint64(
                                        (stop - 1) & 63
                                    )
                                    if ends & _ONE:
                                        low = _first_open(rows, base, start, stop)
                                        if low >= stop:
                                            wrong = True
                                            break
                                        high = _last_open(rows, base, stop)
                                        narrow = 0
                                        if low < high:
                                            narrow = 64 - np.int64(
                                                _leading(np.uint64((low - start) ^ (high - start)))
                                            )
                                        inner = start + ((low - start) >> narrow << narrow)
                                    if narrow < c:
                                        _toggle(rows, base, summary, across, start, c, state, number)
                                        stop = min(inner + (1 << narrow), stop)
                                        rows[_at(base + EDGES + PER_WORD * (inner >> 6))] |= (
                                            _ONE << np.uint64(inner & 63)
                                        )
                                        rows[_at(base + EDGES + PER_WORD * (stop >> 6))] |= _ONE << np.uint64(
                                            stop & 63
                                        )
                                        if narrow == 0:
                                            new_waiting[_at(waits)] = orders[
                                                _at(number), _at(short), _at(inner)
                                            ]
                                            waits += 1
                                            continue
                                        _toggle(rows, base, summary, across, inner, narrow, state, number)
                                    start = offset + inner
                                    new_numbers[_at(m)], new_starts[_at(m)] = number, start
                                    new_stops[_at(m)] = start + (1 << (narrow - 1))
                                    m += 1
                            s += 1
            elif state[4]:
                state[0] = HALVE_SUBSET
                if state[6] == 0:
                    s = 0
                    while not state[4] >> s & 1:
                        s += 1
                    state[7] = (stage - passes - 1) * SUBSETS_PER_STAGE + s
                    state[5], state[6] = 0, lengths[state[7], short]
                if state[6] - state[5] == 1:
                    wrong = True  # a subset of one bit becomes odd by the flip of that bit
                else:
                    start = f * lengths[state[7], 0] + state[5]
                    new_numbers[_at(m)], new_starts[_at(m)] = passes + state[7], start
                    new_stops[_at(m)] = start + (1 << (_class_of(state[6] - state[5]) - 1))
                    m += 1
            elif stage < passes:
                state[0] = OPEN_BLOCKS
                state[2] += 1
                if stage:  # its row has the bits as they were at first
                    base = home + stage * row
                    for w in range(0, (length + 63) >> 6, 2):
                        _fetch(rows, base + PER_WORD * w)
                    for w in range((length + 63) >> 6):
                        word = rows[_at(home + PER_WORD * w + SETTLED)]
                        bits = rows[_at(home + PER_WORD * w)]
                        while word:
                            x = (w << 6) + np.int64(_lowest(word))
                            word &= word - _ONE
                            p = np.int64(places[_at(stage), _at(short), _at(x)])
                            there = base + PER_WORD * (p >> 6)
                            bit = _ONE << np.uint64(p & 63)
                            rows[_at(there + SETTLED)] |= bit
                            rows[_at(there)] = (rows[_at(there)] & ~bit) | (
                                (bits >> np.uint64(x & 63) & _ONE) << np.uint64(p & 63)
                            )
                size = block_sizes[stage]
                for start in range(0, length, size):
                    new_numbers[_at(m)], new_starts[_at(m)], new_stops[_at(m)] = (
                        stage,
                        offset + start,
                        offset + min(start + size, length),
                    )
                    m += 1
            elif stage < passes + stages and (stage == passes or state[3]):
                state[0] = OPEN_SUBSETS
                state[2] += 1
                for s in range(SUBSETS_PER_STAGE):
                    subset = (stage - passes) * SUBSETS_PER_STAGE + s
                    size = lengths[subset, short]
                    if size:
                        start = f * lengths[subset, 0]
                        new_numbers[_at(m)], new_starts[_at(m)], new_stops[_at(m)] = (
                            passes + subset,
                            start,
                            start + size,
                        )
                        m += 1
            if wrong or m > before or waits == waits_before:
                break
            # Nothing was left to ask, but some bits are known to be wrong: correct them at once.
            finds = waits - waits_before
            if finds > len(found):
                found = np.empty(2 * finds, np.int64)
            for i in range(finds):
                found[_at(i)] = new_waiting[_at(waits_before + i)]
            waits = waits_before
        if wrong:
            contradicted = True
            m = before
            waits = waits_before
        if m == before:
            state[0] = DONE
        state[1] = m - before
        state[8] = waits - waits_before
        deepest = max(deepest, state[2])
    return (
        new_numbers[:m],
        new_starts[:m],
        new_stops[:m],
        new_waiting[:waits],
        corrected,
        contradicted,
        deepest,
    )


@numba.njit(cache=True, nogil=True)
def _prefix_parities(prefix: Words) -> None:
    """Turn bits in words, with a word to spare, into the parities of the first 0, 1, 2, ... of them."""
    carry = np.uint64(0)
    for w in range(len(prefix)):
        word = prefix[w]
        word ^= word << np.uint64(1)
        word ^= word << np.uint64(2)
        word ^= word << np.uint64(4)
        word ^= word << np.uint64(8)
        word ^= word << np.uint64(16)
        word ^= word << np.uint64(32)
        prefix[w] = (word << _ONE) ^ carry
        if word >> np.uint64(63):
            carry = ~carry


@numba.njit(cache=True, nogil=True)
def prefix_parities(prefixes: Words) -> None:
    """The same for all passes of all frames: uint64[frames, passes, words + 1]."""
    for f in range(prefixes.shape[0]):
        for number in range(prefixes.shape[1]):
            _prefix_parities(prefixes[f, number])


@numba.njit(cache=True, nogil=True)
def answer(
    shape: NDArray[np.int64],
    numbers: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    packed: Words,
    prefixes: Words,
    lengths: NDArray[np.int64],
    masks: Words,
    below: NDArray[np.int32],
) -> NDArray[np.uint8]:
    """Alice's parities, down to the first question that is not a range within a frame of a pass that is drawn.

    Args:
        shape: as in `_Tables`.
        numbers: uint8[m], passes of the questions, any numbers.
        starts: int64[m], any numbers.
        stops: int64[m], any numbers.
        packed: uint64[frames, words], the bits.
        prefixes: uint64[frames, passes, words + 1], parities of the first 0, 1, 2, ... bits of the passes.
        lengths: as in `_Tables`.
        masks: as in `_Tables`.
        below: as in `_Tables`.
    """
    n, frame_bits, frames = shape[0], shape[1], shape[2]
    passes, step = prefixes.shape[1], prefixes.shape[2]
    flat = prefixes.reshape(-1)
    parities = np.empty(len(starts), np.uint8)
    f = np.int64(0)
    number_before = np.int64(-1)
    low, high = np.int64(0), np.int64(-1)
    length = np.int64(0)
    base = np.int64(0)
    for q in range(len(starts)):
        number, start, stop = np.int64(numbers[_at(q)]), starts[_at(q)], stops[_at(q)]
        if number != number_before or start < low or start >= high:
            if number >= passes + len(lengths):
                return parities[:q]
            stride = frame_bits
            if number >= passes:
                stride = lengths[number - passes, 0]
            number_before = number
            if start < 0 or start >= stride * frames:
                return parities[:q]
            if start < low or start >= high or number >= passes or stride != length:
                f = start // stride
            short = np.int64(f == frames - 1)
            low = f * stride
            length = n - f * frame_bits if short else frame_bits
            if number >= passes:
                length = lengths[number - passes, short]
            high = low + length
            base = (f * passes + number) * step
        if start < low or stop <= start or stop > high:
            return parities[:q]
        a, b = start - low, stop - low
        if number < passes:
            parity = (flat[_at(base + (a >> 6))] >> np.uint64(a & 63)) ^ (
                flat[_at(base + (b >> 6))] >> np.uint64(b & 63)
            )
            parities[_at(q)] = parity & _ONE
        else:
            mask, under = masks[number - passes], below[number - passes]
            parities[_at(q)] = _masked_parity(
                packed[f], 0, 1, mask, _chosen(mask, under, a), _chosen(mask, under, b - 1) + 1
            )
    return parities


class _Tables:
    """Orders and subsets of a plan as the kernels want them: row 0 for a whole frame, row 1 for the last.

    Attributes:
        shape: int64[8]: n, frame_bits, frames, height, round_width, subset_stages, where in a row the
            classes begin, and the words of a row.
        block_sizes: int64[passes].
        words: 64-bit words that hold a frame.
        orders: uint16[passes, 2, frame_bits], the block passes.
        places: likewise, where in the orders each bit stands.
        lengths: int64[subsets drawn, 2].
        masks: uint64[subsets drawn, words].
        below: int32[subsets drawn, words], members of the subset in the words before.
    """

    def __init__(self, plan: CascadePlan) -> None:
        self._plan = plan
        size = plan.frame_bits
        height = max((size - 1).bit_length(), 1)
        self.words = -(-size // 64)
        summary = PER_WORD * (self.words + 1)
        row = 8 * -(-(summary + CLASSES * -(-self.words // 64)) // 8)
        self.shape = np.array(
            [plan.n, size, plan.frames, height, plan.round_width, plan.subset_stages, summary, row], np.int64
        )
        self.block_sizes = np.array(plan.block_sizes, np.int64)
        self.orders, self.places = _orders(plan)
        self.lengths = np.zeros((0, 2), np.int64)
        self.masks = np.zeros((0, self.words), np.uint64)
        self.below = np.zeros((0, self.words), np.int32)

    def draw(self, stages: int) -> None:
        """See that the subsets of the first so many subset stages are there."""
        drawn = len(self.lengths) // SUBSETS_PER_STAGE
        if stages > drawn:
            subsets = [_subsets(self._plan, stage) for stage in range(stages)]
            self.lengths, self.masks, self.below = (
                np.concatenate(columns) for columns in zip(*subsets, strict=True)
            )

    def frames(self, bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """uint64[frames, words], the bits of a key."""
        packed = np.packbits(bits, bitorder="little")
        padded = np.zeros(8 * self.words * self._plan.frames, np.uint8)
        padded[: len(packed)] = packed
        return padded.view("<u8").astype(np.uint64, copy=False).reshape(self._plan.frames, self.words)


@functools.lru_cache(maxsize=4)  # where both parties are in one process, the second need not draw again
def _orders(plan: CascadePlan) -> tuple[Places, Places]:
    """Orders of the block passes, and the places of the bits in them; never changed."""
    last = plan.last_frame_bits
    orders = np.zeros((plan.block_passes, 2, plan.frame_bits), np.uint16)
    places = np.zeros_like(orders)
    for number in range(plan.block_passes):
        invert(plan.frame_order(number), last, orders[number], places[number])
    return orders, places


@functools.lru_cache(maxsize=8)
def _subsets(
    plan: CascadePlan, stage: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int32]]:
    """Lengths, masks, and members below each word, of a stage's subsets; never changed."""
    size, last = plan.frame_bits, plan.last_frame_bits
    first = plan.block_passes + SUBSETS_PER_STAGE * stage
    chosen = np.zeros((SUBSETS_PER_STAGE, 64 * -(-size // 64)), np.uint8)
    for subset in range(SUBSETS_PER_STAGE):
        chosen[subset, :size] = plan.frame_subset(first + subset)
    masks = np.packbits(chosen, axis=1, bitorder="little").view("<u8").astype(np.uint64)
    members = np.bitwise_count(masks).astype(np.int32)
    lengths = np.stack((members.sum(axis=1), np.count_nonzero(chosen[:, :last], axis=1)), axis=1)
    return lengths.astype(np.int64), masks, np.cumsum(members, axis=1, dtype=np.int32) - members


class CompiledAnswers:
    """Alice: parities of ranges.

    Args:
        plan: agreed with Bob; not empty.
        bits: uint8[n] of 0 and 1.
    """

    def __init__(self, plan: CascadePlan, bits: NDArray[np.uint8]) -> None:
        self._plan = plan
        self._tables = tables = _Tables(plan)
        self._packed = tables.frames(bits)
        step = tables.words + 1
        prefixes = np.zeros((plan.frames, plan.block_passes, step), np.uint64)
        in_orders(
            self._packed,
            tables.orders,
            plan.frame_bits,
            plan.last_frame_bits,
            prefixes.reshape(-1),
            plan.block_passes * step,
            step,
            1,
        )
        prefix_parities(prefixes)
        self._prefixes = prefixes

    def parities(
        self, passes: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> NDArray[np.uint8] | None:
        """uint8[m], the parities of the ranges, or None if one is not within a frame of its pass.

        Args:
            passes: uint8[m], unchecked.
            starts: int64[m], unchecked.
            stops: int64[m], unchecked.
        """
        tables, plan = self._tables, self._plan
        arrays = _plain(passes, np.uint8), _plain(starts, np.int64), _plain(stops, np.int64)
        while True:
            parities: NDArray[np.uint8] = answer(
                tables.shape,
                *arrays,
                self._packed,
                self._prefixes,
                tables.lengths,
                tables.masks,
                tables.below,
            )
            if len(parities) == len(passes):
                return parities
            subset = int(passes[len(parities)]) - plan.block_passes
            if not len(tables.lengths) <= subset < plan.subset_stages * SUBSETS_PER_STAGE:
                return None
            tables.draw(subset // SUBSETS_PER_STAGE + 1)


class CompiledSearch:
    """Bob: all his frames.

    Args:
        plan: agreed with Alice; not empty.
        bits: uint8[n] of 0 and 1; copied.

    Attributes:
        asked: pass numbers, starts and stops of the questions to be answered next.
        corrected_bits: bits flipped so far.
        contradicted: an answer called a bit wrong that could not be.
    """

    def __init__(self, plan: CascadePlan, bits: NDArray[np.uint8]) -> None:
        self._plan = plan
        self._tables = tables = _Tables(plan)
        row = int(tables.shape[7])
        rows = np.zeros(plan.frames * plan.block_passes * row + 8, np.uint64)
        self._rows = rows[-rows.ctypes.data // 8 % 8 :]  # in step with the lines of the cache
        in_orders(
            tables.frames(bits),
            tables.orders,
            plan.frame_bits,
            plan.last_frame_bits,
            self._rows,
            plan.block_passes * row,
            row,
            PER_WORD,
        )
        self._states = np.zeros((plan.frames, COUNTS + plan.block_passes * CLASSES), np.int64)
        self._states[:, 0] = HALVE_BLOCKS
        self._stage = 0
        self._waiting = np.empty(0, np.int64)
        self.asked = np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64)
        self.corrected_bits = 0
        self.contradicted = False
        self.learn(np.empty(0, np.uint8))

    @property
    def bits(self) -> NDArray[np.uint8]:
        """uint8[n], corrected as far as the answers went."""
        tables, plan = self._tables, self._plan
        rows = self._rows[: plan.frames * plan.block_passes * int(tables.shape[7])].reshape(plan.frames, -1)
        words = np.ascontiguousarray(rows[:, : PER_WORD * tables.words : PER_WORD])
        octets = words.astype("<u8", copy=False).view(np.uint8).reshape(plan.frames, -1)
        whole = np.unpackbits(octets[:-1], axis=1, count=plan.frame_bits, bitorder="little")
        last = np.unpackbits(octets[-1], count=plan.last_frame_bits, bitorder="little")
        return np.concatenate((whole.reshape(-1), last))

    def learn(self, answers: NDArray[np.uint8]) -> None:
        """Take the answers to the questions asked."""
        tables, plan = self._tables, self._plan
        if self._stage >= plan.block_passes:
            tables.draw(min(self._stage - plan.block_passes + 1, plan.subset_stages))
        passes, starts, stops, self._waiting, corrected, contradicted, stage = advance(
            tables.shape,
            tables.block_sizes,
            _plain(answers, np.uint8),
            *self.asked,
            self._waiting,
            self._rows,
            self._states,
            tables.orders,
            tables.places,
            tables.lengths,
            tables.masks,
            tables.below,
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
