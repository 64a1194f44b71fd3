"""What all protocols have in common, so that Alice and Bob read the same for each."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.finite_key import KeyLength
from netsim.photonics.light import OPPOSITE
from netsim.photonics.train import Choice
from netsim.protocols.estimate import Estimate
from netsim.rows import positions


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
        alarm: whether a standing alarm of the telemetry is a reason too.
    """

    qber: float | None = 0.11
    chsh: float | None = 2.0
    alarm: bool = False


@dataclasses.dataclass(frozen=True)
class Revealed:
    """Rounds that both sides gave away. All uint8[r].

    Attributes:
        alice: her settings.
        bob: his.
        alice_outcomes: hers.
        bob_outcomes: his.
        intensities: what was sent: Alice's index, plus the number of hers times Bob's where he sends too.
    """

    alice: NDArray[np.uint8]
    bob: NDArray[np.uint8]
    alice_outcomes: NDArray[np.uint8]
    bob_outcomes: NDArray[np.uint8]
    intensities: NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Kept:
    """Rounds that make key. Both uint8[n].

    Attributes:
        settings: Alice's.
        intensities: as in Revealed.
        errors: int64[intensities], how many reconciliation found at each; empty where the protocol does not ask.
    """

    settings: NDArray[np.uint8]
    intensities: NDArray[np.uint8]
    errors: NDArray[np.int64] = dataclasses.field(default_factory=lambda: np.empty(0, dtype=np.int64))


class Protocol(abc.ABC):
    """A QKD protocol's choices and arithmetic.

    Class attributes:
        name: as in a scenario.
        alice_angles: uint8[k], the state (see netsim.photonics.light) of outcome 0 of each of Alice's settings.
        bob_angles: likewise for Bob.
        bases: names of what the error rate is tested in.
        entangled: whether pairs are measured at both ends.
        witnesses: whether rounds that make no key are revealed, for CHSH.
    """

    name: ClassVar[str]
    alice_angles: ClassVar[NDArray[np.uint8]]
    bob_angles: ClassVar[NDArray[np.uint8]]
    bases: ClassVar[tuple[str, ...]]
    entangled: ClassVar[bool]
    witnesses: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def proof(self) -> str:
        """Which security proof the key length rests on, in a sentence."""

    @property
    def states(self) -> NDArray[np.uint8]:
        """uint8[settings, 2], the state of each of Alice's settings and bits."""
        return np.stack([self.alice_angles, OPPOSITE[self.alice_angles]], axis=1)

    @property
    def alice_choice(self) -> Choice:
        """How Alice chooses her settings: each as often as the others, unless the protocol says otherwise."""
        return Choice.uniform(self.alice_angles)

    @property
    def bob_choice(self) -> Choice:
        """How Bob chooses his."""
        return Choice.uniform(self.bob_angles)

    @property
    def intensities(self) -> tuple[str, ...]:
        """Names of the intensities that are told apart, or of the pairs of them where Bob sends too; one without decoys."""
        return ("",)

    @property
    def bob_intensities(self) -> int:
        """How many intensities of Bob's are told apart; 1 where he does not send."""
        return 1

    @property
    def alice_intensities(self) -> int:
        """How many of Alice's."""
        return len(self.intensities) // self.bob_intensities

    def sent(self, alice: NDArray[np.uint8], bob: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Indices into `intensities` from what either sent, an empty array where there is one only. uint8[m] each, but for those."""
        alice, bob = (
            side if len(side) else np.zeros_like(other) for side, other in ((alice, bob), (bob, alice))
        )
        return alice + np.uint8(self.alice_intensities) * bob

    @property
    def counts_corrections(self) -> bool:
        """Whether the key length needs the errors of the key itself, by intensity."""
        return False

    @property
    def keeps_lost(self) -> bool:
        """Whether a slot without a click counts, as outcome 0."""
        return False

    def key_rounds(self, alice: NDArray[np.uint8], bob: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Where the two measured along the same angle. Settings uint8[m] each → bool[m]."""
        alike = np.array_equal(self.alice_angles, self.bob_angles)
        same: NDArray[np.bool_] = alice == bob if alike else self.alice_angles[alice] == self.bob_angles[bob]
        return same

    def reveal(
        self, alice: NDArray[np.uint8], bob: NDArray[np.uint8], test_fraction: float, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Which outcomes to give away: a random sample, of fixed size, of the key rounds, and all others if they bear witness to CHSH."""
        key_rounds = self.key_rounds(alice, bob)
        candidates = positions(key_rounds)
        sample = rng.choice(candidates, round(test_fraction * len(candidates)), replace=False, shuffle=False)
        revealed = ~key_rounds if self.witnesses else np.zeros(len(alice), dtype=np.bool_)
        revealed[sample] = True
        return revealed

    @abc.abstractmethod
    def estimate(self, revealed: Revealed) -> Estimate:
        """Compare revealed rounds."""

    @abc.abstractmethod
    def key_length(
        self, kept: Kept, estimate: Estimate, disclosed_parities: int, tag_bits: int, security: Security
    ) -> KeyLength:
        """Length of the secret key.

        Args:
            kept: the rounds of the reconciled key.
            estimate: from the revealed rounds.
            disclosed_parities: bits that reconciliation gave away, counts of errors included.
            tag_bits: length of the verification tag.
            security: ε of the block.
        """

    def reason_to_abort(self, estimate: Estimate, thresholds: AbortThresholds) -> str | None:
        """Why the block must be given up, if it must."""
        if not all(b.tested for b in estimate.bases):  # an untested basis is not one without errors
            return "no_detections"
        if thresholds.qber is not None and any((b.qber or 0.0) > thresholds.qber for b in estimate.bases):
            return "qber"
        if self.witnesses and thresholds.chsh is not None:
            chsh = estimate.chsh
            if chsh is None:
                return "no_detections"
            if chsh[0] < thresholds.chsh:
                return "chsh"
        return None
