"""What a pulse in flight is: a polarisation state, a number of photons, marks that an attacker left; and what acts on it.

A *state* is a small whole number. 0 to 7 lie on the great circle of the Bloch sphere through Z and X, an eighth of a turn
(22.5° of polariser) apart: 0 is |0⟩, 2 is |+⟩, 4 is |1⟩, 6 is |−⟩, 1 and 5 are the Breidbart states. 8 and 9 are |+i⟩ and |−i⟩.
A measurement *setting* is written as the state that gives outcome 0; the opposite state gives outcome 1.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

STATES = 10
"""How many states there are."""

PHOTONS = 32
"""Photon numbers 0 .. PHOTONS − 1 are told apart; of a Poisson distribution of mean 2 less than 1e-24 lies above."""

OPPOSITE: NDArray[np.uint8] = np.array([4, 5, 6, 7, 0, 1, 2, 3, 9, 8], dtype=np.uint8)
"""The orthogonal state."""

GUESS_0, GUESS_1 = 10, 11
"""Notes that guess the bit, whatever the basis."""

NOTHING = 255
"""A note that says nothing."""


def _born() -> NDArray[np.float64]:
    angle = np.arange(8) * np.pi / 4
    sphere = np.zeros((STATES, 3))
    sphere[:8, 0], sphere[:8, 2] = np.sin(angle), np.cos(angle)
    sphere[8, 1], sphere[9, 1] = 1.0, -1.0
    born: NDArray[np.float64] = (1.0 + sphere @ sphere.T) / 2
    exact = np.abs(born * 2 - np.round(born * 2)) < 1e-12
    born[exact] = np.round(born[exact] * 2) / 2
    return born


BORN: NDArray[np.float64] = _born()
"""float64[state, setting], the probability of outcome 0: (1 + cos of the angle between them on the sphere)/2."""

SHIELDED = 1
"""Goes on through a channel of the attacker's own, without loss and without errors."""
BRIGHT = 2
"""A faked state for blinded detectors: it clicks, for sure, in the receiver that measures along its axis, and in no other."""
EARLY = 4
"""Arrives before the gate's middle, where detector 0 is the more efficient one."""
LATE = 8
"""Arrives after it, where detector 1 is."""
STEERED = 16
"""Of a wavelength that a passive splitter sends to the basis of its state."""
AFTER_GATE = 32
"""Arrives when the gate is over and the detector a classical one: clicks as a bright pulse does, without blinding."""

FLAGS = 64


@dataclasses.dataclass(frozen=True)
class Kernel:
    """What is done to each pulse, to one as to the other and to each by itself: a finite stochastic map.

    Arrays have the shape [intensities or 1, STATES, PHOTONS, branches]; those but the first may be anything that broadcasts to it.

    Attributes:
        probability: float64, of each branch, for each pulse that may come; sums to 1 over the branches.
        state: uint8, the state that goes on.
        photons: uint8, how many photons go on.
        flags: uint8, marks set on what goes on.
        note: uint8, what the attacker writes down: a state that she holds or found, or NOTHING.
    """

    probability: NDArray[np.float64]
    state: NDArray[np.uint8]
    photons: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    note: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Check the sums, and give all arrays one shape."""
        shape = self.probability.shape
        if len(shape) != 4 or shape[1:3] != (STATES, PHOTONS):
            raise ValueError(
                f"expected probabilities [intensities, {STATES}, {PHOTONS}, branches], got {shape}"
            )
        sums = self.probability.sum(axis=3)
        if self.probability.min() < 0 or np.abs(sums - 1.0).max() > 1e-9:
            raise ValueError("the branches of a kernel have probabilities that sum to 1 for each pulse")
        object.__setattr__(self, "probability", self.probability / sums[..., None])
        for name in ("state", "photons", "flags", "note"):
            array = np.broadcast_to(np.asarray(getattr(self, name), dtype=np.uint8), shape)
            object.__setattr__(self, name, np.ascontiguousarray(array))

    @property
    def branches(self) -> int:
        """How many ways a pulse may take."""
        return int(self.probability.shape[3])


@dataclasses.dataclass(frozen=True)
class Branch:
    """One way for a pulse to go through an attack: arrays that broadcast to [intensities or 1, STATES, PHOTONS].

    Attributes:
        probability: of this way.
        state: what goes on; None is the state that came.
        photons: how many go on; None is as many as came.
        flags: marks set on it.
        note: what is written down.
    """

    probability: NDArray[np.float64] | float
    state: NDArray[np.uint8] | int | None = None
    photons: NDArray[np.uint8] | int | None = None
    flags: NDArray[np.uint8] | int = 0
    note: NDArray[np.uint8] | int = NOTHING


STATE: NDArray[np.uint8] = np.arange(STATES, dtype=np.uint8)[None, :, None]
"""uint8[1, STATES, 1], the state that came, for writing branches."""
NUMBER: NDArray[np.uint8] = np.arange(PHOTONS, dtype=np.uint8)[None, None, :]
"""uint8[1, 1, PHOTONS], the number of photons that came."""


def kernel(*branches: Branch) -> Kernel:
    """A kernel from its branches.

    Raises:
        ValueError: the probabilities do not sum to 1 for each pulse that may come.
    """
    weights = [np.asarray(b.probability, dtype=np.float64) for b in branches]
    shape = np.broadcast_shapes((1, STATES, PHOTONS), *(w.shape for w in weights))

    def stacked(values: list[NDArray[np.uint8] | int]) -> NDArray[np.uint8]:
        return np.stack([np.broadcast_to(np.asarray(v, dtype=np.uint8), shape) for v in values], axis=3)

    return Kernel(
        np.stack([np.broadcast_to(w, shape) for w in weights], axis=3),
        stacked([STATE if b.state is None else b.state for b in branches]),
        stacked([NUMBER if b.photons is None else b.photons for b in branches]),
        stacked([b.flags for b in branches]),
        stacked([b.note for b in branches]),
    )


def poisson_numbers(mean: float, fluctuation: float = 0.0) -> NDArray[np.float64]:
    """How many photons a phase-randomised coherent pulse has.

    Args:
        mean: mean photon number µ ≥ 0.
        fluctuation: relative standard deviation of µ from pulse to pulse (Gaussian, cut off where µ would be negative).

    Returns:
        float64[PHOTONS], sums to 1; the tail above is counted to the last.
    """
    if fluctuation and mean:
        points, weights = np.polynomial.hermite_e.hermegauss(40)
        means = np.maximum(mean * (1.0 + fluctuation * points), 0.0)
        weights = weights / weights.sum()
    else:
        means, weights = np.array([mean]), np.ones(1)
    terms = np.empty((len(means), 4 * PHOTONS))
    terms[:, 0] = np.exp(-means)
    for n in range(1, 4 * PHOTONS):
        terms[:, n] = terms[:, n - 1] * means / n
    every: NDArray[np.float64] = weights @ terms
    numbers: NDArray[np.float64] = every[:PHOTONS] / every.sum()
    numbers[-1] = every[PHOTONS - 1 :].sum() / every.sum()
    return numbers


def thinning(transmittance: float) -> NDArray[np.float64]:
    """float64[PHOTONS, PHOTONS]: the probability that of n photons (row) m (column) survive, each with `transmittance`."""
    t = np.zeros((PHOTONS, PHOTONS))
    t[0, 0] = 1.0
    for n in range(1, PHOTONS):
        t[n, 0] = t[n - 1, 0] * (1.0 - transmittance)
        t[n, 1:] = t[n - 1, 1:] * (1.0 - transmittance) + t[n - 1, :-1] * transmittance
    return t
