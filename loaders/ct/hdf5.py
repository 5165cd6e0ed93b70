"""Volumes in HDF5 and NeXus: which data set is the volume, and what is none.

Raw projections are told from reconstructions by what stands beside them: ``image_key``,
``rotation_angle``, flat and dark fields, or a detector in the path. They are refused with
the name of a library that reconstructs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.ct.read import volume_reader
from xtalfuse.loaders.ct.source import BLOCK_BYTES, MOST_EXPANSION, SHORTEST, Source, depth
from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.checks import MOST_OBJECTS, address, check_hdf5
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead, refused
from xtalfuse.loaders.tem.kinds import hdf5_layout
from xtalfuse.loaders.tem.signals import standard_unit, text

_LARGEST_GB = 4000.0
_RAW_PATH = re.compile(r"projection|sinogram|detector|flat|dark|white|frames|\braw\b", re.I)
_RAW_SIGNS = {"image_key", "data_white", "data_dark", "rotation_angle", "theta"}
_RECONSTRUCTED = re.compile(r"recon|tomoproc|final_result|volume", re.I)
_NO_VOLUME = re.compile(r"(^|/)(EBSD|EDS|EELS|Experiments|Pattern|SEM)(/|$)", re.I)
_STEP_ATTRIBUTES = ("element_size_um", "voxel_size_um", "voxel_size", "pixel_size")


@dataclass
class _Found:
    """What a walk through a file shows."""

    volumes: dict[str, Any] = field(default_factory=dict)  # path -> data set
    raw_signs: set[str] = field(default_factory=set)  # names that stand beside projections
    definitions: set[str] = field(default_factory=set)  # NeXus application definitions


def _walk(file: Any) -> _Found:
    """Candidates of a file; links to other files are seen by name and never followed."""
    import h5py

    found = _Found()
    waiting, seen = [file["/"]], {address(file["/"])}
    while waiting:
        group = waiting.pop()
        for key in group:
            if key in _RAW_SIGNS:
                found.raw_signs.add(key)
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            item = group[key]
            if address(item) in seen:  # under another name
                continue
            seen.add(address(item))
            if len(seen) > MOST_OBJECTS:
                return found
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset):
                if key == "definition" and item.shape == ():
                    found.definitions.add(text(item[()]) or "")
                if _is_volume(item):
                    found.volumes[item.name] = item
    return found


def _is_volume(dataset: Any) -> bool:
    shape = tuple(n for n in dataset.shape or () if n != 1)
    return (
        dataset.dtype.kind in "buif"
        and len(shape) == 3
        and min(shape) >= SHORTEST
        and not _NO_VOLUME.search(dataset.name)
        and not _maps_signals(dataset)
    )


def _maps_signals(dataset: Any) -> bool:
    """Whether it maps spectra or patterns: an axis is an energy, or only some have a name."""
    named = np.atleast_1d(dataset.parent.attrs.get("axes", ()))
    axes = [text(name) or "." for name in named]
    if "." in axes and set(axes) != {"."}:
        return True  # places have names, channels of the detector have none
    if any("energy" in name.lower() for name in axes):
        return True
    for name, item in dataset.parent.items():
        if getattr(item, "ndim", 0) != 1 or item.shape[0] not in dataset.shape:
            continue
        unit = standard_unit(text(item.attrs.get("units")))
        if "energy" in name.lower() or (unit and unit[0] in ("eV", "1/angstrom")):
            return True
    return False


def is_volume(head: FileHead) -> Certainty:
    """Whether an HDF5 file holds tomography: a volume, or raw projections to be refused."""
    if not head.is_hdf5:
        return Certainty.NONE
    try:
        if head.hdf5 is None or hdf5_layout(head.hdf5, head.path) not in (None, "nexus"):
            return Certainty.ON_REQUEST
        found = _walk(head.hdf5)
    except Exception:  # damaged: the reader of other HDF5 files says how
        return Certainty.ON_REQUEST
    known = bool(found.volumes) or _looks_raw(found)
    return Certainty.LIKELY if known else Certainty.ON_REQUEST


def _looks_raw(found: _Found) -> bool:
    return "image_key" in found.raw_signs or any(
        name.startswith("NXtomo") and not name.startswith("NXtomoproc")
        for name in found.definitions
    )


def volume(path: Path, part: str | None) -> Source:
    """The reconstructed volume in an HDF5 file; `part` is the path of its data set.

    Raises
    ------
    UnreadableFileError
        If there is none, only raw projections, or several and none is chosen; or if the data
        set is not whole.
    """
    import h5py

    with h5py.File(path, "r") as file:
        found = _walk(file)
        raw = _looks_raw(found) or bool(found.raw_signs & {"data_white", "data_dark"})
        if part is None and raw and not _reconstructions(found):
            raise UnreadableFileError(
                f"{path.name}: raw projections (NXtomo), not a volume; reconstruct them first, "
                "for example with tomopy or httomo, and give the reconstruction"
            )
    check_hdf5(path, most_gb=_LARGEST_GB, most_expansion=MOST_EXPANSION)
    with h5py.File(path, "r") as file:
        dataset = _chosen(file, _walk(file), part, path.name)
        _check_stored(dataset, path.name)
        step, assumed, notes = _voxel(dataset)
        long = [n for n in dataset.shape if n != 1]
        if len(long) != 3:
            raise UnreadableFileError(
                f"{path.name}: {dataset.name} has shape {dataset.shape}, which is no volume; "
                "choose another data set"
            )
        shape = (int(long[0]), int(long[1]), int(long[2]))
        name, dtype = dataset.name, dataset.dtype
        places = [i for i, n in enumerate(dataset.shape) if n != 1]
        chunk = dataset.chunks[places[0]] if dataset.chunks else 1

    def blocks() -> Iterator[np.ndarray]:
        count = depth(shape, dtype.itemsize, at_least=min(int(chunk), shape[0]))
        with h5py.File(path, "r", rdcc_nbytes=BLOCK_BYTES) as file:
            for first in range(0, shape[0], count):
                index = [0] * len(file[name].shape)
                where: list[Any] = list(index)
                for place in places:
                    where[place] = slice(None)
                where[places[0]] = slice(first, first + count)
                yield file[name][tuple(where)]

    metadata = {"data_set": name}
    return Source(shape, dtype, blocks, "h5py/volume", step, assumed, metadata, notes)


def _reconstructions(found: _Found) -> list[str]:
    """The candidates that are no raw projections."""
    named = [name for name in found.volumes if _RECONSTRUCTED.search(name)]
    if named:
        return named
    if _looks_raw(found):
        return []
    return [name for name in found.volumes if not _RAW_PATH.search(name)]


def _chosen(file: Any, found: _Found, part: str | None, name: str) -> Any:
    import h5py

    if part:
        item = file.get(part)
        if not isinstance(item, h5py.Dataset):
            known = ", ".join(list(found.volumes)[:6]) or "none"
            raise UnreadableFileError(f"{name}: no data set {part!r}; volumes in it: {known}")
        return item
    good = _reconstructions(found)
    if len(good) == 1:
        return found.volumes[good[0]]
    if good:
        raise UnreadableFileError(
            f"{name}: several volumes ({', '.join(good[:8])}); choose one: {name}#{good[0]}"
        )
    if found.volumes:
        only = next(iter(found.volumes))
        raise UnreadableFileError(
            f"{name}: {only} looks like raw projections of a detector; reconstruct them first, "
            f"for example with tomopy or httomo, or, if it is a volume, give {name}#{only}"
        )
    raise UnreadableFileError(f"{name}: no three-dimensional data set; {EXPORT_AGAIN}")


def _check_stored(dataset: Any, file: str) -> None:
    """Refuse a data set of which a part was never written: it would be read as zeros."""
    import h5py

    declared, stored = int(dataset.nbytes), int(dataset.id.get_storage_size())
    missing = 0
    if dataset.chunks:
        grid = [-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True)]
        expected = int(np.prod(grid, dtype=object))
        missing = expected - int(dataset.id.get_num_chunks())
        told = f"{missing} of {expected} chunks were never written"
    elif dataset.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS:
        missing, told = declared - stored, f"{stored} of {declared} bytes are there"
    if missing > 0 or declared > MOST_EXPANSION * max(stored, 1):
        told = told if missing > 0 else f"{declared} bytes declared and {stored} stored"
        raise refused(file, f"{dataset.name} is not whole ({told})", "write the volume again")


def _voxel(dataset: Any) -> tuple[tuple[float, float, float] | None, bool, tuple[str, ...]]:
    """Voxel size z, y, x in um, from attributes of the data set or from axes beside it."""
    for name in _STEP_ATTRIBUTES:
        if name not in dataset.attrs:
            continue
        try:
            step = np.broadcast_to(np.asarray(dataset.attrs[name], float), 3)
        except (TypeError, ValueError):
            continue
        unit = "um" if name.endswith("_um") else text(dataset.attrs.get("units"))
        known = standard_unit(unit)
        if not (np.isfinite(step).all() and (step > 0).all()):
            return None, False, (f"{name} is not positive: not used",)
        if known is None or known[0] != "nm":
            return None, False, (f"{name} without a unit of length: not used",)
        dz, dy, dx = (float(s) * known[1] / 1e3 for s in step)
        return (dz, dy, dx), False, ()
    return _axes_beside(dataset), False, ()


def _axes_beside(dataset: Any) -> tuple[float, float, float] | None:
    """From the axes z, y, x of an NXdata group: evenly spaced, in a unit of length."""
    step = []
    for name, length in zip("zyx", [n for n in dataset.shape if n != 1], strict=True):
        axis = dataset.parent.get(name)
        known = standard_unit(text(axis.attrs.get("units"))) if axis is not None else None
        if known is None or known[0] != "nm" or axis.shape != (length,):
            return None
        gaps = np.abs(np.diff(axis[...].astype(float)))
        if not gaps.min() > 0 or np.ptp(gaps) > 0.01 * gaps.mean():
            return None
        step.append(float(gaps.mean()) * known[1] / 1e3)
    return step[0], step[1], step[2]


READERS = volume_reader(
    "hdf5-volume",
    "HDF5 and NeXus with one volume; one of several behind #",
    (".h5", ".hdf5", ".nxs"),
    volume,
    is_volume,
    limits=("raw projections (NXtomo) are refused: reconstruct them first",),
    numbers=(
        Number("voxel", "element_size_um, voxel_size, pixel_size; axes z, y, x beside",
               "name or units of it; without one: not used"),
        Number("value", "the data set, as it is", "none", "type of the data set"),
        Number("order of axes", "z, y, x as stored", "", "lengths of 1 are left out"),
    ),
)  # fmt: skip
