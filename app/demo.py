"""Measured data that come inside the dependencies: something to identify at once."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from xtalfuse.batch import Job, Options
from xtalfuse.options import UsageError

# package, path inside it, name, wavelength where the file lacks it, what is known of the specimen
SPECIMENS = (
    (
        "rietx",
        "data/examples/FAP.XRA",
        "fluorapatite",
        "CuKa",
        "fluorapatite, laboratory diffractometer (tutorial of GSAS)",
    ),
    (
        "rietx",
        "data/examples/11BM_NAC.fxye",
        "NAC",
        None,
        "Na2Ca3Al2F14 with a little fluorite, synchrotron beamline 11-BM",
    ),
    (
        "exspy",
        "data/EDS_TEM_FePt_nanoparticles.hspy",
        "FePt",
        None,
        "iron and platinum: nanoparticles in a TEM, X-ray spectrum only",
    ),
)


def demo_jobs(out: Path, refine: bool = True) -> list[tuple[Job, str]]:
    """(job, what is known of the specimen) of every demonstration.

    Raises
    ------
    UsageError
        If an installed dependency does not carry its data.
    """
    jobs = []
    for package, inside, name, wavelength, known in SPECIMENS:
        path = _folder_of(package) / inside
        if not path.is_file():
            raise UsageError(f"{path}: {package} came without its example; install it again")
        jobs.append((Job(path, out / name, Options(wavelength=wavelength, refine=refine)), known))
    return jobs


def _folder_of(package: str) -> Path:
    """Where a package is installed; it is found, not imported, which would take seconds."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"{package} is not installed; run: pip install {package}")
    return Path(spec.submodule_search_locations[0])
