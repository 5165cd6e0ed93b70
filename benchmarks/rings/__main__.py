"""How well electron diffraction rings are found, and what they are said to be.

Simulated patterns with known centre, ellipse and radii, and the real bismuth pattern where it
is there. Beside each figure the zero model: intensity centroid for the centre, peaks of the
plain radial mean for the radii.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import signal

from benchmarks.real import real_folder
from xtalfuse.datasets.library.build import builtin
from xtalfuse.encoders.rings.profile import NotRingsError, RingProfile, calibrated, ring_profile
from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance
from xtalfuse.physics.crystal.electron import electron_strengths, ring_intensities
from xtalfuse.physics.crystal.ring_pattern import RingScene, ring_image
from xtalfuse.tasks.identify.rings.match import Candidate, library_candidates, ring_evidence

G_AT_EDGE, EDGE_PX = 1.1, 230.0  # 1/angstrom at this radius, in every simulated pattern
SCALE = G_AT_EDGE / EDGE_PX
BASE = RingScene(center_px=(251.3, 266.8), ellipticity=0.02, ellipse_angle_deg=30.0)
SCENES = {
    "stop, hot pixels, saturated": replace(
        BASE, stop_width_px=30.0, hot_pixels=20, saturation_counts=2000.0
    ),
    "weak (30 counts on 100)": replace(BASE, stop_width_px=30.0, peak_counts=30.0),
    "spotty (60 grains)": replace(BASE, grains=60, seed=3),
    "arcs": replace(BASE, stop_width_px=30.0, arc=0.5),
    "centre near a corner": replace(BASE, center_px=(90.4, 400.7)),
}
PHASES = ("gold", "aluminium", "silicon", "rutile", "bismuth")
TEXTURED = {"bismuth": (0, 0, 1)}


def measurement(image: np.ndarray) -> Measurement:
    """An uncalibrated image."""
    axes = tuple(
        Axis(axis, "px", np.arange(n, dtype=float))
        for axis, n in zip("yx", image.shape, strict=True)
    )
    provenance = Provenance("simulated", "", "simulation")
    return Measurement(Modality.DIFFRACTION, image, axes, "counts", provenance)


def expected(candidate: Candidate) -> tuple[np.ndarray, np.ndarray]:
    """Radii (pixels) and intensities of the rings of a phase, textured where it is known to be."""
    g = 1.0 / candidate.reflections.d_spacings(candidate.cell)
    zone = TEXTURED.get(candidate.id)
    if zone is None:
        intensity = ring_intensities(candidate.reflections, candidate.cell)
    else:
        strength = electron_strengths(candidate.reflections, candidate.cell)
        intensity = strength * candidate.reflections.multiplicity
        intensity = intensity * (candidate.reflections.hkl @ np.array(zone) == 0)
    kept = (g < 1.02 * G_AT_EDGE) & (intensity > 1e-3 * intensity.max())
    return g[kept] / SCALE, intensity[kept]


def resolved(radii: np.ndarray, intensities: np.ndarray, fwhm: float) -> np.ndarray:
    """Radii whose ring stands alone and is higher than 5 % of the highest."""
    height = intensities / radii
    alone = np.array([np.sum(height[np.abs(radii - r) < 1.5 * fwhm]) for r in radii])
    return radii[(height > 0.05 * height.max()) & (height > 0.9 * alone)]


def zero_model(image: np.ndarray) -> tuple[tuple[float, float], np.ndarray]:
    """Centroid of the intensity, and peaks of the plain radial mean about it."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weight = np.clip(image - np.median(image), 0.0, None)
    center = float((weight * x).sum() / weight.sum()), float((weight * y).sum() / weight.sum())
    bins = np.hypot(x - center[0], y - center[1]).astype(int).ravel()
    mean = np.bincount(bins, image.ravel()) / np.maximum(np.bincount(bins), 1)
    found, _ = signal.find_peaks(mean, prominence=0.02 * np.ptp(mean[20:200]))
    return center, found + 0.5


