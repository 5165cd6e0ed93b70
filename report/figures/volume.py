"""Figures of a segmented volume: its slices, its histogram, the sizes of its bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xtalfuse.encoders.volume.objects import sizes
from xtalfuse.encoders.volume.segment import VolumeSegmentation
from xtalfuse.report.figures.pattern import ALARM, INK, MUTED, STYLE, phase_colour, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLANES = ("xy", "xz", "yz")  # horizontal and vertical axis of each picture
EMPTY = (0.93, 0.94, 0.95)  # colour of pores, the paper's own
_GOLDEN = 0.61803398875  # steps of hue that never come close to an earlier one


def slices_figure(
    segmentation: VolumeSegmentation, grey: np.ndarray, where: tuple[int, int, int] | None = None
) -> Figure:
    """Three orthogonal slices: grey values with the outlines of the bodies, and the bodies.

    Parameters
    ----------
    segmentation : of the volume
    grey : (Z, Y, X) the volume itself
    where : z, y, x of the slices, voxels; the middle if None

    Raises
    ------
    ValueError
        If the volume and its segmentation have different shapes.
    """
    import matplotlib
    from matplotlib.figure import Figure

    if grey.shape != segmentation.labels.shape:
        raise ValueError(f"volume {grey.shape} and labels {segmentation.labels.shape} differ")
    z, y, x = where or tuple(n // 2 for n in grey.shape)
    cuts = [(z,), (slice(None), y), (slice(None), slice(None), x)]
    pore = np.isin(segmentation.label_phase, segmentation.pore_phases)
    empty = np.append(pore, True)  # the last is for what has no label
    extents = dict(zip("zyx", np.array(grey.shape) * segmentation.step_um, strict=True))
    # the same contrast in all pictures; a bright speck must not darken the rest
    low, high = np.percentile(np.concatenate([grey[cut].ravel() for cut in cuts]), [0.5, 99.5])
    with matplotlib.rc_context({**STYLE, "axes.spines.left": False, "axes.spines.bottom": False}):
        figure = Figure(figsize=(11.0, 7.6), layout="constrained")
        rows = figure.subplots(2, 3)
        for column, (plane, cut) in enumerate(zip(PLANES, cuts, strict=True)):
            extent = (0.0, float(extents[plane[0]]), 0.0, float(extents[plane[1]]))
            labels = segmentation.labels[cut]
            edges = outlines(np.where(empty[labels], -1, labels))  # pores are not cut up here
            picture = np.repeat(_scaled(grey[cut], low, high)[..., None], 3, axis=2)
            picture[edges] = matplotlib.colors.to_rgb("#F2B705")
            _show(rows[0, column], picture, extent)
            _show(rows[1, column], body_colours(segmentation, labels), extent)
            rows[0, column].set_title(_position(plane, (z, y, x), segmentation), fontsize=10)
        _scale_bar(rows[1, 0], float(extents["x"]), segmentation.calibrated)
    return figure


def _show(axes: Axes, picture: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    axes.imshow(picture, origin="lower", extent=extent, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])


def _scaled(picture: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((picture - low) / max(high - low, 1e-12), 0.0, 1.0)


def _position(plane: str, where: tuple[int, int, int], segmentation: VolumeSegmentation) -> str:
    (missing,) = set("xyz") - set(plane)
    index = "zyx".index(missing)
    if not segmentation.calibrated:
        return f"{plane} at {missing} = {where[index]} voxels"
    return f"{plane} at {missing} = {where[index] * segmentation.step_um[index]:.3g} µm"


def outlines(labels: np.ndarray) -> np.ndarray:
    """(rows, columns) bool: pixels whose right or upper neighbour is of another body."""
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return edge


def body_colours(segmentation: VolumeSegmentation, labels: np.ndarray) -> np.ndarray:
    """(..., 3) colour of each pixel: a hue of its own for each body, pores like paper.

    A phase that is one body, or all but one, keeps the colour of its phase.
    """
    from matplotlib.colors import hsv_to_rgb, to_rgb

    number = np.arange(len(segmentation))
    hue = (number * _GOLDEN) % 1.0
    # brightness varies too: neighbours of like hue stay apart for the colour-blind
    value = 0.65 + 0.3 * ((number * 0.7548776662) % 1.0)
    table = hsv_to_rgb(np.stack([hue, np.full(len(number), 0.55), value], axis=1))
    voxels = sizes(segmentation.labels, len(segmentation))
    for index, phase in enumerate(segmentation.phases):
        own = segmentation.label_phase == index
        if phase.pore:
            table[own] = EMPTY
        elif own.any() and voxels[own].max() > 0.9 * voxels[own].sum():
            table[own] = to_rgb(phase_colour(index))
    return np.vstack([table, [1.0, 1.0, 1.0]])[labels]


def _scale_bar(axes: Axes, width: float, calibrated: bool) -> None:
    """A bar of a round length, about a quarter of the picture."""
    decade = 10.0 ** np.floor(np.log10(width / 4.0))
    length = max(step * decade for step in (1.0, 2.0, 5.0) if step * decade <= width / 4.0)
    start = 0.05 * width
    axes.plot([start, start + length], [start, start], color=INK, lw=4, solid_capstyle="butt")
    unit = "µm" if calibrated else "voxels"
    axes.text(
        start + length / 2, 1.6 * start, f"{length:g} {unit}", ha="center", va="bottom",
        fontsize=9, bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1.5},
    )  # fmt: skip


def histogram_figure(segmentation: VolumeSegmentation) -> Figure:
    """Histogram of the calm voxels, coloured by phase, with the cuts between the phases.

    Raises
    ------
    ValueError
        If the volume was one of labels, which has no thresholds.
    """
    import matplotlib
    from matplotlib.figure import Figure

    cut = segmentation.thresholds
    if cut is None:
        raise ValueError("a volume of labels has no histogram of grey values")
    middle = 0.5 * (cut.edges[1:] + cut.edges[:-1])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        group = np.searchsorted(cut.cuts, middle, side="right")
        for index, phase in enumerate(segmentation.phases):
            share = 100.0 * segmentation.fractions[index]
            axes.bar(
                middle[group == index], cut.counts[group == index], np.diff(cut.edges)[0],
                color=MUTED if phase.pore else phase_colour(index),
                label=f"{plain(phase.name)}  {share:.3g} %",
            )  # fmt: skip
        for position in cut.cuts:
            axes.axvline(position, color=ALARM, lw=1.2)
            axes.annotate(
                f"{position:.4g}", (position, 1.0), xycoords=("data", "axes fraction"),
                xytext=(3, -3), textcoords="offset points", va="top", color=ALARM, fontsize=8.5,
            )  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.set_xlabel("grey value")
        axes.set_ylabel("calm voxels")
        axes.set_title(plain(cut.criterion), fontsize=9.5, loc="left")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.1), ncols=4, borderaxespad=0.0)
    return figure


def size_figure(segmentation: VolumeSegmentation, phase: int) -> Figure:
    """Distribution of the equivalent-sphere diameters of the bodies of one phase.

    Bars are shares of the volume, the line counts bodies; D10, D50 and D90 are the diameters
    below which that percentage of the volume lies.

    Raises
    ------
    ValueError
        If the phase has no bodies.
    """
    import matplotlib
    from matplotlib.figure import Figure

    diameter = segmentation.diameters(phase)
    if not len(diameter):
        raise ValueError(f"{segmentation.phases[phase].name}: no bodies of this phase")
    volume = diameter**3
    unit = "µm" if segmentation.calibrated else "voxels"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        span = (0.9 * diameter.min(), 1.1 * diameter.max())
        bins = np.geomspace(*span, int(np.clip(2.0 * np.cbrt(len(diameter)), 8, 30)) + 1)
        share = np.histogram(diameter, bins, weights=100.0 * volume / volume.sum())[0]
        count = np.histogram(diameter, bins)[0] * 100.0 / len(diameter)
        axes.stairs(share, bins, fill=True, color=phase_colour(phase), alpha=0.6, label="volume")
        axes.stairs(count, bins, color=INK, lw=1.1, label="number")
        for percent, position in zip((10, 50, 90), volume_quantiles(diameter), strict=True):
            axes.axvline(position, color=MUTED, lw=0.9, ls=(0, (4, 3)))
            axes.annotate(
                f"D{percent} {position:.3g}", (position, 1.0),
                xycoords=("data", "axes fraction"), xytext=(2, 0), textcoords="offset points",
                rotation=90, va="top", fontsize=8, color=INK,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axes.set_xticks(_round_numbers(*span))
        axes.set_xlim(*span)
        axes.set_ylim(0.0, 1.25 * max(share.max(), count.max()))
        axes.set_xlabel(f"diameter of the sphere of the same volume ({unit})")
        axes.set_ylabel("share (%)")
        name = plain(segmentation.phases[phase].name)
        axes.set_title(f"{name}: {len(diameter)} bodies", fontsize=9.5, loc="left")
        axes.legend(loc="upper left")
    return figure


def volume_quantiles(diameter: np.ndarray) -> np.ndarray:
    """(3,) D10, D50, D90: diameters below which 10, 50, 90 % of the volume lies."""
    ordered = np.sort(diameter)
    below = np.cumsum(ordered**3)
    return ordered[np.searchsorted(below, np.array([0.1, 0.5, 0.9]) * below[-1])]


def _round_numbers(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... between two numbers."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    found = [step * 10.0**decade for decade in decades for step in (1.0, 2.0, 5.0)]
    return [number for number in found if low <= number <= high]
