"""No process outlives the one that started it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SCRIPT = """
from xtalfuse.loaders.safe.processes import process_pool
import hanging

if __name__ == "__main__":
    with process_pool(2) as pool:
        list(pool.map(hanging.read, [0, 1]))
"""
HANGING = """
import os, sys
from pathlib import Path
from xtalfuse.loaders.safe.guard import guarded

def hang(path):
    Path(f"{path}.{os.getpid()}").touch()
    while True:
        if sys.platform == "linux":  # C code that never lets go of the interpreter
            sum(range(10**12))

def read(number):
    guarded(hang, Path(__file__))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by a POSIX signal")
def test_workers_and_readers_end_with_a_program_that_is_killed(tmp_path: Path):
    (tmp_path / "hanging.py").write_text(HANGING)
    (tmp_path / "script.py").write_text(SCRIPT)
    program = subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("hanging.py.*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    family = psutil.Process(program.pid).children(recursive=True)
    assert len(family) >= 4  # two workers, two readers
    program.kill()
    program.wait()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
