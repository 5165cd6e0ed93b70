"""Textures: how the crystals of a specimen are turned.

Specimen axes are x, y, z: of a sheet the rolling, transverse and normal direction. Directions
of crystals are Cartesian, z along c and x along a; of cubic crystals they are [uvw]. Spread is
that of the de la Vallee Poussin kernel, the density ``cos(angle / 2) ** (2 kappa)`` of
rotations, with a half-width at which the density is half of its maximum (Schaeben, 1997, phys.
stat. sol. (b) 200, 367).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, log, radians, sin, sqrt
from typing import Protocol

import numpy as np

from xtalfuse.physics.orientation.quaternion import from_axis_angle, from_matrix, multiply
from xtalfuse.physics.orientation.quaternion import random as random_rotations

Direction = tuple[float, float, float]

# a sheet looks the same after half a turn about each of its axes
ORTHORHOMBIC = np.eye(4)


class Texture(Protocol):
    """What draws orientations."""

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 4) unit quaternions, specimen -> crystal."""
        ...


def kappa(half_width_deg: float) -> float:
    """Exponent of the de la Vallee Poussin kernel of this half-width.

    Raises
    ------
    ValueError
        If the half-width does not lie between 0 and 120 degrees.
    """
    if not 0.0 < half_width_deg < 120.0:
        raise ValueError(f"half-width {half_width_deg} degrees; it must lie between 0 and 120")
    return -log(2.0) / (2.0 * log(cos(0.5 * radians(half_width_deg))))


def spread(n: int, half_width_deg: float, rng: np.random.Generator) -> np.ndarray:
    """(n, 4) rotations about random axes, with the angles of the de la Vallee Poussin kernel.

    Rotations of one angle have the volume sin^2(angle / 2), so that cos^2(angle / 2) is
    distributed as Beta(kappa + 1/2, 3/2).

    Parameters
    ----------
    n : number of rotations
    half_width_deg : of the kernel, degrees
    rng : source of chance
    """
    cosine = np.sqrt(rng.beta(kappa(half_width_deg) + 0.5, 1.5, n))
    axis = rng.normal(size=(n, 3))
    axis *= (np.sqrt(1.0 - cosine**2) / np.linalg.norm(axis, axis=1))[:, None]
    return np.column_stack([cosine, axis])


@dataclass(frozen=True)
class RandomTexture:
    """Every orientation is equally likely."""

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 4) unit quaternions, specimen -> crystal."""
        return random_rotations(n, rng)


@dataclass(frozen=True)
class Fibre:
    """A direction of the crystals along one of the specimen; any turn about it.

    Parameters
    ----------
    crystal, specimen : the directions, of any length
    half_width_deg : of the spread
    """

    crystal: Direction
    specimen: Direction = (0.0, 0.0, 1.0)
    half_width_deg: float = 10.0

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 4) unit quaternions, specimen -> crystal."""
        along = np.asarray(self.specimen, float)
        turn = from_axis_angle(np.tile(along, (n, 1)), 2.0 * np.pi * rng.random(n))
        ideal = multiply(shortest_turn(self.specimen, self.crystal), turn)
        return multiply(spread(n, self.half_width_deg, rng), ideal)


@dataclass(frozen=True)
class Ideal:
    """Crystals spread about one orientation and its images by the symmetry of a sheet.

    Parameters
    ----------
    orientation : unit quaternion, specimen -> crystal
    half_width_deg : of the spread
    sheet : whether half turns about x, y and z give equally likely orientations
    """

    orientation: tuple[float, float, float, float]
    half_width_deg: float = 10.0
    sheet: bool = True

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 4) unit quaternions, specimen -> crystal."""
        image = ORTHORHOMBIC[rng.integers(4, size=n) * self.sheet]
        return multiply(
            spread(n, self.half_width_deg, rng), multiply(np.array(self.orientation), image)
        )


@dataclass(frozen=True)
class Mixture:
    """Several textures, each with its share of the grains.

    Parameters
    ----------
    parts : (weight, texture); only the ratios of the weights count
    """

    parts: tuple[tuple[float, Texture], ...]

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 4) unit quaternions, specimen -> crystal."""
        weight = np.array([weight for weight, _ in self.parts], float)
        chosen = rng.choice(len(weight), n, p=weight / weight.sum())
        drawn = np.stack([texture.sample(n, rng) for _, texture in self.parts])
        return drawn[chosen, np.arange(n)]


