"""Phases, pores and particles of a volume, and the properties that follow from them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xtalfuse.encoders.volume.segment import VolumeSegmentation, segment_volume
from xtalfuse.loaders.record import Measurement
from xtalfuse.physics.mechanics.elasticity import hill_moduli, isotropic_stiffness
from xtalfuse.physics.mechanics.homogenization import ConvergenceError, homogenize
from xtalfuse.tasks.structure.grain_properties import constants_used, missing_constants, scattered
from xtalfuse.tasks.structure.materials import PORE, Material, distinct, materials_of
from xtalfuse.tasks.structure.properties import Property, StiffnessEstimate, elastic_properties
from xtalfuse.tasks.structure.result import Microstructure

MOST_EDGE = 48  # voxels of an edge that is homogenized; larger volumes are made coarser
PARTS = 2  # the volume is cut in as many along each axis, to see how parts differ
SAMPLES = 200
TOLERANCE = 2e-3  # of the strain; the stiffness has about its square
MOST_ITERATIONS = 400  # connected foams need some 120
MIXTURES = 16  # steps of the share of a phase in a block
COARSE = 0.1  # of the stiffness: what may be lost by joining voxels without a word
FILLING = 1e-4  # of the solid's stiffness, put into pores where loose parts leave no equilibrium
SAMPLED = "standard uncertainty from how the eighths of the volume differ"
SAMPLED_SOLID = f"{SAMPLED}, and from the constants"


def analyse_volume(
    measurement: Measurement,
    phases: Sequence[str] | Mapping[str, str] = (),
    *,
    periodic: bool = False,
) -> Microstructure:
    """Phases, bodies and properties of a CT volume.

    Parameters
    ----------
    measurement : of modality CT
    phases : materials from the darkest phase to the brightest, which also says how many there
        are; or by name of a phase (``"phase 1"``); ``"pore"`` is empty space. If nothing is
        given, the histogram tells how many there are and the darkest of several is empty
    periodic : whether opposite faces meet

    Raises
    ------
    ValueError
        If it is no volume, or a material is not known.
    """
    started = time.perf_counter()
    if isinstance(phases, Mapping):
        segmentation = segment_volume(measurement, periodic=periodic)
    else:
        segmentation = segment_volume(
            measurement,
            phases=len(phases) or None,
            names=distinct(phases) or None,
            pores=not phases or phases[0].lower() == PORE,
            periodic=periodic,
        )
    materials = materials_of(segmentation.phases, phases)
    segmentation = replace(segmentation, phases=tuple(found.phase for found in materials))
    graph = segmentation.graph()
    segmented = time.perf_counter()
    properties = geometry_properties(segmentation)
    estimate, missing = volume_stiffness(segmentation, materials)
    if estimate is not None:
        properties += elastic_properties(estimate)
    return Microstructure(
        measurement=measurement,
        source=segmentation,
        graph=graph,
        materials=materials,
        properties=tuple(properties),
        stiffness=estimate,
        warnings=(*measurement.provenance.warnings, *missing, *_cautions(segmentation)),
        seconds={
            "segmentation": segmented - started,
            "properties": time.perf_counter() - segmented,
        },
    )


def geometry_properties(segmentation: VolumeSegmentation) -> list[Property]:
    """Phase fractions, porosity, surface, size of bodies."""
    phase = segmentation.phase
    shares = np.array(
        [np.bincount(part.ravel(), minlength=len(segmentation.phases)) / part.size
         for part in _eighths(phase)]
    )  # fmt: skip
    spread = shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
    method = "share of the voxels"
    properties = [
        Property(f"phase_fraction[{found.name}]", float(share), float(su), "", method, (), SAMPLED)
        for found, share, su in zip(
            segmentation.phases, segmentation.fractions, spread, strict=True
        )
    ]
    length = "um" if segmentation.calibrated else "voxel"
    if segmentation.pore_phases:
        pores = segmentation.porosity()
        reach = [axis for axis, through in zip("zyx", pores.percolates, strict=True) if through]
        told = (
            f"pores reach through along {', '.join(reach)}" if reach else "no pore reaches through"
        )
        properties.append(
            Property(
                "open_porosity", pores.open, None, "", "pores that reach the outside", (), told
            )
        )
    for number, found in enumerate(segmentation.phases):
        surface = segmentation.specific_surface(number)
        properties.append(
            Property(
                f"specific_surface[{found.name}]", surface, None, f"1/{length}",
                "Crofton's formula over 13 directions, per volume of the whole", (),
                "details below two voxels are not seen",
            )
        )  # fmt: skip
        diameter = segmentation.diameters(number)
        if len(diameter) > 1:
            su = float(diameter.std(ddof=1) / np.sqrt(len(diameter)))
            properties.append(
                Property(
                    f"body_diameter[{found.name}]", float(diameter.mean()), su, length,
                    "mean diameter of the sphere of equal volume", (),
                    f"{len(diameter)} bodies, those cut by the edge too",
                )
            )  # fmt: skip
    return properties


def volume_stiffness(
    segmentation: VolumeSegmentation, materials: Sequence[Material]
) -> tuple[StiffnessEstimate | None, list[str]]:
    """Effective stiffness by FFT, each phase an untextured polycrystal; or what is missing.

    A volume too large for that is made coarser. Blocks of the commonest phase part thin walls,
    blocks of mean stiffness join them: the stiffness may be anywhere between the two.
    """
    present = [m for m, share in zip(materials, segmentation.fractions, strict=True) if share > 0]
    missing = missing_constants(present)
    if missing or all(material.phase.pore for material in present):
        return None, missing
    moduli = np.array([_isotropic(material) for material in materials], np.float32)
    coarse = coarsened(segmentation.phase, len(materials))
    blocks = zip(segmentation.step_um, _blocks(segmentation.phase.shape), strict=True)
    step = tuple(size * block for size, block in blocks)[::-1]
    try:
        whole = _homogenized(coarse, moduli, step)
        if np.trace(whole) < 3.0 * FILLING * np.trace(moduli.max(axis=0)):
            return None, ["no elastic properties: no solid reaches through to carry a load"]
        parts = np.array([_homogenized(part, moduli, step) for part in _eighths(coarse)])
    except ConvergenceError as error:
        return None, [f"no elastic properties: the homogenization did not converge: {error}"]
    samples = scattered(_resampled(whole, parts), present)
    validity, told = SAMPLED_SOLID, []
    if coarse.size < segmentation.phase.size:
        try:
            joined = _homogenized(*_mixed(segmentation.phase, moduli), step)
        except ConvergenceError as error:
            return None, [f"no elastic properties: the homogenization did not converge: {error}"]
        half = 0.5 * (joined - whole)
        place = np.random.default_rng(2).uniform(-1.0, 1.0, (SAMPLES, 1, 1))
        whole, samples = whole + half, samples + half + place * half
        validity += "; voxels were joined: from parted to mixed blocks"
        if (share := np.trace(half) / np.trace(whole)) > COARSE:
            told.append(
                f"the stiffness is that of a coarser volume, known to {share:.0%} only; cut a "
                f"part of {MOST_EDGE} voxels along each edge out of it for a better one"
            )
    edge = "x".join(str(n) for n in coarse.shape)
    return StiffnessEstimate(
        whole,
        samples,
        f"FFT homogenization of {edge} voxels, rotated scheme",
        (
            *constants_used(present),
            "each phase is isotropic, an untextured polycrystal (Hill)",
            "the volume is repeated periodically",
            f"stiffness below {FILLING:g} of the solid's is none",
        ),
        validity,
    ), told


def _resampled(whole: np.ndarray, parts: np.ndarray, seed: int = 0) -> np.ndarray:
    """(k, 6, 6) stiffness as it might be of another volume: parts drawn again, scaled to the whole.

    Means of stiffnesses are stiffnesses, so that each sample is one: with M the mean of all parts
    and M' of those drawn, it is ``W^(1/2) M^(-1/2) M' M^(-1/2) W^(1/2)``.
    """
    count = len(parts)
    mean = parts.mean(axis=0)
    mean += 1e-6 * np.trace(mean) * np.eye(6)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), SAMPLES)
    drawn = np.tensordot(draws / count, parts, axes=1)
    drawn += 1e-6 * np.trace(mean) * np.eye(6)
    scale = _power(whole, 0.5) @ _power(mean, -0.5)
    return scale @ drawn @ scale.T


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T


def _isotropic(material: Material) -> np.ndarray:
    if material.elastic is None:
        return np.zeros((6, 6))
    hill = hill_moduli(material.elastic.stiffness.copy())
    return np.asarray(isotropic_stiffness(hill.bulk, hill.shear))


def coarsened(phase: np.ndarray, count: int) -> np.ndarray:
    """Phases [x, y, z] with at most `MOST_EDGE` voxels along each axis: the commonest of a block.

    Parameters
    ----------
    phase : (Z, Y, X) int
    count : number of phases
    """
    if max(_blocks(phase.shape)) > 1:
        phase = np.argmax(_shares(phase, count), axis=0)
    return np.ascontiguousarray(phase.transpose(2, 1, 0))


def _shares(phase: np.ndarray, count: int) -> np.ndarray:
    """(count, Z, Y, X) share of each phase in the blocks that become one voxel."""
    block = _blocks(phase.shape)
    kept = tuple(slice(0, n // b * b) for n, b in zip(phase.shape, block, strict=True))
    split = [size for n, b in zip(phase.shape, block, strict=True) for size in (n // b, b)]
    return np.array([(phase[kept] == k).reshape(split).mean(axis=(1, 3, 5)) for k in range(count)])


def _mixed(phase: np.ndarray, moduli: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels [x, y, z] of blocks of one composition, and the mean stiffness of each label."""
    shares = np.rint(_shares(phase, len(moduli)) * MIXTURES).transpose(3, 2, 1, 0)
    found, labels = np.unique(shares.reshape(-1, len(moduli)), axis=0, return_inverse=True)
    weights = (found / found.sum(axis=1, keepdims=True)).astype(moduli.dtype)
    return labels.reshape(shares.shape[:3]), np.tensordot(weights, moduli, axes=1)


