"""Grains of orientation maps against another program and against the truth; time; boundaries.

    python -m benchmarks.mechanics.segmentation [--json segmentation.json] [--volume 256] [--maps 4]

Agreement is the adjusted Rand index over the points of grains of 10 points or more; points
without a grain count as one group. The zero model links neighbours below the threshold and does
nothing else. Times are of one thread: CPU seconds and wall seconds, the median of three turns.
Real maps are looked for in the folder ``XTALFUSE_REAL`` or beside the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from benchmarks.real import real_folder
from xtalfuse.datasets.simulate.map import MapSpec, simulate_map
from xtalfuse.datasets.simulate.polycrystal import PolycrystalSpec
from xtalfuse.encoders.grains.map import segment
from xtalfuse.encoders.grains.size import lineal_intercept
from xtalfuse.loaders import load
from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind, MapPhase
from xtalfuse.physics.grains.graph import GrainGraph, from_labels
from xtalfuse.physics.orientation.quaternion import random

REAL = real_folder()
DEFDAP_SECONDS = 35.0  # of the same nickel map, measured elsewhere
SEED = 900  # no map of this series was looked at while the method was made
LEAST = 10  # points of a grain that counts
TURNS = 3
PLAIN = MapPhase("cubic", "m-3m")
NAMELESS = MapPhase("matter", None)

MAPS: dict[str, tuple[MapSpec, dict[str, Any]]] = {
    "usual": (MapSpec(), {}),
    "usual, hexagonal": (MapSpec(grid=GridKind.HEXAGONAL), {}),
    "bent 4 deg": (MapSpec(gradient_deg=4.0), {}),
    "20 % not indexed": (MapSpec(not_indexed=0.2, misindexed=0.03), {}),
    "noise 1.5 deg": (MapSpec(noise_deg=1.5, not_indexed=0.05, misindexed=0.03), {}),
    "noise 2.5 deg": (MapSpec(noise_deg=2.5, not_indexed=0.05, misindexed=0.03), {}),
    "noise 2.5 deg, smooth=2": (
        MapSpec(noise_deg=2.5, not_indexed=0.05, misindexed=0.03),
        {"smooth": 2},
    ),
}


def timed(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, CPU seconds and wall seconds, the medians of some turns."""
    cpu, wall, result = [], [], None
    for _ in range(TURNS):
        start = time.process_time(), time.perf_counter()
        result = function()
        cpu.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    return result, median(cpu), median(wall)


def agreement(truth: np.ndarray, found: np.ndarray) -> float:
    """Adjusted Rand index over the points of true grains that count; negative truth: none."""
    points = np.bincount(truth[truth >= 0])
    counts = (truth >= 0) & (points[np.maximum(truth, 0)] >= LEAST)
    return float(adjusted_rand_score(truth[counts], found[counts]))


def nickel() -> dict[str, Any] | None:
    """The superalloy map against the grains that DefDAP found in it."""
    folder = REAL / "ebsd" / "nickel_superalloy"
    if not folder.is_dir():
        return None
    points = load(folder / "testDataEBSD.crc").crystal_map
    assert points is not None
    segment(points)  # tables of symmetry are made once
    found, cpu, wall = timed(lambda: segment(points))
    every = segment(points, minimum_points=1, fill=False)
    expected = {
        least: np.load(folder / f"ebsd_grains_5deg_{least}.npz")["grains"].ravel() - 1
        for least in (0, 10)
    }
    return {
        "agreement": agreement(expected[10], found.grain),
        "agreement_of_all_grains": float(adjusted_rand_score(expected[0], every.grain)),
        "grains": len(found.graph),
        "expected_grains": int(expected[10].max()) + 1,
        "cpu_s": cpu,
        "wall_s": wall,
        "defdap_s": DEFDAP_SECONDS,
    }


def steel_volume() -> dict[str, Any] | None:
    """Grains of 20 points and more of the serial sections; elsewhere about 185 were counted."""
    folder = REAL / "ebsd" / "steel_3d"
    if not folder.is_dir():
        return None
    points = load(folder).crystal_map
    assert points is not None
    found, cpu, _ = timed(lambda: segment(points, minimum_points=20))
    return {"grains": len(found.graph), "counted_elsewhere": 185, "cpu_s": cpu}


def large_map() -> dict[str, Any]:
    """Time of 500 x 500 points."""
    solid = PolycrystalSpec(shape=(250, 250, 16), grains=1500)
    made = simulate_map(SEED, 0, MapSpec(polycrystal=solid))
    found, cpu, wall = timed(lambda: segment(made.crystal_map))
    return {
        "points": len(made.grain),
        "grains": len(found.graph),
        "agreement": agreement(made.grain, found.grain),
        "cpu_s": cpu,
        "wall_s": wall,
    }


