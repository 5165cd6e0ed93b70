"""Synthetic polycrystals: grains of wanted size, shape, phase and texture in a periodic box.

Every number is a function of (seed, index) alone: volumes can be made in any order, by any
number of processes. Geometry, phases, pores and orientations draw from streams of their own,
so that the same grains can be given another texture.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from xtalfuse.datasets.simulate.pores import PoreSpec, add_pores
from xtalfuse.datasets.simulate.power_diagram import (
    fit_cells,
    label_grid,
    nearest_cell,
    place_seeds,
)
from xtalfuse.datasets.simulate.texture import RandomTexture, Texture
from xtalfuse.physics.grains.crystal_map import MapPhase

if TYPE_CHECKING:
    from xtalfuse.physics.grains.graph import GrainGraph

SMALLEST_GRAIN = 8  # voxels; a smaller one has no shape
LARGEST_SIGMA = 3.0  # of the logarithm of the diameter
GEOMETRY, PHASES, PORES, TEXTURE = range(4)  # random streams
CLUSTER_WAVES = 24  # plane waves of the random field that gathers phases
CLUSTER_GRAINS = 8.0  # grains in a typical wave

CUBIC = MapPhase("cubic metal", "m-3m")


@dataclass(frozen=True)
class PhaseSpec:
    """One phase of a polycrystal.

    Parameters
    ----------
    phase : its name and symmetry
    fraction : of the volume of the solid; only the ratios of the phases count
    texture : draws its orientations
    """

    phase: MapPhase = CUBIC
    fraction: float = 1.0
    texture: Texture = field(default_factory=RandomTexture)


@dataclass(frozen=True)
class PolycrystalSpec:
    """What a polycrystal shall be.

    Parameters
    ----------
    shape : voxels along x, y, z
    grains : their number
    cv : standard deviation over mean of the grains' equivalent-sphere diameters, which are
        log-normal but for a smallest size of 8 voxels; None gives the Voronoi diagram of
        random points (about 0.15)
    aspect : relative lengths of the grains along x, y, z: (1, 1, 3) elongated, (3, 3, 1) flat
    phases : at least one
    clustering : 0, grains of a phase lie at random; 1, they gather
    pores : None for none
    step_um : edge of a voxel
    """

    shape: tuple[int, int, int] = (32, 32, 32)
    grains: int = 100
    cv: float | None = 0.3
    aspect: tuple[float, float, float] = (1.0, 1.0, 1.0)
    phases: tuple[PhaseSpec, ...] = (PhaseSpec(),)
    clustering: float = 0.0
    pores: PoreSpec | None = None
    step_um: float = 1.0


@dataclass(frozen=True)
class Cells:
    """The power diagram behind the grains, in a box that is scaled to make them round.

    Parameters
    ----------
    seeds : (n, 3) voxels, scaled; a row for each grain
    weights : (n,)
    box : (3,) lengths of the periodic box, voxels, scaled
    scale : (3,) scaled length over length
    """

    seeds: np.ndarray
    weights: np.ndarray
    box: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class Polycrystal:
    """Grains and pores on a grid; every label has at least one voxel.

    Parameters
    ----------
    labels : (X, Y, Z) int32, 0 to n-1
    orientation : (n, 4) unit quaternions, specimen -> crystal; (1, 0, 0, 0) of a pore
    phase : (n,) int, position in `phases`
    phases : those of the specification, then one for pores where there are any
    step_um : edge of a voxel
    cells : the shape of the grains between the voxels
    periodic : whether opposite faces of the box meet
    """

    labels: np.ndarray
    orientation: np.ndarray
    phase: np.ndarray
    phases: tuple[MapPhase, ...]
    step_um: float
    cells: Cells
    periodic: bool = True

    @property
    def voxels(self) -> np.ndarray:
        """(n,) number of voxels of each label."""
        return np.bincount(self.labels.ravel(), minlength=len(self.phase))

    @property
    def diameter_um(self) -> np.ndarray:
        """(n,) diameter of the sphere of the same volume."""
        return (self.voxels * 6.0 / np.pi) ** (1.0 / 3.0) * self.step_um

    def at(self, position_um: np.ndarray) -> np.ndarray:
        """(m,) label at positions (m, 3), um: grains exactly, pores to the voxel."""
        place = position_um / self.step_um
        voxel = np.floor(place).astype(int) % self.labels.shape
        labels = self.labels[tuple(voxel.T)]
        solid = np.flatnonzero(labels < len(self.cells.seeds))
        scaled = place[solid] * self.cells.scale
        labels[solid] = nearest_cell(self.cells.seeds, self.cells.weights, scaled, self.cells.box)
        return labels

    def graph(self) -> GrainGraph:
        """Grains and pores as nodes, their boundaries as edges."""
        from xtalfuse.physics.grains.graph import from_labels

        return from_labels(
            self.labels, self.orientation, self.phase, self.phases, self.step_um, self.periodic
        )


def polycrystal(seed: int, index: int, spec: PolycrystalSpec | None = None) -> Polycrystal:
    """The polycrystal number `index` of a series.

    Parameters
    ----------
    seed, index : not negative
    spec : what it shall be; the default is 100 grains of a cubic metal on 32^3 voxels

    Raises
    ------
    ValueError
        If the grains are too many for the grid, or spread in size more than it can show.
    """
    spec = spec or PolycrystalSpec()
    _check(spec)
    labels, cells = _grains(spec, stream(seed, index, GEOMETRY))
    phase = _phases(labels, cells.seeds / cells.box, spec, stream(seed, index, PHASES))
    orientation = np.tile([1.0, 0.0, 0.0, 0.0], (spec.grains, 1))
    rng = stream(seed, index, TEXTURE)
    for number, entry in enumerate(spec.phases):
        drawn = entry.texture.sample(spec.grains, rng)
        if entry.phase.laue is not None:
            orientation[phase == number] = drawn[phase == number]
    phases = tuple(entry.phase for entry in spec.phases)
    if spec.pores is not None:
        labels = add_pores(labels, spec.pores, stream(seed, index, PORES))
        more = int(labels.max()) + 1 - spec.grains
        phase = np.append(phase, np.full(more, len(phases)))
        orientation = np.append(orientation, np.tile([1.0, 0.0, 0.0, 0.0], (more, 1)), axis=0)
        phases = (*phases, MapPhase("pore", None, pore=True))
        labels, kept = _without_gaps(labels)
        phase, orientation = phase[kept], orientation[kept]
        grains = kept[kept < spec.grains]
        cells = replace(cells, seeds=cells.seeds[grains], weights=cells.weights[grains])
    return Polycrystal(labels, orientation, phase, phases, spec.step_um, cells)


def stream(seed: int, index: int, purpose: int) -> np.random.Generator:
    """Random numbers that depend on these three numbers alone.

    Parameters
    ----------
    seed, index : of the series, and the number in it; nothing else is left to chance
    purpose : number of the stream; each use has its own
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, purpose)))


