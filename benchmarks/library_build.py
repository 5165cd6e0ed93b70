"""How long a library of many structures takes to build, open and search.

Structures are copies of the CIF files of a folder with slightly changed cells, so that none
has the content of another.

    python -m benchmarks.library_build FOLDER [--structures 10000] [--workers 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import told
from xtalfuse.datasets.library.build import Library, build

LENGTH = re.compile(r"^(_cell_length_[abc]\s+)([\d.]+)(?:\(\d+\))?\s*$", re.MULTILINE)
VOLUME = re.compile(r"^_cell_volume\s+.*$", re.MULTILINE)


def perturbed_copies(sources: list[Path], folder: Path, count: int, seed: int = 0) -> None:
    """Write `count` CIF files with cells expanded by up to 2 % at random."""
    generator = random.Random(seed)
    for index in range(count):
        path = sources[index % len(sources)]
        strain = 1.0 + 0.02 * generator.random() * (index >= len(sources))
        text = path.read_text(encoding="utf-8", errors="replace")
        text = VOLUME.sub("", text)
        text = LENGTH.sub(lambda m, f=strain: f"{m[1]}{float(m[2]) * f:.6f}", text)
        (folder / f"{path.stem}-{index}.cif").write_text(text, encoding="utf-8")


def measure(folder: Path, structures: int, workers: int) -> dict[str, float | int]:
    """Build, open and read such a library; all times in seconds."""
    sources = sorted(folder.rglob("*.cif"))
    if not sources:
        raise SystemExit(f"{folder}: no CIF files; give a folder that has some")
    with tempfile.TemporaryDirectory() as work:
        inputs, out = Path(work, "cif"), Path(work, "library.h5")
        inputs.mkdir()
        perturbed_copies(sources, inputs, structures)
        report = build([inputs], out, workers=workers, progress=_tell)
        began = time.perf_counter()
        library = Library.load(out)
        opened = time.perf_counter()
        total = sum(len(library.reflections(i)) for i in range(len(library)))
        read = time.perf_counter()
        chosen = library.select({"Ca", "C", "O", "H"})
        ended = time.perf_counter()
        return {
            "files": structures,
            "entries": len(report.kept),
            "left_out": len(report.left_out),
            "workers": workers,
            "build_s": round(report.seconds, 2),
            **{f"build_{name}_s": round(value, 2) for name, value in report.timings.items()},
            "structures_per_s": round(structures / report.seconds, 1),
            "open_s": round(opened - began, 3),
            "read_all_reflections_s": round(read - opened, 3),
            "select_elements_s": round(ended - read, 4),
            "selected": len(chosen),
            "reflections": total,
            "file_mb": round(out.stat().st_size / 1e6, 1),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def _tell(done: int, total: int, text: str) -> None:
    print(f"\r{done}/{total} {text}   ", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--structures", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measure(options.folder, options.structures, options.workers)
    print(file=sys.stderr)
    told(figures, options.json)


if __name__ == "__main__":
    main()
