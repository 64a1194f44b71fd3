"""Alice and Bob together: one block's story, the account of its bits, and how a block ends when something goes wrong."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest

from netsim.messages import Abort, Amplification, BlockStart, Envelope, Sifting, decode
from netsim.protocols.bb84 import BB84
from netsim.protocols.e91 import E91
from netsim.protocols.protocol import AbortThresholds, Security
from netsim.window import Window
from nodes.attacks.classical import Impersonate
from nodes.session import ABORT_REASONS, AuthenticationPool
from tests.nodes.harness import Link, Meddler, account, contents, replacing
from tests.statistics import assert_binomial

PADS = AuthenticationPool.BITS_PER_BLOCK
E91_PULSES = 8000
"""Enough for key at the ε of these tests."""


def e91(**keywords):
    """An E91 link that gives key."""
    return Link(E91(), pulses=E91_PULSES, **keywords)


def story(link, block=0):
    """The block's messages as Eve's tap sees them: (microseconds, sender, kind), a reconciliation round as one entry."""
    told = []
    for seen in link.wire.seen:
        envelope = seen.envelope
        if envelope.session != block:
            continue
        entry = (round(1e6 * seen.t_s), envelope.sender, seen.message.kind)
        if entry[2] in ("questions", "parities") and any(entry[1:] == earlier[1:] for earlier in told):
            continue
        told.append(entry)
    return told


def test_the_story_of_a_bb84_block():
    """A block of BB84 over 20 km, Eve's tap at 8 km: who says what, and when it passes her."""
    link = Link(pulses=2000, length_km=20.0, attenuation=0.0, eve_km=8.0, bandwidth_bps=1e15).run(1)
    # The train leaves during 2000 µs and flies for 100; every message takes 100 µs from end to end. A frame passes the
    # taps on its route in the moment it is sent. Reconciliation here takes four rounds of 200 µs.
    assert story(link) == [
        (0, "alice", "start"),
        (2100, "bob", "detections"),
        (2200, "alice", "sifting"),
        (2300, "bob", "sample"),
        (2300, "bob", "questions"),
        (2400, "alice", "parities"),
        (3100, "bob", "verification"),
        (3200, "alice", "amplification"),
        (3200, "alice", "tag"),
        (3300, "bob", "tag"),
        (3400, "alice", "accepted"),
    ]
    assert link.alice.results[0].rounds == link.bob.results[0].rounds == 4
    assert [round(1e6 * r.end_s) for r in (link.alice.results[0], link.bob.results[0])] == [3400, 3500]


def test_the_story_of_an_e91_block():
    """A block of E91 with the source in the middle: no light of Alice's, her own clicks, and the same conversation."""
    link = e91(length_km=20.0, middle=True, attenuation=0.0, eve_km=8.0, bandwidth_bps=1e15).run(1)
    assert story(link) == [
        (0, "alice", "start"),
        (8050, "bob", "detections"),
        (8150, "alice", "sifting"),
        (8250, "bob", "sample"),
        (8250, "bob", "questions"),
        (8350, "alice", "parities"),
        (9050, "bob", "verification"),
        (9150, "alice", "amplification"),
        (9150, "alice", "tag"),
        (9250, "bob", "tag"),
        (9350, "alice", "accepted"),
    ]
    link.assert_settled()
    assert link.alice.results[0].accepted


def test_order_of_the_deposits():
    """Bob holds what Alice may issue before she may, Alice holds what Bob may issue before he may."""
    link = Link(length_km=20.0, attenuation=0.0)
    deposits = []
    for name, kme in zip(("alice", "bob"), link.keys, strict=True):
        for way in ("outgoing", "incoming"):
            store = getattr(kme, way)

            def deposit(address, bits, name=name, way=way, original=store.deposit):
                deposits.append((round(1e6 * link.env.now), name, way, address, len(bits)))
                original(address, bits)

            store.deposit = deposit
    link.run(1)
    times = {(name, way): t for t, name, way, _, _ in deposits}
    assert [(name, way) for _, name, way, _, _ in deposits] == [
        ("bob", "incoming"),
        ("alice", "incoming"),
        ("alice", "outgoing"),
        ("bob", "outgoing"),
    ]
    assert times["bob", "incoming"] < times["alice", "outgoing"] < times["bob", "outgoing"]
    places = {(name, way): (address, size) for _, name, way, address, size in deposits}
    assert places["bob", "incoming"] == places["alice", "outgoing"]
    assert places["alice", "incoming"] == places["bob", "outgoing"]


