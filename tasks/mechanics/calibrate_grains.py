"""How wide the intervals of the grain network must be, from volumes it was not trained on.

Errors are measured in units that metals and loads share: those of a grain's stress in the root
of the squared stresses that its neighbours exchange with it, those of the stiffness in the gap
between the bounds. What is left for the stress is a line in the squared contrast of the volume,
for the stiffness a few standard deviations; both are then scaled so that the intervals hold what
they shall: split conformal calibration, for each kind of grain apart.

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

from xtalfuse.datasets.sets.mechanics_sample import SingleCrystal
from xtalfuse.encoders.networks.grains import GrainNetwork, GrainStrain
from xtalfuse.encoders.networks.pairs import grain_stiffness, pair_data
from xtalfuse.physics.estimate import NORMAL_QUANTILE
from xtalfuse.physics.mechanics.bounds import at_place, place_between
from xtalfuse.physics.mechanics.elasticity import reuss, voigt
from xtalfuse.tasks.mechanics.grains import COVERAGE, StiffnessSpread, grain_kinds

MARGIN = 4  # voxels cut from each side of a periodic volume to make an open one


def open_example(
    material: SingleCrystal, index: int, *, grid: int = 32, grains: int = 200, seed: int = 0
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
    from xtalfuse.datasets.simulate.polycrystal import PhaseSpec, PolycrystalSpec, polycrystal
    from xtalfuse.physics.grains.crystal_map import MapPhase
    from xtalfuse.physics.grains.graph import from_labels
    from xtalfuse.physics.mechanics.elasticity import rotate_stiffness
    from xtalfuse.physics.mechanics.homogenization import effective_stiffness

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
    Plain values, from which :class:`~xtalfuse.tasks.mechanics.grains.NetworkErrors` is read
    """
    stress: dict[str, list[tuple[float, np.ndarray]]] = {}
    contrasts, answers = [], []
    with torch.no_grad():
        for data in (*periodic, *opened):
            found = network(data)
            answers.append(found)
            contrast = float((data.share * found.contrast).sum())
            contrasts.append(contrast)
            errors = stress_errors(data, found)
            for kind in sorted(set(data.kind)):
                these = torch.tensor([each == kind for each in data.kind])
                stress.setdefault(kind, []).append((contrast, errors[these].flatten().numpy()))
    return {
        "stress": {kind: _quantile_line(pairs) for kind, pairs in sorted(stress.items())},
        "stiffness": _place_errors(periodic, [found.concentration for found in answers], contrasts),
        "contrast": max(contrasts),
        "volumes": [len(periodic), len(opened)],
    }


def stress_errors(data: Data, found: GrainStrain) -> torch.Tensor:
    """(n, 6, 6) errors of the stress for six unit strains, over the exchanged stress."""
    error = (data.stiffness @ found.concentration - data.stress).abs()
    return error / found.exchanged.diagonal(dim1=-2, dim2=-1).sqrt()[:, None, :]


def _place_errors(
    examples: Sequence[Data], strains: Sequence[torch.Tensor], contrasts: Sequence[float]
) -> dict[str, float]:
    """How far the true stiffness is from the predicted one, as a place between the bounds.

    The error of S is a shift common to all directions, with a mean (``bias``) and a standard
    deviation (``shift``), and independent entries of variance ``floor^2 + single^2 / n`` for n
    grains of equal volume. The last three are scaled, by a line in the squared contrast, so
    that the intervals of entries of the stiffness hold what they shall.
    """
    shifts, variances, inverse = [], [], []
    for data, strain in zip(examples, strains, strict=False):
        place, true, low, high = places(data, strain)
        inside = place_between(high, low, high)  # 1 where the bounds part, else 0
        rank = float(inside.trace())
        error = true - place
        shifts.append(float(error.trace()) / rank)
        rest = error - shifts[-1] * inside
        variances.append(float((rest**2).sum()) / (0.5 * rank * (rank + 1.0)))
        inverse.append(float((data.share**2).sum()))
    single, floor = _line(np.array(inverse), np.array(variances), 1.0 / np.array(variances))
    found = {
        "bias": float(np.mean(shifts)), "shift": float(np.std(shifts)),
        "floor": float(np.sqrt(floor)), "single": float(np.sqrt(single)),
    }  # fmt: skip
    line = StiffnessSpread(**found)
    i, j = torch.triu_indices(6, 6)
    ratios = []
    for data, strain, contrast in zip(examples, strains, contrasts, strict=False):
        place, true, low, high = places(data, strain)
        value = at_place(place + line.bias * torch.eye(6).double(), low, high)
        half = NORMAL_QUANTILE * line.of_entries(low, high, float((data.share**2).sum()))[i, j]
        error = (value - at_place(true, low, high))[i, j].abs()
        ratios.append((contrast, (error / half)[half > 1e-6 * half.max()].numpy()))
    constant, slope = _quantile_line(ratios)
    scaled = {n: value if n == "bias" else value * constant for n, value in found.items()}
    return {**scaled, "contrast": slope / constant}


def places(data: Data, strain: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Predicted and true place of a volume between its bounds, and Reuss and Voigt; (6, 6)."""
    share = data.share
    low, high = reuss(data.stiffness, share), voigt(data.stiffness, share)
    raw = torch.einsum("n,nab->ab", share, data.stiffness @ strain)
    true = torch.einsum("n,nab->ab", share, data.stress)
    return place_between(raw, low, high), place_between(true, low, high), low, high


def _quantile_line(pairs: Sequence[tuple[float, np.ndarray]]) -> list[float]:
    """(a, b) with a + b contrast^2 above the errors in 90 of 100 cases; b is not negative."""
    square = np.array([contrast for contrast, _ in pairs]) ** 2
    quantile = np.array([np.quantile(errors, COVERAGE) for _, errors in pairs])
    b, a = _line(square, quantile, np.ones_like(square))
    ratios = [errors / (a + b * s) for (_, errors), s in zip(pairs, square, strict=True)]
    factor = float(np.quantile(np.concatenate(ratios), COVERAGE))
    return [float(a) * factor, float(b) * factor]


def _line(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope and height of the line through points; level where it would fall or be negative."""
    if np.ptp(x) > 1e-6 * np.abs(x).max():
        slope, height = np.polyfit(x, y, 1, w=weight)
        if slope >= 0.0 and height > 0.0:
            return float(slope), float(height)
    return 0.0, float(np.mean(y))
