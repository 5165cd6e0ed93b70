"""Reflections and intensities against pymatgen's XRDCalculator over the AFLOW prototypes.

Like for like: the same atoms, no displacement, pymatgen's own form factors, no dispersion.
What then differs is arithmetic. Two more comparisons say what the choice of data changes:
our form factors (International Tables C, 6.1.1.4) without and with anomalous dispersion.
Speed: both calculate each structure in turn, in one process.

    python -m benchmarks.structure_factors [--json FILE]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import told
from xtalfuse.datasets.library.pymatgen import structure_of
from xtalfuse.datasets.library.sources import aflow_path, aflow_prototypes
from xtalfuse.physics.crystal.cell import Crystal, Site
from xtalfuse.physics.crystal.diffraction import Reflections, form_factor, reflections
from xtalfuse.physics.units import ANODES, two_theta

WAVELENGTH = ANODES["Cu"][0]
TWO_THETA_MAX_DEG = 90.0
WEAKEST = 0.1  # of the strongest line = 100: below, sums of cancelling waves are rounding noise
MERGE_DEG = 1e-3  # lines nearer than this are one line in both lists


def at_rest(crystal: Crystal) -> Crystal:
    """The crystal without thermal motion, as pymatgen has it by default."""
    sites = tuple(Site(s.species, s.position, s.occupancy, 0.0) for s in crystal.sites)
    return Crystal(crystal.cell, crystal.space_group, sites)


def lorentz_polarisation(d: np.ndarray) -> np.ndarray:
    """Warren (1969), eq. 4.13, without monochromator."""
    theta = np.arcsin(WAVELENGTH / (2.0 * d))
    return (1.0 + np.cos(2.0 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))


def with_form_factors(lines: Reflections, crystal: Crystal, table: str) -> np.ndarray:
    """Intensities without dispersion, with form factors of ``"pymatgen"`` or ``"ITC"``."""
    import gemmi
    from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS

    s2 = 0.25 / lines.d_spacings(crystal.cell) ** 2
    columns = []
    for z in lines.elements:
        if table == "ITC":
            columns.append(form_factor(int(z), s2))
            continue
        a, b = np.array(ATOMIC_SCATTERING_PARAMS[gemmi.Element(int(z)).name]).T
        columns.append(int(z) - 41.78214 * s2 * (np.exp(-np.outer(s2, b)) @ a))
    waves = np.sum(np.stack(columns, 1) * lines.geometric, axis=1)
    return lines.multiplicity * np.abs(waves) ** 2


def merged(angle: np.ndarray, intensity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines nearer than 0.001 degrees added up; the strongest is 100."""
    order = np.argsort(angle)
    angle, intensity = angle[order], intensity[order]
    group = np.concatenate([[0], np.cumsum(np.diff(angle) > MERGE_DEG)])
    total = np.bincount(group, intensity)
    centre = np.bincount(group, angle * intensity) / np.maximum(total, 1e-300)
    return centre, 100.0 * total / total.max()


def deviations(
    ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float, int]:
    """Largest difference in angle (deg) and in intensity (relative), and lines without partner."""
    strong = theirs[1] > WEAKEST
    gap = np.abs(theirs[0][strong][:, None] - ours[0][None, :])
    partner = gap.argmin(axis=1)
    nearest = gap.min(axis=1)
    missing = int((nearest > 5 * MERGE_DEG).sum())
    found = nearest <= 5 * MERGE_DEG
    expected = theirs[1][strong][found]
    relative = np.abs(ours[1][partner[found]] / expected - 1.0)
    # the strongest line must be strong on the other side too
    alone = ours[1] > 2 * WEAKEST
    back = np.abs(ours[0][alone][:, None] - theirs[0][None, :]).min(axis=1)
    missing += int((back > 5 * MERGE_DEG).sum())
    return float(nearest[found].max(initial=0)), float(relative.max(initial=0)), missing


def measure() -> dict[str, Any]:
    """Compare all prototypes; see the module docstring."""
    from pymatgen.analysis.diffraction.xrd import XRDCalculator

    place = aflow_path()
    if place is None:
        raise SystemExit("pymatgen does not carry its AFLOW prototypes; install pymatgen")
    calculator = XRDCalculator(WAVELENGTH)
    d_min = WAVELENGTH / (2.0 * np.sin(np.radians(TWO_THETA_MAX_DEG / 2.0)))
    rows: list[dict[str, Any]] = []
    for identifier, prototype in aflow_prototypes(place):
        crystal = at_rest(prototype.crystal)
        structure = structure_of(crystal)
        primitive = structure.get_primitive_structure() if structure.is_ordered else structure
        began = time.perf_counter()
        calculator.get_pattern(primitive, two_theta_range=(0, TWO_THETA_MAX_DEG))
        between = time.perf_counter()
        lines = reflections(at_rest(prototype.crystal), d_min, 1_000_000)
        native = lines.intensities(crystal.cell, WAVELENGTH)
        ended = time.perf_counter()
        pattern = calculator.get_pattern(structure, two_theta_range=(0, TWO_THETA_MAX_DEG))
        theirs = merged(np.asarray(pattern.x), np.asarray(pattern.y))
        d = lines.d_spacings(crystal.cell)
        angle, factor = two_theta(d, WAVELENGTH), lorentz_polarisation(d)
        same = with_form_factors(lines, crystal, "pymatgen")
        tables = with_form_factors(lines, crystal, "ITC")
        like = deviations(merged(angle, same * factor), theirs)
        rows.append(
            {
                "id": identifier,
                "angle_deg": like[0],
                "intensity": like[1],
                "missing": like[2],
                "other_tables": deviations(merged(angle, tables * factor), theirs)[1],
                "with_dispersion": deviations(merged(angle, native * factor), theirs)[1],
                "pymatgen_ms": 1e3 * (between - began),
                "ours_ms": 1e3 * (ended - between),
            }
        )
    return summary(rows)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures over all structures."""

    def spread(name: str) -> dict[str, float]:
        values = np.array([row[name] for row in rows])
        return {
            "median": float(np.median(values)),
            "p95": float(np.percentile(values, 95)),
            "max": float(values.max()),
        }

    ratio = np.array([row["pymatgen_ms"] / row["ours_ms"] for row in rows])
    worst = sorted(rows, key=lambda row: -row["intensity"])[:5]
    return {
        "structures": len(rows),
        "like_for_like": {
            "largest_angle_difference_deg": max(row["angle_deg"] for row in rows),
            "intensity_difference": spread("intensity"),
            "structures_within_1_percent": sum(row["intensity"] <= 0.01 for row in rows),
            "lines_without_partner": sum(row["missing"] for row in rows),
            "worst": [(row["id"], round(row["intensity"], 5)) for row in worst],
        },
        "our_form_factors_without_dispersion": spread("other_tables"),
        "our_form_factors_with_dispersion": spread("with_dispersion"),
        "speed": {
            "pymatgen_ms": spread("pymatgen_ms"),
            "ours_ms": spread("ours_ms"),
            "pymatgen_over_ours_median": float(np.median(ratio)),
            "pymatgen_over_ours_total": sum(r["pymatgen_ms"] for r in rows)
            / sum(r["ours_ms"] for r in rows),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    told(measure(), options.json)


if __name__ == "__main__":
    main()
