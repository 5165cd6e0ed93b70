"""Slip and twinning systems of cubic and hexagonal crystals, with their critical stresses.

The crystal frame has x along a and z along c, as orientations have it. A system shears its plane
(unit normal n) along a direction (unit vector b): the strain of a small shear g is
g (b n + n b) / 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from math import sqrt

import numpy as np

from xtalfuse.physics.orientation.laue import laue_operators
from xtalfuse.physics.orientation.quaternion import to_matrix

SAME = 1e-9  # unit vectors nearer than this are one


@dataclass(frozen=True)
class SlipMode:
    """A crystallographic family of systems.

    Parameters
    ----------
    plane : Miller indices (hkl) of one plane, for hexagonal crystals of three indices
    direction : [uvw] of one direction in it, for hexagonal crystals of three indices
    hexagonal : whether the indices are of a hexagonal cell, otherwise of a cubic one
    twin : whether it shears one way only
    """

    plane: tuple[int, int, int]
    direction: tuple[int, int, int]
    hexagonal: bool = False
    twin: bool = False


# Hexagonal indices in the notation of four: (hkil) is (hkl), [uvtw] is [u-t v-t w]. The sense of
# twinning: cubic twins of Christian & Mahajan (1995), Prog. Mater. Sci. 39, 1; the direction of
# {10-12} twins is turned by `_sense`, that of {11-22} and {10-11} always shortens the c axis.
MODES = {
    "octahedral": SlipMode((1, 1, 1), (0, 1, -1)),  # {111}<110>, fcc
    "octahedral_twin": SlipMode((1, 1, 1), (1, 1, -2), twin=True),  # {111}<112>, fcc
    "bcc_110": SlipMode((0, 1, -1), (1, 1, 1)),  # {110}<111>
    "bcc_112": SlipMode((1, 1, -2), (1, 1, 1)),  # {112}<111>
    "bcc_123": SlipMode((1, 2, -3), (1, 1, 1)),  # {123}<111>
    "bcc_twin": SlipMode((1, 1, 2), (-1, -1, 1), twin=True),  # {112}<111>
    "cube": SlipMode((0, 0, 1), (1, 1, 0)),  # {100}<110>, Ni3Al when hot
    "rock_salt": SlipMode((1, 1, 0), (1, -1, 0)),  # {110}<1-10>, NaCl, MgO
    "basal": SlipMode((0, 0, 1), (1, 0, 0), True),  # (0001)<11-20>
    "prismatic": SlipMode((0, 1, 0), (1, 0, 0), True),  # {10-10}<11-20>
    "pyramidal_a": SlipMode((0, 1, 1), (1, 0, 0), True),  # {10-11}<11-20>
    "pyramidal_ca": SlipMode((1, 0, 1), (-1, -1, 1), True),  # {10-11}<11-23>, first order
    "pyramidal_ca_2": SlipMode((1, 1, 2), (-1, -1, 1), True),  # {11-22}<11-23>, second order
    "tensile_twin": SlipMode((1, 0, 2), (-2, -1, 1), True, True),  # {10-12}<10-11>
    "compressive_twin": SlipMode((1, 1, 2), (1, 1, -1), True, True),  # {11-22}<11-23>
    "compressive_twin_1": SlipMode((1, 0, 1), (2, 1, -2), True, True),  # {10-11}<10-12>
}
FAMILIES = {
    "fcc": ("octahedral",),
    "bcc": ("bcc_110", "bcc_112"),
    "bcc_pencil": ("bcc_110", "bcc_112", "bcc_123"),
    "hcp": ("basal", "prismatic", "pyramidal_a", "pyramidal_ca"),
}


@dataclass(frozen=True, eq=False)
class SlipSystems:
    """The systems of a crystal.

    Parameters
    ----------
    normal : (m, 3) unit normals of the planes, crystal frame
    direction : (m, 3) unit directions of shear, crystal frame
    critical_stress : (m,) resolved shear stress at which each moves, any unit
    twin : (m,) bool, whether it moves one way only
    modes : (m,) names from `MODES`
    """

    normal: np.ndarray
    direction: np.ndarray
    critical_stress: np.ndarray
    twin: np.ndarray
    modes: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.normal)

    @property
    def schmid(self) -> np.ndarray:
        """(m, 3, 3) symmetric Schmid tensors (b n + n b) / 2: strain of each per unit shear."""
        shear = self.direction[:, :, None] * self.normal[:, None, :]
        return 0.5 * (shear + shear.swapaxes(1, 2))


@lru_cache(maxsize=256)
def slip_systems(
    family: str | tuple[str, ...],
    critical_stress: float | tuple[float, ...] = 1.0,
    c_over_a: float | None = None,
) -> SlipSystems:
    """All systems of a family of modes.

    Parameters
    ----------
    family : a name in `FAMILIES` (``"fcc"``, ``"bcc"``, ``"bcc_pencil"``, ``"hcp"``) or in
        `MODES`, or several names of `MODES`
    critical_stress : resolved shear stress at which slip begins, any unit; one for all modes, or
        one for each. The default of 1 gives Taylor factors without unit
    c_over_a : of a hexagonal cell; needed if a mode is hexagonal

    Raises
    ------
    ValueError
        If a name is not known, cubic and hexagonal modes are mixed, the axial ratio is missing,
        or the critical stresses are not one for each mode and positive.
    """
    names = FAMILIES.get(family, (family,)) if isinstance(family, str) else tuple(family)
    stresses = _one_each(names, critical_stress)
    kinds = {_mode(name).hexagonal for name in names}
    if len(kinds) != 1:
        raise ValueError(f"the modes {names} must be all of a cubic or all of a hexagonal crystal")
    if kinds == {True} and (c_over_a is None or not 0.5 < c_over_a < 5.0):
        raise ValueError(f"hexagonal slip needs c/a of the cell, a number near 1.6, not {c_over_a}")
    parts = [_orbit(_mode(name), c_over_a) for name in names]
    counts = [len(normal) for normal, _ in parts]
    return SlipSystems(
        normal=np.concatenate([normal for normal, _ in parts]),
        direction=np.concatenate([direction for _, direction in parts]),
        critical_stress=np.repeat(stresses, counts),
        twin=np.repeat([_mode(name).twin for name in names], counts),
        modes=tuple(np.repeat(names, counts).tolist()),
    )


def _mode(name: str) -> SlipMode:
    if name not in MODES:
        near = get_close_matches(name, [*MODES, *FAMILIES], 1, 0.0)[0]
        known = ", ".join([*FAMILIES, *MODES])
        raise ValueError(f"no slip mode {name!r}; did you mean {near!r}? There are {known}")
    return MODES[name]


def _one_each(names: Sequence[str], stress: float | tuple[float, ...]) -> np.ndarray:
    values = np.atleast_1d(np.asarray(stress, float))
    if len(values) == 1:
        values = np.repeat(values, len(names))
    if len(values) != len(names) or not (np.isfinite(values) & (values > 0.0)).all():
        raise ValueError(
            f"critical stresses {stress} must be positive, one for all or one for each of {names}"
        )
    return values


def _orbit(mode: SlipMode, c_over_a: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Normals and directions (m, 3) of all systems equal to one by the crystal's symmetry."""
    lattice = np.eye(3)
    if mode.hexagonal:
        lattice = np.array([[1.0, 0.0, 0.0], [-0.5, sqrt(0.75), 0.0], [0.0, 0.0, c_over_a or 1.0]])
    normal = np.linalg.inv(lattice) @ np.array(mode.plane, float)
    direction = _sense(mode, c_over_a) * np.array(mode.direction, float) @ lattice
    operators = np.asarray(to_matrix(laue_operators("6/mmm" if mode.hexagonal else "m-3m")))
    normals = operators @ (normal / np.linalg.norm(normal))
    directions = operators @ (direction / np.linalg.norm(direction))
    kept = [0]
    for i in range(1, len(normals)):
        if not any(
            _same(normals[i], directions[i], normals[j], directions[j], mode.twin) for j in kept
        ):
            kept.append(i)
    return normals[kept], directions[kept]


def _sense(mode: SlipMode, c_over_a: float | None) -> float:
    """{10-12} twins lengthen the c axis where c/a < sqrt(3) and shorten it where it is more."""
    is_tensile = mode == MODES["tensile_twin"]
    return -1.0 if is_tensile and c_over_a is not None and c_over_a > sqrt(3.0) else 1.0


def _same(n1: np.ndarray, b1: np.ndarray, n2: np.ndarray, b2: np.ndarray, twin: bool) -> bool:
    """Whether two systems shear alike; slip goes both ways, a twin only along (b n)."""
    same = float(abs(b1[:, None] * n1 - b2[:, None] * n2).max()) < SAME
    opposite = float(abs(b1[:, None] * n1 + b2[:, None] * n2).max()) < SAME
    return same or (opposite and not twin)
