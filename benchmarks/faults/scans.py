"""Files of X-ray instruments that once were misread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.case import Case, holds, refused


def _pattern(
    path: Path,
    points: int | None = None,
    unit: str = "counts",
    line: float | None = None,
    says: str = "",
    seam: float | None = None,
) -> str:
    """What is read, against its points, unit, first line, and levels beside a seam of times."""
    from xtalfuse.loaders import load

    found = load(path)
    angles, radiation = found.axis("two_theta"), found.radiation
    said = "; ".join(found.provenance.warnings) or "no warning"
    first = radiation.primary_angstrom if radiation else 0.0
    came = f"{angles.size} points to {angles[-1]:g} deg, {found.value_unit}, {first:g} A; {said}"
    right = found.value_unit == unit and says in said and points in (None, angles.size)
    right &= line in (None, first)
    if seam is not None:
        below, above = (np.median(found.values[abs(angles - at) < 1.0])
                        for at in (seam - 2.0, seam + 2.0))  # fmt: skip
        right &= bool(abs(np.log(below / above)) < np.log(1.3))  # fourfold, if not divided
        came += f"; levels {below:.3g} and {above:.3g} beside {seam:g} deg"
    return holds(right, came)


def _case(file: str, right: str, **options: Any) -> Case:
    check: Callable[[Path], str] = partial(_pattern, **options)
    return Case(file, right, check)


def _structure(path: Path) -> str:
    """What a library says of a CIF that it cannot take."""
    from xtalfuse.datasets.cif.read import CifError, read_cif

    try:
        read_cif(path)
    except CifError as error:
        return holds("magnetic" in str(error), str(error))
    return holds(False, "taken as a structure")


def _told(path: Path) -> str:
    """What is told of a pattern that is taken for one of a copper tube."""
    from xtalfuse import identify, load_specimen

    record = load_specimen(path, wavelength="CuKa")
    return "; ".join(identify(record, refine=False).to_dict()["warnings"])


def _quiet_axis(path: Path) -> str:
    told = _told(path)
    return holds("all phases look" not in told, told or "no warning")


def _cobalt(path: Path) -> str:
    told = _told(path)
    return holds("--wavelength CoKa" in told and "all phases look" not in told, told)


_TIMES = {"unit": "counts/s", "points": 3501, "seam": 50.0}
SCANS = (
    _case("01_uxd_short_last_line_3501pts.uxd", "3501 points", points=3501),
    _case("01b_uxd_last_line_one_value.uxd", "3501 points", points=3501),
    _case("01c_uxd_control_ok_3496pts.uxd", "3496 points", points=3496),
    Case("08_neutron_PBSO4.CWN", "refused: neutrons", refused("neutron")),
    _case("09_xrdml_countingTimes_per_point.xrdml", "counts divided by their times", **_TIMES),
    _case("09b_brml_time_per_point.brml", "counts divided by their times", **_TIMES),
    _case("13_xrdml_intended_KBeta.xrdml", "1.39225 A", line=1.39225),
    _case("14_xrdml_aborted_scan_stretched.xrdml", "told", says="not finished"),
    _case("15_xrdml_two_ranges_half_dropped.xrdml", "both ranges joined", **_TIMES),
    _case("15b_brml_two_ranges_half_dropped.brml", "both ranges joined", **_TIMES),
    _case("15c_uxd_two_ranges.uxd", "both ranges joined", **_TIMES),
    _case("16_pdcif_dots_for_excluded_points.cif", "3451 points, 50 left out",
          points=3451, says="50 points without a value"),
    _case("16b_pdcif_radiation_type_only.cif", "Cu K-alpha from its name", line=1.5405929),
    Case("17_magnetic.mcif", "a magnetic CIF", refused("magnetic")),
    Case("17_magnetic.mcif", "a magnetic CIF, for the library too", _structure),
    Case("20_warning_minus_0.01_percent.xy", "nothing to say of the axis", _quiet_axis),
)  # fmt: skip
ANODES = (Case("Co.xy", "says that Co K-alpha would explain the lines", _cobalt),)
