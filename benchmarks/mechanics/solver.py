"""How fast and how large the homogenization is, and how it converges; each figure beside its bar.

Copper of Simmons & Wang (1971) in Voronoi polycrystals; times in float32 on one thread, as CPU
time where other work would disturb. Memory is the peak of a process of its own, less that of one
that has only imported the same. What is exact is held by
``tests/physics/mechanics/test_homogenization.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from xtalfuse.datasets.simulate.polycrystal import PolycrystalSpec, polycrystal
from xtalfuse.physics.mechanics.elasticity import (
    isotropic_moduli,
    mandel_from_voigt,
    polycrystal_bounds,
    rotate_stiffness,
)
from xtalfuse.physics.mechanics.homogenization import effective_stiffness, homogenize

SEED = 7
SIZES = (16, 32, 48, 64, 96, 128)
SPEED_TOLERANCE = 1e-4  # of the strain; the stiffness then has single precision


class Row(NamedTuple):
    """One figure: what, value, unit, largest value that passes, None for none."""

    what: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def passed(self) -> bool | None:
        return None if self.bar is None else self.value <= self.bar


def copper() -> torch.Tensor:
    """(6, 6) stiffness of a copper crystal, Mandel, GPa."""
    matrix = torch.zeros(6, 6, dtype=torch.float64)
    matrix[:3, :3] = 121.4
    matrix.diagonal()[:3] = 168.4
    matrix.diagonal()[3:] = 75.4
    return mandel_from_voigt(matrix)


def grains(size: int, count: int = 100, index: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels (size, size, size) and stiffness (count, 6, 6) of a copper polycrystal."""
    spec = PolycrystalSpec(shape=(size, size, size), grains=count, cv=None)
    made = polycrystal(SEED, index, spec)
    orientation = torch.from_numpy(made.orientation)
    return torch.from_numpy(made.labels).long(), rotate_stiffness(copper(), orientation)


def coarser(labels: torch.Tensor, by: int) -> torch.Tensor:
    """The label at the centre of each block, so that grains keep their place."""
    start = by // 2
    return labels[start::by, start::by, start::by].contiguous()


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Largest difference over the largest component."""
    return float((found.double() - exact).abs().max() / exact.abs().max())


def mesh_convergence() -> Iterator[Row]:
    """One polycrystal on finer and finer grids; Young's modulus of its isotropic part."""
    finest, stiffness = grains(96)
    values = {}
    for by in (6, 3, 2, 1):
        labels = coarser(finest, by)
        for scheme in ("fourier", "rotated"):
            found, _ = effective_stiffness(labels, stiffness.float(), scheme=scheme, tolerance=1e-3)
            young = float(isotropic_moduli(found).young)
            values[96 // by, scheme] = young
            yield Row(f"E on {96 // by}^3, {scheme}", young, "GPa")
    bounds = polycrystal_bounds(copper())
    yield Row("E, Hashin-Shtrikman lower", float(bounds.lower.young), "GPa")
    yield Row("E, Hashin-Shtrikman upper", float(bounds.upper.young), "GPa")
    for scheme in ("fourier", "rotated"):
        last, first = (abs(values[n, scheme] / values[96, scheme] - 1) for n in (48, 16))
        yield Row(f"E on 48^3 against 96^3, {scheme}", last, "relative", 5e-3)
        yield Row(f"E: 48^3 nearer than 16^3, {scheme}", last / first, "of 16^3", 0.5)


def speed() -> Iterator[Row]:
    """Full stiffness of 32^3 and 100 grains in single precision, against a tight solution."""
    labels, stiffness = grains(32)
    tight = homogenize(labels, stiffness, tolerance=1e-9)
    single, seconds, busy = stiffness.float(), [], []
    for _ in range(9):
        begin, working = time.perf_counter(), time.process_time()
        found = homogenize(labels, single, tolerance=SPEED_TOLERANCE)
        seconds.append(time.perf_counter() - begin)
        busy.append(time.process_time() - working)
    yield Row("32^3, 6x6, float32: median of 9", statistics.median(seconds), "s", 0.6)
    yield Row("the same: CPU time", statistics.median(busy), "s", 0.6)
    yield Row("iterations", found.iterations, "")
    yield Row(
        "error of the stiffness", relative(found.stiffness, tight.stiffness), "relative", 1e-4
    )
    spread = (tight.mean_stress - tight.stiffness).square().mean().sqrt()
    off = (found.mean_stress - tight.mean_stress).square().mean().sqrt()
    yield Row("error of grain stress over its spread", float(off / spread), "relative", 1e-3)


def scaling(sizes: tuple[int, ...]) -> Iterator[Row]:
    """Time and memory against voxels, each size in a process of its own."""
    base = run_apart(0)["mib"]
    for size in sizes:
        told = run_apart(size)
        yield Row(f"{size}^3: CPU time", told["seconds"], "s")
        yield Row(f"{size}^3: peak memory", told["mib"] - base, "MiB")
        yield Row(f"{size}^3: memory by voxel", (told["mib"] - base) * 2**20 / size**3, "byte")


def run_apart(size: int) -> dict[str, float]:
    """Seconds and peak memory of one solution, told by another process."""
    command = [sys.executable, "-m", "benchmarks.mechanics.solver", "--child", str(size)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)


def child(size: int) -> dict[str, float]:
    """Time and peak memory of one solution; of nothing, if size is 0."""
    seconds = 0.0
    if size:
        generator = torch.Generator().manual_seed(SEED)
        # blocks of 8 voxels: making them takes no memory of note
        count = (size // 8) ** 3
        labels = torch.arange(count).view(size // 8, size // 8, size // 8)
        for axis in range(3):
            labels = labels.repeat_interleave(8, dim=axis)
        turns = torch.randn(count, 4, generator=generator, dtype=torch.float64)
        turns = torch.nn.functional.normalize(turns, dim=-1)
        begin = time.process_time()
        homogenize(labels, rotate_stiffness(copper(), turns).float(), tolerance=SPEED_TOLERANCE)
        seconds = time.process_time() - begin
    return {"seconds": seconds, "mib": peak_mib()}


def peak_mib() -> float:
    """Largest memory that this process has held (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status: no VmHWM; memory is measured on Linux alone")


def tell(row: Row) -> None:
    """One line of the table."""
    verdict = {None: "", True: "pass", False: "FAIL"}[row.passed]
    bar = "" if row.bar is None else f"<= {row.bar:g}"
    print(f"{row.what:45s} {row.value:12.4g} {row.unit:9s} {bar:12s} {verdict}", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="edge of the last volume")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.child is not None:
        print(json.dumps(child(arguments.child)))
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sizes = tuple(n for n in SIZES if n <= arguments.largest)
    parts = (speed(), mesh_convergence(), scaling(sizes))
    rows = []
    for part in parts:
        for row in part:
            tell(row)
            rows.append({**row._asdict(), "passed": row.passed})
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
