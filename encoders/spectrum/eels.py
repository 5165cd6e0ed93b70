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
from scipy.special import logsumexp

from xtalfuse.encoders.spectrum.eels_bins import Binned, background_columns
from xtalfuse.encoders.spectrum.eels_templates import (
    Template,
    candidates,
    prior_probability,
)

OFFSETS = np.arange(-22.0, 22.5, 1.0)  # eV; real axes are wrong by up to some 20 eV
OFFSET_SCALE = 5.0  # eV, scale of the Student-t prior (3 degrees of freedom)
CHEMICAL_SHIFT = (0.7, 2.0)  # eV, mean and spread of edge against tabulated onset
HEIGHTS = np.geomspace(0.003, 4.0, 22)  # step height over the largest intensity
CONCENTRATION_SPREAD = 1.6  # natural log units between two elements of one material
TEMPERATURE = 0.35  # neighbouring residuals are not independent: weight of one log-likelihood
BEAM = 4
PLACES = 9  # at which an element is tried with its variations: 4 eV either way of the best
HOPEFUL = 14  # elements that are tried so, of those whose mean shapes fit best


@dataclass
class ElementSet:
    """A set of elements with the place and height of each."""

    members: dict[str, tuple[int, int]]  # symbol -> index into OFFSETS, into HEIGHTS
    log_likelihood: float  # over the spectrum without any edge
    log_posterior: float = 0.0
    # (n, r) U of the inverse covariance, diag(1/variance) - U U^T
    explained: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    residual: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)  # (n,)


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
            symbol: Template(members, spectrum, OFFSETS) for symbol, members in reach.items()
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
        best = max(seen.values(), key=lambda h: h.log_posterior)
        self._expand([best if best.explained.size else self._refine(best)], seen, every=True)
        ranked = sorted(seen.values(), key=lambda h: -h.log_posterior)
        if not ranked[0].explained.size:
            ranked[0] = self._refine(ranked[0])
        return ranked

    def _expand(
        self,
        parents: list[ElementSet],
        seen: dict[frozenset[str], ElementSet],
        every: bool = False,
    ) -> list[ElementSet]:
        """Add elements to every parent; the new or better hypotheses, also into `seen`."""
        better: dict[frozenset[str], ElementSet] = {}
        for parent in parents:
            for child in self._children(parent, every):
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
        placed = [self.templates[symbol].at(place) for place in places.tolist()]
        data = self._weighted(parent)
        count = parent.explained.shape[1]
        # One product of matrices for all places; the (n, n) covariance is never formed.
        together = np.column_stack([parent.explained, data])
        most = max(p.variation.shape[1] for p in placed)
        linear, square = np.empty(len(placed)), np.empty(len(placed))
        values, a, b = (np.zeros((len(placed), most)) for _ in range(3))
        for i, p in enumerate(placed):
            varied = p.variation.T @ together  # [m, r + 1]
            outer = p.mean @ together  # [r + 1]
            cross, m = varied[:, :count], varied.shape[0]
            own, vectors = np.linalg.eigh(p.gram - cross @ cross.T)
            values[i, :m] = np.maximum(own, 0.0)
            a[i, :m] = vectors.T @ varied[:, count]
            b[i, :m] = vectors.T @ (p.mixed - cross @ outer[:count])
            linear[i] = outer[count]
            square[i] = p.square - outer[:count] @ outer[:count]
        mean = self.templates[symbol].means[places]  # [s, n]
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
        likely = self._alone(parent, symbol) + prior
        likely[prior < prior.max() - 12.0] = -np.inf
        places = np.sort(np.argsort(-likely)[:PLACES])
        weight = self.temperature * self.gains(parent, symbol, places)
        weight = weight + prior[places, None] + self.height_weights(parent.members, symbol)[None, :]
        probability = prior_probability(symbol)
        odds = float(logsumexp(weight)) + float(np.log(probability / (1.0 - probability)))
        best = np.unravel_index(np.argmax(weight), weight.shape)
        return odds, (int(places[best[0]]), int(best[1]))

    def _alone(self, parent: ElementSet, symbol: str) -> np.ndarray:
        """(n_offset,) gain, tempered, of the mean shape of one more element, nothing varied."""
        template = self.templates[symbol]
        outer = template.means @ parent.explained
        left = np.maximum(template.squares - (outer**2).sum(1), 1e-9)
        linear = np.maximum(template.means @ self._weighted(parent), 0.0)
        return self.temperature * 0.5 * linear**2 / left

    def _children(self, parent: ElementSet, every: bool = False) -> list[ElementSet]:
        """Sets with one element more: the `HOPEFUL` whose mean shapes fit best, or every one."""
        found = []
        others = [symbol for symbol in self.templates if symbol not in parent.members]
        if not every and len(others) > HOPEFUL:
            prior = self.place_weights(parent.members)
            fits = {
                symbol: float(np.max(self._alone(parent, symbol) + prior))
                + np.log(prior_probability(symbol))
                for symbol in others
            }
            others = sorted(others, key=lambda symbol: -fits[symbol])[:HOPEFUL]
        for symbol in others:
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
            columns.append(HEIGHTS[height] * template.at(place).variation)
            residual -= HEIGHTS[height] * template.means[place]
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
            varied = HEIGHTS[height] * template.at(place).variation
            model += HEIGHTS[height] * template.means[place] + varied @ (varied.T @ weights)
        return model, background
