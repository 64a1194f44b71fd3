"""Finite BBM92 and six-state: limits that are published, states drawn at random, and small blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from netsim.key_length.asymptotic import binary_entropy, shor_preskill, six_state
from netsim.key_length.entangled import bbm92, phase_information, six_state_finite
from netsim.key_length.finite_key import tomamichel_2012

EPS = {"eps_sec": 1e-10, "eps_cor": 1e-10}
PAULI = {
    "z": np.diag([1.0, -1.0]).astype(complex),
    "x": np.array([[0, 1], [1, 0]], dtype=complex),
    "y": np.array([[0, -1j], [1j, 0]]),
}


def test_one_basis_is_tomamichel():
    """Key from Z with X compared, and from X with Z compared, are the single-photon bound of 2012."""
    common = {"detections": (10**6, 10**5), "errors": (20_000, 1500), "leak_ec_bits": 1e5}
    assert bbm92(**common, key_bases="z", **EPS) == tomamichel_2012(10**6, 10**5, 0.015, 1e5, 1e-10, 1e-10)
    assert bbm92(**common, key_bases="x", **EPS) == tomamichel_2012(10**5, 10**6, 0.02, 1e5, 1e-10, 1e-10)


def test_both_bases_approach_shor_and_preskill():
    """At 3 % and ever larger blocks, the rate rises towards 1 − 2h(Q), and never above."""
    rates = []
    for n in (10**4, 10**6, 10**8, 10**12):
        errors = 3 * n // 100
        got = bbm92(
            detections=(n, n), errors=(errors, errors), leak_ec_bits=2 * n * binary_entropy(0.03), **EPS
        )
        rates.append(got.length / (2 * n))
    assert rates == sorted(rates)
    assert shor_preskill(0.03) * 0.999 < rates[-1] < shor_preskill(0.03)


def test_two_bases_double_the_key():
    """With unbiased bases, both make nearly twice the key of one: more than all of Z alone could."""
    common = {"detections": (10**6, 10**6), "errors": (10**4, 10**4)}
    one = bbm92(**common, leak_ec_bits=90_000, key_bases="z", **EPS)
    both = bbm92(**common, leak_ec_bits=180_000, **EPS)
    assert 1.99 < both.length / one.length < 2.0


def test_each_basis_answers_for_the_other():
    """Errors in X take the key of Z: an intercept in one basis is paid for in the other."""
    clean = bbm92(detections=(10**6, 10**5), errors=(10**4, 10**3), leak_ec_bits=0, **EPS)
    spied = bbm92(detections=(10**6, 10**5), errors=(10**4, 25_000), leak_ec_bits=0, **EPS)
    assert spied.length < clean.length / 3


def test_unmeasured_bases_leave_no_key():
    """Without rounds in a basis the other is unbounded, and the account says statistics or detections."""
    assert bbm92(detections=(10**6, 0), errors=(0, 0), leak_ec_bits=0, **EPS).eaten_by == "statistics"
    assert bbm92(detections=(0, 0), errors=(0, 0), leak_ec_bits=0, **EPS).eaten_by == "detections"
    assert bbm92(detections=(10**6, 0), errors=(0, 0), leak_ec_bits=0, key_bases="z", **EPS).length == 0
    empty = six_state_finite(detections=(0, 0, 0), errors=(0, 0, 0), leak_ec_bits=0, **EPS)
    assert (empty.length, empty.eaten_by) == (0, "detections")
    one = six_state_finite(detections=(10**6, 0, 0), errors=(0, 0, 0), leak_ec_bits=0, **EPS)
    assert (one.length, one.eaten_by) == (0, "statistics")


def test_the_sample_bounds_the_phase_errors_of_both_bases():
    """Over random choices of basis, neither basis's error rate exceeds the bound from the other's.

    Each of 400 blocks may fail with (ε_sec/9)² twice at most, which at ε_sec = 1e-6 is below 1e-9 in all.
    """
    rng = np.random.default_rng(8)
    for _ in range(400):
        total, wrong = int(rng.integers(2000, 20_000)), rng.uniform(0, 0.1)
        marked = rng.binomial(total, wrong)
        z = rng.binomial(total, rng.uniform(0.3, 0.9))
        in_z = rng.hypergeometric(marked, total - marked, z)
        # Z's key has the phase errors of a population of which X shows the rest.
        got = bbm92(
            detections=(z, total - z),
            errors=(0, marked - in_z),
            leak_ec_bits=0,
            eps_sec=1e-6,
            eps_cor=1e-6,
            key_bases="both",
        )
        z_part = bbm92(
            detections=(z, total - z),
            errors=(0, marked - in_z),
            leak_ec_bits=0,
            eps_sec=1e-6,
            eps_cor=1e-6,
            key_bases="z",
        )
        assert in_z / z <= z_part.phase_error_bound
        assert got.n == total


def entropy(weights) -> float:
    """Shannon or von Neumann entropy in bits."""
    kept = np.real(weights)[np.real(weights) > 1e-14]
    return float(-(kept * np.log2(kept)).sum())


def eve_knows(state: np.ndarray) -> tuple[float, dict[str, float]]:
    """1 − H(Z|E) for Eve holding the purification, and the error rates in the three bases."""
    eve = 0.0
    for outcome in (np.diag([1.0, 0.0]), np.diag([0.0, 1.0])):
        # A pure state's Bob and Eve have equal entropies once Alice is known.
        projector = np.kron(outcome, np.eye(2))
        after = projector @ state @ projector
        weight = np.trace(after).real
        if weight > 1e-12:
            eve += weight * entropy(np.linalg.eigvalsh(after / weight))
    probabilities = [np.trace(np.kron(p, np.eye(2)) @ state).real for p in (np.diag([1, 0]), np.diag([0, 1]))]
    conditional = entropy(np.array(probabilities)) + eve - entropy(np.linalg.eigvalsh(state))
    signs = {"z": 1, "x": 1, "y": -1}
    errors = {
        name: (1 - signs[name] * np.trace(np.kron(pauli, pauli) @ state).real) / 2
        for name, pauli in PAULI.items()
    }
    return 1.0 - conditional, errors


def bell_diagonal(weights) -> np.ndarray:
    """Mixture of Φ+, Φ−, Ψ+, Ψ−."""
    bell = np.array([[1, 0, 0, 1], [1, 0, 0, -1], [0, 1, 1, 0], [0, 1, -1, 0]]) / math.sqrt(2)
    return sum(w * np.outer(b, b) for w, b in zip(weights, bell, strict=True)).astype(complex)


def test_phase_information_meets_the_six_state_rate():
    """At equal error rates Eve knows what 1 − h(3Q/2) − (3Q/2)·log2 3 leaves her, after h(Q) is disclosed."""
    for qber in (0.001, 0.01, 0.05, 0.1, 0.126):
        expected = 1 - six_state(qber) - binary_entropy(qber)
        assert phase_information(qber, qber, qber) == pytest.approx(expected, abs=1e-8)


def test_no_state_tells_eve_more():
    """In random states of two qubits, her information never exceeds what their three error rates allow."""
    rng = np.random.default_rng(6)
    tight = 0
    for trial in range(100):
        weights = rng.dirichlet([8.0, 0.5, 0.5, 0.5])
        state = bell_diagonal(weights)
        if trial % 2:
            root = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
            other = root @ root.conj().T
            state = 0.8 * state + 0.2 * other / np.trace(other).real
        known, errors = eve_knows(state)
        bound = phase_information(errors["z"], errors["x"], errors["y"])
        assert known <= bound + 1e-9
        tight += bound - known < 0.01
    assert tight > 10


def test_wider_limits_tell_more():
    """Wider limits never lower what Eve may know, and it stays between 0 and 1."""
    rng = np.random.default_rng(7)
    for q, x, y in rng.uniform(0, 0.4, size=(40, 3)):
        if q > x + y:
            continue
        bound = phase_information(q, x, y)
        assert 0.0 <= bound <= 1.0
        for more in (0.01, 0.1):
            assert bound <= phase_information(max(0.0, q - more), x + more, y + more) + 1e-9


def test_six_state_approaches_its_rate():
    """At 5 % and ever larger blocks the rate rises to the published one; with one key basis as well."""
    rates = []
    for n in (10**5, 10**7, 10**9, 10**12):
        got = six_state_finite(
            detections=(n, n, n), errors=(n // 20,) * 3, leak_ec_bits=3 * n * binary_entropy(0.05), **EPS
        )
        assert got.length == math.floor(got.n - got.amplification_bits - got.leak_ec_bits - got.epsilon_bits)
        rates.append(got.length / (3 * n))
    assert rates == sorted(rates)
    assert six_state(0.05) * 0.999 < rates[-1] < six_state(0.05)
    one = six_state_finite(
        detections=(10**9,) * 3,
        errors=(5 * 10**7,) * 3,
        leak_ec_bits=10**9 * binary_entropy(0.05),
        key_bases="z",
        **EPS,
    )
    assert one.length / 10**9 == pytest.approx(rates[2], rel=0.01)


def test_six_states_tolerate_more_than_four():
    """At 11.5 % BB84 is dead and the six-state protocol is not; at 12.7 % it is."""
    n = 10**12
    leak = 3 * n * binary_entropy(0.115)
    alive = six_state_finite(detections=(n,) * 3, errors=(115 * n // 1000,) * 3, leak_ec_bits=leak, **EPS)
    assert alive.length > 0 > shor_preskill(0.115)
    leak = 3 * n * binary_entropy(0.127)
    dead = six_state_finite(detections=(n,) * 3, errors=(127 * n // 1000,) * 3, leak_ec_bits=leak, **EPS)
    assert dead.length == 0


def test_impossible_error_rates_leave_no_key():
    """A key basis that errs more than the two others together fits no state: nothing is promised."""
    got = six_state_finite(
        detections=(10**6,) * 3, errors=(200_000, 1000, 1000), leak_ec_bits=0, key_bases="z", **EPS
    )
    assert (got.length, got.phase_error_bound, got.eaten_by) == (0, pytest.approx(0.5), "amplification")


@pytest.mark.parametrize(
    "changes",
    [
        {"detections": (10, 10)},
        {"detections": (-1, 10, 10)},
        {"errors": (11, 0, 0)},
        {"eps_sec": 0.0},
        {"leak_ec_bits": -1},
    ],
)
def test_impossible_blocks_are_refused(changes):
    """Counts, leakage and ε outside their range raise, in either protocol."""
    sane = {"detections": (10, 10, 10), "errors": (1, 1, 1), "leak_ec_bits": 0, **EPS} | changes
    with pytest.raises(ValueError, match=r"must|lie"):
        six_state_finite(**sane)
    two = {name: value[:2] if name in {"detections", "errors"} else value for name, value in sane.items()}
    if two["detections"] != (10, 10) or changes.keys() & {"errors", "eps_sec", "leak_ec_bits"}:
        with pytest.raises(ValueError, match=r"must|lie"):
            bbm92(**two)
