"""LDPC reconciliation: Alice sends parities of sparse checks once, and Bob finds the errors that explain them.

Two state machines that meet only through arrays of bits: `Encoder` (Alice, whose bits are the reference) and
`Decoder` (Bob). Neither sends anything; a node carries the messages:

    plan = ldpc.plan(n, qber, seed)
    alice, bob = Encoder(plan, alice_bits), Decoder(plan, bob_bits)
    bob.receive(alice.first())
    while len(bob.wanted):
        bob.receive(alice.more(bob.wanted))

With the right error rate, one message is nearly always all; with one that is too low, a few more follow. A decoder can find errors that explain every parity and are not those that
happened; the equality of the keys is for `verification` to check.

The scheme
----------
*Frames.* A key is cut into frames of up to 131072 bits that know nothing of each other. The bits of a frame are
shuffled, all frames alike: then a burst of errors is no worse than the same number of errors anywhere.

*Parities.* The first message holds, frame after frame, the parities of all checks of a quasi-cyclic code with Z
checks in each row of its base graph. `ldpc_code` says how the codes are made; they are our own, and nothing but
the table of degrees in there is stored. What is disclosed is exactly as many bits as cross the fibre: there are no
punctured or shortened symbols to be subtracted. (Places of the last column that hold no bit of the key are
zero on both sides, and known to be.)

*Rate.* As many checks as the error rate and the length of the frame call for (`plan`). A row of the base graph is
about 1/250 of the frame, so Z is chosen, among those that suit the processor, so that little is rounded up.

*More.* For a frame that does not decode, Bob asks again: some rows are split in two, Alice sends the
parities of the new rows, those of the shortened ones follow, and Bob begins anew. Each time, half as many again
are split as the time before, until the checks number nine tenths of the bits; a frame that does not decode
even then has failed.

*Decoding.* Layered min-sum on the errors, whose syndrome is the sum of Alice's and Bob's. What a check says is
worth less, the more checks fail: min-sum messages are multiplied by 0.875 - 1.4·(share of failing checks).
The line was fitted by measurement, after density evolution had shown the best factor to fall about linearly with
that share. Bob does not try where Shannon's limit says that it is in vain: the weight of the syndrome shows the
error rate.

Keys of less than 192 bits, and those whose parities would be as many as the bits, are disclosed as they are: then
`first` is the key.

Sources: Slepian & Wolf, IEEE Trans. Inf. Theory 19, 471 (1973), and Wyner, ibid. 20, 2 (1974) (syndromes);
Elkouss, Leverrier, Alleaume & Boutros, ISIT 2009 (irregular LDPC codes in QKD); Martinez-Mateo, Elkouss & Martin,
Quantum Inf. Comput. 12, 791 (2012) (asking for more); Fossorier, IEEE Trans. Inf. Theory 50, 1788 (2004)
(quasi-cyclic codes); Chen & Fossorier, IEEE Trans. Commun. 50, 406 (2002) (min-sum with a factor); Polyanskiy,
Poor & Verdu, IEEE Trans. Inf. Theory 56, 2307 (2010) (what short frames cost).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netsim.errors import MalformedMessage
from netsim.postprocessing import ldpc_clear, ldpc_code
from netsim.postprocessing.ldpc_code import Code

if TYPE_CHECKING:
    from netsim.postprocessing import ldpc_kernel

__all__ = ["Decoder", "Encoder", "LDPCPlan", "plan"]

COMPILED_FROM_BITS = 1024
"""Below, NumPy is done before numba would be imported."""

QBER_RANGE = (0.003, 0.15)
LARGEST_FRAME_BITS = 131072
SHORTEST_FRAME_BITS = 192
LARGEST_N = 2**32 - 1
ITERATIONS = 100

GAINS = np.clip(np.rint(128 * (0.875 - 1.4 * np.arange(65) / 128)), 8, 128).astype(np.int16)
"""int16[65], in 1/128: by what messages are multiplied while a share of 0, 1/128, ... 64/128 of the checks fails."""

FIRST_SPLIT, SPLIT_GROWTH, MOST_ROWS = 0.04, 1.5, 0.9


@dataclass(frozen=True)
class LDPCPlan:
    """The code for one block; everything in it is public.

    Attributes:
        n: bits in the block.
        qber: the estimated error rate the code was chosen for, after clamping.
        frame_bits: bits in every frame but the last, which may be shorter.
        lanes: Z, checks in a row of the base graph; 0 if the key is disclosed as it is.
        rows: rows of the base graph at first, and after each request for more.
        seed: where the shuffling comes from.
    """

    n: int
    qber: float
    frame_bits: int
    lanes: int
    rows: tuple[int, ...]
    seed: int

    @property
    def frames(self) -> int:
        """How many frames the block is cut into."""
        return -(-self.n // self.frame_bits)

    @property
    def last_frame_bits(self) -> int:
        """Bits in the last frame."""
        return self.n - (self.frames - 1) * self.frame_bits if self.frames else 0

    @property
    def max_rounds(self) -> int:
        """How often more can be asked for."""
        return max(0, len(self.rows) - 1)

    def frame_length(self, frame: int) -> int:
        """Bits in a frame.

        Args:
            frame: 0 <= frame < frames.
        """
        return self.last_frame_bits if frame == self.frames - 1 else self.frame_bits

    def frame_order(self) -> NDArray[np.int64]:
        """The bits of a whole frame in the order of the code; a shorter one has those of them that it holds.

        `Generator(PCG64(SeedSequence(seed))).permutation(frame_bits)`.

        Returns:
            int64[frame_bits]: indices into the frame.
        """
        return _order(self.frame_bits, self.seed)

    def code(self, level: int) -> Code:
        """The code of a frame after so many requests for more."""
        return ldpc_code.code(self.rows[: level + 1], -(-self.frame_bits // self.lanes), self.lanes)


@lru_cache(maxsize=4)
def _order(size: int, seed: int) -> NDArray[np.int64]:
    """int64[size]: a permutation."""
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).permutation(size)
    order.flags.writeable = False
    return order


def plan(n: int, qber: float, seed: int) -> LDPCPlan:
    """The plan for a block.

    Args:
        n: bits in the block, 0 <= n <= `LARGEST_N`.
        qber: estimated error rate; clamped into `QBER_RANGE`, so an estimate of 0 is as good as any.
        seed: public, non-negative.

    Raises:
        ValueError: for an `n` out of range, a negative `seed`, or a `qber` that is not a number.
    """
    if not 0 <= n <= LARGEST_N or seed < 0 or qber != qber:  # noqa: PLR0124  # the one value that differs from itself is NaN
        raise ValueError(
            f"a plan needs 0 <= n <= {LARGEST_N}, seed >= 0 and a numeric qber; got {n}, {seed}, {qber}"
        )
    low, high = QBER_RANGE
    clamped = min(max(float(qber), low), high)
    frame_bits = max(1, -(-n // max(1, -(-n // LARGEST_FRAME_BITS))))
    checks = _checks(clamped, frame_bits)
    lanes = _lanes(frame_bits, checks)
    columns, first = -(-frame_bits // lanes), -(-math.ceil(checks) // lanes)
    if frame_bits < SHORTEST_FRAME_BITS or first * lanes >= frame_bits:
        return LDPCPlan(n, clamped, frame_bits, 0, (), seed)
    rows = [first]
    step = max(1.0, FIRST_SPLIT * first)
    while rows[-1] < int(MOST_ROWS * columns):
        rows.append(min(rows[-1] + math.ceil(step), int(MOST_ROWS * columns)))
        step *= SPLIT_GROWTH
    return LDPCPlan(n, clamped, frame_bits, lanes, tuple(rows), seed)


def _checks(qber: float, frame_bits: int) -> float:
    """Checks that a frame needs, so that it hardly ever needs more.

    What an endless frame would need, and so many standard deviations of the information in a frame's errors;
    rounded up by half a percent at most, so that a link's slightly different estimates share their codes.
    """
    entropy = _entropy(qber)
    deviation = math.sqrt(qber * (1 - qber)) * math.log2((1 - qber) / qber)
    checks = float(
        np.interp(entropy, *_OVERHEAD)
    ) * entropy * frame_bits + _DEVIATIONS * deviation * math.sqrt(frame_bits)
    return frame_bits * math.exp(math.ceil(_STEPS * math.log(checks / frame_bits)) / _STEPS)


_OVERHEAD = (0.045, 0.08, 0.14, 0.19, 0.33, 0.50), (1.235, 1.165, 1.12, 1.112, 1.115, 1.12)
"""Entropy of a bit's error, and what the checks of an endless frame are over it; fitted to where frames decode."""