def test_the_next_train_flies_while_the_last_is_processed():
    """Blocks overlap: block 1 is under way at Bob's before block 0 has given key, and both give key."""
    link = Link(length_km=100.0, attenuation=0.0, pulses=2000).run(4)
    starts = [link.alice.results[b].start_s for b in range(4)]
    assert starts == pytest.approx([0.0, 0.002, 0.004, 0.006])
    assert link.alice.results[0].end_s > starts[2]
    assert link.reasons == [("", "")] * 4
    link.assert_settled()


@pytest.mark.parametrize("blocks_in_flight", [3, 100])
def test_blocks_much_shorter_than_the_fibre(blocks_in_flight):
    """However many trains are on the fibre at once, Bob knows which is which."""
    link = Link(
        length_km=blocks_in_flight * 400.0, attenuation=0.0, pulses=2000, authentication=False, timeout_s=2.0
    )
    link.run(5 + blocks_in_flight, settle_s=30.0)
    assert set(link.reasons) == {("", "")}


@pytest.mark.parametrize("authentication", [True, False])
@pytest.mark.parametrize("protocol", [BB84(), E91()], ids=["bb84", "e91"])
def test_the_ledger_adds_up_to_what_crossed_the_wire(protocol, authentication):
    """Every bit in both ledgers is found again in the messages themselves, and what is left adds up to zero."""
    link = Link(
        protocol,
        pulses=16_000 if protocol.entangled else 6000,
        misalignment=0.01,
        length_km=5.0,
        efficiency=0.9,
        authentication=authentication,
        preshared=128 + 12 * PADS,
    ).run(12)
    assert set(link.reasons) == {("", "")}
    for block, mine in link.alice.results.items():
        ledger = mine.ledger
        assert ledger == link.bob.results[block].ledger
        assert ledger.imbalance() == 0
        expected = account(link, block)
        assert {name: getattr(ledger, name) for name in expected} == expected
        tags = link.wire.about(block, "tag") + link.wire.about(block, "accepted")
        spent = sum(8 * len(tag.tag) for tag in tags)
        assert ledger.authentication_spent_bits == spent == (PADS if authentication else 0)
        assert ledger.amplification_bits >= 0
        questions = link.wire.about(block, "questions")
        assert sum(len(q.starts) for q in questions) == ledger.disclosed_parities
        assert len(questions) == mine.rounds == link.bob.results[block].rounds
        # Revealed outcomes are the test bits, and for E91 the rounds of the correlators as well; each side's, once.
        (sifting,), (sample,) = link.wire.about(block, "sifting"), link.wire.about(block, "sample")
        assert len(sifting.outcomes) == len(sample.outcomes) == int(sifting.revealed.sum())
        others = 0 if not protocol.entangled else ledger.detections - ledger.sifted_bits
        assert len(sample.outcomes) == ledger.test_bits + others
    delivered = sum(result.ledger.delivered_bits for result in link.alice.results.values())
    assert sum(kme.outgoing.deposited_bits for kme in link.keys) == delivered
    assert sum(kme.incoming.deposited_bits for kme in link.keys) == delivered


def test_nothing_unrevealed_crosses_the_wire():
    """Without errors to correct, what is said of the key is its parities and a hash: outcomes go for the test only."""
    link = Link(pulses=4000).run(1)
    (sifting,), (sample,) = link.wire.about(0, "sifting"), link.wire.about(0, "sample")
    result = link.alice.results[0]
    # With no errors the two samples are the same bits, and none of them is in the key.
    assert np.array_equal(sifting.outcomes, sample.outcomes)
    assert len(sifting.outcomes) + len(result.sifted_key) == result.ledger.sifted_bits


