"""What a calculated pattern may be wrong by, whatever the counts: from the pattern itself."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d

from xtalfuse.encoders.noise import trimmed_variance
from xtalfuse.encoders.pattern import PatternSignal
from xtalfuse.tasks.identify.powder.fitting.tube import tube_images

# A calculated line is no better than its shape. Within a width, the pseudo-Voigt of Thompson,
# Cox & Hastings (1987) differs from a Voigt by up to 1.3 % of the height; beside it tails are cut
# where they fall below 0.3 % (`physics.crystal.powder`).
SHAPE_ERROR = 0.013  # of its height
TAIL_ERROR = 0.1  # of a Lorentzian tail
TAIL_REACH = 30.0  # widths
MOST_ERROR = 5.0  # of what is usual: beyond, it is no error but a phase that is missing
LEAST_TOLD = 30  # points that tell the error of the model
NOTICED = 0.05  # relative change that is worth new weights


class ModelError:
    """Error of calculated peaks: of their intensities, their shape, and what the tube adds.

    Parameters
    ----------
    signal : the pattern
    share : of a calculated intensity that is usual
    scale : of all errors over what is usual; `learn` measures it
    """

    def __init__(self, signal: PatternSignal, share: float, scale: float = 1.0) -> None:
        self.signal = signal
        self.share = share
        self.scale = scale
        self._images = tube_images(signal)
        width = signal.fwhm_deg / signal.step_deg
        # no farther than the pattern is long
        reach = min(round(TAIL_REACH * width), (len(signal.intensity) - 1) // 2)
        distance = np.arange(-reach, reach + 1) / width
        tail = np.where(np.abs(distance) < 1.0, 0.0, 1.0 / (1.0 + 4.0 * distance**2))
        # the area of a line is some 1.2 times its height and width
        self._tail = TAIL_ERROR * tail / (1.2 * width)

    def variance(self, peaks: np.ndarray) -> np.ndarray:
        """(n,) usual squared error of calculated peaks, times the square of `scale`."""
        error = (self.share * peaks) ** 2
        reach = 2 * round(self.signal.fwhm_deg / self.signal.step_deg) + 1
        error = error + (SHAPE_ERROR * maximum_filter1d(peaks, reach)) ** 2
        error = error + np.convolve(peaks, self._tail, "same") ** 2
        grid = self.signal.two_theta_deg
        for source, share in self._images:
            error = error + (share * np.interp(source, grid, peaks, 0.0, 0.0)) ** 2
        return np.asarray(self.scale**2 * error)

    def learn(self, calculated: np.ndarray, background: np.ndarray) -> bool:
        """Measure the scale on the best explanation so far.

        Where the error outweighs the noise, residuals over it would be of unit variance. Their
        largest quarter is left out: it may be lines of a phase that is still missing.

        Parameters
        ----------
        calculated, background : (n,) of the fit

        Returns
        -------
        Whether it changed, so that fits made before cannot be held against later ones.
        """
        usual = self.variance(calculated - background) / self.scale**2
        told = usual > self.signal.variance
        if told.sum() < LEAST_TOLD:
            return False
        residual = (self.signal.intensity - calculated)[told]
        square = trimmed_variance((residual**2 - self.signal.variance[told]) / usual[told])
        scale = float(np.clip(np.sqrt(max(square, 0.0)), 1.0, MOST_ERROR))
        changed = abs(scale / self.scale - 1.0) > NOTICED
        if changed:
            self.scale = scale
        return changed
