"""The demonstration needs nothing that does not come with the dependencies."""

from __future__ import annotations

from pathlib import Path

import pytest

from xtalfuse import load
from xtalfuse.demo import SPECIMENS, demo_jobs


@pytest.mark.parametrize("number", range(len(SPECIMENS)))
def test_the_data_are_there_and_can_be_read(number: int, tmp_path: Path):
    job, known = demo_jobs(tmp_path)[number]
    measurement = load(job.path, wavelength=job.options.wavelength)
    assert str(measurement.modality) == ("eds" if "spectrum" in known else "xrd")
    assert job.folder.parent == tmp_path
