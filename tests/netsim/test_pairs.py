"""Entangled pairs, several in a slot at times, dense and sampled: both are held to one exact law, and that to formulas."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import binom, hypergeom

from netsim.fabric.direct import DirectFabric
from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.light import BORN, NOTHING, OPPOSITE, PHOTONS, Branch, kernel
from netsim.photonics.pair_law import Arm, Effects
from netsim.photonics.pairs import LARGEST_PAIR_MEAN, Half, PairState, turned
from netsim.photonics.train import FIRED_BOTH, Choice, Exposure, Response
from netsim.protocols.e91 import E91
from netsim.topology import Site, Topology
from tests.statistics import FALSE_FAILURE, assert_binomial

Z = Choice.always(0)
Z_OR_X = Choice(np.array([0, 2], dtype=np.uint8), np.array([0.7, 0.3]))
TURNED = Choice.uniform(np.array([1, 6], dtype=np.uint8))
IDEAL = Receiver().response()


def rng(seed: int = 1) -> np.random.Generator:
    """A stream of its own for each use."""
    return np.random.default_rng(seed)


def whole(train: Half) -> slice:
    """All slots."""
    return slice(0, len(train))


@pytest.fixture(params=["dense", "sampled"])
def pairs(request) -> Callable[..., tuple[Half, Half]]:
    """Makes halves of trains at each grain in turn."""

    def made(
        count: int, pair_mean: float | None = None, visibility: float = 1.0, seed: int = 7
    ) -> tuple[Half, Half]:
        emitter = Emitter(1e6, visibility, pair_mean=pair_mean, sampled=request.param == "sampled")
        near, far = emitter.pairs(count, 3, 0.5, rng(seed))
        assert isinstance(near, Half)
        assert isinstance(far, Half)
        return near, far

    return made


@dataclasses.dataclass(frozen=True)
class Side:
    """What one half goes through before it is measured: steps for an arm of the exact law, or for a train."""

    transmittance: float = 1.0
    flipped: float = 0.0
    eve: Choice | None = None
    fraction: float = 0.0
    behind: float = 1.0
    receiver: Receiver = dataclasses.field(default_factory=Receiver)
    choice: Choice = Z

    def effects(self, state: PairState) -> Effects:
        """By the exact law."""
        arm = Arm(state)
        arm.lose(self.transmittance)
        arm.flip(self.flipped)
        if self.eve is not None:
            arm.intercept(self.eve, self.fraction)
        arm.lose(self.behind)
        arm.flip(self.flipped)
        return arm.effects(self.receiver.response(), self.choice)

    def travel(self, half: Half, seed: int) -> Callable[[np.ndarray], np.ndarray]:
        """In a train; returns what Eve noted."""
        half.lose(whole(half), self.transmittance, rng(seed))
        half.flip(whole(half), self.flipped, rng(seed + 1))
        noted = lambda slots: np.full(len(slots), NOTHING)  # noqa: E731  the notes of nobody
        if self.eve is not None:
            noted = half.intercept(whole(half), self.eve, self.fraction, rng(seed + 2)).at
        half.lose(whole(half), self.behind, rng(seed + 3))
        half.flip(whole(half), self.flipped, rng(seed + 4))
        return noted

    def expose(self, half: Half, seed: int) -> Exposure:
        """Let it fall on the detectors."""
        return half.expose(whole(half), self.receiver.response(), self.choice, rng(seed))


def table(state: PairState, alice: Side, bob: Side) -> tuple[Effects, Effects, np.ndarray]:
    """The exact law of both sides."""
    one, other = alice.effects(state), bob.effects(state)
    return one, other, one.joint(other, state)


def errors(one: Effects, other: Effects) -> np.ndarray:
    """Of each two rows: probability that the outcomes differ, double clicks tossed; 0 where one side did not click."""
    mine, theirs = one.pattern[:, None] & FIRED_BOTH, other.pattern[None] & FIRED_BOTH
    tossed = (mine == FIRED_BOTH) | (theirs == FIRED_BOTH)
    return np.where((mine > 0) & (theirs > 0), np.where(tossed, 0.5, mine != theirs), 0.0)


def coincidences(one: Effects, other: Effects, law: np.ndarray) -> tuple[float, float]:
    """Gain and error rate of all coincidences."""
    gain = float(law[np.ix_(one.pattern > 0, other.pattern > 0)].sum())
    return gain, float((law * errors(one, other)).sum()) / gain


def ma_fung_lo(
    a: float, b: float, pair_mean: float, dark: float = 0.0, e_d: float = 0.0
) -> tuple[float, float]:
    """Gain and error rate of BBM92 with down-conversion (Ma, Fung, Lo 2007).

    With dark counts the correlation, here as there that of the light alone, is seen only where neither of a side's two detectors
    has one: a factor (1 − d)² that they leave out.
    """
    # in fractions, as the formula itself loses what it takes away
    a, b, pair_mean, dark, e_d = (Fraction(value) for value in (a, b, pair_mean, dark, e_d))
    none = (1 - dark) ** 2
    joint = 1 + a * pair_mean + b * pair_mean - a * b * pair_mean
    gain = 1 - none / (1 + a * pair_mean) ** 2 - none / (1 + b * pair_mean) ** 2 + none**2 / joint**2
    light = a * b * pair_mean * (1 + pair_mean) / ((1 + a * pair_mean) * (1 + b * pair_mean) * joint)
    half = Fraction(1, 2)
    return float(gain), float(half - 2 * (half - e_d) * (1 - dark) ** 2 * light / gain)


def no_click(state: PairState, step: int, mine: np.ndarray, theirs: np.ndarray) -> float:
    """Probability that no photon is seen, each missed with a probability of its mode's own, in closed form.

    Two two-mode squeezed vacua are a Gaussian state: with M = diag(mine) R diag(theirs) Rᵀ, R the rotation between the settings,
    Σ_n λⁿ/(1 + λ)ⁿ⁺² Tr Symⁿ(M) = 1/det(1 + λ − λM). For one pair it is Tr M/2.
    """

    def value(step: int) -> float:
        cosine, sine = np.cos(step * np.pi / 8), np.sin(step * np.pi / 8)
        rotation = np.array([[cosine, sine], [-sine, cosine]])
        seen = np.diag(mine) @ rotation @ np.diag(theirs) @ rotation.T
        if state.pair_mean is None:
            return float(np.trace(seen)) / 2
        return float(1 / np.linalg.det((1 + state.pair_mean) * np.eye(2) - state.pair_mean * seen))

    return (1 - state.flipped) * value(step) + state.flipped * value(step + 4)


def closed_form(state: PairState, step: int, mine: Response, theirs: Response) -> np.ndarray:
    """float64[4, 4], probabilities of the click patterns of both sides by inclusion and exclusion of `no_click`."""
    law = np.zeros((4, 4))
    for patterns in itertools.product(range(4), repeat=2):
        for dark in itertools.product(range(4), repeat=2):  # the detectors that are asked to stay silent
            if any(~p & 3 & ~d for p, d in zip(patterns, dark, strict=True)):
                continue
            sign, quiet, missed = 1.0, 1.0, []
            for pattern, silent, response in zip(patterns, dark, (mine, theirs), strict=True):
                asked = np.array([silent & 1, silent >> 1])
                missed.append(1 - asked * response.efficiency[0])
                quiet *= float(np.prod(np.where(asked, 1 - response.noise, 1.0)))
                sign *= (-1) ** (silent & pattern).bit_count()
            law[patterns] += sign * quiet * no_click(state, step, *missed)
    return law


def assert_cells(counts: np.ndarray, law: np.ndarray, fault: np.ndarray | None = None) -> None:
    """All cells of a table have binomial counts, at FALSE_FAILURE together; a faulty law would fail in some cell as surely."""
    trials, share = int(counts.sum()), FALSE_FAILURE / counts.size
    law = law / law.sum()
    low, high = binom.ppf(share / 2, trials, law), binom.isf(share / 2, trials, law)
    outside = np.argwhere((counts < low) | (counts > high))
    assert not len(outside), [(tuple(i), int(counts[tuple(i)]), law[tuple(i)] * trials) for i in outside]
    if fault is not None:
        passed = binom.cdf(high, trials, fault) - binom.cdf(low - 1, trials, fault)
        assert passed.min() < FALSE_FAILURE, f"{trials} trials would miss the fault: {passed.min():.1e}"


def assert_same_rate(successes: tuple[int, int], trials: tuple[int, int]) -> None:
    """Two samples have one rate (hypergeometric tails, given all successes), at FALSE_FAILURE."""
    given = (sum(trials), sum(successes), trials[0])
    low, high = hypergeom.ppf(FALSE_FAILURE / 2, *given), hypergeom.isf(FALSE_FAILURE / 2, *given)
    assert low <= successes[0] <= high, f"{successes} of {trials}"


# --- the law -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair_mean", [0.001, 0.05, LARGEST_PAIR_MEAN])
def test_pair_numbers_are_those_of_two_squeezed_modes(pair_mean):
    """P(n) = (n + 1)λⁿ/(1 + λ)ⁿ⁺²: two thermal modes of mean λ each, so 2λ in the mean; what is cut off is less than 1e-15."""
    numbers = PairState(pair_mean).numbers
    n = np.arange(len(numbers))
    thermal = pair_mean**n / (1 + pair_mean) ** (n + 1)
    assert np.allclose(numbers, np.convolve(thermal, thermal)[: len(n)], rtol=1e-12, atol=1e-16)
    assert numbers @ n == pytest.approx(2 * pair_mean, rel=1e-12)
    assert len(numbers) <= PHOTONS
    assert abs(numbers.sum() - 1) < 1e-15


def test_a_fock_state_in_another_setting_follows_wigners_matrix():
    """|d^(n/2)|² for all n, against the exponential of the angular momentum; one photon follows Born's rule."""
    for n in (1, 2, 3, 7, 12, 31):
        ladder = np.sqrt(np.arange(1, n + 1) * np.arange(n, 0, -1.0))
        raising = np.diag(ladder, -1)  # j → j + 1 photons in outcome 0
        for step in range(8):
            oracle = expm((raising - raising.T) * step * np.pi / 8) ** 2
            assert np.allclose(turned()[step, n, : n + 1, : n + 1], oracle, atol=1e-13)
    for step in range(8):
        assert turned()[step, 1, 1, 1] == pytest.approx(BORN[0, step], abs=1e-15)


