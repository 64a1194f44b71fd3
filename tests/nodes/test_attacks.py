"""Each attack leaves the sign that theory says, gets Eve what theory says, and fails against what stands against it."""

from __future__ import annotations

import collections
import dataclasses
import inspect
import itertools
import math
import re

import numpy as np
import pytest

from netsim.key_length.finite_key import chsh_confidence
from netsim.messages import decode
from netsim.photonics.light import NOTHING
from netsim.photonics.pulses import PulseTrain
from netsim.postprocessing import cascade
from netsim.protocols.bb84 import BB84
from netsim.protocols.bbm92 import BBM92
from netsim.protocols.decoy import DecoyBB84
from netsim.protocols.e91 import E91
from netsim.protocols.protocol import AbortThresholds
from netsim.protocols.six_state import SixState
from netsim.protocols.weak import WeakBB84
from netsim.random_streams import RandomStreams
from netsim.window import Window
from nodes.attacks import asking
from nodes.attacks.action import Action, Unit
from nodes.attacks.catalogue import CATALOGUE
from nodes.attacks.channel import InterceptResend
from nodes.attacks.classical import _TARGETS, AnalyseTraffic, Cut, Impersonate, Replay, Tamper
from nodes.attacks.model import FlipLabels, Poisoning
from nodes.eve import UNSURE
from scenarios.contradictions import unmet
from scenarios.inference import lesson
from scenarios.loader import load_text
from scenarios.range import build, fabric_of
from scenarios.runner import run
from tests.nodes.harness import Asking, Link, contents
from tests.statistics import FALSE_FAILURE, assert_binomial

NEVER = AbortThresholds(None, None)
AT_ONCE = AbortThresholds(0.0, None)
"""Ends a block at its first error: what comes after the estimate takes time and is not looked at."""
ALWAYS = Window()
PULSES = 300_000
FRACTIONS = [0.0, 0.1, 0.3, 0.5, 1.0]


def intercepted(protocol, fraction, basis, *, pulses=PULSES, thresholds=AT_ONCE, **keywords):
    """One long block under intercept-resend."""
    attack = InterceptResend(fraction, basis)
    return Link(
        protocol,
        pulses=pulses,
        thresholds=thresholds,
        attacks=[(ALWAYS, attack)],
        seed=round(1000 * fraction) + len(basis),
        **keywords,
    ).run(1)


def with_misalignment(error, misalignment):
    """An error rate after the fibre's own flips."""
    return error * (1 - misalignment) + misalignment * (1 - error)


def assert_rate(errors, tested, expected, half_effect):
    """The errors are what this rate gives, and half the attack's effect, if there is any, would have shown."""
    assert_binomial(errors, tested, expected, fault=half_effect if half_effect != expected else None)


# The errors that one intercepted pulse gets in basis Z and in basis X.
BB84_ERRORS = {
    "random": (0.25, 0.25),
    "z": (0.0, 0.5),
    "x": (0.5, 0.0),
    "breidbart": (0.25, 0.25),
}


@pytest.mark.parametrize("misalignment", [0.0, 0.02])
@pytest.mark.parametrize("basis", BB84_ERRORS)
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_errors_of_intercept_resend_on_bb84(fraction, basis, misalignment):
    """QBER in each basis and over both: [1 - (1 - 2Q0)(1 - p/2)]/2 for random bases, p/2 in the other basis for one."""
    link = intercepted(BB84(), fraction, basis, misalignment=misalignment)
    estimate = link.alice.results[0].estimate
    for found, error in zip(estimate.bases, BB84_ERRORS[basis], strict=True):
        expected = with_misalignment(fraction * error, misalignment)
        assert_rate(
            found.errors, found.tested, expected, with_misalignment(fraction * error / 2, misalignment)
        )
    pooled = (1 - (1 - 2 * misalignment) * (1 - fraction / 2)) / 2
    assert_rate(
        estimate.errors, estimate.tested, pooled, (1 - (1 - 2 * misalignment) * (1 - fraction / 4)) / 2
    )


E91_AXES = {"random": (0.0, 45.0), "z": (0.0,), "x": (45.0,), "breidbart": (22.5,)}
"""The polariser angles she measures at."""


def correlator(alice, bob, fraction, basis, contrast):
    """E(a, b) of Φ+ with a share of the photons measured on the way, times the fibre's contrast."""
    untouched = math.cos(2 * math.radians(alice - bob))
    axes = E91_AXES[basis]
    measured = sum(
        math.cos(2 * math.radians(alice - axis)) * math.cos(2 * math.radians(bob - axis)) for axis in axes
    ) / len(axes)
    return contrast * ((1 - fraction) * untouched + fraction * measured)


