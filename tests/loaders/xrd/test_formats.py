"""Formats written by the test: every way to write one pattern gives that pattern back."""

from __future__ import annotations

import json

import numpy as np
import openpyxl
import pytest

from xtalfuse.loaders import UnreadableFileError, load

CU = (1.5405929, 1.5444274)


def same(pattern, made, angle_tolerance=1e-4):
    np.testing.assert_allclose(pattern.axis("two_theta"), made.ANGLES, atol=angle_tolerance)
    np.testing.assert_allclose(pattern.values, made.COUNTS, atol=1e-3)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"separator": "\t"},
        {"separator": ","},
        {"separator": ";"},
        {"separator": ";", "decimal": ","},
        {"separator": "\t", "decimal": ","},
        {"separator": "   ", "decimal": ","},
        {"end": "\r\n"},
        {"separator": ", "},
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("suffix", ["xy", "csv", "prn"])
def test_two_columns_in_every_spelling(tmp_path, made, how, encoding, suffix):
    path = made.write(tmp_path, f"a.{suffix}", made.columns(**how), encoding)
    pattern = load(path, wavelength="CuKa")
    same(pattern, made)
    assert pattern.value_unit == "counts"
    assert pattern.radiation.wavelengths_angstrom == CU
    assert pattern.provenance.warnings == ()


@pytest.mark.parametrize(
    "header",
    [
        "2theta,intensity\n",
        "# 2Theta (deg), Counts\n",
        "Angle,Intensity\n",
        "sample,quartz\nPos. [°2Th.],Iobs [cts]\n",
        "; comment\n# another\n",
        "x,y\n",
    ],
)
def test_headers_over_two_columns(tmp_path, made, header):
    path = made.write(tmp_path, "a.csv", header + made.columns(","))
    same(load(path, wavelength="CuKa"), made)


def test_a_real_uncertainty_column_is_kept(tmp_path, made):
    path = made.write(tmp_path, "a.xye", made.columns(third=True))
    pattern = load(path, wavelength="CuKa")
    np.testing.assert_allclose(pattern.sigma, np.sqrt(made.COUNTS), atol=1e-3)


def test_wavelength_and_rate_in_comments_are_used(tmp_path, made):
    text = "# Wavelength: 0.45827 A\n# 2theta  intensity(cps)\n" + made.columns()
    pattern = load(made.write(tmp_path, "a.xy", text))
    assert pattern.radiation.wavelengths_angstrom == (0.45827,)
    assert pattern.value_unit == "counts/s"


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ("omega,intensity\n", "is not 2theta, q or d"),
        ("q,intensity\n", "has no unit; name it"),
        ("# Scantype: Rocking Curve\n", "Rocking"),
    ],
)
def test_tables_over_another_axis_are_refused(tmp_path, made, header, cause):
    path = made.write(tmp_path, "a.csv", header + made.columns(","))
    with pytest.raises(UnreadableFileError, match=cause):
        load(path, wavelength="CuKa")


def test_wide_tables_read_the_first_pattern_and_say_so(tmp_path, made):
    rows = [[x, y, y + 5, y + 9] for x, y in zip(made.ANGLES, made.COUNTS, strict=True)]
    names = ["2theta", "Intensity 30 C", "Intensity 100 C", "Intensity 200 C"]
    text = "\n".join(",".join(map(str, row)) for row in [names, *rows]) + "\n"
    book = openpyxl.Workbook()
    for row in [["Some title"], names, *rows]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    for path in (made.write(tmp_path, "a.csv", text), tmp_path / "a.xlsx"):
        pattern = load(path, wavelength="CuKa")
        same(pattern, made)
        assert any("3 patterns side by side" in w for w in pattern.provenance.warnings)


def test_many_columns_without_names_are_refused(tmp_path, made):
    text = "".join(f"{x} 1 2 {y}\n" for x, y in zip(made.ANGLES, made.COUNTS, strict=True))
    with pytest.raises(UnreadableFileError, match="4 columns without names"):
        load(made.write(tmp_path, "a.dat", text), wavelength="CuKa")


def test_json_lists_are_read_and_nan_in_them_is_refused(tmp_path, made):
    content = {"two_theta": list(made.ANGLES), "intensity": list(made.COUNTS)}
    content["source"] = {"wavelength": 0.7093}
    pattern = load(made.write(tmp_path, "a.json", json.dumps(content)))
    same(pattern, made)
    assert pattern.radiation.primary_angstrom == pytest.approx(0.7093, abs=1e-4)
    content["intensity"][5] = float("nan")
    with pytest.raises(UnreadableFileError, match="not finite"):
        load(made.write(tmp_path, "b.json", json.dumps(content)), wavelength="CuKa")


