"""The referee: outside the network, sees everything, and sums up a run honestly."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.asymptotic import binary_entropy
from netsim.key_length.finite_key import KeyLength, chsh_confidence
from netsim.keys.ledger import Ledger
from netsim.photonics.record import Monitors
from netsim.protocols.estimate import Estimate
from nodes.kme import KeyManager, address_of
from nodes.link import STEPS
from nodes.queries import QueryRecord
from nodes.session import AuthenticationPool
from scenarios.expectations import Column, Series
from scenarios.model_findings import (
    MODEL_WATCHERS,
    algorithm_2_findings,
    model_findings,
    shown_since_s,
)
from scenarios.range import Range

CHSH_FAILURE = 0.01
"""How often the interval given for S misses it, at most (Hoeffding; no assumption on the noise)."""

CHANCE = 1e-9
"""Probability with which pure chance would make the referee say that a guess of Eve's holds something, per comparison; a block
takes up to five."""


@dataclasses.dataclass(frozen=True)
class BlockRow:
    """One block, as both parties and the truth have it.

    Attributes:
        block: its number.
        start_s: when its first pulse left.
        end_s: when Alice was done with it; None if the run ended before.
        step_s: how long each of `nodes.link.STEPS` took, as far as it came.
        status: "accepted", "aborted" or "unfinished".
        reason: why it was aborted.
        estimate: what Alice and Bob estimated.
        ledger: Alice's ledger.
        rounds: of reconciliation.
        corrected_bits: errors that Bob corrected, or whoever Alice took for him.
        efficiency: disclosed bits over n·h(Q), Q the error rate that reconciliation found.
        bound: the key length with its terms, as far as it was computed.
        detected: detections at each intensity.
        sifted: of those with matching settings, at each setting and intensity.
        monitors: what Bob's instruments said.
        eps: secrecy + correctness + authentication of the block's key.
        mismatched_bits: bits in which Alice's and Bob's final keys differ.
        eve_sifted_bits: what Eve knew of the sifted key, in bits of information.
        eve_key_bits: what she knew of the final key.
    """

    block: int
    start_s: float
    end_s: float | None
    step_s: tuple[float, ...]
    status: str
    reason: str
    estimate: Estimate | None
    ledger: Ledger
    rounds: int
    corrected_bits: int
    efficiency: float | None
    bound: KeyLength | None
    detected: tuple[int, ...]
    sifted: tuple[tuple[int, ...], ...]
    monitors: Monitors
    eps: float
    mismatched_bits: int
    eve_sifted_bits: float
    eve_key_bits: float


@dataclasses.dataclass(frozen=True)
class Findings:
    """Everything the referee found.

    Attributes:
        summary: the public summary without what the runner adds.
        series: quantities over time, for expectations.
        blocks: one row per block, in order.
        queries: one record per query, by time.
    """

    summary: dict[str, Any]
    series: Series
    blocks: tuple[BlockRow, ...]
    queries: tuple[QueryRecord, ...]


class Referee:
    """Judges blocks as they end, so that a long run need not keep their keys, and the run when it is over.

    Args:
        world: the range.
    """

    def __init__(self, world: Range) -> None:
        self._world = world
        self._rows: list[BlockRow] = []

    def settle(self) -> None:
        """Judge the blocks that have ended, one after the other, and let go of their bits."""
        while self._ended(number := len(self._rows)):
            self._rows.append(_block(self._world, number))
            _let_go(self._world, number)

    def _ended(self, number: int) -> bool:
        world = self._world
        sides = [world.alice.results.get(number), world.bob.results.get(number)]
        if number in world.eve.double.blocks:
            double = world.eve.double
            sides += [double.as_alice.results.get(number), double.as_bob.results.get(number)]
        return all(side is not None and side.end_s is not None for side in sides)

    def judge(self) -> Findings:
        """Look at everything, and sum up."""
        self.settle()
        world = self._world
        unsettled = sorted(number for number in world.alice.results if number >= len(self._rows))
        blocks = (*self._rows, *(_block(world, number) for number in unsettled))
        queries = tuple(_settled(world))
        summary = {
            "link": _link(world, blocks),
            "keys": _keys(world, blocks),
            "queries": _queries(world, queries),
            "eve": _eve(world, blocks, queries),
            "model": model_findings(world.inference),
        }
        summary["algorithm_2"] = algorithm_2_findings(world, blocks)
        return Findings(summary, _series(world, blocks, queries), blocks, queries)


def _let_go(world: Range, number: int) -> None:
    """A block's bits are no longer needed."""
    double = world.eve.double
    for party in (world.alice, world.bob, double.as_alice, double.as_bob):
        if number in party.results:
            party.results[number].forget_bits()
    world.eve.notebook.forget(number)


