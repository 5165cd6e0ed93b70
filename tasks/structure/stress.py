"""Stress in the grains of a map under tension, by homogenization of its points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtalfuse.encoders.grains.map import Segmentation
from xtalfuse.physics.grains.crystal_map import GridKind
from xtalfuse.physics.mechanics.homogenization import ConvergenceError, Homogenized, homogenize

MOST_POINTS = 64**3  # seconds on one core


class NotSolvedError(Exception):
    """The field was not solved for; `worth_saying` where a reader would have expected it."""

    def __init__(self, reason: str, worth_saying: bool) -> None:
        super().__init__(reason)
        self.worth_saying = worth_saying


@dataclass(frozen=True)
class MapSolution:
    """Equilibrium of a map whose points are repeated periodically.

    Parameters
    ----------
    homogenized : with the fields; labels are grains, the last one points without a grain
    place : (p, 3) int, x, y, z of each point in the fields
    """

    homogenized: Homogenized
    place: np.ndarray

    def tension(self, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Stress along an axis under uniaxial mean stress along it, relative to that stress.

        Returns
        -------
        (p,) of each point and (n,) mean of each grain
        """
        found = self.homogenized
        stiffness = np.asarray(found.stiffness, float)
        strain = np.linalg.inv(stiffness)[:, axis]  # per unit of mean stress
        field = np.tensordot(strain, np.asarray(found.stress)[axis], axes=1)
        grains = np.asarray(found.mean_stress, float)[:-1, axis] @ strain
        return field[tuple(self.place.T)], grains


def solve(segmentation: Segmentation, stiffness: np.ndarray, rest: np.ndarray) -> MapSolution:
    """Stress and strain at every point of a map.

    Parameters
    ----------
    segmentation : of a section, whose grains are taken for columns along z, or of a stack
    stiffness : (n, 6, 6) of each grain in the specimen frame, Mandel, GPa
    rest : (6, 6) of points without a grain

    Raises
    ------
    NotSolvedError
        If the map is too large or not on squares, or the solver does not converge.
    """
    points = segmentation.crystal_map
    if points.grid is not GridKind.SQUARE or len(points.index) > MOST_POINTS:
        raise NotSolvedError("points on hexagons, or too many", worth_saying=False)
    place = points.index[:, ::-1]  # x, y, z
    labels = np.full(points.shape[::-1], len(stiffness))
    labels[tuple(place.T)] = np.where(
        segmentation.crystal < 0, len(stiffness), segmentation.crystal
    )
    moduli = np.concatenate([stiffness, rest[None]]).astype(np.float32)
    step = (points.step[0], points.step[1], points.step[2] or points.step[0])
    try:
        return MapSolution(homogenize(labels, moduli, step=step, fields=True), place)
    except ConvergenceError as error:
        raise NotSolvedError(
            f"no stress at the points of the map: the homogenization did not converge: {error}",
            worth_saying=True,
        ) from error
