"""What Alice's and Bob's sides of a block share: sessions, bookkeeping, and how a block ends."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.messages import Abort, Amplification, Detections
from netsim.photonics.train import Train
from netsim.protocols.protocol import Record
from nodes.link import BlockResult, LinkParameters, Post
from nodes.session import AbortBlock, Session


class Party:
    """One end of the link.

    Args:
        post: where it stands.
        link: what the two have agreed on.
    """

    def __init__(self, post: Post, link: LinkParameters) -> None:
        self.post = post
        self.link = link
        self.env = post.env
        self.sessions: dict[int, Session] = {}
        self.results: dict[int, BlockResult] = {}

    def session(self, block: int) -> Session:
        """The conversation about a block, opened if there is none."""
        if block not in self.sessions:
            post = self.post
            self.sessions[block] = Session(
                self.env, post.send, post.name, post.peer, block, self.link.timeout_s + self.link.block_s
            )
        return self.sessions[block]

    def converse(
        self,
        steps: Callable[[Session, BlockResult], Generator[simpy.Event, Any, None]],
        session: Session,
        result: BlockResult,
    ) -> Generator[simpy.Event, Any, None]:
        """Go through a block's steps, and record how it ended."""
        self.results[session.block] = result
        try:
            yield from steps(session, result)
            result.accepted = True
        except AbortBlock as abort:
            result.reason = abort.reason
            if not abort.told:
                session.send(Abort(abort.reason))
            # Also when told: whoever forges an abort to each side must not go unnoticed by both.
            self.post.observer.alarm(self.post.name, abort.reason)
            result.ledger.void()
        if session.tags is not None and self.post.pool.close(
            session.tags, disputed=result.reason == "authentication"
        ):
            result.ledger.authentication_spent_bits = 0
        result.end_s = self.env.now
        del self.sessions[session.block]
        self.post.observer.event(
            self.post.name,
            "block_accepted" if result.accepted else "block_aborted",
            block=session.block,
            reason=result.reason,
        )

    def measure(
        self, train: Train, settings: NDArray[np.uint8], angles: NDArray[np.uint8], where: slice | None = None
    ) -> Record:
        """Detect a train, or a part of it, with the given settings. uint8[m] indices into `angles`."""
        clicks = self.link.receiver.detect(train, angles[settings], self.post.random("detector"), where)
        outcomes = np.zeros(len(settings), dtype=np.uint8)
        outcomes[clicks.slots] = clicks.outcomes
        clicked = np.full(len(settings), self.link.protocol.keeps_lost)
        clicked[clicks.slots] = True
        return Record(settings, outcomes, clicked)

    def announced_slots(self, detections: Detections) -> NDArray[np.int64]:
        """Which slots a message of detections names.

        Raises:
            AbortBlock: the message does not fit this link.
        """
        slots = np.flatnonzero(detections.clicked)
        fits = (
            len(detections.clicked) == self.link.block_pulses
            and len(slots) == len(detections.settings)
            and bool(np.all(detections.settings < len(self.link.protocol.bob_angles)))
        )
        if not fits:
            raise AbortBlock("malformed_message")
        return slots

    @staticmethod
    def account_sifting(
        result: BlockResult, detections: int, key_rounds: NDArray[np.bool_], revealed: NDArray[np.bool_]
    ) -> None:
        """Enter detections, sifted and tested bits."""
        ledger = result.ledger
        ledger.detections = detections
        ledger.sifted_bits = int(np.sum(key_rounds))
        ledger.test_bits = int(np.sum(key_rounds & revealed))
        ledger.key_bits = ledger.sifted_bits - ledger.test_bits

    def estimate(
        self,
        result: BlockResult,
        alice: NDArray[np.uint8],
        bob: NDArray[np.uint8],
        alice_outcomes: NDArray[np.uint8],
        bob_outcomes: NDArray[np.uint8],
    ) -> None:
        """Compare what was revealed.

        Raises:
            AbortBlock: too many errors, too little entanglement, or nothing to compare.
        """
        if len(alice_outcomes) != len(bob_outcomes) or len(alice) != len(alice_outcomes):
            raise AbortBlock("malformed_message")
        result.estimate = self.link.protocol.estimate(alice, bob, alice_outcomes, bob_outcomes)
        reason = self.link.protocol.reason_to_abort(result.estimate, self.link.thresholds)
        if reason is not None:
            raise AbortBlock(reason)

    @staticmethod
    def qber_of(result: BlockResult) -> float:
        """The estimated error rate."""
        assert result.estimate is not None  # noqa: S101  estimation comes first, or the block is aborted
        return result.estimate.qber or 0.0

    def key_length(self, result: BlockResult, key_settings: NDArray[np.uint8]) -> int:
        """The length of the final key, from the ledger.

        Raises:
            AbortBlock: there is none.
        """
        assert result.estimate is not None  # noqa: S101  estimation comes first, or the block is aborted
        ledger = result.ledger
        bound = self.link.protocol.key_length(
            key_settings,
            result.estimate,
            ledger.disclosed_parities,
            ledger.verification_bits,
            self.link.security,
        )
        result.phase_error_bound = bound.phase_error_bound
        if bound.length <= 0:
            raise AbortBlock("too_short")
        ledger.secret_bits = bound.length
        ledger.amplification_bits = ledger.key_bits - ledger.leak_ec_bits - bound.length
        return bound.length

    @staticmethod
    def account_delivery(result: BlockResult, authentication_bits: int) -> None:
        """Enter where the key went."""
        ledger = result.ledger
        ledger.authentication_replenished_bits = authentication_bits
        ledger.delivered_bits = ledger.secret_bits - authentication_bits

    @staticmethod
    def cut(
        final: NDArray[np.uint8], announcement: Amplification
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """The final key's parts: for authentication, for Alice's site to issue, for Bob's."""
        at = announcement.authentication_bits
        authentication, forward, reverse = np.split(final, [at, at + announcement.forward_bits])
        return authentication, forward, reverse
