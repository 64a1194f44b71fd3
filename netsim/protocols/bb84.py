"""BB84 with single photons (Bennett, Brassard 1984), both bases used alike."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.finite_key import KeyLength, tomamichel_2012
from netsim.protocols.estimate import BasisErrors, Estimate
from netsim.protocols.protocol import Protocol, Security


class BB84(Protocol):
    """Settings 0 and 1 are the bases Z and X."""

    name: ClassVar[str] = "bb84"
    alice_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 2], dtype=np.uint8)
    bob_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 2], dtype=np.uint8)
    entangled: ClassVar[bool] = False

    @property
    def proof(self) -> str:
        """Which security proof the key length rests on."""
        return (
            "finite key against coherent attacks, entropic uncertainty (Tomamichel, Lim, Gisin, Renner 2012), both bases "
            "pooled (Tomamichel, Leverrier 2017), at the observed error rate; trusted devices, single photons"
        )

    def encode(self, bases: NDArray[np.uint8], bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The state for each basis and bit: |0⟩, |1⟩, |+⟩ or |−⟩ as an angle. uint8[n] each → uint8[n]."""
        return self.alice_angles[bases] + 4 * bits

    def estimate(
        self,
        alice: NDArray[np.uint8],
        bob: NDArray[np.uint8],  # noqa: ARG002  as Alice's, where a round is revealed
        alice_outcomes: NDArray[np.uint8],
        bob_outcomes: NDArray[np.uint8],
    ) -> Estimate:
        """Errors in each basis."""
        wrong = alice_outcomes != bob_outcomes
        return Estimate(
            tuple(
                BasisErrors(name, int(np.sum(wrong[alice == basis])), int(np.sum(alice == basis)))
                for basis, name in enumerate("ZX")
            )
        )

    def key_length(
        self,
        key_settings: NDArray[np.uint8],
        estimate: Estimate,
        disclosed_parities: int,
        tag_bits: int,
        security: Security,
    ) -> KeyLength:
        """Tomamichel et al. 2012 with n key bits and k test bits of both bases together.

        Pooling is sound because the basis of each round is chosen at random and independently of all else, so that
        the tested rounds of one basis sample the other basis's phase errors (Tomamichel, Leverrier 2017, Quantum 1, 14); h is
        concave, so the pooled rate never promises more than the two rates apart. The bound is evaluated at the observed
        error rate, not at a tolerance fixed beforehand: a key of variable length (Tupkary, Tan, Lütkenhaus 2024).
        """
        return tomamichel_2012(
            n=len(key_settings),
            k=estimate.tested,
            qber=estimate.qber or 0.0,
            leak_ec_bits=disclosed_parities,
            eps_sec=security.eps_sec,
            eps_cor=security.eps_cor,
            tag_bits=tag_bits,
        )