def simulated(maps: int) -> list[dict[str, Any]]:
    """Agreement with the truth on simulated maps, beside linking alone."""
    rows = []
    for name, (spec, options) in MAPS.items():
        ours, zero, intercepts = [], [], []
        for index in range(maps):
            made = simulate_map(SEED, index, spec)
            found = segment(made.crystal_map, **options)
            linked = segment(made.crystal_map, minimum_points=1, fill=False)
            ours.append(agreement(made.grain, found.grain))
            zero.append(agreement(made.grain, linked.grain))
            measured, true = lineal_intercept(found), true_intercept(made.crystal_map, made.grain)
            if measured is not None:
                intercepts.append(measured.value / true)
        rows.append(
            {
                "map": name,
                "agreement": mean(ours),
                "worst": min(ours),
                "linking_alone": mean(zero),
                "intercept_ratio": mean(intercepts),
            }
        )
    return rows


def true_intercept(crystal_map: CrystalMap, grain: np.ndarray) -> float:
    """Mean lineal intercept of the true grains, um."""
    one, other = crystal_map.pairs()
    length = np.linalg.norm(crystal_map.position[one] - crystal_map.position[other], axis=1)
    return float(length.sum() / (grain[one] != grain[other]).sum())


def graph_of(labels: np.ndarray, **options: Any) -> GrainGraph:
    """Graph of grains without orientation."""
    count = int(labels.max()) + 1
    return from_labels(
        labels, np.tile([1.0, 0, 0, 0], (count, 1)), np.zeros(count, int), (NAMELESS,), **options
    )


def faces_between(labels: np.ndarray) -> int:
    """Faces between voxels of different grains: the zero model of an area."""
    return sum(int(np.count_nonzero(np.diff(labels, axis=axis))) for axis in range(3))


def boundary_areas() -> list[dict[str, Any]]:
    """Areas of spheres and planes against the truth, beside counting faces."""
    rng = np.random.default_rng(SEED)
    grid = np.stack(np.meshgrid(*[np.arange(48) + 0.5] * 3, indexing="ij"), axis=-1)
    rows = []
    for radius in (3, 5, 8, 12):
        ours, counted = [], []
        for _ in range(10):
            centre = 24.0 + rng.uniform(-0.5, 0.5, 3)
            ball = (((grid - centre) ** 2).sum(axis=-1) < radius**2).astype(int)
            truth = 4.0 * np.pi * radius**2
            ours.append(graph_of(ball).area[0] / truth - 1.0)
            counted.append(faces_between(ball) / truth - 1.0)
        rows.append(_errors(f"sphere of {radius} voxels", ours, counted))
    ours, counted, angles = [], [], []
    for _ in range(30):
        normal = rng.normal(size=3)
        normal /= np.linalg.norm(normal)
        height = grid @ normal - normal @ np.full(3, 24.0)
        # inside a ball about a point of the plane, so that the area is that of a disc
        inside = ((grid - 24.0) ** 2).sum(axis=-1) < 20.0**2
        wall = np.where(inside, height > 0, -1).astype(int)
        pair = graph_of(wall)
        truth = np.pi * 20.0**2
        ours.append(pair.area[0] / truth - 1.0)
        across = sum(
            int(((a != b) & (a >= 0) & (b >= 0)).sum())
            for a, b in ((wall[:-1], wall[1:]), (wall[:, :-1], wall[:, 1:]),
                         (wall[:, :, :-1], wall[:, :, 1:]))
        )  # fmt: skip
        counted.append(across / truth - 1.0)
        turned = np.linalg.eigh(pair.normal[0])[1][:, -1]
        angles.append(float(np.degrees(np.arccos(min(1.0, abs(turned @ normal))))))
    rows.append(_errors("disc of 20 voxels, any tilt", ours, counted))
    rows[-1]["normal_off_deg"] = max(angles)
    return rows


def _errors(name: str, ours: list[float], counted: list[float]) -> dict[str, Any]:
    return {
        "body": name,
        "mean_error": mean(ours),
        "largest_error": max(map(abs, ours)),
        "counting_faces_mean_error": mean(counted),
    }


def polygons(seeds: np.ndarray, size: float) -> dict[tuple[int, int], tuple[float, np.ndarray]]:
    """Area and normal of the largest wall between each two cells of a periodic Voronoi diagram."""
    from scipy.spatial import Voronoi

    count = len(seeds)
    images = np.concatenate([seeds + size * (np.array(s) - 1) for s in np.ndindex(3, 3, 3)])
    middle = range(13 * count, 14 * count)
    cells = Voronoi(images)
    found: dict[tuple[int, int], tuple[float, np.ndarray]] = {}
    for ends, corners in zip(cells.ridge_points.tolist(), cells.ridge_vertices, strict=True):
        inside = sum(end in middle for end in ends)
        if not inside or -1 in corners:
            continue
        around = cells.vertices[corners]
        vector = np.cross(around[1:-1] - around[0], around[2:] - around[0]).sum(axis=0)
        area = 0.25 * inside * float(np.linalg.norm(vector))  # a wall to an image is met twice
        i, j = sorted(end % count for end in ends)
        before, normal = found.get((i, j), (0.0, vector / np.linalg.norm(vector)))
        found[i, j] = before + area, normal
    return found