def _check(spec: PolycrystalSpec) -> None:
    voxels = int(np.prod(spec.shape))
    if not 1 <= spec.grains <= voxels // SMALLEST_GRAIN:
        raise ValueError(
            f"{spec.grains} grains on {voxels} voxels; a grid of this size holds 1 to "
            f"{voxels // SMALLEST_GRAIN}"
        )
    if not spec.phases or min(entry.fraction for entry in spec.phases) < 0:
        raise ValueError("a polycrystal needs at least one phase, and no negative fraction")
    if min(spec.aspect) <= 0 or spec.step_um <= 0:
        raise ValueError(f"aspect {spec.aspect} and step {spec.step_um} must be positive")


def _grains(spec: PolycrystalSpec, rng: np.random.Generator) -> tuple[np.ndarray, Cells]:
    """Labels and cells. Elongated grains are round ones in a box that is shortened along them."""
    aspect = np.array(spec.aspect) / np.cbrt(np.prod(spec.aspect))
    box = np.array(spec.shape) / aspect  # voxel lengths, stretched
    if spec.cv is None:
        seeds, weights = rng.random((spec.grains, 3)) * box, np.zeros(spec.grains)
    else:
        volumes = _volumes(spec.grains, spec.cv, int(np.prod(spec.shape)), rng)
        seeds = place_seeds(np.cbrt(volumes * 3.0 / (4.0 * np.pi)), box, rng)
        seeds, weights = fit_cells(seeds, volumes, spec.shape, box)
    labels = label_grid(seeds, weights, spec.shape, box)
    return _none_empty(labels, seeds / box), Cells(seeds, weights, box, 1.0 / aspect)


