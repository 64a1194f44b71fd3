"""Attacks on pulses that sometimes have several photons: splitting, beam splitting, telling states apart for sure.

Her own channel makes the errors that the fibre would have made (`imitating`), so QBER says nothing; what she cannot hide is how often
a pulse of n photons makes Bob click, and decoys measure that.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.light import (
    NUMBER,
    PHOTONS,
    SHIELDED,
    STATE,
    STATES,
    Branch,
    Kernel,
    kernel,
    thinning,
)
from nodes.attacks.action import Action, parameter
from nodes.attacks.channel import PulseByPulse, imitating
from nodes.attacks.gain import arriving, clicking, usual_gains
from nodes.attacks.surroundings import Surroundings

_WEAK = ("weak pulses", "pulses", "prepared")
_ONE_LESS: NDArray[np.uint8] = np.maximum(NUMBER, 1) - np.uint8(1)


def _share(part: float, whole: float) -> float:
    """A quotient that is a probability but for rounding; 0 of nothing."""
    return min(1.0, max(0.0, float(part / whole))) if whole else 0.0


@dataclasses.dataclass(frozen=True)
class Split:
    """What photon-number splitting does, as shares.

    Attributes:
        taken: of the pulses of two photons and more, of which she keeps one.
        singles_blocked: of the single photons.
        several_blocked: of the pulses of two photons and more.
    """

    taken: float
    singles_blocked: float
    several_blocked: float


@dataclasses.dataclass(frozen=True)
class PhotonNumberSplitting(PulseByPulse, Action):
    """Count the photons of each pulse, and keep one of several until the basis is announced."""

    id: ClassVar[str] = "eve.photon_number_splitting"
    sign: ClassVar[str] = (
        "gain preserved: signal's gain and QBER unchanged; she blocks every single photon if 1-(1+µ)e^(-µ) ≥ 1-e^(-ηµ) (perfect "
        "detectors; 7.37 dB at µ=0.48), and a weaker decoy's gain falls from 1-e^(-ην) to that of its pulses of several photons, about "
        "(ν/µ)² of the signal's; double clicks fewer at little loss, many times more at great loss; gain not preserved: QBER unchanged, gain 1-e^(-µ)[1+µ(1-η)+(e^(µ(1-η))-1-µ(1-η))/(1-η)]"
    )
    gets: ClassVar[str] = (
        "gain preserved, share b of the single photons blocked: 1-(1-b)µe^(-µ)η_det/(1-e^(-ηµ)) of the bits (no dark counts), for sure: all of "
        "them from 7.37 dB on; else the bits of the clicks of pulses with two photons and more"
    )
    source: ClassVar[str] = (
        "Huttner, Imoto, Gisin, Mor 1995; Brassard, Lütkenhaus, Mor, Sanders 2000; double clicks: Lütkenhaus, Jahma 2002"
    )
    defences: ClassVar[tuple[str, ...]] = ("decoys", "double-click monitor", "single photons")
    needs: ClassVar[tuple[str, ...]] = _WEAK

    preserve_gain: bool = parameter(
        True,
        "flag",
        "whether she has a channel without loss, and blocks so much that the signal's gain stays; without it what is left of a pulse "
        "goes on over the fibre",
    )

    def split(self, knows: Surroundings) -> Split:
        """How much she blocks, so that the signal's gain stays what it was.

        Single photons first; where even without them there are too many clicks, pulses of several photons as well. Where there
        would be too few even if none were blocked (hardly any loss, poor detectors), she keeps a photon of a part only.
        """
        numbers, clicks = arriving(knows)[0], clicking(knows)
        wanted = float(usual_gains(knows)[0])
        singles = float(numbers[1] * clicks[1])
        whole, rest = float(numbers[2:] @ clicks[2:]), float(numbers[2:] @ clicks[1:-1])
        if whole > rest and singles + rest < wanted:
            return Split(_share(singles + whole - wanted, whole - rest), 0.0, 0.0)
        if rest <= wanted:
            return Split(1.0, 1.0 - _share(wanted - rest, singles), 0.0)
        return Split(1.0, 1.0, 1.0 - _share(wanted, rest))

    def kernel(self, knows: Surroundings) -> Kernel:
        """One photon of several stays with her, and she will read the bit when the basis is known."""
        none, single, several = (case.astype(np.float64) for case in (NUMBER == 0, NUMBER == 1, NUMBER > 1))
        if not self.preserve_gain:
            return kernel(Branch(1.0 - several), Branch(several, None, _ONE_LESS, note=STATE))
        split = self.split(knows)
        blocked = split.several_blocked
        return kernel(
            Branch(none),
            Branch(single * split.singles_blocked, None, 0),
            Branch(several * blocked, None, 0, note=STATE),
            *imitating(
                knows.misalignment,
                Branch(single * (1.0 - split.singles_blocked), None, None, SHIELDED),
                Branch(several * (1.0 - blocked) * split.taken, None, _ONE_LESS, SHIELDED, STATE),
                Branch(several * (1.0 - blocked) * (1.0 - split.taken), None, None, SHIELDED),
            ),
        )


@dataclasses.dataclass(frozen=True)
class BeamSplitting(PulseByPulse, Action):
    """Keep the light that the fibre would have lost: a channel without loss, behind a beam splitter of its transmittance."""

    id: ClassVar[str] = "eve.beam_splitting"
    sign: ClassVar[str] = (
        "nothing to see: every gain, error rate and double click, of every intensity, as before"
    )
    gets: ClassVar[str] = (
        "the bits of clicks at which a photon went to her: 1-e^(-µ(1-η)) of them, η the fibre's transmittance behind her, whether "
        "Bob's detector saw his or not (in a coherent pulse the two shares are independent)"
    )
    source: ClassVar[str] = "Bennett, Bessette, Brassard, Salvail, Smolin 1992"
    defences: ClassVar[tuple[str, ...]] = ("privacy amplification", "single photons")
    needs: ClassVar[tuple[str, ...]] = _WEAK

    def kernel(self, knows: Surroundings) -> Kernel:
        """As many photons go on as would have come through the fibre."""
        left = thinning(knows.behind)[None, None]
        kept = np.where(NUMBER[..., None] > np.arange(PHOTONS), STATE[..., None], np.uint8(255))
        ways = [
            Branch(left[..., k], None, k, SHIELDED if k else 0, kept[..., k].astype(np.uint8))
            for k in range(PHOTONS)
        ]
        return kernel(*imitating(knows.misalignment, *ways))


def unambiguous(states: NDArray[np.uint8], photons: int) -> tuple[float, NDArray[np.float64]]:
    """Telling a set of states of several photons apart without error, at the price of no answer at times.

    All states are recognised equally often, so that no basis is favoured: as often as the smallest eigenvalue of their Gram matrix
    says. Of equally likely states that rotations take into each other nothing does better, as one may average over the rotations; for
    states on a circle that is Chefles, Barnett 1998. Of BB84's it is 1 − 2^(1−⌊(n+1)/2⌋), n ≥ 1 (Dušek, Jahma, Lütkenhaus 2000).

    Args:
        states: uint8[k], different from each other.
        photons: n, copies of the state at hand.

    Returns:
        How often a state of the set is recognised, and float64[k, STATES]: how often each state is taken for each of them.
    """
    angle = np.arange(8) * np.pi / 8
    vectors = np.zeros((STATES, 2), dtype=np.complex128)
    vectors[:8, 0], vectors[:8, 1] = np.cos(angle), np.sin(angle)
    vectors[8:] = np.array([[1, 1j], [1, -1j]]) / np.sqrt(2)
    overlap = (vectors.conj() @ vectors.T)[states] ** photons
    gram = overlap[:, states]
    success = float(np.linalg.eigvalsh(gram)[0])
    if success < 1e-9:
        return 0.0, np.zeros((len(states), STATES))
    taken = success * np.abs(np.linalg.solve(gram, overlap)) ** 2
    taken[taken < 1e-12] = 0.0
    return success, taken


@dataclasses.dataclass(frozen=True)
class Brightness:
    """What she sends where she knows the state.

    Attributes:
        attacked: share of the pulses that she tries; the others go on as they are, without loss.
        photons: how many photons she sends at least.
        one_more: how often it is one more.
    """

    attacked: float
    photons: int
    one_more: float


@dataclasses.dataclass(frozen=True)
class UnambiguousDiscrimination(PulseByPulse, Action):
    """Measure so that the state is sure or nothing is known; send it on if it is sure, block the pulse if not."""

    id: ClassVar[str] = "eve.unambiguous_discrimination"
    sign: ClassVar[str] = (
        "n photons of the four states are told apart with P_n = 1-2^(1-⌊(n+1)/2⌋), 0 for n ≤ 2; gain preserved: signal's gain and QBER "
        "unchanged, all pulses attacked where ΣP(n)P_n is at least the signal's gain; a weaker decoy's gain falls about as (ν/µ)³; bright "
        "pulses raise double clicks where the bases differ; gain not preserved: gain Σ P(n)P_n[1-(1-η_det)^n]"
    )
    gets: ClassVar[str] = (
        "the bits of clicks at attacked pulses, for sure, when they are detected, no basis need be announced: all of them (no dark counts) where "
        "all are attacked, else the share q·ΣP(n)P_n·[1-(1-η_det)^31]/(1-e^(-ηµ)) for a share q"
    )
    source: ClassVar[str] = "Dušek, Jahma, Lütkenhaus 2000; Chefles, Barnett 1998"
    defences: ClassVar[tuple[str, ...]] = ("decoys", "double-click monitor", "single photons")
    needs: ClassVar[tuple[str, ...]] = _WEAK

    preserve_gain: bool = parameter(
        True,
        "flag",
        "whether she attacks so many pulses, and sends on so many photons, that the signal's gain stays; without it she attacks all, and "
        "sends on as many photons as came",
    )

    def brightness(self, knows: Surroundings) -> Brightness:
        """As few photons as keep the signal's gain; where 31 are too few she attacks a share of the pulses only."""
        success, _ = _recognised(knows)
        numbers, clicks = arriving(knows)[0], clicking(knows)
        wanted, known = float(usual_gains(knows)[0]), float(numbers @ success)
        most = known * clicks[-1]
        if most < wanted:
            untouched = float(numbers @ clicks)
            return Brightness(_share(untouched - wanted, untouched - most), PHOTONS - 1, 0.0)
        share = wanted / known if known else 0.0
        fewest = max(0, int(np.searchsorted(clicks, share)) - 1)
        step = clicks[fewest + 1] - clicks[fewest]
        return Brightness(1.0, fewest, _share(share - clicks[fewest], step))

    def kernel(self, knows: Surroundings) -> Kernel:
        """A state that is known is made anew."""
        states = np.unique(knows.states)
        _, taken = _recognised(knows)
        if self.preserve_gain:
            chosen = self.brightness(knows)
            sent: list[tuple[float, NDArray[np.uint8] | int]] = [
                (1.0 - chosen.one_more, chosen.photons),
                (chosen.one_more, min(PHOTONS - 1, chosen.photons + 1)),
            ]
        else:
            chosen, sent = Brightness(1.0, 0, 0.0), [(1.0, NUMBER)]
        known = [
            Branch(
                taken[state][None] * share * chosen.attacked,
                int(states[state]),
                photons,
                SHIELDED,
                int(states[state]),
            )
            for state in range(len(states))
            for share, photons in sent
            if share
        ]
        blocked = chosen.attacked * (1.0 - taken.sum(axis=0))[None]
        return kernel(
            Branch(blocked, None, 0),
            *imitating(knows.misalignment, Branch(1.0 - chosen.attacked, None, None, SHIELDED), *known),
        )


