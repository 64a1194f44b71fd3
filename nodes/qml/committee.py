"""Ensemble disagreement: several models, and no answer where they are not of one mind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nodes.qml.strategy import Classifier


class Committee:
    """Answers only what all members say.

    Args:
        members: trained models, at least one.

    Raises:
        ValueError: no member.
    """

    def __init__(self, members: Sequence[Classifier]) -> None:
        if not members:
            raise ValueError("no members; expected at least one trained model")
        self.members = tuple(members)

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The members' mean decision value float64[n], of float64[n, d]; NaN where their classes differ."""
        values = np.array([member.decide(features) for member in self.members])
        positive = (values > 0.0).sum(axis=0)
        agreed = (positive == 0) | (positive == len(values))
        return np.where(agreed, values.mean(axis=0), np.nan)

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Classes int64[n] of 0 or 1; 0 where there is none, so ask `decide` to know."""
        return (self.decide(features) > 0.0).astype(np.int64)
