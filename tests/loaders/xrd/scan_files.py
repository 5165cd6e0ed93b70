"""Small files of several scans, as the programs of instrument makers write them."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.registry import read

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
ALL = counts()
AGAIN = counts(seed=2)
GSAS = "X-ray\nBANK 1 20 2 CONST 2000 5 0 0 STD\n" + 2 * ("     100     120" * 5 + "\n")


def said(pattern):
    """All warnings of a measurement."""
    return "; ".join(pattern.provenance.warnings)


def reading(folder, name, content, **options):
    """What is read from a file of this name and content, in this process."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(path, ReadOptions(**options))
