"""LDPC codes are what their docstring says, and the compiled decoder is the clear one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.postprocessing import ldpc, ldpc_clear, ldpc_code, ldpc_kernel


@st.composite
def codes(draw):
    """A small code, split or not."""
    columns = draw(st.integers(3, 40))
    first = draw(st.integers(1, columns - 1))
    rows = [first]
    for _ in range(draw(st.integers(0, 2))):
        rows.append(min(rows[-1] + draw(st.integers(1, 5)), columns))
    return ldpc_code.code(tuple(rows), columns, draw(st.sampled_from([1, 2, 7, 16, 33])))


@settings(max_examples=60, deadline=None)
@given(codes(), st.floats(0, 0.2), st.integers(0, 2**32), st.integers(0, 3))
def test_compiled_and_clear_agree_bit_for_bit(code, qber, seed, empty):
    """From any code and errors both make the same parities, the same decisions and as many iterations."""
    rng = np.random.default_rng(seed)
    length = code.width - min(empty, code.width)
    errors = (rng.random(code.width) < qber).astype(np.uint8)
    errors[length:] = 0
    clear, compiled = ldpc_clear.Matrix(code), ldpc_kernel.Matrix(code)
    syndrome = clear.parities(errors)
    assert np.array_equal(syndrome, compiled.parities(errors))
    expected, iterations = clear.decode(syndrome, length, ldpc.GAINS, 12)
    found, done = compiled.decode(syndrome, length, ldpc.GAINS, 12)
    assert done == iterations
    assert np.array_equal(found, expected)
    if done >= 0:
        assert np.array_equal(clear.parities(found), syndrome)


@settings(max_examples=40, deadline=None)
@given(codes())
def test_parities_are_sums_of_the_bits_the_matrix_names(code):
    """Check i of an edge of shift s sees bit (i + s) mod Z of its column, and nothing else."""
    matrix = np.zeros((code.rows * code.lanes, code.width), np.int64)
    for row in range(code.rows):
        for edge in range(code.starts[row], code.starts[row + 1]):
            for i in range(code.lanes):
                seen = (i + code.shifts[edge]) % code.lanes
                matrix[row * code.lanes + i, code.columns[edge] * code.lanes + seen] += 1
    assert matrix.max() == 1
    bits = np.random.default_rng(1).integers(0, 2, code.width, dtype=np.uint8)
    assert np.array_equal(matrix @ bits & 1, ldpc_clear.Matrix(code).parities(bits))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.lists(st.integers(1, 10), min_size=1, max_size=3), st.integers(1, 20))
def test_new_rows_and_old_parities_give_all_parities_of_a_split_code(first, steps, lanes):
    """The parity of a row is that of what is left of it plus those of the rows that came from it."""
    columns = 45
    rows = tuple(itertools.accumulate([first, *steps]))[: 1 + len(steps)]
    rows = tuple(itertools.takewhile(lambda count: count < columns, rows))
    bits = np.random.default_rng(2).integers(0, 2, columns * lanes, dtype=np.uint8)
    before = ldpc_clear.Matrix(ldpc_code.code(rows[:1], columns, lanes)).parities(bits).reshape(-1, lanes)
    for level in range(2, len(rows) + 1):
        code = ldpc_code.code(rows[:level], columns, lanes)
        after = ldpc_clear.Matrix(code).parities(bits).reshape(-1, lanes)
        summed = after[: len(before)].copy()
        for root, new in zip(code.roots, after[len(before) :], strict=True):
            summed[root] ^= new
        assert np.array_equal(summed, before)
        before = after


@pytest.mark.parametrize(("rows", "columns"), [(25, 256), (42, 250), (76, 256), (112, 230), (140, 256)])
def test_no_two_bits_share_two_checks(rows, columns):
    """Codes of long frames have no cycle of length 4, but for few among columns with many edges."""
    code = ldpc_code.code((rows,), columns, 512)
    degrees = np.bincount(code.columns, minlength=columns)
    assert np.array_equal(degrees, ldpc_code.degrees(rows, columns))
    edges: dict[int, list[tuple[int, int]]] = {}
    for row in range(rows):
        for edge in range(code.starts[row], code.starts[row + 1]):
            edges.setdefault(int(code.columns[edge]), []).append((row, int(code.shifts[edge])))
    seen: dict[tuple[int, int, int], int] = {}
    cycles = []
    for column, ends in edges.items():
        for (row, shift), (other, its_shift) in itertools.combinations(sorted(ends), 2):
            key = row, other, (shift - its_shift) % 512
            if key in seen:
                cycles.append(min(degrees[column], degrees[seen[key]]))
            seen[key] = column
    assert all(degree > 3 for degree in cycles)
    assert len(cycles) <= 0.01 * len(code.columns)


def test_columns_of_degree_2_form_a_chain():
    """The i-th of them joins rows i and i + 1, so that they close no cycle."""
    code = ldpc_code.code((42,), 256, 64)
    for column in range(int(np.sum(ldpc_code.degrees(42, 256) == 2))):
        rows = np.searchsorted(code.starts, np.flatnonzero(code.columns == column), side="right") - 1
        assert rows.tolist() == [column, column + 1]


def test_a_code_follows_from_its_size_alone():
    """The edges of one code, as they have to come out for anybody who builds it."""
    code = ldpc_code.code((6,), 20, 16)
    assert code.starts.tolist() == [0, 12, 24, 36, 48, 60, 71]
    assert code.columns[:9].tolist() == [0, 5, 6, 7, 10, 13, 14, 15, 16]
    assert code.shifts[:9].tolist() == [3, 12, 13, 1, 14, 7, 15, 11, 4]


def test_the_rows_that_are_split_are_the_longest():
    """Splitting evens out how many bits the checks see."""
    before = np.diff(ldpc_code.code((40,), 256, 8).starts)
    after = np.diff(ldpc_code.code((40, 60, 80), 256, 8).starts)
    assert after.sum() == before.sum()
    assert after.max() <= (before.max() + 1) // 2
    assert after.min() >= before.min() // 2
