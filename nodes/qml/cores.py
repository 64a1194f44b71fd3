"""All cores at once for independent pieces of linear algebra, each piece in one thread."""

from __future__ import annotations

import multiprocessing
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
    # Threads for this call alone: they take a tenth of a millisecond, and a fork never inherits a pool without them.
    with (
        _blas().limit(limits=1, user_api="blas"),
        ThreadPoolExecutor(multiprocessing.cpu_count(), thread_name_prefix=_NAME) as pool,
    ):
        return list(pool.map(work, pieces))


@lru_cache(maxsize=1)
def _blas() -> Any:
    import threadpoolctl  # type: ignore[import-untyped]  # noqa: PLC0415  no types; a single query needs no threads

    return threadpoolctl.ThreadpoolController()
