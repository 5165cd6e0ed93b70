"""A user's script: `.ci/types` checks it with `mypy --strict` on the wheel. It is never run.

`assert_type` fails where an answer of ours is an Any, or of another type than was promised.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import matplotlib.figure
import numpy as np
import pandas as pd

import xtalfuse
from xtalfuse.physics.estimate import Estimate
from xtalfuse.tasks.identify.answer import PhaseAnswer


def phases_of(folder: Path) -> list[str]:
    """A specimen's phases, and their report."""
    library = xtalfuse.Library.load("mylib.h5")
    assert_type(library, xtalfuse.Library)
    assert_type(library.find("quartz"), list[int])
    record = xtalfuse.load_specimen(folder, wavelength="CuKa")
    assert_type(record, xtalfuse.Record)
    answer = xtalfuse.identify(record, library, elements=["Al", "O"])
    assert_type(answer, xtalfuse.Answer)
    assert_type(answer.phases, tuple[PhaseAnswer, ...])
    assert_type(answer.unknown.probability, float)
    assert_type(answer.to_pandas(), pd.DataFrame)
    assert_type(answer.plot(), matplotlib.figure.Figure)
    assert_type(xtalfuse.write_report(answer, folder / "report"), Path)
    for phase in answer.phases:
        assert_type(phase.name, str)
        assert_type(phase.weight_fraction, float | None)
        assert_type(phase.confidence, float)
    return [phase.name for phase in answer.phases]


def stiffness_of(path: Path) -> Estimate | None:
    """The Young's modulus of a map or volume, and its report."""
    measurement = xtalfuse.load(path)
    assert_type(measurement, xtalfuse.Measurement)
    assert_type(measurement.values, np.ndarray)
    assert_type(xtalfuse.from_hyperspy(object()), xtalfuse.Measurement)
    found = xtalfuse.analyse(measurement, {"Ni": "nickel"}, fast=True)
    assert_type(found, xtalfuse.Microstructure)
    assert_type(found.properties, tuple[Estimate, ...])
    assert_type(found.to_pandas("grains"), pd.DataFrame)
    assert_type(xtalfuse.write_microstructure(found, path.parent), Path)
    with xtalfuse.progress_bar("maps") as tell:
        tell(1, 2, path.name)
    return found.property_named("youngs_modulus")


def version() -> str:
    """The version, and a slip of the pen, which is found."""
    xtalfuse.analyze()  # type: ignore[attr-defined]
    return xtalfuse.__version__
