"""Reconciliation as nodes see it: messages in, messages out, whichever code the two parties agreed on.

    alice, bob = code.reference(bits, qber, seed), code.correction(bits, qber, seed)

What Alice says unasked (`Reference.opening`), Bob waits for (`Correction.opens`); then he asks and she answers, until
he has no more questions. A hash of the whole key follows, which is the nodes' to compare (`verification`). If the
hashes differ, Alice sends a short tag of each frame, and Bob asks for the frames that differ, unless all do.

A frame that no code mends is *given away*: Bob asks for it, and Alice sends its bits in the open, where they count as
disclosed, all of them, besides what had been disclosed about them before. So the two keys stay as long as they were,
every error in them is known, and the bound on the final key needs no case of its own: to charge a frame in full costs
at least as much as to drop it (chain rule: H_min(X_rest | E) >= H_min(X | E) - |X_dropped|), and unlike dropping it
changes no count that parameter estimation rests on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from netsim.errors import MalformedMessage
from netsim.messages import (
    FrameBits,
    FramesWanted,
    FrameTags,
    Message,
    Parities,
    ParityQuestions,
    Syndromes,
    SyndromesWanted,
)
from netsim.postprocessing import cascade, verification

if TYPE_CHECKING:
    from netsim.postprocessing import ldpc

FRAME_TAG_BITS = 32
"""A wrong frame passes for a right one with probability 2^-32; then the hash of the whole key differs again."""

Bits = NDArray[np.uint8]


class Frames(Protocol):
    """A key cut into frames."""

    @property
    def n(self) -> int:
        """Bits in the key."""

    @property
    def frame_bits(self) -> int:
        """Bits in every frame but the last, which may be shorter."""

    @property
    def frames(self) -> int:
        """How many frames."""


class Reference(ABC):
    """Alice's side: her bits are what Bob's are to become.

    Args:
        frames: how the key is cut.
        bits: uint8[n] of 0 and 1; never changed.

    Attributes:
        given_away_bits: bits of frames that were sent in the open.
        tagged: whether tags of the frames have been sent.
    """

    asked: ClassVar[tuple[type[Message], ...]]
    """What Bob may ask."""

    def __init__(self, frames: Frames, bits: Bits) -> None:
        self._frames = frames
        self._bits = bits
        self._given: set[int] = set()
        self.given_away_bits = 0
        self.tagged = False

    @property
    @abstractmethod
    def disclosed_bits(self) -> int:
        """Parities that crossed the wire."""

    @property
    def may_tag(self) -> bool:
        """Whether tags of the frames would help: once, and where there is more than one."""
        return not self.tagged and self._frames.frames > 1

    @property
    def tag_bits(self) -> int:
        """What tags of the frames disclose."""
        return FRAME_TAG_BITS * self._frames.frames

    def opening(self) -> Message | None:
        """What she says unasked, once."""
        return None

    def answer(self, message: Message) -> Message:
        """The answer to one of `asked`.

        Raises:
            MalformedMessage: it asks for what there is not, or for nothing; nothing is disclosed then.
        """
        return self._give(message) if isinstance(message, FramesWanted) else self._answer(message)

    @abstractmethod
    def _answer(self, message: Message) -> Message:
        """The code's answer to the code's question."""

    def frame_tags(self, rng: np.random.Generator) -> FrameTags:
        """A short tag of each frame, for Bob to find those that differ; the key of the hash is drawn now, his bits being fixed."""
        self.tagged = True
        key = rng.bytes(verification.KEY_BYTES)
        tags = verification.frame_tags(self._bits, self._frames.frame_bits, key, FRAME_TAG_BITS)
        return FrameTags(key, tags.tobytes())

    def _give(self, message: FramesWanted) -> FrameBits:
        wanted = message.frames
        sound = (
            0 < len(wanted) <= self._frames.frames
            and bool((np.diff(wanted) > 0).all())
            and 0 <= int(wanted[0]) <= int(wanted[-1]) < self._frames.frames
        )
        if not sound or not self._given.isdisjoint(wanted.tolist()):
            raise MalformedMessage(
                f"frames to be given away are some of {self._frames.frames}, ascending, each once; got {len(wanted)}"
            )
        self._given.update(wanted.tolist())
        bits = self._bits[_positions(self._frames, message.frames)]
        self.given_away_bits += len(bits)
        return FrameBits(bits)


class Correction(ABC):
    """Bob's side: he asks until his bits are Alice's.

    Args:
        frames: how the key is cut.
    """

    opens: ClassVar[type[Message] | None] = None
    """What Alice says unasked."""

    answers: ClassVar[tuple[type[Message], ...]]
    """What she answers with."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._wanted: NDArray[np.int64] = np.empty(0, np.int64)
        self._given: Bits | None = None  # the key, once frames of it were given away
        self._known: set[int] = set()

    @property
    def bits(self) -> Bits:
        """uint8[n], corrected as far as the answers went."""
        return self._corrected if self._given is None else self._given

    @property
    @abstractmethod
    def _corrected(self) -> Bits:
        """What the code made of the key."""

    @property
    @abstractmethod
    def disclosed_bits(self) -> int:
        """Parities that crossed the wire."""

    given_away_bits: int = 0
    """Bits of frames that were sent in the open."""

    @property
    def tag_bits(self) -> int:
        """What tags of the frames disclose."""
        return FRAME_TAG_BITS * self._frames.frames

    @abstractmethod
    def _ask(self) -> Message | None:
        """The code's next question."""

    @abstractmethod
    def _learn(self, message: Message) -> None:
        """Take the code's answer."""

    def _lost(self) -> NDArray[np.int64]:
        """Frames that the code could not mend, as far as it knows."""
        return np.empty(0, np.int64)

    def question(self) -> Message | None:
        """What to ask next, the same until it is answered; None when nothing is left to ask."""
        if not len(self._wanted):
            question = self._ask()
            if question is not None:
                return question
            self._want(self._lost())
        return FramesWanted(self._wanted) if len(self._wanted) else None

    def receive(self, message: Message) -> None:
        """Take what Alice says, unasked or to the last question.

        Raises:
            MalformedMessage: it does not answer it. The state is as before.
        """
        if isinstance(message, FrameBits) != bool(len(self._wanted)):
            raise MalformedMessage(f"got {message.kind}, which does not answer the question")
        if not isinstance(message, FrameBits):
            self._learn(message)
            return
        places = _positions(self._frames, self._wanted)
        if len(message.bits) != len(places):
            raise MalformedMessage(f"{len(places)} bits were to be given away; got {len(message.bits)}")
        key = self.bits.copy()
        key[places] = message.bits
        self._given = key
        self._known.update(self._wanted.tolist())
        self.given_away_bits += len(places)
        self._wanted = np.empty(0, np.int64)

    def compare(self, message: FrameTags) -> bool:
        """Find the frames whose tags are not Alice's, to ask for them next; whether there are any, and others.

        Raises:
            MalformedMessage: there is not a tag for each frame.
        """
        frames = self._frames
        size = FRAME_TAG_BITS // 8
        if len(message.hash_key) != verification.KEY_BYTES or len(message.tags) != size * frames.frames:
            raise MalformedMessage(
                f"{frames.frames} frames need {size * frames.frames} bytes of tags under a key of {verification.KEY_BYTES}; "
                f"got {len(message.tags)} under {len(message.hash_key)}"
            )
        theirs = np.frombuffer(message.tags, np.uint8).reshape(frames.frames, size)
        mine = verification.frame_tags(self.bits, frames.frame_bits, message.hash_key, FRAME_TAG_BITS)
        self._want(np.flatnonzero((mine != theirs).any(axis=1)))
        return len(self._wanted) > 0

    def _want(self, frames: NDArray[np.int64]) -> None:
        """Ask for those that were not given away yet; not for all, which would leave nothing."""
        unknown = [frame for frame in frames.tolist() if frame not in self._known]
        if len(unknown) + len(self._known) < self._frames.frames:
            self._wanted = np.array(unknown, dtype=np.int64)


