"""Grains of an orientation map: where they are, how bent they are, and what lies between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtalfuse.encoders.grains.linking import (
    bridged,
    components,
    joined,
    pair_angles,
    renumbered,
    without_small,
)
from xtalfuse.encoders.grains.map_cleanup import smoothed
from xtalfuse.encoders.grains.twins import twin_boundaries
from xtalfuse.loaders.record import Measurement
from xtalfuse.physics.grains.crystal_map import CrystalMap
from xtalfuse.physics.grains.graph import GrainGraph, from_map

THRESHOLD_DEG = 5.0
MINIMUM_POINTS = 10
HOLE_DEPTH = 3  # points; what is deeper is no gap in the data


@dataclass(frozen=True)
class CleanUp:
    """What was done to a map before its grains were measured, in points of the map.

    Parameters
    ----------
    not_indexed : points without a phase in the file
    small_grains : grains of fewer points than the least, dissolved
    small_points : points in them
    filled : points that were given to a grain around them
    left : points that stay without a grain
    """

    not_indexed: int
    small_grains: int
    small_points: int
    filled: int
    left: int


@dataclass(frozen=True)
class Segmentation:
    """Grains of a map. Grains are numbered in the order in which the map meets them.

    Parameters
    ----------
    crystal_map : the map, as it was given
    grain : (p,) int, grain of each point, ``-1`` where there is none
    graph : grains and boundaries; sizes and lengths hold the points that were filled
    crystal, crystals : the same before twins were merged: what depends on orientation is of these
    points : (n,) number of points of each grain
    kam : (p,) kernel average misorientation, rad: mean disorientation to the first neighbours
        of the same grain, as far as it is below the threshold; NaN where there is none
    grod : (p,) grain reference orientation deviation, rad: disorientation to the mean of the
        grain; NaN at points that were filled
    sigma : (m,) names of the coincidence site lattices of cubic boundaries by Brandon's
        criterion, ``"3"``, ``"27a"``; ``""`` for none
    pairs : (2, k) int, neighbouring points
    pair_angle : (k,) disorientation between them, rad; NaN unless both are of one phase
    threshold_deg : above which two points are of different grains
    twins_merged : whether grains across coherent twin boundaries count as one
    clean_up : what was filled and dissolved
    """

    crystal_map: CrystalMap
    grain: np.ndarray
    graph: GrainGraph
    crystal: np.ndarray
    crystals: GrainGraph
    points: np.ndarray
    kam: np.ndarray
    grod: np.ndarray
    sigma: np.ndarray
    pairs: np.ndarray
    pair_angle: np.ndarray
    threshold_deg: float
    twins_merged: bool
    clean_up: CleanUp

    @property
    def gos(self) -> np.ndarray:
        """(n,) grain orientation spread, rad: mean of `grod`."""
        return self._spread(self.grain)

    @property
    def crystal_gos(self) -> np.ndarray:
        """The same of each of `crystals`."""
        return self._spread(self.crystal)

    def _spread(self, label: np.ndarray) -> np.ndarray:
        known = np.isfinite(self.grod)
        return np.bincount(label[known], self.grod[known]) / np.bincount(label[known])

    def of_grains(self, values: np.ndarray) -> np.ndarray:
        """(n,) mean over the crystals of each grain, by size, of a value (c,) of each crystal."""
        grain = _of_grains(self.crystal, self.grain)
        size = self.crystals.size
        total = np.bincount(grain, np.nan_to_num(values) * size, len(self.graph))
        known = np.bincount(grain, np.isfinite(values) * size, len(self.graph))
        return np.where(known > 0, total / np.where(known > 0, known, 1.0), np.nan)


def encode_map(measurement: Measurement) -> Segmentation:
    """Grains of an orientation map as a file gave it; `segment` has the choices.

    Raises
    ------
    ValueError
        If it is no map, or holds no grain.
    """
    path = measurement.provenance.path
    if measurement.crystal_map is None:
        raise ValueError(f"{path}: {measurement.modality}, not an orientation map")
    try:
        return segment(measurement.crystal_map)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def segment(
    crystal_map: CrystalMap,
    threshold_deg: float = THRESHOLD_DEG,
    *,
    minimum_points: int = MINIMUM_POINTS,
    fill: bool = True,
    hole_depth: int = HOLE_DEPTH,
    smooth: int = 0,
    twins: bool = False,
) -> Segmentation:
    """Find the grains of a map, or of a stack of sections.

    Neighbouring points of one phase belong to one grain if their disorientation is below the
    threshold; so do all points that such pairs link, across holes that are filled too, and
    grains that touch and whose means differ by less: no boundary is below the threshold.

    Parameters
    ----------
    crystal_map : points on a square or hexagonal grid; points that are missing between others
        are taken for points that were not indexed
    threshold_deg : least disorientation of a grain boundary
    minimum_points : grains of fewer points are dissolved
    fill : whether points without a grain take that of most of their neighbours
    hole_depth : the deepest point, counted from the rim of a hole, that is filled
    smooth : how often orientations are averaged with their neighbours of the same grain
        before the search, for maps whose noise comes near the threshold
    twins : whether grains that meet at the boundary of a twin count as one (see `twins`): in
        sizes and counts; the merged grain has the orientation of its largest part, and `grod`
        and `gos` are relative to each part

    Raises
    ------
    ValueError
        If the threshold is not positive or the map holds no grain of that size.

    Notes
    -----
    The threshold and the least size are the choice of the user; ASTM E2627 asks for 5 degrees
    and, of a map made to measure grain size, 100 points in a grain.
    """
    if not threshold_deg > 0.0:
        raise ValueError(f"a threshold of {threshold_deg} degrees makes no grains; give e.g. 5")
    threshold = np.radians(threshold_deg)
    not_indexed = int((crystal_map.phase < 0).sum())
    crystal_map, had = crystal_map.completed()
    pairs = crystal_map.pairs()
    angle = pair_angles(crystal_map, crystal_map.orientation, pairs)
    clear, link_angle = _smoothed(crystal_map, pairs, angle, threshold, smooth)
    linked = components(pairs[:, link_angle < threshold], len(had))
    linked = np.where(crystal_map.phase >= 0, linked, -1)

    def filled(label: np.ndarray) -> np.ndarray:
        if not fill:
            return label
        return bridged(crystal_map, clear, label, pairs, hole_depth, threshold)

    whole = np.where(linked >= 0, filled(renumbered(linked)), -1)
    core, small_grains = without_small(whole, minimum_points)
    if not (core >= 0).any():
        raise ValueError(
            f"no grain of {minimum_points} points at {threshold_deg:g} degrees; lower "
            "minimum_points, or smooth the map"
        )
    measured, part = core >= 0, filled(core)
    outside = ~had & (part < 0)
    part, crystals = _apart(crystal_map, part, measured, outside, threshold)
    core = np.where(measured, part, -1)
    grain, graph = part, crystals
    if twins:
        grain, graph = _merged_twins(crystal_map, part, crystals, outside, threshold)
    return Segmentation(
        crystal_map=crystal_map,
        grain=grain,
        graph=graph,
        crystal=part,
        crystals=crystals,
        points=np.bincount(grain[grain >= 0], minlength=len(graph)),
        kam=_kernel_average(core, pairs, angle, threshold),
        grod=_deviation(crystal_map, core, crystals.orientation),
        sigma=coincidence(graph),
        pairs=pairs,
        pair_angle=angle,
        threshold_deg=float(threshold_deg),
        twins_merged=twins,
        clean_up=CleanUp(
            not_indexed=not_indexed,
            small_grains=small_grains,
            small_points=int(((linked >= 0) & ~measured).sum()),
            filled=int(((part >= 0) & ~measured).sum()),
            left=int((part < 0).sum()),
        ),
    )


def _smoothed(
    crystal_map: CrystalMap, pairs: np.ndarray, angle: np.ndarray, threshold: float, times: int
) -> tuple[np.ndarray, np.ndarray]:
    """Orientations averaged with the neighbours like them, and the angles of pairs of them."""
    orientation = crystal_map.orientation
    laue = tuple(phase.laue for phase in crystal_map.phases)
    for _ in range(times):
        orientation = smoothed(orientation, crystal_map.phase, laue, pairs, threshold)
    return orientation, pair_angles(crystal_map, orientation, pairs) if times else angle


def _apart(
    crystal_map: CrystalMap,
    part: np.ndarray,
    measured: np.ndarray,
    outside: np.ndarray,
    threshold: float,
) -> tuple[np.ndarray, GrainGraph]:
    """Labels and graph in which grains that touch differ by the threshold at least."""
    while True:
        core = np.where(measured, part, -1)
        phase = _of_grains(core, crystal_map.phase)
        mean = _means(crystal_map, core, phase)
        graph = from_map(crystal_map, part, mean, phase, outside)
        low = graph.misorientation < threshold
        if not low.any():
            return part, graph
        part = joined(part, graph.edges[:, low])


def _of_grains(core: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(n,) value of the first point of each grain."""
    names, first = np.unique(core, return_index=True)
    return values[first[names >= 0]]


