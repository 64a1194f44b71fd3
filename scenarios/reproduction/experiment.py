"""The paper's experiment: two Gaussian clusters, 70 % for training, a ZZ feature map's kernel, and a support vector machine."""

from __future__ import annotations

import dataclasses
import warnings
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from netsim.random_streams import RandomStreams
from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.feature_maps import zz_map
from nodes.qml.fixed_point import FULL_SCALE
from nodes.qml.overlaps import gram, overlaps

ROWS, DISTANCE, TRAIN_FRACTION, PENALTY, REPS = 200, 3.2, 0.7, 1.0, 2
BITS = 16

Scaling = Literal["[0, 1]", "standardised"]


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
    """One data set, split.

    Attributes:
        train: rows to train on.
        test: the others.
    """

    train: DataSet
    test: DataSet


def stream(seed: int, name: str, number: int) -> np.random.Generator:
    """The generator of a purpose, for the data set of a number."""
    return RandomStreams(seed)(f"reproduce/{name}/{number}")


def clusters(seed: int, number: int, distance: float = DISTANCE) -> Experiment:
    """The data set of a number: the same rows and split in every study that asks for it."""
    data = two_clusters(ROWS, distance, stream(seed, f"data/{distance:g}", number))
    return Experiment(*split(data, TRAIN_FRACTION, stream(seed, "split", number)))


def codes(features: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Features in [0, 1] as they travel, uint16 of the same shape."""
    return np.rint(features * FULL_SCALE).astype(np.uint16)


def of_codes(numbers: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Features that travelled."""
    return numbers / FULL_SCALE


def as_sent(data: DataSet) -> DataSet:
    """The rows as they arrive, whatever sealed them: rounded to the wire's 16 bits."""
    return DataSet(of_codes(codes(data.features)), data.labels)


def kernel(left: NDArray[np.float64], right: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """The exact kernel, float64[n, m], of float64[n, 2] and float64[m, 2], or of the former with itself."""
    program = zz_map(left.shape[1], REPS).program
    columns = program.columns(left)
    return gram(columns) if right is None else overlaps(columns, program.columns(right))


STEPS = 100_000
"""Of libsvm's optimiser, at most."""


class Machine:
    """A support vector machine on a kernel that is there already.

    Shots may leave a kernel that is not positive, on which libsvm can go on for ever: it is stopped after `STEPS` steps, where
    others need some hundreds.

    Args:
        matrix: float64[n, n] of the training rows.
        labels: int64[n].
        penalty: C.
    """

    def __init__(
        self, matrix: NDArray[np.float64], labels: NDArray[np.int64], penalty: float = PENALTY
    ) -> None:
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415  seconds to import; only what trains needs it
        from sklearn.svm import SVC  # noqa: PLC0415  likewise

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the docstring says what is done about it
            self._machine = SVC(kernel="precomputed", C=penalty, max_iter=STEPS).fit(matrix, labels)

    def decide(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision values float64[m] of kernel entries float64[m, n] with the training rows."""
        values: NDArray[np.float64] = self._machine.decision_function(rows)
        return values

    def right(self, rows: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
        """The share of rows whose label it says."""
        return float(np.mean((self.decide(rows) > 0.0) == (labels == 1)))


class QuantumMachine:
    """The paper's classifier, on features.

    Args:
        features: float64[n, 2] to train on.
        labels: int64[n].
    """

    def __init__(self, features: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
        self._rows = features
        self._machine = Machine(kernel(features), labels)

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision values float64[m] of float64[m, 2]."""
        return self._machine.decide(kernel(features, self._rows))

    def right(self, features: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
        """The share of rows whose label it says."""
        return self._machine.right(kernel(features, self._rows), labels)


def classical(name: Literal["rbf", "linear", "logistic"], penalty: float = PENALTY) -> Any:
    """A scikit-learn classifier to stand beside it, with the library's settings."""
    if name == "logistic":
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  as above

        return LogisticRegression(C=penalty)
    from sklearn.svm import SVC  # noqa: PLC0415  as above

    return SVC(kernel=name, C=penalty)


@lru_cache(maxsize=1)
def circuit() -> Any:
    """The feature map of two features as a qiskit `QuantumCircuit`."""
    return zz_map(2, REPS).circuit()