class CascadeReference(Reference):
    """Alice answers with parities."""

    asked = (ParityQuestions, FramesWanted)

    def __init__(self, plan: cascade.CascadePlan, bits: Bits) -> None:
        super().__init__(plan, bits)
        self._responder = cascade.Responder(plan, bits)

    @property
    def disclosed_bits(self) -> int:
        """Parities that crossed the wire."""
        return self._responder.disclosed_bits

    def _answer(self, message: Message) -> Message:
        asked = cast("ParityQuestions", message)
        if not len(asked.starts):
            raise MalformedMessage("a message of questions asks at least one")
        return Parities(self._responder.answer(cascade.Questions(asked.passes, asked.starts, asked.stops)))


class CascadeCorrection(Correction):
    """Bob asks for parities, and finds his errors by halving."""

    answers = (Parities, FrameBits)

    def __init__(self, plan: cascade.CascadePlan, bits: Bits) -> None:
        super().__init__(plan)
        self._corrector = cascade.Corrector(plan, bits)

    @property
    def _corrected(self) -> Bits:
        return self._corrector.bits

    @property
    def disclosed_bits(self) -> int:
        """Parities that crossed the wire."""
        return self._corrector.disclosed_bits

    def _ask(self) -> Message | None:
        asked = self._corrector.questions()
        return None if asked is None else ParityQuestions(asked.passes, asked.starts, asked.stops)

    def _learn(self, message: Message) -> None:
        if not isinstance(message, Parities):
            raise MalformedMessage(f"got {message.kind}, expected parities")
        self._corrector.receive(message.parities)


