"""Ensemble disagreement."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.committee import Committee


class Plane:
    """A linear model."""

    def __init__(self, *weights):
        self.weights = np.array(weights)

    def decide(self, features):
        """Distance from the plane, up to a factor."""
        return (features - 0.5) @ self.weights

    def classify(self, features):
        """Its side."""
        return (self.decide(features) > 0.0).astype(np.int64)


def test_only_what_all_say_is_answered():
    """The mean of the decision values where all have one sign, NaN elsewhere."""
    committee = Committee([Plane(1.0, 0.0), Plane(0.0, 1.0)])
    points = np.array([[0.9, 0.7], [0.9, 0.3], [0.1, 0.1]])
    assert committee.decide(points)[[0, 2]] == pytest.approx([0.3, -0.4])
    assert np.isnan(committee.decide(points)[1])
    assert committee.classify(points).tolist() == [1, 0, 0]


def test_a_committee_has_members():
    """Without a model there is no answer."""
    with pytest.raises(ValueError, match="no members"):
        Committee([])
