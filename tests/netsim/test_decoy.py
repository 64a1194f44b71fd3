"""Decoy-state BB84's steps: which rounds are revealed, the table of counts, and the bound they are put into."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netsim.key_length.decoy import lim_2014, wiesemann_2024
from netsim.protocols.decoy import DecoyBB84
from netsim.protocols.estimate import BasisErrors, IntensityErrors
from netsim.protocols.protocol import AbortThresholds, Kept, Revealed, Security
from tests.statistics import assert_binomial

TWO = DecoyBB84((0.5, 0.1, 0.0002), (0.7, 0.2, 0.1))
ONE = DecoyBB84((0.5, 0.15), (0.7, 0.3), 0.8)
PROTOCOLS = [TWO, ONE]
NAMES = ["two decoys", "one decoy"]
BASES = arrays.arrays(np.uint8, st.shared(st.integers(0, 60), key="n"), elements=st.integers(0, 1))


def revealed_of(counts: dict[tuple[int, int], tuple[int, int]]) -> Revealed:
    """Rounds with so many (errors, tested) at each (basis, intensity), in an order that has nothing to do with either."""
    rounds = [
        (basis, intensity, wrong)
        for (basis, intensity), (errors, tested) in counts.items()
        for wrong in [1] * errors + [0] * (tested - errors)
    ]
    rng = np.random.default_rng(3)
    table = np.array(rounds, dtype=np.uint8).reshape(-1, 3)[rng.permutation(len(rounds))]
    alice = rng.integers(0, 2, len(rounds), dtype=np.uint8)
    return Revealed(table[:, 0], table[:, 0], alice, alice ^ table[:, 2], table[:, 1])


def counted(protocol: DecoyBB84) -> dict[tuple[int, int], tuple[int, int]]:
    """Other numbers in each cell."""
    cells = itertools.product(range(2), range(len(protocol.mean_photons)))
    return {cell: (2 * i + 1, 10 * (i + 1)) for i, cell in enumerate(cells)}


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=NAMES)
@given(BASES, BASES, st.floats(0, 1), st.integers(0, 2**32))
def test_all_of_the_test_basis_is_revealed_and_a_sample_of_the_key_basis(
    protocol, alice, bob, test_fraction, seed
):
    """Every X round, round(test_fraction·n) of the n rounds in Z, and nothing in which the bases differ."""
    shown = protocol.reveal(alice, bob, test_fraction, np.random.default_rng(seed))
    in_z, in_x = (alice == 0) & (bob == 0), (alice == 1) & (bob == 1)
    assert shown.dtype == np.bool_
    assert shown[in_x].all()
    assert int(shown[in_z].sum()) == round(test_fraction * int(in_z.sum()))
    assert not np.any(shown & ~in_z & ~in_x)
    assert protocol.key_rounds(alice, bob).tolist() == (alice == bob).tolist()


def test_bases_are_chosen_as_often_as_it_says():
    """Each side chooses Z with the probability of the key basis; one half would show."""
    rng = np.random.default_rng(1)
    for protocol in PROTOCOLS:
        for choice in (protocol.alice_choice, protocol.bob_choice):
            in_z = int((choice.draw(10_000, rng) == 0).sum())
            assert_binomial(in_z, 10_000, protocol.key_basis, fault=0.5)


def test_what_is_told_apart():
    """Two decoys: signal, decoy, vacuum. One: signal and decoy, and only there reconciliation's errors are asked for."""
    assert TWO.intensities == ("signal", "decoy", "vacuum")
    assert ONE.intensities == ("signal", "decoy")
    assert (TWO.counts_corrections, ONE.counts_corrections) == (False, True)
    assert "Lim" in TWO.proof
    assert "Wiesemann" in ONE.proof
    assert not TWO.entangled
    assert TWO.states.tolist() == [[0, 4], [2, 6]]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=NAMES)
