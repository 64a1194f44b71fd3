"""Attacks on the training set against defences of it: the pairs that are measured, also where a defence does nothing.

Every bout trains on 140 of the paper's 200 rows, whose scaling counts for all others, and counts accuracy on about a
thousand fresh rows that neither side has seen. Of the defences' parameters, only the batch of `roni` was picked for its
results, among 1, 5 and 10 on other seeds; 20 neighbours would do better than 10 against flips of one label. Trimming
is told the largest share that is poisoned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nodes.qml.backdoor import Trigger, plant, success
from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.duel import Duel, Outcome
from nodes.qml.ensemble import Ensemble
from nodes.qml.poisoning import flip_labels, move_features
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.sanitising import knn, loss_trimming, reject_on_negative_influence
from nodes.qml.strategy import Classifier

FRACTION = 0.2
"""Share of the training rows that an adversary changes."""

PLANTED = 0.1
"""The same of a backdoor, which needs fewer."""

TRIGGER = Trigger((1,), (1.0,), target=0)
"""The second feature, which does not tell the classes apart, at its upper end: class 1 is to pass as class 0."""

TRUSTED = 30
"""Rows known to be honest, for the defences that need some."""

_PAPER = 200  # rows of the paper's experiment
_FRESH = 1000  # rows for testing


@dataclass(frozen=True, eq=False)
class Scene:
    """One seed's data.

    Attributes:
        train: 140 honest rows.
        trusted: fresh rows for the defender alone.
        test: fresh rows for the referee alone.
    """

    train: DataSet
    trusted: DataSet
    test: DataSet

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Scene:
        """From the paper's distribution.

        `two_clusters` scales by the extremes of all its rows. Here 200 of them, the first 100 of each label, alone set
        the scale, as in the paper; of the others the few outside [0, 1], which the wire cannot carry, are left out.
        """
        rows = two_clusters(_PAPER + 2 * TRUSTED + _FRESH, 3.2, rng)
        # equally many of each label, as in the paper: targeted flips do more harm where one is rarer
        paper = _first(rows.labels, np.arange(len(rows.labels)), _PAPER)
        low, high = rows.features[paper].min(axis=0), rows.features[paper].max(axis=0)
        features = (rows.features - low) / (high - low)
        inside = np.flatnonzero(((features >= 0.0) & (features <= 1.0)).all(axis=1))
        inside = inside[~np.isin(inside, paper)]
        few = _first(rows.labels, inside, TRUSTED)
        train, _ = split(DataSet(features[paper], rows.labels[paper]), 0.7, rng)
        trusted, test = (
            DataSet(features[chosen], rows.labels[chosen]) for chosen in (few, inside[~np.isin(inside, few)])
        )
        return cls(train, trusted, test)


def _first(labels: NDArray[np.int64], rows: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The first of some rows, half of `count` of each label."""
    return np.sort(np.concatenate([rows[labels[rows] == label][: count // 2] for label in (0, 1)]))


_Poison = Callable[[DataSet, np.random.Generator], DataSet]
_Defend = Callable[[DataSet, DataSet, np.random.Generator], Classifier]


def _flipped(how: str, train: DataSet, rng: np.random.Generator) -> DataSet:
    return flip_labels(train, FRACTION, how, rng)[0]  # type: ignore[arg-type]  # one of its ways, from the table below


def _moved(train: DataSet, rng: np.random.Generator) -> DataSet:
    return move_features(train, FRACTION, rng).data


def _planted(train: DataSet, rng: np.random.Generator) -> DataSet:
    return plant(train, TRIGGER, PLANTED, rng).data


def _undefended(train: DataSet, _trusted: DataSet, _rng: np.random.Generator) -> Classifier:
    return QuantumSVM().fit(train)


def _by_neighbours(train: DataSet, _trusted: DataSet, _rng: np.random.Generator) -> Classifier:
    return QuantumSVM().fit(knn(train).data)


def _trimmed(train: DataSet, _trusted: DataSet, rng: np.random.Generator) -> Classifier:
    return QuantumSVM().fit(loss_trimming(train, FRACTION, 10, rng).data)


def _by_influence(train: DataSet, trusted: DataSet, rng: np.random.Generator) -> Classifier:
    return QuantumSVM().fit(reject_on_negative_influence(train, trusted, 5, rng).data)


def _voting(train: DataSet, _trusted: DataSet, rng: np.random.Generator) -> Classifier:
    return Ensemble(7, rng=rng).fit(train)


def _trusted_alone(_train: DataSet, trusted: DataSet, _rng: np.random.Generator) -> Classifier:
    return QuantumSVM().fit(trusted)


def _accuracy(model: Classifier, test: DataSet) -> float:
    return float(np.mean(model.classify(test.features) == test.labels))


def _bout(
    poison: _Poison, defend: _Defend, backdoor: bool, rng: np.random.Generator
) -> Outcome:  # `fought` gives the generator
    """Equal generators give every defence of one attack the same data and the same poison."""
    scene = Scene.drawn(rng)
    poisoned = poison(scene.train, rng)
    benign = _accuracy(QuantumSVM().fit(scene.train), scene.test)

    def harm(model: Classifier) -> float:
        return success(model, TRIGGER, scene.test) if backdoor else benign - _accuracy(model, scene.test)

    if defend is _undefended:
        done = harm(QuantumSVM().fit(poisoned))
        return Outcome(done, done, benign, benign)
    return Outcome(
        harm(QuantumSVM().fit(poisoned)),
        harm(defend(poisoned, scene.trusted, rng)),
        benign,
        _accuracy(defend(scene.train, scene.trusted, rng), scene.test),
    )


_LOST = "accuracy on clean rows that is lost, against a model trained on honest rows"
_PASSED = "share of class 1 rows with the trigger that pass as class 0"

_ATTACKS: tuple[tuple[str, str, _Poison, bool, str], ...] = (
    ("flip-random", _LOST, partial(_flipped, "random"), False, f"{FRACTION:.0%} of the rows"),
    ("flip-targeted", _LOST, partial(_flipped, "targeted"), False, f"{FRACTION:.0%} of the rows"),
    (
        "flip-kernel-distance",
        _LOST,
        partial(_flipped, "kernel-distance"),
        False,
        f"{FRACTION:.0%} of the rows",
    ),
    ("poison-features", _LOST, _moved, False, f"{FRACTION:.0%} of the rows moved, labels kept"),
    ("backdoor", _PASSED, _planted, True, f"{PLANTED:.0%} of the rows; second feature at 1"),
)

_DEFENCES: tuple[tuple[str, _Defend, str], ...] = (
    ("none", _undefended, ""),
    ("knn", _by_neighbours, "relabelled by 10 neighbours, η = 0.5"),
    ("loss-trimming", _trimmed, f"{FRACTION:.0%} trimmed, 10 rounds from each of 6 beginnings"),
    ("roni", _by_influence, f"batches of 5, judged by {TRUSTED} trusted rows"),
    ("ensemble", _voting, "7 members on a partition by hash"),
    (
        "trusted rows alone",
        _trusted_alone,
        f"trained on the {TRUSTED} rows that roni needs, and on nothing else",
    ),
)

TRAINING_DUELS: tuple[Duel, ...] = tuple(
    Duel(
        attack,
        defence,
        harm,
        partial(_bout, poison, defend, backdoor),
        "; ".join(note for note in (share, parameters) if note),
    )
    for attack, harm, poison, backdoor, share in _ATTACKS
    for defence, defend, parameters in _DEFENCES
)
"""Every attack with every defence."""
