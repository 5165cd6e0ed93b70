"""Orientation maps in HDF5: which layout a file has, and how its values are taken out.

The layouts are in `ebsd_h5_vendors` (Oxford Instruments, EDAX, Bruker) and `ebsd_h5_programs`
(EMsoft, orix and kikuchipy, DREAM.3D). A file is known by the groups it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.ebsd.map import RawMap
from xtalfuse.loaders.ebsd.symmetry import Cell, possible
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.checks import check_hdf5
from xtalfuse.physics.grains.crystal_map import MapPhase

MAGIC = b"\x89HDF\r\n\x1a\n"
AGAIN = "copy or export the map again from the instrument"
_OWN_SUFFIXES = (".h5oina", ".oh5", ".edaxh5", ".h5ebsd", ".dream3d")
_MOST_POINTS = 200_000_000
_MOST_GB = 500.0  # patterns may lie beside the map; they are not read


@dataclass(frozen=True)
class Layout:
    """One program's way of writing a map.

    Parameters
    ----------
    name : for the provenance
    find : groups of the open file that hold a map of this kind, by path
    read : the map of one group
    """

    name: str
    find: Callable[[Any], list[str]]
    read: Callable[[str, Any], RawMap]


def layouts() -> tuple[Layout, ...]:
    """All layouts, the most certain first."""
    from xtalfuse.loaders.ebsd.hdf5 import programs as programs
    from xtalfuse.loaders.ebsd.hdf5 import vendors as vendors

    return (*vendors.LAYOUTS, *programs.LAYOUTS)


def sniff(path: Path, head: bytes) -> bool:
    """Whether an HDF5 file holds an orientation map, by its groups or by its suffix."""
    import h5py

    if not head.startswith(MAGIC):
        return False
    if path.suffix.lower() in _OWN_SUFFIXES:
        return True
    try:
        with h5py.File(path, "r") as file:
            return any(layout.find(file) for layout in layouts())
    except (OSError, RuntimeError, KeyError, ValueError, AttributeError):
        return False  # damaged: whoever reads it will say so


def read(path: Path) -> RawMap:
    """The map in an HDF5 file, the first where there are several.

    Raises
    ------
    UnreadableFileError
        If the layout is not known, something that it needs is missing, or numbers of points
        do not agree.
    """
    import h5py

    check_hdf5(path, most_gb=_MOST_GB)
    try:
        with h5py.File(path, "r") as file:
            for layout in layouts():
                found = layout.find(file)
                if found:
                    return _with_others(layout.read(path.name, file[found[0]]), found)
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        cause = " ".join(str(error).split())[:120]
        raise UnreadableFileError(f"{path.name}: damaged HDF5 ({cause}); {AGAIN}") from None
    raise UnreadableFileError(
        f"{path.name}: no orientation map in a known layout of HDF5; export the map as .ang or .ctf"
    )


def _with_others(raw: RawMap, found: list[str]) -> RawMap:
    if len(found) < 2:
        return raw
    told = f"also holds {', '.join(found[1:6])}, not read"
    return replace(raw, warnings=(*raw.warnings, told))


def groups_with(file: Any, *needed: str) -> list[str]:
    """Paths of the groups, down to the fourth level, under which all `needed` paths exist."""
    import h5py

    found, level = [], [file["/"]]
    for _ in range(4):
        below = [
            group[key]
            for group in level
            for key in group
            if isinstance(group.get(key, getlink=True), h5py.HardLink)
            and group.get(key, getclass=True) is h5py.Group
        ]
        found += [group.name for group in level if all(path in group for path in needed)]
        level = below[:1000]
    return found


def text(group: Any, *names: str) -> str:
    """The text of the first of `names` that exists; empty if none does."""
    for name in names:
        if name in group:
            value = group[name][()]
            value = value.ravel()[0] if isinstance(value, np.ndarray) and value.size else value
            if isinstance(value, bytes):
                value = value.split(b"\0")[0].decode("utf-8", "replace")
            return str(value).strip()
    return ""


def number(name: str, group: Any, *names: str) -> float:
    """The number under the first of `names` that exists.

    Raises
    ------
    UnreadableFileError
        If none exists, or it is no finite number.
    """
    found = text(group, *names)
    try:
        value = float(found)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UnreadableFileError(
            f"{name}: {group.name}/{names[0]} is {found!r} where a number is needed; {AGAIN}"
        )
    return value


def count(name: str, group: Any, *names: str) -> int:
    """A number of rows, columns, ...: whole and positive.

    Raises
    ------
    UnreadableFileError
        If it is missing or none.
    """
    value = number(name, group, *names)
    if value != int(value) or not 0 < value <= _MOST_POINTS:
        raise UnreadableFileError(f"{name}: {group.name}/{names[0]} is {value:g}; {AGAIN}")
    return int(value)


def column(name: str, group: Any, *names: str) -> np.ndarray:
    """(n,) values of the points under the first of `names` that exists.

    Raises
    ------
    UnreadableFileError
        If none exists, it is not numeric, or it is impossibly long.
    """
    found = next((key for key in names if key in group), None)
    if found is None:
        raise UnreadableFileError(f"{name}: no {names[0]} in {group.name}; {AGAIN}")
    dataset = group[found]
    if not 0 < dataset.size <= _MOST_POINTS or dataset.dtype.kind not in "iufb":
        raise UnreadableFileError(
            f"{name}: {dataset.name} of {dataset.size} values of type {dataset.dtype}; {AGAIN}"
        )
    return np.asarray(dataset[()]).ravel()


def qualities(group: Any, points: int, used: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Further columns: numeric datasets with one value for each point."""
    import h5py

    return {
        key.strip().lower().replace(" ", "_"): np.asarray(group[key][()]).ravel()
        for key in group
        if key not in used
        and group.get(key, getclass=True) is h5py.Dataset
        and group[key].dtype.kind in "iufb"
        and group[key].shape in ((points,), (points, 1))
    }


def phase(name: str, label: str, laue: str | None, cell: Any, formula: str = "") -> MapPhase:
    """A phase, if its symmetry is known and its cell is possible.

    Raises
    ------
    UnreadableFileError
        If the symmetry is unknown.
    """
    if laue is None:
        raise UnreadableFileError(f"{name}: phase {label!r} has no known symmetry; {AGAIN}")
    a, b, c, alpha, beta, gamma = (round(float(x), 5) for x in cell)
    found: Cell = (a, b, c, alpha, beta, gamma)
    return MapPhase(label, laue, found if possible(found) else None, formula or None)
