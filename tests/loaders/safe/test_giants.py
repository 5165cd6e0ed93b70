"""Giants, bombs, pipes and missing packages: refused at once, with the cause and what to do."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import socket
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from xtalfuse.datasets.cif.read import CifError, read_cif
from xtalfuse.loaders import Limits, UnreadableFileError, load, load_specimen, registry
from xtalfuse.loaders.description import read_description
from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.safe import head as head_module
from xtalfuse.loaders.safe.guard import check_file
from xtalfuse.loaders.safe.head import FileHead, check_archive, damaged
from xtalfuse.loaders.tem.whole import check_whole
from xtalfuse.loaders.xrd.tables import excel

ROWS = "".join(f"{10 + 0.02 * i:.2f} {100 + i % 7}\n" for i in range(600))
XRDML = '<?xml version="1.0"?><xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.5">'
GIANT = 100_000_000_000


def giant(path: Path, start: bytes) -> Path:
    """A file of 100 GB with nothing on the disk but its start."""
    path.write_bytes(start)
    os.truncate(path, GIANT)
    return path


def tiff_bytes(**options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.arange(4096, dtype=np.uint16).reshape(64, 64), **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.xy", ROWS.encode()),
        ("zeros.xy", b""),
        ("a.xrdml", XRDML.encode()),
        ("a.tif", tiff_bytes()),
        ("a.msa", b"#FORMAT      : EMSA/MAS Spectral Data File\n"),
        ("a.ang", b"# TEM_PIXperUM 1.0\n"),
        ("a.cif", b"data_a\n"),
        ("a.dm3", bytes.fromhex("00000003000000000000000100000000")),
    ],
)
def test_a_giant_is_refused_by_its_size_with_the_option_that_raises_it(tmp_path, name, start):
    path = giant(tmp_path / name, start)
    with pytest.raises(UnreadableFileError, match=rf"{name}: 100 GB.*--largest-gb 100"):
        registry.read(path)


def test_a_giant_of_a_specimen_is_not_hashed(tmp_path, monkeypatch):
    monkeypatch.setattr("xtalfuse.loaders.specimen.sha256_of", lambda path: pytest.fail("hashed"))
    giant(tmp_path / "a.xy", ROWS.encode())
    (report,) = load_specimen(tmp_path).files
    assert not report.used
    assert "100 GB" in report.reason


def test_a_limit_by_hand_holds_and_a_file_that_is_hardly_there_is_told(tmp_path, monkeypatch):
    path = tmp_path / "a.xy"
    path.write_text(ROWS)
    with pytest.raises(UnreadableFileError, match="at most 1e-06 GB"):
        registry.read(path, ReadOptions(largest_gb=1e-6))
    with pytest.raises(UnreadableFileError, match=r"of which .* are on the disk"):
        registry.read(giant(tmp_path / "b.xy", ROWS.encode()), ReadOptions(largest_gb=200))
    monkeypatch.setenv("XTALFUSE_LARGEST_GB", "3")
    assert Limits().largest_gb == 3.0
    assert Limits().memory_for(2_000_000_000) == pytest.approx(12.0)
    for wrong in (0, -1, "many", float("nan")):
        with pytest.raises(ValueError, match=r"largest_gb .*: give a number above zero"):
            Limits(largest_gb=wrong)


def bomb(path: Path, member: str, size: int, others: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("xl/workbook.xml", *map(str, range(others))):
            archive.writestr(name, "")
        with archive.open(member, "w") as file:
            for _ in range(size // 2**20):
                file.write(b" " * 2**20)
    return path


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("a.xlsx", "xl/worksheets/sheet1.xml"),
        ("a.brml", "Experiment0/RawData0.xml"),
        ("a.rasx", "Data0/Profile0.txt"),
        ("a.npz", "README"),
    ],
)
def test_an_archive_that_unpacks_to_a_giant_is_refused_before_it_is_unpacked(
    tmp_path, name, member, monkeypatch
):
    monkeypatch.setattr(head_module, "MOST_MEMBER_BYTES", 5_000_000)
    path = bomb(tmp_path / name, member, 8 * 2**20)
    with pytest.raises(UnreadableFileError, match=f"{name}: unpacks to 8 MB, {member} alone"):
        registry.read(path)


def test_an_archive_of_endless_members_is_refused_unopened(tmp_path, monkeypatch):
    monkeypatch.setattr(head_module, "_MOST_DIRECTORY", 1000)
    path = bomb(tmp_path / "a.xlsx", "sheet", 0, others=50)
    with (
        FileHead.of(path) as head,
        pytest.raises(UnreadableFileError, match="an archive of more than a hundred thousand"),
    ):
        check_archive(head)


def test_rows_beyond_what_a_sheet_says_of_itself_are_read(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    for i in range(300):
        book.active.append([10 + 0.02 * i, 100 + i % 7])
    book.save(tmp_path / "whole.xlsx")
    with (
        zipfile.ZipFile(tmp_path / "whole.xlsx") as whole,
        zipfile.ZipFile(tmp_path / "a.xlsx", "w") as said,
    ):
        for name in whole.namelist():
            text = re.sub(rb'ref="A1:B300"', b'ref="A1:B20"', whole.read(name))
            said.writestr(name, text)
    assert excel.read(tmp_path / "a.xlsx").intensity.size == 300


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd"])
@pytest.mark.parametrize("predictor", [False, True])
def test_compressed_tiff_is_read(tmp_path, compression, predictor):
    if compression == "packbits" and predictor:
        pytest.skip("packbits knows no predictor")
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(compression=compression, predictor=predictor))
    found = registry.read(path)
    assert np.array_equal(found.values, np.arange(4096).reshape(64, 64))
    stack = np.random.default_rng(0).integers(0, 4000, (9, 16, 16)).astype(np.uint16)
    tifffile.imwrite(path, stack, compression=compression, photometric="minisblack")
    assert np.array_equal(registry.read(path).values, stack)


def test_jpeg_in_tiff_is_read(tmp_path):
    blob = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", blob, compression="jpeg")
    found = registry.read(tmp_path / "a.tif").values
    assert np.abs(found.astype(int) - blob).max() <= 8  # of 126: JPEG at tifffile's quality


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.prz"])
def test_a_picture_that_unpacks_to_more_than_noise_can_is_refused(tmp_path, name):
    from PIL import Image

    path = tmp_path / name
    if name == "a.png":
        Image.new("RGB", (6000, 6000)).save(path)
    elif name == "a.tif":
        tifffile.imwrite(path, np.zeros((10_100, 10_000), np.uint8), compression="zlib")
    else:
        bomb(path, "data.npy", 128 * 2**20)
    kind = {"a.png": "image", "a.tif": "tiff", "a.prz": "pantarhei"}[name]
    with pytest.raises(UnreadableFileError, match=f"{name}: unpacks from .* empty or damaged"):
        check_whole(path, kind)


@pytest.mark.parametrize(
    ("error", "package"),
    [
        (ModuleNotFoundError("No module named 'sparse'", name="sparse"), "sparse"),
        (ImportError("No module named 'PIL.Image'"), "pillow"),
        (ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package"), "imagecodecs"),
        (ModuleNotFoundError("The 'sparse' library was not found. To load"), "sparse"),
        (OSError("Can't open directory or file (/usr/lib/hdf5/plugin)"), "hdf5plugin"),
    ],
)
def test_a_missing_package_is_no_damage(error, package):
    told = str(damaged("a.emd", error))
    assert f"needs the package {package}; install it: pip install {package}" in told
    assert "damaged" not in told


def test_a_broken_package_is_no_damage_and_damage_is_no_package():
    told = str(damaged("a.emd", ImportError("libGL.so.1: cannot open shared object file")))
    assert "cannot be imported (libGL.so.1" in told
    assert "damaged or incomplete (OSError" in str(damaged("a.emd", OSError("no 'x' in it")))


def test_a_reader_that_cannot_be_imported_says_so_where_no_other_knows_the_file(
    tmp_path, monkeypatch
):
    (tmp_path / "a.odd").write_bytes(b"\x00\x01odd")

    def sniff(head):
        raise ModuleNotFoundError("No module named 'rietx'")

    broken = replace(registry.READERS["table"], sniff=sniff)
    monkeypatch.setattr(registry, "_by_speed", lambda slow: [broken])
    with pytest.raises(UnreadableFileError, match="pip install rietx"):
        registry.read(tmp_path / "a.odd")


def listen(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder"])
def test_what_is_no_regular_file_never_hangs(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    made = {"pipe": os.mkfifo, "socket": listen, "folder": os.mkdir}[kind]
    made("a.cif")
    made("specimen.yaml")
    for look in (check_file, read_cif, read_description):
        with pytest.raises(UnreadableFileError, match="not a regular file"):
            look(Path("a.cif" if look is not read_description else "specimen.yaml"))
    with pytest.raises(UnreadableFileError, match="a regular file"):
        load_specimen(tmp_path)
    if kind != "folder":
        with pytest.raises(UnreadableFileError, match="not a regular file"):
            load("a.cif")


def test_an_empty_specimen_yaml_says_nothing(tmp_path):
    (tmp_path / "specimen.yaml").write_text("")
    assert read_description(tmp_path / "specimen.yaml").elements is None


CELL = "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n_space_group_IT_number 1\n"
SITES = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (CELL + SITES + "Na 0 0 0\n" * 4001, "4001 atom sites"),
        (CELL + "loop_\n_symmetry_equiv_pos_as_xyz\n" + "x,y,z\n" * 1001 + SITES + "Na 0 0 0\n",
         "1001 symmetry operators"),
        (CELL + SITES + "Na 0 0 0\nloop_\n_atom_site_aniso_label\n" + "Na\n" * 4001, "4001 aniso"),
        ("".join(f"data_{i}\n_a 1\n" for i in range(1001)), "1001 data blocks"),
    ],
)  # fmt: skip
def test_a_cif_of_endless_lists_is_refused_by_their_length(tmp_path, text, cause):
    (tmp_path / "a.cif").write_text(text)
    with pytest.raises(CifError, match=cause):
        read_cif(tmp_path / "a.cif")


def test_a_giant_cif_is_left_out_of_a_library_unread(tmp_path):
    from xtalfuse.datasets.library.build import build

    path = giant(tmp_path / "a.cif", b"data_a\n")
    with pytest.raises(UnreadableFileError, match=r"100000 MB is no crystal structure"):
        build(path, tmp_path / "lib.h5")


@pytest.mark.parametrize("package", ["sparse", "imagecodecs"])
def test_what_usual_files_need_is_installed(package):
    assert importlib.util.find_spec(package)