@pytest.mark.parametrize("misalignment", [0.0, 0.02])
@pytest.mark.parametrize("basis", E91_AXES)
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_correlators_of_intercept_resend_on_e91(fraction, basis, misalignment):
    """All nine correlators, the QBER per key angle, and S = 2√2(1 - 2Q0)(1 - p/2), whichever basis she measures in."""
    link = intercepted(E91(), fraction, basis, misalignment=misalignment, pulses=500_000, test_fraction=0.8)
    estimate = link.alice.results[0].estimate
    contrast = 1 - 2 * misalignment
    for (a, b), (same, different) in estimate.correlators.items():
        expected, half = (correlator(a, b, p, basis, contrast) for p in (fraction, fraction / 2))
        visible = abs(expected - half) > 0.05
        assert_binomial(same, same + different, (1 + expected) / 2, fault=(1 + half) / 2 if visible else None)
    for found, angle in zip(estimate.bases, (22.5, 45.0), strict=True):
        expected = (1 - correlator(angle, angle, fraction, basis, contrast)) / 2
        assert_rate(
            found.errors,
            found.tested,
            expected,
            (1 - correlator(angle, angle, fraction / 2, basis, contrast)) / 2,
        )
    expected, half = (2 * math.sqrt(2) * contrast * (1 - p / 2) for p in (fraction, fraction / 2))
    low, high = chsh_confidence(estimate.correlators, FALSE_FAILURE)
    assert low <= expected <= high
    assert not fraction or half > high
    if basis == "random":
        assert_binomial(estimate.errors, estimate.tested, (1 - contrast * (1 - fraction / 2)) / 2)


@pytest.mark.parametrize(("middle", "eve_km"), [(False, 3.0), (True, 1.0), (True, 9.0)])
def test_it_does_not_matter_where_she_sits(middle, eve_km):
    """Source at Alice's or in the middle, Eve on either side of it: the same S and the same errors."""
    link = intercepted(E91(), 1.0, "random", middle=middle, eve_km=eve_km, length_km=10.0, attenuation=0.0)
    estimate = link.alice.results[0].estimate
    assert_binomial(estimate.errors, estimate.tested, 0.25, fault=0.2)
    low, high = chsh_confidence(estimate.correlators, FALSE_FAILURE)
    assert low <= math.sqrt(2) <= high < 2.0


def guess_of(link, block=0):
    """Eve's guess of the block's sifted key, beside Alice's."""
    protocol = link.parameters.protocol
    guess = link.eve.notebook.guess_sifted(block, protocol, np.random.default_rng(0))
    return guess, link.alice.results[block].sifted_key


def noted_of(link, block=0):
    """What her first attack noted of each bit of the sifted key."""
    (sifting,), (detections,) = link.wire.about(block, "sifting"), link.wire.about(block, "detections")
    both = sifting.clicked.astype(bool)
    matching = link.parameters.protocol.key_rounds(sifting.settings, detections.settings[both])
    kept = matching & ~sifting.revealed.astype(bool)
    return link.eve.notebook._notes[block][0].at(detections.slots[both][kept])


@pytest.mark.parametrize("basis", ["random", "z", "x"])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_what_she_knows_of_bb84(basis, fraction):
    """She knows p/2 of the sifted bits for sure, and of the others nothing; the fibre's errors behind her change neither."""
    link = intercepted(BB84(), fraction, basis, misalignment=0.02)
    guess, key = guess_of(link)
    right = guess.bits == key
    sure = guess.kind == 0
    assert_binomial(int(sure.sum()), len(key), fraction / 2, fault=fraction / 4)
    assert right[sure].all()
    assert_binomial(int(right[~sure].sum()), int((~sure).sum()), 0.5, fault=0.54)
    # Only what she measured in the wrong basis, and what she let pass, is unsure.
    measured = noted_of(link) != NOTHING
    assert measured[sure].all()
    assert_binomial(int((measured & ~sure).sum()), len(key), fraction / 2)
    assert set(np.unique(guess.kind)) <= {0, UNSURE}


@pytest.mark.parametrize("fraction", [0.5, 1.0])
def test_what_she_knows_of_bb84_by_breidbart(fraction):
    """Halfway between the bases each guess is right with cos²(π/8) = 0.8536."""
    guess, key = guess_of(intercepted(BB84(), fraction, "breidbart"))
    right, measured = guess.bits == key, guess.kind == 1
    assert_binomial(int(measured.sum()), len(key), fraction)
    assert_binomial(int(right[measured].sum()), int(measured.sum()), math.cos(math.pi / 8) ** 2, fault=0.82)
    assert_binomial(int(right[~measured].sum()), int((~measured).sum()), 0.5)


@pytest.mark.parametrize("basis", E91_AXES)
def test_what_she_knows_of_e91(basis):
    """At each key angle her guess is right with cos² of the angle between her axis and the key's."""
    link = intercepted(E91(), 1.0, basis)
    guess, key = guess_of(link)
    right = guess.bits == key
    for step, expected in ((0, 1.0), (1, math.cos(math.pi / 8) ** 2), (UNSURE, 0.5)):
        here = guess.kind == step
        assert_binomial(int(right[here].sum()), int(here.sum()), expected)
    axes = E91_AXES[basis]
    # Two settings off, 45° of polariser, the bases are unbiased: what she found says nothing.
    steps = [(0, 1, UNSURE)[round(abs(angle - axis) / 22.5)] for angle in (22.5, 45.0) for axis in axes]
    for step, count in collections.Counter(steps).items():
        assert_binomial(int((guess.kind == step).sum()), len(key), count / len(steps), fault=0.0)
    assert set(np.unique(guess.kind)) == set(steps)


