"""The models that the server can run, by name: two quantum ones, and the classical ones beside them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nodes.qml.classical import LogisticRegression, RadialSVM
from nodes.qml.datasets import DataSet
from nodes.qml.machine import Arrays, Model, setting
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.vqc import VariationalClassifier


class OneAnswer:
    """What is learned from a training set in which an adversary has left rows of one label only: always that label.

    Args:
        label: 0 or 1.

    Raises:
        ValueError: another label.
    """

    name: ClassVar[str] = "one-answer"

    def __init__(self, label: int) -> None:
        if label not in {0, 1}:
            raise ValueError(f"label is {label!r}; expected 0 or 1")
        self.label = int(label)

    def __repr__(self) -> str:
        return f"OneAnswer({self.label})"

    def fit(self, train: DataSet) -> Self:
        """Learn the only label.

        Raises:
            ValueError: no rows, or rows of both labels.
        """
        labels = np.unique(train.labels)
        if len(labels) != 1:
            raise ValueError(f"training rows have the labels {labels.tolist()}; expected exactly one")
        self.label = int(labels[0])
        return self

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """+1 for each row if the label is 1, -1 if it is 0: float64[n], of float64[n, d] whatever they are."""
        return np.full(len(features), 2.0 * self.label - 1.0)

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """The label for each row, int64[n]."""
        return np.full(len(features), self.label, dtype=np.int64)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The label."""
        return {"label": self.label}, {}

    @classmethod
    def of_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:  # noqa: ARG003  it has none
        """The model again.

        Raises:
            ValueError: a state that is not one of such a model.
        """
        return cls(setting(settings, "label", int))


def _without_rng(kind: type[QuantumSVM | RadialSVM | LogisticRegression]) -> Callable[..., Model]:
    """Training these draws nothing."""

    def made(rng: np.random.Generator, **options: Any) -> Model:  # noqa: ARG001  the registry's signature
        model: Model = kind(**options)
        return model

    return made


MODELS: Mapping[str, Callable[..., Model]] = {
    QuantumSVM.name: _without_rng(QuantumSVM),
    VariationalClassifier.name: VariationalClassifier,
    RadialSVM.name: _without_rng(RadialSVM),
    LogisticRegression.name: _without_rng(LogisticRegression),
}
"""By name, what makes an untrained one from a generator and options."""

KINDS: Mapping[
    str,
    type[QuantumSVM | VariationalClassifier | RadialSVM | LogisticRegression | OneAnswer],
] = {
    kind.name: kind for kind in (QuantumSVM, VariationalClassifier, RadialSVM, LogisticRegression, OneAnswer)
}
"""By name, what has `of_state`: the models, and what a poisoned training set may leave."""


def make(name: str, rng: np.random.Generator, **options: Any) -> Model:
    """An untrained model.

    Args:
        name: one of `MODELS`.
        rng: where its randomness comes from, if it has any; read now, not in training.
        options: of its constructor.

    Raises:
        ValueError: an unknown name or option, or an option out of range.
    """
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r}; expected one of {', '.join(MODELS)}")
    known = [option for option in inspect.signature(KINDS[name]).parameters if option != "rng"]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ValueError(
            f"{', '.join(map(repr, unknown))} is no option of the model {name!r}; expected {', '.join(known)}"
        )
    return MODELS[name](rng, **options)


def trained(name: str, train: DataSet, rng: np.random.Generator, **options: Any) -> Model:
    """A trained model, or `OneAnswer` where the training set has rows of one label only.

    Raises:
        ValueError: what `make` and `fit` raise.
    """
    model = make(name, rng, **options)
    if len(train.labels) and np.all(train.labels == train.labels[0]):
        return OneAnswer(int(train.labels[0]))
    model.fit(train)
    return model
