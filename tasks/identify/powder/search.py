"""Finds the set of phases that a pattern needs.

Phases are added one by one to several competing hypotheses, each time the one that the evidence
asks for most; then superfluous ones are taken out again and each is challenged by its rivals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from xtalfuse.encoders.pattern import PatternSignal
from xtalfuse.physics.crystal.powder import PhaseModel
from xtalfuse.tasks.identify.powder.fitting.fit import PatternFitter
from xtalfuse.tasks.identify.powder.fitting.graininess import free_intensities
from xtalfuse.tasks.identify.powder.fitting.priors import Chemistry
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit, PhaseFit, start_instrument
from xtalfuse.tasks.identify.powder.measures import (
    common_strain,
    gain,
    repeats,
    unexplained_share,
)
from xtalfuse.tasks.identify.powder.screen import Screen
from xtalfuse.tasks.identify.powder.settings import DEFAULT, SearchSettings


@dataclass(frozen=True)
class Rival:
    """What the pattern says when one phase is replaced by another, or by nothing."""

    entry: int | None  # library index; None is "no phase in its place"
    loss: float  # rise of minus twice the log posterior, per unit misfit


@dataclass(frozen=True)
class SearchResult:
    """The best hypothesis, with the rivals of each of its phases."""

    fit: PatternFit
    rivals: tuple[tuple[Rival, ...], ...]
    fitter: PatternFitter
    considered: int


def members_of(fit: PatternFit) -> frozenset[int]:
    """Library entries of the phases of a fit."""
    return frozenset(p.entry for p in fit.phases)


class PhaseSearch:
    """Search of one pattern over candidate phases.

    Parameters
    ----------
    signal : the pattern
    models : candidates by library index
    same_class : tells whether two library entries are look-alikes
    settings : numbers that decide
    chemistry : prior of the elements that the phases bring
    """

    def __init__(
        self,
        signal: PatternSignal,
        models: dict[int, PhaseModel],
        same_class: Callable[[int, int], bool] = lambda a, b: a == b,
        settings: SearchSettings = DEFAULT,
        chemistry: Chemistry | None = None,
    ) -> None:
        self.signal = signal
        self.chemistry = chemistry or Chemistry()
        self.settings = settings
        self.models = models
        self.entries = np.array(list(models), int)
        self.same_class = same_class
        self.screen = Screen(signal, list(models.values()), settings)
        self.set_axis()

    def set_axis(self, stretch: float = 0.0) -> None:
        """Take every d of this pattern for longer than it is by a fraction."""
        start = replace(start_instrument(self.signal), stretch=stretch)
        self.fitter = PatternFitter(self.signal, start, self.settings, chemistry=self.chemistry)

    def look_beside(self, fit: PatternFit) -> None:
        """Set the ranking to the axis of a fit."""
        i = fit.instrument
        self.screen.set_axis(i.stretch, i.zero + i.displacement)

    def first(self) -> PatternFit:
        """Phases that are found one after the other, on the axis that explains them best.

        The axis is taken as it is, or stretched where the ranking is sure of that. As long as
        phases are strained or leave something over, it is tried the other way, and shifted.
        """
        stretch, sure = self.screen.common_stretch(self.signal.net, self.signal.variance)
        tried = stretch if sure else 0.0
        best = self.grown(tried)
        if not self.settled(best):
            axes = [(other, 0.0) for other in {0.0, stretch} - {tried}]
            self.screen.set_axis()
            if shift := self.screen.common_shift(self.signal.net, self.signal.variance):
                axes.append((0.0, shift))
            for axis in axes:
                best = self.likelier(best, self.grown(*axis))
        self.set_axis(best.instrument.stretch)
        return best

    def settled(self, fit: PatternFit) -> bool:
        """Whether phases need no strain and leave nothing over, so that the axis holds."""
        strain = [abs(p.state.strain[0] / np.sqrt(3.0)) for p in fit.phases]
        strained = max(strain, default=np.inf) > 2.0 * self.settings.prior_strain
        alone = len(fit.phases) < 2 and fit.instrument.stretch != 0.0
        return (
            not (strained or alone)
            and unexplained_share(self.signal, fit) < self.settings.axis_holds
        )

    def likelier(self, best: PatternFit, other: PatternFit) -> PatternFit:
        """The better of two fits on axes of their own.

        The axis is what it is said to be unless another is clearly better, which one phase alone
        cannot tell: it may be a solid solution.
        """
        moved = [f.instrument.stretch != 0.0 for f in (best, other)]
        alone = [m and len(f.phases) < 2 for m, f in zip(moved, (best, other), strict=True)]
        if alone[0] != alone[1]:
            return other if alone[0] else best
        doubt = self.settings.min_gain * (moved[1] - moved[0])
        return other if self.gain(best, other) > doubt else best

    def run(self, best: PatternFit | None = None) -> SearchResult:
        """Search, prune, challenge, and search again where that changed a phase.

        Parameters
        ----------
        best : of `first`, where that was asked
        """
        best = best or self.first()
        for _ in range(self.settings.swaps):
            found, rivals = self.challenge(self.prune(self.weighed(best)))
            if members_of(found) == members_of(best):
                break
            # what is left over beside the right phases was not asked for beside the wrong ones
            best = self.grow(found)
            if len(best.phases) == len(found.phases):
                break
        return SearchResult(self.named(found), rivals, self.fitter, len(self.models))

    def weighed(self, fit: PatternFit) -> PatternFit:
        """The fit with weights that hold the error of the model which it shows."""
        return self.polish(fit) if self.fitter.learn_error(fit) else fit

    def grown(self, stretch: float = 0.0, shift: float = 0.0) -> PatternFit:
        """The phases that are found with such an axis."""
        self.set_axis(stretch)
        best = self.prune(self.grow(shift=shift))
        strain = common_strain(best, self.settings)
        if strain and (stretch or abs(strain) > self.settings.stretch_noticed):
            best = self.prune(self.grow(self.absorb(best, strain)))
        return best

    def absorb(self, fit: PatternFit, strain: float) -> PatternFit:
        """The fit with the strain that its phases share given to the axis instead.

        The ranking finds a stretch to some tenths of a percent only, the rest would be in all
        cells.
        """
        stretch = fit.instrument.stretch + strain
        self.set_axis(stretch)
        phases = []
        for phase in fit.phases:
            moved = phase.state.strain.copy()
            moved[0] -= strain * np.sqrt(3.0)
            phases.append(replace(phase, state=replace(phase.state, strain=moved)))
        instrument = replace(fit.instrument, stretch=stretch)
        return self.polish(replace(fit, phases=tuple(phases), instrument=instrument))

    def grow(self, start: PatternFit | None = None, shift: float = 0.0) -> PatternFit:
        """Add phases to a beam of hypotheses, to none at first, until none brings enough.

        Parameters
        ----------
        start : the first hypothesis; none at first
        shift : displacement of the specimen from which that starts, deg
        """
        instrument = replace(self.fitter.instrument, displacement=shift)
        best = start or self.fitter.fit((), instrument, iterations=0)
        beam = [best]
        for _ in range(self.settings.max_phases - len(best.phases)):
            grown: dict[frozenset[int], PatternFit] = {}
            for hypothesis in beam:
                # what a better one holds after its own next step is no rival but another order
                if any(members_of(hypothesis) < members for members in grown):
                    continue
                for trial in self.gaining(hypothesis):
                    grown.setdefault(members_of(trial), trial)
            if not grown:
                break
            beam = self.ranked(grown.values())[: self.settings.beam]
            if not self.gains(best, beam[0]):
                break
            best = beam[0]
        return best

    def gaining(self, fit: PatternFit) -> list[PatternFit]:
        """Fits with one more phase that are clearly better, with everything refined."""
        trials = self.extensions(fit)[: self.settings.beam]
        found = [self.polish(trial) for trial in trials if self.gains(fit, trial)]
        if not found and fit.misfit > self.settings.most_misfit:
            # phases are missing: broad lines gain only when the others give way to them
            found = [self.polish(trial) for trial in trials]
            found = [trial for trial in found if self.gains(fit, trial)]
        return found

    def extensions(
        self, fit: PatternFit, settled: int | None = None, but: int | None = None
    ) -> list[PatternFit]:
        """Fits with one more phase that does not look like entry `but`, best first."""
        proposals = [
            p
            for p in self.proposals(fit, self.settings.trials)
            if but is None or not self.same_class(p[0], but)
        ]
        placed = [self.place(fit, *p) for p in proposals]
        # where a cell starts a little off, narrow peaks fit badly until it is refined: the best
        # of the screen has its chance too
        first = self.ranked(placed)[: settled or self.settings.settled]
        first += [f for f in placed[:2] if not any(f is other for other in first)]
        refined = [self.settle(f) for f in first]
        return self.ranked(f for f in refined if not repeats(f, self.signal, self.settings))

    def proposals(self, fit: PatternFit, count: int) -> list[tuple[int, float, float]]:
        """Candidates that may explain what a fit leaves over: entry, strain, width."""
        peaks = fit.calculated - fit.background
        residual = self.signal.intensity - fit.calculated
        taken = [p.entry for p in fit.phases]
        found: dict[int, tuple[int, float, float]] = {}
        bring = np.array([self.chemistry.of([*taken, int(e)]) for e in self.entries])
        bring -= self.chemistry.of(taken)
        self.look_beside(fit)
        # where nothing is explained yet there is no error of it
        for error in self.settings.residual_errors if fit.phases else (0.0,):
            drawn = self.screen.drawn(residual, self.signal.variance + (error * peaks) ** 2)
            ranking = self.screen.rank_drawn(drawn)
            # of those that explain as much, the ones whose cells are as they should be and whose
            # elements are likely
            odds = ranking.score - 0.5 * (ranking.strain / self.settings.prior_strain) ** 2
            odds -= 0.5 * bring
            strains = self.screen.finer(ranking, self._first(odds, count, taken), drawn)
            # lines that are few, but hold most of the intensity, need no strain
            for row in self._first(ranking.explained, count // 2, taken):
                strains.setdefault(int(row), float(ranking.explained_strain[row]))
            for row, strain in strains.items():
                entry = int(self.entries[row])
                found.setdefault(entry, (entry, strain, float(ranking.width[row])))
        return list(found.values())

    def _first(self, value: np.ndarray, count: int, taken: list[int]) -> list[int]:
        """Rows of the candidates of highest value that do not look like an entry that is taken."""
        chosen: list[int] = []
        for row in np.argsort(-value):
            if value[row] <= 0 or len(chosen) >= count:
                break
            if not any(self.same_class(int(self.entries[row]), other) for other in taken):
                chosen.append(int(row))
        return chosen

    def named(self, fit: PatternFit) -> PatternFit:
        """The fit with each phase as that member of its class which the pattern is nearest to.

        The ranking proposes one of a class, and no other beside it. Where intensities do not
        clearly tell, it is the one whose cell is nearest.
        """
        for index, phase in enumerate(fit.phases):
            alike = [e for e in self.models if self.same_class(e, phase.entry) and e != phase.entry]
            for entry in alike[: self.settings.names]:
                rest = (*fit.phases[:index], *fit.phases[index + 1 :])
                trial = self.settle(self.place(replace(fit, phases=rest), entry, 0.0, 1.0))
                order = (*trial.phases[:index], trial.phases[-1], *trial.phases[index:-1])
                trial = replace(trial, phases=order)
                if self.gain(trial, fit) < self.settings.close:
                    trial = self.polish(trial)
                strains = [abs(f.phases[index].state.strain[0]) for f in (trial, fit)]
                nearer = strains[0] <= strains[1]
                if self.gain(fit, trial) > (0.0 if nearer else self.settings.min_gain):
                    fit = trial
        return fit

    def alike(self, fit: PatternFit, index: int) -> list[int]:
        """Entries of other classes that the ranking cannot tell from one phase of a fit, best
        first, one for each class; they are held against what the other phases leave over."""
        bare = self.without(fit, index)
        peaks = bare.calculated - bare.background
        error = self.settings.residual_errors[0] * peaks
        self.look_beside(bare)
        ranking = self.screen.rank(
            self.signal.intensity - bare.calculated, self.signal.variance + error**2
        )
        entry = fit.phases[index].entry
        own = ranking.score[int(np.flatnonzero(self.entries == entry)[0])]
        found: list[int] = []
        for row in np.argsort(-ranking.score):
            if ranking.score[row] < self.settings.nearly * own:
                break
            other = int(self.entries[row])
            if not any(self.same_class(other, known) for known in (entry, *found)):
                found.append(other)
        return found

    def place(self, fit: PatternFit, entry: int, strain: float, width: float) -> PatternFit:
        """A fit with one more phase where the screen saw it; only scales are solved."""
        model = self.models[entry]
        broad = (0.35 if width <= 1.0 else 0.8) * self.signal.fwhm_deg
        new = PhaseFit(entry, model, model.start(strain, size=broad, microstrain=0.5 * broad))
        trial = self.fitter.fit((*fit.phases, new), fit.instrument, iterations=0)
        return free_intensities(self.fitter, trial, only=(len(fit.phases),))

    def settle(self, fit: PatternFit) -> PatternFit:
        """Refine the phase that was placed last; the others hold still."""
        last = len(fit.phases) - 1
        fit = self.fitter.fit(
            fit.phases, fit.instrument, iterations=4, active=(last,), shared=last == 0
        )
        return free_intensities(self.fitter, fit, only=(last,))

    def polish(self, fit: PatternFit, iterations: int = 6) -> PatternFit:
        """Refine everything, with the intensities of grainy reflections freed anew."""
        fit = self.fitter.fit(fit.phases, fit.instrument, iterations=iterations)
        return free_intensities(self.fitter, fit)

    def without(self, fit: PatternFit, index: int) -> PatternFit:
        """The fit with one phase taken out and the others free to take over."""
        left = tuple(p for i, p in enumerate(fit.phases) if i != index)
        return free_intensities(self.fitter, self.fitter.fit(left, fit.instrument, iterations=3))

    def lifted(self, fit: PatternFit, index: int) -> PatternFit:
        """The fit with one phase lifted out of it and the others held as they are.

        What stands in its place must explain what it explained; others that were let take over
        meanwhile would have moved to where they do not belong.
        """
        phase = fit.phases[index]
        own = phase.scale * self.fitter.columns(phase, fit.instrument).profile
        left = (*fit.phases[:index], *fit.phases[index + 1 :])
        return replace(fit, phases=left, calculated=fit.calculated - own)

    def gain(self, poor: PatternFit, rich: PatternFit) -> float:
        """Fall of minus twice the log posterior from one fit to another, per unit misfit."""
        return gain(poor, rich, self.settings)

    def gains(self, poor: PatternFit, rich: PatternFit) -> bool:
        """Whether a fit is so much better that one more phase is there."""
        return self.gain(poor, rich) >= self.settings.min_gain

    def ranked(self, fits: Iterable[PatternFit]) -> list[PatternFit]:
        """Fits, the most probable first."""
        listed = list(fits)
        misfit = min([self.settings.most_misfit, *(f.misfit for f in listed)])
        return sorted(listed, key=lambda f: f.score(misfit))

    def prune(self, fit: PatternFit) -> PatternFit:
        """Take out phases that the others make superfluous."""
        while fit.phases:
            shorter = [self.without(fit, i) for i in range(len(fit.phases))]
            best = self.ranked(shorter)[0]
            if self.gain(best, fit) > self.settings.min_gain:
                break
            fit = self.polish(best)
        return fit

    def challenge(self, fit: PatternFit) -> tuple[PatternFit, tuple[tuple[Rival, ...], ...]]:
        """Let other candidates try to take the place of each phase."""
        rivals: list[tuple[Rival, ...]] = []
        index = 0
        swaps = 0
        while index < len(fit.phases):
            own = [Rival(None, self.gain(self.without(fit, index), fit))]
            close = max(self.settings.close, self.settings.almost_all * own[0].loss)
            better = None
            bare, known = self.lifted(fit, index), fit.phases[index].entry
            for rival in self.extensions(bare, self.settings.rivals, but=known):
                if self.gain(rival, fit) < close:
                    rival = self.polish(rival)
                own.append(Rival(rival.phases[-1].entry, self.gain(rival, fit)))
                if self.ranked([better or fit, rival])[0] is rival:
                    better = rival
            if better is not None and swaps < self.settings.swaps:
                # what stood beside the wrong phase to help it out has no place beside the right one
                better = self.weighed(self.polish(better))
                fit, index, rivals, swaps = self.prune(better), 0, [], swaps + 1
                continue
            rivals.append(tuple(sorted(own, key=lambda r: r.loss)))
            index += 1
        return fit, tuple(rivals)
