"""The fast fit handed to rietx: structures, instrument, pattern and the stages of a refinement.

rietx is imported inside the functions, because it takes longer to load than a search takes.
"""

from __future__ import annotations

import logging
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.encoders.pattern import PatternSignal
from xtalfuse.physics.crystal.cell import Crystal, laue_rotations
from xtalfuse.physics.crystal.powder import InstrumentState, beam_on_specimen
from xtalfuse.physics.units import ANODES, Radiation
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit, PhaseFit

if TYPE_CHECKING:
    import rietx

log = logging.getLogger(__name__)

CELL_NAMES = ("a", "b", "c", "alpha", "beta", "gamma")
GONIOMETER_RADIUS_MM = 217.5  # only displacement over radius enters, so any value serves
SYNCHROTRON_K = 0.99  # share of the beam polarised across a vertical diffraction plane
LINE_TOLERANCE = 3e-4  # relative; a wavelength nearer to an anode's line is that line
CELL_LIMIT = 0.015  # relative; a cell that moves more has taken hold of another phase's peaks
BACKGROUND_TERMS = 6  # of the correction to the background of the fast fit
PEAK_REACH = 16.0  # full widths that rietx draws of a peak, roughly
DRAWN_POINTS = 1.5e5  # of all peaks together; more takes longer than an answer may
LEAST_RANGE_DEG = 60.0


@dataclass(frozen=True)
class Freedom:
    """What may move in one phase: scale always, the rest where the pattern can tell.

    Parameters
    ----------
    cell : ``"free"``, ``"isotropic"`` (one strain) or ``"held"``
    widths : size and microstrain of its own
    texture : March-Dollase r, along the axis of the fast fit
    """

    cell: str = "free"
    widths: bool = True
    texture: bool = False


@dataclass(frozen=True)
class Problem:
    """One pattern and its phases in the terms of rietx.

    Parameters
    ----------
    signal : the pattern at full resolution
    fast : the fast fit evaluated on the grid of `signal`
    crystals, freedom : one for each phase of `fast`
    even : (n,) intensity without what single reflections have too much or too little
    """

    signal: PatternSignal
    fast: PatternFit
    crystals: tuple[Crystal, ...]
    freedom: tuple[Freedom, ...]
    even: np.ndarray

    @property
    def capillary(self) -> bool:
        """Whether this is a synchrotron pattern, taken for one of a capillary."""
        return not from_anode(self.signal.radiation)

    @property
    def footprint(self) -> np.ndarray:
        """(n,) share of the beam that meets a flat specimen; what rietx does not model."""
        if self.capillary:
            return np.ones(len(self.signal.two_theta_deg))
        sine = np.sin(np.radians(self.signal.two_theta_deg) / 2.0)
        return beam_on_specimen(sine, self.fast.instrument.spill)[0]


@dataclass(frozen=True)
class Run:
    """What a staged refinement reached.

    Parameters
    ----------
    cells : rietx.RefinementResult of the last whole stage on the even pattern
    amounts : the same of scales and background on the pattern as measured
    finished : False when the time was used up before the last stage
    """

    cells: Any
    amounts: Any
    finished: bool


def upper_limit(problem: Problem) -> float:
    """2-theta up to which the pattern is refined, deg; all of it unless peaks are too many.

    The reflections of a large cell grow with the third power of 1/d, and broad peaks of a trace
    reach far: at high angles they cost most and say least.
    """
    signal = problem.signal
    low, high = signal.range_deg
    angle = np.linspace(low, high, 200)
    theta = np.radians(angle) / 2.0
    g = 2.0 * np.sin(theta) / signal.radiation.primary_angstrom
    points = np.zeros_like(angle)
    for fit, crystal in zip(problem.fast.phases, problem.crystals, strict=True):
        kinds = 2.0 * len(laue_rotations(crystal.space_group))
        count = 4.0 / 3.0 * np.pi * crystal.volume * np.diff(g**3, prepend=0.0) / kinds
        state, instrument = fit.state, problem.fast.instrument
        width = state.size / np.cos(theta) + (state.microstrain + instrument.gauss_tan) * np.tan(
            theta
        )
        points += count * PEAK_REACH * (width + instrument.gauss) / signal.step_deg
    total = np.cumsum(points) * len(signal.radiation.weights)
    affordable = float(angle[max(int(np.searchsorted(total, DRAWN_POINTS)) - 1, 0)])
    return float(min(high, max(affordable, low + LEAST_RANGE_DEG)))


def from_anode(radiation: Radiation) -> bool:
    """Whether a wavelength is the characteristic line of a laboratory tube."""
    lines = np.array([line for pair in ANODES.values() for line in pair])
    return bool(np.abs(lines / radiation.primary_angstrom - 1.0).min() < LINE_TOLERANCE)


def start_structure(problem: Problem) -> rietx.Structure:
    """Phases at the cells and widths of the fast fit; its common B is added to every site."""
    import rietx

    extra_b = problem.fast.instrument.extra_b
    pairs = zip(problem.fast.phases, problem.crystals, strict=True)
    return rietx.Structure(
        phases=[
            _phase(f"phase {i}", fit, crystal, extra_b) for i, (fit, crystal) in enumerate(pairs)
        ]
    )


