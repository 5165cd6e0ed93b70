"""Electron ring patterns of another make: pymatgen's atoms, beams that are discs, bad optics.

Structure factors come from the electron form factors of pymatgen (Mott-Bethe), with no
code of this package. A ring is a circle smeared by the direct beam, a disc with soft edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance

# entry of the built-in library -> space group, cell, sites (Wyckoff, R. W. G., Crystal Structures)
_FCC, _BCC = [[0, 0, 0]], [[0, 0, 0]]
_ROCK = [[0, 0, 0], [0.5, 0.5, 0.5]]
STRUCTURES: dict[str, tuple[str, tuple[float, ...], list[str], list[list[float]]]] = {
    "aluminium": ("Fm-3m", (4.0495,), ["Al"], _FCC),
    "gold": ("Fm-3m", (4.0782,), ["Au"], _FCC),
    "silver": ("Fm-3m", (4.0862,), ["Ag"], _FCC),
    "copper": ("Fm-3m", (3.6149,), ["Cu"], _FCC),
    "nickel": ("Fm-3m", (3.5238,), ["Ni"], _FCC),
    "platinum": ("Fm-3m", (3.9242,), ["Pt"], _FCC),
    "iron_alpha": ("Im-3m", (2.8665,), ["Fe"], _BCC),
    "tungsten": ("Im-3m", (3.1652,), ["W"], _BCC),
    "niobium": ("Im-3m", (3.3004,), ["Nb"], _BCC),
    "silicon": ("Fd-3m", (5.4310,), ["Si"], [[0, 0, 0]]),
    "periclase": ("Fm-3m", (4.2112,), ["Mg", "O"], _ROCK),
    "halite": ("Fm-3m", (5.6402,), ["Na", "Cl"], _ROCK),
    "bunsenite": ("Fm-3m", (4.1771,), ["Ni", "O"], _ROCK),
    "titanium_nitride": ("Fm-3m", (4.2400,), ["Ti", "N"], _ROCK),
    "ceria": ("Fm-3m", (5.4113,), ["Ce", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
    "fluorite": ("Fm-3m", (5.4626,), ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
    "sphalerite": ("F-43m", (5.4093,), ["Zn", "S"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
    "caesium_chloride": ("Pm-3m", (4.1230,), ["Cs", "Cl"], _ROCK),
    "magnesium": ("P6_3/mmc", (3.2094, 5.2107), ["Mg"], [[1 / 3, 2 / 3, 0.25]]),
    "titanium_alpha": ("P6_3/mmc", (2.9505, 4.6826), ["Ti"], [[1 / 3, 2 / 3, 0.25]]),
    "zincite": (
        "P6_3mc", (3.2499, 5.2066), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]
    ),
    "rutile": ("P4_2/mnm", (4.5937, 2.9587), ["Ti", "O"], [[0, 0, 0], [0.3053, 0.3053, 0]]),
}  # fmt: skip
_HEXAGONAL = ("P6_3/mmc", "P6_3mc")
_B_ISO = 0.6  # angstrom^2, of a metal at room temperature


@cache
def powder(name: str, g_max: float = 1.8) -> tuple[np.ndarray, np.ndarray]:
    """|g| in 1/angstrom and intensity of the rings of a phase; families of one |g| are one."""
    from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS
    from pymatgen.core import Lattice, Structure

    group, cell, species, sites = STRUCTURES[name]
    if len(cell) == 1:
        lattice = Lattice.cubic(*cell)
    else:
        lattice = (Lattice.hexagonal if group in _HEXAGONAL else Lattice.tetragonal)(*cell)
    structure = Structure.from_spacegroup(group, lattice, species, sites)
    points = lattice.reciprocal_lattice_crystallographic.get_points_in_sphere(
        [[0, 0, 0]], [0, 0, 0], g_max
    )
    hkl = np.array([np.round(point[0]) for point in points])
    g = np.array([point[1] for point in points])
    hkl, g = hkl[g > 1e-6], g[g > 1e-6]
    s2 = (0.5 * g) ** 2
    amplitude = np.zeros(len(g), complex)
    for site in structure:
        a, b = np.array(ATOMIC_SCATTERING_PARAMS[site.specie.symbol]).T
        factor = (a[:, None] * np.exp(-b[:, None] * s2)).sum(0)
        phase = np.exp(2j * np.pi * hkl @ site.frac_coords)
        amplitude += factor * np.exp(-_B_ISO * s2) * phase
    intensity = np.abs(amplitude) ** 2
    _, ring = np.unique(np.round(g, 5), return_inverse=True)
    total = np.bincount(ring, intensity)
    where = np.bincount(ring, g) / np.bincount(ring)
    # a plane of spacing d meets the Ewald sphere on a ring of length ~ g: 1/g of it is recorded
    total = total / where
    kept = total > 1e-3 * total.max()
    return where[kept], total[kept]


@dataclass(frozen=True)
class Scene:
    """One pattern: what stands in it and how it was taken; lengths in pixels."""

    phases: tuple[str, ...]
    shares: tuple[float, ...]  # height of the strongest ring of each phase
    side: int
    scale: float  # 1/angstrom per pixel
    center: tuple[float, float]
    ellipticity: float
    angle_deg: float
    disc: float  # radius of the direct beam
    blur: float  # standard deviation of its edge and of the rings' own width
    counts: float  # of the strongest ring where it is highest
    halo: float  # inelastic and amorphous halo under it, of `counts`
    beam: float  # direct beam, of `counts`
    stop: float  # width of the bar, 0 without
    grains: int | None  # spots of a ring; None: continuous
    texture: float  # standard deviation of ln intensity about the kinematic one
    seed: int

    def rings(self, least: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Radius in pixels and height of every ring on the image, by radius."""
        found, rng = [], np.random.default_rng(self.seed + 2 * 10**6)
        for name, share in zip(self.phases, self.shares, strict=True):
            g, intensity = powder(name)
            height = intensity / g * np.exp(self.texture * rng.normal(size=len(g)))
            found.append(np.stack([g / self.scale, share * height / height.max()], 1))
        radius, height = np.concatenate(found).T if found else np.empty((2, 0))
        edge = self.side / 2.0 - np.hypot(*(c - self.side / 2.0 for c in self.center))
        kept = (radius < edge - self.disc) & (height > least)
        order = np.argsort(radius[kept])
        return radius[kept][order], height[kept][order]


