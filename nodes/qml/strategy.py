"""An attacker who may only ask: a generator that yields questions, is sent the replies, and returns what it made of them.

The same generator runs against a model in memory and, query by query, against the server across the network.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.statevector import Program


@dataclass(frozen=True, eq=False)
class Replies:
    """What came back for a batch of questions.

    Attributes:
        values: float64[n], the class 0 or 1, or the decision value where the server tells scores; NaN where no answer came.
        seconds: float64[n], how long each took, there and back; NaN where no answer came.
    """

    values: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or self.values.shape != self.seconds.shape:
            raise ValueError(
                f"values have shape {self.values.shape} and seconds {self.seconds.shape}; expected both (n,)"
            )


class Oracle(Protocol):
    """Somebody who answers questions."""

    def __call__(self, questions: NDArray[np.float64]) -> Replies:
        """The replies to questions float64[n, d], each in [0, 1]."""


class Classifier(Protocol):
    """A trained model, as whoever has it sees it."""

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision values float64[n] of features float64[n, d]; positive means class 1."""

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Classes int64[n] of 0 or 1."""


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What the attacker knows before the first question.

    Attributes:
        width: features of a question.
        rows: data of the attacker's own, from where the server's came.
        scores: whether answers are decision values; classes otherwise.
        program: the server's feature map, which is no secret (Kerckhoffs); None where it has none.
    """

    width: int
    rows: DataSet
    scores: bool
    program: Program | None = None


@dataclass(frozen=True, eq=False)
class Truth:
    """What only the referee has.

    Attributes:
        model: the server's, as it was trained.
        train: rows it was trained on.
        test: rows that neither it nor the attacker has seen.
    """

    model: Classifier
    train: DataSet
    test: DataSet


class Loot(Protocol):
    """What an attacker came away with."""

    def figures(self, truth: Truth) -> Mapping[str, float]:
        """How much it is worth, by name; the first is the harm that a defence is measured by, greater is worse."""


L_co = TypeVar("L_co", bound=Loot, covariant=True)
Strategy: TypeAlias = Generator[NDArray[np.float64], Replies, L_co]
"""Yields questions float64[n, d] in [0, 1], is sent their `Replies`, returns its loot."""


def carried_out(
    strategy: Generator[NDArray[np.float64], Replies, Any], oracle: Callable[..., Replies]
) -> Any:
    """Let an attacker ask an oracle until it is done: its loot."""
    try:
        questions = next(strategy)
        while True:
            questions = strategy.send(oracle(questions))
    except StopIteration as done:
        return done.value
