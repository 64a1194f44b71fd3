"""Counting and picking in long rows: what NumPy's own operations say, compiled or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netsim import rows
from netsim.rows import look_up, pick, positions, tally

ROWS = arrays.arrays(np.uint8, st.integers(0, 60), elements=st.integers(0, 5))


@pytest.fixture(autouse=True, params=[0, 10**9], ids=["compiled", "numpy"], scope="module")
def _by_whom(request):
    """Rows of any length are for the one, or for the other."""
    before, rows.COMPILED_FROM = rows.COMPILED_FROM, request.param
    yield
    rows.COMPILED_FROM = before


@given(ROWS, st.integers(0, 9))
def test_a_tally_counts_what_is_below(values, kinds):
    """Each number below `kinds` is counted, and no other."""
    assert tally(values, kinds).tolist() == [values.tolist().count(kind) for kind in range(kinds)]


@given(ROWS, st.data())
def test_picking_is_indexing_by_a_mask(values, data):
    """Any mask picks what it picks in NumPy, the row itself where it is true everywhere."""
    mask = data.draw(arrays.arrays(np.bool_, len(values)))
    assert np.array_equal(pick(values, mask), values[mask])
    assert pick(values, np.ones(len(values), np.bool_)) is values


@given(arrays.arrays(np.bool_, st.integers(0, 60)))
def test_positions_are_those_of_numpy(mask):
    """Where a mask is true, ascending, as int64."""
    found = positions(mask)
    assert found.dtype == np.int64
    assert np.array_equal(found, np.flatnonzero(mask))


@given(ROWS, st.data())
def test_looking_up_is_indexing(values, data):
    """Each place's entry of the table."""
    table = np.append(values, np.uint8(7))
    places = data.draw(arrays.arrays(np.int32, 30, elements=st.integers(0, len(values))))
    assert np.array_equal(look_up(table, places), table[places])


def test_a_mask_of_another_length_is_refused():
    """A row and its mask are as long as each other."""
    with pytest.raises(IndexError):
        pick(np.zeros(3, np.uint8), np.ones(2, np.bool_))
