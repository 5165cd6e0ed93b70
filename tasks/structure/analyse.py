"""What a map or a volume shows of a material: grains, their graph, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.loaders.record import Measurement, Modality
from xtalfuse.physics.grains.graph import GrainGraph
from xtalfuse.tasks.structure.materials import Material
from xtalfuse.tasks.structure.properties import Property, StiffnessEstimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Illustration:
    """A figure that is drawn when it is asked for: ``name.png`` and its caption."""

    name: str
    caption: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Microstructure:
    """What a map or volume shows, and what follows from it.

    Parameters
    ----------
    measurement : that was analysed
    source : its segmentation
    graph : grains (or particles and pores) and the boundaries between them
    materials : of each phase of `graph`
    properties : of the material, as far as the phases are known
    stiffness : behind the elastic properties; None where a phase has no elastic constants
    warnings : what a reader must know before using a number
    illustrations : figures of it
    grain_columns, boundary_columns : more of each grain (n,) and boundary (m,), by column name
    seconds : spent on each step
    """

    measurement: Measurement
    source: Any
    graph: GrainGraph
    materials: tuple[Material, ...]
    properties: tuple[Property, ...]
    stiffness: StiffnessEstimate | None
    warnings: tuple[str, ...]
    illustrations: tuple[Illustration, ...]
    grain_columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    boundary_columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def specimen(self) -> str:
        """Name of the file or folder, with which of its volumes it is."""
        source = self.measurement.provenance
        part = source.metadata.get("volume")
        return Path(source.path).name + ("" if part is None else f"#{part}")

    def property_named(self, name: str) -> Property | None:
        """The property of this name, if there is one."""
        return next((found for found in self.properties if found.name == name), None)


def analyse(
    measurement: Measurement,
    phases: Sequence[str] | Mapping[str, str] = (),
    **options: Any,
) -> Microstructure:
    """Grains and properties of an orientation map or a volume.

    Parameters
    ----------
    measurement : of modality EBSD or CT, as :func:`xtalfuse.load` gives it
    phases : which material each phase is: names in the order of the phases (of a volume, from
        the darkest), or by the name of a phase; ``"pore"`` is empty space
    options : of :func:`xtalfuse.tasks.structure.map.analyse_map` or
        :func:`xtalfuse.tasks.structure.volume.analyse_volume`

    Raises
    ------
    ValueError
        If the measurement is neither map nor volume, nothing is found in it, or a material is
        not known.
    """
    if measurement.modality is Modality.EBSD:
        from xtalfuse.tasks.structure.map import analyse_map

        return analyse_map(measurement, phases, **options)
    if measurement.modality is Modality.CT:
        from xtalfuse.tasks.structure.volume import analyse_volume

        return analyse_volume(measurement, phases, **options)
    raise ValueError(
        f"{measurement.provenance.path}: a {measurement.modality} record shows no grains; give "
        "an orientation map (EBSD) or a volume (CT)"
    )
