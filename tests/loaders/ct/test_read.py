"""Volumes: what is read, in which order of axes, at which voxel size, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from xtalfuse.loaders import Limits, UnreadableFileError, load, load_specimen
from xtalfuse.loaders.ct import source as volume_source
from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.record import Calibration, Modality
from xtalfuse.loaders.registry import read
from xtalfuse.loaders.safe import spool
from xtalfuse.loaders.safe.spool import Spool

SHAPE = (12, 20, 30)  # z, y, x: no two alike, so that a transposition shows


def test_a_multipage_tiff_is_a_volume_and_a_short_one_is_pictures(tmp_path, grey, same):
    tifffile.imwrite(tmp_path / "stack.tif", grey)
    same(load(tmp_path / "stack.tif"), grey)
    tifffile.imwrite(tmp_path / "few.tif", grey[:7])
    assert load(tmp_path / "few.tif").modality is Modality.IMAGE
    same(load(tmp_path / "few.tif", labels=False), grey[:7])  # asked for as a volume
    same(load(tmp_path / "stack.tif", voxel_size_um=(2.0, 1.0, 1.0)), grey, (2.0, 1.0, 1.0))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_imagej_stacks_have_their_voxel_size(tmp_path, grey, compression, bigtiff, same):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path, grey, imagej=not bigtiff, bigtiff=bigtiff, compression=compression,
        resolution=(1 / 0.65, 1 / 0.65), metadata={"axes": "ZYX", "unit": "um", "spacing": 1.3},
    )  # fmt: skip
    same(load(path), grey, None if bigtiff else (1.3, 0.65, 0.65))


def test_frames_are_taken_for_slices_and_that_is_told(tmp_path, grey, same):
    tifffile.imwrite(tmp_path / "film.tif", grey, imagej=True, metadata={"axes": "TYX"})
    found = load(tmp_path / "film.tif")
    same(found, grey)
    assert "frames in time are taken for slices" in found.provenance.warnings


@pytest.mark.parametrize("kind", ["u1", "u2", "?"])
def test_where_white_is_zero_high_is_dark(tmp_path, kind):
    grey = np.random.default_rng(0).integers(0, 2 if kind == "?" else 200, SHAPE).astype(kind)
    path = tmp_path / "white.tif"
    tifffile.imwrite(path, grey, photometric="miniswhite")
    found = read(path)
    top = 1 if kind == "?" else np.iinfo(kind).max
    assert np.array_equal(found.values, top - grey.astype(found.values.dtype))
    assert "white is zero" in found.provenance.warnings[0]


def test_grey_pages_in_colours_are_grey_and_colours_are_refused(tmp_path, grey, same):
    page = (grey >> 8).astype(np.uint8)
    colours = np.repeat(page[..., None], 3, axis=-1)
    tifffile.imwrite(tmp_path / "rgb.tif", colours, photometric="rgb")
    same(read(tmp_path / "rgb.tif"), page)
    colours[3, 4, 5, 0] ^= 1
    tifffile.imwrite(tmp_path / "blue.tif", colours, photometric="rgb")
    with pytest.raises(UnreadableFileError, match="colours"):
        read(tmp_path / "blue.tif")


@pytest.mark.parametrize("given", ["X", "XY", "XYZ", ""])
def test_a_unit_of_some_axes_leaves_the_voxel_in_doubt(tmp_path, grey, given):
    sizes = {f"PhysicalSize{a}": 5.0 for a in "ZYX"}
    units = {f"PhysicalSize{a}Unit": "nm" for a in given}
    path = tmp_path / "v.ome.tif"
    tifffile.imwrite(path, grey, metadata={"axes": "ZYX", **sizes, **units})
    found = read(path)
    doubtful = 0 < len(given) < 3
    assert (found.calibration is Calibration.ASSUMED) is doubtful
    assert ("doubtful" in " ".join(found.provenance.warnings)) is doubtful


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_nrrd_is_read(tmp_path, grey, same, encoding, end):
    import gzip

    head = ["NRRD0004", "# made by hand", "type: uint16", "dimension: 3", "sizes: 30 20 12",
            "space directions: (0.5,0,0) (0,1,0) (0,0,2)", f"encoding: {encoding}",
            "endian: little", 'space units: "um" "um" "mm"', "", ""]  # fmt: skip
    data = grey.astype("<u2").tobytes()
    content = gzip.compress(data) if encoding == "gzip" else data
    (tmp_path / "v.nrrd").write_bytes(end.join(head).encode() + content)
    same(read(tmp_path / "v.nrrd"), grey, (2000.0, 1.0, 0.5))
    (tmp_path / "v.nrrd").write_bytes(end.join(head).encode() + content[:-9])
    with pytest.raises(UnreadableFileError, match=r"v\.nrrd"):
        read(tmp_path / "v.nrrd")


def test_ome_tiff_states_its_voxel(tmp_path, grey, same):
    sizes = {f"PhysicalSize{a}": s for a, s in zip("ZYX", (3.0, 2.0, 1.0), strict=True)}
    units = {f"PhysicalSize{a}Unit": "nm" for a in "ZYX"}
    path = tmp_path / "v.ome.tif"
    tifffile.imwrite(path, grey, metadata={"axes": "ZYX", **sizes, **units})
    same(load(path), grey, (3e-3, 2e-3, 1e-3))


def slices(folder: Path, values: np.ndarray, numbers: list[int] | None = None) -> Path:
    folder.mkdir()
    for number, picture in zip(numbers or range(len(values)), values, strict=True):
        tifffile.imwrite(folder / f"recon_{number}.tif", picture)
    return folder


def test_slices_are_in_the_order_of_their_numbers(tmp_path, grey, same):
    folder = slices(tmp_path / "scan", grey)  # recon_10 comes before recon_2 by name
    (folder / "notes.txt").write_text("kV 80")
    m = load(folder, voxel_size_um=0.5)
    same(m, grey, (0.5, 0.5, 0.5))
    assert m.provenance.warnings == ("voxel size given by hand",)


def test_a_missing_slice_is_told(tmp_path, grey):
    numbers = [n for n in range(14) if n not in (5, 6)]
    (warning,) = load(slices(tmp_path / "scan", grey, numbers)).provenance.warnings
    assert "2 slices are missing (5, 6)" in warning
    every_other = load(slices(tmp_path / "other", grey, list(range(0, 24, 2))))
    assert not every_other.provenance.warnings


def test_slices_that_do_not_fit_are_refused_by_name(tmp_path, grey):
    folder = slices(tmp_path / "scan", grey)
    tifffile.imwrite(folder / "recon_7.tif", grey[7, :-1])
    with pytest.raises(UnreadableFileError, match=r"recon_7\.tif: \(19, 30\).*\(20, 30\)"):
        load(folder)
    tifffile.imwrite(folder / "recon_7.tif", grey[7])
    tifffile.imwrite(folder / "recon_07.tif", grey[7])
    with pytest.raises(UnreadableFileError, match="slice 7 is there twice"):
        load(folder)


def test_two_series_in_a_folder_need_a_choice(tmp_path, grey, same):
    folder = slices(tmp_path / "scan", grey)
    for i, picture in enumerate(grey):
        tifffile.imwrite(folder / f"mask{i:03d}.tif", picture // 2)
    with pytest.raises(UnreadableFileError, match=r"2 series of slices.*choose one: scan#mask"):
        load(folder)
    same(load(f"{folder}#mask"), grey // 2)


def test_numpy_files(tmp_path, grey, same):
    np.save(tmp_path / "c.npy", grey)
    np.save(tmp_path / "f.npy", np.asfortranarray(grey))
    np.save(tmp_path / "big.npy", grey.astype(">u2"))
    for name in ("c.npy", "f.npy", "big.npy"):
        same(load(tmp_path / name), grey)
    np.savez_compressed(tmp_path / "one.npz", volume=grey, note=np.arange(3))
    same(load(tmp_path / "one.npz"), grey)
    np.savez(tmp_path / "two.npz", a=grey, b=grey[::-1])
    with pytest.raises(UnreadableFileError, match=r"several volumes \(a, b\).*two\.npz#a"):
        load(tmp_path / "two.npz")
    same(load(f"{tmp_path / 'two.npz'}#b"), grey[::-1])
    np.save(tmp_path / "set.npy", np.stack([grey, grey + 1]))
    with pytest.raises(UnreadableFileError, match="a set of 2 volumes"):
        load(tmp_path / "set.npy")
    same(load(f"{tmp_path / 'set.npy'}#1"), grey + 1)


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "p.npy", np.array([{"a": 1}] * 3, dtype=object), allow_pickle=True)
    np.savez(tmp_path / "p.npz", a=np.array([print], dtype=object))
    for name in ("p.npy", "p.npz"):
        with pytest.raises(UnreadableFileError, match="pickled objects"):
            load(tmp_path / name)


def test_bit_packed_sets_give_the_chosen_volume(real, same):
    path = real / "ct" / "nanoporous_gold.npz"
    with pytest.raises(UnreadableFileError, match=r"300 volumes.*nanoporous_gold\.npz#0"):
        load(path)
    with np.load(path, allow_pickle=False) as file:
        expected = np.unpackbits(file["volumes_packed"][12])[: 48**3].reshape(48, 48, 48)
    m = load(f"{path}#12")
    same(m, expected)
    assert m.value_unit == "label"
    assert 0.3 < m.values.mean() < 0.4  # about 35 % solid


def mrc(values: np.ndarray, order: str = "<", volume: int = 1) -> bytes:
    """MRC2014 map with a voxel of 20 angstrom."""
    head = bytearray(1024)
    struct.pack_into(order + "4i", head, 0, *values.shape[::-1], 6)
    struct.pack_into(order + "3i", head, 28, *values.shape[::-1])
    struct.pack_into(order + "3f", head, 40, *(20.0 * n for n in values.shape[::-1]))
    struct.pack_into(order + "i", head, 88, volume)
    head[208:216] = b"MAP " + (b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0")
    return bytes(head) + values.astype(order + "u2").tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_mrc_volumes_have_a_cell_in_angstrom(tmp_path, grey, order, same):
    path = tmp_path / "tomogram.mrc"
    path.write_bytes(mrc(grey, order))
    same(load(path), grey, (2e-3, 2e-3, 2e-3))
    path.write_bytes(mrc(grey, volume=0))  # says that it is a stack of pictures
    assert load(path).modality is Modality.IMAGE


def test_an_mrc_map_with_turned_axes_is_refused(tmp_path, grey):
    turned = bytearray(mrc(grey))
    struct.pack_into("<3i", turned, 64, 3, 2, 1)
    path = tmp_path / "tomogram.mrc"
    path.write_bytes(turned)
    with pytest.raises(UnreadableFileError, match="x, y, z, that is 1, 2, 3"):
        load(path)


def test_mrc_agrees_with_rosettasciio(tmp_path, grey, same):
    from rsciio.mrc import file_reader

    path = tmp_path / "tomogram.mrc"
    path.write_bytes(mrc(grey))
    (theirs,) = file_reader(str(path))
    same(load(path), np.asarray(theirs["data"]), (2e-3, 2e-3, 2e-3))
    assert theirs["axes"][-1]["scale"] == pytest.approx(2.0)  # nm


SAID = {"shape": list(SHAPE), "dtype": "uint16", "voxel_size_um": 0.7}


def test_raw_data_need_a_sidecar_and_its_words_count(tmp_path, grey, same):
    path, beside = tmp_path / "v.raw", tmp_path / "v.json"
    path.write_bytes(grey.tobytes())
    with pytest.raises(UnreadableFileError, match=r"without a description.*v\.json"):
        load(path, labels=False)
    beside.write_text(json.dumps(SAID))
    same(load(path), grey, (0.7, 0.7, 0.7))
    path.write_bytes(b"\0" * 100 + grey.astype(">u2").tobytes())
    beside.write_text(json.dumps({**SAID, "byte_order": "big", "offset": 100}))
    same(load(path), grey, (0.7, 0.7, 0.7))
    beside.write_text(json.dumps({**SAID, "byteorder": "big"}))
    with pytest.raises(UnreadableFileError, match="did you mean 'byte_order'"):
        load(path)
    beside.write_text(json.dumps({**SAID, "shape": [12, 20, 31]}))
    with pytest.raises(UnreadableFileError, match=r"14880 bytes are declared and 14500"):
        load(path)


def test_a_meta_image_is_in_millimetre_by_convention(tmp_path, grey, same):
    (tmp_path / "v.raw").write_bytes(grey.tobytes())
    header = (
        "ObjectType = Image\nNDims = 3\nDimSize = 30 20 12\nElementType = MET_USHORT\n"
        "ElementSpacing = 0.001 0.001 0.002\nElementDataFile = v.raw\n"
    )
    (tmp_path / "v.mhd").write_text(header)
    for name in ("v.mhd", "v.raw"):
        m = load(tmp_path / name)
        same(m, grey, (2.0, 1.0, 1.0))
        assert m.calibration is Calibration.ASSUMED
    (tmp_path / "v.mhd").write_text(header.replace("v.raw", "../secret.raw"))
    with pytest.raises(UnreadableFileError, match="no single file beside it"):
        load(tmp_path / "v.mhd")


def test_a_petabyte_is_refused_before_any_memory_is_asked_for(tmp_path):
    side = 128_000
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("volume", (side, side, side), "u1", chunks=(64, 64, 64))
    header = {"descr": "|u1", "fortran_order": False, "shape": (side, side, side)}
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"\1" * 1000)
    (tmp_path / "huge.raw").write_bytes(b"\1" * 1000)
    (tmp_path / "huge.json").write_text(json.dumps({"shape": [side] * 3, "dtype": "uint8"}))
    for name in ("huge.h5", "huge.npy", "huge.raw"):
        with pytest.raises(UnreadableFileError, match=r"huge.*(declare|chunks)"):
            load(tmp_path / name, limits=Limits(seconds=20, memory_gb=0.5))


def test_a_volume_larger_than_its_memory_comes_as_a_map(tmp_path, grey, monkeypatch):
    """The child writes block by block; here blocks and threshold are small."""
    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", 1000)
    monkeypatch.setattr(volume_source, "BLOCK_BYTES", 2500)
    np.save(tmp_path / "v.npy", grey)
    folder = tmp_path / "spool"
    folder.mkdir()
    result = read(tmp_path / "v.npy", ReadOptions(spool=Spool(str(folder))))
    assert result.measurement.values.size == 0
    np.testing.assert_array_equal(np.load(folder / "values.npy", mmap_mode="r"), grey)


def test_a_large_volume_needs_little_memory_and_leaves_no_file(tmp_path, monkeypatch):
    big = np.lib.format.open_memmap(tmp_path / "v.npy", "w+", np.uint8, (600, 1000, 1000))
    big[::100, ::50] = 7
    big.flush()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    # 600 MB read by a child that may take 300 MB
    m = load(tmp_path / "v.npy", limits=Limits(memory_gb=0.3))
    assert isinstance(m.values, np.memmap)
    assert m.values[100, 50, 3] == 7
    assert m.values.shape == (600, 1000, 1000)
    assert [p.name for p in tmp_path.iterdir()] == ["v.npy"]


def test_labels_are_told_from_grey_values(tmp_path, grey, same):
    grains = np.random.default_rng(1).integers(1, 4000, (3, 5, 5))
    label = grains.repeat(8, 0).repeat(8, 1).repeat(8, 2).astype(np.uint16)
    smooth = (label // 3 + np.random.default_rng(2).integers(0, 9, label.shape)).astype(np.uint16)
    clipped = np.where(smooth > 700, smooth, 0).astype(np.uint16)  # background set to zero
    calm = (label // 40 + (np.random.default_rng(2).random(label.shape) < 0.1)).astype(np.uint8)
    for values, unit in (
        (grey, "arbitrary"), (label, "label"), (calm, "arbitrary"), (smooth, "arbitrary"),
        (clipped, "arbitrary"), (label > 900, "label"), (label.astype(np.float32), "arbitrary"),
    ):  # fmt: skip
        np.save(tmp_path / "v.npy", values)
        m = load(tmp_path / "v.npy")
        assert m.value_unit == unit
        same(m, values)
    assert load(tmp_path / "v.npy", labels=True).value_unit == "label"


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        (np.zeros(SHAPE), "all values of the signal are 0"),
        (np.full(SHAPE, np.nan), "not finite"),
        (np.zeros(SHAPE, complex), "no real numbers"),
        (np.zeros((20, 30)), "no volume"),
        (np.ones((1, 20, 30)), "no volume"),
    ],
)
def test_what_is_no_volume_is_refused(tmp_path, values, cause):
    np.save(tmp_path / "v.npy", values)
    with pytest.raises(UnreadableFileError, match=rf"v\.npy: .*{cause}.*; "):
        load(tmp_path / "v.npy")


def test_a_wrong_voxel_size_is_the_callers_mistake(tmp_path, grey):
    np.save(tmp_path / "v.npy", grey)
    for wrong in (0.0, -1.0, (1.0, 2.0), float("nan")):
        with pytest.raises(ValueError, match="in micrometre"):
            load(tmp_path / "v.npy", voxel_size_um=wrong)


def test_a_folder_of_slices_is_one_measurement_of_a_specimen(tmp_path, grey, same):
    specimen = tmp_path / "specimen"
    specimen.mkdir()
    slices(specimen / "ct", grey)
    record = load_specimen(specimen)
    (m,) = record.of(Modality.CT)
    same(m, grey)
    (m,) = load_specimen(specimen / "ct").of(Modality.CT)
    same(m, grey)


def test_damaged_copies_are_refused_or_whole(tmp_path, grey):
    """Cut at 10, 50 and 90 %: never a crash, never a filling."""
    tifffile.imwrite(tmp_path / "a.tif", grey)
    tifffile.imwrite(tmp_path / "b.tif", grey, compression="zlib")
    np.save(tmp_path / "c.npy", grey)
    np.savez_compressed(tmp_path / "d.npz", grey)
    (tmp_path / "e.mrc").write_bytes(mrc(grey))
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("volume", data=grey, chunks=(4, 20, 30), compression="gzip")
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        for cut in (0.1, 0.5, 0.9):
            path.write_bytes(whole[: int(len(whole) * cut)])
            with pytest.raises(UnreadableFileError, match=path.name):
                load(path)
