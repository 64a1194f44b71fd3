"""All cores at once for independent pieces of linear algebra, each piece in one thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

_NAME = "linear-algebra"

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def on_all_cores(work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """The results of `work` on each piece, in order.

    NumPy lets other threads run while it computes. Its matrix products would use threads of their own for each
    piece and wait for the slowest of them; they are held to one meanwhile, in the whole process.

    Args:
        work: independent of the order in which pieces are done.
        pieces: any number.
    """
    if len(pieces) < 2 or threading.current_thread().name.startswith(_NAME):
        return [
            work(piece) for piece in pieces
        ]  # a piece that waited for others of the same pool could wait for ever
    with _blas().limit(limits=1, user_api="blas"):
        return list(_pool().map(work, pieces))


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix=_NAME)


@lru_cache(maxsize=1)
def _blas() -> Any:
    import threadpoolctl  # type: ignore[import-untyped]  # noqa: PLC0415  no types; a single query needs no threads

    return threadpoolctl.ThreadpoolController()


if hasattr(os, "register_at_fork"):  # a forked process has none of the threads and would wait for them
    os.register_at_fork(after_in_child=_pool.cache_clear)
