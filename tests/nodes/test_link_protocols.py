"""Every protocol and grain through the one conversation: equal keys, exact accounts, forged announcements, the alarm."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest

from netsim.messages import Detections, Envelope, decode
from netsim.postprocessing import cascade
from netsim.protocols.bb84 import BB84
from netsim.protocols.bbm92 import BBM92
from netsim.protocols.decoy import DecoyBB84
from netsim.protocols.e91 import E91
from netsim.protocols.protocol import AbortThresholds, Revealed, Security
from netsim.protocols.six_state import SixState
from netsim.protocols.weak import WeakBB84
from netsim.window import Window
from nodes.alarm import AlarmParameters
from nodes.attacks.channel import InterceptResend
from nodes.session import ABORT_REASONS, AuthenticationPool
from tests.nodes.harness import Link, Meddler, account, replacing
from tests.statistics import assert_binomial

PADS = AuthenticationPool.BITS_PER_BLOCK
TEST_FRACTION = 0.3


def weak(pulses: int, key_basis: float | None = None, **keywords) -> WeakBB84:
    """Weak pulses without decoys, in blocks of so many."""
    settings = {"mean_photons": 0.02, "block_pulses": pulses, "test_fraction": TEST_FRACTION}
    return WeakBB84(key_basis, **settings | keywords)


TWO_DECOYS = DecoyBB84((0.5, 0.1, 0.0002), (0.5, 0.35, 0.15), 0.7)
ONE_DECOY = DecoyBB84((0.5, 0.15), (0.7, 0.3), 0.8)
CASES = {
    # protocol, pulses that give key
    "bb84": (BB84(), 4000),
    "biased bb84": (BB84(0.9), 6000),
    "e91": (E91(), 12_000),
    "bbm92": (BBM92(), 6000),
    "biased bbm92": (BBM92(0.8), 8000),
    "six-state": (SixState(), 20_000),
    "two decoys": (TWO_DECOYS, 1_500_000),
    "one decoy": (ONE_DECOY, 300_000),
    "weak": (weak(300_000), 300_000),
    "weak, ignored": (weak(100_000, mean_photons=0.1, counted=False), 100_000),
    "biased weak": (weak(300_000, 0.8), 300_000),
}
GRAINS = ("pulse", "sampled")


def link_of(case: str, grain: str = "pulse", *, pulses: int | None = None, **keywords) -> Link:
    """A link with some of everything: loss, errors, dark counts."""
    protocol, enough = CASES[case]
    usual = {
        "misalignment": 0.005,
        "length_km": 2.0,
        "efficiency": 0.9,
        "dark_counts": 1e-5,
        "test_fraction": TEST_FRACTION,
    }
    return Link(protocol, pulses=pulses or enough, grain=grain, **usual | keywords)


def said_of_errors(link: Link, block: int):
    """The estimate again, from nothing but what passed on the wire."""
    (detections,), (sifting,), (sample,) = (
        link.wire.about(block, kind) for kind in ("detections", "sifting", "sample")
    )
    both, revealed = sifting.clicked.astype(bool), sifting.revealed.astype(bool)
    sent = sifting.intensities if len(sifting.intensities) else np.zeros_like(sifting.settings)
    return link.parameters.protocol.estimate(
        Revealed(
            sifting.settings[revealed],
            detections.settings[both][revealed],
            sifting.outcomes,
            sample.outcomes,
            sent[revealed],
        )
    )


@pytest.mark.parametrize("authentication", [True, False])
@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("case", CASES)
def test_both_ends_have_one_key_and_one_account(case, grain, authentication):
    """In every block the keys are equal, the ledgers are each other's and the wire's, and all that both counted agrees."""
    link = link_of(case, grain, authentication=authentication).run(2)
    link.assert_settled()
    link.assert_no_unequal_keys()
    assert link.reasons == [("", "")] * 2
    assert not link.tape.alarms
    for block, mine in link.alice.results.items():
        theirs = link.bob.results[block]
        assert len(mine.key) == mine.ledger.secret_bits > 0
        assert np.array_equal(mine.key, theirs.key)
        assert np.array_equal(mine.sifted_key, theirs.sifted_key)
        assert mine.ledger == theirs.ledger
        assert mine.ledger.imbalance() == 0
        expected = account(link, block)
        assert {name: getattr(mine.ledger, name) for name in expected} == expected
        assert mine.estimate == theirs.estimate == said_of_errors(link, block)
        assert mine.bound == theirs.bound
        assert mine.bound.length == mine.ledger.secret_bits
        assert mine.bound.n == mine.ledger.key_bits
        disclosed = mine.ledger.disclosed_parities + mine.ledger.disclosed_counts
        assert mine.bound.leak_ec_bits == disclosed
        assert (mine.detected, mine.sifted) == (theirs.detected, theirs.sifted)
        assert sum(mine.detected) == mine.ledger.detections
        assert sum(sum(row) for row in mine.sifted) == mine.ledger.sifted_bits
        assert theirs.monitors.gates == mine.ledger.pulses
        assert (mine.monitors is not None) == link.parameters.protocol.entangled
    if link.parameters.protocol.entangled:
        return
    # Who prepares has an outcome for every click.
    assert all(r.monitors.clicks == r.ledger.detections for r in link.bob.results.values())


@pytest.mark.parametrize("case", ["biased bb84", "two decoys", "one decoy", "biased bbm92", "biased weak"])
@pytest.mark.parametrize("grain", GRAINS)
def test_with_a_key_basis_the_key_is_of_that_basis(case, grain):
    """Every kept round is one of Z and every one of X is given away, whatever the share of the test."""
    link = link_of(case, grain).run(1)
    (sifting,), (detections,) = link.wire.about(0, "sifting"), link.wire.about(0, "detections")
    both = sifting.clicked.astype(bool)
    theirs, revealed = detections.settings[both], sifting.revealed.astype(bool)
    kept = (sifting.settings == theirs) & ~revealed
    assert not sifting.settings[kept].any()
    assert revealed[(sifting.settings == 1) & (theirs == 1)].all()
    assert not revealed[sifting.settings != theirs].any()
    in_z = int(((sifting.settings == 0) & (theirs == 0)).sum())
    assert int(kept.sum()) == in_z - round(TEST_FRACTION * in_z)
    assert link.alice.results[0].ledger.key_bits == int(kept.sum())


@pytest.mark.parametrize("grain", GRAINS)
def test_intensities_are_announced_only_where_they_are_told_apart(grain):
    """Decoys' intensities are said of each click and in the shares that were sent; with one intensity nothing is said."""
    link = link_of("two decoys", grain).run(1)
    (sifting,) = link.wire.about(0, "sifting")
    assert len(sifting.intensities) == len(sifting.settings)
    found = np.bincount(sifting.intensities, minlength=3).tolist()
    assert tuple(found) == link.alice.results[0].detected
    for kind, (mean, share) in enumerate(zip(TWO_DECOYS.mean_photons, TWO_DECOYS.probabilities, strict=True)):
        transmittance = 0.9 * 10 ** (-0.2 * 2 / 10)
        gain = 1 - (1 - 1e-5) ** 2 * np.exp(-mean * transmittance)
        assert_binomial(found[kind], 1_500_000, share * gain)
    for case in ("weak", "bb84", "bbm92"):
        (sifting,) = link_of(case, grain).run(1).wire.about(0, "sifting")
        assert len(sifting.intensities) == 0


