"""The quantum-kernel support vector machine that the inference server runs.

Qiskit and scikit-learn take seconds to import and are needed for training only, so `fit` imports them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.decision import Decision, Observable, SupportVectors
from nodes.qml.feature_maps import PauliMap, zz_map
from nodes.qml.machine import Arrays, array, setting
from nodes.qml.overlaps import MEMORY_BYTES, gram, gram_in_blocks
from nodes.qml.statevector import Program


@dataclasses.dataclass(frozen=True)
class _Known:
    """A kernel whose matrix is there already: training asks for that of the training rows with themselves, and no other.

    Attributes:
        matrix: float64[n, n].
    """

    matrix: NDArray[np.float64]

    def evaluate(self, x_vec: NDArray[np.float64], y_vec: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002  QSVC's interface
        """The matrix."""
        return self.matrix


class QuantumSVM:
    """A support vector machine on a quantum feature map, trained by qiskit-machine-learning's `QSVC` on the exact kernel.

    It is deployed as an observable, which carries no training rows: see `nodes.qml.decision`. It follows scikit-learn's
    estimator interface.

    Args:
        C: penalty of a training point on the wrong side of the margin, positive.
        reps: repetitions of the ZZ feature map's layer, at least 1.
        feature_map: another feature map, a `PauliMap` or a compiled circuit; the ZZ map if left out.

    Attributes:
        name: of this kind of model.
        classes_: the two labels, ascending, after training.
        n_features_in_: features of a training row.
        decision_: the decision function.
    """

    name: ClassVar[str] = "qsvm"
    classes_: NDArray[Any]
    n_features_in_: int
    decision_: Decision

    def __init__(
        self, *, C: float = 1.0, reps: int = 2, feature_map: PauliMap | Program | None = None
    ) -> None:
        self.C = C
        self.reps = reps
        self.feature_map = feature_map

    def __repr__(self) -> str:
        return f"QuantumSVM(C={self.C!r}, reps={self.reps!r}, feature_map={self.feature_map!r})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  scikit-learn passes it; nothing lies deeper
        """The constructor's arguments."""
        return {"C": self.C, "reps": self.reps, "feature_map": self.feature_map}

    def set_params(self, **params: Any) -> Self:
        """Change the constructor's arguments.

        Raises:
            ValueError: a name that is not one of them.
        """
        for name, value in params.items():
            if name not in self.get_params():
                raise ValueError(
                    f"{name!r} is not a parameter of {type(self).__name__}; expected {', '.join(self.get_params())}"
                )
            setattr(self, name, value)
        return self

    def fit(self, X: DataSet | ArrayLike, y: ArrayLike | None = None) -> Self:
        """Train; the same data gives the same model, bit for bit.

        Args:
            X: rows of both labels as a `DataSet`, or their features, [n, d].
            y: their labels, [n] of two values; none with a `DataSet`.

        Returns:
            The classifier itself, as scikit-learn's estimators do.

        Raises:
            ValueError: no rows, rows of one label only, more than two labels, features that are not finite, a number
                of features that the map does not take, or a penalty or number of repetitions out of range.
        """
        rows, labels = self._of_data_set(X) if isinstance(X, DataSet) else self._of_arrays(X, y)
        self.classes_, classes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"all {len(labels)} training rows have label {self.classes_[0]}: one class; expected both labels"
            )
        program = self._program(rows.shape[1])
        each = 16 << program.qubits
        if len(rows) * each <= MEMORY_BYTES:
            kernel = gram(program.columns(rows))
        else:
            kernel = gram_in_blocks(lambda span: program.columns(rows[span]), len(rows), each)

        from qiskit_machine_learning.algorithms import QSVC  # noqa: PLC0415  seconds: see the module's head

        machine = QSVC(quantum_kernel=_Known(kernel), C=self.C).fit(rows, classes)
        self.decision_ = Decision.of(
            program, rows[machine.support_], machine.dual_coef_[0], float(machine.intercept_[0])
        )
        self.n_features_in_ = rows.shape[1]
        return self

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision values: the sign is the label, the size the distance from the boundary in margins.

        Args:
            features: float64[n, d], as many features as in training.

        Returns:
            float64[n]; positive means the greater label, 1 of a `DataSet`.

        Raises:
            sklearn.exceptions.NotFittedError: not trained yet; a ValueError and an AttributeError.
            ValueError: a wrong shape, or a feature that is not finite.
        """
        decision = self._trained()
        if (
            type(features) is np.ndarray
            and features.dtype == np.float64
            and features.ndim == 2
            and features.shape[1] == self.n_features_in_
            and np.isfinite(features).all()
            and "feature_names_in_" not in self.__dict__
        ):
            return decision.values(features)
        return decision.values(self._validated(features))

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """`decide` under scikit-learn's name, for anything that it takes as an array."""
        return self.decide(X)  # type: ignore[arg-type]  # what is no array is made one

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Classes 0 or 1 as int64[n], of features float64[n, d]; raises what `decide` raises."""
        return (self.decide(features) > 0.0).astype(np.int64)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The labels, [n] of `classes_`."""
        classes = self.classify(X)  # type: ignore[arg-type]  # likewise
        return self.classes_[classes]

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """The share of right labels."""
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The trained machine as settings that JSON can hold, and arrays: the observable, and no training row.

        Where the observable would be too large the support vectors stand for it, as in `Decision`.

        Raises:
            sklearn.exceptions.NotFittedError: not trained yet.
            ValueError: labels other than 0 and 1, or a compiled circuit for a feature map, which has no form in a file.
        """
        decision = self._trained()
        if not np.array_equal(self.classes_, (0, 1)):
            raise ValueError(
                f"a machine trained on the labels {list(self.classes_)} has no state; expected 0 and 1"
            )
        if isinstance(self.feature_map, Program):
            raise ValueError(  # noqa: TRY004  as the other reasons
                "a machine on a compiled circuit has no state; expected a PauliMap or none"
            )
        settings = {
            "features": self.n_features_in_,
            "C": self.C,
            "reps": self.reps,
            "feature_map": None if self.feature_map is None else _settings(self.feature_map),
            "bias": decision.bias,
        }
        form = decision.form
        if isinstance(form, Observable):
            return settings, {"values": form.values, "vectors": form.vectors}
        return settings, {"rows": form.rows, "weights": form.weights}

    @classmethod
    def of_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The machine again, with the same decision values bit for bit.

        Raises:
            ValueError: a state that is not one of such a machine.
        """
        width = setting(settings, "features", int)
        chosen = setting(settings, "feature_map", (dict, type(None)))
        found = cls(
            C=setting(settings, "C", (int, float)),
            reps=setting(settings, "reps", int),
            feature_map=None if chosen is None else _pauli_map(chosen),
        )
        program = found._program(width)
        form: Observable | SupportVectors
        if "vectors" in arrays:
            vectors = array(arrays, "vectors", (None, 2**program.qubits), np.complex128)
            form = Observable(array(arrays, "values", (len(vectors),)), vectors)
        else:
            rows = array(arrays, "rows", (None, width))
            form = SupportVectors(program, rows, array(arrays, "weights", (len(rows),)))
        found.decision_ = Decision(program, form, float(setting(settings, "bias", (int, float))))
        found.classes_ = np.array([0, 1], dtype=np.int64)
        found.n_features_in_ = width
        return found

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "decision_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags  # noqa: PLC0415  only scikit-learn asks

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            # on scikit-learn's own trial data, which is not scaled to an interval: phases wrap round at 2π
            classifier_tags=ClassifierTags(multi_class=False, poor_score=True),
            input_tags=InputTags(sparse=False),
        )

    def _trained(self) -> Decision:
        try:
            return self.decision_
        except AttributeError:
            from sklearn.exceptions import NotFittedError  # noqa: PLC0415  seconds: see the module's head

            raise NotFittedError("the classifier is not trained; call fit first") from None

    def _program(self, features: int) -> Program:
        if self.feature_map is None:
            return zz_map(features, self.reps).program
        program = self.feature_map.program if isinstance(self.feature_map, PauliMap) else self.feature_map
        if program.features != features:
            raise ValueError(
                f"training rows have {features} features; the feature map takes {program.features}"
            )
        return program

    def _of_data_set(self, train: DataSet) -> tuple[NDArray[np.float64], NDArray[Any]]:
        if len(train.labels) == 0:
            raise ValueError("the training set is empty; expected rows of both labels")
        vars(self).pop("feature_names_in_", None)
        return train.features, train.labels

    def _of_arrays(self, X: ArrayLike, y: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[Any]]:
        from sklearn.utils.multiclass import (  # noqa: PLC0415  seconds: see the module's head
            check_classification_targets,
            type_of_target,
        )
        from sklearn.utils.validation import validate_data  # noqa: PLC0415  likewise

        rows, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        kind = type_of_target(labels)
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        return rows, labels

    def _validated(self, features: ArrayLike) -> NDArray[np.float64]:
        """Anything that scikit-learn takes as an array, as float64[n, d]."""
        from sklearn.utils.validation import validate_data  # noqa: PLC0415  seconds: see the module's head

        rows: NDArray[np.float64] = validate_data(
            self, features, dtype=np.float64, reset=False, ensure_min_samples=0
        )
        return rows


def _settings(feature_map: PauliMap) -> dict[str, Any]:
    settings = dataclasses.asdict(feature_map)
    return {**settings, "paulis": list(feature_map.paulis)}


def _pauli_map(settings: Mapping[str, Any]) -> PauliMap:
    paulis = setting(settings, "paulis", list)
    if not all(isinstance(pauli, str) for pauli in paulis):
        raise ValueError(f"the state's paulis are {paulis!r}; expected strings")
    return PauliMap(
        features=setting(settings, "features", int),
        paulis=tuple(paulis),
        reps=setting(settings, "reps", int),
        entanglement=setting(settings, "entanglement", str),
        alpha=setting(settings, "alpha", (int, float)),
    )
