"""Fits of synthetic mixtures at known phases, without a search."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from xtalfuse.datasets.library.build import Library
from xtalfuse.encoders.pattern import encode_pattern
from xtalfuse.loaders.record import Measurement
from xtalfuse.tasks.identify.powder.fitting.fit import PatternFitter
from xtalfuse.tasks.identify.powder.fitting.state import PhaseFit
from xtalfuse.tasks.identify.powder.phase import library_models


@pytest.fixture(scope="session")
def fitting(references: Library) -> Callable[..., tuple[PatternFitter, tuple[PhaseFit, ...]]]:
    """A fitter for a pattern, and the named phases as they are before a fit."""

    def start(measurement: Measurement, *names: str) -> tuple[PatternFitter, tuple[PhaseFit, ...]]:
        signal = encode_pattern(measurement)
        entries = [references.index(name) for name in names]
        models = library_models(references, entries, signal)
        phases = tuple(PhaseFit(i, models[i], models[i].start()) for i in entries)
        return PatternFitter(signal), phases

    return start
