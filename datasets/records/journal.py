"""A shard on its way: written once, record by record, and found again after a kill.

Arrays go straight into the HDF5 file that becomes the shard; a line of the journal beside it says
where each lies and what its sha256 is. A killed process leaves an HDF5 file that no library opens;
from the journal its whole records are taken over into a new one, and at most the one that was
being written is lost. What is written is the system's at once, so that no kill of the program
loses it; only the finished shard is forced to disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from xtalfuse.datasets.records.store import Disk, StoreError, array_sha256, close_stored
from xtalfuse.datasets.sets.atomic import sync_folder


class Journal:
    """The records of one shard that are written down; use it in a ``with`` block.

    Parameters
    ----------
    place : of its files, without their endings
    plan : sha256 of what the shard is to hold; what belongs to another plan is removed

    Attributes
    ----------
    entries : number of the record in the shard -> what is known of it
    """

    def __init__(self, place: Path, plan: str) -> None:
        import h5py

        older = _generations(place)
        self._data = place.with_name(f"{place.name}.{max(older, default=0) + 1}.part")
        locks = [_locked(_named(place, number, "journal")) for number in older]
        self._lines = self._data.with_suffix(".journal").open("ab")
        _lock(self._lines)
        self._disk = Disk(self._data, "w+")
        self._file = h5py.File(self._disk, "w", libver="latest")
        self.entries: dict[int, Any] = {}
        self._hashes: dict[str, str] = {}
        self._write(plan.encode() + b"\n")
        for generation in older:
            for number, entry, arrays in recovered(place, generation, plan):
                if number not in self.entries:
                    self.append(number, entry, arrays)
        for generation, lock in zip(older, locks, strict=True):
            _remove(place, generation)
            lock.close()

    def append(self, number: int, entry: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Write down one record.

        Raises
        ------
        OSError
            If the disk is full; what was written down before stays.
        """
        described = []
        for name, given in arrays.items():
            array = np.ascontiguousarray(given)
            dataset = self._file.create_dataset(name, data=array)
            offset, sha256 = dataset.id.get_offset() or 0, array_sha256(array)
            described.append([name, array.dtype.str, list(array.shape), offset, sha256])
            self._hashes[name] = sha256
        if self._disk.error is not None:
            raise self._disk.error
        line = json.dumps([number, entry, described])
        self._write(f"{hashlib.sha256(line.encode()).hexdigest()} {line}\n".encode())
        self.entries[number] = entry

    def _write(self, line: bytes) -> None:
        self._lines.write(line)
        self._lines.flush()

    def finish(self, place: Path, attributes: Mapping[str, Any]) -> None:
        """Make it the shard at this place: whole, forced to disk, then named.

        Raises
        ------
        OSError
            If the disk is full.
        """
        close_stored(self._file, self._disk, self._hashes, attributes)
        with self._data.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(self._data, place)
        sync_folder(place.parent)
        self._data.with_suffix(".journal").unlink()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._lines.close()
        with suppress(Exception):  # of a file that is not whole nothing is wanted
            self._file.close()
        self._disk.close()


def _locked(path: Path) -> IO[bytes]:
    """A journal that is ours as long as it is open: whoever began it is gone.

    Raises
    ------
    StoreError
        If another process is writing to it.
    """
    file = path.open("rb")
    if not _lock(file):
        file.close()
        raise StoreError(f"{path.parent.parent}: another build is writing there; wait for it")
    return file


def _lock(file: IO[bytes]) -> bool:
    """Whether nobody else holds this file; where the disk knows no locks, nobody does."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def count(place: Path) -> int:
    """How many records of an unfinished shard are written down; another process may write on."""
    found = 0
    for generation in _generations(place):
        with suppress(OSError):
            lines = _named(place, generation, "journal").read_bytes().count(b"\n")
            found = max(found, lines - 1)
    return found


def recovered(place: Path, generation: int, plan: str) -> Iterator[tuple[int, Any, dict[str, Any]]]:
    """(number, entry, arrays by name) of each whole record that a killed process left."""
    data = _named(place, generation, "part")
    lines = _named(place, generation, "journal").read_bytes().split(b"\n")
    if lines[0].decode(errors="replace") != plan or not data.is_file():
        return
    size = data.stat().st_size
    for line in lines[1:-1]:
        digest, _, text = line.partition(b" ")
        if hashlib.sha256(text).hexdigest().encode() != digest:
            return
        number, entry, described = json.loads(text)
        arrays = {}
        for name, dtype, shape, offset, sha256 in described:
            kind = np.dtype(dtype)
            if offset + kind.itemsize * int(np.prod(shape)) > size:
                return
            arrays[name] = (
                np.memmap(data, kind, "r", offset, tuple(shape))
                if np.prod(shape)
                else np.empty(shape, kind)
            )
            if array_sha256(arrays[name]) != sha256:
                return
        yield number, entry, arrays


def _generations(place: Path) -> list[int]:
    """Numbers of the files that processes began, in order; a killed one may leave two."""
    names = place.parent.glob(f"{place.name}.*.journal")
    return sorted(int(name.suffixes[-2][1:]) for name in names)


def _named(place: Path, generation: int, ending: str) -> Path:
    return place.with_name(f"{place.name}.{generation}.{ending}")


def _remove(place: Path, generation: int) -> None:
    for ending in ("journal", "part"):
        _named(place, generation, ending).unlink(missing_ok=True)
