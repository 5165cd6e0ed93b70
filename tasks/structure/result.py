"""What a map or a volume shows of a material: grains, their graph, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.encoders.grains.map import Segmentation
from xtalfuse.encoders.volume.segment import VolumeSegmentation
from xtalfuse.loaders.record import FileReport, Measurement
from xtalfuse.physics.grains.graph import GrainGraph
from xtalfuse.tasks.base import package_version
from xtalfuse.tasks.structure.materials import Material
from xtalfuse.tasks.structure.properties import Property, StiffnessEstimate


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
    grain_columns, boundary_columns : more of each grain (n,) and boundary (m,), by column name
    stress : (p,) stress along x at each point of a map under tension along x, relative to its
        mean; None where it was not solved for
    seconds : spent on each step
    """

    measurement: Measurement
    source: Segmentation | VolumeSegmentation
    graph: GrainGraph
    materials: tuple[Material, ...]
    properties: tuple[Property, ...]
    stiffness: StiffnessEstimate | None
    warnings: tuple[str, ...]
    grain_columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    boundary_columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    stress: np.ndarray | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def specimen(self) -> str:
        """Name of the file or folder, with which of its volumes it is."""
        source = self.measurement.provenance
        part = source.metadata.get("volume")
        return Path(source.path).name + ("" if part is None else f"#{part}")

    @property
    def file(self) -> FileReport:
        """Where the measurement came from."""
        source = self.measurement.provenance
        modality = str(self.measurement.modality)
        return FileReport(source.path, source.sha256, modality, source.reader, True, "")

    def property_named(self, name: str) -> Property | None:
        """The property of this name, if there is one."""
        return next((found for found in self.properties if found.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``properties.json``."""
        graph = self.graph
        return {
            "specimen": self.specimen,
            "file": vars(self.file),
            "grains": len(graph),
            "boundaries": graph.edges.shape[1],
            "dimension": graph.dimension,
            "phases": [
                {
                    "name": material.phase.name,
                    "laue": material.phase.laue,
                    "material": None if material.elastic is None else material.elastic.id,
                    "found_by": material.found_by,
                }
                for material in self.materials
            ],
            "properties": {p.name: _without_name(p) for p in self.properties},
            "warnings": list(self.warnings),
            "seconds": dict(self.seconds),
            "version": package_version(),
        }


def _without_name(item: Property) -> dict[str, Any]:
    content = item.to_dict()
    del content["name"]
    return content
