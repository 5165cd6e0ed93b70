"""What a fit of the accepted phases leaves over, and what that says of phases nobody has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xtalfuse.encoders.pattern import ObservedPeaks, PatternSignal, find_peaks_of
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit
from xtalfuse.tasks.identify.powder.fitting.tube import image_of, tube_lines
from xtalfuse.tasks.identify.powder.measures import unexplained_share
from xtalfuse.tasks.identify.powder.settings import DEFAULT, SearchSettings

if TYPE_CHECKING:
    from xtalfuse.tasks.identify.powder.phase import FoundPhase

MOST_TUBE = 0.05  # of a line that its image by another line of the tube may have


def unexplained_peaks(
    signal: PatternSignal, fit: PatternFit, settings: SearchSettings = DEFAULT
) -> ObservedPeaks:
    """Peaks of what the fit leaves over, strongest first.

    Lines that the tube's K-beta or tungsten contamination makes of explained strong peaks are
    not among them.

    Parameters
    ----------
    signal : the pattern
    fit : of its phases
    settings : of the search
    """
    explained = fit.calculated - fit.background
    variance = signal.variance + (settings.error_at_peaks * explained) ** 2
    residual = signal.intensity - fit.calculated
    peaks = find_peaks_of(signal.two_theta_deg, residual, variance, signal.fwhm_deg)
    tallest = max(float(signal.net.max(initial=0.0)), 1e-12)
    real = peaks.significance > settings.unexplained_sigma
    real &= peaks.height > settings.unexplained_height * tallest
    real &= ~_tube_lines(signal, explained, peaks)
    chosen = np.flatnonzero(real)
    chosen = chosen[np.argsort(-peaks.height[chosen])]
    return ObservedPeaks(
        peaks.two_theta_deg[chosen],
        peaks.height[chosen],
        peaks.significance[chosen],
        peaks.fwhm_deg[chosen],
    )


def _tube_lines(signal: PatternSignal, explained: np.ndarray, peaks: ObservedPeaks) -> np.ndarray:
    """Which peaks are where another line of the tube would put an image of an explained peak."""
    found = np.zeros(len(peaks.two_theta_deg), bool)
    for wavelength, _ in tube_lines(signal.radiation):
        source = image_of(peaks.two_theta_deg, signal.radiation, wavelength)
        strength = np.interp(source, signal.two_theta_deg, explained, left=0.0, right=0.0)
        found |= peaks.height < MOST_TUBE * strength
    return found


def unknown_features(
    signal: PatternSignal,
    fit: PatternFit,
    unexplained: ObservedPeaks,
    accepted: Sequence[FoundPhase],
    doubtful: Sequence[FoundPhase],
    *,
    settings: SearchSettings = DEFAULT,
) -> np.ndarray:
    """(6,) numbers that tell whether the library lacks a phase of this pattern.

    Parameters
    ----------
    signal : the pattern
    fit : of the accepted phases
    unexplained : peaks that it leaves over
    accepted, doubtful : phases that the search proposed
    settings : of the search
    """
    tallest = max(float(signal.net.max(initial=0.0)), 1e-12)
    return np.array(
        [
            np.log10(max(float(unexplained.height.max(initial=0.0)) / tallest, 1e-3)),
            np.log1p(len(unexplained.height)),
            np.log10(max(unexplained_share(signal, fit), 1e-4)),
            np.log(min(fit.misfit, settings.telling_misfit)),
            np.log10(max([1e-3, *(f.evidence.height for f in doubtful)])),
            min((f.of_class for f in accepted), default=0.0),
        ]
    )
