"""Orientation maps in HDF5 of Oxford Instruments (``.h5oina``), EDAX (OIM) and Bruker (Esprit).

References
----------
Oxford Instruments NanoAnalysis HDF5 File Specification, https://github.com/oinanoanalysis/h5oina
Jackson, M. A. et al. (2014). Integrating Materials and Manufacturing Innovation 3, 44. h5ebsd:
an archival data format for electron back-scatter diffraction data sets.
"""

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
from xtalfuse.loaders.ebsd.numbering import (
    EDAX_SYMMETRY,
    FROM_EITHER,
    OXFORD_SYMMETRY,
    has_solution,
    numbered,
    numbers,
)
from xtalfuse.loaders.ebsd.symmetry import CrystalFrame, laue
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, refused
from xtalfuse.physics.grains.crystal_map import GridKind, MapPhase

_LATTICE = ("a", "b", "c", "alpha", "beta", "gamma")


def _find_oxford(file: Any) -> list[str]:
    if "Format Version" not in file:
        return []
    return groups_with(file, "EBSD/Data/Euler", "EBSD/Data/Phase", "EBSD/Header/X Cells")


def _read_oxford(name: str, group: Any) -> RawMap:
    """One acquisition: points row by row, angles in radians, NaN outside the measured area."""
    data, header = group["EBSD/Data"], group["EBSD/Header"]
    columns, rows = count(name, header, "X Cells"), count(name, header, "Y Cells")
    step = (number(name, header, "X Step"), number(name, header, "Y Step"))
    number_of = column(name, data, "Phase").astype(np.int64)
    euler = column(name, data, "Euler").astype(float)
    if euler.size != 3 * number_of.size or number_of.size != rows * columns:
        raise UnreadableFileError(
            f"{name}: {euler.size // 3} orientations and {number_of.size} phases for "
            f"{columns} x {rows} points; {EXPORT_AGAIN}"
        )
    euler = euler.reshape(-1, 3)
    if "X" in data and "Y" in data:
        measured = np.isfinite(column(name, data, "X")) & np.isfinite(column(name, data, "Y"))
    else:
        measured = np.isfinite(euler).all(axis=1) | (number_of > 0)
    _agree(name, data, measured, columns, step)
    phases = {}
    for key in header["Phases"]:
        entry = header["Phases"][key]
        cell = (
            *column(name, entry, "Lattice Dimensions"),
            *np.rad2deg(column(name, entry, "Lattice Angles")),
        )
        group_number = count(name, entry, "Laue Group")
        listed = text(entry, "Space Group")
        space_group = int(listed) if listed.isdigit() else 0
        group = laue(group_number, "oxford", space_group=space_group)
        phases[int(key)] = phase(name, text(entry, "Phase Name"), group, cell)
    keep = ("Project Label", "Specimen Label", "Beam Voltage", "Tilt Angle", "Acquisition Date")
    metadata = {key.lower(): text(header, key) for key in keep if text(header, key)}
    if "Specimen Orientation Euler" in header:
        angles = column(name, header, "Specimen Orientation Euler")
        metadata["specimen_orientation_euler_rad"] = " ".join(f"{x:.6g}" for x in angles)
    outside = int((~measured).sum())
    return RawMap(
        euler=euler,
        phase=number_of,
        indexed=(number_of > 0) & measured,
        phases=phases,
        declared=Declared(GridKind.SQUARE, rows, columns, columns, step),
        quality=qualities(data, number_of.size, ("Euler", "Phase", "X", "Y")),
        metadata=metadata,
        warnings=(f"{outside} points of the grid were not measured",) if outside else (),
        frame=CrystalFrame.OXFORD,
        measured=measured,
    )