def _blocks(shape: tuple[int, ...]) -> list[int]:
    """How many voxels along each axis become one."""
    return [max(1, -(-n // MOST_EDGE)) for n in shape]


def _homogenized(labels: np.ndarray, moduli: np.ndarray, step: tuple[float, ...]) -> np.ndarray:
    """(6, 6) stiffness of labels [x, y, z]; nothing carries load where everything is empty."""
    if not moduli[np.unique(labels)].any():
        return np.zeros((6, 6))
    settings: dict[str, Any] = {"step": step, "scheme": "rotated", "tolerance": TOLERANCE}
    try:
        found = homogenize(labels, moduli, max_iterations=MOST_ITERATIONS, **settings)
    except ConvergenceError:  # loose parts: a body that nothing holds has no equilibrium
        filling = FILLING * moduli.max(axis=0)
        filled = np.where(np.any(moduli, axis=(1, 2), keepdims=True), moduli, filling)
        found = homogenize(labels, filled, **settings)
    return np.asarray(found.stiffness, float)


def _eighths(volume: np.ndarray) -> Iterator[np.ndarray]:
    """The eight parts of a volume cut in two along each axis (fewer of a thin one)."""
    cuts = [
        [slice(None)] if n < 2 * PARTS else [slice(0, n // 2), slice(n // 2, n // 2 * 2)]
        for n in volume.shape
    ]
    for z in cuts[0]:
        for y in cuts[1]:
            for x in cuts[2]:
                yield volume[z, y, x]


def _cautions(segmentation: VolumeSegmentation) -> list[str]:
    told = []
    if not segmentation.calibrated:
        told.append("voxel size not known: lengths are in voxels; give --voxel-size")
    if len(segmentation.phases) == 1:
        told.append("one phase only: the grey values show no second one")
    return told
