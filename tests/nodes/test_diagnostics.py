"""Algorithm 2's checks: what flags them, what they rest on, and that a run can afford them."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from netsim.postprocessing.authentication import forgery_probability
from nodes.qml.diagnostics import (
    _spread,
    algorithm_2,
    composability,
    gradient_error,
    labels_needed,
    leakage,
    local_gradient_error,
    queries_needed,
    refresh,
    resource_overhead,
)
from nodes.qml.feature_maps import zz_map
from nodes.qml.resources import inversion_test_resources

MAP = zz_map(2, 2).program


def test_epsilons_add_up_and_stay_below_the_target():
    """ε of the link and of every MAC is one sum, in the evidence."""
    check = composability(1e-9, sealed_messages=1000, longest_message_bytes=64)
    assert check.verdict == "ok"
    assert not check.flagged
    assert check.evidence["ε in all"] == 1e-9 + 1000 * forgery_probability(64)
    assert check.evidence["holds against"] == "any adversary"


def test_a_run_without_its_epsilon_is_insecure():
    """Too much ε, no MAC, or a query mode that does not compose is flagged, with the reason."""
    assert composability(1e-5).verdict == "insecure"
    forged = composability(1e-9, sealed_messages=1, mac=False)
    assert forged.verdict == "insecure"
    assert "without a MAC" in forged.sentence
    leaky = composability(0.0, unmet="the Gram matrix is open under same-pad")
    assert leaky.verdict == "insecure"
    assert "Gram matrix" in leaky.sentence


def test_a_model_delivered_under_ciphers_is_said_to_be():
    """Computational delivery composes against bounded adversaries only."""
    check = composability(1e-9, delivery="computational")
    assert check.verdict == "ok"
    assert check.evidence["holds against"] == "bounded adversaries"
    assert "ciphers" in check.sentence


def test_no_key_is_nothing_to_compose():
    """Without an accepted block the check does not apply, and raises no flag."""
    assert composability(None).verdict == "not applicable"
    assert not composability(None).flagged


@pytest.mark.parametrize(
    ("key", "model", "verdict"),
    [
        (0.3, None, "ok"),
        (0.3, 0.3, "ok"),
        (0.4, 0.3, "inefficient"),
        (None, 0.3, "inefficient"),
        (None, None, "inefficient"),
    ],
)
def test_keys_older_than_the_model_are_inefficient(key, model, verdict):
    """τ_k > τ_m is flagged, and so is a link that never gave key."""
    assert refresh(key, model).verdict == verdict


@pytest.mark.parametrize(("features", "reps", "rank"), [(2, 1, 13), (2, 2, 16), (3, 2, 64), (4, 2, 256)])
def test_so_many_scores_are_the_model(features, reps, rank):
    """The span of |φ(x)⟩⟨φ(x)| has 4^n dimensions with two repetitions, fewer with one."""
    program = zz_map(features, reps).program
    assert queries_needed(program) == rank
    states = program.columns(np.random.default_rng(0).random((rank + 40, features)))
    assert np.linalg.matrix_rank(np.abs(states.conj().T @ states) ** 2, hermitian=True) == rank


def test_exact_scores_end_at_the_rank():
    """With 16 exact scores of a two-feature model the gradient's error is nothing; with 15 it is not."""
    assert gradient_error(MAP, 15) > 0.05
    assert gradient_error(MAP, 16) < 1e-3
    assert gradient_error(MAP, 0) == 1.0


def test_more_queries_and_less_noise_tell_more():
    """The estimated error falls with queries and rises with noise."""
    errors = [gradient_error(MAP, asked, "noisy", 0.1) for asked in (4, 16, 64, 256, 4096)]
    assert errors == sorted(errors, reverse=True)
    errors = [gradient_error(MAP, asked, "label") for asked in (4, 16, 64, 256, 4096)]
    assert errors == sorted(errors, reverse=True)
    errors = [gradient_error(MAP, 64, "rounded", noise) for noise in (0.0, 0.01, 0.1, 0.5)]
    errors.append(gradient_error(MAP, 64, "label"))
    assert errors == sorted(errors)


@pytest.mark.parametrize(
    ("answers", "noise", "asked"), [("score", 0.0, 10), ("noisy", 0.1, 40), ("label", 0.0, 40)]
)
def test_the_estimate_is_what_the_best_linear_adversary_gets(answers, noise, asked):
    """On models drawn from the process it assumes, ridge regression's gradient error is the predicted one.

    4000 models, so the relative error's standard deviation is at most 1.2 %: 8 % is more than six of them (normal approximation: false failures below 1e-9).
    """
    rng = np.random.default_rng(1)
    models = 4000
    at = _spread(16, 2, 0.37)
    points = _spread(asked, 2)
    step = 1e-3 * np.eye(2)
    rows = np.concatenate([points, (at[:, None] + step).reshape(-1, 2), (at[:, None] - step).reshape(-1, 2)])
    states = MAP.columns(rows)
    # |φ⟩⟨φ| as real vectors whose inner product is the kernel
    density = np.einsum("in,jn->nij", states, states.conj()).reshape(len(rows), -1)
    vectors = np.concatenate([density.real, density.imag], axis=1)
    values = vectors @ rng.standard_normal((vectors.shape[1], models))
    told, slope = values[:asked], values[asked : asked + 32] - values[asked + 32 :]
    if answers == "label":
        told = math.sqrt(math.pi / 2) * np.sign(told)  # Bussgang's gain undone
    elif noise:
        told = told + noise * rng.standard_normal(told.shape)
    kernel = vectors[:asked] @ vectors[:asked].T
    if answers == "label":
        kernel = np.arcsin(np.minimum(kernel, 1.0))
    kernel += (noise**2 + 1e-9) * np.eye(asked)
    cross = (vectors[asked : asked + 32] - vectors[asked + 32 :]) @ vectors[:asked].T
    error = math.sqrt(np.sum((cross @ np.linalg.solve(kernel, told) - slope) ** 2) / np.sum(slope**2))
    assert error == pytest.approx(gradient_error(MAP, asked, answers, noise), rel=0.08)


