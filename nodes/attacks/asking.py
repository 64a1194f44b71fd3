"""Attacks on the model by who may ask it: a client of hers, with keys and a budget like the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from nodes.attacks.action import Action, parameter

if TYPE_CHECKING:  # the catalogue is read without the models: by `evelab check`, `list` and `attacks`
    from numpy.typing import NDArray

    from nodes.qml.datasets import DataSet
    from nodes.qml.evasion import Disguised
    from nodes.qml.strategy import Knowledge, Replies, Strategy
    from nodes.qml.timing import Effort

_ANSWERS = (
    "defences.query_budget",
    "defences.model.decimals",
    "defences.model.noise",
    "server.answers: label",
)


@dataclasses.dataclass(frozen=True)
class Asking(Action):
    """Base of what asks questions: a client that is hers, from the entry's begin to its end."""

    family: ClassVar[str] = "model"

    rate: float = parameter(100.0, "/s", "questions of hers, a second", minimum=1e-3)

    def strategy(self, knows: Knowledge, candidates: DataSet, rng: np.random.Generator) -> Strategy[Any]:
        """What she asks, and what she makes of the replies.

        Args:
            knows: what she knows before the first question.
            candidates: rows of which the server has learnt some, and she would know which.
            rng: her randomness.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Evade(Asking):
    """Change questions a little until the model takes them for the other class."""

    id: ClassVar[str] = "model.evade"
    sign: ClassVar[str] = "queries near one another, near the boundary"
    gets: ClassVar[str] = "her questions are taken for the wrong class"
    source: ClassVar[str] = "Madry 2018; Bhagoji 2017; Chen, Jordan, Wainwright 2020"
    defences: ClassVar[tuple[str, ...]] = (*_ANSWERS, "defences.model.adversarial_training")

    epsilon: float = parameter(
        0.1, "fraction", "largest change of a feature, of its range", minimum=0.0, maximum=1.0
    )
    rows: int = parameter(20, "number", "questions to change", minimum=1, maximum=1000)
    method: Literal["differences", "labels", "copy", "transfer"] = parameter(
        "differences",
        "choice",
        "differences: the slope from asking either side; labels: from classes alone; copy: the exact gradient of a copy that "
        "64 questions give; transfer: of a model of her own, without asking",
        choices=("differences", "labels", "copy", "transfer"),
    )

    def strategy(self, knows: Knowledge, candidates: DataSet, rng: np.random.Generator) -> Strategy[Any]:
        """By the method."""
        from nodes.qml import evasion  # noqa: PLC0415  see the head

        rows = dataclasses.replace(
            knows.rows, features=knows.rows.features[: self.rows], labels=knows.rows.labels[: self.rows]
        )
        if self.method == "differences":
            return evasion.by_differences(knows, self.epsilon, rng, rows=rows)
        if self.method == "labels":
            return evasion.by_labels(knows, self.epsilon, rng, rows=rows)
        if self.method == "copy":
            return evasion.by_copy(Extract().strategy(knows, candidates, rng), rows, self.epsilon, rng)
        return _transferred(knows, rows, self.epsilon, rng)


def _transferred(
    knows: Knowledge, rows: DataSet, epsilon: float, rng: np.random.Generator
) -> Generator[NDArray[np.float64], Replies, Disguised]:
    """What evades a model of her own, in the hope that it evades the server's (Papernot et al. 2016)."""
    from nodes.qml.evasion import white_box  # noqa: PLC0415  see the head
    from nodes.qml.qsvm import QuantumSVM  # noqa: PLC0415  likewise

    yield from ()
    return white_box(QuantumSVM().fit(knows.rows), rows, epsilon, rng)


@dataclasses.dataclass(frozen=True)
class Extract(Asking):
    """Copy the model: ask, and solve for it."""

    id: ClassVar[str] = "model.extract"
    sign: ClassVar[str] = "queries spread over all that can be asked"
    gets: ClassVar[str] = (
        "a copy of the model: exact from as many scores as it has unknowns, 4^n for n qubits at most"
    )
    source: ClassVar[str] = "Tramèr 2016"
    defences: ClassVar[tuple[str, ...]] = _ANSWERS

    queries: int = parameter(
        64, "number", "different questions; at least 30 of classes", minimum=1, maximum=2000
    )
    repeats: int = parameter(1, "number", "times that each is asked, against noise", minimum=1, maximum=1000)

    def strategy(self, knows: Knowledge, candidates: DataSet, rng: np.random.Generator) -> Strategy[Any]:  # noqa: ARG002  some need them
        """From scores or from classes, whatever is told."""
        from nodes.qml import extraction  # noqa: PLC0415  see the head

        if knows.scores:
            return extraction.by_scores(knows, rng, queries=self.queries, repeats=self.repeats)
        return extraction.by_labels(knows, rng, queries=max(30, self.queries), repeats=self.repeats)


