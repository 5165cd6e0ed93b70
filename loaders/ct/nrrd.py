"""Volumes as NRRD: a text header, an empty line, and the numbers.

References
----------
Definition of NRRD file format, https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from xtalfuse.loaders.ct.flat import Row, check_length, in_row
from xtalfuse.loaders.ct.read import volume_reader
from xtalfuse.loaders.ct.source import MOST_EXPANSION, Source
from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.loaders.tem.signals import standard_unit

_MOST_HEADER = 100_000
_TYPES = {
    "i1": "signed char|int8|int8_t", "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t", "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|int64|int64_t", "f4": "float", "f8": "double",
}  # fmt: skip
_KIND = {name: kind for kind, names in _TYPES.items() for name in names.split("|")}
_REMEDY = "save it as one .nrrd file, encoding raw or gzip"


def sniff(head: FileHead) -> Certainty:
    """Whether a file begins with the magic of NRRD."""
    return Certainty.SURE if head.start.startswith(b"NRRD000") else Certainty.NONE


def nrrd(path: Path, part: str | None) -> Source:
    """The volume in an NRRD file with its numbers behind the header; x is the fastest axis."""
    with path.open("rb") as file:
        start = file.read(_MOST_HEADER)
    head, gap, _ = start.replace(b"\r\n", b"\n").partition(b"\n\n")
    said = dict(re.findall(r"(?m)^([^#:\n]+):=? *(.*?)\s*$", head.decode("latin-1")))
    ends = [m.end() for m in re.finditer(rb"\r?\n\r?\n", start)]
    begin = ends[0] if ends else 0

    def refuse(cause: str) -> UnreadableFileError:
        return UnreadableFileError(f"{path.name}: {cause}; {_REMEDY}")

    if not gap or "data file" in said or "datafile" in said:
        raise refuse("no numbers behind its header")
    kind, encoding = _KIND.get(said.get("type", "")), said.get("encoding", "")
    if kind is None or encoding not in ("raw", "gzip", "gz"):
        raise refuse(f"type {said.get('type')!r} in encoding {encoding!r}")
    try:
        x, y, z = (int(n) for n in said.get("sizes", "").split())
    except ValueError:
        raise refuse(f"sizes {said.get('sizes')!r} are not those of a volume of numbers") from None
    order = ">" if said.get("endian", "little") == "big" else "<"
    array = Row((z, y, x), np.dtype(order + kind), False, begin if encoding == "raw" else 0)
    if min(x, y, z) < 1:
        raise refuse(f"sizes {x} {y} {z}")
    step, notes = _step(said)
    if not said.get("endian") and array.dtype.itemsize > 1:
        notes = (*notes, "the order of bytes is not given: taken for little-endian")
    if encoding == "raw":
        check_length(path, begin + array.nbytes)
        return in_row(path.open, array, (z, y, x), 0, "xtalfuse/nrrd", path.name, step_um=step,
                      warnings=notes)  # fmt: skip
    if array.nbytes > 1e8 and array.nbytes > MOST_EXPANSION * path.stat().st_size:
        raise refuse(f"{array.nbytes} bytes are declared and {path.stat().st_size} are there")

    def opened(mode: str = "rb") -> IO[bytes]:
        unpack = zlib.decompressobj(wbits=31)  # with the header and the check sum of gzip
        data = unpack.decompress(path.read_bytes()[begin:], array.nbytes + 1)
        if not unpack.eof or len(data) != array.nbytes:
            raise refuse(f"its packed numbers are not the {array.nbytes} bytes declared")
        return io.BytesIO(data)

    return in_row(opened, array, (z, y, x), 0, "xtalfuse/nrrd", path.name, step_um=step,
                  warnings=notes)  # fmt: skip


def _step(said: dict[str, str]) -> tuple[tuple[float, float, float] | None, tuple[str, ...]]:
    """z, y, x in um where the header gives a unit of length for all axes; and warnings."""
    if "space directions" in said:
        rows = re.findall(r"\(([^)]*)\)", said["space directions"])
        sides = [float(np.linalg.norm([float(v) for v in row.split(",")])) for row in rows]
    else:
        sides = [float(v) for v in said.get("spacings", "").split()]
    if len(sides) != 3 or not np.isfinite(sides).all() or min(sides) <= 0.0:
        return None, ()
    units = re.findall(r'"([^"]*)"', said.get("space units", said.get("units", "")))
    known = [standard_unit(unit) for unit in units]
    if len(known) != 3 or any(unit is None or unit[0] != "nm" for unit in known):
        return None, ("a spacing without a unit of length: not used",)
    x, y, z = (side * unit[1] / 1e3 for side, unit in zip(sides, known, strict=True) if unit)
    return (z, y, x), ()


READERS = volume_reader(
    "nrrd", "NRRD (3D Slicer, teem)", (".nrrd",), nrrd, sniff,
    limits=("a header apart from its numbers (.nhdr) is refused",),
    numbers=(
        Number("voxel", "space directions, spacings", "space units, units; without one: not used"),
        Number("value", "behind the empty line, raw or gzip", "none", "type, endian"),
        Number("order of axes", "sizes: x first, z last", "", "none is turned"),
    ),
)  # fmt: skip
