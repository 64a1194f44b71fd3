"""A source of entangled pairs that stands between Alice and Bob, and belongs to nobody they trust."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from netsim.channel import QuantumChannel
from netsim.photonics.emitter import Emitter


class PairSource:
    """Sends one half of each pair to Alice and the other to Bob, block by block.

    Args:
        env: the simulation.
        emitter: makes the pairs.
        to_alice: the fibre to Alice.
        to_bob: the fibre to Bob.
        rng: the source's randomness.
    """

    def __init__(
        self,
        env: simpy.Environment,
        emitter: Emitter,
        to_alice: QuantumChannel,
        to_bob: QuantumChannel,
        rng: np.random.Generator,
    ) -> None:
        self._env = env
        self._emitter = emitter
        self._channels = (to_alice, to_bob)
        self._rng = rng

    def run(self, block_pulses: int, until_s: float) -> Generator[simpy.Event, Any, None]:
        """Emit, in step with Alice's blocks, as long as a whole block fits."""
        block_s = block_pulses / self._emitter.rate_hz
        for block in itertools.count():
            if self._env.now + block_s > until_s + 1e-9:
                return
            halves = self._emitter.pairs(block_pulses, block, self._env.now, self._rng)
            for channel, half in zip(self._channels, halves, strict=True):
                channel.send(half)
            yield self._env.timeout(block_s)
