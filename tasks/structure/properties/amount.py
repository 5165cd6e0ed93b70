"""How much there is: phase fractions, porosity, surface."""

from __future__ import annotations

import numpy as np

from xtalfuse.encoders.grains.size import phase_fractions
from xtalfuse.physics.estimate import Estimate, known_spread
from xtalfuse.tasks.structure.properties.base import ALL, VOLUMES, PropertyRule, Structure
from xtalfuse.tasks.structure.volume_stiffness import SAMPLED, eighths


def _fractions(structure: Structure) -> list[Estimate]:
    return _of_voxels(structure) if structure.kind == "volume" else _of_grains(structure)


def _of_grains(structure: Structure) -> list[Estimate]:
    flat = structure.kind == "section"
    return [
        Estimate(
            "phase_fraction",
            share.value,
            share.su,
            "",
            "share of the area of grains" if flat else "share of the volume of grains",
            ("area fraction is volume fraction (Delesse 1847)",) if flat else (),
            "points without a grain are left out",
            phase=name,
        )
        for name, share in phase_fractions(structure.map).items()
    ]


def _of_voxels(structure: Structure) -> list[Estimate]:
    volume = structure.volume
    count = len(volume.phases)
    shares = np.array(
        [np.bincount(part.ravel(), minlength=count) / part.size for part in eighths(volume.core)]
    )
    spread = shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
    method = "share of the voxels" if volume.inside is None else "share of the specimen"
    return [
        Estimate(
            "phase_fraction", float(share), known_spread(share, su), "", method, (), SAMPLED,
            phase=phase.name,
        )
        for phase, share, su in zip(volume.phases, volume.fractions, spread, strict=True)
    ]  # fmt: skip


def _open_porosity(structure: Structure) -> list[Estimate]:
    if not structure.volume.pore_phases:
        return []
    pores = structure.volume.porosity()
    reach = [axis for axis, through in zip("zyx", pores.percolates, strict=True) if through]
    told = f"pores reach through along {', '.join(reach)}" if reach else "no pore reaches through"
    method = "pores that reach the outside"
    return [Estimate("open_porosity", pores.open, None, "", method, (), told)]


def _surface(structure: Structure) -> list[Estimate]:
    volume = structure.volume
    return [
        Estimate(
            "specific_surface",
            volume.specific_surface(number),
            None,
            "1/um" if volume.calibrated else "1/voxel",
            "Crofton's formula over 13 directions, per volume of the whole",
            (),
            "details below two voxels are not seen",
            phase=phase.name,
        )
        for number, phase in enumerate(volume.phases)
    ]


RULES = (
    PropertyRule("phase_fraction", {"phase_fraction": "Phase fraction"}, ALL, _fractions),
    PropertyRule("open_porosity", {"open_porosity": "Open porosity"}, VOLUMES, _open_porosity),
    PropertyRule("specific_surface", {"specific_surface": "Specific surface"}, VOLUMES, _surface),
)
