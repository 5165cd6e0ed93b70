"""How large grains and bodies are."""

from __future__ import annotations

import numpy as np

from xtalfuse.encoders.grains.size import grain_size
from xtalfuse.physics.estimate import Estimate, known_spread
from xtalfuse.tasks.structure.properties.base import MAPS, VOLUMES, PropertyRule, Structure


def _grain_size(structure: Structure) -> list[Estimate]:
    body = "circle of equal area" if structure.kind == "section" else "sphere of equal volume"
    method = (
        f"diameter of the {body} and ASTM E2627, of grains that the edge does not cut; "
        "intercept along rows and columns"
    )
    found = []
    for number, material in structure.present:
        size = grain_size(structure.map, number)
        told = "; ".join(size.notes)
        for quantity, value, unit in (
            ("grain_diameter", size.diameter, "um"),
            ("lineal_intercept", size.intercept, "um"),
            ("astm_grain_size", size.astm_area, ""),
        ):
            if value is not None:
                name = material.phase.name
                found.append(
                    Estimate(quantity, value.value, value.su, unit, method, (), told, phase=name)
                )
    return found


def _body_diameter(structure: Structure) -> list[Estimate]:
    volume = structure.volume
    found = []
    for number, phase in enumerate(volume.phases):
        diameter = volume.diameters(number)
        if len(diameter) < 2:
            continue
        found.append(
            Estimate(
                "body_diameter",
                float(diameter.mean()),
                known_spread(diameter.mean(), diameter.std(ddof=1) / np.sqrt(len(diameter))),
                "um" if volume.calibrated else "voxel",
                "mean diameter of the sphere of equal volume",
                (),
                f"{len(diameter)} bodies, those cut by the edge too",
                phase=phase.name,
            )
        )
    return found


RULES = (
    PropertyRule(
        "grain_size",
        {
            "grain_diameter": "Mean grain diameter",
            "lineal_intercept": "Mean lineal intercept",
            "astm_grain_size": "ASTM grain size number G",
        },
        MAPS,
        _grain_size,
    ),
    PropertyRule(
        "body_diameter", {"body_diameter": "Mean diameter of bodies"}, VOLUMES, _body_diameter
    ),
)
