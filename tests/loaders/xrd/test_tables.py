"""Tables: the abscissa and the numbers are what the header says, or the file is refused.

Each input is one pattern written in another way; what comes back is that pattern.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.record import Calibration, UnreadableFileError
from xtalfuse.loaders.registry import read
from xtalfuse.physics.units import radiation

CU = radiation("CuKa").primary_angstrom
EVERY = 10  # of the points of `made`: enough for what is tested here


@pytest.fixture
def points(made):
    return made.ANGLES[::EVERY], made.COUNTS[::EVERY]


def load(path, wavelength="CuKa"):
    return read(path, ReadOptions(wavelength=wavelength))


def written(x, y, header="", row="{x:.7g}\t{y:g}", name="scan.xy"):
    def write(folder):
        lines = [row.format(x=a, y=b) for a, b in zip(x, y, strict=True)]
        path = folder / name
        path.write_text("\n".join([*([header] if header else []), *lines, ""]), "utf-8")
        return path

    return write


ABSCISSAE = {
    "# q(1/A) I": lambda t: q_of(t),
    "# q (nm^-1)   Intensity": lambda t: 10.0 * q_of(t),
    "q_nm^-1\tI": lambda t: 10.0 * q_of(t),
    "q_A^-1\tI": lambda t: q_of(t),
    "Q [\u00c5\u207b\u00b9]\tCounts": lambda t: q_of(t),
    "Momentum transfer (1/pm)\tI": lambda t: 0.01 * q_of(t),
    "# The X unit is: q (1/nm)": lambda t: 10.0 * q_of(t),
    "# d(A) I": lambda t: 2.0 * np.pi / q_of(t),
    "d-spacing [nm]\tCounts": lambda t: 0.2 * np.pi / q_of(t),
    "1/d (1/nm)\tCounts": lambda t: 10.0 * q_of(t) / (2.0 * np.pi),
    "s (nm-1)\tI": lambda t: 10.0 * q_of(t) / (2.0 * np.pi),
    "sin(theta)/lambda (1/A)\tI": lambda t: q_of(t) / (4.0 * np.pi),
    "# 2theta(rad) intensity": np.radians,
    "2th_rad\tI": np.radians,
    "2Theta\tIntensity\nrad\tcps": np.radians,
    "two_theta (mrad)\tI": lambda t: 1e3 * np.radians(t),
    "2-Theta (centidegrees)\tI": lambda t: 100.0 * t,
    "2Theta (Coupled TwoTheta/Theta) WL=1.54060\tPSD": lambda t: t,
    "# The X unit is: Degrees": lambda t: t,
}


def q_of(two_theta):
    return 4.0 * np.pi * np.sin(np.radians(two_theta) / 2.0) / CU


@pytest.mark.parametrize("header", ABSCISSAE)
def test_an_abscissa_is_converted_from_the_unit_over_it(tmp_path, points, header):
    angles, counts = points
    pattern = load(written(ABSCISSAE[header](angles), counts, header)(tmp_path))
    order = 1 if pattern.values[0] == counts[0] else -1
    np.testing.assert_allclose(pattern.axis("two_theta"), angles, atol=2e-3)
    np.testing.assert_array_equal(pattern.values[::order], counts)


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ("theta\tintensity", "may be theta or"),
        ("q\tI", "has no unit"),
        ("d-spacing\tI", "has no unit"),
        ("chi_deg\tI", "is not 2theta"),
        ("r_mm\tI", "is not 2theta"),
        ("d*2_A^-2\tI", "is not 2theta, q or d itself"),
        ("log10(q.nm)\tI", "is not 2theta, q or d itself"),
        ("Azimuthal angle (deg)\tI", "is not 2theta"),
        ("# The X unit is: Time-of-flight", "neutron|flight"),
        ("TOF (\u00b5s)\tI", "neutron|flight"),
        ("# D2B neutron, wavelength 1.594", "neutron"),
        ("Wavelength (A)\tI", "is not 2theta"),
    ],
)
def test_what_is_no_angle_is_never_taken_for_one(tmp_path, points, header, cause):
    with pytest.raises(UnreadableFileError, match=cause):
        load(written(*points, header, name="scan.csv")(tmp_path))


def test_a_specimen_that_saw_neutrons_is_no_neutron_pattern(tmp_path, points):
    header = "# neutron irradiated steel, X-ray pattern"
    assert load(written(*points, header)(tmp_path)).values.size == points[0].size


@pytest.mark.parametrize("kind", ["q", "d"])
def test_columns_without_names_that_step_like_q_are_refused(tmp_path, points, kind):
    q = q_of(points[0])
    column = {"q": q, "d": 2.0 * np.pi / q}[kind]
    with pytest.raises(UnreadableFileError, match=f"those of {kind}.*# {kind} \\(1?/?angstrom"):
        load(written(column, points[1])(tmp_path))


def test_q_needs_no_wavelength_and_says_that_its_angles_are_nominal(tmp_path, points):
    q = np.linspace(0.7, 3.0, points[1].size)
    pattern = load(written(q, points[1], "q (1/A)\tI")(tmp_path), None)
    assert pattern.radiation.nominal
    assert pattern.calibration is Calibration.ASSUMED
    assert any("nominal" in warning for warning in pattern.provenance.warnings)
    sine = np.sin(np.radians(pattern.axis("two_theta") / 2.0))
    np.testing.assert_allclose(
        4.0 * np.pi * sine / pattern.radiation.primary_angstrom, q, rtol=1e-6
    )
    stepped = load(written(q_of(points[0]), points[1], "q (1/A)\tI")(tmp_path), None)
    assert stepped.radiation.primary_angstrom == pytest.approx(CU, rel=1e-3)
    with pytest.raises(UnreadableFileError, match="reaches"):
        load(written(q, points[1], "q (1/A)\tI")(tmp_path), "4.9")


def test_an_end_before_any_line_is_said(tmp_path, points):
    pattern = load(written(np.radians(points[0]), points[1])(tmp_path))
    assert any("q or in radians" in warning for warning in pattern.provenance.warnings)


def grouped(sign, decimal="."):
    """Points of a pattern, written with a sign of thousands and a decimal sign."""

    def row(x, y):
        return f"{x:.3f}".replace(".", decimal), f"{y:,.0f}".replace(",", sign)

    return row


SPELLINGS = {
    "decimal comma, dot of thousands": ("\t", grouped(".", ",")),
    "comma of thousands": ("\t", grouped(",")),
    "semicolon, apostrophe": (";", grouped("'")),
    "narrow space of thousands": (";", grouped("\u202f", ",")),
    "quoted comma of thousands": (",", lambda x, y: (f"{x:.3f}", f'"{y:,.0f}"')),
    "quoted decimal comma": (",", lambda x, y: (f'"{x:.3f}"'.replace(".", ","), f'"{y:.0f}"')),
    "decimal comma between commas": (",", lambda x, y: (f"{x:.2f}".replace(".", ","), f"{y:.0f}")),
    "exponents of Fortran": (" ", lambda x, y: (f"{x:.6e}".replace("e", "D"), f"{y:.3E}")),
    "dash for minus": ("\t", lambda x, y: (f"{x:.2f}\u00a0", f"{y:.0f}".replace("-", "\u2212"))),
}


@pytest.mark.parametrize("how", SPELLINGS)
def test_a_number_is_read_whole(tmp_path, points, how):
    separator, row = SPELLINGS[how]
    angles, counts = points
    counts = counts - 1000.0 if how == "dash for minus" else 10.0 * counts
    counts = np.where(np.arange(counts.size) == 7, 66.0, counts)
    text = "".join(separator.join(row(*p)) + "\n" for p in zip(angles, counts, strict=True))
    (tmp_path / "a.csv").write_text(text, "utf-8")
    pattern = load(tmp_path / "a.csv")
    np.testing.assert_allclose(pattern.axis("two_theta"), angles, atol=1e-6)
    np.testing.assert_allclose(pattern.values, counts, rtol=1e-3)


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        (lambda x, y: f"{x:.3f}\t1,{y:03.0f}", "can be"),  # each number: 1,234
        (lambda x, y: f"{x:.2f},{y:.1f}".replace(".", ","), "part the fields"),
        (lambda x, y: f"{x:.2f}".replace(".", ",") + f"\t{y:.1f}", "one decimal sign"),
        (lambda x, y: f"{x:.2f},{y:,.0f}", "more than the usual"),
        (lambda x, y: f"{x:.2f}\t{y:.0f} cts", None),
    ],
)
def test_two_ways_to_read_a_number_are_one_too_many(tmp_path, points, row, cause):
    angles, counts = points
    text = "".join(row(a, c) + "\n" for a, c in zip(angles, counts, strict=True))
    (tmp_path / "a.txt").write_text(text, "utf-8")
    if cause is None:
        np.testing.assert_array_equal(load(tmp_path / "a.txt").values, counts)
        return
    with pytest.raises(UnreadableFileError, match=cause):
        load(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("log10(Counts)", np.log10),
        ("Log (Counts)", np.log10),
        ("ln(I)", np.log),
        ("Sqrt(Counts)", np.sqrt),
        ("Counts^0.5", np.sqrt),
        ("\u221aIntensity", np.sqrt),
    ],
)
def test_logarithms_and_roots_are_undone_and_told(tmp_path, points, name, column):
    angles, counts = points
    header = f"2Theta,{name}"
    pattern = load(written(angles, column(counts), header, "{x:g},{y:.6f}")(tmp_path))
    np.testing.assert_allclose(pattern.values, counts, rtol=1e-4)
    assert any("undone" in warning for warning in pattern.provenance.warnings)


@pytest.mark.parametrize("name", ["log(I/I0 + 1)", "1/sqrt(I)", "log2(I)", "log(Intensity)"])
def test_other_functions_of_the_intensity_are_refused(tmp_path, points, name):
    y = np.log10(points[1] * 1.7)
    with pytest.raises(UnreadableFileError, match="intensit"):
        load(written(points[0], y, f"2Theta,{name}", "{x:g},{y:.6f}")(tmp_path))


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        ("2theta,Ycalc,Yobs", "xcy"),
        ("No,TimePerStep,2theta,Intensity", "ncxy"),
        ("2theta,Counting time,Counts", "xcy"),
        ("2theta,Background,Intensity ferrite", "xcy"),
        ("d (nm),2theta,Signal,Difference", "dxyc"),
        ("2theta,Integration time (s),I", "xcy"),
    ],
)
def test_the_column_that_was_measured_is_read(tmp_path, points, names, columns):
    x, y = points
    known = {"x": x, "y": y, "c": np.full_like(x, 3.5), "n": np.arange(x.size)}
    known["d"] = 0.2 * np.pi / q_of(x)
    rows = zip(*(known[c] for c in columns), strict=True)
    text = names + "\n" + "".join(",".join(f"{v:.9g}" for v in row) + "\n" for row in rows)
    (tmp_path / "a.csv").write_text(text, "utf-8")
    pattern = load(tmp_path / "a.csv", None if "d" in columns else "CuKa")
    np.testing.assert_allclose(pattern.axis("two_theta"), x, atol=1e-6)
    np.testing.assert_array_equal(pattern.values, y)
    assert pattern.radiation.primary_angstrom == pytest.approx(CU, rel=1e-5)


def test_variances_scaled_counts_and_calculated_columns(tmp_path, points):
    x, y = points
    row = "{x:g},{y:g},{y:g}"
    pattern = load(written(x, y, "2theta,counts,variance", row)(tmp_path))
    np.testing.assert_allclose(pattern.sigma, np.sqrt(y))
    scaled = load(written(x, y, "2theta,Counts (x1000)", "{x:g},{y:g}")(tmp_path))
    assert scaled.value_unit == "arbitrary"
    rate = load(written(x, y, "2theta,intensity_cps", "{x:g},{y:g}")(tmp_path))
    assert rate.value_unit == "counts/s"
    with pytest.raises(UnreadableFileError, match="no column of measured"):
        load(written(x, y, "2theta,Icalc,bkg", row)(tmp_path))


@pytest.mark.parametrize(
    ("stated", "used"),
    [
        ("Wavelength: 4.133000e-11 m", 0.4133),
        ("wavelength (nm): 0.04133", 0.4133),
        ("lambda = 41.33 pm", 0.4133),
        ("Wavelength: 0.15406", None),
        ("Wavelength: 0.4133 x 10^-10 m", None),
    ],
)
def test_the_wavelength_is_read_with_its_unit_or_asked_for(tmp_path, points, stated, used):
    path = written(*points, f"# {stated}\n2th_deg\tI")(tmp_path)
    if used:
        assert load(path, None).radiation.primary_angstrom == pytest.approx(used)
        return
    with pytest.raises(UnreadableFileError, match="is not clear; pass --wavelength"):
        load(path, None)
    assert load(path, "CuKa").radiation.name == "CuKa"


@pytest.mark.parametrize("row", ["{x:.3f} {y:.0f}", "{x:.6e} {y:.6e}", "{x:.2f},{y:.1f}"])
def test_an_end_without_a_line_end_is_a_whole_point_unless_digits_are_lost(tmp_path, points, row):
    x, y = points
    path = written(x, y + 200.0, row=row)(tmp_path)
    path.write_text(path.read_text().rstrip("\n"))
    whole = load(path)
    assert whole.values.size == x.size
    assert whole.provenance.warnings == ()
    path.write_text(path.read_text()[:-1])
    cut = load(path)
    assert cut.values.size == x.size - 1
    assert any("cut" in warning for warning in cut.provenance.warnings)


@pytest.mark.parametrize(
    ("label", "column"),
    [
        ("2-Theta Angle (Degrees)", lambda t: t),
        ("Q (1/nm)", lambda t: 10.0 * q_of(t)),
        ("q_A^-1", q_of),
        ("2th_rad", np.radians),
    ],
)
def test_the_second_line_of_a_chi_file_says_its_abscissa(tmp_path, points, label, column):
    x, y = points
    rows = "".join(f"  {a:.7e}  {b:.7e}\n" for a, b in zip(column(x), y, strict=True))
    path = tmp_path / "a.chi"
    path.write_text(f"image.tif\n{label}\nIntensity\n  {x.size}\n{rows}")
    pattern = load(path)
    assert pattern.provenance.reader == "chi"
    np.testing.assert_allclose(pattern.axis("two_theta"), x, atol=1e-4)
    np.testing.assert_array_equal(pattern.values, y)
    path.write_text(f"image.tif\n{label}\nIntensity\n  {x.size + 1}\n{rows}")
    with pytest.raises(UnreadableFileError, match="are declared"):
        load(path)
    path.write_text(f"image.tif\nAzimuth (Degrees)\nIntensity\n  {x.size}\n{rows}")
    with pytest.raises(UnreadableFileError, match="is not 2theta"):
        load(path)


def test_units_of_the_lists_of_a_json_object(tmp_path, points):
    x, y = points
    for content in (
        {"q": list(10.0 * q_of(x)), "q_unit": "1/nm", "intensity": list(y)},
        {"two_theta": list(np.radians(x)), "intensity": list(y), "units": {"two_theta": "rad"}},
    ):
        path = tmp_path / "a.json"
        path.write_text(json.dumps(content))
        np.testing.assert_allclose(load(path).axis("two_theta"), x, atol=1e-6)
