"""Entangled pairs: how many a source makes in a slot, how their photons go together, and dense trains of them.

A slot of n pairs is Φ_n = (n + 1)^(-1/2) Σ_m |m, n − m⟩|m, n − m⟩, the same in every basis of the X–Z plane: found as j photons in a
setting's state and n − j in the opposite one, the one half leaves the other in the Fock state of the same j, in the same setting. So a
setting is one of the states 0 .. 7 here; along Y the halves of Φ+ do not agree.
"""

from __future__ import annotations

import abc
import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import NOTHING, OPPOSITE, PHOTONS, Kernel
from netsim.photonics.pulses import PulseTrain
from netsim.photonics.train import NO_PHOTON, Choice, Notes, Train, Written
from netsim.random_streams import rare_events

LARGEST_PAIR_MEAN = 0.4
"""Up to here less than 1e-16 of all slots have PHOTONS pairs or more."""

STEPS = 8
"""Settings in the X–Z plane, an eighth of a turn of the Bloch sphere apart."""


@dataclasses.dataclass(frozen=True)
class PairState:
    """What a source of pairs makes of each slot.

    Attributes:
        pair_mean: λ, half the mean number of pairs (parametric down-conversion); None is exactly one pair.
        visibility: V, 0..1: one half is flipped with probability (1 − V)/2, so that E(a, b) = V cos 2(a − b) for single pairs.
    """

    pair_mean: float | None = None
    visibility: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.pair_mean is not None and not 0.0 <= self.pair_mean <= LARGEST_PAIR_MEAN:
            raise ValueError(
                f"half the mean pair number is within 0..{LARGEST_PAIR_MEAN}, got {self.pair_mean}"
            )
        if not 0.0 <= self.visibility <= 1.0:
            raise ValueError(f"a visibility is within 0..1, got {self.visibility}")

    @property
    def numbers(self) -> NDArray[np.float64]:
        """How many pairs a slot has: P(n) = (n + 1) λⁿ/(1 + λ)ⁿ⁺² (Ma, Fung, Lo 2007).

        Returns:
            float64[k], k ≤ PHOTONS, sums to 1: of 0, 1, … k − 1 pairs; more come in less than 1e-16 of the slots.
        """
        if self.pair_mean is None:
            return np.array([0.0, 1.0])
        n = np.arange(PHOTONS)
        ratio = self.pair_mean / (1.0 + self.pair_mean)
        numbers: NDArray[np.float64] = (n + 1) * ratio**n / (1.0 + self.pair_mean) ** 2
        at_least = np.cumsum(numbers[::-1])[::-1]
        numbers = numbers[at_least >= 1e-16]
        numbers /= numbers.sum()
        return numbers

    @property
    def flipped(self) -> float:
        """Probability that a slot's halves differ by a flip: (1 − V)/2."""
        return (1.0 - self.visibility) / 2


@functools.cache
def turned() -> NDArray[np.float64]:
    """What a Fock state of one setting is found as in another: |d^(n/2)|², by adding one photon after the other.

    With U the rotation of one photon, ⟨j|D_n|k⟩ = (1/n) Σ_il √(j_i k_l) U_il ⟨j − 1_i|D_(n−1)|k − 1_l⟩, where i and l run over the two
    modes and j_0 = j, j_1 = n − j: Σ_i a_i†a_i = n put before ⟨j|, and D a_l† D† = Σ_i U_il a_i†.

    Returns:
        float64[STEPS, PHOTONS, PHOTONS, PHOTONS], read-only: [step, n, j, k] is the probability to find k of n photons in outcome 0
        when j of them were in the state `step` eighths of a turn away from it and n − j in the opposite one; the same with j
        and k exchanged, and with the step reversed.
    """
    found = np.zeros((STEPS, PHOTONS, PHOTONS, PHOTONS))
    for step in range(STEPS):
        cosine, sine = np.cos(step * np.pi / 8), np.sin(step * np.pi / 8)
        if step == STEPS // 2:
            cosine = 0.0
        one = np.array([[cosine, sine], [-sine, cosine]])
        amplitude = np.ones((1, 1))
        found[step, 0, 0, 0] = 1.0
        for n in range(1, PHOTONS):
            more = np.zeros((n + 1, n + 1))
            rising = np.arange(1.0, n + 1)
            photons = (
                rising,
                rising[::-1],
            )  # in either mode with the one more, by how many mode 0 had before
            for i, j in ((0, slice(1, None)), (1, slice(None, -1))):
                for m, k in ((0, slice(1, None)), (1, slice(None, -1))):
                    more[j, k] += one[i, m] * np.sqrt(np.outer(photons[i], photons[m])) * amplitude
            amplitude = more / n
            found[step, n, : n + 1, : n + 1] = amplitude**2
    found.flags.writeable = False
    return found


