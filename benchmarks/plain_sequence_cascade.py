"""Bits per second through SeQUeNCe's Cascade alone; run by postprocessing.py in an environment of its own.

Two QKD nodes and classical channels; the keys come from no light but straight from a generator, in SeQUeNCe's own frames of 10240 bits, with
independent errors. Disclosed are the parities that it sends: the checksums of all passes, and each answer of a binary search. (Its own
`disclosed_bits_counter` counts corrected bits instead.) Prints a JSON list, an object for each error rate.

    python benchmarks/plain_sequence_cascade.py FRAMES QBER...
"""

from __future__ import annotations

import json
import math
import random
import sys
import time

from sequence.components.optical_channel import ClassicalChannel
from sequence.kernel.timeline import Timeline
from sequence.qkd.BB84 import pair_bb84_protocols
from sequence.qkd.cascade import Cascade, CascadeMsgType, pair_cascade_protocols
from sequence.topology.node import QKDNode

LENGTH_M = 1000
KEY_BITS = 10_240


class Generator:
    """Stands where BB84 would: hands both sides correlated keys.

    Attributes:
        errors: made in the frames.
    """

    def __init__(self, sides: tuple[Cascade, Cascade], frames: int, qber: float) -> None:
        self._sides = sides
        self._frames = frames
        self._qber = qber
        self._random = random.Random(1)  # noqa: S311  a simulation
        self.errors = 0

    def push(self, length: int, key_num: float, run_time: float = math.inf) -> None:  # noqa: ARG002  SeQUeNCe's interface
        """Make keys of so many bits: one to estimate the error rate, then the frames."""
        estimation = key_num == 1
        for _ in range(1 if estimation else self._frames):
            alice = self._random.getrandbits(length)
            flips = [1 << place for place in range(length) if self._random.random() < self._qber]
            self.errors += 0 if estimation else len(flips)
            self._sides[0].pop(alice)
            self._sides[1].pop(alice ^ sum(flips))


class KeySink:
    """Takes the keys."""

    def pop(self, info: int | None = None, key: int | None = None) -> None:
        """A key."""


def reconcile(frames: int, qber: float) -> dict[str, float]:
    """Make so many frames equal, and say how long it took."""
    timeline = Timeline(10**18)
    nodes = [QKDNode(name, timeline, stack_size=1) for name in ("alice", "bob")]
    sides = Cascade(nodes[0], "alice.cascade"), Cascade(nodes[1], "bob.cascade")
    pair_cascade_protocols(*sides)
    pair_bb84_protocols(*(node.protocol_stack[0] for node in nodes))  # which the nodes insist on
    generator = Generator(sides, frames, qber)
    disclosed = 0
    for node, side in zip(nodes, sides, strict=True):
        node.protocols.append(side)
        side.upper_protocols.append(KeySink())
        side.lower_protocols = [generator]
    heard = sides[1].received_message

    def listen(src: str, message: object) -> None:
        nonlocal disclosed
        if message.msg_type is CascadeMsgType.CHECKSUMS:
            disclosed += sum(map(len, message.checksums))
        elif message.msg_type is CascadeMsgType.RECEIVE_FOR_BINARY:
            disclosed += 1
        heard(src, message)

    sides[1].received_message = listen
    for near, far in (nodes, nodes[::-1]):
        channel = ClassicalChannel(f"c-{near.name}", timeline, LENGTH_M)
        channel.set_ends(near, far.name)
    timeline.init()
    began = time.perf_counter()
    sides[0].push(KEY_BITS, frames)
    timeline.run()
    took_s = time.perf_counter() - began
    unequal = sum(a != b for a, b in zip(sides[0].bits[1:], sides[1].bits[1:], strict=True))
    return {
        "bits": frames * KEY_BITS,
        "seconds": took_s,
        "disclosed": disclosed,
        "errors": generator.errors,
        "unequal": unequal,
    }


def main() -> None:
    """One error rate after the other."""
    print(json.dumps([reconcile(int(sys.argv[1]), float(qber)) for qber in sys.argv[2:]]))


if __name__ == "__main__":
    main()
