"""Volumes as TIFF: many pages in one file, or a folder with one slice in each file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.ct.read import volume_reader
from xtalfuse.loaders.ct.source import SHORTEST, Source, depth
from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead, damaged
from xtalfuse.loaders.tem.signals import standard_unit
from xtalfuse.loaders.tem.whole import check_whole

TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_SLICE = re.compile(r"^(.*?)(\d+)\.tiff?$", re.IGNORECASE)
# Private tags of electron microscopes: DigitalMicrograph, FEI (two), Zeiss, JEOL, Olympus.
_ELECTRON_TAGS = (65003, 65009, 34680, 34682, 34118, 50656, 33560)
_SLICE_AXES = "ZIQT"  # what tifffile calls the third axis of a volume; C is none
_WHITE_IS_ZERO = 0  # photometric interpretation: high values are dark


def is_stack(head: FileHead) -> Certainty:
    """Whether a TIFF file holds at least 8 slices of one shape and is no series of pictures."""
    if not head.start.startswith(TIFF_MAGIC):
        return Certainty.NONE
    import tifffile

    try:
        with tifffile.TiffFile(head.path) as tiff:
            series = tiff.series[0]
            tags = tiff.pages.first.tags
            volume = (
                len(tiff.series) == 1
                and series.axes[0] in _SLICE_AXES
                and series.axes[1:] in ("YX", "YXS")
                and min(series.shape[:3]) >= SHORTEST
                and not any(tag in tags for tag in _ELECTRON_TAGS)
            )
    except Exception:  # damaged: the reader of pictures will say how
        return Certainty.ON_REQUEST
    return Certainty.LIKELY if volume else Certainty.ON_REQUEST


def stack(path: Path, part: str | None) -> Source:
    """The volume in a multipage TIFF file."""
    import tifffile

    if part:
        raise UnreadableFileError(f"{path.name}: a single volume, no {part!r}; leave out #{part}")
    check_whole(path, "tiff")
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        coloured = series.axes[3:] == "S" and series.shape[-1] in (3, 4)
        if len(tiff.series) > 1 or len(series.shape) != 3 + coloured:
            shapes = ", ".join(str(s.shape) for s in tiff.series[:4])
            raise UnreadableFileError(
                f"{path.name}: pages of shape {shapes} are no volume; save one grey slice per "
                "page, all of one size"
            )
        z, y, x = series.shape[:3]
        shape, dtype = (z, y, x), np.dtype(series.dtype)
        step, assumed, notes = _voxel(tiff)
        paged = len(tiff.pages) == z
        dark = tiff.pages.first.photometric == _WHITE_IS_ZERO
        if series.axes[0] == "T":
            notes = (*notes, "frames in time are taken for slices")
        notes = (*notes, *_TURNED[:dark])

    def blocks() -> Iterator[np.ndarray]:
        count = depth(shape, dtype.itemsize)
        with tifffile.TiffFile(path) as tiff:
            if not paged:  # ImageJ writes the slices in one row behind the first page
                start = int(tiff.pages[0].dataoffsets[0])
                order = np.dtype(dtype).newbyteorder(tiff.byteorder)
                with path.open("rb") as file:
                    file.seek(start)
                    for first in range(0, z, count):
                        want = min(count, z - first) * y * x
                        yield _bright(np.fromfile(file, order, want).reshape(-1, y, x), dark)
                return
            for first in range(0, z, count):
                pages = [
                    _grey(path.name, tiff.pages[i].asarray())
                    for i in range(first, min(first + count, z))
                ]
                yield _bright(np.stack(pages), dark)

    return Source(shape, dtype, blocks, "tifffile/stack", step, assumed, warnings=notes)


_TURNED = ("white is zero in this file: its values were turned round, high is bright",)


def _bright(block: np.ndarray, dark: bool) -> np.ndarray:
    """Values of which high is bright, where the file says that high is dark."""
    if not dark:
        return block
    if block.dtype.kind == "b":
        return ~block
    return np.iinfo(block.dtype).max - block if block.dtype.kind == "u" else -block


def _grey(name: str, page: np.ndarray) -> np.ndarray:
    """A grey slice, also of a page of colours that are all the same."""
    if page.ndim == 2:
        return page
    if (page[..., 1:3] != page[..., :1]).any():
        raise UnreadableFileError(
            f"{name}: pages in colours, which are no grey values; save one grey slice per page"
        )
    return np.ascontiguousarray(page[..., 0])


def _voxel(tiff: Any) -> tuple[tuple[float, float, float] | None, bool, tuple[str, ...]]:
    """(z, y, x step in um or None, whether a part of it is assumed, warnings)."""
    if tiff.ome_metadata:
        return _ome_voxel(tiff.ome_metadata)
    described = tiff.imagej_metadata or {}
    unit = str(described.get("unit", "")).replace("\\u00B5", "u")
    known = standard_unit(unit)
    others = {str(described.get(key, unit)).replace("\\u00B5", "u") for key in ("yunit", "zunit")}
    if others - {unit}:
        told = f"axes in different units ({unit}, {', '.join(sorted(others - {unit}))}): not used"
        return None, False, (told,)
    tags = tiff.pages[0].tags
    try:
        pixels = [tags[name].value for name in ("YResolution", "XResolution")]
        dy, dx = (float(below) / float(above) for above, below in pixels)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None, False, ()
    if known is None or known[0] != "nm":
        if (dy, dx) == (1.0, 1.0):
            return None, False, ()
        return None, False, ("a print resolution without a unit of length: not used",)
    factor = known[1] / 1e3
    spacing = described.get("spacing")
    if not isinstance(spacing, int | float) or not spacing > 0:
        notes = ("the distance of slices is not given: taken as that of rows",)
        return (dy * factor, dy * factor, dx * factor), True, notes
    return (float(spacing) * factor, dy * factor, dx * factor), False, ()


def _ome_voxel(text: str) -> tuple[tuple[float, float, float] | None, bool, tuple[str, ...]]:
    step, units = [], []
    for axis in "ZYX":
        size = re.search(rf'\bPhysicalSize{axis}="([^"]+)"', text)
        unit = re.search(rf'\bPhysicalSize{axis}Unit="([^"]+)"', text)
        known = standard_unit(unit.group(1) if unit else "um")  # the default of the schema
        units.append(unit)
        try:
            step.append(float(size.group(1)) * known[1] / 1e3)  # type: ignore[union-attr,index]
        except (AttributeError, TypeError, ValueError):
            return None, False, ()
    without = [axis for axis, unit in zip("ZYX", units, strict=True) if unit is None]
    notes: tuple[str, ...] = ()
    if 0 < len(without) < 3:
        notes = (
            f"the voxel size is doubtful: of {' and '.join(without)} no unit is given, of the "
            "other axes one is; taken for um, the default; give --voxel-size",
        )
    return (step[0], step[1], step[2]), bool(notes), notes


def series_of(folder: Path) -> dict[str, list[tuple[int, Path]]]:
    """The numbered TIFF files of a folder: name before the number -> (number, file), in order."""
    found: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for path in folder.iterdir():
        match = _SLICE.match(path.name)
        if match and not path.name.startswith(".") and path.is_file():
            found[match.group(1)].append((int(match.group(2)), path))
    return {name: sorted(files) for name, files in sorted(found.items()) if len(files) >= SHORTEST}


def slices(folder: Path, part: str | None) -> Source:
    """The volume whose slices are the files of a folder, in the order of their numbers.

    Raises
    ------
    UnreadableFileError
        If there are several series and none is chosen, a number occurs twice, or a slice
        has another shape or type than the first.
    """
    series = series_of(folder)
    names = [name.rstrip("_- .") or name for name in series]
    if part:
        series = {k: v for k, v in series.items() if k.startswith(part)}
    if len(series) != 1:
        raise UnreadableFileError(
            f"{folder.name}: {len(series) or 'no'} series of slices ({', '.join(names[:6])}); "
            f"choose one: {folder.name}#{names[0] if names else 'name'}"
        )
    (files,) = series.values()
    numbers = [number for number, _ in files]
    notes = _told(numbers, folder.name)
    shape, dtype = _page(files[0][1])
    for _, path in files[1:]:
        other = _page(path)
        if other != (shape, dtype):
            raise UnreadableFileError(
                f"{path.name}: {other[0]} pixels of {other[1]} where {files[0][1].name} has "
                f"{shape} of {dtype}; take it out of the folder, or export all slices alike"
            )
    import tifffile

    with tifffile.TiffFile(files[0][1]) as tiff:
        step, assumed, more = _voxel(tiff)
        dark = tiff.pages.first.photometric == _WHITE_IS_ZERO
    whole = (len(files), *shape)
    count = depth(whole, dtype.itemsize)

    def blocks() -> Iterator[np.ndarray]:
        for first in range(0, len(files), count):
            block = np.stack([tifffile.imread(path) for _, path in files[first : first + count]])
            yield _bright(block, dark)

    metadata = {"slices": len(files), "first": files[0][1].name, "last": files[-1][1].name}
    paths = tuple(path for _, path in files)
    notes = (*notes, *more, *_TURNED[:dark])
    return Source(
        whole, dtype, blocks, "tifffile/slices", step, assumed, metadata, notes, files=paths
    )


def _told(numbers: list[int], name: str) -> tuple[str, ...]:
    """A warning where numbers are missing from the series."""
    gaps = np.diff(numbers)
    if (gaps == 0).any():
        twice = numbers[int(np.argmin(gaps))]
        raise UnreadableFileError(
            f"{name}: slice {twice} is there twice; take one of the two files out of the folder"
        )
    step = int(gaps.min())
    missing = sorted(set(range(numbers[0], numbers[-1], step)) - set(numbers))
    if not missing:
        return ()
    listed = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
    return (f"{len(missing)} slices are missing ({listed}): the volume is shorter than it was",)


def _page(path: Path) -> tuple[tuple[int, int], np.dtype]:
    """Shape and type of the only page of a slice."""
    import tifffile

    try:
        check_whole(path, "tiff")
        with tifffile.TiffFile(path) as tiff:
            page, pages = tiff.pages[0], len(tiff.pages)
            shape, dtype = page.shape, np.dtype(page.dtype)
    except UnreadableFileError:
        raise
    except Exception as error:
        raise damaged(path.name, error) from None
    if pages != 1 or len(shape) != 2:
        raise UnreadableFileError(
            f"{path.name}: {pages} pages of shape {shape} where one grey slice is expected; "
            "give a multipage file alone"
        )
    return (shape[0], shape[1]), dtype


def _of_folder(folder: Path) -> tuple[Path, ...]:
    return tuple(path for listed in series_of(folder).values() for _, path in listed)


_OF_TIFF = (
    Number("voxel", "PhysicalSize of OME; XResolution, YResolution, spacing of ImageJ",
           "its Unit, of OME um by default, told where only some axes have one; unit of ImageJ; "
           "a print resolution is not used", "spacing missing: that of rows, told"),
    Number("value", "pixels of the pages; of grey pages in colours the first", "none",
           "PhotometricInterpretation 0: turned round, told"),
    Number("order of axes", "pages (or files by their numbers), rows, columns", "",
           "frames in time are taken for slices, told"),
)  # fmt: skip

READERS = (
    volume_reader("tiff-stack", "TIFF of 8 or more pages, ImageJ, OME", (".tif", ".tiff"), stack,
                  is_stack, numbers=_OF_TIFF),
    volume_reader("tiff-slices", "a folder of TIFF slices, in the order of the numbers in their "
                  "names", (".tif", ".tiff"), slices, folder=_of_folder, numbers=_OF_TIFF),
)  # fmt: skip
