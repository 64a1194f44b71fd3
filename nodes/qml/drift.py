"""Drift: questions that come from elsewhere than the training rows did, and a device that is no longer what it was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nodes.qml.decision import Decision, Observable


def drifted(
    rows: NDArray[np.float64],
    amount: float | NDArray[np.float64],
    direction: NDArray[np.float64] | np.random.Generator,
) -> NDArray[np.float64]:
    """Rows that have moved, all in one direction: covariate drift; their labels stay what they were.

    Args:
        rows: float64[n, d], each feature in [0, 1].
        amount: how far, in units of the scaled features; for all rows or float64[n], one for each: see `ramp`.
        direction: float64[d], any length but 0; or a Generator that draws one uniformly.

    Returns:
        float64[n, d], cut off at 0 and 1 as the wire's code is.

    Raises:
        ValueError: a wrong shape, an amount that is not finite, or no direction.
    """
    if rows.ndim != 2:
        raise ValueError(f"rows have shape {rows.shape}; expected (n, d)")
    moved = np.asarray(amount, dtype=np.float64)
    if moved.shape not in {(), (len(rows),)} or not np.isfinite(moved).all():
        raise ValueError(f"amount has shape {moved.shape}; expected one finite number, or {len(rows)}")
    way: NDArray[np.float64]
    if isinstance(direction, np.random.Generator):
        way = direction.standard_normal((rows.shape[1],))
    else:
        way = direction
    length = float(np.linalg.norm(way))
    if way.shape != rows.shape[1:] or not (np.isfinite(length) and length > 0.0):
        raise ValueError(f"direction is {way}; expected {rows.shape[1]} numbers, not all 0")
    return np.clip(rows + np.multiply.outer(moved, way / length).reshape(-1, rows.shape[1]), 0.0, 1.0)


def ramp(count: int, begin: int, full: int, amount: float) -> NDArray[np.float64]:
    """How far each of `count` questions in turn has drifted, float64[count].

    Args:
        count: of questions.
        begin: the last question without drift, from 0.
        full: the first with all of it, after `begin`.
        amount: all of it.

    Raises:
        ValueError: `full` not after `begin`, or a negative number.
    """
    if count < 0 or not 0 <= begin < full:
        raise ValueError(f"count is {count}, begin {begin}, full {full}; expected 0 <= begin < full")
    part: NDArray[np.float64] = np.clip((np.arange(count) - begin) / (full - begin), 0.0, 1.0)
    return amount * part


class WornDecision:
    """A decision function on a device that has begun to depolarise, while the model knows nothing of it.

    A share p of the states is lost to the maximally mixed one: f becomes (1 - p)·⟨φ|A|φ⟩ + p·tr(A)/2^q + b.

    Args:
        decision: of the model, with an observable.
        p: share of the states, 0 to 1.

    Raises:
        ValueError: p out of range.
        TypeError: a model that is deployed with its support vectors.
    """

    def __init__(self, decision: Decision, p: float) -> None:
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"p is {p}; expected a number from 0 to 1")
        if not isinstance(decision.form, Observable):
            raise TypeError(
                f"the model is deployed as {type(decision.form).__name__}; expected an Observable"
            )
        self.decision, self.p = decision, p
        self._mixed = float(decision.form.values.sum()) / 2**decision.program.qubits

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision values float64[n] of float64[n, d]."""
        pure = self.decision.values(features) - self.decision.bias
        worn: NDArray[np.float64] = (1.0 - self.p) * pure + self.p * self._mixed + self.decision.bias
        return worn

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Classes int64[n] of 0 or 1."""
        return (self.decide(features) > 0.0).astype(np.int64)
