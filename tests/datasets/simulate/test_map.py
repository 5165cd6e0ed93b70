"""Simulated maps show what they say they show."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi, sin, sqrt

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from xtalfuse.datasets.simulate.map import MapSpec, simulate_map
from xtalfuse.datasets.simulate.polycrystal import CUBIC, PhaseSpec, PolycrystalSpec, polycrystal
from xtalfuse.datasets.simulate.pores import PorePlace, PoreSpec
from xtalfuse.physics.grains.crystal_map import NOT_INDEXED, GridKind, MapPhase
from xtalfuse.physics.orientation.disorientation import disorientation_angle

BODY = PolycrystalSpec(shape=(32, 32, 12), grains=40)
PERFECT = MapSpec(
    BODY, noise_deg=0.0, gradient_deg=0.0, not_indexed=0.0, not_indexed_at_boundary=0.0,
    misindexed=0.0,
)  # fmt: skip


def error_deg(seen, laue: str = "m-3m") -> np.ndarray:
    at = seen.crystal_map.phase != NOT_INDEXED
    angle = disorientation_angle(seen.crystal_map.orientation[at], seen.orientation[at], laue)
    return np.degrees(angle)


@pytest.mark.parametrize("grid", GridKind)
def test_a_perfect_map_is_the_section(grid):
    seen = simulate_map(3, 1, replace(PERFECT, grid=grid))
    assert error_deg(seen).max() < 1e-6
    np.testing.assert_array_equal(seen.crystal_map.phase, 0)
    body = polycrystal(3, 1, BODY)
    x, y, _ = np.floor(seen.crystal_map.position).astype(int).T
    same = seen.label == body.labels[x % 32, y % 32, 6]
    # the map follows the cells, the volume their voxels: they differ on boundaries only
    assert same.mean() > 0.85


@pytest.mark.parametrize("grid", GridKind)
def test_points_lie_on_their_grid(grid):
    crystal_map = simulate_map(3, 1, replace(PERFECT, grid=grid, step_um=0.8)).crystal_map
    position, (i, j) = crystal_map.position, crystal_map.pairs()
    distance = np.linalg.norm(position[i] - position[j], axis=1)
    np.testing.assert_allclose(distance, 0.8)
    assert position[:, :2].max() < 32.5
    rows = 32 / (0.8 * (sqrt(0.75) if grid is GridKind.HEXAGONAL else 1.0))
    assert crystal_map.shape == (1, int(rows + 1e-9), 40)


def test_true_regions_are_connected_and_of_one_grain():
    seen = simulate_map(3, 2, PERFECT)
    i, j = seen.crystal_map.pairs()
    np.testing.assert_array_equal(seen.label[i] == seen.label[j], seen.grain[i] == seen.grain[j])
    within = seen.grain[i] == seen.grain[j]
    n = len(seen.grain)
    links = sparse.coo_array((np.ones(within.sum()), (i[within], j[within])), (n, n))
    assert connected_components(links)[0] == seen.grain.max() + 1


def test_it_is_a_function_of_seed_and_index():
    spec = MapSpec(BODY)
    first, again, other = (simulate_map(3, index, spec) for index in (5, 5, 6))
    np.testing.assert_array_equal(first.crystal_map.orientation, again.crystal_map.orientation)
    np.testing.assert_array_equal(first.grain, again.grain)
    assert (first.label != other.label).any()
    calm = simulate_map(3, 5, replace(spec, noise_deg=0.0))
    np.testing.assert_array_equal(calm.crystal_map.phase, first.crystal_map.phase)


def test_noise_has_the_wanted_size():
    error = error_deg(simulate_map(3, 1, replace(PERFECT, noise_deg=0.5)))
    assert np.sqrt(np.mean(error**2)) == pytest.approx(0.5, rel=4 / sqrt(6 * len(error)))


def test_lattices_bend_from_end_to_end():
    seen = simulate_map(3, 1, replace(PERFECT, gradient_deg=3.0))
    turn = np.degrees(
        disorientation_angle(seen.orientation, seen.polycrystal.orientation[seen.label], "m-3m")
    )
    size = np.bincount(seen.grain)
    widest = max(
        np.degrees(disorientation_angle(q[:, None], q, "m-3m")).max()
        for q in (seen.orientation[seen.grain == g] for g in np.argsort(-size)[:5])
    )
    assert widest == pytest.approx(3.0, rel=0.25)  # grains are not quite ellipses
    assert 0.3 < turn.mean() < 1.5


def test_boundaries_are_less_often_indexed_and_darker():
    seen = simulate_map(3, 1, replace(PERFECT, not_indexed=0.02, not_indexed_at_boundary=0.5))
    i, j = seen.crystal_map.pairs()
    edge = np.zeros(len(seen.grain), bool)
    across = seen.grain[i] != seen.grain[j]
    edge[i[across]] = edge[j[across]] = True
    lost = seen.crystal_map.phase == NOT_INDEXED
    assert lost[edge].mean() > 0.3
    far = simulate_map(3, 1, replace(PERFECT, not_indexed=0.02)).crystal_map.phase == NOT_INDEXED
    assert far.mean() == pytest.approx(0.02, abs=4 * sqrt(0.02 / len(far)))
    np.testing.assert_array_equal(seen.crystal_map.orientation[lost][:, 1:], 0.0)
    contrast = seen.crystal_map.quality["band_contrast"]
    assert contrast[edge].mean() < 0.8 * contrast[~edge].mean()
    assert contrast.min() >= 0.0
    assert contrast.max() <= 255.0


def test_misindexed_and_pseudo_symmetric_points():
    wrong = simulate_map(3, 1, replace(PERFECT, misindexed=0.1))
    assert (error_deg(wrong) > 1).mean() == pytest.approx(0.1, abs=0.02)
    hexagonal = replace(BODY, phases=(PhaseSpec(MapPhase("ice", "6/mmm")),))
    turn = (cos(pi / 12), 0.0, 0.0, sin(pi / 12))
    spec = replace(PERFECT, polycrystal=hexagonal, pseudo_symmetry=(turn,), pseudo_fraction=0.2)
    error = error_deg(simulate_map(3, 1, spec), "6/mmm")
    assert (error > 1).mean() == pytest.approx(0.2, abs=0.03)
    np.testing.assert_allclose(error[error > 1], 30.0, atol=1e-6)


def test_pores_and_glass_are_never_indexed():
    phases = (PhaseSpec(CUBIC, 0.8), PhaseSpec(MapPhase("glass", None), 0.2))
    body = replace(BODY, phases=phases, pores=PoreSpec(0.05, 2.0, PorePlace.TRIPLE_LINE))
    seen = simulate_map(3, 1, replace(PERFECT, polycrystal=body, misindexed=0.1))
    np.testing.assert_array_equal(seen.crystal_map.phase[seen.phase > 0], NOT_INDEXED)
    assert {0, 1, 2} == set(seen.phase)
    assert set(seen.crystal_map.phase) == {NOT_INDEXED, 0}
    dark = seen.crystal_map.quality["band_contrast"][seen.phase > 0]
    assert dark.max() < 80


def test_serial_sections_follow_the_volume_and_miss_it_when_shifted():
    spec = replace(PERFECT, sections=5, step_um=1.0)
    stack = simulate_map(3, 1, spec)
    assert stack.crystal_map.shape == (5, 32, 32)
    label = stack.label.reshape(5, 32, 32)
    depth = (label[1:] == label[:-1]).mean()
    assert depth > 0.7
    shifted = simulate_map(3, 1, replace(spec, shift_um=3.0, tilt_deg=1.0))
    moved = shifted.label.reshape(5, 32, 32)
    assert (moved[1:] == moved[:-1]).mean() < depth - 0.1
    fixed = shifted.polycrystal.orientation[shifted.label]
    turn = np.degrees(disorientation_angle(shifted.orientation, fixed, "m-3m")).reshape(5, -1)
    np.testing.assert_allclose(turn, turn[:, :1] * np.ones(1024), atol=1e-6)
    assert 0.2 < np.sqrt((turn[:, 0] ** 2).mean()) < 2.0  # five draws of 1 degree


def test_a_step_larger_than_the_body_is_refused():
    with pytest.raises(ValueError, match="no point"):
        simulate_map(3, 1, replace(PERFECT, step_um=50.0))
