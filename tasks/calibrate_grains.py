"""How wide the intervals of the grain network must be, from volumes it was not trained on.

Errors are measured in units that metals and loads share: those of a grain's stress in the root
of the squared stresses that its neighbours exchange with it, those of the stiffness in the gap
between the bounds. What is left is a line in the squared contrast of the volume, scaled so that
the intervals hold what they shall: split conformal calibration, for each kind of grain apart.

References
----------
Angelopoulos, A. N. & Bates, S. (2023). Found. Trends Mach. Learn. 16, 494.
doi:10.1561/2200000101
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Data

from xtalfuse.datasets.mechanics_sample import Material
from xtalfuse.encoders.grain_pairs import grain_stiffness, pair_data
from xtalfuse.encoders.grains import GrainNetwork, GrainStrain
from xtalfuse.physics.bounds import at_place, entry_scale, place_between
from xtalfuse.physics.elasticity import reuss, voigt
from xtalfuse.tasks.mechanics import COVERAGE, grain_kinds

MARGIN = 4  # voxels cut from each side of a periodic volume to make an open one


def open_example(
    material: Material, index: int, *, grid: int = 32, grains: int = 200, seed: int = 0
) -> Data:
    """A volume cut from a larger one: its outer grains are cut, what lies beyond is not known.

    Parameters
    ----------
    material : of the grains
    index, seed : of the volume
    grid, grains : voxels along an edge and number of grains before it is cut

    Returns
    -------
    Data as of ``pair_data`` with ``stress`` (n, 6, 6) of what is left of each grain for mean
    strains of the whole volume, ``share`` (n,) and ``kind``, a list of names
    """
    from xtalfuse.datasets.polycrystal import PhaseSpec, PolycrystalSpec, polycrystal
    from xtalfuse.physics.crystal_map import MapPhase
    from xtalfuse.physics.elasticity import rotate_stiffness
    from xtalfuse.physics.grain_graph import from_labels
    from xtalfuse.physics.homogenization import effective_stiffness

    phases = (PhaseSpec(MapPhase(material.name, material.laue)),)
    spec = PolycrystalSpec((grid,) * 3, grains=grains, phases=phases)
    whole = polycrystal(seed, index, spec)
    crystal = torch.tensor(material.stiffness, dtype=torch.float64)
    turned = rotate_stiffness(crystal, torch.as_tensor(whole.orientation)).float()
    inner = (slice(MARGIN, grid - MARGIN),) * 3
    kept, cut = np.unique(whole.labels[inner], return_inverse=True)
    cut = cut.reshape((grid - 2 * MARGIN,) * 3)
    graph = from_labels(cut, whole.orientation[kept], whole.phase[kept], whole.phases)
    # what is left of each grain is a grain of its own to the solver
    parts, count = whole.labels.astype(int), len(turned)
    parts[inner] = count + cut
    _, stress = effective_stiffness(parts, torch.cat([turned, turned[torch.as_tensor(kept)]]))
    data = pair_data(graph, grain_stiffness(graph, [crystal.numpy()]))
    return with_truth(data, stress[count:].double(), grain_kinds(graph))


def with_truth(data: Data, stress: torch.Tensor, kinds: list[str]) -> Data:
    """Add ``stress`` (n, 6, 6) GPa, ``share`` (n,), ``spread`` (1,) GPa^2 and ``kind``."""
    share = data.volume / data.volume.sum()
    away = stress - torch.einsum("n,nab->ab", share, stress)
    data.stress, data.share, data.kind = stress, share, kinds
    data.spread = torch.einsum("n,nab->", share, away**2)[None]
    return data


def calibrate(
    network: GrainNetwork, periodic: Sequence[Data], opened: Sequence[Data]
) -> dict[str, Any]:
    """Widths of the intervals that hold 90 of 100 true values.

    Parameters
    ----------
    network : float64
    periodic : volumes that it was not trained on, with ``stress``, ``share`` and ``kind``
    opened : the same, cut out of larger volumes

    Returns
    -------
    Plain values: ``stress`` kind of grain -> (a, b), ``stiffness`` (a, b), ``contrast``
    """
    stress: dict[str, list[tuple[float, np.ndarray]]] = {}
    stiffness, contrasts = [], []
    with torch.no_grad():
        for data in (*periodic, *opened):
            found = network(data)
            contrast = float((data.share * found.contrast).sum())
            contrasts.append(contrast)
            errors = stress_errors(data, found)
            for kind in sorted(set(data.kind)):
                these = torch.tensor([each == kind for each in data.kind])
                stress.setdefault(kind, []).append((contrast, errors[these].flatten().numpy()))
        for data, contrast in zip(periodic, contrasts, strict=False):
            stiffness.append((contrast, stiffness_errors(data, network(data)).numpy()))
    return {
        "stress": {kind: _quantile_line(pairs) for kind, pairs in sorted(stress.items())},
        "stiffness": _quantile_line(stiffness),
        "contrast": max(contrasts),
        "volumes": [len(periodic), len(opened)],
    }


def stress_errors(data: Data, found: GrainStrain) -> torch.Tensor:
    """(n, 6, 6) errors of the stress for six unit strains, over the exchanged stress."""
    error = (data.stiffness @ found.concentration - data.stress).abs()
    return error / found.exchanged.diagonal(dim1=-2, dim2=-1).sqrt()[:, None, :]


def stiffness_errors(data: Data, found: GrainStrain) -> torch.Tensor:
    """(21,) errors of the effective stiffness, in the gap of the bounds, scaled to one grain."""
    share = data.share
    low, high = reuss(data.stiffness, share), voigt(data.stiffness, share)
    raw = torch.einsum("n,nab->ab", share, data.stiffness @ found.concentration)
    true = torch.einsum("n,nab->ab", share, data.stress)
    value = at_place(place_between(raw, low, high), low, high)
    i, j = torch.triu_indices(6, 6)
    scale = entry_scale(low, high)[i, j]
    error = (value - 0.5 * (true + true.mT)).abs()[i, j]
    return (error / scale / (share**2).sum().sqrt())[scale > 1e-6 * scale.max()]


def _quantile_line(pairs: Sequence[tuple[float, np.ndarray]]) -> list[float]:
    """(a, b) with a + b contrast^2 above the errors in 90 of 100 cases; b is not negative."""
    square = np.array([contrast for contrast, _ in pairs]) ** 2
    quantile = np.array([np.quantile(errors, COVERAGE) for _, errors in pairs])
    b, a = np.polyfit(square, quantile, 1) if np.ptp(square) > 0 else (0.0, quantile.mean())
    if a <= 0.0 or b < 0.0:
        b, a = 0.0, quantile.mean()
    ratios = [errors / (a + b * s) for (_, errors), s in zip(pairs, square, strict=True)]
    factor = float(np.quantile(np.concatenate(ratios), COVERAGE))
    return [float(a) * factor, float(b) * factor]
