"""MDI-QKD as arithmetic: which bits are turned over, what is revealed, how counts become a key length."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from netsim.key_length.finite_key import tomamichel_2012
from netsim.key_length.mdi import mdi_decoy
from netsim.photonics.bell import MEANS, PSI_MINUS, PSI_PLUS, BellAnalyser
from netsim.protocols.mdi import MDI
from netsim.protocols.protocol import AbortThresholds, Kept, Revealed, Security

WEAK = MDI((0.5, 0.1, 0.0), (0.5, 0.3, 0.2), 0.7)
TWO = MDI((0.5, 0.1), (0.7, 0.3))
SECURITY = Security(1e-10, 1e-12)


def uint8(*values: int) -> np.ndarray:
    """An array of them."""
    return np.array(values, dtype=np.uint8)


def test_flips_are_those_that_a_perfect_relay_needs():
    """For every pair of states that a perfect relay lets through, Bob's bit turned over as told is Alice's."""
    relay, seen = BellAnalyser((1.0, 1.0), (0.0, 0.0)), set()
    for basis, mine, his, state in itertools.product((0, 1), (0, 1), (0, 1), (PSI_MINUS, PSI_PLUS)):
        states = MDI().states[basis]
        chance = relay.patterns(int(states[mine]), int(states[his]))[1, 1][list(MEANS[state])].sum()
        if chance > 1e-12:
            seen.add((basis, state))
            assert his ^ MDI.flips(uint8(basis), uint8(state))[0] == mine
    assert len(seen) == 4
    assert MDI.flips(uint8(0, 0, 1, 1), uint8(PSI_MINUS, PSI_PLUS, PSI_MINUS, PSI_PLUS)).tolist() == [
        1,
        1,
        1,
        0,
    ]


def test_intensities_come_in_pairs():
    """The pair that an index names is the one that the two indices sent."""
    names = ("signal", "decoy", "vacuum")
    assert (WEAK.alice_intensities, WEAK.bob_intensities) == (3, 3)
    for a, b in itertools.product(range(3), range(3)):
        pair = int(WEAK.sent(uint8(a), uint8(b))[0])
        assert WEAK.intensities[pair] == f"{names[a]} {names[b]}"
    assert TWO.intensities == ("signal signal", "decoy signal", "signal decoy", "decoy decoy")
    assert MDI().intensities == ("",)
    assert (MDI().alice_intensities, MDI().bob_intensities) == (1, 1)
    assert MDI().sent(uint8(), uint8(0, 0)).tolist() == [0, 0]


def test_choices():
    """Both choose Z as often as they have agreed on."""
    assert WEAK.alice_choice.probabilities == pytest.approx([0.7, 0.3])
    assert WEAK.bob_choice.probabilities == pytest.approx([0.7, 0.3])


def test_all_of_x_is_revealed():
    """X makes no key: all its rounds are given away, and of Z a sample."""
    rng = np.random.default_rng(1)
    alice, bob = (rng.integers(0, 2, 4000, dtype=np.uint8) for _ in range(2))
    revealed = WEAK.reveal(alice, bob, 0.1, rng)
    both_x, both_z = (alice == 1) & (bob == 1), (alice == 0) & (bob == 0)
    assert revealed[both_x].all()
    assert np.sum(revealed[both_z]) == round(0.1 * np.sum(both_z))
    assert not revealed[~both_x & ~both_z].any()


def rounds(rng: np.random.Generator, count: int, kinds: int) -> Revealed:
    """Revealed rounds, with errors in 3 % of Z and 30 % of X."""
    settings = rng.integers(0, 2, count, dtype=np.uint8)
    outcomes = rng.integers(0, 2, count, dtype=np.uint8)
    errors = (rng.random(count) < np.where(settings, 0.3, 0.03)).astype(np.uint8)
    return Revealed(
        settings, settings, outcomes, outcomes ^ errors, rng.integers(0, kinds, count, dtype=np.uint8)
    )


def test_estimate_by_pairs_of_intensities():
    """Errors are counted by basis and pair; the block is judged by Z at both signals, since X has its quarter whatever is done."""
    revealed = rounds(np.random.default_rng(2), 20_000, 9)
    estimate = WEAK.estimate(revealed)
    wrong = revealed.alice_outcomes != revealed.bob_outcomes
    cells = itertools.product(enumerate("ZX"), enumerate(WEAK.intensities))
    for cell, ((b, basis), (k, name)) in zip(estimate.intensities, cells, strict=True):
        here = (revealed.alice == b) & (revealed.intensities == k)
        assert dataclasses.astuple(cell) == (basis, name, np.sum(here & wrong), np.sum(here))
    (z,) = estimate.bases
    first = estimate.intensities[0]
    assert (z.basis, z.errors, z.tested) == ("Z", first.errors, first.tested)
    assert estimate.key_qber == pytest.approx(np.mean(wrong[revealed.alice == 0]))
    assert WEAK.reason_to_abort(estimate, AbortThresholds()) is None
    assert WEAK.reason_to_abort(estimate, AbortThresholds(qber=0.01)) == "qber"


def test_single_photons_are_judged_by_both_bases():
    """Without several photons X has no errors of its own, and is held to the threshold too."""
    estimate = MDI().estimate(rounds(np.random.default_rng(3), 20_000, 1))
    assert [basis.basis for basis in estimate.bases] == ["Z", "X"]
    assert estimate.intensities == ()
    assert estimate.key_qber == estimate.bases[0].qber
    assert MDI().reason_to_abort(estimate, AbortThresholds()) == "qber"


def lopsided(kinds: int) -> tuple[Kept, Revealed]:
    """Rounds in which every pair of intensities has a count of its own."""
    cells = kinds * kinds
    key = np.repeat(np.arange(cells, dtype=np.uint8), 1000 * (cells - np.arange(cells)) ** 2)
    test = np.repeat(np.arange(cells, dtype=np.uint8), 700 * (cells - np.arange(cells)) ** 2)
    errors = (np.arange(len(test)) % 4 == 0).astype(np.uint8)
    corrected = np.bincount(key, minlength=cells) // 50
    zeros = np.zeros_like(test)
    return Kept(np.zeros_like(key), key, corrected), Revealed(zeros + 1, zeros + 1, zeros, errors, test)


@pytest.mark.parametrize("protocol", [WEAK, TWO], ids=["three", "two"])
def test_key_length_is_that_of_the_tables(protocol):
    """Counts reach the bound as tables with a row for each of Alice's intensities; with two of them the corrected errors too."""
    kinds = len(protocol.mean_photons)
    kept, revealed = lopsided(kinds)
    estimate = protocol.estimate(revealed)

    def table(pairs, weights=None):
        found = np.zeros((kinds, kinds))
        np.add.at(found, (pairs % kinds, pairs // kinds), 1 if weights is None else weights)
        return found.tolist()

    wrong = revealed.alice_outcomes != revealed.bob_outcomes
    expected = mdi_decoy(
        key_detections=table(kept.intensities),
        test_detections=table(revealed.intensities),
        test_errors=table(revealed.intensities[wrong]),
        intensities_a=protocol.mean_photons,
        intensities_b=protocol.mean_photons,
        probabilities_a=protocol.probabilities,
        probabilities_b=protocol.probabilities,
        leak_ec_bits=1234,
        eps_sec=1e-10,
        eps_cor=1e-12,
        tag_bits=40,
        key_errors=table(np.arange(kinds**2), kept.errors) if kinds == 2 else None,
    )
    assert protocol.key_length(kept, estimate, 1234, 40, SECURITY) == expected
    assert expected.n == len(kept.settings)
    assert protocol.counts_corrections == (kinds == 2)


def test_key_length_of_single_photons():
    """As BB84 with a key basis: n bits of Z, phase errors from X."""
    revealed = rounds(np.random.default_rng(4), 50_000, 1)
    estimate = MDI().estimate(revealed)
    kept = Kept(np.zeros(100_000, np.uint8), np.zeros(100_000, np.uint8))
    x = estimate.bases[1]
    expected = tomamichel_2012(
        n=100_000,
        k=x.tested,
        qber=x.errors / x.tested,
        leak_ec_bits=20_000,
        eps_sec=1e-10,
        eps_cor=1e-12,
        tag_bits=40,
    )
    assert MDI().key_length(kept, estimate, 20_000, 40, SECURITY) == expected


def test_proof_says_what_is_not_trusted():
    """Whatever the source, no detector is trusted."""
    assert all("no detector trusted" in protocol.proof for protocol in (MDI(), WEAK, TWO))


@pytest.mark.parametrize("means", [((0.5,), (1.0,)), ((0.5, 0.1), (1.0,))])
def test_intensities_that_bound_nothing_are_refused(means):
    """One intensity, or another number of probabilities, is refused."""
    with pytest.raises(ValueError, match="expected two or three intensities, or none"):
        MDI(*means)