@pytest.mark.parametrize("grain", GRAINS)
def test_reconciliation_is_planned_for_the_errors_of_the_key(monkeypatch, grain):
    """With errors in the key basis only, or of the weak intensities only, both sides plan for what the sample of Z showed."""
    planned = []
    plan = cascade.plan

    def spy(n, qber, seed, **parameters):
        planned.append((n, qber))
        return plan(n, qber, seed, **parameters)

    monkeypatch.setattr(cascade, "plan", spy)
    for case in ("biased bb84", "two decoys", "one decoy"):
        planned.clear()
        # Measuring in X leaves the test basis as it is and turns a tenth of the bits of Z.
        attacks = [(Window(), InterceptResend(0.2, "x"))]
        link = link_of(case, grain, attacks=attacks, thresholds=AbortThresholds(None)).run(1)
        result = link.alice.results[0]
        (sifting,), (sample,) = link.wire.about(0, "sifting"), link.wire.about(0, "sample")
        in_z = sifting.settings[sifting.revealed.astype(bool)] == 0
        wrong = sifting.outcomes[in_z] != sample.outcomes[in_z]
        assert planned == [(result.ledger.key_bits, float(wrong.mean()))] * 2
        assert 0.05 < planned[0][1] < 0.15
        assert planned[0][1] != result.estimate.qber