def test_losses_before_her_are_losses_of_hers():
    """Photons that did not reach her are in nobody's key and not in her notebook's; those that did, she knows as ever."""
    link = intercepted(BB84(), 1.0, "z", length_km=30.0, eve_km=15.0)
    guess, key = guess_of(link)
    assert_binomial(len(key), PULSES, 0.25 * 10**-0.6, fault=0.25)
    assert (noted_of(link) != NOTHING).all()
    assert_binomial(int((guess.kind == 0).sum()), len(key), 0.5)


def test_her_guess_of_the_final_key_is_chance():
    """From a tenth of the pulses she knows 5 % of the sifted key; her guess of the final key is a coin's."""
    link = intercepted(BB84(), 0.1, "random", thresholds=NEVER)
    result = link.alice.results[0]
    assert result.accepted
    guess, _ = guess_of(link)
    final = link.eve.notebook.guess_final(0, guess)
    assert len(final) == len(result.key) > 10_000
    assert_binomial(int((final == result.key).sum()), len(final), 0.5, fault=0.53)


def rank(rows):
    """Rank over GF(2) of rows given as Python integers."""
    pivots = {}
    for row in rows:
        rest = row
        while rest:
            top = rest.bit_length()
            if top not in pivots:
                pivots[top] = rest
                break
            rest ^= pivots[top]
    return len(pivots)


def as_integers(matrix):
    """The rows of a 0/1 matrix as integers."""
    return [int.from_bytes(np.packbits(row).tobytes(), "big") for row in matrix]


def known_combinations(link, length=None):
    """How many independent parities of the final key follow from what Eve measured and what was said in public.

    The final key is T·x. What she knows of x is linear too: the bits she measured in the right basis, and every parity that
    reconciliation disclosed. The two row spaces meet in rank(T) + rank(K) - rank(both) dimensions.

    Args:
        link: after a run of one accepted block.
        length: of a key from the same seed, in place of the announced one (no longer than it allows).
    """
    guess, key = guess_of(link)
    n = len(key)
    (announced,), (sifting,) = link.wire.about(0, "amplification"), link.wire.about(0, "sifting")
    length = announced.length if length is None else length
    seed = announced.seed
    if len(seed) < n + length - 1:
        seed = np.random.default_rng(0).integers(0, 2, n + length - 1, dtype=np.uint8)
    toeplitz = seed[np.arange(length)[:, None] - np.arange(n) + n - 1]
    plan = cascade.plan(n, link.alice.results[0].estimate.qber, sifting.reconciliation_seed)
    known = [np.eye(n, dtype=np.uint8)[guess.kind == 0]]
    for questions in link.wire.about(0, "questions"):
        for number, start, stop in zip(questions.passes, questions.starts, questions.stops, strict=True):
            row = np.zeros((1, n), np.uint8)
            row[0, plan.order(int(number))[start:stop]] = 1
            known.append(row)
    final, hers = as_integers(toeplitz), as_integers(np.concatenate(known))
    return rank(final) + rank(hers) - rank(final + hers), rank(hers), n


@pytest.mark.slow
def test_no_parity_of_the_final_key_follows_from_what_she_knows():
    """Exactly, by linear algebra: measured bits and all disclosed parities together fix not one parity of the final key.

    A random matrix that leaves d bits of slack fixes one with probability 2^-d, and d is hundreds here. A key that were too
    long by as much as amplification took away would be known in part, and this test would say so.
    """
    link = intercepted(BB84(), 0.1, "random", pulses=10_000, thresholds=NEVER)
    result = link.alice.results[0]
    assert result.accepted
    fixed, known, n = known_combinations(link)
    assert fixed == 0
    assert known + result.ledger.secret_bits < n - 100
    too_long = n - known + 50
    fixed, _, _ = known_combinations(link, too_long)
    assert fixed == 50


@pytest.mark.parametrize("protocol", [BB84(), E91()], ids=["bb84", "e91"])
def test_amplification_takes_more_than_she_has(protocol):
    """Whatever share she measures, an accepted block gives up more bits for her than she knows."""
    accepted = 0
    for fraction, basis in itertools.product((0.02, 0.1, 0.2), E91_AXES):
        link = intercepted(protocol, fraction, basis, pulses=60_000, thresholds=NEVER)
        result = link.alice.results[0]
        if not result.accepted:
            continue
        accepted += 1
        guess, key = guess_of(link)
        knows = 0.0
        for step, right in ((0, 1.0), (1, math.cos(math.pi / 8) ** 2)):
            loss = 0.0 if right == 1.0 else -right * math.log2(right) - (1 - right) * math.log2(1 - right)
            knows += int((guess.kind == step).sum()) * (1 - loss)
        assert result.ledger.amplification_bits > knows
        assert len(key) == result.ledger.key_bits
    assert accepted >= 4


# Windows.


