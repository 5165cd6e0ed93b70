"""Facts of geometry that a graph of grains must state, and the laws it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind, MapPhase
from xtalfuse.physics.grains.graph import GrainGraph, from_labels, from_map

COPPER, PORE = MapPhase("copper", "m-3m"), MapPhase("pore", None, pore=True)


def graph(labels: np.ndarray, **options: object) -> GrainGraph:
    """Of grains without orientation: only the geometry matters."""
    count = int(labels.max()) + 1
    return from_labels(
        labels, np.tile([1.0, 0, 0, 0], (count, 1)), np.zeros(count, int), (PORE,), **options
    )  # type: ignore[arg-type]


def grid(size: int) -> np.ndarray:
    """(size, size, size, 3) centres of the voxels."""
    return np.stack(np.meshgrid(*[np.arange(size) + 0.5] * 3, indexing="ij"), axis=-1)


def voronoi(size: int, count: int, seed: int, dimension: int = 3) -> np.ndarray:
    """Labels of a periodic Voronoi tessellation."""
    from scipy.spatial import cKDTree

    points = grid(size) if dimension == 3 else grid(size)[:, :, :1]
    seeds = np.random.default_rng(seed).uniform(0, size, (count, 3))
    labels = cKDTree(seeds, boxsize=size).query(points)[1]
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def unit_vectors(count: int, seed: int) -> np.ndarray:
    v = np.random.default_rng(seed).normal(size=(count, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def area_inside(normal: np.ndarray, distance: float, size: int) -> float:
    """Area of the part of a plane that is inside a cube, by sampling its projection."""
    main = int(np.argmax(np.abs(normal)))
    others = [a for a in range(3) if a != main]
    u, v = np.meshgrid(*[(np.arange(500) + 0.5) / 500 * size] * 2, indexing="ij")
    height = (distance - normal[others[0]] * u - normal[others[1]] * v) / normal[main]
    return float(((height > 0) & (height < size)).mean() * size**2 / abs(normal[main]))


@pytest.mark.parametrize("radius", [5.0, 8.0, 12.0])
def test_the_area_of_a_sphere(radius: float) -> None:
    # digitising a sphere at random places changes its area by about 0.5 %; faces alone give +50 %
    rng = np.random.default_rng(3)
    for _ in range(4):
        centre = 16.0 + rng.uniform(-0.5, 0.5, 3)
        ball = (np.sum((grid(32) - centre) ** 2, axis=-1) < radius**2).astype(int)
        found = graph(ball)
        assert_allclose(found.area, 4 * np.pi * radius**2, rtol=0.02)
        assert_allclose(found.normal[0], np.eye(3) / 3, atol=0.01)
        assert_allclose(found.centroid[1], centre, atol=0.05)
        assert_allclose(found.shape[1], np.eye(3) * radius**2 / 5, atol=0.05 * radius**2 / 5)


def test_area_and_normal_of_inclined_planes() -> None:
    # where a plane leaves the volume, half a voxel of it is lost: about 1 % at 32 voxels
    for normal in unit_vectors(12, seed=5):
        distance = float(normal @ np.full(3, 16.0))
        found = graph((grid(32) @ normal > distance).astype(int))
        assert_allclose(found.area, area_inside(normal, distance, 32), rtol=0.025)
        values, vectors = np.linalg.eigh(found.normal[0])
        assert values[-1] > 0.99  # one normal only
        assert abs(vectors[:, -1] @ normal) > np.cos(np.radians(1.0))


def test_a_periodic_laminate_is_exact() -> None:
    layers = np.repeat([0, 1, 2, 1], [5, 4, 3, 4])[:, None, None] * np.ones((1, 8, 6), int)
    found = graph(layers, periodic=True, step=(0.5, 2.0, 3.0))
    assert_array_equal(found.edges, [[0, 1], [1, 2]])
    assert_allclose(found.area, 2 * 16.0 * 18.0, rtol=1e-12)  # both sides of a layer
    assert_allclose(found.normal, np.diag([1.0, 0, 0])[None].repeat(2, 0), atol=1e-12)
    assert_allclose(found.size, np.array([5, 8, 3]) * 48 * 3.0)


def test_a_thin_lamella_keeps_both_sides() -> None:
    plate = np.zeros((16, 16, 16), int)
    plate[8] = 1
    assert_allclose(graph(plate).area, 2 * 256.0)


def test_a_box_has_its_moments_exactly() -> None:
    labels = np.full((12, 10, 9), -1)
    labels[2:8, 1:4, 3:7] = 0
    found = graph(labels, step=(1.0, 2.0, 0.5))
    assert_allclose(found.size, 6 * 6.0 * 2.0)
    assert_allclose(found.centroid[0], [5.0, 5.0, 2.5])
    assert_allclose(found.shape[0], np.diag([36.0, 36.0, 4.0]) / 12, atol=1e-12)
    assert not found.on_border[0]


def test_a_grain_across_a_periodic_edge_is_whole() -> None:
    labels = np.zeros((16, 16, 16), int)
    labels[6:10, 6:10, 6:10] = 1
    here = graph(labels, periodic=True)
    for shift in (3, 8, 13):
        there = graph(np.roll(labels, shift, (0, 1, 2)), periodic=True)
        away = there.centroid[1] - here.centroid[1] - shift
        assert_allclose(away - 16 * np.rint(away / 16), 0.0, atol=1e-9)
        assert_allclose(there.shape[1], here.shape[1], atol=1e-9)
    assert not here.on_border.any()
    assert graph(labels).on_border.tolist() == [True, False]


def test_vectors_go_to_the_nearest_image() -> None:
    labels = np.full((20, 4, 4), -1)
    labels[:3], labels[-3:] = 0, 1
    assert_allclose(graph(labels, periodic=True).vectors(), [[-3.0, 0, 0]])
    labels[3:-3] = 2
    assert_allclose(graph(labels).vectors(), [[8.5, 0, 0], [-8.5, 0, 0]])


@pytest.mark.parametrize("axes", [(1, 2, 0), (2, 1, 0), (0, 2, 1)])
def test_no_axis_is_preferred(axes: tuple[int, int, int]) -> None:
    labels = voronoi(24, 30, seed=1)
    one, other = graph(labels, periodic=True), graph(labels.transpose(axes), periodic=True)
    order = list(axes)
    assert_array_equal(one.edges, other.edges)
    assert_allclose(other.area, one.area, rtol=1e-12)
    assert_allclose(other.area.sum(), one.area.sum(), rtol=1e-13)
    assert_allclose(other.normal, one.normal[:, order][:, :, order], atol=1e-12)
    assert_allclose(other.centroid, one.centroid[:, order], atol=1e-9)


def test_turning_over_or_moving_the_volume_changes_nothing() -> None:
    labels = voronoi(24, 30, seed=2)
    one = graph(labels, periodic=True)
    assert_allclose(graph(labels[::-1], periodic=True).area, one.area, rtol=1e-12)
    # areas are summed in blocks of two voxels
    assert_allclose(graph(np.roll(labels, 4, 1), periodic=True).area, one.area, rtol=1e-12)
    moved = graph(np.roll(labels, 3, 1), periodic=True)
    assert abs(moved.area.sum() / one.area.sum() - 1) < 0.005


def test_boundaries_of_a_tessellation_have_the_area_of_its_polygons() -> None:
    from scipy.spatial import Voronoi

    size, count = 48, 40
    seeds = np.random.default_rng(11).uniform(0, size, (count, 3))
    images = np.concatenate([seeds + size * (np.array(s) - 1) for s in np.ndindex(3, 3, 3)])
    cells = Voronoi(images)
    truth: dict[tuple[int, int], float] = {}
    middle = 13 * count
    for (a, b), corners in zip(cells.ridge_points, cells.ridge_vertices, strict=True):
        inside = sum(middle <= p < middle + count for p in (a, b))
        i, j = sorted((a % count, b % count))
        if inside and i != j and -1 not in corners:
            around = cells.vertices[corners]
            parts = np.cross(around[1:-1] - around[0], around[2:] - around[0])
            area = 0.5 * np.linalg.norm(parts.sum(axis=0))
            truth[i, j] = truth.get((i, j), 0.0) + area * inside / 2
    found = graph(voronoi(size, count, seed=11), periodic=True)
    measured = dict(zip(map(tuple, found.edges.T.tolist()), found.area, strict=True))
    large = [pair for pair, area in truth.items() if area > 100]
    error = np.array([measured[pair] / truth[pair] - 1 for pair in large])
    assert len(large) > 80
    # a rim of about half a voxel is uncertain: 4 % of a boundary 14 voxels wide
    assert np.sqrt(np.mean(error**2)) < 0.05
    assert abs(sum(measured.values()) / sum(truth.values()) - 1) < 0.01


@pytest.mark.parametrize("kind", list(GridKind))
def test_boundary_length_in_a_section(kind: GridKind) -> None:
    high = 1.0 if kind is GridKind.SQUARE else np.sqrt(0.75)
    row, column = np.indices((46, 40)).reshape(2, -1)
    points = CrystalMap(
        np.tile([1.0, 0, 0, 0], (len(row), 1)), np.zeros(len(row), int),
        np.stack([0 * row, row, column], axis=1), (PORE,), kind, (1.0, high, 0.0),
    )  # fmt: skip
    away = points.position - points.position.mean(axis=0)
    inside = (np.linalg.norm(away, axis=1) < 10.0).astype(int)
    nodes = np.tile([1.0, 0, 0, 0], (2, 1)), np.zeros(2, int)
    circle = from_map(points, inside, *nodes)
    assert circle.dimension == 2
    assert circle.on_border.tolist() == [True, False]
    assert_allclose(circle.area, 2 * np.pi * 10.0, rtol=0.02)  # digitising a circle: about 0.5 %
    assert_allclose(circle.size[1], np.pi * 100.0, rtol=0.03)
    assert_allclose(circle.shape[1], np.diag([25.0, 25.0, 0.0]), atol=1.0)
    for degrees in range(0, 180, 15):
        normal = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0.0])
        line = from_map(points, (away @ normal > 0.1).astype(int), *nodes)
        assert abs(np.linalg.eigh(line.normal[0])[1][:, -1] @ normal) > np.cos(np.radians(2.0))


def test_a_square_map_and_a_section_of_labels_agree() -> None:
    labels = voronoi(24, 30, seed=4, dimension=2)
    section = graph(labels, step=0.5)
    column, row = np.indices((24, 24)).reshape(2, -1)
    points = CrystalMap(
        np.tile([1.0, 0, 0, 0], (576, 1)), np.zeros(576, int),
        np.stack([0 * row, row, column], axis=1), (PORE,), GridKind.SQUARE, (0.5, 0.5, 0.0),
    )  # fmt: skip
    count = len(section)
    mapped = from_map(
        points, labels.ravel(), np.tile([1.0, 0, 0, 0], (count, 1)), np.zeros(count, int)
    )
    for name in ("size", "edges", "area", "normal", "shape", "on_border"):
        assert_allclose(getattr(mapped, name), getattr(section, name), atol=1e-9, err_msg=name)
    assert_allclose(mapped.centroid + np.array([0.25, 0.25, 0.0]), section.centroid)


def polycrystal(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = voronoi(16, 20, seed)
    count = labels.max() + 1
    q = np.random.default_rng(seed).normal(size=(count, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    phase = (np.arange(count) % 5 == 0).astype(int)
    return labels, q, phase


def test_misorientation_is_of_two_grains_of_one_crystalline_phase() -> None:
    labels, q, phase = polycrystal()
    found = from_labels(labels, q, phase, (COPPER, PORE), periodic=True)
    both = (phase[found.edges] == 0).all(axis=0)
    assert np.isfinite(found.misorientation[both]).all()
    assert (found.misorientation[both] <= np.radians(62.8)).all()  # largest of cubic crystals
    assert_allclose(np.linalg.norm(found.axis[both], axis=1), 1.0)
    assert np.isnan(found.misorientation[~both]).all()


def test_numbering_grains_otherwise_permutes_the_graph_and_nothing_else() -> None:
    labels, q, phase = polycrystal()
    one = from_labels(labels, q, phase, (COPPER, PORE), periodic=True)
    order = np.random.default_rng(1).permutation(len(q))
    new = np.argsort(order)
    other = from_labels(new[labels], q[order], phase[order], (COPPER, PORE), periodic=True)
    expected = one.permuted(order)
    for name in ("orientation", "phase", "size", "centroid", "shape", "on_border"):
        assert_array_equal(getattr(other, name), getattr(expected, name), err_msg=name)
    assert_array_equal(other.edges, expected.edges)
    for name in ("area", "normal", "misorientation", "axis"):
        assert_allclose(getattr(other, name), getattr(expected, name), atol=1e-9, err_msg=name)


def test_tensors_for_a_network() -> None:
    import torch

    labels, q, phase = polycrystal()
    one = from_labels(labels, q, phase, (COPPER, PORE), periodic=True)
    data = one.to_data()
    assert data.validate()
    assert data.num_nodes == len(one)
    assert data.num_edges == 2 * one.edges.shape[1]
    assert data.is_undirected()
    for name, value in data.to_dict().items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert value.dtype == torch.float32, name
            assert value.isfinite().all(), name
    half = one.edges.shape[1]
    assert torch.equal(data.edge_vector[:half], -data.edge_vector[half:])
    assert data.edge_oriented.sum() == 2 * np.isfinite(one.misorientation).sum()


def test_one_grain_has_no_boundary() -> None:
    found = graph(np.zeros((4, 4, 4), int), periodic=True)
    assert found.edges.shape == (2, 0)
    assert found.normal.shape == (0, 3, 3)
    assert found.to_data().num_edges == 0


def test_labels_that_make_no_graph_are_refused() -> None:
    labels = np.zeros((4, 4, 4), int)
    labels[0] = 2
    with pytest.raises(ValueError, match="no point has label 1"):
        graph(labels)
    with pytest.raises(ValueError, match="integers"):
        graph(np.zeros((4, 4, 4)) + 0.5)
    with pytest.raises(ValueError, match="one of each per grain"):
        from_labels(np.zeros((2, 2, 2), int), np.zeros((2, 4)), np.zeros(2, int), (COPPER,))
    with pytest.raises(ValueError, match="positions in 1 phases"):
        from_labels(np.zeros((2, 2, 2), int), np.eye(4)[:1], np.ones(1, int), (COPPER,))


def test_a_stack_needs_the_distance_of_its_sections() -> None:
    index = np.indices((2, 4, 4)).reshape(3, -1).T
    points = CrystalMap(
        np.tile([1.0, 0, 0, 0], (32, 1)), np.zeros(32, int), index, (PORE,), GridKind.SQUARE,
        (1.0, 1.0, 0.0),
    )  # fmt: skip
    with pytest.raises(ValueError, match="distance"):
        from_map(points, np.zeros(32, int), np.eye(4)[:1], np.zeros(1, int))
    with pytest.raises(ValueError, match="32 points"):
        from_map(points, np.zeros(31, int), np.eye(4)[:1], np.zeros(1, int))


def test_diameter_is_that_of_circle_or_sphere() -> None:
    ball = graph(np.zeros((2, 2, 2), int), step=1.0)
    assert_allclose(ball.diameter, np.cbrt(6 * 8 / np.pi))
    assert_allclose(replace(ball, dimension=2).diameter, 2 * np.sqrt(8 / np.pi))
