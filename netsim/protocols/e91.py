"""E91 (Ekert 1991): entangled pairs, three polariser angles at each end, CHSH as the witness."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.finite_key import KeyLength, device_independent, e91_trusted
from netsim.protocols.estimate import BasisErrors, Estimate
from netsim.protocols.protocol import Kept, Protocol, Revealed, Security
from netsim.rows import tally

ALICE_POLARISER_DEG = (0.0, 22.5, 45.0)
BOB_POLARISER_DEG = (22.5, 45.0, 67.5)
KEY_POLARISER_DEG = (22.5, 45.0)


@dataclasses.dataclass(frozen=True)
class E91(Protocol):
    """Alice measures at 0°, 22.5°, 45°, Bob at 22.5°, 45°, 67.5°: equal angles make key, four of the others CHSH.

    Attributes:
        security_proof: "trusted" takes the analysers as what they are said to be and bounds Eve from the correlators;
            "device-independent" trusts only S, and counts every pair that was sent.
    """

    security_proof: Literal["trusted", "device-independent"] = "trusted"

    name: ClassVar[str] = "e91"
    alice_angles: ClassVar[NDArray[np.uint8]] = np.array([0, 1, 2], dtype=np.uint8)
    bob_angles: ClassVar[NDArray[np.uint8]] = np.array([1, 2, 3], dtype=np.uint8)
    bases: ClassVar[tuple[str, ...]] = tuple(f"{angle:g}°" for angle in KEY_POLARISER_DEG)
    entangled: ClassVar[bool] = True
    witnesses: ClassVar[bool] = True

    @property
    def proof(self) -> str:
        """Which security proof the key length rests on."""
        if self.security_proof == "device-independent":
            return (
                "device-independent against collective attacks (Acín et al. 2007) at the lower confidence bound of S, "
                "lost photons counted as outcomes"
            )
        return (
            "BBM92-style against collective attacks: phase errors bounded from the measured correlators (the CHSH ones), "
            "not from the error rate, as E91's two key settings are not mutually unbiased; trusted analysers, fair sampling"
        )

    @property
    def keeps_lost(self) -> bool:
        """A device-independent claim may not leave out what was lost."""
        return self.security_proof == "device-independent"

    def estimate(self, revealed: Revealed) -> Estimate:
        """Errors at each key angle, and all nine correlators."""
        pair = 3 * revealed.alice.astype(np.int64) + revealed.bob
        total = np.bincount(pair, minlength=9)
        different = np.bincount(pair[revealed.alice_outcomes != revealed.bob_outcomes], minlength=9)
        correlators = {
            (a, b): (int(total[3 * i + j] - different[3 * i + j]), int(different[3 * i + j]))
            for i, a in enumerate(ALICE_POLARISER_DEG)
            for j, b in enumerate(BOB_POLARISER_DEG)
        }
        bases = tuple(
            BasisErrors(name, correlators[angle, angle][1], sum(correlators[angle, angle]))
            for name, angle in zip(self.bases, KEY_POLARISER_DEG, strict=True)
        )
        return Estimate(bases, correlators)

    def key_length(
        self, kept: Kept, estimate: Estimate, disclosed_parities: int, tag_bits: int, security: Security
    ) -> KeyLength:
        """By the proof that was asked for; see netsim.key_length.finite_key."""
        counts = tally(kept.settings, 3)
        if self.security_proof == "device-independent":
            return device_independent(
                n=len(kept.settings),
                correlators=estimate.correlators,
                leak_ec_bits=disclosed_parities,
                eps_sec=security.eps_sec,
                eps_cor=security.eps_cor,
                tag_bits=tag_bits,
            )
        return e91_trusted(
            key_counts=(int(counts[1]), int(counts[2])),
            correlators=estimate.correlators,
            leak_ec_bits=disclosed_parities,
            eps_sec=security.eps_sec,
            eps_cor=security.eps_cor,
            tag_bits=tag_bits,
        )
