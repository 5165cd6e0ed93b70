"""Figures of an orientation map: directions, phases, grains, boundaries, bending, grain size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.encoders.grains.map import Segmentation
from xtalfuse.encoders.grains.size import GrainSize, Value
from xtalfuse.encoders.grains.twins import SIGMA3
from xtalfuse.report.figures.colour_key import draw_key
from xtalfuse.report.figures.map_picture import NOTHING, MapPicture, boundary_lines, draw_image
from xtalfuse.report.figures.pattern import INK, MUTED, STYLE, phase_colour, plain
from xtalfuse.report.notation import with_uncertainty

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIRECTIONS = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}

# qualities that make a good grey background, the best first
CONTRAST = ("band_contrast", "iq", "image_quality", "band_slope", "ci", "dot_product")

# disorientations of the boundary map: from, to (degrees), name, colour, line width
CLASSES = (
    (2.0, 5.0, "2–5°", "#39A9E0", 0.5),
    (5.0, 15.0, "5–15°", "#F2A900", 0.9),
    (15.0, 181.0, "> 15°", "#101010", 0.9),
)
TWIN_COLOUR, PHASE_COLOUR = "#E3170A", "#0B9A5B"
GRAIN_HUES, GRAIN_TONES = 14, ((0.45, 0.97), (0.55, 0.74), (0.30, 0.88))  # saturation, value
APART = 0.45  # distance of colours, in red, green and blue, at which neighbours look different
BRIGHT = 0.55  # grey background begins here, so that black lines stand out


def direction_figure(segmentation: Segmentation, section: int | None = None) -> Figure:
    """Which crystal direction lies along x, y and z of the specimen, with the colour key."""
    points = segmentation.crystal_map
    picture = MapPicture.of(points, section)
    keys = _laue_groups(segmentation)
    figure, axes = _canvas(picture, 3, key_rows=len(keys))
    lines = boundary_lines(points, _grain_pairs(segmentation), picture.section)
    for ax, (name, direction) in zip(axes, DIRECTIONS.items(), strict=False):
        draw_image(ax, picture, picture.paint(_direction_colours(segmentation, direction)))
        _draw_lines(ax, lines, INK, 0.35)
        ax.set_title(f"∥ {name}", fontsize=11)
    for ax, (laue, names) in zip(axes[3:], keys.items(), strict=True):
        draw_key(ax, laue, plain(", ".join(names)))
    return figure


def phase_figure(segmentation: Segmentation, section: int | None = None) -> Figure:
    """Which phase each point is, as the file has it."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    points = segmentation.crystal_map
    picture = MapPicture.of(points, section)
    figure, (axes,) = _canvas(picture, 1)
    colours = np.array([to_rgb(phase_colour(k)) for k in range(len(points.phases))])
    image = np.where((points.phase >= 0)[:, None], colours[np.maximum(points.phase, 0)], np.nan)
    draw_image(axes, picture, picture.paint(image))
    handles = [
        Patch(color=phase_colour(number), label=plain(phase.name))
        for number, phase in enumerate(points.phases)
        if (points.phase == number).any()
    ]
    if (points.phase < 0).any():
        handles.append(Patch(color=NOTHING, label="not indexed"))
    _legend(axes, handles)
    return figure


def grain_figure(segmentation: Segmentation, section: int | None = None) -> Figure:
    """Grains in colours that tell neighbours apart; a colour means nothing else."""
    picture = MapPicture.of(segmentation.crystal_map, section)
    figure, (axes,) = _canvas(picture, 1)
    colours = grain_colours(segmentation.graph.edges, len(segmentation.graph))
    grain = segmentation.grain
    image = np.where((grain >= 0)[:, None], colours[np.maximum(grain, 0)], np.nan)
    draw_image(axes, picture, picture.paint(image))
    lines = boundary_lines(segmentation.crystal_map, _grain_pairs(segmentation), picture.section)
    _draw_lines(axes, lines, INK, 0.5)
    whole = int((~segmentation.graph.on_border).sum())
    axes.set_title(f"{len(segmentation.graph)} grains, {whole} of them whole", fontsize=10)
    return figure


