"""The processes of other machines, through Dask."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from xtalfuse.loaders.record import UnreadableFileError


@contextmanager
def executor_of(scheduler: str | None) -> Iterator[Executor | None]:
    """The workers of a Dask scheduler as an executor; None where no scheduler is named.

    A task whose worker dies is done again by another one.

    Raises
    ------
    UnreadableFileError
        If dask.distributed is not installed or the scheduler does not answer.
    """
    if scheduler is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise UnreadableFileError(
            "dask.distributed is not installed; install it: pip install distributed"
        ) from None
    try:
        client = Client(scheduler, timeout=20)
    except (OSError, ValueError, TimeoutError) as error:
        raise UnreadableFileError(
            f"{scheduler}: no Dask scheduler answers ({error}); check the address"
        ) from None
    with client:
        yield client.get_executor(pure=False, retries=3)