def test_one_gradient_costs_a_score_more_than_there_are_features():
    """Spent on differences, three exact scores give one gradient of two features; repeating helps against fresh noise only."""
    assert local_gradient_error(MAP, 0) == 1.0
    assert local_gradient_error(MAP, 2) > 0.3
    assert local_gradient_error(MAP, 3) < 0.05
    assert local_gradient_error(MAP, 4) < 0.01
    assert local_gradient_error(zz_map(3).program, 4) < 0.05
    assert local_gradient_error(MAP, 400, "noisy", 0.1) < local_gradient_error(MAP, 4, "noisy", 0.1)
    assert local_gradient_error(MAP, 400, "rounded", 0.1) == local_gradient_error(MAP, 4, "rounded", 0.1)


def test_leakage_counts_all_clients_as_one():
    """Queries of several clients add up, and exact scores leak at once; labels do not at that number."""
    asked = {"a": 2, "b": 2}
    leaks = leakage(asked, MAP, answers="score")
    assert leaks.verdict == "leakage"
    assert leaks.evidence["queries"] == 4
    assert leaks.evidence["most by one client"] == 2
    assert leaks.evidence["scores that give all"] == 16
    assert leakage(asked, MAP).verdict == "ok"
    assert leakage({"a": labels_needed(MAP) - 1}, MAP).verdict == "ok"
    found = leakage({"a": labels_needed(MAP)}, MAP)
    assert found.verdict == "leakage"
    assert "240 labels are enough" in found.sentence
    assert leakage({}, MAP).verdict == "not applicable"
    assert leakage(asked, None).verdict == "not applicable"


def test_a_large_map_is_judged_by_its_count():
    """Beyond four qubits no error is estimated; exact scores are counted."""
    large = zz_map(6, 2).program
    assert leakage({"a": 7}, large, answers="score").verdict == "leakage"
    assert leakage({"a": 6}, large, answers="score").verdict == "ok"
    assert leakage({"a": 11}, large).evidence["gradient error"] == "not estimated"
    with pytest.raises(ValueError, match="6 qubits"):
        gradient_error(large, 1)
    with pytest.raises(ValueError, match="6 qubits"):
        local_gradient_error(large, 1)


def test_the_device_is_the_limit():
    """A kernel entry of five features is within what has been run on the named device, of six it is not."""
    assert resource_overhead(inversion_test_resources(5, 2, "heavy-hex")).verdict == "ok"
    beyond = resource_overhead(inversion_test_resources(6, 2, "heavy-hex"))
    assert beyond.verdict == "resource overhead"
    assert "two-qubit depth against 60" in beyond.sentence
    assert resource_overhead(None).verdict == "not applicable"


def test_all_four_in_order():
    """A healthy run raises no flag, and each check says what it rests on."""
    checks = algorithm_2(
        link_epsilon=2e-9,
        sealed_messages=200,
        longest_message_bytes=60,
        key_age_s=0.3,
        queries={"a": 30, "b": 20},
        program=MAP,
        needed=inversion_test_resources(2, 2, "heavy-hex"),
    )
    assert [check.name for check in checks] == ["composability", "refresh", "leakage", "resources"]
    assert not any(check.flagged for check in checks)
    assert all(check.evidence and check.sentence.endswith(".") for check in checks)


def test_a_run_can_ask_without_qiskit():
    """Importing and asking brings in neither Qiskit nor scikit-learn."""
    code = (
        "import sys\n"
        "from nodes.qml.diagnostics import algorithm_2\n"
        "from nodes.qml.feature_maps import zz_map\n"
        "from nodes.qml.resources import zz_map_resources\n"
        "algorithm_2(link_epsilon=0.0, queries={'a': 9}, program=zz_map(2).program, needed=zz_map_resources(2))\n"
        "assert not {'qiskit', 'sklearn', 'scipy'} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  our own interpreter and code


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: composability(1.5), "an ε of 1.5"),
        (lambda: composability(math.nan), "an ε of nan"),
        (lambda: composability(0.0, sealed_messages=-1), "-1 messages"),
        (lambda: composability(0.0, target=0.0), "target of 0.0"),
        (lambda: refresh(-1.0, None), "an age of -1.0 s"),
        (lambda: leakage({"a": -1}, MAP), "queries {'a': -1}"),
        (lambda: leakage({"a": 1}, MAP, answers="whisper"), "'whisper'"),
        (lambda: leakage({"a": 1}, MAP, noise=-0.1), "noise -0.1"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    """A number that cannot be is an error that names it."""
    with pytest.raises(ValueError, match=said):
        call()