def _means(crystal_map: CrystalMap, core: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """(n, 4) mean orientation of each grain."""
    from xtalfuse.physics.orientation.disorientation import mean_orientation

    mean = np.tile([1.0, 0.0, 0.0, 0.0], (len(phase), 1))
    for number, about in enumerate(crystal_map.phases):
        grains = np.flatnonzero(phase == number)
        if about.laue is None or not len(grains):
            continue
        inside = np.flatnonzero((core >= 0) & (crystal_map.phase == number))
        group = np.searchsorted(grains, core[inside])
        mean[grains] = mean_orientation(crystal_map.orientation[inside], about.laue, group=group)
    return mean


def _deviation(crystal_map: CrystalMap, core: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(p,) disorientation of each point to the mean of its grain, rad."""
    from xtalfuse.physics.orientation.disorientation import disorientation_angle

    grod = np.full(len(core), np.nan)
    for number, about in enumerate(crystal_map.phases):
        inside = np.flatnonzero((core >= 0) & (crystal_map.phase == number))
        if about.laue is None:
            grod[inside] = 0.0
        elif len(inside):
            a, b = mean[core[inside]], crystal_map.orientation[inside]
            grod[inside] = disorientation_angle(a, b, about.laue)
    return grod


def _kernel_average(
    core: np.ndarray, pairs: np.ndarray, angle: np.ndarray, threshold: float
) -> np.ndarray:
    """(p,) mean disorientation to the neighbours in the same grain, rad."""
    one, other = core[pairs]
    use = (one == other) & (one >= 0) & (angle < threshold)
    ends = pairs[:, use].ravel()
    number = np.bincount(ends, minlength=len(core))
    total = np.bincount(ends, np.tile(angle[use], 2), len(core))
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _merged_twins(
    crystal_map: CrystalMap,
    part: np.ndarray,
    crystals: GrainGraph,
    outside: np.ndarray,
    threshold: float,
) -> tuple[np.ndarray, GrainGraph]:
    """Labels (p,) and graph of grains of which twins are parts; each is as its largest part."""
    links = crystals.edges[:, twin_boundaries(crystals, coincidence(crystals))]
    while True:
        merged = renumbered(components(links, len(crystals)))
        order = np.lexsort((crystals.size, merged))
        main = order[np.append(np.flatnonzero(np.diff(merged[order])), len(order) - 1)]
        grain = np.where(part >= 0, merged[part], -1)
        graph = from_map(
            crystal_map, grain, crystals.orientation[main], crystals.phase[main], outside
        )
        low = graph.misorientation < threshold
        if not low.any():
            return grain, graph
        links = np.concatenate([links, main[graph.edges[:, low]]], axis=1)


def coincidence(graph: GrainGraph) -> np.ndarray:
    """(m,) names of the coincidence site lattices of boundaries in cubic phases, ``""`` for none.

    References
    ----------
    Brandon, D. G. (1966). Acta Metall. 14, 1479.
    """
    from xtalfuse.physics.orientation.csl import CUBIC, NO_CSL, csl_match, csl_table
    from xtalfuse.physics.orientation.disorientation import conjugate, multiply

    names = np.array([csl.name for csl in csl_table()] + [""])
    sigma = np.full(graph.edges.shape[1], "", names.dtype)
    cubic = np.array([phase.laue == CUBIC for phase in graph.phases], bool)
    inside = np.isfinite(graph.misorientation) & cubic[graph.phase[graph.edges[0]]]
    if inside.any():
        a, b = graph.orientation[graph.edges[:, inside]]
        match = csl_match(multiply(b, conjugate(a)))[0]
        sigma[inside] = names[np.where(match == NO_CSL, len(names) - 1, match)]
    return sigma
