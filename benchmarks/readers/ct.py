"""CT volumes: time and memory, what is found through noise, what the reader makes of files.

Run ``python -m benchmarks.readers.ct [--json FILE] [--real FOLDER]``. Volumes are simulated with
seeds that no development used (1000 and above). The zero model is what most scripts do: Otsu's
threshold of the volume as it is, and connected components. Times are CPU seconds of one
thread in a process of its own, memory its highest resident size.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import told
from benchmarks.real import real_folder
from xtalfuse.datasets.simulate.ct import ScanSpec, as_measurement, balls, foam, scan
from xtalfuse.encoders.volume.segment import VolumeSegmentation, segment_volume
from xtalfuse.loaders import UnreadableFileError, load
from xtalfuse.loaders.record import Measurement

SEED = 1000
SIDE = 96
NOISE = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
REPEATS = 3
SPECIMENS = {
    "balls that touch": "(radius 5-9, surfaces overlap by 1 voxel)",
    "foam": "(one wavelength of 16 voxels)",
    "three phases": "(balls in a coarse foam)",
}
SPEC = ScanSpec(grey=(60.0, 160.0), blur=0.8, periodic=True)
LARGE = {"particles": 256, "foam": 256}


def truth(kind: str, index: int, side: int = SIDE) -> tuple[np.ndarray, np.ndarray | None]:
    """(phase of each voxel, ball of each voxel or None) of a simulated specimen."""
    shape = (side, side, side)
    if kind == "foam":
        return foam(SEED, index, shape, 0.35 + 0.1 * (index % 3)).astype(int), None
    gap = 3.0 if kind == "three phases" else -1.0
    labels, _ = balls(SEED, index, shape, 0.3, (5.0, 9.0), gap)
    if kind == "three phases":
        around = foam(SEED, 500 + index, shape, 0.5, 32.0)
        return np.where(labels >= 0, 2, around.astype(int)), labels
    return (labels >= 0).astype(int), labels


def seen(phase: np.ndarray, index: int, **changes: Any) -> Measurement:
    """The specimen in a scanner."""
    grey = (40.0, 110.0, 200.0)[: phase.max() + 1] if phase.max() > 1 else SPEC.grey
    spec = ScanSpec(**{**vars(SPEC), "grey": grey, **changes})
    return as_measurement(scan(phase, spec, SEED, index), 1.0)


def accuracy(kind: str, index: int, **changes: Any) -> dict[str, float]:
    """How well one specimen is segmented, and how well the zero model does it."""
    phase, labels = truth(kind, index)
    volume = seen(phase, index, **changes)
    began = time.process_time()
    found = segment_volume(volume, periodic=True)
    seconds = time.process_time() - began
    phases = len(found.phases)
    if phases != phase.max() + 1:  # the rest is judged with the number given
        found = segment_volume(volume, phases=int(phase.max()) + 1, periodic=True)
    own = found.phase.transpose(2, 1, 0)
    zero = zero_phases(volume.values, int(phase.max()) + 1).transpose(2, 1, 0)
    figures = {
        "right number of phases": float(phases == phase.max() + 1),
        "dice": dice(own, phase),
        "zero dice": dice(zero, phase),
        "fraction error": float(np.mean(own == phase.max()) / np.mean(phase == phase.max()) - 1),
        "zero fraction error": float(
            np.mean(zero == phase.max()) / np.mean(phase == phase.max()) - 1
        ),
        "seconds": seconds,
    }
    if labels is not None:
        figures |= bodies(found, zero, phase, labels)
    return figures


def zero_phases(values: np.ndarray, phases: int) -> np.ndarray:
    """Phases by multi-Otsu of the volume as it is."""
    from skimage.filters import threshold_multiotsu

    return np.searchsorted(threshold_multiotsu(values, phases), values)


def dice(found: np.ndarray, phase: np.ndarray) -> float:
    """Dice's coefficient of the worst phase."""
    return min(
        2.0
        * float(((found == k) & (phase == k)).sum())
        / float((found == k).sum() + (phase == k).sum())
        for k in range(int(phase.max()) + 1)
    )