def grain_colours(edges: np.ndarray, count: int) -> np.ndarray:
    """(n, 3) colours in which touching grains differ as much as a palette allows."""
    from matplotlib.colors import hsv_to_rgb

    hues = np.arange(GRAIN_HUES) / GRAIN_HUES
    palette = np.array([hsv_to_rgb((h, s, v)) for s, v in GRAIN_TONES for h in hues])
    apart = np.linalg.norm(palette[:, None] - palette[None], axis=-1)
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for i, j in edges.T.tolist():
        neighbours[i].append(j)
        neighbours[j].append(i)
    chosen, used = np.full(count, -1), np.zeros(len(palette))
    for grain in np.argsort([-len(around) for around in neighbours], kind="stable"):
        taken = [chosen[other] for other in neighbours[grain] if chosen[other] >= 0]
        room = apart[:, taken].min(axis=1) if taken else np.ones(len(palette))
        allowed = np.flatnonzero(room >= min(APART, room.max()))
        chosen[grain] = allowed[np.argmin(used[allowed])]
        used[chosen[grain]] += 1
    return palette[chosen]


def boundary_figure(segmentation: Segmentation, section: int | None = None) -> Figure:
    """Boundaries by disorientation, twins and phase boundaries, over the pattern quality."""
    from matplotlib.lines import Line2D

    points = segmentation.crystal_map
    picture = MapPicture.of(points, section)
    figure, (axes,) = _canvas(picture, 1)
    name, grey = _background(segmentation)
    draw_image(axes, picture, picture.paint(np.repeat(grey[:, None], 3, axis=1)))
    handles = []
    for label, colour, width, pairs in _boundary_classes(segmentation):
        lines = boundary_lines(points, pairs, picture.section)
        if len(lines):
            _draw_lines(axes, lines, colour, width)
            handles.append(Line2D([], [], color=colour, lw=2.0, label=label))
    _legend(axes, handles)
    if name:
        axes.set_title(f"background: {name.replace('_', ' ')}", fontsize=9, color=MUTED)
    return figure


def _boundary_classes(segmentation: Segmentation) -> list[tuple[str, str, float, np.ndarray]]:
    """Name, colour, line width and pairs of points of each kind of boundary, top kind last.

    Between grains the disorientation is that of their means, inside a grain that of the points.
    """
    graph, pairs = segmentation.graph, segmentation.pairs
    ends = np.sort(segmentation.grain[pairs], axis=0)
    number = len(graph)
    edge = np.searchsorted(graph.edges[0] * number + graph.edges[1], ends[0] * number + ends[1])
    between = np.flatnonzero((ends[0] >= 0) & (ends[0] != ends[1]))
    inside = (ends[0] == ends[1]) & np.isfinite(segmentation.grod[pairs]).all(axis=0)

    degrees = np.where(inside, np.degrees(segmentation.pair_angle), np.nan)
    is_twin = np.zeros(len(degrees), bool)
    is_twin[inside] = _are_twins(segmentation, np.flatnonzero(inside))
    degrees[between] = np.degrees(graph.misorientation[edge[between]])
    is_twin[between] = segmentation.sigma[edge[between]] == SIGMA3
    phase = np.zeros(len(degrees), bool)
    phase[between] = graph.phase[ends[0, between]] != graph.phase[ends[1, between]]

    found = [
        (name, colour, width, pairs[:, (degrees >= low) & (degrees < high) & ~is_twin])
        for low, high, name, colour, width in CLASSES
    ]
    found.append(("between phases", PHASE_COLOUR, 0.9, pairs[:, phase]))
    found.append(("Σ3", TWIN_COLOUR, 1.1, pairs[:, is_twin]))
    return found


def _are_twins(segmentation: Segmentation, chosen: np.ndarray) -> np.ndarray:
    """(k,) bool: which of the chosen pairs of points meet at a twin boundary."""
    from xtalfuse.physics.orientation.csl import CUBIC, brandon_limit, csl_match, csl_table
    from xtalfuse.physics.orientation.disorientation import conjugate, multiply

    points = segmentation.crystal_map
    twin = csl_table()[0]
    angle = segmentation.pair_angle[chosen]
    cubic = np.array([phase.laue == CUBIC for phase in points.phases] + [False])
    near = np.abs(angle - twin.angle) < brandon_limit(twin.sigma)
    near &= cubic[points.phase[segmentation.pairs[0, chosen]]]
    found = np.zeros(len(chosen), bool)
    if near.any():
        a, b = points.orientation[segmentation.pairs[:, chosen[near]]]
        found[near] = csl_match(multiply(b, conjugate(a)), sigma_max=twin.sigma)[0] == 0
    return found


