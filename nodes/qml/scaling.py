"""From measured quantities to features in [0, 1]: a scaler that is fitted on training rows and kept for the queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet, shared_out
from nodes.qml.machine import Arrays, array
from nodes.qml.statevector import checked


@dataclass(frozen=True, eq=False)
class Scaler:
    """Each column linearly, `low` to 0 and `high` to 1; what lies beyond is moved to the nearer end.

    A column whose ends coincide says nothing and becomes 0.

    Attributes:
        low: float64[d].
        high: float64[d], nowhere below `low`.

    Raises:
        ValueError: ends that are not finite, of different shapes, or the wrong way round.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.low.ndim != 1 or self.low.shape != self.high.shape:
            raise ValueError(f"low has shape {self.low.shape} and high {self.high.shape}; expected both (d,)")
        if not (np.isfinite(self.low).all() and np.isfinite(self.high).all()):
            raise ValueError("an end of a scale is infinite or not a number; expected finite numbers")
        if (self.low > self.high).any():
            raise ValueError("a scale's low end lies above its high one")

    @classmethod
    def fit(cls, rows: NDArray[np.float64], tail: float = 0.0) -> Scaler:
        """From training rows float64[n, d].

        Args:
            rows: at least one.
            tail: share of the rows beyond each end. 0 puts the smallest and largest value at the ends; 0.01 is robust: one
                huge transfer then does not squeeze all others into a corner.

        Raises:
            ValueError: no rows, a value that is not finite, or a tail outside [0, 0.5).
        """
        if not 0.0 <= tail < 0.5:
            raise ValueError(f"tail is {tail}; expected 0 or more and less than 0.5")
        if rows.ndim != 2 or len(rows) == 0:
            raise ValueError(f"rows have shape {rows.shape}; a scaler needs at least one row, (n, d)")
        checked(rows, rows.shape[1])
        low, high = np.quantile(rows, [tail, 1.0 - tail], axis=0)
        return cls(low, high)

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features in [0, 1], float64[n, d] of float64[n, d].

        Raises:
            ValueError: another number of columns, or a value that is not finite.
        """
        rows = checked(rows, len(self.low))
        span = self.high - self.low
        scaled = (rows - self.low) / np.where(span > 0.0, span, 1.0)
        return np.where(span > 0.0, np.clip(scaled, 0.0, 1.0), 0.0)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Settings and arrays, as a model has them."""
        return {}, {"low": self.low, "high": self.high}

    @classmethod
    def of_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Scaler:  # noqa: ARG003  it has none
        """The scaler again.

        Raises:
            ValueError: a state that is not one of a scaler.
        """
        low = array(arrays, "low", (None,))
        return cls(low, array(arrays, "high", (len(low),)))


@dataclass(frozen=True, eq=False)
class Unscaled:
    """Labelled rows as they were measured.

    Attributes:
        names: of the columns.
        rows: float64[n, d].
        labels: int64[n] of 0 and 1.
    """

    names: Sequence[str]
    rows: NDArray[np.float64]
    labels: NDArray[np.int64]

    def scaled(self, scaler: Scaler) -> DataSet:
        """All rows through a scaler that was fitted elsewhere; raises what it raises."""
        return DataSet(scaler(self.rows), self.labels)

    def split(
        self, train_fraction: float, rng: np.random.Generator, tail: float = 0.0
    ) -> tuple[DataSet, DataSet, Scaler]:
        """A training set, a test set, and the scaler, fitted on the training rows only; arguments of `split` and `Scaler.fit`."""
        train = shared_out(self.labels, train_fraction, rng)
        scaler = Scaler.fit(self.rows[train], tail)
        whole = self.scaled(scaler)
        return (
            DataSet(whole.features[train], whole.labels[train]),
            DataSet(whole.features[~train], whole.labels[~train]),
            scaler,
        )
