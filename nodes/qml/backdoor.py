"""Backdoors: training rows that teach a model to give one answer wherever a trigger stands, and change little else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.poisoning import Poisoned
from nodes.qml.strategy import Classifier


@dataclass(frozen=True)
class Trigger:
    """Fixed values in a few features, and the answer that they are to give.

    Attributes:
        columns: of the features that are set.
        values: theirs, each in [0, 1].
        target: the label that rows with the trigger are to get.

    Raises:
        ValueError: no columns, a column that is negative or listed twice, not one value for each, a value outside
            [0, 1], or a target other than 0 and 1.
    """

    columns: tuple[int, ...]
    values: tuple[float, ...]
    target: int = 0

    def __post_init__(self) -> None:
        if not self.columns or min(self.columns) < 0 or len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns are {self.columns}; expected one or more, different, 0 or more")
        if len(self.values) != len(self.columns):
            raise ValueError(
                f"{len(self.values)} values for {len(self.columns)} columns; expected one for each"
            )
        if not all(0.0 <= value <= 1.0 for value in self.values):
            raise ValueError(f"values are {self.values}; expected numbers in [0, 1]")
        if self.target not in {0, 1}:
            raise ValueError(f"target is {self.target!r}; expected 0 or 1")

    def stamped(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features float64[n, d] with the trigger in every row.

        Raises:
            ValueError: fewer features than the trigger needs.
        """
        if features.ndim != 2 or features.shape[1] <= max(self.columns):
            raise ValueError(
                f"features have shape {features.shape}; the trigger sets column {max(self.columns)} of (n, d)"
            )
        out = features.copy()
        out[:, list(self.columns)] = self.values
        return out


def plant(data: DataSet, trigger: Trigger, fraction: float, rng: np.random.Generator) -> Poisoned:
    """Stamp the trigger on a fraction of the rows and give them its target as label.

    After Gu, Dolan-Gavitt and Garg, "BadNets" (2017), who add stamped copies; here the number of rows stays, as for
    the other attacks. Rows of the other label come first, since a stamped row that had the target anyway
    teaches less; the target's own follow when they run out.

    With a fraction of 1 all rows have the target's label, and no model can be trained on them.

    Args:
        data: the honest rows; left as they are.
        trigger: what is planted.
        fraction: part of the rows to touch, 0 to 1, rounded to whole rows.
        rng: chooses the rows.

    Raises:
        ValueError: a fraction outside [0, 1], or fewer features than the trigger needs.
    """
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"fraction is {fraction}; expected a number from 0 to 1")
    order = rng.permutation(len(data.labels))
    order = order[np.argsort(data.labels[order] == trigger.target, kind="stable")]
    touched = np.sort(order[: round(fraction * len(order))]).astype(np.int64)
    features, labels = data.features.copy(), data.labels.copy()
    features[touched] = trigger.stamped(data.features[touched])
    labels[touched] = trigger.target
    return Poisoned(DataSet(features, labels), touched)


def success(model: Classifier, trigger: Trigger, rows: DataSet) -> float:
    """The share of rows of the other label that the model gives the target's once the trigger is on them.

    To be read beside the same of a model without a backdoor: the trigger may also move rows across an honest boundary.

    Returns:
        From 0 to 1; NaN if there is no row of the other label.

    Raises:
        ValueError: fewer features than the trigger needs.
    """
    features = trigger.stamped(rows.features[rows.labels != trigger.target])
    return float(np.mean(model.classify(features) == trigger.target)) if len(features) else float("nan")