def _background(segmentation: Segmentation) -> tuple[str, np.ndarray]:
    """Name of the quality that is shown behind boundaries, and its grey (p,)."""
    quality = segmentation.crystal_map.quality
    for name in CONTRAST:
        if name in quality and np.ptp(quality[name]) > 0:
            values = np.asarray(quality[name], float)
            low, high = np.nanpercentile(values, [1, 99])
            scaled = np.clip((values - low) / (high - low or 1.0), 0.0, 1.0)
            return name, BRIGHT + (1.0 - BRIGHT) * scaled
    return "", np.ones(len(segmentation.grain))


def bending_figure(segmentation: Segmentation, section: int | None = None) -> Figure:
    """Kernel average misorientation, which shows where the lattice is bent."""
    degrees = np.degrees(segmentation.kam)
    top = float(np.nanpercentile(degrees, 99)) if np.isfinite(degrees).any() else 1.0
    label = f"KAM, first neighbours below {segmentation.threshold_deg:g}° (°)"
    return _value_figure(
        segmentation, degrees, label, section, "white", cmap="viridis", vmin=0.0, vmax=top or 1.0
    )


def stress_figure(
    segmentation: Segmentation, field: np.ndarray, section: int | None = None
) -> Figure:
    """A stress (p,) at each point, relative to its mean: blue below, red above."""
    reach = float(np.nanpercentile(np.abs(field - 1.0), 99)) or 1.0
    return _value_figure(
        segmentation, field, "stress along x / mean", section, INK,
        cmap="RdBu_r", vmin=1.0 - reach, vmax=1.0 + reach,
    )  # fmt: skip


def taylor_figure(
    segmentation: Segmentation, factor: np.ndarray, section: int | None = None
) -> Figure:
    """Taylor factor (n,) of each grain, NaN where slip is not known: dark grains yield last."""
    grain = segmentation.grain
    values = np.where(grain < 0, np.nan, factor[np.maximum(grain, 0)])
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (2.0, 4.0)
    values = np.where(np.isfinite(values), values, np.nan)  # what no slip can strain
    label = "Taylor factor, tension along x"
    return _value_figure(
        segmentation, values, label, section, INK, cmap="magma_r", vmin=low, vmax=high
    )


def _value_figure(
    segmentation: Segmentation,
    values: np.ndarray,
    label: str,
    section: int | None,
    line: str,
    **options: Any,
) -> Figure:
    """A number (p,) at each point in colours, with the boundaries of the grains."""
    picture = MapPicture.of(segmentation.crystal_map, section)
    figure, (axes,) = _canvas(picture, 1)
    shown = draw_image(axes, picture, picture.spread(values), **options)
    lines = boundary_lines(segmentation.crystal_map, _grain_pairs(segmentation), picture.section)
    _draw_lines(axes, lines, line, 0.4)
    bar = figure.colorbar(shown, ax=axes, shrink=0.7, pad=0.02, extend="both")
    bar.set_label(label)
    bar.outline.set_visible(False)
    return figure


