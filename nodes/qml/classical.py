"""The classical models beside the quantum ones: a radial-basis support vector machine and logistic regression.

scikit-learn trains them and takes a second to import; what is served afterwards is a few NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.machine import Arrays, Machine, array, setting

_BLOCK = 2**20  # entries of a kernel matrix that are worked on at a time


class RadialSVM(Machine):
    """A support vector machine on the kernel exp(-γ|x - y|²), trained by scikit-learn's `SVC`.

    Unlike the quantum machine of few qubits it is served with its support vectors, which are training rows.

    Args:
        C: penalty of a training point on the wrong side of the margin, positive.
        gamma: γ, positive; `scale` for 1/(d·variance of all features), scikit-learn's own choice.

    Attributes:
        gamma_: γ, after training.
        support_: float64[m, d], the support vectors.
        weights_: float64[m], theirs.
        bias_: b.
    """

    name: ClassVar[str] = "rbf-svm"
    gamma_: float
    support_: NDArray[np.float64]
    weights_: NDArray[np.float64]
    bias_: float

    def __init__(self, *, C: float = 1.0, gamma: float | str = "scale") -> None:
        _positive("C", C)
        if gamma != "scale":
            _positive("gamma", gamma)
        self.C = C
        self.gamma = gamma

    def __repr__(self) -> str:
        return f"RadialSVM(C={self.C!r}, gamma={self.gamma!r})"

    def _train(self, train: DataSet) -> None:
        from sklearn.svm import SVC  # noqa: PLC0415  a second that serving does without

        variance = float(train.features.var())
        if self.gamma == "scale":
            # scikit-learn's rule, also for rows that are all alike
            self.gamma_ = 1.0 / (train.features.shape[1] * variance) if variance else 1.0
        else:
            self.gamma_ = float(self.gamma)
        machine = SVC(kernel="rbf", C=self.C, gamma=self.gamma_).fit(train.features, train.labels)
        self.support_ = np.ascontiguousarray(machine.support_vectors_)
        self.weights_ = np.array(machine.dual_coef_[0])
        self.bias_ = float(machine.intercept_[0])

    def _values(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.empty(len(features))
        height = max(1, _BLOCK // max(1, len(self.support_)))
        for begin in range(0, len(features), height):
            rows = features[begin : begin + height]
            distances = np.zeros((len(rows), len(self.support_)))
            for column, supports in zip(rows.T, self.support_.T, strict=True):
                distances += np.square(column[:, None] - supports)
            out[begin : begin + height] = np.exp(-self.gamma_ * distances) @ self.weights_
        return out + self.bias_

    def _state(self) -> tuple[dict[str, Any], Arrays]:
        settings = {"C": self.C, "gamma": self.gamma, "gamma_used": self.gamma_, "bias": self.bias_}
        return settings, {"support": self.support_, "weights": self.weights_}

    @classmethod
    def of_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See `Machine.of_state`."""
        found = cls(
            C=setting(settings, "C", (int, float)), gamma=setting(settings, "gamma", (int, float, str))
        )
        width = setting(settings, "features", int)
        found.gamma_ = float(_positive("gamma_used", setting(settings, "gamma_used", (int, float))))
        found.bias_ = float(setting(settings, "bias", (int, float)))
        found.support_ = array(arrays, "support", (None, width))
        found.weights_ = array(arrays, "weights", (len(found.support_),))
        found.n_features_in_ = width
        return found


class LogisticRegression(Machine):
    """Logistic regression, f(x) = w·x + b the log odds of class 1, trained by scikit-learn's class of that name.

    Args:
        C: inverse strength of the penalty on |w|², positive.

    Attributes:
        weights_: float64[d], w, after training.
        bias_: b.
    """

    name: ClassVar[str] = "logistic"
    weights_: NDArray[np.float64]
    bias_: float

    def __init__(self, *, C: float = 1.0) -> None:
        _positive("C", C)
        self.C = C

    def __repr__(self) -> str:
        return f"LogisticRegression(C={self.C!r})"

    def _train(self, train: DataSet) -> None:
        from sklearn.linear_model import LogisticRegression as Trainer  # noqa: PLC0415  as above

        trainer = Trainer(C=self.C).fit(train.features, train.labels)
        self.weights_ = np.array(trainer.coef_[0])
        self.bias_ = float(trainer.intercept_[0])

    def _values(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = features @ self.weights_ + self.bias_
        return values

    def _state(self) -> tuple[dict[str, Any], Arrays]:
        return {"C": self.C, "bias": self.bias_}, {"weights": self.weights_}

    @classmethod
    def of_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See `Machine.of_state`."""
        found = cls(C=setting(settings, "C", (int, float)))
        width = setting(settings, "features", int)
        found.bias_ = float(setting(settings, "bias", (int, float)))
        found.weights_ = array(arrays, "weights", (width,))
        found.n_features_in_ = width
        return found


def _positive(name: str, value: Any) -> Any:
    if isinstance(value, str) or not (np.isfinite(value) and value > 0.0):
        raise ValueError(f"{name} is {value!r}; expected a positive number")
    return value
