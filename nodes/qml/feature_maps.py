"""Feature maps in closed form: the state of many data points at once, without a circuit simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from nodes.qml.statevector import Builder, Program, checked

MAX_FEATURES = 16
"""Largest number of features: a state has 2**16 amplitudes, one megabyte."""

Entanglement = Literal["full", "linear", "circular"]

_H = np.array([[1, 1], [1, -1]], dtype=np.complex128) / np.sqrt(2.0)
_TO_X = _H
_TO_Y = np.diag([1.0, 1.0j]) @ _H


class FeatureMap(Protocol):
    """What kernels need of a feature map."""

    @property
    def features(self) -> int:
        """Numbers in a data point."""

    @property
    def qubits(self) -> int:
        """Of a state."""

    def states(self, features: NDArray[np.float64]) -> NDArray[np.complex128]:
        """float64[n, d] to complex128[n, 2**qubits]."""


@dataclass(frozen=True)
class PauliMap:
    """The Pauli feature map of Havlíček et al., Nature 567, 209 (2019), with Qiskit's coefficients.

    Each repetition is a Hadamard on every qubit, then exp(iθ) on the -1 eigenspace of every Pauli string, on the
    qubits that the entanglement names, θ = α·x_j for one qubit j and α·Π(π - x_j) for several.

    Attributes:
        features: d, one qubit for each, from 1 to 16.
        paulis: strings of I, X, Y and Z, in the order in which they act; a string's last letter belongs to the
            first qubit, as in Qiskit.
        reps: how often that is repeated, at least 1.
        entanglement: which qubits a string acts on: `full` all combinations, `linear` neighbours, `circular`
            neighbours with the last joined to the first.
        alpha: α.

    Raises:
        ValueError: a value out of range.
    """

    features: int
    paulis: tuple[str, ...] = ("Z", "ZZ")
    reps: int = 2
    entanglement: Entanglement = "full"
    alpha: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.features <= MAX_FEATURES:
            raise ValueError(f"a feature map of {self.features} features; expected 1 to {MAX_FEATURES}")
        if self.reps < 1:
            raise ValueError(f"reps is {self.reps}; expected at least 1")
        if self.entanglement not in get_args(Entanglement):
            raise ValueError(
                f"entanglement is {self.entanglement!r}; expected one of {', '.join(get_args(Entanglement))}"
            )
        if not np.isfinite(self.alpha):
            raise ValueError(f"alpha is {self.alpha}; expected a finite number")
        for pauli in self.paulis:
            if not (0 < len(pauli) <= self.features and set(pauli) <= set("IXYZ") and pauli.strip("I")):
                raise ValueError(
                    f"a Pauli string is {pauli!r}; expected 1 to {self.features} letters of I, X, Y, Z, not all I"
                )

    @property
    def qubits(self) -> int:
        """One for each feature."""
        return self.features

    def states(self, features: NDArray[np.float64]) -> NDArray[np.complex128]:
        """|φ(x)⟩ as complex128[n, 2**d], of float64[n, d]; see `Program.states`."""
        return self.program.states(features)

    def circuit(self) -> Any:
        """The same as a qiskit `QuantumCircuit`."""
        from qiskit.circuit.library import pauli_feature_map  # noqa: PLC0415  the closed form needs no Qiskit

        return pauli_feature_map(
            self.features,
            reps=self.reps,
            entanglement=self.entanglement,
            alpha=self.alpha,
            paulis=list(self.paulis),
        )

    @cached_property
    def program(self) -> Program:
        """Its steps."""
        supports = sorted(
            {tuple(sorted(qubits)) for pauli in self.paulis for _, qubits in self._placed(pauli)},
            key=lambda qubits: (len(qubits), qubits),
        )
        index = {qubits: number for number, qubits in enumerate(supports, start=1)}
        builder = Builder(self.features, len(supports) + 1)
        for _ in range(self.reps):
            for qubit in range(self.features):
                builder.gate(qubit, _H)
            for pauli in self.paulis:
                for letters, qubits in self._placed(pauli):
                    self._rotate(builder, letters, qubits, index[tuple(sorted(qubits))])
        return Program.of(self.features, self.features, _Products(supports), builder.steps())

    def _placed(self, pauli: str) -> list[tuple[str, tuple[int, ...]]]:
        """Letters, and the qubits whose features count, for each place of a string."""
        return [(pauli[::-1], place) for place in _places(self.features, len(pauli), self.entanglement)]

    def _rotate(self, builder: Builder, letters: str, qubits: Sequence[int], angle: int) -> None:
        turned = [
            (qubit, _TO_X if letter == "X" else _TO_Y)
            for letter, qubit in zip(letters, qubits, strict=True)
            if letter in "XY"
        ]
        acted = [qubit for letter, qubit in zip(letters, qubits, strict=True) if letter != "I"]
        for qubit, axis in turned:
            builder.gate(qubit, axis.conj().T)
        builder.phase(builder.angle(self.alpha, angle), *acted)
        for qubit, axis in turned:
            builder.gate(qubit, axis)


def _places(features: int, size: int, entanglement: Entanglement) -> list[tuple[int, ...]]:
    """The qubits of each block of `size`, in Qiskit's order."""
    if entanglement == "full" or size == 1:
        return list(combinations(range(features), size))
    linear = [tuple(range(first, first + size)) for first in range(features - size + 1)]
    if entanglement == "circular" and features > size:
        around = [
            tuple((first + step) % features for step in range(size))
            for first in range(features - size + 1, features)
        ]
        return around + linear
    return linear


