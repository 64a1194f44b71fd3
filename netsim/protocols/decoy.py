"""Decoy-state BB84 (Hwang 2003; Lo, Ma, Chen 2005; Wang 2005): weak pulses of several intensities, key from Z, errors from X."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.decoy import lim_2014, wiesemann_2024
from netsim.key_length.finite_key import KeyLength
from netsim.photonics.train import Choice
from netsim.protocols.bb84 import BASES, biased, reveal_test_basis
from netsim.protocols.estimate import BasisErrors, Estimate, IntensityErrors
from netsim.protocols.protocol import Kept, Protocol, Revealed, Security
from netsim.rows import tally

NAMES = ("signal", "decoy", "vacuum")


@dataclasses.dataclass(frozen=True)
class DecoyBB84(Protocol):
    """Settings 0 and 1 are the bases Z and X; intensities 0, 1 and perhaps 2 are the signal and the decoys, falling.

    Attributes:
        mean_photons: of each intensity, two or three of them.
        probabilities: how often Alice sends each.
        key_basis: probability with which both choose Z.
        fluctuation: relative standard deviation of the mean photon numbers, which the bounds do not charge.
    """

    mean_photons: tuple[float, ...]
    probabilities: tuple[float, ...]
    key_basis: float = 0.9
    fluctuation: float = 0.0

    alice_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 2], dtype=np.uint8)
    bob_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 2], dtype=np.uint8)
    bases: ClassVar[tuple[str, ...]] = BASES
    entangled: ClassVar[bool] = False
    name: ClassVar[str] = "decoy-bb84"

    @property
    def proof(self) -> str:
        """Which security proof the key length rests on."""
        bound = (
            "two decoys (Lim, Curty, Walenta, Xu, Zbinden 2014)"
            if len(self.mean_photons) == 3
            else "one decoy (Wiesemann et al. 2024)"
        )
        uncharged = (
            f"; at the mean intensities: their fluctuation of {100 * self.fluctuation:g} % is not charged"
            if self.fluctuation
            else ""
        )
        return (
            f"finite key against coherent attacks, {bound}, at the observed counts; trusted source of phase-randomised pulses, "
            f"detection that does not depend on the basis{uncharged}"
        )

    @property
    def alice_choice(self) -> Choice:
        """Z with probability `key_basis`."""
        return biased(self.alice_angles, self.key_basis)

    @property
    def bob_choice(self) -> Choice:
        """As Alice's."""
        return biased(self.bob_angles, self.key_basis)

    @property
    def intensities(self) -> tuple[str, ...]:
        """Signal, decoy, vacuum."""
        return NAMES[: len(self.mean_photons)]

    @property
    def counts_corrections(self) -> bool:
        """One decoy, and no vacuum, bounds the empty pulses by the errors they make."""
        return len(self.mean_photons) == 2

    def reveal(
        self, alice: NDArray[np.uint8], bob: NDArray[np.uint8], test_fraction: float, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """All of X, and a random sample of Z, which tells reconciliation what to expect."""
        return reveal_test_basis(alice, bob, test_fraction, rng)

    def estimate(self, revealed: Revealed) -> Estimate:
        """Errors in each basis at each intensity; a basis is judged by its signal pulses."""
        kinds = len(self.mean_photons)
        cell = revealed.alice * np.uint8(kinds) + revealed.intensities
        tested = tally(cell, 2 * kinds)
        wrong = tally(cell[revealed.alice_outcomes != revealed.bob_outcomes], 2 * kinds)
        intensities = tuple(
            IntensityErrors(basis, name, int(wrong[b * kinds + k]), int(tested[b * kinds + k]))
            for b, basis in enumerate(BASES)
            for k, name in enumerate(self.intensities)
        )
        signals = tuple(BasisErrors(i.basis, i.errors, i.tested) for i in intensities[::kinds])
        key_errors = BasisErrors("Z", int(wrong[:kinds].sum()), int(tested[:kinds].sum()))
        return Estimate(signals, intensities=intensities, key_errors=key_errors)

    def key_length(
        self, kept: Kept, estimate: Estimate, disclosed_parities: int, tag_bits: int, security: Security
    ) -> KeyLength:
        """By the bound for so many intensities; see netsim.key_length.decoy."""
        kinds = len(self.mean_photons)
        test = estimate.intensities[kinds:]
        common = {
            "key_detections": tally(kept.intensities, kinds).tolist(),
            "test_detections": [cell.tested for cell in test],
            "test_errors": [cell.errors for cell in test],
            "intensities": self.mean_photons,
            "probabilities": self.probabilities,
            "leak_ec_bits": disclosed_parities,
            "eps_sec": security.eps_sec,
            "eps_cor": security.eps_cor,
            "tag_bits": tag_bits,
        }
        if self.counts_corrections:
            return wiesemann_2024(key_errors=kept.errors.tolist(), **common)
        return lim_2014(**common)
