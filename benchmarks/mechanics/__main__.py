"""Everything that maps, volumes and their properties are held against, one benchmark after another.

    python -m benchmarks.mechanics                            # all, about an hour on two cores
    python -m benchmarks.mechanics --section solver --section segmentation
    python -m benchmarks.mechanics --json mechanics.json

Each section is a benchmark of its own (``python -m benchmarks.mechanics.solver``) and runs in a
process of its own, with one thread, so that times and memory are its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# section -> what it shows
SECTIONS = {
    "orientation": "disorientation against orix",
    "segmentation": "grains of maps against another program and the truth; graphs",
    "readers.ct": "volumes: time, memory, accuracy, damaged files",
    "polycrystals": "simulated microstructures",
    "solver": "homogenization: exact cases, bounds, meshes, time, memory",
    "grain_stress": "stress of each grain: network, ridge, shuffled neighbours",
    "stiffness": "stiffness of unseen metals: network against Hill",
    "porous": "stiffness of nanoporous gold",
    "fast_foam": "the foam surrogate on foams unlike those it was fitted to",
}


SIMULATED = ("grain_stress", "stiffness")  # sections that simulate volumes first, and keep them
DATA = Path("build/mechanics-set")


def main() -> None:
    """Run the sections and print what they print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--section", choices=SECTIONS, action="append")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures in one document")
    arguments = parser.parse_args()
    document, failed = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.section or SECTIONS:
            print(f"\n== {name}: {SECTIONS[name]}", flush=True)
            written = Path(folder, f"{name}.json")
            started = time.perf_counter()
            module = f"benchmarks.{name if '.' in name else f'mechanics.{name}'}"
            command = [sys.executable, "-m", module, "--json", str(written)]
            if name in SIMULATED:
                command += ["--data", str(DATA)]
            done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
            print(f"({time.perf_counter() - started:.0f} s)")
            if done.returncode:
                failed.append(name)
            if written.exists():
                document[name] = json.loads(written.read_text())
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
