"""Sanitising: what is removed or relabelled, and what must always be left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qml.datasets import DataSet, two_clusters
from nodes.qml.poisoning import flip_labels
from nodes.qml.sanitising import knn, loss_trimming, reject_on_negative_influence

TRUSTED = two_clusters(20, 3.2, np.random.default_rng(99))

DEFENCES = {
    "knn": lambda train, _rng: knn(train, 5),
    "knn, removing": lambda train, _rng: knn(train, 5, how="remove"),
    "loss-trimming": lambda train, rng: loss_trimming(train, 0.4, 3, rng, starts=1),
    "roni": lambda train, rng: reject_on_negative_influence(train, TRUSTED, 3, rng, repeats=1),
}


@given(
    labels=st.lists(st.integers(0, 1), max_size=20),
    name=st.sampled_from(sorted(DEFENCES)),
    seed=st.integers(0, 2**32),
)
def test_both_labels_survive_every_defence(labels, name, seed):
    """Whatever comes in, the result is the kept rows in their order, and no label that came in is gone."""
    rng = np.random.default_rng(seed)
    train = DataSet(rng.random((len(labels), 2)), np.array(labels, dtype=np.int64))
    out = DEFENCES[name](train, rng)
    expected = np.where(out.relabelled, 1 - train.labels, train.labels)
    assert np.array_equal(out.data.features, train.features[out.kept])
    assert np.array_equal(out.data.labels, expected[out.kept])
    assert not np.any(out.relabelled & ~out.kept)
    assert set(out.data.labels.tolist()) == set(labels)
    assert train.labels.tolist() == labels


@pytest.mark.parametrize("name", ["knn", "knn, removing", "loss-trimming"])
def test_flips_are_found_where_clusters_are_far_apart(name):
    """Of 8 labels flipped at random among 80, in clusters 12 standard deviations apart, all are found.

    The clusters do not overlap, so a flipped row stands among rows of the other label. Nothing is left to chance: the
    seed is fixed.
    """
    rng = np.random.default_rng(3)
    train, flipped = flip_labels(two_clusters(80, 12.0, rng), 0.1, "random", rng)
    out = DEFENCES[name](train, rng)
    suspect = np.flatnonzero(~out.kept | out.relabelled)
    assert np.isin(flipped, suspect).all()
    assert len(suspect) == (32 if name == "loss-trimming" else 8)


def test_a_single_flipped_row_has_no_influence():
    """Rows judged one by one pass, flipped or not: one among twenty moves no boundary between clear clusters."""
    rng = np.random.default_rng(3)
    train, _ = flip_labels(two_clusters(80, 12.0, rng), 0.1, "random", rng)
    trusted = two_clusters(40, 12.0, rng)
    assert reject_on_negative_influence(train, trusted, 1, rng).kept.all()


def test_neighbours_that_are_divided_change_nothing():
    """Half of the neighbours against a row are no majority, and a higher η asks for more of them."""
    positions = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    train = DataSet(np.stack([positions, np.zeros(5)], axis=1), np.array([0, 0, 1, 0, 1]))
    # of row 2, both neighbours say 0; of row 3, both say 1; of row 1, one each
    assert knn(train, 2).relabelled.tolist() == [False, False, True, True, False]
    assert knn(train, 4, 1.0).relabelled.tolist() == [False] * 5


def test_more_neighbours_than_rows_are_all_the_others():
    """A handful of rows is judged by all others."""
    train = DataSet(np.array([[0.0, 0.0], [0.1, 0.0], [0.9, 0.0]]), np.array([0, 0, 1]))
    out = knn(train, 10)
    assert out.data.labels.tolist() == [0, 0, 1]
    assert out.note == "all rows of label 1 were suspect: the least suspect one was kept."


def test_trimming_takes_the_share_that_it_is_told():
    """The rounded number of rows goes, and with a share of nothing none."""
    train = two_clusters(50, 3.2, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    assert np.count_nonzero(loss_trimming(train, 0.2, 5, rng).kept) == 40
    assert loss_trimming(train, 0.0, 5, rng).kept.all()


def test_trimming_says_when_one_label_would_be_left():
    """With all rows but two to go, either both labels stay or nothing is removed and the note says why."""
    features = np.full((6, 2), 0.5)
    train = DataSet(features, np.array([0, 0, 0, 0, 0, 1]))
    out = loss_trimming(train, 0.5, 3, np.random.default_rng(0))
    assert set(out.data.labels.tolist()) == {0, 1}
    assert out.kept.all() == ("nothing was removed" in out.note)


def test_a_batch_that_misleads_is_dropped():
    """Rows whose labels are all false are rejected, true ones are kept, if they are judged in one batch each."""
    rng = np.random.default_rng(2)
    trusted = two_clusters(40, 6.0, rng)
    honest = two_clusters(40, 6.0, rng)
    for labels, kept in ((honest.labels, True), (1 - honest.labels, False)):
        out = reject_on_negative_influence(DataSet(honest.features, labels), trusted, 40, rng)
        # where everything is to go, a row of each label stays
        assert np.count_nonzero(out.kept) == (40 if kept else 2)
        assert bool(out.note) != kept


def test_a_set_without_honest_rows_crashes_nothing():
    """All labels flipped is a set like any other; all labels alike is one that the note speaks of."""
    rng = np.random.default_rng(2)
    train = two_clusters(40, 3.2, rng)
    inverted, _ = flip_labels(train, 1.0, "random", rng)
    alike = DataSet(train.features, np.zeros(40, dtype=np.int64))
    for name, defence in DEFENCES.items():
        assert len(np.unique(defence(inverted, rng).data.labels)) == 2
        out = defence(alike, rng)
        assert name == "roni" or "nothing to compare" in out.note
        assert len(out.data.labels) > 0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda train, _rng: knn(train, 0), "neighbours is 0"),
        (lambda train, _rng: knn(train, 3, 0.4), "agreement is 0.4"),
        (lambda train, _rng: knn(train, 3, how="hide"), "how is 'hide'"),
        (lambda train, rng: loss_trimming(train, 1.0, 3, rng), "fraction is 1.0"),
        (lambda train, rng: loss_trimming(train, float("nan"), 3, rng), "fraction is nan"),
        (lambda train, rng: loss_trimming(train, 0.1, 0, rng), "rounds is 0"),
        (lambda train, rng: loss_trimming(train, 0.1, 1, rng, starts=-1), "starts is -1"),
        (lambda train, rng: reject_on_negative_influence(train, TRUSTED, 0, rng), "batch is 0"),
        (lambda train, rng: reject_on_negative_influence(train, TRUSTED, 1, rng, repeats=0), "repeats is 0"),
        (
            lambda train, rng: reject_on_negative_influence(train, TRUSTED, 1, rng, tolerance=-1.0),
            "tolerance is -1.0",
        ),
        (
            lambda train, rng: reject_on_negative_influence(
                train, DataSet(TRUSTED.features[:2], np.array([0, 1])), 1, rng
            ),
            "1 and 1 trusted rows",
        ),
        (
            lambda train, rng: reject_on_negative_influence(train, two_clusters(9, 1.0, rng, 3), 1, rng),
            "3 features, training rows 2",
        ),
    ],
)
def test_an_impossible_parameter_is_refused(call, match):
    """A parameter out of range, or trusted rows that cannot judge, raise a ValueError."""
    train = two_clusters(20, 3.2, np.random.default_rng(0))
    with pytest.raises(ValueError, match=match):
        call(train, np.random.default_rng(0))