def test_keys_land_under_the_same_addresses():
    """All that Alice's site may issue is at Bob's, bit for bit, and the other way round; and it is the final keys."""
    link = Link(misalignment=0.01).run(8)
    link.assert_no_unequal_keys()
    for one, other in (link.keys, link.keys[::-1]):
        assert contents(one.outgoing) == contents(other.incoming)
    stored = sum(kme.outgoing.available_bits for kme in link.keys)
    assert stored == sum(len(result.key) for result in link.alice.results.values())
    assert contents(link.pools[0].pads) == contents(link.pools[1].pads)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "pulses", "error", "blocks"),
    [(BB84(), 900, 0.003, 1700), (BB84(), 2400, 0.03, 200), (E91(), 6000, 0.005, 100)],
    ids=["bb84", "bb84, many errors", "e91"],
)
def test_keys_are_equal_in_every_accepted_block(protocol, pulses, error, blocks):
    """Thousands of small blocks with errors: both accept the same ones, and their keys are the same.

    With ε_cor = 1e-10 a right implementation fails this in 2000 blocks with probability below 2e-7·(share of blocks in
    which Cascade leaves an error, below 1e-2), so below 2e-9. One that did not verify would be caught at any such share.
    """
    link = Link(
        protocol,
        pulses=pulses,
        misalignment=error,
        preshared=128 + PADS * blocks,
        thresholds=AbortThresholds(0.2, 1.0),
    ).run(blocks)
    link.assert_settled()
    reasons = collections.Counter(link.reasons)
    assert set(reasons) <= {("", ""), ("too_short", "too_short"), ("verification", "verification")}
    assert reasons["", ""] > 0.9 * blocks
    for mine, theirs in zip(link.alice.results.values(), link.bob.results.values(), strict=True):
        assert np.array_equal(mine.key, theirs.key)
        assert len(mine.key) == (mine.ledger.secret_bits if mine.accepted else 0)
        if mine.accepted:
            assert mine.ledger == theirs.ledger
            assert mine.ledger.imbalance() == 0
            assert np.array_equal(mine.sifted_key, theirs.sifted_key)
            assert mine.estimate == theirs.estimate
            assert mine.bound == theirs.bound
            assert (mine.detected, mine.sifted) == (theirs.detected, theirs.sifted)
    link.assert_no_unequal_keys()
    # Final keys are fair bits: a bias of 7 % would show.
    keys = np.concatenate([result.key for result in link.alice.results.values()])
    assert_binomial(int(keys.sum()), len(keys), 0.5, fault=0.57)


def test_the_pool_is_replenished_from_the_links_own_key():
    """After far more blocks than the pre-shared key has pads for, the link still authenticates from key it made."""
    link = Link(pulses=4000, preshared=128 + 3 * PADS).run(40)
    assert set(link.reasons) == {("", "")}
    assert link.pools[0].pads.handed_out_bits == 40 * PADS
    assert link.pools[0].pads.available_bits == 3 * PADS


# How a block ends early.


def only(link, mine, theirs=None):
    """Every block of the run ended for this reason on both sides, and nothing is left of it."""
    link.assert_settled()
    assert set(link.reasons) == {(mine, mine if theirs is None else theirs)}
    assert not link.keys[0].outgoing.deposited_bits
    assert not link.keys[1].outgoing.deposited_bits
    alarmed = {node for node, _ in link.tape.alarms}
    assert alarmed == {"alice", "bob"}


@pytest.mark.parametrize(
    ("thresholds", "misalignment", "reason"),
    [
        (AbortThresholds(0.05, None), 0.15, "qber"),
        (AbortThresholds(None, None), 0.25, "too_short"),
        (AbortThresholds(0.0, None), 0.05, "qber"),
    ],
)
def test_errors_end_a_block(thresholds, misalignment, reason):
    """Too many errors end it at the threshold; without one, there is no key to be had."""
    only(Link(misalignment=misalignment, thresholds=thresholds).run(4), reason)


