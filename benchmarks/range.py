"""How fast the range is, side by side with plain QuNetSim on the same machine in the same run.

    python benchmarks/range.py [--repeats N] [--out DIR]

Prints a table of medians; with --out it also writes the table (range.txt) and a manifest of what was measured where
(range.json). Other work on the machine slows every row: the load before and after is part of the table.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from table import Row, measured, parser, ratio, report, seconds

from netsim.fabric.base import Fabric, Frame
from netsim.fabric.direct import DirectFabric
from netsim.fabric.qunetsim import QuNetSimFabric
from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.train import Train
from netsim.protocols.bb84 import BB84
from netsim.random_streams import RandomStreams, random_bits
from netsim.topology import Site, Topology

HERE = Path(__file__).parent
EVELAB = Path(sys.executable).with_name("evelab")
PULSES = 1_000_000
QUBITS = 1000
PLAIN_QUBITS = 200  # plain QuNetSim is slow, and slower still with Eve
FRAMES = 500
LIMIT_S = 300

# Runs `evelab run ...` up to the moment Alice emits her first train, and says when that was.
PROBE = """
import os, sys, time
from nodes.alice import Alice
def first(*_):
    os.write(1, str(time.time()).encode())
    os._exit(0)
Alice.emit = first
from scenarios.cli import main
sys.argv = ["evelab", "run", "baseline-bb84"]
main()
"""


class Eve:
    """Measures every photon in a random basis and sends on what she found."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def on_photons(self, train: Train, where: slice, receiver: str) -> None:  # noqa: ARG002  the tap's interface
        """Measure what passes."""
        settings = random_bits(where.stop - where.start, self._rng) * np.uint8(2)
        train.measure(where, settings, self._rng)

    def on_frame(self, frame: Frame) -> None:
        """She lets words pass."""


@contextlib.contextmanager
def network(kind: type[Fabric], *, eve: bool, length_km: float = 0.0) -> Iterator[Fabric]:
    """Alice, Eve and Bob on one fibre."""
    sites = [Site("alice", 0.0), Site("eve", length_km / 2), Site("bob", length_km)]
    streams = RandomStreams(1)
    with kind(Topology(sites, 0.2, 0.01), streams("fibre")) as fabric:
        if eve:
            fabric.attach({"eve": Eve(streams("eve"))})
        yield fabric


def exchange(
    fabric: Fabric, emitter: Emitter, receiver: Receiver, count: int, rng: np.random.Generator
) -> None:
    """BB84 from Alice's random bits to Bob's detections."""
    protocol = BB84()
    train, _ = emitter.prepare(protocol.states, protocol.alice_choice, count, 0, 0.0, lambda _: rng)
    fabric.carry_photons("alice", "bob", train)
    receiver.detect(train, protocol.bob_choice, rng)


def pulse_rate(kind: type[Fabric]) -> float:
    """Dense pulses per second, Eve measuring every one; 10 km, 90 % detectors, dark counts."""
    rng, receiver = np.random.default_rng(2), Receiver(0.9, 1e-6)
    with network(kind, eve=True, length_km=10.0) as fabric:
        exchange(fabric, Emitter(1e9), receiver, PULSES, rng)
        trains = 5
        took_s = seconds(
            lambda: [exchange(fabric, Emitter(1e9), receiver, PULSES, rng) for _ in range(trains)]
        )
    return trains * PULSES / took_s


def qubit_rate(*, eve: bool) -> float:
    """Qubits per second, one by one through QuNetSim's hosts."""
    rng = np.random.default_rng(3)
    with network(QuNetSimFabric, eve=eve) as fabric:
        emitter = Emitter(1e6, 1.0, fabric.qubits("alice"))
        exchange(fabric, emitter, Receiver(), 20, rng)
        return QUBITS / seconds(lambda: exchange(fabric, emitter, Receiver(), QUBITS, rng))


