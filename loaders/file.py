"""One file, or one folder that is one measurement -> Measurement, in a guarded child process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from xtalfuse.loaders import registry
from xtalfuse.loaders.reader import ReadOptions, split_part
from xtalfuse.loaders.record import Measurement, UnreadableFileError
from xtalfuse.loaders.safe.guard import Limits, check_file, guarded
from xtalfuse.loaders.safe.spool import temporary_spool
from xtalfuse.physics.given import as_path

# Hashing on a slow disk, and parsing of text: more time for larger files.
_SECONDS_PER_BYTE = {"file": 1e-7, "folder": 1e-6}


def load(
    path: str | Path,
    options: ReadOptions | None = None,
    *,
    limits: Limits | None = None,
    **stated: Any,
) -> Measurement:
    """The measurement in one instrument file, read in a guarded child process.

    Parameters
    ----------
    path : file of an X-ray diffractometer or an electron microscope, an orientation map, a
        table of numbers, a volume, or a folder of TIFF slices or of orientation maps of serial
        sections; one of several volumes is chosen behind a ``#``
    options : what is known of it by hand; each of them wins over what the file says
    limits : time and memory that reading may take
    stated : single options by name, as `loaders.reader.ReadOptions` explains them:
        ``wavelength="CuKa"``, ``modality="diffraction"``, ``camera_length_mm``,
        ``voxel_size_um``, ``section_step_um``, ``labels``, ``scan``, ``beam_energy_kev``,
        ``scale``, ``unit``, ``offset``

    Returns
    -------
    Values larger than memory allows are a read-only memory map.

    Raises
    ------
    UnreadableFileError
        If the file cannot be read or trusted; the message names file, cause and remedy.
    ValueError
        If one of the options cannot be; TypeError if there is no such option.

    Examples
    --------
    >>> from xtalfuse import load
    >>> pattern = load("pattern.xy", wavelength="CuKa")
    >>> pattern.axis("two_theta")[:3]
    array([15.  , 15.03, 15.06])
    """
    place, part = split_part(as_path(path, "load"))
    if part is not None:
        stated["part"] = part
    return load_with(place, replace(options or ReadOptions(), **stated), limits)


def load_with(place: Path, options: ReadOptions, limits: Limits | None = None) -> Measurement:
    """The measurement in a file or folder; what is said by hand stands in `options`."""
    limits = limits or Limits()
    place = place.absolute()
    read: Callable[..., Any] = registry.read
    files: tuple[Path, ...] = (place,)
    args: tuple[str, ...] = ()
    if place.is_dir():
        found = registry.folder_reader(place)
        if found is None:
            raise UnreadableFileError(
                f"{place.name}: neither a file nor a folder of TIFF slices or of maps of serial "
                "sections; give the file"
            )
        # the first file stands for the folder where a file is asked for
        read, args, files = registry.read_folder, (found[0],), found[1]
    size = sum(check_file(file).stat().st_size for file in files)
    seconds = limits.seconds + size * _SECONDS_PER_BYTE["folder" if args else "file"]
    with temporary_spool() as spool:
        options = replace(options, spool=spool, largest_gb=limits.largest_gb)
        result = guarded(
            read, files[0], *args, options, seconds=seconds, memory_gb=limits.memory_for(size)
        )
        return spool.collect(result)
