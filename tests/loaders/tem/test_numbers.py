"""Unit, sign, axis and type of the numbers, where the library that reads a format guesses them.

RosettaSciIO 0.15: each case is one thing that it reads otherwise.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.record import Calibration, Measurement, Modality, UnreadableFileError
from xtalfuse.loaders.registry import read

GREY = np.random.default_rng(3).integers(20, 90, (40, 48)).astype(np.uint16)


def of(path: Path) -> Measurement:
    found = read(path, ReadOptions())
    assert isinstance(found, Measurement)
    return found


def steps(found: Measurement) -> list[tuple[str, float]]:
    """Unit and step of the last two axes."""
    return [(a.unit, float(a.values[1] - a.values[0])) for a in found.axes[-2:]]


@pytest.mark.parametrize(
    ("unit", "factor"), [("nm", 1.0), ("micron", 1e3), ("\\u00B5m", 1e3), ("cm", 1e7), ("inch", 0)]
)
def test_imagej_says_unit_and_step_of_each_axis(tmp_path: Path, unit: str, factor: float) -> None:
    import tifffile

    path = tmp_path / "a.tif"
    step = 2.0 / (factor or 1.0)
    wide = (1.0 / step, 0.5 / step)  # of columns and rows: rows are twice as far apart
    tifffile.imwrite(path, GREY, imagej=True, resolution=wide, metadata={"unit": unit})
    expected = [("nm", 4.0), ("nm", 2.0)] if factor else [("px", 1.0), ("px", 1.0)]
    for (got, size), (known, right) in zip(steps(of(path)), expected, strict=True):
        assert got == known
        assert size == pytest.approx(right, rel=1e-4)  # TIFF keeps a resolution as a fraction


def test_width_and_height_of_a_fei_picture_are_its_own(tmp_path: Path) -> None:
    import tifffile

    path = tmp_path / "a.tif"
    text = b"[Scan]\r\nPixelWidth=2e-09\r\nPixelHeight=3e-09\r\n\0"
    tifffile.imwrite(path, GREY, extratags=[(34682, "s", len(text), text, True)])
    assert steps(of(path)) == [("nm", pytest.approx(3.0)), ("nm", pytest.approx(2.0))]


def mrc(
    values: np.ndarray, mode: int, *, order: str = "<", version: int = 0, imod: int | None = None,
    lowest: float = 0.0, highest: float = 0.0, cell: float = 5.0,
) -> bytes:  # fmt: skip
    """A stack of pictures; `imod` are IMOD's flags."""
    head = bytearray(1024)
    nz, ny, nx = values.shape
    struct.pack_into(order + "4i", head, 0, nx, ny, nz, mode)
    struct.pack_into(order + "3i3f", head, 28, nx, ny, nz, cell * nx, cell * ny, cell * nz)
    struct.pack_into(order + "2f", head, 76, lowest, highest)
    struct.pack_into(order + "i", head, 108, version)
    if imod is not None:
        struct.pack_into(order + "2i", head, 152, 1146047817, imod)
    head[208:214] = b"MAP \x44\x44" if order == "<" else b"MAP \x11\x11"
    return bytes(head) + values.astype(values.dtype.newbyteorder(order)).tobytes()


SIGNED = np.random.default_rng(4).integers(-100, 100, (10, 24, 32)).astype(np.int8)
UNSIGNED = SIGNED.view(np.uint8)


@pytest.mark.parametrize("voxel", [None, (1.0, 1.0, 1.0)])  # pictures, and a volume by hand
@pytest.mark.parametrize(
    ("said", "signed"),
    [
        ({"version": 20140}, True),
        ({"imod": 1}, True),
        ({"imod": 0}, False),
        ({"lowest": -100.0, "highest": 99.0}, True),
        ({"lowest": 0.0, "highest": 255.0}, False),
        ({}, True),
    ],
)
def test_bytes_of_an_mrc_file_have_a_sign_where_it_says_so(
    tmp_path: Path, said: dict[str, Any], signed: bool, voxel: tuple[float, float, float] | None
) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc(SIGNED, 0, **said))
    found = read(path, ReadOptions(voxel_size_um=voxel))
    assert isinstance(found, Measurement)
    assert np.array_equal(found.values, SIGNED if signed else UNSIGNED)


@pytest.mark.parametrize(("cell", "unit"), [(5.0, "nm"), (1.0, "px"), (0.0, "px")])
@pytest.mark.parametrize("order", "<>")
def test_an_mrc_picture_has_the_scale_and_order_of_its_header(
    tmp_path: Path, order: str, cell: float, unit: str
) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc(GREY[None].astype(np.int16), 1, order=order, cell=cell))
    found = of(path)
    assert np.array_equal(found.values, GREY)
    assert steps(found) == [(unit, pytest.approx(0.5 if unit == "nm" else 1.0))] * 2


