"""From a map or a volume to its microstructure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xtalfuse.encoders.grains.map import MINIMUM_POINTS, THRESHOLD_DEG
from xtalfuse.loaders.record import Measurement, Modality
from xtalfuse.physics.given import check_given
from xtalfuse.tasks.structure.map import analyse_map
from xtalfuse.tasks.structure.result import Microstructure
from xtalfuse.tasks.structure.volume import analyse_volume


def analyse(
    measurement: Measurement,
    phases: Sequence[str] | Mapping[str, str] = (),
    *,
    threshold_deg: float = THRESHOLD_DEG,
    minimum_points: int = MINIMUM_POINTS,
    smooth: int = 0,
    twins: bool = False,
    periodic: bool = False,
    fast: bool = False,
    specimen: str | np.ndarray = "found",
) -> Microstructure:
    """Grains and properties of an orientation map or a volume.

    Parameters
    ----------
    measurement : of modality EBSD or CT, as :func:`xtalfuse.load` gives it
    phases : which material each phase is: names in the order of the phases (of a volume, from
        the darkest), or by the name of a phase; ``"pore"`` is empty space
    threshold_deg, minimum_points, smooth, twins : of a map, as for
        :func:`xtalfuse.encoders.grains.map.segment`
    periodic, fast, specimen : of a volume, as for
        :func:`xtalfuse.tasks.structure.volume.analyse_volume`

    Raises
    ------
    ValueError
        If the measurement is neither map nor volume, nothing is found in it, or a material is
        not known. TypeError if it is no measurement.
    """
    check_given(measurement, Measurement, "analyse", "from xtalfuse.load(path)")
    if measurement.modality is Modality.EBSD:
        return analyse_map(
            measurement,
            phases,
            threshold_deg=threshold_deg,
            minimum_points=minimum_points,
            smooth=smooth,
            twins=twins,
        )
    if measurement.modality is Modality.CT:
        return analyse_volume(measurement, phases, periodic=periodic, fast=fast, specimen=specimen)
    raise ValueError(
        f"{measurement.provenance.path}: {_what(measurement)} shows no grains; give "
        "an orientation map (EBSD) or a volume (CT)"
    )


def _what(measurement: Measurement) -> str:
    """What a record is, and what else can be done with it."""
    if (
        measurement.modality in (Modality.IMAGE, Modality.DIFFRACTION)
        and measurement.values.ndim == 2
    ):
        kind = "picture" if measurement.modality is Modality.IMAGE else "picture, of diffraction,"
        return f"a single {kind} (a volume has 8 slices or more; identify reads it)"
    return f"a {measurement.modality} record (identify reads it)"
