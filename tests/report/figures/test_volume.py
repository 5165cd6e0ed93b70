"""Figures of volumes: they show what was found, and touch no global state of matplotlib."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.datasets.simulate.ct import ScanSpec, as_measurement, balls, scan
from xtalfuse.encoders.volume.segment import VolumeSegmentation, segment_volume
from xtalfuse.loaders.record import Measurement
from xtalfuse.report.figures import volume as figures
from xtalfuse.report.figures.pattern import png_bytes


@pytest.fixture(scope="module")
def seen() -> tuple[Measurement, VolumeSegmentation]:
    labels, _ = balls(1, 0, (48, 40, 32), fraction=0.3, radius=(4.0, 7.0))
    volume = as_measurement(scan(labels.clip(-1, 0) + 1, ScanSpec(noise=0.1), 1, 0), 0.5)
    return volume, segment_volume(volume)


def test_all_figures_are_drawn_without_pyplot(seen):
    volume, found = seen
    for figure in (
        figures.slices_figure(found, volume.values),
        figures.histogram_figure(found),
        figures.size_figure(found, 1),
    ):
        assert png_bytes(figure, dpi=40).startswith(b"\x89PNG")
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_slices_are_those_asked_for_with_axes_in_place(seen):
    volume, found = seen
    figure = figures.slices_figure(found, volume.values, where=(4, 8, 12))
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == ["xy at z = 2 µm", "xz at y = 4 µm", "yz at x = 6 µm"]
    # x 48, y 40, z 32 voxels of 0.5 um; horizontal, vertical
    assert [axes.get_xlim()[1] for axes in figure.axes[:3]] == [24.0, 24.0, 20.0]
    assert [axes.get_ylim()[1] for axes in figure.axes[:3]] == [20.0, 16.0, 16.0]


def test_pores_are_paper_and_bodies_have_their_own_colours(seen):
    _, found = seen
    colours = figures.body_colours(found, np.arange(len(found)))
    pores = found.label_phase == 0
    np.testing.assert_allclose(colours[pores], [figures.EMPTY] * int(pores.sum()))
    solid = colours[~pores]
    assert len(np.unique(solid.round(4), axis=0)) == len(solid)


def test_outlines_are_where_bodies_meet():
    labels = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    np.testing.assert_array_equal(
        figures.outlines(labels), [[False, True, False], [True, True, True], [False] * 3]
    )


def test_quantiles_are_by_volume():
    # one body of diameter 2 holds as much as eight of diameter 1
    diameters = np.array([1.0] * 8 + [2.0])
    np.testing.assert_allclose(figures.volume_quantiles(diameters), [1.0, 1.0, 2.0])


def test_what_cannot_be_drawn_is_refused(seen):
    volume, found = seen
    with pytest.raises(ValueError, match="differ"):
        figures.slices_figure(found, volume.values[1:])
    mask = as_measurement((volume.values > 100).transpose(2, 1, 0).astype(np.uint8))
    of_labels = segment_volume(replace(mask, value_unit="label"))
    with pytest.raises(ValueError, match="no histogram"):
        figures.histogram_figure(of_labels)