def random_scene(seed: int, *, phases: int | None = None, side: int | None = None) -> Scene:
    """A pattern as they come: nothing in it is chosen to suit anybody."""
    rng = np.random.default_rng(seed)
    count = int(rng.choice([1, 1, 1, 2, 3])) if phases is None else phases
    names = tuple(str(n) for n in rng.choice(list(STRUCTURES), count, replace=False))
    side = int(rng.choice([256, 384, 512, 768])) if side is None else side
    reach = float(rng.uniform(1.0, 1.5))
    return Scene(
        phases=names,
        shares=(1.0, *rng.uniform(0.3, 1.0, max(0, count - 1)))[:count],
        side=side,
        scale=reach / (0.48 * side),
        center=tuple(side * (0.5 + rng.uniform(-0.06, 0.06, 2))),
        ellipticity=float(rng.uniform(0.0, 0.04)),
        angle_deg=float(rng.uniform(0.0, 180.0)),
        disc=float(rng.uniform(0.0, 8.0) if rng.random() < 0.7 else 0.0),
        blur=float(rng.uniform(0.7, 1.8)),
        counts=float(10.0 ** rng.uniform(1.0, 3.0)),
        halo=float(rng.uniform(0.1, 1.0)),
        beam=float(10.0 ** rng.uniform(1.0, 3.5)),
        stop=float(rng.uniform(0.04, 0.08) * side if rng.random() < 0.4 else 0.0),
        grains=int(rng.integers(60, 400)) if rng.random() < 0.3 else None,
        texture=float(rng.uniform(0.0, 0.7)),
        seed=seed,
    )


def picture(scene: Scene) -> np.ndarray:
    """Counts of the camera, (side, side), with Poisson noise."""
    rng = np.random.default_rng(scene.seed + 10**6)
    y, x = np.mgrid[: scene.side, : scene.side].astype(float)
    half, double = scene.ellipticity / 2.0, np.radians(2.0 * scene.angle_deg)
    c, s = np.cos(double), np.sin(double)
    inverse = np.cosh(half) * np.eye(2) - np.sinh(half) * np.array([[c, s], [s, -c]])
    u, v = np.tensordot(inverse, np.stack([x - scene.center[0], y - scene.center[1]]), axes=1)
    radius = np.hypot(u, v)
    fine = np.arange(0.0, radius.max() + 2.0, 0.1)
    rings = scene.rings() if scene.grains is None else ([], [])
    image = np.interp(radius, fine, radial_counts(scene, fine, *rings))
    if scene.grains is not None:
        image += _spots(scene, u, v, np.linalg.inv(inverse), rng)
    counts = scene.counts * image + 1.0
    if scene.stop:
        bar = np.abs(x - scene.center[0]) < scene.stop / 2.0
        counts[bar & (y < scene.center[1] + 0.7 * scene.stop)] = 1.0
    return rng.poisson(counts).astype(float)


