"""Facts about real instrument files, read from them by eye and by independent arithmetic.

Points, first and last angle, highest intensity, wavelengths. Angles agree to 1e-3 degrees
(some formats store them in single precision), intensities to 1e-6.
"""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, load
from xtalfuse.loaders.record import Modality

PANALYTICAL = (1.540598, 1.544426)
RIGAKU = (1.540593, 1.544414)
BRUKER = (1.5406, 1.54439)

# path: points, first, last, highest, unit, wavelengths
POWDER = {
    "datalab_examples/CG20396_jdb12-1.xrdml": (
        *(7181, 5.00835563, 124.99526689, 13036, "counts"),
        PANALYTICAL,
    ),
    "datalab_examples/HL1-2_5-90_60min.xrdml": (
        *(6474, 5.00116514, 89.99348491, 10841, "counts"),
        PANALYTICAL,
    ),
    **{
        f"datalab_examples/Scan_C{i}.xrdml": (
            *(7181, 5.00475563, 124.99166689, highest, "counts"),
            PANALYTICAL,
        )
        for i, highest in enumerate(
            (24224, 24034, 24157, 24270, 24492, 24211, 24251, 24304, 24267, 24242), start=1
        )
    },
    "datalab_examples/JO_KL_16_ZF_3_60deg_0.02step_12degpermin_001.rasx": (
        *(2851, 3.0, 60.0, 34423, "counts"),
        RIGAKU,
    ),
    "datalab_examples/TiO2.raw": (1647, 10.0, 70.041142, 11493, "counts", BRUKER),
    "datalab_examples/TiOF.brml": (2469, 9.998839, 60.012776, 8170, "counts", BRUKER),
    # 11-BM: the calibrated wavelength stands in a comment
    "datalab_examples/example_bmb.xye": (
        *(575, 0.5, 1.073103125, 662.407183, "arbitrary"),
        (0.414581,),
    ),
    # only the anode is named: its doublet
    "datalab_examples/example_evadiffract.xy": (
        *(28, 5.0001, 5.2743, 5.583, "arbitrary"),
        (1.5405929, 1.5444274),
    ),
    "nomad_measurements/TwoTheta_scan_powder.rasx": (
        *(2726, 10.0, 119.0, 1698.50854492188, "arbitrary"),
        RIGAKU,
    ),
    # K-alpha2 is zero in the file: it was stripped
    "nomad_measurements/TwoTheta_scan_scrambled.raw": (
        *(7134, 10.0, 85.0413, 11330.5869140625, "arbitrary"),
        (1.5406,),
    ),
    # "intended: K-Alpha 1" in Bragg-Brentano geometry without a monochromator: both lines
    "nomad_measurements/XRD-918-16_10.xrdml": (
        *(5027, 4.00656514, 69.99936587, 100168, "counts"),
        PANALYTICAL,
    ),
    # one point behind an attenuator: 1877 counts times 188; a Ge(220) hybrid monochromator
    "rietx/panalytical_attenuator.xrdml": (
        *(1800, 26.025, 79.995, 352876, "counts"),
        (1.540598,),
    ),
    "rietx/bruker_absorber.brml": (2001, 44.0, 48.0, 495559.8, "counts", BRUKER),
    "nomad_measurements/Omega-2Theta_scan_high_temperature.rasx": (
        *(1042, 44.0, 48.9968, 811.226867675781, "arbitrary"),
        RIGAKU,
    ),
    "rietx/rigaku_zno_counts.rasx": (7001, 20.0, 90.0, 234953, "counts", RIGAKU),
    "rietx/rigaku_multiscan.ras": (3, 10.0, 11.0, 300.8, "counts/s", RIGAKU),
    "xrdpattern_examples/aimat.json": (4059, 37.0001, 120.004644, 94855, "counts", BRUKER),
    # the header gives the mean wavelength 1.5418 for the doublet
    "xrdpattern_examples/bruker.raw": (
        *(4059, 37.0001, 120.004644, 94855, "counts"),
        (1.5405929, 1.5444274),
    ),
    # powder CIF that gives its angles as a range
    "xrdpattern_examples/data.cif": (
        *(3728, 8.0, 89.994, 16799, "counts"),
        (1.540598, 1.54439),
    ),
    # ten named columns, two passes; the wavelength follows from 2theta and d
    "xrdpattern_examples/data.dat": (2600, 3.0, 54.98, 1717.88, "arbitrary", (1.239842,)),
    "xrdpattern_examples/stoe.raw": (5404, 10.0, 91.045, 5824, "counts", (1.20793,)),
}

