"""Grains and the boundaries between them, as a graph: of a section or of a volume.

Pores are grains of a phase without orientation. A graph of a section holds areas and lengths
of boundaries where a graph of a volume holds volumes and areas; everything else is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from xtalfuse.physics.grains.boundary import Faces, boundaries, cell_faces, point_faces, voxel_faces
from xtalfuse.physics.grains.crystal_map import CrystalMap, MapPhase
from xtalfuse.physics.grains.moments import count_points, middle_of, moments, nearest, voxels

if TYPE_CHECKING:
    from torch_geometric.data import Data


@dataclass(frozen=True)
class GrainGraph:
    """Grains of one specimen and the boundaries at which they touch.

    Parameters
    ----------
    orientation : (n, 4) mean orientation of each grain, unit quaternion specimen -> crystal;
        (1, 0, 0, 0) where the phase has none
    phase : (n,) int, position in `phases`
    phases : the phases
    size : (n,) um^2 of a section, um^3 of a volume
    centroid : (n, 3) um; on a periodic grid the grain may reach round the edge
    shape : (n, 3, 3) second central moment of the area or volume, um^2
    edges : (2, m) int, i < j, sorted, each pair of touching grains once
    area : (m,) of the boundary: um of a section, um^2 of a volume
    normal : (m, 3, 3) area-weighted mean of n (x) n, trace 1
    misorientation : (m,) disorientation angle, rad; NaN unless both grains are of one
        crystalline phase
    axis : (m, 3) unit axis of the disorientation in the crystal frame; NaN like the angle
    dimension : 2 or 3
    period : (3,) um, 0 along an axis that does not repeat; None if none does
    on_border : (n,) bool, whether the edge of the map or volume cuts the grain
    """

    orientation: np.ndarray
    phase: np.ndarray
    phases: tuple[MapPhase, ...]
    size: np.ndarray
    centroid: np.ndarray
    shape: np.ndarray
    edges: np.ndarray
    area: np.ndarray
    normal: np.ndarray
    misorientation: np.ndarray
    axis: np.ndarray
    dimension: int
    period: np.ndarray | None
    on_border: np.ndarray

    def __len__(self) -> int:
        """Number of grains."""
        return len(self.size)

    @property
    def diameter(self) -> np.ndarray:
        """(n,) diameter of the circle or sphere of the same size, um."""
        if self.dimension == 2:
            return 2.0 * np.sqrt(self.size / np.pi)
        return np.cbrt(6.0 * self.size / np.pi)

    def vectors(self) -> np.ndarray:
        """(m, 3) from the centroid of grain i to the nearest image of that of grain j, um."""
        away = self.centroid[self.edges[1]] - self.centroid[self.edges[0]]
        return np.stack([nearest(away[:, a], self.period, a) for a in range(3)], axis=1)

    def permuted(self, order: np.ndarray) -> GrainGraph:
        """The same graph with grain ``order[k]`` as number k.

        Parameters
        ----------
        order : (n,) int, a permutation of 0 .. n-1
        """
        new = np.argsort(order)
        edges = np.sort(new[self.edges], axis=0)
        by = np.lexsort(edges[::-1])
        nodes = {name: getattr(self, name)[order] for name in _PER_GRAIN}
        pairs = {name: getattr(self, name)[by] for name in _PER_BOUNDARY}
        return replace(self, edges=edges[:, by], **nodes, **pairs)

    def to_data(self) -> Data:
        """Tensors for PyTorch Geometric, float32; each boundary becomes two directed edges.

        Returns
        -------
        Data with ``pos`` (n, 3), ``orientation`` (n, 4), ``phase`` (n,), ``size`` (n,),
        ``shape`` (n, 3, 3), ``on_border`` (n,); ``edge_index`` (2, 2m), ``edge_vector``
        (2m, 3), ``edge_area`` (2m,), ``edge_normal`` (2m, 3, 3), ``edge_misorientation``
        (2m,) and ``edge_axis`` (2m, 3), which are 0 where ``edge_oriented`` (2m,) is false.
        """
        import torch
        from torch_geometric.data import Data

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.as_tensor(np.asarray(array, np.float32))

        def twice(array: np.ndarray) -> np.ndarray:
            return np.concatenate([array, array])

        known = np.isfinite(self.misorientation)
        return Data(
            pos=tensor(self.centroid),
            orientation=tensor(self.orientation),
            phase=torch.as_tensor(self.phase, dtype=torch.long),
            size=tensor(self.size),
            shape=tensor(self.shape),
            on_border=torch.as_tensor(self.on_border),
            edge_index=torch.as_tensor(
                np.concatenate([self.edges, self.edges[::-1]], axis=1), dtype=torch.long
            ),
            edge_vector=tensor(np.concatenate([self.vectors(), -self.vectors()])),
            edge_area=tensor(twice(self.area)),
            edge_normal=tensor(twice(self.normal)),
            edge_misorientation=tensor(twice(np.where(known, self.misorientation, 0.0))),
            edge_axis=tensor(twice(np.where(known[:, None], self.axis, 0.0))),
            edge_oriented=torch.as_tensor(twice(known)),
            num_nodes=len(self),
        )


_PER_GRAIN = ("orientation", "phase", "size", "centroid", "shape", "on_border")
_PER_BOUNDARY = ("area", "normal", "misorientation", "axis")


def from_labels(
    labels: np.ndarray,
    orientation: np.ndarray,
    phase: np.ndarray,
    phases: tuple[MapPhase, ...],
    step: float | tuple[float, float, float] = 1.0,
    periodic: bool | tuple[bool, bool, bool] = False,
) -> GrainGraph:
    """Graph of the grains of a voxel volume, or of a section that is one voxel thick.

    Parameters
    ----------
    labels : (X, Y, Z) int, number of the grain, 0 .. n-1 without gaps; negative: nothing there
    orientation : (n, 4) unit quaternions, specimen -> crystal
    phase : (n,) int, position in `phases`
    phases : the phases
    step : edge of a voxel, um, of all axes or of each
    periodic : whether the volume repeats, along all axes or along each

    Raises
    ------
    ValueError
        If the labels are not (X, Y, Z) integers 0 .. n-1, or orientations or phases do not
        match them.
    """
    labels = np.asarray(labels)
    if labels.ndim != 3 or labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be (X, Y, Z) integers, not {labels.dtype} {labels.shape}")
    if labels.dtype == np.uint64:  # which numpy counts in no bins
        labels = labels.astype(np.int64)
    steps = np.broadcast_to(np.asarray(step, float), 3)
    repeats = np.broadcast_to(np.asarray(periodic, bool), 3).copy()
    flat = labels.shape[2] == 1
    repeats[2] &= not flat
    if flat:
        steps = np.array([steps[0], steps[1], 0.0])
    count = int(labels.max(initial=-1)) + 1
    _check(count, orientation, phase, phases)

    lengths = np.where(repeats, steps * labels.shape, 0.0)
    period = lengths if repeats.any() else None
    cell = float(np.prod(steps[:2] if flat else steps))
    own = np.diag(steps**2 / 12.0)
    points = count_points(labels, count)
    middle = middle_of(labels, steps, points, period)
    centroid, shape = moments(voxels(labels, steps), points, middle, period)
    return _joined(
        orientation, phase, phases, points * cell, centroid, shape + own,
        faces=voxel_faces(labels, steps, repeats), period=period,
        on_border=_at_border(labels, repeats, count), dimension=2 if flat else 3,
    )  # fmt: skip


def from_map(
    crystal_map: CrystalMap,
    labels: np.ndarray,
    orientation: np.ndarray,
    phase: np.ndarray,
    outside: np.ndarray | None = None,
) -> GrainGraph:
    """Graph of the grains of an orientation map: a section, or a volume of stacked sections.

    Parameters
    ----------
    crystal_map : the points, on a square or hexagonal grid whose rows need not be full
    labels : (p,) int, grain of each point, 0 .. n-1 without gaps; negative: none
    orientation : (n, 4) unit quaternions, specimen -> crystal
    phase : (n,) int, position in the phases of the map
    outside : (p,) bool, points that were not measured: a grain beside one is cut

    Raises
    ------
    ValueError
        If the labels do not match the points, or orientations or phases the labels.
    """
    labels = np.asarray(labels)
    if labels.shape != crystal_map.phase.shape or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be one integer for each of the {len(crystal_map.phase)} points, "
            f"not {labels.dtype} {labels.shape}"
        )
    count = int(labels.max(initial=-1)) + 1
    _check(count, orientation, phase, crystal_map.phases)
    volume = crystal_map.shape[0] > 1
    if volume and not crystal_map.step[2] > 0.0:
        raise ValueError("a stack of sections needs their distance: the third step of the map")
    vectors = cell_faces(crystal_map.grid, crystal_map.step)
    dx, dy, dz = crystal_map.step
    there = labels >= 0
    label, position = labels[there], crystal_map.position[there].T
    own = np.diag([dx**2, dy**2, dz**2]) / 12.0
    points = count_points(labels, count)
    middle = np.stack([np.bincount(label, along, count) for along in position], 1) / points[:, None]
    centroid, shape = moments([(label, position)], points, middle, None)

    pairs = crystal_map.pairs()
    if outside is not None:
        touching = np.bincount(pairs[:, ~outside[pairs].any(axis=0)].ravel(), minlength=len(labels))
    else:
        touching = np.bincount(pairs.ravel(), minlength=len(labels))
    full = len(vectors) if volume else len(vectors) - 2
    cut = np.zeros(count, bool)
    cut[labels[there & (touching < full)]] = True
    return _joined(
        orientation, phase, crystal_map.phases, points * dx * dy * (dz if volume else 1.0),
        centroid, shape + own, faces=point_faces(crystal_map, labels, pairs, vectors),
        period=None, on_border=cut, dimension=3 if volume else 2,
    )  # fmt: skip


def _check(
    count: int, orientation: np.ndarray, phase: np.ndarray, phases: tuple[MapPhase, ...]
) -> None:
    if np.shape(orientation) != (count, 4) or np.shape(phase) != (count,):
        raise ValueError(
            f"{count} grains are labelled, but orientations are {np.shape(orientation)} and "
            f"phases {np.shape(phase)}; give one of each per grain"
        )
    if count and not 0 <= np.min(phase) <= np.max(phase) < len(phases):
        raise ValueError(f"phases {np.unique(phase)} are not positions in {len(phases)} phases")


def _at_border(labels: np.ndarray, repeats: np.ndarray, count: int) -> np.ndarray:
    """(count,) bool: grains with a voxel at an outer face along an axis that does not repeat."""
    cut = np.zeros(count, bool)
    for axis in np.flatnonzero(~repeats):
        if axis == 2 and labels.shape[2] == 1:
            continue
        outer = labels.take([0, -1], axis)
        cut[outer[outer >= 0]] = True
    return cut


def _joined(
    orientation: np.ndarray,
    phase: np.ndarray,
    phases: tuple[MapPhase, ...],
    size: np.ndarray,
    centroid: np.ndarray,
    shape: np.ndarray,
    *,
    faces: Faces,
    **rest: object,
) -> GrainGraph:
    """Grains with their boundaries measured and the disorientation across them."""
    orientation, phase = np.asarray(orientation, float), np.asarray(phase, np.int64)
    edges, area, normal = boundaries(faces)
    angle, axis = _disorientation(orientation, phase, phases, edges)
    return GrainGraph(
        orientation, phase, tuple(phases), size, centroid, shape, edges, area, normal, angle, axis,
        **rest,  # type: ignore[arg-type]
    )  # fmt: skip


def _disorientation(
    orientation: np.ndarray, phase: np.ndarray, phases: tuple[MapPhase, ...], edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Angle (m,) and axis (m, 3) across each boundary inside one crystalline phase, else NaN."""
    angle, axis = np.full(edges.shape[1], np.nan), np.full((edges.shape[1], 3), np.nan)
    one, other = phase[edges]
    for number, each in enumerate(phases):
        inside = np.flatnonzero((one == number) & (other == number))
        if each.laue is None or not len(inside):
            continue
        from xtalfuse.physics.orientation.disorientation import disorientation  # imports torch

        a, b = orientation[edges[:, inside]]
        angle[inside], axis[inside] = disorientation(a, b, each.laue)
    return angle, axis
