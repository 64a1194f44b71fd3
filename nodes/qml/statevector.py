"""The batched state-vector engine: a circuit as few steps, each done for all rows at once.

Three kinds of step are enough. Every one-qubit gate is a constant matrix, or constant matrices around a rotation
about z; every other usual gate is a permutation that is affine over GF(2), or a phase that depends on parities of
bits, between constant one-qubit gates (Amy, Maslov and Mosca, IEEE Trans. CAD 33, 1476 (2014)). A run of phases and
permutations is one diagonal and one reordering, whatever its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.qml.cores import on_all_cores

MAX_QUBITS = 20
"""Largest number of qubits: a state takes 16 MiB."""

_GROUP = (
    4  # qubits whose constant gates become one matrix: a product with 16 x 16 costs less than four passes
)
_BLOCK = 2**17  # amplitudes that are worked on at a time: two megabytes stay in the cache
_FEWEST_ROWS = 16  # in a block, so that NumPy's loops are long enough
_ALONE = 4096  # entries, half of what makes OpenBLAS use several threads for a matrix and a vector
_DENSE = 5  # qubits up to which few rows multiply by whole matrices
_TABLE = 2**20  # entries of a diagonal's table of signs up to which few rows use it

Angles = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""float64[n, d] features to float64[e, n] angles; the first is 1 for every row, for constants."""


