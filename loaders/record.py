"""The types that leave this room: one Measurement per file, one Record per specimen."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from xtalfuse.physics.grains.crystal_map import CrystalMap
from xtalfuse.physics.units import Radiation


class Modality(StrEnum):
    """What kind of record a file holds."""

    XRD = "xrd"  # powder pattern, intensity against two_theta
    EELS = "eels"  # electron energy loss (core or low loss), intensity against energy
    EDS = "eds"  # X-ray emission, counts against energy
    DIFFRACTION = "diffraction"  # 2-D electron diffraction (rings or spots)
    IMAGE = "image"  # real-space image
    EBSD = "ebsd"  # map of crystal orientations
    CT = "ct"  # volume of grey values or labels
    OTHER = "other"  # readable, but nothing in this package uses it yet


class Calibration(StrEnum):
    """Where an axis scale comes from. An assumption is never silent."""

    KNOWN = "known"
    ASSUMED = "assumed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Axis:
    """One axis of a Measurement: ``values`` has the length of that array dimension."""

    name: str  # "two_theta", "energy", "x", "y", "kx", "ky", "navigation"
    unit: str  # "deg", "eV", "nm", "1/angstrom", "px", ""
    values: np.ndarray


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from: enough to find and to distrust them."""

    path: str
    sha256: str
    reader: str  # e.g. "rietx", "hyperspy/digitalmicrograph"
    metadata: dict[str, Any] = field(default_factory=dict)  # plain JSON values only
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """One array with named axes, as one instrument recorded it.

    Parameters
    ----------
    modality : what kind of record it is
    values : array; for XRD (n,) intensities in ``value_unit``; for EBSD (n, 4) orientations
    axes : one Axis per array dimension, in order
    value_unit : ``"counts"``, ``"counts/s"`` or ``"arbitrary"``
    calibration : of the scattering, energy or length axis
    provenance : file, hash, reader, instrument metadata, warnings
    radiation : X-rays used (XRD only)
    sigma : standard uncertainty of each value where the file gives one
    crystal_map : points, phases and orientations (EBSD only; `values` is its orientation)
    """

    modality: Modality
    values: np.ndarray
    axes: tuple[Axis, ...]
    value_unit: str
    calibration: Calibration
    provenance: Provenance
    radiation: Radiation | None = None
    sigma: np.ndarray | None = None
    crystal_map: CrystalMap | None = None

    def axis(self, name: str) -> np.ndarray:
        """Values of the axis called `name`.

        Raises
        ------
        KeyError
            If there is no such axis; the message lists those there are.
        """
        for candidate in self.axes:
            if candidate.name == name:
                return candidate.values
        raise KeyError(f"no axis {name!r}; this measurement has {[a.name for a in self.axes]}")


@dataclass(frozen=True)
class FileReport:
    """What became of one file of a specimen."""

    path: str
    sha256: str | None
    modality: str | None
    reader: str | None
    used: bool
    reason: str  # why it was not used; "" when it was


@dataclass(frozen=True)
class Record:
    """One specimen: everything that instruments wrote about it.

    An absent modality is absent from `measurements`; it is never a placeholder.
    """

    specimen: str
    group: str  # specimens of one group are never split between training and test
    measurements: tuple[Measurement, ...]
    files: tuple[FileReport, ...] = ()
    elements: tuple[str, ...] | None = None  # known by hand or from specimen.yaml
    targets: dict[str, Any] = field(default_factory=dict)
    notes: str = ""

    def of(self, *modalities: Modality) -> tuple[Measurement, ...]:
        """The measurements of these modalities, in file order."""
        return tuple(m for m in self.measurements if m.modality in modalities)


class UnreadableFileError(Exception):
    """A file that cannot be trusted: the message names file, cause and remedy."""
