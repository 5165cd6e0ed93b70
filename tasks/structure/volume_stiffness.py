"""Effective stiffness of the phases of a volume, by FFT homogenization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xtalfuse.encoders.volume.segment import VolumeSegmentation
from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.mechanics.elasticity import hill_moduli, isotropic_stiffness
from xtalfuse.physics.mechanics.homogenization import ConvergenceError, homogenize
from xtalfuse.tasks.structure.materials import Material, constants_used, missing_constants
from xtalfuse.tasks.structure.stiffness import scattered

MOST_EDGE = 48  # voxels of an edge that is homogenized; larger volumes are made coarser
LEAST_EDGE = 8  # voxels of the part of a volume that is homogenized
UNLIKE = 2.0  # power of the solid share that a foam's stiffness goes with (Gibson & Ashby)
PARTS = 2  # the volume is cut in as many along each axis, to see how parts differ
SAMPLES = 200
TOLERANCE = 2e-3  # of the strain; the stiffness has about its square
MOST_ITERATIONS = 400  # connected foams need some 120
MIXTURES = 16  # steps of the share of a phase in a block
COARSE = 0.1  # of the stiffness: what may be lost by joining voxels without a word
FILLING = 1e-4  # of the solid's stiffness, put into pores where loose parts leave no equilibrium
SAMPLED = "standard uncertainty from how the eighths of the volume differ"
SAMPLED_SOLID = f"{SAMPLED}, and from the constants"


def volume_stiffness(
    segmentation: VolumeSegmentation, materials: Sequence[Material]
) -> tuple[Estimate | None, list[str]]:
    """Effective stiffness by FFT, each phase an untextured polycrystal; or what is missing.

    A volume too large for that is made coarser. Blocks of the commonest phase part thin walls,
    blocks of mean stiffness join them: the stiffness may be anywhere between the two.
    """
    present = [m for m, share in zip(materials, segmentation.fractions, strict=True) if share > 0]
    missing = missing_constants(present)
    if missing or all(material.phase.pore for material in present):
        return None, missing
    moduli = np.array([_isotropic(material) for material in materials], np.float32)
    phase = segmentation.core
    if min(phase.shape) < LEAST_EDGE:
        return None, ["no elastic properties: no box of the specimen is large enough"]
    coarse = coarsened(phase, len(materials))
    blocks = zip(segmentation.step_um, _blocks(phase.shape), strict=True)
    step = tuple(size * block for size, block in blocks)[::-1]
    validity, told = SAMPLED_SOLID, list[str]()
    try:
        whole = _homogenized(coarse, moduli, step)
        axes = carrying(coarse, materials)
        if not axes or np.trace(whole) < 3.0 * FILLING * np.trace(moduli.max(axis=0)):
            return None, ["no elastic properties: no solid reaches through to carry a load"]
        parts = np.array([_homogenized(part, moduli, step) for part in eighths(coarse)])
        joined = None
        if coarse.size < phase.size:
            joined = _homogenized(*_mixed(phase, moduli), step)
    except ConvergenceError as error:
        return None, [f"no elastic properties: the homogenization did not converge: {error}"]
    samples = scattered(_resampled(whole, parts), present)
    if segmentation.inside is not None:
        samples = samples * _unlike(segmentation, materials)
        validity += "; a box of the specimen stands for all of it"
    if joined is not None:
        whole, samples, told = _between(whole, joined, samples)
        validity += "; voxels were joined: from parted to mixed blocks"
    if len(axes) < 3:
        whole, samples = _carried(whole, axes), _carried(samples, axes)
        told.append(
            f"no solid reaches through along {' and '.join(sorted(set('xyz') - set(axes)))}: "
            "nothing is carried there, and there are no moduli of all directions"
        )
    edge = "x".join(str(n) for n in coarse.shape)
    return Estimate(
        "stiffness",
        whole,
        samples.std(axis=0),
        "GPa",
        f"FFT homogenization of {edge} voxels, rotated scheme",
        (
            *constants_used(present),
            "each phase is isotropic, an untextured polycrystal (Hill)",
            "the volume is repeated periodically",
            f"stiffness below {FILLING:g} of the solid's is none",
        ),
        validity,
        samples=samples,
    ), told


def _between(
    parted: np.ndarray, joined: np.ndarray, samples: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The middle of two stiffnesses, samples from one to the other, and what to say of it."""
    half = 0.5 * (joined - parted)
    place = np.random.default_rng(2).uniform(-1.0, 1.0, (SAMPLES, 1, 1))
    whole = parted + half
    told = []
    if (share := np.trace(half) / np.trace(whole)) > COARSE:
        told.append(
            f"the stiffness is that of a coarser volume, known to {share:.0%} only; cut a "
            f"part of {MOST_EDGE} voxels along each edge out of it for a better one"
        )
    return whole, samples + half + place * half, told


