"""Files with a header in HDF5, in TIFF tags or in bytes, of which one number or unit is changed.

What changes are made, and how they are judged, stands in `benchmarks.readers.headers`.
"""

from __future__ import annotations

import importlib.util
import json
import random
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.readers.fields import (
    Field,
    cell,
    energy_kev,
    first,
    grid,
    highest,
    inverse,
    known_step,
    last,
    laue,
    size,
    step,
    step_ev,
    step_x,
    step_y,
    step_z,
    wavelength,
)
from benchmarks.readers.headers import ROOT, Target, opened, row_of

Edit = Callable[[Path], None]


@cache
def writers(*place: str) -> Any:
    """The writers of the tests' files in one module of ``tests/loaders``."""
    name = "made_" + "_".join(place)
    path = ROOT.joinpath("tests", "loaders", *place).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Place:
    """Where a number stands: a data set or attribute (``path@name``) of HDF5, a struct at a byte,
    or a tag of TIFF, of whose text `old` is replaced."""

    at: str | int
    kind: str = "hdf5"
    old: str = ""

    def changed(self, path: Path, new: Callable[[Any], Any]) -> None:
        """Put ``new(value)`` in the place of the value; None takes it out."""
        if isinstance(self.at, int):
            raw = bytearray(path.read_bytes())
            (value,) = struct.unpack_from(self.kind, raw, self.at)
            struct.pack_into(self.kind, raw, self.at, new(value) or 0)
            path.write_bytes(raw)
        elif self.kind == "tiff":
            self._in_tiff(path, new)
        else:
            self._in_hdf5(path, new)

    def _in_hdf5(self, path: Path, new: Callable[[Any], Any]) -> None:
        import h5py

        where, _, name = str(self.at).partition("@")
        with h5py.File(path, "r+") as file:
            holder, key = (file[where].attrs, name) if name else (file, where)
            value = holder[key] if name else holder[key][()]
            after = new(value)
            del holder[key]
            if after is not None:
                kind = getattr(value, "dtype", None)
                numeric = kind is not None and kind.kind in "iuf"
                holder[key] = np.asarray(after).astype(kind) if numeric else after

    def _in_tiff(self, path: Path, new: Callable[[Any], Any]) -> None:
        import tifffile

        with tifffile.TiffFile(path, mode="r+b") as file:
            tag = file.pages.first.tags[self.at]
            value, after = tag.value, new(self.old or tag.value)
            if self.old:
                after = value.replace(self.old, "" if after is None else str(after))
            elif isinstance(value, tuple):  # a resolution
                after = (0, 1) if after is None else (round(value[0] * after[0]), value[1])
            tag.overwrite(after)


def _times(factor: float, count: bool) -> Callable[[Any], Any]:
    def new(value: Any) -> Any:
        if isinstance(value, tuple):
            return (factor,)
        if isinstance(value, str):
            return f"{float(value) * factor:.10g}"
        texts = getattr(getattr(value, "dtype", None), "kind", "") in ("S", "O")
        found = np.vectorize(float)(value) if texts else np.asarray(value)
        after = found * factor
        if count or found.dtype.kind in "iu":
            after = np.rint(after).astype(int)
        if texts:
            return np.array([f"{x:.10g}".encode() for x in np.ravel(after)])
        return after if np.ndim(after) else after.item()

    return new


def _plus(more: int) -> Callable[[Any], Any]:
    def new(value: Any) -> Any:
        if isinstance(value, str):
            return f"{int(value) + more}"
        return np.asarray(value) + more if np.ndim(value) else int(value) + more

    return new


def changes(field: Field, place: Place) -> Iterator[tuple[str, float, Edit]]:
    """(kind of change, factor of the number or 0, what makes it) of each change of a field."""
    made: list[tuple[str, float, Callable[[Any], Any]]] = []
    for unit, factor in field.units:
        made.append(("unit", factor, lambda _, unit=unit: unit))
    for factor in field.factors:
        made.append(("sign" if factor < 0 else "factor 10", factor, _times(factor, field.count)))
    if field.count:
        made += [("count", 0.0, _plus(1)), ("count", 0.0, _plus(-1))]
    if field.missing:
        made.append(("missing", 0.0, lambda _: None))
    for kind, factor, new in made:
        yield kind, factor, lambda path, new=new: place.changed(path, new)


