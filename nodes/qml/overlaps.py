"""|⟨a|b⟩|² of all pairs of many states, in tiles, within bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nodes.qml.cores import on_all_cores

MEMORY_BYTES = 256 * 2**20
"""States that are held at a time, in bytes; a kernel matrix comes on top."""

_TILE = 200  # states a side: a tile of products stays in the cache
_DENSITIES = 4  # amplitudes up to which one product of 4**n numbers beats two of 2**n and a square
_THREE = 32  # amplitudes from which three real products and sums beat four

States = Callable[[slice], NDArray[np.complex128]]
"""Columns of states complex128[2**n, count] for a slice of the rows."""


def overlaps(left: NDArray[np.complex128], right: NDArray[np.complex128]) -> NDArray[np.float64]:
    """|⟨left_i|right_j⟩|² as float64[n, m], of columns complex128[2**q, n] and complex128[2**q, m]."""
    out = np.empty((left.shape[1], right.shape[1]))
    one, other = _Parts(left), _Parts(right)
    space = _Space(*out.shape)
    tiles = [(rows, columns) for rows in _tiles(len(out)) for columns in _tiles(out.shape[1])]

    def piece(tile: tuple[slice, slice]) -> None:
        rows, columns = tile
        one.products(other, rows, columns, space, out[rows, columns])

    on_all_cores(piece, tiles)
    return out


def gram(states: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The same of columns complex128[2**q, n] with themselves: exactly symmetric, exactly 1 on the diagonal."""
    count = states.shape[1]
    out = np.empty((count, count))
    parts = _Parts(states)
    space = _Space(count, count)
    spans = _tiles(count)
    # those on the diagonal take less time: at the end, where one core may have to wait for the other
    tiles = [(rows, columns) for number, rows in enumerate(spans) for columns in spans[number + 1 :]]
    tiles += [(rows, rows) for rows in spans]

    def piece(tile: tuple[slice, slice]) -> None:
        rows, columns = tile
        here = out[rows, columns]
        if rows == columns:
            parts.squares(rows, space, here)
        else:
            parts.products(parts, rows, columns, space, here)
            out[columns, rows] = here.T

    on_all_cores(piece, tiles)
    np.fill_diagonal(out, 1.0)
    return out


def gram_in_blocks(
    states: States, count: int, bytes_each: int, memory: int = MEMORY_BYTES
) -> NDArray[np.float64]:
    """`gram` of states that do not all fit: some are held, the others after them are made again to meet them.

    Args:
        states: makes the columns of a slice of the rows.
        count: of rows.
        bytes_each: size of one state.
        memory: for the states that are held and the ones that meet them.
    """
    held = max(1, memory // bytes_each * 3 // 4)
    met = max(1, held // 3)
    out = np.empty((count, count))
    for begin in range(0, count, held):
        rows = slice(begin, min(begin + held, count))
        block = states(rows)
        out[rows, rows] = gram(block)
        np.conjugate(block, out=block)
        for first in range(rows.stop, count, met):
            columns = slice(first, min(first + met, count))
            out[rows, columns] = _squared(block.T @ states(columns))
            out[columns, rows] = out[rows, columns].T
    return out


def overlaps_in_blocks(
    left: States, right: States, counts: tuple[int, int], bytes_each: int, memory: int = MEMORY_BYTES
) -> NDArray[np.float64]:
    """`overlaps` of states that do not all fit; see `gram_in_blocks`."""
    held = max(1, memory // bytes_each * 3 // 4)
    met = max(1, held // 3)
    out = np.empty(counts)
    for begin in range(0, counts[0], held):
        rows = slice(begin, min(begin + held, counts[0]))
        block = left(rows)
        np.conjugate(block, out=block)
        for first in range(0, counts[1], met):
            columns = slice(first, min(first + met, counts[1]))
            out[rows, columns] = _squared(block.T @ right(columns))
    return out


def _squared(products: NDArray[np.complex128]) -> NDArray[np.float64]:
    return products.real**2 + products.imag**2


def _tiles(count: int) -> list[slice]:
    return [slice(begin, min(begin + _TILE, count)) for begin in range(0, count, _TILE)]


class _Space(threading.local):
    """Room for the products of a tile, one for each thread: memory that is new for every tile is slow.

    Args:
        rows: of the whole matrix.
        columns: of it.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self._room = np.empty(3 * min(rows, _TILE) * min(columns, _TILE))

    def tiles(self, count: int, rows: int, columns: int) -> NDArray[np.float64]:
        """float64[count, rows, columns], contiguous, with anything in it; count at most 3."""
        return self._room[: count * rows * columns].reshape(count, rows, columns)


class _Parts:
    """Real matrices whose products give the overlaps.

    With a = x + iy: |⟨a|b⟩|² is Tr(ρ_a ρ_b), one product of real vectors, the quickest for few amplitudes; or
    P² + Q² with P = x·x' + y·y' and Q = x·y' - y·x', two products of vectors twice as long; or those from three
    products, as Q = (x + y)·(y' - x') + x·x' - y·y' (Karatsuba).
    """

    def __init__(self, states: NDArray[np.complex128]) -> None:
        amplitudes, count = states.shape
        self._density = amplitudes <= _DENSITIES
        self._three = amplitudes >= _THREE
        if self._density:
            x, y = np.ascontiguousarray(states.real), np.ascontiguousarray(states.imag)
            upper, lower = np.triu_indices(amplitudes, 1)
            off = states[upper] * states[lower].conj() * np.sqrt(2.0)
            self._long = np.concatenate([x * x + y * y, off.real, off.imag])
            return
        self._xy = np.empty((2, amplitudes, count))
        self._xy[0], self._xy[1] = states.real, states.imag
        self._long = self._xy.reshape(2 * amplitudes, count)
        x, y = self._xy
        if self._three:
            self._sum, self._difference = x + y, y - x
        else:
            self._both = np.concatenate([x, y, y, -x]).reshape(2, 2 * amplitudes, count)

    def products(
        self, other: _Parts, rows: slice, columns: slice, space: _Space, out: NDArray[np.float64]
    ) -> None:
        """Writes the overlaps of `rows` of these with `columns` of the others."""
        if self._density:
            np.matmul(self._long[:, rows].T, other._long[:, columns], out=out)
            return
        if self._three:
            room = space.tiles(3, *out.shape)
            xx, yy, q = room
            np.matmul(self._xy[:, :, rows].transpose(0, 2, 1), other._xy[:, :, columns], out=room[:2])
            np.matmul(self._sum[:, rows].T, other._difference[:, columns], out=q)
            q += xx
            q -= yy
            xx += yy
            xx *= xx
            q *= q
            np.add(xx, q, out=out)
            return
        room = space.tiles(2, *out.shape)
        np.matmul(self._both[:, :, rows].transpose(0, 2, 1), other._long[:, columns], out=room)
        room *= room
        np.add(room[0], room[1], out=out)

    def squares(self, rows: slice, space: _Space, out: NDArray[np.float64]) -> None:
        """Writes the overlaps of `rows` with themselves, exactly symmetric: P is, and Q is made antisymmetric."""
        here = self._long[:, rows]
        if self._density:
            np.matmul(here.T, here, out=out)  # of a matrix with itself NumPy computes one triangle
            return
        p, turned, q = space.tiles(3, *out.shape)
        np.matmul(here.T, here, out=p)
        x, y = self._xy
        np.matmul(x[:, rows].T, y[:, rows], out=turned)
        np.subtract(turned, turned.T, out=q)
        p *= p
        q *= q
        np.add(p, q, out=out)
