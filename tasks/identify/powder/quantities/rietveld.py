"""The stages of a refinement with rietx, which is imported inside the functions.

It takes longer to load than a search takes.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from xtalfuse.physics.crystal.cell import Crystal
from xtalfuse.tasks.identify.powder.quantities.model import (
    B_FIRST,
    GONIOMETER_RADIUS_MM,
    Problem,
    pattern,
    start_instrument,
    start_structure,
    upper_limit,
)

log = logging.getLogger(__name__)

PATIENCE = 4.0


@dataclass(frozen=True)
class Run:
    """What a staged refinement reached.

    Parameters
    ----------
    cells : rietx.RefinementResult of the last whole stage on the even pattern
    amounts : the same of scales, displacement parameters and background on the pattern as
        measured
    finished : False when the time was used up before the last stage
    """

    cells: Any
    amounts: Any
    finished: bool


def stages(problem: Problem) -> list[tuple[str, list[str], float]]:
    """Names, freed parameters and tolerances; each stage keeps what the earlier ones freed."""
    shift = (
        "instrument.zero_shift" if problem.capillary else "instrument.geometry.sample_displacement"
    )
    positions, widths, last = [shift], ["instrument.profile.w"], ["instrument.profile.u"]
    if not problem.capillary:
        widths.append("instrument.geometry.axial_sl")
    for i, freedom in enumerate(problem.freedom):
        if freedom.cell == "free":
            positions.append(f"phases.{i}.cell.*")
        elif freedom.cell == "isotropic":
            positions.append(f"phases.{i}.cell.a")
        if freedom.widths:
            widths.append(f"phases.{i}.lor_size")
            last.append(f"phases.{i}.lor_strain")
        if freedom.texture:
            last.append(f"phases.{i}.preferred_orientation.r")
    return [
        ("scales", ["phases.*.scale", "instrument.background.c*"], 1e-4),
        ("positions and widths", positions + widths, 1e-5),
        ("all", last, 1e-6),
    ]


def run(problem: Problem, seconds: float) -> Run:
    """Refine stage by stage until done or the time is used up.

    Cells and widths are refined on the pattern with even intensities: what a structure cannot
    explain (few grains, texture) would bend the profile, and with it the cells. Scales, background
    and displacement parameters are then refined on the pattern as it was measured: a displacement
    parameter that is wrong by 0.25 angstrom^2 shifts a scale by some 5 %. Their prior weighs as
    much as data whose errors are as large as the misfit says.

    Raises
    ------
    TimeoutError
        If not even the first stage was finished in time.
    """
    import rietx
    from rietx.optimize.cancel import RefinementCancelled

    if seconds <= 0.0:
        raise TimeoutError("no time was left for a refinement")
    refinement = rietx.Refinement(
        start_structure(problem), start_instrument(problem), history=False
    )
    for i, freedom in enumerate(problem.freedom):
        if freedom.cell == "isotropic":
            _tie_lengths(refinement, i)
        if freedom.widths:
            _tie_displacements(refinement, i, problem.crystals[i])
    even, measured = pattern(problem, problem.even), pattern(problem, problem.signal.intensity)
    limits = (float(problem.signal.two_theta_deg[0]), upper_limit(problem))
    plan = stages(problem)
    token = rietx.CancelToken()
    done = threading.Event()
    threading.Thread(target=_watch, args=(token, done, seconds), daemon=True).start()
    cells = None
    try:
        for stage in plan:
            if token.is_set() and cells is not None:
                break
            cells = _stage(refinement, even, stage, limits, token)
    except RefinementCancelled:
        if cells is None:
            raise TimeoutError(f"no stage was finished within {seconds:.1f} s") from None
    finally:
        done.set()
    refinement.set_vary("*", False)
    name, freed, tolerance = plan[0]
    freed = freed + [f"phases.{i}.{B_FIRST}" for i, f in enumerate(problem.freedom) if f.widths]
    last = (name, freed, tolerance)
    amounts = _stage(refinement, measured, last, limits, None, prior=_overdispersion(cells))
    return Run(cells, amounts, not token.is_set())


def _watch(token: Any, done: threading.Event, seconds: float) -> None:
    """Cancel when the work has had its time; what other programs take is not counted against it.

    Several threads may count several times in the time of a process, so the shorter of the two
    decides; an answer that takes `PATIENCE` times as long is too late all the same.
    """
    cpu, wall = time.process_time(), time.perf_counter()
    while not done.wait(0.05):
        passed = time.perf_counter() - wall
        if min(time.process_time() - cpu, passed) > seconds or passed > PATIENCE * seconds:
            token.cancel()
            return


def _stage(
    refinement: Any,
    data: Any,
    stage: tuple[str, list[str], float],
    limits: tuple[float, float],
    cancel: Any,
    prior: float = 1.0,
) -> Any:
    """One stage of a refinement, as rietx reports it, with the weight of the restraints."""
    from rietx.strategy.staged import Stage

    name, freed, tolerance = stage
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for peaks in the residual and warns of none
        result = refinement.run_stage(
            data,
            Stage(name, freed, ftol=tolerance, max_iter=40, restraint_weight_scale=prior),
            two_theta_limits=limits,
            phase_support_sigma=None,
            window_area_tol=0.005,
            cancel=cancel,
            telemetry=False,
        )
    log.debug("stage %s: R_wp %.4f", name, result.statistics.rwp)
    return result


def peak_shift_rad(problem: Problem, result: Any) -> float:
    """How far displacement or zero moved the peaks at low angle, 2-theta in rad."""
    rows = {row.path: row.value for row in result.parameters}
    if problem.capillary:
        return float(np.radians(rows.get("instrument.zero_shift", 0.0)))
    displacement = rows.get("instrument.geometry.sample_displacement", 0.0)
    return float(-2.0 * displacement / GONIOMETER_RADIUS_MM)


def _overdispersion(result: Any) -> float:
    """How many times larger the squared residuals are than noise of independent points."""
    statistics = result.statistics
    return max(1.0, float(statistics.gof * (statistics.esd_inflation or 1.0)) ** 2)


def _tie_displacements(refinement: Any, index: int, crystal: Crystal) -> None:
    """Let the displacement parameters of all atoms of a phase move by the same amount."""
    first = f"phases.{index}.{B_FIRST}"
    for i, site in enumerate(crystal.sites[1:], 1):
        path = f"phases.{index}.atoms.{i}.biso"
        refinement.tie(path, first, offset=site.b_iso - crystal.sites[0].b_iso)


def _tie_lengths(refinement: Any, index: int) -> None:
    """Let b and c follow a, where symmetry has not tied them already."""
    base = f"phases.{index}.cell"
    rows = {row.path: row for row in refinement.parameters()}
    for name in ("b", "c"):
        row = rows[f"{base}.{name}"]
        if row.tie is not None:
            continue
        ratio = row.value / rows[f"{base}.a"].value
        refinement.tie(f"{base}.{name}", f"{base}.a", scale=ratio)