def _volumes(grains: int, cv: float, voxels: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) volumes in voxels whose diameters have exactly this coefficient of variation.

    One diameter is drawn from each n-th of a log-normal distribution; none is smaller than
    the smallest grain. The width that gives the coefficient is found by bisection.
    """
    z = rng.permutation(ndtri((np.arange(grains) + rng.random(grains)) / grains))

    def volumes(sigma: float) -> np.ndarray:
        drawn = np.exp(3.0 * sigma * (z - z.max()))
        spare = voxels - SMALLEST_GRAIN * grains
        low, high = 0.0, float(voxels)  # scale at which the sum is that of the box
        for _ in range(40):
            scale = 0.5 * (low + high)
            over = np.maximum(scale * drawn - SMALLEST_GRAIN, 0.0).sum() > spare
            low, high = (low, scale) if over else (scale, high)
        return np.maximum(high * drawn, SMALLEST_GRAIN)

    def spread(sigma: float) -> float:
        diameter = np.cbrt(volumes(sigma))
        return float(diameter.std() / diameter.mean())

    low, high = 0.0, LARGEST_SIGMA
    if not 0.0 <= cv <= (spread(high) if grains > 1 else np.inf):
        raise ValueError(
            f"{grains} grains on {voxels} voxels cannot spread by {cv}; take a smaller cv, "
            "more grains or a finer grid"
        )
    for _ in range(24):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if spread(middle) < cv else (low, middle)
    result = volumes(high)
    return result * (voxels / result.sum())


def _none_empty(labels: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Labels in which a grain that holds no voxel centre gets the voxel at its seed.

    If that voxel is the only one of another grain, the next voxel along x is taken.
    """
    count = np.bincount(labels.ravel(), minlength=len(seeds))
    for empty in np.flatnonzero(count == 0):
        place = (seeds[empty] * labels.shape).astype(int) % labels.shape
        flat = int(np.ravel_multi_index(place, labels.shape))
        while count[labels.flat[flat]] <= 1:
            flat = (flat + 1) % labels.size
        count[labels.flat[flat]] -= 1
        labels.flat[flat] = empty
        count[empty] = 1
    return labels


def _phases(
    labels: np.ndarray, seeds: np.ndarray, spec: PolycrystalSpec, rng: np.random.Generator
) -> np.ndarray:
    """(n,) phase of each grain: ordered by a random field, cut at the volume fractions."""
    if len(spec.phases) == 1:
        return np.zeros(spec.grains, int)
    white = rng.normal(size=spec.grains)
    waves = np.rint(rng.normal(size=(CLUSTER_WAVES, 3)) * np.cbrt(spec.grains) / CLUSTER_GRAINS)
    angle = 2.0 * np.pi * (seeds @ waves.T + rng.random(CLUSTER_WAVES))
    smooth = np.cos(angle).sum(axis=1) * np.sqrt(2.0 / CLUSTER_WAVES)
    order = np.argsort(spec.clustering * smooth + (1.0 - spec.clustering) * white, kind="stable")
    volume = np.bincount(labels.ravel(), minlength=spec.grains)[order]
    middle = (np.cumsum(volume) - 0.5 * volume) / volume.sum()
    fraction = np.array([entry.fraction for entry in spec.phases])
    phase = np.empty(spec.grains, int)
    phase[order] = np.searchsorted(np.cumsum(fraction[:-1]) / fraction.sum(), middle)
    return phase


def _without_gaps(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels renumbered so that none is empty, and which of the old ones were kept."""
    kept, flat = np.unique(labels, return_inverse=True)
    return flat.reshape(labels.shape).astype(np.int32), kept