def clicks_of(link: Link) -> list:
    """What Bob's receiver will have registered, block by block."""
    registered, measure = [], link.bob.measure

    def remember(*arguments):
        registered.append(measure(*arguments))
        return registered[-1]

    link.bob.measure = remember
    return registered


@pytest.mark.parametrize("grain", GRAINS)
def test_what_reconciliation_corrected_is_told_by_intensity_and_charged(grain):
    """With one decoy Bob says how many bits he turned at each intensity: exactly those, for 32 bits each, in both ledgers."""
    link = link_of("one decoy", grain, misalignment=0.02, pulses=600_000)
    registered = clicks_of(link)
    link.run(3)
    assert link.reasons == [("", "")] * 3
    for block, mine in link.alice.results.items():
        theirs, (said,) = link.bob.results[block], link.wire.about(block, "verification")
        (sifting,) = link.wire.about(block, "sifting")
        clicks = registered[block]
        kept = (sifting.settings == clicks.settings) & ~sifting.revealed.astype(bool)
        wrong = clicks.outcomes[kept] != mine.sifted_key
        expected = np.bincount(sifting.intensities[kept][wrong], minlength=2)
        assert said.corrected.tolist() == expected.tolist()
        assert theirs.corrected_bits == int(expected.sum()) > 100
        assert min(expected) > 10
        assert mine.ledger.disclosed_counts == theirs.ledger.disclosed_counts == 64
        parities = sum(len(answer.parities) for answer in link.wire.about(block, "parities"))
        assert mine.bound.leak_ec_bits == parities + 64
        assert mine.ledger.leak_ec_bits == parities + 64 + 8 * len(said.tag)


@pytest.mark.parametrize("case", [case for case in CASES if case != "one decoy"])
def test_no_other_protocol_tells_what_it_corrected(case):
    """Where the bound does not ask for it, nothing is said, and nothing charged."""
    link = link_of(case).run(1)
    (said,) = link.wire.about(0, "verification")
    assert len(said.corrected) == 0
    assert link.alice.results[0].ledger.disclosed_counts == 0


# What Eve may say instead.


def elsewhere(slots: np.ndarray) -> np.ndarray:
    """As many other slots, at most of which nothing clicked."""
    rng = np.random.default_rng(3)
    return np.sort(rng.choice(20_000, len(slots), replace=False))


def raised(values: np.ndarray) -> np.ndarray:
    """One of them out of range by one."""
    return np.append(values[:-1], 2).astype(np.uint8)


FORGED = {
    # kind, field, change, reason with authentication, reason without
    "detections: intensities": (
        "detections",
        "intensities",
        lambda _: np.uint8([0]),
        *["malformed_message"] * 2,
    ),
    "detections: beyond the block": (
        "detections",
        "slots",
        lambda s: np.append(s[:-1], 20_000),
        *["malformed_message"] * 2,
    ),
    "detections: elsewhere": ("detections", "slots", elsewhere, "qber", "qber"),
    "detections: everywhere": (
        "detections",
        None,
        lambda m: dataclasses.replace(
            m, slots=np.arange(20_000), settings=np.arange(20_000, dtype=np.uint8) % 2
        ),
        *["malformed_message"] * 2,
    ),
    "detections: nowhere": (
        "detections",
        None,
        lambda m: Detections(m.slots[:0], m.settings[:0], m.intensities),
        *["malformed_message"] * 2,
    ),
    "sifting: no such intensity": ("sifting", "intensities", raised, *["malformed_message"] * 2),
    "sifting: none at all such": ("sifting", "intensities", lambda i: i + 7, *["malformed_message"] * 2),
    "sifting: far out": ("sifting", "intensities", lambda i: i * 0 + 255, *["malformed_message"] * 2),
    "sifting: no intensities": ("sifting", "intensities", lambda i: i[:0], *["malformed_message"] * 2),
    "sifting: one less": ("sifting", "intensities", lambda i: i[1:], *["malformed_message"] * 2),
    "sifting: one more": ("sifting", "intensities", lambda i: np.append(i, 0), *["malformed_message"] * 2),
    "sifting: others": ("sifting", "intensities", lambda i: 1 - i, None, None),
    "sifting: all signal": ("sifting", "intensities", lambda i: 0 * i, None, None),
    "sifting: no such basis": ("sifting", "settings", raised, *["malformed_message"] * 2),
    "sifting: a click less": ("sifting", "clicked", lambda c: c[1:], *["malformed_message"] * 2),
    "verification: no counts": ("verification", "corrected", lambda c: c[:0], *["malformed_message"] * 2),
    "verification: one count": ("verification", "corrected", lambda c: c[:1], *["malformed_message"] * 2),
    "verification: three": (
        "verification",
        "corrected",
        lambda c: np.append(c, 0),
        *["malformed_message"] * 2,
    ),
    "verification: more than there are": (
        "verification",
        "corrected",
        lambda c: c + 20_000,
        *["malformed_message"] * 2,
    ),
    "verification: the most": (
        "verification",
        "corrected",
        lambda c: 0 * c + 2**32 - 1,
        *["malformed_message"] * 2,
    ),
    "verification: fewer": ("verification", "corrected", lambda c: 0 * c, None, None),
}


