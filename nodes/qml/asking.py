"""How an attacker puts questions: on the grid that the wire carries, and several times over where answers are noisy."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from nodes.qml.fixed_point import FULL_SCALE
from nodes.qml.strategy import Replies


def on_grid(questions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest questions that the wire carries unchanged, float64 of the same shape, in [0, 1].

    Whoever solves equations about a model must know which point was answered, not which was meant.
    """
    return np.rint(np.clip(questions, 0.0, 1.0) * FULL_SCALE) / FULL_SCALE


def averaged(
    questions: NDArray[np.float64], repeats: int
) -> Generator[NDArray[np.float64], Replies, NDArray[np.float64]]:
    """Ask each question several times in one batch; the means of what came back.

    Noise that is drawn anew for every answer falls as the root of the repeats: a noisy server without a budget is one
    that takes longer to ask.

    Args:
        questions: float64[n, d]; none are asked if n is 0.
        repeats: how often each, at least 1.

    Returns:
        float64[n], of decision values, or of classes as their share of ones; NaN where no answer came at all.

    Raises:
        ValueError: fewer than one repeat.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; expected at least 1")
    if len(questions) == 0:
        return np.empty(0)
    if repeats == 1:
        return (yield questions).values
    replies = yield np.tile(questions, (repeats, 1))
    return mean_of_known(replies.values.reshape(repeats, len(questions)))


def mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Column means float64[n] of float64[repeats, n] without the NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    means: NDArray[np.float64] = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return means


def signed(answers: NDArray[np.float64], scores: bool) -> NDArray[np.float64]:
    """Answers as numbers whose sign is the class, float64[n]: a class 0 or 1, or a share of ones, becomes -1 to 1."""
    return answers if scores else 2.0 * answers - 1.0
