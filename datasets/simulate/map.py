"""Sections of synthetic polycrystals as an EBSD instrument would map them, with the truth.

A function of (seed, index) alone, like the polycrystal beneath.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import radians, sqrt

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from xtalfuse.datasets.simulate.polycrystal import Polycrystal, PolycrystalSpec, polycrystal, stream
from xtalfuse.physics.grains.crystal_map import NOT_INDEXED, CrystalMap, GridKind
from xtalfuse.physics.orientation.disorientation import reduce
from xtalfuse.physics.orientation.quaternion import multiply
from xtalfuse.physics.orientation.quaternion import random as random_rotations

GRADIENT, NOISE, INDEXING, CONTRAST, STAGE = range(20, 25)  # random streams
FULL_CONTRAST = 255.0
DARK = 25.0  # band contrast where there is no pattern: pores, glass

Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class MapSpec:
    """How a polycrystal is mapped.

    Parameters
    ----------
    polycrystal : of which the map shows the whole x-y plane
    grid : how the points of a section lie
    step_um : distance of points in a row
    noise_deg : root mean square angle by which an orientation is wrong
    gradient_deg : typical turn of the lattice from one end of a grain to the other
    not_indexed : probability far from boundaries
    not_indexed_at_boundary : probability on a boundary; it falls within one step
    misindexed : probability that an indexed point has a random orientation and phase
    pseudo_symmetry : rotations of the crystal that the instrument mistakes for symmetry
    pseudo_fraction : probability of each indexed point to be mistaken so
    sections, section_step_um : number and distance of serial sections
    shift_um, tilt_deg : root mean square error with which a section is put back
    """

    polycrystal: PolycrystalSpec = field(
        default_factory=lambda: PolycrystalSpec(shape=(64, 64, 16), grains=200)
    )
    grid: GridKind = GridKind.SQUARE
    step_um: float = 0.5
    noise_deg: float = 0.3
    gradient_deg: float = 1.0
    not_indexed: float = 0.005
    not_indexed_at_boundary: float = 0.3
    misindexed: float = 0.005
    pseudo_symmetry: tuple[Quaternion, ...] = ()
    pseudo_fraction: float = 0.0
    sections: int = 1
    section_step_um: float = 1.0
    shift_um: float = 0.0
    tilt_deg: float = 0.0


@dataclass(frozen=True)
class SimulatedMap:
    """A map and what it should have shown.

    Parameters
    ----------
    crystal_map : as the instrument writes it, with ``quality["band_contrast"]`` 0-255
    grain : (n,) int, connected regions of one grain (or pore) of the polycrystal
    orientation : (n, 4) true orientation of each point, gradient included
    phase : (n,) true phase, position in ``crystal_map.phases``
    label : (n,) grain of the polycrystal
    polycrystal : the volume behind the map
    """

    crystal_map: CrystalMap
    grain: np.ndarray
    orientation: np.ndarray
    phase: np.ndarray
    label: np.ndarray
    polycrystal: Polycrystal


def simulate_map(seed: int, index: int, spec: MapSpec | None = None) -> SimulatedMap:
    """The map number `index` of a series.

    Parameters
    ----------
    seed, index : of the series, and the number in it; nothing else is left to chance
    spec : of the map; the default one where it is None

    Raises
    ------
    ValueError
        If the polycrystal cannot be made, or the map would have no point.
    """
    spec = spec or MapSpec()
    solid = polycrystal(seed, index, spec.polycrystal)
    empty = _empty_map(solid, spec)
    rng = stream(seed, index, STAGE)
    shift = rng.normal(0.0, spec.shift_um, (spec.sections, 3)) * [1.0, 1.0, 0.0]
    tilt = _small_turns(rng.normal(0.0, radians(spec.tilt_deg) / sqrt(3), (spec.sections, 3)))
    section = empty.index[:, 0]
    middle = 0.5 * solid.labels.shape[2] * solid.step_um  # depth of the first section
    label = solid.at(empty.position + shift[section] + [0.0, 0.0, middle])

    grain = _regions(label, empty.pairs())
    bent = _bent(
        solid.orientation[label], grain, empty.position, spec, stream(seed, index, GRADIENT)
    )
    truth = multiply(bent, tilt[section])
    phase = solid.phase[label]
    distance = _boundary_distance(grain, empty, spec.step_um)
    measured, found = _indexed(truth, phase, distance, solid, spec, (seed, index))
    contrast = _band_contrast(grain, phase, distance, solid, spec, stream(seed, index, CONTRAST))
    crystal_map = CrystalMap(
        measured,
        found,
        empty.index,
        empty.phases,
        empty.grid,
        empty.step,
        {"band_contrast": contrast},
    )
    return SimulatedMap(crystal_map, grain, truth, phase, label, solid)


def _empty_map(solid: Polycrystal, spec: MapSpec) -> CrystalMap:
    """A map of the whole x-y plane with nothing indexed."""
    width, height = (n * solid.step_um for n in solid.labels.shape[:2])
    hexagonal = spec.grid is GridKind.HEXAGONAL
    row_step = spec.step_um * (sqrt(0.75) if hexagonal else 1.0)
    columns, rows = int(width / spec.step_um + 1e-9), int(height / row_step + 1e-9)
    if min(columns, rows, spec.sections) < 1:
        raise ValueError(
            f"a step of {spec.step_um} um leaves no point on {width} x {height} um; take less"
        )
    index = np.indices((spec.sections, rows, columns)).reshape(3, -1).T
    return CrystalMap(
        np.tile([1.0, 0.0, 0.0, 0.0], (len(index), 1)),
        np.full(len(index), NOT_INDEXED),
        index,
        solid.phases,
        spec.grid,
        (spec.step_um, row_step, spec.section_step_um if spec.sections > 1 else 0.0),
    )


def _regions(label: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(n,) connected regions of one label: a grain that leaves the map may enter it again."""
    i, j = pairs[:, label[pairs[0]] == label[pairs[1]]]
    links = sparse.coo_array((np.ones(len(i), bool), (i, j)), (len(label),) * 2)
    return connected_components(links, directed=False)[1]


