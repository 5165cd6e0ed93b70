"""Where the centre of a ring pattern is, how it is distorted, and which pixels count."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, optimize

from xtalfuse.physics.crystal.polar_bins import PolarBins, turned_match

COARSE_PX = 320  # the search for the centre runs on an image binned to about this size
SHADOW_PX = 640  # likewise the search for the beam stop
ELLIPSE_PRIOR = 0.01  # standard deviation of e1, e2: a badly aligned projector gives 2 %


@dataclass(frozen=True)
class Geometry:
    """Centre and elliptical distortion of a pattern.

    A point p (pixels) has the undistorted position ``exp(-E) (p - centre)`` with
    ``E = [[e1, e2], [e2, -e1]]``: the distortion keeps areas, so that the radius of a ring is
    the geometric mean of its semi-axes.
    """

    x: float
    y: float
    e1: float = 0.0
    e2: float = 0.0

    @property
    def ellipticity(self) -> float:
        """(major - minor) / mean semi-axis."""
        return 2.0 * float(np.hypot(self.e1, self.e2))

    @property
    def angle_deg(self) -> float:
        """Direction of the major axis, from x towards y, 0 to 180 degrees."""
        return float(np.degrees(0.5 * np.arctan2(self.e2, self.e1))) % 180.0

    def near(self, shape: tuple[int, ...]) -> bool:
        """Whether the centre is on the image or at most half its size outside."""
        ny, nx = shape[:2]
        return -0.5 * nx < self.x < 1.5 * nx and -0.5 * ny < self.y < 1.5 * ny

    def matrix(self, sign: float = 1.0) -> np.ndarray:
        """``exp(sign * E)``: (2, 2), takes circles to the distorted rings for sign = 1."""
        size = float(np.hypot(self.e1, self.e2))
        generator = sign * np.array([[self.e1, self.e2], [self.e2, -self.e1]])
        slope = np.sinh(size) / size if size else 1.0
        return np.cosh(size) * np.eye(2) + slope * generator

    def undistort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Undistorted coordinates relative to the centre, same shapes as `x` and `y`."""
        inverse = self.matrix(-1.0)
        dx, dy = x - self.x, y - self.y
        return inverse[0, 0] * dx + inverse[0, 1] * dy, inverse[1, 0] * dx + inverse[1, 1] * dy

    def outline(self, radius_px: float, points: int = 361) -> np.ndarray:
        """Ring of this radius on the image: (points, 2) x and y in pixels."""
        angle = np.linspace(0.0, 2.0 * np.pi, points)
        circle = radius_px * np.stack([np.cos(angle), np.sin(angle)])
        return (self.matrix() @ circle).T + np.array([self.x, self.y])


def defects(image: np.ndarray) -> np.ndarray:
    """Pixels to leave out before anything is known of the pattern: (ny, nx) bool, True = bad.

    Not finite, hot or dead (one or two pixels far outside all of their neighbours, unlike
    a diffraction spot, which the optics spread over several), and saturated areas.
    """
    bad = ~np.isfinite(image)
    finite = np.where(bad, np.nanmedian(image), image)
    level = np.sqrt(np.maximum(finite - np.percentile(finite, 0.5), 0.0))
    departure = np.abs(level - ndimage.uniform_filter(level, 3))
    scatter = ndimage.uniform_filter(np.minimum(departure, np.percentile(departure, 98)), 31)
    noise = 1.4 * scatter + 1e-9 * (1.0 + level.max())
    y, x = np.nonzero(departure > 4.0 * noise)
    around = np.stack([i.ravel() for i in np.mgrid[-2:3, -2:3]])  # (2, 25)
    rows = np.clip(y[:, None] + around[0], 0, level.shape[0] - 1)
    columns = np.clip(x[:, None] + around[1], 0, level.shape[1] - 1)
    ordered = np.sort(level[rows, columns], axis=1)  # [n, 25]
    here, middle, limit = level[y, x], ordered[:, 12], 8.0 * noise[y, x]
    for third, outside in (
        (ordered[:, -3], here - ordered[:, -3]),
        (ordered[:, 2], ordered[:, 2] - here),
    ):
        bad[y, x] |= (outside > limit) & (outside > 3.0 * np.abs(third - middle))
    top = finite[~bad].max()
    clipped = (finite >= top) & ~bad
    below = finite[(finite < top) & ~bad]
    next_count = int((finite == below.max()).sum()) if below.size else 0
    if clipped.sum() >= 10 and clipped.sum() > 3 * next_count:
        bad |= ndimage.binary_dilation(clipped, iterations=2)
    return bad


