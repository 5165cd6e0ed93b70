"""What a person asks of a powder pattern: the amorphous part, and whether a phase is there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from xtalfuse.datasets.library.build import Library
from xtalfuse.loaders.record import Measurement
from xtalfuse.tasks.identify.answer import Amorphous, AskedPhase, PhaseAnswer
from xtalfuse.tasks.identify.powder.fitting.state import PhaseFit
from xtalfuse.tasks.identify.powder.measures import weight_fractions
from xtalfuse.tasks.identify.powder.phase import (
    PatternAnswer,
    library_models,
    monochromator_factor,
)
from xtalfuse.tasks.identify.powder.quantities.amounts import STRUCTURE
from xtalfuse.tasks.identify.powder.quantities.uncertainty import fit_uncertainty
from xtalfuse.tasks.identify.stages import Conclusion

LIMIT = 3.0  # standard uncertainties above which a phase is detected (Currie, 1968)


@dataclass(frozen=True)
class Asked:
    """What was asked beside the phases: (name, weight fraction) of a standard; a phase."""

    standard: tuple[str, float] | None = None
    phase: str | None = None


def answer_asked(
    said: Conclusion,
    measurement: Measurement,
    library: Library,
    found: PatternAnswer,
    asked: Asked,
) -> Conclusion:
    """The conclusion with what was asked for; what cannot be answered becomes a warning.

    Parameters
    ----------
    said : about the phases
    measurement, library, found : the pattern, the references, and what the search found
    asked : beside that
    """
    urgent = list(said.urgent)
    part, phase = said.amorphous, said.asked
    try:
        if asked.standard is not None:
            part = amorphous(said.phases, *asked.standard)
            share, su = 100 * part.fraction, 100 * part.fraction_su
            urgent.append(
                f"amorphous or unseen, by the standard {asked.standard[0]}: "
                f"{share:.1f} +- {su:.1f} wt% of the specimen without it"
            )
        if asked.phase is not None:
            phase = is_there(measurement, library, found, said.phases, asked.phase)
            urgent.append(str(phase))
    except ValueError as error:
        urgent.append(str(error))
    return replace(said, urgent=tuple(urgent), amorphous=part, asked=phase)


def parse_standard(text: str | tuple[str, float]) -> tuple[str, float]:
    """Name and weight fraction of an internal standard from ``"corundum=20"``, in wt%.

    Parameters
    ----------
    text : of the mixture with the standard in it; or name and wt% as a pair

    Raises
    ------
    ValueError
        If it is not a name and a number between 0 and 100.
    """
    name, amount = text if isinstance(text, tuple) else text.rpartition("=")[::2]
    try:
        percent = float(amount)
    except (TypeError, ValueError):
        percent = float("nan")
    if not str(name).strip() or not 0.0 < percent < 100.0:
        raise ValueError(
            f"standard {text!r} is no name with wt% between 0 and 100; write corundum=20, where 20 "
            "wt% of what was measured is the standard"
        )
    return str(name).strip(), percent / 100.0


def is_named(phase: PhaseAnswer, text: str) -> bool:
    """Whether a person who writes `text` means a phase: its name, formula, entry or a word."""
    wanted = text.strip().lower()
    names = [phase.name, phase.formula, phase.entry, *phase.equivalents]
    words = {w for name in names for w in (name.lower(), *re.split(r"[\s/_.,()]+", name.lower()))}
    return wanted in words


def amorphous(phases: Sequence[PhaseAnswer], name: str, weighed: float) -> Amorphous:
    """The part of a specimen that no phase of the answer is, by its internal standard.

    A standard of which W was weighed in appears as R > W of what is crystalline, so that ``A =
    (1 - W / R) / (1 - W)`` of the specimen without it is amorphous or unseen (De La Torre, Bruque
    & Aranda, 2001, J. Appl. Cryst. 34, 196, equation 1), and each phase is ``R_i W / R / (1 - W)``.

    Parameters
    ----------
    phases : of the answer, the standard among them
    name : of the standard
    weighed : its weight fraction in what was measured

    Raises
    ------
    ValueError
        If the standard is not among the phases.
    """
    named = [p for p in phases if is_named(p, name)]
    if not named or not named[0].weight_fraction:
        seen = ", ".join(p.name for p in phases) or "none"
        raise ValueError(f"the standard {name} is not among the phases that are seen ({seen})")
    standard = named[0]
    seen_fraction = float(standard.weight_fraction or 0.0)
    # alone its fraction is 1 by definition; how strong it is, is not known better than this
    su = standard.weight_fraction_su or STRUCTURE
    ratio = weighed / seen_fraction
    relative = su / seen_fraction
    absolute, absolute_su = {}, {}
    for phase in phases:
        if phase is standard or phase.weight_fraction is None:
            continue
        share = phase.weight_fraction * ratio / (1.0 - weighed)
        own = (phase.weight_fraction_su or 0.0) / max(phase.weight_fraction, 1e-9)
        absolute[phase.entry] = share
        absolute_su[phase.entry] = share * float(np.hypot(own, relative))
    return Amorphous(
        fraction=(1.0 - ratio) / (1.0 - weighed),
        fraction_su=ratio * relative / (1.0 - weighed),
        standard=standard.entry,
        weighed=weighed,
        weight_fractions=absolute,
        weight_fractions_su=absolute_su,
    )


def is_there(
    measurement: Measurement,
    library: Library,
    found: PatternAnswer,
    phases: Sequence[PhaseAnswer],
    name: str,
) -> AskedPhase:
    """Whether a phase is there: its fraction, or what of it the pattern could hide.

    A phase that was not found is fitted beside those that were; the limit is three standard
    uncertainties above its fraction (Currie, 1968, Anal. Chem. 40, 586).

    Parameters
    ----------
    measurement : the pattern
    library : references
    found : what the search found in it
    phases : as they are reported
    name : of the phase that is asked for: name, formula or entry of the library

    Raises
    ------
    ValueError
        If the library has no such phase, or it has no line in this pattern.
    """
    entries = library.find(name)
    if not entries:
        raise ValueError(f"no phase {name!r} in the library; look for one with: library find")
    mine = [p for p in phases if is_named(p, name)]
    if mine and mine[0].weight_fraction is not None:
        fraction, su = mine[0].weight_fraction, mine[0].weight_fraction_su or 0.0
        return AskedPhase(name, mine[0].entry, True, fraction, su, min(1.0, fraction + LIMIT * su))
    models = library_models(library, entries[:1], found.signal, monochromator_factor(measurement))
    if not models:
        raise ValueError(f"{name} has no line in the range of this pattern")
    ((entry, model),) = models.items()
    trial = PhaseFit(entry, model, model.start())
    last = len(found.fit.phases)
    fit = found.fitter.fit(
        (*found.fit.phases, trial), found.fit.instrument, iterations=6, active=(last,), shared=False
    )
    fraction = float(weight_fractions(fit)[last])
    su = float(fit_uncertainty(found.fitter, fit).weight_fraction[last])
    limit = min(1.0, fraction + LIMIT * su)
    return AskedPhase(name, library.entries[entry].id, fraction > LIMIT * su, fraction, su, limit)