def _phase(name: str, fit: PhaseFit, crystal: Crystal, extra_b: float) -> rietx.Phase:
    import rietx

    texture = None
    if fit.state.axis is not None:
        texture = rietx.PreferredOrientation(
            axis=fit.state.axis, r=rietx.Parameter(value=fit.state.texture, min=0.1, max=5.0)
        )
    return rietx.Phase(
        name=name,
        space_group=crystal.space_group,
        cell=rietx.Cell(
            **{
                name: rietx.Parameter(
                    value=float(value),
                    min=float(value) * (1.0 - CELL_LIMIT),
                    max=float(value) * (1.0 + CELL_LIMIT),
                )
                for name, value in zip(CELL_NAMES, fit.model.cell(fit.state), strict=True)
            }
        ),
        atoms=[
            rietx.Atom(
                label=f"{site.species}{i}",
                species="H" if site.species == "D" else site.species,
                **{
                    axis: rietx.Parameter(value=float(value))
                    for axis, value in zip("xyz", site.position, strict=True)
                },
                occ=rietx.Parameter(value=site.occupancy),
                biso=rietx.Parameter(value=site.b_iso + extra_b),
            )
            for i, site in enumerate(crystal.sites)
        ],
        scale=rietx.Parameter(value=1e-4, min=0.0),
        preferred_orientation=texture,
        lor_size=rietx.Parameter(value=fit.state.size, min=0.0, unit="deg"),
        lor_strain=rietx.Parameter(value=fit.state.microstrain, min=0.0, unit="deg"),
    )


def start_instrument(problem: Problem) -> rietx.Instrument:
    """Emission lines, polarisation, geometry, widths and background of the fast fit.

    The Gaussian width ``gauss + gauss_tan * tan(theta)`` squared is the formula of Caglioti, so
    U, V and W follow from it. A pattern of which all d appear too long keeps its cells: the
    wavelength takes the stretch.
    """
    import rietx
    from rietx.schemas.instrument import (
        BackgroundChebyshev,
        BackgroundFixedPlusChebyshev,
        EmissionLine,
        Geometry,
        ProfileTCHZ,
        Source,
    )

    state, radiation = problem.fast.instrument, problem.signal.radiation
    lines = [
        EmissionLine(
            wavelength=wavelength * (1.0 - state.stretch),
            weight=rietx.Parameter(value=weight / radiation.weights[0], min=0.0),
        )
        for wavelength, weight in zip(
            radiation.wavelengths_angstrom, radiation.weights, strict=True
        )
    ]
    monochromator = problem.fast.phases[0].model.monochromator  # cos^2 of its 2-theta
    polarised = SYNCHROTRON_K if problem.capillary else 1.0 / (1.0 + monochromator)
    return rietx.Instrument(
        source=Source(lines=lines, polarization=rietx.Parameter(value=polarised, min=0.0, max=1.0)),
        geometry=_geometry(state, problem.capillary, Geometry),
        zero_shift=rietx.Parameter(value=state.zero if problem.capillary else 0.0),
        profile=ProfileTCHZ(
            u=rietx.Parameter(value=state.gauss_tan**2, min=-1.0, max=4.0),
            v=rietx.Parameter(value=2.0 * state.gauss * state.gauss_tan, min=-1.0, max=1.0),
            w=rietx.Parameter(value=state.gauss**2, min=1e-8, max=4.0),
            x=rietx.Parameter(value=0.0, min=0.0),
            y=rietx.Parameter(value=0.0),
        ),
        background=BackgroundFixedPlusChebyshev(
            fixed_two_theta=problem.signal.two_theta_deg.tolist(),
            fixed_intensity=(problem.fast.background / problem.footprint).tolist(),
            scale=rietx.Parameter(value=1.0),
            chebyshev=BackgroundChebyshev(
                coefficients=[rietx.Parameter(value=0.0) for _ in range(BACKGROUND_TERMS)]
            ),
        ),
    )


def _geometry(state: InstrumentState, capillary: bool, kind: Any) -> Any:
    import rietx

    if capillary:
        return kind(kind="debye_scherrer")
    shift = state.zero + state.displacement
    # d(2theta) = -2 (s / R) cos(theta) rad (Wilson, 1963, Mathematical Theory of X-ray Powder
    # Diffractometry)
    displacement = -np.radians(shift) * GONIOMETER_RADIUS_MM / 2.0
    return kind(
        kind="bragg_brentano",
        goniometer_radius_mm=GONIOMETER_RADIUS_MM,
        sample_displacement=rietx.Parameter(value=float(displacement), unit="mm"),
        axial_sl=rietx.Parameter(value=0.01, min=0.0, max=0.2),
    )


def pattern(problem: Problem, intensity: np.ndarray) -> rietx.PatternData:
    """Counts with their noise, freed of the loss of the beam beside the specimen."""
    import rietx

    signal, footprint = problem.signal, problem.footprint
    return rietx.PatternData(
        two_theta=signal.two_theta_deg.tolist(),
        intensity=(intensity / footprint).tolist(),
        sigma=(np.sqrt(signal.variance) / footprint).tolist(),
    )


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
    explain (few grains, texture) would bend the profile, and with it the cells. Scales and
    background are then refined once more on the pattern as it was measured.

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
    even, measured = pattern(problem, problem.even), pattern(problem, problem.signal.intensity)
    limits = (float(problem.signal.two_theta_deg[0]), upper_limit(problem))
    plan = stages(problem)
    token = rietx.CancelToken()
    timer = threading.Timer(seconds, token.cancel)
    timer.daemon = True
    timer.start()
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
        timer.cancel()
    refinement.set_vary("*", False)
    amounts = _stage(refinement, measured, plan[0], limits, None)
    return Run(cells, amounts, not token.is_set())


def _stage(
    refinement: Any,
    data: Any,
    stage: tuple[str, list[str], float],
    limits: tuple[float, float],
    cancel: Any,
) -> Any:
    """One stage of a refinement, as rietx reports it."""
    from rietx.strategy.staged import Stage

    name, freed, tolerance = stage
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for peaks in the residual and warns of none
        result = refinement.run_stage(
            data,
            Stage(name, freed, ftol=tolerance, max_iter=40),
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
