"""What every model that the server runs has in common: a name, a way into a file, and the checks at its edges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.statevector import checked

Arrays = dict[str, NDArray[Any]]


class Model(Protocol):
    """A model as the server, model files and the tables of results take it."""

    @property
    def name(self) -> str:
        """Of its kind, the same for all of them."""

    def fit(self, train: DataSet) -> Any:
        """Train; returns the model itself."""

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision values float64[n] of features float64[n, d]; positive means class 1."""

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Classes int64[n] of 0 or 1."""

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Settings that JSON can hold, and arrays."""


class Machine(ABC):
    """A model that is trained once on rows of both labels and then asked.

    Attributes:
        name: of its kind.
        n_features_in_: features of a training row, after training.
    """

    name: ClassVar[str]
    n_features_in_: int

    def fit(self, train: DataSet) -> Self:
        """Train; the same data gives the same model, bit for bit.

        Returns:
            The model itself.

        Raises:
            ValueError: no rows, rows of one label only, or what this kind of model cannot be trained on.
        """
        if len(train.labels) == 0:
            raise ValueError("the training set is empty; expected rows of both labels")
        if len(np.unique(train.labels)) < 2:
            raise ValueError(
                f"all {len(train.labels)} training rows have label {train.labels[0]}: one class; expected both labels"
            )
        self._train(train)
        self.n_features_in_ = train.features.shape[1]
        return self

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision values.

        Args:
            features: float64[n, d], as many features as in training.

        Returns:
            float64[n]; positive means class 1.

        Raises:
            sklearn.exceptions.NotFittedError: not trained yet; a ValueError and an AttributeError.
            ValueError: a wrong shape, or a feature that is not finite.
        """
        self._require_trained()
        rows = checked(features, self.n_features_in_)
        return self._values(rows) if len(rows) else np.zeros(0)

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Classes 0 or 1 as int64[n], of features float64[n, d]; raises what `decide` raises."""
        return (self.decide(features) > 0.0).astype(np.int64)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The trained model as settings that JSON can hold, and arrays; raises NotFittedError as `decide` does."""
        self._require_trained()
        settings, arrays = self._state()
        return {"features": self.n_features_in_, **settings}, arrays

    @classmethod
    @abstractmethod
    def of_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The model again, with the same decision values bit for bit.

        Raises:
            ValueError: a state that is not one of such a model.
        """

    @abstractmethod
    def _train(self, train: DataSet) -> None:
        """On rows of both labels."""

    @abstractmethod
    def _values(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """`decide`, of features that have been checked."""

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], Arrays]:
        """`state`, of a trained model, without the number of features."""

    def _require_trained(self) -> None:
        if not hasattr(self, "n_features_in_"):
            from sklearn.exceptions import NotFittedError  # noqa: PLC0415  a second that serving does without

            raise NotFittedError("the classifier is not trained; call fit first")


def setting(settings: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    """One entry of a state's settings; a number is finite.

    Raises:
        ValueError: missing, or of another type.
    """
    value = settings.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"the state's {name} is {value!r}; expected {_named(kind)}")
    if isinstance(value, float) and not np.isfinite(value):
        raise ValueError(f"the state's {name} is {value}; expected a finite number")
    return value


def array(
    arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int | None, ...], dtype: Any = np.float64
) -> NDArray[Any]:
    """One array of a state, contiguous and finite; None in `shape` stands for any size.

    Raises:
        ValueError: missing, of another shape or dtype, or not finite.
    """
    found = arrays.get(name)
    if not isinstance(found, np.ndarray):
        raise ValueError(  # noqa: TRY004  a state comes from a file: its content is wrong, not a call
            f"the state has no array {name!r}; it has {', '.join(sorted(arrays)) or 'none'}"
        )
    fits = len(found.shape) == len(shape) and all(
        want is None or have == want for have, want in zip(found.shape, shape, strict=True)
    )
    if not fits or found.dtype != np.dtype(dtype):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"the state's {name} is {found.dtype} of shape {found.shape}; expected {np.dtype(dtype)} of ({wanted})"
        )
    if not np.isfinite(found).all():
        raise ValueError(f"the state's {name} holds what is not finite; expected finite numbers")
    return np.ascontiguousarray(found)


def _named(kind: type | tuple[type, ...]) -> str:
    return " or ".join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)))
