"""Ranks every phase of a library against a pattern, or against what a fit left over.

Each reflection of a phase asks how much intensity the pattern has where it should be; one common
scale must answer all of them. Intensity beyond the expected amount may belong to another phase
and is not held against the candidate; intensity that is missing is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from xtalfuse.encoders.pattern import PatternSignal
from xtalfuse.physics.crystal.powder import PhaseModel
from xtalfuse.physics.crystal.profile import lorentz_polarisation
from xtalfuse.tasks.identify.powder.settings import DEFAULT, SearchSettings


@dataclass(frozen=True)
class Ranking:
    """Score of each candidate, with the isotropic strain and the peak width that gave it."""

    score: np.ndarray  # (m,) gain in log likelihood, discounted for model error
    strain: np.ndarray  # (m,)
    width: np.ndarray  # (m,) in typical peak widths
    scale: np.ndarray  # (m,) unit-scale factor of the phase
    explained: np.ndarray  # (m,) most intensity explained, less what lacks, with hardly a strain
    explained_strain: np.ndarray  # (m,) where that is


Drawn = dict[float, tuple[np.ndarray, np.ndarray]]


class Screen:
    """Candidate phases made ready for ranking against one pattern.

    Parameters
    ----------
    signal : the pattern
    models : one PhaseModel for each candidate
    settings : of the search
    """

    def __init__(
        self,
        signal: PatternSignal,
        models: list[PhaseModel],
        settings: SearchSettings = DEFAULT,
    ) -> None:
        self.signal = signal
        self.settings = settings
        m = len(models)
        self.inverse_d = np.full((m, settings.lines), np.nan, np.float32)
        self.area = np.zeros((m, settings.lines), np.float32)
        self.share = np.zeros((m, settings.lines), np.float32)
        for row, model in enumerate(models):
            inverse_d, area, share = _resolved_lines(model, signal, settings.lines)
            self.inverse_d[row, : len(area)] = inverse_d
            self.area[row, : len(area)] = area
            self.share[row, : len(area)] = share
        self.unit = max(float(signal.net.max(initial=0.0)), 1e-300)
        self.step = _strain_step(signal)
        limit = settings.strain_limit
        count = int(limit / self.step)
        self.strains = self.step * np.arange(-count, count + 1)
        self.near_strains = self.strains[np.abs(self.strains) <= 2.0 * settings.prior_strain]
        self.point = _point_at(signal)
        self.stretch = self.shift = 0.0
        self._places: dict[float, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def set_axis(self, stretch: float = 0.0, shift_deg: float = 0.0) -> None:
        """Look for all lines where this axis has them.

        Parameters
        ----------
        stretch : fraction by which every d of this pattern appears longer than it is
        shift_deg : of 2-theta, to half a peak width: zero and displacement
        """
        step = 0.5 * self.signal.fwhm_deg
        shift = step * round(shift_deg / step)
        if (stretch, shift) != (self.stretch, self.shift):
            self.stretch, self.shift = stretch, shift
            self._places.clear()

    def rank(self, residual: np.ndarray, variance: np.ndarray) -> Ranking:
        """Rank all candidates against a residual.

        Parameters
        ----------
        residual : (n,) pattern less what is already explained
        variance : (n,) of the residual, model error of the explained part included
        """
        return self.rank_drawn(self.drawn(residual, variance))

    def rank_drawn(self, drawn: Drawn) -> Ranking:
        """Rank all candidates against a residual that `drawn` has filtered."""
        best = Ranking(*(np.zeros(len(self.area)) for _ in range(6)))
        best.score[:] = -np.inf
        rows, nearly = np.arange(len(self.area)), self.settings.nearly
        near = self.near_strains
        amount = np.array([self._score(*drawn[min(drawn)], e, rows)[2] for e in near])
        best.explained[:] = amount.max(axis=0)
        best.explained_strain[:] = near[np.argmax(amount, axis=0)]
        # the widest filter first: it needs the fewest strains, and sees at least as much as a
        # narrower one of what a candidate explains
        for factor in sorted(drawn, reverse=True):
            amplitude, error2 = drawn[factor]
            strains = self.strains[:: max(1, int(factor))]
            tried = [self._score(amplitude, error2, strain, rows) for strain in strains]
            score, scale, explained = (np.array(column) for column in zip(*tried, strict=True))
            # the score of a strong line is the same on its flank as on its crest, where more of
            # the intensity is explained
            near = score >= np.minimum(nearly * score.max(axis=0), score.max(axis=0))
            at = np.argmax(np.where(near, explained, -np.inf), axis=0), np.arange(len(rows))
            # of very many counts every filter says the same, and the narrow one where lines are
            better = score.max(axis=0) > nearly * best.score[rows]
            those = rows[better]
            best.score[rows] = np.maximum(best.score[rows], score.max(axis=0))
            best.strain[those], best.width[those] = strains[at[0]][better], factor
            best.scale[those] = scale[at][better]
            rows = np.sort(np.argsort(-best.score)[: self.settings.closer_look])
        return best

    def finer(self, ranking: Ranking, rows: list[int], drawn: Drawn) -> dict[int, float]:
        """Strain of some candidates to a fifth of the step of the ranking, by row.

        Parameters
        ----------
        ranking : of all candidates
        rows : of the candidates
        drawn : that was ranked
        """
        found: dict[int, np.float64] = {}
        for factor in drawn:
            some = np.array([row for row in rows if ranking.width[row] == factor], int)
            offsets = 0.1 * factor * self.step * np.arange(-10, 11, 2)
            strains = (ranking.strain[some, None] + offsets).ravel()
            tried = self._score(*drawn[factor], strains, np.repeat(some, len(offsets)))[2]
            best = np.argmax(tried.reshape(len(some), len(offsets)), axis=1)
            found |= dict(zip(some.tolist(), ranking.strain[some] + offsets[best], strict=True))
        return {row: float(found[row]) for row in rows}

    def drawn(self, residual: np.ndarray, variance: np.ndarray) -> Drawn:
        """Area of a line at every point, and its variance, for each width of the ranking."""
        return {f: self._matched(residual, variance, f) for f in self.settings.widths}

    def common_stretch(self, residual: np.ndarray, variance: np.ndarray) -> tuple[float, bool]:
        """Strain at which several phases fit best at once; 0 where that is as good; and whether it
        is so much better that it comes first.

        Phases of one specimen have strains of their own of some tenths of a percent. If the
        best ones fit together only with a common strain beyond that, the axis is off.

        Parameters
        ----------
        residual, variance : (n,) pattern less what is explained
        """
        limit = self.settings.stretch_limit
        strains = np.arange(-limit, limit + 1e-9, 2.0 * self.step)
        amplitude, error2 = self._matched(residual, variance, self.settings.widths[0])
        rows = np.arange(len(self.area))
        scores = np.array([self._score(amplitude, error2, strain, rows)[0] for strain in strains])
        near = max(1, int(np.ceil(self.settings.strain_agreement / (2.0 * self.step))))
        smooth = maximum_filter1d(np.maximum(scores, 0.0), 2 * near + 1, axis=0)
        together = np.sort(smooth, axis=1)[:, -self.settings.together :].sum(axis=1)
        best = int(np.argmax(together))
        middle = np.flatnonzero(together >= 0.98 * together[best])
        stretch = float(strains[middle].mean())
        better = float(together[best]) / max(float(np.interp(0.0, strains, together)), 1e-12)
        if abs(stretch) <= self.settings.stretch_noticed or self.settings.nearly * better <= 1.0:
            return 0.0, False
        return stretch, better > self.settings.sure_stretch

    def common_shift(self, residual: np.ndarray, variance: np.ndarray) -> float:
        """Shift of 2-theta, deg, at which several phases fit best at once: the zero and the
        displacement of the specimen; 0 where that is as good.

        Parameters
        ----------
        residual, variance : (n,) pattern less what is explained
        """
        drawn = self._matched(residual, variance, self.settings.widths[0])
        rows = np.arange(len(self.area))
        step, limit = 0.5 * self.signal.fwhm_deg, self.settings.shift_limit
        tried = step * np.arange(-int(limit / step), int(limit / step) + 1)
        together = np.zeros(len(tried))
        for i, shift in enumerate(tried):
            self.set_axis(self.stretch, float(shift))
            scores = np.max(
                [self._score(*drawn, float(e), rows)[0] for e in self.near_strains], axis=0
            )
            together[i] = np.sort(scores)[-self.settings.together :].sum()
        self.set_axis(self.stretch)
        best = int(np.argmax(together))
        plain = together[len(tried) // 2]
        return float(tried[best]) if self.settings.nearly * together[best] > plain else 0.0

    def _matched(
        self, residual: np.ndarray, variance: np.ndarray, factor: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """(n + 1,) least-squares area of a peak at every grid point, and its variance, over
        `unit`."""
        amplitude, error2 = np.empty_like(residual), np.empty_like(residual)
        for part in self.signal.sections:
            x = self.signal.two_theta_deg[part]
            step = float(np.median(np.diff(x))) if len(x) > 1 else self.signal.step_deg
            sigma = max(factor * self.signal.fwhm_deg / 2.3548 / step, 0.6)
            weight = 1.0 / variance[part]
            # a unit-area Gaussian, and its square, which is another Gaussian of sigma / sqrt(2)
            numerator = gaussian_filter1d(weight * residual[part], sigma) / step
            denominator = gaussian_filter1d(weight, sigma / np.sqrt(2.0)) / (
                2.0 * np.sqrt(np.pi) * sigma * step * step
            )
            amplitude[part], error2[part] = numerator / denominator, 1.0 / denominator
        # single precision is enough for a ranking; one more point stands for all that is outside
        amplitude = np.append(np.maximum(amplitude, 0.0) / self.unit, 0.0)
        return amplitude.astype(np.float32), np.append(error2 / self.unit**2, 1.0).astype(
            np.float32
        )

    def _placed(
        self, strain: float | np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Point of the pattern at each line, -1 where none is, its area there, and the root of it.

        Those of all rows are kept: every residual is asked at the same strains.
        """
        if isinstance(strain, float) and strain in self._places:
            at, area, root = self._places[strain]
            return (at, area, root) if len(rows) == len(at) else (at[rows], area[rows], root[rows])
        stretched = np.asarray(1.0 - strain - self.stretch, np.float32)
        seen = self.inverse_d[rows] * stretched.reshape(-1, 1)
        with np.errstate(invalid="ignore"):
            sine = np.float32(0.5 * self.signal.radiation.primary_angstrom) * seen
            position = np.degrees(2.0 * np.arcsin(sine))
            index = (position + self.shift - self.signal.two_theta_deg[0]) / self.signal.step_deg
            inside = (index >= 0) & (index < len(self.point) - 1)
        at = np.where(inside, self.point[np.where(inside, index, 0).astype(np.int32)], -1)
        area = np.where(at >= 0, self.area[rows], np.float32(0.0))  # the rest was not measured
        placed = at, area, np.sqrt(area)
        if isinstance(strain, float) and len(rows) == len(self.area):
            self._places[strain] = placed
        return placed

    def _score(
        self,
        amplitude: np.ndarray,
        error2: np.ndarray,
        strain: float | np.ndarray,
        rows: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Best score of each candidate over its scale, at a strain of all or one of each; that
        scale; and the most intensity that it explains, less what it lacks."""
        at, area, root = self._placed(strain, rows)
        seen, noise, own = amplitude[at], error2[at], self.share[rows]
        ratio = seen / np.maximum(area, np.float32(1e-12))  # of no area: zero, and no share
        order = np.argsort(ratio, axis=1)
        ratio = np.take_along_axis(ratio, order, axis=1)
        share = np.cumsum(np.take_along_axis(root, order, axis=1), axis=1)
        best = np.full(len(area), -np.inf)
        best_scale = np.zeros(len(area))
        explained = np.full(len(area), -np.inf)
        error = np.float32(self.settings.relative_error**2)
        row = np.arange(len(area))
        for quantile in self.settings.quantiles:
            pick = np.count_nonzero(share < np.float32(quantile) * share[:, -1:], axis=1)
            scale = ratio[row, np.minimum(pick, ratio.shape[1] - 1)]
            expected = scale[:, None] * area
            # what is missing counts against, what is in excess does not:
            # common^2 - (expected - common)^2 = expected (2 common - expected)
            told = own * (2.0 * np.minimum(expected, seen) - expected)
            score = np.sum(expected * told / (noise + error * expected * expected), axis=1)
            better = score > best
            best[better], best_scale[better] = score[better], scale[better]
            explained = np.maximum(explained, told.sum(axis=1))
        return best, best_scale, explained


def _resolved_lines(
    model: PhaseModel, signal: PatternSignal, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """1/d of the strongest lines, the area that a filter as wide as a peak sees at each, and the
    share of it that is the line's own; lines nearer than half a peak width are one."""
    inverse_d = np.sqrt(np.maximum(model._quadratic @ model.metric, 1e-8))
    sine = np.minimum(0.5 * model.radiation.primary_angstrom * inverse_d, 0.9999)
    angle = np.degrees(2.0 * np.arcsin(sine))
    area = model.intensity * lorentz_polarisation(angle, model.monochromator)
    margin = (-1.0, 0.0, 1.0)  # deg: a strained cell moves its lines
    inside = np.any([signal.measured(angle + off) for off in margin], axis=0)
    inverse_d, angle, area = inverse_d[inside], angle[inside], area[inside]
    if not len(area):
        return inverse_d, area, area
    order = np.argsort(angle)
    inverse_d, angle, area = inverse_d[order], angle[order], area[order]
    label = np.cumsum(np.diff(angle, prepend=-1e9) > 0.5 * signal.fwhm_deg) - 1
    total = np.bincount(label, area)
    per_area = np.maximum(total, 1e-300)
    centre, place = (np.bincount(label, area * v) / per_area for v in (inverse_d, angle))
    strongest = np.argsort(-total)[:count]
    distance = (place[strongest, None] - place[strongest]) / signal.fwhm_deg
    # a Gaussian line under a filter of its own shape
    seen = np.exp(-2.0 * np.log(2.0) * distance**2) @ total[strongest]
    return centre[strongest], seen, total[strongest] / np.maximum(seen, 1e-300)


def _point_at(signal: PatternSignal) -> np.ndarray:
    """Point of the pattern in each step of its range from the start; -1 where there is none."""
    low, high = signal.range_deg
    slot = low + signal.step_deg * np.arange(int((high - low) / signal.step_deg + 1.5))
    grid = signal.two_theta_deg
    after = np.clip(np.searchsorted(grid, slot), 1, len(grid) - 1)
    nearest = after - (slot - grid[after - 1] < grid[after] - slot)
    return np.where(np.abs(grid[nearest] - slot) < 2.0 * signal.step_deg, nearest, -1)


def _strain_step(signal: PatternSignal) -> float:
    """A strain that moves a peak at the middle of the pattern by two thirds of its width."""
    low, high = signal.range_deg
    middle = np.radians(min(0.5 * (low + high), 60.0)) / 2.0
    return float(np.clip(np.radians(signal.fwhm_deg) * 0.33 / np.tan(middle), 1e-4, 2e-3))