def test_start_step_end_and_intensities_only(tmp_path, made):
    counts = [f"{y:8.0f}" for y in made.COUNTS]
    rows = ["".join(counts[i : i + 10]) for i in range(0, len(counts), 10)]
    text = "\n".join([f"{made.ANGLES[0]} 0.02 {made.ANGLES[-1]} quartz", *rows, ""])
    same(load(made.write(tmp_path, "a.dat", text), wavelength="CuKa"), made)
    with pytest.raises(UnreadableFileError, match="need 1501"):
        load(made.write(tmp_path, "b.dat", text[: len(text) // 2]), wavelength="CuKa")


def test_a_list_of_peaks_is_no_pattern(tmp_path, made):
    peaks = [(20.86, 16), (26.64, 100), (36.54, 9), (39.46, 8), (50.14, 13), (59.96, 9)]
    sticks = "".join(f"{x} {y}\n" for x, y in peaks)
    indexed = "2theta,I,h,k,l\n" + "".join(f"{x},{y},1,0,0\n" for x, y in peaks)
    for text in (sticks, indexed):
        with pytest.raises(UnreadableFileError, match="list of 6 peaks"):
            load(made.write(tmp_path, "peaks.csv", text), wavelength="CuKa")


@pytest.mark.parametrize(
    ("writer", "lines", "unit"),
    [
        ("xrdml", (1.540598, 1.544426), "counts"),
        ("ras", (1.788996, 1.792835), "counts"),
        ("rigaku_asc", (1.54059, 1.54441), "counts"),
        ("uxd", (1.5406, 1.54439), "counts"),
        ("udf", (1.5406, 1.54439), "counts"),
        ("powder_cif", (0.45827,), "counts"),
        ("stoe", (1.540598,), "counts"),
    ],
)
def test_instrument_formats_give_points_radiation_and_unit(tmp_path, made, writer, lines, unit):
    path = made.write(tmp_path, "scan.dat", getattr(made, writer)())  # the name must not matter
    pattern = load(path if writer != "powder_cif" else path.rename(tmp_path / "scan.cif"))
    same(pattern, made)
    assert pattern.radiation.wavelengths_angstrom == pytest.approx(lines, abs=1e-6)
    assert pattern.value_unit == unit


def test_stoe_with_a_longer_header_and_with_two_ranges(tmp_path, made):
    same(load(made.write(tmp_path, "long.raw", made.stoe(header_blocks=20))), made)
    with pytest.raises(UnreadableFileError, match="2 ranges"):
        load(made.write(tmp_path, "two.raw", made.stoe(ranges=2)))


def test_powder_cif_with_a_range_of_angles(tmp_path, made):
    same(load(made.write(tmp_path, "a.cif", made.powder_cif(listed=False))), made)
    cut = made.powder_cif(listed=False, points=len(made.ANGLES) + 1)
    with pytest.raises(UnreadableFileError, match="are declared"):
        load(made.write(tmp_path, "b.cif", cut))


@pytest.mark.parametrize(
    ("writer", "axis", "cause"),
    [
        ("xrdml", {"axis": "Omega", "moving": "Omega"}, "rocking curve"),
        ("xrdml", {"axis": "Phi"}, "Phi"),
        ("xrdml", {"axis": "Gonio", "moving": "Omega"}, "fixed position"),
        ("ras", {"axis": "Omega"}, "rocking curve"),
        ("ras", {"axis": "Chi"}, "tilt"),
        ("rigaku_asc", {"axis": "theta"}, "scan over theta"),
        ("uxd", {"drive": "THETA"}, "THETA"),
        ("uxd", {"drive": "PHI"}, "PHI"),
    ],
)
def test_scans_about_another_axis_are_refused_by_name(tmp_path, made, writer, axis, cause):
    path = made.write(tmp_path, "scan.dat", getattr(made, writer)(**axis))
    with pytest.raises(UnreadableFileError, match=cause) as refusal:
        load(path, wavelength="CuKa")
    assert str(refusal.value).startswith("scan.dat: ")


def test_a_map_of_many_short_scans_is_refused(tmp_path, made):
    one = made.ras().removeprefix("*RAS_DATA_START\n").removesuffix("*RAS_DATA_END\n")
    head, points = one.split("*RAS_INT_START\n")
    short = head + "*RAS_INT_START\n" + "\n".join(points.splitlines()[:100]) + "\n*RAS_INT_END\n"
    text = "*RAS_DATA_START\n" + 20 * short + "*RAS_DATA_END\n"
    with pytest.raises(UnreadableFileError, match="20 scans"):
        load(made.write(tmp_path, "map.ras", text))


def test_only_a_crystal_monochromator_removes_ka2(tmp_path, made):
    germanium = '<monochromator name="Johansson 1xGe(111)"><crystal>Ge</crystal></monochromator>'
    mirror = '<xRayMirror name="Bragg-Brentano HD"><crystal>BB/HD</crystal></xRayMirror>'
    for optics, lines in (("", 2), (mirror, 2), (germanium, 1)):
        path = made.write(tmp_path, "a.xrdml", made.xrdml(optics=optics))
        assert len(load(path).radiation.weights) == lines
    stripped = made.write(tmp_path, "a.xrdml", made.xrdml(ratio="0"))
    assert load(stripped).radiation.name == "CuKa1"


def test_attenuators_are_applied_once(tmp_path, made):
    """A shutter of 100 over the peak: whichever way it is stored, the pattern is the same."""
    factors = np.where(np.abs(made.ANGLES - 26.6) < 0.1, 100.0, 1.0)
    pattern = load(made.write(tmp_path, "a.ras", made.ras(factors=factors)))
    same(pattern, made)
    told = "<beamAttenuationFactors>" + " ".join(map(str, factors)) + "</beamAttenuationFactors>"
    text = made.xrdml(attenuation=told).replace("intensities", "counts")
    pattern = load(made.write(tmp_path, "a.xrdml", text))
    np.testing.assert_allclose(pattern.values, made.COUNTS * factors)
    pattern = load(made.write(tmp_path, "b.xrdml", made.xrdml(attenuation=told)))
    np.testing.assert_allclose(pattern.values, made.COUNTS)  # <intensities> hold them already


def test_counts_per_second_stay_counts_per_second(tmp_path, made):
    assert load(made.write(tmp_path, "a.xrdml", made.xrdml(unit="cps"))).value_unit == "counts/s"
    asc = made.rigaku_asc(unit="cps")
    assert load(made.write(tmp_path, "a.asc", asc)).value_unit == "counts/s"


def test_the_wavelength_given_by_hand_wins_and_is_told(tmp_path, made):
    path = made.write(tmp_path, "a.xrdml", made.xrdml())
    pattern = load(path, wavelength="MoKa")
    assert pattern.radiation.name == "MoKa"
    assert any("replaces CuKa" in warning for warning in pattern.provenance.warnings)
    assert load(path, wavelength="CuKa").provenance.warnings == ()
    with pytest.raises(ValueError, match="unknown radiation"):
        load(path, wavelength="Kryptonite")


@pytest.mark.parametrize("anode", ["Mo", "Co"])
def test_anode_and_wavelength_that_contradict_each_other_are_refused(tmp_path, made, anode):
    path = made.write(tmp_path, "a.xrdml", made.xrdml(anode=anode))
    with pytest.raises(UnreadableFileError, match="contradict"):
        load(path)


def test_descending_repeated_and_misplaced_points_are_repaired_and_told(tmp_path, made):
    rows = made.columns().splitlines(keepends=True)
    turned = load(made.write(tmp_path, "a.xy", "".join(rows[::-1])), wavelength="CuKa")
    same(turned, made)
    assert any("turned round" in warning for warning in turned.provenance.warnings)
    twice = load(made.write(tmp_path, "b.xy", "".join([*rows, rows[-1]])), wavelength="CuKa")
    same(twice, made)
    assert any("averaged" in warning for warning in twice.provenance.warnings)
    rows[700] = rows[700].replace("24.", "94.")
    astray = load(made.write(tmp_path, "c.xy", "".join(rows)), wavelength="CuKa")
    assert astray.values.size == made.ANGLES.size - 1
    assert any("out of order" in warning for warning in astray.provenance.warnings)


def test_ranges_join_where_levels_agree_and_are_refused_where_not(tmp_path, made):
    rows = made.columns().splitlines(keepends=True)
    joined = load(made.write(tmp_path, "a.xy", "".join(rows[:800] + rows[780:])), wavelength="CuKa")
    same(joined, made)
    scaled = [f"{row.split()[0]} {9 * float(row.split()[1]):.1f}\n" for row in rows[780:]]
    path = made.write(tmp_path, "b.xy", "".join(rows[:800] + scaled))
    with pytest.raises(UnreadableFileError, match="overlap"):
        load(path, wavelength="CuKa")


def test_text_that_is_no_pattern_is_refused(tmp_path, made):
    for name, content, cause in (
        ("a.txt", "a letter to a friend\n" * 50, "no known instrument format"),
        ("b.csv", "name,age\nA,3\nB,4\n", "no known instrument format"),
        ("c.xy", "".join(f"{1000 + i} {i}\n" for i in range(300)), "no 2theta in degrees"),
        ("d.bin", bytes(range(256)) * 50, "no known instrument format"),
        ("e.xlsx", b"PK\x03\x04" + bytes(500), "damaged|no known"),
    ):
        with pytest.raises(UnreadableFileError, match=cause):
            load(made.write(tmp_path, name, content), wavelength="CuKa")


PANALYTICAL_CSV = """[Measurement conditions]
Sample identification,quartz
Anode material,{anode}
K-Alpha1 wavelength,1.540598
K-Alpha2 wavelength,1.544426
Ratio K-Alpha2/K-Alpha1,0.5
Scan axis,{axis}
[Scan points]
Angle,TimePerStep,Intensity,ESD
"""


def panalytical_csv(made, anode="Cu", axis="Gonio"):
    rows = zip(made.ANGLES, made.COUNTS, strict=True)
    table = "".join(f"{x:.4f},10.16,{y:.0f},{np.sqrt(y):.4f}\n" for x, y in rows)
    return PANALYTICAL_CSV.format(anode=anode, axis=axis) + table


def test_a_csv_export_with_its_measurement_conditions(tmp_path, made):
    pattern = load(made.write(tmp_path, "a.csv", panalytical_csv(made)))
    same(pattern, made)
    assert pattern.radiation.wavelengths_angstrom == (1.540598, 1.544426)
    np.testing.assert_allclose(pattern.sigma, np.sqrt(made.COUNTS), atol=1e-4)
    assert pattern.provenance.metadata["anode"] == "Cu"
    for wrong, cause in (({"axis": "Omega"}, "Scan axis,Omega"), ({"anode": "Mo"}, "contradict")):
        with pytest.raises(UnreadableFileError, match=cause):
            load(made.write(tmp_path, "b.csv", panalytical_csv(made, **wrong)))


@pytest.mark.parametrize(
    ("written", "lines", "told"),
    [
        ("1.5406", 2, True),  # one number for a tube: both of its lines, and it is said
        ("1.5418", 2, True),  # the mean of both
        ("1.54184", 2, True),
        ("0.7093", 2, True),
        ("1.23984", 1, False),  # a synchrotron
        ("1.3922", 1, False),  # K-beta
    ],
)
def test_one_wavelength_in_a_comment(tmp_path, made, written, lines, told):
    pattern = load(made.write(tmp_path, "a.xy", f"# wavelength = {written}\n" + made.columns()))
    assert len(pattern.radiation.weights) == lines
    assert any("both lines" in w for w in pattern.provenance.warnings) == told
    assert pattern.radiation.mean_angstrom == pytest.approx(float(written), abs=2e-3)


@pytest.mark.parametrize(("kind", "lines"), [("'Cu K\\a~1~'", 1), ("'Cu K\\a'", 2)])
def test_the_line_that_a_cif_names(tmp_path, made, kind, lines):
    text = made.powder_cif().replace("0.45827", f"1.54059\n_diffrn_radiation_type {kind}")
    assert len(load(made.write(tmp_path, "a.cif", text)).radiation.weights) == lines


def test_wavelength_in_the_comments_of_a_beamline_file(tmp_path) -> None:
    """Beamline 11-BM writes its calibrated wavelength above the data."""
    angles = np.arange(500.0, 3000.0, 1.0)  # centidegrees
    rows = [f"{a:10.1f} {100 + 50 * (i % 7):10.2f} {10.0:8.2f}" for i, a in enumerate(angles)]
    head = [
        "sample".ljust(80),
        "# Calibrated wavelength = 0.413909".ljust(80),
        f"BANK 1 {len(rows)} {len(rows)} CONS 500.00 1.00 0 0 FXYE".ljust(80),
    ]
    path = tmp_path / "beamline.fxye"
    path.write_text("\n".join(head + [row.ljust(80) for row in rows]) + "\n")
    measurement = load(path)
    assert measurement.radiation is not None
    assert measurement.radiation.wavelengths_angstrom == (0.413909,)
