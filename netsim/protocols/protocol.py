"""What BB84 and E91 have in common, so that Alice and Bob read the same for both."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.finite_key import KeyLength
from netsim.protocols.estimate import Estimate


@dataclasses.dataclass(frozen=True)
class Security:
    """How secret and how correct the key of one block is to be.

    Attributes:
        eps_sec: secrecy parameter, per block.
        eps_cor: correctness parameter, per block.
    """

    eps_sec: float = 1e-10
    eps_cor: float = 1e-10


@dataclasses.dataclass(frozen=True)
class AbortThresholds:
    """When a block is given up; None means never.

    Attributes:
        qber: highest error rate, in each basis.
        chsh: lowest S.
    """

    qber: float | None = 0.11
    chsh: float | None = 2.0


@dataclasses.dataclass(frozen=True)
class Record:
    """One party's side of a block, slot by slot.

    Attributes:
        settings: uint8[n], the index of the setting used.
        outcomes: uint8[n], 0 or 1; meaningless where nothing was registered.
        clicked: bool[n], where there is an outcome.
    """

    settings: NDArray[np.uint8]
    outcomes: NDArray[np.uint8]
    clicked: NDArray[np.bool_]


class Protocol(abc.ABC):
    """A QKD protocol's choices and arithmetic.

    Class attributes:
        name: as in a scenario.
        alice_angles: uint8[k], the angle (see netsim.photonics.train) of each of Alice's settings.
        bob_angles: likewise for Bob.
        entangled: whether pairs are measured at both ends.
    """

    name: ClassVar[str]
    alice_angles: ClassVar[NDArray[np.uint8]]
    bob_angles: ClassVar[NDArray[np.uint8]]
    entangled: ClassVar[bool]

    @property
    @abc.abstractmethod
    def proof(self) -> str:
        """Which security proof the key length rests on, in a sentence."""

    @property
    def keeps_lost(self) -> bool:
        """Whether a slot without a click counts, as outcome 0."""
        return False

    def alice_settings(self, count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Uniform choice of setting for each slot."""
        return rng.integers(0, len(self.alice_angles), count, dtype=np.uint8)

    def bob_settings(self, count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Uniform choice of setting for each slot."""
        return rng.integers(0, len(self.bob_angles), count, dtype=np.uint8)

    def key_rounds(self, alice: NDArray[np.uint8], bob: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Where the two measured along the same angle. Settings uint8[m] each → bool[m]."""
        same: NDArray[np.bool_] = self.alice_angles[alice] == self.bob_angles[bob]
        return same

    def reveal(
        self, alice: NDArray[np.uint8], bob: NDArray[np.uint8], test_fraction: float, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Which outcomes to give away: a random sample, of fixed size, of the key rounds, and all that make no key.

        BB84 discards what makes no key without revealing it.
        """
        key_rounds = self.key_rounds(alice, bob)
        candidates = np.flatnonzero(key_rounds)
        sample = rng.choice(candidates, round(test_fraction * len(candidates)), replace=False, shuffle=False)
        revealed = np.zeros(len(alice), dtype=np.bool_) if not self.entangled else ~key_rounds
        revealed[sample] = True
        return revealed

    @abc.abstractmethod
    def estimate(
        self,
        alice: NDArray[np.uint8],
        bob: NDArray[np.uint8],
        alice_outcomes: NDArray[np.uint8],
        bob_outcomes: NDArray[np.uint8],
    ) -> Estimate:
        """Compare revealed rounds. All arguments uint8[r]."""

    @abc.abstractmethod
    def key_length(
        self,
        key_settings: NDArray[np.uint8],
        estimate: Estimate,
        disclosed_parities: int,
        tag_bits: int,
        security: Security,
    ) -> KeyLength:
        """Length of the secret key.

        Args:
            key_settings: uint8[n], Alice's setting of each bit of the reconciled key.
            estimate: from the revealed rounds.
            disclosed_parities: bits that reconciliation gave away.
            tag_bits: length of the verification tag.
            security: ε of the block.
        """

    def reason_to_abort(self, estimate: Estimate, thresholds: AbortThresholds) -> str | None:
        """Why the block must be given up, if it must."""
        if not all(b.tested for b in estimate.bases):  # an untested basis is not one without errors
            return "no_detections"
        if thresholds.qber is not None and any((b.qber or 0.0) > thresholds.qber for b in estimate.bases):
            return "qber"
        if self.entangled and thresholds.chsh is not None:
            chsh = estimate.chsh
            if chsh is None:
                return "no_detections"
            if chsh[0] < thresholds.chsh:
                return "chsh"
        return None