def test_equal_and_opposite_settings_have_no_error_at_all():
    """Steps of 0 and 4 are exact permutations: nothing is left to rounding."""
    n = np.arange(PHOTONS)
    for k in n:
        assert np.array_equal(turned()[0, k, : k + 1, : k + 1], np.eye(k + 1))
        assert np.array_equal(turned()[4, k, : k + 1, : k + 1], np.eye(k + 1)[::-1])


@pytest.mark.parametrize("dark", [0.0, 1e-3])
@pytest.mark.parametrize(("a", "b", "pair_mean"), [(0.3, 0.1, 0.05), (0.9, 0.02, 0.25), (1e-4, 1e-3, 0.1)])
def test_coincidences_are_those_of_ma_fung_and_lo(a, b, pair_mean, dark):
    """Gain and error rate by their formula to 1e-9 of itself, with dark counts and misalignment too."""
    receiver, state = Receiver(dark_counts=dark), PairState(pair_mean)
    for e_d in (0.0, 0.015):
        law = table(state, Side(a, receiver=receiver), Side(1.0, 0.0, behind=b, receiver=receiver))
        if e_d:
            half = (1 - np.sqrt(1 - 2 * e_d)) / 2  # twice in an arm
            law = table(state, Side(a, receiver=receiver), Side(b, half, receiver=receiver))
        assert coincidences(*law) == pytest.approx(ma_fung_lo(a, b, pair_mean, dark, e_d), rel=1e-9)


