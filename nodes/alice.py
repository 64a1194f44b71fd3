"""Alice: sends the light, sifts, answers Bob's parity questions, amplifies. Read it beside bob.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import KeyExhausted, MalformedMessage
from netsim.keys.ledger import Ledger
from netsim.messages import (
    Accepted,
    Amplification,
    BlockStart,
    Detections,
    Envelope,
    Message,
    Sample,
    Sifting,
    TranscriptTagged,
    Verification,
)
from netsim.photonics.record import Clicks, Record
from netsim.photonics.train import Train
from netsim.postprocessing import privacy_amplification, verification
from netsim.postprocessing.reconciliation import Reference
from netsim.protocols.protocol import Kept, Revealed
from netsim.random_streams import random_bits
from netsim.rows import pick
from nodes.link import BlockResult, LinkParameters, Post
from nodes.party import Party
from nodes.session import AbortBlock, Session


class Alice(Party):
    """The sender's side of the link.

    Args:
        post: where she stands.
        link: what the two have agreed on.
        send_light: puts a train on the fibre; None where the source of pairs stands elsewhere.
        first_address: where her streams of key begin.
    """

    def __init__(
        self,
        post: Post,
        link: LinkParameters,
        send_light: Callable[[Train], None] | None,
        first_address: int = 0,
    ) -> None:
        super().__init__(post, link)
        self._send_light = send_light
        self._next_authentication_address = post.pool.target_bits
        self._next_forward_address = self._next_reverse_address = first_address
        self._records: dict[int, simpy.Event] = {}

    def run(self, until_s: float) -> Generator[simpy.Event, Any, None]:
        """Send one train after another, and post-process each while the next one flies."""
        for block in itertools.count():
            if self.env.now + self.link.block_s > until_s + 1e-9:
                return
            self.env.process(self.distil(block))
            if self._send_light is not None:
                with self.post.observer.work("light"):
                    self._send_light(self.emit(block))
            yield self.env.timeout(self.link.block_s)

    def emit(self, block: int) -> Train:
        """Prepare a block's light, and remember what it is; of pairs, keep one half."""
        link, protocol = self.link, self.link.protocol
        if protocol.entangled:
            mine, bobs = link.emitter.pairs(
                link.block_pulses, block, self.env.now, self.post.random("source")
            )
            self.env.process(self._keep(mine))
            return bobs
        light, record = link.emitter.prepare(
            protocol.states, protocol.alice_choice, link.block_pulses, block, self.env.now, self.post.random
        )
        self.keep(block, record)
        return light

    def _keep(self, mine: Train) -> Generator[simpy.Event, Any, None]:
        yield self.env.timeout(mine.duration_s)
        self.on_train(mine)

    def on_train(self, train: Train) -> None:
        """Measure her halves of the pairs."""
        self.keep(train.block, self.measure(train, self.link.protocol.alice_choice))

    def keep(self, block: int, record: Record) -> None:
        """Remember settings and outcomes of a block until Bob's detections come."""
        result = self.results.get(block)
        if result is None or result.end_s is None:
            self._record_of(block).succeed(record)

    def _record_of(self, block: int) -> simpy.Event:
        return self._records.setdefault(block, self.env.event())

    def _steps(self, session: Session, result: BlockResult) -> Generator[simpy.Event, Any, None]:
        link, protocol, ledger = self.link, self.link.protocol, result.ledger
        random, work = self.post.random, self.post.observer.work

        # Announce the block and the pads that will authenticate it.
        address = self._pads_address()
        session.tags = tags = self.post.pool.tags(address)
        ledger.authentication_spent_bits = self.post.pool.BITS_PER_BLOCK
        session.send(BlockStart(link.block_pulses, address))

        # Sift: keep what both measured alike; reveal a random sample.
        detections = yield from session.receive(Detections)
        record: Record = yield from session.wait(self._record_of(session.block))
        del self._records[session.block]
        result.reached_s += [result.start_s + link.block_s, self.env.now]
        with work("sifting"):
            slots = self.announced_slots(detections)
            if isinstance(record, Clicks):
                result.monitors = record.monitors
            mine = record.rounds(slots)
            held = mine.held
            settings, outcomes, hers = (
                pick(mine.settings, held),
                pick(mine.outcomes, held),
                pick(mine.intensities, held),
            )
            theirs, sent = (
                pick(detections.settings, held),
                protocol.sent(hers, pick(self.told_intensities(detections), held)),
            )
            key_rounds = protocol.key_rounds(settings, theirs)
            revealed = protocol.reveal(settings, theirs, link.test_fraction, random("sample"))
        seed = int(random("reconciliation").integers(2**62))
        session.send(
            Sifting(
                mine.held.view(np.uint8),
                settings,
                hers if protocol.alice_intensities > 1 else hers[:0],
                revealed.view(np.uint8),
                pick(outcomes, revealed),
                seed,
            )
        )

        # Estimate the errors.
        sample = yield from session.receive(Sample)
        result.reached_s.append(self.env.now)
        with work("sifting"):
            kept = key_rounds & ~revealed
            result.sifted_key = key = pick(outcomes, kept)
            self.account_sifting(result, len(settings), key_rounds, revealed)
            self.count_intensities(result, sent, key_rounds, settings)
            self.estimate(
                result,
                Revealed(
                    pick(settings, revealed),
                    pick(theirs, revealed),
                    pick(outcomes, revealed),
                    sample.outcomes,
                    pick(sent, revealed),
                ),
            )

        # Reconcile: help Bob until the hash of his key is that of hers.
        with work("reconciliation"):
            reference = link.reconciliation.reference(key, self.qber_of(result), seed)
        message = yield from self._reconcile(session, result, reference)
        result.reached_s.append(self.env.now)
        rounds = Kept(
            pick(settings, kept), pick(sent, kept), self.told_corrections(message, pick(sent, kept))
        )

        # Amplify: as much as the bound allows, through a random Toeplitz matrix.
        with work("amplification"):
            length = self.key_length(result, rounds)
            toeplitz_seed = random_bits(
                privacy_amplification.seed_length(len(key), length), random("amplification")
            )
            final = privacy_amplification.toeplitz(key, toeplitz_seed, length)
        announcement = self._announce(length, toeplitz_seed)
        session.send(announcement)

        # Authenticate all that was said, in both directions; then the key is key.
        session.send(TranscriptTagged(tags.own()))
        reply = yield from session.receive(TranscriptTagged)
        if not tags.fits(reply.tag):
            raise AbortBlock("authentication")
        result.eps_auth = tags.forgery_probability
        self.store(final, announcement, result)
        result.reached_s.append(self.env.now)
        session.send(Accepted(tags.acceptance()))
        result.key = final

    def _reconcile(
        self, session: Session, result: BlockResult, reference: Reference
    ) -> Generator[simpy.Event, Any, Verification]:
        """Answer Bob's questions until he has none; if the hashes differ then, help him to find where, once."""
        ledger, work = result.ledger, self.post.observer.work
        with work("reconciliation"):
            opening = reference.opening()
            self.account_reconciliation(ledger, reference)
        if opening is not None:
            session.send(opening)
        while True:
            message = yield from session.receive(*reference.asked, Verification)
            with work("reconciliation"):
                if isinstance(message, Verification):
                    self.account_verification(ledger, message.corrected, 8 * len(message.tag))
                    if self._verified(result.sifted_key, message):
                        return message
                    if not reference.may_tag:
                        raise AbortBlock("verification")
                    answer: Message = reference.frame_tags(self.post.random("verification"))
                    ledger.verification_bits += reference.tag_bits
                else:
                    result.rounds += 1
                    answer = self._answer(reference, message)
                    self.account_reconciliation(ledger, reference)
            session.send(answer)
            # Whoever has heard as many bits as the key has, asks on in vain: nothing would be left of it.
            if ledger.disclosed_parities + ledger.given_away_bits >= ledger.key_bits:
                raise AbortBlock("too_short")

    def store(self, final: NDArray[np.uint8], announcement: Amplification, result: BlockResult) -> None:
        """Put each part of the key where it was announced to go; her site issues the forward part."""
        authentication, forward, reverse = self.cut(final, announcement)
        self.post.pool.deposit(announcement.authentication_address, authentication)
        self.post.keys.deposit_incoming(announcement.reverse_address, reverse)
        self.post.keys.deposit_outgoing(announcement.forward_address, forward)
        self.account_delivery(result, len(authentication))

    def _pads_address(self) -> int:
        try:
            return self.post.pool.next_address()
        except KeyExhausted:
            raise AbortBlock("authentication_key_exhausted") from None

    def _verified(self, key: NDArray[np.uint8], message: Verification) -> bool:
        """Whether Bob's hash is of this key."""
        tag_bits = self.tag_bits(len(key))
        fits = len(message.hash_key) == verification.KEY_BYTES and 8 * len(message.tag) == tag_bits
        return fits and verification.tag(key, message.hash_key, tag_bits) == message.tag

    @staticmethod
    def _answer(reference: Reference, message: Message) -> Message:
        try:
            return reference.answer(message)
        except MalformedMessage:
            raise AbortBlock("malformed_message") from None

    def _announce(self, length: int, seed: NDArray[np.uint8]) -> Amplification:
        """Say where each part of the key goes; replenish the authentication pool first."""
        authentication_bits = self.post.pool.replenishment(length)
        forward_bits = round(self.link.forward_share * (length - authentication_bits))
        announcement = Amplification(
            length=length,
            seed=seed,
            authentication_bits=authentication_bits,
            authentication_address=self._next_authentication_address,
            forward_bits=forward_bits,
            forward_address=self._next_forward_address,
            reverse_address=self._next_reverse_address,
        )
        self._next_authentication_address += authentication_bits
        self._next_forward_address += forward_bits
        self._next_reverse_address += length - authentication_bits - forward_bits
        return announcement

    def on_envelope(self, envelope: Envelope) -> None:
        """A message of Bob's; those about blocks that are over, or not begun, are of no use to her."""
        session = self.sessions.get(envelope.session)
        if session is not None:
            session.deliver(envelope)

    def distil(self, block: int) -> Generator[simpy.Event, Any, None]:
        """From light to key: one block."""
        result = BlockResult(block, self.env.now, Ledger(pulses=self.link.block_pulses))
        yield from self.converse(self._steps, self.session(block), result)
        self._records.pop(block, None)
