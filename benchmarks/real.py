"""Where the real instrument files are that benchmarks measure on."""

from __future__ import annotations

import os
from pathlib import Path

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "real"
FAULTS = BESIDE.with_name("faults")


def real_folder() -> Path:
    """The folder that ``XTALFUSE_REAL`` names; unset or empty, the one beside the repository."""
    return Path(os.environ.get("XTALFUSE_REAL") or BESIDE)
