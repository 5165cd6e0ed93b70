"""What instrument makers' files say of each scan: rows, counting times, ranges, radiation.

Guarded here, since rietx 1.10.0 cuts the rows of a .uxd and .ras to the narrowest, leaves
counts of unlike counting times as they are, does not look at the status of an .xrdml scan nor
at the line that it intends, and hands on one scan of several.
"""

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
    HIGH,
    LISTED,
    LOW,
    SLOW,
    STEP,
    brml,
    cif,
    counts,
    of_xrdml,
    ras,
    ras_block,
    reading,
    rigaku_asc,
    said,
    uxd,
    uxd_range,
    words,
    xrdml_scan,
)
from xtalfuse.loaders import UnreadableFileError
from xtalfuse.loaders.reader import ReadOptions


@pytest.fixture
def pattern(tmp_path):
    return partial(reading, tmp_path)


# ---- rows and columns

PAIRS = np.column_stack([ANGLES, ALL]).ravel()


@pytest.mark.parametrize(
    "text",
    [
        uxd(uxd_range(width=8)),  # 801 values: one in the last row
        uxd(uxd_range(width=10)),
        uxd(uxd_range(width=7)),
        uxd(uxd_range(width=1)),
        uxd(uxd_range(values=PAIRS, marker="_2THETACOUNTS", width=2)),
        uxd(uxd_range(values=PAIRS, marker="_2THETACOUNTS", width=6)),  # pairs side by side
    ],
)
def test_no_value_of_a_uxd_is_cut_away(pattern, text):
    found = pattern("a.uxd", text)
    np.testing.assert_allclose(found.axis("two_theta"), ANGLES, atol=1e-6)
    np.testing.assert_array_equal(found.values, ALL)
    assert found.provenance.warnings == ()


SHORT = [words(ALL[i : i + 8]) for i in range(0, ALL.size, 8)]
POINTS = [f"{x:.4f} {y:g} 1" for x, y in zip(ANGLES, ALL, strict=True)]


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.uxd", uxd(uxd_range(rows=[*SHORT[:9], SHORT[9][:20], *SHORT[10:]])), "row 10"),
        ("a.uxd", uxd(uxd_range(extra="_STEPCOUNT=3501\n")), "801 points where 3501"),
        ("a.uxd", uxd(uxd_range(values=PAIRS[:-1], marker="_2THETACOUNTS", width=2)), "cut"),
        ("a.uxd", uxd(uxd_range(extra="_2THETA=30\n")), "where does it begin"),
        ("a.brml", brml([f"1,{x},9" for x in ANGLES[:200]] + ["1,30"]), "row 201"),
        ("a.brml", brml([f"1,{x},9" for x in ANGLES[:200]] + ["1,31,9,2"]), "row 201"),
        ("a.ras", ras(ras_block(rows=[*POINTS[:40], POINTS[40][:-2], *POINTS[41:]])), "row 41"),
        ("a.ras", ras(ras_block(extra='*MEAS_DATA_COUNT "900.0"\n')), "801 points where 900"),
        ("a.gsas", GSAS.replace("20 2 ", "30 3 "), "2 records where 3"),
        ("a.gsas", GSAS.replace("20 2 ", "10 2 "), "10 points are declared"),
        ("a.cif", cif(LISTED, CU_CIF + "_pd_meas_number_of_points 900\n"), "801 points where 900"),
    ],
)
def test_rows_that_are_not_those_declared_are_refused(pattern, name, content, cause):
    with pytest.raises(UnreadableFileError, match=cause):
        pattern(name, content, wavelength="CuKa")


def test_a_point_count_with_decimals_is_a_count(pattern):
    found = pattern("a.ras", ras(ras_block(extra='*MEAS_DATA_COUNT "801.0000000"\n')))
    np.testing.assert_array_equal(found.values, ALL)


def test_a_header_with_another_step_than_its_points_is_told(pattern):
    block = ras_block(extra='*MEAS_SCAN_START "20"\n').replace(f'STEP "{STEP}"', 'STEP "0.5"')
    assert "the points were read" in said(pattern("a.ras", ras(block)))


def test_a_step_of_the_wrong_sign_is_told(pattern):
    text = uxd(uxd_range()).replace(f"_STEPSIZE={STEP}", f"_STEPSIZE=-{STEP}")
    assert "wrong sign" in said(pattern("a.uxd", text))


# ---- counting times

