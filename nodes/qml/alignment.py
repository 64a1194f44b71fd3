"""Kernel-target alignment: a feature map's further parameters are trained until like labels lie together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.qml.circuits import compile_circuit
from nodes.qml.overlaps import gram


def alignment(kernel: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """⟨K, yyᵀ⟩ / (‖K‖·‖yyᵀ‖), 1 if the kernel separates the labels perfectly.

    Each label is weighted by the inverse of its share, so that a rare one counts as much as the other (Hubregtsen et
    al., Phys. Rev. A 106, 042431 (2022)).

    Args:
        kernel: float64[n, n], symmetric.
        labels: int64[n] of two values.

    Raises:
        ValueError: a shape that does not fit, or other than two labels.
    """
    names, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(names) != 2:
        raise ValueError(f"{len(names)} different labels; expected two")
    if kernel.shape != (len(labels), len(labels)):
        raise ValueError(f"the kernel has shape {kernel.shape}; expected {(len(labels), len(labels))}")
    target = (2.0 * inverse - 1.0) / counts[inverse]
    return float(target @ kernel @ target / (np.linalg.norm(kernel) * (target @ target)))


@dataclass(frozen=True, eq=False)
class Trained:
    """What training found.

    Attributes:
        circuit: the feature map with its weights bound, for `StatevectorKernel`.
        weights: float64[w].
        before: alignment at the first weights.
        after: alignment at the last.
    """

    circuit: Any
    weights: NDArray[np.float64]
    before: float
    after: float


def align(
    circuit: Any,
    weights: Sequence[Any],
    rows: NDArray[np.float64],
    labels: NDArray[np.int64],
    rng: np.random.Generator,
    iterations: int = 50,
) -> Trained:
    """Train a circuit's weights to the largest alignment of its kernel.

    By L-BFGS-B with finite differences, from weights drawn uniformly from [0, 2π). The best weights that were
    evaluated are kept.

    Args:
        circuit: a qiskit `QuantumCircuit` that `compile_circuit` takes.
        weights: those of its parameters that are trained; the others are features.
        rows: float64[n, d].
        labels: int64[n] of two values.
        rng: draws the first weights.
        iterations: of the optimiser, at most.

    Raises:
        ValueError: no weights, a weight that is not the circuit's, other than two labels, or what `compile_circuit`
            refuses.
    """
    from scipy.optimize import minimize  # noqa: PLC0415  it takes a second, and most runs do not train

    missing = [weight.name for weight in weights if weight not in circuit.parameters]
    if missing or not weights:
        raise ValueError(f"weights {missing} are not the circuit's; expected one or more of its parameters")
    program = compile_circuit(circuit, weights=weights)
    rows = np.asarray(rows, dtype=np.float64)
    best: list[tuple[float, NDArray[np.float64]]] = []

    def loss(values: NDArray[np.float64]) -> float:
        points = np.concatenate([rows, np.tile(values, (len(rows), 1))], axis=1)
        found = alignment(gram(program.states(points).T), labels)
        if not best or found > best[0][0]:
            best[:] = [(found, values.copy())]
        return -found

    first = rng.uniform(0.0, 2.0 * np.pi, len(weights))
    before = -loss(first)
    minimize(loss, first, method="L-BFGS-B", options={"maxiter": iterations})
    after, values = best[0]
    bound = circuit.assign_parameters(dict(zip(weights, values.tolist(), strict=True)))
    return Trained(bound, values, before, after)
