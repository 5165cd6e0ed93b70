"""Which radiation and which unit of angles a file means, and what is no X-ray pattern at all."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.loaders.xrd.scan_files import (
    AGAIN,
    ALL,
    ANGLES,
    CU_CIF,
    EVERY,
    GSAS,
    LISTED,
    brml,
    cif,
    of_xrdml,
    ras,
    ras_block,
    reading,
    said,
    xrdml_scan,
)
from xtalfuse.loaders import UnreadableFileError
from xtalfuse.physics.units import ANODES


@pytest.fixture
def pattern(tmp_path):
    return partial(reading, tmp_path)


BETA = '<WaveLength Unit="Å" Value="1.39222"/>'
WAVE_TYPE = '*MEAS_COND_XG_WAVE_TYPE "{}"\n'


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.xrdml", of_xrdml(xrdml_scan(), used='intended="K-Beta"'), (1.39225,)),
        ("a.xrdml", of_xrdml(xrdml_scan(), used='intended="K-Alpha 2"'), (1.544426,)),
        ("a.xrdml", of_xrdml(xrdml_scan(), used='intended="K-Alpha"'), (1.540598, 1.544426)),
        ("a.xrdml", of_xrdml(xrdml_scan()).replace("1.544426", "1.540598"), (1.540598,)),
        ("a.xrdml", of_xrdml(xrdml_scan()).replace("'Angstrom'>1.540598", "'nm'>0.1540598"),
         (1.540598, 1.544426)),
        ("a.brml", brml((EVERY, ALL, 1.0), used=BETA), (1.39222,)),
        ("a.ras", ras(ras_block(extra=WAVE_TYPE.format("Kb"))), (1.392246,)),
        ("a.ras", ras(ras_block(extra=WAVE_TYPE.format("Ka1"))), (1.540593, 1.544414)),
        ("a.cif", cif(LISTED, "_diffrn_radiation_type 'Cu K\\a'\n"), ANODES["Cu"]),
        ("a.cif", cif(LISTED, "_diffrn_radiation_type 'CoKa'\n"), ANODES["Co"]),
        ("a.cif", cif(LISTED, "_diffrn_radiation_type 'Mo K\\a~1~'\n"), ANODES["Mo"][:1]),
        ("a.cif", cif(LISTED, "_diffrn_radiation_xray_symbol K-L~2,3~\n_diffrn_source_target Cu\n"),
         ANODES["Cu"]),
        ("a.gsas", "Calibrated wavelength: 4.133e-11 m\n" + GSAS, (0.4133,)),
    ],
)  # fmt: skip
def test_the_radiation_that_a_file_means(pattern, name, content, lines):
    found = pattern(name, content).radiation.wavelengths_angstrom
    assert found == pytest.approx(lines, abs=2e-6)


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("1.544426", "15.44426", "no anode emits together"),
        ("1.540598", "15.40598", "no diffractometer"),
        ("<kBeta", "<ratioKAlpha2KAlpha1>5</ratioKAlpha2KAlpha1><kBeta", "ratio of 5"),
        (">Cu<", ">Mo<", "contradict"),
    ],
)
def test_radiation_that_cannot_be_is_refused_unless_given_by_hand(pattern, old, new, cause):
    text = of_xrdml(xrdml_scan()).replace(old, new)
    with pytest.raises(UnreadableFileError, match=f"{cause}.*; pass --wavelength"):
        pattern("a.xrdml", text)
    found = pattern("a.xrdml", text, wavelength="CuKa")
    assert found.radiation.name == "CuKa"
    assert cause in said(found)


def test_the_unit_of_the_angles_is_followed(pattern):
    radians = xrdml_scan(angle="rad", scale=np.pi / 180.0)
    found = pattern("a.xrdml", of_xrdml(radians))
    np.testing.assert_allclose(found.axis("two_theta"), ANGLES, atol=1e-6)
    with pytest.raises(UnreadableFileError, match="angles in 'furlong'"):
        pattern("a.xrdml", of_xrdml(xrdml_scan(angle="furlong")))


TITLES = ("CPD RRRR PbSO4 1.909A neutron data", "HB-2A Neutrons", "time-of-flight, bank 2")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("a.gsas", f"{title}\n{GSAS}") for title in TITLES),
        ("a.cif", cif(LISTED, CU_CIF + "_diffrn_radiation_probe neutron\n")),
        ("a.cif", cif(LISTED, CU_CIF + "_diffrn_source 'nuclear reactor'\n")),
        ("a.cif", cif(LISTED, CU_CIF + "_diffrn_radiation_type 'constant wavelength neutron'\n")),
    ],
)
def test_neutron_patterns_are_refused(pattern, name, content):
    with pytest.raises(UnreadableFileError, match="neutron pattern"):
        pattern(name, content, wavelength="CuKa")


def test_a_specimen_that_saw_neutrons_is_no_neutron_pattern(pattern):
    found = pattern("a.gsas", f"neutron-irradiated steel\n{GSAS}", wavelength="CuKa")
    assert found.values.size == 20


# ---- powder CIF


@pytest.mark.parametrize("mark", [".", "?"])
def test_excluded_points_of_a_cif_are_left_out(pattern, mark):
    values = [mark if 30 <= x <= 31 else f"{y:g}({np.sqrt(y):.0f})"
              for x, y in zip(ANGLES, ALL, strict=True)]  # fmt: skip
    columns = {"_pd_proc_2theta_corrected": ANGLES, "_pd_proc_intensity_total": values}
    found = pattern("a.cif", cif(columns, CU_CIF))
    kept = (ANGLES < 29.99) | (ANGLES > 31.01)
    np.testing.assert_array_equal(found.values, ALL[kept])
    np.testing.assert_allclose(found.sigma, np.round(np.sqrt(ALL[kept])))
    assert "21 points without a value" in said(found)


@pytest.mark.parametrize("name", ["_pd_proc_d_spacing", "_pd_proc_recip_len_Q"])
def test_a_cif_over_d_or_q_is_converted_with_its_wavelength(pattern, name):
    d = 1.5406 / (2.0 * np.sin(np.radians(ANGLES / 2.0)))
    columns = {name: d if "spacing" in name else 2.0 * np.pi / d, "_pd_meas_counts_total": ALL}
    found = pattern("a.cif", cif(columns, CU_CIF))
    np.testing.assert_allclose(found.axis("two_theta"), ANGLES, atol=1e-6)
    with pytest.raises(UnreadableFileError, match="no wavelength to turn them"):
        pattern("a.cif", cif(columns))


def test_of_several_patterns_of_a_cif_one_can_be_chosen(pattern):
    other = {**LISTED, "_pd_meas_counts_total": AGAIN.astype(int)}
    text = cif(LISTED, CU_CIF) + cif(other, CU_CIF).replace("data_a", "data_b")
    found = pattern("a.cif", text)
    np.testing.assert_array_equal(found.values, ALL)
    assert "2 patterns" in said(found)
    np.testing.assert_array_equal(pattern("a.cif", text, scan=2).values, AGAIN)


def test_a_missing_last_line_end_is_told_only_where_digits_may_be_lost(pattern):
    text = cif({k: v[:400] for k, v in LISTED.items()}, CU_CIF).rstrip("\n")
    assert pattern("a.cif", text).provenance.warnings[1:] == ()
    assert "cut" in said(pattern("a.cif", text[:-1]))


MAGNETIC = (
    "data_m\n_cell_length_a 2.88\n_space_group_magn.number_BNS 123.345\nloop_\n"
    "_space_group_symop_magn_operation.id\n_space_group_symop_magn_operation.xyz\n1 x,y,z,+1\n"
    "loop_\n_atom_site_label\n_atom_site_fract_x\nCr1 0\n"
)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (MAGNETIC, "magnetic CIF"),
        ("data_s\n_cell_length_a 2.88\n_cell_length_b 3\n", "crystal structure"),
        ("data_s\nloop_\n_atom_site_label\n_atom_site_fract_x\nCr1\n", "get the structure again"),
    ],
)
def test_a_structure_is_refused_for_what_it_is(pattern, content, cause):
    with pytest.raises(UnreadableFileError, match=cause) as refusal:
        pattern("a.cif", content)
    assert "instrument" not in str(refusal.value)
