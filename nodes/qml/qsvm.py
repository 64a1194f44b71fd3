"""The quantum-kernel support vector machine that the inference server runs.

Qiskit and scikit-learn take seconds to import and are needed for training only, so `fit` imports them.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.feature_maps import zz_states


class QuantumSVM:
    """A support vector machine on the ZZ feature map, trained by qiskit-machine-learning's `QSVC`.

    The decision function f(x) = Σ_i α_i y_i |⟨φ(x_i)|φ(x)⟩|² + b is the expectation of an observable,
    f(x) = ⟨φ(x)|A|φ(x)⟩ + b with A = Σ_i α_i y_i |φ(x_i)⟩⟨φ(x_i)| (Schuld, arXiv:2101.11020 (2021)).
    A trained model is A and b: exact, equally quick for any number of support vectors, and it carries no
    training rows.

    Args:
        C: penalty of a training point on the wrong side of the margin, positive.
        reps: repetitions of the feature map's layer, at least 1.
    """

    def __init__(self, *, C: float = 1.0, reps: int = 2) -> None:
        self.C = C
        self.reps = reps
        self._observable: NDArray[np.complex128] | None = None
        self._bias = 0.0

    def fit(self, train: DataSet) -> Self:
        """Train; the same data gives the same model, bit for bit.

        Args:
            train: rows of both labels, 2 to 12 features.

        Returns:
            The classifier itself, as scikit-learn's estimators do.

        Raises:
            ValueError: no rows, rows of one label only, a number of features that the map does not take, or a
                penalty or number of repetitions out of range.
        """
        if len(train.labels) == 0:
            raise ValueError("the training set is empty; expected rows of both labels")
        if np.all(train.labels == train.labels[0]):
            raise ValueError(
                f"all {len(train.labels)} training rows have label {train.labels[0]}; expected both labels"
            )
        states = zz_states(train.features, self.reps)

        from qiskit_machine_learning.algorithms import QSVC  # noqa: PLC0415  takes seconds: see the module's head

        from nodes.qml.kernel import StatevectorKernel  # noqa: PLC0415  likewise: it imports Qiskit

        kernel = StatevectorKernel(train.features.shape[1], reps=self.reps)
        machine = QSVC(quantum_kernel=kernel, C=self.C).fit(train.features, train.labels)
        vectors = states[machine.support_]
        self._observable = (vectors.T * machine.dual_coef_[0]) @ vectors.conj()
        self._bias = float(machine.intercept_[0])
        return self

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision values: the sign is the label, the size the distance from the boundary in margins.

        Args:
            features: float64[n, d], as many features as in training.

        Returns:
            float64[n]; positive means label 1.

        Raises:
            RuntimeError: not trained yet.
            ValueError: a wrong shape, or a feature that is not finite.
        """
        if self._observable is None:
            raise RuntimeError("the classifier is not trained; call fit first")
        states = zz_states(features, self.reps)
        if states.shape[1] != len(self._observable):
            raise ValueError(
                f"features have shape {features.shape}; "
                f"the classifier was trained on {len(self._observable).bit_length() - 1} features"
            )
        values: NDArray[np.float64] = np.vecdot(states, states @ self._observable.T).real
        return values + self._bias

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Labels 0 or 1 as int64[n], of features float64[n, d]; raises what `decide` raises."""
        return (self.decide(features) > 0.0).astype(np.int64)