def local_contrast(image: np.ndarray, good: np.ndarray, reach_px: float = 8.0) -> np.ndarray:
    """Image with its slow part removed and its local scatter set to one.

    Weak outer rings count as much as the brightest one, and neither the direct beam nor the
    slope of the background can pull the centre.

    Parameters
    ----------
    image : (ny, nx) counts
    good : (ny, nx) bool, pixels that may be used
    reach_px : standard deviation of the Gaussian that takes the slow part, pixels
    """
    level = np.sqrt(np.maximum(image - np.percentile(image[good], 0.5), 0.0))
    weight = ndimage.gaussian_filter(good.astype(float), reach_px) + 1e-6
    mean = ndimage.gaussian_filter(np.where(good, level, 0.0), reach_px) / weight
    residual = np.where(good, level - mean, 0.0)
    power = ndimage.gaussian_filter(residual**2, 1.5 * reach_px)
    power /= ndimage.gaussian_filter(good.astype(float), 1.5 * reach_px) + 1e-6
    floor = 0.05 * np.median(power[good]) + 1e-12
    return np.where(good, residual / np.sqrt(power + floor), 0.0)


def find_geometry(image: np.ndarray, good: np.ndarray, start: Geometry | None = None) -> Geometry:
    """Centre and ellipse to about a pixel, near `start` or with nothing known beforehand.

    Candidates come from where the gradients of ring edges cross (a Hough transform) and from
    the inversion symmetry of a diffraction pattern; the one whose radial profile is sharpest
    wins and is improved on the same measure.

    Parameters
    ----------
    image : (ny, nx) counts
    good : (ny, nx) bool, pixels that may be used
    start : to begin from; None where nothing is known
    """
    factor = max(1, int(np.ceil(max(image.shape) / COARSE_PX)))
    shift = (factor - 1) / 2.0  # centre of a block of factor pixels
    small, small_good = _binned(image, good, factor)
    contrast = local_contrast(small, small_good)
    if start is None:
        starts = _gradient_crossings(contrast, small_good) + _inversion_centers(contrast)
        found = [_sharpen(contrast, small_good, one, ellipse=False) for one in starts]
        best = max(found, key=lambda item: item[1])[0]
    else:
        best = replace(start, x=(start.x - shift) / factor, y=(start.y - shift) / factor)
    best = _sharpen(contrast, small_good, best, ellipse=True)[0]
    return replace(best, x=best.x * factor + shift, y=best.y * factor + shift)


