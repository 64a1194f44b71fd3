"""How long `evelab rate` takes: 40 distances × 3 protocols, every setting optimised at every distance.

    python benchmarks/rate.py [--repeats N]

Prints a table of medians over the repeats; other work on the machine slows every row, so the load is part of it.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from netsim.rates.optimise import along
from netsim.rates.protocols import PROTOCOLS
from scenarios.presets import PRESETS

EVELAB = Path(sys.executable).with_name("evelab")
DISTANCES_KM = [5.0 * number for number in range(40)]
GOAL_S = 30.0


def command() -> None:
    """The command as a user calls it: two decoys, one decoy, single photons."""
    chosen = [f"--protocol={name}" for name in ("bb84-decoy2", "bb84-decoy1", "bb84")]
    subprocess.run(  # noqa: S603  our own command
        [EVELAB, "rate", *chosen, "--distances", "0:195:5", "--json"], check=True, capture_output=True
    )


def alone(name: str) -> Callable[[], None]:
    """One protocol at all distances, in this process."""
    model, conditions = PRESETS["ghz"].system()
    models = [dataclasses.replace(model, length_km=length) for length in DISTANCES_KM]
    return lambda: collections.deque(along(PROTOCOLS[name], models, conditions), maxlen=0).clear()


def seconds(work: Callable[[], None], repeats: int) -> list[float]:
    """Wall time of each repeat."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    before = os.getloadavg()[0]
    rows: list[tuple[str, list[float], float | None]] = [
        ("evelab rate, 40 distances × 3 protocols", seconds(command, repeats), GOAL_S)
    ]
    rows += [(f"{name}, 40 distances", seconds(alone(name), repeats), None) for name in PROTOCOLS]
    print(f"{'':<42}{'median':>9}{'least':>9}{'most':>9}   goal")
    for what, times, goal in rows:
        middle = statistics.median(times)
        verdict = "" if goal is None else f"   ≤ {goal:g} s: {'met' if middle <= goal else 'NOT met'}"
        print(f"{what:<42}{middle:>7.2f} s{min(times):>7.2f} s{max(times):>7.2f} s{verdict}")
    print(
        f"load before {before:.2f}, after {os.getloadavg()[0]:.2f}; {os.cpu_count()} cores; {repeats} repeats"
    )


if __name__ == "__main__":
    main()
