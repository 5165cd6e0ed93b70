"""One labelled polycrystal for the mechanics networks: its graph, and stresses from the solver.

Everything is a function of (seed, material, index) alone.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from xtalfuse.datasets.simulate.polycrystal import PhaseSpec, PolycrystalSpec, polycrystal, stream
from xtalfuse.datasets.simulate.texture import (
    Fibre,
    RandomTexture,
    Texture,
    rolled_hexagonal,
    sheet,
)
from xtalfuse.physics.grains.crystal_map import MapPhase
from xtalfuse.physics.grains.graph import GrainGraph

VARIETY = 10  # random stream of size, shape and texture; polycrystal has those below
COARSE_GRID = 16  # of the second, cheap solution
TOLERANCE = 1e-4  # of the solver; stresses are right to 1e-5
TEXTURES = ("random", "fibre", "rolled", "any")

# of a graph what is kept in single precision
_SINGLE = ("size", "centroid", "shape", "area", "normal", "misorientation", "axis", "period")


@dataclass(frozen=True)
class SingleCrystal:
    """A single crystal.

    Parameters
    ----------
    name : unique within a set
    laue : Laue group
    stiffness : 6 rows of 6, crystal frame, Mandel, GPa
    citation : where the constants come from
    """

    name: str
    laue: str
    stiffness: tuple[tuple[float, ...], ...]
    citation: str = ""


@dataclass(frozen=True)
class Variety:
    """What the polycrystals of a set have in common; ranges are drawn from, uniform in log.

    Parameters
    ----------
    grid : voxels along each edge
    grains : least and most
    cv : least and most spread of the diameters; None for Voronoi cells of random points
    aspect : least and most length along z over that along x and y
    texture : one of `TEXTURES`; ``any`` draws one of the others
    seed : of the set
    """

    grid: int = 32
    grains: tuple[int, int] = (100, 100)
    cv: tuple[float, float] | None = (0.3, 0.3)
    aspect: tuple[float, float] = (1.0, 1.0)
    texture: str = "random"
    seed: int = 0


@dataclass(frozen=True)
class MechanicsSample:
    """One polycrystal and its response; load j is a mean strain of 1 in Mandel component j.

    Parameters
    ----------
    material : name of the material
    index : number of the sample within its material
    graph : grains and boundaries
    stress : (6, n, 6) load, grain, Mandel component of the mean stress of the grain, GPa
    stiffness : (6, 6) effective, specimen frame, Mandel, GPa
    crystal_stiffness : (6, 6) of the single crystal in its own frame, Mandel, GPa
    coarse_stress, coarse_stiffness : the same from every second voxel (16^3 of 32^3)
    coarse_voxels : (n,) voxels of each grain there; where there are none `coarse_stress` is 0
    """

    material: str
    index: int
    graph: GrainGraph
    stress: np.ndarray
    stiffness: np.ndarray
    crystal_stiffness: np.ndarray
    coarse_stress: np.ndarray
    coarse_stiffness: np.ndarray
    coarse_voxels: np.ndarray


def draw_spec(material: SingleCrystal, variety: Variety, index: int) -> PolycrystalSpec:
    """The specification of a sample.

    Parameters
    ----------
    material : the single crystal
    variety : what the polycrystals of the set have in common
    index : number of the sample
    """
    rng = stream(_series(material, variety), index, VARIETY)
    grains, cv, aspect = (
        np.exp(rng.uniform(*np.log(bounds)))
        for bounds in (variety.grains, variety.cv or (1.0, 1.0), variety.aspect)
    )
    texture = _draw_texture(variety.texture, material.laue, rng)
    return PolycrystalSpec(
        shape=(variety.grid,) * 3,
        grains=round(float(grains)),
        cv=float(cv) if variety.cv else None,
        aspect=(1.0, 1.0, float(aspect)),
        phases=(PhaseSpec(MapPhase(material.name, material.laue), 1.0, texture),),
    )


def _series(material: SingleCrystal, variety: Variety) -> int:
    """Seed of one material: no two materials share their grains."""
    return (zlib.crc32(material.name.encode()) << 32) + variety.seed


def _draw_texture(kind: str, laue: str, rng: np.random.Generator) -> Texture:
    width = float(rng.uniform(8.0, 30.0))
    turn = rng.normal(size=3)
    if kind == "any":
        kind = str(rng.choice(TEXTURES[:3]))
    if kind == "random":
        return RandomTexture()
    if kind == "fibre":
        crystal = (0.0, 0.0, 1.0) if laue.startswith(("6", "-3", "4")) else (1.0, 1.0, 1.0)
        return Fibre(crystal, tuple(turn / np.linalg.norm(turn)), width)
    if laue.startswith("6"):
        return rolled_hexagonal(half_width_deg=width)
    names = ("cube", "goss", "copper", "s", "brass")
    weights = rng.dirichlet(np.ones(len(names)))
    return sheet(dict(zip(names, weights.tolist(), strict=True)), width, random=0.2)


def simulate(material: SingleCrystal, variety: Variety, index: int) -> MechanicsSample:
    """Make and solve one polycrystal.

    Parameters
    ----------
    material : the single crystal
    variety : what the polycrystals of the set have in common
    index : number of the sample

    Raises
    ------
    ConvergenceError
        If the solver does not reach its tolerance.
    """
    import torch

    from xtalfuse.physics.mechanics.elasticity import rotate_stiffness
    from xtalfuse.physics.mechanics.homogenization import effective_stiffness

    grains = polycrystal(_series(material, variety), index, draw_spec(material, variety, index))
    crystal = torch.tensor(material.stiffness, dtype=torch.float64)
    turned = rotate_stiffness(crystal, torch.from_numpy(grains.orientation)).float()
    every = max(1, variety.grid // COARSE_GRID)
    coarse = np.ascontiguousarray(grains.labels[::every, ::every, ::every])
    stiffness, stress = effective_stiffness(grains.labels, turned, tolerance=TOLERANCE)
    coarse_stiffness, coarse_stress = effective_stiffness(coarse, turned, tolerance=TOLERANCE)
    graph = grains.graph()
    single = {name: getattr(graph, name).astype(np.float32) for name in _SINGLE}
    return MechanicsSample(
        material.name,
        index,
        replace(graph, **single),
        stress.permute(2, 0, 1).numpy(),
        stiffness.double().numpy(),
        crystal.numpy(),
        coarse_stress.permute(2, 0, 1).numpy(),
        coarse_stiffness.double().numpy(),
        np.bincount(coarse.ravel(), minlength=len(grains.phase)),
    )
