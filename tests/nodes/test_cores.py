"""Work on all cores: order, errors, and work within work."""

from __future__ import annotations

import pytest

from nodes.qml.cores import on_all_cores


def test_results_come_in_order():
    """The results are those of the pieces, in their order, for none, one and many."""
    for count in (0, 1, 50):
        assert on_all_cores(lambda piece: piece**2, range(count)) == [piece**2 for piece in range(count)]


def test_work_within_work_ends():
    """Pieces that split their own work do not wait for each other."""
    found = on_all_cores(lambda piece: sum(on_all_cores(lambda n: n * piece, range(10))), range(20))
    assert found == [45 * piece for piece in range(20)]


def test_an_error_is_raised():
    """What a piece raises reaches the caller."""
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda piece: 1 / piece, [1, 0, 2])
