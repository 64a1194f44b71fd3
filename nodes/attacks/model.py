"""Attacks on the model behind the link."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from nodes.attacks.action import Action, parameter


@dataclasses.dataclass(frozen=True)
class FlipLabels(Action):
    """Poison the training set before the server trains: flip labels."""

    id: ClassVar[str] = "model.flip_labels"
    family: ClassVar[str] = "model"
    sign: ClassVar[str] = "accuracy falls: hardly under random flips, far under targeted ones"
    gets: ClassVar[str] = "wrong answers for others"
    source: ClassVar[str] = "Biggio, Nelson, Laskov 2011"

    fraction: float = parameter(
        0.2, "fraction", "share of the training labels flipped", minimum=0.0, maximum=1.0
    )
    how: Literal["random", "targeted"] = parameter(
        "random", "choice", "which labels are flipped", choices=("random", "targeted")
    )
