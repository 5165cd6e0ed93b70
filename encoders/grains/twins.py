"""Boundaries of twins: Sigma 3 in cubic crystals, the four common laws of hexagonal metals."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from xtalfuse.physics.grains.crystal_map import MapPhase
from xtalfuse.physics.grains.graph import GrainGraph

SIGMA3 = "3"  # coincidence site lattice of the twins of fcc and bcc metals
# Twin planes of hexagonal close packed metals, (h k l); each lattice is turned by 180 degrees
# about the normal. Christian, J. W. & Mahajan, S. (1995). Prog. Mater. Sci. 39, 1, table 6.
HCP_PLANES = {
    "{10-12}": (1, 0, 2),
    "{10-11}": (1, 0, 1),
    "{11-21}": (1, 1, 1),
    "{11-22}": (1, 1, 2),
}
HCP_RATIO = (1.5, 1.95)  # c/a of the metals: beryllium 1.57 to cadmium 1.89
TOLERANCE_DEG = 5.0  # from a twin law of a hexagonal metal, as usual for maps of them


def twin_boundaries(graph: GrainGraph, sigma: np.ndarray) -> np.ndarray:
    """(m,) bool: which boundaries are those of a twin that is known.

    Parameters
    ----------
    graph : of a map
    sigma : (m,) names of the coincidence site lattices of its boundaries
    """
    from xtalfuse.physics.orientation.disorientation import disorientation_angle, multiply

    found = sigma == SIGMA3
    for number, phase in enumerate(graph.phases):
        inside = np.flatnonzero(
            np.isfinite(graph.misorientation) & (graph.phase[graph.edges[0]] == number)
        )
        for turn in hcp_turns(phase) if len(inside) else ():
            a, b = graph.orientation[graph.edges[:, inside]]
            away = disorientation_angle(multiply(np.broadcast_to(turn, a.shape), a), b, "6/mmm")
            found[inside] |= away < np.radians(TOLERANCE_DEG)
    return found


def hcp_turns(phase: MapPhase) -> np.ndarray:
    """(k, 4) rotations in the crystal frame from a hexagonal metal to its twins; none of others."""
    from xtalfuse.physics.orientation.disorientation import laue_operators, rotate

    if phase.laue != "6/mmm" or phase.cell is None:
        return np.zeros((0, 4))
    ratio = phase.cell[2] / phase.cell[0]
    if not HCP_RATIO[0] < ratio < HCP_RATIO[1]:
        return np.zeros((0, 4))
    h, k, length = np.array(list(HCP_PLANES.values()), float).T
    normal = np.stack([h, (h + 2.0 * k) / sqrt(3.0), length / ratio], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    operators = laue_operators(phase.laue)
    every = rotate(operators[:, None], normal[None]).reshape(-1, 3)
    half_turns = np.concatenate([np.zeros((len(every), 1)), every], axis=1)
    same = np.abs(half_turns @ half_turns.T) > 1.0 - 1e-9
    return half_turns[same.argmax(axis=1) == np.arange(len(every))]


def twin_notes(phases: Sequence[MapPhase]) -> list[str]:
    """What merging twins does in each crystalline phase where they are not Sigma 3."""
    told = []
    for phase in phases:
        if phase.laue is None or phase.laue.startswith("m-3"):
            continue
        if len(hcp_turns(phase)):
            laws = ", ".join(HCP_PLANES)
            told.append(f"{phase.name}: twins merged are {laws}, to {TOLERANCE_DEG:g} degrees")
        else:
            why = "the cell is not known" if phase.cell is None else "its twins are not known"
            told.append(f"{phase.name}: no twins were merged: {why}")
    return told
