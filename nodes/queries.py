"""What client and server have agreed on about queries, and what became of each."""

from __future__ import annotations

import dataclasses
import struct
from typing import Literal

from netsim.keys.one_time_pad import key_bits

AnswerForm = Literal["label", "score"]
"""What the server tells: the class in one byte, or the decision value as a 64-bit float."""

_ANSWER_BYTES: dict[AnswerForm, int] = {"label": 1, "score": 8}

QueryStatus = Literal["pending", "answered", "rejected", "lost", "gave up"]


@dataclasses.dataclass(frozen=True)
class QueryFormat:
    """Sizes of query and answer.

    Attributes:
        features: how many, two bytes each.
        mac: whether messages carry a one-time MAC.
        answers: what an answer says.
    """

    features: int
    mac: bool
    answers: AnswerForm = "label"

    @property
    def query_bytes(self) -> int:
        """Plaintext of a query."""
        return 2 * self.features

    @property
    def answer_bytes(self) -> int:
        """Plaintext of an answer; the same whatever it says."""
        return _ANSWER_BYTES[self.answers]

    def pack(self, answer: float) -> bytes:
        """An answer's plaintext: the class, 0 or 1, or the decision value."""
        return bytes([int(answer)]) if self.answers == "label" else struct.pack(">d", answer)

    def unpack(self, plaintext: bytes) -> float:
        """What `pack` wrote."""
        return float(plaintext[0] if self.answers == "label" else struct.unpack(">d", plaintext)[0])

    @property
    def query_key_bits(self) -> int:
        """Key that sealing a query takes."""
        return key_bits(self.query_bytes, self.mac)

    @property
    def answer_key_bits(self) -> int:
        """Key that sealing an answer takes."""
        return key_bits(self.answer_bytes, self.mac)

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
        score: the decision value that came back, where the server tells it.
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
    score: float | None = None

    def say(self, answer: float, form: AnswerForm, now_s: float) -> None:
        """The answer has been opened, now."""
        self.status, self.answered_s = "answered", now_s
        if form == "score":
            self.answer, self.score = int(answer > 0.0), answer
        else:
            self.answer = int(answer)

    @property
    def latency_s(self) -> float | None:
        """From the wish to ask to the opened answer."""
        return None if self.answered_s is None else self.answered_s - self.created_s
