"""How the values of an orientation map are taken out of HDF5, checked one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from xtalfuse.loaders.ebsd.map import number_of, phase_of
from xtalfuse.loaders.ebsd.symmetry import Cell, possible
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, refused
from xtalfuse.physics.grains.crystal_map import MapPhase

_MOST_POINTS = 200_000_000


def groups_with(file: Any, *needed: str) -> list[str]:
    """Paths of the groups, down to the sixth level, under which all `needed` paths exist."""
    import h5py

    found, level = [], [file["/"]]
    for _ in range(6):
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
    return number_of(f"{name}: {group.name}/{names[0]}", text(group, *names))


def count(name: str, group: Any, *names: str) -> int:
    """A number of rows, columns, ...: whole and positive.

    Raises
    ------
    UnreadableFileError
        If it is missing or none.
    """
    value = number(name, group, *names)
    if value != int(value) or not 0 < value <= _MOST_POINTS:
        raise UnreadableFileError(f"{name}: {group.name}/{names[0]} is {value:g}; {EXPORT_AGAIN}")
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
        raise UnreadableFileError(f"{name}: no {names[0]} in {group.name}; {EXPORT_AGAIN}")
    dataset = group[found]
    if not 0 < dataset.size <= _MOST_POINTS or dataset.dtype.kind not in "iufb":
        raise refused(name, f"{dataset.name} of {dataset.size} values of type {dataset.dtype}")
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
    """A phase, if its symmetry is known; a cell of 1 angstrom stands for none.

    Raises
    ------
    UnreadableFileError
        If the symmetry is unknown.
    """
    if laue is None:
        raise UnreadableFileError(f"{name}: phase {label!r} has no known symmetry; {EXPORT_AGAIN}")
    a, b, c, alpha, beta, gamma = (round(float(x), 5) for x in cell)
    found: Cell = (a, b, c, alpha, beta, gamma)
    known = found if possible(found) else None
    return phase_of(name, label, laue, "space group", known, formula=formula)
