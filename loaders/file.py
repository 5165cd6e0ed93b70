"""One file, or one folder that is one measurement -> Measurement, in a guarded child process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from xtalfuse.loaders import registry
from xtalfuse.loaders.reader import ReadOptions, split_part, stated_modality, voxel_size
from xtalfuse.loaders.record import Measurement, Modality, UnreadableFileError
from xtalfuse.loaders.safe.guard import Limits, check_file, guarded
from xtalfuse.loaders.safe.spool import temporary_spool
from xtalfuse.physics.given import as_path

# Hashing on a slow disk, and parsing of text: more time for larger files.
_SECONDS_PER_BYTE = {"file": 1e-7, "folder": 1e-6}


def load(
    path: str | Path,
    *,
    wavelength: str | float | None = None,
    camera_length_mm: float | None = None,
    voxel_size_um: float | tuple[float, float, float] | None = None,
    section_step_um: float | None = None,
    labels: bool | None = None,
    scan: int | None = None,
    modality: Modality | str | None = None,
    beam_energy_kev: float | None = None,
    scale: float | None = None,
    unit: str | None = None,
    offset: float | None = None,
    limits: Limits | None = None,
) -> Measurement:
    """The measurement in one instrument file, read in a guarded child process.

    Parameters
    ----------
    path : file of an X-ray diffractometer or an electron microscope, an orientation map, a
        table of numbers, a volume, or a folder of TIFF slices or of orientation maps of serial
        sections; one of several volumes is chosen behind a ``#``
    wavelength : X-ray radiation by hand (``"CuKa"``, ``"CoKa1"``, 1.5406 in angstrom); wins
        over what the file says
    camera_length_mm : camera length of a diffraction pattern by hand
    voxel_size_um : voxel of a volume by hand, one number or z, y, x; wins over the file
    section_step_um : distance of serial sections by hand
    labels : whether the values of a volume are labels; None to judge by the values
    scan : number of one of several scans of a powder file, from 1 as they stand in it
    modality : what kind of record the file is, ``"diffraction"`` for example; it overrules any
        guess, and a file that can be no such record is refused
    beam_energy_kev : energy of the electrons by hand
    scale, unit, offset : of one pixel of a picture or channel of a spectrum, and the value of the
        first, by hand: ``0.02, "1/nm"``; a scale needs a unit
    limits : time and memory that reading may take

    Returns
    -------
    Values larger than memory allows are a read-only memory map.

    Raises
    ------
    UnreadableFileError
        If the file cannot be read or trusted; the message names file, cause and remedy.
    ValueError
        If `wavelength` is no radiation, or a number, length or size by hand cannot be.

    Examples
    --------
    >>> from xtalfuse import load
    >>> pattern = load("pattern.xy", wavelength="CuKa")
    >>> pattern.axis("two_theta")[:3]
    array([15.  , 15.03, 15.06])
    """
    place, part = split_part(as_path(path, "load"))
    options = ReadOptions(
        wavelength=wavelength,
        camera_length_mm=camera_length_mm,
        voxel_size_um=voxel_size(voxel_size_um),
        section_step_um=section_step_um,
        part=part,
        labels=labels,
        scan=scan,
        modality=None if modality is None else stated_modality(modality),
        beam_energy_kev=beam_energy_kev,
        scale=scale,
        unit=unit,
        offset=offset,
    )
    return load_with(place, options, limits)


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
