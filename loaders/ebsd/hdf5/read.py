"""Orientation maps in HDF5: a file is known by the groups it holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from xtalfuse.loaders.ebsd.map import RawMap
from xtalfuse.loaders.ebsd.read import map_reader
from xtalfuse.loaders.reader import NUMBERS_OF, Certainty, Number, Reader
from xtalfuse.loaders.record import Modality
from xtalfuse.loaders.safe.checks import MOST_EXPANSION, check_hdf5
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead, damaged, refused

_MOST_GB = 500.0  # patterns may lie beside the map; they are not read
_OWN_SUFFIXES = (".h5oina", ".oh5", ".edaxh5", ".h5ebsd", ".dream3d")


def layout_reader(
    name: str,
    about: str,
    suffixes: tuple[str, ...],
    find: Callable[[Any], list[str]],
    layout: Callable[[str, Any], RawMap],
    **declared: Any,
) -> Reader:
    """The reader of one program's way of writing a map into HDF5.

    Parameters
    ----------
    name : a word, unique: ``"h5oina"``
    about : maker or program
    suffixes : usual suffixes
    find : paths of the groups of an open file that hold a map of this kind
    layout : the map of one group, given the name of the file and the group
    declared : further fields of `Reader`
    """

    def sniff(head: FileHead) -> Certainty:
        if head.hdf5 is None:
            return Certainty.NONE
        try:
            return Certainty.SURE if find(head.hdf5) else Certainty.NONE
        except (OSError, RuntimeError, KeyError, ValueError, AttributeError):
            return Certainty.NONE  # damaged: whoever reads it will say so

    def points(path: Path) -> RawMap:
        import h5py

        check_hdf5(path, most_gb=_MOST_GB, most_expansion=MOST_EXPANSION)
        try:
            with h5py.File(path, "r") as file:
                found = find(file)
                return _with_others(layout(path.name, file[found[0]]), found)
        except (OSError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise damaged(path.name, error) from None

    # patterns may lie beside the map
    return map_reader(name, about, suffixes, sniff, points, largest_gb=math.inf, **declared)


def _with_others(raw: RawMap, found: list[str]) -> RawMap:
    if len(found) < 2:
        return raw
    told = f"also holds {', '.join(found[1:6])}, not read"
    return replace(raw, warnings=(*raw.warnings, told))


def _by_name(head: FileHead) -> Certainty:
    known = head.is_hdf5 and head.suffix in _OWN_SUFFIXES
    return Certainty.LIKELY if known else Certainty.NONE


def _no_layout(path: Path) -> RawMap:
    """Refuse a file that is named like a map in HDF5 and holds none that is known."""
    check_hdf5(path, most_gb=_MOST_GB, most_expansion=MOST_EXPANSION)
    raise refused(
        path.name,
        "no orientation map in a known layout of HDF5",
        f"export the map as .ang or .ctf, or {EXPORT_AGAIN}",
    )


READERS = map_reader(
    "ebsd-hdf5", "HDF5 by name, of unknown layout", _OWN_SUFFIXES, _by_name, _no_layout,
    limits=("always refused: it holds no map in a layout that is known",),
    numbers=tuple(Number(name, "not read", "") for name in NUMBERS_OF[Modality.EBSD]),
)  # fmt: skip
