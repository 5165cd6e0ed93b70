"""Electron-microscopy files: what is read, as what, in which units, and what is refused."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from xtalfuse.loaders import registry
from xtalfuse.loaders.record import Calibration, Modality, UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.loaders.tem import recognise, signals
from xtalfuse.physics.crystal.ring_pattern import RingScene, ring_image

KNOWN, ASSUMED, UNKNOWN = Calibration.KNOWN, Calibration.ASSUMED, Calibration.UNKNOWN
EELS, EDS, IMAGE = Modality.EELS, Modality.EDS, Modality.IMAGE
DIFFRACTION = Modality.DIFFRACTION


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("um", ("nm", 1e3)),
        ("µm", ("nm", 1e3)),
        ("μm", ("nm", 1e3)),
        ("A", ("nm", 0.1)),
        ("Å", ("nm", 0.1)),
        ("n_m", ("nm", 1.0)),
        ("[n_m]", ("nm", 1.0)),
        ("meters", ("nm", 1e9)),
        ("1 / nm", ("1/angstrom", 0.1)),
        ("1/nm", ("1/angstrom", 0.1)),
        ("nm^-1", ("1/angstrom", 0.1)),
        ("[n_m^-1]", ("1/angstrom", 0.1)),
        ("nm⁻¹", ("1/angstrom", 0.1)),
        ("A^-1", ("1/angstrom", 1.0)),
        ("1 / Å", ("1/angstrom", 1.0)),
        ("1 / µm", ("1/angstrom", 1e-4)),
        ("Energy Loss (eV)", ("eV", 1.0)),
        ("keV", ("eV", 1e3)),
        ("meV", ("eV", 1e-3)),
        ("mrad", ("rad", 1e-3)),
        ("", None),
        (None, None),
        ("<undefined>", None),
        ("[]", None),
        ("counts", None),
        ("px", None),
    ],
)
def test_every_spelling_of_a_unit_means_one_thing(
    written: object, expected: tuple[str, float] | None
) -> None:
    found = signals.standard_unit(written)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found[0] == expected[0]
        assert found[1] == pytest.approx(expected[1])


@pytest.mark.parametrize(("kev", "angstrom"), [(100, 0.037014), (200, 0.025079), (300, 0.019687)])
def test_electron_wavelength_is_the_relativistic_one(kev: float, angstrom: float) -> None:
    """Williams & Carter (2009), table 1.2, where they are rounded to 1e-5 angstrom."""
    assert signals.electron_wavelength_angstrom(kev) == pytest.approx(angstrom, abs=1e-5)


def hspy(path: Path, data: np.ndarray, axes: list[dict[str, Any]], **metadata: Any) -> Path:
    """A HyperSpy file of `data`, written with h5py so that any oddity can be put in it."""
    with h5py.File(path, "w") as file:
        file.attrs["file_format"], file.attrs["file_format_version"] = "HyperSpy", "3.3"
        group = file.create_group("Experiments/test")
        group.create_dataset("data", data=data)
        for i, axis in enumerate(axes):
            entry = group.create_group(f"axis-{i}")
            for key, value in {"offset": 0.0, "navigate": False, **axis}.items():
                entry.attrs[key] = value
            entry.attrs["size"] = data.shape[i]
            entry.attrs["_type"] = "UniformDataAxis"
        branch = group.create_group("metadata")
        for dotted, value in metadata.items():
            *parents, key = dotted.split("__")
            place = branch
            for parent in parents:
                place = place.require_group(parent)
            place.attrs[key] = value
        for name in ("General", "Signal"):
            branch.require_group(name)
        group.create_group("original_metadata")
    return path


def spectrum_axes(unit: str, scale: float) -> list[dict[str, Any]]:
    return [{"name": "Energy", "units": unit, "scale": scale}]


def test_an_eds_file_in_kev_comes_back_in_ev_with_its_instrument(tmp_path: Path) -> None:
    counts = np.random.default_rng(1).poisson(20.0, 2048)
    m = registry.read(
        hspy(
            tmp_path / "eds.hspy",
            counts,
            spectrum_axes("keV", 0.01),
            Signal__signal_type="EDS_TEM",
            Acquisition_instrument__TEM__beam_energy=200.0,
        )
    )
    assert (m.modality, m.calibration, m.value_unit) == (EDS, KNOWN, "counts")
    np.testing.assert_allclose(m.axis("energy"), 10.0 * np.arange(2048))
    assert m.provenance.metadata["beam_energy_keV"] == 200.0
    assert m.provenance.reader == "rosettasciio/hspy"


@pytest.mark.parametrize("size", [1000, 2047, 20_480])
def test_axes_of_another_length_than_the_data_are_told(tmp_path: Path, size: int) -> None:
    counts = np.random.default_rng(1).poisson(50, 2048)
    path = hspy(tmp_path / "eds.hspy", counts, spectrum_axes("keV", 0.01))
    with h5py.File(path, "r+") as file:
        file["Experiments/test/axis-0"].attrs["size"] = size
    assert f"the axes declare [{size}] values" in " ".join(registry.read(path).provenance.warnings)


def test_no_energy_axis_no_eels_whatever_it_is_called(tmp_path: Path) -> None:
    counts = np.random.default_rng(1).poisson(20.0, 200)
    axes = [{"name": "channel", "units": "", "scale": 1.0}]
    m = registry.read(hspy(tmp_path / "d.hspy", counts, axes, Signal__signal_type="EELS"))
    assert (m.modality, m.calibration) == (Modality.OTHER, UNKNOWN)
    assert any("no energy" in w for w in m.provenance.warnings)


def test_reading_does_not_import_hyperspy(tmp_path: Path) -> None:
    """HyperSpy takes seconds to import; its file format does not need it."""
    path = hspy(tmp_path / "d.hspy", np.arange(64.0).reshape(8, 8), [{}, {}])
    code = (
        "import sys; from xtalfuse.loaders import registry; "
        f"registry.read({str(path)!r}); "
        "print([m for m in ('hyperspy', 'torch', 'matplotlib', 'pymatgen') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_spectrum_image_keeps_its_positions_and_ends_in_energy(tmp_path: Path) -> None:
    data = np.random.default_rng(1).poisson(20.0, (300, 3, 4))  # energy first, as some write
    axes = [
        {"name": "Energy loss", "units": "eV", "scale": 0.5, "offset": 400.0},
        {"name": "y", "units": "um", "scale": 0.01, "navigate": True},
        {"name": "x", "units": "um", "scale": 0.01, "navigate": True},
    ]
    m = registry.read(hspy(tmp_path / "map.hspy", data, axes))
    assert m.modality is EELS
    assert [(a.name, a.unit) for a in m.axes] == [("y", "nm"), ("x", "nm"), ("energy", "eV")]
    np.testing.assert_array_equal(m.values, np.moveaxis(data, 0, -1))
    np.testing.assert_allclose(m.axis("x"), [0.0, 10.0, 20.0, 30.0])


def test_reciprocal_units_make_a_diffraction_pattern(tmp_path: Path) -> None:
    axes = [{"name": n, "units": "1/nm", "scale": 0.2, "offset": -1.0} for n in ("y", "x")]
    data = np.random.default_rng(2).poisson(9.0, (10, 10))
    m = registry.read(hspy(tmp_path / "d.hspy", data, axes))
    assert (m.modality, m.calibration) == (DIFFRACTION, KNOWN)
    np.testing.assert_allclose(m.axis("kx"), -0.1 + 0.02 * np.arange(10))


@pytest.mark.parametrize("scale", [1.0, 4.0, 8.0])
def test_a_scale_without_unit_is_no_calibration(tmp_path: Path, scale: float) -> None:
    axes = [{"name": n, "units": "", "scale": scale} for n in ("y", "x")]
    data = np.random.default_rng(2).poisson(9.0, (10, 10))
    m = registry.read(hspy(tmp_path / "d.hspy", data, axes))
    assert m.calibration is UNKNOWN
    assert [a.unit for a in m.axes] == ["px", "px"]
    np.testing.assert_array_equal(m.axes[0].values, np.arange(10))
    assert any("binning" in w for w in m.provenance.warnings) == (scale != 1.0)


def test_an_impossible_pixel_size_is_not_used(tmp_path: Path) -> None:
    axes = [{"name": n, "units": "nm", "scale": 1e12} for n in ("y", "x")]
    data = np.random.default_rng(2).poisson(9.0, (10, 10))
    assert registry.read(hspy(tmp_path / "d.hspy", data, axes)).calibration is UNKNOWN


def test_signed_integers_that_are_all_negative_are_the_counts_they_were(tmp_path: Path) -> None:
    counts = np.random.default_rng(3).integers(150, 250, (12, 12)).astype(np.uint8)
    axes = [{"name": n, "units": "nm", "scale": 1.0} for n in ("y", "x")]
    m = registry.read(hspy(tmp_path / "d.hspy", counts.view(np.int8), axes))
    np.testing.assert_array_equal(m.values, counts)
    assert any("negative" in w for w in m.provenance.warnings)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (np.zeros((10, 10)), "are 0"),
        (np.zeros((0, 10)), "empty"),
        (np.ones((10, 10)) * 1j + np.eye(10), "complex"),
        (np.full((10, 10), np.nan), "not finite"),
        (np.repeat(np.arange(1.0, 41.0) * (np.arange(40) < 20), 40).reshape(40, 40), "exact zeros"),
    ],
)
def test_what_no_measurement_can_be_is_refused(
    tmp_path: Path, data: np.ndarray, cause: str
) -> None:
    axes = [{"name": n, "units": "nm", "scale": 1.0} for n in ("y", "x")]
    with pytest.raises(UnreadableFileError, match=cause):
        registry.read(hspy(tmp_path / "d.hspy", data, axes))


def test_colour_pictures_become_luminance(tmp_path: Path) -> None:
    colours = np.dtype([(c, "u1") for c in "RGBA"])
    data = np.zeros((8, 8), colours)
    data["G"] = np.arange(64).reshape(8, 8)
    axes = [{"name": n, "units": "nm", "scale": 1.0} for n in ("y", "x")]
    m = registry.read(hspy(tmp_path / "d.hspy", data, axes))
    np.testing.assert_allclose(m.values, 0.587 * data["G"])  # ITU-R BT.601, green
    assert any("colour" in w for w in m.provenance.warnings)


def test_the_spectrum_is_chosen_over_the_images_of_the_same_file(tmp_path: Path) -> None:
    path = hspy(tmp_path / "both.hspy", np.arange(1.0, 65.0).reshape(8, 8), [{}, {}])
    spectra = np.random.default_rng(1).poisson(20.0, 512)
    extra = hspy(tmp_path / "eds.hspy", spectra, spectrum_axes("keV", 0.02))
    with h5py.File(path, "a") as file, h5py.File(extra) as other:
        other.copy("Experiments/test", file["Experiments"], "zz_eds")
    m = registry.read(path)
    assert m.modality is EDS
    assert [o["modality"] for o in m.provenance.metadata["other_signals"]] == ["image"]


def test_hdf5_that_nobody_knows_is_refused_not_returned_empty(tmp_path: Path) -> None:
    for key in ("Measurement_000", "results"):  # the first is what USID writes
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file[f"{key}/raw"] = np.arange(10)
        with pytest.raises(UnreadableFileError, match=f"unknown layout.*{key}"):
            registry.read(tmp_path / "x.h5")


def test_hdf5_that_reaches_outside_itself_is_refused(tmp_path: Path) -> None:
    path = hspy(tmp_path / "d.hspy", np.arange(64.0).reshape(8, 8), [{}, {}])
    with h5py.File(path, "a") as file:
        file["Experiments/test/original_metadata/more"] = h5py.ExternalLink("/etc/hosts", "/")
    with pytest.raises(UnreadableFileError, match="link"):
        registry.read(path)


def block_file(path: Path, frames: int) -> Path:
    """A 2 x 2 scan of 16 x 16 patterns, of which only `frames` are in the file."""
    head = bytearray(4100)
    struct.pack_into("<6sHIIIHHHHHddIHI", head, 0, b"IMGBLO", 0x0102, 4096, 4100, 0,
                     16, 0, 2, 2, 0, 5.0, 5.0, 200_000, 6226, 2000)  # fmt: skip
    pattern = np.random.default_rng(4).poisson(50.0, 256).astype(np.uint8).tobytes()
    path.write_bytes(bytes(head) + frames * (b"\xaa\x55\x00\x00\x00\x00" + pattern))
    return path


def test_a_block_file_is_calibrated_by_its_nominal_camera_length(tmp_path: Path) -> None:
    m = registry.read(block_file(tmp_path / "scan.blo", 4))
    assert (m.modality, m.calibration) == (DIFFRACTION, ASSUMED)
    assert m.values.shape == (2, 2, 16, 16)
    # 62.26 pixels per cm at a camera length of 20 cm, 200 kV
    per_pixel = (1.0 / 62.26) / 20.0 / 0.0250793
    assert m.axis("kx")[1] == pytest.approx(per_pixel, rel=1e-4)


def test_a_short_block_file_is_refused_where_the_reader_fills_it_with_zeros(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="declares 5148 bytes and 4624 are there"):
        registry.read(block_file(tmp_path / "scan.blo", 2))


@pytest.mark.parametrize(
    ("name", "content", "missing"),
    [
        ("a.emi", b"JK\x00\x02" + bytes(60), "a_1.ser"),
        ("a.hdr", b"HDR,\t\nTime and Date Stamp", "a.mib"),
        ("a.rpl", b"key\tvalue\nwidth\t1\nheight\t1\ndepth\t3\ndata-length\t1\n", "a.raw"),
        ("a.xml", b'<?xml version="1.0"?><root><raw_file filename="s.raw"/><pix_x/>', "s.raw"),
        ("a_001.tvips", bytes(64), "a_000.tvips"),
    ],
)  # fmt: skip
def test_a_missing_companion_is_named(
    tmp_path: Path, name: str, content: bytes, missing: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert registry.certainties(FileHead(path, content))
    with pytest.raises(UnreadableFileError, match=re.escape(missing)):
        registry.read(path)


def test_raw_data_belong_to_their_header_and_not_to_a_diffractometer(tmp_path: Path) -> None:
    data = np.arange(1, 31, dtype="<u2")
    (tmp_path / "a.raw").write_bytes(data.tobytes())
    with pytest.raises(UnreadableFileError, match="no known"):  # no .rpl: not ours
        registry.read(tmp_path / "a.raw")
    (tmp_path / "a.rpl").write_text(
        "key\tvalue\nwidth\t1\nheight\t1\ndepth\t30\ndata-length\t2\ndata-type\tunsigned\n"
        "byte-order\tlittle-endian\noffset\t0\nrecord-by\tvector\nsignal\tEDS_TEM\n"
        "depth-name\tEnergy\ndepth-units\teV\ndepth-scale\t10\ndepth-origin\t0\n"
    )
    m = registry.read(tmp_path / "a.rpl")
    np.testing.assert_array_equal(m.values.ravel(), data)
    assert registry.companions(tmp_path / "a.rpl") == [str(tmp_path / "a.raw")]
    with pytest.raises(UnreadableFileError, match=r"read a\.rpl"):
        registry.read(tmp_path / "a.raw")
    (tmp_path / "a.raw").write_bytes(data.tobytes()[:-2])
    with pytest.raises(UnreadableFileError, match="declares 60 bytes and 58 are there"):
        registry.read(tmp_path / "a.rpl")


def test_merlin_frames_are_read_whole_or_not_at_all(tmp_path: Path) -> None:
    header = "MQ1,{:06d},00384,01,0256,0256,U16,   1x1,01,2020-01-18 16:51:49.971626,0.000555,"
    header += "0,0,0,1.200000E+2,MQ1A,2020-01-18T16:51:49.971626Z,555000ns,12,"
    counts = np.random.default_rng(7).poisson(20.0, (3, 256, 256)).astype(">u2")
    frames = [
        header.format(i + 1).encode().ljust(384, b"\0") + frame.tobytes()
        for i, frame in enumerate(counts)
    ]
    path = tmp_path / "a.mib"
    path.write_bytes(b"".join(frames))
    m = registry.read(path)
    assert m.values.shape == counts.shape
    assert m.values.sum() == counts.sum()
    path.write_bytes(b"".join(frames)[:-1000])
    with pytest.raises(UnreadableFileError, match="last frame is cut"):
        registry.read(path)


@pytest.mark.parametrize(
    "scene",
    [
        RingScene(),
        RingScene(stop_width_px=30.0),
        RingScene(grains=20),
        RingScene(center_px=(180.0, 300.0), hot_pixels=30),
        RingScene(ellipticity=0.03, peak_counts=100.0),
        RingScene(ellipticity=0.04, stop_width_px=30.0, fwhm_px=3.0),
    ],
)
def test_rings_are_seen_in_a_picture_that_says_nothing(scene: RingScene) -> None:
    radii = np.array([70.0, 81.0, 115.0, 134.0, 141.0, 163.0, 178.0])
    strengths = np.array([100.0, 50.0, 30.0, 35.0, 10.0, 6.0, 12.0])
    assert recognise.pattern_certainty(ring_image(radii, strengths, scene)) > 0.5


def test_pictures_without_rings_are_images() -> None:
    rng = np.random.default_rng(5)
    y, x = np.indices((256, 256))
    radius = np.hypot(y - 128, x - 128)
    lattice = 100 + 20 * np.cos(x / 2.5) + 20 * np.cos((0.5 * x + 0.87 * y) / 2.5)
    for picture in (
        rng.poisson(50.0, radius.shape),
        rng.poisson(1000.0 * np.exp(-((radius / 150.0) ** 2))),  # vignetting
        rng.poisson(1.0 + 1000.0 * np.exp(-((radius / 10.0) ** 2))),  # a probe
        rng.poisson(100.0 + 100.0 * (radius < 60)),  # a particle
        lattice + rng.normal(0.0, 5.0, radius.shape),
    ):
        assert recognise.pattern_certainty(picture) <= 0.5