def ratio_error(found: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Median relative error of the ratios to the first true ring, %, and share found (1 %)."""
    if not len(found):
        return float("nan"), 0.0
    nearest = found[np.abs(found[None, :] / true[:, None] - 1.0).argmin(1)]
    hit = np.abs(nearest / true - 1.0) < 0.01
    if hit.sum() < 2:
        return float("nan"), float(hit.mean())
    ratio = (nearest / true)[hit]
    return float(100.0 * np.median(np.abs(ratio[1:] / ratio[0] - 1.0))), float(hit.mean())


def one_pattern(candidate: Candidate, scene: RingScene, library: list[Candidate]) -> dict:
    """Figures of one simulated pattern, without and with calibration."""
    radii, intensities = expected(candidate)
    image = ring_image(radii, intensities, scene)
    true = resolved(radii, intensities, scene.fwhm_px)
    (zx, zy), zero_radii = zero_model(image)
    x, y = scene.center_px
    began = time.process_time()
    try:
        profile = ring_profile(measurement(image))
    except NotRingsError as error:
        return {"refused": str(error)}
    seconds = time.process_time() - began
    found = np.array([ring.radius_px for ring in profile.sharp])
    error, detected = ratio_error(found, true)
    zero_error, zero_detected = ratio_error(zero_radii, true)
    false = int(np.sum(np.abs(found[:, None] / radii[None, :] - 1.0).min(1) > 0.015))
    geometry = profile.geometry
    figures = {
        "center_error_px": float(np.hypot(geometry.x - x, geometry.y - y)),
        "zero_center_error_px": float(np.hypot(zx - x, zy - y)),
        "ellipticity_error": abs(geometry.ellipticity - scene.ellipticity),
        "ratio_error_percent": error,
        "zero_ratio_error_percent": zero_error,
        "detected": detected,
        "zero_detected": zero_detected,
        "false_rings": false,
        "seconds": seconds,
    }
    for label, scale in (("unknown", None), ("known", 1.01 * SCALE)):
        scaled = calibrated(profile, scale) if scale else profile
        figures[label] = answer(scaled, candidate.id, library)
    return figures


def answer(profile: RingProfile, true: str, library: list[Candidate]) -> dict:
    """What the rings are said to be."""
    began = time.process_time()
    evidence = ring_evidence(profile, library)
    return {
        "true_in_class": true in evidence.tied,
        "class_size": len(evidence.tied),
        "first": evidence.candidates[0].id,
        "observable": evidence.of(true).observable,
        "seconds": time.process_time() - began,
    }


def bismuth(folder: Path, library: list[Candidate]) -> dict:
    """The real bismuth pattern against 1 : sqrt 3 : 2 : sqrt 7, uncalibrated."""
    from xtalfuse.loaders import load

    figures = {}
    for path in sorted((folder / "tem" / "diffraction").glob("*.dm?")):
        loaded = load(path)
        profile = ring_profile(loaded)
        wanted = np.sqrt([1.0, 3.0, 4.0, 7.0])
        found = np.array([profile.ratios[np.abs(profile.ratios - w).argmin()] for w in wanted])
        _, zero_radii = zero_model(np.asarray(loaded.values, float))
        zero = zero_radii / zero_radii[np.argmin(np.abs(zero_radii - 39.0))]
        zero = np.array([zero[np.abs(zero - w).argmin()] for w in wanted])
        figures[path.name] = {
            "ratios": [round(float(r), 4) for r in found],
            "largest_ratio_error_percent": float(100 * np.max(np.abs(found / wanted - 1.0))),
            "zero_largest_ratio_error_percent": float(100 * np.max(np.abs(zero / wanted - 1.0))),
            **answer(profile, "bismuth", library),
        }
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--real",
        type=Path,
        default=real_folder(),
        help="folder of real instrument files (default: $XTALFUSE_REAL)",
    )
    parser.add_argument(
        "--phases", nargs="+", choices=PHASES, default=PHASES, help="simulate these only"
    )
    options = parser.parse_args()
    library = library_candidates(builtin())
    by_id = {candidate.id: candidate for candidate in library}
    results: dict[str, dict] = {"bismuth": {}, "simulated": {}}
    if options.real.is_dir():
        results["bismuth"] = bismuth(options.real, library)
    for phase in options.phases:
        for label, scene in SCENES.items():
            results["simulated"][f"{phase}, {label}"] = one_pattern(by_id[phase], scene, library)
    results["summary"] = summary(results["simulated"])
    print(json.dumps(results, indent=1) if options.json else table(results))


def summary(simulated: dict[str, dict]) -> dict:
    """Medians and shares over the simulated patterns."""
    used = [figures for figures in simulated.values() if "refused" not in figures]
    keys = [key for key in used[0] if key not in ("unknown", "known")]
    medians = {key: float(np.nanmedian([figures[key] for figures in used])) for key in keys}
    return medians | {
        "patterns": len(simulated),
        "refused": len(simulated) - len(used),
        "false_rings": sum(figures["false_rings"] for figures in used),
        "true_in_class_unknown": float(np.mean([f["unknown"]["true_in_class"] for f in used])),
        "true_in_class_known": float(np.mean([f["known"]["true_in_class"] for f in used])),
        "class_size_unknown": float(np.median([f["unknown"]["class_size"] for f in used])),
        "class_size_known": float(np.median([f["known"]["class_size"] for f in used])),
        "evidence_seconds": float(np.median([f["unknown"]["seconds"] for f in used])),
    }


def table(results: dict[str, dict]) -> str:
    """The figures as text."""
    lines = []
    for name, figures in results["bismuth"].items():
        lines.append(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
    lines.append(
        f"{'simulated':42} centre px (zero)  ratio % (zero)  found (zero)  class unknown / known"
    )
    for name, f in results["simulated"].items():
        if "refused" in f:
            lines.append(f"{name:42} refused")
            continue
        classes = " / ".join(
            f"{'yes' if f[k]['true_in_class'] else 'NO'} of {f[k]['class_size']}"
            for k in ("unknown", "known")
        )
        lines.append(
            f"{name:42} {f['center_error_px']:6.3f} ({f['zero_center_error_px']:5.1f})   "
            f"{f['ratio_error_percent']:6.3f} ({f['zero_ratio_error_percent']:5.2f})   "
            f"{f['detected']:4.2f} ({f['zero_detected']:4.2f})   {classes}"
        )
    lines += [f"{key}: {value:.4g}" for key, value in results["summary"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
