"""The six-state protocol's steps: three bases, a sample of the key rounds, and the bound they are put into."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netsim.key_length.entangled import six_state_finite
from netsim.photonics.light import BORN
from netsim.protocols.estimate import BasisErrors
from netsim.protocols.protocol import AbortThresholds, Kept, Revealed, Security
from netsim.protocols.six_state import SixState
from tests.statistics import assert_binomial

BASES = arrays.arrays(np.uint8, st.shared(st.integers(0, 60), key="n"), elements=st.integers(0, 2))


def revealed_of(errors: tuple[int, int, int], tested: tuple[int, int, int]) -> Revealed:
    """So many errors in so many rounds of each basis."""
    bases = np.repeat(np.arange(3, dtype=np.uint8), tested)
    wrong = np.concatenate([[1] * e + [0] * (t - e) for e, t in zip(errors, tested, strict=True)]).astype(
        np.uint8
    )
    alice = np.random.default_rng(1).integers(0, 2, len(bases), dtype=np.uint8)
    return Revealed(bases, bases, alice, alice ^ wrong, np.zeros_like(bases))


def test_the_six_states_are_three_unbiased_bases():
    """Within a basis outcomes are certain, between two of them they are coins."""
    states = SixState().states
    assert states.shape == (3, 2)
    assert SixState.bases == ("Z", "X", "Y")
    for i in range(3):
        for j in range(3):
            zero = BORN[states[i], SixState.bob_angles[j]].tolist()
            assert zero == ([1.0, 0.0] if i == j else [0.5, 0.5])


def test_a_third_of_the_rounds_are_sifted():
    """Each chooses each of the bases a third of the time, independently: one half would show."""
    protocol, rng = SixState(), np.random.default_rng(1)
    alice, bob = protocol.alice_choice.draw(20_000, rng), protocol.bob_choice.draw(20_000, rng)
    for basis in range(3):
        assert_binomial(int((alice == basis).sum()), 20_000, 1 / 3, fault=0.38)
        assert_binomial(int(((alice == basis) & (bob == basis)).sum()), 20_000, 1 / 9, fault=0.14)
    assert_binomial(int(protocol.key_rounds(alice, bob).sum()), 20_000, 1 / 3, fault=0.38)


@given(BASES, BASES, st.floats(0, 1), st.integers(0, 2**32))
def test_the_sample_is_of_key_rounds_only(alice, bob, test_fraction, seed):
    """Of n rounds in equal bases, round(test_fraction·n) are revealed; what makes no key is not."""
    protocol = SixState()
    key_rounds = protocol.key_rounds(alice, bob)
    assert key_rounds.tolist() == (alice == bob).tolist()
    shown = protocol.reveal(alice, bob, test_fraction, np.random.default_rng(seed))
    assert int(shown.sum()) == round(test_fraction * int(key_rounds.sum()))
    assert not np.any(shown & ~key_rounds)


def test_errors_are_counted_by_basis():
    """Each basis has its own count; the key's errors are those of all three."""
    estimate = SixState().estimate(revealed_of((1, 2, 5), (10, 20, 40)))
    assert estimate.bases == (BasisErrors("Z", 1, 10), BasisErrors("X", 2, 20), BasisErrors("Y", 5, 40))
    assert estimate.key_qber == estimate.qber == 8 / 70


@pytest.mark.parametrize("basis", range(3))
def test_one_bad_or_untested_basis_is_enough_to_abort(basis):
    """Too many errors in any of the three end a block, and so does a basis that nobody tested."""
    tested = [100, 100, 100]
    errors = [12 if b == basis else 0 for b in range(3)]
    protocol, thresholds = SixState(), AbortThresholds(qber=0.11)
    assert (
        protocol.reason_to_abort(protocol.estimate(revealed_of(tuple(errors), tuple(tested))), thresholds)
        == "qber"
    )
    tested[basis] = 0
    untested = protocol.estimate(revealed_of((0, 0, 0), tuple(tested)))
    assert protocol.reason_to_abort(untested, thresholds) == "no_detections"


def test_the_key_length_is_that_of_the_bound():
    """The key's rounds and the sample's counts by basis, as the bound wants them; called by hand it says the same."""
    protocol = SixState()
    estimate = protocol.estimate(revealed_of((30, 40, 50), (3000, 3100, 2900)))
    settings = np.repeat(np.arange(3, dtype=np.uint8), (20_000, 21_000, 19_000))
    found = protocol.key_length(
        Kept(settings, np.zeros_like(settings)), estimate, 6000, 48, Security(1e-9, 1e-12)
    )
    assert found == six_state_finite(
        key_rounds=(20_000, 21_000, 19_000),
        detections=(3000, 3100, 2900),
        errors=(30, 40, 50),
        leak_ec_bits=6000,
        eps_sec=1e-9,
        eps_cor=1e-12,
        tag_bits=48,
    )
    assert found.length > 1000
    assert "collective" in protocol.proof


def test_an_empty_block_has_no_key():
    """No rounds: a length of 0, not an exception."""
    protocol, nothing = SixState(), np.empty(0, dtype=np.uint8)
    estimate = protocol.estimate(revealed_of((0, 0, 0), (0, 0, 0)))
    assert protocol.key_length(Kept(nothing, nothing), estimate, 0, 48, Security()).length == 0
