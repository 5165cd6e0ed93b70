"""The header of an MRC file, for volumes and for stacks of pictures alike."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xtalfuse.loaders.reader import Number
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN

_TYPES = {0: "i1", 1: "i2", 2: "f4", 3: "i4", 4: "c8", 6: "u2", 12: "f2"}  # 3: two short integers
_IMOD = 1146047817  # stamp of IMOD, whose flags say whether bytes have a sign
_UNSET_UM = 1e-4  # a cell of 1 angstrom in each voxel: never set

MRC_VALUES = Number(
    "value",
    "behind the header and NSYMBT",
    "none",
    "MODE, MACHST; bytes have a sign where NVERSION or IMOD's flags say so, or DMIN is below zero",
)


@dataclass(frozen=True)
class MrcHeader:
    """What an MRC header says.

    Parameters
    ----------
    shape : z, y, x
    dtype : of the values, with their byte order
    start : byte at which the values begin
    step_um : z, y, x of a voxel in micrometre; None where it was never set
    axes : along which axes of the cell columns, rows and sections run; 0 where not said
    volume : whether it says that it is one volume, not a stack of pictures
    order : of the bytes, ``<`` or ``>``
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    start: int
    step_um: tuple[float, float, float] | None
    axes: tuple[int, ...]
    volume: bool
    order: str

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        z, y, x = self.shape
        return self.start + z * y * x * self.dtype.itemsize


def mrc_header(path: Path) -> MrcHeader:
    """The header of an MRC file.

    Raises
    ------
    UnreadableFileError
        If its mode or one of its sizes cannot be.

    References
    ----------
    Cheng, A. et al. (2015). J. Struct. Biol. 192, 146-150 (MRC2014).
    """
    with path.open("rb") as file:
        head = file.read(1024).ljust(1024, b"\0")
    order = ">" if head[212:213] == b"\x11" else "<"

    def said(kind: str, at: int) -> tuple[float, ...]:
        return struct.unpack_from(order + kind, head, at)

    nx, ny, nz, mode = struct.unpack_from(order + "4i", head)
    (extended,) = struct.unpack_from(order + "i", head, 92)
    if mode not in _TYPES or min(nx, ny, nz) < 1 or extended < 0:
        raise UnreadableFileError(f"{path.name}: no valid MRC header; {EXPORT_AGAIN}")
    lowest, highest = said("2f", 76)
    (version,), (stamp, flags) = said("i", 108), said("2i", 152)
    signed = bool(int(flags) & 1) if stamp == _IMOD else version > 0 or lowest < 0.0
    unsigned = mode == 0 and not signed and (stamp == _IMOD or highest > 127.0)
    sampling, cell, step = said("3i", 28), said("3f", 40), None
    if min(sampling) > 0 and np.isfinite(cell).all() and min(cell) > 0:
        dx, dy, dz = (length / n * 1e-4 for length, n in zip(cell, sampling, strict=True))
        step = None if np.allclose((dx, dy, dz), _UNSET_UM, rtol=1e-6) else (dz, dy, dx)
    return MrcHeader(
        (nz, ny, nx),
        np.dtype(order + ("u1" if unsigned else _TYPES[mode])),
        1024 + extended,
        step,
        struct.unpack_from(order + "3i", head, 64),
        said("i", 88)[0] == 1,  # ISPG of a single volume; 0 is a stack of pictures
        order,
    )
