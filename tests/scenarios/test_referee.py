"""The referee: what it counts, against worlds in which the truth is known, and sums that hold in any run."""

from __future__ import annotations

import dataclasses
import json
import math
import random

import numpy as np
import pytest
import simpy

from netsim.errors import ScenarioError
from netsim.key_length.asymptotic import binary_entropy
from netsim.keys.key_store import KeyStore
from netsim.random_streams import RandomStreams
from nodes.attacks.catalogue import CATALOGUE
from nodes.eve import Guess, Notebook
from nodes.kme import KeyManager
from nodes.link import BlockResult
from nodes.queries import QueryRecord
from scenarios import referee
from scenarios.loader import load_text
from scenarios.range import Range, build, fabric_of
from scenarios.recorder import Alarm, Deaf
from scenarios.referee import Findings, Referee
from scenarios.runner import Result, run
from tests.statistics import assert_binomial

LINK = """\
duration: 60 ms
fabric: direct
link:
  protocol: bb84
  pulse_rate: 5 MHz
  block_pulses: 50000
  length: 1 km
"""
QUERIES = """\
queries:
  clients: 2
  rate: 200 /s
  start: 30 ms
server:
  training:
    samples: 40
"""


def world_of(text: str, *, until_s: float | None = None) -> Range:
    """The range of a scenario, after so much of its time; all of it if nothing is said."""
    scenario = load_text(text, "world.yaml")
    streams = RandomStreams(scenario.seed)
    with fabric_of(scenario, streams) as carrier:
        world = build(scenario, carrier, streams)
        if until_s != 0:
            world.env.run(until=scenario.duration if until_s is None else until_s)
    return world


def judge(world: Range) -> Findings:
    """What a referee finds who comes when all is over; the bits are gone then."""
    return Referee(world).judge()


def attacked(*entries: str) -> str:
    """The link with a timeline of these entries."""
    return LINK + "timeline:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)


# Key handed out twice


def manager(bits: int) -> KeyManager:
    """A KME with so many bits to issue."""
    kme = KeyManager(simpy.Environment(), "kme-alice", "kme-bob", "forward", 0.0, Deaf())
    kme.deposit_outgoing(0, np.zeros(bits, dtype=np.uint8))
    return kme


def test_key_handed_out_once_is_not_reused():
    """Keys side by side share no bit."""
    kme = manager(1024)
    for _ in range(4):
        kme.issue_now(256)
    assert referee._reused(kme) == 0


def test_overlapping_keys_are_counted_by_the_bit(monkeypatch):
    """A store that moves on too little between keys is caught, with the bits that lie in two of them."""
    places = iter(
        [0, 192, 512, 256]
    )  # 64 bits of the second lie in the first, 192 of the fourth in the second
    kme = manager(2048)
    monkeypatch.setattr(KeyStore, "take", lambda *_: (next(places), np.zeros(256, dtype=np.uint8)))
    for _ in range(4):
        kme.issue_now(256)
    assert referee._reused(kme) == 64 + 192


def test_same_key_twice_is_counted_in_a_whole_run(monkeypatch):
    """A store that forgets to forget hands the same key to every query, and the summary says how many bits too many."""

    def take(store: KeyStore, count: int) -> tuple[int, np.ndarray]:
        address = store.locate(count)
        store.handed_out_bits += count
        return address, np.zeros(count, dtype=np.uint8)

    monkeypatch.setattr(KeyStore, "take", take)
    world = world_of(LINK + QUERIES)
    keys = judge(world).summary["keys"]
    issued = sum(query.sent_s is not None for client in world.clients for query in client.queries)
    assert issued > 5
    assert keys["reused_bits"] >= (issued - 1) * world.clients[0]._layout.query_key_bits
    assert keys["reused_bits"] < keys["consumed_bits"]


# Keys that differ


def test_differences_of_keys():
    """Bits in different positions and bits that one key lacks count, others do not."""
    key = np.array([0, 1, 1, 0], dtype=np.uint8)
    assert referee._differences(key, key) == 0
    assert referee._differences(key, np.array([1, 1, 0, 0], dtype=np.uint8)) == 2
    assert referee._differences(key, key[:1]) == 3
    assert referee._differences(key[:0], key) == 4


