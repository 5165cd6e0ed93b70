"""The front door opens at once: what is heavy is loaded when it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import xtalfuse

HEAVY = ("torch", "hyperspy", "exspy", "matplotlib", "pymatgen", "rietx", "scipy", "pandas")


@pytest.mark.parametrize("module", ["xtalfuse", "xtalfuse.cli", "xtalfuse.batch"])
def test_nothing_heavy_is_imported(module: str):
    ask = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_there():
    for name in xtalfuse.__all__:
        assert getattr(xtalfuse, name) is not None
    assert set(xtalfuse.__all__) <= set(dir(xtalfuse))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = xtalfuse.nonsense