@pytest.mark.parametrize(
    ("window", "lost"),
    [
        (Window(0.0005, 0.0012), {0: (500, 1200)}),
        (Window(0.00050001, 0.00119999), {0: (501, 1200)}),
        (Window(0.0015, 0.0025), {0: (1500, 2000), 1: (0, 500)}),
        (Window(0.002, 0.004), {1: (0, 2000)}),
        (Window(0.0030001, 0.0030002), {}),
        (Window(0.003, 0.003001), {1: (1000, 1001)}),
    ],
)
@pytest.mark.parametrize("entangled", [False, True])
def test_a_window_acts_on_exactly_its_pulses(window, lost, entangled):
    """A cut fibre loses the pulses that leave while it is cut, to the pulse, and no others."""
    link = Link(E91() if entangled else BB84(), thresholds=NEVER, attacks=[(window, Cut("quantum"))]).run(3)
    for block in range(3):
        (detections,) = link.wire.about(block, "detections")
        start, stop = lost.get(block, (0, 0))
        assert np.array_equal(detections.slots, np.delete(np.arange(2000), slice(start, stop)))


def test_a_windows_measurements_are_in_the_notebook():
    """Intercepting from the middle of one train to the middle of the next, she knows just those pulses' bits."""
    attack = InterceptResend(1.0, "z")
    link = Link(thresholds=NEVER, attacks=[(Window(0.0015, 0.0025), attack)]).run(3)
    assert link.eve.notebook.blocks == (0, 1)
    for block, measured in ((0, slice(1500, 2000)), (1, slice(0, 500))):
        (sifting,), (detections,) = link.wire.about(block, "sifting"), link.wire.about(block, "detections")
        kept = (sifting.settings == detections.settings) & (sifting.revealed == 0)
        inside = np.zeros(2000, bool)
        inside[measured] = True
        guess, key = guess_of(link, block)
        assert np.array_equal(noted_of(link, block) != NOTHING, inside[kept])
        sure = (sifting.settings[kept] == 0) & inside[kept]
        assert np.array_equal(guess.kind == 0, sure)
        assert np.array_equal(guess.bits[sure], key[sure])
    assert link.eve.notebook.guess_sifted(2, BB84(), np.random.default_rng(0)) is None


def test_two_attacks_at_once():
    """Attacks in the list act one after the other: half is measured, and what remains of a second window is cut."""
    attacks = [(ALWAYS, InterceptResend(1.0)), (Window(0.001, 0.002), Cut("quantum"))]
    link = Link(thresholds=NEVER, attacks=attacks).run(1)
    assert link.alice.results[0].ledger.detections == 1000


# Messages.


def test_a_cut_fibre_is_darkness():
    """With the fibre cut every block in the window ends for want of detections, and the next gives key."""
    link = Link(attacks=[(Window(0.004, 0.008), Cut("quantum"))]).run(6)
    assert [mine for mine, _ in link.reasons] == ["", "", "no_detections", "no_detections", "", ""]
    link.assert_settled()


def test_a_cut_channel_is_silence():
    """With the classical channel cut blocks end by timeout on both sides; what is sent later passes."""
    link = Link(attacks=[(Window(0.01, 1.0), Cut("classical"))], timeout_s=0.05).run(5)
    assert {*link.reasons[4:]} == {("timeout", "timeout")}
    assert link.reasons[0] == ("", "")
    link.assert_settled()


# Those about frames are said only where reconciliation failed: see test_reconciling.py.
LINK_MESSAGES = [
    kind for kind in _TARGETS if kind not in ("query", "answer", "parcel", "frame-tags", "frame-bits")
]


@pytest.mark.parametrize("protocol", [BB84(), E91()], ids=["bb84", "e91"])
@pytest.mark.parametrize("kind", LINK_MESSAGES)
def test_tampering_never_passes_authentication(protocol, kind):
    """A bit flipped in every message of a kind: authenticated blocks all end, no two keys differ, and it is noticed."""
    pulses = 8000 if protocol.entangled else 2000
    code = "ldpc" if kind == "syndromes" else "cascade"
    link = Link(protocol, pulses=pulses, attacks=[(ALWAYS, Tamper((kind,), 1))], code=code).run(4)
    link.assert_settled()
    assert all(mine and theirs for mine, theirs in link.reasons)
    assert not link.keys[0].outgoing.deposited_bits
    assert not link.keys[1].outgoing.deposited_bits
    assert {node for node, _ in link.tape.alarms} == {"alice", "bob"}


def test_what_tampering_does_without_authentication():
    """Without tags a flipped seed bit gives both sites keys that differ, and nobody notices; other messages end the block."""
    outcome = {}
    for kind in LINK_MESSAGES:
        link = Link(authentication=False, attacks=[(ALWAYS, Tamper((kind,), 1))]).run(4)
        link.assert_settled()
        equal = [
            np.array_equal(mine.key, theirs.key)
            for mine, theirs in zip(link.alice.results.values(), link.bob.results.values(), strict=True)
        ]
        accepted = [not mine and not theirs for mine, theirs in link.reasons]
        outcome[kind] = (any(accepted), all(equal))
        if kind == "amplification":
            assert not link.tape.alarms
    assert outcome["amplification"] == (True, False)
    assert outcome["verification"] == (False, True)
    assert outcome["tag"] == (True, True)  # there is none to change
    # A changed test bit makes the two compute different lengths.
    assert outcome["sample"] == (False, True)
    # A setting changed on the way shifts one side's key against the other's, unless it was one of a test bit.
    assert outcome["detections"][1]
    assert outcome["sifting"][1]


