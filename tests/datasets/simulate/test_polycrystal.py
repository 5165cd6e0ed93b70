"""Synthetic polycrystals are what was asked for, and the same whenever they are made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.datasets.simulate.polycrystal import CUBIC, PhaseSpec, PolycrystalSpec, polycrystal
from xtalfuse.datasets.simulate.pores import PorePlace, PoreSpec
from xtalfuse.datasets.simulate.power_diagram import grid_points, label_grid, nearest_cell
from xtalfuse.datasets.simulate.texture import Fibre
from xtalfuse.physics.grains.crystal_map import MapPhase

SPEC = PolycrystalSpec(shape=(24, 24, 24), grains=40)
TWO = (PhaseSpec(CUBIC, 0.7), PhaseSpec(MapPhase("glass", None), 0.3))


def spread(sizes: np.ndarray) -> float:
    return float(sizes.std() / sizes.mean())


@pytest.mark.parametrize("box", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.5)])
@pytest.mark.parametrize("width", [0.0, 0.6])
def test_every_voxel_belongs_to_the_seed_of_least_power(box, width):
    rng = np.random.default_rng(3)
    box, shape = np.array(box), (16, 12, 8)
    seeds = rng.random((60, 3)) * box
    weights = (0.15 * rng.lognormal(0.0, width, 60)) ** 2
    apart = grid_points(shape, box)[:, None] - seeds
    apart -= box * np.rint(apart / box)
    power = (apart**2).sum(axis=-1) - weights
    least = power.min(axis=1)
    for found in (
        label_grid(seeds, weights, shape, box).ravel(),
        nearest_cell(seeds, weights, grid_points(shape, box), box),
    ):
        # seeds as near as rounding can tell may be exchanged
        np.testing.assert_allclose(power[np.arange(len(least)), found], least, atol=1e-12)


def test_it_is_a_function_of_seed_and_index():
    first = polycrystal(7, 3, SPEC)
    polycrystal(7, 4, SPEC)
    again = polycrystal(7, 3, SPEC)
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.orientation, again.orientation)
    for other in (polycrystal(7, 4, SPEC), polycrystal(8, 3, SPEC)):
        assert (first.labels != other.labels).mean() > 0.5
    textured = polycrystal(7, 3, replace(SPEC, phases=(PhaseSpec(texture=Fibre((1, 1, 1))),)))
    np.testing.assert_array_equal(first.labels, textured.labels)


@pytest.mark.parametrize("cv", [0.1, 0.3, 0.5])
def test_grains_have_the_wanted_spread_of_size(cv):
    grains = polycrystal(1, 0, replace(SPEC, cv=cv))
    assert len(grains.phase) == 40
    assert grains.voxels.min() > 0
    # volumes are met to a hundredth of their mean, 3 of 346 voxels
    assert spread(grains.diameter_um) == pytest.approx(cv, abs=0.01)


def test_voronoi_grains_spread_as_random_points_do():
    spec = PolycrystalSpec(shape=(40, 40, 40), grains=250, cv=None)
    volumes = np.concatenate([polycrystal(2, i, spec).voxels for i in range(4)])
    # Kumar, Kurtz, Banavar & Sharma (1992), J. Stat. Phys. 67, 523: 0.423; standard error of
    # 1000 cells 0.01
    assert spread(volumes) == pytest.approx(0.423, abs=0.03)


def test_aspect_stretches_the_grains():
    long = polycrystal(1, 0, replace(SPEC, aspect=(1.0, 1.0, 2.5)))
    variance = np.zeros(3)
    for axis in range(3):
        place = np.indices(long.labels.shape)[axis].ravel()
        angle = 2j * np.pi * place / 24
        mean = np.bincount(long.labels.ravel(), np.exp(angle).real) + 1j * np.bincount(
            long.labels.ravel(), np.exp(angle).imag
        )
        length = np.abs(mean) / long.voxels
        variance[axis] = np.average(-2 * np.log(length), weights=long.voxels)  # circular
    ratio = np.sqrt(variance[2] / variance[:2].mean())
    assert ratio == pytest.approx(2.5, rel=0.15)  # 40 grains, 5 voxels across


@pytest.mark.parametrize("clustering", [0.0, 1.0])
def test_phases_have_their_fractions(clustering):
    mixed = polycrystal(1, 0, replace(SPEC, phases=TWO, clustering=clustering))
    fraction = (mixed.phase[mixed.labels] == 1).mean()
    assert fraction == pytest.approx(0.3, abs=0.5 * mixed.voxels.max() / mixed.labels.size)
    glass = mixed.orientation[mixed.phase == 1]
    np.testing.assert_array_equal(glass, np.tile([1.0, 0, 0, 0], (len(glass), 1)))


def test_clustered_phases_touch_less():
    def contact(clustering: float) -> float:
        total = 0.0
        for index in range(5):
            spec = replace(SPEC, grains=250, phases=TWO, clustering=clustering, cv=0.2)
            mixed = polycrystal(1, index, spec)
            phase = mixed.phase[mixed.labels]
            total += sum((phase != np.roll(phase, 1, axis)).mean() for axis in range(3))
        return total

    assert contact(1.0) < 0.8 * contact(0.0)


@pytest.mark.parametrize("place", PorePlace)
def test_pores_take_their_share_of_the_volume(place):
    spec = replace(SPEC, grains=12, pores=PoreSpec(0.04, 2.2, place))
    porous = polycrystal(1, 0, spec)
    solid = polycrystal(1, 0, replace(spec, pores=None))
    pore = porous.phases[porous.phase[porous.labels].max()]
    assert pore.pore
    inside = porous.phase[porous.labels] == 1
    assert inside.sum() == round(0.04 * 24**3)
    assert porous.voxels.min() > 0
    meets = [len(np.unique(solid.labels[porous.labels == p])) for p in np.flatnonzero(porous.phase)]
    assert max(meets) == 1 if place is PorePlace.GRAIN else np.mean(meets) > 2


def test_pores_without_room_are_refused():
    with pytest.raises(ValueError, match="found no place"):
        polycrystal(1, 0, replace(SPEC, pores=PoreSpec(0.3, 4.0)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"grains": 5000}, "holds 1 to"),
        ({"grains": 1000, "cv": 0.8}, "cannot spread"),
        ({"aspect": (1.0, 0.0, 1.0)}, "positive"),
        ({"phases": ()}, "at least one phase"),
    ],
)
def test_impossible_wishes_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        polycrystal(1, 0, replace(SPEC, **wrong))


def test_one_grain_and_one_layer():
    single = polycrystal(1, 0, replace(SPEC, grains=1, cv=0.0))
    assert not single.labels.any()
    flat = polycrystal(1, 0, PolycrystalSpec(shape=(48, 48, 1), grains=60, cv=0.3))
    assert len(np.unique(flat.labels)) == 60


def test_the_graph_has_all_grains_and_all_volume():
    grains = polycrystal(1, 0, SPEC)
    graph = grains.graph()
    assert graph.size.sum() == pytest.approx(24**3)
    assert 10 < 2 * len(graph.area) / 40 < 18  # faces per grain of space-filling cells


def test_cells_give_the_labels_between_the_voxels():
    spec = replace(SPEC, step_um=2.0, aspect=(1.0, 2.0, 1.0), pores=PoreSpec(0.03, 2.0))
    grains = polycrystal(1, 0, spec)
    centres = (np.stack(np.indices(grains.labels.shape), axis=-1).reshape(-1, 3) + 0.5) * 2.0
    # a grain smaller than a voxel may have been given one
    assert (grains.at(centres) == grains.labels.ravel()).mean() > 0.9999
    np.testing.assert_array_equal(grains.at(centres + 48.0), grains.at(centres))
