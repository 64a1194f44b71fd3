"""The timing side channel of a server that measures until it is sure, and stops early where that is soon.

Each measurement of ⟨A⟩ gives f(x) with an error. A server that only tells classes may stop as soon as the sign is
clear; then the time it takes tells |f(x)|, which the class was to hide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodes.qml.asking import on_grid, signed
from nodes.qml.extraction import Copy, copy_of_scores, correlation, spread_out
from nodes.qml.strategy import Classifier, Knowledge, Strategy, Truth

_GRID = np.concatenate([np.linspace(0.0, 1.0, 41)[:-1], np.geomspace(1.0, 20.0, 30)])  # in z·spread/√most


@dataclass(frozen=True)
class Effort:
    """How long a shot-based server measures: in batches of shots, until the mean is z standard errors from 0.

    Attributes:
        most: batches at most, at least 1.
        z: standard errors that make a sign clear, positive.
        spread: standard deviation of the decision value that one batch gives, positive.
        constant: always measure `most` batches: the defence.

    Raises:
        ValueError: a value out of range.
    """

    most: int
    z: float
    spread: float = 1.0
    constant: bool = False

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most is {self.most}; expected at least 1 batch")
        for name, value in (("z", self.z), ("spread", self.spread)):
            if not (np.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} is {value}; expected a finite number above 0")

    def batches(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Batches when every batch gives just f: the least k with |f| > z·spread/√k, at most `most`.

        Args:
            values: float64[n], decision values.

        Returns:
            int64[n], 1 to `most`.
        """
        count = len(values)
        if self.constant:
            return np.full(count, self.most, dtype=np.int64)
        size = np.abs(values)
        with np.errstate(divide="ignore", over="ignore"):
            needed = np.floor((self.z * self.spread / size) ** 2) + 1.0
        return np.where(needed < self.most, needed, float(self.most)).astype(np.int64)

    def measured(
        self, values: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """A measurement with its errors, which are normal: what the server finds, and after how many batches.

        The sign is looked at after every batch, so that it is wrong more often than z standard errors suggest.

        Args:
            values: float64[n], decision values.
            rng: where the errors come from.

        Returns:
            Means float64[n], and batches int64[n].
        """
        total = np.zeros(len(values))
        mean, taken = np.zeros(len(values)), np.full(len(values), self.most, dtype=np.int64)
        going = np.arange(len(values))
        for count in range(1, self.most + 1):
            total[going] += values[going] + self.spread * rng.standard_normal(len(going))
            mean[going] = total[going] / count
            if not self.constant:
                clear = np.abs(mean[going]) > self.z * self.spread / np.sqrt(count)
                taken[going[clear]] = count
                going = going[~clear]
                if len(going) == 0:
                    break
        return mean, taken


def timed(
    knowledge: Knowledge,
    effort: Effort,
    rng: np.random.Generator,
    *,
    queries: int = 64,
    repeats: int = 9,
    prior: Classifier | None = None,
) -> Strategy[Timed]:
    """Decision values from classes and latencies, and a copy of the model from those.

    Each question is asked several times; means of the times, over the jitter, are compared with a simulation of the
    server, whose way of working is no secret. Fastest and slowest question tell how long a batch takes and
    what the network adds. If questions differ no more in time than repeats of one question do, time tells nothing,
    and the classes are all that is used.

    Args:
        knowledge: what the attacker has.
        effort: how the server would measure without the defence.
        rng: chooses questions, and simulates.
        queries: different questions, at least 8.
        repeats: how often each is asked, at least 2.
        prior: a model of the attacker's own, from its own rows, which the copy corrects.

    Raises:
        ValueError: too few queries or repeats.
    """
    if queries < 8 or repeats < 2:
        raise ValueError(f"queries is {queries} and repeats {repeats}; expected at least 8 and 2")
    if knowledge.program is None:
        points = on_grid(rng.random((queries, knowledge.width)))
    else:
        points = spread_out(knowledge.program, queries, rng)
    replies = yield np.tile(points, (repeats, 1))
    asked = repeats * queries
    values = signed(replies.values, knowledge.scores).reshape(repeats, queries)
    seconds = replies.seconds.reshape(repeats, queries)
    whole = ~(np.isnan(values) | np.isnan(seconds)).any(axis=0)
    points, values, seconds = points[whole], values[:, whole], seconds[:, whole]
    side = np.where(values.mean(axis=0) > 0.0, 1.0, -1.0) if len(points) else np.empty(0)
    mean = seconds.mean(axis=0) if len(points) else np.empty(0)
    jitter = float(seconds.var(axis=0, ddof=1).mean()) / repeats if len(points) > 1 else 0.0
    recovered = side.copy()
    # normal jitter alone passes this about once in 9000 times with 64 questions asked 9 times, more often with fewer
    tells = len(points) > 1 and bool(
        mean.var(ddof=1) > jitter * (1.0 + 5.0 * np.sqrt(2.0 / len(points))) + 1e-24
    )
    if tells:
        recovered = side * _sizes(mean, effort, rng)
    copy = copy_of_scores(knowledge, points, recovered, prior=prior, asked=asked)
    return Timed(copy, points, recovered)


def _sizes(seconds: NDArray[np.float64], effort: Effort, rng: np.random.Generator) -> NDArray[np.float64]:
    """|f| float64[n] from mean times: NaN where one batch was enough, which leaves |f| open above."""
    least = effort.z * effort.spread / np.sqrt(effort.most)
    sizes = _GRID * least
    running = Effort(effort.most, effort.z, effort.spread)
    _, taken = running.measured(np.tile(sizes, 400), rng)
    expected = np.minimum.accumulate(taken.reshape(400, len(sizes)).mean(axis=0))
    first, last = float(seconds.min()), float(seconds.max())
    # the extremes of many noisy means lie a little outside what they stand for
    batches = expected[-1] + (seconds - first) / (last - first) * (expected[0] - expected[-1])
    found = np.interp(batches, expected[::-1], sizes[::-1])
    return np.where(batches < expected[-1] + 0.25, np.nan, found)


@dataclass(frozen=True, eq=False)
class Timed:
    """What was made of latencies.

    Attributes:
        copy: of the model.
        questions: float64[n, d].
        recovered: float64[n], their decision values, up to the scale; NaN where time leaves them open.
    """

    copy: Copy
    questions: NDArray[np.float64]
    recovered: NDArray[np.float64]

    def figures(self, truth: Truth) -> Mapping[str, float]:
        """`leaked`: squared correlation of the sizes of recovered and true decision values; and what the copy is worth.

        0 where time tells no more than the class. See `Copy.figures` for the others.
        """
        known = ~np.isnan(self.recovered)
        leaked = 0.0
        if known.sum() > 2:
            true = truth.model.decide(self.questions[known])
            leaked = correlation(np.abs(self.recovered[known]), np.abs(true)) ** 2
        return {"leaked": leaked, **self.copy.figures(truth)}
