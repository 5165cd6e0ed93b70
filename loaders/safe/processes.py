"""Processes that end with the one that started them, however that one ends.

The signal that kills a program cannot be caught, so its children must find out by themselves:
on Linux the kernel tells them; elsewhere they see the end of a pipe that only the parent holds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent() -> None:
    """Have the kernel kill this process when the *thread* that started it ends; only on Linux.

    It comes through where Python cannot act: in a library that holds the lock of the interpreter.
    """
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):  # a C library without prctl
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _begin(initializer: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """What a process of a pool does first."""
    die_with_parent()
    threading.Thread(target=_end_after_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides on Ctrl-C
    if initializer is not None:
        initializer(*arguments)


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def process_pool(
    workers: int, initializer: Callable[..., None] | None = None, *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes, of which none outlives this one.

    When the block is left by an exception, such as Ctrl-C, what they are doing is ended at once;
    else they finish first.

    Parameters
    ----------
    workers : processes
    initializer, arguments : called in each process before its first task
    """
    context = multiprocessing.get_context("spawn")  # fork copies locks of threads that are not
    pool = ProcessPoolExecutor(workers, context, _begin, (initializer, arguments))
    try:
        yield pool
    except BaseException:
        _end(pool)
        raise
    pool.shutdown()


def _end(pool: ProcessPoolExecutor) -> None:
    """Stop a pool without waiting for what its processes are doing."""
    import psutil

    processes = list((pool._processes or {}).values())
    children = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            child = psutil.Process(process.pid)
            children += [child, *child.children(recursive=True)]
    pool.shutdown(wait=False, cancel_futures=True)
    for child in children:
        with contextlib.suppress(psutil.Error):
            child.kill()