def _block(world: Range, number: int) -> BlockRow:
    mine, theirs = world.alice.results[number], world.bob.results.get(number)
    partner = world.eve.double.as_bob.results.get(number) if number in world.eve.double.blocks else theirs
    status = "unfinished" if mine.end_s is None else "accepted" if mine.accepted else "aborted"
    ledger, corrected, efficiency = mine.ledger, 0, None
    if partner is not None and mine.accepted:
        corrected = partner.corrected_bits
        entropy = binary_entropy(corrected / ledger.key_bits)
        efficiency = ledger.leak_ec_bits / (ledger.key_bits * entropy) if entropy else None
    security = world.alice.link.security
    final = theirs.key if theirs is not None else np.empty(0, np.uint8)
    sifted_bits, key_bits = _known(world, number) if status != "unfinished" else (0.0, 0.0)
    return BlockRow(
        block=number,
        start_s=mine.start_s,
        end_s=mine.end_s,
        step_s=tuple(after - before for before, after in itertools.pairwise((mine.start_s, *mine.reached_s))),
        status=status,
        reason=mine.reason,
        estimate=mine.estimate,
        ledger=ledger,
        rounds=mine.rounds,
        corrected_bits=corrected,
        efficiency=efficiency,
        bound=mine.bound,
        detected=mine.detected,
        sifted=mine.sifted,
        monitors=(theirs.monitors if theirs is not None else None) or Monitors(),
        eps=min(1.0, security.eps_sec + security.eps_cor + mine.eps_auth) if mine.accepted else 0.0,
        mismatched_bits=_differences(mine.key, final) if mine.accepted else 0,
        eve_sifted_bits=sifted_bits,
        eve_key_bits=key_bits,
    )


