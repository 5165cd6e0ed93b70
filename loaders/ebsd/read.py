"""Orientation maps (EBSD): what a file states -> Measurement, whatever program wrote it.

Orientations are relative to the specimen axes of the file (its Euler angles), positions to the
axes of its map: x along rows, y along columns, as the file counts them. How the two lie to each
other depends on the maker and on settings of the acquisition, and most files do not tell it:
nothing is turned here, and what a file says of it is kept in the metadata. Scalars of the map
do not depend on it; an IPF map of a direction in the plane does (Britton et al. 2016, Materials
Characterization 117, 113).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.ebsd.map import RawMap, crystal_map
from xtalfuse.loaders.ebsd.symmetry import CrystalFrame
from xtalfuse.loaders.reader import Certainty, Reader, ReadOptions
from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance
from xtalfuse.loaders.safe.checks import check_crystal_map
from xtalfuse.loaders.safe.head import FileHead, sha256_of

_FRAMES = "orientations as the file has them; specimen axes against map axes are not reconciled"


def map_reader(
    name: str,
    about: str,
    suffixes: tuple[str, ...],
    sniff: Callable[[FileHead], Certainty],
    points: Callable[[Path], RawMap],
    **declared: Any,
) -> Reader:
    """The reader of a format of orientation maps; what all of them share is done here.

    Parameters
    ----------
    name : a word, unique: ``"ang"``
    about : makers or programs that write it
    suffixes : usual suffixes
    sniff : how sure it is that a file is of this format
    points : what a file says of each point
    declared : further fields of `Reader`
    """

    def read(path: Path, options: ReadOptions) -> Measurement:
        raw = replace(points(path), name=path.name)
        return measured(path, raw, f"xtalfuse/{name}")

    return Reader(name, about, (Modality.EBSD,), read, suffixes, sniff, **declared)


def measured(path: Path, raw: RawMap, reader: str) -> Measurement:
    """The orientation map of a file: its `crystal_map` has the points, checked.

    The calibration of the lengths of the map stands at the axis of its points. It stands for the
    surface: the electrons that make the patterns leave its uppermost tens of nanometres.

    Raises
    ------
    UnreadableFileError
        If the map is damaged, cut, of unknown symmetry, or on no grid.
    """
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
            Axis("point", "", np.arange(len(found.orientation), dtype=float), raw.calibration),
            Axis("component", "", np.arange(4, dtype=float)),
        ),
        value_unit="unit quaternion",
        provenance=Provenance(str(path), sha256_of(path), reader, metadata, warnings),
        crystal_map=found,
        sampled="surface",
    )


def _crystal_frame(frame: CrystalFrame) -> str:
    if frame is CrystalFrame.OXFORD:
        return f"{CrystalFrame.OWN} (that of the file: {frame})"
    return str(frame)