def test_the_published_point():
    """At a = .3, b = .1, λ = .05, no dark counts, e_d = 0: Q = 3.26574469e-3 and E = .0357999416."""
    gain, error = coincidences(*table(PairState(0.05), Side(0.3), Side(0.1)))
    assert gain == pytest.approx(3.26574469e-3, abs=1e-11)
    assert error == pytest.approx(0.0357999416, abs=1e-9)


@pytest.mark.parametrize("visibility", [1.0, 0.8])
@pytest.mark.parametrize("pair_mean", [None, 1e-3, 0.05, 0.4])
def test_the_law_is_that_of_a_gaussian_state(pair_mean, visibility):
    """All 16 pairs of patterns at all angles, with unlike detectors and dark counts, to 1e-13."""
    state = PairState(pair_mean, visibility)
    mine = Receiver(efficiency=0.6, mismatch=0.7, dark_counts=0.02)
    theirs = Receiver(efficiency=0.3, mismatch=1.5, dark_counts=1e-3)
    for a, b in ((0, 0), (0, 3), (5, 2), (1, 2), (6, 2), (7, 1)):
        sides = (Side(receiver=mine, choice=Choice.always(a)), Side(receiver=theirs, choice=Choice.always(b)))
        one, other, law = table(state, *sides)
        assert one.pattern.tolist() == other.pattern.tolist() == [0, 1, 2, 3]
        assert np.allclose(law, closed_form(state, b - a, mine.response(), theirs.response()), atol=1e-13)


def test_rare_coincidences_are_exact_too():
    """Sums of positive terms: double clicks on both sides of 1e-18 come out to 1e-6 of themselves, far below rounding.

    Two photons on either side need n ≥ 2 pairs: λ²·Σ over the split ≈ 3λ²·(a²/3)(b²/3)·… = (λab)² for equal settings.
    """
    one, other, law = table(PairState(1e-3), Side(1e-3), Side(1e-3))
    both = law[one.pattern == 3][:, other.pattern == 3].item()
    assert both == pytest.approx((1e-3 * 1e-3 * 1e-3) ** 2, rel=1e-2)
    gain, error = coincidences(one, other, law)
    assert (gain, error) == pytest.approx(ma_fung_lo(1e-3, 1e-3, 1e-3), rel=1e-8)


def test_no_side_can_tell_what_the_other_does():
    """Marginals of either side are the same whatever setting, loss, error, detector or Eve the other has; and effects are complete."""
    state = PairState(0.2, 0.7)
    alice = Side(0.4, 0.1, Z_OR_X, 0.3, 0.8, Receiver(0.9, 0.01), TURNED)
    alone = alice.effects(state)
    others = [
        Side(),
        Side(choice=TURNED),
        Side(0.0),
        Side(0.5, 0.2, TURNED, 0.9, 0.5, Receiver(0.3, 0.1, 2.0), Z_OR_X),
    ]
    for bob in others:
        _, _, law = table(state, alice, bob)
        assert np.allclose(law.sum(axis=1), alone.alone(state), rtol=1e-12, atol=1e-16)
    sums = alone.weight.sum(axis=0)
    n, j = np.ogrid[: sums.shape[1], : sums.shape[2]]
    for axis in sums:  # all that happens along one setting tells nothing of the state
        assert np.allclose(np.where(n >= j, axis - axis[:, :1], 0.0), 0.0, atol=1e-13)
    assert np.allclose(sums.sum(axis=0)[n >= j], 1.0, atol=1e-13)


def chsh(state: PairState, side: Side) -> float:
    """S of E91's four CHSH settings, by the exact law."""
    s = 0.0
    for a, b, sign in ((0, 1, 1), (0, 3, -1), (2, 1, 1), (2, 3, 1)):
        sides = (dataclasses.replace(side, choice=Choice.always(setting)) for setting in (a, b))
        s += sign * (1 - 2 * coincidences(*table(state, *sides))[1])
    return s


def test_chsh_falls_with_the_mean_pair_number():
    """2√2 for single pairs, V·2√2 with visibility, and to first order 2√2·(1 − 2λ) where few photons are seen; ever less above."""
    few = Side(1e-3)
    top = 2 * np.sqrt(2)
    assert chsh(PairState(None), few) == pytest.approx(top, abs=1e-12)
    assert chsh(PairState(None, 0.9), few) == pytest.approx(0.9 * top, abs=1e-12)
    assert chsh(PairState(1e-4), few) == pytest.approx(top * (1 - 2e-4), rel=1e-6)
    values = [chsh(PairState(mean), few) for mean in (0.001, 0.01, 0.05, 0.1, 0.2, 0.3)]
    assert all(more > less for more, less in itertools.pairwise(values))
    # of all λ the correlation is (1 + λ)/(1 + 3λ): it stops violating at (√2 − 1)/(3 − √2)
    threshold = (np.sqrt(2) - 1) / (3 - np.sqrt(2))
    assert chsh(PairState(threshold), Side(1e-6)) == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("pair_mean", [None, 1e-6])
