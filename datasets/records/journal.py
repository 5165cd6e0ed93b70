"""What a build has read of one shard and not yet stored: appended record by record, checked.

A killed process leaves whole records and at most one that is cut; the cut one is dropped. The
pages of the file are the system's as soon as they are written, so that no kill of the program
loses them; only the finished shard is forced to disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.datasets.sets.store import array_sha256

_MOST_HEADER = 1_000_000_000


@dataclass
class Journal:
    """Entries of one shard on their way to it.

    Parameters
    ----------
    path : of the file
    plan : sha256 of what the shard is to hold; a journal of another plan is begun anew
    entries : number of the record in the shard -> what is known of it
    arrays : of all entries, mapped from the file
    hashes : sha256 of each array
    """

    path: Path
    plan: str
    entries: dict[int, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def opened(cls, path: Path, plan: str) -> Journal:
        """The journal at this place with all that is whole in it."""
        journal = cls(path, plan)
        end = journal._recover() if path.is_file() else 0
        with path.open("ab") as file:
            file.truncate(end)
            if end == 0:
                file.write(f"{plan}\n".encode())
        return journal

    def append(self, number: int, entry: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Add one record.

        Raises
        ------
        OSError
            If the disk is full; what was acknowledged before stays.
        """
        plain = {name: np.asarray(array) for name, array in arrays.items()}
        hashes = {name: array_sha256(array) for name, array in plain.items()}
        described = [[n, a.dtype.str, list(a.shape), hashes[n]] for n, a in plain.items()]
        header = json.dumps([number, entry, described]).encode()
        digest = hashlib.sha256(header).hexdigest()
        with self.path.open("ab") as file:
            file.write(f"{len(header)} {digest}\n".encode())
            file.write(header)
            for array in plain.values():
                file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            file.flush()
            end = file.tell()
        self._take(number, entry, described, end)

    def _take(self, number: int, entry: Any, described: list[Any], end: int) -> None:
        """Map the arrays of an entry, which lie before `end`."""
        sizes = _sizes(described)
        place = end - sum(sizes)
        for (name, dtype, shape, sha256), size in zip(described, sizes, strict=True):
            self.arrays[name] = (
                np.memmap(self.path, np.dtype(dtype), "r", place, tuple(shape))
                if size
                else np.empty(shape, dtype)
            )
            self.hashes[name] = sha256
            place += size
        self.entries[number] = entry

    def _recover(self) -> int:
        """Take what is whole; where it ends."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            if file.readline(200).decode(errors="replace").strip() != self.plan:
                return 0
            while True:
                start = file.tell()
                length, _, digest = file.readline(200).decode(errors="replace").partition(" ")
                if not length.isdigit() or int(length) > _MOST_HEADER:
                    return start
                header = file.read(int(length))
                if hashlib.sha256(header).hexdigest() != digest.strip():
                    return start
                number, entry, described = json.loads(header)
                end = file.tell() + sum(
                    int(np.dtype(dtype).itemsize * np.prod(shape))
                    for _, dtype, shape, _ in described
                )
                if end > size:
                    return start
                self._take(number, entry, described, end)
                if any(array_sha256(self.arrays[name]) != sha for name, _, _, sha in described):
                    del self.entries[number]
                    return start
                file.seek(end)


def count(path: Path) -> int:
    """How many entries a journal holds, by its headers alone; another process may write to it."""
    found = 0
    with suppress(OSError, ValueError), path.open("rb") as file:
        size = path.stat().st_size
        file.readline(200)
        while (line := file.readline(200)).endswith(b"\n"):
            _, _, described = json.loads(file.read(int(line.split()[0])))
            file.seek(sum(_sizes(described)), 1)
            found += file.tell() <= size
    return found


def _sizes(described: list[Any]) -> list[int]:
    """Bytes of each array of an entry."""
    return [int(np.dtype(dtype).itemsize * np.prod(shape)) for _, dtype, shape, _ in described]
