"""Orientation maps (EBSD): file -> Measurement, whatever instrument or program wrote it.

Orientations are relative to the specimen axes of the file (its Euler angles), positions to the
axes of its map: x along rows, y along columns, as the file counts them. How the two lie to each
other depends on the maker and on settings of the acquisition, and most files do not tell it:
nothing is turned here, and what a file says of it is kept in the metadata. Scalars of the map
do not depend on it; an IPF map of a direction in the plane does (Britton et al. 2016, Materials
Characterization 117, 113).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.ebsd import ang as ebsd_ang
from xtalfuse.loaders.ebsd import crc as ebsd_crc
from xtalfuse.loaders.ebsd import ctf as ebsd_ctf
from xtalfuse.loaders.ebsd import osc as ebsd_osc
from xtalfuse.loaders.ebsd.hdf5 import fields as ebsd_h5
from xtalfuse.loaders.ebsd.map import RawMap, crystal_map
from xtalfuse.loaders.ebsd.symmetry import CrystalFrame
from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance, UnreadableFileError
from xtalfuse.loaders.safe.checks import check_crystal_map, sha256_of

# Modules with `sniff(path, head)` and `read(path) -> RawMap`; the first that knows a file reads it.
_FAMILIES = (ebsd_crc, ebsd_ctf, ebsd_osc, ebsd_ang, ebsd_h5)
_HEAD_BYTES = 8192
_OLE = b"\xd0\xcf\x11\xe0"  # of the projects of EDAX's OIM Analysis
_FRAMES = "orientations as the file has them; specimen axes against map axes are not reconciled"


def sniff(path: Path, head: bytes) -> bool:
    """Whether a file that begins with `head` (8 kB) is an orientation map."""
    return _is_project(path, head) or any(f.sniff(Path(path), head) for f in _FAMILIES)


def companions(path: Path) -> tuple[Path, ...]:
    """Files beside `path` that are read together with it (``.cpr`` of a ``.crc``)."""
    return ebsd_crc.companions(Path(path))


def read(path: str | Path) -> Measurement:
    """The orientation map in a file.

    Parameters
    ----------
    path : ``.ang``, ``.ctf``, ``.crc`` or ``.cpr``, ``.osc``, or HDF5 of Oxford Instruments,
        EDAX, Bruker, EMsoft or orix; recognised by content where the content tells

    Returns
    -------
    Measurement: its `crystal_map` has the points; `values` is the orientation (n, 4).

    Raises
    ------
    UnreadableFileError
        If the file is damaged, cut, of unknown symmetry, or holds no map on a grid.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if _is_project(path, head):
        raise UnreadableFileError(
            f"{path.name}: a project of OIM Analysis, whose layout is not published; export its "
            "map as .ang"
        )
    family = next((f for f in _FAMILIES if f.sniff(path, head)), None)
    if family is None:
        raise UnreadableFileError(f"{path.name}: no known orientation map; export it as .ang")
    return _measurement(path, family.read(path))


def _is_project(path: Path, head: bytes) -> bool:
    return path.suffix.lower() == ".oim" and head.startswith(_OLE)


def _measurement(path: Path, raw: RawMap) -> Measurement:
    found, warnings = crystal_map(raw)
    warnings += check_crystal_map(found, name=path.name)
    metadata: dict[str, Any] = {
        **raw.metadata,
        "crystal_frame": _crystal_frame(raw.frame),
        "specimen_frame": _FRAMES,
    }
    return Measurement(
        modality=Modality.EBSD,
        values=found.orientation,
        axes=(
            Axis("point", "", np.arange(len(found.orientation), dtype=float)),
            Axis("component", "", np.arange(4, dtype=float)),
        ),
        value_unit="unit quaternion",
        calibration=raw.calibration,
        provenance=Provenance(str(path), sha256_of(path), raw.reader, metadata, warnings),
        crystal_map=found,
    )


def _crystal_frame(frame: CrystalFrame) -> str:
    if frame is CrystalFrame.OXFORD:
        return f"{CrystalFrame.OWN} (that of the file: {frame})"
    return str(frame)