class _Products:
    """Angles of the default data map: 1, features, and products of their complements π - x.

    Args:
        supports: the qubits of each, single ones first.
    """

    def __init__(self, supports: Sequence[tuple[int, ...]]) -> None:
        # every angle is a product of as many numbers, out of 1, the features and their complements
        size = max((len(qubits) for qubits in supports), default=1)
        factors = np.zeros((size, len(supports) + 1), dtype=np.intp)
        for number, qubits in enumerate(supports, start=1):
            single = len(qubits) == 1
            factors[: len(qubits), number] = [1 + 2 * qubit + (0 if single else 1) for qubit in qubits]
        self._first, *self._others = factors

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        rows, columns = features.shape
        values = np.empty((1 + 2 * columns, rows))
        values[0] = 1.0
        values[1::2] = features.T
        np.subtract(np.pi, values[1::2], out=values[2::2])
        products = values.take(self._first, axis=0)
        for factors in self._others:
            products *= values.take(factors, axis=0)
        return products


def z_map(features: int, reps: int = 2) -> PauliMap:
    """The feature map without entanglement: phases of single qubits only."""
    return PauliMap(features, ("Z",), reps)


@lru_cache(maxsize=64)
def zz_map(features: int, reps: int = 2, entanglement: Entanglement = "full") -> PauliMap:
    """The ZZ feature map.

    Raises:
        ValueError: `features` not from 2 to 16, or another value out of range.
    """
    if not 2 <= features <= MAX_FEATURES:
        raise ValueError(f"a ZZ feature map of {features} feature(s); expected 2 to {MAX_FEATURES}")
    return PauliMap(features, ("Z", "ZZ"), reps, entanglement)


def zz_states(features: NDArray[np.float64], reps: int = 2) -> NDArray[np.complex128]:
    """States |φ(x)⟩ of the ZZ feature map with full entanglement, for all rows at once.

    Each repetition is a Hadamard on every qubit, then the diagonal unitary with phase 2·x_j on every qubit j
    that is set and 2·(π - x_i)·(π - x_j) on every pair i < j of odd parity (Havlíček et al., Nature 567, 209
    (2019), with the coefficients that Qiskit's `zz_feature_map` chooses). Since the diagonal is the same in
    every repetition, it is computed once.

    Args:
        features: float64[n, d], 2 <= d <= 16, in radians; one qubit for each.
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
    checked(features, features.shape[1])
    return zz_map(features.shape[1], reps).states(features)
