"""Facts about real instrument files, in ``xrd_formats.toml``.

Angles agree to 1e-3 degrees (some formats store them in single precision), intensities to
1e-6.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, load
from xtalfuse.loaders.record import Modality

FACTS = tomllib.loads(Path(__file__).with_name("xrd_formats.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def formats(real):
    return real / "xrd" / "formats"


def check(pattern, fact):
    angles = pattern.axis("two_theta")
    assert pattern.modality is Modality.XRD
    assert pattern.values.shape == angles.shape == (fact["points"],)
    assert angles[[0, -1]] == pytest.approx(fact["range"], abs=1e-3)
    assert pattern.values.max() == pytest.approx(fact["highest"], rel=1e-6)
    assert pattern.value_unit == fact["unit"]
    assert np.all(np.diff(angles) > 0)
    assert len(pattern.provenance.sha256) == 64


@pytest.mark.parametrize("name", FACTS["powder"])
def test_powder_scans_are_read_right(formats, name):
    fact = FACTS["powder"][name]
    pattern = load(formats / name)
    check(pattern, fact)
    lines = pattern.radiation.wavelengths_angstrom
    assert lines == pytest.approx(tuple(fact["wavelengths"]), abs=2e-6)
    assert sum(pattern.radiation.weights) == pytest.approx(1.0)


@pytest.mark.parametrize("name", FACTS["naked"])
def test_without_a_wavelength_nothing_is_guessed(formats, name):
    with pytest.raises(UnreadableFileError) as refusal:
        load(formats / name)
    file = name.split("/")[1]
    wanted = f"{file}: no wavelength in the file; pass --wavelength CuKa or 1.5406"
    assert str(refusal.value) == wanted
    check(load(formats / name, wavelength="CuKa"), FACTS["naked"][name])


@pytest.mark.parametrize("name", FACTS["refused"])
def test_maps_and_structures_are_refused_with_the_reason(formats, name):
    with pytest.raises(UnreadableFileError, match=FACTS["refused"][name]):
        load(formats / name, wavelength="CuKa")


def test_every_file_of_the_folder_is_accounted_for(formats):
    found = {str(p.relative_to(formats)) for p in formats.rglob("*") if p.is_file()}
    assert found <= {name for table in FACTS.values() for name in table}
    for twin, known in FACTS["twins"].items():
        assert (formats / twin).read_bytes() == (formats / known).read_bytes()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rietx/panalytical_attenuator.xrdml", "188"),
        ("rietx/panalytical_attenuator.xrdml", "epitaxial"),
        ("rietx/bruker_absorber.brml", "epitaxial"),
        ("nomad_measurements/Omega-2Theta_scan_high_temperature.rasx", "5 degrees only"),
        ("nomad_measurements/TwoTheta_scan_scrambled.raw", "2320 negative"),
        ("rietx/rigaku_multiscan.ras", "2 ranges were joined"),
        ("xrdpattern_examples/data.dat", "2 passes"),
        ("xrdpattern_examples/stoe.raw", "K-alpha1 only"),
    ],
)
def test_what_was_applied_chosen_or_doubted_is_said(formats, name, said):
    assert any(said in warning for warning in load(formats / name).provenance.warnings)


def test_metadata_of_the_instrument_is_kept(formats):
    told = load(formats / "rietx/panalytical_attenuator.xrdml").provenance.metadata
    assert told["anode"] == "Cu"
    assert told["monochromator"] == "Hybrid monochr. 2xGe(220) Cu asym."
    assert told["geometry"] == "reflection"
    assert told["counting_time_s"] == 0.5
    assert told["powder_doubtful"]  # high-resolution optics: an epitaxial film
    told = load(formats / "datalab_examples/TiO2.raw").provenance.metadata
    assert told["sample"] == "TiO2"


def test_uncertainties_of_the_file_are_kept(formats):
    pattern = load(formats / "datalab_examples/example_bmb.xye")
    assert pattern.sigma[0] == pytest.approx(37.744249)
    behind = load(formats / "rietx/panalytical_attenuator.xrdml")
    top = int(behind.values.argmax())  # sqrt(1877 counts) x 188, not sqrt(352876)
    assert behind.sigma[top] == pytest.approx(188 * np.sqrt(1877), rel=1e-6)


def test_a_third_column_that_is_no_uncertainty_is_not_taken_for_one(real):
    pattern = load(real / "xrd" / "chemistry_li_mn_ti_o_f" / "MnO2.xy", wavelength="CuKa")
    assert pattern.sigma is None
    assert pattern.values[0] == 2155
    assert any("third column" in warning for warning in pattern.provenance.warnings)


def test_round_robin_patterns(real):
    for name, highest in (("cpd-1a", 10261), ("corundum", 6872), ("fluorite", 10241)):
        pattern = load(real / "xrd" / "cpd" / f"{name}.prn", wavelength="CuKa")
        fact = {"points": 7251, "range": [5.0, 150.0], "highest": highest, "unit": "counts"}
        check(pattern, fact)


def test_every_mixture_is_read_in_counts_with_both_lines(real):
    files = sorted((real / "xrd").glob("mixtures_*/*.xrdml"))
    assert files
    for file in files[::7]:
        pattern = load(file)
        assert pattern.value_unit == "counts"
        assert len(pattern.radiation.weights) == 2
        assert pattern.provenance.warnings == ()
