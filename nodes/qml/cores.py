"""All cores at once for independent pieces of linear algebra, each piece in one thread."""

from __future__ import annotations

import contextvars
import itertools
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from os import register_at_fork
from typing import Any, TypeVar

_NAME = "linear-algebra"

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def on_all_cores(work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """The results of `work` on each piece, in order.

    NumPy lets other threads run while it computes. Its matrix products would use threads of their own for each
    piece and wait for the slowest of them; they are held to one meanwhile, in the whole process.

    The calling thread waits: the C library gives its memory back and fetches it anew more often than that of others.
    All threads see the caller's context variables, NumPy's error state among them. Calls of several threads take
    turns, as each uses all cores.

    Args:
        work: independent of the order in which pieces are done; not to wait for another thread's call.
        pieces: any number; they are begun in order, so the longest had better be first.

    Raises:
        BaseException: what `work` raised, of the first piece in order that did; pieces not begun by then are left.
    """
    if len(pieces) < 2 or _here.busy:
        return [work(piece) for piece in pieces]  # threads within threads would be more than there are cores
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}
    numbers = itertools.count()  # next() of it is one step, for all threads

    def share() -> None:
        _here.busy = True
        try:
            for number in numbers:
                if number >= len(pieces) or errors:
                    return
                try:
                    results[number] = work(pieces[number])
                except BaseException as error:  # noqa: BLE001  of any kind, it is raised again in the caller
                    errors[number] = error
        finally:
            _here.busy = False

    # Threads for this call alone: each takes a tenth of a millisecond, and a fork never inherits a pool without them.
    with _blas_in_one_thread():
        helpers = [
            threading.Thread(target=contextvars.copy_context().run, args=(share,), name=_NAME)
            for _ in range(min(multiprocessing.cpu_count(), len(pieces)))
        ]
        for helper in helpers:
            helper.start()
        for helper in helpers:
            helper.join()
    try:
        if errors:
            raise errors[min(errors)]
    finally:
        errors.clear()  # an error that its own traceback leads to would keep every array alive
    return [results[number] for number in range(len(pieces))]


class _Here(threading.local):
    """Whether this thread is at work on a piece."""

    busy = False


class _Turn:
    """Whose call it is. What one call sets for the whole process, only the same thread can restore."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.limiter: Any = None


_here = _Here()
_turn = _Turn()


@contextmanager
def _blas_in_one_thread() -> Iterator[None]:
    turn = _turn
    with turn.lock, _blas().limit(limits=1, user_api="blas") as limiter:
        turn.limiter = limiter
        try:
            yield
        finally:
            turn.limiter = None


@lru_cache(maxsize=1)
def _blas() -> Any:
    import threadpoolctl  # type: ignore[import-untyped]  # noqa: PLC0415  no types; a single query needs no threads

    return threadpoolctl.ThreadpoolController()


def _after_fork() -> None:
    """A child has none of the threads that would have ended the call, and its own turns."""
    global _here, _turn
    limiter = _turn.limiter
    _here, _turn = _Here(), _Turn()
    if limiter is not None:
        with limiter:
            pass  # leaving it restores


register_at_fork(after_in_child=_after_fork)
