"""Small orientation maps written by the tests, as instruments and programs write them."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

CUBIC = (3.6, 3.6, 3.6, 90.0, 90.0, 90.0)
HEXAGONAL = (2.95, 2.95, 4.68, 90.0, 90.0, 120.0)


@dataclass
class Points:
    """Two grains on a square or hexagonal grid, row by row; three points are not indexed."""

    rows: int = 7
    columns: int = 9
    step: tuple[float, float] = (0.5, 0.5)
    hexagonal: bool = False
    even_shifted: bool = False  # a hexagonal grid whose first row is the shifted one
    x: np.ndarray = field(init=False)
    y: np.ndarray = field(init=False)
    euler: np.ndarray = field(init=False)
    phase: np.ndarray = field(init=False)  # 1, 2, or 0 where not indexed

    def __post_init__(self) -> None:
        if self.hexagonal:
            self.step = (self.step[0], self.step[0] * np.sqrt(3) / 2)
        lengths = [self.columns - self._shifted(r) for r in range(self.rows)]
        row = np.repeat(np.arange(self.rows), lengths)
        column = np.concatenate([np.arange(n) for n in lengths])
        shift = np.array([0.5 * self._shifted(r) for r in range(self.rows)])[row]
        self.x, self.y = (column + shift) * self.step[0], row * self.step[1]
        self.phase = np.where(self.x < self.x.max() / 2, 1, 2)
        self.phase[[3, 4, 11]] = 0
        noise = np.random.default_rng(5).normal(0, 0.003, (len(row), 3))
        grains = np.array([[0.0, 0.0, 0.0], [0.3, 0.8, 1.1], [4.2, 1.9, 5.0]])
        self.euler = np.round(grains[self.phase] + noise * (self.phase > 0)[:, None], 5)

    def _shifted(self, row: int) -> int:
        return int(self.hexagonal and (row % 2 == 1) != self.even_shifted)

    def __len__(self) -> int:
        return len(self.x)


ANG_PHASE = """# Phase {number}
# MaterialName  \t{name}
# Formula     \tX
# Info
# Symmetry              {symmetry}
# LatticeConstants      {cell}
# NumberFamilies        0
#
"""


def ang(
    points: Points,
    *,
    phases: int = 2,
    columns: int = 10,
    header: str = "",
    grid: bool = True,
    end: str = "\n",
) -> str:
    """EDAX text; not indexed are confidence -1 and, of several phases, phase 0."""
    said = "# TEM_PIXperUM          1.000000\n#\n"
    known = ((1, "Copper", 43, CUBIC), (2, "Titanium", 62, HEXAGONAL))
    for number, name, symmetry, cell in known[:phases]:
        text = " ".join(f"{x:.3f}" for x in cell)
        said += ANG_PHASE.format(number=number, name=name, symmetry=symmetry, cell=text)
    said += f"# GRID: {'HexGrid' if points.hexagonal else 'SqrGrid'}\n"
    if grid:
        odd = points.columns - points._shifted(0)
        even = points.columns - points._shifted(1)
        said += f"# XSTEP: {points.step[0]:.6f}\n# YSTEP: {points.step[1]:.6f}\n"
        said += f"# NCOLS_ODD: {odd}\n# NCOLS_EVEN: {even}\n# NROWS: {points.rows}\n"
    said += f"# OPERATOR: A Person\n{header}#\n"
    for i in range(len(points)):
        indexed = points.phase[i] > 0
        angles = points.euler[i] if indexed else np.full(3, 12.56637)
        phase = points.phase[i] if phases > 1 else 0
        row = [f"{a:9.5f}" for a in angles]
        row += [f"{points.x[i]:12.5f}", f"{points.y[i]:12.5f}", "  145.0"]
        row += [f"{0.8 if indexed else -1.0:6.3f}", f"{phase:2d}", "    171", f"{0.5:6.3f}"]
        row += ["7"] * (columns - 10)
        said += " ".join(row[:columns]) + "\n"
    return said.replace("\n", end)


def ctf(points: Points, *, comma: bool = False, keep: np.ndarray | None = None) -> str:
    """Channel text with two phases; `keep` leaves points out."""
    mark = "," if comma else "."
    cells = [
        ";".join(f"{x:.3f}" for x in cell[:3]) + "\t" + ";".join(f"{x:.3f}" for x in cell[3:])
        for cell in (CUBIC, HEXAGONAL)
    ]
    said = "Channel Text File\nPrj\tsteel\nAuthor\t[Unknown]\nJobMode\tGrid\n"
    said += f"XCells\t{points.columns}\nYCells\t{points.rows}\n"
    said += f"XStep\t{points.step[0]:.6f}\nYStep\t{points.step[1]:.6f}\n"
    said += "AcqE1\t0\nAcqE2\t0\nAcqE3\t0\n"
    said += "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t300\tKV\t20.0\n"
    said += (
        f"Phases\t2\n{cells[0]}\tCopper\t11\t225\t\t\tref\n{cells[1]}\tTitanium\t9\t194\t\t\tref\n"
    )
    body = ""
    for i in range(len(points)) if keep is None else np.flatnonzero(keep):
        angles = "\t".join(f"{a:.4f}" for a in np.rad2deg(points.euler[i]))
        bands, error = (8, 0) if points.phase[i] else (0, 3)
        body += f"{points.phase[i]}\t{points.x[i]:.4f}\t{points.y[i]:.4f}\t{bands}\t{error}\t"
        body += f"{angles}\t{0.4:.4f}\t120\t200\n"
    head = "Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS\n"
    return said.replace(".", mark) + head + body.replace(".", mark)


def cpr(points: Points) -> str:
    """Header of an Oxford binary map, with fields 3 to 8, 10, 11."""
    fields = (3, 4, 5, 6, 7, 8, 10, 11)
    lines = ["[General]", "Version=5.0", "JobMode=RegularGrid", "[Job]", "kV=20.00"]
    lines += [f"GridDistX={points.step[0]}", f"GridDistY={points.step[1]}"]
    lines += [f"xCells={points.columns}", f"yCells={points.rows}"]
    lines += ["[Acquisition Surface]", "Euler1=0", "Euler2=0", "Euler3=0"]
    lines += ["[Fields]", f"Count={len(fields)}"]
    lines += [f"Field{i}={number}" for i, number in enumerate(fields, start=1)]
    lines += ["[Phases]", "Count=2"]
    for number, (name, cell, group) in enumerate(
        (("Copper", CUBIC, 11), ("Titanium", HEXAGONAL, 9)), start=1
    ):
        lines += [f"[Phase{number}]", f"StructureName={name}", f"LaueGroup={group}"]
        lines += [f"{k}={v}" for k, v in zip(("a", "b", "c"), cell, strict=False)]
        lines += [f"{k}={v}" for k, v in zip(("alpha", "beta", "gamma"), cell[3:], strict=False)]
    return "\r\n".join(lines) + "\r\n"


def crc(points: Points) -> bytes:
    """The points of an Oxford binary map: 21 bytes each."""
    return b"".join(
        struct.pack("<B4f4B", points.phase[i], *points.euler[i], 0.4, 120, 200, 8, 0)
        for i in range(len(points))
    )


def osc(points: Points, *, counted: bool = False) -> bytes:
    """EDAX binary with two phases; `counted` writes the length of the block of points."""
    mark = b"\xb9\x0b\xef\xff"
    head = struct.pack("<8I", 0, 1, 0, 0, points.columns - 1, points.rows - 1, len(points), 10)
    phases = mark + struct.pack("<3I", 1, 0x3F800000, 2)
    for name, number, cell in (("Copper", 43, CUBIC), ("Titanium", 62, HEXAGONAL)):
        phases += name.encode().ljust(256, b"\0") + struct.pack("<i6fI", number, *cell, 1)
        phases += struct.pack("<4if", 1, 1, 1, 1, 10.0) + b"X".ljust(256, b"\0")
    table = np.zeros((len(points), 10), "<f4")
    found = points.phase > 0
    table[:, :3] = np.where(found[:, None], points.euler, 12.56637)
    table[:, 3], table[:, 4], table[:, 5] = points.x, points.y, 145.0
    table[:, 6], table[:, 7] = np.where(found, 0.8, -1.0), points.phase
    length = struct.pack("<I", table.nbytes + 8) if counted else b""
    block = mark + struct.pack("<I", 2) + length + struct.pack("<2f", *points.step)
    return head + b"\0" * 480 + phases + block + table.tobytes()


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write_crc(folder: Path, points: Points, name: str = "map") -> Path:
    write(folder, f"{name}.cpr", cpr(points))
    return write(folder, f"{name}.crc", crc(points))


def write_h5oina(folder: Path, points: Points, outside: np.ndarray | None = None) -> Path:
    """Oxford HDF5, format version 5.0; points of `outside` hold NaN."""
    import h5py

    path = folder / "map.h5oina"
    x, y, euler = points.x.copy(), points.y.copy(), points.euler.astype("f4")
    phase = points.phase.copy()
    if outside is not None:
        x[outside], y[outside], euler[outside], phase[outside] = np.nan, np.nan, np.nan, 0
    with h5py.File(path, "w") as file:
        file["Format Version"], file["Manufacturer"] = b"5.0", b"Oxford Instruments"
        file["Index"] = np.array([b"1"])
        data, header = file.create_group("1/EBSD/Data"), file.create_group("1/EBSD/Header")
        data["Phase"], data["Euler"] = phase.astype("u1")[:, None], euler
        data["X"], data["Y"] = x.astype("f4"), y.astype("f4")
        data["Band Contrast"] = np.full(len(points), 99, "u1")
        for key, value in (
            ("X Cells", points.columns), ("Y Cells", points.rows), ("X Step", points.step[0]),
            ("Y Step", points.step[1]), ("Project Label", b"P"), ("Beam Voltage", 20.0),
        ):  # fmt: skip
            header[key] = np.array([value])
        header["Specimen Orientation Euler"] = np.zeros((1, 3), "f4")
        for number, name, cell, group in (
            ("1", b"Copper", CUBIC, 11), ("2", b"Titanium", HEXAGONAL, 9),
        ):  # fmt: skip
            entry = header.create_group(f"Phases/{number}")
            entry["Phase Name"], entry["Laue Group"] = np.array([name]), np.array([group])
            entry["Lattice Dimensions"] = np.array([cell[:3]], "f4")
            entry["Lattice Angles"] = np.deg2rad(np.array([cell[3:]], "f4"))
    return path


def write_edax(folder: Path, points: Points) -> Path:
    """EDAX OIM HDF5."""
    import h5py

    path = folder / "map.h5"
    found = points.phase > 0
    with h5py.File(path, "w") as file:
        file["Manufacturer"], file["Version"] = np.array([b"EDAX"]), np.array([b"OIM Analysis 8"])
        data, header = (
            file.create_group("Scan 1/EBSD/Data"),
            file.create_group("Scan 1/EBSD/Header"),
        )
        angles = np.where(found[:, None], points.euler, 12.56637).astype("f4")
        data["Phi1"], data["Phi"], data["Phi2"] = angles.T
        data["X Position"], data["Y Position"] = points.x.astype("f4"), points.y.astype("f4")
        data["Phase"], data["CI"] = points.phase.astype("i1"), np.where(found, 0.8, -1.0)
        data["IQ"] = np.full(len(points), 1000.0)
        for key, value in (
            ("nColumns", points.columns), ("nRows", points.rows), ("Step X", points.step[0]),
            ("Step Y", points.step[1]), ("Operator", b"A Person"),
            ("Grid Type", b"HexGrid" if points.hexagonal else b"SqrGrid"),
        ):  # fmt: skip
            header[key] = np.array([value])
        for number, name, cell, group, symmetry in (
            ("1", b"Copper", CUBIC, b"Cubic (Oh) [m3m]", 43),
            ("2", b"Titanium", HEXAGONAL, b"Hexagonal (D6h) [6/mmm]", 62),
        ):
            entry = header.create_group(f"Phase/{number}")
            entry["MaterialName"], entry["Point Group"] = np.array([name]), np.array([group])
            entry["Symmetry"] = np.array([symmetry])
            for key, value in zip(("a", "b", "c", "alpha", "beta", "gamma"), cell, strict=True):
                entry[f"Lattice Constant {key}"] = np.array([value], "f4")
    return path


def write_bruker(folder: Path, points: Points, keep: np.ndarray | None = None) -> Path:
    """Bruker Esprit HDF5; with `keep`, an irregular area, points in the order of the scan."""
    import h5py

    path = folder / "map.h5"
    order = np.arange(len(points)) if keep is None else np.flatnonzero(keep)
    with h5py.File(path, "w") as file:
        file["Manufacturer"], file["Version"] = b"Bruker Nano", b"Esprit 2.X"
        data, header = file.create_group("Scan/EBSD/Data"), file.create_group("Scan/EBSD/Header")
        data["phi1"], data["PHI"], data["phi2"] = np.rad2deg(points.euler[order]).T
        data["Phase"], data["MAD"] = points.phase[order], np.full(len(order), 0.4)
        for key, value in (
            ("NCOLS", points.columns), ("NROWS", points.rows), ("XSTEP", points.step[0]),
            ("YSTEP", points.step[1]), ("NPoints", len(order)), ("Grid Type", b"isometric"),
        ):  # fmt: skip
            header[key] = value
        if keep is not None:
            file["Scan/EBSD/SEM/IX"] = 10 + (order % points.columns)
            file["Scan/EBSD/SEM/IY"] = 20 + (order // points.columns)
        for number, name, cell, group in (
            ("1", b"Copper", CUBIC, 225), ("2", b"Titanium", HEXAGONAL, 194),
        ):  # fmt: skip
            entry = header.create_group(f"Phases/{number}")
            entry["Name"], entry["LatticeConstants"], entry["IT"] = name, np.array(cell), group
    return path


def write_emsoft(folder: Path, points: Points, refined: bool = False) -> Path:
    """EMsoft dictionary indexing: 3 best matches of a dictionary; padded rows as EMsoft has."""
    import h5py

    path = folder / "map.h5"
    count = points.rows * points.columns
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = np.array([b"EMEBSDDictionaryIndexing.f90"])
        data, header = (
            file.create_group("Scan 1/EBSD/Data"),
            file.create_group("Scan 1/EBSD/Header"),
        )
        filler = np.array([[350.0, 170.0, 355.0]])
        data["DictionaryEulerAngles"] = np.concatenate([np.rad2deg(points.euler), filler])
        data["FZcnt"] = np.array([count + 1])
        best = np.arange(1, count + 1)
        data["TopMatchIndices"] = np.pad(np.stack([best, best, best], 1), ((0, 4), (0, 0)))
        data["CI"] = np.full(count, 0.9)
        if refined:
            data["RefinedEulerAngles"] = points.euler + 0.01
        for key, value in (
            ("nColumns", points.columns), ("nRows", points.rows),
            ("Step X", points.step[0]), ("Step Y", points.step[1]),
        ):  # fmt: skip
            header[key] = np.array([value])
        entry = header.create_group("Phase/1")
        entry["MaterialName"] = np.array([b"copper/copper"])
        entry["Point Group"] = np.array([b"Cubic (Oh) [m3m]"])
        for key, value in zip(("a", "b", "c", "alpha", "beta", "gamma"), CUBIC, strict=True):
            entry[f"Lattice Constant {key}"] = np.array([str(value).encode()])
    return path


def write_dream3d(folder: Path, points: Points, sections: int = 3) -> Path:
    """DREAM.3D volume: the same section several times, each turned by its number."""
    import h5py

    path = folder / "map.dream3d"
    shape = (sections, points.rows, points.columns)
    with h5py.File(path, "w") as file:
        group = file.create_group("DataContainers/ImageDataContainer")
        size = (points.columns, points.rows, sections)
        group["_SIMPL_GEOMETRY/DIMENSIONS"] = np.array(size, "u8")
        group["_SIMPL_GEOMETRY/SPACING"] = np.array((*points.step, 0.25), "f4")
        euler = np.stack([points.euler + np.array([0.1 * i, 0, 0]) for i in range(sections)])
        group["CellData/EulerAngles"] = euler.reshape(*shape, 3).astype("f4")
        group["CellData/Phases"] = np.tile(points.phase, sections).reshape(*shape, 1)
        group["CellData/Confidence Index"] = np.full((*shape, 1), 0.5, "f4")
        group["CellEnsembleData/CrystalStructures"] = np.array([[999], [1], [0]], "u4")
        group["CellEnsembleData/MaterialName"] = [b"Invalid", b"Copper", b"Titanium"]
    return path


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The functions of this file."""
    return sys.modules[__name__]


@pytest.fixture
def points() -> Points:
    return Points()
