"""The exact joint distribution of what both sides of a source of pairs may register.

Whatever is done to a half until it is absorbed amounts to one measurement, and each of its results (what the detectors showed, what an
attacker noted) to an *effect*: an operator on the half that is diagonal in the Fock basis of a setting, or a sum of such. How likely two
results are together is linear in the one effect and in the other. Nothing is drawn here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.ensemble import Ensemble, Source, groups
from netsim.photonics.light import BORN, NOTHING, NUMBER, OPPOSITE, PHOTONS, STATE, Branch, Kernel, kernel
from netsim.photonics.pairs import STEPS, PairState, turned
from netsim.photonics.train import ATTENUATED, FIRED_0, FIRED_1, FIRED_BOTH, Choice, Response

AXES = STEPS // 2
"""Settings that are not each other's opposites."""

_NOTED = kernel(Branch(1.0, note=np.where(NUMBER > 0, STATE, np.uint8(NOTHING))))
_EMPTY = STEPS  # the symbol of an interception that found nothing; the others are the states found


@dataclasses.dataclass(frozen=True)
class Effects:
    """All that one side may register of a slot, and what each of it says of the light that left the source.

    Attributes:
        setting: uint8[m], the receiver's.
        pattern: uint8[m], of the click; 0 is none.
        notes: uint8[intercepts, m], of an attacker on this side.
        weight: float64[m, AXES, N, N]: [row, setting, n, j] is the part of the effect that is diagonal in the Fock basis of that setting,
            for n photons of which j are in its state; N − 1 pairs are the most that a slot has. Over all rows they sum to the identity.
    """

    setting: NDArray[np.uint8]
    pattern: NDArray[np.uint8]
    notes: NDArray[np.uint8]
    weight: NDArray[np.float64]

    @classmethod
    def together(cls, parts: Sequence[Effects]) -> Effects:
        """The rows of all."""
        return cls(
            np.concatenate([part.setting for part in parts]),
            np.concatenate([part.pattern for part in parts]),
            np.concatenate([part.notes for part in parts], axis=1),
            np.concatenate([part.weight for part in parts]),
        )

    def merged(self) -> Effects:
        """Rows that show the same added up, and those that cannot be left out."""
        order, starts = groups([self.setting, self.pattern, *self.notes])
        weight = np.add.reduceat(self.weight[order], starts)
        possible = np.any(weight > 0.0, axis=(1, 2, 3))
        first = order[starts][possible]
        return Effects(self.setting[first], self.pattern[first], self.notes[:, first], weight[possible])

    def alone(self, source: PairState) -> NDArray[np.float64]:
        """float64[m], how likely each row is, whatever happens on the other side."""
        numbers = source.numbers
        per_state = numbers / np.arange(1, len(numbers) + 1)
        likely: NDArray[np.float64] = np.einsum("rsnj,n->r", self.weight, per_state)
        return likely

    def joint(self, other: Effects, source: PairState) -> NDArray[np.float64]:
        """How likely each row of this half is together with each row of the other.

        Of n pairs each split (j, n − j) along a setting has probability 1/(n + 1), and leaves the other half in the same.

        Returns:
            float64[m, m of the other], sums to 1.
        """
        likely = np.zeros((len(self.setting), len(other.setting)))
        steps = np.subtract.outer(np.arange(AXES), np.arange(AXES)) % STEPS
        for n, probability in enumerate(source.numbers):
            if probability:
                found = turned()[steps, n, : n + 1, : n + 1]
                found = (1.0 - source.flipped) * found + source.flipped * found[..., ::-1]
                size = AXES * (n + 1)
                between = found.transpose(0, 2, 1, 3).reshape(size, size) * (probability / (n + 1))
                mine = self.weight[:, :, n, : n + 1].reshape(-1, size)
                likely += mine @ between @ other.weight[:, :, n, : n + 1].reshape(-1, size).T
        return likely


