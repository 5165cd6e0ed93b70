"""Powder scans of Stoe WinXPOW: ``.raw``.

Layout of the files (``RAW_1.06Powdat``, little-endian, blocks of 512 bytes) as described by
the free readers of Profex and Chemotion and checked on a file: wavelengths at 0x142, number
of 512-byte blocks of each range from 0x1F0, of the whole file at 0x1DC; each range is one
header block and its counts, and its header repeats lowest and highest count.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.safe.head import FileHead, refused
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan, stated_radiation

MAGIC = b"RAW_1.0"
BLOCK = 512


def sniff(head: FileHead) -> Certainty:
    """By the first bytes."""
    return Certainty.SURE if head.start.startswith(MAGIC) else Certainty.NONE


def read(path: Path) -> Scan:
    """Powder scan of a Stoe WinXPOW ``.raw`` file.

    Raises
    ------
    UnreadableFileError
        If the file is cut, holds several ranges, or its counts do not fit the extremes that
        its header states.
    """

    data = path.read_bytes()
    if len(data) < 5 * BLOCK or data[8:14] != b"Powdat":
        raise refused(path.name, "not a complete Stoe powder file")
    ka1, ka2 = struct.unpack_from("<2f", data, 0x142)
    sizes = [size for size in struct.unpack_from("<8H", data, 0x1F0) if size]
    (blocks,) = struct.unpack_from("<H", data, 0x1DC)
    if len(sizes) != 1:
        raise refused(
            path.name, f"{len(sizes)} ranges where one is expected", "export the ranges separately"
        )
    if len(data) < blocks * BLOCK or blocks < sizes[0] + 1:
        raise refused(path.name, f"{len(data)} bytes where the header declares {blocks * BLOCK}")
    usual = (blocks - sizes[0]) * BLOCK
    elsewhere = range(2 * BLOCK, len(data), BLOCK)  # some programs write a longer header
    found = next((r for at in (usual, *elsewhere) if (r := _range(data, at, sizes[0]))), None)
    if found is None:
        raise refused(
            path.name, "no range whose points and extreme counts are those that it declares"
        )
    angles, counts, metadata = found
    radiation = stated_radiation(path.name, ka1=float(ka1), ka2=float(ka2), only_ka1=True)
    said = "Stoe optics pass K-alpha1 only; pass --wavelength if yours do not"
    return Scan(angles, counts, "stoe raw", "counts", None, radiation, metadata, (said,))


def _range(
    data: bytes, start: int, blocks: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]] | None:
    """Angles, counts and metadata of the range whose counts begin at `start`.

    None where the header before them does not fit: number of points against range and step,
    lowest and highest count against the counts.
    """
    header = start - BLOCK
    (points,) = struct.unpack_from("<H", data, header + 34)
    first, _, last, _, step, _, seconds = struct.unpack_from("<7f", data, header + 44)
    low, high = struct.unpack_from("<2I", data, header + 120)
    wide = points * 4 <= blocks * BLOCK  # long counts, else short ones
    size = points * (4 if wide else 2)
    if not (points > 1 and size <= min(blocks * BLOCK, len(data) - start)):
        return None
    if not (step > 0 and abs((last - first) / step + 1 - points) < 1.0):
        return None
    counts = np.frombuffer(data, "<i4" if wide else "<u2", points, start).astype(float)
    if (counts.min(), counts.max()) != (low, high):
        return None
    angles = first + (last - first) / (points - 1) * np.arange(points)
    return angles, counts, {"counting_time_s": float(seconds), "step_deg": round(float(step), 6)}


READERS = powder_reader(
    "stoe-raw",
    "Stoe WinXPOW",
    (".raw",),
    sniff,
    read,
    numbers=(
        Number("two_theta", "first, last and number of points of the range, checked by its step",
               "degrees, fixed by the format"),
        Number("intensity", "words or long words, whose extremes its header repeats",
               "counts, fixed by the format"),
        Number("wavelength", "two floats at 0x142; K-alpha1 alone is used",
               "angstrom, fixed by the format"),
    ),
    limits=("files of several ranges are refused", "K-alpha1 alone is assumed, with a warning"),
)  # fmt: skip
