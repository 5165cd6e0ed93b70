"""How fast a dataset is written and read, beside plain h5py, gzip chunks and a plain memory map."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np

from benchmarks.readers.watch import Watch
from xtalfuse.datasets.records.dataset import crop
from xtalfuse.datasets.records.journal import Journal
from xtalfuse.datasets.records.store import read_arrays, write_arrays
from xtalfuse.loaders.safe.processes import process_pool


def _records(count: int, seed: int) -> list[dict[str, np.ndarray]]:
    """Records of 1 MB each: an array and its axis."""
    rng = np.random.default_rng(seed)
    return [
        {f"{k:04d}.values": rng.random(62_500), f"{k:04d}.axis": np.linspace(0.0, 1.0, 62_500)}
        for k in range(count)
    ]


def _ours(folder: Path, records: list[dict[str, np.ndarray]]) -> None:
    """What the build of a shard does: a journal, then the shard, forced to disk."""
    for start in range(0, len(records), 64):
        with Journal(folder / f"work{start}", "plan") as journal:
            for number, arrays in enumerate(records[start : start + 64]):
                journal.append(number, {"id": number}, arrays)
            journal.finish(folder / f"{start}.h5", {})


def _plain(folder: Path, records: list[dict[str, np.ndarray]], forced: bool = False) -> None:
    """A loop that writes the same arrays, with nothing to make them safe."""
    import os

    for start in range(0, len(records), 64):
        with h5py.File(folder / f"{start}.h5", "w") as file:
            for arrays in records[start : start + 64]:
                for name, array in arrays.items():
                    file.create_dataset(name, data=array)
        if forced:
            with open(folder / f"{start}.h5", "rb") as file:
                os.fsync(file.fileno())


def _timed(folder: Path, write: Any, records: list[dict[str, np.ndarray]]) -> float:
    import shutil

    folder.mkdir()
    begun = time.perf_counter()
    write(folder, records)
    seconds = time.perf_counter() - begun
    shutil.rmtree(folder)
    return seconds


def _read(folder: Path, seed: int) -> dict[str, float]:
    """Milliseconds of a random 64^3 crop of a 384^3 volume, the stores in turn."""
    rng = np.random.default_rng(seed)
    volume = rng.integers(0, 255, (384, 384, 384)).astype(np.uint8)
    write_arrays(folder / "ours.h5", {"volume": volume}, {})
    with h5py.File(folder / "slices.h5", "w") as file:
        file.create_dataset("volume", data=volume, chunks=(1, 384, 384), compression="gzip")
    volume.tofile(folder / "raw")
    ours = read_arrays(folder / "ours.h5")[0]["volume"]
    raw = np.memmap(folder / "raw", np.uint8, "r", shape=volume.shape)
    sliced = h5py.File(folder / "slices.h5")["volume"]
    times: dict[str, list[float]] = {"ours": [], "memmap": [], "gzip slices": []}
    for _ in range(15):
        for name, store in (("ours", ours), ("memmap", raw), ("gzip slices", sliced)):
            if name == "gzip slices":
                z, y, x = rng.integers(0, 320, 3)
                begun = time.perf_counter()
                np.array(store[z : z + 64, y : y + 64, x : x + 64])
            else:
                begun = time.perf_counter()
                crop(store, 64, rng)
            times[name].append(1e3 * (time.perf_counter() - begun))
    return {name: median(found) for name, found in times.items()}


def _half(folder: Path, half: int, count: int, seed: int) -> float:
    """Seconds in which one of two processes writes its half of the records."""
    records = _records(count, seed)[half::2]
    place = folder / f"half{half}"
    place.mkdir()
    begun = time.time()
    _ours(place, records)
    return begun


def _of_two(folder: Path, count: int, seed: int) -> float:
    """Seconds in which two processes write the records, made before the clock starts."""
    import shutil

    with process_pool(2) as pool:
        list(pool.map(time.sleep, (0.5, 0.5)))  # both have started
        begun = [pool.submit(_half, folder, half, count, seed) for half in range(2)]
        first = min(task.result() for task in begun)
        seconds = time.time() - first
    for half in range(2):
        shutil.rmtree(folder / f"half{half}")
    return seconds


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Writing as a ratio to the plain loop, memory, reading as a ratio to both others."""
    records = _records(256, given.seed)
    ratios: dict[str, list[float]] = {"plain": [], "forced": []}
    for turn in range(5):
        (folder / f"o{turn}").mkdir()
        ours = _of_two(folder / f"o{turn}", len(records), given.seed)
        plain = _timed(folder / f"p{turn}", _plain, records)
        forced = _timed(folder / f"f{turn}", lambda f, r: _plain(f, r, True), records)
        ratios["plain"].append(plain / ours)
        ratios["forced"].append(forced / ours)
    memory = {}
    for count in (64, 512):
        more = _records(64, 1) * (count // 64)
        (folder / f"m{count}").mkdir()
        with Watch() as watch:
            _ours(folder / f"m{count}", more)
        memory[count] = watch.peak_mb
    crops = _read(folder, given.seed)
    return {
        "speed against a plain loop": median(ratios["plain"]),
        "speed against a plain loop that is forced to disk": median(ratios["forced"]),
        "megabytes above the start, by records": memory,
        "milliseconds of a crop": crops,
        "crop against gzip slices": crops["gzip slices"] / crops["ours"],
        "crop against a memory map": crops["memmap"] / crops["ours"],
    }
