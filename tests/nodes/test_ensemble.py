"""The ensemble: its parts, its votes, its certificate, its state."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.ensemble import Ensemble
from nodes.qml.qsvm import QuantumSVM


@pytest.fixture
def rows():
    """A training and a test set of the paper's."""
    rng = np.random.default_rng(5)
    return split(two_clusters(200, 3.2, rng), 0.7, rng)


@given(members=st.integers(1, 9), data=st.data(), seed=st.integers(0, 2**32))
def test_each_row_goes_to_as_many_parts_as_asked_for(members, data, seed):
    """A row's parts follow from its features alone, not from the other rows or their order."""
    copies = data.draw(st.integers(1, members))
    rng = np.random.default_rng(seed)
    ensemble = Ensemble(members, copies=copies, rng=rng)
    features = rng.random((12, 3))
    parts = ensemble.parts(features)
    assert np.all(parts.sum(axis=1) == copies)
    order = rng.permutation(12)
    assert np.array_equal(ensemble.parts(features[order]), parts[order])
    assert np.array_equal(ensemble.parts(features[:1]), parts[:1])


def test_members_vote(rows):
    """The answer is the majority of machines trained on the parts, and disagreement the share of the others."""
    train, test = rows
    ensemble = Ensemble(5, rng=np.random.default_rng(1)).fit(train)
    votes = np.stack(
        [
            QuantumSVM().fit(DataSet(train.features[part], train.labels[part])).classify(test.features)
            for part in ensemble.parts(train.features).T
        ]
    )
    ones = votes.sum(axis=0)
    assert np.array_equal(ensemble.classify(test.features), ones > 2)
    assert np.allclose(ensemble.decide(test.features), (2 * ones - 5) / 5)
    assert np.allclose(ensemble.disagreement(test.features), np.minimum(ones, 5 - ones) / 5)


@pytest.mark.parametrize(("members", "copies"), [(7, 1), (6, 1), (9, 2)])
def test_no_flips_within_the_certificate_change_an_answer(rows, members, copies):
    """Labels of the parts that vote for an answer are flipped as the certificate allows: the answer stays."""
    train, test = rows
    rng = np.random.default_rng(2)
    ensemble = Ensemble(members, copies=copies, rng=rng).fit(train)
    answers, radius = ensemble.classify(test.features), ensemble.certified_flips(test.features)
    assert radius.min() == 0
    assert (
        radius.max()
        == (members // 2 if members % 2 else members // 2 - (answers[radius.argmax()] == 1)) // copies
    )
    changed = 0
    for flips in range(1, radius.max() + 1):
        for _ in range(20):
            labels = train.labels.copy()
            labels[rng.permutation(len(labels))[:flips]] ^= 1
            ensemble.fit(DataSet(train.features, labels))
            again = ensemble.classify(test.features)
            assert np.array_equal(again[radius >= flips], answers[radius >= flips])
            changed += int(np.any(again != answers))
    assert changed  # the attack does something where nothing is certified


def test_removed_and_added_rows_count_as_flips(rows):
    """With one row removed and one added, answers certified for two stay."""
    train, test = rows
    rng = np.random.default_rng(3)
    ensemble = Ensemble(7, rng=rng).fit(train)
    answers, radius = ensemble.classify(test.features), ensemble.certified_flips(test.features)
    assert np.any(radius >= 2)
    for row in rng.permutation(len(train.labels))[:20]:
        features = train.features.copy()
        features[row] = rng.random(2)
        again = ensemble.fit(DataSet(features, train.labels)).classify(test.features)
        assert np.array_equal(again[radius >= 2], answers[radius >= 2])


@pytest.mark.parametrize(
    ("members", "ones", "radius"),
    [(7, 7, 3), (7, 4, 0), (7, 3, 0), (7, 0, 3), (6, 4, 0), (6, 3, 0), (6, 2, 1), (1, 1, 0)],
)
def test_the_certificate_counts_votes(members, ones, radius):
    """How many votes may change sides before class 1 has no majority, or class 0 no half."""
    ensemble = Ensemble(members, rng=np.random.default_rng(0))
    ensemble.members_ = [1] * ones + [0] * (members - ones)
    ensemble.n_features_in_ = 2
    assert ensemble.certified_flips(np.zeros((1, 2))).tolist() == [radius]


def test_parts_of_one_label_say_that_label():
    """More members than rows leave parts with one row or none; they vote all the same."""
    train = DataSet(np.array([[0.1, 0.2], [0.9, 0.8]]), np.array([0, 1]))
    ensemble = Ensemble(9, rng=np.random.default_rng(0)).fit(train)
    assert all(isinstance(member, int) for member in ensemble.members_)
    assert sum(ensemble.members_) == 1
    assert ensemble.classify(train.features).tolist() == [0, 0]


@pytest.mark.parametrize("members", [5, 60])
def test_an_ensemble_survives_its_state(rows, members):
    """Settings that went through JSON and the arrays give the same decision values, bit for bit."""
    train, test = rows
    ensemble = Ensemble(members, rng=np.random.default_rng(0)).fit(train)
    settings, arrays = ensemble.state()
    again = Ensemble.of_state(json.loads(json.dumps(settings)), arrays)
    assert np.array_equal(again.decide(test.features), ensemble.decide(test.features))
    assert np.array_equal(again.certified_flips(test.features), ensemble.certified_flips(test.features))
    refitted = again.fit(train)
    assert np.array_equal(refitted.decide(test.features), ensemble.decide(test.features))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"members": 6}, "5 constants"),
        ({"members": 0}, "members is 0"),
        ({"copies": 9}, "copies is 9"),
        ({"constants": [7] * 5}, "constant is 7"),
        ({"biases": ["much"] * 5}, "bias is 'much'"),
        ({"salt": "no hexadecimal"}, "hex"),
        ({"features": 3}, "vectors"),
    ],
)
def test_a_wrong_state_is_refused(rows, change, match):
    """A state that is not one of such an ensemble raises a ValueError."""
    settings, arrays = Ensemble(5, rng=np.random.default_rng(0)).fit(rows[0]).state()
    with pytest.raises(ValueError, match=match):
        Ensemble.of_state(settings | change, arrays)


@pytest.mark.parametrize(("members", "copies"), [(0, 1), (3, 0), (3, 4)])
def test_an_impossible_ensemble_is_refused(members, copies):
    """No members, or more copies of a row than parts, raise a ValueError."""
    with pytest.raises(ValueError, match="expected"):
        Ensemble(members, copies=copies, rng=np.random.default_rng(0))


def test_one_class_is_refused(rows):
    """Training rows of one label raise a ValueError, as for any model."""
    train, _ = rows
    with pytest.raises(ValueError, match="one class"):
        Ensemble(rng=np.random.default_rng(0)).fit(DataSet(train.features, np.zeros_like(train.labels)))
