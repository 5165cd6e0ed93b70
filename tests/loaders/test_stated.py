"""What a person says of a file wins over its header and over any guess, or is refused."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, load, load_specimen
from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.record import Calibration, Modality, Provenance
from xtalfuse.loaders.tem.read import most_informative
from xtalfuse.loaders.tem.signals import RawAxis, RawSignal, electron_wavelength_angstrom

IMAGE = np.random.default_rng(1).poisson(50.0, (64, 64)).astype(np.uint16)


def picture(unit: str = "", step: float = 1.0, **metadata) -> RawSignal:
    axes = tuple(RawAxis(name, unit, step * np.arange(64.0)) for name in "yx")
    return RawSignal(IMAGE, axes, metadata=metadata)


def found(raw: RawSignal, **said):
    return most_informative([raw], Provenance("a.tif", "", "test"), "a.tif", ReadOptions(**said))


@pytest.mark.parametrize(
    ("unit", "step", "kind", "standard", "expected"),
    [
        ("nm", 2.5, "image", "nm", 2.5),
        ("um", 0.01, "image", "nm", 10.0),
        ("µm", 0.01, "image", "nm", 10.0),
        ("Å", 5.0, "image", "nm", 0.5),
        ("1/nm", 0.05, "diffraction", "1/angstrom", 0.005),
        ("nm^-1", 0.05, "diffraction", "1/angstrom", 0.005),
        ("1/A", 0.005, "diffraction", "1/angstrom", 0.005),
        ("inch", 0.001, "image", "px", 1.0),  # a print resolution
        ("px", 3.0, "image", "px", 1.0),  # a binning factor
        ("nm", 0.0, "image", "px", 1.0),
        ("nm", float("nan"), "image", "px", 1.0),
        ("1/nm", -0.05, "diffraction", "1/angstrom", -0.005),
        ("1/nm", 50.0, "diffraction", "px", 1.0),  # 320 1/angstrom: no microscope
        ("nm", 1e8, "image", "px", 1.0),  # a pixel of 10 cm
    ],
)
def test_the_scale_of_a_header_comes_with_its_unit_or_not_at_all(
    unit, step, kind, standard, expected
):
    measurement = found(picture(unit, step))
    assert (measurement.modality, measurement.axes[-1].unit) == (kind, standard)
    assert np.diff(measurement.axes[-1].values)[0] == pytest.approx(expected)
    assert (measurement.calibration is Calibration.UNKNOWN) == (standard == "px")


def test_milliradians_need_the_beam_energy():
    raw = picture("mrad", 0.2, beam_energy_keV=200.0)
    step = np.diff(found(raw).axes[-1].values)[0]
    assert step == pytest.approx(0.2e-3 / electron_wavelength_angstrom(200.0))
    assert found(picture("mrad", 0.2)).calibration is Calibration.UNKNOWN
    by_hand = found(picture("mrad", 0.2), beam_energy_kev=200.0)
    assert np.diff(by_hand.axes[-1].values)[0] == pytest.approx(step)


def test_a_statement_wins_over_the_header():
    said = {"modality": Modality.DIFFRACTION, "scale": 0.02, "unit": "1/nm", "offset": -0.64}
    measurement = found(picture("nm", 2.5), **said)
    assert measurement.modality is Modality.DIFFRACTION
    assert measurement.calibration is Calibration.KNOWN
    assert measurement.axis("kx")[:2] == pytest.approx([-0.064, -0.062])
    image = found(picture("1/nm", 0.05), modality=Modality.IMAGE)
    assert (image.modality, image.axes[-1].unit) == (Modality.IMAGE, "px")
    assert any("none of an image" in warning for warning in image.provenance.warnings)


def test_a_camera_length_by_hand_calibrates_a_detector_of_known_pixels():
    said = {"modality": Modality.DIFFRACTION, "scale": 28.0, "unit": "um"}
    measurement = found(picture(), camera_length_mm=500.0, beam_energy_kev=200.0, **said)
    expected = 28e-3 / 500.0 / electron_wavelength_angstrom(200.0)
    assert np.diff(measurement.axis("kx"))[0] == pytest.approx(expected)


@pytest.fixture
def specimen(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", IMAGE)
    return tmp_path


def test_specimen_yaml_says_what_a_file_is(specimen):
    (specimen / "specimen.yaml").write_text(
        "files: {a.tif: {modality: diffraction, scale: 0.1, units: 1/nm}}\n"
    )
    (measurement,) = load_specimen(specimen).measurements
    assert measurement.modality is Modality.DIFFRACTION
    assert np.diff(measurement.axis("kx"))[0] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("files: {b.tif: {modality: image}}", "there is no 'b.tif'"),
        ("files: {a.tif: {modalty: image}}", "a.tif: unknown key 'modalty'; did you mean 'modal"),
        ("files: {a.tif: {modality: difraction}}", "did you mean 'diffraction'"),
        ("files: {a.tif: {scale: 2}}", "give both"),
        ("files: {a.tif: {scale: -2, units: nm}}", "the scale above zero"),
        ("files: {a.tif: {scale: 2, units: parsec}}", "units 'parsec' are not known"),
        ("files: {a.tif: {beam_energy: 300000}}", "give keV"),
        ("files: {a.tif: image}", "files: a.tif: "),
        ("files: [a.tif]", "files: "),
    ],
)
def test_a_statement_that_cannot_be_is_refused_by_its_name(specimen, text, said):
    (specimen / "specimen.yaml").write_text(text)
    with pytest.raises(UnreadableFileError, match=r"specimen\.yaml: files: ") as refused:
        load_specimen(specimen)
    assert said in str(refused.value)


def test_a_statement_that_contradicts_the_file_is_refused(specimen):
    with pytest.raises(UnreadableFileError, match="stated to be ebsd, but it is a file of TIFF"):
        load(specimen / "a.tif", modality="ebsd")
    with pytest.raises(UnreadableFileError, match="stated to be eels, but"):
        found(picture(), modality=Modality.EELS)
    with pytest.raises(ValueError, match=r"in its specimen\.yaml"):
        load_specimen(specimen, modality="image")
