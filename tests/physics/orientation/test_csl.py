"""Coincidence site lattices: the published table, Brandon's limit, symmetry."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.physics.orientation.csl import NO_CSL, brandon_limit, csl_match, csl_table
from xtalfuse.physics.orientation.disorientation import (
    conjugate,
    from_axis_angle,
    laue_operators,
    multiply,
    random,
)

# Angles in degrees and axes as published: Mykura (1980), in Grain-Boundary Structure and
# Kinetics, ASM, p. 445
PUBLISHED = {
    "3": (60.00, (1, 1, 1)), "5": (36.87, (1, 0, 0)), "7": (38.21, (1, 1, 1)),
    "9": (38.94, (1, 1, 0)), "11": (50.48, (1, 1, 0)), "13a": (22.62, (1, 0, 0)),
    "13b": (27.80, (1, 1, 1)), "15": (48.19, (2, 1, 0)), "17a": (28.07, (1, 0, 0)),
    "17b": (61.93, (2, 2, 1)), "19a": (26.53, (1, 1, 0)), "19b": (46.83, (1, 1, 1)),
    "21a": (21.79, (1, 1, 1)), "21b": (44.42, (2, 1, 1)), "23": (40.46, (3, 1, 1)),
    "25a": (16.26, (1, 0, 0)), "25b": (51.68, (3, 3, 1)), "27a": (31.59, (1, 1, 0)),
    "27b": (35.43, (2, 1, 0)), "29a": (43.60, (1, 0, 0)), "29b": (46.40, (2, 2, 1)),
    "31a": (17.90, (1, 1, 1)), "31b": (52.20, (2, 1, 1)), "33a": (20.05, (1, 1, 0)),
    "33b": (33.56, (3, 1, 1)), "33c": (58.99, (1, 1, 0)), "49a": (43.57, (1, 1, 1)),
    "49b": (43.57, (5, 1, 1)), "49c": (49.23, (3, 2, 2)),
}  # fmt: skip


def test_table_is_the_published_one():
    table = {csl.name: csl for csl in csl_table(49)}
    assert len(table) == 47
    for name, (angle_deg, axis) in PUBLISHED.items():
        assert table[name].axis == axis
        assert np.degrees(table[name].angle) == pytest.approx(angle_deg, abs=0.006)


def test_a_coincidence_rotation_brings_one_of_sigma_points_to_coincidence():
    # sigma is the least common denominator of the rotation matrix: Grimmer (1976), A 32, 783
    from xtalfuse.physics.orientation.disorientation import to_matrix

    for csl in csl_table(49):
        matrix = to_matrix(from_axis_angle(np.array(csl.axis, float), csl.angle)) * csl.sigma
        assert np.abs(matrix - np.rint(matrix)).max() < 1e-10
        assert np.gcd.reduce(np.rint(matrix).astype(int).ravel()) == 1


def test_every_entry_finds_itself_from_any_equivalent():
    generator = np.random.default_rng(6)
    operators = laue_operators("m-3m")
    for position, csl in enumerate(csl_table()):
        q = from_axis_angle(np.array(csl.axis, float), csl.angle)
        first, second = operators[generator.integers(24, size=(2, 20))]
        m = multiply(multiply(first, q), second)
        index, deviation = csl_match(np.concatenate([m, conjugate(m), -m]))
        assert (index == position).all()
        assert deviation.max() < 1e-7  # of the table's own angle, through an arc cosine's range


def test_deviation_is_the_smallest_over_all_equivalents():
    generator = np.random.default_rng(7)
    table, operators = csl_table(), laue_operators("m-3m")
    m = random(3000, generator)
    index, deviation = csl_match(m)
    for position in (0, 1, 3, 7, 20):
        csl = table[position]
        q = from_axis_angle(np.array(csl.axis, float), csl.angle)
        both = np.stack([q, conjugate(q)])
        every = multiply(multiply(operators[:, None, None], both[:, None]), operators)
        rows = index == position
        angle = 2.0 * np.arccos(np.abs(m[rows] @ every.reshape(-1, 4).T).max(axis=1))
        assert np.abs(angle - deviation[rows]).max() < 1e-7
        # and no other is within the limit of this one without a better match
        rest = 2.0 * np.arccos(np.abs(m[index == NO_CSL] @ every.reshape(-1, 4).T).max(axis=1))
        assert rest.min() > brandon_limit(csl.sigma)


def test_twins_are_found_within_brandons_limit_only():
    twin = from_axis_angle([[1.0, 1.0, 1.0]] * 2, np.pi / 3)
    limit = np.degrees(brandon_limit(3))
    assert limit == pytest.approx(8.660, abs=1e-3)
    away = from_axis_angle([[1.0, -1.0, 0.0]] * 2, np.radians([limit - 0.01, limit + 0.01]))
    index, deviation = csl_match(multiply(away, twin), sigma_max=3)
    assert index.tolist() == [0, NO_CSL]
    assert deviation[0] == pytest.approx(np.radians(limit - 0.01), abs=1e-9)
    assert np.isnan(deviation[1])


def test_share_of_twins_among_random_boundaries():
    # 1.76 %: Warrington & Boon (1975), Acta Metall. 23, 599
    index, _ = csl_match(random(100_000, np.random.default_rng(8)), sigma_max=3)
    share = (index == 0).mean()
    assert share == pytest.approx(0.0176, abs=4 * np.sqrt(0.0176 / 100_000))
