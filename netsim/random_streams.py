"""Randomness has names: one seed, independent named streams.

What takes streams takes any `Streams`; whether they are seeded or secret is decided where they are made.
"""

from __future__ import annotations

import hashlib
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray


class Streams(Protocol):
    """Independent generators, one per name: seeded (`RandomStreams`) or the operating system's (`SystemStreams`)."""

    @property
    def secret(self) -> bool:
        """Whether nobody can know the bits in advance, and nobody can repeat them. It cannot be set."""
        ...

    def __call__(self, name: str) -> np.random.Generator:
        """The stream called `name`; asking twice gives the same generator, further on."""
        ...


class RandomStreams:
    """Independent generators, one per name, all from one seed.

    The same seed and name give the same stream in any process and whatever other streams exist; asking twice
    for a name gives the same generator, further on.

    Args:
        seed: a non-negative integer.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, np.random.Generator] = {}

    @property
    def secret(self) -> Literal[False]:
        """Whether nobody can know these bits in advance: no, who has the seed has them."""
        return False

    def __call__(self, name: str) -> np.random.Generator:
        """The stream called `name`."""
        if name not in self._streams:
            digest = hashlib.sha256(name.encode()).digest()
            words = tuple(int.from_bytes(digest[i : i + 4], "big") for i in range(0, 32, 4))
            sequence = np.random.SeedSequence(self.seed, spawn_key=words)
            self._streams[name] = np.random.Generator(np.random.SFC64(sequence))
        return self._streams[name]


def rare_events(count: int, probability: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """The positions, sorted, at which independent events of a small probability happen.

    Exact for any probability, and cheap for small ones: draws the number of events, then where they are.

    Args:
        count: number of trials.
        probability: of the event at each.
        rng: the stream to draw from.

    Returns:
        int64[k], distinct, ascending.
    """
    if not count or not probability:
        return np.empty(0, dtype=np.int64)
    events = int(rng.binomial(count, probability))
    return np.sort(rng.choice(count, events, replace=False, shuffle=False))


def random_bits(count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Fair bits. uint8[count] of 0 and 1."""
    return np.unpackbits(np.frombuffer(rng.bytes(-(-count // 8)), dtype=np.uint8), count=count)
