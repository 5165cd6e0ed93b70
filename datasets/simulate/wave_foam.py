"""Synthetic nanoporous metals: random waves of one length, cut at a level.

A sum of plane waves of equal length and random phase models a mixture that has separated by
spinodal decomposition (Cahn 1965); where it is high lies metal. With wave vectors that fit the
box the volume is periodic. Every volume is a function of (seed, index) alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np


@dataclass(frozen=True)
class WaveFoamSpec:
    """What a foam shall be.

    Parameters
    ----------
    size : voxels along each edge
    squared_waves : squared numbers of wavelengths in an edge; one is drawn for each volume. 9
        has 15 wave vectors apart from their sign: (3, 0, 0), (2, 2, 1) and their like
    fraction : least and largest share of metal
    """

    size: int = 48
    squared_waves: tuple[int, ...] = (9,)
    fraction: tuple[float, float] = (0.28, 0.42)


def wave_vectors(squared: int) -> np.ndarray:
    """(n, 3) integer vectors of a squared length, one of each pair of opposite ones.

    Raises
    ------
    ValueError
        If no integer vector has this length.
    """
    reach = range(-int(squared**0.5), int(squared**0.5) + 1)
    found = [v for v in product(reach, repeat=3) if sum(x * x for x in v) == squared]
    if not found or squared < 1:
        raise ValueError(f"no wave fits a box with {squared} as squared number of wavelengths")
    return np.array([v for v in found if v > (0, 0, 0)])


def wave_foam(seed: int, index: int, spec: WaveFoamSpec | None = None) -> np.ndarray:
    """(N, N, N) uint8, 1 in the metal; of bodies that do not touch only the largest is kept.

    Parameters
    ----------
    seed, index : of the series, and the number in it; nothing else is left to chance
    spec : of the foam; the default one where it is None

    References
    ----------
    Cahn, J. W. (1965). J. Chem. Phys. 42, 93. doi:10.1063/1.1695731
    Soyarslan, C., Bargmann, S., Pradas, M. & Weissmüller, J. (2018). Acta Mater. 149, 326.
    doi:10.1016/j.actamat.2018.01.005
    """
    import cc3d

    spec = spec or WaveFoamSpec()
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
    vectors = wave_vectors(int(rng.choice(spec.squared_waves)))
    phases = rng.uniform(0.0, 2.0 * np.pi, len(vectors))
    line = 2.0 * np.pi * (np.arange(spec.size) + 0.5) / spec.size
    field = np.zeros((spec.size,) * 3)
    for (h, k, m), phase in zip(vectors, phases, strict=True):
        along = h * line[:, None, None] + k * line[:, None] + m * line
        field += np.cos(along + phase)
    level = np.quantile(field, 1.0 - rng.uniform(*spec.fraction))
    bodies = cc3d.connected_components(
        (field > level).astype(np.uint8), connectivity=6, periodic_boundary=True
    )
    sizes = np.bincount(bodies.ravel())
    sizes[0] = 0
    return (bodies == sizes.argmax()).astype(np.uint8)
