"""What instrument makers' files say of each scan: rows, counting times, ranges, radiation.

Guarded here, since rietx 1.10.0 cuts the rows of a .uxd and .ras to the narrowest, leaves
counts of unlike counting times as they are, does not look at the status of an .xrdml scan nor
at the line that it intends, and hands on one scan of several.
"""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError
from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.registry import read
from xtalfuse.physics.units import ANODES

STEP = 0.05
ANGLES = np.round(np.arange(20.0, 60.001, STEP), 4)
RATES = 60.0 + 4000.0 * np.exp(-(((ANGLES - 35.0) / 0.2) ** 2))  # per second
RATES += 2000.0 * np.exp(-(((ANGLES - 50.0) / 0.2) ** 2))
LOW, HIGH = ANGLES < 40.01, ANGLES > 40.01
SLOW = np.where(HIGH, 4.0, 1.0)  # seconds
EVERY = np.ones(ANGLES.size, bool)


def counts(times=1.0, seed=1):
    return np.random.default_rng(seed).poisson(RATES * times).astype(float)


def words(values, end=" "):
    return end.join(f"{v:g}" for v in values)


def of_xrdml(*scans, used='intended="K-Alpha 1"', anode="Cu"):
    beam = f"<incidentBeamPath><xRayTube><anodeMaterial>{anode}</anodeMaterial></xRayTube>"
    waves = "<kAlpha1 unit='Angstrom'>1.540598</kAlpha1><kAlpha2>1.544426</kAlpha2>"
    waves += "<kBeta unit='Angstrom'>1.39225</kBeta>"
    return (
        "<xrdMeasurements><xrdMeasurement><usedWavelength "
        f"{used}>{waves}</usedWavelength>{beam}</incidentBeamPath>{''.join(scans)}"
        "</xrdMeasurement></xrdMeasurements>"
    )


def xrdml_scan(inside=EVERY, values=None, times="1", **more):
    values = counts()[inside] if values is None else values
    kind = "commonCountingTime" if " " not in str(times) else "countingTimes"
    first, last = ANGLES[inside][[0, -1]] * more.get("scale", 1.0)
    name = more.get("name", "intensities")
    return (
        f'<scan scanAxis="{more.get("axis", "Gonio")}" status="{more.get("status", "Completed")}">'
        f'<dataPoints><positions axis="2Theta" unit="{more.get("angle", "deg")}"><startPosition>'
        f"{first}</startPosition><endPosition>{last}</endPosition></positions>"
        f'<{kind} unit="{more.get("time_unit", "seconds")}">{times}</{kind}>{more.get("extra", "")}'
        f'<{name} unit="{more.get("unit", "counts")}">{words(values)}</{name}></dataPoints></scan>'
    )


def zipped(**members):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return made.getvalue()


def brml(*scans, used=""):
    """Each scan: (inside, counts, times), or the rows themselves."""
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    views = (
        '<RawDataView xsi:type="FixedRawDataView" Start="0" Length="1" LogicName="MeasuredTime" '
        'Unit="s"/><RawDataView xsi:type="VaryingRawDataView" Start="1" Length="1">'
        '<FieldDefinitions AxisId="TwoTheta"/></RawDataView><RawDataView '
        'xsi:type="RecordedRawDataView" Start="2" Length="1"><Unit Base="Counts"/></RawDataView>'
    )
    members, names = {}, []
    for i, scan in enumerate(scans):
        rows = scan
        if isinstance(scan, tuple):
            inside, values, times = scan
            times = np.broadcast_to(times, values.shape)
            rows = [
                f"{t:g},{x:g},{y:g}" for t, x, y in zip(times, ANGLES[inside], values, strict=True)
            ]
        names.append(f"Experiment0/RawData{i}.xml")
        data = "".join(f"<Datum>{row}</Datum>" for row in rows)
        members[names[-1]] = (
            f'<RawData {xsi}><TubeMaterial>Cu</TubeMaterial>{used}<WaveLengthAlpha1 Unit="Å" '
            'Value="1.5406"/><WaveLengthAlpha2 Value="1.54439"/><WaveLengthBeta Value="1.39222"/>'
            f'<DataRoutes><DataRoute RouteFlag="Measured"><ScanInformation ScanName="LockedCoupled"'
            f"/>{data}<DataViews>{views}</DataViews></DataRoute></DataRoutes></RawData>"
        )
    listed = "".join(f"<string>{name}</string>" for name in names)
    manifest = (
        f"<DataContainer><RawDataReferenceList>{listed}</RawDataReferenceList></DataContainer>"
    )
    return zipped(**{"Experiment0/DataContainer.xml": manifest}, **members)