_DEVIATIONS = 3.2
_STEPS = 200


def _lanes(frame_bits: int, checks: float) -> int:
    """The lanes that round the number of checks up least, among those that make some 192 to 320 columns."""
    most, fewest = max(1, frame_bits // 192), max(1, -(-frame_bits // 320))
    unit = 16 if most >= 64 else 1
    sizes = range(most // unit * unit, fewest - 1, -unit)
    return min(sizes or [most], key=lambda lanes: -(-math.ceil(checks) // lanes) * lanes)


def _entropy(share: float) -> float:
    """Of a bit that is one with probability `share`."""
    if not 0 < share < 1:
        return 0.0
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)


class _Matrices:
    """The codes of a plan, and bits in their order.

    Args:
        plan: agreed by both sides.
    """

    def __init__(self, plan: LDPCPlan) -> None:
        self._plan = plan
        whole = plan.frame_order()
        self._orders = whole, whole[whole < plan.last_frame_bits]
        self._matrices: dict[int, ldpc_clear.Matrix | ldpc_kernel.Matrix] = {}

    def __getitem__(self, level: int) -> ldpc_clear.Matrix | ldpc_kernel.Matrix:
        """The code after so many requests for more."""
        if level not in self._matrices:
            self._matrices[level] = _matrix(self._plan, level)
        return self._matrices[level]

    def order(self, frame: int) -> NDArray[np.int64]:
        """int64[bits in the frame]: where in the frame the bits of the code stand."""
        return self._orders[frame == self._plan.frames - 1]

    def laid_out(self, bits: NDArray[np.uint8], frame: int) -> NDArray[np.uint8]:
        """uint8[width]: the bits of a frame in the order of the code, then zeros.

        Args:
            bits: uint8[n].
            frame: 0 <= frame < frames.
        """
        plan, order = self._plan, self.order(frame)
        result = np.zeros(-(-plan.frame_bits // plan.lanes) * plan.lanes, np.uint8)
        result[: len(order)] = bits[frame * plan.frame_bits :][order]
        return result


def _matrix(plan: LDPCPlan, level: int) -> ldpc_clear.Matrix | ldpc_kernel.Matrix:
    """A code, compiled if that pays."""
    if plan.n < COMPILED_FROM_BITS:
        return ldpc_clear.Matrix(plan.code(level))
    from netsim.postprocessing import ldpc_kernel  # noqa: PLC0415  # numba takes half a second to import

    return ldpc_kernel.Matrix(plan.code(level))


class Encoder:
    """Alice: tells parities of her bits.

    Args:
        plan: agreed with Bob.
        bits: uint8[n] of 0 and 1; never changed.

    Attributes:
        disclosed_bits: bits told so far, all of which the channel has seen.
    """

    def __init__(self, plan: LDPCPlan, bits: NDArray[np.uint8]) -> None:
        self.plan = plan
        self.bits = _key(plan, bits)
        self.disclosed_bits = 0
        self._matrices = _Matrices(plan)
        self._levels = np.full(plan.frames, -1, np.int64)

    def first(self) -> NDArray[np.uint8]:
        """The message that usually is enough, the same every time; it counts once.

        Returns:
            uint8[m] of 0 and 1: all parities of all frames.
        """
        plan = self.plan
        if plan.lanes == 0:
            message = self.bits.copy()
        else:
            message = np.concatenate(
                [np.empty(0, np.uint8)]
                + [
                    self._matrices[0].parities(self._matrices.laid_out(self.bits, frame))
                    for frame in range(plan.frames)
                ]
            )
        if (self._levels < 0).any():
            self._levels[:] = 0
            self.disclosed_bits += message.size
        return message

    def more(self, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Further parities of some frames.

        Args:
            frames: int64[k], as they came from the network; nothing about them is trusted.

        Returns:
            uint8[m] of 0 and 1: the parities of the new rows, frame after frame.

        Raises:
            MalformedMessage: if they are not ascending, distinct numbers of frames that have more to give;
                nothing is disclosed then.
        """
        asked = _frame_numbers(frames)
        if asked.size and not 0 <= asked[0] <= asked[-1] < self.plan.frames:
            raise MalformedMessage(
                f"frames run from 0 to {self.plan.frames - 1}; got {asked[0]} to {asked[-1]}"
            )
        levels = self._levels[asked]
        if ((levels < 0) | (levels >= self.plan.max_rounds)).any():
            raise MalformedMessage(
                f"a frame gives more up to {self.plan.max_rounds} times, after the first message"
            )
        parts = [np.empty(0, np.uint8)]
        for frame, level in zip(asked.tolist(), levels.tolist(), strict=True):
            parities = self._matrices[level + 1].parities(self._matrices.laid_out(self.bits, frame))
            parts.append(parities[self.plan.rows[level] * self.plan.lanes :])
        message = np.concatenate(parts)
        self._levels[asked] += 1
        self.disclosed_bits += message.size
        return message


class Decoder:
    """Bob: finds the errors that explain Alice's parities.

    Args:
        plan: agreed with Alice.
        bits: uint8[n] of 0 and 1; copied.

    Attributes:
        disclosed_bits: bits received so far.
        corrected_bits: bits flipped so far.
        rounds: messages received so far.
        iterations: int64[frames], iterations of each frame in all its attempts.
    """

    def __init__(self, plan: LDPCPlan, bits: NDArray[np.uint8]) -> None:
        self.plan = plan
        self._bits = _key(plan, bits).copy()
        self.disclosed_bits = 0
        self.corrected_bits = 0
        self.rounds = 0
        self.iterations = np.zeros(plan.frames, np.int64)
        self._matrices = _Matrices(plan)
        self._open = np.arange(plan.frames)
        self._parities: dict[int, NDArray[np.uint8]] = {}

    @property
    def bits(self) -> NDArray[np.uint8]:
        """uint8[n]: frames that were decoded are corrected, the others as Bob had them."""
        return self._bits.copy()

    @property
    def wanted(self) -> NDArray[np.int64]:
        """int64[k], ascending: frames that more is wanted for; empty before the first message."""
        if self.rounds == 0 or self.rounds > self.plan.max_rounds:
            return np.empty(0, np.int64)
        return self._open.copy()

    @property
    def failed(self) -> NDArray[np.int64]:
        """int64[k], ascending: frames that were not decoded when there was nothing more to ask for."""
        return self._open.copy() if self.rounds > self.plan.max_rounds else np.empty(0, np.int64)

    def receive(self, bits: NDArray[np.uint8]) -> None:
        """Take Alice's first message, or her answer to `wanted`, and decode what can be decoded.

        Args:
            bits: as they came from the network: uint8[m] of 0 and 1.

        Raises:
            MalformedMessage: if they are not such an array of the right length, or nothing was asked for;
                nothing changes then.
        """
        plan, level = self.plan, self.rounds
        if level and not self.wanted.size:
            raise MalformedMessage(f"no more bits were asked for; got {np.size(bits)}")
        size = plan.n
        if plan.lanes:
            new_rows = plan.rows[level] - (plan.rows[level - 1] if level else 0)
            size = len(self._open) * new_rows * plan.lanes
        if not isinstance(bits, np.ndarray) or bits.dtype != np.uint8 or bits.shape != (size,):
            raise MalformedMessage(
                f"the message needs shape ({size},) and dtype uint8; "
                f"got {np.shape(bits)}, {getattr(bits, 'dtype', type(bits).__name__)}"
            )
        if bits.max(initial=0) > 1:
            raise MalformedMessage(f"parities are 0 or 1; got {bits.max()}")
        self.rounds += 1
        self.disclosed_bits += size
        if plan.lanes == 0:
            self.corrected_bits += int(np.sum(self._bits != bits))
            self._bits[:] = bits
            self._open = np.empty(0, np.int64)
            return
        messages = bits.reshape(len(self._open), size // max(1, len(self._open)))
        self._open = np.array(
            [
                frame
                for frame, message in zip(self._open.tolist(), messages, strict=True)
                if not self._decoded(frame, level, message)
            ],
            np.int64,
        )

    def _decoded(self, frame: int, level: int, message: NDArray[np.uint8]) -> bool:
        """Try a frame with what has come in, and correct it if that succeeds."""
        plan, matrix = self.plan, self._matrices[level]
        alice = message
        if level:
            old = self._parities[frame].reshape(-1, plan.lanes).copy()
            new = message.reshape(-1, plan.lanes)
            for root, parities in zip(plan.code(level).roots.tolist(), new, strict=True):
                old[root] ^= parities
            alice = np.concatenate((old, new)).reshape(-1)
        syndrome = alice ^ matrix.parities(self._matrices.laid_out(self._bits, frame))
        order = self._matrices.order(frame)
        done = -1
        if not _in_vain(plan.code(level), syndrome, len(order)):
            errors, done = matrix.decode(syndrome, len(order), GAINS, ITERATIONS)
            self.iterations[frame] += abs(done)
        if done < 0:
            self._parities[frame] = alice
            return False
        wrong = frame * plan.frame_bits + order[errors[: len(order)].view(np.bool_)]
        self._bits[wrong] ^= 1
        self.corrected_bits += len(wrong)
        self._parities.pop(frame, None)
        return True


def _in_vain(code: Code, syndrome: NDArray[np.uint8], length: int) -> bool:
    """Whether the errors, as many as the syndrome suggests, hold more information than it does.

    A check of d bits fails with probability (1 - (1 - 2Q)^d)/2 (Gallager 1963, lemma 4.1).
    """
    unevenness = 1 - 2 * float(syndrome.mean())
    if unevenness <= 0:
        return True
    qber = (1 - unevenness ** (code.rows / len(code.columns))) / 2
    return _entropy(qber) * length >= syndrome.size


def _key(plan: LDPCPlan, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bits, if they are a key for the plan.

    Raises:
        ValueError: if they are not uint8[n] of 0 and 1.
    """
    if bits.shape != (plan.n,) or bits.dtype != np.uint8 or bits.max(initial=0) > 1:
        raise ValueError(f"the plan is for uint8[{plan.n}] of 0 and 1; got {bits.dtype}{list(bits.shape)}")
    return bits


def _frame_numbers(frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Frame numbers that ascend.

    Raises:
        MalformedMessage: if they do not, or are not such an array.
    """
    if not isinstance(frames, np.ndarray) or frames.dtype != np.int64 or frames.ndim != 1:
        raise MalformedMessage(
            "frames need one dimension and dtype int64; "
            f"got {np.shape(frames)}, {getattr(frames, 'dtype', type(frames).__name__)}"
        )
    if (frames[1:] <= frames[:-1]).any():
        raise MalformedMessage("frames need to ascend, each once")
    return frames
