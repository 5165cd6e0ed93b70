"""Which elements an energy-loss spectrum shows: a joint search over sets and axis offset.

Each hypothesis is a set of elements with one offset of the energy axis in common (and a
chemical shift each). Its likelihood is Gaussian: power-law background with uncertain exponent,
noise, and for each element an atomic edge shape with fine structure marginalised, so an edge
of height k costs log det(1 + k^2 G) for the freedom that it brings (Rasmussen & Williams
(2006), eq. 2.30). Sets grow greedily in a beam; probabilities are sums over all sets visited.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.special import logsumexp

from xtalfuse.encoders.spectrum.eels_templates import (
    Template,
    Whitened,
    candidates,
    make_template,
    prior_probability,
)

OFFSETS = np.arange(-22.0, 22.5, 1.0)  # eV; real axes are wrong by up to some 20 eV
OFFSET_SCALE = 5.0  # eV, scale of the Student-t prior (3 degrees of freedom)
CHEMICAL_SHIFT = (0.7, 2.0)  # eV, mean and spread of edge against tabulated onset
HEIGHTS = np.geomspace(0.003, 4.0, 22)  # step height over the largest intensity
CONCENTRATION_SPREAD = 1.6  # natural log units between two elements of one material
TEMPERATURE = 0.35  # neighbouring residuals are not independent: weight of one log-likelihood
BEAM = 4
NEARBY = 0.2  # of the energy either way: the lines of an edge and the background before it
# Misfit that no template describes: share of the range of the spectrum (over its background)
# within so many eV. Fine structure near an edge, slow oscillations further above it.
MISFIT = ((0.04, 15.0), (0.02, 60.0))


@dataclass(frozen=True)
class Binned:
    """A spectrum made ready: uniform bins, largest intensity near one."""

    energy: np.ndarray  # (n,) eV
    intensity: np.ndarray  # (n,)
    variance: np.ndarray  # (n,) of noise and of what no template describes
    scale: float  # intensity = measured / scale


@dataclass
class ElementSet:
    """A set of elements with the place and height of each."""

    members: dict[str, tuple[int, int]]  # symbol -> index into OFFSETS, into HEIGHTS
    log_likelihood: float  # over the spectrum without any edge
    log_posterior: float = 0.0
    # (n, r) U of the inverse covariance, diag(1/variance) - U U^T
    explained: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    residual: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)  # (n,)


def bin_spectrum(energy: np.ndarray, intensity: np.ndarray, bins: int = 240) -> Binned:
    """Median intensity in uniform bins of 0.5 eV or wider, with its variance.

    Medians drop spikes from X-rays and dead pixels. The variance is the scatter of second
    differences plus a floor for gain variation and for the limits of the templates.

    Parameters
    ----------
    energy, intensity : (n,) energies, eV, and intensities in any unit
    bins : the most that are made
    """
    order = np.argsort(energy)
    energy, intensity = energy[order], intensity[order]
    width = max(0.5, (energy[-1] - energy[0]) / bins, float(np.median(np.diff(energy))))
    index = np.floor((energy - energy[0]) / width + 1e-9).astype(int)
    starts = np.unique(index, return_index=True)[1]
    groups = np.split(np.arange(energy.size), starts[1:])
    centres = np.array([energy[g].mean() for g in groups])
    medians = np.array([np.median(intensity[g]) for g in groups])
    scale = float(np.percentile(np.abs(medians), 98)) or 1.0
    medians = medians / scale
    bends = medians[2:] - 2.0 * medians[1:-1] + medians[:-2]
    noise = 1.4826 * float(np.median(np.abs(bends))) / np.sqrt(6.0) if bends.size else 0.01
    # Gain and templates are good to a share of what the detector saw nearby, not of the whole
    # range: a background falls by three orders of magnitude from 150 eV to 3 keV.
    near = np.abs(np.log(centres[:, None] / centres)) < NEARBY
    span = np.where(near, medians, -np.inf).max(1) - np.where(near, medians, np.inf).min(1)
    # Counts scatter as their root; the least stands for read-out and for what was subtracted.
    counts = np.abs(medians) / max(float(np.median(np.abs(medians))), 1e-9)
    variance = noise**2 * np.maximum(counts, 0.2)
    net = medians - _lower_hull(centres, medians)
    floor = 0.003**2 * medians**2 + 0.003**2 * span**2
    for share, distance in MISFIT:
        reach = 2 * max(2, round(distance / width)) + 1
        local = maximum_filter1d(net, reach) - minimum_filter1d(net, reach)
        floor = floor + (share * local) ** 2
    return Binned(centres, medians, variance + floor, scale)


def falls_at_the_end(energy: np.ndarray, intensity: np.ndarray, last: int) -> np.ndarray:
    """(n,) bool channels at the end of the range that the detector or a filter let fall.

    They lie below the line through the logarithms of the 40 eV before them by four standard
    deviations and 2 %, up to the last channel; 6 eV at most, a few widths of the resolution.
    """
    falls = np.zeros(energy.size, bool)
    before = (energy < energy[last] - 6.0) & (energy > energy[last] - 46.0) & (intensity > 0.0)
    if before.sum() < 10:
        return falls
    line = np.polynomial.Polynomial.fit(energy[before], np.log(intensity[before]), 1)
    scatter = float(np.std(np.log(intensity[before]) - line(energy[before])))
    floor = np.exp(line(energy) - 4.0 * scatter) * 0.98
    for k in range(last, -1, -1):
        if energy[k] <= energy[last] - 6.0 or intensity[k] >= floor[k]:
            break
        falls[k] = True
    return falls


def _lower_hull(energy: np.ndarray, intensity: np.ndarray) -> np.ndarray:
    """(n,) lower convex hull of a curve: a background that falls ever more slowly."""
    kept: list[int] = []
    for k in range(energy.size):
        while len(kept) > 1:
            i, j = kept[-2], kept[-1]
            across = (energy[j] - energy[i]) * (intensity[k] - intensity[i])
            if across > (energy[k] - energy[i]) * (intensity[j] - intensity[i]):
                break
            kept.pop()
        kept.append(k)
    return np.interp(energy, energy[kept], intensity[kept])


def background_columns(spectrum: Binned) -> np.ndarray:
    """(n, 10) one standard deviation of each way the background may go.

    A (E/E0)^-3 with free amplitude, its exponent by +-1.5 and by how that changes with energy
    (terms of its series, which matter over wide ranges), a constant, and slow drifts of 1.5 %
    (gain, tails of edges below the window).
    """
    energy, intensity = spectrum.energy, spectrum.intensity
    start = float(np.median(np.abs(intensity[: max(5, intensity.size // 20)]))) + 0.05
    fall = (energy / energy[0]) ** -3.0
    logarithm = np.log(energy / energy[0])
    position = np.linspace(-1.0, 1.0, energy.size)
    drifts = [0.015 * np.cos(np.pi * k * (position + 1.0) / 2.0) for k in (1, 2, 3)]
    columns = [
        3.0 * fall,
        1.5 * start * fall * logarithm,
        0.7 * start * fall * logarithm**2,
        0.25 * start * fall * logarithm**3,
        0.08 * start * fall * logarithm**4,
        0.3 * start * np.ones_like(energy),
        *[drift * (start + 0.2) for drift in drifts],
        0.03 * position,
    ]
    return np.stack(columns, axis=-1)


class EdgeSearch:
    """Search over element sets for one spectrum.

    Parameters
    ----------
    spectrum : made ready by :func:`bin_spectrum`
    temperature : weight of the log-likelihood
    zero_loss : offset of the axis and its standard deviation (eV) where the file shows them
    """

    def __init__(
        self,
        spectrum: Binned,
        temperature: float = TEMPERATURE,
        zero_loss: tuple[float, float] | None = None,
    ):
        self.spectrum = spectrum
        self.temperature = temperature
        low, high = spectrum.energy[[0, -1]]
        reach = candidates(low + OFFSETS[0], high - 4.0 + OFFSETS[-1])
        self.templates = {
            symbol: make_template(symbol, members, spectrum.energy, OFFSETS)
            for symbol, members in reach.items()
        }
        offset_prior = -2.0 * np.log1p(OFFSETS**2 / (3.0 * OFFSET_SCALE**2))
        if zero_loss is not None:
            offset_prior = -0.5 * ((OFFSETS - zero_loss[0]) / max(zero_loss[1], 0.7)) ** 2
        self._offset_prior = offset_prior - logsumexp(offset_prior)
        apart = OFFSETS[None, :] - OFFSETS[:, None] - CHEMICAL_SHIFT[0]  # [offset, seen at]
        chemical = -0.5 * (apart / CHEMICAL_SHIFT[1]) ** 2
        self._chemical = chemical - np.log(np.exp(chemical).sum(1, keepdims=True))
        self._span = float(np.ptp(spectrum.intensity)) + 1e-9
        columns = background_columns(spectrum)
        self._background = columns
        self._whitened = {
            symbol: Whitened.of(template, spectrum.variance)
            for symbol, template in self.templates.items()
        }

    def run(self) -> list[ElementSet]:
        """All hypotheses met, the most probable first; that one with its state of the fit."""
        null = self.assemble({})
        seen: dict[frozenset[str], ElementSet] = {frozenset(): null}
        beam = [null]
        while beam:
            before = max(h.log_posterior for h in seen.values())
            children = self._expand(beam, seen)
            beam = []
            for child in sorted(children, key=lambda h: -h.log_posterior)[:BEAM]:
                refined = self._refine(child)
                seen[frozenset(refined.members)] = refined
                beam.append(refined)
            if beam and beam[0].log_posterior < before - 4.0:
                break
        for _ in range(3):
            best = max(seen.values(), key=lambda h: h.log_posterior)
            self._expand(self._reduced(best, seen), seen)
            if best is max(seen.values(), key=lambda h: h.log_posterior):
                break
        ranked = sorted(seen.values(), key=lambda h: -h.log_posterior)
        if not ranked[0].explained.size:
            ranked[0] = self._refine(ranked[0])
        return ranked

    def _expand(
        self, parents: list[ElementSet], seen: dict[frozenset[str], ElementSet]
    ) -> list[ElementSet]:
        """Add every element to every parent; the new or better hypotheses, also into `seen`."""
        better: dict[frozenset[str], ElementSet] = {}
        for parent in parents:
            for child in self._children(parent):
                key = frozenset(child.members)
                if key not in seen or child.log_posterior > seen[key].log_posterior:
                    seen[key] = better[key] = child
        return list(better.values())

    def _reduced(
        self, best: ElementSet, seen: dict[frozenset[str], ElementSet]
    ) -> list[ElementSet]:
        """Sets with one member of the best taken out, scored so that adding it leads back."""
        reduced = []
        for symbol in best.members if len(best.members) > 1 else ():
            rest = self._refine(
                ElementSet({s: p for s, p in best.members.items() if s != symbol}, float("nan"))
            )
            rest.log_posterior = best.log_posterior - self._join(rest, symbol)[0]
            key = frozenset(rest.members)
            if key not in seen or rest.log_posterior > seen[key].log_posterior:
                seen[key] = rest
            reduced.append(rest)
        return reduced

    def height_weights(self, members: dict[str, tuple[int, int]], symbol: str) -> np.ndarray:
        """(n_height,) log prior of the step height of one more element."""
        if not members:
            return np.full(HEIGHTS.size, -np.log(HEIGHTS.size))
        amounts = [np.log(HEIGHTS[k] / self.templates[s].strength) for s, (_, k) in members.items()]
        distance = np.log(HEIGHTS / self.templates[symbol].strength) - max(amounts)
        weights = -0.5 * ((distance + 0.5) / CONCENTRATION_SPREAD) ** 2
        step = np.log(HEIGHTS[1] / HEIGHTS[0])
        return weights + np.log(step / (CONCENTRATION_SPREAD * np.sqrt(2.0 * np.pi)))

    def gains(self, parent: ElementSet, symbol: str, places: np.ndarray) -> np.ndarray:
        """(place, height) gain of log-likelihood when an element joins at OFFSETS[places].

        Parameters
        ----------
        parent : the set that it joins, with its state of the fit
        symbol : of the element
        places : (s,) int, positions in `OFFSETS`
        """
        mean = self.templates[symbol].mean[places]  # [s, n]
        own = self._whitened[symbol]
        data = self._weighted(parent)
        count = parent.explained.shape[1]
        # One product of matrices for all places; the (n, n) covariance is never formed.
        together = np.column_stack([parent.explained, data])
        varied = own.variation[places] @ together  # [s, m, r + 1]
        cross, along = varied[..., :count], varied[..., count]
        outer = mean @ together  # [s, r + 1]
        gram = own.gram[places] - cross @ cross.swapaxes(1, 2)
        values, vectors = np.linalg.eigh(gram)
        values = np.maximum(values, 0.0)
        mixed = own.mixed[places] - (cross @ outer[:, :count, None])[..., 0]
        a = (vectors.swapaxes(1, 2) @ along[..., None])[..., 0]
        b = (vectors.swapaxes(1, 2) @ mixed[..., None])[..., 0]
        linear = outer[:, count]
        square = own.square[places] - (outer[:, :count] ** 2).sum(1)
        k = HEIGHTS[None, :, None]
        freedom = 1.0 + k**2 * values[:, None, :]
        taken = (k**2 * (a[:, None, :] - k * b[:, None, :]) ** 2 / freedom).sum(-1)
        k = HEIGHTS[None, :]
        fit = k * linear[:, None] - 0.5 * k**2 * square[:, None] + 0.5 * taken
        crowded = np.maximum(HEIGHTS[None, :] * mean.max(1)[:, None] / self._span - 1.2, 0.0)
        return fit - 0.5 * np.log(freedom).sum(-1) - 20.0 * crowded**2

    def place_weights(self, members: dict[str, tuple[int, int]]) -> np.ndarray:
        """(n_offset,) log prior of where one more element is seen, offset marginalised."""
        offset = self._offset_posterior(members)
        return logsumexp(offset[:, None] + self._chemical, axis=0)

    def _offset_posterior(self, members: dict[str, tuple[int, int]]) -> np.ndarray:
        total = self._offset_prior.copy()
        for place, _ in members.values():
            total = total + self._chemical[:, place]
        return total - logsumexp(total)

    def offset(self, members: dict[str, tuple[int, int]]) -> tuple[float, float]:
        """Mean and standard deviation of the axis offset, eV, given where edges are seen."""
        weight = np.exp(self._offset_posterior(members))
        mean = float(weight @ OFFSETS)
        return mean, float(np.sqrt(weight @ (OFFSETS - mean) ** 2))

    def _join(self, parent: ElementSet, symbol: str) -> tuple[float, tuple[int, int]]:
        """Log posterior odds that an element joins a set, and its best place and height."""
        prior = self.place_weights(parent.members)
        places = np.flatnonzero(prior > prior.max() - 12.0)
        weight = self.temperature * self.gains(parent, symbol, places)
        weight = weight + prior[places, None] + self.height_weights(parent.members, symbol)[None, :]
        probability = prior_probability(symbol)
        odds = float(logsumexp(weight)) + float(np.log(probability / (1.0 - probability)))
        best = np.unravel_index(np.argmax(weight), weight.shape)
        return odds, (int(places[best[0]]), int(best[1]))

    def _children(self, parent: ElementSet) -> list[ElementSet]:
        found = []
        for symbol in self.templates:
            if symbol not in parent.members:
                odds, place = self._join(parent, symbol)
                child = ElementSet({**parent.members, symbol: place}, float("nan"))
                child.log_posterior = parent.log_posterior + odds
                found.append(child)
        return found

    def _refine(self, child: ElementSet) -> ElementSet:
        """Let every member move once, given the others; then score the set as a whole."""
        members = dict(child.members)
        score = child.log_posterior
        if len(members) > 1:
            for symbol in child.members:
                others = {s: p for s, p in members.items() if s != symbol}
                members[symbol] = self._join(self.assemble(others), symbol)[1]
        refined = self.assemble(members)
        refined.log_posterior = score
        return refined

    def assemble(self, members: dict[str, tuple[int, int]]) -> ElementSet:
        """State of the fit with these members at these places and heights."""
        columns = [self._background]
        residual = self.spectrum.intensity.copy()
        for symbol, (place, height) in members.items():
            template: Template = self.templates[symbol]
            columns.append(HEIGHTS[height] * template.variation[place])
            residual -= HEIGHTS[height] * template.mean[place]
        joined = np.concatenate(columns, axis=1)
        variance = self.spectrum.variance
        weighted = joined / variance[:, None]
        values, vectors = np.linalg.eigh(joined.T @ weighted)
        kept = values > 1e-4  # the rest explains less than 1e-4 of a standard deviation squared
        values = values[kept]
        state = ElementSet(members, 0.0, residual=residual)
        state.explained = weighted @ (vectors[:, kept] / np.sqrt(1.0 + values))
        fit = residual @ self._weighted(state) + np.log(variance).sum() + np.log1p(values).sum()
        state.log_likelihood = -0.5 * float(fit)
        return state

    def _weighted(self, state: ElementSet) -> np.ndarray:
        """(n,) inverse covariance times residual (Woodbury identity)."""
        taken = state.explained @ (state.explained.T @ state.residual)
        return state.residual / self.spectrum.variance - taken

    def curves(self, members: dict[str, tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        """Model and background of a hypothesis on the binned axis: posterior means, (n,)."""
        state = self.assemble(members)
        weights = self._weighted(state)
        columns = background_columns(self.spectrum)
        background = columns @ (columns.T @ weights)
        model = background.copy()
        for symbol, (place, height) in members.items():
            template = self.templates[symbol]
            varied = HEIGHTS[height] * template.variation[place]
            model += HEIGHTS[height] * template.mean[place] + varied @ (varied.T @ weights)
        return model, background
