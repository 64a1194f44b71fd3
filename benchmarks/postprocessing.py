"""How fast and how well sifted bits become key, beside SeQUeNCe's Cascade on the same machine in the same run.

    python benchmarks/postprocessing.py [--repeats N] [--quick] [--no-peers] [--out DIR]

Reconciliation: keys of ten million bits, both parties on one core in one process unless a row says otherwise; f counts every disclosed bit and
one tag of 64 bits for the whole key, over n·h(errors that there were). A frame that ends unequal is a failure; with none seen among N, the
failure rate is below 3/N with 95 % confidence. Speeds are of the wall clock: other work on the machine slows every row, so the load
is part of the table. With --out it writes postprocessing.txt and postprocessing.json, which also holds the curves of the figures in
docs/post-processing.md (`python benchmarks/postprocessing_figures.py` draws them). --quick takes a tenth of the bits, for a look.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import itertools
import json
import math
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from table import Row, measured, parser, ratio, report, seconds
from table import peers as beside

import scenarios
from netsim.key_length.asymptotic import binary_entropy
from netsim.keys.ledger import Ledger
from netsim.messages import Amplification, decode
from netsim.postprocessing import privacy_amplification, toeplitz_segments, verification
from netsim.postprocessing.authentication import TranscriptTag
from netsim.postprocessing.reconciliation import Correction, Reconciliation, Reference
from netsim.random_streams import RandomStreams, random_bits
from nodes.link import BlockResult
from scenarios.loader import load_text
from scenarios.range import build, fabric_of

CASCADE, ORIGINAL, LDPC = (
    Reconciliation("cascade"),
    Reconciliation("cascade-original"),
    Reconciliation("ldpc"),
)
GOALS_F = {0.01: 1.04, 0.02: 1.04, 0.03: 1.04, 0.04: 1.04, 0.05: 1.04, 0.08: 1.07, 0.11: 1.07}
LDPC_QBERS = (0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08)
CURVE_QBERS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11)
PEER_QBERS = (0.01, 0.03, 0.05, 0.11)
PEER_FRAMES = 20
FAILURE_KEYS = 60
"""More keys at each of three error rates, to see whether frames fail."""
LINK = """
duration: 1 s
link: {protocol: bb84, grain: sampled, length: 0 km, block_pulses: 1e9}  # longer than the run: no block of its own begins
classical: {bandwidth: 1000 Gbit/s, timeout: 1000 s}
"""
CHAIN = """
duration: 20.5 s
fabric: direct
link:
  protocol: bb84
  grain: sampled
  pulse_rate: 1 GHz
  block_pulses: 2500000000
  length: 50 km
  key_basis: 80 %
  test_fraction: 4 %
  source: {kind: weak-coherent, intensities: [0.5, 0.15, 0], probabilities: [0.7, 0.2, 0.1]}
  detector: {efficiency: 20 %, dark_counts: 1e-7}
classical: {bandwidth: 1 Gbit/s}
"""
CHAIN_PROBE = """
import json, resource, sys, time
began = time.perf_counter()
import scenarios
from scenarios.loader import load_text
scenario = load_text(sys.argv[1], "chain")
made = scenarios.run(scenario, write=False)
link = made.summary["link"]
print(json.dumps({
    "wall_s": time.perf_counter() - began, "simulated_s": scenario.duration, "work_s": made.summary["work_s"],
    "sifted_bits": link["ledger"]["sifted_bits"] / max(1, link["blocks"] - link["blocks_aborted"]),
    "blocks": link["blocks"] - link["blocks_aborted"], "secret_bits": link["secret_bits"],
    "mismatched_bits": made.summary["keys"]["mismatched_bits"],
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
}))
"""

FRACTION = """
duration: 1.2 s
fabric: direct
link: {{protocol: bb84, grain: sampled, length: 0 km, pulse_rate: {rate:g} Hz, block_pulses: {pulses}, test_fraction: 10 %,
       misalignment: {qber}, reconciliation: {code}}}
