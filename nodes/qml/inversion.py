"""Inversion: what a class looks like, from the answers of a model that was trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodes.qml.asking import averaged, on_grid, signed
from nodes.qml.extraction import filling
from nodes.qml.strategy import Knowledge, Strategy, Truth

_CLIMBERS = 4  # for each class


def portraits(
    knowledge: Knowledge,
    rng: np.random.Generator,
    *,
    queries: int = 200,
    repeats: int = 1,
    peak: bool = True,
) -> Strategy[Portraits]:
    """A representative of each class.

    The peak is where the model is surest (Fredrikson, Jha and Ristenpart, CCS 2015, algorithm 1): of points uniform in
    [0, 1]^d, half of the questions, the surest climb along differences between answers, in steps that fall from
    0.1 to 0.01; the surest point seen is the portrait. With classes only, or if so asked, the portrait is the mean of
    uniform points that are answered with the class. It uses none of the attacker's own rows: to whoever has them, their
    mean is a better portrait.

    Args:
        knowledge: what the attacker has.
        rng: where questions come from.
        queries: different questions, about; at least 20.
        repeats: how often each is asked.
        peak: look for it, if there are scores.

    Raises:
        ValueError: too few queries, or fewer than one repeat.
    """
    if queries < 20:
        raise ValueError(f"queries is {queries}; expected at least 20")
    width = knowledge.width
    climbing = peak and knowledge.scores
    points = on_grid(rng.random((queries // 2 if climbing else queries, width)))
    values = signed((yield from averaged(points, repeats)), knowledge.scores)
    asked = repeats * len(points)
    found = np.full((2, width), np.nan)
    if not climbing:
        for label, side in enumerate((values <= 0.0, values > 0.0)):
            if side.any():
                found[label] = points[side].mean(axis=0)
        return Portraits(found, asked)
    toward = np.array([-1.0, 1.0])
    known = ~np.isnan(values)
    points, values = points[known], values[known]
    if len(points) == 0:
        return Portraits(found, asked)
    order = np.argsort(values)
    starts = [order[:_CLIMBERS], order[::-1][:_CLIMBERS]]
    here = np.concatenate([points[chosen] for chosen in starts])
    climb = np.repeat(toward, [len(chosen) for chosen in starts])
    best, height = here.copy(), np.concatenate([values[chosen] for chosen in starts]) * climb
    steps = max(1, (queries - queries // 2) // (len(here) * (2 * width + 1)))
    ways = np.concatenate([np.zeros((1, width)), np.eye(width), -np.eye(width)])
    for step in range(steps):
        size = 0.1 * 0.1 ** (step / max(1, steps - 1))
        questions = on_grid(here[None] + size * ways[:, None])
        answers = signed((yield from averaged(questions.reshape(-1, width), repeats)), knowledge.scores)
        asked += repeats * len(answers)
        if np.isnan(answers).all():
            break
        heights = np.where(np.isnan(answers), -np.inf, answers * np.tile(climb, len(ways)))
        heights = heights.reshape(len(ways), -1)
        top = heights.argmax(axis=0)
        rows = np.arange(len(here))
        better = heights[top, rows] > height
        best[better], height[better] = questions[top, rows][better], heights[top, rows][better]
        upward = (answers * np.tile(climb, len(ways))).reshape(len(ways), -1)
        slope = np.nan_to_num(upward[1 : width + 1] - upward[width + 1 :]).T
        here = np.clip(here + size * np.sign(slope), 0.0, 1.0)
    for label in (0, 1):
        mine = np.flatnonzero(climb == toward[label])
        found[label] = best[mine[height[mine].argmax()]]
    return Portraits(found, asked)


@dataclass(frozen=True, eq=False)
class Portraits:
    """A point for each class.

    Attributes:
        points: float64[2, d], NaN where nothing was found.
        asked: questions that it took.
    """

    points: NDArray[np.float64]
    asked: int

    def figures(self, truth: Truth) -> Mapping[str, float]:
        """`closeness`: how much nearer a portrait is to its class's mean in the training rows than a guess.

        1 - distance / (mean distance of a uniform point), the mean of both classes; 0 for a random guess, negative
        for worse. No portrait counts as a random guess. `centre` is the same for the middle of [0, 1]^d, which takes
        no question at all.
        """
        distances, guesses, centre = [], [], []
        for label in (0, 1):
            mean = truth.train.features[truth.train.labels == label].mean(axis=0)
            guess = _mean_distance(mean)
            distance = float(np.linalg.norm(self.points[label] - mean))
            distances.append(guess if np.isnan(distance) else distance)
            guesses.append(guess)
            centre.append(float(np.linalg.norm(0.5 - mean)))
        return {
            "closeness": float(np.mean(1.0 - np.array(distances) / guesses)),
            "centre": float(np.mean(1.0 - np.array(centre) / guesses)),
            "distance": float(np.mean(distances)),
            "asked": float(self.asked),
        }


def _mean_distance(point: NDArray[np.float64]) -> float:
    """Of the points of [0, 1]^d from one."""
    return float(np.linalg.norm(filling(4096, len(point)) - point, axis=1).mean())
