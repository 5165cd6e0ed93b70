"""Volumes whose numbers lie in a row: ``.npy``, ``.npz`` and ``.mrc``.

Nothing here unpickles. What a header declares is held against the length of the file before
any memory is asked for.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from xtalfuse.loaders.ct.read import volume_reader
from xtalfuse.loaders.ct.source import MOST_EXPANSION, SHORTEST, Source, depth
from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead, refused
from xtalfuse.loaders.tem.mrc import MRC_VALUES, mrc_header

NPY_MAGIC = b"\x93NUMPY"
_MOST_HEADER = 10_000


@dataclass(frozen=True)
class Row:
    """A numpy array in a stream: its header, and where its values begin."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    start: int

    @property
    def nbytes(self) -> int:
        count = int(self.dtype.itemsize)
        for n in self.shape:
            count *= int(n)
        return count


def is_npy(head: FileHead) -> Certainty:
    """Whether a file is a numpy array."""
    return Certainty.SURE if head.start.startswith(NPY_MAGIC) else Certainty.NONE


def is_npz(head: FileHead) -> Certainty:
    """Whether a file is a zip archive of nothing but numpy arrays."""
    if not head.start.startswith(b"PK"):
        return Certainty.NONE
    try:
        with zipfile.ZipFile(head.path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        # damaged: reading it will say so
        return Certainty.LIKELY if head.suffix == ".npz" else Certainty.NONE
    arrays = bool(names) and all(name.endswith(".npy") for name in names)
    return Certainty.SURE if arrays else Certainty.NONE


def npy(path: Path, part: str | None) -> Source:
    """The volume in a ``.npy`` file; `part` is a position where it holds several."""
    with path.open("rb") as file:
        array = _header(file, path.name, "the array")
    if path.stat().st_size != array.start + array.nbytes:
        raise UnreadableFileError(
            f"{path.name}: the header declares {array.nbytes} bytes of data and "
            f"{path.stat().st_size - array.start} are there; {EXPORT_AGAIN}"
        )
    shape, skip = _one_of(array, part, path.name)
    return in_row(path.open, array, shape, skip, "numpy/npy", path.name)


def npz(path: Path, part: str | None) -> Source:
    """The volume in a ``.npz`` file: its only three-dimensional array, or the chosen one.

    A bit-packed set, uint8 (n, bytes) beside an array ``shape`` of three integers, holds n
    volumes of zeros and ones; one is chosen by its position.
    """
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        arrays: dict[str, Row] = {}
        for name, info in infos.items():
            with archive.open(info) as stream:
                arrays[name] = _header(stream, path.name, name)
            if info.file_size != arrays[name].start + arrays[name].nbytes or (
                info.file_size > 1e8 and info.file_size > MOST_EXPANSION * info.compress_size
            ):
                raise UnreadableFileError(
                    f"{path.name}: {name} declares {arrays[name].nbytes} bytes of data, which "
                    f"are not there; {EXPORT_AGAIN}"
                )
        packed = _packed_shape(archive, arrays)
    wanted, _, position = (part or "").partition("/")
    if wanted.isdigit() and wanted not in arrays:
        wanted, position = "", wanted
    name = _chosen_array(arrays, packed, wanted, path.name)

    def opened(mode: str = "rb") -> IO[bytes]:
        return zipfile.ZipFile(path).open(infos[name])

    if packed and name in packed:
        return _unpacked(opened, arrays[name], packed[name], position, path.name)
    shape, skip = _one_of(arrays[name], position or None, path.name)
    source = in_row(opened, arrays[name], shape, skip, "numpy/npz", path.name)
    source.metadata["array"] = name
    return source


def _header(stream: IO[bytes], file: str, name: str) -> Row:
    try:
        version = np.lib.format.read_magic(stream)
        reader: Any = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = reader(stream, max_header_size=_MOST_HEADER)
    except Exception as error:  # numpy raises anything on a damaged header
        cause = " ".join(str(error).split())[:120]
        raise refused(file, f"{name} has no valid header ({cause})") from None
    if dtype.hasobject:
        raise UnreadableFileError(
            f"{file}: {name} holds pickled objects, which are never loaded; save plain numbers"
        )
    return Row(tuple(shape), dtype, fortran, stream.tell())


def _packed_shape(
    archive: zipfile.ZipFile, arrays: dict[str, Row]
) -> dict[str, tuple[int, int, int]]:
    """Names of bit-packed sets of volumes and the shape of one volume."""
    given = arrays.get("shape")
    if given is None or given.shape != (3,) or given.dtype.kind not in "iu":
        return {}
    with archive.open("shape.npy") as stream:
        one = np.lib.format.read_array(stream, allow_pickle=False)
    z, y, x = (int(n) for n in one)
    if min(z, y, x) < 1:
        return {}
    width = -(-z * y * x // 8)
    return {
        name: (z, y, x)
        for name, array in arrays.items()
        if array.dtype == np.uint8 and array.shape[1:] == (width,)
    }


def _chosen_array(
    arrays: dict[str, Row], packed: dict[str, tuple[int, int, int]], wanted: str, file: str
) -> str:
    fitting = [
        name
        for name, array in arrays.items()
        if name in packed or (len(array.shape) in (3, 4) and min(array.shape[-3:]) >= SHORTEST)
    ]
    if wanted:
        if wanted not in arrays:
            raise refused(file, f"no array {wanted!r}", f"it has {', '.join(arrays) or 'none'}")
        return wanted
    if not fitting:
        held = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:6])
        raise UnreadableFileError(
            f"{file}: no three-dimensional array (holds {held}); save the volume as z, y, x"
        )
    if len(fitting) > 1:
        raise UnreadableFileError(
            f"{file}: several volumes ({', '.join(fitting[:8])}); choose one: {file}#{fitting[0]}"
        )
    return fitting[0]


