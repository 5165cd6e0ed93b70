"""Vendor files of electron microscopes, through RosettaSciIO's readers.

The reader is chosen by what the file holds, not by its name: ``.h5``, ``.emd``, ``.img`` and
``.raw`` each mean several formats. Before a reader runs, the length that the header declares
is held against the length of the file, because several readers fill what is missing with
zeros.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.tem import vendor
from xtalfuse.loaders.tem.signals import RawSignal, text

if TYPE_CHECKING:
    import h5py

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_COPY = "copy the file again from the instrument"

# First bytes of a file -> name of the RosettaSciIO reader.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"II\x97\x01", "tia"),
    (b"JK\x00\x02", "tia"),
    (b"IMGBLO", "blockfile"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"AAMVHFSS", "bruker"),
    (b"MAPSPECTRUM_DATA", "edax"),
    (b"MQ1,", "quantumdetector"),
    (b"HDR,", "quantumdetector"),
    (b"\x89PNG\r\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"BM", "image"),
)
# Formats without a mark at the beginning: known by their suffix alone.
_SUFFIX = {
    ".spc": "edax",
    ".mrc": "mrc",
    ".ali": "mrc",
    ".prz": "pantarhei",
    ".eds": "jeol",
    ".pts": "jeol",
    ".asw": "jeol",
    ".elid": "phenom",
}


def identify(path: Path, head: bytes) -> str | None:
    """Name of the reader for a file, from its first bytes (4 kB are enough); None if not ours."""
    suffix = path.suffix.lower()
    if head.startswith(HDF5_MAGIC):
        return "hdf5"
    if _is_dm(head):
        return "digitalmicrograph"
    for magic, reader in _MAGIC:
        if head.startswith(magic) and (len(magic) > 2 or suffix == ".bmp"):
            return reader
    if head[208:212] == b"MAP ":
        return "mrc"
    if suffix == ".rpl" and re.search(rb"(?mi)^data-(type|length)\s", head):
        return "ripple"
    if suffix == ".raw" and _sibling(path, ".rpl"):
        return "ripple data"
    if head[:4] == b"\x0c\x00\x00\x00" == head[16:20]:
        return "semper"
    if suffix == ".tvips":
        return "tvips"
    if b"<TRTSpectrum" in head:
        return "bruker"
    if suffix == ".xml" and b"<raw_file" in head:
        return "empad"
    if suffix in (".img", ".map") and head[:4] == b"\x34\x00\x00\x00":
        return "jeol"
    return _SUFFIX.get(suffix)


def _is_dm(head: bytes) -> bool:
    if len(head) < 16:
        return False
    version = struct.unpack(">I", head[:4])[0]
    order = head[8:12] if version == 3 else head[12:16]
    return version in (3, 4) and struct.unpack(">I", order)[0] in (0, 1)


def companions(path: Path, head: bytes) -> tuple[Path, ...]:
    """Other files of the folder that belong to this one and are read with it."""
    kind = identify(path, head)
    beside = path.parent
    if kind == "tia" and path.suffix.lower() == ".emi":
        name = re.compile(re.escape(path.stem) + r"_\d+\.ser", re.IGNORECASE)
        return tuple(sorted(p for p in beside.iterdir() if name.fullmatch(p.name)))
    if kind == "ripple":
        found = _sibling(path, ".raw")
        return (found,) if found else ()
    if kind == "quantumdetector" and path.suffix.lower() == ".mib":
        found = _sibling(path, ".hdr")
        return (found,) if found else ()
    if kind == "tvips" and path.stem.endswith("_000"):
        name = re.compile(re.escape(path.stem[:-3]) + r"\d{3}\.tvips", re.IGNORECASE)
        return tuple(sorted(p for p in beside.iterdir() if name.fullmatch(p.name) and p != path))
    return ()


def _sibling(path: Path, suffix: str) -> Path | None:
    for name in (path.stem + suffix, path.stem + suffix.upper()):
        if (path.parent / name).is_file():
            return path.parent / name
    return None


def read(path: Path, head: bytes) -> tuple[str, list[RawSignal]]:
    """Name of the reader and every numeric signal of the file, in its order.

    Raises
    ------
    UnreadableFileError
        If the format is unknown, a companion file is missing, or the file is shorter than it
        declares. A damaged file may raise anything else; `electron.read` words it.
    """
    kind = identify(path, head)
    if kind == "hdf5":
        kind = _hdf5_layout(path)
    if kind is None:
        raise UnreadableFileError(
            f"{path.name}: not a known file of an electron microscope; export it as .dm3, .emd, "
            ".msa, .hspy or .tif"
        )
    check_whole(path, kind)
    return kind, vendor.read(path, kind)


def check_whole(path: Path, kind: str) -> None:
    """Hold the length that a header declares against the length of the file.

    Raises
    ------
    UnreadableFileError
        If something is missing.
    """
    if kind in _BEFORE:
        _BEFORE[kind](path)


def _hdf5_layout(path: Path) -> str:
    """Which of the many layouts inside HDF5 this is, checked."""
    import h5py

    from xtalfuse.loaders.safe.checks import check_hdf5

    check_hdf5(path)
    with h5py.File(path, "r") as file:
        layout, keys = hdf5_layout(file, path), sorted(file)
    if layout is None:
        raise UnreadableFileError(
            f"{path.name}: an HDF5 file of unknown layout (holds {', '.join(keys[:6])}); "
            "export it as .hspy, .emd or .msa"
        )
    return layout


def hdf5_layout(file: h5py.File, path: Path) -> str | None:
    """Name of the reader for an open HDF5 file; None if its layout is not ours."""
    import h5py

    keys, attributes = set(file), set(file.attrs)
    own = [key for key in keys if isinstance(file.get(key, getlink=True), h5py.HardLink)]
    groups = [item for item in map(file.get, own) if isinstance(item, h5py.Group)]
    inner = {name for group in groups for name in group.attrs}
    classes = {text(group.attrs.get("NX_class")) for group in groups}
    if "Experiments" in keys:
        return "hspy"
    if {"Data", "Version"} <= keys:
        return "emd"
    if "TofDAQ Version" in attributes:
        return "tofwerk"
    if any(re.fullmatch(r"Acquisition\d+", key) for key in keys):
        return "delmic"
    if any("emd_group_type" in names or "version_major" in names for names in (attributes, inner)):
        return "emd"
    if "STEM Metadata" in keys or path.stem.rpartition("_data_")[1]:
        return "arina"
    if "Version" in keys and any(len(key) == 36 for key in keys):
        return "topspin"
    if "NXentry" in classes or path.suffix.lower() == ".nxs":
        return "nexus"
    return None


def _refuse_short(path: Path, declared: int, what: str = "the header") -> None:
    size = path.stat().st_size
    if size < declared:
        raise UnreadableFileError(
            f"{path.name}: {what} declares {declared} bytes and {size} are there; {_COPY}"
        )


def _before_dm(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(16)
    # The root length leaves out the 16 (version 3) or 24 (version 4) bytes around it.
    if struct.unpack(">I", head[:4])[0] == 3:
        _refuse_short(path, struct.unpack(">I", head[4:8])[0] + 16)
    else:
        _refuse_short(path, struct.unpack(">Q", head[4:12])[0] + 24)


def _before_blockfile(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(64)
    frames_at = struct.unpack_from("<I", head, 12)[0]
    side, _, nx, ny = struct.unpack_from("<4H", head, 20)
    _refuse_short(path, frames_at + nx * ny * (side * side + 6))


def _before_tia(path: Path) -> None:
    if path.suffix.lower() == ".emi":
        parts = companions(path, b"JK\x00\x02")
        if not parts:
            raise UnreadableFileError(
                f"{path.name}: its data file {path.stem}_1.ser is missing; put it beside"
            )
        for part in parts:
            _before_tia(part)
        return
    with path.open("rb") as file:
        head = file.read(34).ljust(34, b"\0")
    version, total, valid = struct.unpack_from("<H8x2I", head, 4)
    dimensions = struct.unpack_from("<I", head, 26 if version <= 528 else 30)[0]
    if valid == 0:
        raise UnreadableFileError(f"{path.name}: declares no valid element; {_COPY}")
    if valid < total and dimensions > 1:
        raise UnreadableFileError(
            f"{path.name}: the acquisition stopped after {valid} of {total} positions; "
            "crop the map in TIA and save it again"
        )


def _before_ripple(path: Path) -> None:
    data = _sibling(path, ".raw")
    if data is None:
        raise UnreadableFileError(
            f"{path.name}: its data file {path.stem}.raw is missing; put it beside"
        )
    pairs = dict(re.findall(r"(?m)^([\w-]+)[\t ]+(\S+)", path.read_text("latin-1")))
    try:
        sizes = [int(pairs[key]) for key in ("width", "height", "depth", "data-length")]
        offset = int(pairs.get("offset", 0))
    except (KeyError, ValueError) as error:
        raise UnreadableFileError(f"{path.name}: no valid {error}; {_COPY}") from None
    _refuse_short(data, offset + int(np.prod(sizes, dtype=object)), path.name)


def _before_ripple_data(path: Path) -> None:
    raise UnreadableFileError(f"{path.name}: data without a header; read {path.stem}.rpl")


def _before_merlin(path: Path) -> None:
    if path.suffix.lower() == ".hdr":
        if _sibling(path, ".mib"):
            raise UnreadableFileError(f"{path.name}: a header; read {path.stem}.mib")
        raise UnreadableFileError(
            f"{path.name}: its data file {path.stem}.mib is missing; put it beside"
        )
    with path.open("rb") as file:
        fields = file.read(64).decode("latin-1").split(",")
    bits = re.fullmatch(r"U(\d\d)", fields[6]) if len(fields) > 6 else None
    if bits:  # raw frames (R64) are packed in other ways: their reader checks them
        frame = int(fields[2]) + int(fields[4]) * int(fields[5]) * int(bits.group(1)) // 8
        size = path.stat().st_size
        if size < frame or size % frame:
            raise UnreadableFileError(f"{path.name}: its last frame is cut; {_COPY}")


def _before_tiff(path: Path) -> None:
    """Follow the chain of pictures: a reader stops without a word where it breaks."""
    import tifffile

    size = path.stat().st_size
    with path.open("rb") as file:
        order = "<" if file.read(2) == b"II" else ">"
        big = struct.unpack(order + "H", file.read(2))[0] == 43
        count, tag, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
        width = struct.calcsize(pointer)
        file.seek(8 if big else 4)
        seen: set[int] = set()
        while at := struct.unpack(order + pointer, file.read(width).ljust(width, b"\0"))[0]:
            if at in seen or at + 8 > size:
                raise UnreadableFileError(f"{path.name}: picture {len(seen) + 1} is cut; {_COPY}")
            seen.add(at)
            file.seek(at)
            tags = struct.unpack(order + count, file.read(struct.calcsize(count)))[0]
            if tags == 0:
                raise UnreadableFileError(f"{path.name}: picture {len(seen)} is cut; {_COPY}")
            file.seek(tags * tag, 1)
    with tifffile.TiffFile(path) as tiff:
        ends = [
            offset + length
            for page in tiff.pages
            for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
        page = tiff.pages[0]
        images = int((tiff.imagej_metadata or {}).get("images", 1))
        if images > len(tiff.pages) == 1:  # ImageJ describes one picture and appends the rest
            ends.append(page.dataoffsets[0] + images * page.nbytes)
    _refuse_short(path, max(ends, default=0))


def _before_mrc(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(1024)
    nx, ny, nz, mode = struct.unpack_from("<4i", head)
    size = {0: 1, 1: 2, 2: 4, 3: 4, 4: 8, 6: 2, 12: 2}.get(mode)
    if size is None or min(nx, ny, nz) < 1:
        raise UnreadableFileError(f"{path.name}: no valid MRC header; {_COPY}")
    extended = struct.unpack_from("<i", head, 92)[0]
    _refuse_short(path, 1024 + extended + nx * ny * nz * size)


def _before_tvips(path: Path) -> None:
    if not path.stem.endswith("_000"):
        first = re.sub(r"\d{3}$", "000", path.stem)
        raise UnreadableFileError(f"{path.name}: part of a video sequence; read {first}.tvips")
    with path.open("rb") as file:
        head = file.read(64)
    header, version, width, height, bits = struct.unpack_from("<5i", head)
    frame_header = struct.unpack_from("<i", head, 48)[0] if version == 2 else 12
    if min(header, width, height, bits) < 1 or bits not in (8, 16, 32) or frame_header < 0:
        raise UnreadableFileError(f"{path.name}: no valid TVIPS header; {_COPY}")
    record = width * height * bits // 8 + frame_header
    for part in (path, *companions(path, head)):
        body = part.stat().st_size - (header if part == path else 0)
        if body < record or body % record:
            raise UnreadableFileError(f"{part.name}: its last frame is cut; {_COPY}")


def _before_empad(path: Path) -> None:
    named = re.search(r"""raw_file[^>]*filename\s*=\s*["']([^"']+)""", path.read_text("latin-1"))
    data = path.parent / Path(named.group(1).replace("\\", "/")).name if named else None
    if data is None or not data.is_file():
        raise UnreadableFileError(
            f"{path.name}: its data file {data.name if data else '(none named)'} is missing; "
            "put it beside"
        )


_BEFORE: dict[str, Callable[[Path], None]] = {
    "digitalmicrograph": _before_dm,
    "blockfile": _before_blockfile,
    "tia": _before_tia,
    "ripple": _before_ripple,
    "ripple data": _before_ripple_data,
    "quantumdetector": _before_merlin,
    "mrc": _before_mrc,
    "tiff": _before_tiff,
    "tvips": _before_tvips,
    "empad": _before_empad,
}