def bodies(
    found: VolumeSegmentation, zero: np.ndarray, phase: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Particles against the balls: adjusted Rand index, and their number.

    The index is over voxels whose phase is right: those missed are in Dice's coefficient.
    """
    from sklearn.metrics import adjusted_rand_score

    from xtalfuse.encoders.volume.objects import components, sizes

    brightest = int(phase.max())
    solid = found.phase.transpose(2, 1, 0) == brightest
    inside, zero_inside = (labels >= 0) & solid, (labels >= 0) & (zero == brightest)
    true = int(labels.max()) + 1
    own = found.labels.transpose(2, 1, 0)
    plain, count = components(zero == brightest, periodic=True)
    large = int((sizes(plain, count) >= 8).sum())
    return {
        "rand index": float(adjusted_rand_score(labels[inside], own[inside])),
        "zero rand index": float(adjusted_rand_score(labels[zero_inside], plain[zero_inside])),
        "number": float((found.label_phase == brightest).sum() / true),
        "zero number": large / true,
    }


def over_noise() -> dict[str, dict[str, dict[str, float]]]:
    """Means over specimens, for each kind and strength of noise, and with artefacts."""
    conditions: dict[str, dict[str, Any]] = {f"noise {n}": {"noise": n} for n in NOISE}
    conditions["noise 0.2, rings 0.2"] = {"noise": 0.2, "rings": 0.2}
    conditions["noise 0.2, cupping 10 %"] = {"noise": 0.2, "cupping": 0.1}
    conditions["noise 0.2, blur 1.5"] = {"noise": 0.2, "blur": 1.5}
    results: dict[str, dict[str, dict[str, float]]] = {}
    for kind in SPECIMENS:
        results[kind] = {}
        for name, changes in conditions.items():
            each = [accuracy(kind, index, **changes) for index in range(REPEATS)]
            results[kind][name] = {key: float(np.mean([e[key] for e in each])) for key in each[0]}
    return results


def large(kind: str) -> dict[str, float]:
    """Time and memory of a large volume; runs in a process of its own."""
    side = LARGE[kind]
    name = "foam" if kind == "foam" else "balls that touch"
    phase, _ = truth(name, 900, side)
    volume = seen(phase, 900, noise=0.3)
    volume.values[...] = np.rint(volume.values)
    del phase
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, wall = time.process_time(), time.perf_counter()
    found = segment_volume(volume)
    labelled = time.process_time() - began
    graph = found.graph()
    return {
        "voxels": float(side**3),
        "labels s": labelled,
        "labels and graph s": time.process_time() - began,
        "wall s": time.perf_counter() - wall,
        "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "GB before": before / 1e6,
        "bodies": float(len(graph)),
        "boundaries": float(graph.edges.shape[1]),
    }


def in_child(kind: str) -> dict[str, float]:
    """`large` in a fresh process on one thread."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.readers.ct", "--large", kind],
        env={**os.environ, **threads}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def real_files(real: Path) -> dict[str, str]:
    """The files of the collection: right, refused with a reason, or wrong."""
    told: dict[str, str] = {}
    gold = real / "ct" / "nanoporous_gold.npz"
    with np.load(gold, allow_pickle=False) as file:
        packed = file["volumes_packed"]
    right = 0
    began = time.perf_counter()
    for index in range(len(packed)):
        values = load(f"{gold}#{index}").values
        right += np.array_equal(values.ravel(), np.unpackbits(packed[index])[: values.size])
    told[gold.name] = f"{right} of {len(packed)} volumes right"
    told[gold.name] += f", {1e3 * (time.perf_counter() - began) / len(packed):.0f} ms each"
    for path in (gold, *sorted((real / "ct" / "nxtomo").rglob("*"))):
        if path.suffix not in (".npz", ".nxs", ".h5"):
            continue
        try:
            shape = load(path).values.shape
            told[f"{path.name}, nothing chosen"] = f"READ as {shape}"
        except UnreadableFileError as error:
            told[f"{path.name}, nothing chosen"] = f"refused: {error}"
    return told


def main() -> None:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument(
        "--real", type=Path, default=real_folder(), help="folder of real instrument files"
    )
    parser.add_argument("--large", choices=LARGE, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.large:
        print(json.dumps(large(options.large)))
        return
    results = {
        "large": {kind: in_child(kind) for kind in LARGE},
        **{f"{kind} {SPECIMENS[kind]}": rows for kind, rows in over_noise().items()},
        "real": None,
    }
    if options.real.is_dir():
        results["real"] = [
            {"file": name, "came": verdict} for name, verdict in real_files(options.real).items()
        ]
    told(results, options.json)


if __name__ == "__main__":
    main()