def test_the_threshold_holds_in_each_basis():
    """Errors in one basis alone end a block, though the mean over both is below the threshold."""
    link = Link(pulses=8000, thresholds=AbortThresholds(0.11))
    # Wrong outcomes in every fourth revealed round of basis Z: 1/8 over all would be 0.125 in the mean of equal shares.

    def meddle(frame, envelope):
        message = decode(envelope.body)
        if isinstance(message, Sifting):
            outcomes = message.outcomes.copy()
            in_z = np.flatnonzero(message.settings[message.revealed.astype(bool)] == 0)
            outcomes[in_z[::6]] ^= 1
            body = dataclasses.replace(message, outcomes=outcomes).encode()
            frame.data = dataclasses.replace(envelope, body=body).encode()

    link.wire.meddle = meddle
    link.run(1)
    assert link.bob.results[0].reason == "qber"
    z, x = link.bob.results[0].estimate.bases
    assert (z.basis, x.basis) == ("Z", "X")
    assert z.qber > 0.11 > link.bob.results[0].estimate.qber
    assert x.qber == 0.0
    link.assert_settled()


def test_too_little_entanglement_ends_a_block():
    """A source of separable pairs (V = 0.6, S = 1.7) ends it by CHSH, where errors alone would be let pass."""
    link = e91(visibility=0.6, thresholds=AbortThresholds(None, 2.0)).run(3)
    only(link, "chsh")


def test_darkness_ends_a_block():
    """A fibre that lets nothing through leaves nothing to test."""
    only(Link(length_km=2000.0, attenuation=10.0).run(3), "no_detections")
    only(e91(length_km=2000.0, attenuation=10.0).run(2), "no_detections")


def test_a_block_may_be_too_short():
    """A handful of pulses gives no key at any ε."""
    only(Link(pulses=40).run(5), "too_short")


def test_authentication_key_runs_out():
    """Blocks that cost more than they give empty the pool; from there on none is accepted, and nothing is sent untagged."""
    link = Link(pulses=1400, preshared=128 + 3 * PADS).run(6)
    link.assert_settled()
    ended = ("authentication_key_exhausted",) * 2
    assert link.reasons == [("", "")] * 3 + [ended] * 3
    assert [message.kind for message in link.wire.about(4)] == ["abort"]


@pytest.mark.parametrize("kind", ["verification", "parities", "sifting", "detections"])
def test_lost_messages_end_a_block_by_timeout(kind):
    """Where a message never comes, the one who waits gives up in time and tells the other."""
    link = Link(timeout_s=0.02)
    link.wire.meddle = lambda frame, envelope: setattr(
        frame, "fate", "taken" if decode(envelope.body).kind == kind else "passed"
    )
    only(link.run(3), "timeout")


def test_a_dropped_message_is_sent_again():
    """What is dropped on the way comes with a retry, and the block goes on."""
    link = Link(timeout_s=1.0)
    dropped = []

    def meddle(frame, envelope):
        if decode(envelope.body).kind not in dropped:
            dropped.append(decode(envelope.body).kind)
            frame.fate = "dropped"

    link.wire.meddle = meddle
    link.run(2)
    assert set(dropped) >= {"start", "detections", "verification", "tag", "accepted"}
    assert link.reasons == [("", "")] * 2
    assert link.to_bob.retransmissions + link.to_alice.retransmissions == len(dropped)


def test_cut_off_entirely():
    """With no classical channel at all both sides give every block up, each by itself."""
    link = Link(timeout_s=0.02)
    link.wire.meddle = lambda frame, _: setattr(frame, "fate", "taken")
    link.run(5)
    only(link, "timeout")


def flipped(bits):
    """The last bit the other way round."""
    return np.append(bits[:-1], bits[-1:] ^ 1).astype(np.uint8)