_BYTES = ((b"HexGrid", 0.0),)
_COUNT = {"factors": (10.0, 0.1), "count": True}
_EBSD = "1/EBSD/"
_SCAN = "Scan 1/EBSD/Header/"


def _map_fields(prefix: str, cols: str, rows: str, dx: str, dy: str) -> list[tuple[Field, Place]]:
    return [
        (Field("columns", "", size, spare=True, **_COUNT), Place(prefix + cols)),
        (Field("rows", "", size, spare=True, **_COUNT), Place(prefix + rows)),
        (Field("step x", "", step_x, spare=True), Place(prefix + dx)),
        (Field("step y", "", step_y, spare=True), Place(prefix + dy)),
    ]


# (reader, name of a file) -> its fields and where they stand
FIELDS: dict[str, list[tuple[Field, Place]]] = {
    "h5oina": [
        *_map_fields(_EBSD + "Header/", "X Cells", "Y Cells", "X Step", "Y Step"),
        (Field("a, b, c", "", cell(0)), Place(_EBSD + "Header/Phases/1/Lattice Dimensions")),
        (Field("angles", "", cell(3)), Place(_EBSD + "Header/Phases/1/Lattice Angles")),
        (Field("laue", "", laue, (), ((10, 0.0), (9, 0.0), (99, 0.0))),
         Place(_EBSD + "Header/Phases/1/Laue Group")),
        (Field("phase", "", lambda m: float(m.crystal_map.phase.max()), ()),
         Place(_EBSD + "Data/Phase")),
    ],
    "edax": [
        *_map_fields(_SCAN, "nColumns", "nRows", "Step X", "Step Y"),
        (Field("a", "", cell(0)), Place(_SCAN + "Phase/1/Lattice Constant a")),
        (Field("alpha", "", cell(3)), Place(_SCAN + "Phase/1/Lattice Constant alpha")),
        (Field("grid", "", grid, (), _BYTES, implied=True), Place(_SCAN + "Grid Type")),
        (Field("laue", "", laue, (), ((b"Hexagonal (D6h) [6/mmm]", 0.0),), implied=True),
         Place(_SCAN + "Phase/1/Point Group")),
    ],
    "bruker": [
        *_map_fields("Scan/EBSD/Header/", "NCOLS", "NROWS", "XSTEP", "YSTEP"),
        (Field("points", "", size, spare=True, **_COUNT), Place("Scan/EBSD/Header/NPoints")),
        (Field("cell", "", cell(0)), Place("Scan/EBSD/Header/Phases/1/LatticeConstants")),
        (Field("laue", "", laue, (), ((194, 0.0), (400, 0.0))),
         Place("Scan/EBSD/Header/Phases/1/IT")),
    ],
    "emsoft": [
        *_map_fields(_SCAN, "nColumns", "nRows", "Step X", "Step Y"),
        (Field("points", "", size, spare=True, **_COUNT), Place("Scan 1/EBSD/Data/FZcnt")),
        (Field("a", "", cell(0)), Place(_SCAN + "Phase/1/Lattice Constant a")),
    ],
    "dream3d": [
        (Field("spacing", "", step_x),
         Place("DataContainers/ImageDataContainer/_SIMPL_GEOMETRY/SPACING")),
        (Field("dimensions", "", size, **_COUNT),
         Place("DataContainers/ImageDataContainer/_SIMPL_GEOMETRY/DIMENSIONS")),
        (Field("laue", "", laue, (), ((np.array([[999], [0], [0]]), 0.0),)),
         Place("DataContainers/ImageDataContainer/CellEnsembleData/CrystalStructures")),
    ],
    "nexus": [
        (Field("energy", "", step_ev), Place("entry/data/energy")),
        (Field("unit", "", step_ev, (), (("keV", 1e3), ("meV", 1e-3), ("nm", 0.0))),
         Place("entry/data/energy@units")),
        (Field("axis", "", step_ev, ()), Place("entry/data@axes")),
    ],
    "hspy": [
        (Field("step", "", step_ev), Place("Experiments/test/axis-0@scale")),
        (Field("offset", "", first), Place("Experiments/test/axis-0@offset")),
        (Field("unit", "", step_ev, (), (("keV", 1e3), ("nm", 0.0))),
         Place("Experiments/test/axis-0@units")),
        (Field("points", "", size, implied=True, **_COUNT), Place("Experiments/test/axis-0@size")),
        (Field("beam", "", energy_kev),
         Place("Experiments/test/metadata/Acquisition_instrument/TEM@beam_energy")),
    ],
    "mrc": [
        (Field("columns", "", size, **_COUNT, missing=True), Place(0, "<i")),
        (Field("sections", "", size, **_COUNT, missing=True), Place(8, "<i")),
        (Field("mode", "", highest, (), ((6, 1.0), (2, 0.0), (0, 0.0))), Place(12, "<i")),
        (Field("grid", "", inverse(known_step), (10.0, -1.0)), Place(28, "<i")),
        (Field("cell", "", known_step), Place(40, "<f")),
        (Field("cell z", "", step_z), Place(48, "<f")),
        (Field("extended header", "", highest, (), ((8, 0.0), (-8, 0.0)), missing=False),
         Place(92, "<i")),
    ],
    "stoe-raw": [
        (Field("wavelength", "", wavelength), Place(0x142, "<f")),
        (Field("points", "", size, **_COUNT), Place(2048 + 34, "<H")),
        (Field("first", "", first), Place(2048 + 44, "<f")),
        (Field("last", "", last), Place(2048 + 52, "<f")),
        (Field("step", "", step), Place(2048 + 60, "<f")),
        (Field("lowest", "", highest, spare=True), Place(2048 + 120, "<i")),
        (Field("highest", "", highest, spare=True), Place(2048 + 124, "<i")),
    ],
    "tia": [
        (Field("step", "", step), Place(86, "<d")),
        (Field("offset", "", first), Place(78, "<d")),
        (Field("channels", "", size, **_COUNT), Place(100, "<I")),
        (Field("type", "", highest, (), ((3, 0.0), (6, 0.0))), Place(98, "<H")),
    ],
    "osc": [
        (Field("columns", "", size, spare=True, **_COUNT), Place(16, "<I")),
        (Field("rows", "", size, spare=True, **_COUNT), Place(20, "<I")),
        (Field("points", "", size, spare=True, **_COUNT), Place(24, "<I")),
    ],
    "tiff": [
        (Field("resolution", "", inverse(known_step)), Place("XResolution", "tiff")),
        (Field("spacing", "", step_z), Place("ImageDescription", "tiff", "2.5")),
        (Field("unit", "", step_z, (), (("unit=nm", 1e-3), ("unit=mm", 1e3), ("unit=inch", 0))),
         Place("ImageDescription", "tiff", "unit=um")),
        (Field("slices", "", size, spare=True, **_COUNT), Place("ImageDescription", "tiff", "10")),
        (Field("columns", "", size, **_COUNT, missing=False), Place("ImageWidth", "tiff")),
        (Field("rows", "", size, **_COUNT, missing=False), Place("ImageLength", "tiff")),
        (Field("bits", "", highest, (), ((8, 0.0), (32, 0.0)), missing=False),
         Place("BitsPerSample", "tiff")),
        (Field("photometric", "", highest, (), ((0, 0.0),), missing=False),
         Place("PhotometricInterpretation", "tiff")),
    ],
}  # fmt: skip