def test_mismatched_bits_are_counted():
    """Bits that differ between Alice's and Bob's final keys are found, in the block where they are."""
    assert judge(world_of(LINK)).summary["keys"]["mismatched_bits"] == 0
    world = world_of(LINK)
    world.bob.results[1].key[[3, 5, 8]] ^= 1
    findings = judge(world)
    assert findings.summary["keys"]["mismatched_bits"] == 3
    assert [row.mismatched_bits for row in findings.blocks[:3]] == [0, 3, 0]


def test_man_in_the_middle_is_seen_from_outside():
    """Alice's key is Eve's and not Bob's, and her reconciliation is judged by whom she reconciled with."""
    text = attacked("at: 0 s, action: eve.impersonate") + "defences:\n  authentication: false\n"
    summary = judge(world_of(text)).summary
    assert summary["eve"]["known_key_bits"] == summary["link"]["secret_bits"] > 0
    assert summary["keys"]["mismatched_bits"] > summary["link"]["secret_bits"] / 3
    assert not summary["eve"]["detected"]
    assert summary["link"]["epsilon"] == 1
    # Alice's light does not pass the misaligned end, so there may be no error at all and no efficiency.
    assert (summary["link"]["reconciliation_efficiency"] or 1.0) >= 1.0


# What Eve knows


