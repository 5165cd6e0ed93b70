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

from math import cos, radians, sin, sqrt

import numpy as np

Cell = tuple[float, float, float, float, float, float]

# In the order of Oxford's numbers, 1 to 11.
LAUE_GROUPS = ("-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m")

# "Symmetry" of .ang and .osc files: the rotation point group, written without signs.
_TSL = {
    1: "-1", 2: "2/m", 20: "2/m", 22: "mmm", 222: "mmm", 4: "4/m", 42: "4/mmm", 422: "4/mmm",
    3: "-3", 32: "-3m", 6: "6/m", 62: "6/mmm", 622: "6/mmm", 23: "m-3", 43: "m-3m", 432: "m-3m",
}  # fmt: skip

# The 32 point groups in the order in which EDAX numbers them from 100.
_POINT_GROUPS = {
    "1": "-1", "-1": "-1", "2": "2/m", "m": "2/m", "2/m": "2/m", "222": "mmm", "mm2": "mmm",
    "mmm": "mmm", "4": "4/m", "-4": "4/m", "4/m": "4/m", "422": "4/mmm", "4mm": "4/mmm",
    "-42m": "4/mmm", "4/mmm": "4/mmm", "3": "-3", "-3": "-3", "32": "-3m", "3m": "-3m",
    "-3m": "-3m", "6": "6/m", "-6": "6/m", "6/m": "6/m", "622": "6/mmm", "6mm": "6/mmm",
    "-62m": "6/mmm", "6/mmm": "6/mmm", "23": "m-3", "m-3": "m-3", "432": "m-3m",
    "-43m": "m-3m", "m-3m": "m-3m",
}  # fmt: skip
_OTHER_SPELLINGS = {"-4m2": "-42m", "-6m2": "-62m", "321": "32", "312": "32", "m3": "m-3",
                    "m3m": "m-3m", "-31m": "-3m", "-3m1": "-3m", "2mm": "mm2"}  # fmt: skip

_LAST_SPACE_GROUP = {  # of each Laue group, in the order of the International Tables
    2: "-1", 15: "2/m", 74: "mmm", 88: "4/m", 142: "4/mmm", 148: "-3", 167: "-3m", 176: "6/m",
    194: "6/mmm", 206: "m-3", 230: "m-3m",
}  # fmt: skip


def laue_of_tsl(symmetry: str) -> str | None:
    """Laue group of the ``Symmetry`` of an EDAX, EMsoft, ASTAR or orix file; None if unknown.

    Parameters
    ----------
    symmetry : a number of TSL (43), of EDAX's point groups (131), or a symbol (``m-3m``)
    """
    text = symmetry.strip()
    if text.isdigit():
        number = int(text)
        if 100 <= number < 100 + len(_POINT_GROUPS):
            return list(_POINT_GROUPS.values())[number - 100]
        return _TSL.get(number)
    return laue_of_symbol(text)


def laue_of_symbol(symbol: str) -> str | None:
    """Laue group of a point group's Hermann-Mauguin symbol; None if it is none."""
    text = symbol.replace(" ", "")
    return _POINT_GROUPS.get(_OTHER_SPELLINGS.get(text, text))


def laue_of_oxford(number: int) -> str | None:
    """Laue group of Oxford's (HKL's) number, 1 to 11; None if it is another number."""
    return LAUE_GROUPS[number - 1] if 1 <= number <= len(LAUE_GROUPS) else None


def laue_of_space_group(number: int) -> str | None:
    """Laue group of a space group, 1 to 230; None if it is another number."""
    if not 1 <= number <= 230:
        return None
    return next(laue for last, laue in _LAST_SPACE_GROUP.items() if number <= last)


def fits(laue: str, cell: Cell) -> bool:
    """Whether a cell can have a symmetry, within 2 % and 1 degree."""
    a, b, c, alpha, beta, gamma = cell

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
    own = _structure_matrix(cell)
    _, b, c = own.T
    z = c / np.linalg.norm(c)
    x = np.cross(b, c)
    x /= np.linalg.norm(x)
    oxford = np.stack([x, np.cross(z, x), z])  # v_oxford = oxford @ v_own
    return _quaternion(oxford.T)


def _structure_matrix(cell: Cell) -> np.ndarray:
    """(3, 3) columns a, b, c with x along a and z along c*."""
    a, b, c = cell[:3]
    alpha, beta, gamma = (radians(angle) for angle in cell[3:])
    cy = (cos(alpha) - cos(beta) * cos(gamma)) / sin(gamma)
    cz = sqrt(_volume_factor(cell)) / sin(gamma)
    return np.array(
        [[a, b * cos(gamma), c * cos(beta)], [0.0, b * sin(gamma), c * cy], [0.0, 0.0, c * cz]]
    )


def _volume_factor(cell: Cell) -> float:
    """(V / abc)^2."""
    ca, cb, cc = (cos(radians(angle)) for angle in cell[3:])
    return 1.0 - ca * ca - cb * cb - cc * cc + 2.0 * ca * cb * cc


def _quaternion(matrix: np.ndarray) -> np.ndarray:
    """(4,) unit quaternion q with ``q v conj(q) = matrix @ v``, for turns of less than 180 deg."""
    w = sqrt(max(1.0 + float(np.trace(matrix)), 0.0)) / 2.0
    axis = np.array(
        [matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]]
    )
    q = np.array([w, *(axis / (4.0 * w))])
    return q / np.linalg.norm(q)
