"""What Alice's and Bob's sides of a block share: sessions, bookkeeping, and how a block ends."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.keys.ledger import Ledger
from netsim.messages import Abort, Amplification, Detections, Verification
from netsim.photonics.record import Clicks
from netsim.photonics.train import Choice, Train
from netsim.postprocessing import verification
from netsim.postprocessing.reconciliation import Correction, Reference
from netsim.protocols.protocol import Kept, Revealed
from netsim.rows import pick, tally
from nodes.link import BlockResult, LinkParameters, Post
from nodes.monitors import counters
from nodes.session import AbortBlock, Session
from nodes.telemetry import Telemetry


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
                self.env,
                post.send,
                post.name,
                post.peer,
                block,
                self.link.timeout_s + self.link.block_s,
                post.observer.work,
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

    def measure(self, train: Train, choice: Choice, where: slice | None = None) -> Clicks:
        """Detect a train, or a part of it."""
        with self.post.observer.work("light"):
            return self.link.receiver.detect(
                train,
                choice,
                self.post.random("detector"),
                where,
                keep_lost=self.link.protocol.keeps_lost,
            )

    def announced_slots(self, detections: Detections) -> NDArray[np.int64]:
        """Which slots a message of detections names.

        Raises:
            AbortBlock: the message does not fit this link.
        """
        slots, kinds = detections.slots, self.link.protocol.bob_intensities
        fits = (
            len(slots) == len(detections.settings)
            and len(detections.intensities) == (len(slots) if kinds > 1 else 0)
            and bool(np.all(detections.intensities < kinds))
            and (not len(slots) or int(slots[-1]) < self.link.block_pulses)
            and bool(np.all(detections.settings < len(self.link.protocol.bob_angles)))
        )
        if not fits:
            raise AbortBlock("malformed_message")
        return slots

    @staticmethod
    def told_intensities(detections: Detections) -> NDArray[np.uint8]:
        """uint8[clicks], which intensity Bob sent with each; 0 where he does not send."""
        told = detections.intensities
        return told if len(told) else np.zeros_like(detections.settings)

    @staticmethod
    def account_sifting(
        result: BlockResult, detections: int, key_rounds: NDArray[np.bool_], revealed: NDArray[np.bool_]
    ) -> None:
        """Enter detections, sifted and tested bits."""
        ledger = result.ledger
        ledger.detections = detections
        ledger.sifted_bits = int(np.count_nonzero(key_rounds))
        ledger.test_bits = int(np.count_nonzero(key_rounds & revealed))
        ledger.key_bits = ledger.sifted_bits - ledger.test_bits

    def count_intensities(
        self,
        result: BlockResult,
        sent: NDArray[np.uint8],
        key_rounds: NDArray[np.bool_],
        settings: NDArray[np.uint8],
    ) -> None:
        """Count detections by intensity, and sifted ones by setting and intensity. All arrays of one entry per detection."""
        kinds, bases = len(self.link.protocol.intensities), len(self.link.protocol.alice_angles)
        result.detected = tuple(tally(sent, kinds).tolist())
        cells = np.uint8(bases * kinds)
        cell = (
            settings * np.uint8(kinds) + sent + cells * (~key_rounds).view(np.uint8)
        )  # others lie beyond all cells
        result.sifted = tuple(map(tuple, tally(cell, int(cells)).reshape(bases, kinds).tolist()))

    def estimate(self, result: BlockResult, revealed: Revealed) -> None:
        """Compare what was revealed.

        Raises:
            AbortBlock: too many errors, too little entanglement, or nothing to compare.
        """
        if len(revealed.alice_outcomes) != len(revealed.bob_outcomes) or len(revealed.alice) != len(
            revealed.alice_outcomes
        ):
            raise AbortBlock("malformed_message")
        result.estimate = self.link.protocol.estimate(revealed)
        alarmed = self.watch(result)
        reason = self.link.protocol.reason_to_abort(result.estimate, self.link.thresholds)
        if reason is None and alarmed and self.link.thresholds.alarm:
            reason = "alarm"
        if reason is not None:
            raise AbortBlock(reason)

    def watch(self, result: BlockResult) -> bool:
        """Show the block's counters to the alarm, if there is one; whether one stands."""
        alarm, observer = self.post.alarm, self.post.observer
        if alarm is None:
            return False
        telemetry = self.telemetry(result)
        for seen in alarm.observe(telemetry):
            observer.alarm(self.post.name, f"telemetry: {seen.counter} {seen.change}")
        return bool(alarm.standing)

    def telemetry(self, result: BlockResult) -> Telemetry:
        """What this side may know of a block without touching a key bit."""
        link, estimate = self.link, result.estimate
        assert estimate is not None  # noqa: S101  estimation comes first
        counts: dict[str, tuple[int, int]] = {}
        names = link.protocol.intensities
        for name, detected in zip(names, result.detected, strict=True):
            counts[f"gain {name}".strip()] = (detected, link.block_pulses)
        for basis in estimate.bases if not estimate.intensities else ():
            counts[f"qber {basis.basis}"] = (basis.errors, basis.tested)
        for cell in estimate.intensities:
            counts[f"qber {cell.basis} {cell.intensity}"] = (cell.errors, cell.tested)
        if result.monitors is not None:
            counts.update(counters(result.monitors))
            if not link.receiver.attenuated_share:
                del counts["attenuated"]
        if self.post.entrance is not None:
            counts.update(self.post.entrance.counters(result.start_s, link.block_pulses))
        return Telemetry(result.block, self.env.now, counts)

    def corrections(
        self, sent: NDArray[np.uint8], key: NDArray[np.uint8], raw: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """How many errors were found at each intensity, where the key length asks for it; int64[intensities], or empty."""
        protocol = self.link.protocol
        if not protocol.counts_corrections:
            return np.empty(0, dtype=np.int64)
        return tally(pick(sent, key != raw), len(protocol.intensities))

    def told_corrections(self, message: Verification, sent: NDArray[np.uint8]) -> NDArray[np.int64]:
        """What Bob says he found.

        Raises:
            AbortBlock: he cannot have.
        """
        protocol = self.link.protocol
        kinds = len(protocol.intensities) if protocol.counts_corrections else 0
        most = tally(sent, kinds)
        if len(message.corrected) != kinds or bool(np.any(message.corrected > most)):
            raise AbortBlock("malformed_message")
        return message.corrected

    @staticmethod
    def account_verification(ledger: Ledger, found: NDArray[np.int64], tag_bits: int) -> None:
        """Enter what was disclosed to know whether the two keys are equal, and how many errors there were."""
        ledger.verification_bits += tag_bits
        ledger.disclosed_counts += Verification.COUNT_BITS * len(found)

    @staticmethod
    def account_reconciliation(ledger: Ledger, side: Reference | Correction) -> None:
        """Enter what was disclosed to make the two keys equal."""
        ledger.disclosed_parities = side.disclosed_bits
        ledger.given_away_bits = side.given_away_bits

    def tag_bits(self, key_bits: int) -> int:
        """The length of a verification tag; each of two attempts may let unequal keys pass."""
        return verification.tag_length(key_bits, self.link.security.eps_cor / 2)

    @staticmethod
    def qber_of(result: BlockResult) -> float:
        """The estimated error rate."""
        assert result.estimate is not None  # noqa: S101  estimation comes first, or the block is aborted
        return result.estimate.key_qber

    def key_length(self, result: BlockResult, kept: Kept) -> int:
        """The length of the final key, from the ledger.

        Raises:
            AbortBlock: there is none.
        """
        assert result.estimate is not None  # noqa: S101  estimation comes first, or the block is aborted
        ledger = result.ledger
        bound = self.link.protocol.key_length(
            kept,
            result.estimate,
            ledger.told_bits,
            ledger.verification_bits,
            self.link.security,
        )
        result.bound = bound
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
