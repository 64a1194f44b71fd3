"""One side of a conversation: tags over the transcript, order, patience, and what ends it."""

from __future__ import annotations

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.errors import KeyExhausted, KeyUnavailable
from netsim.messages import (
    Abort,
    Accepted,
    BlockStart,
    Detections,
    Envelope,
    Parities,
    Sample,
    TranscriptTagged,
)
from netsim.postprocessing.authentication import HASH_KEY_BITS, TAG_BITS
from netsim.random_streams import random_bits
from nodes.session import (
    ABORT_REASONS,
    AbortBlock,
    AuthenticationPool,
    ForgedTagKeys,
    NoTagKeys,
    NoTags,
    Session,
)

TIMEOUT_S = 0.5
BLOCK = AuthenticationPool.BITS_PER_BLOCK
HELLO, REPLY = Sample(np.array([0, 1, 1], np.uint8)), Parities(np.array([1, 0], np.uint8))


def pools(bits=4096, seed=1):
    """Alice's and Bob's pool from the same pre-shared key."""
    preshared = random_bits(bits, np.random.default_rng(seed))
    return AuthenticationPool(preshared, alice=True), AuthenticationPool(preshared, alice=False)


def tags(seed=1):
    """Alice's and Bob's tags of the same block."""
    return tuple(pool.tags(0) for pool in pools(seed=seed))


class Conversation:
    """A session whose peer is the test."""

    def __init__(self):
        self.env = simpy.Environment()
        self.sent = []
        self.session = Session(self.env, self.sent.append, "bob", "alice", 7, TIMEOUT_S)
        self.heard = []

    def listen(self, *kinds):
        """Receive one message of these kinds; note it, or why not, and when."""

        def process():
            try:
                message = yield from self.session.receive(*kinds)
            except AbortBlock as abort:
                self.heard.append((self.env.now, abort.reason, abort.told))
            else:
                self.heard.append((self.env.now, message.kind))

        self.env.process(process())

    def deliver(self, sequence, message, at_s=0.0):
        """A message of the peer's, or bytes that may be one, arrives."""
        body = message if isinstance(message, bytes) else message.encode()

        def process():
            yield self.env.timeout(at_s)
            self.session.deliver(Envelope("alice", "bob", 7, sequence, body))

        self.env.process(process())

    def outcome(self):
        """What was heard once nothing more happens."""
        self.env.run()
        return self.heard


def test_tags_fit_what_was_said():
    """Each side's tags fit at the other when both transcripts are the same, and the acceptance fits."""
    alice, bob = tags()
    for body in (b"one", b"two"):
        alice.said(body)
        bob.heard(body)
    bob.said(b"three")
    alice.heard(b"three")
    assert bob.fits(alice.own())
    assert alice.fits(bob.own())
    assert bob.acceptance_fits(alice.acceptance())


@given(
    said=st.lists(st.binary(max_size=20), max_size=4),
    heard=st.lists(st.binary(max_size=20), max_size=4),
)
def test_any_other_transcript_is_refused(said, heard):
    """A tag fits the very list of messages that was said: no change, order, split or join of it passes."""
    alice, bob = tags()
    for body in said:
        alice.said(body)
    for body in heard:
        bob.heard(body)
    assert bob.fits(alice.own()) == (said == heard)


@given(tag=st.binary(max_size=40))
def test_a_guessed_tag_never_passes(tag):
    """No guess is taken for a tag, whatever its length: a right one has probability 2^-128."""
    alice, bob = tags()
    assert not bob.fits(tag)
    assert not alice.acceptance_fits(tag)
    assert not alice.fits(tag)


def test_a_tag_serves_in_its_place_only():
    """Neither side's tag passes for the other's, nor for the acceptance: each has its own pad."""
    alice, bob = tags()
    mine, theirs, acceptance = alice.own(), bob.own(), alice.acceptance()
    assert len({mine, theirs, acceptance}) == 3
    assert not bob.acceptance_fits(mine)
    assert not bob.acceptance_fits(theirs)
    assert not bob.fits(theirs)
    assert not tags()[0].fits(mine)


def test_forgery_is_bounded_by_what_was_said():
    """The bound covers all three tags and grows with the transcripts; without tags nothing is promised."""
    alice, _ = tags()
    short = alice.forgery_probability
    alice.said(bytes(10**6))
    assert 3 * 8 * 2.0**-106 <= short < alice.forgery_probability < 1e-25
    assert NoTags().forgery_probability == 1.0


