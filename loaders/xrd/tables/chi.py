"""Patterns integrated by FIT2D, pyFAI and Dioptas: ``.chi``.

Four lines stand above the points: a title, the names of both axes, and the number of points
(Hammersley, 1997, FIT2D: An Introduction and Overview, ESRF97HA02T).
"""

from __future__ import annotations

import re
from pathlib import Path

from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.safe.head import FileHead, refused
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan
from xtalfuse.loaders.xrd.tables.pattern import NUMBERS, Table, pattern_of
from xtalfuse.loaders.xrd.tables.text import COMMENT, decoded, is_row, table_in


def sniff(head: FileHead) -> Certainty:
    """By three lines of words, one of one or two whole numbers, and a row of numbers."""
    lines = (decoded(head.start) or "").splitlines()[:5]
    known = len(lines) == 5 and re.fullmatch(r"\s*\d+(\s+\d+)?\s*", lines[3]) and is_row(lines[4])
    worded = all(
        x.strip() and not is_row(x) and not x.lstrip().startswith(COMMENT) for x in lines[:3]
    )
    return Certainty.SURE if known and worded else Certainty.NONE


def read(path: Path) -> Scan:
    """Pattern of a ``.chi`` file.

    Raises
    ------
    UnreadableFileError
        If its x is none of 2theta, q and d, or it holds another number of points than it says.
    """
    lines = (decoded(path.read_bytes()) or "").splitlines(keepends=True)
    title, over_x, over_y = (line.strip() for line in lines[:3])
    table = table_in(path, "".join(lines[4:]))
    declared, found = int(lines[3].split()[0]), len(table.values)
    if found != declared:
        raise refused(path.name, f"{found} points where {declared} are declared")
    names = (over_x, over_y, "sigma")[: table.values.shape[1]]
    words = "\n".join((title, over_x, over_y))
    return pattern_of(path, Table(table.values, names, words, table.warnings), "chi")


READERS = powder_reader(
    "chi",
    "FIT2D, pyFAI, Dioptas",
    (".chi",),
    sniff,
    read,
    numbers=(
        Number("two_theta", "first column", "second line: 2theta, q or d with its unit",
               "one decimal sign for all; azimuth and radius are refused"),
        Number("intensity", "second column; as many as the fourth line says", "third line"),
        NUMBERS[-1],
    ),
)  # fmt: skip