def test_an_interception_shows_as_it_does_with_single_pairs(pair_mean):
    """Of a fraction p in a random basis: errors p/4 in both; in Z: p/2 in X only; Eve's notes agree with Alice where bases do."""
    state, p = PairState(pair_mean), 0.6
    for eve, wrong in ((Choice.uniform(np.array([0, 2])), (p / 4, p / 4)), (Z, (0.0, p / 2))):
        for setting, expected in zip((0, 2), wrong, strict=True):
            alice = Side(0.5, choice=Choice.always(setting))
            bob = Side(0.7, eve=eve, fraction=p, behind=0.2, choice=Choice.always(setting))
            one, other, law = table(state, alice, bob)
            assert coincidences(one, other, law)[1] == pytest.approx(expected, abs=1e-5)
            for pattern, right in ((1, setting), (2, setting + 4)):
                told = law[one.pattern == pattern][:, (other.notes[0] == right) & (other.pattern > 0)].sum()
                lied = law[one.pattern == pattern][
                    :, (other.notes[0] == OPPOSITE[right]) & (other.pattern > 0)
                ]
                assert lied.sum() == pytest.approx(0.0, abs=1e-5 * told)


# --- both grains ---------------------------------------------------------------------------------------------------

NOISY = Side(0.7, 0.03, receiver=Receiver(0.8, 0.01, 0.7), choice=Z_OR_X)
OTHER = Side(0.5, 0.06, receiver=Receiver(0.9, 0.005), choice=TURNED)
WATCHED = Side(0.8, 0.03, Z_OR_X, 0.7, 0.9, Receiver(0.9, 0.01), Z_OR_X)
ATTENUATED = Side(
    0.9, receiver=Receiver(0.9, 0.01, 1.0, attenuated_share=0.3, attenuation=0.2), choice=Z_OR_X
)


