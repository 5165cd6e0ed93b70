"""Small instrument files written by the tests, as the instruments write them."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ANGLES = np.round(np.arange(10.0, 40.005, 0.02), 6)
COUNTS = (
    np.random.default_rng(3)
    .poisson(200 + 9000 * np.exp(-(((ANGLES - 26.6) / 0.08) ** 2)))
    .astype(float)
)


def columns(separator: str = " ", decimal: str = ".", end: str = "\n", third: bool = False) -> str:
    rows = [[f"{x:.4f}", f"{y:.1f}"] for x, y in zip(ANGLES, COUNTS, strict=True)]
    if third:
        rows = [[*row, f"{np.sqrt(y):.3f}"] for row, y in zip(rows, COUNTS, strict=True)]
    return "".join(separator.join(row).replace(".", decimal) + end for row in rows)


def xrdml(axis: str = "Gonio", moving: str = "2Theta", **more: str) -> str:
    """PANalytical: one scan; `moving` is the axis that steps, 2Theta stands still otherwise."""
    step = f"<startPosition>{ANGLES[0]}</startPosition><endPosition>{ANGLES[-1]}</endPosition>"
    still = "<commonPosition>26.6</commonPosition>"
    optics = more.get("optics", "")
    return f"""<?xml version="1.0"?>
