"""Many simulated ring patterns of another make: radii, the class, and amorphous ones.

``python -m benchmarks.rings.simulated --patterns 200``. A ring stands apart where no other of
5 % of its height or more is within 1.5 widths; rings nearer than half a width are one, at their
weighted mean, and so are those found there. Rings under 6 % of the highest are not asked for.
Counts place a ring no better than the bound of Cramer and Rao: beside all rings stand those that
are within the bar by three of its standard errors. Intensities are not those that score: each
ring is off by a factor that differs from pattern to pattern (texture, dynamical scattering).
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from benchmarks.rings.patterns import (
    Scene,
    amorphous,
    measurement,
    picture,
    radial_counts,
    random_scene,
)
from xtalfuse.datasets.library.build import builtin
from xtalfuse.encoders.rings.profile import NotRingsError, ring_profile
from xtalfuse.loaders.tem.recognise import pattern_certainty
from xtalfuse.tasks.identify.rings.match import Candidate, library_candidates, ring_evidence
from xtalfuse.tasks.identify.rings.settings import DEFAULT

APART, OVERLAP, LEAST = 0.003, 0.007, 0.06
CAMERA_ERROR = 0.01  # of the scale that is told, one standard deviation
BINS = np.array([0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])  # of confidence


def wanted(scene: Scene) -> list[tuple[float, bool, float, float]]:
    """(radius, whether it stands apart, half span, standard error) of each ring asked for."""
    radius, height = scene.rings(1e-3)
    width = max(float(np.hypot(np.sqrt(3.0) * scene.disc, 2.355 * scene.blur)), 2.0)
    groups = np.split(np.arange(len(radius)), np.flatnonzero(np.diff(radius) > 0.5 * width) + 1)
    heights = np.array([height[g].sum() for g in groups])
    places = np.array([np.average(radius[g], weights=height[g]) for g in groups])
    bound = least_errors(scene, places, heights)
    rows = []
    for k in np.flatnonzero(heights > LEAST * heights.max()):
        apart = np.abs(places - places[k])
        near = (apart > 0.0) & (apart < 1.5 * width) & (heights > 0.05 * heights[k])
        span = float(0.5 * np.ptp(radius[groups[k]]) + 0.25 * width)
        rows.append((float(places[k]), not near.any(), span, float(bound[k])))
    return rows


def least_errors(scene: Scene, places: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """(n,) relative standard errors of radii that the counts allow, shape and background known."""
    fine = np.arange(1.0, places.max() + 5.0 * scene.disc + 20.0, 0.25)
    mean = scene.counts * radial_counts(scene, fine, *scene.rings()) + 1.0
    parts = []
    for place, height in zip(places, heights, strict=True):
        at = [
            scene.counts * radial_counts(scene, fine, [r], [height], smooth=False)
            for r in (place - 0.1, place, place + 0.1)
        ]
        parts += [(at[2] - at[0]) / 0.2, at[1]]
    design = np.stack(parts, 1) * np.sqrt(2.0 * np.pi * fine * 0.25 / mean)[:, None]
    normal = design.T @ design
    scale = np.sqrt(np.diag(normal)) + 1e-300
    covariance = np.linalg.pinv(normal / np.outer(scale, scale), rcond=1e-10)
    return (np.sqrt(np.maximum(np.diag(covariance), 0.0)) / scale)[::2] / places


def error_at(found: np.ndarray, weight: np.ndarray, radius: float, span: float) -> float:
    """Relative error of what is found within a span of a radius, else of the nearest ring."""
    if not len(found):
        return 1.0
    here = np.abs(found - radius) < span
    place = np.average(found[here], weights=weight[here]) if here.any() else found
    return float(min(np.min(np.abs(place / radius - 1.0)), 1.0))


def one_pattern(seed: int, library: list[Candidate]) -> dict:
    """Errors of the radii, whether a true phase is in the class, and the probabilities told."""
    scene, began = random_scene(seed), time.process_time()
    factor = 1.0 + CAMERA_ERROR * np.random.default_rng(seed).normal()
    image = picture(scene)
    row = {
        "seed": seed,
        "phases": len(scene.phases),
        "disc": scene.disc,
        "ellipse": scene.ellipticity,
        "stop": bool(scene.stop),
        "off centre": float(np.hypot(*(np.array(scene.center) / scene.side - 0.5))),
        "spotty": scene.grains is not None,
        "proposed": pattern_certainty(image),
        "radii": [],
        "in_class": False,
        "class_size": 0,
        "confidence": 0.0,
        "right": False,
    }
    try:
        profile = ring_profile(measurement(image, factor * scene.scale))
    except NotRingsError as error:
        return row | {"refused": str(error)[:80]}
    found = np.array([ring.radius_px for ring in profile.sharp])
    weight = np.array([ring.intensity / ring.radius_px for ring in profile.sharp])
    row["radii"] = [
        (error_at(found, weight, radius, span), alone, bound)
        for radius, alone, span, bound in wanted(scene)
    ]
    evidence = ring_evidence(profile, library)
    posterior = evidence.posterior(DEFAULT.in_library)
    if evidence.tied:
        first = evidence.tied[0]
        row |= {"confidence": posterior[first], "right": first in scene.phases}
    row["in_class"] = bool(set(scene.phases) & set(evidence.tied))
    return row | {"class_size": len(evidence.tied), "seconds": time.process_time() - began}


def amorphous_pattern(seed: int, library: list[Candidate]) -> bool:
    """Whether a pattern of halos is given a phase."""
    try:
        profile = ring_profile(measurement(amorphous(seed), 0.005))
    except NotRingsError:
        return False
    return len(profile.sharp) > 0 and bool(ring_evidence(profile, library).tied)


def figures_of(rows: list[dict]) -> dict:
    """Figures of some patterns."""
    figures: dict = {"patterns": len(rows), "refused": sum("refused" in row for row in rows)}
    for name, bar, alone in (("apart", APART, True), ("overlapping", OVERLAP, False)):
        rings = [r for row in rows for r in row["radii"] if r[1] is alone]
        errors = np.array([r[0] for r in rings])
        allowed = np.array([3.0 * r[2] < bar for r in rings], bool)
        figures |= {
            f"{name}: rings": len(rings),
            f"{name}: within {100 * bar:.1f} %": share(errors < bar),
            f"{name}: that the counts allow": int(allowed.sum()),
            f"{name}: of these within": share(errors[allowed] < bar),
            f"{name}: 99th percentile of these, %": (
                100.0 * float(np.quantile(errors[allowed], 0.99)) if allowed.any() else None
            ),
        }
    return figures | {
        "a true phase in the class": share(np.array([row["in_class"] for row in rows])),
        "class size, median": float(np.median([row["class_size"] for row in rows])),
    }


def share(yes: np.ndarray) -> float | None:
    """Share of these that are true; None of none."""
    return float(np.mean(yes)) if len(yes) else None


def calibration(rows: list[dict]) -> dict:
    """Share of first answers that are right by their confidence, and the error over all."""
    told = [row for row in rows if row["class_size"]]
    confidence = np.array([row["confidence"] for row in told])
    right = np.array([row["right"] for row in told], float)
    which = np.clip(np.searchsorted(BINS, confidence, side="right") - 1, 0, len(BINS) - 2)
    bins, error = {}, 0.0
    for k in np.unique(which):
        here = which == k
        bins[f"{BINS[k]:.1f} to {BINS[k + 1]:.1f}"] = (
            int(here.sum()),
            float(confidence[here].mean()),
            float(right[here].mean()),
        )
        error += here.sum() * abs(confidence[here].mean() - right[here].mean()) / len(told)
    return {"answers, mean confidence, share right": bins, "calibration error": float(error)}


CONDITIONS = {
    "one phase": lambda row: row["phases"] == 1,
    "two or three phases": lambda row: row["phases"] > 1,
    "disc under 1 px": lambda row: row["disc"] < 1.0,
    "disc 1 to 4 px": lambda row: 1.0 <= row["disc"] < 4.0,
    "disc 4 to 8 px": lambda row: row["disc"] >= 4.0,
    "ellipse over 2 %": lambda row: row["ellipse"] > 0.02,
    "beam stop": lambda row: row["stop"],
    "off centre by 4 %": lambda row: row["off centre"] > 0.04,
    "spotty": lambda row: row["spotty"],
}


def summary(rows: list[dict], halos: list[bool]) -> dict:
    """Figures of all patterns and by condition."""
    seconds = [row["seconds"] for row in rows if "seconds" in row]
    stopped = np.array([row["proposed"] > 0.5 for row in rows if row["stop"]])
    return {
        "all": figures_of(rows),
        "by condition": {
            name: figures_of([row for row in rows if chosen(row)])
            for name, chosen in CONDITIONS.items()
            if any(chosen(row) for row in rows)
        },
        "calibration": calibration(rows),
        "proposed as diffraction without metadata": share(
            np.array([row["proposed"] > 0.5 for row in rows])
        ),
        "likewise, behind a beam stop": share(stopped),
        "seconds, median": float(np.median(seconds)) if seconds else None,
        "amorphous given a phase": f"{sum(halos)} of {len(halos)}",
        "worst seeds": [
            row["seed"]
            for row in sorted(rows, key=lambda row: -max((r[0] for r in row["radii"]), default=1))
        ][:5],
        "no true phase in the class": [row["seed"] for row in rows if not row["in_class"]],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patterns", type=int, default=200)
    parser.add_argument("--amorphous", type=int, default=30)
    parser.add_argument("--first", type=int, default=5000, help="seed of the first pattern")
    parser.add_argument("--json", action="store_true", help="print each pattern as JSON too")
    options = parser.parse_args()
    library = library_candidates(builtin())
    rows: list[dict] = []
    for seed in range(options.first, options.first + options.patterns):
        rows.append(one_pattern(seed, library))
        if options.json:
            print(json.dumps(rows[-1]), flush=True)
    seeds = range(options.first, options.first + options.amorphous)
    halos = [amorphous_pattern(seed, library) for seed in seeds]
    print(json.dumps(summary(rows, halos), indent=1))


if __name__ == "__main__":
    main()
