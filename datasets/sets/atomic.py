"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xtalfuse.loaders.safe.scratch import held, sweep


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary place beside `path`; what is written there takes its name at the end.

    The content is forced to disk before the name changes, so that a program that is killed
    leaves either the old file or the new one; what it had begun is removed when the file is
    next written. If the body raises, the old file stays and nothing is left behind.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    path = Path(path)
    prefix, suffix = f".{path.name}.", ".part"
    sweep(path.parent, prefix, suffix)
    handle, temporary = held(path.parent, prefix, suffix)
    with contextlib.ExitStack() as lock:
        lock.callback(os.close, handle)
        try:
            yield temporary
            with open(temporary, "r+b") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            if sys.platform == "win32":  # there, an open file cannot take another name
                lock.close()
            os.replace(temporary, path)
        except BaseException:
            lock.close()
            temporary.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The rename itself must reach the disk; folders cannot be opened on Windows."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
