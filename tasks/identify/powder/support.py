"""What a finished search says about each phase, as a few numbers that a person can judge.

The same numbers are the input of the calibrated confidence (`xtalfuse.fusion.calibrate`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

import numpy as np

from xtalfuse.encoders.pattern import PatternSignal
from xtalfuse.tasks.identify.answer import PowderReport
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit
from xtalfuse.tasks.identify.powder.measures import unexplained_share
from xtalfuse.tasks.identify.powder.search import SearchResult
from xtalfuse.tasks.identify.powder.settings import SearchSettings


@dataclass(frozen=True)
class PhaseEvidence:
    """How well one phase is supported by the pattern.

    Parameters
    ----------
    gain : rise of minus twice the log posterior when the phase is taken out, per unit misfit
    margin : the same when its best rival takes its place
    strain : deviation of the cell from the reference, in prior standard deviations
    support : share of its expected lines, by root intensity, seen at 0.4 to 2.5 times the
        expected height
    lines : number of its lines that stand out of the noise
    broadening : log of its peak width over that of the other phases, absolute
    height : its strongest line over the strongest peak of the pattern
    candidates : how many phases competed
    unexplained : share of the intensity above background that all phases together leave over
    misfit : reduced chi^2 of the whole fit; where it is large, something is wrong or missing
    """

    gain: float
    margin: float
    strain: float
    support: float
    lines: int
    broadening: float
    height: float
    candidates: int
    unexplained: float
    misfit: float

    def features(self) -> np.ndarray:
        """(10,) numbers for the calibrated confidence, all of order one."""
        return np.array(
            [
                np.log(max(self.gain, 1.0)),
                np.log(max(self.margin, 1.0)),
                min(self.strain, 8.0),
                self.support,
                np.log1p(min(self.lines, 60)),
                min(self.broadening, 3.0),
                np.log(max(self.height, 1e-4)),
                np.log(max(self.candidates, 1)),
                np.log10(max(self.unexplained, 1e-4)),
                np.log(self.misfit),
            ]
        )

    def to_dict(self) -> PowderReport:
        """Plain values, rounded for a report."""
        rounded = {key: round(float(value), 4) for key, value in asdict(self).items()}
        return cast(PowderReport, rounded)


FEATURES = (
    "gain",
    "margin",
    "strain",
    "support",
    "lines",
    "broadening",
    "height",
    "candidates",
    "unexplained",
    "misfit",
)


def phase_evidence(result: SearchResult) -> list[PhaseEvidence]:
    """Evidence for each phase of a search result, in the order of its fit."""
    fit, signal, settings = result.fit, result.fitter.signal, result.fitter.settings
    widths = np.array([_width(fit, i) for i in range(len(fit.phases))])
    heights = np.array(
        [p.scale * _profile(result, i).max(initial=0.0) for i, p in enumerate(fit.phases)]
    )
    tallest = max(float(signal.net.max(initial=0.0)), 1e-12)
    left_over = unexplained_share(signal, fit)
    found = []
    for index, phase in enumerate(fit.phases):
        rivals = result.rivals[index]
        gain = next(r.loss for r in rivals if r.entry is None)
        others = [r.loss for r in rivals if r.entry is not None]
        margin = min([*others, gain])
        strain = phase.state.strain / np.array(
            [settings.prior_strain * np.sqrt(3.0)]
            + [settings.prior_deviatoric] * (len(phase.state.strain) - 1)
        )
        support, lines = _lines(fit, index, signal, settings)
        typical = _typical(widths, heights, index)
        found.append(
            PhaseEvidence(
                gain=float(gain),
                margin=float(margin),
                strain=float(np.sqrt(np.mean(strain**2))),
                support=support,
                lines=lines,
                broadening=float(abs(np.log(widths[index] / typical))),
                height=float(heights[index] / tallest),
                candidates=result.considered,
                unexplained=left_over,
                misfit=float(fit.misfit) * result.fitter.error.scale**2,
            )
        )
    return found


def _profile(result: SearchResult, index: int) -> np.ndarray:
    return result.fitter.columns(result.fit.phases[index], result.fit.instrument).profile


def _width(fit: PatternFit, index: int) -> float:
    """Full width of a line of a phase near 2-theta = 40 degrees."""
    state, instrument = fit.phases[index].state, fit.instrument
    gauss = instrument.gauss + instrument.gauss_tan * 0.364
    lorentz = state.size / 0.94 + state.microstrain * 0.364
    return float(0.5346 * lorentz + np.sqrt(0.2166 * lorentz**2 + gauss**2))


def _typical(widths: np.ndarray, heights: np.ndarray, index: int) -> float:
    """Width of the other phases, strong ones counting more; its own when it is alone."""
    others = np.arange(len(widths)) != index
    if not others.any() or heights[others].sum() <= 0:
        return float(widths[index])
    return float(np.exp(np.average(np.log(widths[others]), weights=heights[others])))


def _lines(
    fit: PatternFit, index: int, signal: PatternSignal, settings: SearchSettings
) -> tuple[float, int]:
    """Support and number of visible lines of one phase."""
    phase = fit.phases[index]
    bare = phase.model.seen_strength(
        type(phase.state)(phase.state.strain, axis=phase.state.axis, texture=phase.state.texture),
        fit.instrument,
    )
    position = phase.model.positions(phase.state, fit.instrument)
    order = np.flatnonzero(signal.measured(position))
    order = order[np.argsort(position[order])]
    label = np.cumsum(np.diff(position[order], prepend=-1e9) > 0.7 * signal.fwhm_deg) - 1
    n = int(label.max(initial=-1)) + 1
    if not n:
        return 0.0, 0
    expected = np.bincount(label, bare[order], minlength=n)
    adjust = np.ones(len(bare)) if phase.state.adjust is None else phase.state.adjust
    found = np.bincount(label, (bare * adjust)[order], minlength=n)
    centre = np.bincount(label, position[order], minlength=n) / np.bincount(label, minlength=n)
    at = np.interp(centre, signal.two_theta_deg, np.arange(len(signal.intensity))).astype(int)
    noise = np.sqrt(fit.variance[at])
    width = _width(fit, index)
    height = phase.scale * np.maximum(expected, found) / (1.2 * width)  # between Gauss and Lorentz
    visible = height > settings.seen_sigma * noise
    if not visible.any():
        return 0.0, 0
    ratio = found[visible] / np.maximum(expected[visible], 1e-12)
    weight = np.sqrt(expected[visible])
    good = (ratio > settings.support_low) & (ratio < settings.support_high)
    seen = found[visible] > settings.seen_share * expected[visible]
    return float(weight[good].sum() / weight.sum()), int(seen.sum())
