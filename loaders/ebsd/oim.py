"""Projects of EDAX's OIM Analysis, ``.oim``: known, and refused with the remedy."""

from __future__ import annotations

from pathlib import Path

from xtalfuse.loaders.ebsd.map import RawMap
from xtalfuse.loaders.ebsd.read import map_reader
from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.safe.head import FileHead, refused

_OLE = b"\xd0\xcf\x11\xe0"


def sniff(head: FileHead) -> Certainty:
    """By the suffix, and the first bytes of any OLE container."""
    known = head.suffix == ".oim" and head.start.startswith(_OLE)
    return Certainty.SURE if known else Certainty.NONE


def read(path: Path) -> RawMap:
    """Refuse the file; the message says what to export instead."""
    raise refused(
        path.name,
        "a project of OIM Analysis, whose layout is not published",
        "export its map as .ang",
    )


READERS = map_reader(
    "oim",
    "EDAX OIM Analysis, project",
    (".oim",),
    sniff,
    read,
    limits=("always refused: the layout is not published; export its map as .ang",),
)
