"""The fast fit in the terms of rietx: structures, instrument and pattern.

rietx is imported inside the functions, because it takes longer to load than a search takes.
"""

from __future__ import annotations

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

CELL_NAMES = ("a", "b", "c", "alpha", "beta", "gamma")
GONIOMETER_RADIUS_MM = 217.5  # only displacement over radius enters, so any value serves
SYNCHROTRON_K = 0.99  # share of the beam polarised across a vertical diffraction plane
LINE_TOLERANCE = 3e-4  # relative; a wavelength nearer to an anode's line is that line
CELL_LIMIT = 0.015  # relative; a cell that moves more has taken hold of another phase's peaks
BACKGROUND_TERMS = 6  # of the correction to the background of the fast fit
PEAK_REACH = 16.0  # full widths that rietx draws of a peak, roughly
DRAWN_POINTS = 1.5e5  # of all peaks together; more takes longer than an answer may
LEAST_RANGE_DEG = 60.0
# The typical displacement parameters that stand for those a file does not give are off by this for
# the 495 built-in phases, whose are published: 0.15 in the median, angstrom^2.
B_SPREAD = 0.25
B_FIRST = "atoms.0.biso"  # of a phase; those of its other atoms follow


@dataclass(frozen=True)
class Freedom:
    """What may move in one phase: scale always, the rest where the pattern can tell.

    Parameters
    ----------
    cell : ``"free"``, ``"isotropic"`` (one strain) or ``"held"``
    widths : size and microstrain of its own, and one change of all its displacement parameters
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
        phases=[_phase(i, fit, crystal, extra_b) for i, (fit, crystal) in enumerate(pairs)]
    )


def _phase(index: int, fit: PhaseFit, crystal: Crystal, extra_b: float) -> rietx.Phase:
    import rietx
    from rietx.schemas.structure import ValueRestraint

    texture = None
    if fit.state.axis is not None:
        texture = rietx.PreferredOrientation(
            axis=fit.state.axis, r=rietx.Parameter(value=fit.state.texture, min=0.1, max=5.0)
        )
    return rietx.Phase(
        name=f"phase {index}",
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
        restraints=[
            ValueRestraint(
                path=f"phases.{index}.{B_FIRST}", target=crystal.sites[0].b_iso, sigma=B_SPREAD
            )
        ],
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
