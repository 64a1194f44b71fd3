"""The six-state protocol (Bruß 1998; Bechmann-Pasquinucci, Gisin 1999): BB84 with a third basis, Y."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.entangled import six_state_finite
from netsim.key_length.finite_key import KeyLength
from netsim.protocols.bb84 import errors_by_basis
from netsim.protocols.estimate import Estimate
from netsim.protocols.protocol import Kept, Protocol, Revealed, Security
from netsim.rows import tally

BASES = ("Z", "X", "Y")


class SixState(Protocol):
    """Settings 0, 1 and 2 are the bases Z, X and Y, all used alike."""

    name: ClassVar[str] = "six-state"
    alice_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 2, 8], dtype=np.uint8)
    bob_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 2, 8], dtype=np.uint8)
    bases: ClassVar[tuple[str, ...]] = BASES
    entangled: ClassVar[bool] = False

    @property
    def proof(self) -> str:
        """Which security proof the key length rests on."""
        return (
            "finite key against collective attacks, Bell-diagonal weights at their worst within confidence bounds "
            "(Scarani, Renner 2008); trusted devices, single photons"
        )

    def estimate(self, revealed: Revealed) -> Estimate:
        """Errors in each basis."""
        return Estimate(errors_by_basis(revealed, BASES))

    def key_length(
        self, kept: Kept, estimate: Estimate, disclosed_parities: int, tag_bits: int, security: Security
    ) -> KeyLength:
        """By `six_state_finite`, which wants as many errors as rounds of key: the sample's rates are carried over to its size.

        The confidence intervals are those of the sample, which is the smaller of the two.
        """
        return six_state_finite(
            key_rounds=_three(tally(kept.settings, 3)),
            detections=_three([basis.tested for basis in estimate.bases]),
            errors=_three([basis.errors for basis in estimate.bases]),
            leak_ec_bits=disclosed_parities,
            eps_sec=security.eps_sec,
            eps_cor=security.eps_cor,
            tag_bits=tag_bits,
        )


def _three(counts: list[int] | NDArray[np.int64]) -> tuple[int, int, int]:
    z, x, y = (int(count) for count in counts)
    return z, x, y
