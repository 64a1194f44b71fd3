"""What query modes give away: mixtures of padded registers against density matrices written out."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.padding import Pads, padded
from nodes.qml.query_leaks import (
    bell_outcomes,
    classical_leak,
    distance_from_mixed,
    holevo_bits,
    overlap_error,
    pairs_information,
    qotp_leak,
    same_pad_leak,
    unpadded_holevo_bits,
)
from nodes.qml.query_modes import References
from tests.nodes.desk import machine
from tests.statistics import FALSE_FAILURE


def random_states(qubits, count, seed):
    """complex128[2**qubits, count], each of length 1."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(2**qubits, count)) + 1j * rng.normal(size=(2**qubits, count))
    return states / np.linalg.norm(states, axis=0)


def mixture(registers, copies, question):
    """The density matrix of a batch under an unknown pad, written out."""
    qubits = len(registers[0]).bit_length() - 1
    under = [padded(states[:, [question]], Pads.every(qubits))[:, 0] for states in registers]
    total = 0.0
    for key in range(4**qubits):
        vector = np.ones(1, dtype=complex)
        for states, power in zip(under, copies, strict=True):
            for _ in range(power):
                vector = np.kron(vector, states[:, key])
        total = total + np.outer(vector, vector.conj()) / 4**qubits
    return total


def entropy(matrix):
    """Von Neumann's, in bits."""
    values = np.linalg.eigvalsh(matrix)
    values = values[values > 1e-14]
    return float(-np.sum(values * np.log2(values)))


CASES = [(1, [1]), (1, [3]), (1, [5]), (2, [1]), (2, [2]), (2, [3]), (1, [1, 1]), (1, [2, 3]), (2, [1, 1])]


@pytest.mark.parametrize(("qubits", "copies"), CASES)
def test_holevo_and_distance_are_those_of_the_density_matrices(qubits, copies):
    """Spectra of small Gram matrices give the same numbers as matrices of 2^(n·k) rows, to 1e-9."""
    registers = [random_states(qubits, 4, [qubits, j]) for j in range(len(copies))]
    mixed = [mixture(registers, copies, q) for q in range(4)]
    holevo = entropy(sum(mixed) / 4) - np.mean([entropy(m) for m in mixed])
    assert holevo_bits(registers, copies) == pytest.approx(max(0.0, holevo), abs=1e-9)
    size = len(mixed[0])
    distances = [0.5 * np.abs(np.linalg.eigvalsh(m - np.eye(size) / size)).sum() for m in mixed]
    assert distance_from_mixed(registers, copies) == pytest.approx(max(distances), abs=1e-9)


@pytest.mark.parametrize("qubits", [1, 2, 3])
def test_one_copy_under_a_fresh_pad_says_nothing(qubits):
    """Holevo information and trace distance are zero, exactly but for rounding: the wire of `qotp` is silent."""
    states = random_states(qubits, 3, qubits)
    assert holevo_bits([states], [1]) < 1e-12
    assert distance_from_mixed([states], [1]) < 1e-12
    assert qotp_leak(states, 1000, 1).line_bits == 0.0


def test_copies_under_one_pad_say_ever_more():
    """The more copies share a pad, the more they say; in the end all but what the pad itself hides."""
    model, test = machine()
    states = model.program.columns(test.features)
    bits = [holevo_bits([states], [copies]) for copies in (2, 4, 16, 1024)]
    assert bits == sorted(bits)
    assert bits[0] > 0.3
    assert bits[-1] > 0.98 * np.log2(60)
    assert all(
        holevo_bits([states], [copies]) <= unpadded_holevo_bits(states, copies) + 1e-9 for copies in (2, 8)
    )


@pytest.mark.parametrize("qubits", [1, 2])
def test_a_pair_under_its_own_pad_is_its_bell_outcome(qubits):
    """The classical information of the Bell measurement is Holevo's bound: nothing else can be learned from a pair."""
    states, reference = random_states(qubits, 12, 3), random_states(qubits, 1, 4)[:, 0]
    law = bell_outcomes(states, reference)
    assert np.allclose(law.sum(axis=0), 1.0, atol=1e-12)

    def shannon(p):
        return float(-np.sum(p * np.log2(p)))

    information = shannon(law.mean(axis=1)) - np.mean([shannon(column) for column in law.T])
    fixed = np.repeat(reference[:, None], 12, axis=1)
    assert holevo_bits([states, fixed], [1, 1]) == pytest.approx(information, abs=1e-9)


def test_the_overlap_is_among_what_a_pair_shows():
    """The parity of singlets in the Bell outcomes has the overlap as its mean."""
    states, reference = random_states(2, 9, 5), random_states(2, 1, 6)[:, 0]
    keys = Pads.every(2)
    singlets = np.sum(keys.x & keys.z, axis=1) % 2
    parity = (1.0 - 2.0 * singlets) @ bell_outcomes(states, reference)
    assert np.allclose(parity, np.abs(reference.conj() @ states) ** 2, atol=1e-12)


def test_what_pairs_say_stays_below_the_bound():
    """Drawn questions: some bits from few pairs, nearly all from many, never more than the sum of what each says (Hoeffding)."""
    model, test = machine()
    references = References.of(model, "observable")
    states = model.program.columns(test.features)
    rng, trials = np.random.default_rng(7), 200
    slack = np.log2(60) * np.sqrt(np.log(1 / FALSE_FAILURE) / (2 * trials))
    few, many = (pairs_information(states, references, pairs, trials, rng) for pairs in (4, 4000))
    bound = same_pad_leak(states, references, 4, 1, 0).line_bits
    assert 0.0 < bound < 1.0
    assert few <= bound + slack
    assert many > np.log2(60) - slack


def test_sharing_a_pad_among_pairs_costs():
    """The more pairs share a pad the more they say; with known references it is soon as if there were no pad."""
    model, test = machine()
    references = References.of(model, "observable")
    states = model.program.columns(test.features)
    apart, by_two, together = (
        same_pad_leak(states, references, 4, share, 0).line_bits for share in (1, 2, 4)
    )
    assert apart + 0.1 < together
    assert apart < by_two
    assert together <= unpadded_holevo_bits(states, 4) + 1e-9


def test_the_classical_modes_leak_all_or_nothing():
    """`otp` tells the server all and the line nothing; `masked` tells nobody anything."""
    otp, masked = (classical_leak(mode, 64, 288) for mode in ("otp", "masked"))
    assert (otp.line_bits, otp.server_bits, otp.questions_bits) == (0.0, 6.0, 6.0)
    assert (masked.line_bits, masked.server_bits) == (0.0, 0.0)


def test_the_error_of_an_overlap_falls_with_the_square_root():
    """√((1 − K²)/N), and none where the states are the same."""
    assert overlap_error(0.5, 300) == pytest.approx(0.05)
    assert overlap_error(1.0, 7) == 0.0


def test_too_large_a_mixture_is_refused():
    """A Gram matrix that would not fit is an error, with the limit."""
    with pytest.raises(ValueError, match="at most 4096"):
        holevo_bits([random_states(3, 65, 8)], [2])
