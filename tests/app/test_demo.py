"""The demonstration needs nothing that does not come with the dependencies."""

from __future__ import annotations

from pathlib import Path

import pytest

from xtalfuse import load
from xtalfuse.demo import SPECIMENS, demo_jobs
from xtalfuse.encoders.spectrum.elements import element_evidence


@pytest.mark.parametrize("number", range(len(SPECIMENS)))
def test_the_data_are_there_and_can_be_read(number: int, tmp_path: Path):
    job, known = demo_jobs(tmp_path)[number]
    measurement = load(job.path, wavelength=job.options.wavelength)
    assert str(measurement.modality) == ("eds" if "spectrum" in known else "xrd")
    assert job.folder.parent == tmp_path


def test_the_spectrum_shows_its_two_elements_and_no_other(tmp_path: Path):
    job, _ = demo_jobs(tmp_path)[2]
    evidence = element_evidence(load(job.path))
    assert evidence.present() == {"Fe", "Pt"}
    # what grid, film and collimator of the detector add is named as that
    assert {text.split(":")[0] for text in evidence.artefacts} >= {"Cu", "C"}