def test_tampering_with_a_share():
    """A fraction of the messages is changed, not all: some blocks end and some give key."""
    link = Link(attacks=[(ALWAYS, Tamper(("verification",), 1, 0.5))], preshared=128 + 60 * 384).run(60)
    ended = sum(mine != "" for mine, _ in link.reasons)
    # 60 fair coins: fewer than 8 or more than 52 with probability 1e-9.
    assert 8 <= ended <= 52


def test_flips_are_as_many_as_said():
    """So many bits differ in the field that matters, the rest of the message is the same."""
    link = Link(authentication=False)
    arrived = {}
    original = link.alice.on_envelope, link.bob.on_envelope

    def listen(envelope):
        arrived[envelope.session, envelope.sender, envelope.sequence] = decode(envelope.body)
        original[envelope.receiver == "bob"](envelope)

    link.gates["alice"].route({"alice": listen})
    link.gates["bob"].route({"bob": listen})
    link.wire.then = link.eve
    link.eve._attacks = ((ALWAYS, Tamper(("amplification", "verification", "sample"), 5)),)
    link.run(2)
    for seen in link.wire.seen:
        sent = seen.message
        got = arrived[seen.envelope.session, seen.envelope.sender, seen.envelope.sequence]
        changed = {
            field.name
            for field in dataclasses.fields(sent)
            if not np.array_equal(getattr(sent, field.name), getattr(got, field.name))
        }
        if sent.kind in ("amplification", "verification", "sample"):
            (name,) = changed
            assert name == _TARGETS[sent.kind]
            before, after = getattr(sent, name), getattr(got, name)
            if isinstance(before, bytes):
                before, after = (np.unpackbits(np.frombuffer(each, np.uint8)) for each in (before, after))
            assert int((before != after).sum()) == 5
        else:
            assert not changed


@pytest.mark.parametrize("authentication", [True, False])
@pytest.mark.parametrize("after_s", [0.0, 0.0005, 0.003, 0.02])
def test_replayed_link_messages_are_passed_over(after_s, authentication):
    """Every message to Bob said again, in its block or after it: blocks give key as ever, and nobody is alarmed."""
    attack = Replay(1.0, messages="link", after=after_s)
    link = Link(attacks=[(ALWAYS, attack)], authentication=authentication, misalignment=0.01)
    copies, inject = [], link.eve._inject
    link.eve._inject = lambda envelope: (copies.append(envelope), inject(envelope))
    link.run(6)
    link.assert_settled()
    link.assert_no_unequal_keys()
    assert link.reasons == [("", "")] * 6
    assert not link.tape.alarms
    to_bob = [seen.envelope for seen in link.wire.seen if seen.envelope.receiver == "bob"]
    assert sorted(map(repr, copies)) == sorted(map(repr, to_bob))
    assert len(copies) > 30
    honest = Link(authentication=authentication, misalignment=0.01).run(6)
    for block, result in honest.alice.results.items():
        assert np.array_equal(result.key, link.alice.results[block].key)


def test_a_share_of_link_messages_is_replayed():
    """A fraction of the link's messages is repeated, none of Bob's and no query."""
    link = Link(attacks=[(ALWAYS, Replay(0.5, messages="link", after=0.001))], preshared=128 + 60 * 384)
    desk = Asking(link, key_bits=20_000)
    copies = []
    link.eve._inject = copies.append
    link.run(60)
    desk.run(30.0)
    messages = sum(seen.envelope.receiver == "bob" and seen.envelope.session >= 0 for seen in link.wire.seen)
    assert messages > 250
    assert_binomial(len(copies), messages, 0.5, fault=0.15)
    assert all(envelope.session >= 0 and envelope.receiver == "bob" for envelope in copies)


@pytest.mark.parametrize("window", [ALWAYS, Window(2.0, 4.0)], ids=["always", "a while"])
def test_traffic_analysis_counts_envelopes_of_one_length(window):
    """She counts who asks and who is answered while she listens, sees one length of each, and reads nothing."""
    link = Link(attacks=[(window, AnalyseTraffic())])
    desk = Asking(link, clients=2, key_bits=100_000, workload={"budget": 8}).run(30.0)
    assert desk.statuses == ["answered"] * 16
    expected = collections.Counter()
    for seen in link.wire.seen:
        if window.covers(seen.t_s) and seen.message.kind in ("query", "answer"):
            client = seen.envelope.sender if seen.message.kind == "query" else seen.envelope.receiver
            expected[seen.message.kind, client, len(seen.data)] += 1
    assert link.eve.notebook.traffic == expected
    assert {client for _, client, _ in expected} == {"client-1", "client-2"}
    for kind in ("query", "answer"):
        assert len({length for what, _, length in expected if what == kind}) == 1
    if window is ALWAYS:
        assert sum(expected.values()) == 32
    assert not link.eve.notebook.queries
    assert not link.tape.alarms


