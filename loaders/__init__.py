"""Instrument files -> Measurement, safely.

`load` reads one file, `load_specimen` everything that instruments wrote about one specimen.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xtalfuse.loaders.file import load
from xtalfuse.loaders.record import (
    Measurement,
    Record,
    UnreadableFileError,
)
from xtalfuse.loaders.safe.guard import Limits

__all__ = ["Limits", "Measurement", "Record", "UnreadableFileError", "load", "load_specimen"]


def load_specimen(
    path: str | Path,
    *,
    wavelength: str | float | None = None,
    elements: str | Iterable[str] | None = None,
    scan: int | None = None,
    modality: str | None = None,
) -> Record:
    """Everything that instruments wrote about one specimen; see `specimen.load_specimen`."""
    from xtalfuse.loaders.specimen import load_specimen as read_specimen

    return read_specimen(
        path, wavelength=wavelength, elements=elements, scan=scan, modality=modality
    )
