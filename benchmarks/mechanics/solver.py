"""How exact, how fast and how large the homogenization is; each figure beside its bar.

Copper of Simmons & Wang (1971) in Voronoi polycrystals; exact solutions in float64, times in
float32 on one thread, as CPU time where other work would disturb. Memory is the peak of a
process of its own, less that of one that has only imported the same.
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
    composite_bounds,
    isotropic_moduli,
    isotropic_stiffness,
    mandel_from_voigt,
    mandel_rotation,
    polycrystal_bounds,
    reuss,
    rotate_stiffness,
    voigt,
)
from xtalfuse.physics.mechanics.homogenization import effective_stiffness, homogenize

SEED = 7
SIZES = (16, 32, 48, 64, 96, 128)
SPEED_TOLERANCE = 1e-4  # of the strain; the stiffness then has single precision


class Row(NamedTuple):
    """One figure: what, value, unit, largest (or smallest) value that passes, None for none."""

    what: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False

    @property
    def passed(self) -> bool | None:
        if self.bar is None:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar


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


def exact_solutions() -> Iterator[Row]:
    """Media whose effective stiffness is known."""
    generator = torch.Generator().manual_seed(SEED)
    crystals = rotate_stiffness(
        copper(), torch.nn.functional.normalize(
            torch.randn(2, 4, generator=generator, dtype=torch.float64), dim=-1)
    )  # fmt: skip
    uniform, _ = effective_stiffness(
        torch.zeros(16, 16, 16, dtype=int), crystals[:1], tolerance=1e-10
    )
    yield Row("uniform crystal", relative(uniform, crystals[0]), "relative", 1e-10)
    layers = torch.randint(0, 2, (32,), generator=generator)
    for scheme in ("fourier", "rotated"):
        for axis in range(3):
            shape = [1, 1, 1]
            shape[axis] = len(layers)
            volume = layers.view(shape).expand([max(n, 4) for n in shape])
            found, _ = effective_stiffness(volume, crystals, tolerance=1e-10, scheme=scheme)
            off = relative(found, layered(crystals, layers, axis))
            yield Row(f"laminate along {'xyz'[axis]}, {scheme}", off, "relative", 1e-9)
        labels = torch.randint(0, 2, (31, 31, 31), generator=generator)
        bulk, shear = torch.tensor([[30.0, 300.0], [40.0, 40.0]], dtype=torch.float64)
        share = torch.bincount(labels.flatten()) / torch.tensor(31.0**3, dtype=torch.float64)
        exact, _ = composite_bounds(bulk, shear, share)
        found, _ = effective_stiffness(
            labels, isotropic_stiffness(bulk, shear), tolerance=1e-10, scheme=scheme
        )
        off = relative(found, isotropic_stiffness(exact.bulk, exact.shear))
        yield Row(f"equal shear (Hill 1963), {scheme}", off, "relative", 1e-9)


def layered(crystals: torch.Tensor, layers: torch.Tensor, axis: int) -> torch.Tensor:
    """Exact stiffness of layers: traction and in-plane strain are common to all."""
    out = [axis, *[3 + i for i in range(3) if i != axis]]
    flat = [i for i in range(6) if i not in out]
    order = torch.tensor(out + flat)
    stiffness = crystals[:, order][:, :, order]
    # what is common is known of each layer from what is not: mixed form, averaged, turned back
    soft = torch.linalg.inv(stiffness[:, :3, :3])
    side = soft @ stiffness[:, :3, 3:]
    rest = stiffness[:, 3:, 3:] - stiffness[:, 3:, :3] @ side
    share = torch.bincount(layers).double() / len(layers)
    soft, side, rest = (torch.einsum("n,nij->ij", share, part) for part in (soft, side, rest))
    stiff = torch.linalg.inv(soft)
    top = torch.cat([stiff, stiff @ side], dim=1)
    bottom = torch.cat([(stiff @ side).T, rest + side.T @ stiff @ side], dim=1)
    whole = torch.zeros_like(crystals[0])
    whole[order[:, None], order] = torch.cat([top, bottom])
    return whole


def polycrystals() -> Iterator[Row]:
    """What must hold of copper with 100 grains."""
    labels, stiffness = grains(32)
    found = homogenize(labels, stiffness, tolerance=1e-7)
    bulk = (168.4 + 2 * 121.4) / 3
    off = abs(float(isotropic_moduli(found.stiffness).bulk) / bulk - 1)
    yield Row("bulk modulus of cubic grains", off, "relative", 1e-6)
    over = torch.linalg.eigvalsh(voigt(stiffness, found.fraction) - found.stiffness).min()
    under = torch.linalg.eigvalsh(found.stiffness - reuss(stiffness, found.fraction)).min()
    yield Row("Voigt - C, lowest eigenvalue", float(over), "GPa", -1e-9, True)
    yield Row("C - Reuss, lowest eigenvalue", float(under), "GPa", -1e-9, True)
    mean = torch.einsum("n,nij->ij", found.fraction, found.mean_stress)
    yield Row("mean of the grains' stress is C", relative(mean, found.stiffness), "relative", 1e-6)
    turn = mandel_rotation(torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]).double())
    turned, _ = effective_stiffness(
        torch.rot90(labels, 1, (0, 1)), turn @ stiffness @ turn.T, tolerance=1e-7
    )
    off = relative(turned, turn @ found.stiffness @ turn.T)
    yield Row("specimen turned by 90 deg", off, "relative", 1e-5)
    yield Row("derivative against differences", derivative_error(), "relative", 1e-5)


def derivative_error() -> float:
    """Slope of one number of the stiffness, by autograd and by central differences."""
    labels, stiffness = grains(8, 10)
    generator = torch.Generator().manual_seed(SEED)
    weight = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    change = torch.randn(10, 6, 6, generator=generator, dtype=torch.float64)
    change = change + change.mT

    def number(given: torch.Tensor) -> torch.Tensor:
        return (effective_stiffness(labels, given, tolerance=1e-9)[0] * weight).sum()

    variable = stiffness.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(number(variable), variable)
    slope = float((number(stiffness + 1e-3 * change) - number(stiffness - 1e-3 * change)) / 2e-3)
    return abs(float((gradient * change).sum()) / slope - 1)


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
    sign = ">=" if row.at_least else "<="
    bar = "" if row.bar is None else f"{sign} {row.bar:g}"
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
    parts = (exact_solutions(), polycrystals(), speed(), mesh_convergence(), scaling(sizes))
    rows = []
    for part in parts:
        for row in part:
            tell(row)
            rows.append({**row._asdict(), "passed": row.passed})
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