@functools.cache
def _turned_edges() -> NDArray[np.float64]:
    """float64[STEPS, PHOTONS, PHOTONS, PHOTONS]: of `turned`, the probability of at most k; 1 from the last possible on."""
    edges: NDArray[np.float64] = np.cumsum(turned(), axis=3)
    n, k = np.arange(PHOTONS)[:, None, None], np.arange(PHOTONS)
    edges[:, np.broadcast_to(k >= n, edges.shape[1:])] = 1.0
    return edges


class Half(Train):
    """One half of a train of pairs, dense or sampled.

    Its pulses have no state of their own, so that nothing is done to them by a table over states: they are measured.
    """

    @abc.abstractmethod
    def intercept(self, where: slice, choice: Choice, fraction: float, rng: np.random.Generator) -> Notes:
        """Measure some pulses with threshold detectors that miss nothing, and send one photon on in the state found.

        Where both detectors fire a coin decides; where nothing came nothing goes on.

        Args:
            where: the pulses that pass.
            choice: of the setting, pulse by pulse; states 0 .. 7.
            fraction: share of the pulses that are measured.
            rng: decides which, how and with what outcome.

        Returns:
            The state found, or NOTHING where nothing was measured or nothing there.
        """

    def act(self, where: slice, kernel: Kernel, rng: np.random.Generator) -> Notes:  # noqa: ARG002  the interface's
        """Not by a table over states: half a pair has none."""
        raise TypeError("half a pair has no state of its own to act upon: use intercept")


class _Pairs:
    """What two halves of a train of pairs share: which pairs are still entangled, and how the halves differ.

    An entangled pair is Φ+ up to a flip: once one half is found in a state, the other is in that state turned by
    `offset` (0 or 4).
    """

    def __init__(self, count: int) -> None:
        self.entangled = np.ones(count, dtype=np.bool_)
        self.offset = np.zeros(count, dtype=np.uint8)


class _Fock:
    """What is known of halves with any number of photons: of `total`, `along` were in the train's state, the rest opposite.

    Those are the photons when they were found, before any loss since: which of them are lost does not depend on their state.
    While a pair is entangled `along` means nothing.
    """

    def __init__(self, numbers: NDArray[np.uint8]) -> None:
        self.total = numbers.copy()
        self.along = np.zeros_like(numbers)


