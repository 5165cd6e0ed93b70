"""What a reader of an answer must know before trusting its numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xtalfuse.datasets.library.build import Library
from xtalfuse.loaders.xrd.scan import anode_of
from xtalfuse.physics.crystal.absorption import absorption_per_cm, contrasts
from xtalfuse.physics.units import ANODES, doublet
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit
from xtalfuse.tasks.identify.powder.phase import PatternAnswer
from xtalfuse.tasks.identify.powder.settings import DEFAULT

GRAIN_UM = 5.0  # a hand-ground powder
BRINDLEY_NOTICED = 0.15  # (mu - mean) * grain size from which fractions are off by a tenth
TEXTURED = 0.3  # |log r| of March-Dollase
GRAINY = 2.5  # observed over calculated intensity
FLUORESCENT = 3.0  # background over the mean height of the peaks
CELL_OFF = 0.004
# Cells of one compound in the literature, and of its solid solutions and temperatures in
# laboratories, scatter by a tenth of a percent (1e-5 / K makes a hundredth of that in 1 K); a
# goniometer is good to a hundredth. What several phases share within three standard
# deviations of their mean says nothing of the axis.
CELL_SCATTER = 0.001
LINES_MORE = 5.0  # strong lines that another anode must explain; two coincide by chance


def cautions(answer: PatternAnswer, library: Library) -> list[str]:
    """Warnings about one powder pattern, most important first."""
    names = [library.entries[p.entry].name for p in answer.fit.phases]
    nominal = answer.signal.radiation.nominal  # then shifts and absorption are of no instrument
    return [
        *([] if nominal else _anode(answer, library)),
        *_axis(answer.fit, shifted=not nominal),
        *([] if nominal else _absorption(answer, library, names)),
        *_phases(answer, library, names),
        *_fluorescence(answer),
    ]


def _anode(answer: PatternAnswer, library: Library) -> list[str]:
    """Another tube, if one phase under it would explain lines that none does under the stated one.

    A wrong wavelength makes every 1/d of the references longer by one factor.
    """
    from xtalfuse.tasks.identify.powder.phase import library_models
    from xtalfuse.tasks.identify.powder.screen import Screen

    used = answer.signal.radiation
    stated = anode_of(used.primary_angstrom)
    if stated is None or answer.unknown_probability < 0.5:
        return []
    quick = replace(DEFAULT, widths=DEFAULT.widths[:1], strain_limit=CELL_OFF)
    scores = {}
    for anode, lines in ANODES.items():
        radiation = used if anode == stated[0] else doublet(f"{anode}Ka", *lines)
        signal = replace(answer.signal, radiation=radiation)
        models = list(library_models(library, range(len(library)), signal).values())
        ranking = Screen(signal, models, quick).rank(signal.net, signal.variance)
        # a line that is where it should be counts as much as intensities are trusted
        scores[anode] = float(ranking.score.max(initial=0.0)) * quick.relative_error**2
    best = max(scores, key=lambda anode: scores[anode])
    more = scores[best] - scores[stated[0]]
    if more < LINES_MORE:
        return []
    return [
        f"with {best} K-alpha one phase explains some {more:.0f} strong lines more than any does "
        f"with {used.name}: if it was measured with that tube, pass --wavelength {best}Ka"
    ]


def _axis(fit: PatternFit, shifted: bool) -> list[str]:
    instrument, found = fit.instrument, []
    phases = len(fit.phases)
    if phases > 1 and abs(instrument.stretch) > 3.0 * CELL_SCATTER / np.sqrt(phases):
        found.append(
            f"all phases look {100 * instrument.stretch:+.2f} % larger than their references: the "
            "angle axis, the wavelength or the temperature is not what it is taken for; cells are "
            "given with this common factor removed"
        )
    shift = np.hypot(instrument.zero, instrument.displacement)
    if shifted and shift > 0.15:
        found.append(
            f"lines are shifted by {shift:.2f} degrees (specimen displacement or zero); check the "
            "specimen height"
        )
    return found


def _absorption(answer: PatternAnswer, library: Library, names: list[str]) -> list[str]:
    """Microabsorption after Brindley (1945) Philos. Mag. 36, 347."""
    from xtalfuse.tasks.identify.powder.measures import weight_fractions

    phases = answer.fit.phases
    if len(phases) < 2:
        return []
    wavelength = answer.signal.radiation.mean_angstrom
    crystals = [library.entries[p.entry].crystal for p in phases]
    mu = np.array([absorption_per_cm(c, wavelength) for c in crystals])
    density = np.array([c.density_g_cm3 for c in crystals])
    contrast = contrasts(weight_fractions(answer.fit), mu, density, GRAIN_UM)
    mean = mu[0] - contrast[0] / (GRAIN_UM * 1e-4)
    worst = int(np.argmax(np.abs(contrast)))
    if abs(contrast[worst]) < BRINDLEY_NOTICED:
        return []
    factor = float(np.exp(-np.clip(contrast[worst], -3.0, 3.0)))
    return [
        f"absorption contrast: {names[worst]} absorbs {mu[worst]:.0f} /cm, the mixture {mean:.0f} "
        f"/cm; with grains of {GRAIN_UM:.0f} um its fraction would come out {factor:.2f} times the "
        "true one. Do not trust the fractions unless the powder was micronised"
    ]


def _phases(answer: PatternAnswer, library: Library, names: list[str]) -> list[str]:
    found = []
    for name, phase, fitted in zip(names, answer.phases, answer.fit.phases, strict=True):
        state = fitted.state
        if state.axis is not None and abs(np.log(state.texture)) > TEXTURED:
            axis = " ".join(str(i) for i in state.axis)
            found.append(
                f"{name}: preferred orientation along ({axis}), March-Dollase r = "
                f"{state.texture:.2f}; its fraction is less certain than its uncertainty says"
            )
        if state.adjust is not None:
            bare = fitted.model.seen_strength(
                type(state)(state.strain, axis=state.axis, texture=state.texture),
                answer.fit.instrument,
            )
            off = np.abs(np.log(np.maximum(state.adjust, 1e-3))) > np.log(GRAINY)
            share = float(bare[off].sum() / max(bare.sum(), 1e-300))
            if share > 0.15:
                found.append(
                    f"{name}: {100 * share:.0f} % of its intensity is in reflections that are more "
                    f"than {GRAINY:g} times too strong or too weak (few or oriented grains)"
                )
        if phase.evidence.lines <= 1:
            found.append(f"{name} rests on one line; look for it by another method")
        strain = float(state.strain[0] / np.sqrt(3.0))
        if abs(strain) > CELL_OFF:
            found.append(
                f"{name}: its cell is {100 * strain:+.1f} % off the reference (solid solution, "
                "temperature, or another compound of the same structure)"
            )
        for text in library.entries[fitted.entry].warnings:
            found.append(f"{name}: the reference is unusual: {text}")
    return found


def _fluorescence(answer: PatternAnswer) -> list[str]:
    height = answer.signal.peaks.height
    level = float(np.median(answer.signal.background))
    if len(height) and level > FLUORESCENT * float(np.median(height)):
        return [
            f"the background is {level / float(np.median(height)):.0f} times the median peak: "
            "fluorescence or an amorphous part hides weak phases"
        ]
    return []
