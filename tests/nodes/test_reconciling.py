"""Reconciliation between the parties: frames that no code mends are given away and counted, and nobody hangs."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest

from netsim import messages
from netsim.errors import MalformedMessage
from netsim.messages import decode
from netsim.postprocessing import cascade_plan, ldpc
from netsim.postprocessing.reconciliation import CascadeCorrection, LDPCCorrection, Reconciliation
from netsim.protocols.protocol import AbortThresholds
from tests.nodes.harness import Link, account, replacing

CODES = ["cascade", "cascade-original", "ldpc"]


@pytest.fixture(autouse=True)
def _small_frames(monkeypatch):
    """Keys of a few thousand bits have several frames."""
    monkeypatch.setattr(cascade_plan, "LARGEST_FRAME_BITS", 640)


def frames_of(link: Link) -> int:
    """How many frames the first block's key was cut into."""
    n = link.alice.results[0].ledger.key_bits
    return -(-n // 640)


def careless(monkeypatch, wrong: set[int], *, every_time: bool = False) -> None:
    """Bob leaves one wrong bit in these frames, and does not notice."""
    honest = CascadeCorrection._corrected.fget

    def corrected(self):
        bits = honest(self).copy()
        for frame in wrong:
            if frame not in self._known or every_time:
                bits[frame * self._frames.frame_bits + 5] ^= 1
        return bits

    monkeypatch.setattr(CascadeCorrection, "_corrected", property(corrected))


def assert_accounted(link: Link) -> None:
    """Both ledgers say what crossed the wire, and the keys are equal."""
    mine, theirs = link.alice.results[0], link.bob.results[0]
    assert mine.ledger == theirs.ledger
    assert mine.ledger.imbalance() == 0
    expected = account(link, 0)
    assert {name: getattr(mine.ledger, name) for name in expected} == expected
    assert np.array_equal(mine.key, theirs.key)
    assert len(mine.key) > 0
    link.assert_settled()
    link.assert_no_unequal_keys()


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("misalignment", [0.0, 0.02])
def test_every_code_gives_equal_keys_and_an_account(code, misalignment):
    """Whatever the code and with errors or none, keys are equal and each disclosed bit is in the ledger."""
    link = Link(
        pulses=60_000, misalignment=misalignment, code=code, thresholds=AbortThresholds(0.2), timeout_s=1.0
    ).run(1)
    assert link.reasons == [("", "")]
    assert_accounted(link)
    assert link.bob.results[0].rounds == link.alice.results[0].rounds


def test_frames_that_differ_are_found_and_given_away(monkeypatch):
    """Two frames with an error that Bob overlooks are named by their tags, told in the open, and charged in full."""
    careless(monkeypatch, {1, 4})
    link = Link(pulses=24_000, misalignment=0.02, test_fraction=0.3, timeout_s=1.0).run(1)
    assert link.reasons == [("", "")]
    (tags,), (wanted,), (told,) = (
        link.wire.about(0, kind) for kind in ("frame-tags", "frames-wanted", "frame-bits")
    )
    assert len(tags.tags) == 4 * frames_of(link)
    assert wanted.frames.tolist() == [1, 4]
    ledger = link.alice.results[0].ledger
    assert ledger.given_away_bits == len(told.bits) == 2 * len(told.bits[: len(told.bits) // 2])
    assert ledger.verification_bits > 8 * len(tags.tags)
    assert len(link.wire.about(0, "verification")) == 2
    assert_accounted(link)
    # The bound was given all of it: with nothing to give away the key is longer by at least as much.
    monkeypatch.undo()
    monkeypatch.setattr(cascade_plan, "LARGEST_FRAME_BITS", 640)
    clean = Link(pulses=24_000, misalignment=0.02, test_fraction=0.3, timeout_s=1.0).run(1)
    longer = len(clean.alice.results[0].key) - len(link.alice.results[0].key)
    assert longer >= ledger.given_away_bits + 8 * len(tags.tags)


def test_frames_that_ldpc_cannot_decode_are_given_away(monkeypatch):
    """Bob knows which frames he could not decode: he asks for them before he sends a hash, and no tags are needed."""
    monkeypatch.setattr(ldpc, "LARGEST_FRAME_BITS", 640)
    monkeypatch.setattr(LDPCCorrection, "_lost", lambda _: np.array([0, 2], np.int64))
    link = Link(pulses=24_000, misalignment=0.01, test_fraction=0.3, code="ldpc", timeout_s=1.0).run(1)
    assert link.reasons == [("", "")]
    assert not link.wire.about(0, "frame-tags")
    (wanted,), (told,) = link.wire.about(0, "frames-wanted"), link.wire.about(0, "frame-bits")
    assert wanted.frames.tolist() == [0, 2]
    assert link.alice.results[0].ledger.given_away_bits == len(told.bits) > 0
    assert_accounted(link)


def test_what_stays_unequal_is_not_key(monkeypatch):
    """Errors that come back after frames were given away end the block: tags of the frames are sent once only."""
    careless(monkeypatch, {2}, every_time=True)
    honest = CascadeCorrection.receive

    def forgetful(self, message):
        honest(self, message)
        self._given = None

    monkeypatch.setattr(CascadeCorrection, "receive", forgetful)
    link = Link(pulses=24_000, misalignment=0.02, timeout_s=1.0).run(1)
    assert link.reasons == [("verification", "verification")]
    assert len(link.wire.about(0, "frame-tags")) == 1
    link.assert_settled()


def test_a_key_that_differs_everywhere_is_not_given_away(monkeypatch):
    """Where every frame differs nothing would be left: the block ends, and no bit is told."""
    careless(monkeypatch, set(range(100)))
    monkeypatch.setattr(
        CascadeCorrection,
        "_corrected",
        property(lambda self: self._corrector.bits ^ np.uint8(1)),
    )
    link = Link(pulses=24_000, timeout_s=1.0).run(1)
    assert link.reasons == [("verification", "verification")]
    assert not link.wire.about(0, "frames-wanted")
    assert not link.wire.about(0, "frame-bits")


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("frames-wanted", {"frames": np.array([1, 1])}, "malformed_message"),
        ("frames-wanted", {"frames": np.array([4, 1])}, "malformed_message"),
        ("frames-wanted", {"frames": np.array([10_000])}, "malformed_message"),
        ("frames-wanted", {"frames": np.empty(0, np.int64)}, "malformed_message"),
        ("frame-bits", {"bits": lambda bits: bits[1:]}, "malformed_message"),
        ("frame-bits", {"bits": lambda bits: 1 - bits}, "verification"),
        ("frame-tags", {"tags": b"short"}, "malformed_message"),
        ("frame-tags", {"hash_key": b"short"}, "malformed_message"),
        ("frame-tags", {"tags": lambda tags: bytes(len(tags))}, "verification"),
    ],
)
def test_garbage_about_frames_ends_the_block(monkeypatch, kind, changes, reason):
    """Whatever Eve makes of these messages, the block ends with a reason, on both sides, and gives no key."""
    careless(monkeypatch, {1, 4})
    link = replacing(Link(pulses=24_000, misalignment=0.02, timeout_s=1.0), kind, **changes).run(1)
    assert link.reasons == [(reason, reason)]
    link.assert_settled()
    assert link.keys[0].outgoing.deposited_bits == 0


@pytest.mark.parametrize("kind", ["syndromes", "syndromes-wanted"])
def test_garbage_instead_of_syndromes_ends_the_block(kind):
    """Syndromes of another length are refused by Bob."""
    link = Link(pulses=24_000, misalignment=0.02, code="ldpc", timeout_s=1.0)
    changes = {"bits": lambda bits: bits[:-1]} if kind == "syndromes" else {"frames": np.array([10_000])}
    replacing(link, kind, **changes).run(1)
    if link.wire.about(0, kind):
        assert link.reasons == [("malformed_message", "malformed_message")]
    link.assert_settled()


OTHERS = (
    messages.Sample(np.array([0, 1], np.uint8)),
    messages.Parities(np.array([1], np.uint8)),
    messages.FrameBits(np.array([1], np.uint8)),
    messages.FrameTags(bytes(80), bytes(4)),
    messages.Verification(bytes(80), bytes(8), np.empty(0, np.int64)),
    messages.ParityQuestions(np.zeros(1, np.uint8), np.zeros(1, np.int64), np.ones(1, np.int64)),
    messages.BlockStart(1, 0),
)


@pytest.mark.parametrize(
    "kind", ["amplification", "tag", "accepted", "verification", "parities", "questions"]
)
@pytest.mark.parametrize("other", OTHERS, ids=lambda message: message.kind)
def test_another_kind_of_message_in_its_place_ends_the_block(kind, other):
    """Whatever Eve puts in the place of a message, also behind the tags, the block ends and nothing else does."""
    link = Link(pulses=3000, misalignment=0.02)

    def meddle(frame, envelope):
        if decode(envelope.body).kind == kind and kind != other.kind:
            frame.data = dataclasses.replace(envelope, body=other.encode()).encode()

    link.wire.meddle = meddle
    link.run(3)
    link.assert_settled()
    link.assert_no_unequal_keys()


@pytest.mark.parametrize("code", ["cascade", "ldpc"])
@pytest.mark.parametrize("empty", [True, False])
def test_nobody_can_ask_for_ever(code, empty):
    """Questions for nothing are refused, and as many bits as the key has end the block: Alice is not kept busy for ever."""
    link = Link(pulses=6000, code=code, timeout_s=0.05)
    if code == "cascade":
        none = np.empty(0, np.int64) if empty else np.zeros(1, np.int64)
        question = messages.ParityQuestions(none.astype(np.uint8), none, none + 1)
    else:
        question = messages.SyndromesWanted(np.empty(0, np.int64) if empty else np.zeros(1, np.int64))

    def ask():
        yield link.env.timeout(0.007)
        for number in range(100, 40_000):
            if 0 not in link.alice.sessions:
                return
            link.alice.on_envelope(messages.Envelope("bob", "alice", 0, number, question.encode()))
            yield link.env.timeout(0.001)

    # Nothing of Bob's after the sample arrives.
    link.wire.meddle = lambda frame, envelope: (
        setattr(frame, "fate", "dropped")
        if decode(envelope.body).kind in ("questions", "verification")
        else None
    )
    link.env.process(ask())
    link.run(1, settle_s=60.0)
    link.assert_settled()
    reason = link.alice.results[0].reason
    assert reason == ("too_short" if code == "cascade" and not empty else "malformed_message")


@pytest.mark.parametrize("code", ["cascade", "ldpc"])
def test_what_was_disclosed_before_a_block_ended_stands_in_its_ledger(code):
    """A block that times out in verification has given no key, and its ledgers say what crossed the wire all the same."""
    link = Link(pulses=24_000, misalignment=0.02, code=code)
    link.wire.meddle = lambda frame, envelope: (
        setattr(frame, "fate", "dropped") if decode(envelope.body).kind == "verification" else None
    )
    link.run(1)
    crossed = sum(len(message.parities) for message in link.wire.about(0, "parities"))
    crossed += sum(len(message.bits) for message in link.wire.about(0, "syndromes"))
    assert link.reasons == [("timeout", "timeout")]
    for party in (link.alice, link.bob):
        assert party.results[0].ledger.disclosed_parities == crossed > 0


def test_an_absurd_list_of_frames_is_refused_at_once():
    """A list of more frames than there are costs nothing to refuse."""
    reference = Reconciliation("cascade").reference(np.zeros(2000, np.uint8), 0.01, 1)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage, match="got 2000000"):
            reference.answer(messages.FramesWanted(np.arange(2_000_000)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 17_000_000  # its own 16 MB


def test_a_reserve_of_authentication_key_is_left():
    """Blocks whose tags are disputed spend the pool down to its reserve, and no further."""
    link = Link(pulses=2000, preshared=128 + 5 * 384, reserve=2 * 384)
    replacing(link, "tag", tag=bytes(16)).run(8)
    pool = link.pools[0]
    assert [mine for mine, _ in link.reasons][:3] == ["authentication"] * 3
    assert [mine for mine, _ in link.reasons][3:] == ["authentication_key_exhausted"] * 5
    assert pool.pads.available_bits == pool.lowest_bits == 2 * 384


def test_a_reserve_never_keeps_the_last_pads_from_the_first_block():
    """A pool of one block's pads makes its first block whatever the reserve, and lives on from that."""
    link = Link(pulses=3000, preshared=128 + 384, reserve=4096, rate_hz=1e4).run(3)
    assert link.reasons[0] == link.reasons[-1] == ("", "")
