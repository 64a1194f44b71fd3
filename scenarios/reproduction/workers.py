"""Jobs on several processes: the same results in the same order, however many there are.

Processes are spawned, not forked: a fork copies locks that threads of the parent may hold. Linear algebra is held to one
thread in each, because the cores are busy with other jobs, and because the last digits depend on the number of threads.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, Self

from scenarios.reproduction.study import Job

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Workers:
    """A pool of processes, or this process alone.

    Args:
        count: processes; 0 for none but this one.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, jobs: Sequence[Job]) -> list[Future[Any]]:
        """Promises of their results, in order."""
        if self._pool is not None:
            return [self._pool.submit(job) for job in jobs]
        return [_done(job) for job in jobs]

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        self._before = set(multiprocessing.active_children())
        if self._count:
            self._stack.enter_context(_single_threads())
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._count, mp_context=context, initializer=_obedient)
        else:
            import threadpoolctl  # type: ignore[import-untyped]  # noqa: PLC0415  no types; needed without processes only

            self._stack.enter_context(threadpoolctl.threadpool_limits(1))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)
            if kind is not None:  # what a job does now is of no use to anybody
                for process in set(multiprocessing.active_children()) - self._before:
                    process.terminate()
        self._stack.close()


def _done(job: Job) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(job())
    return future


def _obedient() -> None:
    """Ctrl-C reaches all processes of a terminal, and the parent decides what it means; without a parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_outlive_nobody, daemon=True).start()


def _outlive_nobody() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # a parent that was killed says nothing, and its workers would wait for jobs for ever
        os._exit(1)


@contextlib.contextmanager
def _single_threads() -> Iterator[None]:
    """Processes begun meanwhile read this when they load their libraries."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
