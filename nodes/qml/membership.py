"""Membership inference: whether a row was in the training set, from what the model says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nodes.qml.asking import averaged, signed
from nodes.qml.datasets import DataSet
from nodes.qml.strategy import Classifier, Knowledge, Strategy, Truth

Rule = Literal["gap", "threshold", "ratio", "support"]

Trainer = Callable[[DataSet], Classifier]
"""Trains a model like the server's."""

_ON_THE_MARGIN = 0.002  # solvers stop within 0.001 of it


def inferred(
    knowledge: Knowledge,
    candidates: DataSet,
    rule: Rule,
    rng: np.random.Generator,
    *,
    trainer: Trainer | None = None,
    shadows: int = 48,
    size: int | None = None,
    repeats: int = 1,
    noise: float = 0.0,
) -> Strategy[Memberships]:
    """Ask once about each candidate, and guess from its signed margin (2y - 1)·f(x).

    * `gap`: members are classified rightly (Yeom et al., CSF 2018): works as far as the model is better on its
      training rows than on others.
    * `threshold`: a margin in the interval where, in shadow models trained on halves of the attacker's own rows, members exceed
      others most (Shokri et al., IEEE S&P 2017, with a threshold instead of a network).
    * `ratio`: for each candidate, the likelihood of its margin among shadow models that were trained with it against
      those without it, both normal (Carlini et al., IEEE S&P 2022, online attack).
    * `support`: a margin of exactly 1. The conditions of Karush, Kuhn and Tucker put every support vector with an
      inner coefficient there, and scores of full precision show it. Ours; no source found.

    Args:
        knowledge: what the attacker has.
        candidates: rows with their labels, to be told apart.
        rule: one of the above.
        rng: shares rows out to shadow models.
        trainer: for shadow models; needed by `threshold` and `ratio`.
        shadows: how many, at least 4.
        size: rows that the server was trained on, as far as the attacker knows, for `ratio`; half of all rows at hand
            if left out.
        repeats: how often each candidate is asked about.
        noise: standard deviation of an answer that the attacker allows for in `ratio`, in units of the score.

    Raises:
        ValueError: an unknown rule, a missing trainer, or a number out of range.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"rule is {rule!r}; expected one of {', '.join(get_args(Rule))}")
    if rule in {"threshold", "ratio"} and trainer is None:
        raise ValueError(f"rule {rule!r} needs a trainer for shadow models")
    if shadows < 4:
        raise ValueError(f"shadows is {shadows}; expected at least 4")
    answers = yield from averaged(candidates.features, repeats)
    margin = _margin(signed(answers, knowledge.scores), candidates.labels)
    if rule == "gap":
        sureness = np.where(np.isnan(margin), np.nan, (margin > 0.0) - 0.5)
    elif rule == "support":
        sureness = _ON_THE_MARGIN - np.abs(margin - 1.0)
    elif rule == "threshold":
        assert trainer is not None  # noqa: S101  checked above
        low, high = _learned(knowledge, trainer, shadows, rng)
        sureness = np.minimum(margin - low, high - margin)
    else:
        assert trainer is not None  # noqa: S101  checked above
        sureness = _ratio(knowledge, candidates, margin, trainer, (shadows, size), noise, rng)
    # a row about which nothing was answered is guessed to be none
    return Memberships(candidates, np.where(np.isnan(sureness), -np.inf, sureness), repeats * len(margin))


def _margin(values: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return values * (2.0 * labels - 1.0)


def _of_shadow(model: Classifier, rows: DataSet, scores: bool) -> NDArray[np.float64]:
    """Margins as the server would let them be seen."""
    values = model.decide(rows.features)
    return _margin(values if scores else np.where(values > 0.0, 1.0, -1.0), rows.labels)


def _both(labels: NDArray[np.int64]) -> bool:
    return bool(labels.any() and not labels.all())


def _learned(
    knowledge: Knowledge, trainer: Trainer, shadows: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The interval of margins in which members of shadow models outnumber others most, in shares."""
    rows = knowledge.rows
    members, others = [], []
    for _ in range(shadows):
        inside = rng.permutation(len(rows.labels)) < len(rows.labels) // 2
        if not _both(rows.labels[inside]):
            continue
        model = trainer(DataSet(rows.features[inside], rows.labels[inside]))
        margins = _of_shadow(model, rows, knowledge.scores)
        members.append(margins[inside])
        others.append(margins[~inside])
    if not members:
        return np.inf, np.inf
    inside_all, outside_all = np.concatenate(members), np.concatenate(others)
    values = np.concatenate([inside_all, outside_all])
    weights = np.concatenate(
        [np.full(len(inside_all), 1.0 / len(inside_all)), np.full(len(outside_all), -1.0 / len(outside_all))]
    )
    order = np.argsort(values)
    values, total = values[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    # the largest sum of neighbouring weights: the rise of the running total from its lowest point so far
    rise = total[1:] - np.minimum.accumulate(total[:-1])
    end = int(rise.argmax())
    begin = int(total[: end + 1].argmin())
    return float(values[begin]) - 1e-12, float(values[end]) + 1e-12


def _ratio(
    knowledge: Knowledge,
    candidates: DataSet,
    margin: NDArray[np.float64],
    trainer: Trainer,
    shadows: tuple[int, int | None],
    noise: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """How much likelier each margin is with the row trained on than without, in nats.

    `shadows` is how many models, and of how many rows.
    """
    count = len(candidates.labels)
    features = np.concatenate([candidates.features, knowledge.rows.features])
    labels = np.concatenate([candidates.labels, knowledge.rows.labels])
    rows = len(labels) // 2 if shadows[1] is None else min(shadows[1], len(labels) - 1)
    margins, inside = [], []
    for _ in range(shadows[0]):
        chosen = rng.permutation(len(labels)) < rows
        if _both(labels[chosen]):
            model = trainer(DataSet(features[chosen], labels[chosen]))
            margins.append(_of_shadow(model, candidates, knowledge.scores))
            inside.append(chosen[:count])
    if not margins:
        return np.full(count, np.nan)
    ratio = np.zeros(count)
    seen, trained = np.array(margins), np.array(inside)
    for side, sign in ((trained, 1.0), (~trained, -1.0)):
        number_in = np.maximum(side.sum(axis=0), 1)
        mean = np.where(side, seen, 0.0).sum(axis=0) / number_in
        variance = np.where(side, (seen - mean) ** 2, 0.0).sum(axis=0) / number_in
        # a few models tell a row's own variance badly; half of it is that of all rows together
        variance = 0.5 * variance + 0.5 * variance.mean() + noise**2 + 1e-6
        ratio += sign * (-0.5 * np.log(variance) - 0.5 * (margin - mean) ** 2 / variance)
    return ratio


@dataclass(frozen=True, eq=False)
class Memberships:
    """A guess for each candidate.

    Attributes:
        candidates: the rows.
        sureness: float64[n]; above 0 the row is guessed to be a member.
        asked: questions that it took.
    """

    candidates: DataSet
    sureness: NDArray[np.float64]
    asked: int

    def figures(self, truth: Truth) -> Mapping[str, float]:
        """`advantage`: share of members that are guessed to be members, less the share of others (Yeom et al.).

        0 for guesses that know nothing, 1 if all are right. NaN if there are no members or no others.
        """
        members = _among(self.candidates, truth.train)
        guessed = self.sureness > 0.0
        if not members.any() or members.all():
            hit = alarm = float("nan")
        else:
            hit, alarm = float(guessed[members].mean()), float(guessed[~members].mean())
        return {
            "advantage": hit - alarm,
            "true positives": hit,
            "false positives": alarm,
            "asked": float(self.asked),
        }


def _among(rows: DataSet, others: DataSet) -> NDArray[np.bool_]:
    """Which rows stand, features and label, in another set."""
    known = {
        (*row, label) for row, label in zip(others.features.tolist(), others.labels.tolist(), strict=True)
    }
    return np.array(
        [
            (*row, label) in known
            for row, label in zip(rows.features.tolist(), rows.labels.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )
