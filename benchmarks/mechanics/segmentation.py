"""Grains of orientation maps against another program and against the truth; time.

    python -m benchmarks.mechanics.segmentation [--json segmentation.json] [--volume 256] [--maps 4]

Agreement is the adjusted Rand index over the points of grains of 10 points or more; points
without a grain count as one group. The zero model links neighbours below the threshold and does
nothing else. Times are of one thread: CPU seconds and wall seconds, the median of three turns.
Real maps are looked for in the folder ``XTALFUSE_REAL`` or beside the repository.
"""

from __future__ import annotations

import argparse
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

from benchmarks.figures import told
from benchmarks.real import real_folder
from xtalfuse.datasets.simulate.map import MapSpec, simulate_map
from xtalfuse.datasets.simulate.polycrystal import PolycrystalSpec
from xtalfuse.encoders.grains.map import segment
from xtalfuse.encoders.grains.size import lineal_intercept
from xtalfuse.loaders import load
from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind, MapPhase
from xtalfuse.physics.grains.graph import from_labels
from xtalfuse.physics.orientation.quaternion import random

REAL = real_folder()
DEFDAP_SECONDS = 35.0  # of the same nickel map, measured elsewhere
SEED = 900  # no map of this series was looked at while the method was made
LEAST = 10  # points of a grain that counts
TURNS = 3
PLAIN = MapPhase("cubic", "m-3m")

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
        "volume": volume(options.volume) if options.volume else None,
    }
    told(figures, options.json)


if __name__ == "__main__":
    main()
