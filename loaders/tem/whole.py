"""Files that say how long they are, held against the length that they have.

Several readers fill what is missing with zeros, so this comes before them.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import MEMORY_GB
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.checks import MOST_EXPANSION_WHOLE
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, refused
from xtalfuse.loaders.tem.mrc import mrc_header

_DECODED = 15  # bytes for each pixel: four in the decoder, three channels, twice four of luminance

_SPECTRUM = 0x4120  # what TIA calls one-dimensional data
_TIA_BYTES = {1: 1, 2: 2, 3: 4, 4: 1, 5: 2, 6: 4, 7: 4, 8: 8, 9: 8, 10: 16}
_IMAGEJ_MORE = 50839  # tag of what ImageJ keeps behind the pictures: regions, overlays, tables


def sibling(path: Path, suffix: str) -> Path | None:
    """The file beside `path` of the same name and another suffix."""
    for name in (path.stem + suffix, path.stem + suffix.upper()):
        if (path.parent / name).is_file():
            return path.parent / name
    return None


def parts(path: Path, kind: str) -> tuple[Path, ...]:
    """Other files of the folder that belong to a file of this kind and are read with it."""
    beside = path.parent
    if kind == "tia" and path.suffix.lower() == ".emi":
        name = re.compile(re.escape(path.stem) + r"_\d+\.ser", re.IGNORECASE)
        return tuple(sorted(p for p in beside.iterdir() if name.fullmatch(p.name)))
    if kind == "ripple":
        found = sibling(path, ".raw")
        return (found,) if found else ()
    if kind == "quantumdetector" and path.suffix.lower() == ".mib":
        found = sibling(path, ".hdr")
        return (found,) if found else ()
    if kind == "tvips" and path.stem.endswith("_000"):
        name = re.compile(re.escape(path.stem[:-3]) + r"\d{3}\.tvips", re.IGNORECASE)
        return tuple(sorted(p for p in beside.iterdir() if name.fullmatch(p.name) and p != path))
    return ()


def check_whole(path: Path, kind: str) -> None:
    """Hold the length that a header declares against the length of the file.

    Raises
    ------
    UnreadableFileError
        If something is missing.
    """
    if kind in _BEFORE:
        _BEFORE[kind](path)


def _refuse_short(path: Path, declared: int, what: str = "the header") -> None:
    size = path.stat().st_size
    if size < declared:
        raise refused(path.name, f"{what} declares {declared} bytes and {size} are there")


def _refuse_packed(path: Path, declared: int) -> None:
    """Refuse pictures that unpack to far more than noise can be packed from."""
    size = path.stat().st_size
    if declared > 1e8 and declared > MOST_EXPANSION_WHOLE * size:
        raise UnreadableFileError(
            f"{path.name}: unpacks from {size / 1e6:.3g} to {declared / 1e6:.0f} MB, which no "
            "recorded picture does: it is empty or damaged; " + EXPORT_AGAIN
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
        found = parts(path, "tia")
        if not found:
            raise refused(path.name, f"its data file {path.stem}_1.ser is missing", "put it beside")
        for part in found:
            _before_tia(part)
        return
    with path.open("rb") as file:
        head = file.read(34).ljust(34, b"\0")
    version, total, valid = struct.unpack_from("<H8x2I", head, 4)
    dimensions = struct.unpack_from("<I", head, 26 if version <= 528 else 30)[0]
    if valid == 0:
        raise UnreadableFileError(f"{path.name}: declares no valid element; {EXPORT_AGAIN}")
    if valid < total and dimensions > 1:
        raise UnreadableFileError(
            f"{path.name}: the acquisition stopped after {valid} of {total} positions; "
            "crop the map in TIA and save it again"
        )
    with path.open("rb") as file:
        kind, wide = struct.unpack_from("<H", head, 6)[0], "Q" if version > 528 else "I"
        file.seek(struct.unpack_from("<" + wide, head, 22)[0])
        offsets = file.read(struct.calcsize(wide) * (total + 1)).ljust(8 * (total + 1), b"\0")
        begin, end = (struct.unpack_from("<" + wide, offsets, struct.calcsize(wide) * n)[0]
                      for n in (0, total))  # fmt: skip
        file.seek(begin)
        described = file.read(50).ljust(50, b"\0")
    before, sides = (26, 1) if kind == _SPECTRUM else (50, 2)
    type_, *shape = struct.unpack_from(f"<H{sides}I", described, before - 4 * sides - 2)
    declared = before + int(np.prod(shape, dtype=object)) * _TIA_BYTES.get(type_, 0)
    if total == 1 and end > begin and declared != end - begin:
        raise refused(
            path.name, f"declares an element of {declared} bytes in the place of {end - begin}"
        )


def _before_ripple(path: Path) -> None:
    data = sibling(path, ".raw")
    if data is None:
        raise refused(path.name, f"its data file {path.stem}.raw is missing", "put it beside")
    pairs = dict(re.findall(r"(?m)^([\w-]+)[\t ]+(\S+)", path.read_text("latin-1")))
    try:
        sizes = [int(pairs[key]) for key in ("width", "height", "depth", "data-length")]
        offset = int(pairs.get("offset", 0))
    except (KeyError, ValueError) as error:
        raise UnreadableFileError(f"{path.name}: no valid {error}; {EXPORT_AGAIN}") from None
    _refuse_short(data, offset + int(np.prod(sizes, dtype=object)), path.name)


def _before_ripple_data(path: Path) -> None:
    raise UnreadableFileError(f"{path.name}: data without a header; read {path.stem}.rpl")


def _before_merlin(path: Path) -> None:
    if path.suffix.lower() == ".hdr":
        if sibling(path, ".mib"):
            raise UnreadableFileError(f"{path.name}: a header; read {path.stem}.mib")
        raise refused(path.name, f"its data file {path.stem}.mib is missing", "put it beside")
    with path.open("rb") as file:
        fields = file.read(64).decode("latin-1").split(",")
    bits = re.fullmatch(r"U(\d\d)", fields[6]) if len(fields) > 6 else None
    if bits:  # raw frames (R64) are packed in other ways: their reader checks them
        frame = int(fields[2]) + int(fields[4]) * int(fields[5]) * int(bits.group(1)) // 8
        size = path.stat().st_size
        if size < frame or size % frame:
            raise UnreadableFileError(f"{path.name}: its last frame is cut; {EXPORT_AGAIN}")


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
                raise refused(path.name, f"picture {len(seen) + 1} is cut")
            seen.add(at)
            file.seek(at)
            tags = struct.unpack(order + count, file.read(struct.calcsize(count)))[0]
            if tags == 0:
                raise refused(path.name, f"picture {len(seen)} is cut")
            file.seek(tags * tag, 1)
    with tifffile.TiffFile(path) as tiff:
        ends = [
            offset + length
            for page in tiff.pages
            for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
        page, held = tiff.pages[0], len(tiff.pages)
        images = int((tiff.imagej_metadata or {}).get("images", held))
        if images > held == 1:  # ImageJ describes one picture and appends the rest
            ends.append(page.dataoffsets[0] + images * page.nbytes)
            if isinstance(page, tifffile.TiffPage) and _IMAGEJ_MORE not in page.tags:
                held = (size - page.dataoffsets[0]) // page.nbytes
        if held not in (1, images):
            raise refused(path.name, f"declares {images} pictures and holds {held}")
        for number, page in enumerate(tiff.pages, 1):
            if _unlike(page, images if len(tiff.pages) == 1 else 1):
                raise UnreadableFileError(
                    f"{path.name}: picture {number} is declared as {page.nbytes} bytes and stored "
                    f"as {sum(page.databytecounts)}; {EXPORT_AGAIN}"
                )
        declared = sum(page.nbytes for page in tiff.pages)
    _refuse_short(path, max(ends, default=0))
    _refuse_packed(path, declared)


def _unlike(page: Any, images: int) -> bool:
    """Whether a plain picture in strips is stored as less, or as twice, what it declares."""
    plain = page.compression == 1 and not page.is_tiled and page.bitspersample in (8, 16, 32, 64)
    stored = sum(page.databytecounts)
    return plain and not page.nbytes <= stored < (images + 1) * page.nbytes


def _before_image(path: Path) -> None:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # what is too large is said here
    with Image.open(path) as picture:
        width, height = picture.size
        _refuse_packed(path, width * height * len(picture.getbands()))
        picture.verify()  # the check sums of PNG, which decoding does not look at
    if width * height * _DECODED > 1e9 * MEMORY_GB:
        raise UnreadableFileError(
            f"{path.name}: {width} x {height} pixels, more than {MEMORY_GB:g} GB of memory hold "
            "while they are decoded; crop it, or save it with fewer pixels"
        )


def _before_prz(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        _refuse_packed(path, sum(member.file_size for member in archive.infolist()))


def _before_mrc(path: Path) -> None:
    _refuse_short(path, mrc_header(path).size)


def _before_tvips(path: Path) -> None:
    if not path.stem.endswith("_000"):
        first = re.sub(r"\d{3}$", "000", path.stem)
        raise UnreadableFileError(f"{path.name}: part of a video sequence; read {first}.tvips")
    with path.open("rb") as file:
        head = file.read(64)
    header, version, width, height, bits = struct.unpack_from("<5i", head)
    frame_header = struct.unpack_from("<i", head, 48)[0] if version == 2 else 12
    if min(header, width, height, bits) < 1 or bits not in (8, 16, 32) or frame_header < 0:
        raise UnreadableFileError(f"{path.name}: no valid TVIPS header; {EXPORT_AGAIN}")
    record = width * height * bits // 8 + frame_header
    for part in (path, *parts(path, "tvips")):
        body = part.stat().st_size - (header if part == path else 0)
        if body < record or body % record:
            raise UnreadableFileError(f"{part.name}: its last frame is cut; {EXPORT_AGAIN}")
        with part.open("rb") as file:
            file.seek(-record, 2)
            if body > record and not any(file.read(frame_header)):  # it begins with its number
                raise UnreadableFileError(f"{part.name}: its last frame is empty; {EXPORT_AGAIN}")


def _before_empad(path: Path) -> None:
    named = re.search(r"""raw_file[^>]*filename\s*=\s*["']([^"']+)""", path.read_text("latin-1"))
    data = path.parent / Path(named.group(1).replace("\\", "/")).name if named else None
    if data is None or not data.is_file():
        raise UnreadableFileError(
            f"{path.name}: its data file {data.name if data else '(none named)'} is missing; "
            "put it beside"
        )


_BEFORE: dict[str, Callable[[Path], None]] = {
    "digitalmicrograph": _before_dm, "blockfile": _before_blockfile, "tia": _before_tia,
    "ripple": _before_ripple, "ripple data": _before_ripple_data, "quantumdetector": _before_merlin,
    "mrc": _before_mrc, "tiff": _before_tiff, "image": _before_image, "pantarhei": _before_prz,
    "tvips": _before_tvips, "empad": _before_empad,
}  # fmt: skip
