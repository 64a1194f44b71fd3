"""Sanitising: training rows that look poisoned are removed or relabelled before the model sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.retraining import Retraining
from nodes.qml.statevector import Program


@dataclass(frozen=True, eq=False)
class Sanitised:
    """A training set after a defence.

    Attributes:
        data: the rows that were kept, in their order, with the labels they are to be trained with.
        kept: bool[n], one for each row of the training set.
        relabelled: bool[n], rows that were kept with the other label.
        note: what the defence could not do; empty if it did all it was asked to.
    """

    data: DataSet
    kept: NDArray[np.bool_]
    relabelled: NDArray[np.bool_]
    note: str


def knn(
    train: DataSet,
    neighbours: int = 10,
    agreement: float = 0.5,
    how: Literal["relabel", "remove"] = "relabel",
) -> Sanitised:
    """Every row gets the label of most of its nearest neighbours, where enough of them agree.

    Paudice, Muñoz-González and Lupu, "Label sanitization against label flipping poisoning attacks" (2018): relabel where the share of the neighbours' commoner label is at least η. All rows are judged by the
    labels they came with. A row whose neighbours are divided equally keeps its label.

    Args:
        train: the rows, some of which may be poisoned.
        neighbours: k, at least 1; all others where there are fewer. Euclidean, in the features.
        agreement: η, share of the neighbours that must have the other label, from 0.5 to 1.
        how: `relabel`, or `remove` the row.

    Raises:
        ValueError: a parameter out of range.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours is {neighbours}; expected at least 1")
    if not 0.5 <= agreement <= 1.0:
        raise ValueError(f"agreement is {agreement}; expected a share from 0.5 to 1")
    if how not in {"relabel", "remove"}:
        raise ValueError(f"how is {how!r}; expected 'relabel' or 'remove'")
    if len(np.unique(train.labels)) < 2:
        return _untouched(train)
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415  a second that only sanitising needs

    count = min(neighbours, len(train.labels) - 1)
    nearest = NearestNeighbors(n_neighbors=count).fit(train.features).kneighbors(return_distance=False)
    against = np.mean(train.labels[nearest] != train.labels[:, None], axis=1)
    return _finished(train, (against >= agreement) & (against > 0.5), against, relabel=how == "relabel")


def loss_trimming(
    train: DataSet,
    fraction: float,
    rounds: int,
    rng: np.random.Generator,
    *,
    starts: int = 5,
    program: Program | None = None,
    C: float = 1.0,
) -> Sanitised:
    """Keep the rows that a machine trained on them finds easiest.

    Jagielski et al., "Manipulating machine learning: poisoning attacks and countermeasures for regression
    learning" (2018), TRIM, with the hinge loss of the quantum kernel machine for their squared error: train on
    the rows that are kept, keep those of least loss, and so on until they stay the same. It begins
    once with all rows and `starts` times with random ones, and takes the end of least loss.

    Args:
        train: the rows, some of which may be poisoned.
        fraction: part of the rows to remove, from 0 to less than 1, rounded to whole rows: an upper bound of
            what the adversary holds, and honest rows go with them.
        rounds: of training at most, for each beginning, at least 1.
        rng: chooses the random beginnings.
        starts: random beginnings, 0 or more.
        program: the feature map; the ZZ map of 2 repetitions if left out.
        C: penalty of the machine.

    Raises:
        ValueError: a parameter out of range, or a number of features that the map does not take.
    """
    if not 0.0 <= fraction < 1.0:
        raise ValueError(f"fraction is {fraction}; expected a number from 0 to less than 1")
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; expected at least 1")
    if starts < 0:
        raise ValueError(f"starts is {starts}; expected 0 or more")
    size = len(train.labels)
    if len(np.unique(train.labels)) < 2:
        return _untouched(train)
    stay = max(2, size - round(fraction * size))
    machines = Retraining(train.features, program, C)
    everything = np.arange(size)
    beginnings = [everything, *(np.sort(rng.permutation(size)[:stay]) for _ in range(starts))]
    ends = [end for begin in beginnings for end in _trimmed(train.labels, machines, begin, stay, rounds)]
    if not ends:
        return _untouched(train, "every trimming would leave rows of one label only: nothing was removed")
    kept, loss = min(ends, key=lambda end: float(end[1][end[0]].sum()))
    rejected = np.ones(size, dtype=np.bool_)
    rejected[kept] = False
    return _finished(train, rejected, loss)


