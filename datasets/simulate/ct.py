"""Volumes as X-ray tomography sees them: blurred, noisy, with rings and cupping.

Everything is a pure function of (seed, index). Volumes are indexed [x, y, z];
`as_measurement` turns one round as a file would hold it, [z, y, x].
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance

_SCAN, _BALLS, _FOAM = 11, 12, 13  # purposes of random numbers


@dataclass(frozen=True)
class ScanSpec:
    """How a scanner sees a specimen.

    Parameters
    ----------
    grey : mean grey value of each phase, in the order of the labels
    blur : standard deviation of the Gaussian point spread, voxels
    noise : standard deviation of the noise over the difference of the two nearest grey values
    noise_length : correlation of the noise, standard deviation of a Gaussian, voxels;
        reconstruction makes neighbours alike
    photons : mean counts of a voxel of the brightest phase, for noise that grows with the
        square root of the grey value; None for the same noise everywhere
    rings : standard deviation of the ring artefacts, in the unit of `noise`
    cupping : how much darker the middle of a slice is than its rim, share of the grey value;
        what beam hardening leaves
    periodic : whether opposite faces of the volume meet
    """

    grey: tuple[float, ...] = (60.0, 160.0)
    blur: float = 0.8
    noise: float = 0.2
    noise_length: float = 0.5
    photons: float | None = None
    rings: float = 0.0
    cupping: float = 0.0
    periodic: bool = False


def scan(phase: np.ndarray, spec: ScanSpec, seed: int = 0, index: int = 0) -> np.ndarray:
    """Grey values of a volume of phases.

    Parameters
    ----------
    phase : (X, Y, Z) int, position in ``spec.grey``; slices are planes of one z

    Returns
    -------
    (X, Y, Z) float32

    Raises
    ------
    ValueError
        If a phase has no grey value, or fewer than two grey values are given.
    """
    from scipy.ndimage import gaussian_filter

    if phase.min() < 0 or phase.max() >= len(spec.grey) or len(set(spec.grey)) < 2:
        raise ValueError(f"phases {phase.min()}-{phase.max()} and grey values {spec.grey}")
    rng = np.random.default_rng([seed, index, _SCAN])
    mode = "wrap" if spec.periodic else "nearest"
    contrast = float(np.diff(np.unique(spec.grey)).min())
    seen = np.asarray(spec.grey, np.float32)[phase]
    if spec.blur > 0:
        seen = gaussian_filter(seen, spec.blur, mode=mode)
    if spec.cupping > 0:
        radius = _radius(phase.shape)
        seen *= 1.0 - spec.cupping * (1.0 - (radius / radius.max()) ** 2)[:, :, None]
    if spec.photons is not None:
        scale = spec.photons / max(spec.grey)
        seen = (rng.poisson(np.maximum(seen, 0.0) * scale) / scale).astype(np.float32)
    if spec.noise > 0:
        noise = rng.standard_normal(phase.shape, np.float32)
        if spec.noise_length > 0:
            noise = gaussian_filter(noise, spec.noise_length, mode=mode)
            noise /= noise.std()
        seen += np.float32(spec.noise * contrast) * noise
    if spec.rings > 0:
        seen += (spec.rings * contrast * _rings(phase.shape, rng)).astype(np.float32)
    return seen


def _radius(shape: tuple[int, ...]) -> np.ndarray:
    """(X, Y) distance of a column from the middle of the slice, voxels."""
    x, y = (np.arange(n) - (n - 1) / 2.0 for n in shape[:2])
    return np.hypot(x[:, None], y)


def _rings(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Rings round the middle, each with a strength that changes slowly along z; unit variance.

    A detector column with a wrong gain gives a ring of its distance from the axis.
    """
    from scipy.ndimage import gaussian_filter1d

    radius = _radius(shape)
    columns = int(radius.max()) + 2
    strength = rng.standard_normal((columns, shape[2]))
    strength = gaussian_filter1d(strength, shape[2] / 4.0, axis=1, mode="nearest")
    strength /= strength.std()
    return strength[np.rint(radius).astype(int)]


