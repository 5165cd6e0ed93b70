"""Clipping takes peaks away and leaves what is smooth, whatever stands at the ends."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.encoders.background import Ends, clipped, flattened, restored

POSITION = np.arange(400.0)
SLOPE = 50.0 + 0.2 * POSITION
PEAK = 900.0 * np.exp(-0.5 * ((POSITION - 170.0) / 4.0) ** 2)


@pytest.mark.parametrize("root", [True, False])
def test_the_scale_has_its_inverse(root):
    values = np.array([0.0, 1.0, 1e3, 1e7])
    # the exponential of an exponential loses about four of sixteen digits
    assert restored(flattened(values, root=root), root=root) == pytest.approx(values, rel=1e-10)


@pytest.mark.parametrize("ends", Ends)
def test_a_peak_goes_and_a_slope_stays(ends):
    level = flattened(SLOPE + PEAK, root=True)
    floor = restored(clipped(level, range(30, 0, -1), ends), root=True)
    assert np.all(floor <= SLOPE + PEAK + 1e-9)
    inside = slice(100, 300)  # where the ends have no influence, one distance after another
    # the line is hollow on the scale of clipping, and bridged over the peak
    assert floor[inside] == pytest.approx(SLOPE[inside], rel=0.05)


def test_distances_shorter_than_the_peak_leave_it():
    level = flattened(SLOPE + PEAK, root=True)
    floor = restored(clipped(level, range(2, 0, -1), Ends.KEEP), root=True)
    assert floor[170] > 5.0 * SLOPE[170]


def test_each_point_has_its_own_reach():
    level = flattened(SLOPE + PEAK, root=True)
    reach = np.where(POSITION < 250.0, 0, 30)
    floor = restored(clipped(level, range(30, 0, -1), Ends.REPEAT, reach), root=True)
    assert floor[170] == pytest.approx(SLOPE[170] + PEAK[170])
