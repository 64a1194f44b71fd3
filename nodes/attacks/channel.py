"""Attacks on the light: what they have in common, and those that measure and send on what was found."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import (
    BORN,
    NUMBER,
    OPPOSITE,
    PHOTONS,
    SHIELDED,
    STATE,
    Branch,
    Kernel,
    kernel,
    poisson_numbers,
    thinning,
)
from netsim.photonics.pairs import Half
from netsim.photonics.sampled import SampledTrain
from netsim.photonics.train import Choice, Train
from netsim.random_streams import random_bits
from nodes.attacks.action import Action, parameter
from nodes.attacks.gain import arriving, gates, usual_gains
from nodes.attacks.surroundings import Surroundings

if TYPE_CHECKING:
    from nodes.eve import Eve


class PulseByPulse(abc.ABC):
    """What all attacks on the light do to a train.

    No subclass of Action itself, so that the actions of the catalogue are exactly Action's own subclasses.

    Class attributes:
        needs: what a link must have for it: "weak pulses" (a source that sends several photons at times), "pulses" (a grain that
            knows photon numbers: not single qubits), "prepared" (Alice prepares: no pairs).
    """

    family: ClassVar[str] = "channel"
    needs: ClassVar[tuple[str, ...]] = ("pulses", "prepared")

    def requires(self) -> tuple[str, ...]:
        """What a link must have for the attack with these parameters: names as in `needs`."""
        return self.needs

    @abc.abstractmethod
    def kernel(self, knows: Surroundings) -> Kernel:
        """What happens to a pulse at Eve's place."""

    def holevo_bits_per_bit(self, knows: Surroundings) -> float:  # noqa: ARG002  not every attack keeps something to measure later
        """The most that measuring all she kept together can give, in bits per sifted bit of the signal.

        A bound, not a count: notes hold what she would find measuring pulse by pulse. 0 where notes hold all there is.
        """
        return 0.0

    def on_photons(self, eve: Eve, train: Train, where: slice, receiver: str) -> None:  # noqa: ARG002  the hook's
        """Treat the pulses, and write down what was found."""
        eve.notebook.note(train.block, train.act(where, self.kernel(eve.knows), eve.random("light")))


def imitating(misalignment: float, *branches: Branch) -> tuple[Branch, ...]:
    """The branches of an attack whose own channel makes the errors of the one it takes the place of.

    Without them the error rate would fall, and tell. Each shielded branch is turned to the orthogonal state as often as the
    fibre would have done it; her note is of the state before.
    """
    if not misalignment:
        return branches
    straight = [
        dataclasses.replace(b, probability=b.probability * (1.0 - misalignment)) if _shielded(b) else b
        for b in branches
    ]
    turned = [
        dataclasses.replace(
            b,
            probability=b.probability * misalignment,
            state=OPPOSITE[STATE if b.state is None else b.state],
        )
        for b in branches
        if _shielded(b)
    ]
    return (*straight, *turned)


def _shielded(branch: Branch) -> bool:
    return bool(np.any(np.asarray(branch.flags) & SHIELDED))


def found_zero(setting: int) -> NDArray[np.float64]:
    """float64[1, STATES, PHOTONS], how often threshold detectors that miss nothing say 0: ½(1 + p^n − (1−p)^n).

    p is the probability that one photon goes to detector 0; where both fire, a coin decides.
    """
    zero = BORN[:, setting][None, :, None]
    number = np.arange(PHOTONS)[None, None, :]
    share: NDArray[np.float64] = (1.0 + zero**number - (1.0 - zero) ** number) / 2
    return share


_BASES = {"random": (0, 2), "three": (0, 2, 8), "z": (0,), "x": (2,), "y": (8,), "breidbart": (1,)}
_BRIGHTEST = 4.0  # mean photon number; 1e-18 of such pulses have more photons than are told apart
_RARE = 1e-15