VARIED = counts(SLOW)
TIMED = np.column_stack([VARIED, SLOW]).ravel()
TRIPLES = np.column_stack([ANGLES, VARIED, SLOW]).ravel()
FACTORS = np.where(np.abs(ANGLES - 35.0) < 0.3, 10.0, 1.0)
SHUTTER = f"<beamAttenuationFactors>{words(FACTORS)}</beamAttenuationFactors>"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xrdml", of_xrdml(xrdml_scan(values=VARIED, times=words(SLOW)))),
        ("a.xrdml", of_xrdml(xrdml_scan(values=VARIED, times=words(1e3 * SLOW), time_unit="ms"))),
        ("a.xrdml", of_xrdml(xrdml_scan(
            values=np.round(VARIED / FACTORS), times=words(SLOW), extra=SHUTTER, name="counts"))),
        ("a.brml", brml((EVERY, VARIED, SLOW))),
        ("a.brml", brml([f"{t:g},{x},{y:g}" for t, x, y in
                         zip(SLOW[::-1], ANGLES[::-1], VARIED[::-1], strict=True)])),
        ("a.uxd", uxd(uxd_range(values=TIMED, marker="_COUNTSTIME"))),
        ("a.uxd", uxd(uxd_range(values=TRIPLES, marker="_2THETACOUNTSTIME", width=3))),
        ("a.cif", cif({"_pd_meas_2theta_scan": ANGLES, "_pd_meas_counts_total": VARIED.astype(int),
                       "_pd_meas_step_count_time": SLOW}, CU_CIF)),
        ("a.xrdml", of_xrdml(xrdml_scan(LOW, VARIED[LOW]), xrdml_scan(HIGH, VARIED[HIGH], 4))),
        ("a.brml", brml((LOW, VARIED[LOW], 1.0), (HIGH, VARIED[HIGH], 4.0))),
        ("a.uxd", uxd(uxd_range(LOW, VARIED[LOW]), uxd_range(HIGH, VARIED[HIGH], time=4))),
        ("a.ras", ras(ras_block(LOW, VARIED[LOW]), ras_block(HIGH, VARIED[HIGH], speed=0.75))),
        ("a.asc", rigaku_asc((LOW, VARIED[LOW], 3), (HIGH, VARIED[HIGH], 0.75))),
    ],
)  # fmt: skip
def test_counts_are_divided_by_times_that_change(pattern, name, content):
    """1 s below 40 degrees and 4 s above, written as each format can: one pattern."""
    found = pattern(name, content)
    np.testing.assert_allclose(found.axis("two_theta"), ANGLES, atol=1e-6)
    assert found.value_unit == "counts/s"
    error = 10.0 if "beamAtt" in str(content) else 1e-3  # whole counts behind the shutter
    np.testing.assert_allclose(found.values, VARIED / SLOW, atol=error)
    if error < 1:
        np.testing.assert_allclose(found.sigma, np.sqrt(VARIED) / SLOW, rtol=1e-3)
    assert "count" in said(found)


def test_rates_are_not_divided_again_and_equal_times_change_nothing(pattern):
    rates = np.round(VARIED / SLOW, 2)
    text = of_xrdml(xrdml_scan(values=rates, times=words(SLOW), unit="cps"))
    np.testing.assert_allclose(pattern("a.xrdml", text).values, rates)
    same = of_xrdml(xrdml_scan(times=words(np.full(ANGLES.size, 40.0))))
    found = pattern("a.xrdml", same)
    np.testing.assert_array_equal(found.values, ALL)
    assert (found.value_unit, found.provenance.warnings) == ("counts", ())


def test_counts_are_divided_by_a_monitor_that_changes(pattern):
    flux = np.linspace(1.0, 0.5, ANGLES.size)  # a decaying ring
    columns = {
        "_pd_meas_2theta_scan": ANGLES,
        "_pd_meas_counts_total": np.round(1e3 * flux).astype(int),
        "_pd_meas_counts_monitor": np.round(1e6 * flux).astype(int),
    }
    values = pattern("a.cif", cif(columns, CU_CIF)).values
    assert values.max() / values.min() < 1.002


@pytest.mark.parametrize("times", [words(SLOW[1:]), words(np.where(HIGH, 0.0, 1.0))])
def test_times_that_are_not_those_of_the_points_are_refused(pattern, times):
    with pytest.raises(UnreadableFileError, match="counting times"):
        pattern("a.xrdml", of_xrdml(xrdml_scan(times=times)))


# ---- which scan, which range