def _recognised(knows: Surroundings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64[PHOTONS], how often Alice's states are recognised; float64[k, STATES, PHOTONS], how often each state is taken for each."""
    states = np.unique(knows.states)
    success, taken = np.zeros(PHOTONS), np.zeros((len(states), STATES, PHOTONS))
    for n in range(1, PHOTONS):
        success[n], taken[..., n] = unambiguous(states, n)
    return success, taken


@dataclasses.dataclass(frozen=True)
class DecoyMimicking(PulseByPulse, Action):
    """Photon-number splitting by somebody who has read about decoys: the gains of all intensities stay.

    She sees how many photons a pulse has, not which intensity it was sent with; all she can choose is how often a pulse of n photons makes
    Bob click. Among the choices that leave every gain as it was she takes the one that leaves her the fewest clicks of the signal
    without a photon of her own: a linear programme. It is the one whose optimum the decoy bound estimates from below, so what she gets
    is what privacy amplification takes away.
    """

    id: ClassVar[str] = "eve.decoy_mimicking"
    sign: ClassVar[str] = (
        "nothing to see in gains and QBER of any intensity; double clicks change, in most links to fewer"
    )
    gets: ClassVar[str] = (
        "at most 1-Q1/Q_µ of the signal's bits, where by the decoy bound the single photons' clicks are "
        "Q1 ≥ µe^(-µ)·µ/(µν-ν²)·[Q_νe^ν-Q_µe^µν²/µ²-(µ²-ν²)/µ²·Y0]; with a true vacuum she reaches it at great loss"
    )
    source: ClassVar[str] = "Hwang 2003; Lo, Ma, Chen 2005; Ma, Qi, Zhao, Lo 2005"
    defences: ClassVar[tuple[str, ...]] = (
        "decoys",
        "privacy amplification",
        "double-click monitor",
        "single photons",
    )
    needs: ClassVar[tuple[str, ...]] = _WEAK

    def shares(self, knows: Surroundings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What becomes of pulses of n photons: float64[PHOTONS] the share that goes on without one photon, and the share that goes on whole.

        The rest is blocked. Of pulses of none or one, nothing is taken.
        """
        numbers, clicks = arriving(knows), clicking(knows)
        gains = usual_gains(knows)
        split, whole = np.zeros(PHOTONS), np.zeros(PHOTONS)
        counted = gains > 0
        if not counted[0]:
            return split, whole
        whole[1:] = clicking(knows, knows.behind)[1:] / clicks[1:]
        rows = numbers[counted] / gains[counted, None]
        # Photon numbers that not one click in 10^8 comes from are left as they are.
        chosen = np.flatnonzero((rows * clicks).max(axis=0) > 1e-8)
        several = chosen[chosen > 1]
        # Unknown: whole, split (of two photons and more), blocked. Each gain stays, and the three sum to 1 for each number of photons.
        unit = np.eye(len(chosen))
        keep = np.concatenate(
            [rows[:, chosen] * clicks[chosen], rows[:, several] * clicks[several - 1], 0.0 * rows[:, chosen]],
            axis=1,
        )
        total = np.concatenate([unit, unit[:, chosen > 1], unit], axis=1)
        cost = np.concatenate([keep[0, : len(chosen)], np.zeros(len(several) + len(chosen))])
        usual = np.concatenate([whole[chosen], np.zeros(len(several)), 1.0 - whole[chosen]])
        found = _least(cost, np.concatenate([keep, total]), usual)
        whole[chosen], split[several] = found[: len(chosen)], found[len(chosen) : len(chosen) + len(several)]
        return split, whole

    def kernel(self, knows: Surroundings) -> Kernel:
        """Whole, without one photon, or not at all."""
        split, whole = self.shares(knows)
        whole[0] = 1.0
        rest = np.maximum(0.0, 1.0 - split - whole)
        several = np.where(NUMBER > 1, STATE, np.uint8(255)).astype(np.uint8)
        return kernel(
            Branch(rest[None, None], None, 0, note=several),
            *imitating(
                knows.misalignment,
                Branch(whole[None, None], None, None, SHIELDED),
                Branch(split[None, None], None, _ONE_LESS, SHIELDED, STATE),
            ),
        )


def _least(
    cost: NDArray[np.float64], equal: NDArray[np.float64], usual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The x between 0 and 1 of least cost with equal @ x = equal @ usual; the cost to the solver's tolerance, the equations to rounding.

    It is sought as a step away from `usual`, so that there is a solution whatever small coefficients the solver leaves out. Its tolerance is
    an engineer's, and a gain must stay to twelve digits: the answer only says which unknowns are at a limit, and the others follow from the
    equations.

    Raises:
        ArithmeticError: the solver found none.
    """
    from scipy.optimize import linprog  # noqa: PLC0415  the catalogue is read often, this attack played seldom

    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    limits = np.stack([-usual, 1.0 - usual], axis=1)
    answer = linprog(
        cost, A_eq=equal, b_eq=np.zeros(len(equal)), bounds=limits, method="highs-ds", options=options
    )
    if not answer.success:
        raise ArithmeticError(
            f"no choice of yields was found that leaves all gains as they were: {answer.message}"
        )
    found = usual + answer.x
    solution: NDArray[np.float64] = np.where(found < 1e-9, 0.0, np.where(found > 1.0 - 1e-9, 1.0, found))
    free = np.flatnonzero((solution > 0.0) & (solution < 1.0))
    wanting = equal @ (usual - solution)
    solution[free] += np.linalg.lstsq(equal[:, free], wanting, rcond=None)[0]
    return np.clip(solution, 0.0, 1.0)
