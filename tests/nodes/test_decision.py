"""The deployed decision function: every form of it against the sum over support vectors."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml import decision as module
from nodes.qml.decision import Decision, Observable, SupportVectors
from nodes.qml.feature_maps import PauliMap


def plain(program, rows, weights, bias, queries):
    """Σ_i c_i |⟨φ(x_i)|φ(x)⟩|² + b."""
    return np.abs(program.states(queries) @ program.states(rows).conj().T) ** 2 @ weights + bias


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("vectors", [2, 20, 28, 40])  # fewer than amplitudes, nearly as many, more
@pytest.mark.parametrize("qubits", [2, 5])
def test_the_observable_is_the_sum_over_support_vectors(qubits, vectors, count):
    """Eigenvectors and whole matrices give the plain sum to 1e-11, for one query and for many."""
    rng = np.random.default_rng(qubits + vectors)
    program = PauliMap(qubits).program
    rows, queries = rng.random((vectors, qubits)), rng.random((count, qubits))
    weights = rng.standard_normal(vectors)
    decision = Decision.of(program, rows, weights, 0.3)
    assert isinstance(decision.form, Observable)
    assert len(decision.form.values) == min(vectors, 2**qubits)
    assert np.abs(decision.values(queries) - plain(program, rows, weights, 0.3, queries)).max() <= 1e-11
    states = program.states(rows)
    assert np.abs(decision.form.matrix - (states.T * weights) @ states.conj()).max() <= 1e-11


def test_support_vectors_stay_where_the_observable_is_too_large(monkeypatch):
    """Beyond the memory allowed the support vectors are kept, and the decision values are the same."""
    rng = np.random.default_rng(1)
    program = PauliMap(3).program
    rows, queries, weights = rng.random((20, 3)), rng.random((50, 3)), rng.standard_normal(20)
    monkeypatch.setattr(module, "MEMORY_BYTES", 500)
    monkeypatch.setattr(module, "_BLOCK", 2**7)
    decision = Decision.of(program, rows, weights, -0.1)
    assert isinstance(decision.form, SupportVectors)
    assert np.abs(decision.values(queries) - plain(program, rows, weights, -0.1, queries)).max() <= 1e-12


def test_many_queries_are_answered_in_blocks(monkeypatch):
    """Blocks do not change a value."""
    rng = np.random.default_rng(2)
    program = PauliMap(3).program
    decision = Decision.of(program, rng.random((20, 3)), rng.standard_normal(20), 0.0)
    queries = rng.random((200, 3))
    whole = decision.values(queries)
    monkeypatch.setattr(module, "_BLOCK", 2**7)
    assert np.abs(decision.values(queries) - whole).max() <= 1e-12
    assert decision.values(queries[:0]).shape == (0,)
