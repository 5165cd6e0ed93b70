"""The figures of the report: the pattern with its fit, and small ones of the other evidence."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.report.notation import percent
from xtalfuse.tasks.identify.answer import Answer, Curves, Panel, UnexplainedPeak

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


INK, MUTED, OBSERVED, ALARM = "#1c1f23", "#8a9099", "#5f6770", "#c62828"

# Okabe & Ito (2008), "Color universal design", which most colour-blind people can tell apart,
# without its yellow, black and vermilion; then two more for long lists.
PHASE_COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#8C6D31",
    "#7B61C4",
    "#7F8C3A",
)
MOST_LABELS = 8  # unexplained peaks that get their d written: more would cover the pattern


def plain(text: str) -> str:
    """Text that can be drawn as it is.

    A dollar sign would begin a formula, a byte of a file name that is no UTF-8 cannot be drawn,
    and a very long name would push the pattern out of the figure.
    """
    drawable = text.encode("utf-8", "replace").decode("utf-8")
    shortened = drawable if len(drawable) <= 60 else f"{drawable[:59]}…"
    return shortened.replace("$", r"\$")


def phase_colour(index: int) -> str:
    """Colour of the phase at this place in the answer."""
    return PHASE_COLOURS[index % len(PHASE_COLOURS)]


STYLE: Any = {
    "font.family": "sans-serif", "font.size": 9.5, "figure.facecolor": "white",
    "axes.facecolor": "white", "axes.edgecolor": MUTED, "axes.labelcolor": INK,
    "axes.linewidth": 0.7, "axes.spines.top": False, "axes.spines.right": False, "text.color": INK,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "legend.frameon": False,
}  # fmt: skip


def pattern_figure(answer: Answer) -> Figure:
    """Observed and calculated pattern, one row of ticks per phase, weighted difference.

    The intensity axis is a square root, so that weak phases can be seen beside strong ones.

    Raises
    ------
    ValueError
        If the answer carries no curves.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    curves = answer.curves
    if curves is None:
        raise ValueError(f"{answer.specimen}: no powder pattern, so there is nothing to draw")
    rows = max(1, len(curves.ticks_deg))
    tight = ConstrainedLayoutEngine(h_pad=0.02, hspace=0.0)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 6.0 + 0.16 * rows), layout=tight)
        main, ticks, residual = figure.subplots(
            3, 1, sharex=True, height_ratios=[6.0, 0.26 * rows + 0.1, 1.3]
        )
        _draw_pattern(main, answer, curves)
        _draw_ticks(ticks, answer, curves)
        _draw_difference(residual, curves)
    return figure


def _draw_pattern(axes: Axes, answer: Answer, curves: Curves) -> None:
    x, observed = curves.two_theta_deg, curves.observed
    floor = float(min(np.nanmin(observed), np.nanmin(curves.background)))
    axes.set_yscale(
        "function",
        functions=(
            lambda y: np.sqrt(np.maximum(np.asarray(y, float) - floor, 0.0)),
            lambda root: np.square(root) + floor,
        ),
    )
    for index, phase in enumerate(answer.phases):
        profile = curves.contributions.get(phase.entry)
        if profile is not None:
            top = curves.background + profile
            axes.fill_between(
                x, curves.background, top, color=phase_colour(index), alpha=0.35, lw=0
            )
    axes.plot(x, observed, ".", ms=2.2, color=OBSERVED, rasterized=True, zorder=2)
    axes.plot(x, curves.calculated, lw=0.9, color=INK, zorder=3)
    axes.plot(x, curves.background, lw=0.7, ls=(0, (4, 3)), color=MUTED, zorder=1)
    _mark_unexplained(axes, answer.unknown.unexplained_peaks, curves)
    highest = float(np.nanmax(np.maximum(observed, curves.calculated)))
    axes.set_ylim(floor, floor + 1.22 * (highest - floor or 1.0))
    axes.set_xlim(float(x[0]), float(x[-1]))
    axes.set_ylabel("intensity (square-root scale)")
    axes.tick_params(labelbottom=False)
    _legend(axes, answer, curves)


def _mark_unexplained(axes: Axes, peaks: tuple[UnexplainedPeak, ...], curves: Curves) -> None:
    """Arrows on the peaks that nothing explains; the clearest get their d written."""
    ranked = sorted(peaks, key=lambda peak: -peak.significance)
    for rank, peak in enumerate(ranked):
        if peak.two_theta_deg is None:
            continue
        height = float(np.interp(peak.two_theta_deg, curves.two_theta_deg, curves.observed))
        axes.annotate(
            f"{peak.d_angstrom:.3f} Å" if rank < MOST_LABELS else "",
            (peak.two_theta_deg, height),
            xytext=(0, 26),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=90,
            fontsize=8,
            color=ALARM,
            arrowprops={"arrowstyle": "-|>", "color": ALARM, "lw": 1.1, "shrinkB": 2},
            annotation_clip=True,
            zorder=5,
        )