def tessellation(size: int = 32, count: int = 100, repeats: int = 5) -> dict[str, Any]:
    """Every boundary of periodic Voronoi cells against its polygon."""
    from scipy.spatial import cKDTree

    grid = np.stack(np.meshgrid(*[np.arange(size) + 0.5] * 3, indexing="ij"), axis=-1)
    truth, ours, angles, totals = [], [], [], []
    for repeat in range(repeats):
        seeds = np.random.default_rng((SEED, repeat)).uniform(0, size, (count, 3))
        graph = graph_of(cKDTree(seeds, boxsize=size).query(grid)[1], periodic=True)
        walls = polygons(seeds, size)
        totals.append(graph.area.sum() / sum(area for area, _ in walls.values()) - 1.0)
        for pair, area, tensor in zip(
            graph.edges.T.tolist(), graph.area, graph.normal, strict=True
        ):
            true, normal = walls.get((pair[0], pair[1]), (0.0, np.zeros(3)))
            truth.append(true)
            ours.append(area)
            if true > 15.0:
                along = abs(np.linalg.eigh(tensor)[1][:, -1] @ normal)
                angles.append(float(np.degrees(np.arccos(min(1.0, along)))))
    error = np.subtract(ours, truth)
    return {
        "voxels": size,
        "grains": count,
        "total_error": mean(totals),
        "area_r2": float(1.0 - (error**2).sum() / (np.var(truth) * len(truth))),
        "normal_off_deg_median": median(angles),
    }


def volume(size: int) -> dict[str, Any]:
    """Time and memory of the graph of a labelled periodic volume."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(SEED)
    grains = max(8, round(3000 * (size / 256) ** 3))
    tree = cKDTree(rng.uniform(0, size, (grains, 3)), boxsize=size)
    plane = np.stack(np.meshgrid(*[np.arange(size) + 0.5] * 2, indexing="ij"), axis=-1)
    labels = np.empty((size,) * 3, np.int32)
    for k in range(size):
        at = np.concatenate([np.full((size, size, 1), k + 0.5), plane], axis=-1)
        labels[k] = tree.query(at.reshape(-1, 3))[1].reshape(size, size)
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
    count = int(labels.max()) + 1
    orientation, phase = random(count, rng), np.zeros(count, int)
    start = time.process_time(), time.perf_counter()
    graph = from_labels(labels, orientation, phase, (PLAIN,), periodic=True)
    return {
        "voxels": size,
        "grains": count,
        "boundaries": graph.edges.shape[1],
        "cpu_s": time.process_time() - start[0],
        "wall_s": time.perf_counter() - start[1],
        "peak_gb_of_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def report(figures: dict[str, Any]) -> None:
    """Print what was measured."""
    if (row := figures["nickel"]) is not None:
        print(
            f"nickel superalloy, 243 x 359: agreement {row['agreement']:.4f} "
            f"(all grains {row['agreement_of_all_grains']:.4f}), {row['grains']} grains of "
            f"{row['expected_grains']} expected, CPU {row['cpu_s']:.2f} s, wall "
            f"{row['wall_s']:.2f} s [DefDAP, as read: {row['defdap_s']:.0f} s]"
        )
    if (row := figures["steel_volume"]) is not None:
        print(f"steel volume: {row['grains']} grains of 20 points, CPU {row['cpu_s']:.2f} s")
    row = figures["large_map"]
    print(
        f"{row['points']} points: agreement {row['agreement']:.4f}, CPU {row['cpu_s']:.2f} s, "
        f"wall {row['wall_s']:.2f} s"
    )
    for row in figures["simulated"]:
        print(
            f"{row['map']:26s} agreement {row['agreement']:.4f} (worst {row['worst']:.4f})  "
            f"linking alone {row['linking_alone']:.4f}  intercept / true "
            f"{row['intercept_ratio']:.3f}"
        )
    for row in figures["areas"]:
        angle = (
            f"  normal off by {row['normal_off_deg']:.2f} deg" if "normal_off_deg" in row else ""
        )
        print(
            f"{row['body']:28s} area {100 * row['mean_error']:+6.2f} % (largest "
            f"{100 * row['largest_error']:.2f} %)  counting faces "
            f"{100 * row['counting_faces_mean_error']:+6.1f} %{angle}"
        )
    row = figures["tessellation"]
    print(
        f"Voronoi cells, {row['voxels']}^3 voxels, {row['grains']} grains: total area "
        f"{100 * row['total_error']:+.2f} %, areas of single boundaries R2 {row['area_r2']:.3f}, "
        f"normals of those above 15 faces off by {row['normal_off_deg_median']:.1f} deg (median)"
    )
    if (row := figures["volume"]) is not None:
        print(
            f"graph of {row['voxels']}^3 voxels, {row['grains']} grains: CPU {row['cpu_s']:.1f} s, "
            f"wall {row['wall_s']:.1f} s, peak of the process {row['peak_gb_of_process']:.2f} GB"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--volume", type=int, default=256, help="voxels along a side; 0: none")
    parser.add_argument("--maps", type=int, default=4, help="simulated maps of each kind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {
        "nickel": nickel(),
        "steel_volume": steel_volume(),
        "large_map": large_map(),
        "simulated": simulated(options.maps),
        "areas": boundary_areas(),
        "tessellation": tessellation(),
        "volume": volume(options.volume) if options.volume else None,
    }
    report(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
