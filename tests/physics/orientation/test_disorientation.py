"""Orientations: conversions, exact symmetry, disorientation against orix, means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from xtalfuse.physics.orientation.disorientation import (
    LAUE_GROUPS,
    conjugate,
    disorientation,
    disorientation_angle,
    from_axis_angle,
    from_euler,
    from_matrix,
    laue_operators,
    mean_orientation,
    multiply,
    random,
    reduce,
    reduce_direction,
    rotate,
    to_euler,
    to_matrix,
)
from xtalfuse.physics.orientation.laue import A_STAR_TO_A

SETTINGS = (*LAUE_GROUPS, "112/m", "2/m11", "-31m")
ORDER = dict(zip(LAUE_GROUPS, (1, 2, 4, 4, 8, 3, 6, 6, 12, 12, 24), strict=True))
ROUNDING = 1e-13  # some hundred operations in double precision
PAIRS = (("m-3m", "6/mmm"), ("-3m", "m-3m"), ("2/m", "6/m"), ("4/mmm", "mmm"), ("-1", "m-3"))


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def orix_group(laue: str) -> Any:
    """orix's group; its monoclinic one has the axis along z."""
    symmetry = pytest.importorskip("orix.quaternion.symmetry")
    name = "2/m" if laue == "112/m" else laue
    return next(g for g in symmetry._groups if g.name == name)


def in_orix(laue: str) -> str:
    return "112/m" if laue == "2/m" else laue


def same_rotation(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.allclose(np.abs((a * b).sum(axis=-1)), 1.0, atol=ROUNDING))


def any_equivalent(q: np.ndarray, laue: str, generator: np.random.Generator) -> np.ndarray:
    """Each orientation described by another equivalent, and of either sign."""
    operators = laue_operators(laue)
    chosen = operators[generator.integers(len(operators), size=len(q))]
    return generator.choice([-1.0, 1.0], size=(len(q), 1)) * multiply(chosen, q)


def test_product_turns_first_by_the_right_factor():
    a, b = random(50, rng()), random(50, rng())[::-1]
    v = rng().normal(size=(50, 3))
    assert np.allclose(rotate(multiply(a, b), v), rotate(a, rotate(b, v)), atol=ROUNDING)
    assert np.allclose(to_matrix(a) @ to_matrix(b), to_matrix(multiply(a, b)), atol=ROUNDING)
    assert np.allclose(rotate(a, v), (to_matrix(a) @ v[..., None])[..., 0], atol=ROUNDING)


def test_euler_angles_come_back_and_agree_with_orix():
    euler = rng().random((500, 3)) * [2 * np.pi, np.pi, 2 * np.pi]
    q = from_euler(euler)
    assert np.allclose(to_euler(q), euler, atol=1e-12)
    rotation = pytest.importorskip("orix.quaternion").Rotation
    assert same_rotation(q, rotation.from_euler(euler).data)
    assert np.allclose(to_matrix(q), rotation.from_euler(euler).to_matrix(), atol=ROUNDING)


def test_bunge_angles_turn_the_specimen_into_the_crystal_frame():
    # phi1 = 30 degrees: the crystal's x axis lies 30 degrees from the specimen's x towards y
    q = from_euler(np.radians([30.0, 0.0, 0.0]))
    specimen = [np.cos(np.pi / 6), np.sin(np.pi / 6), 0.0]
    assert np.allclose(rotate(q, specimen), [1, 0, 0], atol=ROUNDING)


@pytest.mark.parametrize("phi", [0.0, np.pi])
def test_euler_angles_at_the_poles_give_the_same_rotation(phi):
    q = from_euler([0.7, phi, 0.4])
    euler = to_euler(q)
    assert euler[2] == 0.0
    assert same_rotation(from_euler(euler), q)


def test_matrices_come_back_also_near_half_turns():
    axes = rng().normal(size=(300, 3))
    angles = np.repeat([1e-9, 1.0, np.pi - 1e-9], 100)
    q = from_axis_angle(axes, angles)
    assert same_rotation(from_matrix(to_matrix(q)), q)