def code(notes: np.ndarray, setting: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """One number for all that a side shows of a slot."""
    return (np.minimum(notes, 9).astype(np.int64) * 4 + setting) * 64 + pattern


@pytest.mark.parametrize("bob_first", [False, True])
@pytest.mark.parametrize(
    ("pair_mean", "visibility", "alice", "bob"),
    [
        (0.3, 0.9, NOISY, OTHER),
        (0.3, 1.0, NOISY, WATCHED),
        (0.2, 0.8, WATCHED, WATCHED),
        (0.2, 1.0, ATTENUATED, OTHER),
        (None, 0.9, NOISY, WATCHED),
    ],
    ids=["plain", "eve", "two-eves", "attenuated", "single"],
)
def test_both_grains_follow_the_law(pairs, pair_mean, visibility, alice, bob, bob_first):
    """Settings, patterns, and Eve's notes of both sides together, at every slot, whoever measures first and whatever is asked first.

    All cells at 1e-9 together; 200 000 slots would show a mean pair number or a visibility that is 0.05 off, and halves that
    do not know of each other.
    """
    n = 200_000
    near, far = pairs(n, pair_mean, visibility)
    notes = alice.travel(near, 10), bob.travel(far, 20)
    every = np.arange(n)
    some = np.flatnonzero(rng(50).random(n) < 0.3)
    halves = [(alice, near, notes[0]), (bob, far, notes[1])]
    found = []
    for i, (side, half, noted) in enumerate(halves[::-1] if bob_first else halves):
        found.append(side.expose(half, 30 + i))
        found[-1].settings_at(some[::2]), noted(some[1::2])  # asked while the other half is still on its way
    theirs, mine = found if bob_first else found[::-1]
    sides = [(mine, notes[0]), (theirs, notes[1])]
    for exposure, noted in sides if bob_first else sides[::-1]:  # what is asked first must not matter
        assert np.array_equal(exposure.settings_at(exposure.slots), exposure.settings)
        early = exposure.settings_at(some), noted(some)
        assert np.array_equal(exposure.settings_at(every)[some], early[0])
        assert np.array_equal(noted(every)[some], early[1])
    shown = []
    for exposure, noted in sides:
        patterns = np.zeros(n, dtype=np.int64)
        patterns[exposure.slots] = exposure.patterns
        shown.append(code(noted(every), exposure.settings_at(every), patterns))
    state = PairState(pair_mean, visibility)
    one, other, law = table(state, alice, bob)
    columns, places = [], []
    for effects, seen in ((one, shown[0]), (other, shown[1])):
        note = effects.notes[0] if len(effects.notes) else np.full(len(effects.setting), NOTHING)
        rows = code(note, effects.setting, effects.pattern)
        order = np.argsort(rows)
        place = order[np.minimum(np.searchsorted(rows[order], seen), len(rows) - 1)]
        assert np.array_equal(rows[place], seen), "something was seen that the law does not know"
        places.append(place)
        columns.append(len(rows))
    counts = np.bincount(places[0] * columns[1] + places[1], minlength=columns[0] * columns[1])
    independent = np.outer(law.sum(axis=1), law.sum(axis=0))
    assert_cells(counts.reshape(columns), law, independent)
    near_by = PairState(pair_mean, visibility - 0.05 if pair_mean is None else visibility)
    if pair_mean is not None:
        near_by = PairState(pair_mean - 0.05, visibility)
        assert_cells(counts.reshape(columns), law, table(near_by, alice, bob)[2])


@pytest.mark.parametrize("bob_first", [False, True])
def test_coincidences_and_errors_of_a_link(pairs, bob_first):
    """The published point, through the receivers: 4·10⁶ slots give 13 000 coincidences and would show Q 12 % off, and two thirds more errors."""
    n = 4_000_000
    near, far = pairs(n, 0.05)
    near.lose(whole(near), 0.3, rng(1))
    far.lose(whole(far), 0.1, rng(2))
    order = (far, near) if bob_first else (near, far)
    seen = [Receiver().detect(half, Choice.always(2), rng(3 + i)) for i, half in enumerate(order)]
    slots = np.intersect1d(seen[0].slots, seen[1].slots)
    wrong = seen[0].rounds(slots).outcomes != seen[1].rounds(slots).outcomes
    gain, error = ma_fung_lo(0.3, 0.1, 0.05)
    assert_binomial(len(slots), n, gain, fault=gain * 0.88)
    assert_binomial(int(wrong.sum()), len(slots), error, fault=error * 1.7)
    for clicks in seen:
        fresh = 1 - 1 / (1 + (0.1 if (clicks is seen[0]) == bob_first else 0.3) * 0.05) ** 2
        assert_binomial(len(clicks.slots), n, fresh, fault=fresh * 0.92)
        assert_binomial(clicks.monitors.ones, len(clicks.slots) - clicks.double_clicks, 0.5, fault=0.54)


@pytest.mark.parametrize(("pair_mean", "transmittance"), [(0.01, 0.3), (0.4, 0.1)])
def test_chsh_of_e91(pairs, pair_mean, transmittance):
    """S from coincidences falls as the law says: 2√2·0.98 at λ = 0.01, 1.8 at 0.4 behind much loss.

    Each correlator is within its binomial bounds. There are more than 700 coincidences for each, so that S has a standard error of less
    than 0.06 at the one and 0.03 at the other: a violation is seen, and not seen, with six of them to spare.
    """
    n = 4_000_000
    protocol = E91()
    near, far = pairs(n, pair_mean)
    state, s = PairState(pair_mean), 0.0
    choices = Choice.uniform(protocol.alice_angles), Choice.uniform(protocol.bob_angles)
    found = []
    for i, (half, choice) in enumerate(zip((near, far), choices, strict=True)):
        half.lose(whole(half), transmittance, rng(i))
        found.append(Receiver().detect(half, choice, rng(5 + i)))
    slots = np.intersect1d(found[0].slots, found[1].slots)
    mine, theirs = (clicks.rounds(slots) for clicks in found)
    for a, b, sign in ((0, 1, 1), (0, 3, -1), (2, 1, 1), (2, 3, 1)):
        here = (protocol.alice_angles[mine.settings] == a) & (protocol.bob_angles[theirs.settings] == b)
        differ = int(np.sum((mine.outcomes != theirs.outcomes)[here]))
        sides = (Side(transmittance, choice=Choice.always(setting)) for setting in (a, b))
        expected = coincidences(*table(state, *sides))[1]
        assert_binomial(differ, int(here.sum()), expected, fault=0.5)
        s += sign * (1 - 2 * differ / int(here.sum()))
    assert (s > 2.2) == (pair_mean < 0.1)
    assert (s < 2.0) == (pair_mean > 0.1)


def test_equal_settings_without_loss_see_the_same(pairs):
    """Every photon of one half has its like in the other: the same detectors fire on both sides, several pairs or one."""
    for pair_mean in (None, 0.4):
        near, far = pairs(20_000, pair_mean)
        for setting in (3,):
            side = Side(choice=Choice.always(setting))
            mine, theirs = side.expose(near, 1), side.expose(far, 2)
            assert np.array_equal(mine.slots, theirs.slots)
            assert np.array_equal(mine.patterns, theirs.patterns)
            assert (pair_mean is not None) == bool(np.any(mine.patterns == FIRED_BOTH))


def test_channels_act_on_the_slots_they_are_told(pairs):
    """Loss and flips of a window, in parts that overlap, on either half: coincidences and errors in each part are its own."""
    n = 400_000
    near, far = pairs(n, 0.3)
    near.lose(slice(0, n // 2), 0.4, rng(1))
    far.lose(slice(n // 4, n), 0.5, rng(2))
    far.flip(slice(n // 4, n // 2), 0.2, rng(3))
    noted = near.intercept(slice(3 * n // 4, n), Z, 1.0, rng(4))
    side = Side(choice=Choice.always(2))
    mine, theirs = side.expose(near, 5), side.expose(far, 6)
    parts = [
        (Side(0.4), Side()),
        (Side(0.4), Side(0.5, (1 - np.sqrt(0.6)) / 2)),
        (Side(), Side(0.5)),
        (Side(eve=Z, fraction=1.0), Side(0.5)),
    ]
    for i, sides in enumerate(parts):
        one, other, law = table(PairState(0.3), *(dataclasses.replace(s, choice=side.choice) for s in sides))
        counts = np.zeros((4, 4), dtype=np.int64)
        patterns = np.zeros((2, n // 4), dtype=np.int64)
        for k, exposure in enumerate((mine, theirs)):
            inside = (exposure.slots >= i * n // 4) & (exposure.slots < (i + 1) * n // 4)
            patterns[k, exposure.slots[inside] - i * n // 4] = exposure.patterns[inside]
        counts = np.bincount(patterns[0] * 4 + patterns[1], minlength=16).reshape(4, 4)
        expected = np.zeros((4, 4))
        for (row, column), probability in np.ndenumerate(law):
            expected[one.pattern[row], other.pattern[column]] += probability
        assert_cells(counts, expected)
    notes = noted.at(np.arange(n))
    assert set(notes[: 3 * n // 4].tolist()) == {NOTHING}
    assert_binomial(
        int(np.sum(notes[3 * n // 4 :] == 0)),
        n // 4,
        Side(eve=Z, fraction=1.0)
        .effects(PairState(0.3))
        .alone(PairState(0.3))[Side(eve=Z, fraction=1.0).effects(PairState(0.3)).notes[0] == 0]
        .sum(),
    )


def test_several_interceptions_keep_their_own_notes(pairs):
    """Eve in two places on one half, her photons lost and flipped between: what she sent on is what she finds, up to the flips."""
    n = 60_000
    near, far = pairs(n, 0.2)
    first = far.intercept(whole(far), Z, 0.8, rng(1))
    far.lose(whole(far), 0.5, rng(2))
    far.flip(whole(far), 0.1, rng(3))
    second = far.intercept(whole(far), Z, 1.0, rng(4))
    mine, theirs = Side().expose(near, 5), Side().expose(far, 6)
    every = np.arange(n)
    early, late = first.at(every), second.at(every)
    chained = (early != NOTHING) & (late != NOTHING)
    assert_binomial(int(np.sum(early[chained] != late[chained])), int(chained.sum()), 0.1, fault=0.2)
    caught = 1 - 1 / 1.2**2
    assert_binomial(int(np.sum(early != NOTHING)), n, 0.8 * caught, fault=0.8 * caught + 0.03)
    assert_binomial(int(chained.sum()), n, 0.8 * caught * 0.5, fault=0.4 * caught + 0.03)
    assert np.array_equal(np.isin(every, theirs.slots), late != NOTHING)
    assert np.array_equal((theirs.patterns == 2) * 4, late[theirs.slots])
    alone = np.zeros(n, dtype=np.int64)
    alone[mine.slots] = mine.patterns
    sure = (early != NOTHING) & (alone != FIRED_BOTH)
    assert np.array_equal((alone[sure] == 2) * 4, early[sure])


def test_a_half_that_is_replaced_brings_its_own_partner(pairs):
    """The man in the middle: Bob's half is then Eve's other half's, Alice's knows nothing of it, and what was blocked is gone."""
    n = 30_000
    alice, bob = pairs(n, 0.3, seed=1)
    kept, sent = pairs(n, 0.3, seed=2)
    side = Side(choice=Choice.always(1))
    bob.lose(whole(bob), 0.5, rng(3))
    caught = side.expose(bob, 4)
    bob.replace(whole(bob), sent)
    bob.lose(whole(bob), 0.9, rng(5))
    alices, bobs, eves = side.expose(alice, 6), side.expose(bob, 7), side.expose(kept, 8)
    gone = side.expose(sent, 9)
    assert not len(gone.slots)
    assert np.all(np.isin(bobs.slots, eves.slots))
    assert np.all(np.isin(caught.slots, alices.slots))
    lit = 1 - 1 / 1.3**2
    both = len(np.intersect1d(alices.slots, bobs.slots))
    assert_binomial(both, len(bobs.slots), lit, fault=lit + 0.1)
    assert (bob.block, bob.start_s, len(bob)) == (3, 0.5, n)


def test_replaced_before_anything_was_measured(pairs):
    """Both of Alice's and Eve's losses stay with their own light, in whatever order all is measured."""
    n = 30_000
    for order in itertools.permutations(range(3)):
        alice, bob = pairs(n, None, seed=1)
        kept, sent = pairs(n, None, seed=2)
        bob.lose(whole(bob), 0.0, rng())
        sent.lose(whole(sent), 0.5, rng(3))
        bob.replace(whole(bob), sent)
        halves = (alice, bob, kept)
        found: dict[int, Exposure] = {
            i: Side(choice=Choice.always(5)).expose(halves[i], 10 + i) for i in order
        }
        assert len(found[0].slots) == len(found[2].slots) == n
        assert_binomial(len(found[1].slots), n, 0.5, fault=0.6)
        slots = found[1].slots
        assert np.array_equal(found[1].patterns, found[2].patterns[slots])
        assert_binomial(
            int(np.sum(found[1].patterns == found[0].patterns[slots])), len(slots), 0.5, fault=0.6
        )


def test_detectors_with_a_memory_see_both_grains_alike():
    """Dead time and afterpulses: coincidences, errors, double clicks and clicks agree between dense and sampled at 1e-9 each.

    Afterpulses come with settings of their own gates, so that at equal settings they err one time in two.
    """
    n = 2_000_000
    receiver = Receiver(0.5, 1e-4, dead_time_s=5e-6, afterpulse=0.1, afterpulse_lifetime_s=1e-5)
    counts = []
    for sampled in (False, True):
        near, far = Emitter(1e6, 0.95, pair_mean=0.1, sampled=sampled).pairs(n, 0, 0.0, rng(1))
        far.lose(whole(far), 0.4, rng(2))
        mine = receiver.detect(near, Z_OR_X, rng(3))
        theirs = receiver.detect(far, Z_OR_X, rng(4))
        slots = np.intersect1d(mine.slots, theirs.slots)
        a, b = mine.rounds(slots), theirs.rounds(slots)
        equal = a.settings == b.settings
        gaps = np.diff(theirs.slots)
        assert gaps.min() > 5
        counts.append(
            [
                (len(mine.slots), n),
                (len(theirs.slots), n),
                (len(slots), n),
                (int(equal.sum()), len(slots)),
                (int(np.sum((a.outcomes != b.outcomes)[equal])), int(equal.sum())),
                (int(np.sum((a.outcomes != b.outcomes)[~equal])), int(np.sum(~equal))),
                (mine.double_clicks, len(mine.slots)),
                (int(np.sum(mine.settings)), len(mine.slots)),
                *((int(np.sum(gaps <= gap)), len(gaps)) for gap in (8, 15, 40, 100)),
            ]
        )
    for one, other in zip(*counts, strict=True):
        assert_same_rate((one[0], other[0]), (one[1], other[1]))


def test_times_between_clicks_are_geometric(pairs):
    """Of the second half to be drawn too, counting from the end of the dead time: the first 20 000 gaps at six lengths."""
    near, far = pairs(1_000_000, 0.2)
    receiver = Receiver(0.3, dead_time_s=3e-6)
    for half in (near, far):
        slots = receiver.detect(half, Z_OR_X, rng(len(half))).slots
        gaps = np.diff(slots)[:20_000] - 4
        click = 1 - 1 / (1 + 0.3 * 0.2) ** 2
        assert gaps.min() >= 0
        for length in (0, 1, 3, 8, 15, 30):
            share = 1 - (1 - click) ** (length + 1)
            assert_binomial(int(np.sum(gaps <= length)), len(gaps), share, fault=share - 0.05)


@pytest.mark.parametrize("pair_mean", [None, 0.3])
def test_dense_halves_can_be_measured_pulse_by_pulse(pair_mean):
    """Threshold detectors and a coin; one photon goes on in the state found, and the partner, measured alike, has that outcome unless both fired."""
    n = 40_000
    near, far = Emitter(1e6, pair_mean=pair_mean).pairs(n, 0, 0.0, rng(1))
    settings = np.resize(np.arange(8, dtype=np.uint8), n)
    only = np.arange(n) % 3 > 0
    found = near.measure(whole(near), settings, rng(2), only)
    assert np.all(found[~only] == -1)
    lit = 1.0 if pair_mean is None else 1 - 1 / (1 + pair_mean) ** 2
    assert_binomial(int(np.sum(found[only] >= 0)), int(only.sum()), lit)
    again = near.measure(whole(near), settings, rng(3))
    assert np.array_equal(again[only], found[only])
    near.flip(whole(near), 1.0, rng(4))
    turned_round = near.measure(whole(near), settings, rng(5))
    assert np.array_equal(turned_round[again >= 0], 1 - again[again >= 0])
    theirs = far.measure(whole(far), settings, rng(6))
    assert np.array_equal(theirs >= 0, again >= 0)
    differ = int(np.sum((theirs != again)[again >= 0]))
    if pair_mean is None:
        assert differ == 0
    else:
        one, other, law = table(PairState(pair_mean), Side(), Side())
        assert_binomial(differ, int(np.sum(again >= 0)), coincidences(one, other, law)[1], fault=0.2)


def test_dense_light_measured_by_eve_after_its_partner(pairs):
    """Alice's measurement comes first, Eve's and Bob's after it or before: the law is the same."""
    n = 200_000
    state = PairState(0.3)
    for alice_first in (True, False):
        near, far = pairs(n, 0.3)
        far.lose(whole(far), 0.6, rng(1))
        noted = None
        if not alice_first:
            noted = far.intercept(whole(far), TURNED, 1.0, rng(2))
        mine = Side().expose(near, 3)
        noted = noted or far.intercept(whole(far), TURNED, 1.0, rng(2))
        theirs = Side().expose(far, 4)
        one, other, law = table(state, Side(), Side(0.6, eve=TURNED, fraction=1.0))
        gain, error = coincidences(one, other, law)
        slots = np.intersect1d(mine.slots, theirs.slots)
        assert_binomial(len(slots), n, gain, fault=gain * 0.95)
        patterns = [e.patterns[np.searchsorted(e.slots, slots)] for e in (mine, theirs)]
        single = (patterns[0] != 3) & (patterns[1] != 3)
        wrong = int(np.sum((patterns[0] != patterns[1])[single]))
        alone = np.ix_(np.isin(one.pattern, (1, 2)), np.isin(other.pattern, (1, 2)))
        share = float((law * errors(one, other))[alone].sum() / law[alone].sum())
        assert_binomial(wrong, int(single.sum()), share, fault=share * 0.8)
        notes = noted.at(theirs.slots)
        assert np.array_equal(noted.at(slots), notes[np.searchsorted(theirs.slots, slots)])
        assert set(np.unique(notes).tolist()) == {1, 2, 5, 6}
        assert 0 < error < 0.5


def test_rare_coincidences_of_a_long_train():
    """10¹¹ slots with a loss of 40 dB on either side: 10⁶ clicks each, 115 coincidences, as the law says; 10 if the halves did not know of each other."""
    n, a = 10**11, 1e-4
    near, far = Emitter(1e9, pair_mean=0.05, sampled=True).pairs(n, 0, 0.0, rng(1))
    for half in (near, far):
        half.lose(whole(half), a, rng())
    mine, theirs = (Receiver().detect(half, Choice.always(2), rng(2)) for half in (near, far))
    slots = np.intersect1d(mine.slots, theirs.slots)
    gain, error = ma_fung_lo(a, a, 0.05)
    assert_binomial(len(slots), n, gain, fault=gain * 0.1)
    seen = mine.rounds(slots), theirs.rounds(slots)
    wrong = int(np.sum(seen[0].outcomes != seen[1].outcomes))
    assert_binomial(wrong, len(slots), error, fault=0.5)


# --- the sampled train alone, and refusals -------------------------------------------------------------------------


def test_the_cost_of_sampled_pairs_grows_with_detections():
    """10¹² slots, of which 10⁵ are detected on either side, fit into memory, and into the time of a test."""
    near, far = Emitter(1e9, pair_mean=0.05, sampled=True).pairs(10**12, 0, 0.0, rng(1))
    for half in (near, far):
        half.lose(whole(half), 1e-6, rng())
    notes = far.intercept(whole(far), Z_OR_X, 0.5, rng())
    mine, theirs = (Receiver(dead_time_s=1e-7).detect(half, Z_OR_X, rng(2)) for half in (near, far))
    assert_binomial(len(mine.slots), 10**12, 1e-7, fault=0.9e-7)
    assert len(notes.at(theirs.slots)) == len(theirs.slots)


def test_nobody_knows_what_has_not_been_absorbed():
    """Notes about sampled light say nothing until it has fallen on detectors; then they stay as they are. There is nothing to intercept afterwards."""
    near, far = Emitter(1e6, sampled=True).pairs(1000, 0, 0.0, rng(1))
    every = np.arange(1000)
    noted = far.intercept(whole(far), Z, 1.0, rng())
    mine = Side().expose(near, 2)
    assert set(noted.at(every).tolist()) == {NOTHING}
    Side().expose(far, 3)
    assert np.array_equal(noted.at(mine.slots), (mine.patterns == 2) * 4)
    backwards = noted.at(every[::-1])
    assert np.array_equal(backwards[::-1], noted.at(every))
    assert set(far.intercept(whole(far), Z, 1.0, rng()).at(every).tolist()) == {NOTHING}
    assert not len(Side().expose(far, 4).slots)
    assert set(Side().expose(far, 4).settings_at(every).tolist()) == {0}


def test_the_same_seed_gives_the_same_outcomes(pairs):
    """Everything random about pairs is in the generators handed in."""

    def run() -> list[int]:
        near, far = pairs(3000, 0.2, 0.9)
        noted = WATCHED.travel(far, 1)
        mine, theirs = NOISY.expose(near, 2), WATCHED.expose(far, 3)
        every = np.arange(3000)
        return [*mine.slots, *mine.patterns, *theirs.slots, *noted(every), *theirs.settings_at(every)]

    assert run() == run()


def test_what_halves_cannot_do_is_refused(pairs):
    """No table over states acts on a half; settings lie in the X–Z plane; halves of one grain do not mix with the other's."""
    near, far = pairs(10)
    with pytest.raises(TypeError, match="use intercept"):
        near.act(whole(near), kernel(Branch(1.0)), rng())
    with pytest.raises(ValueError, match="X-Z plane"):
        near.intercept(whole(near), Choice.always(8), 1.0, rng())
    with pytest.raises(ValueError, match="X-Z plane"):
        Side(choice=Choice.always(9)).expose(far, 1)
    for other in (
        Emitter(1e6).photons(np.zeros(10, np.uint8), 0, 0.0),
        pairs(9)[0],
        Emitter(1e6, sampled=isinstance(near, type(Emitter(1e6).pairs(1, 0, 0.0, rng())[0]))).pairs(
            10, 0, 0.0, rng()
        )[0],
    ):
        with pytest.raises(TypeError, match="replaced by another"):
            near.replace(whole(near), other)
    with pytest.raises(TypeError, match="as a whole"):
        near.replace(slice(0, 5), pairs(10)[0])


def test_sampled_halves_are_neither_cut_nor_measured_one_by_one():
    """They fall on detectors as a whole."""
    near, _ = Emitter(1e6, sampled=True).pairs(10, 0, 0.0, rng())
    with pytest.raises(TypeError, match="pulse by pulse"):
        near.measure(whole(near), np.zeros(10, np.uint8), rng())
    with pytest.raises(TypeError, match="as a whole"):
        near.expose(slice(0, 5), IDEAL, Z, rng())


def test_pairs_that_cannot_be_are_refused():
    """A mean pair number beyond what photon numbers are told apart for, a visibility above 1, several pairs a slot gate by gate."""
    qubits = DirectFabric(Topology([Site("alice", 0), Site("bob", 0)], 0.2, 0.0), rng(0)).qubits("alice")
    for emitter, reason in (
        (Emitter(1e6, pair_mean=0.5), "within 0..0.4, got 0.5"),
        (Emitter(1e6, pair_mean=-0.1, sampled=True), "got -0.1"),
        (Emitter(1e6, visibility=1.2), "within 0..1, got 1.2"),
        (Emitter(1e6, qubits=qubits, pair_mean=0.1), "exactly one pair"),
    ):
        with pytest.raises(ValueError, match=reason):
            emitter.pairs(5, 0, 0.0, rng())


def test_no_pairs_at_all(pairs):
    """λ = 0 is darkness, but for dark counts."""
    near, far = pairs(100_000, 0.0)
    assert not len(Side().expose(near, 1).slots)
    clicks = Receiver(dark_counts=0.01).detect(far, Z, rng())
    assert_binomial(len(clicks.slots), 100_000, 1 - 0.99**2, fault=0.01)
