"""Volumes of X-ray tomography (CT): grey values or labels on a grid of voxels.

A format is a module of this room: a function that gives a `Source`, and its declaration
`READERS = volume_reader(...)`. Values of a large volume go through the spool.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.ct.source import Source, collect
from xtalfuse.loaders.reader import STEP_UM, Certainty, Reader, ReadOptions, never
from xtalfuse.loaders.record import (
    Axis,
    Calibration,
    Measurement,
    Modality,
    Provenance,
    UnreadableFileError,
)
from xtalfuse.loaders.safe.head import FileHead, damaged, sha256_of, sha256_of_all
from xtalfuse.loaders.safe.spool import Spooled


def volume_reader(
    name: str,
    about: str,
    suffixes: tuple[str, ...],
    source: Callable[[Path, str | None], Source],
    sniff: Callable[[FileHead], Certainty] = never,
    **declared: Any,
) -> Reader:
    """The reader of a format of volumes; what all of them share is done here.

    Parameters
    ----------
    name : a word, unique: ``"tiff-stack"``
    about : program, or kind of file
    suffixes : usual suffixes
    source : the volume in a file (or folder), or the part of it that is named, not yet read
    sniff : how sure it is that a file is a volume of this format
    declared : further fields of `Reader`
    """

    def read(path: Path, options: ReadOptions) -> Measurement | Spooled:
        return measured(path, source, options)

    return Reader(name, about, (Modality.CT,), read, suffixes, sniff, **declared)


def measured(
    path: Path, reader: Callable[[Path, str | None], Source], options: ReadOptions
) -> Measurement | Spooled:
    """The volume in a file or folder.

    Returns
    -------
    Measurement of modality CT: values (z, y, x) of the number type of the file, with axes
    ``z``, ``y``, ``x`` in um, or in px where the voxel size is not known; ``value_unit`` is
    ``"label"`` or ``"arbitrary"``. It stands for the bulk: X-rays go through all of it.

    Raises
    ------
    UnreadableFileError
        If the file holds no volume, or one that cannot be trusted.
    """
    try:
        source = reader(path, options.part)
        if options.labels is not None:
            source = replace(source, label=options.labels)
        found = collect(source, path.name, options.spool)
        sha256 = sha256_of_all(source.files) if source.files else sha256_of(path)
    except (UnreadableFileError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes readers raise anything
        raise damaged(path.name, error) from error
    calibration, step = Calibration.UNKNOWN, source.step_um
    warnings = list(found.warnings)
    if options.voxel_size_um is not None:
        calibration, step = Calibration.KNOWN, options.voxel_size_um
        warnings.append("voxel size given by hand")
    elif step is not None and not all(STEP_UM[0] < s < STEP_UM[1] for s in step):
        warnings.append(f"a voxel of {step[2]:g} um is impossible: not used")
        step = None
    elif step is not None:
        calibration = Calibration.ASSUMED if source.assumed else Calibration.KNOWN
    unit = "px" if step is None else "um"
    axes = tuple(
        Axis(name, unit, np.arange(n) * s, calibration)
        for name, n, s in zip("zyx", source.shape, step or (1.0, 1.0, 1.0), strict=True)
    )
    measurement = Measurement(
        Modality.CT,
        np.empty(0) if found.values is None else found.values,
        axes,
        "label" if found.label else "arbitrary",
        Provenance(str(path), sha256, source.reader, source.metadata, tuple(warnings)),
        sampled="bulk",
    )
    return Spooled(measurement) if found.values is None else measurement
