"""The 11 Laue groups: their names in files and space-group tables, and how their axes lie.

Axes of the crystal frame: z along c (the main axis), x along a. For hexagonal and trigonal
crystals that is "X || a", the convention of EDAX and orix. Of a monoclinic crystal the two-fold
axis is b, along y (``"2/m"``); the other settings have their own symbols, ``"112/m"`` (along z)
and ``"2/m11"`` (along x). The two-fold axes of ``"-3m"`` lie along a (x), those of ``"-31m"``
between, along a*.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin

LAUE_GROUPS = ("-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m")
OBLIQUE_DEG = 1e-3  # an angle of a cell this far from 90 degrees is meant to be


@dataclass(frozen=True)
class LaueGroup:
    """One Laue group in one setting.

    Parameters
    ----------
    fold : order of the main axis; of a cubic group, of its axis along z
    dihedral : whether two-fold axes stand across the main axis
    axis : main axis, 0, 1 or 2 for x, y or z
    start : azimuth of the first two-fold axis across the main one, radian
    cubic : whether a three-fold axis lies along [111]
    """

    fold: int
    dihedral: bool
    axis: int = 2
    start: float = 0.0
    cubic: bool = False


_GROUPS = {
    "-1": LaueGroup(1, False), "2/m": LaueGroup(2, False, axis=1), "112/m": LaueGroup(2, False),
    "2/m11": LaueGroup(2, False, axis=0), "mmm": LaueGroup(2, True), "4/m": LaueGroup(4, False),
    "4/mmm": LaueGroup(4, True), "-3": LaueGroup(3, False), "-3m": LaueGroup(3, True),
    "-31m": LaueGroup(3, True, start=pi / 6), "6/m": LaueGroup(6, False),
    "6/mmm": LaueGroup(6, True), "m-3": LaueGroup(2, True, cubic=True),
    "m-3m": LaueGroup(4, True, cubic=True),
}  # fmt: skip

# point groups, without spaces, in short and full Hermann-Mauguin, Schoenflies and EDAX spelling
_SPELLINGS = {
    "-1": "1 -1 C1 Ci S2", "2/m": "2 m 2/m 121 1m1 12/m1 C2 Cs C1h C2h 20",
    "112/m": "112 11m 112/m", "2/m11": "211 m11 2/m11 21",
    "mmm": "222 mm2 m2m 2mm mmm 2/m2/m2/m D2 C2v D2h V Vh 22", "4/m": "4 -4 4/m C4 S4 C4h",
    "4/mmm": "422 4mm -42m -4m2 4/mmm 4/m2/m2/m D4 C4v D2d D4h 42", "-3": "3 -3 C3 S6 C3i",
    "-3m": "32 3m -3m 321 3m1 -3m1 -32/m -32/m1 D3 C3v D3d", "-31m": "312 31m -31m -312/m",
    "6/m": "6 -6 6/m C6 C3h C6h", "6/mmm": "622 6mm -6m2 -62m 6/mmm 6/m2/m2/m D6 C6v D3h D6h 62",
    "m-3": "23 m-3 m3 2/m-3 T Th", "m-3m": "432 -43m m-3m m3m 4/m-32/m O Td Oh 43",
}  # fmt: skip
_BY_SPELLING = {text: g for g, texts in _SPELLINGS.items() for text in texts.lower().split()}
_SHORT_TRIGONAL = {149, 151, 153, 157, 159, 162, 163}  # P312 and kin: two-fold axes along a*
_LAST_NUMBER = (2, 15, 74, 88, 142, 148, 167, 176, 194, 206, 230)


def laue_of(
    symbol: str | int, numbering: str = "space group", cell: Sequence[float] | None = None
) -> str:
    """Laue group of a point group or space group.

    Parameters
    ----------
    symbol : text is a point group in Hermann-Mauguin (``"432"``, ``"4/m -3 2/m"``, ``"m3m"``),
        Schoenflies (``"Oh"``) or EDAX's spelling (``"43"``, ``"62"``, ``"20"``), or a space
        group (``"F d -3 m"``); an int is a number
    numbering : what an int counts: ``"space group"`` (1-230), ``"oxford"`` (Laue groups of
        Oxford Instruments' files, 1-11) or ``"edax"`` (point groups of .ang files)
    cell : a, b, c, alpha, beta, gamma in degrees; the one oblique angle of a monoclinic cell
        tells its two-fold axis where the symbol may mean any

    Returns
    -------
    One of `LAUE_GROUPS`; for a setting whose two-fold axes lie elsewhere ``"112/m"``,
    ``"2/m11"`` or ``"-31m"``, see `standard_laue`

    Raises
    ------
    ValueError
        If no such group is known.
    """
    laue = _of_text(symbol) if isinstance(symbol, str) else _of_number(symbol, numbering)
    if laue != "2/m" or cell is None:
        return laue
    oblique = [abs(angle - 90.0) > OBLIQUE_DEG for angle in cell[3:]]
    return ("2/m11", "2/m", "112/m")[oblique.index(True)] if sum(oblique) == 1 else laue


def _of_number(symbol: int, numbering: str) -> str:
    if numbering == "edax":
        return _of_text(str(symbol))
    if numbering == "oxford" and 1 <= symbol <= len(LAUE_GROUPS):
        return LAUE_GROUPS[symbol - 1]
    if numbering == "space group" and 1 <= symbol <= _LAST_NUMBER[-1]:
        if symbol in _SHORT_TRIGONAL:
            return "-31m"
        return next(g for g, last in zip(LAUE_GROUPS, _LAST_NUMBER, strict=True) if symbol <= last)
    raise ValueError(f"no group {symbol} in the numbering {numbering!r}; give 1-230 (space group)")


def _of_text(symbol: str) -> str:
    text = re.sub(r"[\s_()]", "", symbol).replace("\u2212", "-").lower()
    found = _BY_SPELLING.get(text)
    if found is None and not text.isdigit():
        found = _of_space_group(symbol)
    if found is None:
        raise ValueError(
            f"unknown point group {symbol!r}; write it as 'm-3m', '432', 'Oh' or EDAX's '43'"
        )
    return found


def _of_space_group(symbol: str) -> str | None:
    import gemmi

    found = gemmi.find_spacegroup_by_name(symbol.strip())
    if found is None:
        return None
    unique = {"a": "2/m11", "c": "112/m"}.get(found.qualifier[:1].strip("-"))
    return unique if 3 <= found.number <= 15 and unique else laue_of(found.number)


def standard_laue(laue: str) -> str:
    """The one of the 11 `LAUE_GROUPS` that `laue` is a setting of."""
    group(laue)
    return {"112/m": "2/m", "2/m11": "2/m", "-31m": "-3m"}.get(laue, laue)


def group(laue: str) -> LaueGroup:
    """The description of a Laue group.

    Raises
    ------
    ValueError
        If `laue` is none of the symbols of this module.
    """
    if laue not in _GROUPS:
        raise ValueError(f"unknown Laue group {laue!r}; one of {', '.join(_GROUPS)} is needed")
    return _GROUPS[laue]


def generators(laue: str) -> list[list[float]]:
    """Unit quaternions of rotations whose products are those of a Laue group."""
    about = group(laue)
    main = [cos(pi / about.fold), 0.0, 0.0, 0.0]
    main[1 + about.axis] = sin(pi / about.fold)
    found = [main]
    if about.dihedral:
        found.append([0.0, cos(about.start), sin(about.start), 0.0])
    if about.cubic:
        found.append([0.5, 0.5, 0.5, 0.5])
    return found


def wedge(about: LaueGroup) -> tuple[int, bool, float]:
    """Rotations about z, whether mirrors contain z, and the azimuth at which the wedge begins.

    A two-fold axis and the inversion make a mirror across the axis.
    """
    if about.axis == 1:
        return 1, True, 0.0
    if about.axis == 0:
        return 1, True, -pi / 2
    mirrors_between = about.dihedral and about.fold == 3 and not about.start
    return about.fold, about.dihedral, -pi / 6 if mirrors_between else 0.0
