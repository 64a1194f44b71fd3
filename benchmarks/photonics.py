"""How fast light is simulated, side by side with SeQUeNCe and SimQN at the same parameters on the same machine in the same run.

    python benchmarks/photonics.py [--repeats N] [--no-peers] [--out DIR]

A BB84 link at 1 GHz: two decoys, bases 9 : 1, 0.2 dB/km, detectors of 20 % with 10^-6 dark counts, from the choice of what is sent to
sifted bits of both sides with their error rate. Each peer is installed into a virtual environment of its own that is thrown away, in the version of
peers.txt, and skipped with a line that says so where that fails. Prints a table of medians; with --out it also writes the table
(photonics.txt) and a manifest of what was measured where (photonics.json). Everything runs in one thread; other work on the machine slows
every row: the load before and after is part of the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.fibre import Fibre
from netsim.photonics.train import Choice
from netsim.random_streams import RandomStreams

HERE = Path(__file__).parent
RATE_HZ = 1e9
BLOCK_PULSES = 250_000_000  # a quarter of a second: what is in memory at a time
DENSE_PULSES = 1_000_000
EFFICIENCY, DARK_COUNTS = 0.2, 1e-6
STATES = np.array([[0, 4], [2, 6]], dtype=np.uint8)
CHOICE = Choice(np.array([0, 2], dtype=np.uint8), np.array([0.9, 0.1]))
PLAIN = Receiver(EFFICIENCY, DARK_COUNTS)
FULL = Receiver(
    EFFICIENCY,
    DARK_COUNTS,
    mismatch=0.95,
    timing_mismatch=0.9,
    dead_time_s=20e-9,
    afterpulse=0.01,
    afterpulse_lifetime_s=1e-6,
    jitter_s=1e-10,
    gate_s=5e-10,
    background=1e-6,
    attenuated_share=0.1,
    attenuation=0.5,
)
QUIET = dataclasses.replace(
    FULL, dark_counts=1e-9, background=0.0
)  # at 300 km dark counts of 10^-6 would be all there is
PEER_LIMIT_S = 900
PEERS = {
    "sequence": ("SeQUeNCe", "plain_sequence.py", ["10", "50", "0.2", "0.5", "1e9", "1e-6"]),
    "qns": ("SimQN", "plain_simqn.py", ["100000", "50", "0.2", "1e9"]),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: was measured.
        unit: of the values.
        values: one for each repeat.
        goal: the bound that is to be met, None if there is none.
        at_least: whether the goal is a lower bound.
    """

    what: str
    unit: str
    values: tuple[float, ...]
    goal: float | None = None
    at_least: bool = False

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median meets the goal."""
        if self.goal is None:
            return None
        return self.median >= self.goal if self.at_least else self.median <= self.goal


def link(pulses: int, length_km: float, receiver: Receiver, streams: RandomStreams, *, sampled: bool) -> int:
    """One block, from Alice's choices to sifted bits on both sides and their errors; how many bits."""
    emitter = Emitter(RATE_HZ, intensities=(0.5, 0.15, 2e-4), probabilities=(0.6, 0.3, 0.1), sampled=sampled)
    train, record = emitter.prepare(STATES, CHOICE, pulses, 0, 0.0, streams)
    Fibre(length_km, misalignment=0.005).transmit(train, slice(0, pulses), streams("fibre"))
    clicks = receiver.detect(train, CHOICE, streams("detector"))
    sent = record.rounds(clicks.slots)
    sifted = np.flatnonzero(sent.settings == clicks.settings)
    alice, bob, intensities = (a[sifted] for a in (sent.outcomes, clicks.outcomes, sent.intensities))
    errors = np.bincount(intensities[alice != bob], minlength=3)
    if not errors[0] < 0.05 * max(len(sifted), 1000):
        raise SystemExit(f"{errors[0]} errors in {len(sifted)} bits: what is measured is not the link")
    return len(sifted)


def second_s(length_km: float, receiver: Receiver) -> float:
    """Wall time of one simulated second at 1 GHz, sampled and sifted block by block."""
    streams = RandomStreams(1)
    link(BLOCK_PULSES // 100, length_km, receiver, streams, sampled=True)
    blocks = round(RATE_HZ / BLOCK_PULSES)
    return seconds(
        lambda: [link(BLOCK_PULSES, length_km, receiver, streams, sampled=True) for _ in range(blocks)]
    )


def dense_rate(receiver: Receiver) -> float:
    """Dense pulses per second over 50 km."""
    streams, trains = RandomStreams(2), 4
    link(DENSE_PULSES, 50.0, receiver, streams, sampled=False)
    took_s = seconds(
        lambda: [link(DENSE_PULSES, 50.0, receiver, streams, sampled=False) for _ in range(trains)]
    )
    return trains * DENSE_PULSES / took_s


def terapulse_s() -> float:
    """Wall time of one block of 10^12 pulses over 300 km."""
    streams = RandomStreams(3)
    return seconds(lambda: link(10**12, 300.0, QUIET, streams, sampled=True))


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_mb() -> float:
    """The largest resident size of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def peer_rates(repeats: int) -> Iterator[tuple[str, tuple[float, ...] | str]]:
    """For each peer its name and version, and its pulses per second, or why there are none."""
    for line in (HERE / "peers.txt").read_text(encoding="utf-8").split():
        package, version = line.split("==")
        name, script, arguments = PEERS[package]
        with tempfile.TemporaryDirectory() as folder:
            try:
                venv.create(folder, with_pip=True)
                python = str(next(Path(folder).glob("*/python")))
                run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", line])
                done = [json.loads(run([python, str(HERE / script), *arguments])) for _ in range(repeats)]
            except (OSError, subprocess.SubprocessError) as error:
                yield f"{name} {version}", f"skipped, as it does not install or run: {type(error).__name__}"
                continue
        yield f"{name} {version}", tuple(d["pulses"] / d["seconds"] for d in done)


def run(command: list[str]) -> str:
    """The last line of what a command prints, in an environment where nothing of ours is imported."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(  # noqa: S603  our own commands
        command, capture_output=True, text=True, timeout=PEER_LIMIT_S, check=True, env=outside
    )
    return (done.stdout.splitlines() or [""])[-1]


