"""What EBSD instruments and programs write that is no orientation map: known, and refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xtalfuse.loaders.ebsd.map import RawMap
from xtalfuse.loaders.ebsd.read import map_reader
from xtalfuse.loaders.reader import NUMBERS_OF, Certainty, Number, Reader
from xtalfuse.loaders.record import Modality
from xtalfuse.loaders.safe.head import FileHead, refused

_OLE = b"\xd0\xcf\x11\xe0"
_INDEX = "index the patterns (kikuchipy, PyEBSDIndex, EMsoft, AZtec, OIM) and give the map"
_NONE = tuple(Number(name, "not read", "") for name in NUMBERS_OF[Modality.EBSD])
# Group or data set of an HDF5 file -> what it holds, and what to do.
_IN_HDF5 = {
    "EMData/MCOpenCL": ("a Monte Carlo result of EMsoft: electrons over energy and direction", ""),
    "EMData/MCfoil": ("a Monte Carlo result of EMsoft: electrons over energy and direction", ""),
    "EMData/EBSDmaster": ("a master pattern of EMsoft", ""),
    "EMData/ECPmaster": ("a master pattern of EMsoft", ""),
    "EMData/TKDmaster": ("a master pattern of EMsoft", ""),
    "EMData/EBSD": ("simulated patterns of EMsoft", _INDEX),
    "EMheader": ("a result of EMsoft without a map", ""),
}
_PATTERNS = ("patterns", "Pattern", "RawPatterns", "Processed Patterns", "Unprocessed Patterns")
_A_MAP = "patterns are simulated with it; give the map that was indexed (.ang, .ctf)"


def _is_oim(head: FileHead) -> Certainty:
    """By the suffix, and the first bytes of any OLE container."""
    known = head.suffix == ".oim" and head.start.startswith(_OLE)
    return Certainty.SURE if known else Certainty.NONE


def _is_table(head: FileHead) -> Certainty:
    """Whether the first line names Euler angles."""
    first = head.text.lstrip("\ufeff# ").split("\n", 1)[0].lower()
    names = set(re.split(r"[\s,;]+", first))
    known = {"phi1", "phi", "phi2"} <= names or {"euler1", "euler2", "euler3"} <= names
    return Certainty.LIKELY if known else Certainty.NONE


def _is_patterns(head: FileHead) -> Certainty:
    """Patterns of EDAX (UP1, UP2) and Bruker, by their names: they have no mark."""
    return Certainty.LIKELY if head.suffix in (".up1", ".up2", ".ebsp") else Certainty.NONE


def _held(file: Any) -> tuple[str, str] | None:
    """What an HDF5 file holds instead of a map, and what to do; None if it is not known."""
    import h5py

    for place, (what, remedy) in _IN_HDF5.items():
        if place in file:
            return what, remedy or _A_MAP
    for group in [file, *(item for item in file.values() if isinstance(item, h5py.Group))]:
        data = group.get("EBSD/Data")
        if isinstance(data, h5py.Group) and any(name in data for name in _PATTERNS):
            return "a stack of diffraction patterns without a map", _INDEX
    return None


def _is_other_hdf5(head: FileHead) -> Certainty:
    """Whether an HDF5 file holds something of EBSD that is no map; a map in it wins."""
    try:
        known = head.hdf5 is not None and _held(head.hdf5) is not None
    except (OSError, RuntimeError, KeyError, ValueError):
        known = False
    return Certainty.LIKELY if known else Certainty.NONE


def _refuse_hdf5(path: Path) -> RawMap:
    import h5py

    with h5py.File(path, "r") as file:
        what, remedy = _held(file) or ("no orientation map", _A_MAP)
    raise refused(path.name, what, remedy)


def _known(
    name: str,
    about: str,
    suffixes: tuple[str, ...],
    sniff: Callable[[FileHead], Certainty],
    what: str,
    remedy: str,
    read: Callable[[Path], RawMap] | None = None,
) -> Reader:
    """The reader of something that is always refused."""

    def refuse(path: Path) -> RawMap:
        raise refused(path.name, what, remedy)

    limits = (f"always refused: {what}; {remedy}",)
    return map_reader(name, about, suffixes, sniff, read or refuse, limits=limits, numbers=_NONE)


READERS = (
    _known("oim", "EDAX OIM Analysis, project", (".oim",), _is_oim,
           "a project of OIM Analysis, whose layout is not published", "export its map as .ang"),
    _known("ebsd-table", "tables of Euler angles", (".csv", ".txt"), _is_table,
           "a table of Euler angles, which tells no symmetry of the crystals and no unit",
           "save the map as .ang or .ctf (orix, MTEX and DREAM.3D write them)"),
    _known("ebsd-patterns", "patterns of EDAX and Bruker", (".up1", ".up2", ".ebsp"),
           _is_patterns, "diffraction patterns that were not indexed", _INDEX),
    _known("ebsd-no-map", "EMsoft, kikuchipy and others: HDF5 without a map", (".h5",),
           _is_other_hdf5, "no map: a master pattern, a Monte Carlo result, patterns", _INDEX,
           _refuse_hdf5),
)  # fmt: skip