def _agree(
    name: str, data: Any, measured: np.ndarray, columns: int, step: tuple[float, float]
) -> None:
    """Refuse a file whose positions are not those of its order, row by row."""
    if "X" not in data or "Y" not in data or not measured.any():
        return
    order = np.arange(measured.size)[measured]
    for axis, place, distance in (
        ("X", order % columns, step[0]),
        ("Y", order // columns, step[1]),
    ):
        values = column(name, data, axis)[measured]
        expected = place * distance
        shift = values[0] - expected[0]
        if not (np.abs(values - expected - shift) <= 0.5 * distance + 1e-9).all():
            raise UnreadableFileError(f"{name}: points are not stored row by row; {EXPORT_AGAIN}")


def _find_edax(file: Any) -> list[str]:
    return groups_with(
        file, "EBSD/Data/Phi1", "EBSD/Data/Phi", "EBSD/Data/Phi2", "EBSD/Header/nColumns"
    )


def _read_edax(name: str, group: Any) -> RawMap:
    """One scan: as an ``.ang``; angles in radians, points not indexed as there."""
    data, header = group["EBSD/Data"], group["EBSD/Header"]
    euler = np.stack([column(name, data, key) for key in ("Phi1", "Phi", "Phi2")], axis=1)
    euler = euler.astype(float)
    quality = qualities(
        data, len(euler), ("Phi1", "Phi", "Phi2", "Phase", "X Position", "Y Position")
    )
    phases = {int(key): _edax_phase(name, header["Phase"][key]) for key in header["Phase"]}
    number_of = column(name, data, "Phase").astype(np.int64)
    number_of, indexed, notes = numbered(number_of, has_solution(euler, quality), phases)
    x = y = None
    if "X Position" in data and "Y Position" in data:
        x, y = (column(name, data, f"{axis} Position").astype(float) for axis in "XY")
    keep = ("Operator", "Sample ID", "Scan ID", "Grid Type", "Sample Tilt")
    return RawMap(
        euler=euler,
        phase=number_of,
        indexed=indexed,
        phases=phases,
        x=x,
        y=y,
        declared=_edax_grid(name, header, len(euler)),
        quality=quality,
        warnings=notes,
        metadata={key.lower(): text(header, key) for key in keep if text(header, key)},
    )


def _edax_grid(name: str, header: Any, points: int) -> Declared:
    """The grid; of a hexagonal one the file does not tell whether even rows are shorter."""
    columns, rows = count(name, header, "nColumns"), count(name, header, "nRows")
    step = (number(name, header, "Step X"), number(name, header, "Step Y"))
    if "hex" not in text(header, "Grid Type").lower():
        return Declared(GridKind.SQUARE, rows, columns, columns, step)
    shorter = Declared(GridKind.HEXAGONAL, rows, columns, columns - 1, step)
    if shorter.points == points:
        return shorter
    return Declared(GridKind.HEXAGONAL, rows, columns, columns, step)


def _edax_phase(name: str, entry: Any) -> MapPhase:
    cell = [number(name, entry, f"Lattice Constant {key}") for key in _LATTICE]
    bracket = re.search(r"\[([^\]]+)\]", text(entry, "Point Group"))
    group = laue(bracket.group(1)) if bracket else None
    group = group or laue(text(entry, "Symmetry", "LGsymID"), "edax")
    label = text(entry, "MaterialName", "Material Name") or f"phase {entry.name.split('/')[-1]}"
    return phase(name, label, group, cell, text(entry, "Formula"))


def _find_bruker(file: Any) -> list[str]:
    return groups_with(
        file, "EBSD/Data/phi1", "EBSD/Data/PHI", "EBSD/Data/phi2", "EBSD/Header/Phases"
    )


def _read_bruker(name: str, group: Any) -> RawMap:
    """One scan: angles in degrees; of an irregular area rows and columns are listed."""
    data, header = group["EBSD/Data"], group["EBSD/Header"]
    if text(header, "Grid Type").lower() not in ("isometric", ""):
        raise UnreadableFileError(
            f"{name}: a grid of type {text(header, 'Grid Type')!r} is not known; "
            "export the map as .ctf"
        )
    degrees = np.stack([column(name, data, key) for key in ("phi1", "PHI", "phi2")], axis=1)
    number_of = column(name, data, "Phase").astype(np.int64)
    step = (number(name, header, "XSTEP"), number(name, header, "YSTEP"))
    columns, rows = count(name, header, "NCOLS"), count(name, header, "NROWS")
    x, y, listed = _bruker_places(name, group, step, len(degrees))
    if "NPoints" in header and count(name, header, "NPoints") != len(degrees):
        raise refused(name, f"{len(degrees)} points where {text(header, 'NPoints')} are declared")
    phases = {}
    for key in header["Phases"]:
        entry = header["Phases"][key]
        symmetry = laue(int(number(name, entry, "IT"))) if "IT" in entry else None
        symmetry = symmetry or _bruker_symbol(text(entry, "SpaceGroup"))
        cell = column(name, entry, "LatticeConstants")
        label = text(entry, "Name") or f"phase {key}"
        phases[int(key)] = phase(name, label, symmetry, cell, text(entry, "Formula"))
    return RawMap(
        euler=np.deg2rad(degrees.astype(float)),
        phase=number_of,
        indexed=number_of > 0,
        phases=phases,
        x=x,
        y=y,
        declared=Declared(GridKind.SQUARE, rows, columns, columns, step),
        quality=qualities(data, len(degrees), ("phi1", "PHI", "phi2", "Phase")),
        metadata={
            key.lower(): text(header, key) for key in ("KV", "SampleTilt") if text(header, key)
        },
        frame=CrystalFrame.UNKNOWN,
        complete=listed,
    )


def _bruker_places(
    name: str, group: Any, step: tuple[float, float], points: int
) -> tuple[np.ndarray | None, np.ndarray | None, bool]:
    """x, y from the listed columns and rows, and whether there are such lists."""
    for sem in ("EBSD/SEM", "SEM"):
        for prefix in ("", "SEM "):
            names = [f"{sem}/{prefix}{axis}" for axis in ("IX", "IY")]
            if all(path in group for path in names):
                places = [column(name, group, path).astype(float) for path in names]
                if any(len(place) != points for place in places):
                    raise UnreadableFileError(f"{name}: places for other points; {EXPORT_AGAIN}")
                x, y = (p * d for p, d in zip(places, step, strict=True))
                return x - x.min(), y - y.min(), True
    return None, None, False


def _bruker_symbol(symbol: str) -> str | None:
    """Laue group of a space group as Esprit writes it, ``F m#ovl3m`` for F m -3 m."""
    return laue(symbol.replace("#ovl", "-").replace("#sub", "")) if symbol else None


_UNTRIED = ("tried with files written after the published description, not with the program's own",)

READERS = (
    layout_reader("h5oina", "Oxford Instruments (AZtec)", (".h5oina",), _find_oxford, _read_oxford,
                  limits=_UNTRIED, numbers=numbers(
                      position=("X Cells, Y Cells, held against X and Y", "um, X Step"),
                      orientation=("Euler", "radian by the format"), phase="Phase, from 1",
                      missing="phase 0; X or Y no number: outside", symmetry=OXFORD_SYMMETRY)),
    layout_reader("edax-h5", "EDAX (OIM)", (".oh5", ".edaxh5", ".h5"), _find_edax, _read_edax,
                  limits=_UNTRIED, numbers=numbers(
                      position=("X Position, Y Position", "um by the format"),
                      orientation=("Phi1, Phi, Phi2", "radian by the format"),
                      phase=f"Phase; {FROM_EITHER}", symmetry=f"Point Group, {EDAX_SYMMETRY}")),
    layout_reader("bruker-h5", "Bruker (Esprit)", (".h5",), _find_bruker, _read_bruker,
                  limits=_UNTRIED, numbers=numbers(
                      position=("SEM IX, IY times XSTEP, YSTEP", "um by the format"),
                      orientation=("phi1, PHI, phi2", "degree by the format"),
                      phase="Phase, from 1", missing="phase 0",
                      symmetry="IT, the number of the space group, or its symbol")),
)  # fmt: skip
