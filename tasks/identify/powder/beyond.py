"""Phases that one more element would give, where the elements that were named leave lines over."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from xtalfuse.datasets.library.build import Library
from xtalfuse.encoders.pattern import encode_pattern
from xtalfuse.loaders.record import Measurement
from xtalfuse.tasks.identify.answer import OneMoreElement
from xtalfuse.tasks.identify.powder.phase import (
    SEARCH_POINTS,
    PatternAnswer,
    library_models,
    monochromator_factor,
)
from xtalfuse.tasks.identify.powder.search import PhaseSearch
from xtalfuse.tasks.identify.powder.settings import DEFAULT, SearchSettings

# Neither is seen by the methods that elements are usually known from; hydroxides and carbonates
# form in air.
UNSEEN = frozenset("HC")
MOST_PHASES = 3
AS_GOOD = 0.5  # of the best gain, from which another candidate is named beside it


def one_more_element(
    measurement: Measurement,
    library: Library,
    found: PatternAnswer,
    given: Iterable[str],
    settings: SearchSettings = DEFAULT,
) -> tuple[OneMoreElement, ...]:
    """Phases with one element that was not named, or with H and C, for lines that are left over.

    Parameters
    ----------
    measurement : the pattern
    library : references
    found : with the elements that were named
    given : those elements
    settings : of the search
    """
    named = set(given)
    more = {
        i: extra
        for i, entry in enumerate(library.entries)
        if (extra := set(entry.crystal.elements) - named) and (len(extra) == 1 or extra <= UNSEEN)
    }
    if not len(found.unexplained.height) or not more:
        return ()
    signal = encode_pattern(measurement, SEARCH_POINTS)
    models = library_models(library, list(more), signal, monochromator_factor(measurement))
    classes = [entry.class_id for entry in library.entries]
    search = PhaseSearch(signal, models, lambda a, b: classes[a] == classes[b], settings)
    search.set_axis(found.fit.instrument.stretch)
    fit = search.polish(found.fit)
    said: dict[int, OneMoreElement] = {}
    for _ in range(MOST_PHASES):
        trials = search.extensions(fit)
        gains = [search.gain(fit, trial) for trial in trials]
        if not gains or max(gains) < settings.min_gain:
            break
        for trial, gain in zip(trials, gains, strict=True):
            entry = trial.phases[-1].entry
            if gain > max(AS_GOOD * max(gains), settings.min_gain):
                reference = library.entries[entry]
                said[entry] = OneMoreElement(
                    tuple(sorted(more[entry])), reference.name, reference.formula, reference.id
                )
        fit = search.polish(trials[int(np.argmax(gains))])
    return tuple(said.values())
