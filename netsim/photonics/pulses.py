"""Dense trains: a whole train of pulses as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import (
    AFTER_GATE,
    BORN,
    BRIGHT,
    EARLY,
    LATE,
    OPPOSITE,
    PHOTONS,
    SHIELDED,
    STEERED,
    Kernel,
)
from netsim.photonics.train import (
    ATTENUATED,
    CAME_AFTER_GATE,
    CAME_EARLY,
    CAME_LATE,
    FIRED_0,
    FIRED_1,
    NO_PHOTON,
    Choice,
    Exposure,
    Notes,
    Response,
    Train,
    Written,
)
from netsim.random_streams import rare_events

_SPARSE = 0.02  # below this share, drawing positions is cheaper than drawing at every pulse
_FAKED = BRIGHT | AFTER_GATE


class PulseTrain(Train):
    """A train of pulses with any number of photons each, all of one state.

    Args:
        states: uint8[n], the state prepared in each pulse.
        block: number of the block.
        start_s: when pulse 0 leaves.
        rate_hz: pulses per second.
        photons: uint8[n], how many photons each has; None is one.
        intensities: uint8[n], index of the intensity each was sent with; None where there is one only.
    """

    def __init__(
        self,
        states: NDArray[np.uint8],
        block: int,
        start_s: float,
        rate_hz: float,
        photons: NDArray[np.uint8] | None = None,
        intensities: NDArray[np.uint8] | None = None,
    ) -> None:
        super().__init__(block, start_s, rate_hz)
        self._states = states.copy()
        self._photons = np.ones(len(states), dtype=np.uint8) if photons is None else photons.copy()
        self._single = photons is None
        self._intensities = intensities
        self._flags: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self._states)

    def parcels(self) -> Sequence[slice]:
        """One: the whole train."""
        return (slice(0, len(self)),)

    def lose(self, where: slice, transmittance: float, rng: np.random.Generator) -> None:
        """Each photon survives with probability `transmittance`, but for what an attacker shields."""
        self._thin(where, transmittance, SHIELDED | _FAKED, rng)

    def _thin(self, where: slice, transmittance: float, exempt: int, rng: np.random.Generator) -> None:
        if transmittance >= 1.0:
            return
        photons = self._photons[where]
        if transmittance <= 0.0:  # what is cut is cut for all
            photons[...] = 0
            return
        if self._single and self._flags is None and transmittance > _SPARSE:
            photons *= rng.random(len(photons)) < transmittance
            return
        if self._flags is None and transmittance <= _SPARSE:
            photons[...] = self._few_survivors(photons, transmittance, rng)
            return
        lossy = photons > 0
        if self._flags is not None:
            lossy &= (self._flags[where] & exempt) == 0
        occupied = np.flatnonzero(lossy)
        before = photons[occupied]
        after = (rng.random(len(occupied)) < transmittance).astype(np.uint8)
        many = np.flatnonzero(before > 1)
        after[many] = rng.binomial(before[many], transmittance)
        photons[occupied] = after

    @staticmethod
    def _few_survivors(
        photons: NDArray[np.uint8], transmittance: float, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Draw which of all the photons survive, one row of photons after another."""
        left = np.zeros_like(photons)
        for rank in range(int(photons.max(initial=0))):
            survivors = rare_events(len(photons), transmittance, rng)
            left[survivors] += photons[survivors] > rank
        return left

    def flip(self, where: slice, probability: float, rng: np.random.Generator) -> None:
        """Each pulse is turned to the orthogonal state with this probability, but for what an attacker shields."""
        flipped = rare_events(where.stop - where.start, probability, rng) + where.start
        if self._flags is not None:
            flipped = flipped[(self._flags[flipped] & (SHIELDED | _FAKED)) == 0]
        self._turn(flipped)

    def _turn(self, positions: NDArray[np.int64]) -> None:
        self._states[positions] = OPPOSITE[self._states[positions]]

    def act(self, where: slice, kernel: Kernel, rng: np.random.Generator) -> Notes:
        """Draw a branch for each pulse."""
        count = where.stop - where.start
        photons = np.minimum(self._photons[where], PHOTONS - 1)
        states = self._states[where] * (photons > 0)  # of no photons the state does not matter
        sent: NDArray[np.uint8] | int = 0
        if kernel.probability.shape[0] > 1:
            if self._intensities is None:
                raise TypeError("this attack tells intensities apart, and the train has one only")
            sent = self._intensities[where]
        edges = np.cumsum(kernel.probability, axis=3)
        uniform, branch = rng.random(count), np.zeros(count, dtype=np.intp)
        live: NDArray[np.intp] | slice = slice(None)  # the pulses that take none of the branches so far
        for i in range(kernel.branches - 1):
            kinds = sent[live] if isinstance(sent, np.ndarray) else sent
            beyond = np.flatnonzero(uniform[live] >= edges[..., i][kinds, states[live], photons[live]])
            live = beyond if isinstance(live, slice) else live[beyond]
            branch[live] += 1
        way = (sent, states, photons, branch)
        flags, notes = kernel.flags[way], kernel.note[way]
        after = kernel.photons[way], kernel.state[way]
        self._photons[where], self._states[where] = after
        self._single = self._single and bool(self._photons[where].max(initial=0) <= 1)
        if self._flags is None and flags.any():
            self._flags = np.zeros(len(self), dtype=np.uint8)
        if self._flags is not None:  # nor do marks on nothing
            self._flags[where] *= photons > 0
            self._flags[where] |= flags
            self._flags[where] *= self._photons[where] > 0
        return Written(where.start, notes)

    def measure(
        self,
        where: slice,
        settings: NDArray[np.uint8],
        rng: np.random.Generator,
        only: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int8]:
        """Measure by Born's rule; one photon goes on in the state found, and where both detectors fired a coin decides."""
        met = self._photons[where].astype(np.bool_)
        local = np.flatnonzero(met if only is None else met & only)
        positions, settings = local + where.start, settings[local]
        if self._single:
            found = self._found(positions, settings, rng)
        else:
            zeros, ones = self._split(positions, settings, rng)
            coin = rng.integers(0, 2, len(local), dtype=np.uint8)
            found = np.where((zeros > 0) & (ones > 0), coin, (ones > 0).astype(np.uint8)).astype(np.uint8)
            self._photons[positions] = 1
            self._states[positions] = np.where(found, OPPOSITE[settings], settings)
        outcomes = np.full(where.stop - where.start, NO_PHOTON, dtype=np.int8)
        outcomes[local] = found
        return outcomes

    def _found(
        self, positions: NDArray[np.int64], settings: NDArray[np.uint8], rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        zero = BORN[self._states[positions], settings]
        found: NDArray[np.uint8] = (rng.random(len(positions)) >= zero).astype(np.uint8)
        self._states[positions] = np.where(found, OPPOSITE[settings], settings)
        return found

    def _split(
        self, positions: NDArray[np.int64], settings: NDArray[np.uint8], rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """How many photons of each pulse go to either detector. uint8[m] each."""
        counts = self._photons[positions]
        ones = np.empty(len(positions), dtype=np.uint8)
        single, many = np.flatnonzero(counts == 1), np.flatnonzero(counts > 1)
        ones[single] = rng.random(len(single)) >= BORN[self._states[positions[single]], settings[single]]
        ones[many] = counts[many] - rng.binomial(
            counts[many], BORN[self._states[positions[many]], settings[many]]
        )
        return counts - ones, ones

    def expose(  # noqa: C901  one case after another, each of a few lines
        self, where: slice, response: Response, choice: Choice, rng: np.random.Generator
    ) -> Exposure:
        """Let the photons fall on the detectors one by one."""
        gates = where.stop - where.start
        chosen = choice.draw(gates, rng)
        flags = None
        if self._flags is not None:
            flags = self._flags[where]
            flags *= self._photons[where] > 0
            if response.passive:
                steered = np.flatnonzero(flags & STEERED)
                chosen[steered] = _steered(self._states[where][steered], choice)
        reduced: NDArray[np.bool_] | None = None
        if response.attenuated_share:
            reduced = rng.random(gates) < response.attenuated_share
        patterns = np.zeros(gates, dtype=np.uint8)
        dark, bright = None, 0
        if flags is not None:
            faked = np.flatnonzero(flags & _FAKED)
            zero = BORN[self._states[where][faked], choice.settings[chosen[faked]]]
            patterns[faked] = (zero == 1.0) * np.uint8(FIRED_0) | (zero == 0.0) * np.uint8(FIRED_1)
            if reduced is not None and response.attenuation != 1.0:
                patterns[faked[reduced[faked]]] = 0
            blinded = (flags & BRIGHT) > 0
            dark, bright = ~blinded, int(np.count_nonzero(blinded))
            self._photons[where][faked] = 0
        self._thin(where, float(response.efficiency.max()), 0, rng)
        local = np.flatnonzero(self._photons[where])
        if len(local):
            patterns[local] = self._patterns(
                local, where.start, choice.settings[chosen[local]], response, reduced, rng
            )
        self._photons[where] = 0
        for detector, noise in enumerate(response.noise):
            noisy = rare_events(gates, float(noise), rng)
            if dark is not None:
                noisy = noisy[dark[noisy]]
            patterns[noisy] |= np.uint8(FIRED_0 << detector)
        slots = np.flatnonzero(patterns)
        found = patterns[slots]
        if flags is not None:
            for mark, bit in ((EARLY, CAME_EARLY), (LATE, CAME_LATE), (AFTER_GATE, CAME_AFTER_GATE)):
                found |= ((flags[slots] & mark) > 0) * np.uint8(bit)
        if reduced is not None:
            found |= reduced[slots] * np.uint8(ATTENUATED)
        return Exposure(slots, chosen[slots], found, bright, lambda at: chosen[at])

    def _patterns(
        self,
        local: NDArray[np.int64],
        start: int,
        settings: NDArray[np.uint8],
        response: Response,
        reduced: NDArray[np.bool_] | None,
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Which detectors the photons of some pulses fire, of which only those are left that the best detector would see."""
        positions = local + start
        share = response.efficiency / response.efficiency.max()
        flags = np.zeros(1, dtype=np.uint8) if self._flags is None else self._flags[positions]
        odds: NDArray[np.float64] | None = None
        if reduced is not None:
            odds = share[flags] * np.where(reduced[local], response.attenuation, 1.0)[:, None]
        elif not np.all(share[flags] == 1.0):
            odds = np.broadcast_to(share[flags], (len(local), 2))
        if self._single:
            found = self._found(positions, settings, rng)
            seen: NDArray[np.uint8] = np.uint8(FIRED_0) << found
            if odds is not None:
                seen *= rng.random(len(found)) < odds[np.arange(len(found)), found]
            return seen
        zeros, ones = self._split(positions, settings, rng)
        if odds is not None:
            zeros = rng.binomial(zeros, odds[:, 0]).astype(np.uint8)
            ones = rng.binomial(ones, odds[:, 1]).astype(np.uint8)
        both: NDArray[np.uint8] = (zeros > 0) * np.uint8(FIRED_0) | (ones > 0) * np.uint8(FIRED_1)
        return both

    def replace(self, where: slice, other: Train) -> None:
        """The photons of `where` are blocked and those of `other` go on in their place."""
        if type(other) is not PulseTrain or len(other) != len(self):  # half a pair is no pulse with a state
            raise TypeError(f"a dense train takes in another of its length, got a {type(other).__name__}")
        self._states[where] = other._states[where]
        self._photons[where] = other._photons[where]
        self._single = self._single and other._single
        if self._flags is not None:
            self._flags[where] = 0
        if other._intensities is not None:
            self._intensities = other._intensities
        other._photons[where] = 0


def _steered(states: NDArray[np.uint8], choice: Choice) -> NDArray[np.uint8]:
    """The setting along whose axis a state lies; the first one where there is none."""
    along = np.isin(BORN[states][:, choice.settings], (0.0, 1.0))
    first: NDArray[np.intp] = np.argmax(along, axis=1)
    return first.astype(np.uint8)