@dataclass(frozen=True, eq=False)
class Phases:
    """A diagonal: amplitude z is multiplied by exp(i Σ_t a_t (-1)^|m_t & z|) with a = weights @ angles.

    Attributes:
        masks: the m_t, distinct, ascending; bit j is qubit j.
        weights: float64[t, e].
    """

    masks: tuple[int, ...]
    weights: NDArray[np.float64]

    @property
    def constant(self) -> bool:
        """Whether it is the same for every row."""
        return not self.weights[:, 1:].any()

    @cached_property
    def _used(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.weights.any(axis=0))

    @cached_property
    def _table(self) -> dict[int, NDArray[np.float64]]:
        return {}

    def diagonal(self, angles: NDArray[np.float64], qubits: int) -> NDArray[np.complex128]:
        """The factors as complex128[2**qubits, n], of angles float64[e, n]."""
        rows = angles.shape[1]
        if rows < _FEWEST_ROWS and len(angles) << qubits <= _TABLE:
            table = self.table(qubits)
            # in pieces that OpenBLAS multiplies in this thread: one query must not wait for others to wake up
            pieces = max(1, min(len(table), table.size // _ALONE))
            exponents = table.reshape(1 << (pieces.bit_length() - 1), -1, table.shape[1]) @ angles
            few: NDArray[np.complex128] = np.exp(1j * exponents.reshape(len(table), rows))
            return few
        terms = self.weights @ angles
        factors = np.empty(terms.shape, dtype=np.complex128)
        # a tangent of half the angle and five cheap operations take less time than a cosine and a sine
        tangents = np.tan(np.multiply(terms, 0.5, out=terms), out=terms)
        inverse = tangents * tangents
        inverse += 1.0
        np.divide(2.0, inverse, out=inverse)
        np.subtract(inverse, 1.0, out=factors.real)
        np.multiply(tangents, inverse, out=factors.imag)
        product = _product(dict(zip(self.masks, factors, strict=True)), qubits)
        size = len(product)
        if size < 2**qubits:
            product = np.tile(product, (2**qubits // size, 1))
        return product

    def table(self, qubits: int) -> NDArray[np.float64]:
        """float64[2**qubits, e]: the angle of each amplitude as a sum of angles."""
        if qubits not in self._table:
            shared = np.arange(2**qubits)[:, None] & np.array(self.masks)
            signs = 1.0 - 2.0 * (np.bitwise_count(shared) & 1)
            self._table[qubits] = signs @ self.weights
        return self._table[qubits]


def _product(factors: dict[int, NDArray[np.complex128]], qubits: int) -> NDArray[np.complex128]:
    """Π_m u_m^(±1) for each amplitude, the sign that of (-1)^|m & z|, as complex128[2**k, n], k <= qubits.

    Instead of a cosine and a sine for each amplitude: u are of unit size, so the lower half of the amplitudes is
    A·B and the upper A·B*, with A the product of the terms without the highest bit and B of those with it, and
    both depend on the lower bits only. The amplitudes repeat above bit k.
    """
    while qubits and not any(mask >> (qubits - 1) for mask in factors):
        qubits -= 1
    if qubits == 0:
        return factors[0][None, :]
    top = 1 << (qubits - 1)
    upper = _product({mask ^ top: factor for mask, factor in factors.items() if mask & top}, qubits - 1)
    without = {mask: factor for mask, factor in factors.items() if not mask & top}
    rows = upper.shape[1]
    out = np.empty((2, top, rows), dtype=np.complex128)
    if not without:
        whole = out.reshape(2, -1, len(upper), rows)
        whole[0] = upper
        np.conjugate(upper, out=whole[1])
        return out.reshape(2 * top, rows)
    lower = _product(without, qubits - 1)
    small, large = sorted((lower, upper), key=len)
    whole = out.reshape(2, -1, len(large) // len(small), len(small), rows)
    lower_cells = lower.reshape(-1, len(small), rows)
    upper_cells = upper.reshape(-1, len(small), rows)
    np.multiply(lower_cells, upper_cells, out=whole[0])
    np.multiply(lower_cells, upper_cells.conj(), out=whole[1])
    return out.reshape(2 * top, rows)


@dataclass(frozen=True, eq=False)
class Layer:
    """Constant matrices on disjoint groups of neighbouring qubits.

    Attributes:
        blocks: the lowest qubit of each group, and complex128 or float64[2**k, 2**k], k from 1 to 4.
    """

    blocks: tuple[tuple[int, NDArray[np.complex128] | NDArray[np.float64]], ...]

    @classmethod
    def of(cls, gates: dict[int, NDArray[np.complex128]]) -> Layer | None:
        """Of one-qubit gates, complex128[2, 2] by qubit; None if there is nothing to do."""
        active: list[int] = sorted(
            qubit for qubit, gate in gates.items() if np.abs(gate - np.eye(2)).max() > 1e-15
        )
        blocks = []
        while active:
            group = [qubit for qubit in active if qubit < active[0] + _GROUP]
            active = active[len(group) :]
            block: NDArray[Any] = np.eye(1, dtype=np.complex128)
            for qubit in range(group[0], group[-1] + 1):
                block = np.kron(gates.get(qubit, np.eye(2)) if qubit in group else np.eye(2), block)
            blocks.append((group[0], block if block.imag.any() else block.real.copy()))
        return cls(tuple(blocks)) if blocks else None

    def apply(self, states: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """To states complex128[2**n, rows], which are overwritten."""
        if states.shape[1] == 0:
            return states
        spare = np.empty_like(states)
        for lowest, block in self.blocks:
            real = block.dtype == np.float64
            shape = (-1, len(block), (states.shape[1] << lowest) * (2 if real else 1))
            kind = np.float64 if real else np.complex128
            np.matmul(block, states.view(kind).reshape(shape), out=spare.view(kind).reshape(shape))
            states, spare = spare, states
        return states


@dataclass(frozen=True, eq=False)
class Reordering:
    """A permutation: amplitude z comes from `source[z]`, intp[2**n]."""

    source: NDArray[np.intp]


Step = Phases | Layer | Reordering


@dataclass(frozen=True, eq=False)
class Program:
    """A feature map, compiled: what `states` does for any number of rows.

    Attributes:
        features: d, columns of a row.
        qubits: of the state.
        angles: from features.
        start: complex128[2**qubits]: what all rows begin with.
        steps: in order; the same object twice is computed once.
    """

    features: int
    qubits: int
    angles: Angles
    start: NDArray[np.complex128]
    steps: tuple[Step, ...]

    @classmethod
    def of(
        cls, features: int, qubits: int, angles: Angles, steps: Sequence[Step], *, begun: bool = True
    ) -> Program:
        """Of steps on |0…0⟩; leading ones that are the same for every row are done now, unless `begun` is false."""
        start = np.zeros((2**qubits, 1), dtype=np.complex128)
        start[0] = 1.0
        known: dict[tuple[tuple[int, ...], bytes], Phases] = {}
        rest: list[Step] = []
        for step in steps:
            if isinstance(step, Phases):
                key = (step.masks, step.weights.tobytes())
                rest.append(known.setdefault(key, step))
            else:
                rest.append(step)
        count = 0
        for step in rest:
            if not begun or (isinstance(step, Phases) and not step.constant):
                break
            count += 1
            start = _stepped(step, start, qubits)
        return cls(features, qubits, angles, np.ascontiguousarray(start[:, 0]), tuple(rest[count:]))

    def states(self, features: NDArray[np.float64]) -> NDArray[np.complex128]:
        """|φ(x)⟩ for every row.

        Args:
            features: float64[n, d].

        Returns:
            complex128[n, 2**qubits] in the order of Qiskit's `Statevector`, qubit 0 the lowest bit; the transpose
            of a contiguous array.

        Raises:
            ValueError: a wrong shape, or a feature that is not finite.
        """
        return self.columns(checked(features, self.features)).T

    def columns(self, features: NDArray[np.float64]) -> NDArray[np.complex128]:
        """The same as complex128[2**qubits, n], contiguous; features are taken for checked."""
        rows = len(features)
        if rows < _FEWEST_ROWS and self.qubits <= _DENSE:
            return self._few(features)
        height = self.block_rows
        if rows <= height:
            return self._block(features)
        out = np.empty((2**self.qubits, rows), dtype=np.complex128)

        def piece(begin: int) -> None:
            out[:, begin : begin + height] = self._block(features[begin : begin + height])

        on_all_cores(piece, range(0, rows, height))
        return out

    @property
    def block_rows(self) -> int:
        """Rows that are worked on at a time."""
        return max(_FEWEST_ROWS, _BLOCK >> self.qubits)

    @cached_property
    def _dense(self) -> list[tuple[int, NDArray[np.complex128]]]:
        """Each step as one matrix, after a diagonal's number among the different ones, or -1.

        A diagonal's gives the exponents from the angles.
        """
        numbers: dict[int, int] = {}
        dense: list[tuple[int, NDArray[np.complex128]]] = []
        for step in self.steps:
            if isinstance(step, Phases):
                exponents = (1j * step.table(self.qubits)).astype(np.complex128, copy=False)
                dense.append((numbers.setdefault(id(step), len(numbers)), exponents))
            else:
                dense.append((-1, _stepped(step, np.eye(2**self.qubits, dtype=np.complex128), self.qubits)))
        return dense

    def _few(self, features: NDArray[np.float64]) -> NDArray[np.complex128]:
        """`_block` with as few calls as possible: for a single query they are what takes time."""
        angles = self.angles(features)
        states = self.start[:, None]
        diagonals: list[NDArray[np.complex128]] = []
        for number, matrix in self._dense:
            if number < 0:
                states = matrix @ states
                continue
            if number == len(diagonals):
                diagonals.append(np.exp(matrix @ angles))
            states = states * diagonals[number]
        if states.shape[1] < len(features):
            states = np.repeat(states, len(features), axis=1)
        return states

    def unitaries(self, features: NDArray[np.float64]) -> NDArray[np.complex128]:
        """The matrix of the steps for every row, complex128[2**q, 2**q, n]; of a program that is not `begun`."""
        size, rows = 2**self.qubits, len(features)
        out = np.empty((size, size, rows), dtype=np.complex128)
        for z in range(size):
            begun = np.zeros((size, rows), dtype=np.complex128)
            begun[z] = 1.0
            out[:, z] = self._block(features, begun)
        return out

    def _block(
        self, features: NDArray[np.float64], states: NDArray[np.complex128] | None = None
    ) -> NDArray[np.complex128]:
        angles = self.angles(features)
        repeated = len(set(map(id, self.steps))) < len(self.steps)
        diagonals: dict[int, NDArray[np.complex128]] = {}
        for step in self.steps:
            if not isinstance(step, Phases):
                if states is None:
                    states = np.repeat(self.start[:, None], len(features), axis=1)
                states = _stepped(step, states, self.qubits)
                continue
            diagonal = diagonals.get(id(step))
            if diagonal is None:
                diagonal = step.diagonal(angles, self.qubits)
                if repeated:
                    diagonals[id(step)] = diagonal
            if states is None:
                states = self.start[:, None] * diagonal
            else:
                states *= diagonal
        if states is None:
            states = np.repeat(self.start[:, None], len(features), axis=1)
        return states


def _stepped(step: Step, states: NDArray[np.complex128], qubits: int) -> NDArray[np.complex128]:
    if isinstance(step, Layer):
        return step.apply(states)
    if isinstance(step, Reordering):
        return states[step.source]
    return states * step.diagonal(np.vstack([[1.0], np.zeros((step.weights.shape[1] - 1, 1))]), qubits)


class Builder:
    """Gathers gates into steps: one layer of constant gates, phases and permutations, the next layer, and so on.

    Args:
        qubits: of the circuit.
        angles: how many angles there are, the constant 1 among them.
    """

    def __init__(self, qubits: int, angles: int) -> None:
        if not 1 <= qubits <= MAX_QUBITS:
            raise ValueError(f"a circuit of {qubits} qubits; expected 1 to {MAX_QUBITS}")
        self.qubits = qubits
        self._angles = angles
        self._steps: list[Step] = []
        self._before: dict[int, NDArray[np.complex128]] = {}
        self._after: dict[int, NDArray[np.complex128]] = {}
        self._begin()

    def _begin(self) -> None:
        self._terms: dict[int, NDArray[np.float64]] = {}
        self._rows = [1 << qubit for qubit in range(self.qubits)]
        self._flips = [0] * self.qubits
        self._touched: set[int] = set()

    def angle(self, weight: float, index: int = 0) -> NDArray[np.float64]:
        """weight·angles[index] as the float64[e] that phases take; without an index, a constant."""
        vector = np.zeros(self._angles)
        vector[index] = weight
        return vector

    def gate(self, qubit: int, matrix: NDArray[np.complex128]) -> None:
        """A constant one-qubit gate, complex128[2, 2]."""
        layer = self._after if qubit in self._touched else self._before
        layer[qubit] = matrix @ layer[qubit] if qubit in layer else matrix

    def loose(self, qubit: int) -> bool:
        """Whether the qubit's last gate was a constant one, so that another one costs nothing."""
        return qubit in (self._after if qubit in self._touched else self._before)

    def phase(self, angle: NDArray[np.float64], *qubits: int) -> None:
        """exp(i·angle) where the parity of the qubits is 1; without qubits, everywhere."""
        self._touch(qubits)
        mask, flip = 0, 0
        for qubit in qubits:
            mask ^= self._rows[qubit]
            flip ^= self._flips[qubit]
        if not qubits:
            self._add(0, angle)
            return
        self._add(0, angle / 2.0)
        self._add(mask, angle / 2.0 if flip else -angle / 2.0)

    def conjunction(self, angle: NDArray[np.float64], *qubits: int) -> None:
        """exp(i·angle) where all the qubits, two or three, are 1; a product of bits is a sum of parities."""
        first, *others = qubits
        self._touch(qubits)
        if not others:
            self.phase(angle, first)
            return
        if len(others) == 1:
            self.phase(angle / 2.0, first)
            self.phase(angle / 2.0, others[0])
            self.phase(-angle / 2.0, first, others[0])
            return
        second, third = others
        for one in qubits:
            self.phase(angle / 4.0, one)
        for pair in ((first, second), (first, third), (second, third)):
            self.phase(-angle / 4.0, *pair)
        self.phase(angle / 4.0, first, second, third)

    def flip(self, qubit: int) -> None:
        """X."""
        self._touch((qubit,))
        self._flips[qubit] ^= 1

    def controlled_flip(self, control: int, target: int) -> None:
        """CX."""
        self._touch((control, target))
        self._rows[target] ^= self._rows[control]
        self._flips[target] ^= self._flips[control]

    def exchange(self, one: int, other: int) -> None:
        """SWAP."""
        self._touch((one, other))
        for register in (self._rows, self._flips):
            register[one], register[other] = register[other], register[one]

    def steps(self) -> list[Step]:
        """All of it."""
        self._close()
        self._close()
        return self._steps

    def _touch(self, qubits: Sequence[int]) -> None:
        if any(qubit in self._after for qubit in qubits):
            self._close()
        self._touched.update(qubits)

    def _add(self, mask: int, angle: NDArray[np.float64]) -> None:
        self._terms[mask] = self._terms[mask] + angle if mask in self._terms else angle

    def _close(self) -> None:
        """End the run of phases and permutations."""
        layer = Layer.of(self._before)
        if layer is not None:
            self._steps.append(layer)
        terms = {mask: weights for mask, weights in sorted(self._terms.items()) if weights.any()}
        if terms:
            self._steps.append(Phases(tuple(terms), np.array(list(terms.values()))))
        if self._rows != [1 << qubit for qubit in range(self.qubits)] or any(self._flips):
            z = np.arange(2**self.qubits)
            image = np.zeros_like(z)
            for qubit, (row, flip) in enumerate(zip(self._rows, self._flips, strict=True)):
                image |= ((np.bitwise_count(z & row).astype(np.intp) & 1) ^ flip) << qubit
            source = np.empty_like(z)
            source[image] = z
            self._steps.append(Reordering(source))
        self._before, self._after = self._after, {}
        self._begin()


def checked(features: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The features as float64[n, width].

    Raises:
        ValueError: not numbers, a wrong shape, or a feature that is not finite.
    """
    rows = np.asarray(features)
    if rows.dtype != np.float64:
        if np.iscomplexobj(rows):
            raise ValueError("features are complex; expected real numbers")
        rows = rows.astype(np.float64)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"features have shape {rows.shape}; expected (n, {width})")
    if not np.isfinite(rows).all():
        raise ValueError("a feature is infinite or not a number; expected finite numbers")
    return rows