def written(reader: str, folder: Path, rng: random.Random) -> Path:
    """A file of a format; its steps and numbers are drawn."""
    import h5py
    import tifffile

    maps = writers("ebsd", "conftest")
    dx = round(rng.uniform(0.05, 2.0), 3)
    if reader in ("h5oina", "edax", "bruker", "emsoft", "dream3d"):
        points = maps.Points(rng.randrange(6, 12), rng.randrange(7, 14), (dx, dx))
        return Path(getattr(maps, f"write_{reader}")(folder, points))
    if reader == "osc":
        points = maps.Points(rng.randrange(6, 12), rng.randrange(7, 14), (dx, dx))
        return Path(maps.write(folder, "map.osc", maps.osc(points)))
    noise = np.random.default_rng(rng.randrange(10**6))
    volume = noise.integers(50, 200, (10, 12, 14)).astype("<u2")
    counts = noise.poisson(300, 400).astype("<u2")
    energy = rng.uniform(200, 400) + rng.choice((0.25, 0.5, 1.0)) * np.arange(400)
    path = folder / {"stoe-raw": "a.raw", "tia": "a.ser", "tiff": "a.tif", "nexus": "a.nxs"}.get(
        reader, f"a.{reader}"
    )
    if reader == "mrc":
        made = writers("tem", "test_numbers").mrc
        raw = bytearray(made(volume.astype("<i2"), 1, cell=10 * dx))
        struct.pack_into("<i", raw, 88, 1)
        path.write_bytes(raw)
    elif reader == "stoe-raw":
        path.write_bytes(writers("conftest").stoe())
    elif reader == "tia":
        data = struct.pack("<2diHI", energy[0], energy[1] - energy[0], 0, 2, 400)
        path.write_bytes(writers("tem", "test_numbers").ser(data + counts.tobytes(), 0x4120))
    elif reader == "tiff":
        meta = {"unit": "um", "spacing": 2.5, "axes": "ZYX"}
        tifffile.imwrite(path, volume, imagej=True, resolution=(1 / dx, 1 / dx), metadata=meta)
    elif reader == "nexus":
        with h5py.File(path, "w") as file:
            file.create_group("entry").attrs["NX_class"] = "NXentry"
            data = file.create_group("entry/data")
            data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["energy"]})
            data["counts"], data["energy"] = counts, energy
            data["energy"].attrs["units"] = "eV"
    else:
        axes = [{"name": "E", "units": "eV", "scale": energy[1] - energy[0], "offset": energy[0],
                 "size": 400, "navigate": False}]  # fmt: skip
        kind = {"Signal__signal_type": "EELS", "Acquisition_instrument__TEM__beam_energy": 200.0}
        writers("tem", "test_read").hspy(path, counts.astype(float), axes, **kind)
    return path


