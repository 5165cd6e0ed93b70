"""Effective stiffness of the grains of a map, and the stress of each under tension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from xtalfuse.encoders.grains.map import Segmentation
from xtalfuse.encoders.networks.pairs import grain_stiffness
from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.grains.graph import GrainGraph
from xtalfuse.physics.mechanics.elasticity import reuss, voigt
from xtalfuse.tasks.mechanics.grains import NETWORK, predict_stiffness, predict_stress
from xtalfuse.tasks.structure.materials import Material, constants_used, missing_constants
from xtalfuse.tasks.structure.properties.base import RESAMPLES, SECTION
from xtalfuse.tasks.structure.stress import NotSolvedError, solve

PLACE_SPREAD = 0.07  # of the effective stiffness between Reuss (0) and Voigt (1), standard
FRAME = "x, y, z are the specimen axes of the file's Euler angles"
FAIR = "the volume is a fair sample of the material"
PERIODIC = "the volume is repeated periodically"
FFT = "FFT homogenization of the voxels"
COLUMNS = "the grains of a section are taken for columns along z"
# rad, GOS: points turned by it lower the anisotropic part of a mean stiffness, whose harmonics
# are of fourth order, by l (l + 1) / 6 of its square, 0.4 %; constants are known to 1 %
BENT = np.radians(2.0)
MOST_TURNED = 200_000  # points of bent grains; of more, every so many
STEP = 0.01  # relative change of a constant from which a slope is taken
TENSION = np.eye(6)[0]  # mean stress, along x


@dataclass(frozen=True)
class GrainMechanics:
    """How a map bears a load.

    Parameters
    ----------
    stiffness : (6, 6) effective stiffness, Mandel, GPa, specimen frame; None if not known
    stress : (c,) mean stress along x of each crystal under tension along x, relative to the mean;
        None if not known
    field : (p,) the same of each point; None if it was not solved for
    warnings : what is missing and why
    """

    stiffness: Estimate | None = None
    stress: Estimate | None = None
    field: np.ndarray | None = None
    warnings: tuple[str, ...] = ()


def grain_mechanics(segmentation: Segmentation, materials: Sequence[Material]) -> GrainMechanics:
    """Effective stiffness of the grains and their stress, or what is missing for it.

    A stack of sections on a square grid is homogenized voxel by voxel; of one too large for that,
    or on hexagons, the grain network says both. Of a section, Hill's average is taken: its fields
    are those of columns.
    """
    graph = segmentation.crystals
    used = [material for k, material in enumerate(materials) if (graph.phase == k).any()]
    missing = missing_constants(used)
    if not missing and any(material.phase.pore for material in used):
        missing = ["no elastic properties: the average over grains does not hold with pores"]
    if missing:
        return GrainMechanics(warnings=tuple(missing))
    none = np.zeros((6, 6))
    constants = [none if m.elastic is None else m.elastic.stiffness for m in materials]
    stiffness = of_points(segmentation, constants, grain_stiffness(graph, constants).numpy())
    flat = graph.dimension == 2
    middle, samples = hill_estimate(stiffness, graph.size, place=PLACE_SPREAD if flat else 0.0)
    samples = samples + _of_constants(graph, constants, materials)
    basis = (*constants_used(used), FRAME)
    hill = _stiffness(middle, samples, "Voigt-Reuss-Hill average over the grains", basis, SECTION)
    try:
        solution = solve(segmentation, stiffness, middle)
    except NotSolvedError as error:
        told = (str(error),) if error.worth_saying else ()
        if flat:
            return GrainMechanics(hill, warnings=told)
        around = samples - samples.mean(axis=0)
        found = _predicted(graph, constants, around, basis)
        return GrainMechanics(found, _predicted_stress(graph, constants, basis), warnings=told)
    field, mean = solution.tension()
    basis = (*basis, PERIODIC)
    if flat:
        stress = Estimate("grain_stress", mean, None, "", FFT, basis, COLUMNS)
        return GrainMechanics(hill, stress, field)
    whole = np.asarray(solution.homogenized.stiffness, float)
    around = samples - samples.mean(axis=0)
    found = _stiffness(whole, whole + around, FFT, basis, FAIR)
    return GrainMechanics(found, Estimate("grain_stress", mean, None, "", FFT, basis, FAIR), field)


def _stiffness(
    value: np.ndarray, samples: np.ndarray, method: str, basis: tuple[str, ...], validity: str
) -> Estimate:
    spread = samples.std(axis=0)
    return Estimate("stiffness", value, spread, "GPa", method, basis, validity, samples=samples)


def _predicted(
    graph: GrainGraph, constants: Sequence[np.ndarray], around: np.ndarray, basis: tuple[str, ...]
) -> Estimate:
    """What the grain network says of a graph, with the spread `around` of its grains added."""
    found = predict_stiffness(graph, constants)
    drawn = around + (found.value if found.samples is None else found.samples[: len(around)])
    return replace(
        found,
        uncertainty=drawn.std(axis=0),
        samples=drawn,
        assumptions=(*basis, *found.assumptions),
        validity=f"{FAIR}; {found.validity}",
    )


def _predicted_stress(
    graph: GrainGraph, constants: Sequence[np.ndarray], basis: tuple[str, ...]
) -> Estimate | None:
    """(n,) stress along x by the grain network; None where it is not valid."""
    found = predict_stress(graph, constants, TENSION)
    if found.method != NETWORK:
        return None
    return replace(
        found,
        quantity="grain_stress",
        value=found.value[:, 0],
        uncertainty=found.uncertainty[:, 0],
        unit="",
        assumptions=(*basis, *found.assumptions),
        zero_model=None,
    )


def hill_estimate(
    stiffness: np.ndarray, size: np.ndarray, *, place: float = PLACE_SPREAD, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Hill's average and its samples: grains drawn again, and a place between the bounds.

    Parameters
    ----------
    stiffness : (n, 6, 6) of each grain in the specimen frame, Mandel, GPa
    size : (n,) area or volume
    place : standard deviation of the place between Reuss (0) and Voigt (1); 0 for the spread of
        the grains alone
    seed : of the draws

    Returns
    -------
    (6, 6) and (k, 6, 6), Mandel, GPa

    Notes
    -----
    Each sample draws n grains with replacement (Efron 1979, Ann. Stat. 7, 1) and takes a place
    between Reuss and Voigt, normal about the middle: homogenized polycrystals of titanium,
    copper and zinc lie at 0.52, 0.56 and 0.60 of the way, each to 0.02.
    """
    rng = np.random.default_rng(seed)
    count = len(size)
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), RESAMPLES) * size
    drawn = drawn / drawn.sum(axis=1, keepdims=True)
    flat = stiffness.reshape(count, 36)
    compliance = np.linalg.inv(stiffness).reshape(count, 36)
    high = (drawn @ flat).reshape(-1, 6, 6)
    low = np.linalg.inv((drawn @ compliance).reshape(-1, 6, 6))
    between = np.clip(rng.normal(0.5, place, RESAMPLES), 0.0, 1.0)[:, None, None]
    samples = low + between * (high - low)
    return hill_middle(stiffness, size), samples


