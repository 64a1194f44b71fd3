"""An attack and a defence against each other, over many seeds: what the defence gains, and what it costs honest users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcome:
    """One bout, on one seed: the same data with and without the attack and the defence.

    Attributes:
        harm: what the attack does, undefended; greater is worse. NaN where it cannot be told.
        harm_defended: what is left of it with the defence on.
        benign: what honest users get without attack and defence: accuracy on clean test rows, unless the duel says otherwise.
        benign_defended: the same with the defence on and nobody attacking.
    """

    harm: float
    harm_defended: float
    benign: float
    benign_defended: float


@dataclass(frozen=True)
class Duel:
    """An attack, a defence, and how one bout between them goes.

    Attributes:
        attack: id of the action.
        defence: name of the defence; "none" for an attack alone.
        harm: what harm means here, and in what unit, in a few words.
        bout: one bout with its own randomness.
        notes: parameters and what to know, one line.
    """

    attack: str
    defence: str
    harm: str
    bout: Callable[[np.random.Generator], Outcome]
    notes: str = ""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % confidence interval (Student's t).

    Attributes:
        mean: over the bouts.
        low: of the interval.
        high: of the interval.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Estimate:
        """Of float64[n], n at least 2; bouts that are NaN are left out."""
        kept = values[~np.isnan(values)]
        if len(kept) < 2:
            return cls(float("nan"), float("nan"), float("nan"))
        from scipy.stats import t  # noqa: PLC0415  a second that only measuring needs

        mean = float(np.mean(kept))
        half = float(t.ppf(0.975, len(kept) - 1) * np.std(kept, ddof=1) / np.sqrt(len(kept)))
        return cls(mean, mean - half, mean + half)


@dataclass(frozen=True)
class Record:
    """What a duel came to.

    Attributes:
        duel: which.
        bouts: how many.
        harm: undefended.
        harm_defended: with the defence.
        benefit: harm - harm_defended, seed by seed.
        cost: benign - benign_defended, seed by seed.
    """

    duel: Duel
    bouts: int
    harm: Estimate
    harm_defended: Estimate
    benefit: Estimate
    cost: Estimate


def fought(duel: Duel, generators: Sequence[np.random.Generator]) -> Record:
    """Fight a duel once with each generator; attack and defence meet the same data, so that differences are paired.

    Raises:
        ValueError: fewer than two generators: no interval could be given.
    """
    if len(generators) < 2:
        raise ValueError(f"{len(generators)} bouts; expected at least 2, for a confidence interval")
    bouts = [duel.bout(rng) for rng in generators]
    harm, defended, benign, dulled = (
        np.array([getattr(bout, name) for bout in bouts])
        for name in ("harm", "harm_defended", "benign", "benign_defended")
    )
    return Record(
        duel,
        len(bouts),
        Estimate.of(harm),
        Estimate.of(defended),
        Estimate.of(harm - defended),
        Estimate.of(benign - dulled),
    )
