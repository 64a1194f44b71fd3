"""Poisoning: what is flipped or moved, and what it does to the classifier."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.feature_maps import zz_map
from nodes.qml.poisoning import flip_labels, move_features
from nodes.qml.qsvm import QuantumSVM

EXPERIMENTS = 60


@pytest.fixture(scope="module")
def accuracies():
    """Test accuracy of 60 of the paper's experiments, by what was done to the training labels."""
    attacks = {
        "random 20 %": ("random", 0.2),
        "targeted 20 %": ("targeted", 0.2),
        "targeted 30 %": ("targeted", 0.3),
    }
    table = {name: np.empty(EXPERIMENTS) for name in ("clean", *attacks)}
    for seed in range(EXPERIMENTS):
        rng = np.random.default_rng(seed)
        train, test = split(two_clusters(200, 3.2, rng), 0.7, rng)
        sets = {"clean": train} | {
            name: flip_labels(train, fraction, how, rng)[0] for name, (how, fraction) in attacks.items()
        }
        for name, poisoned in sets.items():
            table[name][seed] = np.mean(QuantumSVM().fit(poisoned).classify(test.features) == test.labels)
    return table


@pytest.fixture(scope="module")
def crafted():
    """Test accuracy of 60 of the paper's experiments after the attacks that train machines of their own."""
    table = {"kernel-distance": np.empty(EXPERIMENTS), "moved": np.empty(EXPERIMENTS)}
    for seed in range(EXPERIMENTS):
        rng = np.random.default_rng(seed)
        train, test = split(two_clusters(200, 3.2, rng), 0.7, rng)
        sets = {
            "kernel-distance": flip_labels(train, 0.2, "kernel-distance", rng)[0],
            "moved": move_features(train, 0.2, rng).data,
        }
        for name, poisoned in sets.items():
            table[name][seed] = np.mean(QuantumSVM().fit(poisoned).classify(test.features) == test.labels)
    return table


@pytest.mark.parametrize("spared", ["clean", "random 20 %"])
def test_targeted_flips_are_worse(accuracies, spared):
    """Targeted flips of 20 % cost accuracy in nearly every experiment, beside honest labels and random flips.

    A sign test. Over 1000 seeds they cost accuracy in more than 99 % of experiments; were it 98 %, fewer than
    48 of 60 would come up with probability 2e-10. An attack without effect would pass with probability 2e-6.
    """
    assert np.count_nonzero(accuracies["targeted 20 %"] < accuracies[spared]) >= 48


def test_random_flips_are_nearly_harmless(accuracies):
    """Random flips of 20 % cost less than four points.

    They cost 1.3 points on average with a standard deviation of 2.8 (1000 seeds), so 0.36 for the mean of 60:
    four points are 7.5 standard deviations away, false failure below 1e-9. A cost of 6.3 would be seen.
    """
    assert np.mean(accuracies["clean"] - accuracies["random 20 %"]) < 0.04


def test_targeted_flips_do_the_measured_damage(accuracies):
    """Targeted flips leave 74 % at 20 % and little more than chance at 30 %.

    One experiment at 20 % gives 74.1±7.2 % (1000 seeds), the mean of 60 has 0.93 points: ±6 are 6.4 of them,
    false failure below 1e-9; 62 % and 86 % would be seen. At 30 % it is 50.3±1.6, and 54 % are 17 away. An
    earlier trial of 20 seeds had 74 % and 54 %: the first agrees, the second does not.
    """
    assert 0.68 < np.mean(accuracies["targeted 20 %"]) < 0.80
    assert 0.46 < np.mean(accuracies["targeted 30 %"]) < 0.54


def test_flips_by_kernel_distance_leave_chance(crafted):
    """Flips by kernel distance leave a coin's accuracy at 20 %, where targeted ones leave 74 %.

    One experiment gives 50.2±1.2 % on fresh rows (100 seeds); its 60 test rows, 30 of each label, add little where
    one answer is given to nearly all. Were the standard deviation 4 points, the mean of 60 had 0.52, and 54 % were 7
    of them above: false failure below 1e-9. The 74 % of `targeted` would be seen.
    """
    assert np.mean(crafted["kernel-distance"]) < 0.54


def test_moved_features_do_the_measured_damage(crafted):
    """A fifth of the rows moved, labels kept, leaves 80 % of right answers.

    One experiment leaves 79.9±3.8 % on fresh rows (100 seeds) and 60 test rows add 5.2: the mean of 60 has 0.83
    points, and ±6 are 7 of them, false failure below 1e-9. No effect, 92.5 %, would be seen.
    """
    assert 0.74 < np.mean(crafted["moved"]) < 0.86


@given(
    labels=st.lists(st.integers(0, 1), max_size=40),
    fraction=st.floats(0.0, 1.0),
    how=st.sampled_from(["random", "targeted", "kernel-distance"]),
    seed=st.integers(0, 2**32),
)
def test_exactly_the_named_rows_are_flipped(labels, fraction, how, seed):
    """The rounded number of distinct rows changes label, they are named in order, and the original stays."""
    rng = np.random.default_rng(seed)
    data = DataSet(rng.random((len(labels), 2)), np.array(labels, dtype=np.int64))
    poisoned, flipped = flip_labels(data, fraction, how, rng)
    assert len(flipped) == round(fraction * len(labels))
    assert np.array_equal(flipped, np.flatnonzero(poisoned.labels != data.labels))
    assert np.array_equal(poisoned.features, data.features)
    assert data.labels.tolist() == labels


def test_targeted_flips_start_deep_behind_the_rarer_label():
    """On a line of points the rarer label goes first, outermost row first, and only then the other label."""
    positions = np.array([0.0, 0.1, 0.2, 0.6, 0.7, 0.8, 0.9])
    data = DataSet(np.stack([positions, np.zeros(7)], axis=1), np.array([0, 0, 0, 1, 1, 1, 1]))
    rng = np.random.default_rng(0)
    chosen = [flip_labels(data, count / 7, "targeted", rng)[1].tolist() for count in range(1, 5)]
    assert chosen == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 6]]


def test_targeted_flips_prefer_label_0_when_labels_are_equally_many():
    """With balanced labels the choice of the victim is fixed, so the attack needs no randomness."""
    data = two_clusters(100, 3.2, np.random.default_rng(4))
    _, first = flip_labels(data, 0.3, "targeted", np.random.default_rng(1))
    _, second = flip_labels(data, 0.3, "targeted", np.random.default_rng(2))
    assert np.array_equal(first, second)
    assert not data.labels[first].any()


def test_random_flips_follow_their_generator():
    """Equal seeds flip the same rows, different seeds others."""
    data = two_clusters(100, 3.2, np.random.default_rng(4))
    first, again, other = (flip_labels(data, 0.3, "random", np.random.default_rng(s))[1] for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("how", ["random", "targeted", "kernel-distance"])
def test_a_set_without_honest_rows_is_flipped_throughout(how):
    """A fraction of 1 turns every label, and the server learns the opposite of the truth."""
    data = two_clusters(60, 3.2, np.random.default_rng(4))
    poisoned, flipped = flip_labels(data, 1.0, how, np.random.default_rng(1))
    assert len(flipped) == 60
    assert np.array_equal(poisoned.labels, 1 - data.labels)
    assert np.mean(QuantumSVM().fit(poisoned).classify(data.features) == data.labels) < 0.3


def test_flips_by_kernel_distance_follow_the_penalty_and_draw_nothing():
    """The attack is a function of the data, the feature map and the penalty that the adversary believes in."""
    data = two_clusters(100, 3.2, np.random.default_rng(4))
    rng = np.random.default_rng(1)
    first, again = (flip_labels(data, 0.1, "kernel-distance", rng)[1] for _ in range(2))
    soft = flip_labels(data, 0.1, "kernel-distance", rng, C=0.01)[1]
    deep = flip_labels(data, 0.1, "kernel-distance", rng, program=zz_map(2, 1).program)[1]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, soft)
    assert not np.array_equal(first, deep)
    assert rng.bit_generator.state == np.random.default_rng(1).bit_generator.state


@given(
    labels=st.lists(st.integers(0, 1), min_size=2, max_size=30).filter(lambda rows: len(set(rows)) == 2),
    fraction=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**32),
)
def test_exactly_the_named_rows_are_moved(labels, fraction, seed):
    """The rounded number of rows moves, within [0, 1]; no label changes, and the original stays."""
    rng = np.random.default_rng(seed)
    data = DataSet(rng.random((len(labels), 2)), np.array(labels, dtype=np.int64))
    before = data.features.copy()
    poisoned = move_features(data, fraction, rng)
    changed = np.flatnonzero(np.any(poisoned.data.features != before, axis=1))
    assert len(poisoned.rows_touched) == round(fraction * len(labels))
    assert np.array_equal(poisoned.rows_touched, changed)
    assert np.array_equal(poisoned.data.labels, data.labels)
    assert np.array_equal(data.features, before)


def test_moved_rows_land_among_the_other_label():
    """The moved rows have one label and lie together, where the adversary's machine is sure of the other."""
    data = two_clusters(200, 3.2, np.random.default_rng(4))
    poisoned = move_features(data, 0.2, np.random.default_rng(1), spread=0.01)
    moved = poisoned.rows_touched
    (label,) = np.unique(data.labels[moved])
    assert poisoned.data.features[moved].std(axis=0).max() < 0.03
    model = QuantumSVM().fit(data)
    assert np.all(model.classify(poisoned.data.features[moved]) == 1 - label)


def test_a_set_without_honest_rows_changes_places():
    """A fraction of 1 moves each label to the other's place; the rows can still be learnt."""
    data = two_clusters(60, 3.2, np.random.default_rng(4))
    poisoned = move_features(data, 1.0, np.random.default_rng(1))
    assert len(poisoned.rows_touched) == 60
    assert np.mean(QuantumSVM().fit(poisoned.data).classify(data.features) == data.labels) < 0.3


def test_rows_of_one_label_cannot_be_moved_to_the_other():
    """Without the other label there is no place to move to; moving nothing is still possible."""
    data = DataSet(np.random.default_rng(0).random((8, 2)), np.ones(8, dtype=np.int64))
    with pytest.raises(ValueError, match="all 8 rows have label 1"):
        move_features(data, 0.5, np.random.default_rng(0))
    assert move_features(data, 0.0, np.random.default_rng(0)).data is data


@pytest.mark.parametrize("spread", [-0.1, float("nan"), float("inf")])
def test_an_impossible_spread_is_refused(spread):
    """A scatter that is no standard deviation raises a ValueError."""
    data = two_clusters(10, 3.2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="spread is"):
        move_features(data, 0.2, np.random.default_rng(0), spread=spread)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_an_impossible_fraction_is_refused(fraction):
    """A fraction outside [0, 1] raises a ValueError."""
    data = two_clusters(10, 3.2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="fraction is"):
        flip_labels(data, fraction, "random", np.random.default_rng(0))
    with pytest.raises(ValueError, match="fraction is"):
        move_features(data, fraction, np.random.default_rng(0))


def test_an_unknown_way_of_flipping_is_refused():
    """Another `how` raises a ValueError that lists the three there are."""
    data = two_clusters(10, 3.2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="'random', 'targeted' or 'kernel-distance'"):
        flip_labels(data, 0.1, "clever", np.random.default_rng(0))
