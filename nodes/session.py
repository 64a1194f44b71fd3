"""One side of the conversation about one block: ordered messages, a running transcript, and giving up."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import KeyExhausted, KeyUnavailable, MalformedMessage
from netsim.keys.key_store import KeyStore
from netsim.messages import Abort, Accepted, Envelope, Message, TranscriptTagged, decode
from netsim.postprocessing.authentication import (
    HASH_KEY_BITS,
    TAG_BITS,
    TranscriptTag,
    forgery_probability,
    verify,
)
from nodes.observer import Step

PADS_PER_BLOCK = 3
"""Tags of a block: all that Alice said, all that Bob said, and Alice's acceptance."""

ABORT_REASONS = (
    "alarm",
    "authentication",
    "authentication_key_exhausted",
    "chsh",
    "malformed_message",
    "no_detections",
    "qber",
    "timeout",
    "too_short",
    "verification",
)


class AbortBlock(Exception):
    """The block is given up, for the reason given.

    Attributes:
        reason: one of ABORT_REASONS.
        told: whether the peer said so, and need not be told.
    """

    def __init__(self, reason: str, *, told: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.told = told


class BlockTags(Protocol):
    """The tags of one block, as one side makes and checks them."""

    def said(self, body: bytes) -> None:
        """This side has sent a message."""

    def heard(self, body: bytes) -> None:
        """This side has received one."""

    def own(self) -> bytes:
        """Tag over all this side has said."""

    def fits(self, tag: bytes) -> bool:
        """Whether the other side's tag fits what was heard."""

    def acceptance(self) -> bytes:
        """Tag over the acceptance of the block."""

    def acceptance_fits(self, tag: bytes) -> bool:
        """Whether the tag of an acceptance fits."""

    @property
    def forgery_probability(self) -> float:
        """Bound on the probability that something else was taken for what the peer said."""


class NoTags:
    """A link that does not authenticate: empty tags, and any tag fits."""

    def said(self, body: bytes) -> None:
        """Not recorded."""

    def heard(self, body: bytes) -> None:
        """Not recorded."""

    def own(self) -> bytes:
        """Empty."""
        return b""

    def fits(self, tag: bytes) -> bool:  # noqa: ARG002  the interface's
        """Always."""
        return True

    def acceptance(self) -> bytes:
        """Empty."""
        return b""

    def acceptance_fits(self, tag: bytes) -> bool:  # noqa: ARG002  the interface's
        """Always."""
        return True

    @property
    def forgery_probability(self) -> float:
        """1: nothing is promised."""
        return 1.0


class ForgedTags(NoTags):
    """What somebody without the key can do: guess tags, and accept any."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def own(self) -> bytes:
        """A guess."""
        return self._rng.bytes(TAG_BITS // 8)

    def acceptance(self) -> bytes:
        """A guess."""
        return self._rng.bytes(TAG_BITS // 8)


class WegmanCarterTags:
    """Tags from shared key: one hash key for the link, a fresh pad for each tag.

    Attributes:
        touched: whether a pad has masked a tag, or was held against one.
    """

    def __init__(self, hash_key: bytes, pads: tuple[bytes, bytes, bytes], *, alice: bool) -> None:
        self.touched = False
        mine, theirs = (0, 1) if alice else (1, 0)
        self._said = TranscriptTag(hash_key, pads[mine])
        self._heard = TranscriptTag(hash_key, pads[theirs])
        self._accepted = TranscriptTag(hash_key, pads[2])
        self._accepted.update(b"accepted")
        self._acceptance = self._accepted.finish()

    def said(self, body: bytes) -> None:
        """Into the transcript of this side."""
        self._said.update(body)

    def heard(self, body: bytes) -> None:
        """Into the transcript of the other side."""
        self._heard.update(body)

    def own(self) -> bytes:
        """Tag over all this side has said."""
        self.touched = True
        return self._said.finish()

    def fits(self, tag: bytes) -> bool:
        """Whether the other side's tag fits what was heard."""
        self.touched = True
        return verify(self._heard.finish(), tag)

    def acceptance(self) -> bytes:
        """Tag over the acceptance of the block."""
        return self._acceptance

    def acceptance_fits(self, tag: bytes) -> bool:
        """Whether the tag of an acceptance fits."""
        return verify(self._acceptance, tag)

    @property
    def forgery_probability(self) -> float:
        """Union bound over the block's three tags."""
        lengths = (self._said.transcript_bytes, self._heard.transcript_bytes, self._accepted.transcript_bytes)
        return sum(forgery_probability(length) for length in lengths)


class TagKeys(Protocol):
    """Where a side's tags come from."""

    BITS_PER_BLOCK: int
    target_bits: int

    def next_address(self) -> int:
        """Where the pads of the next block lie."""

    def tags(self, address: int) -> BlockTags:
        """Spend the pads at `address` on a block."""

    def close(self, tags: BlockTags, *, disputed: bool) -> bool:
        """A block is over; whether its pads can be used for another."""

    def replenishment(self, new_bits: int) -> int:
        """How many of so many new bits the pool takes in."""

    def deposit(self, address: int, bits: NDArray[np.uint8]) -> None:
        """Replenish the pool."""


class NoTagKeys:
    """A link that does not authenticate: nothing to spend, nothing to fill."""

    BITS_PER_BLOCK = 0
    target_bits = 0

    def next_address(self) -> int:
        """Any."""
        return 0

    def tags(self, address: int) -> BlockTags:  # noqa: ARG002  the interface's
        """Empty tags, and any tag fits."""
        return NoTags()

    def close(self, tags: BlockTags, *, disputed: bool) -> bool:  # noqa: ARG002  the interface's
        """Nothing to keep."""
        return False

    def replenishment(self, new_bits: int) -> int:  # noqa: ARG002  the interface's
        """None."""
        return 0

    def deposit(self, address: int, bits: NDArray[np.uint8]) -> None:
        """Nowhere."""


class ForgedTagKeys(NoTagKeys):
    """What an impostor has: no key, only guesses."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def tags(self, address: int) -> BlockTags:  # noqa: ARG002  the interface's
        """Guessed tags, and any tag fits."""
        return ForgedTags(self._rng)


class AuthenticationPool:
    """One side's authentication key: a hash key for the life of the link, and pads that are spent.

    Pads are kept, spent and replenished a whole block's at a time, at multiples of BITS_PER_BLOCK. So an address that a forger
    puts into a BlockStart names the pads of one block in their right places, or none: no pad can be made to overlap another, or
    to mask the tag of another role. And a block that fails leaves no piece behind that is too short to use.

    Args:
        preshared: uint8[n] of 0/1, the same at both sites, n >= HASH_KEY_BITS; what is left over beyond whole blocks is not used.
        alice: which side this is.
        reserve_bits: no block is begun with what would then be left below this: whoever makes blocks fail at their tags drains
            the pool to here, and the link can be taken up again without a courier. Of the pads it started with, one block's can
            always be used.

    Attributes:
        target_bits: pads it started with, and is filled up to.
        lowest_bits: the fewest pads it has held.
    """

    BITS_PER_BLOCK = PADS_PER_BLOCK * TAG_BITS

    def __init__(self, preshared: NDArray[np.uint8], *, alice: bool, reserve_bits: int = 0) -> None:
        self._alice = alice
        self._hash_key = np.packbits(preshared[:HASH_KEY_BITS]).tobytes()
        self.pads = KeyStore()
        self._lent: dict[BlockTags, tuple[int, NDArray[np.uint8]]] = {}
        self.target_bits = _whole_blocks(len(preshared) - HASH_KEY_BITS)
        self.pads.deposit(0, preshared[HASH_KEY_BITS : HASH_KEY_BITS + self.target_bits])
        self._reserve_bits = min(reserve_bits, max(0, self.target_bits - self.BITS_PER_BLOCK))
        self.lowest_bits = self.target_bits

    def deposit(self, address: int, bits: NDArray[np.uint8]) -> None:
        """Replenish the pool.

        Raises:
            ValueError: these addresses hold key already.
        """
        self.pads.deposit(address, bits)

    def next_address(self) -> int:
        """Where the pads of the next block lie.

        Raises:
            KeyExhausted: there are not enough left beyond the reserve.
        """
        unreserved = self.pads.available_bits - self._reserve_bits
        if unreserved < self.BITS_PER_BLOCK:
            raise KeyExhausted(requested=self.BITS_PER_BLOCK, available=max(0, unreserved))
        return self.pads.locate(self.BITS_PER_BLOCK)

    def tags(self, address: int) -> BlockTags:
        """Spend the pads at `address` on a block.

        Raises:
            KeyUnavailable: they are not here, or are spent.
        """
        if address % self.BITS_PER_BLOCK:
            raise KeyUnavailable(f"pads lie at multiples of {self.BITS_PER_BLOCK}, got {address}")
        bits = self.pads.take_at(address, self.BITS_PER_BLOCK)
        self.lowest_bits = min(self.lowest_bits, self.pads.available_bits)
        first, second, third = (np.packbits(pad).tobytes() for pad in np.split(bits, PADS_PER_BLOCK))
        tags = WegmanCarterTags(self._hash_key, (first, second, third), alice=self._alice)
        self._lent[tags] = (address, bits)
        return tags

    def close(self, tags: BlockTags, *, disputed: bool) -> bool:
        """A block is over; whether its pads are kept for another.

        Pads that masked no tag and were held against none are as good as new: noise, or a cut fibre, costs no authentication
        key. If either side called the block's authentication into question, both count them as spent.
        """
        address, bits = self._lent.pop(tags)
        kept = not (disputed or (isinstance(tags, WegmanCarterTags) and tags.touched))
        if kept:
            self.deposit(address, bits)
        return kept

    def replenishment(self, new_bits: int) -> int:
        """How many of so many new bits the pool takes in: whole blocks' pads, up to what it started with."""
        return _whole_blocks(min(new_bits, max(0, self.target_bits - self.pads.available_bits)))


def _whole_blocks(bits: int) -> int:
    return bits - bits % AuthenticationPool.BITS_PER_BLOCK


M = TypeVar("M", bound=Message)


class Session:
    """One side of one block's conversation.

    Args:
        env: the simulation.
        send: puts an envelope on the way to the peer.
        me: this side's name.
        peer: the other side's.
        block: the block's number.
        timeout_s: how long to wait for a message.
        work: charges what is computed within to a step.

    Attributes:
        tags: the block's, once its pads are known.
    """

    def __init__(
        self,
        env: simpy.Environment,
        send: Callable[[Envelope], None],
        me: str,
        peer: str,
        block: int,
        timeout_s: float,
        work: Callable[[Step], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        self._work = work
        self._env = env
        self._send = send
        self._names = (me, peer)
        self.block = block
        self._timeout_s = timeout_s
        self._inbox = simpy.Store(env)
        self._sent = 0
        self._delivered = -1
        self.tags: BlockTags | None = None

    def send(self, message: Message) -> None:
        """Say something; it enters the transcript unless it is a tag itself."""
        with self._work("messages"):
            body = message.encode()
            if self.tags is not None and not isinstance(message, TranscriptTagged | Accepted | Abort):
                self.tags.said(body)
            self._send(Envelope(*self._names, self.block, self._sent, body))
        self._sent += 1

    def deliver(self, envelope: Envelope) -> bool:
        """A message of the peer has arrived; False if it is an old one, which is ignored."""
        if envelope.sequence <= self._delivered:
            return False
        self._delivered = envelope.sequence
        self._inbox.put(envelope.body)
        return True

    def wait(self, event: simpy.Event) -> Generator[simpy.Event, Any, Any]:
        """Wait for something that is no message; what it brings.

        Raises:
            AbortBlock: it did not come in time.
        """
        yield event | self._env.timeout(self._timeout_s)
        if not event.triggered:
            raise AbortBlock("timeout")
        return event.value

    def receive(self, *kinds: type[M]) -> Generator[simpy.Event, Any, M]:
        """Wait for the next message, which must be of one of these kinds.

        Raises:
            AbortBlock: it did not come in time, is none of these, or says that the peer has given up.
        """
        arrival = self._inbox.get()
        yield arrival | self._env.timeout(self._timeout_s)
        if not arrival.triggered:
            arrival.cancel()
            raise AbortBlock("timeout")
        body = cast("bytes", arrival.value)
        with self._work("messages"):
            try:
                message = decode(body)
            except MalformedMessage:
                raise AbortBlock("malformed_message") from None
            if isinstance(message, Abort):
                # Whoever forges an abort could as well have cut the line: it costs the block, and no more.
                reason = message.reason if message.reason in ABORT_REASONS else "malformed_message"
                raise AbortBlock(reason, told=True)
            # Before it is heard: once a tag has been held against the transcript, nothing more may enter it.
            if not isinstance(message, kinds):
                raise AbortBlock("malformed_message")
            if self.tags is not None and not isinstance(message, TranscriptTagged | Accepted):
                self.tags.heard(body)
        return message