def _differences(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """Positions in which two keys differ; what one has and the other lacks counts as different."""
    common = min(len(one), len(other))
    return int(np.sum(one[:common] != other[:common])) + max(len(one), len(other)) - common


def _known(world: Range, number: int) -> tuple[float, float]:
    """What Eve knows of a block: bits of information on its sifted key, and bits of its final key.

    Of the final key she knows the greater of two things: what her best guess of it holds, and what amplification left
    uncovered. The second counts bits: she has R bits on the n sifted ones (order 2, as privacy amplification needs it) and
    heard L more disclosed; a final key longer than n - R - L holds at least the difference for her, whatever her guess says
    (Bennett, Brassard, Crépeau, Maurer 1995). An attack that keeps its probes and measures them together counts at its Holevo
    bound.
    """
    mine, eve = world.alice.results[number], world.eve
    if number in eve.double.blocks:
        hers = eve.double.as_bob.results.get(number)
        same = hers is not None and mine.accepted and np.array_equal(hers.key, mine.key)
        sifted = hers is not None and np.array_equal(hers.sifted_key, mine.sifted_key)
        return float(len(mine.sifted_key)) if sifted else 0.0, float(len(mine.key)) if same else 0.0
    if number not in eve.notebook.blocks or not len(mine.sifted_key):
        return 0.0, 0.0
    guess = eve.notebook.guess_sifted(number, world.alice.link.protocol, eve.random("guess"))
    if guess is None or len(guess.bits) != len(mine.sifted_key):
        return 0.0, 0.0
    right = guess.bits == mine.sifted_key
    kinds = [right[guess.kind == kind] for kind in np.unique(guess.kind)]
    bound = min(1.0, eve.notebook.bounds.get(number, 0.0)) * len(mine.sifted_key)
    sifted_bits = max(bound, sum(_information(kind) for kind in kinds))
    if not mine.accepted:
        return sifted_bits, 0.0
    collision = sum(_collision_information(kind) for kind in kinds)
    exposed = max(bound, collision) + mine.ledger.leak_ec_bits
    uncovered = max(0.0, len(mine.key) + exposed - len(mine.sifted_key))
    final = eve.notebook.guess_final(number, guess)
    guessed = _information(final == mine.key) if final is not None and len(final) == len(mine.key) else 0.0
    return sifted_bits, min(float(len(mine.key)), max(guessed, uncovered))


def _share(right: NDArray[np.bool_]) -> float:
    """How often a guess is right; ½ where chance explains it (Hoeffding)."""
    n = len(right)
    share = float(np.mean(right)) if n else 0.5
    return 0.5 if n == 0 or abs(share - 0.5) <= math.sqrt(math.log(2 / CHANCE) / (2 * n)) else share


def _information(right: NDArray[np.bool_]) -> float:
    """Shannon information of a guess, in bits, from how often it is right."""
    return len(right) * (1.0 - binary_entropy(_share(right)))


def _collision_information(right: NDArray[np.bool_]) -> float:
    """Rényi information of order 2 of a guess, in bits: 1 + log2(s² + (1−s)²) for each bit guessed right with share s."""
    share = _share(right)
    return len(right) * (1.0 + math.log2(share**2 + (1.0 - share) ** 2))


def _settled(world: Range) -> list[QueryRecord]:
    """All queries by time; those that the server rejected say so, which their clients cannot know."""
    queries = [query for client in world.clients for query in client.queries]
    for query in queries:
        reason = world.server.rejected_queries.get((query.client, query.sequence)) if world.server else None
        if reason is not None and query.status in ("lost", "pending"):
            query.status, query.reason = "rejected", f"query: {reason}"
    return sorted(queries, key=lambda query: (query.created_s, query.client))


def _link(world: Range, blocks: tuple[BlockRow, ...]) -> dict[str, Any]:
    done = [row for row in blocks if row.status != "unfinished"]
    accepted = [row for row in done if row.status == "accepted"]
    estimates = [row.estimate for row in done if row.estimate is not None]
    tested = sum(estimate.tested for estimate in estimates)
    correlators: dict[tuple[float, float], tuple[int, int]] = {}
    for estimate in estimates:
        for setting, (same, different) in estimate.correlators.items():
            before = correlators.get(setting, (0, 0))
            correlators[setting] = (before[0] + same, before[1] + different)
    chsh = Estimate((), correlators).chsh
    disclosed = sum(row.ledger.leak_ec_bits for row in accepted)
    needed = sum(
        row.ledger.key_bits * binary_entropy(row.corrected_bits / row.ledger.key_bits) for row in accepted
    )
    secret = sum(row.ledger.secret_bits for row in accepted)
    spent = sum(row.ledger.authentication_spent_bits for row in blocks)
    duration_s = world.scenario.duration
    return {
        "protocol": world.scenario.link.protocol,
        "proof": world.alice.link.protocol.proof,
        "pulses_sent": sum(row.ledger.pulses for row in done),
        "detections": sum(row.ledger.detections for row in done),
        "sifted_bits": sum(row.ledger.sifted_bits for row in done),
        "qber": sum(estimate.errors for estimate in estimates) / tested if tested else None,
        "chsh_s": chsh[0] if chsh else None,
        "chsh_standard_error": chsh[1] if chsh else None,
        "chsh_interval": list(chsh_confidence(correlators, CHSH_FAILURE)) if chsh else None,
        "blocks": len(done),
        "blocks_aborted": len(done) - len(accepted),
        "blocks_unfinished": len(blocks) - len(done),
        "abort_reasons": dict(sorted(collections.Counter(r.reason for r in done if r.reason).items())),
        "secret_bits": secret,
        "secret_key_rate_bps": secret / duration_s,
        "net_key_rate_bps": (secret - spent) / duration_s,
        "reconciliation": world.alice.link.reconciliation.code,
        "reconciliation_efficiency": disclosed / needed if needed else None,
        "reconciliation_rounds": sum(row.rounds for row in accepted) / len(accepted) if accepted else None,
        "step_s": {
            step: sum(row.step_s[place] for row in accepted) / len(accepted) if accepted else None
            for place, step in enumerate(STEPS)
        },
        "authentication_key_bits": _authentication_key(world),
        "epsilon": min(1.0, sum(row.eps for row in accepted)) if accepted else None,
        "double_clicks": sum(row.monitors.double_clicks for row in done),
        "intensities": _intensities(world, done),
        "no_key_for": dict(sorted(collections.Counter(_eaten(row) for row in done if _eaten(row)).items())),
        "classical_bytes": sum(channel.sent_bytes for channel in world.channels),
        "ledger": {
            field.name: sum(getattr(row.ledger, field.name) for row in accepted)
            for field in dataclasses.fields(Ledger)
        },
        "ledger_imbalance_bits": sum(row.ledger.imbalance() for row in accepted),
    }


def _authentication_key(world: Range) -> dict[str, int]:
    """Pads for tags at Alice's: at the start, the fewest, and at the end; nothing without authentication."""
    pool = world.alice.post.pool
    if not isinstance(pool, AuthenticationPool):
        return {}
    return {"start": pool.target_bits, "lowest": pool.lowest_bits, "end": pool.pads.available_bits}


def _intensities(world: Range, done: list[BlockRow]) -> dict[str, dict[str, float | None]]:
    """With decoys: gain and error rate of each intensity, over all blocks that came to tell them."""
    protocol, emitter = world.alice.link.protocol, world.alice.link.emitter
    told = [row for row in done if row.estimate is not None and row.estimate.intensities]
    if not told or len(protocol.intensities) != len(emitter.intensities):
        return {}
    sent = sum(row.ledger.pulses for row in told)
    found = {}
    for index, name in enumerate(protocol.intensities):
        cells = [
            cell
            for row in told
            if row.estimate is not None
            for cell in row.estimate.intensities
            if cell.intensity == name
        ]
        tested = sum(cell.tested for cell in cells)
        found[name] = {
            "mean_photons": emitter.intensities[index],
            "gain": sum(row.detected[index] for row in told) / (sent * emitter.probabilities[index]),
            "qber": sum(cell.errors for cell in cells) / tested if tested else None,
        }
    return found


def _eaten(row: BlockRow) -> str | None:
    """Which term of the key length ate a block's key."""
    return row.bound.eaten_by if row.bound is not None else None


def _keys(world: Range, blocks: tuple[BlockRow, ...]) -> dict[str, Any]:
    accepted = [row for row in blocks if row.status == "accepted"]
    return {
        "delivered_bits": sum(row.ledger.delivered_bits for row in accepted),
        "consumed_bits": sum(kme.outgoing.handed_out_bits for kme in world.keys),
        "reused_bits": sum(_reused(kme) for kme in world.keys),
        "mismatched_bits": sum(row.mismatched_bits for row in accepted),
        "exhausted_events": sum(kme.exhausted_events for kme in world.keys),
        "stored_bits": {kme.name: kme.outgoing.available_bits for kme in world.keys},
    }


def _reused(kme: KeyManager) -> int:
    """Bits that a KME handed out more than once: in keys that overlap, or in the same key again."""
    reused, end = 0, 0
    for address, size in sorted(address_of(key_id) for key_id in kme.issued):
        reused += max(0, min(end, address + size) - address)
        end = max(end, address + size)
    return reused


def _queries(world: Range, queries: tuple[QueryRecord, ...]) -> dict[str, Any]:
    status = collections.Counter(query.status for query in queries)
    latencies = [query.latency_s for query in queries if query.latency_s is not None]
    answered = [query for query in queries if query.status == "answered"]
    reasons = collections.Counter(world.server.rejections if world.server else {})
    reasons.update(query.reason for query in queries if query.reason.startswith("answer: "))
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99]).tolist() if latencies else (None, None, None)
    return {
        "issued": len(queries),
        "sent": sum(query.sent_s is not None for query in queries),
        "answered": len(answered),
        "rejected": sum(reasons.values()),
        "rejections": dict(sorted(reasons.items())),
        "lost": status["lost"],
        "gave_up": status["gave up"],
        "pending": status["pending"],
        "latency_s": {"p50": p50, "p95": p95, "p99": p99},
        "accuracy": sum(query.answer == query.truth for query in answered) / len(answered)
        if answered
        else None,
        "throughput_per_s": len(answered) / world.scenario.duration,
    }


