"""Instrument files -> Measurement, safely.

`load` reads one file, `load_specimen` everything that instruments wrote about one specimen.
"""

from __future__ import annotations

from pathlib import Path

from xtalfuse.loaders.guard import Limits, check_file, guarded
from xtalfuse.loaders.record import (
    Measurement,
    Record,
    UnreadableFileError,
)

__all__ = ["Limits", "Measurement", "Record", "UnreadableFileError", "load", "load_specimen"]


def load(
    path: str | Path, *, wavelength: str | float | None = None, limits: Limits | None = None
) -> Measurement:
    """The measurement in one instrument file, read in a guarded child process.

    Parameters
    ----------
    path : file of an X-ray diffractometer or an electron microscope, or a table of numbers
    wavelength : X-ray radiation by hand (``"CuKa"``, ``"CoKa1"``, 1.5406 in angstrom); wins
        over what the file says
    limits : time and memory that reading may take

    Raises
    ------
    UnreadableFileError
        If the file cannot be read or trusted; the message names file, cause and remedy.
    ValueError
        If `wavelength` is no radiation.

    Examples
    --------
    >>> from xtalfuse import load
    >>> pattern = load("pattern.xy", wavelength="CuKa")  # doctest: +SKIP
    >>> pattern.axis("two_theta")  # doctest: +SKIP
    """
    from xtalfuse.loaders import registry
    from xtalfuse.physics.units import radiation

    if wavelength is not None:
        radiation(wavelength)  # a wrong one is the caller's mistake, not the file's
    limits = limits or Limits()
    return guarded(
        registry.read,
        check_file(path),
        wavelength,
        seconds=limits.seconds,
        memory_gb=limits.memory_gb,
    )


def load_specimen(
    path: str | Path,
    *,
    wavelength: str | float | None = None,
    elements: tuple[str, ...] | list[str] | None = None,
) -> Record:
    """Everything that instruments wrote about one specimen; see `specimen.load_specimen`."""
    from xtalfuse.loaders.specimen import load_specimen as read_specimen

    return read_specimen(path, wavelength=wavelength, elements=elements)
