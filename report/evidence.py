"""What each record says about a phase, in the words of a diffractionist.

The numbers behind the words stand in ``result.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from xtalfuse.report.notation import chance
from xtalfuse.tasks.identify.answer import Answer, PhaseAnswer

TITLES = {"xrd": "Powder pattern", "elements": "Elements by spectra", "rings": "Electron rings"}
# rise of chi^2 over its expectation -> how much worse that fit is; each step is odds of e^2, e^5
WORSE = ((4.0, "no worse"), (10.0, "a little worse"), (50.0, "clearly worse"))


def evidence_rows(answer: Answer) -> list[tuple[str, dict[str, list[str]]]]:
    """(phase, sentences by modality) of each phase of the answer."""
    return [(phase.name, _of_phase(answer, phase)) for phase in answer.phases]


def modalities(phases: Iterable[PhaseAnswer]) -> tuple[str, ...]:
    """The modalities that had a say about any phase, in order of appearance."""
    return tuple(dict.fromkeys(name for phase in phases for name in phase.evidence))


def _of_phase(answer: Answer, phase: PhaseAnswer) -> dict[str, list[str]]:
    words: dict[str, Callable[[Answer, PhaseAnswer, Any], list[str]]] = {
        "xrd": _of_pattern,
        "elements": _of_elements,
        "rings": _of_rings,
    }
    said: dict[str, list[str]] = {}
    for name, content in phase.evidence.items():
        known = words.get(name) if isinstance(content, Mapping) else None
        found = known(answer, phase, content) if known else []
        said[name] = found or [describe(content)]
    return said


def _of_pattern(answer: Answer, phase: PhaseAnswer, said: Mapping[str, Any]) -> list[str]:
    """How much of the pattern it explains, its lines, and how the best rival does."""
    words = []
    share = explained_share(answer, phase)
    if share is not None:
        words.append(f"Explains {rough(share)} of the pattern's intensity.")
    if "lines" in said:
        words.append(_lines(answer, phase, said))
    if "gain" in said:
        words.append(f"Without it the fit is {worse(said['gain'])}.")
    if "margin" in said:
        rival = said.get("best_rival")
        margin = said["margin"]
        if rival is None or margin >= said.get("gain", np.inf):
            words.append("No other phase of the library does better in its place than none.")
        else:
            words.append(f"With {rival}, its best rival, in its place it is {worse(margin)}.")
    return words


def _lines(answer: Answer, phase: PhaseAnswer, said: Mapping[str, Any]) -> str:
    count = int(said["lines"])
    text = f"{count} of its lines {'is' if count == 1 else 'are'} seen"
    missing = 0 if answer.curves is None else len(answer.curves.missing_deg.get(phase.entry, ()))
    if missing:
        text += f", {missing} that should be seen {'is' if missing == 1 else 'are'} not"
    if "support" in said:
        text += f"; {rough(said['support'])} of them, by strength, have the height they should have"
    return f"{text}."


def worse(rise: float) -> str:
    """How much worse a fit is: ``"far worse (Δχ² = 812)"``."""
    word = next((word for least, word in WORSE if rise < least), "far worse")
    return f"{word} (Δχ² = {rise:.0f})"


def explained_share(answer: Answer, phase: PhaseAnswer) -> float | None:
    """Share of the pattern's intensity above background that a phase accounts for."""
    curves = answer.curves
    if curves is None or phase.entry not in curves.contributions:
        return None
    whole = float(np.sum(curves.observed - curves.background))
    part = float(np.sum(curves.contributions[phase.entry]))
    return min(part / whole, 1.0) if whole > 0 else None


def rough(fraction: float) -> str:
    """A share in as many digits as one would say: ``"86 %"``, ``"0.4 %"``."""
    if fraction < 0.0005:
        return "less than 0.1 %"
    return f"{100 * fraction:.{1 if fraction < 0.01 else 0}f} %"


def _of_elements(answer: Answer, phase: PhaseAnswer, said: Mapping[str, Any]) -> list[str]:
    numbers = all(isinstance(value, (int, float)) for value in said.values())
    if not said or not numbers:
        return []
    return [f"{', '.join(f'{name} {chance(value)}' for name, value in said.items())}."]


def _of_rings(answer: Answer, phase: PhaseAnswer, said: Mapping[str, Any]) -> list[str]:
    """Of each file how well the rings agree; or what the class is that they show alone."""
    if "explained" in said:
        words = [f"Explains {rough(said['explained'])} of the intensity of the rings."]
        tied = int(said.get("tied", 1)) - 1
        if tied > 0:
            words.append(f"{tied} other {'phase fits' if tied == 1 else 'phases fit'} as well.")
        if said.get("families"):
            words.append(f"Ratios of the radii: {', '.join(said['families'])}.")
        return words
    return [
        f"{name}: {_agreement(value)}."
        for name, value in said.items()
        if isinstance(value, (int, float))
    ]


def _agreement(log_likelihood: float) -> str:
    """What a log likelihood over "none of the library" says."""
    if log_likelihood < 0.0:
        return "the rings speak against it"
    return "the rings are its own" if log_likelihood > 5.0 else "the rings agree with it"


def describe(value: Any) -> str:
    """Anything else in words: numbers to three figures, names without underscores."""
    if isinstance(value, Mapping):
        return "; ".join(
            f"{str(key).replace('_', ' ')} {describe(item)}" for key, item in value.items()
        )
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(describe(item) for item in value) or "none"
    if value is None:
        return "not known"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return f"{number:.0f}" if 1e3 <= abs(number) < 1e9 else f"{number:.3g}"
    return str(value)
