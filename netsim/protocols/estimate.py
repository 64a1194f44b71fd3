"""What parameter estimation finds: errors per basis, per intensity, and for pairs the correlators and CHSH."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from netsim.key_length.finite_key import chsh


@dataclasses.dataclass(frozen=True)
class BasisErrors:
    """The test of one basis: `errors` out of `tested` revealed bits differed."""

    basis: str
    errors: int
    tested: int

    @property
    def qber(self) -> float | None:
        """Error rate; None if nothing was tested."""
        return self.errors / self.tested if self.tested else None


@dataclasses.dataclass(frozen=True)
class IntensityErrors:
    """The test of one basis at one intensity (one of each side, where both send)."""

    basis: str
    intensity: str
    errors: int
    tested: int


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What Alice and Bob know of a block after comparing what they revealed.

    Attributes:
        bases: the test in each basis that makes key, or bears it out; with decoys, of the signal pulses.
        correlators: for E91, (Alice's polariser, Bob's) in degrees → (equal outcomes, different outcomes).
        intensities: with decoys, the test in each basis at each intensity.
        key_errors: the test of what reconciliation will meet: the bases and intensities that make key; None is all of `bases`.
    """

    bases: tuple[BasisErrors, ...]
    correlators: Mapping[tuple[float, float], tuple[int, int]] = dataclasses.field(default_factory=dict)
    intensities: tuple[IntensityErrors, ...] = ()
    key_errors: BasisErrors | None = None

    @property
    def errors(self) -> int:
        """Errors in all bases."""
        return sum(b.errors for b in self.bases)

    @property
    def tested(self) -> int:
        """Bits tested in all bases."""
        return sum(b.tested for b in self.bases)

    @property
    def qber(self) -> float | None:
        """Error rate over all bases; None if nothing was tested."""
        return self.errors / self.tested if self.tested else None

    @property
    def key_qber(self) -> float:
        """The error rate to expect in the key before reconciliation."""
        expected = self.key_errors.qber if self.key_errors is not None else self.qber
        return expected if expected is not None else self.qber or 0.0

    @property
    def chsh(self) -> tuple[float, float] | None:
        """S and its standard error; None without correlators, or where one of the four has no data."""
        if not self.correlators:
            return None
        s, standard_error = chsh(self.correlators)
        return (s, standard_error) if math.isfinite(standard_error) else None
