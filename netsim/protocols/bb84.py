"""BB84 (Bennett, Brassard 1984) with single photons, and its efficient form with one basis for key (Lo, Chau, Ardehali 2005)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.finite_key import KeyLength, tomamichel_2012
from netsim.photonics.train import Choice
from netsim.protocols.estimate import BasisErrors, Estimate
from netsim.protocols.protocol import Kept, Protocol, Revealed, Security
from netsim.rows import positions, tally

BASES = ("Z", "X")


@dataclasses.dataclass(frozen=True)
class BB84(Protocol):
    """Settings 0 and 1 are the bases Z and X.

    Attributes:
        key_basis: probability with which both choose Z, which then makes all the key while X is revealed; None uses both alike.
    """

    key_basis: float | None = None

    name: ClassVar[str] = "bb84"
    alice_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 2], dtype=np.uint8)
    bob_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 2], dtype=np.uint8)
    bases: ClassVar[tuple[str, ...]] = BASES
    entangled: ClassVar[bool] = False

    @property
    def proof(self) -> str:
        """Which security proof the key length rests on."""
        bases = "both bases pooled (Tomamichel, Leverrier 2017)" if self.key_basis is None else "key from Z"
        return (
            "finite key against coherent attacks, entropic uncertainty (Tomamichel, Lim, Gisin, Renner 2012), "
            f"{bases}, at the observed error rate; trusted devices, single photons"
        )

    @property
    def alice_choice(self) -> Choice:
        """Z with probability `key_basis`, or either alike."""
        return biased(self.alice_angles, self.key_basis)

    @property
    def bob_choice(self) -> Choice:
        """As Alice's."""
        return biased(self.bob_angles, self.key_basis)

    def reveal(
        self, alice: NDArray[np.uint8], bob: NDArray[np.uint8], test_fraction: float, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """A random sample of what makes key; with a key basis, all of the other one."""
        if self.key_basis is None:
            return super().reveal(alice, bob, test_fraction, rng)
        return reveal_test_basis(alice, bob, test_fraction, rng)

    def estimate(self, revealed: Revealed) -> Estimate:
        """Errors in each basis."""
        bases = errors_by_basis(revealed, BASES)
        return Estimate(bases, key_errors=None if self.key_basis is None else bases[0])

    def key_length(
        self, kept: Kept, estimate: Estimate, disclosed_parities: int, tag_bits: int, security: Security
    ) -> KeyLength:
        """Tomamichel et al. 2012: n key bits, k test bits.

        With a key basis k are the bits of the other one, as in the theorem. With both alike they are pooled, which is sound because
        the basis of each round is chosen at random and independently of all else, so that the tested rounds of one basis
        sample the other basis's phase errors (Tomamichel, Leverrier 2017, Quantum 1, 14); h is concave, so the pooled rate never
        promises more than the two rates apart. The bound is evaluated at the observed error rate, not at a tolerance fixed
        beforehand: a key of variable length (Tupkary, Tan, Lütkenhaus 2024).
        """
        errors, tested = estimate.errors, estimate.tested
        if self.key_basis is not None:
            errors, tested = estimate.bases[1].errors, estimate.bases[1].tested
        return tomamichel_2012(
            n=len(kept.settings),
            k=tested,
            qber=errors / tested if tested else 0.0,
            leak_ec_bits=disclosed_parities,
            eps_sec=security.eps_sec,
            eps_cor=security.eps_cor,
            tag_bits=tag_bits,
        )


def biased(angles: NDArray[np.uint8], key_basis: float | None) -> Choice:
    """Two settings, the first with a given probability; None is one half."""
    if key_basis is None:
        return Choice.uniform(angles)
    return Choice(angles, np.array([key_basis, 1.0 - key_basis]))


def reveal_test_basis(
    alice: NDArray[np.uint8], bob: NDArray[np.uint8], test_fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """All rounds in which both chose setting 1, and a random sample of those in which both chose 0."""
    revealed: NDArray[np.bool_] = (alice == 1) & (bob == 1)
    candidates = positions((alice == 0) & (bob == 0))
    sample = rng.choice(candidates, round(test_fraction * len(candidates)), replace=False, shuffle=False)
    revealed[sample] = True
    return revealed


def errors_by_basis(revealed: Revealed, names: Sequence[str]) -> tuple[BasisErrors, ...]:
    """The test of each basis: setting 0 has the first name."""
    tested = tally(revealed.alice, len(names))
    wrong = tally(revealed.alice[revealed.alice_outcomes != revealed.bob_outcomes], len(names))
    return tuple(BasisErrors(name, int(wrong[i]), int(tested[i])) for i, name in enumerate(names))
