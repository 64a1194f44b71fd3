"""The data of the paper's experiment and its split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qml.datasets import DataSet, shared_out, split, two_clusters, xor


def test_clusters_fill_the_unit_square_with_as_many_rows_of_each_label():
    """Each feature spans exactly [0, 1] and the labels are balanced."""
    data = two_clusters(200, 3.2, np.random.default_rng(1), features=3)
    assert data.features.shape == (200, 3)
    assert data.features.min(axis=0).tolist() == [0.0, 0.0, 0.0]
    assert data.features.max(axis=0).tolist() == [1.0, 1.0, 1.0]
    assert np.bincount(data.labels).tolist() == [100, 100]


def test_clusters_are_as_far_apart_as_asked():
    """The centres are 3.2 standard deviations apart along the first axis and coincide along the second.

    The estimate of a distance d from n rows has standard deviation sqrt((4 + d²/2) / n), 0.0214 along the
    first axis and 0.0141 along the second at n = 20000; 0.14 and 0.09 are more than 6.3 of them: false
    failure below 1e-9. A distance of 2.9 would fail with the same certainty.
    """
    data = two_clusters(20_000, 3.2, np.random.default_rng(2))
    zeros, ones = data.features[data.labels == 0], data.features[data.labels == 1]
    spread = np.sqrt((zeros.var(axis=0) + ones.var(axis=0)) / 2)
    along, across = (ones.mean(axis=0) - zeros.mean(axis=0)) / spread
    assert abs(along - 3.2) < 0.14
    assert abs(across) < 0.09


def test_the_same_generator_state_gives_the_same_clusters():
    """Equal seeds give equal data, different seeds different data."""
    first, again, other = (two_clusters(20, 3.2, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.features, again.features)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.features, other.features)


def test_the_papers_split_is_70_to_30_of_each_label():
    """200 rows split into 140 and 60, half of each label in both."""
    rng = np.random.default_rng(3)
    train, test = split(two_clusters(200, 3.2, rng), 0.7, rng)
    assert np.bincount(train.labels).tolist() == [70, 70]
    assert np.bincount(test.labels).tolist() == [30, 30]


@given(
    ones=st.integers(2, 30),
    zeros=st.integers(2, 30),
    fraction=st.floats(0.3, 0.7),
    seed=st.integers(0, 2**32),
)
def test_a_split_shares_out_every_row_once(ones, zeros, fraction, seed):
    """Both parts together are the whole set, each row with its own label, in proportion to half a row."""
    labels = np.repeat(np.array([0, 1], dtype=np.int64), [zeros, ones])
    features = np.linspace(0.0, 1.0, ones + zeros)[:, None]
    train, test = split(DataSet(features, labels), fraction, np.random.default_rng(seed))
    rows = np.concatenate([train.features, test.features])[:, 0]
    order = np.argsort(rows)
    assert np.array_equal(rows[order], features[:, 0])
    assert np.array_equal(np.concatenate([train.labels, test.labels])[order], labels)
    assert abs(np.count_nonzero(train.labels) - fraction * ones) <= 0.5 + 1e-9
    assert abs(np.count_nonzero(train.labels == 0) - fraction * zeros) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        (np.zeros(3), np.zeros(3, np.int64), "features are float64 of shape"),
        (np.zeros((3, 2), np.float32), np.zeros(3, np.int64), "float32"),
        (np.zeros((3, 2)), np.zeros(2, np.int64), "labels are int64 of shape"),
        (np.zeros((3, 2)), np.zeros(3), "labels are float64"),
        (np.full((1, 2), 1.01), np.zeros(1, np.int64), "outside"),
        (np.full((1, 2), -0.01), np.zeros(1, np.int64), "outside"),
        (np.full((1, 2), np.nan), np.zeros(1, np.int64), "not a number"),
        (np.zeros((2, 2)), np.array([-1, 1]), "expected 0 and 1 only"),
    ],
)
def test_a_data_set_refuses_what_is_not_one(features, labels, words):
    """Wrong shapes, dtypes, ranges and labels raise a ValueError that says what was got."""
    with pytest.raises(ValueError, match=words):
        DataSet(features, labels)


@pytest.mark.parametrize(
    ("n", "distance", "features", "words"),
    [
        (1, 3.2, 2, "n is 1"),
        (10, -1.0, 2, "distance is -1.0"),
        (10, float("nan"), 2, "distance is nan"),
        (10, float("inf"), 2, "distance is inf"),
        (10, 3.2, 0, "features is 0"),
    ],
)
def test_clusters_refuse_impossible_parameters(n, distance, features, words):
    """Too few rows, a meaningless distance or no features raise a ValueError that names the parameter."""
    with pytest.raises(ValueError, match=words):
        two_clusters(n, distance, np.random.default_rng(0), features)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_split_refuses_a_fraction_that_leaves_a_part_empty(fraction):
    """A fraction outside the open interval (0, 1) raises a ValueError."""
    data = two_clusters(10, 3.2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="train_fraction is"):
        split(data, fraction, np.random.default_rng(0))


def test_a_split_refuses_a_label_too_rare_for_both_parts():
    """A label with a single row cannot be shared out, and the error says which label."""
    data = DataSet(np.zeros((5, 2)), np.array([0, 0, 0, 0, 1]))
    with pytest.raises(ValueError, match="1 rows of label 1"):
        split(data, 0.7, np.random.default_rng(0))


def test_xor_has_four_blobs_and_needs_both_features():
    """Each blob has a fourth of the rows, and the label is whether exactly one coordinate is large."""
    data = xor(402, 0.02, np.random.default_rng(1))
    large = data.features > 0.5
    assert sorted(np.bincount(large[:, 0] + 2 * large[:, 1]).tolist()) == [100, 100, 101, 101]
    assert np.array_equal(data.labels, large[:, 0] ^ large[:, 1])
    assert data.features.min(axis=0).tolist() == [0.0, 0.0]
    assert data.features.max(axis=0).tolist() == [1.0, 1.0]


def test_xor_overlaps_as_much_as_documented():
    """At a spread of 0.25 comparing each coordinate with the middle is right with probability 95.4 %.

    The middle of the scaled square is estimated by the mean of the rows, to 0.4 % of a side in 20,000 rows, which costs less than
    0.01 points. A share of 20,000 has a standard deviation of 0.15 points; 1 point is 6.7 of them: false failure below 1e-9.
    """
    data = xor(20_000, 0.25, np.random.default_rng(2))
    large = data.features > data.features.mean(axis=0)
    assert abs(np.mean(data.labels == (large[:, 0] ^ large[:, 1])) - 0.954) < 0.01


@pytest.mark.parametrize(
    ("n", "spread", "words"),
    [(3, 0.2, "n is 3"), (8, -0.1, "spread is -0.1"), (8, float("nan"), "spread is nan")],
)
def test_xor_refuses_impossible_parameters(n, spread, words):
    """Too few rows or a meaningless spread raise a ValueError that names the parameter."""
    with pytest.raises(ValueError, match=words):
        xor(n, spread, np.random.default_rng(0))


def test_rows_are_shared_out_as_split_does():
    """The mask for a label list is the one that `split` uses, from the same generator."""
    data = two_clusters(50, 3.2, np.random.default_rng(3))
    mask = shared_out(data.labels, 0.7, np.random.default_rng(4))
    train, test = split(data, 0.7, np.random.default_rng(4))
    assert np.array_equal(data.features[mask], train.features)
    assert np.array_equal(data.features[~mask], test.features)