def plain_qubit_rate(*, eve: bool) -> float:
    """The same through plain QuNetSim, in a process of its own."""
    command = [sys.executable, str(HERE / "plain_qunetsim.py"), str(PLAIN_QUBITS), *(["eve"] if eve else [])]
    done = json.loads(run(command).splitlines()[-1])
    return float(done["qubits"] / done["seconds"])


def frame_us(kind: type[Fabric]) -> float:
    """Microseconds for one classical message of 1000 bytes past Eve."""
    with network(kind, eve=True) as fabric:
        data = bytes(1000)
        fabric.carry_frame("alice", "bob", data)
        return (
            1e6 * seconds(lambda: [fabric.carry_frame("alice", "bob", data) for _ in range(FRAMES)]) / FRAMES
        )


def run(command: list[str], folder: str | None = None) -> str:
    """What a command prints; it and all its children are ended if it does not come to an end."""
    with subprocess.Popen(  # noqa: S603  our own commands
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=LIMIT_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode not in (0, 3):  # 3: an expectation failed, which is not ours to judge
        raise SystemExit(f"{' '.join(command[:3])} ... ended with status {process.returncode}")
    return output


def wall_s(*arguments: str) -> float:
    """Wall time of an evelab command, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return seconds(lambda: run([str(EVELAB), *arguments], folder))


def first_event_s() -> float:
    """From starting `evelab run baseline-bb84` to Alice's first train."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        return float(run([sys.executable, "-c", PROBE], folder)) - began


def rows(repeats: int) -> list[Row]:
    """Measure everything; repeats of what is compared take turns."""
    pulses, direct = measured(repeats, lambda: pulse_rate(QuNetSimFabric), lambda: pulse_rate(DirectFabric))
    ours, plain, ours_eve, plain_eve = measured(
        repeats,
        lambda: qubit_rate(eve=False),
        lambda: plain_qubit_rate(eve=False),
        lambda: qubit_rate(eve=True),
        lambda: plain_qubit_rate(eve=True),
    )
    frames, direct_frames = measured(
        repeats, lambda: frame_us(QuNetSimFabric), lambda: frame_us(DirectFabric)
    )
    usage, first, baseline, showcase = measured(
        repeats,
        lambda: wall_s("--help"),
        first_event_s,
        lambda: wall_s("run", "baseline-bb84"),
        lambda: wall_s("run", "showcase"),
    )
    return [
        Row("dense pulses, Eve measuring, to detection: QuNetSim fabric", "1/s", pulses, 5e6, at_least=True),
        Row("dense pulses, Eve measuring, to detection: direct fabric", "1/s", direct),
        Row("  ratio QuNetSim : direct", "", ratio(pulses, direct)),
        Row("qubits one by one: EveLab's QuNetSim fabric", "1/s", ours),
        Row("qubits one by one: plain QuNetSim, EQSN", "1/s", plain),
        Row("  ratio EveLab : plain", "", ratio(ours, plain)),
        Row("qubits one by one, Eve measuring: EveLab's QuNetSim fabric", "1/s", ours_eve),
        Row("qubits one by one, Eve measuring: plain QuNetSim, EQSN", "1/s", plain_eve),
        Row("  ratio EveLab : plain", "", ratio(ours_eve, plain_eve)),
        Row("a classical message past Eve: QuNetSim fabric", "µs", frames),
        Row("a classical message past Eve: direct fabric", "µs", direct_frames),
        Row("evelab --help", "s", usage),
        Row("evelab run baseline-bb84: to the first simulated event", "s", first, 3.0),
        Row("evelab run baseline-bb84: all of it", "s", baseline, 10.0),
        Row("evelab run showcase: all of it", "s", showcase, 20.0),
    ]


def main() -> None:
    """Measure, print, and write if asked to."""
    arguments = parser("How fast the range is, beside plain QuNetSim.", "range").parse_args()
    report("range", ("numpy", "qunetsim", "eqsn", "simpy"), arguments, lambda repeats: (rows(repeats), []))


if __name__ == "__main__":
    main()
