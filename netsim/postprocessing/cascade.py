"""Cascade: Bob finds and flips the bits in which his key differs from Alice's, by asking her for parities.

Two state machines that meet only through `Questions` and arrays of parities: `Responder` (Alice, whose bits
are the reference) and `Corrector` (Bob). Neither sends anything; a node carries the messages:

    plan = cascade.plan(n, qber, seed)
    alice, bob = Responder(plan, alice_bits), Corrector(plan, bob_bits)
    while (questions := bob.questions()) is not None:
        bob.receive(alice.answer(questions))

The equality of the keys is for `verification` to check: an even number of errors may hide from every parity.
Keys of `COMPILED_FROM_BITS` bits or more are handled by the compiled code of `cascade_kernel`, shorter ones by
`cascade_clear`, which says the same in plain NumPy: from a plan and two keys every message follows, bit for
bit, whoever computes it.

The schedule
------------
*Frames.* A key is cut into frames of up to 65536 bits that know nothing of each other. All of them go through
the following side by side, each at its own pace, and a round carries the questions of all of them, the frames
in ascending order. So a long key takes as many rounds as its slowest frame.

*Passes.* A pass is an order in which to look at the bits of a frame, the same for all frames. The first keeps the
given order, later ones shuffle all bits; each is cut into consecutive blocks of its size, the last may be short.
After these block passes come, in the modern set, passes of one block, a random half of the bits. `plan` has the
exact sizes and the parameter sets, `CascadePlan.frame_order` the permutations. In a message, the positions of a
pass run through all frames, so that a range is [start, stop) in `CascadePlan.order`.

*Segments.* At every moment the opened block passes are cut into segments whose parities Alice has disclosed,
and Bob knows of each whether his own parity differs (the segment is *odd*). What was disclosed about larger
nodes of a block's tree follows from its segments, so nothing else needs to be kept, and an odd segment is a
smallest node known to be odd. The left half of a segment is as long as the largest power of two below its
length. A segment is of class c if c is the least number with 2^c ≥ its length.

*Settled bits.* A bit that stands alone in an even segment of some pass is right; one that was flipped is right
too. Both are settled, in all passes, and a bit that is not is open.

*Stages.* The block passes one by one, then ten half-subsets at once. A stage is opened when no segment and no
subset is odd and no bit waits, by asking for the parity of each of its blocks. If any of the ten subsets comes
out odd, ten more follow once its errors are mended (and the old ones are forgotten), up to
`CascadePlan.subset_stages` times; ten even ones end the exchange.

*Rounds.* While some segment is odd, a round chooses odd segments: class by class from the smallest, every class
as a whole, until there are `round_width` of the frame; by class, then pass, then start. Each is narrowed: from
the segment down its tree, as long as one half has no open bit, the other half takes its place, and what was cut
off is even. Of a segment narrowed to one bit, that bit *waits*; of every other one, the round asks for the
parity of the left half, which splits it in two. Should all bits be waiting ones, they are corrected and the round
is chosen anew. While no segment is odd but some subset is, the first of these is halved, one question a round,
down to one bit; its halves are then forgotten.

*Corrections.* After an answer, the bits that stand alone in an even segment are settled. Then every bit known to
stand alone in an odd segment, and every bit that waited, is flipped, once, even if several passes found it; a
flip toggles the segment or subset that holds the bit in every opened pass. If a bit to be flipped is settled
already, or an odd segment has no open bit, the answers contradict each other.

Why so: halving only the smallest odd segments discloses least, because two passes then never chase the same error,
but it crosses the fibre once a step. Narrowing saves the questions whose answers are known already: 0.4 % of all
that is disclosed at an error rate of 3 %, 0.8 % at 5 %.

Sources: Brassard & Salvail, EUROCRYPT '93 (the protocol); Martinez-Mateo, Pacher, Peev, Ciurana & Martin,
Quantum Inf. Comput. 15, 453 (2015) (powers of two, 4096, half-subsets); Pacher, Grabenweger, Martinez-Mateo
& Martin, ISIT 2015 (little leakage from the reuse of sub-blocks). Narrowing is ours; we know of no source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.errors import MalformedMessage
from netsim.postprocessing.cascade_clear import ClearAnswers, ClearSearch
from netsim.postprocessing.cascade_plan import PARAMETERS, CascadePlan, plan

if TYPE_CHECKING:
    from netsim.postprocessing.cascade_kernel import CompiledAnswers, CompiledSearch

__all__ = ["PARAMETERS", "CascadePlan", "Corrector", "Questions", "Responder", "plan"]

COMPILED_FROM_BITS = 4096
"""Below, NumPy is done before numba would be imported."""


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
        self._answers = _answers(plan, bits)
        self._frame_lengths: dict[int, tuple[int, int]] = {}

    def answer(self, questions: Questions) -> NDArray[np.uint8]:
        """The parities asked for.

        Args:
            questions: as they came from the network; nothing about them is trusted.

        Returns:
            uint8[m] of 0 and 1.

        Raises:
            MalformedMessage: if they are not m non-empty ranges, each within a frame of a pass of the plan;
                nothing is disclosed then.
        """
        passes, starts, stops = (
            _integers(getattr(questions, name), name) for name in ("passes", "starts", "stops")
        )
        if not passes.size == starts.size == stops.size:
            raise MalformedMessage(
                "questions need as many passes as starts and stops; "
                f"got {passes.size}, {starts.size}, {stops.size}"
            )
        compiled = self.plan.n >= COMPILED_FROM_BITS  # and looks at every range itself
        if not compiled or passes.dtype != np.uint8:
            self._check_ranges(passes, starts, stops)
        parities = self._answers.parities(passes.astype(np.uint8, copy=False), starts, stops)
        if parities is None:
            self._check_ranges(passes, starts, stops)
            raise MalformedMessage("a range does not lie within a frame of its pass")
        self.disclosed_bits += parities.size
        return parities

    def _check_ranges(
        self, passes: NDArray[np.integer], starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> None:
        """Refuse what is no range within a frame of its pass, and say what is wrong."""
        if passes.size and not 0 <= passes.min() <= passes.max() < self.plan.passes:
            raise MalformedMessage(
                f"passes run from 0 to {self.plan.passes - 1}; got {passes.min()} to {passes.max()}"
            )
        if ((starts < 0) | (starts >= stops) | (stops > self.plan.n)).any():
            raise MalformedMessage(f"a range needs 0 <= start < stop <= {self.plan.n}")
        for number in np.unique(passes).tolist():
            here = passes == number
            whole, last = self._lengths(number)
            frames = starts[here] // max(whole, 1)
            lengths = np.where(frames == self.plan.frames - 1, last, whole)
            if (stops[here] - frames * whole > lengths).any() or (frames >= self.plan.frames).any():
                raise MalformedMessage(
                    f"pass {number} has {self.plan.frames} frames of {whole} bits, {last} in the last; "
                    "got a range that is not within one"
                )

    def _lengths(self, number: int) -> tuple[int, int]:
        """Bits of a pass in a whole frame and in the last."""
        if number not in self._frame_lengths:
            order = self.plan.frame_order(number)
            self._frame_lengths[number] = len(order), int(np.sum(order < self.plan.last_frame_bits))
        return self._frame_lengths[number]


class Corrector:
    """Bob: asks, and corrects his bits until no parity he knows of differs.

    Args:
        plan: agreed with Alice.
        bits: uint8[n] of 0 and 1; copied.

    Attributes:
        disclosed_bits: parities received so far.
        rounds: messages answered so far.
    """

    def __init__(self, plan: CascadePlan, bits: NDArray[np.uint8]) -> None:
        self.plan = plan
        self._search = _search(plan, _key(plan, bits))
        self.disclosed_bits = 0
        self.rounds = 0
        self._questions = self._message()

    @property
    def bits(self) -> NDArray[np.uint8]:
        """uint8[n], corrected as far as the answers went."""
        return self._search.bits

    @property
    def corrected_bits(self) -> int:
        """Bits flipped so far."""
        return self._search.corrected_bits

    @property
    def contradicted(self) -> bool:
        """Whether the answers were not the parities of any one key, so that Bob stopped asking.

        Without authentication that is all he can know; with it, it does not happen.
        """
        return self._search.contradicted

    def questions(self) -> Questions | None:
        """The next message for Alice, the same until it is answered; None when nothing is left to ask."""
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
        lowest = 0 if answers.dtype == np.uint8 or not expected else answers.min(initial=0)
        if len(answers) != expected or lowest < 0 or answers.max() > 1:
            raise MalformedMessage(f"an answer has {expected} parities of 0 or 1; got {len(answers)} values")
        self.disclosed_bits += expected
        self.rounds += 1
        self._search.learn(answers.astype(np.uint8, copy=False))
        self._questions = self._message()

    def _message(self) -> Questions | None:
        """What the search asks, if it may."""
        passes, starts, stops = self._search.asked
        if not len(starts) or self.contradicted or self.rounds >= self.plan.max_rounds:
            return None
        return Questions(passes, starts, stops)


def _answers(plan: CascadePlan, bits: NDArray[np.uint8]) -> ClearAnswers | CompiledAnswers:
    """Alice's side, by whom it is computed faster."""
    if plan.n < COMPILED_FROM_BITS:
        return ClearAnswers(plan, bits)
    from netsim.postprocessing.cascade_kernel import CompiledAnswers  # noqa: PLC0415  numba takes half a second to import

    return CompiledAnswers(plan, bits)


def _search(plan: CascadePlan, bits: NDArray[np.uint8]) -> ClearSearch | CompiledSearch:
    """Bob's side, by whom it is computed faster."""
    if plan.n < COMPILED_FROM_BITS:
        return ClearSearch(plan, bits)
    from netsim.postprocessing.cascade_kernel import CompiledSearch  # noqa: PLC0415  numba takes half a second to import

    return CompiledSearch(plan, bits)


def _key(plan: CascadePlan, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The key, if it fits the plan."""
    if bits.shape != (plan.n,) or bits.dtype != np.uint8 or (plan.n and int(bits.max()) > 1):
        raise ValueError(f"the plan is for uint8[{plan.n}] of 0 and 1; got {bits.dtype}{list(bits.shape)}")
    return bits


def _integers(values: NDArray[np.integer], name: str) -> NDArray[Any]:
    """A received array, if it is a list of integers, as int64 or, if it was that, uint8."""
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "iu":
        raise MalformedMessage(f"{name} must be a one-dimensional array of integers; got {values!r:.60}")
    return values if values.dtype == np.uint8 else values.astype(np.int64, copy=False)
