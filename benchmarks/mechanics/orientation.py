"""Disorientation angles against orix: digits and time, in one run and on one thread.

    python -m benchmarks.mechanics.orientation [--json orientation.json] [--pairs 100000]

Both get the same random pairs. Times are CPU time of the process, the median of several turns
taken alternately, so that other programs on the machine do not count.

For two different groups orix 0.15 multiplies its operators in the order s_a s_b, which belongs
to the opposite misorientation; where the groups do not commute its angle is not the smallest.
Given the groups crosswise it calculates the right one, and so it is asked here.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np
import torch

from benchmarks.figures import told
from xtalfuse.physics.orientation.disorientation import LAUE_GROUPS, disorientation_angle, random

TURNS = 5
# orix has its only group of this name with the axis along z
ORIX_SETTING = {"2/m": "112/m"}
DIFFERENT = (("m-3m", "6/mmm"), ("m-3m", "m-3"), ("4/mmm", "mmm"), ("-3m", "-1"))


def orix_group(laue: str) -> Any:
    """orix's symmetry of this name."""
    from orix.quaternion import symmetry

    return next(g for g in symmetry._groups if g.name == laue)


def cpu_time(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and the result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def against_orix(a: np.ndarray, b: np.ndarray, laue: str, laue_b: str) -> dict[str, Any]:
    """Times, their ratio and the largest difference for one pair of groups."""
    from orix.quaternion import Orientation

    first = Orientation(a, symmetry=orix_group(laue_b))  # crosswise, see above
    second = Orientation(b, symmetry=orix_group(laue))
    names = [ORIX_SETTING.get(g, g) for g in (laue, laue_b)]
    disorientation_angle(a[:100], b[:100], *names)
    first[:100].angle_with(second[:100])
    ours, theirs = [], []
    for _ in range(TURNS):
        seconds, angle = cpu_time(lambda: disorientation_angle(a, b, *names))
        ours.append(seconds)
        seconds, expected = cpu_time(lambda: first.angle_with(second))
        theirs.append(seconds)
    return {
        "laue": laue if laue == laue_b else f"{laue} to {laue_b}",
        "ours_s": median(ours),
        "orix_s": median(theirs),
        "ratio": median(theirs) / median(ours),
        "largest_deviation_rad": float(np.abs(angle - expected).max()),
    }


def measure(pairs: int) -> dict[str, Any]:
    """All comparisons; see the module docstring."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(20)
    a, b = random(pairs, rng), random(pairs, rng)
    groups = [*((laue, laue) for laue in LAUE_GROUPS), *DIFFERENT]
    rows = [against_orix(a, b, *pair) for pair in groups]
    return {
        "pairs": pairs,
        "groups": rows,
        "least_ratio": min(r["ratio"] for r in rows),
        "largest_deviation_rad": max(r["largest_deviation_rad"] for r in rows),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pairs", type=int, default=100_000)
    options = parser.parse_args()
    figures = measure(options.pairs)
    told(figures, options.json)


if __name__ == "__main__":
    main()