class LDPCReference(Reference):
    """Alice sends the syndromes of her frames, and more of them where they are asked for."""

    asked = (SyndromesWanted, FramesWanted)

    def __init__(self, plan: ldpc.LDPCPlan, bits: Bits) -> None:
        from netsim.postprocessing import ldpc  # noqa: PLC0415  numba takes half a second to import

        super().__init__(plan, bits)
        self._encoder = ldpc.Encoder(plan, bits)

    @property
    def disclosed_bits(self) -> int:
        """Syndrome bits that crossed the wire."""
        return self._encoder.disclosed_bits

    def opening(self) -> Message:
        """The syndromes."""
        return Syndromes(self._encoder.first())

    def _answer(self, message: Message) -> Message:
        frames = cast("SyndromesWanted", message).frames
        if not len(frames):
            raise MalformedMessage("whoever wants more syndromes names a frame")
        return Syndromes(self._encoder.more(frames))


class LDPCCorrection(Correction):
    """Bob decodes, and asks for more where that fails."""

    opens = Syndromes
    answers = (Syndromes, FrameBits)

    def __init__(self, plan: ldpc.LDPCPlan, bits: Bits) -> None:
        from netsim.postprocessing import ldpc  # noqa: PLC0415  numba takes half a second to import

        super().__init__(plan)
        self._decoder = ldpc.Decoder(plan, bits)

    @property
    def _corrected(self) -> Bits:
        return self._decoder.bits

    @property
    def disclosed_bits(self) -> int:
        """Syndrome bits that crossed the wire."""
        return self._decoder.disclosed_bits

    def _ask(self) -> Message | None:
        wanted = self._decoder.wanted
        return SyndromesWanted(wanted) if len(wanted) else None

    def _learn(self, message: Message) -> None:
        if not isinstance(message, Syndromes):
            raise MalformedMessage(f"got {message.kind}, expected syndromes")
        self._decoder.receive(message.bits)

    def _lost(self) -> NDArray[np.int64]:
        return self._decoder.failed


@dataclass(frozen=True)
class Reconciliation:
    """What the two agreed to reconcile with.

    Attributes:
        code: one of `CODES`.
    """

    code: str = "cascade"

    def reference(self, bits: Bits, qber: float, seed: int) -> Reference:
        """Alice's side of a block.

        Args:
            bits: uint8[n] of 0 and 1, her key.
            qber: the estimated error rate.
            seed: public.
        """
        if self.code == "ldpc":
            from netsim.postprocessing import ldpc  # noqa: PLC0415  numba takes half a second to import

            return LDPCReference(ldpc.plan(len(bits), qber, seed), bits)
        return CascadeReference(cascade.plan(len(bits), qber, seed, parameters=CODES[self.code]), bits)

    def correction(self, bits: Bits, qber: float, seed: int) -> Correction:
        """Bob's side of a block; arguments as in `reference`."""
        if self.code == "ldpc":
            from netsim.postprocessing import ldpc  # noqa: PLC0415  numba takes half a second to import

            return LDPCCorrection(ldpc.plan(len(bits), qber, seed), bits)
        return CascadeCorrection(cascade.plan(len(bits), qber, seed, parameters=CODES[self.code]), bits)


CODES = {"cascade": "modern", "cascade-original": "original", "ldpc": ""}
"""By name, and for Cascade the set of parameters."""


CASCADE = Reconciliation()
CASCADE_ROUNDS = 500
"""About how many questions a block of a million bits takes with Cascade, to tell whether a link has the time."""


def _positions(frames: Frames, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places in the key of some frames' bits, in order."""
    places = (numbers[:, None] * frames.frame_bits + np.arange(frames.frame_bits)).ravel()
    return places[places < frames.n]
