"""Label flipping: an adversary who may change some labels of the training set before the model sees it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet


def flip_labels(
    data: DataSet, fraction: float, how: Literal["random", "targeted"], rng: np.random.Generator
) -> tuple[DataSet, NDArray[np.int64]]:
    """Flip the labels of a fraction of the rows.

    `random` chooses the rows uniformly: a support vector machine outvotes them. `targeted` knows the data but
    not the model: all its flips hit one label, the rarer one (0 if equal), where they need to outvote the
    fewest honest rows; and it flips the rows farthest from the other label's mean first, because a wrong
    label deep behind the boundary costs a soft margin the most slack. When that label runs out it goes on
    with the other. The setting is that of Xiao et al., "Support vector machines under adversarial label
    contamination" (2015), who optimise the flips against the trained machine; this rule is simpler and needs
    no machine.

    It is not the worst case; it was picked among a dozen as simple for coming close to a trial of the
    paper's experiment (74 % accuracy left at 20 % flips, 54 % at 30 %; this rule leaves 74 % and 50 %).
    Flipping label 0 where an RBF machine of the adversary's own is surest leaves 63 % at 20 %.

    Args:
        data: the honest rows; left as they are.
        fraction: part of the rows to flip, 0 to 1, rounded to whole rows.
        how: `random` or `targeted`.
        rng: chooses the rows of `random`; `targeted` draws nothing from it.

    Returns:
        The poisoned set, rows in the same order, and the flipped rows' indices, int64, ascending.

    Raises:
        ValueError: a fraction outside [0, 1], or another `how`.
    """
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"fraction is {fraction}; expected a number from 0 to 1")
    count = round(fraction * len(data.labels))
    if how == "random":
        order = rng.permutation(len(data.labels))
    elif how == "targeted":
        order = _deepest_first(data)
    else:
        raise ValueError(f"how is {how!r}; expected 'random' or 'targeted'")
    flipped = np.sort(order[:count]).astype(np.int64)
    labels = data.labels.copy()
    labels[flipped] ^= 1
    return DataSet(features=data.features, labels=labels), flipped


def _deepest_first(data: DataSet) -> NDArray[np.intp]:
    """Every row's index, the victim label's rows first, each label's farthest from the other's mean first."""
    ones = int(data.labels.sum())
    victim = int(ones < len(data.labels) - ones)
    depth = np.zeros(len(data.labels))
    for label in (0, 1):
        others = data.features[data.labels != label]
        if len(others):  # with a single label there is no boundary, and any order does
            rows = data.labels == label
            depth[rows] = np.linalg.norm(data.features[rows] - others.mean(axis=0), axis=1)
    return np.lexsort((-depth, data.labels != victim))