def test_errors_are_counted_by_basis_and_intensity(protocol):
    """Each cell has its own count; a basis is judged by its signal pulses, and reconciliation meets all of Z."""
    counts = counted(protocol)
    estimate = protocol.estimate(revealed_of(counts))
    kinds = len(protocol.intensities)
    assert estimate.intensities == tuple(
        IntensityErrors("ZX"[basis], protocol.intensities[kind], *counts[basis, kind])
        for basis in range(2)
        for kind in range(kinds)
    )
    assert estimate.bases == (BasisErrors("Z", *counts[0, 0]), BasisErrors("X", *counts[1, 0]))
    in_z = [counts[0, kind] for kind in range(kinds)]
    errors, tested = (sum(column) for column in zip(*in_z, strict=True))
    assert estimate.key_errors == BasisErrors("Z", errors, tested)
    assert estimate.key_qber == errors / tested != estimate.qber


def test_without_a_sample_of_the_key_basis_reconciliation_expects_what_the_others_show():
    """No Z round revealed: the error rate that was seen at all is what is expected, and 0 if there is none."""
    estimate = TWO.estimate(revealed_of({(1, 0): (3, 30)}))
    assert estimate.key_qber == 0.1
    assert TWO.estimate(revealed_of({})).key_qber == 0.0
    assert TWO.reason_to_abort(estimate, AbortThresholds()) == "no_detections"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({(0, 0): (12, 100)}, "qber"),
        ({(1, 0): (12, 100)}, "qber"),
        ({(0, 1): (40, 100), (1, 1): (50, 100), (0, 2): (50, 100), (1, 2): (50, 100)}, None),
        ({(1, 0): (0, 0)}, "no_detections"),
    ],
)
def test_reasons_to_abort(changes, reason):
    """Errors of signals end a block; those of decoys, which are mostly dark counts, do not."""
    counts = dict.fromkeys(itertools.product(range(2), range(3)), (2, 100)) | changes
    assert TWO.reason_to_abort(TWO.estimate(revealed_of(counts)), AbortThresholds(qber=0.11)) == reason


def block(protocol: DecoyBB84) -> tuple[Kept, Revealed, list[list[int]]]:
    """A good block's rounds: the key's, the revealed ones, and (key, test, test errors) by intensity."""
    key, test, wrong = [600_000, 40_000, 60], [160_000, 12_000, 20], [1600, 130, 9]
    if protocol.counts_corrections:
        key, test, wrong = [600_000, 90_000], [160_000, 24_000], [1600, 260]
    kinds = range(len(key))
    order = np.random.default_rng(7).permutation(sum(key))
    sent = np.repeat(np.array(kinds, dtype=np.uint8), key)[order]
    errors = np.array([6000, 950] if protocol.counts_corrections else [], dtype=np.int64)
    counts = {(0, kind): (1, 100) for kind in kinds} | {
        (1, kind): (wrong[kind], test[kind]) for kind in kinds
    }
    return Kept(np.zeros_like(sent), sent, errors), revealed_of(counts), [key, test, wrong]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=NAMES)
def test_the_key_length_is_that_of_the_bound(protocol):
    """From the rounds of a block the protocol takes the counts that the bound asks for; called by hand it says the same."""
    kept, revealed, (key, test, wrong) = block(protocol)
    estimate = protocol.estimate(revealed)
    found = protocol.key_length(kept, estimate, 5000, 48, Security(1e-9, 1e-12))
    common = {
        "key_detections": key,
        "test_detections": test,
        "test_errors": wrong,
        "intensities": protocol.mean_photons,
        "probabilities": protocol.probabilities,
        "leak_ec_bits": 5000,
        "eps_sec": 1e-9,
        "eps_cor": 1e-12,
        "tag_bits": 48,
    }
    expected = wiesemann_2024(key_errors=[6000, 950], **common) if protocol is ONE else lim_2014(**common)
    assert found == expected
    assert expected.length > 1000
    assert found.n == sum(key)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=NAMES)
def test_an_empty_block_has_no_key(protocol):
    """No rounds at all, or none kept: a length of 0, not an exception."""
    nothing = np.empty(0, dtype=np.uint8)
    errors = np.zeros(2 if protocol.counts_corrections else 0, dtype=np.int64)
    for counts in ({}, counted(protocol)):
        estimate = protocol.estimate(revealed_of(counts))
        kept = Kept(nothing, nothing, errors)
        assert protocol.key_length(kept, estimate, 0, 48, Security()).length == 0
