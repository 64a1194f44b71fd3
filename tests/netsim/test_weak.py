"""BB84 with weak pulses and no decoys: what pulses of several photons cost, and what is claimed when they are ignored."""

from __future__ import annotations

import math

import numpy as np
import pytest

from netsim.key_length.finite_key import tomamichel_2012
from netsim.key_length.tagging import tagged
from netsim.protocols.bb84 import BB84
from netsim.protocols.estimate import BasisErrors, Estimate
from netsim.protocols.protocol import Kept, Security
from netsim.protocols.weak import WeakBB84

SECURITY = Security(1e-9, 1e-12)
COMMON = {"leak_ec_bits": 900, "eps_sec": 1e-9, "eps_cor": 1e-12, "tag_bits": 48}
ESTIMATE = Estimate((BasisErrors("Z", 2, 2000), BasisErrors("X", 5, 1500)))
KEPT = Kept(np.zeros(30_000, np.uint8), np.zeros(30_000, np.uint8))


def weak(key_basis: float | None = None, **keywords: float) -> WeakBB84:
    """A block of 10^6 pulses of 0.05 photons, a fifth of the sifted bits revealed."""
    return WeakBB84(
        key_basis, **{"mean_photons": 0.05, "block_pulses": 1_000_000, "test_fraction": 0.2} | keywords
    )


def several(mean: float) -> float:
    """Probability of two photons or more."""
    return 1.0 - math.exp(-mean) * (1.0 + mean)


def test_pulses_of_several_photons_are_counted_where_they_may_be():
    """Half of all pulses are sifted, a fifth of them tested: so are the multi-photon ones, and the bound is called with that."""
    expected = tagged(
        n=30_000,
        k=3500,
        test_errors=7,
        key_chances=1e6 * several(0.05) * 0.5 * 0.8,
        test_chances=1e6 * several(0.05) * 0.5 * 0.2,
        **COMMON,
    )
    found = weak().key_length(KEPT, ESTIMATE, 900, 48, SECURITY)
    assert found.length == pytest.approx(expected.length, abs=1)
    assert found.amplification_bits == pytest.approx(expected.amplification_bits, rel=1e-9)
    assert 0 < found.length < BB84().key_length(KEPT, ESTIMATE, 900, 48, SECURITY).length


def test_with_a_key_basis_the_test_is_the_other_one():
    """At 0.9, 81 % of the multi-photon pulses are sifted for the key, four fifths of them kept, and 1 % tested."""
    expected = tagged(
        n=30_000,
        k=1500,
        test_errors=5,
        key_chances=1e6 * several(0.02) * 0.81 * 0.8,
        test_chances=1e6 * several(0.02) * 0.01,
        **COMMON,
    )
    found = weak(0.9, mean_photons=0.02).key_length(KEPT, ESTIMATE, 900, 48, SECURITY)
    assert found.length == pytest.approx(expected.length, abs=1)
    assert found.length > 0


@pytest.mark.parametrize("key_basis", [None, 0.9])
def test_ignored_they_cost_nothing_and_prove_nothing(key_basis):
    """The length is that of single photons, at any mean photon number, and the proof says that there is none."""
    for mean in (0.05, 1.0):
        protocol = weak(key_basis, mean_photons=mean, counted=False)
        expected = BB84(key_basis).key_length(KEPT, ESTIMATE, 900, 48, SECURITY)
        assert protocol.key_length(KEPT, ESTIMATE, 900, 48, SECURITY) == expected
        assert protocol.proof.startswith("none")
    assert isinstance(expected.length, int)
    if key_basis is None:
        assert expected == tomamichel_2012(n=30_000, k=3500, qber=7 / 3500, **COMMON)


def test_more_photons_cost_more():
    """The key falls with the mean photon number and its fluctuation, and is gone where all detections may be of pulses that split."""
    lengths = [
        weak(mean_photons=mean).key_length(KEPT, ESTIMATE, 900, 48, SECURITY).length
        for mean in (0.01, 0.02, 0.05, 0.1, 0.5)
    ]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > lengths[2] > lengths[4] == 0
    fluctuating = weak(fluctuation=0.2).key_length(KEPT, ESTIMATE, 900, 48, SECURITY)
    assert fluctuating.length < lengths[2]


def test_an_empty_block_has_no_key():
    """No rounds: a length of 0, not an exception."""
    empty = Kept(np.empty(0, np.uint8), np.empty(0, np.uint8))
    nothing = Estimate((BasisErrors("Z", 0, 0), BasisErrors("X", 0, 0)))
    for counted in (True, False):
        assert weak(counted=counted).key_length(empty, nothing, 0, 48, SECURITY).length == 0


def test_it_is_told_apart_from_single_photons_by_its_proof_only():
    """The conversation is BB84's: one intensity, the same bases, the same sample."""
    assert weak().intensities == ("",)
    assert weak().states.tolist() == BB84().states.tolist()
    assert not weak().counts_corrections
    assert "counted as Eve's" in weak().proof
