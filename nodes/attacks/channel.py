"""Attacks on the light itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.train import Train
from netsim.random_streams import random_bits
from nodes.attacks.action import Action, parameter

if TYPE_CHECKING:
    from nodes.eve import Eve

_ANGLES = {"z": 0, "x": 2, "breidbart": 1}


@dataclasses.dataclass(frozen=True)
class InterceptResend(Action):
    """Measure a fraction of the pulses and send on what was found."""

    id: ClassVar[str] = "eve.intercept_resend"
    family: ClassVar[str] = "channel"
    sign: ClassVar[str] = (
        "random basis: QBER = [1-(1-2Q0)(1-p/2)]/2; z or x: error p/2 in the other basis only; breidbart: p/4 in both; "
        "E91: S = 2√2(1-2Q0)(1-p/2) whatever the basis, errors at 22.5° and 45°: p/4 and p/4 (random), p/4 and p/2 (z), "
        "p/4 and 0 (x), 0 and p/4 (breidbart, which is 22.5°)"
    )
    gets: ClassVar[str] = (
        "random, z or x: p/2 of the sifted bits, for sure; breidbart: each guess right at 0.854; "
        "E91: sure of bits at her own angle, right at 0.854 one setting (22.5°) away, a coin's toss at two"
    )
    source: ClassVar[str] = "Bennett, Bessette, Brassard, Salvail, Smolin 1992"
    defences: ClassVar[tuple[str, ...]] = ("abort_above_qber", "abort_below_chsh", "privacy amplification")

    fraction: float = parameter(
        1.0, "fraction", "share of the pulses that are measured", minimum=0.0, maximum=1.0
    )
    basis: Literal["random", "z", "x", "breidbart"] = parameter(
        "random", "choice", "the basis she measures in", choices=("random", "z", "x", "breidbart")
    )

    def on_photons(self, eve: Eve, train: Train, where: slice, receiver: str) -> None:  # noqa: ARG002  the hook's
        """Measure some pulses; what she found goes on in their place."""
        count = where.stop - where.start
        chosen = None if self.fraction >= 1.0 else eve.random("choice").random(count) < self.fraction
        settings = self._settings(count, eve.random("settings"))
        outcomes = train.measure(where, settings, eve.random("outcomes"), chosen)
        eve.notebook.measured(train.block, where, settings, outcomes)

    def _settings(self, count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        if self.basis == "random":
            return random_bits(count, rng) * np.uint8(2)
        return np.full(count, _ANGLES[self.basis], dtype=np.uint8)
