"""Fields of headers in text, and the number of a measurement that each of them decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xtalfuse.loaders import Measurement


@dataclass(frozen=True)
class Field:
    """One field of a header.

    Parameters
    ----------
    name : for the table
    pattern : finds it; group 1 is its number or unit
    of : the number of a measurement that it decides
    factors : of the number; ``-1`` turns its sign
    units : other units for group 1 -> factor of the number; the pattern then finds the unit
    count : whether it is a count: one more and one less must be noticed
    spare : whether other numbers of the file repeat it
    implied : whether without it the format, or another field, says the same
    missing : whether it is also taken out, with its line
    """

    name: str
    pattern: str
    of: Callable[[Measurement], float]
    factors: tuple[float, ...] = (10.0, 0.1, -1.0)
    units: tuple[tuple[str, float], ...] = ()
    count: bool = False
    spare: bool = False
    implied: bool = False
    missing: bool = True


def wavelength(m: Measurement) -> float:
    return m.radiation.primary_angstrom if m.radiation and not m.radiation.nominal else float("nan")


def first(m: Measurement) -> float:
    return float(m.axes[-1].values[0])


def last(m: Measurement) -> float:
    return float(m.axes[-1].values[-1])


def step(m: Measurement) -> float:
    axis = m.axes[-1].values
    return float(axis[-1] - axis[0]) / (len(axis) - 1)


def size(m: Measurement) -> float:
    return float(m.values.size)


def known_step(m: Measurement) -> float:
    """Of a map or volume; no number where it is not known."""
    axis = m.axes[-1]
    if m.crystal_map is not None:
        return float(m.crystal_map.step[-1])
    return step(m) if axis.calibration == "known" else float("nan")


def step_z(m: Measurement) -> float:
    axis = m.axes[0]
    return float(axis.values[1] - axis.values[0]) if axis.unit != "px" else float("nan")


def energy_kev(m: Measurement) -> float:
    return (m.beam.energy_kev if m.beam else None) or float("nan")


def cell(index: int, phase: int = 0) -> Callable[[Measurement], float]:
    """A constant of the cell of a phase."""

    def of(m: Measurement) -> float:
        known = m.crystal_map.phases[phase].cell if m.crystal_map else None
        return known[index] if known else float("nan")

    return of


def laue(m: Measurement) -> float:
    """A number for the Laue group of the first phase."""
    assert m.crystal_map
    return float(sum(map(ord, str(m.crystal_map.phases[0].laue))))


def step_y(m: Measurement) -> float:
    assert m.crystal_map
    return float(m.crystal_map.step[1])


def step_x(m: Measurement) -> float:
    assert m.crystal_map
    return float(m.crystal_map.step[0])


def step_ev(m: Measurement) -> float:
    """Of a spectrum; no number where its axis is no energy."""
    return step(m) if m.axes[-1].unit == "eV" else float("nan")


def grid(m: Measurement) -> float:
    assert m.crystal_map
    return float(len(m.crystal_map.grid.value))


def inverse(of: Callable[[Measurement], float]) -> Callable[[Measurement], float]:
    return lambda m: 1.0 / of(m)


def highest(m: Measurement) -> float:
    return float(np.max(m.values))


LENGTHS = (("nm", 10.0), ("m", 1e10), ("pm", 0.01))
RADIANS = (("rad", 57.29578),)
FIELDS: dict[str, tuple[Field, ...]] = {
    "table": (
        Field("wavelength", r"Wavelength: ([\d.]+) A", wavelength),
        Field("unit of wavelength", r"Wavelength: [\d.]+ (A)", wavelength, (),
              LENGTHS, implied=True),
        Field("unit of x", r"2theta_(deg)", last, (), RADIANS, implied=True),
        Field("x", r"(2theta_deg)", last, (),
              (("q_A^-1", 0), ("q_nm^-1", 0), ("d_A", 0), ("chi_deg", 0), ("theta", 0), ("keV", 0)),
              missing=False),
        Field("y", r"(counts)", lambda m: float(m.values.max()), (),
              (("log10(counts)", 0), ("sqrt(counts)", 0), ("Icalc", 0), ("ln(I)", 0)),
              missing=False),
    ),
    "chi": (
        Field("points", r"(?m)^ +(\d+)$", size, (10.0, 0.1), count=True),
        Field("unit of x", r"Angle \((Degrees)\)", last, (), RADIANS,
              missing=False),
        Field("x", r"(2-Theta Angle \(Degrees\))", last, (),
              (("Q (1/nm)", 0), ("Radial Distance (mm)", 0), ("Azimuth (Degrees)", 0))),
    ),
    "json": (
        Field("wavelength", r'"wavelength": ([\d.]+)', wavelength),
        Field("unit of x", r'"two_theta_unit": "(deg)"', last, (), RADIANS,
              missing=False),
    ),
    "uxd": (
        Field("wavelength", r"(?m)^_WL1=([\d.]+)", wavelength, implied=True),
        Field("points", r"(?m)^_STEPCOUNT=(\d+)", size, (10.0, 0.1), count=True, spare=True),
    ),
    "xrdml": (
        Field("wavelength", r"<kAlpha1[^>]*>([\d.]+)<", wavelength, implied=True),
        Field("unit of wavelength", r'<kAlpha1 unit="(Angstrom)"', wavelength, (),
              (("nm", 10.0), ("pm", 0.01)), missing=False),
        Field("start", r'<positions axis="2Theta"[^<]*<startPosition>([\d.]+)<', first),
        Field("end", r'(?s)<positions axis="2Theta".{0,99}?<endPosition>([\d.]+)<', last),
        Field("unit of angle", r'<positions axis="2Theta" unit="(deg)"', last, (), RADIANS,
              missing=False),
    ),
    "ras": (
        Field("wavelength", r'WAVE_LENGTH_ALPHA1 "([\d.]+)"', wavelength, implied=True),
        Field("unit of x", r'SCAN_UNIT_X "(deg)"', last, (), RADIANS, missing=False),
    ),
    "rigaku-asc": (
        Field("wavelength", r"\*WAVE_LENGTH1\s*=\s*([\d.]+)", wavelength),
        Field("start", r"\*START\s*=\s*([\d.]+)", first),
        Field("stop", r"\*STOP\s*=\s*([\d.]+)", last, spare=True),
        Field("step", r"\*STEP\s*=\s*([\d.]+)", step),
        Field("points", r"\*COUNT\s*=\s*(\d+)", size, (10.0, 0.1), count=True),
    ),
    "udf": (
        Field("wavelength", r"LabdaAlpha1, *([\d.]+)", wavelength, implied=True),
        Field("start", r"DataAngleRange, *([\d.]+)", first),
        Field("end", r"DataAngleRange, *[\d.]+, *([\d.]+)", last),
        Field("step", r"ScanStepSize, *([\d.]+)", step),
    ),
    "powder-cif": (
        Field("wavelength", r"_diffrn_radiation_wavelength ([\d.]+)", wavelength),
        Field("start", r"2theta_range_min ([\d.]+)", first),
        Field("end", r"2theta_range_max ([\d.]+)", last),
        Field("step", r"2theta_range_inc ([\d.]+)", step),
        Field("points", r"number_of_points (\d+)", size, (10.0, 0.1), count=True, spare=True),
    ),
    "gsas": (
        Field("wavelength", r"wavelength = ([\d.]+)", wavelength),
        Field("start", r"CONS ([\d.]+)", first, spare=True),
        Field("step", r"CONS [\d.]+ ([\d.]+)", step, spare=True),
        Field("points", r"BANK 1 (\d+)", size, (10.0, 0.1), count=True),
    ),
    "emsa": (
        Field("step", r"(?im)^#XPERCHAN[^:]*: *([\d.]+)", step, spare=True),
        Field("offset", r"(?im)^#OFFSET[^:]*: *([\d.]+)", first, spare=True),
        Field("unit", r"(?im)^#XUNITS[^:]*: *(eV)", step, (), (("keV", 1e3),)),
        Field("points", r"(?im)^#NPOINTS[^:]*: *(\d+)", size, (10.0, 0.1), count=True),
        Field("beam", r"(?im)^#BEAMKV[^:]*: *([\d.]+)", energy_kev),
    ),
    "ang": (
        Field("step", r"(?m)^# XSTEP: *([\d.]+)", known_step, spare=True),
        Field("columns", r"(?m)^# NCOLS_ODD: *(\d+)", size, (10.0, 0.1), count=True, spare=True),
        Field("rows", r"(?m)^# NROWS: *(\d+)", size, (10.0, 0.1), count=True, spare=True),
    ),
    "mhd": (
        Field("spacing", r"ElementSpacing = [\d.]+ [\d.]+ ([\d.]+)", step_z),
        Field("columns", r"DimSize = (\d+)", size, (10.0, 0.1), count=True),
        Field("type", r"ElementType = (MET_USHORT)", size, (),
              (("MET_FLOAT", 0), ("MET_UCHAR", 0), ("MET_SHORT", 1))),
    ),
    "raw": (
        Field("voxel", r'"voxel_size_um": \[([\d.]+)', step_z),
        Field("planes", r'"shape": \[(\d+)', size, (10.0, 0.1), count=True),
        Field("type", r'"dtype": "(uint16)"', size, (), (("float32", 0), ("uint8", 0))),
    ),
    "ctf": (
        Field("columns", r"XCells\t(\d+)", size, (10.0, 0.1), count=True, spare=True),
        Field("rows", r"YCells\t(\d+)", size, (10.0, 0.1), count=True, spare=True),
        Field("step x", r"XStep\t([\d.]+)", step_x, spare=True),
        Field("step y", r"YStep\t([\d.]+)", step_y, spare=True),
        Field("a", r"Phases\t\d+\r?\n([\d.]+);", cell(0)),
        Field("alpha", r"Phases\t\d+\r?\n[^\t]+\t([\d.]+);", cell(3)),
        Field("laue", r"Phases\t\d+\r?\n[^\t]+\t[^\t]+\t[^\t]*\t(\d+)\t", laue, (),
              (("7", 0.0), ("3", 0.0), ("99", 0.0)), spare=True),
    ),
    "cpr": (
        Field("columns", r"xCells=(\d+)", size, (10.0, 0.1), count=True),
        Field("rows", r"yCells=(\d+)", size, (10.0, 0.1), count=True),
        Field("step x", r"GridDistX=([\d.]+)", step_x),
        Field("step y", r"GridDistY=([\d.]+)", step_y),
        Field("a", r"(?m)^a=([\d.]+)", cell(0)),
        Field("laue", r"LaueGroup=(\d+)", laue, (), (("9", 0.0), ("3", 0.0), ("99", 0.0))),
    ),
    "nrrd": (
        Field("columns", r"sizes: (\d+)", size, (10.0, 0.1), count=True),
        Field("spacing", r"spacings: ([\d.]+)", known_step),
        Field("spacing z", r"spacings: [\d.]+ [\d.]+ ([\d.]+)", step_z),
        Field("unit", r'space units: "(um)"', step, (), (("mm", 1e3), ("nm", 1e-3), ("inch", 0))),
        Field("type", r"type: (uint16)", highest, (), (("float", 0), ("uint8", 0), ("int16", 1))),
        Field("order", r"endian: (little)", highest, (), (("big", 0),)),
    ),
}  # fmt: skip