CHANGES = {
    # kind, field, change, reason with authentication (at whoever finds it first), reason without
    "start: other pulses": ("start", "pulses", 1, "malformed_message", "malformed_message"),
    "start: other pads": ("start", "authentication_address", 10**6, "authentication", None),
    "start: shifted pads": ("start", "authentication_address", 128, "authentication", None),
    "start: no address": ("start", "authentication_address", -384, "authentication", None),
    "detections: no such setting": ("detections", "settings", lambda s: s + 7, *["malformed_message"] * 2),
    "detections: one setting less": ("detections", "settings", lambda s: s[1:], *["malformed_message"] * 2),
    "detections: one slot less": ("detections", "slots", lambda s: s[1:], *["malformed_message"] * 2),
    "detections: beyond the block": (
        "detections",
        "slots",
        lambda s: np.append(s[:-1], 2000),
        *["malformed_message"] * 2,
    ),
    "detections: far beyond it": (
        "detections",
        "slots",
        lambda s: np.append(s[:-1], 2**56 - 1),
        *["malformed_message"] * 2,
    ),
    "detections: intensities": ("detections", "intensities", np.uint8([0, 1]), *["malformed_message"] * 2),
    "sifting: no such setting": ("sifting", "settings", lambda s: s + 7, *["malformed_message"] * 2),
    "sifting: intensities": ("sifting", "intensities", np.uint8([0]), *["malformed_message"] * 2),
    "sifting: an intensity each": (
        "sifting",
        "intensities",
        lambda _: np.zeros(2000, np.uint8),
        *["malformed_message"] * 2,
    ),
    "sifting: one outcome less": ("sifting", "outcomes", lambda o: o[1:], *["malformed_message"] * 2),
    "sifting: fewer clicks": ("sifting", "clicked", lambda c: c[1:], *["malformed_message"] * 2),
    "sifting: negative seed": ("sifting", "reconciliation_seed", -1, *["malformed_message"] * 2),
    "sifting: other seed": ("sifting", "reconciliation_seed", 1, None, None),
    "sample: one outcome less": ("sample", "outcomes", lambda o: o[1:], *["malformed_message"] * 2),
    "sample: one bit": ("sample", "outcomes", flipped, None, None),
    "questions: out of range": ("questions", "stops", lambda s: s + 10**6, *["malformed_message"] * 2),
    "questions: empty ranges": ("questions", "starts", lambda s: s + 10**6, *["malformed_message"] * 2),
    "questions: no such pass": ("questions", "passes", lambda p: p * 0 + 255, *["malformed_message"] * 2),
    "parities: one less": ("parities", "parities", lambda p: p[1:], *["malformed_message"] * 2),
    "verification: other hash": ("verification", "tag", lambda t: bytes(len(t)), *["verification"] * 2),
    "verification: no hash": ("verification", "tag", b"", *["verification"] * 2),
    "verification: no key": ("verification", "hash_key", b"", *["verification"] * 2),
    "verification: counts": ("verification", "corrected", np.int64([0]), *["malformed_message"] * 2),
    "amplification: other length": ("amplification", "length", 8, *["malformed_message"] * 2),
    "amplification: other seed": ("amplification", "seed", flipped, "authentication", None),
    "amplification: short seed": ("amplification", "seed", lambda s: s[1:], *["malformed_message"] * 2),
    "amplification: negative share": ("amplification", "forward_bits", -1, *["malformed_message"] * 2),
    "amplification: too much": ("amplification", "forward_bits", 10**6, *["malformed_message"] * 2),
    "amplification: negative pool": ("amplification", "authentication_bits", -1, *["malformed_message"] * 2),
    "amplification: far address": ("amplification", "reverse_address", 2**62, *["malformed_message"] * 2),
    "amplification: beyond key IDs": (
        "amplification",
        "forward_address",
        2**48 - 1,
        *["malformed_message"] * 2,
    ),
    "tag: other": ("tag", "tag", lambda t: bytes(len(t)), "authentication", None),
    "tag: none": ("tag", "tag", b"", "authentication", None),
    "accepted: other": ("accepted", "tag", lambda t: bytes(len(t)), "authentication", None),
}