def of_points(
    segmentation: Segmentation, constants: Sequence[np.ndarray], stiffness: np.ndarray
) -> np.ndarray:
    """(c, 6, 6) stiffness of each crystal: of one that is bent, Hill's average over its points.

    Parameters
    ----------
    segmentation : of a map
    constants : (6, 6) stiffness of each phase in the crystal frame, Mandel, GPa
    stiffness : (c, 6, 6) of the mean orientations
    """
    import torch

    from xtalfuse.physics.mechanics.elasticity import rotate_stiffness

    bent = segmentation.crystal_gos > BENT
    chosen = np.flatnonzero((segmentation.crystal >= 0) & np.isfinite(segmentation.grod))
    chosen = chosen[bent[segmentation.crystal[chosen]]]
    chosen = chosen[:: -(-len(chosen) // MOST_TURNED) or 1]
    if not len(chosen):
        return stiffness
    points = segmentation.crystal_map
    own = torch.as_tensor(np.stack([np.asarray(c, float) for c in constants]))
    orientation = torch.as_tensor(points.orientation[chosen], dtype=torch.float64)
    turned = rotate_stiffness(own[points.phase[chosen]], orientation).numpy()
    found = stiffness.copy()
    for crystal in np.unique(segmentation.crystal[chosen]):
        inside = turned[segmentation.crystal[chosen] == crystal]
        low = np.linalg.inv(np.linalg.inv(inside).mean(axis=0))
        found[crystal] = 0.5 * (inside.mean(axis=0) + low)
    digits = 10.0 ** (np.floor(np.log10(np.abs(found).max())) - 6)  # as of `grain_stiffness`
    return np.round(found / digits) * digits + 0.0


def _of_constants(
    graph: GrainGraph, constants: Sequence[np.ndarray], materials: Sequence[Material]
) -> np.ndarray:
    """(k, 6, 6) what the uncertainty of single-crystal constants does to Hill's average.

    The eigenvalues of a crystal's stiffness (of a cubic one 3K, 2C', 2C44) are off each by its
    own share, so that ratios are as uncertain as moduli; half of the variance is common to all,
    as errors of scale are (density, length).
    """
    rng = np.random.default_rng(1)
    plain = grain_stiffness(graph, constants).numpy()
    middle = hill_middle(plain, graph.size)
    total = np.zeros((RESAMPLES, 6, 6))
    for number, material in enumerate(materials):
        if material.elastic is None or not (graph.phase == number).any():
            continue
        off = material.elastic.relative_uncertainty * np.sqrt(0.5)
        common = rng.normal(0.0, off, RESAMPLES)
        values, vectors = np.linalg.eigh(np.asarray(constants[number], float))
        alone = np.append(True, np.diff(values) > 1e-6 * values[-1]).cumsum()
        for mode in np.unique(alone):
            basis = vectors[:, alone == mode]
            change = STEP * (basis * values[alone == mode]) @ basis.T
            moved = [c + change if k == number else c for k, c in enumerate(constants)]
            slope = (hill_middle(grain_stiffness(graph, moved).numpy(), graph.size) - middle) / STEP
            total += (common + rng.normal(0.0, off, RESAMPLES))[:, None, None] * slope
    return total


def hill_middle(stiffness: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(6, 6) Hill's average of (n, 6, 6) by size."""
    return np.asarray(0.5 * (voigt(stiffness, size) + reuss(stiffness, size)))


def scattered(samples: np.ndarray, used: Sequence[Material], seed: int = 1) -> np.ndarray:
    """Samples with the uncertainty of the constants of isotropic phases: of K and G, each its own.

    Parameters
    ----------
    samples : (k, 6, 6)
    used : materials with elastic constants
    seed : of the draws
    """
    relative = max(m.elastic.relative_uncertainty for m in used if m.elastic is not None)
    bulk, shear = np.sqrt(
        np.random.default_rng(seed).normal(1.0, relative, (2, len(samples), 1, 1))
    )
    hydrostatic = np.zeros((6, 6))
    hydrostatic[:3, :3] = 1.0 / 3.0
    weight = bulk * hydrostatic + shear * (np.eye(6) - hydrostatic)
    return np.asarray(weight @ samples @ weight)
