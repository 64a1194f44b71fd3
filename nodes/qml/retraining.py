"""Support vector machines trained again and again on parts of one set of rows, whose kernel matrix is computed once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nodes.qml.feature_maps import zz_map
from nodes.qml.overlaps import MEMORY_BYTES, gram, gram_in_blocks
from nodes.qml.statevector import Program, checked


class Retraining:
    """What a kernel machine says of some rows after training on others, as an attacker or a defender tries it out.

    A machine of `QuantumSVM`'s kind and penalty gives the same decision values up to rounding; here each costs one
    run of scikit-learn's `SVC` on a part of the matrix.

    Args:
        features: float64[n, d], all rows.
        program: the feature map; the ZZ map of 2 repetitions if left out.
        C: penalty of a training row on the wrong side of the margin, positive.

    Raises:
        ValueError: features that are not finite, or whose number the map does not take; a penalty that is not positive.
    """

    def __init__(self, features: NDArray[np.float64], program: Program | None = None, C: float = 1.0) -> None:
        self._program = zz_map(features.shape[1]).program if program is None else program
        self._features = checked(features, self._program.features)
        if not (np.isfinite(C) and C > 0.0):
            raise ValueError(f"C is {C}; expected a positive number")
        self._penalty = C

    @cached_property
    def kernel(self) -> NDArray[np.float64]:
        """float64[n, n], symmetric."""
        program, features = self._program, self._features
        each = 16 << program.qubits
        if len(features) * each <= MEMORY_BYTES:
            return gram(program.columns(features))
        return gram_in_blocks(lambda span: program.columns(features[span]), len(features), each)

    def values(
        self, rows: NDArray[np.integer], labels: NDArray[np.int64], asked: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Decision values of a machine trained on some of the rows.

        Args:
            rows: indices of the training rows, at least one.
            labels: theirs, in the same order; they need not be the true ones.
            asked: indices of the rows to be judged.

        Returns:
            float64, one for each of `asked`; positive means class 1. With training rows of one label only that
            label's ±1 for all: no machine can be trained, and its owner would see no other label either.

        Raises:
            ValueError: no training rows.
        """
        if len(rows) == 0:
            raise ValueError("no training rows; expected at least one")
        if np.all(labels == labels[0]):
            return np.full(len(asked), 2.0 * labels[0] - 1.0)
        from sklearn import config_context  # noqa: PLC0415  a second that only training needs
        from sklearn.svm import SVC  # noqa: PLC0415  likewise

        # all has been checked, and for a few dozen rows checking again takes a fifth of the time
        with config_context(assume_finite=True, skip_parameter_validation=True):
            machine = SVC(kernel="precomputed", C=self._penalty).fit(self.kernel[np.ix_(rows, rows)], labels)
        support = np.asarray(rows)[machine.support_]
        values: NDArray[np.float64] = self.kernel[np.ix_(asked, support)] @ machine.dual_coef_[0]
        return values + float(machine.intercept_[0])