# The man in the middle.

ONE_DECOY = DecoyBB84((0.5, 0.15), (0.7, 0.3), 0.8)
WEAK = WeakBB84(None, mean_photons=0.1, block_pulses=100_000, test_fraction=0.5, counted=False)
PLACES = {
    "bb84": {},
    "e91, source at alice": {"protocol": E91()},
    "e91, source in the middle, eve before it": {"protocol": E91(), "middle": True, "eve_km": 2.0},
    "e91, source in the middle, eve behind it": {"protocol": E91(), "middle": True, "eve_km": 8.0},
    "qubits": {"grain": "qubit", "pulses": 1400},
    "sampled": {"grain": "sampled"},
    "six-state": {"protocol": SixState(), "pulses": 16_000},
    "six-state, sampled": {"protocol": SixState(), "pulses": 16_000, "grain": "sampled"},
    "one decoy": {"protocol": ONE_DECOY, "pulses": 200_000},
    "one decoy, sampled": {"protocol": ONE_DECOY, "pulses": 200_000, "grain": "sampled"},
    "weak, sampled": {"protocol": WEAK, "pulses": 100_000, "grain": "sampled"},
    "bbm92, sampled, source at alice": {"protocol": BBM92(), "pulses": 5000, "grain": "sampled"},
    "bbm92, sampled, source in the middle, eve before it": {
        "protocol": BBM92(),
        "pulses": 5000,
        "grain": "sampled",
        "middle": True,
        "eve_km": 2.0,
    },
    "bbm92, sampled, source in the middle, eve behind it": {
        "protocol": BBM92(),
        "pulses": 5000,
        "grain": "sampled",
        "middle": True,
        "eve_km": 8.0,
    },
    "e91, sampled": {"protocol": E91(), "pulses": 12_000, "grain": "sampled"},
}


EVERYWHERE = [pytest.param(place, marks=pytest.mark.slow) if place == "qubits" else place for place in PLACES]


def impersonated(place, window=ALWAYS, **keywords):
    """A link with Eve in the middle."""
    settings = {"length_km": 10.0, "attenuation": 0.1, "eve_km": 5.0, **PLACES[place]}
    settings.setdefault("pulses", 12_000 if "protocol" in settings else 3000)
    return Link(attacks=[(window, Impersonate())], **settings | keywords)


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_man_in_the_middle_has_two_clean_links(place):
    """Without authentication: no errors, no abort, no alarm; Alice's key is Eve's, Bob's key is Eve's, and they differ."""
    link = impersonated(place, authentication=False).run(4)
    link.assert_settled()
    assert link.reasons == [("", "")] * 4
    assert not link.tape.alarms
    double = link.eve.double
    for block, mine in link.alice.results.items():
        theirs = link.bob.results[block]
        assert mine.estimate.errors == theirs.estimate.errors == 0
        assert np.array_equal(mine.key, double.as_bob.results[block].key)
        assert np.array_equal(theirs.key, double.as_alice.results[block].key)
        common = min(len(mine.key), len(theirs.key))
        assert not np.array_equal(mine.key[:common], theirs.key[:common])
        if mine.estimate.chsh is not None:
            assert mine.estimate.chsh[0] > 2.5
            assert theirs.estimate.chsh[0] > 2.5
    # What the sites hold are two keys under two sets of addresses: none is taken for another.
    assert not contents(link.keys[0].outgoing).keys() & contents(link.keys[1].incoming).keys()


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_man_in_the_middle_fails_against_authentication(place):
    """With authentication every block she takes ends, she holds no key of theirs, and both sides know."""
    link = impersonated(place, authentication=True).run(4)
    link.assert_settled()
    assert link.reasons == [("authentication", "authentication")] * 4
    assert not any(kme.outgoing.deposited_bits for kme in link.keys)
    assert {node for node, _ in link.tape.alarms} == {"alice", "bob"}
    assert len(link.eve.double.blocks) == 4


@pytest.mark.parametrize("place", EVERYWHERE)
def test_she_takes_whole_blocks_in_her_window(place):
    """The blocks that begin in the window are hers, whole, and the others are Alice's and Bob's own."""
    link = impersonated(place, authentication=False)
    block_s = link.parameters.block_s
    link = impersonated(place, Window(0.5 * block_s, 2.5 * block_s), authentication=False).run(5)
    link.assert_settled()
    assert link.eve.double.blocks == {1, 2}
    assert link.reasons == [("", "")] * 5
    same = [np.array_equal(link.alice.results[b].key, link.bob.results[b].key) for b in range(5)]
    assert same == [True, False, False, True, True]