def _position(position: str | None, count: int, file: str) -> int:
    if not position:
        raise refused(file, f"a set of {count} volumes", f"choose one by its position: {file}#0")
    if not position.isdigit() or int(position) >= count:
        raise UnreadableFileError(
            f"{file}: no volume {position!r}; choose one from {file}#0 to {file}#{count - 1}"
        )
    return int(position)


def _one_of(array: Row, part: str | None, file: str) -> tuple[tuple[int, ...], int]:
    """Shape of one volume, and how many voxels of the array come before it."""
    if len(array.shape) == 4 and array.shape[0] > 1:
        if array.fortran:
            raise UnreadableFileError(f"{file}: a set in Fortran order; save it in C order")
        index = _position(part, array.shape[0], file)
        return array.shape[1:], index * int(np.prod(array.shape[1:], dtype=object))
    shape = array.shape[1:] if len(array.shape) == 4 else array.shape
    if part not in (None, "", "0"):
        raise UnreadableFileError(f"{file}: a single volume, no {part!r}; leave out #{part}")
    if len(shape) != 3:
        raise refused(file, f"an array of shape {array.shape} is no volume", "save it as z, y, x")
    return shape, 0


def in_row(
    opened: Callable[[str], IO[bytes]],
    array: Row,
    shape: tuple[int, ...],
    skip: int,
    reader: str,
    file: str,
    **more: Any,
) -> Source:
    """The volume whose values begin `skip` values after the start of `array`."""
    dtype, at = array.dtype, array.start + skip * array.dtype.itemsize

    def blocks() -> Iterator[np.ndarray]:
        with opened("rb") as stream:
            stream.seek(at)
            if array.fortran:  # x is the slowest: no slice lies together
                yield _exactly(stream, shape[::-1], dtype, file).T
                return
            for start in range(0, shape[0], depth(shape, dtype.itemsize)):
                count = min(depth(shape, dtype.itemsize), shape[0] - start)
                yield _exactly(stream, (count, *shape[1:]), dtype, file)

    z, y, x = shape
    return Source((z, y, x), dtype, blocks, reader, **more)


