"""What moves in a powder pattern: parameters of the instrument and of each phase."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SHARED = ("zero", "displacement", "gauss_tan", "gauss", "asymmetry", "skew", "extra_b", "spill")
MIN_WIDTH_DEG = 1e-3
MAX_WIDTH_DEG = 3.0
SHARED_BOUNDS = np.array(
    [
        (-np.inf, -np.inf, 0.0, MIN_WIDTH_DEG, -0.3, -0.8, -1.0, 0.01),
        (np.inf, np.inf, np.inf, np.inf, 0.3, 0.8, 3.0, 0.6),
    ]
)  # in the order of SHARED
TEXTURE_BOUNDS = (0.2, 3.0)
ISOTROPIC_LIMIT = 0.02  # a cell that differs more is another compound
DEVIATORIC_LIMIT = 0.010


@dataclass(frozen=True)
class InstrumentState:
    """Parameters that every phase of a pattern shares.

    Parameters
    ----------
    zero : zero shift of 2-theta, deg
    displacement : coefficient of cos(theta) in 2-theta, deg (specimen displacement)
    gauss_tan, gauss : Gaussian FWHM = ``gauss + gauss_tan * tan(theta)``, deg
    asymmetry : coefficient of the skewness that goes as cot(theta) (axial divergence)
    skew : coefficient of the skewness that goes as cos(theta) (uneven or transparent specimen)
    extra_b : displacement parameter B added to every atom, angstrom^2
    spill : sin(theta) below which the beam is longer than the specimen, so that part of it
        misses: intensity falls as ``sin(theta) / spill`` (Fischer, 1996, Powder Diffr. 11, 17)
    stretch : every d appears longer by this fraction (angle axis or wavelength off); not refined
    """

    zero: float = 0.0
    displacement: float = 0.0
    gauss_tan: float = 0.02
    gauss: float = 0.06
    asymmetry: float = 0.0
    skew: float = 0.0
    extra_b: float = 0.0
    spill: float = 0.05
    stretch: float = 0.0

    def moved(self, step: np.ndarray) -> InstrumentState:
        """State after adding a (8,) step in the order of `SHARED`."""
        values = np.array([getattr(self, name) for name in SHARED]) + step
        values = np.clip(values, *SHARED_BOUNDS)
        changed = {name: float(v) for name, v in zip(SHARED, values, strict=True)}
        return replace(self, **changed)


@dataclass(frozen=True)
class PhaseState:
    """Parameters of one phase.

    Parameters
    ----------
    strain : (p,) symmetry-allowed strain of the cell; the first component is isotropic
    size : Lorentzian FWHM that goes as 1/cos(theta), deg (small crystallites)
    microstrain : Lorentzian FWHM that goes as tan(theta), deg
    texture : March-Dollase r; 1 is random
    axis : preferred plane normal, None for a random powder
    adjust : (n,) observed over calculated intensity of each reflection where graininess makes
        them differ; None for a good powder average
    """

    strain: np.ndarray
    size: float = 0.05
    microstrain: float = 0.05
    texture: float = 1.0
    axis: tuple[int, int, int] | None = None
    adjust: np.ndarray | None = None

    def bounds(self) -> np.ndarray:
        """(2, k) least and largest value of strain, size, microstrain[, texture]."""
        p = len(self.strain)
        limit = np.full(p, DEVIATORIC_LIMIT)
        limit[0] = ISOTROPIC_LIMIT * np.sqrt(3.0)
        widths = np.array([(MIN_WIDTH_DEG,) * 2, (MAX_WIDTH_DEG,) * 2])
        texture = [np.array(TEXTURE_BOUNDS)[:, None]] if self.axis is not None else []
        return np.hstack([[-limit, limit], widths, *texture])

    def moved(self, step: np.ndarray) -> PhaseState:
        """State after adding a step in the order strain, size, microstrain[, texture]."""
        p = len(self.strain)
        own = [self.texture] if self.axis is not None else []
        values = np.concatenate([self.strain, [self.size, self.microstrain], own]) + step
        values = np.clip(values, *self.bounds())
        return replace(
            self,
            strain=values[:p],
            size=float(values[p]),
            microstrain=float(values[p + 1]),
            texture=float(values[p + 2]) if own else self.texture,
        )
