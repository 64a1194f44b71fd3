"""BB84 with weak pulses of one intensity: no decoys, so that all pulses of several photons must be taken for Eve's."""

from __future__ import annotations

import dataclasses

import numpy as np

from netsim.key_length.finite_key import KeyLength
from netsim.key_length.tagging import tagged
from netsim.photonics.light import poisson_numbers
from netsim.protocols.bb84 import BB84
from netsim.protocols.estimate import Estimate
from netsim.protocols.protocol import Kept, Security


@dataclasses.dataclass(frozen=True)
class WeakBB84(BB84):
    """As BB84, at a mean photon number.

    Attributes:
        mean_photons: of every pulse.
        fluctuation: its relative standard deviation.
        block_pulses: sent in a block.
        test_fraction: share of the sifted bits revealed.
        counted: whether pulses of several photons are taken for Eve's; if not, the key length is that of single photons, which is
            false, and whoever splits photons holds key.
    """

    mean_photons: float = 0.1
    fluctuation: float = 0.0
    block_pulses: int = 0
    test_fraction: float = 0.0
    counted: bool = True

    @property
    def proof(self) -> str:
        """Which security proof the key length rests on."""
        if not self.counted:
            return f"none: that of single photons ({super().proof}), which this source does not emit"
        return (
            "finite key, every pulse of several photons counted as Eve's (Gottesman, Lo, Lütkenhaus, Preskill 2004; Inamori, "
            "Lütkenhaus, Mayers 2007), at the observed error rate; trusted source of phase-randomised pulses"
        )

    def key_length(
        self, kept: Kept, estimate: Estimate, disclosed_parities: int, tag_bits: int, security: Security
    ) -> KeyLength:
        """By `tagged`, or as if there were single photons only."""
        if not self.counted:
            return super().key_length(kept, estimate, disclosed_parities, tag_bits, security)
        several = self.block_pulses * float(poisson_numbers(self.mean_photons, self.fluctuation)[2:].sum())
        chosen = self.alice_choice.probabilities * self.bob_choice.probabilities
        if self.key_basis is None:
            sifted, errors, tested = float(np.sum(chosen)), estimate.errors, estimate.tested
            key_share, test_share = sifted * (1.0 - self.test_fraction), sifted * self.test_fraction
        else:
            errors, tested = estimate.bases[1].errors, estimate.bases[1].tested
            key_share, test_share = float(chosen[0]) * (1.0 - self.test_fraction), float(chosen[1])
        return tagged(
            n=len(kept.settings),
            k=tested,
            test_errors=errors,
            key_chances=several * key_share,
            test_chances=several * test_share,
            leak_ec_bits=disclosed_parities,
            eps_sec=security.eps_sec,
            eps_cor=security.eps_cor,
            tag_bits=tag_bits,
        )