# without a wavelength: to be refused, and read once it is given
NAKED = {
    "datalab_examples/example_mac.xye": (599, 0.0, 0.598, 480.363, "arbitrary"),
    "datalab_examples/example_mythen.dat": (730, 2.084, 5.0, 3321.320995, "arbitrary"),
    "datalab_examples/example_mythen.xye": (74, 2.038, 2.33, 105132, "counts"),
    "datalab_examples/example_ocx.xy": (1876, 5.0, 80.0, 96.686, "arbitrary"),
    # two overlapping ranges, merged; two angles occur twice
    "xrdpattern_examples/single.csv": (3048, 30.00313, 110.065619, 211765, "arbitrary"),
    "xrdpattern_examples/vertical.xlsx": (4501, 15.0, 60.0, 443.5455, "arbitrary"),
}

NO_PATTERN = {
    "nomad_measurements/m82762_rc1mm_1_16dg_src_slit_phi-101_3dg_-420_mesh_long.xrdml": "101 scans",
    "rietx/panalytical_mesh.xrdml": "101 scans",
    "datalab_examples/cod_9004112.cif": "crystal structure",
    "xrdpattern_examples/test1.cif": "crystal structure",
    "xrdpattern_examples/test2.cif": "crystal structure",
}


@pytest.fixture(scope="module")
def formats(real):
    return real / "xrd" / "formats"


def check(pattern, points, first, last, highest, unit):
    angles = pattern.axis("two_theta")
    assert pattern.modality is Modality.XRD
    assert pattern.values.shape == angles.shape == (points,)
    assert angles[[0, -1]] == pytest.approx((first, last), abs=1e-3)
    assert pattern.values.max() == pytest.approx(highest, rel=1e-6)
    assert pattern.value_unit == unit
    assert np.all(np.diff(angles) > 0)
    assert len(pattern.provenance.sha256) == 64


@pytest.mark.parametrize("name", POWDER)
def test_powder_scans_are_read_right(formats, name):
    *numbers, wavelengths = POWDER[name]
    pattern = load(formats / name)
    check(pattern, *numbers)
    assert pattern.radiation.wavelengths_angstrom == pytest.approx(wavelengths, abs=2e-6)
    assert sum(pattern.radiation.weights) == pytest.approx(1.0)


@pytest.mark.parametrize("name", NAKED)
def test_without_a_wavelength_nothing_is_guessed(formats, name):
    with pytest.raises(UnreadableFileError) as refusal:
        load(formats / name)
    file = name.split("/")[1]
    wanted = f"{file}: no wavelength in the file; pass --wavelength CuKa or 1.5406"
    assert str(refusal.value) == wanted
    check(load(formats / name, wavelength="CuKa"), *NAKED[name])


@pytest.mark.parametrize("name", NO_PATTERN)
def test_maps_and_structures_are_refused_with_the_reason(formats, name):
    with pytest.raises(UnreadableFileError, match=NO_PATTERN[name]):
        load(formats / name, wavelength="CuKa")


def test_every_file_of_the_folder_is_accounted_for(formats):
    found = {str(p.relative_to(formats)) for p in formats.rglob("*") if p.is_file()}
    twins = {  # the same bytes as another file of the table, checked below
        "pynxtools_xrd/XRD-918-16_10.xrdml": "nomad_measurements/XRD-918-16_10.xrdml",
        "rietx/panalytical_powder.xrdml": "nomad_measurements/XRD-918-16_10.xrdml",
        "nomad_measurements/m54313_om2th_10.xrdml": "rietx/panalytical_attenuator.xrdml",
        "nomad_measurements/23-012-AG_2thomegascan_long.brml": "rietx/bruker_absorber.brml",
        "rietx/bruker_raw4_scrambled.raw": "nomad_measurements/TwoTheta_scan_scrambled.raw",
        "rietx/rigaku_powder.rasx": "nomad_measurements/TwoTheta_scan_powder.rasx",
    }
    assert found <= {*POWDER, *NAKED, *NO_PATTERN, *twins}
    for twin, known in twins.items():
        assert (formats / twin).read_bytes() == (formats / known).read_bytes()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rietx/panalytical_attenuator.xrdml", "188"),
        ("rietx/panalytical_attenuator.xrdml", "epitaxial"),
        ("rietx/bruker_absorber.brml", "epitaxial"),
        ("nomad_measurements/Omega-2Theta_scan_high_temperature.rasx", "5 degrees only"),
        ("nomad_measurements/TwoTheta_scan_scrambled.raw", "2320 negative"),
        ("rietx/rigaku_multiscan.ras", "High angle scan"),
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
        check(pattern, 7251, 5.0, 150.0, highest, "counts")


def test_every_mixture_is_read_in_counts_with_both_lines(real):
    files = sorted((real / "xrd").glob("mixtures_*/*.xrdml"))
    assert files
    for file in files[::7]:
        pattern = load(file)
        assert pattern.value_unit == "counts"
        assert len(pattern.radiation.weights) == 2
        assert pattern.provenance.warnings == ()
