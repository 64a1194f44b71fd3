"""Cascade: efficiency, rounds and speed, in one process and through encoded messages, beside its clear version.

    python benchmarks/postprocessing.py [--bits N] [--repeats N] [--qber Q ...]

Both parties run one after the other in this process, on one core. f counts every parity and one tag of 64 bits for
the whole key. Times are medians over the repeats: of the wall clock, and of the processor's, which other work on the
machine disturbs less. A frame that ends unequal is a failure; with none seen, the failure rate is below 3/frames
with 95 % confidence.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.asymptotic import binary_entropy
from netsim.messages import Parities, ParityQuestions, decode
from netsim.postprocessing import cascade
from netsim.postprocessing.cascade import CascadePlan, Corrector, Questions, Responder
from netsim.postprocessing.cascade_clear import ClearAnswers, ClearSearch
from netsim.postprocessing.verification import DEFAULT_TAG_BITS

GOALS_F = {0.01: 1.04, 0.02: 1.04, 0.03: 1.04, 0.04: 1.04, 0.05: 1.04, 0.08: 1.07, 0.11: 1.07}
GOAL_DIRECT, GOAL_MESSAGES = 80.0, 30.0  # Mbit/s at 3 %


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One exchange.

    Attributes:
        bits: Bob's key at the end.
        disclosed_bits: parities that crossed the wire.
        rounds: messages of Bob's.
        message_bytes: of both sides; 0 if nothing was encoded.
    """

    bits: NDArray[np.uint8]
    disclosed_bits: int
    rounds: int
    message_bytes: int = 0


def direct(plan: CascadePlan, alice: NDArray[np.uint8], bob: NDArray[np.uint8]) -> Outcome:
    """Arrays passed from hand to hand."""
    responder, corrector = Responder(plan, alice), Corrector(plan, bob)
    while (questions := corrector.questions()) is not None:
        corrector.receive(responder.answer(questions))
    return Outcome(corrector.bits, responder.disclosed_bits, corrector.rounds)


def through_messages(plan: CascadePlan, alice: NDArray[np.uint8], bob: NDArray[np.uint8]) -> Outcome:
    """Each message encoded to bytes and decoded again."""
    responder, corrector = Responder(plan, alice), Corrector(plan, bob)
    sent = 0
    while (asked := corrector.questions()) is not None:
        body = ParityQuestions(asked.passes, asked.starts, asked.stops).encode()
        question = decode(body)
        assert isinstance(question, ParityQuestions)  # noqa: S101  it was encoded as one
        reply = Parities(
            responder.answer(Questions(question.passes, question.starts, question.stops))
        ).encode()
        answer = decode(reply)
        assert isinstance(answer, Parities)  # noqa: S101  likewise
        corrector.receive(answer.parities)
        sent += len(body) + len(reply)
    return Outcome(corrector.bits, responder.disclosed_bits, corrector.rounds, sent)


def clear(plan: CascadePlan, alice: NDArray[np.uint8], bob: NDArray[np.uint8]) -> Outcome:
    """The oracle."""
    answers, search = ClearAnswers(plan, alice), ClearSearch(plan, bob)
    disclosed = rounds = 0
    while len(search.asked[0]):
        parities = answers.parities(*search.asked)
        disclosed += len(parities)
        rounds += 1
        search.learn(parities)
    return Outcome(search.bits, disclosed, rounds)


Way = Callable[[CascadePlan, NDArray[np.uint8], NDArray[np.uint8]], Outcome]


def measure(way: Way, bits: int, qber: float, estimate: float, repeats: int) -> tuple[str, float, float]:
    """A row of the table, the mean f, and the median speed by the processor's clock in Mbit/s."""
    walls, processors, efficiencies, rounds, failed, frames, sent = [], [], [], [], 0, 0, 0
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        alice = rng.integers(0, 2, bits, dtype=np.uint8)
        bob = alice ^ (rng.random(bits) < qber)
        wall, processor = time.perf_counter(), time.process_time()
        plan = cascade.plan(bits, estimate, seed)
        outcome = way(plan, alice, bob)
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
        limit = bits * binary_entropy(float(np.mean(alice != bob)))
        efficiencies.append((outcome.disclosed_bits + DEFAULT_TAG_BITS) / limit)
        rounds.append(outcome.rounds)
        failed += len(np.unique(np.flatnonzero(outcome.bits != alice) // plan.frame_bits))
        frames += plan.frames
        sent += outcome.message_bytes
    speed = bits / statistics.median(processors) / 1e6
    row = (
        f"{100 * qber:>5.1f} {100 * estimate:>8.2f} {way.__name__:<17}{bits:>9}"
        f"{statistics.mean(efficiencies):>8.4f}{statistics.mean(rounds):>7.0f}{max(rounds):>6}"
        f"{bits / statistics.median(walls) / 1e6:>8.1f}{speed:>8.1f}{failed:>5}/{frames:<6}"
        f"{sent / bits / repeats:>8.3f}"
    )
    return row, statistics.mean(efficiencies), speed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--qber", type=float, nargs="+", default=list(GOALS_F))
    chosen = parser.parse_args()
    before = os.getloadavg()[0]
    began = time.process_time()
    direct(cascade.plan(20_000, 0.03, 1), *np.zeros((2, 20_000), np.uint8))
    print(f"first call, numba imported and code compiled or loaded: {time.process_time() - began:.2f} s")
    print(
        "   Q estimate way                   bits       f rounds  most  Mbit/s (cpu) failed/frames bytes/bit"
    )
    for qber in chosen.qber:
        row, efficiency, _ = measure(direct, chosen.bits, qber, qber, chosen.repeats)
        goal = GOALS_F.get(qber)
        verdict = "" if goal is None else f"  f ≤ {goal}: {'met' if efficiency <= goal else 'NOT met'}"
        print(row + verdict, flush=True)
    for estimate in (0.0225, 0.0375):
        print(measure(direct, chosen.bits, 0.03, estimate, chosen.repeats)[0], flush=True)
    for way, goal in ((direct, GOAL_DIRECT), (through_messages, GOAL_MESSAGES)):
        row, _, speed = measure(way, chosen.bits, 0.03, 0.03, chosen.repeats)
        print(row + f"  ≥ {goal:g} Mbit/s (cpu): {'met' if speed >= goal else 'NOT met'}", flush=True)
    for way in (clear, direct):
        print(measure(way, 65_536, 0.03, 0.03, 1)[0], flush=True)
    print(
        f"load before {before:.2f}, after {os.getloadavg()[0]:.2f}; {os.cpu_count()} cores; "
        f"{chosen.repeats} repeats"
    )


if __name__ == "__main__":
    main()
