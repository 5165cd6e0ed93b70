"""From a map or a volume to its microstructure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xtalfuse.encoders.grains.map import MINIMUM_POINTS, THRESHOLD_DEG
from xtalfuse.loaders.record import Measurement, Modality
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
) -> Microstructure:
    """Grains and properties of an orientation map or a volume.

    Parameters
    ----------
    measurement : of modality EBSD or CT, as :func:`xtalfuse.load` gives it
    phases : which material each phase is: names in the order of the phases (of a volume, from
        the darkest), or by the name of a phase; ``"pore"`` is empty space
    threshold_deg, minimum_points, smooth, twins : of a map, as for
        :func:`xtalfuse.encoders.grains.map.segment`
    periodic, fast : of a volume, as for :func:`xtalfuse.tasks.structure.volume.analyse_volume`

    Raises
    ------
    ValueError
        If the measurement is neither map nor volume, nothing is found in it, or a material is
        not known.
    """
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
        return analyse_volume(measurement, phases, periodic=periodic, fast=fast)
    raise ValueError(
        f"{measurement.provenance.path}: a {measurement.modality} record shows no grains; give "
        "an orientation map (EBSD) or a volume (CT)"
    )