def balls(
    seed: int,
    index: int,
    shape: tuple[int, int, int] = (64, 64, 64),
    fraction: float = 0.25,
    radius: tuple[float, float] = (5.0, 9.0),
    gap: float = 2.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Balls at random places in a box whose opposite faces meet.

    Parameters
    ----------
    shape : of the box, voxels
    fraction : of the volume; fewer balls where no more have room after many attempts
    radius : smallest and largest, voxels, evenly distributed
    gap : least distance of two surfaces, voxels; negative to let them overlap by as much

    Returns
    -------
    labels : (X, Y, Z) int32, -1 outside; in an overlap the ball whose surface is farther off
    radii : (n,) of the balls
    """
    rng = np.random.default_rng([seed, index, _BALLS])
    box = np.array(shape, float)
    centres, radii = np.empty((0, 3)), np.empty(0)
    filled = 0.0
    for _ in range(20_000):
        if filled >= fraction * box.prod():
            break
        r, centre = rng.uniform(*radius), rng.uniform(0.0, box)
        away = centres - centre
        away -= box * np.rint(away / box)
        if (np.linalg.norm(away, axis=1) < radii + r + gap).any():
            continue
        centres, radii = np.vstack([centres, centre]), np.append(radii, r)
        filled += 4.0 / 3.0 * np.pi * r**3
    labels, depth = np.full(shape, -1, np.int32), np.zeros(shape, np.float32)
    for number, (centre, r) in enumerate(zip(centres, radii, strict=True)):
        reach = int(np.ceil(r)) + 1
        axes = [np.arange(int(c) - reach, int(c) + reach + 1) for c in centre]
        offset = np.meshgrid(
            *((a + 0.5 - c) ** 2 for a, c in zip(axes, centre, strict=True)), indexing="ij"
        )
        inside = np.float32(r) - np.sqrt(sum(offset)).astype(np.float32)
        where = np.ix_(*(a % n for a, n in zip(axes, shape, strict=True)))
        deeper = inside > depth[where]
        labels[where] = np.where(deeper, number, labels[where])
        depth[where] = np.maximum(depth[where], inside)
    return labels, radii


def foam(
    seed: int,
    index: int,
    shape: tuple[int, int, int] = (64, 64, 64),
    fraction: float = 0.5,
    wavelength: float = 16.0,
) -> np.ndarray:
    """(X, Y, Z) bool: two interpenetrating bodies, as dealloyed metals and foams have them.

    A Gaussian random field of one wavelength is cut at the level that gives `fraction`.

    Parameters
    ----------
    seed, index : of the series, and the number in it; nothing else is left to chance
    shape : voxels
    fraction : share of the first body
    wavelength : of the field, voxels

    References
    ----------
    Cahn, J. W. (1965). J. Chem. Phys. 42, 93: waves of one wavelength and random phases.
    """
    rng = np.random.default_rng([seed, index, _FOAM])
    field = np.fft.rfftn(rng.standard_normal(shape))
    kx, ky = (np.fft.fftfreq(n) for n in shape[:2])
    kz = np.fft.rfftfreq(shape[2])
    k = np.sqrt(kx[:, None, None] ** 2 + ky[None, :, None] ** 2 + kz**2)
    field *= np.exp(-0.5 * ((k * wavelength - 1.0) / 0.1) ** 2)  # a shell in reciprocal space
    waves = np.fft.irfftn(field, shape, axes=(0, 1, 2))
    return waves > np.quantile(waves, 1.0 - fraction)


def as_measurement(
    volume: np.ndarray, step_um: float | None = 1.0, name: str = "scan.tif"
) -> Measurement:
    """A simulated scan (X, Y, Z) as a reader would return it, (Z, Y, X).

    Parameters
    ----------
    volume : (X, Y, Z) grey values
    step_um : edge of a voxel, micrometre; None where it shall not be known
    name : stands for the file
    """
    values = np.ascontiguousarray(volume.transpose(2, 1, 0))
    unit = "px" if step_um is None else "um"
    axes = tuple(
        Axis(axis, unit, np.arange(n) * (step_um or 1.0))
        for axis, n in zip("zyx", values.shape, strict=True)
    )
    sha256 = hashlib.sha256(values.tobytes()).hexdigest()
    source = Provenance(name, sha256, "simulation")
    return Measurement(Modality.CT, values, axes, "arbitrary", source, sampled="bulk")
