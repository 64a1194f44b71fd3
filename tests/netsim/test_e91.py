"""E91's steps: which rounds make key, which witness entanglement, what is estimated from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netsim.key_length.finite_key import device_independent, e91_trusted
from netsim.protocols.e91 import ALICE_POLARISER_DEG, BOB_POLARISER_DEG, E91
from netsim.protocols.estimate import BasisErrors, Estimate
from netsim.protocols.protocol import AbortThresholds, Kept, Revealed, Security
from tests.statistics import assert_binomial

SETTINGS = arrays.arrays(np.uint8, st.shared(st.integers(0, 60), key="n"), elements=st.integers(0, 2))
NINE = [(a, b) for a in range(3) for b in range(3)]
LINK = AbortThresholds()


def outcomes(equal: int, different: int) -> tuple[list[int], list[int]]:
    """Outcomes of both sides with so many equal and so many different."""
    n = equal + different
    alice = [i % 2 for i in range(n)]
    return alice, [bit if i < equal else 1 - bit for i, bit in enumerate(alice)]


def estimate_of(counts: dict[tuple[int, int], tuple[int, int]]) -> Estimate:
    """What is estimated from (equal, different) at each pair of settings."""
    columns: tuple[list[int], ...] = ([], [], [], [])
    for (a, b), (equal, different) in counts.items():
        alice, bob = outcomes(equal, different)
        for column, values in zip(columns, ([a] * len(alice), [b] * len(bob), alice, bob), strict=True):
            column.extend(values)
    arrays_of = [np.array(column, dtype=np.uint8) for column in columns]
    return E91().estimate(Revealed(*arrays_of, np.zeros_like(arrays_of[0])))


def test_the_angles_of_the_settings():
    """The settings' angles on the Bloch circle are the polarisers' in steps of 22.5°."""
    assert [22.5 * int(angle) for angle in E91.alice_angles] == list(ALICE_POLARISER_DEG) == [0.0, 22.5, 45.0]
    assert [22.5 * int(angle) for angle in E91.bob_angles] == list(BOB_POLARISER_DEG) == [22.5, 45.0, 67.5]


def test_two_of_nine_pairs_of_settings_make_key():
    """22.5° with 22.5°, and 45° with 45°."""
    alice, bob = np.array(NINE, dtype=np.uint8).T
    key = E91().key_rounds(alice, bob)
    assert [pair for pair, is_key in zip(NINE, key, strict=True) if is_key] == [(1, 0), (2, 1)]


def test_two_ninths_are_sifted():
    """Each of the three settings is a third, all nine pairs a ninth, and key two ninths: 20000 would show 0.25."""
    protocol, rng = E91(), np.random.default_rng(1)
    alice, bob = protocol.alice_choice.draw(20_000, rng), protocol.bob_choice.draw(20_000, rng)
    for a, b in NINE:
        assert_binomial(int(np.sum((alice == a) & (bob == b))), 20_000, 1 / 9, fault=0.14)
    assert_binomial(int(protocol.key_rounds(alice, bob).sum()), 20_000, 2 / 9, fault=0.26)


@given(SETTINGS, SETTINGS, st.floats(0, 1), st.integers(0, 2**32))
def test_all_that_makes_no_key_is_revealed_and_a_sample_of_what_does(alice, bob, test_fraction, seed):
    """Of n key rounds, round(test_fraction·n) are revealed, and every other round."""
    protocol = E91()
    key_rounds = protocol.key_rounds(alice, bob)
    revealed = protocol.reveal(alice, bob, test_fraction, np.random.default_rng(seed))
    assert np.all(revealed[~key_rounds])
    assert int(revealed[key_rounds].sum()) == round(test_fraction * int(key_rounds.sum()))


def test_every_key_round_is_as_likely_to_be_revealed():
    """The sample is uniform: in 6000 draws of 3 of 10, each of the ten turns up 3 times in 10."""
    rng = np.random.default_rng(2)
    alice, bob = np.array([1, 2] * 5 + [0], np.uint8), np.array([0, 1] * 5 + [0], np.uint8)
    times = sum(E91().reveal(alice, bob, 0.3, rng).astype(int) for _ in range(6000))
    assert times[10] == 6000
    for count in times[:10]:
        assert_binomial(int(count), 6000, 0.3, fault=0.38)


def test_the_nine_correlators_are_counted():
    """A hand-made comparison, another count at each pair: equal and different, by polariser angles."""
    counts = {pair: (10 + i, 2 * i) for i, pair in enumerate(NINE)}
    estimate = estimate_of(counts)
    assert dict(estimate.correlators) == {
        (ALICE_POLARISER_DEG[a], BOB_POLARISER_DEG[b]): count for (a, b), count in counts.items()
    }
    assert estimate.bases == (BasisErrors("22.5°", 6, 19), BasisErrors("45°", 14, 31))
    assert estimate.qber == 20 / 50


def test_s_is_the_sum_of_four_correlators_with_their_signs():
    """S = E(0°, 22.5°) − E(0°, 67.5°) + E(45°, 22.5°) + E(45°, 67.5°), its error from the four counts."""
    counts = dict.fromkeys(NINE, (50, 50))
    counts |= {(0, 0): (90, 10), (0, 2): (20, 80), (2, 0): (80, 20), (2, 2): (85, 15)}
    chsh = estimate_of(counts).chsh
    assert chsh is not None
    s, standard_error = chsh
    correlators = (0.8, -0.6, 0.6, 0.7)
    assert s == pytest.approx(0.8 + 0.6 + 0.6 + 0.7)
    assert standard_error == pytest.approx(math.sqrt(sum((1 - e * e) / 100 for e in correlators)), rel=0.02)


@pytest.mark.parametrize("absent", [(0, 0), (0, 2), (2, 0), (2, 2)])
def test_without_one_of_the_four_there_is_no_s(absent):
    """S is unknown, and the block is given up, if one of its settings never came up."""
    counts = dict.fromkeys(NINE, (50, 0)) | {absent: (0, 0)}
    estimate = estimate_of(counts)
    assert estimate.chsh is None
    assert E91().reason_to_abort(estimate, LINK) == "no_detections"


def test_reasons_to_abort():
    """Too many errors at one key angle, S at or above 2 or below it, an untested key angle, nothing at all."""
    entangled = {(0, 0): (85, 15), (0, 2): (15, 85), (2, 0): (85, 15), (2, 2): (85, 15)}
    classical = {(0, 0): (75, 25), (0, 2): (25, 75), (2, 0): (75, 25), (2, 2): (75, 25)}
    good = dict.fromkeys(NINE, (50, 50)) | entangled | {(1, 0): (99, 1), (2, 1): (99, 1)}

    def reason(
        changes: dict[tuple[int, int], tuple[int, int]], thresholds: AbortThresholds = LINK
    ) -> str | None:
        return E91().reason_to_abort(estimate_of(good | changes), thresholds)

    assert reason({}) is None
    assert reason({(1, 0): (88, 12)}) == "qber"
    assert reason({(2, 1): (880, 120)}) == "qber"
    assert reason(classical) is None
    assert reason(classical | {(0, 0): (74, 26)}) == "chsh"
    assert reason(classical | {(0, 0): (74, 26)}, AbortThresholds(chsh=None)) is None
    assert reason({(1, 0): (0, 0)}) == "no_detections"
    assert reason(dict.fromkeys(NINE, (0, 0))) == "no_detections"


def test_a_device_independent_link_keeps_what_was_lost():
    """Only that proof counts a lost photon as an outcome, and each proof says in words what it rests on."""
    assert E91("device-independent").keeps_lost
    assert not E91().keeps_lost
    assert "Acín" in E91("device-independent").proof
    assert "trusted" in E91().proof


@pytest.mark.parametrize("proof", ["trusted", "device-independent"])
def test_key_lengths_are_those_of_the_bound(proof):
    """The length is that of the proof asked for, from the counts of the two key angles, called by hand."""
    entangled = {(0, 0): (8500, 1500), (0, 2): (1500, 8500), (2, 0): (8500, 1500), (2, 2): (8500, 1500)}
    estimate = estimate_of(
        dict.fromkeys(NINE, (5000, 5000)) | entangled | {(1, 0): (9990, 10), (2, 1): (9990, 10)}
    )
    kept = Kept(np.array([1] * 30_000 + [2] * 50_000, np.uint8), np.zeros(80_000, np.uint8))
    common = {"leak_ec_bits": 900, "eps_sec": 1e-9, "eps_cor": 1e-12, "tag_bits": 48}
    if proof == "trusted":
        expected = e91_trusted(key_counts=(30_000, 50_000), correlators=estimate.correlators, **common)
    else:
        expected = device_independent(n=80_000, correlators=estimate.correlators, **common)
    assert E91(proof).key_length(kept, estimate, 900, 48, Security(1e-9, 1e-12)) == expected
    assert expected.length > 0
