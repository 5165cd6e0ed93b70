"""Temporary files and folders that are gone at the latest when a program next needs one there.

A program that is killed cannot tidy up. Whoever makes something temporary therefore holds a lock
on a file beside it; the system lets go of the lock when the program ends, however it ends. What
nobody holds is swept away, and what another program is using is left alone, also where machines
or containers share a disk and know nothing of each other's processes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from glob import escape
from pathlib import Path

if sys.platform != "win32":
    import fcntl

# what the system says of a full disk, a used-up quota, a file beyond the limit of this process
NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
_LOCK = ".lock"
_OLD = "old"  # inside a scratch folder: what gave way to something new


def held(parent: Path, prefix: str, suffix: str) -> tuple[int, Path]:
    """A new file that is locked by this process: its descriptor, to be closed, and its path.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    while True:
        handle, name = tempfile.mkstemp(suffix, prefix, parent)
        if sys.platform == "win32":
            return handle, Path(name)  # there, an open file cannot be removed
        with contextlib.suppress(OSError):  # a disk without locks: nothing is ever swept there
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # swept away by another program before it was locked


@contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether a file is nobody's: it is locked for us as long as the block lasts."""
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            path.unlink()
        yield not path.exists()
        return
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = os.fstat(handle).st_uid == os.getuid()
        except OSError:
            free = False
        yield free
    finally:
        os.close(handle)


@cache
def sweep(parent: Path, prefix: str, suffix: str = _LOCK) -> None:
    """Remove what killed programs left in a folder; once for each folder in this process.

    Parameters
    ----------
    parent : the folder
    prefix, suffix : how names begin and end; of scratch folders, those of their locks
    """
    with contextlib.suppress(OSError):
        for path in parent.glob(f"{escape(prefix)}*{suffix}"):
            with _claimed(path) as free, contextlib.suppress(OSError):
                if free:
                    _remove(path)


def _remove(path: Path) -> None:
    """Remove an abandoned file and the folder that it is the lock of."""
    if path.suffix == _LOCK:
        folder = path.with_suffix("")
        for old in (folder / _OLD).glob("*"):  # killed in the middle of `swap_in`
            if not (path.parent / old.name).exists():
                old.rename(path.parent / old.name)
        shutil.rmtree(folder, ignore_errors=True)
    path.unlink(missing_ok=True)


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A temporary folder; what killed programs left of the same kind is removed first.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    sweep(parent, prefix)
    handle, lock = held(parent, prefix, _LOCK)
    folder = lock.with_suffix("")
    try:
        folder.mkdir(0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if sys.platform == "win32":  # a file that is mapped stays there until the next sweep
            os.close(handle)
            if not folder.exists():
                lock.unlink(missing_ok=True)
        else:
            lock.unlink(missing_ok=True)
            os.close(handle)


def swap_in(new: Path, place: Path, scratch: Path) -> None:
    """Put a folder in the place of another; a kill leaves the old one or the new one.

    Parameters
    ----------
    new : folder inside `scratch`
    place : beside `scratch`; need not exist
    scratch : that of `scratch_folder`
    """
    old = scratch / _OLD / place.name
    try:
        if place.exists():
            old.parent.mkdir()
            place.rename(old)
        new.rename(place)
    except BaseException:
        if old.exists() and not place.exists():
            old.rename(place)
        raise