class EntangledTrain(Half, PulseTrain):
    """One half of a train of entangled pairs; made by `entangled_trains`.

    Args:
        pairs: shared with the other half.
        block: number of the block.
        start_s: when pair 0 leaves the source.
        rate_hz: slots per second.
        numbers: uint8[n], how many pairs each slot has; None is one.
    """

    def __init__(
        self,
        pairs: _Pairs,
        block: int,
        start_s: float,
        rate_hz: float,
        numbers: NDArray[np.uint8] | None = None,
    ) -> None:
        super().__init__(np.zeros(len(pairs.offset), dtype=np.uint8), block, start_s, rate_hz, numbers)
        self._pairs = pairs
        self._fock = None if numbers is None else _Fock(numbers)
        self._partner: EntangledTrain = self

    def _turn(self, positions: NDArray[np.int64]) -> None:
        super()._turn(positions)
        self._pairs.offset[positions] ^= 4

    def _found(
        self, positions: NDArray[np.int64], settings: NDArray[np.uint8], rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        check_settings(settings)
        fresh = self._pairs.entangled[positions]
        if fresh.any():
            first = positions[fresh]
            # One half of Φ+ alone is fully mixed: whatever the setting, both outcomes are equally likely. Giving
            # the half one of the two states of the setting at random says the same.
            self._states[first] = (settings[fresh] + 4 * rng.integers(0, 2, len(first), dtype=np.uint8)) & 7
            self._separate(first)
        return super()._found(positions, settings, rng)

    def _separate(self, positions: NDArray[np.int64]) -> None:
        """This half was found in its states: the other is in the same ones, up to the flips."""
        self._pairs.entangled[positions] = False
        self._partner._states[positions] = (self._states[positions] + self._pairs.offset[positions]) & 7

    def _split(
        self, positions: NDArray[np.int64], settings: NDArray[np.uint8], rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """All photons are split, those that were lost too, as nobody can tell; then some of either kind are those that are left."""
        check_settings(settings)
        fock, other = self._fock, self._partner._fock
        if fock is None or other is None:
            raise AssertionError("a slot of one pair is found, not split")
        fresh = self._pairs.entangled[positions]
        first = positions[fresh]
        # One half of Φ_n alone is fully mixed among n photons: all n + 1 ways to split them are equally likely.
        fock.along[first] = rng.integers(0, fock.total[first].astype(np.int64) + 1)
        self._states[first] = settings[fresh]
        self._separate(first)
        other.along[first] = fock.along[first]
        total, left = fock.total[positions], self._photons[positions]
        steps = (settings - self._states[positions]) % np.uint8(STEPS)
        zeros = _turn_photons(steps, total, fock.along[positions], rng.random(len(positions)))
        some = np.flatnonzero(left < total)
        zeros[some] = rng.hypergeometric(zeros[some], total[some] - zeros[some], left[some])
        # If anything goes on, it is one photon, in the state found.
        fock.total[positions] = fock.along[positions] = 1
        return zeros, left - zeros

    def intercept(self, where: slice, choice: Choice, fraction: float, rng: np.random.Generator) -> Notes:
        """Measure some pulses, one by one."""
        count = where.stop - where.start
        some = None if fraction >= 1.0 else rng.random(count) < fraction
        settings = choice.settings[choice.draw(count, rng)]
        outcomes = self.measure(where, settings, rng, some)
        found = np.where(outcomes == 1, OPPOSITE[settings], settings)
        return Written(where.start, np.where(outcomes == NO_PHOTON, np.uint8(NOTHING), found))

    def replace(self, where: slice, other: Train) -> None:
        """The whole half is blocked, and another half, with its own partner, goes on in its place."""
        if not isinstance(other, EntangledTrain) or where != slice(0, len(self)) or len(other) != len(self):
            raise TypeError(
                "half a train of pairs is replaced by another half of the same length, as a whole"
            )
        for light in ("_pairs", "_states", "_photons", "_single", "_fock"):
            mine, its = getattr(self, light), getattr(other, light)
            setattr(self, light, its)
            setattr(other, light, mine)
        other._photons[...] = 0
        mine, its = self._partner, other._partner
        if mine is not other:
            _join(self, its)
            _join(other, mine)


def check_settings(settings: NDArray[np.uint8]) -> None:
    """Refuse what the two halves of Φ+ do not agree about.

    Raises:
        ValueError: a setting out of the X–Z plane.
    """
    if len(settings) and settings.max() >= STEPS:
        raise ValueError(f"halves of pairs are measured in the X-Z plane, states 0..7, got {settings.max()}")


def _turn_photons(
    steps: NDArray[np.uint8],
    total: NDArray[np.uint8],
    along: NDArray[np.uint8],
    uniform: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """How many photons of a Fock state are found in outcome 0, by inversion. All [m]."""
    edges = _turned_edges()
    zeros: NDArray[np.uint8] = (uniform >= edges[steps, total, along, 0]).astype(np.uint8)
    more = np.flatnonzero(zeros)
    for k in range(1, PHOTONS):
        more = more[uniform[more] >= edges[steps[more], total[more], along[more], k]]
        if not len(more):
            break
        zeros[more] = k + 1
    return zeros


def _join(one: EntangledTrain, other: EntangledTrain) -> None:
    one._partner, other._partner = other, one


def entangled_trains(
    count: int,
    source: PairState,
    block: int,
    start_s: float,
    rate_hz: float,
    rng: np.random.Generator,
) -> tuple[EntangledTrain, EntangledTrain]:
    """The two halves of a train of Φ+ pairs, drawn slot by slot.

    Args:
        count: number of slots.
        source: what each is drawn from.
        block: number of the block.
        start_s: when pair 0 leaves the source.
        rate_hz: slots per second.
        rng: decides how many pairs there are, and which are flipped.
    """
    pairs = _Pairs(count)
    numbers = None if source.pair_mean is None else _pair_numbers(source.numbers, count, rng)
    pairs.offset[rare_events(count, source.flipped, rng)] = 4
    one, other = (EntangledTrain(pairs, block, start_s, rate_hz, numbers) for _ in range(2))
    _join(one, other)
    return one, other


def _pair_numbers(
    distribution: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw by inversion. uint8[count]."""
    edges, uniform = np.cumsum(distribution), rng.random(count)
    edges[-1] = 1.0
    numbers: NDArray[np.uint8] = (uniform >= edges[0]).astype(np.uint8)
    some = np.flatnonzero(numbers)
    numbers[some] = np.searchsorted(edges, uniform[some], side="right")
    return numbers