def _small_turns(vector: np.ndarray) -> np.ndarray:
    """(n, 4) rotations of rotation vectors (n, 3): along the axis, as long as the angle, radian."""
    half = 0.5 * np.linalg.norm(vector, axis=1)
    return np.column_stack([np.cos(half), 0.5 * np.sinc(half / np.pi)[:, None] * vector])


def _bent(
    orientation: np.ndarray,
    grain: np.ndarray,
    position: np.ndarray,
    spec: MapSpec,
    rng: np.random.Generator,
) -> np.ndarray:
    """Orientations that turn from one end of each grain to the other, about one axis each."""
    grains = int(grain.max()) + 1
    count = np.bincount(grain)
    centre = np.stack([np.bincount(grain, x) for x in position.T], axis=1) / count[:, None]
    away = position - centre[grain]
    along = rng.normal(size=(grains, 3))
    along[:, 2] *= spec.sections > 1
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    turn = radians(spec.gradient_deg) * random_axes(grains, rng)
    place = np.einsum("nx,nx->n", away, along[grain])
    spread = np.sqrt(np.bincount(grain, place**2) / count)
    length = 4.0 * np.maximum(spread, 0.25 * spec.step_um)  # of an ellipse along `along`
    return multiply(_small_turns(turn[grain] * (place / length[grain])[:, None]), orientation)


def random_axes(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 3) unit vectors without preferred direction."""
    axes = rng.normal(size=(n, 3))
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


def _boundary_distance(grain: np.ndarray, crystal_map: CrystalMap, step: float) -> np.ndarray:
    """(n,) distance to the nearest boundary in steps; infinite where there is none."""
    i, j = crystal_map.pairs()
    across = grain[i] != grain[j]
    if not across.any():
        return np.full(len(grain), np.inf)
    position = crystal_map.position
    middles = 0.5 * (position[i[across]] + position[j[across]])
    return cKDTree(middles).query(position)[0] / step


def _indexed(
    truth: np.ndarray,
    phase: np.ndarray,
    distance: np.ndarray,
    solid: Polycrystal,
    spec: MapSpec,
    number: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Orientation and phase that the instrument writes for each point."""
    n = len(truth)
    noise = stream(*number, NOISE).normal(0.0, radians(spec.noise_deg) / sqrt(3.0), (n, 3))
    measured, found = multiply(_small_turns(noise), truth), phase.copy()
    rng = stream(*number, INDEXING)
    crystalline = np.array([entry.laue is not None for entry in solid.phases])
    lost = rng.random(n) < spec.not_indexed + spec.not_indexed_at_boundary * np.exp(-(distance**2))
    lost |= ~crystalline[phase]
    operators = np.array(spec.pseudo_symmetry or [(1.0, 0.0, 0.0, 0.0)])
    mistaken = rng.random(n) < spec.pseudo_fraction
    turned = multiply(operators[rng.integers(len(operators), size=n)], measured)
    measured[mistaken] = turned[mistaken]
    wrong = rng.random(n) < spec.misindexed
    anywhere, any_phase = random_rotations(n, rng), rng.random(n)
    if crystalline.any():
        choice = np.flatnonzero(crystalline)
        measured[wrong] = anywhere[wrong]
        found[wrong] = choice[(any_phase[wrong] * len(choice)).astype(int)]
    found[lost] = NOT_INDEXED
    measured[lost] = [1.0, 0.0, 0.0, 0.0]
    for kind, entry in enumerate(solid.phases):  # instruments write one of the equivalents
        at = found == kind
        if entry.laue is not None and at.any():
            measured[at] = reduce(measured[at], entry.laue)
    return measured, found


def _band_contrast(
    grain: np.ndarray,
    phase: np.ndarray,
    distance: np.ndarray,
    solid: Polycrystal,
    spec: MapSpec,
    rng: np.random.Generator,
) -> np.ndarray:
    """(n,) 0-255: each grain has its own, it falls where two patterns overlap."""
    own = rng.uniform(150.0, 230.0, int(grain.max()) + 1)[grain]
    dark = np.array([entry.laue is None for entry in solid.phases])[phase]
    contrast = np.where(dark, DARK, own * (1.0 - 0.5 * np.exp(-(distance**2))))
    return np.clip(contrast + rng.normal(0.0, 6.0, len(grain)), 0.0, FULL_CONTRAST)