<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.5">
<xrdMeasurement sampleMode="Transmission">
<usedWavelength intended="K-Alpha 1"><kAlpha1>1.5405980</kAlpha1><kAlpha2>1.5444260</kAlpha2>
<ratioKAlpha2KAlpha1>{more.get("ratio", "0.5")}</ratioKAlpha2KAlpha1></usedWavelength>
<incidentBeamPath><xRayTube><anodeMaterial>{more.get("anode", "Cu")}</anodeMaterial></xRayTube>
{optics}</incidentBeamPath>
<scan scanAxis="{axis}"><dataPoints>
<positions axis="2Theta">{step if moving == "2Theta" else still}</positions>
<positions axis="Omega">{step if moving == "Omega" else still}</positions>
<commonCountingTime>{more.get("time", "1.0")}</commonCountingTime>
{more.get("attenuation", "")}
<intensities unit="{more.get("unit", "counts")}">{" ".join(f"{y:g}" for y in COUNTS)}</intensities>
</dataPoints></scan></xrdMeasurement></xrdMeasurements>"""


def ras(
    axis: str = "TwoThetaTheta", factors: np.ndarray | None = None, unit: str = "counts"
) -> str:
    """Rigaku SmartLab text: angle, intensity, attenuator factor."""
    stored = COUNTS if factors is None else COUNTS / factors
    third = np.ones_like(COUNTS) if factors is None else factors
    rows = zip(ANGLES, stored, third, strict=True)
    return "\n".join(
        [
            "*RAS_DATA_START",
            "*RAS_HEADER_START",
            '*FILE_SAMPLE "quartz"',
            '*HW_XG_TARGET_NAME "Co"',
            '*HW_XG_WAVE_LENGTH_ALPHA1 "1.788996"',
            '*HW_XG_WAVE_LENGTH_ALPHA2 "1.792835"',
            f'*MEAS_SCAN_AXIS_X "{axis}"',
            f'*MEAS_SCAN_UNIT_Y "{unit}"',
            "*RAS_HEADER_END",
            "*RAS_INT_START",
            *(f"{x:.4f} {y:.6f} {f:.4f}" for x, y, f in rows),
            "*RAS_INT_END",
            "*RAS_DATA_END",
            "",
        ]
    )


def rigaku_asc(axis: str = "2theta/theta", unit: str = "counts") -> str:
    """Rigaku .asc: header, then one group of counts, four to a line."""
    values = [f"{y:g}" for y in COUNTS]
    lines = [", ".join(values[i : i + 4]) for i in range(0, len(values), 4)]
    return "\r\n".join(
        [
            "*TYPE\t\t=  Raw",
            "*CLASS\t\t=  ASCII CLASS",
            "*SAMPLE\t\t=  quartz",
            "*GROUP_COUNT\t=  1",
            "*WAVE_LENGTH1\t=  1.54059",
            "*WAVE_LENGTH2\t=  1.54441",
            f"*SCAN_AXIS\t=  {axis}",
            f"*SCAN_MODE\t=  {axis}",
            f"*YUNIT\t\t=  {unit}",
            "*BEGIN",
            "*GROUP\t\t=  0",
            f"*START\t\t=  {ANGLES[0]:g}",
            f"*STOP\t\t=  {ANGLES[-1]:g}",
            "*STEP\t\t=  0.02",
            f"*COUNT\t\t=  {len(values)}",
            *lines,
            "*END",
            "*EOF",
            "",
        ]
    )


def uxd(drive: str = "COUPLED") -> str:
    """Bruker/Siemens text."""
    rows = "\n".join(f"{x:10.4f} {y:10.0f}" for x, y in zip(ANGLES, COUNTS, strict=True))
    return (
        "; written by a test\n_FILEVERSION=2\n_ANODE='Cu'\n_WL1=1.540600\n_WL2=1.544390\n"
        f"_DRIVE='{drive}'\n_STEPTIME=1.0\n_STEPSIZE=0.02\n_STEPCOUNT={len(ANGLES)}\n"
        f"_START={ANGLES[0]}\n_2THETACOUNTS\n{rows}\n"
    )


def udf() -> str:
    """PANalytical text that needs its closing slash."""
    lines = [", ".join(f"{y:.0f}" for y in COUNTS[i : i + 8]) for i in range(0, COUNTS.size, 8)]
    return (
        "SampleIdent,quartz,/\nAnode,Cu,/\nLabdaAlpha1, 1.54060,/\nLabdaAlpha2, 1.54439,/\n"
        f"DataAngleRange, {ANGLES[0]:.4f}, {ANGLES[-1]:.4f},/\nScanStepSize, 0.020,/\n"
        "RawScan\n" + ",\n".join(lines) + ",/\n"
    )


def powder_cif(listed: bool = True, points: int | None = None) -> str:
    """pdCIF with listed angles, or with a range and its number of points."""
    if listed:
        head = "loop_\n_pd_meas_2theta_scan\n_pd_meas_counts_total\n"
        rows = [f"{x:.4f} {y:.0f}" for x, y in zip(ANGLES, COUNTS, strict=True)]
    else:
        head = (
            f"_pd_meas_2theta_range_min {ANGLES[0]}\n_pd_meas_2theta_range_max {ANGLES[-1]}\n"
            f"_pd_meas_2theta_range_inc 0.02\n_pd_meas_number_of_points {points or len(ANGLES)}\n"
            "loop_\n_pd_meas_counts_total\n"
        )
        rows = [f"{y:.0f}" for y in COUNTS]
    return "data_quartz\n_diffrn_radiation_wavelength 0.45827\n" + head + "\n".join(rows) + "\n"


def stoe(ranges: int = 1, header_blocks: int = 4) -> bytes:
    """Stoe WinXPOW: 512-byte blocks, see `xtalfuse.loaders.xrd.stoe`."""
    counts = COUNTS.astype("<i4").tobytes()
    size = -(-len(counts) // 512)
    blocks = 4 + ranges * (1 + size)
    head = bytearray(512 * header_blocks)
    head[:14] = b"RAW_1.06Powdat"
    struct.pack_into("<2f", head, 0x142, 1.540598, 1.544426)
    struct.pack_into("<2H", head, 0x1DA, ranges * size, blocks)
    for i in range(ranges):
        struct.pack_into("<H", head, 0x1F0 + 2 * i, size)
    block = bytearray(512)
    struct.pack_into("<H", block, 34, COUNTS.size)
    first, last = float(ANGLES[0]), float(ANGLES[-1])
    struct.pack_into("<7f", block, 44, first, first / 2, last, last / 2, 0.02, 0.01, 30.0)
    struct.pack_into("<2I", block, 120, int(COUNTS.min()), int(COUNTS.max()))
    return bytes(head) + ranges * (bytes(block) + counts.ljust(size * 512, b"\0"))


def write(folder: Path, name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The functions of this file: `made.xrdml()`, `made.write(folder, name, content)`, ..."""
    return sys.modules[__name__]