WARM = counts()[::-1]  # the peaks elsewhere
SECOND = "<xrdMeasurement><usedWavelength><kAlpha1>0.70931715</kAlpha1></usedWavelength>"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xrdml", of_xrdml(xrdml_scan(), xrdml_scan(values=AGAIN))),
        ("a.brml", brml((EVERY, ALL, 1.0), (EVERY, AGAIN, 1.0))),
        ("a.uxd", uxd(uxd_range(), uxd_range(values=AGAIN))),
        ("a.ras", ras(ras_block(), ras_block(values=AGAIN))),
        ("a.asc", rigaku_asc((EVERY, ALL, 3), (EVERY, AGAIN, 3))),
    ],
)
def test_repeats_are_added_and_one_can_be_chosen(pattern, name, content):
    both = pattern(name, content)
    np.testing.assert_array_equal(both.values, ALL + AGAIN)
    assert both.value_unit == "counts"
    assert "added up" in said(both)
    np.testing.assert_array_equal(pattern(name, content, scan=2).values, AGAIN)
    with pytest.raises(UnreadableFileError, match="no scan 3, it holds 2"):
        pattern(name, content, scan=3)


@pytest.mark.parametrize(
    ("content", "values", "told"),
    [
        # the specimen changed: a series is not added up
        (of_xrdml(xrdml_scan(), xrdml_scan(values=WARM)), ALL, "a series"),
        # an alignment scan before the pattern
        (of_xrdml(xrdml_scan(LOW, axis="Omega"), xrdml_scan()), ALL, "scan 1"),
        # another tube, in a measurement of its own
        (of_xrdml(xrdml_scan(), f"</xrdMeasurement>{SECOND}", xrdml_scan(HIGH)), ALL, "radiation"),
        # counted otherwise in the stretch that both cover
        (of_xrdml(xrdml_scan(), xrdml_scan(HIGH, 3 * ALL[HIGH])), ALL, "levels"),
        # a detector scan beside a coupled one
        (of_xrdml(xrdml_scan(), xrdml_scan(HIGH, axis="2Theta")), ALL, "another axis"),
    ],
)
def test_what_is_no_part_of_the_pattern_is_left_out_and_told(pattern, content, values, told):
    found = pattern("a.xrdml", content)
    np.testing.assert_array_equal(found.values, values)
    assert told in said(found)


def test_a_part_measured_again_more_slowly_joins(pattern):
    twice = counts(4.0, seed=3)[HIGH]
    found = pattern("a.xrdml", of_xrdml(xrdml_scan(), xrdml_scan(HIGH, twice, 4)))
    np.testing.assert_allclose(found.values[LOW], ALL[LOW])
    np.testing.assert_allclose(found.values[HIGH], 0.5 * (ALL[HIGH] + twice / 4.0))


def test_ranges_without_times_join_where_their_levels_agree(pattern):
    text = uxd(uxd_range(LOW, ALL[LOW]), uxd_range(HIGH, 5 * ALL[HIGH])).replace("_STEPTIME", "_X")
    assert "levels" in said(pattern("a.uxd", text))
    text = uxd(uxd_range(LOW, ALL[LOW]), uxd_range(HIGH, ALL[HIGH])).replace("_STEPTIME", "_X")
    np.testing.assert_array_equal(pattern("a.uxd", text).values, ALL)


def test_a_scan_of_a_map_can_be_chosen(pattern):
    text = of_xrdml(*(xrdml_scan(values=counts(seed=i)) for i in range(12)))
    with pytest.raises(UnreadableFileError, match=r"12 scans.*--scan N"):
        pattern("a.xrdml", text)
    np.testing.assert_array_equal(pattern("a.xrdml", text, scan=6).values, counts(seed=5))
    with pytest.raises(ValueError, match="numbered from 1"):
        ReadOptions(scan=0)


def test_a_format_of_one_scan_takes_no_other(pattern):
    with pytest.raises(UnreadableFileError, match="leave --scan away"):
        pattern("a.xy", "".join(f"{x} {y}\n" for x, y in zip(ANGLES, ALL, strict=True)), scan=2)


def test_a_detector_that_is_not_coupled_to_the_specimen_is_refused(pattern):
    """The end of one axis of a coupled scan was changed: its angles cannot be trusted."""
    omega = (
        '<positions axis="Omega"><startPosition>10</startPosition><endPosition>{}</endPosition>'
        "</positions>"
    )
    text = of_xrdml(xrdml_scan(extra=omega.format(30)))
    np.testing.assert_array_equal(pattern("a.xrdml", text).values, ALL)
    with pytest.raises(UnreadableFileError, match="one of them is wrong"):
        pattern("a.xrdml", of_xrdml(xrdml_scan(extra=omega.format(45))))


@pytest.mark.parametrize("status", ["Aborted", "Not finished"])
def test_a_scan_that_was_not_finished_is_told(pattern, status):
    assert "not finished" in said(pattern("a.xrdml", of_xrdml(xrdml_scan(status=status))))