@pytest.mark.parametrize("laue", SETTINGS)
def test_operators_are_a_group(laue):
    operators = laue_operators(laue)
    if laue in ORDER:
        assert len(operators) == ORDER[laue]
    assert np.array_equal(operators[0], [1, 0, 0, 0])
    products = multiply(operators[:, None], operators).reshape(-1, 4)
    near = np.abs(products @ operators.T) > 1 - 1e-12
    assert (near.sum(axis=1) == 1).all()


@pytest.mark.parametrize("laue", LAUE_GROUPS)
def test_operators_are_those_of_orix(laue):
    theirs = orix_group(laue).laue_proper_subgroup.data
    ours = laue_operators(in_orix(laue))
    assert len(ours) == len(theirs)
    assert (np.abs(ours @ theirs.T).max(axis=0) > 1 - 1e-12).all()


@pytest.mark.parametrize("laue", LAUE_GROUPS)
def test_disorientation_agrees_with_orix(laue):
    orientation = pytest.importorskip("orix.quaternion").Orientation
    a, b = random(5000, rng()), random(10000, rng())[5000:]
    group = orix_group(laue)
    expected = orientation(a, symmetry=group).angle_with(orientation(b, symmetry=group))
    assert np.abs(disorientation_angle(a, b, in_orix(laue)) - expected).max() < 1e-9


@pytest.mark.parametrize(("laue", "laue_b"), PAIRS)
def test_disorientation_of_two_phases_is_the_smallest_of_all(laue, laue_b):
    a, b = random(200, rng()), random(400, rng())[200:]
    s_a = orix_group(in_orix(laue)).laue_proper_subgroup.data
    s_b = orix_group(in_orix(laue_b)).laue_proper_subgroup.data
    first = multiply(s_a, a[:, None])[:, :, None]
    second = multiply(s_b, b[:, None])[:, None]
    expected = 2.0 * np.arccos(np.abs((first * second).sum(-1)).max(axis=(1, 2)))
    names = in_orix(laue), in_orix(laue_b)
    assert np.abs(disorientation_angle(a, b, *names) - expected).max() < 1e-9
    assert np.abs(disorientation_angle(b, a, *names[::-1]) - expected).max() < 1e-9
    assert np.abs(disorientation(a, b, *names)[0] - expected).max() < 1e-9


@pytest.mark.parametrize("laue", SETTINGS)
def test_equivalents_and_signs_change_nothing(laue):
    generator = rng()
    a, b = random(400, generator), random(400, generator)
    other_a, other_b = (any_equivalent(q, laue, generator) for q in (a, b))
    angle, axis = disorientation(a, b, laue)
    other_angle, other_axis = disorientation(other_a, other_b, laue)
    assert np.abs(disorientation_angle(a, b, laue) - angle).max() < ROUNDING
    assert np.abs(disorientation_angle(other_a, other_b, laue) - angle).max() < ROUNDING
    assert np.abs(other_angle - angle).max() < ROUNDING
    # random pairs have angles of degrees, which cost the axis two digits
    assert np.abs(other_axis - axis).max() < 100 * ROUNDING
    swapped_angle, swapped_axis = disorientation(b, a, laue)
    assert np.abs(swapped_angle - angle).max() < ROUNDING
    assert np.abs(swapped_axis - axis).max() < 100 * ROUNDING


@pytest.mark.parametrize("laue", SETTINGS)
@pytest.mark.parametrize("size", [1e-9, 1e-7, 1e-3])
def test_small_angles_keep_their_digits(laue, size):
    generator = rng()
    a = random(300, generator)
    turn = from_axis_angle(generator.normal(size=(300, 3)), size)
    b = any_equivalent(multiply(turn, a), laue, generator)
    # components of quaternions are rounded to 1e-16, and some of these errors add up
    assert np.abs(disorientation_angle(a, b, laue) - size).max() < 3e-15
    assert np.abs(disorientation(a, b, laue)[0] - size).max() < 3e-15


