"""Cascade: Bob finds and flips the bits in which his key differs from Alice's, by asking her for parities.

Two state machines that meet only through `Questions` and arrays of parities: `Responder` (Alice, whose bits
are the reference) and `Corrector` (Bob). Neither sends anything; a node carries the messages:

    plan = cascade.plan(n, qber, seed)
    alice, bob = Responder(plan, alice_bits), Corrector(plan, bob_bits)
    while (questions := bob.questions()) is not None:
        bob.receive(alice.answer(questions))

The equality of the keys is for `verification` to check: an even number of errors may hide from every parity.

The schedule
------------
It is deterministic: from a plan and two keys every message follows, bit for bit.

*Passes.* A pass is an order in which to look at the bits. Pass 0 keeps the given order, in blocks of k1 ≈
0.9/Q; passes 1 and 2 shuffle all bits, in blocks of k2 ≈ 5/Q and min(4096, n/4); every later pass is one
block, a random half of the bits. Blocks are consecutive, the last may be short. `plan` has the exact sizes,
`CascadePlan.order` the permutations.

*Segments.* At every moment an opened pass is cut into segments whose parities Alice has disclosed, and Bob
knows of each whether his own parity differs (the segment is *odd*). What was disclosed about larger nodes of
a block's tree follows from its segments, so nothing else needs to be kept, and an odd segment is a smallest
node known to be odd.

*Stages.* Pass 0, pass 1, pass 2, then ten half-subsets at once. A stage is opened when no segment is odd, by
asking for the parity of each of its blocks. If any of the ten subsets comes out odd, ten more follow once
its errors are mended, up to `SUBSET_STAGES` times; ten even ones end the exchange.

*Rounds.* While some segment is odd, a round asks about odd segments: for each, the parity of its left half
[start, (start + stop) // 2), which splits it in two. The opened passes are ranked by their smallest odd
segment (of equals the earlier pass first) and taken whole, in that order, until `round_width` questions are
together. Subset passes wait until no block pass has an odd segment, and then go one at a time, the earliest
first. In a message, passes stand in rank order, the questions of a pass by ascending start.

*Corrections.* After an answer, every bit that stands alone in an odd segment of any pass is flipped, once,
even if several passes found it; a flip toggles the segment that holds the bit in every opened pass; this
repeats until no lone odd bit is left.

Halving only the smallest odd segments discloses least, because two passes then never chase the same error,
but it crosses the fibre once a step. Filling a round up to n/4096 questions (16 at least) costs
0.1 % of the disclosed bits and saves a third of the rounds; halving all odd segments at once would cost
0.7 % and save little more.

Sources: Brassard & Salvail, EUROCRYPT '93 (the protocol); Martinez-Mateo, Pacher, Peev, Ciurana & Martin,
Quantum Inf. Comput. 15, 453 (2015) (powers of two, 4096, half-subsets); Pacher, Grabenweger, Martinez-Mateo
& Martin, ISIT 2015 (little leakage from the reuse of sub-blocks).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.errors import MalformedMessage

BLOCK_PASSES = 3
SUBSETS_PER_STAGE = 10
SUBSET_STAGES = 20
PASSES = BLOCK_PASSES + SUBSETS_PER_STAGE * SUBSET_STAGES
QBER_RANGE = (0.004, 0.25)


@dataclass(frozen=True)
class CascadePlan:
    """What both sides agree on before the first question; everything in it is public.

    Attributes:
        n: bits in the block.
        qber: the estimated error rate the block sizes were made for, after clamping.
        block_sizes: bits per block in the three block passes.
        seed: where permutations and subsets come from.
        round_width: questions after which no further pass joins a round.
        max_rounds: Bob gives up after so many rounds (an honest exchange needs far fewer).
    """

    n: int
    qber: float
    block_sizes: tuple[int, int, int]
    seed: int
    round_width: int
    max_rounds: int

    def order(self, number: int) -> NDArray[np.int32]:
        """The bits of a pass in its order: indices into the key.

        Pass 0 is 0..n−1. Passes 1 and 2 are `Generator.permutation(n)`, later ones the ascending indices of
        the ones among the first n bits (big-endian in each byte) of `Generator.bytes(⌈n/8⌉)`, each from its
        own `Generator(PCG64(SeedSequence(seed, spawn_key=(number,))))`.

        Args:
            number: of the pass, 0 ≤ number < PASSES.

        Returns:
            int32[n], or int32[about n/2] for a subset pass.
        """
        if number == 0:
            return np.arange(self.n, dtype=np.int32)
        generator = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=(number,)))
        )
        if number < BLOCK_PASSES:
            return generator.permutation(self.n).astype(np.int32)
        mask = np.frombuffer(generator.bytes((self.n + 7) // 8), dtype=np.uint8)
        return np.flatnonzero(np.unpackbits(mask, count=self.n)).astype(np.int32)


def plan(n: int, qber: float, seed: int) -> CascadePlan:
    """The plan for a block.

    Block sizes are powers of two: halving comes out even, which saves up to 1 % of the disclosed bits.

    Args:
        n: bits in the block, at least 0.
        qber: estimated error rate; clamped into `QBER_RANGE`, so an estimate of 0 is as good as any.
        seed: public, non-negative.

    Raises:
        ValueError: for a negative `n` or `seed`, or a `qber` that is not a number.
    """
    if n < 0 or seed < 0 or qber != qber:  # noqa: PLR0124  # the one value that differs from itself is NaN
        raise ValueError(f"a plan needs n >= 0, seed >= 0 and a numeric qber; got {n}, {seed}, {qber}")
    low, high = QBER_RANGE
    clamped = min(max(float(qber), low), high)
    wanted = (_power_of_two(0.9 / clamped), _power_of_two(5 / clamped), min(4096, n // 4))
    first, second, third = (max(1, min(size, n // 2)) for size in wanted)
    return CascadePlan(
        n=n,
        qber=clamped,
        block_sizes=(first, second, third),
        seed=seed,
        round_width=max(16, n // 4096),
        max_rounds=1000 + n // 20,
    )


@dataclass(frozen=True, eq=False)
class Questions:
    """One message of Bob's: the ranges whose parities he wants, half-open, in the order of their pass.

    Attributes:
        passes: uint8[m], number of the pass.
        starts: int64[m], first position of the range.
        stops: int64[m], position after its last.
    """

    passes: NDArray[np.uint8]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


class Responder:
    """Alice: answers with the parities of her bits.

    Args:
        plan: agreed with Bob.
        bits: uint8[n] of 0 and 1; never changed.

    Attributes:
        disclosed_bits: parities answered so far, all of which the channel has seen.
    """

    def __init__(self, plan: CascadePlan, bits: NDArray[np.uint8]) -> None:
        self.plan = plan
        self.bits = _key(plan, bits)
        self.disclosed_bits = 0
        self._prefix_parities: dict[int, NDArray[np.uint8]] = {}

    def answer(self, questions: Questions) -> NDArray[np.uint8]:
        """The parities asked for.

        Args:
            questions: as they came from the network; nothing about them is trusted.

        Returns:
            uint8[m] of 0 and 1.

        Raises:
            MalformedMessage: if they are not m non-empty ranges within passes of the plan; nothing is
                disclosed then.
        """
        passes, starts, stops = (
            _integers(getattr(questions, name), name) for name in ("passes", "starts", "stops")
        )
        if not passes.size == starts.size == stops.size:
            raise MalformedMessage(
                "questions need as many passes as starts and stops; "
                f"got {passes.size}, {starts.size}, {stops.size}"
            )
        if passes.size and not 0 <= passes.min() <= passes.max() < PASSES:
            raise MalformedMessage(f"passes run from 0 to {PASSES - 1}; got {passes.min()} to {passes.max()}")
        if ((starts < 0) | (starts >= stops) | (stops > self.plan.n)).any():
            raise MalformedMessage(f"a range needs 0 <= start < stop <= {self.plan.n}")
        parities = np.empty(passes.size, dtype=np.uint8)
        for number in np.flatnonzero(np.bincount(passes)).tolist():
            prefix = self._prefix_parity(number)
            here = passes == number
            if stops[here].max() >= prefix.size:
                raise MalformedMessage(
                    f"pass {number} has {prefix.size - 1} bits; got a range up to {stops[here].max()}"
                )
            parities[here] = prefix[stops[here]] ^ prefix[starts[here]]
        self.disclosed_bits += parities.size
        return parities

    def _prefix_parity(self, number: int) -> NDArray[np.uint8]:
        """Parities of the first 0, 1, 2, ... bits of a pass."""
        if number not in self._prefix_parities:
            self._prefix_parities[number] = _prefix_parity(self.bits[self.plan.order(number)])
        return self._prefix_parities[number]


class Corrector:
    """Bob: asks, and corrects his bits until no parity he knows of differs.

    Args:
        plan: agreed with Alice.
        bits: uint8[n] of 0 and 1; copied.

    Attributes:
        bits: uint8[n], corrected as far as the answers went.
        disclosed_bits: parities received so far.
        rounds: messages answered so far.
        corrected_bits: bits flipped so far.
        contradicted: the answers were not the parities of any one key, and Bob stopped asking. Without
            authentication that is all he can know; with it, it does not happen.
    """

    def __init__(self, plan: CascadePlan, bits: NDArray[np.uint8]) -> None:
        self.plan = plan
        self.bits = _key(plan, bits).copy()
        self.disclosed_bits = 0
        self.rounds = 0
        self.corrected_bits = 0
        self.contradicted = False
        self._flipped = np.zeros(plan.n, dtype=np.bool_)
        self._opened: list[_Pass] = []
        self._stage = 0
        self._last_stage_even = False
        self._opening: list[_Pass] = []
        self._halving: list[tuple[_Pass, NDArray[np.int64]]] = []
        self._questions: Questions | None = None

    def questions(self) -> Questions | None:
        """The next message for Alice, the same until it is answered; None when nothing is left to ask."""
        if self._questions is None and not self.contradicted and self.rounds < self.plan.max_rounds:
            self._halving = self._odd_segments()
            if not self._halving:
                self._open_stage()
            ranges = [(opened.number, *opened.blocks()) for opened in self._opening]
            ranges += [(opened.number, *opened.left_halves(odd)) for opened, odd in self._halving]
            if ranges:
                numbers, starts, stops = zip(*ranges, strict=True)
                self._questions = Questions(
                    passes=np.repeat(np.array(numbers, np.uint8), [len(each) for each in starts]),
                    starts=np.concatenate(starts),
                    stops=np.concatenate(stops),
                )
        return self._questions

    def receive(self, parities: NDArray[np.uint8]) -> None:
        """Take Alice's answer to the last questions, and correct every error it pins down.

        Args:
            parities: as they came from the network: uint8[m] of 0 and 1, in the order of the questions.

        Raises:
            MalformedMessage: if they are anything else, or nothing was asked. The state is as before.
        """
        if self._questions is None:
            raise MalformedMessage("an answer came though nothing was asked")
        expected = len(self._questions.starts)
        answers = _integers(parities, "parities")
        if len(answers) != expected or (expected and not 0 <= answers.min() <= answers.max() <= 1):
            raise MalformedMessage(f"an answer has {expected} parities of 0 or 1; got {len(answers)} values")
        self._questions = None
        self.disclosed_bits += expected
        self.rounds += 1
        done = 0
        for opened in self._opening:
            done += opened.open(answers[done:])
        if self._opening:
            self._last_stage_even = not any(len(opened.odd_starts) for opened in self._opening)
            self._opened += self._opening
            self._opening = []
        for opened, odd in self._halving:
            opened.halve(odd, answers[done : done + len(odd)])
            done += len(odd)
        self._correct()

    def _odd_segments(self) -> list[tuple[_Pass, NDArray[np.int64]]]:
        """Which odd segments to halve in this round: passes with the starts of their segments."""
        odd = [opened for opened in self._opened if len(opened.odd_starts)]
        in_blocks = [opened for opened in odd if opened.number < BLOCK_PASSES]
        chosen: list[tuple[_Pass, NDArray[np.int64]]] = []
        questions = 0
        for opened in sorted(in_blocks, key=_Pass.smallest_odd) or odd[:1]:
            if questions >= self.plan.round_width:
                break
            chosen.append((opened, opened.odd_starts))
            questions += len(opened.odd_starts)
        return chosen

    def _open_stage(self) -> None:
        """Draw the passes of the next stage, if there is one."""
        if self._stage < BLOCK_PASSES:
            numbers = range(self._stage, self._stage + 1)
        elif self._stage > BLOCK_PASSES and self._last_stage_even:
            return
        else:
            first = BLOCK_PASSES + SUBSETS_PER_STAGE * (self._stage - BLOCK_PASSES)
            numbers = range(first, min(first + SUBSETS_PER_STAGE, PASSES))
        self._stage += 1
        drawn = [_Pass(self.plan, number, self.bits) for number in numbers]
        self._opening = [each for each in drawn if len(each.order)]
        self._last_stage_even = not self._opening

    def _correct(self) -> None:
        """Flip every bit known to be wrong, and what becomes known to be wrong by that."""
        while len(errors := self._lone_odd_bits()):
            if self._flipped[errors].any():
                # A bit flipped twice was right by one parity and wrong by another of the same key.
                self.contradicted = True
                return
            self._flipped[errors] = True
            self.bits[errors] ^= 1
            self.corrected_bits += len(errors)
            for opened in self._opened:
                opened.flip(errors)

    def _lone_odd_bits(self) -> NDArray[np.int32]:
        """Indices of bits that are alone in an odd segment of some pass, each once."""
        found = [errors for opened in self._opened if len(errors := opened.lone_odd_bits())]
        if len(found) > 1:
            return np.unique(np.concatenate(found))
        return found[0] if found else np.empty(0, dtype=np.int32)


class _Pass:
    """Bob's view of one pass: his bits in its order, cut into segments of known parity.

    Attributes:
        number: of the pass.
        order: int32[length], indices into the key.
        odd_starts: int64[], ascending, where the segments start in which Bob's parity differs from Alice's.
    """

    def __init__(self, plan: CascadePlan, number: int, bits: NDArray[np.uint8]) -> None:
        self.number = number
        self.order = plan.order(number)
        length = len(self.order)
        self._bits = bits[self.order]
        self._position = np.full(plan.n, -1, dtype=np.int32)
        self._position[self.order] = np.arange(length, dtype=np.int32)
        size = plan.block_sizes[number] if number < BLOCK_PASSES else max(1, length)
        self._edges = np.append(np.arange(0, length, size), length)
        self._odd = np.zeros(length, dtype=np.bool_)
        self.odd_starts = np.empty(0, dtype=np.int64)

    def blocks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Starts and stops of the pass's blocks, before it is opened."""
        return self._edges[:-1], self._edges[1:]

    def left_halves(self, starts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Starts and stops of the left halves of the segments, longer than a bit, that start at `starts`."""
        return starts, (starts + self._stops(starts)) // 2

    def smallest_odd(self) -> int:
        """Bits in the smallest odd segment; there must be one."""
        return int((self._stops(self.odd_starts) - self.odd_starts).min())

    def open(self, answers: NDArray[np.int64]) -> int:
        """Learn the parities of all blocks from the first of the answers; how many those were."""
        starts = self._edges[:-1]
        self._odd[starts] = np.bitwise_xor.reduceat(self._bits, starts) != answers[: len(starts)]
        self._refresh()
        return len(starts)

    def halve(self, starts: NDArray[np.int64], answers: NDArray[np.int64]) -> None:
        """Split odd segments in two: exactly one half of each is odd, and the answers say which."""
        starts, middles = self.left_halves(starts)
        # reduceat reads [start, middle), [middle, next start), ...: every other value is a left half.
        bounds = np.column_stack((starts, middles)).ravel()
        left_odd = np.bitwise_xor.reduceat(self._bits, bounds)[::2] != answers
        self._odd[starts] = left_odd
        self._odd[middles] = ~left_odd
        self._edges = np.insert(self._edges, self._edges.searchsorted(middles), middles)
        self._refresh()

    def lone_odd_bits(self) -> NDArray[np.int32]:
        """Indices into the key of the bits that are an odd segment by themselves."""
        starts = self.odd_starts
        lone: NDArray[np.int32] = self.order[starts[self._stops(starts) - starts == 1]]
        return lone

    def flip(self, errors: NDArray[np.int32]) -> None:
        """Take over corrections made to distinct bits of the key."""
        positions = self._position[errors]
        if self.number >= BLOCK_PASSES:
            positions = positions[positions >= 0]
        self._bits[positions] ^= 1
        segments = self._edges.searchsorted(positions, side="right") - 1
        np.logical_xor.at(self._odd, self._edges[segments], True)  # several errors may share a segment
        self._refresh()

    def _stops(self, starts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the segments that start at `starts` stop."""
        return self._edges[self._edges.searchsorted(starts) + 1]

    def _refresh(self) -> None:
        """List the odd segments again."""
        self.odd_starts = self._odd.nonzero()[0]


def _power_of_two(size: float) -> int:
    """The power of two nearest to a size of at least 1, by ratio."""
    return int(2 ** round(math.log2(size)))


def _key(plan: CascadePlan, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The key, if it fits the plan."""
    if bits.shape != (plan.n,) or bits.dtype != np.uint8 or (plan.n and int(bits.max()) > 1):
        raise ValueError(f"the plan is for uint8[{plan.n}] of 0 and 1; got {bits.dtype}{list(bits.shape)}")
    return bits


def _integers(values: NDArray[np.integer], name: str) -> NDArray[np.int64]:
    """A received array, if it is a list of integers."""
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "iu":
        raise MalformedMessage(f"{name} must be a one-dimensional array of integers; got {values!r:.60}")
    return values.astype(np.int64)


def _prefix_parity(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Parity of the first 0, 1, 2, ... n bits: uint8[n + 1]."""
    prefix = np.zeros(len(bits) + 1, dtype=np.uint8)
    np.bitwise_xor.accumulate(bits, out=prefix[1:])
    return prefix
