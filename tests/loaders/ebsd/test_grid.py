"""Places of points from positions as files print them."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError
from xtalfuse.loaders.ebsd.grid import Declared, declared_places, place
from xtalfuse.physics.grains.crystal_map import GridKind

SQUARE, HEXAGONAL = GridKind.SQUARE, GridKind.HEXAGONAL


def square(rows, columns, step, digits):
    row, column = np.divmod(np.arange(rows * columns), columns)
    return row, column, np.round(column * step, digits), np.round(row * step, digits)


@pytest.mark.parametrize(
    ("step", "digits"), [(0.5, 5), (1 / 3, 2), (0.0333, 2), (0.00192, 4), (7.0, 0), (0.123456, 5)]
)
@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (60, 80), (3, 700)])
def test_rounded_positions_find_their_places(shape, step, digits):
    row, column, x, y = square(*shape, step, digits)
    found = place("map", x, y, Declared(SQUARE, *shape, shape[1], None))
    assert np.array_equal(found.row, row)
    assert np.array_equal(found.column, column)
    assert found.grid is SQUARE
    # the step is off by one rounding over the whole length
    for known, count in zip(found.step, (shape[1], shape[0]), strict=True):
        if count > 1:
            assert known == pytest.approx(step, abs=10.0**-digits / (count - 1) + 1e-6 * step)


def test_the_order_of_points_does_not_matter():
    row, column, x, y = square(12, 9, 0.25, 4)
    order = np.random.default_rng(0).permutation(len(x))
    found = place("map", x[order], y[order], None)
    assert np.array_equal(found.row, row[order])
    assert np.array_equal(found.column, column[order])


def test_single_precision_positions_far_from_the_origin():
    row, column, x, y = square(50, 60, 0.07, 9)
    x, y = (x.astype("f4") + np.float32(1000)).astype(float), y.astype("f4").astype(float)
    found = place("map", x, y, None)
    assert np.array_equal(found.row, row)
    assert np.array_equal(found.column, column)


def test_rows_and_columns_that_were_not_measured_are_counted():
    row, column, x, y = square(20, 20, 0.5, 3)
    keep = ~np.isin(row, [3, 4, 11]) & (column != 7)
    found = place("map", x[keep], y[keep], None, complete=True)
    assert np.array_equal(found.row, row[keep])
    assert np.array_equal(found.column, column[keep])


def test_a_point_outside_the_declared_grid_is_refused():
    *_, x, y = square(7, 9, 0.5, 3)
    x[5] = 8.5
    with pytest.raises(UnreadableFileError, match="fill 7 rows of 18 where 7 of 9 are declared"):
        place("map", x, y, Declared(SQUARE, 7, 9, 9, (0.5, 0.5)))


def test_rows_and_columns_declared_the_other_way_round_are_told():
    *_, x, y = square(7, 9, 0.5, 3)
    found = place("map", x, y, Declared(SQUARE, 9, 7, 7, (0.5, 0.5)))
    assert "fill 7 rows of 9 where 9 of 7" in found.notes[0]


def test_a_header_with_another_step_is_told():
    *_, x, y = square(7, 9, 0.5, 3)
    found = place("map", x, y, Declared(SQUARE, 7, 9, 9, (0.25, 0.25)))
    assert found.step == (0.5, 0.5)
    assert "0.5 x 0.5 um apart where the header says 0.25" in found.notes[0]


def test_declared_hexagonal_but_square_is_refused():
    *_, x, y = square(7, 9, 0.5, 3)
    with pytest.raises(UnreadableFileError, match="not shifted"):
        place("map", x, y, Declared(HEXAGONAL, 7, 9, 9, (0.5, 0.433)))


def test_rows_shifted_out_of_turn_are_refused():
    row, _, x, y = square(7, 9, 0.5, 3)
    with pytest.raises(UnreadableFileError, match="not every second one"):
        place("map", x + 0.25 * (row == 4), y, None)


def test_places_without_positions_of_a_hexagonal_grid():
    found = declared_places("map", 13, Declared(HEXAGONAL, 3, 5, 3, (0.2, 0.17)))
    assert np.array_equal(np.bincount(found.row), [5, 3, 5])
    assert np.array_equal(found.column, [0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3, 4])
    with pytest.raises(UnreadableFileError, match="14 points where 13"):
        declared_places("map", 14, Declared(HEXAGONAL, 3, 5, 3, (0.2, 0.17)))