def _eve(world: Range, blocks: tuple[BlockRow, ...], queries: tuple[QueryRecord, ...]) -> dict[str, Any]:
    attacks = [entry for entry in world.scenario.timeline if entry.action.adversarial]
    # No alarm of the link tells of an attack on the model, nor one of the model's of any attack but those it can show.
    link_s = min((entry.at for entry in attacks if entry.action.family != "model"), default=math.inf)
    sounded = [
        (alarm, shown_since_s(world.scenario, alarm) if alarm.node in MODEL_WATCHERS else link_s)
        for alarm in world.recorder.alarms
    ]
    usual = {alarm.reason for alarm, begin_s in sounded if alarm.t_s < begin_s}
    delays = [
        alarm.t_s - begin_s
        for alarm, begin_s in sounded
        if alarm.t_s >= begin_s and alarm.reason not in usual
    ]
    read = world.eve.notebook.queries
    known_queries = sum(
        8 * len(query.plaintext)
        for query in queries
        if read.get((query.client, query.sequence)) == query.plaintext
    )
    return {
        "attacks": list(dict.fromkeys(entry.action.id for entry in attacks)),
        "known_sifted_bits": round(sum(row.eve_sifted_bits for row in blocks)),
        "known_key_bits": round(sum(row.eve_key_bits for row in blocks)),
        "known_query_bits": known_queries,
        "overheard": _overheard(world),
        "detected": bool(delays),
        "detection_delay_s": delays[0] if delays else None,
        "false_alarms": sum(
            alarm.reason.startswith("telemetry: ") and alarm.t_s < begin_s for alarm, begin_s in sounded
        ),
        "alarms": dict(sorted(collections.Counter(alarm.reason for alarm in world.recorder.alarms).items())),
    }


