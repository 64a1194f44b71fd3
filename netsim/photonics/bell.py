"""A Bell-state measurement on two trains that meet: a beam splitter, a polarising one behind each port, four threshold detectors.

The law is exact, and written in photon numbers. Let pulses of n and of m photons, in the states u and v, meet at the beam splitter. Detector k,
of efficiency η_k, looks at one port and one polarisation; with a = Σ η_k|u_k|²/2, b = Σ η_k|v_k|²/2 and c = Σ ±η_k·√V·u_k*v_k/2, sums over
some detectors and the sign that of the port, none of these sees light with probability

    Σ_j C(n,j)·C(m,j)·(1−a)^(n−j)·(1−b)^(m−j)·|c|^(2j),

the normally ordered mean of exp(−Σ η_k n_k) (Mandel, Wolf 1995, section 14.8). One photon each is the experiment of Hong, Ou and Mandel (1987),
whose dip has the visibility V: the share of the two pulses' modes in common. Pulses of a laser with a random phase are Poissonian in n, and
the sum over n and m of the above is e^(−aµ−bν)·I0(2|c|√(µν)): the mean over the relative phase of what two coherent states do.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.detector import Receiver
from netsim.photonics.ensemble import Ensemble, Law
from netsim.photonics.light import PHOTONS, SHIELDED, STATES
from netsim.photonics.sampled import SampledTrain, meet
from netsim.photonics.train import Train

PSI_MINUS, PSI_PLUS = 0, 1
"""The Bell states that linear optics tells from the others (Lütkenhaus, Calsamiglia, Suominen 1999), as they are announced."""

DETECTORS = 4
"""Of port c, for |0⟩ and |1⟩; of port d, for |0⟩ and |1⟩: bits 0 to 3 of a pattern."""

PATTERNS = 1 << DETECTORS
"""Which detectors fire."""

MEANS: dict[int, tuple[int, int]] = {PSI_MINUS: (0b1001, 0b0110), PSI_PLUS: (0b0011, 0b1100)}
"""Exactly two clicks, of both polarisations: at different ports ψ−, at one port ψ+."""

_NEGLIGIBLE = 1e-25  # as in an ensemble: a row that no 10^20 pulses will show


def _vectors() -> NDArray[np.complex128]:
    half = np.arange(8) * np.pi / 8
    vectors = np.empty((STATES, 2), dtype=np.complex128)
    vectors[:8] = np.stack([np.cos(half), np.sin(half)], axis=1)
    vectors[8:] = np.array([[1.0, 1.0j], [1.0, -1.0j]]) / math.sqrt(2.0)
    # What is exactly nothing must be so: a detector that light cannot reach must not be reached.
    exact = np.abs(np.abs(vectors) - np.round(np.abs(vectors))) < 1e-12
    vectors[exact] = np.round(vectors[exact].real)
    return vectors


VECTORS: NDArray[np.complex128] = _vectors()
"""complex128[state, polarisation], the amplitudes of a state of netsim.photonics.light."""


@dataclasses.dataclass(frozen=True)
class Heralds:
    """What a relay announces of a block.

    Attributes:
        slots: int64[m], where the Bell measurement succeeded, ascending.
        states: uint8[m], PSI_MINUS or PSI_PLUS: 1 where it is ψ+.
    """

    slots: NDArray[np.int64]
    states: NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class BellAnalyser:
    """The measurement, with detectors that remember nothing.

    Attributes:
        efficiency: of the detectors of |0⟩ and of |1⟩, the same at both ports.
        noise: probability of a click without light, of the same, per gate.
        visibility: of the two pulses' interference, V above, 0..1.
    """

    efficiency: tuple[float, float]
    noise: tuple[float, float]
    visibility: float = 1.0

    _SIGN: ClassVar[tuple[int, ...]] = (1, 1, -1, -1)

    def __post_init__(self) -> None:
        """Check that all are probabilities."""
        if not all(0.0 <= p <= 1.0 for p in (*self.efficiency, *self.noise, self.visibility)):
            raise ValueError(
                f"expected probabilities, got efficiencies {self.efficiency}, noise {self.noise}, visibility {self.visibility}"
            )

    @classmethod
    def of(cls, receiver: Receiver, visibility: float = 1.0) -> BellAnalyser:
        """With the detectors of a receiver, two at each port.

        Raises:
            ValueError: they have a memory, or turn their efficiency down at times.
        """
        if receiver.dead_time_s or receiver.afterpulse or receiver.attenuated_share:
            raise ValueError("the detectors of a Bell measurement have no memory and one efficiency")
        response = receiver.response()
        zero, one = (float(efficiency) for efficiency in response.efficiency[0])
        noise_zero, noise_one = (float(noise) for noise in response.noise)
        return cls((zero, one), (noise_zero, noise_one), visibility)

    def patterns(self, one: int, other: int) -> NDArray[np.float64]:
        """Which detectors fire, by the numbers of photons that arrive.

        Args:
            one: the state of the pulse from one side.
            other: of the pulse from the other side.

        Returns:
            float64[PHOTONS, PHOTONS, PATTERNS], sums to 1 over the patterns.
        """
        return _patterns(self, one, other)

    def _light(self, one: int, other: int) -> NDArray[np.float64]:
        """The same without noise."""
        u, v = np.tile(VECTORS[one], 2), np.tile(VECTORS[other], 2)
        eta = np.tile(self.efficiency, 2)
        a, b = eta * np.abs(u) ** 2 / 2, eta * np.abs(v) ** 2 / 2
        c = eta * math.sqrt(self.visibility) * u.conj() * v / 2 * np.array(self._SIGN)
        member = np.array([[subset >> k & 1 for k in range(DETECTORS)] for subset in range(PATTERNS)])
        silent = _silent(1.0 - member @ a, 1.0 - member @ b, np.abs(member @ c) ** 2)

        reached = np.zeros((PHOTONS, PHOTONS, DETECTORS), dtype=np.bool_)
        reached[1:] |= a > 0
        reached[:, 1:] |= b > 0
        number = np.add.outer(np.arange(PHOTONS), np.arange(PHOTONS))
        light = np.zeros((PHOTONS, PHOTONS, PATTERNS))
        for pattern in range(PATTERNS):
            rest = PATTERNS - 1 - pattern
            for fired in range(PATTERNS):
                if fired & pattern == fired:
                    light[..., pattern] += (-1) ** fired.bit_count() * silent[..., rest | fired]
            possible = (number >= pattern.bit_count()) & ~np.any(~reached & (member[pattern] > 0), axis=2)
            light[..., pattern] = np.where(possible, np.maximum(light[..., pattern], 0.0), 0.0)
        return light

    def _noisy(self) -> NDArray[np.float64]:
        """float64[PATTERNS of light, PATTERNS]: the patterns that noise makes of those."""
        noise = np.tile(self.noise, 2)
        noisy = np.zeros((PATTERNS, PATTERNS))
        for light in range(PATTERNS):
            for pattern in range(PATTERNS):
                if light & pattern == light:
                    more = [k for k in range(DETECTORS) if pattern & ~light & 1 << k]
                    silent = [k for k in range(DETECTORS) if not pattern & 1 << k]
                    noisy[light, pattern] = noise[more].prod() * (1.0 - noise[silent]).prod()
        return noisy

    def law(self, one: Ensemble, other: Ensemble) -> Law:
        """What is announced of a slot, and what goes with it.

        Args:
            one: all that a pulse from one side may be when it arrives.
            other: from the other side.

        Returns:
            Rows with `symbol` = that of one side times the number of the other's, plus the other's; `pattern` 0 where nothing is announced, 1
            for ψ−, 2 for ψ+; the notes of one side before those of the other.

        Raises:
            TypeError: light is marked for the detectors of a receiver, which this is not.
        """
        mine, theirs = _Side(one), _Side(other)
        table = np.stack([np.stack([_announced(self, s, t) for t in theirs.states]) for s in mine.states])
        # [state, photons] of one side times [state, photons, announced] of the other's
        joint = np.einsum("gsn,stnma,htm->gha", mine.weight, table, theirs.weight, optimize=True)
        rows, others, announced = np.nonzero(joint > _NEGLIGIBLE)
        probability = joint[rows, others, announced]
        symbol = mine.symbol[rows].astype(np.uint32) * len(other._sent) + theirs.symbol[others]
        return Law(
            probability / probability.sum(),
            symbol.astype(np.uint16),
            np.zeros(len(rows), dtype=np.uint8),
            announced.astype(np.uint8),
            np.zeros(len(rows), dtype=np.bool_),
            np.concatenate([mine.notes[:, rows], theirs.notes[:, others]]),
        )

    def measure(self, one: Train, other: Train, rng: np.random.Generator) -> Heralds:
        """Let two trains meet, pulse by pulse, and say where the measurement succeeded; they are absorbed.

        Raises:
            TypeError: they are not sampled trains of one length, or marked for the detectors of a receiver.
        """
        if not isinstance(one, SampledTrain) or not isinstance(other, SampledTrain) or len(one) != len(other):
            raise TypeError(
                "a Bell measurement takes two sampled trains of one length, "
                f"got a {type(one).__name__} of {len(one)} and a {type(other).__name__} of {len(other)}"
            )
        exposure = meet(one, other, self.law, rng)
        return Heralds(exposure.slots, exposure.patterns - np.uint8(1))


class _Side:
    """What may arrive from one side, by what was sent and noted, state and photon number.

    Attributes:
        states: those that occur.
        symbol: uint16[groups].
        notes: uint8[acts, groups].
        weight: float64[groups, states, PHOTONS].
    """

    def __init__(self, ensemble: Ensemble) -> None:
        if np.any(ensemble._flags & ~np.uint8(SHIELDED)):
            raise TypeError(
                "a pulse is marked for Bob's detectors (bright, early, late, after the gate, steered), but a Bell measurement meets it: "
                "what acts on a receiver's detectors has no meaning here"
            )
        keys = np.stack([ensemble._symbol, *ensemble._notes.astype(np.uint16)])
        groups, group = np.unique(keys, axis=1, return_inverse=True)
        found, state = np.unique(ensemble._state, return_inverse=True)
        self.states: list[int] = found.tolist()
        self.symbol, self.notes = groups[0], groups[1:].astype(np.uint8)
        self.weight = np.zeros((groups.shape[1], len(found), PHOTONS))
        np.add.at(self.weight, (group.ravel(), state, ensemble._photons), ensemble._weight)


def _silent(
    alone: NDArray[np.float64], other: NDArray[np.float64], across: NDArray[np.float64]
) -> NDArray[np.float64]:
    """That some detectors stay dark: the sum of the module's docstring, all of whose terms are positive.

    Args:
        alone: float64[k], 1 − a for each set of detectors.
        other: float64[k], 1 − b.
        across: float64[k], |c|².

    Returns:
        float64[PHOTONS, PHOTONS, k].
    """
    number = np.arange(PHOTONS)
    choose = np.array([[math.comb(n, j) for j in number] for n in number], dtype=np.float64)
    left = np.maximum(number[:, None] - number, 0)
    # [n, j, k]: what one side adds when j of its n photons exchange places with photons of the other.
    mine = choose[..., None] * np.maximum(alone, 0.0) ** left[..., None]
    theirs = choose[..., None] * np.maximum(other, 0.0) ** left[..., None]
    exchanged = across ** number[:, None]
    dark: NDArray[np.float64] = np.einsum("njk,mjk,jk->nmk", mine, theirs, exchanged, optimize=True)
    return dark


@functools.lru_cache(maxsize=256)
def _patterns(analyser: BellAnalyser, one: int, other: int) -> NDArray[np.float64]:
    # Light and noise are put together by sums of products, which keep the smallest of them exact.
    return analyser._light(one, other) @ analyser._noisy()


@functools.lru_cache(maxsize=256)
def _announced(analyser: BellAnalyser, one: int, other: int) -> NDArray[np.float64]:
    """float64[PHOTONS, PHOTONS, 3]: nothing, ψ−, ψ+."""
    patterns = _patterns(analyser, one, other)
    minus, plus = (patterns[..., list(MEANS[state])].sum(axis=2) for state in (PSI_MINUS, PSI_PLUS))
    nothing = [
        pattern for pattern in range(PATTERNS) if not any(pattern in means for means in MEANS.values())
    ]
    return np.stack([patterns[..., nothing].sum(axis=2), minus, plus], axis=2)
