"""Pulses per second through SeQUeNCe's BB84, used as its own examples use it; run by photonics.py in an environment of its own.

Two QKD nodes with the BB84 protocol alone, a quantum channel, classical channels; the sender's laser emits weak pulses of one
intensity (there are no decoys), the receiver has its efficiency and dark counts. Pulses in flight at the end are counted with the
emitted ones. Prints one JSON object.

    python benchmarks/plain_sequence.py CHUNKS LENGTH_KM EFFICIENCY MEAN_PHOTONS RATE_HZ DARK_COUNTS
"""

from __future__ import annotations

import json
import math
import sys
import time

from sequence.components.optical_channel import ClassicalChannel, QuantumChannel
from sequence.kernel.timeline import Timeline
from sequence.qkd.BB84 import pair_bb84_protocols
from sequence.topology.node import QKDNode

CHUNK = 100_000  # pulses that the sender emits at a time


class KeySink:
    """Takes the keys, of which there are none before the end."""

    def __init__(self) -> None:
        self.upper_protocols: list[object] = []
        self.lower_protocols: list[object] = []

    def pop(self, info: int) -> None:
        """A key."""


def main() -> None:
    """Emit, sift, and say how long it took."""
    chunks, length_km = int(sys.argv[1]), float(sys.argv[2])
    efficiency, mean_photons, rate_hz, dark_counts = map(float, sys.argv[3:7])
    emitting_ps = round(chunks * CHUNK * 1e12 / rate_hz)
    timeline = Timeline(emitting_ps)
    light = {"LightSource": {"frequency": rate_hz, "mean_photon_num": mean_photons}}
    alice = QKDNode("alice", timeline, stack_size=1, component_templates=light)
    bob = QKDNode("bob", timeline, stack_size=1)
    for seed, node in enumerate((alice, bob)):
        node.set_seed(seed)
    for detector in range(2):
        bob.components["bob.qsdetector"].set_detector(
            detector,
            efficiency=efficiency,
            dark_count=dark_counts * rate_hz,  # per second
            count_rate=rate_hz,
            time_resolution=100,
        )
    pair_bb84_protocols(alice.protocol_stack[0], bob.protocol_stack[0])
    for near, far in ((alice, bob), (bob, alice)):
        quantum = QuantumChannel(f"q-{near.name}", timeline, 2e-4, 1e3 * length_km, 0.99, frequency=rate_hz)
        quantum.set_ends(near, far.name)
        classical = ClassicalChannel(f"c-{near.name}", timeline, 1e3 * length_km)
        classical.set_ends(near, far.name)
    timeline.init()
    # A key so long that none is made before the end: what is measured is emission, detection and sifting.
    protocol = alice.protocol_stack[0]
    protocol.push(round(CHUNK * mean_photons), math.inf)
    protocol.key_lengths[0] = protocol.another.key_lengths[0] = 10**12
    began = time.perf_counter()
    timeline.run()
    took_s = time.perf_counter() - began
    sifted = len(bob.protocol_stack[0].key_bits)
    print(json.dumps({"pulses": chunks * CHUNK, "seconds": took_s, "sifted": sifted}))


if __name__ == "__main__":
    main()