def test_she_may_come_late():
    """An attack that begins hundreds of blocks into the run works as one that begins at once."""
    block_s = 0.003
    link = impersonated("bb84", Window(299.5 * block_s, 303 * block_s), authentication=False)
    link.env.run(until=300 * block_s)

    def three_blocks():
        for block in range(300, 303):
            link.env.process(link.alice.distil(block))
            link.alice._send_light(link.alice.emit(block))
            yield link.env.timeout(block_s)

    link.bob.expect(299)
    link.env.process(three_blocks())
    link.env.run(until=5.0)
    assert link.reasons == [("", "")] * 3
    assert link.eve.double.blocks == {300, 301, 302}


@pytest.mark.parametrize("query_mac", [True, False])
@pytest.mark.parametrize("place", ["bb84", "e91, source in the middle, eve before it"])
def test_she_reads_queries_and_seals_them_again(place, query_mac):
    """Without authentication she reads every query and answers flow on, MAC or not: it is her MAC, under her key."""
    link = impersonated(place, authentication=False, query_mac=query_mac)
    desk = Asking(link, workload={"rate_hz": 20.0, "start_s": 0.3, "budget": 5})
    link.run(12)
    assert desk.statuses == ["answered"] * 5
    assert all(query.answer == query.truth for query in desk.queries)
    assert link.eve.notebook.queries == {(1, query.sequence): query.plaintext for query in desk.queries}
    assert not link.tape.alarms


def test_she_keeps_reading_after_her_window():
    """Keys made while she was there are hers later on: queries under them are read, those under later keys are not."""
    block_s = 0.02
    link = impersonated("bb84", Window(0.0, 1.5 * block_s), authentication=False, pulses=20_000)
    desk = Asking(link, workload={"rate_hz": 20.0, "start_s": 0.3, "budget": 20})
    link.run(8)
    read = link.eve.notebook.queries
    assert 3 < len(read) < 17
    assert read == {(1, query.sequence): query.plaintext for query in desk.queries[: len(read)]}
    # The key that lies across the end of her window is half hers and half Bob's: nobody can open what is under it.
    assert sorted(desk.statuses) in (["answered"] * 20, ["answered"] * 19 + ["lost"])


def test_she_reads_nothing_where_messages_are_authenticated():
    """With authentication queries wait for key that never comes, or go under key that is not hers."""
    link = impersonated("bb84", Window(0.02, 1.0), pulses=20_000)
    desk = Asking(link, workload={"rate_hz": 20.0, "start_s": 0.3, "budget": 12, "patience_s": 0.1})
    link.run(8)
    assert link.eve.notebook.queries == {}
    assert {"answered", "gave up"} <= set(desk.statuses)
    assert set(desk.server.rejections) <= {"no key for the answer"}


RANGE = """\
name: x
fabric: direct
duration: 100 ms
link: {protocol: bb84, pulse_rate: 5 MHz, block_pulses: 50000, length: 1 km}
keys: {reserve: 0 bit}
"""


@pytest.mark.parametrize(("known", "hers"), [("100 %", True), ("99 %", False), ("0 %", False)])
def test_knowing_the_preshared_key(known, hers):
    """With all of the pre-shared key she passes for either; one bit in a hundred unknown is as good as none.

    A block takes 512 bits of it, of which she guesses five in the mean, and passes with probability 2^-u; here she does not.
    """
    attack = f"timeline: [{{at: 0 s, action: eve.impersonate, known_preshared: {known}}}]\n"
    result = run(load_text(RANGE + attack, "x.yaml"), write=False).summary
    if hers:
        assert result["link"]["blocks_aborted"] == 0
        assert result["eve"]["known_key_bits"] == result["link"]["secret_bits"] > 0
        assert result["keys"]["mismatched_bits"] > 0
        assert not result["eve"]["detected"]
    else:
        assert result["link"]["abort_reasons"] == {"authentication": result["link"]["blocks"]}
        assert result["eve"]["known_key_bits"] == result["link"]["secret_bits"] == 0
        assert result["eve"]["detected"]


def test_exhausting_keys_starves_the_others():
    """A client of hers that asks often empties the pool: others' queries give up, all that she asks is not counted as theirs."""
    asking = "queries: {rate: 100 /s, start: 50 ms, arrivals: periodic}\ndefences: {patience: 5 ms}\n"
    asking += "server: {training: {samples: 20}}\n"
    longer = RANGE.replace("100 ms", "200 ms").replace("50000,", "20000,")
    free = run(load_text(longer + asking, "x.yaml"), write=False).summary
    attack = "timeline: [{at: 40 ms, action: eve.exhaust_keys, rate: 4000 /s}]\n"
    starved = run(load_text(longer + asking + attack, "x.yaml"), write=False).summary
    assert free["queries"]["gave_up"] == 0
    assert free["queries"]["answered"] > 10
    assert starved["queries"]["issued"] == free["queries"]["issued"]
    assert starved["queries"]["gave_up"] > 5
    assert starved["keys"]["consumed_bits"] > 3 * free["keys"]["consumed_bits"]
    assert starved["eve"]["known_key_bits"] == 0
    assert starved["keys"]["reused_bits"] == 0