def carrying(coarse: np.ndarray, materials: Sequence[Material]) -> str:
    """Axes, of ``"xyz"``, along which solid reaches from face to face through faces of voxels.

    Parameters
    ----------
    coarse : [x, y, z] phases
    materials : of each phase
    """
    import cc3d

    solid = ~np.isin(coarse, [k for k, m in enumerate(materials) if m.phase.pore])
    bodies: np.ndarray = np.asarray(
        cc3d.connected_components(np.ascontiguousarray(solid, np.uint8), connectivity=6)
    )
    faces = [(bodies.take(0, axis), bodies.take(-1, axis)) for axis in range(3)]
    return "".join(
        name
        for name, (one, other) in zip("xyz", faces, strict=True)
        if np.intersect1d(one[one > 0], other[other > 0]).size
    )


def _carried(stiffness: np.ndarray, axes: str) -> np.ndarray:
    """Stiffness without what is only the filling of pores: nothing along the other axes.

    No stress along or across an axis that nothing reaches through along: its rows are none.
    """
    lost = [k for k, pair in enumerate(("x", "y", "z", "yz", "xz", "xy")) if set(pair) - set(axes)]
    found = stiffness.copy()
    found[..., lost, :] = 0.0
    found[..., :, lost] = 0.0
    return found


def _unlike(segmentation: VolumeSegmentation, materials: Sequence[Material]) -> np.ndarray:
    """(k, 1, 1) factors: the box may hold more or less solid than the specimen around it."""
    solid = [k for k, found in enumerate(materials) if not found.phase.pore]
    here = np.isin(segmentation.core, solid).mean()
    away = UNLIKE * abs(here / segmentation.fractions[solid].sum() - 1.0)
    return np.random.default_rng(3).normal(1.0, away, (SAMPLES, 1, 1))


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
    block = _blocks(phase.shape)
    if max(block) > 1:
        shares = _shares(phase, count)
        commonest = shares == shares.max(axis=0)
        found = np.argmax(commonest, axis=0)
        tied = commonest.sum(axis=0) > 1
        # of a tie the phase that comes first in the block: whatever number a phase has
        for place in reversed(list(np.ndindex(*block))):
            corner = phase[
                tuple(
                    slice(p, n // b * b, b)
                    for p, n, b in zip(place, phase.shape, block, strict=True)
                )
            ]
            own = np.take_along_axis(commonest, corner[None].astype(np.int64), axis=0)[0]
            found = np.where(tied & own, corner, found)
        phase = found
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


def eighths(volume: np.ndarray) -> Iterator[np.ndarray]:
    """The eight parts of a volume cut in two along each axis (fewer of a thin one)."""
    cuts = [
        [slice(None)] if n < 2 * PARTS else [slice(0, n // 2), slice(n // 2, n // 2 * 2)]
        for n in volume.shape
    ]
    for z in cuts[0]:
        for y in cuts[1]:
            for x in cuts[2]:
                yield volume[z, y, x]
