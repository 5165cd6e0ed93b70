"""Powder patterns that once were identified wrongly."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults.case import Case, holds, identified, loaded, refused
from benchmarks.faults.scans import ANODES


def _pair(path: Path, **options: str) -> str:
    """Corundum and halite and nothing else, in whatever abscissa they were written."""
    found = {
        p["name"].lower(): round(p["weight_fraction"], 3)
        for p in identified(path, **options)["phases"]
    }
    return holds({"corundum", "halite"} == set(found), str(found))


CASES: tuple[Case, ...] = (
    *ANODES,
    Case("q_inv_angstrom.xy", "corundum and halite, without a wavelength", _pair),
    Case("q_inv_nm.chi", "converted: 10 to 90 degrees", loaded("CuKa", ends=(10.0, 90.0))),
    Case("q_inv_angstrom.xy", "converted: 10 to 90 degrees", loaded("CuKa", ends=(10.0, 90.0))),
    Case("d_spacing.xy", "converted: 10 to 90 degrees", loaded("CuKa", ends=(10.0, 90.0))),
    Case("radians.xy", "converted: 10 to 90 degrees", loaded("CuKa", ends=(10.0, 90.0))),
    Case("theta_not_2theta.xy", "refused: theta or 2theta", refused("theta", "2theta")),
    Case("q_no_header.xy", "refused: it looks like q", refused("those of q", "intensity")),
)