@pytest.mark.parametrize("authentication", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_message(change, authentication):
    """Each field of each message, changed on the way: with authentication no such block gives both sites key.

    Without, it ends or passes; in either case both sides come to an end.
    """
    kind, field, how, with_tags, without = CHANGES[change]
    link = replacing(Link(authentication=authentication), kind, **{field: how}).run(3)
    link.assert_settled()
    reason = with_tags if authentication else without
    if reason is not None:
        assert reason in {reason for pair in link.reasons for reason in pair}
    if authentication:
        link.assert_no_unequal_keys()
        assert not link.keys[1].outgoing.deposited_bits
        assert link.tape.alarms
    if authentication and kind != "accepted":
        assert not link.keys[0].outgoing.deposited_bits
        assert all(mine and theirs for mine, theirs in link.reasons)


def test_repeated_addresses_do_not_crash_bob():
    """Without authentication an announcement may name places that hold key already; such a block ends."""
    for field in ("forward_address", "reverse_address"):
        link = replacing(Link(authentication=False), "amplification", **{field: 0}).run(3)
        link.assert_settled()
        assert [theirs for _, theirs in link.reasons] == ["", "malformed_message", "malformed_message"]


def test_a_lost_acceptance_costs_bobs_part_only():
    """Bob's site may not issue what Alice's may not hold; what Alice's site issues is unharmed, and nothing hangs."""
    link = Link(timeout_s=0.02)
    link.wire.meddle = lambda frame, envelope: setattr(
        frame, "fate", "taken" if decode(envelope.body).kind == "accepted" else "passed"
    )
    link.run(3)
    link.assert_settled()
    assert link.reasons == [("", "")] * 3
    assert len(link.tape.of("acceptance_missing")) == 3
    assert link.keys[0].outgoing.deposited_bits > 0
    assert contents(link.keys[0].outgoing) == contents(link.keys[1].incoming)
    assert link.keys[1].outgoing.deposited_bits == 0


def test_a_lost_last_tag_leaves_nothing_to_issue():
    """When Bob's tag is lost Alice gives up; Bob holds what nobody will ever ask for, and later blocks give key."""
    link = Link(timeout_s=0.02)

    def meddle(frame, envelope):
        if envelope.session == 0 and envelope.sender == "bob" and decode(envelope.body).kind == "tag":
            frame.fate = "taken"

    link.wire.meddle = meddle
    link.run(3)
    link.assert_settled()
    assert link.reasons == [("timeout", "timeout"), ("", ""), ("", "")]
    link.assert_no_unequal_keys()
    issued = set(contents(link.keys[0].outgoing))
    orphans = contents(link.keys[1].incoming).keys() - issued
    assert len(orphans) == link.wire.about(0, "amplification")[0].forward_bits
    assert not orphans & issued


def test_a_forged_abort_costs_the_block_and_is_noticed():
    """Aborts are not authenticated; whoever forges one to each side ends the block, and both sides raise the alarm."""
    link = Link()
    forged = Abort("too_short").encode()

    def meddle(frame, envelope):
        if decode(envelope.body).kind == "detections":
            frame.data = dataclasses.replace(envelope, body=forged).encode()
            link.to_bob.send(Envelope("alice", "bob", envelope.session, 1, forged))

    link.wire.meddle = meddle
    only(link.run(2), "too_short")


def test_one_blocks_messages_are_no_use_in_another():
    """Eve swaps two blocks' conversations: neither gives key, and nothing of them is left."""
    link = Link(authentication=True)
    link.wire.meddle = lambda frame, envelope: setattr(
        frame, "data", dataclasses.replace(envelope, session=envelope.session ^ 1).encode()
    )
    link.run(4)
    link.assert_settled()
    assert all(mine and theirs for mine, theirs in link.reasons)
    link.assert_no_unequal_keys()


def test_messages_from_the_past_are_of_no_use():
    """Everything said about block 0, said again about block 1, does not pass for block 1's."""
    link = Link()
    first = {}

    def meddle(frame, envelope):
        if envelope.session == 0:
            first[envelope.sender, envelope.sequence] = envelope
        elif envelope.session == 1 and (envelope.sender, envelope.sequence) in first:
            old = first[envelope.sender, envelope.sequence]
            frame.data = dataclasses.replace(old, session=1).encode()

    link.wire.meddle = meddle
    link.run(2)
    link.assert_settled()
    assert link.reasons[0] == ("", "")
    assert all(link.reasons[1])
    link.assert_no_unequal_keys()


def test_messages_of_nobodys_blocks_are_ignored():
    """Frames about blocks past, far ahead or negative open no conversation and end none."""
    link = Link()
    body = BlockStart(2000, 0).encode()
    for session in (-5, -2, 10**6, 2**62):
        link.to_bob.send(Envelope("alice", "bob", session, 0, body))
        link.to_alice.send(Envelope("bob", "alice", session, 0, body))
    link.run(2)
    link.to_bob.send(Envelope("alice", "bob", 0, 99, body))
    link.env.run(until=link.env.now + 1.0)
    assert link.reasons == [("", "")] * 2
    link.assert_settled()


@pytest.mark.parametrize("authentication", [True, False])
@pytest.mark.parametrize("entangled", [False, True])
@pytest.mark.slow
def test_no_meddling_makes_a_party_crash_or_keys_differ(entangled, authentication):
    """Whatever is done to frames at random, nobody crashes or hangs, and no authenticated keys differ.

    Frames are corrupted, truncated, dropped, doubled, swapped and relabelled, in hundreds of runs. An unequal key slips through verification and tags with probability below 1e-10 a block.
    """
    ended = collections.Counter()
    for seed in range(40 if entangled else 100):
        link = Link(
            E91() if entangled else BB84(),
            pulses=5000 if entangled else 1400,
            seed=seed,
            authentication=authentication,
            timeout_s=0.02,
            misalignment=0.01,
            security=Security(0.9, 1e-10),
        )
        meddler = Meddler(link, seed)
        link.wire.meddle = meddler
        link.run(4)
        link.assert_settled()
        assert all({mine, theirs} <= {"", *ABORT_REASONS} for mine, theirs in link.reasons)
        ended.update(reason for pair in link.reasons for reason in pair)
        if authentication:
            link.assert_no_unequal_keys()
            for mine, theirs in zip(link.alice.results.values(), link.bob.results.values(), strict=True):
                assert not mine.accepted or np.array_equal(mine.key, theirs.key)
    # The meddling was neither idle nor total.
    assert ended[""] > 10
    assert ended["malformed_message"] > 10
    assert ended["timeout"] > 10
    if authentication:
        assert ended["authentication"] > 0


def test_the_account_of_an_aborted_block_claims_nothing():
    """A block that was given up before any tag has no key in its result, and has spent no pads."""
    link = Link(misalignment=0.2, thresholds=AbortThresholds(0.05)).run(1)
    for party in (link.alice, link.bob):
        result = party.results[0]
        assert not result.accepted
        assert len(result.key) == result.ledger.secret_bits == result.ledger.delivered_bits == 0
        assert result.ledger.authentication_spent_bits == 0


def test_noise_costs_no_authentication_key():
    """Thirty noisy blocks, three times what the pre-shared key could tag, leave both pools as they were."""
    link = Link(misalignment=0.2, thresholds=AbortThresholds(0.05)).run(30)
    assert {result.reason for result in link.alice.results.values()} == {"qber"}
    full = contents(link.pools[0].pads)
    assert len(full) == link.pools[0].target_bits
    assert contents(link.pools[1].pads) == full


def test_disputed_authentication_costs_the_pads_of_the_block():
    """Each block that an impostor takes costs its pads, at Alice's and where Bob held them against a tag; never are they used again."""
    link = Link(attacks=[(Window(0.0, 3 * 0.002), Impersonate())]).run(6)
    assert [link.alice.results[block].accepted for block in range(6)] == [False] * 3 + [True] * 3
    for block in range(3):
        assert link.alice.results[block].reason == "authentication"
        assert link.alice.results[block].ledger.authentication_spent_bits == PADS


def test_authentications_epsilon_is_stated():
    """An accepted block states a forgery bound of the size of its transcripts at both sides; without tags it is 1."""
    link = Link().run(1)
    said = sum(len(seen.data) for seen in link.wire.seen)
    for party in (link.alice, link.bob):
        assert 8 * said / 16 * 2.0**-106 / 3 < party.results[0].eps_auth < 8 * said / 16 * 2.0**-106 * 3
    assert Link(authentication=False).run(1).alice.results[0].eps_auth == 1.0


def test_amplification_is_drawn_after_the_quantum_transmission():
    """No two blocks share a Toeplitz seed or a reconciliation seed."""
    link = Link().run(6)
    seeds = [link.wire.about(block, "amplification")[0] for block in range(6)]
    assert all(isinstance(seed, Amplification) for seed in seeds)
    assert len({seed.seed[:64].tobytes() for seed in seeds}) == 6
    assert len({link.wire.about(block, "sifting")[0].reconciliation_seed for block in range(6)}) == 6
