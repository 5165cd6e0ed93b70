"""Powder patterns that once were identified wrongly."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults.case import Case, holds, identified, loaded, phases, refused
from benchmarks.faults.scans import ANODES


def _pair(path: Path, **options: str) -> str:
    """Corundum and halite and nothing else, in whatever abscissa they were written."""
    found = {
        p["name"].lower(): round(p["weight_fraction"], 3)
        for p in identified(path, **options)["phases"]
    }
    return holds({"corundum", "halite"} == set(found), str(found))


def _one_line(path: Path) -> str:
    """A wide class at low confidence, and "unknown" not excluded."""
    answer = identified(path, "CuKa")
    first = max(answer["phases"], key=lambda p: p["confidence"])
    many, unknown = len(first["equivalents"]), answer["unknown"]["probability"]
    came = f"{first['name']} {first['confidence']:.2f} or {many} others; unknown {unknown:.2f}"
    return holds(first["confidence"] < 0.3 and many > 5 and unknown > 0.2, came)


CASES: tuple[Case, ...] = (
    *ANODES,
    Case("silicon.xy", "silicon", phases("silicon")),
    Case("ceria.xy", "cerianite", phases("cerianite")),
    Case("steel.xy", "ferrite and austenite", phases("austenite", "iron, bcc")),
    Case("short.xy", "a class of one line", _one_line),
    Case("05_corundum_fluorite_called_silicon.xy", "both", phases("corundum", "fluorite")),
    Case("05b_corundum_fluorite_second_phase_lost.xy", "both", phases("corundum", "fluorite")),
    Case("05c_control_same_mixture_other_noise_ok.xy", "both", phases("corundum", "fluorite")),
    Case("05d_corundum_periclase_CoKa_periclase_lost.xy", "both",
         phases("corundum", "periclase", wavelength="CoKa")),
    Case("05e_synchrotron_corundum_fluorite_called_silicon.xye", "both",
         phases("corundum", "fluorite", wavelength=None)),
    Case("rutile_halite_50_50.xy", "both", phases("halite", "rutile")),
    Case("ceria_windows.xy", "cerianite", phases("cerianite")),
    Case("corundum_windows.xy", "corundum", phases("corundum")),
    Case("ceria_bright.xy", "cerianite alone", phases("cerianite")),
    Case("corundum_20-148.xy", "corundum in 5 s", phases("corundum", seconds=5.0)),
    Case("q_inv_angstrom.xy", "corundum and halite, without a wavelength", _pair),
    Case("q_inv_nm.chi", "converted: 10 to 90 degrees", loaded("CuKa", ends=(10.0, 90.0))),
    Case("q_inv_angstrom.xy", "converted: 10 to 90 degrees", loaded("CuKa", ends=(10.0, 90.0))),
    Case("d_spacing.xy", "converted: 10 to 90 degrees", loaded("CuKa", ends=(10.0, 90.0))),
    Case("radians.xy", "converted: 10 to 90 degrees", loaded("CuKa", ends=(10.0, 90.0))),
    Case("theta_not_2theta.xy", "refused: theta or 2theta", refused("theta", "2theta")),
    Case("q_no_header.xy", "refused: it looks like q", refused("those of q", "intensity")),
)  # fmt: skip