def radial_counts(
    scene: Scene,
    radius: np.ndarray,
    rings: np.ndarray | list[float],
    heights: np.ndarray | list[float],
    *,
    smooth: bool = True,
) -> np.ndarray:
    """Mean at each radius, of `scene.counts`: these rings, halo and direct beam if `smooth`.

    Parameters
    ----------
    radius : (n,) pixels, in even steps
    rings, heights : (k,) of continuous rings
    """
    profile = np.zeros_like(radius)
    for ring, height in zip(rings, heights, strict=True):
        profile += height * _smeared_circle(radius, ring, scene.disc)
    if smooth:
        profile += scene.beam * (radius < max(scene.disc, 1.0))
    profile = _blurred(profile, scene.blur / (radius[1] - radius[0]))
    if smooth:
        profile += scene.halo * np.exp(-radius / (0.15 * scene.side))
        profile += 0.3 * scene.halo * np.exp(-0.5 * ((radius * scene.scale - 0.45) / 0.09) ** 2)
    return profile


def _smeared_circle(radius: np.ndarray, ring: float, disc: float) -> np.ndarray:
    """Mean over a disc about each radius of a circle's line density, highest about one."""
    if disc < 0.3:
        return np.exp(-0.5 * ((radius - ring) / 0.3) ** 2)
    safe = np.maximum(radius, 1e-6)
    cosine = (safe**2 + ring**2 - disc**2) / (2.0 * safe * ring)
    return np.arccos(np.clip(cosine, -1.0, 1.0)) * ring / disc


def _blurred(profile: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(profile, sigma, mode="nearest")


def _spots(
    scene: Scene, u: np.ndarray, v: np.ndarray, stretch: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Rings of few grains: discs at random on each ring, as many as its intensity tells."""
    from scipy.ndimage import gaussian_filter

    image = np.zeros(u.shape)
    size = max(scene.disc, 0.8)
    reach = int(size) + 3
    radii, heights = scene.rings()
    for ring, height in zip(radii, heights, strict=True):
        for angle in rng.uniform(0.0, 2.0 * np.pi, scene.grains or 1):
            strength = height * rng.exponential() * 2.0 * np.pi * ring
            strength *= 2.0 / ((scene.grains or 1) * np.pi * size)
            middle = ring * np.array([np.cos(angle), np.sin(angle)])
            column, row = (stretch @ middle + np.array(scene.center)).astype(int)
            part = tuple(slice(max(0, k - reach), k + reach + 2) for k in (row, column))
            near = np.hypot(u[part] - middle[0], v[part] - middle[1]) < size
            image[part][near] += strength
    return np.asarray(gaussian_filter(image, scene.blur))


def amorphous(seed: int, side: int = 384) -> np.ndarray:
    """Halos and nothing else: carbon, silica or a metallic glass, (side, side) counts."""
    from scipy.signal import fftconvolve

    rng = np.random.default_rng(seed)
    # first and second halo (1/angstrom) and relative width: amorphous C, SiO2, a metallic glass
    halos = [((0.49, 0.86), 0.26), ((0.24, 0.46), 0.24), ((0.43, 0.74), 0.14)][seed % 3]
    y, x = np.mgrid[:side, :side].astype(float)
    cx, cy = side * (0.5 + rng.uniform(-0.05, 0.05, 2))
    radius = np.hypot(x - cx, y - cy) * rng.uniform(1.0, 1.4) / (0.48 * side)
    image = rng.uniform(0.3, 2.0) * np.exp(-radius / 0.25)
    for place, height in zip(halos[0], (1.0, 0.35), strict=True):
        width = halos[1] * place / 2.355
        image += height * np.exp(-0.5 * ((radius - place) / width) ** 2)
    disc = max(float(rng.uniform(0.0, 8.0)), 1.0)
    beam = (np.hypot(x - side // 2, y - side // 2) < disc).astype(float)
    image = fftconvolve(np.pad(image, side // 2, mode="edge"), beam / beam.sum(), mode="same")
    image = image[side // 2 : -(side // 2), side // 2 : -(side // 2)]  # all is smeared by the beam
    image += 30.0 * (np.hypot(x - cx, y - cy) < disc)
    return rng.poisson(10.0 ** rng.uniform(1.0, 3.0) * image + 1.0).astype(float)


def measurement(image: np.ndarray, scale: float | None = None) -> Measurement:
    """The image as a record; calibrated where a scale (1/angstrom per pixel) is given."""
    unit, step = ("px", 1.0) if scale is None else ("1/angstrom", scale)
    axes = tuple(
        Axis(f"k{name}", unit, step * np.arange(n, dtype=float))
        for name, n in zip("yx", image.shape, strict=True)
    )
    provenance = Provenance("simulated", "", "simulation")
    return Measurement(Modality.DIFFRACTION, image, axes, "counts", provenance)
