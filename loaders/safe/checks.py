"""Looks at what a reader returned, and at HDF5 files before any reader sees them."""

from __future__ import annotations

import contextlib
import graphlib
import itertools
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead, refused
from xtalfuse.physics.grains.crystal_map import NOT_INDEXED, CrystalMap

MOST_OBJECTS = 10_000  # groups and datasets in one HDF5 file; instruments write some hundred
MOST_EXPANSION = 1_000  # declared bytes for each stored byte, of what is read in parts ...
# ... and of what is read whole: the noise of counts has more than a bit in ten numbers of 16,
# even where only one pixel in a hundred holds one; zeros pack 200 to 1,000 times.
MOST_EXPANSION_WHOLE = 100
ONE_SIGNAL = "export one signal or map alone"
MOST_EMPTY = 100  # places of an orientation map for each point of it


def check_array(
    values: Any,
    *,
    name: str,
    what: str = "signal",
    axis: Any = None,
    declared: int | None = None,
    most_zeros: float = 1.0,
    padding: float = 0.25,
) -> tuple[str, ...]:
    """Refuse an array that cannot be a measurement; warn of one that may be cut.

    Parameters
    ----------
    values : array of any shape
    name : file name for the messages
    what : what the array is, for the messages
    axis : values along the last dimension, checked to be finite and strictly monotonic
    declared : number of values that the file says it holds
    most_zeros : refuse a larger fraction of exact zeros than this
    padding : warn when a larger fraction than this, at the end, is one run of exact zeros
        in an array that has hardly any elsewhere: the mark of a cut file that was filled up

    Returns
    -------
    Warnings, for the provenance.

    Raises
    ------
    UnreadableFileError
        If the array is empty, not numeric, not finite, constant, mostly zero, or not as
        long as declared; or if the axis does not fit it.
    """

    refuse = partial(refused, name)

    array = np.asarray(values)
    if array.size == 0:
        raise refuse(f"the {what} is empty")
    if array.dtype.kind not in "iufcb":
        raise refuse(f"the {what} is not numeric ({array.dtype})")
    if declared is not None and array.size != declared:
        raise refuse(f"the {what} has {array.size} values where the file declares {declared}")
    bad = 0 if array.dtype.kind in "iub" else array.size - int(np.isfinite(array).sum())
    if bad:
        raise refuse(f"{bad} of {array.size} values of the {what} are not finite")
    flat = array.ravel()
    if array.size > 1 and flat.min() == flat.max():
        raise refuse(f"all {array.size} values of the {what} are {flat[0]:g}")
    zeros = 1.0 - np.count_nonzero(flat) / flat.size
    if zeros > most_zeros:
        raise refuse(f"{zeros:.0%} of the {what} is exactly zero")
    if axis is not None:
        check_axis(np.asarray(axis), array.shape[-1], name)
    tail = flat.size - (int(np.flatnonzero(flat)[-1]) + 1)
    elsewhere = (zeros * flat.size - tail) / max(flat.size - tail, 1)
    if tail > padding * flat.size and elsewhere < 0.05:
        return (f"the last {tail / flat.size:.0%} of the {what} is exactly zero: it may be cut",)
    return ()


def check_axis(axis: np.ndarray, length: int, name: str) -> None:
    """Refuse an axis that has another length than its data, or is not finite and monotonic."""
    refuse = partial(refused, name)
    if axis.shape != (length,):
        raise refuse(f"the axis has {axis.size} values for {length} points")
    if not np.isfinite(axis).all():
        raise refuse("the axis holds values that are not finite")
    steps = np.diff(axis)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise refuse("the axis is not monotonic")


