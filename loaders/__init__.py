"""Instrument files -> Measurement, safely.

`load` reads one file, `load_specimen` everything that instruments wrote about one specimen.
"""

from __future__ import annotations

from pathlib import Path

from xtalfuse.loaders.record import (
    Measurement,
    Record,
    UnreadableFileError,
)
from xtalfuse.loaders.safe.guard import Limits

__all__ = ["Limits", "Measurement", "Record", "UnreadableFileError", "load", "load_specimen"]


def load(
    path: str | Path,
    *,
    wavelength: str | float | None = None,
    voxel_size_um: float | tuple[float, float, float] | None = None,
    section_step_um: float | None = None,
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
    voxel_size_um : voxel of a volume by hand, one number or z, y, x; wins over the file
    section_step_um : distance of serial sections by hand
    limits : time and memory that reading may take

    Raises
    ------
    UnreadableFileError
        If the file cannot be read or trusted; the message names file, cause and remedy.
    ValueError
        If `wavelength` is no radiation, or `voxel_size_um` or `section_step_um` no size.

    Examples
    --------
    >>> from xtalfuse import load
    >>> pattern = load("pattern.xy", wavelength="CuKa")  # doctest: +SKIP
    >>> pattern.axis("two_theta")  # doctest: +SKIP
    """
    from xtalfuse.loaders import registry
    from xtalfuse.loaders.ct import read as ct
    from xtalfuse.loaders.ebsd import stack as ebsd_stack
    from xtalfuse.physics.units import radiation

    if wavelength is not None:
        radiation(wavelength)  # a wrong one is the caller's mistake, not the file's
    if ebsd_stack.series_of(Path(path)):
        return ebsd_stack.load_stack(path, section_step_um=section_step_um, limits=limits)
    place, part = ct.chosen(path)
    wanted = ct.Wanted(part, ct.voxel_size(voxel_size_um))
    return ct.guarded_volume(registry.read, place, wanted, limits or Limits(), wavelength)


def load_specimen(
    path: str | Path,
    *,
    wavelength: str | float | None = None,
    elements: tuple[str, ...] | list[str] | None = None,
) -> Record:
    """Everything that instruments wrote about one specimen; see `specimen.load_specimen`."""
    from xtalfuse.loaders.specimen import load_specimen as read_specimen

    return read_specimen(path, wavelength=wavelength, elements=elements)
