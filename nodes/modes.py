"""How a question travels from a client to the server: what both sides of a query mode do, and the two modes that need no light.

A client asks its side to seal a question and to read the answer; the server asks its side to open a question and to find its decision
value. Sealing the answer, budgets, queues and timeouts are the same in all modes. The modes whose questions are quantum states are
in nodes.quantum_modes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any, Protocol

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.keys.one_time_pad import key_bits, seal, unseal
from netsim.messages import Query
from nodes.kme import Key, KeyManager, key_named
from nodes.qml import fixed_point
from nodes.qml.strategy import Classifier
from nodes.queries import QueryFormat, QueryRecord

Answers = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Decision values float64[n] to what is told, float64[n]."""


class AskingMode(Protocol):
    """A client's side."""

    def seal(self, query: QueryRecord, blank: Query, key: Key) -> Generator[simpy.Event, Any, bytes]:
        """What goes into a Query that is blank but for it; light, if the mode has some, leaves now.

        Args:
            query: what is asked.
            blank: the message, nothing sealed yet.
            key: of as many bits as the layout's `query_key_bits`.

        Raises:
            KeyExhausted: the mode takes more key than that, and there is none.
        """

    def read(self, plaintext: bytes) -> float:
        """What an opened answer tells: a class, or a decision value."""


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """What the server makes of a question.

    Attributes:
        values: float64[1], its decision value, or float64[m] where the client adds up m estimates; NaN where too little arrived.
        features: float64[1, d] where the server can read them; None where it cannot.
    """

    values: NDArray[np.float64]
    features: NDArray[np.float64] | None


class ServingMode(Protocol):
    """The server's side."""

    def open(self, query: Query) -> Generator[simpy.Event, Any, Any]:
        """What the server gets to work with, once its key is there.

        Raises:
            KeyUnavailable: the key is none for such a query, or spent.
            SealBroken: the tag does not fit.
        """

    def fits(self, question: Any) -> bool:
        """Whether what was opened has the form of a question."""

    def find(self, model: Classifier, question: Any) -> Found:
        """The decision value, with the server's model if the mode uses it."""

    def pack(self, values: NDArray[np.float64], answers: Answers) -> bytes:
        """The answer's plaintext, as long as the layout says."""


class OneTimePad:
    """`otp`, both sides: features under a one-time pad and a one-time MAC.

    Args:
        keys: the KME of the site.
        layout: sizes of query and answer.
    """

    def __init__(self, keys: KeyManager, layout: QueryFormat) -> None:
        self._keys = keys
        self._layout = layout

    def seal(self, query: QueryRecord, blank: Query, key: Key) -> Generator[simpy.Event, Any, bytes]:
        """Encrypt and tag."""
        yield from ()
        return seal(query.plaintext, blank.header(), key.bits, self._layout.mac)

    def read(self, plaintext: bytes) -> float:
        """As the layout packs it."""
        return self._layout.unpack(plaintext)

    def open(self, query: Query) -> Generator[simpy.Event, Any, bytes]:
        """The features' code."""
        key_id = key_named(query.key_id, self._layout.query_key_bits)
        (key,) = yield from self._keys.dec_keys([key_id])
        return unseal(query.sealed, query.header(), key.bits, self._layout.mac)

    def fits(self, question: bytes) -> bool:
        """Whether it has the length."""
        return len(question) == self._layout.query_bytes

    def find(self, model: Classifier, question: bytes) -> Found:
        """Decode and decide."""
        features = np.array([fixed_point.decode(question)])
        return Found(model.decide(features), features)

    def pack(self, values: NDArray[np.float64], answers: Answers) -> bytes:
        """As the layout packs it."""
        return self._layout.pack(float(answers(values)[0]))


@dataclasses.dataclass(frozen=True)
class MaskedFormat(QueryFormat):
    """Sizes where queries are masked and never opened: they take no key for a MAC, which nobody could check."""

    @property
    def query_key_bits(self) -> int:
        """The mask alone."""
        return key_bits(self.query_bytes, mac=False)


class Masked(OneTimePad):
    """`masked`, both sides: the paper's Algorithm 1 to the letter, c = x ⊕ k with fresh k, and the server classifies c.

    The server never asks for the key, so it can check no tag either: what Eve makes up is answered as any other. Answers are
    sealed as in all modes.
    """

    def seal(self, query: QueryRecord, blank: Query, key: Key) -> Generator[simpy.Event, Any, bytes]:
        """Mask, no tag."""
        yield from ()
        return seal(query.plaintext, blank.header(), key.bits, mac=False)

    def open(self, query: Query) -> Generator[simpy.Event, Any, bytes]:
        """The mask stays on."""
        yield from ()
        return query.sealed
