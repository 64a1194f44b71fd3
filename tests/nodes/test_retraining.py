"""Retrained machines: the same decision values as the server's, from one kernel matrix."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.feature_maps import zz_map
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.retraining import Retraining


@pytest.mark.parametrize("reps", [1, 2])
def test_a_machine_on_a_part_is_the_servers_on_that_part(reps):
    """Decision values agree with those of a quantum machine trained on the same rows in the same way."""
    rng = np.random.default_rng(1)
    train, test = split(two_clusters(120, 3.2, rng, features=3), 0.5, rng)
    machines = Retraining(np.concatenate([train.features, test.features]), zz_map(3, reps).program, C=0.7)
    rows = rng.permutation(60)[:40]
    part = DataSet(train.features[rows], train.labels[rows])
    expected = QuantumSVM(C=0.7, reps=reps).fit(part).decide(test.features)
    found = machines.values(rows, train.labels[rows], np.arange(60, 120))
    assert np.allclose(found, expected, atol=1e-9)


def test_rows_of_one_label_teach_a_constant():
    """Where no machine can be trained, the only label is the answer to everything."""
    machines = Retraining(np.random.default_rng(0).random((6, 2)))
    rows = np.arange(3)
    for label in (0, 1):
        values = machines.values(rows, np.full(3, label), np.arange(6))
        assert values.tolist() == [2.0 * label - 1.0] * 6


def test_what_cannot_be_trained_is_refused():
    """No rows, a penalty that is not positive, and features that are not finite raise a ValueError."""
    features = np.random.default_rng(0).random((6, 2))
    with pytest.raises(ValueError, match="no training rows"):
        Retraining(features).values(np.arange(0), np.zeros(0, dtype=np.int64), np.arange(6))
    with pytest.raises(ValueError, match="C is"):
        Retraining(features, C=0.0)
    features[0, 0] = np.nan
    with pytest.raises(ValueError, match="not a number"):
        Retraining(features)
    with pytest.raises(ValueError, match="2 to 16"):
        Retraining(np.zeros((6, 1)))
