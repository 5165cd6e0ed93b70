"""Positions and intensities of the AFLOW prototypes agree with pymatgen's calculator."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from xtalfuse.datasets.library.pymatgen import structure_of
from xtalfuse.datasets.library.sources import aflow_path, aflow_prototypes
from xtalfuse.physics.crystal.diffraction import reflections
from xtalfuse.physics.units import two_theta

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "structure_factors.py"


@pytest.fixture(scope="module")
def comparison() -> ModuleType:
    """The benchmark, which compares all prototypes; here a sample of them."""
    spec = importlib.util.spec_from_file_location("structure_factors", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")  # those of pymatgen are its own affair
def test_lines_of_prototypes(comparison: ModuleType) -> None:
    from pymatgen.analysis.diffraction.xrd import XRDCalculator

    calculator = XRDCalculator(comparison.WAVELENGTH)
    place = aflow_path()
    assert place is not None
    prototypes = aflow_prototypes(place)
    assert len(prototypes) > 250
    d_min = comparison.WAVELENGTH / (2.0 * np.sin(np.radians(45.0)))
    for identifier, prototype in prototypes[::12]:
        crystal = comparison.at_rest(prototype.crystal)
        pattern = calculator.get_pattern(structure_of(crystal), two_theta_range=(0, 90))
        lines = reflections(crystal, d_min, 1_000_000)
        d = lines.d_spacings(crystal.cell)
        angle = two_theta(d, comparison.WAVELENGTH)
        intensity = comparison.with_form_factors(lines, crystal, "pymatgen")
        ours = comparison.merged(angle, intensity * comparison.lorentz_polarisation(d))
        theirs = comparison.merged(np.asarray(pattern.x), np.asarray(pattern.y))
        in_angle, in_intensity, missing = comparison.deviations(ours, theirs)
        assert missing == 0, identifier
        assert in_angle < 1e-5, identifier  # degrees: both are exact
        # structure factors are stored in single precision: 1e-7 of the sum of waves, and the
        # weakest compared line is a thirtieth of the strongest in amplitude
        assert in_intensity < 1e-3, identifier
