"""A folder is one specimen: everything in it is accounted for, nothing costs the rest."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, load, load_specimen
from xtalfuse.loaders.record import Modality


@pytest.fixture
def folder(tmp_path, made):
    """A specimen with two patterns, one damaged, one file of another trade."""
    path = tmp_path / "quartz"
    path.mkdir()
    made.write(path, "scan.xrdml", made.xrdml())
    made.write(path, "plain.xy", made.columns(third=True))
    made.write(path, "cut.xrdml", made.xrdml()[:3000])
    made.write(path, "letter.txt", "Dear friend,\nthe sample is in the post.\n")
    made.write(path, ".hidden.xy", made.columns())
    (path / "empty.ras").touch()
    (path / "more").mkdir()
    return path


def reports(record):
    return {report.path.rsplit("/", 1)[1]: report for report in record.files}


def test_every_file_has_a_report_and_one_bad_file_costs_no_other(folder):
    record = load_specimen(folder, wavelength="CuKa")
    found = reports(record)
    assert set(found) == {
        *("scan.xrdml", "plain.xy", "cut.xrdml", "letter.txt", "empty.ras", "more")
    }
    assert {name for name, report in found.items() if report.used} == {"scan.xrdml", "plain.xy"}
    assert [m.modality for m in record.measurements] == [Modality.XRD, Modality.XRD]
    for name, report in found.items():
        assert (report.reason == "") == report.used
        assert report.used or report.reason.startswith(f"{name}: ")
        assert name == "more" or len(report.sha256) == 64
    assert record.specimen == record.group == "quartz"
    assert record.of(Modality.EELS) == ()


def test_without_a_wavelength_only_the_file_that_names_one_is_used(folder):
    found = reports(load_specimen(folder))
    assert found["scan.xrdml"].used
    assert found["plain.xy"].reason == (
        "plain.xy: no wavelength in the file; pass --wavelength CuKa or 1.5406"
    )


def test_specimen_yaml_tells_what_the_instruments_do_not_know(folder):
    (folder / "specimen.yaml").write_text(
        "wavelength: 0.7093\nelements: [Si, O, si]\ngroup: batch 7\nnotes: from the beach\n"
    )
    record = load_specimen(folder)
    assert record.elements == ("Si", "O")
    assert record.group == "batch 7"
    assert record.notes == "from the beach"
    plain = next(m for m in record.measurements if m.provenance.path.endswith("plain.xy"))
    assert plain.radiation.primary_angstrom == 0.7093
    assert reports(record)["specimen.yaml"].used
    by_hand = load_specimen(folder, wavelength="CoKa", elements=["Fe"])
    assert by_hand.elements == ("Fe",)
    assert by_hand.measurements[0].radiation.name == "CoKa"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wavelenght: CuKa\n", "unknown key 'wavelenght'; did you mean 'wavelength'"),
        ("colour: red\n", "unknown key 'colour'; known keys are wavelength"),
        ("wavelength: Kryptonite\n", "wavelength: unknown radiation"),
        ("wavelength: .nan\n", "wavelength: "),
        ("elements: [Al, Xx]\n", "elements: 'Xx' is not a chemical element"),
        ("elements: [NO]\n", "elements: an element symbol was read as true or false"),
        ("camera_length: -3\n", "camera_length: "),
        ("- a\n- b\n", "not a list"),
        ("a: [1\n", "not YAML"),
    ],
)
def test_a_wrong_specimen_yaml_names_the_key(folder, text, said):
    (folder / "specimen.yaml").write_text(text)
    with pytest.raises(UnreadableFileError) as refusal:
        load_specimen(folder, wavelength="CuKa")
    assert said in str(refusal.value)
    assert str(refusal.value).startswith("specimen.yaml: ")


def test_the_same_content_twice_counts_once(folder):
    shutil.copy(folder / "scan.xrdml", folder / "zzz copy.xrdml")
    report = reports(load_specimen(folder))["zzz copy.xrdml"]
    assert not report.used
    assert "same content as scan.xrdml" in report.reason


def test_a_single_file_is_a_specimen_too(folder):
    record = load_specimen(folder / "scan.xrdml")
    assert record.specimen == "scan"
    assert record.files[0].used
    assert record.files[0].sha256 == record.measurements[0].provenance.sha256
    bad = load_specimen(folder / "cut.xrdml")
    assert bad.measurements == ()
    assert not bad.files[0].used


def test_nothing_there_and_wrong_arguments_are_errors(folder):
    with pytest.raises(UnreadableFileError, match="no such file or folder"):
        load_specimen(folder / "absent")
    with pytest.raises(ValueError, match="not a chemical element"):
        load_specimen(folder, elements=["Q"])
    with pytest.raises(ValueError, match="unknown radiation"):
        load_specimen(folder, wavelength="Q")
    with pytest.raises(UnreadableFileError, match="neither a file nor a folder of"):
        load(folder)


def test_companions_belong_to_their_main_file(real, tmp_path):
    """A Ripple header and its raw data, a TIA index and its series: one measurement each."""
    source = real / "tem" / "readers"
    pairs = [
        (rpl, rpl.with_suffix(".raw"))
        for rpl in sorted(source.rglob("*.rpl"))
        if rpl.with_suffix(".raw").is_file()
    ]
    if not pairs:
        pytest.skip("no Ripple pair among the real files")
    folder = tmp_path / "map"
    folder.mkdir()
    for file in pairs[0]:
        shutil.copy(file, folder / file.name)
    record = load_specimen(folder)
    assert len(record.measurements) <= 1
    used = {report.used for report in record.files}
    assert len(used) == 1  # the data share the fate of their header
    assert len(record.files) == 2


CAMERA_MM, PIXEL_MM, RADII_PX = 520.0, 0.05, (80.0, 115.0, 152.0, 184.0)


@pytest.mark.parametrize("stated", [None, 400.0])
def test_d_spacings_follow_the_camera_length(tmp_path, stated):
    """Rings on a detector of known pixels: d = L wavelength / r, with the L of specimen.yaml."""
    from xtalfuse.encoders.rings.profile import ring_profile
    from xtalfuse.loaders.tem.signals import electron_wavelength_angstrom
    from xtalfuse.physics.crystal.ring_pattern import RingScene, ring_image

    wavelength = electron_wavelength_angstrom(200.0)
    radii = np.array(RADII_PX)
    image = ring_image(radii, np.array([1.0, 0.6, 0.5, 0.4]), RingScene())
    own = wavelength * 400.0  # the file's scale is that of its nominal camera length
    pixel, unit = (PIXEL_MM, "mm") if stated is None else (PIXEL_MM / own, "1/angstrom")
    with h5py.File(tmp_path / "rings.hspy", "w") as file:
        group = file.create_group("Experiments/rings")
        group.attrs.update({"package": "hyperspy", "package_version": "2.3"})
        file.attrs["file_format_version"] = "3.3"
        file.attrs["file_format"] = "HyperSpy"
        group["data"] = image.astype("f4")
        for i, name in enumerate(("ky", "kx")):
            axis = group.create_group(f"axis-{i}")
            described = {"name": name, "units": unit, "scale": pixel, "offset": 0.0, "size": 512}
            axis.attrs.update({**described, "navigate": False, "_type": "UniformDataAxis"})
        group.create_group("original_metadata")
        group.create_group("learning_results")
        group.create_group("metadata/Signal").attrs["signal_type"] = "diffraction"
        group.create_group("metadata/General").attrs["title"] = "rings"
        told = group.create_group("metadata/Acquisition_instrument/TEM").attrs
        told["beam_energy"] = 200.0
        if stated is not None:
            told["camera_length"] = stated
    before = ring_profile(load(tmp_path / "rings.hspy"))
    assert before.scale is None if stated is None else before.scale == pytest.approx(pixel)
    (tmp_path / "specimen.yaml").write_text(f"camera_length: {CAMERA_MM}\n")
    (found,) = load_specimen(tmp_path).measurements
    assert found.instrument.camera_length_mm == CAMERA_MM
    assert any("camera length 520 mm given by hand" in w for w in found.provenance.warnings)
    profile = ring_profile(found)
    expected = CAMERA_MM * wavelength / (radii * PIXEL_MM)
    seen = sorted((1.0 / ring.g for ring in profile.rings), reverse=True)
    assert len(seen) >= 3
    for d in seen[:3]:
        assert np.abs(d / expected - 1.0).min() < 0.01  # a ring is found to a third of a pixel
