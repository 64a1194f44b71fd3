"""BB84's steps: encoding, sifting, revealing a sample, estimating errors, giving up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netsim.key_length.finite_key import tomamichel_2012
from netsim.protocols.bb84 import BB84
from netsim.protocols.bbm92 import BBM92
from netsim.protocols.estimate import BasisErrors, Estimate
from netsim.protocols.protocol import AbortThresholds, Kept, Revealed, Security
from tests.statistics import assert_binomial

BASES = arrays.arrays(np.uint8, st.shared(st.integers(0, 60), key="n"), elements=st.integers(0, 1))


def bits(*values: int) -> np.ndarray:
    """Bits, or settings, written out."""
    return np.array(values, dtype=np.uint8)


def revealed(bases: np.ndarray, alice: np.ndarray, bob: np.ndarray) -> Revealed:
    """Rounds in equal bases, given away by both."""
    return Revealed(bases, bases, alice, bob, np.zeros_like(bases))


def test_the_four_states():
    """Z gives |0⟩ and |1⟩ (angles 0 and 4), X gives |+⟩ and |−⟩ (2 and 6)."""
    states = BB84().states
    assert states.tolist() == [[0, 4], [2, 6]]
    assert states.dtype == np.uint8


@given(BASES, BASES)
def test_key_comes_from_equal_bases(alice, bob):
    """A round makes key exactly if both chose the same basis."""
    assert BB84().key_rounds(alice, bob).tolist() == (alice == bob).tolist()


def test_half_of_the_rounds_are_sifted():
    """Each chooses each basis half the time, and independently: 10000 would show 0.46."""
    protocol, rng = BB84(), np.random.default_rng(1)
    alice, bob = protocol.alice_choice.draw(10_000, rng), protocol.bob_choice.draw(10_000, rng)
    for settings in (alice, bob):
        assert_binomial(int(settings.sum()), 10_000, 0.5, fault=0.57)
    assert_binomial(int(protocol.key_rounds(alice, bob).sum()), 10_000, 0.5, fault=0.57)


@given(BASES, BASES, st.floats(0, 1), st.integers(0, 2**32))
def test_the_sample_is_of_exact_size_and_of_key_rounds_only(alice, bob, test_fraction, seed):
    """Of n key rounds, round(test_fraction·n) are revealed; what makes no key is not."""
    protocol = BB84()
    key_rounds = protocol.key_rounds(alice, bob)
    revealed = protocol.reveal(alice, bob, test_fraction, np.random.default_rng(seed))
    assert revealed.dtype == np.bool_
    assert int(revealed.sum()) == round(test_fraction * int(key_rounds.sum()))
    assert not np.any(revealed & ~key_rounds)


def test_every_key_round_is_as_likely_to_be_revealed():
    """The sample is uniform: in 6000 draws of 3 of 10, each of the ten turns up 3 times in 10."""
    protocol, rng = BB84(), np.random.default_rng(2)
    alice, bob = bits(*[0, 1] * 6), bits(*[0, 1] * 5, 1, 0)
    times = sum(protocol.reveal(alice, bob, 0.3, rng).astype(int) for _ in range(6000))
    assert times[10:].tolist() == [0, 0]
    for count in times[:10]:
        assert_binomial(int(count), 6000, 0.3, fault=0.38)


def test_errors_are_counted_by_basis():
    """A hand-made comparison: 1 of 3 wrong in Z, 2 of 4 in X."""
    bases = bits(0, 0, 0, 1, 1, 1, 1)
    estimate = BB84().estimate(revealed(bases, bits(0, 1, 1, 0, 0, 1, 1), bits(0, 0, 1, 1, 0, 1, 0)))
    assert estimate.bases == (BasisErrors("Z", 1, 3), BasisErrors("X", 2, 4))
    assert (estimate.errors, estimate.tested, estimate.qber) == (3, 7, 3 / 7)
    assert estimate.key_qber == estimate.qber
    assert estimate.chsh is None
    assert estimate.intensities == ()


@pytest.mark.parametrize(
    ("z", "x", "reason"),
    [
        ((0, 50), (0, 50), None),
        ((5, 50), (5, 50), None),
        ((11, 100), (11, 100), None),
        ((12, 100), (0, 100), "qber"),
        ((0, 1000), (12, 100), "qber"),
        ((0, 0), (0, 0), "no_detections"),
        ((0, 50), (0, 0), "no_detections"),
        ((0, 0), (0, 50), "no_detections"),
    ],
)
def test_reasons_to_abort(z, x, reason):
    """One bad basis is enough, the threshold itself is not too much, and a basis nobody tested is not a good one."""
    estimate = Estimate((BasisErrors("Z", *z), BasisErrors("X", *x)))
    assert BB84().reason_to_abort(estimate, AbortThresholds(qber=0.11)) == reason


def test_without_a_threshold_only_an_empty_block_is_given_up():
    """None means never."""
    thresholds = AbortThresholds(qber=None, chsh=None)
    bad = Estimate((BasisErrors("Z", 50, 50), BasisErrors("X", 50, 50)))
    assert BB84().reason_to_abort(bad, thresholds) is None
    nothing = BB84().estimate(revealed(*[bits()] * 3))
    assert BB84().reason_to_abort(nothing, thresholds) == "no_detections"
    assert Estimate((BasisErrors("Z", 0, 0),)).qber is None


# One basis for the key.

SECURITY = Security(1e-9, 1e-12)


@pytest.mark.parametrize("kind", [BB84, BBM92])
def test_a_key_basis_is_chosen_as_often_as_it_says(kind):
    """With a key basis at 0.9, each chooses Z nine times in ten by themselves: 81 % make key, 1 % test; half and half would show."""
    protocol, rng = kind(0.9), np.random.default_rng(5)
    alice, bob = protocol.alice_choice.draw(20_000, rng), protocol.bob_choice.draw(20_000, rng)
    for z, expected in ((alice == 0, 0.9), (bob == 0, 0.9), ((alice == 0) & (bob == 0), 0.81)):
        assert_binomial(int(z.sum()), 20_000, expected, fault=0.7)
    assert_binomial(int((alice & bob).sum()), 20_000, 0.01, fault=0.03)
    assert protocol.alice_choice.settings.tolist() == protocol.bob_choice.settings.tolist() == [0, 2]


@given(BASES, BASES, st.floats(0, 1), st.integers(0, 2**32))
def test_with_a_key_basis_all_of_the_other_is_revealed(alice, bob, test_fraction, seed):
    """Every X round, round(test_fraction·n) of the n rounds in Z, and nothing in which the bases differ."""
    shown = BB84(0.9).reveal(alice, bob, test_fraction, np.random.default_rng(seed))
    in_z, in_x = (alice == 0) & (bob == 0), (alice == 1) & (bob == 1)
    assert shown.dtype == np.bool_
    assert shown[in_x].all()
    assert int(shown[in_z].sum()) == round(test_fraction * int(in_z.sum()))
    assert not np.any(shown & ~in_z & ~in_x)


def test_which_rounds_of_the_key_basis_are_revealed_is_chance():
    """The sample of Z is uniform: in 6000 draws of 3 of 10, each of the ten turns up 3 times in 10."""
    rng, bases = np.random.default_rng(6), bits(*[0] * 10, 1)
    times = sum(BB84(0.9).reveal(bases, bases, 0.3, rng).astype(int) for _ in range(6000))
    assert times[10] == 6000
    for count in times[:10]:
        assert_binomial(int(count), 6000, 0.3, fault=0.38)


def test_with_a_key_basis_reconciliation_expects_the_errors_of_that_basis():
    """1 of 4 wrong in Z and 2 of 3 in X: the key has 1 in 4, the phases 2 in 3; with both alike the key has 3 in 7."""
    bases = bits(0, 0, 0, 0, 1, 1, 1)
    rounds = revealed(bases, bits(0, 0, 0, 0, 0, 0, 0), bits(1, 0, 0, 0, 1, 1, 0))
    biased = BB84(0.9).estimate(rounds)
    assert biased.bases == (BasisErrors("Z", 1, 4), BasisErrors("X", 2, 3))
    assert biased.key_errors == BasisErrors("Z", 1, 4)
    assert biased.key_qber == 0.25
    assert BB84().estimate(rounds).key_qber == 3 / 7


@pytest.mark.parametrize("kind", [BB84, BBM92])
@pytest.mark.parametrize("z", [(3, 400), (40, 400)])
def test_key_lengths_are_those_of_the_bound(kind, z):
    """Both bases pooled as the test, or X alone where Z is the key's: the length is the theorem's, called by hand."""
    estimate = Estimate((BasisErrors("Z", *z), BasisErrors("X", 5, 900)))
    kept = Kept(bits(*[0, 1, 0] * 5000), bits(*[0] * 15_000))
    common = {"leak_ec_bits": 2000, "eps_sec": 1e-9, "eps_cor": 1e-12, "tag_bits": 48}
    pooled = tomamichel_2012(n=15_000, k=1300, qber=(5 + z[0]) / 1300, **common)
    assert kind().key_length(kept, estimate, 2000, 48, SECURITY) == pooled
    alone = tomamichel_2012(n=15_000, k=900, qber=5 / 900, **common)
    assert kind(0.9).key_length(kept, estimate, 2000, 48, SECURITY) == alone
    assert pooled.length != alone.length > 0


def test_bbm92_is_bb84_on_pairs():
    """The same settings at both ends, pairs measured, and nothing said of CHSH; each says which proof it rests on."""
    assert BBM92.entangled
    assert not BB84.entangled
    assert BBM92().states.tolist() == BB84().states.tolist()
    assert not BBM92().witnesses
    assert "source may be Eve's" in BBM92().proof
    assert "pooled" in BBM92().proof
    assert "key from Z" in BBM92(0.9).proof
    assert "key from Z" in BB84(0.9).proof