def _legend(axes: Axes, answer: Answer, curves: Curves) -> None:
    """Phases above the frame; what the lines and marks mean inside it."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    phases = []
    for index, phase in enumerate(answer.phases):
        share = percent(phase.weight_fraction, phase.weight_fraction_su)
        label = phase.name if share == "-" else f"{phase.name}  {share} wt%"
        phases.append(Patch(color=phase_colour(index), alpha=0.8, lw=0, label=plain(label)))
    marks: list[Any] = [
        Line2D([], [], ls="", marker=".", color=OBSERVED, label="observed"),
        Line2D([], [], lw=1.2, color=INK, label="calculated"),
    ]
    if answer.unknown.unexplained_peaks:
        marks.append(Line2D([], [], ls="", marker="v", color=ALARM, label="unexplained"))
    if any(len(missing) for missing in curves.missing_deg.values()):
        marks.append(Line2D([], [], ls="", marker="x", color=ALARM, label="expected, not seen"))
    if phases:
        above = axes.legend(
            handles=phases,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=min(4, len(phases)),
            fontsize=10.5,
            handlelength=1.2,
            columnspacing=2.0,
            borderaxespad=0.2,
        )
        axes.add_artist(above)  # a second legend would replace it
        above.set_clip_on(False)  # clipped, it is not counted when the figure is laid out
    axes.legend(handles=marks, loc="upper right", ncols=len(marks), fontsize=8.5)


def _draw_ticks(axes: Axes, answer: Answer, curves: Curves) -> None:
    """One row per phase: where its reflections are, and which of them are not there."""
    order = {phase.entry: index for index, phase in enumerate(answer.phases)}
    for entry, positions in curves.ticks_deg.items():
        row = order.get(entry)
        if row is None:
            continue
        axes.vlines(positions, -row - 0.36, -row + 0.36, color=phase_colour(row), lw=1.0)
        missing = curves.missing_deg.get(entry, np.array([]))
        axes.plot(missing, np.full(len(missing), -row), "x", ms=6, mew=1.3, color=ALARM)
    axes.set_ylim(-len(order) + 0.4, 0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(bottom=False, labelbottom=False)


def least_variance(observed: np.ndarray) -> float:
    """The smallest intensity that a difference is divided by the root of, never zero."""
    low = float(np.nanpercentile(np.abs(observed), 1))
    return low or 1e-6 * float(np.nanmax(np.abs(observed))) or 1.0


def _draw_difference(axes: Axes, curves: Curves) -> None:
    # Divided by the square root of the intensity, as the fit weighs it; otherwise the
    # strongest peak would be all that is seen.
    scale = np.sqrt(np.maximum(curves.observed, least_variance(curves.observed)))
    difference = (curves.observed - curves.calculated) / scale
    axes.axhline(0.0, color=MUTED, lw=0.6)
    axes.plot(curves.two_theta_deg, difference, lw=0.6, color=OBSERVED, rasterized=True)
    limit = float(np.nanpercentile(np.abs(difference), 99.8)) or 1.0
    axes.set_ylim(-1.15 * limit, 1.15 * limit)
    axes.set_ylabel("Δ / √obs")
    axes.set_xlabel("2θ (°)")


def panel_figure(panel: Panel) -> Figure:
    """A spectrum or profile with its marks, small enough to stand beside others."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 2.7), layout="constrained")
        axes = figure.subplots()
        # what was recorded in grey and the model over it in ink, as in the pattern's figure
        axes.plot(panel.x, panel.y, lw=0.9, color=OBSERVED if panel.lines else INK, zorder=3)
        for (_, values), colour in zip(panel.lines, (INK, MUTED), strict=False):
            axes.plot(panel.x, values, lw=0.8, color=colour, zorder=4)
        axes.set_xlim(float(np.nanmin(panel.x)), float(np.nanmax(panel.x)))
        low, high = float(np.nanmin(panel.y)), float(np.nanmax(panel.y))
        axes.set_ylim(low, low + 1.3 * (high - low or 1.0))
        colours: dict[str, str] = {}
        last, level = -np.inf, 0
        for label, position in sorted(panel.marks, key=lambda mark: mark[1]):
            # a label that would cover the one before it hangs lower
            level = level + 1 if position - last < 0.035 * np.ptp(panel.x) else 0
            last = position
            # all edges of one element share a colour: "Fe L3" and "Fe K" begin with Fe
            colour = colours.setdefault(label.split(" ")[0], phase_colour(len(colours)))
            axes.axvline(position, color=colour, lw=1.0, alpha=0.8)
            note = axes.annotate(
                plain(label),
                (position, 0.99 - 0.22 * (level % 4)),
                xycoords=("data", "axes fraction"),
                xytext=(2, 0),
                textcoords="offset points",
                rotation=90,
                va="top",
                fontsize=8,
                color=colour,
            )
            note.set_in_layout(False)  # a long label must not shrink the spectrum
        axes.set_yticks([])
        axes.set_xlabel(panel.x_label)
        axes.set_ylabel(panel.y_label)
        axes.set_title(plain(panel.title), fontsize=9.5, loc="left")
    return figure


def png_bytes(figure: Figure, dpi: int = 170) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
