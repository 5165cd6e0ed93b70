"""Forward model of a powder pattern: phases, cells, widths and texture to a profile.

Everything is differentiable by hand: a phase returns its unit-scale profile together with the
derivative to each of its parameters and to the shared instrument parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.sparse import csc_array

from xtalfuse.physics.crystal.cell import Crystal, laue_rotations
from xtalfuse.physics.crystal.diffraction import (
    Reflections,
    cell_from_metric,
    quadratic_form,
    reciprocal_metric,
    strain_basis,
)
from xtalfuse.physics.crystal.powder_state import MIN_WIDTH_DEG, SHARED, InstrumentState, PhaseState
from xtalfuse.physics.crystal.profile import (
    Shape,
    Stamps,
    lorentz_polarisation,
    march_dollase,
    stamp,
    tch_shape,
)
from xtalfuse.physics.units import Radiation

__all__ = [
    "SHARED", "InstrumentState", "NoReflectionError", "PhaseColumns", "PhaseModel", "PhaseState",
    "beam_on_specimen", "phase_model", "strain_basis",
]  # fmt: skip

BEAM_EDGE = 6
TAIL = 0.003


class NoReflectionError(ValueError):
    """A crystal has no reflection in the range of a pattern: nothing of it could be seen."""


@dataclass(frozen=True)
class PhaseColumns:
    """Unit-scale profile of a phase, and its derivatives on the grid for who asks for them."""

    profile: np.ndarray  # (n,)
    derive: Callable[[], tuple[np.ndarray, np.ndarray]]

    @cached_property
    def _derivatives(self) -> tuple[np.ndarray, np.ndarray]:
        return self.derive()

    @property
    def by_own(self) -> np.ndarray:
        """(n, q) to strain..., size, microstrain[, texture]."""
        return self._derivatives[0]

    @property
    def by_shared(self) -> np.ndarray:
        """(n, 8) in the order of SHARED."""
        return self._derivatives[1]


@dataclass(frozen=True)
class _Drawn:
    theta: np.ndarray  # (k,) Bragg angle of each line, rad
    factor: np.ndarray  # (k,) emission weight and Lorentz-polarisation
    area: np.ndarray  # (k,) unit-scale area
    by_texture: np.ndarray  # (n,) derivative of the strength of each reflection to texture r
    shape: Shape
    stamps: Stamps


@dataclass(frozen=True)
class PhaseModel:
    """A crystal as a given radiation sees it between two angles.

    Parameters
    ----------
    hkl, intensity, order : (n, 3), (n,), (n,) reflections in range; |F|^2 times multiplicity
    metric : (6,) reciprocal metric of the reference cell
    crystal : the structure itself
    unit : what the intensities were divided by, so that the strongest peak has unit area
    tail : share of the strongest peak below which the tails of peaks are cut
    """

    hkl: np.ndarray
    intensity: np.ndarray
    metric: np.ndarray
    crystal: Crystal
    unit: float
    radiation: Radiation
    _quadratic: np.ndarray
    monochromator: float = 1.0
    tail: float = TAIL

    @cached_property
    def strain_basis(self) -> np.ndarray:
        """(6, p) change of the metric by a unit of each allowed strain."""
        return strain_basis(self.crystal)

    @property
    def weight(self) -> float:
        """Mass times volume of the cell: scale * weight is proportional to the mass."""
        return self.crystal.mass_amu * self.crystal.volume / self.unit

    @property
    def n_strain(self) -> int:
        """Number of free cell parameters."""
        return self.strain_basis.shape[1]

    def start(self, isotropic_strain: float = 0.0, **values: float) -> PhaseState:
        """State with the reference cell stretched in all directions alike."""
        strain = np.zeros(self.n_strain)
        strain[0] = isotropic_strain * np.sqrt(3.0)
        return PhaseState(strain, **values)  # type: ignore[arg-type]

    def cell(self, state: PhaseState) -> tuple[float, ...]:
        """Cell (a, b, c, alpha, beta, gamma) of a state."""
        return cell_from_metric(self.metric + self.strain_basis @ state.strain)

    def inverse_d(self, state: PhaseState) -> np.ndarray:
        """(n,) 1/d in 1/angstrom."""
        metric = self.metric + self.strain_basis @ state.strain
        return np.sqrt(np.maximum(self._quadratic @ metric, 1e-8))

    def positions(self, state: PhaseState, instrument: InstrumentState) -> np.ndarray:
        """(n,) 2-theta of the strongest emission line, deg; NaN beyond the limiting sphere."""
        seen = self.inverse_d(state) * (1.0 - instrument.stretch)
        sine = 0.5 * self.radiation.primary_angstrom * seen
        theta = np.arcsin(np.where(sine < 0.9999, sine, np.nan))
        shift = instrument.zero + instrument.displacement * np.cos(theta)
        return np.degrees(2.0 * theta) + shift

    def seen_strength(self, state: PhaseState, instrument: InstrumentState) -> np.ndarray:
        """(n,) unit-scale area of each reflection, all emission lines together."""
        inverse_d = self.inverse_d(state)
        sine = np.minimum(0.5 * self.radiation.mean_angstrom * inverse_d, 0.9999)
        factor = lorentz_polarisation(np.degrees(2.0 * np.arcsin(sine)), self.monochromator)
        return factor * self._strength(state, instrument)[0]

    def _strength(
        self, state: PhaseState, instrument: InstrumentState
    ) -> tuple[np.ndarray, np.ndarray]:
        """(n,) intensity of each reflection and its derivative to texture."""
        texture, slope = self._texture(state)
        inverse_d = self.inverse_d(state)
        base = self.intensity * np.exp(-0.5 * instrument.extra_b * inverse_d**2)
        base = (
            base
            * beam_on_specimen(0.5 * self.radiation.mean_angstrom * inverse_d, instrument.spill)[0]
        )
        if state.adjust is not None:
            base = base * state.adjust
        return base * texture, base * slope

    def columns(
        self, grid_deg: np.ndarray, state: PhaseState, instrument: InstrumentState
    ) -> PhaseColumns:
        """Unit-scale profile and derivatives of this phase.

        Parameters
        ----------
        grid_deg : (n,) 2-theta, deg
        state, instrument : where to draw
        """
        drawn = self._draw(grid_deg, state, instrument)
        stamps = drawn.stamps
        matrix = csc_array(
            (stamps.value, stamps.point, stamps.start), shape=(len(grid_deg), len(drawn.theta))
        )
        derive = partial(self._derivatives, len(grid_deg), drawn, state, instrument)
        return PhaseColumns(matrix @ drawn.area, derive)

    def _derivatives(
        self, points: int, drawn: _Drawn, state: PhaseState, instrument: InstrumentState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of the profile to what is the phase's own, and to what is shared."""
        theta, area, shape, stamps = drawn.theta, drawn.area, drawn.shape, drawn.stamps
        lines = len(self.radiation.weights)
        tangent, secant, cosine = np.tan(theta), 1.0 / np.cos(theta), np.cos(theta)
        inverse_d = self.inverse_d(state)
        s2_lines = np.tile(0.25 * inverse_d**2, lines)

        def draw(values: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
            matrix = csc_array((values, stamps.point, stamps.start), shape=(points, len(theta)))
            return matrix @ coefficients

        # d(2theta)/dQ, Q = 1/d^2, for each line
        by_q = np.degrees(tangent / np.tile(inverse_d**2, lines))
        by_strain = (area * by_q)[:, None] * np.tile(
            self._quadratic @ self.strain_basis, (lines, 1)
        )
        position_columns = draw(
            stamps.by_position, np.column_stack([by_strain, area, area * cosine])
        )
        # what each reflection's broadenings do: two of the instrument, two of the phase
        gauss = np.column_stack([area * tangent, area])
        lorentz = np.column_stack([area * secant, area * tangent])

        def widths(by_gauss: np.ndarray, by_lorentz: np.ndarray) -> np.ndarray:
            return np.hstack([gauss * by_gauss[:, None], lorentz * by_lorentz[:, None]])

        by_fwhm = widths(shape.fwhm_by_gauss, shape.fwhm_by_lorentz)
        by_eta = widths(shape.eta_by_gauss, shape.eta_by_lorentz)
        width_columns = draw(stamps.by_fwhm, by_fwhm) + draw(stamps.by_eta, by_eta)
        gauss_columns, lorentz_columns = width_columns[:, :2], width_columns[:, 2:]
        sine = 0.5 * self.radiation.mean_angstrom * np.tile(inverse_d, lines)
        amounts = [-2.0 * s2_lines * area, beam_on_specimen(sine, instrument.spill)[1] * area]
        if state.axis is not None:
            amounts.append(drawn.factor * np.tile(drawn.by_texture, lines))
        value_columns = draw(stamps.value, np.column_stack(amounts))
        skew_columns = draw(stamps.by_skewness, np.column_stack([area / tangent, area * cosine]))
        p = self.n_strain
        return (
            np.column_stack([position_columns[:, :p], lorentz_columns, value_columns[:, 2:]]),
            np.column_stack(
                [position_columns[:, p:], gauss_columns, skew_columns, value_columns[:, :2]]
            ),
        )

    def reflection_columns(
        self,
        grid_deg: np.ndarray,
        state: PhaseState,
        instrument: InstrumentState,
        group: np.ndarray,
        n_groups: int,
    ) -> np.ndarray:
        """(n, n_groups) unit-scale profiles of groups of reflections.

        Parameters
        ----------
        grid_deg : (n,) 2-theta, deg
        state, instrument : where to draw
        group : (r,) group of each reflection; -1 leaves it out
        n_groups : number of groups
        """
        drawn = self._draw(grid_deg, state, instrument)
        lines = np.tile(group, len(self.radiation.weights))
        chosen = np.flatnonzero(lines >= 0)
        members = csc_array(
            (drawn.area[chosen], (chosen, lines[chosen])), shape=(len(lines), n_groups)
        )
        stamps = drawn.stamps
        profiles = csc_array(
            (stamps.value, stamps.point, stamps.start), shape=(len(grid_deg), len(lines))
        )
        return (profiles @ members).toarray()

    def _draw(self, grid_deg: np.ndarray, state: PhaseState, instrument: InstrumentState) -> _Drawn:
        """Every emission line of every reflection, stamped onto the grid."""
        inverse_d = self.inverse_d(state)
        strength, by_texture = self._strength(state, instrument)
        seen = inverse_d * (1.0 - instrument.stretch)
        sine = np.concatenate([0.5 * w * seen for w in self.radiation.wavelengths_angstrom])
        theta = np.arcsin(np.minimum(sine, 0.9999))
        bragg = np.degrees(2.0 * theta)
        position = bragg + instrument.zero + instrument.displacement * np.cos(theta)
        weight = np.repeat(self.radiation.weights, len(inverse_d))
        factor = weight * lorentz_polarisation(bragg, self.monochromator)
        tangent, cosine = np.tan(theta), np.cos(theta)
        gauss = np.maximum(instrument.gauss + instrument.gauss_tan * tangent, MIN_WIDTH_DEG)
        shape = tch_shape(gauss, state.size / cosine + state.microstrain * tangent)
        skewness = instrument.asymmetry / tangent + instrument.skew * cosine
        lines = len(self.radiation.weights)
        stamps = stamp(
            grid_deg, position, shape, skewness, np.tile(_reach(strength, self.tail), lines)
        )
        return _Drawn(theta, factor, factor * np.tile(strength, lines), by_texture, shape, stamps)

    def texture_factor(self, state: PhaseState, axis: tuple[int, int, int], r: float) -> np.ndarray:
        """(n,) March-Dollase factor of each reflection.

        Parameters
        ----------
        state : whose cell is used
        axis : preferred plane normal, hkl
        r : 1 is random; below 1 the plane lies in the surface
        """
        return self._march(state, axis, r)[0]

    def _march(
        self, state: PhaseState, axis: tuple[int, int, int], r: float
    ) -> tuple[np.ndarray, np.ndarray]:
        g11, g22, g33, g23, g13, g12 = self.metric + self.strain_basis @ state.strain
        metric = np.array([[g11, g12, g13], [g12, g22, g23], [g13, g23, g33]])
        rotations = laue_rotations(self.crystal.space_group)
        return march_dollase(self.hkl, np.array(axis, float), metric, rotations, r)

    def _texture(self, state: PhaseState) -> tuple[np.ndarray, np.ndarray]:
        if state.axis is None:
            return np.ones(len(self.hkl)), np.zeros(len(self.hkl))
        return self._march(state, state.axis, state.texture)


def beam_on_specimen(sine: np.ndarray, spill: float) -> tuple[np.ndarray, np.ndarray]:
    """Share of the beam that meets the specimen, and the derivative of its log to `spill`.

    ``min(1, sin(theta) / spill)`` with the corner rounded, as a beam has no sharp edge.
    """
    ratio = (spill / np.maximum(sine, 1e-6)) ** BEAM_EDGE
    return (1.0 + ratio) ** (-1.0 / BEAM_EDGE), -ratio / (1.0 + ratio) / spill


def _reach(strength: np.ndarray, tail: float) -> np.ndarray:
    """Half window of each peak in full widths: to where a Lorentzian tail, ``1 / (1 + 4 z^2)``,
    falls below this share of the strongest peak."""
    relative = strength / max(float(strength.max(initial=0.0)), 1e-300)
    return np.clip(0.5 * np.sqrt(relative / tail), 2.0, 0.5 / np.sqrt(tail))


def phase_model(
    crystal: Crystal,
    reflections: Reflections,
    radiation: Radiation,
    two_theta_range: tuple[float, float],
    *,
    monochromator: float = 1.0,
    smallest: float = 3e-4,
    tail: float = TAIL,
) -> PhaseModel:
    """The part of a crystal that matters for a pattern.

    Parameters
    ----------
    crystal : the structure
    reflections : of it, to the smallest d that the range may reach
    radiation : of the pattern
    two_theta_range : first and last angle, deg; a 3 % margin in d is kept for cells that move
    monochromator : cos^2 of twice its Bragg angle; 1 without one
    smallest : reflections weaker than this fraction of the strongest one are left out
    tail : share of the strongest peak below which tails are cut

    Raises
    ------
    ValueError
        If no reflection lies in the range.
    """
    metric = reciprocal_metric(crystal.cell)
    quadratic = quadratic_form(reflections.hkl)
    inverse_d = np.sqrt(quadratic @ metric)
    limits = 2.0 * np.sin(np.radians(np.array(two_theta_range)) / 2.0) / radiation.primary_angstrom
    inside = (inverse_d > limits[0] * 0.97) & (inverse_d < min(limits[1], 2.0) * 1.03)
    inside &= 0.5 * radiation.mean_angstrom * inverse_d < 0.999
    intensity = reflections.intensities(crystal.cell, radiation.mean_angstrom)
    theta = np.arcsin(np.minimum(0.5 * radiation.mean_angstrom * inverse_d, 0.999))
    seen = intensity * lorentz_polarisation(np.degrees(2 * theta), monochromator)
    if not inside.any():
        raise NoReflectionError("no reflection of this crystal lies in the range of the pattern")
    inside &= seen > smallest * seen[inside].max()
    # scaled so that the strongest peak has unit area: scales of all phases are comparable
    unit = seen[inside].max()
    return PhaseModel(
        hkl=reflections.hkl[inside].astype(float),
        intensity=intensity[inside] / unit,
        metric=metric,
        crystal=crystal,
        unit=float(unit),
        radiation=radiation,
        _quadratic=quadratic[inside],
        monochromator=monochromator,
        tail=tail,
    )