class Informed(Notebook):
    """A notebook in which somebody wrote Alice's sifted keys, each bit wrong with a probability."""

    def __init__(self, world: Range, wrong: float, rng: np.random.Generator) -> None:
        super().__init__()
        self._alice, self._wrong, self._rng = world.alice, wrong, rng

    @property
    def blocks(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(self._alice.results)

    def guess_sifted(self, block: int, *_: object) -> Guess:
        """What was written, as if measured along the right axis."""
        key = self._alice.results[block].sifted_key
        return Guess(key ^ (self._rng.random(len(key)) < self._wrong), np.zeros(len(key), dtype=np.int16))

    def guess_final(self, block: int, guess: Guess) -> np.ndarray:
        """The final key if she has the sifted one, and coins if she has not."""
        mine = self._alice.results[block]
        if np.array_equal(guess.bits, mine.sifted_key):
            return mine.key
        return self._rng.integers(0, 2, len(mine.key), dtype=np.uint8)


def informed(wrong: float, bound: float = 0.0) -> tuple[list[BlockResult], Findings]:
    """What became of the blocks of a world with an informed Eve, and what the referee finds."""
    world = world_of(LINK)
    world.eve.notebook = Informed(world, wrong, np.random.default_rng(1))
    world.eve.notebook.bounds = dict.fromkeys(world.alice.results, bound)
    done = [dataclasses.replace(block) for block in world.alice.results.values() if block.end_s is not None]
    return done, judge(world)


def test_eve_who_knows_everything_is_found():
    """A planted Eve with all the sifted key has every bit of it, and of the final key."""
    done, findings = informed(0.0)
    assert findings.summary["link"]["secret_bits"] > 0
    assert findings.summary["eve"]["known_key_bits"] == findings.summary["link"]["secret_bits"]
    assert findings.summary["eve"]["known_sifted_bits"] == sum(len(block.sifted_key) for block in done)


def test_eve_who_knows_a_part_knows_that_much_information():
    """Of n bits guessed right at 0.9 she has n(1-h) bits; of the final key what amplification does not cover (to 8 sigma)."""
    done, findings = informed(0.1)
    known = sum(len(block.sifted_key) for block in done) * (1 - binary_entropy(0.1))
    assert abs(findings.summary["eve"]["known_sifted_bits"] - known) < 0.1 * known
    # Order 2: 1 + log2(0.82) of each bit. No bound on the errors of the link foresees an Eve who makes none.
    uncovered = sum(
        len(block.key)
        + block.ledger.leak_ec_bits
        + (1 + math.log2(0.82)) * len(block.sifted_key)
        - len(block.sifted_key)
        for block in done
    )
    assert uncovered > 1000
    assert abs(findings.summary["eve"]["known_key_bits"] - uncovered) < 0.1 * uncovered


def test_eve_who_guesses_knows_nothing():
    """Coins give no information at all: not a bit, however long the key."""
    _, findings = informed(0.5)
    assert findings.summary["eve"]["known_sifted_bits"] == 0
    assert findings.summary["eve"]["known_key_bits"] == 0


def test_what_she_could_get_of_all_she_kept_is_hers():
    """An Eve who guesses right nowhere, and keeps probes with a Holevo bound of 0.9 a bit, has that, and what amplification left."""
    done, findings = informed(0.5, 0.9)
    sifted = sum(len(block.sifted_key) for block in done)
    assert findings.summary["eve"]["known_sifted_bits"] == pytest.approx(0.9 * sifted, abs=1)
    uncovered = sum(
        len(block.key) + block.ledger.leak_ec_bits + 0.9 * len(block.sifted_key) - len(block.sifted_key)
        for block in done
    )
    assert uncovered > 1000
    assert findings.summary["eve"]["known_key_bits"] == pytest.approx(uncovered, abs=1)


def test_blocks_judged_as_they_end_are_judged_alike():
    """A referee who comes by every 3 ms finds what one finds who comes at the end; and nothing is left of the bits judged."""
    text = attacked("at: 10 ms, until: 30 ms, action: eve.intercept_resend, fraction: 30 %")
    at_once = judge(world_of(text))
    world = world_of(text, until_s=0)
    referee_who_looks = Referee(world)
    for step in range(1, 21):
        world.env.run(until=step * world.scenario.duration / 20)
        referee_who_looks.settle()
    in_between = [block.key for block in world.alice.results.values() if block.end_s is not None]
    assert not any(len(key) for key in in_between)
    findings = referee_who_looks.judge()
    assert findings.summary == at_once.summary
    assert findings.summary["eve"]["known_sifted_bits"] > 0
    assert findings.blocks == at_once.blocks
    assert findings.series.keys() == at_once.series.keys()
    for party in (world.alice, world.bob):
        assert not any(len(r.key) or len(r.sifted_key) for r in party.results.values() if r.end_s is not None)
    assert set(world.eve.notebook.blocks) <= {n for n, r in world.alice.results.items() if r.end_s is None}


def test_chance_speaks_at_most_at_the_stated_rate(monkeypatch):
    """Coins are taken for knowledge in at most the stated share of cases, and knowledge is not taken for chance."""
    rng, trials = np.random.default_rng(2), 20_000
    coins = rng.integers(0, 2, (trials, 400)).astype(np.bool_)
    assert sum(referee._information(right) > 0 for right in coins) == 0  # 2e-5 of seeds would differ
    monkeypatch.setattr(referee, "CHANCE", 0.1)
    spoken = sum(referee._information(right) > 0 for right in coins)
    assert spoken > 0
    exact = (
        2 * sum(math.comb(400, k) for k in range(400 // 2 - 25 + 1)) / 2**400
    )  # |k - 200| > 24.5 by Hoeffding
    assert exact < 0.1
    assert_binomial(spoken, trials, exact, fault=0.1)


def test_information_of_sure_and_of_always_wrong_guesses():
    """All right and all wrong are both full knowledge; three quarters right is 1-h(1/4) a bit; nothing is nothing."""
    n = 10_000
    quarter = np.arange(n) % 4 != 0
    assert referee._information(np.ones(n, dtype=np.bool_)) == n
    assert referee._information(np.zeros(n, dtype=np.bool_)) == n
    assert referee._information(quarter) == pytest.approx(n * (1 - binary_entropy(0.25)))
    assert referee._information(np.empty(0, dtype=np.bool_)) == 0


def test_queries_read_by_eve_are_counted_when_right():
    """Query bits are known when what she read is what was asked, not when she read something else."""
    world = world_of(LINK + QUERIES, until_s=0)
    world.clients[0].queries = [QueryRecord(1, number, 0.0, bytes([number] * 4), 0) for number in range(3)]
    world.eve.notebook.queries = {(1, 0): bytes(4), (1, 1): b"else", (2, 2): bytes([2] * 4)}
    assert judge(world).summary["eve"]["known_query_bits"] == 32


# What was noticed


def noticed(world: Range, *alarms: tuple[float, str]) -> tuple[bool, float | None]:
    """Whether these alarms tell of Eve, and how long after she began."""
    world.recorder.alarms[:] = [Alarm(t_s, "alice", reason) for t_s, reason in alarms]
    eve = judge(world).summary["eve"]
    return eve["detected"], eve["detection_delay_s"]


def test_alarms_after_the_first_attack_detect_it():
    """The first alarm from the first attack on counts; what had rung before for the same reason does not."""
    world = world_of(
        attacked("at: 20 ms, action: eve.cut", "at: 10 ms, until: 15 ms, action: eve.intercept_resend"),
        until_s=0,
    )
    assert noticed(world) == (False, None)
    assert noticed(world, (0.005, "qber")) == (False, None)
    assert noticed(world, (0.01, "qber")) == (True, 0.0)
    detected, delay_s = noticed(world, (0.02, "qber"), (0.03, "mac"))
    assert (detected, delay_s) == (True, pytest.approx(0.01))
    detected, delay_s = noticed(world, (0.005, "qber"), (0.02, "qber"), (0.03, "mac"))
    assert (detected, delay_s) == (True, pytest.approx(0.02))
    assert noticed(world, (0.005, "qber"), (0.02, "qber")) == (False, None)


def test_what_nature_does_is_no_detection():
    """Without an attack on the channels no alarm is a detection: not of bad weather, not of a poisoned model."""
    weather = world_of(attacked("at: 0 s, action: link.misalign, error: 30 %"), until_s=0)
    assert noticed(weather, (0.01, "qber")) == (False, None)
    assert judge(weather).summary["eve"]["attacks"] == []
    poisoned = attacked("at: 0 s, action: model.flip_labels") + QUERIES
    assert noticed(world_of(poisoned, until_s=0), (0.01, "qber")) == (False, None)


# Blocks and queries


def test_unfinished_blocks_count_for_nothing():
    """Blocks still in progress at the end are told apart, and give neither bits nor errors."""
    world = world_of(LINK, until_s=0.035)
    keyed = {number: len(block.key) for number, block in world.alice.results.items()}
    findings = judge(world)
    link = findings.summary["link"]
    states = [row.status for row in findings.blocks]
    assert states == ["accepted"] * link["blocks"] + ["unfinished"] * link["blocks_unfinished"]
    assert link["blocks"] >= 1
    assert link["blocks_unfinished"] >= 1
    assert link["pulses_sent"] == link["blocks"] * 50_000
    assert link["secret_bits"] == sum(keyed[n] for n in range(link["blocks"]))
    assert findings.blocks[-1].end_s is None
    assert findings.series["secret_bits"].t_s.tolist() == [
        row.start_s for row in findings.blocks[: link["blocks"]]
    ]


def test_percentiles_accuracy_and_fates_of_queries():
    """Latency percentiles are of the answered, accuracy too, and each query has one fate."""
    world = world_of(LINK + QUERIES, until_s=0)
    assert world.server is not None
    first, second = world.clients
    first.queries = [
        QueryRecord(
            1, n, 0.0, bytes(4), truth=n % 2, sent_s=0.0, answered_s=0.001 * n, status="answered", answer=1
        )
        for n in range(101)
    ]
    second.queries = [
        QueryRecord(2, 0, 0.0, bytes(4), 0, sent_s=0.0, status="lost"),
        QueryRecord(2, 1, 0.0, bytes(4), 0, sent_s=0.0, status="lost"),
        QueryRecord(2, 2, 0.0, bytes(4), 0, status="gave up"),
        QueryRecord(2, 3, 0.0, bytes(4), 0, sent_s=0.0, status="rejected", reason="answer: mac"),
        QueryRecord(2, 4, 0.0, bytes(4), 0, sent_s=0.0),
        QueryRecord(2, 5, 0.0, bytes(4), 0),
    ]
    world.server.rejected_queries[2, 1] = "mac"
    world.server.rejections["mac"] += 1
    findings = judge(world)
    q = findings.summary["queries"]
    assert q["latency_s"] == {
        "p50": pytest.approx(0.05),
        "p95": pytest.approx(0.095),
        "p99": pytest.approx(0.099),
    }
    assert q["accuracy"] == 50 / 101
    assert q["throughput_per_s"] == pytest.approx(101 / 0.06)
    counts = {key: q[key] for key in ("issued", "sent", "answered", "rejected", "lost", "gave_up", "pending")}
    fates = {"answered": 101, "rejected": 2, "lost": 1, "gave_up": 1, "pending": 2}
    assert counts == {"issued": 107, "sent": 105, **fates}
    assert q["rejections"] == {"answer: mac": 1, "mac": 1}
    assert [query.reason for query in findings.queries if query.reason] == ["query: mac", "answer: mac"]


# Any run


LINKS = (
    # protocol, pulses in a block, source
    ("bb84", 50_000, ""),
    ("bb84", 60_000, ""),
    ("bb84", 40_000, ""),
    ("bb84", 64, ""),
    ("e91", 200_000, ""),
    ("bbm92", 60_000, ""),
    ("six-state", 60_000, ""),
    ("bb84", 400_000, "kind: weak-coherent, intensities: [0.02]"),
    ("bb84", 900_000, "kind: weak-coherent, intensities: [0.5, 0.1, 0.0], probabilities: [0.5, 0.3, 0.2]"),
    ("bb84", 400_000, "kind: weak-coherent, intensities: [0.5, 0.15], probabilities: [0.7, 0.3]"),
    ("bbm92", 500_000, "kind: spdc, pair_mean: 0.02"),
    ("mdi", 4_000_000, "kind: weak-coherent, intensities: [0.4, 0.05], probabilities: [0.8, 0.2]"),
    ("mdi", 400_000, ""),
)
BREAKS_DEVICES = {action.id for action in CATALOGUE.values() if action.family == "device"}
BREAKS_PROMISES = BREAKS_DEVICES | {"eve.impersonate"}
"""What gets Eve key in spite of authentication: attacks on devices, and the pre-shared key in her hands."""


def spelled(unit, rng: random.Random) -> str:
    """A value for a parameter of an action, as a file writes it."""
    if unit.dimension == "fraction":
        return f"{100 * min(unit.maximum, rng.choice((0.1, 0.5, 1.0))):g} %"
    if unit.dimension == "s":
        return f"{rng.choice((0, 1, 5))} ms"
    if unit.dimension == "/s":
        return f"{rng.choice((10, 300))} /s"
    if unit.dimension == "dB":
        return f"{rng.choice((0, 3, 40))} dB"
    if unit.dimension == "number":
        return str(min(unit.maximum or 20, max(unit.minimum or 0, rng.choice((1, 2, 20)))))
    if unit.dimension == "flag":
        return rng.choice(("true", "false"))
    chosen = rng.sample(unit.choices, rng.randint(1, len(unit.choices)))
    return chosen[0] if unit.dimension == "choice" else f"[{', '.join(chosen)}]"


def drawn(seed: int) -> str:
    """A small scenario, mostly healthy, with up to three things on its timeline."""
    rng = random.Random(seed)  # noqa: S311  draws scenarios, not keys
    c = rng.choice
    protocol, pulses, source = c(LINKS)
    relayed = protocol == "mdi"
    passive = c(("active", "passive")) if protocol != "e91" and not relayed else "active"
    grain = "sampled" if relayed else c(("pulse", "sampled"))
    dead, again, attenuated = c(("0 s", "0 s", "100 ns")), c(("0", "0", "2 %")), c(("0", "0", "20 %"))
    if relayed:
        dead, again, attenuated = "0 s", "0", "0"
    lines = [
        f"seed: {seed}",
        "duration: 90 ms",
        "fabric: direct",
        f"link: {{protocol: {protocol}, pulse_rate: {c((60, 100)) * pulses} Hz, block_pulses: {pulses},",
        f"  grain: {grain}, source: {{{source}}},",
        f"  length: {c((0, 1, 5))} km, misalignment: {c((0, 1, 1, 1, 1, 6))} %, test_fraction: {c((20, 20, 5, 80))} %,",
        f"  detector: {{efficiency: {c((80, 100))} %, dark_counts: {c(('0', '1e-6', '1e-6', '1e-2'))},",
        f"    basis_choice: {passive}, timing_mismatch: {c(('100 %', '80 %'))}, mismatch: {c(('100 %', '95 %'))},",
        f"    dead_time: {dead}, afterpulse: {again}}},",
        f"  security: {{epsilon_sec: {c(('1e-10', '1 %'))}}}}}",
        f"classical: {{loss: {c((0, 0, 0, 0, 2))} %, jitter: {c((0, 0, 50))} us, timeout: {c((20, 100, 100))} ms}}",
        f"keys: {{preshared: {c((512, 2048, 4096))} bit}}",
        f"queries: {{clients: {c((1, 3))}, rate: {c((100, 400))} /s, arrivals: {c(('poisson', 'periodic'))},",
        f"  timeout: {c((3, 30))} ms, start: {c((0, 30))} ms}}",
        f"server: {{workers: {c((1, 2))}, queue: {c((0, 1, 100))}, service_time: {c((0, 2, 10))} ms,",
        "  training: {samples: 20}}",
        f"defences: {{authentication: {c(('true', 'true', 'false'))}, query_mac: {c(('true', 'false'))},",
        f"  abort_above_qber: {c(('11 %', '11 %', 'null'))}, patience: {c((0, 10, 100))} ms,",
        f"  attenuated_share: {attenuated}, power_monitor: {c(('true', 'false'))},",
        f"  alarm: {c(('null', '{calibration_blocks: 2}', '{calibration_blocks: 1, abort: true}'))},",
        f"  query_budget: {c(('null', '3'))}}}",
        "timeline:",
        "  - {at: 0 s, action: server.slow, factor: 1}",
    ]
    text = "\n".join(lines) + "\n"
    for action in rng.sample(list(CATALOGUE.values()), c((0, 1, 2, 3, 5))):
        at = "0 s" if action.family == "model" else c(("0 s", "30 ms", "41.7 ms"))
        parameters = [
            f"{field.name}: {spelled(unit, rng)}"
            for field, unit in action.parameters()
            if field.default is dataclasses.MISSING or c((True, False))
        ]
        more = f"{text}  - {{{', '.join([f'at: {at}', f'action: {action.id}', *parameters])}}}\n"
        try:
            load_text(more, "drawn.yaml")
        except ScenarioError as error:
            lacks = (", which needs ", "queries.clients", "the number of features")
            assert all(any(words in fault for words in lacks) for fault in error.faults), error  # noqa: PT017  something is lacking, and no other fault
            continue
        text = more
    return text


def assert_sums(result: Result, *, authenticated: bool) -> None:
    """What must hold in any run; and of a key that is authenticated, that Eve neither knows nor spoils it."""
    link, keys, q, eve = (result.summary[section] for section in ("link", "keys", "queries", "eve"))
    queries, blocks = result.findings.queries, result.findings.blocks
    waiting = sum(query.status == "pending" and query.sent_s is None for query in queries)
    under_way = q["pending"] - waiting
    rejected = sum(query.status == "rejected" for query in queries)
    assert q["issued"] == q["sent"] + q["gave_up"] + waiting == len(queries)
    assert q["sent"] == q["answered"] + q["lost"] + rejected + under_way
    assert rejected <= q["rejected"] == sum(q["rejections"].values())
    assert (q["accuracy"] is None) == (q["answered"] == 0) == (q["latency_s"]["p50"] is None)

    accepted = sum(row.status == "accepted" for row in blocks)
    assert link["blocks"] == accepted + link["blocks_aborted"]
    assert link["blocks_aborted"] == sum(link["abort_reasons"].values())
    assert len(blocks) == link["blocks"] + link["blocks_unfinished"]
    assert link["sifted_bits"] <= link["detections"] <= link["pulses_sent"]
    assert link["ledger_imbalance_bits"] == 0
    assert (link["epsilon"] is None) == (accepted == 0)
    assert 0 <= (link["epsilon"] or 0) <= 1
    assert (link["reconciliation_efficiency"] or 1.0) >= 1.0
    assert link["net_key_rate_bps"] <= link["secret_key_rate_bps"]

    assert keys["delivered_bits"] <= link["secret_bits"]
    assert keys["reused_bits"] == 0
    if "eve.impersonate" not in eve["attacks"]:  # else Bob's site issues key that he shares with Eve
        assert keys["consumed_bits"] <= keys["delivered_bits"]
    if authenticated and not BREAKS_PROMISES & set(eve["attacks"]):
        assert keys["mismatched_bits"] == 0
        assert eve["known_key_bits"] == 0
    elif authenticated and "eve.impersonate" not in eve["attacks"]:
        assert keys["mismatched_bits"] == 0
    assert eve["known_key_bits"] <= link["secret_bits"]
    for row in blocks:
        assert sum(row.detected) in (0, row.ledger.detections)
        assert sum(map(sum, row.sifted)) == row.ledger.sifted_bits
    assert eve["known_query_bits"] <= 32 * q["issued"]
    assert (eve["detection_delay_s"] is None) == (not eve["detected"])
    json.dumps(result.summary, allow_nan=False)


@pytest.mark.parametrize(
    ("seeds", "least_keyed", "least_answered"),
    [(range(12), 1, 0), pytest.param(range(12, 90), 15, 5, marks=pytest.mark.slow)],
    ids=["some", "many"],
)
def test_sums_hold_in_any_run(seeds, least_keyed, least_answered):
    """Queries, blocks and key bits add up in ninety small runs of all kinds, and several of them give key."""
    keyed = answered = 0
    for seed in seeds:
        scenario = load_text(drawn(seed), "drawn.yaml")
        result = run(scenario, write=False)
        try:
            assert_sums(result, authenticated=scenario.defences.authentication)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}:\n{drawn(seed)}\n{result.summary}") from error
        keyed += result.summary["link"]["secret_bits"] > 0
        answered += result.summary["queries"]["answered"] > 0
    assert keyed >= least_keyed
    assert answered >= least_answered
