"""Symmetry and axes of crystals as EBSD programs write them.

Quaternions of this package refer to a crystal frame with x along a and z along c*
(z along a x b). EDAX and EMsoft use the same; Oxford Instruments puts z along c and x
perpendicular to b and c, which is another frame for trigonal, hexagonal, monoclinic and
triclinic crystals (30 degrees about c for hexagonal ones).

References
----------
Oxford Instruments NanoAnalysis HDF5 File Specification, "Definition of Coordinate Systems",
https://github.com/oinanoanalysis/h5oina
Britton, T. B. et al. (2016). Materials Characterization 117, 113. Which way is up?
"""

from __future__ import annotations

from enum import StrEnum
from math import cos, radians

import numpy as np

from xtalfuse.physics.orientation.point_group import laue_of, standard_laue

Cell = tuple[float, float, float, float, float, float]

# The 32 point groups in the order in which EDAX numbers them from 100.
_EDAX_POINT_GROUPS = (
    "1", "-1", "2", "m", "2/m", "222", "mm2", "mmm", "4", "-4", "4/m", "422", "4mm", "-42m",
    "4/mmm", "3", "-3", "32", "3m", "-3m", "6", "-6", "6/m", "622", "6mm", "-62m", "6/mmm",
    "23", "m-3", "432", "-43m", "m-3m",
)  # fmt: skip


class CrystalFrame(StrEnum):
    """Cartesian axes of the crystal to which a file's orientations refer."""

    OWN = "x along a, z along c*"
    OXFORD = "x perpendicular to b and c, z along c"
    UNKNOWN = "not told by the file; taken as x along a, z along c*"


def laue(
    symbol: str | int,
    numbering: str = "space group",
    cell: Cell | None = None,
    space_group: int = 0,
) -> str | None:
    """Laue group, in its setting, as `laue_of` gives it; None where that knows none.

    Parameters
    ----------
    symbol : text or number
    numbering : of a number: ``"space group"``, ``"oxford"`` or ``"edax"``; EDAX writes the
        rotations of the group (43, 62, ...) or 100 and the place of the point group (131)
    cell : its one oblique angle tells the unique axis of a monoclinic crystal
    space_group : number, where known: it parts P312 from P321, and helps where `symbol` is none
    """
    if 0 < space_group <= 230:
        of_space_group = laue_of(space_group, cell=cell)
        general = laue(symbol, numbering, cell)
        if general is None or standard_laue(general) == standard_laue(of_space_group):
            return of_space_group
    if numbering == "edax" and str(symbol).isdigit():
        place = int(symbol) - 100
        if 0 <= place < len(_EDAX_POINT_GROUPS):
            symbol = _EDAX_POINT_GROUPS[place]
    try:
        return laue_of(symbol, numbering, cell)
    except ValueError:
        return None


def right_angled(laue: str) -> bool:
    """Whether crystals of a Laue group have axes at right angles, so that all frames are one."""
    return standard_laue(laue) in ("mmm", "4/m", "4/mmm", "m-3", "m-3m")


def fits(laue: str, cell: Cell) -> bool:
    """Whether a cell can have a symmetry, within 2 % and 1 degree."""
    a, b, c, alpha, beta, gamma = cell
    laue = standard_laue(laue)

    def same(*lengths: float) -> bool:
        return max(lengths) <= 1.02 * min(lengths)

    def right(*angles: float) -> bool:
        return all(abs(angle - 90.0) <= 1.0 for angle in angles)

    if laue in ("m-3", "m-3m"):
        return same(a, b, c) and right(alpha, beta, gamma)
    if laue in ("4/m", "4/mmm"):
        return same(a, b) and right(alpha, beta, gamma)
    if laue == "mmm":
        return right(alpha, beta, gamma)
    hexagonal = same(a, b) and right(alpha, beta) and abs(gamma - 120.0) <= 1.0
    if laue in ("6/m", "6/mmm"):
        return hexagonal
    if laue in ("-3", "-3m"):
        return hexagonal or (same(a, b, c) and same(alpha, beta, gamma))
    if laue == "2/m":
        return sum(not right(angle) for angle in (alpha, beta, gamma)) <= 1
    return True


def possible(cell: Cell) -> bool:
    """Whether six numbers are a crystal's cell: lengths in angstrom, angles that close."""
    lengths, angles = cell[:3], cell[3:]
    if not all(0.5 < length < 1000.0 for length in lengths):
        return False
    if not all(10.0 < angle < 170.0 for angle in angles):
        return False
    return _volume_factor(cell) > 0.0


def from_oxford_frame(cell: Cell) -> np.ndarray:
    """(4,) quaternion that turns Oxford's crystal frame into that of this package.

    Multiply it from the left to an orientation. It is (1, 0, 0, 0) for cells with right angles.
    """
    from gemmi import UnitCell
    from scipy.spatial.transform import Rotation

    own = np.array(UnitCell(*cell).orth.mat.tolist())  # columns a, b, c: x along a, z along c*
    _, b, c = own.T
    z = c / np.linalg.norm(c)
    x = np.cross(b, c)
    x /= np.linalg.norm(x)
    oxford = np.stack([x, np.cross(z, x), z])  # v_oxford = oxford @ v_own
    turn = Rotation.from_matrix(oxford.T)
    return np.asarray(turn.as_quat(canonical=True, scalar_first=True))


def _volume_factor(cell: Cell) -> float:
    """(V / abc)^2."""
    ca, cb, cc = (cos(radians(angle)) for angle in cell[3:])
    return 1.0 - ca * ca - cb * cb - cc * cc + 2.0 * ca * cb * cc
