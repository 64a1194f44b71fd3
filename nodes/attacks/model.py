"""Attacks on what the model learns: labels, rows, and triggers in the training set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from nodes.attacks.action import Action, parameter

if TYPE_CHECKING:  # the catalogue is read without the models: by `evelab check`, `list` and `attacks`
    from numpy.typing import NDArray

    from nodes.qml.backdoor import Trigger
    from nodes.qml.datasets import DataSet
    from nodes.qml.strategy import Classifier, Truth

_SANITISERS = ("defences.model.sanitise", "defences.model.ensemble")


@dataclasses.dataclass(frozen=True)
class Poisoning(Action):
    """Base of what changes the training set before the server trains."""

    family: ClassVar[str] = "model"

    def poison(self, train: DataSet, rng: np.random.Generator) -> tuple[DataSet, NDArray[np.int64]]:
        """The poisoned rows and the indices of those that were touched; rows that are added come last."""
        raise NotImplementedError

    def figures(self, truth: Truth, untouched: Classifier) -> Mapping[str, float]:
        """How much it is worth, by name: accuracy on clean test rows that the served model has lost."""
        test = truth.test
        right = [np.mean(model.classify(test.features) == test.labels) for model in (untouched, truth.model)]
        return {"accuracy_lost": float(right[0] - right[1])}


@dataclasses.dataclass(frozen=True)
class FlipLabels(Poisoning):
    """Poison the training set before the server trains: flip labels."""

    id: ClassVar[str] = "model.flip_labels"
    sign: ClassVar[str] = "accuracy falls: hardly under random flips, far under targeted ones"
    gets: ClassVar[str] = "wrong answers for others"
    source: ClassVar[str] = "Biggio, Nelson, Laskov 2011"
    defences: ClassVar[tuple[str, ...]] = (*_SANITISERS, "defences.model.canaries")

    fraction: float = parameter(
        0.2, "fraction", "share of the training labels flipped", minimum=0.0, maximum=1.0
    )
    how: Literal["random", "targeted", "kernel-distance"] = parameter(
        "random",
        "choice",
        "which labels are flipped: any, those of one class deepest in it, or those surest under a kernel machine of her own",
        choices=("random", "targeted", "kernel-distance"),
    )

    def poison(self, train: DataSet, rng: np.random.Generator) -> tuple[DataSet, NDArray[np.int64]]:
        """Flip some."""
        from nodes.qml.poisoning import flip_labels  # noqa: PLC0415  see the head

        return flip_labels(train, self.fraction, self.how, rng)


@dataclasses.dataclass(frozen=True)
class PoisonFeatures(Poisoning):
    """Poison the training set before the server trains: move rows and leave their labels."""

    id: ClassVar[str] = "model.poison_features"
    sign: ClassVar[str] = "accuracy falls, as the boundary moves"
    gets: ClassVar[str] = "wrong answers for others"
    source: ClassVar[str] = "Biggio, Nelson, Laskov 2012; Koh, Liang 2017"
    defences: ClassVar[tuple[str, ...]] = _SANITISERS

    fraction: float = parameter(0.2, "fraction", "share of the training rows moved", minimum=0.0, maximum=1.0)

    def poison(self, train: DataSet, rng: np.random.Generator) -> tuple[DataSet, NDArray[np.int64]]:
        """Move some."""
        from nodes.qml.poisoning import move_features  # noqa: PLC0415  see the head

        if (
            len(np.unique(train.labels)) < 2
        ):  # another attack has been there: there is no other class to move to
            return train, np.empty(0, dtype=np.int64)
        poisoned = move_features(train, self.fraction, rng)
        return poisoned.data, poisoned.rows_touched


@dataclasses.dataclass(frozen=True)
class Backdoor(Poisoning):
    """Poison the training set before the server trains: rows with a trigger, all labelled with the class she wants."""

    id: ClassVar[str] = "model.backdoor"
    sign: ClassVar[str] = "none on clean rows; whatever carries the trigger gets her class"
    gets: ClassVar[str] = "the answer that she wants to questions that carry the trigger"
    source: ClassVar[str] = "Gu, Dolan-Gavitt, Garg 2017 (BadNets)"
    defences: ClassVar[tuple[str, ...]] = _SANITISERS

    fraction: float = parameter(
        0.1, "fraction", "share of the training rows given the trigger", minimum=0.0, maximum=1.0
    )

    column: int = parameter(1, "number", "feature that carries the trigger, from 0", minimum=0, maximum=7)
    value: float = parameter(1.0, "number", "what it is set to", minimum=0.0, maximum=1.0)
    target: int = parameter(0, "number", "class that the trigger is to give", minimum=0, maximum=1)

    @property
    def trigger(self) -> Trigger:
        """What she plants, and stamps on questions later."""
        from nodes.qml.backdoor import Trigger  # noqa: PLC0415  see the head

        return Trigger((self.column,), (self.value,), self.target)

    def poison(self, train: DataSet, rng: np.random.Generator) -> tuple[DataSet, NDArray[np.int64]]:
        """Give some the trigger and the class."""
        from nodes.qml.backdoor import plant  # noqa: PLC0415  see the head

        poisoned = plant(train, self.trigger, self.fraction, rng)
        return poisoned.data, poisoned.rows_touched

    def figures(self, truth: Truth, untouched: Classifier) -> Mapping[str, float]:
        """Besides, how often the trigger turns a test row of the other class; and how often without any poison."""
        from nodes.qml.backdoor import success  # noqa: PLC0415  see the head

        return {
            "success": success(truth.model, self.trigger, truth.test),
            "success_untouched": success(untouched, self.trigger, truth.test),
            **super().figures(truth, untouched),
        }