def decoy_link(grain: str, *, authentication: bool, **keywords) -> Link:
    """Small blocks with one decoy, whose length is set by hand: a real bound gives such blocks no key."""
    return link_of(
        "one decoy", grain, pulses=20_000, authentication=authentication, misalignment=0.02, **keywords
    )


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("authentication", [True, False])
@pytest.mark.parametrize("change", FORGED)
def test_forged_intensities_and_corrections(short_bound, change, authentication, grain):
    """What cannot be ends the block as malformed; what could be, with authentication gives nobody key; nothing crashes."""
    del short_bound
    kind, field, how, with_tags, without = FORGED[change]
    link = decoy_link(grain, authentication=authentication)
    if field is None:

        def meddle(frame, envelope):
            message = decode(envelope.body)
            if message.kind == kind:
                frame.data = dataclasses.replace(envelope, body=how(message).encode()).encode()

        link.wire.meddle = meddle
    else:
        replacing(link, kind, **{field: how})
    link.run(2)
    link.assert_settled()
    reason = with_tags if authentication else without
    if reason is not None:
        assert {reason for pair in link.reasons for reason in pair} == {reason}
    if authentication:
        assert all(mine and theirs for mine, theirs in link.reasons)
        link.assert_no_unequal_keys()
        assert not any(kme.outgoing.deposited_bits for kme in link.keys)
        assert {node for node, _ in link.tape.alarms} == {"alice", "bob"}


@dataclasses.dataclass(frozen=True)
class _Short:
    """A length that asks for nothing but something to cut."""

    n: int
    leak_ec_bits: float
    length: int


