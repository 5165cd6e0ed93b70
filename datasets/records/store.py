"""The only writer of HDF5 files: flat arrays, complete or not there at all.

A file is written beside its place, forced to disk and renamed, so that a killed program
leaves either the old file or the new one. The sha256 of the content is kept inside, because
a flipped bit in a number does not show. Reading accepts only what `write_arrays` writes:
contiguous numeric arrays inside the file itself; links, external storage and declared sizes
beyond the file are refused.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.loaders.record import UnreadableFileError


class StoreError(UnreadableFileError):
    """A stored file that cannot be trusted: the message names file, cause and remedy."""


def array_sha256(array: np.ndarray) -> str:
    """Hash of type, shape and values; the same on every machine."""
    array = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _whole_sha256(hashes: Mapping[str, str], attributes: Mapping[str, Any]) -> str:
    text = json.dumps([dict(hashes), dict(attributes)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Disk(io.FileIO):
    """A file that HDF5 writes to. That the disk is full is told when all is over.

    On an error of the disk the HDF5 library would end the whole program (h5py 3, HDF5 1.14).
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view) and self.error is None:
            try:
                done += super().write(view[done:]) or 0
            except OSError as error:
                self.error = error
        return len(view)


def write_arrays(
    path: str | Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> str:
    """Write arrays and attributes as one HDF5 file, atomically.

    Parameters
    ----------
    path : place of the file; what is there is replaced only when all is on disk
    arrays : name -> numeric array
    attributes : plain JSON values

    Returns
    -------
    sha256 of the content

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; nothing is left behind.
    """
    import h5py

    path = Path(path)
    hashes = {name: array_sha256(array) for name, array in arrays.items()}
    with replacing(path) as temporary, Disk(temporary, "r+") as disk:
        file = h5py.File(disk, "w", libver="latest")
        for name, array in arrays.items():
            file.create_dataset(name, data=np.ascontiguousarray(array))
        return close_stored(file, disk, hashes, attributes)


def close_stored(
    file: Any, disk: Disk, hashes: Mapping[str, str], attributes: Mapping[str, Any]
) -> str:
    """Complete an HDF5 file of plain arrays so that `read_arrays` trusts it; its sha256.

    Raises
    ------
    OSError
        If the disk was full.
    """
    sha256 = _whole_sha256(hashes, attributes)
    try:
        file.attrs["content"] = json.dumps([dict(hashes), dict(attributes)], sort_keys=True)
        file.attrs["sha256"] = sha256
        file.close()
    finally:
        disk.close()
        if disk.error is not None:
            raise disk.error
    return sha256


def read_attributes(path: str | Path) -> tuple[dict[str, Any], str]:
    """Attributes and sha256 of a stored file; its arrays are neither read nor checked.

    Raises
    ------
    StoreError
        If the file is absent or damaged.
    """
    return _opened(Path(path))[1:3]


def read_arrays(
    path: str | Path, *, unchecked: Collection[str] = (), checked: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, Any], str]:
    """Arrays of a stored file, mapped read-only, with attributes and sha256.

    Parameters
    ----------
    unchecked : large arrays that the caller checks piece by piece; all others are compared
        with their sha256
    checked : whether the caller has compared the file as a whole with its hash

    Raises
    ------
    StoreError
        If the file is absent, damaged, changed, or not written by `write_arrays`.
    """
    path = Path(path)
    hashes, attributes, sha256, places = _opened(path)
    arrays = {name: _mapped(path, *place) for name, place in places.items()}
    judged = [] if checked else [name for name in arrays if name not in unchecked]
    if any(array_sha256(arrays[name]) != hashes[name] for name in judged):
        raise _changed(path)
    return arrays, attributes, sha256


Place = tuple[np.dtype, int, tuple[int, ...]]


def _opened(path: Path) -> tuple[dict[str, str], dict[str, Any], str, dict[str, Place]]:
    """(sha256 of the arrays, attributes, sha256, where the arrays lie), which agree."""
    import h5py

    if not path.is_file():
        raise StoreError(f"{path}: no such file; check the path")
    try:
        with h5py.File(path, "r") as file:
            hashes, attributes = json.loads(str(file.attrs["content"]))
            sha256 = str(file.attrs["sha256"])
            places = {name: _place(file, name, path) for name in file}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        cause = " ".join(str(error).split())[:150]
        raise StoreError(f"{path.name}: not a stored file ({cause}); build it again") from None
    if set(hashes) != set(places) or _whole_sha256(hashes, attributes) != sha256:
        raise _changed(path)
    return hashes, attributes, sha256, places


def _changed(path: Path) -> StoreError:
    return StoreError(
        f"{path.name}: the content does not match its sha256: the file was damaged; build it again"
    )


def _mapped(path: Path, dtype: np.dtype, offset: int, shape: tuple[int, ...]) -> np.ndarray:
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape)


def _place(file: Any, name: str, path: Path) -> Place:
    """Type, position in the file and shape of one plain array."""
    import h5py

    link = file.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise StoreError(f"{path.name}: {name} is a link out of the file; do not trust this file")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise StoreError(f"{path.name}: {name} is not an array of this file; do not trust it")
    offset = dataset.id.get_offset()
    empty = dataset.size == 0
    if dataset.dtype.kind not in "iufc" or (offset is None and not empty):
        raise StoreError(f"{path.name}: {name} is not a plain array; build the file again")
    end = 0 if empty else offset + dataset.size * dataset.dtype.itemsize
    if end > path.stat().st_size:
        raise StoreError(f"{path.name}: {name} ends beyond the file, which was cut; build it again")
    return dataset.dtype, int(offset or 0), tuple(dataset.shape)