def _exactly(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, file: str) -> np.ndarray:
    wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
    content = stream.read(wanted)
    if len(content) != wanted:
        raise UnreadableFileError(f"{file}: its data end too early; {EXPORT_AGAIN}")
    return np.frombuffer(content, dtype).reshape(shape)


def _unpacked(
    opened: Callable[[str], IO[bytes]],
    array: Row,
    shape: tuple[int, int, int],
    position: str,
    file: str,
) -> Source:
    index = _position(position, array.shape[0], file)
    if array.fortran:
        raise UnreadableFileError(f"{file}: a set in Fortran order; save it in C order")

    def blocks() -> Iterator[np.ndarray]:
        with opened("rb") as stream:
            stream.seek(array.start + index * array.shape[1])
            packed = _exactly(stream, array.shape[1:], array.dtype, file)
        count = int(np.prod(shape))
        yield np.unpackbits(packed)[:count].reshape(shape)

    return Source(
        shape, np.dtype(np.uint8), blocks, "numpy/npz packed", metadata={"volume": index},
        label=True,
    )  # fmt: skip


def is_mrc(head: FileHead) -> Certainty:
    """Whether a file is an MRC map, and says that it is one volume, not a stack of pictures."""
    start = head.start
    if start[208:212] != b"MAP ":
        return Certainty.NONE
    if len(start) < 1024:
        return Certainty.ON_REQUEST
    try:
        header = mrc_header(head.path)
    except UnreadableFileError:  # reading says so
        return Certainty.ON_REQUEST
    volume = header.volume and header.shape[0] >= SHORTEST
    return Certainty.LIKELY if volume else Certainty.ON_REQUEST


def mrc(path: Path, part: str | None) -> Source:
    """The volume in an MRC map; its cell gives the voxel size in angstrom."""
    header = mrc_header(path)
    if header.axes not in ((1, 2, 3), (0, 0, 0)):  # zeros: never set
        raise UnreadableFileError(
            f"{path.name}: its columns, rows and sections run along the axes {header.axes} of the "
            "cell; write it with x, y, z, that is 1, 2, 3"
        )
    check_length(path, header.size)
    array = Row(header.shape, header.dtype, False, header.start)
    shape, skip = _one_of(array, part, path.name)
    return in_row(path.open, array, shape, skip, "xtalfuse/mrc", path.name, step_um=header.step_um)


def check_length(path: Path, wanted: int) -> None:
    size = path.stat().st_size
    if size != wanted:
        raise UnreadableFileError(
            f"{path.name}: {wanted} bytes are declared and {size} are there; "
            "correct shape, type and offset, or copy the file again"
        )


_OF_NUMPY = (
    Number("voxel", "not in the file", "by hand, or px"),
    Number("value", "as they are", "none", "type and byte order of the header"),
    Number("order of axes", "z, y, x", "", "fortran_order of the header"),
)

READERS = (
    volume_reader("npy", "NumPy array", (".npy",), npy, is_npy,
                  limits=("the voxel size is not in the file: give it by hand",),
                  numbers=_OF_NUMPY),
    volume_reader("npz", "NumPy archive; one of several volumes behind #", (".npz",), npz, is_npz,
                  limits=("the voxel size is not in the file: give it by hand",),
                  numbers=_OF_NUMPY),
    volume_reader("mrc-volume", "MRC, one volume", (".mrc", ".rec", ".map"), mrc, is_mrc,
                  numbers=(
                      Number("voxel", "cell over sampling (MX, CELLA)", "angstrom by the format",
                             "1 angstrom along each axis: not set"),
                      MRC_VALUES,
                      Number("order of axes", "x fastest, sections last", "",
                             "another MAPC: refused"),
                  )),
)  # fmt: skip