def rows(repeats: int, *, peers: bool) -> tuple[list[Row], list[str]]:
    """Measure everything; repeats take turns. The table's rows, and remarks."""

    def measured(*works: Callable[[], float]) -> list[tuple[float, ...]]:
        rounds = [[work() for work in works] for _ in range(repeats)]
        return [tuple(values) for values in zip(*rounds, strict=True)]

    near, far, near_full, far_full = measured(
        lambda: second_s(50.0, PLAIN),
        lambda: second_s(100.0, PLAIN),
        lambda: second_s(50.0, FULL),
        lambda: second_s(100.0, FULL),
    )
    terapulse, dense, dense_full = measured(terapulse_s, lambda: dense_rate(PLAIN), lambda: dense_rate(FULL))
    found = [
        Row("sampled, 1 simulated second at 50 km", "s", near, 0.5),
        Row("sampled, 1 simulated second at 100 km", "s", far, 0.05),
        Row("  with the full detector model: at 50 km", "s", near_full),
        Row("  with the full detector model: at 100 km", "s", far_full),
        Row(
            "  with the full detector model and dark counts of 10^-9: 10^12 pulses at 300 km", "s", terapulse
        ),
        Row("dense pulses, 50 km", "1/s", dense, 1e7, at_least=True),
        Row("  with the full detector model", "1/s", dense_full, 3e6, at_least=True),
        Row("peak memory of all of the above", "MB", (peak_mb(),), 1000.0),
    ]
    remarks = []
    rate = RATE_HZ / statistics.median(near)
    for name, rates in peer_rates(repeats) if peers else ():
        if isinstance(rates, str):
            remarks.append(f"{name}: {rates}")
            continue
        found.append(Row(f"{name}, 50 km, one intensity", "1/s", rates))
        found.append(
            Row(
                "  ratio EveLab sampled : it, per pulse",
                "",
                tuple(rate / r for r in rates),
                1e3,
                at_least=True,
            )
        )
        dense_ratio = tuple(statistics.median(dense) / r for r in rates)
        found.append(Row("  ratio EveLab dense : it, per pulse", "", dense_ratio))
    return found, remarks


def machine() -> dict[str, Any]:
    """What this was measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [
        line.split(":", 1)[1].strip()
        for line in (cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else [])
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("evelab", "numpy", "numba")},
    }


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def table(results: list[Row], header: list[str], remarks: list[str]) -> str:
    """The results as plain text."""
    width = max(len(row.what) for row in results)
    lines = [*header, "", f"{'':{width}}  {'median':>14}  {'least':>14}  {'most':>14}  unit  goal"]
    for row in results:
        cells = "  ".join(f"{number(v):>14}" for v in (row.median, min(row.values), max(row.values)))
        goal = ""
        if row.goal is not None:
            goal = f"{'≥' if row.at_least else '≤'} {number(row.goal)} {'met' if row.met else 'MISSED'}"
        lines.append(f"{row.what:{width}}  {cells}  {row.unit:4}  {goal}".rstrip())
    return "\n".join([*lines, *remarks]) + "\n"


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description="How fast light is simulated, beside SeQUeNCe and SimQN.")
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement (default 3)")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    parser.add_argument("--out", type=Path, help="folder for photonics.txt and photonics.json")
    arguments = parser.parse_args()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    here, before = machine(), os.getloadavg()[0]
    results, remarks = rows(max(1, arguments.repeats), peers=not arguments.no_peers)
    after = os.getloadavg()[0]
    text = table(
        results,
        [
            f"{here['cpu']}, one thread on {here['cores']} cores; {here['system']}",
            ", ".join(f"{name} {here[name]}" for name in ("python", "numpy", "numba")),
            f"load average {before:.1f} before, {after:.1f} after; medians of {len(results[0].values)}",
        ],
        remarks,
    )
    print(text, end="")
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "photonics.txt").write_text(text, encoding="utf-8")
        manifest = {
            "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": here,
            "load_average": {"before": before, "after": after},
            "remarks": remarks,
            "rows": [
                dataclasses.asdict(row) | {"what": row.what.strip(), "median": row.median, "met": row.met}
                for row in results
            ],
        }
        (arguments.out / "photonics.json").write_text(
            json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
