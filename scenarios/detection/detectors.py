"""The detectors: each learns from the same blocks and gives a block a score; the threshold is set for all in the same way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nodes.qml.classical import LogisticRegression, RadialSVM
from nodes.qml.datasets import DataSet
from nodes.qml.density import Noise
from nodes.qml.machine import Machine
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.vqc import VariationalClassifier
from scenarios.detection.features import Observation

Kind = Literal["rule", "classical", "quantum"]
Score = Callable[[Observation], NDArray[np.float64]]
"""Scores float64[n] of n blocks; greater is more suspicious."""

NOISE = Noise(p1=0.02, p2=0.02)
"""Of the VQC's device: seeds/000 has 2 % depolarising after each gate."""


@dataclass(frozen=True)
class Detector:
    """A detector that judges block by block.

    Attributes:
        name: of it.
        kind: a rule (nothing to learn), a classical or a quantum model.
        inputs: a key of `features.INPUTS`; empty for a rule.
        trained: makes the score from training blocks, float64[n, d] in [0, 1] with their labels where it learns.
    """

    name: str
    kind: Kind
    inputs: str
    trained: Callable[[Observation, np.random.Generator], Score]


def _learned(
    kind: Kind, inputs: str, model: Callable[[np.random.Generator], Machine | QuantumSVM], name: str
) -> Detector:
    def trained(train: Observation, rng: np.random.Generator) -> Score:
        data = DataSet(train.scaled(inputs), train.attacked.astype(np.int64))
        fitted = model(rng).fit(data)
        return lambda blocks: fitted.decide(blocks.scaled(inputs))

    return Detector(name, kind, inputs, trained)


_MODELS: tuple[tuple[str, Kind, Callable[[np.random.Generator], Machine | QuantumSVM]], ...] = (
    ("logistic", "classical", lambda rng: LogisticRegression()),  # noqa: ARG005  it needs no randomness
    ("rbf-svm", "classical", lambda rng: RadialSVM()),  # noqa: ARG005  likewise
    ("qsvm", "quantum", lambda rng: QuantumSVM()),  # noqa: ARG005  likewise
    ("vqc", "quantum", lambda rng: VariationalClassifier(rng, noise=NOISE)),
)

DETECTORS = (
    Detector("qber threshold", "rule", "", lambda train, rng: lambda blocks: blocks.qber),  # noqa: ARG005  a rule learns nothing
    Detector("qber rise", "rule", "", lambda train, rng: lambda blocks: blocks.qber_deviation),  # noqa: ARG005  likewise
    *(_learned(kind, inputs, model, name) for inputs in ("two", "five") for name, kind, model in _MODELS),
)
"""The threshold of Algorithm 1 on a block's QBER, the same against the link's own calibration, and models on two or five inputs."""


def threshold(honest: NDArray[np.float64], alpha: float) -> float:
    """The score above which a block is flagged, from scores float64[n] of honest blocks.

    The ⌈(n + 1)(1 − α)⌉-th smallest: a further block of the same law exceeds it with a probability of at most α, whatever the law
    (Vovk, Gammerman, Shafer 2005: conformal prediction).

    Raises:
        ValueError: too few blocks for this α.
    """
    rank = math.ceil((len(honest) + 1) * (1.0 - alpha))
    if rank > len(honest):
        raise ValueError(
            f"{len(honest)} honest blocks for a false-alarm rate of {alpha}; expected at least {math.ceil(1 / alpha) - 1}"
        )
    return float(np.sort(honest)[rank - 1])


def area_under_curve(honest: NDArray[np.float64], attacked: NDArray[np.float64]) -> float:
    """How often an attacked block scores above an honest one, ties counted half (Mann, Whitney 1947)."""
    order = np.sort(honest)
    below = np.searchsorted(order, attacked, side="left")
    up_to = np.searchsorted(order, attacked, side="right")
    return float(np.mean((below + up_to) / 2) / len(honest))
