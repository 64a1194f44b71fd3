"""Photons per second through SimQN's BB84, used as its own examples use it; run by photonics.py in an environment of its own.

It sends single photons, one qubit each, so that one pulse is one photon; detectors have no parameters, so that their efficiency is
part of the channel's loss; its quantum channel passes one qubit a second unless its bandwidth is lifted. The time of flight is left out, so
that a short run is sifted to its end, and error correction is put off beyond it. Prints one JSON object.

    python benchmarks/plain_simqn.py PULSES LENGTH_KM EFFICIENCY RATE_HZ
"""

from __future__ import annotations

import json
import sys
import time

from qns.entity.cchannel.cchannel import ClassicChannel
from qns.entity.node.node import QNode
from qns.entity.qchannel.qchannel import QuantumChannel
from qns.network.protocol.bb84 import BB84RecvApp, BB84SendApp
from qns.simulator.simulator import Simulator


def main() -> None:
    """Send, sift, and say how long it took."""
    pulses, length_km, efficiency, rate_hz = int(sys.argv[1]), *map(float, sys.argv[2:5])
    passes = 10 ** (-0.02 * length_km) * efficiency
    simulator = Simulator(0, pulses / rate_hz, accuracy=round(10 * rate_hz))
    alice, bob = QNode("alice"), QNode("bob")
    quantum = QuantumChannel("quantum", bandwidth=0, delay=0.0, drop_rate=1.0 - passes, length=0)
    classical = ClassicChannel("classical", delay=0.0)
    for node in (alice, bob):
        node.add_qchannel(quantum)
        node.add_cchannel(classical)
    sender = BB84SendApp(bob, quantum, classical, send_rate=rate_hz, length_for_post_processing=10**9)
    receiver = BB84RecvApp(alice, quantum, classical, length_for_post_processing=10**9)
    alice.add_apps(sender)
    bob.add_apps(receiver)
    for node in (alice, bob):
        node.install(simulator)
    began = time.perf_counter()
    simulator.run()
    took_s = time.perf_counter() - began
    print(json.dumps({"pulses": sender.count, "seconds": took_s, "sifted": len(receiver.raw_key_pool)}))


if __name__ == "__main__":
    main()