def measure(job: tuple[str, int]) -> list[dict[str, Any]]:
    """Rows of all changes of one file: its format, and the seed of its numbers."""
    reader, seed = job
    rows = []
    with tempfile.TemporaryDirectory() as place:
        original = written(reader, Path(place), random.Random(f"{reader} {seed}"))
        raw = original.read_bytes()
        before, why = opened(original)
        if before is None:
            raise SystemExit(f"the unchanged {reader} is refused: {why}")
        for field, where in FIELDS[reader]:
            for kind, factor, edit in changes(field, where):
                original.write_bytes(raw)
                try:
                    edit(original)
                except (struct.error, OverflowError):
                    continue  # it cannot be written in this place
                after, _ = opened(original)
                told = json.dumps([where.at, factor], default=str)
                rows.append(row_of(reader, f"{seed}", field, kind, factor, before, after, told))
    return rows


def text_files(rng: random.Random) -> Iterator[Target]:
    """Files of maps and volumes whose header is text."""
    maps = writers("ebsd", "conftest")
    for number in range(20):
        dx = round(rng.uniform(0.05, 2.0), 3)
        points = maps.Points(rng.randrange(6, 12), rng.randrange(7, 14), (dx, dx))
        yield Target("ctf", f"{number}.ctf", maps.ctf(points))
        beside = ((f"{number}.crc", maps.crc(points)),)
        yield Target("cpr", f"{number}.cpr", maps.cpr(points), beside, f"{number}.crc")
        yield Target("ang", f"m{number}.ang", maps.ang(points))
        values = np.random.default_rng(number).integers(50, 200, (10, 12, 14)).astype("<u2")
        head = ["NRRD0004", "type: uint16", "dimension: 3", "sizes: 14 12 10", "encoding: raw",
                f"spacings: {dx} {dx} {dx}", "endian: little",
                'space units: "um" "um" "um"', "", ""]  # fmt: skip
        text = "\n".join(head) + values.tobytes().decode("latin-1")
        yield Target("nrrd", f"{number}.nrrd", text)