# largest angles between crystals, degrees: Handscomb (1958), Can. J. Math. 10, 85; Grimmer (1980),
# Acta Cryst. A 36, 382
@pytest.mark.parametrize(
    ("laue", "largest_deg"),
    [("m-3m", 62.799), ("6/mmm", 93.841), ("4/mmm", 98.421), ("-3m", 104.478), ("mmm", 120.0)],
)
def test_largest_angle_is_known(laue, largest_deg):
    angle = np.degrees(disorientation_angle(random(200_000, rng()), [1.0, 0, 0, 0], laue))
    assert angle.max() <= largest_deg + 1e-3
    assert angle.max() > largest_deg - 2.5  # near the corner of the zone there are few


def test_random_cubic_crystals_follow_mackenzie():
    # mean 40.736 degrees, spread 11.3: Mackenzie (1958), Biometrika 45, 229
    angle = np.degrees(disorientation_angle(random(100_000, rng()), [1.0, 0, 0, 0], "m-3m"))
    assert angle.mean() == pytest.approx(40.736, abs=4 * 11.3 / np.sqrt(100_000))


@pytest.mark.parametrize("laue", LAUE_GROUPS)
def test_axis_agrees_with_orix(laue):
    misorientation = pytest.importorskip("orix.quaternion").Misorientation
    a, b = random(50, rng()), random(100, rng())[50:]
    group = orix_group(laue)
    theirs = misorientation(multiply(b, conjugate(a)), symmetry=(group, group)).reduce()
    _, axis = disorientation(a, b, in_orix(laue))
    expected = reduce_direction(theirs.axis.data, in_orix(laue))
    assert np.abs(axis - expected).max() < 1e-9


@pytest.mark.parametrize("laue", SETTINGS)
def test_axis_and_angle_are_an_equivalent_of_the_misorientation(laue):
    a, b = random(200, rng()), random(400, rng())[200:]
    angle, axis = disorientation(a, b, laue)
    operators = laue_operators(laue)
    m = multiply(b, conjugate(a))
    both = np.stack([m, conjugate(m)], axis=1)[:, :, None, None]
    every = multiply(operators[:, None], multiply(both, operators)).reshape(200, -1, 4)
    q = from_axis_angle(axis, angle)[:, None]
    # the axis is reduced by the inversion too, which turns a rotation into its opposite
    assert np.abs(np.abs((every * q).sum(-1)).max(axis=1) - 1.0).max() < ROUNDING


def test_ambiguous_axes_on_the_surface_of_the_zone_are_chosen_once():
    generator = rng()
    # a turn of 45 degrees about z, tilted: its smallest equivalents have different axes
    m = from_axis_angle([[0.0, 0.0, 1.0]], np.pi / 4)
    m = multiply(m, from_axis_angle([[0.6, 0.8, 0.0]], 0.2))
    a = random(300, generator)
    b = any_equivalent(multiply(m, a), "m-3m", generator)
    angle, axis = disorientation(any_equivalent(a, "m-3m", generator), b, "m-3m")
    assert np.ptp(angle) < ROUNDING
    assert np.ptp(axis, axis=0).max() < 100 * ROUNDING


def test_no_rotation_has_an_axis_and_no_nan():
    q = random(20, rng())
    angle, axis = disorientation(q, -q, "6/mmm")
    assert angle.max() < 1e-15
    assert np.array_equal(axis, np.tile([0.0, 0.0, 1.0], (20, 1)))


@pytest.mark.parametrize("laue", SETTINGS)
def test_every_equivalent_reduces_to_one(laue):
    generator = rng()
    q = np.concatenate([random(200, generator), from_euler([[np.pi / 4, 0, 0], [0, np.pi / 2, 0]])])
    reduced = reduce(q, laue)
    assert np.abs(reduce(any_equivalent(q, laue, generator), laue) - reduced).max() < ROUNDING
    identity = np.array([1.0, 0.0, 0.0, 0.0])
    smallest = 2.0 * np.arccos(reduced[:, 0].clip(-1, 1))
    assert np.abs(smallest - disorientation_angle(q, identity, laue)).max() < 1e-7


