"""Orientation maps of EDAX in binary: ``.osc``.

The layout is not published; what is used here holds in files of OIM 5 to 8. Little-endian; the
seventh number of the file is the number of points; blocks begin with the same four bytes and a
number: block 1 holds the phases, block 2 the steps and the points, as many floats for each as
an ``.ang`` has columns, in the same order. What does not fit is refused.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from xtalfuse.loaders.ebsd import symmetry as ebsd_symmetry
from xtalfuse.loaders.ebsd.map import RawMap, of_columns
from xtalfuse.loaders.ebsd.numbering import EDAX_SYMMETRY, FROM_EITHER, numbers
from xtalfuse.loaders.ebsd.read import map_reader
from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead, refused
from xtalfuse.physics.grains.crystal_map import MapPhase

_BLOCK = b"\xb9\x0b\xef\xff"
_COLUMNS = ("phi1", "Phi", "phi2", "x", "y", "iq", "ci", "phase", "sem", "fit")
_FEWEST, _MOST = 8, 40  # columns
_NAME_BYTES = 256
_REMEDY = "export the map as .ang from OIM Analysis"


def sniff(head: FileHead) -> Certainty:
    """Whether a file is an ``.osc``: by its first block, and its suffix."""
    known = head.suffix == ".osc" and _BLOCK + b"\x01\0\0\0" in head.start
    return Certainty.SURE if known else Certainty.NONE


def read(path: Path) -> RawMap:
    """The section in an ``.osc`` file.

    Points are not indexed as in an ``.ang``.

    Raises
    ------
    UnreadableFileError
        If the file is not exactly as long as its number of points needs, or the phases or the
        positions are not found where they should be.
    """
    content = path.read_bytes()
    points = struct.unpack_from("<I", content, 24)[0] if len(content) > 64 else 0
    first = content.find(_BLOCK + b"\x01\0\0\0")
    second = content.find(_BLOCK + b"\x02\0\0\0", first)
    if first < 0 or second < 0 or points < 2:
        raise UnreadableFileError(f"{path.name}: no points of an .osc, or cut; {_REMEDY}")
    phases = _phases(path.name, content[first + 8 : second])
    table = _table(path.name, content, second + 8, points)
    column = {name: table[:, i].astype(float) for i, name in enumerate(_COLUMNS[: table.shape[1]])}
    column |= {f"column_{i + 1}": table[:, i] for i in range(len(_COLUMNS), table.shape[1])}
    warnings = tuple(f"{p.name}: no lattice constants" for p in phases.values() if p.cell is None)
    return of_columns(path.name, column, phases, _REMEDY, warnings=warnings)


def _table(name: str, content: bytes, start: int, points: int) -> np.ndarray:
    """(n, columns) float32: the points, which fill the block to its end.

    Some versions write the length of the block before the two steps.
    """
    following = content.find(_BLOCK, start)
    while 0 <= following < start + 8 + 4 * _FEWEST * points:  # by chance, within the points
        following = content.find(_BLOCK, following + 1)
    ends = {len(content)} | ({following} if following >= 0 else set())
    for begin in (start, start + 4):
        step_x, step_y = struct.unpack_from("<2f", content, begin)
        for end in sorted(ends):
            columns, rest = divmod(end - begin - 8, 4 * points)
            if rest or not _FEWEST <= columns <= _MOST or not (step_x > 0 and step_y > 0):
                continue
            table = np.frombuffer(content, "<f4", points * columns, begin + 8)
            table = table.reshape(points, columns)
            if table[1, 4] == table[0, 4] and abs(table[1, 3] - table[0, 3] - step_x) < 1e-3:
                return table
    raise UnreadableFileError(
        f"{name}: {points} points are declared, but the length of the file is not theirs: it is "
        f"cut or of an unknown version; {_REMEDY}"
    )


def _phases(name: str, block: bytes) -> dict[int, MapPhase]:
    """The phases of a block, numbered as they come.

    A record is a name of 256 bytes, the symmetry, six floats of the cell, the number of
    reflectors and these; records follow each other at distances that are not known, so they
    are looked for. Their number stands at the beginning of the block.
    """
    wanted = struct.unpack_from("<I", block, 4)[0] if len(block) > _NAME_BYTES + 40 else 0
    phases: dict[int, MapPhase] = {}
    for position in _candidates(block):
        found = _record(block, position)
        if found is not None:
            phases[len(phases) + 1] = found
    if not phases or len(phases) != wanted:
        raise refused(name, f"{len(phases)} phases were found where {wanted} are declared", _REMEDY)
    return phases


def _candidates(block: bytes) -> list[int]:
    """Where records may begin: text of 256 bytes before a number of symmetry."""
    number = np.lib.stride_tricks.sliding_window_view(np.frombuffer(block, np.uint8), 4)
    value = number.astype(np.int64) @ (1 << np.array([0, 8, 16, 24]))
    likely = np.flatnonzero((value > 0) & (value < 140)) - _NAME_BYTES
    return [int(position) for position in likely if position >= 0]


def _record(block: bytes, position: int) -> MapPhase | None:
    """The phase that begins at a byte of a block; None if none does."""
    raw = block[position : position + _NAME_BYTES].split(b"\0")[0]
    text = raw.decode("latin-1").strip()
    if not text or not text.isprintable() or raw[:1].isspace():
        return None
    if position and 32 < block[position - 1] < 127:  # in the middle of a name
        return None
    number, *numbers = struct.unpack_from(
        "<i6f", block.ljust(position + 300, b"\0"), position + 256
    )
    a, b, c, alpha, beta, gamma = (round(float(x), 5) for x in numbers)
    cell = (a, b, c, alpha, beta, gamma)
    laue = ebsd_symmetry.laue(number, "edax", cell)
    if laue is None or not ebsd_symmetry.possible(cell):
        return None
    return MapPhase(text, laue, None if (a, b, c) == (1.0, 1.0, 1.0) else cell)


READERS = map_reader(
    "osc",
    "EDAX OIM, binary",
    (".osc",),
    sniff,
    read,
    limits=("the layout is not published; tried with files of OIM 5 to 8",),
    numbers=numbers(
        position=("floats 4 and 5 of a point", "um, as in an .ang"),
        orientation=("floats 1 to 3", "radian, as in an .ang"),
        phase=f"float 8; {FROM_EITHER}",
        symmetry=f"number behind the name: {EDAX_SYMMETRY}",
    ),
)
