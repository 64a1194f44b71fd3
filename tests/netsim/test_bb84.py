"""BB84's steps: encoding, sifting, revealing a sample, estimating errors, giving up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netsim.protocols.bb84 import BB84
from netsim.protocols.estimate import BasisErrors, Estimate
from netsim.protocols.protocol import AbortThresholds
from tests.statistics import assert_binomial

BASES = arrays.arrays(np.uint8, st.shared(st.integers(0, 60), key="n"), elements=st.integers(0, 1))


def bits(*values: int) -> np.ndarray:
    """Bits, or settings, written out."""
    return np.array(values, dtype=np.uint8)


def test_the_four_states():
    """Z gives |0⟩ and |1⟩ (angles 0 and 4), X gives |+⟩ and |−⟩ (2 and 6)."""
    angles = BB84().encode(bits(0, 0, 1, 1), bits(0, 1, 0, 1))
    assert angles.tolist() == [0, 4, 2, 6]
    assert angles.dtype == np.uint8


@given(BASES, BASES)
def test_key_comes_from_equal_bases(alice, bob):
    """A round makes key exactly if both chose the same basis."""
    assert BB84().key_rounds(alice, bob).tolist() == (alice == bob).tolist()


def test_half_of_the_rounds_are_sifted():
    """Each chooses each basis half the time, and independently: 10000 would show 0.46."""
    protocol, rng = BB84(), np.random.default_rng(1)
    alice, bob = protocol.alice_settings(10_000, rng), protocol.bob_settings(10_000, rng)
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
    estimate = BB84().estimate(bases, bases, bits(0, 1, 1, 0, 0, 1, 1), bits(0, 0, 1, 1, 0, 1, 0))
    assert estimate.bases == (BasisErrors("Z", 1, 3), BasisErrors("X", 2, 4))
    assert (estimate.errors, estimate.tested, estimate.qber) == (3, 7, 3 / 7)
    assert estimate.chsh is None


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
    assert BB84().reason_to_abort(BB84().estimate(*[bits()] * 4), thresholds) == "no_detections"
    assert Estimate((BasisErrors("Z", 0, 0),)).qber is None