@pytest.mark.parametrize("laue", SETTINGS)
def test_mean_of_equivalents_of_one_grain(laue):
    generator = rng()
    centre = random(3, generator)
    group = generator.integers(3, size=900)
    # pairs of opposite turns: the mean is exact
    axis, angle = generator.normal(size=(450, 3)), 0.05 * generator.random(450)
    turn = np.concatenate([from_axis_angle(axis, angle), from_axis_angle(axis, -angle)])
    group = np.tile(group[:450], 2)
    q = any_equivalent(multiply(turn, centre[group]), laue, generator)
    mean = mean_orientation(q, laue, group=group)
    assert disorientation_angle(mean, centre, laue).max() < 1e-12
    alone = mean_orientation(q[group == 1], laue)
    assert disorientation_angle(alone, centre[1], laue) < 1e-12


def test_mean_counts_weights():
    a = np.array([1.0, 0.0, 0.0, 0.0])
    b = from_axis_angle([0.0, 0.0, 1.0], 0.1)
    mean = mean_orientation(np.stack([a, b]), "m-3m", weights=np.array([1.0, 3.0]))
    # of two small turns the weighted mean lies on the arc, at three quarters to third order
    assert disorientation_angle(a, mean, "m-3m") == pytest.approx(0.075, abs=1e-4)


@pytest.mark.parametrize("group", [np.array([0, 2]), np.array([], int)])
def test_mean_of_nothing_is_refused(group):
    with pytest.raises(ValueError, match="at least one orientation"):
        mean_orientation(random(len(group), rng()), "mmm", group=group)


def test_mean_without_weight_is_refused():
    with pytest.raises(ValueError, match="positive weight"):
        mean_orientation(random(3, rng()), "mmm", weights=np.zeros(3))


@pytest.mark.parametrize("laue_b", ["m-3m", "6/mmm"])
def test_angle_can_be_differentiated(laue_b):
    # a small turn between crystals is its own disorientation: the slope is 1
    angle = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    turned = from_axis_angle(torch.tensor([[0.3, 0.4, 0.5]] * 2, dtype=torch.float64), angle)
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    disorientation_angle(identity, turned, "m-3m", laue_b).sum().backward()
    assert torch.allclose(angle.grad, torch.ones_like(angle), atol=1e-12)


def test_the_kind_of_array_is_kept():
    q = random(10, rng())
    tensor = torch.from_numpy(q).float()
    angle, axis = disorientation(tensor, tensor.flip(0), "6/mmm")
    assert angle.dtype == axis.dtype == torch.float32
    assert isinstance(disorientation_angle(q, q, "m-3m"), np.ndarray)
    assert disorientation_angle(q.astype(np.float32), q.astype(np.float32), "mmm").dtype == (
        np.float32
    )
    mixed = multiply(laue_operators("mmm"), tensor[:1])
    assert isinstance(mixed, torch.Tensor)
    assert mixed.dtype == torch.float32
    drawn = random(5, torch.Generator().manual_seed(1))
    assert isinstance(drawn, torch.Tensor)
    assert drawn.dtype == torch.float64


def test_shapes_broadcast():
    a, b = random(4, rng())[:, None], random(3, rng())
    assert disorientation_angle(a, b, "m-3m").shape == (4, 3)
    angle, axis = disorientation(a, b, "6/mmm", "m-3m")
    assert angle.shape == (4, 3)
    assert axis.shape == (4, 3, 3)
    assert disorientation_angle(np.empty((0, 4)), b[0], "m-3m").shape == (0,)


def test_a_star_lies_between_the_axes():
    # in the frame of a file with x along a*, that direction is x; in ours its azimuth is 30
    turned = rotate(A_STAR_TO_A, [1.0, 0.0, 0.0])
    assert np.allclose(turned, [np.cos(np.pi / 6), 0.5, 0.0], atol=ROUNDING)


def test_an_unknown_group_names_those_that_there_are():
    with pytest.raises(ValueError, match="m-3m"):
        disorientation_angle([1.0, 0, 0, 0], [1.0, 0, 0, 0], "cubic")
