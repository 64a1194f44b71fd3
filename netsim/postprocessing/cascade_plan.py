"""What both sides of Cascade agree on before the first question: frames, block sizes, permutations, subsets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SUBSETS_PER_STAGE = 10
SUBSET_STAGES = 20
QBER_RANGE = (0.004, 0.25)
LARGEST_FRAME_BITS = 65536
LARGEST_N = 2**32 - 1  # a position travels in four bytes


@dataclass(frozen=True)
class CascadePlan:
    """A schedule for one block; everything in it is public.

    Attributes:
        n: bits in the block.
        qber: the estimated error rate the block sizes were made for, after clamping.
        frame_bits: bits in every frame but the last, which may be shorter.
        block_sizes: bits per block in each of the block passes.
        subset_stages: how often ten half-subsets may be asked for at the end; 0 for never.
        seed: where permutations and subsets come from.
        round_width: questions of a frame after which no larger segments join its round.
        max_rounds: Bob gives up after so many rounds (an honest exchange needs far fewer).
        parameters: name of the parameter set.
    """

    n: int
    qber: float
    frame_bits: int
    block_sizes: tuple[int, ...]
    subset_stages: int
    seed: int
    round_width: int
    max_rounds: int
    parameters: str = "modern"

    @property
    def block_passes(self) -> int:
        """How many passes are cut into blocks; the others are half-subsets."""
        return len(self.block_sizes)

    @property
    def passes(self) -> int:
        """How many passes there are, all subsets counted."""
        return self.block_passes + SUBSETS_PER_STAGE * self.subset_stages

    @property
    def frames(self) -> int:
        """How many frames the block is cut into."""
        return -(-self.n // self.frame_bits)

    @property
    def last_frame_bits(self) -> int:
        """Bits in the last frame."""
        return self.n - (self.frames - 1) * self.frame_bits if self.frames else 0

    def order(self, number: int) -> NDArray[np.int64]:
        """The bits of a pass in its order: the orders of its frames, one after the other.

        Args:
            number: of the pass, 0 <= number < passes.

        Returns:
            int64[n], or int64[about n/2] for a subset pass: indices into the key.
        """
        order = self.frame_order(number)
        starts = self.frame_bits * np.arange(self.frames)
        whole = (starts[:-1, None] + order).ravel()
        return np.concatenate((whole, starts[-1:].sum() + order[order < self.last_frame_bits]))

    def frame_order(self, number: int) -> NDArray[np.int64]:
        """The bits of a pass in a whole frame; a shorter one has those of them that it holds.

        Pass 0 is 0, 1, 2, ...; later block passes are `Generator.permutation(frame_bits)`, subset passes the
        ascending indices of the ones among the first frame_bits bits (big-endian in each byte) of
        `Generator.bytes(⌈frame_bits/8⌉)`, each from its own `Generator(PCG64(SeedSequence(seed,
        spawn_key=(number,))))`. All frames share them: their errors are independent, so frames fail no more
        often than with orders of their own.

        Args:
            number: of the pass, 0 <= number < passes.

        Returns:
            int64[frame_bits], or int64[about frame_bits/2] for a subset pass: indices into the frame.
        """
        if number == 0:
            return np.arange(self.frame_bits)
        if number < self.block_passes:
            return self._generator(number).permutation(self.frame_bits)
        return np.flatnonzero(self.frame_subset(number).view(np.bool_))

    def frame_subset(self, number: int) -> NDArray[np.uint8]:
        """uint8[frame_bits], which bits of a whole frame a subset pass has."""
        mask = np.frombuffer(self._generator(number).bytes((self.frame_bits + 7) // 8), dtype=np.uint8)
        return np.unpackbits(mask, count=self.frame_bits)

    def _generator(self, number: int) -> np.random.Generator:
        """Of a pass."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=(number,))))


def plan(n: int, qber: float, seed: int, *, parameters: str = "modern") -> CascadePlan:
    """The plan for a block.

    Frames have a multiple of 64 bits where there are several, and are as equal as that allows. The parameter
    sets:

    * ``modern``: blocks of k1 = 0.95/Q, k2 = 5/Q (the nearest powers of two, by ratio) and 4096 bits, then
      half-subsets. Powers of two make halving come out even, which saves up to 1 % of the disclosed bits.
    * ``original``: Brassard & Salvail's: k1 = 0.73/Q (rounded to the nearest whole number), four passes, each
      with blocks twice as long as the last's, no half-subsets. Segments and rounds are handled as in the
      modern set, which discloses less than the paper's blocks that were searched anew each time.

    Both have the same `round_width`, the expected number of errors in 1000 bits, at
    least 8: so wide that the rounds are few; a width of 8 would disclose up to 0.5 % less.

    Args:
        n: bits in the block, 0 <= n <= `LARGEST_N`.
        qber: estimated error rate; clamped into `QBER_RANGE`, so an estimate of 0 is as good as any.
        seed: public, non-negative.
        parameters: name of the parameter set, one of `PARAMETERS`.

    Raises:
        ValueError: for an `n` out of range, a negative `seed`, a `qber` that is not a number, or an unknown
            parameter set.
    """
    if parameters not in PARAMETERS:
        raise ValueError(f"Cascade's parameter sets are {', '.join(PARAMETERS)}; got {parameters!r}")
    if not 0 <= n <= LARGEST_N or seed < 0 or qber != qber:  # noqa: PLR0124  # the one value that differs from itself is NaN
        raise ValueError(
            f"a plan needs 0 <= n <= {LARGEST_N}, seed >= 0 and a numeric qber; got {n}, {seed}, {qber}"
        )
    frame_bits = max(n, 1)
    if n > LARGEST_FRAME_BITS:
        frame_bits = 64 * -(-n // (64 * -(-n // LARGEST_FRAME_BITS)))
    low, high = QBER_RANGE
    clamped = min(max(float(qber), low), high)
    return CascadePlan(
        n=n,
        qber=clamped,
        frame_bits=frame_bits,
        block_sizes=PARAMETERS[parameters](n, clamped),
        subset_stages=SUBSET_STAGES if parameters == "modern" else 0,
        seed=seed,
        round_width=max(8, round(1000 * clamped)),
        max_rounds=1000 + frame_bits // 4,
        parameters=parameters,
    )


def _modern(n: int, qber: float) -> tuple[int, ...]:
    """Block sizes of the modern set; a short key has at least two blocks, or four in the last pass."""
    half = _power_of_two_up_to(max(1, n // 2))
    first, second = (min(_nearest_power_of_two(share / qber), half) for share in (0.95, 5))
    return first, second, min(4096, _power_of_two_up_to(max(1, n // 4)))


def _original(n: int, qber: float) -> tuple[int, ...]:
    """Block sizes of the original set; a short key has at least two blocks."""
    first = round(0.73 / qber)
    return tuple(min(first << number, max(1, -(-n // 2))) for number in range(4))


PARAMETERS: dict[str, Callable[[int, float], tuple[int, ...]]] = {"modern": _modern, "original": _original}
"""Named sets: block sizes for the bits of a key and its error rate."""


def _nearest_power_of_two(size: float) -> int:
    """The power of two nearest to a size of at least 1, by ratio."""
    return int(2 ** round(math.log2(size)))


def _power_of_two_up_to(size: int) -> int:
    """The largest power of two that is not above a size of at least 1."""
    return 1 << (size.bit_length() - 1)
