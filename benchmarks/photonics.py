"""How fast light is simulated, side by side with SeQUeNCe and SimQN at the same parameters on the same machine in the same run.

    python benchmarks/photonics.py [--repeats N] [--no-peers] [--out DIR]

A BB84 link at 1 GHz: two decoys, bases 9 : 1, 0.2 dB/km, detectors of 20 % with 10^-6 dark counts, from the choice of what is sent to
sifted bits of both sides with their error rate. Each peer is installed into a virtual environment of its own that is thrown away, in the version of
peers.txt, and skipped with a line that says so where that fails. Prints a table of medians; with --out it also writes the table
(photonics.txt) and a manifest of what was measured where (photonics.json). Everything runs in one thread; other work on the machine slows
every row: the load before and after is part of the table.
"""

from __future__ import annotations

import dataclasses
import os
import statistics

import numpy as np
from table import Row, measured, parser, peak_mb, report, seconds
from table import peers as beside

from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.fibre import Fibre
from netsim.photonics.train import Choice
from netsim.random_streams import RandomStreams

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
PEERS = {
    "sequence": ("SeQUeNCe", "plain_sequence.py", ["10", "50", "0.2", "0.5", "1e9", "1e-6"]),
    "qns": ("SimQN", "plain_simqn.py", ["100000", "50", "0.2", "1e9"]),
}


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


def rows(repeats: int, *, peers: bool) -> tuple[list[Row], list[str]]:
    """Measure everything; repeats take turns. The table's rows, and remarks."""
    near, far, near_full, far_full = measured(
        repeats,
        lambda: second_s(50.0, PLAIN),
        lambda: second_s(100.0, PLAIN),
        lambda: second_s(50.0, FULL),
        lambda: second_s(100.0, FULL),
    )
    terapulse, dense, dense_full = measured(
        repeats, terapulse_s, lambda: dense_rate(PLAIN), lambda: dense_rate(FULL)
    )
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
    for name, done in beside(PEERS, repeats) if peers else ():
        if isinstance(done, str):
            remarks.append(f"{name}: {done}")
            continue
        rates = tuple(one["pulses"] / one["seconds"] for one in done)
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


def main() -> None:
    """Measure, print, and write if asked to."""
    made = parser("How fast light is simulated, beside SeQUeNCe and SimQN.", "photonics")
    made.add_argument("--no-peers", action="store_true", help="leave the peers out")
    arguments = made.parse_args()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    report(
        "photonics",
        ("numpy", "numba"),
        arguments,
        lambda repeats: rows(repeats, peers=not arguments.no_peers),
    )


if __name__ == "__main__":
    main()