def shortest_turn(start: Direction, end: Direction) -> np.ndarray:
    """(4,) the shortest rotation that turns one direction into another."""
    a, b = (np.asarray(v, float) / np.linalg.norm(v) for v in (start, end))
    w = 1.0 + a @ b
    if w < 1e-12:  # half a turn, about any axis across
        across = np.cross(a, np.eye(3)[np.abs(a).argmin()])
        return np.append(0.0, across / np.linalg.norm(across))
    q = np.append(w, np.cross(a, b))
    return q / np.linalg.norm(q)


def miller(plane: Direction, direction: Direction) -> tuple[float, float, float, float]:
    """Orientation {plane}<direction> of a sheet: plane normal along z, direction along x.

    Raises
    ------
    ValueError
        If the direction does not lie in the plane.
    """
    normal, along = (np.asarray(v, float) / np.linalg.norm(v) for v in (plane, direction))
    if abs(normal @ along) > 1e-9:
        raise ValueError(f"direction {direction} does not lie in the plane {plane}")
    matrix = np.stack([along, np.cross(normal, along), normal], axis=1)
    w, x, y, z = from_matrix(matrix)
    return float(w), float(x), float(y), float(z)


# Humphreys & Hatherly (2004), Recrystallization and Related Annealing Phenomena, chapter 3
SHEET_COMPONENTS: dict[str, tuple[Direction, Direction]] = {
    "cube": ((0, 0, 1), (1, 0, 0)), "goss": ((0, 1, 1), (1, 0, 0)),
    "copper": ((1, 1, 2), (1, 1, -1)), "s": ((1, 2, 3), (6, 3, -4)),
    "brass": ((0, 1, 1), (2, 1, -1)),
}  # fmt: skip


def sheet(weights: dict[str, float], half_width_deg: float = 10.0, random: float = 0.0) -> Mixture:
    """Texture of a cubic sheet.

    Parameters
    ----------
    weights : of `SHEET_COMPONENTS`
    half_width_deg : of the spread
    random : weight of grains without texture

    Raises
    ------
    ValueError
        If a component is not known; the message lists those there are.
    """
    unknown = sorted(set(weights) - set(SHEET_COMPONENTS))
    if unknown:
        raise ValueError(f"no sheet component {unknown}; there are {sorted(SHEET_COMPONENTS)}")
    parts: list[tuple[float, Texture]] = [
        (weight, Ideal(miller(*SHEET_COMPONENTS[name]), half_width_deg))
        for name, weight in weights.items()
    ]
    return Mixture((*parts, (random, RandomTexture())))


def rolled_hexagonal(
    tilt_deg: float = 35.0, towards: str = "y", half_width_deg: float = 12.0
) -> Texture:
    """Split basal texture of a hexagonal sheet.

    Titanium and zirconium: c is tilted by 30-40 degrees from the normal towards the transverse
    direction y, <10-10> stays along x. Magnesium and zinc: by 15-25 degrees towards the rolling
    direction x, <11-20> stays along y (Wang & Huang, 2003, Mater. Chem. Phys. 81, 11).

    Parameters
    ----------
    tilt_deg : of c from the normal of the sheet, degrees
    towards : ``"x"`` (rolling) or ``"y"`` (transverse direction)
    half_width_deg : of the spread about the two orientations, degrees

    Raises
    ------
    ValueError
        If `towards` is not x or y.
    """
    if towards not in ("x", "y"):
        raise ValueError(f"c may tilt towards x or y, not {towards!r}")
    tilt = radians(tilt_deg)
    third = np.array([sqrt(3.0) / 2.0, 0.5, 0.0])  # <10-10>, 30 degrees from a
    c_axis = np.array([0.0, 0.0, 1.0])
    if towards == "y":
        x = third
        y0 = np.cross(c_axis, x)
        y, z = cos(tilt) * y0 + sin(tilt) * c_axis, cos(tilt) * c_axis - sin(tilt) * y0
    else:
        y = np.array([1.0, 0.0, 0.0])
        x0 = np.cross(y, c_axis)
        x, z = cos(tilt) * x0 + sin(tilt) * c_axis, cos(tilt) * c_axis - sin(tilt) * x0
    w, i, j, k = from_matrix(np.stack([x, y, z], axis=1))
    return Ideal((float(w), float(i), float(j), float(k)), half_width_deg)