def check_crystal_map(found: CrystalMap, *, name: str) -> tuple[str, ...]:
    """Refuse a map of orientations that no instrument can have measured; warn of a poor one.

    Returns
    -------
    Warnings, for the provenance.

    Raises
    ------
    UnreadableFileError
        If the map is empty, its arrays differ in length, an orientation is no unit quaternion,
        a phase is none of the map's, two points share a place, or a step is not positive.
    """

    refuse = partial(refused, name)

    count = len(found.orientation)
    if count == 0:
        raise refuse("a map without points")
    if found.orientation.shape != (count, 4) or found.index.shape != (count, 3):
        raise refuse(f"orientations {found.orientation.shape} and places {found.index.shape}")
    lengths = {len(found.phase), *(len(values) for values in found.quality.values())}
    if lengths != {count}:
        raise refuse(f"columns of {sorted(lengths)} values for {count} points")
    size = np.linalg.norm(found.orientation, axis=1)
    bad = int((~(np.abs(size - 1.0) <= 1e-6)).sum())
    if bad:
        raise refuse(f"{bad} of {count} orientations are no unit quaternions")
    if found.phase.min() < NOT_INDEXED or found.phase.max() >= len(found.phases):
        raise refuse(f"phases {found.phase.min()} to {found.phase.max()} of {len(found.phases)}")
    if found.index.min() < 0:
        raise refuse("places outside the map")
    shape = np.array(found.shape, dtype=np.int64)
    place = (found.index[:, 0] * shape[1] + found.index[:, 1]) * shape[2] + found.index[:, 2]
    if not np.diff(np.sort(place)).all():
        raise refuse("two points at one place")
    if shape.prod() > MOST_EMPTY * count + 1e6:
        raise refuse(f"{count} points scattered over {' x '.join(map(str, shape))} places")
    _check_steps(found, refuse)
    return _poor_map(found)


def _check_steps(found: CrystalMap, refuse: Any) -> None:
    steps = np.array(found.step)
    needed = np.array([True, True, found.shape[0] > 1])
    if not np.isfinite(steps).all() or (steps[needed] <= 0).any() or (steps < 0).any():
        raise refuse(f"steps of {' x '.join(f'{step:g}' for step in steps)} um")


def _poor_map(found: CrystalMap) -> tuple[str, ...]:
    indexed = float(np.mean(found.phase != NOT_INDEXED))
    if indexed == 0.0:
        return ("no point of the map is indexed",)
    told: tuple[str, ...] = ()
    if indexed < 0.5:
        told = (f"only {indexed:.0%} of the points are indexed",)
    empty = _empty_points(found)
    if empty > max(2, 0.002 * len(found.phase)):
        told += (f"{empty} points are empty: the measurement was stopped or the file is damaged",)
    damaged = [key for key, values in found.quality.items() if not np.isfinite(values).all()]
    if damaged:
        told += (f"values that are not finite in {', '.join(damaged)}",)
    return told


def _empty_points(found: CrystalMap) -> int:
    """Points that are not indexed and whose every quality is exactly zero.

    A pattern that cannot be indexed still has a contrast or an error; zeros are no pattern.
    """
    if not found.quality:
        return 0
    empty = found.phase == NOT_INDEXED
    for values in found.quality.values():
        empty &= values == 0
    return int(empty.sum())


def check_hdf5(
    path: str | Path, *, most_gb: float = 4.0, most_expansion: float = MOST_EXPANSION_WHOLE
) -> None:
    """Refuse an HDF5 file that reaches outside itself or declares absurd sizes.

    Opens the file with h5py: call it in a guarded child, before the reader proper.

    Raises
    ------
    UnreadableFileError
        If the file cannot be opened; holds an external link, external storage or a virtual
        dataset (each can make any file of the machine appear as data, or zeros for a file
        that is missing); declares more than `most_gb`, or in a data set of more than 0.1 GB more
        than `most_expansion` times what is stored; or holds more than `MOST_OBJECTS`, or shows
        them at more places than that, through links that run in a circle for example.
    """
    import h5py

    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            _check_group(file, path, most_gb * 1e9, most_expansion)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise refused(path.name, f"damaged HDF5 ({' '.join(str(error).split())[:120]})") from None


