"""Qubits per second through plain QuNetSim, used as its own examples use it; run by range.py in a process of its own.

Alice prepares a qubit in one of BB84's states, sends it with `send_qubit(..., await_ack=True)`, and Bob fetches it with
`get_qubit(..., wait=10)` and measures; Eve relays and, if asked to, measures. Prints one JSON object.

    python benchmarks/plain_qunetsim.py QUBITS [eve]
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any

from qunetsim.backends import EQSNBackend
from qunetsim.components import Host, Network
from qunetsim.objects import Qubit


def sniff(_sender: str, _receiver: str, qubit: Any) -> None:
    """Eve measures in a random basis and sends on what she found."""
    if basis := random.getrandbits(1):
        qubit.H()
    qubit.measure(non_destructive=True)
    if basis:
        qubit.H()


def hosts_of(network: Network, backend: EQSNBackend, *, eve: bool) -> tuple[Host, Host]:
    """Alice and Bob, with Eve on the way."""
    names = ["alice", "eve", "bob"]
    network.start(names, backend)
    network.delay = 0
    hosts = [Host(name, backend) for name in names]
    for near, far in ((0, 1), (1, 2)):
        hosts[near].add_connection(names[far])
        hosts[far].add_connection(names[near])
    hosts[1].q_relay_sniffing = eve
    hosts[1].q_relay_sniffing_fn = sniff
    for host in hosts:
        host.start()
    network.add_hosts(hosts)
    return hosts[0], hosts[2]


def main() -> None:
    """Send the qubits, and say how long it took."""
    count, eve = int(sys.argv[1]), "eve" in sys.argv[2:]
    network, backend = Network.get_instance(), EQSNBackend()
    try:
        alice, bob = hosts_of(network, backend, eve=eve)
        kept = wrong = 0
        began = time.perf_counter()
        for _ in range(count):
            bit, basis, bobs_basis = (random.getrandbits(1) for _ in range(3))
            qubit = Qubit(alice)
            if bit:
                qubit.X()
            if basis:
                qubit.H()
            q_id, _ = alice.send_qubit("bob", qubit, await_ack=True)
            received = bob.get_qubit("alice", q_id, wait=10)
            if bobs_basis:
                received.H()
            outcome = received.measure()
            if basis == bobs_basis:
                kept += 1
                wrong += outcome != bit
        took_s = time.perf_counter() - began
    finally:
        network.stop(True)
    print(json.dumps({"qubits": count, "seconds": took_s, "sifted": kept, "errors": wrong}))


if __name__ == "__main__":
    main()
