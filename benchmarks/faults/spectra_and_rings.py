"""Spectra and ring patterns that once went wrong."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.faults.case import Case, WrongError, holds, shows

# radii of the first rings as they were put in, pixels
_RADII = {
    "aluminium": (41.9, 48.4, 68.4, 80.3),
    "silver": (42.4, 48.9, 69.2, 81.2),
    "iron_alpha": (43.4, 61.4, 75.2, 86.8),
}


def _rings(elements: str, phase: str, path: Path) -> str:
    """Proposed as diffraction, radii within 0.7 % but for one factor, the phase in the class."""
    from xtalfuse import identify, load_specimen
    from xtalfuse.encoders.rings.profile import ring_profile

    record = load_specimen(path, elements=(elements,))
    (measurement,) = record.measurements
    if measurement.modality != "diffraction":
        raise WrongError(f"read as {measurement.modality}")
    profile = ring_profile(measurement)
    radii = np.array([ring.radius_px for ring in profile.sharp])
    true = np.array(_RADII[phase])
    if len(radii) < len(true):
        raise WrongError(f"{len(radii)} sharp rings")
    ratio = radii[: len(true)] / true  # an ellipse may be told by its longer axis
    worst = float(np.abs(ratio / np.median(ratio) - 1.0).max())
    found = identify(record, refine=False).phases
    names = [name for p in found for name in (p.entry, *p.equivalents)]
    told = f"{len(profile.sharp)} rings, radii within {100 * worst:.2f} %, {', '.join(names[:3])}"
    return holds(worst < 0.007 and phase in names, told)


CASES: tuple[Case, ...] = (
    Case("lanthanum_over_nickel.msa", "O, La, Ni, no Cu", shows(sure="O La Ni", never="Cu")),
    Case("tantalum_oxide_wide.msa", "O; Ta at least possible", shows(sure="O", named="Ta")),
    Case("aluminium_disc4.tif", "rings of aluminium", partial(_rings, "Al", "aluminium")),
    Case("silver_disc5.tif", "rings of silver", partial(_rings, "Ag", "silver")),
    Case("iron_disc3_elliptic2pc.tif", "rings of iron", partial(_rings, "Fe", "iron_alpha")),
)