def _check_group(file: Any, path: Path, most_bytes: float, most_expansion: float) -> None:
    import h5py

    root = file["/"]
    seen = {address(root)}
    waiting = [root]
    links: list[tuple[Any, str]] = []
    inside: dict[int, list[int]] = {}  # address of a group -> those of the objects in it
    declared_bytes = 0
    while waiting:
        group = waiting.pop()
        held = inside.setdefault(address(group), [])
        for key in group:
            link = group.get(key, getlink=True)
            where = f"{group.name.rstrip('/')}/{key}"
            if not isinstance(link, h5py.HardLink | h5py.SoftLink):
                raise UnreadableFileError(
                    f"{path.name}: {where} is a link to another file; merge it into one file"
                )
            if isinstance(link, h5py.SoftLink):
                links.append((group, key))  # its target has a name of its own, or does not exist
                continue
            item = group[key]
            place = address(item)
            held.append(place)
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > MOST_OBJECTS:
                raise refused(path.name, f"more than {MOST_OBJECTS} objects", ONE_SIGNAL)
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset):
                declared_bytes += _check_dataset(item, path, most_expansion)
                if declared_bytes > most_bytes:
                    raise UnreadableFileError(
                        f"{path.name}: declares more than {most_bytes / 1e9:g} GB of data in a "
                        f"file of {path.stat().st_size / 1e6:.3g} MB; crop it or export it again"
                    )

    for group, key in links:
        with contextlib.suppress(KeyError, RuntimeError, OSError):  # it leads nowhere
            inside[address(group)].append(address(group[key]))
    if _places(inside, address(root)) > MOST_OBJECTS:
        raise UnreadableFileError(
            f"{path.name}: its links run in a circle, or show its objects at more than "
            f"{MOST_OBJECTS} places; {EXPORT_AGAIN}"
        )


def check_objects(head: FileHead) -> None:
    """Refuse an HDF5 file of more objects than any instrument writes; looks at no more of them.

    Raises
    ------
    UnreadableFileError
        If there are more than `MOST_OBJECTS`.
    """
    import h5py

    if head.hdf5 is None:
        return
    names = itertools.count()
    visited = partial(lambda count, name: next(count) > MOST_OBJECTS or None, names)
    with contextlib.suppress(OSError, RuntimeError):  # damaged: its reader says how
        if h5py.h5o.visit(head.hdf5.id, visited):
            raise refused(head.path.name, f"more than {MOST_OBJECTS} objects", ONE_SIGNAL)


def address(item: Any) -> int:
    """Where an object stands in its HDF5 file: the same under all its names."""
    import h5py

    return int(h5py.h5o.get_info(item.id).addr)


def _places(inside: dict[int, list[int]], root: int) -> float:
    """How many objects a walk comes to that follows every link; infinite in a circle."""
    count: dict[int, float] = {}
    try:
        for place in graphlib.TopologicalSorter(inside).static_order():
            count[place] = 1 + sum(count[held] for held in inside.get(place, ()))
    except graphlib.CycleError:
        return math.inf
    return count[root]


def _check_dataset(dataset: Any, path: Path, most_expansion: float) -> int:
    """Declared size in bytes of a dataset that keeps its data in this file."""
    if dataset.is_virtual or dataset.id.get_create_plist().get_external_count():
        raise UnreadableFileError(
            f"{path.name}: {dataset.name} keeps its data in another file; merge it into one file"
        )
    declared = int(dataset.nbytes or 0)
    stored = int(dataset.id.get_storage_size())
    if declared > 1e8 and declared > most_expansion * max(stored, 1):
        raise UnreadableFileError(
            f"{path.name}: {dataset.name} declares {declared / 1e9:.3g} GB and stores "
            f"{stored} bytes; {EXPORT_AGAIN}"
        )
    return declared
