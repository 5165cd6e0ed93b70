"""What a map or a volume shows of a material: grains, their graph, and what follows from them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from xtalfuse.encoders.grains.map import Segmentation
from xtalfuse.encoders.volume.segment import VolumeSegmentation
from xtalfuse.loaders.record import FileReport, Measurement, Provenance
from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.grains.graph import GrainGraph
from xtalfuse.tasks.base import Result, package_version
from xtalfuse.tasks.structure.materials import Material
from xtalfuse.tasks.structure.properties import properties_of
from xtalfuse.tasks.structure.properties.base import Structure

Numbers: TypeAlias = float | list[list[float]]

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class PhaseEntry:
    """A phase, and which material it was taken for."""

    name: str
    laue: str | None
    material: str | None  # id of its elastic constants
    found_by: str


@dataclass(frozen=True)
class PropertyEntry:
    """One property: a number or the rows of a matrix, with its standard uncertainty."""

    value: Numbers | None
    uncertainty: Numbers | None
    unit: str
    method: str
    assumptions: tuple[str, ...]
    validity: str


@dataclass(frozen=True, kw_only=True)
class PropertiesFile(Result):
    """The content of ``properties.json``."""

    file: FileReport
    grains: int
    boundaries: int
    dimension: int
    phases: tuple[PhaseEntry, ...]
    properties: Mapping[str, PropertyEntry]


@dataclass(frozen=True, kw_only=True)
class Microstructure(Result):
    """What a map or volume shows, and what follows from it.

    Parameters
    ----------
    measurement : that was analysed
    source : its segmentation
    graph : grains (or particles and pores) and the boundaries between them
    materials : of each phase of `graph`
    properties : of the material, as far as the phases are known
    stiffness : behind the elastic properties; None where a phase has no elastic constants
    grain_columns, boundary_columns : more of each grain (n,) and boundary (m,), by column name
    stress_field : (p,) stress along x at each point of a map under tension along x, relative to
        its mean; None where it was not solved for
    """

    measurement: Measurement
    source: Segmentation | VolumeSegmentation
    graph: GrainGraph
    materials: tuple[Material, ...]
    properties: tuple[Estimate, ...]
    stiffness: Estimate | None
    grain_columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    boundary_columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    stress_field: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        measurement: Measurement,
        structure: Structure,
        *,
        warnings: Sequence[str],
        times: tuple[float, float],
        **beside: Any,
    ) -> Microstructure:
        """The result of an analysis: computes the properties of a structure.

        Parameters
        ----------
        measurement : that was analysed
        structure : found in it
        warnings : beside those of the file
        times : when the analysis and when the work on properties began, s
        beside : columns and fields
        """
        properties = properties_of(structure)
        started, segmented = times
        source = measurement.provenance
        return cls(
            specimen=_specimen(source),
            files=(_file(measurement),),
            warnings=(*source.warnings, *warnings),
            seconds={
                "segmentation": segmented - started,
                "properties": time.perf_counter() - segmented,
            },
            version=package_version(),
            measurement=measurement,
            source=structure.source,
            graph=structure.graph,
            materials=structure.materials,
            properties=properties,
            stiffness=structure.stiffness,
            **beside,
        )

    def property_named(self, name: str) -> Estimate | None:
        """The property of this name in ``properties.json``, if there is one."""
        return next((found for found in self.properties if found.name == name), None)

    def __repr__(self) -> str:
        graph = self.graph
        names = ", ".join(phase.name for phase in graph.phases)
        lines = [
            f"Microstructure of {self.specimen!r}: {len(graph)} grains or bodies, "
            f"{graph.edges.shape[1]} boundaries ({names})"
        ]
        for item in self.properties:
            if isinstance(item.value, (int, float)):
                su = "" if item.uncertainty is None else f" ± {item.uncertainty:.2g}"
                lines.append(f"{item.name} {item.value:.4g}{su} {item.unit}".rstrip())
        return "\n  ".join(lines)

    def to_pandas(
        self, table: Literal["grains", "boundaries", "properties"] = "properties"
    ) -> DataFrame:
        """A table of pandas: the grains, the boundaries between them, or the properties."""
        import pandas as pd

        from xtalfuse.datasets.sets.graphs import boundary_table, grain_table

        if table == "grains":
            return grain_table(self.graph, self.grain_columns)
        if table == "boundaries":
            return boundary_table(self.graph, self.boundary_columns)
        if table == "properties":
            rows = [{"name": item.name, **vars(_entry(item))} for item in self.properties]
            return pd.DataFrame(rows)
        raise ValueError(f"no table {table!r}; there are grains, boundaries and properties")

    def to_dict(self) -> dict[str, Any]:
        """The content of ``properties.json``."""
        return PropertiesFile(
            specimen=self.specimen,
            files=self.files,
            warnings=self.warnings,
            seconds=self.seconds,
            version=self.version,
            run=self.run,
            file=self.files[0],
            grains=len(self.graph),
            boundaries=self.graph.edges.shape[1],
            dimension=self.graph.dimension,
            phases=tuple(_phase(material) for material in self.materials),
            properties={found.name: _entry(found) for found in self.properties},
        ).to_dict()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema (draft 2020-12) of ``properties.json``."""
        return PropertiesFile.schema()


def _specimen(source: Provenance) -> str:
    """Name of the file or folder, with which of its volumes it is."""
    part = source.metadata.get("volume")
    return Path(source.path).name + ("" if part is None else f"#{part}")


def _file(measurement: Measurement) -> FileReport:
    source = measurement.provenance
    modality = str(measurement.modality)
    return FileReport(source.path, source.sha256, modality, source.reader, True, "")


def _phase(found: Material) -> PhaseEntry:
    elastic = None if found.elastic is None else found.elastic.id
    return PhaseEntry(found.phase.name, found.phase.laue, elastic, found.found_by)


def _entry(found: Estimate) -> PropertyEntry:
    return PropertyEntry(
        _numbers(found.value), _numbers(found.uncertainty), found.unit, found.method,
        found.assumptions, found.validity,
    )  # fmt: skip


def _numbers(value: Any) -> Any:
    """A number or None as it is, an array as lists."""
    return value.tolist() if isinstance(value, np.ndarray) else value
