"""What ring radii say about a lattice: families of ratios, forbidden rings, observable axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xtalfuse.physics.crystal.diffraction import quadratic_form, reciprocal_metric

RATIO_TOLERANCE = 0.005  # relative; the accuracy asked of ratios without calibration
FAMILIES: dict[str, tuple[int, ...]] = {
    "face-centred cubic lattice": (3, 4, 8, 11, 12, 16, 19, 20, 24, 27, 32, 35, 36, 40),
    "diamond lattice": (3, 8, 11, 16, 19, 24, 27, 32, 35, 40),
    "body-centred cubic lattice": (2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24),
    "primitive cubic lattice": (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20),
    "hexagonal net (1 : 1.732 : 2 : 2.646)": (1, 3, 4, 7, 9, 12, 13, 16, 19, 21, 25, 27, 28),
    "square net (1 : 1.414 : 2 : 2.236)": (1, 2, 4, 5, 8, 9, 10, 13, 16, 17, 18, 20, 25),
}
_CENTRING = {
    "P": lambda h, k, m: np.full(h.shape, True),
    "I": lambda h, k, m: (h + k + m) % 2 == 0,
    "F": lambda h, k, m: ((h + k) % 2 == 0) & ((h + m) % 2 == 0),
    "A": lambda h, k, m: (k + m) % 2 == 0,
    "B": lambda h, k, m: (h + m) % 2 == 0,
    "C": lambda h, k, m: (h + k) % 2 == 0,
}


def lattice_families(radius: np.ndarray, relative_su: np.ndarray) -> tuple[str, ...]:
    """Simple lattices and planar nets whose ratios of |g| are those of the rings.

    A family is named when every ring has a place in it, and hardly fewer places up to the
    last ring are empty than in the family that fits best: one with many places fits anything.
    """
    if len(radius) < 3:
        return ()
    found: dict[str, int] = {}
    tolerance = np.maximum(3.0 * relative_su, RATIO_TOLERANCE)
    for name, squares in FAMILIES.items():
        places = np.sqrt(np.array(squares, float))
        for first in range(2):
            scale = places[first] / radius[0]
            off = np.abs(radius[:, None] * scale / places[None, :] - 1.0)
            nearest = off.argmin(1)
            empty = int(nearest[-1] - first + 1 - len(radius))
            if np.all(off.min(1) < tolerance) and len(set(nearest)) == len(radius):
                found[name] = min(empty, found.get(name, empty))
    least = min(found.values(), default=0)
    return tuple(name for name, empty in found.items() if empty <= least + 1)


def forbidden_match(
    g: float, cell: tuple[float, ...], space_group: str, tolerance: float = 0.01
) -> bool:
    """Whether a lattice point that the centring allows lies at |g| (1/angstrom).

    A ring there that the structure factor forbids (glide plane, screw axis, special
    position) can come from double diffraction: the sum of two allowed reflections.
    """
    limits = [int(length * g * 1.02) for length in cell[:3]]
    if np.prod([2 * n + 1 for n in limits]) > 20000:
        return False
    grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in limits], indexing="ij"), -1)
    hkl = grid.reshape(-1, 3)
    h, k, m = hkl.T
    letter = space_group.strip()[0]
    if letter == "R":
        allowed = (-h + k + m) % 3 == 0 if abs(cell[5] - 120.0) < 0.1 else np.full(h.shape, True)
    else:
        allowed = _CENTRING.get(letter, _CENTRING["P"])(h, k, m)
    length = np.sqrt(np.maximum(quadratic_form(hkl[allowed]) @ reciprocal_metric(cell), 0.0))
    return bool(np.any(np.abs(length / g - 1.0) < tolerance))


def free_parameters(cell: tuple[float, ...], crystal_system: str) -> dict[str, tuple[int, ...]]:
    """Free cell parameters of a crystal system, and the places in the cell they stand for."""
    hexagonal = abs(cell[5] - 120.0) < 1e-3 and abs(cell[3] - 90.0) < 1e-3
    table: dict[str, dict[str, tuple[int, ...]]] = {
        "cubic": {"a": (0, 1, 2)},
        "tetragonal": {"a": (0, 1), "c": (2,)},
        "hexagonal": {"a": (0, 1), "c": (2,)},
        "trigonal": {"a": (0, 1), "c": (2,)} if hexagonal else {"a": (0, 1, 2), "alpha": (3, 4, 5)},
        "orthorhombic": {"a": (0,), "b": (1,), "c": (2,)},
    }
    if crystal_system in table:
        return table[crystal_system]
    lengths: dict[str, tuple[int, ...]] = {"a": (0,), "b": (1,), "c": (2,)}
    angles: dict[str, tuple[int, ...]] = {"alpha": (3,), "beta": (4,), "gamma": (5,)}
    if crystal_system == "monoclinic":
        tilted = max(angles, key=lambda name: abs(cell[angles[name][0]] - 90.0))
        return lengths | {tilted: angles[tilted]}
    return lengths | angles


def observability(
    cell: tuple[float, ...],
    crystal_system: str,
    matched: Sequence[Sequence[tuple[int, int, int]]],
    *,
    scale_known: bool,
) -> dict[str, str]:
    """What the matched rings determine of each free cell parameter.

    Parameters
    ----------
    cell, crystal_system : of the candidate
    matched : for each matched ring the hkl that may have made it
    scale_known : whether the camera constant is known

    Returns
    -------
    parameter -> ``"observed"``; ``"only up to the camera constant"``; ``"not observable"``
    when every ring can be a reflection that does not depend on it (hk0 and c); ``"not
    separable"`` when the rings fix only combinations of parameters
    """
    parameters = free_parameters(cell, crystal_system)
    slopes = [_slopes(cell, parameters, np.array(hkl)) for hkl in matched]  # [members, p]
    state: dict[str, str] = {}
    for k, name in enumerate(parameters):
        blind = all(np.any(np.abs(ring[:, k]) < 1e-6) for ring in slopes)
        state[name] = "not observable" if blind or not slopes else ""
    left = [k for k, name in enumerate(parameters) if not state[name]]
    names = list(parameters)
    design = np.array([ring[0, left] for ring in slopes]) if left else np.empty((0, 0))
    rank = int(np.linalg.matrix_rank(design, tol=1e-3)) if left else 0
    for k in left:
        if rank < len(left):
            state[names[k]] = "not separable"
        elif not scale_known and names[k] in ("a", "b", "c"):
            state[names[k]] = "only up to the camera constant"
        else:
            state[names[k]] = "observed"
    return state


def _slopes(
    cell: tuple[float, ...], parameters: dict[str, tuple[int, ...]], hkl: np.ndarray
) -> np.ndarray:
    """(n, p) change of log |g| for a relative change of each parameter."""
    form = quadratic_form(hkl)
    here = form @ reciprocal_metric(cell)
    columns = []
    for places in parameters.values():
        moved = list(cell)
        for place in places:
            moved[place] *= 1.0 + 1e-5
        columns.append(0.5 * (form @ reciprocal_metric(tuple(moved)) / here - 1.0) / 1e-5)
    return np.stack(columns, 1)
