"""Feature maps in closed form: the state of many data points at once, without a circuit simulator."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MAX_FEATURES = 12
"""Largest number of features: a state has 2**12 amplitudes, an observable on it takes 256 MiB."""


@lru_cache(maxsize=MAX_FEATURES)
def _parities(qubits: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """The pairs of qubits, and for each qubit and pair the parity of its bits in every basis state.

    Returns:
        The first and the second qubit of each pair, intp[d(d-1)/2] each, and 0.0 or 1.0 as
        float64[d + d(d-1)/2, 2**d]: first the single qubits, then the pairs. Qubit 0 is the lowest bit of a
        basis state's index, which is Qiskit's order.
    """
    first, second = np.triu_indices(qubits, k=1)
    bits = (np.arange(2**qubits) >> np.arange(qubits)[:, None]) & 1
    return first, second, np.concatenate([bits, bits[first] ^ bits[second]]).astype(np.float64)


def zz_states(features: NDArray[np.float64], reps: int = 2) -> NDArray[np.complex128]:
    """States |φ(x)⟩ of the ZZ feature map with full entanglement, for all rows at once.

    Each repetition is a Hadamard on every qubit, then the diagonal unitary with phase 2·x_j on every qubit j
    that is set and 2·(π - x_i)·(π - x_j) on every pair i < j of odd parity (Havlíček et al., Nature 567, 209
    (2019), with the coefficients that Qiskit's `zz_feature_map` chooses). Since the diagonal is the same in
    every repetition, it is computed once.

    Args:
        features: float64[n, d], 2 <= d <= 12, in radians; one qubit for each.
        reps: how often the layer is repeated, at least 1.

    Returns:
        complex128[n, 2**d], amplitudes in the order of Qiskit's `Statevector`: feature 0 is the lowest bit.

    Raises:
        ValueError: a wrong shape, a feature that is not finite, or fewer than one repetition.
    """
    if features.ndim != 2 or not 2 <= features.shape[1] <= MAX_FEATURES:
        raise ValueError(
            f"features have shape {features.shape}; expected (n, d) with d from 2 to {MAX_FEATURES}"
        )
    if not np.isfinite(features).all():
        raise ValueError("a feature is infinite or not a number; expected finite numbers")
    if reps < 1:
        raise ValueError(f"reps is {reps}; expected at least 1")
    qubits = features.shape[1]
    first, second, parities = _parities(qubits)
    complements = np.pi - features
    angles = 2.0 * np.concatenate([features, complements[:, first] * complements[:, second]], axis=1)
    diagonal = np.exp(1j * (angles @ parities)) * 2.0 ** (-qubits / 2)
    states: NDArray[np.complex128] = diagonal  # the first Hadamards take |0…0⟩ to equal amplitudes
    for _ in range(reps - 1):
        for qubit in range(qubits):
            halves = states.reshape(-1, 2, 2**qubit)
            zero, one = halves[:, 0], halves[:, 1]
            states = np.stack([zero + one, zero - one], axis=1)
        states = states.reshape(diagonal.shape) * diagonal
    return states