def size_figure(segmentation: Segmentation, size: GrainSize) -> Figure:
    """Histogram of the diameters of whole grains, its log-normal fit, and ASTM numbers."""
    import matplotlib
    from matplotlib.figure import Figure

    graph = segmentation.graph
    diameter = graph.diameter[~graph.on_border]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.6), layout="constrained")
        axes = figure.subplots()
        if len(diameter):
            low, high = np.log(diameter.min()) - 0.05, np.log(diameter.max()) + 0.05
            bins = np.linspace(low, high, int(np.clip(2.0 * np.cbrt(len(diameter)), 5, 40)) + 1)
            axes.hist(diameter, np.exp(bins).tolist(), color="#9CC4E4", edgecolor="white", lw=0.6)
            if size.log_normal is not None and size.log_normal[1] > 0:
                mean, spread = size.log_normal
                at = np.linspace(low, high, 200)
                curve = np.exp(-0.5 * ((at - mean) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
                axes.plot(
                    np.exp(at), curve * len(diameter) * (bins[1] - bins[0]), color=INK, lw=1.2
                )
            axes.set_xscale("log")
            _plain_ticks(axes, float(diameter.min()), float(diameter.max()))
        kind = "circle" if graph.dimension == 2 else "sphere"
        axes.set_xlabel(f"diameter of the {kind} of the same size (µm)")
        axes.set_ylabel("grains")
        figure.legend(
            handles=[matplotlib.lines.Line2D([], [], lw=0, label=line) for line in _summary(size)],
            loc="outside right upper", handlelength=0, handletextpad=0, fontsize=9,
        )  # fmt: skip
    return figure


def _summary(size: GrainSize) -> list[str]:
    """Lines of text beside the histogram."""
    lines = [f"{size.grains} whole grains"]
    if size.diameter is not None:
        lines.append(f"mean {_text(size.diameter)} µm")
    if size.log_normal is not None:
        mean, spread = np.exp(size.log_normal[0]), size.log_normal[1]
        lines.append(f"log-normal: median {mean:.3g} µm, σ {spread:.2f}")
    if size.intercept is not None:
        lines.append(f"lineal intercept {_text(size.intercept)} µm")
    if size.astm_area is not None:
        lines.append(f"ASTM G {_text(size.astm_area)} (area)")
    if size.astm_intercept is not None:
        lines.append(f"ASTM G {_text(size.astm_intercept)} (intercept)")
    return lines


def _text(value: Value) -> str:
    return with_uncertainty(value.value, value.su, 2)


def _plain_ticks(axes: Axes, low: float, high: float) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, written as plain numbers."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    powers = 10.0 ** np.arange(np.floor(np.log10(low)) - 1, np.ceil(np.log10(high)) + 2)
    ticks = [m * p for p in powers for m in (1, 2, 5) if 0.7 * low <= m * p <= 1.4 * high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _laue_groups(segmentation: Segmentation) -> dict[str, list[str]]:
    """Laue groups that the map shows, with the names of their phases."""
    found: dict[str, list[str]] = {}
    points = segmentation.crystal_map
    for number, phase in enumerate(points.phases):
        if phase.laue is not None and (points.phase == number).any():
            found.setdefault(phase.laue, []).append(phase.name)
    return found


def _direction_colours(
    segmentation: Segmentation, direction: tuple[float, float, float]
) -> np.ndarray:
    """(p, 3) colour of the crystal direction along a specimen direction, NaN without one."""
    from xtalfuse.physics.orientation.ipf import ipf_colour

    points = segmentation.crystal_map
    colours = np.full((len(points.phase), 3), np.nan)
    for number, phase in enumerate(points.phases):
        inside = points.phase == number
        if phase.laue is not None and inside.any():
            colours[inside] = ipf_colour(
                points.orientation[inside], np.array(direction), phase.laue
            )
    return colours


def _grain_pairs(segmentation: Segmentation) -> np.ndarray:
    """(2, m) neighbouring points of different grains, or of a grain and none."""
    one, other = segmentation.grain[segmentation.pairs]
    return segmentation.pairs[:, one != other]


def _draw_lines(axes: Axes, lines: np.ndarray, colour: str, width: float) -> None:
    from matplotlib.collections import LineCollection

    axes.add_collection(
        LineCollection(list(lines), colors=colour, linewidths=width, capstyle="round"),
        autolim=False,
    )


def _legend(axes: Axes, handles: list[Any]) -> None:
    if handles:
        axes.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0.0, -0.06), frameon=False,
            ncols=min(5, len(handles)), fontsize=9, handlelength=1.4, columnspacing=1.4,
            borderaxespad=0.3,
        )  # fmt: skip


def _canvas(picture: MapPicture, maps: int, key_rows: int = 0) -> tuple[Figure, list[Axes]]:
    """A figure with maps side by side, and colour keys in a column right of them."""
    import matplotlib
    from matplotlib.figure import Figure

    ratio = float(np.clip(picture.height / picture.width, 0.2, 4.0))
    wide = 6.4 if maps == 1 else 4.0
    wide = min(wide, 7.0 / ratio)
    with matplotlib.rc_context(STYLE):
        size = (maps * wide + (1.9 if key_rows else 0.9), wide * ratio + 0.75)
        figure = Figure(figsize=size, layout="constrained")
        widths = [wide] * maps + ([1.7] if key_rows else [])
        grid = figure.add_gridspec(max(key_rows, 1), len(widths), width_ratios=widths)
        axes = [figure.add_subplot(grid[:, column]) for column in range(maps)]
        axes += [figure.add_subplot(grid[row, maps]) for row in range(key_rows)]
    return figure, axes
