"""Orientation maps and tomograms of made microstructures, as records with the truth as labels."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from xtalfuse.datasets.manifest.table import Target
from xtalfuse.datasets.sets.base import Recipe, SetOptions
from xtalfuse.datasets.sets.instruments import NOWHERE, Amounts, Measured, Range, log_uniform
from xtalfuse.loaders.record import Axis, Measurement, Modality, Record

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class MapOptions(SetOptions):
    """Of orientation maps."""

    side: int = Field(64, ge=16, le=512, description="points")
    grains: Amounts = (60.0, 300.0)
    noise_deg: Range = (0.1, 0.6)


class VolumeOptions(SetOptions):
    """Of tomograms of porous bodies."""

    side: int = Field(48, ge=16, le=512, description="voxels")
    porosity: tuple[Share, Share] = (0.2, 0.6)
    noise: Range = (0.1, 0.6)
    blur: Range = (0.4, 1.2)


class Maps(Measured):
    """Orientation maps of cubic and hexagonal metals, with or without a fibre."""

    name, about, options = "map", "orientation maps", MapOptions

    def simulate(self, recipe: Recipe, index: int) -> Record:
        """One map, labelled with the mean diameter of the grains of the volume beneath."""
        from xtalfuse.datasets.simulate.map import MapSpec, simulate_map
        from xtalfuse.datasets.simulate.polycrystal import PhaseSpec, PolycrystalSpec
        from xtalfuse.datasets.simulate.texture import Fibre, RandomTexture, Texture
        from xtalfuse.physics.grains.crystal_map import MapPhase

        rng, v = self.draw(recipe, index), recipe.values
        laue = str(rng.choice(["m-3m", "6/mmm"]))
        fibre, width = rng.random() < 0.5, float(rng.uniform(8.0, 25.0))
        direction = (0.0, 0.0, 1.0) if laue == "6/mmm" else (1.0, 1.0, 1.0)
        texture: Texture = Fibre(direction, half_width_deg=width) if fibre else RandomTexture()
        phase = PhaseSpec(MapPhase("metal", laue), 1.0, texture)
        body = PolycrystalSpec(
            (v["side"],) * 2 + (12,), round(log_uniform(rng, v["grains"])), phases=(phase,)
        )
        spec = MapSpec(body, step_um=1.0, noise_deg=float(rng.uniform(*v["noise_deg"])))
        seen = simulate_map(int(rng.integers(2**31)), index, spec)
        found = seen.crystal_map
        points, parts = len(found.orientation), np.arange(4.0)
        axes = (Axis("point", "", np.arange(float(points))), Axis("component", "", parts))
        measurement = Measurement(
            Modality.EBSD, found.orientation, axes, "unit quaternion", NOWHERE, crystal_map=found,
            sampled="surface",
        )  # fmt: skip
        size = float(seen.polycrystal.diameter_um.mean())
        group = f"{self.name}-{index}"
        return self.record([measurement], group, targets={"grain_size": Target(size, "um")})


class Volumes(Measured):
    """Tomograms of foams of one wavelength, blurred and noisy."""

    name, about, options = "volume", "tomograms of porous bodies", VolumeOptions

    def simulate(self, recipe: Recipe, index: int) -> Record:
        """One scan, labelled with the porosity of the body."""
        from xtalfuse.datasets.simulate.ct import ScanSpec, as_measurement, foam, scan

        rng, v = self.draw(recipe, index), recipe.values
        side, seed = v["side"], int(rng.integers(2**31))
        solid = foam(seed, index, (side,) * 3, 1.0 - rng.uniform(*v["porosity"]), side / 4.0)
        blur, noise = (float(rng.uniform(*v[name])) for name in ("blur", "noise"))
        spec = ScanSpec(blur=blur, noise=noise, periodic=True)
        measurement = as_measurement(scan(solid.astype(int), spec, seed, index))
        porosity = Target(float(1.0 - solid.mean()))
        return self.record([measurement], f"{self.name}-{index}", targets={"porosity": porosity})


MAP, VOLUME = Maps(), Volumes()