class Arm:
    """What one half goes through, step by step, until detectors absorb it.

    Args:
        source: of the pairs.
    """

    def __init__(self, source: PairState) -> None:
        self._size = len(source.numbers)
        self._transmittance = 1.0
        self._flipped = 0.0
        self._intact = 1.0
        self._intercepts = 0
        self._resent: list[tuple[Ensemble, NDArray[np.float64]]] = []

    def lose(self, transmittance: float) -> None:
        """Each photon survives with probability `transmittance`."""
        self._transmittance *= transmittance
        for ensemble, _ in self._resent:
            ensemble.lose(transmittance)

    def flip(self, probability: float) -> None:
        """Each half is turned to the orthogonal state with this probability."""
        self._flipped += probability * (1.0 - 2.0 * self._flipped)
        for ensemble, _ in self._resent:
            ensemble.flip(probability)

    def intercept(self, choice: Choice, fraction: float) -> None:
        """Some halves are measured and one photon goes on in the state found; see `Half.intercept`."""
        again = _interception(choice, fraction)
        for ensemble, _ in self._resent:
            ensemble.act(again)
        symbols = np.arange(STEPS + 1, dtype=np.uint8)
        nothing, photon = np.eye(PHOTONS)[:2]
        zeros = np.zeros_like(symbols)
        ensemble = Ensemble(
            Source(
                np.full(len(symbols), 1.0 / len(symbols)),
                zeros,
                zeros,
                (symbols != _EMPTY).astype(np.uint8),
                symbols % STEPS,
                np.stack([nothing, photon]),
            )
        )
        for _ in range(self._intercepts):
            ensemble.untouched()
        ensemble.act(_NOTED)
        silent, fires = _seen(self._transmittance, 0.0, self._size)
        effect = np.zeros((len(symbols), AXES, self._size, self._size))
        # A coin decides between two detectors that fired: s·f for this one alone and f·f/2 for both, with f = 1 − s.
        one = _product(fires, (1.0 + silent) / 2)
        for setting, probability in zip(choice.settings, choice.probabilities, strict=True):
            for found in (int(setting), int(OPPOSITE[setting])):
                effect[found] += probability * self._along(found, one)
        effect[_EMPTY] = self._along(0, _product(silent, silent))
        self._resent.append((ensemble, effect * (self._intact * fraction)))
        self._intact *= 1.0 - fraction
        self._intercepts += 1

    def elsewhere(self) -> None:
        """An interception of other slots: nothing is noted."""
        for ensemble, _ in self._resent:
            ensemble.untouched()
        self._intercepts += 1

    def effects(self, response: Response, choice: Choice) -> Effects:
        """Let it fall on detectors."""
        return Effects.together(
            [self._whole(response, choice), *(self._photon(part, response, choice) for part in self._resent)]
        ).merged()

    def _whole(self, response: Response, choice: Choice) -> Effects:
        """Where nobody was in between."""
        share = response.attenuated_share
        scales = [(1.0 - share, 1.0, 0)] + ([(share, response.attenuation, ATTENUATED)] if share else [])
        settings, patterns, weights = [], [], []
        for chance, scale, mark in scales:
            seen = self._transmittance * scale * response.efficiency[0]
            (silent0, fires0), (silent1, fires1) = (
                _seen(float(q), float(noise), self._size)
                for q, noise in zip(seen, response.noise, strict=True)
            )
            shown = {
                0: _product(silent0, silent1),
                FIRED_0 | mark: _product(fires0, silent1),
                FIRED_1 | mark: _product(silent0, fires1),
                FIRED_BOTH | mark: _product(fires0, fires1),
            }
            for i, probability in enumerate(choice.probabilities):
                for pattern, effect in shown.items():
                    settings.append(i)
                    patterns.append(pattern)
                    weight = self._along(int(choice.settings[i]), effect)
                    weights.append(weight * (chance * probability * self._intact))
        notes = np.full((self._intercepts, len(settings)), NOTHING, dtype=np.uint8)
        return Effects(
            np.array(settings, dtype=np.uint8), np.array(patterns, dtype=np.uint8), notes, np.stack(weights)
        )

    @staticmethod
    def _photon(resent: tuple[Ensemble, NDArray[np.float64]], response: Response, choice: Choice) -> Effects:
        """Where a photon of known state went on: as with any pulse, for each state that it may have."""
        ensemble, effect = resent
        law = ensemble.law(response, choice)
        possible = np.any(effect > 0.0, axis=(1, 2, 3))[law.symbol]
        symbol = law.symbol[possible]
        given = law.probability[possible] * len(effect)
        return Effects(
            law.setting[possible],
            law.pattern[possible],
            law.notes[:, possible],
            effect[symbol] * given[:, None, None, None],
        )

    def _along(self, setting: int, effect: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[AXES, N, N]: an effect that is diagonal along a setting, seen from before the flips."""
        opposite = np.zeros_like(effect)
        for n in range(self._size):
            opposite[n, : n + 1] = effect[n, n::-1]
        if setting >= AXES:
            effect, opposite = opposite, effect
        along = np.zeros((AXES, *effect.shape))
        along[setting % AXES] = (1.0 - self._flipped) * effect + self._flipped * opposite
        return along


def _seen(q: float, noise: float, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """That a detector stays silent, and that it fires, by the number of photons; as sums of positive terms.

    Args:
        q: probability that one photon fires it.
        noise: that it fires without light.
        size: for 0 .. size − 1 photons.
    """
    silent, fires = np.empty(size), np.empty(size)
    silent[0], fires[0] = 1.0 - noise, noise
    for n in range(1, size):
        silent[n] = silent[n - 1] * (1.0 - q)
        fires[n] = fires[n - 1] + silent[n - 1] * q
    return silent, fires


def _product(zero: NDArray[np.float64], one: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[N, N], [n, j]: something that depends on the j photons of outcome 0, times something on the n − j others."""
    n, j = np.ogrid[: len(zero), : len(zero)]
    product: NDArray[np.float64] = np.where(j <= n, zero[j] * one[np.maximum(n - j, 0)], 0.0)
    return product


def _interception(choice: Choice, fraction: float) -> Kernel:
    """The same done to a photon that was sent on by another interception: it has a state."""
    measured = np.where(NUMBER > 0, fraction, 0.0)
    branches = [Branch(1.0 - measured)]
    for setting, probability in zip(choice.settings, choice.probabilities, strict=True):
        for found in (int(setting), int(OPPOSITE[setting])):
            born = BORN[:, found][None, :, None]
            # of many photons in one state as well, all found alike or a coin: no train of halves has them
            chance = (1.0 + born**NUMBER - (1.0 - born) ** NUMBER) / 2
            branches.append(Branch(measured * probability * chance, state=found, photons=1, note=found))
    return kernel(*branches)
