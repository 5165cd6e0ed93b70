"""Orientation maps in HDF5 of EMsoft, orix (and kikuchipy) and DREAM.3D."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from xtalfuse.loaders.ebsd.grid import Declared
from xtalfuse.loaders.ebsd.hdf5.fields import (
    column,
    count,
    groups_with,
    number,
    phase,
    qualities,
    text,
)
from xtalfuse.loaders.ebsd.hdf5.read import layout_reader
from xtalfuse.loaders.ebsd.map import RawMap
from xtalfuse.loaders.ebsd.numbering import numbers
from xtalfuse.loaders.ebsd.symmetry import CrystalFrame, laue
from xtalfuse.loaders.record import Calibration, UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, refused
from xtalfuse.physics.grains.crystal_map import GridKind, MapPhase

_LATTICE = ("a", "b", "c", "alpha", "beta", "gamma")
_MICROMETRE = {"um": 1.0, "µm": 1.0, "\u03bcm": 1.0, "micron": 1.0, "nm": 1e-3, "mm": 1e3}


def _find_emsoft(file: Any) -> list[str]:
    return groups_with(
        file, "EBSD/Data/TopMatchIndices", "EBSD/Data/DictionaryEulerAngles", "EBSD/Header/nColumns"
    )


def _read_emsoft(name: str, group: Any) -> RawMap:
    """Dictionary indexing: the best match of each point, or the refined angles where given.

    Angles of the dictionary are in degrees, refined ones in radians. Positions are those of
    the grid: the file's y is not reliable.
    """
    data, header = group["EBSD/Data"], group["EBSD/Header"]
    columns, rows = count(name, header, "nColumns"), count(name, header, "nRows")
    points = columns * rows
    held = {key: data[key].size for key in ("CI", "Phi1", "Phase") if key in data}
    if set(held.values()) - {points}:
        raise refused(name, f"{columns} x {rows} points are declared, and stored are {held}")
    if "RefinedEulerAngles" in data:
        euler = column(name, data, "RefinedEulerAngles").astype(float)
        origin = "refined"
        if euler.size != 3 * points:
            raise refused(name, f"{euler.size // 3} of {points} points")
        euler = euler.reshape(-1, 3)
    else:
        euler, origin = _best_match(name, data, points), "best match of the dictionary"
    entry = header["Phase"][sorted(header["Phase"])[0]]
    cell = [number(name, entry, f"Lattice Constant {key}") for key in _LATTICE]
    bracket = re.search(r"\[([^\]]+)\]", text(entry, "Point Group"))
    described = phase(
        name,
        text(entry, "MaterialName").split("/")[0] or "phase 1",
        laue(bracket.group(1)) if bracket else None,
        cell,
    )
    step = (number(name, header, "Step X"), number(name, header, "Step Y"))
    used = (
        "X Position",
        "Y Position",
        "Phase",
        "Valid",
        "RefinedEulerAngles",
        "Phi1",
        "Phi",
        "Phi2",
    )
    return RawMap(
        euler=euler,
        phase=np.ones(points, dtype=np.int64),
        indexed=np.ones(points, dtype=bool),
        phases={1: described},
        declared=Declared(GridKind.SQUARE, rows, columns, columns, step),
        quality=qualities(data, points, used),
        metadata={"orientations": origin},
    )


def _best_match(name: str, data: Any, points: int) -> np.ndarray:
    """(n, 3) rad: angles of the first match in the dictionary, whose rows count from 1."""
    matches = data["TopMatchIndices"]
    if matches.ndim != 2 or matches.shape[0] < points:
        raise refused(name, f"matches {matches.shape} for {points} points")
    first = np.asarray(matches[:points, 0]).astype(np.int64) - 1
    size = count(name, data, "FZcnt") if "FZcnt" in data else len(data["DictionaryEulerAngles"])
    dictionary = np.asarray(data["DictionaryEulerAngles"][:size], dtype=float)
    if first.min() < 0 or first.max() >= len(dictionary) or dictionary.shape[1:] != (3,):
        raise UnreadableFileError(
            f"{name}: matches {first.min() + 1} to {first.max() + 1} of a dictionary of "
            f"{len(dictionary)}; {EXPORT_AGAIN}"
        )
    if dictionary[:, 0].max() <= 2.0 * np.pi:
        raise UnreadableFileError(
            f"{name}: angles of the dictionary in degrees or radians? export the map as .ang"
        )
    return np.deg2rad(dictionary[first])


def _find_orix(file: Any) -> list[str]:
    return groups_with(file, "data/phi1", "data/phase_id", "data/is_in_data", "header/phases")


def _read_orix(name: str, group: Any) -> RawMap:
    """A crystal map: positions, angles in radians, phase -1 where not indexed."""
    data, header = group["data"], group["header"]
    if text(header, "grid_type") not in ("square", ""):
        raise refused(name, f"a grid of type {text(header, 'grid_type')!r}")
    inside = column(name, data, "is_in_data").astype(bool)
    angles = [np.atleast_1d(data[key][()]) for key in ("phi1", "Phi", "phi2")]
    euler = np.stack([values.reshape(len(values), -1)[:, 0] for values in angles], axis=1)
    number_of = column(name, data, "phase_id").astype(np.int64)
    phases = {
        int(key): phase(
            name,
            text(entry, "name"),
            _orix_symmetry(entry),
            column(name, entry["structure/lattice"], "abcABG"),
        )
        for key, entry in header["phases"].items()
        if int(key) >= 0
    }
    unit = text(header, "scan_unit")
    scale = _MICROMETRE.get(unit)
    x, y = (column(name, data, axis).astype(float) * (scale or 1.0) for axis in "xy")
    if "z" in data and np.ptp(column(name, data, "z")) > 0:
        raise UnreadableFileError(f"{name}: a volume; write each of its sections as .ang")
    if not len(inside) == len(x) == len(y) == len(euler) == len(number_of):
        raise UnreadableFileError(f"{name}: columns of different lengths; {EXPORT_AGAIN}")
    used = ("x", "y", "z", "phi1", "Phi", "phi2", "phase_id", "id", "is_in_data")
    quality = {key: values[inside] for key, values in qualities(data, len(euler), used).items()}
    return RawMap(
        euler=euler[inside],
        phase=number_of[inside],
        indexed=number_of[inside] >= 0,
        phases=phases,
        x=x[inside],
        y=y[inside],
        quality=quality,
        calibration=Calibration.KNOWN if scale else Calibration.UNKNOWN,
        warnings=() if scale else (f"lengths are in {unit or 'no unit'}, not in micrometre",),
        complete=True,
    )


def _orix_symmetry(entry: Any) -> str | None:
    space_group = text(entry, "space_group")
    if space_group.isdigit():
        return laue(int(space_group))
    return laue(text(entry, "point_group"))


# DREAM.3D numbers the Laue groups so.
_DREAM3D_LAUE = {
    0: "6/mmm", 1: "m-3m", 2: "6/m", 3: "m-3", 4: "-1", 5: "2/m", 6: "mmm", 7: "4/m", 8: "4/mmm",
    9: "-3", 10: "-3m",
}  # fmt: skip


def _find_dream3d(file: Any) -> list[str]:
    return groups_with(
        file,
        "_SIMPL_GEOMETRY/DIMENSIONS",
        "CellData/EulerAngles",
        "CellData/Phases",
        "CellEnsembleData/CrystalStructures",
    )


def _read_dream3d(name: str, group: Any) -> RawMap:
    geometry = group["_SIMPL_GEOMETRY"]
    size = [int(n) for n in column(name, geometry, "DIMENSIONS")]
    step = [float(x) for x in column(name, geometry, "SPACING")]
    return _dream3d_volume(name, size, step, group["CellData"], group["CellEnsembleData"])


def _find_dream3d_nx(file: Any) -> list[str]:
    if "DataStructure" not in file:
        return []
    return [path for path in groups_with(file) if _dream3d_parts(file[path]) is not None]


def _dream3d_parts(group: Any) -> tuple[Any, Any] | None:
    """Data of the cells and of the phases of an image geometry of version 8, by what is in them."""
    if "_SPACING" not in group.attrs or "_DIMENSIONS" not in group.attrs:
        return None
    below = [item for item in group.values() if hasattr(item, "keys")]
    cells = [item for item in below if "EulerAngles" in item and "Phases" in item]
    phases = [item for item in below if "CrystalStructures" in item]
    return (cells[0], phases[0]) if cells and phases else None


def _read_dream3d_nx(name: str, group: Any) -> RawMap:
    size = [int(n) for n in group.attrs["_DIMENSIONS"]]
    step = [float(x) for x in group.attrs["_SPACING"]]
    parts = _dream3d_parts(group)
    assert parts is not None
    return _dream3d_volume(name, size, step, *parts)


def _dream3d_volume(
    name: str, size: list[int], step: list[float], data: Any, ensemble: Any
) -> RawMap:
    """A volume, z slowest; phase 0 is none; lengths have no unit and are taken for micrometre."""
    columns, rows, sections = size
    number_of = column(name, data, "Phases").astype(np.int64)
    euler = column(name, data, "EulerAngles").astype(float)
    if not number_of.size == euler.size // 3 == columns * rows * sections or len(step) != 3:
        raise UnreadableFileError(
            f"{name}: {euler.size // 3} orientations and {number_of.size} phases for {columns} x "
            f"{rows} x {sections} points; {EXPORT_AGAIN}"
        )
    used = ("EulerAngles", "Phases", "IPFColor", "Quats")
    quality = {
        key.lower(): np.asarray(data[key][()]).ravel()
        for key in data
        if key not in used and data[key].size == number_of.size and data[key].dtype.kind in "iufb"
    }
    return RawMap(
        euler=euler.reshape(-1, 3),
        phase=number_of,
        indexed=number_of > 0,
        phases=_dream3d_phases(name, ensemble),
        declared=Declared(GridKind.SQUARE, rows, columns, columns, (step[0], step[1])),
        quality=quality,
        warnings=("lengths without a unit, taken for micrometre",),
        calibration=Calibration.ASSUMED,
        frame=CrystalFrame.UNKNOWN,
        sections=sections,
        section_step=step[2] if sections > 1 else 0.0,
    )


def _dream3d_phases(name: str, ensemble: Any) -> dict[int, MapPhase]:
    """Phases from 1; the row of phase 0 stands for what has none."""
    numbers = column(name, ensemble, "CrystalStructures").astype(int)
    titles = ensemble["MaterialName"][()].ravel() if "MaterialName" in ensemble else []
    cells = None
    if "LatticeConstants" in ensemble:
        cells = column(name, ensemble, "LatticeConstants").reshape(len(numbers), 6)
    phases = {}
    for i in range(1, len(numbers)):
        title = titles[i] if i < len(titles) else f"phase {i}"
        title = title.decode("utf-8", "replace") if isinstance(title, bytes) else str(title)
        cell = (0.0,) * 6 if cells is None else cells[i]
        phases[i] = phase(name, title.strip(), _DREAM3D_LAUE.get(int(numbers[i])), cell)
    return phases


_UNTRIED = ("tried with files written after the published description, not with the program's own",)
_OF_DREAM3D = numbers(
    position=("DIMENSIONS and SPACING, x first", "none in the file: um, assumed"),
    orientation=("EulerAngles", "radian by the format"), phase="Phases, from 1", missing="phase 0",
    symmetry="CrystalStructures, as EbsdLib numbers Laue groups",
)  # fmt: skip

READERS = (
    layout_reader("emsoft-h5", "EMsoft", (".h5",), _find_emsoft, _read_emsoft, limits=_UNTRIED,
                  numbers=numbers(
                      position=("nColumns, nRows, Step X, Step Y", "um by the format"),
                      orientation=("RefinedEulerAngles, or DictionaryEulerAngles",
                                   "radian, or degree"),
                      phase="the only one", missing="none: every point has its best match",
                      symmetry="Point Group, in brackets")),
    layout_reader("orix-h5", "orix, kikuchipy", (".h5",), _find_orix, _read_orix,
                  limits=("volumes are refused: write each section as .ang",),
                  numbers=numbers(
                      position=("x, y", "scan_unit; none: told, not used"),
                      orientation=("phi1, Phi, phi2", "radian by the format"),
                      phase="phase_id, as in the header", missing="phase_id -1",
                      symmetry="space_group, or point_group")),
    layout_reader("dream3d", "DREAM.3D 6", (".dream3d",), _find_dream3d, _read_dream3d,
                  limits=_UNTRIED, numbers=_OF_DREAM3D),
    layout_reader("dream3d-nx", "DREAM3D-NX (version 8)", (".dream3d",), _find_dream3d_nx,
                  _read_dream3d_nx, limits=_UNTRIED, numbers=_OF_DREAM3D),
)  # fmt: skip
