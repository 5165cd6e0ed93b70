"""Orientation maps as Channel text: ``.ctf`` of Oxford, Bruker, ASTAR, EMsoft and MTEX.

A header of keys and values between tabs, a table of phases, then one line for each point:
phase, x, y, bands, error, Bunge's angles in degrees, and qualities. Some programs write
decimal commas.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from xtalfuse.loaders.ebsd.grid import Declared
from xtalfuse.loaders.ebsd.map import RawMap, numbers_of, phase_of, whole
from xtalfuse.loaders.ebsd.numbering import (
    FROM_EITHER,
    OXFORD_SYMMETRY,
    filled_in,
    has_solution,
    numbered,
    numbers,
)
from xtalfuse.loaders.ebsd.read import map_reader
from xtalfuse.loaders.ebsd.symmetry import CrystalFrame
from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead, refused
from xtalfuse.physics.grains.crystal_map import GridKind, MapPhase

_NEEDED = ("phase", "x", "y", "euler1", "euler2", "euler3")
# Programs whose crystal frame in this format is not known to be Oxford's.
_OTHER_PROGRAMS = ("EMsoft", "ACOM RES")
_EMSOFT = {"mad": "dot_product", "bc": "orientation_similarity", "bs": "iq"}
_MOST_HEADER_LINES = 1000


def sniff(head: FileHead) -> Certainty:
    """Whether a file begins as a Channel text file."""
    return Certainty.SURE if head.text.startswith("Channel Text File") else Certainty.NONE


def read(path: Path) -> RawMap:
    """The section in a ``.ctf`` file.

    Points are not indexed where their phase is 0, and where a row is of zeros.

    Raises
    ------
    UnreadableFileError
        If the header has no phases or columns, a line is no row of numbers, or points are
        missing.
    """
    lines = path.read_bytes().decode("utf-8-sig", "replace").splitlines()
    start = next((i for i, line in enumerate(lines) if re.match(r"Phase\s+X\s+Y\s", line)), None)
    if start is None or start > _MOST_HEADER_LINES:
        raise UnreadableFileError(f"{path.name}: no line with the names of columns; {EXPORT_AGAIN}")
    header, names = lines[:start], [name.lower() for name in lines[start].split()]
    if not set(_NEEDED) <= set(names) or len(set(names)) < len(names):
        raise refused(path.name, f"columns {' '.join(names)} where {' '.join(_NEEDED)} are needed")
    table = numbers_of(path.name, lines[start + 1 :], len(names))
    column = {name: table[:, i] for i, name in enumerate(names)}
    x, y, phase = column.pop("x"), column.pop("y"), column.pop("phase")
    degrees = np.stack([column.pop(f"euler{i}") for i in (1, 2, 3)], axis=1)
    text = "\n".join(header)
    program = next((word for word in _OTHER_PROGRAMS if word in text), None)
    if program == "EMsoft":
        column = {_EMSOFT.get(name, name): values for name, values in column.items()}
    values = _values(header)
    phases, solved = _phases(path.name, header), has_solution(np.deg2rad(degrees), column)
    sure = solved & ~(column.get("error", np.zeros(len(x))) > 0)
    number, indexed, notes = numbered(whole(path.name, phase), solved, phases, sure)
    return RawMap(
        euler=np.deg2rad(degrees),
        phase=number,
        indexed=indexed,
        phases=phases,
        x=x,
        y=y,
        declared=_declared(values),
        quality=column,
        metadata=_metadata(values),
        warnings=(*notes, *filled_in(indexed, column), *_doubts(degrees[indexed])),
        frame=CrystalFrame.UNKNOWN if program else CrystalFrame.OXFORD,
    )


def _values(header: list[str]) -> dict[str, str]:
    """Keys and values; a line may hold several, and begin with a sentence."""
    found: dict[str, str] = {}
    for line in header:
        parts = [part.strip() for part in line.split("\t")]
        if len(parts) % 2:
            parts = parts[1:]
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            found.setdefault(key.lower(), value.replace(",", "."))
    return found


def _declared(values: dict[str, str]) -> Declared | None:
    try:
        columns, rows = int(values["xcells"]), int(values["ycells"])
        step = (float(values["xstep"]), float(values["ystep"]))
    except (KeyError, ValueError):
        return None
    if columns < 1 or rows < 1:
        return None
    return Declared(GridKind.SQUARE, rows, columns, columns, step if min(step) > 0 else None)


def _phases(name: str, header: list[str]) -> dict[int, MapPhase]:
    """The table of phases: cell, angles, name, Laue group, space group."""
    first = next((i for i, line in enumerate(header) if re.match(r"Phases\s+\d+", line)), None)
    count = int(header[first].split()[1]) if first is not None else 0
    rows = header[first + 1 : first + 1 + count] if first is not None else []
    if not rows or len(rows) != count:
        raise refused(name, f"{len(rows)} phases are described where {count} are declared")
    return {number: _phase(name, row) for number, row in enumerate(rows, start=1)}


def _phase(name: str, row: str) -> MapPhase:
    parts = [part.strip() for part in row.split("\t")]
    try:
        numbers = [float(x.replace(",", ".")) for part in parts[:2] for x in part.split(";") if x]
        a, b, c, alpha, beta, gamma = numbers
        title, group = parts[2], int(parts[3])
    except (ValueError, IndexError):
        raise UnreadableFileError(f"{name}: {row!r} describes no phase; {EXPORT_AGAIN}") from None
    quoted = re.search(r"'([^']+)'", title)
    return phase_of(
        name, quoted.group(1) if quoted else title, group, "oxford",
        (a, b, c, alpha, beta, gamma), space_group="".join(parts[4:5]),
    )  # fmt: skip


def _doubts(degrees: np.ndarray) -> tuple[str, ...]:
    """Angles that fill a full turn in radians but no more of one in degrees."""
    if len(degrees) < 100:
        return ()
    most = np.abs(degrees).max(axis=0)
    if (most <= (2 * np.pi + 1e-3, np.pi + 1e-3, 2 * np.pi + 1e-3)).all() and most[0] > 3:
        return ("all Euler angles are below 2 pi: they may be in radians; read as degrees",)
    return ()


def _metadata(values: dict[str, str]) -> dict[str, str]:
    keys = ("prj", "author", "jobmode", "mag", "kv", "tiltangle", "coverage")
    found = {key: values[key] for key in keys if values.get(key)}
    surface = [values.get(f"acqe{i}", "") for i in (1, 2, 3)]
    if all(surface):
        found["acquisition_surface_euler_deg"] = " ".join(surface)
    return found


READERS = map_reader(
    "ctf", "Oxford Instruments (HKL), Bruker, ASTAR, EMsoft, MTEX", (".ctf",), sniff, read,
    numbers=numbers(
        position=("columns X and Y", "um by the format"),
        orientation=("Euler1 to Euler3", "degree by the format; all below 2 pi: told"),
        phase=f"Phase; {FROM_EITHER}",
        missing="phase 0; angles 0 where Bands or MAD is 0; Error set, no Bands: told, kept",
        symmetry=OXFORD_SYMMETRY,
    ),
)  # fmt: skip