classical: {{bandwidth: 100 Gbit/s}}
defences: {{abort_above_qber: 20 %}}
"""
FRACTION_QBERS = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11)

Bits = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One exchange.

    Attributes:
        n: bits of the key.
        seconds: it took.
        efficiency: f.
        rounds: of Bob's questions.
        frames: of the key.
        failed: of these, unequal at the end or given up.
    """

    n: int
    seconds: float
    efficiency: float
    rounds: int
    frames: int
    failed: int

    @property
    def mbps(self) -> float:
        """Mbit/s."""
        return self.n / self.seconds / 1e6


@functools.lru_cache(maxsize=2)
def keys(n: int, qber: float, seed: int) -> tuple[Bits, Bits]:
    """Alice's key and Bob's, with independent errors."""
    rng = np.random.default_rng([n, round(1e6 * qber), seed])
    alice = random_bits(n, rng)
    return alice, alice ^ (rng.random(n) < qber)


Way = Callable[[Reference, Correction, NDArray[np.uint8]], int]


def by_hand(reference: Reference, correction: Correction, _: Bits) -> int:
    """Messages passed from hand to hand as they are; how many Bob asked."""
    if (opening := reference.opening()) is not None:
        correction.receive(opening)
    rounds = 0
    while (question := correction.question()) is not None:
        if question.kind == "frames-wanted":
            break
        correction.receive(reference.answer(question))
        rounds += 1
    return rounds


def as_bytes(reference: Reference, correction: Correction, _: Bits) -> int:
    """Each message encoded to bytes and decoded again."""
    rounds = 0
    while (question := correction.question()) is not None:
        correction.receive(decode(reference.answer(decode(question.encode())).encode()))
        rounds += 1
    return rounds


def over(fabric: str) -> Way:
    """Through sessions, channels and a fabric with its hosts, authenticated, to the hash that fits."""

    def way(reference: Reference, correction: Correction, key: Bits) -> int:
        scenario = load_text(f"{LINK}fabric: {fabric}\n", "benchmark")
        streams = RandomStreams(1)
        with fabric_of(scenario, streams) as carrier:
            world = build(scenario, carrier, streams)
            result = BlockResult(0, 0.0, Ledger(), sifted_key=key)
            address = world.alice.post.pool.next_address()
            for party in (world.alice, world.bob):
                party.session(0).tags = party.post.pool.tags(address)
            world.bob.expect(0)

            def alices() -> Iterator[Any]:
                yield from world.alice._reconcile(world.alice.session(0), result, reference)  # noqa: SLF001  the part that is measured
                world.alice.session(0).send(
                    Amplification(length=0, seed=key[:0], **dict.fromkeys(_ADDRESSES, 0))
                )

            def none() -> NDArray[np.int64]:
                return np.empty(0, np.int64)

            bobs = BlockResult(0, 0.0, Ledger())
            world.env.process(alices())
            done = world.env.process(
                world.bob._reconcile(world.bob.session(0), bobs, correction, none)  # noqa: SLF001  likewise
            )
            world.env.run(until=done)
            return result.rounds

    return way


_ADDRESSES = (
    *("authentication_bits", "authentication_address", "forward_bits"),
    *("forward_address", "reverse_address"),
)


