"""Young's modulus by direction, as curves round the three axes of the specimen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.mechanics.elasticity import youngs_modulus
from xtalfuse.report.figures.pattern import INK, MUTED, PHASE_COLOURS, STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLANES = (("x", "y"), ("y", "z"), ("z", "x"))
UNIT = {"x": np.array([1.0, 0, 0]), "y": np.array([0, 1.0, 0]), "z": np.array([0, 0, 1.0])}
INTERVAL = (5.0, 95.0)  # percent, the band


def modulus_figure(estimate: Estimate) -> Figure:
    """Young's modulus in the planes xy, yz and zx, with the band that holds 90 % of the samples."""
    import matplotlib
    from matplotlib.figure import Figure

    angle = np.linspace(0.0, 2.0 * np.pi, 181)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 3.5), layout="constrained")
        axes = figure.subplots(1, 3, subplot_kw={"projection": "polar"})
        top = 0.0
        for ax, (first, second), colour in zip(axes, PLANES, PHASE_COLOURS, strict=False):
            way = np.outer(np.cos(angle), UNIT[first]) + np.outer(np.sin(angle), UNIT[second])
            middle = np.asarray(youngs_modulus(estimate.value, way))
            around = np.asarray(youngs_modulus(np.asarray(estimate.samples)[:, None], way))
            low, high = np.percentile(around, INTERVAL, axis=0)
            ax.fill_between(angle, low, high, color=colour, alpha=0.25, linewidth=0)
            ax.plot(angle, middle, color=colour, linewidth=1.6)
            ax.set_xticks(np.arange(4) * np.pi / 2, [first, second, f"−{first}", f"−{second}"])
            ax.set_title(f"plane {first}{second}", fontsize=9.5, color=INK)
            ax.tick_params(colors=MUTED, labelsize=8)
            ax.grid(color=MUTED, linewidth=0.4, alpha=0.5)
            top = max(top, float(high.max()))
        for ax in axes:
            ax.set_ylim(0.0, 1.08 * top)
            ax.set_rlabel_position(45)
        figure.suptitle("Young's modulus (GPa); band: 90 %", fontsize=10.5, color=INK)
    return figure