@dataclasses.dataclass(frozen=True)
class InterceptResend(PulseByPulse, Action):
    """Measure a fraction of the pulses and send on what was found."""

    id: ClassVar[str] = "eve.intercept_resend"
    sign: ClassVar[str] = (
        "random basis: QBER = [1-(1-2Q0)(1-p/2)]/2; z or x: error p/2 in the other basis only; breidbart: p/4 in both, less where a "
        "pulse has several photons; six states, three: p/3 in each; y: p/2 in z and x; single photons resent: gain of weak pulses "
        "down to 1-(1-p)e^(-ηµ)-p[1-η(1-e^(-µ))]; coherent: signal's gain as before, a weaker decoy's up; "
        "E91: S = 2√2(1-2Q0)(1-p/2) whatever the basis, errors at 22.5° and 45°: p/4 and p/4 (random), p/4 and p/2 (z), "
        "p/4 and 0 (x), 0 and p/4 (breidbart, which is 22.5°)"
    )
    gets: ClassVar[str] = (
        "random, z or x: p/2 of the sifted bits, for sure; breidbart: each guess right at 0.854; six states, one basis or three: p/3; "
        "E91: sure of bits at her own angle, right at 0.854 one setting (22.5°) away, a coin's toss at two"
    )
    source: ClassVar[str] = "Bennett, Bessette, Brassard, Salvail, Smolin 1992"
    defences: ClassVar[tuple[str, ...]] = (
        "abort_above_qber",
        "abort_below_chsh",
        "per-basis error test",
        "privacy amplification",
    )
    needs: ClassVar[tuple[str, ...]] = ()

    fraction: float = parameter(
        1.0, "fraction", "share of the pulses that are measured", minimum=0.0, maximum=1.0
    )
    basis: Literal["random", "three", "z", "x", "y", "breidbart"] = parameter(
        "random",
        "choice",
        "the basis she measures in; random is Z or X, three is Z, X or Y",
        choices=("random", "three", "z", "x", "y", "breidbart"),
    )
    resend: Literal["single", "coherent"] = parameter(
        "single",
        "choice",
        "what she sends on: one photon, or a weak pulse as bright as keeps the signal's gain what it was",
        choices=("single", "coherent"),
    )

    def takes_registers(self) -> bool:
        """It measures a photon, whatever it is part of."""
        return self.resend == "single"

    def requires(self) -> tuple[str, ...]:
        """Y is written for prepared pulses only, and a weak pulse is not one qubit."""
        demanding = self.resend == "coherent" or self.basis in ("y", "three")
        return ("pulses", "prepared") if demanding else ()

    def kernel(self, knows: Surroundings) -> Kernel:
        """Measure with threshold detectors; a double click is given a random outcome."""
        met = (NUMBER > 0).astype(np.float64) * self.fraction
        photons = np.eye(2)[1] if self.resend == "single" else _as_bright(self.brightness(knows))
        settings = _BASES[self.basis]
        ways = [
            Branch(
                met / len(settings) * chance * float(weight),
                state,
                n,
                note=state,
            )
            for setting in settings
            for state, chance in (
                (setting, found_zero(setting)),
                (int(OPPOSITE[setting]), 1.0 - found_zero(setting)),
            )
            for n, weight in enumerate(photons)
            if weight
        ]
        return kernel(Branch(1.0 - met), *ways)

    def brightness(self, knows: Surroundings) -> float:
        """Mean photon number ν of the pulses she sends with `resend` coherent.

        She sends one for each pulse in which she found something, over the usual channel; Bob's signal gain g stays if
        (1 − P0)(1 − e^(−νη)) = g. Where hardly a photon is lost that takes more light than 4 photons; then it is 4.
        """
        found, gain = 1.0 - float(arriving(knows)[0, 0]), float(usual_gains(knows)[0])
        if not gain:
            return 0.0
        silent, mean = 1.0 - gain / found, 0.0
        while mean < _BRIGHTEST:
            # Newton's steps on a sum of falling exponentials, one for each efficiency of Bob's, never overshoot.
            terms = [(share * math.exp(-mean * knows.behind * seen), seen) for share, seen in gates(knows)]
            slope = sum(term * knows.behind * seen for term, seen in terms)
            step = (sum(term for term, _ in terms) - silent) / slope
            mean += step
            if step <= 1e-14 * mean:
                break
        return min(_BRIGHTEST, mean)

    def on_photons(self, eve: Eve, train: Train, where: slice, receiver: str) -> None:
        """Measure some pulses; what she found goes on in their place."""
        if self.resend == "single" and isinstance(train, Half):
            bases = Choice.uniform(np.array(_BASES[self.basis], dtype=np.uint8))
            found = train.intercept(where, bases, self.fraction, eve.random("light"))
            eve.notebook.note(train.block, found)
            return
        if self.resend == "coherent" or isinstance(train, SampledTrain):
            super().on_photons(eve, train, where, receiver)
            return
        # Measuring is the same law as the kernel's, is quicker, and can be done to qubits.
        count = where.stop - where.start
        chosen = None if self.fraction >= 1.0 else eve.random("choice").random(count) < self.fraction
        settings = self._settings(count, eve.random("settings"))
        outcomes = train.measure(where, settings, eve.random("outcomes"), chosen)
        eve.notebook.measured(train.block, where, settings, outcomes)

    def _settings(self, count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        bases = np.array(_BASES[self.basis], dtype=np.uint8)
        if len(bases) == 1:
            return np.full(count, bases[0], dtype=np.uint8)
        if len(bases) == 2:
            return bases[random_bits(count, rng)]
        return bases[rng.integers(0, len(bases), count, dtype=np.uint8)]


def _as_bright(mean: float) -> NDArray[np.float64]:
    """Photon numbers of a weak pulse, those above a quadrillionth of the pulses counted to the last."""
    numbers = poisson_numbers(mean)
    most = int(np.flatnonzero(numbers > _RARE)[-1])
    kept = numbers[: most + 1].copy()
    kept[-1] += numbers[most + 1 :].sum()
    return kept


@dataclasses.dataclass(frozen=True)
class NoiseMasked(PulseByPulse, Action):
    """Swap the channel for one without errors, and make its errors by measuring.

    She lets as many photons through as the channel did, so all gains stay. Of the pulses of which one photon goes on she measures
    so many, each in a basis of Alice's at random, that her errors are the share `masking` of the channel's; she adds the others.
    A single photon measured so cannot be told from one that the fibre has turned: every count is what it was, double clicks too.
    """

    id: ClassVar[str] = "eve.noise_masked"
    sign: ClassVar[str] = "nothing to see: gains, QBER = Q0 in each basis, double clicks as before"
    gets: ClassVar[str] = (
        "with b bases (2, or 3 with six states) she measures m·Q0·2b/(b-1) of the pulses and knows m·2Q0/(b-1) of the sifted bits: "
        "of four states 4Q0 and 2Q0; where two photons arrive at Bob, nothing"
    )
    source: ClassVar[str] = "Bennett, Bessette, Brassard, Salvail, Smolin 1992: all errors are laid to Eve"
    defences: ClassVar[tuple[str, ...]] = ("privacy amplification",)

    masking: float = parameter(
        1.0,
        "fraction",
        "share of the channel's usual errors that she makes by measuring",
        minimum=0.0,
        maximum=1.0,
    )

    def fraction(self, knows: Surroundings) -> float:
        """Share of the pulses that she measures: at most all."""
        bases = len(knows.states)
        return min(1.0, self.masking * knows.misalignment * 2 * bases / max(1, bases - 1))

    def kernel(self, knows: Surroundings) -> Kernel:
        """First lose, then measure what is left if it is one photon, then turn as many as are wanting."""
        left = thinning(knows.behind)[None, None]
        measured = self.fraction(knows)
        settings = [int(state) for state in knows.states[:, 0]]
        error = measured * (1.0 - 1.0 / len(settings)) / 2
        wanting = max(0.0, knows.misalignment - error) / (1.0 - 2.0 * error)
        several = [Branch(left[..., k], None, k, SHIELDED) for k in range(2, PHOTONS)]
        passed = Branch(left[..., 1] * (1.0 - measured), None, 1, SHIELDED)
        found = [
            Branch(left[..., 1] * measured / len(settings) * chance, state, 1, SHIELDED, state)
            for setting in settings
            for state, chance in (
                (setting, found_zero(setting)),
                (int(OPPOSITE[setting]), 1.0 - found_zero(setting)),
            )
        ]
        return kernel(
            Branch(left[..., 0], None, 0),
            *imitating(wanting, passed, *found),
            *imitating(knows.misalignment, *several),
        )
