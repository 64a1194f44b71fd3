"""MDI-QKD (Lo, Curty, Qi 2012): both send, and a relay that nobody trusts says between which of their pulses a Bell measurement succeeded."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.finite_key import KeyLength, tomamichel_2012
from netsim.key_length.mdi import mdi_decoy
from netsim.photonics.bell import PSI_MINUS
from netsim.photonics.train import Choice
from netsim.protocols.bb84 import BASES, biased, errors_by_basis, reveal_test_basis
from netsim.protocols.decoy import NAMES
from netsim.protocols.estimate import BasisErrors, Estimate, IntensityErrors
from netsim.protocols.protocol import Kept, Protocol, Revealed, Security
from netsim.rows import tally


@dataclasses.dataclass(frozen=True)
class MDI(Protocol):
    """Settings 0 and 1 are the bases Z and X, at both ends; Z makes the key, X is revealed.

    Intensities are pairs, Alice's first: "signal decoy" is her signal with his decoy.

    Attributes:
        mean_photons: of each intensity, falling, two or three of them, the same for both; empty where both send single photons.
        probabilities: how often either sends each.
        key_basis: probability with which either chooses Z.
    """

    mean_photons: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    key_basis: float = 0.9

    alice_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 2], dtype=np.uint8)
    bob_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 2], dtype=np.uint8)
    bases: ClassVar[tuple[str, ...]] = BASES
    entangled: ClassVar[bool] = False
    name: ClassVar[str] = "mdi"

    def __post_init__(self) -> None:
        """Check that the intensities can be bounded."""
        if len(self.mean_photons) == 1 or len(self.mean_photons) != len(self.probabilities):
            raise ValueError(
                f"expected two or three intensities, or none, and as many probabilities, got {self.mean_photons} and {self.probabilities}"
            )

    @property
    def proof(self) -> str:
        """Which security proof the key length rests on."""
        if not self.mean_photons:
            return (
                "finite key against coherent attacks, entropic uncertainty (Tomamichel, Lim, Gisin, Renner 2012) on the virtual pairs "
                "that the relay swaps (Lo, Curty, Qi 2012), at the observed error rate; trusted sources of single photons, no "
                "detector trusted"
            )
        return (
            "finite key against coherent attacks, decoys on both sides (Lo, Curty, Qi 2012; Curty et al. 2014; photon numbers bounded "
            "by a linear programme), at the observed counts; trusted sources of phase-randomised pulses, no detector trusted"
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
        """Pairs of names, Alice's changing first."""
        if not self.mean_photons:
            return ("",)
        names = NAMES[: len(self.mean_photons)]
        return tuple(f"{hers} {his}" for his in names for hers in names)

    @property
    def bob_intensities(self) -> int:
        """As many as Alice."""
        return max(1, len(self.mean_photons))

    @property
    def counts_corrections(self) -> bool:
        """Two intensities, with no vacuum among them, bound the empty pulses by the errors they make."""
        return len(self.mean_photons) == 2

    @staticmethod
    def flips(settings: NDArray[np.uint8], states: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Where Bob turns his bit over: in Z always, in X for ψ−, in which either basis finds the two unequal.

        Args:
            settings: uint8[m], his.
            states: uint8[m], the announced Bell states.

        Returns:
            uint8[m] of 0 and 1.
        """
        flipped: NDArray[np.bool_] = (settings == 0) | (states == PSI_MINUS)
        return flipped.astype(np.uint8)

    def reveal(
        self, alice: NDArray[np.uint8], bob: NDArray[np.uint8], test_fraction: float, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """All of X, and a random sample of Z, which tells reconciliation what to expect."""
        return reveal_test_basis(alice, bob, test_fraction, rng)

    def estimate(self, revealed: Revealed) -> Estimate:
        """Errors in each basis at each pair of intensities.

        Weak pulses are judged by Z alone, at both signals: in X a quarter of their events are errors even of a perfect relay, as two
        photons from one side interfere with none from the other. What X has to say goes into the key length.
        """
        if not self.mean_photons:
            bases = errors_by_basis(revealed, BASES)
            return Estimate(bases, key_errors=bases[0])
        pairs = self.intensities
        cell = revealed.alice * np.uint8(len(pairs)) + revealed.intensities
        tested = tally(cell, 2 * len(pairs)).tolist()
        wrong = tally(cell[revealed.alice_outcomes != revealed.bob_outcomes], 2 * len(pairs)).tolist()
        intensities = tuple(
            IntensityErrors(basis, pair, wrong[b * len(pairs) + k], tested[b * len(pairs) + k])
            for b, basis in enumerate(BASES)
            for k, pair in enumerate(pairs)
        )
        key = intensities[: len(pairs)]
        return Estimate(
            (BasisErrors("Z", key[0].errors, key[0].tested),),
            intensities=intensities,
            key_errors=BasisErrors("Z", sum(c.errors for c in key), sum(c.tested for c in key)),
        )

    def key_length(
        self, kept: Kept, estimate: Estimate, disclosed_parities: int, tag_bits: int, security: Security
    ) -> KeyLength:
        """By `mdi_decoy`; of single photons as BB84 with a key basis, whose X tells of the phase errors in Z."""
        if not self.mean_photons:
            test = estimate.bases[1]
            return tomamichel_2012(
                n=len(kept.settings),
                k=test.tested,
                qber=test.qber or 0.0,
                leak_ec_bits=disclosed_parities,
                eps_sec=security.eps_sec,
                eps_cor=security.eps_cor,
                tag_bits=tag_bits,
            )
        test_cells = estimate.intensities[len(self.intensities) :]
        return mdi_decoy(
            key_detections=self._table(tally(kept.intensities, len(self.intensities))),
            test_detections=self._table(np.array([cell.tested for cell in test_cells])),
            test_errors=self._table(np.array([cell.errors for cell in test_cells])),
            intensities_a=self.mean_photons,
            intensities_b=self.mean_photons,
            probabilities_a=self.probabilities,
            probabilities_b=self.probabilities,
            leak_ec_bits=disclosed_parities,
            eps_sec=security.eps_sec,
            eps_cor=security.eps_cor,
            tag_bits=tag_bits,
            key_errors=self._table(kept.errors) if self.counts_corrections else None,
        )

    def _table(self, counts: NDArray[np.int64]) -> list[list[float]]:
        """Counts by pair of intensities as a table: a row for each of Alice's."""
        kinds = len(self.mean_photons)
        table: list[list[float]] = counts.astype(np.float64).reshape(kinds, kinds).T.tolist()
        return table
