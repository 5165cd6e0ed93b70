"""What a reader of an answer must know before trusting its numbers."""

from __future__ import annotations

import gemmi
import numpy as np

from xtalfuse.datasets.library.build import Library
from xtalfuse.physics.crystal.cell import Crystal
from xtalfuse.physics.crystal.diffraction import anomalous
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit
from xtalfuse.tasks.identify.powder.phase import PatternAnswer

CLASSICAL_RADIUS_ANGSTROM = 2.8179403262e-5
GRAIN_UM = 5.0  # a hand-ground powder
BRINDLEY_NOTICED = 0.15  # (mu - mean) * grain size from which fractions are off by a tenth
TEXTURED = 0.3  # |log r| of March-Dollase
GRAINY = 2.5  # observed over calculated intensity
FLUORESCENT = 3.0  # background over the mean height of the peaks
CELL_OFF = 0.004


def absorption_per_cm(crystal: Crystal, wavelength_angstrom: float) -> float:
    """Linear photoelectric absorption coefficient of a crystal, 1/cm.

    The optical theorem gives each atom the cross-section ``2 r_e lambda f''``; scattering,
    which is left out, matters for light elements only.
    """
    total = 0.0
    for element, amount in crystal.composition.items():
        number = gemmi.Element(element).atomic_number
        imaginary = anomalous(number, wavelength_angstrom).imag
        total += amount * 2.0 * CLASSICAL_RADIUS_ANGSTROM * wavelength_angstrom * imaginary
    return 1e8 * total / crystal.volume


def cautions(answer: PatternAnswer, library: Library) -> list[str]:
    """Warnings about one powder pattern, most important first."""
    names = [library.entries[p.entry].name for p in answer.fit.phases]
    return [
        *_axis(answer.fit),
        *_absorption(answer, library, names),
        *_phases(answer, library, names),
        *_fluorescence(answer),
    ]


def _axis(fit: PatternFit) -> list[str]:
    instrument, found = fit.instrument, []
    if instrument.stretch:
        found.append(
            f"all phases look {100 * instrument.stretch:+.2f} % larger than their references: the "
            "angle axis, the wavelength or the temperature is not what it is taken for; cells are "
            "given with this common factor removed"
        )
    shift = np.hypot(instrument.zero, instrument.displacement)
    if shift > 0.15:
        found.append(
            f"lines are shifted by {shift:.2f} degrees (specimen displacement or zero); check the "
            "specimen height"
        )
    return found


def _absorption(answer: PatternAnswer, library: Library, names: list[str]) -> list[str]:
    """Microabsorption after Brindley (1945) Philos. Mag. 36, 347."""
    from xtalfuse.tasks.identify.powder.search import weight_fractions

    phases = answer.fit.phases
    if len(phases) < 2:
        return []
    wavelength = answer.signal.radiation.mean_angstrom
    crystals = [library.entries[p.entry].crystal for p in phases]
    mu = np.array([absorption_per_cm(c, wavelength) for c in crystals])
    volume = weight_fractions(answer.fit) / np.array([c.density_g_cm3 for c in crystals])
    mean = float(np.average(mu, weights=np.maximum(volume, 1e-12)))
    contrast = (mu - mean) * GRAIN_UM * 1e-4
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
