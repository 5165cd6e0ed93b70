"""From a volume to porosity and stiffness, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.datasets.constants.elastic import elastic_constants
from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance
from xtalfuse.physics.mechanics.elasticity import polycrystal_bounds
from xtalfuse.report.structure import headline, write_microstructure
from xtalfuse.tasks.structure.analyse import analyse
from xtalfuse.tasks.structure.volume_stiffness import MOST_EDGE, coarsened

EDGE, RADIUS = 32, 6.0


def volume(
    values: np.ndarray, unit: str = "um", step: tuple[float, float, float] = (2.0, 2.0, 2.0)
) -> Measurement:
    axes = tuple(
        Axis(name, unit, size * np.arange(n))
        for name, n, size in zip("zyx", values.shape, step, strict=True)
    )
    source = Provenance("foam.tif", "00" * 32, "simulation")
    return Measurement(Modality.CT, values, axes, "arbitrary", source)


@pytest.fixture(scope="module")
def holes() -> Measurement:
    """Grey aluminium with one round hole in each eighth."""
    grid = np.indices((EDGE,) * 3) % (EDGE // 2) - (EDGE / 4 - 0.5)
    empty = (grid**2).sum(axis=0) < RADIUS**2
    grey = np.where(empty, 40.0, 180.0)
    return volume(grey + np.random.default_rng(0).normal(0.0, 8.0, grey.shape))


def test_holes_are_counted_measured_and_make_it_softer(holes):
    found = analyse(holes, ("pore", "aluminium"))
    share = found.property_named("phase_fraction[pore]")
    # a ball of radius 6 in a cube of 16 would be 22.1 %; of voxels it is this
    assert share.value == pytest.approx((holes.values < 110.0).mean(), abs=1e-3)
    assert share.uncertainty is None  # all eighths are alike: only round-off
    assert found.property_named("open_porosity").value == 0.0
    # 2 um to a voxel
    assert found.property_named("body_diameter[pore]").value == pytest.approx(24.0, abs=0.5)
    solid = polycrystal_bounds(elastic_constants("aluminium").stiffness.copy()).hill
    young = found.property_named("youngs_modulus").value / float(solid.young)
    # dilute round holes: E / E0 = 1 - 2.0 p + ... (Mackenzie 1950, Proc. Phys. Soc. B 63, 2);
    # never above the upper bound of Hashin and Shtrikman, (1 - p) / (1 + 0.95 p) for these moduli
    p = share.value
    assert 1.0 - 2.1 * p < young < (1.0 - p) / (1.0 + 0.9 * p)
    assert found.property_named("bulk_modulus").uncertainty < 1.0


def test_without_pores_it_is_the_solid():
    grey = np.random.default_rng(1).normal(100.0, 5.0, (16, 16, 16))
    found = analyse(volume(grey), ("aluminium",))
    solid = polycrystal_bounds(elastic_constants("aluminium").stiffness.copy()).hill
    # one medium: homogenized in single precision
    young = found.property_named("youngs_modulus").value
    assert young == pytest.approx(float(solid.young), rel=1e-5)
    assert found.property_named("open_porosity") is None


def test_a_stack_of_layers_has_the_mean_along_and_less_across():
    layers = np.zeros((16, 16, 16))
    layers[:8] = 100.0  # along z: copper below, aluminium above
    found = analyse(volume(layers), ("aluminium", "copper"))
    along = [found.property_named(f"youngs_modulus_{axis}").value for axis in "xyz"]
    young = [
        float(polycrystal_bounds(elastic_constants(name).stiffness.copy()).hill.young)
        for name in ("aluminium", "copper")
    ]
    # Voigt's mean along the layers but for the mismatch of Poisson's ratios, below 1 %
    assert along[0] == pytest.approx(np.mean(young), rel=0.01)
    assert along[0] == pytest.approx(along[1], rel=1e-4)
    assert along[2] < 0.98 * along[0]


def test_what_is_not_known_is_said(holes):
    found = analyse(volume(np.asarray(holes.values), "px"))
    assert found.stiffness is None
    assert any("--voxel-size" in text for text in found.warnings)
    assert any("--phases 'phase 1=" in text for text in found.warnings)
    assert found.property_named("specific_surface[pore]").unit == "1/voxel"
    named = analyse(holes, {"phase 1": "aluminium"})
    assert named.stiffness is not None


def test_the_report_holds_what_was_found(holes, tmp_path):
    found = analyse(holes, ("pore", "aluminium"))
    page = write_microstructure(found, tmp_path).read_text(encoding="utf-8")
    assert "9 bodies of pore and aluminium" in headline(found)
    assert headline(found).split(";")[0] in page
    assert ">-0.0 <" not in page  # zero by symmetry has no sign
    names = {path.name for path in tmp_path.iterdir()}
    assert {"slices.png", "histogram.png", "sizes_0.png", "graph.h5", "grains.csv"} <= names


def test_a_large_volume_is_made_coarser_by_the_commonest_phase():
    fine = np.zeros((2 * MOST_EDGE + 1, 5, 5), int)
    fine[: MOST_EDGE + 4] = 1
    coarse = coarsened(fine, 2)
    assert coarse.shape == (5, 5, (2 * MOST_EDGE + 1) // 3)
    assert (coarse[0, 0] == np.repeat([1, 0], [17 + 0, 15])).mean() > 0.96
    assert coarsened(fine[:4], 2).shape == (5, 5, 4)


def test_long_voxels_make_long_holes(holes):
    grey = np.asarray(holes.values)
    found = analyse(volume(grey, step=(6.0, 2.0, 2.0)), ("pore", "aluminium"))
    young = [found.property_named(f"youngs_modulus_{axis}").value for axis in "xyz"]
    # holes three times as long along z weaken it less along than across
    assert young[2] > 1.05 * young[0]
    assert young[0] == pytest.approx(young[1], rel=0.01)  # noise in the grey values


def test_the_constants_are_part_of_the_uncertainty():
    grey = np.random.default_rng(1).normal(100.0, 5.0, (16, 16, 16))
    young = analyse(volume(grey), ("aluminium",)).property_named("youngs_modulus")
    of = polycrystal_bounds(elastic_constants("aluminium").stiffness.copy()).hill
    bulk, shear = 3.0 * float(of.bulk), float(of.shear)
    # E = 9 K G / (3 K + G), with K and G known to the same share, each for itself
    share = np.hypot(bulk, shear) / (bulk + shear)
    known = share * elastic_constants("aluminium").relative_uncertainty
    # 200 draws: their spread is right to 5 %, 0.15 is three times that
    assert young.uncertainty / young.value == pytest.approx(known, rel=0.15)


def test_loose_particles_carry_nothing(holes):
    found = analyse(volume(-np.asarray(holes.values)), ("pore", "aluminium"))
    assert found.property_named("phase_fraction[aluminium]").value < 0.3
    assert found.stiffness is None
    assert any("no solid reaches through" in text for text in found.warnings)


def test_a_gap_right_through_carries_nothing_across_it(tmp_path):
    slabs = np.zeros((16, 16, 16))
    slabs[:8] = 100.0
    found = analyse(volume(slabs), ("pore", "aluminium"), specimen="whole")
    along, across = (found.property_named(f"youngs_modulus_{axis}").value for axis in "xz")
    solid = polycrystal_bounds(elastic_constants("aluminium").stiffness.copy()).hill
    assert along == pytest.approx(0.5 * float(solid.young), rel=1e-3)  # half of it carries
    assert across == 0.0
    write_microstructure(found, tmp_path / "slabs")  # no figure asks for what is not there


def test_pores_may_be_the_brightest_phase(holes):
    found = analyse(volume(-np.asarray(holes.values)), ("aluminium", "pore"))
    dark = analyse(holes, ("pore", "aluminium"))
    assert found.property_named("open_porosity").value == 0.0
    young = [each.property_named("youngs_modulus").value for each in (found, dark)]
    assert young[0] == pytest.approx(young[1], rel=1e-3)


def test_phases_may_be_unknown_or_alike(holes):
    found = analyse(holes, ("unknown", "unknown"))
    names = [item.name for item in found.properties]
    assert len(names) == len(set(names))
    assert found.property_named("phase_fraction[unknown (2)]") is not None
    assert found.stiffness is None


def test_a_coarser_volume_is_as_stiff_within_its_uncertainty(monkeypatch):
    """Walls of few voxels: blocks of two part some of them and thicken others."""
    from xtalfuse.datasets.simulate.ct import foam
    from xtalfuse.tasks.structure import volume_stiffness

    solid = foam(3, 0, (24, 24, 24), 0.5, 10.0).astype(float)
    fine = analyse(volume(solid), ("pore", "aluminium")).property_named("youngs_modulus")
    monkeypatch.setattr(volume_stiffness, "MOST_EDGE", 12)
    found = analyse(volume(solid), ("pore", "aluminium"))
    coarse = found.property_named("youngs_modulus")
    assert abs(coarse.value - fine.value) < 2.0 * coarse.uncertainty
    assert coarse.uncertainty > 0.1 * coarse.value
    assert any("coarser volume" in text for text in found.warnings)


def test_a_foam_is_told_fast_within_its_uncertainty():
    from xtalfuse.datasets.simulate.ct import foam

    solid = foam(3, 1, (32, 32, 32), 0.4, 11.0).astype(float)
    fast = analyse(volume(solid), ("pore", "aluminium"), fast=True)
    assert fast.stiffness is None
    # GPa, of the same foam by FFT (``analyse`` without ``fast``), which takes half a minute
    for axis, known in {"x": 5.543, "y": 6.798, "z": 4.987}.items():
        told = fast.property_named(f"longitudinal_modulus_{axis}")
        # two and a half standard uncertainties: 99 of 100
        assert abs(told.value - known) < 2.5 * told.uncertainty
        assert told.uncertainty > 0.15 * told.value
        assert "surrogate" in told.method


def test_where_the_surrogate_does_not_hold_the_fft_is_used(holes):
    found = analyse(holes, ("pore", "aluminium"), fast=True)
    assert found.stiffness is not None
    assert any("--fast: the FFT was used: 78% is solid" in text for text in found.warnings)
