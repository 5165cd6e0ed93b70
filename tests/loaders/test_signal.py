"""Measurement -> HyperSpy or xarray and back: values, axes, units, calibration, beam."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

import xtalfuse
from xtalfuse.loaders.record import (
    Axis,
    Beam,
    Calibration,
    Instrument,
    Measurement,
    Modality,
    Provenance,
)
from xtalfuse.physics.units import radiation

RNG = np.random.default_rng(4)
SOURCE = Provenance("scan.x", "ab" * 32, "stand-in", {"title": "one"}, ("a warning",))


def pattern() -> Measurement:
    counts = RNG.poisson(100.0, 60).astype(float)
    axis = Axis("two_theta", "deg", np.linspace(10.0, 70.0, 60) ** 1.01)  # not even
    return Measurement(
        Modality.XRD, counts, (axis,), "counts", SOURCE, Beam("x-ray", radiation("CuKa")),
        sigma=np.sqrt(counts), instrument=Instrument("Graphite", powder_doubtful=True),
        sampled="bulk",
    )  # fmt: skip


def spectrum_image() -> Measurement:
    axes = (
        Axis("y", "px", np.arange(3.0), navigate=True),
        Axis("x", "nm", 2.5 * np.arange(4.0), navigate=True),
        Axis("energy", "eV", 400.0 + 0.5 * np.arange(50.0), Calibration.ASSUMED),
    )
    values = RNG.poisson(30.0, (3, 4, 50)).astype(float)
    beam = Beam("electron", energy_kev=200.0)
    return Measurement(Modality.EELS, values, axes, "counts", SOURCE, beam, sampled="spot")


def volume() -> Measurement:
    axes = tuple(Axis(n, "um", 0.65 * np.arange(k)) for n, k in zip("zyx", (4, 5, 6), strict=True))
    values = RNG.integers(0, 4, (4, 5, 6)).astype("u1")
    return Measurement(Modality.CT, values, axes, "label", SOURCE, sampled="bulk")


def same(found: Measurement, given: Measurement) -> None:
    np.testing.assert_array_equal(found.values, given.values)
    assert found.values.dtype == given.values.dtype
    for one, other in zip(found.axes, given.axes, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-12, atol=1e-12)
        assert replace(one, values=None) == replace(other, values=None)
    bare, wanted = (replace(m, values=None, axes=(), sigma=None) for m in (found, given))
    assert bare == wanted
    if given.sigma is not None:
        np.testing.assert_array_equal(found.sigma, given.sigma)


@pytest.mark.parametrize("make", [pattern, spectrum_image, volume])
def test_hyperspy_and_back(make):
    given = make()
    same(xtalfuse.from_hyperspy(given.to_hyperspy()), given)


def test_hyperspy_sees_what_it_has_a_place_for():
    signal = spectrum_image().to_hyperspy()
    assert signal.metadata.Signal.signal_type == "EELS"
    assert signal.metadata.Acquisition_instrument.TEM.beam_energy == 200.0
    energy = signal.axes_manager.signal_axes[0]
    assert (energy.name, energy.units, energy.scale, energy.offset) == ("energy", "eV", 0.5, 400.0)
    assert [axis.name for axis in signal.axes_manager.navigation_axes] == ["x", "y"]


def test_a_signal_of_other_origin_is_converted_and_checked():
    from hyperspy.api import signals

    signal = signals.Signal1D(RNG.poisson(40.0, (2, 300)).astype(float))
    energy = signal.axes_manager.signal_axes[0]
    energy.name, energy.units, energy.scale, energy.offset = "Energy loss", "keV", 5e-4, 0.4
    signal.metadata.set_item("Acquisition_instrument.TEM.beam_energy", 300.0)
    found = xtalfuse.from_hyperspy(signal)
    assert found.modality is Modality.EELS
    np.testing.assert_allclose(found.axis("energy"), 400.0 + 0.5 * np.arange(300))
    assert (found.axes[-1].unit, found.calibration) == ("eV", Calibration.KNOWN)
    assert found.beam == Beam("electron", energy_kev=300.0)
    signal.data[:] = 1.0
    with pytest.raises(xtalfuse.loaders.UnreadableFileError, match="are 1"):
        xtalfuse.from_hyperspy(signal)


def test_xarray_has_axes_units_and_source():
    pytest.importorskip("xarray")
    given = pattern()
    found = given.to_xarray()
    np.testing.assert_array_equal(found.values, given.values)
    np.testing.assert_array_equal(found["two_theta"].values, given.axis("two_theta"))
    assert found["two_theta"].attrs == {"units": "deg", "calibration": "known"}
    assert (found.name, found.attrs["units"], found.attrs["sha256"]) == ("xrd", "counts", "ab" * 32)


def test_without_xarray_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match="pip install xarray"):
        pattern().to_xarray()


def test_the_worst_axis_of_the_signal_decides_its_calibration():
    map_of = spectrum_image()
    assert map_of.axes[0].calibration is Calibration.UNKNOWN  # positions in pixels
    assert map_of.calibration is Calibration.ASSUMED
    z, y, x = volume().axes
    doubtful = replace(volume(), axes=(replace(z, calibration=Calibration.ASSUMED), y, x))
    assert volume().calibration is Calibration.KNOWN
    assert doubtful.calibration is Calibration.ASSUMED
