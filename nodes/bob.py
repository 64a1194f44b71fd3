"""Bob: detects the light, announces what he saw, finds the errors, amplifies. Read it beside alice.py."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, cast

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import KeyUnavailable, MalformedMessage
from netsim.keys.ledger import Ledger
from netsim.messages import (
    Accepted,
    Amplification,
    BlockStart,
    Detections,
    Envelope,
    FrameTags,
    Message,
    Sample,
    Sifting,
    TranscriptTagged,
    Verification,
)
from netsim.photonics.record import Clicks
from netsim.photonics.train import Train
from netsim.postprocessing import privacy_amplification, verification
from netsim.postprocessing.reconciliation import Correction
from netsim.protocols.protocol import Kept, Revealed
from netsim.rows import pick
from nodes.kme import ADDRESSES
from nodes.link import BlockResult, LinkParameters, Post
from nodes.party import Party
from nodes.session import AbortBlock, BlockTags, Session

_AHEAD = 64  # blocks; a message about one further ahead is nobody's


class Bob(Party):
    """The receiver's side of the link.

    Args:
        post: where he stands.
        link: what the two have agreed on.
    """

    def __init__(self, post: Post, link: LinkParameters) -> None:
        super().__init__(post, link)
        self._next_block = 0

    def on_train(self, train: Train) -> None:
        """A train's last pulse has arrived: measure it, and post-process while the next one flies."""
        clicks = self.measure(train, self.link.protocol.bob_choice)
        self.env.process(self.distil(train.block, train.start_s, clicks))

    def expect(self, block: int) -> None:
        """This block comes: messages about it are welcome."""
        self._next_block = max(self._next_block, block + 1)

    def distil(self, block: int, start_s: float, clicks: Clicks) -> Generator[simpy.Event, Any, None]:
        """From light to key: one block."""

        def steps(session: Session, result: BlockResult) -> Generator[simpy.Event, Any, None]:
            yield from self._steps(session, result, clicks)

        self.expect(block)
        result = BlockResult(block, start_s, Ledger(pulses=self.link.block_pulses))
        yield from self.converse(steps, self.session(block), result)

    def _steps(
        self, session: Session, result: BlockResult, clicks: Clicks
    ) -> Generator[simpy.Event, Any, None]:
        protocol, ledger, work = self.link.protocol, result.ledger, self.post.observer.work

        # Hear of the block, and announce what was detected and how it was measured.
        start = yield from session.receive(BlockStart)
        session.tags = tags = self._pads(start, ledger)
        tags.heard(start.encode())
        slots, settings, result.monitors = clicks.slots, clicks.settings, clicks.monitors
        announced = Detections(slots, settings, clicks.intensities)
        session.send(announced)

        # Sift: keep what both measured alike.
        sifting = yield from session.receive(Sifting)
        with work("sifting"):
            both = self._announced_rounds(sifting, len(slots))
            settings, theirs, outcomes = pick(settings, both), sifting.settings, pick(clicks.outcomes, both)
            sent = protocol.sent(sifting.intensities, pick(self.told_intensities(announced), both))
            key_rounds = protocol.key_rounds(theirs, settings)
            revealed = sifting.revealed.view(np.bool_)

        # Reveal the same sample and estimate the errors.
        session.send(Sample(pick(outcomes, revealed)))
        with work("sifting"):
            kept = key_rounds & ~revealed
            self.account_sifting(result, len(settings), key_rounds, revealed)
            self.count_intensities(result, sent, key_rounds, theirs)
            self.estimate(
                result,
                Revealed(
                    pick(theirs, revealed),
                    pick(settings, revealed),
                    sifting.outcomes,
                    pick(outcomes, revealed),
                    pick(sent, revealed),
                ),
            )

        # Reconcile: ask until the keys are equal as far as can be known; then send a hash of the result.
        with work("reconciliation"):
            raw, sent = pick(outcomes, kept), pick(sent, kept)
            correction = self.link.reconciliation.correction(
                raw, self.qber_of(result), sifting.reconciliation_seed
            )

        def found() -> NDArray[np.int64]:
            return self.corrections(sent, correction.bits, raw)

        announcement = yield from self._reconcile(session, result, correction, found)
        key = result.sifted_key = correction.bits
        result.corrected_bits = int(np.count_nonzero(key != raw))

        # Amplify as Alice announces.
        with work("amplification"):
            length = self.key_length(result, Kept(pick(theirs, kept), sent, found()))
            if not self._sound(announcement, len(key), length):
                raise AbortBlock("malformed_message")
            final = privacy_amplification.toeplitz(key, announcement.seed, length)

        # Authenticate all that was said; what Alice's site will issue must be here before she knows that it may.
        tagged = yield from session.receive(TranscriptTagged)
        if not tags.fits(tagged.tag):
            raise AbortBlock("authentication")
        result.eps_auth = tags.forgery_probability
        reverse = self._store(final, announcement, result)
        session.send(TranscriptTagged(tags.own()))
        result.key = final

        # What Bob's site will issue must be at Alice's before he may: he waits for her word.
        try:
            accepted = yield from session.receive(Accepted)
        except AbortBlock as abort:
            if abort.told:
                raise
            self.post.observer.event(self.post.name, "acceptance_missing", block=session.block)
            return
        if not tags.acceptance_fits(accepted.tag):
            raise AbortBlock("authentication")
        self._may_issue(announcement.reverse_address, reverse)

    def _reconcile(
        self,
        session: Session,
        result: BlockResult,
        correction: Correction,
        found: Callable[[], NDArray[np.int64]],
    ) -> Generator[simpy.Event, Any, Amplification]:
        """Ask until nothing is left to ask, and send a hash; where Alice's differs, find out in which frames, once."""
        ledger, work = result.ledger, self.post.observer.work
        if correction.opens is not None:
            opening = yield from session.receive(correction.opens)
            with work("reconciliation"):
                self._correct(correction, opening)
                self.account_reconciliation(ledger, correction)
        while True:
            while (question := correction.question()) is not None:
                result.rounds += 1
                session.send(question)
                answer = yield from session.receive(*correction.answers)
                with work("reconciliation"):
                    self._correct(correction, answer)
                    self.account_reconciliation(ledger, correction)
            with work("reconciliation"):
                hashed = self._hash(ledger, correction.bits, found())
            session.send(hashed)
            message = yield from session.receive(Amplification, FrameTags)
            if not isinstance(message, FrameTags):
                return cast("Amplification", message)
            with work("reconciliation"):
                ledger.verification_bits += correction.tag_bits
                if not self._differ(correction, message):
                    raise AbortBlock("verification")

    def _hash(self, ledger: Ledger, key: NDArray[np.uint8], found: NDArray[np.int64]) -> Verification:
        """A hash of the key, and what was found in it."""
        hash_key = self.post.random("verification").bytes(verification.KEY_BYTES)
        tag_bits = self.tag_bits(len(key))
        self.account_verification(ledger, found, tag_bits)
        return Verification(hash_key, verification.tag(key, hash_key, tag_bits), found)

    def _store(
        self, final: NDArray[np.uint8], announcement: Amplification, result: BlockResult
    ) -> NDArray[np.uint8]:
        """Put the key where Alice announced it to go; returns the part that this site will issue."""
        authentication, forward, reverse = self.cut(final, announcement)
        try:
            self.post.pool.deposit(announcement.authentication_address, authentication)
            self.post.keys.deposit_incoming(announcement.forward_address, forward)
        except ValueError:  # an unauthenticated announcement may say anything
            raise AbortBlock("malformed_message") from None
        self.account_delivery(result, len(authentication))
        return reverse

    def _may_issue(self, address: int, reverse: NDArray[np.uint8]) -> None:
        try:
            self.post.keys.deposit_outgoing(address, reverse)
        except ValueError:  # as above
            raise AbortBlock("malformed_message") from None

    def _pads(self, start: BlockStart, ledger: Ledger) -> BlockTags:
        if start.pulses != self.link.block_pulses:
            raise AbortBlock("malformed_message")
        try:
            tags = self.post.pool.tags(start.authentication_address)
        except KeyUnavailable:
            raise AbortBlock("authentication") from None
        ledger.authentication_spent_bits = self.post.pool.BITS_PER_BLOCK
        return tags

    def _announced_rounds(self, sifting: Sifting, clicks: int) -> NDArray[np.bool_]:
        both, protocol = sifting.clicked.view(np.bool_), self.link.protocol
        rounds, kinds = int(np.count_nonzero(both)), protocol.alice_intensities
        fits = (
            len(both) == clicks
            and len(sifting.settings) == len(sifting.revealed) == rounds
            and len(sifting.outcomes) == int(np.count_nonzero(sifting.revealed))
            and bool(np.all(sifting.settings < len(protocol.alice_angles)))
            and len(sifting.intensities) == (rounds if kinds > 1 else 0)
            and bool(np.all(sifting.intensities < kinds))
            and sifting.reconciliation_seed >= 0
        )
        if not fits:
            raise AbortBlock("malformed_message")
        return both

    @staticmethod
    def _correct(correction: Correction, answer: Message) -> None:
        try:
            correction.receive(answer)
        except MalformedMessage:
            raise AbortBlock("malformed_message") from None

    @staticmethod
    def _differ(correction: Correction, tags: FrameTags) -> bool:
        """Whether some frames, but not all, are found to differ for the first time."""
        try:
            return correction.compare(tags)
        except MalformedMessage:
            raise AbortBlock("malformed_message") from None

    @staticmethod
    def _sound(announcement: Amplification, key_bits: int, length: int) -> bool:
        """Whether Alice announces what Bob computes, and shares it out within it."""
        shared_out = announcement.authentication_bits + announcement.forward_bits
        addresses = (
            announcement.forward_address,
            announcement.reverse_address,
            announcement.authentication_address,
        )
        return (
            announcement.length == length
            and len(announcement.seed) == privacy_amplification.seed_length(key_bits, length)
            and min(announcement.authentication_bits, announcement.forward_bits, *addresses) >= 0
            and max(addresses) + length <= ADDRESSES
            and shared_out <= length
        )

    def on_envelope(self, envelope: Envelope) -> None:
        """A message of Alice's; those about blocks that are over are of no use to him."""
        block = envelope.session
        if block in self.results and block not in self.sessions:
            return
        if 0 <= block < self._next_block + _AHEAD:
            self.session(block).deliver(envelope)
