"""A kernel machine that keeps its support vectors: f(x) = Σ_i c_i |⟨φ(x_i)|φ(x)⟩|² + b, for those who estimate kernel entries one by one.

A server that estimates each entry on a device, and a client that has them estimated elsewhere, need the rows themselves; the
deployed observable of nodes.qml.decision would not do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.decision import Decision
from nodes.qml.feature_maps import zz_map
from nodes.qml.overlaps import gram
from nodes.qml.statevector import Program, checked


@dataclass(frozen=True, eq=False)
class Expansion:
    """f with its support vectors.

    Attributes:
        program: of the feature map.
        rows: float64[m, d], the support vectors.
        weights: float64[m], c: multiplier times ±1.
        bias: b.
    """

    name: ClassVar[str] = "qsvm"

    program: Program
    rows: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float

    @classmethod
    def trained(cls, train: DataSet, *, C: float = 1.0, reps: int = 2) -> Self:
        """Of training rows of both classes: the same machine as `QuantumSVM(C=C, reps=reps)`."""
        from sklearn.svm import SVC  # noqa: PLC0415  scikit-learn takes seconds to import, and only training needs it

        program = zz_map(train.features.shape[1], reps).program
        machine = SVC(C=C, kernel="precomputed").fit(gram(program.columns(train.features)), train.labels)
        rows = train.features[machine.support_]
        return cls(program, rows, machine.dual_coef_[0].copy(), float(machine.intercept_[0]))

    @cached_property
    def states(self) -> NDArray[np.complex128]:
        """|φ(x_i)⟩ as complex128[2**q, m]."""
        return self.program.columns(self.rows)

    @cached_property
    def decision_(self) -> Decision:
        """The function as it is deployed, under the name that `QuantumSVM` has for it."""
        return Decision.of(self.program, self.rows, self.weights, self.bias)

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision values float64[n] of features float64[n, d]; positive means class 1."""
        return self.decision_.values(checked(features, self.program.features))

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Classes int64[n] of 0 or 1."""
        return (self.decide(features) > 0.0).astype(np.int64)
