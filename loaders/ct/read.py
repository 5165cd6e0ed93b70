"""Volumes of X-ray tomography (CT): grey values or labels on a grid of voxels.

`load_volume` reads TIFF stacks and folders of slices, HDF5 and NeXus, ``.npy``, ``.npz``,
``.mrc`` and raw data with a sidecar in a guarded child process. A part of a file is chosen
behind a ``#``: ``set.npz#12``, ``scan.h5#/entry/recon/data``. A volume larger than
`volume_source.IN_MEMORY_BYTES` is written by the child, slice by slice, into a temporary file
that the parent maps into memory; the file is gone when the array is.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.ct import flat as ct_flat
from xtalfuse.loaders.ct import hdf5 as ct_hdf5
from xtalfuse.loaders.ct import raw as ct_raw
from xtalfuse.loaders.ct import tiff as ct_tiff
from xtalfuse.loaders.ct.source import FILE, Source, collect
from xtalfuse.loaders.record import (
    Axis,
    Calibration,
    Measurement,
    Modality,
    Provenance,
    UnreadableFileError,
)
from xtalfuse.loaders.safe.checks import EXPORT_AGAIN, sha256_of
from xtalfuse.loaders.safe.guard import Limits, check_file, guarded

_HEAD_BYTES = 8192
_BYTES_PER_SECOND = 1e7  # a slow disk, and hashing: more time for larger files
_STEP_UM = (1e-5, 1e5)  # a voxel of 0.01 nm to 10 cm


@dataclass(frozen=True)
class Wanted:
    """What a person says about a volume beside its file.

    Parameters
    ----------
    part : which of several volumes of a file, what stands behind ``#``; None if not said
    voxel_size_um : z, y, x; wins over the file
    labels : whether the values are labels; None to judge by the values
    folder : where a large volume may be written; None to keep it in memory
    """

    part: str | None = None
    voxel_size_um: tuple[float, float, float] | None = None
    labels: bool | None = None
    folder: str | None = None

    @property
    def asked(self) -> bool:
        """Whether a person means a volume, whatever the file looks like."""
        return any(said is not None for said in (self.part, self.voxel_size_um, self.labels))


@dataclass(frozen=True)
class Spooled:
    """A measurement whose values lie in ``FILE`` of the folder it was told to use."""

    measurement: Measurement


def chosen(path: str | Path) -> tuple[Path, str | None]:
    """(file or folder, what stands behind ``#``); a file that has the name as it is wins."""
    path = Path(path)
    before, mark, part = str(path).partition("#")
    if not mark or path.exists() or not Path(before).exists():
        return path, None
    return Path(before), part


def voxel_size(value: float | tuple[float, ...] | None) -> tuple[float, float, float] | None:
    """z, y, x in micrometre from one number or three.

    Raises
    ------
    ValueError
        If it is not positive, or neither one number nor three.
    """
    if value is None:
        return None
    step = np.asarray(value, float)
    if step.shape not in ((), (3,)) or not ((step > _STEP_UM[0]) & (step < _STEP_UM[1])).all():
        raise ValueError(
            f"voxel size {value!r}: give one number, or three as z, y, x, in micrometre"
        )
    dz, dy, dx = (float(s) for s in np.broadcast_to(step, 3))
    return dz, dy, dx


def load_volume(
    path: str | Path,
    *,
    voxel_size_um: float | tuple[float, float, float] | None = None,
    labels: bool | None = None,
    limits: Limits | None = None,
) -> Measurement:
    """The volume in a file, or in a folder with one TIFF file for each slice.

    Parameters
    ----------
    path : file or folder; a part of it is chosen behind ``#``
    voxel_size_um : by hand, one number or z, y, x; wins over what the file says
    labels : whether the values are labels; None to judge by the values
    limits : time and memory that reading may take; large volumes get more time

    Returns
    -------
    Measurement of modality CT: values (z, y, x) of the number type of the file, with axes
    ``z``, ``y``, ``x`` in um, or in px where the voxel size is not known; ``value_unit`` is
    ``"label"`` or ``"arbitrary"``. Values of a large volume are a read-only memory map.

    Raises
    ------
    UnreadableFileError
        If it is no volume or cannot be trusted; the message names file, cause and remedy.
    ValueError
        If `voxel_size_um` makes no sense.
    """
    place, part = chosen(path)
    wanted = Wanted(part, voxel_size(voxel_size_um), labels)
    return guarded_volume(read, place, wanted, limits or Limits())


def guarded_volume(
    reader: Callable[..., Measurement | Spooled], place: Path, wanted: Wanted, limits: Limits,
    *args: Any,
) -> Measurement:  # fmt: skip
    """``reader(place, *args, wanted)`` in a guarded child, with a folder for a large volume.

    A folder of slices is read by `read_slices`, whatever `reader` is.
    """
    place = place.absolute()
    files = [place]
    if place.is_dir():
        files = [path for listed in ct_tiff.series_of(place).values() for _, path in listed]
        if not files:
            raise UnreadableFileError(
                f"{place.name}: neither a file nor a folder of TIFF slices or of maps of serial "
                "sections; give the file"
            )
        # the first slice stands for the folder where a file is asked for
        reader, args = read_slices, ()
    size = sum(check_file(path).stat().st_size for path in files)
    seconds = limits.seconds + size / _BYTES_PER_SECOND
    # Windows keeps a file that is mapped: it is left to the system's own tidying there.
    with tempfile.TemporaryDirectory(prefix="xtalfuse-", ignore_cleanup_errors=True) as folder:
        wanted = replace(wanted, folder=folder)
        memory_gb = limits.memory_gb
        result = guarded(reader, files[0], *args, wanted, seconds=seconds, memory_gb=memory_gb)
        if isinstance(result, Measurement):
            return result
        values = np.load(Path(folder) / FILE, mmap_mode="r", allow_pickle=False)
        return replace(result.measurement, values=values)


def is_slices(folder: Path) -> bool:
    """Whether a folder holds the slices of a volume, one in each file."""
    return folder.is_dir() and bool(ct_tiff.series_of(folder))


def companions(path: Path) -> tuple[Path, ...]:
    """Files beside `path` that are read together with it."""
    if path.suffix.lower() == ".mhd":
        return ct_raw.data_of(path)
    beside_raw = ct_raw.sidecar(path)
    # a .mhd is the file itself, and its raw data the companion
    return (beside_raw,) if beside_raw and beside_raw.suffix.lower() != ".mhd" else ()


Reader = Callable[[Path, str | None], Source]


def _is_raw(path: Path, head: bytes) -> bool:
    return ct_raw.sidecar(path) is not None or (
        path.suffix.lower() == ".mhd" and b"DimSize" in head
    )


# Sign of a format in a file -> how it is read, surest first.
_FORMATS: tuple[tuple[Callable[[Path, bytes], bool], Reader], ...] = (
    (lambda path, head: head.startswith(ct_flat.NPY_MAGIC), ct_flat.npy),
    (ct_flat.is_npz, ct_flat.npz),
    (ct_tiff.is_stack, ct_tiff.stack),
    (ct_flat.is_mrc_volume, ct_flat.mrc),
    (ct_hdf5.is_volume, ct_hdf5.volume),
    (_is_raw, ct_raw.raw),
)
# What a person who asks for a volume may also mean, though the file does not say so.
_IF_ASKED: tuple[tuple[Callable[[Path, bytes], bool], Reader], ...] = (
    (lambda path, head: head.startswith(ct_tiff.TIFF_MAGIC), ct_tiff.stack),
    (lambda path, head: head[208:212] == b"MAP ", ct_flat.mrc),
    (lambda path, head: head.startswith(b"\x89HDF"), ct_hdf5.volume),
    (lambda path, head: path.suffix.lower() in ct_raw.RAW_SUFFIXES, ct_raw.raw),
)


def sniff(path: Path, head: bytes) -> bool:
    """Whether a file that begins with `head` says itself that it is a volume."""
    return any(is_this(path, head) for is_this, _ in _FORMATS)


def read(path: str | Path, wanted: Wanted | None = None) -> Measurement | Spooled:
    """The volume in a file; run it in a guarded child process.

    Raises
    ------
    UnreadableFileError
        If the file holds no volume, or one that cannot be trusted.
    """
    path, wanted = Path(path), wanted or Wanted()
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for is_this, reader in (*_FORMATS, *_IF_ASKED):
        if is_this(path, head):
            return _measurement(path, reader, wanted)
    raise UnreadableFileError(
        f"{path.name}: no known format of a volume; save it as a multipage .tif, .npy, .h5, or "
        "raw data with a .json beside it"
    )


def read_slices(first: str | Path, wanted: Wanted | None = None) -> Measurement | Spooled:
    """The volume in the folder of the slice `first`; run it in a guarded child process."""
    return _measurement(Path(first).parent, ct_tiff.slices, wanted or Wanted())


def _measurement(path: Path, reader: Reader, wanted: Wanted) -> Measurement | Spooled:
    folder = None if wanted.folder is None else Path(wanted.folder)
    try:
        source = reader(path, wanted.part)
        if wanted.labels is not None:
            source = replace(source, label=wanted.labels)
        found = collect(source, path.name, folder)
        sha256 = _sha256(path, source)
    except (UnreadableFileError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes readers raise anything
        raise _worded(path.name, error) from error
    calibration, step = Calibration.UNKNOWN, source.step_um
    warnings = list(found.warnings)
    if wanted.voxel_size_um is not None:
        calibration, step = Calibration.KNOWN, wanted.voxel_size_um
        warnings.append("voxel size given by hand")
    elif step is not None and not all(_STEP_UM[0] < s < _STEP_UM[1] for s in step):
        warnings.append(f"a voxel of {step[2]:g} um is impossible: not used")
        step = None
    elif step is not None:
        calibration = Calibration.ASSUMED if source.assumed else Calibration.KNOWN
    unit = "px" if step is None else "um"
    axes = tuple(
        Axis(name, unit, np.arange(n) * s)
        for name, n, s in zip("zyx", source.shape, step or (1.0, 1.0, 1.0), strict=True)
    )
    measurement = Measurement(
        Modality.CT,
        np.empty(0) if found.values is None else found.values,
        axes,
        "label" if found.label else "arbitrary",
        calibration,
        Provenance(str(path), sha256, source.reader, source.metadata, tuple(warnings)),
    )
    return Spooled(measurement) if found.values is None else measurement


def _sha256(path: Path, source: Source) -> str:
    """Of a file; of a folder, of the hashes of its slices in their order."""
    if path.is_file():
        return sha256_of(path)
    whole = hashlib.sha256()
    for listed in ct_tiff.series_of(path).values():
        if listed[0][1].name == source.metadata["first"]:
            for _, file in listed:
                whole.update(sha256_of(file).encode())
    return whole.hexdigest()


def _worded(name: str, error: Exception) -> UnreadableFileError:
    cause = " ".join(str(error).split())[:200] or type(error).__name__
    if "imagecodecs" in cause:
        return UnreadableFileError(
            f"{name}: its compression needs the package imagecodecs; install imagecodecs, or "
            "save the file without compression"
        )
    return UnreadableFileError(
        f"{name}: damaged or incomplete ({type(error).__name__}: {cause}); {EXPORT_AGAIN}"
    )