def test_pads_are_spent_once_and_by_both_alike():
    """Every block's pads are fresh; the same address serves once, at either side."""
    alice, bob = pools()
    addresses = []
    for _ in range(alice.target_bits // BLOCK):
        address = alice.next_address()
        addresses.append(address)
        assert alice.tags(address).own() == bob.tags(address)._heard.finish()
        for pool in (alice, bob):
            with pytest.raises(KeyUnavailable):
                pool.tags(address)
    assert addresses == [i * BLOCK for i in range(10)]
    with pytest.raises(KeyExhausted):
        alice.next_address()


def test_the_hash_key_is_no_pad():
    """The pads begin behind the hash key, and two pools of the same key hold the same pads."""
    preshared = random_bits(4096, np.random.default_rng(3))
    pool = AuthenticationPool(preshared, alice=True)
    assert pool.target_bits == 10 * BLOCK
    assert np.array_equal(pool.pads.take_at(0, BLOCK), preshared[HASH_KEY_BITS : HASH_KEY_BITS + BLOCK])


@pytest.mark.parametrize("offset", [1, 8, TAG_BITS, TAG_BITS + 1, BLOCK - TAG_BITS, -TAG_BITS])
def test_pads_cannot_be_made_to_overlap(offset):
    """An address between two blocks' pads, which only a forger would name, spends nothing."""
    _, bob = pools()
    before = bob.pads.available_bits
    with pytest.raises(KeyUnavailable):
        bob.tags(BLOCK + offset)
    assert bob.pads.available_bits == before


@given(bits=st.integers(HASH_KEY_BITS, 5000), spent=st.integers(0, 12), new_bits=st.integers(0, 6000))
def test_replenishment_is_whole_and_never_overfills(bits, spent, new_bits):
    """A pool takes whole blocks' pads out of what it is offered, up to what it started with."""
    pool, _ = pools(bits)
    for _ in range(min(spent, pool.target_bits // BLOCK)):
        pool.tags(pool.next_address())
    taken = pool.replenishment(new_bits)
    assert taken % BLOCK == 0
    assert 0 <= taken <= new_bits
    assert pool.pads.available_bits + taken <= pool.target_bits
    # It takes what it can: one block more would be too much.
    assert taken + BLOCK > min(new_bits, pool.target_bits - pool.pads.available_bits)


def test_a_gap_in_the_pool_costs_nothing():
    """Blocks that fail after their pads were announced leave gaps, and every bit that is there stays usable."""
    pool, _ = pools(HASH_KEY_BITS + 2 * BLOCK)
    fresh = random_bits(2 * BLOCK, np.random.default_rng(0))
    pool.deposit(3 * BLOCK, fresh[:BLOCK])
    pool.deposit(5 * BLOCK, fresh[BLOCK:])
    used = []
    for _ in range(4):
        used.append(pool.next_address())
        pool.tags(used[-1])
    assert used == [0, BLOCK, 3 * BLOCK, 5 * BLOCK]
    assert pool.pads.available_bits == 0


def test_without_authentication_nothing_is_spent_and_all_passes():
    """Such a link takes any tag, spends no key and keeps none."""
    keys = NoTagKeys()
    keys.deposit(0, np.zeros(100, np.uint8))
    empty = keys.tags(keys.next_address())
    assert keys.BITS_PER_BLOCK == keys.replenishment(10**6) == 0
    assert empty.own() == empty.acceptance() == b""
    assert empty.fits(b"anything")
    assert empty.acceptance_fits(b"anything")


def test_an_impostor_only_guesses():
    """What a forger without key offers as a tag has the right length and never fits."""
    forged = ForgedTagKeys(np.random.default_rng(0)).tags(0)
    for seed in range(200):
        alice, bob = tags(seed)
        assert len(forged.own()) * 8 == TAG_BITS
        assert not alice.fits(forged.own())
        assert not bob.acceptance_fits(forged.acceptance())


def test_messages_are_numbered_and_enter_the_transcript():
    """What is said is numbered in order; tags, acceptances and aborts are not part of what they vouch for."""
    talk = Conversation()
    alice, talk.session.tags = tags()
    for message in (HELLO, REPLY):
        talk.session.send(message)
        alice.heard(message.encode())
    for message in (TranscriptTagged(b""), Accepted(b""), Abort("qber")):
        talk.session.send(message)
    assert [envelope.sequence for envelope in talk.sent] == [0, 1, 2, 3, 4]
    assert {(e.sender, e.receiver, e.session) for e in talk.sent} == {("bob", "alice", 7)}
    assert alice.fits(talk.session.tags.own())


def test_what_is_heard_enters_the_transcript():
    """The peer's messages are hashed as they came, its tag is not."""
    talk = Conversation()
    alice, talk.session.tags = tags()
    for sequence, message in enumerate((HELLO, REPLY, TranscriptTagged(b"x"))):
        talk.deliver(sequence, message)
        talk.listen(type(message))
    assert talk.outcome() == [(0.0, "sample"), (0.0, "parities"), (0.0, "tag")]
    alice.said(HELLO.encode())
    alice.said(REPLY.encode())
    assert talk.session.tags.fits(alice.own())


def test_old_messages_are_ignored():
    """A duplicate, or a message older than the last, is as if it had not come."""
    talk = Conversation()
    for sequence, message in ((0, HELLO), (0, REPLY), (-1, REPLY), (2, REPLY), (1, HELLO), (2, HELLO)):
        talk.deliver(sequence, message)
    talk.listen(Sample)
    talk.listen(Parities)
    talk.listen(Sample, Parities)
    assert talk.outcome() == [(0.0, "sample"), (0.0, "parities"), (TIMEOUT_S, "timeout", False)]


def test_messages_wait_for_the_listener():
    """What arrives early is kept in order, whatever else is being done."""
    talk = Conversation()
    talk.deliver(0, HELLO, at_s=0.1)
    talk.deliver(1, REPLY, at_s=0.2)
    talk.env.run(until=10.0)
    talk.listen(Sample)
    talk.listen(Parities)
    assert talk.outcome() == [(10.0, "sample"), (10.0, "parities")]


@pytest.mark.parametrize(
    ("arrival_s", "outcome"),
    [
        (0.0, (0.0, "sample")),
        (0.49, (0.49, "sample")),
        (0.51, (TIMEOUT_S, "timeout", False)),
    ],
)
def test_patience_ends(arrival_s, outcome):
    """A message counts up to the timeout, and not after."""
    talk = Conversation()
    talk.deliver(0, HELLO, arrival_s)
    talk.listen(Sample)
    assert talk.outcome() == [outcome]


def test_a_late_message_is_still_there_for_the_next():
    """A timeout takes nothing from the inbox: no message falls into a dead listener's hands."""
    talk = Conversation()
    talk.listen(Sample)
    talk.env.run(until=1.0)
    talk.deliver(0, HELLO)
    talk.listen(Sample)
    assert talk.outcome() == [(TIMEOUT_S, "timeout", False), (1.0, "sample")]


@settings(deadline=None)
@given(body=st.binary(max_size=60))
def test_no_bytes_do_more_than_end_the_block(body):
    """Whatever bytes come, the listener gets a message of the kind it asked for, or gives up for a known reason."""
    talk = Conversation()
    talk.deliver(0, body)
    talk.listen(BlockStart)
    ((_, outcome, *_),) = talk.outcome()
    assert outcome in ("start", *ABORT_REASONS)


@pytest.mark.parametrize("kind", [Detections, Accepted, TranscriptTagged])
def test_the_wrong_kind_ends_the_block(kind):
    """A message that is not due is as good as garbage."""
    talk = Conversation()
    talk.deliver(0, HELLO)
    talk.listen(kind)
    assert talk.outcome() == [(0.0, "malformed_message", False)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"\xff" * 9,
        HELLO.encode()[:-1],
        HELLO.encode() + b"\x00",
        b"\x04" + bytes(7) + b"\x03\xff",
    ],
    ids=["empty", "unknown kind", "unknown kind, long", "cut short", "too long", "padding not zero"],
)
def test_a_malformed_message_ends_the_block(body):
    """Bytes that are no message, or no canonical one, end the block."""
    talk = Conversation()
    talk.deliver(0, body)
    talk.listen(Sample)
    assert talk.outcome() == [(0.0, "malformed_message", False)]


@pytest.mark.parametrize(
    ("said", "reason"), [*zip(ABORT_REASONS, ABORT_REASONS, strict=True), ("<script>", "malformed_message")]
)
def test_the_peers_abort_ends_the_block(said, reason):
    """The peer's reason is taken over if it is one, and it need not be told."""
    talk = Conversation()
    talk.deliver(0, Abort(said))
    talk.listen(Sample)
    assert talk.outcome() == [(0.0, reason, True)]


def test_every_block_has_other_pads():
    """Tags over the same transcript differ from block to block: what Eve collects does not repeat."""
    pool, _ = pools()
    assert len({pool.tags(i * BLOCK).own() for i in range(10)}) == 10
