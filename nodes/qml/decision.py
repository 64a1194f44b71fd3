"""The decision function of a trained kernel machine, f(x) = Σ_i c_i |⟨φ(x_i)|φ(x)⟩|² + b, as it is deployed.

It is the expectation of an observable, f(x) = ⟨φ(x)|A|φ(x)⟩ + b with A = Σ_i c_i |φ(x_i)⟩⟨φ(x_i)| (Schuld,
arXiv:2101.11020 (2021)), which takes the same time for any number of support vectors and ships no training row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nodes.qml.cores import on_all_cores
from nodes.qml.overlaps import overlaps
from nodes.qml.statevector import Program

MEMORY_BYTES = 64 * 2**20
"""Largest observable that is deployed."""

_FEW = 16  # amplitudes
_ALONE = 2048  # entries of a matrix that OpenBLAS multiplies with a vector in the calling thread
_BLOCK = 2**17  # amplitudes of queries that are worked on at a time


@dataclass(frozen=True, eq=False)
class Observable:
    """A by its eigenvectors, where there are clearly fewer than amplitudes, or as a matrix.

    Attributes:
        values: float64[r], the eigenvalues.
        vectors: complex128[r, 2**q], the eigenvectors, one a row.
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.complex128]

    @classmethod
    def of(cls, states: NDArray[np.complex128], weights: NDArray[np.float64]) -> Observable:
        """Of support vectors' states complex128[2**q, m] and their weights float64[m]."""
        size, count = states.shape
        if size <= count:
            values, vectors = np.linalg.eigh((states * weights) @ states.conj().T)
        else:
            basis, within = np.linalg.qr(states)
            values, small = np.linalg.eigh((within * weights) @ within.conj().T)
            vectors = basis @ small
        return cls(values, np.ascontiguousarray(vectors.T))

    @cached_property
    def matrix(self) -> NDArray[np.complex128]:
        """A, complex128[2**q, 2**q]."""
        return (self.vectors.T * self.values) @ self.vectors.conj()

    @cached_property
    def _dense(self) -> bool:
        # three real products of whole matrices against four with the eigenvectors
        return bool(4 * len(self.values) > 3 * self.vectors.shape[1])

    @cached_property
    def _real(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.matrix.real)

    @cached_property
    def _twice_imaginary(self) -> NDArray[np.float64]:
        return 2.0 * self.matrix.imag

    @cached_property
    def _pieces(self) -> NDArray[np.complex128]:
        """The matrix or the conjugate eigenvectors for one query, complex128[pieces, rows, 2**q], padded with zeros.

        OpenBLAS wakes other threads for products of a vector with more than 4096 entries; if another process has the
        cores, one query waits milliseconds for them.
        """
        whole = self.matrix if self._dense else self._conjugates
        height = max(1, min(len(whole), _ALONE // whole.shape[1]))
        padded = np.pad(whole, ((0, -len(whole) % height), (0, 0)))
        return np.ascontiguousarray(padded.reshape(-1, height, whole.shape[1]))

    def _one(self, state: NDArray[np.complex128]) -> float:
        """⟨φ|A|φ⟩ of one column."""
        product = (self._pieces @ state).reshape(-1)
        if self._dense:
            return float(np.vdot(state, product).real)
        product = product[: len(self.values)]
        return float(self.values @ (product.real**2 + product.imag**2))

    @cached_property
    def _conjugates(self) -> NDArray[np.complex128]:
        return self.vectors.conj()

    def expectation(self, states: NDArray[np.complex128]) -> NDArray[np.float64]:
        """⟨φ|A|φ⟩ as float64[n], of columns complex128[2**q, n]."""
        found: NDArray[np.float64]
        if states.shape[1] == 1:
            found = np.array([self._one(states)])
        elif not self._dense:
            components = self._conjugates @ states
            found = self.values @ (components.real**2 + components.imag**2)
        elif len(states) <= _FEW:  # one call instead of six, where a call takes longer than what it does
            found = np.einsum("zn,zn->n", states.conj(), self.matrix @ states).real
        else:
            x, y = np.ascontiguousarray(states.real), np.ascontiguousarray(states.imag)
            # A is Hermitian: its real part is symmetric and its imaginary part antisymmetric
            turned = self._real @ x
            turned -= self._twice_imaginary @ y
            found = np.einsum("zn,zn->n", x, turned) + np.einsum("zn,zn->n", y, self._real @ y)
        return found


@dataclass(frozen=True, eq=False)
class SupportVectors:
    """The support vectors themselves: what is left when the observable would be too large.

    Attributes:
        program: of the feature map.
        rows: float64[m, d].
        weights: float64[m].
    """

    program: Program
    rows: NDArray[np.float64]
    weights: NDArray[np.float64]

    def expectation(self, states: NDArray[np.complex128]) -> NDArray[np.float64]:
        """As `Observable.expectation`; the support vectors' states are made anew, some at a time."""
        total = np.zeros(states.shape[1])
        height = max(1, MEMORY_BYTES // (16 * len(states)))
        for begin in range(0, len(self.rows), height):
            span = slice(begin, begin + height)
            total += self.weights[span] @ overlaps(self.program.columns(self.rows[span]), states)
        return total


@dataclass(frozen=True, eq=False)
class Decision:
    """f, ready to be asked.

    Attributes:
        program: of the feature map.
        form: A, or what stands for it.
        bias: b.
    """

    program: Program
    form: Observable | SupportVectors
    bias: float

    @classmethod
    def of(
        cls, program: Program, rows: NDArray[np.float64], weights: NDArray[np.float64], bias: float
    ) -> Decision:
        """Of support vectors float64[m, d] and their weights float64[m]."""
        size = 2**program.qubits
        form: Observable | SupportVectors
        if 16 * size * min(size, len(rows)) <= MEMORY_BYTES:
            form = Observable.of(program.columns(rows), weights)
        else:
            form = SupportVectors(program, rows, weights)
        return cls(program, form, bias)

    def values(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The decision values float64[n], of float64[n, d] that have been checked."""
        height = max(16, _BLOCK >> self.program.qubits)
        if len(features) <= height:
            return self._block(features)
        spans = [slice(begin, begin + height) for begin in range(0, len(features), height)]
        if isinstance(self.form, SupportVectors):  # uses all cores itself
            return np.concatenate([self._block(features[span]) for span in spans])
        return np.concatenate(on_all_cores(lambda span: self._block(features[span]), spans))

    def _block(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        found = self.form.expectation(self.program.columns(features))
        found += self.bias
        return found