# The catalogue.


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_of_the_catalogue_is_complete(name):
    """Every action says its id, family, sign, what Eve gets, its source, and what each parameter means."""
    action = CATALOGUE[name]
    assert action.id == name
    assert re.fullmatch(r"(eve|network|link|server|model|host|data)\.[a-z_]+", name)
    assert action.family in ("channel", "device", "classical", "model", "environment")
    plain = load_text("duration: 1 s\nlink: {protocol: bb84}\n", "x.yaml")
    assert all(isinstance(unmet(need, plain), str) for need in action.needs)  # a need is one that is known
    assert action.adversarial == (action.family != "environment")
    for text in (action.sign, action.gets, action.source):
        assert text
        assert text == text.strip()
    assert isinstance(action.defences, tuple)
    assert action.defences or not action.adversarial or action.family == "model"
    assert inspect.getdoc(action)
    fields = {field.name for field in dataclasses.fields(action)}
    assert {field.name for field, _ in action.parameters()} == fields
    for field, unit in action.parameters():
        assert isinstance(unit, Unit)
        assert unit.doc
        assert unit.dimension in ("fraction", "s", "/s", "dB", "bit", "number", "choice", "names", "flag")
        assert bool(unit.choices) == (unit.dimension in ("choice", "names"))
        default = field.default
        if default is dataclasses.MISSING:
            continue
        if unit.dimension == "choice":
            assert default in unit.choices
        elif unit.dimension == "names":
            assert set(default) <= set(unit.choices)
        else:
            assert unit.minimum is None or default >= unit.minimum
            assert unit.maximum is None or default <= unit.maximum


def test_the_catalogue_is_all_there_is():
    """Every action defined is in the catalogue, under its own name."""
    bases = {Poisoning, asking.Asking}
    defined = set(Action.__subclasses__()).union(*(base.__subclasses__() for base in bases)) - bases
    assert set(CATALOGUE.values()) == defined


def test_an_action_does_nothing_by_itself():
    """The base action, as those of the environment and the model, leaves light and frames as they are."""
    link = Link()
    train = PulseTrain(np.zeros(10, np.uint8), 0, 0.0, 1e6)
    before = train._states.copy(), train._photons.copy()
    for action in (FlipLabels(), CATALOGUE["network.delay"](0.1), CATALOGUE["server.slow"](2.0)):
        action.on_photons(link.eve, train, slice(0, 10), "bob")
    assert np.array_equal(train._states, before[0])
    assert np.array_equal(train._photons, before[1])
    assert train._flags is None
    assert not link.eve.notebook.blocks


@pytest.mark.parametrize("how", ["random", "targeted"])
@pytest.mark.parametrize("fraction", ["0 %", "25 %", "100 %"])
def test_labels_are_flipped_before_training_only(how, fraction):
    """The share of training labels that the scenario names is flipped; features and the test set are untouched."""
    text = "name: x\nfabric: direct\nduration: 1 s\nlink: {protocol: bb84, block_pulses: 1000}\nqueries: {}\n"
    flips = f"timeline: [{{at: 0 s, action: model.flip_labels, fraction: {fraction}, how: {how}}}]\n"
    sets = []
    for document in (text, text + flips):
        scenario = load_text(document, "x.yaml")
        streams = RandomStreams(scenario.seed)
        learnt = lesson(scenario, streams)
        sets.append((learnt.train, learnt.test))
    (train, test), (flipped, test_too) = sets
    share = float(fraction.split()[0]) / 100
    changed = int((train.labels != flipped.labels).sum())
    if how == "random":
        assert changed == round(share * len(train.labels))
    assert changed <= math.ceil(share * len(train.labels))
    assert (changed > 0) == (share > 0)
    assert np.array_equal(train.features, flipped.features)
    assert np.array_equal(test.features, test_too.features)
    assert np.array_equal(test.labels, test_too.labels)


def test_the_range_wires_eve_as_this_file_does():
    """The composition root puts the timeline's attacks into Eve's hands with their windows, and nothing else's."""
    text = (
        "name: x\nfabric: direct\nduration: 1 s\nlink: {protocol: bb84, block_pulses: 1000}\n"
        "timeline:\n  - {at: 0.1 s, until: 0.2 s, action: eve.intercept_resend, fraction: 30 %}\n"
        "  - {at: 0.3 s, action: link.misalign, error: 1 %}\n"
    )
    scenario = load_text(text, "x.yaml")
    streams = RandomStreams(1)
    with fabric_of(scenario, streams) as fabric:
        world = build(scenario, fabric, streams)
    assert world.eve._attacks == ((Window(0.1, 0.2), InterceptResend(0.3, "random")),)


def test_two_impostors_at_once_are_one():
    """Overlapping impersonations take each block once, and go on taking them while either lasts."""
    link = Link(
        authentication=False,
        attacks=[(Window(0.0, 0.004), Impersonate()), (Window(0.002, 0.008), Impersonate())],
    ).run(5)
    assert link.eve.double.blocks == {0, 1, 2, 3}
    assert all(result.accepted for result in link.alice.results.values())