def exchange(
    code: Reconciliation, n: int, qber: float, seed: int, *, way: Way = by_hand, estimate: float | None = None
) -> Outcome:
    """Make two keys equal; hash both, as verification would, where the way does not."""
    alice, bob = keys(n, qber, seed)
    expected = qber if estimate is None else estimate
    began = time.perf_counter()
    reference = code.reference(alice, expected, seed)
    correction = code.correction(bob, expected, seed)
    rounds = way(reference, correction, alice)
    found = correction.bits
    hash_key = bytes(range(verification.KEY_BYTES))
    verification.tag(alice, hash_key)
    verification.tag(found, hash_key)
    took_s = time.perf_counter() - began
    frames = reference._frames  # noqa: SLF001  to tell which frames differ
    limit = n * binary_entropy(float(np.count_nonzero(alice != bob)) / n)
    failed = len(np.unique(np.flatnonzero(found != alice) // frames.frame_bits))
    disclosed = correction.disclosed_bits + verification.DEFAULT_TAG_BITS
    return Outcome(n, took_s, disclosed / limit, rounds, frames.frames, failed)


def side_by_side(pool: concurrent.futures.Executor, n: int, qber: float) -> float:
    """Mbit/s of two workers that make a key each equal, twice."""
    list(pool.map(_seconds, *zip((n, qber, 0), (n, qber, 1), strict=True)))  # keys made, code loaded
    took_s = seconds(lambda: list(pool.map(_seconds, *zip((n, qber, 0), (n, qber, 1), strict=True))))
    return 4 * n / took_s / 1e6


def _seconds(n: int, qber: float, seed: int) -> float:
    return sum(exchange(CASCADE, n, qber, seed).seconds for _ in range(2))


def amplification(n: int) -> float:
    """Mbit/s of the Toeplitz product with half as many bits out."""
    rng = np.random.default_rng(n)
    bits, seed = random_bits(n, rng), random_bits(n + n // 2 - 1, rng)
    took_s = seconds(lambda: privacy_amplification.toeplitz(bits, seed, n // 2))
    return n / took_s / 1e6


def deviation(n: int) -> float:
    """How far the sums of such a product were from integers."""
    rng = np.random.default_rng(n)
    return float(toeplitz_segments.product(random_bits(n, rng), random_bits(n + n // 2 - 1, rng), n // 2)[1])


def chain() -> dict[str, Any]:
    """The whole chain, photon to key, in a process of its own."""
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-c", CHAIN_PROBE, CHAIN], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def fractions() -> dict[str, dict[float, float]]:
    """Secret bits of a block over its sifted bits against the error rate, as whole runs give them."""
    found: dict[str, dict[float, float]] = {}
    for sifted in (10**5, 10**6):
        for code in ("cascade", "ldpc"):
            curve = found.setdefault(f"{code}, 10^{round(math.log10(sifted))} sifted bits", {})
            for qber in FRACTION_QBERS:
                text = FRACTION.format(rate=2 * sifted, pulses=2 * sifted, qber=qber, code=code)
                ledger = scenarios.run(load_text(text, "fraction"), write=False).findings.blocks[0].ledger
                curve[qber] = ledger.secret_bits / ledger.sifted_bits
    return found


class Bench:
    """Everything that is measured.

    Args:
        n: bits of a long key.
        peers: whether to run those.
    """

    def __init__(self, n: int, *, peers: bool) -> None:
        self._n = n
        self._peers = peers
        self.curves: dict[str, Any] = {}

    def rows(self, repeats: int) -> tuple[list[Row], list[str]]:
        """The table's rows, and remarks."""
        exchange(CASCADE, 200_000, 0.03, 0)
        exchange(LDPC, 200_000, 0.03, 0)
        remarks: list[str] = []
        found = [*self._cascade(repeats), *self._ldpc(repeats), *self._rest(repeats), *self._chain(repeats)]
        if self._peers:
            found += self._beside(repeats, remarks)
        self.curves["sizes"] = self._sizes(repeats)
        self.curves["secret fraction"] = fractions()
        return found, remarks

    def _outcomes(self, code: Reconciliation, qber: float, repeats: int, **how: Any) -> list[Outcome]:
        return [exchange(code, self._n, qber, seed, **how) for seed in range(repeats)]

    def _cascade(self, repeats: int) -> Iterator[Row]:
        curve, originals = {}, {}
        seen: dict[float, list[Outcome]] = {}
        for qber in CURVE_QBERS:
            seen[qber] = outcomes = self._outcomes(CASCADE, qber, repeats)
            originals[qber] = statistics.mean(o.efficiency for o in self._outcomes(ORIGINAL, qber, 1))
            curve[qber] = statistics.mean(o.efficiency for o in outcomes)
        self.curves["efficiency"] = {"cascade": curve, "cascade-original": originals}
        for qber, goal in GOALS_F.items():
            yield Row(f"Cascade, f at {qber:.0%}", "", tuple(o.efficiency for o in seen[qber]), goal)
        every = [o for outcomes in seen.values() for o in outcomes]
        off = [
            o
            for estimate in (0.0225, 0.0375)
            for o in self._outcomes(CASCADE, 0.03, repeats, estimate=estimate)
        ]
        frames, failed = sum(o.frames for o in every + off), sum(o.failed for o in every + off)
        for seed, qber in itertools.product(range(100, 100 + FAILURE_KEYS), (0.01, 0.03, 0.05)):
            one = exchange(CASCADE, self._n, qber, seed)
            frames, failed = frames + one.frames, failed + one.failed
        yield Row(f"  frames that failed, of {frames:,}", "", (float(failed),), frames / 1e4)
        yield Row("  f at 3 %, estimate a quarter too low or too high", "", tuple(o.efficiency for o in off))
        for qber in (0.01, 0.03, 0.05):
            yield Row(f"  questions Bob sends at {qber:.0%}", "", tuple(float(o.rounds) for o in seen[qber]))
        for qber in (0.01, 0.03, 0.05, 0.11):
            goal = 80.0 if qber == 0.03 else None
            speeds = tuple(o.mbps for o in seen[qber])
            yield Row(f"  speed at {qber:.0%}, one core", "Mbit/s", speeds, goal, at_least=True)
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(2, spawn) as pool:
            (two,) = measured(repeats, lambda: side_by_side(pool, self._n, 0.03))
        yield Row("  speed at 3 %, two processes, a key each", "Mbit/s", two, 140.0, at_least=True)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            (two,) = measured(repeats, lambda: side_by_side(pool, self._n, 0.03))
        yield Row("  speed at 3 %, two threads, a key each", "Mbit/s", two)
        ways = {
            "encoded and decoded": (as_bytes, None),
            "direct fabric, both parties": (over("direct"), 30.0),
        }
        ways["QuNetSim hosts, both parties"] = (over("qunetsim"), 15.0)
        for name, (way, goal) in ways.items():
            speeds = tuple(o.mbps for o in self._outcomes(CASCADE, 0.03, repeats, way=way))
            yield Row(f"  speed at 3 %, {name}", "Mbit/s", speeds, goal, at_least=goal is not None)
        original = exchange(ORIGINAL, self._n, 0.03, 0)
        yield Row("Cascade of 1993, f at 3 %", "", (original.efficiency,))
        yield Row(f"  frames that failed, of {original.frames:,}", "", (float(original.failed),))

    def _ldpc(self, repeats: int) -> Iterator[Row]:
        curve = {}
        frames = failed = 0
        for qber in CURVE_QBERS:
            if qber < LDPC_QBERS[0] or qber > LDPC_QBERS[-1]:
                curve[qber] = exchange(LDPC, self._n, qber, 0).efficiency
        for qber in LDPC_QBERS:
            outcomes = self._outcomes(LDPC, qber, 2 * repeats)
            curve[qber] = statistics.mean(o.efficiency for o in outcomes)
            frames += sum(o.frames for o in outcomes)
            failed += sum(o.failed for o in outcomes)
            yield Row(f"LDPC, f at {qber:.0%}", "", tuple(o.efficiency for o in outcomes), 1.2)
            yield Row("  speed, one core", "Mbit/s", tuple(o.mbps for o in outcomes), 5.0, at_least=True)
            yield Row("  questions Bob sends", "", tuple(float(o.rounds) for o in outcomes))
        yield Row(f"  frames that failed, of {frames:,}", "", (float(failed),), frames / 1e3)
        self.curves["efficiency"]["ldpc"] = dict(sorted(curve.items()))

    def _rest(self, repeats: int) -> Iterator[Row]:
        for n, goal in ((10**6, 40.0), (self._n, 20.0), (10 * self._n, None)):
            amplification(min(n, 10**6))
            (speeds,) = measured(repeats, lambda n=n: amplification(n))
            yield Row(f"Toeplitz, {n:.0e} bits to half", "Mbit/s", speeds, goal, at_least=goal is not None)
            yield Row("  deviation from integers, 0.1 refused", "", (deviation(n),), 0.1)
        alice, _ = keys(self._n, 0.03, 0)
        hash_key = bytes(range(verification.KEY_BYTES))
        (hashing,) = measured(
            repeats, lambda: self._n / seconds(lambda: verification.tag(alice, hash_key)) / 1e6
        )
        yield Row("verification hash", "Mbit/s", hashing)
        data = bytes(50_000_000)
        (tagging,) = measured(
            repeats,
            lambda: len(data) / seconds(lambda: TranscriptTag(bytes(16), bytes(16)).update(data)) / 1e6,
        )
        yield Row("authentication tag over a transcript", "MB/s", tagging)

    def _chain(self, repeats: int) -> Iterator[Row]:
        runs = [chain() for _ in range(repeats)]
        if any(run["mismatched_bits"] or not run["secret_bits"] for run in runs):
            raise SystemExit("the chain gave no key, or unequal keys: what is measured is not the chain")
        speed = tuple(run["simulated_s"] / run["wall_s"] for run in runs)
        sifted = min(run["sifted_bits"] for run in runs)
        name = f"whole chain, 1 GHz, 50 km, {sifted / 1e6:.1f} Mbit sifted a block"
        yield Row(name, "sim s/s", speed, 1.0, at_least=True)
        yield Row("  peak memory", "MB", tuple(run["peak_mb"] for run in runs), 2000.0)
        for step in runs[0]["work_s"]:
            yield Row(f"  of the wall clock: {step}", "s", tuple(run["work_s"][step] for run in runs))

    def _beside(self, repeats: int, remarks: list[str]) -> Iterator[Row]:
        arguments = [str(PEER_FRAMES), *map(str, PEER_QBERS)]
        scripts = {"sequence": ("SeQUeNCe", "plain_sequence_cascade.py", arguments)}
        for name, done in beside(scripts, repeats):
            if isinstance(done, str):
                remarks.append(f"{name}: {done}")
                continue
            curve = {}
            for qber, runs in zip(PEER_QBERS, zip(*done, strict=True), strict=True):
                efficiencies = tuple(
                    run["disclosed"] / run["bits"] / binary_entropy(run["errors"] / run["bits"])
                    for run in runs
                )
                curve[qber] = statistics.mean(efficiencies)
                speeds = tuple(run["bits"] / run["seconds"] / 1e6 for run in runs)
                yield Row(f"{name}'s Cascade, f at {qber:.0%}", "", efficiencies)
                yield Row("  speed", "Mbit/s", speeds)
                ours = tuple(o.mbps for o in self._outcomes(CASCADE, qber, repeats))
                yield Row("  ratio EveLab : it", "", ratio(ours, speeds))
            self.curves["efficiency"][name] = curve

    def _sizes(self, repeats: int) -> dict[str, dict[int, float]]:
        """Mbit/s against the bits of a block, at 3 %."""
        found: dict[str, dict[int, float]] = {"cascade": {}, "ldpc": {}, "amplification": {}}
        for n in (10**4, 10**5, 10**6, self._n):
            for name, code in (("cascade", CASCADE), ("ldpc", LDPC)):
                found[name][n] = statistics.median(exchange(code, n, 0.03, s).mbps for s in range(repeats))
            found["amplification"][n] = statistics.median(amplification(n) for _ in range(repeats))
        return found


def main() -> None:
    """Measure, print, and write if asked to."""
    made = parser(
        "How fast and how well sifted bits become key, beside SeQUeNCe's Cascade.", "postprocessing"
    )
    made.add_argument("--quick", action="store_true", help="a tenth of the bits")
    made.add_argument("--no-peers", action="store_true", help="leave the peers out")
    arguments = made.parse_args()
    bench = Bench(10**6 if arguments.quick else 10**7, peers=not arguments.no_peers)
    report(
        "postprocessing",
        ("numpy", "numba", "scipy"),
        arguments,
        bench.rows,
        lambda: {"curves": bench.curves},
    )


if __name__ == "__main__":
    main()