def _binned(image: np.ndarray, good: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the good pixels in blocks of factor x factor, and blocks that hold some."""
    if factor == 1:
        return np.where(good, image, np.median(image[good])), good
    ny, nx = (n // factor for n in image.shape)
    blocks = (slice(0, ny * factor), slice(0, nx * factor))
    shape = (ny, factor, nx, factor)
    count = good[blocks].reshape(shape).sum((1, 3))
    total = np.where(good, image, 0.0)[blocks].reshape(shape).sum((1, 3))
    usable = 2 * count >= factor**2
    mean = total / np.maximum(count, 1)
    return np.where(usable, mean, np.median(image[good])), usable


def _gradient_crossings(contrast: np.ndarray, good: np.ndarray, keep: int = 3) -> list[Geometry]:
    """Points where the normals of edges cross: the centre of concentric rings."""
    smooth = ndimage.gaussian_filter(contrast, 1.5)
    gy, gx = np.gradient(smooth)
    size = np.hypot(gx, gy)
    size[~ndimage.binary_erosion(good, iterations=3, border_value=0)] = 0.0
    strong = np.flatnonzero(size > np.percentile(size, 85))
    strong = strong[:: max(1, len(strong) // 6000)]
    y, x = np.divmod(strong, contrast.shape[1])
    norm = np.maximum(size, 1e-12)
    ux, uy = (gx / norm).flat[strong], (gy / norm).flat[strong]
    ny, nx = contrast.shape
    reach = float(np.hypot(nx, ny))
    steps = np.concatenate([np.arange(-reach, -8.0, 2.0), np.arange(8.0, reach, 2.0)])
    margin = 0.3  # the centre may lie outside the camera
    column = np.round((x[:, None] + steps * ux[:, None] + margin * nx) / 2.0).astype(int)
    row = np.round((y[:, None] + steps * uy[:, None] + margin * ny) / 2.0).astype(int)
    rows, columns = int(ny * (0.5 + margin)) + 1, int(nx * (0.5 + margin)) + 1
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    votes = np.bincount(row[inside] * columns + column[inside], minlength=rows * columns)
    density = ndimage.gaussian_filter(votes.reshape(rows, columns).astype(float), 1.5)
    density -= ndimage.gaussian_filter(density, 12.0)
    found = []
    for _ in range(keep):
        i, j = np.unravel_index(int(np.argmax(density)), density.shape)
        found.append(Geometry(2.0 * j - margin * nx, 2.0 * i - margin * ny))
        density[max(0, i - 6) : i + 7, max(0, j - 6) : j + 7] = -np.inf
    return found


def _inversion_centers(contrast: np.ndarray, keep: int = 2) -> list[Geometry]:
    """Points about which the image is most like itself turned by 180 degrees (Friedel)."""
    clipped = np.clip(contrast, -1.0, 3.0)
    match, overlap = turned_match(clipped), turned_match(np.ones_like(clipped))
    match /= np.sqrt(np.maximum(overlap, 0.05 * clipped.size))
    found = []
    for _ in range(keep):
        i, j = np.unravel_index(int(np.argmax(match)), match.shape)
        found.append(Geometry(j / 2.0, i / 2.0))
        match[max(0, i - 6) : i + 7, max(0, j - 6) : j + 7] = -np.inf
    return found


def _sharpen(
    contrast: np.ndarray, good: np.ndarray, start: Geometry, *, ellipse: bool
) -> tuple[Geometry, float]:
    """Geometry near `start` with the sharpest radial profile, and its sharpness."""
    y, x = np.nonzero(good)
    values = contrast[y, x]

    def blur(parameters: np.ndarray) -> float:
        e1, e2 = parameters[2:] / 300.0 if ellipse else (start.e1, start.e2)
        here = Geometry(parameters[0], parameters[1], e1, e2)
        if not here.near(contrast.shape):
            return 1.0
        u, v = here.undistort(x, y)
        return 10.0 * float(e1**2 + e2**2) - _sharpness(u, v, values)

    first = [start.x, start.y] + ([300.0 * start.e1, 300.0 * start.e2] if ellipse else [])
    step = np.eye(len(first)) * 3.0
    simplex = np.vstack([first, np.asarray(first) + step])
    options = {"initial_simplex": simplex, "xatol": 0.1, "fatol": 1e-6, "maxfev": 120}
    result = optimize.minimize(blur, first, method="Nelder-Mead", options=options)
    e1, e2 = result.x[2:] / 300.0 if ellipse else (start.e1, start.e2)
    return Geometry(*map(float, (*result.x[:2], e1, e2))), -float(result.fun)


def _sharpness(u: np.ndarray, v: np.ndarray, values: np.ndarray) -> float:
    """Share of the variance of `values` that narrow features of their radial mean explain."""
    bins = PolarBins.of(u, v)
    count, total = bins.sums()[0], bins.sums(values)[0]
    mean = total / np.maximum(count, 1.0)
    mean -= ndimage.gaussian_filter1d(mean, 8.0)
    return float(np.dot(count, mean**2)) / len(values)


def contrast_with_decoys(image: np.ndarray, good: np.ndarray, geometry: Geometry) -> float:
    """Sharpness of the radial profile over the best that other centres reach.

    A picture with some texture has a "best" centre too, but one hardly better than the next.

    Parameters
    ----------
    image : (ny, nx) counts
    good : (ny, nx) bool, pixels that may be used
    geometry : whose centre is compared with others
    """
    factor = max(1, int(np.ceil(max(image.shape) / COARSE_PX)))
    small, small_good = _binned(image, good, factor)
    contrast = local_contrast(small, small_good)
    shift = (factor - 1) / 2.0
    here = replace(geometry, x=(geometry.x - shift) / factor, y=(geometry.y - shift) / factor)
    y, x = np.nonzero(small_good)
    values = contrast[y, x]
    best = _sharpness(*here.undistort(x, y), values)
    ny, nx = small.shape
    decoys = [
        replace(here, x=nx * i, y=ny * j)
        for i in np.linspace(0.1, 0.9, 7)
        for j in np.linspace(0.1, 0.9, 7)
        if np.hypot(nx * i - here.x, ny * j - here.y) > 0.12 * max(nx, ny)
    ]
    others = [_sharpness(*one.undistort(x, y), values) for one in decoys]
    return best / max(max(others), 1e-12)


def shadow(image: np.ndarray, good: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Beam stop and vignetted corners: (ny, nx) bool, True = in the shadow.

    A shadow is a connected area far below the median of the ring that it cuts. Where a stop
    covers most of a circle the median is itself in shadow, so the area then grows into
    neighbours as dark as the shadow's own core.

    Parameters
    ----------
    image : (ny, nx) counts
    good : (ny, nx) bool, pixels that may be used
    geometry : centre and ellipse of the rings
    """
    factor = max(1, int(np.ceil(max(image.shape) / SHADOW_PX)))
    if factor > 1:
        small, small_good = _binned(image, good, factor)
        shift = (factor - 1) / 2.0
        near = replace(geometry, x=(geometry.x - shift) / factor, y=(geometry.y - shift) / factor)
        low = shadow(small, small_good, near).repeat(factor, 0).repeat(factor, 1)
        short = [(0, n - m) for n, m in zip(image.shape, low.shape, strict=True)]
        return np.pad(low, short, mode="edge")
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    u, v = geometry.undistort(x, y)
    bins = np.hypot(u, v).astype(int)
    dark = np.percentile(image[good], 0.1)
    smooth = ndimage.uniform_filter(np.where(good, image - dark, 0.0), 3)
    smooth /= np.maximum(ndimage.uniform_filter(good.astype(float), 3), 0.1)
    smooth /= _slow_asymmetry(smooth, good, bins)
    middle, scatter = _annular_median(bins[good], smooth[good], int(bins.max()) + 1)
    low = good & (smooth < middle[bins] - 3.0 * scatter[bins]) & (smooth < 0.6 * middle[bins])
    low = ndimage.binary_opening(low, iterations=2)
    labels, count = ndimage.label(low)
    if not count:
        return np.zeros_like(good)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    low = (areas >= max(30, 5e-4 * image.size))[labels]
    if not low.any():
        return low
    core = ndimage.binary_erosion(low, iterations=2)
    if core.any():
        near = np.hypot(u, v) < 0.25 * max(image.shape)
        ceiling = np.percentile(smooth[core & near] if (core & near).any() else smooth[core], 95)
        low = ndimage.binary_propagation(low, mask=low | (near & (smooth <= ceiling)))
    return ndimage.binary_dilation(low, iterations=2)


def _slow_asymmetry(smooth: np.ndarray, good: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Smooth factor (ny, nx) by which one side of the pattern is brighter than the other."""
    middle, _ = _annular_median(bins[good], smooth[good], int(bins.max()) + 1)
    floor = 0.02 * np.percentile(smooth[good], 99) + 1e-12
    y, x = (np.linspace(-1.0, 1.0, n) for n in smooth.shape)
    terms = np.polynomial.polynomial.polyvander2d(
        np.broadcast_to(x, smooth.shape), np.broadcast_to(y[:, None], smooth.shape), [3, 3]
    )[..., [1, 2, 3, 4, 5, 6, 8, 9, 12]]
    ratio = np.log((np.maximum(smooth, 0.0) + floor) / (np.maximum(middle[bins], 0.0) + floor))
    step = max(1, max(smooth.shape) // 128)
    use = good[::step, ::step]
    design, target = terms[::step, ::step][use], ratio[::step, ::step][use]
    kept = np.abs(target) < 1.0
    for _ in range(5):
        factors = np.linalg.lstsq(design[kept], target[kept], rcond=None)[0]
        residual = target - design @ factors
        kept = np.abs(residual) < 3.0 * 1.4826 * np.median(np.abs(residual)) + 1e-9
    return np.exp(np.clip(terms @ factors, -2.0, 2.0))


def _annular_median(
    bins: np.ndarray, values: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust standard deviation of `values` in each of `size` integer bins."""
    order = np.lexsort((values, bins))
    ordered = values[order]
    count = np.bincount(bins, minlength=size)
    start = np.cumsum(count) - count
    last = len(values) - 1

    def quantile(q: float) -> np.ndarray:
        return ordered[np.minimum(start + (q * (count - 1)).clip(0).astype(int), last)]

    middle = quantile(0.5)
    return middle, (quantile(0.75) - middle) * 1.4826 + 1e-12