@pytest.mark.parametrize("falling", [False, True])
def test_a_falling_axis_of_nexus_stays_with_its_values(tmp_path: Path, falling: bool) -> None:
    energy = np.arange(100.0, 200.0)
    counts = np.arange(100.0) ** 2 + 1.0
    path = tmp_path / "a.nxs"
    turn = slice(None, None, -1 if falling else 1)
    with h5py.File(path, "w") as file:
        file.create_group("entry").attrs["NX_class"] = "NXentry"
        data = file.create_group("entry/data")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["energy"]})
        data["counts"], data["energy"] = counts[turn], energy[turn]
        data["energy"].attrs["units"] = "eV"
    found = of(path)
    assert np.allclose(found.axes[-1].values, energy)
    assert np.allclose(found.values, counts)


def test_electronvolts_in_each_channel_of_ripple_are_an_energy(tmp_path: Path) -> None:
    counts = np.arange(64, dtype=np.uint16) + 1
    (tmp_path / "a.raw").write_bytes(counts.tobytes())
    head = {"width": 1, "height": 1, "depth": 64, "offset": 0, "data-length": 2,
            "data-type": "unsigned", "byte-order": "little-endian", "record-by": "vector",
            "ev-per-chan": 10}  # fmt: skip
    path = tmp_path / "a.rpl"
    path.write_text("key\tvalue\n" + "".join(f"{key}\t{value}\n" for key, value in head.items()))
    axis = of(path).axes[-1]
    assert axis.unit == "eV"
    assert axis.values[1] == pytest.approx(10.0)


def test_columns_of_semper_have_the_scale_of_x(tmp_path: Path) -> None:
    from rsciio.semper import file_writer

    # its writer puts the first axis to X, which is that of the columns
    axes = [
        {"scale": scale, "offset": 0.0, "units": "nm", "size": size, "navigate": False}
        for scale, size in zip((2.0, 3.0), GREY.shape, strict=True)
    ]
    signal = {
        "data": GREY.astype(np.float32),
        "axes": axes,
        "metadata": {"General": {"title": "a"}},
    }
    file_writer(str(tmp_path / "a.unf"), signal | {"original_metadata": {}})
    assert steps(of(tmp_path / "a.unf")) == [("nm", 3.0), ("nm", 2.0)]


def ser(data: bytes, kind: int) -> bytes:
    """A TIA series of one element."""
    head = struct.pack("<3H6I", 0x4949, 0x0197, 0x0210, kind, 0x4152, 1, 1, 70, 1)
    head += struct.pack("<I2di2I", 1, 0.0, 1.0, 0, 0, 6) + b"Number"
    at = 70 + 8
    head = head.ljust(70, b"\0") + struct.pack("<2I", at, at + len(data))
    return head + data + struct.pack("<HHI", 0x4152, 0, 0)


@pytest.mark.parametrize(
    ("pixel", "unit", "size", "kind"),
    [
        (2e-9, "nm", 2.0, Modality.IMAGE),
        (5e-12, "nm", 5e-3, Modality.IMAGE),
        (1e-5, "nm", 1e4, Modality.IMAGE),
        (3e7, "1/angstrom", 3e-3, Modality.DIFFRACTION),
        (4e5, "1/angstrom", 4e-5, Modality.DIFFRACTION),
    ],
)
def test_a_pixel_in_metres_is_told_from_one_in_reciprocal_metres(
    tmp_path: Path, pixel: float, unit: str, size: float, kind: Modality
) -> None:
    one = struct.pack("<2di", 0.0, pixel, 0)
    data = one + one + struct.pack("<HII", 2, 48, 40) + GREY.tobytes()
    (tmp_path / "a.ser").write_bytes(ser(data, 0x4122))
    found = of(tmp_path / "a.ser")
    assert found.modality is kind
    assert steps(found) == [(unit, pytest.approx(size))] * 2


@pytest.mark.parametrize("channel", [0, 10, 63])
def test_the_offset_of_a_tia_spectrum_is_of_the_channel_that_it_names(
    tmp_path: Path, channel: int
) -> None:
    counts = np.arange(64, dtype=np.uint16) + 1
    data = struct.pack("<2diHI", 300.0, 0.5, channel, 2, 64) + counts.tobytes()
    (tmp_path / "a.ser").write_bytes(ser(data, 0x4120))
    assert of(tmp_path / "a.ser").axes[-1].values[channel] == pytest.approx(300.0)


