"""Shared fixtures: where the real instrument files are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real() -> Path:
    """Folder of real instrument files; tests that need it skip where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "real"
    folder = Path(os.environ.get("XTALFUSE_REAL", beside))
    if not folder.is_dir():
        pytest.skip(f"no real instrument files in {folder}; set XTALFUSE_REAL to their folder")
    return folder