@pytest.fixture
def short_bound(monkeypatch):
    """Blocks far too short for the decoy bound give a fifth of their bits, and depend on all that the bound depends on."""

    def key_length(self, kept, estimate, disclosed_parities, tag_bits, security):
        del self, security
        charged = int(kept.errors.sum()) + sum(cell.errors for cell in estimate.intensities)
        signals = int((kept.intensities == 0).sum())
        return _Short(len(kept.settings), disclosed_parities, max(0, signals // 5 - charged - tag_bits))

    monkeypatch.setattr(DecoyBB84, "key_length", key_length)


@pytest.mark.parametrize("grain", GRAINS)
def test_the_short_bound_gives_key(short_bound, grain):
    """What the forgeries are tried on gives key when nothing is forged."""
    del short_bound
    link = decoy_link(grain, authentication=True).run(2)
    assert link.reasons == [("", "")] * 2
    assert link.keys[0].outgoing.deposited_bits > 0


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("authentication", [True, False])
@pytest.mark.parametrize("case", ["bb84", "bbm92", "one decoy"])
def test_detections_announced_before_the_light_has_arrived(case, authentication, grain):
    """Eve announces clicks while the train is still under way: the block ends on both sides, and the next gives key."""
    pulses = 20_000 if case == "one decoy" else 6000
    link = link_of(
        case, grain, pulses=pulses, authentication=authentication, length_km=50.0, attenuation=0.01
    )
    slots = np.arange(0, pulses, 3)
    forged = Detections(slots, (slots % 2).astype(np.uint8), np.empty(0, np.uint8))

    def early():
        yield link.env.timeout(0.0001)
        link.to_alice.send(Envelope("bob", "alice", 0, 0, forged.encode()))

    link.env.process(early())
    link.run(2)
    link.assert_settled()
    assert all(link.reasons[0])
    assert link.reasons[1] in {("", ""), ("too_short", "too_short")}
    link.assert_no_unequal_keys()


# Many blocks, and random meddling.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "grain", "pulses", "error", "blocks"),
    [
        (BB84(), "sampled", 900, 0.003, 700),
        (BB84(0.8), "pulse", 1600, 0.01, 200),
        (BB84(0.8), "sampled", 1600, 0.01, 200),
        (BBM92(), "pulse", 1200, 0.01, 200),
        (BBM92(), "sampled", 1200, 0.01, 200),
        (E91(), "sampled", 6000, 0.005, 100),
        (SixState(), "pulse", 6000, 0.01, 50),
        (SixState(), "sampled", 6000, 0.01, 50),
        (ONE_DECOY, "sampled", 300_000, 0.005, 20),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "name", None),
)
def test_keys_are_equal_in_every_accepted_block(protocol, grain, pulses, error, blocks):
    """Hundreds of small blocks with errors: both accept the same ones, and their keys are the same.

    With ε_cor = 1e-10, blocks × (share in which Cascade leaves an error, below 1e-2) × ε_cor is below 2e-9 for all of them.
    """
    link = Link(
        protocol,
        pulses=pulses,
        grain=grain,
        misalignment=error,
        preshared=128 + PADS * blocks,
        thresholds=AbortThresholds(0.3, 1.0),
    ).run(blocks)
    link.assert_settled()
    reasons = collections.Counter(link.reasons)
    assert set(reasons) <= {("", ""), ("too_short", "too_short"), ("verification", "verification")}
    assert reasons["", ""] > 0.7 * blocks
    for mine, theirs in zip(link.alice.results.values(), link.bob.results.values(), strict=True):
        assert np.array_equal(mine.key, theirs.key)
        if mine.accepted:
            assert mine.ledger == theirs.ledger
            assert mine.ledger.imbalance() == 0
            assert mine.estimate == theirs.estimate
            assert mine.bound == theirs.bound
    link.assert_no_unequal_keys()
    keys = np.concatenate([result.key for result in link.alice.results.values()])
    assert_binomial(int(keys.sum()), len(keys), 0.5, fault=0.6)


@pytest.mark.slow
@pytest.mark.parametrize("authentication", [True, False])
@pytest.mark.parametrize("case", ["one decoy", "six-state", "bbm92", "bb84"])
def test_no_meddling_makes_a_party_crash_or_keys_differ(short_bound, case, authentication):
    """Whatever is done to frames at random, on sampled trains too, nobody crashes or hangs, and no authenticated keys differ."""
    del short_bound
    pulses = {"one decoy": 20_000, "six-state": 5000, "bbm92": 1500, "bb84": 1400}[case]
    ended = collections.Counter()
    for seed in range(15 if case == "six-state" else 30):
        link = link_of(
            case,
            "sampled",
            pulses=pulses,
            seed=seed,
            authentication=authentication,
            timeout_s=0.02,
            security=Security(0.9, 1e-10),
        )
        link.wire.meddle = Meddler(link, seed)
        link.run(4)
        link.assert_settled()
        assert all({mine, theirs} <= {"", *ABORT_REASONS} for mine, theirs in link.reasons)
        ended.update(reason for pair in link.reasons for reason in pair)
        if authentication:
            link.assert_no_unequal_keys()
            for mine, theirs in zip(link.alice.results.values(), link.bob.results.values(), strict=True):
                assert not mine.accepted or np.array_equal(mine.key, theirs.key)
    assert ended[""] > 10
    assert ended["malformed_message"] > 3
    assert ended["timeout"] > 3


# The alarm.

WATCHING = AlarmParameters(
    1e-6, calibration_blocks=10, tolerance=0.1, tolerances={"qber Z": 0.4, "qber X": 0.4}
)
QUIET_BLOCKS, ATTACKED_BLOCKS = 20, 5


def watched(
    *, abort: bool, alarm: AlarmParameters | None = WATCHING, fraction: float = 0.2, grain: str = "sampled"
):
    """Twenty quiet blocks of BB84, five under intercept-resend, and five more."""
    pulses = 20_000
    begin, end = QUIET_BLOCKS * pulses / 1e6, (QUIET_BLOCKS + ATTACKED_BLOCKS) * pulses / 1e6
    return Link(
        BB84(),
        pulses=pulses,
        grain=grain,
        misalignment=0.01,
        length_km=5.0,
        preshared=128 + 40 * PADS,
        thresholds=AbortThresholds(0.11, alarm=abort),
        attacks=[(Window(begin, end), InterceptResend(fraction, "random"))],
        alarm=alarm,
    ).run(QUIET_BLOCKS + ATTACKED_BLOCKS + 5)


@pytest.mark.parametrize("grain", GRAINS)
def test_an_attack_below_the_threshold_raises_the_alarm(grain):
    """A fifth of the pulses intercepted gives 6 % errors, below the threshold: each side's alarm names both bases, once, at once.

    20 quiet blocks raise a false alarm with probability 2 × 20 × 1e-6 at most, over all seeds; this one raises none.
    """
    link = watched(abort=False, grain=grain)
    assert link.reasons == [("", "")] * 30
    raised = {(node, reason) for node, reason in link.tape.alarms}
    assert raised == {(node, f"telemetry: qber {basis} above") for node in ("alice", "bob") for basis in "ZX"}
    assert len(link.tape.alarms) == len(raised)
    first, last = (QUIET_BLOCKS * 0.02, (QUIET_BLOCKS + 2) * 0.02)
    assert all(first <= h.t_s <= last + 0.02 for h in link.tape.of("alarm"))


def test_a_standing_alarm_ends_blocks_if_it_is_a_reason():
    """With abort, blocks end for `alarm` on both sides from the one that raises it on; none before, and the reason is told."""
    link = watched(abort=True)
    reasons = link.reasons
    assert reasons[:QUIET_BLOCKS] == [("", "")] * QUIET_BLOCKS
    attacked = reasons[QUIET_BLOCKS : QUIET_BLOCKS + ATTACKED_BLOCKS]
    ended = [pair == ("alarm", "alarm") for pair in attacked]
    assert ended == sorted(ended)
    assert sum(ended) >= ATTACKED_BLOCKS - 1
    assert set(attacked) <= {("", ""), ("alarm", "alarm")}
    link.assert_settled()
    link.assert_no_unequal_keys()
    assert ("alice", "alarm") in link.tape.alarms
    assert ("bob", "alarm") in link.tape.alarms


def test_without_an_alarm_nothing_is_watched():
    """No alarm at the posts: the same attack goes on unnoticed, as its errors are below the threshold."""
    link = watched(abort=True, alarm=None)
    assert not link.tape.alarms
    assert link.reasons == [("", "")] * 30


def test_the_threshold_speaks_first():
    """Where the errors are beyond the threshold as well, that is the reason given."""
    link = watched(abort=True, fraction=1.0)
    attacked = link.reasons[QUIET_BLOCKS : QUIET_BLOCKS + ATTACKED_BLOCKS]
    assert attacked == [("qber", "qber")] * ATTACKED_BLOCKS
    assert any(reason.startswith("telemetry: qber") for _, reason in link.tape.alarms)


@pytest.mark.parametrize("case", ["one decoy", "two decoys", "e91", "six-state"])
def test_telemetry_is_counts_of_what_was_said(case):
    """Gains by intensity, errors by basis and intensity, and Bob's instruments: each is what the block's messages give."""
    link = link_of(case).run(1)
    for party in (link.alice, link.bob):
        result = party.results[0]
        counts = party.telemetry(result).counts
        protocol = link.parameters.protocol
        gains = {f"gain {name}".strip() for name in protocol.intensities}
        assert {name for name in counts if name.startswith("gain")} == gains
        assert sum(counts[name][0] for name in gains) == result.ledger.detections
        assert {trials for name, (_, trials) in counts.items() if name in gains} == {result.ledger.pulses}
        # With decoys each intensity has a counter of its own, and the signal's is not there twice.
        bases = (
            () if result.estimate.intensities else result.estimate.bases
        )  # told apart by intensity, not twice
        errors = {f"qber {basis.basis}": (basis.errors, basis.tested) for basis in bases}
        if result.estimate.intensities:
            errors = {
                f"qber {cell.basis} {cell.intensity}": (cell.errors, cell.tested)
                for cell in result.estimate.intensities
            }
        assert {name: count for name, count in counts.items() if name.startswith("qber")} == errors
        instruments = party is link.bob or protocol.entangled
        assert ("double clicks" in counts) == instruments
        if instruments:
            assert counts["clicks"] == (result.monitors.clicks, result.ledger.pulses)