@dataclasses.dataclass(frozen=True)
class Invert(Asking):
    """Find out what each class looks like: what it takes for one, on the mean, or is surest of."""

    id: ClassVar[str] = "model.invert"
    sign: ClassVar[str] = (
        "queries spread over all that can be asked, or climbing to where the model is surest"
    )
    gets: ClassVar[str] = "a portrait of each class, no better than the mean of rows of her own would be"
    source: ClassVar[str] = "Fredrikson, Jha, Ristenpart 2015"
    defences: ClassVar[tuple[str, ...]] = _ANSWERS

    portrait: Literal["mean", "peak"] = parameter(
        "mean",
        "choice",
        "mean: of the questions that get a class; peak: the one that the model is surest of, which is seldom typical",
        choices=("mean", "peak"),
    )
    queries: int = parameter(200, "number", "different questions, about", minimum=20, maximum=100_000)
    repeats: int = parameter(1, "number", "times that each is asked, against noise", minimum=1, maximum=1000)

    def strategy(self, knows: Knowledge, candidates: DataSet, rng: np.random.Generator) -> Strategy[Any]:  # noqa: ARG002  some need them
        """Ask all over, and climb for the peak."""
        from nodes.qml.inversion import portraits  # noqa: PLC0415  see the head

        return portraits(knows, rng, queries=self.queries, repeats=self.repeats, peak=self.portrait == "peak")


@dataclasses.dataclass(frozen=True)
class InferMembership(Asking):
    """Find out which of some rows the model was trained on."""

    id: ClassVar[str] = "model.infer_membership"
    sign: ClassVar[str] = "none: one query for each row"
    gets: ClassVar[str] = (
        "whether a row was trained on: support vectors stand at a score of exactly 1, other rows do not tell"
    )
    source: ClassVar[str] = "Shokri 2017; Yeom 2018; Carlini 2022"
    defences: ClassVar[tuple[str, ...]] = _ANSWERS

    rule: Literal["gap", "threshold", "ratio", "support"] = parameter(
        "threshold",
        "choice",
        "gap: trained rows are right; threshold and ratio: as models of her own do it; support: support vectors stand at 1",
        choices=("gap", "threshold", "ratio", "support"),
    )
    repeats: int = parameter(1, "number", "times that each is asked, against noise", minimum=1, maximum=1000)

    def strategy(self, knows: Knowledge, candidates: DataSet, rng: np.random.Generator) -> Strategy[Any]:
        """By the rule."""
        from nodes.qml.membership import inferred  # noqa: PLC0415  see the head
        from nodes.qml.qsvm import QuantumSVM  # noqa: PLC0415  likewise

        trainer = QuantumSVM().fit
        return inferred(knows, candidates, self.rule, rng, trainer=trainer, repeats=self.repeats)


@dataclasses.dataclass(frozen=True)
class TimeAnswers(Asking):
    """Read scores off the clock: a server that stops measuring when the class is clear tells how clear it was."""

    id: ClassVar[str] = "model.time_answers"
    sign: ClassVar[str] = "the same queries again and again"
    gets: ClassVar[str] = "the size of scores that answers do not tell, and with them a copy of the model"
    source: ClassVar[str] = "Kocher 1996 for the channel; the strategy is ours"
    defences: ClassVar[tuple[str, ...]] = ("defences.model.constant_time", "defences.query_budget")

    queries: int = parameter(64, "number", "different questions", minimum=8, maximum=2000)
    repeats: int = parameter(
        9, "number", "times that each is asked, over the jitter", minimum=2, maximum=1000
    )

    def strategy(self, knows: Knowledge, candidates: DataSet, rng: np.random.Generator) -> Strategy[Any]:  # noqa: ARG002  some need them
        """Ask, and time."""
        from nodes.qml.timing import timed  # noqa: PLC0415  see the head

        return timed(knows, early_stopping(), rng, queries=self.queries, repeats=self.repeats)


def early_stopping(*, constant: bool = False) -> Effort:
    """How a server measures that stops when the class is clear; that is no secret.

    Up to 64 batches of shots, each with a standard deviation of 1 in the decision value, until the mean is two standard errors
    from 0.
    """
    from nodes.qml.timing import Effort  # noqa: PLC0415  see the head

    return Effort(most=64, z=2.0, spread=1.0, constant=constant)


@dataclasses.dataclass(frozen=True)
class HostileHost(Action):
    """Turn a client's host hostile: from now on all it asks about is of class 1, attack traffic."""

    id: ClassVar[str] = "host.compromise"
    family: ClassVar[str] = "model"
    sign: ClassVar[str] = "scores of one client rise, and stay"
    gets: ClassVar[str] = "a host in the network, for as long as it is not isolated"
    source: ClassVar[str] = "lateral movement, MITRE ATT&CK TA0008"
    defences: ClassVar[tuple[str, ...]] = ("defences.playbook",)

    client: int = parameter(1, "number", "number of the client", minimum=1, maximum=1000)
