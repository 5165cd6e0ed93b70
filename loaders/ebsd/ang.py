"""Orientation maps as text of EDAX (TSL), EMsoft, ASTAR and orix: ``.ang``.

A header of lines that begin with ``#``, then one line for each point: Bunge's angles in
radians, x and y, image quality, confidence index, phase, and more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from xtalfuse.loaders.ebsd import symmetry as ebsd_symmetry
from xtalfuse.loaders.ebsd.grid import Declared
from xtalfuse.loaders.ebsd.map import RawMap, numbers_of, of_columns, phase_of
from xtalfuse.loaders.ebsd.numbering import EDAX_SYMMETRY, FROM_EITHER, numbers
from xtalfuse.loaders.ebsd.read import map_reader
from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead, refused
from xtalfuse.physics.grains.crystal_map import GridKind, MapPhase

_MARKS = (b"GRID:", b"LatticeConstants", b"MaterialName", b"NCOLS_ODD", b"TEM_PIXperUM")
_TSL_COLUMNS = ("phi1", "Phi", "phi2", "x", "y", "iq", "ci", "phase", "sem", "fit")
# Programs that write other columns, by a word of the header.
_COLUMNS = {
    "EMsoft": ("phi1", "Phi", "phi2", "x", "y", "iq", "dot_product", "phase"),
    "ACOM": ("phi1", "Phi", "phi2", "x", "y", "index", "reliability", "phase"),
}
_SAME_NAME = {
    "phi1": "phi1", "phi2": "phi2", "phase index": "phase", "phase": "phase", "phase_id": "phase",
    "x": "x", "y": "y", "iq": "iq", "ci": "ci", "sem": "sem", "fit": "fit",
}  # fmt: skip


@dataclass
class _Header:
    values: dict[str, str] = field(default_factory=dict)
    phases: dict[int, MapPhase] = field(default_factory=dict)
    text: str = ""
    warnings: list[str] = field(default_factory=list)


def sniff(head: FileHead) -> Certainty:
    """Whether a file begins like an ``.ang``: comment lines with a grid or a lattice."""
    marks = sum(mark in head.start for mark in _MARKS) if head.text.startswith("#") else 0
    if marks >= 2:
        return Certainty.SURE
    return Certainty.LIKELY if marks and head.suffix == ".ang" else Certainty.NONE


def read(path: Path) -> RawMap:
    """The section in an ``.ang`` file.

    Raises
    ------
    UnreadableFileError
        If a line is no row of numbers, or columns or phases are not described.
    """
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    first = next((i for i, line in enumerate(lines) if _is_data(line)), len(lines))
    header = _header(path.name, lines[:first])
    table = numbers_of(path.name, lines[first:])
    names = _column_names(path.name, header, table.shape[1])
    column = {name: table[:, i] for i, name in enumerate(names)}
    if "ACOM" in header.text:  # ASTAR writes nanometre
        column["x"], column["y"] = 1e-3 * column["x"], 1e-3 * column["y"]
    return of_columns(
        path.name, column, header.phases, EXPORT_AGAIN, declared=_declared(header),
        metadata=_metadata(header), warnings=tuple(header.warnings),
    )  # fmt: skip


def _is_data(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip("\ufeff ").startswith("#")


def _header(name: str, lines: list[str]) -> _Header:
    found = _Header(text="\n".join(lines))
    groups: list[dict[str, str]] = []
    number = None
    for line in lines:
        match = re.match(r"\s*#+\s*([A-Za-z][\w-]*)\s*:?\s*(.*?)[\s#]*$", line)
        if not match:
            continue
        key, value = match.groups()
        if key == "Phase" and value.isdigit():
            number = value
        elif key == "MaterialName":
            groups.append({"number": number or str(len(groups) + 1), key: value})
            number = None
        elif groups and key in ("Formula", "Symmetry", "PointGroupID", "LatticeConstants"):
            groups[-1].setdefault(key, value)
        elif key != "hklFamilies":
            found.values.setdefault(key.upper(), value)
    for group in groups:
        if int(group["number"]) in found.phases:
            raise refused(name, f"two phases are numbered {group['number']}")
        found.phases[int(group["number"])] = _phase(name, group, found)
    if not found.phases:
        raise UnreadableFileError(f"{name}: the header describes no phase; {EXPORT_AGAIN}")
    return found


def _phase(name: str, group: dict[str, str], header: _Header) -> MapPhase:
    try:
        a, b, c, alpha, beta, gamma = map(float, group.get("LatticeConstants", "").split())
        cell = (a, b, c, alpha, beta, gamma)
    except ValueError:
        cell = None
    cell = cell if cell and ebsd_symmetry.possible(cell) else None
    symbol, label = group.get("Symmetry", ""), group["MaterialName"]
    found = phase_of(name, label, symbol, "edax", cell, formula=group.get("Formula", ""))
    if found.cell is None:
        header.warnings.append(f"{label}: no lattice constants")
    return found


def _column_names(name: str, header: _Header, width: int) -> list[str]:
    """A name for each column: from the header, else as the program that wrote it has them."""
    listed = header.values.get("COLUMN_HEADERS") or _orix_columns(header)
    if listed:
        names = [_spelled(part) for part in listed.split(",")]
        if len(names) == width and len(set(names)) == width and {"x", "y", "Phi"} <= set(names):
            return names
    program = next((word for word in _COLUMNS if word in header.text), None)
    names = list(_COLUMNS.get(program or "", _TSL_COLUMNS))[:width]
    if width < 5:
        raise refused(
            name, f"{width} numbers for each point where three angles and two positions are needed"
        )
    return names + [f"column_{i + 1}" for i in range(len(names), width)]


def _orix_columns(header: _Header) -> str:
    match = re.search(r"#\s*Column names:\s*(.*)", header.text)
    return match.group(1) if match else ""


def _spelled(name: str) -> str:
    text = name.strip()
    if text in ("PHI", "Phi"):
        return "Phi"
    return _SAME_NAME.get(text.lower(), text.replace(" ", "_").lower())


def _declared(header: _Header) -> Declared | None:
    try:
        rows = int(header.values["NROWS"])
        odd = int(header.values["NCOLS_ODD"])
        even = int(header.values.get("NCOLS_EVEN", odd))
    except (KeyError, ValueError):
        return None
    hexagonal = "hex" in header.values.get("GRID", "").lower()
    try:
        step = (float(header.values["XSTEP"]), float(header.values["YSTEP"]))
    except (KeyError, ValueError):
        step = None
    grid = GridKind.HEXAGONAL if hexagonal else GridKind.SQUARE
    return Declared(grid, rows, odd, even, step if step and min(step) > 0 else None)


def _metadata(header: _Header) -> dict[str, str]:
    """What a person may want to know of the measurement."""
    keys = ("OPERATOR", "SAMPLEID", "SCANID", "GRID", "WORKINGDISTANCE", "VERSION")
    return {key.lower(): header.values[key] for key in keys if header.values.get(key)}


READERS = map_reader(
    "ang", "EDAX (TSL), ASTAR, EMsoft, orix", (".ang",), sniff, read,
    numbers=numbers(
        position=("columns 4 and 5, or those named so", "um by the format; nm of ASTAR"),
        orientation=("columns 1 to 3", "radian by the format"),
        phase=f"column 8; {FROM_EITHER}",
        symmetry=f"Symmetry of the header: {EDAX_SYMMETRY}",
    ),
)  # fmt: skip