def _overheard(world: Range) -> dict[str, int]:
    """What listening to envelopes told her: how many, of how many clients, in how many different lengths."""
    traffic = world.eve.notebook.traffic
    return {
        "messages": sum(traffic.values()),
        "clients": len({client for _, client, _ in traffic}),
        "lengths": len({(kind, length) for kind, _, length in traffic}),
    }


def _series(world: Range, blocks: tuple[BlockRow, ...], queries: tuple[QueryRecord, ...]) -> Series:
    """Blocks count at the time their first pulse left, queries when they were made, rejections when they happened."""
    done = [row for row in blocks if row.status != "unfinished"]
    estimated = [(row.start_s, row.estimate) for row in done if row.estimate is not None]
    witnessed = [(t_s, estimate.chsh[0]) for t_s, estimate in estimated if estimate.chsh is not None]
    answered = [query for query in queries if query.status == "answered"]
    rejected = [e.t_s for e in world.recorder.events if e.what == "query_rejected"]
    rejected += [query.created_s for query in queries if query.reason.startswith("answer: ")]
    stored = [m for m in world.recorder.metrics if m.metric == "stored_bits" and m.node == world.keys[0].name]
    exhausted = [e.t_s for e in world.recorder.events if e.what == "key_exhausted"]

    def column(t_s: list[float], values: list[float], weights: list[float] | None = None) -> Column:
        return Column(np.array(t_s), np.array(values), None if weights is None else np.array(weights))

    def count(t_s: list[float]) -> Column:
        return column(t_s, [1.0] * len(t_s))

    starts = [row.start_s for row in done]
    return {
        "qber": column(
            [t for t, _ in estimated], [e.errors for _, e in estimated], [e.tested for _, e in estimated]
        ),
        "chsh": column([t for t, _ in witnessed], [s for _, s in witnessed]),
        "sifted_bits": column(starts, [row.ledger.sifted_bits for row in done]),
        "secret_bits": column(
            starts, [row.ledger.secret_bits if row.status == "accepted" else 0 for row in done]
        ),
        "blocks_aborted": column(starts, [float(row.status == "aborted") for row in done]),
        "latency": column([q.created_s for q in answered], [q.latency_s or 0.0 for q in answered]),
        "answered": count([q.created_s for q in answered]),
        "rejected": count(rejected),
        "lost": count([q.created_s for q in queries if q.status == "lost"]),
        "accuracy": column(
            [q.created_s for q in answered],
            [float(q.answer == q.truth) for q in answered],
            [1.0] * len(answered),
        ),
        "stored_bits": column([m.t_s for m in stored], [m.value for m in stored]),
        "exhausted": count(exhausted),
    }
