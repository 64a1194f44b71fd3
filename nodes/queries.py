"""What client and server have agreed on about queries, and what became of each."""

from __future__ import annotations

import dataclasses
from typing import Literal

from netsim.keys.one_time_pad import key_bits

ANSWER_BYTES = 1
"""An answer is the class, one byte."""

QueryStatus = Literal["pending", "answered", "rejected", "lost", "gave up"]


@dataclasses.dataclass(frozen=True)
class QueryFormat:
    """Sizes of query and answer.

    Attributes:
        features: how many, two bytes each.
        mac: whether messages carry a one-time MAC.
    """

    features: int
    mac: bool

    @property
    def query_bytes(self) -> int:
        """Plaintext of a query."""
        return 2 * self.features

    @property
    def query_key_bits(self) -> int:
        """Key that sealing a query takes."""
        return key_bits(self.query_bytes, self.mac)

    @property
    def answer_key_bits(self) -> int:
        """Key that sealing an answer takes."""
        return key_bits(ANSWER_BYTES, self.mac)

    @property
    def forward_share(self) -> float:
        """Share of the key that queries take; answers take the rest."""
        return self.query_key_bits / (self.query_key_bits + self.answer_key_bits)


@dataclasses.dataclass
class QueryRecord:
    """One query, as its client knows it, and the truth it does not.

    Attributes:
        client: number of the client.
        sequence: counts the client's queries.
        created_s: when the client wanted to ask.
        plaintext: what it asked.
        truth: the right class.
        sent_s: when it was sealed and sent.
        answered_s: when the answer was opened.
        status: what became of it.
        reason: why, where it was rejected.
        answer: the class that came back.
    """

    client: int
    sequence: int
    created_s: float
    plaintext: bytes = dataclasses.field(repr=False)
    truth: int
    sent_s: float | None = None
    answered_s: float | None = None
    status: QueryStatus = "pending"
    reason: str = ""
    answer: int | None = None

    @property
    def latency_s(self) -> float | None:
        """From the wish to ask to the opened answer."""
        return None if self.answered_s is None else self.answered_s - self.created_s
