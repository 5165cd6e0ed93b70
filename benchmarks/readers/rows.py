"""One file that was read: what came of it, whatever the instrument."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from xtalfuse.loaders import Measurement, UnreadableFileError, load


@dataclass(frozen=True)
class Row:
    """One file: what came of it."""

    section: str
    file: str
    verdict: str  # "right", "refused", "WRONG", "read"
    points: int | None = None
    first: float | None = None
    last: float | None = None
    wavelength: float | None = None
    reason: str = ""  # of a refusal, or the warnings
    seconds: float = 0.0


def attempt(path: Path, wavelength: str | None = None) -> tuple[Measurement | None, str, float]:
    """The measurement or the reason why not, and the time it took."""
    began = time.perf_counter()
    try:
        measurement = load(path, wavelength=wavelength)
        reason = "; ".join(measurement.provenance.warnings)
    except UnreadableFileError as error:
        measurement, reason = None, str(error)
    return measurement, reason, time.perf_counter() - began


def row_of(
    section: str, name: str, verdict: str, found: Measurement | None, reason: str, seconds: float
) -> Row:
    """What came of one file that was read or refused."""
    if found is None:
        return Row(section, name, verdict, reason=reason, seconds=seconds)
    if found.crystal_map is not None:
        return Row(section, name, verdict, len(found.values), reason=reason, seconds=seconds)
    axis = found.axes[-1].values
    wavelength = found.radiation.primary_angstrom if found.radiation else None
    first, last = float(axis[0]), float(axis[-1])
    return Row(section, name, verdict, axis.size, first, last, wavelength, reason, seconds)
