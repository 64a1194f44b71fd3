"""The codes of `ldpc`: how a sparse matrix follows from three numbers, and how its rows are split.

A code is quasi-cyclic. A base graph has `rows` rows and `columns` columns, and a shift on every edge. Row r and
column c stand for Z checks and Z bits, the lanes; check i of an edge with shift s sees bit (i + s) mod Z.
Everything follows from rows, columns and Z:

*Degrees.* How many columns have 2, 3, 5, 9 and 16 edges is read off `SHARES`, linearly between its entries, by
the ratio of rows to columns; remainders are rounded so that the largest fractions go up. Columns stand by degree.
No column has more edges than there are rows, and no more than rows - 1 have two.

*Edges.* Column after column. One of degree 2, the i-th, joins rows i and i + 1: these columns hold no cycle.
Any other draws `Generator.random(rows)`, and takes, one by one, the row for which this number, its edges so far, and
2/Z for every column that it shares with a row taken before, sum to least. Its edges get shifts in the same
order, from those that close the fewest cycles of length 4 with what is there, the one at place
`Generator.integers(how many)`. The generator is `Generator(PCG64(SeedSequence([rows, columns, Z])))`.

*Splitting.* To split the row with the most edges (the first of them) is to give every second one of its edges
to a new row at the end. Both parities together disclose Z bits more than the old one did, and the degrees
of the columns, on which everything depends, stay as they are. So the checks of a code stay true when it is split, and
a frame that cannot be decoded needs only the parities of the new rows. (Rate adaption by merging and splitting
checks: Varodayan, Aaron & Girod, Signal Process. 86, 3123 (2006).)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CHANNEL = 20
"""What a bit is believed to be right before any check has spoken; the unit is arbitrary."""

KNOWN = 8191
"""The same for a place that holds no bit."""

LARGEST_MESSAGE = 127

LARGEST_SCALED = 255
"""Sizes are cut here before they are multiplied by a gain of at most 128, which then fits into 16 bits."""

PATIENCE = 20
"""A decoder gives up when so many iterations have not brought the number of failing checks to a new low."""

DEGREES = (2, 3, 5, 9, 16)

SHARES = (
    (0.0522, (0.000, 0.638, 0.025, 0.253, 0.084)),
    (0.0929, (0.088, 0.500, 0.148, 0.139, 0.125)),
    (0.1627, (0.155, 0.527, 0.071, 0.086, 0.161)),
    (0.2236, (0.212, 0.524, 0.015, 0.105, 0.144)),
    (0.3045, (0.289, 0.412, 0.115, 0.047, 0.137)),
    (0.4625, (0.342, 0.436, 0.072, 0.034, 0.116)),
    (0.6088, (0.427, 0.414, 0.013, 0.077, 0.069)),
)
"""Ratio of rows to columns, and the share of the columns that has each of the DEGREES there.

Found by `benchmarks/ldpc_design.py`, density evolution inside differential evolution, for error rates of 0.5, 1, 2, 3,
4.5, 8 and 12 %.
"""


@dataclass(frozen=True, eq=False)
class Code:
    """A parity-check matrix.

    Attributes:
        lanes: checks in a row of the base graph and bits in a column, Z.
        width: bits in all columns.
        starts: int64[rows + 1], first edge of every row, and their number.
        columns: int64[edges], ascending in each row.
        shifts: int64[edges].
        roots: int64[new rows], of a code that was split: the row of the code before that each came from.
    """

    lanes: int
    width: int
    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    shifts: NDArray[np.int64]
    roots: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Of the base graph."""
        return len(self.starts) - 1


@lru_cache(maxsize=256)
def code(rows: tuple[int, ...], columns: int, lanes: int) -> Code:
    """The code with rows[0] rows, split until there are rows[1], then rows[2], ... and rows[-1]."""
    if len(rows) == 1:
        return _code(_base_graph(rows[0], columns, lanes), columns, lanes, np.empty(0, np.int64))
    old = code(rows[:-1], columns, lanes)
    graph = [
        list(zip(old.columns[a:b].tolist(), old.shifts[a:b].tolist(), strict=True))
        for a, b in zip(old.starts[:-1], old.starts[1:], strict=True)
    ]
    roots = list(range(old.rows))
    while len(graph) < rows[-1]:
        longest = max(range(len(graph)), key=lambda row: (len(graph[row]), -row))
        graph[longest], new = graph[longest][::2], graph[longest][1::2]
        graph.append(new)
        roots.append(roots[longest])
    return _code(graph, columns, lanes, np.array(roots[old.rows :], np.int64))


def degrees(rows: int, columns: int) -> NDArray[np.int64]:
    """int64[columns], ascending: edges of every column."""
    ratios, shares = zip(*SHARES, strict=True)
    here = np.array([np.interp(rows / columns, ratios, share) for share in zip(*shares, strict=True)])
    exact = here / here.sum() * columns
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: columns - counts.sum()]] += 1
    spare = max(0, int(counts[0]) - (rows - 1))
    counts[0] -= spare
    counts[1] += spare
    wanted: NDArray[np.int64] = np.repeat(np.array(DEGREES), counts)
    return np.minimum(wanted, rows)


def _base_graph(rows: int, columns: int, lanes: int) -> list[list[tuple[int, int]]]:
    """For each row its edges, (column, shift)."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([rows, columns, lanes])))
    graph: list[list[tuple[int, int]]] = [[] for _ in range(rows)]
    edges_of = np.zeros(rows, np.int64)
    pairs = np.zeros((rows, rows))  # columns that have an edge in both rows
    # [a, b, d] and [a, b, d + Z]: some column has shifts in a and b that differ by d
    taken = np.zeros((rows, rows, 2 * lanes), np.uint8)
    for column, degree in enumerate(degrees(rows, columns).tolist()):
        if degree == 2 and rows > 2:
            chosen = [column, column + 1]
        else:
            chosen = []
            load = edges_of + rng.random(rows)
            for _ in range(degree):
                row = int(load.argmin())
                load += 2 * pairs[row] / lanes
                load[row] = np.inf
                chosen.append(row)
        edges_of[chosen] += 1
        pairs[np.ix_(chosen, chosen)] += 1
        placed: list[tuple[int, int]] = []
        for row in chosen:
            cycles = np.zeros(lanes, np.uint8)
            for other, its_shift in placed:
                cycles += taken[row, other, lanes - its_shift : 2 * lanes - its_shift]
            best = np.flatnonzero(cycles == cycles.min())
            shift = int(best[rng.integers(len(best))])
            for other, its_shift in placed:
                difference = (shift - its_shift) % lanes
                taken[row, other, difference::lanes] = 1
                taken[other, row, -difference % lanes :: lanes] = 1
            placed.append((row, shift))
            graph[row].append((column, shift))
    return graph


def _code(graph: list[list[tuple[int, int]]], columns: int, lanes: int, roots: NDArray[np.int64]) -> Code:
    """A base graph as arrays."""
    edges = np.array([edge for row in graph for edge in row], np.int64).reshape(-1, 2)
    return Code(
        lanes=lanes,
        width=columns * lanes,
        starts=np.cumsum([0, *map(len, graph)], dtype=np.int64),
        columns=edges[:, 0].copy(),
        shifts=edges[:, 1].copy(),
        roots=roots,
    )