def _trimmed(
    labels: NDArray[np.int64], machines: Retraining, kept: NDArray[np.intp], stay: int, rounds: int
) -> list[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """From one beginning, each set of easiest rows that has both labels, and the hinge losses float64[n] behind it."""
    everything = np.arange(len(labels))
    found = []
    for _ in range(rounds):
        if len(np.unique(labels[kept])) < 2:
            break  # a constant has no loss on its own label, which says nothing
        margins = (2.0 * labels - 1.0) * machines.values(kept, labels[kept], everything)
        loss = np.maximum(0.0, 1.0 - margins)
        easiest = np.sort(np.argsort(loss, kind="stable")[:stay])
        if len(np.unique(labels[easiest])) == 2:
            found.append((easiest, loss))
        if np.array_equal(easiest, kept):
            break
        kept = easiest
    return found


def reject_on_negative_influence(
    train: DataSet,
    trusted: DataSet,
    batch: int,
    rng: np.random.Generator,
    *,
    repeats: int = 2,
    tolerance: float = 0.0,
    program: Program | None = None,
    C: float = 1.0,
) -> Sanitised:
    """Drop batches of rows with which a small trusted machine is wrong more often.

    Nelson et al., "Exploiting machine learning to subvert your spam filter" (2008), reject on negative impact
    (RONI), which judges one message at a time against samples of mail from before the attack. Half of the
    trusted rows train a machine, with and without the batch, and the other half judge it; then the halves change
    places, and all of it is repeated with other halves. A batch is rejected if the mean accuracy falls by more
    than the tolerance. Batches are random: in small ones few rows are poisoned, but their effect drowns in the noise of
    a few trusted rows; in large ones honest rows go with the poisoned.

    Whoever has trusted rows may also train on them alone and ask nobody else: compare with that.

    Args:
        train: the rows, some of which may be poisoned.
        trusted: rows known to be honest, at least two of each label.
        batch: rows that are judged together, at least 1.
        rng: makes the batches and the halves.
        repeats: pairs of halves, at least 1.
        tolerance: fall of accuracy that is still accepted, from 0.
        program: the feature map; the ZZ map of 2 repetitions if left out.
        C: penalty of the machines.

    Raises:
        ValueError: a parameter out of range, too few trusted rows, rows of another width, or a number of features that
            the map does not take.
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}; expected at least 1")
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; expected at least 1")
    if not tolerance >= 0.0:
        raise ValueError(f"tolerance is {tolerance}; expected 0 or more")
    counts = [int(np.count_nonzero(trusted.labels == label)) for label in (0, 1)]
    if min(counts) < 2:
        raise ValueError(
            f"{counts[0]} and {counts[1]} trusted rows of labels 0 and 1; expected at least 2 of each"
        )
    if trusted.features.shape[1] != train.features.shape[1]:
        raise ValueError(
            f"trusted rows have {trusted.features.shape[1]} features, training rows {train.features.shape[1]}; "
            "expected the same"
        )
    known = len(trusted.labels)
    machines = Retraining(np.concatenate([trusted.features, train.features]), program, C)
    labels = np.concatenate([trusted.labels, train.labels])
    size = len(train.labels)
    batches = np.array_split(rng.permutation(size), -(-size // batch)) if size else []

    def accuracy(rows: NDArray[np.integer], judged: NDArray[np.integer]) -> float:
        return float(np.mean((machines.values(rows, labels[rows], judged) > 0.0) == (labels[judged] == 1)))

    fall = np.zeros(size)
    for _ in range(repeats):
        one, other = _halves(trusted.labels, rng)
        for taught, judged in ((one, other), (other, one)):
            without = accuracy(taught, judged)
            for rows in batches:
                fall[rows] += without - accuracy(np.concatenate([taught, rows + known]), judged)
    fall /= 2 * repeats
    # sums of thirtieths that cancel exactly leave rounding errors, which are no influence
    return _finished(train, fall > tolerance + 1e-12, fall)


def _halves(labels: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices in two parts, each with half of the rows of either label."""
    first = np.zeros(len(labels), dtype=np.bool_)
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        first[rows[: len(rows) // 2]] = True
    return np.flatnonzero(first), np.flatnonzero(~first)


def _untouched(train: DataSet, note: str = "") -> Sanitised:
    """All rows kept; a set that holds one label, or none, gives no defence anything to compare."""
    size = len(train.labels)
    nothing = np.zeros(size, dtype=np.bool_)
    return Sanitised(
        train,
        ~nothing,
        nothing,
        note
        or f"{size} rows of {len(np.unique(train.labels))} label(s): nothing to compare, nothing was changed",
    )


def _finished(
    train: DataSet,
    suspect: NDArray[np.bool_],
    suspicion: NDArray[np.float64],
    *,
    relabel: bool = False,
) -> Sanitised:
    """The result, with a row of each label that came in; the least suspect one is spared where there would be none."""
    suspect = suspect.copy()
    spared = []
    for label in np.unique(train.labels):
        own = train.labels == label
        others_become_it = relabel and np.any(suspect & ~own)
        if np.all(suspect[own]) and not others_become_it:
            suspect[np.flatnonzero(own)[np.argmin(suspicion[own])]] = False
            spared.append(int(label))
    note = "".join(
        f"all rows of label {label} were suspect: the least suspect one was kept. " for label in spared
    )
    relabelled = suspect if relabel else np.zeros(len(suspect), dtype=np.bool_)
    kept = ~suspect | relabelled
    labels = np.where(relabelled, 1 - train.labels, train.labels)
    return Sanitised(DataSet(train.features[kept], labels[kept]), kept, relabelled, note.strip())
