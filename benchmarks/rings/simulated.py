"""Many simulated ring patterns of another make: radii, the class, and amorphous ones.

``python -m benchmarks.rings.simulated --patterns 200``. A ring stands apart where no other of
5 % of its height or more is within 1.5 widths; rings nearer than half a width are one, at their
weighted mean. Rings under 6 % of the highest are not asked for.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from benchmarks.rings.patterns import Scene, amorphous, measurement, picture, random_scene
from xtalfuse.datasets.library.build import builtin
from xtalfuse.encoders.rings.profile import NotRingsError, ring_profile
from xtalfuse.tasks.identify.rings.match import Candidate, library_candidates, ring_evidence
from xtalfuse.tasks.identify.rings.settings import DEFAULT

APART, OVERLAP, LEAST = 0.003, 0.007, 0.06
CAMERA_ERROR = 0.01  # of the scale that is told, one standard deviation


def wanted(scene: Scene) -> list[tuple[float, bool]]:
    """(radius, whether it stands apart) of each ring that is asked for."""
    radius, height = scene.rings(1e-3)
    width = max(float(np.hypot(np.sqrt(3.0) * scene.disc, 2.355 * scene.blur)), 2.0)
    groups = np.split(np.arange(len(radius)), np.flatnonzero(np.diff(radius) > 0.5 * width) + 1)
    heights = np.array([height[g].sum() for g in groups])
    places = np.array([np.average(radius[g], weights=height[g]) for g in groups])
    rows = []
    for k in np.flatnonzero(heights > LEAST * heights.max()):
        apart = np.abs(places - places[k])
        near = (apart > 0.0) & (apart < 1.5 * width) & (heights > 0.05 * heights[k])
        rows.append((float(places[k]), not near.any()))
    return rows


def one_pattern(seed: int, library: list[Candidate]) -> dict:
    """Errors of the radii, whether a true phase is in the class, and the probabilities told."""
    scene = random_scene(seed)
    factor = 1.0 + CAMERA_ERROR * np.random.default_rng(seed).normal()
    try:
        profile = ring_profile(measurement(picture(scene), factor * scene.scale))
    except NotRingsError as error:
        return {"seed": seed, "refused": str(error)[:80]}
    found = np.array([ring.radius_px for ring in profile.sharp] or [1e9])
    errors = [(float(np.abs(found / r - 1.0).min()), alone) for r, alone in wanted(scene)]
    evidence = ring_evidence(profile, library)
    posterior = evidence.posterior(DEFAULT.in_library)
    first = evidence.tied[0] if evidence.tied else None
    return {
        "seed": seed,
        "apart": [e for e, alone in errors if alone],
        "overlap": [e for e, alone in errors if not alone],
        "phases": scene.phases,
        "in_class": bool(set(scene.phases) & set(evidence.tied)),
        "class_size": len(evidence.tied),
        "confidence": posterior[first] if first else 0.0,
        "first_right": first in scene.phases,
    }


def amorphous_pattern(seed: int, library: list[Candidate]) -> dict:
    """Whether a pattern of halos is given a phase."""
    try:
        profile = ring_profile(measurement(amorphous(seed), 0.005))
    except NotRingsError:
        return {"seed": seed, "phase": False}
    said = len(profile.sharp) > 0 and bool(ring_evidence(profile, library).tied)
    return {"seed": seed, "phase": said, "sharp": len(profile.sharp)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patterns", type=int, default=200)
    parser.add_argument("--amorphous", type=int, default=30)
    parser.add_argument("--first", type=int, default=5000, help="seed of the first pattern")
    options = parser.parse_args()
    library = library_candidates(builtin())
    seeds = range(options.first, options.first + options.patterns)
    rows = []
    for seed in seeds:
        rows.append(one_pattern(seed, library))
        print(json.dumps(rows[-1]), flush=True)
    halos = [amorphous_pattern(seed, library) for seed in range(options.amorphous)]
    used = [row for row in rows if "refused" not in row]
    apart, overlap = (np.array([e for r in used for e in r[k]]) for k in ("apart", "overlap"))
    figures = {
        "patterns": len(rows),
        "refused": len(rows) - len(used),
        "apart within 0.3 %": float(np.mean(apart < APART)),
        "overlapping within 0.7 %": float(np.mean(overlap < OVERLAP)),
        "a true phase in the class": float(np.mean([r["in_class"] for r in used])),
        "class size, median": float(np.median([r["class_size"] for r in used])),
        "confidence of the first, mean": float(np.mean([r["confidence"] for r in used])),
        "the first is right": float(np.mean([r["first_right"] for r in used])),
        "amorphous given a phase": sum(row["phase"] for row in halos),
        "amorphous": len(halos),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