def uxd_range(inside=EVERY, values=None, **more):
    values = counts()[inside] if values is None else values
    width, marker = more.get("width", 8), more.get("marker", "_COUNTS")
    rows = [words(values[i : i + width]) for i in range(0, values.size, width)]
    first = ANGLES[inside][0]
    return (
        f"_DRIVE='{more.get('drive', 'COUPLED')}'\n_STEPTIME={more.get('time', 1)}\n_STEPSIZE="
        f"{STEP}\n{more.get('extra', '')}_START={first}\n{marker}\n"
        + "\n".join(more.get("rows", rows))
        + "\n"
    )


def uxd(*ranges):
    return "_FILEVERSION=1\n_ANODE='Cu'\n_WL1=1.540600\n_WL2=1.544390\n" + "".join(ranges)


def ras_block(inside=EVERY, values=None, **more):
    values = counts()[inside] if values is None else values
    rows = [f"{x:.4f} {y:g} 1" for x, y in zip(ANGLES[inside], values, strict=True)]
    return (
        '*RAS_HEADER_START\n*HW_XG_TARGET_NAME "Cu"\n*HW_XG_WAVE_LENGTH_ALPHA1 "1.540593"\n'
        '*HW_XG_WAVE_LENGTH_ALPHA2 "1.544414"\n*HW_XG_WAVE_LENGTH_BETA "1.392246"\n'
        f'*MEAS_SCAN_AXIS_X "{more.get("axis", "TwoThetaTheta")}"\n*MEAS_SCAN_UNIT_Y "counts"\n'
        f'*MEAS_SCAN_STEP "{STEP}"\n*MEAS_SCAN_SPEED "{more.get("speed", 3)}"\n'
        f'*MEAS_SCAN_SPEED_UNIT "deg/min"\n{more.get("extra", "")}*RAS_HEADER_END\n*RAS_INT_START\n'
        + "\n".join(more.get("rows", rows)) + "\n*RAS_INT_END\n"
    )  # fmt: skip


def ras(*blocks):
    return "*RAS_DATA_START\n" + "".join(blocks) + "*RAS_DATA_END\n"


def rigaku_asc(*groups):
    """Each group: (inside, counts, speed in degrees a minute)."""
    head = "*TYPE = Raw\n*CLASS = ASCII\n*WAVE_LENGTH1 = 1.54059\n*WAVE_LENGTH2 = 1.54441\n"
    head += "*SCAN_AXIS = 2theta/theta\n*YUNIT = counts\n"
    for inside, values, speed in groups:
        first, last = ANGLES[inside][[0, -1]]
        head += (
            f"*BEGIN\n*START = {first}\n*STOP = {last}\n*STEP = {STEP}\n*SPEED = {speed}\n"
            f"*SPEED_DIM = deg/min\n*COUNT = {values.size}\n{words(values, ', ')}\n*END\n"
        )
    return head + "*EOF\n"


def cif(columns, head=""):
    rows = "\n".join(" ".join(str(v) for v in row) for row in zip(*columns.values(), strict=True))
    return f"data_a\n{head}loop_\n" + "\n".join(columns) + f"\n{rows}\n"


CU_CIF = "_diffrn_radiation_wavelength 1.5406\n"
LISTED = {"_pd_meas_2theta_scan": ANGLES, "_pd_meas_counts_total": counts().astype(int)}


@pytest.fixture
def pattern(tmp_path):
    def reading(name, content, **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(path, ReadOptions(**options))

    return reading


def said(pattern):
    return "; ".join(pattern.provenance.warnings)


# ---- rows and columns

ALL = counts()
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
GSAS = "X-ray\nBANK 1 20 2 CONST 2000 5 0 0 STD\n" + 2 * ("     100     120" * 5 + "\n")


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

AGAIN = counts(seed=2)
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


@pytest.mark.parametrize("status", ["Aborted", "Not finished"])
def test_a_scan_that_was_not_finished_is_told(pattern, status):
    assert "not finished" in said(pattern("a.xrdml", of_xrdml(xrdml_scan(status=status))))


# ---- radiation, angles

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