@pytest.mark.parametrize(
    ("colour", "right"),
    [
        ((90, 90, 90), 90.0),
        ((90, 30, 30), 0.299 * 90 + 0.701 * 30),  # green is blue: red counts with its share
        ((30, 90, 30), 0.587 * 90 + 0.413 * 30),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_a_coloured_picture_is_its_luminance(
    tmp_path: Path, suffix: str, colour: tuple[int, int, int], right: float
) -> None:
    from PIL import Image

    pixels = np.full((32, 32, 3), 10, np.uint8)
    pixels[4:20, 4:20] = colour
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels).save(path)
    found = of(path)
    assert found.values[5, 5] == pytest.approx(right, abs=1e-3)
    assert found.axes[-1].calibration is Calibration.UNKNOWN
    assert bool(found.provenance.warnings) is (len(set(colour)) > 1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P"])
def test_grey_pictures_of_each_mode_keep_their_numbers(tmp_path: Path, mode: str) -> None:
    from PIL import Image

    grey = np.where(GREY > 50, 255, 0).astype(np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(grey) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    image.save(tmp_path / "a.png")
    found = of(tmp_path / "a.png")
    assert found.values.shape == GREY.shape
    assert np.array_equal(found.values > 0, grey > 0)


def test_a_focal_plane_of_exif_is_no_field_of_view(tmp_path: Path) -> None:
    from PIL import Image

    image = Image.fromarray((GREY * 2).astype(np.uint8))
    exif = Image.Exif()
    # pixels in each centimetre of a camera's sensor
    exif.get_ifd(0x8769).update({41486: 5000.0, 41487: 5000.0, 41488: 4})
    image.save(tmp_path / "a.jpg", exif=exif)
    assert [axis.unit for axis in of(tmp_path / "a.jpg").axes] == ["px", "px"]


def imagej(path: Path) -> Path:
    import tifffile

    volume = np.random.default_rng(5).integers(50, 200, (10, 12, 14)).astype(np.uint16)
    meta = {"unit": "um", "spacing": 2.5, "axes": "ZYX"}
    tifffile.imwrite(path, volume, imagej=True, resolution=(2.0, 2.0), metadata=meta)
    return path


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("ImageDescription", ("images=10", "images=9")),
        ("ImageDescription", ("images=10", "images=11")),
        ("ImageLength", 120),  # all slices as one tall picture
        ("ImageWidth", 140),
        ("ImageLength", 1),
    ],
)
def test_pictures_that_are_declared_otherwise_than_stored_are_refused(
    tmp_path: Path, tag: str, value: int | tuple[str, str]
) -> None:
    import tifffile

    path = imagej(tmp_path / "a.tif")
    assert of(path).values.shape == (10, 12, 14)
    with tifffile.TiffFile(path, mode="r+b") as file:
        found = file.pages.first.tags[tag]
        found.overwrite(value if isinstance(value, int) else found.value.replace(*value))
    with pytest.raises(UnreadableFileError, match=r"a\.tif: (declares|picture 1|damaged)"):
        of(path)


@pytest.mark.parametrize(("at", "value"), [(100, 63), (100, 65), (98, 3)])
def test_a_tia_element_is_as_long_as_its_place(tmp_path: Path, at: int, value: int) -> None:
    counts = np.arange(64, dtype=np.uint16) + 1
    data = struct.pack("<2diHI", 300.0, 0.5, 0, 2, 64) + counts.tobytes()
    raw = bytearray(ser(data, 0x4120))
    struct.pack_into("<H", raw, at, value)
    (tmp_path / "a.ser").write_bytes(raw)
    with pytest.raises(UnreadableFileError, match=r"a\.ser: declares an element"):
        of(tmp_path / "a.ser")


def test_a_png_whose_check_sums_are_wrong_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "a.png"
    Image.fromarray((np.add.outer(np.arange(256), np.arange(256)) % 3).astype(np.uint8)).save(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2] + bytes(len(raw) - len(raw) // 2))
    with pytest.raises(UnreadableFileError, match=r"a\.png"):
        of(path)


def test_an_extended_header_of_negative_length_is_refused(tmp_path: Path) -> None:
    raw = bytearray(mrc(GREY[None].astype(np.int16), 1))
    struct.pack_into("<i", raw, 92, -8)
    (tmp_path / "a.mrc").write_bytes(raw)
    with pytest.raises(UnreadableFileError, match="no valid MRC header"):
        of(tmp_path / "a.mrc")
