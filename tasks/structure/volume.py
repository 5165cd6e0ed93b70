"""Phases, pores and particles of a volume, and the properties that follow from them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from xtalfuse.encoders.volume.segment import VolumeSegmentation, segment_volume
from xtalfuse.loaders.record import Measurement
from xtalfuse.tasks.structure.fast_foam import fast_moduli
from xtalfuse.tasks.structure.materials import PORE, distinct, materials_of
from xtalfuse.tasks.structure.properties.base import Structure
from xtalfuse.tasks.structure.result import Microstructure
from xtalfuse.tasks.structure.volume_stiffness import volume_stiffness


def analyse_volume(
    measurement: Measurement,
    phases: Sequence[str] | Mapping[str, str] = (),
    *,
    periodic: bool = False,
    fast: bool = False,
    specimen: str | np.ndarray = "found",
) -> Microstructure:
    """Phases, bodies and properties of a CT volume.

    Parameters
    ----------
    measurement : of modality CT
    phases : materials from the darkest phase to the brightest, which also says how many there
        are; or by name of a phase (``"phase 1"``); ``"pore"`` is empty space. If nothing is
        given, the histogram tells how many there are and the darkest of several is empty
    periodic : whether opposite faces meet
    fast : whether the surrogate for porous metals tells the longitudinal moduli, in place of the
        FFT and all moduli; where it does not hold, the FFT is used
    specimen : as for :func:`xtalfuse.encoders.volume.segment.segment_volume`

    Raises
    ------
    ValueError
        If it is no volume, or a material is not known.
    """
    started = time.perf_counter()
    if isinstance(phases, Mapping):
        segmentation = segment_volume(measurement, periodic=periodic, specimen=specimen)
    else:
        segmentation = segment_volume(
            measurement,
            phases=len(phases) or None,
            names=distinct(phases) or None,
            pores=not phases or phases[0].lower() == PORE,
            periodic=periodic,
            specimen=specimen,
        )
    materials = materials_of(segmentation.phases, phases)
    segmentation = replace(segmentation, phases=tuple(found.phase for found in materials))
    graph = segmentation.graph()
    segmented = time.perf_counter()
    found = fast_moduli(segmentation, materials) if fast else ""
    if isinstance(found, str):
        stiffness, missing = volume_stiffness(segmentation, materials)
        structure = Structure(segmentation, graph, materials, stiffness)
        missing = [*([f"--fast: the FFT was used: {found}"] if found else []), *missing]
    else:
        structure, missing = Structure(segmentation, graph, materials, moduli=found), []
    return Microstructure.of(
        measurement,
        structure,
        warnings=(*missing, *_cautions(segmentation)),
        times=(started, segmented),
    )


def _cautions(segmentation: VolumeSegmentation) -> list[str]:
    told = list(segmentation.notes)
    if segmentation.inside is not None:
        beyond = segmentation.outside_field
        beside = 1.0 - float(segmentation.inside.mean()) - beyond
        shares = ((beside, "air around the specimen"), (beyond, "beyond the field of view"))
        parts = [f"{share:.1%} {what}" for share, what in shares if share > 0.0]
        told.append(
            f"of the volume, {' and '.join(parts)} is outside and counts for nothing; moduli are "
            f"of a box of {' x '.join(map(str, segmentation.core.shape))} voxels inside; "
            "--specimen whole takes all of it"
        )
    if not segmentation.calibrated:
        told.append("voxel size not known: lengths are in voxels; give --voxel-size")
    if len(segmentation.phases) == 1:
        told.append("one phase only: the grey values show no second one")
    return told
