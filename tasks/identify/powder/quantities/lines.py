"""What positions and widths of lines tell, and how far the instrument lets them be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np

from xtalfuse.tasks.identify.answer import Crystallites
from xtalfuse.tasks.identify.powder.quantities.model import Problem
from xtalfuse.tasks.identify.powder.quantities.rietveld import peak_shift_rad

SIGNIFICANT = 3.0  # standard uncertainties
# What the model of the peak shift leaves over: the zero of a goniometer that is aligned with
# care, rad; the same as a share of the shift that is seen, which tells the care; and of a line's
# width, by asymmetry and transparency that its profile does not follow.
ZERO_RAD = np.radians(0.005)
SHIFT_DOUBT = 0.15
SHAPE_DOUBT = 0.05


def crystallites(rows: dict[str, Any], index: int, wavelength: float) -> Crystallites:
    """Size and microstrain from the Lorentzian widths ``X / cos(theta)`` and ``Y tan(theta)``.

    ``size = 0.9 lambda / X`` (Scherrer; Patterson, 1939, Phys. Rev. 56, 978) and ``strain = Y / 4``
    (Stokes & Wilson, 1944, Proc. Phys. Soc. 56, 174); what is not three standard uncertainties
    from none is not given.
    """
    known = {}
    for name in ("lor_size", "lor_strain"):
        row = rows.get(f"phases.{index}.{name}")
        if row is not None and row.stderr and row.value > SIGNIFICANT * row.stderr:
            known[name] = float(np.radians(row.value)), float(row.stderr / row.value)
    width, size_su = known.get("lor_size", (None, 0.0))
    slope, strain_su = known.get("lor_strain", (None, 0.0))
    size = width and 0.09 * wavelength / width
    strain = slope and slope / 4.0
    return Crystallites(size, size and size * size_su, strain, strain and strain * strain_su)


def shift_doubt(problem: Problem, cells: Any, index: int) -> float:
    """Relative uncertainty that all lengths of a phase share, from the alignment.

    A zero error e of 2-theta that the displacement does not take up: both move the lines, by
    ``1`` and ``cos(theta)``, as a longer cell does by ``-2 tan(theta)``. The least squares of e on
    the other two over the lines of the phase tell what is left in the cell.
    """
    phase, instrument = problem.fast.phases[index], problem.fast.instrument
    shift = peak_shift_rad(problem, cells)
    position = phase.model.positions(phase.state, instrument)
    theta = np.radians(position[problem.signal.measured(position)]) / 2.0
    strength = phase.model.seen_strength(phase.state, instrument)
    weight = np.sqrt(strength[problem.signal.measured(position)])
    width = np.radians(problem.signal.fwhm_deg)
    error = np.sqrt(ZERO_RAD**2 + (SHIFT_DOUBT * shift) ** 2 + (SHAPE_DOUBT * width) ** 2)
    taken = np.cos(theta) if not problem.capillary else np.ones_like(theta)
    other = np.ones_like(theta) if not problem.capillary else np.cos(theta)
    design = np.column_stack([-2.0 * np.tan(theta), taken]) * weight[:, None]
    left = np.linalg.lstsq(design, other * weight, rcond=None)[0]
    return float(abs(left[0]) * error)
