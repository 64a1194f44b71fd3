"""What a client asks, and what the right answer would be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netsim.window import Window
from nodes.qml.datasets import DataSet


class Questions(Protocol):
    """Where a client gets its questions from."""

    def draw(self, now_s: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], int]:
        """A question float64[d] and the right class, at this time."""


@dataclasses.dataclass(frozen=True, eq=False)
class Pool:
    """Rows of a data set, each as likely as the others.

    Attributes:
        rows: features and right answers.
    """

    rows: DataSet

    def draw(self, now_s: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], int]:  # noqa: ARG002  a pool has no time
        """One of the rows."""
        which = int(rng.integers(len(self.rows.labels)))
        return self.rows.features[which], int(self.rows.labels[which])


@dataclasses.dataclass(frozen=True, eq=False)
class Changing:
    """Questions that change in windows of time.

    Attributes:
        usual: outside all windows.
        others: from where they come in a window; a later one wins where windows overlap.
    """

    usual: Questions
    others: Sequence[tuple[Window, Questions]]

    def draw(self, now_s: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], int]:
        """A question of the time."""
        covering = [questions for window, questions in self.others if window.covers(now_s)]
        return (covering[-1] if covering else self.usual).draw(now_s, rng)


@dataclasses.dataclass(frozen=True, eq=False)
class Drifting:
    """Questions whose features wander as time goes by; the right answers stay those of the rows they came from.

    Attributes:
        pool: where they start.
        begin_s: since when they wander.
        moved: rows float64[n, d] after so many seconds, still in [0, 1].
    """

    pool: Questions
    begin_s: float
    moved: Callable[[NDArray[np.float64], float], NDArray[np.float64]]

    def draw(self, now_s: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], int]:
        """A question as it looks by now."""
        features, truth = self.pool.draw(now_s, rng)
        return self.moved(features[None], max(0.0, now_s - self.begin_s))[0], truth
