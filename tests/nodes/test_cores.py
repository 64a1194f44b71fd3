"""Work on all cores: order, errors, work within work, calls side by side, and forks."""

from __future__ import annotations

import multiprocessing
import threading

import numpy as np
import pytest
import threadpoolctl

from nodes.qml.cores import on_all_cores


def blas_threads():
    """How many threads a matrix product may use."""
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


def test_results_come_in_order():
    """The results are those of the pieces, in their order, for none, one and many."""
    for count in (0, 1, 50):
        assert on_all_cores(lambda piece: piece**2, range(count)) == [piece**2 for piece in range(count)]


def test_work_within_work_ends():
    """Pieces that split their own work do not wait for each other."""
    found = on_all_cores(lambda piece: sum(on_all_cores(lambda n: n * piece, range(10))), range(20))
    assert found == [45 * piece for piece in range(20)]


def test_an_error_is_raised():
    """What a piece raises reaches the caller, the next call works, and matrix products get their threads back."""
    before = blas_threads()
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda piece: 1 / piece, [1, 0, 2])
    assert on_all_cores(lambda piece: 1 / piece, [1, 2]) == [1.0, 0.5]
    assert blas_threads() == before


def test_the_first_error_in_order_is_raised(monkeypatch):
    """Of two pieces that fail at the same time, the earlier one's error is raised."""
    monkeypatch.setattr(multiprocessing, "cpu_count", lambda: 2)
    both = threading.Barrier(2, timeout=60)

    def fail(piece):
        both.wait()
        raise KeyError(piece)

    for _ in range(20):
        with pytest.raises(KeyError, match="0"):
            on_all_cores(fail, [0, 1])


def test_all_threads_have_the_callers_error_state(monkeypatch):
    """What NumPy is told to raise in the caller, it raises in a piece, whichever thread does it."""
    monkeypatch.setattr(multiprocessing, "cpu_count", lambda: 2)
    both = threading.Barrier(2, timeout=60)

    def state(_piece):
        both.wait()
        return threading.get_ident(), np.geterr()["divide"]

    with np.errstate(divide="raise"):
        found = on_all_cores(state, [0, 1])
    assert len({thread for thread, _ in found}) == 2
    assert [divide for _, divide in found] == ["raise", "raise"]


def test_calls_side_by_side_restore_the_threads_of_matrix_products():
    """Calls of several threads at once all end, each with its results, and products have their threads afterwards."""
    before = blas_threads()
    found = {}
    together = threading.Barrier(4, timeout=60)

    def call(number):
        together.wait()
        found[number] = [on_all_cores(lambda n: (n + number, blas_threads()), range(5)) for _ in range(50)]

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one = [1] * len(before)
    for number in range(4):
        assert found[number] == [[(n + number, one) for n in range(5)]] * 50
    assert blas_threads() == before


def forked(_):
    """What a child of a process at work finds."""
    return on_all_cores(lambda piece: piece + 1, range(4)), blas_threads()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_during_work_can_work():
    """A fork while another thread is in a call leaves the child able to work, with all threads for its products."""
    before = blas_threads()
    begun, end = threading.Event(), threading.Event()
    busy = threading.Thread(target=on_all_cores, args=(lambda _: (begun.set(), end.wait(60)), range(2)))
    busy.start()
    begun.wait(60)
    try:
        with multiprocessing.get_context("fork").Pool(1) as children:
            assert children.map_async(forked, [0]).get(60) == [([1, 2, 3, 4], before)]
    finally:
        end.set()
        busy.join()
